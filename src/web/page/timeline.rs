//! The next days by window, with now marked. Bars are drawn as SVG without any
//! style of their own, so that the page's policy can refuse inline styles.

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::super::api::Snapshot;
use super::super::svg::Axis;
use super::DAYS;
use crate::domain::window::Window;

/// More windows than this make no picture.
const MOST: usize = 30;

/// The width of a bar's picture; whatever it is shown at.
const WIDTH: i64 = 10_000;

/// What is shorter is still seen.
const NARROWEST: i64 = 30;

pub(super) fn draw(it: &Snapshot) -> Markup {
    let today = it.zone.civil(it.at).date();
    let midnight = |day: i64| it.zone.instant((today + TimeDelta::days(day)).and_time(NaiveTime::MIN));
    let axis = Axis { from: midnight(0), until: midnight(DAYS), length: WIDTH };
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
                p.quiet {
                    "The line is now; days are those of " (it.zone.name()) ". "
                    a href="/timeline.svg" { "As a picture" }
                }
            }
        }
    }
}

fn row(window: &Window, it: &Snapshot, axis: &Axis, midnight: &impl Fn(i64) -> DateTime<Utc>) -> Markup {
    let bars = axis.bars(window, NARROWEST);
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
                @for bar in bars { rect.bar x=(bar.from) y="18" width=(bar.until - bar.from) height="64" {} }
                rect.now x=(axis.at(it.at)) y="0" width="24" height="100" {}
            }
        }
    }
}
