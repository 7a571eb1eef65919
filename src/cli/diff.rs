//! `diff`: what a change of the file changes, against another file or against
//! what the daemon has in force. Ends as diff(1) does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use clap::{Args, ValueHint};
use serde::Serialize;

use super::failure::Failure;
use super::file::{self, Read};
use super::socket::Socket;
use super::table::{Mood, Rows, count};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, screen, times};
use crate::domain::diff::{AtOnce, Becomes, Change, Count, Difference, Differs, WindowDifference};
use crate::domain::outlook::{Outlook, Pausing};
use crate::domain::selection::{self, Knowledge};
use crate::domain::window::Occurrence;
use crate::domain::zone::Zone;
use crate::web::api::{CalendarRequest, MOST_DAYS};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes, as of diff(1): 0 nothing differs; 1 something does; 2 trouble.
Neither keys nor Polytomic are needed, and with OLD no daemon.")]
pub(super) struct Arguments {
    /// The file as it was; `-` is stdin [default: what the running daemon has in force]
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    old: Option<PathBuf>,
    /// For how many days
    #[arg(
        long,
        value_name = "N",
        default_value_t = 14,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_DAYS))
    )]
    days: u16,
    #[command(flatten)]
    format: FormatArgument,
}

/// `diff --format json`.
#[derive(Debug, Serialize)]
struct Answer {
    before: String,
    after: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// Whether something differs in what is paused, and when.
    differs: bool,
    /// Whether the text is another one.
    text_differs: bool,
    summary: Vec<String>,
    occurrences: Count,
    pauses: Count,
    #[serde(flatten)]
    difference: Difference,
}

/// What is compared with.
struct Before {
    called: String,
    fingerprint: Option<String>,
    outlook: Outlook,
    difference: Difference,
}

/// Whatever goes wrong is trouble: 1 would say that something differs.
pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    match compare(global, arguments) {
        Err(failure) if failure.exit() != Exit::Success => {
            failure.tell();
            Ok(Exit::Usage)
        }
        ended => ended,
    }
}

fn compare(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read(global)?;
    let from = read.now.trunc_subsecs(0);
    let span = CalendarRequest { from, until: from + TimeDelta::days(arguments.days.into()) };
    let before = match &arguments.old {
        Some(old) => before_in_file(global, old, &read, span)?,
        None => before_in_daemon(global, &read, span)?,
    };
    let answer = Answer {
        before: before.called,
        after: global.config.display().to_string(),
        from: span.from,
        until: span.until,
        differs: !before.difference.is_empty(),
        text_differs: before.fingerprint.as_ref() != Some(&read.config.fingerprint),
        summary: summary(&before.difference, arguments.days),
        occurrences: before.difference.occurrences(),
        pauses: before.difference.pauses(),
        difference: before.difference,
    };
    match arguments.format.format {
        Format::Json => screen::say_json(&answer)?,
        Format::Table => screen::say(&told(&answer, &before.outlook, &read))?,
    }
    Ok(if answer.differs { Exit::Failed } else { Exit::Success })
}

fn before_in_file(
    global: &Global,
    old: &Path,
    read: &Read,
    span: CalendarRequest,
) -> Result<Before, Failure> {
    let path = if old.as_os_str() == "-" { Path::new("/dev/stdin") } else { old };
    let config = file::read_another(path, read)?;
    let found = file::found(global);
    let outlook = Outlook::of(&config.calendar.with_known(&found), span.from, span.until);
    let after = Outlook::of(&read.config.calendar.with_known(&found), span.from, span.until);
    Ok(Before {
        called: old.display().to_string(),
        fingerprint: Some(config.fingerprint),
        difference: Difference::between(&outlook, &after, span.from, None),
        outlook,
    })
}

