//! crontab(5): which civil times a start or an end is written for.
//!
//! The text is parsed here, strictly, because the dialects of cron disagree
//! without saying so. What matches within a week is read off the sets of numbers;
//! further away the crate `cron` searches civil time on canonical text of ours: it
//! never sees what the user wrote, nor a zone.

mod edge;
mod near;
mod parse;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};

pub(super) use edge::{Edge, fixed_after, fixed_before};
use parse::Fields;

use super::zone::Zone;

/// Nothing matches before 1970 …
const FIRST: NaiveDateTime = DateTime::UNIX_EPOCH.naive_utc();

/// … or after this year.
const LAST_YEAR: i32 = 2100;

/// A five-field crontab(5) schedule, or one of its nicknames (`@daily`).
#[derive(Clone)]
pub struct Schedule {
    text: Arc<str>,
    // Invariant: matches some day.
    fields: Fields,
    // One, or two whose union is meant (day-of-month *or* day-of-week). Made when
    // something far away is first asked for: few schedules ever need them.
    searches: Arc<OnceLock<Vec<cron::Schedule>>>,
}

/// What is wrong with a schedule, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}{}{}", if .mend.is_some() { "; " } else { "" }, .mend.as_deref().unwrap_or_default())]
pub struct ScheduleError {
    /// What is wrong, beginning with the field where one is to blame.
    pub problem: String,
    /// What to write instead, when we know.
    pub mend: Option<String>,
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
}

impl Schedule {
    /// Whether it follows the real clock: then it matches in both passes of a
    /// repeated hour and not at all in a missing one. As cron(8) has it, that
    /// is so if the minute or the hour field starts with `*`.
    pub fn is_wildcard(&self) -> bool {
        self.fields.wildcard
    }

    /// The first civil time that matches, strictly after this one. None before
    /// 1970, none after 2100.
    pub fn next_civil(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // The searches are wrong or panic far outside of their years.
        if after.year() > LAST_YEAR {
            return None;
        }
        let after = after.max(FIRST - TimeDelta::seconds(1));
        let near = self.fields.next_nearby(after).filter(|it| it.year() <= LAST_YEAR);
        near.or_else(|| self.search_after(after))
    }

