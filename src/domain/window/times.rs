//! Pairs starts with ends, and merges what overlaps or touches.
//!
//! A start lasts until the first end after it, both in the order of
//! [`Edge`]: by instant and then by civil time, so that in a night that lacks
//! an hour no window is lost, negative or a day long. Ends that close nothing
//! are ignored, and further starts before the end are absorbed.

use std::iter;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::super::schedule::{Edge, fixed_after, fixed_before};
use super::super::zone::Zone;
use super::{Dates, End, Start, When};

/// No occurrence is longer than this many days: a longer one is a mistake.
pub const LONGEST_DAYS: i64 = 31;

/// Where a walk along touching occurrences gives up: a little more than the
/// longest, so that one that is too long is seen to be so.
const HORIZON: TimeDelta = TimeDelta::days(LONGEST_DAYS + 2);

/// The occurrence before and the one after one that is short lie within this.
const AROUND: TimeDelta = TimeDelta::hours(40);

/// When a window is open: starts paired with ends, in one zone.
#[derive(Debug, Clone)]
pub struct Times {
    // Invariant, from `reference` on and for as far as we looked: every start
    // has an end, and no occurrence is longer than `LONGEST_DAYS`.
    start: Start,
    end: End,
    dates: Dates,
    zone: Zone,
    // Whether no occurrence comes near another, as long as clocks are set by hours only.
    are_apart: bool,
}

/// From an opening to its closing, `[opens, closes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant inside.
    pub opens: DateTime<Utc>,
    /// The first instant that is not.
    pub closes: DateTime<Utc>,
}

impl Span {
    /// Whether an occurrence that lasts so long has that one in it, or meets its
    /// opening.
    pub(super) fn takes_in(self, other: Self) -> bool {
        self.opens <= other.opens && other.opens <= self.closes
    }
}

/// Starts and ends that make no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// The duration is zero or negative.
    #[error("the duration is not positive; write how long it lasts, such as \"8h\"")]
    NotPositive,
    /// It happens once, and its end is not after its start.
    #[error("the end, {end} {zone}, is not after the start, {start} {zone}; {}", swap_or_move(.start, .end))]
    EndsBeforeItStarts {
        /// The start, in the window's zone.
        start: NaiveDateTime,
        /// The end, in the window's zone.
        end: NaiveDateTime,
        /// The window's zone.
        zone: Zone,
    },
    /// The start recurs and the end is a date.
    #[error(
        "the start recurs but the end is a date, so only one occurrence would ever close; \
         write a time of day (\"06:00\"), a schedule or a `duration`, and `last_date` for the last time it starts"
    )]
    EndsOnce,
    /// An occurrence, merged with those that touch it, is too long.
    #[error("an occurrence that opens on {opens} {zone} {}; {}", .closes.as_ref().map_or_else(
        || format!("is still open {LONGEST_DAYS} days later: it never closes"),
        |closes| format!("closes on {closes}, more than {LONGEST_DAYS} days later"),
    ), why_long(*.touching))]
    TooLong {
        /// When it opens, in the window's zone.
        opens: NaiveDateTime,
        /// When it closes, unless it never does or we gave up looking.
        closes: Option<NaiveDateTime>,
        /// The window's zone.
        zone: Zone,
        /// Whether it is too long only because each end meets the next start.
        touching: bool,
    },
    /// The first and last date, or the skipped ones, leave no start.
    #[error("it never starts: `first_date`, `last_date` and `skip_dates` leave none of its starts")]
    NeverStarts,
    /// The first date is after the last one.
    #[error("`first_date` {first} is after `last_date` {last}; swap them")]
    DatesSwapped {
        /// The first date.
        first: NaiveDate,
        /// The last date.
        last: NaiveDate,
    },
}

fn swap_or_move(start: &NaiveDateTime, end: &NaiveDateTime) -> &'static str {
    if end < start { "swap them, or mind the year" } else { "move the end" }
}

fn why_long(touching: bool) -> &'static str {
    if touching {
        "the next one starts before, or just when, this one ends: end it earlier, or start it less often"
    } else {
        "end it earlier"
    }
}

