//! What is allowed, but perhaps not meant: warnings about a window's times.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::schedule::Schedule;
use super::window::{End, Occurrence, Span, Start, Times, Window};
use super::zone::Transition;

/// How far we look for what may surprise.
const YEAR: TimeDelta = TimeDelta::days(365);

/// How many occurrences are told one by one.
const TOLD: usize = 3;

/// How many occurrences, starts or ends are counted at most.
const COUNTED: usize = 10_000;

/// This many starts in one occurrence are a slip of the pen, not a list.
const MANY_STARTS: usize = 5;

/// A warning about a window, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What it is about.
    pub kind: AdviceKind,
    text: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdviceKind {
    /// It will never open again.
    Past,
    /// Clocks change in an occurrence, or at its start or end.
    ClockChange,
    /// It does not open on a day whose hour is missing.
    LostOpening,
    /// It is open more than half of the time.
    MostlyOpen,
    /// Most of its end times close nothing.
    IdleEnds,
    /// It starts again and again inside its own occurrence.
    ManyStarts,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What may surprise about a window's times in the year after `now`.
pub fn advice(window: &Window, now: DateTime<Utc>) -> Vec<Advice> {
    let Some(first) = window.covering(now).or_else(|| window.next_opening(now)) else {
        return vec![past(window, now)];
    };
    let times = &window.times;
    let span = Span { opens: first.opens, closes: first.closes };
    let mut advice = Vec::new();
    advice.extend(many_starts(times, span));
    advice.extend(idle_ends(times, span));
    advice.extend(mostly_open(times, span));
    advice.extend(lost_openings(times, now));
    advice.extend(clock_changes(window, now));
    advice
}

/// What is unusual about one occurrence, for lists of them.
pub fn notes(window: &Window, occurrence: &Occurrence) -> Vec<String> {
    let zone = window.times.zone();
    let mut notes = Vec::new();
    let mut before = occurrence.opens - TimeDelta::nanoseconds(1);
    while let Some(change) = zone.next_transition(before).filter(|change| change.at <= occurrence.closes) {
        notes.extend(note(&window.times, occurrence, change));
        before = change.at;
    }
    notes
}

/// What a change of the offset does to an occurrence that it touches.
fn note(times: &Times, occurrence: &Occurrence, change: Transition) -> Option<String> {
    let zone = times.zone();
    let span = Span { opens: occurrence.opens, closes: occurrence.closes };
    let (opens, closes) = (zone.civil(span.opens), zone.civil(span.closes));
    let (start, end) = times.as_written(span);
    let (real, written) = (span.closes - span.opens, end - start);
    let is_forward = change.shift > TimeDelta::zero();
    let way = if is_forward { "forward" } else { "back" };
    let by = spell(change.shift.abs());
    let what = if change.at == span.opens && start != opens {
        format!("{} does not exist that night: opens at {}", clock(start), clock(opens))
    } else if change.at == span.closes && is_forward && end != closes {
        format!("{} does not exist that night: closes at {}", clock(end), clock(closes))
    } else if change.at == span.closes && real != written {
        format!("clocks go {way} {by} as it closes")
    } else if span.opens < change.at && change.at < span.closes {
        format!("clocks go {way} {by} in it")
    } else {
        return None;
    };
    Some(match times.end() {
        End::After(_) if opens + real != closes => {
            format!(
                "{what}: lasts {}, so it closes at {}, not {}",
                spell(real),
                clock(closes),
                clock(opens + real)
            )
        }
        End::TimeOfDay(_) | End::Recurring(_) | End::Once(_)
            if real != written && written > TimeDelta::zero() =>
        {
            format!("{what}: lasts {}, not {}", spell(real), spell(written))
        }
        End::After(_) | End::TimeOfDay(_) | End::Recurring(_) | End::Once(_) => what,
    })
}

fn past(window: &Window, now: DateTime<Utc>) -> Advice {
    let zone = window.times.zone();
    let text = match window.last_closed(now) {
        Some(last) => format!(
            "it lies in the past: it last closed on {} {zone}",
            day_and_clock(zone.civil(last.closes))
        ),
        None => "it never opens".to_owned(),
    };
    Advice { kind: AdviceKind::Past, text }
}

fn clock_changes(window: &Window, now: DateTime<Utc>) -> Vec<Advice> {
    let zone = window.times.zone();
    let mut told = Vec::new();
    let mut change = zone.next_transition(now);
    while let Some(Transition { at, .. }) = change.filter(|change| change.at < now + YEAR) {
        // Those that close just then count, too.
        let tick = TimeDelta::nanoseconds(1);
        for occurrence in window.occurrences(at - tick, at + tick) {
            let opens = day_and_clock(zone.civil(occurrence.opens));
            told.extend(
                notes(window, &occurrence)
                    .into_iter()
                    .map(|note| format!("the occurrence of {opens}: {note}")),
            );
        }
        change = zone.next_transition(at);
    }
    told.dedup();
    let more = told.len().saturating_sub(TOLD);
    told.truncate(TOLD);
    if more > 0 {
        told.push(format!("and {more} more within a year in which clocks change"));
    }
    told.into_iter().map(|text| Advice { kind: AdviceKind::ClockChange, text }).collect()
}

/// A wildcard has no times in a missing hour; if it has none outside of it
/// either, the window does not open that day.
fn lost_openings(times: &Times, now: DateTime<Utc>) -> Option<Advice> {
    let Start::Recurring(schedule) = times.start() else { return None };
    if !schedule.is_wildcard() {
        return None;
    }
    let zone = times.zone();
    let mut change = zone.next_transition(now);
    while let Some(Transition { at, shift }) = change.filter(|change| change.at < now + YEAR) {
        let after_gap = zone.civil(at);
        let tick = TimeDelta::nanoseconds(1);
        let missing = schedule.next_civil(after_gap - shift - tick).filter(|civil| *civil < after_gap);
        if let Some(missing) = missing
            && times.dates().allow(missing.date())
            && is_only_chance(schedule, missing, after_gap)
        {
            let text = format!(
                "it does not open on {}: its starts, as {}, are skipped by the clocks, and starts with `*` are not moved; \
                 write the minutes out (`0 2`, not `*/15 2`)",
                missing.format("%a %Y-%m-%d"),
                clock(missing),
            );
            return Some(Advice { kind: AdviceKind::LostOpening, text });
        }
        change = zone.next_transition(at);
    }
    None
}

/// Whether a schedule matches on no other time of that date.
fn is_only_chance(schedule: &Schedule, missing: NaiveDateTime, after_gap: NaiveDateTime) -> bool {
    let earlier = schedule.previous_civil(missing).is_some_and(|civil| civil.date() == missing.date());
    let tick = TimeDelta::nanoseconds(1);
    let later = schedule.next_civil(after_gap - tick).is_some_and(|civil| civil.date() == missing.date());
    !earlier && !later
}

fn mostly_open(times: &Times, first: Span) -> Option<Advice> {
    let Start::Recurring(schedule) = times.start() else { return None };
    if open_at_most(times, schedule, first).is_some_and(|open| open * 2 <= YEAR) {
        return None;
    }
    let percent = open_percent(times, first);
    (percent > 50).then(|| Advice {
        kind: AdviceKind::MostlyOpen,
        text: format!("it is open {percent} % of the time; are start and end swapped?"),
    })
}

/// A bound that costs little on how long a window is open in a year.
fn open_at_most(times: &Times, schedule: &Schedule, first: Span) -> Option<TimeDelta> {
    // By so much clocks are set at most, to and fro.
    let shift = TimeDelta::hours(3);
    let each = match times.end() {
        End::After(length) => *length,
        End::TimeOfDay(_) => {
            let is_once_a_day = schedule.matches_a_day() == 1;
            shift + if is_once_a_day { first.closes - first.opens } else { TimeDelta::days(1) }
        }
        End::Recurring(end) if end.is_weekly() && schedule.is_weekly() && times.dates().skip.is_empty() => {
            // A year has 52 weeks and a day or two; the rest is for what its ends cut.
            let week = times.spans(first.opens, first.opens + TimeDelta::weeks(1));
            return Some(week.fold(TimeDelta::zero(), |sum, it| sum + (it.closes - it.opens) + shift) * 54);
        }
        End::Recurring(_) | End::Once(_) => return None,
    };
    each.checked_mul(i32::try_from(schedule.matches_a_year()).ok()?)
}

/// How much of the year after its first opening a window is open.
fn open_percent(times: &Times, first: Span) -> i64 {
    let year = first.opens + YEAR;
    let mut open = TimeDelta::zero();
    let mut until = year;
    for (count, span) in times.spans(first.opens, year).enumerate() {
        open += span.closes.min(year) - span.opens;
        if count == COUNTED {
            // A week of minutes is as good as the year.
            until = span.closes;
            break;
        }
    }
    open.num_seconds() * 100 / (until - first.opens).num_seconds().max(1)
}

/// A daily end of a weekly window closes nothing on six days, and reads well.
/// An end with many times a day (`* 6 * * *`) is a mistake.
fn idle_ends(times: &Times, first: Span) -> Option<Advice> {
    let End::Recurring(schedule) = times.end() else { return None };
    if schedule.matches_a_day() == 1 {
        return None;
    }
    let spans: Vec<_> = times.spans(first.opens, first.opens + YEAR).take(10).collect();
    let from = spans.first()?.opens;
    // Up to the start after the last of them, all ends are accounted for.
    let until = times.next_opening(spans.last()?.closes)?.opens;
    let ends = times.ends(from, until).take(COUNTED).count();
    (ends > 4 * spans.len()).then(|| Advice {
        kind: AdviceKind::IdleEnds,
        text: format!(
            "{} of every {} of its end times close nothing; it closes at the first one after the start",
            ends / spans.len() - 1,
            ends / spans.len(),
        ),
    })
}

fn many_starts(times: &Times, first: Span) -> Option<Advice> {
    let Start::Recurring(schedule) = times.start() else { return None };
    let starts: Vec<_> = times.starts(first.opens, first.closes).take(COUNTED).collect();
    let (begin, end) = (starts.first()?.civil, starts.last()?.civil);
    let (from, to) = if begin.date() == end.date() {
        (clock(begin), clock(end))
    } else {
        (day_and_clock(begin), day_and_clock(end))
    };
    (starts.len() >= MANY_STARTS).then(|| Advice {
        kind: AdviceKind::ManyStarts,
        text: format!(
            "it starts {} times from {from} to {to}, inside one occurrence{}",
            starts.len(),
            schedule.once_a_day().map_or_else(String::new, |once| format!("; did you mean `{once}`?")),
        ),
    })
}

fn clock(civil: NaiveDateTime) -> String {
    civil.format("%H:%M").to_string()
}

fn day_and_clock(civil: NaiveDateTime) -> String {
    civil.format("%a %Y-%m-%d %H:%M").to_string()
}

/// A length as people say it: `9 h`, `7 h 30 min`, `2 d 7 h`.
pub(super) fn spell(length: TimeDelta) -> String {
    let parts = [
        (length.num_days(), "d"),
        (length.num_hours() % 24, "h"),
        (length.num_minutes() % 60, "min"),
        (length.num_seconds() % 60, "s"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{NaiveDate, NaiveTime};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::execution::RunPolicy;
    use super::super::window::{Dates, OnManualResume, When};
    use super::super::zone::Zone;
    use super::*;

    fn new_york() -> Zone {
        Zone::new("America/New_York", TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap())
    }

    fn now() -> DateTime<Utc> {
        "2026-01-15T12:00:00Z".parse().unwrap()
    }

    fn window(start: Start, end: End) -> Window {
        let times = Times::new(start, end, Dates::default(), new_york(), now()).unwrap();
        Window {
            name: "w".into(),
            times,
            lead: TimeDelta::zero(),
            syncs: BTreeSet::new(),
            on_manual_resume: OnManualResume::default(),
            description: None,
            longer: None,
            select: None,
            runs: RunPolicy::default(),
        }
    }

    fn every(schedule: &str) -> Start {
        Start::Recurring(schedule.parse().unwrap())
    }

    fn until(time: &str) -> End {
        End::TimeOfDay(time.parse::<NaiveTime>().unwrap())
    }

    #[track_caller]
    fn check(start: Start, end: End, expected: &[&str]) {
        let told: Vec<_> = advice(&window(start, end), now()).iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn the_bound_that_costs_little_is_never_less_than_what_is_counted(
            minute in "(0|30|\\*/15|7,8)", hour in "([0-9]|1[0-9]|2[0-3]|\\*/6|9-12)",
            day in "(\\*|1|15|1-7)", month in "(\\*|3|11|1-6)", weekday in "(\\*|SUN|MON-FRI)",
            length in 1_i64..48, to in 0_u32..24, ends in 0_u32..4, last in "(\\*|MON|SAT,SUN)",
        ) {
            let start = every(&format!("{minute} {hour} {day} {month} {weekday}"));
            let end = match ends {
                0 => until(&format!("{to:02}:20:00")),
                1 => End::After(TimeDelta::hours(length)),
                _ => End::Recurring(format!("20 {to} * * {last}").parse().unwrap()),
            };
            let Ok(times) = Times::new(start.clone(), end.clone(), Dates::default(), new_york(), now()) else {
                return Ok(());
            };
            let first = times.next_opening(now()).unwrap();
            let Start::Recurring(schedule) = start else { unreachable!() };
            let Some(bound) = open_at_most(&times, &schedule, first) else {
                // Dates are counted one by one.
                prop_assert!(ends > 1 && !schedule.is_weekly());
                return Ok(());
            };
            let counted = open_percent(&times, first);
            prop_assert!(counted * YEAR.num_seconds() / 100 <= bound.num_seconds(), "{counted} % and {bound}");
        }
    }

    #[test]
    fn a_plain_window_has_nothing_to_tell() {
        check(every("0 12 * * *"), until("13:00:00"), &[]);
        check(every("0 22 * * 1-4"), End::Recurring("0 6 * * *".parse().unwrap()), &[]);
    }

    #[test]
    fn occurrences_in_which_clocks_change_are_told_with_their_length() {
        check(
            every("0 22 * * SAT"),
            until("06:00:00"),
            &[
                "the occurrence of Sat 2026-03-07 22:00: clocks go forward 1 h in it: lasts 7 h, not 8 h",
                "the occurrence of Sat 2026-10-31 22:00: clocks go back 1 h in it: lasts 9 h, not 8 h",
            ],
        );
        check(
            every("0 1 * * *"),
            End::After(TimeDelta::hours(3)),
            &[
                "the occurrence of Sun 2026-03-08 01:00: clocks go forward 1 h in it: lasts 3 h, so it closes at 05:00, not 04:00",
                "the occurrence of Sun 2026-11-01 01:00: clocks go back 1 h in it: lasts 3 h, so it closes at 03:00, not 04:00",
            ],
        );
    }

    #[test]
    fn times_that_do_not_exist_are_told() {
        check(
            every("30 2 * * *"),
            until("06:00:00"),
            &[
                "the occurrence of Sun 2026-03-08 03:00: 02:30 does not exist that night: opens at 03:00: lasts 3 h, not 3 h 30 min",
            ],
        );
        check(
            every("0 2 * * 0"),
            until("02:30:00"),
            &["the occurrence of Sun 2026-03-08 03:00: 02:00 does not exist that night: opens at 03:00"],
        );
        check(
            every("45 1 * * 0"),
            until("02:30:00"),
            &[
                "the occurrence of Sun 2026-03-08 01:45: 02:30 does not exist that night: closes at 03:00: lasts 15 min, not 45 min",
                "the occurrence of Sun 2026-11-01 01:45: clocks go back 1 h in it: lasts 1 h 45 min, not 45 min",
            ],
        );
    }

    #[test]
    fn clocks_that_change_as_it_closes_are_told_if_it_is_not_as_long_as_written() {
        check(
            every("0 1 8 3 *"),
            until("03:00:00"),
            &[
                "the occurrence of Sun 2026-03-08 01:00: clocks go forward 1 h as it closes: lasts 1 h, not 2 h",
            ],
        );
        check(every("0 3 8 3 *"), until("04:00:00"), &[]);
        // It closes when one o'clock comes again.
        check(every("0 1 1 11 *"), End::After(TimeDelta::hours(1)), &[]);
    }

    #[test]
    fn a_duration_that_ends_where_clocks_say_so_needs_no_words() {
        check(
            every("30 2 8 3 *"),
            End::After(TimeDelta::hours(3)),
            &["the occurrence of Sun 2026-03-08 03:00: 02:30 does not exist that night: opens at 03:00"],
        );
    }

    #[test]
    fn an_end_that_follows_the_real_clock_may_close_at_an_earlier_time_of_day() {
        let window = window(every("45 1 1 11 *"), End::Recurring("*/40 * * * *".parse().unwrap()));
        let open = window.next_opening("2026-11-01T00:00:00Z".parse().unwrap()).unwrap();
        // From 01:45 to the second 01:00.
        assert_eq!(open.closes - open.opens, TimeDelta::minutes(15));
        assert_eq!(notes(&window, &open), ["clocks go back 1 h as it closes"]);
    }

    #[test]
    fn an_end_at_the_same_time_of_day_an_hour_later_is_not_told_to_be_at_once() {
        let window = window(every("30 1 1 11 *"), End::Recurring("30 * * * *".parse().unwrap()));
        let open = window.next_opening("2026-11-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(open.closes - open.opens, TimeDelta::hours(1));
        assert_eq!(notes(&window, &open), ["clocks go back 1 h in it"]);
    }

    #[test]
    fn of_many_changes_of_the_clocks_three_are_told() {
        // Four times that year, because of Ramadan.
        let zone = Zone::new("Africa/Cairo", TimeZone::get("Africa/Cairo").unwrap());
        let now = "2014-01-01T00:00:00Z".parse().unwrap();
        let end = End::After(TimeDelta::hours(8));
        let times = Times::new(every("0 20 * * *"), end, Dates::default(), zone, now).unwrap();
        let window = Window { times, ..window(every("0 20 * * *"), until("06:00:00")) };
        let told = advice(&window, now);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[3].to_string(), "and 1 more within a year in which clocks change");
    }

    #[test]
    fn a_year_is_looked_ahead_and_no_more() {
        let changes: DateTime<Utc> = "2027-03-14T07:00:00Z".parse().unwrap();
        let opening = window(every("*/30 2 14 3 *"), End::After(TimeDelta::minutes(10)));
        let over = window(every("0 1 14 3 *"), End::After(TimeDelta::hours(3)));
        let tick = TimeDelta::nanoseconds(1);
        for (window, kind) in [(opening, AdviceKind::LostOpening), (over, AdviceKind::ClockChange)] {
            let tells = |now| advice(&window, now).iter().any(|it| it.kind == kind);
            assert!(tells(changes - YEAR + tick), "{kind:?}");
            assert!(!tells(changes - YEAR), "{kind:?}");
        }
    }

    #[test]
    fn a_wildcard_in_a_missing_hour_loses_its_opening() {
        check(
            every("*/30 2 * * *"),
            End::After(TimeDelta::minutes(10)),
            &["it does not open on Sun 2026-03-08: its starts, as 02:00, are skipped by the clocks, \
               and starts with `*` are not moved; write the minutes out (`0 2`, not `*/15 2`)"],
        );
        check(every("*/30 2-3 * * *"), End::After(TimeDelta::minutes(10)), &[]);
    }

    #[test]
    fn a_start_just_after_the_gap_is_another_chance() {
        // On Lord Howe clocks go from 02:00 to 02:30.
        let lord_howe = TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap();
        let zone = Zone::new("Australia/Lord_Howe", lord_howe);
        let end = End::After(TimeDelta::minutes(5));
        let times = Times::new(every("*/30 2 * * *"), end, Dates::default(), zone, now()).unwrap();
        assert_eq!(lost_openings(&times, now()), None);
    }

    #[test]
    fn an_opening_that_is_lost_on_a_day_on_which_it_may_not_start_is_no_matter() {
        let skip = BTreeSet::from([NaiveDate::from_ymd_opt(2026, 3, 8).unwrap()]);
        let dates = Dates { skip, ..Dates::default() };
        let end = End::After(TimeDelta::minutes(10));
        let times = Times::new(every("*/30 2 * * *"), end, dates, new_york(), now()).unwrap();
        assert_eq!(lost_openings(&times, now()), None);
    }

    #[test]
    fn half_of_the_time_is_not_mostly() {
        let told = advice(&window(every("0 6 * * *"), End::After(TimeDelta::hours(12))), now());
        assert!(told.iter().all(|it| it.kind != AdviceKind::MostlyOpen), "{told:?}");
    }

    #[test]
    fn a_few_ends_that_close_nothing_are_no_mistake() {
        let end = |hours: &str| End::Recurring(format!("0 {hours} * * *").parse().unwrap());
        let idle = |hours: &str| {
            let told = advice(&window(every("0 22 * * *"), end(hours)), now());
            told.iter().find(|it| it.kind == AdviceKind::IdleEnds).map(ToString::to_string)
        };
        assert_eq!(idle("1,7,13,19"), None);
        assert_eq!(
            idle("1,7,13,19,20").as_deref(),
            Some("4 of every 5 of its end times close nothing; it closes at the first one after the start")
        );
    }

    #[test]
    fn swapped_start_and_end_are_noticed() {
        let told = advice(&window(every("0 6 * * *"), until("22:00:00")), now());
        assert_eq!(told[0].to_string(), "it is open 66 % of the time; are start and end swapped?");
    }

    #[test]
    fn a_star_for_the_minute_is_noticed() {
        let told = advice(&window(every("* 22 * * SAT"), until("23:30:00")), now());
        assert_eq!(
            told[0].to_string(),
            "it starts 60 times from 22:00 to 22:59, inside one occurrence; did you mean `0 22 * * SAT`?"
        );
        let told =
            advice(&window(every("0 22 * * SAT"), End::Recurring("* 23 * * *".parse().unwrap())), now());
        assert_eq!(
            told[0].to_string(),
            "419 of every 420 of its end times close nothing; it closes at the first one after the start"
        );
    }

    #[test]
    fn five_starts_in_one_occurrence_are_too_many_and_four_are_not() {
        let many = |minutes: &str| {
            let told = advice(&window(every(&format!("{minutes} 12 * * *")), until("13:00:00")), now());
            told.iter().any(|it| it.kind == AdviceKind::ManyStarts)
        };
        assert!(many("0,10,20,30,40") && !many("0,10,20,30"));
    }

    #[test]
    fn of_several_starts_a_day_the_first_says_nothing_of_the_others() {
        // Half an hour, and then the whole night and day.
        let times = window(every("0 22,23 * * MON"), until("22:30:00")).times;
        let Start::Recurring(schedule) = times.start() else { unreachable!() };
        let bound = open_at_most(&times, schedule, times.next_opening(now()).unwrap()).unwrap();
        assert!(TimeDelta::hours(24) * 52 <= bound, "{bound}");
    }

    #[test]
    fn a_window_of_the_past_is_told_and_no_error() {
        let date = NaiveDate::from_ymd_opt(2025, 12, 24).unwrap();
        check(
            Start::Once(When::Local(date.and_hms_opt(22, 0, 0).unwrap())),
            until("06:00:00"),
            &["it lies in the past: it last closed on Thu 2025-12-25 06:00 America/New_York"],
        );
    }
}
