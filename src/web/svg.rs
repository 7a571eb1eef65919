//! A span of time by window as one picture: `/timeline.svg` and
//! `upcoming --format svg`. It is light or dark as its reader's system is.

use chrono::{DateTime, Utc};
use maud::{Markup, PreEscaped, html};

use super::axis::Axis;
use super::times;
use crate::domain::calendar::Calendar;
use crate::domain::window::Window;
use crate::domain::zone::Zone;

/// What it is served as.
pub const CONTENT_TYPE: &str = "image/svg+xml";

/// More windows than these are counted, not drawn.
const MOST_WINDOWS: usize = 100;

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
const NARROWEST: i64 = 5;

/// Where the words on what the bars mean begin.
const LEGEND: i64 = WIDTH - 340;

pub(super) const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#16202c}.soft{fill:#566273;font-size:12px}\
.paper{fill:#fff}.ground{fill:#eceff4}.tick{stroke:#c3cad4}.bar{fill:#3d78de}\
.now{stroke:#c22a35;stroke-width:2}\
.nowword{fill:#c22a35;font-size:12px}.hatch{stroke:#3d78de;stroke-width:3}.lead{stroke:#3d78de}\
@media(prefers-color-scheme:dark){text{fill:#e8edf4}.soft{fill:#a0acbc}.paper{fill:#181f29}.ground{fill:#222b37}\
.tick{stroke:#3a4657}.bar{fill:#5c94f5}.now{stroke:#ff6b75}.nowword{fill:#ff6b75}.hatch,.lead{stroke:#5c94f5}}";

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
                defs { (hatch()) }
                rect class="paper" width=(WIDTH) height=(height) rx="12" {}
                @for (index, window) in (0_i64..).zip(drawn) { (Self::row(window, TOP + ROW * index, axis)) }
                (self.days(axis, bottom))
                @if drawn.is_empty() { text x=(LEFT) y=(TOP + 22) { "There are no windows." } }
                (self.now(axis, bottom))
                @if drawn.iter().any(|it| !it.lead.is_zero()) { (Self::legend(bottom + 10)) }
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
            let show = |at| times::show(at, window.times.zone());
            match window.occurrences(self.from, self.until).next() {
                Some(it) if it.pauses < it.opens => {
                    format!(
                        "{} opens {}, its syncs paused from {}",
                        window.name,
                        show(it.opens),
                        show(it.pauses)
                    )
                }
                Some(it) => format!("{} opens {}", window.name, show(it.opens)),
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
                @for bar in axis.bars_of(window, NARROWEST) {
                    g {
                        title { (name) ": " (bar.told(window.times.zone())) }
                        @if let Some((from, until)) = bar.lead() { (Self::lead(LEFT + from, y + 8, until - from, ROW - 16)) }
                        @if let Some((from, until)) = bar.open() {
                            rect class="bar" x=(LEFT + from) y=(y + 8) width=(until - from) height=(ROW - 16) rx="2" {}
                        }
                    }
                }
            }
        }
    }

    /// What comes before a window opens differs in its pattern, not in colour.
    fn lead(x: i64, y: i64, width: i64, height: i64) -> Markup {
        html! { rect class="lead" fill="url(#hatch)" x=(x) y=(y) width=(width) height=(height) {} }
    }

    fn legend(y: i64) -> Markup {
        html! {
            (Self::lead(LEGEND, y, 28, 12))
            text class="soft" x=(LEGEND + 36) y=(y + 10) { "paused before the window opens" }
            rect class="bar" x=(LEGEND + 256) y=(y) width="28" height="12" rx="2" {}
            text class="soft" x=(LEGEND + 292) y=(y + 10) { "open" }
        }
    }

    fn days(&self, axis: Axis, bottom: i64) -> Markup {
        let days = (self.until - self.from).num_days() + 1;
        let step = usize::try_from((days + MOST_DAYS_NAMED - 1) / MOST_DAYS_NAMED).unwrap_or(1).max(1);
        html! {
            @for (date, at) in axis.midnights(self.zone).step_by(step) {
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

/// The pattern of a pause before its window opens.
pub(super) fn hatch() -> Markup {
    html! {
        pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
            line class="hatch" x1="0" y1="0" x2="0" y2="6" {}
        }
    }
}
