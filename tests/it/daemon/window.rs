//! A window opens and closes: who is paused, when, and how often.

use intermission::domain::sync::Name;

use super::night::{CONTACTS, EMEA, FAR, LEADS, Night, PATIENCE, STRIPE, Window, soon};

#[test]
fn syncs_of_both_kinds_are_paused_at_the_start_and_resumed_at_the_end() {
    let night = Night::new();
    let span = soon(2.0)..soon(5.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE])]);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_resumed(part);
        let pause = night.assert_one_pause(part, &span);
        assert!(pause.paused < span.start + PATIENCE, "paused at {}", pause.paused);
        assert!(pause.resumed < span.end + PATIENCE, "resumed at {}", pause.resumed);
        night.until_no_row(part);
    }
    night.assert_untouched(LEADS);
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.world().requests().iter().all(|it| it.authorized() && it.version.is_some()));
}

#[test]
fn what_was_off_before_stays_off_and_gets_no_request_to_change() {
    let night = Night::new();
    night.person_switches(CONTACTS, false);
    let span = soon(1.5)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, LEADS])]);
    let daemon = night.start();
    night.until_resumed(LEADS);
    night.assert_one_pause(LEADS, &span);
    night.until_no_row(CONTACTS);
    let skipped = night.history("skipped");
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0]["id"], CONTACTS.id.to_string());
    assert_eq!(skipped[0]["window"], "patching");
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(CONTACTS);
    assert!(!night.is_on(CONTACTS));
}

#[test]
fn overlapping_windows_are_one_pause_to_the_later_end() {
    let night = Night::new();
    let (opens, closes) = (soon(1.5), soon(6.0));
    night.write(&[
        Window::new("first", opens..soon(4.0)).of(&[CONTACTS]),
        Window::new("second", soon(2.5)..closes).of(&[CONTACTS, STRIPE]),
        Window::new("within", soon(3.0)..soon(3.5)).of(&[CONTACTS]),
    ]);
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(opens..closes));
    night.assert_one_pause(STRIPE, &(opens..closes));
}

#[test]
fn touching_windows_are_one_pause() {
    let night = Night::new();
    let (opens, between, closes) = (soon(1.5), soon(3.5), soon(5.5));
    night.write(&[
        Window::new("first", opens..between).of(&[CONTACTS, STRIPE]),
        Window::new("second", between..closes).of(&[CONTACTS, STRIPE]),
    ]);
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(opens..closes));
    night.assert_one_pause(STRIPE, &(opens..closes));
}

#[test]
fn each_organization_is_asked_with_its_own_key() {
    let night = Night::new();
    let (ours, theirs) = (soon(1.5)..soon(4.5), soon(2.0)..soon(5.0));
    night.write(&[
        Window::new("ours", ours.clone()).of(&[CONTACTS]),
        Window::new("theirs", theirs.clone()).of(&[EMEA]),
    ]);
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(EMEA);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &ours);
    night.assert_one_pause(EMEA, &theirs);
    for request in night.world().requests() {
        let asked = request.organization.as_ref().map(Name::as_str);
        match request.sync {
            Some(id) if id == CONTACTS.id => assert_eq!(asked, Some("default")),
            Some(id) if id == EMEA.id => assert_eq!(asked, Some("emea")),
            _ => assert!(asked.is_some(), "{request:?}"),
        }
    }
}

#[test]
fn the_journal_tells_who_was_paused_and_resumed_for_which_window() {
    let night = Night::new();
    let span = soon(1.5)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS]).with("description = \"CHG-1234\"")]);
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.until_no_row(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    let told = night.history("paused,resumed,window_opened,window_closed");
    let words: Vec<_> = told.iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(words.iter().filter(|it| **it == "paused").count(), 1, "{words:?}");
    assert_eq!((words[0], words.len()), ("window_opened", 4), "{words:?}");
    let opens = span.start.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for it in &told {
        assert_eq!((&it["window"], &it["by"]), (&"patching".into(), &"daemon".into()), "{it}");
        assert_eq!(it["occurrence"], opens, "{it}");
    }
    for it in told.iter().filter(|it| it["id"].is_string()) {
        assert_eq!((&it["name"], &it["kind"]), (&"Contacts".into(), &"model".into()), "{it}");
        assert_eq!((&it["organization"], &it["id"]), (&"default".into(), &CONTACTS.id.to_string().into()));
    }
    night.run(&["history"], 0).with(&["paused", "resumed", "Contacts", "[patching]", "CHG-1234"]);
}

#[test]
fn one_run_pauses_and_a_later_one_resumes_what_is_due() {
    let night = Night::new();
    let span = soon(-1.0)..soon(5.0);
    night.write(&[
        Window::new("patching", span.clone()).of(&[CONTACTS]),
        Window::new("longer", soon(-1.0)..soon(FAR)).of(&[STRIPE]),
    ]);
    night.run(&["run", "--once", "--timeout", "1m"], 0);
    assert!(!night.is_on(CONTACTS) && !night.is_on(STRIPE));
    night.until_time(span.end);
    night.run(&["run", "--once", "--timeout", "1m"], 0).with(&["Resumed sync `Contacts`"]);
    night.assert_one_pause(CONTACTS, &span);
    assert_eq!(night.switches(STRIPE).len(), 1);
    night.until_state(STRIPE, "held");
}

#[test]
fn a_window_with_a_lead_pauses_that_much_earlier() {
    let night = Night::new();
    let (opens, closes) = (soon(62.0), soon(63.0));
    let early = soon(2.0);
    night.write(&[Window::new("patching", opens..closes).of(&[CONTACTS]).with("lead = \"1m\"")]);
    let daemon = night.start();
    night.until_paused(CONTACTS);
    let paused = night.switches(CONTACTS)[0].0;
    assert!(early <= paused, "paused at {paused}, before {early}");
    let row = night.until_state(CONTACTS, "held");
    assert_eq!(row["until"], closes.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    assert_eq!(row["opens"], opens.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    night.run(&["status"], 0).with(&["its `lead` has begun: the window opens "]);
    night.run(&["why", "Contacts"], 0).with(&["its `lead` has begun: `patching` opens ", "(lead 1 min)"]);
    assert_eq!(night.history("window_opened").len(), 0);
    assert_eq!(daemon.stop(), Some(0));
    night.run(&["status"], 0).with(&["its `lead` has begun: the window opens "]);
}

#[test]
fn the_shortest_window_leaves_its_syncs_on() {
    let night = Night::new();
    let span = soon(2.0)..soon(2.01);
    let windows = [Window::new("blink", span.clone()).of(&[CONTACTS, STRIPE, LEADS])];
    night.write(&windows);
    let daemon = night.start();
    night.until_time(span.end);
    night.fence(&windows);
    night.until_status("only the fence is paused", |it| it["syncs"].as_array().map_or(0, Vec::len) == 1);
    assert_eq!(daemon.stop(), Some(0));
    for part in [CONTACTS, STRIPE, LEADS] {
        assert!(night.is_on(part), "{}", part.name);
        let switches = night.switches(part);
        assert!(switches.len() <= 2, "{switches:?}");
    }
    assert_eq!(night.history("window_opened").iter().filter(|it| it["window"] == "blink").count(), 1);
}
