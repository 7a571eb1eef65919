//! Mistakes made on purpose.

use std::sync::Arc;
use std::time::Duration;

use intermission::domain::calendar::Desired;
use intermission::domain::execution::{After, OnRunning};
use intermission::domain::hold::{HoldState, Unsettled};
use intermission::domain::plan::{Case, Errand, ErrandStep, Evidence, Step};
use intermission::domain::verdict::Verdict;

use super::windows::File;
use super::{Process, World, at, organization, up};

/// A mistake made on purpose around the plan, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Plant {
    None,
    /// The row is written when the answer is there, not before the request.
    NoWriteAhead,
    /// Nothing is waited for after a request without an answer.
    NoSettle,
    /// The row does not say when the pause ends.
    NoResumeBy,
    /// A look from before the window decides.
    LookBeforeBoundary,
    /// Looks count from when their answer was read.
    SettleFromReading,
    /// What is unsettled counts from when the request was sent.
    SettleFromSending,
    /// Rows do not say that a request of ours is out.
    NoMarkOfIntent,
    /// The mark goes when a person decided.
    MarkLostOnRelease,
    /// A pause that failed is sent again without a look.
    BlindRetry,
    /// A 2xx that names the other state is taken for a confirmation.
    WrongStateConfirms,
    /// A bulk sync is paused whatever runs.
    NoGate,
    /// An execution is waited for without a limit.
    NoLimit,
    /// The wait for an execution outlives the window, and the pause comes after it.
    PausedAfterTheWait,
    /// A resume of which nobody knows what became is taken for done.
    LostResumeIsDone,
    /// A confirmation is believed without a look.
    NoProof,
    /// A proof is waited for without a limit.
    ProofForEver,
}

impl World {
    pub(super) fn plant_into(&self, step: &mut Step, process: &Process, desired: &Desired, plant: Plant) {
        let case = &process.case;
        match (plant, &mut *step) {
            (Plant::NoMarkOfIntent, Step::Pause { hold, .. }) => hold.unsettled.pause = None,
            (Plant::MarkLostOnRelease, Step::Keep { hold, .. })
                if matches!(hold.state, HoldState::Released | HoldState::Skipped) =>
            {
                hold.unsettled = Unsettled::default();
            }
            (Plant::SettleFromSending, Step::Keep { hold, .. }) => {
                if let Some(Evidence::Answered { sent, verdict: Verdict::Unknown(_), .. }) =
                    case.evidence.as_deref()
                {
                    hold.unsettled.pause = hold.unsettled.pause.map(|it| it.min(sent.uptime));
                    hold.unsettled.resume = hold.unsettled.resume.map(|it| it.min(sent.uptime));
                }
            }
            (Plant::LookBeforeBoundary, Step::Rest { until }) if self.wall < self.scene.windows[0].0 => {
                if case.hold.is_none() && process.in_force.is_some() && case.evidence.is_none() {
                    *step = Step::Look;
                } else {
                    *until = None;
                }
            }
            (Plant::BlindRetry, Step::Look) => {
                let Desired::Paused(pause) = desired else { return };
                if let Some(hold) = case.hold.clone().filter(|it| it.state == HoldState::Pausing) {
                    *step = Step::Pause { hold: Box::new(hold), until: pause.until };
                }
            }
            (Plant::PausedAfterTheWait, Step::Rest { .. }) if self.has_waited_too_long(case, desired) => {
                let mut hold = case.new_hold(&organization(), HoldState::Pausing, at(self.wall));
                hold.holders = self.occurrences(File::Both).into();
                hold.unsettled.pause = Some(up(self.uptime));
                hold.resume_by = at(self.wall);
                *step = Step::Pause { hold: Box::new(hold), until: at(1000) };
            }
            (Plant::LostResumeIsDone, Step::Keep { hold, retry, .. })
                if matches!(
                    case.evidence.as_deref(),
                    Some(Evidence::Answered { active: true, verdict: Verdict::Unknown(_), .. })
                ) =>
            {
                hold.state = HoldState::Settling;
                hold.unsettled = Unsettled::default();
                hold.runs.after = After::Nothing;
                *retry = None;
            }
            (Plant::NoProof, Step::Keep { hold, .. }) => hold.runs.after = After::Nothing,
            _ => {}
        }
    }

    /// The window is over that waited for an execution, and now that is over too.
    fn has_waited_too_long(&self, case: &Case, desired: &Desired) -> bool {
        let is_over = *desired == Desired::Running && case.hold.is_none();
        is_over && case.errands.waited() && !self.is_executing
    }

    pub(super) fn plant_into_errand(&self, step: &mut ErrandStep, case: &Case, plant: Plant) {
        let owes_proof = case.hold.as_ref().is_some_and(|it| it.runs.after == After::Proof);
        match (plant, &*step) {
            (Plant::ProofForEver, ErrandStep::Forget { .. }) if owes_proof => {
                *step = ErrandStep::Ask { errand: Errand::Prove, pause: None };
            }
            (Plant::PausedAfterTheWait, ErrandStep::Forget { .. }) if case.hold.is_none() => {
                *step = ErrandStep::Rest { until: Some(up(self.uptime + 1)) };
            }
            _ => {}
        }
    }
}

/// What the plan is told that the windows want.
pub(super) fn plant_into_desired(desired: &mut Desired, process: &Process, plant: Plant) {
    let Desired::Paused(pause) = desired else { return };
    let is_new = process.case.hold.is_none();
    for it in Arc::make_mut(&mut pause.holders) {
        match plant {
            Plant::NoGate if is_new => it.runs.on_running = Some(OnRunning::Cancel),
            Plant::NoLimit => it.runs.limit = Duration::from_hours(24),
            _ => {}
        }
    }
}
