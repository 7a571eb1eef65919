//! The status page, the HTTP API and the metrics: with a loop that the test
//! plays, and from the outside, with the daemon.

mod browser;
mod calendar;
mod pages;
mod picture;
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::config::{self, Context};
use intermission::domain::calendar::Calendar;
use intermission::domain::event::{Event, EventKind};
use intermission::domain::hold::HoldState;
use intermission::domain::preflight::Preflight;
use intermission::domain::sync::{Name, SyncKind, SyncRef};
use intermission::domain::zone::Zone;
use intermission::metrics::{Metrics, Operation};
use intermission::reconcile::{Planned, RowReport, RowState, Why};
use intermission::tzdb::Tzdb;
use intermission::web::api::{Ask, DaemonStatus, JournalLine, Refusal, Snapshot, Status};
use intermission::web::{Listening, listen_with};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What somebody may call a sync, or write into a description.
const HOSTILE: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_0000_0000_0000 + number)
}

fn sync(number: u128) -> SyncRef {
    SyncRef::new(Name::from("default"), SyncKind::Model, id(number))
}

/// The calendar of a configuration file.
fn calendar_of(text: &str, now: DateTime<Utc>) -> Calendar {
    let tzdb = Tzdb::bundled();
    let environment = |_: &str| None;
    let context = Context { now, tzdb: &tzdb, environment: &environment };
    let text = format!("timezone = \"Europe/Amsterdam\"\n{text}");
    config::parse("intermission.toml", &text, &context).unwrap_or_else(|it| panic!("{it}")).calendar
}

/// Thursday noon, all well: two windows, nothing paused.
fn well() -> Snapshot {
    let now = at("2026-11-26T11:00:00Z");
    let text = format!(
        "timezone = \"Europe/Amsterdam\"\n\
         [[window]]\nname = \"snowflake-patching\"\nstart = \"0 22 * * SAT\"\nend = \"06:00\"\n\
         syncs = [\"{}\", \"{}\"]\ndescription = \"CHG-1234 {}\"\n\
         [[window]]\nname = \"nightly-load\"\ntimezone = \"America/New_York\"\nstart = \"30 1 * * *\"\n\
         duration = \"3h\"\nbulk_syncs = [\"{}\"]\n",
        id(1),
        id(2),
        HOSTILE.replace('"', "\\\""),
        id(3)
    );
    let tzdb = Tzdb::bundled();
    let environment = |_: &str| None;
    let context = Context { now, tzdb: &tzdb, environment: &environment };
    let config = config::parse("intermission.toml", &text, &context).unwrap_or_else(|it| panic!("{it}"));
    let zone: Zone = config.timezone.clone().unwrap();
    Snapshot {
        at: now,
        status: Status {
            ledger_damage: vec![],
            selection_errors: vec![],
            preflights: vec![],
            notify: vec![],
            daemon: DaemonStatus {
                pid: 4711,
                version: "0.1.0".to_owned(),
                started_at: now - TimeDelta::days(3),
                config: "/etc/intermission/intermission.toml".to_owned(),
                config_error: None,
                clock_error: None,
                tzdb: "2026c (system)".to_owned(),
            },
            healthy: true,
            next_change: config.calendar.next_change(now),
            syncs: vec![],
            orders: vec![],
        },
        selections: std::collections::BTreeMap::new(),
        organizations: vec![(Name::from("default"), "https://app.polytomic.com".to_owned())],
        fingerprint: Some(config.fingerprint.clone()),
        warnings: vec![],
        is_written: true,
        zone,
        names: [(1, "Customers to CRM"), (2, HOSTILE)].map(|(it, name)| (sync(it), name.to_owned())).into(),
        calendar: Some(config.calendar),
    }
}

