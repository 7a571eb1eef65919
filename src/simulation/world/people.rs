//! People: who switch syncs, operate the daemon and edit its file.

use super::{
    Arc, End, Fault, KeySource, Name, On, Selection, SyncRef, SyncState, TimeDelta, Times, Told, World,
};

impl World {
    pub(super) fn person(&mut self) {
        if self.is_calm {
            return;
        }
        // People meddle with what is paused more than with what just runs.
        let held: Vec<SyncRef> =
            self.reconciler.iter().flat_map(|it| it.holds().map(|hold| hold.sync.clone())).collect();
        let all: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let syncs = if held.is_empty() || self.rng.bool() { all } else { held };
        let sync = &syncs[self.rng.usize(..syncs.len())];
        let to = self.api.state(sync) == SyncState::Inactive;
        self.meet(if to { Fault::PersonOn } else { Fault::PersonOff }, On::World);
        note!(self, World: "somebody sets {sync} active={to}");
        let now = self.now();
        self.judge.person_acts(sync);
        self.api.person_sets(sync, to, now);
    }

    pub(super) fn operator(&mut self) {
        let now = self.now();
        if self.is_calm || self.disk_is_full {
            return;
        }
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let sync = syncs[self.rng.usize(..syncs.len())].clone();
        let Some(reconciler) = &mut self.reconciler else { return };
        let forgotten = reconciler.holds().find(|it| it.gone.is_some()).map(|it| it.sync.clone());
        if let Some(gone) = forgotten
            && let Ok(actions) = reconciler.forget(&gone, "operator", now)
        {
            self.meet(Fault::OperatorForget, On::World);
            note!(self, World: "an operator forgets {gone}");
            self.judge.forgotten(&gone);
            self.carry_out(actions);
            return self.pass();
        }
        let selection = match self.rng.u8(..3) {
            0 => Selection::All,
            _ => Selection::Syncs(vec![sync]),
        };
        let (resumed, actions) = reconciler.resume(&selection, "operator", Some("because"), now);
        note!(self, World: "an operator resumes {} syncs", resumed.len());
        if resumed.iter().any(|it| !it.ended.is_empty()) {
            self.meet(Fault::OperatorResume, On::World);
        }
        let calendar = self.in_force.clone();
        // What was resumed may have been taken out of an operator's pause.
        self.calendar_is_renewed();
        self.carry_out_what_was_ordered(actions);
        for it in resumed {
            // From the word of an operator on it is as if somebody had switched it on.
            self.judge.person_acts(&it.sync);
            self.ordered.resumed(&it.sync, now.wall);
            if let Some(calendar) = &calendar {
                self.judge.respects(&it.sync, &calendar.desired(&it.sync, now.wall));
            }
        }
        self.pass();
    }

    pub(super) fn edit(&mut self) {
        if self.is_calm {
            return;
        }
        self.judge.blocks_moved();
        let which = self.rng.usize(..self.windows.len());
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let sync = syncs[self.rng.usize(..syncs.len())].clone();
        let fault = match self.rng.u8(..11) {
            0 => self.lengthen(which, 300, Fault::WindowExtended),
            1 | 2 => self.lengthen(which, 20, Fault::WindowShortened),
            3 if self.windows.len() > 1 => {
                self.windows.remove(which);
                Fault::WindowRemoved
            }
            4 => {
                self.windows[which].name = format!("renamed-{}", self.a_number()).into();
                Fault::WindowRenamed
            }
            5 => {
                self.windows[which].syncs.retain(|it| *it != sync);
                Fault::SyncTakenOut
            }
            6 => {
                self.windows[which].syncs.insert(sync);
                Fault::SyncAdded
            }
            7 => self.move_organization(&sync.organization, Fault::UrlChanged),
            8 => self.move_organization(&sync.organization, Fault::KeyMoved),
            9 => self.move_to_zone(which),
            _ => return self.break_or_mend_file(),
        };
        self.meet(fault, On::World);
        note!(self, World: "somebody edits the file: {fault:?}, window {which}");
        if !self.config_is_broken {
            self.reload();
        }
    }

    fn lengthen(&mut self, which: usize, minutes: i64, fault: Fault) -> Fault {
        let times = &self.windows[which].times;
        let (start, dates, zone) = (times.start().clone(), times.dates().clone(), times.zone().clone());
        let end = End::After(TimeDelta::minutes(minutes));
        if let Ok(times) = Times::new(start, end, dates, zone, self.wall) {
            self.windows[which].times = times;
        }
        fault
    }

    fn move_to_zone(&mut self, which: usize) -> Fault {
        let times = &self.windows[which].times;
        let (start, end, dates) = (times.start().clone(), times.end().clone(), times.dates().clone());
        let zones = &self.unkindness.edits;
        let zone = zones[self.rng.usize(..zones.len())].clone();
        if let Ok(times) = Times::new(start, end, dates, zone, self.wall) {
            self.windows[which].times = times;
        }
        Fault::ZoneChanged
    }

    fn move_organization(&mut self, name: &Name, fault: Fault) -> Fault {
        let number = self.a_number();
        if let Some((organization, _)) = self.organizations.get_mut(name) {
            let mut moved = (**organization).clone();
            if fault == Fault::UrlChanged {
                moved.url = format!("https://{name}-{number}.example");
            } else {
                moved.key = KeySource::Environment(format!("KEY_{number}"));
            }
            *organization = Arc::new(moved);
        }
        fault
    }

    fn break_or_mend_file(&mut self) {
        self.config_is_broken = !self.config_is_broken;
        if self.config_is_broken {
            note!(self, World: "somebody breaks the file");
            if self.reconciler.is_some() {
                self.meet(Fault::ConfigBrokenAtReload, On::World);
            }
        } else {
            note!(self, World: "somebody mends the file");
            self.reload();
        }
    }

    pub(super) fn reload(&mut self) {
        let in_force = self.read_config();
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.bring_into_force(in_force);
            self.calendar_is_renewed();
            self.pass();
        }
    }
}
