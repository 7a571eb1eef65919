//! What operators ask for beside the file: pauses, exemptions, and occurrences
//! that close later.
//!
//! Each [`Order`] has an end, a reason and somebody who gave it. The calendar
//! puts orders and windows together, so that whatever asks the calendar knows
//! them: the plan, `upcoming`, `why`, the page.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::advice::spell;
use super::execution::RunPolicy;
use super::sync::{Name, SyncRef};
use super::window::Occurrence;

/// Something that an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Never used twice, not even after it is over.
    pub number: u32,
    /// From when on it is to be so.
    pub from: DateTime<Utc>,
    /// Until when. The instant itself is outside.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// On whose word, as the journal names them.
    pub by: String,
    /// What is to be so.
    pub what: What,
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// These syncs are paused, whether a window covers them or not.
    Pause {
        /// Which.
        syncs: BTreeSet<SyncRef>,
    },
    /// The occurrence of `window` that opened at `opens` closes when the order
    /// ends.
    Extend {
        /// The window.
        window: Name,
        /// Which occurrence of it.
        opens: DateTime<Utc>,
    },
    /// No window touches these syncs. What an operator pauses is paused all the
    /// same.
    Exempt {
        /// Which. `None`: all.
        syncs: Option<BTreeSet<SyncRef>>,
    },
}

impl What {
    /// The word for it in JSON, in the ledger and on the page.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Extend { .. } => "extend",
            Self::Exempt { .. } => "exempt",
        }
    }
}

/// What the names of operators' pauses begin with. No window can be called so.
const PREFIX: &str = "operator#";

impl Order {
    /// What it is called where windows are called by their names.
    pub fn name(&self) -> Name {
        Name::from(format!("{PREFIX}{}", self.number))
    }

    /// Whether it holds at this instant.
    pub fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    /// When it next begins or ends after this instant.
    pub fn next_change(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        [self.from, self.until].into_iter().find(|at| after < *at)
    }

    /// The holder that it makes: an operator's pause is one to a sync as an
    /// occurrence is. `None` if it pauses nothing.
    pub fn holder(&self) -> Option<Occurrence> {
        matches!(self.what, What::Pause { .. }).then(|| Occurrence {
            window: self.name(),
            pauses: self.from,
            opens: self.from,
            closes: self.until,
            enforce: false,
            runs: RunPolicy::default(),
        })
    }

    /// Whether it is about this sync.
    pub fn names(&self, sync: &SyncRef) -> bool {
        match &self.what {
            What::Pause { syncs } | What::Exempt { syncs: Some(syncs) } => syncs.contains(sync),
            What::Exempt { syncs: None } => true,
            What::Extend { .. } => false,
        }
    }

    /// Whether it is about this sync, and not about all.
    pub fn names_one_by_one(&self, sync: &SyncRef) -> bool {
        !matches!(self.what, What::Exempt { syncs: None }) && self.names(sync)
    }

    /// The syncs that it names one by one.
    pub fn syncs(&self) -> impl Iterator<Item = &SyncRef> {
        match &self.what {
            What::Pause { syncs } | What::Exempt { syncs: Some(syncs) } => Some(syncs),
            What::Exempt { syncs: None } | What::Extend { .. } => None,
        }
        .into_iter()
        .flatten()
    }

    /// Whether it takes windows away from syncs.
    pub fn is_exemption(&self) -> bool {
        matches!(self.what, What::Exempt { .. })
    }
}

/// Whether a holder of this name is an operator's pause and no window.
pub fn is_order(name: &Name) -> bool {
    name.as_str().starts_with(PREFIX)
}

/// An order that makes no sense, or is for too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It ends before it begins.
    #[error("it would end before it begins; name a later end")]
    Ends,
    /// It is over already.
    #[error("it would be over already; name a later end")]
    Over,
    /// It lasts too long.
    #[error("it would last {}, and `max_pause` in [reconcile] allows {}; make it shorter", spell(*asked), spell(*most))]
    TooLong {
        /// How long it would be.
        asked: TimeDelta,
        /// How long it may be.
        most: TimeDelta,
    },
    /// It has no reason.
    #[error("it needs a reason of one line, of at most {LONGEST_REASON} characters")]
    Reason,
}