impl Times {
    /// Pairs starts with ends. Occurrences of more than a year after
    /// `reference` (or after the first date, if that is later) are looked at,
    /// and one that is too long is an error. A window that lies in the past is none.
    pub fn new(
        start: Start,
        end: End,
        dates: Dates,
        zone: Zone,
        reference: DateTime<Utc>,
    ) -> Result<Self, TimesError> {
        let mut times = Self { start, end, dates, zone, are_apart: false };
        times.check_as_written()?;
        let begin = times.dates.first.map_or(reference, |first| reference.max(times.midnight(first)));
        let first = times
            .start_after(Edge::first_at(begin))
            .or_else(|| times.start_before(Edge::first_at(begin)))
            .ok_or(TimesError::NeverStarts)?;
        times.are_apart = times.are_all_short(first);
        if !times.are_apart {
            times.check_lengths(first)?;
        }
        Ok(times)
    }

    /// How it starts, as it was written.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// How it ends, as it was written.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// The dates on which it may start.
    pub fn dates(&self) -> &Dates {
        &self.dates
    }

    /// The zone it is written in.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The occurrence that is open at this instant.
    pub fn covering(&self, at: DateTime<Utc>) -> Option<Span> {
        let start = self.start_before(Edge::last_at(at))?;
        self.merged(start).filter(|span| at < span.closes)
    }

    /// The first occurrence that opens after this instant.
    pub fn next_opening(&self, after: DateTime<Utc>) -> Option<Span> {
        // Starts inside an occurrence open nothing.
        self.first_after(self.covering(after).map_or(after, |open| open.closes))
    }

    /// The last occurrence that closed at or before this instant.
    pub fn last_closed(&self, until: DateTime<Utc>) -> Option<Span> {
        let before = self.covering(until).map_or(Edge::last_at(until), |open| Edge::first_at(open.opens));
        self.merged(self.start_before(before)?)
    }

