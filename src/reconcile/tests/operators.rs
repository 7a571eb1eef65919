//! What operators ask for.

use super::*;
use crate::domain::event::EventKind;
use crate::domain::hold::Gone;
use crate::domain::operator::What;
use crate::ledger::Store;

pub(super) fn terms(from: i64, until: i64) -> Terms {
    Terms { from: at(from), until: at(until), reason: "load".into(), by: "operator (uid 0)".into() }
}

pub(super) fn all(numbers: &[u128]) -> BTreeSet<SyncRef> {
    numbers.iter().map(|it| sync(*it)).collect()
}

/// What is told, and of which syncs: `exempted 1`.
fn told(actions: &[Action]) -> Vec<String> {
    let of = |sync: &Option<SyncRef>| sync.as_ref().map_or("-".to_owned(), |it| it.id.as_u128().to_string());
    events(actions).map(|it| format!("{} {}", it.kind.as_str(), of(&it.sync))).collect()
}

fn numbers(resumed: &[Resumed]) -> Vec<u128> {
    resumed.iter().map(|it| it.sync.id.as_u128()).collect()
}

#[test]
fn who_resumes_all_means_those_too_whose_turn_has_not_come() {
    let many: Vec<u128> = (1..=2 * AT_ONCE as u128).collect();
    for (passes, selection) in [(0, Selection::All), (1, Selection::Window("night".into()))] {
        let mut reconciler = keeping(&many);
        reconciler.pass(moment(0));
        (0..passes).for_each(|_| drop(reconciler.pass(moment(OPENS))));
        let (resumed, _) = reconciler.resume(&selection, "operator", None, moment(OPENS));
        assert_eq!(resumed.len(), many.len(), "{selection:?} after {passes} passes");
        let told = answer_all(&mut reconciler, moment(OPENS + 1), |_| SyncState::Active);
        assert!(!told.iter().any(|it| it.starts_with("pause")), "{told:?}");
    }
}

