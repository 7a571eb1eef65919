//! The daemon dies, or is told to stop, while syncs are paused.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use chrono::TimeDelta;
use intermission::clock::wall;
use intermission::simulator::{Fault, Operation, Rule};
use rustix::fs::OFlags;

use super::night::{CONTACTS, FAR, LEADS, Night, STRIPE, Window, row, soon};

#[test]
fn killed_inside_a_window_and_started_before_its_end_it_keeps_the_pause_to_the_end() {
    let night = Night::new();
    let span = soon(1.0)..soon(6.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE])]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    first.kill();
    let second = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(second.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &span);
    night.assert_one_pause(STRIPE, &span);
}

#[test]
fn killed_at_any_moment_it_resumes_what_it_may_have_paused() {
    let night = Night::new();
    let span = soon(1.0)..soon(5.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE])]);
    let first = night.start();
    // Its answer may have been on the way: the row may say no more than `pausing`.
    night.until_paused(CONTACTS);
    first.kill();
    let second = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_resumed(part);
        let switches = night.switches(part);
        assert!(switches.iter().all(|(at, active)| *active || span.contains(at)), "{switches:?}");
        assert!(switches.iter().all(|(at, active)| !active || span.end <= *at), "{switches:?}");
    }
    assert_eq!(second.stop(), Some(0));
}

#[test]
fn killed_inside_a_window_and_started_after_its_end_it_resumes_at_once() {
    let night = Night::new();
    let span = soon(1.0)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE])]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    first.kill();
    night.until_time(span.end);
    assert!(!night.is_on(CONTACTS) && !night.is_on(STRIPE));
    let started = soon(0.0);
    let second = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(second.stop(), Some(0));
    for part in [CONTACTS, STRIPE] {
        assert!(started <= night.assert_one_pause(part, &span).resumed);
    }
    let told = night.history("window_closed");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_window_that_passed_while_no_daemon_ran_is_told_and_pauses_nothing() {
    let night = Night::new();
    let span = soon(2.0)..soon(3.0);
    let windows = [
        Window::new("missed", span.clone()).of(&[CONTACTS]),
        Window::new("open", soon(-1.0)..soon(FAR)).of(&[LEADS]),
    ];
    night.write(&windows);
    let first = night.start();
    night.until_state(LEADS, "held");
    first.kill();
    night.until_time(span.end);
    let second = night.start();
    night.fence(&windows);
    assert_eq!(second.stop(), Some(0));
    // On a slow machine the first daemon has lived to see the window.
    if night.history("window_opened").iter().all(|it| it["window"] != "missed") {
        let missed = night.history("window_missed");
        assert_eq!(missed.len(), 1, "{missed:?}");
        assert_eq!(missed[0]["window"], "missed");
        night.assert_untouched(CONTACTS);
    }
    assert_eq!(night.switches(LEADS).len(), 1);
}

#[test]
fn told_to_stop_inside_a_window_it_leaves_the_pause_to_the_next() {
    let night = Night::new();
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE])];
    night.write(&windows);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    assert_eq!(first.stop(), Some(0));
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert!(status["daemon"].is_null(), "{status}");
    for part in [CONTACTS, STRIPE] {
        assert_eq!(row(&status, part)["state"], "held");
        assert!(!night.is_on(part));
    }
    assert_eq!(night.history("daemon_stopped").len(), 1);

    let second = night.start();
    night.fence(&windows);
    for part in [CONTACTS, STRIPE] {
        assert_eq!(night.posts(part), 1, "{}", part.name);
    }
    let end = soon(1.0);
    night.write(&[windows[0].until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(second.stop(), Some(0));
    for part in [CONTACTS, STRIPE] {
        night.assert_one_pause(part, &(windows[0].opens()..end));
    }
}

#[test]
fn a_second_daemon_leaves_the_first_its_ledger() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["run"], 75).with(&["another daemon holds the ledger"]);
    night.run(&["resume", "--offline", "--all"], 75);
    // It still has its socket.
    night.run(&["resume", "--all"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(first.stop(), Some(0));
    assert_eq!(night.posts(CONTACTS), 2);
}

#[test]
fn a_window_that_is_removed_while_no_daemon_runs_is_over_when_one_starts() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    let kept = Window::new("kept", soon(-1.0)..soon(FAR)).of(&[STRIPE]);
    night.write(&[patching, kept.clone()]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    first.kill();
    night.write(&[kept]);
    let second = night.start();
    night.until_resumed(CONTACTS);
    assert_eq!(second.stop(), Some(0));
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 1));
}

#[test]
fn without_a_configuration_it_resumes_what_is_due_and_pauses_nothing() {
    let night = Night::new();
    let span = soon(-1.0)..soon(5.0);
    let (due, later) = (Window::new("due", span.clone()), Window::new("later", soon(3.0)..soon(FAR)));
    let windows = [due.of(&[CONTACTS]), later.of(&[LEADS])];
    night.write(&windows);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    first.kill();
    // The second window may have opened already, on a slow machine.
    let before = night.posts(LEADS);
    night.write_nonsense();
    let second = night.start();
    let status = night.run(&["status", "--format", "json", "--exit-code"], 1).json();
    assert!(status["daemon"]["config_error"].is_string(), "{status}");
    night.until_resumed(CONTACTS);
    night.assert_one_pause(CONTACTS, &span);
    assert_eq!(night.posts(LEADS), before);

    night.write(&windows);
    night.run(&["reload"], 0);
    night.until_paused(LEADS);
    assert_eq!(second.stop(), Some(0));
    assert_eq!(night.posts(CONTACTS), 2);
}

