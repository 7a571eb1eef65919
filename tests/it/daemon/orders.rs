//! An operator pauses, extends and exempts by the command line, and asks why.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::night::{CONTACTS, EMEA, FAR, LEADS, Night, STRIPE, Window, row, soon};

/// A window far away, so that there is a configuration and nothing to do.
fn tomorrow() -> Window {
    Window::new("tomorrow", soon(FAR * 24.0)..soon(FAR * 25.0)).of(&[CONTACTS, STRIPE])
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn what_an_operator_pauses_is_paused_across_a_restart_and_resumed_at_its_end() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let said = night.run(&["pause", "--window", "tomorrow", "--for", "5s", "--reason", "load test"], 0);
    said.with(&["operator#1 pauses 2 syncs until", "load test", "it is being paused", "(tomorrow)"]);
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    daemon.kill();
    let daemon = night.start();
    let status = night.run(&["status", "--format", "json"], 0).json();
    let order = &status["orders"][0];
    assert_eq!(
        (&order["name"], &order["what"], &order["syncs"]),
        (&"operator#1".into(), &"pause".into(), &2.into())
    );
    assert_eq!(row(&status, CONTACTS)["windows"], serde_json::json!(["operator#1"]));
    let until = time(&order["until"]);
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    night.until_no_row(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    for part in [CONTACTS, STRIPE] {
        assert_eq!(night.posts(part), 2);
        assert!(until <= night.switches(part)[1].0, "not before its end");
    }
    night.assert_untouched(LEADS);
    let told = night.history("operator_pause");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0]["by"].as_str().unwrap().starts_with("operator (uid "), "{told:?}");
    assert!(told[0]["detail"].as_str().unwrap().ends_with("load test"), "{told:?}");
    assert_eq!(night.history("paused")[0]["window"], "operator#1");
}

#[test]
fn a_second_pause_is_a_second_holder_and_each_can_be_taken_back() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[patching]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["pause", "Contacts", "--for", "1h", "--reason", "load"], 0).with(&["operator#1"]);
    let why = night.run(&["why", "Contacts", "--format", "json"], 0).json();
    let holders: Vec<&Value> = why["holders"].as_array().unwrap().iter().map(|it| &it["window"]).collect();
    assert_eq!(holders, ["operator#1", "patching"]);
    assert_eq!(why["holders"][0]["description"], "load");

    night.run(&["resume", "--window", "operator#1"], 0).with(&["Contacts", "operator#1"]);
    let why = night.run(&["why", "Contacts", "--format", "json"], 0).json();
    assert_eq!((&why["wanted"], why["holders"].as_array().unwrap().len()), (&"paused".into(), 1));
    night
        .run(&["resume", "--window", "operator#1"], 1)
        .with(&["`operator#1` is over, or nobody asked for it"]);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.posts(CONTACTS), 1, "it stays paused for its window");
}

#[test]
fn a_pause_that_is_taken_back_tells_what_else_keeps_the_sync_paused() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    for reason in ["load", "more load"] {
        night.run(&["pause", "Contacts", "--for", "1h", "--reason", reason], 0);
    }
    let said = night.run(&["resume", "--window", "operator#1"], 0);
    said.with(&[
        "operator#1 is ended: it pauses 1 sync no longer",
        "stays paused until",
        "(operator#2, patching)",
    ]);
    let said = night.run(&["resume", "--window", "operator#2", "--format", "json"], 0).json();
    assert_eq!(time(&said["syncs"][0]["paused_until"]), patching.closes());
    assert_eq!(said["order"]["name"], "operator#2");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.posts(CONTACTS), 1);
}

#[test]
fn an_operators_pause_whose_syncs_are_all_resumed_is_over_also_after_a_restart() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    night.run(&["pause", "--window", "tomorrow", "--for", "1h", "--reason", "load"], 0);
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    night.run(&["resume", &CONTACTS.id.to_string()], 0).with(&["operator#1", "(tomorrow)"]);
    night.until_resumed(CONTACTS);
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert_eq!(status["orders"][0]["syncs"], 1, "{status}");
    night.run(&["resume", "--all"], 0).with(&["operator#1"]);
    night.until_resumed(STRIPE);
    night.until_no_row(STRIPE);
    assert!(!night.run(&["status"], 0).out.contains("operator#1"));
    daemon.kill();
    let daemon = night.start();
    night.fence(&[tomorrow()]);
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert!(status["orders"].is_null() && row(&status, CONTACTS).is_null(), "{status}");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 2));
}

