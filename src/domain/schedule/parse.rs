//! Five fields of text to the sets of numbers they select, or an error that
//! says what to write instead.

use std::ops::Range;

use super::ScheduleError;

/// No schedule needs more, and an error shows the text.
const MAX_BYTES: usize = 256;

/// What a schedule selects. Each set holds number `n` as bit `n`.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) days: u64,
    pub(super) months: u64,
    // Sunday is 0 only.
    pub(super) weekdays: u64,
    /// Day of month and day of week are both restricted: either will do.
    pub(super) either_day: bool,
    pub(super) wildcard: bool,
}

impl Fields {
    /// Whether each week is like the next: no date and no month is chosen.
    pub(super) fn is_weekly(&self) -> bool {
        self.days == bits(DAY.min, DAY.max, 1) && self.months == bits(MONTH.min, MONTH.max, 1)
    }

    /// So many days of a year match at most.
    pub(super) fn days_a_year(&self) -> u32 {
        let by_date = self.days.count_ones() * self.months.count_ones();
        // A year has 52 weeks and a day or two.
        let by_weekday = 53 * self.weekdays.count_ones();
        let either = by_date + by_weekday;
        let both = by_date.min(by_weekday);
        if self.either_day { either } else { both }.min(366)
    }
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAY: Field = Field { name: "day-of-month", min: 1, max: 31, names: &[] };
const MONTH: Field = Field { name: "month", min: 1, max: 12, names: &MONTHS };
const WEEKDAY: Field = Field { name: "day-of-week", min: 0, max: 7, names: &WEEKDAYS };

const FIVE: &str = "five fields: minute hour day-of-month month day-of-week";

/// The nicknames of crontab(5) and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A piece of the text and where it is.
#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn span(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        self.text.split(separator).scan(self.start, move |start, text| {
            let token = Token { text, start: *start };
            *start += text.len() + separator.len_utf8();
            Some(token)
        })
    }

    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(separator)?;
        let start = self.start + left.len() + separator.len_utf8();
        Some((Token { text: left, ..self }, Token { text: right, start }))
    }

    fn fault(self, problem: impl Into<String>) -> ScheduleError {
        ScheduleError { problem: problem.into(), mend: None, span: self.span() }
    }

    fn fault_with(self, problem: impl Into<String>, mend: impl Into<String>) -> ScheduleError {
        ScheduleError { mend: Some(mend.into()), ..self.fault(problem) }
    }
}

/// Reads a schedule.
pub(super) fn fields(text: &str) -> Result<Fields, ScheduleError> {
    let whole = Token { text, start: 0 };
    if text.len() > MAX_BYTES {
        return Err(whole.fault(format!("a schedule of {} bytes: at most {MAX_BYTES} are read", text.len())));
    }
    let tokens: Vec<Token<'_>> = words(whole);
    if let Some(first) = tokens.first()
        && first.text.starts_with('@')
    {
        return nickname(Token { text: text.trim_matches(BLANK), start: first.start });
    }
    match tokens[..] {
        [minute, hour, day, month, weekday] => five([minute, hour, day, month, weekday], whole),
        [] => Err(whole.fault_with("empty schedule", format!("write {FIVE}"))),
        [first, .., fifth, year] if tokens.len() == 6 && is_year(year) => {
            let schedule = &whole.text[first.start..fifth.span().end];
            Err(whole.fault_with(
                "six fields: crontab(5) has no years",
                format!("write `{schedule}`, and `first_date` and `last_date` for a single year"),
            ))
        }
        [first, second, third, fourth, fifth, sixth] => Err(ScheduleError {
            span: first.span().start..sixth.span().end,
            ..whole.fault_with(
                "six fields: crontab(5) has no seconds",
                format!(
                    "if the first one is the seconds, write `{} {} {} {} {}`, and weekdays by name: \
                     where there are seconds, 1 is often Sunday",
                    second.text, third.text, fourth.text, fifth.text, sixth.text
                ),
            )
        }),
        [_, _, _, _, _, _, ..] => Err(whole.fault_with(
            format!("{} fields: crontab(5) has no seconds and no years", tokens.len()),
            format!("write {FIVE}"),
        )),
        [..] => Err(whole.fault_with(format!("{} of five fields", tokens.len()), format!("write {FIVE}"))),
    }
}

fn is_year(token: Token<'_>) -> bool {
    token.text.len() == 4 && token.text.bytes().all(|it| it.is_ascii_digit())
}

const BLANK: [char; 2] = [' ', '\t'];

