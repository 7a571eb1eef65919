//! What the daemon finds before a window opens, and tells once.

use chrono::TimeDelta;
use intermission::clock::wall;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Fault, Operation, Rule};
use serde_json::Value;
use uuid::Uuid;

use super::night::{CONTACTS, EMEA, FAR, LEADS, Night, PATIENCE, Part, STRIPE, Window, key, soon};

/// The file names it, and nobody has it.
const NOBODYS: Part = Part {
    organization: "default",
    kind: SyncKind::Model,
    id: Uuid::from_u128(0x0bad_0bad_0000_4000_8000_0000_0000_0001),
    name: "Nobody's",
};

/// Looks for trouble so long before each pause.
fn write(night: &Night, before: &str, windows: &[Window]) {
    night.write(windows);
    night.rewrite(|text| text.replace("[reconcile]\n", &format!("[reconcile]\npreflight = \"{before}\"\n")));
}

/// Far enough away to be looked at with `preflight = "2h"`, and not to begin.
fn coming(name: &'static str) -> Window {
    Window::new(name, soon(FAR)..soon(FAR + 60.0))
}

fn found<'a>(status: &'a Value, window: &str) -> &'a Value {
    let mut told = status["preflights"].as_array().into_iter().flatten();
    told.find(|it| it["window"] == window).unwrap_or(&Value::Null)
}

fn until_found(night: &Night, window: &str) -> Value {
    let status = night.until_status("it was looked", |it| !found(it, window).is_null());
    found(&status, window).clone()
}

/// Its requests for anything but a list.
fn looks(night: &Night, part: Part) -> usize {
    night.world().requests().iter().filter(|it| it.sync == Some(part.id)).count()
}

#[test]
fn what_will_trouble_a_window_is_told_before_it_opens() {
    let night = Night::new();
    night.person_switches(LEADS, false);
    let mut window = coming("patching").of(&[CONTACTS, LEADS, NOBODYS]);
    write(&night, "2h", &[window.clone()]);
    let daemon = night.start();
    let told = until_found(&night, "patching");
    let error = told["error"].as_str().unwrap();
    let gone = format!("Polytomic does not know 1 sync: {}", NOBODYS.id);
    assert_eq!(error, format!("{gone}; 1 sync is off already and will stay off: Leads"));
    assert_eq!(told["detail"], "1 sync is there and on");
    night.run(&["status"], 0).with(&["WARNING: before window `patching` opens", error]);
    let log = night.log();
    assert!(log.contains("WARN  Before window `patching` opens at "), "{log}");

    // That it was told may be written down a moment later: nobody waits for that.
    night.until("it is in the ledger", |_| !night.history("preflight").is_empty());

    // Told once: not again after a reload, and not after a restart.
    let before = looks(&night, CONTACTS);
    night.run(&["reload"], 0);
    daemon.kill();
    let daemon = night.start();
    write(&night, "2h", &[window.clone(), coming("another").of(&[STRIPE])]);
    night.run(&["reload"], 0);
    until_found(&night, "another");
    assert_eq!(until_found(&night, "patching")["error"], error);
    let mut events = night.history("preflight");
    events.retain(|it| it["window"] == "patching");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["error"], error);
    assert_eq!(looks(&night, CONTACTS), before);

    // Another time is another occurrence.
    window = window.until(window.closes() + TimeDelta::seconds(1)).renamed("later");
    write(&night, "2h", &[window]);
    night.run(&["reload"], 0);
    until_found(&night, "later");
    night.until_status("the window that is gone is not told of", |it| found(it, "patching").is_null());
    assert_eq!(daemon.stop(), Some(0));
    let offline = night.run(&["status", "--format", "json"], 0).json();
    assert!(found(&offline, "later")["error"].is_string(), "{offline:#}");
    for part in [CONTACTS, LEADS] {
        night.assert_untouched(part);
    }
}

