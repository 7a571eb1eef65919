//! Where a simulation goes unless it is said: the nights of the coming year in
//! which the clocks of a window change, and the next occurrence of each window.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::advice;
use crate::domain::calendar::Calendar;
use crate::domain::window::{Occurrence, Window};

/// One stretch of simulated time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
    /// Why it is looked at.
    pub(super) about: Vec<String>,
}

/// All stretches, and how many more there would be.
pub(super) struct Tour {
    pub(super) legs: Vec<Leg>,
    pub(super) left_out: usize,
}

/// How far ahead clock changes are looked for.
const YEAR: TimeDelta = TimeDelta::days(365);

/// Before an occurrence, and after it.
const MARGIN: TimeDelta = TimeDelta::minutes(15);

/// No more than these.
const MOST_LEGS: usize = 50;

/// The nights that matter, in order. What overlaps is one.
pub(super) fn nights(calendar: &Calendar, now: DateTime<Utc>) -> Tour {
    let mut legs: Vec<Leg> = calendar.windows().iter().flat_map(|it| of_window(it, now)).collect();
    legs.sort_by_key(|it| (it.from, it.until));
    let mut legs = legs.into_iter().fold(Vec::new(), joined);
    let left_out = legs.len().saturating_sub(MOST_LEGS);
    legs.truncate(MOST_LEGS);
    Tour { legs, left_out }
}

fn of_window(window: &Window, now: DateTime<Utc>) -> Vec<Leg> {
    let next = window.next_pausing(now).map(|it| leg(&it, "the next occurrence"));
    let mut legs: Vec<Leg> = next.into_iter().collect();
    let zone = window.times.zone();
    let mut change = zone.next_transition(now);
    while let Some(at) = change.map(|it| it.at).filter(|at| *at < now + YEAR) {
        // Those that close just then count, too.
        let tick = TimeDelta::nanoseconds(1);
        for occurrence in window.occurrences(at - tick, at + tick).filter(|it| now < it.pauses) {
            let notes = advice::notes(window, &occurrence);
            legs.extend(notes.iter().map(|note| leg(&occurrence, note)));
        }
        change = zone.next_transition(at);
    }
    legs
}

fn leg(occurrence: &Occurrence, why: &str) -> Leg {
    Leg {
        from: occurrence.pauses - MARGIN,
        until: occurrence.closes + MARGIN,
        about: vec![format!("{}: {why}", occurrence.window)],
    }
}

fn joined(mut legs: Vec<Leg>, next: Leg) -> Vec<Leg> {
    match legs.last_mut().filter(|it| next.from <= it.until) {
        Some(last) => {
            last.until = last.until.max(next.until);
            let new = next.about.into_iter().filter(|it| !last.about.contains(it));
            let new: Vec<_> = new.collect();
            last.about.extend(new);
        }
        None => legs.push(next),
    }
    legs
}
