//! Tells what came of a simulation.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::course::{Course, Delays, Late};
use super::tour::Tour;
use super::{Arguments, Faults};
use crate::cli::file::Read;
use crate::cli::table::{Mood, Rows, count};
use crate::cli::times;
use crate::domain::calendar::Calendar;
use crate::domain::event::Event;
use crate::domain::selection::Knowledge;
use crate::domain::zone::Zone;
use crate::simulation::Told;

/// So many lines are told of one stretch.
const MOST_LINES: usize = 40;

/// Of so many late switches each is told.
const MOST_LATE: usize = 20;

impl Faults {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Some => "some",
            Self::Many => "many",
        }
    }
}

/// The answer for people.
pub(super) fn text(arguments: &Arguments, read: &Read, tour: &Tour, courses: &[Course]) -> String {
    if courses.is_empty() {
        return "No window opens any more, so there is nothing to simulate.".to_owned();
    }
    let zone = read.zone();
    let is_known = unknown(&read.config.calendar).is_empty();
    let mut parts: Vec<String> = courses.iter().map(|it| stretch(it, &zone, is_known)).collect();
    if tour.left_out > 0 {
        parts.push(format!("{} left out; name one with --from.", count(tour.left_out, "more stretch")));
    }
    parts.extend(late(courses, &zone));
    parts.extend(left_out(&read.config.calendar));
    parts.push(verdict(arguments, courses));
    parts.join("\n\n")
}

/// The windows that select syncs which nobody has looked for.
fn unknown(calendar: &Calendar) -> Vec<&str> {
    let selecting = calendar.selecting().map(|(window, _)| window);
    let unknown = selecting.filter(|it| calendar.knowledge(it) != Knowledge::Found);
    unknown.map(|it| it.name.as_str()).collect()
}

fn left_out(calendar: &Calendar) -> Option<String> {
    let names: Vec<String> = unknown(calendar).iter().map(|it| format!("`{it}`")).collect();
    let verb = if names.len() == 1 { "selects" } else { "select" };
    let told = || format!("Left out is what {} {verb}: it is not in the ledger.", names.join(", "));
    (!names.is_empty()).then(told)
}

fn stretch(course: &Course, zone: &Zone, is_known: bool) -> String {
    let (from, until) = (times::show(course.leg.from, zone), times::show(course.leg.until, zone));
    let mut lines = vec![format!("{from} to {until}")];
    lines.extend(course.leg.about.iter().map(|it| format!("  {it}")));
    let told = runs(&course.log, zone);
    let more = told.len().saturating_sub(MOST_LINES);
    lines.extend(told.into_iter().take(MOST_LINES));
    if more > 0 {
        lines.push(format!("  and {}; `--format json` has all", count(more, "more line")));
    }
    let delays = [("paused", &course.paused), ("resumed", &course.resumed)];
    let said: Vec<String> = delays.iter().map(|(what, it)| said(what, it, is_known)).collect();
    lines.push(format!("  {}", said.join("; ")));
    if !course.met.is_empty() {
        let met: Vec<String> = course.met.iter().map(|(fault, times)| format!("{fault} ×{times}")).collect();
        lines.push(format!("  met: {}", met.join(", ")));
    }
    if let Some(broken) = &course.broken {
        lines.push(format!("  BROKEN {broken}"));
    }
    lines.join("\n")
}

fn said(what: &str, delays: &Delays, is_known: bool) -> String {
    match delays.count {
        0 if is_known => format!("{what} nothing"),
        0 => format!("{what} no sync that is known"),
        1 => format!("{what} one sync, {} after its time", seconds(delays)),
        many => format!("{what} {many} times, at most {} after its time", seconds(delays)),
    }
}

fn seconds(delays: &Delays) -> String {
    let milliseconds = delays.longest.num_milliseconds();
    match milliseconds {
        ..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => times::span(delays.longest),
    }
}

/// The log's lines, with what happened to many syncs in a row on one.
fn runs(log: &[(DateTime<Utc>, Told)], zone: &Zone) -> Vec<String> {
    let told: Vec<_> = log.iter().filter(|(_, told)| !matches!(told, Told::Request(_))).collect();
    let is_same = |a: &&(DateTime<Utc>, Told), b: &&(DateTime<Utc>, Told)| match (&a.1, &b.1) {
        (Told::Daemon(a), Told::Daemon(b)) => a.sync.is_some() && (a.kind, &a.window) == (b.kind, &b.window),
        _ => false,
    };
    told.chunk_by(is_same)
        .map(|run| {
            let (at, first) = &run[0];
            format!("  {}  {}", times::local(*at, zone).format("%a %H:%M:%S"), line(first, run.len()))
        })
        .collect()
}

