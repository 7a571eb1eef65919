//! What the ledger promises: nothing lost, nothing half written, nothing guessed.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::event::{Event, EventKind};
use intermission::domain::execution::{After, OnRunning, RunPolicy, Runs};
use intermission::domain::hold::{Gone, Hold, HoldState, Unsettled};
use intermission::domain::moment::Ended;
use intermission::domain::operator::{Order, What};
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::preflight::Preflight;
use intermission::domain::report::{Ending, SyncReport};
use intermission::domain::selection::{Resolution, Seen};
use intermission::domain::sync::{SyncKind, SyncRef};
use intermission::domain::watch::WindowWatch;
use intermission::domain::window::Occurrence;
use intermission::ledger::{
    BackupError, Change, Contents, HistoryQuery, Ledger, LedgerError, Lock, LockError, OpenError, Store,
    SyncFilter,
};
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use crate::chance::cases;

// What the tests speak of.

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn minute(n: i64) -> DateTime<Utc> {
    at("2026-05-05T22:00:00Z") + TimeDelta::minutes(n)
}

fn organization() -> Organization {
    Organization {
        name: "default".into(),
        url: "https://app.polytomic.com".to_owned(),
        api_version: "2025-09-18".to_owned(),
        organization_id: None,
        key: KeySource::File("/etc/intermission/api-key".into()),
        ca_file: None,
        proxy: Proxy::None,
    }
}

fn occurrence(window: &str, n: i64) -> Occurrence {
    Occurrence {
        window: window.into(),
        pauses: minute(n),
        opens: minute(n + 10),
        closes: minute(n + 490),
        enforce: n % 2 == 0,
        runs: policy(n),
    }
}

fn policy(n: i64) -> RunPolicy {
    let usual = RunPolicy::default();
    if n % 3 == 0 {
        RunPolicy { on_running: Some(OnRunning::Cancel), catch_up: true, ..usual }
    } else {
        usual
    }
}

fn sync(n: u128) -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(n))
}

fn hold(n: u128) -> Hold {
    Hold {
        sync: sync(n),
        name: None,
        organization: Arc::new(organization()),
        state: HoldState::Pausing,
        holders: [occurrence("nightly", 0)].into(),
        served: vec![],
        left_alone: vec![],
        since: minute(0),
        resume_by: minute(490),
        unsettled: Unsettled::default(),
        attempts: 0,
        last_error: None,
        gone: None,
        overdue_told: false,
        runs: Runs::default(),
    }
}

fn watch(window: &str) -> WindowWatch {
    WindowWatch {
        window: window.into(),
        fingerprint: "0 22 * * * +8h Europe/Amsterdam".to_owned(),
        seen_until: minute(1),
        open: None,
    }
}

fn paused(n: u128) -> Event {
    Event { sync: Some(sync(n)), ..Event::new(EventKind::Paused) }
}

/// A change that the ledger cannot write: the row would lead one
/// organization's key to another's URL.
fn impossible() -> Change {
    let organization = Organization { name: "emea".into(), ..organization() };
    Change::new().put(Hold { organization: Arc::new(organization), ..hold(666) })
}

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("ledger.db{suffix}"))
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }
}

fn holds(store: &Store) -> Vec<SyncRef> {
    store.contents().unwrap().holds.into_iter().map(|it| it.sync).collect()
}

fn everything(store: &Store) -> Vec<(i64, EventKind)> {
    answer(store, &HistoryQuery::default())
}

fn answer(store: &Store, query: &HistoryQuery) -> Vec<(i64, EventKind)> {
    store.history(query).unwrap().into_iter().map(|it| (it.id, it.event.kind)).collect()
}

/// Runs SQL as somebody else with `sqlite3` would.
fn tamper(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

// What is put in comes out.

fn a_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8}", "[^\\x00]{1,12}"]
}

fn some_runs() -> impl Strategy<Value = Runs> {
    let instant = || prop::option::of(an_instant());
    let after = prop_oneof![
        Just(After::Proof),
        any::<u8>().prop_map(After::Start),
        any::<u8>().prop_map(After::Started),
    ];
    let owed = prop_oneof![
        instant().prop_map(|resumed| (resumed, After::Nothing)),
        (an_instant(), after).prop_map(|(resumed, after)| (Some(resumed), after)),
    ];
    (prop::option::of(any::<bool>()), any::<bool>(), instant(), instant(), owed).prop_map(
        |(quiet, told, last_completed, next, (resumed, after))| Runs {
            quiet,
            told,
            last_completed,
            next,
            resumed,
            after,
        },
    )
}

fn an_instant() -> impl Strategy<Value = DateTime<Utc>> {
    // To the millisecond, years 1900 to 2200, so before 1970 too.
    (-2_208_988_800_000_i64..7_258_118_400_000).prop_map(|it| DateTime::from_timestamp_millis(it).unwrap())
}

fn an_occurrence() -> impl Strategy<Value = Occurrence> {
    (a_text(), an_instant(), an_instant(), an_instant()).prop_map(|(window, pauses, opens, closes)| {
        let runs = RunPolicy::default();
        Occurrence { window: window.into(), pauses, opens, closes, enforce: false, runs }
    })
}

