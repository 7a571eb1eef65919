//! Who is asked about a sync, what waits for others, and what reminds of it.

use super::*;
use crate::domain::backoff::Backoff;
use crate::domain::event::EventKind;

/// A row whose resume was confirmed at the window's end, and whose missed run is to be
/// made up for.
fn to_start(number: u128) -> Hold {
    let mut hold = held(number);
    hold.state = HoldState::Settling;
    hold.runs.after = After::Start(0);
    hold.runs.next = Some(at(OPENS + 60));
    hold.runs.resumed = Some(at(CLOSES));
    Arc::make_mut(&mut hold.holders)[0].runs.catch_up = true;
    hold
}

/// Whether the first of these rows is started, and nobody else asked about it.
fn is_started(holds: Vec<Hold>, windows: Vec<Window>) -> bool {
    let mut reconciler = reconciler(holds, Some(in_force(windows, 8)));
    let mut is_started = false;
    for second in 1..40 {
        let now = moment(CLOSES + second);
        for action in reconciler.pass(now) {
            match action {
                // Nobody is through with a look or a switch.
                Action::Start { sync: it, .. } if it == sync(1) => is_started = true,
                Action::Errand { sync, organization, .. } => {
                    hear_proof(&mut reconciler, sync, organization, now);
                }
                _ => {}
            }
        }
    }
    is_started
}

#[test]
fn nobody_is_started_while_another_sync_of_its_organization_is_owed_a_resume() {
    let windows = || vec![window("night", OPENS, CLOSES, &[1, 2])];
    let mut resuming = held(2);
    resuming.state = HoldState::Resuming;
    assert!(is_started(vec![to_start(1)], windows()));
    assert!(!is_started(vec![to_start(1), held(2)], windows()));
    assert!(!is_started(vec![to_start(1), resuming.clone()], windows()));
    let mut released = held(2);
    released.state = HoldState::Released;
    assert!(is_started(vec![to_start(1), released], windows()), "nothing is owed to that one");
    // One that another window holds is to be paused: it is waited for by nobody.
    let longer = vec![window("night", OPENS, CLOSES, &[1]), window("longer", OPENS, CLOSES + 600, &[2])];
    assert!(is_started(vec![to_start(1), held(2)], longer));
    // Nor is one of another organization.
    let mut elsewhere = resuming;
    elsewhere.sync = SyncRef::new("emea".into(), SyncKind::Model, Uuid::from_u128(2));
    assert!(is_started(vec![to_start(1), elsewhere], windows()));
}

#[test]
fn what_is_owed_is_asked_of_whom_the_row_names_and_anything_else_of_the_file() {
    let asked = |hold: Hold, now: i64| {
        let mut in_force = in_force(vec![window("night", OPENS, CLOSES, &[1])], 8);
        let moved = Organization { url: "https://moved.example".into(), ..Organization::example() };
        in_force.organizations.insert("default".into(), (Arc::new(moved), Limits::default()));
        let mut reconciler = reconciler(vec![hold], Some(in_force));
        let actions = reconciler.pass(moment(now));
        actions.into_iter().find_map(|it| match it {
            Action::Look { organization, .. } | Action::Resume { organization, .. } => {
                Some(organization.url.clone())
            }
            _ => None,
        })
    };
    let of_row = Some(Organization::example().url);
    assert_eq!(asked(held(1), CLOSES), of_row, "it was paused there");
    let mut in_doubt = held(1);
    in_doubt.state = HoldState::Settling;
    in_doubt.unsettled.pause = Some(Duration::ZERO);
    assert_eq!(asked(in_doubt, OPENS), of_row, "a request that was sent there may be applied yet");
    let mut skipped = held(1);
    skipped.state = HoldState::Skipped;
    assert_eq!(asked(skipped, OPENS).as_deref(), Some("https://moved.example"));
}

