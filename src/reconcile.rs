//! One pass over the syncs that are due: what has been learnt, what the plan says,
//! what is to be done next.
//!
//! The reconciler does no I/O and reads no clock. It is told what was heard
//! and what time it is, and it answers with [`Action`]s, which somebody else
//! carries out: `daemon` over HTTP, the simulation in simulated time. A pass
//! never waits: syncs with a request under way are left alone until it is
//! answered, and what an organization's throttle does not admit yet stays in
//! its lane and is decided anew when it is let through.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::calendar::{Calendar, Desired, OpenWindows};
use crate::domain::event::Event;
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::operator::Order;
use crate::domain::organization::Organization;
use crate::domain::plan::{Case, Errand, Evidence, Learnt, Rules};
use crate::domain::preflight::{Preflight, Sight};
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use crate::domain::verdict::{Failure, FailureKind, Verdict};
use crate::domain::watch::WindowWatch;
use crate::ledger::{AsItIs, Change};
use crate::polytomic::Limits;

mod due;
mod lane;
mod operator;
mod orders;
mod planned;
mod preflight;
mod report;
mod selection;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod turn;
mod why;
mod windows;
mod withdrawn;

use due::Due;
use lane::{Lane, Seat};
use tally::Tallies;

pub use crate::polytomic::throttle::Outcome;
pub use operator::{NotForgotten, Resumed, Selection};
pub use orders::{NotExempt, Terms};
pub use planned::Planned;
pub use preflight::PreflightRule;
pub use report::{OrderReport, Report, RowReport, RowState, headline};
pub use sweep::SWEPT_FROM;
pub use why::{Holder, Wanted, Why};
pub use withdrawn::{NotEnded, Withdrawn};

/// The date of this release. A clock that says less is wrong, and nothing is
/// paused on its word.
pub const RELEASED: DateTime<Utc> = match DateTime::from_timestamp(1_795_392_000, 0) {
    Some(date) => date,
    None => DateTime::<Utc>::UNIX_EPOCH,
};

/// An answer older than this does not decide any more: it is asked for again.
pub const FRESH: Duration = Duration::from_secs(10);

/// No more writes than this are kept for a ledger that takes none, besides one
/// for each row, and what operators ask for.
const MOST_UNWRITTEN: usize = 1000;

/// A pass decides about so many syncs, and leaves the others to the next one, which is
/// due at once: what the first of ten thousand need is sent before the last are decided
/// about. More than may be under way at a time, so that nothing stands idle.
const AT_ONCE: usize = 128;

/// When the next pass is due, by either clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// By uptime.
    pub uptime: Option<Uptime>,
    /// By the wall clock.
    pub wall: Option<DateTime<Utc>>,
}

/// What came back for an action.
#[derive(Debug, Clone)]
pub struct Reply {
    /// About which sync.
    pub sync: SyncRef,
    /// Who was asked.
    pub organization: Arc<Organization>,
    /// What was learnt.
    pub evidence: Evidence,
    /// The sync's name, if the answer told it.
    pub name: Option<String>,
    /// What it says of the organization's health.
    pub outcome: Outcome,
}

/// What came back for an errand.
#[derive(Debug, Clone)]
pub struct ErrandReply {
    /// About which sync.
    pub sync: SyncRef,
    /// Who was asked.
    pub organization: Arc<Organization>,
    /// What was learnt.
    pub learnt: Learnt,
}

/// What came back of a list that was read in place of looks.
#[derive(Debug, Clone)]
pub struct SweepReply {
    /// Whose syncs.
    pub organization: Arc<Organization>,
    /// When its first page was asked for.
    pub sent: Moment,
    /// Whether each sync is on, as far as the list says; or why there is none.
    pub result: Result<HashMap<(SyncKind, Uuid), bool>, Failure>,
}

/// What came back of a look before a window.
#[derive(Debug, Clone)]
pub struct ScoutReply {
    /// Of which sync.
    pub sync: SyncRef,
    /// Who was asked.
    pub organization: Arc<Organization>,
    /// The sync's name, if the answer told it.
    pub name: Option<String>,
    /// What was seen, or why nothing was.
    pub result: Result<Sight, Failure>,
}