fn an_organization() -> impl Strategy<Value = Organization> {
    let key = prop_oneof![
        a_text().prop_map(|it| KeySource::File(it.into())),
        a_text().prop_map(KeySource::Credential),
        a_text().prop_map(KeySource::Environment),
    ];
    let proxy = prop_oneof![Just(Proxy::None), Just(Proxy::Environment), a_text().prop_map(Proxy::Url)];
    let ca_file = prop::option::of("/[a-z]{1,8}".prop_map(PathBuf::from));
    let id = prop::option::of(any::<u128>().prop_map(Uuid::from_u128));
    (a_text(), a_text(), a_text(), id, key, ca_file, proxy).prop_map(
        |(name, url, api_version, organization_id, key, ca_file, proxy)| Organization {
            name: name.into(),
            url,
            api_version,
            organization_id,
            key,
            ca_file,
            proxy,
        },
    )
}

prop_compose! {
    fn a_hold()(
        organization in an_organization(),
        bulk in any::<bool>(),
        id in any::<u128>(),
        name in prop::option::of(a_text()),
        state in prop::sample::select(vec![
            HoldState::Pausing, HoldState::Held, HoldState::Resuming,
            HoldState::Settling, HoldState::Skipped, HoldState::Released,
        ]),
        holders in prop::collection::vec(an_occurrence(), 0..3),
        served in prop::collection::vec(an_occurrence(), 0..3),
        left_alone in prop::collection::vec(an_occurrence(), 0..3),
        (since, resume_by) in (an_instant(), an_instant()),
        (pause, resume, overdue_told) in any::<(bool, bool, bool)>(),
        (attempts, times) in any::<(u32, u32)>(),
        last_error in prop::option::of(a_text()),
        gone in prop::option::of(an_instant()),
        runs in some_runs(),
    ) -> Hold {
        let kind = if bulk { SyncKind::Bulk } else { SyncKind::Model };
        Hold {
            sync: SyncRef::new(organization.name.clone(), kind, Uuid::from_u128(id)),
            name,
            organization: Arc::new(organization),
            state,
            holders: holders.into(),
            served,
            left_alone,
            since,
            resume_by,
            unsettled: Unsettled {
                pause: pause.then_some(Duration::ZERO),
                resume: resume.then_some(Duration::ZERO),
            },
            attempts,
            last_error,
            gone: gone.map(|since| Gone { since, times }),
            overdue_told,
            runs,
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_hold_reads_back_as_it_was_written(hold in a_hold(), again in a_hold()) {
        let mut store = Store::in_memory().unwrap();
        store.apply(&[Change::new().put(hold.clone())]).unwrap();
        prop_assert_eq!(&store.contents().unwrap().holds, std::slice::from_ref(&hold));

        // Over an earlier row of the same sync nothing of that row is left.
        let again = Hold { sync: hold.sync.clone(), organization: hold.organization.clone(), ..again };
        store.apply(&[Change::new().put(again.clone())]).unwrap();
        prop_assert_eq!(&store.contents().unwrap().holds, &[again]);
    }

    #[test]
    fn a_watch_reads_back_as_it_was_written(
        window in a_text(), fingerprint in a_text(), seen_until in an_instant(),
        open in prop::option::of(an_occurrence()),
    ) {
        let watch = WindowWatch { window: window.into(), fingerprint, seen_until, open };
        let mut store = Store::in_memory().unwrap();
        store.apply(&[Change::new().watch(watch.clone())]).unwrap();
        prop_assert_eq!(&store.contents().unwrap().watches, std::slice::from_ref(&watch));
        store.apply(&[Change::new().unwatch(watch.window)]).unwrap();
        prop_assert_eq!(&store.contents().unwrap().watches, &[]);
    }
}

#[test]
fn every_kind_of_event_reads_back_as_it_was_recorded() {
    let mut store = Store::in_memory().unwrap();
    for &kind in EventKind::ALL {
        let bare = Event::new(kind);
        let full = Event {
            kind,
            sync: Some(sync(1)),
            name: Some("Snowflake → Salesforce".to_owned()),
            window: Some("nightly".into()),
            occurrence: Some(minute(10)),
            by: "uid 1000".to_owned(),
            attempt: Some(3),
            error: Some("503".to_owned()),
            detail: Some("was already off".to_owned()),
            description: Some("CHG-1234".to_owned()),
            took: None,
        };
        let change = Change::new().record(minute(0), bare.clone()).record(minute(1), full.clone());
        store.apply(&[change]).unwrap();

        let query = HistoryQuery { events: vec![kind], ..HistoryQuery::default() };
        let found: Vec<_> = store.history(&query).unwrap().into_iter().map(|it| (it.at, it.event)).collect();
        assert_eq!(found, [(minute(0), bare), (minute(1), full)]);
    }
}

#[test]
fn an_entry_tells_what_its_row_said_before_and_after_the_whole_change() {
    let about = |kind| Event { sync: Some(sync(1)), ..Event::new(kind) };
    let mut store = Store::in_memory().unwrap();
    let pausing = Hold { state: HoldState::Pausing, ..hold(1) };
    let held = Hold { state: HoldState::Held, ..hold(1) };
    store
        .apply(&[
            Change::new().put(pausing),
            // The entry may come before the row that it is about.
            Change::new().record(minute(0), about(EventKind::Paused)).put(held),
            Change::new().record(minute(1), about(EventKind::ResumeFailed)),
            Change::new().forget(sync(1)).record(minute(2), about(EventKind::Resumed)),
            Change::new().record(minute(3), about(EventKind::Gone)),
            Change::new().record(minute(4), Event::new(EventKind::DaemonStopped)),
        ])
        .unwrap();
    let entries = store.history(&HistoryQuery::default()).unwrap();
    let states: Vec<_> =
        entries.iter().map(|it| (it.state_before.as_deref(), it.state_after.as_deref())).collect();
    let turned = |before, after| (Some(before), Some(after));
    assert_eq!(
        states,
        [
            turned("pausing", "held"),
            turned("held", "held"),
            turned("held", "none"),
            turned("none", "none"),
            (None, None)
        ]
    );
}

#[test]
fn instants_finer_than_a_millisecond_are_cut_and_the_opening_stays_the_same() {
    let fine = TimeDelta::nanoseconds(123_456_789);
    let open = occurrence("nightly", 0);
    let mut store = Store::in_memory().unwrap();
    let row = Hold { since: minute(0) + fine, holders: [open.clone()].into(), ..hold(1) };
    store.apply(&[Change::new().put(row)]).unwrap();

    let found = &store.contents().unwrap().holds[0];
    assert_eq!(found.since, minute(0) + TimeDelta::milliseconds(123));
    assert!(found.holders[0].is(&open));
}

#[test]
fn a_mark_of_another_process_counts_from_the_start_of_this_one() {
    let mut store = Store::in_memory().unwrap();
    let unsettled = Unsettled { pause: Some(Duration::from_hours(30)), resume: None };
    store.apply(&[Change::new().put(Hold { unsettled, ..hold(1) })]).unwrap();
    let found = store.contents().unwrap().holds[0].unsettled;
    assert_eq!(found, Unsettled { pause: Some(Duration::ZERO), resume: None });
}

#[test]
fn the_first_orderly_end_counts_until_a_row_is_left_in_doubt() {
    let mut store = Store::in_memory().unwrap();
    let ended = |boot: u128, seconds: i64| Ended {
        boot: Uuid::from_u128(boot),
        since_boot: Duration::from_secs(100 + seconds.unsigned_abs()),
        wall: DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap(),
    };
    let mut write = |change: Change| {
        store.apply(&[change]).unwrap();
        store.contents().unwrap().ended
    };
    let settled = Hold { unsettled: Unsettled::default(), ..hold(1) };
    let in_doubt = Hold { unsettled: Unsettled { pause: Some(Duration::ZERO), resume: None }, ..hold(1) };
    assert_eq!(write(Change::new()), None);
    assert_eq!(write(Change::new().ended(ended(1, 10))), Some(ended(1, 10)));
    assert_eq!(write(Change::new().ended(ended(1, 20))), Some(ended(1, 10)));
    assert_eq!(write(Change::new().put(settled)), Some(ended(1, 10)));
    assert_eq!(write(Change::new().put(in_doubt)), None);
    assert_eq!(write(Change::new().ended(ended(1, 30))), Some(ended(1, 30)));
    // What cannot be compared with it gives way.
    assert_eq!(write(Change::new().ended(ended(2, 40))), Some(ended(2, 40)), "another start of the machine");
    assert_eq!(write(Change::new().ended(ended(2, 35))), Some(ended(2, 35)), "the clock was set back");
}

#[test]
fn an_organization_is_kept_in_the_version_of_its_holds_and_no_longer() {
    let place = Place::new();
    let mut store = place.open();
    let moved = Arc::new(Organization { url: "https://eu.polytomic.com".to_owned(), ..organization() });
    let rows = |expected: i64| {
        let connection = rusqlite::Connection::open(place.path()).unwrap();
        let found: i64 =
            connection.query_row("SELECT count(*) FROM organization", [], |row| row.get(0)).unwrap();
        assert_eq!(found, expected);
    };

    store.apply(&[Change::new().put(hold(1)).put(hold(2))]).unwrap();
    rows(1);
    store.apply(&[Change::new().put(Hold { organization: Arc::clone(&moved), ..hold(2) })]).unwrap();
    rows(2);
    let found = store.contents().unwrap().holds;
    assert_eq!(*found[0].organization, organization());
    assert_eq!(found[1].organization, moved);

    store.apply(&[Change::new().forget(sync(1))]).unwrap();
    rows(1);
    store.apply(&[Change::new().forget(sync(2))]).unwrap();
    rows(0);
}

// All or nothing.

#[test]
fn a_change_is_written_wholly_or_not_at_all() {
    let mut store = Store::in_memory().unwrap();
    store.apply(&[Change::new().put(hold(1)).watch(watch("nightly"))]).unwrap();
    let before = store.contents().unwrap();

    let mut bad =
        Change::new().forget(sync(1)).put(hold(2)).unwatch("nightly".into()).record(minute(0), paused(2));
    bad.append(impossible());
    let error = store.apply(&[bad]).unwrap_err();

    assert!(matches!(error, LedgerError::Rejected(_)), "{error:?}");
    assert!(!error.is_fatal());
    assert_eq!(store.contents().unwrap(), before);
    assert_eq!(everything(&store), []);
}

#[test]
fn a_path_that_would_read_back_as_another_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(b"/etc/k\xffy".to_vec()));
    for organization in [
        Organization { key: KeySource::File(path.clone()), ..organization() },
        Organization { ca_file: Some(path), ..organization() },
    ] {
        let change = Change::new().put(Hold { organization: Arc::new(organization), ..hold(1) });
        let error = Store::in_memory().unwrap().apply(&[change]).unwrap_err();
        assert!(matches!(error, LedgerError::Rejected(_)), "{error:?}");
    }
}

