//! What came of an occurrence: told in one line, once all that it paused runs
//! again.
//!
//! It is gathered while rows are dropped, and not kept on disk: after a restart the
//! line is about what came later.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::event::{Event, EventKind};
use crate::domain::execution::After;
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::operator::is_order;
use crate::domain::plan::Proof;
use crate::domain::sync::{Name, SyncState};
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// So many missed runs are told one by one.
const MOST_NAMED: usize = 5;

/// How often it is seen whether an occurrence has come to its end in all its syncs.
const PACE: Duration = Duration::from_secs(2);

/// The occurrences whose syncs are being proven to run.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    of: BTreeMap<(Name, DateTime<Utc>), Tally>,
    look_at: Option<Uptime>,
}

/// One occurrence.
#[derive(Debug, Default)]
struct Tally {
    syncs: u32,
    // When each would have run, and its name.
    missed: Vec<(DateTime<Utc>, String)>,
    oldest: Option<(DateTime<Utc>, String)>,
    next: Option<(DateTime<Utc>, String)>,
    last_next: Option<DateTime<Utc>>,
}

impl Tallies {
    pub(super) fn look_at(&self) -> Option<Uptime> {
        self.look_at
    }

    /// A resumed sync is looked after no more. Its row was this, and so it was seen.
    pub(super) fn add(&mut self, hold: &Hold, proof: Option<&Proof>, now: Moment) {
        if proof.is_some_and(|it| it.state != SyncState::Active) {
            return;
        }
        let status = proof.and_then(|it| it.status.as_ref());
        let name = hold.name.clone().unwrap_or_else(|| hold.sync.id.to_string());
        let completed = status.and_then(|it| it.last_completed).max(hold.runs.last_completed);
        for holder in hold.holders.iter().filter(|it| !is_order(&it.window)) {
            let tally = self.of.entry((holder.window.clone(), holder.opens)).or_default();
            tally.syncs += 1;
            if let Some(planned) = hold.runs.next.filter(|_| hold.runs.has_missed_one()) {
                tally.missed.push((planned, name.clone()));
            }
            let named = |at: DateTime<Utc>| (at, name.clone());
            tally.oldest = [tally.oldest.take(), completed.map(named)].into_iter().flatten().min();
            let next = status.and_then(|it| it.next);
            tally.next = [tally.next.take(), next.map(named)].into_iter().flatten().min();
            tally.last_next = tally.last_next.max(next);
            self.look_at.get_or_insert(now.uptime + PACE);
        }
    }
}

impl Tally {
    /// `3 syncs run again; missed: Leads (planned 02:00), …; …`
    fn in_words(&mut self) -> String {
        let mut parts = vec![match self.syncs {
            1 => "1 sync runs again".to_owned(),
            syncs => format!("{syncs} syncs run again"),
        }];
        self.missed.sort();
        if !self.missed.is_empty() {
            let named =
                self.missed.iter().take(MOST_NAMED).map(|(at, name)| format!("{name} at {}", instant(*at)));
            let rest = self.missed.len().saturating_sub(MOST_NAMED);
            let rest = (rest > 0).then(|| format!("{rest} more"));
            let named: Vec<String> = named.chain(rest).collect();
            parts.push(format!("runs that fell into it: {}", named.join(", ")));
        }
        if let Some((at, name)) = &self.oldest {
            parts.push(format!("the oldest data is that of {name}, last run until {}", instant(*at)));
        }
        match (&self.next, self.last_next) {
            (Some((at, name)), Some(last)) if *at < last => {
                parts.push(format!("next runs from {} ({name}) to {}", instant(*at), instant(last)));
            }
            (Some((at, name)), _) => parts.push(format!("next run at {} ({name})", instant(*at))),
            (None, _) => {}
        }
        parts.join("; ")
    }
}

impl Reconciler {
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
            let Some(mut tally) = self.tallies.of.remove(&key) else { continue };
            let event = Event {
                window: Some(key.0),
                occurrence: Some(key.1),
                detail: Some(tally.in_words()),
                ..Event::new(EventKind::WindowReport)
            };
            actions.push(write(Change::new(), vec![event], now));
        }
        self.tallies.look_at = (!self.tallies.of.is_empty()).then_some(now.uptime + PACE);
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

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    #[test]
    fn one_line_says_what_was_missed_how_old_the_data_is_and_what_comes_next() {
        let mut tally = Tally { syncs: 1, ..Tally::default() };
        assert_eq!(tally.in_words(), "1 sync runs again");
        tally = Tally {
            syncs: 2,
            missed: vec![(at(9), "Leads".to_owned()), (at(5), "Contacts".to_owned())],
            oldest: Some((at(-60), "Leads".to_owned())),
            next: Some((at(60), "Contacts".to_owned())),
            last_next: Some(at(90)),
        };
        assert_eq!(
            tally.in_words(),
            "2 syncs run again; runs that fell into it: Contacts at 2027-01-15T08:05:00Z, Leads at \
             2027-01-15T08:09:00Z; the oldest data is that of Leads, last run until 2027-01-15T07:00:00Z; \
             next runs from 2027-01-15T09:00:00Z (Contacts) to 2027-01-15T09:30:00Z"
        );
    }

    #[test]
    fn of_many_missed_runs_the_first_are_named() {
        let missed = (0..500).map(|minute| (at(minute), format!("sync {minute}"))).collect();
        let mut tally = Tally { syncs: 500, missed, ..Tally::default() };
        let told = tally.in_words();
        assert!(told.contains("sync 4 at ") && told.ends_with(", 495 more"), "{told}");
        assert!(!told.contains("sync 5 at "), "{told}");
    }
}
