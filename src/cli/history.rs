//! `history`: the journal, newest last, from the daemon or from the ledger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;

use super::completions::candidates;
use super::failure::{Failure, sentence};
use super::socket::Socket;
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, file, screen, times};
use crate::clock;
use crate::daemon;
use crate::domain::zone::Zone;
use crate::web::api::{HistoryRequest, JournalLine};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
    /// Not before: `2026-05-01 22:00` in the file's zone, RFC 3339, `2h ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of one sync: an id, `organization/id` or a name
    #[arg(long, add = candidates::syncs())]
    sync: Option<String>,
    /// Of one window
    #[arg(long, value_name = "NAME", add = candidates::windows())]
    window: Option<String>,
    /// Of one or more kinds, with commas between: `paused,resumed`
    #[arg(long, value_name = "EVENTS", add = candidates::events())]
    event: Option<String>,
    /// Go on with what happens, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// The newest so many [default: all; with `--follow` 20]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// With `--follow`, how many lines are shown of what happened before.
const SHOWN_BEFORE: usize = 20;

/// With `--follow`, how often is asked.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let zone = file::zone(global);
    let request = request(arguments, &zone)?;
    let journal = Journal { global, socket: Socket::of(global)? };
    block_on(async {
        let lines = journal.lines(&request, true).await?;
        print(&lines, arguments.format.format, &zone)?;
        if let (true, Some(window)) = (lines.is_empty(), &arguments.window) {
            journal.doubt(window).await?;
        }
        if arguments.follow {
            let last = lines.last().map(|it| it.entry);
            tokio::select! {
                failure = follow(&journal, request, last, arguments.format.format, &zone) => return Err(failure),
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Ok(Exit::Success)
    })
}

fn request(arguments: &Arguments, zone: &Zone) -> Result<HistoryRequest, Failure> {
    let now = clock::wall();
    let time = |option: &str, text: &Option<String>| -> Result<Option<DateTime<Utc>>, Failure> {
        Ok(text.as_ref().map(|text| times::parse_and_echo(option, text, zone, now)).transpose()?)
    };
    let limit = match arguments.limit {
        None if arguments.follow && arguments.since.is_none() => Some(SHOWN_BEFORE),
        limit => limit,
    };
    Ok(HistoryRequest {
        since: time("--since", &arguments.since)?,
        until: time("--until", &arguments.until)?,
        sync: arguments.sync.clone(),
        window: arguments.window.clone(),
        event: arguments.event.clone(),
        after: None,
        limit,
    })
}

/// Asks every second. Ends only of a failure: a daemon that restarts is waited
/// for, with the ledger standing in for it.
async fn follow(
    journal: &Journal<'_>,
    request: HistoryRequest,
    mut last: Option<i64>,
    format: Format,
    zone: &Zone,
) -> Failure {
    loop {
        tokio::time::sleep(PERIOD).await;
        // An empty journal counts from 1.
        let request = HistoryRequest { after: last.or(Some(0)), limit: None, ..request.clone() };
        let told = journal.lines(&request, false).await.and_then(|lines| {
            last = lines.last().map(|it| it.entry).or(last);
            print(&lines, format, zone)
        });
        if let Err(failure) = told {
            return failure;
        }
    }
}

/// The journal, wherever it can be read.
struct Journal<'a> {
    global: &'a Global,
    socket: Socket,
}

impl Journal<'_> {
    async fn lines(&self, request: &HistoryRequest, tells: bool) -> Result<Vec<JournalLine>, Failure> {
        match self.socket.history(request).await {
            Err(failure) if failure.is_unreachable() => self.offline(request, failure, tells),
            answer => answer,
        }
    }

    /// Tells that a window of which nothing was found is perhaps none.
    async fn doubt(&self, window: &str) -> Result<(), Failure> {
        let ever =
            HistoryRequest { window: Some(window.to_owned()), limit: Some(1), ..HistoryRequest::default() };
        let is_in_file = file::read(self.global).is_ok_and(|it| it.config.calendar.window(window).is_some());
        if !is_in_file && self.lines(&ever, false).await?.is_empty() {
            screen::note(&format!("there is no window `{window}`, in the file or in the history"));
        }
        Ok(())
    }

    fn offline(
        &self,
        request: &HistoryRequest,
        unreached: Failure,
        tells: bool,
    ) -> Result<Vec<JournalLine>, Failure> {
        let query = daemon::query(request)?;
        let Ok(store) = file::ledger(self.global) else { return Err(unreached) };
        if tells {
            screen::note(&format!("{}; this is what the ledger says", sentence(&unreached)));
        }
        Ok(store.history(&query)?.into_iter().map(JournalLine::from).collect())
    }
}

fn print(lines: &[JournalLine], format: Format, zone: &Zone) -> Result<(), Failure> {
    lines.iter().try_for_each(|line| match format {
        Format::Json => screen::say_json_line(line),
        Format::Table => screen::say(&row(line, zone)),
    })
}

/// One line for people: when, what, to which sync, for which window, and why.
fn row(line: &JournalLine, zone: &Zone) -> String {
    let at = times::local(line.at, zone).format("%Y-%m-%d %H:%M:%S %:z");
    let mut text = format!("{at}  {:<15}", line.event);
    let sync = line.name.clone().or_else(|| line.id.map(|id| id.to_string()));
    let window = line.window.as_ref().map(|it| format!("[{it}]"));
    let by = (line.by != crate::domain::event::DAEMON).then(|| format!("by {}", line.by));
    let attempt = line.attempt.map(|it| format!("attempt {it}"));
    let words = [sync, window, by, attempt, line.error.clone(), line.detail.clone()];
    for word in words.into_iter().flatten() {
        text.push_str("  ");
        text.push_str(&word.trim_end().replace('\n', "\n    "));
    }
    text.trim_end().to_owned()
}