#[test]
fn a_full_disk_refuses_the_change_and_keeps_the_rest() {
    let place = Place::new();
    let mut store = place.open();
    store.apply(&[Change::new().put(hold(1))]).unwrap();
    store.limit_pages(1).unwrap();

    // Reliably more than what is free in the pages there are.
    let large = Event { detail: Some("x".repeat(1 << 20)), ..paused(2) };
    let error = store.apply(&[Change::new().put(hold(2)).record(minute(0), large)]).unwrap_err();
    assert!(matches!(error, LedgerError::Full(_)), "{error:?}");
    assert!(!error.is_fatal());
    assert_eq!(holds(&store), [sync(1)]);

    // What needs no room still works: a hold that ends can be dropped.
    store.apply(&[Change::new().forget(sync(1))]).unwrap();
    assert_eq!(holds(&store), []);
}

// What is there after a crash.

#[test]
fn what_was_applied_is_there_after_the_process_died_at_any_moment() {
    let place = Place::new();
    let mut store = place.open();
    for n in 1..=20 {
        store.apply(&[Change::new().put(hold(n)).record(minute(0), paused(n))]).unwrap();
        if n == 12 {
            store.checkpoint().unwrap();
        }

        // A copy of the files while they are open is what a killed process leaves.
        let after = Place::new();
        fs::copy(place.path(), after.path()).unwrap();
        fs::copy(place.beside("-wal"), after.beside("-wal")).unwrap();
        assert_eq!(holds(&Store::read_only(&after.path()).unwrap()).len(), usize::try_from(n).unwrap());
        assert_eq!(holds(&after.open()), (1..=n).map(sync).collect::<Vec<_>>());
        assert_eq!(everything(&after.open()).len(), usize::try_from(n).unwrap());
    }
}

