//! What is told of the state of things.

use super::operators::{all, terms};
use super::*;
use crate::domain::event::EventKind;

fn row(hold: &Hold, now: i64) -> RowReport {
    RowReport::of(hold, at(now), Duration::from_mins(5))
}

fn in_state(state: HoldState) -> Hold {
    let mut hold = held(1);
    hold.state = state;
    hold
}

#[test]
fn a_row_is_overdue_from_its_limit_on_if_a_resume_is_owed() {
    let late = |state, now| row(&in_state(state), now).overdue_seconds;
    assert_eq!(late(HoldState::Held, CLOSES + 299), 0);
    assert_eq!(late(HoldState::Held, CLOSES + 300), 300);
    assert_eq!(late(HoldState::Resuming, CLOSES + 301), 301);
    assert_eq!(late(HoldState::Settling, CLOSES + 301), 0);
    let at_once = |now| RowReport::of(&held(1), at(now), Duration::ZERO).overdue_seconds;
    assert_eq!((at_once(CLOSES), at_once(CLOSES + 1)), (0, 1), "the end itself is in time");
}

#[test]
fn a_row_tells_whom_it_serves_or_leaves_alone_and_what_its_last_attempt_met() {
    let mut hold = held(1);
    hold.runs.quiet = Some(true);
    hold.left_alone = vec![Occurrence { window: "other".into(), ..hold.holders[0].clone() }];
    let told = row(&hold, OPENS);
    assert_eq!(told.windows, [Name::from("night")]);
    assert_eq!((told.state_in_words().as_str(), told.opens), ("held, quiet", None));
    assert_eq!((told.since, told.until), (Some(at(OPENS)), Some(at(CLOSES))));
    assert!(!told.is_trouble() && told.last_attempt().is_none());
    assert_eq!(row(&hold, OPENS - 60).opens, Some(at(OPENS)), "it is paused ahead of its window");
    hold.runs.quiet = Some(false);
    assert_eq!(row(&hold, OPENS).state_in_words(), "held, still runs");
    hold.last_error = Some("500".into());
    assert_eq!(row(&hold, OPENS).last_attempt().as_deref(), Some("500"));
    hold.attempts = 2;
    assert!(row(&hold, OPENS).is_trouble());
    assert_eq!(row(&hold, OPENS).last_attempt().as_deref(), Some("attempt 2: 500"));
    hold.state = HoldState::Released;
    let told = row(&hold, OPENS - 60);
    assert_eq!((told.windows.as_slice(), told.quiet, told.opens), (&["other".into()][..], None, None));
    assert_eq!(told.state_in_words(), "released");
    let waits = RowReport { state: RowState::Pausing, quiet: Some(false), ..told };
    assert_eq!(waits.state_in_words(), "waits for its execution");
}

#[test]
fn a_state_is_told_in_the_word_of_its_row() {
    let words: Vec<_> = RowState::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(words, ["pausing", "held", "resuming", "settling", "skipped", "released", "exempt"]);
    let owed: Vec<_> = RowState::ALL.iter().filter(|it| it.owes_resume()).map(|it| it.as_str()).collect();
    assert_eq!(owed, ["pausing", "held", "resuming"]);
    for state in RowState::ALL {
        assert!(state.of_row().is_none_or(|it| RowState::from(it) == *state));
    }
}

#[test]
fn one_sentence_counts_what_is_overdue_failing_paused_and_changing() {
    assert_eq!(headline(std::iter::empty::<RowReport>()), "nothing is paused");
    let plain = row(&held(1), OPENS);
    let late = row(&in_state(HoldState::Resuming), CLOSES + 300);
    let failing = RowReport { last_error: Some("500".into()), ..row(&in_state(HoldState::Pausing), OPENS) };
    let skipped = row(&in_state(HoldState::Skipped), OPENS);
    let rows = [plain.clone(), plain.clone(), late.clone(), failing.clone(), skipped.clone()];
    assert_eq!(headline(rows.iter()), "1 overdue, 1 failing, 2 paused, 2 changing");
    assert_eq!(headline([&skipped].into_iter()), "nothing is paused");
    let report = |syncs| Report { next_change: None, syncs, orders: vec![] };
    assert!(report(vec![plain.clone(), late]).has_trouble());
    assert!(report(vec![failing]).has_trouble());
    assert!(!report(vec![plain, skipped]).has_trouble());
}

