//! What an invented world begins with: organizations, syncs and windows, around
//! a night in which clocks change.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use glob::Pattern;
use intermission::domain::backoff::Backoff;
use intermission::domain::execution::{OnRunning, RunPolicy};
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::Rules;
use intermission::domain::selection::{Select, Selector};
use intermission::domain::sync::{Name, SyncKind, SyncRef};
use intermission::domain::window::{Dates, End, OnManualResume, Start, Times, When, Window};
use intermission::domain::zone::Zone;
use intermission::polytomic::Limits;
use intermission::simulation::{Scene, Unkindness};
use intermission::tzdb::Tzdb;
use uuid::Uuid;

/// Around nights in which clocks change, in spring and autumn, and others.
const NIGHTS: [&str; 9] = [
    "2027-03-13T20:00:00Z",
    "2027-03-27T20:00:00Z",
    "2027-10-30T20:00:00Z",
    "2027-11-06T20:00:00Z",
    // Lord Howe, by half an hour, and Cairo, at midnight.
    "2027-04-03T06:00:00Z",
    "2027-10-02T06:00:00Z",
    "2027-04-29T12:00:00Z",
    "2027-10-28T12:00:00Z",
    "2027-06-01T20:00:00Z",
];

/// There are two in each scene.
const ORGANIZATIONS: [&str; 2] = ["default", "emea"];

/// How often what is held is looked at, in minutes. Where that is seldom, nothing that
/// matters may hang on it.
const PACES: [u64; 3] = [1, 10, 60];

const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Europe/Dublin"];

/// The scene of a seed; with a ledger in a file, below `disk`, in some.
pub(super) fn scene(seed: u64, disk: impl FnOnce() -> PathBuf) -> Scene {
    // Not the dice of the world itself.
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5ce4e);
    let from: DateTime<Utc> = NIGHTS[rng.usize(..NIGHTS.len())].parse().unwrap();
    let how_many = if rng.u8(..150) == 0 { rng.u128(40..300) } else { rng.u128(2..7) };
    let names = ORGANIZATIONS.map(Name::from);
    let syncs: Vec<SyncRef> = (0..how_many).map(|it| sync(&mut rng, &names, it)).collect();
    let windows = windows(&mut rng, from, &syncs);
    let span = Duration::from_hours(24 * rng.u64(2..5));
    let windows_end_after = span + Duration::from_hours(6);
    let pace = Duration::from_mins(PACES[rng.usize(..PACES.len())]);
    Scene {
        seed,
        from,
        windows,
        organizations: names
            .iter()
            .map(|name| (name.clone(), (organization(name), Limits::default())))
            .collect(),
        rules: Rules {
            settle: Duration::from_mins(2),
            drift_check: pace,
            overdue_after: Duration::from_mins(5),
            backoff: Backoff::default(),
        },
        max_sleep: pace,
        timeout: Duration::from_secs(30),
        syncs: syncs.into_iter().map(|it| (it, rng.u8(..5) > 0)).collect(),
        // First faults and people stop, then the windows; what is then not at
        // rest within half an hour never will be.
        calm_after: span,
        windows_end_after: Some(windows_end_after),
        ends_after: windows_end_after + Duration::from_mins(30),
        unkindness: unkindness(&mut rng),
        disk: (rng.u8(..16) == 0 && how_many < 50).then(disk),
    }
}

/// No faults at all in some worlds, many in others.
fn unkindness(rng: &mut fastrand::Rng) -> Unkindness {
    Unkindness {
        faults: [0.0, 0.05, 0.15, 0.4][rng.usize(..4)],
        people: [0.0, 0.5, 1.0][rng.usize(..3)],
        clocks: rng.u8(..3) == 0,
        edits: zones().to_vec(),
        outages_of: (rng.u8(..3) == 0).then(|| ORGANIZATIONS[usize::from(rng.bool())].into()),
    }
}

fn zones() -> &'static [Zone] {
    static FOUND: LazyLock<Vec<Zone>> = LazyLock::new(|| {
        let tzdb = Tzdb::bundled();
        ZONES.iter().map(|it| tzdb.zone(it).unwrap()).collect()
    });
    &FOUND
}

