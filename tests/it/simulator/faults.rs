//! What goes wrong, as the world decides it, without a socket.

use std::time::Duration;

use intermission::simulator::{Apply, Delivery, Fault, Operation, RateLimit, Reply, Rule, World};

use super::{BULK, MODEL, answer, at, get, is_active, post, request, switch, with, world, world_of};

/// Whether a pause under this fault took effect at once, and ten seconds on.
fn check(fault: &Fault, at_once: bool, later: bool) {
    let mut world = world();
    world.add_rule(Rule::always(fault.clone()).on(Operation::Pause).times(1));
    switch(&mut world, 0, false);
    assert_eq!(!is_active(&world, MODEL), at_once, "{fault:?} at once");
    world.advance(at(10));
    assert_eq!(!is_active(&world, MODEL), later, "{fault:?} later");

    let received = &world.requests()[0];
    assert!(received.fault);
    assert_eq!(received.applied(), later, "{fault:?}");
    assert_eq!(world.pending(), 0);
}

#[test]
fn a_fault_says_whether_and_when_the_change_is_made() {
    check(&Fault::status(500), false, false);
    check(&Fault::retry_after(503, "5"), false, false);
    check(&Fault::hang(), false, false);
    check(&Fault::reset(), false, false);
    check(&Fault::lie(), false, false);
    check(&Fault::lost_reply(), true, true);
    check(&Fault::slow(Duration::from_secs(3)), true, true);
    check(&Fault::new(Apply::Now, Reply::Hang), true, true);
    for reply in [Reply::WrongId, Reply::ActiveMissing, Reply::ActiveOpposite, Reply::Empty, Reply::Html] {
        check(&Fault::garbled(reply), true, true);
    }
    check(&Fault::late(Duration::from_secs(10)), false, true);
    check(&Fault::new(Apply::After(Duration::from_secs(10)), Reply::Hang), false, true);
    check(&Fault::new(Apply::Again(Duration::from_secs(10)), Reply::AsUsual), true, true);
}

#[test]
fn a_late_request_is_applied_at_its_own_time_over_what_happened_since() {
    let mut world = world();
    world.add_rule(Rule::always(Fault::late(Duration::from_secs(100))).on(Operation::Pause).times(1));
    assert_eq!(switch(&mut world, 0, false).status(), Some(504));
    switch(&mut world, 50, true);
    world.advance(at(1000));
    let told: Vec<_> = world.changes().iter().map(|it| (it.at, it.after, it.request_number)).collect();
    assert_eq!(told, [(at(50), Some(true), Some(2)), (at(100), Some(false), Some(1))]);
    assert_eq!(world.requests()[0].applied_at, Some(at(100)));
}

#[test]
fn a_late_request_for_a_deleted_sync_comes_to_nothing() {
    let mut world = world();
    world.add_rule(Rule::always(Fault::late(Duration::from_secs(100))));
    switch(&mut world, 0, false);
    world.delete(at(50), MODEL, "Ada").unwrap();
    world.advance(at(1000));
    assert_eq!(world.requests()[0].applied_at, None);
}

#[test]
fn a_rule_counts_only_what_it_describes() {
    let mut world = world();
    world.add_rule(Rule::always(Fault::status(503)).on(Operation::Look).of(MODEL).times(2));
    assert_eq!(get(&mut world, 0, "BULK").0, 200);
    assert_eq!(get(&mut world, 0, "MODEL/status").0, 200);
    assert_eq!(get(&mut world, 0, "MODEL").0, 503);
    assert_eq!(get(&mut world, 0, "MODEL").0, 503);
    assert_eq!(get(&mut world, 0, "MODEL").0, 200);
    assert_eq!(world.rules(), []);
}

#[test]
fn a_rule_without_a_count_holds_until_it_is_cleared() {
    let mut world = world();
    world.add_rule(Rule::always(Fault::status(500)));
    for path in ["/api/me", "/api/syncs", "MODEL", "/api/bulk/syncs/status", "/nowhere"] {
        assert_eq!(get(&mut world, 0, path).0, 500, "{path}");
    }
    world.clear_faults();
    assert_eq!(get(&mut world, 0, "/api/me").0, 200);
}

#[test]
fn garbled_answers_are_garbled_as_asked() {
    let mut world = world();
    let mut look = |reply: Reply| {
        world.add_rule(Rule::always(Fault::garbled(reply)).times(1));
        answer(&world.handle(at(0), &request("GET", "MODEL", "")))
    };
    let id = MODEL.to_string();
    let (_, usual) = look(Reply::AsUsual);
    assert_eq!((&usual["data"]["id"], &usual["data"]["active"]), (&id.clone().into(), &true.into()));
    let (status, wrong) = look(Reply::WrongId);
    assert!(status == 200 && wrong["data"]["id"].is_string() && wrong["data"]["id"] != id.as_str());
    let (_, missing) = look(Reply::ActiveMissing);
    assert!(missing["data"]["id"] == id.as_str() && missing["data"].get("active").is_none());
    assert_eq!(look(Reply::ActiveOpposite).1["data"]["active"], false);
    assert_eq!(look(Reply::Empty), (200, serde_json::Value::Null));
    assert_eq!(look(Reply::NoContent), (204, serde_json::Value::Null));
    assert_eq!(look(Reply::Html), (200, serde_json::Value::Null));
}

