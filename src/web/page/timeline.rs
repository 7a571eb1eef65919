//! The next days by window and by sync, with now marked. Bars are drawn as SVG
//! without any style of their own, so that the page's policy can refuse inline
//! styles; and in parts of a hundred, so that nothing is distorted however wide
//! the page is.

mod by_sync;

use std::fmt;

use chrono::{NaiveTime, TimeDelta};
use maud::{Markup, html};

use super::super::api::Snapshot;
use super::super::axis::{Axis, Bar};
use super::super::svg::hatch;
use super::DAYS;
use crate::domain::window::Window;
use crate::domain::zone::Zone;

pub(super) use by_sync::of_one as of_sync;

/// More windows than this make no picture.
const MOST: usize = 30;

/// More bars of a row than this are counted in its text, not told.
const MOST_TOLD: usize = 10;

/// The length of a row, in hundredths of a percent.
const LENGTH: i64 = 10_000;

/// What is shorter is still seen.
const NARROWEST: i64 = 60;

/// Hundredths of a percent.
struct Part(i64);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

pub(super) fn draw(it: &Snapshot) -> Markup {
    let axis = axis(it);
    let windows: &[Window] = it.calendar.as_ref().map_or(&[], |it| it.windows());
    html! {
        section.chart aria-labelledby="timeline" {
            h2 #timeline { "The next days" }
            @if windows.is_empty() { p.quiet { "There are no windows." } }
            @else {
                (legend(windows))
                h3 #by-window { "By window" }
                (days(it, &axis))
                ul.rows role="list" aria-labelledby="by-window" {
                    @for window in windows.iter().take(MOST) { (row(window, it, &axis)) }
                }
                @if windows.len() > MOST { p.quiet { "And " (windows.len() - MOST) " more windows" } }
                (by_sync::draw(it, &axis))
                p.quiet {
                    "Days are those of " (it.zone.name()) ". "
                    a.screen href="/timeline.svg" { "The windows as a picture" }
                }
            }
        }
    }
}

/// What the page of one window shows of it.
pub(super) fn of_window(it: &Snapshot, window: &Window) -> Markup {
    alone(it, std::slice::from_ref(window), &row(window, it, &axis(it)))
}

/// One row, on a page of its own.
fn alone(it: &Snapshot, windows: &[Window], row: &Markup) -> Markup {
    html! {
        section.chart aria-labelledby="timeline" {
            h2 #timeline { "The next days" }
            (legend(windows))
            (days(it, &axis(it)))
            ul.rows role="list" aria-labelledby="timeline" { (row) }
            p.quiet { "Days are those of " (it.zone.name()) "." }
        }
    }
}

/// From the midnight before now.
fn axis(it: &Snapshot) -> Axis {
    let today = it.zone.civil(it.at).date();
    let midnight = |day: i64| it.zone.instant((today + TimeDelta::days(day)).and_time(NaiveTime::MIN));
    Axis { from: midnight(0), until: midnight(DAYS), length: LENGTH }
}

/// What the signs mean. It also brings the pattern that all rows use.
fn legend(windows: &[Window]) -> Markup {
    html! {
        p.legend {
            span {
                svg.key aria-hidden="true" { rect.bar x="1" y="2" width="26" height="12" rx="3" {} }
                "open, its syncs are paused"
            }
            @if windows.iter().any(|it| !it.lead.is_zero()) {
                span {
                    svg.key aria-hidden="true" {
                        defs { (hatch()) }
                        rect.lead fill="url(#hatch)" x="1" y="2" width="26" height="12" {}
                    }
                    "paused before it opens"
                }
            }
            span {
                svg.key aria-hidden="true" { line.now x1="14" y1="0" x2="14" y2="16" {} }
                "now"
            }
        }
    }
}

/// What the days are called, above the rows.
fn days(it: &Snapshot, axis: &Axis) -> Markup {
    html! {
        div.days aria-hidden="true" {
            svg {
                @for (date, at) in axis.midnights(&it.zone) {
                    text x=(Part(axis.at(at))) y="14" dx="3" { (date.format("%a")) tspan { " " (date.format("%-d")) } }
                }
            }
        }
    }
}

fn row(window: &Window, it: &Snapshot, axis: &Axis) -> Markup {
    let is_open = window.covering(it.at).is_some();
    html! {
        li.row {
            div.who {
                b { (super::window_link(it, &window.name)) }
                @if is_open { " " span class="badge paused" { "open" } }
                @if let Some(description) = &window.description { span.about.quiet { (description) } }
            }
            (track(it, axis, &axis.bars_of(window, NARROWEST), window.name.as_str(), window.times.zone()))
        }
    }
}

/// One line of bars, and the same in words.
fn track(it: &Snapshot, axis: &Axis, bars: &[Bar], name: &str, zone: &Zone) -> Markup {
    html! {
        svg.track role="img" aria-label=(told(bars, name, zone)) {
            rect.ground width="100%" height="100%" rx="5" {}
            @for (_, at) in axis.midnights(&it.zone).skip(1) {
                @let x = Part(axis.at(at));
                line.midnight x1=(x) y1="0" x2=(x) y2="100%" {}
            }
            @for bar in bars { (bar_of(bar, name, zone)) }
            @let now = Part(axis.at(it.at));
            line.now x1=(now) y1="0" x2=(now) y2="100%" {}
        }
    }
}

/// The bar, and what it says to a pointer that rests on it.
fn bar_of(bar: &Bar, name: &str, zone: &Zone) -> Markup {
    html! {
        g {
            title { (name) ": " (bar.told(zone)) }
            @if let Some((from, until)) = bar.lead() {
                rect.lead fill="url(#hatch)" x=(Part(from)) y="20%" width=(Part(until - from)) height="60%" {}
            }
            @if let Some((from, until)) = bar.open() {
                rect.bar x=(Part(from)) y="20%" width=(Part(until - from)) height="60%" rx="3" {}
            }
        }
    }
}

fn told(bars: &[Bar], name: &str, zone: &Zone) -> String {
    let spans: Vec<_> = bars.iter().take(MOST_TOLD).map(|bar| bar.told(zone)).collect();
    match bars.len() {
        0 => format!("{name}: not in these days"),
        number if number > MOST_TOLD => {
            format!("{name}: {}; and {} more times", spans.join("; "), number - MOST_TOLD)
        }
        _ => format!("{name}: {}", spans.join("; ")),
    }
}
