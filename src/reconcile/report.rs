//! What is told of the state of things: `status`, the page, the log.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::Moment;
use crate::domain::plan::Case;
use crate::domain::sync::{Name, SyncKind};

use super::Reconciler;

/// The state of all rows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When anything is next due to change.
    pub next_change: Option<DateTime<Utc>>,
    /// Every row, and every sync that cannot be looked at.
    pub syncs: Vec<RowReport>,
}

/// One row, as `status --format json` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowReport {
    /// The sync's organization.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// The sync's id.
    pub id: Uuid,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// How far the pause or resume has come.
    pub state: HoldState,
    /// Whether no execution runs any more; `null` while nobody has looked.
    pub quiet: Option<bool>,
    /// The windows it serves, or that do not count for it.
    pub windows: Vec<Name>,
    /// Since when there is a row.
    pub since: Option<DateTime<Utc>>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// How long it has been held past its end; 0 unless it is overdue.
    pub overdue_seconds: i64,
    /// Attempts in a row that did not succeed.
    pub attempts: u32,
    /// What the last of them met.
    pub last_error: Option<String>,
}

impl Report {
    /// Whether something is overdue or failing.
    pub fn has_trouble(&self) -> bool {
        self.syncs.iter().any(RowReport::is_trouble)
    }

    /// The state of things in a sentence.
    pub fn headline(&self) -> String {
        let count = |wanted: fn(&RowReport) -> bool| self.syncs.iter().filter(|it| wanted(it)).count();
        let overdue = count(|it| it.overdue_seconds > 0);
        let failing = count(|it| it.overdue_seconds == 0 && it.is_trouble());
        let held = count(|it| it.state == HoldState::Held);
        let moving = count(|it| matches!(it.state, HoldState::Pausing | HoldState::Resuming));
        let mut parts = Vec::new();
        for (number, what) in
            [(overdue, "overdue"), (failing, "failing"), (held, "paused"), (moving, "changing")]
        {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        if parts.is_empty() { "nothing is paused".to_owned() } else { parts.join(", ") }
    }
}

impl RowReport {
    /// A row as the ledger has it.
    pub fn of(hold: &Hold, now: DateTime<Utc>, overdue_after: std::time::Duration) -> Self {
        let late = now.signed_duration_since(hold.resume_by);
        let limit = TimeDelta::from_std(overdue_after).unwrap_or(TimeDelta::MAX);
        let is_overdue = hold.state.owes_resume() && late >= limit && late > TimeDelta::zero();
        let served = match hold.state {
            HoldState::Skipped | HoldState::Released => &hold.left_alone,
            HoldState::Pausing | HoldState::Held | HoldState::Resuming | HoldState::Settling => &hold.holders,
        };
        let mut windows: Vec<Name> = served.iter().map(|it| it.window.clone()).collect();
        windows.dedup();
        Self {
            organization: hold.sync.organization.clone(),
            kind: hold.sync.kind,
            id: hold.sync.id,
            name: hold.name.clone(),
            state: hold.state,
            quiet: None,
            windows,
            since: Some(hold.since),
            until: Some(hold.resume_by),
            overdue_seconds: if is_overdue { late.num_seconds() } else { 0 },
            attempts: hold.attempts,
            last_error: hold.last_error.clone(),
        }
    }

    /// Whether it is overdue, or its last attempt failed.
    pub fn is_trouble(&self) -> bool {
        self.overdue_seconds > 0 || self.last_error.is_some()
    }
}

impl Reconciler {
    /// The state of things now.
    pub fn report(&self, now: Moment) -> Report {
        let row = |case: &Case| {
            let reported = match &case.hold {
                Some(hold) => Some(RowReport::of(hold, now.wall, self.rules.overdue_after)),
                None => case.trouble.is_some().then(|| self.unheld_row(case, now)),
            }?;
            let name = case.name.clone().or(reported.name.clone());
            let last_error = reported.last_error.clone().or(case.trouble.clone());
            Some(RowReport { name, last_error, ..reported })
        };
        Report { next_change: self.next_change, syncs: self.cases.values().filter_map(row).collect() }
    }

    /// A sync that is to be paused and could not be looked at yet.
    fn unheld_row(&self, case: &Case, now: Moment) -> RowReport {
        let (windows, until) = match self.desired(case, now) {
            crate::domain::calendar::Desired::Paused(pause) => {
                (pause.holders.iter().map(|it| it.window.clone()).collect(), Some(pause.until))
            }
            crate::domain::calendar::Desired::Running => (vec![], None),
        };
        RowReport {
            organization: case.sync.organization.clone(),
            kind: case.sync.kind,
            id: case.sync.id,
            name: case.name.clone(),
            state: HoldState::Pausing,
            quiet: None,
            windows,
            since: None,
            until,
            overdue_seconds: 0,
            attempts: case.retry.map_or(0, |it| it.failures),
            last_error: case.trouble.clone(),
        }
    }
}
