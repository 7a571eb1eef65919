//! What the file allows and its author may not have meant.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::Context;
use super::organization::Organizations;
use super::source::Source;
use super::window::{Placed, Zones};
use crate::domain::advice::advice;
use crate::domain::window::Window;

/// A year of each window is looked at; with very many windows, of the first ones.
const MOST_ADVISED: usize = 2000;

/// A pause of all syncs that takes longer than this is told.
const LONG_SECONDS: u64 = 30;

/// A pause is a look and a call.
const REQUESTS_PER_PAUSE: u64 = 2;

/// Notes every warning about the file as a whole, and those about its windows that take
/// no looking ahead.
pub(super) fn warn(
    windows: &[Placed],
    organizations: &Organizations<'_>,
    zones: &Zones<'_>,
    source: &Source<'_>,
    cx: &Context<'_>,
) {
    if windows.is_empty() {
        source.warn(0..0, "the file has no window: nothing will ever be paused", "add a `[[window]]`");
    }
    if let Some(trouble) = zone_trouble(cx) {
        source.warn(
            zones.at(),
            trouble,
            "update the package `tzdata`, or `TZDIR`: rules of daylight saving time may have changed",
        );
    }
    for placed in windows {
        slow(placed, organizations, source);
    }
}

/// Notes what may surprise about the times of windows, each of which begins at its place.
pub(super) fn look_ahead(
    windows: &[Window],
    places: &[Range<usize>],
    source: &Source<'_>,
    now: DateTime<Utc>,
) {
    for (window, at) in windows.iter().zip(places).take(MOST_ADVISED) {
        for advice in advice(window, now) {
            source.warn(at.clone(), format!("window `{}`: {advice}", window.name), "");
        }
    }
    if let Some(first) = places.get(MOST_ADVISED) {
        let rest = places.len() - MOST_ADVISED;
        source.warn(
            first.clone(),
            format!("the times of {rest} windows from here on were not looked at for surprises"),
            "",
        );
    }
}

/// What is wrong with the time zone data, if anything is.
pub(super) fn zone_trouble(cx: &Context<'_>) -> Option<String> {
    let version = cx.tzdb.version();
    cx.tzdb
        .is_older_than_a_year(cx.now)
        .then(|| format!("the time zone data, {version}, is older than a year"))
}

/// More syncs than the rate can pause in reasonable time.
fn slow(Placed { window, at }: &Placed, organizations: &Organizations<'_>, source: &Source<'_>) {
    let Some(sync) = window.syncs.first() else { return };
    let limits = organizations.limits_of(&sync.organization);
    let Some(rate) = limits.and_then(|limits| limits.max_requests_per_second) else { return };
    let count = window.syncs.len();
    let seconds = (count as u64 * REQUESTS_PER_PAUSE).div_ceil(u64::from(rate));
    if seconds > LONG_SECONDS && window.lead.num_seconds().unsigned_abs() < seconds {
        source.warn(
            at.clone(),
            format!(
                "window `{}`: {count} syncs need about {seconds} s at {rate} requests a second",
                window.name
            ),
            format!("consider `lead = \"{}m\"`, so that all are paused when it opens", seconds.div_ceil(60)),
        );
    }
}
