//! People do things at Polytomic inside a window.

use intermission::clock::wall;
use intermission::simulator::Sync;

use super::night::{CONTACTS, FAR, LEADS, Night, PERSON, STRIPE, Window, row, soon};

#[test]
fn what_a_person_switches_on_inside_a_window_is_left_on() {
    let night = Night::new();
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE])];
    night.write(&windows);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.person_switches(CONTACTS, true);
    night.until_state(CONTACTS, "released");
    night.fence(&windows);
    daemon.kill();
    let daemon = night.start();
    night.fence(&windows);
    night.until_state(STRIPE, "held");
    night.until_state(CONTACTS, "released");
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.is_on(CONTACTS));
    assert_eq!(night.posts(CONTACTS), 1);
    let released = night.history("released");
    assert_eq!(released.len(), 1, "{released:?}");
    assert_eq!((&released[0]["by"], &released[0]["window"]), (&PERSON.into(), &"patching".into()));
}

#[test]
fn a_window_by_another_name_pauses_again_what_a_person_switched_on_and_diff_tells_it_before() {
    let night = Night::new();
    let opened = soon(-1.0);
    let open = |name| [Window::new(name, opened..soon(FAR)).of(&[CONTACTS, STRIPE])];
    night.write(&open("patching"));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    night.person_switches(CONTACTS, true);
    night.until_state(CONTACTS, "released");
    night.rewrite(|text| text.replace("\"patching\"", "\"renamed\""));
    let said = night.run(&["diff"], 1);
    assert_eq!(said.out.lines().next(), Some("would pause 1 sync now: renamed added"), "{}", said.out);
    night.run(&["reload"], 0);
    night.until_state(CONTACTS, "held");
    night.run(&["diff"], 0);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 1));
}

#[test]
fn somebody_who_switches_on_many_syncs_of_a_window_is_told_of_once() {
    let night = Night::new();
    let parts = [CONTACTS, LEADS, STRIPE];
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&parts)]);
    let daemon = night.start();
    for part in parts {
        night.until_state(part, "held");
    }
    for part in parts {
        night.person_switches(part, true);
    }
    for part in parts {
        night.until_state(part, "released");
    }
    let told = || {
        let log = night.log();
        log.matches(&format!("3 syncs of window `patching` were switched on by {PERSON}")).count()
    };
    night.until("it is told", |_| told() > 0);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(told(), 1);
}

#[test]
fn what_a_person_switches_on_is_paused_again_where_the_window_says_so() {
    let night = Night::new();
    let patching =
        Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]).with("on_manual_resume = \"enforce\"");
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.person_switches(CONTACTS, true);
    night.until_switches(CONTACTS, 2);
    night.until_state(CONTACTS, "held");
    let end = soon(1.0);
    night.write(&[patching.until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    let switches = night.switches(CONTACTS);
    assert_eq!(switches.iter().map(|it| it.1).collect::<Vec<_>>(), [false, false, true]);
    assert!(end <= switches[2].0, "{switches:?}");
}

#[test]
fn what_a_person_switches_off_while_it_is_paused_is_still_ours_to_resume() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    // Off where it is off already: the API shows nothing of it.
    night.person_switches(CONTACTS, false);
    let end = soon(1.0);
    night.write(&[patching.until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(patching.opens()..end));
}

#[test]
fn a_sync_that_is_deleted_inside_a_window_holds_up_no_other() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, LEADS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    for part in [CONTACTS, LEADS, STRIPE] {
        night.until_state(part, "held");
    }
    let id = CONTACTS.id.to_string();
    night.run(&["forget", &id], 1);
    night.world().delete(wall(), CONTACTS.id, PERSON).unwrap();
    let told = |it: &serde_json::Value| !row(it, CONTACTS)["last_error"].is_null();
    let status = night.until_status("it is told that one is gone", told);
    assert_eq!(status["healthy"], false);
    night.run(&["status"], 0).with(&["Contacts", "does not know"]);
    assert!(!night.history("gone").is_empty());

    let end = soon(1.0);
    night.write(&[patching.until(end)]);
    night.run(&["reload"], 0);
    for part in [LEADS, STRIPE] {
        night.until_resumed(part);
        night.assert_one_pause(part, &(patching.opens()..end));
        night.until_no_row(part);
    }
    night.run(&["forget", &id], 0).with(&[&id]);
    night.until_status("all is well", |it| it["healthy"] == true && it["syncs"] == serde_json::json!([]));
    assert_eq!(daemon.stop(), Some(0));
    let forgotten = night.history("forgotten");
    assert_eq!(forgotten.len(), 1, "{forgotten:?}");
    assert!(forgotten[0]["by"].as_str().unwrap().starts_with("operator (uid "), "{forgotten:?}");
}

