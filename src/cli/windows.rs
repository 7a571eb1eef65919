//! `windows`: each window of the file, open or closed, and what comes next.

use chrono::{DateTime, Utc};
use clap::Args;

use super::file::{self, Read};
use super::table::{Mood, Rows};
use super::{Exit, Format, FormatArgument, Global, Outcome, screen, times};
use crate::domain::selection::covered_short;
use crate::web::api::{WindowLine, window_state};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read_with_orders(global)?;
    let windows = read.config.calendar.windows();
    match arguments.format.format {
        Format::Json => {
            let line = |it| WindowLine::of(it, read.config.calendar.knowledge(it), read.now);
            screen::say_json(&windows.iter().map(line).collect::<Vec<_>>())?;
        }
        Format::Table => screen::say(&table(&read))?,
    }
    Ok(Exit::Success)
}

fn table(read: &Read) -> String {
    let mut rows =
        Rows::under(&["WINDOW", "STATE", "NEXT CHANGE", "OPENS", "CLOSES", "ZONE", "SYNCS", "DESCRIPTION"]);
    for window in read.config.calendar.windows() {
        let zone = window.times.zone();
        let (state, occurrence) = window_state(window, read.now);
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
                covered_short(window.syncs.len(), read.config.calendar.knowledge(window)),
                window.description.clone().unwrap_or_default(),
            ],
        );
    }
    rows.render()
}
