//! `diff`: what a change of the file changes, as CI and operators ask it.

use serde_json::{Value, json};

use super::{Daemon, Ended, Place, Polytomic, SYNC, WINDOW, run, until};

/// A window that is open while a test runs, whatever the day.
const OPEN: &str = r#"
[[window]]
name = "open"
start = 2020-01-01T00:00:00
end = 2020-01-02T00:00:00
timezone = "UTC"
syncs = ["248df4b7-aa70-47b8-a036-33ac447e668d"]
"#;

/// The same, open around now.
fn open() -> String {
    let now = intermission::clock::wall();
    let text = |days: i64| (now + chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%S").to_string();
    OPEN.replace("2020-01-01T00:00:00", &text(-1)).replace("2020-01-02T00:00:00", &text(1))
}

fn compare(old: &str, new: &str, more: &[&str]) -> Ended {
    let (before, after) = (Place::with(old), Place::with(new));
    let old = before.path("intermission.toml");
    // Neither needs its key.
    std::fs::remove_file(before.path("key")).unwrap();
    std::fs::remove_file(after.path("key")).unwrap();
    after.run(&[&["diff", old.to_str().unwrap()], more].concat())
}

#[test]
fn two_files_are_compared_without_key_daemon_or_network() {
    compare(WINDOW, WINDOW, &[]).with(0).says(&["nothing differs in the next 14 days"]);
    // What does not decide when anything is paused is told and is no difference.
    compare(WINDOW, &format!("# A comment\n{WINDOW}"), &[])
        .with(0)
        .says(&["nothing differs", "the text is another one"]);
    compare(&format!("{WINDOW}lead = \"10m\"\n"), WINDOW, &[])
        .with(1)
        .says(&["window `patching` changed; lead `10m` becomes `0s`"]);
    compare(WINDOW, "", &[]).with(1).says(&["window `patching` removed; it paused 1 sync"]);
}

#[test]
fn a_change_of_what_is_selected_is_a_difference_though_only_polytomic_knows_what_it_means() {
    let syncs = "syncs = [\"248df4b7-aa70-47b8-a036-33ac447e668d\"]";
    let selecting = |text: &str, select: &str| text.replace(syncs, &format!("select = [{select}]"));
    let salesforce = selecting(WINDOW, "{ name = \"Salesforce *\" }");
    compare(&salesforce, &salesforce, &[]).with(0).says(&["nothing differs in the next 14 days"]);
    let told = compare(&salesforce, &selecting(WINDOW, "{ all = true }"), &[]).with(1).says(&[
        "no occurrence and no pause of a sync that is known differs in the next 14 days",
        "which syncs `patching` selects is known only to Polytomic: no list was read",
        "window `patching` changed; select changed: `in default: name \"Salesforce *\"` becomes `in default: all`",
    ]);
    assert!(!told.out.contains("nothing differs"), "{}", told.out);
    let excluded = format!("{salesforce}exclude = [\"{SYNC}\"]\n");
    compare(&salesforce, &excluded, &[])
        .with(1)
        .says(&["window `patching` changed; exclude changed: none becomes `248df4b7"]);
    compare(&salesforce, "", &[]).with(1).says(&["window `patching` removed; it paused what it selects"]);
    // An open one resumes, and nobody knows how many.
    let open = selecting(&open(), "{ all = true }");
    let told = compare(&open, "", &[]).with(1);
    let first = told.out.lines().next().unwrap();
    assert_eq!(first, "may resume syncs now that only Polytomic knows: open removed");
    let answer = compare("", &open, &["--format", "json"]).with(1).json();
    assert_eq!(
        (&answer["now"][0]["may_be_more"], &answer["windows"][0]["knowledge"]),
        (&json!(true), &json!("unknown"))
    );
}

#[test]
fn what_happens_at_once_is_told_first() {
    let told = compare(&open(), "", &[]).with(1);
    let first = told.out.lines().next().unwrap();
    assert_eq!(first, "would resume 1 sync now: open removed");
    let told = compare("", &open(), &[]).with(1);
    assert_eq!(told.out.lines().next().unwrap(), "would pause 1 sync now: open added");
    let answer = compare(&open(), "", &["--format", "json", "--days", "3"]).with(1).json();
    let sync = json!({ "organization": "default", "kind": "model", "id": SYNC });
    assert_eq!(answer["now"], json!([{ "becomes": "resumed", "windows": ["open"], "syncs": [sync] }]));
    assert_eq!(answer["occurrences"], json!({ "added": 0, "removed": 1, "moved": 0 }));
    assert_eq!(answer["pauses"][0]["pauses"][0]["change"], "removed");
    assert_eq!((&answer["differs"], &answer["text_differs"]), (&json!(true), &json!(true)));
}

#[test]
fn the_old_file_may_come_from_a_pipe() {
    let (old, new) = (Place::with(WINDOW), Place::with(WINDOW));
    let mut command = new.command(&["diff", "-"]);
    command.stdin(std::fs::File::open(old.path("intermission.toml")).unwrap());
    Ended::of(&command.output().unwrap()).with(0);
}

#[test]
fn trouble_ends_with_2_whatever_it_is() {
    let place = Place::with(WINDOW);
    let own = place.path("intermission.toml");
    let own = own.to_str().unwrap();
    place.run(&["diff"]).with(2).notes(&["the daemon cannot be reached"]);
    place.run(&["diff", "/nowhere.toml"]).with(2).notes(&["/nowhere.toml", "error: "]);
    place.write("nonsense = 1");
    place.run(&["diff", own]).with(2).notes(&["nonsense"]);
    run(&["diff", "--days", "many"]).with(2);
}

#[test]
fn an_old_file_that_cannot_be_read_is_not_blamed_for_its_keys() {
    let place = Place::with(WINDOW);
    for (old, problem) in [("", "the file is empty"), ("nonsense = 1\n", "unknown key `nonsense`")] {
        std::fs::write(place.path("old"), old).unwrap();
        let mut command = place.command(&["diff", "-"]);
        command.stdin(std::fs::File::open(place.path("old")).unwrap());
        let ended = Ended::of(&command.output().unwrap()).with(2).notes(&[problem]);
        assert!(!ended.err.contains("API key"), "{}", ended.err);
    }
    // Who needs the key is told all.
    place.write("nonsense = 1\n");
    std::fs::remove_file(place.path("key")).unwrap();
    place.run(&["check"]).with(78).notes(&["unknown key `nonsense`", "cannot read the key file"]);
}

#[test]
fn the_daemon_tells_what_it_has_in_force_and_what_it_holds() {
    let polytomic = Polytomic::start();
    let place = Place::with(WINDOW);
    place.write_for(&polytomic.server.url(), &open());
    let daemon = Daemon::start(&place);
    place.run(&["diff"]).with(0).says(&["nothing differs in the next 14 days"]);
    // The sync was off before, so it is left as it is: nothing is resumed.
    until(|| place.run(&["status", "--format", "json"]).json()["syncs"][0]["state"] == "skipped");
    place.write_for(&polytomic.server.url(), "");
    let answer = place.run(&["diff", "--format", "json"]).with(1).json();
    assert_eq!((&answer["before"], &answer["now"]), (&json!("the running daemon"), &json!([])));
    assert_eq!(answer["windows"][0]["change"], "removed");
    // What is on is paused, and would be resumed.
    polytomic.switch_on();
    place.write_for(&polytomic.server.url(), &open().replace("open", "other"));
    place.run(&["reload"]).with(0);
    until(|| place.run(&["status", "--format", "json"]).json()["syncs"][0]["state"] == "held");
    place.write_for(&polytomic.server.url(), "");
    place.run(&["diff"]).with(1).says(&["would resume 1 sync now: other removed"]);
    let events = place.run(&["history", "--event", "paused", "--format", "json"]).with(0).out;
    let event: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!((&event["state_before"], &event["state_after"]), (&json!("pausing"), &json!("held")));
    // What an operator holds, too, no file lets go.
    place.run(&["pause", "--for", "1h", "--reason", "test", &SYNC.to_string()]).with(0);
    let answer = place.run(&["diff", "--format", "json"]).with(1).json();
    assert_eq!(answer["now"], json!([]));
    assert_eq!(daemon.stop(), Some(0));
}
