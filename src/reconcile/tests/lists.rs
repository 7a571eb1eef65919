//! Lists: of what windows select, and in place of looks.

use super::*;
use crate::domain::event::EventKind;
use crate::domain::selection::{Seen, Select, Selector};
use crate::ledger::{Contents, HistoryQuery, Store};

/// A window over the sync 9 and what is called `nightly …`.
pub(super) fn selecting() -> Window {
    let any_of = vec![Selector { name: Some("nightly*".parse().unwrap()), ..Selector::default() }];
    let select = Select { organization: "default".into(), any_of, exclude: BTreeSet::new() };
    Window { select: Some(select), ..window("night", OPENS, CLOSES, &[9]) }
}

#[expect(clippy::unnecessary_wraps, reason = "as it is heard")]
pub(super) fn seen(numbers: &[u128]) -> Result<Vec<Seen>, Failure> {
    let one = |number: &u128| Seen {
        sync: sync(*number),
        name: Some(format!("nightly {number}")),
        connections: vec![],
    };
    Ok(numbers.iter().map(one).collect())
}

pub(super) fn no_list() -> Result<Vec<Seen>, Failure> {
    Err(Failure::new(FailureKind::Server, "500"))
}

fn covered(it: &Reconciler) -> Vec<u128> {
    it.calendar().unwrap().window("night").unwrap().syncs.iter().map(|it| it.id.as_u128()).collect()
}

fn failures(actions: &[Action]) -> Vec<(Option<String>, Option<String>)> {
    let failed = events(actions).filter(|it| it.kind == EventKind::SelectionFailed);
    failed.map(|it| (it.error.clone(), it.detail.clone())).collect()
}

fn lists(actions: &[Action]) -> usize {
    actions.iter().filter(|it| matches!(it, Action::List { .. })).count()
}

#[test]
fn a_list_is_asked_for_at_once_and_says_whom_the_window_pauses() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    assert_eq!(lists(&it.pass(moment(0))), 1);
    assert_eq!(lists(&it.pass(moment(1))), 0, "it is under way");
    assert!(!it.is_at_rest(moment(1)) && !it.knows_list_of(&"default".into()));
    let actions = it.hear_list(&organization(), &seen(&[1, 2]), moment(2));
    assert!(actions.iter().any(|it| matches!(it, Action::Write { .. })), "it is kept");
    assert_eq!(covered(&it), [1, 2, 9]);
    assert!(it.knows_list_of(&"default".into()) && it.is_at_rest(moment(2)) || it.pass(moment(2)).is_empty());
    assert_eq!(it.called(&sync(1)), "nightly 1");
    assert_eq!(it.selections().len(), 1);
    // The same again is no news.
    let actions = it.hear_list(&organization(), &seen(&[1, 2]), moment(3));
    assert!(actions.is_empty(), "{actions:?}");
    // Five minutes before it opens, and each five minutes from then on.
    it.pass(moment(3));
    assert_eq!(it.next_wake(moment(3)).uptime, Some(moment(OPENS - 300).uptime));
    assert_eq!(lists(&it.pass(moment(OPENS - 300))), 1);
}

#[test]
fn without_a_list_all_stays_as_it_was_and_that_is_told_once() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    let told = failures(&it.hear_list(&organization(), &no_list(), moment(1)));
    let [(Some(_), Some(detail))] = &told[..] else { panic!("{told:?}") };
    assert!(detail.starts_with("nothing is known of what it selects"), "{detail}");
    assert!(it.selection_trouble(&"night".into()).is_some());
    assert_eq!(it.selection_troubles().len(), 1);
    assert_eq!(failures(&it.hear_list(&organization(), &no_list(), moment(2))), []);
    assert_eq!(covered(&it), [9]);
    it.hear_list(&organization(), &seen(&[1]), moment(3));
    assert_eq!((covered(&it), it.selection_troubles().len()), (vec![1, 9], 0));
    let told = failures(&it.hear_list(&organization(), &no_list(), moment(4)));
    let [(Some(_), Some(detail))] = &told[..] else { panic!("{told:?}") };
    assert!(detail.starts_with("what was found at"), "{detail}");
    assert_eq!(covered(&it), [1, 9]);
    let told = failures(&it.hear_list(&organization(), &seen(&[]), moment(5)));
    assert_eq!(told, [(None, Some("it selects no sync at all".into()))]);
    // Again before each occurrence.
    let told = failures(&it.hear_list(&organization(), &seen(&[]), moment(OPENS - 300)));
    assert_eq!(told.len(), 1);
}

