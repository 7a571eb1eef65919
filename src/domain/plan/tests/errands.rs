//! What is asked about executions, and what it may hold back: a pause, never a
//! resume.

use super::*;
use crate::domain::execution::{Frequency, OnRunning, RunStatus};

/// Window `a` with this policy and ten seconds of patience.
fn asking(on_running: Option<OnRunning>) -> Desired {
    let runs = RunPolicy { on_running, limit: Duration::from_secs(10), catch_up: false };
    paused_by(&[Occurrence { runs, ..a() }])
}

fn bulk() -> Case {
    Case::new(sync(SyncKind::Bulk))
}

fn held(kind: SyncKind) -> Case {
    let mut case = row(HoldState::Held);
    case.sync = sync(kind);
    case.looked = up(101);
    case
}

#[expect(clippy::unnecessary_wraps, reason = "as it is heard")]
fn status(is_running: bool) -> Result<Told, Failure> {
    let last_completed = Some(at(50));
    Ok(Told::Status(RunStatus { is_running, newest: None, last_completed, next: None }))
}

fn failed(kind: FailureKind) -> Result<Told, Failure> {
    Err(Failure::new(kind, "no luck"))
}

fn heard(mut case: Case, errand: Errand, sent: i64, result: Result<Told, Failure>) -> Case {
    case.errands.call = Some(errand);
    case.errands.hear(Learnt { sent: moment(sent), result }, moment(sent));
    case
}

fn errand(case: &Case, desired: &Desired, now: i64) -> ErrandStep {
    errand_if(case, desired, now, true)
}

/// Where every sync that is due was resumed, or not.
fn errand_if(case: &Case, desired: &Desired, now: i64, all_resumed: bool) -> ErrandStep {
    let rules = Rules::default();
    let organization = organization();
    let turn = Turn {
        now: moment(now),
        desired,
        organization: Some(&organization),
        may_pause: true,
        key_proven: true,
        all_resumed,
        statuses_hang: false,
        is_exempt: false,
        jitter: 0.5,
        rules: &rules,
    };
    next_errand(case, &turn)
}

/// In a word, and what is told.
fn check(case: &Case, desired: &Desired, now: i64, expected: &str) {
    let actual = match errand(case, desired, now) {
        ErrandStep::Rest { until: None } => "rest".to_owned(),
        ErrandStep::Rest { until: Some(until) } => format!("rest until {}", until.as_secs() - 1000),
        ErrandStep::Ask { errand, .. } => format!("{errand:?}").to_lowercase(),
        ErrandStep::Start { hold } => format!("start, {:?}", hold.runs.after),
        ErrandStep::Forget { events } => told("forget".to_owned(), &events),
        ErrandStep::Keep { hold, events, .. } => {
            let what = match hold.state {
                HoldState::Held => format!("quiet {:?}", hold.runs.quiet),
                state => format!("{}, {:?}", state.as_str(), hold.runs.after),
            };
            told(what, &events)
        }
    };
    assert_eq!(actual, expected, "{case:#?}");
}

fn told(what: String, events: &[Event]) -> String {
    let events = events.iter().map(|it| it.kind.to_string());
    [what].into_iter().chain(events).collect::<Vec<_>>().join(", ")
}

/// The row that an answer makes.
fn kept(mut case: Case, desired: &Desired, now: i64) -> Case {
    let step = errand(&case, desired, now);
    assert!(matches!(step, ErrandStep::Keep { .. }), "{step:?}");
    case.take_errand(&step);
    case
}

