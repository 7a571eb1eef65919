//! `history`: the journal, newest last, from the daemon or from the ledger.

use std::cell::Cell;
use std::collections::VecDeque;
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
use crate::web::api::{HistoryRequest, JournalLine, MOST_LINES};

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
    let journal = Journal { global, socket: Socket::of(global)?, is_offline: Cell::new(false) };
    let shown = Shown { format: arguments.format.format, zone: &zone };
    let work = async {
        // Nothing of what comes after this is missed.
        let newest = if arguments.follow { journal.newest().await? } else { None };
        let last = journal.show(&request, &shown).await?;
        if last.is_none() {
            journal.doubt(arguments).await?;
        }
        if arguments.follow {
            follow(&journal, &request, last.max(newest), arguments.retry, &shown).await?;
        }
        Ok(Exit::Success)
    };
    block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c(), if arguments.follow => Ok(Exit::Success),
            ended = work => ended,
        }
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
        limit,
        ..HistoryRequest::default()
    })
}

/// Asks every second. Ends well when nobody reads on; and of a failure, which a
/// daemon that goes away is, after what it wrote last, unless it is waited for.
async fn follow(
    journal: &Journal<'_>,
    request: &HistoryRequest,
    mut last: Option<i64>,
    waits: bool,
    shown: &Shown<'_>,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(PERIOD).await;
        if screen::nobody_reads() {
            return Ok(());
        }
        let gone = loop {
            match journal.socket.history(&page(request, last)).await {
                Err(failure) if failure.is_unreachable() => break Some(failure),
                lines => {
                    if !shown.print_page(&lines?, &mut last)? {
                        break None;
                    }
                }
            }
        };
        let Some(gone) = gone else { continue };
        match journal.show_rest(request, &mut last, shown).await {
            Err(failure) if waits || matches!(failure, Failure::Output(_)) => return Err(failure),
            Ok(()) if waits => {}
            Ok(()) | Err(_) => return Err(gone),
        }
    }
}

/// The next lines after this entry, as many as come at once.
fn page(request: &HistoryRequest, after: Option<i64>) -> HistoryRequest {
    // An empty journal counts from 1.
    let after = Some(after.unwrap_or(0));
    HistoryRequest { after, limit: Some(MOST_LINES), oldest_first: true, ..request.clone() }
}

/// The journal, wherever it can be read.
struct Journal<'a> {
    global: &'a Global,
    socket: Socket,
    // The daemon did not answer: for what is asked for first it is not asked again.
    is_offline: Cell<bool>,
}

impl Journal<'_> {
    /// Shows what is asked for, and gives its last entry. However long the journal is,
    /// nobody has all of it in memory, unless so many of the newest are asked for.
    async fn show(&self, request: &HistoryRequest, shown: &Shown<'_>) -> Result<Option<i64>, Failure> {
        if let Some(limit) = request.limit {
            let lines = self.newest_lines(request, limit).await?;
            shown.print(&lines)?;
            return Ok(lines.last().map(|it| it.entry));
        }
        let mut last = None;
        while shown.print_page(&self.lines(&page(request, last)).await?, &mut last)? {}
        Ok(last)
    }

    /// Shows all that the ledger has after this entry.
    async fn show_rest(
        &self,
        request: &HistoryRequest,
        last: &mut Option<i64>,
        shown: &Shown<'_>,
    ) -> Result<(), Failure> {
        while shown.print_page(&self.in_ledger(&page(request, *last)).await?, last)? {}
        Ok(())
    }

    /// The newest so many, in order.
    async fn newest_lines(
        &self,
        request: &HistoryRequest,
        limit: usize,
    ) -> Result<Vec<JournalLine>, Failure> {
        let mut pages = VecDeque::new();
        let mut left = limit;
        let mut before = None;
        loop {
            let request = HistoryRequest { before, limit: Some(left.min(MOST_LINES)), ..request.clone() };
            let lines = self.lines(&request).await?;
            left = left.saturating_sub(lines.len());
            before = lines.first().map(|it| it.entry);
            let is_last = lines.len() < MOST_LINES || left == 0;
            pages.push_front(lines);
            if is_last {
                return Ok(pages.into_iter().flatten().collect());
            }
        }
    }

    /// The newest entry of all.
    async fn newest(&self) -> Result<Option<i64>, Failure> {
        let request = HistoryRequest { limit: Some(1), ..HistoryRequest::default() };
        Ok(self.lines(&request).await?.last().map(|it| it.entry))
    }

    /// What the daemon answers, or in its absence the ledger.
    async fn lines(&self, request: &HistoryRequest) -> Result<Vec<JournalLine>, Failure> {
        if self.is_offline.get() {
            return self.in_ledger(request).await;
        }
        let unreached = match self.socket.history(request).await {
            Err(failure) if failure.is_unreachable() => failure,
            answer => return answer,
        };
        let lines = match self.in_ledger(request).await {
            Err(Failure::Open(_)) => return Err(unreached),
            lines => lines?,
        };
        self.is_offline.set(true);
        screen::note(&format!("{}; this is what the ledger says", sentence(&unreached)));
        Ok(lines)
    }

    /// Tells that a window, or a sync, of which nothing was found is perhaps none.
    async fn doubt(&self, arguments: &Arguments) -> Result<(), Failure> {
        let one = || HistoryRequest { limit: Some(1), ..HistoryRequest::default() };
        if let Some(window) = &arguments.window {
            let ever = HistoryRequest { window: Some(window.clone()), ..one() };
            let read = file::read(self.global);
            let is_in_file = read.is_ok_and(|it| it.config.calendar.window(window).is_some());
            if !is_in_file && self.lines(&ever).await?.is_empty() {
                screen::note(&format!("there is no window `{window}`, in the file or in the history"));
            }
        }
        if let Some(sync) = &arguments.sync {
            let ever = HistoryRequest { sync: Some(sync.clone()), ..one() };
            if self.lines(&ever).await?.is_empty() {
                screen::note(&format!("the history has nothing of a sync `{sync}`, by this id or name"));
            }
        }
        Ok(())
    }

    /// What the ledger has. Before each page Ctrl-C has its turn.
    async fn in_ledger(&self, request: &HistoryRequest) -> Result<Vec<JournalLine>, Failure> {
        tokio::task::yield_now().await;
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
    /// Prints a page, after which `last` is its last entry, and says whether another may
    /// follow.
    fn print_page(&self, lines: &[JournalLine], last: &mut Option<i64>) -> Result<bool, Failure> {
        self.print(lines)?;
        *last = lines.last().map(|it| it.entry).or(*last);
        Ok(lines.len() == MOST_LINES)
    }

    fn print(&self, lines: &[JournalLine]) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        match self.format {
            Format::Json => screen::say_json_lines(lines),
            Format::Table => {
                let rows: Vec<_> = lines.iter().map(|it| row(it, self.zone)).collect();
                screen::say(&rows.join("\n"))
            }
        }
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
