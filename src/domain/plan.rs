//! What to do next about a sync: the table that everything else serves.
//!
//! [`next_step`] turns what is wanted, what is remembered and what was just
//! learnt into one step. It is level-triggered: it asks what is so, never what
//! has happened, so a restart, a missed boundary or a stepped clock need no
//! code of their own. The promises it keeps are in `docs/guarantees.md`.
//!
//! Three rules carry most of the weight:
//! - an intent to pause is remembered before it is sent;
//! - what was never answered may still be applied, so a row is only forgotten
//!   when it is *settled*: known good by proof sent long enough afterwards;
//! - in doubt the sync ends up running.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::backoff::Backoff;
use super::calendar::{Desired, Pause};
use super::event::{Event, EventKind};
use super::hold::{Hold, HoldState};
use super::moment::{Moment, Uptime};
use super::organization::Organization;
use super::sync::SyncState;
use super::verdict::Verdict;
use super::window::Occurrence;

mod case;
mod display;
mod errand;
mod moves;

use moves::was_over_before;

pub use case::{Call, Case, Evidence, Retry};
pub use errand::{Errand, ErrandStep, Errands, Last, Learnt, Proof, Told, is_final, next_errand};

/// The pace at which steps are taken, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Longest life of a request that was never answered.
    pub settle: Duration,
    /// How often a held sync is looked at for a person's change.
    pub drift_check: Duration,
    /// Held this long past its end, a sync is overdue.
    pub overdue_after: Duration,
    /// The pace of retries.
    pub backoff: Backoff,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            settle: Duration::from_mins(2),
            drift_check: Duration::from_mins(1),
            overdue_after: Duration::from_mins(5),
            backoff: Backoff::default(),
        }
    }
}

/// A sync that Polytomic does not know is asked for again after this long.
pub const GONE_RETRY: Duration = Duration::from_hours(1);

/// So many answers of "not known", each [`GONE_RETRY`] after the one before, make
/// us forget a sync: a day of them. They are counted and not measured from the
/// first to the last, because a clock that is set forward makes a day of a minute.
const GONE_FOR_GOOD: u32 = 25;

/// The circumstances under which one sync's next step is decided.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a circumstance of its own")]
pub struct Turn<'a> {
    /// The moment of the pass.
    pub now: Moment,
    /// What the windows want.
    pub desired: &'a Desired,
    /// How a sync without a row is reached. `None` when no configuration
    /// names its organization: then nothing new is paused.
    pub organization: Option<&'a Arc<Organization>>,
    /// Whether anything may be paused at all. Not without a configuration in
    /// force, nor by a clock that cannot be right.
    pub may_pause: bool,
    /// Whether the same key has just been accepted for another sync, so that
    /// "not known" is about the sync and not about the key.
    pub key_proven: bool,
    /// Whether every sync of its organization that is to run was resumed.
    pub all_resumed: bool,
    /// Whether questions about executions have no answer in its organization: then no pause
    /// waits for what it would only like to know.
    pub statuses_hang: bool,
    /// Whether an operator exempted it from all windows for now.
    pub is_exempt: bool,
    /// Drawn evenly from `[0, 1)`.
    pub jitter: f64,
    /// The pace.
    pub rules: &'a Rules,
}

/// One thing to do about one sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing, until something changes or `until` is reached.
    Rest {
        /// When to decide again even if nothing happens.
        until: Option<Uptime>,
    },
    /// Ask Polytomic for its state.
    Look,
    /// Make the row durable, then send `active: false`, but not at or after
    /// `until`.
    Pause {
        /// The intent.
        hold: Box<Hold>,
        /// When the pause ends.
        until: DateTime<Utc>,
    },
    /// Write the row if it can be written, then send `active: true`.
    Resume {
        /// The intent.
        hold: Box<Hold>,
    },
    /// Remember the row, and tell.
    Keep {
        /// The row.
        hold: Box<Hold>,
        /// What happened.
        events: Vec<Event>,
        /// When to try again, after a failure.
        retry: Option<Retry>,
    },
    /// Drop the row, and tell.
    Forget {
        /// What happened.
        events: Vec<Event>,
    },
    /// There is nothing to remember durably: try again later.
    Defer {
        /// When to try again.
        retry: Retry,
        /// What happened.
        events: Vec<Event>,
    },
}

