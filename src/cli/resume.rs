//! `resume`: ends pauses now, through the daemon or, to break glass, without
//! one.

mod ended;
mod from_history;

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, ValueHint};
use serde::Serialize;

use super::completions::candidates;
use super::failure::Failure;
use super::progress::Progress;
use super::socket::Socket;
use super::table::{Mood, Rows};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, file, logging, screen, times};
use crate::clock;
use crate::daemon::{self, RunError, Start};
use crate::domain::event::EventKind;
use crate::domain::hold::HoldState;
use crate::domain::sync::{Name, SyncRef, find_sync};
use crate::ledger::{Contents, HistoryQuery, SyncFilter};
use crate::reconcile::{Resumed, Selection};
use crate::web::api::ResumeRequest;
use crate::web::peer;

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["syncs", "window", "all", "from_history"])]
#[command(group = ArgGroup::new("glass").args(["offline", "from_history"]))]
pub(super) struct Arguments {
    /// Ids, `organization/id`s or names that only one sync has
    #[arg(value_name = "SYNC", add = candidates::syncs())]
    syncs: Vec<String>,
    /// All that the open occurrence of this window covers, whatever else holds it;
    /// or `operator#N`, to end that pause, extension or exemption and nothing else
    #[arg(long, value_name = "NAME", conflicts_with = "syncs", add = candidates::windows())]
    window: Option<String>,
    /// All that are paused
    #[arg(long, conflicts_with_all = ["syncs", "window"])]
    all: bool,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Break glass: from the ledger alone, without configuration or daemon
    #[arg(long)]
    offline: bool,
    /// Break glass for a host that was lost: what this file says is paused, as
    /// `history --format json` wrote it; `-` is stdin. What somebody seems to
    /// have changed since is left off, unless it is named, or `--all`
    #[arg(long, value_name = "FILE", conflicts_with = "reason", value_hint = ValueHint::FilePath)]
    from_history: Option<PathBuf>,
    /// With `--from-history`: look, and change nothing
    #[arg(long, requires = "from_history")]
    dry_run: bool,
    /// With `--offline` and `--from-history`: how long to try
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        value_parser = times::parse_duration,
        requires = "glass"
    )]
    timeout: Duration,
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    match &arguments.from_history {
        Some(file) => from_history::run(global, arguments, file),
        None if arguments.offline => offline(global, arguments),
        None => through_daemon(global, arguments),
    }
}

fn through_daemon(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let request = ResumeRequest {
        syncs: arguments.syncs.clone(),
        window: arguments.window.clone(),
        all: arguments.all,
        reason: arguments.reason.clone(),
    };
    let answer = block_on(socket.resume(&request))?;
    match arguments.format.format {
        Format::Json => screen::say_json(&answer)?,
        Format::Table => screen::say(&ended::tell(&answer, &file::zone(global), clock::wall()))?,
    }
    Ok(Exit::Success)
}

// ---- without a daemon ----

/// What became of one sync.
#[derive(Debug, Serialize)]
struct Became {
    sync: String,
    name: Option<String>,
    outcome: &'static str,
    error: Option<String>,
}

fn offline(global: &Global, arguments: &Arguments) -> Outcome {
    let _log = logging::start(logging::LogFormat::Auto, "warn")?;
    let by = format!("operator (offline, {})", peer::called(rustix::process::getuid().as_raw()));
    let start = Start { config: global.config.clone(), state: global.state.clone(), serve: false };
    let ledger = daemon::ledger_path(global.state.as_deref(), &global.config, None);
    // An empty ledger made by accident would only confuse: there must be one.
    drop(file::ledger(global)?);
    screen::note(&format!("resuming from the ledger {} alone", ledger.display()));

    let began = clock::wall();
    let (resumed, done) = block_on(async {
        let mut daemon = start.open_offline()?;
        // Read only now: before, a daemon may have been at work.
        let contents = file::ledger(global)?.contents()?;
        let selection = selection(arguments, &contents)?;
        let resumed = daemon.resume_offline(&selection, &by, arguments.reason.as_deref());
        let work = daemon.run_once(arguments.timeout);
        let done = tokio::select! {
            done = work => done,
            never = watch(global, resumed.len()) => match never {},
        };
        Ok((resumed, done))
    })?;

    // Then all of them run again, and the ledger is the one that does not know.
    let is_unwritten = matches!(done, Err(RunError::Unwritten | RunError::Ledger { is_resumed: true, .. }));
    let became =
        resumed.iter().map(|it| became(global, it, began, is_unwritten)).collect::<Result<Vec<_>, _>>()?;
    match arguments.format.format {
        Format::Json => screen::say_json(&became)?,
        Format::Table if became.is_empty() => screen::say("nothing is paused")?,
        Format::Table => screen::say(&outcomes(&became))?,
    }
    if became.iter().any(|it| it.error.is_some()) {
        return Ok(Exit::Failed);
    }
    done?;
    Ok(Exit::Success)
}