#[test]
fn a_torn_end_of_the_log_loses_only_what_was_never_confirmed() {
    let place = Place::new();
    let mut store = place.open();
    store.apply(&[Change::new().put(hold(1))]).unwrap();
    let confirmed = fs::metadata(place.beside("-wal")).unwrap().len();
    store.apply(&[Change::new().put(hold(2))]).unwrap();

    for torn in [0, 1, 24, 2000] {
        let after = Place::new();
        fs::copy(place.path(), after.path()).unwrap();
        let log = fs::read(place.beside("-wal")).unwrap();
        let end = usize::try_from(confirmed).unwrap() + torn;
        fs::write(after.beside("-wal"), &log[..end]).unwrap();
        assert_eq!(holds(&after.open()), [sync(1)], "{torn} bytes of the second commit");
    }
}

#[test]
fn a_ledger_that_was_half_made_is_made_anew() {
    let place = Place::new();
    fs::write(place.beside(".new"), "half").unwrap();
    fs::write(place.beside(".new-journal"), "half").unwrap();
    assert_eq!(place.open().contents().unwrap(), Contents::default());
}

#[tokio::test]
async fn one_that_was_closed_in_order_is_whole_in_one_file() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    ledger.commit(Change::new().put(hold(1))).await.unwrap();
    ledger.closed().await;
    assert_eq!(fs::metadata(place.beside("-wal")).unwrap().len(), 0);
    let copy = Place::new();
    fs::copy(place.path(), copy.path()).unwrap();
    assert_eq!(holds(&copy.open()), [sync(1)]);
}

// What is not a ledger.

fn refused(place: &Place, expected: &str) {
    let before = fs::read(place.path()).ok();
    for result in [Store::open(&place.path()), Store::read_only(&place.path())] {
        let error = result.expect_err("it is refused");
        assert!(format!("{error:?}").starts_with(expected), "{error:?} is no {expected}");
    }
    assert_eq!(fs::read(place.path()).ok(), before, "it is left as it is");
}