#[test]
fn that_a_sync_is_overdue_is_told_in_time_though_nothing_else_happens() {
    let mut in_force = in_force(vec![], 8);
    // So long that no attempt comes in between.
    let an_hour = Duration::from_hours(1);
    in_force.rules.backoff = Backoff { initial: an_hour, max: an_hour };
    let mut reconciler = reconciler(vec![held(1)], Some(in_force));
    let now = moment(CLOSES);
    // A resume that has no answer.
    for action in reconciler.pass(now) {
        if let Action::Look { .. } = action {
            reconciler.hear(saw(1, SyncState::Inactive, now), now);
        }
    }
    assert_eq!(sent(&reconciler.pass(now)), ["resume 1"]);
    let failure = Failure::new(FailureKind::Unauthorized, "401");
    let evidence = Evidence::Answered { active: true, sent: now, verdict: Verdict::Refused(failure) };
    reconciler.hear(reply(1, evidence, Outcome::Answered), now);
    reconciler.pass(now);
    let overdue_after = i64::try_from(Rules::default().overdue_after.as_secs()).unwrap();
    let mut told = Vec::new();
    let mut at = CLOSES;
    while at < CLOSES + 2 * overdue_after {
        let wake = reconciler.next_wake(moment(at)).uptime.expect("it is not forgotten");
        let wait = wake.saturating_sub(moment(at).uptime).as_secs();
        at += i64::try_from(wait).unwrap().max(1);
        let now = moment(at);
        for action in reconciler.pass(now) {
            if let Action::Write { change } = &action {
                let overdue = change.events().filter(|(_, it)| it.kind == EventKind::Overdue);
                told.extend(overdue.map(|_| at));
            }
            let failure = Failure::new(FailureKind::Unauthorized, "401");
            let evidence = match action {
                Action::Look { .. } => Evidence::LookFailed { failure },
                Action::Resume { .. } => {
                    Evidence::Answered { active: true, sent: now, verdict: Verdict::Refused(failure) }
                }
                _ => continue,
            };
            reconciler.hear(reply(1, evidence, Outcome::Answered), now);
        }
    }
    let [once] = told[..] else { panic!("{told:?}") };
    assert!((CLOSES + overdue_after..=CLOSES + overdue_after + 1).contains(&once), "{once}");
}

#[test]
fn what_an_operator_does_is_journalled_with_who_and_what_and_why() {
    let mut reconciler = keeping(&[1]);
    let now = moment(OPENS);
    reconciler.pass(now);
    let named = Reply { name: Some("Contacts".into()), ..saw(1, SyncState::Active, now) };
    reconciler.hear(named, now);
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    let one = |actions: &[Action]| events(actions).next().expect("something is told").clone();
    let about = |event: &Event| {
        (event.name.clone(), event.window.clone().map(String::from), event.occurrence, event.by.clone())
    };
    let contacts = || Some("Contacts".to_owned());
    let terms =
        |from: i64| Terms { from: at(from), until: at(CLOSES), reason: "load".into(), by: "ada".into() };
    let detail = |it: &Event| it.detail.clone().unwrap();
    let (order, actions) = reconciler.pause([sync(1)].into(), terms(OPENS), now);
    let event = one(&actions);
    let name = Some(order.name().to_string());
    assert_eq!(about(&event), (contacts(), name, Some(at(OPENS)), "ada".into()));
    assert!(detail(&event).starts_with("until ") && detail(&event).ends_with(": load"), "{event:?}");
    let (_, actions) = reconciler.exempt(None, terms(OPENS + 60), now);
    assert!(detail(&one(&actions)).starts_with("from "), "it is for later");
    let occurrence = reconciler.calendar().unwrap().window("night").unwrap().covering(at(OPENS)).unwrap();
    let (_, actions) = reconciler.extend(&occurrence, terms(OPENS), now);
    assert_eq!(about(&one(&actions)), (None, Some("night".into()), Some(at(OPENS)), "ada".into()));
    let (_, actions) = reconciler.resume(&Selection::All, "bob", Some("why not"), now);
    let event = one(&actions);
    assert_eq!(about(&event), (contacts(), Some("night".into()), Some(at(OPENS)), "bob".into()));
    assert_eq!(event.detail.as_deref(), Some("why not"));
    assert_eq!((event.kind, event.sync), (EventKind::OperatorResume, Some(sync(1))));
}

#[test]
fn a_resume_is_owed_now_from_the_end_of_what_holds_a_sync_until_it_is_confirmed() {
    let windows = || Some(in_force(vec![window("night", OPENS, CLOSES, &[1])], 8));
    let row = |state| {
        let mut hold = held(1);
        hold.state = state;
        hold
    };
    let owes = |state, at| reconciler(vec![row(state)], windows()).owes_due_resumes(moment(at));
    for state in [HoldState::Pausing, HoldState::Held] {
        assert!(!owes(state, CLOSES - 1), "{state:?}: the window is open");
        assert!(owes(state, CLOSES), "{state:?}: the window is over");
    }
    assert!(owes(HoldState::Resuming, CLOSES - 1), "somebody has asked for it");
    for state in [HoldState::Settling, HoldState::Skipped, HoldState::Released] {
        assert!(!owes(state, CLOSES), "{state:?}");
    }
    // Somebody decided against what holds it.
    for state in [HoldState::Pausing, HoldState::Held] {
        let mut decided = row(state);
        decided.left_alone = decided.holders.to_vec();
        assert!(reconciler(vec![decided], windows()).owes_due_resumes(moment(CLOSES - 1)), "{state:?}");
    }
    assert!(!keeping(&[1]).owes_due_resumes(moment(CLOSES)), "without a row");
}