fn line(first: &Told, times: usize) -> String {
    match (first, times) {
        (Told::Daemon(event), 2..) => format!("{event}; and {times} such in all"),
        (told @ (Told::World(_) | Told::Request(_)), _) => told.to_string(),
        (Told::Daemon(event), _) => event.to_string(),
    }
}

fn late(courses: &[Course], zone: &Zone) -> Option<String> {
    let late: Vec<&Late> = courses.iter().flat_map(|it| &it.late).collect();
    if late.is_empty() {
        return None;
    }
    let mut rows = Rows::under(&["LATE", "DUE", "BY", "SYNC"]);
    for it in late.iter().take(MOST_LATE) {
        let what = if it.to { "resumed" } else { "paused" };
        let cells = [what.to_owned(), times::show(it.due, zone), times::span(it.by), it.sync.to_string()];
        rows.add(Mood::Busy, cells);
    }
    let more = late.len().saturating_sub(MOST_LATE);
    let rest = if more > 0 { format!("\nand {more} more") } else { String::new() };
    Some(format!("{}{rest}", rows.render()))
}

fn verdict(arguments: &Arguments, courses: &[Course]) -> String {
    let broken = courses.iter().filter(|it| it.broken.is_some()).count();
    let late: usize = courses.iter().map(|it| it.late.len()).sum();
    let how = format!(
        "{}, faults: {}, seed {}",
        stretches(courses.len()),
        arguments.faults.as_str(),
        arguments.seed
    );
    let late = if late == 0 { "nothing was late".to_owned() } else { format!("{late} late") };
    match broken {
        0 => format!("{how}: {late}, every promise was kept."),
        _ => format!("{how}: {late}, and promises BROKE in {}.", stretches(broken)),
    }
}

fn stretches(number: usize) -> String {
    if number == 1 { "1 stretch".to_owned() } else { format!("{number} stretches") }
}

/// The answer for programs.
pub(super) fn json(arguments: &Arguments, read: &Read, tour: &Tour, courses: &[Course]) -> Value {
    json!({
        "seed": arguments.seed,
        "faults": arguments.faults.as_str(),
        "kept": courses.iter().all(|it| it.broken.is_none()),
        "left_out": tour.left_out,
        "unknown_selections": unknown(&read.config.calendar),
        "stretches": courses.iter().map(stretch_json).collect::<Vec<_>>(),
    })
}

fn stretch_json(course: &Course) -> Value {
    json!({
        "from": instant(course.leg.from),
        "until": instant(course.leg.until),
        "seed": course.seed,
        "about": course.leg.about,
        "timeline": course.log.iter().map(told_json).collect::<Vec<_>>(),
        "paused": delays_json(&course.paused),
        "resumed": delays_json(&course.resumed),
        "late": course.late.iter().map(late_json).collect::<Vec<_>>(),
        "met": course.met,
        "broken": course.broken,
    })
}

fn delays_json(delays: &Delays) -> Value {
    json!({ "count": delays.count, "longest_milliseconds": delays.longest.num_milliseconds() })
}

fn told_json((at, told): &(DateTime<Utc>, Told)) -> Value {
    let event: Option<&Event> = match told {
        Told::Daemon(event) => Some(event),
        Told::World(_) | Told::Request(_) => None,
    };
    let source = match told {
        Told::Daemon(_) => "daemon",
        Told::World(_) => "world",
        Told::Request(_) => "request",
    };
    let text = event.map_or_else(|| told.to_string(), ToString::to_string);
    json!({
        "at": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "source": source,
        "event": event.map(|it| it.kind.as_str()),
        "text": text,
    })
}

fn late_json(late: &Late) -> Value {
    json!({
        "organization": late.sync.organization.as_str(),
        "kind": late.sync.kind.to_string(),
        "id": late.sync.id,
        "due": instant(late.due),
        "milliseconds": late.by.num_milliseconds(),
        "active": late.to,
    })
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
