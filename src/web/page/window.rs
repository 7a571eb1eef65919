//! The page of one window: when it opens next, which syncs it pauses, which it
//! holds now, and what was last done for it. A window that is no longer in force
//! has one for as long as a hold names it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use maud::{Markup, html};

use super::super::api::{JournalLine, Snapshot, window_state};
use super::super::times::{distance, span};
use super::{MOST_ROWS, MOST_UPCOMING, changes, frame, holds, row_sync, sync, time};
use crate::domain::advice;
use crate::domain::operator::is_order;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::{Occurrence, Window};
use crate::reconcile::RowReport;

/// How far ahead the page looks for occurrences.
const AHEAD_DAYS: i64 = 366;

/// Whether there is such a page: the window is in force, or a hold names it.
pub(in crate::web) fn has_page(it: &Snapshot, name: &Name) -> bool {
    let is_in_force = it.calendar.as_ref().is_some_and(|it| it.window(name.as_str()).is_some());
    is_in_force || (!is_order(name) && it.status.syncs.iter().any(|row| row.windows.contains(name)))
}

/// The whole page.
pub(in crate::web) fn page(it: &Snapshot, name: &Name, journal: &[JournalLine]) -> Markup {
    match it.calendar.as_ref().and_then(|it| it.window(name.as_str())) {
        Some(window) => in_force(it, window, journal),
        None => gone(it, name, journal),
    }
}

fn in_force(it: &Snapshot, window: &Window, journal: &[JournalLine]) -> Markup {
    frame(
        it,
        window.name.as_str(),
        &html! {
            (headline(it, window))
            (super::timeline::of_window(it, window))
            (occurrences(it, window))
            (syncs(it, window))
            (changes(it, journal))
        },
    )
}

/// Of a window that only holds know.
fn gone(it: &Snapshot, name: &Name, journal: &[JournalLine]) -> Markup {
    let rows: Vec<_> = it.status.syncs.iter().filter(|row| row.windows.contains(name)).collect();
    frame(
        it,
        name.as_str(),
        &html! {
            section.verdict.trouble aria-labelledby="verdict" {
                div {
                    h1 #verdict { (name) }
                    p role="status" { "Not in force any more. What a hold still names it for is below, with when that ends." }
                }
            }
            (holds(it, &rows))
            (changes(it, journal))
        },
    )
}

fn headline(it: &Snapshot, window: &Window) -> Markup {
    let (state, occurrence) = window_state(window, it.at);
    let class = if matches!(state, "open" | "lead") { "verdict paused" } else { "verdict well" };
    html! {
        section class=(class) aria-labelledby="verdict" {
            div {
                h1 #verdict { (window.name) }
                p role="status" { (told(it, window, state, occurrence.as_ref())) }
                @if let Some(description) = &window.description { p { (description) } }
                p.id { "Times are those of " (window.times.zone()) "." }
            }
        }
    }
}

fn told(it: &Snapshot, window: &Window, state: &str, occurrence: Option<&Occurrence>) -> Markup {
    let zone = window.times.zone();
    html! {
        @match (state, occurrence) {
            ("open", Some(open)) => {
                "Open until " (time(open.closes, zone)) ", " (distance(open.closes, it.at))
            }
            ("lead", Some(coming)) => {
                "Pauses already; opens on " (time(coming.opens, zone)) ", " (distance(coming.opens, it.at))
            }
            (_, Some(next)) => {
                "Closed; opens on " (time(next.opens, zone)) ", " (distance(next.opens, it.at))
            }
            (_, None) => { "Over: it opens no more" }
        }
    }
}

fn occurrences(it: &Snapshot, window: &Window) -> Markup {
    let zone = window.times.zone();
    let until = it.at + TimeDelta::days(AHEAD_DAYS);
    let next: Vec<_> = window.occurrences(it.at, until).take(MOST_UPCOMING).collect();
    html! {
        section aria-labelledby="next" {
            h2 #next { "Next occurrences" }
            @if next.is_empty() { p.quiet { "None in the next " (AHEAD_DAYS) " days." } }
            ol.list {
                @for occurrence in &next {
                    li {
                        (time(occurrence.opens, zone)) " to " (time(occurrence.closes, zone))
                        span.quiet { ", " (span(occurrence.closes - occurrence.opens)) }
                        @if occurrence.opens <= it.at { " " span class="badge paused" { "open" } }
                        @for note in advice::notes(window, occurrence) { br; span.note { "Clocks: " (note) } }
                    }
                }
            }
        }
    }
}

fn syncs(it: &Snapshot, window: &Window) -> Markup {
    let rows: BTreeMap<SyncRef, &RowReport> =
        it.status.syncs.iter().map(|row| (row_sync(row), row)).collect();
    html! {
        section aria-labelledby="syncs" {
            h2 #syncs { "Its syncs (" (window.syncs.len()) ")" }
            @if window.syncs.is_empty() { p.quiet { "None." } }
            ul.list {
                @for member in window.syncs.iter().take(MOST_ROWS) { li { (member_of(it, window, member, rows.get(member).copied())) } }
            }
            @if window.syncs.len() > MOST_ROWS { p.quiet { "And " (window.syncs.len() - MOST_ROWS) " more" } }
        }
    }
}

fn member_of(it: &Snapshot, window: &Window, member: &SyncRef, row: Option<&RowReport>) -> Markup {
    let name = row.and_then(|it| it.name.clone()).unwrap_or_else(|| it.name_of(member));
    html! {
        (sync::link(member, &name)) " "
        @if let Some(row) = row {
            span class=(super::badge(row)) { (super::state_of(row)) }
            @if !row.windows.contains(&window.name) { span.quiet { " not by this window" } }
        }
        span.id { (member.kind) " sync " (member.id) }
    }
}
