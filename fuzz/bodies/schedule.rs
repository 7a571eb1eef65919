//! Any text as a schedule: it is refused at a place that exists, or is printed
//! as it was written, and the times after and before agree with each other.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use intermission::domain::schedule::Schedule;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match text.parse::<Schedule>() {
        Ok(schedule) => {
            check_text(&schedule, text);
            check_times(&schedule);
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{:?} is no place in {text:?}", error.span);
            assert!(!error.problem.is_empty());
            assert!(error.mend.as_ref().is_none_or(|mend| !mend.is_empty()));
            assert!(error.to_string().len() < 2048, "{error}");
        }
    }
}

/// Printed and parsed again, it is the same; blanks do not matter.
fn check_text(schedule: &Schedule, text: &str) {
    assert_eq!(schedule.to_string(), text);
    assert_eq!(schedule.to_string().parse::<Schedule>().as_ref(), Ok(schedule));
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let tidy: Schedule = words.join(" ").parse().expect("blanks do not matter");
    assert_eq!(tidy.is_wildcard(), schedule.is_wildcard());
    for at in times() {
        assert_eq!(tidy.next_civil(at), schedule.next_civil(at));
    }
}

fn check_times(schedule: &Schedule) {
    assert!(schedule.next_civil(DateTime::UNIX_EPOCH.naive_utc() - TimeDelta::seconds(1)).is_some());
    for at in times() {
        let (next, previous) = (schedule.next_civil(at), schedule.previous_civil(at));
        assert!(next.is_none_or(|next| next > at), "{next:?} is not after {at}");
        assert!(previous.is_none_or(|previous| previous < at), "{previous:?} is not before {at}");
        if let Some(next) = next {
            // It matches there, and nowhere between.
            assert_eq!(schedule.next_civil(next - TimeDelta::seconds(1)), Some(next));
            assert!(schedule.previous_civil(next).is_none_or(|it| it <= at), "one between {at} and {next}");
        }
        if let Some(previous) = previous {
            assert_eq!(schedule.previous_civil(previous + TimeDelta::seconds(1)), Some(previous));
            assert!(
                schedule.next_civil(previous).is_none_or(|it| it >= at),
                "one between {previous} and {at}"
            );
        }
    }
}

fn times() -> impl Iterator<Item = NaiveDateTime> {
    [
        "1900-01-01T00:00:00",
        "1970-01-01T00:00:00",
        "2028-02-29T12:34:56",
        "2099-12-31T23:59:59",
        "9999-01-01T00:00:00",
    ]
    .into_iter()
    .map(|text| text.parse().unwrap())
}