#[test]
fn a_bulk_sync_that_runs_is_waited_for_before_it_is_paused() {
    use OnRunning::{Cancel, Wait};
    for desired in [asking(None), asking(Some(Wait))] {
        let limit = Step::Rest { until: up(110) };
        assert_eq!(decide(&bulk(), &desired, 100), limit, "nobody has looked");
        check(&bulk(), &desired, 100, "status");
        let runs = heard(bulk(), Errand::Status, 100, status(true));
        assert_eq!(decide(&runs, &desired, 100), limit);
        check(&runs, &desired, 100, "rest until 101");
        check(&runs, &desired, 101, "status");
        assert_eq!(decide(&runs, &desired, 110), Step::Look, "patience has an end");
        check(&runs, &desired, 110, "rest");
        let idle = heard(runs, Errand::Status, 101, status(false));
        assert_eq!(decide(&idle, &desired, 101), Step::Look);
        check(&idle, &desired, 101, "rest");
        let early = heard(bulk(), Errand::Status, 99, status(false));
        assert_eq!(decide(&early, &desired, 100), limit, "it may have begun to run since");
    }
    assert_eq!(decide(&bulk(), &asking(Some(Cancel)), 100), Step::Look);
    assert_eq!(decide(&bulk(), &Desired::Running, 100), Step::Rest { until: None });
    check(&bulk(), &Desired::Running, 100, "rest");
}

#[test]
fn a_window_that_is_over_before_the_execution_is_told_to_have_paused_nothing() {
    let desired = asking(None);
    let mut case = bulk();
    case.take_errand(&errand(&case, &desired, 100));
    let runs = heard(case, Errand::Status, 100, status(true));
    check(&runs, &Desired::Running, 200, "forget, still_running");
    let idle = heard(runs.clone(), Errand::Status, 200, status(false));
    check(&idle, &Desired::Running, 200, "forget");
    let mut told = runs;
    told.take_errand(&errand(&told, &Desired::Running, 200));
    check(&told, &Desired::Running, 200, "rest");
}

#[test]
fn a_sync_whose_executions_nobody_tells_of_is_paused_nevertheless() {
    let desired = asking(None);
    for (kind, waits) in [
        (FailureKind::Forbidden, false),
        (FailureKind::Gone, false),
        (FailureKind::Malformed, false),
        (FailureKind::Server, true),
        (FailureKind::Timeout, true),
        (FailureKind::Throttled, true),
        (FailureKind::Unauthorized, true),
    ] {
        let case = heard(bulk(), Errand::Status, 100, failed(kind));
        assert_eq!(decide(&case, &desired, 101) != Step::Look, waits, "{kind}");
        assert_eq!(decide(&case, &desired, 110), Step::Look, "{kind}");
    }
}

#[test]
fn a_model_sync_is_paused_at_once() {
    for on_running in [None, Some(OnRunning::Leave), Some(OnRunning::Wait), Some(OnRunning::Cancel)] {
        assert_eq!(decide(&unheld(), &asking(on_running), 100), Step::Look);
        check(&unheld(), &asking(on_running), 100, "rest");
    }
}

#[test]
fn once_paused_it_is_watched_until_it_is_quiet() {
    let desired = asking(None);
    check(&held(SyncKind::Model), &desired, 101, "status");
    let idle = heard(held(SyncKind::Model), Errand::Status, 102, status(false));
    check(&idle, &desired, 102, "quiet Some(true)");
    check(&kept(idle, &desired, 102), &desired, 150, "rest");

    let runs = heard(held(SyncKind::Model), Errand::Status, 102, status(true));
    check(&runs, &desired, 102, "quiet Some(false)");
    let runs = kept(runs, &desired, 102);
    check(&runs, &desired, 102, "rest until 103");
    // Nobody asked that it ends: that it does not is no news.
    check(&runs, &desired, 190, "status");
    let idle = heard(runs, Errand::Status, 190, status(false));
    check(&idle, &desired, 190, "quiet Some(true), quiet");
}

