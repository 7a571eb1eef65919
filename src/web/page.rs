//! The status page, made on the server. It is whole without its script, which
//! only fetches it again; states are told in words, never by colour alone.

pub(super) mod sync;
mod timeline;
pub(super) mod window;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{DOCTYPE, Markup, html};

use super::api::{JournalLine, Snapshot};
use super::times::{distance, span};
use crate::domain::advice;
use crate::domain::calendar::Calendar;
use crate::domain::operator::is_order;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::{Occurrence, Window};
use crate::domain::zone::Zone;
use crate::reconcile::{OrderReport, RowReport, RowState};

/// How far ahead the page looks.
const DAYS: i64 = 7;

/// More windows than this, rows and occurrences are counted, not shown.
const MOST_WINDOWS: usize = 500;
const MOST_ROWS: usize = 200;
const MOST_UPCOMING: usize = 12;

/// More occurrences of one window than this would hide the others.
const MOST_OF_ONE: usize = 3;

/// The status page.
pub(super) fn home(it: &Snapshot, journal: &[JournalLine]) -> Markup {
    let verdict = Verdict::of(it);
    frame(
        it,
        verdict.mood.word(),
        &html! {
            (headline(it, &verdict))
            (troubles(it))
            (timeline::draw(it))
            (holds(it, &it.status.syncs.iter().collect::<Vec<_>>()))
            (orders(it))
            div.pair {
                (upcoming(it))
                (changes(it, journal))
            }
            (about(it))
        },
    )
}

/// What somebody sees who follows a link to what is not there, or no more.
pub(super) fn missing(it: &Snapshot, what: &str) -> Markup {
    frame(
        it,
        "Not here",
        &html! {
            section aria-labelledby="verdict" {
                h1 #verdict { "Not here" }
                p { (what) }
                p { a href="/" { "Back to the state of things" } }
            }
        },
    )
}

/// What all pages have around them.
fn frame(it: &Snapshot, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – intermission" }
                link rel="icon" type="image/svg+xml" href="/icon.svg";
                link rel="stylesheet" href="/style.css";
                script src="/script.js" defer {}
                noscript { meta http-equiv="refresh" content="15"; }
            }
            body {
                a.skip href="#main" { "Skip to the state of things" }
                header.top {
                    p.brand { a href="/" { "intermission" } }
                    p.quiet { "Seen " (time(it.at, &it.zone)) " " span #stale hidden { "– not reached since" } }
                }
                main #main tabindex="-1" { (body) }
            }
        }
    }
}

/// How things are, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Paused,
    Trouble,
    Overdue,
}

impl Mood {
    fn word(self) -> &'static str {
        match self {
            Self::Well | Self::Paused => "All is well",
            Self::Trouble => "Trouble",
            Self::Overdue => "OVERDUE",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Well => "verdict well",
            Self::Paused => "verdict paused",
            Self::Trouble => "verdict trouble",
            Self::Overdue => "verdict overdue",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Well => "✓",
            Self::Paused => "II",
            Self::Trouble => "!",
            Self::Overdue => "!!",
        }
    }
}

struct Verdict {
    mood: Mood,
    sentence: String,
}

impl Verdict {
    fn of(it: &Snapshot) -> Self {
        let count = |wanted: fn(&RowReport) -> bool| it.status.syncs.iter().filter(|row| wanted(row)).count();
        let overdue = count(|row| row.overdue_seconds > 0);
        let failing = count(RowReport::is_trouble);
        let paused = count(|row| row.state.owes_resume() && row.since.is_some());
        let is_rejected = it.status.daemon.config_error.is_some();
        let (mood, sentence) = match (overdue, failing, paused) {
            (1.., _, _) => (Mood::Overdue, format!("{} still paused well past the end", syncs_are(overdue))),
            (_, 1.., _) => (Mood::Trouble, format!("{} failing, and tried again", syncs_are(failing))),
            _ if it.calendar.is_none() => (Mood::Trouble, "no configuration is in force".to_owned()),
            _ if !it.status.ledger_damage.is_empty() => {
                (Mood::Trouble, "rows of the ledger cannot be read".to_owned())
            }
            _ if !it.status.selection_errors.is_empty() => {
                (Mood::Trouble, "it is not known what windows select".to_owned())
            }
            _ if !it.is_written => (Mood::Trouble, "the ledger takes no writes".to_owned()),
            _ if it.status.daemon.clock_error.is_some() => (Mood::Trouble, "the clock is wrong".to_owned()),
            _ if is_rejected => (Mood::Trouble, "the configuration file is wrong".to_owned()),
            (_, _, 1..) => (Mood::Paused, format!("{} paused", syncs_are(paused))),
            _ => (Mood::Well, "nothing is paused".to_owned()),
        };
        Self { mood, sentence }
    }
}