#[test]
fn what_cannot_be_looked_at_is_told_and_what_runs_as_it_should_is_not() {
    let mut reconciler = keeping(&[1, 2]);
    let now = moment(OPENS);
    reconciler.pass(now);
    assert_eq!(reconciler.report(now).syncs, []);
    reconciler.hear(failed(1), now);
    reconciler.pass(now);
    let report = reconciler.report(now);
    assert_eq!(report.next_change, Some(at(CLOSES)));
    let [told] = &report.syncs[..] else { panic!("{report:?}") };
    assert_eq!((told.id, told.state, told.attempts), (sync(1).id, RowState::Pausing, 1));
    assert_eq!((told.since, told.until), (None, Some(at(CLOSES))));
    assert_eq!(told.windows, [Name::from("night")]);
    assert!(told.last_error.is_some() && told.quiet.is_none());
    assert_eq!(reconciler.headline(now), "1 failing, 1 changing");
}

#[test]
fn who_is_exempt_is_told_once_a_window_would_pause_it_or_it_was_named() {
    let windows = vec![window("night", OPENS, CLOSES, &[1, 2]), window("later", 4000, 5000, &[3])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    let exempt = |it: &Reconciler, now: i64| {
        let rows = it.report(moment(now)).syncs;
        assert!(rows.iter().all(|it| it.state == RowState::Exempt && it.until == Some(at(4500))));
        rows.iter().map(|it| (it.id.as_u128(), it.windows.len())).collect::<Vec<_>>()
    };
    reconciler.pass(moment(0));
    assert_eq!(exempt(&reconciler, 0), []);
    let (order, _) = reconciler.exempt(None, terms(0, 4500), moment(0));
    reconciler.pass(moment(0));
    assert_eq!(exempt(&reconciler, 0), [], "nothing would be paused now");
    let orders = reconciler.report(moment(0)).orders;
    assert_eq!(
        (orders[0].name.clone(), orders[0].what.as_str(), orders[0].syncs),
        (order.name(), "exempt", None)
    );
    reconciler.pass(moment(OPENS));
    assert_eq!(exempt(&reconciler, OPENS), [(1, 1), (2, 1)]);
    reconciler.exempt(Some(all(&[3])), terms(0, 4500), moment(OPENS));
    reconciler.pass(moment(OPENS));
    assert_eq!(exempt(&reconciler, OPENS), [(1, 1), (2, 1), (3, 0)]);
    assert_eq!(reconciler.report(moment(OPENS)).orders[1].syncs, Some(1));
    assert_eq!(reconciler.report(moment(4500)).orders, [], "they are over");
}

#[test]
fn why_tells_each_holder_and_what_comes_next() {
    let mut night = window("night", OPENS, CLOSES, &[1]);
    night.description = Some("load".into());
    let windows = vec![night, window("later", 4000, 5000, &[1])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    let why = |it: &Reconciler, now: i64| it.why(&sync(1), moment(now));
    reconciler.pass(moment(0));
    let before = why(&reconciler, 0);
    assert_eq!((before.wanted, before.until, before.row.as_ref()), (Wanted::Running, None, None));
    assert_eq!(before.sentence(), "nothing asks for a pause now");
    assert_eq!(before.next.unwrap().opens, at(OPENS));
    assert_eq!(before.windows, [Name::from("night"), Name::from("later")]);
    assert_eq!(why(&reconciler, OPENS).sentence(), "it is being paused");

    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let paused = why(&reconciler, OPENS + 1);
    assert_eq!((paused.wanted, paused.until), (Wanted::Paused, Some(at(CLOSES))));
    assert!(paused.is_held() && !paused.was_off());
    assert_eq!(paused.sentence(), "it is paused");
    assert_eq!(paused.counted().count(), 1);
    assert_eq!(paused.holders[0].description.as_deref(), Some("load"));
    assert!(!paused.holders[0].is_order && paused.holders[0].by.is_none());
    assert_eq!(paused.next.as_ref().unwrap().opens, at(4000));
    assert_eq!(paused.opens_later(at(OPENS)), None);

    let (order, _) = reconciler.pause(all(&[1]), terms(OPENS, CLOSES + 60), moment(OPENS + 1));
    let both = why(&reconciler, OPENS + 1);
    assert_eq!(both.until, Some(at(CLOSES + 60)));
    let ordered = both.holders.iter().find(|it| it.is_order).unwrap();
    assert_eq!(ordered.occurrence.window, order.name());
    assert_eq!(ordered.description.as_deref(), Some("load"));
    assert_eq!(ordered.by.as_deref(), Some("operator (uid 0)"));

    reconciler.resume(&Selection::All, "operator", None, moment(OPENS + 2));
    let freed = why(&reconciler, OPENS + 2);
    assert_eq!((freed.wanted, freed.until), (Wanted::LeftAlone, None));
    assert_eq!(freed.why_not_counted(), "somebody decided against it");
    assert_eq!(freed.sentence(), "somebody decided to let it run: it is being resumed");
    answer_all(&mut reconciler, moment(OPENS + 3), |_| SyncState::Inactive);
    let released = why(&reconciler, OPENS + 3);
    assert_eq!(released.sentence(), "somebody decided to let it run: it is left alone");
    assert_eq!(released.next.unwrap().opens, at(4000));

    reconciler.exempt(None, terms(4000, 4500), moment(4000));
    let exempt = why(&reconciler, 4000);
    assert_eq!((exempt.wanted, exempt.exempt_until), (Wanted::Exempt, Some(at(4500))));
    assert_eq!(exempt.sentence(), "an operator exempted it: windows do not touch it");
    assert_eq!(exempt.next.unwrap().pauses, at(4500));
}

#[test]
fn a_pause_that_waits_for_an_execution_is_told_as_that() {
    let bulk = SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(1));
    let mut window = window("night", OPENS, CLOSES, &[]);
    window.syncs.insert(bulk.clone());
    let mut reconciler = reconciler(vec![], Some(in_force(vec![window], 8)));
    for second in 0..10 {
        let now = moment(OPENS + second);
        for action in reconciler.pass(now) {
            match action {
                Action::Look { .. } => panic!("what runs is asked first"),
                Action::Errand { sync, organization, .. } => {
                    let status =
                        RunStatus { is_running: true, newest: None, last_completed: None, next: None };
                    let learnt = Learnt { sent: now, result: Ok(Told::Status(status)) };
                    reconciler.hear_errand(ErrandReply { sync, organization, learnt }, now);
                }
                Action::Pause { .. } => panic!("it runs"),
                _ => {}
            }
        }
    }
    let now = moment(OPENS + 10);
    let [told] = &reconciler.report(now).syncs[..] else { panic!("it is told") };
    assert_eq!((told.state_in_words().as_str(), told.quiet), ("waits for its execution", Some(false)));
    let why = reconciler.why(&bulk, now);
    assert!(
        why.sentence().starts_with("it is paused as soon as its execution has ended"),
        "{}",
        why.sentence()
    );
    assert!(!why.is_held());
}

#[test]
fn a_pause_that_waits_for_what_cannot_be_seen_is_failing_and_told_if_it_never_comes() {
    let bulk = SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(1));
    let mut window = window("night", OPENS, CLOSES, &[]);
    window.syncs.insert(bulk);
    let mut reconciler = reconciler(vec![], Some(in_force(vec![window], 8)));
    let mut failed = 0;
    let mut told = vec![];
    for second in OPENS..CLOSES + 10 {
        let now = moment(second);
        for action in reconciler.pass(now) {
            match action {
                Action::Errand { sync, organization, .. } => {
                    failed += 1;
                    let result = Err(Failure::new(FailureKind::Server, "500"));
                    let learnt = Learnt { sent: now, result };
                    reconciler.hear_errand(ErrandReply { sync, organization, learnt }, now);
                }
                Action::Write { change } => told.extend(change.events().map(|(_, it)| it.clone())),
                Action::Look { .. } | Action::Pause { .. } => panic!("what runs is asked first"),
                _ => {}
            }
        }
        if second == OPENS + 5 {
            let report = reconciler.report(now);
            let [row] = &report.syncs[..] else { panic!("{report:?}") };
            assert_eq!((row.state, row.last_error.as_deref()), (RowState::Pausing, Some("500")));
            assert!(failed > 1 && row.attempts > 0 && report.has_trouble());
        }
    }
    let told: Vec<_> = told.iter().filter(|it| it.kind == EventKind::PauseFailed).collect();
    let [never] = &told[..] else { panic!("{told:?}") };
    assert_eq!((never.error.as_deref(), never.occurrence), (Some("500"), Some(at(OPENS))));
    assert_eq!(reconciler.report(moment(CLOSES + 10)).syncs, []);
}