#[test]
fn what_still_runs_when_patience_is_over_is_told_once() {
    for (on_running, kind) in [
        (Some(OnRunning::Wait), SyncKind::Model),
        (Some(OnRunning::Cancel), SyncKind::Model),
        (None, SyncKind::Bulk),
    ] {
        let desired = asking(on_running);
        let runs = heard(held(kind), Errand::Status, 102, status(true));
        let runs = heard(kept(runs, &desired, 102), Errand::Cancel, 103, Ok(Told::Cancelled));
        check(&runs, &desired, 104, "status");
        check(&runs, &desired, 110, "quiet Some(false), still_running");
        let told = kept(runs, &desired, 110);
        check(&told, &desired, 111, "status");
        check(&heard(told, Errand::Status, 112, status(false)), &desired, 112, "quiet Some(true), quiet");

        let unknown = heard(held(kind), Errand::Status, 109, failed(FailureKind::Server));
        check(&unknown, &desired, 109, "rest until 111");
        check(&unknown, &desired, 110, "quiet None, still_running");
    }
}

#[test]
fn what_runs_is_asked_to_stop_once_and_only_where_the_window_says_so() {
    let desired = asking(Some(OnRunning::Cancel));
    check(&held(SyncKind::Model), &desired, 101, "status");
    let runs = kept(heard(held(SyncKind::Model), Errand::Status, 102, status(true)), &desired, 102);
    check(&runs, &desired, 103, "cancel");
    let lost = heard(runs.clone(), Errand::Cancel, 103, failed(FailureKind::Lost));
    check(&lost, &desired, 106, "cancel");
    let refused = heard(runs.clone(), Errand::Cancel, 103, failed(FailureKind::Forbidden));
    check(&refused, &desired, 106, "status");
    let asked = heard(runs.clone(), Errand::Cancel, 103, Ok(Told::Cancelled));
    check(&asked, &desired, 104, "status");
    check(&runs, &asking(Some(OnRunning::Wait)), 103, "status");
}

#[test]
fn no_errand_is_in_the_way_of_a_resume() {
    for errand in [Errand::Status, Errand::Cancel] {
        let mut case = held(SyncKind::Bulk);
        case.errands.call = Some(errand);
        assert!(!case.is_in_flight());
        assert_eq!(decide(&case, &Desired::Running, 200), Step::Look);
        check(&case, &Desired::Running, 200, "rest");
        let Step::Resume { .. } = decide(&saw(case, SyncState::Inactive, 200), &Desired::Running, 200) else {
            panic!("it is not resumed")
        };
    }
}

#[test]
fn what_was_asked_before_a_pause_says_nothing_of_it() {
    let desired = asking(Some(OnRunning::Wait));
    let mut case = saw(unheld(), SyncState::Active, 100);
    case.errands.call = Some(Errand::Status);
    let step = decide(&case, &desired, 100);
    assert!(matches!(step, Step::Pause { .. }), "{step:?}");
    case.take(&step);
    case.errands.hear(Learnt { sent: moment(99), result: status(false) }, moment(101));
    case.hear(
        Evidence::Answered { active: false, sent: moment(100), verdict: Verdict::Applied },
        moment(101),
    );
    let step = decide(&case, &desired, 101);
    case.take(&step);
    check(&case, &desired, 101, "status");
}

#[test]
fn what_ran_when_the_pause_began_is_not_quiet_until_it_is_seen_to_be() {
    let desired = asking(None);
    let runs = heard(bulk(), Errand::Status, 101, status(true));
    let step = decide(&saw(runs, SyncState::Active, 110), &desired, 110);
    let Step::Pause { hold, .. } = step else { panic!("{step:?}") };
    assert_eq!((hold.runs.quiet, hold.runs.last_completed), (Some(false), Some(at(50))));
    let idle = heard(bulk(), Errand::Status, 101, status(false));
    let step = decide(&saw(idle, SyncState::Active, 102), &desired, 102);
    let Step::Pause { hold, .. } = step else { panic!("{step:?}") };
    assert_eq!(hold.runs.quiet, None, "it may have begun to run since");
}