#[test]
fn only_a_missing_or_empty_file_is_a_new_ledger() {
    let place = Place::new();
    assert!(matches!(Store::read_only(&place.path()), Err(OpenError::Missing(_))));
    assert_eq!(place.open().contents().unwrap(), Contents::default());

    let place = Place::new();
    fs::write(place.path(), "").unwrap();
    assert!(matches!(Store::read_only(&place.path()), Err(OpenError::Missing(_))));
    assert_eq!(place.open().contents().unwrap(), Contents::default());
    let mode = fs::metadata(place.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_log_without_its_ledger_is_refused() {
    for suffix in ["-wal", "-journal"] {
        let place = Place::new();
        fs::write(place.beside(suffix), "something").unwrap();
        refused(&place, "Orphaned");
        fs::write(place.path(), "").unwrap();
        refused(&place, "Orphaned");
    }
}

#[test]
fn what_is_not_a_ledger_is_refused_and_left_as_it_is() {
    let place = Place::new();
    fs::write(place.path(), "x").unwrap();
    refused(&place, "NotOurs");
    fs::write(place.path(), "garbage ".repeat(2000)).unwrap();
    refused(&place, "NotOurs");
    fs::remove_file(place.path()).unwrap();
    // Someone else's database, and an empty one.
    tamper(&place.path(), "CREATE TABLE hold (x); PRAGMA user_version = 1;");
    refused(&place, "NotOurs");
}

#[test]
fn a_ledger_of_a_later_version_is_refused() {
    let place = Place::new();
    drop(place.open());
    tamper(&place.path(), "PRAGMA user_version = 9999;");
    refused(&place, "Newer");
}

#[test]
fn a_truncated_ledger_is_refused() {
    for keep in [100, 4096, 8192] {
        let place = Place::new();
        let mut store = place.open();
        store.apply(&[Change::new().put(hold(1))]).unwrap();
        store.checkpoint().unwrap();
        drop(store);
        fs::remove_file(place.beside("-wal")).unwrap();
        OpenOptions::new().write(true).open(place.path()).unwrap().set_len(keep).unwrap();
        let before = fs::read(place.path()).unwrap();

        assert!(Store::open(&place.path()).is_err(), "{keep} bytes");
        assert_eq!(fs::read(place.path()).unwrap(), before);
        let read = Store::read_only(&place.path()).map_err(drop).and_then(|it| it.contents().map_err(drop));
        assert!(read.is_err(), "{keep} bytes");
    }
}

#[test]
fn damage_in_what_recovery_needs_is_refused() {
    let place = Place::new();
    let mut store = place.open();
    let many = (0..200).fold(Change::new(), |change, n| change.put(hold(n)));
    store.apply(&[many]).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    fs::remove_file(place.beside("-wal")).unwrap();

    // The holds fill most of the file: zero its second half.
    let mut bytes = fs::read(place.path()).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    fs::write(place.path(), bytes).unwrap();
    let error = Store::open(&place.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

/// What is read of a ledger with a sound hold and one to which this was done.
#[track_caller]
fn check_tampered(sql: &str) -> (Vec<Hold>, Vec<String>) {
    let place = Place::new();
    let mut store = place.open();
    store.apply(&[Change::new().put(hold(1)).put(hold(2))]).unwrap();
    store.close().unwrap();
    tamper(&place.path(), &format!("PRAGMA ignore_check_constraints = 1; {sql}"));
    let mut store = place.open();
    let Contents { mut holds, damaged, .. } = store.contents().unwrap();
    assert_eq!(holds.remove(0), hold(1), "the other one is as it was");
    // It can be written over, as a resume does it.
    let mended: Vec<Change> = holds.iter().map(|it| Change::new().put(it.clone())).collect();
    store.apply(&mended).unwrap();
    assert_eq!(
        store.contents().unwrap(),
        Contents {
            holds: [vec![hold(1)], holds.clone()].concat(),
            damaged: damaged.clone(),
            ..Contents::default()
        }
    );
    (holds, damaged)
}

#[test]
fn of_a_damaged_row_what_can_be_read_is_used() {
    let before = hold(2);
    for (sql, in_doubt) in [
        // In doubt it is ours, and may have been paused.
        ("UPDATE hold SET state = 'asleep'", true),
        ("UPDATE hold SET holders = '[{nonsense'", false),
        ("UPDATE hold SET left_alone = '{}'", false),
        ("UPDATE hold SET resume_by = 9223372036854775807", false),
        ("UPDATE hold SET attempts = -1", false),
        ("UPDATE hold SET gone_since = 5, gone_times = NULL", false),
    ] {
        let (holds, damaged) = check_tampered(&format!("{sql} WHERE sync = '{}'", sync(2).id));
        let [it] = &holds[..] else { panic!("{sql}: {holds:?}, {damaged:?}") };
        assert_eq!((&it.sync, &it.organization), (&before.sync, &before.organization), "{sql}");
        assert_eq!((it.state, it.unsettled.pause.is_some()), (HoldState::Pausing, in_doubt), "{sql}");
        assert!(it.last_error.as_ref().is_some_and(|it| it.contains("damaged")), "{sql}: {it:?}");
        assert!(damaged.is_empty(), "{sql}: {damaged:?}");
    }
}

#[test]
fn a_row_of_which_nothing_can_be_made_is_named_and_costs_no_other_one() {
    let id = sync(2).id;
    for sql in [
        format!("UPDATE hold SET sync = 'no id' WHERE sync = '{id}'"),
        format!("UPDATE hold SET kind = 'other' WHERE sync = '{id}'"),
    ] {
        let (holds, damaged) = check_tampered(&sql);
        assert_eq!(holds, [], "{sql}");
        assert!(damaged.len() == 1 && damaged[0].contains("default/"), "{sql}: {damaged:?}");
    }
}

#[test]
fn a_place_that_cannot_hold_a_ledger_is_an_error() {
    let place = Place::new();
    fs::write(place.beside(".d"), "a file").unwrap();
    let under_a_file = place.beside(".d").join("ledger.db");
    assert!(matches!(Store::open(&under_a_file), Err(OpenError::Io { .. })));
    assert!(matches!(Store::read_only(&under_a_file), Err(OpenError::Io { .. })));
    assert!(matches!(Lock::take(&under_a_file), Err(LockError::Io { .. })));

    fs::create_dir(place.path()).unwrap();
    assert!(Store::open(&place.path()).is_err());
}

#[test]
fn one_missing_directory_is_made_and_two_are_not() {
    let place = Place::new();
    let one = place.directory.path().join("state/ledger.db");
    Store::open(&one).unwrap();
    let mode = fs::metadata(one.parent().unwrap()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);

    let two = place.directory.path().join("var/state/ledger.db");
    assert!(matches!(Store::open(&two), Err(OpenError::NoDirectory(_))));
}

#[test]
fn a_ledger_that_was_deleted_under_us_takes_nothing_more() {
    let place = Place::new();
    let mut store = place.open();
    store.apply(&[Change::new().put(hold(1))]).unwrap();
    fs::remove_file(place.path()).unwrap();
    let error = store.apply(&[Change::new().put(hold(2))]).unwrap_err();
    assert!(matches!(error, LedgerError::Moved(_)), "{error:?}");
    assert!(!error.is_fatal(), "what is held is still to be resumed");
}

// One writer, many readers.

#[test]
fn a_second_lock_is_refused_until_the_first_is_gone() {
    let place = Place::new();
    let first = Lock::take(&place.path()).unwrap();
    assert!(matches!(Lock::take(&place.path()), Err(LockError::Held(_))));
    // Nor by another name.
    let link = place.path().with_file_name("link.db");
    std::fs::write(place.path(), "").unwrap();
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    assert!(matches!(Lock::take(&link), Err(LockError::Held(_))));
    let mode = fs::metadata(place.beside(".lock")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    drop(first);
    Lock::take(&place.path()).unwrap();
}

#[test]
fn the_lock_holds_between_processes() {
    let place = Place::new();
    let _lock = Lock::take(&place.path()).unwrap();
    let other = Command::new("flock").arg("--nonblock").arg(place.beside(".lock")).arg("true").status();
    match other {
        Ok(status) => assert_eq!(status.code(), Some(1)),
        Err(error) => crate::skipped::skipped(&format!("flock: {error}")),
    }
}

#[test]
fn a_reader_sees_what_a_writer_writes_and_after_it_is_gone() {
    let place = Place::new();
    let mut writer = place.open();
    let reader = Store::read_only(&place.path()).unwrap();
    writer.apply(&[Change::new().put(hold(1)).record(minute(0), paused(1))]).unwrap();
    assert_eq!(holds(&reader), [sync(1)]);
    drop(writer);
    writer = place.open();
    writer.apply(&[Change::new().put(hold(2))]).unwrap();
    assert_eq!(holds(&reader), [sync(1), sync(2)]);

    drop((writer, reader));
    let mut reader = Store::read_only(&place.path()).unwrap();
    assert_eq!(holds(&reader), [sync(1), sync(2)]);
    let error = reader.apply(&[Change::new().put(hold(3))]).unwrap_err();
    assert!(matches!(error, LedgerError::ReadOnly(_)), "{error:?}");
    assert!(!error.is_fatal());
}

// The journal.

fn a_journal() -> Store {
    let mut store = Store::in_memory().unwrap();
    let about = |n, name: &str, window: &str, kind| Event {
        name: Some(name.to_owned()),
        window: Some(window.into()),
        kind,
        ..paused(n)
    };
    let emea = SyncRef::new("emea".into(), SyncKind::Model, sync(1).id);
    let change = Change::new()
        .record(minute(0), Event::new(EventKind::DaemonStarted))
        .record(minute(1), about(1, "orders", "nightly", EventKind::Paused))
        .record(minute(2), about(2, "leads", "nightly", EventKind::Paused))
        .record(minute(3), about(1, "orders", "weekly", EventKind::Resumed))
        .record(
            minute(4),
            Event { sync: Some(emea), ..about(1, "orders-emea", "weekly", EventKind::Paused) },
        );
    store.apply(&[change]).unwrap();
    store
}

#[test]
fn the_journal_answers_what_it_is_asked_newest_last() {
    let journal = a_journal();
    let check = |query: HistoryQuery, expected: &[i64]| {
        let found: Vec<_> = answer(&journal, &query).into_iter().map(|it| it.0).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    let all = HistoryQuery::default;
    let sync_is = |filter| HistoryQuery { sync: Some(filter), ..all() };

    check(all(), &[1, 2, 3, 4, 5]);
    check(HistoryQuery { since: Some(minute(2)), ..all() }, &[3, 4, 5]);
    check(HistoryQuery { until: Some(minute(2)), ..all() }, &[1, 2]);
    check(HistoryQuery { since: Some(minute(1)), until: Some(minute(4)), ..all() }, &[2, 3, 4]);
    check(sync_is(SyncFilter::Id(Uuid::from_u128(1))), &[2, 4, 5]);
    check(sync_is(SyncFilter::Exactly(sync(1))), &[2, 4]);
    check(sync_is(SyncFilter::Named("leads".to_owned())), &[3]);
    check(sync_is(SyncFilter::Named("LEADS' OR 1=1 --".to_owned())), &[]);
    check(HistoryQuery { window: Some("weekly".into()), ..all() }, &[4, 5]);
    check(HistoryQuery { events: vec![EventKind::Resumed, EventKind::DaemonStarted], ..all() }, &[1, 4]);
    check(HistoryQuery { after_id: Some(3), ..all() }, &[4, 5]);
    check(HistoryQuery { after_id: Some(5), ..all() }, &[]);
    check(HistoryQuery { limit: Some(2), ..all() }, &[1, 2]);
    check(HistoryQuery { limit: Some(2), newest_first: true, ..all() }, &[4, 5]);
    check(HistoryQuery { limit: Some(0), ..all() }, &[]);
    check(HistoryQuery { limit: Some(1), newest_first: true, ..sync_is(SyncFilter::Exactly(sync(1))) }, &[4]);
}

#[test]
fn pruning_removes_the_oldest_in_batches_and_never_uses_an_id_again() {
    let mut journal = a_journal();
    assert_eq!(journal.prune(minute(0), 10).unwrap(), 0);
    assert_eq!(journal.prune(minute(3), 2).unwrap(), 2);
    assert_eq!(everything(&journal).first(), Some(&(3, EventKind::Paused)));
    assert_eq!(journal.prune(minute(3), 2).unwrap(), 1);
    assert_eq!(journal.prune(minute(9), 10).unwrap(), 2);
    assert_eq!(everything(&journal), []);
    journal.apply(&[Change::new().record(minute(9), Event::new(EventKind::DaemonStopped))]).unwrap();
    assert_eq!(everything(&journal), [(6, EventKind::DaemonStopped)]);
}

#[test]
fn a_sound_ledger_passes_its_check() {
    let journal = a_journal();
    assert_eq!(journal.check().unwrap(), None);
}

// The handle and its thread.

#[tokio::test]
async fn what_waits_together_is_written_together() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.commit(Change::new().put(hold(n))).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // All are queued before the runtime's one thread lets the first go on; how
    // many the ledger's thread finds at once is up to the scheduler.
    assert!(ledger.commits() < 250, "{} commits for 500 changes", ledger.commits());
    ledger.closed().await;
    assert_eq!(holds(&place.open()).len(), 500);
}

#[tokio::test]
async fn a_bad_change_does_not_sink_the_others_of_its_group() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    let commit = |change| {
        let ledger = ledger.clone();
        async move { ledger.commit(change).await }
    };
    let (first, bad, second) = tokio::join!(
        commit(Change::new().put(hold(1)).record(minute(0), paused(1))),
        commit(impossible()),
        commit(Change::new().put(hold(2)).record(minute(0), paused(2))),
    );
    first.unwrap();
    second.unwrap();
    assert!(matches!(bad, Err(LedgerError::Rejected(_))));

    let found = ledger.history(HistoryQuery::default()).await.unwrap();
    assert_eq!(found.len(), 2, "and none is written twice");
    ledger.closed().await;
    assert_eq!(holds(&place.open()), [sync(1), sync(2)]);
}

#[tokio::test]
async fn a_waiter_that_goes_away_does_not_undo_the_write() {
    use std::future::Future;
    use std::task::{Context, Waker};

    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    {
        // Polled once it is queued; then nobody waits any more.
        let mut commit = std::pin::pin!(ledger.commit(Change::new().put(hold(1))));
        drop(commit.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }
    ledger.flush().await.unwrap();
    assert_eq!(holds(&Store::read_only(&place.path()).unwrap()), [sync(1)]);
}

#[tokio::test]
async fn a_damaged_file_stops_the_ledger_for_good() {
    let place = Place::new();
    let mut store = place.open();
    let many = (0..400).fold(Change::new(), |change, n| change.put(hold(n)));
    store.apply(&[many]).unwrap();
    store.checkpoint().unwrap();
    drop(store);
    let store = place.open();
    // Everything after the first page turns to noise under the open file.
    let length = usize::try_from(fs::metadata(place.path()).unwrap().len()).unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[4096..].fill(0xa5);
    OpenOptions::new().write(true).open(place.path()).unwrap().write_all(&bytes[..length]).unwrap();

    let ledger = Ledger::start(store).unwrap();
    let change = || Change::new().put(hold(1000)).record(minute(0), paused(1));
    let error = ledger.commit(change()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fatal(_)), "{error:?}");
    let error = ledger.commit(change()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Stopped), "{error:?}");
    assert!(error.is_fatal());
    ledger.closed().await;
}

#[tokio::test]
async fn pruning_goes_on_until_nothing_old_is_left() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    let many = (0..1200).fold(Change::new(), |change, n| change.record(minute(n), paused(1)));
    ledger.commit(many).await.unwrap();
    assert_eq!(ledger.prune(minute(1100)).await.unwrap(), 1100);
    assert_eq!(ledger.history(HistoryQuery::default()).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_backup_is_a_ledger_in_one_file() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    ledger.commit(Change::new().put(hold(1)).record(minute(0), paused(1))).await.unwrap();
    let reader = Store::read_only(&place.path()).unwrap();
    let backup = place.beside(".backup");
    reader.backup(&backup, false).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = reader.backup(&backup, false);
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    ledger.commit(Change::new().put(hold(2))).await.unwrap();
    assert_eq!(holds(&Store::read_only(&backup).unwrap()), [sync(1)]);
    reader.backup(&backup, true).unwrap();

    let copy = Store::open(&backup).unwrap();
    assert_eq!(holds(&copy), [sync(1), sync(2)]);
    assert_eq!(everything(&copy), [(1, EventKind::Paused)]);
    for suffix in ["", "-wal", "-shm"] {
        let itself = reader.backup(&place.beside(suffix), true);
        assert!(matches!(itself, Err(BackupError::Itself(_))), "{suffix}: {itself:?}");
    }
    // A name that is taken by what cannot be replaced: nothing is left behind.
    let folder = place.beside(".folder");
    fs::create_dir(&folder).unwrap();
    assert!(reader.backup(&folder, true).is_err());
    let drafts = fs::read_dir(place.path().parent().unwrap()).unwrap();
    let drafts = drafts.filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(drafts.count(), 0);
}

#[tokio::test]
async fn the_log_of_a_busy_ledger_stays_small() {
    let place = Place::new();
    let ledger = Ledger::start(place.open()).unwrap();
    for _ in 0..20 {
        let many = (0..1000).fold(Change::new(), |change, n| change.record(minute(n), paused(1)));
        ledger.commit(many).await.unwrap();
    }
    let log = fs::metadata(place.beside("-wal")).unwrap().len();
    assert!(log < 4 << 20, "{log} bytes");
}

// What operators asked for.

fn orders() -> Vec<Order> {
    let order = |number, what| Order {
        number,
        from: minute(0),
        until: minute(90),
        reason: "CHG-1234: it is \"late\"".to_owned(),
        by: "operator (uid 0, login uid 1000)".to_owned(),
        what,
    };
    let syncs = BTreeSet::from([sync(1), SyncRef::new("default".into(), SyncKind::Bulk, sync(2).id)]);
    vec![
        order(1, What::Pause { syncs: syncs.clone() }),
        order(2, What::Extend { window: "nightly".into(), opens: minute(-60) }),
        order(3, What::Exempt { syncs: Some(syncs) }),
        order(7, What::Exempt { syncs: None }),
    ]
}

#[test]
fn what_operators_asked_for_is_there_after_a_restart_and_no_number_is_used_twice() {
    let place = Place::new();
    {
        let mut store = place.open();
        let all = orders().into_iter().fold(Change::new(), Change::order);
        store.apply(&[all]).unwrap();
    }
    {
        let mut store = place.open();
        let contents = store.contents().unwrap();
        assert_eq!((contents.orders, contents.last_order), (orders(), 7));
        let changed = Order { until: minute(60), ..orders().remove(0) };
        store.apply(&[Change::new().order(changed.clone()).drop_order(7).drop_order(99)]).unwrap();
        assert_eq!(store.contents().unwrap().orders[0], changed);
    }
    let contents = place.open().contents().unwrap();
    assert_eq!((contents.orders.len(), contents.last_order), (3, 7), "7 is gone, and stays used");
}

#[test]
fn an_order_that_cannot_be_read_is_told_and_costs_no_other_one_its_effect() {
    let place = Place::new();
    let all = orders().into_iter().fold(Change::new(), Change::order);
    place.open().apply(&[all]).unwrap();
    tamper(&place.path(), "UPDATE operator_order SET syncs = '[7]' WHERE number = 1;");
    let contents = place.open().contents().unwrap();
    assert_eq!(contents.orders, orders()[1..]);
    assert_eq!(contents.damaged.len(), 1);
    assert!(contents.damaged[0].starts_with("an operator's order: "), "{:?}", contents.damaged);
}

#[test]
fn what_a_window_selects_is_remembered_until_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let seen = |id, name: Option<&str>| Seen {
        sync: SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(id)),
        name: name.map(str::to_owned),
        connections: vec![Uuid::from_u128(9)],
    };
    let found = Resolution {
        window: "nightly".into(),
        fingerprint: "in default: all".to_owned(),
        at: minute(3),
        found: [seen(1, Some("Line\n\"two\"")), seen(2, None)]
            .into_iter()
            .map(|it| (it.sync.clone(), it))
            .collect(),
    };
    {
        let mut store = Store::open(&path).unwrap();
        store
            .apply(&[Change::new().selection(Resolution { fingerprint: "old".to_owned(), ..found.clone() })])
            .unwrap();
        store.apply(&[Change::new().selection(found.clone())]).unwrap();
    }
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.contents().unwrap().selections, [found]);
    store.apply(&[Change::new().drop_selection("nightly".into())]).unwrap();
    assert_eq!(store.contents().unwrap().selections, []);
}

