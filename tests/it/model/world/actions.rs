//! What can happen: the order of things when nothing goes wrong, and all that an
//! adversary with a budget may do instead.

use super::plant::Plant;
use super::windows::File;
use super::{Flight, Inquiries, Inquiry, LAST, Process, World, up};

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) enum Action {
    Begin { start: usize },
    // The daemon, the disk and the API at work.
    Start,
    Pass,
    WriteReachesDisk,
    RequestLeaves,
    ApiReads,
    AnswerToLook,
    ApiApplies,
    Confirmation,
    ApiReadsInquiry,
    AnswerToInquiry,
    RunBegins,
    RunEnds,
    Tick,
    // What goes wrong.
    LookFails,
    LookNotFound,
    RequestLost,
    RequestAbandoned,
    ReplyLost,
    Refused,
    WrongState,
    FalseConfirmation,
    InquiryFails,
    InquiryRefused,
    DiskFull,
    AbandonedArrives(usize),
    Crash,
    Stall,
    ClockBack,
    ClockForward,
    Edit(File),
    FileBreaks,
    // People.
    PersonOn,
    PersonOff,
    OperatorResume,
}

/// How much may go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::model) struct Budget {
    pub(in crate::model) network: u8,
    pub(in crate::model) crashes: u8,
    pub(in crate::model) clock: u8,
    pub(in crate::model) people: u8,
    pub(in crate::model) operator: u8,
    pub(in crate::model) edits: u8,
    pub(in crate::model) breaks: u8,
    pub(in crate::model) disk: u8,
    pub(in crate::model) stalls: u8,
    /// Executions that begin.
    pub(in crate::model) runs: u8,
}

impl Budget {
    /// How much may still go wrong. Executions are nothing that goes wrong.
    pub(super) fn sum(&self) -> u8 {
        let Self { network, crashes, clock, people, operator, edits, breaks, disk, stalls, runs: _ } = self;
        network + crashes + clock + people + operator + edits + breaks + disk + stalls
    }
}

impl World {
    /// What comes next when nothing goes wrong; `None` at rest, after it all.
    pub(in crate::model) fn calm(&self, plant: Plant) -> Option<Action> {
        let Some(process) = &self.process else { return Some(Action::Start) };
        if !self.queue.is_empty() {
            return Some(Action::WriteReachesDisk);
        }
        match &self.flight {
            Some(Flight::Look { read: None, .. }) => return Some(Action::ApiReads),
            Some(Flight::Look { .. }) if self.keeps_early_look(process, plant) => return Some(Action::Tick),
            Some(Flight::Look { .. }) => return Some(Action::AnswerToLook),
            Some(Flight::Unwritten { .. }) => return Some(Action::RequestLeaves),
            Some(Flight::Switch { is_applied: false, .. }) => return Some(Action::ApiApplies),
            Some(Flight::Switch { .. }) => return Some(Action::Confirmation),
            None => {}
        }
        if self.passes(process) {
            return Some(Action::Pass);
        }
        match &self.inquiry {
            Some(_) if self.scene.inquiries == Inquiries::NeverAnswered => return Some(Action::InquiryFails),
            Some(Inquiry { told: None, .. }) => return Some(Action::ApiReadsInquiry),
            Some(Inquiry { told: Some(_), .. }) => return Some(Action::AnswerToInquiry),
            None => {}
        }
        let is_over = self.wall >= LAST && process.case.hold.is_none() && self.abandoned.is_empty();
        (!is_over).then_some(Action::Tick)
    }

    /// The planted look from before the window waits for it.
    pub(super) fn keeps_early_look(&self, process: &Process, plant: Plant) -> bool {
        plant == Plant::LookBeforeBoundary
            && process.case.hold.is_none()
            && self.wall < self.scene.windows[0].0
    }