/// A model sync whose resume at 200 was confirmed at 200. A run was planned for 150.
fn resumed() -> Case {
    let mut case = answered(row(HoldState::Held), true, 200, Verdict::Applied);
    case.hold.as_mut().unwrap().runs.next = Some(at(150));
    let step = decide(&case, &Desired::Running, 200);
    let Step::Keep { hold, events, .. } = &step else { panic!("{step:?}") };
    assert_eq!((hold.state, hold.runs.after), (HoldState::Settling, After::Proof));
    assert_eq!(events[0].kind, EventKind::Resumed);
    case.take(&step);
    assert!(case.is_first_proof_to_come());
    assert_eq!(decide(&case, &Desired::Running, 200), Step::Rest { until: None });
    check(&case, &Desired::Running, 200, "prove");
    case
}

fn proof(state: SyncState, frequency: Frequency, next: Option<i64>, newest: Option<i64>) -> Told {
    let (newest, next) = (newest.map(at), next.map(at));
    let status = Some(RunStatus { is_running: false, newest, last_completed: None, next });
    Told::Proof(Proof { state, frequency, status })
}

#[test]
fn a_row_is_kept_until_a_look_shows_that_the_sync_is_on_and_will_run() {
    use Frequency::{ByTime, OnDemand, RunAfter, Unknown};
    let running = &Desired::Running;
    for (frequency, next) in
        [(ByTime, Some(3600)), (OnDemand, None), (RunAfter, None), (Unknown, None), (OnDemand, Some(3600))]
    {
        let seen = proof(SyncState::Active, frequency, next, None);
        check(&heard(resumed(), Errand::Prove, 201, Ok(seen)), running, 201, "forget");
    }
    let gone = proof(SyncState::Gone, Unknown, None, None);
    check(&heard(resumed(), Errand::Prove, 201, Ok(gone)), running, 201, "forget");

    let failed = heard(resumed(), Errand::Prove, 201, failed(FailureKind::Server));
    assert!(!failed.is_first_proof_to_come());
    check(&failed, running, 201, "rest until 203");
    check(&failed, running, 203, "prove");
    check(&failed, running, 800, "forget");
}

#[test]
fn a_sync_that_is_on_and_planned_to_run_never_again_is_told() {
    let unplanned = || Ok(proof(SyncState::Active, Frequency::ByTime, None, None));
    let mut case = resumed();
    for sent in [201, 202, 204] {
        case = heard(case, Errand::Prove, sent, unplanned());
        let ErrandStep::Rest { .. } = errand(&case, &Desired::Running, sent) else {
            panic!("the API was given no time to plan")
        };
    }
    let case = heard(case, Errand::Prove, 208, unplanned());
    check(&case, &Desired::Running, 208, "forget, unscheduled");
}

#[test]
fn a_confirmation_that_a_look_denies_at_once_was_none_and_later_it_is_somebodys_doing() {
    let off = || Ok(proof(SyncState::Inactive, Frequency::ByTime, None, None));
    let mut case = heard(resumed(), Errand::Prove, 210, off());
    check(&case, &Desired::Running, 210, "resuming, Nothing, resume_failed");
    case.take_errand(&errand(&case, &Desired::Running, 210));
    assert_eq!(case.retry.map(|it| it.failures), Some(1));
    assert_eq!(decide(&case, &Desired::Running, 213), Step::Look);
    check(&heard(resumed(), Errand::Prove, 211, off()), &Desired::Running, 211, "forget");

    // It is ours to the next window, too.
    let next = paused_by(&[occurrence("next", 201, 300)]);
    let denied = decide(&saw(resumed(), SyncState::Inactive, 205), &next, 205);
    assert!(matches!(&denied, Step::Keep { hold, .. } if hold.state == HoldState::Held), "{denied:?}");
    let later = decide(&saw(resumed(), SyncState::Inactive, 211), &next, 211);
    assert!(matches!(&later, Step::Keep { hold, .. } if hold.state == HoldState::Skipped), "{later:?}");
}