/// Tells how many rows still owe a resume, for as long as somebody waits.
async fn watch(global: &Global, all: usize) -> Infallible {
    let progress = Progress::of(all);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let owing = || Some(file::ledger(global).ok()?.contents().ok()?.holds);
        if screen::stderr_is_terminal()
            && let Some(holds) = owing()
        {
            let left = holds.iter().filter(|it| it.state.owes_resume()).count();
            progress.tell("resumed", all.saturating_sub(left));
        }
    }
}

fn selection(arguments: &Arguments, contents: &Contents) -> Result<Selection, Failure> {
    if arguments.all {
        return Ok(Selection::All);
    }
    if let Some(name) = &arguments.window {
        let name = Name::from(name.as_str());
        let serves = |it: &crate::domain::hold::Hold| it.holders.iter().any(|it| it.window == name);
        return if contents.holds.iter().any(serves) {
            Ok(Selection::Window(name))
        } else {
            Err(Failure::NotFound(format!("no row of the ledger serves a window `{name}`")))
        };
    }
    let find = |text: &String| {
        find_sync(text, contents.holds.iter().map(|it| (&it.sync, it.name.as_deref())))
            .map_err(|error| Failure::NotFound(error.to_string()))
    };
    Ok(Selection::Syncs(arguments.syncs.iter().map(find).collect::<Result<Vec<SyncRef>, _>>()?))
}

/// What the ledger says of a sync afterwards: its row if a resume is still
/// owed, else the last thing that the journal tells.
fn became(
    global: &Global,
    resumed: &Resumed,
    began: DateTime<Utc>,
    is_unwritten: bool,
) -> Result<Became, Failure> {
    let store = file::ledger(global)?;
    let row = store.contents()?.holds.into_iter().find(|it| it.sync == resumed.sync);
    let query = HistoryQuery {
        sync: Some(SyncFilter::Exactly(resumed.sync.clone())),
        events: vec![EventKind::Resumed, EventKind::Released, EventKind::ResumeFailed, EventKind::Forgotten],
        since: Some(began),
        limit: Some(1),
        newest_first: true,
        ..HistoryQuery::default()
    };
    let last = store.history(&query)?.pop().map(|it| it.event);
    let owed = row.filter(|it| it.state.owes_resume());
    let (outcome, error) = match (owed, last) {
        (Some(_), _) if is_unwritten => ("resumed", None),
        (Some(row), last) => {
            let met = row.last_error.or_else(|| last.and_then(|it| it.error));
            ("not resumed", Some(met.unwrap_or_else(|| "there was no time".to_owned())))
        }
        (None, Some(last)) if last.kind == EventKind::Resumed => ("resumed", None),
        (None, _) if resumed.was.is_some_and(HoldState::owes_resume) => ("was already on", None),
        (None, _) => ("was not paused by us", None),
    };
    Ok(Became { sync: resumed.sync.to_string(), name: resumed.name.clone(), outcome, error })
}

fn outcomes(became: &[Became]) -> String {
    let mut rows = Rows::under(&["SYNC", "OUTCOME", "WHY"]);
    for it in became {
        let mood = if it.error.is_some() { Mood::Trouble } else { Mood::Plain };
        rows.add(
            mood,
            [
                it.name.as_ref().map_or_else(|| it.sync.clone(), |name| format!("{name} ({})", it.sync)),
                it.outcome.to_owned(),
                it.error.clone().unwrap_or_else(|| "-".to_owned()),
            ],
        );
    }
    rows.render()
}
