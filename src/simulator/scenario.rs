//! Worlds to begin with.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::World;
use super::sync::{Schedule, Sync};
use crate::domain::sync::SyncKind;

/// Where the demonstration's syncs live.
pub const ORGANIZATION: &str = "Acme";

/// Where model syncs write, and what.
const TARGETS: [(&str, &[&str]); 7] = [
    ("Salesforce", &["contacts", "accounts", "opportunities", "leads"]),
    ("HubSpot", &["companies", "contacts", "deals"]),
    ("Marketo", &["leads", "programs"]),
    ("Zendesk", &["users", "organizations"]),
    ("Intercom", &["people", "companies"]),
    ("Google Ads", &["customer lists", "conversions"]),
    ("NetSuite", &["customers", "invoices"]),
];

/// What bulk syncs copy into the warehouse.
const SOURCES: [&str; 8] = [
    "Salesforce",
    "Postgres orders",
    "Stripe billing",
    "HubSpot",
    "MySQL inventory",
    "Zendesk tickets",
    "Jira issues",
    "MongoDB events",
];

const WAREHOUSES: [&str; 3] = ["Snowflake", "BigQuery", "Redshift"];

/// An organization with this many syncs, all of them active, opened by this
/// key. The same seed gives the same ids; the names and schedules do not
/// depend on it.
pub fn demo(seed: u64, models: usize, bulks: usize, key: &str, now: DateTime<Utc>) -> World {
    let mut world = World::new(seed);
    world.add_organization(ORGANIZATION, key);
    let connections: Vec<Uuid> =
        (0..TARGETS.len() + SOURCES.len() + WAREHOUSES.len()).map(|_| world.new_id()).collect();
    let (targets, rest) = connections.split_at(TARGETS.len());
    let (sources, warehouses) = rest.split_at(SOURCES.len());
    // Older than the process, and each a minute younger than the one before, so
    // that lists have an order.
    let made = |nth: usize| {
        let minutes = i64::try_from(nth).unwrap_or_default();
        now - TimeDelta::days(90) + TimeDelta::minutes(minutes)
    };

    let mut syncs = Vec::with_capacity(models + bulks);
    for nth in 0..models {
        let (target, name) = model_name(nth);
        let sync = Sync::new(SyncKind::Model, world.new_id(), name, made(nth));
        syncs.push(Sync {
            schedule: model_schedule(nth),
            run_length: TimeDelta::seconds(20),
            target_connection_id: targets[target],
            ..sync
        });
    }
    for nth in 0..bulks {
        let (source, warehouse, name) = bulk_name(nth);
        let sync = Sync::new(SyncKind::Bulk, world.new_id(), name, made(models + nth));
        syncs.push(Sync {
            schedule: bulk_schedule(nth),
            run_length: TimeDelta::seconds(45),
            source_connection_id: sources[source],
            target_connection_id: warehouses[warehouse],
            ..sync
        });
    }
    for sync in syncs {
        world.add(now, ORGANIZATION, sync).expect("the organization was made just before");
    }
    world
}

/// The target's index and a name: `Salesforce contacts`, and once the names
/// are used up `Salesforce contacts 2`.
fn model_name(nth: usize) -> (usize, String) {
    let count: usize = TARGETS.iter().map(|(_, objects)| objects.len()).sum();
    let (round, place) = (nth / count, nth % count);
    let (index, target, object) = TARGETS
        .iter()
        .enumerate()
        .flat_map(|(index, (target, objects))| objects.iter().map(move |object| (index, target, object)))
        .nth(place)
        .expect("`place` is below the count of names");
    (index, numbered(format!("{target} {object}"), round))
}

/// The indices of source and warehouse, and a name: `Stripe billing to
/// Snowflake`.
fn bulk_name(nth: usize) -> (usize, usize, String) {
    let (source, rest) = (nth % SOURCES.len(), nth / SOURCES.len());
    let (warehouse, round) = (rest % WAREHOUSES.len(), rest / WAREHOUSES.len());
    let name = format!("{} to {}", SOURCES[source], WAREHOUSES[warehouse]);
    (source, warehouse, numbered(name, round))
}

fn numbered(name: String, round: usize) -> String {
    if round == 0 { name } else { format!("{name} {}", round + 1) }
}

fn model_schedule(nth: usize) -> Schedule {
    match nth % 4 {
        0 => Schedule::Every(300),
        1 => Schedule::Hourly(15),
        2 => Schedule::Daily(6, 30),
        _ => Schedule::Manual,
    }
}

fn bulk_schedule(nth: usize) -> Schedule {
    match nth % 3 {
        0 => Schedule::Every(300),
        1 => Schedule::Hourly(0),
        _ => Schedule::Daily(2, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_ids(seed: u64) -> Vec<(String, Uuid)> {
        let world = demo(seed, 30, 30, "key", DateTime::UNIX_EPOCH);
        world.syncs().map(|(_, it)| (it.name.clone(), it.id)).collect()
    }

    #[test]
    fn the_seed_decides_the_ids() {
        assert_eq!(names_and_ids(1), names_and_ids(1));
        assert_ne!(names_and_ids(1), names_and_ids(2));
    }

    #[test]
    fn every_name_is_its_own() {
        let mut names: Vec<String> = names_and_ids(1).into_iter().map(|it| it.0).collect();
        assert!(names.iter().any(|it| it == "Salesforce contacts"), "{names:?}");
        assert!(names.iter().any(|it| it == "Stripe billing to Snowflake"), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 60);
    }
}
