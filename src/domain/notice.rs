//! What people are told, and when: events of the journal, put together so that a
//! window is one message and not four hundred.
//!
//! The journal is the outbox. What has not been told yet is what was written
//! since, so nothing is lost in a crash, and nothing grows while nobody listens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind};
use super::organization::KeySource;
use super::sync::{Name, SyncRef};

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Target {
    /// Tells it from the others, in the log, the metrics and the ledger.
    pub name: Name,
    /// Where.
    pub address: Address,
    /// In which form.
    pub format: Format,
    /// Of what.
    pub events: BTreeSet<EventKind>,
}

/// How it goes with telling a target, since the daemon runs. Nothing of its
/// address is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// What it is called.
    pub name: Name,
    /// `slack` or `json`.
    pub format: String,
    /// When it last took a notice; `null` if it took none yet.
    pub last_told: Option<DateTime<Utc>>,
    /// Notices that it has not taken yet. What happens meanwhile is put together
    /// once these are through.
    pub waiting: usize,
    /// Attempts since it last took one.
    pub attempts: u32,
    /// What came of the last attempt, if it failed.
    pub last_error: Option<String>,
}

impl TargetReport {
    /// Of a target that was told nothing yet.
    pub fn of(target: &Target) -> Self {
        Self {
            name: target.name.clone(),
            format: target.format.as_str().to_owned(),
            last_told: None,
            waiting: 0,
            attempts: 0,
            last_error: None,
        }
    }

    /// It took one.
    pub fn took(&mut self, now: DateTime<Utc>) {
        (self.last_told, self.attempts, self.last_error) = (Some(now), 0, None);
    }

    /// An attempt failed.
    pub fn failed(&mut self, error: String) {
        self.attempts = self.attempts.saturating_add(1);
        self.last_error = Some(error);
    }
}

/// A secret address: who knows it can write there.
#[derive(Debug, Clone)]
pub enum Address {
    /// It is in the configuration file.
    Written(SecretString),
    /// It is kept elsewhere.
    Kept(KeySource),
}

/// What a webhook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Slack's incoming webhooks, and those that copied them
    /// (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
    Slack,
    /// An object with everything in it.
    Json,
}

impl Format {
    /// As the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Json => "json",
        }
    }
}

/// An address that is called as long as all is well.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Where.
    pub address: Address,
    /// How often.
    pub interval: Duration,
}

/// What a target hears of if its events are not written out: the end of each
/// window, and everything that somebody may have to do something about.
pub const DEFAULT_EVENTS: &[EventKind] = &[
    EventKind::WindowClosed,
    EventKind::WindowReport,
    EventKind::WindowMissed,
    EventKind::PauseFailed,
    EventKind::ResumeFailed,
    EventKind::Overdue,
    EventKind::Recovered,
    EventKind::Skipped,
    EventKind::Released,
    EventKind::Gone,
    EventKind::StillRunning,
    EventKind::Unscheduled,
    EventKind::CatchUpFailed,
    EventKind::Preflight,
    EventKind::SelectionFailed,
    EventKind::ConfigRejected,
];

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's number.
    pub id: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same for the same message, however often it is sent.
    pub id: String,
    /// When the last of it happened.
    pub at: DateTime<Utc>,
    /// The window that it is about, if it is about one.
    pub window: Option<Name>,
    /// In a few words.
    pub title: String,
    /// What happened, the worst first.
    pub parts: Vec<Part>,
}

/// Events of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which kind.
    pub kind: EventKind,
    /// In the order in which they happened; the last of each sync.
    pub events: Vec<Event>,
}

/// What makes an attempt that failed good.
pub const HEALERS: &[EventKind] = &[
    EventKind::Paused,
    EventKind::Resumed,
    EventKind::Released,
    EventKind::Skipped,
    EventKind::Forgotten,
    EventKind::Recovered,
];

/// After this long without anything new, a batch is whole.
const GATHERED: TimeDelta = TimeDelta::seconds(5);
/// And after this long whatever comes.
const LONGEST_GATHERED: TimeDelta = TimeDelta::seconds(30);
/// An attempt that failed heals by itself within this, or is told.
const HEALED: TimeDelta = TimeDelta::seconds(90);
/// What is worse than late is not held back for longer than this.
const URGENT: TimeDelta = TimeDelta::seconds(1);

/// News of longer ago is history.
pub const OLDEST: TimeDelta = TimeDelta::hours(24);

/// An attempt that failed again is told again after so long.
const FAILS_AGAIN: TimeDelta = TimeDelta::hours(1);

/// More of a kind than this are counted, and these many named.
const NAMED: usize = 5;

/// The gaps between reminders that something is overdue; the last one recurs.
const REMINDERS: [Duration; 5] = [
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
];