fn before_in_daemon(global: &Global, read: &Read, span: CalendarRequest) -> Result<Before, Failure> {
    let socket = Socket::of(global)?;
    let answer = block_on(socket.calendar(&span))?;
    if answer.tzdb != read.tzdb.to_string() {
        screen::note(&format!(
            "the daemon has other time zone data, {}, than this command, {}",
            answer.tzdb, read.tzdb
        ));
    }
    // What operators have ordered stays in force, whatever the file says.
    let calendar = read.config.calendar.with_known(&answer.selections()).with_orders(&answer.orders);
    let after = Outlook::of(&calendar, span.from, span.until);
    let rows = answer.rows();
    Ok(Before {
        called: "the running daemon".to_owned(),
        difference: Difference::between(&answer.outlook, &after, span.from, Some(&rows)),
        fingerprint: answer.fingerprint,
        outlook: answer.outlook,
    })
}

// ---- in words ----

/// What happens at once, then what differs in the days to come.
fn summary(difference: &Difference, days: u16) -> Vec<String> {
    let mut lines: Vec<String> = difference.now.iter().map(|it| at_once(it, difference)).collect();
    let days = if days == 1 { "the next day".to_owned() } else { format!("the next {days} days") };
    let occurrences = counted(difference.occurrences(), "occurrence");
    let pauses = counted(difference.pauses(), "pause");
    lines.push(match (occurrences, pauses) {
        (None, None) if difference.windows.is_empty() => format!("nothing differs in {days}"),
        (None, None) if is_known(difference) => format!("no occurrence and no pause differs in {days}"),
        (None, None) => format!("no occurrence and no pause of a sync that is known differs in {days}"),
        (one, other) => {
            format!("in {days}: {}", [one, other].into_iter().flatten().collect::<Vec<_>>().join("; "))
        }
    });
    lines.extend(not_known(difference));
    lines
}

fn is_known(difference: &Difference) -> bool {
    difference.windows.iter().all(|it| it.knowledge == Knowledge::Found)
}