#[test]
fn a_list_that_failed_is_asked_for_again_in_a_minute_and_one_that_came_in_a_quarter_of_an_hour() {
    let next = |listed: Result<Vec<Seen>, Failure>| {
        let select = selecting().select;
        let late = Window { select, ..window("night", 36_000, 40_000, &[9]) };
        let mut it = reconciler(vec![], Some(in_force(vec![late], 8)));
        it.pass(moment(0));
        assert!(!it.has_listed());
        it.hear_list(&organization(), &listed, moment(0));
        assert!(it.has_listed());
        it.pass(moment(0));
        it.next_list(moment(0)).unwrap().saturating_sub(moment(0).uptime)
    };
    assert_eq!(next(no_list()), Duration::from_mins(1));
    assert_eq!(next(seen(&[1])), Duration::from_mins(15));
}

#[test]
fn while_one_of_its_windows_asks_for_a_pause_an_organization_is_listed_every_five_minutes() {
    let night = |name: &str, from: i64, until: i64| Window {
        select: selecting().select,
        ..window(name, from, until, &[9])
    };
    let next = |windows: Vec<Window>| {
        let mut it = reconciler(vec![], Some(in_force(windows, 8)));
        it.pass(moment(OPENS));
        it.hear_list(&organization(), &seen(&[1]), moment(OPENS));
        it.next_list(moment(OPENS)).unwrap().saturating_sub(moment(OPENS).uptime)
    };
    let (open, closed) = (night("night", OPENS, CLOSES), night("later", 36_000, 40_000));
    assert_eq!(next(vec![open.clone(), closed.clone()]), Duration::from_mins(5));
    assert_eq!(next(vec![closed.clone(), open]), Duration::from_mins(5));
    assert_eq!(next(vec![closed]), Duration::from_mins(15));
}

#[test]
fn another_file_that_selects_is_looked_for_at_once_and_until_then_goes_by_what_is_known() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    it.hear_list(&organization(), &seen(&[1, 2]), moment(0));
    it.pass(moment(0));
    let mut other = selecting();
    other.select.as_mut().unwrap().any_of[0].name = Some("nightly 2".parse().unwrap());
    it.bring_into_force(in_force(vec![other], 8));
    assert_eq!(covered(&it), [2, 9], "the list that came before says so");
    assert!(!it.has_listed(), "another one is needed");
    assert_eq!(lists(&it.pass(moment(1))), 1);
    // A list that was under way when the file changed is out of date.
    it.bring_into_force(in_force(vec![selecting()], 8));
    it.hear_list(&organization(), &seen(&[1]), moment(2));
    assert!(!it.knows_list_of(&"default".into()));
    assert_eq!(lists(&it.pass(moment(2))), 1);
}

#[test]
fn of_very_many_windows_that_cannot_be_read_the_number_is_told() {
    let windows = |count: usize| {
        let one = |nth: usize| Window { name: format!("night {nth}").into(), ..selecting() };
        let mut it = reconciler(vec![], Some(in_force((0..count).map(one).collect(), 8)));
        it.pass(moment(0));
        it.hear_list(&organization(), &no_list(), moment(0));
        it.selection_troubles()
    };
    assert_eq!(windows(20).len(), 20);
    assert_eq!(windows(23).last().map(String::as_str), Some("and 3 more"));
}

#[test]
fn while_a_window_is_open_what_it_selects_only_grows() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    it.hear_list(&organization(), &seen(&[1, 2]), moment(0));
    it.hear_list(&organization(), &seen(&[2, 3]), moment(1));
    assert_eq!(covered(&it), [2, 3, 9], "it is closed");
    it.pass(moment(OPENS));
    it.hear_list(&organization(), &seen(&[4]), moment(OPENS));
    assert_eq!(covered(&it), [2, 3, 4, 9]);
    assert!(sent(&it.pass(moment(OPENS))).contains(&"look 4".to_owned()), "it is paused at once");
}

#[test]
fn another_process_goes_on_with_what_was_found() {
    let mut before = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    before.pass(moment(0));
    before.hear_list(&organization(), &seen(&[1]), moment(0));
    let found: Vec<_> = before.selections().values().map(|it| (**it).clone()).collect();
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.remember_selections(found);
    assert_eq!(covered(&it), [1, 9]);
    // What selects no more is dropped.
    it.bring_into_force(in_force(vec![window("night", OPENS, CLOSES, &[9])], 8));
    let actions = it.pass(moment(1));
    assert_eq!((covered(&it), lists(&actions)), (vec![9], 0));
    assert!(it.selections().is_empty());
}

#[test]
fn a_list_of_an_organization_that_is_reached_elsewhere_says_nothing() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    let elsewhere = Organization { url: "https://elsewhere.example".into(), ..Organization::example() };
    it.hear_list(&Arc::new(elsewhere), &seen(&[1]), moment(1));
    assert_eq!(covered(&it), [9]);
}

/// So many that are held, by one who has been there for a while.
fn holding(count: u128) -> Reconciler {
    let numbers: Vec<u128> = (1..=count).collect();
    let mut it = keeping(&numbers);
    answer_all(&mut it, moment(OPENS), |_| SyncState::Active);
    it
}

