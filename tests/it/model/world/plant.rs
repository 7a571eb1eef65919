//! Mistakes made on purpose.

use intermission::domain::calendar::Desired;
use intermission::domain::hold::{HoldState, Unsettled};
use intermission::domain::plan::{Evidence, Step};
use intermission::domain::verdict::Verdict;

use super::{Process, World};

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
                if let Some(Evidence::Answered { sent, verdict: Verdict::Unknown(_), .. }) = &case.evidence {
                    hold.unsettled.pause = hold.unsettled.pause.map(|it| it.min(sent.uptime));
                    hold.unsettled.resume = hold.unsettled.resume.map(|it| it.min(sent.uptime));
                }
            }
            (Plant::LookBeforeBoundary, Step::Rest { until }) if self.wall < self.windows[0].0 => {
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
            _ => {}
        }
    }
}