/// A window of this name whose pauses of these syncs wait until it is known what runs.
fn asking(name: &str, closes: i64, syncs: &[u128]) -> Window {
    Window {
        runs: RunPolicy { catch_up: true, ..RunPolicy::default() },
        ..window(name, OPENS, closes, syncs)
    }
}

#[test]
fn what_runs_is_asked_after_all_states_and_by_half_of_the_places() {
    let windows = vec![asking("asking", CLOSES, &[1, 2, 3]), window("plain", OPENS, CLOSES, &[4, 5])];
    let mut reconciler = reconciler(vec![], Some(in_force(windows, 4)));
    let now = moment(OPENS);
    assert_eq!(sent(&reconciler.pass(now)), ["look 4", "look 5", "errand 1", "errand 2"]);
    reconciler.hear(saw(4, SyncState::Inactive, now), now);
    assert_eq!(sent(&reconciler.pass(now)), [] as [&str; 0], "the place is for what may be owed");
    hear_status(&mut reconciler, 1, false, now);
    let asked = sent(&reconciler.pass(now));
    assert!(asked.contains(&"errand 3".to_owned()), "{asked:?}");
}

#[test]
fn who_stops_asks_nothing_of_executions_either() {
    let mut reconciler = reconciler(vec![], Some(in_force(vec![asking("asking", CLOSES, &[1])], 8)));
    reconciler.pass(moment(0));
    reconciler.stop();
    assert_eq!(sent(&reconciler.pass(moment(OPENS))), [] as [&str; 0]);
}

/// A look shows whether an execution of this sync runs.
fn hear_status(reconciler: &mut Reconciler, number: u128, is_running: bool, now: Moment) {
    let status = RunStatus { is_running, newest: None, last_completed: None, next: None };
    let learnt = Learnt { sent: now, result: Ok(Told::Status(status)) };
    reconciler.hear_errand(ErrandReply { sync: sync(number), organization: organization(), learnt }, now);
}

#[test]
fn where_questions_about_executions_have_no_answer_no_pause_waits_to_ask_one() {
    let syncs: Vec<u128> = (1..=20).collect();
    let mut reconciler = reconciler(vec![], Some(in_force(vec![asking("asking", CLOSES, &syncs)], 4)));
    let now = moment(OPENS);
    assert_eq!(sent(&reconciler.pass(now)), ["errand 1", "errand 2"]);
    let later = moment(OPENS + 10);
    let failure = Failure::new(FailureKind::Timeout, "no answer");
    let learnt = Learnt { sent: now, result: Err(failure) };
    let reply = ErrandReply { sync: sync(1), organization: organization(), learnt };
    reconciler.hear_errand(reply, later);
    // One place is an errand's still.
    assert_eq!(sent(&reconciler.pass(later)), ["look 1", "look 3", "look 4"]);
    let mut looked = 0;
    for number in [1, 3, 4] {
        reconciler.hear(saw(number, SyncState::Inactive, later), later);
    }
    for _ in 0..20 {
        for asked in sent(&reconciler.pass(later)) {
            let (what, number) = asked.split_once(' ').unwrap();
            assert_eq!(what, "look", "{asked}");
            looked += 1;
            reconciler.hear(saw(number.parse().unwrap(), SyncState::Inactive, later), later);
        }
    }
    assert_eq!(looked, 20 - 4, "all but the one whose question is under way");
    // A minute later it is tried again.
    let windows = vec![asking("asking", CLOSES, &syncs), asking("more", CLOSES, &[21])];
    reconciler.bring_into_force(in_force(windows, 4));
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 71))), ["errand 21"]);
}

