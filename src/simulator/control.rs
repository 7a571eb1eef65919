//! How a test in another process steers the world: see the [module](super).

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Refusal, json_of, ok};
use super::route::query;
use super::server::Counters;
use super::sync::{Schedule, Sync};
use super::world::Unknown;
use super::{RateLimit, Request, Response, Rule, World, wire};
use crate::domain::sync::SyncKind;

/// Something that a person does in Polytomic's own pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Switches a sync.
    Set {
        /// The sync.
        id: Uuid,
        /// On or off.
        active: bool,
        /// Who does it.
        by: String,
    },
    /// Starts an execution of a sync.
    Start {
        /// The sync.
        id: Uuid,
    },
    /// Deletes a sync.
    Delete {
        /// The sync.
        id: Uuid,
        /// Who does it.
        by: String,
    },
    /// Makes a sync.
    Create {
        /// The organization's name.
        organization: String,
        /// Model or bulk.
        kind: SyncKind,
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
        /// Whether it is on.
        active: bool,
        /// When it runs.
        #[serde(default)]
        schedule: Schedule,
        /// Who does it.
        by: String,
    },
    /// Takes away, or gives back, the right of keys to change a sync.
    Forbid {
        /// The sync.
        id: Uuid,
        /// Whether it is forbidden.
        forbidden: bool,
    },
    /// Gives an organization another key.
    SetKey {
        /// The organization's name.
        organization: String,
        /// The new key.
        key: String,
    },
}

impl World {
    /// Does what somebody does.
    pub fn person_does(&mut self, now: DateTime<Utc>, deed: Deed) -> Result<(), Unknown> {
        match deed {
            Deed::Set { id, active, by } => self.person_sets(now, id, active, &by),
            Deed::Start { id } => self.person_starts(now, id),
            Deed::Delete { id, by } => self.delete(now, id, &by),
            Deed::Create { organization, kind, id, name, active, schedule, by } => {
                let sync = Sync { active, schedule, ..Sync::new(kind, id, name, now) };
                self.create(now, &organization, sync, &by)
            }
            Deed::Forbid { id, forbidden } => self.forbid(id, forbidden),
            Deed::SetKey { organization, key } => self.set_key(&organization, key),
        }
    }
}

/// Answers a request to `/__simulator/…`.
pub(super) fn answer(
    world: &mut World,
    now: DateTime<Utc>,
    counters: Counters,
    request: &Request,
) -> Response {
    world.advance(now);
    let path = request.uri().path().trim_start_matches("/__simulator/");
    match (request.method(), path) {
        (&Method::GET, "state") => ok(&state(world, now, counters)),
        (&Method::GET, "history") => ok(&records(world.changes(), since(request))),
        (&Method::GET, "requests") => {
            let requests = world.requests();
            // Numbers begin at 1 and the oldest may have been forgotten.
            let first = requests.first().map_or(1, |it| it.number);
            ok(&records(requests, since(request).saturating_sub(first)))
        }
        (&Method::POST, "faults") => done(read(request).map(|OneOrMany(rules)| {
            for rule in rules {
                world.add_rule(rule);
            }
        })),
        (&Method::DELETE, "faults") => {
            world.clear_faults();
            done(Ok(()))
        }
        (&Method::POST, "rate_limit") => {
            done(read(request).map(|limit: Option<RateLimit>| world.limit_rate(limit)))
        }
        (&Method::POST, "people") => done(read(request).and_then(|deed| {
            world.person_does(now, deed).map_err(|unknown| (StatusCode::NOT_FOUND, unknown.to_string()))
        })),
        _ => Refusal::no_such_path().into(),
    }
}

/// A rule, or a list of them.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct OneOrMany(Vec<Rule>);

impl TryFrom<Value> for OneOrMany {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let is_list = value.is_array();
        if is_list { serde_json::from_value(value) } else { serde_json::from_value(value).map(|it| vec![it]) }
            .map(Self)
    }
}

/// A problem is answered with its words, so that whoever writes a test sees
/// what is wrong with it.
fn done(outcome: Result<(), (StatusCode, String)>) -> Response {
    match outcome {
        Ok(()) => ok(&json!({ "ok": true })),
        Err((status, message)) => json_of(status, &json!({ "ok": false, "message": message })),
    }
}

fn read<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(request.body())
        .map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

fn records<T: Serialize>(all: &[T], from: u64) -> Value {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
    json!(all[from..])
}

fn since(request: &Request) -> u64 {
    let query = query(request);
    query.iter().find(|(name, _)| name == "since").and_then(|(_, it)| it.parse().ok()).unwrap_or(0)
}

fn state(world: &World, now: DateTime<Utc>, counters: Counters) -> Value {
    let organizations: Vec<Value> =
        world.organizations().map(|(id, name)| json!({ "id": id, "name": name })).collect();
    let syncs: Vec<Value> = world
        .syncs()
        .map(|(organization, it)| {
            json!({
                "organization": organization,
                "kind": it.kind,
                "id": it.id,
                "name": it.name,
                "active": it.active,
                "forbidden": it.forbidden,
                "execution": it.running(now).map(|it| it.status(now)),
                "next_run": it.next_run().map(wire::time),
            })
        })
        .collect();
    json!({
        "now": wire::time(now),
        "organizations": organizations,
        "syncs": syncs,
        "rules": world.rules(),
        "rate_limit": world.rate_limit(),
        "pending": world.pending(),
        "counters": counters,
    })
}
