//! `status`: every row of the ledger, as the daemon sees it, or as the ledger
//! alone tells it.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use super::failure::{Failure, sentence};
use super::socket::Socket;
use super::table::{Mood, Rows, columns, cut};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, curl, file, ordered, screen, times};
use crate::clock;
use crate::daemon;
use crate::domain::notice::TargetReport;
use crate::domain::plan::Rules;
use crate::domain::preflight::Preflight;
use crate::domain::sync::Name;
use crate::domain::zone::Zone;
use crate::ledger::{Contents, OpenError};
use crate::reconcile::{OrderReport, Report, RowReport, RowState, headline};
use crate::web::api::{DaemonStatus, Status};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
    /// Ask the daemon alone: end with 69 if it is not there, instead of reading the ledger
    #[arg(long)]
    daemon: bool,
    /// End with 1 if anything is overdue or failing
    #[arg(long)]
    exit_code: bool,
    /// All there is to say of each row, however wide: ids, full times
    #[arg(long)]
    wide: bool,
    /// Break glass: what is paused, from the ledger alone, as lines for a shell
    /// that resume it with curl. No key is in them
    #[arg(long, conflicts_with_all = ["format", "exit_code", "wide"])]
    curl: bool,
}

/// The answer, in the shape of the documentation.
#[derive(Debug, Serialize)]
struct Answer {
    // None: it was not reached, and the ledger was read.
    daemon: Option<DaemonStatus>,
    healthy: bool,
    next_change: Option<DateTime<Utc>>,
    syncs: Vec<RowReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    orders: Vec<OrderReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ledger_damage: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selection_errors: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    preflights: Vec<Preflight>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notify: Vec<TargetReport>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    if arguments.curl {
        return curl(global);
    }
    let socket = Socket::of(global)?;
    let answer = match block_on(socket.status()) {
        Ok(status) => Answer::from(status),
        Err(failure) if failure.is_unreachable() && !arguments.daemon => offline(global, failure)?,
        Err(failure) => return Err(failure),
    };
    match arguments.format.format {
        Format::Json => screen::say_json(&answer)?,
        Format::Table => {
            let view = View {
                zone: &file::zone(global),
                now: clock::wall(),
                width: screen::is_terminal().then(screen::width),
                is_wide: arguments.wide,
            };
            screen::say(&view.table(&answer))?;
        }
    }
    Ok(if arguments.exit_code && !answer.healthy { Exit::Failed } else { Exit::Success })
}

/// What the ledger alone tells. Without one that can be read there is nothing to tell, and
/// that the daemon was not reached is the news.
fn offline(global: &Global, unreached: Failure) -> Result<Answer, Failure> {
    let store = match file::ledger(global) {
        Ok(store) => store,
        Err(Failure::Open(OpenError::Missing(_))) => return Err(unreached),
        Err(unread) => {
            screen::note(&sentence(&unread));
            return Err(unreached);
        }
    };
    screen::note(&format!("{}; this is what the ledger says", sentence(&unreached)));
    let now = clock::wall();
    let rules = file::read(global).map_or_else(|_| Rules::default(), |it| it.config.rules());
    let Contents { holds, damaged, orders, mut preflights, .. } = store.contents()?;
    preflights.retain(|it| now < it.opens);
    let syncs: Vec<RowReport> =
        holds.iter().map(|hold| RowReport::of(hold, now, rules.overdue_after)).collect();
    let next_change =
        holds.iter().flat_map(|hold| hold.ends().collect::<Vec<_>>()).filter(|end| now < *end).min();
    let orders = orders.iter().filter(|it| now < it.until).map(OrderReport::from).collect();
    let report = Report { next_change, syncs, orders };
    Ok(Answer {
        daemon: None,
        healthy: damaged.is_empty() && !report.has_trouble(),
        next_change,
        syncs: report.syncs,
        orders: report.orders,
        ledger_damage: damaged,
        selection_errors: vec![],
        preflights,
        notify: vec![],
    })
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self {
            daemon: Some(status.daemon),
            healthy: status.healthy,
            next_change: status.next_change,
            syncs: status.syncs,
            orders: status.orders,
            ledger_damage: status.ledger_damage,
            selection_errors: status.selection_errors,
            preflights: status.preflights,
            notify: status.notify,
        }
    }
}