fn syncs_are(number: usize) -> String {
    if number == 1 { "1 sync is".to_owned() } else { format!("{number} syncs are") }
}

fn headline(it: &Snapshot, verdict: &Verdict) -> Markup {
    html! {
        section class=(verdict.mood.class()) aria-labelledby="verdict" {
            span.sign aria-hidden="true" { (verdict.mood.sign()) }
            div {
                h1 #verdict { (verdict.mood.word()) ": " (verdict.sentence) }
                p role="status" { (next(it)) }
            }
        }
    }
}

/// What comes next, in words.
fn next(it: &Snapshot) -> Markup {
    let windows = || it.calendar.iter().flat_map(Calendar::windows).take(MOST_WINDOWS);
    let open = windows().filter_map(|window| Some((window.covering(it.at)?, window)));
    let opening = windows().filter_map(|window| Some((window.next_opening(it.at)?, window)));
    if let Some((closing, window)) = open.min_by_key(|(it, _)| it.closes) {
        return html! {
            "Open: " b { (window_link(it, &closing.window)) } " until " (time(closing.closes, window.times.zone()))
            ", " (distance(closing.closes, it.at))
        };
    }
    if let Some((next, window)) = opening.min_by_key(|(it, _)| it.opens) {
        return html! {
            "Next: " b { (window_link(it, &next.window)) } " on " (time(next.opens, window.times.zone()))
            ", " (distance(next.opens, it.at))
        };
    }
    html! { "No window opens any more: nothing is scheduled" }
}

/// What nobody may miss.
fn troubles(it: &Snapshot) -> Markup {
    let overdue: Vec<_> = it.status.syncs.iter().filter(|row| row.overdue_seconds > 0).collect();
    html! {
        @if !overdue.is_empty() {
            section.alarm role="alert" {
                h2 { "Overdue" }
                p { "These should run again, and do not. intermission goes on trying." }
                ul {
                    @for row in overdue.iter().take(MOST_ROWS) {
                        li {
                            b { (sync::link(&row_sync(row), &label(row))) } " is late by " b { (span(TimeDelta::seconds(row.overdue_seconds))) }
                            @if let Some(error) = &row.last_error { ": " (error) }
                        }
                    }
                }
            }
        }
        @if let Some(error) = &it.status.daemon.config_error {
            section.notice role="alert" {
                h2 { "The configuration file was rejected" }
                pre tabindex="0" { (error.trim_end()) }
            }
        }
        @if !it.is_written {
            section.notice role="alert" {
                h2 { "The ledger takes no writes" }
                p { "Nothing new is paused until it does. Resumes go on." }
            }
        }
        @if !it.status.selection_errors.is_empty() {
            section.notice role="alert" {
                h2 { "What windows select" }
                ul { @for line in &it.status.selection_errors { li { (linked(it, line)) } } }
            }
        }
        @for told in it.status.preflights.iter().filter(|it| it.error.is_some()).take(MOST_UPCOMING) {
            section.notice role="alert" {
                h2 { "Before " (window_link(it, &told.window)) " opens on " (time(told.opens, &it.zone)) }
                p { (told.error.as_deref().unwrap_or_default()) }
                p.quiet { (told.detail) }
            }
        }
        @if !it.status.ledger_damage.is_empty() {
            section.alarm role="alert" {
                h2 { "Rows of the ledger cannot be read" }
                p { "Nobody looks after what they hold: see whether these syncs run." }
                ul { @for row in &it.status.ledger_damage { li { (row) } } }
            }
        }
        @if let Some(error) = &it.status.daemon.clock_error {
            section.notice role="alert" {
                h2 { "The clock is wrong" }
                p { (error) }
            }
        }
    }
}

fn holds(it: &Snapshot, rows: &[&RowReport]) -> Markup {
    html! {
        section.holds aria-labelledby="holds" {
            h2 #holds { "Syncs being looked after" }
            @if rows.is_empty() {
                p.quiet { "None. Nothing is paused, and nothing is owed." }
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="holds" {
                    table {
                        thead { tr {
                            th scope="col" { "Sync" } th scope="col" { "State" } th scope="col" { "Windows" }
                            th scope="col" { "Since" } th scope="col" { "Until" } th scope="col" { "Last error" }
                        } }
                        tbody { @for row in rows.iter().take(MOST_ROWS) { (hold(it, row)) } }
                    }
                }
                @if rows.len() > MOST_ROWS { p.quiet { "And " (rows.len() - MOST_ROWS) " more: see " code { "intermission status" } } }
            }
        }
    }
}