#[test]
fn a_window_and_a_sync_are_resumed_by_themselves() {
    let windows = vec![window("night", OPENS, CLOSES, &[1, 2]), window("other", OPENS, CLOSES, &[2, 3])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    assert_eq!(reconciler.holds().count(), 3);
    let now = moment(OPENS + 60);
    let mut resume = |selection: Selection| {
        let (resumed, actions) = reconciler.resume(&selection, "operator", Some("why not"), now);
        (resumed, told(&actions))
    };
    let (resumed, events) = resume(Selection::Window("night".into()));
    assert_eq!(numbers(&resumed), [1, 2]);
    assert_eq!(events, ["operator_resume 1", "operator_resume 2"]);
    let ended: Vec<_> = resumed.iter().map(|it| it.ended.len()).collect();
    assert_eq!(ended, [1, 2], "the other window does not hold it any more either");
    assert_eq!(resumed[0].was, Some(HoldState::Held));
    let (resumed, events) = resume(Selection::Syncs(vec![sync(3), sync(9)]));
    assert_eq!(numbers(&resumed), [3, 9]);
    assert_eq!((resumed[1].was, resumed[1].ended.len()), (None, 0), "nothing holds it");
    assert_eq!(events, ["operator_resume 3"], "of the other there is nothing to remember");
    let asked = answer_all(&mut reconciler, now, |_| SyncState::Inactive);
    let switched: Vec<_> = asked.iter().filter(|it| it.starts_with("resume")).collect();
    assert_eq!(switched.len(), 3, "{asked:?}");
    // They are left alone until another window begins; said again, it changes nothing.
    let (resumed, actions) = reconciler.resume(&Selection::Syncs(vec![sync(1)]), "operator", None, now);
    assert_eq!(resumed[0].ended, []);
    assert_eq!(told(&actions), [] as [&str; 0]);
}

#[test]
fn a_sync_that_was_resumed_is_resumed_again_from_a_window_that_has_begun_since() {
    let windows = vec![window("night", OPENS, CLOSES, &[1]), window("next", OPENS + 60, CLOSES, &[1])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let resume = |it: &mut Reconciler, now: i64| {
        let (resumed, actions) = it.resume(&Selection::Syncs(vec![sync(1)]), "operator", None, moment(now));
        let ended = resumed[0].ended.iter().map(|it| it.window.to_string()).collect::<Vec<_>>();
        (ended, told(&actions).into_iter().filter(|it| it.ends_with('1')).collect::<Vec<_>>())
    };
    let resumed = || vec!["operator_resume 1".to_owned()];
    assert_eq!(resume(&mut reconciler, OPENS), (vec!["night".to_owned()], resumed()));
    answer_all(&mut reconciler, moment(OPENS + 1), |_| SyncState::Active);
    assert_eq!(reconciler.holds().next().map(|it| it.state), Some(HoldState::Released));
    assert_eq!(resume(&mut reconciler, OPENS + 60), (vec!["next".to_owned()], resumed()));
    assert_eq!(resume(&mut reconciler, OPENS + 60), (vec![], vec![]), "said again, it changes nothing");
}

#[test]
fn an_order_has_a_number_of_its_own_and_ends_by_its_name() {
    let mut reconciler = keeping(&[1, 2]);
    reconciler.pass(moment(0));
    let (order, actions) = reconciler.pause(all(&[1, 7]), terms(0, 300), moment(0));
    assert_eq!(
        (order.number, told(&actions)),
        (1, vec!["operator_pause 1".into(), "operator_pause 7".into()])
    );
    assert!(reconciler.knows_window(&order.name()) && reconciler.knows_window(&"night".into()));
    let mut looks = sent(&reconciler.pass(moment(0)));
    looks.sort();
    assert_eq!(looks, ["look 1", "look 7"]);
    let name = order.name();
    assert!(reconciler.end_order(&"operator#2".into(), "operator", None, moment(1)).is_err());
    assert!(reconciler.end_order(&name, "operator", None, moment(300)).is_err(), "it is over");
    let (withdrawn, actions) = reconciler.end_order(&name, "operator", Some("done"), moment(299)).unwrap();
    assert_eq!(numbers(&withdrawn.syncs), [1, 7]);
    assert_eq!(told(&actions).len(), 2);
    assert!(reconciler.orders().is_empty() && !reconciler.knows_window(&name));
    let (next, _) = reconciler.exempt(None, terms(0, 300), moment(300));
    assert_eq!(next.number, 2, "a number is never used twice");
}

#[test]
fn orders_are_remembered_and_dropped_days_after_their_end() {
    let mut before = keeping(&[1]);
    let (order, _) = before.pause(all(&[1]), terms(0, 300), moment(0));
    let mut reconciler = keeping(&[1]);
    reconciler.remember_orders(vec![order.clone()], 7);
    assert_eq!(sent(&reconciler.pass(moment(0))), ["look 1"]);
    let days = |number: i64| moment(300 + number * 86_400);
    reconciler.pass(Moment { wall: days(2).wall - TimeDelta::seconds(1), ..days(2) });
    assert_eq!(reconciler.orders(), [order]);
    let dropped = |actions: &[Action]| {
        actions.iter().any(|it| matches!(it, Action::Write { change } if change.sync().is_none()))
    };
    // It goes at the first boundary after that.
    reconciler.retry_now();
    assert!(dropped(&reconciler.pass(days(2))));
    assert!(reconciler.orders().is_empty());
    let (next, _) = reconciler.exempt(None, terms(0, 300), moment(300));
    assert_eq!(next.number, 8);
}

#[test]
fn what_is_exempt_is_not_paused_until_that_ends_and_only_who_is_named_is_freed() {
    let mut reconciler = keeping(&[1, 2, 3]);
    reconciler.pass(moment(0));
    let (named, _) = reconciler.exempt(Some(all(&[1, 2])), terms(0, CLOSES), moment(0));
    assert_eq!(sent(&reconciler.pass(moment(OPENS))), ["look 3"]);
    let end = |it: &mut Reconciler, syncs: Option<&[u128]>| {
        let syncs = syncs.map(all);
        it.end_exemptions(syncs.as_ref(), "operator", moment(OPENS)).map(|actions| told(&actions))
    };
    assert_eq!(end(&mut reconciler, None), Err(NotExempt::NoneOfAll));
    assert_eq!(end(&mut reconciler, Some(&[3])), Err(NotExempt::NotNamed(sync(3))));
    assert_eq!(end(&mut reconciler, Some(&[1])), Ok(vec!["exempted 1".into()]));
    assert_eq!(sent(&reconciler.pass(moment(OPENS))), ["look 1"]);
    assert_eq!(reconciler.orders().len(), 1, "the other one is exempt still");
    assert_eq!(end(&mut reconciler, Some(&[2])), Ok(vec!["exempted 2".into()]));
    assert_eq!(reconciler.orders(), []);
    let (everything, _) = reconciler.exempt(None, terms(0, CLOSES), moment(OPENS));
    assert_eq!(
        end(&mut reconciler, Some(&[2])),
        Err(NotExempt::ByAll { sync: sync(2), order: everything.name() })
    );
    assert_ne!(everything.name(), named.name());
    assert_eq!(end(&mut reconciler, None), Ok(vec!["exempted -".into()]));
    reconciler.exempt(None, terms(0, OPENS), moment(OPENS - 1));
    assert_eq!(end(&mut reconciler, None), Err(NotExempt::NoneOfAll), "it is over at its end");
}

#[test]
fn who_is_resumed_is_taken_out_of_the_operators_pause_that_holds_it() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(0));
    reconciler.pause(all(&[7, 8]), terms(0, 300), moment(0));
    reconciler.pause(all(&[7]), terms(400, 500), moment(0));
    answer_all(&mut reconciler, moment(1), |_| SyncState::Active);
    let resume = |it: &mut Reconciler, number| {
        it.resume(&Selection::Syncs(vec![sync(number)]), "operator", None, moment(2))
    };
    let left = |it: &Reconciler| it.orders().iter().map(|it| it.syncs().count()).collect::<Vec<_>>();
    let (resumed, _) = resume(&mut reconciler, 7);
    assert_eq!(resumed[0].next.as_ref().map(|it| it.opens), Some(at(400)), "that has not begun");
    assert_eq!(left(&reconciler), [1, 1]);
    resume(&mut reconciler, 8);
    assert_eq!(left(&reconciler), [1], "nobody is left in the first");
}

