//! The API, and what lies between it and the daemon.

use intermission::domain::hold::HoldState;
use intermission::domain::plan::Evidence;
use intermission::domain::verdict::{Failure, FailureKind, Verdict};

use super::plant::Plant;
use super::promises::{Broken, broken};
use super::{Flight, SETTLE, World};

pub(super) fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, String::new())
}

pub(super) fn lost() -> Verdict {
    Verdict::of(failure(FailureKind::Lost))
}

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

    pub(super) fn answer_look(&mut self, plant: Plant) {
        let now = self.now();
        let Some(Flight::Look { mut sent, read: Some(state) }) = self.flight.take() else { return };
        match plant {
            Plant::LookBeforeBoundary => sent.wall = now.wall,
            Plant::SettleFromReading => sent.uptime = now.uptime,
            _ => {}
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

    pub(super) fn switch(&mut self, active: bool) {
        if self.active != active {
            self.active = active;
            self.watch.by_us = true;
        }
    }

    /// The request under way may be applied later, unless it was already.
    pub(super) fn abandon(&mut self) {
        if let Some(Flight::Switch { active, is_applied: false, .. }) = &self.flight {
            self.abandoned.push((*active, self.uptime + SETTLE));
            self.abandoned.sort_unstable();
        }
    }
}
