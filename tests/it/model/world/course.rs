//! What becomes of the world by each thing that happens.

use intermission::domain::hold::{Hold, HoldState};
use intermission::domain::plan::Evidence;
use intermission::domain::sync::SyncState;
use intermission::domain::verdict::{FailureKind, Verdict};

use super::actions::Action;
use super::plant::Plant;
use super::promises::{Broken, Met};
use super::requests::{failure, lost};
use super::windows::mask;
use super::{CLOCK_STEP, Flight, Inquiries, LAST, LONG_AFTER, World};

impl World {
    #[expect(clippy::too_many_lines, reason = "a row for each thing that can happen")]
    pub(in crate::model) fn apply(
        &mut self,
        action: &Action,
        plant: Plant,
        met: &mut Met,
    ) -> Result<(), Broken> {
        match action {
            Action::Begin { .. } => {}
            Action::Start => self.start(met),
            Action::Pass => return self.pass(plant, met),
            Action::WriteReachesDisk => {
                self.row = self.queue.remove(0);
            }
            Action::RequestLeaves => return self.pause_leaves(plant),
            Action::ApiReads => {
                let state = if self.active { SyncState::Active } else { SyncState::Inactive };
                if let Some(Flight::Look { read, .. }) = &mut self.flight {
                    *read = Some(state);
                }
                self.watch.has_looked = true;
            }
            Action::AnswerToLook => self.answer_look(plant, met),
            Action::ApiApplies => {
                if let Some(Flight::Switch { active, is_applied, .. }) = &mut self.flight {
                    *is_applied = true;
                    let active = *active;
                    self.switch(active, met);
                }
            }
            Action::Confirmation => self.answer_switch(Verdict::Applied, plant),
            Action::ApiReadsInquiry => self.api_reads_inquiry(),
            Action::AnswerToInquiry => self.answer_inquiry(met),
            Action::RunBegins => {
                self.left.runs -= 1;
                self.is_executing = true;
            }
            Action::RunEnds => self.is_executing = false,
            Action::Tick => self.tick(),
            Action::Stall => {
                self.left.stalls -= 1;
                self.tick();
            }
            Action::LookFails => {
                self.left.network -= 1;
                self.flight = None;
                self.hear(Evidence::LookFailed { failure: failure(FailureKind::Server) });
            }
            Action::LookNotFound => {
                self.left.network -= 1;
                if let Some(Flight::Look { sent, .. }) = self.flight.take() {
                    self.hear(Evidence::Saw { state: SyncState::Gone, sent, by: None });
                }
            }
            Action::RequestLost | Action::ReplyLost => {
                self.left.network -= 1;
                self.answer_switch(lost(), plant);
            }
            Action::RequestAbandoned => {
                self.left.network -= 1;
                self.abandon();
                self.answer_switch(lost(), plant);
            }
            Action::Refused => {
                self.left.network -= 1;
                self.answer_switch(Verdict::of(failure(FailureKind::Forbidden)), plant);
            }
            Action::WrongState => {
                self.left.network -= 1;
                let verdict = match plant {
                    Plant::WrongStateConfirms => Verdict::Applied,
                    _ => Verdict::of(failure(FailureKind::Malformed)),
                };
                self.answer_switch(verdict, plant);
            }
            Action::FalseConfirmation => self.confirm_falsely(plant, met),
            Action::InquiryFails => self.inquiry_fails(FailureKind::Server, met),
            Action::InquiryRefused => self.inquiry_fails(FailureKind::Forbidden, met),
            Action::DiskFull => {
                self.left.disk -= 1;
                self.queue.pop();
                self.flight = None;
                self.hear(Evidence::NotWritten { failure: failure(FailureKind::Ledger) });
                *met.entry("not paused without a durable row").or_default() += 1;
            }
            Action::AbandonedArrives(index) => {
                let (active, _) = self.abandoned.remove(*index);
                if self.active != active {
                    *met.entry(if active { "late resume applied" } else { "late pause applied" })
                        .or_default() += 1;
                }
                self.switch(active, met);
            }
            Action::Crash => self.crash(met),
            Action::ClockBack => {
                self.left.clock -= 1;
                self.set_clock((self.wall - CLOCK_STEP).max(0));
            }
            Action::ClockForward => {
                self.left.clock -= 1;
                self.set_clock((self.wall + CLOCK_STEP).min(LAST));
            }
            Action::Edit(file) => {
                self.left.edits -= 1;
                self.file = *file;
                if let Some(process) = &mut self.process {
                    process.in_force = Some(*file);
                    process.case.retry = None;
                    process.outdated = true;
                }
            }
            Action::FileBreaks => {
                self.left.breaks -= 1;
                self.is_broken = true;
            }
            Action::PersonOn | Action::PersonOff => {
                self.left.people -= 1;
                self.active = *action == Action::PersonOn;
                self.watch.by_us = false;
                self.watch.was_touched = true;
                self.watch.is_foreign &= !self.active;
                self.watch.false_confirmation = None;
                if !self.active {
                    self.break_off(met);
                }
            }
            Action::OperatorResume => self.operator_resumes(met),
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, met: &mut Met) {
        self.left.crashes -= 1;
        let resumes = |hold: &Option<Hold>| hold.as_ref().is_some_and(|it| it.unsettled.resume.is_some());
        let known = self.process.as_ref().is_some_and(|it| resumes(&it.case.hold));
        self.watch.has_forgotten_resume |= known && !resumes(&self.row);
        // N2: what was seen and not yet written dies with the process that saw it.
        let is_written = |it: &&Hold| it.state == HoldState::Released;
        let kept = self.row.as_ref().filter(is_written).map_or(0, |it| mask(&it.left_alone));
        if self.watch.respected & !kept & self.open_now() != 0 {
            *met.entry("a decision died with the process").or_default() += 1;
        }
        self.watch.respected &= kept;
        self.process = None;
        if !self.queue.is_empty() {
            *met.entry("crashed with a write not on disk").or_default() += 1;
        }
        self.queue.clear();
        if matches!(self.flight, Some(Flight::Switch { .. })) {
            *met.entry("crashed with a switch under way").or_default() += 1;
        }
        self.abandon();
        self.flight = None;
        self.inquiry = None;
        (self.watch.heard, self.watch.has_waited) = (None, false);
    }

    pub(super) fn tick(&mut self) {
        let covered = self.is_covered();
        let before = self.uptime;
        let timer = self.process.as_ref().and_then(|it| it.timer);
        self.uptime = match timer {
            // Nothing is left but to wait.
            Some(timer) if self.wall >= LAST && self.flight.is_none() && self.inquiry.is_none() => {
                timer.max(self.uptime + 1)
            }
            _ => self.uptime + 1,
        };
        let passed = i64::try_from(self.uptime - before).unwrap();
        self.wall = match self.scene.inquiries {
            Inquiries::AtOnce => (self.wall + 1).min(LAST),
            Inquiries::Asked | Inquiries::NeverAnswered => (self.wall + passed).min(LONG_AFTER),
        };
        let now = self.uptime;
        self.abandoned.retain(|(_, dies)| now < *dies);
        if !covered && self.is_covered() {
            self.block_begins();
        }
    }

    pub(super) fn set_clock(&mut self, wall: i64) {
        // F3: a window that begins anew by the clock asks anew, and so does one that was over.
        let open = self.open_now();
        self.wall = wall;
        self.watch.respected &= open & self.open_now();
        if !self.is_covered() {
            self.watch.is_foreign = false;
        }
    }

    pub(super) fn block_begins(&mut self) {
        let is_unheld = self.row.is_none()
            && self.queue.is_empty()
            && match &self.flight {
                None | Some(Flight::Look { .. }) => true,
                Some(Flight::Unwritten { .. } | Flight::Switch { .. }) => false,
            }
            && self.abandoned.is_empty()
            && self.process.as_ref().is_none_or(|it| it.case.hold.is_none());
        self.watch.is_foreign = !self.active && is_unheld;
    }
}