fn words(whole: Token<'_>) -> Vec<Token<'_>> {
    // Both blanks are one byte long, so splitting at either keeps the places right.
    let mut start = 0;
    let mut words = Vec::new();
    for text in whole.text.split(BLANK) {
        if !text.is_empty() {
            words.push(Token { text, start });
        }
        start += text.len() + 1;
    }
    words
}

fn nickname(token: Token<'_>) -> Result<Fields, ScheduleError> {
    if let Some((_, meaning)) = NICKNAMES.iter().find(|(name, _)| *name == token.text) {
        return fields(meaning);
    }
    let mend = format!("there are {}", NICKNAMES.map(|(name, _)| name).join(", "));
    Err(match token.text {
        "@reboot" => token.fault_with("`@reboot` is no time, so nothing can start or end then", mend),
        text => token.fault_with(format!("unknown nickname `{text}`"), mend),
    })
}

fn five(tokens: [Token<'_>; 5], whole: Token<'_>) -> Result<Fields, ScheduleError> {
    let [minute, hour, day, month, weekday] = tokens;
    let starts_with_star = |token: Token<'_>| token.text.starts_with('*');
    let weekdays = set(&WEEKDAY, weekday)?;
    let fields = Fields {
        minutes: set(&MINUTE, minute)?,
        hours: set(&HOUR, hour)?,
        days: set(&DAY, day)?,
        months: set(&MONTH, month)?,
        weekdays: (weekdays | weekdays >> 7) & 0x7f,
        either_day: !starts_with_star(day) && !starts_with_star(weekday),
        wildcard: starts_with_star(minute) || starts_with_star(hour),
    };
    if fields.has_a_day() {
        Ok(fields)
    } else {
        Err(ScheduleError {
            span: day.start..month.span().end,
            mend: Some("choose a day that one of these months has".to_owned()),
            ..whole.fault(format!("`{}` never happens: no selected month has such a day", whole.text.trim()))
        })
    }
}

/// The numbers a field selects.
fn set(field: &Field, token: Token<'_>) -> Result<u64, ScheduleError> {
    token.split(',').try_fold(0, |set, element| Ok(set | field.element(element, token)?))
}

impl Field {
    fn element(&self, token: Token<'_>, whole: Token<'_>) -> Result<u64, ScheduleError> {
        let name = self.name;
        if token.text.is_empty() {
            return Err(whole.fault_with(
                format!("{name}: an element is missing in `{}`", whole.text),
                "mind the commas",
            ));
        }
        self.refuse_extensions(token)?;
        let Some((base, step)) = token.split_once('/') else {
            return self.range(token, token).map(|(first, last)| bits(first, last, 1));
        };
        let (first, last) = self.range(base, token)?;
        let every = self.step(step, token)?;
        if base.text != "*" && !base.text.contains('-') {
            let right = format!("{}-{}/{every}", base.text, self.ends_like(base.text).1);
            let problem = format!("{name}: `{}` has a step but no range", token.text);
            return Err(token.fault_with(problem, format!("write {right}")));
        }
        Ok(bits(first, last, every))
    }

    /// `*`, `a` or `a-b`, as first and last number.
    fn range(&self, token: Token<'_>, element: Token<'_>) -> Result<(u32, u32), ScheduleError> {
        if token.text == "*" {
            return Ok((self.min, self.max));
        }
        let Some((left, right)) = token.split_once('-') else {
            let number = self.number(token, element)?;
            return Ok((number, number));
        };
        let (first, last) = (self.number(left, element)?, self.number(right, element)?);
        // Sunday at the end of a range is the seventh day.
        let last = if first > last && self.names.len() == 7 && right.text.eq_ignore_ascii_case("SUN") {
            7
        } else {
            last
        };
        if first <= last {
            return Ok((first, last));
        }
        let problem = format!("{}: the range `{}` runs backwards", self.name, token.text);
        Err(element
            .fault_with(problem, format!("write {}", self.unwrapped(left.text, right.text, first, last))))
    }

    /// A range that runs backwards, as the two that are meant.
    fn unwrapped(&self, left: &str, right: &str, first: u32, last: u32) -> String {
        let part = |from: String, to: String| if from == to { from } else { format!("{from}-{to}") };
        let up = part(left.to_ascii_uppercase(), self.ends_like(left).1);
        // Saturday to 0 is Saturday to 7: nothing is left for a second range.
        if (self.names.len() == 7 && last == 0) || first == last {
            return up;
        }
        format!("{up},{}", part(self.ends_like(right).0, right.to_ascii_uppercase()))
    }

    /// The first and last of the field, by name if this one is a name.
    fn ends_like(&self, text: &str) -> (String, String) {
        let named = text.starts_with(|c: char| c.is_ascii_alphabetic());
        match (self.names.len(), named) {
            (7, true) => ("MON".to_owned(), "SUN".to_owned()),
            (12, true) => ("JAN".to_owned(), "DEC".to_owned()),
            (7, false) => ("1".to_owned(), "7".to_owned()),
            _ => (self.min.to_string(), self.max.to_string()),
        }
    }

    fn step(&self, token: Token<'_>, element: Token<'_>) -> Result<u32, ScheduleError> {
        let (name, text) = (self.name, token.text);
        // Of the eight numbers that a weekday has, two are Sunday.
        let (first, last) = (self.min, if self.names.len() == 7 { 6 } else { self.max });
        match text.parse::<u32>() {
            Ok(0) => {
                Err(element
                    .fault_with(format!("{name}: a step of 0 in `{}`", element.text), "write 1 or more"))
            }
            Ok(step) if text.bytes().all(|byte| byte.is_ascii_digit()) && step <= last - first => Ok(step),
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let problem = format!("{name}: step {text} is larger than the field ({first}-{last})");
                Err(element
                    .fault_with(problem, format!("it would mean just {first}: write that, if it is meant")))
            }
            _ => {
                Err(element.fault(format!("{name}: the step `{text}` in `{}` is not a number", element.text)))
            }
        }
    }

    fn number(&self, token: Token<'_>, element: Token<'_>) -> Result<u32, ScheduleError> {
        let (name, text) = (self.name, token.text);
        if let Some(index) = self.names.iter().position(|known| known.eq_ignore_ascii_case(text)) {
            return Ok(u32::try_from(index).unwrap_or_default() + self.min);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.no_number(token, element));
        }
        match text.parse() {
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            _ => {
                let problem = format!("{name}: {text} is outside {}-{}", self.min, self.max);
                Err(ScheduleError { mend: self.outside(text), ..token.fault(problem) })
            }
        }
    }

    /// What somebody who wrote a number outside of the field probably meant.
    fn outside(&self, text: &str) -> Option<String> {
        match (self.name, text) {
            ("hour", "24") => Some("midnight is hour 0 of the next day".to_owned()),
            ("minute", "60") => Some("that is minute 0 of the next hour".to_owned()),
            ("day-of-week", _) => Some("Sunday is 0 or 7, Monday is 1; names are safest: MON".to_owned()),
            _ => None,
        }
    }

    fn no_number(&self, token: Token<'_>, element: Token<'_>) -> ScheduleError {
        let (name, text) = (self.name, token.text);
        let known = self
            .names
            .iter()
            .find(|known| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(known)));
        if let Some(known) = known {
            return token.fault_with(
                format!("{name}: names have three letters, not `{text}`"),
                format!("write {known}"),
            );
        }
        let token = if text.is_empty() { element } else { token };
        let what = if self.names.is_empty() { "a number" } else { "a number or a name of three letters" };
        let fault = token.fault(format!("{name}: `{}` is not {what}", token.text));
        let other = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(text));
        let mend = match () {
            () if other(&WEEKDAYS) => Some("weekdays go into the fifth field".to_owned()),
            () if other(&MONTHS) => Some("months go into the fourth field".to_owned()),
            () => None,
        };
        ScheduleError { mend, ..fault }
    }

    /// `L W # ? ~ H` mean something elsewhere, and not the same everywhere.
    fn refuse_extensions(&self, token: Token<'_>) -> Result<(), ScheduleError> {
        let text = token.text;
        let letters_only_of = |set: &str| {
            text.bytes().any(|byte| byte.is_ascii_alphabetic())
                && text.chars().all(|c| set.contains(c.to_ascii_uppercase()))
        };
        let extension = text.chars().find(|c| "?#~".contains(*c)).or_else(|| {
            letters_only_of("0123456789LWH-/").then(|| text.chars().find(char::is_ascii_alphabetic)).flatten()
        });
        let Some(extension) = extension else { return Ok(()) };
        let problem = format!("{}: `{extension}` in `{text}` is not crontab(5)", self.name);
        Err(match extension {
            '?' => token.fault_with(problem, "write `*`"),
            'L' | 'l' => {
                token.fault_with(problem, "the last day of a month cannot be written; days and weekdays can")
            }
            '#' => token
                .fault_with(problem, "a weekday of a certain week cannot be written; `5` is every Friday"),
            _ => token.fault_with(problem, "write numbers, ranges and lists"),
        })
    }
}