#[test]
fn what_was_told_before_a_window_is_remembered_until_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let told = |window: &str, error: Option<&str>| Preflight {
        window: window.into(),
        opens: minute(60),
        at: minute(3),
        error: error.map(str::to_owned),
        detail: "3 syncs are there and on".to_owned(),
    };
    let (nightly, weekly) = (told("nightly", Some("1 sync is off")), told("weekly", None));
    {
        let mut store = Store::open(&path).unwrap();
        let before = Preflight { opens: minute(1), ..nightly.clone() };
        store.apply(&[Change::new().preflight(before)]).unwrap();
        store
            .apply(&[Change::new().preflight(weekly.clone()), Change::new().preflight(nightly.clone())])
            .unwrap();
    }
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.contents().unwrap().preflights, [nightly, weekly.clone()]);
    store.apply(&[Change::new().drop_preflight("nightly".into())]).unwrap();
    assert_eq!(store.contents().unwrap().preflights, [weekly]);
}

#[test]
fn what_came_of_a_window_is_remembered_until_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let report = |window: &str, opens, id, missed: Option<DateTime<Utc>>| SyncReport {
        window: window.into(),
        opens,
        sync: SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(id)),
        name: "Leads".to_owned(),
        ending: if missed.is_some() { Ending::RunsAgain } else { Ending::WasOff },
        missed,
        completed: Some(minute(1)),
        next: None,
    };
    let (first, second) =
        (report("nightly", minute(3), 1, None), report("nightly", minute(3), 2, Some(minute(4))));
    let (before, other) = (report("nightly", minute(2), 1, None), report("weekly", minute(3), 1, None));
    {
        let mut store = Store::open(&path).unwrap();
        let all = [&other, &second, &SyncReport { completed: None, ..first.clone() }, &first, &before];
        let change = all.into_iter().fold(Change::new(), |change, it| change.report(it.clone()));
        store.apply(&[change]).unwrap();
    }
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.contents().unwrap().reports, [before.clone(), first, second, other.clone()]);
    store.apply(&[Change::new().drop_reports("nightly".into(), minute(3))]).unwrap();
    assert_eq!(store.contents().unwrap().reports, [before, other]);
}