#[test]
fn a_window_that_is_kept_open_longer_says_when_it_closes_without_that() {
    let mut reconciler = keeping(&[1]);
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let occurrence = reconciler.calendar().unwrap().window("night").unwrap().covering(at(OPENS)).unwrap();
    let (order, actions) = reconciler.extend(&occurrence, terms(OPENS, CLOSES + 600), moment(OPENS));
    assert_eq!(told(&actions), ["extended -"]);
    reconciler.pass(moment(OPENS));
    assert_eq!(reconciler.next_change(), Some(at(CLOSES + 600)));
    let (withdrawn, actions) = reconciler.end_order(&order.name(), "operator", None, moment(OPENS)).unwrap();
    assert_eq!(told(&actions), ["extended -"]);
    assert_eq!((withdrawn.closes, numbers(&withdrawn.syncs)), (Some(at(CLOSES)), vec![1]));
    assert_eq!(withdrawn.syncs[0].paused_until, Some(at(CLOSES)));
    assert_eq!(withdrawn.syncs[0].paused_by, [Name::from("night")]);
    reconciler.pass(moment(OPENS));
    assert_eq!(reconciler.next_change(), Some(at(CLOSES)));
}

#[test]
fn a_row_is_forgotten_only_of_a_sync_that_is_gone() {
    let mut reconciler =
        reconciler(vec![held(1)], Some(in_force(vec![window("night", OPENS, CLOSES, &[1])], 8)));
    reconciler.pass(moment(OPENS));
    let forget = |it: &mut Reconciler, number| {
        it.forget(&sync(number), "operator", moment(OPENS)).map(|actions| told(&actions))
    };
    assert_eq!(forget(&mut reconciler, 2), Err(NotForgotten::NoRow(sync(2))));
    assert_eq!(forget(&mut reconciler, 1), Err(NotForgotten::Busy(sync(1))), "a look is under way");
    reconciler.hear(saw(1, SyncState::Inactive, moment(OPENS)), moment(OPENS));
    assert_eq!(forget(&mut reconciler, 1), Err(NotForgotten::NotGone(sync(1))));
    reconciler.hear(saw(1, SyncState::Gone, moment(OPENS)), moment(OPENS));
    let _ = reconciler.pass(moment(OPENS));
    let kind = EventKind::Forgotten.as_str();
    if reconciler.in_flight() == 0 {
        assert_eq!(forget(&mut reconciler, 1), Ok(vec![format!("{kind} 1")]));
        assert_eq!(reconciler.holds().count(), 0);
    } else {
        panic!("nothing is asked of a sync that was just found to be gone");
    }
}

