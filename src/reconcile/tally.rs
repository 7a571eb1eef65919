//! What came of an occurrence: told in one line, once all that it paused runs
//! again.
//!
//! It is gathered while rows are dropped, here and in the ledger: a restart in the
//! middle of it loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::event::{Event, EventKind};
use crate::domain::execution::After;
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::plan::Proof;
use crate::domain::report::{SyncReport, Tally};
use crate::domain::sync::{Name, SyncState};
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// How often it is seen whether an occurrence has come to its end in all its syncs.
const PACE: Duration = Duration::from_secs(2);

/// The occurrences whose syncs are being proven to run.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    of: BTreeMap<(Name, DateTime<Utc>), Tally>,
    look_at: Option<Uptime>,
}

impl Tallies {
    pub(super) fn look_at(&self) -> Option<Uptime> {
        self.look_at
    }

    /// A resumed sync is looked after no more. Its row was this, and so it was seen.
    pub(super) fn add(&mut self, hold: &Hold, proof: Option<&Proof>, now: Moment) -> Vec<SyncReport> {
        if proof.is_some_and(|it| it.state != SyncState::Active) {
            return vec![];
        }
        let status = proof.and_then(|it| it.status.as_ref());
        self.note(SyncReport::of_resumed(hold, status), now)
    }

    /// A row that says only that a sync was left alone is dropped: those windows are over.
    pub(super) fn add_left_alone(&mut self, hold: &Hold, now: Moment) -> Vec<SyncReport> {
        self.note(SyncReport::of_left_alone(hold), now)
    }

    /// Takes note of these, and says which are news.
    fn note(&mut self, reports: impl Iterator<Item = SyncReport>, now: Moment) -> Vec<SyncReport> {
        let news: Vec<_> = reports.filter(|it| self.count(it.clone())).collect();
        if !news.is_empty() {
            self.look_at.get_or_insert(now.uptime + PACE);
        }
        news
    }

    fn count(&mut self, report: SyncReport) -> bool {
        self.of.entry((report.window.clone(), report.opens)).or_default().add(report)
    }
}

impl Reconciler {
    /// Takes over what an earlier process had gathered.
    pub fn remember_reports(&mut self, reports: Vec<SyncReport>) {
        self.tallies.look_at = (!reports.is_empty()).then_some(Uptime::ZERO);
        for it in reports {
            self.tallies.count(it);
        }
    }

    /// Tells of the occurrences that are over in all their syncs.
    pub(super) fn report_windows(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.tallies.look_at.is_none_or(|at| now.uptime < at) {
            return;
        }
        let is_over = |window: &Name, opens: DateTime<Utc>| {
            let is_it =
                |hold: &&Hold| hold.holders.iter().any(|it| it.window == *window && it.opens == opens);
            let is_open = self.watches.get(window).is_some_and(|it| {
                it.open.as_ref().is_some_and(|open| open.opens == opens && now.wall < open.closes)
            });
            !is_open && !self.holds().filter(is_it).any(is_owed)
        };
        let over: Vec<_> =
            self.tallies.of.keys().filter(|(window, opens)| is_over(window, *opens)).cloned().collect();
        for key in over {
            let Some(tally) = self.tallies.of.remove(&key) else { continue };
            let still = self.still_paused(&key.0, key.1);
            let change = Change::new().drop_reports(key.0.clone(), key.1);
            let event = Event {
                window: Some(key.0),
                occurrence: Some(key.1),
                detail: Some(tally.in_words(&still)),
                ..Event::new(EventKind::WindowReport)
            };
            actions.push(write(change, vec![event], now));
        }
        self.tallies.look_at = (!self.tallies.of.is_empty()).then_some(now.uptime + PACE);
    }
}

impl Reconciler {
    /// The names of those that an occurrence held, and others hold still.
    pub(super) fn still_paused(&self, window: &Name, opens: DateTime<Utc>) -> Vec<String> {
        let served = |hold: &&Hold| hold.served.iter().any(|it| it.window == *window && it.opens == opens);
        self.holds().filter(|it| it.state.owes_resume()).filter(served).map(Hold::called).collect()
    }
}

/// Whether a sync's row is still on its way to running again.
fn is_owed(hold: &Hold) -> bool {
    match hold.state {
        HoldState::Pausing | HoldState::Held | HoldState::Resuming => true,
        HoldState::Settling | HoldState::Released => hold.runs.after != After::Nothing,
        HoldState::Skipped => false,
    }
}
