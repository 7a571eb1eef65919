//! Which states are one.

use std::time::Duration;

use intermission::domain::execution::After;
use intermission::domain::hold::Hold;
use intermission::domain::moment::Moment;
use intermission::domain::plan::{Call, Errands, Evidence, Proof, Told};
use intermission::domain::window::Occurrence;

use super::windows::mask;
use super::{Flight, Inquiries, Process, World, tick_of, tick_up};

impl World {
    /// All that tells this state from others: uptime only as an age.
    pub(in crate::model) fn key(&self) -> Vec<u8> {
        let mut key = Key { bytes: Vec::with_capacity(96), now: self.uptime };
        key.flags(&[self.active, self.is_broken, self.watch.was_active, self.watch.was_touched]);
        key.flags(&[self.watch.by_us, self.watch.is_foreign, self.watch.has_looked]);
        key.flags(&[self.watch.has_forgotten_resume]);
        let left = self.left;
        key.bytes.extend([self.watch.respected, self.file as u8]);
        key.bytes.extend([left.network, left.crashes, left.clock, left.people, left.operator]);
        key.bytes.extend([left.edits, left.breaks, left.disk, left.stalls, left.runs]);
        key.small(self.scene.windows[1].0);
        key.small(self.wall);
        key.inquiries(self);
        for (active, dies) in &self.abandoned {
            key.bytes.extend([2 + u8::from(*active), u8::try_from(dies - self.uptime).unwrap()]);
        }
        key.hold(self.row.as_ref());
        key.bytes.push(u8::try_from(self.queue.len()).unwrap());
        self.queue.iter().for_each(|it| key.hold(it.as_ref()));
        match &self.flight {
            None => key.bytes.push(0),
            Some(Flight::Look { sent, read }) => {
                key.bytes.extend([1, read.map_or(9, |it| it as u8)]);
                key.moment(*sent);
            }
            Some(Flight::Unwritten { until }) => {
                key.bytes.push(2);
                key.small(tick_of(*until));
            }
            Some(Flight::Switch { active, sent, is_applied }) => {
                key.bytes.push(3);
                key.flags(&[*active, *is_applied]);
                key.moment(*sent);
            }
        }
        match &self.process {
            None => key.bytes.push(0),
            Some(process) => {
                key.bytes.push(1);
                key.process(process);
            }
        }
        key.bytes
    }
}

struct Key {
    bytes: Vec<u8>,
    now: u64,
}

impl Key {
    fn flags(&mut self, flags: &[bool]) {
        self.bytes.push(flags.iter().fold(0, |all, it| all << 1 | u8::from(*it)));
    }

    fn small(&mut self, number: i64) {
        self.bytes.extend(i16::try_from(number).unwrap_or(i16::MAX).to_le_bytes());
    }

    /// How long ago, or in how long; more than settles and drift checks ask for is all one.
    fn age(&mut self, uptime: Duration) {
        let age = i64::try_from(self.now).unwrap() - i64::try_from(tick_up(uptime)).unwrap();
        self.small(age.min(4));
    }

    fn moment(&mut self, moment: Moment) {
        self.small(tick_of(moment.wall));
        self.age(moment.uptime);
    }

    fn maybe_age(&mut self, uptime: Option<Duration>) {
        self.bytes.push(u8::from(uptime.is_some()));
        if let Some(uptime) = uptime {
            self.age(uptime);
        }
    }

    fn occurrences(&mut self, occurrences: &[Occurrence]) {
        self.bytes.push(u8::try_from(occurrences.len()).unwrap());
        for it in occurrences {
            self.bytes.push(mask(std::slice::from_ref(it)));
            self.small(tick_of(it.closes));
        }
    }

    fn hold(&mut self, hold: Option<&Hold>) {
        let Some(hold) = hold else { return self.bytes.push(255) };
        self.bytes.push(hold.state as u8);
        self.flags(&[hold.overdue_told, hold.gone.is_some()]);
        self.occurrences(&hold.holders);
        self.occurrences(&hold.left_alone);
        self.small(tick_of(hold.resume_by));
        self.maybe_age(hold.unsettled.pause);
        self.maybe_age(hold.unsettled.resume);
        let is_owed = hold.runs.after != After::Nothing;
        self.flags(&[is_owed, hold.runs.told]);
        self.bytes.push(hold.runs.quiet.map_or(9, u8::from));
        self.small(hold.runs.resumed.filter(|_| is_owed).map_or(-100, tick_of));
    }

