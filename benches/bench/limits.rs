//! A server that allows 20 requests a second.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::daemon::{Home, Window, after, now, seconds, until};
use crate::simulator::Simulator;
use crate::table::{print, ratio};
use crate::{median, runs};

const SYNCS: usize = 200;
const PER_SECOND: usize = 20;

/// When the last pause and the last resume of a window were accepted.
fn last_accepted(simulator: &Simulator, closes: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    std::thread::sleep(Duration::from_secs_f64(seconds(now(), closes)));
    let mut accepted = Vec::new();
    until("all syncs are resumed", Duration::from_mins(5), || {
        accepted = simulator.accepted(0);
        accepted.iter().filter(|it| it.active).count() >= SYNCS
    });
    let last = |active| accepted.iter().filter(|it| it.active == active).map(|it| it.at).max().unwrap();
    (last(false), last(true))
}

/// The time to the last accepted switch as a multiple of the ideal, and which
/// part of the requests was refused.
fn window(retry_after: bool) -> (f64, f64, f64) {
    let simulator = Simulator::start(SYNCS, Duration::from_millis(20));
    let ideal = (2 * SYNCS) as f64 / PER_SECOND as f64;
    let home = Home::new();
    let opens = after(3.0);
    let closes = after(3.0 + ideal * 3.0);
    let it = Window { name: "bench", organization: None, opens, closes, syncs: SYNCS };
    home.configure(&[("default", &simulator)], "", &[it]);
    let _daemon = home.start();
    simulator.limit_rate(&json!({ "per_second": PER_SECOND, "retry_after": retry_after.then_some("1") }));
    let (paused, resumed) = last_accepted(&simulator, closes);
    let received = simulator.received(0);
    let refused = received.iter().filter(|it| it.status == 429).count();
    let share = refused as f64 / received.len() as f64;
    (seconds(opens, paused) / ideal, seconds(closes, resumed) / ideal, share)
}

pub(crate) fn run() {
    let mut rows = Vec::new();
    for retry_after in [true, false] {
        let (mut pauses, mut resumes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs().min(3) {
            let it = window(retry_after);
            pauses.push(it.0);
            resumes.push(it.1);
            refused.push(it.2);
        }
        rows.push(vec![
            if retry_after { "with Retry-After" } else { "without" }.to_owned(),
            ratio(median(pauses)),
            ratio(median(resumes)),
            format!("{:.0} %", median(refused) * 100.0),
        ]);
    }
    let title = format!("{PER_SECOND} requests a second allowed, {SYNCS} syncs");
    print(&title, &["429", "pauses, multiple of the ideal", "resumes", "refused"], &rows);
}

/// How long an organization's pauses and resumes take in seconds, with another one
/// beside it that takes 20 requests a second, or alone.
fn beside(limited: Option<&Simulator>) -> (f64, f64) {
    let simulator = Simulator::start(SYNCS, Duration::from_millis(20));
    let home = Home::new();
    let (opens, closes) = (after(3.0), after(13.0));
    let ours = Window { name: "bench", organization: None, opens, closes, syncs: SYNCS };
    let theirs = Window { name: "limited", organization: Some("limited"), ..ours };
    match limited {
        Some(it) => home.configure(&[("default", &simulator), ("limited", it)], "", &[ours, theirs]),
        None => home.configure(&[("default", &simulator)], "", &[ours]),
    }
    let _daemon = home.start();
    let (paused, resumed) = last_accepted(&simulator, closes);
    (seconds(opens, paused), seconds(closes, resumed))
}

/// Two organizations that open and close windows at the same instants, of which one
/// is far behind its limit.
pub(crate) fn run_two() {
    let (mut pauses, mut resumes) = (Vec::new(), Vec::new());
    for _ in 0..runs() {
        let alone = beside(None);
        let limited = Simulator::start(SYNCS, Duration::from_millis(20));
        limited.limit_rate(&json!({ "per_second": PER_SECOND, "retry_after": null }));
        let together = beside(Some(&limited));
        let refused = limited.received(0).iter().filter(|it| it.status == 429).count();
        assert!(refused > 0, "the other organization was not at its limit");
        pauses.push(together.0 / alone.0);
        resumes.push(together.1 / alone.1);
    }
    let title = format!("{SYNCS} syncs beside an organization that takes {PER_SECOND} requests a second");
    let rows = [vec!["intermission".to_owned(), ratio(median(pauses)), ratio(median(resumes))]];
    print(&title, &["", "pauses, multiple of the time alone", "resumes"], &rows);
}
