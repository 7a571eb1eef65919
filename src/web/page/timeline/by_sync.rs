//! The same days by sync: one row a sync, in it one line for each window, so
//! that it can be seen which of them covers it when.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::super::api::Snapshot;
use super::super::super::axis::Axis;
use super::{NARROWEST, alone, axis, days, track};
use crate::domain::calendar::Calendar;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;
use crate::reconcile::RowReport;
use crate::web::page::{MOST_WINDOWS, badge, row_sync, state_of, sync, time, window_link};

/// More syncs than this are counted, not drawn.
const MOST: usize = 8;

/// More windows of one sync than this are counted, not drawn.
const MOST_LINES: usize = 6;

pub(super) fn draw(it: &Snapshot, axis: &Axis) -> Markup {
    let rows = rows(it);
    let shown = nearest(it);
    let covered = it.calendar.iter().flat_map(Calendar::syncs);
    let number = covered.chain(rows.keys()).collect::<BTreeSet<_>>().len();
    html! {
        h3 #by-sync { "By sync" }
        @if shown.is_empty() { p.quiet { "No window has any." } }
        @else { (days(it, axis)) }
        ul.rows role="list" aria-labelledby="by-sync" {
            @for sync in &shown { (row(it, axis, sync, rows.get(sync).copied())) }
        }
        @if number > shown.len() { p.quiet { (rest(it, number - shown.len())) } }
    }
}

/// What the page of one sync shows of it.
pub(in crate::web::page) fn of_one(it: &Snapshot, sync: &SyncRef) -> Markup {
    let windows: Vec<_> = it.calendar.iter().flat_map(|it| it.windows_of(sync)).cloned().collect();
    alone(it, &windows, &html! { li.row.sync { (lines(it, &axis(it), sync)) } })
}

fn rows(it: &Snapshot) -> BTreeMap<SyncRef, &RowReport> {
    it.status.syncs.iter().map(|row| (row_sync(row), row)).collect()
}

/// What is held, the latest first, and what will be held next.
fn nearest(it: &Snapshot) -> Vec<SyncRef> {
    let mut held: Vec<_> = it.status.syncs.iter().filter(|row| row.state.owes_resume()).collect();
    held.sort_by_key(|row| (-row.overdue_seconds, row.until));
    let mut coming: Vec<_> = it.calendar.iter().flat_map(|calendar| coming(calendar, it.at)).collect();
    coming.sort_by_key(|(at, _)| *at);
    let coming = coming.into_iter().flat_map(|(_, syncs)| syncs.into_iter().cloned());
    let mut seen = BTreeSet::new();
    let all = held.into_iter().map(row_sync).chain(coming);
    all.filter(|sync| seen.insert(sync.clone())).take(MOST).collect()
}

/// When each window and each order pauses next, or does already, and whom: so
/// many as are enough even if all others were named before.
fn coming(calendar: &Calendar, now: DateTime<Utc>) -> impl Iterator<Item = (DateTime<Utc>, Vec<&SyncRef>)> {
    let next = move |window: &Window| window.pausing(now).next().or_else(|| window.next_pausing(now));
    let windows = calendar.windows().iter().take(MOST_WINDOWS);
    let windows = windows
        .filter_map(move |window| Some((next(window)?.pauses, window.syncs.iter().take(2 * MOST).collect())));
    let orders = calendar.orders().iter().filter(move |it| now < it.until && it.holder().is_some());
    windows.chain(orders.map(|order| (order.from, order.syncs().take(2 * MOST).collect())))
}

fn rest(it: &Snapshot, number: usize) -> String {
    let held = it.status.syncs.iter().filter(|row| row.state.owes_resume()).count().saturating_sub(MOST);
    match held {
        0 => format!(
            "And {number} more, which are paused later or not at all; the page of a window names its syncs."
        ),
        held => format!("And {number} more, {held} of which are held; the page of a window names its syncs."),
    }
}

fn row(it: &Snapshot, axis: &Axis, sync: &SyncRef, row: Option<&RowReport>) -> Markup {
    html! {
        li.row.sync {
            div.whose {
                b { (sync::link(sync, &it.name_of(sync))) }
                @if let Some(row) = row {
                    " " span class=(badge(row)) { (state_of(row)) }
                    @if let (true, Some(until)) = (row.state.owes_resume(), row.until) { span.quiet { " until " (time(until, &it.zone)) } }
                }
            }
            (lines(it, axis, sync))
        }
    }
}

fn lines(it: &Snapshot, axis: &Axis, sync: &SyncRef) -> Markup {
    let by_window = by_window(it, axis, sync);
    html! {
        @if by_window.is_empty() { div.whose.quiet { "No window covers it." } }
        @for (window, asking) in by_window.iter().take(MOST_LINES) {
            div.who { (window_link(it, window)) }
            (track(it, axis, &axis.bars(asking.iter().cloned(), NARROWEST), window.as_str(), zone_of(it, window)))
        }
        @if by_window.len() > MOST_LINES { div.who.quiet { "and " (by_window.len() - MOST_LINES) " more windows" } }
    }
}

/// What asks for it, by who asks; also windows that do not in these days.
fn by_window(it: &Snapshot, axis: &Axis, sync: &SyncRef) -> BTreeMap<Name, Vec<Occurrence>> {
    let Some(calendar) = &it.calendar else { return BTreeMap::new() };
    let mut by_window: BTreeMap<_, Vec<_>> =
        calendar.windows_of(sync).map(|window| (window.name.clone(), Vec::new())).collect();
    for asking in calendar.asking(sync, axis.from, axis.until) {
        by_window.entry(asking.window.clone()).or_default().push(asking);
    }
    by_window
}

fn zone_of<'a>(it: &'a Snapshot, window: &Name) -> &'a Zone {
    let window = it.calendar.as_ref().and_then(|it| it.window(window.as_str()));
    window.map_or(&it.zone, |it| it.times.zone())
}