#[test]
fn of_those_that_wait_to_ask_what_runs_a_pause_goes_first_and_the_shortest_of_them() {
    // Two places, one of them for errands.
    let windows = vec![
        window("plain", OPENS, CLOSES, &[1]),
        asking("long", CLOSES, &[2, 3]),
        asking("short", CLOSES - 600, &[4]),
    ];
    let mut reconciler = reconciler(vec![held(1)], Some(in_force(windows, 2)));
    let now = moment(OPENS);
    let mut errands = Vec::new();
    for _ in 0..6 {
        for asked in sent(&reconciler.pass(now)) {
            let (what, number) = asked.split_once(' ').unwrap();
            let number = number.parse().unwrap();
            if what == "errand" {
                errands.push(number);
                hear_status(&mut reconciler, number, false, now);
            } else {
                reconciler.hear(saw(number, SyncState::Inactive, now), now);
            }
        }
    }
    assert_eq!(errands, [4, 2, 3, 1], "of one that is held it is asked last");
}

#[test]
fn an_errand_that_waits_for_its_place_is_decided_anew_within_a_minute() {
    let mut reconciler = reconciler(vec![], Some(in_force(vec![asking("asking", CLOSES, &[1, 2])], 2)));
    let now = moment(OPENS + 70);
    assert_eq!(sent(&reconciler.pass(now)), ["errand 1"]);
    // The next whole minute of uptime, so that it is one timer however often it is set.
    let next = Duration::from_mins(now.uptime.as_secs() / 60 + 1);
    assert!(now.uptime < next && next <= now.uptime + Duration::from_mins(1));
    assert_eq!(reconciler.next_wake(now).uptime, Some(next));
    let timers = reconciler.timers.clone();
    reconciler.retry_now();
    reconciler.pass(moment(OPENS + 71));
    assert_eq!(reconciler.timers, timers);
}

#[test]
fn a_pause_that_was_waited_for_in_vain_is_told_only_if_an_execution_ran() {
    let told = |is_running| {
        let mut reconciler = reconciler(vec![], Some(in_force(vec![asking("asking", CLOSES, &[1])], 8)));
        let now = moment(OPENS);
        assert_eq!(sent(&reconciler.pass(now)), ["errand 1"]);
        hear_status(&mut reconciler, 1, is_running, moment(CLOSES));
        let actions = reconciler.pass(moment(CLOSES));
        assert!(reconciler.cases.is_empty(), "nothing is to be remembered of it");
        let of_sync = |it: &&Action| matches!(it, Action::Write { change } if change.sync().is_some());
        let told = events(&actions).filter(|it| it.sync.is_some()).map(|it| it.kind).collect::<Vec<_>>();
        (told, actions.iter().filter(of_sync).count())
    };
    assert_eq!(told(true), (vec![EventKind::StillRunning], 1));
    assert_eq!(told(false), (vec![], 0), "there is no row to be dropped");
}

#[test]
fn the_word_that_a_sync_is_overdue_comes_no_moment_too_early() {
    let half_a_second = Duration::from_millis(500);
    let mut reconciler = reconciler(vec![held(1)], Some(in_force(vec![], 8)));
    let now = Moment { uptime: moment(CLOSES).uptime + half_a_second, ..moment(CLOSES) };
    assert_eq!(sent(&reconciler.pass(now)), ["look 1"]);
    let overdue = now.uptime + Rules::default().overdue_after;
    assert_eq!(reconciler.next_wake(now).uptime, Some(overdue + half_a_second));
}

#[test]
fn who_was_told_to_be_overdue_wakes_nobody_for_that_any_more() {
    let mut in_force = in_force(vec![], 8);
    let an_hour = Duration::from_hours(1);
    in_force.rules.backoff = Backoff { initial: an_hour, max: an_hour };
    let mut late = held(1);
    late.overdue_told = true;
    let mut reconciler = reconciler(vec![late], Some(in_force));
    let now = moment(CLOSES + 3600);
    reconciler.pass(now);
    reconciler.hear(failed(1), now);
    reconciler.pass(now);
    let wake = reconciler.next_wake(now).uptime.expect("it is tried again");
    assert!(now.uptime + Duration::from_mins(10) < wake, "{wake:?}");
}

#[test]
fn that_a_sync_is_not_known_is_journalled_once_however_often_it_is_asked_for() {
    let mut reconciler = keeping(&[1]);
    let now = moment(OPENS);
    let mut told = Vec::new();
    for _ in 0..3 {
        reconciler.retry_now();
        assert!(sent(&reconciler.pass(now)).contains(&"look 1".to_owned()));
        reconciler.hear(saw(1, SyncState::Gone, now), now);
        let actions = reconciler.pass(now);
        told.push((events(&actions).map(|it| it.kind).collect::<Vec<_>>(), actions.len()));
    }
    assert_eq!(told, [(vec![EventKind::Gone], 1), (vec![], 0), (vec![], 0)]);
}
