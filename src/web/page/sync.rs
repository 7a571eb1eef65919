//! The page of one sync: what `why` tells, and what was last done to it.

use maud::{Markup, html};

use super::super::api::{JournalLine, Snapshot};
use super::super::times::{distance, span};
use super::{changes, frame, sync_url, time, window_link};
use crate::reconcile::{Holder, RowReport, Wanted, Why};

/// The whole page.
pub(in crate::web) fn page(it: &Snapshot, why: &Why, journal: &[JournalLine]) -> Markup {
    let name = why.name.clone().unwrap_or_else(|| why.sync.id.to_string());
    frame(
        it,
        &name,
        &html! {
            (headline(it, why, &name))
            (holders(it, why))
            (super::timeline::of_sync(it, &why.sync))
            @if let Some(row) = &why.row { (row_of(it, row)) }
            (changes(it, journal))
        },
    )
}

fn headline(it: &Snapshot, why: &Why, name: &str) -> Markup {
    let until = why.until.or(why.exempt_until);
    let is_overdue = why.row.as_ref().is_some_and(|row| row.overdue_seconds > 0);
    html! {
        section class=(class(why, is_overdue)) aria-labelledby="verdict" {
            div {
                h1 #verdict { (name) }
                p role="status" {
                    @if is_overdue { b { "OVERDUE: " } }
                    (why.sentence())
                    @if let Some(until) = until { ", until " (time(until, &it.zone)) " (" (distance(until, it.at)) ")" }
                }
                p { (next(it, why)) }
                p.id { (why.sync.kind) " sync " (why.sync.id) ", organization " (why.sync.organization) }
            }
        }
    }
}

fn class(why: &Why, is_overdue: bool) -> &'static str {
    match why.wanted {
        _ if is_overdue => "verdict overdue",
        _ if why.row.as_ref().is_some_and(RowReport::is_trouble) => "verdict trouble",
        Wanted::Paused => "verdict paused",
        Wanted::Running | Wanted::LeftAlone | Wanted::Exempt => "verdict well",
    }
}

fn next(it: &Snapshot, why: &Why) -> Markup {
    html! {
        @match &why.next {
            Some(next) => {
                "Next: paused by " (window_link(it, &next.window)) " on " (time(next.pauses, &it.zone))
                ", " (distance(next.pauses, it.at))
            }
            None => { "No further pause is to come." }
        }
    }
}

fn holders(it: &Snapshot, why: &Why) -> Markup {
    html! {
        section aria-labelledby="holders" {
            h2 #holders { "What asks for a pause now" }
            @if why.holders.is_empty() { p.quiet { "Nothing." } }
            ol.list { @for holder in &why.holders { li { (holder_of(it, why, holder)) } } }
            h2.later { "Windows that cover it" }
            @if why.windows.is_empty() { p.quiet { "None." } }
            ul.list { @for window in &why.windows { li { (window_link(it, window)) } } }
        }
    }
}

fn holder_of(it: &Snapshot, why: &Why, holder: &Holder) -> Markup {
    let occurrence = &holder.occurrence;
    html! {
        (window_link(it, &occurrence.window)) " "
        @if !holder.counts { span.badge { "does not count" } ": " (why.why_not_counted()) }
        br;
        (time(occurrence.pauses, &it.zone)) " to " (time(occurrence.closes, &it.zone))
        @if let Some(description) = &holder.description { br; (description) }
        @if let Some(by) = &holder.by { br; span.quiet { "by " (by) } }
    }
}

fn row_of(it: &Snapshot, row: &RowReport) -> Markup {
    html! {
        section aria-labelledby="row" {
            h2 #row { "What is remembered of it" }
            dl {
                dt { "State" } dd { span class=(super::badge(row)) { (row.state_in_words()) } }
                @if let Some(since) = row.since { dt { "Row since" } dd { (time(since, &it.zone)) } }
                @if let Some(until) = row.until { dt { "Until" } dd { (time(until, &it.zone)) } }
                @if row.overdue_seconds > 0 {
                    dt { "Late by" } dd { (span(chrono::TimeDelta::seconds(row.overdue_seconds))) }
                }
                @if let Some(error) = row.last_attempt() { dt { "Last error" } dd { (error) } }
            }
        }
    }
}

/// A link to the page of this sync, under this name.
pub(super) fn link(it: &crate::domain::sync::SyncRef, name: &str) -> Markup {
    html! { a href=(sync_url(it)) { (name) } }
}
