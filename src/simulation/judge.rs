//! Watches every request as it leaves, and the end, by the promises.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::calendar::{Calendar, Desired};
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::Moment;
use crate::domain::sync::{Name, SyncRef, SyncState};
use crate::domain::window::Occurrence;
use crate::reconcile::RELEASED;

use super::api::{Api, Who};
use super::world::Heard;

/// A missed run is made up for by so many attempts.
const MOST_STARTS: u32 = 3;

/// What is known of the promises so far.
#[derive(Debug, Default)]
pub(super) struct Judge {
    broken: Option<String>,
    checked: BTreeMap<&'static str, u64>,
    // Syncs to which a pause may have been sent since their last row began.
    owed: BTreeSet<SyncRef>,
    // P1: off when their block began, without a row, and no person has touched
    // them since.
    foreign: BTreeSet<SyncRef>,
    // P9: the occurrences inside which somebody was seen to switch them on.
    respected: BTreeMap<SyncRef, Vec<Occurrence>>,
    // Asked to start since their last resume, so often.
    starts: BTreeMap<SyncRef, u32>,
    // Since then the daemon has seen an execution.
    seen_to_run: BTreeSet<SyncRef>,
    // An operator took over what was owed to them.
    forgotten: BTreeSet<SyncRef>,
}