#[test]
fn an_operators_pause_can_be_taken_back_without_a_configuration() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    night.run(&["pause", "--window", "tomorrow", "--for", "1h", "--reason", "load"], 0);
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    daemon.kill();
    night.write_nonsense();
    let daemon = night.start();
    night.run(&["resume", "--window", "operator#1"], 0).with(&[
        "operator#1 is ended",
        "Contacts",
        "left alone",
    ]);
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert!(status["orders"].is_null(), "{status}");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 2));
}

#[test]
fn an_extension_can_be_taken_back_by_its_name() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(3.0)).of(&[CONTACTS]);
    night.write(&[patching.clone(), tomorrow()]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["extend", "patching", "--by", "6d", "--reason", "mistyped"], 0);
    night.run(&["extend", "patching", "--by", "1h", "--reason", "mistyped"], 0);
    let said = night.run(&["resume", "--window", "operator#2", "--reason", "oh"], 0);
    said.with(&["operator#2 is ended: window `patching` closes", "stays paused until"]);
    night.until_time(patching.closes());
    let said = night.run(&["resume", "--window", "operator#1"], 0);
    said.with(&["operator#1 is ended: window `patching` was to close", "and is closed now", "(tomorrow)"]);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    assert!(patching.closes() <= night.switches(CONTACTS)[1].0, "not before it was to close");
    let told = night.history("extended");
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(
        (&told[2]["window"], &told[2]["detail"]),
        (&"patching".into(), &"the extension was ended: oh".into())
    );
}

#[test]
fn an_exemption_can_be_ended_by_its_name() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["exempt", "--all", "--for", "1h", "--reason", "freeze"], 0);
    night.until_resumed(CONTACTS);
    night.until_state(CONTACTS, "exempt");
    let said = night.run(&["resume", "--window", "operator#1"], 0);
    said.with(&["operator#1 is ended: windows count again for all syncs", "paused until", "(patching)"]);
    night.until_state(CONTACTS, "held");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.history("exempted").len(), 2);
}

