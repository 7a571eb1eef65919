//! The API's side: what each sync's switch says, and who moved it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::moment::Moment;
use crate::domain::selection::Seen;
use crate::domain::sync::{SyncRef, SyncState};
use chrono::{DateTime, Utc};

/// Who moved a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Somebody at Polytomic.
    Person,
    /// The daemon, by this request.
    Daemon {
        /// Their number.
        request: u64,
    },
}

/// A switch that moved.
#[derive(Debug, Clone)]
pub struct Switched {
    /// When, by the world's wall clock.
    pub at: DateTime<Utc>,
    /// Which.
    pub sync: SyncRef,
    /// On, or off.
    pub to: bool,
    /// By whom.
    pub who: Who,
}

/// What syncs are called.
const NAMES: [&str; 2] = ["hourly", "nightly"];

/// All switches, and all that ever happened to them.
#[derive(Debug, Default)]
pub(super) struct Api {
    active: BTreeMap<SyncRef, bool>,
    initially: BTreeMap<SyncRef, bool>,
    touched: BTreeMap<SyncRef, u32>,
    changes: Vec<Switched>,
    names: BTreeMap<SyncRef, &'static str>,
    gone: BTreeSet<SyncRef>,
    ever_gone: BTreeSet<SyncRef>,
}

impl Api {
    pub(super) fn create(&mut self, sync: SyncRef, active: bool) {
        self.initially.insert(sync.clone(), active);
        self.names.insert(sync.clone(), NAMES[usize::from(sync.id.as_bytes()[15] % 2)]);
        self.active.insert(sync, active);
    }

    /// What a list shows of it.
    pub(super) fn seen(&self, sync: SyncRef) -> Seen {
        Seen { name: self.names.get(&sync).map(|it| (*it).to_owned()), sync, connections: vec![] }
    }

    /// It gets the other name.
    pub(super) fn rename(&mut self, sync: &SyncRef) -> &'static str {
        let before = self.names.get(sync).copied();
        let name = if before == Some(NAMES[0]) { NAMES[1] } else { NAMES[0] };
        self.names.insert(sync.clone(), name);
        name
    }

    pub(super) fn syncs(&self) -> impl Iterator<Item = &SyncRef> {
        self.active.keys()
    }

    pub(super) fn state(&self, sync: &SyncRef) -> SyncState {
        if self.gone.contains(sync) {
            return SyncState::Gone;
        }
        match self.active.get(sync) {
            Some(true) => SyncState::Active,
            Some(false) => SyncState::Inactive,
            None => SyncState::Gone,
        }
    }

    /// Moves the switch; only a real move is a change.
    pub(super) fn apply(&mut self, sync: &SyncRef, to: bool, who: Who, now: Moment) {
        if self.active.insert(sync.clone(), to) != Some(to) {
            self.changes.push(Switched { at: now.wall, sync: sync.clone(), to, who });
        }
    }

    /// It is not known any more, if it always was. Its switch stays.
    pub(super) fn goes(&mut self, sync: &SyncRef) -> bool {
        let is_first = self.ever_gone.insert(sync.clone());
        if is_first {
            self.gone.insert(sync.clone());
        }
        is_first
    }

    pub(super) fn is_back(&mut self, sync: &SyncRef) {
        self.gone.remove(sync);
    }

    /// Whether any was gone.
    pub(super) fn all_are_back(&mut self) -> bool {
        !std::mem::take(&mut self.gone).is_empty()
    }

    pub(super) fn person_sets(&mut self, sync: &SyncRef, to: bool, now: Moment) {
        *self.touched.entry(sync.clone()).or_default() += 1;
        self.apply(sync, to, Who::Person, now);
    }

    pub(super) fn was_touched_by_a_person(&self, sync: &SyncRef) -> bool {
        self.touched.contains_key(sync)
    }

    pub(super) fn initially(&self, sync: &SyncRef) -> bool {
        self.initially[sync]
    }

    /// Who moved the switch last.
    pub(super) fn last_mover(&self, sync: &SyncRef) -> Option<Who> {
        self.changes.iter().rev().find(|it| it.sync == *sync).map(|it| it.who)
    }

    pub(super) fn changes(&self) -> &[Switched] {
        &self.changes
    }
}
