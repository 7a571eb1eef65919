//! `why`: why a sync is paused or not, holder by holder, and what happens to it
//! next. The daemon knows best; without one the ledger and the file tell.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;

use super::completions::candidates;
use super::failure::{Failure, sentence};
use super::ordered;
use super::socket::Socket;
use super::table::Rows;
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, file, screen, times};
use crate::clock;
use crate::daemon;
use crate::domain::moment::Moment;
use crate::domain::sync::find_sync;
use crate::domain::window::Occurrence;
use crate::domain::zone::Zone;
use crate::reconcile::{Reconciler, RowReport, Why};
use crate::web::api::WhyRequest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An id, `organization/id` or a name that only one sync has
    #[arg(add = candidates::syncs())]
    sync: String,
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let why = match block_on(socket.why(&WhyRequest { sync: arguments.sync.clone() })) {
        Ok(why) => why,
        Err(failure) if failure.is_unreachable() => offline(global, &arguments.sync, failure)?,
        Err(failure) => return Err(failure),
    };
    match arguments.format.format {
        Format::Json => screen::say_json(&why)?,
        Format::Table => screen::say(&tell(&why, &file::zone(global), clock::wall()))?,
    }
    Ok(Exit::Success)
}

/// The same answer from the ledger and the file, as a daemon that starts now
/// would give it.
fn offline(global: &Global, sync: &str, unreached: Failure) -> Result<Why, Failure> {
    let (Ok(store), Ok(read)) = (file::ledger(global), file::read(global)) else { return Err(unreached) };
    screen::note(&format!("{}; this is what the ledger and the file say", sentence(&unreached)));
    let contents = store.contents()?;
    let mut reconciler = Reconciler::new(contents.holds, contents.watches, None, fastrand::Rng::with_seed(0));
    reconciler.remember_orders(contents.orders, contents.last_order);
    reconciler.remember_selections(contents.selections);
    reconciler.bring_into_force(daemon::in_force(&read.config));
    let found = find_sync(sync, reconciler.known_syncs()).map_err(|it| Failure::NotFound(it.to_string()))?;
    Ok(reconciler.why(&found, Moment { wall: read.now, uptime: Duration::ZERO }))
}

fn tell(why: &Why, zone: &Zone, now: DateTime<Utc>) -> String {
    let mut lines = vec![format!("{}: {}", ordered::name(why), why.sentence())];
    lines.extend(lead(why, zone, now));
    if let Some(row) = &why.row {
        lines.extend(row_of(row, zone));
    }
    lines.extend(what_follows(why, zone, now));
    if why.holders.is_empty() {
        lines.push(windows(why));
        return lines.join("\n");
    }
    format!("{}\n\n{}", lines.join("\n"), holders(why, zone))
}

/// What is paused ahead of what.
fn lead(why: &Why, zone: &Zone, now: DateTime<Utc>) -> Option<String> {
    let opens = why.opens_later(now)?;
    let window = why.counted().find(|it| it.occurrence.opens == opens)?;
    let opens = times::show_with_distance(opens, zone, now);
    Some(format!("its `lead` has begun: `{}` opens {opens}", window.occurrence.window))
}

fn row_of(row: &RowReport, zone: &Zone) -> Vec<String> {
    // It was written before the pause, and stays: the state is younger.
    let written = row.since.map(|at| format!("; there since {}", times::show(at, zone)));
    let what = if row.since.is_some() { "its row" } else { "now" };
    let mut lines = vec![format!("{what}: {}{}", row.state_in_words(), written.unwrap_or_default())];
    if row.overdue_seconds > 0 {
        let late = times::span(TimeDelta::seconds(row.overdue_seconds));
        lines.push(format!("OVERDUE: {late} past its end"));
    }
    lines.extend(row.last_attempt().map(|it| format!("last error: {it}")));
    lines
}

/// The end of what is now and the next pause, whichever comes first.
fn what_follows(why: &Why, zone: &Zone, now: DateTime<Utc>) -> Vec<String> {
    let ends = |what: &str, at| (at, format!("{what} {}", times::show_with_distance(at, zone, now)));
    let end = match (why.until, why.exempt_until) {
        (Some(at), _) => Some(ends(if why.is_held() { "resumed" } else { "its pause ends" }, at)),
        (None, Some(at)) => Some(ends("exempt no longer", at)),
        (None, None) => None,
    };
    let pause = why.next.as_ref().map(|next| (next.pauses, paused(why, next, zone, now)));
    let mut coming: Vec<_> = end.into_iter().chain(pause).collect();
    coming.sort_by_key(|(at, _)| *at);
    let mut lines: Vec<String> = coming.into_iter().map(|(_, what)| what).collect();
    if why.next.is_none() {
        lines.push("no further pause".to_owned());
    }
    lines.iter().zip(["next", "after that"]).map(|(what, when)| format!("{when}: {what}")).collect()
}

fn paused(why: &Why, next: &Occurrence, zone: &Zone, now: DateTime<Utc>) -> String {
    let at = times::show_with_distance(next.pauses, zone, now);
    let ahead = match next.opens - next.pauses {
        lead if lead > TimeDelta::zero() => format!(", {} before it opens", times::span(lead)),
        _ => String::new(),
    };
    format!("paused by `{}` {at}{ahead}{}", next.window, ordered::on_condition(why))
}

fn windows(why: &Why) -> String {
    match &why.windows[..] {
        [] => "no window covers it".to_owned(),
        windows => {
            let names: Vec<_> = windows.iter().map(|it| format!("`{it}`")).collect();
            format!("windows that cover it: {}", names.join(", "))
        }
    }
}

fn holders(why: &Why, zone: &Zone) -> String {
    let mut rows = Rows::under(&["ASKS FOR A PAUSE", "FROM", "UNTIL", "COUNTS", "WHY"]);
    for holder in &why.holders {
        let (occurrence, by) = (&holder.occurrence, holder.by.as_ref());
        let reason = [holder.description.clone(), by.map(|it| format!("by {it}"))];
        rows.add(
            ordered::mood(why),
            [
                occurrence.window.to_string(),
                from(occurrence, zone),
                times::show(occurrence.closes, zone),
                if holder.counts { "yes".to_owned() } else { format!("no: {}", why.why_not_counted()) },
                reason.into_iter().flatten().collect::<Vec<_>>().join(", "),
            ],
        );
    }
    rows.render()
}

fn from(occurrence: &Occurrence, zone: &Zone) -> String {
    let from = times::show(occurrence.pauses, zone);
    match occurrence.opens - occurrence.pauses {
        lead if lead > TimeDelta::zero() => format!("{from} (lead {})", times::span(lead)),
        _ => from,
    }
}