/// What is wanted of one sync once people's decisions are taken into account.
#[derive(Debug)]
enum Want {
    /// No occurrence covers it.
    Running,
    /// Every occurrence that covers it was decided against by a person.
    LeftAlone,
    /// These occurrences want it paused.
    Paused(Pause),
}

impl Want {
    fn of(desired: &Desired, hold: Option<&Hold>) -> Self {
        let Desired::Paused(pause) = desired else { return Self::Running };
        let counts = |it: &Occurrence| !hold.is_some_and(|hold| hold.leaves_alone(it));
        if !pause.holders.is_empty() && pause.holders.iter().all(counts) {
            return Self::Paused(pause.clone());
        }
        let holders: Arc<[Occurrence]> = pause.holders.iter().filter(|it| counts(it)).cloned().collect();
        match holders.iter().map(|it| it.closes).max() {
            None => Self::LeftAlone,
            // The end of the merged pause may be that of an occurrence that
            // does not count.
            Some(until) => Self::Paused(Pause { holders, until }),
        }
    }

    fn is_paused(&self) -> bool {
        matches!(self, Self::Paused(_))
    }
}

/// What is wanted of a sync with this row, in words: what covers it may not count for it.
pub fn wanted(desired: &Desired, hold: Option<&Hold>) -> &'static str {
    match Want::of(desired, hold) {
        Want::Running => "running",
        Want::LeftAlone => "left alone",
        Want::Paused(_) => "paused",
    }
}

/// What is told of a sync that [`waits_to_pause`].
pub const WAITS_TO_PAUSE: &str = "pause once no execution runs";

/// Whether its pause waits for what is asked about its executions.
pub fn waits_to_pause(case: &Case, turn: &Turn) -> bool {
    matches!(next_step(case, turn), Step::Rest { .. })
        && matches!(next_errand(case, turn), ErrandStep::Ask { pause: Some(_), .. })
}

/// What to do next about one sync.
pub fn next_step(case: &Case, turn: &Turn) -> Step {
    let want = Want::of(turn.desired, case.hold.as_ref());
    let decision = Decision { case, turn, want: &want };
    match case.evidence.as_deref() {
        Some(Evidence::Answered { active: false, verdict: Verdict::Applied, .. }) => decision.paused(),
        Some(Evidence::Answered { active: true, sent, verdict: Verdict::Applied }) => {
            decision.resumed(*sent, EventKind::Resumed, None)
        }
        Some(Evidence::Answered { active, verdict: Verdict::Refused(failure), .. }) => {
            decision.attempt_failed(*active, case.unsettled_before_call(), failure)
        }
        Some(Evidence::Answered { active, verdict: Verdict::Unknown(failure), .. }) => {
            decision.attempt_failed(*active, case.unsettled_by(*active, turn.now.uptime), failure)
        }
        Some(Evidence::NotWritten { failure }) => decision.not_written(failure),
        Some(Evidence::LookFailed { failure }) => decision.look_failed(failure),
        Some(Evidence::Saw { state, sent, by }) => {
            decision.table(Some(Seen { state: *state, sent: *sent, by: by.as_deref() }))
        }
        None => decision.overdue().unwrap_or_else(|| decision.table(None)),
    }
}

/// A GET's answer.
#[derive(Clone, Copy)]
struct Seen<'a> {
    state: SyncState,
    sent: Moment,
    by: Option<&'a str>,
}

/// One decision in the making.
struct Decision<'a> {
    case: &'a Case,
    turn: &'a Turn<'a>,
    want: &'a Want,
}

