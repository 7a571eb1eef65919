//! What the world tells its judge, and when.

use super::{BOUND, BTreeSet, LATEST_MINUTES, OpenWindows, SyncRef, TimeDelta, World};

/// The shortest time there is.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

impl World {
    /// Tells the judge where blocks begin and end, by the daemon's own clock
    /// and windows.
    pub(super) fn watch_blocks(&mut self) {
        let Some(calendar) = self.in_force.clone().filter(|_| self.reconciler.is_some()) else {
            self.covered.clear();
            self.open = None;
            self.judge.nobody_watches();
            return;
        };
        if self.open.as_ref().is_some_and(|open| open.holds_at(self.wall)) {
            return;
        }
        let before = self.open.take();
        let advanced =
            before.and_then(|mut open| calendar.advance(&mut open, self.wall).is_some().then_some(open));
        let open = advanced.unwrap_or_else(|| calendar.open_at(self.wall));
        let covered: BTreeSet<SyncRef> = open.paused().map(|(sync, _)| sync.clone()).collect();
        for sync in self.covered.difference(&covered) {
            self.judge.block_ends(sync);
        }
        let begun: Vec<SyncRef> = covered.difference(&self.covered).cloned().collect();
        for sync in begun {
            if self.row(&sync).is_none() {
                self.judge.block_begins(&sync, &self.api);
            }
        }
        self.covered = covered;
        self.open = Some(open);
    }

    /// Where nothing goes wrong and nobody interferes, a sync is paused some
    /// minutes into its window and runs some minutes after it, whatever becomes
    /// of the other organization.
    pub(super) fn inspect(&mut self) {
        let (Some(calendar), true) = (self.in_force.clone(), self.unkindness.is_none()) else { return };
        let now = self.now();
        let open = calendar.open_at(now.wall);
        let before: Vec<OpenWindows> =
            (1..=LATEST_MINUTES).map(|it| calendar.open_at(now.wall - TimeDelta::minutes(it))).collect();
        for sync in self.api.syncs().cloned().collect::<Vec<_>>() {
            // What was down may take the longest wait to be asked again.
            if self.unkindness.outages_of.as_ref() == Some(&sync.organization) {
                continue;
            }
            let was_paused = before.iter().filter(|it| it.pause(&sync).is_some()).count();
            let is_paused = open.pause(&sync).is_some();
            if is_paused && was_paused == before.len() {
                self.judge.window_is_honoured(&sync, &self.api, now);
            }
            let is_settled = is_paused && was_paused == before.len() || !is_paused && was_paused == 0;
            if is_settled && self.unkindness.outages_of.is_some() && self.api.initially(&sync) {
                self.judge.others_are_not_delayed(&sync, &self.api, !is_paused, now);
            }
        }
    }

    pub(super) fn at_rest(&mut self) {
        let now = self.now().wall;
        let just_now = self.in_force.iter().flat_map(|it| it.pauses(now - BOUND, now + TICK));
        let covered: BTreeSet<SyncRef> = just_now.map(|it| it.sync).collect();
        let syncs: Vec<SyncRef> = self.api.syncs().filter(|it| !covered.contains(it)).cloned().collect();
        for sync in syncs {
            let row = self.row(&sync);
            self.judge.at_rest(&sync, &self.api, row);
        }
    }

    /// Whether every promise was kept, else which was not.
    pub fn judge(&mut self) -> Result<(), String> {
        let already = self.judge.verdict();
        self.at_rest();
        already.and(self.judge.verdict())
    }
}