impl Judge {
    pub(super) fn checked(&self) -> &BTreeMap<&'static str, u64> {
        &self.checked
    }

    fn hold(&mut self, promise: &'static str, holds: bool, otherwise: impl FnOnce() -> String) {
        *self.checked.entry(promise).or_default() += 1;
        if !holds && self.broken.is_none() {
            self.broken = Some(format!("{promise}: {}", otherwise()));
        }
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    // ---- what the world tells ----

    /// A block begins for a sync of which the ledger has no row.
    pub(super) fn block_begins(&mut self, sync: &SyncRef, api: &Api) {
        if api.state(sync) == SyncState::Inactive && api.last_mover(sync).is_none_or(|it| it == Who::Person) {
            self.foreign.insert(sync.clone());
        }
    }

    /// A block ends.
    pub(super) fn block_ends(&mut self, sync: &SyncRef) {
        if self.foreign.remove(sync) {
            *self.checked.entry("P1").or_default() += 1;
        }
    }

    pub(super) fn person_acts(&mut self, sync: &SyncRef) {
        self.foreign.remove(sync);
    }

    /// An operator has the row of a gone sync dropped.
    pub(super) fn forgotten(&mut self, sync: &SyncRef) {
        self.forgotten.insert(sync.clone());
    }

    /// Blocks are not what they were: the clock was set, or the file edited.
    pub(super) fn blocks_moved(&mut self) {
        self.foreign.clear();
        self.respected.clear();
    }

    /// There is no daemon: blocks may begin and end unseen.
    pub(super) fn nobody_watches(&mut self) {
        self.foreign.clear();
    }

    /// The process dies, and with it every decision for a person that the
    /// ledger does not have.
    pub(super) fn dies(&mut self, rows: &BTreeMap<SyncRef, Hold>) {
        self.respected.retain(|sync, occurrences| {
            rows.get(sync).is_some_and(|row| {
                row.state == HoldState::Released && occurrences.iter().all(|it| row.leaves_alone(it))
            })
        });
    }

    /// The daemon saw that somebody had switched the sync on.
    pub(super) fn respects(&mut self, sync: &SyncRef, desired: &Desired) {
        if let Desired::Paused(pause) = desired {
            self.respected.insert(sync.clone(), pause.holders.to_vec());
        }
    }

    pub(super) fn row_dropped(&mut self, sync: &SyncRef) {
        self.owed.remove(sync);
        self.respected.remove(sync);
    }

    /// From here on a crash leaves nobody who knows whether the pause left.
    pub(super) fn intent_is_durable(&mut self, sync: &SyncRef) {
        self.owed.insert(sync.clone());
    }

    /// `active: false` leaves the machine. Whether it is asked for is what people know,
    /// whatever the daemon believes.
    pub(super) fn pause_leaves(
        &mut self,
        sync: &SyncRef,
        calendar: Option<&Calendar>,
        is_asked_for: bool,
        row: bool,
        now: Moment,
    ) {
        self.hold("P5", row, || format!("a pause of {sync} left without a durable row"));
        // What was started or seen to run before is about an earlier pause.
        self.starts.remove(sync);
        self.seen_to_run.remove(sync);
        let desired = calendar.map(|it| it.desired(sync, now.wall));
        self.hold("P8", is_asked_for, || {
            format!("a pause of {sync} left at {}, outside of any window", now.wall)
        });
        self.hold("P8", RELEASED <= now.wall, || format!("a pause of {sync} left by a clock that is wrong"));
        let foreign = self.foreign.contains(sync);
        self.hold("P1", !foreign, || {
            format!("{sync} was off when its block began, and was paused at {}", now.wall)
        });
        if let (Some(before), Some(Desired::Paused(pause))) = (self.respected.get(sync), &desired) {
            let begun_since = pause.holders.iter().any(|it| !before.iter().any(|other| other.is(it)));
            self.hold("P9", begun_since || pause.is_enforced(), || {
                format!(
                    "{sync} was switched on by somebody and paused again at {} in the same window",
                    now.wall
                )
            });
            self.respected.remove(sync);
        }
    }

    /// `active: true` leaves the machine.
    pub(super) fn resume_leaves(
        &mut self,
        sync: &SyncRef,
        calendar: Option<&Calendar>,
        is_asked_for: bool,
        row: Option<&Hold>,
        now: Moment,
    ) {
        self.starts.remove(sync);
        self.seen_to_run.remove(sync);
        let owed = self.owed.contains(sync);
        self.hold("P1", owed, || format!("{sync} was resumed at {} though we had never paused it", now.wall));
        let foreign = self.foreign.contains(sync);
        self.hold("P1", !foreign, || {
            format!("{sync} was off when its block began, and was resumed at {}", now.wall)
        });
        if is_asked_for {
            // Then it is because somebody wants it on all the same, and its row says so.
            let leaves_alone = |it: &Occurrence| row.is_some_and(|row| row.leaves_alone(it));
            let holds = match calendar.map(|it| it.desired(sync, now.wall)) {
                Some(Desired::Paused(pause)) => pause.holders.iter().all(leaves_alone),
                Some(Desired::Running) | None => false,
            };
            self.hold("P18", holds, || format!("{sync} was resumed at {}, inside a window", now.wall));
        }
    }

    /// An execution is asked for, to make up for one that was missed.
    pub(super) fn start_leaves(
        &mut self,
        sync: &SyncRef,
        calendar: Option<&Calendar>,
        row: Option<&Hold>,
        now: Moment,
    ) {
        let times = self.starts.entry(sync.clone()).or_default();
        *times += 1;
        let times = *times;
        self.hold("catch-up", times <= MOST_STARTS, || {
            format!("{sync} was started {times} times after one resume")
        });
        let seen = self.seen_to_run.contains(sync);
        self.hold("catch-up", !seen, || {
            format!("{sync} was started at {} though it was seen to run", now.wall)
        });
        // Where somebody wanted it on inside a window, it is, and its row says so.
        let desired = calendar.map(|it| it.desired(sync, now.wall));
        let holds = |it: &Occurrence| row.is_none_or(|row| !row.leaves_alone(it));
        let paused = matches!(&desired, Some(Desired::Paused(pause)) if pause.holders.iter().any(holds));
        self.hold("catch-up", !paused, || format!("{sync} was started at {}, inside a window", now.wall));
    }

    /// The daemon hears that one runs or ran since the resume.
    pub(super) fn is_seen_to_run(&mut self, sync: &SyncRef) {
        self.seen_to_run.insert(sync.clone());
    }

    /// Deep inside a window, without faults for long: it is paused.
    pub(super) fn window_is_honoured(&mut self, sync: &SyncRef, api: &Api, now: Moment) {
        self.hold("P18", api.state(sync) == SyncState::Inactive, || {
            format!("{sync} still runs at {}, long after its window began", now.wall)
        });
    }

    /// The same, while another organization is down.
    pub(super) fn others_are_not_delayed(
        &mut self,
        sync: &SyncRef,
        api: &Api,
        should_run: bool,
        now: Moment,
    ) {
        let is = api.state(sync) == SyncState::Active;
        self.hold("lateness", is == should_run, || {
            format!("{sync} is active={is} at {}, though only another organization is down", now.wall)
        });
    }

    /// A list only adds while its window asks for pauses; else it says what there is, and
    /// without one all stays as it was.
    pub(super) fn list_is_heard(&mut self, heard: &Heard<'_>) {
        let Heard { window, asks_for_pauses, before, after, meant, named } = heard;
        let Some(meant) = meant else {
            return self.hold("P22", before == after, || format!("{window} changed without a list"));
        };
        self.hold("P22", meant.is_subset(after), || format!("{window} leaves out what it selects"));
        self.hold("P22", after.iter().all(|it| meant.contains(it) || before.contains(it)), || {
            format!("{window} has what it does not select")
        });
        if *asks_for_pauses {
            self.hold("P22", before.is_subset(after), || format!("{window} lost a sync while it is open"));
        } else if let Some(named) = named {
            self.hold("P22", after.iter().all(|it| meant.contains(it) || named.contains(it)), || {
                format!("{window} keeps what it does not select any more")
            });
        }
    }

    /// A start knows what was found before.
    pub(super) fn selection_is_remembered(
        &mut self,
        window: &Name,
        found: &BTreeSet<SyncRef>,
        syncs: &BTreeSet<SyncRef>,
    ) {
        self.hold("P22", found.is_subset(syncs), || format!("a start has forgotten what {window} selects"));
    }

    /// At rest, after everything.
    pub(super) fn at_rest(&mut self, sync: &SyncRef, api: &Api, row: Option<HoldState>) {
        let owed = row.filter(|it| it.owes_resume() || *it == HoldState::Settling);
        self.hold("P4", owed.is_none(), || {
            format!("{sync} still has a row that is {}", owed.map_or("gone", HoldState::as_str))
        });
        if self.forgotten.contains(sync) {
            return;
        }
        if api.state(sync) == SyncState::Inactive {
            let by_us = matches!(api.last_mover(sync), Some(Who::Daemon { .. }));
            self.hold("P2", !by_us, || format!("{sync} was left paused"));
        } else {
            self.hold("P2", true, String::new);
        }
        if !api.was_touched_by_a_person(sync) {
            let is = api.state(sync) == SyncState::Active;
            self.hold("P3", is == api.initially(sync), || {
                format!("nobody touched {sync}, and it is {is} where it was {}", api.initially(sync))
            });
        }
        // P9 also holds for those who were never paused again.
        if self.respected.remove(sync).is_some() {
            self.hold("P9", true, String::new);
        }
    }
}
