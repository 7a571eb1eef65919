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

/// After one that had no answer, no pause waits for one for so long.
const STATUSES_HANG: Duration = Duration::from_mins(1);

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
    // Until when questions about executions are taken to have no answer.
    statuses_hang_until: Uptime,
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
            statuses_hang_until: Uptime::ZERO,
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

    /// A list is asked for, whose pages do not wait here.
    pub(super) fn list_began(&mut self) {
        self.throttle.list_began();
    }

    /// It came, or failed.
    pub(super) fn list_ended(&mut self, now: Uptime) {
        self.throttle.list_ended(now);
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

    /// A question about executions had no answer, or had one. If that is news, whoever waits
    /// to ask before a pause is to be decided about anew.
    pub(super) fn status_ended(&mut self, has_hung: bool, now: Uptime) -> Vec<SyncRef> {
        let is_news = has_hung && !self.statuses_hang(now);
        self.statuses_hang_until = if has_hung { now + STATUSES_HANG } else { Uptime::ZERO };
        let asks = |(rank, seat): &(Rank, Seat)| match (rank, seat) {
            (Rank::ErrandToPause(_), Seat::Errand(sync)) => Some(sync.clone()),
            _ => None,
        };
        if is_news { self.waiting.iter().filter_map(asks).collect() } else { vec![] }
    }

    pub(super) fn statuses_hang(&self, now: Uptime) -> bool {
        now < self.statuses_hang_until
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::sync::SyncKind;

    const NOW: Moment = Moment { wall: DateTime::UNIX_EPOCH, uptime: Duration::from_secs(100) };

    fn sync(number: u128) -> SyncRef {
        SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number))
    }

    fn state(number: u128) -> Seat {
        Seat::State(sync(number))
    }

    fn errand(number: u128) -> Seat {
        Seat::Errand(sync(number))
    }

    fn until(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(60 * minute, 0).unwrap()
    }

    fn lane(places: usize) -> Lane {
        let mut lane = Lane::default();
        let limits = Limits { max_concurrent_requests: places, ..Limits::default() };
        lane.limit(&limits, Duration::from_mins(1));
        lane
    }

    fn answered(lane: &mut Lane, seat: &Seat) {
        lane.finished(seat, Outcome::Answered, None, NOW, 0.0);
    }

    /// Everybody who goes, one after the other, if each takes a place.
    fn order(lane: &mut Lane) -> Vec<Seat> {
        std::iter::from_fn(|| lane.next(NOW.uptime).inspect(|it| lane.started(it.clone(), NOW.uptime)))
            .collect()
    }

    #[test]
    fn resumes_leave_first_then_the_shortest_pauses_then_errands() {
        let mut lane = lane(8);
        lane.wait(Rank::Errand, errand(1));
        lane.wait(Rank::LookToPause(until(5)), state(2));
        lane.wait(Rank::Pause(until(90)), state(3));
        lane.wait(Rank::Pause(until(20)), state(4));
        lane.wait(Rank::LookToResume, state(5));
        lane.wait(Rank::Resume, state(6));
        assert_eq!(order(&mut lane), [state(6), state(5), state(4), state(3), state(2), errand(1)]);
    }

    #[test]
    fn who_waits_with_a_new_rank_waits_once() {
        let mut lane = lane(8);
        lane.wait(Rank::LookToPause(until(5)), state(1));
        lane.wait(Rank::Resume, state(2));
        lane.wait(Rank::LookToResume, state(1));
        assert_eq!(order(&mut lane), [state(2), state(1)]);
        lane.wait(Rank::Resume, state(1));
        assert_eq!(order(&mut lane), [state(1)], "it may wait again");
    }

    #[test]
    fn errands_take_half_of_the_places_and_leave_the_others_to_what_is_owed() {
        let mut lane = lane(4);
        for number in 1..=3 {
            lane.wait(Rank::Errand, errand(number));
        }
        assert_eq!(order(&mut lane), [errand(1), errand(2)]);
        assert!(!lane.admits_errand(NOW.uptime) && lane.admits(NOW.uptime));
        assert_eq!(lane.opens_at(NOW.uptime), None, "only an answer lets the third one go");
        lane.wait(Rank::Resume, state(9));
        assert_eq!(lane.opens_at(NOW.uptime), Some(NOW.uptime));
        assert_eq!(order(&mut lane), [state(9)]);
        answered(&mut lane, &state(9));
        assert_eq!(order(&mut lane), [], "that was nobody's errand");
        answered(&mut lane, &errand(1));
        assert_eq!(order(&mut lane), [errand(3)]);
    }

    #[test]
    fn an_answer_that_comes_twice_gives_one_place_back() {
        let mut lane = lane(2);
        lane.wait(Rank::Errand, errand(1));
        assert_eq!(order(&mut lane), [errand(1)]);
        answered(&mut lane, &errand(1));
        answered(&mut lane, &errand(1));
        for number in 2..=3 {
            lane.wait(Rank::Errand, errand(number));
        }
        assert_eq!(order(&mut lane), [errand(2)]);
    }

    #[test]
    fn a_single_place_is_for_an_errand_too_and_then_for_nobody_else() {
        let mut lane = lane(1);
        lane.started(Seat::Preflight(sync(1)), NOW.uptime);
        lane.wait(Rank::Resume, state(2));
        assert_eq!(order(&mut lane), []);
        answered(&mut lane, &Seat::Preflight(sync(1)));
        assert_eq!(order(&mut lane), [state(2)]);
    }

    #[test]
    fn a_key_is_proven_only_by_another_sync() {
        let mut lane = lane(8);
        let proven = |lane: &mut Lane, number| {
            lane.started(state(number), NOW.uptime);
            lane.finished(&state(number), Outcome::Answered, Some(&sync(number)), NOW, 0.0);
        };
        assert!(!lane.key_proven_by_other(&sync(1)));
        proven(&mut lane, 1);
        assert!(!lane.key_proven_by_other(&sync(1)) && lane.key_proven_by_other(&sync(2)));
        proven(&mut lane, 2);
        proven(&mut lane, 2);
        assert!(lane.key_proven_by_other(&sync(1)) && lane.key_proven_by_other(&sync(2)));
    }
}
