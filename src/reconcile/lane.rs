//! One organization's lane: which of its syncs wait to send a request, and
//! whether the organization takes one now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::calendar::Desired;
use crate::domain::moment::{Moment, Uptime};
use crate::domain::plan::Step;
use crate::domain::sync::SyncRef;
use crate::polytomic::Limits;
use crate::polytomic::throttle::{Admission, Outcome, Throttle, Ticket};

/// How urgent a request is. Less is sooner: resumes before pauses, decided
/// ones before those that need a look (a decision ages), and among pauses the
/// shortest first, since it has the least time to lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Resume,
    LookToResume,
    Pause(DateTime<Utc>),
    LookToPause(DateTime<Utc>),
}

impl Rank {
    /// The rank of a step's request; `None` for a step that sends none.
    pub(super) fn of(step: &Step, desired: &Desired) -> Option<Self> {
        match (step, desired) {
            (Step::Resume { .. }, _) => Some(Self::Resume),
            (Step::Pause { until, .. }, _) => Some(Self::Pause(*until)),
            (Step::Look, Desired::Running) => Some(Self::LookToResume),
            (Step::Look, Desired::Paused(pause)) => Some(Self::LookToPause(pause.until)),
            (Step::Rest { .. } | Step::Keep { .. } | Step::Forget { .. } | Step::Defer { .. }, _) => None,
        }
    }
}

/// One organization's throttle and queue.
#[derive(Debug)]
pub(super) struct Lane {
    throttle: Throttle,
    tickets: BTreeMap<SyncRef, Ticket>,
    waiting: BTreeSet<(Rank, SyncRef)>,
    ranks: BTreeMap<SyncRef, Rank>,
    // The last two syncs for which the key was accepted.
    proofs: [Option<SyncRef>; 2],
}

impl Default for Lane {
    /// A lane for an organization that only a row remembers.
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            throttle: Throttle::new(
                limits.max_concurrent_requests,
                limits.max_requests_per_second,
                Duration::from_mins(1),
            ),
            tickets: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ranks: BTreeMap::new(),
            proofs: [None, None],
        }
    }
}

impl Lane {
    /// Takes new limits; what has been learnt of the server stays.
    pub(super) fn limit(&mut self, limits: &Limits, longest_probe_wait: Duration) {
        self.throttle.limit(
            limits.max_concurrent_requests,
            limits.max_requests_per_second,
            longest_probe_wait,
        );
    }

    /// Forgets what went wrong: something may have been mended.
    pub(super) fn reset(&mut self) {
        self.throttle.reset();
    }

    pub(super) fn admits(&self, now: Uptime) -> bool {
        self.throttle.admit(now) == Admission::Go
    }

    pub(super) fn started(&mut self, sync: &SyncRef, now: Uptime) {
        self.tickets.insert(sync.clone(), self.throttle.started(now));
    }

    /// A request about `sync` came to its end; if it did well, `proof` that the
    /// key is accepted.
    pub(super) fn finished(
        &mut self,
        sync: &SyncRef,
        outcome: Outcome,
        proof: Option<&SyncRef>,
        now: Moment,
        jitter: f64,
    ) {
        if let Some(ticket) = self.tickets.remove(sync) {
            self.throttle.finished(now.uptime, ticket, outcome, jitter);
        }
        if let Some(sync) = proof
            && self.proofs[0].as_ref() != Some(sync)
        {
            self.proofs.swap(0, 1);
            self.proofs[0] = Some(sync.clone());
        }
    }

    /// Whether the key was accepted for another sync than this one.
    pub(super) fn key_proven_by_other(&self, sync: &SyncRef) -> bool {
        self.proofs.iter().flatten().any(|it| it != sync)
    }

    /// The sync waits; if it did already, with its new rank.
    pub(super) fn wait(&mut self, rank: Rank, sync: SyncRef) {
        if let Some(before) = self.ranks.insert(sync.clone(), rank) {
            self.waiting.remove(&(before, sync.clone()));
        }
        self.waiting.insert((rank, sync));
    }

    /// The most urgent of those that wait, if a request may leave now.
    pub(super) fn next(&mut self, now: Uptime) -> Option<SyncRef> {
        if self.waiting.is_empty() || self.throttle.admit(now) != Admission::Go {
            return None;
        }
        let (_, sync) = self.waiting.pop_first()?;
        self.ranks.remove(&sync);
        Some(sync)
    }

    /// When those that wait can go on, if not by an answer.
    pub(super) fn opens_at(&self, now: Uptime) -> Option<Uptime> {
        if self.waiting.is_empty() {
            return None;
        }
        match self.throttle.admit(now) {
            Admission::Go => Some(now),
            Admission::NotBefore(at) => Some(at),
            Admission::Full => None,
        }
    }
}
