//! `resume --from-history`: for a host that was lost with its ledger.
//!
//! An exported history tells which syncs were paused and not yet resumed; the
//! configuration tells where they are and which key opens them. Each is looked
//! at first: what is on needs nothing, and what somebody seems to have changed
//! after us is left to them.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Arguments;
use crate::cli::api::{self, Clients};
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::table::{Mood, Rows, count};
use crate::cli::{Exit, Format, Global, Outcome, block_on, file, screen, times};
use crate::daemon::{self, StartError};
use crate::domain::event::{Event, EventKind};
use crate::domain::owed::{Claim, Owed, Unfinished, unfinished};
use crate::domain::sync::{Name, SyncKind, SyncRef, SyncState, find_sync};
use crate::domain::verdict::{Failure as Refusal, FailureKind, Verdict};
use crate::domain::zone::Zone;
use crate::ledger::{Lock, LockError};
use crate::polytomic::{Client, Looked};
use crate::web::api::JournalLine;

/// Syncs that are looked at and switched at a time.
const AT_A_TIME: usize = 8;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Our own change may be dated so much later than we wrote it down: two clocks,
/// and an answer that took its time.
const OUR_OWN: TimeDelta = TimeDelta::minutes(2);

/// What became of one sync.
#[derive(Debug, Clone, Serialize)]
struct Line {
    organization: Name,
    kind: SyncKind,
    id: Uuid,
    name: Option<String>,
    window: Option<Name>,
    at: DateTime<Utc>,
    outcome: &'static str,
    error: Option<String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments, path: &Path) -> Outcome {
    let history = read(path)?;
    let Unfinished { owed, open } = unfinished(history.iter().map(|(at, event)| (*at, event)));
    for window in open {
        screen::note(&format!(
            "note: `{window}` was open where the history ends; what it paused in its last moment may not be in it"
        ));
    }
    let owed = narrow(owed, arguments)?;
    let _lock = beside_no_daemon(global, arguments)?;
    let read = file::read(global)?;
    let mut clients = Clients::default();
    let asked = owed.into_iter().map(|it| {
        let organization = read.config.organizations.get(&it.sync.organization).map(|it| &it.organization);
        let client = match organization {
            Some(organization) => clients
                .of(organization, &api::limits(&read.config, organization))
                .map_err(|failure| failure.to_string()),
            None => Err(format!("the configuration has no organization `{}`", it.sync.organization)),
        };
        (it, client)
    });
    let lines = block_on(async { Ok(resume_all(asked.collect(), arguments).await) })?;
    match arguments.format.format {
        Format::Json => screen::say_json(&lines)?,
        Format::Table if lines.is_empty() => screen::say("the history leaves nothing paused")?,
        Format::Table => screen::say(&table(&lines, &read.zone()))?,
    }
    Ok(if lines.iter().any(|it| it.error.is_some()) { Exit::Failed } else { Exit::Success })
}

// ---- what is meant ----

/// The lines of the file, without those that it has twice: whoever follows a
/// history into a file gets its end again when they start anew.
fn read(path: &Path) -> Result<Vec<(DateTime<Utc>, Event)>, Failure> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|source| {
        Failure::History(format!("could not read history `{}`: {source}", path.display()))
    })?;
    // A copy that broke off in the middle of a letter breaks off a line, too.
    let text = String::from_utf8_lossy(&bytes);
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let entry = match serde_json::from_str::<JournalLine>(line) {
            Ok(entry) => entry,
            Err(_) if lines.peek().is_none() && !text.ends_with('\n') && !entries.is_empty() => {
                screen::note("note: the last line is cut short and was left out");
                break;
            }
            Err(error) => {
                let (path, number) = (path.display(), number + 1);
                return Err(Failure::History(format!(
                    "line {number} of `{path}` is no line of `history --format json`: {error}"
                )));
            }
        };
        match event(&entry) {
            Some(_) if !seen.insert((entry.entry, entry.at)) => {}
            Some(event) => entries.push((entry.at, event)),
            None => {
                screen::note(&format!("note: event `{}` is not known here and was left out", entry.event));
            }
        }
    }
    Ok(entries)
}

fn event(line: &JournalLine) -> Option<Event> {
    let kind = line.event.parse::<EventKind>().ok()?;
    let sync = match (&line.organization, line.kind, line.id) {
        (Some(organization), Some(kind), Some(id)) => Some(SyncRef::new(organization.clone(), kind, id)),
        _ => None,
    };
    Some(Event { sync, name: line.name.clone(), window: line.window.clone(), ..Event::new(kind) })
}

fn narrow(owed: Vec<Owed>, arguments: &Arguments) -> Result<Vec<Owed>, Failure> {
    if let Some(window) = &arguments.window {
        return Ok(owed
            .into_iter()
            .filter(|it| it.window.as_ref().is_some_and(|it| it.as_str() == window))
            .collect());
    }
    if arguments.syncs.is_empty() {
        return Ok(owed);
    }
    let find = |text: &String| {
        find_sync(text, owed.iter().map(|it| (&it.sync, it.name.as_deref())))
            .map_err(|error| Failure::NotFound(format!("the history leaves it not paused: {error}")))
    };
    let named = arguments.syncs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    Ok(owed.into_iter().filter(|it| named.contains(&it.sync)).collect())
}