#[test]
fn what_is_left_alone_is_told_with_what_still_asks_for_its_pause() {
    let mut reconciler = keeping(&[1]);
    let now = moment(OPENS);
    let terms = Terms { from: at(OPENS), until: at(CLOSES + 9000), reason: "load".into(), by: "ada".into() };
    let (order, _) = reconciler.pause([sync(1)].into(), terms, now);
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    let (resumed, _) = reconciler.resume(&Selection::All, "ada", None, now);
    assert_eq!(resumed[0].ended.len(), 2);
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    assert!(reconciler.orders().iter().all(|it| it.number != order.number), "it is over");
    let report = reconciler.report(moment(OPENS + 1));
    let [row] = &report.syncs[..] else { panic!("{report:?}") };
    assert_eq!((&row.windows[..], row.until), (&[Name::from("night")][..], Some(at(CLOSES))));
}

#[test]
fn who_is_exempt_while_it_is_held_is_being_resumed() {
    let mut reconciler = keeping(&[1]);
    answer_all(&mut reconciler, moment(OPENS), |_| SyncState::Active);
    let (order, _) = reconciler.exempt(None, terms(OPENS, CLOSES), moment(OPENS + 1));
    let why = reconciler.why(&sync(1), moment(OPENS + 1));
    assert_eq!(why.sentence(), "an operator exempted it, so it is being resumed");
    let (withdrawn, _) = reconciler.end_order(&order.name(), "operator", None, moment(OPENS + 1)).unwrap();
    let about: Vec<_> = withdrawn.syncs.iter().map(|it| it.sync.clone()).collect();
    assert_eq!(about, [sync(1)], "who has a row, or would be paused");
    let why = reconciler.why(&sync(1), moment(OPENS + 1));
    assert_eq!(why.sentence(), "it is paused");
    // Ahead of its window, it says when that opens.
    let ahead = Occurrence { pauses: at(0), ..held(1).holders[0].clone() };
    let mut early = why;
    early.holders[0].occurrence = ahead;
    assert_eq!(early.opens_later(at(OPENS - 60)), Some(at(OPENS)));
    assert_eq!(early.opens_later(at(OPENS)), None);
}

