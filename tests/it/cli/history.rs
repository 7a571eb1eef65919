//! `history`: who, what, why, and how following it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use intermission::domain::event::{Event, EventKind};
use intermission::ledger::{Change, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Daemon, Ended, Place, WINDOW, until};

/// Follows, and gives what it printed first and the lines that come.
fn follow(place: &Place, more: &[&str]) -> (Child, std::io::Lines<BufReader<std::process::ChildStdout>>) {
    let mut command = place.command(&[&["history", "--follow", "--format", "json"], more].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

fn event(line: Option<std::io::Result<String>>) -> String {
    let line: Value = serde_json::from_str(&line.expect("a line").unwrap()).unwrap();
    line["event"].as_str().unwrap().to_owned()
}

#[test]
fn following_tells_what_happens_and_ends_with_69_when_the_daemon_does() {
    let place = Place::with(WINDOW);
    let daemon = Daemon::start(&place);
    let (child, mut lines) = follow(&place, &[]);
    assert_eq!(event(lines.next()), "daemon_started");
    assert_eq!(event(lines.next()), "config_loaded");
    place.run(&["reload"]).with(0);
    assert_eq!(event(lines.next()), "config_loaded");
    assert_eq!(daemon.stop(), Some(0));
    // Its last word is in the ledger.
    assert_eq!(event(lines.next()), "daemon_stopped");
    assert!(lines.next().is_none());
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(69), "{}", ended.err);
    assert!(ended.err.contains("error: the daemon cannot be reached"), "{}", ended.err);
}

#[test]
fn who_waits_for_the_daemon_goes_on_through_a_restart() {
    let place = Place::with(WINDOW);
    let daemon = Daemon::start(&place);
    let (mut child, mut lines) = follow(&place, &["--retry"]);
    assert_eq!(event(lines.next()), "daemon_started");
    assert_eq!(event(lines.next()), "config_loaded");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(event(lines.next()), "daemon_stopped");
    let daemon = Daemon::start(&place);
    assert_eq!(event(lines.next()), "daemon_started");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(daemon);
}

#[test]
fn following_ends_when_nobody_reads_on() {
    let place = Place::with(WINDOW);
    let daemon = Daemon::start(&place);
    let (mut child, mut lines) = follow(&place, &[]);
    assert_eq!(event(lines.next()), "daemon_started");
    // Nothing else happens that it could stumble over while writing.
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(daemon);
}

#[test]
fn an_entry_tells_why_and_by_whom() {
    let now = intermission::clock::wall();
    let text = |days: i64| (now + chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%S").to_string();
    let window = WINDOW
        .replace("2040-06-02T22:00:00", &text(-1))
        .replace("2040-06-03T06:00:00", &text(1))
        .replace("syncs", "description = \"CHG-1234\"\nsyncs");
    let place = Place::with(&window);
    let daemon = Daemon::start(&place);
    let history = |event: &str| {
        let told = place.run(&["history", "--format", "json", "--event", event]).with(0).out;
        told.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()).collect::<Vec<_>>()
    };
    until(|| !history("window_opened").is_empty());
    assert_eq!(history("window_opened")[0]["description"], "CHG-1234");
    place.run(&["resume", "--all", "--reason", "test"]).with(0);
    let resumed = &history("operator_resume")[0];
    assert_eq!(resumed["description"], "CHG-1234");
    assert_eq!((&resumed["state_before"], &resumed["state_after"]), (&json!("none"), &json!("released")));
    let uid = rustix::process::getuid().as_raw();
    let by = resumed["by"].as_str().unwrap();
    assert!(by.starts_with(&format!("operator (uid {uid}")), "{by}");
    if uid == 0 {
        assert!(by.contains("uid 0, root"), "{by}");
    }
    place
        .run(&["history", "--event", "operator_resume"])
        .with(0)
        .says(&["test  (CHG-1234)  none -> released"]);
    drop(daemon);
}

#[test]
fn a_long_journal_comes_page_by_page_with_a_daemon_and_without() {
    const ENTRIES: i64 = 2_500;
    let place = Place::with(WINDOW);
    let now = intermission::clock::wall();
    let entry = |nth: i64| {
        let event = Event { detail: Some(nth.to_string()), ..Event::new(EventKind::WindowMissed) };
        Change::new().record(now - chrono::TimeDelta::seconds(ENTRIES - nth), event)
    };
    let mut store = Store::open(&place.path("ledger.db")).unwrap();
    store.apply(&(0..ENTRIES).map(entry).collect::<Vec<_>>()).unwrap();
    store.close().unwrap();

    let told = |more: &[&str]| -> Vec<i64> {
        let arguments = [&["history", "--event", "window_missed", "--format", "json"], more].concat();
        let out = place.run(&arguments).with(0).out;
        let lines = out.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        lines.map(|it| it["detail"].as_str().unwrap().parse().unwrap()).collect()
    };
    let check = || {
        assert_eq!(told(&[]), (0..ENTRIES).collect::<Vec<_>>());
        for limit in [0, 1, 1_000, 1_001, 2_000, 2_499, 2_500, 9_999] {
            let newest: Vec<_> = (0.max(ENTRIES - limit)..ENTRIES).collect();
            assert_eq!(told(&["--limit", &limit.to_string()]), newest, "{limit}");
        }
    };
    check();
    let daemon = Daemon::start(&place);
    check();
    // Who follows gets all that is asked for, and then what comes.
    let (mut child, lines) = follow(&place, &["--since", "2h ago"]);
    let mut lines = lines.map(|it| serde_json::from_str::<Value>(&it.unwrap()).unwrap());
    for nth in 0..ENTRIES {
        assert_eq!(lines.next().unwrap()["detail"], nth.to_string());
    }
    assert_eq!(lines.next().unwrap()["event"], "daemon_started");
    assert_eq!(lines.next().unwrap()["event"], "config_loaded");
    place.run(&["reload"]).with(0);
    assert_eq!(lines.next().unwrap()["event"], "config_loaded");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(daemon);
}

#[test]
fn who_follows_a_daemon_that_goes_away_gets_all_that_it_wrote() {
    const ENTRIES: u32 = 2_500;
    let place = Place::with(WINDOW);
    let daemon = Daemon::start(&place);
    let (child, mut lines) = follow(&place, &[]);
    assert_eq!(event(lines.next()), "daemon_started");
    assert_eq!(event(lines.next()), "config_loaded");
    let ledger = rusqlite::Connection::open(place.path("ledger.db")).unwrap();
    let copies = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?) \
                  INSERT INTO journal (at, event, done_by) SELECT at, 'window_missed', done_by FROM journal, many \
                  WHERE id = 1";
    assert_eq!(ledger.execute(copies, [ENTRIES]).unwrap(), ENTRIES as usize);
    assert_eq!(daemon.stop(), Some(0));
    let told: Vec<_> = lines.map(|it| event(Some(it))).collect();
    assert_eq!(told.iter().filter(|it| *it == "window_missed").count(), ENTRIES as usize);
    assert_eq!(told.last().unwrap(), "daemon_stopped");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(69));
}

