//! `start`, `end`, `duration` and the dates of a window: text, time or date to
//! the types of the domain.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use toml::Spanned;
use toml::de::DeValue;
use toml::value::{Date, Datetime, Offset, Time};

use super::reader::{Table, Value, inside, wrong_type};
use super::source::{Source, quote};
use super::window::{Reading, note};
use crate::domain::schedule::Schedule;
use crate::domain::window::{Dates, End, Start, TimesError, When};

/// How long a window may be open.
const LENGTHS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(31 * 24);

impl Reading<'_, '_> {
    /// How it starts. None if an error was noted; so with all of these.
    pub(super) fn start(&self, table: &mut Table<'_>) -> Option<Start> {
        let Some(value) = table.any("start") else {
            table.missing("start", "write `start = \"0 22 * * SAT\"` (crontab), or a date and time for once");
            return None;
        };
        match value.get_ref() {
            DeValue::String(text) => self.schedule(value, text).map(Start::Recurring),
            DeValue::Datetime(at) => self.when("start", value, *at).map(Start::Once),
            _ => {
                let mend = "write `start = \"0 22 * * SAT\"`, or `start = 2026-12-24T22:00:00` for once";
                wrong_type(self.source, "start", value, "a crontab schedule or a date and time", mend);
                None
            }
        }
    }

    /// How it ends.
    pub(super) fn end(&self, table: &mut Table<'_>) -> Option<End> {
        let end = table.any("end");
        let has_duration = table.has("duration");
        let duration = table.duration("duration", LENGTHS);
        match (end, has_duration) {
            (Some(_), true) => {
                self.source.error(
                    table.place_of("duration"),
                    "both `end` and `duration` are there",
                    "remove one",
                );
                None
            }
            (None, false) => {
                table.missing("end", "write `end = \"06:00\"` or `duration = \"8h\"`");
                None
            }
            (None, true) => TimeDelta::from_std(duration?.into_inner()).ok().map(End::After),
            (Some(value), false) => match value.get_ref() {
                DeValue::String(text) if is_time(text) => self.time_of_day(value, text).map(End::TimeOfDay),
                DeValue::String(text) => self.schedule(value, text).map(End::Recurring),
                DeValue::Datetime(Datetime { date: None, time: Some(at), offset: None }) => {
                    time(*at).map(End::TimeOfDay).or_else(|| self.no_such_date(value))
                }
                DeValue::Datetime(at) => self.when("end", value, *at).map(End::Once),
                _ => {
                    let mend =
                        "write `end = \"06:00\"`, `end = \"0 6 * * SUN\"`, or `duration = \"8h\"` instead";
                    wrong_type(
                        self.source,
                        "end",
                        value,
                        "a time of day, a schedule or a date and time",
                        mend,
                    );
                    None
                }
            },
        }
    }

    fn schedule(&self, value: Value<'_>, text: &str) -> Option<Schedule> {
        let error = match text.parse::<Schedule>() {
            Ok(schedule) => return Some(schedule),
            Err(error) => error,
        };
        let span = inside(self.source, value, text, error.span);
        let usual = || "write five fields, as in crontab(5): `0 22 * * SAT`".to_owned();
        let mend = meant(text).or(error.mend).unwrap_or_else(usual);
        self.source.error(span, error.problem, mend);
        None
    }

    /// `24:00` ends a day where `00:00` begins the next: the same civil time.
    fn time_of_day(&self, value: Value<'_>, text: &str) -> Option<NaiveTime> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute) = (hour.parse().unwrap_or(99), minute.parse().unwrap_or(99));
        let time = match (hour, minute) {
            (24, 0) => Some(NaiveTime::MIN),
            (hour, minute) => NaiveTime::from_hms_opt(hour, minute, 0),
        };
        if time.is_none() {
            let mend = "write a time from `00:00` to `24:00`";
            self.source.error(value.span(), format!("{} is no time of day", quote(text)), mend);
        }
        time
    }

