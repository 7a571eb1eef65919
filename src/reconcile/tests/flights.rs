//! What is looked at before windows open.

use super::*;
use crate::domain::event::EventKind;

/// Looks at its window's syncs five minutes before it opens.
fn looking_out(syncs: &[u128]) -> Reconciler {
    let rule = PreflightRule { before: Duration::from_mins(5), zone_trouble: None };
    let in_force =
        InForce { preflight: Some(rule), ..in_force(vec![window("night", OPENS, CLOSES, syncs)], 8) };
    reconciler(vec![], Some(in_force))
}

const TAKES_OFF: i64 = OPENS - 300;
/// Three quarters of the time that is left.
const LANDS: i64 = TAKES_OFF + 225;

fn scouts(actions: &[Action]) -> Vec<String> {
    sent(actions).into_iter().filter(|it| it.starts_with("scout")).collect()
}

/// What is told, its error and its detail.
fn told(actions: &[Action]) -> Vec<(Option<String>, Option<String>)> {
    let flights = events(actions).filter(|it| it.kind == EventKind::Preflight);
    flights.map(|it| (it.error.clone(), it.detail.clone())).collect()
}

fn hear(it: &mut Reconciler, number: u128, result: Result<Sight, Failure>, now: i64) {
    let reply = ScoutReply { sync: sync(number), organization: organization(), name: None, result };
    it.hear_scout(reply, moment(now));
}

#[expect(clippy::unnecessary_wraps, reason = "as it is heard")]
fn sight(state: SyncState) -> Result<Sight, Failure> {
    Ok(Sight { state, is_running: None, clock_ahead: None })
}

fn failure(kind: FailureKind) -> Result<Sight, Failure> {
    Err(Failure::new(kind, "no luck"))
}

#[test]
fn it_asks_once_about_each_sync_in_time_and_tells_once() {
    let mut it = looking_out(&[1, 2]);
    assert_eq!(sent(&it.pass(moment(0))), [] as [&str; 0]);
    assert_eq!(it.next_wake(moment(0)).uptime, Some(moment(TAKES_OFF).uptime));
    assert_eq!(sent(&it.pass(moment(TAKES_OFF - 1))), [] as [&str; 0]);
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF))), ["scout 1", "scout 2"]);
    assert_eq!(it.next_wake(moment(TAKES_OFF)).uptime, Some(moment(LANDS).uptime));
    hear(&mut it, 1, sight(SyncState::Active), TAKES_OFF + 1);
    assert_eq!(told(&it.pass(moment(TAKES_OFF + 1))), [], "one is missing");
    hear(&mut it, 2, sight(SyncState::Active), TAKES_OFF + 2);
    assert_eq!(it.next_wake(moment(TAKES_OFF + 2)).uptime, Some(moment(TAKES_OFF + 2).uptime));
    let all = told(&it.pass(moment(TAKES_OFF + 2)));
    assert!(matches!(&all[..], [(None, Some(_))]), "{all:?}");
    assert_eq!(it.preflights().len(), 1);
    // Another file, the same occurrence.
    it.retry_now();
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 3))), [] as [&str; 0]);
    assert_eq!(it.preflights().len(), 1, "what was told of it is still so");
    it.pass(moment(OPENS));
    assert_eq!(it.preflights(), [], "it has begun");
}

#[test]
fn what_may_pass_is_asked_again_until_it_lands_and_what_does_not_is_told() {
    let mut it = looking_out(&[1, 2, 3, 4]);
    it.pass(moment(TAKES_OFF));
    hear(&mut it, 1, failure(FailureKind::Server), TAKES_OFF + 1);
    hear(&mut it, 2, failure(FailureKind::Gone), TAKES_OFF + 1);
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 2))), [] as [&str; 0], "not at once");
    // A quarter of the flight later.
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 58))), ["scout 1"]);
    hear(&mut it, 1, failure(FailureKind::Server), TAKES_OFF + 59);
    assert_eq!(told(&it.pass(moment(LANDS - 1))), []);
    let all = told(&it.pass(moment(LANDS)));
    let [(Some(error), _)] = &all[..] else { panic!("{all:?}") };
    assert!(error.contains("no luck"), "{error}");
    assert!(error.contains("there was no time to look at 2 of its syncs"), "{error}");
}

