//! `/calendar.ics`, read by a parser that did not write it.

use calcard::icalendar::{ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty};
use chrono::{DateTime, Utc};
use intermission::domain::operator::{Order, What};
use intermission::domain::sync::{SyncKind, SyncRef};

use super::{HOSTILE, Stage, at, id, well};

fn parse(text: &str) -> Vec<ICalendarComponent> {
    let parsed = ICalendar::parse(text).unwrap_or_else(|it| panic!("{it:?}: {text}"));
    let of_events = |it: &ICalendarComponent| it.component_type == ICalendarComponentType::VEvent;
    parsed.components.into_iter().filter(of_events).collect()
}

fn text(event: &ICalendarComponent, what: &ICalendarProperty) -> String {
    event.property(what).unwrap().values[0].as_text().unwrap().to_owned()
}

/// Only what says that it is UTC: a time without `Z` would be the reader's own.
fn instant(event: &ICalendarComponent, what: &ICalendarProperty) -> DateTime<Utc> {
    let time = event.property(what).unwrap().values[0].as_partial_date_time().unwrap();
    assert_eq!((time.tz_hour, time.tz_minute), (Some(0), Some(0)), "{time:?}");
    time.to_date_time().unwrap().date_time.and_utc()
}

#[test]
fn every_occurrence_is_an_event_with_its_instants() {
    let stage = Stage::showing(well());
    let events = parse(&stage.ok("/calendar.ics?from=2026-11-28T00:00:00Z&until=2026-11-30T00:00:00Z"));
    let told: Vec<_> = events
        .iter()
        .map(|it| {
            let (from, until) = (&ICalendarProperty::Dtstart, &ICalendarProperty::Dtend);
            assert_eq!(instant(it, &ICalendarProperty::Dtstamp), well().at);
            (text(it, &ICalendarProperty::Summary), instant(it, from), instant(it, until))
        })
        .collect();
    let night = |day: u32| {
        let opens = at(&format!("2026-11-{day}T06:30:00Z"));
        ("nightly-load: 1 sync paused".to_owned(), opens, opens + chrono::TimeDelta::hours(3))
    };
    let patching = (
        "snowflake-patching: 2 syncs paused".to_owned(),
        at("2026-11-28T21:00:00Z"),
        at("2026-11-29T05:00:00Z"),
    );
    assert_eq!(told, [night(28), patching, night(29)]);
}

#[test]
fn an_operators_pause_is_an_event_of_its_own() {
    let mut snapshot = well();
    let syncs = [1, 2].map(|it| SyncRef::new("default".into(), SyncKind::Model, id(it)));
    let order = |number, what| Order {
        number,
        from: at("2026-12-01T12:00:00Z"),
        until: at("2026-12-01T13:00:00Z"),
        reason: "vendor upgrade; their side".to_owned(),
        by: "operator (uid 0)".to_owned(),
        what,
    };
    let orders = [order(7, What::Pause { syncs: syncs.into() }), order(8, What::Exempt { syncs: None })];
    snapshot.calendar = snapshot.calendar.map(|it| it.with_orders(&orders));
    let stage = Stage::showing(snapshot);
    let events = parse(&stage.ok("/calendar.ics?from=2026-12-01T12:30:00Z&until=2026-12-01T12:45:00Z"));
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.uid(), Some("operator#7/2026-12-01T12:00:00Z@intermission"));
    assert_eq!(text(event, &ICalendarProperty::Summary), "operator#7: 2 syncs paused");
    assert_eq!(instant(event, &ICalendarProperty::Dtend), at("2026-12-01T13:00:00Z"));
    let description = text(event, &ICalendarProperty::Description);
    assert!(
        description.starts_with("vendor upgrade; their side, on the word of operator (uid 0)\n"),
        "{description}"
    );
    assert!(
        description.contains(&id(1).to_string()) && description.ends_with(&id(2).to_string()),
        "{description}"
    );
    assert!(
        parse(&stage.ok("/calendar.ics?from=2026-12-01T13:00:00Z&until=2026-12-01T14:00:00Z")).is_empty()
    );
}

#[test]
fn an_event_is_the_same_whenever_it_is_asked_for() {
    let uids = |span: &str| -> Vec<String> {
        let events = parse(&Stage::showing(well()).ok(&format!("/calendar.ics{span}")));
        events.iter().map(|it| it.uid().unwrap().to_owned()).collect()
    };
    let all = uids("");
    let some = uids("?from=2026-12-01T00:00:00Z&until=2026-12-08T00:00:00Z");
    assert!(some.len() == 8 && all.len() > 90, "{some:?} {all:?}");
    assert!(some.iter().all(|it| all.contains(it)), "{some:?}");
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), all.len());
}

#[test]
fn what_people_write_stays_in_its_place() {
    let mut snapshot = well();
    let window = |text: &str| {
        format!(
            "[[window]]\nname = \"w\"\nstart = \"0 22 * * *\"\nduration = \"1h\"\nsyncs = [{text}]\n\
             description = \"a, b; c\\\\d {} \\\\nEND:VEVENT \u{e9}t\u{e9}\"\n",
            HOSTILE.replace('"', "\\\"")
        )
    };
    let ids: Vec<String> = (0..80).map(|it| format!("\"{}\"", id(it))).collect();
    snapshot.calendar = Some(super::calendar_of(&window(&ids.join(", ")), snapshot.at));
    let answer = Stage::showing(snapshot).ok("/calendar.ics?until=2026-11-27T11:00:00Z");
    let [event] = &parse(&answer)[..] else { panic!("{answer}") };
    let description = text(event, &ICalendarProperty::Description);
    let told = format!("a, b; c\\d {HOSTILE} \\nEND:VEVENT \u{e9}t\u{e9}\n");
    assert!(description.starts_with(&told), "{description:?}");
    assert!(
        description.contains(&id(49).to_string()) && description.ends_with("and 30 more"),
        "{description}"
    );
    assert!(!description.contains(&id(50).to_string()), "{description}");
    assert!(answer.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{answer:?}");
}

#[test]
fn a_span_without_end_is_refused() {
    let stage = Stage::showing(well());
    assert_eq!(stage.get("/calendar.ics?until=2036-01-01T00:00:00Z").0, 400);
    let (status, refusal) = stage.get("/api/v1/history?limit=x");
    assert_eq!(status, 400);
    assert!(refusal.starts_with('{') && refusal.contains("Failed to deserialize query string"), "{refusal}");
    let nothing = super::Snapshot { calendar: None, ..well() };
    assert!(parse(&Stage::showing(nothing).ok("/calendar.ics")).is_empty());
}
