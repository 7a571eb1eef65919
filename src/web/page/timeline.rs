//! The next days by window, with now marked. Bars are drawn as SVG without any
//! style of their own, so that the page's policy can refuse inline styles.

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::super::api::Snapshot;
use super::DAYS;
use crate::domain::window::Window;

/// More windows than this make no picture.
const MOST: usize = 30;

/// The width of a bar's picture; whatever it is shown at.
const WIDTH: i64 = 10_000;

/// What is shorter is still seen.
const NARROWEST: i64 = 30;

/// More occurrences than this are not drawn one by one.
const MOST_BARS: usize = 400;

/// The span that is drawn: from the last midnight on.
struct Axis {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Axis {
    fn at(&self, instant: DateTime<Utc>) -> i64 {
        let whole = (self.until - self.from).num_milliseconds().max(1);
        let part = (instant.clamp(self.from, self.until) - self.from).num_milliseconds();
        i64::try_from(i128::from(part) * i128::from(WIDTH) / i128::from(whole)).unwrap_or(0)
    }
}

pub(super) fn draw(it: &Snapshot) -> Markup {
    let today = it.zone.civil(it.at).date();
    let midnight = |day: i64| it.zone.instant((today + TimeDelta::days(day)).and_time(NaiveTime::MIN));
    let axis = Axis { from: midnight(0), until: midnight(DAYS) };
    let windows: &[Window] = it.calendar.as_ref().map_or(&[], |it| it.windows());
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "The next days" }
            @if windows.is_empty() { p.quiet { "There are no windows." } }
            @else {
                ol.days aria-hidden="true" {
                    @for day in 0..DAYS {
                        @let date = today + TimeDelta::days(day);
                        li { (date.format("%a")) span { " " (date.day()) } }
                    }
                }
                @for window in windows.iter().take(MOST) { (row(window, it, &axis, &midnight)) }
                @if windows.len() > MOST { p.quiet { "And " (windows.len() - MOST) " more windows" } }
                p.quiet { "The line is now; days are those of " (it.zone.name()) "." }
            }
        }
    }
}

fn row(window: &Window, it: &Snapshot, axis: &Axis, midnight: &impl Fn(i64) -> DateTime<Utc>) -> Markup {
    let bars = bars(window, axis);
    let is_open = window.covering(it.at).is_some();
    let told = match bars.len() {
        0 => "not open in these days".to_owned(),
        _ if is_open => "open now".to_owned(),
        _ => "open in these days, see Upcoming".to_owned(),
    };
    html! {
        div.track {
            p {
                b { (super::window_link(it, &window.name)) } " "
                @if is_open { span class="badge paused" { "open" } " " }
                @if let Some(description) = &window.description { span.quiet { (description) } }
            }
            svg viewBox={ "0 0 " (WIDTH) " 100" } preserveAspectRatio="none" role="img" aria-label={ (window.name) ": " (told) } {
                rect.ground x="0" y="0" width=(WIDTH) height="100" {}
                @for day in 1..DAYS { rect.midnight x=(axis.at(midnight(day))) y="0" width="8" height="100" {} }
                @for (from, until) in bars { rect.bar x=(from) y="18" width=(until - from) height="64" {} }
                rect.now x=(axis.at(it.at)) y="0" width="24" height="100" {}
            }
        }
    }
}

/// From where to where the window is open; what would touch is one bar.
fn bars(window: &Window, axis: &Axis) -> Vec<(i64, i64)> {
    let mut bars: Vec<(i64, i64)> = Vec::new();
    for it in window.occurrences(axis.from, axis.until) {
        let from = axis.at(it.opens);
        let until = axis.at(it.closes).max(from + NARROWEST);
        let is_full = bars.len() == MOST_BARS;
        match bars.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ if is_full => break,
            _ => bars.push((from, until)),
        }
    }
    bars
}