    pub(in crate::model) fn possible(&self, plant: Plant) -> Vec<Action> {
        let mut all: Vec<Action> = self.calm(plant).into_iter().collect();
        let Budget { network, crashes, clock, people, operator, edits, breaks, disk, stalls, runs } =
            self.left;
        let waits = all.first().is_none_or(|it| *it == Action::Tick);
        if let Some(flight) = &self.flight {
            match flight {
                Flight::Look { read, sent } => {
                    if read.is_none() && network > 0 {
                        all.extend([Action::LookFails, Action::LookNotFound]);
                    }
                    if up(self.uptime) < sent.uptime + up(1) && !all.contains(&Action::Tick) {
                        all.push(Action::Tick);
                    }
                }
                Flight::Unwritten { .. } => {
                    if disk > 0 && !self.queue.is_empty() {
                        all.push(Action::DiskFull);
                    }
                }
                Flight::Switch { sent, is_applied, .. } => {
                    if !*is_applied && network > 0 {
                        all.extend([
                            Action::RequestLost,
                            Action::RequestAbandoned,
                            Action::Refused,
                            Action::WrongState,
                        ]);
                    }
                    if !*is_applied && network > 0 && self.may_be_confirmed_falsely() {
                        all.push(Action::FalseConfirmation);
                    }
                    if *is_applied && network > 0 {
                        all.push(Action::ReplyLost);
                    }
                    if up(self.uptime) < sent.uptime + up(1) {
                        all.push(Action::Tick);
                    }
                    // A queue behind the API need not be emptied by the calm order alone.
                    if !*is_applied && !self.queue.is_empty() {
                        all.push(Action::ApiApplies);
                    }
                }
            }
        } else if stalls > 0 && !waits && self.process.is_some() {
            all.push(Action::Stall);
        }
        if let Some(inquiry) = &self.inquiry {
            self.inquire(inquiry, &mut all);
        }
        if runs > 0 && self.active && !self.is_executing {
            all.push(Action::RunBegins);
        }
        if self.is_executing {
            all.push(Action::RunEnds);
        }
        if self.process.is_none() {
            all.push(Action::Tick);
        } else if crashes > 0 {
            all.push(Action::Crash);
        }
        all.extend((0..self.abandoned.len()).map(Action::AbandonedArrives));
        if clock > 0 {
            all.extend([Action::ClockBack, Action::ClockForward]);
        }
        if people > 0 {
            all.push(if self.active { Action::PersonOff } else { Action::PersonOn });
        }
        if operator > 0 && self.process.is_some() {
            all.push(Action::OperatorResume);
        }
        if edits > 0 && self.file == File::Both && !self.is_broken {
            let edits = [File::FirstRemoved, File::BothRemoved, File::FirstShortened, File::FirstExtended];
            all.extend(edits.map(Action::Edit));
        }
        if breaks > 0 && !self.is_broken {
            all.push(Action::FileBreaks);
        }
        if self.wall >= LAST && self.process.is_none() {
            all.retain(|it| *it != Action::Tick || !self.abandoned.is_empty());
        }
        all
    }

    /// A question goes its way beside all else.
    fn inquire(&self, inquiry: &Inquiry, all: &mut Vec<Action>) {
        let mut may = vec![];
        if self.scene.inquiries == Inquiries::Asked {
            may.push(if inquiry.told.is_none() { Action::ApiReadsInquiry } else { Action::AnswerToInquiry });
            if self.left.network > 0 {
                may.extend([Action::InquiryFails, Action::InquiryRefused]);
            }
        }
        let is_busy = self.flight.is_some() || !self.queue.is_empty();
        if !is_busy && up(self.uptime) < inquiry.sent.uptime + up(1) {
            may.push(Action::Tick);
        }
        may.retain(|it| !all.contains(it));
        all.extend(may);
    }

    fn may_be_confirmed_falsely(&self) -> bool {
        let is_resume = matches!(self.flight, Some(Flight::Switch { active: true, .. }));
        is_resume && self.scene.inquiries == Inquiries::Asked
    }
}
