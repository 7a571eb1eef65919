//! Executions, and what the daemon asks about them.

use intermission::domain::execution::{Frequency, RunStatus};
use intermission::domain::plan::{Errand, Learnt, Proof, Told};
use intermission::domain::sync::{SyncKind, SyncState};
use intermission::domain::verdict::{Failure, FailureKind};

use super::gate::Heard;
use super::promises::Met;
use super::requests::failure;
use super::{Inquiries, Inquiry, World, tick_of};

impl World {
    /// What the API tells of it at this moment.
    pub(super) fn told(&self, errand: Errand) -> Told {
        let status =
            RunStatus { is_running: self.is_executing, newest: None, last_completed: None, next: None };
        match errand {
            Errand::Status => Told::Status(status),
            Errand::Cancel => Told::Cancelled,
            Errand::Prove => {
                let state = if self.active { SyncState::Active } else { SyncState::Inactive };
                Told::Proof(Proof { state, frequency: Frequency::Unknown, status: Some(status) })
            }
            Errand::Start => Told::Started,
        }
    }

    /// The answer of an API that says at once whether it is on, and not what runs.
    pub(super) fn told_at_once(&self, errand: Errand) -> Result<Told, Failure> {
        match errand {
            Errand::Prove => Ok(self.told(errand)),
            Errand::Status | Errand::Cancel | Errand::Start => Err(failure(FailureKind::Forbidden)),
        }
    }

    pub(super) fn api_reads_inquiry(&mut self) {
        let Some(errand) = self.inquiry.as_ref().map(|it| it.errand) else { return };
        let told = self.told(errand);
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.told = Some(told);
        }
    }

    pub(super) fn answer_inquiry(&mut self, met: &mut Met) {
        let Some(Inquiry { sent, told: Some(told), counts, .. }) = self.inquiry.take() else { return };
        match &told {
            Told::Status(status) if counts => {
                let heard = if status.is_running { Heard::Running } else { Heard::Quiet };
                self.watch.heard = Some((heard, tick_of(sent.wall)));
            }
            Told::Proof(Proof { state: SyncState::Inactive, .. }) => self.sees_it_off(sent, met),
            Told::Status(_) | Told::Cancelled | Told::Proof(_) | Told::Started => {}
        }
        self.hear_inquiry(Learnt { sent, result: Ok(told) });
    }

    /// Nobody answers, or somebody who will not tell.
    pub(super) fn inquiry_fails(&mut self, kind: FailureKind, met: &mut Met) {
        if self.scene.inquiries != Inquiries::NeverAnswered {
            self.left.network -= 1;
        }
        let Some(Inquiry { errand, sent, counts, .. }) = self.inquiry.take() else { return };
        let is_final = kind == FailureKind::Forbidden;
        if errand == Errand::Status && counts && is_final {
            self.watch.heard = Some((Heard::Refused, tick_of(sent.wall)));
        }
        if errand == Errand::Prove {
            *met.entry("a proof that did not come").or_default() += 1;
        }
        self.hear_inquiry(Learnt { sent, result: Err(failure(kind)) });
    }

    fn hear_inquiry(&mut self, learnt: Learnt) {
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.case.errands.hear(learnt, now);
            process.due = true;
        }
    }

    /// Polytomic breaks off what a bulk sync executes when it is paused.
    pub(super) fn break_off(&mut self, met: &mut Met) {
        if self.scene.kind == SyncKind::Bulk && std::mem::take(&mut self.is_executing) {
            *met.entry("an execution was broken off").or_default() += 1;
        }
    }
}