/// A moment later nobody could tell any more whose doing it is.
#[test]
fn whether_a_bulk_sync_was_resumed_is_looked_at_before_its_executions_are_waited_for() {
    let runs = RunPolicy { on_running: None, limit: Duration::from_mins(1), catch_up: false };
    let next = paused_by(&[Occurrence { runs, ..occurrence("next", 203, 300) }]);
    let mut case = resumed();
    case.sync = sync(SyncKind::Bulk);
    assert_eq!(decide(&case, &next, 203), Step::Look);
    case.take(&Step::Look);
    let off = decide(&saw(case.clone(), SyncState::Inactive, 203), &next, 204);
    assert!(matches!(&off, Step::Keep { hold, .. } if hold.state == HoldState::Held), "{off:?}");
    let on = decide(&saw(case, SyncState::Active, 203), &next, 204);
    assert_eq!(on, Step::Rest { until: up(263) }, "once is enough");
}

#[test]
fn a_proof_that_was_asked_for_in_time_knows_better_than_a_later_look() {
    let next = paused_by(&[occurrence("next", 211, 300)]);
    let mut case = resumed();
    case.errands.call = Some(Errand::Prove);
    let later = saw(case.clone(), SyncState::Inactive, 212);
    assert_eq!(decide(&later, &next, 212), Step::Rest { until: None });
    let result = |state| Ok(proof(state, Frequency::ByTime, None, None));
    for case in [case, later.clone()] {
        let denied = heard(case, Errand::Prove, 209, result(SyncState::Inactive));
        let step = decide(&denied, &next, 213);
        assert!(matches!(&step, Step::Keep { hold, .. } if hold.state == HoldState::Held), "{step:?}");
    }
    let shown = heard(later, Errand::Prove, 209, result(SyncState::Active));
    let step = decide(&shown, &next, 213);
    assert!(matches!(&step, Step::Keep { hold, .. } if hold.state == HoldState::Skipped), "{step:?}");
    // One that is asked for again was asked for too late.
    let mut again = heard(resumed(), Errand::Prove, 204, failed(FailureKind::Server));
    again.errands.call = Some(Errand::Prove);
    let step = decide(&saw(again, SyncState::Inactive, 212), &next, 212);
    assert!(matches!(&step, Step::Keep { hold, .. } if hold.state == HoldState::Skipped), "{step:?}");
}

#[test]
fn what_a_look_shows_to_be_off_right_after_its_resume_is_resumed_again() {
    let seen = |sent| decide(&saw(resumed(), SyncState::Inactive, sent), &Desired::Running, sent);
    assert!(matches!(seen(210), Step::Resume { .. }), "{:?}", seen(210));
    assert_eq!(seen(211), Step::Rest { until: None });
}

#[test]
fn another_process_goes_by_the_row() {
    let off = |sent| {
        let case = Case::remembered(resumed().hold.unwrap());
        heard(case, Errand::Prove, sent, Ok(proof(SyncState::Inactive, Frequency::ByTime, None, None)))
    };
    check(&off(209), &Desired::Running, 209, "resuming, Nothing, resume_failed");
    check(&off(215), &Desired::Running, 215, "forget");
}

/// A sync whose window asks to catch up.
fn catching_up() -> Case {
    let mut case = resumed();
    let runs = RunPolicy { catch_up: true, ..RunPolicy::default() };
    case.hold.as_mut().unwrap().holders = [Occurrence { runs, ..a() }].into();
    case
}