#[test]
fn why_tells_what_was_off_already_and_what_fails() {
    let mut reconciler = keeping(&[1, 2]);
    let now = moment(OPENS);
    reconciler.pass(now);
    reconciler.hear(saw(1, SyncState::Inactive, now), now);
    reconciler.hear(failed(2), now);
    reconciler.pass(now);
    let off = reconciler.why(&sync(1), now);
    assert!(off.was_off() && !off.is_held());
    assert_eq!(off.why_not_counted(), "it was off already");
    assert!(off.sentence().starts_with("it was off already when the pause began"));
    let failing = reconciler.why(&sync(2), now);
    assert_eq!(failing.sentence(), "it is being paused, but the last attempt failed");
    let nobody = reconciler.why(&sync(9), now);
    assert_eq!((nobody.wanted, nobody.windows.len()), (Wanted::Running, 0));
}

#[test]
fn without_a_configuration_a_row_says_why_it_is_held() {
    let mut reconciler = reconciler(vec![held(1)], None);
    reconciler.pass(moment(OPENS));
    assert_eq!(reconciler.why(&sync(1), moment(OPENS)).wanted, Wanted::Paused);
    let over = reconciler.why(&sync(1), moment(CLOSES));
    assert_eq!(over.sentence(), "nothing asks for a pause any more: it is being resumed");
}