/// The ledger's own word: it needs neither the daemon nor the file.
fn curl(global: &Global) -> Outcome {
    let contents = file::ledger(global)?.contents()?;
    contents.damaged.iter().for_each(|row| screen::note(&format!("warning: {}", unreadable(row))));
    let path = daemon::ledger_path(global.state.as_deref(), &global.config, None);
    screen::say(&curl::lines(&contents.holds, &path, &file::zone(global)))?;
    Ok(if contents.damaged.is_empty() { Exit::Success } else { Exit::Failed })
}

fn unreadable(row: &str) -> String {
    format!("a row of the ledger cannot be read, and nobody looks after it: {row}")
}

/// How the answer is shown.
struct View<'a> {
    zone: &'a Zone,
    now: DateTime<Utc>,
    // None: nobody minds how long a line is.
    width: Option<usize>,
    is_wide: bool,
}

impl View<'_> {
    fn table(&self, answer: &Answer) -> String {
        let mut parts = vec![self.headline(answer)];
        if !answer.orders.is_empty() {
            let told = answer.orders.iter().map(|it| ordered::headline(it, self.zone, self.now));
            parts.push(told.collect::<Vec<_>>().join("\n"));
        }
        if !answer.syncs.is_empty() {
            parts.push(if self.is_wide { self.wide_rows(&answer.syncs) } else { self.rows(&answer.syncs) });
        }
        parts.join("\n\n")
    }

    fn headline(&self, answer: &Answer) -> String {
        let mut first = capitalized(&headline(answer.syncs.iter()));
        if let Some(at) = answer.next_change {
            let next = format!("next change {}", times::show_with_distance(at, self.zone, self.now));
            let fits = self.width.is_none_or(|width| first.len() + next.len() + 2 <= width);
            first = if fits { format!("{first}; {next}") } else { format!("{first};\n{next}") };
        }
        let mut lines = vec![first];
        lines.extend(answer.selection_errors.iter().map(|it| format!("WARNING: {it}")));
        let (troubled, calm): (Vec<_>, Vec<_>) = answer.preflights.iter().partition(|it| it.error.is_some());
        lines.extend(troubled.iter().chain(&calm).take(MOST_PREFLIGHTS).map(|it| self.preflight(it)));
        if answer.preflights.len() > MOST_PREFLIGHTS {
            lines.push(format!("and before {} more windows", answer.preflights.len() - MOST_PREFLIGHTS));
        }
        lines.extend(answer.notify.iter().map(|it| self.target(it)));
        lines.extend(answer.ledger_damage.iter().map(|row| capitalized(&unreadable(row))));
        match &answer.daemon {
            None => lines.push("No daemon is reached: nothing will change until one runs.".to_owned()),
            Some(daemon) => {
                lines.push(format!(
                    "intermission {} (pid {}) since {}",
                    daemon.version,
                    daemon.pid,
                    times::show(daemon.started_at, self.zone),
                ));
                lines.push(format!("configuration {}; time zone data {}", daemon.config, daemon.tzdb));
                if let Some(error) = &daemon.clock_error {
                    lines.push(format!("{error}."));
                }
                if let Some(error) = &daemon.config_error {
                    lines.push(format!("The configuration file is wrong, {}", error.trim_end()));
                }
            }
        }
        if !answer.syncs.is_empty() && !self.is_wide {
            lines.push(format!("Times are those of {}.", self.zone));
        }
        lines.join("\n")
    }

    fn preflight(&self, it: &Preflight) -> String {
        let opens = times::show_with_distance(it.opens, self.zone, self.now);
        let (warning, error) = match &it.error {
            Some(error) => ("WARNING: before", format!("{error}; ")),
            None => ("Before", String::new()),
        };
        format!("{warning} window `{}` opens {opens}: {error}{}", it.window, it.detail)
    }

    fn target(&self, it: &TargetReport) -> String {
        let told = it.last_told.map_or_else(
            || "told nothing yet".to_owned(),
            |at| format!("last told {}", times::show_with_distance(at, self.zone, self.now)),
        );
        let waiting = if it.waiting == 0 { String::new() } else { format!(", {} waiting", it.waiting) };
        match &it.last_error {
            None => format!("notices to `{}`: {told}{waiting}", it.name),
            Some(error) => format!(
                "WARNING: notices to `{}` do not arrive, attempt {}: {error}; {told}{waiting}",
                it.name, it.attempts
            ),
        }
    }

    /// What one wants to know at a glance, and below it what is wrong. Names
    /// and windows that do not fit are cut off; an id is there where the name
    /// alone would not do for a command.
    fn rows(&self, syncs: &[RowReport]) -> String {
        let until =
            |row: &RowReport| row.until.map_or_else(dash, |at| times::show_short(at, self.zone, self.now));
        let widest = |text: fn(&RowReport) -> usize| syncs.iter().map(text).max().unwrap_or(0);
        let named = widest(|row| columns(&shown_name(row))).max("SYNC".len());
        let rest = widest(|row| row.kind.as_str().len())
            + widest(|row| row.state_in_words().len()).max("STATE".len())
            + syncs.iter().map(|row| until(row).len()).max().unwrap_or(0).max("UNTIL".len())
            + 4 * GAP;
        let left = self.width.map(|width| width.saturating_sub(rest));
        let windows = widest(|row| columns(&windows_of(row))).max("WINDOWS".len());
        let for_name =
            left.map_or(named, |left| named.min(left.saturating_sub(windows)).max(named.min(left / 2)));
        let for_windows = left.map_or(windows, |left| left.saturating_sub(for_name));

        let mut rows = Rows::under(&["SYNC", "KIND", "STATE", "UNTIL", "WINDOWS"]);
        for row in syncs {
            let name = shown_name(row);
            let is_unique = syncs.iter().filter(|it| it.name == row.name).count() == 1;
            let is_cut = columns(&name) > for_name;
            rows.add(
                mood(row),
                [
                    cut(&name, for_name),
                    row.kind.to_string(),
                    row.state_in_words(),
                    until(row),
                    cut(&windows_of(row), for_windows),
                ],
            );
            rows.note((is_cut || (row.name.is_some() && !is_unique)).then(|| sync_id(row)));
            rows.note(self.lead(row));
            rows.note(trouble(row));
        }
        rows.render()
    }

    fn lead(&self, row: &RowReport) -> Option<String> {
        let opens = times::show_with_distance(row.opens?, self.zone, self.now);
        Some(format!("its `lead` has begun: the window opens {opens}"))
    }

    fn wide_rows(&self, syncs: &[RowReport]) -> String {
        let header =
            ["SYNC", "KIND", "STATE", "WINDOWS", "ROW SINCE", "UNTIL", "OVERDUE", "ATTEMPTS", "LAST ERROR"];
        let mut rows = Rows::under(&header);
        for row in syncs {
            let until = row.until.map_or_else(dash, |at| times::show_with_distance(at, self.zone, self.now));
            let overdue = match row.overdue_seconds {
                0 => dash(),
                seconds => format!("by {}", times::span(TimeDelta::seconds(seconds))),
            };
            rows.add(
                mood(row),
                [
                    sync_label(row),
                    row.kind.to_string(),
                    row.state_in_words(),
                    windows_of(row),
                    row.since.map_or_else(dash, |at| times::show(at, self.zone)),
                    until,
                    overdue,
                    row.attempts.to_string(),
                    row.last_error.clone().unwrap_or_else(dash),
                ],
            );
            rows.note(self.lead(row));
        }
        rows.render()
    }
}

