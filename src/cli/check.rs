//! `check`: validates the file, and with `--online` what it says about
//! Polytomic.

mod online;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use clap::Args;

use super::file::{self, Read};
use super::table::{Mood, Rows, count};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, screen, socket, times};
use crate::config::{self, Diagnostic};
use crate::daemon;
use crate::domain::notice::{Address, DEFAULT_EVENTS, Target};
use crate::domain::selection::{Knowledge, covered_short};
use crate::domain::window::Window;
use crate::{key, notify};
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Warnings are errors
    #[arg(long)]
    strict: bool,
    /// Ask Polytomic, too: about the keys, every sync, and the clock
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    format: FormatArgument,
}

/// How many occurrences of each window are shown.
const NEXT: usize = 3;

#[derive(Debug, Serialize)]
struct Answer {
    config: String,
    warnings: Vec<String>,
    windows: Vec<WindowLine>,
    syncs: usize,
    organizations: usize,
    notify: Vec<TargetLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<HeartbeatLine>,
    tzdb: String,
    ledger: String,
    socket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<online::Found>,
}

#[derive(Debug, Serialize)]
struct WindowLine {
    window: String,
    timezone: String,
    syncs: usize,
    // Whether that is all that it selects.
    syncs_known: bool,
    #[serde(skip)]
    syncs_shown: String,
    next: Vec<Opening>,
}

/// Who is told. Of the address, which is a secret, the host alone.
#[derive(Debug, Serialize)]
struct TargetLine {
    name: String,
    format: &'static str,
    // None: there is no address, of which a warning tells.
    host: Option<String>,
    events: Vec<&'static str>,
    #[serde(skip)]
    are_usual: bool,
}

#[derive(Debug, Serialize)]
struct HeartbeatLine {
    host: Option<String>,
    interval_seconds: u64,
}

#[derive(Debug, Serialize)]
struct Opening {
    opens_local: String,
    closes_local: String,
    #[serde(skip)]
    shown: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let mut read = file::read_with_keys(global)?;
    let warnings = warnings(&mut read);
    if !warnings.is_empty() {
        screen::note(config::render(&warnings, 0, screen::colors_stderr()).trim_end());
    }
    let online = if arguments.online {
        Some(block_on(async { Ok(online::look(&mut read, &file::held(global)).await) })?)
    } else {
        None
    };
    let answer = answer(global, &read, &warnings, online);
    match arguments.format.format {
        Format::Json => screen::say_json(&answer)?,
        Format::Table => screen::say(&table(&answer))?,
    }
    Ok(match &answer.online {
        Some(found) if !found.is_good() => Exit::Failed,
        _ if arguments.strict && !warnings.is_empty() => {
            screen::note("error: there are warnings, and `--strict` takes them for errors");
            Exit::Config
        }
        _ => Exit::Success,
    })
}

/// What is allowed but perhaps not meant.
fn warnings(read: &mut Read) -> Vec<Diagnostic> {
    std::mem::take(&mut read.config.warnings)
}

fn answer(global: &Global, read: &Read, warnings: &[Diagnostic], online: Option<online::Found>) -> Answer {
    let calendar = &read.config.calendar;
    Answer {
        config: global.config.display().to_string(),
        warnings: warnings.iter().map(|it| it.render(false)).collect(),
        windows: calendar.windows().iter().map(|it| line(it, read)).collect(),
        syncs: calendar.syncs().count(),
        organizations: read.config.organizations.len(),
        notify: read.config.notify.iter().map(target).collect(),
        heartbeat: read
            .config
            .heartbeat
            .as_ref()
            .map(|it| HeartbeatLine { host: host(&it.address), interval_seconds: it.interval.as_secs() }),
        tzdb: read.tzdb.to_string(),
        ledger: daemon::ledger_path(global.state.as_deref(), &global.config, Some(&read.config))
            .display()
            .to_string(),
        socket: socket::path_by(global, Some(&read.config)).display().to_string(),
        online,
    }
}