#[test]
fn what_would_be_done_is_told_of_each_sync_that_is_looked_after() {
    let mut reconciler = keeping(&[1]);
    assert_eq!(reconciler.plan(moment(0)), []);
    let now = moment(OPENS);
    reconciler.pass(now);
    let planned = |it: &Reconciler, now: i64| {
        let [planned] = &it.plan(moment(now))[..] else { panic!("there is one") };
        (planned.desired.clone(), planned.until, planned.held, planned.step.clone())
    };
    let told = |desired: &str, until, held, step: &str| (desired.to_owned(), until, held, step.to_owned());
    assert_eq!(planned(&reconciler, OPENS), told("paused", Some(at(CLOSES)), None, "wait for an answer"));
    reconciler.hear(saw(1, SyncState::Active, now), now);
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    let held = Some(HoldState::Held);
    assert_eq!(planned(&reconciler, OPENS), told("paused", Some(at(CLOSES)), held, "nothing to do"));
    reconciler.pass(moment(CLOSES));
    let step = planned(&reconciler, CLOSES);
    assert_eq!((step.0.as_str(), step.1), ("running", None));
}

#[test]
fn the_plan_tells_what_is_left_alone_and_what_waits_for_executions() {
    let bulk = SyncRef::new("default".into(), SyncKind::Bulk, Uuid::from_u128(2));
    let mut window = window("night", OPENS, CLOSES, &[1]);
    window.syncs.insert(bulk);
    // One place, which the model sync takes.
    let mut reconciler = reconciler(vec![], Some(in_force(vec![window], 1)));
    let now = moment(OPENS);
    reconciler.pass(now);
    let planned = |it: &Reconciler, kind| {
        let planned = it.plan(now).into_iter().find(|it| it.kind == kind).unwrap();
        (planned.desired, planned.step)
    };
    let told = |desired: &str, step: &str| (desired.to_owned(), step.to_owned());
    assert_eq!(planned(&reconciler, SyncKind::Bulk), told("paused", "pause once no execution runs"));
    reconciler.resume(&Selection::Syncs([sync(1)].into()), "ada", None, now);
    reconciler.hear(saw(1, SyncState::Active, now), now);
    reconciler.pass(now);
    assert_eq!(planned(&reconciler, SyncKind::Model), told("left alone", "nothing to do"));
}

#[test]
fn a_held_sync_that_cannot_be_looked_at_is_told_by_the_name_that_was_seen_last() {
    let mut row = held(1);
    row.name = Some("Contacts".into());
    let mut reconciler = reconciler(vec![row], Some(in_force(vec![window("night", OPENS, CLOSES, &[1])], 8)));
    let now = moment(OPENS);
    let told = |it: &Reconciler| {
        let [row] = &it.report(now).syncs[..] else { panic!("there is one row") };
        (row.name.clone().unwrap(), row.last_error.is_some())
    };
    assert_eq!(told(&reconciler), ("Contacts".to_owned(), false));
    reconciler.pass(now);
    reconciler.hear(Reply { name: Some("Renamed".into()), ..failed(1) }, now);
    assert_eq!(told(&reconciler), ("Renamed".to_owned(), true));
}

#[test]
fn a_sync_that_is_exempt_and_held_or_failing_is_told_once() {
    let mut reconciler =
        reconciler(vec![held(1)], Some(in_force(vec![window("night", OPENS, CLOSES, &[1, 2, 3])], 8)));
    let now = moment(OPENS);
    reconciler.pass(now);
    reconciler.hear(failed(2), now);
    reconciler.pass(now);
    reconciler.exempt(None, terms(OPENS, CLOSES), now);
    let told: Vec<_> = reconciler.report(now).syncs.iter().map(|it| (it.id.as_u128(), it.state)).collect();
    assert_eq!(told, [(1, RowState::Held), (2, RowState::Pausing), (3, RowState::Exempt)]);
}

#[test]
fn who_is_named_by_an_exemption_that_is_yet_to_begin_is_not_told_to_be_exempt_before() {
    let windows = vec![window("night", OPENS, CLOSES, &[1]), window("later", 4000, 5000, &[3])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 8)));
    reconciler.pass(moment(0));
    reconciler.exempt(None, terms(0, 4500), moment(0));
    reconciler.exempt(Some(all(&[3])), terms(3000, 4500), moment(0));
    let exempt = |it: &mut Reconciler, now: i64| {
        it.pass(moment(now));
        it.report(moment(now)).syncs.iter().map(|it| it.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(exempt(&mut reconciler, OPENS), [1]);
    assert_eq!(exempt(&mut reconciler, 3000), [3]);
}