impl Decision<'_> {
    /// The state table of `docs/guarantees.md`: what is remembered, what is
    /// wanted, what was seen.
    #[expect(clippy::match_same_arms, reason = "the rows of a table are read one by one")]
    fn table(&self, seen: Option<Seen>) -> Step {
        use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
        use SyncState::{Active, Inactive};
        use Want::{LeftAlone, Paused, Running};

        let Some(hold) = &self.case.hold else { return self.unheld(seen) };
        match (hold.state, self.want, seen.map(|it| (it.state, it))) {
            (_, _, Some((SyncState::Gone, _))) => self.gone(hold),

            // Not ours, by a person's decision about every open occurrence.
            (Skipped, LeftAlone, _) => Step::Rest { until: None },
            (Released, LeftAlone, seen) => self.stay_released(hold, seen.map(|(_, it)| it)),
            (Skipped | Released, Running, _) => self.stay_decided(hold),
            // Another occurrence has begun since: decide anew.
            (Skipped | Released, Paused(pause), Some((Active, seen))) => self.pause_if_begun(pause, seen),
            (Skipped | Released, Paused(pause), Some((Inactive, seen))) => self.skip_if_begun(pause, seen),
            (Skipped | Released, Paused(pause), None) => self.look_to_begin(pause),

            // Our pause was sent, or not; it was applied, or not.
            (Pausing, Paused(pause), Some((Active, _))) => self.pause(pause),
            (Pausing, Paused(pause), Some((Inactive, _))) if hold.unsettled.pause.is_none() => {
                self.skip(pause) // Every attempt was refused: somebody else switched it off.
            }
            (Pausing, Paused(_), Some((Inactive, _))) => self.paused(), // In doubt it is ours.
            (Pausing, Paused(_), None) => self.look_to_pause(),
            (Pausing, Running | LeftAlone, Some((Inactive, seen))) if hold.unsettled.pause.is_none() => {
                self.let_go(hold, seen.sent, vec![])
            }

            // That pause was over before these began, only nobody was there: an ordinary start.
            (Held, Paused(pause), Some((Active, seen))) if was_over_before(hold, pause) => {
                self.pause_if_begun(pause, seen)
            }
            (Held, Paused(pause), Some((Active, seen))) => self.switched_on(hold, pause, seen),
            (Held, Paused(pause), Some((Inactive, _)) | None) => self.stay_held(hold, pause, seen),

            // The next window, or a clock that was set back, came before the resume was confirmed.
            (Resuming, Paused(pause), Some((Active, _))) => self.pause(pause), // It was ours.
            (Resuming, Paused(_), Some((Inactive, _))) => self.paused(),
            (Resuming, Paused(_), None) => self.look(),

            // A resume is owed. Look first: somebody may have been quicker.
            (Pausing | Held | Resuming, Running | LeftAlone, None) => self.look(),
            (Pausing, Running | LeftAlone, Some((Active, seen))) => self.let_go(hold, seen.sent, vec![]),
            (Held, Running | LeftAlone, Some((Active, seen))) => {
                self.resumed(seen.sent, EventKind::Released, seen.by)
            }
            (Resuming, Running | LeftAlone, Some((Active, seen))) => {
                self.resumed(seen.sent, EventKind::Resumed, None)
            }
            (Pausing | Held | Resuming, Running | LeftAlone, Some((Inactive, _))) => self.resume(hold),

            // It runs, but a request of ours may still be on its way.
            (Settling, Running | LeftAlone, seen) => self.settle(hold, seen.map(|(_, it)| it)),
            (Settling, Paused(pause), Some((Active, seen))) => self.pause_if_begun(pause, seen),
            (Settling, Paused(_), Some((Inactive, _)) | None) if self.is_resume_denied(hold) => self.paused(),
            (Settling, Paused(_), Some((Inactive, seen))) if self.was_hardly_resumed(hold, seen.sent) => {
                self.paused()
            }
            (Settling, Paused(_), Some((Inactive, _)))
                if hold.unsettled.pause.is_none() && self.is_first_proof_under_way(hold) =>
            {
                Step::Rest { until: None } // That was asked earlier, and may know better.
            }
            (Settling, Paused(pause), Some((Inactive, seen))) if hold.unsettled.pause.is_none() => {
                self.skip_if_begun(pause, seen) // Nothing of ours can have switched it off.
            }
            (Settling, Paused(_), Some((Inactive, _))) => self.paused(),
            (Settling, Paused(pause), None) => self.look_to_begin(pause),
        }
    }

    /// The rows of the table for a sync of which nothing is remembered.
    fn unheld(&self, seen: Option<Seen>) -> Step {
        match (self.want, seen) {
            (Want::Running | Want::LeftAlone, _) => Step::Rest { until: None },
            (Want::Paused(pause), None) => self.look_to_begin(pause),
            (Want::Paused(pause), Some(seen)) => match seen.state {
                SyncState::Active => self.pause_if_begun(pause, seen),
                SyncState::Inactive => self.skip_if_begun(pause, seen),
                SyncState::Gone => self.unknown_sync(pause),
            },
        }
    }
}

#[cfg(test)]
mod tests;