fn hold(it: &Snapshot, row: &RowReport) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Sync" {
                (sync::link(&row_sync(row), &label(row)))
                span.id { (row.kind) " " (row.id) @if row.organization.as_str() != "default" { ", " (row.organization) } }
            }
            td data-label="State" {
                span class=(badge(row)) { (state_of(row)) }
            }
            td data-label="Windows" {
                @if row.windows.is_empty() { "–" }
                @for (index, window) in row.windows.iter().enumerate() { @if index > 0 { ", " } (window_link(it, window)) }
            }
            td data-label="Since" { (maybe(row.since, it)) }
            td data-label="Until" { (maybe(row.until, it)) }
            td data-label="Last error" {
                @match &row.last_error {
                    Some(error) => { (error) " (attempt " (row.attempts) ")" }
                    None => { "–" }
                }
            }
        }
    }
}

fn orders(it: &Snapshot) -> Markup {
    let orders = &it.status.orders;
    html! {
        @if !orders.is_empty() {
            section aria-labelledby="orders" {
                h2 #orders { "What operators ordered" }
                ol.list {
                    @for order in orders.iter().take(MOST_ROWS) { li { (order_of(it, order)) } }
                }
                @if orders.len() > MOST_ROWS { p.quiet { "And " (orders.len() - MOST_ROWS) " more" } }
            }
        }
    }
}

fn order_of(it: &Snapshot, order: &OrderReport) -> Markup {
    let is_later = it.at < order.from;
    html! {
        b { (order.name) } " " span class=(if is_later { "badge" } else { "badge paused" }) { (order.what) }
        " "
        @match (&order.window, order.syncs) {
            (Some(window), _) => { (window_link(it, window)) }
            (None, Some(1)) => { "1 sync" }
            (None, Some(number)) => { (number) " syncs" }
            (None, None) => { "all syncs" }
        }
        br;
        @if is_later { "from " (time(order.from, &it.zone)) " " }
        "until " (time(order.until, &it.zone)) ", " (distance(order.until, it.at)) ": " (order.reason)
        br; span.quiet { "by " (order.by) }
    }
}

/// A window's name, which leads to its page if it has one, or that of an
/// operator's order, which leads to where the orders are told.
fn window_link(it: &Snapshot, name: &Name) -> Markup {
    let is_told = || it.status.orders.iter().any(|order| order.name == *name);
    html! {
        @if window::has_page(it, name) { a href={ "/window/" (name) } { (name) } }
        @else if is_order(name) && is_told() { a href="/#orders" { (name) } }
        @else { (name) }
    }
}

/// A sentence about ``window `NAME` ``, with the way to its page.
fn linked(it: &Snapshot, text: &str) -> Markup {
    let named = text.split_once("window `").and_then(|(before, rest)| Some((before, rest.split_once('`')?)));
    html! {
        @match named {
            Some((before, (name, after))) => { (before) "window `" (window_link(it, &Name::from(name))) "`" (after) }
            None => { (text) }
        }
    }
}

/// Where the page of a sync is. Names of organizations are safe in an address.
fn sync_url(it: &SyncRef) -> String {
    format!("/sync/{}/{}/{}", it.organization, it.kind, it.id)
}

/// Which sync a row is about.
fn row_sync(row: &RowReport) -> SyncRef {
    SyncRef::new(row.organization.clone(), row.kind, row.id)
}

/// What its badge says.
fn state_of(row: &RowReport) -> String {
    if row.overdue_seconds > 0 { "overdue".to_owned() } else { row.state_in_words() }
}

fn badge(row: &RowReport) -> &'static str {
    match row.state {
        _ if row.overdue_seconds > 0 => "badge overdue",
        _ if row.last_error.is_some() => "badge trouble",
        RowState::Held | RowState::Pausing | RowState::Resuming => "badge paused",
        RowState::Settling | RowState::Skipped | RowState::Released | RowState::Exempt => "badge",
    }
}

fn upcoming(it: &Snapshot) -> Markup {
    let until = it.at + TimeDelta::days(DAYS);
    let windows = it.calendar.iter().flat_map(Calendar::windows).take(MOST_WINDOWS);
    let mut next: Vec<_> = windows.flat_map(|window| coming(window, it.at, until)).collect();
    next.sort_by(|(a, ..), (b, ..)| (a.opens, &a.window).cmp(&(b.opens, &b.window)));
    html! {
        section aria-labelledby="upcoming" {
            h2 #upcoming { "Upcoming" }
            @if next.is_empty() { p.quiet { "No window is open in the next " (DAYS) " days." } }
            ol.list {
                @for (occurrence, window, is_last_told) in next.iter().take(MOST_UPCOMING) {
                    li { (occurrence_of(it, occurrence, window)) @if *is_last_told { br; span.quiet { "and again after that" } } }
                }
            }
        }
    }
}