fn row(number: u128, name: &str, state: RowState, until: DateTime<Utc>) -> RowReport {
    RowReport {
        organization: Name::from("default"),
        kind: SyncKind::Model,
        id: id(number),
        name: Some(name.to_owned()),
        state,
        quiet: None,
        windows: vec![Name::from("snowflake-patching")],
        opens: None,
        since: Some(until - TimeDelta::hours(8)),
        until: Some(until),
        overdue_seconds: 0,
        attempts: 0,
        last_error: None,
    }
}

/// Saturday night, the window is open.
fn held() -> Snapshot {
    let mut it = well();
    it.at = at("2026-11-28T23:30:00Z");
    let until = at("2026-11-29T05:00:00Z");
    it.status.syncs =
        vec![row(1, "Customers to CRM", RowState::Held, until), row(2, HOSTILE, RowState::Skipped, until)];
    it
}

/// Sunday noon: one did not come back.
fn overdue() -> Snapshot {
    let mut it = held();
    it.at = at("2026-11-29T11:00:00Z");
    it.status.healthy = false;
    let late = &mut it.status.syncs[0];
    late.state = RowState::Resuming;
    late.overdue_seconds = 21_600;
    late.attempts = 271;
    late.last_error = Some("503 Service Unavailable".to_owned());
    it
}

fn rejected() -> Snapshot {
    let mut it = well();
    it.status.healthy = false;
    it.status.daemon.config_error = Some(
        "what was in force stays:\nintermission.toml:12:9: error: there is no unit `min`\n   |\n\
         12 | lead = \"5min\"\n   |         ^^^^\n   = help: write `5m`"
            .to_owned(),
    );
    it
}

fn damaged() -> Snapshot {
    let mut it = well();
    it.status.healthy = false;
    it.status.ledger_damage = vec!["the hold of rowid 7: the state is `sleeping`".to_owned()];
    it
}

fn in_another_time() -> Snapshot {
    let mut it = well();
    it.status.healthy = false;
    it.status.daemon.clock_error = Some("The clock is wrong: it says 1976".to_owned());
    it
}

fn journal() -> Vec<JournalLine> {
    let line = |entry: i64, event: &str, name: Option<&str>| JournalLine {
        entry,
        at: at("2026-11-22T05:00:00Z") + TimeDelta::seconds(entry),
        event: event.to_owned(),
        organization: name.map(|_| Name::from("default")),
        kind: name.map(|_| SyncKind::Model),
        id: name.map(|_| id(2)),
        name: name.map(str::to_owned),
        window: Some(Name::from("snowflake-patching")),
        occurrence: Some(at("2026-11-21T21:00:00Z")),
        by: "daemon".to_owned(),
        detail: None,
        attempt: None,
        error: None,
        description: None,
        state_before: None,
        state_after: None,
    };
    let failed = JournalLine {
        attempt: Some(1),
        error: Some(HOSTILE.to_owned()),
        ..line(2, "resume_failed", Some(HOSTILE))
    };
    let opened = JournalLine {
        detail: Some("2 syncs: CHG-4712".to_owned()),
        description: Some("CHG-4712".to_owned()),
        ..line(4, "window_opened", None)
    };
    let resumed = JournalLine {
        description: Some("CHG-4711: new disks".to_owned()),
        ..line(3, "resumed", Some("Customers to CRM"))
    };
    vec![line(1, "window_closed", None), failed, resumed, opened]
}

fn planned() -> Vec<Planned> {
    let planned = |number: u128, desired: &str, held, step: &str| Planned {
        organization: Name::from("default"),
        kind: SyncKind::Model,
        id: id(number),
        name: (number == 1).then(|| HOSTILE.to_owned()),
        desired: desired.to_owned(),
        until: (desired == "paused").then(|| at("2026-11-29T05:00:00Z")),
        held,
        step: step.to_owned(),
    };
    vec![
        planned(1, "paused", None, "look at it"),
        planned(2, "running", Some(HoldState::Resuming), "wait for an answer"),
    ]
}

