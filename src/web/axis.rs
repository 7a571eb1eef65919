//! Where things are on a picture of a span of time. Both timelines, the page's
//! and the one that is a document of its own, are drawn from this.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::times;
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;

/// More bars than this in one row are not drawn one by one.
const MOST_BARS: usize = 400;

/// Where an instant of `[from, until)` is on a line that is so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) length: i64,
}

/// Occurrences that are drawn as one, with what of the pause comes before they
/// open.
#[derive(Debug)]
pub(super) struct Bar {
    // Invariant: pauses <= opens <= closes, all on the axis.
    pauses: i64,
    opens: i64,
    closes: i64,
    first: Occurrence,
    until: DateTime<Utc>,
    number: usize,
}

impl Axis {
    pub(super) fn at(&self, instant: DateTime<Utc>) -> i64 {
        let whole = (self.until - self.from).num_milliseconds().max(1);
        let part = (instant.clamp(self.from, self.until) - self.from).num_milliseconds();
        i64::try_from(i128::from(part) * i128::from(self.length) / i128::from(whole)).unwrap_or(0)
    }

    /// The midnights of this zone that are on it.
    pub(super) fn midnights(&self, zone: &Zone) -> impl Iterator<Item = (NaiveDate, DateTime<Utc>)> {
        let (first, days) = (zone.civil(self.from).date(), (self.until - self.from).num_days() + 1);
        let dates = (0..=days).map(move |day| first + TimeDelta::days(day));
        let midnights = dates.map(|date| (date, zone.instant(date.and_time(NaiveTime::MIN))));
        midnights.filter(|(_, at)| self.from <= *at && *at < self.until)
    }

    /// From where to where the window is open, and pauses before that.
    pub(super) fn bars_of(&self, window: &Window, narrowest: i64) -> Vec<Bar> {
        self.bars(window.pausing_within(self.from, self.until), narrowest)
    }

    /// The same of occurrences, or pieces of them, sorted by their opening. No
    /// part is shorter than `narrowest`, and what would touch is one bar.
    pub(super) fn bars(&self, occurrences: impl Iterator<Item = Occurrence>, narrowest: i64) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for it in occurrences.filter(|it| it.pauses < self.until && self.from < it.closes) {
            let (opens, closes) = self.open_part(&it, narrowest);
            let is_full = bars.len() == MOST_BARS;
            match bars.last_mut() {
                Some(last) if opens <= last.closes => {
                    last.closes = last.closes.max(closes);
                    last.until = last.until.max(it.closes);
                    last.number += 1;
                }
                _ if is_full => break,
                last => {
                    let free = last.map_or(0, |last| last.closes);
                    let pauses = self.lead_part(&it, opens, narrowest).max(free);
                    bars.push(Bar { pauses, opens, closes, until: it.closes, first: it, number: 1 });
                }
            }
        }
        bars
    }

    /// Where it is open; nowhere if only the pause before it is on the axis.
    fn open_part(&self, it: &Occurrence, narrowest: i64) -> (i64, i64) {
        let from = it.opens.max(it.pauses);
        if it.closes <= from || self.until <= from {
            let end = self.at(it.closes.min(from));
            return (end, end);
        }
        let opens = self.at(from).min(self.length - narrowest);
        (opens, self.at(it.closes).max(opens + narrowest))
    }

    fn lead_part(&self, it: &Occurrence, opens: i64, narrowest: i64) -> i64 {
        let has_lead = it.pauses < it.opens;
        if has_lead { self.at(it.pauses).min(opens - narrowest).max(0) } else { opens }
    }
}

impl Bar {
    /// From where to where its syncs are paused although it is not open yet.
    pub(super) fn lead(&self) -> Option<(i64, i64)> {
        (self.pauses < self.opens).then_some((self.pauses, self.opens))
    }

    /// From where to where it is open.
    pub(super) fn open(&self) -> Option<(i64, i64)> {
        (self.opens < self.closes).then_some((self.opens, self.closes))
    }