#[test]
fn a_missed_run_is_made_up_for_once() {
    let running = &Desired::Running;
    let active = |newest| Ok(proof(SyncState::Active, Frequency::ByTime, Some(3600), newest));
    let due = heard(catching_up(), Errand::Prove, 201, active(Some(90)));
    check(&due, running, 201, "settling, Start(0)");
    let due = kept(due, running, 201);
    check(&due, running, 201, "start, Started(1)");
    let mut started = due.clone();
    started.take_errand(&errand(&due, running, 201));
    let started = heard(started, Errand::Start, 202, Ok(Told::Started));
    check(&started, running, 203, "prove");
    check(&heard(started, Errand::Prove, 203, active(Some(202))), running, 203, "forget, caught_up");
}

#[test]
fn a_start_is_tried_three_times_each_after_a_look() {
    let running = &Desired::Running;
    let active = || Ok(proof(SyncState::Active, Frequency::ByTime, Some(3600), None));
    let mut case = kept(heard(catching_up(), Errand::Prove, 201, active()), running, 201);
    for (tried, now) in [(1, 202), (2, 212), (3, 222)] {
        check(&case, running, now, &format!("start, Started({tried})"));
        case.take_errand(&errand(&case, running, now));
        case = heard(case, Errand::Start, now, failed(FailureKind::Conflict));
        check(&case, running, now + 5, "prove");
        case = heard(case, Errand::Prove, now + 5, active());
        if tried < 3 {
            case = kept(case, running, now + 5);
        }
    }
    check(&case, running, 230, "forget, catch_up_failed");
    let ErrandStep::Forget { events } = errand(&case, running, 230) else { panic!("{case:?}") };
    assert_eq!(events[0].error.as_deref(), Some("started 3 times: no luck"));
}

#[test]
fn a_missed_run_is_made_up_for_though_another_holder_outlasts_the_window_that_asks() {
    let mut case = catching_up();
    let hold = case.hold.as_mut().unwrap();
    hold.served = std::mem::replace(&mut hold.holders, [b()].into()).to_vec();
    let active = Ok(proof(SyncState::Active, Frequency::ByTime, Some(3600), Some(90)));
    check(&heard(case, Errand::Prove, 201, active), &Desired::Running, 201, "settling, Start(0)");
}

#[test]
fn a_start_that_was_never_possible_in_time_is_told() {
    let running = &Desired::Running;
    let due = |after| {
        let mut case = catching_up();
        case.hold.as_mut().unwrap().runs.after = after;
        case
    };
    for (after, minutes, told) in [
        (After::Start(0), 61, true),
        (After::Started(1), 11, true),
        (After::Proof, 11, true),
        (After::Start(0), 59, false),
    ] {
        let now = 200 + 60 * minutes;
        let step = errand(&due(after), running, now);
        let is_told = matches!(&step, ErrandStep::Forget { events } if !events.is_empty());
        assert_eq!(is_told, told, "{after:?} after {minutes} minutes: {step:?}");
    }
    // Nothing was missed, and nothing is told.
    check(&resumed(), running, 200 + 60 * 11, "forget");
    // What is told says which run it was.
    let ErrandStep::Forget { events } = errand(&due(After::Start(0)), running, 200 + 60 * 61) else {
        panic!("it is over")
    };
    let run = due(After::Start(0)).hold.unwrap().runs.next.unwrap();
    let detail = format!("the run of {} had fallen into the pause", crate::domain::moment::instant(run));
    assert_eq!(events[0].detail, Some(detail));
}

#[test]
fn what_was_not_missed_or_runs_anyway_is_not_started() {
    use Frequency::{ByTime, RunAfter};
    let running = &Desired::Running;
    let seen = |frequency, newest| Ok(proof(SyncState::Active, frequency, Some(3600), newest));
    check(&heard(resumed(), Errand::Prove, 201, seen(ByTime, None)), running, 201, "forget");
    check(&heard(catching_up(), Errand::Prove, 201, seen(RunAfter, None)), running, 201, "forget");
    check(&heard(catching_up(), Errand::Prove, 201, seen(ByTime, Some(200))), running, 201, "forget");
    let mut later = catching_up();
    later.hold.as_mut().unwrap().runs.next = Some(at(5000));
    check(&heard(later, Errand::Prove, 201, seen(ByTime, None)), running, 201, "forget");
}

