//! The simulated Polytomic: what it answers, how it breaks, what it remembers.

mod api;
mod faults;
mod sockets;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Disposition, Request, Sync, World};
use serde_json::Value;
use uuid::Uuid;

/// The key of the organization that every test has.
const KEY: &str = "a-key";

/// The model sync and the bulk sync that every test has, both active.
const MODEL: Uuid = Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d);
const BULK: Uuid = Uuid::from_u128(0x5d7c_53aa_3e1d_4fb6_9c5f_4c4b_3f5a_1f10);

/// A time, in seconds from the beginning.
fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + second)
}

/// An organization with one model sync and one bulk sync.
fn world() -> World {
    world_of(7)
}

fn world_of(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add_organization("Acme", KEY);
    world.add(at(0), "Acme", Sync::new(SyncKind::Model, MODEL, "Salesforce contacts", at(-20))).unwrap();
    world.add(at(0), "Acme", Sync::new(SyncKind::Bulk, BULK, "Stripe to Snowflake", at(-10))).unwrap();
    world
}

/// A request as our client sends it. `MODEL` and `BULK` in the path are the
/// paths of those syncs.
fn request(method: &str, path: &str, body: &str) -> Request {
    let path = path
        .replace("MODEL", &format!("/api/syncs/{MODEL}"))
        .replace("BULK", &format!("/api/bulk/syncs/{BULK}"));
    axum::http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-polytomic-version", "2025-09-18")
        .body(body.as_bytes().to_vec())
        .unwrap()
}

/// The same with one more header, or another value of it.
fn with(mut request: Request, name: &'static str, value: &str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn get(world: &mut World, second: i64, path: &str) -> (u16, Value) {
    answer(&world.handle(at(second), &request("GET", path, "")))
}

fn post(world: &mut World, second: i64, path: &str, body: &str) -> (u16, Value) {
    answer(&world.handle(at(second), &request("POST", path, body)))
}

/// Pauses or resumes the model sync.
fn switch(world: &mut World, second: i64, active: bool) -> Disposition {
    let body = format!("{{\"active\":{active}}}");
    world.handle(at(second), &request("POST", "MODEL/activate", &body))
}

/// Status and JSON of an answer that arrives.
fn answer(disposition: &Disposition) -> (u16, Value) {
    let response = disposition.answer().expect("no whole answer");
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

fn is_active(world: &World, id: Uuid) -> bool {
    world.sync(id).unwrap().active
}
