//! The command line from the outside: what it prints, and how it ends.

mod completions;
mod diff;
mod history;
mod simulate;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::event::{Event, EventKind};
use intermission::domain::execution::{RunPolicy, Runs};
use intermission::domain::hold::{Hold, HoldState, Unsettled};
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::sync::{SyncKind, SyncRef};
use intermission::domain::window::Occurrence;
use intermission::ledger::{Change, Lock, Store};
use intermission::simulator::{Server, Sync, World};
use serde_json::{Value, json};
use uuid::Uuid;

const SYNC: Uuid = Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d);

/// A window in the far future: nothing is due while a test runs.
const WINDOW: &str = r#"
[[window]]
name = "patching"
start = 2040-06-02T22:00:00
end = 2040-06-03T06:00:00
timezone = "America/New_York"
syncs = ["248df4b7-aa70-47b8-a036-33ac447e668d"]
"#;

/// A directory with a configuration, its key and room for a ledger.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn with(windows: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let key = place.path("key");
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key).unwrap();
        file.write_all(b"of-no-use\n").unwrap();
        place.write(windows);
        place
    }

    /// About a Polytomic that nobody serves.
    fn write(&self, windows: &str) {
        self.write_for("http://127.0.0.1:9", windows);
    }

    fn write_for(&self, url: &str, windows: &str) {
        let text = format!(
            "timezone = \"Europe/Amsterdam\"\n\
             [polytomic]\nurl = \"{url}\"\napi_key_file = \"{}\"\n\
             [state]\npath = \"{}\"\n[web]\ncontrol_socket = \"{}\"\n{windows}",
            self.path("key").display(),
            self.path("ledger.db").display(),
            self.path("control.sock").display(),
        );
        std::fs::write(self.path("intermission.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = intermission(arguments);
        command.arg("--config").arg(self.path("intermission.toml"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// A ledger with one sync that should have been resumed an hour ago.
    fn with_ledger(self) -> Self {
        // Nobody listens there.
        self.with_ledger_about("http://127.0.0.1:9")
    }

    fn with_ledger_about(self, url: &str) -> Self {
        let mut store = Store::open(&self.path("ledger.db")).unwrap();
        let hold = overdue_hold(url, &self.path("key"));
        let event = Event {
            sync: Some(hold.sync.clone()),
            name: hold.name.clone(),
            window: Some("patching".into()),
            occurrence: Some(hold.since),
            ..Event::new(EventKind::Paused)
        };
        let started = Event::new(EventKind::DaemonStarted);
        let change = Change::new().put(hold.clone()).record(hold.since, started).record(hold.since, event);
        store.apply(&[change]).unwrap();
        self
    }
}

fn overdue_hold(url: &str, key: &Path) -> Hold {
    let opens: DateTime<Utc> = "2026-01-10T03:00:00Z".parse().unwrap();
    let closes = opens + TimeDelta::hours(8);
    let occurrence = Occurrence {
        window: "patching".into(),
        pauses: opens,
        opens,
        closes,
        enforce: false,
        runs: RunPolicy::default(),
    };
    let organization = Organization {
        name: "default".into(),
        url: url.to_owned(),
        api_version: "2025-09-18".to_owned(),
        organization_id: None,
        key: KeySource::File(key.to_owned()),
        ca_file: None,
        proxy: Proxy::None,
    };
    Hold {
        sync: SyncRef::new("default".into(), SyncKind::Model, SYNC),
        name: Some("Contacts".to_owned()),
        organization: Arc::new(organization),
        state: HoldState::Held,
        holders: [occurrence].into(),
        served: vec![],
        left_alone: vec![],
        since: opens,
        resume_by: closes,
        unsettled: Unsettled::default(),
        attempts: 3,
        last_error: Some("the API answered 503".to_owned()),
        gone: None,
        overdue_told: true,
        runs: Runs::default(),
    }
}

fn intermission(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// How a command ended, and what it said.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        for words in words {
            assert!(
                self.out.contains(words),
                "`{words}` is not in stdout:\n{}\nstderr:\n{}",
                self.out,
                self.err
            );
        }
        self
    }

    #[track_caller]
    fn notes(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.err.contains(words), "`{words}` is not in stderr:\n{}", self.err);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn run(arguments: &[&str]) -> Ended {
    Ended::of(&intermission(arguments).output().unwrap())
}

#[test]
fn help_names_the_commands_that_there_are_and_no_other() {
    let help = run(&["--help"]).with(0);
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        commands,
        [
            "run",
            "check",
            "windows",
            "upcoming",
            "plan",
            "diff",
            "syncs",
            "status",
            "history",
            "reload",
            "resume",
            "pause",
            "extend",
            "exempt",
            "why",
            "forget",
            "notify",
            "backup",
            "simulate",
            "demo",
            "schema",
            "completions",
            "man",
            "help"
        ]
    );
    help.says(&["69 the daemon cannot be reached", "INTERMISSION_CONFIG", "--color"]);
}

#[test]
fn each_command_tells_its_arguments() {
    for (command, words) in [
        ("run", &["--once", "--timeout", "--log-format", "INTERMISSION_LOG"][..]),
        ("check", &["--strict", "--online", "--format"]),
        ("upcoming", &["--from", "--until", "--days", "--format"]),
        ("status", &["--daemon", "--exit-code", "--format", "--wide", "--curl"]),
        ("syncs", &["--organization", "--window", "--uncovered", "--name", "--format"]),
        ("diff", &["[OLD]", "--days", "--format", "0 nothing differs; 1 something does; 2 trouble"]),
        (
            "history",
            &["--since", "--until", "--sync", "--window", "--event", "--follow", "--retry", "--limit"],
        ),
        ("resume", &["[SYNC]", "--window", "--all", "--reason", "--offline", "--from-history", "--dry-run"]),
        ("pause", &["[SYNC]", "--window", "--for", "--until", "--from", "--reason", "--kind"]),
        ("extend", &["<WINDOW>", "--by", "--reason"]),
        ("exempt", &["[SYNC]", "--all", "--for", "--until", "--end", "--reason"]),
        ("why", &["<SYNC>", "--format"]),
        ("backup", &["<FILE>", "--force"]),
        ("forget", &["<SYNC>"]),
        ("demo", &["--for"]),
        ("completions", &["<SHELL>", "bash", "zsh", "fish", "elvish", "powershell"]),
        ("man", &["--dir"]),
    ] {
        run(&[command, "--help"]).with(0).says(words);
    }
}

#[test]
fn what_makes_no_sense_ends_with_2() {
    let place = Place::with(WINDOW);
    for arguments in [
        &["nonsense"][..],
        &[],
        &["status", "--format", "yaml"],
        &["resume"],
        &["resume", "--all", "--window", "patching"],
        &["resume", "--all", "Contacts"],
        &["resume", "--all", "--timeout", "5m"],
        &["resume", "--all", "--dry-run"],
        &["resume", "--offline", "--from-history", "-"],
        &["pause", "Contacts", "--for", "1h"],
        &["pause", "Contacts", "--reason", "x"],
        &["pause", "--for", "1h", "--reason", "x"],
        &["pause", "Contacts", "--for", "1h", "--until", "+1h", "--reason", "x"],
        &["extend", "patching", "--reason", "x"],
        &["exempt", "Contacts", "--for", "1h"],
        &["exempt", "Contacts", "--end", "--reason", "x"],
        &["status", "--curl", "--format", "json"],
        &["run", "--timeout", "5m"],
        &["demo", "--for", "1s"],
        &["upcoming", "--days", "0"],
        &["diff", "--days", "0"],
        &["history", "--retry"],
    ] {
        run(arguments).with(2);
    }
    for arguments in [
        &["upcoming", "--from", "tomorrow"][..],
        &["upcoming", "--from", "2026-05-01", "--until", "2026-04-01"],
        &["history", "--since", "2026-13-01"],
    ] {
        place.run(arguments).with(2).notes(&["error: "]);
    }
    place.run(&["run", "--log", "intermission=loud"]).with(2).notes(&["is no log filter"]);
}

#[test]
fn without_daemon_and_ledger_the_end_is_69() {
    let place = Place::with(WINDOW);
    let socket = place.path("control.sock");
    let told = format!("error: the daemon cannot be reached at `{}`", socket.display());
    let id = SYNC.to_string();
    for arguments in [&["status"][..], &["history"], &["reload"], &["resume", "--all"], &["forget", &id]] {
        place.run(arguments).with(69).notes(&[&told]);
    }
}

#[test]
fn a_good_file_is_summed_up() {
    let place = Place::with(WINDOW);
    place.run(&["check"]).with(0).says(&[
        "is good",
        "patching",
        "Sat 2040-06-02 22:00 -04:00 to Sun 2040-06-03 06:00 -04:00",
        "1 window in 1 organization, 1 sync",
        "ledger.db",
        "control.sock",
    ]);
    let answer = place.run(&["check", "--format", "json"]).with(0).json();
    assert_eq!(answer["windows"][0]["next"][0]["opens_local"], "2040-06-02T22:00:00-04:00");
    assert_eq!(answer["warnings"], json!([]));
}

#[test]
fn a_bad_file_ends_with_78_and_all_that_is_wrong() {
    let place = Place::with(&WINDOW.replace("syncs", "sync").replace("New_York", "New_Yorck"));
    let ended =
        place.run(&["check"]).with(78).notes(&["sync", "New_Yorck", "error: the configuration is wrong"]);
    assert_eq!(ended.out, "");
    assert!(ended.err.matches("intermission.toml:").count() >= 2, "{}", ended.err);
    for command in ["windows", "upcoming", "plan"] {
        place.run(&[command]).with(78);
    }
    place.run(&["run", "--once"]).with(78).notes(&["New_Yorck", "error: the configuration is wrong"]);
    run(&["check", "--config", "/nowhere/intermission.toml"]).with(78).notes(&["/nowhere/intermission.toml"]);
}

#[test]
fn a_warning_is_an_error_only_if_asked() {
    let place = Place::with(&WINDOW.replace("2040", "2020"));
    place.run(&["check"]).with(0).notes(&["warning"]).says(&["with 1 warning"]);
    place.run(&["check", "--strict"]).with(78).notes(&["warning"]);
}

#[test]
fn no_number_is_told_of_what_is_selected_and_not_known() {
    let of = |window: &str| Place::with(&WINDOW.replace("syncs = [\"", window));
    let place = of("select = [{ name = \"Salesforce *\" }]\nexclude = [\"");
    let upcoming = |more: &[&str]| {
        let span = ["upcoming", "--from", "2040-06-01T12:00:00Z"];
        place.run(&[&span, more].concat()).with(0).notes(&["what `patching` selects is not in the ledger"])
    };
    let table = upcoming(&[]).says(&["1 occurrence, 0 pauses of syncs that are known"]);
    let row = table.out.lines().find(|it| it.contains("patching")).unwrap();
    assert_eq!(row.split_whitespace().last(), Some("?"), "{row}");
    upcoming(&["--format", "ics"]).says(&["SUMMARY:patching: what it selects is paused"]);
    assert_eq!(upcoming(&["--format", "json"]).json()["occurrences"][0]["syncs_known"], json!(false));
    let windows = place.run(&["windows", "--format", "json"]).with(0).json();
    assert_eq!((&windows[0]["syncs"], &windows[0]["syncs_known"]), (&json!(0), &json!(false)));
    let check = place.run(&["check"]).with(0).says(&["0 syncs and what is selected (`--online` lists it)"]);
    let row = check.out.lines().find(|it| it.starts_with("patching")).unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("?"), "{row}");
    let windows = place.run(&["windows"]).with(0);
    assert!(windows.out.trim_end().ends_with(" ?"), "{}", windows.out);
    // What is named beside it is known.
    let place = of("select = [{ all = true }]\nsyncs = [\"");
    let span = ["upcoming", "--from", "2040-06-01T12:00:00Z", "--format", "ics"];
    place.run(&span).with(0).says(&["SUMMARY:patching: 1 sync and what it selects are paused"]);
}

#[test]
fn upcoming_tells_occurrences_and_pauses() {
    let place = Place::with(&WINDOW.replace("syncs", "lead = \"10m\"\nsyncs"));
    let arguments = ["upcoming", "--from", "2040-06-01 12:00", "--days", "3", "--format", "json"];
    let ended =
        place.run(&arguments).with(0).notes(&["--from 2040-06-01 12:00: Fri 2040-06-01 12:00 +02:00"]);
    let mut answer = ended.json();
    assert!(answer["tzdb"].as_str().is_some_and(|it| !it.is_empty()));
    answer["tzdb"] = Value::Null;
    let sync = json!({ "organization": "default", "kind": "model", "id": SYNC });
    assert_eq!(
        answer,
        json!({
            "from": "2040-06-01T10:00:00Z",
            "until": "2040-06-04T10:00:00Z",
            "tzdb": null,
            "occurrences": [{
                "window": "patching",
                "opens": "2040-06-03T02:00:00Z",
                "closes": "2040-06-03T10:00:00Z",
                "timezone": "America/New_York",
                "opens_local": "2040-06-02T22:00:00-04:00",
                "closes_local": "2040-06-03T06:00:00-04:00",
                "notes": [],
                "syncs": [sync],
            }],
            "pauses": [{
                "organization": "default",
                "kind": "model",
                "id": SYNC,
                "from": "2040-06-03T01:50:00Z",
                "until": "2040-06-03T10:00:00Z",
                "windows": ["patching"],
            }],
        })
    );
    place.run(&["upcoming", "--from", "2040-06-01T12:00:00Z"]).with(0).says(&[
        "Sat 2040-06-02 22:00 -04:00",
        "8 h",
        "paused from 21:50 on, lead 10 min",
        "1 occurrence, 1 pause",
    ]);
    place.run(&["upcoming", "--from", "now", "--until", "+2d"]).with(0).says(&["no window is open"]);
    let svg = place.run(&["upcoming", "--from", "2040-06-01T12:00:00Z", "--format", "svg"]).with(0).out;
    assert!(svg.starts_with("<svg ") && svg.contains("patching: Sat 2040-06-02 22:00 -04:00 to"), "{svg}");
    let ics = place.run(&["upcoming", "--from", "2040-06-01T12:00:00Z", "--format", "ics"]).with(0).out;
    assert!(ics.starts_with("BEGIN:VCALENDAR\r\n") && ics.ends_with("END:VCALENDAR\r\n"), "{ics}");
    let opens = "\r\nDTSTART:20400603T020000Z\r\n";
    assert!(ics.contains("\r\nUID:patching/2040-06-03T02:00:00Z@intermission\r\n"), "{ics}");
    assert!(ics.contains(opens) && ics.contains("SUMMARY:patching: 1 sync paused"), "{ics}");
}

#[test]
fn windows_tells_what_comes_next() {
    let place = Place::with(WINDOW);
    place.run(&["windows"]).with(0).says(&["patching", "closed", "America/New_York"]);
    let answer = place.run(&["windows", "--format", "json"]).with(0).json();
    assert_eq!(answer[0]["state"], "closed");
    assert_eq!(answer[0]["opens"], "2040-06-03T02:00:00Z");
}

#[test]
fn status_reads_the_ledger_when_there_is_no_daemon() {
    let place = Place::with(WINDOW).with_ledger();
    let ended = place.run(&["status", "--format", "json"]).with(0);
    let mut answer = ended.json();
    let overdue = answer["syncs"][0]["overdue_seconds"].take();
    assert!(overdue.as_i64().is_some_and(|it| it > 3600), "{overdue}");
    assert_eq!(
        answer,
        json!({
            "daemon": null,
            "healthy": false,
            "next_change": null,
            "syncs": [{
                "organization": "default",
                "kind": "model",
                "id": SYNC,
                "name": "Contacts",
                "state": "held",
                "quiet": null,
                "windows": ["patching"],
                "since": "2026-01-10T03:00:00Z",
                "until": "2026-01-10T11:00:00Z",
                "overdue_seconds": null,
                "attempts": 3,
                "last_error": "the API answered 503",
            }],
        })
    );
    ended.notes(&["the daemon cannot be reached", "this is what the ledger says"]);
    place.run(&["status"]).with(0).says(&[
        "1 overdue",
        "Contacts",
        "held",
        "patching",
        "overdue by ",
        "attempt 3: the API answered 503",
        "Times are those of Europe/Amsterdam.",
    ]);
    place.run(&["status", "--wide"]).with(0).says(&["Contacts (248df4b7-", "+01:00", "by ", "503"]);
    place.run(&["status", "--exit-code"]).with(1);
    // Who asks for the daemon is not put off with its ledger.
    place.run(&["status", "--daemon"]).with(69).notes(&["the daemon cannot be reached"]);
}

#[test]
fn history_reads_the_ledger_when_there_is_no_daemon() {
    let place = Place::with(WINDOW).with_ledger();
    let ended = place.run(&["history", "--format", "json", "--event", "paused"]).with(0);
    let mut line = ended.json();
    assert!(line["entry"].take().is_i64());
    assert_eq!(
        line,
        json!({
            "entry": null,
            "at": "2026-01-10T03:00:00Z",
            "event": "paused",
            "organization": "default",
            "kind": "model",
            "id": SYNC,
            "name": "Contacts",
            "window": "patching",
            "occurrence": "2026-01-10T03:00:00Z",
            "by": "daemon",
            "detail": null,
            "state_before": "none",
            "state_after": "held",
        })
    );
    let lines = |arguments: &[&str]| place.run(arguments).with(0).out.lines().count();
    assert_eq!(lines(&["history"]), 2);
    assert_eq!(lines(&["history", "--limit", "1"]), 1);
    assert_eq!(lines(&["history", "--since", "2026-01-10 04:01"]), 0);
    assert_eq!(lines(&["history", "--sync", "Contacts"]), 1);
    assert_eq!(lines(&["history", "--window", "another"]), 0);
    place.run(&["history", "--window", "another"]).with(0).notes(&["there is no window `another`"]);
    let silent = place.run(&["history", "--window", "patching", "--since", "2026-01-10 04:01"]).with(0);
    assert!(!silent.err.contains("no window"), "{}", silent.err);
    place.run(&["history", "--limit", "1"]).with(0).says(&[
        "2026-01-10 04:00:00 +01:00  paused",
        "Contacts",
        "[patching]",
    ]);
    place.run(&["history", "--event", "slept"]).with(2).notes(&["there is no event `slept`"]);
}

#[test]
fn plan_says_what_would_be_done_and_what_it_could_not_see() {
    let place = Place::with(WINDOW).with_ledger();
    let before = std::fs::read(place.path("ledger.db")).unwrap();
    let answer = place.run(&["plan", "--format", "json"]).with(1).json();
    assert_eq!(answer[0]["name"], "Contacts");
    assert_eq!(answer[0]["desired"], "running");
    assert_eq!(answer[0]["observed"], Value::Null);
    assert_eq!(std::fs::read(place.path("ledger.db")).unwrap(), before);
    Place::with(WINDOW).run(&["plan"]).with(0).says(&["nothing to do"]);
}

#[test]
fn resume_offline_says_what_it_met_and_leaves_a_daemon_its_ledger() {
    let place = Place::with(WINDOW).with_ledger();
    place.run(&["resume", "--offline", "Leads"]).with(1).notes(&["no sync here is called `Leads`"]);
    place
        .run(&["resume", "--offline", "Contacts", "--timeout", "1s"])
        .with(1)
        .says(&["Contacts", "not resumed"]);
    let lock = Lock::take(&place.path("ledger.db")).unwrap();
    place.run(&["resume", "--offline", "--all"]).with(75).notes(&["another daemon holds the ledger"]);
    place.run(&["run", "--once"]).with(75);
    drop(lock);
    Place::with(WINDOW).run(&["resume", "--offline", "--all"]).with(1).notes(&["there is no ledger at"]);
}

/// A simulated Polytomic with one sync, which is off, served by a thread.
struct Polytomic {
    world: Arc<Mutex<World>>,
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Polytomic {
    fn start() -> Self {
        Self::with_sync("Contacts")
    }

    fn with_sync(name: &str) -> Self {
        let mut world = World::new(1);
        world.add_organization("Acme", "of-no-use");
        let now = DateTime::UNIX_EPOCH;
        let mut sync = Sync::new(SyncKind::Model, SYNC, name, now);
        sync.active = false;
        world.add(now, "Acme", sync).unwrap();
        let world = Arc::new(Mutex::new(world));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = Arc::new(intermission::clock::wall);
        let server = runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&world), clock)).unwrap();
        Self { world, server, _runtime: runtime }
    }

    /// Somebody switches it on.
    fn switch_on(&self) {
        let now = intermission::clock::wall();
        self.world.lock().unwrap().person_sets(now, SYNC, true, "Ada Lovelace").unwrap();
    }

    fn is_on(&self) -> bool {
        self.world.lock().unwrap().sync(SYNC).unwrap().active
    }
}