/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 255;

/// Whether an order from `from` to `until` may be given at `now`: every pause
/// ends, and within `most`.
pub fn check(
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    reason: &str,
    now: DateTime<Utc>,
    most: TimeDelta,
) -> Result<(), OrderError> {
    let is_long = reason.chars().count() > LONGEST_REASON;
    match until - from {
        _ if is_long || reason.trim().is_empty() || reason.chars().any(char::is_control) => {
            Err(OrderError::Reason)
        }
        length if length <= TimeDelta::zero() => Err(OrderError::Ends),
        _ if until <= now => Err(OrderError::Over),
        asked if asked > most => Err(OrderError::TooLong { asked, most }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    #[test]
    fn an_order_has_a_reason_and_a_bounded_time() {
        let check = |from, until, reason| check(at(from), at(until), reason, at(10), TimeDelta::hours(2));
        assert_eq!(check(10, 130, "load"), Ok(()));
        assert_eq!(check(60, 180, "load"), Ok(()), "it may begin later");
        assert_eq!(check(0, 11, "load"), Ok(()));
        assert_eq!(check(10, 10, "load"), Err(OrderError::Ends));
        assert_eq!(check(0, 10, "load"), Err(OrderError::Over));
        let (asked, most) = (TimeDelta::minutes(121), TimeDelta::hours(2));
        assert_eq!(check(10, 131, "load"), Err(OrderError::TooLong { asked, most }));
        for reason in ["", "  ", "two\nlines", &"x".repeat(256)] {
            assert_eq!(check(10, 20, reason), Err(OrderError::Reason), "{reason:?}");
        }
    }

    #[test]
    fn no_window_can_be_called_like_an_order() {
        let (by, reason) = (String::new(), String::new());
        let what = What::Pause { syncs: BTreeSet::new() };
        let order = Order { number: 7, from: at(0), until: at(1), reason, by, what };
        assert_eq!(order.name().as_str(), "operator#7");
        assert!(is_order(&order.name()));
        assert!(!is_order(&"operator7".into()));
        assert_eq!((order.holds_at(at(0)), order.holds_at(at(1))), (true, false));
    }

    #[test]
    fn the_longest_reason_is_long_enough() {
        let given = |reason: &str| check(at(10), at(20), reason, at(10), TimeDelta::hours(2));
        assert_eq!(given(&"x".repeat(LONGEST_REASON)), Ok(()));
    }

    fn order(what: What) -> Order {
        Order { number: 7, from: at(0), until: at(1), reason: "load".into(), by: "root".into(), what }
    }

    #[test]
    fn an_order_is_about_all_or_names_its_syncs_one_by_one() {
        let sync = |number| {
            SyncRef::new("default".into(), super::super::sync::SyncKind::Model, uuid::Uuid::from_u128(number))
        };
        let one = BTreeSet::from([sync(1)]);
        let extend = What::Extend { window: "w".into(), opens: at(0) };
        for (what, word, of_one, of_two, one_by_one) in [
            (What::Pause { syncs: one.clone() }, "pause", true, false, true),
            (What::Exempt { syncs: Some(one) }, "exempt", true, false, true),
            (What::Exempt { syncs: None }, "exempt", true, true, false),
            (extend, "extend", false, false, false),
        ] {
            let order = order(what);
            assert_eq!(order.what.as_str(), word);
            assert_eq!((order.names(&sync(1)), order.names(&sync(2))), (of_one, of_two), "{order:?}");
            assert_eq!(order.names_one_by_one(&sync(1)), one_by_one, "{order:?}");
            assert!(!order.names_one_by_one(&sync(2)), "{order:?}");
        }
    }

    #[test]
    fn an_order_changes_when_it_begins_and_when_it_ends() {
        let order = order(What::Exempt { syncs: None });
        assert_eq!(order.next_change(at(-1)), Some(at(0)));
        assert_eq!(order.next_change(at(0)), Some(at(1)));
        assert_eq!(order.next_change(at(1)), None);
    }
}
