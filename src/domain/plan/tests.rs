//! The table, row by row, and the rules that span rows.

use super::*;
use crate::domain::execution::{After, RunPolicy};
use crate::domain::hold::Unsettled;
use crate::domain::organization::KeySource;
use crate::domain::sync::{SyncKind, SyncRef};
use crate::domain::verdict::{Failure, FailureKind};
use uuid::Uuid;

mod errands;

const SETTLE: u64 = 120;

/// A time of the night, in seconds; window `a` covers `[100, 200)`.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// Both clocks agree here: uptime began 1,000 s before second 0.
fn moment(seconds: i64) -> Moment {
    Moment { wall: at(seconds), uptime: Duration::from_secs((1000 + seconds).unsigned_abs()) }
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in a row")]
fn up(seconds: i64) -> Option<Uptime> {
    Some(moment(seconds).uptime)
}

fn occurrence(window: &str, opens: i64, closes: i64) -> Occurrence {
    Occurrence {
        window: window.into(),
        pauses: at(opens),
        opens: at(opens),
        closes: at(closes),
        enforce: false,
        runs: RunPolicy::default(),
    }
}

fn a() -> Occurrence {
    occurrence("a", 100, 200)
}

fn b() -> Occurrence {
    occurrence("b", 150, 300)
}

fn paused_by(holders: &[Occurrence]) -> Desired {
    let until = holders.iter().map(|it| it.closes).max().unwrap();
    Desired::Paused(Pause { holders: holders.into(), until })
}

fn organization() -> Arc<Organization> {
    Arc::new(Organization::example())
}

fn sync(kind: SyncKind) -> SyncRef {
    SyncRef::new("default".into(), kind, Uuid::from_u128(7))
}

fn unheld() -> Case {
    Case::new(sync(SyncKind::Model))
}

/// A case with a row in this state, for window `a`, written at its start.
fn row(state: HoldState) -> Case {
    let mut case = unheld();
    let mut hold = case.new_hold(&organization(), state, at(100));
    match state {
        HoldState::Skipped | HoldState::Released => hold.leave_alone(&[a()]),
        _ => {
            hold.holders = [a()].into();
            hold.resume_by = at(200);
        }
    }
    if matches!(state, HoldState::Pausing) {
        hold.unsettled.pause = up(100);
    }
    if matches!(state, HoldState::Resuming) {
        hold.unsettled.resume = up(200);
    }
    case.hold = Some(hold);
    case
}

fn saw(mut case: Case, state: SyncState, sent: i64) -> Case {
    let evidence = Evidence::Saw { state, sent: moment(sent), by: Some("Ada".into()) };
    case.call = Some(Call::Look);
    case.hear(evidence, moment(sent));
    case
}

fn answered(case: Case, active: bool, sent: i64, verdict: Verdict) -> Case {
    let mut case = case;
    let before = case.hold.clone().map(Box::new);
    let mut hold =
        case.hold.clone().unwrap_or_else(|| case.new_hold(&organization(), HoldState::Pausing, at(sent)));
    if active {
        hold.state = HoldState::Resuming;
        hold.unsettled.resume = up(sent);
        case.call = Some(Call::Resume { before: before.clone().unwrap() });
    } else {
        hold.state = HoldState::Pausing;
        hold.unsettled.pause = up(sent);
        case.call = Some(Call::Pause { before });
    }
    case.hold = Some(hold);
    case.hear(Evidence::Answered { active, sent: moment(sent), verdict }, moment(sent));
    case
}

fn unknown() -> Verdict {
    Verdict::Unknown(Failure::new(FailureKind::Timeout, "no answer within 30s"))
}

fn refused() -> Verdict {
    Verdict::Refused(Failure::new(FailureKind::Forbidden, "the API answered 403 Forbidden"))
}

fn decide(case: &Case, desired: &Desired, now: i64) -> Step {
    decide_with(case, desired, now, |_| {})
}

fn decide_with<'a>(case: &Case, desired: &'a Desired, now: i64, change: impl FnOnce(&mut Turn<'a>)) -> Step {
    let organization: &'static Arc<Organization> = Box::leak(Box::new(organization()));
    let rules: &'static Rules = Box::leak(Box::default());
    let mut turn = Turn {
        now: moment(now),
        desired,
        organization: Some(organization),
        may_pause: true,
        key_proven: true,
        all_resumed: true,
        statuses_hang: false,
        is_exempt: false,
        jitter: 0.5,
        rules,
    };
    change(&mut turn);
    next_step(case, &turn)
}

/// A step in a word, with the row's state and what is told.
fn word(step: &Step) -> String {
    let told =
        |events: &[Event]| events.iter().fold(String::new(), |told, it| told + " +" + it.kind.as_str());
    match step {
        Step::Rest { .. } => "rest".to_owned(),
        Step::Look => "look".to_owned(),
        Step::Pause { .. } => "pause".to_owned(),
        Step::Resume { .. } => "resume".to_owned(),
        Step::Keep { hold, events, .. } => format!("{}{}", hold.state.as_str(), told(events)),
        Step::Forget { events } => format!("forget{}", told(events)),
        Step::Defer { events, .. } => format!("defer{}", told(events)),
    }
}

fn check(case: &Case, desired: &Desired, now: i64, expected: &str) {
    let step = decide(case, desired, now);
    assert_eq!(
        word(&step),
        expected,
        "for {:?}, {desired:?} at {now}",
        case.hold.as_ref().map(|it| it.state)
    );
}

/// What is remembered, wanted and seen, and the step in a word.
type Row<'a> = (Option<HoldState>, &'a Desired, Option<SyncState>, &'a str);

#[test]
fn the_table() {
    use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
    use SyncState::{Active, Gone, Inactive};
    let paused = paused_by(&[a()]);
    let both = paused_by(&[a(), b()]);
    let running = Desired::Running;
    let rows: &[Row] = &[
        (None, &running, None, "rest"),
        (None, &paused, None, "look"),
        (None, &paused, Some(Active), "pause"),
        (None, &paused, Some(Inactive), "skipped +skipped"),
        (None, &paused, Some(Gone), "defer +gone"),
        (Some(Skipped), &paused, None, "rest"),
        (Some(Released), &paused, None, "rest"),
        (Some(Skipped), &running, None, "forget"),
        (Some(Released), &running, None, "forget"),
        (Some(Skipped), &both, None, "look"),
        (Some(Released), &both, Some(Active), "pause"),
        (Some(Skipped), &both, Some(Inactive), "skipped +skipped"),
        (Some(Pausing), &paused, None, "look"),
        (Some(Pausing), &paused, Some(Active), "pause"),
        (Some(Pausing), &paused, Some(Inactive), "held +paused"),
        (Some(Pausing), &running, None, "look"),
        (Some(Pausing), &running, Some(Active), "settling"),
        (Some(Pausing), &running, Some(Inactive), "resume"),
        (Some(Held), &paused, None, "look"),
        (Some(Held), &paused, Some(Active), "released +released"),
        (Some(Held), &paused, Some(Inactive), "rest"),
        (Some(Held), &both, None, "held"),
        (Some(Held), &running, None, "look"),
        (Some(Held), &running, Some(Active), "forget +released"),
        (Some(Held), &running, Some(Inactive), "resume"),
        (Some(Held), &running, Some(Gone), "held +gone"),
        (Some(Resuming), &running, None, "look"),
        (Some(Resuming), &running, Some(Active), "settling +resumed"),
        (Some(Resuming), &running, Some(Inactive), "resume"),
        (Some(Resuming), &both, None, "look"),
        (Some(Resuming), &both, Some(Active), "pause"),
        (Some(Resuming), &both, Some(Inactive), "held +paused"),
        (Some(Settling), &running, None, "forget"),
        (Some(Settling), &both, None, "look"),
        (Some(Settling), &both, Some(Active), "pause"),
        (Some(Settling), &both, Some(Inactive), "skipped +skipped"),
    ];
    for (state, desired, seen, expected) in rows {
        let case = state.map_or_else(unheld, row);
        let case = seen.map_or(case.clone(), |seen| saw(case, seen, 210));
        check(&case, desired, 210, expected);
    }
}

#[test]
fn a_confirmed_pause_is_held_and_a_confirmed_resume_is_forgotten() {
    let paused = paused_by(&[a()]);
    let step = decide(&answered(unheld(), false, 101, Verdict::Applied), &paused, 102);
    assert_eq!(word(&step), "held +paused");
    let Step::Keep { hold, .. } = step else { panic!("{step}") };
    assert_eq!((hold.unsettled, hold.resume_by), (Unsettled::default(), at(200)));
    check(
        &answered(row(HoldState::Held), true, 201, Verdict::Applied),
        &Desired::Running,
        202,
        "settling +resumed",
    );
}

#[test]
fn a_pause_that_was_never_answered_keeps_its_row_until_it_is_settled() {
    // Sent at 190, given up at 195: the sync is seen running after the window …
    let step = decide(&answered(unheld(), false, 190, unknown()), &paused_by(&[a()]), 195);
    assert_eq!(word(&step), "pausing +pause_failed");
    let mut case = unheld();
    case.take(&step);
    let step = decide(&saw(case.clone(), SyncState::Active, 201), &Desired::Running, 201);
    assert_eq!(word(&step), "settling");
    case.take(&step);
    case.looked = up(201);
    // … and the row waits until nothing sent before can be applied any more.
    check(&case, &Desired::Running, 300, "rest");
    check(&case, &Desired::Running, 195 + 119, "rest");
    check(&case, &Desired::Running, 195 + 120, "look");
    check(&saw(case.clone(), SyncState::Active, 314), &Desired::Running, 330, "rest");
    check(&saw(case.clone(), SyncState::Active, 315), &Desired::Running, 330, "forget");
    check(&saw(case, SyncState::Inactive, 315), &Desired::Running, 330, "resume");
}

#[test]
fn a_refused_pause_leaves_nothing_to_settle_and_nothing_to_resume() {
    let step = decide(&answered(unheld(), false, 110, refused()), &paused_by(&[a()]), 111);
    assert_eq!(word(&step), "pausing +pause_failed");
    let mut case = unheld();
    case.take(&step);
    check(&saw(case.clone(), SyncState::Active, 201), &Desired::Running, 201, "forget");
    // Somebody else switched it off meanwhile: that is theirs to undo.
    check(&saw(case.clone(), SyncState::Inactive, 201), &Desired::Running, 201, "forget");
    check(&saw(case, SyncState::Inactive, 150), &paused_by(&[a()]), 150, "skipped +skipped");
}

#[test]
fn a_refusal_does_not_settle_an_earlier_request() {
    let mut case = row(HoldState::Pausing);
    case.hold.as_mut().unwrap().unsettled.pause = up(105);
    let step = decide(&answered(case, false, 110, refused()), &paused_by(&[a()]), 111);
    let Step::Keep { hold, .. } = step else { panic!("{step}") };
    assert_eq!(hold.unsettled.pause, up(105));
}

#[test]
fn only_an_answer_sent_after_the_pause_began_decides_whose_it_is() {
    let paused = paused_by(&[a()]);
    check(&saw(unheld(), SyncState::Inactive, 99), &paused, 101, "look");
    check(&saw(unheld(), SyncState::Active, 99), &paused, 101, "look");
    check(&saw(unheld(), SyncState::Active, 100), &paused, 101, "pause");
    // The second window of a skipped sync is a decision of its own.
    check(&saw(row(HoldState::Skipped), SyncState::Active, 149), &paused_by(&[a(), b()]), 151, "look");
}

/// What a clock says now counts as much as what it said when the look was sent.
#[test]
fn a_look_from_before_the_clock_was_set_tells_nothing_of_a_pause_that_begins_by_it() {
    let seen = |sent: Moment, now: Moment| {
        let mut case = unheld();
        case.call = Some(Call::Look);
        case.hear(Evidence::Saw { state: SyncState::Active, sent, by: None }, now);
        word(&decide_with(&case, &paused_by(&[a()]), 0, |turn| turn.now = now))
    };
    let clock = |wall: i64, uptime: i64| Moment { wall: at(wall), ..moment(uptime) };
    assert_eq!(seen(clock(150, 150), clock(152, 152)), "pause");
    assert_eq!(seen(clock(150, 150), clock(101, 155)), "look", "set back: the pause begins anew");
    assert_eq!(seen(clock(50, 150), clock(160, 152)), "look", "set forward: it begins meanwhile");
}

#[test]
fn a_sync_that_was_switched_on_is_left_on_until_another_window_begins() {
    let step = decide(&saw(row(HoldState::Held), SyncState::Active, 130), &paused_by(&[a()]), 130);
    assert_eq!(word(&step), "released +released");
    let mut case = row(HoldState::Held);
    case.take(&step);
    check(&case, &paused_by(&[a()]), 140, "rest");
    check(&case, &paused_by(&[a(), b()]), 150, "look");
    // Where `b` alone counts, its end is the end.
    let step = decide(&saw(case, SyncState::Active, 151), &paused_by(&[a(), b()]), 151);
    let Step::Pause { hold, until } = step else { panic!("{step}") };
    assert_eq!((&*hold.holders, until), (&[b()][..], at(300)));
}

#[test]
fn enforcing_windows_pause_again_but_not_what_was_off_before() {
    let enforced = |holders: &[Occurrence]| {
        let holders = holders.iter().map(|it| Occurrence { enforce: true, ..it.clone() }).collect();
        let Desired::Paused(pause) = paused_by(&[a()]) else { unreachable!() };
        Desired::Paused(Pause { holders, ..pause })
    };
    check(&saw(row(HoldState::Held), SyncState::Active, 130), &enforced(&[a()]), 130, "pause");
    check(&row(HoldState::Skipped), &enforced(&[a()]), 130, "rest");
}

#[test]
fn an_unanswered_resume_is_the_likelier_cause_of_a_running_sync() {
    let mut case = row(HoldState::Held);
    case.hold.as_mut().unwrap().unsettled.resume = up(90);
    let settled = i64::try_from(SETTLE).unwrap() + 90;
    let day = occurrence("day", 100, 86_500);
    // However long nobody looked: it may have been applied in the meantime.
    for sent in [settled - 1, settled, settled + 600] {
        check(
            &saw(case.clone(), SyncState::Active, sent),
            &paused_by(std::slice::from_ref(&day)),
            sent,
            "pause",
        );
    }
    // Until it is seen off by a look that comes later than any request lives.
    for (sent, then) in [(settled - 1, "pause"), (settled, "released +released")] {
        let mut seen_off = saw(case.clone(), SyncState::Inactive, sent);
        let kept = decide(&seen_off, &paused_by(std::slice::from_ref(&day)), sent);
        seen_off.take(&kept);
        check(
            &saw(seen_off, SyncState::Active, sent + 60),
            &paused_by(std::slice::from_ref(&day)),
            sent + 60,
            then,
        );
    }
}

#[test]
fn without_a_configuration_nothing_is_paused_and_what_is_due_is_resumed() {
    let alone = |turn: &mut Turn| {
        turn.may_pause = false;
        turn.organization = None;
    };
    let held = row(HoldState::Held);
    let desired = |now| held.hold.as_ref().unwrap().desired_alone(at(now));
    assert_eq!(word(&decide_with(&held, &desired(150), 150, alone)), "look");
    assert_eq!(desired(200), Desired::Running);
    let due = saw(held.clone(), SyncState::Inactive, 200);
    assert_eq!(word(&decide_with(&due, &desired(200), 200, alone)), "resume");
    let pausing = saw(row(HoldState::Pausing), SyncState::Active, 150);
    assert_eq!(word(&decide_with(&pausing, &desired(150), 150, alone)), "rest");
    assert_eq!(word(&decide_with(&unheld(), &paused_by(&[a()]), 150, alone)), "rest");
}

#[test]
fn an_operators_resume_outlives_the_resume_itself() {
    let mut case = row(HoldState::Held);
    case.hold.as_mut().unwrap().leave_alone(&[a()]);
    let paused = paused_by(&[a()]);
    check(&case, &paused, 150, "look");
    check(&saw(case.clone(), SyncState::Inactive, 150), &paused, 150, "resume");
    let step = decide(&answered(case.clone(), true, 151, Verdict::Applied), &paused, 152);
    assert_eq!(word(&step), "released +resumed");
    let Step::Keep { hold, .. } = &step else { panic!("{step}") };
    // Also where only the row can be asked.
    let alone = hold.desired_alone(at(160));
    case.take(&step);
    check(&case, &alone, 160, "rest");
    check(&case, &paused, 160, "rest");
    // What shows that it is so is still to come.
    check(&case, &Desired::Running, 200, "settling");
    case.hold.as_mut().unwrap().runs.after = crate::domain::execution::After::Nothing;
    check(&case, &Desired::Running, 200, "forget");
}

#[test]
fn failures_wait_longer_each_time_and_a_failed_pause_does_not_delay_the_resume() {
    let mut case = answered(unheld(), false, 110, unknown());
    let step = decide(&case, &paused_by(&[a()]), 111);
    case.take(&step);
    assert_eq!(
        case.retry,
        Some(Retry {
            pausing: true,
            failures: 1,
            not_before: moment(111).uptime + Duration::from_millis(500)
        })
    );
    check(&case, &paused_by(&[a()]), 111, "rest");
    check(&case, &Desired::Running, 111, "look");
    let step = decide(&answered(case.clone(), false, 112, unknown()), &paused_by(&[a()]), 113);
    let Step::Keep { hold, retry: Some(retry), .. } = step else { panic!("{step}") };
    assert_eq!((hold.attempts, retry.failures), (2, 2));
    assert_eq!(retry.not_before, moment(113).uptime + Duration::from_secs(1));
}

#[test]
fn being_told_to_slow_down_is_not_a_failure() {
    let throttled = Verdict::Refused(Failure::new(FailureKind::Throttled, "429"));
    let step = decide(&answered(unheld(), false, 110, throttled), &paused_by(&[a()]), 111);
    let Step::Keep { hold, events, retry } = step else { panic!("{step}") };
    assert_eq!((hold.attempts, hold.unsettled, events.len(), retry), (0, Unsettled::default(), 0, None));
}

#[test]
fn an_intent_that_could_not_be_written_never_was() {
    let mut case = unheld();
    let step = decide(&saw(case.clone(), SyncState::Active, 101), &paused_by(&[a()]), 101);
    case.take(&step);
    let failure = Failure::new(FailureKind::Ledger, "the disk is full");
    case.hear(Evidence::NotWritten { failure }, moment(102));
    assert_eq!(case.hold, None);
    check(&case, &paused_by(&[a()]), 102, "defer +pause_failed");
}

#[test]
fn it_is_told_once_that_a_sync_is_overdue_and_once_that_it_recovered() {
    let mut case = row(HoldState::Held);
    check(&case, &Desired::Running, 499, "look");
    let step = decide(&case, &Desired::Running, 500);
    assert_eq!(word(&step), "held +overdue");
    case.take(&step);
    check(&case, &Desired::Running, 501, "look");
    check(
        &answered(case, true, 502, Verdict::Applied),
        &Desired::Running,
        503,
        "settling +resumed +recovered",
    );
}

#[test]
fn a_deleted_sync_is_forgotten_after_a_day_and_only_if_the_key_works_elsewhere() {
    let hour = 3600;
    let mut case = row(HoldState::Held);
    for answer in 0..24 {
        let now = 210 + answer * hour;
        let step = decide(&saw(case.clone(), SyncState::Gone, now), &Desired::Running, now);
        assert_eq!(word(&step), if answer == 0 { "held +gone" } else { "held" }, "answer {answer}");
        case = saw(case, SyncState::Gone, now);
        case.take(&step);
        // It is asked for again an hour later (an overdue row tells so first).
        case.hold.as_mut().unwrap().overdue_told = true;
        check(&case, &Desired::Running, now + hour - 1, "rest");
        check(&case, &Desired::Running, now + hour, "look");
    }
    let day = 210 + 24 * hour;
    let seen = saw(case.clone(), SyncState::Gone, day);
    let unproven = decide_with(&seen, &Desired::Running, day, |turn| turn.key_proven = false);
    assert_eq!(word(&unproven), "held");
    check(&seen, &Desired::Running, day, "forget +forgotten");
    // A reload that asks sooner adds nothing.
    check(&saw(case, SyncState::Gone, day - 1), &Desired::Running, day - 1, "held");
}

#[test]
fn a_sync_that_comes_and_goes_is_told_each_time_and_counted_anew() {
    let wanted = paused_by(&[occurrence("day", 100, 86_500)]);
    let mut case = row(HoldState::Held);
    for (now, state, expected, times) in [
        (110, SyncState::Gone, "held +gone", Some(1)),
        (120, SyncState::Inactive, "held", None),
        (130, SyncState::Gone, "held +gone", Some(1)),
        (140, SyncState::Gone, "held", Some(1)),
    ] {
        case = saw(case, state, now);
        let step = decide(&case, &wanted, now);
        assert_eq!(word(&step), expected, "at {now}");
        case.take(&step);
        assert_eq!(case.hold.as_ref().unwrap().gone.map(|it| it.times), times, "at {now}");
    }
}

#[test]
fn a_clock_that_is_set_forward_does_not_make_a_day_of_a_minute() {
    let year = |now: i64| Moment { wall: at(now) + chrono::TimeDelta::days(365), ..moment(now) };
    let mut case = row(HoldState::Held);
    for now in (210..210 + 24 * 3600).step_by(1200) {
        let seen = saw(case.clone(), SyncState::Gone, now);
        let jump = now > 210;
        let step = decide_with(&seen, &Desired::Running, now, |turn| {
            turn.now = if jump { year(now) } else { moment(now) };
        });
        assert!(matches!(step, Step::Keep { .. }), "at {now}: {step:?}");
        case = seen;
        case.take(&step);
        case.hold.as_mut().unwrap().overdue_told = true;
    }
    // Those in between neither count nor put off the next that does.
    let mut hold = case.hold.unwrap();
    assert_eq!(hold.gone.unwrap().times, 24);
    // Nor does a process that starts: what it finds counts once.
    hold.gone.as_mut().unwrap().times = 3;
    let mut restarted = Case::remembered(hold);
    for now in [300_000, 300_060, 300_120] {
        let seen = saw(restarted.clone(), SyncState::Gone, now);
        let step = decide_with(&seen, &Desired::Running, now, |turn| turn.now = year(now));
        restarted = seen;
        restarted.take(&step);
    }
    assert_eq!(restarted.hold.unwrap().gone.unwrap().times, 4);
}

#[test]
fn a_row_keeps_the_address_under_which_it_was_paused() {
    let desired = paused_by(&[a()]);
    let moved =
        Arc::new(Organization { url: "https://elsewhere.example".into(), ..(*organization()).clone() });
    let step = decide_with(&saw(row(HoldState::Pausing), SyncState::Active, 150), &desired, 150, |turn| {
        turn.organization = Some(&moved);
    });
    let Step::Pause { hold, .. } = step else { panic!("{step}") };
    assert_eq!(hold.organization.url, "https://app.polytomic.com");
}

#[test]
fn a_row_that_somebody_released_is_settled_too() {
    // A pause of ours was given up at 110 and may still be applied.
    let mut case = row(HoldState::Released);
    case.hold.as_mut().unwrap().unsettled.pause = up(110);
    case.looked = up(120);
    let paused = paused_by(&[a()]);
    check(&case, &paused, 150, "rest");
    check(&saw(case.clone(), SyncState::Inactive, 150), &paused, 150, "resume");
    // However long ago that was: nobody has looked since.
    check(&case, &Desired::Running, 500, "settling");
    let late = 110 + i64::try_from(SETTLE).unwrap();
    let mut long = case.clone();
    long.hold.as_mut().unwrap().left_alone[0].closes = at(900);
    check(&long, &paused, late - 1, "rest");
    check(&long, &paused, late, "look");
    let step = decide(&saw(long, SyncState::Active, late), &paused, late);
    let Step::Keep { hold, .. } = step else { panic!("{step}") };
    assert_eq!((hold.state, hold.unsettled), (HoldState::Released, Unsettled::default()));
}

#[test]
fn a_process_that_starts_looks_at_once_at_what_may_be_off() {
    let mut case = row(HoldState::Settling);
    case.hold.as_mut().unwrap().unsettled.pause = up(100);
    check(&case, &Desired::Running, 110, "look");
    check(&saw(case.clone(), SyncState::Active, 111), &Desired::Running, 111, "rest");
    check(&saw(case, SyncState::Inactive, 111), &Desired::Running, 111, "resume");
}

#[test]
fn a_resume_that_was_told_to_slow_down_is_sent_again_without_a_look() {
    let throttled = Verdict::Refused(Failure::new(FailureKind::Throttled, "429"));
    let mut case = answered(row(HoldState::Held), true, 201, throttled);
    let step = decide(&case, &Desired::Running, 202);
    assert_eq!(word(&step), "resume");
    case.take(&step);
    case.hear(Evidence::Answered { active: true, sent: moment(203), verdict: Verdict::Applied }, moment(203));
    // The one that was refused left nothing to settle.
    check(&case, &Desired::Running, 204, "settling +resumed");
}

#[test]
fn an_answer_grows_stale_by_its_own_age() {
    let mut case = row(HoldState::Held);
    case.looked = up(100);
    let mut case = saw(case, SyncState::Gone, 200);
    case.drop_stale_evidence(moment(201).uptime, Duration::from_secs(10));
    assert!(case.evidence.is_some(), "it was heard a second ago");
    case.drop_stale_evidence(moment(211).uptime, Duration::from_secs(10));
    assert!(case.evidence.is_none());
}

#[test]
fn only_a_window_that_counts_can_enforce() {
    let mut case = row(HoldState::Held);
    let hold = case.hold.as_mut().unwrap();
    hold.holders = [b()].into();
    hold.leave_alone(&[a()]);
    let Desired::Paused(pause) = paused_by(&[a(), b()]) else { unreachable!() };
    let holders = vec![Occurrence { enforce: true, ..a() }, b()];
    let desired = Desired::Paused(Pause { holders: holders.into(), ..pause });
    check(&saw(case, SyncState::Active, 160), &desired, 160, "released +released");
}

#[test]
fn an_operators_word_about_a_pause_on_its_way_outlives_a_failed_write() {
    let mut case = unheld();
    let step = decide(&saw(case.clone(), SyncState::Active, 101), &paused_by(&[a()]), 101);
    case.take(&step);
    let mut hold = case.hold.clone().unwrap();
    hold.leave_alone(&[a()]);
    case.decide_for(hold);
    case.hear(Evidence::NotWritten { failure: Failure::new(FailureKind::Ledger, "full") }, moment(102));
    case.take(&decide(&case, &paused_by(&[a()]), 102));
    check(&case, &paused_by(&[a()]), 103, "rest");
}

#[test]
fn a_key_that_moved_is_found_where_it_is_but_never_sent_elsewhere() {
    let mut case = row(HoldState::Held);
    let moved = Organization { key: KeySource::Credential("key".into()), ..(*organization()).clone() };
    assert!(case.readdress(&Arc::new(moved.clone())));
    assert_eq!(case.hold.as_ref().unwrap().organization.key, moved.key);
    let elsewhere = Organization { url: "https://elsewhere.example".into(), ..moved };
    assert!(!case.readdress(&Arc::new(elsewhere)));
    assert_eq!(case.hold.unwrap().organization.url, "https://app.polytomic.com");
}

#[test]
fn a_pause_lasts_as_long_as_windows_follow_one_another() {
    // `b` follows `a` without a gap, and does not hold the sync yet.
    let desired = Desired::Paused(Pause { holders: [a()].into(), until: at(300) });
    let step = decide(&saw(unheld(), SyncState::Active, 150), &desired, 150);
    let Step::Pause { hold, until } = &step else { panic!("{step:?}") };
    assert_eq!((hold.resume_by, *until), (at(300), at(300)));
}

#[test]
fn what_was_switched_on_after_an_earlier_pause_is_paused_with_the_next() {
    // Nobody was there when `a` closed at 200.
    let case = row(HoldState::Held);
    for (opens, expected) in [(200, "released +released"), (201, "pause")] {
        let next = paused_by(&[occurrence("c", opens, 400)]);
        check(&saw(case.clone(), SyncState::Active, 250), &next, 250, expected);
        check(&saw(case.clone(), SyncState::Inactive, 250), &next, 250, "held");
    }
    // The look has to be younger than the window.
    check(&saw(case.clone(), SyncState::Active, 205), &paused_by(&[occurrence("c", 210, 400)]), 250, "look");
    // One of those that hold it is the one that it is about.
    let both = paused_by(&[a(), occurrence("c", 210, 400)]);
    check(&saw(case, SyncState::Active, 250), &both, 250, "released +released");
}

#[test]
fn what_may_be_off_because_of_us_is_held_when_the_next_window_comes() {
    let mut case = row(HoldState::Settling);
    case.hold.as_mut().unwrap().unsettled.resume = up(140);
    check(&saw(case.clone(), SyncState::Inactive, 160), &paused_by(&[b()]), 160, "skipped +skipped");
    case.hold.as_mut().unwrap().unsettled.pause = up(140);
    check(&saw(case, SyncState::Inactive, 160), &paused_by(&[b()]), 160, "held +paused");
}

#[test]
fn a_pause_needs_leave_and_an_organization_and_is_thought_of_again() {
    let wanted = paused_by(&[a()]);
    let look = |change: fn(&mut Turn)| decide_with(&unheld(), &wanted, 150, |turn| change(turn));
    assert_eq!(look(|_| {}), Step::Look);
    assert_eq!(look(|turn| turn.may_pause = false), Step::Rest { until: None });
    assert_eq!(look(|turn| turn.organization = None), Step::Rest { until: None });

    let seen = saw(unheld(), SyncState::Active, 150);
    let drift = Rules::default().drift_check;
    let later = Step::Rest { until: Some(moment(150).uptime + drift) };
    assert_eq!(decide_with(&seen, &wanted, 150, |turn| turn.may_pause = false), later);
}

#[test]
fn a_held_sync_is_looked_at_once_every_drift_check() {
    let wanted = paused_by(&[a()]);
    let mut case = saw(row(HoldState::Held), SyncState::Inactive, 110);
    case.take(&decide(&case, &wanted, 110));
    let drift = Rules::default().drift_check;
    let due = i64::try_from(drift.as_secs()).unwrap() + 110;
    assert_eq!(decide(&case, &wanted, due - 1), Step::Rest { until: Some(moment(due).uptime) });
    assert_eq!(decide(&case, &wanted, due), Step::Look);
}

#[test]
fn what_happened_is_told_with_its_reason() {
    let detail = |step: &Step| match step {
        Step::Keep { events, .. } => events[0].detail.clone(),
        other => panic!("{other:?}"),
    };
    let skipped = decide(&saw(unheld(), SyncState::Inactive, 150), &paused_by(&[a()]), 150);
    assert_eq!(detail(&skipped).as_deref(), Some("was already off"));
    let held =
        decide(&answered(row(HoldState::Pausing), false, 150, Verdict::Applied), &paused_by(&[a()]), 151);
    assert_eq!(detail(&held), Some(format!("until {}", at(200).format("%Y-%m-%dT%H:%M:%SZ"))));
}

#[test]
fn steps_are_told_in_words() {
    let step = decide(&saw(unheld(), SyncState::Active, 150), &paused_by(&[a(), b()]), 150);
    let until = at(300).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(step.to_string(), format!("pause until {until} for a, b"));
    assert_eq!(Step::Look.to_string(), "look at it");
    assert_eq!(Step::Rest { until: None }.to_string(), "nothing to do");
}

#[test]
fn what_runs_by_our_doing_is_not_somebody_elses() {
    let told =
        |how: SyncState, state: HoldState| match decide(&saw(row(state), how, 210), &Desired::Running, 210) {
            Step::Forget { events } | Step::Keep { events, .. } => {
                events.into_iter().map(|it| (it.kind, it.detail)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(told(SyncState::Active, HoldState::Resuming), [(EventKind::Resumed, None)]);
    let somebody = Some("somebody had switched it on".to_owned());
    assert_eq!(told(SyncState::Active, HoldState::Held), [(EventKind::Released, somebody)]);
}

#[test]
fn a_decision_with_a_pause_without_an_answer_is_settled_by_a_late_look_alone() {
    let settled = 110 + i64::try_from(SETTLE).unwrap();
    let day = occurrence("day", 100, 86_500);
    let mut case = row(HoldState::Released);
    let hold = case.hold.as_mut().unwrap();
    hold.leave_alone(std::slice::from_ref(&day));
    hold.unsettled.pause = up(110);
    let wanted = paused_by(&[day]);
    let early = decide(&saw(case.clone(), SyncState::Active, settled - 1), &wanted, settled - 1);
    assert_eq!(early, Step::Rest { until: Some(moment(settled).uptime) });
    let late = decide(&saw(case, SyncState::Active, settled), &wanted, settled);
    let Step::Keep { hold, .. } = late else { panic!("{late:?}") };
    assert_eq!((hold.state, hold.unsettled), (HoldState::Released, Unsettled::default()));
}

#[test]
fn a_process_that_has_looked_waits_until_the_pause_without_an_answer_is_settled() {
    let settled = 210 + i64::try_from(SETTLE).unwrap();
    let mut case = row(HoldState::Settling);
    case.hold.as_mut().unwrap().unsettled.pause = up(210);
    case.looked = up(211);
    let wait = Step::Rest { until: Some(moment(settled).uptime) };
    assert_eq!(decide(&case, &Desired::Running, settled - 1), wait);
    assert_eq!(decide(&case, &Desired::Running, settled), Step::Look);
}

#[test]
fn a_persons_decision_outlives_an_exemption_inside_its_occurrence() {
    let paused = paused_by(&[a()]);
    for state in [HoldState::Released, HoldState::Skipped] {
        let case = row(state);
        let exempt = |now| word(&decide_with(&case, &Desired::Running, now, |turn| turn.is_exempt = true));
        assert_eq!(exempt(150), "rest");
        // And then not any more.
        check(&case, &paused, 160, "rest");
        assert_eq!(exempt(199), "rest");
        assert_eq!(exempt(200), "forget");
        // The window is no more, or shorter.
        check(&case, &Desired::Running, 150, "forget");
    }
    // Where a pause of ours has no answer yet, the decision outlives the look at that, too.
    let mut case = row(HoldState::Released);
    case.hold.as_mut().unwrap().left_alone[0].closes = at(900);
    case.hold.as_mut().unwrap().unsettled.pause = up(110);
    let step = decide(&case, &Desired::Running, 150);
    assert_eq!(word(&step), "settling");
    case.take(&step);
    let seen = saw(case, SyncState::Active, 300);
    let exempt = |case: &Case, now| {
        let mut case = case.clone();
        case.take(&decide_with(&case, &Desired::Running, now, |turn| turn.is_exempt = true));
        case
    };
    let released = exempt(&seen, 300);
    assert_eq!(released.hold.as_ref().map(|it| it.state), Some(HoldState::Released));
    // Until the second after the end of what it is about.
    let rest = decide_with(&released, &Desired::Running, 400, |turn| turn.is_exempt = true);
    assert_eq!(rest, Step::Rest { until: Some(moment(901).uptime) });
    // Before the look can tell, or before its resume is proven, there is more to wait for.
    let state = |case: &Case| case.hold.as_ref().map(|it| it.state);
    let early = Case { evidence: None, ..seen.clone() };
    let early = exempt(&saw(early, SyncState::Active, 150), 150);
    assert_eq!(state(&early), Some(HoldState::Settling));
    let mut unproven = seen;
    unproven.hold.as_mut().unwrap().runs.after = After::Proof;
    assert_eq!(state(&exempt(&unproven, 300)), Some(HoldState::Settling));
}

#[test]
fn a_list_that_was_asked_for_together_with_the_look_is_as_new() {
    let looked = |at: i64| {
        let mut case = row(HoldState::Held);
        case.looked = up(at);
        case
    };
    assert!(looked(150).was_listed(true, moment(150)), "it is on, and somebody has to look");
    assert!(!looked(151).was_listed(true, moment(150)), "the look knows better");
    let mut off = looked(150);
    assert!(!off.was_listed(false, moment(160)));
    assert_eq!(off.looked, up(160));
    let mut in_doubt = looked(150);
    in_doubt.hold.as_mut().unwrap().unsettled.pause = up(140);
    assert!(!in_doubt.was_listed(true, moment(160)), "it is looked at anyway");
}

#[test]
fn what_a_pause_has_served_is_known_until_the_next_pause() {
    let opens = |holders: &[Occurrence], name: &str| holders.iter().any(|it| it.window.as_str() == name);
    let mut case = row(HoldState::Held);
    for desired in [paused_by(&[a(), b()]), paused_by(&[b()])] {
        let step = decide(&case, &desired, 150);
        assert_eq!(word(&step), "held");
        case.take(&step);
    }
    let hold = case.hold.as_ref().unwrap();
    assert!(opens(&hold.served, "a") && opens(&hold.holders, "b"), "{hold:?}");
    assert_eq!(hold.all_served().count(), 2);
    // The same, resumed and paused again.
    case.hold.as_mut().unwrap().state = HoldState::Settling;
    let Step::Pause { hold, .. } = decide(&saw(case, SyncState::Active, 260), &paused_by(&[b()]), 260) else {
        panic!("it is paused again")
    };
    assert!(hold.served.is_empty(), "{hold:?}");
}

/// The events of a step, and the row it leaves.
fn kept(step: Step) -> (Hold, Vec<Event>) {
    match step {
        Step::Keep { hold, events, .. } => (*hold, events),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_names_its_sync_and_window_and_how_long_the_answer_took() {
    let mut case = answered(row(HoldState::Pausing), false, 150, Verdict::Applied);
    case.name = Some("Leads".into());
    let (_, events) = kept(decide(&case, &paused_by(&[a()]), 152));
    let event = &events[0];
    assert_eq!((event.sync.as_ref(), event.name.as_deref()), (Some(&case.sync), Some("Leads")));
    assert_eq!((event.window.clone(), event.occurrence), (Some("a".into()), Some(at(100))));
    assert_eq!(event.took, Some(Duration::from_secs(2)));
    let (_, seen) = kept(decide(&saw(unheld(), SyncState::Inactive, 150), &paused_by(&[a()]), 152));
    assert_eq!(seen[0].took, None, "a look changes nothing");
}

#[test]
fn who_switched_it_on_is_told_if_the_api_says() {
    let by = |who: Option<&str>| {
        let mut case = saw(row(HoldState::Held), SyncState::Active, 130);
        let by = who.map(ToOwned::to_owned);
        case.evidence = Some(Box::new(Evidence::Saw { state: SyncState::Active, sent: moment(130), by }));
        kept(decide(&case, &paused_by(&[a()]), 130)).1.remove(0).by
    };
    assert_eq!(by(Some("Ada")), "Ada");
    assert_eq!(by(None), "somebody at Polytomic");
}

#[test]
fn what_failed_is_in_the_row_until_something_succeeds() {
    let (failed, _) = kept(decide(&answered(unheld(), false, 110, unknown()), &paused_by(&[a()]), 111));
    assert_eq!((failed.attempts, failed.last_error.as_deref()), (1, Some("no answer within 30s")));
    let mut case = unheld();
    case.hold = Some(failed);
    let (held, _) = kept(decide(&saw(case.clone(), SyncState::Inactive, 120), &paused_by(&[a()]), 120));
    assert_eq!((held.state, held.attempts, held.last_error), (HoldState::Held, 0, None));
    let (gone, _) = kept(decide(&saw(case, SyncState::Gone, 120), &paused_by(&[a()]), 120));
    assert_eq!(gone.last_error.as_deref(), Some("Polytomic does not know this sync (404)"));
}

#[test]
fn a_long_outage_is_told_ten_times_and_then_about_once_an_hour() {
    let told = |attempt: u32| {
        let mut case = answered(row(HoldState::Held), true, 210, unknown());
        case.retry = Some(Retry { pausing: false, failures: attempt - 1, not_before: Uptime::ZERO });
        let (_, events) = kept(decide(&case, &Desired::Running, 211));
        events.iter().map(|it| it.attempt).collect::<Vec<_>>()
    };
    for attempt in [1, 9, 10, 60, 120] {
        assert_eq!(told(attempt), [Some(attempt)]);
    }
    for attempt in [11, 59, 61] {
        assert_eq!(told(attempt), [], "attempt {attempt}");
    }
}

#[test]
fn a_pause_that_fails_when_its_window_is_over_is_no_failure() {
    let over = answered(unheld(), false, 199, unknown());
    check(&over, &Desired::Running, 201, "pausing");
    check(
        &answered(row(HoldState::Held), true, 201, unknown()),
        &Desired::Running,
        202,
        "resuming +resume_failed",
    );
}

#[test]
fn a_sync_that_is_gone_when_it_is_to_be_changed_is_gone() {
    let gone = || Verdict::Refused(Failure::new(FailureKind::Gone, "404"));
    check(&answered(unheld(), false, 110, gone()), &paused_by(&[a()]), 111, "pausing +gone");
    check(&answered(row(HoldState::Held), true, 210, gone()), &Desired::Running, 211, "resuming +gone");
    let Step::Defer { events, .. } = decide(&saw(unheld(), SyncState::Gone, 110), &paused_by(&[a()]), 110)
    else {
        panic!("there is nothing to keep")
    };
    let is_the_id_right = "Polytomic does not know this sync; is the id right?";
    assert_eq!(events[0].detail.as_deref(), Some(is_the_id_right));
}

#[test]
fn only_a_resume_that_is_still_owed_is_sent_again_without_a_look() {
    let slow = || Verdict::Refused(Failure::new(FailureKind::Throttled, "429"));
    check(&answered(row(HoldState::Held), true, 201, slow()), &Desired::Running, 202, "resume");
    check(&answered(row(HoldState::Held), true, 201, slow()), &paused_by(&[b()]), 202, "resuming");
    check(&answered(unheld(), false, 199, slow()), &Desired::Running, 201, "pausing");
}

#[test]
fn a_look_that_was_told_to_slow_down_is_no_failure() {
    let mut case = row(HoldState::Held);
    case.call = Some(Call::Look);
    let failed = |kind| Evidence::LookFailed { failure: Failure::new(kind, "no luck") };
    case.hear(failed(FailureKind::Throttled), moment(210));
    check(&case, &Desired::Running, 210, "defer");
    case.hear(failed(FailureKind::Timeout), moment(210));
    check(&case, &Desired::Running, 210, "held +resume_failed");
}

#[test]
fn what_fails_is_told_of_the_window_that_wants_it_now() {
    let mut case = row(HoldState::Pausing);
    case.call = Some(Call::Look);
    case.hear(Evidence::LookFailed { failure: Failure::new(FailureKind::Timeout, "no luck") }, moment(210));
    let (_, events) = kept(decide(&case, &paused_by(&[b()]), 210));
    assert_eq!(events[0].window, Some("b".into()), "`a` is over");
    let (_, events) = kept(decide(&case, &Desired::Running, 210));
    assert_eq!(events[0].window, Some("a".into()));
}

#[test]
fn what_is_overdue_is_told_with_what_it_met() {
    let mut case = row(HoldState::Held);
    case.hold.as_mut().unwrap().last_error = Some("no answer within 30s".into());
    let (_, events) = kept(decide(&case, &Desired::Running, 500));
    assert_eq!(
        (events[0].kind, events[0].error.as_deref()),
        (EventKind::Overdue, Some("no answer within 30s"))
    );
}

#[test]
fn a_decision_is_remembered_for_two_days_after_what_it_was_about() {
    let two_days = 2 * 24 * 3600;
    let left = |now: i64| {
        let mut case = saw(row(HoldState::Held), SyncState::Active, now);
        case.hold.as_mut().unwrap().left_alone = vec![occurrence("old", 10, 20)];
        let (hold, _) = kept(decide(&case, &paused_by(&[occurrence("now", 100, 400_000)]), now));
        hold.left_alone.iter().any(|it| it.window.as_str() == "old")
    };
    assert!(left(20 + two_days - 1));
    assert!(!left(20 + two_days));
}

#[test]
fn an_answer_close_upon_one_that_another_process_counted_counts_no_more() {
    let times = |ago: i64| {
        let mut hold = row(HoldState::Held).hold.unwrap();
        hold.gone = Some(crate::domain::hold::Gone { since: at(10_000 - ago), times: 3 });
        let case = saw(Case::remembered(hold), SyncState::Gone, 10_000);
        kept(decide(&case, &Desired::Running, 10_000)).0.gone.unwrap().times
    };
    assert_eq!((times(3599), times(3600)), (3, 4));
}

#[test]
fn a_proof_to_come_does_not_hide_a_request_without_an_answer() {
    let mut case = row(HoldState::Settling);
    let hold = case.hold.as_mut().unwrap();
    hold.runs.after = crate::domain::execution::After::Proof;
    hold.unsettled.pause = up(210);
    case.looked = up(211);
    let settled = 210 + i64::try_from(SETTLE).unwrap();
    assert_eq!(decide(&case, &Desired::Running, 212), Step::Rest { until: up(settled) });
}

#[test]
fn a_resume_that_waits_for_its_proof_keeps_the_count_of_its_failures() {
    let retry = Some(Retry { pausing: false, failures: 3, not_before: moment(200).uptime });
    let after = |case: &mut Case| {
        case.retry = retry;
        match decide(case, &Desired::Running, 211) {
            Step::Keep { retry, .. } => retry,
            other => panic!("{other:?}"),
        }
    };
    let mut confirmed = answered(row(HoldState::Held), true, 210, Verdict::Applied);
    assert_eq!(after(&mut confirmed), retry);
    // Such as the hour after an answer of "not known", which would be an hour of the next window.
    let mut missed = answered(row(HoldState::Held), true, 210, Verdict::Applied);
    missed.retry = Some(Retry { pausing: true, failures: 0, not_before: moment(3800).uptime });
    let confirmed = decide(&missed, &Desired::Running, 211);
    missed.take(&confirmed);
    assert_eq!(decide(&missed, &paused_by(&[occurrence("next", 211, 300)]), 211), Step::Look);
    let mut proven = saw(row(HoldState::Pausing), SyncState::Active, 211);
    assert_eq!(after(&mut proven), None, "nothing is to be proven");
}

#[test]
fn a_resume_without_an_answer_needs_no_look_to_be_settled() {
    let mut case = row(HoldState::Settling);
    case.hold.as_mut().unwrap().unsettled.resume = up(210);
    assert_eq!(case.looked, None, "this process has not looked yet");
    let settled = 210 + i64::try_from(SETTLE).unwrap();
    assert_eq!(decide(&case, &Desired::Running, 211), Step::Rest { until: up(settled) });
    check(&case, &Desired::Running, settled, "forget");
}
