//! When a window is open: the golden cases, and what must hold for all others.
//!
//! The cases in `tests/data/cron-vectors.json` were agreed on by at least two
//! independent implementations each (cronie, systemd, croniter, …).

mod properties;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::schedule::{Schedule, ScheduleError};
use intermission::domain::window::{Dates, End, Span, Start, Times, TimesError};
use intermission::domain::zone::Zone;
use intermission::tzdb::Tzdb;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    occurrences: Vec<OccurrenceCase>,
    windows: Vec<WindowCase>,
    invalid: Vec<InvalidCase>,
    tzdata: Vec<TzdataCase>,
}

#[derive(Deserialize)]
struct OccurrenceCase {
    id: String,
    expression: String,
    tz: String,
    from: DateTime<Utc>,
    expected_next: Vec<DateTime<Utc>>,
    expected_prev: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WindowCase {
    id: String,
    start: String,
    end: Option<String>,
    duration_seconds: Option<i64>,
    tz: String,
    from: DateTime<Utc>,
    expected_windows: Option<Vec<ExpectedWindow>>,
    must_be_rejected: Option<String>,
    #[serde(default)]
    probes: Vec<(DateTime<Utc>, bool)>,
}

#[derive(Deserialize)]
struct ExpectedWindow {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

#[derive(Deserialize)]
struct InvalidCase {
    id: String,
    expression: String,
}

#[derive(Deserialize)]
struct TzdataCase {
    id: String,
    expression: String,
    tz: String,
    from: DateTime<Utc>,
    expected_next: Vec<DateTime<Utc>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../data/cron-vectors.json")).unwrap()
}

fn zone(name: &str) -> Zone {
    Tzdb::bundled().zone(name).unwrap()
}

fn parse(text: &str) -> Result<Schedule, ScheduleError> {
    text.parse()
}

/// The `count` matches after `from`.
fn next(schedule: &Schedule, zone: &Zone, from: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    std::iter::successors(schedule.next(zone, from), |at| schedule.next(zone, *at)).take(count).collect()
}

fn times(case: &WindowCase) -> Result<Times, TimesError> {
    let start = Start::Recurring(parse(&case.start).unwrap());
    let end = match (&case.end, case.duration_seconds) {
        (Some(end), None) => End::Recurring(parse(end).unwrap()),
        (None, Some(seconds)) => End::After(TimeDelta::seconds(seconds)),
        _ => panic!("{} has neither or both of end and duration", case.id),
    };
    Times::new(start, end, Dates::default(), zone(&case.tz), case.from)
}

#[test]
fn schedules_match_when_cronie_and_others_say() {
    for case in vectors().occurrences {
        let (schedule, zone) = (parse(&case.expression).unwrap(), zone(&case.tz));
        assert_eq!(
            next(&schedule, &zone, case.from, 3),
            case.expected_next,
            "{} {}",
            case.id,
            case.expression
        );
        assert_eq!(
            schedule.previous(&zone, case.from),
            Some(case.expected_prev),
            "{} {}",
            case.id,
            case.expression
        );
    }
}

#[test]
fn the_bundled_zone_data_knows_the_changes_of_this_year() {
    for case in vectors().tzdata {
        let (schedule, zone) = (parse(&case.expression).unwrap(), zone(&case.tz));
        assert_eq!(next(&schedule, &zone, case.from, 3), case.expected_next, "{}", case.id);
    }
}

#[test]
fn windows_open_and_close_as_worked_out_by_hand() {
    for case in vectors().windows {
        let Some(expected) = &case.expected_windows else { continue };
        let times = times(&case).unwrap();
        let until = expected.last().unwrap().end;
        let spans: Vec<_> = times.spans(case.from, until).collect();
        let expected: Vec<_> = expected.iter().map(|it| Span { opens: it.start, closes: it.end }).collect();
        assert_eq!(spans, expected, "{}", case.id);
        for (at, open) in &case.probes {
            assert_eq!(times.covering(*at).is_some(), *open, "{} at {at}", case.id);
        }
    }
}

#[test]
fn windows_that_never_close_are_refused() {
    for case in vectors().windows {
        let Some(reason) = &case.must_be_rejected else { continue };
        let error = times(&case).unwrap_err();
        assert!(matches!(error, TimesError::TooLong { .. }), "{}: {reason}, but: {error}", case.id);
    }
}

#[test]
fn what_is_not_crontab_5_is_refused_at_a_place() {
    for case in vectors().invalid {
        let error = parse(&case.expression).expect_err(&case.id);
        assert!(case.expression.get(error.span.clone()).is_some(), "{}: {error:?}", case.id);
    }
}
