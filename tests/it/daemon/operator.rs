//! An operator ends pauses by the command line.

use intermission::simulator::{Fault, Operation, Rule};

use super::night::{CONTACTS, FAR, LEADS, Night, STRIPE, Window, row, soon};

/// Open now, and one of tomorrow that covers the same syncs.
fn windows() -> [Window; 3] {
    let tomorrow = soon(FAR * 24.0)..soon(FAR * 25.0);
    [
        Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]),
        Window::new("vacuum", soon(-1.0)..soon(FAR)).of(&[CONTACTS, LEADS]),
        Window::new("tomorrow", tomorrow).of(&[CONTACTS, STRIPE]),
    ]
}

/// Runs `resume` on three paused syncs and asserts that these, and no others,
/// run again and are left alone, whatever happens to the daemon.
#[track_caller]
fn check(arguments: &[&str], resumed: &[super::night::Part], says: &[&str]) {
    let night = Night::new();
    let windows = windows();
    night.write(&windows);
    let all = [CONTACTS, STRIPE, LEADS];
    let daemon = night.start();
    for part in all {
        night.until_state(part, "held");
    }
    night.run(&[&["resume", "--reason", "CHG-1234 is done"], arguments].concat(), 0).with(says);
    for part in resumed {
        night.until_resumed(*part);
        night.until_state(*part, "released");
    }
    night.fence(&windows);
    daemon.kill();
    let daemon = night.start();
    night.fence(&windows);
    daemon.hang_up();
    assert_eq!(daemon.stop(), Some(0));

    let status = night.run(&["status", "--format", "json"], 0).json();
    for part in all {
        let is_resumed = resumed.contains(&part);
        assert_eq!(night.is_on(part), is_resumed, "{}", part.name);
        assert_eq!(night.posts(part), if is_resumed { 2 } else { 1 }, "{}", part.name);
        assert_eq!(row(&status, part)["state"], if is_resumed { "released" } else { "held" });
    }
    let told = night.history("operator_resume");
    assert_eq!(told.len(), resumed.len(), "{told:?}");
    for it in told {
        assert!(it["by"].as_str().unwrap().starts_with("operator (uid "), "{it}");
        assert_eq!(it["detail"], "CHG-1234 is done");
    }
    let told = night.history("resumed");
    assert_eq!(told.len(), resumed.len(), "{told:?}");
}

#[test]
fn a_sync_that_an_operator_resumes_is_left_alone_until_the_next_window() {
    check(&["Contacts"], &[CONTACTS], &["Contacts", "held", "patching", "vacuum", "(tomorrow)"]);
}

#[test]
fn a_sync_without_a_further_window_is_said_to_be_left_alone_for_good() {
    check(&[&LEADS.id.to_string()], &[LEADS], &["Leads", "vacuum", "no further window"]);
}

#[test]
fn all_syncs_of_a_window_can_be_resumed() {
    check(&["--window", "patching"], &[CONTACTS, STRIPE], &["Contacts", "Stripe to Snowflake", "(tomorrow)"]);
}

#[test]
fn all_syncs_can_be_resumed() {
    check(&["--all"], &[CONTACTS, STRIPE, LEADS], &["Contacts", "(tomorrow)", "no further window"]);
}

#[test]
fn a_window_that_opens_after_the_resume_pauses_again() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", "Contacts"], 0);
    night.until_state(CONTACTS, "released");

    let next = Window::new("next", soon(0.5)..soon(3.0)).of(&[CONTACTS]);
    night.write(&[patching, next.clone()]);
    night.run(&["reload"], 0);
    night.until_switches(CONTACTS, 4);
    // The first window is still open, and still does not count.
    night.until_state(CONTACTS, "released");
    assert_eq!(daemon.stop(), Some(0));
    let switches = night.switches(CONTACTS);
    assert_eq!(switches.iter().map(|it| it.1).collect::<Vec<_>>(), [false, true, false, true]);
    assert!(next.opens() <= switches[2].0 && soon(0.0) > switches[3].0, "{switches:?}");
}

#[test]
fn what_cannot_be_resumed_is_refused_with_a_reason() {
    let night = Night::new();
    night.write(&windows());
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", "Nobody"], 1).with(&["no sync here is called `Nobody`"]);
    night.run(&["resume", "--window", "nothing"], 1).with(&["there is no window `nothing`"]);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.posts(CONTACTS), 1);
}

#[test]
fn a_resume_that_is_said_twice_is_written_down_once() {
    let night = Night::new();
    night.write(&windows());
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    for _ in 0..3 {
        night.run(&["resume", "Contacts"], 0).with(&["Contacts", "(tomorrow)"]);
        night.until_state(CONTACTS, "released");
    }
    let told = night.run(&["why", "Contacts"], 0);
    told.with(&["somebody decided to let it run: it is left alone", "no: somebody decided against it"]);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.history("operator_resume").len(), 1);
    assert_eq!(night.posts(CONTACTS), 2);
}

#[test]
fn an_operator_is_heard_where_a_person_at_polytomic_is_not() {
    let night = Night::new();
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR))
        .of(&[CONTACTS])
        .with("on_manual_resume = \"enforce\"")];
    night.write(&windows);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", &format!("default/{}", CONTACTS.id)], 0).with(&["no further window"]);
    night.until_state(CONTACTS, "released");
    night.fence(&windows);
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.is_on(CONTACTS));
    assert_eq!(night.posts(CONTACTS), 2);
}

#[test]
fn a_sync_can_be_left_alone_before_it_is_paused() {
    let night = Night::new();
    // Nothing can be paused yet: the API takes no such request.
    night.world().add_rule(Rule::always(Fault::status(503)).on(Operation::Pause).of(CONTACTS.id));
    let windows = windows();
    night.write(&windows);
    let daemon = night.start();
    night.until_status("it is tried", |it| row(it, CONTACTS)["attempts"].as_u64() > Some(1));
    night.run(&["resume", "Contacts"], 0).with(&["pausing", "(tomorrow)"]);
    night.until_state(CONTACTS, "released");
    night.world().clear_faults();
    night.fence(&windows);
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.is_on(CONTACTS));
    assert!(night.switches(CONTACTS).iter().all(|(_, active)| *active));
}

#[test]
fn a_window_that_is_extended_after_the_resume_does_not_pause_again() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(4.0)).of(&[CONTACTS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let first = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", "Contacts"], 0);
    night.until_state(CONTACTS, "released");
    first.kill();
    let windows = [patching.until(soon(FAR))];
    night.write(&windows);
    let second = night.start();
    night.until_time(patching.closes());
    night.fence(&windows);
    assert_eq!(second.stop(), Some(0));
    assert!(night.is_on(CONTACTS) && !night.is_on(STRIPE));
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 1));
}
