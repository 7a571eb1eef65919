//! The match that is a week away at most, read off the sets of numbers.
//!
//! Most schedules match every week, and a calendar asks for their neighbours all
//! the time. What is further away the crate `cron` searches, which walks trees of
//! numbers for every field; both find the same, and a test holds them together.

use std::iter;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::parse::Fields;

/// This many dates are tried, the first one included.
const DATES: usize = 8;

impl Fields {
    /// The first match strictly after this civil time, if it is near.
    pub(super) fn next_nearby(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let from = start_of_minute(after).checked_add_signed(TimeDelta::minutes(1))?;
        let today = Some(from.date()).filter(|it| self.is_on(*it)).and_then(|_| self.time_from(from.time()));
        today.map(|it| from.date().and_time(it)).or_else(|| {
            let later = iter::successors(from.date().succ_opt(), NaiveDate::succ_opt).take(DATES - 1);
            later
                .into_iter()
                .find(|it| self.is_on(*it))
                .and_then(|it| Some(it.and_time(self.time_from(NaiveTime::MIN)?)))
        })
    }

    /// The last match strictly before this civil time, if it is near.
    pub(super) fn previous_nearby(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        let until = start_of_minute(before.checked_sub_signed(TimeDelta::nanoseconds(1))?);
        let today =
            Some(until.date()).filter(|it| self.is_on(*it)).and_then(|_| self.time_until(until.time()));
        today.map(|it| until.date().and_time(it)).or_else(|| {
            let earlier = iter::successors(until.date().pred_opt(), NaiveDate::pred_opt).take(DATES - 1);
            let last = NaiveTime::from_hms_opt(23, 59, 0)?;
            earlier
                .into_iter()
                .find(|it| self.is_on(*it))
                .and_then(|it| Some(it.and_time(self.time_until(last)?)))
        })
    }

    fn is_on(&self, date: NaiveDate) -> bool {
        let has = |set: u64, number: u32| set >> number & 1 == 1;
        let (day, weekday) =
            (has(self.days, date.day()), has(self.weekdays, date.weekday().num_days_from_sunday()));
        has(self.months, date.month()) && if self.either_day { day || weekday } else { day && weekday }
    }

    /// The first time of day that matches, from this minute on.
    fn time_from(&self, from: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute) = (from.hour(), from.minute());
        let in_the_hour = at_least(self.minutes, minute).filter(|_| at_least(self.hours, hour) == Some(hour));
        match in_the_hour {
            Some(minute) => NaiveTime::from_hms_opt(hour, minute, 0),
            None => NaiveTime::from_hms_opt(at_least(self.hours, hour + 1)?, at_least(self.minutes, 0)?, 0),
        }
    }

    /// The last time of day that matches, up to this minute.
    fn time_until(&self, until: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute) = (until.hour(), until.minute());
        let in_the_hour = at_most(self.minutes, minute).filter(|_| at_most(self.hours, hour) == Some(hour));
        match in_the_hour {
            Some(minute) => NaiveTime::from_hms_opt(hour, minute, 0),
            None => NaiveTime::from_hms_opt(
                at_most(self.hours, hour.checked_sub(1)?)?,
                at_most(self.minutes, 59)?,
                0,
            ),
        }
    }
}

/// The smallest number of a set that is no smaller.
fn at_least(set: u64, number: u32) -> Option<u32> {
    let rest = set & (u64::MAX << number);
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The largest number of a set that is no larger.
fn at_most(set: u64, number: u32) -> Option<u32> {
    let rest = set & (u64::MAX >> (63 - number));
    rest.checked_ilog2()
}

fn start_of_minute(at: NaiveDateTime) -> NaiveDateTime {
    NaiveTime::from_hms_opt(at.hour(), at.minute(), 0).map_or(at, |it| at.date().and_time(it))
}

#[cfg(test)]
mod tests {
    use super::super::Schedule;
    use super::*;

    /// Dates of a leap year's end of February, a new year and others.
    const DATES: [&str; 5] = ["2028-02-27", "2027-12-30", "2026-11-01", "2100-12-20", "1970-01-10"];

    #[test]
    fn what_is_near_is_what_the_search_finds() {
        for text in [
            "0 2 * * *",
            "30 22 * * FRI",
            "*/15 * * * *",
            "59 23 * * *",
            "0 0 * * *",
            "0 0 29 2 *",
            "7,50 1-3,22 13 * MON",
            "0 12 1 * 1-5",
            "0 0 1 1 *",
            "15 6 */2 3,12 *",
            "* * 31 * *",
            "0 9 * * 0,6",
        ] {
            let schedule: Schedule = text.parse().unwrap();
            for date in DATES {
                let midnight: NaiveDateTime = format!("{date}T00:00:00").parse().unwrap();
                for step in 0..500 {
                    let at = midnight + TimeDelta::minutes(step * 13) + TimeDelta::seconds(step % 3 * 30);
                    let (next, previous) = (schedule.search_after(at), schedule.search_before(at));
                    let next_near = schedule.fields.next_nearby(at);
                    let previous_near = schedule.fields.previous_nearby(at);
                    assert!(next_near.is_none_or(|it| Some(it) == next), "{text} after {at}");
                    assert!(previous_near.is_none_or(|it| Some(it) == previous), "{text} before {at}");
                    let is_far = |it: NaiveDateTime| (it - at).abs() > TimeDelta::days(6);
                    assert!(next_near.is_some() || next.is_none_or(is_far), "{text} after {at}");
                    assert!(previous_near.is_some() || previous.is_none_or(is_far), "{text} before {at}");
                }
            }
        }
    }

    #[test]
    fn sets_are_searched_from_their_ends() {
        let set = 1 << 0 | 1 << 5 | 1 << 59;
        assert_eq!(
            [0, 1, 5, 6, 59, 60].map(|it| at_least(set, it)),
            [Some(0), Some(5), Some(5), Some(59), Some(59), None]
        );
        assert_eq!(
            [0, 4, 5, 58, 59, 63].map(|it| at_most(set, it)),
            [Some(0), Some(0), Some(5), Some(5), Some(59), Some(59)]
        );
        assert_eq!(at_most(1 << 7, 6), None);
    }
}
