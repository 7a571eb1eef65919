//! `status`: every row of the ledger, as the daemon sees it, or as the ledger
//! alone tells it.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use super::failure::{Failure, sentence};
use super::socket::Socket;
use super::table::{Mood, Rows};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, file, screen, times};
use crate::clock;
use crate::domain::hold::HoldState;
use crate::domain::plan::Rules;
use crate::domain::sync::Name;
use crate::domain::zone::Zone;
use crate::reconcile::{Report, RowReport};
use crate::web::api::{DaemonStatus, Status};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
    /// Ask the daemon alone: end with 69 if it is not there, instead of reading the ledger
    #[arg(long)]
    daemon: bool,
    /// End with 1 if anything is overdue or failing
    #[arg(long)]
    exit_code: bool,
}

/// The answer, in the shape of the documentation.
#[derive(Debug, Serialize)]
struct Answer {
    // None: it was not reached, and the ledger was read.
    daemon: Option<DaemonStatus>,
    healthy: bool,
    next_change: Option<DateTime<Utc>>,
    syncs: Vec<RowReport>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let answer = match block_on(socket.status()) {
        Ok(status) => Answer::from(status),
        Err(failure) if failure.is_unreachable() && !arguments.daemon => offline(global, failure)?,
        Err(failure) => return Err(failure),
    };
    match arguments.format.format {
        Format::Json => screen::say_json(&answer)?,
        Format::Table => screen::say(&table(&answer, &file::zone(global), clock::wall()))?,
    }
    Ok(if arguments.exit_code && !answer.healthy { Exit::Failed } else { Exit::Success })
}

/// What the ledger alone tells. Without a ledger there is nothing to tell, and
/// that the daemon was not reached is the news.
fn offline(global: &Global, unreached: Failure) -> Result<Answer, Failure> {
    let Ok(store) = file::ledger(global) else { return Err(unreached) };
    screen::note(&format!("{}; this is what the ledger says", sentence(&unreached)));
    let now = clock::wall();
    let rules = file::read(global).map_or_else(|_| Rules::default(), |it| it.config.rules());
    let holds = store.contents()?.holds;
    let syncs: Vec<RowReport> =
        holds.iter().map(|hold| RowReport::of(hold, now, rules.overdue_after)).collect();
    let next_change =
        holds.iter().flat_map(|hold| hold.ends().collect::<Vec<_>>()).filter(|end| now < *end).min();
    let report = Report { next_change, syncs };
    Ok(Answer { daemon: None, healthy: !report.has_trouble(), next_change, syncs: report.syncs })
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        let Status { daemon, healthy, next_change, syncs } = status;
        Self { daemon: Some(daemon), healthy, next_change, syncs }
    }
}

fn table(answer: &Answer, zone: &Zone, now: DateTime<Utc>) -> String {
    let mut parts = vec![headline(answer, zone, now)];
    if !answer.syncs.is_empty() {
        parts.push(rows(&answer.syncs, zone, now));
    }
    parts.join("\n\n")
}

fn headline(answer: &Answer, zone: &Zone, now: DateTime<Utc>) -> String {
    let report = Report { next_change: answer.next_change, syncs: answer.syncs.clone() };
    let next =
        answer.next_change.map(|at| format!("; next change {}", times::show_with_distance(at, zone, now)));
    let mut lines = vec![format!("{}{}", capitalized(&report.headline()), next.unwrap_or_default())];
    match &answer.daemon {
        None => lines.push("No daemon is reached: nothing will change until one runs.".to_owned()),
        Some(daemon) => {
            lines.push(format!(
                "intermission {} (pid {}) since {}, {}, time zone data {}",
                daemon.version,
                daemon.pid,
                times::show(daemon.started_at, zone),
                daemon.config,
                daemon.tzdb
            ));
            if let Some(error) = &daemon.config_error {
                lines.push(format!("The configuration file is wrong, {}", error.trim_end()));
            }
        }
    }
    lines.join("\n")
}

fn rows(syncs: &[RowReport], zone: &Zone, now: DateTime<Utc>) -> String {
    let header = ["SYNC", "KIND", "STATE", "WINDOWS", "SINCE", "UNTIL", "OVERDUE", "ATTEMPTS", "LAST ERROR"];
    let mut rows = Rows::under(&header);
    for row in syncs {
        let time = |at: Option<DateTime<Utc>>| at.map_or_else(dash, |at| times::show(at, zone));
        let until = row.until.map_or_else(dash, |at| times::show_with_distance(at, zone, now));
        let overdue = match row.overdue_seconds {
            0 => dash(),
            seconds => format!("by {}", times::span(TimeDelta::seconds(seconds))),
        };
        let windows: Vec<&str> = row.windows.iter().map(Name::as_str).collect();
        rows.add(
            mood(row),
            [
                sync_label(row),
                row.kind.to_string(),
                row.state.as_str().to_owned(),
                if windows.is_empty() { dash() } else { windows.join(", ") },
                time(row.since),
                until,
                overdue,
                row.attempts.to_string(),
                row.last_error.clone().unwrap_or_else(dash),
            ],
        );
    }
    rows.render()
}

fn mood(row: &RowReport) -> Mood {
    match row.state {
        _ if row.is_trouble() => Mood::Trouble,
        HoldState::Pausing | HoldState::Resuming => Mood::Busy,
        HoldState::Held | HoldState::Settling | HoldState::Skipped | HoldState::Released => Mood::Plain,
    }
}

/// The name, where there is one, and always what a command takes.
fn sync_label(row: &RowReport) -> String {
    let id = match row.organization.as_str() {
        "default" => row.id.to_string(),
        organization => format!("{organization}/{}", row.id),
    };
    row.name.as_ref().map_or_else(|| id.clone(), |name| format!("{name} ({id})"))
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn dash() -> String {
    "-".to_owned()
}
