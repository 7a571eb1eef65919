//! The hold: the row that remembers that we paused a sync and owe it a resume.
//!
//! A hold is written before the sync is paused and dropped after it is known to
//! run again, so a crash in between leaves a hold too many, never one too few.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::{Desired, Pause};
use super::execution::Runs;
use super::moment::Uptime;
use super::organization::Organization;
use super::sync::SyncRef;
use super::window::Occurrence;

/// What we know, durably, about one sync. With its organization it is all that
/// a resume needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The sync.
    pub sync: SyncRef,
    /// Its name at Polytomic, when we have seen it. For people only.
    pub name: Option<String>,
    /// Where and how to reach its API.
    pub organization: Arc<Organization>,
    /// How far the pause or the resume has come.
    pub state: HoldState,
    /// The occurrences this pause serves. All rows of a pause share them.
    pub holders: Arc<[Occurrence]>,
    /// Those that it served before, in the same pause.
    pub served: Vec<Occurrence>,
    /// Occurrences that do not count for this sync, because a person decided
    /// so: it was off when they began, or was switched on inside them.
    pub left_alone: Vec<Occurrence>,
    /// When we first wrote this row.
    pub since: DateTime<Utc>,
    /// When the pause ends, as last known. Without a configuration this alone
    /// decides.
    pub resume_by: DateTime<Utc>,
    /// Requests of ours that may yet be applied.
    pub unsettled: Unsettled,
    /// Attempts in a row that did not succeed, and what the last one met.
    pub attempts: u32,
    /// What the last unsuccessful attempt met, in words.
    pub last_error: Option<String>,
    /// Set while Polytomic says it does not know the sync.
    pub gone: Option<Gone>,
    /// Whether it was already told that this hold is past its end.
    pub overdue_told: bool,
    /// What is known of its executions.
    pub runs: Runs,
}

/// Of so many earlier occurrences a row knows that it served them.
const MOST_SERVED: usize = 16;

impl Hold {
    /// All occurrences that this pause has served: those that hold it, and those that did.
    pub fn all_served(&self) -> impl Iterator<Item = &Occurrence> {
        self.holders.iter().chain(&self.served)
    }

    /// Takes over whom the pause serves and when it ends.
    pub(super) fn serve(&mut self, pause: &Pause) {
        let is_in = |all: &[Occurrence], it: &Occurrence| all.iter().any(|other| other.is(it));
        let before = std::mem::replace(&mut self.holders, Arc::clone(&pause.holders));
        for it in &*before {
            if !is_in(&self.holders, it) && !is_in(&self.served, it) {
                self.served.push(it.clone());
            }
        }
        self.served.retain(|it| !is_in(&pause.holders, it));
        self.served.drain(..self.served.len().saturating_sub(MOST_SERVED));
        self.resume_by = pause.until;
    }

    /// The pause is over, now or earlier.
    pub(super) fn end_by(&mut self, now: DateTime<Utc>) {
        self.resume_by = self.resume_by.min(now);
    }

    /// Whether an occurrence does not count for this sync.
    pub fn leaves_alone(&self, occurrence: &Occurrence) -> bool {
        self.left_alone.iter().any(|it| it.is(occurrence))
    }

    /// What people call its sync: by its name, or its id if that is not known.
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.sync.id.to_string())
    }

    /// These occurrences do not count for this sync.
    pub fn leave_alone(&mut self, occurrences: &[Occurrence]) {
        for it in occurrences {
            if !self.leaves_alone(it) {
                self.left_alone.push(it.clone());
            }
        }
        self.resume_by = occurrences.iter().map(|it| it.closes).fold(self.resume_by, DateTime::max);
    }

    /// What is wanted when only this row can be asked, because there is no
    /// configuration: it stays as it is until its end, then runs.
    pub fn desired_alone(&self, now: DateTime<Utc>) -> Desired {
        let mut holders: Vec<Occurrence> =
            self.left_alone.iter().filter(|it| now < it.closes).cloned().collect();
        if now < self.resume_by && self.state.owes_resume() {
            holders.extend(
                self.holders
                    .iter()
                    .filter(|it| !holders.iter().any(|other| other.is(it)))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        if holders.is_empty() {
            return Desired::Running;
        }
        Desired::Paused(Pause { holders: holders.into(), until: self.resume_by })
    }

    /// Whether this row is as `desired` wants it, or only has to wait.
    pub fn counts_as_done(&self, desired: &Desired) -> bool {
        match (self.state, desired) {
            (HoldState::Settling | HoldState::Skipped | HoldState::Released, _) => true,
            (HoldState::Held, Desired::Paused(pause)) => {
                // Somebody decided against all that still holds it: a resume is owed.
                pause.holders.iter().any(|it| !self.leaves_alone(it))
            }
            (HoldState::Pausing | HoldState::Resuming, _) | (HoldState::Held, Desired::Running) => false,
        }
    }

    /// When `desired_alone` may change.
    pub fn ends(&self) -> impl Iterator<Item = DateTime<Utc>> {
        self.left_alone.iter().map(|it| it.closes).chain([self.resume_by])
    }
}

/// How far a pause or a resume has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldState {
    /// We are about to pause it, or may have.
    Pausing,
    /// It is paused, by us.
    Held,
    /// We are about to resume it, or may have.
    Resuming,
    /// It runs again, but a request of ours was never answered and might still
    /// be applied: one more look is owed.
    Settling,
    /// It was off when the window began: not ours.
    Skipped,
    /// Somebody switched it on inside the window, or an operator resumed it.
    Released,
}

impl HoldState {
    /// Every state, in the order of a pause's life.
    pub const ALL: &[Self] =
        &[Self::Pausing, Self::Held, Self::Resuming, Self::Settling, Self::Skipped, Self::Released];

