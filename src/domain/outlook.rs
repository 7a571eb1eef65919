//! What a calendar brings in a span of time, as values that can be sent,
//! kept and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::execution::{DEFAULT_LIMIT, RunPolicy};
use super::operator::Order;
use super::selection::{Knowledge, Select};
use super::sync::{Name, SyncRef};
use super::window::{Occurrence, OnManualResume, Window};

/// All that a calendar brings in `[from, until)`. The default is that of a
/// daemon without a configuration in force: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The windows, in the order of the file.
    pub windows: Vec<Planned>,
    /// Every occurrence that touches the span, whole, sorted by opening.
    pub occurrences: Vec<Occurrence>,
    /// Every sync that is paused in the span, once.
    pub timetables: Vec<Timetable>,
    /// What operators asked to pause.
    #[serde(default)]
    pub asked: Vec<Occurrence>,
}

/// One window, as far as its times do not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its name.
    pub window: Name,
    /// What else is written there, by key, as people read it.
    pub settings: BTreeMap<String, String>,
    /// The syncs that it pauses.
    pub syncs: BTreeSet<SyncRef>,
    /// How well these are known.
    #[serde(default)]
    pub knowledge: Knowledge,
}

/// Syncs that are paused alike, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// At least one.
    pub syncs: BTreeSet<SyncRef>,
    /// Their pauses, in order, each whole.
    pub pauses: Vec<Pausing>,
}

/// One pause, `[from, until)`, `lead` included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pausing {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When the syncs are resumed.
    pub until: DateTime<Utc>,
    /// On behalf of which windows, sorted.
    pub windows: Vec<Name>,
}

impl Outlook {
    /// What this calendar brings.
    pub fn of(calendar: &Calendar, from: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let mut of_sync = BTreeMap::<SyncRef, Vec<Pausing>>::new();
        for it in calendar.pauses(from, until) {
            let pause = Pausing { from: it.from, until: it.until, windows: it.windows };
            of_sync.entry(it.sync).or_default().push(pause);
        }
        let mut alike = BTreeMap::<Vec<Pausing>, BTreeSet<SyncRef>>::new();
        for (sync, pauses) in of_sync {
            alike.entry(pauses).or_default().insert(sync);
        }
        Self {
            windows: calendar.windows().iter().map(|it| Planned::of(it, calendar.knowledge(it))).collect(),
            occurrences: calendar.occurrences(from, until),
            timetables: alike.into_iter().map(|(pauses, syncs)| Timetable { syncs, pauses }).collect(),
            asked: calendar.orders().iter().filter_map(Order::holder).collect(),
        }
    }
}

impl Planned {
    fn of(window: &Window, knowledge: Knowledge) -> Self {
        let mut settings = BTreeMap::from([
            ("timezone".to_owned(), window.times.zone().to_string()),
            ("lead".to_owned(), as_written(window.lead)),
            ("on_manual_resume".to_owned(), word(window.on_manual_resume).to_owned()),
        ]);
        if let Some(description) = &window.description {
            settings.insert("description".to_owned(), description.clone());
        }
        settings.extend(asked_of_executions(&window.runs));
        settings.extend(window.select.iter().flat_map(selected));
        Self { window: window.name.clone(), settings, syncs: window.syncs.clone(), knowledge }
    }
}

/// What the file says about executions, where that is not what is usual.
fn asked_of_executions(runs: &RunPolicy) -> impl Iterator<Item = (String, String)> {
    let limit = (runs.limit != DEFAULT_LIMIT)
        .then(|| as_written(TimeDelta::from_std(runs.limit).unwrap_or(TimeDelta::MAX)));
    [
        ("on_running", runs.on_running.map(|it| it.as_str().to_owned())),
        ("on_running_limit", limit),
        ("catch_up", runs.catch_up.then(|| "missed".to_owned())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
}

/// The selectors themselves: what they mean is not in the file.
fn selected(select: &Select) -> impl Iterator<Item = (String, String)> + use<> {
    let exclude: Vec<String> = select.exclude.iter().map(ToString::to_string).collect();
    let exclude = (!exclude.is_empty()).then(|| exclude.join(", "));
    [("select", Some(select.alternatives())), ("exclude", exclude)]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
}

fn word(rule: OnManualResume) -> &'static str {
    match rule {
        OnManualResume::Respect => "respect",
        OnManualResume::Enforce => "enforce",
    }
}

/// A length as the file has it: `1h30m`.
fn as_written(length: TimeDelta) -> String {
    let mut left = length.num_milliseconds();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= size {
            let _ = write!(text, "{}{unit}", left / size);
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}
