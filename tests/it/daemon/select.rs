//! Windows that select syncs by what they are.

use intermission::clock::wall;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Fault, Operation, Rule, Schedule, Sync};
use uuid::Uuid;

use super::night::{CONTACTS, EMEA, FAR, LEADS, Night, PATIENCE, PERSON, Part, STRIPE, Window, row, soon};

/// Not there when the night begins.
const NEWCOMER: Part = Part {
    organization: "default",
    kind: SyncKind::Bulk,
    id: Uuid::from_u128(0x0ecd_09c1_b901_4d27_9053_f036_7c42_7254),
    name: "Stripe to Redshift",
};

fn stripe() -> Window {
    Window::new("stripe", soon(-1.0)..soon(FAR)).with("select = [{ name = \"Stripe *\", kind = \"bulk\" }]")
}

fn create(night: &Night, part: Part) {
    let now = wall();
    let sync = Sync::new(part.kind, part.id, part.name, now);
    night.world().create(now, part.organization, sync, PERSON).unwrap();
}

/// From now on no list is answered.
fn refuse_lists(night: &Night) {
    night.world().add_rule(Rule::always(Fault::status(500)).on(Operation::List));
}

#[test]
fn what_matches_is_paused_and_so_is_what_comes_to_match_inside_the_window() {
    let night = Night::new();
    night.write(&[stripe()]);
    let daemon = night.start();
    night.until_state(STRIPE, "held");
    create(&night, NEWCOMER);
    night.run(&["reload"], 0).with(&["in force: 1 window, 0 syncs and what 1 window selects"]);
    night.until_state(NEWCOMER, "held");
    for part in [CONTACTS, LEADS, EMEA] {
        night.assert_untouched(part);
    }
    let end = soon(1.0);
    night.write(&[stripe().until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(STRIPE);
    night.until_resumed(NEWCOMER);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!((night.posts(STRIPE), night.posts(NEWCOMER)), (2, 2));
    assert_eq!(night.history("selection_failed").len(), 0);
}

#[test]
fn a_list_that_fails_changes_nothing_and_a_restart_uses_what_was_found() {
    let night = Night::new();
    night.write(&[stripe()]);
    let daemon = night.start();
    night.until_state(STRIPE, "held");
    daemon.kill();
    refuse_lists(&night);
    let daemon = night.start();
    let status = night.until_status("it tells that it cannot list", |it| !it["selection_errors"].is_null());
    let told = status["selection_errors"][0].as_str().unwrap();
    assert!(told.contains("window `stripe`") && told.contains("is used: 1 sync"), "{told}");
    assert_eq!(row(&status, STRIPE)["state"], "held");
    assert_eq!(status["healthy"], false);
    // A file that selects less lets go of the rest, and of that alone, without a list.
    night.rewrite(|text| text.replace("Stripe *", "Stripe to Snow*"));
    night.run(&["reload"], 0);
    night.fence(&[stripe()]);
    assert_eq!(night.posts(STRIPE), 1, "it is selected still");
    night.write(&[]);
    night.run(&["reload"], 0);
    night.until_resumed(STRIPE);
    night.until_no_row(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
    let failed = night.history("selection_failed");
    assert_eq!(failed[0]["window"], "stripe");
    assert!(failed[0]["error"].as_str().is_some_and(|it| it.contains("500")), "{failed:?}");
}

#[test]
fn a_sync_that_no_longer_matches_stays_paused_until_the_window_closes() {
    let night = Night::new();
    night.write(&[stripe()]);
    let daemon = night.start();
    night.until_state(STRIPE, "held");
    // As if the list had missed it: it is somewhere else now.
    night.world().delete(wall(), STRIPE.id, PERSON).unwrap();
    let now = wall();
    let mut renamed = Sync::new(STRIPE.kind, STRIPE.id, "Archive", now);
    renamed.active = false;
    night.world().create(now, "default", renamed, PERSON).unwrap();
    create(&night, NEWCOMER);
    night.run(&["reload"], 0);
    night.until_state(NEWCOMER, "held");
    assert_eq!(night.posts(STRIPE), 1);
    night.write(&[stripe().until(soon(0.5))]);
    night.run(&["reload"], 0);
    night.until_resumed(STRIPE);
    night.until_resumed(NEWCOMER);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_selection_of_nothing_is_told() {
    let night = Night::new();
    let nothing = Window::new("none", soon(-1.0)..soon(FAR)).with("select = [{ name = \"stripe *\" }]");
    night.write(&[nothing]);
    night.run(&["check"], 0);
    night.run(&["check", "--online"], 1).with(&["window `none`: it selects no sync at all"]);
    let daemon = night.start();
    night.until_status("it is told", |it| !it["selection_errors"].is_null());
    night.run(&["status", "--exit-code"], 1).with(&["WARNING", "none", "selects no sync at all"]);
    // Listed again, it is not told again.
    night.run(&["reload"], 0);
    night.fence(&[]);
    assert_eq!(night.history("selection_failed").len(), 1);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(STRIPE);
}

#[test]
fn a_list_of_many_pages_is_read_to_its_end() {
    let night = Night::new();
    let now = wall();
    let many: Vec<Uuid> = (0..120).map(|it| Uuid::from_u128(0x5eed_0000 + it)).collect();
    for id in &many {
        night.world().add(now, "default", Sync::new(SyncKind::Bulk, *id, "Stripe to Redshift", now)).unwrap();
    }
    let are = |night: &Night, active: bool| {
        night.until("all are switched", |world| {
            many.iter().all(|it| world.sync(*it).unwrap().active == active)
        });
    };
    night.write(&[stripe()]);
    let daemon = night.start();
    are(&night, false);
    // Killed, it knows them all; the lists are not to be had for it.
    daemon.kill();
    refuse_lists(&night);
    night.write(&[stripe().until(soon(1.0))]);
    let daemon = night.start();
    are(&night, true);
    night.until_resumed(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_list_that_hangs_is_in_the_way_of_no_pause_and_no_resume() {
    let night = Night::new();
    night.world().add_rule(Rule::always(Fault::hang()).on(Operation::List));
    let span = soon(2.0)..soon(4.0);
    night.write(&[stripe(), Window::new("named", span.clone()).of(&[CONTACTS])]);
    night.rewrite(|text| text.replace("[polytomic]\n", "[polytomic]\nmax_concurrent_requests = 1\n"));
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    let pause = night.assert_one_pause(CONTACTS, &span);
    assert!(pause.paused < span.start + PATIENCE && pause.resumed < span.end + PATIENCE);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_untouched(STRIPE);
}

#[test]
fn syncs_are_listed_with_the_windows_that_cover_them() {
    let night = Night::new();
    let now = wall();
    let mut dependent = Sync::new(SyncKind::Model, NEWCOMER.id, "Digest", now);
    dependent.schedule = Schedule::After(CONTACTS.id);
    night.world().add(now, "default", dependent).unwrap();
    night.write(&[stripe(), Window::new("contacts", soon(FAR)..soon(FAR + 60.0)).of(&[CONTACTS])]);
    let warning =
        "sync `Digest` runs after `Contacts`, which window `contacts` pauses, and no window covers it";
    let said = night.run(&["syncs"], 0).with(&["Kontakte", "runafter", warning]);
    let line = said.out.lines().find(|it| it.contains("Stripe to Snowflake")).unwrap();
    assert!(line.contains("stripe") && line.contains("default/5d7c53aa"), "{line}");
    let said =
        night.run(&["syncs", "--organization", "default", "--window", "stripe", "--format", "json"], 0);
    let lines = said.json();
    assert_eq!(lines.as_array().unwrap().len(), 1);
    assert_eq!(lines[0]["windows"], serde_json::json!(["stripe"]));
    let open = night.run(&["syncs", "--uncovered", "--name", "K*", "--format", "json"], 0).json();
    assert_eq!((open.as_array().unwrap().len(), &open[0]["organization"]), (1, &"emea".into()));
    night.run(&["syncs", "--organization", "nobody"], 2).with(&["no organization `nobody`"]);
    night.run(&["syncs", "--window", "nobody"], 2).with(&["no window `nobody`"]);
    night.run(&["check", "--online"], 0).with(&[
        "window `stripe` selects 1 sync:",
        "  Stripe to Snowflake",
        warning,
    ]);

    night.run(&["windows"], 0).with(&["is not in the ledger"]);
    let daemon = night.start();
    night.until_state(STRIPE, "held");
    assert_eq!(daemon.stop(), Some(0));
    let said = night.run(&["upcoming", "--format", "json"], 0).with(&["`stripe` selects 1 sync"]).json();
    assert_eq!(said["occurrences"][0]["syncs"][0]["id"], STRIPE.id.to_string());
    refuse_lists(&night);
    night.run(&["syncs"], 1).with(&["organization `default` cannot be listed", "no sync"]);
}

#[test]
fn a_plan_lists_what_open_windows_select() {
    let night = Night::new();
    night.write(&[stripe()]);
    let step = |code: i32| night.run(&["plan", "--format", "json"], code).json()[0].clone();
    assert_eq!(
        (&step(0)["id"], &step(0)["step"]),
        (&STRIPE.id.to_string().into(), &"pause once no execution runs".into())
    );
    refuse_lists(&night);
    night.run(&["plan"], 1).with(&["organization `default` cannot be listed", "nothing to do"]);
    night.assert_untouched(STRIPE);
    night.world().clear_faults();
    let daemon = night.start();
    night.until_state(STRIPE, "held");
    night.run(&["resume", "--all"], 0);
    night.until_state(STRIPE, "released");
    refuse_lists(&night);
    // What the daemon found is in the ledger.
    assert_eq!(step(1)["desired"], "left alone");
    assert_eq!(daemon.stop(), Some(0));
}

/// What `diff` says of the file against the daemon, `0` or `1`.
fn diff(night: &Night, code: i32) -> serde_json::Value {
    night.run(&["diff", "--format", "json"], code).json()
}

#[test]
fn a_diff_knows_what_the_daemon_found_and_an_unchanged_file_differs_in_nothing() {
    let night = Night::new();
    let all = || Window::new("all", soon(-1.0)..soon(FAR)).with("select = [{ all = true }]");
    let (kept, other) = (all(), Window::new("other", soon(FAR)..soon(FAR + 60.0)).of(&[LEADS]));
    night.write(&[kept, other]);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_state(part, "held");
    }
    night.run(&["diff"], 0).with(&["nothing differs in the next 14 days"]);
    // Nor does it in what only another window says.
    night.rewrite(|text| text.replace("[[window]]\nname = \"other\"", "[[window]]\nname = \"another\""));
    assert_eq!(diff(&night, 1)["now"], serde_json::json!([]));
    // What is selected no more would be resumed, and that alone.
    night.rewrite(|text| text.replace("{ all = true }", "{ name = \"Stripe *\" }"));
    let told = diff(&night, 1);
    let now = told["now"].as_array().unwrap();
    assert_eq!((now.len(), &now[0]["becomes"]), (1, &"resumed".into()), "{told}");
    let resumed: Vec<&str> =
        now[0]["syncs"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(resumed.contains(&CONTACTS.id.to_string().as_str()), "{told}");
    assert!(!resumed.contains(&STRIPE.id.to_string().as_str()), "{told}");
    assert_eq!(
        (&now[0]["may_be_more"], &told["windows"][0]["knowledge"]),
        (&serde_json::Value::Null, &"found".into())
    );
    // Between files the ledger's knowledge does for both.
    let old = night.path("old.toml");
    std::fs::copy(night.path("intermission.toml"), &old).unwrap();
    let against_old: [&str; 2] = ["diff", old.to_str().unwrap()];
    night.run(&against_old, 0);
    night.rewrite(|text| text.replace("Stripe *", "Contacts"));
    let said = night.run(&against_old, 1).with(&["select changed: `in default: name \"Stripe *\"`"]);
    let mut first = said.out.lines();
    assert_eq!(first.next(), Some("would resume 1 sync now: all changed"));
    assert_eq!(first.next(), Some("would pause 1 sync now: all changed"));
    // A wider one may pause more than any list has shown so far.
    night.rewrite(|text| text.replace("\"Contacts\"", "\"Stripe *\""));
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    night.rewrite(|text| text.replace("{ name = \"Stripe *\" }", "{ all = true }"));
    let said = night.run(&["diff"], 1).with(&["counted are those that earlier lists have shown"]);
    assert_eq!(said.out.lines().next(), Some("may pause syncs now that only Polytomic knows: all changed"));
    assert_eq!(daemon.stop(), Some(0));
}