    /// The state as it is written in the ledger, in JSON and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pausing => "pausing",
            Self::Held => "held",
            Self::Resuming => "resuming",
            Self::Settling => "settling",
            Self::Skipped => "skipped",
            Self::Released => "released",
        }
    }

    /// Whether a resume is owed: we paused it, or may have.
    pub fn owes_resume(self) -> bool {
        match self {
            Self::Pausing | Self::Held | Self::Resuming => true,
            Self::Settling | Self::Skipped | Self::Released => false,
        }
    }
}

/// Requests of ours that were sent and never answered, each with the time at
/// which we last gave one up. In the ledger only the fact is kept; a process
/// that starts counts from its own start, because nobody knows how long the
/// one before it had been retrying; or from the end of that one, if it ended in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Unsettled {
    /// An `active: false`.
    pub pause: Option<Uptime>,
    /// An `active: true`.
    pub resume: Option<Uptime>,
}

impl Unsettled {
    /// Whether anything may yet be applied.
    pub fn any(&self) -> bool {
        self.pause.is_some() || self.resume.is_some()
    }
}

/// How often in a row Polytomic has said that it does not know a sync. Answers
/// that come close upon one another count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The last such answer that counted.
    pub since: DateTime<Utc>,
    /// How many counted.
    pub times: u32,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::execution::RunPolicy;
    use super::super::plan::Case;
    use super::super::sync::SyncKind;
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn occurrence(window: &str, opens: i64, closes: i64) -> Occurrence {
        Occurrence {
            window: window.into(),
            pauses: at(opens),
            opens: at(opens),
            closes: at(closes),
            enforce: false,
            runs: RunPolicy::default(),
        }
    }

    fn hold(state: HoldState) -> Hold {
        let sync = SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(7));
        let organization = Arc::new(Organization::example());
        let mut hold = Case::new(sync).new_hold(&organization, state, at(100));
        hold.serve(&Pause { holders: [occurrence("a", 100, 200)].into(), until: at(200) });
        hold
    }

    fn holders(desired: &Desired) -> Vec<&str> {
        match desired {
            Desired::Running => vec![],
            Desired::Paused(pause) => pause.holders.iter().map(|it| it.window.as_str()).collect(),
        }
    }

    #[test]
    fn a_row_alone_asks_for_what_it_owes_until_its_end() {
        let held = hold(HoldState::Held);
        assert_eq!(holders(&held.desired_alone(at(199))), ["a"]);
        assert_eq!(held.desired_alone(at(200)), Desired::Running, "its end is not part of it");

        let mut both = held.clone();
        both.leave_alone(&[occurrence("b", 150, 300)]);
        assert_eq!(both.resume_by, at(300), "a decision lasts as long as what it is about");
        assert_eq!(holders(&both.desired_alone(at(250))), ["b", "a"]);
        assert_eq!(both.desired_alone(at(300)), Desired::Running);
        assert_eq!(both.ends().collect::<Vec<_>>(), [at(300), at(300)]);

        let mut released = hold(HoldState::Released);
        released.leave_alone(&[occurrence("a", 100, 200)]);
        assert_eq!(holders(&released.desired_alone(at(199))), ["a"], "told once, not as holder too");
    }

    #[test]
    fn a_row_knows_once_each_whom_it_serves_and_whom_it_has_served() {
        let names = |all: &[Occurrence]| all.iter().map(|it| it.window.to_string()).collect::<Vec<_>>();
        let (a, b) = (occurrence("a", 100, 200), occurrence("b", 150, 300));
        let mut held = hold(HoldState::Held);
        let mut serve = |holders: &[Occurrence], served: &[&str]| {
            held.serve(&Pause { holders: holders.into(), until: at(300) });
            assert_eq!(names(&held.holders), names(holders));
            assert_eq!(names(&held.served), served);
        };
        serve(&[a.clone(), b.clone()], &[]);
        serve(std::slice::from_ref(&b), &["a"]);
        serve(&[a, b.clone()], &[]);
        serve(&[b], &["a"]);
        serve(&[], &["a", "b"]);
        assert_eq!(held.called(), held.sync.id.to_string());
        assert_eq!(Hold { name: Some("Contacts".into()), ..held }.called(), "Contacts");
    }

    #[test]
    fn an_end_is_brought_forward_and_never_put_off() {
        let mut held = hold(HoldState::Held);
        held.end_by(at(150));
        assert_eq!(held.resume_by, at(150));
        held.end_by(at(180));
        assert_eq!(held.resume_by, at(150));
        assert_eq!(held.ends().collect::<Vec<_>>(), [at(150)]);
    }

    #[test]
    fn what_waits_is_done_and_what_is_owed_is_not() {
        use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
        let wanted = Desired::Paused(Pause { holders: [occurrence("a", 100, 200)].into(), until: at(200) });
        for state in [Settling, Skipped, Released] {
            assert!(hold(state).counts_as_done(&wanted) && hold(state).counts_as_done(&Desired::Running));
        }
        for state in [Pausing, Resuming] {
            assert!(!hold(state).counts_as_done(&wanted) && !hold(state).counts_as_done(&Desired::Running));
        }
        assert!(hold(Held).counts_as_done(&wanted));
        assert!(!hold(Held).counts_as_done(&Desired::Running));
        let mut decided = hold(Held);
        decided.leave_alone(&[occurrence("a", 100, 200)]);
        assert!(!decided.counts_as_done(&wanted), "a person decided against its only holder");
    }

    #[test]
    fn either_request_without_an_answer_unsettles() {
        let up = Some(Duration::from_secs(1));
        assert!(!Unsettled::default().any());
        assert!(Unsettled { pause: up, resume: None }.any());
        assert!(Unsettled { pause: None, resume: up }.any());
    }
}
