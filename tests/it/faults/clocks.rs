//! Clocks that are wrong, or that change in the night, as the program meets
//! them: `faketime` puts a wall clock of its own under a process.

use std::fs;
use std::process::Command;

use intermission::simulator::Operation;
use uuid::Uuid;

use crate::skipped::skipped;

use super::{Daemon, Ended, Place, id, much_later, soon, window};

fn faketime_works() -> bool {
    let tried =
        Command::new("/usr/bin/faketime").args(["-f", "@1970-01-02 00:00:00", "date", "+%Y"]).output();
    if tried.is_ok_and(|it| it.stdout == b"1970\n") {
        return true;
    }
    skipped("a clock of its own needs `faketime`");
    false
}

/// Does what is due by a clock that began to run at this time, in UTC.
fn run_at(place: &Place, at: &str) -> Ended {
    run_for(place, at, "20s")
}

fn run_for(place: &Place, at: &str, timeout: &str) -> Ended {
    let clock = format!("@{at}");
    let before = ["-f", &clock, env!("CARGO_BIN_EXE_intermission")];
    let run = ["run", "--once", "--timeout", timeout];
    let mut command = place.command_under("/usr/bin/faketime".as_ref(), &before, &run);
    command.env("TZ", "UTC").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("PATH", "/usr/bin:/bin");
    place.ended(command)
}

fn run_now(place: &Place) {
    place.run(&["run", "--once"]).with(0);
}

#[test]
fn by_a_clock_at_1970_nothing_is_paused_and_what_is_held_may_be_resumed() {
    if !faketime_works() {
        return;
    }
    let place = Place::new();
    let (held, new) = (place.model("default", id(1)), place.model("default", id(2)));
    let now = window("now", (soon(-60), much_later()), &[held]);
    let then = "1970-01-01T00:00:00Z".parse().unwrap()..="1970-01-20T00:00:00Z".parse().unwrap();
    let then = window("then", (*then.start(), *then.end()), &[new]);
    place.write(&[now, then]);
    run_now(&place);
    assert!(!place.is_active(held) && place.is_active(new));
    let ended = run_for(&place, "1970-01-02 00:00:00", "3s").with(1);
    let told = "The clock is wrong: it says 1970-01-02T00:00:0";
    assert!(ended.err.contains(told) && ended.err.contains("Nothing is paused"), "{}", ended.err);
    assert!(place.is_active(held), "a wrong clock holds back no resume");
    assert_eq!(place.requests(Operation::Pause, new), 0);
    // The clock is set right: the window is open after all.
    run_now(&place);
    assert!(!place.is_active(held));
    assert_eq!(place.requests(Operation::Pause, new), 0);
}

#[test]
fn a_clock_that_was_far_ahead_and_is_set_right_finds_the_window_open() {
    if !faketime_works() {
        return;
    }
    let place = Place::new();
    let sync = place.model("default", id(1));
    let opens = soon(-60);
    place.write(&[window("patching", (opens, much_later()), &[sync])]);
    run_now(&place);
    assert!(!place.is_active(sync));
    run_at(&place, "2100-01-01 00:00:00").with(0);
    assert!(place.is_active(sync), "by that clock the window is long over");
    run_now(&place);
    assert!(!place.is_active(sync));
    place.write(&[window("patching", (opens, soon(-1)), &[sync])]);
    run_now(&place);
    assert!(place.is_active(sync));
}