/// Something to be carried out. Writes must reach the ledger in the order in
/// which the actions are given.
#[derive(Debug, Clone)]
pub enum Action {
    /// Ask for a sync's state.
    Look {
        /// Which sync.
        sync: SyncRef,
        /// Where to ask.
        organization: Arc<Organization>,
    },
    /// Make `change` durable, and only then send `active: false`, unless it is
    /// `until` by then.
    Pause {
        /// Which sync.
        sync: SyncRef,
        /// Where to send it.
        organization: Arc<Organization>,
        /// The intent.
        change: Change,
        /// Not at or after then.
        until: DateTime<Utc>,
    },
    /// Write `change` if it can be written, then send `active: true`.
    Resume {
        /// Which sync.
        sync: SyncRef,
        /// Where to send it.
        organization: Arc<Organization>,
        /// The intent.
        change: Change,
    },
    /// List all syncs of these kinds.
    List {
        /// Whose.
        organization: Arc<Organization>,
        /// Of which kinds.
        kinds: Vec<SyncKind>,
    },
    /// List an organization's syncs, to see which of them are off. A list that comes
    /// late, or not at all, holds nothing up.
    Sweep {
        /// Whose.
        organization: Arc<Organization>,
        /// Of which kinds.
        kinds: Vec<SyncKind>,
    },
    /// Look at a sync of a coming occurrence.
    Scout {
        /// Which sync.
        sync: SyncRef,
        /// Where to ask.
        organization: Arc<Organization>,
    },
    /// Ask about executions.
    Errand {
        /// Of which sync.
        sync: SyncRef,
        /// Where to ask.
        organization: Arc<Organization>,
        /// What.
        errand: Errand,
    },
    /// Make `change` durable, and only then begin an execution.
    Start {
        /// Of which sync.
        sync: SyncRef,
        /// Where to send it.
        organization: Arc<Organization>,
        /// The intent.
        change: Change,
    },
    /// Write this down, and tell of it.
    Write {
        /// What to write.
        change: Change,
    },
    /// Write down what could not be written before. It was told then.
    WriteAgain {
        /// What to write.
        change: Change,
    },
}

/// What a configuration brings into force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The windows.
    pub calendar: Arc<Calendar>,
    /// The organizations by name.
    pub organizations: BTreeMap<Name, (Arc<Organization>, Limits)>,
    /// The pace.
    pub rules: Rules,
    /// What is looked at before windows open; none: nothing.
    pub preflight: Option<PreflightRule>,
}

/// All syncs that matter now, and what is known of them.
#[derive(Debug)]
pub struct Reconciler {
    // None: release-only, there is no configuration in force.
    in_force: Option<InForce>,
    rules: Rules,
    // Boxed: the nodes of the map are half empty, and a case is large.
    cases: BTreeMap<SyncRef, Box<Case>>,
    // Names that were seen, of syncs too about which nothing is known any more.
    names: BTreeMap<SyncRef, String>,
    lanes: BTreeMap<Arc<Organization>, Lane>,
    watches: BTreeMap<Name, WindowWatch>,
    // The windows in force: those of the file, and what was added to them. None
    // without a configuration.
    calendar: Option<Arc<Calendar>>,
    // What operators asked for, and the highest number that an order ever had.
    orders: Vec<Order>,
    last_order: u32,
    // What windows select.
    selections: selection::Selections,
    preflights: preflight::Preflights,
    // Lists in place of looks.
    sweeps: sweep::Sweeps,
    // What the calendar wants, as of the last boundary. None without a calendar.
    open: Option<OpenWindows>,
    // Something changed that the calendar, or every row, has to be asked about.
    is_outdated: bool,
    next_change: Option<DateTime<Utc>>,
    // Syncs to decide about.
    due: Due,
    timers: BTreeSet<(Uptime, SyncRef)>,
    // The wall clock at the last pass: less than that now means it was set back.
    last_pass: Option<DateTime<Utc>>,
    // Rows whose last write failed: the ledger is behind us.
    unwritten: BTreeMap<SyncRef, Vec<(DateTime<Utc>, Event)>>,
    unwritten_others: Vec<Change>,
    rewrite_at: Option<Uptime>,
    // The organizations in which somebody is to be resumed, once a pass asks.
    owing: Option<BTreeSet<Name>>,
    // What came of the occurrences that are ending.
    tallies: Tallies,
    is_stopping: bool,
    dice: fastrand::Rng,
}