#[test]
fn what_was_said_a_while_ago_is_asked_again_before_a_row_is_forgotten() {
    let in_force = in_force(vec![window("night", OPENS, CLOSES, &[1])], 8);
    let mut reconciler = reconciler(vec![held(1)], Some(in_force));
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Gone, moment(OPENS)), moment(OPENS));
    reconciler.pass(moment(OPENS));
    let later = moment(OPENS + 600);
    assert_eq!(sent(&reconciler.pass(later)), [""; 0], "it is asked about once an hour");
    assert_eq!(reconciler.forget(&sync(1), "ada", later).unwrap_err(), NotForgotten::NotSure(sync(1)));
    assert_eq!(sent(&reconciler.pass(later)), ["look 1"]);
    // It is there after all.
    reconciler.hear(saw(1, SyncState::Inactive, later), later);
    reconciler.pass(later);
    assert_eq!(reconciler.forget(&sync(1), "ada", later).unwrap_err(), NotForgotten::NotGone(sync(1)));
    // Or it is not: then the word of a moment ago will do, counted or not.
    reconciler.hear(saw(1, SyncState::Gone, later), later);
    reconciler.pass(later);
    assert!(reconciler.forget(&sync(1), "ada", later).is_ok());
}

#[test]
fn a_row_of_a_place_that_the_file_has_left_can_be_forgotten_once_it_fails() {
    let elsewhere = Organization { url: "https://old.example".into(), ..Organization::example() };
    let row = |last_error: Option<&str>| {
        let last_error = last_error.map(str::to_owned);
        Hold { organization: Arc::new(elsewhere.clone()), last_error, ..held(1) }
    };
    for (row, is_forgotten) in [(row(None), false), (row(Some("no answer")), true), (held(1), false)] {
        let in_force = in_force(vec![window("night", OPENS, CLOSES, &[1])], 8);
        let mut reconciler = reconciler(vec![row], Some(in_force));
        let forgotten = reconciler.forget(&sync(1), "ada", moment(OPENS));
        assert_eq!(forgotten.is_ok(), is_forgotten);
    }
}

#[test]
fn without_a_configuration_nobody_knows_the_end_without_an_extension() {
    let mut before = keeping(&[1]);
    before.pass(moment(OPENS));
    let occurrence = held(1).holders[0].clone();
    let (order, _) = before.extend(&occurrence, terms(OPENS, CLOSES + 600), moment(OPENS));
    let mut reconciler = reconciler(vec![Hold { resume_by: at(CLOSES + 600), ..held(1) }], None);
    reconciler.remember_orders(vec![order.clone()], order.number);
    let ended = reconciler.end_order(&order.name(), "ada", None, moment(OPENS + 1));
    let expected = NotEnded::Unforeseeable { order: order.name(), window: "night".into() };
    assert_eq!(ended.unwrap_err(), expected);
    assert_eq!(reconciler.orders(), [order], "it is as it was");
}

#[test]
fn what_is_forgotten_is_journalled_with_its_name_and_on_whose_word() {
    let mut gone = held(1);
    gone.name = Some("Contacts".into());
    gone.gone = Some(Gone { since: at(OPENS), times: 1 });
    let mut reconciler = reconciler(vec![gone], Some(in_force(vec![], 8)));
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Gone, moment(OPENS)), moment(OPENS));
    reconciler.pass(moment(OPENS));
    let actions = reconciler.forget(&sync(1), "ada", moment(OPENS)).unwrap();
    let [event] = &events(&actions).collect::<Vec<_>>()[..] else { panic!("{actions:?}") };
    assert_eq!((event.kind, event.sync.as_ref()), (EventKind::Forgotten, Some(&sync(1))));
    assert_eq!((event.name.as_deref(), event.by.as_str()), (Some("Contacts"), "ada"));
}

