//! `upcoming`: the occurrences of a span of time, and the pauses that follow
//! from them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::file::{self, Read};
use super::table::{Mood, Rows, count};
use super::timeline::Timeline;
use super::{Exit, Failure, Format, FormatArgument, Global, Outcome, screen, times};
use crate::domain::advice;
use crate::domain::calendar::SyncPause;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::window::Occurrence;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// From when: `2026-05-01 22:00` in the file's zone, RFC 3339, `2h ago`, `now`
    #[arg(long, value_name = "TIME", default_value = "now")]
    from: String,
    /// Until when
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    until: Option<String>,
    /// Or for how many days
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    #[command(flatten)]
    format: FormatArgument,
}

/// A span of time, `[from, until)`.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read(global)?;
    let span = span(arguments, &read)?;
    match arguments.format.format {
        Format::Json => screen::say_json(&answer(&read, span))?,
        Format::Table => screen::say(&table(&read, span))?,
    }
    Ok(Exit::Success)
}

fn span(arguments: &Arguments, read: &Read) -> Result<Span, Failure> {
    let zone = read.zone();
    let time = |option: &str, text: &str| match text {
        "now" => Ok(read.now),
        text => times::parse_and_echo(option, text, &zone, read.now),
    };
    let from = time("--from", &arguments.from)?;
    let until = match &arguments.until {
        Some(until) => time("--until", until)?,
        None => from + TimeDelta::days(arguments.days.into()),
    };
    if until <= from {
        return Err(Failure::Usage("the end of the span has to come after its start".to_owned()));
    }
    Ok(Span { from, until })
}

// ---- for programs ----

#[derive(Debug, Serialize)]
struct Answer {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    tzdb: String,
    occurrences: Vec<OccurrenceLine>,
    pauses: Vec<PauseLine>,
}

#[derive(Debug, Serialize)]
struct OccurrenceLine {
    window: Name,
    opens: DateTime<Utc>,
    closes: DateTime<Utc>,
    timezone: String,
    opens_local: String,
    closes_local: String,
    notes: Vec<String>,
    syncs: Vec<SyncLine>,
}

#[derive(Debug, Serialize)]
struct SyncLine {
    organization: Name,
    kind: SyncKind,
    id: Uuid,
}

#[derive(Debug, Serialize)]
struct PauseLine {
    organization: Name,
    kind: SyncKind,
    id: Uuid,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    windows: Vec<Name>,
}

fn answer(read: &Read, span: Span) -> Answer {
    let calendar = &read.config.calendar;
    Answer {
        from: span.from,
        until: span.until,
        tzdb: read.tzdb.to_string(),
        occurrences: calendar.occurrences(span.from, span.until).iter().map(|it| line(read, it)).collect(),
        pauses: calendar.pauses(span.from, span.until).into_iter().map(PauseLine::from).collect(),
    }
}

fn line(read: &Read, it: &Occurrence) -> OccurrenceLine {
    let zone = read.zone_of(it.window.as_str());
    let window = read.config.calendar.window(it.window.as_str());
    OccurrenceLine {
        window: it.window.clone(),
        opens: it.opens,
        closes: it.closes,
        timezone: zone.to_string(),
        opens_local: times::rfc3339_local(it.opens, &zone),
        closes_local: times::rfc3339_local(it.closes, &zone),
        notes: notes(read, it),
        syncs: window.into_iter().flat_map(|it| &it.syncs).map(SyncLine::from).collect(),
    }
}

impl From<&SyncRef> for SyncLine {
    fn from(sync: &SyncRef) -> Self {
        Self { organization: sync.organization.clone(), kind: sync.kind, id: sync.id }
    }
}

impl From<SyncPause> for PauseLine {
    fn from(pause: SyncPause) -> Self {
        let SyncRef { organization, kind, id } = pause.sync;
        Self { organization, kind, id, from: pause.from, until: pause.until, windows: pause.windows }
    }
}

fn notes(read: &Read, it: &Occurrence) -> Vec<String> {
    read.config.calendar.window(it.window.as_str()).map_or_else(Vec::new, |window| advice::notes(window, it))
}

// ---- for people ----

fn table(read: &Read, span: Span) -> String {
    let calendar = &read.config.calendar;
    let occurrences = calendar.occurrences(span.from, span.until);
    let zone = read.zone();
    if occurrences.is_empty() {
        let (from, until) = (times::show(span.from, &zone), times::show(span.until, &zone));
        return format!("no window is open from {from} to {until}");
    }
    let mut rows = Rows::under(&["OPENS", "CLOSES", "LASTS", "WINDOW", "SYNCS", "NOTES"]);
    for it in &occurrences {
        let zone = read.zone_of(it.window.as_str());
        let is_open = it.opens <= read.now && read.now < it.closes;
        let mut notes = notes(read, it);
        if is_open {
            notes.insert(0, "open now".to_owned());
        }
        rows.add(
            if is_open { Mood::Busy } else { Mood::Plain },
            [
                times::show(it.opens, &zone),
                times::show(it.closes, &zone),
                times::span(it.closes - it.opens),
                it.window.to_string(),
                calendar.window(it.window.as_str()).map_or(0, |it| it.syncs.len()).to_string(),
                notes.join("; "),
            ],
        );
    }
    let pauses = calendar.pauses(span.from, span.until).len();
    let totals = format!("{}, {}", count(occurrences.len(), "occurrence"), count(pauses, "pause"));
    let mut parts = vec![rows.render(), totals];
    if screen::is_terminal() {
        parts.push(timeline(&occurrences, span, read));
    }
    parts.join("\n\n")
}

fn timeline(occurrences: &[Occurrence], span: Span, read: &Read) -> String {
    let mut windows = BTreeMap::<&str, Vec<_>>::new();
    for it in occurrences {
        windows.entry(it.window.as_str()).or_default().push((it.opens, it.closes));
    }
    let timeline = Timeline { from: span.from, until: span.until, now: read.now, zone: read.zone() };
    timeline.draw(&windows, screen::width())
}