#[test]
fn resume_offline_needs_no_configuration() {
    let polytomic = Polytomic::start();
    let place = Place::with(WINDOW).with_ledger_about(&polytomic.server.url());
    place.write("this is no configuration");
    place.run(&["resume", "--offline", "--all", "--reason", "test"]).with(0).says(&["Contacts", "resumed"]);
    assert!(polytomic.is_on());
    let answer = place.run(&["status", "--format", "json"]).with(0).json();
    assert_eq!((&answer["healthy"], &answer["syncs"]), (&json!(true), &json!([])));
    place
        .run(&["history", "--event", "operator_resume"])
        .with(0)
        .says(&["by operator (offline, uid ", "test"]);
    place.run(&["history", "--event", "resumed"]).with(0).says(&["resuming -> settling"]);
}

#[test]
fn one_run_does_what_is_due() {
    let polytomic = Polytomic::start();
    let place = Place::with(WINDOW).with_ledger_about(&polytomic.server.url());
    place.run(&["run", "--once", "--timeout", "1m"]).with(0).notes(&["Resumed sync `Contacts`"]);
    assert!(polytomic.is_on());
}

#[test]
fn plan_looks_and_touches_nothing() {
    let polytomic = Polytomic::start();
    let place = Place::with(WINDOW).with_ledger_about(&polytomic.server.url());
    let answer = place.run(&["plan", "--format", "json"]).with(0).json();
    assert_eq!(answer[0]["observed"], "off");
    assert_eq!(answer[0]["held"], "held");
    assert_eq!(answer[0]["step"], "resume");
    place.run(&["plan"]).with(0).says(&["1 sync would be switched now"]);
    assert!(!polytomic.is_on());
}