#[test]
fn a_daemon_that_stands_still_is_waited_for_once() {
    let place = Place::with(WINDOW);
    let mut store = Store::open(&place.path("ledger.db")).unwrap();
    let entry = Change::new().record(intermission::clock::wall(), Event::new(EventKind::WindowMissed));
    store.apply(&vec![entry; 3_500]).unwrap();
    store.close().unwrap();
    // Who listens and answers nobody.
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = UnixListener::bind(place.path("control.sock")).unwrap();
    std::thread::spawn({
        let asked = Arc::clone(&asked);
        move || {
            let mut connections = Vec::new();
            for connection in listener.incoming() {
                asked.fetch_add(1, Relaxed);
                connections.push(connection);
            }
        }
    });
    let told = place.run(&["history", "--format", "json"]).with(0);
    assert_eq!(told.out.lines().count(), 3_500);
    assert_eq!(told.err.matches("this is what the ledger says").count(), 1, "{}", told.err);
    assert_eq!(asked.load(Relaxed), 1);
}

#[test]
fn ctrl_c_ends_who_follows_well_while_a_long_ledger_is_shown() {
    const ENTRIES: usize = 20_000;
    let place = Place::with(WINDOW);
    let mut store = Store::open(&place.path("ledger.db")).unwrap();
    let entry = Change::new().record(intermission::clock::wall(), Event::new(EventKind::WindowMissed));
    store.apply(&vec![entry; ENTRIES]).unwrap();
    store.close().unwrap();
    // There is no daemon. A pipe holds some hundred lines.
    let (mut child, mut lines) = follow(&place, &["--since", "2h ago", "--retry"]);
    assert_eq!(event(lines.next()), "window_missed");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let more = lines.count();
    assert!(more < ENTRIES / 2, "{more} more lines");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
