//! The API, and what lies between it and the daemon.

use std::time::Duration;

use intermission::domain::hold::HoldState;
use intermission::domain::moment::Moment;
use intermission::domain::plan::Evidence;
use intermission::domain::sync::SyncState;
use intermission::domain::verdict::{Failure, FailureKind, Verdict};

use super::plant::Plant;
use super::promises::{Broken, Met, broken};
use super::{FalseConfirmation, Flight, SETTLE, World};

pub(super) fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, String::new())
}

pub(super) fn lost() -> Verdict {
    Verdict::of(failure(FailureKind::Lost))
}

/// As in the plan: so soon, what is off was never on.
const SOON: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn pause_leaves(&mut self, plant: Plant) -> Result<(), Broken> {
        let Some(Flight::Unwritten { until }) = self.flight.take() else { return Ok(()) };
        let is_written = self.row.as_ref().is_some_and(|row| row.state == HoldState::Pausing);
        if plant != Plant::NoWriteAhead && !is_written {
            return broken("P5", "a pause left before its row was on disk");
        }
        let sent = self.now();
        if sent.wall < until {
            self.watch.has_looked = false;
            self.flight = Some(Flight::Switch { active: false, sent, is_applied: false });
        } else {
            let verdict = Verdict::of(failure(FailureKind::NotSent));
            self.hear(Evidence::Answered { active: false, sent, verdict });
        }
        Ok(())
    }

    pub(super) fn answer_look(&mut self, plant: Plant, met: &mut Met) {
        let now = self.now();
        let Some(Flight::Look { mut sent, read: Some(state) }) = self.flight.take() else { return };
        match plant {
            Plant::LookBeforeBoundary => sent = now,
            Plant::SettleFromReading => sent.uptime = now.uptime,
            _ => {}
        }
        if state == SyncState::Inactive {
            self.sees_it_off(sent, met);
        }
        self.hear(Evidence::Saw { state, sent, by: None });
    }

    pub(super) fn answer_switch(&mut self, verdict: Verdict, plant: Plant) {
        let Some(Flight::Switch { active, sent, .. }) = self.flight.take() else { return };
        if plant == Plant::NoWriteAhead
            && !active
            && let Some(process) = &self.process
        {
            self.queue.push(process.case.hold.clone());
        }
        self.hear(Evidence::Answered { active, sent, verdict });
    }

    pub(super) fn switch(&mut self, active: bool, met: &mut Met) {
        if self.active != active {
            self.active = active;
            self.watch.by_us = true;
        }
        if !active {
            self.break_off(met);
        }
        self.watch.false_confirmation = None;
    }

    /// The request under way may be applied later, unless it was already.
    pub(super) fn abandon(&mut self) {
        if let Some(Flight::Switch { active, is_applied: false, .. }) = &self.flight {
            self.abandoned.push((*active, self.uptime + SETTLE));
            self.abandoned.sort_unstable();
        }
    }

    /// The API says that it is on, and leaves it off.
    pub(super) fn confirm_falsely(&mut self, plant: Plant, met: &mut Met) {
        self.left.network -= 1;
        if !self.active {
            *met.entry("a resume that was confirmed and not done").or_default() += 1;
            self.watch.false_confirmation =
                Some(FalseConfirmation { heard: self.now().uptime, left: self.left.sum() });
        }
        self.answer_switch(Verdict::Applied, plant);
    }

    /// N8: a first look that comes late, because something else went wrong too, cannot
    /// tell a confirmation that was none from a person.
    pub(super) fn sees_it_off(&mut self, sent: Moment, met: &mut Met) {
        let Some(confirmed) = self.watch.false_confirmation else { return };
        if confirmed.heard + SOON < sent.uptime && self.left.sum() < confirmed.left {
            *met.entry("a confirmation that was none, seen too late").or_default() += 1;
            self.watch.by_us = false;
            self.watch.was_touched = true;
        }
    }
}
