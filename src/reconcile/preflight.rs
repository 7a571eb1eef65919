//! Before each occurrence: what will trouble it, told once, while people are awake.
//!
//! A flight asks about each sync of one coming occurrence, in its organization's
//! lane, behind everything else. Nothing that it finds is decided on. What could not
//! be asked is asked again until the flight lands, well before the pause begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::calendar::Calendar;
use crate::domain::event::{Event, EventKind};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::preflight::{Findings, Preflight, Sight};
use crate::domain::sync::{Name, SyncRef, SyncState};
use crate::domain::verdict::{Failure, FailureKind};
use crate::domain::window::{Occurrence, Window};
use crate::ledger::Change;

use super::lane::{Rank, Seat};
use super::{Action, Outcome, RELEASED, Reconciler, ScoutReply, write};

/// Of the time that is left when it takes off, a flight uses so much: somebody has
/// to read what it found, and to mend it.
const FLIES_FOR: (u32, u32) = (3, 4);

/// Failures that may pass are asked about so often.
const TRIES: u32 = 4;

/// What is looked at before windows open, and how early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightRule {
    /// This long before the pause begins.
    pub before: Duration,
    /// What is known to be wrong with the time zone data, if anything is.
    pub zone_trouble: Option<String>,
}

/// All that is looked at, and what was told.
#[derive(Debug, Default)]
pub(super) struct Preflights {
    // The coming occurrence of each window, when its pause begins, and when its
    // flight takes off.
    ahead: BTreeMap<Name, Occurrence>,
    pauses: BTreeSet<(DateTime<Utc>, Name)>,
    takes_off: BTreeSet<(DateTime<Utc>, Name)>,
    // Their time has come, and what they select is not known yet.
    grounded: BTreeSet<Name>,
    flights: BTreeMap<Name, Flight>,
    pub(super) told: BTreeMap<Name, Preflight>,
    // One look at a time at each sync, whoever wants to know.
    under_way: BTreeSet<SyncRef>,
}

/// What is being found about one occurrence.
#[derive(Debug)]
struct Flight {
    occurrence: Occurrence,
    lands: Uptime,
    pace: Duration,
    // To be asked about, and not before when.
    waiting: BTreeSet<(Uptime, SyncRef)>,
    // In the lane, or under way.
    asked: BTreeSet<SyncRef>,
    // What asking met last.
    failed: BTreeMap<SyncRef, Failure>,
    findings: Findings,
}

impl Preflights {
    /// Notes a window's coming occurrence, and when its flight takes off.
    fn look_at(&mut self, window: &Window, before: TimeDelta, now: DateTime<Utc>) {
        let Some(next) = window.next_pausing(now) else { return };
        let name = || window.name.clone();
        let is_told = self.told.get(&window.name).is_some_and(|it| it.opens == next.opens);
        let flies = self.flights.get(&window.name).is_some_and(|it| it.occurrence.is(&next));
        if !is_told && !flies {
            self.takes_off.insert((next.pauses - before, name()));
        }
        self.pauses.insert((next.pauses, name()));
        self.ahead.insert(name(), next);
    }
}

impl Flight {
    fn has_asked_all(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// Nothing more is asked: the answer would be the same for each.
    fn give_up(&mut self, because: String) {
        self.findings.note(because);
        self.waiting.clear();
        self.asked.clear();
        self.failed.clear();
    }
}

impl Reconciler {
    /// Takes over what an earlier process told.
    pub fn remember_preflights(&mut self, told: Vec<Preflight>) {
        self.preflights.told = told.into_iter().map(|it| (it.window.clone(), it)).collect();
    }

    /// What was told of occurrences that have not begun, the next one first.
    pub fn preflights(&self) -> Vec<Preflight> {
        let mut told: Vec<_> = self.preflights.told.values().cloned().collect();
        told.sort_by(|a, b| (a.opens, &a.window).cmp(&(b.opens, &b.window)));
        told
    }