#[test]
fn a_person_decides_about_the_windows_that_are_open_and_about_no_later_one() {
    let night = Night::new();
    let open = Window::new("open", soon(-1.0)..soon(FAR)).of(&[CONTACTS, LEADS]);
    night.person_switches(LEADS, false);
    night.write(std::slice::from_ref(&open));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(LEADS, "skipped");
    night.person_switches(CONTACTS, true);
    night.person_switches(LEADS, true);
    night.until_state(CONTACTS, "released");

    let next = soon(0.5)..soon(3.0);
    night.write(&[open, Window::new("next", next.clone()).of(&[CONTACTS, LEADS])]);
    night.run(&["reload"], 0);
    night.until_switches(CONTACTS, 3);
    night.until_resumed(LEADS);
    // The first window is open still, and still does not count.
    night.until_status("both are left alone", |it| {
        [CONTACTS, LEADS]
            .iter()
            .all(|part| matches!(row(it, *part)["state"].as_str(), Some("released" | "skipped")))
    });
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(LEADS, &next);
    let switches = night.switches(CONTACTS);
    assert_eq!(switches.iter().map(|it| it.1).collect::<Vec<_>>(), [false, false, true]);
    assert!(next.contains(&switches[1].0) && next.end <= switches[2].0, "{switches:?}");
}

#[test]
fn what_was_off_at_the_start_and_is_switched_on_inside_is_left_on_even_then() {
    let night = Night::new();
    night.person_switches(CONTACTS, false);
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR))
        .of(&[CONTACTS])
        .with("on_manual_resume = \"enforce\"")];
    night.write(&windows);
    let daemon = night.start();
    night.until_state(CONTACTS, "skipped");
    night.person_switches(CONTACTS, true);
    night.fence(&windows);
    daemon.kill();
    let daemon = night.start();
    night.fence(&windows);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(CONTACTS);
}

#[test]
fn a_sync_that_is_not_there_when_its_window_opens_is_told() {
    let night = Night::new();
    night.world().delete(wall(), STRIPE.id, PERSON).unwrap();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_status("it is told", |it| !row(it, STRIPE)["last_error"].is_null());
    night.write(&[patching.of(&[CONTACTS])]);
    night.run(&["reload"], 0);
    // Nobody asks for it any more, and nothing is owed.
    night.until_no_row(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(STRIPE);
}

#[test]
fn a_person_who_deletes_and_remakes_a_sync_finds_it_on() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, LEADS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(LEADS, "held");
    night.world().delete(wall(), CONTACTS.id, PERSON).unwrap();
    night.until_status("it is told", |it| !row(it, CONTACTS)["last_error"].is_null());
    let mut remade = Sync::new(CONTACTS.kind, CONTACTS.id, CONTACTS.name, wall());
    remade.active = false;
    night.world().create(wall(), "default", remade, PERSON).unwrap();
    // A reload asks again at once for what was not there.
    let end = soon(1.0);
    night.write(&[patching.until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    night.until_resumed(LEADS);
    night.until_status("all is well", |it| it["healthy"] == true && it["syncs"] == serde_json::json!([]));
    assert_eq!(daemon.stop(), Some(0));
}
