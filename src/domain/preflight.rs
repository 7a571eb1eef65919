//! What is found before an occurrence: what will trouble it, and that all is well.
//!
//! Nothing is decided by it. People are told while they are awake.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::notice::listed;
use super::sync::{Name, SyncState, counted};
use super::verdict::Failure;

/// The API tells its time to the second, and an answer takes a while: clocks that
/// are this far apart may be alike.
pub const SKEW_ALLOWED: TimeDelta = TimeDelta::seconds(5);

/// What a look before an occurrence showed of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Whether it is on, off or gone.
    pub state: SyncState,
    /// Whether an execution runs; none if nobody told.
    pub is_running: Option<bool>,
    /// How far this machine's clock is ahead of the API's, about.
    pub clock_ahead: Option<TimeDelta>,
}

/// All that was found before one occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    well: usize,
    running: Vec<String>,
    held: usize,
    off: Vec<String>,
    unknown: Vec<String>,
    // By what they met.
    failed: BTreeMap<String, Vec<String>>,
    // The least that was seen: an answer that was long on its way says more.
    clock_ahead: Option<TimeDelta>,
    notes: Vec<String>,
}

/// What people are told of it: in the journal, and until the occurrence begins in
/// the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// The window.
    pub window: Name,
    /// When it opens.
    pub opens: DateTime<Utc>,
    /// When this was told.
    pub at: DateTime<Utc>,
    /// What will trouble the occurrence; absent if nothing was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is well.
    pub detail: String,
}

impl Findings {
    /// A sync was looked at.
    pub fn saw(&mut self, name: &str, sight: Sight) {
        self.clock_ahead = self.clock_ahead.into_iter().chain(sight.clock_ahead).min_by_key(TimeDelta::abs);
        match sight.state {
            SyncState::Active => {
                self.well += 1;
                self.running.extend((sight.is_running == Some(true)).then(|| name.to_owned()));
            }
            SyncState::Inactive => self.off.push(name.to_owned()),
            SyncState::Gone => self.unknown.push(name.to_owned()),
        }
    }

    /// A sync is paused by us until its present end: that it is off says nothing.
    pub fn held(&mut self) {
        self.held += 1;
    }

    /// A sync could not be looked at.
    pub fn failed(&mut self, name: &str, failure: &Failure) {
        self.failed.entry(failure.to_string()).or_default().push(name.to_owned());
    }

    /// Something else will trouble the occurrence.
    pub fn note(&mut self, trouble: impl Into<String>) {
        self.notes.push(trouble.into());
    }

    /// What will trouble the occurrence, in one line.
    pub fn error(&self) -> Option<String> {
        let mut parts = self.notes.clone();
        for (failure, names) in &self.failed {
            parts.push(format!("{} could not be looked at: {}: {failure}", counted(names.len()), all(names)));
        }
        if !self.unknown.is_empty() {
            let (count, names) = (counted(self.unknown.len()), all(&self.unknown));
            parts.push(format!("Polytomic does not know {count}: {names}"));
        }
        if !self.off.is_empty() {
            let verb = if self.off.len() == 1 { "is" } else { "are" };
            let (count, names) = (counted(self.off.len()), all(&self.off));
            parts.push(format!("{count} {verb} off already and will stay off: {names}"));
        }
        parts.extend(self.clock_ahead.and_then(clock_trouble));
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What is well, in one line.
    pub fn detail(&self) -> String {
        let mut parts = vec![match self.well {
            0 => "no sync was seen to be on".to_owned(),
            1 => "1 sync is there and on".to_owned(),
            well => format!("{well} syncs are there and on"),
        }];
        if !self.running.is_empty() {
            let verb = if self.running.len() == 1 { "runs" } else { "run" };
            parts.push(format!("{} {verb} now: {}", self.running.len(), all(&self.running)));
        }
        if self.held > 0 {
            parts.push(format!("{} still paused by other windows", self.held));
        }
        parts.join("; ")
    }
}

/// What is wrong with a clock that is so far ahead of the API's, if anything is.
pub fn clock_trouble(ahead: TimeDelta) -> Option<String> {
    let way = if ahead > SKEW_ALLOWED {
        "ahead of"
    } else if ahead < -SKEW_ALLOWED {
        "behind"
    } else {
        return None;
    };
    let seconds = ahead.abs().num_seconds();
    Some(format!("the clock of this machine is {seconds} s {way} the API's"))
}

fn all(names: &[String]) -> String {
    listed(names.iter().map(String::as_str), names.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::FailureKind;

    fn sight(state: SyncState) -> Sight {
        Sight { state, is_running: Some(false), clock_ahead: Some(TimeDelta::seconds(1)) }
    }

    #[test]
    fn nothing_wrong_is_no_error() {
        let mut found = Findings::default();
        found.saw("A", sight(SyncState::Active));
        assert_eq!((found.error(), found.detail()), (None, "1 sync is there and on".to_owned()));
        found.saw("B", Sight { is_running: Some(true), ..sight(SyncState::Active) });
        found.saw("C", Sight { is_running: None, ..sight(SyncState::Active) });
        found.held();
        let detail = "3 syncs are there and on; 1 runs now: B; 1 still paused by other windows";
        assert_eq!((found.error(), found.detail()), (None, detail.to_owned()));
    }

    #[test]
    fn without_a_single_sync_that_is_on_it_says_so() {
        let mut found = Findings::default();
        found.saw("A", sight(SyncState::Inactive));
        assert_eq!(found.detail(), "no sync was seen to be on");
    }

    #[test]
    fn each_trouble_has_its_words_and_its_syncs() {
        let mut found = Findings::default();
        found.saw("A", sight(SyncState::Inactive));
        found.saw("B", sight(SyncState::Gone));
        for number in 0..7 {
            found.failed(&format!("{number}"), &Failure::new(FailureKind::Server, "502 Bad Gateway"));
        }
        found.note("it selects no sync at all");
        assert_eq!(
            found.error().unwrap(),
            "it selects no sync at all; \
             7 syncs could not be looked at: 0, 1, 2, 3, 4 and 2 more: 502 Bad Gateway; \
             Polytomic does not know 1 sync: B; 1 sync is off already and will stay off: A"
        );
    }

    #[test]
    fn the_clock_is_judged_by_the_answer_that_was_shortest_on_its_way() {
        for (seconds, expected) in [
            (&[5, -5][..], None),
            (&[-5, 5], None),
            (&[40, 3, 90], None),
            (&[41, 40], Some("the clock of this machine is 40 s ahead of the API's")),
            (&[-7, -6, -9], Some("the clock of this machine is 6 s behind the API's")),
        ] {
            let mut found = Findings::default();
            for seconds in seconds {
                let clock_ahead = Some(TimeDelta::seconds(*seconds));
                found.saw("A", Sight { clock_ahead, ..sight(SyncState::Active) });
            }
            assert_eq!(found.error().as_deref(), expected, "{seconds:?}");
        }
    }
}
