//! `windows`: each window of the file, open or closed, and what comes next.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::file::{self, Read};
use super::table::{Mood, Rows};
use super::{Exit, Format, FormatArgument, Global, Outcome, screen, times};
use crate::domain::window::{Occurrence, Window};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
}

/// One window now.
#[derive(Debug, Serialize)]
struct Line {
    window: String,
    state: &'static str,
    /// Of the open occurrence, else of the next one.
    opens: Option<DateTime<Utc>>,
    closes: Option<DateTime<Utc>>,
    timezone: String,
    opens_local: Option<String>,
    closes_local: Option<String>,
    syncs: usize,
    description: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read(global)?;
    let windows = read.config.calendar.windows();
    match arguments.format.format {
        Format::Json => screen::say_json(&windows.iter().map(|it| line(it, read.now)).collect::<Vec<_>>())?,
        Format::Table => screen::say(&table(&read))?,
    }
    Ok(Exit::Success)
}

fn line(window: &Window, now: DateTime<Utc>) -> Line {
    let zone = window.times.zone();
    let (state, occurrence) = state(window, now);
    Line {
        window: window.name.to_string(),
        state,
        opens: occurrence.as_ref().map(|it| it.opens),
        closes: occurrence.as_ref().map(|it| it.closes),
        timezone: zone.to_string(),
        opens_local: occurrence.as_ref().map(|it| times::rfc3339_local(it.opens, zone)),
        closes_local: occurrence.as_ref().map(|it| times::rfc3339_local(it.closes, zone)),
        syncs: window.syncs.len(),
        description: window.description.clone(),
    }
}

/// Open, pausing already, or closed, and the occurrence that this is about.
fn state(window: &Window, now: DateTime<Utc>) -> (&'static str, Option<Occurrence>) {
    match (window.covering(now), window.pausing(now).next()) {
        (Some(open), _) => ("open", Some(open)),
        (None, Some(coming)) => ("lead", Some(coming)),
        (None, None) => match window.next_opening(now) {
            Some(next) => ("closed", Some(next)),
            None => ("over", None),
        },
    }
}

fn table(read: &Read) -> String {
    let mut rows =
        Rows::under(&["WINDOW", "STATE", "NEXT CHANGE", "OPENS", "CLOSES", "ZONE", "SYNCS", "DESCRIPTION"]);
    for window in read.config.calendar.windows() {
        let zone = window.times.zone();
        let (state, occurrence) = state(window, read.now);
        let time = |at: Option<DateTime<Utc>>| at.map_or_else(|| "-".to_owned(), |at| times::show(at, zone));
        let next = window
            .next_change(read.now)
            .map_or_else(|| "never".to_owned(), |at| times::distance(at, read.now));
        rows.add(
            if state == "closed" || state == "over" { Mood::Plain } else { Mood::Busy },
            [
                window.name.to_string(),
                state.to_owned(),
                next,
                time(occurrence.as_ref().map(|it| it.opens)),
                time(occurrence.as_ref().map(|it| it.closes)),
                zone.to_string(),
                window.syncs.len().to_string(),
                window.description.clone().unwrap_or_default(),
            ],
        );
    }
    rows.render()
}