fn host(address: &Address) -> Option<String> {
    notify::host(address, &key::process_environment)
}

fn target(target: &Target) -> TargetLine {
    TargetLine {
        name: target.name.to_string(),
        format: target.format.as_str(),
        host: host(&target.address),
        events: target.events.iter().map(|it| it.as_str()).collect(),
        are_usual: DEFAULT_EVENTS.iter().copied().collect::<BTreeSet<_>>() == target.events,
    }
}

fn line(window: &Window, read: &Read) -> WindowLine {
    let zone = window.times.zone();
    let mut next = Vec::new();
    let mut occurrence = window.covering(read.now).or_else(|| window.next_opening(read.now));
    while let Some(it) = occurrence.filter(|_| next.len() < NEXT) {
        let (opens, closes) = (times::show(it.opens, zone), times::show(it.closes, zone));
        let (opens_local, closes_local) =
            (times::rfc3339_local(it.opens, zone), times::rfc3339_local(it.closes, zone));
        next.push(Opening { opens_local, closes_local, shown: format!("{opens} to {closes}") });
        occurrence = window.next_opening(it.opens);
    }
    let knowledge = read.config.calendar.knowledge(window);
    WindowLine {
        window: window.name.to_string(),
        timezone: zone.to_string(),
        syncs: window.syncs.len(),
        syncs_known: knowledge == Knowledge::Found,
        syncs_shown: covered_short(window.syncs.len(), knowledge),
        next,
    }
}

fn table(answer: &Answer) -> String {
    let verdict = match answer.warnings.len() {
        0 => format!("{} is good", answer.config),
        warnings => format!("{} is good, with {}", answer.config, count(warnings, "warning")),
    };
    let mut rows = Rows::under(&["WINDOW", "SYNCS", "NEXT OCCURRENCES", "ZONE"]);
    for it in &answer.windows {
        let mut next = it.next.iter().map(|it| it.shown.clone());
        let first = next.next().unwrap_or_else(|| "none".to_owned());
        rows.add(Mood::Plain, [it.window.clone(), it.syncs_shown.clone(), first, it.timezone.clone()]);
        for another in next {
            rows.add(Mood::Plain, [String::new(), String::new(), another, String::new()]);
        }
    }
    let told = told(answer);
    let facts = format!(
        "{} in {}, {}\ntime zone data  {}\nledger          {}\ncontrol socket  {}{told}",
        count(answer.windows.len(), "window"),
        count(answer.organizations, "organization"),
        known(answer),
        answer.tzdb,
        answer.ledger,
        answer.socket
    );
    let online = answer.online.as_ref().map(online::Found::table);
    [Some(verdict), Some(rows.render()), Some(facts), online]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// How many syncs there are, as far as that is known without a list.
fn known(answer: &Answer) -> String {
    let counted = count(answer.syncs, "sync");
    if answer.windows.iter().all(|it| it.syncs_known) {
        counted
    } else {
        format!("{counted} and what is selected (`--online` lists it)")
    }
}

/// Who hears of what.
fn told(answer: &Answer) -> String {
    let somewhere = |host: &Option<String>| host.clone().unwrap_or_else(|| "an unknown host".to_owned());
    let events = |it: &TargetLine| match it.are_usual {
        true => "the usual events".to_owned(),
        false if it.events.is_empty() => "nothing".to_owned(),
        false => it.events.join(", "),
    };
    let targets = answer.notify.iter().map(|it| {
        format!("\nnotices         {} ({}) at {}: {}", it.name, it.format, somewhere(&it.host), events(it))
    });
    let heartbeat = answer.heartbeat.iter().map(|it| {
        let every = times::span(TimeDelta::seconds(it.interval_seconds.try_into().unwrap_or(i64::MAX)));
        format!("\nheartbeat       to {}, every {every}", somewhere(&it.host))
    });
    targets.chain(heartbeat).collect()
}
