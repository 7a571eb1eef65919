//! When a window is open.
//!
//! A window is written in civil time, the way its author thinks of it, and is
//! turned into instants only here, one start at a time.

mod times;
mod words;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use times::{LONGEST_DAYS, Span, Times, TimesError};

use super::execution::RunPolicy;
use super::schedule::Schedule;
use super::selection::Select;
use super::sync::{Name, SyncRef};

/// A maintenance window: when it is open, and which syncs it pauses.
#[derive(Debug, Clone)]
pub struct Window {
    /// Unique in the file.
    pub name: Name,
    /// When it is open.
    pub times: Times,
    /// How much earlier than the opening its syncs are paused.
    pub lead: TimeDelta,
    /// The syncs it pauses: those that the file names, and in force also those
    /// that it was found to select.
    pub syncs: BTreeSet<SyncRef>,
    /// What it selects beside the syncs that the file names.
    pub select: Option<Select>,
    /// What happens when somebody switches one of them on inside the window.
    pub on_manual_resume: OnManualResume,
    /// What it asks about executions that run, or that a pause kept from running.
    pub runs: RunPolicy,
    /// For people: carried into log and journal.
    pub description: Option<String>,
    /// The occurrence that an operator keeps open for longer; see
    /// [`Window::extended`].
    pub longer: Option<Span>,
}

/// What happens to a sync that we paused and somebody switched on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnManualResume {
    /// It stays on until another window opens.
    #[default]
    Respect,
    /// It is paused again.
    Enforce,
}

/// One opening of a window, `[opens, closes)`. Which opening it is, is told by
/// `window` and `opens`: an edit that moves the end makes no new occurrence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    /// The window's name.
    pub window: Name,
    /// When its syncs are paused: `opens` less the window's `lead`.
    pub pauses: DateTime<Utc>,
    /// When it opens.
    pub opens: DateTime<Utc>,
    /// When it closes. The instant itself is outside.
    pub closes: DateTime<Utc>,
    /// Whether its window asks to pause again what somebody switches on.
    #[serde(default)]
    pub enforce: bool,
    /// What its window asks about executions.
    #[serde(default, skip_serializing_if = "RunPolicy::is_usual")]
    pub runs: RunPolicy,
}

impl Occurrence {
    /// Whether both are the same opening, wherever they end.
    pub fn is(&self, other: &Self) -> bool {
        self.window == other.window && self.opens == other.opens
    }
}

/// How a window starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// Again and again.
    Recurring(Schedule),
    /// Once.
    Once(When),
}

/// How an occurrence ends.
#[derive(Debug, Clone)]
pub enum End {
    /// This much elapsed time after its start.
    After(TimeDelta),
    /// The first such time of day after its start.
    TimeOfDay(NaiveTime),
    /// The schedule's first match after its start.
    Recurring(Schedule),
    /// Then. For a window that happens once.
    Once(When),
}

/// A TOML date-time: without offset it is civil time in the window's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// `2026-12-25T06:00:00`
    Local(NaiveDateTime),
    /// `2026-12-25T06:00:00+01:00`
    Instant(DateTime<Utc>),
}

/// On which dates, in the window's zone, an occurrence may start.
#[derive(Debug, Clone, Default)]
pub struct Dates {
    /// Never on these.
    pub skip: BTreeSet<NaiveDate>,
    /// Not before this one.
    pub first: Option<NaiveDate>,
    /// Not after this one.
    pub last: Option<NaiveDate>,
}

impl Window {
    /// The same window, with its occurrence of `opens` closing no earlier than
    /// `until`. What would open before that, or just then, is part of it. If the
    /// window opens at another time by now, it is the same window.
    #[must_use]
    pub fn extended(&self, opens: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        let longer = self.covering_span(opens).filter(|it| it.opens == opens && it.closes < until);
        let Some(longer) = longer else { return self.clone() };
        let touched = self.times.spans(longer.opens, later(until, TimeDelta::nanoseconds(1)));
        let closes = touched.map(|it| it.closes).fold(until, DateTime::max);
        Self { longer: Some(Span { closes, ..longer }), ..self.clone() }
    }

    /// The occurrence that is open at this instant.
    pub fn covering(&self, at: DateTime<Utc>) -> Option<Occurrence> {
        self.covering_span(at).map(|span| self.occurrence(span))
    }