/// How long after the `told`-th word of it (from 1) a reminder is due.
pub fn reminder_after(told: usize) -> Duration {
    REMINDERS[told.saturating_sub(1).min(REMINDERS.len() - 1)]
}

/// Whether a sync is still not as it should be after this.
fn is_attempt(kind: EventKind) -> bool {
    matches!(kind, EventKind::PauseFailed | EventKind::ResumeFailed)
}

/// What nobody wants to hear of a minute later.
fn is_urgent(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Overdue
            | EventKind::Recovered
            | EventKind::WindowMissed
            | EventKind::ConfigRejected
            | EventKind::DaemonStopped
    )
}

/// What a target has heard of attempts that failed, so that it does not hear of
/// each. Lost with the process: then it hears once more.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<(SyncRef, EventKind), DateTime<Utc>>);

/// What to do about what was written since a target was last told something.
#[derive(Debug, PartialEq, Eq)]
pub enum Batch {
    /// Nothing before then, unless something is written.
    Wait(DateTime<Utc>),
    /// Tell this (perhaps nothing); all up to this entry is dealt with.
    Tell {
        /// The messages, in order.
        notices: Vec<Notice>,
        /// The last entry that they cover.
        up_to: i64,
        /// How many events were too old to be told.
        too_old: usize,
    },
}

impl Target {
    /// What to tell of these entries, which are all since the last batch, oldest
    /// first and at least one.
    pub fn batch(&self, entries: &[Entry], heard: &mut Heard, now: DateTime<Utc>) -> Option<Batch> {
        let (first, last) = (entries.first()?, entries.last()?);
        let up_to = last.id;
        let wanted: Vec<&Entry> = entries.iter().filter(|it| self.wants(&it.event)).collect();
        let (old, wanted): (Vec<&Entry>, Vec<&Entry>) =
            wanted.into_iter().partition(|it| it.at + OLDEST < now);
        let open: Vec<&Entry> = wanted
            .iter()
            .copied()
            .filter(|it| is_attempt(it.event.kind) && !is_healed(it, entries))
            .collect();
        let ripe = if wanted.is_empty() {
            now
        } else if let Some(urgent) = wanted.iter().find(|it| is_urgent(it.event.kind)) {
            urgent.at + URGENT
        } else if let Some(failed) = open.iter().find(|it| !heard.knows(it, now)) {
            failed.at + HEALED
        } else {
            (last.at + GATHERED).min(first.at + LONGEST_GATHERED)
        };
        // A clock that was set back holds nothing up.
        if now < ripe && ripe <= now + HEALED {
            return Some(Batch::Wait(ripe));
        }
        let told: Vec<&Entry> = wanted
            .into_iter()
            .filter(|it| !is_attempt(it.event.kind) || (!is_healed(it, entries) && !heard.knows(it, now)))
            .collect();
        for it in &told {
            heard.hears(it);
        }
        Some(Batch::Tell { notices: notices(&told), up_to, too_old: old.len() })
    }
}

impl Target {
    /// That all is well before a window is nothing to wake anybody for.
    fn wants(&self, event: &Event) -> bool {
        let is_calm = event.kind == EventKind::Preflight && event.error.is_none();
        self.events.contains(&event.kind) && !is_calm
    }
}

impl Heard {
    fn knows(&self, entry: &Entry, now: DateTime<Utc>) -> bool {
        let key = entry.event.sync.clone().map(|sync| (sync, entry.event.kind));
        key.and_then(|key| self.0.get(&key)).is_some_and(|at| now < *at + FAILS_AGAIN)
    }

    fn hears(&mut self, entry: &Entry) {
        let Some(sync) = &entry.event.sync else { return };
        if is_attempt(entry.event.kind) {
            self.0.insert((sync.clone(), entry.event.kind), entry.at);
        } else {
            self.0.retain(|(known, _), _| known != sync);
        }
    }
}

/// Whether the attempt was made good by what follows it.
fn is_healed(failed: &Entry, entries: &[Entry]) -> bool {
    entries
        .iter()
        .any(|it| failed.id < it.id && it.event.sync == failed.event.sync && HEALERS.contains(&it.event.kind))
}

/// One message for each window, and one for what is about none.
fn notices(told: &[&Entry]) -> Vec<Notice> {
    let mut by_window: Vec<(Option<&Name>, Vec<&Entry>)> = Vec::new();
    for &entry in told {
        let window = entry.event.window.as_ref();
        match by_window.iter_mut().find(|(it, _)| *it == window) {
            Some((_, entries)) => entries.push(entry),
            None => by_window.push((window, vec![entry])),
        }
    }
    by_window.into_iter().filter_map(|(window, entries)| notice(window, &entries)).collect()
}