    /// At a boundary: which occurrences are ahead, and which are no more. As long as
    /// nothing but time has passed, only windows whose pause has begun are asked.
    pub(super) fn look_out(&mut self, calendar: &Calendar, now: Moment, actions: &mut Vec<Action>) {
        let before = self.in_force.as_ref().and_then(|it| it.preflight.as_ref()).map(|it| it.before);
        let before = before.and_then(|it| TimeDelta::from_std(it).ok());
        let looks_at_all = !self.goes_on(now.wall);
        let it = &mut self.preflights;
        if looks_at_all {
            (it.ahead, it.pauses, it.takes_off, it.grounded) = Default::default();
        }
        let mut begun = Vec::new();
        while let Some((at, _)) = it.pauses.first()
            && *at <= now.wall
        {
            begun.extend(it.pauses.pop_first().map(|(_, window)| window));
        }
        for window in &begun {
            it.ahead.remove(window);
            it.grounded.remove(window);
        }
        if let Some(before) = before {
            let all = calendar.windows().iter().filter(|_| looks_at_all);
            let windows = all.chain(begun.iter().filter_map(|name| calendar.window(name.as_str())));
            windows.for_each(|window| it.look_at(window, before, now.wall));
        }
        // Somebody moved it, or it begins before all was seen: nobody can mend it any more.
        let Preflights { ahead, flights, told, .. } = it;
        flights.retain(|name, flight| ahead.get(name).is_some_and(|it| it.is(&flight.occurrence)));
        let is_over = |it: &Preflight| ahead.get(&it.window).is_none_or(|next| next.opens != it.opens);
        let over: Vec<Name> = told.values().filter(|it| is_over(it)).map(|it| it.window.clone()).collect();
        for window in over {
            told.remove(&window);
            actions.push(write(Change::new().drop_preflight(window), vec![], now));
        }
    }

    /// Takes off, asks, lands.
    pub(super) fn fly(&mut self, now: Moment, actions: &mut Vec<Action>) {
        while let Some((at, _)) = self.preflights.takes_off.first()
            && *at <= now.wall
            && RELEASED <= now.wall
        {
            let Some((_, window)) = self.preflights.takes_off.pop_first() else { break };
            self.preflights.grounded.insert(window);
        }
        for window in std::mem::take(&mut self.preflights.grounded) {
            self.take_off(window, now);
        }
        self.ask_what_waits(now);
        let has_landed = |it: &Flight| it.has_asked_all() || it.lands <= now.uptime;
        let flights = &self.preflights.flights;
        let landed: Vec<Name> =
            flights.iter().filter(|(_, it)| has_landed(it)).map(|(name, _)| name.clone()).collect();
        for window in landed {
            self.land(&window, now, actions);
        }
    }

    fn take_off(&mut self, window: Name, now: Moment) {
        let Some(occurrence) = self.preflights.ahead.get(&window).cloned() else { return };
        let Some(it) = self.calendar.as_ref().and_then(|it| it.window(window.as_str())) else { return };
        // Its list wakes us, or that there is none.
        if it.select.as_ref().is_some_and(|it| !self.knows_list_of(&it.organization)) {
            self.preflights.grounded.insert(window);
            return;
        }
        let left = (occurrence.pauses - now.wall).to_std().unwrap_or_default();
        let flies_for = left * FLIES_FOR.0 / FLIES_FOR.1;
        let flight = Flight {
            occurrence,
            lands: now.uptime + flies_for,
            pace: flies_for / TRIES,
            waiting: it.syncs.iter().map(|sync| (now.uptime, sync.clone())).collect(),
            asked: BTreeSet::new(),
            failed: BTreeMap::new(),
            findings: Findings::default(),
        };
        self.preflights.flights.insert(window, flight);
    }

    /// Puts into the lanes what is to be asked about now.
    fn ask_what_waits(&mut self, now: Moment) {
        let Some(in_force) = &self.in_force else { return };
        for flight in self.preflights.flights.values_mut() {
            while let Some((at, _)) = flight.waiting.first()
                && *at <= now.uptime
            {
                let Some((_, sync)) = flight.waiting.pop_first() else { break };
                let organization = in_force.organizations.get(&sync.organization);
                let is_held = |it: &super::Case| it.hold.as_ref().is_some_and(|it| it.state.owes_resume());
                match organization {
                    _ if self.cases.get(&sync).is_some_and(|it| is_held(it)) => flight.findings.held(),
                    Some((organization, _)) => {
                        let lane = self.lanes.entry(Arc::clone(organization)).or_default();
                        lane.wait(Rank::Preflight, Seat::Preflight(sync.clone()));
                        flight.asked.insert(sync);
                    }
                    // Only a window of the file has syncs, and those have organizations.
                    None => {}
                }
            }
        }
    }

    /// A sync was let through by its lane: asks about it, if anybody still wants to know.
    pub(super) fn scout(&mut self, sync: SyncRef, now: Moment, actions: &mut Vec<Action>) {
        let is_wanted = self.preflights.flights.values().any(|it| it.asked.contains(&sync));
        let organization = self
            .in_force
            .as_ref()
            .and_then(|it| it.organizations.get(&sync.organization))
            .filter(|_| is_wanted);
        let Some((organization, _)) = organization else { return };
        if !self.preflights.under_way.insert(sync.clone()) {
            return;
        }
        let organization = Arc::clone(organization);
        let lane = self.lanes.entry(Arc::clone(&organization)).or_default();
        lane.started(Seat::Preflight(sync.clone()), now.uptime);
        actions.push(Action::Scout { sync, organization });
    }