    fn process(&mut self, process: &Process) {
        self.flags(&[process.due, process.outdated, process.in_force.is_some()]);
        self.bytes.push(process.in_force.map_or(0, |it| it as u8));
        self.small(process.timer.map_or(-100, |it| it.saturating_sub(self.now).try_into().unwrap_or(0)));
        self.small(process.next_change.map_or(-100, tick_of));
        self.small(process.last_pass.unwrap_or(-100));
        let case = &process.case;
        self.hold(case.hold.as_ref());
        match &case.call {
            None => self.bytes.push(0),
            Some(Call::Look) => self.bytes.push(1),
            Some(Call::Pause { before }) => {
                self.bytes.push(2);
                self.hold(before.as_deref());
            }
            Some(Call::Resume { before }) => {
                self.bytes.push(3);
                self.hold(Some(before));
            }
        }
        match case.evidence.as_deref() {
            None => self.bytes.push(0),
            Some(Evidence::Saw { state, sent, .. }) => {
                self.bytes.extend([1, *state as u8]);
                self.moment(*sent);
            }
            Some(Evidence::LookFailed { failure }) => self.bytes.extend([2, failure.kind as u8]),
            Some(Evidence::NotWritten { .. }) => self.bytes.push(3),
            Some(Evidence::Answered { active, sent, verdict }) => {
                self.bytes.extend([4, u8::from(*active), verdict.failure().map_or(99, |it| it.kind as u8)]);
                self.moment(*sent);
            }
        }
        self.bytes.push(case.retry.map_or(9, |it| u8::from(it.pausing)));
        self.maybe_age(case.retry.map(|it| it.not_before));
        self.maybe_age(case.heard);
        self.maybe_age(case.looked);
        self.flags(&[case.absent]);
    }

    /// What is known and asked about executions. Where that is answered at once, nothing
    /// is ever left of it.
    fn inquiries(&mut self, world: &World) {
        if world.scene.inquiries == Inquiries::AtOnce {
            return;
        }
        let watch = &world.watch;
        self.flags(&[world.is_executing, watch.has_waited, watch.false_confirmation.is_some()]);
        self.bytes.push(watch.false_confirmation.map_or(0, |it| it.left));
        self.maybe_age(watch.false_confirmation.map(|it| it.heard));
        self.bytes.push(watch.heard.map_or(9, |(heard, _)| heard as u8));
        self.small(watch.heard.map_or(-100, |(_, sent)| sent));
        match &world.inquiry {
            None => self.bytes.push(0),
            Some(it) => {
                self.bytes.extend([1 + it.errand as u8, u8::from(it.counts)]);
                self.moment(it.sent);
                self.told(it.told.as_ref());
            }
        }
        if let Some(process) = &world.process {
            self.errands(&process.case.errands);
        }
    }

    fn told(&mut self, told: Option<&Told>) {
        match told {
            None => self.bytes.push(0),
            Some(Told::Status(status)) => self.bytes.push(1 + u8::from(status.is_running)),
            Some(Told::Proof(proof)) => self.proof(proof),
            Some(Told::Cancelled | Told::Started) => self.bytes.push(5),
        }
    }

    fn proof(&mut self, proof: &Proof) {
        let is_running = proof.status.is_some_and(|it| it.is_running);
        self.bytes.extend([10 + proof.state as u8, u8::from(is_running)]);
    }

    fn errands(&mut self, it: &Errands) {
        self.flags(&[it.is_void, it.is_cancelled, it.is_looked_after]);
        self.bytes.push(it.call.map_or(9, |it| it as u8));
        self.bytes.push(it.seen.map_or(9, |it| u8::from(it.is_running)));
        self.bytes.push(u8::from(it.proof.is_some()));
        if let Some((sent, proof)) = it.proof.as_deref() {
            self.moment(*sent);
            self.proof(proof);
        }
        self.occurrences(it.waits.as_deref().map_or(&[], std::slice::from_ref));
        self.bytes.push(u8::from(it.last.is_some()));
        if let Some(last) = &it.last {
            self.moment(last.sent);
            self.bytes.push(last.status.map_or(9, |it| u8::from(it.is_running)));
            self.flags(&[last.is_final]);
        }
        self.maybe_age(it.heard);
        self.maybe_age(it.confirmed);
        // However many: in ticks, all pauses between two looks are the same but the longest.
        let tries = it.looks.saturating_sub(1).saturating_add(it.failures).min(6);
        self.bytes.extend([it.looks.min(1), it.failures.min(1), tries].map(|it| u8::try_from(it).unwrap()));
    }
}