#[test]
fn one_that_slept_through_the_end_resumes_when_it_wakes() {
    let night = Night::new();
    let span = soon(1.0)..soon(4.0);
    let slept_through = Window::new("slept-through", soon(3.0)..soon(3.5)).of(&[LEADS]);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS]), slept_through]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    daemon.freeze();
    night.until_time(span.end);
    daemon.go_on();
    night.until_resumed(CONTACTS);
    night.until_no_row(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &span);
    assert!(night.is_on(LEADS));
}

#[test]
fn told_to_stop_while_nobody_answers_it_stops_nevertheless() {
    let night = Night::new();
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE])];
    night.world().add_rule(Rule::always(Fault::hang()).on(Operation::Pause).of(CONTACTS.id));
    night.write(&windows);
    let first = night.start();
    night.until_state(STRIPE, "held");
    night.until_state(CONTACTS, "pausing");
    night.until("the request has arrived", |world| {
        world.requests().iter().any(|it| it.method == "POST" && it.sync == Some(CONTACTS.id))
    });
    let told = soon(0.0);
    assert_eq!(first.stop(), Some(0));
    assert!(soon(0.0) < told + TimeDelta::seconds(15), "it waits for an answer that never comes");
    assert_eq!(night.history("daemon_stopped").len(), 1);

    // What became of the request nobody knows: the row is kept, and the next daemon looks.
    night.world().clear_faults();
    let second = night.start();
    night.until_state(CONTACTS, "held");
    let end = soon(1.0);
    night.write(&[windows[0].until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(second.stop(), Some(0));
    assert!(night.is_on(CONTACTS) && night.is_on(STRIPE));
}

#[test]
fn processes_that_run_once_settle_together_what_one_of_them_left_in_doubt() {
    let night = Night::new();
    let window = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[window]);
    let quick = |text: &str| {
        text.replace("api_key_file", "request_timeout = \"1s\"\napi_key_file")
            .replace("[reconcile]", "[reconcile]\nsettle = \"3s\"")
    };
    night.rewrite(quick);
    night.world().add_rule(Rule::always(Fault::hang()).on(Operation::Pause).of(CONTACTS.id));
    let daemon = night.start();
    night.until("the request has arrived", |world| {
        world.requests().iter().any(|it| it.method == "POST" && it.sync == Some(CONTACTS.id))
    });
    daemon.kill();
    night.world().clear_faults();
    night.write(&[]);
    night.rewrite(quick);
    let once = || drop(night.run(&["run", "--once"], 0));
    once();
    night.until_state(CONTACTS, "settling");
    // It may have been ours, so it is undone.
    night.person_switches(CONTACTS, false);
    once();
    assert!(night.is_on(CONTACTS));
    night.until_time(soon(5.0));
    once();
    night.person_switches(CONTACTS, false);
    once();
    assert!(!night.is_on(CONTACTS), "nothing of ours can have done that");
}

#[test]
fn killed_again_and_again_it_pauses_nothing_outside_the_window_and_leaves_nothing_paused() {
    let night = Night::new();
    let span = soon(1.0)..soon(6.0);
    let parts = [CONTACTS, LEADS, STRIPE];
    night.write(&[Window::new("patching", span.clone()).of(&parts)]);
    // Each lives for some requests more than the one before, so that every step is cut short once.
    for life in 1.. {
        let heard = night.world().requests().len();
        let daemon = night.spawn(&[]);
        night.until("it has lived", |world| world.requests().len() >= heard + life || span.end <= wall());
        daemon.kill();
        if span.end <= wall() {
            break;
        }
    }
    let last = night.start();
    for part in parts {
        night.until(&format!("{} is on", part.name), |world| world.sync(part.id).unwrap().active);
        night.until_status("no resume is owed", |it| {
            it["daemon"].is_object() && matches!(row(it, part)["state"].as_str(), None | Some("settling"))
        });
    }
    assert_eq!(last.stop(), Some(0));
    assert!(parts.iter().any(|part| !night.switches(*part).is_empty()), "nothing was ever paused");
    for part in parts {
        let switches = night.switches(part);
        assert!(switches.iter().all(|(at, active)| *active || span.contains(at)), "{switches:?}");
        assert!(switches.iter().all(|(at, active)| !active || span.end <= *at), "{switches:?}");
        assert!(night.is_on(part), "{}", part.name);
    }
}

/// Its file is a pipe, so that it can be met while it reads its configuration.
#[test]
fn signals_before_it_is_ready_end_it_in_order_and_keep_what_is_held() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    first.kill();
    let posts = night.posts(CONTACTS);

    let path = night.path("intermission.toml");
    let text = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    // Can be opened as soon as somebody reads.
    let to_its_reader = || OpenOptions::new().write(true).custom_flags(nonblocking).open(&path);
    let mut second = night.spawn(&[]);
    let mut reading = None;
    night.until("it reads its file", |_| {
        reading = to_its_reader().ok();
        reading.is_some()
    });
    second.hang_up();
    second.terminate();
    let mut reading = reading.unwrap();
    reading.write_all(&text).unwrap();
    drop(reading);
    night.until("it ends", |_| {
        if let Ok(mut again) = to_its_reader() {
            let _ = again.write_all(&text);
        }
        second.is_over()
    });
    assert_eq!(second.ended().code(), Some(0));

    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &text).unwrap();
    assert_eq!(night.posts(CONTACTS), posts, "it changed something");
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert_eq!(row(&status, CONTACTS)["state"], "held");
}
