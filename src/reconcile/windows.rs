//! Notices occurrences that open, close or were missed, and tells of each once,
//! whatever restarts lie in between.

use crate::domain::calendar::Calendar;
use crate::domain::event::{Event, EventKind};
use crate::domain::moment::{Moment, instant};
use crate::domain::watch::WindowWatch;
use crate::domain::window::{Occurrence, Window};
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// Of more missed occurrences than this, only their number is told.
const TOLD_ONE_BY_ONE: usize = 10;

/// No more are counted than this after a clock that jumped by decades.
const COUNTED: usize = 1000;

impl Reconciler {
    /// Compares each window with what was last told of it.
    pub(super) fn watch_windows(&mut self, calendar: &Calendar, now: Moment, actions: &mut Vec<Action>) {
        self.watch(calendar.windows().iter(), now, actions);
        let gone: Vec<_> =
            self.watches.keys().filter(|it| calendar.window(it.as_str()).is_none()).cloned().collect();
        for name in gone {
            let Some(watch) = self.watches.remove(&name) else { continue };
            let closed = watch.open.map(|it| Event {
                detail: Some("the window is no longer in the configuration".to_owned()),
                ..about(EventKind::WindowClosed, &it)
            });
            actions.push(write(Change::new().unwatch(name), closed.into_iter().collect(), now));
        }
    }

    /// Compares these windows with what was last told of them.
    pub(super) fn watch<'a>(
        &mut self,
        windows: impl Iterator<Item = &'a Window>,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        for window in windows {
            let before = self.watches.get(&window.name);
            let (watch, events) = compare(window, before, now);
            if before == Some(&watch) && events.is_empty() {
                continue;
            }
            // Only what is told needs to be durable at once.
            if before.is_none_or(|it| it.fingerprint != watch.fingerprint) || !events.is_empty() {
                actions.push(write(Change::new().watch(watch.clone()), events, now));
            }
            self.watches.insert(window.name.clone(), watch);
        }
    }
}

/// What is to be told of a window, and what is to be remembered as told.
fn compare(window: &Window, before: Option<&WindowWatch>, now: Moment) -> (WindowWatch, Vec<Event>) {
    let fingerprint = window.fingerprint();
    let open = window.covering(now.wall);
    let mut events = Vec::new();
    if let Some(before) = before {
        if before.fingerprint == fingerprint {
            events.extend(missed(window, before, now));
        }
        if let Some(closed) = before.open.as_ref().filter(|it| !open.as_ref().is_some_and(|open| open.is(it)))
        {
            let early = now.wall < closed.closes;
            let detail =
                early.then(|| "earlier than announced: the window was changed, or the clock".to_owned());
            events.push(Event { detail, ..about(EventKind::WindowClosed, closed) });
        }
    }
    let told = before.and_then(|it| it.open.as_ref());
    if let Some(open) = open.as_ref().filter(|it| !told.is_some_and(|told| told.is(it))) {
        let detail = Some(match &window.description {
            Some(description) => format!("until {}: {description}", instant(open.closes)),
            None => format!("until {}", instant(open.closes)),
        });
        events.push(Event { detail, ..about(EventKind::WindowOpened, open) });
    }
    let watch = WindowWatch { window: window.name.clone(), fingerprint, seen_until: now.wall, open };
    (watch, events)
}

/// Occurrences that began and ended since the window was last seen to.
fn missed(window: &Window, before: &WindowWatch, now: Moment) -> Vec<Event> {
    // One that had opened by then was told.
    let missed: Vec<Occurrence> = window
        .occurrences(before.seen_until, now.wall)
        .filter(|it| before.seen_until < it.opens && it.closes <= now.wall)
        .take(COUNTED)
        .collect();
    match missed.split_last() {
        Some((last, rest)) if missed.len() > TOLD_ONE_BY_ONE => vec![Event {
            detail: Some(format!("and the {} before it", rest.len())),
            ..about(EventKind::WindowMissed, last)
        }],
        _ => missed.iter().map(|it| about(EventKind::WindowMissed, it)).collect(),
    }
}

fn about(kind: EventKind, occurrence: &Occurrence) -> Event {
    Event { window: Some(occurrence.window.clone()), occurrence: Some(occurrence.opens), ..Event::new(kind) }
}
