//! The occurrences of windows and operators' pauses as iCalendar, [RFC 5545], for people's calendars:
//! `/calendar.ics` and `upcoming --format ics`.
//!
//! [RFC 5545]: https://www.rfc-editor.org/rfc/rfc5545

use chrono::{DateTime, SecondsFormat, Utc};
use icalendar::{Component, Event, EventLike, Property};

use super::times;
use crate::domain::advice;
use crate::domain::calendar::Calendar;
use crate::domain::operator::Order;
use crate::domain::selection::{Knowledge, covered};
use crate::domain::sync::SyncRef;
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;

/// What it is served as.
pub const CONTENT_TYPE: &str = "text/calendar; charset=utf-8";

/// Of more occurrences than these, the first.
const MOST_EVENTS: usize = 2000;

/// Of more syncs than these, their number is told.
const MOST_SYNCS: usize = 50;

/// Every occurrence that touches `[from, until)`, as an event of its own: no
/// rule of recurrence says what a time zone's clocks and operators change. Made
/// at `at`, which calendars compare with what they have.
pub fn calendar(calendar: &Calendar, from: DateTime<Utc>, until: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let occurrences = calendar.occurrences(from, until);
    let told = match occurrences.len() {
        0..=MOST_EVENTS => "What intermission pauses syncs for".to_owned(),
        all => format!("What intermission pauses syncs for; the first {MOST_EVENTS} of {all} occurrences"),
    };
    // The crate's constructor names itself as the product.
    let mut it = icalendar::Calendar::empty();
    for (key, value) in [
        ("VERSION", "2.0"),
        ("PRODID", concat!("-//intermission//", env!("CARGO_PKG_VERSION"), "//EN")),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
    ] {
        it.append_property(Property::new(key, value));
    }
    it.name("Maintenance windows").description(&told);
    let whole = |it: &Occurrence| {
        let window = calendar.window(it.window.as_str())?;
        Some(event(window, calendar.knowledge(window), it, at))
    };
    it.extend(occurrences.iter().take(MOST_EVENTS).filter_map(whole));
    // What operators ask for is not in the file, and has no zone of its own.
    let zone = calendar.windows().first().map_or_else(Zone::utc, |it| it.times.zone().clone());
    it.extend(
        calendar.asked(from, until).into_iter().map(|(order, asked)| asked_event(order, &asked, &zone, at)),
    );
    it.to_string()
}

fn event(window: &Window, knowledge: Knowledge, it: &Occurrence, at: DateTime<Utc>) -> Event {
    // An event whose end moves, on an operator's word, stays the same event.
    let opens = it.opens.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Event::new()
        .uid(&format!("{}/{opens}@intermission", window.name))
        .timestamp(at)
        .starts(it.opens)
        .ends(it.closes)
        .summary(&format!("{}: {}", window.name, paused(window.syncs.len(), knowledge)))
        .description(&describe(window, it))
        .done()
}

fn paused(number: usize, knowledge: Knowledge) -> String {
    let be = match (knowledge, number) {
        (Knowledge::Found, _) => "",
        (Knowledge::Unknown, 0) => " is",
        (Knowledge::Provisional | Knowledge::Unknown, _) => " are",
    };
    format!("{}{be} paused", covered(number, knowledge))
}

/// What an operator paused beside the windows.
fn asked_event(order: &Order, it: &Occurrence, zone: &Zone, at: DateTime<Utc>) -> Event {
    let number = order.syncs().count();
    let mut lines = vec![
        format!("{}, on the word of {}", order.reason, order.by),
        format!("{} to {}, {zone}", times::show(it.opens, zone), times::show(it.closes, zone)),
    ];
    lines.extend(listed(order.syncs(), number));
    let opens = it.opens.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Event::new()
        .uid(&format!("{}/{opens}@intermission", it.window))
        .timestamp(at)
        .starts(it.opens)
        .ends(it.closes)
        .summary(&format!("{}: {} paused", it.window, covered(number, Knowledge::Found)))
        .description(&lines.join("\n"))
        .done()
}

fn listed<'a>(syncs: impl Iterator<Item = &'a SyncRef>, number: usize) -> Vec<String> {
    let mut lines: Vec<String> = syncs.take(MOST_SYNCS).map(|it| format!("{} {it}", it.kind)).collect();
    if number > MOST_SYNCS {
        lines.push(format!("and {} more", number - MOST_SYNCS));
    }
    lines
}

// The file's texts are one line each, so none can begin a property of its own.
fn describe(window: &Window, it: &Occurrence) -> String {
    let zone = window.times.zone();
    let mut lines: Vec<String> = window.description.iter().cloned().collect();
    lines.push(format!("{} to {}, {zone}", times::show(it.opens, zone), times::show(it.closes, zone)));
    if it.pauses < it.opens {
        lines.push(format!("Syncs are paused from {} on", times::show(it.pauses, zone)));
    }
    lines.extend(advice::notes(window, it).iter().map(|note| format!("Clocks: {note}")));
    lines.extend(listed(window.syncs.iter(), window.syncs.len()));
    lines.join("\n")
}