/// The next occurrences of a window, and whether it is the last that is told
/// and not the last that there is.
fn coming(
    window: &Window,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = (Occurrence, &Window, bool)> {
    let found: Vec<_> = window.occurrences(from, until).take(MOST_OF_ONE + 1).collect();
    let is_more = found.len() > MOST_OF_ONE;
    let told = found.into_iter().take(MOST_OF_ONE).enumerate();
    told.map(move |(index, it)| (it, window, is_more && index + 1 == MOST_OF_ONE))
}

fn occurrence_of(it: &Snapshot, occurrence: &Occurrence, window: &Window) -> Markup {
    html! {
        b { (window_link(it, &occurrence.window)) }
        @if occurrence.opens <= it.at { " " span class="badge paused" { "open" } }
        br;
        (time(occurrence.opens, window.times.zone())) ", for "
        (span(occurrence.closes - occurrence.opens)) ", "
        (window.syncs.len()) (if window.syncs.len() == 1 { " sync" } else { " syncs" })
        @for note in advice::notes(window, occurrence) { br; span.note { "Clocks: " (note) } }
    }
}

/// What was last done, newest first.
fn changes(it: &Snapshot, journal: &[JournalLine]) -> Markup {
    html! {
        section.recent aria-labelledby="recent" {
            h2 #recent { "Recent" }
            @if journal.is_empty() { p.quiet { "Nothing has happened yet." } }
            ol.list { @for line in journal.iter().rev() { li { (change(it, line)) } } }
        }
    }
}

fn change(it: &Snapshot, line: &JournalLine) -> Markup {
    html! {
        b { (line.event.replace('_', " ")) }
        @match (&line.organization, line.kind, line.id) {
            (Some(organization), Some(kind), Some(id)) => {
                " " (sync::link(&SyncRef::new(organization.clone(), kind, id), &line.name.clone().unwrap_or_else(|| id.to_string())))
            }
            _ => { @if let Some(name) = &line.name { " " (name) } }
        }
        @if let Some(window) = &line.window { " for " (window_link(it, window)) }
        @if let Some(attempt) = line.attempt { ", attempt " (attempt) }
        br;
        span.quiet { (time(line.at, &it.zone)) ", by " (line.by) }
        @for more in [&line.error, &line.detail].into_iter().flatten() { br; (it.zone.retell(more)) }
        @if let Some(description) = line.untold_description() { br; span.quiet { (description) } }
    }
}

fn about(it: &Snapshot) -> Markup {
    let daemon = &it.status.daemon;
    html! {
        section aria-labelledby="about" {
            h2 #about { "In force" }
            dl {
                dt { "Configuration" }
                dd {
                    (daemon.config)
                    @match (&it.calendar, &it.fingerprint) {
                        (Some(calendar), Some(fingerprint)) => {
                            ", " (calendar.windows().len()) " windows, " (calendar.syncs().count()) " syncs, fingerprint "
                            code { (fingerprint) }
                        }
                        _ => { ": not in force" }
                    }
                }
                @for warning in &it.warnings { dt { "Warning" } dd { (linked(it, warning)) } }
                @for (name, url) in &it.organizations { dt { "Organization " (name) } dd { (url) } }
                dt { "Time zone data" } dd { (daemon.tzdb) }
                dt { "Version" } dd { (daemon.version) ", since " (time(daemon.started_at, &it.zone)) }
                dt { "For programs" }
                dd {
                    a href="/api/v1/status" { "status" } ", " a href="/api/v1/upcoming" { "upcoming" } ", "
                    a href="/api/v1/windows" { "windows" } ", " a href="/api/v1/plan" { "plan" } ", " a href="/api/v1/history" { "history" } ", "
                    a href="/api/v1/openapi.json" { "their description" } ", " a href="/metrics" { "metrics" } ", " a href="/calendar.ics" { "calendar" }
                }
            }
        }
    }
}

/// The name, where there is one.
fn label(row: &RowReport) -> String {
    row.name.clone().unwrap_or_else(|| row.id.to_string())
}

fn maybe(at: Option<DateTime<Utc>>, it: &Snapshot) -> Markup {
    html! { @match at { Some(at) => { (time(at, &it.zone)) } None => { "–" } } }
}

/// An instant as clocks in this zone show it; the script adds the reader's.
fn time(at: DateTime<Utc>, zone: &Zone) -> Markup {
    let at_local = super::times::local(at, zone);
    let shown = at_local.format("%a %-d %b %H:%M");
    html! {
        time datetime=(at_local.to_rfc3339_opts(SecondsFormat::Secs, false)) { (shown) " " (zone.abbreviation(at)) }
    }
}
