//! Requests, and what becomes of them on their way.

use crate::domain::execution::{Frequency, RunStatus};
use crate::domain::plan::{self, Errand, Learnt, Proof};
use crate::domain::sync::{SyncKind, SyncState};
use crate::reconcile::{ErrandReply, SweepReply};

use super::{
    Arc, Change, DateTime, Duration, Evidence, Failure, FailureKind, Fault, Happening, HoldState, Look, On,
    Organization, Outcome, Reply, SyncRef, Told, Utc, Verdict, World,
};

impl World {
    pub(super) fn latency(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(20..400))
    }

    pub(super) fn look(&mut self, sync: SyncRef, organization: Arc<Organization>) {
        let sent = self.now();
        let look = Look { sync, organization, sent };
        let process = self.process;
        let course = self.course(On::Look, &look.sync.organization, None);
        if let Some(failure) = course.failure {
            let evidence = Evidence::LookFailed { failure };
            return self.reply_later(course.answered, look.sync, look.organization, evidence);
        }
        let there = course.applied[0];
        let answers_in = course.answered.saturating_sub(there);
        self.after(there, Happening::Read { process, look: Box::new(look), answers_in });
    }

    pub(super) fn read(&mut self, process: u64, look: Look, answers_in: Duration) {
        let state = self.api.state(&look.sync);
        let evidence = Evidence::Saw { state, sent: look.sent, by: Some("somebody".to_owned()) };
        let reply = reply(look.sync, look.organization, evidence);
        self.after(answers_in, Happening::Answer { process, reply });
    }

    /// Whether an execution runs is diced: here it only matters that what is heard of
    /// it, or not, breaks no promise.
    pub(super) fn errand(&mut self, sync: SyncRef, organization: Arc<Organization>, errand: Errand) {
        let sent = self.now();
        let course = self.course(On::Look, &sync.organization, None);
        // What has no answer may have been carried out.
        if errand == Errand::Start && (course.failure.is_none() || self.rng.bool()) {
            self.started.insert(sync.clone(), sent.wall);
        }
        let result = match (course.failure, errand) {
            (Some(failure), _) => Err(failure),
            (None, Errand::Cancel) => Ok(plan::Told::Cancelled),
            (None, Errand::Start) => Ok(plan::Told::Started),
            (None, Errand::Prove) => Ok(plan::Told::Proof(Proof {
                state: self.api.state(&sync),
                frequency: Frequency::ByTime,
                status: (self.rng.u8(..8) > 0).then(|| self.run_status(&sync, false)),
            })),
            (None, Errand::Status) => {
                let is_running = self.rng.u8(..4) == 0;
                Ok(plan::Told::Status(self.run_status(&sync, is_running)))
            }
        };
        let reply = Box::new(ErrandReply { sync, organization, learnt: Learnt { sent, result } });
        let process = self.process;
        self.after(course.answered, Happening::Errand { process, reply });
    }

    /// Each sync has a run planned every three hours; of those that were, only what was
    /// asked for is told.
    fn run_status(&self, sync: &SyncRef, is_running: bool) -> RunStatus {
        let every = 3 * 3600;
        let next = (self.wall.timestamp() / every + 1) * every;
        let newest = self.started.get(sync).copied();
        RunStatus { is_running, newest, last_completed: newest, next: DateTime::from_timestamp(next, 0) }
    }

    /// When the daemon remembers that its resume was confirmed.
    pub(super) fn resumed(&self, sync: &SyncRef) -> Option<DateTime<Utc>> {
        self.rows.get(sync)?.runs.resumed
    }

    /// A list of many pages: what it shows is as old as its first page, and it takes
    /// its time.
    pub(super) fn sweep(&mut self, organization: Arc<Organization>, kinds: &[SyncKind]) {
        let sent = self.now();
        let is_meant = |it: &&SyncRef| it.organization == organization.name && kinds.contains(&it.kind);
        let syncs: Vec<SyncRef> = self.api.syncs().filter(is_meant).cloned().collect();
        let course = self.course(On::Look, &organization.name, None);
        let shown = syncs.iter().filter_map(|sync| match self.api.state(sync) {
            SyncState::Active => Some(((sync.kind, sync.id), true)),
            SyncState::Inactive => Some(((sync.kind, sync.id), false)),
            SyncState::Gone => None,
        });
        let result = course.failure.map_or_else(|| Ok(shown.collect()), Err);
        let reply = Box::new(SweepReply { organization, sent, result });
        let process = self.process;
        let pages = self.rng.u32(1..40);
        self.after(course.answered * pages, Happening::Swept { process, reply });
    }

    pub(super) fn pause(
        &mut self,
        sync: SyncRef,
        organization: Arc<Organization>,
        change: &Change,
        until: DateTime<Utc>,
    ) {
        if !self.apply(change) {
            let failure = Failure::new(FailureKind::Ledger, "the disk is full");
            return self.reply_later(Duration::ZERO, sync, organization, Evidence::NotWritten { failure });
        }
        self.judge.intent_is_durable(&sync);
        if self.crashes_now() {
            return self.crash(Fault::CrashBetweenIntentAndRequest);
        }
        if until <= self.wall {
            let verdict = Verdict::Refused(Failure::new(FailureKind::NotSent, "the window had closed"));
            let evidence = Evidence::Answered { active: false, sent: self.now(), verdict };
            return self.reply_later(Duration::ZERO, sync, organization, evidence);
        }
        let row = self.row(&sync).is_some_and(HoldState::owes_resume);
        let (calendar, now) = (self.in_force.clone(), self.now());
        let is_asked_for = self.asks_for_pause(&sync);
        self.judge.pause_leaves(&sync, calendar.as_deref(), is_asked_for, row, now);
        self.post(sync, organization, false);
    }

    pub(super) fn resume(&mut self, sync: SyncRef, organization: Arc<Organization>, change: &Change) {
        let is_written = self.apply(change);
        if !is_written {
            let now = self.now();
            if let Some(reconciler) = &mut self.reconciler {
                reconciler.write_failed(change.clone(), now);
            }
        }
        if self.reconciler.is_none() {
            return;
        }
        if self.crashes_now() {
            return self.crash(Fault::CrashBetweenIntentAndRequest);
        }
        let (calendar, now) = (self.in_force.clone(), self.now());
        let is_asked_for = self.asks_for_pause(&sync);
        let row = match &self.reconciler {
            // What people decided is only in its memory while the disk is full.
            Some(reconciler) if !is_written => reconciler.holds().find(|it| it.sync == sync),
            Some(_) | None => self.rows.get(&sync),
        };
        self.judge.resume_leaves(&sync, calendar.as_deref(), is_asked_for, row, now);
        self.post(sync, organization, true);
    }

    /// A POST leaves, and this is what becomes of it.
    pub(super) fn post(&mut self, sync: SyncRef, organization: Arc<Organization>, active: bool) {
        let sent = self.now();
        let request = self.a_number();
        note!(self, Request: "request {request} leaves: {sync} active={active}");
        let course =
            self.course(if active { On::Resume } else { On::Pause }, &sync.organization, Some(&sync));
        for wait in course.applied {
            self.after(wait, Happening::Apply { sync: sync.clone(), active, request });
        }
        let verdict = match course.failure {
            None => Verdict::Applied,
            Some(failure) => self.plant.verdict(Verdict::of(failure)),
        };
        let evidence = Evidence::Answered { active, sent, verdict };
        self.reply_later(course.answered, sync, organization, evidence);
        if self.crashes_now() {
            self.crash(Fault::CrashBeforeAnswer);
        }
    }

    pub(super) fn reply_later(
        &mut self,
        wait: Duration,
        sync: SyncRef,
        organization: Arc<Organization>,
        evidence: Evidence,
    ) {
        let process = self.process;
        self.after(wait, Happening::Answer { process, reply: reply(sync, organization, evidence) });
    }
}

pub(super) fn reply(sync: SyncRef, organization: Arc<Organization>, evidence: Evidence) -> Box<Reply> {
    let failure = match &evidence {
        Evidence::Saw { .. } => None,
        Evidence::LookFailed { failure } | Evidence::NotWritten { failure } => Some(failure),
        Evidence::Answered { verdict, .. } => verdict.failure(),
    };
    let outcome = Outcome::of(failure);
    Box::new(Reply { sync, organization, evidence, name: None, outcome })
}