    /// The first occurrence that opens after this instant.
    pub fn next_opening(&self, after: DateTime<Utc>) -> Option<Occurrence> {
        let next = self.times.next_opening(after)?;
        let next = match self.longer {
            Some(longer) if next.opens == longer.opens => longer,
            Some(longer) if longer.takes_in(next) => self.times.next_opening(longer.closes)?,
            Some(_) | None => next,
        };
        Some(self.occurrence(next))
    }

    /// The last occurrence that closed at or before this instant.
    pub fn last_closed(&self, until: DateTime<Utc>) -> Option<Occurrence> {
        let last = self.times.last_closed(until)?;
        let last = match self.longer.filter(|it| it.takes_in(last)) {
            Some(longer) if longer.closes <= until => longer,
            Some(longer) => self.times.last_closed(longer.opens)?,
            None => last,
        };
        Some(self.occurrence(last))
    }

    /// Every occurrence that is open at some time in `[from, until)`, in order,
    /// each whole.
    pub fn occurrences(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Occurrence> {
        let longer = self.longer;
        let first = longer.filter(|it| it.opens <= from && from < it.closes && from < until);
        let rest = self.times.spans(from, until).filter_map(move |span| match longer {
            Some(longer) if span.opens == longer.opens => Some(longer).filter(|_| first.is_none()),
            Some(longer) if longer.takes_in(span) => None,
            Some(_) | None => Some(span),
        });
        first.into_iter().chain(rest).map(|span| self.occurrence(span))
    }

    /// The occurrences that ask for a pause at this instant: those that are
    /// open, and those whose `lead` has begun.
    pub fn pausing(&self, at: DateTime<Utc>) -> impl Iterator<Item = Occurrence> {
        // Opening exactly `lead` from now counts.
        self.occurrences(at, later(later(at, self.lead), TimeDelta::nanoseconds(1)))
    }

    /// Whether one does at this instant.
    pub fn asks_for_pauses(&self, at: DateTime<Utc>) -> bool {
        self.pausing(at).next().is_some()
    }

    /// Every occurrence whose pause, `lead` included, overlaps or touches
    /// `[from, until]`, in order, each whole.
    pub fn pausing_within(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Occurrence> {
        let tick = TimeDelta::nanoseconds(1);
        self.occurrences(later(from, -tick), later(later(until, self.lead), tick))
    }

    /// The first occurrence whose pause begins after this instant.
    pub fn next_pausing(&self, after: DateTime<Utc>) -> Option<Occurrence> {
        self.next_opening(later(after, self.lead))
    }

    /// The first instant after this one at which an occurrence's pause begins,
    /// or it opens or closes.
    pub fn next_change(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_change_with(after, &self.pausing(after).collect::<Vec<_>>())
    }

    /// The same, if it is known what asks for a pause now.
    pub(super) fn next_change_with(
        &self,
        now: DateTime<Utc>,
        pausing: &[Occurrence],
    ) -> Option<DateTime<Utc>> {
        let begun = pausing.iter().flat_map(|it| [it.opens, it.closes]);
        let coming = self.next_pausing(now).into_iter().map(|it| it.pauses);
        begun.chain(coming).filter(|change| *change > now).min()
    }

    /// Whether its syncs are resumed between its occurrences, as far as a year
    /// after `reference` shows: a `lead` as long as the time between them joins
    /// them all into one pause. Looks once a month and follows the pause that
    /// it finds for as long as an occurrence may last.
    pub fn check_lead(&self, reference: DateTime<Utc>) -> Result<(), LeadError> {
        if self.lead < TimeDelta::zero() {
            return Err(LeadError::Negative);
        }
        let longest = TimeDelta::days(LONGEST_DAYS);
        let mut look = reference;
        while self.lead > TimeDelta::zero() && look < later(reference, TimeDelta::days(400)) {
            let mut until = look;
            while let Some(closes) = self.pausing(until).map(|it| it.closes).max() {
                until = closes;
                // A day more: where clocks go back in it, a month is longer.
                if until - look > longest + self.lead + TimeDelta::days(1) {
                    return Err(LeadError::NeverResumes);
                }
            }
            look = until.max(later(look, longest));
        }
        Ok(())
    }

    fn covering_span(&self, at: DateTime<Utc>) -> Option<Span> {
        let longer = self.longer.filter(|it| it.opens <= at && at < it.closes);
        longer.or_else(|| self.times.covering(at))
    }

    fn occurrence(&self, span: Span) -> Occurrence {
        let pauses = span.opens.checked_sub_signed(self.lead).unwrap_or(span.opens);
        let enforce = self.on_manual_resume == OnManualResume::Enforce;
        Occurrence {
            window: self.name.clone(),
            pauses,
            opens: span.opens,
            closes: span.closes,
            enforce,
            runs: self.runs,
        }
    }
}

/// A `lead` that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeadError {
    /// It is negative.
    #[error("`lead` is negative; syncs are paused before the window opens, never after")]
    Negative,
    /// The pauses touch, so the syncs stay off.
    #[error(
        "its syncs would never be resumed: with this `lead` each pause begins before, or just when, the one before \
         it ends; shorten `lead`"
    )]
    NeverResumes,
}

fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::*;

    #[test]
    fn a_lead_as_long_as_the_time_between_occurrences_is_refused() {
        let reference = "2026-01-01T00:00:00Z".parse().unwrap();
        let hourly = Start::Recurring("0 * * * *".parse().unwrap());
        let end = End::After(TimeDelta::minutes(50));
        let times = Times::new(hourly, end, Dates::default(), Zone::utc(), reference).unwrap();
        for (lead, verdict) in
            [(-1, Err(LeadError::Negative)), (0, Ok(())), (9, Ok(())), (10, Err(LeadError::NeverResumes))]
        {
            let window = Window {
                name: "hourly".into(),
                times: times.clone(),
                lead: TimeDelta::minutes(lead),
                syncs: BTreeSet::new(),
                on_manual_resume: OnManualResume::Respect,
                runs: RunPolicy::default(),
                description: None,
                longer: None,
                select: None,
            };
            assert_eq!(window.check_lead(reference), verdict, "{lead} minutes");
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-{text}:00Z").parse().unwrap()
    }

    /// From 22:00 for two hours, and once more from 03:00.
    fn nightly() -> Window {
        let start = Start::Recurring("0 22,3 * * *".parse().unwrap());
        let end = End::After(TimeDelta::hours(2));
        Window {
            name: "nightly".into(),
            times: Times::new(start, end, Dates::default(), Zone::utc(), at("01T00:00")).unwrap(),
            lead: TimeDelta::minutes(10),
            syncs: BTreeSet::new(),
            on_manual_resume: OnManualResume::Respect,
            description: None,
            longer: None,
            select: None,
            runs: RunPolicy::default(),
        }
    }

    /// Each occurrence from noon of the 5th to noon of the 6th.
    fn spans(window: &Window) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        window.occurrences(at("05T12:00"), at("06T12:00")).map(|it| (it.opens, it.closes)).collect()
    }

    #[test]
    fn an_extended_occurrence_closes_later_and_takes_in_what_it_meets() {
        let (first, second) = (at("05T22:00"), at("06T03:00"));
        let plain = [(first, at("06T00:00")), (second, at("06T05:00"))];
        for (opens, until, expected) in [
            (first, at("06T01:00"), vec![(first, at("06T01:00")), plain[1]]),
            // It closes when the next one opens: they are one.
            (first, at("06T03:00"), vec![(first, at("06T05:00"))]),
            (first, at("06T06:00"), vec![(first, at("06T06:00"))]),
            (second, at("06T06:00"), vec![plain[0], (second, at("06T06:00"))]),
            // Earlier than it closes anyway, or no opening at all.
            (first, at("05T23:00"), plain.to_vec()),
            (at("05T21:00"), at("06T06:00"), plain.to_vec()),
            (at("05T23:00"), at("06T06:00"), plain.to_vec()),
        ] {
            assert_eq!(spans(&nightly().extended(opens, until)), expected, "{opens} until {until}");
        }
        let twice = nightly().extended(first, at("06T01:00")).extended(first, at("06T02:00"));
        assert_eq!(spans(&twice), [(first, at("06T02:00")), plain[1]]);
    }

    #[test]
    fn every_question_about_an_extended_window_gets_the_same_answer() {
        let window = nightly().extended(at("05T22:00"), at("06T04:00"));
        let whole = (at("05T22:00"), at("06T05:00"));
        let pair = |it: Option<Occurrence>| it.map(|it| (it.opens, it.closes));
        for inside in ["05T22:00", "06T00:30", "06T03:00", "06T04:59"] {
            assert_eq!(pair(window.covering(at(inside))), Some(whole), "{inside}");
            assert_eq!(pair(window.next_opening(at(inside))).unwrap().0, at("06T22:00"), "{inside}");
            assert_eq!(spans_from(&window, inside), [whole], "{inside}");
        }
        assert_eq!(pair(window.covering(at("06T05:00"))), None);
        assert_eq!(spans_from(&window, "06T05:00"), []);
        assert_eq!(window.occurrences(at("05T23:00"), at("05T23:00")).count(), 0, "no time at all");
        assert_eq!(pair(window.next_opening(at("07T00:00"))).unwrap().0, at("07T03:00"));
        assert_eq!(window.next_change(at("05T22:00")), Some(at("06T05:00")), "it has just opened");
        assert_eq!(pair(window.next_opening(at("05T21:00"))), Some(whole));
        assert_eq!(pair(window.last_closed(at("06T05:00"))), Some(whole));
        assert_eq!(pair(window.last_closed(at("06T04:00"))).unwrap().1, at("05T05:00"));
        assert_eq!(window.next_change(at("06T00:30")), Some(at("06T05:00")));
        assert_eq!(window.next_change(at("06T05:00")), Some(at("06T21:50")));
    }

    fn spans_from(window: &Window, from: &str) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        window.occurrences(at(from), at("06T12:00")).map(|it| (it.opens, it.closes)).collect()
    }

    #[test]
    fn an_occurrence_is_known_by_its_window_and_its_opening_wherever_it_ends() {
        let first = nightly().covering(at("05T22:00")).unwrap();
        let longer = nightly().extended(at("05T22:00"), at("06T01:00")).covering(at("05T22:00")).unwrap();
        assert!(first.is(&longer) && first != longer);
        assert!(!first.is(&nightly().covering(at("06T22:00")).unwrap()), "the next night");
        assert!(!first.is(&Occurrence { window: "other".into(), ..first.clone() }));
    }

    #[test]
    fn an_occurrence_enforces_where_its_window_says_so() {
        for (on_manual_resume, enforce) in [(OnManualResume::Respect, false), (OnManualResume::Enforce, true)]
        {
            let window = Window { on_manual_resume, ..nightly() };
            assert_eq!(window.covering(at("05T22:00")).unwrap().enforce, enforce, "{on_manual_resume:?}");
        }
    }

    /// All of October, where clocks go back in it.
    fn october() -> Window {
        let rules = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let zone = Zone::new("Europe/Berlin", rules);
        let start = Start::Recurring("0 0 1 10 *".parse().unwrap());
        let end = End::Recurring("0 0 1 11 *".parse().unwrap());
        let times = Times::new(start, end, Dates::default(), zone, at("01T00:00")).unwrap();
        Window { times, lead: TimeDelta::days(3), ..nightly() }
    }

    #[test]
    fn a_month_with_a_lead_is_no_pause_without_end_whenever_one_looks() {
        let pauses = october().next_opening(at("01T00:00")).unwrap().pauses;
        for minutes in [-1, 0, 1, 59, 119, 120, 10_000, 60 * 24 * 31] {
            assert_eq!(
                october().check_lead(pauses + TimeDelta::minutes(minutes)),
                Ok(()),
                "{minutes} minutes"
            );
        }
    }

    #[test]
    fn another_schedule_end_zone_or_date_is_another_fingerprint() {
        let print = |start: Start, end: End, skip: &[&str], zone: Zone| {
            let dates =
                Dates { skip: skip.iter().map(|it| it.parse().unwrap()).collect(), ..Dates::default() };
            let times = Times::new(start, end, dates, zone, at("01T00:00")).unwrap();
            Window { times, ..nightly() }.fingerprint()
        };
        let every = |schedule: &str| Start::Recurring(schedule.parse().unwrap());
        let hour = || End::After(TimeDelta::hours(1));
        let once = |text: &str| Start::Once(When::Local(text.parse().unwrap()));
        let prints = [
            print(every("0 22 * * *"), hour(), &[], Zone::utc()),
            print(every("0 23 * * *"), hour(), &[], Zone::utc()),
            print(every("0 22 * * *"), End::After(TimeDelta::hours(2)), &[], Zone::utc()),
            print(every("0 22 * * *"), hour(), &["2026-05-05"], Zone::utc()),
            print(every("0 22 * * *"), hour(), &[], Zone::new("Zulu", jiff::tz::TimeZone::UTC)),
            print(once("2026-05-05T22:00:00"), hour(), &[], Zone::utc()),
            print(once("2026-05-06T22:00:00"), hour(), &[], Zone::utc()),
        ];
        assert_eq!(prints[0], "`0 22 * * *` for 3600 s, UTC");
        assert_eq!(prints.iter().collect::<BTreeSet<_>>().len(), prints.len(), "{prints:?}");
    }
}