#[test]
fn what_may_be_missed_is_asked_for_once_before_the_pause() {
    let runs = RunPolicy { catch_up: true, ..RunPolicy::default() };
    let desired = paused_by(&[Occurrence { runs, ..a() }]);
    assert_ne!(decide(&unheld(), &desired, 100), Step::Look);
    check(&unheld(), &desired, 100, "status");
    for result in [status(true), status(false), failed(FailureKind::Timeout)] {
        assert_eq!(decide(&heard(unheld(), Errand::Status, 101, result), &desired, 101), Step::Look);
    }
}

#[test]
fn a_pause_waits_for_an_execution_until_it_begins_or_is_found_needless() {
    let desired = asking(None);
    let mut asked = bulk();
    assert!(!asked.errands.waited(), "nothing was asked");
    asked.take_errand(&errand(&asked, &desired, 100));
    assert!(asked.errands.waited());
    let idle = heard(asked, Errand::Status, 101, status(false));
    assert!(idle.errands.waited(), "the answer alone ends nothing");

    let mut off = saw(idle.clone(), SyncState::Inactive, 102);
    off.take(&decide(&off, &desired, 102));
    assert_eq!(off.hold.as_ref().unwrap().state, HoldState::Skipped);
    assert!(!off.errands.waited(), "it was off before");

    let mut on = saw(idle.clone(), SyncState::Active, 102);
    on.take(&decide(&on, &desired, 102));
    assert_eq!(on.hold.as_ref().unwrap().state, HoldState::Pausing);
    assert!(!on.errands.waited(), "it is being paused");

    let mut over = idle;
    over.take_errand(&errand(&over, &Desired::Running, 200));
    assert!(!over.errands.waited(), "the window is over");
}

#[test]
fn an_errand_under_way_when_a_pause_begins_is_still_under_way() {
    let mut case = saw(unheld(), SyncState::Active, 100);
    case.errands.call = Some(Errand::Status);
    case.take(&decide(&case, &asking(None), 100));
    assert_eq!(case.errands.call, Some(Errand::Status), "a second one would be one too many");
}

#[test]
fn an_operator_who_asks_for_a_retry_is_not_kept_waiting() {
    let desired = asking(None);
    let mut case = held(SyncKind::Bulk);
    for sent in [101, 102, 104] {
        case = heard(case, Errand::Status, sent, failed(FailureKind::Server));
    }
    check(&case, &desired, 105, "rest until 112");
    case.errands.retry_now();
    check(&case, &desired, 105, "status");
    // The waits begin anew, too.
    let again = heard(case, Errand::Status, 105, failed(FailureKind::Server));
    check(&again, &desired, 106, "rest until 107");
}

#[test]
fn what_a_look_proved_is_known_until_it_is_decided() {
    let mut case = resumed();
    assert_eq!(case.errands.proven(), None);
    let Told::Proof(seen) = proof(SyncState::Active, Frequency::OnDemand, None, None) else { unreachable!() };
    case = heard(case, Errand::Prove, 201, Ok(Told::Proof(seen.clone())));
    assert_eq!(case.errands.proven(), Some(&seen));
    let step = errand(&case, &Desired::Running, 201);
    assert!(step.ends_proof());
    case.take_errand(&step);
    assert_eq!(case.errands.proven(), None);
}

#[test]
fn a_resume_is_through_when_it_is_on_and_nothing_is_to_follow() {
    let kept = |state: HoldState, after: After| {
        let mut hold = row(state).hold.unwrap();
        hold.runs.after = after;
        ErrandStep::Keep { hold: Box::new(hold), events: vec![], retry: None }.ends_proof()
    };
    assert!(ErrandStep::Forget { events: vec![] }.ends_proof());
    assert!(kept(HoldState::Settling, After::Nothing) && kept(HoldState::Released, After::Nothing));
    assert!(!kept(HoldState::Settling, After::Start(0)), "a start is owed");
    assert!(!kept(HoldState::Held, After::Nothing) && !kept(HoldState::Resuming, After::Nothing));
    assert!(!ErrandStep::Rest { until: None }.ends_proof());
}

