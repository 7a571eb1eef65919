//! What once went wrong, and is to stay mended.

use std::time::Duration;

use intermission::simulator::{Fault, Operation, RateLimit, Rule};

use super::night::{CONTACTS, FAR, Night, PERSON, Window, soon};

fn patching() -> Window {
    Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])
}

/// Takes the only window out of the file as it is, and has that read.
fn end_the_window(night: &Night) {
    night.rewrite(|text| text.split_once("[[window]]").unwrap().0.to_owned());
    night.run(&["reload"], 0);
}

#[test]
fn a_key_that_moves_while_a_sync_is_held_is_found_where_it_is() {
    let night = Night::new();
    night.write(&[patching()]);
    let _daemon = night.start();
    night.until_state(CONTACTS, "held");
    std::fs::rename(night.path("default.key"), night.path("moved.key")).unwrap();
    night.rewrite(|text| text.replace("default.key", "moved.key"));
    night.run(&["reload"], 0);
    end_the_window(&night);
    night.until_resumed(CONTACTS);
}

#[test]
fn a_decision_about_a_window_of_odd_microseconds_outlives_a_restart() {
    let night = Night::new();
    night.write(&[patching()]);
    night.rewrite(|text| {
        let odd = |line: &str| {
            if line.starts_with("start =") { line.replace("-05:00", "457-05:00") } else { line.to_owned() }
        };
        text.lines().map(|line| odd(line) + "\n").collect()
    });
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.person_switches(CONTACTS, true);
    night.until_state(CONTACTS, "released");
    daemon.kill();
    let _daemon = night.start();
    // Long enough for a daemon that does not know any better.
    night.until_time(soon(2.0));
    assert!(night.is_on(CONTACTS), "{PERSON} had switched it on");
    assert_eq!(night.posts(CONTACTS), 1);
}

#[test]
fn a_rate_limit_without_bursts_delays_a_resume_and_does_not_prevent_it() {
    let night = Night::new();
    night.write(&[patching()]);
    let _daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.world().limit_rate(Some(RateLimit { per_second: 1, retry_after: None }));
    end_the_window(&night);
    night.until_resumed(CONTACTS);
}

#[test]
fn a_pause_that_is_applied_after_an_operators_resume_is_undone() {
    let night = Night::new();
    night.write(&[patching()]);
    night.rewrite(|text| {
        text.replace("api_key_file", "request_timeout = \"1s\"\napi_key_file")
            .replace("[reconcile]", "[reconcile]\nsettle = \"3s\"")
    });
    let late = Fault::late(Duration::from_millis(2500));
    night.world().add_rule(Rule::always(late).on(Operation::Pause).times(1));
    let _daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", "Contacts"], 0);
    // Off by the second attempt, on by the operator, off by the first, on again.
    night.until_switches(CONTACTS, 4);
    assert!(night.is_on(CONTACTS));
}