fn notice(window: Option<&Name>, entries: &[&Entry]) -> Option<Notice> {
    let (first, last) = (entries.first()?, entries.last()?);
    let mut kinds: BTreeMap<(u8, EventKind), Vec<Event>> = BTreeMap::new();
    for entry in entries {
        let events = kinds.entry((rank(entry.event.kind), entry.event.kind)).or_default();
        // Of many attempts at one sync, the last.
        events.retain(|it| it.sync.is_none() || it.sync != entry.event.sync);
        events.push(entry.event.clone());
    }
    let parts: Vec<Part> = kinds.into_iter().map(|((_, kind), events)| Part { kind, events }).collect();
    let title = match (&parts[..], window) {
        ([Part { events, .. }], _) if events.len() == 1 => events[0].to_string(),
        (parts, Some(window)) => format!("Window `{window}`: {}", in_short(parts)),
        (parts, None) => in_short(parts),
    };
    // The time tells apart ledgers that number alike.
    let id = format!("{}-{}-{}", first.at.timestamp_millis(), first.id, last.id);
    Some(Notice { id, at: last.at, window: window.cloned(), title, parts })
}

/// The worst comes first.
fn rank(kind: EventKind) -> u8 {
    match kind {
        EventKind::Overdue => 0,
        EventKind::ResumeFailed => 1,
        EventKind::WindowMissed | EventKind::PauseFailed | EventKind::ConfigRejected => 2,
        EventKind::Gone
        | EventKind::StillRunning
        | EventKind::Unscheduled
        | EventKind::CatchUpFailed
        | EventKind::Preflight
        | EventKind::SelectionFailed => 3,
        EventKind::Recovered
        | EventKind::WindowOpened
        | EventKind::WindowClosed
        | EventKind::WindowReport => 4,
        EventKind::Skipped | EventKind::Released => 5,
        EventKind::Paused
        | EventKind::Resumed
        | EventKind::Forgotten
        | EventKind::OperatorResume
        | EventKind::Quiet
        | EventKind::CaughtUp
        | EventKind::OperatorPause
        | EventKind::Extended
        | EventKind::Exempted
        | EventKind::DaemonStarted
        | EventKind::DaemonStopped
        | EventKind::ConfigLoaded => 6,
    }
}

/// `closed, 398 resumed, 2 skipped`.
fn in_short(parts: &[Part]) -> String {
    let word = |part: &Part| match part.kind {
        EventKind::WindowOpened => "opened".to_owned(),
        EventKind::WindowClosed => "closed".to_owned(),
        EventKind::WindowReport => "report".to_owned(),
        EventKind::WindowMissed => "MISSED".to_owned(),
        EventKind::ConfigRejected => "configuration rejected".to_owned(),
        EventKind::Overdue => format!("{} OVERDUE", part.events.len()),
        kind => format!("{} {}", part.events.len(), kind.as_str().replace('_', " ")),
    };
    parts.iter().map(word).collect::<Vec<_>>().join(", ")
}

impl Notice {
    /// A message that is about nothing, to see whether it arrives.
    pub fn test(at: DateTime<Utc>) -> Self {
        Self {
            id: format!("test-{}", at.timestamp_millis()),
            at,
            window: None,
            title: "This is a test: notices of maintenance windows arrive here".to_owned(),
            parts: vec![],
        }
    }

    /// A reminder of what is overdue, with the syncs' names.
    pub fn reminder(overdue: &[String], at: DateTime<Utc>) -> Self {
        let count = overdue.len();
        let who = listed(overdue.iter().map(String::as_str), count);
        let what = if count == 1 { "1 sync is".to_owned() } else { format!("{count} syncs are") };
        Self {
            id: format!("overdue-{}", at.timestamp_millis()),
            at,
            window: None,
            title: format!(
                "STILL OVERDUE: {what} paused well past {} end: {who}",
                if count == 1 { "its" } else { "their" }
            ),
            parts: vec![],
        }
    }

    /// The lines below the title.
    pub fn lines(&self) -> Vec<String> {
        if let [Part { events, .. }] = &self.parts[..]
            && events.len() == 1
        {
            // The title says it all.
            return vec![];
        }
        let mut lines = Vec::new();
        for part in &self.parts {
            if part.events.len() <= NAMED {
                lines.extend(part.events.iter().map(ToString::to_string));
                continue;
            }
            let names = part.events.iter().map(|it| it.name.as_deref().unwrap_or("a sync without a name"));
            let mut line = format!(
                "{} {}: {}",
                part.events.len(),
                part.kind.as_str().replace('_', " "),
                listed(names, part.events.len())
            );
            if let Some(error) = part.events.iter().rev().find_map(|it| it.error.as_deref()) {
                let _ = write!(line, " (last: {error})");
            }
            lines.push(line);
        }
        lines
    }
}

/// `A, B, C and 395 more`.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let shown: Vec<&str> = names.take(NAMED).collect();
    let more = count.saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests;