    /// Takes note of what was seen before a window.
    pub fn hear_scout(&mut self, reply: ScoutReply, now: Moment) {
        let ScoutReply { sync, organization, name, result } = reply;
        self.preflights.under_way.remove(&sync);
        if let Some(lane) = self.lanes.get_mut(&organization) {
            let proof = result.as_ref().is_ok_and(|it| it.state != SyncState::Gone).then_some(&sync);
            let outcome = Outcome::of(result.as_ref().err());
            lane.finished(&Seat::Preflight(sync.clone()), outcome, proof, now, self.dice.f64());
        }
        if let Some(name) = name {
            self.names.insert(sync.clone(), name);
        }
        let called = self.called(&sync);
        let is_held =
            self.cases.get(&sync).and_then(|it| it.hold.as_ref()).is_some_and(|it| it.state.owes_resume());
        for flight in self.preflights.flights.values_mut().filter(|it| it.asked.contains(&sync)) {
            flight.asked.remove(&sync);
            flight.hear(&sync, &called, is_held, result.as_ref(), now);
        }
    }

    /// Tells what was found.
    fn land(&mut self, window: &Name, now: Moment, actions: &mut Vec<Action>) {
        let Some(mut flight) = self.preflights.flights.remove(window) else { return };
        for (sync, failure) in &flight.failed {
            flight.findings.failed(&self.called(sync), failure);
        }
        let is_unseen = |it: &&SyncRef| !flight.failed.contains_key(*it);
        let waiting = flight.waiting.iter().map(|(_, sync)| sync);
        let unseen = waiting.chain(&flight.asked).filter(is_unseen).count();
        if unseen > 0 {
            flight.findings.note(format!("there was no time to look at {unseen} of its syncs"));
        }
        let selection = self.selection_trouble(window).map(str::to_owned);
        let zones = self.in_force.as_ref().and_then(|it| it.preflight.as_ref()?.zone_trouble.clone());
        selection.into_iter().chain(zones).for_each(|it| flight.findings.note(it));

        let (error, detail) = (flight.findings.error(), flight.findings.detail());
        let event = Event {
            window: Some(window.clone()),
            occurrence: Some(flight.occurrence.opens),
            error: error.clone(),
            detail: Some(detail.clone()),
            ..Event::new(EventKind::Preflight)
        };
        let told =
            Preflight { window: window.clone(), opens: flight.occurrence.opens, at: now.wall, error, detail };
        actions.push(write(Change::new().preflight(told.clone()), vec![event], now));
        self.preflights.told.insert(window.clone(), told);
    }

    /// When a flight has something to do, by uptime.
    pub(super) fn next_flight(&self, now: Moment) -> Option<Uptime> {
        let Preflights { takes_off, flights, .. } = &self.preflights;
        let first = takes_off.first().map(|(at, _)| (*at).max(RELEASED));
        let first = first.map(|at| now.uptime + (at - now.wall).to_std().unwrap_or_default());
        let lands = flights.values().map(|it| it.lands);
        let asks = flights.values().filter_map(|it| Some(it.waiting.first()?.0));
        let is_landing = flights.values().any(Flight::has_asked_all).then_some(now.uptime);
        first.into_iter().chain(lands).chain(asks).chain(is_landing).min()
    }
}

impl Flight {
    fn hear(
        &mut self,
        sync: &SyncRef,
        called: &str,
        is_held: bool,
        result: Result<&Sight, &Failure>,
        now: Moment,
    ) {
        let failure = match result {
            Ok(_) if is_held => {
                self.failed.remove(sync);
                return self.findings.held();
            }
            Ok(sight) => {
                self.failed.remove(sync);
                return self.findings.saw(called, *sight);
            }
            Err(failure) => failure,
        };
        match failure.kind {
            FailureKind::Unauthorized | FailureKind::Key => {
                let organization = &sync.organization;
                self.give_up(format!("the key of organization `{organization}` does not do: {failure}"));
            }
            FailureKind::Forbidden | FailureKind::Rejected | FailureKind::Redirected | FailureKind::Gone => {
                self.findings.failed(called, failure);
            }
            FailureKind::Conflict
            | FailureKind::Throttled
            | FailureKind::Server
            | FailureKind::Malformed
            | FailureKind::Timeout
            | FailureKind::NotSent
            | FailureKind::Lost
            | FailureKind::Ledger => {
                self.failed.insert(sync.clone(), failure.clone());
                self.waiting.insert((now.uptime + self.pace, sync.clone()));
            }
        }
    }
}
