//! What `resume` ended, and what follows for each sync.

use chrono::{DateTime, Utc};

use crate::cli::table::{Mood, Rows, count};
use crate::cli::times;
use crate::domain::hold::HoldState;
use crate::domain::sync::Name;
use crate::domain::zone::Zone;
use crate::reconcile::OrderReport;
use crate::web::api::{ResumeAnswer, ResumedSync};

/// All of it.
pub(super) fn tell(answer: &ResumeAnswer, zone: &Zone, now: DateTime<Utc>) -> String {
    let first = answer.order.as_ref().map(|order| headline(order, answer.closes, zone, now));
    let table = (!answer.syncs.is_empty()).then(|| table(&answer.syncs, zone));
    match (first, table) {
        (Some(first), Some(table)) => format!("{first}\n\n{table}"),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => "nothing is paused".to_owned(),
    }
}

/// An order that is no more, and what follows from that.
fn headline(order: &OrderReport, closes: Option<DateTime<Utc>>, zone: &Zone, now: DateTime<Utc>) -> String {
    let syncs = order.syncs.map_or_else(|| "all syncs".to_owned(), |number| count(number, "sync"));
    let follows = match (order.what.as_str(), &order.window) {
        ("extend", Some(window)) => closing(window, closes, zone, now),
        ("exempt", _) => format!("windows count again for {syncs}"),
        _ => format!("it pauses {syncs} no longer"),
    };
    format!("{} is ended: {follows}", order.name)
}

fn closing(window: &Name, closes: Option<DateTime<Utc>>, zone: &Zone, now: DateTime<Utc>) -> String {
    match closes {
        Some(at) if now < at => {
            format!("window `{window}` closes {}", times::show_with_distance(at, zone, now))
        }
        Some(at) => format!(
            "window `{window}` was to close {}, and is closed now",
            times::show_with_distance(at, zone, now)
        ),
        None => format!("window `{window}` is closed now"),
    }
}

fn table(syncs: &[ResumedSync], zone: &Zone) -> String {
    let mut rows = Rows::under(&["SYNC", "WAS", "ENDED", "THEN"]);
    for it in syncs {
        let ended: Vec<String> = it.ended.iter().map(|it| it.window.to_string()).collect();
        rows.add(
            if it.paused_until.is_some() { Mood::Busy } else { Mood::Plain },
            [
                it.name.as_ref().map_or_else(|| it.sync.clone(), |name| format!("{name} ({})", it.sync)),
                it.was.map_or("-", HoldState::as_str).to_owned(),
                if ended.is_empty() { "-".to_owned() } else { ended.join(", ") },
                then(it, zone),
            ],
        );
    }
    rows.render()
}

/// Whether it is paused all the same, or until when it is left alone.
fn then(it: &ResumedSync, zone: &Zone) -> String {
    if let Some(until) = it.paused_until {
        let still = if it.was.is_some_and(HoldState::owes_resume) { "stays paused" } else { "paused" };
        let by: Vec<&str> = it.paused_by.iter().map(Name::as_str).collect();
        return format!("{still} until {} ({})", times::show(until, zone), by.join(", "));
    }
    it.next.as_ref().map_or_else(
        || "left alone, no further window".to_owned(),
        |next| format!("left alone until {} ({})", times::show(next.pauses, zone), next.window),
    )
}
