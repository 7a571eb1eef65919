//! The promise about bulk syncs: what runs is waited for, and for nothing longer.

use intermission::domain::calendar::Desired;
use intermission::domain::event::EventKind;
use intermission::domain::execution::OnRunning;
use intermission::domain::hold::{Hold, HoldState};
use intermission::domain::plan::{ErrandStep, Step};
use intermission::domain::sync::SyncKind;
use intermission::domain::window::Occurrence;

use super::promises::{Broken, Met, broken};
use super::{Process, World, at, tick_of};

/// What the API last told of its executions, as far as a pause relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Quiet,
    Running,
    /// It will not tell.
    Refused,
}

impl World {
    /// Whether what runs is to be waited for, by what the file says.
    fn asks_to_wait(&self) -> bool {
        self.scene.kind == SyncKind::Bulk && self.scene.on_running != Some(OnRunning::Cancel)
    }

    /// Whether a pause for these has to wait now; and what was heard since they began.
    fn waits(&self, holders: &[Occurrence]) -> (bool, Option<Heard>) {
        let begins = holders.iter().map(|it| tick_of(it.pauses)).min().unwrap_or_default();
        let heard = self.watch.heard.filter(|(_, sent)| begins <= *sent).map(|(heard, _)| heard);
        let is_within_limit = self.wall < begins + self.scene.limit;
        let may_run = match heard {
            None | Some(Heard::Running) => true,
            Some(Heard::Quiet | Heard::Refused) => false,
        };
        (self.asks_to_wait() && is_within_limit && may_run, heard)
    }

    pub(super) fn judge_gate(
        &self,
        step: &Step,
        process: &Process,
        desired: &Desired,
        met: &mut Met,
    ) -> Result<(), Broken> {
        let mut note = |what| *met.entry(what).or_default() += 1;
        let case = &process.case;
        match (step, desired) {
            (Step::Pause { hold, .. }, Desired::Paused(_)) if is_new(case.hold.as_ref()) => {
                let (waits, heard) = self.waits(&hold.holders);
                if waits {
                    return broken("N4", "a bulk sync is paused although an execution may run");
                }
                match heard.filter(|_| self.asks_to_wait()) {
                    Some(Heard::Quiet) if self.watch.has_waited => note("paused once an execution was over"),
                    Some(Heard::Quiet) => note("paused as none ran"),
                    Some(Heard::Running) => note("paused at the limit, although one ran"),
                    Some(Heard::Refused) => note("paused although nobody tells what runs"),
                    None if self.asks_to_wait() => note("paused at the limit, and nobody had told"),
                    None => {}
                }
            }
            (Step::Rest { .. }, Desired::Paused(pause)) if process.in_force.is_some() => {
                let (waits, heard) = self.waits(&pause.holders);
                if case.hold.is_none() && case.retry.is_none() && !waits {
                    return broken("P18", "nothing is in the way of its pause, and it is not paused");
                }
                if case.hold.is_none() && heard == Some(Heard::Running) {
                    note("waited for an execution");
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn note_errand(&self, step: &ErrandStep, was: Option<&Hold>, met: &mut Met) {
        let mut note = |what| *met.entry(what).or_default() += 1;
        match step {
            ErrandStep::Keep { hold, events, .. } => {
                if hold.state == HoldState::Resuming {
                    note("resumed again after a confirmation that was none");
                }
                if events.iter().any(|it| it.kind == EventKind::Quiet) {
                    note("told to be quiet");
                }
            }
            ErrandStep::Forget { .. } if was.is_none() => note("not paused, as the window was over first"),
            ErrandStep::Forget { .. } => {
                note("settled");
                let resumed = was.and_then(|it| it.runs.resumed);
                if resumed.is_some_and(|it| at(self.wall) - it >= chrono::TimeDelta::minutes(10)) {
                    note("a proof that never came was given up");
                }
            }
            ErrandStep::Rest { .. } | ErrandStep::Ask { .. } | ErrandStep::Start { .. } => {}
        }
    }
}

/// Whether a pause now would begin another one, and not repeat one that may be under way.
fn is_new(hold: Option<&Hold>) -> bool {
    hold.is_none_or(|it| !it.state.owes_resume())
}
