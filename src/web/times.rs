//! Times as people like to read them, on the command line and on the page.

use chrono::{DateTime, FixedOffset, TimeDelta, Timelike, Utc};

use crate::domain::zone::Zone;

/// The instant as clocks in `zone` show it.
pub fn local(at: DateTime<Utc>, zone: &Zone) -> DateTime<FixedOffset> {
    let offset = FixedOffset::east_opt(zone.offset_seconds(at));
    at.with_timezone(&offset.unwrap_or_else(|| FixedOffset::east_opt(0).expect("zero is within a day")))
}

/// The instant for people: `Sat 2026-11-28 22:00 +01:00`, with seconds only if
/// there are any.
pub fn show(at: DateTime<Utc>, zone: &Zone) -> String {
    let at = local(at, zone);
    let format = if at.second() == 0 { "%a %Y-%m-%d %H:%M %:z" } else { "%a %Y-%m-%d %H:%M:%S %:z" };
    at.format(format).to_string()
}

/// The instant in as few letters as leave no doubt today: `22:00`, `Sat 22:00`
/// within the coming days, else `2026-11-28 22:00`.
pub fn show_short(at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
    let (at, today) = (local(at, zone), local(now, zone).date_naive());
    let format = match (at.date_naive() - today).num_days() {
        0 => "%H:%M",
        1..=6 => "%a %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    at.format(format).to_string()
}

/// [`show`], and how far away that is.
pub fn show_with_distance(at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
    format!("{} ({})", show(at, zone), distance(at, now))
}

/// How far away: `in 2 d 3 h`, `5 min ago`, `now`.
pub fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = at - now;
    if away.abs() < TimeDelta::seconds(1) {
        "now".to_owned()
    } else if away > TimeDelta::zero() {
        format!("in {}", span(away))
    } else {
        format!("{} ago", span(-away))
    }
}

/// A length of time in its two largest units: `2 d 3 h`, `7 h 30 min`, `12 s`.
pub fn span(length: TimeDelta) -> String {
    let parts = [
        (length.num_days(), "d"),
        (length.num_hours() % 24, "h"),
        (length.num_minutes() % 60, "min"),
        (length.num_seconds() % 60, "s"),
    ];
    let first = parts.iter().position(|(number, _)| *number != 0).unwrap_or(parts.len() - 1);
    let told =
        parts[first..].iter().take(2).enumerate().filter(|(index, (number, _))| *index == 0 || *number != 0);
    told.map(|(_, (number, unit))| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

/// RFC 3339 in the zone: `2026-11-28T22:00:00+01:00`.
pub fn rfc3339_local(at: DateTime<Utc>, zone: &Zone) -> String {
    local(at, zone).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false)
}
