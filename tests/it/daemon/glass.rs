//! Breaking glass: a host that is lost, a ledger that is damaged or put back
//! from a copy, a shell and curl.

use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{SecondsFormat, TimeDelta};
use intermission::clock::wall;
use serde_json::{Value, json};

use crate::skipped::skipped;

use super::night::{CONTACTS, EMEA, FAR, LEADS, Night, Part, STRIPE, Window, key, row, soon};

/// A night in which these syncs are paused, and whose host is then lost: what
/// is left is its history.
fn lost_host(parts: &[Part]) -> (Night, String) {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(parts)]);
    let daemon = night.start();
    for part in parts {
        night.until_state(*part, "held");
    }
    let history = night.run(&["history", "--format", "json"], 0).out;
    daemon.kill();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"] {
        std::fs::remove_file(night.path(file)).unwrap();
    }
    (night, history)
}

/// What became of a sync, from the JSON of `resume --from-history`.
#[track_caller]
fn outcome(answer: &Value, part: Part) -> (&str, &str) {
    let mut lines = answer.as_array().unwrap().iter();
    let line = lines.find(|it| it["id"] == part.id.to_string()).unwrap_or(&Value::Null);
    (line["outcome"].as_str().unwrap_or_default(), line["error"].as_str().unwrap_or_default())
}

/// A line of a history about a sync, of a minute ago.
fn line(entry: u64, event: &str, part: Part) -> String {
    line_of(TimeDelta::minutes(1), entry, event, part)
}

fn line_of(ago: TimeDelta, entry: u64, event: &str, part: Part) -> String {
    let at = (wall() - ago).to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "entry": entry, "at": at, "event": event, "organization": part.organization, "kind": part.kind,
        "id": part.id, "name": part.name, "window": "patching", "occurrence": at, "by": "daemon", "detail": null,
    })
    .to_string()
}

#[test]
fn a_history_is_enough_to_resume_what_a_lost_host_had_paused() {
    let (night, history) = lost_host(&[CONTACTS, STRIPE]);
    // No window is needed, nor wanted.
    night.write(&[]);
    std::fs::write(night.path("history.jsonl"), &history).unwrap();
    let file = night.path("history.jsonl");
    let file = file.to_str().unwrap();

    let said = night.run(&["resume", "--from-history", file, "--dry-run", "--format", "json"], 0);
    let looked = said.with(&["`patching` was open where the history ends"]).json();
    for part in [CONTACTS, STRIPE] {
        assert_eq!(outcome(&looked, part), ("would be resumed", ""));
        assert!(!night.is_on(part), "a dry run has switched {}", part.name);
    }
    let resumed = night.run(&["resume", "--from-history", file, "--format", "json"], 0).json();
    for part in [CONTACTS, STRIPE] {
        assert_eq!(outcome(&resumed, part), ("resumed", ""));
        assert!(night.is_on(part));
        assert_eq!(night.posts(part), 2);
    }
    // Again, it finds nothing to do.
    let again = night.run_with(&history, &["resume", "--from-history", "-"], 0);
    again.with(&["Contacts", "Stripe to Snowflake", "was already on"]);
    assert_eq!((night.posts(CONTACTS), night.posts(STRIPE)), (2, 2));
    // And no ledger was made.
    assert!(!night.path("ledger.db").exists());
}

#[test]
fn what_somebody_changed_after_the_pause_is_left_off_unless_it_is_named() {
    let night = Night::new();
    night.write(&[]);
    for part in [CONTACTS, STRIPE] {
        night.person_switches(part, false);
    }
    let long_ago = line_of(TimeDelta::days(300), 1, "paused", CONTACTS);
    let history = [long_ago, line(2, "paused", STRIPE), line(3, "pause_failed", LEADS)].join("\n") + "\n";
    night.person_switches(LEADS, false);

    let arguments = ["resume", "--from-history", "-", "--format", "json"];
    let answer = night.run_with(&history, &arguments, 1).json();
    let (what, why) = outcome(&answer, CONTACTS);
    assert_eq!(what, "left off");
    assert!(why.contains("changed by Grace Hopper at ") && why.contains("name it"), "{why}");
    // Changed in the very minute of our pause: that was most likely the pause.
    assert_eq!(outcome(&answer, STRIPE), ("resumed", ""));
    let (what, why) = outcome(&answer, LEADS);
    assert_eq!(what, "left off");
    assert!(why.contains("only attempts"), "{why}");
    assert!(!night.is_on(CONTACTS) && !night.is_on(LEADS) && night.is_on(STRIPE));
    night.assert_untouched(CONTACTS);

    let named = night.run_with(&history, &[&arguments[..], &["Contacts"]].concat(), 0).json();
    assert_eq!(outcome(&named, CONTACTS), ("resumed", ""));
    assert!(night.is_on(CONTACTS) && !night.is_on(LEADS));
    night.run_with(&history, &[&arguments[..], &["--all"]].concat(), 0);
    assert!(night.is_on(LEADS));
    night
        .run_with(&history, &[&arguments[..], &["Nobody"]].concat(), 1)
        .with(&["no sync here is called `Nobody`"]);
}

