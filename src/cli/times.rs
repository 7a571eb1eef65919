//! Times as people write them on a command line, and as they like to read them.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::screen;
use crate::config::duration;
use crate::domain::zone::Zone;

pub(super) use crate::web::times::{
    distance, local, rfc3339_local, show, show_short, show_with_distance, span,
};

/// A text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no time: write `2026-05-01 22:00`, `2026-05-01`, `2026-05-01T22:00:00+02:00`, `now`, `2h ago` or `+2h`"
)]
pub(super) struct TimeError {
    text: String,
}

/// Reads a time: RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]` in `zone`, `now`, `2h ago`
/// or `+2h`.
pub(super) fn parse(text: &str, zone: &Zone, now: DateTime<Utc>) -> Result<DateTime<Utc>, TimeError> {
    let trimmed = text.trim();
    parse_relative(trimmed, now)
        .or_else(|| DateTime::parse_from_rfc3339(trimmed).ok().map(|at| at.to_utc()))
        .or_else(|| parse_civil(trimmed).map(|civil| zone.instant(civil)))
        .ok_or_else(|| TimeError { text: text.to_owned() })
}

/// Reads a time that was given for `option`, and tells on stderr how it was
/// understood, unless it could not be understood otherwise.
pub(super) fn parse_and_echo(
    option: &str,
    text: &str,
    zone: &Zone,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, TimeError> {
    let at = parse(text, zone, now)?;
    if DateTime::parse_from_rfc3339(text.trim()).is_err() {
        screen::note(&format!("{option} {text}: {} ({})", show(at, zone), zone));
    }
    Ok(at)
}

fn parse_relative(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let by = |text: &str| TimeDelta::from_std(duration::parse(text).ok()?).ok();
    if text == "now" {
        Some(now)
    } else if let Some(ahead) = text.strip_prefix('+') {
        now.checked_add_signed(by(ahead)?)
    } else {
        now.checked_sub_signed(by(text.strip_suffix("ago")?)?)
    }
}

fn parse_civil(text: &str) -> Option<NaiveDateTime> {
    let with_time = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN));
    with_time.or_else(date)
}

/// Reads a length of time for an argument that cannot do without one.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err("it must be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{}: {}", error.problem, error.mend)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn amsterdam() -> Zone {
        Zone::new("Europe/Amsterdam", TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("now", "2026-11-23T12:00:00Z"),
            ("2h ago", "2026-11-23T10:00:00Z"),
            ("1d 2h ago", "2026-11-22T10:00:00Z"),
            ("+90m", "2026-11-23T13:30:00Z"),
            ("2026-11-28", "2026-11-27T23:00:00Z"),
            ("2026-11-28 22:00", "2026-11-28T21:00:00Z"),
            ("2026-07-01 22:00:30", "2026-07-01T20:00:30Z"),
            ("2026-11-28T22:00", "2026-11-28T21:00:00Z"),
            ("2026-11-28T22:00:00-05:00", "2026-11-29T03:00:00Z"),
            ("2026-11-28T22:00:00Z", "2026-11-28T22:00:00Z"),
            // Does not exist: the first instant after the gap.
            ("2026-03-29 02:30", "2026-03-29T01:00:00Z"),
        ] {
            assert_eq!(parse(text, &amsterdam(), now()), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "tomorrow", "2h", "+", "ago", "28.11.2026", "2026-13-01", "-2h", "2026-11-28 25:00"]
        {
            assert!(parse(text, &amsterdam(), now()).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown_in_their_zone_and_by_their_distance() {
        let at = "2026-11-28T21:00:00Z".parse().unwrap();
        assert_eq!(show_with_distance(at, &amsterdam(), now()), "Sat 2026-11-28 22:00 +01:00 (in 5 d 9 h)");
        assert_eq!(rfc3339_local(at, &amsterdam()), "2026-11-28T22:00:00+01:00");
        assert_eq!(show(at + TimeDelta::seconds(5), &amsterdam()), "Sat 2026-11-28 22:00:05 +01:00");
        assert_eq!(show_short(at, &amsterdam(), now()), "Sat 22:00");
        assert_eq!(show_short(at, &amsterdam(), at), "22:00");
        assert_eq!(show_short(at + TimeDelta::days(7), &amsterdam(), at), "2026-12-05 22:00");
        assert_eq!(show_short(at - TimeDelta::days(1), &amsterdam(), at), "2026-11-27 22:00");
        assert_eq!(distance(now(), now()), "now");
        assert_eq!(distance(now() - TimeDelta::seconds(61), now()), "1 min 1 s ago");
    }

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (3600, "1 h"),
            (3601, "1 h"),
            (27_000, "7 h 30 min"),
            (183_600, "2 d 3 h"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), expected);
        }
    }

    #[test]
    fn a_duration_of_nothing_is_refused() {
        assert_eq!(parse_duration("5m"), Ok(Duration::from_mins(5)));
        for text in ["0s", "", "5", "soon"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
