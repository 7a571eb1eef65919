//! A window's times in words: for people, and to notice that they were edited.

use std::fmt;

use super::{Dates, End, Start, Times, When, Window};

impl Window {
    /// What this window's occurrences depend on. Another text means that the
    /// file was edited so that they may be others.
    pub fn fingerprint(&self) -> String {
        self.times.to_string()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start() {
            Start::Recurring(schedule) => write!(f, "`{schedule}`"),
            Start::Once(when) => write!(f, "{when}"),
        }?;
        match self.end() {
            End::After(length) => write!(f, " for {} s", length.num_seconds()),
            End::TimeOfDay(time) => write!(f, " to {}", time.format("%H:%M")),
            End::Recurring(schedule) => write!(f, " to `{schedule}`"),
            End::Once(when) => write!(f, " to {when}"),
        }?;
        write!(f, ", {}{}", self.zone(), self.dates())
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(civil) => write!(f, "{}", civil.format("%Y-%m-%dT%H:%M:%S")),
            Self::Instant(at) => write!(f, "{}", at.format("%Y-%m-%dT%H:%M:%SZ")),
        }
    }
}

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.first {
            write!(f, ", from {first}")?;
        }
        if let Some(last) = self.last {
            write!(f, ", until {last}")?;
        }
        for date in &self.skip {
            write!(f, ", not on {date}")?;
        }
        Ok(())
    }
}
