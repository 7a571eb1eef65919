//! What an operator's word did, and when the next thing happens: the answer of
//! `pause`, `extend` and `exempt`.

use chrono::{DateTime, Utc};

use super::table::{Mood, Rows, count};
use super::{Exit, Format, Outcome, screen, times};
use crate::clock;
use crate::domain::zone::Zone;
use crate::reconcile::{OrderReport, RowReport, Wanted, Why};
use crate::web::api::Ordered;

/// Says it.
pub(super) fn say(ordered: &Ordered, format: Format, zone: &Zone) -> Outcome {
    say_of(ordered, &count(ordered.syncs.len(), "sync"), format, zone)
}

/// Says it of syncs that are called so as a whole.
pub(super) fn say_of(ordered: &Ordered, whom: &str, format: Format, zone: &Zone) -> Outcome {
    ordered.notes.iter().for_each(|it| screen::note(it));
    match format {
        Format::Json => screen::say_json(ordered)?,
        Format::Table => screen::say(&table(ordered, whom, zone, clock::wall()))?,
    }
    Ok(Exit::Success)
}

fn table(ordered: &Ordered, whom: &str, zone: &Zone, now: DateTime<Utc>) -> String {
    let first = match &ordered.order {
        Some(order) => headline(order, zone, now),
        None => format!("windows count again for {whom}; {}", to_pause(ordered)),
    };
    if ordered.syncs.is_empty() {
        return first;
    }
    let mut rows = Rows::under(&["SYNC", "NOW", "UNTIL", "THEN"]);
    for why in &ordered.syncs {
        rows.add(mood(why), [name(why), why.sentence(), until(why, zone), then(why, zone)]);
    }
    format!("{first}\n\n{}", rows.render())
}

/// How many syncs are paused now that windows count again.
fn to_pause(ordered: &Ordered) -> String {
    match ordered.syncs.iter().filter(|it| it.wanted == Wanted::Paused).count() {
        0 => "none is to be paused now".to_owned(),
        1 => "1 is to be paused now".to_owned(),
        number => format!("{number} are to be paused now"),
    }
}

/// One order in a sentence.
pub(super) fn headline(order: &OrderReport, zone: &Zone, now: DateTime<Utc>) -> String {
    let syncs = order.syncs.map_or_else(|| "all syncs".to_owned(), |number| count(number, "sync"));
    let what = match (order.what.as_str(), &order.window) {
        ("extend", Some(window)) => format!("keeps window `{window}` open"),
        ("exempt", _) => format!("exempts {syncs} from all windows"),
        _ => format!("pauses {syncs}"),
    };
    let from = if now < order.from && order.what == "pause" {
        format!(" from {}", times::show_with_distance(order.from, zone, now))
    } else {
        String::new()
    };
    let until = times::show_with_distance(order.until, zone, now);
    format!("{} {what}{from} until {until}: {}", order.name, order.reason)
}

/// The sync, as an operator would name it.
pub(super) fn name(why: &Why) -> String {
    why.name.as_ref().map_or_else(|| why.sync.to_string(), |name| format!("{name} ({})", why.sync))
}

/// Until when it is as it is.
fn until(why: &Why, zone: &Zone) -> String {
    let until = why.until.or(why.exempt_until);
    until.map_or_else(|| "-".to_owned(), |at| times::show(at, zone))
}

/// What pauses it next.
fn then(why: &Why, zone: &Zone) -> String {
    why.next.as_ref().map_or_else(
        || "no further pause".to_owned(),
        |next| format!("paused {} ({}){}", times::show(next.pauses, zone), next.window, on_condition(why)),
    )
}

/// What was off when it was to be paused is found off again, unless somebody
/// switches it on.
pub(super) fn on_condition(why: &Why) -> &'static str {
    if why.was_off() { ", if it is on by then" } else { "" }
}

/// How a sync's state is coloured.
pub(super) fn mood(why: &Why) -> Mood {
    match why.wanted {
        _ if why.row.as_ref().is_some_and(RowReport::is_trouble) => Mood::Trouble,
        Wanted::Paused => Mood::Busy,
        Wanted::Running | Wanted::LeftAlone | Wanted::Exempt => Mood::Plain,
    }
}
