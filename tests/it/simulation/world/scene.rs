//! What a world begins with: organizations, syncs and windows.

use super::*;

pub(super) fn organization(name: &str) -> Arc<Organization> {
    Arc::new(Organization {
        name: name.into(),
        url: format!("https://{name}.example"),
        api_version: "2025-09-18".into(),
        organization_id: None,
        key: KeySource::Environment("KEY".into()),
        ca_file: None,
        proxy: Proxy::None,
    })
}

pub(super) fn sync(rng: &mut fastrand::Rng, number: u128) -> SyncRef {
    let organization = if rng.bool() { "default" } else { "emea" };
    let kind = if rng.bool() { SyncKind::Model } else { SyncKind::Bulk };
    SyncRef { organization: organization.into(), kind, id: Uuid::from_u128(number + 1) }
}

pub(super) fn some_zone(rng: &mut fastrand::Rng) -> Zone {
    static TZDB: LazyLock<Tzdb> = LazyLock::new(Tzdb::bundled);
    let zones =
        ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Europe/Dublin"];
    TZDB.zone(zones[rng.usize(..zones.len())]).unwrap()
}

/// A few windows over the same syncs: recurring and single, overlapping,
/// touching and apart, in zones whose clocks change that night.
pub(super) fn windows(rng: &mut fastrand::Rng, from: DateTime<Utc>, syncs: &[SyncRef]) -> Vec<Window> {
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
            select: None,
            runs: runs(rng),
        };
        // As the configuration does, refuse a lead that leaves no time to run.
        if window.check_lead(from).is_ok() {
            windows.push(window);
        }
    }
    windows
}

/// Short enough that what waits for an execution is paused before anything is late.
fn runs(rng: &mut fastrand::Rng) -> RunPolicy {
    let on_running = [None, Some(OnRunning::Wait), Some(OnRunning::Cancel)][rng.usize(..3)];
    RunPolicy { on_running, limit: Duration::from_mins(1), catch_up: false }
}
