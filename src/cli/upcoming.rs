//! `upcoming`: the occurrences of a span of time, operators' pauses, and the
//! pauses that follow from both.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use clap::{Args, ValueEnum};

use super::file::{self, Read};
use super::table::{Mood, Rows, count};
use super::timeline::Timeline;
use super::{Exit, Failure, Global, Outcome, screen, times};
use crate::domain::advice;
use crate::domain::operator::Order;
use crate::domain::selection::{Knowledge, covered_short};
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;
use crate::web::api::Upcoming;
use crate::web::{ics, svg};

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
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For calendars, RFC 5545
    Ics,
    /// A picture
    Svg,
}

/// A span of time, `[from, until)`.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read_with_orders(global)?;
    let span = span(arguments, &read)?;
    let (calendar, tzdb) = (&read.config.calendar, read.tzdb.to_string());
    let Span { from, until } = span;
    match arguments.format {
        Format::Json => screen::say_json(&Upcoming::of(calendar, &tzdb, from, until))?,
        Format::Ics => screen::say_text(&ics::calendar(calendar, from, until, read.now))?,
        Format::Svg => {
            let zone = &read.zone();
            screen::say_text(&svg::Timeline { calendar, zone, from, until, now: read.now }.draw())?;
        }
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

/// What there is to say of an occurrence beside its times.
fn notes(read: &Read, window: &Window, it: &Occurrence) -> Vec<String> {
    let mut notes: Vec<String> = state(read, it).map(str::to_owned).into_iter().collect();
    if it.pauses < it.opens {
        let zone = window.times.zone();
        notes.push(format!("paused from {} on, lead {}", clock(it, zone), times::span(it.opens - it.pauses)));
    }
    notes.extend(advice::notes(window, it));
    notes
}

fn state(read: &Read, it: &Occurrence) -> Option<&'static str> {
    if it.closes <= read.now || read.now < it.pauses {
        return None;
    }
    Some(if it.opens <= read.now { "open now" } else { "in its lead now" })
}

/// When its syncs are paused, as near to its opening as that is.
fn clock(it: &Occurrence, zone: &Zone) -> String {
    let (pauses, opens) = (times::local(it.pauses, zone), times::local(it.opens, zone));
    let time = if pauses.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    let day = if pauses.date_naive() == opens.date_naive() { "" } else { "%a " };
    pauses.format(&format!("{day}{time}")).to_string()
}

/// A line of the table, and when it begins.
struct Line {
    opens: DateTime<Utc>,
    mood: Mood,
    cells: [String; 6],
}

impl Line {
    fn of(read: &Read, it: &Occurrence, zone: &Zone, syncs: String, notes: &[String]) -> Self {
        Self {
            opens: it.opens,
            mood: if state(read, it).is_some() { Mood::Busy } else { Mood::Plain },
            cells: [
                times::show(it.opens, zone),
                times::show(it.closes, zone),
                times::span(it.closes - it.opens),
                it.window.to_string(),
                syncs,
                notes.join("; "),
            ],
        }
    }

    fn of_window(read: &Read, it: &Occurrence) -> Option<Self> {
        let window = read.config.calendar.window(it.window.as_str())?;
        let syncs = covered_short(window.syncs.len(), read.config.calendar.knowledge(window));
        Some(Self::of(read, it, window.times.zone(), syncs, &notes(read, window, it)))
    }

    fn of_order(read: &Read, order: &Order, it: &Occurrence) -> Self {
        let mut notes: Vec<String> = state(read, it).map(str::to_owned).into_iter().collect();
        notes.push(format!("an operator's pause: {}", order.reason));
        Self::of(read, it, &read.zone(), order.syncs().count().to_string(), &notes)
    }
}

fn table(read: &Read, span: Span) -> String {
    let calendar = &read.config.calendar;
    let occurrences = calendar.occurrences(span.from, span.until);
    let asked = calendar.asked(span.from, span.until);
    let zone = read.zone();
    if occurrences.is_empty() && asked.is_empty() {
        let (from, until) = (times::show(span.from, &zone), times::show(span.until, &zone));
        return format!("no window is open from {from} to {until}");
    }
    let mut lines: Vec<Line> = occurrences.iter().filter_map(|it| Line::of_window(read, it)).collect();
    lines.extend(asked.iter().map(|(order, it)| Line::of_order(read, order, it)));
    lines.sort_by_key(|it| it.opens);
    let mut rows = Rows::under(&["OPENS", "CLOSES", "LASTS", "WINDOW", "SYNCS", "NOTES"]);
    for it in lines {
        rows.add(it.mood, it.cells);
    }
    let mut parts = vec![rows.render(), totals(read, span, &occurrences, asked.len())];
    if screen::is_terminal() {
        let asked = asked.iter().map(|(_, it)| it);
        parts.push(timeline(occurrences.iter().chain(asked), span, read));
    }
    parts.join("\n\n")
}

/// How many there are of each, as far as that is known.
fn totals(read: &Read, span: Span, occurrences: &[Occurrence], asked: usize) -> String {
    let calendar = &read.config.calendar;
    let is_known = |it: &Occurrence| {
        let window = calendar.window(it.window.as_str());
        window.is_none_or(|it| calendar.knowledge(it) == Knowledge::Found)
    };
    let mut parts = vec![count(occurrences.len(), "occurrence")];
    parts.extend((asked > 0).then(|| count(asked, "operator's pause")));
    let pauses = count(calendar.pauses(span.from, span.until).len(), "pause");
    let is_all = occurrences.iter().all(is_known);
    parts.push(if is_all { pauses } else { format!("{pauses} of syncs that are known") });
    parts.join(", ")
}

fn timeline<'a>(occurrences: impl Iterator<Item = &'a Occurrence>, span: Span, read: &Read) -> String {
    let mut windows = BTreeMap::<&str, Vec<_>>::new();
    for it in occurrences {
        windows.entry(it.window.as_str()).or_default().push([it.pauses, it.opens, it.closes]);
    }
    let timeline = Timeline { from: span.from, until: span.until, now: read.now, zone: read.zone() };
    timeline.draw(&windows, screen::width())
}
