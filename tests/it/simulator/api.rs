//! What it answers when nothing is wrong.

use intermission::domain::sync::SyncKind;
use intermission::simulator::{Actor, Schedule, Sync, Who, World};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{BULK, KEY, MODEL, answer, at, get, is_active, post, request, switch, with, world};

/// Walks every page and says the ids in order, and the pages' sizes.
fn pages(world: &mut World, path: &str) -> (Vec<String>, Vec<usize>) {
    let glue = if path.contains('?') { '&' } else { '?' };
    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    let mut next = path.to_owned();
    loop {
        let (status, body) = get(world, 10, &next);
        assert_eq!(status, 200, "{body}");
        let data = body["data"].as_array().unwrap();
        sizes.push(data.len());
        ids.extend(data.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match body["pagination"]["next_page_token"].as_str() {
            Some(token) => next = format!("{path}{glue}page_token={token}"),
            None => return (ids, sizes),
        }
    }
}

/// A world with this many model syncs, two of which always share a time.
fn many(count: u32) -> World {
    let mut world = World::new(1);
    world.add_organization("Acme", KEY);
    for nth in 0..count {
        let id = Uuid::from_u128(u128::from(count - nth));
        let made = at(i64::from(nth / 2) - 1000);
        let mut sync = Sync::new(SyncKind::Model, id, format!("sync {nth}"), made);
        sync.active = nth % 5 != 0;
        if nth < 3 {
            "append".clone_into(&mut sync.mode);
        }
        sync.target_connection_id = Uuid::from_u128(u128::from(nth % 2));
        world.add(at(0), "Acme", sync).unwrap();
    }
    world
}

#[test]
fn a_switch_is_answered_with_id_and_active_and_shows_in_a_look() {
    let mut world = world();
    for (root, id) in [("MODEL", MODEL), ("BULK", BULK)] {
        for active in [false, true] {
            let body = format!("{{\"active\":{active}}}");
            let (status, answer) = post(&mut world, 10, &format!("{root}/activate"), &body);
            assert_eq!((status, &answer), (200, &json!({ "data": { "id": id, "active": active } })));
            let (status, look) = get(&mut world, 11, root);
            assert_eq!((status, &look["data"]["active"]), (200, &json!(active)));
            assert_eq!(look["data"]["id"], json!(id));
        }
    }
}

#[test]
fn a_switch_that_changes_something_says_when_and_by_whom() {
    let mut world = world();
    world.person_sets(at(5), MODEL, false, "Ada").unwrap();
    let (_, look) = get(&mut world, 6, "MODEL");
    assert_eq!(look["data"]["updated_at"], json!("2027-01-15T08:00:05Z"));
    assert_eq!(look["data"]["updated_by"]["name"], json!("Ada"));

    switch(&mut world, 7, false);
    let (_, look) = get(&mut world, 8, "MODEL");
    assert_eq!(
        look["data"]["updated_by"]["name"],
        json!("Ada"),
        "a switch that changes nothing leaves no trace"
    );

    switch(&mut world, 9, true);
    let (_, look) = get(&mut world, 10, "MODEL");
    assert_eq!(look["data"]["updated_by"]["type"], json!(Actor::api_key().kind));
}

#[test]
fn both_forms_of_authorization_open_the_organization_and_nothing_else_does() {
    use base64::Engine as _;

    let mut world = world();
    let other = world.add_organization("Globex", "another-key");
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{other}:another-key"));
    let mut check = |authorization: &str, path: &str, expected: u16| {
        let it = with(request("GET", path, ""), "authorization", authorization);
        assert_eq!(answer(&world.handle(at(1), &it)).0, expected, "{authorization} {path}");
    };
    check("Bearer a-key", "/api/me", 200);
    check("Bearer a-key", "MODEL", 200);
    check(&format!("Basic {basic}"), "/api/me", 200);
    check(&format!("Basic {basic}"), "MODEL", 404);
    check("Bearer another-key", "MODEL", 404);
    check("Bearer nobody", "/api/me", 401);
    check("nonsense", "MODEL", 401);

    world.set_key("Acme", "rotated").unwrap();
    assert_eq!(get(&mut world, 2, "MODEL").0, 401);
    let rotated = with(request("GET", "MODEL", ""), "authorization", "Bearer rotated");
    assert_eq!(answer(&world.handle(at(3), &rotated)).0, 200);
}

#[test]
fn an_error_has_the_four_fields_of_an_api_error() {
    let mut world = world();
    let (status, error) = get(&mut world, 1, "/api/syncs/00000000-0000-0000-0000-000000000009");
    assert_eq!(status, 404);
    assert_eq!(error["status"], json!(404));
    assert!(
        error["key"].is_string() && error["message"].is_string() && error["metadata"].is_object(),
        "{error}"
    );
}

#[test]
fn a_model_is_not_found_among_the_bulks() {
    let mut world = world();
    assert_eq!(get(&mut world, 1, &format!("/api/bulk/syncs/{MODEL}")).0, 404);
    assert_eq!(get(&mut world, 1, &format!("/api/syncs/{BULK}")).0, 404);
}

#[test]
fn a_forbidden_sync_can_be_looked_at_but_not_changed() {
    let mut world = world();
    world.forbid(MODEL, true).unwrap();
    for path in ["MODEL/activate", "MODEL/cancel", "MODEL/executions"] {
        assert_eq!(post(&mut world, 1, path, r#"{"active":false}"#).0, 403, "{path}");
    }
    assert_eq!(get(&mut world, 1, "MODEL").0, 200);
    assert_eq!(post(&mut world, 1, "BULK/activate", r#"{"active":false}"#).0, 200);
    assert!(is_active(&world, MODEL));
}

#[test]
fn the_version_is_echoed_and_its_absence_recorded() {
    let mut world = world();
    let mut check = |request, served: &str, recorded: Option<&str>| {
        let disposition = world.handle(at(1), &request);
        assert_eq!(disposition.answer().unwrap().headers()["x-polytomic-version"], served);
        assert_eq!(world.requests().last().unwrap().version.as_deref(), recorded);
    };
    check(
        with(request("GET", "MODEL", ""), "x-polytomic-version", "2024-02-08"),
        "2024-02-08",
        Some("2024-02-08"),
    );
    let mut without = request("GET", "MODEL", "");
    without.headers_mut().remove("x-polytomic-version");
    check(without, "2025-09-18", None);
}

#[test]
fn lists_come_in_pages_of_at_most_fifty_newest_first() {
    let mut world = many(120);
    let (ids, sizes) = pages(&mut world, "/api/syncs");
    assert_eq!(sizes, [50, 50, 20]);
    // The last made is the first; of two with one time the lower id.
    let expected: Vec<String> = (1..=120).map(|id| Uuid::from_u128(id).to_string()).collect();
    assert_eq!(ids, expected);

    for (limit, sizes) in
        [("25", vec![25, 25, 25, 25, 20]), ("1000", vec![50, 50, 20]), ("0", vec![50, 50, 20])]
    {
        assert_eq!(pages(&mut world, &format!("/api/syncs?limit={limit}")), (expected.clone(), sizes));
    }
    assert_eq!(get(&mut world, 10, "/api/syncs?page_token=nonsense").0, 400);
    assert_eq!(get(&mut world, 10, "/api/syncs?limit=many").0, 400);
}

#[test]
fn lists_are_filtered_by_state_mode_and_target() {
    let mut world = many(120);
    let mut check = |query: &str, expected: usize| {
        assert_eq!(pages(&mut world, &format!("/api/syncs?{query}")).0.len(), expected, "{query}");
    };
    check("active=true", 96);
    check("active=false", 24);
    check("mode=append", 3);
    check("target_connection_id=00000000-0000-0000-0000-000000000001", 60);
    check("active=false&mode=append", 1);
}

#[test]
fn a_sync_that_is_switched_while_somebody_pages_can_be_missed() {
    let mut world = many(60);
    let (_, first) = get(&mut world, 1, "/api/syncs");
    let token = first["pagination"]["next_page_token"].as_str().unwrap().to_owned();
    world.person_sets(at(2), Uuid::from_u128(60), true, "Ada").unwrap();
    let (_, second) = get(&mut world, 3, &format!("/api/syncs?page_token={token}"));
    assert_eq!(second["data"].as_array().unwrap().len(), 9);
}

#[test]
fn bulk_syncs_can_be_listed_whole_as_their_schema_says() {
    let mut world = world();
    let list =
        |world: &mut World| get(world, 1, "/api/bulk/syncs?limit=1").1["data"].as_array().unwrap().len();
    world.add(at(0), "Acme", Sync::new(SyncKind::Bulk, Uuid::from_u128(9), "another", at(0))).unwrap();
    assert_eq!(list(&mut world), 1);
    world.set_whole_bulk_lists(true);
    assert_eq!(list(&mut world), 2);
}

#[test]
fn pausing_a_model_leaves_its_execution_and_pausing_a_bulk_cancels_it() {
    let mut world = world();
    let mut check = |root: &str, second: i64, expected: (&str, &str)| {
        let (_, body) = get(&mut world, second, &format!("{root}/status"));
        let status = |it: &Value| it["status"].as_str().unwrap_or("none").to_owned();
        let actual = (status(&body["data"]["current_execution"]), status(&body["data"]["last_execution"]));
        assert_eq!((actual.0.as_str(), actual.1.as_str()), expected, "{root} at {second}");
        if second == 5 {
            assert_eq!(post(&mut world, 5, &format!("{root}/activate"), r#"{"active":false}"#).0, 200);
        }
        if second == 0 {
            assert_eq!(post(&mut world, 0, &format!("{root}/executions"), "{}").0, 200);
        }
    };
    check("MODEL", 0, ("none", "none"));
    check("BULK", 0, ("none", "none"));
    check("MODEL", 5, ("running", "none"));
    check("BULK", 5, ("running", "none"));
    check("MODEL", 6, ("running", "none"));
    check("BULK", 6, ("canceling", "none"));
    check("BULK", 7, ("none", "canceled"));
    check("MODEL", 61, ("none", "completed"));
}

#[test]
fn only_a_bulk_can_be_started_while_it_is_off_and_nothing_twice() {
    let mut world = world();
    for id in [MODEL, BULK] {
        world.person_sets(at(0), id, false, "Ada").unwrap();
    }
    assert_eq!(post(&mut world, 1, "MODEL/executions", "{}").0, 409);
    assert_eq!(post(&mut world, 1, "BULK/executions", "{}").0, 200);
    assert_eq!(post(&mut world, 2, "BULK/executions", "{}").0, 409);
}

#[test]
fn executions_are_listed_read_and_cancelled() {
    let mut world = world();
    for root in ["MODEL", "BULK"] {
        let (_, first) = post(&mut world, 0, &format!("{root}/executions"), "{}");
        let (_, second) = post(&mut world, 100, &format!("{root}/executions"), "{}");
        let (first, second) = (first["data"]["id"].clone(), second["data"]["id"].clone());
        let (one, two) = (first.as_str().unwrap(), second.as_str().unwrap());

        let ids = |world: &mut World, query: &str| -> Vec<Value> {
            let (_, body) = get(world, 110, &format!("{root}/executions{query}"));
            body["data"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect()
        };
        assert_eq!(ids(&mut world, ""), [second.clone(), first.clone()]);
        assert_eq!(ids(&mut world, "?ascending=true"), [first.clone(), second.clone()]);
        assert_eq!(ids(&mut world, "?only_completed=true"), std::slice::from_ref(&first));

        let (_, execution) = get(&mut world, 110, &format!("{root}/executions/{one}"));
        assert_eq!(execution["data"]["status"], "completed");
        assert_eq!(post(&mut world, 110, &format!("{root}/executions/{two}/cancel"), "").0, 200);
        let (_, execution) = get(&mut world, 113, &format!("{root}/executions/{two}"));
        assert_eq!(execution["data"]["status"], "canceled");
        assert_eq!(get(&mut world, 113, &format!("{root}/executions/{}", Uuid::nil())).0, 404);
    }
}

#[test]
fn schedules_run_active_syncs_and_do_not_make_up_for_what_was_missed() {
    let mut world = World::new(1);
    world.add_organization("Acme", KEY);
    let mut sync = Sync::new(SyncKind::Model, MODEL, "it", at(-1));
    sync.schedule = Schedule::Every(300);
    world.add(at(0), "Acme", sync).unwrap();
    let runs = |world: &World| world.sync(MODEL).unwrap().executions().len();

    world.advance(at(900));
    assert_eq!(runs(&world), 3);
    world.person_sets(at(900), MODEL, false, "Ada").unwrap();
    let (_, status) = get(&mut world, 2000, "MODEL/status");
    assert_eq!(status["data"]["next_execution_time"], Value::Null);
    world.person_sets(at(2000), MODEL, true, "Ada").unwrap();
    world.advance(at(2099));
    assert_eq!(runs(&world), 3);
    let (_, status) = get(&mut world, 2100, "MODEL/status");
    assert_eq!(runs(&world), 4);
    assert_eq!(status["data"]["current_execution"]["type"], "scheduled");
    assert_eq!(status["data"]["next_execution_time"], "2027-01-15T08:40:00Z");
}

#[test]
fn the_status_of_many_is_for_bulk_syncs_alone_and_writes_its_time_in_camel_case() {
    let mut world = world();
    post(&mut world, 0, "BULK/executions", "{}");
    let (status, body) = get(&mut world, 5, "/api/bulk/syncs/status?all=true");
    assert_eq!(status, 200);
    let expected =
        json!([{ "sync_id": BULK, "status": "running", "nextExecutionTime": null, "schemas": [] }]);
    assert_eq!(body["data"], expected);
    let (_, body) = get(&mut world, 5, &format!("/api/bulk/syncs/status?sync_id={MODEL}"));
    assert_eq!(body["data"], json!([]));
}

#[test]
fn the_history_tells_who_switched_what_and_when() {
    let mut world = world();
    switch(&mut world, 10, false);
    world.person_sets(at(20), MODEL, true, "Ada").unwrap();
    switch(&mut world, 30, true);
    world.delete(at(40), MODEL, "Ada").unwrap();
    world.create(at(50), "Acme", Sync::new(SyncKind::Model, MODEL, "again", at(50)), "Grace").unwrap();

    let told: Vec<_> =
        world.changes_of(MODEL).map(|it| (it.at, it.who, it.before, it.after, it.request_number)).collect();
    let expected = [
        (at(10), Who::Api, Some(true), Some(false), Some(1)),
        (at(20), Who::Person, Some(false), Some(true), None),
        (at(30), Who::Api, Some(true), Some(true), Some(2)),
        (at(40), Who::Person, Some(true), None, None),
        (at(50), Who::Person, None, Some(true), None),
    ];
    assert_eq!(told, expected);
    for (second, active) in
        [(0, Some(true)), (10, Some(false)), (19, Some(false)), (20, Some(true)), (45, None)]
    {
        assert_eq!(world.active_at(MODEL, at(second)), active, "at {second}");
    }
    assert_eq!(world.active_at(BULK, at(0)), Some(true), "without a history it was always so");
}

#[test]
fn an_idempotency_key_replays_the_first_answer_for_a_day() {
    let mut world = world();
    let start = |world: &mut World, second, key| {
        let it = with(request("POST", "MODEL/executions", "{}"), "idempotency-key", key);
        answer(&world.handle(at(second), &it))
    };
    let first = start(&mut world, 0, "catch-up-1");
    assert_eq!(first.0, 200);
    assert_eq!(start(&mut world, 100, "catch-up-1"), first);
    assert_eq!(world.sync(MODEL).unwrap().executions().len(), 1);
    assert_ne!(start(&mut world, 100, "catch-up-2"), first);
    assert_ne!(start(&mut world, 90_000, "catch-up-1"), first);
    assert_eq!(start(&mut world, 0, "short").0, 400);
}

#[test]
fn old_records_are_forgotten_when_somebody_says_how_many_to_keep() {
    let mut world = world();
    world.limit_records(10);
    for second in 0..100 {
        switch(&mut world, second, second % 2 == 0);
    }
    assert!((10..20).contains(&world.requests().len()));
    let last = world.requests().last().unwrap();
    assert_eq!((last.number, last.status, last.applied_at), (100, Some(200), Some(at(99))));
    assert_eq!(world.changes().last().unwrap().request_number, Some(100));
}