/// A ledger on this host is told of, and a daemon on it keeps us out: what it
/// holds is its own, and it would take our resumes for a person's.
fn beside_no_daemon(global: &Global, arguments: &Arguments) -> Result<Option<Lock>, Failure> {
    let path = daemon::ledger_path(global.state.as_deref(), &global.config, None);
    let Ok(store) = file::ledger(global) else { return Ok(None) };
    let rows = store.contents()?.holds.len();
    screen::note(&format!(
        "note: this host has a ledger, {}, with {}; `resume --offline` works from that",
        path.display(),
        count(rows, "row")
    ));
    if arguments.dry_run {
        return Ok(None);
    }
    match Lock::take(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held(_)) => Err(StartError::Held { ledger: path }.into()),
        Err(source) => Err(StartError::Lock { ledger: path, source }.into()),
    }
}

// ---- doing it ----

async fn resume_all(asked: Vec<(Owed, Result<Client, String>)>, arguments: &Arguments) -> Vec<Line> {
    let deadline = tokio::time::Instant::now() + arguments.timeout;
    let is_explicit = arguments.all || arguments.window.is_some() || !arguments.syncs.is_empty();
    let dry_run = arguments.dry_run;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tasks = JoinSet::new();
    for (owed, client) in asked {
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            let attempt = Attempt { owed: &owed, is_explicit, dry_run, deadline };
            let (outcome, error) = match client {
                Ok(client) => attempt.resume(&client).await,
                Err(error) => ("not resumed", Some(error)),
            };
            let Owed { sync, name, window, at, .. } = owed;
            Line {
                organization: sync.organization.clone(),
                kind: sync.kind,
                id: sync.id,
                name,
                window,
                at,
                outcome,
                error,
            }
        });
    }
    let progress = Progress::of(tasks.len());
    let mut lines = Vec::new();
    while let Some(done) = tasks.join_next().await {
        lines.extend(done.ok());
        progress.tell("done with", lines.len());
    }
    lines.sort_by(|a, b| (&a.organization, a.kind, a.id).cmp(&(&b.organization, b.kind, b.id)));
    lines
}

struct Attempt<'a> {
    owed: &'a Owed,
    is_explicit: bool,
    dry_run: bool,
    deadline: tokio::time::Instant,
}

impl Attempt<'_> {
    /// Looks, and switches on what is ours, until that is confirmed or time is
    /// up. Each attempt begins with a look of its own.
    async fn resume(&self, client: &Client) -> (&'static str, Option<String>) {
        let mut wait = Duration::from_millis(500);
        let mut was_asked = false;
        loop {
            let failure = match client.look(&self.owed.sync).await {
                Ok(Looked { state: SyncState::Active, .. }) => {
                    return (if was_asked { "resumed" } else { "was already on" }, None);
                }
                Ok(Looked { state: SyncState::Gone, .. }) => {
                    return ("not resumed", Some("Polytomic does not know this sync (404)".to_owned()));
                }
                Ok(looked) => {
                    let doubt = self.doubt(&looked).filter(|_| !self.is_explicit && !was_asked);
                    match doubt {
                        Some(doubt) => return ("left off", Some(doubt)),
                        None if self.dry_run => return ("would be resumed", None),
                        None => {}
                    }
                    was_asked = true;
                    match client.set_active(&self.owed.sync, true).await {
                        Verdict::Applied => return ("resumed", None),
                        Verdict::Refused(failure) | Verdict::Unknown(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            wait = failure.retry_after.unwrap_or((wait * 2).min(LONGEST_WAIT));
            let is_late = self.deadline < tokio::time::Instant::now() + wait;
            if self.dry_run || is_late || is_final(&failure) {
                return ("not resumed", Some(failure.to_string()));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Why a sync that is off may be off by somebody else's will. The API names
    /// who changed a sync last and when, and does not promise that switching it
    /// counts as a change: what it tells is reason for doubt, and what it does
    /// not tell is none.
    fn doubt(&self, looked: &Looked) -> Option<String> {
        let mend = "name it, or give `--all`, to resume it";
        if self.owed.claim == Claim::Tried {
            return Some(format!("the history has only attempts to switch it that failed: {mend}"));
        }
        let changed = looked.updated_at.filter(|at| self.owed.at + OUR_OWN < *at)?;
        let by = looked.updated_by.as_deref().unwrap_or("somebody");
        let at = changed.format("%Y-%m-%dT%H:%M:%SZ");
        Some(format!("changed by {by} at {at}, after we paused it: {mend}"))
    }
}

/// Whether trying again changes nothing, until somebody mends something.
fn is_final(failure: &Refusal) -> bool {
    match failure.kind {
        FailureKind::Unauthorized
        | FailureKind::Forbidden
        | FailureKind::Gone
        | FailureKind::Rejected
        | FailureKind::Redirected
        | FailureKind::Key
        | FailureKind::Ledger => true,
        FailureKind::Conflict
        | FailureKind::Throttled
        | FailureKind::Server
        | FailureKind::Malformed
        | FailureKind::Timeout
        | FailureKind::NotSent
        | FailureKind::Lost => false,
    }
}

fn table(lines: &[Line], zone: &Zone) -> String {
    let mut rows = Rows::under(&["SYNC", "KIND", "PAUSED", "WINDOW", "OUTCOME"]);
    for it in lines {
        let id = format!("{}/{}", it.organization, it.id);
        rows.add(
            if it.error.is_some() { Mood::Trouble } else { Mood::Plain },
            [
                it.name.clone().unwrap_or_else(|| it.id.to_string()),
                it.kind.to_string(),
                times::local(it.at, zone).format("%Y-%m-%d %H:%M").to_string(),
                it.window.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                it.outcome.to_owned(),
            ],
        );
        rows.note(it.error.as_ref().map(|error| format!("{id}: {error}")));
    }
    rows.render()
}