#[test]
fn check_online_compares_lead_with_past_executions() {
    let polytomic = Polytomic::start();
    polytomic.switch_on();
    {
        let mut world = polytomic.world.lock().unwrap();
        world.set_run_length(SYNC, TimeDelta::minutes(14)).unwrap();
        world.person_starts(intermission::clock::wall() - TimeDelta::minutes(30), SYNC).unwrap();
    }
    let place = Place::with(WINDOW);
    let took = "window `patching`: the last run of Contacts took 14 min; ";
    for (lead, told) in [("", Some("it has no `lead`")), ("10m", Some("its `lead` is 10 min")), ("15m", None)]
    {
        let lead = if lead.is_empty() { String::new() } else { format!("\nlead = \"{lead}\"\n") };
        place.write_for(&polytomic.server.url(), &format!("{WINDOW}{lead}"));
        let checked = place.run(&["check", "--online"]).with(0);
        match told {
            Some(told) => drop(checked.says(&[&format!("{took}{told}")])),
            None => assert!(!checked.out.contains("took 14 min"), "{}", checked.out),
        }
    }
}

#[test]
fn check_online_tells_which_syncs_will_stay_off() {
    let polytomic = Polytomic::start();
    let place = Place::with(WINDOW);
    place.write_for(&polytomic.server.url(), WINDOW);
    place.run(&["check", "--online"]).with(0).says(&[
        "the key is valid",
        "1 sync is off now and will stay off",
        "Contacts",
    ]);
    place.write_for(&polytomic.server.url(), &WINDOW.replace("668d", "668e"));
    place.run(&["check", "--online"]).with(1).says(&["Polytomic does not know it"]);
    // What we hold comes back.
    let place = place.with_ledger_about(&polytomic.server.url());
    place.write_for(&polytomic.server.url(), WINDOW);
    let held = place.run(&["check", "--online"]).with(0).says(&["1 sync is paused by intermission now"]);
    assert!(!held.out.contains("will stay off"), "{}", held.out);
    // Nobody listens there.
    place.write(WINDOW);
    place.run(&["check", "--online"]).with(1);
}

