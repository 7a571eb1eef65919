//! A span of time by window as one picture: `/timeline.svg` and
//! `upcoming --format svg`. It is light or dark as its reader's system is.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use maud::{Markup, PreEscaped, html};

use super::times;
use crate::domain::calendar::Calendar;
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;

/// What it is served as.
pub const CONTENT_TYPE: &str = "image/svg+xml";

/// More windows than these are counted, not drawn.
const MOST_WINDOWS: usize = 100;

/// More occurrences of a window than this are not drawn one by one.
const MOST_BARS: usize = 400;

/// More days than this are not named one by one.
const MOST_DAYS_NAMED: i64 = 14;

/// More letters than this do not fit beside a row.
const LONGEST_NAME: usize = 24;

const WIDTH: i64 = 1200;
const LEFT: i64 = 210;
const RIGHT: i64 = 20;
const TOP: i64 = 64;
const ROW: i64 = 34;

/// As long as the words beside the line of now.
const NOW: i64 = 230;

/// As long as the name of a day.
const DAY: i64 = 75;

/// What is shorter is still seen.
const NARROWEST: i64 = 3;

const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#16202c}.soft{fill:#566273;font-size:12px}\
.paper{fill:#fff}.ground{fill:#eceff4}.tick{stroke:#c3cad4}.bar{fill:#3d78de}.now{stroke:#c22a35;stroke-width:2}\
.nowword{fill:#c22a35;font-size:12px}\
@media(prefers-color-scheme:dark){text{fill:#e8edf4}.soft{fill:#a0acbc}.paper{fill:#181f29}.ground{fill:#222b37}\
.tick{stroke:#3a4657}.bar{fill:#5c94f5}.now{stroke:#ff6b75}.nowword{fill:#ff6b75}}";

/// What is drawn.
#[derive(Debug)]
pub struct Timeline<'a> {
    /// The windows.
    pub calendar: &'a Calendar,
    /// Whose days are marked.
    pub zone: &'a Zone,
    /// The beginning of the span.
    pub from: DateTime<Utc>,
    /// Its end, exclusive.
    pub until: DateTime<Utc>,
    /// Marked, if it is within.
    pub now: DateTime<Utc>,
}

/// Where an instant of `[from, until)` is on a line that is so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    pub(super) length: i64,
}

impl Axis {
    pub(super) fn at(&self, instant: DateTime<Utc>) -> i64 {
        let whole = (self.until - self.from).num_milliseconds().max(1);
        let part = (instant.clamp(self.from, self.until) - self.from).num_milliseconds();
        i64::try_from(i128::from(part) * i128::from(self.length) / i128::from(whole)).unwrap_or(0)
    }

    /// From where to where the window is open, at least so long, with the first
    /// occurrence of each bar and the last; what would touch is one bar.
    pub(super) fn bars(&self, window: &Window, narrowest: i64) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for it in window.occurrences(self.from, self.until) {
            let from = self.at(it.opens).min(self.length - narrowest);
            let until = self.at(it.closes).max(from + narrowest);
            let is_full = bars.len() == MOST_BARS;
            match bars.last_mut() {
                Some(last) if from <= last.until => {
                    last.until = last.until.max(until);
                    last.closes = last.closes.max(it.closes);
                    last.number += 1;
                }
                _ if is_full => break,
                _ => bars.push(Bar::of(&it, from, until)),
            }
        }
        bars
    }
}

/// Occurrences that are drawn as one.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) from: i64,
    pub(super) until: i64,
    opens: DateTime<Utc>,
    closes: DateTime<Utc>,
    number: usize,
}

impl Bar {
    fn of(it: &Occurrence, from: i64, until: i64) -> Self {
        Self { from, until, opens: it.opens, closes: it.closes, number: 1 }
    }

    fn told(&self, zone: &Zone) -> String {
        let span = format!("{} to {}", times::show(self.opens, zone), times::show(self.closes, zone));
        if self.number == 1 { span } else { format!("{} occurrences, {span}", self.number) }
    }
}

impl Timeline<'_> {
    /// The picture, a document of its own.
    pub fn draw(&self) -> String {
        let windows = self.calendar.windows();
        let drawn = &windows[..windows.len().min(MOST_WINDOWS)];
        let axis = Axis { from: self.from, until: self.until, length: WIDTH - LEFT - RIGHT };
        let bottom = TOP + ROW * i64::try_from(drawn.len().max(1)).unwrap_or(1);
        let height = bottom + 30;
        html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-labelledby="title desc" {
                title id="title" { "Maintenance windows from " (times::show(self.from, self.zone)) " to " (times::show(self.until, self.zone)) }
                desc id="desc" { (self.described(drawn)) }
                style { (PreEscaped(STYLE)) }
                rect class="paper" width=(WIDTH) height=(height) rx="12" {}
                @for (index, window) in (0_i64..).zip(drawn) { (Self::row(window, TOP + ROW * index, axis)) }
                (self.days(axis, bottom))
                @if drawn.is_empty() { text x=(LEFT) y=(TOP + 22) { "There are no windows." } }
                (self.now(axis, bottom))
                text class="soft" x=(LEFT) y=(bottom + 20) {
                    "Days are those of " (self.zone.name()) "."
                    @if windows.len() > drawn.len() { " And " (windows.len() - drawn.len()) " more windows." }
                }
            }
        }
        .into_string()
    }

    fn described(&self, windows: &[Window]) -> String {
        let told = windows.iter().map(|window| {
            let next = window.occurrences(self.from, self.until).next();
            match next {
                Some(it) => format!("{} opens {}", window.name, times::show(it.opens, window.times.zone())),
                None => format!("{} does not open", window.name),
            }
        });
        format!("{}.", told.collect::<Vec<_>>().join("; "))
    }

    fn row(window: &Window, y: i64, axis: Axis) -> Markup {
        let name = window.name.as_str();
        let short: String = match name.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.to_owned(),
        };
        html! {
            g {
                text x="16" y=(y + 20) { title { (name) } (short) }
                rect class="ground" x=(LEFT) y=(y + 4) width=(axis.length) height=(ROW - 8) rx="4" {}
                @for bar in axis.bars(window, NARROWEST) {
                    rect class="bar" x=(LEFT + bar.from) y=(y + 8) width=(bar.until - bar.from) height=(ROW - 16) rx="2" {
                        title { (name) ": " (bar.told(window.times.zone())) }
                    }
                }
            }
        }
    }

    fn days(&self, axis: Axis, bottom: i64) -> Markup {
        let first = self.zone.civil(self.from).date();
        let days = (self.until - self.from).num_days() + 1;
        let step = usize::try_from((days + MOST_DAYS_NAMED - 1) / MOST_DAYS_NAMED).unwrap_or(1).max(1);
        let dates = (0..=days).step_by(step).map(|day| first + TimeDelta::days(day));
        let midnights = dates.map(|date| (date, self.zone.instant(date.and_time(NaiveTime::MIN))));
        let shown: Vec<_> = midnights.filter(|(_, at)| self.from <= *at && *at < self.until).collect();
        html! {
            @for (date, at) in shown {
                @let x = LEFT + axis.at(at);
                line class="tick" x1=(x) y1=(TOP - 8) x2=(x) y2=(bottom) {}
                @if x + DAY < WIDTH { text class="soft" x=(x + 4) y=(TOP - 12) { (date.format("%a %-d %b")) } }
            }
        }
    }

    fn now(&self, axis: Axis, bottom: i64) -> Markup {
        let x = LEFT + axis.at(self.now);
        let is_within = self.from <= self.now && self.now < self.until;
        html! {
            @if is_within {
                line class="now" x1=(x) y1="30" x2=(x) y2=(bottom) {}
                text class="nowword" x=(x.min(WIDTH - NOW) + 4) y="26" { "now, " (times::show(self.now, self.zone)) }
            }
        }
    }
}