#[test]
fn patience_ends_on_a_whole_second_and_never_early() {
    let desired = asking(None);
    // Begun at 100, so it ends at 110: seen from a little after 103, in 6.75 s.
    let passed = Duration::from_millis(250);
    for (ahead, until) in [(Duration::ZERO, 110), (Duration::from_millis(1), 111), (passed, 111)] {
        let step = decide_with(&bulk(), &desired, 103, |turn| turn.now.uptime += ahead);
        assert_eq!(step, Step::Rest { until: up(until) }, "uptime is {ahead:?} past the wall clock's second");
    }
}

#[test]
fn nothing_is_started_before_every_sync_that_is_due_was_resumed() {
    let running = &Desired::Running;
    let active = Ok(proof(SyncState::Active, Frequency::ByTime, Some(3600), Some(90)));
    let due = kept(heard(catching_up(), Errand::Prove, 201, active), running, 201);
    assert_eq!(errand_if(&due, running, 201, false), ErrandStep::Rest { until: up(216) });
    assert!(matches!(errand_if(&due, running, 201, true), ErrandStep::Start { .. }));
}

#[test]
fn a_row_goes_with_its_proof_only_if_nothing_else_needs_it() {
    let gone = |state: HoldState, unsettled: Unsettled| {
        let mut case = resumed();
        let hold = case.hold.as_mut().unwrap();
        (hold.state, hold.unsettled) = (state, unsettled);
        heard(case, Errand::Prove, 201, Ok(proof(SyncState::Gone, Frequency::Unknown, None, None)))
    };
    let none = Unsettled::default();
    let late = Unsettled { pause: up(190), resume: None };
    check(&gone(HoldState::Settling, none), &Desired::Running, 201, "forget");
    check(&gone(HoldState::Settling, late), &Desired::Running, 201, "settling, Nothing");
    check(&gone(HoldState::Released, none), &Desired::Running, 201, "released, Nothing");
    // A person decided against the window that covers it: that is to be remembered.
    let mut decided = gone(HoldState::Settling, none);
    decided.hold.as_mut().unwrap().left_alone = vec![a()];
    check(&decided, &paused_by(&[a()]), 201, "settling, Nothing");
}

#[test]
fn what_becomes_of_a_run_that_does_not_end_is_told_with_it() {
    let told = |case: &Case, desired: &Desired| match errand(case, desired, 110) {
        ErrandStep::Keep { events, .. } => events.into_iter().next().unwrap().detail.unwrap(),
        other => panic!("{other:?}"),
    };
    let runs = |kind| heard(held(kind), Errand::Status, 102, status(true));
    let (wait, cancel) = (asking(Some(OnRunning::Wait)), asking(Some(OnRunning::Cancel)));
    let over = "`on_running_limit` is over";
    for (case, desired, expected) in [
        (runs(SyncKind::Model), &wait, "; it goes on, and the pause stands"),
        (runs(SyncKind::Bulk), &wait, ": the sync was paused all the same, so Polytomic cancels it"),
        (runs(SyncKind::Model), &cancel, "; it was asked to stop and has not yet"),
        (
            heard(held(SyncKind::Bulk), Errand::Status, 102, failed(FailureKind::Server)),
            &wait,
            ", and whether one runs is not known: no luck",
        ),
    ] {
        assert_eq!(told(&case, desired), format!("{over}{expected}"));
    }
    // Where nobody has asked yet there is nothing to be told.
    check(&held(SyncKind::Bulk), &wait, 110, "status");
}
