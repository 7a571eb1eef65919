//! A server that is gone or silent, and operators who cannot wait for it.

use intermission::simulator::{Fault, Operation, Rule};

use super::{Place, id, much_later, soon, until, window};

#[test]
fn a_server_that_was_down_at_the_end_finds_its_syncs_resumed_once_it_is_back() {
    let mut place = Place::new();
    let sync = place.model("default", id(1));
    let opens = soon(1);
    place.write(&[window("patching", (opens, much_later()), &[sync])]);
    let _daemon = place.start();
    place.until_held(sync);
    place.take_down();
    place.write(&[window("patching", (opens, soon(1)), &[sync])]);
    place.reload();
    place.until_row("several attempts failed", sync, |row| {
        row["attempts"].as_u64() >= Some(3) && row["last_error"].is_string()
    });
    place.bring_back();
    place.until_active(sync);
    place.until_no_rows();
}

#[test]
fn a_request_that_hangs_delays_nobody_else() {
    let mut place = Place::new();
    place.request_timeout = "4m";
    place.pace = place.pace.replace("settle = \"4s\"", "settle = \"5m\"");
    let syncs: Vec<_> = (0..4).map(|it| place.model("default", id(it))).collect();
    let (hanging, others) = (syncs[0], &syncs[1..]);
    place.world().add_rule(Rule::always(Fault::hang()).of(hanging));
    let opens = soon(1);
    place.write(&[window("patching", (opens, much_later()), &syncs)]);
    let daemon = place.start();
    for it in others {
        place.until_held(*it);
    }
    place.write(&[window("patching", (opens, soon(1)), &syncs)]);
    place.reload();
    for it in others {
        place.until_active(*it);
    }
    assert_eq!(place.requests(Operation::Look, hanging), 1, "the request does not hang");

    let (status, took) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    // Five seconds for the answer, and some for a busy machine.
    assert!(took.num_seconds() < 20, "it took {took} to end");
}

#[test]
fn what_was_resumed_offline_is_not_paused_again_in_the_same_window() {
    let place = Place::new();
    let (sync, witness) = (place.model("default", id(1)), place.model("default", id(2)));
    let patching = window("patching", (soon(1), much_later()), &[sync]);
    place.write(std::slice::from_ref(&patching));
    let daemon = place.start();
    place.until_held(sync);

    let held = place.run(&["resume", "--all", "--offline"]).with(75);
    assert!(held.err.contains("another daemon"), "{}", held.err);
    assert!(!place.is_active(sync), "resumed under a daemon's hands");
    daemon.kill();

    let ended = place.run(&["resume", "--all", "--offline", "--reason", "the patch went wrong"]).with(0);
    assert!(ended.out.contains("resumed"), "{}", ended.out);
    assert!(place.is_active(sync));

    place.write(&[patching, window("another", (soon(2), much_later()), &[witness])]);
    let _daemon = place.start();
    place.until_held(witness);
    place.until_row("it is left alone", sync, |row| row["state"] == "released");
    assert!(place.is_active(sync));
    assert_eq!(place.requests(Operation::Pause, sync), 1, "paused again");
}

#[test]
fn offline_without_configuration_all_that_is_held_is_resumed() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.write(&[window("patching", (soon(1), much_later()), &[sync])]);
    let daemon = place.start();
    place.until_held(sync);
    daemon.kill();
    std::fs::remove_file(place.config()).unwrap();
    place.run(&["resume", "--all", "--offline"]).with(0);
    assert!(place.is_active(sync));
}

#[test]
fn offline_resumes_outlast_a_server_that_stumbles() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.write(&[window("patching", (soon(1), much_later()), &[sync])]);
    let daemon = place.start();
    place.until_held(sync);
    daemon.kill();
    place.world().add_rule(Rule::always(Fault::status(503)).on(Operation::Resume).times(2));
    place.run(&["resume", "--all", "--offline", "--timeout", "2m"]).with(0);
    assert!(place.is_active(sync));

    // Nobody waits for what the daemon never held.
    until("nothing is left to do", || place.run(&["resume", "--all", "--offline"]).code == Some(0));
}