fn bits(first: u32, last: u32, step: u32) -> u64 {
    (first..=last).step_by(step as usize).map(|number| 1 << number).sum()
}

/// The numbers in a set, ascending.
pub(super) fn numbers(set: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |number| set >> number & 1 == 1)
}

impl Fields {
    fn has_a_day(&self) -> bool {
        let longest = numbers(self.months)
            .map(|month| match month {
                2 => 29,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            })
            .max()
            .unwrap_or_default();
        self.either_day || self.days.trailing_zeros() <= longest
    }

    /// The same in the language of the crate `cron`: seconds first, weekdays by
    /// name, lists written out, and two texts where either day will do.
    pub(super) fn canonical(&self) -> Vec<String> {
        let list = |field: &Field, set: u64| {
            if set == bits(field.min, field.max, 1) {
                return "*".to_owned();
            }
            numbers(set).map(|number| number.to_string()).collect::<Vec<_>>().join(",")
        };
        let weekdays = if self.weekdays == 0x7f {
            "*".to_owned()
        } else {
            numbers(self.weekdays).map(|day| WEEKDAYS[day as usize]).collect::<Vec<_>>().join(",")
        };
        let (minutes, hours) = (list(&MINUTE, self.minutes), list(&HOUR, self.hours));
        let (days, months) = (list(&DAY, self.days), list(&MONTH, self.months));
        if self.either_day {
            vec![
                format!("0 {minutes} {hours} {days} {months} *"),
                format!("0 {minutes} {hours} * {months} {weekdays}"),
            ]
        } else {
            vec![format!("0 {minutes} {hours} {days} {months} {weekdays}")]
        }
    }
}