/// A served socket, and the loop behind it as the test plays it.
struct Stage {
    runtime: tokio::runtime::Runtime,
    listening: Listening,
    shown: Arc<Mutex<Snapshot>>,
    known: Arc<Mutex<Why>>,
    asked: Arc<AtomicUsize>,
    metrics: Metrics,
}

impl Stage {
    fn showing(snapshot: Snapshot) -> Self {
        Self::fresh_for(snapshot, Duration::ZERO)
    }

    /// Shows `first` to the first question, and `next` ever after.
    fn then(first: Snapshot, next: Snapshot) -> Self {
        Self::playing(first, Some(next), Duration::ZERO)
    }

    fn fresh_for(snapshot: Snapshot, fresh: Duration) -> Self {
        Self::playing(snapshot, None, fresh)
    }

    fn playing(snapshot: Snapshot, mut next: Option<Snapshot>, fresh: Duration) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (asks_by, mut asks) = mpsc::channel(4);
        let shown = Arc::new(Mutex::new(snapshot));
        let asked = Arc::new(AtomicUsize::new(0));
        let (playing, counting) = (Arc::clone(&shown), Arc::clone(&asked));
        let known = Arc::new(Mutex::new(pages::why()));
        let knowing = Arc::clone(&known);
        runtime.spawn(async move {
            while let Some(ask) = asks.recv().await {
                match ask {
                    Ask::Snapshot(reply) => {
                        counting.fetch_add(1, SeqCst);
                        let mut shown = playing.lock().unwrap();
                        drop(reply.send(shown.clone()));
                        *shown = next.take().unwrap_or_else(|| shown.clone());
                    }
                    Ask::Plan(reply) => drop(reply.send(planned())),
                    Ask::Why { sync, reply } => {
                        let known = knowing.lock().unwrap().clone();
                        let is_meant = sync == format!("{}/{}", known.sync.organization, known.sync.id);
                        let nobody = Refusal::NotFound { message: format!("no sync `{sync}`") };
                        drop(reply.send(if is_meant { Ok(known) } else { Err(nobody) }));
                    }
                    Ask::History { reply, .. } => drop(reply.send(Ok(journal()))),
                    other => panic!("the page asked {other:?}"),
                }
            }
        });
        let metrics = Metrics::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let entered = runtime.enter();
        let listening = listen_with(any, asks_by, metrics.clone(), fresh).unwrap();
        drop(entered);
        Self { runtime, listening, shown, known, asked, metrics }
    }

    /// Answers `why` so.
    fn knowing(&self, why: Why) {
        *self.known.lock().unwrap() = why;
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listening.address())
    }

    fn get(&self, path: &str) -> (u16, String) {
        get(&self.runtime, &self.url(path))
    }

    fn ok(&self, path: &str) -> String {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

fn get(runtime: &tokio::runtime::Runtime, url: &str) -> (u16, String) {
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

#[test]
fn the_page_says_in_words_how_things_are() {
    let check = |snapshot: Snapshot, told: &[&str]| {
        let page = Stage::showing(snapshot).ok("/");
        for words in told {
            assert!(page.contains(words), "{words}: {page}");
        }
    };
    check(
        well(),
        &["All is well: nothing is paused", ">nightly-load</a></b> on", "01:30 EST", "in 19 h 30 min"],
    );
    check(
        held(),
        &["All is well: 1 sync is paused", ">snowflake-patching</a></b> until", "06:00 CET", "skipped"],
    );
    check(
        overdue(),
        &["OVERDUE: 1 sync is still paused", "late by <b>6 h</b>", "503 Service", "attempt 271"],
    );
    check(rejected(), &["Trouble: the configuration file is wrong", "there is no unit `min`"]);
    check(damaged(), &["Trouble: rows of the ledger cannot be read", "the state is `sleeping`"]);
    check(in_another_time(), &["Trouble: the clock is wrong", "it says 1976"]);
    check(
        Snapshot { is_written: false, ..held() },
        &["Trouble: the ledger takes no writes", "Nothing new is paused"],
    );
    check(
        Snapshot { calendar: None, ..rejected() },
        &["no configuration is in force", "nothing is scheduled"],
    );
    check(Snapshot { is_written: false, ..well() }, &["The ledger takes no writes"]);
}

#[test]
fn the_page_tells_what_will_trouble_a_window_and_not_that_nothing_will() {
    let snapshot = well();
    let told = |error: Option<&str>| Preflight {
        window: "nightly-load".into(),
        opens: snapshot.at + TimeDelta::hours(19),
        at: snapshot.at,
        error: error.map(str::to_owned),
        detail: "3 syncs are there and on".to_owned(),
    };
    let page = |preflight| {
        let status = Status { preflights: vec![preflight], ..snapshot.status.clone() };
        Stage::showing(Snapshot { status, ..snapshot.clone() }).ok("/")
    };
    let trouble = page(told(Some("1 sync is off already & will stay off: Leads")));
    assert!(trouble.contains("1 sync is off already &amp; will stay off: Leads"), "{trouble}");
    assert!(trouble.contains("All is well: nothing is paused"), "it is not so yet: {trouble}");
    assert!(!page(told(None)).contains("3 syncs are there and on"));
}

#[test]
fn what_people_write_is_text_and_never_markup() {
    let page = Stage::showing(held()).ok("/");
    assert!(page.contains("&lt;script&gt;alert("), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
}

#[test]
fn nothing_can_be_changed_and_nothing_comes_from_elsewhere() {
    let stage = Stage::showing(well());
    stage.runtime.block_on(async {
        let client = reqwest::Client::new();
        for path in ["/", "/api/v1/status", "/api/v1/reload", "/api/v1/resume", "/metrics"] {
            let status = client.post(stage.url(path)).body("{}").send().await.unwrap().status().as_u16();
            assert!(matches!(status, 404 | 405), "{path}: {status}");
        }
        let page = client.get(stage.url("/")).send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        let text = page.text().await.unwrap();
        assert!(
            !text.contains(" style=") && !text.contains("src=\"http") && !text.contains("onload"),
            "{text}"
        );
        for (host, expected) in [("evil.example", 421), ("localhost:1", 200), ("127.0.0.1", 200)] {
            let answer = client.get(stage.url("/api/v1/status")).header("host", host).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{host}");
        }
    });
}

#[test]
fn however_many_look_the_loop_is_asked_once() {
    let stage = Stage::fresh_for(held(), Duration::from_hours(1));
    stage.runtime.block_on(async {
        let client = reqwest::Client::new();
        let looks: Vec<_> = (0..100).map(|_| client.get(stage.url("/")).send()).map(tokio::spawn).collect();
        for look in looks {
            assert_eq!(look.await.unwrap().unwrap().status().as_u16(), 200);
        }
    });
    assert_eq!(stage.asked.load(SeqCst), 1);
}

#[test]
fn health_is_the_loops_and_readiness_the_files() {
    let stage = Stage::showing(well());
    assert_eq!((stage.ok("/healthz"), stage.ok("/readyz")), ("ok\n".to_owned(), "ready\n".to_owned()));
    *stage.shown.lock().unwrap() = rejected();
    assert_eq!((stage.get("/healthz").0, stage.get("/readyz").0), (200, 503));

    let (asks, gone) = mpsc::channel(1);
    drop(gone);
    let entered = stage.runtime.enter();
    let dead =
        listen_with(SocketAddr::from(([127, 0, 0, 1], 0)), asks, Metrics::default(), Duration::ZERO).unwrap();
    drop(entered);
    assert_eq!(get(&stage.runtime, &format!("http://{}/healthz", dead.address())).0, 503);
}

#[test]
fn answers_are_as_the_openapi_document_says() {
    let none = Snapshot { calendar: None, ..rejected() };
    for snapshot in [well(), held(), overdue(), rejected(), damaged(), in_another_time(), none] {
        let stage = Stage::showing(snapshot);
        let document: Value = serde_json::from_str(&stage.ok("/api/v1/openapi.json")).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 5);
        for (path, item) in paths {
            let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
            let answer: Value = serde_json::from_str(&stage.ok(path)).unwrap();
            schema::check(&document, schema, &answer, path);
        }
        let refusal = &paths["/api/v1/upcoming"]["get"]["responses"]["default"]["content"]["application/json"]
            ["schema"];
        let (status, body) =
            stage.get("/api/v1/upcoming?from=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z");
        assert_eq!(status, 400, "{body}");
        schema::check(&document, refusal, &serde_json::from_str(&body).unwrap(), "refusal");
    }
}

/// The metrics of a daemon to which all kinds of things happened.
fn scraped(snapshot: Snapshot) -> String {
    let stage = Stage::showing(snapshot);
    for kind in EventKind::ALL {
        stage.metrics.event(&Event::new(*kind));
    }
    stage.metrics.request(Operation::Look, "ok", Duration::from_millis(40));
    stage.metrics.request(Operation::Resume, "server", Duration::from_secs(3));
    stage.metrics.pass(at("2026-11-29T11:00:00Z"), Some(Duration::from_millis(3)));
    stage.metrics.write_failed();
    stage.ok("/metrics")
}

#[test]
fn metrics_tell_what_is_so() {
    let text = scraped(overdue());
    for line in [
        "intermission_overdue_syncs 1.0",
        "intermission_holds{state=\"resuming\"} 1.0",
        "intermission_holds{state=\"held\"} 0.0",
        "intermission_events_total{event=\"overdue\"} 1",
        "intermission_api_requests_total{operation=\"resume\",outcome=\"server\"} 1",
        "intermission_api_request_duration_seconds_bucket{le=\"5.0\",operation=\"resume\"} 1",
        "intermission_tzdb_release_year{} 2026.0",
        "intermission_earliest_resume_timestamp_seconds{} 1795928400.0",
        "# TYPE intermission_passes_total counter",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    let calm = scraped(well());
    assert!(!calm.contains("\nintermission_earliest_resume_timestamp_seconds"), "{calm}");
}

#[test]
fn of_thousands_of_syncs_a_hundred_have_a_series() {
    let mut snapshot = held();
    let until = at("2026-11-29T05:00:00Z");
    snapshot.status.syncs = (0..5000).map(|it| row(it, "many", RowState::Held, until)).collect();
    let text = scraped(snapshot);
    assert_eq!(
        text.lines().filter(|it| it.starts_with("intermission_resume_due_timestamp_seconds{")).count(),
        100
    );
    assert!(text.contains("intermission_holds{state=\"held\"} 5000.0"));
}

#[test]
fn prometheus_finds_nothing_to_complain_about() {
    let text = scraped(overdue());
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        return crate::skipped::skipped("promtool is not installed, so nobody has checked the metrics");
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.trim().is_empty(), "{told}\n{text}");
    let rules = Command::new("promtool")
        .args(["test", "rules", "alerts_test.yml"])
        .current_dir(root().join("packaging/prometheus"))
        .output()
        .unwrap();
    assert!(
        rules.status.success(),
        "{}{}",
        String::from_utf8_lossy(&rules.stdout),
        String::from_utf8_lossy(&rules.stderr)
    );
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|it| it.starts_with("intermission_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn alerts_and_dashboard_use_metrics_that_are_there() {
    let known = names(&scraped(overdue()));
    for file in ["packaging/prometheus/alerts.yml", "packaging/grafana/dashboard.json"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let used = names(&text);
        assert!(used.len() > 5, "{file}: {used:?}");
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(root().join("packaging/grafana/dashboard.json")).unwrap())
            .unwrap();
    assert!(dashboard["panels"].as_array().unwrap().iter().all(|it| it["targets"][0]["expr"].is_string()));
}
