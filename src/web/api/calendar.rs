//! What is in force, for who compares it with something else, and what it is
//! called, for who completes names.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Refusal, Snapshot};
use crate::domain::diff::Row;
use crate::domain::hold::HoldState;
use crate::domain::operator::Order;
use crate::domain::outlook::Outlook;
use crate::domain::selection::{Resolution, Seen};
use crate::domain::sync::{Name, SyncRef};

/// Nobody compares more days than these.
pub const MOST_DAYS: u16 = 3660;

/// Which span is asked for, `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarRequest {
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end, exclusive.
    pub until: DateTime<Utc>,
}

/// The calendar in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarAnswer {
    /// The file it came from.
    pub config: String,
    /// Tells one text of the file from another; `null` without a configuration.
    pub fingerprint: Option<String>,
    /// The time zone data that say so.
    pub tzdb: String,
    /// What it brings. Without a configuration in force: nothing.
    pub outlook: Outlook,
    /// Every row.
    pub rows: Vec<RowLine>,
    /// What operators have ordered, which no file changes.
    #[serde(default)]
    pub orders: Vec<Order>,
    /// What windows that select were last found to select.
    #[serde(default)]
    pub selections: Vec<SelectionLine>,
}

/// What one window was found to select.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionLine {
    /// The window.
    pub window: Name,
    /// Which `select` and `exclude` it answers.
    pub fingerprint: String,
    /// When it was found.
    pub at: DateTime<Utc>,
    /// The syncs.
    pub found: Vec<Seen>,
}

/// One row, as far as it says who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLine {
    /// The sync.
    #[serde(flatten)]
    pub sync: SyncRef,
    /// How far the pause or resume has come.
    pub state: HoldState,
    /// Whom it serves.
    pub windows: Vec<Name>,
}

/// What things are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The windows in force.
    pub windows: Vec<Name>,
    /// The syncs that are looked after.
    pub syncs: Vec<NamedSync>,
}

/// One sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSync {
    /// The sync.
    #[serde(flatten)]
    pub sync: SyncRef,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
}

impl CalendarAnswer {
    /// What is in force, as of this snapshot. A span without end is refused.
    pub fn of(snapshot: &Snapshot, request: CalendarRequest) -> Result<Self, Refusal> {
        let CalendarRequest { from, until } = request;
        if until <= from || until - from > TimeDelta::days(MOST_DAYS.into()) {
            let message = format!("the span has to be longer than nothing and up to {MOST_DAYS} days");
            return Err(Refusal::BadRequest { message });
        }
        let calendar = snapshot.calendar.as_ref();
        let row = |it: &crate::reconcile::RowReport| {
            let sync = SyncRef::new(it.organization.clone(), it.kind, it.id);
            Some(RowLine { sync, state: it.state.of_row()?, windows: it.windows.clone() })
        };
        Ok(Self {
            config: snapshot.status.daemon.config.clone(),
            fingerprint: snapshot.fingerprint.clone(),
            tzdb: snapshot.status.daemon.tzdb.clone(),
            outlook: calendar.map_or_else(Outlook::default, |it| Outlook::of(it, from, until)),
            rows: snapshot.status.syncs.iter().filter_map(row).collect(),
            orders: calendar.map_or_else(Vec::new, |it| it.orders().to_vec()),
            selections: snapshot.selections.values().map(|it| SelectionLine::from(it.as_ref())).collect(),
        })
    }

    /// What was found, by window.
    pub fn selections(&self) -> BTreeMap<Name, Resolution> {
        self.selections.iter().map(|it| (it.window.clone(), Resolution::from(it))).collect()
    }

    /// The rows by sync.
    pub fn rows(&self) -> BTreeMap<SyncRef, Row> {
        let row = |it: &RowLine| Row { state: it.state, holders: it.windows.clone() };
        self.rows.iter().map(|it| (it.sync.clone(), row(it))).collect()
    }
}

impl From<&Resolution> for SelectionLine {
    fn from(it: &Resolution) -> Self {
        Self {
            window: it.window.clone(),
            fingerprint: it.fingerprint.clone(),
            at: it.at,
            found: it.found.values().cloned().collect(),
        }
    }
}

impl From<&SelectionLine> for Resolution {
    fn from(it: &SelectionLine) -> Self {
        Self {
            window: it.window.clone(),
            fingerprint: it.fingerprint.clone(),
            at: it.at,
            found: it.found.iter().map(|seen| (seen.sync.clone(), seen.clone())).collect(),
        }
    }
}