#[test]
fn what_the_history_says_is_settled_is_not_touched() {
    let night = Night::new();
    night.write(&[]);
    for part in [CONTACTS, LEADS, STRIPE, EMEA] {
        night.person_switches(part, false);
    }
    let lines = [
        line(1, "paused", CONTACTS),
        line(2, "paused", LEADS),
        line(3, "resumed", CONTACTS),
        line(4, "released", LEADS),
        line(5, "paused", EMEA),
        // Whoever follows a history into a file has its end there twice.
        line(2, "paused", LEADS),
        String::new(),
        line(6, "somersault", STRIPE),
        "{\"entry\":7,\"at\":\"20".to_owned(),
    ];
    // The same line has the same time.
    let at = wall().to_rfc3339_opts(SecondsFormat::Millis, true);
    let dated = |text: &String| match serde_json::from_str::<Value>(text) {
        Ok(mut line) => {
            line["at"] = json!(at);
            line.to_string()
        }
        Err(_) => text.clone(),
    };
    let history = lines.iter().map(dated).collect::<Vec<_>>().join("\n");
    let said = night.run_with(&history, &["resume", "--from-history", "-", "--format", "json"], 0);
    let said = said.with(&["`somersault` is not known", "the last line is cut short"]);
    assert_eq!(said.json().as_array().unwrap().len(), 1, "{}", said.out);
    assert!(night.is_on(EMEA));
    for part in [CONTACTS, LEADS, STRIPE] {
        night.assert_untouched(part);
    }
    night.run_with("this is no history\n", &["resume", "--from-history", "-"], 1).with(&["line 1 of `-`"]);
    night.run_with("", &["resume", "--from-history", "-"], 0).with(&["leaves nothing paused"]);
}

#[test]
fn a_key_or_an_organization_that_is_missing_is_told_for_each_sync() {
    let (night, history) = lost_host(&[CONTACTS]);
    let history = history + &line(100, "paused", EMEA) + "\n";
    night.person_switches(EMEA, false);
    night.remove_emea();
    let path = night.path("default.key");
    std::fs::write(&path, format!("{}\n", key("wrong"))).unwrap();
    let arguments = ["resume", "--from-history", "-", "--format", "json"];
    let answer = night.run_with(&history, &arguments, 1).json();
    let (what, why) = outcome(&answer, CONTACTS);
    assert!(what == "not resumed" && why.contains("401"), "{why}");
    let (what, why) = outcome(&answer, EMEA);
    assert!(what == "not resumed" && why.contains("no organization `emea`"), "{why}");
    assert!(!night.is_on(CONTACTS) && !night.is_on(EMEA));
    std::fs::write(&path, format!("{}\n", key("default"))).unwrap();
    night.run_with(&history, &arguments, 1);
    assert!(night.is_on(CONTACTS));
}

#[test]
fn a_history_is_not_acted_upon_beside_a_daemon() {
    let (night, history) = lost_host(&[CONTACTS]);
    night.write(&[]);
    let daemon = night.start();
    let arguments = ["resume", "--from-history", "-"];
    night.run_with(&history, &arguments, 75).with(&["this host has a ledger", "with 0 rows"]);
    assert!(!night.is_on(CONTACTS));
    night
        .run_with(&history, &[&arguments[..], &["--dry-run"]].concat(), 0)
        .with(&["this host has a ledger", "would be resumed"]);
    assert_eq!(daemon.stop(), Some(0));
    night.run_with(&history, &arguments, 0).with(&["this host has a ledger"]);
    assert!(night.is_on(CONTACTS));
}