    /// Every occurrence that is open at some time in `[from, until)`, in order,
    /// each whole.
    pub fn spans(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Span> {
        let first = if from < until { self.covering(from).or_else(|| self.first_after(from)) } else { None };
        iter::successors(first, |span| self.first_after(span.closes))
            .take_while(move |span| span.opens < until)
    }

    /// The starts in `[from, until)`.
    pub(in crate::domain) fn starts(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Edge> {
        iter::successors(self.start_after(Edge::first_at(from)), |start| self.start_after(*start))
            .take_while(move |start| start.at < until)
    }

    /// The ends in `[from, until)`, whether they close anything or not.
    pub(in crate::domain) fn ends(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Edge> {
        iter::successors(self.end_after(Edge::first_at(from)), |end| self.end_after(*end))
            .take_while(move |end| end.at < until)
    }

    /// The civil times at which an occurrence opens and closes in an ordinary
    /// night.
    pub(in crate::domain) fn as_written(&self, span: Span) -> (NaiveDateTime, NaiveDateTime) {
        let start = self.start_after(Edge::first_at(span.opens)).filter(|start| start.at == span.opens);
        let start = start.map_or_else(|| self.zone.civil(span.opens), |start| start.civil);
        let end = self.end_after(Edge::first_at(span.closes)).filter(|end| end.at == span.closes);
        let in_a_gap = || start + (span.closes - span.opens);
        let end = end.map_or_else(in_a_gap, |end| end.civil);
        (start, end)
    }

    /// The first start after `closed`, at which nothing is open.
    fn first_after(&self, closed: DateTime<Utc>) -> Option<Span> {
        let start = self.start_after(Edge::last_at(closed))?;
        self.forward(self.stretch(start)?)
    }

    /// The occurrence that this start is in, merged with what touches it.
    fn merged(&self, start: Edge) -> Option<Span> {
        self.forward(self.backward(self.stretch(start)?))
    }

    /// The unmerged occurrence of this start.
    fn stretch(&self, start: Edge) -> Option<Stretch> {
        if let End::After(duration) = self.end {
            let last = Edge::first_at(start.at.checked_add_signed(duration)?);
            return Some(Stretch { first: start, last, closes: last.at });
        }
        let last = self.end_after(start)?;
        // Starts since the last end belong to this one; the first of them opens it.
        let first = match self.end_before(just_after(start)) {
            Some(end) => self.start_after(just_before(end)).unwrap_or(start).min(start),
            None => start,
        };
        // In a gap both fall on one instant: then it is as long as it was written.
        let closes =
            if first.at == last.at { last.at.checked_add_signed(last.civil - first.civil)? } else { last.at };
        Some(Stretch { first, last, closes })
    }

    /// The occurrence that opens with this stretch.
    fn forward(&self, stretch: Stretch) -> Option<Span> {
        let Stretch { first: Edge { at: opens, .. }, mut last, mut closes } = stretch;
        if self.stands_alone(stretch) {
            return Some(Span { opens, closes });
        }
        while closes - opens <= HORIZON {
            if let End::After(duration) = self.end {
                // The last start up to here makes it last longest.
                let start = self.start_before(Edge::last_at(closes))?;
                let longer = start.at.checked_add_signed(duration)?;
                if longer <= closes {
                    break;
                }
                closes = longer;
            } else {
                let Some(start) = self.start_after(just_before(last)).filter(|start| start.at <= closes)
                else {
                    break;
                };
                let Some(next) = self.stretch(start) else { break };
                last = next.last;
                closes = closes.max(next.closes);
            }
        }
        Some(Span { opens, closes })
    }

    /// The stretch together with those before it that it touches.
    fn backward(&self, mut stretch: Stretch) -> Stretch {
        if self.stands_alone(stretch) {
            return stretch;
        }
        let mut edge = stretch.first;
        while stretch.closes - stretch.first.at <= HORIZON {
            let opens = stretch.first.at;
            if let End::After(duration) = self.end {
                // Every start since then reaches this one.
                let earliest = opens.checked_sub_signed(duration).map(Edge::first_at);
                match earliest.and_then(|earliest| self.start_after(earliest)) {
                    Some(start) if start.at < opens => stretch.first = start,
                    _ => break,
                }
            } else {
                let Some(previous) = self.start_before(edge).and_then(|start| self.stretch(start)) else {
                    break;
                };
                edge = previous.first;
                if previous.closes >= opens {
                    stretch.first = previous.first;
                    stretch.closes = stretch.closes.max(previous.closes);
                } else if previous.first.at + self.reach_into(opens) < opens {
                    break;
                }
            }
        }
        stretch
    }

    /// Whether nothing can touch it: the day before and the day after it clocks are, give
    /// or take the hours of a summer, where they are at its opening.
    fn stands_alone(&self, stretch: Stretch) -> bool {
        let opens = stretch.first.at;
        let offset = |at| self.zone.offset_seconds(at);
        self.are_apart
            && [later(opens, -AROUND), later(opens, AROUND)]
                .iter()
                .all(|at| (offset(*at) - offset(opens)).abs() <= 3 * 3600)
    }

    /// How long before this instant an occurrence may have opened and closed
    /// "later" than one that opened after it. Only a gap does that: an
    /// occurrence inside it is moved behind it.
    fn reach_into(&self, at: DateTime<Utc>) -> TimeDelta {
        self.zone
            .previous_transition(at)
            .filter(|change| at <= change.at + change.shift)
            .map_or(TimeDelta::zero(), |change| change.shift)
    }

    /// The first start strictly after this edge.
    fn start_after(&self, after: Edge) -> Option<Edge> {
        let mut after = after;
        loop {
            let start = match &self.start {
                Start::Recurring(schedule) => schedule.edge_after(&self.zone, after)?,
                Start::Once(when) => Some(self.once(*when)).filter(|start| *start > after)?,
            };
            let date = start.civil.date();
            let resume = match self.dates.verdict(date) {
                Verdict::Starts => return Some(start),
                Verdict::TooLate => return None,
                Verdict::TooEarly(first) => first,
                Verdict::Skipped => date.checked_add_days(Days::new(1))?,
            };
            after = start.max(Edge::first_at(self.midnight(resume)));
        }
    }

    /// The last start strictly before this edge.
    fn start_before(&self, before: Edge) -> Option<Edge> {
        let mut before = before;
        loop {
            let start = match &self.start {
                Start::Recurring(schedule) => schedule.edge_before(&self.zone, before)?,
                Start::Once(when) => Some(self.once(*when)).filter(|start| *start < before)?,
            };
            let date = start.civil.date();
            before = match self.dates.verdict(date) {
                Verdict::Starts => return Some(start),
                Verdict::TooEarly(_) => return None,
                Verdict::Skipped => start.min(Edge::last_at(self.midnight(date))),
                Verdict::TooLate => {
                    let next = self.dates.last.unwrap_or(date).checked_add_days(Days::new(1))?;
                    start.min(Edge::last_at(self.midnight(next)))
                }
            };
        }
    }

    fn end_after(&self, after: Edge) -> Option<Edge> {
        match &self.end {
            End::After(duration) => Some(Edge::first_at(after.at.checked_add_signed(*duration)?)),
            End::TimeOfDay(time) => fixed_after(&self.zone, after, |civil| next_daily(*time, civil)),
            End::Recurring(schedule) => schedule.edge_after(&self.zone, after),
            End::Once(when) => Some(self.once(*when)).filter(|end| *end > after),
        }
    }

    fn end_before(&self, before: Edge) -> Option<Edge> {
        match &self.end {
            // One that comes once is after the only start.
            End::After(_) | End::Once(_) => None,
            End::TimeOfDay(time) => fixed_before(&self.zone, before, |civil| previous_daily(*time, civil)),
            End::Recurring(schedule) => schedule.edge_before(&self.zone, before),
        }
    }

    fn once(&self, when: When) -> Edge {
        match when {
            When::Local(civil) => Edge::fixed(&self.zone, civil),
            When::Instant(at) => Edge::real(&self.zone, at),
        }
    }

    fn midnight(&self, date: NaiveDate) -> DateTime<Utc> {
        self.zone.instant(date.and_time(NaiveTime::MIN))
    }

    /// What can be said without looking for an occurrence.
    fn check_as_written(&self) -> Result<(), TimesError> {
        if let (Some(first), Some(last)) = (self.dates.first, self.dates.last)
            && last < first
        {
            return Err(TimesError::DatesSwapped { first, last });
        }
        match (&self.start, &self.end) {
            (_, End::After(duration)) if *duration <= TimeDelta::zero() => Err(TimesError::NotPositive),
            (Start::Recurring(_), End::Once(_)) => Err(TimesError::EndsOnce),
            (Start::Once(start), End::Once(end)) => {
                let (start, end) = (self.once(*start), self.once(*end));
                if end > start {
                    return Ok(());
                }
                let zone = self.zone.clone();
                Err(TimesError::EndsBeforeItStarts { start: start.civil, end: end.civil, zone })
            }
            (Start::Recurring(_) | Start::Once(_), End::After(_) | End::TimeOfDay(_) | End::Recurring(_)) => {
                Ok(())
            }
        }
    }

    /// Looks once a month for more than a year: an occurrence that is too long
    /// cannot hide between two looks.
    fn check_lengths(&self, first: Edge) -> Result<(), TimesError> {
        let until = later(first.at, TimeDelta::days(400));
        let mut look = Some(first);
        while let Some(start) = look.filter(|start| start.at <= until) {
            let span = self.check_length(start)?;
            let next = later(span.opens, TimeDelta::days(LONGEST_DAYS)).max(span.closes);
            // The start before that is in, or the start after it begins, the next occurrence.
            look = self
                .start_before(Edge::last_at(next))
                .filter(|start| start.at >= span.closes)
                .or_else(|| self.start_after(Edge::last_at(next)));
        }
        Ok(())
    }

    /// Whether the first occurrence, or the first week, shows that all are short and far
    /// apart: starts a day or more from each other, and half a day long at most. However
    /// clocks are set, by hours at most, none is long then and none meets the next.
    fn are_all_short(&self, first: Edge) -> bool {
        let Start::Recurring(schedule) = &self.start else { return false };
        let is_short =
            |start| self.stretch(start).is_some_and(|it| it.closes - it.first.at <= TimeDelta::hours(12));
        schedule.matches_a_day() == 1
            && !schedule.is_wildcard()
            && match &self.end {
                End::After(_) | End::TimeOfDay(_) => is_short(first),
                // No week has a start that this one lacks.
                End::Recurring(end)
                    if schedule.is_weekly() && end.is_weekly() && self.dates.leave_whole_weeks() =>
                {
                    let until = later(first.at, TimeDelta::weeks(1));
                    iter::successors(Some(first), |start| self.start_after(*start))
                        .take_while(|start| start.at < until)
                        .all(is_short)
                }
                End::Recurring(_) | End::Once(_) => false,
            }
    }

    fn check_length(&self, start: Edge) -> Result<Span, TimesError> {
        let too_long = |opens, closes, touching| TimesError::TooLong {
            opens: self.zone.civil(opens),
            closes,
            zone: self.zone.clone(),
            touching,
        };
        let alone = self.stretch(start).ok_or_else(|| too_long(start.at, None, false))?;
        if self.is_too_long(alone.first.at, alone.closes) {
            return Err(too_long(alone.first.at, Some(self.zone.civil(alone.closes)), false));
        }
        match self.merged(start) {
            Some(span) if self.is_too_long(span.opens, span.closes) => Err(too_long(span.opens, None, true)),
            Some(span) => Ok(span),
            None => Err(too_long(start.at, None, false)),
        }
    }

    /// Measured by clock and calendar: all of October is not too long, though
    /// an hour is repeated in it.
    fn is_too_long(&self, opens: DateTime<Utc>, closes: DateTime<Utc>) -> bool {
        let longest = TimeDelta::days(LONGEST_DAYS);
        closes - opens > longest && self.zone.civil(closes) - self.zone.civil(opens) > longest
    }
}

/// One opening and the end it finds, before merging.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: Edge,
    last: Edge,
    closes: DateTime<Utc>,
}

/// Whether a window may start on a date.
enum Verdict {
    Starts,
    Skipped,
    TooEarly(NaiveDate),
    TooLate,
}

impl Dates {
    /// Whether an occurrence may start on this date.
    pub fn allow(&self, date: NaiveDate) -> bool {
        matches!(self.verdict(date), Verdict::Starts)
    }

    /// Whether the week after a start has all the starts that any week has.
    fn leave_whole_weeks(&self) -> bool {
        self.skip.is_empty() && self.last.is_none()
    }

    fn verdict(&self, date: NaiveDate) -> Verdict {
        match (self.first, self.last) {
            (Some(first), _) if date < first => Verdict::TooEarly(first),
            (_, Some(last)) if last < date => Verdict::TooLate,
            _ if self.skip.contains(&date) => Verdict::Skipped,
            _ => Verdict::Starts,
        }
    }
}

fn next_daily(time: NaiveTime, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let today = after.date().and_time(time);
    if today > after { Some(today) } else { today.checked_add_days(Days::new(1)) }
}

fn previous_daily(time: NaiveTime, before: NaiveDateTime) -> Option<NaiveDateTime> {
    let today = before.date().and_time(time);
    if today < before { Some(today) } else { today.checked_sub_days(Days::new(1)) }
}

/// An end comes before a start with the same edge, so it neither closes nor is
/// lost for that start: searching from these includes the edge itself.
fn just_after(edge: Edge) -> Edge {
    Edge { civil: edge.civil + TimeDelta::nanoseconds(1), ..edge }
}

fn just_before(edge: Edge) -> Edge {
    Edge { civil: edge.civil.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(edge.civil), ..edge }
}

fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::tz::TimeZone;

    use super::*;

    fn new_york() -> Zone {
        Zone::new("America/New_York", TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap())
    }

    fn every(schedule: &str) -> Start {
        Start::Recurring(schedule.parse().unwrap())
    }

    fn ends(schedule: &str) -> End {
        End::Recurring(schedule.parse().unwrap())
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn local(text: &str) -> When {
        When::Local(text.parse().unwrap())
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn times(start: Start, end: End, dates: Dates) -> Result<Times, TimesError> {
        Times::new(start, end, dates, new_york(), at("2026-01-01T00:00:00Z"))
    }

    /// The occurrences of March 2026, in civil time.
    #[track_caller]
    fn check(start: Start, end: End, dates: Dates, expected: &[(&str, &str)]) {
        let times = times(start, end, dates).unwrap();
        let spans = times.spans(at("2026-03-01T05:00:00Z"), at("2026-04-01T04:00:00Z")).collect::<Vec<_>>();
        for span in &spans {
            let minutes = (0..(span.closes - span.opens).num_minutes()).map(TimeDelta::minutes);
            assert!(
                minutes.map(|minutes| times.covering(span.opens + minutes)).all(|it| it == Some(*span)),
                "{span:?}"
            );
        }
        let told: Vec<_> = spans
            .iter()
            .map(|span| {
                [span.opens, span.closes].map(|at| new_york().civil(at).format("%dT%H:%M").to_string())
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(opens, closes)| [(*opens).to_owned(), (*closes).to_owned()]).collect();
        assert_eq!(told, expected);
    }

    #[track_caller]
    fn check_error(start: Start, end: End, dates: Dates, message: &str) {
        assert_eq!(times(start, end, dates).unwrap_err().to_string(), message);
    }

    #[test]
    fn a_time_of_day_ends_the_occurrence_the_next_time_it_comes() {
        let end = || End::TimeOfDay(NaiveTime::from_hms_opt(6, 0, 0).unwrap());
        check(every("0 22 28 3 *"), end(), Dates::default(), &[("28T22:00", "29T06:00")]);
        check(every("0 5 28 3 *"), end(), Dates::default(), &[("28T05:00", "28T06:00")]);
        check(every("0 6 28 3 *"), end(), Dates::default(), &[("28T06:00", "29T06:00")]);
    }

    #[test]
    fn a_window_may_happen_once() {
        let start = || Start::Once(local("2026-03-28T22:00:00"));
        let whole = [("28T22:00", "29T06:00")];
        check(start(), End::Once(local("2026-03-29T06:00:00")), Dates::default(), &whole);
        check(start(), End::Once(When::Instant(at("2026-03-29T10:00:00Z"))), Dates::default(), &whole);
        check(start(), End::After(TimeDelta::hours(8)), Dates::default(), &whole);
        check(start(), ends("0 6 * * *"), Dates::default(), &whole);
        // Both in the gap.
        let (start, end) = (local("2026-03-08T02:15:00"), local("2026-03-08T02:45:00"));
        check(Start::Once(start), End::Once(end), Dates::default(), &[("08T03:00", "08T03:30")]);
    }

    #[test]
    fn occurrences_moved_out_of_a_gap_merge_with_those_they_meet() {
        // 02:08 to 02:50 becomes 03:00 to 03:42, and two more begin inside that.
        check(
            every("0,5,8 2,3 8 3 *"),
            ends("4,7,50 2,3 8 3 *"),
            Dates::default(),
            &[("08T03:00", "08T03:50")],
        );
    }

    #[test]
    fn what_was_moved_behind_a_gap_meets_what_opens_an_hour_later() {
        // 02:00 to 03:00 becomes 03:00 to 04:00, and in between 03:00 to 03:30 is over.
        check(every("0 2,3,4 8 3 *"), ends("0,30 3,4 8 3 *"), Dates::default(), &[("08T03:00", "08T04:30")]);
    }

    #[test]
    fn what_happens_once_starts_once_and_ends_once() {
        let (opens, closes) = (at("2026-03-29T02:00:00Z"), at("2026-03-29T10:00:00Z"));
        let (start, end) = (Start::Once(When::Instant(opens)), End::Once(When::Instant(closes)));
        let once = times(start, end, Dates::default()).unwrap();
        let (from, until) = (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
        assert_eq!(once.starts(from, until).take(3).map(|it| it.at).collect::<Vec<_>>(), [opens]);
        assert_eq!(once.ends(from, until).take(3).map(|it| it.at).collect::<Vec<_>>(), [closes]);
    }

    #[test]
    fn what_began_before_the_last_week_is_merged_with_what_it_meets() {
        let last = Dates { last: Some(date("2026-03-06")), ..Dates::default() };
        // From Tuesday on only Friday's start is left, which is short; Monday's meets it.
        let tuesday = at("2026-03-03T17:00:00Z");
        let start = every("0 6 * * MON,FRI");
        let times = Times::new(start, ends("0 6,12 * * FRI"), last, new_york(), tuesday).unwrap();
        assert_eq!(times.covering(tuesday).map(|it| it.closes), Some(at("2026-03-06T17:00:00Z")));
    }

    #[test]
    fn dates_say_when_it_may_start() {
        let end = || End::After(TimeDelta::hours(1));
        let dates = |first, last, skip: &[&str]| Dates {
            first: Some(date(first)),
            last: Some(date(last)),
            skip: skip.iter().map(|text| date(text)).collect::<BTreeSet<_>>(),
        };
        check(
            every("30 23 * * *"),
            end(),
            dates("2026-03-30", "2026-04-02", &["2026-03-31"]),
            &[("30T23:30", "31T00:30")],
        );
        let none = dates("2026-03-30", "2026-03-30", &["2026-03-30"]);
        check_error(
            every("30 23 * * *"),
            end(),
            none,
            "it never starts: `first_date`, `last_date` and `skip_dates` leave none of its starts",
        );
        check_error(
            every("30 23 * * *"),
            end(),
            dates("2026-03-30", "2026-03-01", &[]),
            "`first_date` 2026-03-30 is after `last_date` 2026-03-01; swap them",
        );
    }

    #[test]
    fn a_window_of_the_past_is_no_error() {
        let once = times(
            Start::Once(local("2020-03-28T22:00:00")),
            End::After(TimeDelta::hours(1)),
            Dates::default(),
        );
        let once = once.unwrap();
        assert_eq!(once.next_opening(at("2026-01-01T00:00:00Z")), None);
        assert_eq!(once.last_closed(at("2026-01-01T00:00:00Z")).unwrap().closes, at("2020-03-29T03:00:00Z"));
        let over = Dates { last: Some(date("2020-12-31")), ..Dates::default() };
        let over = times(every("0 22 * * *"), End::After(TimeDelta::hours(1)), over).unwrap();
        assert_eq!(over.next_opening(at("2026-01-01T00:00:00Z")), None);
        assert_eq!(over.last_closed(at("2026-01-01T00:00:00Z")).unwrap().closes, at("2021-01-01T04:00:00Z"));
    }

    #[test]
    fn what_does_not_close_after_it_opens_is_refused() {
        let none = Dates::default;
        check_error(
            every("0 22 * * *"),
            End::After(TimeDelta::zero()),
            none(),
            "the duration is not positive; write how long it lasts, such as \"8h\"",
        );
        check_error(
            Start::Once(local("2026-03-28T22:00:00")),
            End::Once(local("2026-03-28T06:00:00")),
            none(),
            "the end, 2026-03-28 06:00:00 America/New_York, is not after the start, \
             2026-03-28 22:00:00 America/New_York; swap them, or mind the year",
        );
        check_error(
            Start::Once(local("2026-03-28T22:00:00")),
            End::Once(local("2026-03-28T22:00:00")),
            none(),
            "the end, 2026-03-28 22:00:00 America/New_York, is not after the start, \
             2026-03-28 22:00:00 America/New_York; move the end",
        );
        check_error(
            every("0 22 * * *"),
            End::Once(local("2026-03-28T06:00:00")),
            none(),
            "the start recurs but the end is a date, so only one occurrence would ever close; \
             write a time of day (\"06:00\"), a schedule or a `duration`, and `last_date` for the last time it starts",
        );
    }

    #[test]
    fn what_is_open_for_more_than_a_month_is_refused() {
        let touching =
            "the next one starts before, or just when, this one ends: end it earlier, or start it less often";
        for end in [ends("0 22 * * *"), End::After(TimeDelta::hours(24)), End::After(TimeDelta::hours(25))] {
            let error = times(every("0 22 * * *"), end, Dates::default()).unwrap_err().to_string();
            assert!(error.ends_with(&format!("it never closes; {touching}")), "{error}");
        }
        check_error(
            every("0 22 1 3 *"),
            ends("0 6 1 6 *"),
            Dates::default(),
            "an occurrence that opens on 2026-03-01 22:00:00 America/New_York \
             closes on 2026-06-01 06:00:00, more than 31 days later; end it earlier",
        );
        // October has 31 days, and an hour more where clocks go back in it.
        assert!(times(every("0 0 1 10 *"), ends("0 0 1 11 *"), Dates::default()).is_ok());
        // As many hours as in 31 days, and an hour more by the calendar.
        assert!(times(every("0 0 15 2 *"), End::After(TimeDelta::hours(31 * 24)), Dates::default()).is_ok());
        // Never closes in summer only.
        assert!(times(every("0 0 * 7,8 *"), End::After(TimeDelta::hours(24)), Dates::default()).is_err());
    }

    #[test]
    fn an_occurrence_that_is_too_long_is_told_from_where_it_opened() {
        let april = |start: &str, end: &str| {
            let (start, end) = (every(start), ends(end));
            let at = at("2026-04-15T00:00:00Z");
            Times::new(start, end, Dates::default(), new_york(), at).unwrap_err().to_string()
        };
        // It has been open for long when we look.
        assert_eq!(
            april("0 22 * 3,4,5 *", "0 6 1 6 *"),
            "an occurrence that opens on 2026-03-01 22:00:00 America/New_York \
             closes on 2026-06-01 06:00:00, more than 31 days later; end it earlier"
        );
        // The end on the first of May is that of April, and the start then is May's.
        assert_eq!(
            april("0 6 1 4,5 *", "0 6 1 5,6 *"),
            "an occurrence that opens on 2026-04-01 06:00:00 America/New_York \
             is still open 31 days later: it never closes; the next one starts before, or just when, \
             this one ends: end it earlier, or start it less often"
        );
    }
}