fn sweeps(actions: &[Action]) -> usize {
    actions.iter().filter(|it| matches!(it, Action::Sweep { .. })).count()
}

#[test]
fn a_list_stands_for_the_looks_at_very_many() {
    let half = i64::try_from(Rules::default().drift_check.as_secs() / 2).unwrap();
    let mut few = holding(SWEPT_FROM as u128 - 1);
    assert_eq!(sweeps(&few.pass(moment(OPENS + half))), 0);
    let mut it = holding(SWEPT_FROM as u128);
    it.pass(moment(OPENS));
    let due = it.sweeps.next().expect("a list is planned");
    assert!(due <= moment(OPENS + half).uptime);
    let now = moment(OPENS + half);
    assert_eq!(sweeps(&it.pass(now)), 1);
    assert_eq!(it.sweeps.next(), None, "it is under way");
    // One of them is on: it is looked at, and nobody else.
    let shown = (1..=SWEPT_FROM as u128).map(|it| ((SyncKind::Model, sync(it).id), it == 7)).collect();
    it.hear_sweep(SweepReply { organization: organization(), sent: now, result: Ok(shown) }, now);
    assert_eq!(sent(&it.pass(now)), ["look 7"]);
    let later = moment(OPENS + 3 * half);
    let asked = sent(&it.pass(later));
    assert_eq!(asked, ["list"], "none of them is looked at by itself");
    // A list that fails: each is looked at when its own time comes.
    let failure = Failure::new(FailureKind::Server, "500");
    it.hear_sweep(SweepReply { organization: organization(), sent: later, result: Err(failure) }, later);
    assert_eq!(it.sweeps.next(), Some(later.uptime + 15 * Rules::default().drift_check));
    let much_later = moment(OPENS + 8 * half);
    assert!(sent(&it.pass(much_later)).iter().any(|it| it.starts_with("look")));
}

#[test]
fn a_selection_that_failed_is_told_of_its_window_and_again_before_each_opening() {
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    let mut about = |seconds| {
        let actions = it.hear_list(&organization(), &no_list(), moment(seconds));
        let failed = events(&actions).filter(|it| it.kind == EventKind::SelectionFailed);
        failed.map(|it| (it.window.clone().map(String::from), it.occurrence)).collect::<Vec<_>>()
    };
    let night = || Some("night".to_owned());
    assert_eq!(about(1), [(night(), None)]);
    assert_eq!(about(OPENS - 301), []);
    assert_eq!(about(OPENS - 300), [(night(), Some(at(OPENS)))], "people can still do something");
    assert_eq!(about(OPENS - 299), []);
    assert_eq!(about(OPENS + 1), [], "it is the same one");
    assert_eq!(about(CLOSES), [], "there is no other");
}

#[test]
fn a_list_is_missing_until_it_has_come_once_for_each_organization() {
    let emea = Arc::new(Organization { name: "emea".into(), ..Organization::example() });
    let mut other = Window { name: "other".into(), ..selecting() };
    other.select.as_mut().unwrap().organization = "emea".into();
    let mut in_force = in_force(vec![selecting(), other], 8);
    in_force.organizations.insert("emea".into(), (Arc::clone(&emea), Limits::default()));
    let mut it = reconciler(vec![], Some(in_force));
    assert_eq!(lists(&it.pass(moment(0))), 2);
    assert!(!it.has_listed());
    it.hear_list(&organization(), &seen(&[1]), moment(1));
    assert!(!it.has_listed() && it.knows_list_of(&"default".into()) && !it.knows_list_of(&"emea".into()));
    it.hear_list(&emea, &no_list(), moment(2));
    assert!(it.has_listed() && it.knows_list_of(&"emea".into()), "it has failed, and that is known");
    // Asked for again, it is awaited.
    it.pass(moment(62));
    assert!(!it.has_listed() && !it.knows_list_of(&"emea".into()));
}

#[test]
fn what_was_known_before_a_list_goes_into_the_ledger_with_the_first_list_that_says_the_same() {
    let written = |actions: &[Action]| actions.iter().filter(|it| matches!(it, Action::Write { .. })).count();
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    it.hear_list(&organization(), &seen(&[1, 2]), moment(0));
    let mut other = selecting();
    other.select.as_mut().unwrap().any_of[0].name = Some("nightly [23]".parse().unwrap());
    it.bring_into_force(in_force(vec![other], 8));
    it.pass(moment(1));
    assert_eq!(written(&it.hear_list(&organization(), &seen(&[1, 2]), moment(2))), 1);
    assert_eq!(covered(&it), [2, 9]);
    assert_eq!(written(&it.hear_list(&organization(), &seen(&[1, 2]), moment(3))), 0, "it is there");
    assert_eq!(written(&it.hear_list(&organization(), &seen(&[2, 3]), moment(4))), 1, "it is another set");
}