#[test]
fn the_lines_for_a_shell_resume_what_is_held() {
    if !Path::new("/usr/bin/curl").exists() {
        return skipped("curl is not installed");
    }
    let night = Night::new();
    night.write(&[
        Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]),
        Window::new("vacuum", soon(-1.0)..soon(FAR)).of(&[EMEA]),
    ]);
    // The second organization is opened as a partner opens it.
    let id = night.world().organizations().find(|(_, name)| name.as_str() == "emea").unwrap().0;
    night.rewrite(|text| {
        text.replace("[organization.emea]\n", &format!("[organization.emea]\norganization_id = \"{id}\"\n"))
    });
    let daemon = night.start();
    for part in [CONTACTS, STRIPE, EMEA] {
        night.until_state(part, "held");
    }
    daemon.kill();
    night.write_nonsense();
    let lines = night.run(&["status", "--curl"], 0).out;
    assert!(!lines.contains(&key("default")) && !lines.contains(&key("emea")), "{lines}");
    assert!(lines.contains("# Stripe to Snowflake (bulk), held for patching until "), "{lines}");

    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &lines]).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    let output = shell.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{lines}\n{}{}", text(&output.stdout), text(&output.stderr));
    for part in [CONTACTS, STRIPE, EMEA] {
        assert!(night.is_on(part), "{} is off:\n{lines}\n{}", part.name, text(&output.stderr));
        assert!(text(&output.stdout).contains(&part.id.to_string()));
    }
}

#[test]
fn a_ledger_put_back_from_a_copy_is_believed_only_after_a_look() {
    let night = Night::new();
    let windows = [Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE])];
    night.write(&windows);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_state(part, "held");
    }
    let copy = night.path("copy.db");
    let copy = copy.to_str().unwrap();
    night.run(&["backup", copy], 0).with(&["2 rows"]);
    night.run(&["backup", copy], 1).with(&["is there already"]);
    night.run(&["backup", copy, "--force"], 0);
    night.run(&["backup", "-"], 2);

    // After the copy all is over, and people switch two of them off.
    night.write(&[]);
    night.run(&["reload"], 0);
    for part in [CONTACTS, STRIPE] {
        night.until_resumed(part);
        night.until_no_row(part);
    }
    assert_eq!(daemon.stop(), Some(0));
    night.person_switches(STRIPE, false);
    night.person_switches(LEADS, false);

    // As the runbook has it: stopped, moved away, copied, started.
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"].map(|file| night.path(file)) {
        if file.exists() {
            std::fs::rename(&file, file.with_extension("old")).unwrap();
        }
    }
    std::fs::copy(night.path("copy.db"), night.path("ledger.db")).unwrap();
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_no_row(part);
    }
    // Of what is in the copy a look decides: what runs is not touched.
    assert!(night.is_on(CONTACTS));
    assert_eq!(night.posts(CONTACTS), 2);
    // What is off is taken as ours, once: a person's pause from after the copy is undone.
    assert!(night.is_on(STRIPE));
    assert_eq!(night.posts(STRIPE), 3);
    // What is not in it is nobody's business.
    night.assert_untouched(LEADS);

    night.person_switches(STRIPE, false);
    night.fence(&[]);
    daemon.kill();
    let daemon = night.start();
    night.fence(&[]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!night.is_on(STRIPE) && !night.is_on(LEADS));
    assert_eq!(night.posts(STRIPE), 3);
}

#[test]
fn a_damaged_row_keeps_no_other_sync_paused_and_is_resumed_itself() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE, LEADS])]);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE, LEADS] {
        night.until_state(part, "held");
    }
    daemon.kill();
    let ledger = rusqlite::Connection::open(night.path("ledger.db")).unwrap();
    let damage = format!(
        "PRAGMA ignore_check_constraints = 1;
         UPDATE hold SET state = 'hel~', holders = '[{{\"win' WHERE sync = '{}';
         UPDATE hold SET sync = 'x' WHERE sync = '{}';",
        CONTACTS.id, LEADS.id
    );
    ledger.execute_batch(&damage).unwrap();
    drop(ledger);

    // It is told without a daemon, too.
    let status = night.run(&["status", "--exit-code"], 1).with(&["default/x", "cannot be read"]);
    assert!(status.out.contains("damaged"), "{}", status.out);
    night.write(&[]);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_resumed(part);
    }
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert_eq!(status["healthy"], false);
    assert!(status["ledger_damage"][0].as_str().is_some_and(|it| it.contains("default/x")), "{status}");
    assert!(row(&status, LEADS).is_null());
    assert!(!night.is_on(LEADS));
    assert_eq!(daemon.stop(), Some(0));
    // Its history still tells what the row does not.
    let history = night.run(&["history", "--format", "json"], 0).out;
    night.run_with(&history, &["resume", "--from-history", "-"], 0).with(&["Leads", "resumed"]);
    assert!(night.is_on(LEADS));
}