#[test]
fn a_missing_key_is_a_wrong_configuration() {
    let place = Place::with(WINDOW);
    std::fs::remove_file(place.path("key")).unwrap();
    for arguments in [&["check"][..], &["run"]] {
        place.run(arguments).with(78).notes(&["key", "error: the configuration is wrong"]);
    }
    place.run(&["windows"]).with(0);
}

#[test]
fn colours_are_for_those_who_ask() {
    let place = Place::with(WINDOW);
    assert!(!place.run(&["windows"]).out.contains('\x1b'));
    assert!(place.run(&["windows", "--color", "always"]).out.contains('\x1b'));
}

/// Waits until it is so.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it did not become so within 30 s");
}

/// A daemon; killed with the test if that fails.
struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts one and waits until it says that its configuration is in force.
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["run", "--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let daemon = Self { child };
        let mut line = String::new();
        while !line.contains("config_loaded") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the daemon ended before it was ready");
        }
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["event"], "config_loaded");
        // Whoever does not read would stop nobody: the log is not waited for.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        daemon
    }

    fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_is_asked_over_its_socket() {
    let place = Place::with(WINDOW);
    let daemon = Daemon::start(&place);
    let status = place.run(&["status", "--format", "json"]).with(0);
    assert_eq!(status.json()["daemon"]["pid"], daemon.child.id());
    assert_eq!(status.json()["healthy"], true);
    assert_eq!(status.json()["next_change"], "2040-06-03T02:00:00Z");
    assert_eq!(status.err, "");
    place.run(&["status"]).with(0).says(&["Nothing is paused; next change Sun 2040-06-03 04:00 +02:00"]);

    place.write(&WINDOW.replace("patching", "mending"));
    place.run(&["reload"]).with(0).says(&["the configuration is in force: 1 window, 1 sync"]);
    place.write(&WINDOW.replace("end =", "until ="));
    place.run(&["reload"]).with(78).notes(&["until", "error: the configuration is wrong"]);
    let status = place.run(&["status", "--exit-code", "--format", "json"]).with(1).json();
    assert!(status["daemon"]["config_error"].as_str().is_some_and(|it| it.contains("until")), "{status}");

    place.run(&["resume", "--window", "mending"]).with(0);
    place.run(&["resume", "Leads"]).with(1).notes(&["no sync here is called `Leads`"]);
    place.run(&["forget", &SYNC.to_string()]).with(1);
    let events = place.run(&["history", "--format", "json"]).with(0).out;
    let events: Vec<Value> =
        events.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["event"].take()).collect();
    assert_eq!(events, ["daemon_started", "config_loaded", "config_loaded", "config_rejected"]);
    assert_eq!(daemon.stop(), Some(0));
    place.run(&["status"]).with(0).notes(&["this is what the ledger says"]);
}

#[test]
fn the_demonstration_ends_with_every_sync_as_it_should_be() {
    run(&["demo", "--for", "10s"])
        .with(0)
        .says(&["every sync is as it was before: 3 syncs paused and resumed", "as Ada Lovelace left it"])
        .notes(&["Window `nightly-load` opened", "Resumed sync"]);
}
