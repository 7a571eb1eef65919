//! `upcoming`: the occurrences of a span of time, and the pauses that follow
//! from them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};

use super::file::{self, Read};
use super::table::{Mood, Rows, count};
use super::timeline::Timeline;
use super::{Exit, Failure, Global, Outcome, screen, times};
use crate::domain::advice;
use crate::domain::window::Occurrence;
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

fn notes(read: &Read, it: &Occurrence) -> Vec<String> {
    read.config.calendar.window(it.window.as_str()).map_or_else(Vec::new, |window| advice::notes(window, it))
}

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
