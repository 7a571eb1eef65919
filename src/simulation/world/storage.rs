//! The ledger's disk: in memory in most worlds, in a file in some, where the
//! power can go in the middle of a write.

use std::fs;
use std::path::Path;

use super::{Change, Fault, HoldState, On, PathBuf, Store, SyncRef, Told, World};

/// Where a ledger that has a file keeps it.
#[derive(Debug)]
pub(super) struct Disk {
    home: PathBuf,
    // A power loss makes a new directory: the old connection cannot write there.
    number: u32,
}

impl Disk {
    /// In a directory that is empty.
    pub(super) fn new(home: PathBuf) -> Self {
        fs::create_dir(home.join("0")).expect(OURS);
        Self { home, number: 0 }
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.home.join(self.number.to_string()).join("ledger.db")
    }
}

/// Why nothing can go wrong in the disk's directory.
const OURS: &str = "the directory is this world's alone";

impl World {
    /// Writes to the ledger, if there is room. If the power goes meanwhile,
    /// there is no process any more that could hear the answer.
    pub(super) fn apply(&mut self, change: &Change) -> bool {
        if self.disk_is_full {
            self.meet(Fault::DiskFull, On::World);
            return false;
        }
        if self.disk.is_some() && self.crashes_now() {
            self.lose_power_in(change);
            return false;
        }
        self.store.apply(std::slice::from_ref(change)).expect("the simulated disk has room");
        for (sync, row) in change.rows() {
            match row {
                Some(hold) => drop(self.rows.insert(sync.clone(), hold.clone())),
                None => drop(self.rows.remove(sync)),
            }
        }
        true
    }

    /// The log's new bytes were not synced when the power went: some prefix of
    /// them is there, and the end of that may be rubbish. What was there before
    /// was acknowledged, and stays.
    fn lose_power_in(&mut self, change: &Change) {
        self.boots += 1;
        let Some(disk) = &mut self.disk else { return };
        let (old_file, old_log) = contents(&disk.ledger());
        self.store.apply(std::slice::from_ref(change)).expect("the simulated disk has room");
        let (file, log) = contents(&disk.ledger());
        let first_new = old_log.iter().zip(&log).take_while(|(old, new)| old == new).count();
        let kept = if file == old_file { self.rng.usize(first_new..=log.len()) } else { log.len() };
        let mut survivor = log[..kept].to_vec();
        if kept < log.len() {
            let torn = self.rng.usize(first_new.max(kept.saturating_sub(512))..=kept);
            survivor[torn..].iter_mut().for_each(|byte| *byte ^= self.rng.u8(..));
            survivor.extend(old_log.get(kept..).unwrap_or_default());
        }
        disk.number += 1;
        let path = disk.ledger();
        fs::create_dir(path.parent().expect("it has a directory")).expect(OURS);
        fs::write(&path, file).expect(OURS);
        fs::write(log_of(&path), survivor).expect(OURS);
        self.store = Store::open(&path).expect("what was acknowledged is whole");
        self.rows_are_read_again();
        note!(self, World: "the power goes: {kept} of {} bytes of the log are there", log.len());
        if let Some(sync) = change.sync() {
            match self.row(sync) {
                Some(state) if state.owes_resume() => self.judge.intent_is_durable(sync),
                Some(_) => {}
                None => self.judge.row_dropped(sync),
            }
        }
        self.crash(Fault::PowerLossInWrite);
    }

    /// What the ledger says of a sync.
    pub(super) fn row(&self, sync: &SyncRef) -> Option<HoldState> {
        self.rows.get(sync).map(|hold| hold.state)
    }

    fn rows_are_read_again(&mut self) {
        let holds = self.store.contents().expect(OURS).holds;
        self.rows = holds.into_iter().map(|hold| (hold.sync.clone(), hold)).collect();
    }
}

fn contents(ledger: &Path) -> (Vec<u8>, Vec<u8>) {
    (fs::read(ledger).expect(OURS), fs::read(log_of(ledger)).unwrap_or_default())
}

fn log_of(ledger: &Path) -> PathBuf {
    ledger.with_extension("db-wal")
}