/// Of more coming windows than this, only the number is told.
const MOST_PREFLIGHTS: usize = 10;

/// Blanks between two columns.
const GAP: usize = 2;

fn shown_name(row: &RowReport) -> String {
    row.name.as_ref().map_or_else(|| sync_id(row), |name| name.replace(['\n', '\r'], " "))
}

fn windows_of(row: &RowReport) -> String {
    let windows: Vec<&str> = row.windows.iter().map(Name::as_str).collect();
    if windows.is_empty() { dash() } else { windows.join(", ") }
}

/// What is wrong with a row, in a line of its own.
fn trouble(row: &RowReport) -> Option<String> {
    let overdue = (row.overdue_seconds > 0)
        .then(|| format!("overdue by {}", times::span(TimeDelta::seconds(row.overdue_seconds))));
    let parts: Vec<String> = [overdue, row.last_attempt()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn mood(row: &RowReport) -> Mood {
    match row.state {
        _ if row.is_trouble() => Mood::Trouble,
        RowState::Pausing | RowState::Resuming => Mood::Busy,
        RowState::Held | RowState::Settling | RowState::Skipped | RowState::Released | RowState::Exempt => {
            Mood::Plain
        }
    }
}

/// What a command takes, whatever else is called how.
fn sync_id(row: &RowReport) -> String {
    match row.organization.as_str() {
        "default" => row.id.to_string(),
        organization => format!("{organization}/{}", row.id),
    }
}

/// The name, where there is one, and always what a command takes.
fn sync_label(row: &RowReport) -> String {
    let id = sync_id(row);
    row.name.as_ref().map_or_else(|| id.clone(), |name| format!("{name} ({id})"))
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn dash() -> String {
    "-".to_owned()
}
