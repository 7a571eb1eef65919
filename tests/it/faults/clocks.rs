//! Clocks that are wrong, or that change in the night, as the program meets
//! them: `faketime` puts a wall clock of its own under a process.

use std::process::Command;

use intermission::simulator::Operation;
use uuid::Uuid;

use crate::skipped::skipped;

use super::{Ended, Place, id, much_later, soon, window};

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
    let clock = format!("@{at}");
    let before = ["-f", &clock, env!("CARGO_BIN_EXE_intermission")];
    let run = ["run", "--once", "--timeout", "20s"];
    let mut command = place.command_under("/usr/bin/faketime".as_ref(), &before, &run);
    command.env("TZ", "UTC").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
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
    run_at(&place, "1970-01-02 00:00:00");
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
            ("2027-11-07 05:29:00", true),
            ("2027-11-07 05:30:10", false),
            // Half past one again, for the second time: still the same night.
            ("2027-11-07 06:30:10", false),
            ("2027-11-07 08:29:00", false),
            ("2027-11-07 08:30:10", true),
        ],
    );
}