#[test]
fn a_pause_of_windows_that_overlap_is_told_with_one_end() {
    let night = Night::new();
    let first = Window::new("first", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    let second = Window::new("second", soon(FAR / 2.0)..soon(FAR * 2.0)).of(&[CONTACTS]);
    night.write(&[first, second.clone(), tomorrow()]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    let status = night.run(&["status", "--format", "json"], 0).json();
    let why = night.run(&["why", "Contacts", "--format", "json"], 0).json();
    assert_eq!(why["until"], row(&status, CONTACTS)["until"]);
    assert_eq!(time(&why["until"]), second.closes());
    assert_eq!(why["next"]["window"], "tomorrow", "the second window only makes the pause longer");
    let told = night.run(&["why", "Contacts"], 0);
    told.with(&["Contacts", "it is paused\n", "next: resumed ", "after that: paused by `tomorrow` "]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn why_tells_what_keeps_a_sync_from_being_paused() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let id = LEADS.id.to_string();
    // It is a model sync: Polytomic knows no bulk sync of this id.
    night.run(&["pause", &id, "--kind", "bulk", "--for", "1h", "--reason", "load"], 0);
    let troubled = |status: &Value| !status["syncs"][0]["last_error"].is_null();
    let status = night.until_status("a 404 is told", troubled);
    let why = night.run(&["why", &id, "--format", "json"], 0).json();
    assert_eq!(why["row"]["last_error"], status["syncs"][0]["last_error"]);
    let told = night.run(&["why", &id], 0);
    told.with(&[
        "it is being paused, but the last attempt failed",
        "last error: ",
        "does not know this sync (404)",
        "next: its pause ends ",
    ]);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(LEADS);
}

#[test]
fn why_tells_what_comes_first_first() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let id = CONTACTS.id.to_string();
    night.run(&["exempt", &id, "--for", "3h", "--reason", "x"], 0);
    night.run(&["pause", &id, "--from", "+1h", "--for", "30m", "--reason", "x"], 0);
    let told = night.run(&["why", &id], 0);
    told.with(&["next: paused by `operator#2` ", "after that: exempt no longer "]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_was_off_before_an_operators_pause_stays_off_after_it() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    night.person_switches(CONTACTS, false);
    let daemon = night.start();
    night.run(&["pause", &CONTACTS.id.to_string(), "--for", "5s", "--reason", "load"], 0);
    night.until_state(CONTACTS, "skipped");
    let told = night.run(&["why", "Contacts"], 0);
    told.with(&["it was off already when the pause began", "no: it was off already"])
        .with(&["next: paused by `tomorrow` ", ", if it is on by then"]);
    let exempt = ["exempt", "Contacts", "--for", "1s", "--reason", "x"];
    night.run(&exempt, 0).with(&["(tomorrow), if it is on by then"]);
    night.until_no_row(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(CONTACTS);
}

#[test]
fn a_sync_that_no_window_names_is_paused_by_its_id_and_kind() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let id = LEADS.id.to_string();
    night.run(&["pause", &id, "--for", "1h", "--reason", "x"], 1).with(&["`--kind model` or `--kind bulk`"]);
    night.run(&["pause", &id, "--kind", "model", "--for", "2s", "--reason", "x"], 0).with(&["operator#1"]);
    night.until_paused(LEADS);
    night.until_resumed(LEADS);
    let emea = format!("emea/{}", EMEA.id);
    night.run(&["pause", &emea, "--kind", "model", "--for", "2s", "--reason", "x"], 0).with(&["operator#2"]);
    night.until_paused(EMEA);
    night.until_resumed(EMEA);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn whose_sync_a_name_was_taken_for_is_told_where_there_are_several_organizations() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[EMEA])]);
    let daemon = night.start();
    night.until_state(EMEA, "held");
    let pause = |sync: &str| night.run(&["pause", sync, "--for", "1h", "--reason", "x"], 0);
    pause(EMEA.name).with(&["is the sync of organization `emea`"]);
    assert_eq!(pause(&format!("emea/{}", EMEA.id)).err, "", "there is nothing to doubt");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_an_operator_pauses_later_is_told_by_upcoming() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let pause =
        ["pause", "--window", "tomorrow", "--from", "+1h", "--for", "1h", "--reason", "vendor upgrade"];
    night.run(&pause, 0);
    let said = night.run(&["upcoming", "--until", "+6h"], 0);
    let row = said.out.lines().find(|it| it.contains("operator#1")).unwrap_or_else(|| panic!("{}", said.out));
    assert!(row.contains(" 1 h ") && row.contains("an operator's pause: vendor upgrade"), "{row}");
    said.with(&["0 occurrences, 1 operator's pause, 2 pauses"]);
    let ics = ["upcoming", "--until", "+6h", "--format", "ics"];
    night.run(&ics, 0).with(&["SUMMARY:operator#1: 2 syncs paused", "DESCRIPTION:vendor upgrade"]);
    // What is over before the span is not of it.
    night.run(&["upcoming", "--from", "+3h", "--until", "+6h"], 0).with(&["no window is open"]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn an_extended_occurrence_closes_later_also_after_a_restart_and_a_reload() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(3.0)).of(&[CONTACTS]);
    night.write(&[patching.clone(), tomorrow()]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    let said = night.run(&["extend", "patching", "--by", "3s", "--reason", "still patching"], 0);
    said.with(&["operator#1 keeps window `patching` open until", "still patching", "Contacts"]);
    night.run(&["extend", "tomorrow", "--by", "3s", "--reason", "x"], 1).with(&["is not open"]);
    night.run(&["upcoming", "--days", "1"], 0).with(&["with what operators asked for"]);
    daemon.kill();
    let daemon = night.start();
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    let closes = patching.closes() + chrono::TimeDelta::seconds(3);
    let switches = night.switches(CONTACTS);
    assert!(closes <= switches[1].0 && switches.len() == 2, "{switches:?} and not before {closes}");
    assert_eq!(night.history("extended")[0]["window"], "patching");
}

#[test]
fn windows_do_not_touch_what_is_exempt_until_that_is_ended() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["exempt", "Contacts", "--for", "1h", "--reason", "month end"], 0).with(&[
        "operator#1 exempts 1 sync",
        "month end",
        "is being resumed",
    ]);
    night.until_resumed(CONTACTS);
    night.until_state(CONTACTS, "exempt");
    daemon.kill();
    let daemon = night.start();
    night.fence(std::slice::from_ref(&patching));
    assert!(night.is_on(CONTACTS) && !night.is_on(STRIPE));
    night.run(&["why", &CONTACTS.id.to_string()], 0).with(&["an operator exempted it"]);
    let by_name = night.run(&["exempt", "--all", "--end"], 1);
    by_name.with(&["there is no exemption of all syncs"]);
    night.run(&["exempt", &CONTACTS.id.to_string(), "--end"], 0).with(&["windows count again for 1 sync"]);
    night.until_state(CONTACTS, "held");
    night.run(&["exempt", "--all", "--for", "1h", "--reason", "freeze"], 0).with(&["exempts all syncs"]);
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    night.until_state(CONTACTS, "exempt");
    night.until_state(STRIPE, "exempt");
    let said = night.run(&["exempt", "--all", "--end"], 0);
    said.with(&[
        "windows count again for all syncs; 3 are to be paused now",
        "Contacts",
        "Stripe to Snowflake",
    ]);
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.history("exempted").len(), 4);
}

