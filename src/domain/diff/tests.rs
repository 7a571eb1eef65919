//! What differs, as tables: two calendars, and what is told of them.

use std::slice::from_ref;

use chrono::TimeDelta;
use uuid::Uuid;

use super::super::calendar::Calendar;
use super::super::execution::RunPolicy;
use super::super::selection::{Select, Selector};
use super::super::sync::SyncKind;
use super::super::window::{Dates, End, OnManualResume, Start, Times as WindowTimes, Window};
use super::super::zone::Zone;
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-05-{text}:00Z").parse().unwrap()
}

/// Tuesday noon; a night window is closed.
fn noon() -> DateTime<Utc> {
    at("05T12:00")
}

fn sync(id: u128) -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(id))
}

fn window(name: &str, start: &str, hours: i64, syncs: &[u128]) -> Window {
    let start = Start::Recurring(start.parse().unwrap());
    let end = End::After(TimeDelta::hours(hours));
    let times = WindowTimes::new(start, end, Dates::default(), Zone::utc(), noon()).unwrap();
    Window {
        name: name.into(),
        times,
        lead: TimeDelta::zero(),
        syncs: syncs.iter().copied().map(sync).collect(),
        on_manual_resume: OnManualResume::Respect,
        description: None,
        longer: None,
        select: None,
        runs: RunPolicy::default(),
    }
}

fn outlook(windows: &[Window], now: DateTime<Utc>) -> Outlook {
    Outlook::of(&Calendar::new(windows.to_vec()), now, now + TimeDelta::days(4))
}

fn difference(before: &[Window], after: &[Window], now: DateTime<Utc>) -> Difference {
    Difference::between(&outlook(before, now), &outlook(after, now), now, None)
}

fn span<T>(it: &Differs<T>, times: impl Fn(&T) -> Times) -> String {
    let text = |it: &T| {
        let (from, until) = times(it);
        format!("{} {}", from.format("%dT%H:%M"), until.format("%dT%H:%M"))
    };
    match it {
        Differs::Added { after } => format!("+ {}", text(after)),
        Differs::Removed { before } => format!("- {}", text(before)),
        Differs::Moved { before, after } => format!("~ {} > {}", text(before), text(after)),
    }
}