#[test]
fn a_night_that_will_be_quiet_is_told_without_a_warning() {
    let night = Night::new();
    {
        let mut world = night.world();
        world.set_run_length(STRIPE.id, TimeDelta::hours(1)).unwrap();
        world.person_starts(wall(), STRIPE.id).unwrap();
    }
    // LEADS is paused by us, which is no trouble to anybody else.
    let open = Window::new("open", soon(-1.0)..soon(FAR)).of(&[LEADS]);
    write(&night, "2h", std::slice::from_ref(&open));
    let daemon = night.start();
    night.until_state(LEADS, "held");
    write(&night, "2h", &[open, coming("patching").of(&[CONTACTS, LEADS, STRIPE])]);
    night.run(&["reload"], 0);
    let told = until_found(&night, "patching");
    assert!(told["error"].is_null(), "{told}");
    let detail = "2 syncs are there and on; 1 runs now: Stripe to Snowflake; 1 still paused by other windows";
    assert_eq!(told["detail"], detail);
    night.run(&["status"], 0).with(&["Before window `patching` opens", detail]);
    let log = night.log();
    assert!(log.contains("INFO  Before window `patching` opens at "), "{log}");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_key_that_does_not_do_and_a_selection_of_nothing_are_told_of_their_windows_alone() {
    let night = Night::new();
    night.world().set_key("default", key("rotated")).unwrap();
    let nothing = coming("nothing").with("select = [{ name = \"Kein *\" }]");
    write(&night, "2h", &[coming("ours").of(&[CONTACTS, LEADS]), coming("theirs").of(&[EMEA]), nothing]);
    night.rewrite(|text| {
        let select = "organization = \"default\"\nsyncs = []\nbulk_syncs = []\nselect";
        text.replace(select, "organization = \"emea\"\nselect")
    });
    let daemon = night.start();
    assert!(until_found(&night, "theirs")["error"].is_null());
    let error = until_found(&night, "ours")["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("the key of organization `default` does not do: "), "{error}");
    assert!(error.contains("401") && !error.contains("could not be looked at"), "{error}");
    let error = until_found(&night, "nothing")["error"].clone();
    assert_eq!(error, "it selects no sync at all");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_cannot_be_asked_is_asked_again_and_told_before_the_pause_begins() {
    let night = Night::new();
    {
        let mut world = night.world();
        // One passes, the other one stays.
        world.add_rule(Rule::always(Fault::status(502)).on(Operation::Look).of(CONTACTS.id).times(1));
        world.add_rule(Rule::always(Fault::status(502)).on(Operation::Look).of(LEADS.id));
    }
    let window = Window::new("patching", soon(8.0)..soon(10.0)).of(&[CONTACTS, LEADS]);
    write(&night, "1h", std::slice::from_ref(&window));
    let daemon = night.start();
    let told = until_found(&night, "patching");
    assert!(wall() < window.opens(), "there is time to read it");
    let error = told["error"].as_str().unwrap();
    let expected = format!("1 sync could not be looked at: {}: the API answered 502", LEADS.id);
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(told["detail"], "1 sync is there and on");
    night.world().clear_faults();
    // It says nothing about the night itself.
    for part in [CONTACTS, LEADS] {
        night.until_resumed(part);
        night.assert_one_pause(part, &(window.opens()..window.closes()));
    }
    night.until_status("nothing is ahead any more", |it| it["preflights"].is_null());
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_preflight_that_hangs_is_in_the_way_of_no_boundary() {
    let night = Night::new();
    night.world().add_rule(Rule::always(Fault::hang()).of(LEADS.id));
    let span = soon(2.0)..soon(4.0);
    write(&night, "2h", &[Window::new("now", span.clone()).of(&[CONTACTS]), coming("later").of(&[LEADS])]);
    night.rewrite(|text| text.replace("[polytomic]\n", "[polytomic]\nmax_concurrent_requests = 2\n"));
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.assert_one_pause(CONTACTS, &span);
    let pause = night.switches(CONTACTS);
    assert!(pause[0].0 < span.start + PATIENCE && pause[1].0 < span.end + PATIENCE);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn nothing_is_looked_at_unless_it_is_asked_for() {
    let night = Night::new();
    night.write(&[coming("patching").of(&[CONTACTS])]);
    let daemon = night.start();
    night.fence(&[coming("patching").of(&[CONTACTS])]);
    assert_eq!(looks(&night, CONTACTS), 0);
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.history("preflight").is_empty());
}
