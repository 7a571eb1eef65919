//! The instants of a start or an end, in their one order.
//!
//! A *fixed* time (`0 2 * * *`) stands for exactly one instant a match,
//! whatever the clocks do that night. A *wildcard* (`*/15 * * * *`) follows the
//! real clock. This is the rule of cron(8), compared with cronie.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::super::zone::{Resolved, Zone};
use super::Schedule;

/// One start or end. Ordered by instant and then by civil time: in a gap many
/// civil times share one instant, and which comes first must not get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::domain) struct Edge {
    /// When it happens.
    pub(in crate::domain) at: DateTime<Utc>,
    /// The civil time it was written for.
    pub(in crate::domain) civil: NaiveDateTime,
}

/// Searches are strict; this is less than any distance between two matches.
const TICK: TimeDelta = TimeDelta::nanoseconds(1);

impl Edge {
    /// Before every edge at this instant.
    pub(in crate::domain) fn first_at(at: DateTime<Utc>) -> Self {
        Self { at, civil: NaiveDateTime::MIN }
    }

    /// After every edge at this instant.
    pub(in crate::domain) fn last_at(at: DateTime<Utc>) -> Self {
        Self { at, civil: NaiveDateTime::MAX }
    }

    /// The edge of a fixed civil time.
    pub(in crate::domain) fn fixed(zone: &Zone, civil: NaiveDateTime) -> Self {
        Self { at: zone.instant(civil), civil }
    }

    /// The edge of an instant.
    pub(in crate::domain) fn real(zone: &Zone, at: DateTime<Utc>) -> Self {
        Self { at, civil: zone.civil(at) }
    }
}

impl Schedule {
    /// The first edge strictly after this one.
    pub(in crate::domain) fn edge_after(&self, zone: &Zone, after: Edge) -> Option<Edge> {
        if self.is_wildcard() {
            self.wildcard_after(zone, after)
        } else {
            fixed_after(zone, after, |civil| self.next_civil(civil))
        }
    }

    /// The last edge strictly before this one.
    pub(in crate::domain) fn edge_before(&self, zone: &Zone, before: Edge) -> Option<Edge> {
        if self.is_wildcard() {
            self.wildcard_before(zone, before)
        } else {
            fixed_before(zone, before, |civil| self.previous_civil(civil))
        }
    }

    /// Between two changes of the offset civil time runs as instants do, so
    /// each such stretch is searched by itself.
    fn wildcard_after(&self, zone: &Zone, after: Edge) -> Option<Edge> {
        let mut from = after.at;
        loop {
            let civil = self.next_civil(zone.civil(from).checked_sub_signed(TICK)?)?;
            let found = Edge { at: from + (civil - zone.civil(from)), civil };
            let change = zone.next_transition(from).map(|change| change.at);
            if change.is_some_and(|change| change <= found.at) {
                from = change?;
            } else if found > after {
                return Some(found);
            } else {
                // Matches are whole minutes apart.
                from = found.at.checked_add_signed(TICK)?;
            }
        }
    }

    fn wildcard_before(&self, zone: &Zone, before: Edge) -> Option<Edge> {
        let mut until = before.at;
        loop {
            let civil = self.previous_civil(zone.civil(until).checked_add_signed(TICK)?)?;
            let found = Edge { at: until - (zone.civil(until) - civil), civil };
            let change = zone.previous_transition(until.checked_add_signed(TICK)?).map(|change| change.at);
            if change.is_some_and(|change| found.at < change) {
                until = change?.checked_sub_signed(TICK)?;
            } else if found < before {
                return Some(found);
            } else {
                until = found.at.checked_sub_signed(TICK)?;
            }
        }
    }
}

/// The first edge after `after` of fixed civil times, of which `next` finds the
/// first one strictly after a given one.
pub(in crate::domain) fn fixed_after(
    zone: &Zone,
    after: Edge,
    next: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<Edge> {
    // If a gap ends at this instant, the civil times inside it fall on it too.
    let before_the_gap = zone.civil(after.at.checked_sub_signed(TICK)?);
    let mut civil = before_the_gap.min(zone.civil(after.at)).checked_sub_signed(TICK)?;
    loop {
        civil = next(civil)?;
        let edge = Edge::fixed(zone, civil);
        if edge > after {
            return Some(edge);
        }
    }
}

/// The last edge before `before` of fixed civil times, of which `previous`
/// finds the last one strictly before a given one.
pub(in crate::domain) fn fixed_before(
    zone: &Zone,
    before: Edge,
    previous: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<Edge> {
    let now = zone.civil(before.at);
    // In a second pass, civil times that are yet to come have been already.
    let seen = match zone.resolve(now) {
        Resolved::Fold(first, second) => now.checked_add_signed(second - first)?,
        Resolved::One(_) | Resolved::Gap(_) => now,
    };
    let mut civil = seen.checked_add_signed(TICK)?;
    loop {
        civil = previous(civil)?;
        let edge = Edge::fixed(zone, civil);
        if edge < before {
            return Some(edge);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn in_a_second_pass_a_fixed_time_has_been() {
        let zone = Zone::new("America/New_York", TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap());
        let schedule: Schedule = "30 1 * * *".parse().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let first_pass = at("2026-11-01T05:30:00Z");
        for (before, expected) in [
            ("2026-11-01T05:20:00Z", at("2026-10-31T05:30:00Z")),
            ("2026-11-01T05:40:00Z", first_pass),
            ("2026-11-01T06:20:00Z", first_pass),
            ("2026-11-01T07:20:00Z", first_pass),
        ] {
            assert_eq!(schedule.previous(&zone, at(before)), Some(expected), "before {before}");
        }
    }
}