#[test]
fn what_lists_show_is_looked_at_after_two_of_them_and_the_time_that_one_took() {
    let drift_check = Rules::default().drift_check;
    let half = i64::try_from(drift_check.as_secs() / 2).unwrap();
    let mut it = holding(SWEPT_FROM as u128);
    let own = |it: &Reconciler, sync: &SyncRef| it.sweeps.rules(sync, &Rules::default()).drift_check;
    let bulk = SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(1));
    let elsewhere = SyncRef::new("emea".into(), SyncKind::Model, Uuid::from_u128(1));
    it.pass(moment(OPENS));
    assert_eq!(own(&it, &sync(1)), drift_check, "no list was asked for");
    let now = moment(OPENS + half);
    it.pass(now);
    let shown = (1..=SWEPT_FROM as u128).map(|it| ((SyncKind::Model, sync(it).id), false)).collect();
    let heard = moment(OPENS + half + 7);
    it.hear_sweep(SweepReply { organization: organization(), sent: now, result: Ok(shown) }, heard);
    assert_eq!(own(&it, &sync(1)), 2 * drift_check + Duration::from_secs(7));
    assert_eq!(own(&it, &bulk), drift_check, "no list shows bulk syncs");
    assert_eq!(own(&it, &elsewhere), drift_check);
}

#[test]
fn a_list_of_very_many_of_whom_few_are_held_is_not_read_again() {
    let half = i64::try_from(Rules::default().drift_check.as_secs() / 2).unwrap();
    let read_again = |listed: u128| {
        let mut it = holding(SWEPT_FROM as u128);
        it.pass(moment(OPENS));
        let now = moment(OPENS + half);
        assert_eq!(sweeps(&it.pass(now)), 1);
        let shown = (1..=listed).map(|it| ((SyncKind::Model, sync(it).id), false)).collect();
        it.hear_sweep(SweepReply { organization: organization(), sent: now, result: Ok(shown) }, now);
        sweeps(&it.pass(moment(OPENS + 3 * half)))
    };
    // 50 pages in place of 100 looks, and 51.
    assert_eq!((read_again(2499), read_again(2500)), (1, 0));
}

#[test]
fn what_the_ledger_takes_late_of_a_window_is_written_as_it_is_by_then() {
    let changes = |actions: Vec<Action>| -> Vec<Change> {
        let written = actions.into_iter().filter_map(|it| match it {
            Action::Write { change } | Action::WriteAgain { change } => Some(change),
            _ => None,
        });
        written.filter(|it| it.sync().is_none()).collect()
    };
    let mut store = Store::in_memory().unwrap();
    let mut it = reconciler(vec![], Some(in_force(vec![selecting()], 8)));
    it.pass(moment(0));
    // The disk is full for what is found first, and for the window that opens.
    let mut refused = changes(it.hear_list(&organization(), &seen(&[1, 2]), moment(1)));
    store.apply(&changes(it.hear_list(&organization(), &seen(&[2, 3]), moment(2)))).unwrap();
    refused.extend(changes(it.pass(moment(OPENS))));
    assert_eq!(refused.len(), 2, "{refused:?}");
    store.apply(&changes(it.pass(moment(CLOSES)))).unwrap();
    for change in refused {
        it.write_failed(change, moment(CLOSES));
    }
    store.apply(&changes(it.pass(moment(CLOSES + 10)))).unwrap();

    let Contents { selections, watches, .. } = store.contents().unwrap();
    let found: Vec<_> = selections.iter().flat_map(|it| it.found.keys()).map(|it| it.id.as_u128()).collect();
    assert_eq!(found, [2, 3]);
    assert_eq!(watches.iter().map(|it| it.open.clone()).collect::<Vec<_>>(), [None], "it has closed");
    let told = store.history(&HistoryQuery::default()).unwrap();
    let told: Vec<_> = told.iter().map(|it| it.event.kind).collect();
    assert_eq!(told, [EventKind::WindowClosed, EventKind::WindowOpened], "as late as it was");

    // What is dropped late stays if it is there again.
    it.bring_into_force(in_force(vec![], 8));
    let dropped = changes(it.pass(moment(CLOSES + 20)));
    it.bring_into_force(in_force(vec![selecting()], 8));
    store.apply(&changes(it.pass(moment(CLOSES + 21)))).unwrap();
    store.apply(&changes(it.hear_list(&organization(), &seen(&[4]), moment(CLOSES + 22)))).unwrap();
    for change in dropped {
        it.write_failed(change, moment(CLOSES + 23));
    }
    store.apply(&changes(it.pass(moment(CLOSES + 33)))).unwrap();
    let Contents { selections, watches, .. } = store.contents().unwrap();
    assert_eq!((selections.len(), watches.len()), (1, 1));
}