#[test]
fn a_refusal_carries_the_headers_it_was_given() {
    let mut world = world();
    for value in ["5", "Fri, 31 Dec 2027 23:59:59 GMT", "-1", "1000000000"] {
        world.add_rule(Rule::always(Fault::retry_after(429, value)).times(1));
        let disposition = switch(&mut world, 0, false);
        assert_eq!(disposition.status(), Some(429));
        assert_eq!(disposition.answer().unwrap().headers()["retry-after"], value);
    }
    let to = "http://127.0.0.1:1/elsewhere".to_owned();
    world.add_rule(Rule::always(Fault::new(Apply::Never, Reply::Redirect { to: to.clone() })));
    let disposition = switch(&mut world, 0, false);
    assert_eq!(disposition.status(), Some(307));
    assert_eq!(disposition.answer().unwrap().headers()["location"], to.as_str());
}

#[test]
fn a_delay_is_left_to_whoever_carries_the_answer() {
    let mut world = world();
    world.add_rule(Rule::always(Fault::slow(Duration::from_secs(3))));
    let disposition = switch(&mut world, 0, false);
    assert_eq!(disposition.delay, Duration::from_secs(3));
    assert!(matches!(disposition.delivery, Delivery::Whole(_)));
}

#[test]
fn the_rate_limit_lets_so_many_through_in_any_second() {
    let mut world = world();
    world.limit_rate(Some(RateLimit { per_second: 2, retry_after: Some("1".to_owned()) }));
    let mut burst = |second, expected: [u16; 4]| {
        let actual = [(); 4].map(|()| get(&mut world, second, "MODEL").0);
        assert_eq!(actual, expected, "at {second}");
    };
    burst(0, [200, 200, 429, 429]);
    burst(1, [200, 200, 429, 429]);
    world.limit_rate(None);
    assert_eq!(get(&mut world, 1, "MODEL").0, 200);
}

#[test]
fn an_idempotency_key_replays_a_500_and_waits_for_a_late_request() {
    let mut world = world();
    let pause = |world: &mut World, second, key| {
        let it = with(request("POST", "MODEL/activate", r#"{"active":false}"#), "idempotency-key", key);
        answer(&world.handle(at(second), &it)).0
    };
    world.add_rule(Rule::always(Fault::status(500)).times(1));
    assert_eq!(pause(&mut world, 0, "first-key"), 500);
    assert_eq!(pause(&mut world, 1, "first-key"), 500);
    assert!(is_active(&world, MODEL));

    world.add_rule(Rule::always(Fault::late(Duration::from_secs(10))).times(1));
    assert_eq!(pause(&mut world, 2, "second-key"), 504);
    assert_eq!(pause(&mut world, 3, "second-key"), 409);
    assert_eq!(pause(&mut world, 12, "second-key"), 200);
    assert_eq!(world.changes().len(), 1);
}

#[test]
fn a_rule_reads_back_as_it_was_written() {
    let text = r#"{"operation":"pause","times":2,"probability":0.5,
        "fault":{"delay":0.25,"apply":{"after":30.0},"reply":{"status":{"status":504,"html":true}}}}"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    let reply = Reply::Status { status: 504, retry_after: None, html: true };
    let fault = Fault {
        delay: Duration::from_millis(250),
        ..Fault::new(Apply::After(Duration::from_secs(30)), reply)
    };
    assert_eq!(rule, Rule::always(fault).on(Operation::Pause).times(2).with_probability(0.5));
    assert_eq!(serde_json::from_str::<Rule>(&serde_json::to_string(&rule).unwrap()).unwrap(), rule);
    assert!(serde_json::from_str::<Rule>(r#"{"operatoin":"pause","fault":{}}"#).is_err());
}

/// A thousand requests under dice, and all that is remembered of them.
fn story(seed: u64) -> String {
    let mut world = world_of(seed);
    world.add_rule(Rule::always(Fault::lost_reply()).with_probability(0.1));
    world.add_rule(Rule::always(Fault::late(Duration::from_secs(7))).with_probability(0.2));
    for second in 0..500 {
        let body = format!("{{\"active\":{}}}", second % 3 == 0);
        world.handle(at(second), &request("POST", "MODEL/activate", &body));
        world.handle(at(second), &request("POST", "BULK/executions", "{}"));
    }
    format!("{:?}{:?}{:?}", world.changes(), world.requests(), world.sync(BULK))
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn an_unknown_path_or_key_changes_nothing() {
    let mut world = world();
    let foreign =
        with(request("POST", "MODEL/activate", r#"{"active":false}"#), "authorization", "Bearer no");
    world.handle(at(0), &foreign);
    assert_eq!(post(&mut world, 0, "MODEL/deactivate", "{}").0, 404);
    assert_eq!(world.changes(), []);
    let told: Vec<_> = world.requests().iter().map(|it| (it.authorized(), it.status, it.applied())).collect();
    assert_eq!(told, [(false, Some(401), false), (true, Some(404), false)]);
}
