//! `windows --format json`: each window, open or closed, and what comes next.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::selection::Knowledge;
use crate::domain::window::{Occurrence, Window};
use crate::web::times;

/// One window now.
#[derive(Debug, Clone, Serialize)]
pub struct WindowLine {
    /// Its name.
    pub window: String,
    /// `open`, `lead`, `closed` or `over`.
    pub state: &'static str,
    /// Of the open occurrence, else of the next one.
    pub opens: Option<DateTime<Utc>>,
    /// When that one closes.
    pub closes: Option<DateTime<Utc>>,
    /// The window's zone.
    pub timezone: String,
    /// The opening as clocks there show it.
    pub opens_local: Option<String>,
    /// The closing as clocks there show it.
    pub closes_local: Option<String>,
    /// How many syncs it pauses.
    pub syncs: usize,
    /// False where the window selects syncs and no list was read yet: there may be more.
    /// Absent otherwise.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub syncs_known: bool,
    /// What its author says about it.
    pub description: Option<String>,
}

impl WindowLine {
    /// This window at this instant.
    pub fn of(window: &Window, knowledge: Knowledge, now: DateTime<Utc>) -> Self {
        let zone = window.times.zone();
        let (state, occurrence) = window_state(window, now);
        Self {
            window: window.name.to_string(),
            state,
            opens: occurrence.as_ref().map(|it| it.opens),
            closes: occurrence.as_ref().map(|it| it.closes),
            timezone: zone.to_string(),
            opens_local: occurrence.as_ref().map(|it| times::rfc3339_local(it.opens, zone)),
            closes_local: occurrence.as_ref().map(|it| times::rfc3339_local(it.closes, zone)),
            syncs: window.syncs.len(),
            syncs_known: knowledge == Knowledge::Found,
            description: window.description.clone(),
        }
    }
}

/// Open, pausing already, or closed, and the occurrence that this is about.
pub fn window_state(window: &Window, now: DateTime<Utc>) -> (&'static str, Option<Occurrence>) {
    match (window.covering(now), window.pausing(now).next()) {
        (Some(open), _) => ("open", Some(open)),
        (None, Some(coming)) => ("lead", Some(coming)),
        (None, None) => match window.next_opening(now) {
            Some(next) => ("closed", Some(next)),
            None => ("over", None),
        },
    }
}
