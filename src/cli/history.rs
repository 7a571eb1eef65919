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
    /// Go on with what happens, until Ctrl-C (0), the reader's end (0) or the daemon's (69)
    #[arg(long, short)]
    follow: bool,
    /// With `--follow`: go on without the daemon, by way of the ledger, until it is there again
    #[arg(long, requires = "follow")]
    retry: bool,
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
        Shown { format: arguments.format.format, zone: &zone }.print(&lines)?;
        if let (true, Some(window)) = (lines.is_empty(), &arguments.window) {
            journal.doubt(window).await?;
        }
        if arguments.follow {
            let last = lines.last().map(|it| it.entry);
            let shown = Shown { format: arguments.format.format, zone: &zone };
            tokio::select! {
                ended = follow(&journal, request, last, arguments.retry, &shown) => ended?,
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

/// Asks every second. Ends well when nobody reads on; and of a failure, which a
/// daemon that goes away is, after what it wrote last, unless it is waited for.
async fn follow(
    journal: &Journal<'_>,
    request: HistoryRequest,
    mut last: Option<i64>,
    waits: bool,
    shown: &Shown<'_>,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(PERIOD).await;
        if screen::nobody_reads() {
            return Ok(());
        }
        // An empty journal counts from 1.
        let request = HistoryRequest { after: last.or(Some(0)), limit: None, ..request.clone() };
        let (lines, gone) = match journal.socket.history(&request).await {
            Err(failure) if failure.is_unreachable() => {
                let left = journal.in_ledger(&request);
                if waits { (left?, None) } else { (left.unwrap_or_default(), Some(failure)) }
            }
            answer => (answer?, None),
        };
        last = lines.last().map(|it| it.entry).or(last);
        shown.print(&lines)?;
        if let Some(gone) = gone {
            return Err(gone);
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
        let lines = match self.in_ledger(request) {
            Err(Failure::Open(_)) => return Err(unreached),
            lines => lines?,
        };
        if tells {
            screen::note(&format!("{}; this is what the ledger says", sentence(&unreached)));
        }
        Ok(lines)
    }

    fn in_ledger(&self, request: &HistoryRequest) -> Result<Vec<JournalLine>, Failure> {
        let query = daemon::query(request)?;
        let store = file::ledger(self.global)?;
        Ok(store.history(&query)?.into_iter().map(JournalLine::from).collect())
    }
}

/// How lines are shown.
struct Shown<'a> {
    format: Format,
    zone: &'a Zone,
}

impl Shown<'_> {
    fn print(&self, lines: &[JournalLine]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| match self.format {
            Format::Json => screen::say_json_line(line),
            Format::Table => screen::say(&row(line, self.zone)),
        })
    }
}

/// One line for people: when, what, to which sync, for which window, by whom,
/// why, and what became of its row.
fn row(line: &JournalLine, zone: &Zone) -> String {
    let at = times::local(line.at, zone).format("%Y-%m-%d %H:%M:%S %:z");
    let mut text = format!("{at}  {:<15}", line.event);
    let sync = line.name.clone().or_else(|| line.id.map(|id| id.to_string()));
    let window = line.window.as_ref().map(|it| format!("[{it}]"));
    let by = (line.by != crate::domain::event::DAEMON).then(|| format!("by {}", line.by));
    let attempt = line.attempt.map(|it| format!("attempt {it}"));
    let description = line.untold_description().map(|it| format!("({it})"));
    let turned = match (&line.state_before, &line.state_after) {
        (Some(before), Some(after)) if before != after => Some(format!("{before} -> {after}")),
        _ => None,
    };
    let detail = line.detail.as_ref().map(|it| zone.retell(it));
    let words = [sync, window, by, attempt, line.error.clone(), detail, description, turned];
    for word in words.into_iter().flatten() {
        text.push_str("  ");
        let lines: Vec<_> = word.trim_end().split('\n').map(screen::harmless).collect();
        text.push_str(&lines.join("\n    "));
    }
    text.trim_end().to_owned()
}
