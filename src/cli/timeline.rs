//! A span of time on one screen: a row of blocks for each window.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::zone::Zone;

/// How much of a column is covered, in quarters. A column that is covered at
/// all shows something: a short window in a long span is still a window.
const BLOCKS: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// Where a window's syncs are paused, and it is not open yet.
const LEAD: char = '─';

/// Fewer columns than this say nothing.
const NARROWEST: usize = 20;

/// Which time is drawn, and how it is labelled.
pub(super) struct Timeline {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
    pub(super) zone: Zone,
}

/// When each pauses, opens and closes.
type Spans = Vec<[DateTime<Utc>; 3]>;

impl Timeline {
    /// The rows, one a name, under an axis with dates or hours and a mark at
    /// now, and what a lead looks like if there is one.
    pub(super) fn draw(&self, rows: &BTreeMap<&str, Spans>, width: usize) -> String {
        let label = rows.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        let columns = width.saturating_sub(label + 2).max(NARROWEST);
        let mut lines = vec![format!("{:label$}  {}", "", self.axis(columns))];
        for (name, spans) in rows {
            let pad = label - name.chars().count();
            lines.push(format!("{name}{:pad$}  {}", "", self.row(spans, columns)));
        }
        if let Some(column) = self.column_of(self.now, columns) {
            lines.push(format!("{:indent$}▲ now", "", indent = label + 2 + column));
        }
        if lines.iter().any(|it| it.contains(LEAD)) {
            lines.push(format!("{LEAD} its syncs are paused, and it is not open yet"));
        }
        lines.join("\n")
    }

    fn row(&self, spans: &Spans, columns: usize) -> String {
        (0..columns)
            .map(|column| {
                let (begin, end) = (self.start_of(column, columns), self.start_of(column + 1, columns));
                let overlap = |from: DateTime<Utc>, until: DateTime<Utc>| {
                    (until.min(end) - from.max(begin)).max(TimeDelta::zero())
                };
                let covered: TimeDelta =
                    spans.iter().map(|[_, opens, closes]| overlap(*opens, *closes)).sum();
                let leads = |[pauses, opens, _]: &[DateTime<Utc>; 3]| !overlap(*pauses, *opens).is_zero();
                if covered.is_zero() && spans.iter().any(leads) {
                    return LEAD;
                }
                let (covered, whole) = (milliseconds(covered), milliseconds(end - begin).max(1));
                let quarters = usize::try_from((covered * 4).div_ceil(whole)).unwrap_or(usize::MAX);
                BLOCKS[quarters.min(BLOCKS.len() - 1)]
            })
            .collect()
    }

    /// Midnights, or full hours if the span is short, each where there is room.
    fn axis(&self, columns: usize) -> String {
        let (step, format) = self.ticks(columns);
        let mut axis: Vec<char> = vec![' '; columns];
        let mut free_from = 0;
        let first = self.zone.civil(self.from).date().and_hms_opt(0, 0, 0);
        let mut tick = first.unwrap_or_else(|| self.zone.civil(self.from));
        while self.zone.instant(tick) < self.until {
            if let Some(column) = self.column_of(self.zone.instant(tick), columns) {
                let text: Vec<char> = format!("|{}", tick.format(format)).chars().collect();
                if free_from <= column && column + text.len() <= columns {
                    axis[column..column + text.len()].copy_from_slice(&text);
                    free_from = column + text.len() + 1;
                }
            }
            tick += step;
        }
        axis.into_iter().collect::<String>().trim_end().to_owned()
    }

    /// How far apart marks are, so that there are not many more than fit.
    fn ticks(&self, columns: usize) -> (TimeDelta, &'static str) {
        let span = self.until - self.from;
        let room = i32::try_from(columns / 8).unwrap_or(i32::MAX).max(1);
        let hours = [1, 3, 6, 12].map(TimeDelta::hours).into_iter().find(|step| span <= *step * room);
        match hours {
            Some(step) if span <= TimeDelta::days(2) => (step, "%H:%M"),
            _ => (TimeDelta::days(1), "%d %b"),
        }
    }

    fn start_of(&self, column: usize, columns: usize) -> DateTime<Utc> {
        let (column, columns) = (i64::try_from(column).unwrap_or(0), i64::try_from(columns).unwrap_or(1));
        let milliseconds = i128::from((self.until - self.from).num_milliseconds());
        let offset = milliseconds * i128::from(column) / i128::from(columns);
        self.from + TimeDelta::milliseconds(i64::try_from(offset).unwrap_or(i64::MAX))
    }

    fn column_of(&self, at: DateTime<Utc>, columns: usize) -> Option<usize> {
        if at < self.from || self.until <= at {
            return None;
        }
        (0..columns).rev().find(|column| self.start_of(*column, columns) <= at)
    }
}

fn milliseconds(length: TimeDelta) -> u64 {
    u64::try_from(length.num_milliseconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn blocks_stand_where_windows_are_open_and_now_is_marked() {
        let timeline = Timeline {
            from: at("2026-11-23T00:00:00Z"),
            until: at("2026-11-24T00:00:00Z"),
            now: at("2026-11-23T12:30:00Z"),
            zone: Zone::utc(),
        };
        let rows = BTreeMap::from([
            ("night", vec![["2026-11-22T22:00:00Z", "2026-11-22T22:00:00Z", "2026-11-23T06:00:00Z"].map(at)]),
            ("a", vec![["2026-11-23T09:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z"].map(at)]),
        ]);
        let drawn = timeline.draw(&rows, 31);
        let expected = "       \
            |00:00      |12:00\n\
            a      ·········───░···········\n\
            night  ██████··················\n                   ▲ now\n\
            ─ its syncs are paused, and it is not open yet";
        assert_eq!(drawn, expected);
    }
}
