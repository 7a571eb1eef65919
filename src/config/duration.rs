//! Durations as people write them: `90s`, `15m`, `2h30m`.

use std::ops::Range;
use std::time::Duration;

/// The units, largest first, in milliseconds. A day is 24 hours.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DurationError {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub mend: String,
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
}

/// Reads `90s`, `2h30m`, `1d 12h`: whole numbers, each with one of the units
/// `d h m s ms`, each unit once. Zero is a duration; whether it makes sense is
/// for the caller to say.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let fail = |span: Range<usize>, problem: &str, mend: String| {
        Err(DurationError { problem: problem.to_owned(), mend, span })
    };
    let mut rest = text.trim_end();
    let end = rest.len();
    let mut total: u64 = 0;
    let mut used = [false; UNITS.len()];
    if rest.trim().is_empty() {
        return fail(0..text.len(), "a duration is missing", EXAMPLE.to_owned());
    }
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        let at = end - rest.len();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(char::is_alphabetic).len();
        let (unit, tail) = tail.split_at(letters);
        let here = at..at + number.len() + unit.len();
        if number.is_empty() {
            let span = at..at + rest.chars().next().map_or(0, char::len_utf8).max(unit.len());
            return match rest.as_bytes()[0] {
                b'-' => fail(span, "a duration cannot be negative", EXAMPLE.to_owned()),
                _ => fail(span, "a duration is a number and a unit", EXAMPLE.to_owned()),
            };
        }
        if unit.is_empty() {
            return match tail.as_bytes().first() {
                Some(b'.' | b',') => {
                    fail(at..end, "a duration has no fractions", "write `1h30m` for 1.5 hours".to_owned())
                }
                _ => fail(
                    here,
                    "a duration needs a unit",
                    format!("write `{number}s`, `{number}m` or `{number}h`"),
                ),
            };
        }
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return fail(here, &format!("there is no unit `{unit}`"), mend_of_unit(number, unit));
        };
        if std::mem::replace(&mut used[index], true) {
            return fail(here, &format!("the unit `{unit}` is there twice"), EXAMPLE.to_owned());
        }
        let added = number.parse().ok().and_then(|number: u64| number.checked_mul(UNITS[index].1));
        match added.and_then(|added| total.checked_add(added)) {
            Some(sum) => total = sum,
            None => return fail(here, "the duration is too long", EXAMPLE.to_owned()),
        }
        rest = tail;
    }
}

const EXAMPLE: &str = "write a duration such as `90s`, `15m` or `2h30m`";

/// The unit that was probably meant.
fn mend_of_unit(number: &str, unit: &str) -> String {
    let meant = match unit.to_lowercase().as_str() {
        "w" | "wk" | "week" | "weeks" => {
            return number
                .parse::<u64>()
                .ok()
                .and_then(|weeks| weeks.checked_mul(7))
                .map_or_else(|| EXAMPLE.to_owned(), |days| format!("write `{days}d`"));
        }
        "d" | "day" | "days" => "d",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        _ => return "the units are `d`, `h`, `m`, `s` and `ms`".to_owned(),
    };
    format!("write `{number}{meant}`")
}

/// The duration as [`parse`] reads it, whole milliseconds: `2h30m`.
pub fn format(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_combine() {
        let check = |text: &str, seconds: f64| {
            assert_eq!(parse(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        };
        check("90s", 90.0);
        check("250ms", 0.25);
        check("15m", 900.0);
        check("2h30m", 9000.0);
        check("2h 30m", 9000.0);
        check(" 1d12h ", 129_600.0);
        check("1s500ms", 1.5);
        check("0s", 0.0);
    }

    #[test]
    fn what_is_no_duration_is_told_with_its_place_and_mend() {
        let check = |text: &str, span: Range<usize>, problem: &str, mend: &str| {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.problem.as_str(), error.mend.as_str(), error.span),
                (problem, mend, span),
                "{text}"
            );
        };
        check("", 0..0, "a duration is missing", EXAMPLE);
        check("90", 0..2, "a duration needs a unit", "write `90s`, `90m` or `90h`");
        check("2h30", 2..4, "a duration needs a unit", "write `30s`, `30m` or `30h`");
        check("1.5h", 0..4, "a duration has no fractions", "write `1h30m` for 1.5 hours");
        check("-5m", 0..1, "a duration cannot be negative", EXAMPLE);
        check("5min", 0..4, "there is no unit `min`", "write `5m`");
        check("2w", 0..2, "there is no unit `w`", "write `14d`");
        check("1h 5y", 3..5, "there is no unit `y`", "the units are `d`, `h`, `m`, `s` and `ms`");
        check("1m2m", 2..4, "the unit `m` is there twice", EXAMPLE);
        check("soon", 0..4, "a duration is a number and a unit", EXAMPLE);
        check("99999999999999999999s", 0..21, "the duration is too long", EXAMPLE);
        check("9999999999999999d", 0..17, "the duration is too long", EXAMPLE);
        check("5µs", 0..4, "there is no unit `µs`", "the units are `d`, `h`, `m`, `s` and `ms`");
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for text in ["0s", "250ms", "90d", "2h30m", "1d1h1m1s1ms"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }
}
