//! `upcoming --format json`: the occurrences of a span of time, and the pauses
//! that follow from them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::advice;
use crate::domain::calendar::{Calendar, SyncPause};
use crate::domain::selection::Knowledge;
use crate::domain::sync::{Name, SyncIdentity, SyncKind, SyncRef};
use crate::domain::window::{Occurrence, Window};
use crate::web::times;

/// What is to come in `[from, until)`.
#[derive(Debug, Clone, Serialize)]
pub struct Upcoming {
    /// The beginning of the span.
    pub from: DateTime<Utc>,
    /// Its end, exclusive.
    pub until: DateTime<Utc>,
    /// The time zone data that say so.
    pub tzdb: String,
    /// Every occurrence that touches the span, whole.
    pub occurrences: Vec<OccurrenceLine>,
    /// Every pause that touches it, whole.
    pub pauses: Vec<PauseLine>,
}

/// One opening of a window.
#[derive(Debug, Clone, Serialize)]
pub struct OccurrenceLine {
    /// Of which window.
    pub window: Name,
    /// When it opens, without `lead`.
    pub opens: DateTime<Utc>,
    /// When it closes.
    pub closes: DateTime<Utc>,
    /// The window's zone.
    pub timezone: String,
    /// The opening as clocks there show it.
    pub opens_local: String,
    /// The closing as clocks there show it.
    pub closes_local: String,
    /// What is unusual about it, such as a change of the clocks.
    pub notes: Vec<String>,
    /// The syncs it pauses.
    pub syncs: Vec<SyncLine>,
    /// `false` where it selects syncs and no list was read yet: there may be more.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub syncs_known: bool,
}

/// One sync.
#[derive(Debug, Clone, Serialize)]
pub struct SyncLine {
    /// Its organization.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Its id.
    pub id: Uuid,
}

/// One pause of one sync.
#[derive(Debug, Clone, Serialize)]
pub struct PauseLine {
    /// Its organization.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Its id.
    pub id: Uuid,
    /// When it is paused, with `lead`.
    pub from: DateTime<Utc>,
    /// When it is resumed.
    pub until: DateTime<Utc>,
    /// On behalf of which windows.
    pub windows: Vec<Name>,
}

impl Upcoming {
    /// What this calendar brings in `[from, until)`.
    pub fn of(calendar: &Calendar, tzdb: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let occurrences = calendar.occurrences(from, until);
        let line = |it: &Occurrence| {
            let window = calendar.window(it.window.as_str())?;
            Some(OccurrenceLine::of(window, it, calendar.knowledge(window)))
        };
        Self {
            from,
            until,
            tzdb: tzdb.to_owned(),
            occurrences: occurrences.iter().filter_map(line).collect(),
            pauses: calendar.pauses(from, until).into_iter().map(PauseLine::from).collect(),
        }
    }
}

impl OccurrenceLine {
    fn of(window: &Window, it: &Occurrence, knowledge: Knowledge) -> Self {
        let zone = window.times.zone();
        Self {
            window: it.window.clone(),
            opens: it.opens,
            closes: it.closes,
            timezone: zone.to_string(),
            opens_local: times::rfc3339_local(it.opens, zone),
            closes_local: times::rfc3339_local(it.closes, zone),
            notes: advice::notes(window, it),
            syncs: window.syncs.iter().map(SyncLine::from).collect(),
            syncs_known: knowledge == Knowledge::Found,
        }
    }
}

impl From<&SyncRef> for SyncLine {
    fn from(sync: &SyncRef) -> Self {
        Self { organization: sync.organization.clone(), kind: sync.kind, id: sync.id }
    }
}

impl From<SyncPause> for PauseLine {
    fn from(pause: SyncPause) -> Self {
        let SyncIdentity { organization, kind, id } = pause.sync.into();
        Self { organization, kind, id, from: pause.from, until: pause.until, windows: pause.windows }
    }
}