/// The occurrences that differ, `+` added, `-` removed, `~` moved.
fn check(before: &[Window], after: &[Window], expected: &[&str]) {
    let difference = difference(before, after, noon());
    let told: Vec<String> = difference
        .windows
        .iter()
        .flat_map(|it| it.occurrences.iter().map(|it| span(it, |it| (it.opens, it.closes))))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn what_is_the_same_differs_in_nothing() {
    let windows = [window("night", "0 22 * * *", 8, &[1, 2]), window("noon", "0 11 * * *", 2, &[2])];
    assert!(difference(&windows, &windows, noon()).is_empty());
    let [night, noon_window] = windows.clone();
    // The order in the file means nothing.
    assert!(difference(&windows, &[noon_window, night], noon()).is_empty());
    assert!(difference(&[], &[], noon()).is_empty());
}

#[test]
fn what_differs_in_one_respect_is_not_the_same() {
    let all = Difference::between(
        &outlook(&[], at("05T23:00")),
        &outlook(&[window("night", "0 22 * * *", 8, &[1, 2])], at("05T23:00")),
        at("05T23:00"),
        None,
    );
    let none = Difference { now: vec![], windows: vec![], pauses: vec![] };
    assert!(none.is_empty());
    assert!(!Difference { now: all.now.clone(), ..none.clone() }.is_empty());
    assert!(!Difference { windows: all.windows.clone(), ..none.clone() }.is_empty());
    assert!(!Difference { pauses: all.pauses.clone(), ..none }.is_empty());
    assert_eq!([Becomes::Paused, Becomes::Resumed].map(|it| all.at_once(it)), [2, 0]);
}

#[test]
fn a_window_differs_by_its_syncs_keys_or_times_alone() {
    let night = |hours, syncs: &[u128]| window("night", "0 22 * * *", hours, syncs);
    let described = Window { description: Some("CHG-1".to_owned()), ..night(2, &[1]) };
    for (before, after) in [
        (night(2, &[1]), night(2, &[1, 2])),
        (night(2, &[1, 2]), night(2, &[1])),
        (night(2, &[1]), night(3, &[1])),
        (night(2, &[1]), described),
    ] {
        assert_eq!(difference(from_ref(&before), from_ref(&after), noon()).windows.len(), 1, "{after:?}");
    }
}

#[test]
fn an_occurrence_counts_from_its_pause_until_just_before_it_closes() {
    let night = |syncs: &[u128]| window("night", "0 22 * * *", 2, syncs);
    let before = [Window { lead: TimeDelta::minutes(30), ..night(&[1]) }];
    let resumed = |time: &str| {
        let now = at(time);
        difference(&before, &[], now).at_once(Becomes::Resumed)
    };
    assert_eq!(["05T21:29", "05T21:30", "05T23:59", "06T00:00"].map(resumed), [0, 1, 1, 0]);
}

#[test]
fn occurrences_are_added_removed_or_moved() {
    let nightly = |start: &str| window("w", start, 2, &[1]);
    let on = |day: u32| format!("0 22 {day} 5 *");
    let once = |days: &str| nightly(&format!("0 22 {days} 5 *"));
    check(&[], &[nightly(&on(6))], &["+ 06T22:00 07T00:00"]);
    check(&[nightly(&on(6))], &[], &["- 06T22:00 07T00:00"]);
    // Another end, another start, another day.
    check(&[nightly(&on(6))], &[window("w", &on(6), 3, &[1])], &["~ 06T22:00 07T00:00 > 06T22:00 07T01:00"]);
    check(&[nightly(&on(6))], &[nightly("0 20 6 5 *")], &["~ 06T22:00 07T00:00 > 06T20:00 06T22:00"]);
    check(&[nightly(&on(6))], &[nightly(&on(7))], &["~ 06T22:00 07T00:00 > 07T22:00 08T00:00"]);
    // What stays is not told, and nearest go together.
    check(&[once("5,6")], &[once("5,7")], &["~ 06T22:00 07T00:00 > 07T22:00 08T00:00"]);
    check(
        &[once("5,6,7")],
        &[nightly("0 23 6 5 *")],
        &["- 05T22:00 06T00:00", "~ 06T22:00 07T00:00 > 06T23:00 07T01:00", "- 07T22:00 08T00:00"],
    );
    // Another window is never the same one.
    check(
        &[nightly(&on(6))],
        &[window("x", &on(6), 2, &[1])],
        &["- 06T22:00 07T00:00", "+ 06T22:00 07T00:00"],
    );
}

#[test]
fn keys_and_syncs_of_a_window_differ_by_themselves() {
    let before = Window { description: Some("CHG-1".to_owned()), ..window("w", "0 22 * * *", 2, &[1, 2]) };
    let after = Window {
        lead: TimeDelta::minutes(90),
        on_manual_resume: OnManualResume::Enforce,
        runs: RunPolicy { catch_up: true, ..RunPolicy::default() },
        ..window("w", "0 22 * * *", 2, &[2, 3])
    };
    let difference = difference(&[before], &[after], noon());
    let [it] = &difference.windows[..] else { panic!("{difference:?}") };
    assert_eq!((it.change, &it.occurrences), (Change::Changed, &vec![]));
    let settings: Vec<_> =
        it.settings.iter().map(|it| (it.key.as_str(), it.before.as_deref(), it.after.as_deref())).collect();
    assert_eq!(
        settings,
        [
            ("catch_up", None, Some("missed")),
            ("description", Some("CHG-1"), None),
            ("lead", Some("0s"), Some("1h30m")),
            ("on_manual_resume", Some("respect"), Some("enforce")),
        ]
    );
    assert_eq!(it.syncs_added, BTreeSet::from([sync(3)]));
    assert_eq!(it.syncs_removed, BTreeSet::from([sync(1)]));
    // A longer lead moves every pause, and no occurrence.
    assert_eq!(difference.occurrences(), Count::default());
    assert_eq!(difference.pauses(), Count { added: 4, removed: 4, moved: 4 });
}

#[test]
fn a_pause_that_another_window_holds_too_does_not_differ() {
    let (long, short) = (window("long", "0 20 * * *", 8, &[1, 2]), window("short", "0 22 * * *", 2, &[1]));
    let difference = difference(&[long.clone(), short], &[long], noon());
    assert_eq!(difference.windows.len(), 1);
    assert_eq!(difference.occurrences(), Count { removed: 4, ..Count::default() });
    assert_eq!(difference.pauses, []);
}

#[test]
fn syncs_that_differ_alike_are_told_together() {
    let difference =
        difference(&[], &[window("a", "0 22 * * *", 2, &[1, 3]), window("b", "0 1 * * *", 2, &[2])], noon());
    let groups: Vec<_> = difference.pauses.iter().map(|it| (it.syncs.len(), it.pauses.len())).collect();
    assert_eq!(groups, [(2, 4), (1, 4)]);
}

/// Who becomes what at once, and because of which windows.
fn now(before: &[Window], after: &[Window], rows: Option<&BTreeMap<SyncRef, Row>>) -> Vec<(Becomes, usize)> {
    let at = at("05T23:00");
    let difference = Difference::between(&outlook(before, at), &outlook(after, at), at, rows);
    difference.now.iter().map(|it| (it.becomes, it.syncs.len())).collect()
}

#[test]
fn what_is_open_pauses_and_resumes_at_once() {
    let night = |syncs: &[u128]| window("night", "0 22 * * *", 8, syncs);
    let other = |syncs: &[u128]| window("other", "0 22 * * *", 8, syncs);
    let shut = window("night", "0 3 * * *", 1, &[1, 2]);
    for (before, after, expected) in [
        (vec![night(&[1, 2])], vec![], vec![(Becomes::Resumed, 2)]),
        (vec![], vec![night(&[1, 2])], vec![(Becomes::Paused, 2)]),
        (vec![night(&[1, 2])], vec![night(&[2, 3])], vec![(Becomes::Resumed, 1), (Becomes::Paused, 1)]),
        (vec![night(&[1, 2])], vec![shut.clone()], vec![(Becomes::Resumed, 2)]),
        (vec![shut], vec![], vec![]),
        // One takes over from the other.
        (vec![night(&[1])], vec![other(&[1])], vec![]),
        (vec![night(&[1]), other(&[1])], vec![other(&[1])], vec![]),
    ] {
        assert_eq!(now(&before, &after, None), expected);
    }
}

#[test]
fn what_a_daemon_holds_decides_what_is_resumed() {
    let night = [window("night", "0 22 * * *", 8, &[1, 2, 3, 4])];
    let row = |state, holder: &str| Row { state, holders: vec![holder.into()] };
    let rows = BTreeMap::from([
        (sync(1), row(HoldState::Held, "night")),
        // Was off before; switched on by somebody; held by an operator, too.
        (sync(2), row(HoldState::Skipped, "night")),
        (sync(3), row(HoldState::Released, "night")),
        (sync(4), row(HoldState::Held, "an operator")),
    ]);
    assert_eq!(now(&night, &[], Some(&rows)), [(Becomes::Resumed, 1)]);
    assert_eq!(now(&night, &[], Some(&BTreeMap::new())), []);
    // What is held is not paused a second time.
    assert_eq!(now(&[], &night, Some(&rows)), [(Becomes::Paused, 1)]);
}

#[test]
fn what_was_let_go_is_paused_again_under_another_name_or_opening() {
    let open = |name: &str, start: &str| window(name, start, 8, &[1, 2, 3]);
    let row = |state| Row { state, holders: vec!["night".into()] };
    let rows = BTreeMap::from([
        (sync(1), row(HoldState::Held)),
        (sync(2), row(HoldState::Released)),
        (sync(3), row(HoldState::Skipped)),
    ]);
    let night = open("night", "0 22 * * *");
    for (after, expected) in [
        (vec![night.clone()], vec![]),
        // It may end elsewhere, or another window may go on with it.
        (vec![window("night", "0 22 * * *", 9, &[1, 2, 3])], vec![]),
        (vec![open("renamed", "0 22 * * *")], vec![(Becomes::Paused, 1)]),
        (vec![open("night", "30 22 * * *")], vec![(Becomes::Paused, 1)]),
        (vec![night.clone(), open("another", "0 22 * * *")], vec![(Becomes::Paused, 1)]),
        (vec![], vec![(Becomes::Resumed, 1)]),
    ] {
        assert_eq!(now(from_ref(&night), &after, Some(&rows)), expected, "{after:?}");
    }
}

fn selecting(window: Window, glob: &str, exclude: &[u128]) -> Window {
    let name = Some(glob::Pattern::new(glob).unwrap());
    let any_of = vec![Selector { name, ..Selector::default() }];
    let exclude = exclude.iter().map(|it| Uuid::from_u128(*it)).collect();
    Window { select: Some(Select { organization: "default".into(), any_of, exclude }), ..window }
}

#[test]
fn selectors_are_compared_though_nobody_knows_what_they_mean() {
    let night =
        |glob: &str, exclude: &[u128]| selecting(window("night", "0 22 * * *", 8, &[1]), glob, exclude);
    let before = night("Salesforce *", &[7]);
    assert!(difference(from_ref(&before), from_ref(&before), noon()).is_empty());
    for (after, keys) in [
        (night("Stripe *", &[7]), &["select"][..]),
        (night("Salesforce *", &[7, 8]), &["exclude"]),
        (night("*", &[]), &["exclude", "select"]),
        (window("night", "0 22 * * *", 8, &[1]), &["exclude", "select"]),
    ] {
        let difference = difference(from_ref(&before), &[after], noon());
        let [it] = &difference.windows[..] else { panic!("{difference:?}") };
        let told: Vec<&str> = it.settings.iter().map(|it| it.key.as_str()).collect();
        assert_eq!((&told[..], it.knowledge), (keys, Knowledge::Unknown));
    }
}

#[test]
fn what_is_selected_by_an_open_window_and_not_known_is_told_without_a_number() {
    let night = |glob: &str| selecting(window("night", "0 22 * * *", 8, &[1]), glob, &[]);
    let at = at("05T23:00");
    let now = |before: &[Window], after: &[Window]| {
        let difference = Difference::between(&outlook(before, at), &outlook(after, at), at, None);
        difference.now.iter().map(|it| (it.becomes, it.syncs.len(), it.may_be_more)).collect::<Vec<_>>()
    };
    let (one, other, named) = (night("a*"), night("b*"), window("night", "0 22 * * *", 8, &[1]));
    assert_eq!(now(from_ref(&one), from_ref(&one)), []);
    assert_eq!(now(from_ref(&one), &[]), [(Becomes::Resumed, 1, true)]);
    assert_eq!(now(&[], from_ref(&one)), [(Becomes::Paused, 1, true)]);
    assert_eq!(now(from_ref(&one), &[other]), [(Becomes::Resumed, 0, true), (Becomes::Paused, 0, true)]);
    assert_eq!(now(from_ref(&one), &[named]), [(Becomes::Resumed, 0, true)]);
    let shut = selecting(window("night", "0 3 * * *", 1, &[1]), "a*", &[]);
    assert_eq!(now(&[one], &[shut]), [(Becomes::Resumed, 1, true)]);
}