    fn when(&self, key: &str, value: Value<'_>, at: Datetime) -> Option<When> {
        let Datetime { date: Some(day), time: Some(clock), offset } = at else {
            let (missing, example) = match at.date {
                Some(day) => ("time", format!("{day}T22:00:00")),
                None => ("date", "2026-12-24T22:00:00".to_owned()),
            };
            let message = format!("`{key}` has no {missing}");
            self.source.error(value.span(), message, format!("write `{key} = {example}`"));
            return None;
        };
        let civil = date(day).zip(time(clock)).map(|(day, clock)| NaiveDateTime::new(day, clock));
        let minutes = match offset {
            None => return civil.map(When::Local).or_else(|| self.no_such_date(value)),
            Some(Offset::Z) => 0,
            Some(Offset::Custom { minutes }) => i64::from(minutes),
        };
        civil
            .and_then(|civil| civil.checked_sub_signed(TimeDelta::minutes(minutes)))
            .map(|civil| When::Instant(civil.and_utc()))
            .or_else(|| self.no_such_date(value))
    }

    fn no_such_date<T>(&self, value: Value<'_>) -> Option<T> {
        self.source.error(value.span(), "there is no such date or time", "write a date of the calendar");
        None
    }

    /// On which dates it may start.
    pub(super) fn dates(&self, table: &mut Table<'_>) -> Option<Dates> {
        let read = |key, value: Option<Value<'_>>| value.map(|value| self.date(key, value));
        let first = read("first_date", table.any("first_date"));
        let last = read("last_date", table.any("last_date"));
        let skipped = table.list("skip_dates", "2026-12-26");
        if skipped.is_none() && table.has("skip_dates") {
            return None;
        }
        // All are looked at before the first that is wrong ends it.
        let skipped = skipped.map(Spanned::into_inner).unwrap_or_default();
        let skip: Vec<_> = skipped.into_iter().map(|value| self.date("skip_dates", value)).collect();
        Some(Dates {
            skip: skip.into_iter().collect::<Option<_>>()?,
            first: first.map_or(Some(None), |read| read.map(Some))?,
            last: last.map_or(Some(None), |read| read.map(Some))?,
        })
    }

    fn date(&self, key: &str, value: Value<'_>) -> Option<NaiveDate> {
        let mend = match value.get_ref() {
            DeValue::Datetime(Datetime { date: Some(day), time: None, .. }) => {
                return date(*day).or_else(|| self.no_such_date(value));
            }
            DeValue::Datetime(Datetime { date: Some(day), .. }) => format!("write `{day}`"),
            DeValue::String(text) if text.parse::<NaiveDate>().is_ok() => {
                format!("write `{text}` without quotes")
            }
            _ => "write a date such as `2026-12-26`, without quotes".to_owned(),
        };
        wrong_type(self.source, key, value, "a date alone", &mend);
        None
    }
}

/// Where the keys stand that the times of a window can be wrong at.
pub(super) struct Places {
    end: Range<usize>,
    dates: Range<usize>,
}

impl Places {
    pub(super) fn of(table: &Table<'_>) -> Self {
        let first_of = |keys: &[&str]| {
            let key = keys.iter().find(|key| table.has(key));
            key.map_or_else(|| table.at(), |key| table.place_of(key))
        };
        Self {
            end: first_of(&["end", "duration"]),
            dates: first_of(&["last_date", "first_date", "skip_dates", "start"]),
        }
    }

    pub(super) fn note(&self, error: &TimesError, source: &Source<'_>) {
        let at = match error {
            TimesError::NotPositive
            | TimesError::EndsBeforeItStarts { .. }
            | TimesError::EndsOnce
            | TimesError::TooLong { .. } => &self.end,
            TimesError::NeverStarts | TimesError::DatesSwapped { .. } => &self.dates,
        };
        note(error, at.clone(), source);
    }
}

/// What a text that is no schedule was probably meant to be.
fn meant(text: &str) -> Option<String> {
    let text = text.trim();
    if text.parse::<Datetime>().is_ok_and(|it| it.date.is_some()) {
        return Some(format!("a date and time has no quotes: `{text}`"));
    }
    let (hour, minute) = text.split_once(':').filter(|_| is_time(text))?;
    let time = NaiveTime::from_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0)?;
    Some(format!("for every day at that time write `{}`", time.format("%-M %-H * * *")))
}

/// Whether a text is meant as `HH:MM`.
fn is_time(text: &str) -> bool {
    let text = text.trim();
    text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || c == ':')
}

fn date(date: Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
}

/// A leap second is the second before it.
fn time(time: Time) -> Option<NaiveTime> {
    let second = u32::from(time.second.unwrap_or(0)).min(59);
    // The ledger knows an occurrence by the millisecond at which it opens.
    let milliseconds = time.nanosecond.unwrap_or(0) / 1_000_000;
    NaiveTime::from_hms_milli_opt(time.hour.into(), time.minute.into(), second, milliseconds)
}
