//! How long the API asks to be left alone.
//!
//! `Retry-After` is written as seconds or as a date ([RFC 9110, 10.2.3]);
//! `X-RateLimit-Reset` is what the vendor's own clients fall back to, in seconds
//! since 1970. Both are wishes of a stranger, so both are bounded.
//!
//! [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// Nobody is left alone for longer: a resume must not wait for a slip of the
/// server's pen.
pub const LONGEST: Duration = Duration::from_mins(5);

/// Nobody is asked again sooner: zero, a negative number and a date that has
/// passed all mean "soon".
pub const SHORTEST: Duration = Duration::from_secs(1);

/// The wait that these header values ask for, if they say anything readable.
/// `now` is what dates are measured from: best the time that the same answer
/// carries, so that our clock has no say in it. Without it only a number of
/// seconds can be read.
pub fn retry_after(
    header: Option<&str>,
    reset: Option<&str>,
    now: Option<DateTime<Utc>>,
) -> Option<Duration> {
    header.and_then(|text| seconds(text).or_else(|| Some(until(http_date(text)?, now?)))).or_else(|| {
        let reset = reset?.trim().parse::<i64>().ok()?;
        Some(until(DateTime::from_timestamp(reset, 0)?, now?))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    // `f64` also reads `inf` and `nan`. Infinite is merely absurd.
    (!seconds.is_nan()).then(|| bounded(seconds))
}

fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (then - now).to_std().unwrap_or_default().clamp(SHORTEST, LONGEST)
}

fn bounded(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(SHORTEST.as_secs_f64(), LONGEST.as_secs_f64()))
}

/// A date as HTTP writes it, in any of the three forms that a recipient has to
/// accept ([RFC 9110, 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)).
pub fn http_date(text: &str) -> Option<DateTime<Utc>> {
    // The weekday says nothing that the date does not, so a wrong one is no
    // reason to hear nothing.
    let date = text.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic());
    [", %d %b %Y %H:%M:%S GMT", ", %d-%b-%y %H:%M:%S GMT", " %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(date, form).ok())
        .map(|naive| naive.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn check(rows: &[(Option<&str>, Option<&str>, Option<f64>)]) {
        for &(header, reset, expected) in rows {
            let wait = retry_after(header, reset, http_date(NOW)).map(|wait| wait.as_secs_f64());
            assert_eq!(wait, expected, "Retry-After: {header:?}, X-RateLimit-Reset: {reset:?}");
        }
    }

    #[test]
    fn seconds_and_all_three_forms_of_date_are_read() {
        check(&[
            (Some("7"), None, Some(7.0)),
            (Some(" 1.5 "), None, Some(1.5)),
            (Some("Sun, 06 Nov 1994 08:49:47 GMT"), None, Some(10.0)),
            (Some("Sunday, 06-Nov-94 08:50:37 GMT"), None, Some(60.0)),
            (Some("Sun Nov  6 08:49:42 1994"), None, Some(5.0)),
        ]);
    }

    #[test]
    fn the_absurd_is_bounded_and_the_unreadable_ignored() {
        check(&[
            (Some("0"), None, Some(1.0)),
            (Some("-30"), None, Some(1.0)),
            (Some("1000000000"), None, Some(300.0)),
            (Some("99999999999999999999999999"), None, Some(300.0)),
            (Some("inf"), None, Some(300.0)),
            (Some("Fri, 31 Dec 2199 23:59:59 GMT"), None, Some(300.0)),
            (Some("Sat, 05 Nov 1994 08:49:37 GMT"), None, Some(1.0)),
            (Some("nan"), None, None),
            (Some("soon"), None, None),
            (Some(""), None, None),
            (None, None, None),
        ]);
    }

    #[test]
    fn a_reset_time_counts_only_where_retry_after_says_nothing() {
        let in_20_s = (http_date(NOW).unwrap().timestamp() + 20).to_string();
        let reset = Some(in_20_s.as_str());
        check(&[
            (None, reset, Some(20.0)),
            (Some("soon"), reset, Some(20.0)),
            (Some("3"), reset, Some(3.0)),
            (None, Some("9999999999999999999"), None),
            (None, Some("0"), Some(1.0)),
        ]);
    }

    #[test]
    fn without_the_servers_time_only_seconds_can_be_read() {
        assert_eq!(retry_after(Some(NOW), Some("784111800"), None), None);
        assert_eq!(retry_after(Some("4"), None, None), Some(Duration::from_secs(4)));
    }
}