#[test]
fn a_look_before_a_window_shows_that_the_key_is_accepted_unless_it_finds_nothing() {
    let is_proven = |state| {
        let mut it = looking_out(&[1]);
        it.pass(moment(TAKES_OFF));
        hear(&mut it, 1, sight(state), TAKES_OFF + 1);
        it.lanes[&organization()].key_proven_by_other(&sync(2))
    };
    assert!(is_proven(SyncState::Active) && is_proven(SyncState::Inactive));
    assert!(!is_proven(SyncState::Gone), "a wrong key may find nothing, too");
}

#[test]
fn a_key_that_does_not_do_is_told_once_and_nobody_else_is_asked() {
    for kind in [FailureKind::Unauthorized, FailureKind::Key] {
        let mut it = looking_out(&[1, 2]);
        it.pass(moment(TAKES_OFF));
        hear(&mut it, 1, failure(kind), TAKES_OFF + 1);
        let all = told(&it.pass(moment(TAKES_OFF + 1)));
        let [(Some(error), _)] = &all[..] else { panic!("{all:?}") };
        assert!(error.contains("the key of organization `default` does not do"), "{error}");
    }
}

#[test]
fn what_is_told_is_about_its_window_and_a_sync_that_was_paused_meanwhile_is_well() {
    let mut it = looking_out(&[1, 2]);
    let actions = it.pass(moment(TAKES_OFF));
    assert_eq!(scouts(&actions).len(), 2);
    it.cases.insert(sync(2), Box::new(Case::remembered(held(2))));
    hear(&mut it, 1, sight(SyncState::Active), TAKES_OFF + 1);
    hear(&mut it, 2, sight(SyncState::Inactive), TAKES_OFF + 1);
    let actions = it.pass(moment(TAKES_OFF + 1));
    let event = events(&actions).find(|it| it.kind == EventKind::Preflight).expect("all have been asked");
    assert_eq!((event.window.clone(), event.occurrence), (Some("night".into()), Some(at(OPENS))));
    let off = {
        let mut it = looking_out(&[1, 2]);
        it.pass(moment(TAKES_OFF));
        hear(&mut it, 1, sight(SyncState::Active), TAKES_OFF + 1);
        hear(&mut it, 2, sight(SyncState::Inactive), TAKES_OFF + 1);
        told(&it.pass(moment(TAKES_OFF + 1)))
    };
    assert_ne!(
        off,
        [(event.error.clone(), event.detail.clone())],
        "one that is off is told as that, and one that we hold is not"
    );
}

#[test]
fn what_is_held_is_not_asked_about_and_what_comes_too_late_is_not_told() {
    let rule = PreflightRule { before: Duration::from_mins(5), zone_trouble: Some("old zones".into()) };
    let windows = vec![window("night", OPENS, CLOSES, &[1]), window("next", CLOSES + 60, CLOSES + 600, &[1])];
    let in_force = InForce { preflight: Some(rule), ..in_force(windows, 8) };
    let mut it = reconciler(vec![held(1)], Some(in_force));
    let mut all = Vec::new();
    for second in (OPENS..CLOSES).step_by(30) {
        let actions = it.pass(moment(second));
        assert_eq!(scouts(&actions), [] as [&str; 0]);
        all.extend(told(&actions));
    }
    let [(Some(error), _)] = &all[..] else { panic!("{all:?}") };
    assert!(error.contains("old zones"), "{error}");
    // Told by an earlier process.
    let told_before = it.preflights();
    assert_eq!(told_before.len(), 1);
    let mut late = looking_out(&[1]);
    late.remember_preflights(vec![Preflight {
        window: "night".into(),
        opens: at(OPENS),
        ..told_before[0].clone()
    }]);
    assert_eq!(scouts(&late.pass(moment(TAKES_OFF))), [] as [&str; 0]);
    // A window whose pause has begun is not looked at any more.
    let mut begun = looking_out(&[1]);
    begun.pass(moment(TAKES_OFF));
    let actions = begun.pass(moment(OPENS));
    assert_eq!(told(&actions), []);
}

