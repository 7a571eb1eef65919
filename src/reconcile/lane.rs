//! One organization's lane: which of its syncs wait to send a request, and
//! whether the organization takes one now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::calendar::Desired;
use crate::domain::moment::{Moment, Uptime};
use crate::domain::plan::{ErrandStep, Step};
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
    ErrandToPause(DateTime<Utc>),
    Errand,
    Preflight,
}

/// Who waits, and for what: a sync's errand is not in the way of its state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seat {
    State(SyncRef),
    Errand(SyncRef),
    Preflight(SyncRef),
}

impl Seat {
    fn is_errand(&self) -> bool {
        match self {
            Self::Errand(_) | Self::Preflight(_) => true,
            Self::State(_) => false,
        }
    }
}

impl Rank {
    /// The rank of an errand; `None` for a step that sends none.
    pub(super) fn of_errand(step: &ErrandStep) -> Option<Self> {
        match step {
            ErrandStep::Ask { pause: Some(it), .. } => Some(Self::ErrandToPause(it.closes)),
            ErrandStep::Ask { pause: None, .. } | ErrandStep::Start { .. } => Some(Self::Errand),
            ErrandStep::Rest { .. } | ErrandStep::Keep { .. } | ErrandStep::Forget { .. } => None,
        }
    }

    fn is_errand(self) -> bool {
        match self {
            Self::ErrandToPause(_) | Self::Errand | Self::Preflight => true,
            Self::Resume | Self::LookToResume | Self::Pause(_) | Self::LookToPause(_) => false,
        }
    }

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
    tickets: BTreeMap<Seat, Ticket>,
    waiting: BTreeSet<(Rank, Seat)>,
    ranks: BTreeMap<Seat, Rank>,
    // How many of the tickets are errands', and how many may be, so that there is room
    // for a resume.
    errands: usize,
    most_errands: usize,
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
            errands: 0,
            most_errands: most_errands(limits.max_concurrent_requests),
            proofs: [None, None],
        }
    }
}

impl Lane {
    /// Takes new limits; what has been learnt of the server stays.
    pub(super) fn limit(&mut self, limits: &Limits, longest_probe_wait: Duration) {
        self.most_errands = most_errands(limits.max_concurrent_requests);
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

    /// Whether an errand may leave now.
    pub(super) fn admits_errand(&self, now: Uptime) -> bool {
        self.has_room_for_errands() && self.admits(now)
    }

    fn has_room_for_errands(&self) -> bool {
        self.errands < self.most_errands
    }

    pub(super) fn started(&mut self, seat: Seat, now: Uptime) {
        let is_errand = seat.is_errand();
        if self.tickets.insert(seat, self.throttle.started(now)).is_none() && is_errand {
            self.errands += 1;
        }
    }

    /// A request of `seat` came to its end; if it did well, `proof` that the
    /// key is accepted.
    pub(super) fn finished(
        &mut self,
        seat: &Seat,
        outcome: Outcome,
        proof: Option<&SyncRef>,
        now: Moment,
        jitter: f64,
    ) {
        if let Some(ticket) = self.tickets.remove(seat) {
            self.errands -= usize::from(seat.is_errand());
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

    /// It waits; if it did already, with its new rank.
    pub(super) fn wait(&mut self, rank: Rank, seat: Seat) {
        if let Some(before) = self.ranks.insert(seat.clone(), rank) {
            self.waiting.remove(&(before, seat.clone()));
        }
        self.waiting.insert((rank, seat));
    }

    /// The most urgent of those that wait, if a request may leave now.
    pub(super) fn next(&mut self, now: Uptime) -> Option<Seat> {
        if !self.somebody_may_go() || self.throttle.admit(now) != Admission::Go {
            return None;
        }
        let (_, seat) = self.waiting.pop_first()?;
        self.ranks.remove(&seat);
        Some(seat)
    }

    /// Whether somebody waits, and not for an errand to come back. Errands rank
    /// last, so behind the first of them there are only others.
    fn somebody_may_go(&self) -> bool {
        self.waiting.first().is_some_and(|(rank, _)| !rank.is_errand() || self.has_room_for_errands())
    }

    /// When those that wait can go on, if not by an answer.
    pub(super) fn opens_at(&self, now: Uptime) -> Option<Uptime> {
        if !self.somebody_may_go() {
            return None;
        }
        match self.throttle.admit(now) {
            Admission::Go => Some(now),
            Admission::NotBefore(at) => Some(at),
            Admission::Full => None,
        }
    }
}

/// Half of what may be under way at a time.
fn most_errands(max_concurrent_requests: usize) -> usize {
    (max_concurrent_requests / 2).max(1)
}