impl Reconciler {
    /// Starts from what the ledger remembers. Without a configuration, what is
    /// held is resumed when it is due, and nothing is paused.
    pub fn new(
        holds: Vec<Hold>,
        watches: Vec<WindowWatch>,
        in_force: Option<InForce>,
        dice: fastrand::Rng,
    ) -> Self {
        let cases: BTreeMap<SyncRef, Box<Case>> =
            holds.into_iter().map(|hold| (hold.sync.clone(), Box::new(Case::remembered(hold)))).collect();
        let mut reconciler = Self {
            in_force: None,
            calendar: None,
            orders: Vec::new(),
            last_order: 0,
            selections: selection::Selections::default(),
            preflights: preflight::Preflights::default(),
            sweeps: sweep::Sweeps::default(),
            rules: Rules::default(),
            names: cases.values().filter_map(|it| Some((it.sync.clone(), it.name.clone()?))).collect(),
            cases,
            lanes: BTreeMap::new(),
            watches: watches.into_iter().map(|it| (it.window.clone(), it)).collect(),
            open: None,
            is_outdated: true,
            next_change: None,
            due: Due::default(),
            timers: BTreeSet::new(),
            last_pass: None,
            unwritten: BTreeMap::new(),
            unwritten_others: Vec::new(),
            rewrite_at: None,
            owing: None,
            tallies: Tallies::default(),
            is_stopping: false,
            dice,
        };
        if let Some(in_force) = in_force {
            reconciler.bring_into_force(in_force);
        }
        reconciler
    }

    /// Puts a configuration into force; the next pass acts on it. What was
    /// refused before is tried again at once.
    pub fn bring_into_force(&mut self, in_force: InForce) {
        self.rules = in_force.rules;
        for (organization, limits) in in_force.organizations.values() {
            let lane = self.lanes.entry(Arc::clone(organization)).or_default();
            lane.limit(limits, self.rules.backoff.max);
        }
        self.in_force = Some(in_force);
        self.select_anew();
        self.renew_calendar();
        self.renew_addresses();
        self.retry_now();
    }

    /// Puts together what the file says and what was added to it.
    fn renew_calendar(&mut self) {
        let selected = self.in_force.as_ref().map(|it| self.with_selected(&it.calendar));
        self.calendar = selected.map(|it| match &self.orders[..] {
            [] => it,
            orders => Arc::new(it.with_orders(orders)),
        });
        self.is_outdated = true;
    }

    /// When anything is next due to change; `None` if nothing is foreseen.
    pub fn next_change(&self) -> Option<DateTime<Utc>> {
        self.next_change
    }

    /// The windows in force. None without a configuration.
    pub fn calendar(&self) -> Option<&Arc<Calendar>> {
        self.calendar.as_ref()
    }

    /// Rows whose organization is still reached under the same URL take over how
    /// it is reached now: a key that has moved is found where it is.
    fn renew_addresses(&mut self) {
        let Some(in_force) = &self.in_force else { return };
        for case in self.cases.values_mut() {
            let Some((organization, _)) = in_force.organizations.get(&case.sync.organization) else {
                continue;
            };
            if case.readdress(organization) {
                self.unwritten.entry(case.sync.clone()).or_default();
                self.rewrite_at = Some(Uptime::ZERO);
            }
        }
    }

    /// Forgets all waiting after failures: a key may have changed, or an
    /// operator may have mended something.
    pub fn retry_now(&mut self) {
        for case in self.cases.values_mut() {
            case.retry = None;
            case.errands.retry_now();
        }
        self.lanes.values_mut().for_each(Lane::reset);
        self.is_outdated = true;
    }

