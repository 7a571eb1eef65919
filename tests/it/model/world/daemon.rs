//! The daemon: its start, and its pass about this one sync.

use std::time::Duration;

use intermission::domain::backoff::Backoff;
use intermission::domain::calendar::{Desired, Pause};
use intermission::domain::hold::{Hold, Unsettled};
use intermission::domain::moment::Moment;
use intermission::domain::plan::{
    Case, ErrandStep, Evidence, Learnt, Rules, Step, Turn, next_errand, next_step,
};

use super::plant::{Plant, plant_into_desired};
use super::promises::{Broken, Met};
use super::windows::File;
use super::{FRESH, Flight, Inquiries, Inquiry, Process, SETTLE, World, at, organization, tick_up, up};

impl World {
    pub(super) fn start(&mut self, met: &mut Met) {
        let in_force = (!self.is_broken).then_some(self.file);
        let case = match self.row.clone() {
            None => Case::new(self.sync()),
            Some(row) => {
                *met.entry("started with a row").or_default() += 1;
                // The ledger keeps the fact alone: what is unsettled is so from now on.
                let now = up(self.uptime);
                let unsettled = Unsettled {
                    pause: row.unsettled.pause.map(|_| now),
                    resume: row.unsettled.resume.map(|_| now),
                };
                Case::remembered(Hold { unsettled, ..row })
            }
        };
        if in_force.is_none() {
            *met.entry("started with a broken file").or_default() += 1;
        }
        self.process = Some(Process {
            case,
            in_force,
            due: false,
            outdated: true,
            timer: None,
            next_change: None,
            last_pass: None,
        });
    }

    pub(super) fn hear(&mut self, evidence: Evidence) {
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.case.hear(evidence, now);
            process.case.trouble = None;
            process.due = true;
        }
    }

    pub(super) fn passes(&self, process: &Process) -> bool {
        process.due
            || process.outdated
            || process.last_pass.is_some_and(|before| self.wall < before)
            || process.next_change.is_some_and(|it| it <= at(self.wall))
            || process.timer.is_some_and(|it| it <= self.uptime)
    }

    pub(super) fn pass(&mut self, plant: Plant, met: &mut Met) -> Result<(), Broken> {
        let now = self.now();
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let is_boundary = process.outdated
            || process.last_pass.is_some_and(|before| self.wall < before)
            || process.next_change.is_some_and(|it| it <= now.wall);
        if is_boundary {
            process.next_change = self.next_change(&process);
            process.outdated = false;
        }
        process.due = false;
        process.timer = process.timer.filter(|it| self.uptime < *it);
        process.last_pass = Some(self.wall);
        process.case.drop_stale_evidence(now.uptime, FRESH);
        let mut desired = self.desired(&process);
        let organization = organization();
        let rules = Rules {
            settle: if plant == Plant::NoSettle { Duration::ZERO } else { up(SETTLE) },
            drift_check: up(1),
            overdue_after: up(5),
            backoff: Backoff::default(),
        };
        if plant == Plant::NoResumeBy && process.in_force.is_none() && self.row.is_some() {
            let holders = self.occurrences(File::Both);
            desired = Desired::Paused(Pause { holders: holders.into(), until: at(1000) });
        }
        let mut planted = desired.clone();
        plant_into_desired(&mut planted, &process, plant);
        let turn = Turn {
            now,
            desired: &planted,
            organization: process.in_force.map(|_| &organization),
            may_pause: process.in_force.is_some(),
            key_proven: false,
            all_resumed: true,
            statuses_hang: false,
            is_exempt: false,
            jitter: 0.0,
            rules: &rules,
        };
        let mut step = next_step(&process.case, &turn);
        self.plant_into(&mut step, &process, &desired, plant);
        let result = self
            .judge(&step, &process, &desired, met)
            .and_then(|()| self.judge_gate(&step, &process, &desired, met));
        self.remember(&step);
        process.case.take(&step);
        let rests = matches!(step, Step::Rest { .. });
        self.carry(step, &mut process, now, plant);
        if rests {
            self.run_errand(&mut process, &turn, plant, met);
        }
        if let Some(hold) = &mut process.case.hold {
            // For people alone; the model would only grow.
            hold.attempts = 0;
            hold.last_error = None;
        }
        self.process = Some(process);
        result
    }

    /// As `Reconciler::carry` and the executor: what a step comes to.
    pub(super) fn carry(&mut self, step: Step, process: &mut Process, now: Moment, plant: Plant) {
        match step {
            Step::Rest { until: Some(until) } => process.timer = Some(tick_up(until)),
            Step::Rest { until: None } => {
                let is_covered = process.in_force.is_some() && self.desired(process) != Desired::Running;
                let errands = &process.case.errands;
                let is_asked = errands.call.is_some() || errands.waited();
                if process.case.hold.is_none() && !is_covered && !is_asked {
                    process.case = Case::new(self.sync());
                }
            }
            Step::Look => self.flight = Some(Flight::Look { sent: now, read: None }),
            Step::Pause { hold, until } => {
                if plant != Plant::NoWriteAhead {
                    self.queue.push(Some(*hold));
                }
                self.flight = Some(Flight::Unwritten { until });
            }
            Step::Resume { hold } => {
                self.queue.push(Some(*hold));
                self.watch.has_looked = false;
                self.flight = Some(Flight::Switch { active: true, sent: now, is_applied: false });
            }
            Step::Keep { hold, .. } => {
                self.queue.push(Some(*hold));
                process.due = true;
            }
            Step::Forget { .. } => {
                self.queue.push(None);
                process.due = true;
            }
            Step::Defer { .. } => process.due = true,
        }
    }

    /// As `Reconciler::decide_errand`.
    pub(super) fn run_errand(&mut self, process: &mut Process, turn: &Turn, plant: Plant, met: &mut Met) {
        let now = turn.now;
        let mut step = next_errand(&process.case, turn);
        self.plant_into_errand(&mut step, &process.case, plant);
        self.note_errand(&step, process.case.hold.as_ref(), met);
        let has_row = process.case.hold.is_some();
        process.case.take_errand(&step);
        match step {
            ErrandStep::Rest { until: None } => {}
            ErrandStep::Rest { until: Some(until) } => {
                let until = tick_up(until);
                process.timer = Some(process.timer.map_or(until, |it| it.min(until)));
            }
            ErrandStep::Ask { errand, .. } if self.scene.inquiries == Inquiries::AtOnce => {
                let learnt = Learnt { sent: now, result: self.told_at_once(errand) };
                process.case.errands.hear(learnt, now);
                self.run_errand(process, turn, plant, met);
            }
            ErrandStep::Ask { errand, .. } => {
                self.inquiry = Some(Inquiry { errand, sent: now, told: None, counts: true });
            }
            ErrandStep::Start { .. } => unreachable!("no window of the model asks to catch up"),
            ErrandStep::Keep { hold, .. } => {
                self.queue.push(Some(*hold));
                process.due = true;
            }
            ErrandStep::Forget { .. } => {
                if has_row {
                    self.queue.push(None);
                }
                process.due = true;
            }
        }
    }
}