    fn search_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.searches()
            .filter_map(|search| search.after(&after.and_utc()).next())
            .min()
            .map(|at| at.naive_utc())
    }

    /// The last civil time that matches, strictly before this one.
    pub fn previous_civil(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        if before < FIRST {
            return None;
        }
        let before = before.min(FIRST.with_year(LAST_YEAR + 1)?);
        let near = self.fields.previous_nearby(before).filter(|it| *it >= FIRST);
        near.or_else(|| self.search_before(before))
    }

    fn search_before(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        self.searches()
            .filter_map(|search| search.after(&before.and_utc()).next_back())
            .max()
            .map(|at| at.naive_utc())
    }

    /// Canonical text is always accepted.
    fn searches(&self) -> impl Iterator<Item = &cron::Schedule> {
        let make = || self.fields.canonical().iter().filter_map(|text| text.parse().ok()).collect();
        self.searches.get_or_init(make).iter()
    }

    /// The first instant after this one at which it matches in a zone.
    pub fn next(&self, zone: &Zone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.edge_after(zone, Edge::last_at(after)).map(|edge| edge.at)
    }

    /// The last instant before this one at which it matches in a zone.
    pub fn previous(&self, zone: &Zone, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.edge_before(zone, Edge::first_at(before)).map(|edge| edge.at)
    }

    /// How many times it matches on a day on which it does.
    pub(super) fn matches_a_day(&self) -> u32 {
        self.fields.minutes.count_ones() * self.fields.hours.count_ones()
    }

    /// Whether it matches at the same times of every week, as clocks show them.
    pub(super) fn is_weekly(&self) -> bool {
        self.fields.is_weekly() && !self.is_wildcard()
    }

    /// How many times it matches in a year at most, in any zone: an hour may come twice,
    /// and twice a year is usual.
    pub(super) fn matches_a_year(&self) -> u32 {
        self.fields.days_a_year() * self.matches_a_day() + 4 * self.fields.minutes.count_ones()
    }

    /// The same days, but only the first minute of each: what somebody who
    /// wrote `* 22 * * SAT` probably meant. None for a nickname.
    pub(super) fn once_a_day(&self) -> Option<String> {
        let mut words = self.text.split_ascii_whitespace().skip(2);
        let days = [words.next()?, words.next()?, words.next()?].join(" ");
        Some(format!(
            "{} {} {days}",
            self.fields.minutes.trailing_zeros(),
            self.fields.hours.trailing_zeros()
        ))
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let fields = parse::fields(text)?;
        let schedule = Self { text: text.into(), fields, searches: Arc::default() };
        match schedule.next_civil(FIRST - TimeDelta::seconds(1)) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError {
                problem: format!("`{}` never happens: no selected month has such a day", text.trim()),
                mend: None,
                span: 0..text.len(),
            }),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?})", self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message, and what of the text it points at.
    #[track_caller]
    fn check(text: &str, message: &str, place: &str) {
        let error = text.parse::<Schedule>().unwrap_err();
        assert_eq!((error.to_string().as_str(), &text[error.span.clone()]), (message, place));
    }

    #[test]
    fn a_wrong_number_of_fields_is_refused() {
        let five = "write five fields: minute hour day-of-month month day-of-week";
        check("", &format!("empty schedule; {five}"), "");
        check("0 2 * *", &format!("4 of five fields; {five}"), "0 2 * *");
        check(
            "0 0 2 * * 1",
            "six fields: crontab(5) has no seconds; if the first one is the seconds, write `0 2 * * 1`, \
             and weekdays by name: where there are seconds, 1 is often Sunday",
            "0 0 2 * * 1",
        );
        check(
            " 0 22 * * 1 2027",
            "six fields: crontab(5) has no years; write `0 22 * * 1`, and `first_date` and `last_date` for a single year",
            " 0 22 * * 1 2027",
        );
        check(
            "0 0 2 * * 1 2026",
            &format!("7 fields: crontab(5) has no seconds and no years; {five}"),
            "0 0 2 * * 1 2026",
        );
        let six = " 0 0 2 * * 1 ";
        assert_eq!(&six[six.parse::<Schedule>().unwrap_err().span], "0 0 2 * * 1");
        assert!(format!("{:256}", "0 2 * * *").parse::<Schedule>().is_ok());
        let long = "1,".repeat(200);
        check(&long, "a schedule of 400 bytes: at most 256 are read", &long);
    }

    #[test]
    fn a_number_outside_of_its_field_is_refused() {
        check("0 24 * * *", "hour: 24 is outside 0-23; midnight is hour 0 of the next day", "24");
        check(
            "0 2 * * 1,8",
            "day-of-week: 8 is outside 0-7; Sunday is 0 or 7, Monday is 1; names are safest: MON",
            "8",
        );
        check("60 2 * * *", "minute: 60 is outside 0-59; that is minute 0 of the next hour", "60");
        check("0 2 0 * *", "day-of-month: 0 is outside 1-31", "0");
        check("0 2 * 1-13 *", "month: 13 is outside 1-12", "13");
        check(
            "99999999999999999999 2 * * *",
            "minute: 99999999999999999999 is outside 0-59",
            "99999999999999999999",
        );
    }

    #[test]
    fn a_range_that_runs_backwards_is_refused_with_the_two_that_are_meant() {
        for (text, place, mend) in [
            ("0 2 * * FRI-MON", "FRI-MON", "FRI-SUN,MON"),
            ("0 2 * * sat-tue", "sat-tue", "SAT-SUN,MON-TUE"),
            ("0 2 * * 5-1", "5-1", "5-7,1"),
            ("0 2 * * 5-0", "5-0", "5-7"),
            ("0 22-2 * * *", "22-2", "22-23,0-2"),
            ("0 23-0 * * *", "23-0", "23,0"),
            ("0 0 1 NOV-FEB *", "NOV-FEB", "NOV-DEC,JAN-FEB"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert_eq!(error.mend, Some(format!("write {mend}")), "{text}");
            assert_eq!(&text[error.span], place);
            assert!(
                mend.split(',').all(|part| text.replace(place, part).parse::<Schedule>().is_ok()),
                "{mend}"
            );
        }
        check(
            "0 2 * * FRI-MON",
            "day-of-week: the range `FRI-MON` runs backwards; write FRI-SUN,MON",
            "FRI-MON",
        );
    }

    #[test]
    fn a_step_needs_a_range_and_a_size_that_fits() {
        check("5/15 * * * *", "minute: `5/15` has a step but no range; write 5-59/15", "5/15");
        check("0 2 * * MON/2", "day-of-week: `MON/2` has a step but no range; write MON-SUN/2", "MON/2");
        check("*/0 * * * *", "minute: a step of 0 in `*/0`; write 1 or more", "*/0");
        check(
            "*/90 * * * *",
            "minute: step 90 is larger than the field (0-59); it would mean just 0: write that, if it is meant",
            "*/90",
        );
        check(
            "0 2 1 */12 *",
            "month: step 12 is larger than the field (1-12); it would mean just 1: write that, if it is meant",
            "*/12",
        );
        check("*/x * * * *", "minute: the step `x` in `*/x` is not a number", "*/x");
    }

    #[test]
    fn extensions_of_other_dialects_are_refused() {
        check("0 2 ? * 1", "day-of-month: `?` in `?` is not crontab(5); write `*`", "?");
        check(
            "0 2 L * *",
            "day-of-month: `L` in `L` is not crontab(5); the last day of a month cannot be written; days and weekdays can",
            "L",
        );
        check(
            "0 2 * * 5#2",
            "day-of-week: `#` in `5#2` is not crontab(5); a weekday of a certain week cannot be written; `5` is every Friday",
            "5#2",
        );
        check(
            "0 2 15W * *",
            "day-of-month: `W` in `15W` is not crontab(5); write numbers, ranges and lists",
            "15W",
        );
        check("H 2 * * *", "minute: `H` in `H` is not crontab(5); write numbers, ranges and lists", "H");
    }

    #[test]
    fn names_are_three_letters_in_their_own_field() {
        check("0 2 * * Monday", "day-of-week: names have three letters, not `Monday`; write MON", "Monday");
        check("0 2 MON * *", "day-of-month: `MON` is not a number; weekdays go into the fifth field", "MON");
        check("0 JAN * * *", "hour: `JAN` is not a number; months go into the fourth field", "JAN");
        check("0 2 * * -1", "day-of-week: `-1` is not a number or a name of three letters", "-1");
        check("0 2.5 * * *", "hour: `2.5` is not a number", "2.5");
        check("0 2 * * 1,", "day-of-week: an element is missing in `1,`; mind the commas", "1,");
        check("0 2 * * ＭＯＮ", "day-of-week: `ＭＯＮ` is not a number or a name of three letters", "ＭＯＮ");
    }

    #[test]
    fn nicknames_are_those_of_crontab() {
        let known = "there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually";
        check(
            " @reboot",
            &format!("`@reboot` is no time, so nothing can start or end then; {known}"),
            "@reboot",
        );
        check("@every 1h", &format!("unknown nickname `@every 1h`; {known}"), "@every 1h");
        for nickname in ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"] {
            assert_eq!(nickname.parse::<Schedule>().unwrap().to_string(), nickname);
        }
    }

    #[test]
    fn dates_that_never_come_are_refused() {
        check(
            "0 2 30 2 *",
            "`0 2 30 2 *` never happens: no selected month has such a day; choose a day that one of these \
             months has",
            "30 2",
        );
        check(
            "0 2 31 4,11 *",
            "`0 2 31 4,11 *` never happens: no selected month has such a day; choose a day that one of these \
             months has",
            "31 4,11",
        );
        assert!("0 2 30 2 MON".parse::<Schedule>().is_ok(), "or any Monday");
        assert!("0 2 29 2 *".parse::<Schedule>().is_ok());
    }

    #[test]
    fn what_is_written_twice_or_in_another_way_is_the_same() {
        let first = |text: &str| {
            let schedule: Schedule = text.parse().unwrap();
            // A Thursday.
            schedule.next_civil("2026-01-01T00:00:00".parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(first("0,0 2 * * *"), "2026-01-01 02:00:00");
        for sunday in ["0", "7", "SUN", "SUN-SUN", "SUN,SUN", "0,7"] {
            assert_eq!(first(&format!("0 2 * * {sunday}")), "2026-01-04 02:00:00", "{sunday}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let schedule: Schedule = "0 2 * * *".parse().unwrap();
        assert_eq!(schedule.next_civil(NaiveDateTime::MAX), None);
        assert_eq!(schedule.previous_civil(NaiveDateTime::MIN), None);
        assert!(schedule.next_civil(NaiveDateTime::MIN).is_some());
        assert!(schedule.previous_civil(NaiveDateTime::MAX).is_some());
        for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            schedule.next(&Zone::utc(), at);
            schedule.previous(&Zone::utc(), at);
        }
    }

    #[test]
    fn a_schedule_is_the_same_if_it_is_written_the_same() {
        let schedule = |text: &str| text.parse::<Schedule>().unwrap();
        assert_eq!(schedule("0 2 * * *"), schedule("0 2 * * *"));
        assert_ne!(schedule("0 2 * * *"), schedule("0 3 * * *"));
    }

    #[test]
    fn it_matches_each_of_its_minutes_in_each_of_its_hours() {
        let a_day = |text: &str| text.parse::<Schedule>().unwrap().matches_a_day();
        assert_eq!(["0 2 * * *", "0,30 1-5 * * *", "* * * * *"].map(a_day), [1, 10, 1440]);
    }

    #[test]
    fn what_a_list_names_twice_still_matches() {
        let a_day = |text: &str| text.parse::<Schedule>().unwrap().matches_a_day();
        assert_eq!(["0-10,5 2 * * *", "5,0-10 2 * * *", "5,5 2 * * *"].map(a_day), [11, 11, 1]);
    }

    #[test]
    fn a_month_of_thirty_days_has_no_thirty_first() {
        for month in [4, 6, 9, 11] {
            assert!(format!("0 2 31 {month} *").parse::<Schedule>().is_err(), "month {month}");
            assert!(format!("0 2 30 {month} *").parse::<Schedule>().is_ok(), "month {month}");
        }
        assert!("0 2 31 4,5 *".parse::<Schedule>().is_ok());
    }
}