    /// From now on nothing new is sent; answers are still taken note of.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        // What the ledger refused gets its last chance.
        self.rewrite_at = self.rewrite_at.map(|_| Uptime::ZERO);
    }

    /// Whether everything is on disk that should be.
    pub fn is_written(&self) -> bool {
        self.unwritten.is_empty() && self.unwritten_others.is_empty()
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.cases.values().filter(|case| case.is_in_flight()).count()
    }

    /// Whether anything is held or being resumed, so that a resume is owed.
    pub fn owes_resumes(&self) -> bool {
        self.holds().any(|hold| hold.state.owes_resume())
    }

    /// Whether a resume is to be sent now, or is under way.
    pub fn owes_due_resumes(&self, now: Moment) -> bool {
        self.cases.values().any(|case| {
            let desired = self.desired(case, now);
            let is_due = |hold: &Hold| match &desired {
                Desired::Running => true,
                // Somebody asked for it, or decided against all that holds it.
                Desired::Paused(pause) => {
                    hold.state == HoldState::Resuming || pause.holders.iter().all(|it| hold.leaves_alone(it))
                }
            };
            case.hold.as_ref().is_some_and(|hold| hold.state.owes_resume() && is_due(hold))
        })
    }

    /// Every row.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.cases.values().filter_map(|case| case.hold.as_ref())
    }

    /// The rows that owe a resume at another place than where the file has their
    /// organization, each with that.
    pub fn left_behind(&self) -> impl Iterator<Item = (&Hold, &Organization)> {
        let owing = self.holds().filter(|hold| hold.state.owes_resume());
        owing.filter_map(|hold| Some((hold, self.elsewhere(&hold.organization)?)))
    }

    /// Where the file has the organization of this name, if that is another place.
    fn elsewhere(&self, organization: &Organization) -> Option<&Organization> {
        let (configured, _) = self.in_force.as_ref()?.organizations.get(&organization.name)?;
        (!configured.is_same_place(organization)).then_some(configured)
    }

    /// The organizations in force, with their limits.
    pub fn organizations(&self) -> impl Iterator<Item = &(Arc<Organization>, Limits)> {
        self.in_force.iter().flat_map(|it| it.organizations.values())
    }

    /// Whether a window of this name is in force, or an operator's pause.
    pub fn knows_window(&self, name: &Name) -> bool {
        self.calendar.as_ref().is_some_and(|it| it.window(name.as_str()).is_some())
            || self.orders.iter().any(|it| it.name() == *name)
    }

    /// Every sync that a window names or that has a row, with its name if it
    /// is known.
    pub fn known_syncs(&self) -> impl Iterator<Item = (&SyncRef, Option<&str>)> {
        let covered = self.calendar.iter().flat_map(|it| it.syncs());
        self.cases.keys().chain(covered).map(|sync| (sync, self.name_of(sync)))
    }

    /// The names of syncs at Polytomic, once seen.
    pub fn names(&self) -> &BTreeMap<SyncRef, String> {
        &self.names
    }

    /// A sync's name at Polytomic, once seen.
    fn name_of(&self, sync: &SyncRef) -> Option<&str> {
        self.names.get(sync).map(String::as_str)
    }

    /// What people call it: by its name, or its id if that is not known.
    fn called(&self, sync: &SyncRef) -> String {
        self.name_of(sync).map_or_else(|| sync.id.to_string(), str::to_owned)
    }

    /// Whether nothing is under way and nothing that is due is undone. Rows
    /// that only wait to settle, or for their end, are at rest.
    pub fn is_at_rest(&self, now: Moment) -> bool {
        let is_undone = |case: &Case| {
            let desired = self.desired(case, now);
            case.is_in_flight()
                || case.evidence.is_some()
                || case.trouble.is_some()
                || case.is_first_proof_to_come()
                || match (&desired, case.hold.as_ref()) {
                    (_, Some(hold)) if hold.counts_as_done(&desired) => false,
                    (Desired::Running, None) => false,
                    (_, _) => true,
                }
        };
        !self.boundary_passed(now.wall)
            && self.has_listed()
            && self.due.is_empty()
            && !self.cases.values().any(|it| is_undone(it))
    }

    /// Takes note of what a request brought.
    pub fn hear(&mut self, reply: Reply, now: Moment) {
        if let Some(lane) = self.lanes.get_mut(&reply.organization) {
            let proof = is_proof(&reply.evidence).then_some(&reply.sync);
            let seat = Seat::State(reply.sync.clone());
            lane.finished(&seat, reply.outcome, proof, now, self.dice.f64());
        }
        if let Some(name) = &reply.name {
            self.names.insert(reply.sync.clone(), name.clone());
        }
        let Some(case) = self.cases.get_mut(&reply.sync) else { return };
        case.name = reply.name.or(case.name.take());
        case.hear(reply.evidence, now);
        self.make_due(reply.sync);
    }

    /// Takes note of what an errand brought.
    pub fn hear_errand(&mut self, reply: ErrandReply, now: Moment) {
        if let Some(lane) = self.lanes.get_mut(&reply.organization) {
            let outcome = Outcome::of(reply.learnt.result.as_ref().err());
            let proof = reply.learnt.result.is_ok().then_some(&reply.sync);
            lane.finished(&Seat::Errand(reply.sync.clone()), outcome, proof, now, self.dice.f64());
        }
        let Some(case) = self.cases.get_mut(&reply.sync) else { return };
        let was_status = case.errands.call == Some(Errand::Status);
        let hangs = |it: &Failure| matches!(it.kind, FailureKind::Timeout | FailureKind::Lost);
        let has_hung = reply.learnt.result.as_ref().is_err_and(hangs);
        case.errands.hear(reply.learnt, now);
        if let Some(lane) = self.lanes.get_mut(&reply.organization).filter(|_| was_status) {
            let waiting = lane.status_ended(has_hung, now.uptime);
            for sync in waiting {
                self.make_due(sync);
            }
        }
        self.make_due(reply.sync);
    }

    /// A write failed: what it said is written again, in its newest form, once
    /// the ledger takes writes.
    pub fn write_failed(&mut self, change: Change, now: Moment) {
        match change.sync() {
            Some(sync) => {
                let events = change.events().map(|(at, event)| (at, event.clone()));
                self.unwritten.entry(sync.clone()).or_default().extend(events);
            }
            // What is told of windows and of the daemon; of a long outage only the beginning.
            None if self.unwritten_others.len() < MOST_UNWRITTEN || change.is_of_order() => {
                self.unwritten_others.push(change);
            }
            None => {}
        }
        self.rewrite_at = Some(now.uptime + Duration::from_secs(10));
    }

    /// Decides about syncs that are due. If there are many, [`Self::next_wake`] says
    /// that the next pass is due at once.
    pub fn pass(&mut self, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        self.owing = None;
        if self.boundary_passed(now.wall) {
            self.reopen(now, &mut actions);
        }
        while self.timers.first().is_some_and(|(at, _)| *at <= now.uptime) {
            let Some((_, sync)) = self.timers.pop_first() else { break };
            self.make_due(sync);
        }
        // Whoever stops has no next pass.
        let most = if self.is_stopping { usize::MAX } else { AT_ONCE };
        for _ in 0..most {
            let Some(sync) = self.due.pop() else { break };
            self.decide_wholly(&sync, now, &mut actions);
        }
        if !self.is_stopping {
            self.fly(now, &mut actions);
            self.let_through(now, &mut actions);
            self.list(now, &mut actions);
            self.sweep(now, &mut actions);
        }
        self.report_windows(now, &mut actions);
        self.rewrite(now, &mut actions);
        self.last_pass = Some(now.wall);
        actions
    }

    /// When the next pass is due if nothing is heard before.
    pub fn next_wake(&self, now: Moment) -> Wake {
        let left_over = self.is_more_due().then_some(now.uptime);
        let lanes = self.lanes.values().filter_map(|lane| lane.opens_at(now.uptime));
        let timer = self.timers.first().map(|(at, _)| *at);
        let lists = [self.next_list(now), self.sweeps.next()];
        let others =
            [self.rewrite_at, self.next_flight(now), self.tallies.look_at()].into_iter().chain(lists);
        let uptime = lanes.chain(timer).chain(left_over).chain(others.flatten()).min();
        Wake { uptime, wall: self.next_change }
    }

    /// Whether there was more to decide about than a pass takes on.
    pub fn is_more_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// It is decided about in this pass, or in one of the next.
    fn make_due(&mut self, sync: SyncRef) {
        let case = self.cases.get(&sync).map(|it| &**it);
        self.due.insert(sync, case);
    }

    /// Whether what the windows want may have changed since the last pass.
    fn boundary_passed(&self, now: DateTime<Utc>) -> bool {
        let was_set_back = self.last_pass.is_some_and(|before| now < before);
        let is_right_again = self.last_pass.is_some_and(|before| before < RELEASED) && RELEASED <= now;
        self.is_outdated || was_set_back || is_right_again || self.next_change.is_some_and(|at| at <= now)
    }

    /// Asks the calendar again, and every sync that may be affected.
    fn reopen(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.drop_old_orders(now, actions);
        match self.calendar.clone() {
            Some(calendar) if self.goes_on(now.wall) => self.open_what_changes(&calendar, now, actions),
            calendar => self.open_all(calendar.as_deref(), now, actions),
        }
    }

    /// Whether nothing but time has passed since the last pass.
    fn goes_on(&self, now: DateTime<Utc>) -> bool {
        let was_right = self.last_pass.is_some_and(|before| RELEASED <= before && before <= now);
        !self.is_outdated && was_right
    }

    /// Asks only the windows that have reached a change, and their syncs.
    fn open_what_changes(&mut self, calendar: &Calendar, now: Moment, actions: &mut Vec<Action>) {
        let advanced = self.open.as_mut().and_then(|open| calendar.advance(open, now.wall));
        let Some(advanced) = advanced else { return self.open_all(Some(calendar), now, actions) };
        self.watch(calendar.windows_of_change(&advanced), now, actions);
        self.look_ahead(calendar, now, actions);
        self.look_out(calendar, now, actions);
        for sync in calendar.syncs_of_change(&advanced) {
            self.make_due(sync.clone());
        }
        self.next_change = self.open.as_ref().and_then(OpenWindows::next_change);
    }

    fn open_all(&mut self, calendar: Option<&Calendar>, now: Moment, actions: &mut Vec<Action>) {
        if let Some(calendar) = calendar {
            self.watch_windows(calendar, now, actions);
            self.look_ahead(calendar, now, actions);
            self.look_out(calendar, now, actions);
            let open = calendar.open_at(now.wall);
            open.paused().for_each(|(sync, _)| self.make_due(sync.clone()));
            self.next_change = open.next_change();
            self.open = Some(open);
        } else {
            let ends = self.holds().flat_map(Hold::ends).filter(|end| now.wall < *end);
            self.next_change = ends.min();
            self.open = None;
        }
        self.is_outdated = false;
        for (sync, case) in &self.cases {
            self.due.insert(sync.clone(), Some(case));
        }
    }

    /// A sync that a window covers has a case from its first turn on.
    fn open_case(&mut self, sync: &SyncRef) {
        if !self.cases.contains_key(sync) && self.open.iter().any(|open| open.pause(sync).is_some()) {
            let name = self.names.get(sync).cloned();
            self.cases.insert(sync.clone(), Box::new(Case { name, ..Case::new(sync.clone()) }));
        }
    }

    /// Writes again what could not be written.
    fn rewrite(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.rewrite_at.is_none_or(|at| now.uptime < at) {
            return;
        }
        self.rewrite_at = None;
        for (sync, events) in std::mem::take(&mut self.unwritten) {
            let change = match self.cases.get(&sync).and_then(|case| case.hold.clone()) {
                Some(hold) => Change::new().put(hold),
                None => Change::new().forget(sync),
            };
            let change = events.into_iter().fold(change, |change, (at, event)| change.record(at, event));
            actions.push(Action::WriteAgain { change });
        }
        for change in std::mem::take(&mut self.unwritten_others) {
            actions.push(Action::WriteAgain { change: change.as_it_is(self) });
        }
    }
}

impl AsItIs for Reconciler {
    fn order(&self, number: u32) -> Option<Order> {
        self.orders.iter().find(|it| it.number == number).cloned()
    }

    fn watch(&self, window: &Name) -> Option<WindowWatch> {
        self.watches.get(window).cloned()
    }

    fn selection(&self, window: &Name) -> Option<Resolution> {
        self.selections.found.get(window).map(|it| it.as_ref().clone())
    }

    fn preflight(&self, window: &Name) -> Option<Preflight> {
        self.preflights.told.get(window).cloned()
    }
}

/// Whether the answer proves that the key is accepted and the API is there.
fn is_proof(evidence: &Evidence) -> bool {
    match evidence {
        Evidence::Saw { state, .. } => *state != SyncState::Gone,
        Evidence::Answered { verdict, .. } => *verdict == Verdict::Applied,
        Evidence::LookFailed { .. } | Evidence::NotWritten { .. } => false,
    }
}

fn write(change: Change, events: Vec<Event>, now: Moment) -> Action {
    let change = events.into_iter().fold(change, |change, event| change.record(now.wall, event));
    Action::Write { change }
}