#[test]
fn what_somebody_switched_on_stays_on_after_an_exemption_inside_the_same_window() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    night.person_switches(CONTACTS, true);
    night.until_state(CONTACTS, "released");
    for part in [CONTACTS, STRIPE] {
        let exempt = ["exempt", &part.id.to_string(), "--for", "30m", "--reason", "month end"];
        let says = if part == CONTACTS { "no further pause" } else { "(patching)" };
        night.run(&exempt, 0).with(&[says]);
    }
    night.until_resumed(STRIPE);
    daemon.kill();
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.run(&["exempt", &part.id.to_string(), "--end"], 0);
    }
    night.until_state(STRIPE, "held");
    night.fence(std::slice::from_ref(&patching));
    assert!(night.is_on(CONTACTS), "a person wanted it on in this occurrence");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_an_operator_asks_for_has_an_end_and_a_reason_and_is_refused_otherwise() {
    let night = Night::new();
    night.write(&[tomorrow()]);
    let daemon = night.start();
    let id = CONTACTS.id.to_string();
    let pause = |rest: &[&str], code| night.run(&[&["pause", "--reason", "x"], rest].concat(), code);
    pause(&[&id, "--for", "8d"], 2).with(&["`max_pause` in [reconcile] allows 7 d; make it shorter"]);
    pause(&[&id, "--until", "1h ago"], 2).with(&["would end before it begins"]);
    pause(&["--window", "nothing", "--for", "1h"], 1).with(&["there is no window `nothing`"]);
    let reasonless = ["pause", "--window", "tomorrow", "--for", "1h", "--reason", " "];
    night.run(&reasonless, 2).with(&["it needs a reason"]);
    let nobody = ["exempt", "Nobody", "--for", "1h", "--reason", "x"];
    night.run(&nobody, 1).with(&["no sync here is called `Nobody`"]);
    let nothing = ["extend", "nothing", "--by", "1h", "--reason", "x"];
    night.run(&nothing, 1).with(&["there is no window `nothing`"]);
    night.run(&["why", "Nobody"], 1).with(&["no sync here is called `Nobody`"]);
    assert_eq!(daemon.stop(), Some(0));
    // Without a daemon the file and the ledger tell.
    assert_eq!(night.run(&["why", &id, "--format", "json"], 0).json()["wanted"], "running");
    night.assert_untouched(CONTACTS);
    assert_eq!(night.history("operator_pause").len(), 0);
}