/// The same, of a window that covers the sync 9 and those that it selects.
fn looking_out_for_what_is_selected() -> Reconciler {
    let rule = PreflightRule { before: Duration::from_mins(5), zone_trouble: None };
    let in_force = InForce { preflight: Some(rule), ..in_force(vec![lists::selecting()], 8) };
    reconciler(vec![], Some(in_force))
}

#[test]
fn a_flight_waits_for_the_list_of_what_its_window_selects() {
    let mut it = looking_out_for_what_is_selected();
    it.pass(moment(0));
    let actions = it.pass(moment(TAKES_OFF));
    assert_eq!((scouts(&actions), told(&actions)), (vec![], vec![]), "nobody knows yet who is meant");
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 30))), [] as [&str; 0]);
    it.hear_list(&organization(), &lists::seen(&[1]), moment(TAKES_OFF + 60));
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 60))), ["scout 1", "scout 9"]);
    // It took off later, and lands before the pause all the same.
    let lands = moment(TAKES_OFF + 60 + 180).uptime;
    assert_eq!(it.next_flight(moment(TAKES_OFF + 60)), Some(lands));
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF + 61))), [] as [&str; 0], "it takes off once");
}

#[test]
fn where_there_is_no_list_a_flight_says_so_and_looks_at_what_is_known() {
    let mut it = looking_out_for_what_is_selected();
    it.pass(moment(0));
    it.hear_list(&organization(), &lists::no_list(), moment(1));
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF))), ["scout 9"]);
    hear(&mut it, 9, sight(SyncState::Active), TAKES_OFF + 1);
    let all = told(&it.pass(moment(TAKES_OFF + 1)));
    let [(Some(error), Some(detail))] = &all[..] else { panic!("{all:?}") };
    assert!(error.contains("what it selects cannot be read"), "{error}");
    assert_eq!(detail, "1 sync is there and on");
}

#[test]
fn a_flight_that_waits_for_a_list_is_off_once_the_pause_begins() {
    let mut it = looking_out_for_what_is_selected();
    it.pass(moment(0));
    it.pass(moment(TAKES_OFF));
    it.pass(moment(OPENS));
    it.hear_list(&organization(), &lists::seen(&[1]), moment(OPENS + 1));
    let actions = it.pass(moment(OPENS + 1));
    assert_eq!((scouts(&actions), told(&actions)), (vec![], vec![]));
    assert_eq!(it.next_flight(moment(OPENS + 1)), None);
}

#[test]
fn a_sync_of_two_windows_is_looked_at_once_for_both() {
    let rule = PreflightRule { before: Duration::from_mins(5), zone_trouble: None };
    let windows = vec![window("night", OPENS, CLOSES, &[1, 2]), window("other", OPENS, CLOSES, &[1])];
    let mut it = reconciler(vec![], Some(InForce { preflight: Some(rule), ..in_force(windows, 8) }));
    assert_eq!(scouts(&it.pass(moment(TAKES_OFF))), ["scout 1", "scout 2"]);
    hear(&mut it, 1, sight(SyncState::Active), TAKES_OFF + 1);
    assert_eq!(told(&it.pass(moment(TAKES_OFF + 1))).len(), 1, "of the other nothing more is to be seen");
    hear(&mut it, 2, sight(SyncState::Active), TAKES_OFF + 2);
    assert_eq!(told(&it.pass(moment(TAKES_OFF + 2))).len(), 1);
    let told: Vec<_> = it.preflights().into_iter().map(|it| it.window).collect();
    assert_eq!(told, [Name::from("night"), Name::from("other")]);
}
