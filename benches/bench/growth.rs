//! What years of journal cost.

use std::process::Stdio;
use std::time::Instant;

use intermission::domain::event::{Event, EventKind};
use intermission::ledger::{Change, Store};

use crate::daemon::{Home, now};
use crate::table::print;
use crate::{median, runs, simulator};

/// Ten years of a thousand syncs that are paused and resumed each day.
const SIZES: &[usize] = &[10_000, 100_000, 1_000_000, 7_300_000];

pub(crate) fn run() {
    let mut rows = Vec::new();
    for &entries in SIZES {
        let home = Home::new();
        home.configure(&[("default", &simulator::Simulator::start(1, std::time::Duration::ZERO))], "", &[]);
        let mut store = Store::open(&home.path("ledger.db")).unwrap();
        fill(&mut store, entries);
        store.close().unwrap();
        let size = std::fs::metadata(home.path("ledger.db")).unwrap().len();
        let time = |words: &[&str]| {
            let took = || {
                let began = Instant::now();
                let output = home.command(words).stdout(Stdio::null()).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                began.elapsed().as_secs_f64() * 1e3
            };
            format!("{:.0} ms", median((0..runs()).map(|_| took()).collect()))
        };
        let sync = simulator::id(0).to_string();
        rows.push(vec![
            entries.to_string(),
            format!("{:.0} MiB", size as f64 / 1024.0 / 1024.0),
            time(&["status"]),
            time(&["history"]),
            time(&["history", "--sync", &sync, "--limit", "20"]),
        ]);
    }
    print("The journal", &["entries", "ledger", "status", "history", "history of one sync"], &rows);
}

/// A day after the other, up to now.
fn fill(store: &mut Store, entries: usize) {
    const SYNCS: usize = 1_000;
    let days = entries / (2 * SYNCS);
    let mut written = 0;
    for day in (0..days.max(1)).rev() {
        let at = now() - chrono::TimeDelta::days(i64::try_from(day).unwrap());
        let changes: Vec<_> = (0..SYNCS * 2)
            .map(|nth| {
                let kind = if nth < SYNCS { EventKind::Paused } else { EventKind::Resumed };
                let sync = intermission::domain::sync::SyncRef::new(
                    "default".into(),
                    intermission::domain::sync::SyncKind::Model,
                    simulator::id(nth % SYNCS),
                );
                Change::new().record(at, Event { sync: Some(sync), ..Event::new(kind) })
            })
            .collect();
        written += changes.len();
        store.apply(&changes).unwrap();
        if written >= entries {
            break;
        }
    }
}