#[test]
fn what_is_resumed_is_told_with_its_name_and_with_what_comes_next() {
    let windows = vec![window("night", OPENS, CLOSES, &[1]), window("later", 4000, 5000, &[1])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    let now = moment(OPENS);
    reconciler.pass(now);
    reconciler.hear(Reply { name: Some("Contacts".into()), ..saw(1, SyncState::Active, now) }, now);
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    let about = |it: &Resumed| (it.name.clone(), it.was, it.next.as_ref().map(|it| it.opens));
    let held = (Some("Contacts".to_owned()), Some(HoldState::Held), Some(at(4000)));
    let (order, _) = reconciler.exempt(Some(all(&[1])), terms(OPENS, CLOSES), now);
    let (withdrawn, _) = reconciler.end_order(&order.name(), "operator", None, now).unwrap();
    assert_eq!(withdrawn.syncs.iter().map(about).collect::<Vec<_>>(), std::slice::from_ref(&held));
    assert_eq!(withdrawn.syncs[0].ended, [], "an exemption held nothing");
    let (resumed, _) = reconciler.resume(&Selection::All, "operator", None, now);
    assert_eq!(resumed.iter().map(about).collect::<Vec<_>>(), [held]);
}

#[test]
fn an_operators_pause_that_is_ended_is_what_was_ended_and_the_window_beside_it_is_not() {
    let mut reconciler = keeping(&[1]);
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let (order, _) = reconciler.pause(all(&[1, 7]), terms(OPENS, CLOSES + 600), moment(OPENS));
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let (withdrawn, _) = reconciler.end_order(&order.name(), "operator", None, moment(OPENS + 1)).unwrap();
    let told: Vec<_> = withdrawn.syncs.iter().map(|it| (it.ended.clone(), it.paused_until)).collect();
    let ended: Vec<_> = order.holder().into_iter().collect();
    assert_eq!(told, [(ended.clone(), Some(at(CLOSES))), (ended, None)]);
    assert_eq!(withdrawn.closes, None, "no window closes by it");
}

#[test]
fn without_a_configuration_an_operators_pause_that_is_ended_ends_the_rows_that_it_holds() {
    let mut before = keeping(&[]);
    before.pass(moment(0));
    let (order, _) = before.pause(all(&[1]), terms(0, CLOSES), moment(0));
    let mut row = held(1);
    row.holders = order.holder().into_iter().collect();
    let mut reconciler = reconciler(vec![row, held(2)], None);
    reconciler.remember_orders(vec![order.clone()], order.number);
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Inactive);
    let ended = reconciler.end_order(&order.name(), "ada", Some("done"), moment(OPENS + 1));
    let (withdrawn, actions) = ended.expect("it is known");
    assert_eq!(numbers(&withdrawn.syncs), [1]);
    assert_eq!(told(&actions), ["operator_resume 1"]);
    assert!(reconciler.orders().is_empty());
}

#[test]
fn an_order_that_the_ledger_takes_late_is_written_as_it_is_by_then() {
    let mut reconciler = keeping(&[1, 2, 3]);
    let now = moment(OPENS - 60);
    let terms = || Terms { from: at(OPENS), until: at(CLOSES), reason: "load".into(), by: "ada".into() };
    let mut store = Store::in_memory().unwrap();
    let changes = |actions: Vec<Action>| {
        let written = actions.into_iter().filter_map(|it| match it {
            Action::Write { change } | Action::WriteAgain { change } => Some(change),
            _ => None,
        });
        written.collect::<Vec<_>>()
    };
    let (ended, actions) = reconciler.pause([sync(1)].into(), terms(), now);
    for change in changes(actions) {
        reconciler.write_failed(change, now);
    }
    let (kept, actions) = reconciler.exempt(Some([sync(2), sync(3)].into()), terms(), now);
    for change in changes(actions) {
        reconciler.write_failed(change, now);
    }
    // The disk has room again, and the operator another mind.
    let (_, actions) = reconciler.end_order(&ended.name(), "ada", None, now).unwrap();
    store.apply(&changes(actions)).unwrap();
    let actions = reconciler.end_exemptions(Some(&[sync(3)].into()), "ada", now).unwrap();
    store.apply(&changes(actions)).unwrap();

    let actions = reconciler.pass(Moment { uptime: now.uptime + Duration::from_secs(10), ..now });
    store.apply(&changes(actions)).unwrap();
    let orders = store.contents().unwrap().orders;
    let told: Vec<_> = orders.iter().map(|it| (it.number, it.what.clone())).collect();
    assert_eq!(told, [(kept.number, What::Exempt { syncs: Some([sync(2)].into()) })]);
    assert!(reconciler.is_written());
}
