//! The promises, judged at each step and at rest.

use std::collections::BTreeMap;

use intermission::domain::calendar::Desired;
use intermission::domain::event::EventKind;
use intermission::domain::hold::HoldState;
use intermission::domain::plan::Step;

use super::gate::Heard;
use super::windows::mask;
use super::{Process, World};

/// How often each thing that should happen sometimes did.
pub(in crate::model) type Met = BTreeMap<&'static str, u64>;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) struct Broken {
    pub(in crate::model) promise: &'static str,
    pub(in crate::model) how: String,
}

impl World {
    pub(super) fn judge(
        &self,
        step: &Step,
        process: &Process,
        desired: &Desired,
        met: &mut Met,
    ) -> Result<(), Broken> {
        let was = process.case.hold.as_ref().map(|it| it.state);
        let mut note = |what| *met.entry(what).or_default() += 1;
        match step {
            Step::Pause { hold, .. } => {
                let is_in_window = process.in_force.is_some() && *desired != Desired::Running;
                if !is_in_window {
                    return broken("P8", "it is paused although no window in force asks for it");
                }
                if self.watch.is_foreign {
                    return broken("P1", "it was off before its block began, and is paused");
                }
                if !self.watch.has_looked {
                    return broken("N1", "it is paused without a look since the last request");
                }
                let mask = mask(&hold.holders);
                if mask & !self.watch.respected == 0 {
                    return broken(
                        "P9",
                        "a person switched it on inside this window, and it is paused again",
                    );
                }
                if was == Some(HoldState::Settling) {
                    note("paused again by a window that came before it was settled");
                }
            }
            Step::Resume { .. } => {
                if self.watch.is_foreign {
                    return broken("P1", "it was off before its block began, and is resumed");
                }
                match was {
                    Some(HoldState::Settling) => note("late pause undone by the settling look"),
                    Some(HoldState::Released) => note("late pause undone for a person's sake"),
                    _ => {}
                }
                if process.in_force.is_none() {
                    note("resumed without a configuration");
                }
            }
            Step::Keep { hold, events, .. } => {
                for event in events {
                    match event.kind {
                        EventKind::Paused => note("paused"),
                        EventKind::Resumed => note("resumed"),
                        EventKind::Skipped => note("skipped"),
                        EventKind::Gone => note("not found for a while"),
                        EventKind::Overdue => note("overdue"),
                        EventKind::Released if hold.state == HoldState::Released => {
                            let is_known = !self.watch.was_touched && !self.watch.has_forgotten_resume;
                            if is_known && self.is_covered() {
                                let how = "nobody switched it on inside its window, and it is left on";
                                return broken("P18", how);
                            }
                            note(if self.watch.was_touched {
                                "released by a person"
                            } else {
                                "released by a resume that nobody remembers"
                            });
                        }
                        _ => {}
                    }
                }
            }
            Step::Forget { events } => {
                if events.iter().any(|it| it.kind == EventKind::Resumed) {
                    note("resumed");
                }
                if was == Some(HoldState::Settling) {
                    note("settled");
                }
            }
            Step::Rest { .. } | Step::Look | Step::Defer { .. } => {}
        }
        Ok(())
    }

    /// What the next steps are judged by, after this one.
    pub(super) fn remember(&mut self, step: &Step) {
        match step {
            // What was told before a pause says nothing about the next one.
            Step::Pause { .. } => {
                (self.watch.heard, self.watch.has_waited) = (None, false);
                self.inquiry.iter_mut().for_each(|it| it.counts = false);
            }
            Step::Rest { .. } => {
                self.watch.has_waited |= matches!(self.watch.heard, Some((Heard::Running, _)));
            }
            // Seen, and from here on known.
            Step::Keep { hold, .. } if hold.state == HoldState::Released => {
                self.watch.respected |= mask(&hold.left_alone) & self.open_now();
            }
            Step::Keep { .. }
            | Step::Look
            | Step::Resume { .. }
            | Step::Forget { .. }
            | Step::Defer { .. } => {}
        }
    }

    /// After everything, with nothing left to do.
    pub(in crate::model) fn at_rest(&self) -> Result<(), Broken> {
        if self.row.is_some() {
            return broken("P4", "at rest, and the ledger still has a row");
        }
        if !self.active && self.watch.by_us {
            return broken("P2", "it was left paused");
        }
        if !self.watch.was_touched && self.active != self.watch.was_active {
            return broken("P3", "nobody touched it, and it does not end as it began");
        }
        Ok(())
    }
}

pub(super) fn broken(promise: &'static str, how: &str) -> Result<(), Broken> {
    Err(Broken { promise, how: how.to_owned() })
}