/// A daemon whose clock is set while it runs, by writing how far it is off.
fn start_off_by(place: &Place, off: &str) -> Daemon {
    // The wrapper knows where its library is, and how to name it.
    let asked = Command::new("/usr/bin/faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let library = String::from_utf8(asked.unwrap().stdout).unwrap();
    set_off_by(place, off);
    let mut command = place.command(&["run"]);
    command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", place.path("clock"));
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    place.spawn(command)
}

fn set_off_by(place: &Place, off: &str) {
    let new = place.path("clock-new");
    fs::write(&new, format!("{off}\n")).unwrap();
    fs::rename(new, place.path("clock")).unwrap();
}

/// The system would wake the daemon when its clock is set; here only its own
/// longest sleep does, as long as it holds something.
#[test]
fn a_clock_that_is_set_while_the_daemon_runs_is_followed_both_ways() {
    if !faketime_works() {
        return;
    }
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.write(&[window("patching", (soon(-60), much_later()), &[sync])]);
    let daemon = start_off_by(&place, "+0");
    place.until_held(sync);
    set_off_by(&place, "+3h");
    place.until_active(sync);
    set_off_by(&place, "+0");
    // With nothing held it sleeps until something wakes it, whatever that is.
    place.reload();
    place.until_held(sync);
    // Before the window's start.
    set_off_by(&place, "-1h");
    place.until_active(sync);
    set_off_by(&place, "+0");
    place.reload();
    place.until_held(sync);
    assert_eq!(daemon.terminate().0.code(), Some(0));
    assert!(!place.is_active(sync), "what is held stays paused when the daemon stops");
}

#[test]
fn a_daemon_whose_clock_is_wrong_says_so_until_it_is_set_right() {
    if !faketime_works() {
        return;
    }
    let place = Place::new();
    let (held, new) = (place.model("default", id(1)), place.model("default", id(2)));
    let opens = soon(-60);
    place.write(&[window("patching", (opens, much_later()), &[held])]);
    run_now(&place);
    place.write(&[window("patching", (opens, much_later()), &[held, new])]);
    let daemon = start_off_by(&place, "-50y");
    place.until_active(held);
    let status = place.status().unwrap();
    let told = status["daemon"]["clock_error"].as_str().unwrap_or_default();
    assert!(told.starts_with("The clock is wrong: it says 19"), "{status}");
    assert_eq!(status["healthy"], false);
    let table = place.run(&["status", "--exit-code"]).with(1).out;
    assert!(table.contains("The clock is wrong: it says 19"), "{table}");
    assert!(place.is_active(new));
    assert_eq!(daemon.log().matches("The clock is wrong").count(), 1, "{}", daemon.log());
    set_off_by(&place, "+0");
    place.reload();
    place.until_held(new);
    assert!(place.status().unwrap()["daemon"]["clock_error"].is_null());
    assert!(daemon.log().contains("The clock is past this release's date again"), "{}", daemon.log());
}

/// A window from half past one to half past three, every night, in this zone.
#[track_caller]
fn check_night(zone: &str, expected: &[(&str, bool)]) {
    let place = Place::new();
    let sync: Uuid = place.model("default", id(1));
    place.write(&[format!(
        "[[window]]\nname = \"nightly\"\ntimezone = \"{zone}\"\nstart = \"30 1 * * *\"\nend = \"03:30\"\n\
         syncs = [\"{sync}\"]\n"
    )]);
    for (at, active) in expected {
        run_at(&place, at).with(0);
        assert_eq!(place.is_active(sync), *active, "{zone}, {at} UTC");
    }
}

#[test]
fn in_the_nights_when_clocks_change_windows_follow_the_wall() {
    if !faketime_works() {
        return;
    }
    check_night(
        "Europe/Berlin",
        &[
            ("2027-03-28 00:29:00", true),
            ("2027-03-28 00:30:10", false),
            // 02:00 has become 03:00.
            ("2027-03-28 01:29:00", false),
            ("2027-03-28 01:30:10", true),
        ],
    );
    check_night(
        "Europe/Berlin",
        &[
            ("2027-10-30 23:29:00", true),
            ("2027-10-30 23:30:10", false),
            // Half past two comes twice.
            ("2027-10-31 01:30:00", false),
            ("2027-10-31 02:29:00", false),
            ("2027-10-31 02:30:10", true),
        ],
    );
    check_night(
        "America/New_York",
        &[
            ("2027-03-14 06:29:00", true),
            ("2027-03-14 06:30:10", false),
            // 02:00 has become 03:00: an hour less until half past three.
            ("2027-03-14 07:29:00", false),
            ("2027-03-14 07:30:10", true),
        ],
    );
    check_night(
        "America/New_York",
        &[
            ("2027-11-07 05:29:00", true),
            ("2027-11-07 05:30:10", false),
            // Half past one again, for the second time: still the same night.
            ("2027-11-07 06:30:10", false),
            ("2027-11-07 08:29:00", false),
            ("2027-11-07 08:30:10", true),
        ],
    );
}