    /// From when to when, in words.
    pub(super) fn told(&self, zone: &Zone) -> String {
        let show = |at| times::show(at, zone);
        let span = format!(
            "{} to {}",
            show(self.first.opens.max(self.first.pauses).min(self.until)),
            show(self.until)
        );
        let lead = (self.first.pauses < self.first.opens)
            .then(|| format!(", its syncs paused from {}", show(self.first.pauses)));
        let lead = lead.unwrap_or_default();
        if self.number == 1 { span + &lead } else { format!("{} occurrences, {span}{lead}", self.number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::RunPolicy;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-{text}:00Z").parse().unwrap()
    }

    /// A day, a minute long each of its parts.
    fn day() -> Axis {
        Axis { from: at("05T00:00"), until: at("06T00:00"), length: 1440 }
    }

    fn piece(pauses: &str, opens: &str, closes: &str) -> Occurrence {
        Occurrence {
            window: "nightly".into(),
            pauses: at(pauses),
            opens: at(opens),
            closes: at(closes),
            enforce: false,
            runs: RunPolicy::default(),
        }
    }

    type Drawn = (Option<(i64, i64)>, Option<(i64, i64)>);

    fn drawn(pieces: &[Occurrence]) -> Vec<Drawn> {
        day().bars(pieces.iter().cloned(), 3).iter().map(|it| (it.lead(), it.open())).collect()
    }

    #[test]
    fn the_pause_before_an_opening_is_a_part_of_its_own() {
        let check = |pauses, opens, closes, expected: Drawn| {
            assert_eq!(drawn(&[piece(pauses, opens, closes)]), [expected], "{pauses} {opens} {closes}");
        };
        check("05T01:00", "05T01:00", "05T02:00", (None, Some((60, 120))));
        check("05T00:30", "05T01:00", "05T02:00", (Some((30, 60)), Some((60, 120))));
        // What is short is still seen, as far as there is room.
        check("05T00:59", "05T01:00", "05T01:01", (Some((57, 60)), Some((60, 63))));
        check("04T23:00", "05T00:00", "05T01:00", (None, Some((0, 60))));
        check("04T22:00", "04T23:00", "05T01:00", (None, Some((0, 60))));
        // It opens after the day, or is exempted before it opens.
        check("05T23:00", "06T01:00", "06T02:00", (Some((1380, 1440)), None));
        check("05T01:00", "05T03:00", "05T02:00", (Some((60, 120)), None));
        // What an exemption leaves begins when that is over.
        check("05T01:30", "05T01:00", "05T02:00", (None, Some((90, 120))));
        check("05T23:59", "05T23:59", "06T02:00", (None, Some((1437, 1440))));
    }

    #[test]
    fn what_is_not_of_the_day_is_not_drawn() {
        assert!(
            drawn(&[piece("04T01:00", "04T02:00", "05T00:00")]).is_empty(),
            "it closes as the day begins"
        );
        assert!(drawn(&[piece("06T00:00", "06T02:00", "06T03:00")]).is_empty(), "it pauses as the day ends");
    }

    #[test]
    fn what_touches_is_one_bar_and_no_lead_covers_what_was_open() {
        let first = piece("05T01:00", "05T01:00", "05T02:00");
        let touching = piece("05T01:30", "05T02:00", "05T03:00");
        assert_eq!(drawn(&[first.clone(), touching]), [(None, Some((60, 180)))]);
        let near = piece("05T01:30", "05T02:30", "05T03:00");
        assert_eq!(drawn(&[first, near]), [(None, Some((60, 120))), (Some((120, 150)), Some((150, 180)))]);
    }

    #[test]
    fn words_tell_the_lead_and_how_many_occurrences_one_bar_is() {
        let told = |pieces: &[Occurrence]| {
            let bars = day().bars(pieces.iter().cloned(), 3);
            bars.iter().map(|bar| bar.told(&Zone::utc())).collect::<Vec<_>>()
        };
        let first = piece("05T00:30", "05T01:00", "05T02:00");
        let span = "Tue 2026-05-05 01:00 +00:00 to Tue 2026-05-05";
        let lead = ", its syncs paused from Tue 2026-05-05 00:30 +00:00";
        assert_eq!(told(std::slice::from_ref(&first)), [format!("{span} 02:00 +00:00{lead}")]);
        let both = [first, piece("05T02:00", "05T02:00", "05T03:00")];
        assert_eq!(told(&both), [format!("2 occurrences, {span} 03:00 +00:00{lead}")]);
    }
}
