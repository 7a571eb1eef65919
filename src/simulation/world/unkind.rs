//! What goes wrong by itself: crashes, clocks, disks, and when it stops.

use super::{
    BOUND, Duration, FailureKind, Fault, Happening, Name, On, Plant, SyncRef, TimeDelta, Told, World,
    empty_store,
};

impl World {
    pub(super) fn goes_wrong(&mut self) -> bool {
        !self.is_calm && self.rng.f64() < self.unkindness.faults
    }

    pub(super) fn crashes_now(&mut self) -> bool {
        !self.is_calm && self.rng.f64() < self.unkindness.faults * 0.1
    }

    pub(super) fn crash(&mut self, fault: Fault) {
        if self.is_calm || self.reconciler.take().is_none() {
            return;
        }
        self.meet(fault, On::World);
        note!(self, World: "process {} ends ({fault})", self.process);
        let down = match self.rng.u8(..4) {
            0 => {
                self.meet(Fault::LongDowntime, On::World);
                Duration::from_mins(self.rng.u64(10..600))
            }
            _ => Duration::from_secs(self.rng.u64(1..20)),
        };
        if self.plant == Plant::ForgetfulLedger {
            self.store = empty_store();
            self.rows.clear();
        }
        // A decision that did not get to the disk dies with the process.
        self.judge.dies(&self.rows);
        // A block that ends while nobody is there ends for the judge too.
        self.after(down, Happening::Start);
    }

    pub(super) fn move_clock(&mut self) {
        if self.is_calm {
            return;
        }
        self.judge.blocks_moved();
        let minutes = i64::from(self.rng.u8(1..180));
        match self.rng.u8(..5) {
            4 => {
                self.meet(Fault::ClockSlewed, On::World);
                self.wall += TimeDelta::milliseconds(self.rng.i64(-900..900));
            }
            3 if self.clock_error.is_none() => {
                self.meet(Fault::ClockBeforeRelease, On::World);
                let error = TimeDelta::days([365, 57 * 365][self.rng.usize(..2)]);
                self.wall -= error;
                self.clock_error = Some(error);
                let wait = Duration::from_mins(minutes.unsigned_abs());
                self.after(wait, Happening::ClockIsSetRight);
            }
            0 => {
                self.meet(Fault::ClockBack, On::World);
                self.wall -= TimeDelta::minutes(minutes);
            }
            1 => {
                self.meet(Fault::ClockForward, On::World);
                self.wall += TimeDelta::minutes(minutes);
            }
            // Both clocks go on, and nothing runs.
            _ => {
                self.meet(Fault::Suspend, On::World);
                self.uptime += Duration::from_secs(minutes.unsigned_abs() * 60);
                self.wall += TimeDelta::minutes(minutes);
            }
        }
        note!(self, World: "the clock now says {}", self.wall);
        // The timer notices a clock that is set.
        self.pass();
    }

    pub(super) fn disk(&mut self, full: bool) {
        self.disk_is_full = full && !self.is_calm;
        note!(self, World: "the disk is {}", if self.disk_is_full { "full" } else { "fine" });
        if self.disk_is_full {
            let wait = Duration::from_mins(self.rng.u64(1..90));
            self.after(wait, Happening::Disk { full: false });
        }
    }

    pub(super) fn calm(&mut self) {
        if !self.unkindness.is_none() || self.unkindness.outages_of.is_some() {
            note!(self, World: "faults and people stop");
        }
        self.is_calm = true;
        self.disk_is_full = false;
        if self.config_is_broken {
            self.config_is_broken = false;
            self.reload();
        }
        self.set_clock_right();
        self.down.clear();
        let any_was_gone = self.api.all_are_back();
        self.start();
        // What is gone is asked for once an hour, and is back only to those who ask.
        let just_came_back = self.came_back.is_some_and(|at| self.uptime < at + Duration::from_hours(1));
        let bound = if any_was_gone || just_came_back { BOUND + TimeDelta::hours(1) } else { BOUND };
        self.after(bound.to_std().unwrap_or_default(), Happening::Rest);
    }

    pub(super) fn set_clock_right(&mut self) {
        if let Some(error) = self.clock_error.take() {
            self.judge.blocks_moved();
            self.wall += error;
            note!(self, World: "the clock is set right");
            self.pass();
        }
    }

    /// One organization's API is down for hours, and says so in one way.
    pub(super) fn organization_goes_down(&mut self, organization: Name) {
        if self.is_calm {
            return;
        }
        let kinds =
            [FailureKind::Timeout, FailureKind::NotSent, FailureKind::Unauthorized, FailureKind::Server];
        let kind = kinds[self.rng.usize(..kinds.len())];
        self.meet(Fault::OrganizationDown, On::World);
        note!(self, World: "organization {organization} is down: {kind}");
        self.down.insert(organization.clone(), kind);
        let hours = Duration::from_mins(self.rng.u64(20..900));
        self.after(hours, Happening::OrganizationIsUp { organization });
    }

    /// Polytomic does not know a sync for some hours. Once for each, because
    /// three such answers over a day are taken for its end.
    pub(super) fn sync_goes(&mut self) {
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let sync = syncs[self.rng.usize(..syncs.len())].clone();
        if self.is_calm || !self.api.goes(&sync) {
            return;
        }
        self.meet(Fault::SyncGone, On::World);
        self.judge.person_acts(&sync);
        note!(self, World: "{sync} is gone");
        let wait = Duration::from_mins(self.rng.u64(5..600));
        self.after(wait, Happening::SyncIsBack { sync });
    }
}