fn some_zone(rng: &mut fastrand::Rng) -> Zone {
    zones()[rng.usize(..ZONES.len())].clone()
}

fn organization(name: &Name) -> Arc<Organization> {
    Arc::new(Organization {
        name: name.clone(),
        url: format!("https://{name}.example"),
        api_version: "2025-09-18".into(),
        organization_id: None,
        key: KeySource::Environment("KEY".into()),
        ca_file: None,
        proxy: Proxy::None,
    })
}

fn sync(rng: &mut fastrand::Rng, organizations: &[Name; 2], number: u128) -> SyncRef {
    let organization = organizations[usize::from(rng.bool())].clone();
    let kind = if rng.bool() { SyncKind::Model } else { SyncKind::Bulk };
    SyncRef::new(organization, kind, Uuid::from_u128(number + 1))
}

/// A few windows over the same syncs: recurring and single, overlapping,
/// touching and apart, in zones whose clocks change that night.
fn windows(rng: &mut fastrand::Rng, from: DateTime<Utc>, syncs: &[SyncRef]) -> Vec<Window> {
    let count = rng.usize(1..5);
    let mut windows = Vec::new();
    while windows.len() < count {
        let zone = some_zone(rng);
        let (start, end) = if rng.u8(..3) == 0 {
            let opens = from + TimeDelta::minutes(i64::from(rng.u16(..4000)));
            (Start::Once(When::Instant(opens)), End::After(TimeDelta::minutes(i64::from(rng.u16(3..240)))))
        } else {
            let hour = rng.u8(..24);
            let (schedule, longest) = match rng.u8(..4) {
                0 => (format!("{} {hour} * * *", rng.u8(..60)), 200),
                1 => (format!("30 1,{} * * *", hour.max(2)), 200),
                2 => (format!("*/30 {hour} * * *"), 200),
                // Hardly longer than a request may be on its way, again and again.
                _ => (format!("*/9 {0},{1} * * *", hour.min(22), hour.min(22) + 1), 5),
            };
            let end = if longest == 200 && rng.u8(..3) == 0 {
                // In civil time: it may be there twice that night, or not at all.
                End::TimeOfDay(NaiveTime::from_hms_opt(rng.u32(1..5), 30, 0).unwrap())
            } else {
                End::After(TimeDelta::minutes(rng.i64(1..longest)))
            };
            (Start::Recurring(schedule.parse().unwrap()), end)
        };
        let dates = Dates { first: NaiveDate::from_ymd_opt(2026, 1, 1), ..Dates::default() };
        let Ok(times) = Times::new(start, end, dates, zone, from) else { continue };
        let covered = syncs.iter().filter(|_| rng.u8(..4) > 0).cloned().collect();
        let window = Window {
            name: format!("w{}", windows.len()).into(),
            times,
            lead: TimeDelta::minutes(if rng.u8(..4) == 0 { 7 } else { 0 }),
            syncs: covered,
            on_manual_resume: if rng.u8(..5) == 0 {
                OnManualResume::Enforce
            } else {
                OnManualResume::Respect
            },
            description: None,
            longer: None,
            select: select(rng),
            runs: runs(rng),
        };
        // As the configuration does, refuse a lead that leaves no time to run.
        if window.check_lead(from).is_ok() {
            windows.push(window);
        }
    }
    windows
}

/// Some windows select by name, beside what they name.
fn select(rng: &mut fastrand::Rng) -> Option<Select> {
    let organization = ORGANIZATIONS[usize::from(rng.bool())].into();
    let name = ["hourly*", "nightly*", "*"][rng.usize(..3)];
    let exclude = (rng.u8(..3) == 0).then(|| Uuid::from_u128(rng.u128(1..7))).into_iter().collect();
    let any_of = vec![Selector { name: Some(Pattern::new(name).unwrap()), ..Selector::default() }];
    (rng.u8(..8) == 0).then_some(Select { organization, any_of, exclude })
}

/// Short enough that what waits for an execution is paused before anything is late.
fn runs(rng: &mut fastrand::Rng) -> RunPolicy {
    let on_running = [None, Some(OnRunning::Wait), Some(OnRunning::Cancel)][rng.usize(..3)];
    RunPolicy { on_running, limit: Duration::from_mins(1), catch_up: rng.u8(..3) == 0 }
}