/// What the numbers leave out.
fn not_known(difference: &Difference) -> Vec<String> {
    let line = |knowledge: Knowledge, counted: &str| {
        let windows = difference.windows.iter().filter(|it| it.knowledge == knowledge);
        let names: Vec<String> = windows.map(|it| format!("`{}`", it.window)).collect();
        let verb = if names.len() == 1 { "selects" } else { "select" };
        let names = names.join(", ");
        let text = || format!("which syncs {names} {verb} is known only to Polytomic: {counted}");
        (!names.is_empty()).then(text)
    };
    [
        line(Knowledge::Provisional, "counted are those that earlier lists have shown"),
        line(Knowledge::Unknown, "no list was read, so they are not counted here"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at_once(it: &AtOnce, difference: &Difference) -> String {
    let verb = match it.becomes {
        Becomes::Resumed => "resume",
        Becomes::Paused => "pause",
    };
    let what = match (it.syncs.len(), it.may_be_more) {
        (0, _) => format!("may {verb} syncs now that only Polytomic knows"),
        (known, false) => format!("would {verb} {} now", count(known, "sync")),
        (known, true) => {
            format!("would {verb} {} now, and maybe more that only Polytomic knows", count(known, "sync"))
        }
    };
    let why = |name: &crate::domain::sync::Name| {
        let window = difference.windows.iter().find(|it| it.window == *name);
        let change = window.map_or("changed", |it| word(it.change));
        format!("{name} {change}")
    };
    let why: Vec<String> = it.windows.iter().map(why).collect();
    format!("{what}: {}", why.join(", "))
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

/// `3 occurrences added, 1 removed`. None if none differs.
fn counted(counted: Count, what: &str) -> Option<String> {
    let kinds = [(counted.added, "added"), (counted.removed, "removed"), (counted.moved, "moved")];
    let mut some = kinds.into_iter().filter(|(number, _)| *number > 0);
    let (number, word) = some.next()?;
    let mut text = format!("{} {word}", count(number, what));
    for (number, word) in some {
        let _ = write!(text, ", {number} {word}");
    }
    Some(text)
}

fn told(answer: &Answer, before: &Outlook, read: &Read) -> String {
    let mut parts = vec![answer.summary.join("\n")];
    if !answer.differs && answer.text_differs {
        parts.push("the text is another one, in nothing that decides what is paused and when".to_owned());
    }
    let windows = answer.difference.windows.iter().map(|it| window(it, before, read));
    parts.extend(windows);
    parts.extend(pauses(&answer.difference, read));
    parts.join("\n\n")
}

/// A window: what became of it, and a line for each occurrence that differs.
fn window(it: &WindowDifference, before: &Outlook, read: &Read) -> String {
    let mut facts = vec![format!("window `{}` {}", it.window, word(it.change))];
    for setting in &it.settings {
        let text = |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |it| format!("`{it}`"));
        let key = match setting.key.as_str() {
            key @ ("select" | "exclude") => format!("{key} changed:"),
            key => key.to_owned(),
        };
        facts.push(format!("{key} {} becomes {}", text(&setting.before), text(&setting.after)));
    }
    let (added, removed) = (it.syncs_added.len(), it.syncs_removed.len());
    match it.change {
        Change::Added => facts.push(format!("it pauses {}", selection::covered(added, it.knowledge))),
        Change::Removed => facts.push(format!("it paused {}", selection::covered(removed, it.knowledge))),
        Change::Changed => facts.extend(counted(Count { added, removed, moved: 0 }, "sync")),
    }
    let zone = zone(it, before, read);
    let rows = table(&it.occurrences, |it: &Occurrence| (it.opens, it.closes), ["OPENS", "CLOSES"], &zone);
    std::iter::once(facts.join("; ")).chain(rows).collect::<Vec<_>>().join("\n")
}

/// The zone of the window as it is now, else as it was.
fn zone(it: &WindowDifference, before: &Outlook, read: &Read) -> Zone {
    if let Some(window) = read.config.calendar.window(it.window.as_str()) {
        return window.times.zone().clone();
    }
    let planned = before.windows.iter().find(|planned| planned.window == it.window);
    let name = planned.and_then(|it| it.settings.get("timezone"));
    name.and_then(|name| read.tzdb.zone(name).ok()).unwrap_or_else(|| read.zone())
}

fn pauses(difference: &Difference, read: &Read) -> Vec<String> {
    let zone = read.zone();
    let group = |it: &crate::domain::diff::PauseDifference| {
        let first = it.syncs.first().map_or_else(String::new, ToString::to_string);
        let head = match it.syncs.len() {
            1 => format!("pauses of sync {first}"),
            syncs => format!("pauses of {}, {first} among them", count(syncs, "sync")),
        };
        let rows = table(&it.pauses, |it: &Pausing| (it.from, it.until), ["FROM", "UNTIL"], &zone);
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    };
    difference.pauses.iter().map(group).collect()
}

fn table<T>(
    differing: &[Differs<T>],
    of: impl Fn(&T) -> (DateTime<Utc>, DateTime<Utc>),
    [from, until]: [&str; 2],
    zone: &Zone,
) -> Option<String> {
    let mut rows = Rows::under(&["", from, until, "LASTS", "BEFORE"]);
    let span = |it: &T| {
        let (from, until) = of(it);
        [times::show(from, zone), times::show(until, zone), times::span(until - from)]
    };
    for it in differing {
        let (mark, mood, [from, until, lasts], before) = match it {
            Differs::Added { after } => ("+", Mood::New, span(after), String::new()),
            Differs::Removed { before } => ("-", Mood::Trouble, span(before), String::new()),
            Differs::Moved { before, after } => {
                let [from, until, _] = span(before);
                ("~", Mood::Busy, span(after), format!("{from} to {until}"))
            }
        };
        rows.add(mood, [mark.to_owned(), from, until, lasts, before]);
    }
    (!differing.is_empty()).then(|| rows.render())
}
