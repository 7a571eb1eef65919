//! What a pass asks for, with everything handed in: windows, rows, answers, time.

use chrono::TimeDelta;

use super::*;
use crate::domain::calendar::Calendar;
use crate::domain::execution::{After, Frequency, RunPolicy, RunStatus};
use crate::domain::hold::HoldState;
use crate::domain::organization::KeySource;
use crate::domain::plan::{Call, Errands, Proof, Told};
use crate::domain::preflight::Preflight;
use crate::domain::report::{Ending, SyncReport};
use crate::domain::verdict::FailureKind;
use crate::domain::window::{Dates, End, Occurrence, OnManualResume, Start, Times, When, Window};
use crate::domain::zone::Zone;

mod flights;
mod lists;
mod operators;
mod status;
mod turns;
mod windows;

/// Minute 0 of the tests; their window is open from minute 10 to minute 40.
const BEGINNING: i64 = RELEASED.timestamp() + 86_400;

fn moment(seconds: i64) -> Moment {
    let uptime = Duration::from_secs(u64::try_from(10_000 + seconds).unwrap());
    Moment { wall: at(seconds), uptime }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BEGINNING + seconds, 0).unwrap()
}

const OPENS: i64 = 600;
const CLOSES: i64 = 2400;

fn sync(number: u128) -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number))
}

fn window(name: &str, from: i64, until: i64, syncs: &[u128]) -> Window {
    let (start, end) = (Start::Once(When::Instant(at(from))), End::After(TimeDelta::seconds(until - from)));
    Window {
        name: name.into(),
        times: Times::new(start, end, Dates::default(), Zone::utc(), at(0)).unwrap(),
        lead: TimeDelta::zero(),
        syncs: syncs.iter().map(|number| sync(*number)).collect(),
        on_manual_resume: OnManualResume::Respect,
        description: None,
        longer: None,
        select: None,
        runs: RunPolicy::default(),
    }
}

fn organization() -> Arc<Organization> {
    Arc::new(Organization::example())
}

fn in_force(windows: Vec<Window>, places: usize) -> InForce {
    let limits = Limits { max_concurrent_requests: places, ..Limits::default() };
    InForce {
        calendar: Arc::new(Calendar::new(windows)),
        organizations: BTreeMap::from([("default".into(), (organization(), limits))]),
        rules: Rules::default(),
        preflight: None,
    }
}

fn reconciler(holds: Vec<Hold>, in_force: Option<InForce>) -> Reconciler {
    Reconciler::new(holds, vec![], in_force, fastrand::Rng::with_seed(1))
}

/// One over these syncs, with many places.
fn keeping(syncs: &[u128]) -> Reconciler {
    reconciler(vec![], Some(in_force(vec![window("night", OPENS, CLOSES, syncs)], 8)))
}

/// A row that is due at the end of the window.
fn held(number: u128) -> Hold {
    let mut hold = Case::new(sync(number)).new_hold(&organization(), HoldState::Held, at(OPENS));
    hold.resume_by = at(CLOSES);
    hold.holders = [Occurrence {
        window: "night".into(),
        pauses: at(OPENS),
        opens: at(OPENS),
        closes: at(CLOSES),
        enforce: false,
        runs: RunPolicy::default(),
    }]
    .into();
    hold
}

fn reply(number: u128, evidence: Evidence, outcome: Outcome) -> Reply {
    Reply { sync: sync(number), organization: organization(), evidence, name: None, outcome }
}

/// An answer to a look that was sent a moment ago.
fn saw(number: u128, state: SyncState, sent: Moment) -> Reply {
    reply(number, Evidence::Saw { state, sent, by: None }, Outcome::Answered)
}

/// What is sent, in order: `look 1`, `pause 2`, `resume 3`.
fn sent(actions: &[Action]) -> Vec<String> {
    let told = |what: &str, sync: &SyncRef| format!("{what} {}", sync.id.as_u128());
    let of = |action: &Action| match action {
        Action::Look { sync, .. } => Some(told("look", sync)),
        Action::Pause { sync, .. } => Some(told("pause", sync)),
        Action::Resume { sync, .. } => Some(told("resume", sync)),
        Action::Errand { sync, .. } | Action::Start { sync, .. } => Some(told("errand", sync)),
        Action::Scout { sync, .. } => Some(told("scout", sync)),
        Action::List { .. } | Action::Sweep { .. } => Some("list".to_owned()),
        Action::Write { .. } | Action::WriteAgain { .. } => None,
    };
    actions.iter().filter_map(of).collect()
}

/// What is told, in order.
fn events(actions: &[Action]) -> impl Iterator<Item = &Event> {
    let changes = actions.iter().filter_map(|it| match it {
        Action::Write { change } => Some(change),
        _ => None,
    });
    changes.flat_map(|it| it.events().map(|(_, event)| event))
}

/// A look after its resume shows that the sync is on.
fn hear_proof(reconciler: &mut Reconciler, sync: SyncRef, organization: Arc<Organization>, now: Moment) {
    let proof = Proof { state: SyncState::Active, frequency: Frequency::ByTime, status: None };
    let learnt = Learnt { sent: now, result: Ok(Told::Proof(proof)) };
    reconciler.hear_errand(ErrandReply { sync, organization, learnt }, now);
}

#[test]
fn nothing_is_asked_before_a_window_and_each_of_its_syncs_when_it_opens() {
    let mut reconciler = keeping(&[1, 2]);
    assert_eq!(sent(&reconciler.pass(moment(0))), [] as [&str; 0]);
    assert_eq!(reconciler.next_wake(moment(0)).wall, Some(at(OPENS)));
    assert_eq!(sent(&reconciler.pass(moment(OPENS - 1))), [] as [&str; 0]);
    assert_eq!(sent(&reconciler.pass(moment(OPENS))), ["look 1", "look 2"]);
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 1))), [] as [&str; 0], "both are under way");
}

#[test]
fn what_is_on_is_paused_until_the_end_with_its_row_and_what_is_off_is_not() {
    let mut reconciler = keeping(&[1, 2]);
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Active, moment(OPENS)), moment(OPENS + 1));
    reconciler.hear(saw(2, SyncState::Inactive, moment(OPENS)), moment(OPENS + 1));
    let actions = reconciler.pass(moment(OPENS + 1));
    assert_eq!(sent(&actions), ["pause 1"]);
    let Some(Action::Pause { change, until, .. }) =
        actions.iter().find(|it| matches!(it, Action::Pause { .. }))
    else {
        panic!("{actions:?}");
    };
    assert_eq!((change.sync(), *until), (Some(&sync(1)), at(CLOSES)));
    let rows: Vec<_> = reconciler.holds().map(|it| (it.sync.clone(), it.state)).collect();
    assert_eq!(rows, [(sync(1), HoldState::Pausing), (sync(2), HoldState::Skipped)]);
}

#[test]
fn a_look_that_was_answered_long_ago_is_sent_again() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Active, moment(OPENS)), moment(OPENS + 1));
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 12))), ["look 1"]);
}

#[test]
fn one_place_is_the_resumes_before_it_is_a_pauses() {
    let windows = vec![window("night", OPENS, CLOSES, &[1]), window("next", CLOSES, CLOSES + 600, &[2, 3])];
    let mut reconciler = reconciler(vec![held(1)], Some(in_force(windows, 1)));
    // Whose look goes first matters to nobody; what is owed goes before what is wanted.
    let first = sent(&reconciler.pass(moment(CLOSES)));
    assert_eq!(first.len(), 1, "there is one place");
    let mut order = first;
    for _ in 0..8 {
        let last = order.last().unwrap().clone();
        let (what, number) = last.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        let (now, state) =
            (moment(CLOSES + 1), if number == 1 { SyncState::Inactive } else { SyncState::Active });
        let evidence = match what {
            "look" => Evidence::Saw { state, sent: now, by: None },
            "resume" | "pause" => {
                Evidence::Answered { active: what == "resume", sent: now, verdict: Verdict::Applied }
            }
            _ => break,
        };
        reconciler.hear(reply(number, evidence, Outcome::Answered), now);
        order.extend(sent(&reconciler.pass(now)));
    }
    let place = |what: &str| order.iter().position(|it| it == what);
    assert!(place("resume 1").is_some() && place("resume 1") < place("pause 2"), "{order:?}");
    assert!(place("pause 2").is_some() && place("pause 3").is_some(), "{order:?}");
}

#[test]
fn of_very_many_syncs_the_first_are_asked_for_before_the_last_are_decided_about() {
    let later: Vec<u128> = (1..=3 * AT_ONCE as u128).collect();
    let owed = u128::from(u16::MAX);
    let windows = vec![window("night", OPENS, CLOSES, &[owed]), window("next", CLOSES, CLOSES + 600, &later)];
    let mut reconciler = reconciler(vec![held(owed)], Some(in_force(windows, 8)));
    reconciler.hear(saw(owed, SyncState::Inactive, moment(CLOSES - 1)), moment(CLOSES - 1));
    let now = moment(CLOSES);
    let first = sent(&reconciler.pass(now));
    assert_eq!(first.len(), 8, "as many as there are places: {first:?}");
    assert_eq!(first[0], format!("resume {owed}"), "though its number is the last");
    assert!(reconciler.is_more_due() && !reconciler.is_at_rest(now));
    assert_eq!(reconciler.next_wake(now).uptime, Some(now.uptime), "the others' turn is now");
    let mut passes = 1;
    while reconciler.is_more_due() {
        assert_eq!(sent(&reconciler.pass(now)), [] as [&str; 0], "there is no place");
        passes += 1;
    }
    assert_eq!(passes, 4);
    // Everybody is known by then, and whoever stops does not leave that for later.
    assert_eq!(reconciler.cases.len(), later.len() + 1);
    reconciler.retry_now();
    reconciler.stop();
    reconciler.pass(now);
    assert!(!reconciler.is_more_due());
}

#[test]
fn without_a_configuration_a_row_is_resumed_when_it_is_due_and_nothing_else_is_done() {
    let mut reconciler = reconciler(vec![held(1)], None);
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 1))), ["look 1"], "somebody may have switched it on");
    reconciler.hear(saw(1, SyncState::Inactive, moment(OPENS + 1)), moment(OPENS + 2));
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 2))), ["errand 1"], "whether it still runs");
    assert_eq!(reconciler.next_wake(moment(OPENS + 2)).wall, Some(at(CLOSES)));
    assert!(reconciler.owes_resumes());
    let mut order = sent(&reconciler.pass(moment(CLOSES)));
    if order == ["look 1"] {
        reconciler.hear(saw(1, SyncState::Inactive, moment(CLOSES)), moment(CLOSES + 1));
        order = sent(&reconciler.pass(moment(CLOSES + 1)));
    }
    assert_eq!(order, ["resume 1"]);
}

#[test]
fn a_clock_from_before_the_release_pauses_nothing() {
    let mut early = window("night", OPENS, CLOSES, &[1]);
    let years_ago = RELEASED - TimeDelta::days(400);
    early.times = Times::new(
        Start::Once(When::Instant(years_ago)),
        End::After(TimeDelta::hours(1)),
        Dates::default(),
        Zone::utc(),
        years_ago - TimeDelta::hours(1),
    )
    .unwrap();
    let mut reconciler = reconciler(vec![], Some(in_force(vec![early], 8)));
    let now = |seconds| Moment { wall: years_ago + TimeDelta::seconds(seconds), ..moment(seconds) };
    let order = sent(&reconciler.pass(now(0)));
    assert_eq!(order, [] as [&str; 0], "the window is open by this clock");
    assert_eq!(sent(&reconciler.pass(now(1))), [] as [&str; 0]);
    assert_eq!(reconciler.holds().count(), 0);
}

#[test]
fn who_stops_sends_nothing_and_still_takes_note_of_answers() {
    let mut reconciler = keeping(&[1, 2]);
    reconciler.pass(moment(OPENS));
    assert_eq!(reconciler.in_flight(), 2);
    reconciler.stop();
    reconciler.hear(saw(1, SyncState::Active, moment(OPENS)), moment(OPENS + 1));
    assert_eq!(sent(&reconciler.pass(moment(OPENS + 1))), [] as [&str; 0]);
    assert_eq!(reconciler.in_flight(), 1);
}

#[test]
fn what_could_not_be_written_is_written_again_in_its_newest_form() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Inactive, moment(OPENS)), moment(OPENS + 1));
    let actions = reconciler.pass(moment(OPENS + 1));
    let change = actions.into_iter().find_map(|it| match it {
        Action::Write { change } if change.sync().is_some() => Some(change),
        _ => None,
    });
    let told = change.as_ref().map(|it| it.events().count());
    reconciler.write_failed(change.expect("it is left alone, and its row says so"), moment(OPENS + 2));
    assert!(!reconciler.is_written());
    let again = |actions: Vec<Action>| {
        actions.into_iter().find_map(|it| match it {
            Action::WriteAgain { change } => Some((change.sync().cloned(), change.events().count())),
            _ => None,
        })
    };
    assert_eq!(again(reconciler.pass(moment(OPENS + 11))), None, "not at once");
    let due = reconciler.next_wake(moment(OPENS + 11)).uptime;
    assert_eq!(due, Some(moment(OPENS + 12).uptime));
    assert_eq!(again(reconciler.pass(moment(OPENS + 12))), Some((Some(sync(1)), told.unwrap())));
    assert!(reconciler.is_written());
}

#[test]
fn of_a_long_outage_of_the_disk_only_the_beginning_is_kept() {
    let mut reconciler = keeping(&[1]);
    for _ in 0..MOST_UNWRITTEN + 5 {
        let event = Event::new(crate::domain::event::EventKind::ConfigRejected);
        reconciler.write_failed(Change::new().record(at(0), event), moment(0));
    }
    // What an operator was promised is kept in any case.
    reconciler.write_failed(Change::new().drop_order(7), moment(0));
    let kept = reconciler.pass(moment(10)).into_iter().filter(|it| matches!(it, Action::WriteAgain { .. }));
    assert_eq!(kept.count(), MOST_UNWRITTEN + 1);
}

#[test]
fn a_clock_that_is_set_back_before_the_window_asks_again_what_is_wanted() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(OPENS));
    reconciler.hear(saw(1, SyncState::Inactive, moment(OPENS)), moment(OPENS + 1));
    reconciler.pass(moment(OPENS + 1));
    assert_eq!(reconciler.holds().count(), 1);
    let back = Moment { wall: at(OPENS - 300), ..moment(OPENS + 2) };
    reconciler.pass(back);
    assert_eq!(reconciler.next_wake(back).wall, Some(at(OPENS)));
    assert!(!reconciler.owes_resumes());
}

#[test]
fn a_sync_of_another_organization_is_not_delayed_by_one_whose_key_is_refused() {
    let emea = Arc::new(Organization { name: "emea".into(), ..Organization::example() });
    let other = SyncRef::new("emea".into(), SyncKind::Model, Uuid::from_u128(7));
    let mut window = window("night", OPENS, CLOSES, &[1, 2]);
    window.syncs.insert(other);
    let mut in_force = in_force(vec![window], 1);
    in_force.organizations.insert("emea".into(), (emea, Limits::default()));
    let mut reconciler = reconciler(vec![], Some(in_force));
    assert_eq!(sent(&reconciler.pass(moment(OPENS))), ["look 1", "look 7"]);
    let failure = Failure::new(FailureKind::Unauthorized, "401");
    let refused = reply(1, Evidence::LookFailed { failure }, Outcome::Unauthorized);
    reconciler.hear(refused, moment(OPENS + 1));
    assert_eq!(
        sent(&reconciler.pass(moment(OPENS + 1))),
        [] as [&str; 0],
        "one probe at a time, and not at once"
    );
    let lanes: Vec<_> = reconciler.lanes.values().map(|it| it.opens_at(moment(OPENS + 1).uptime)).collect();
    assert!(lanes.iter().any(|it| it.is_some_and(|at| moment(OPENS + 1).uptime < at)), "{lanes:?}");
}

/// Answers everything as it would be without faults, until nobody asks any more.
fn answer_all(
    reconciler: &mut Reconciler,
    now: Moment,
    mut state: impl FnMut(u128) -> SyncState,
) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let actions = reconciler.pass(now);
        told.extend(sent(&actions));
        if actions.is_empty() && !reconciler.is_more_due() {
            return told;
        }
        for action in actions {
            match action {
                Action::Look { sync, .. } => {
                    let number = sync.id.as_u128();
                    reconciler.hear(saw(number, state(number), now), now);
                }
                Action::Pause { sync, .. } => confirm(reconciler, &sync, false, now),
                Action::Resume { sync, .. } => confirm(reconciler, &sync, true, now),
                Action::Errand { sync, organization, .. } => {
                    let status =
                        RunStatus { is_running: false, newest: None, last_completed: None, next: None };
                    let told = Told::Status(status);
                    let learnt = Learnt { sent: now, result: Ok(told) };
                    reconciler.hear_errand(ErrandReply { sync, organization, learnt }, now);
                }
                _ => {}
            }
        }
    }
}

fn confirm(reconciler: &mut Reconciler, sync: &SyncRef, active: bool, now: Moment) {
    let evidence = Evidence::Answered { active, sent: now, verdict: Verdict::Applied };
    reconciler.hear(reply(sync.id.as_u128(), evidence, Outcome::Answered), now);
}

fn failed(number: u128) -> Reply {
    let failure = Failure::new(FailureKind::Server, "500");
    reply(number, Evidence::LookFailed { failure }, Outcome::Answered)
}

#[test]
fn it_is_at_rest_when_nothing_is_under_way_and_nothing_is_undone() {
    let mut reconciler = keeping(&[1, 2]);
    assert!(!reconciler.is_at_rest(moment(0)), "it has not looked at its windows yet");
    reconciler.pass(moment(0));
    assert!(reconciler.is_at_rest(moment(0)));
    assert_eq!(reconciler.next_change(), Some(at(OPENS)));
    let now = moment(OPENS);
    assert!(!reconciler.is_at_rest(now), "a window has opened");
    reconciler.pass(now);
    assert!(!reconciler.is_at_rest(now), "looks are under way");
    reconciler.hear(saw(1, SyncState::Inactive, now), now);
    reconciler.hear(failed(2), now);
    assert!(!reconciler.is_at_rest(now), "their answers wait for a pass");
    reconciler.pass(now);
    assert!(!reconciler.is_at_rest(now), "one failed and is tried again");
    reconciler.retry_now();
    answer_all(&mut reconciler, now, |_| SyncState::Active);
    assert!(reconciler.owes_resumes() && reconciler.is_at_rest(now), "one is held, the other left alone");
    let end = moment(CLOSES);
    assert!(!reconciler.is_at_rest(end));
    answer_all(&mut reconciler, end, |_| SyncState::Inactive);
    assert!(!reconciler.owes_resumes());
}

#[test]
fn what_is_asked_of_a_row_that_is_as_it_should_be_is_not_at_rest_either() {
    let now = moment(OPENS);
    let quiet = || {
        let mut it = reconciler(vec![held(1)], Some(in_force(vec![window("night", OPENS, CLOSES, &[1])], 8)));
        answer_all(&mut it, now, |_| SyncState::Inactive);
        assert!(it.is_at_rest(now));
        it
    };
    let case = |it: &mut Reconciler, change: fn(&mut Case)| change(it.cases.get_mut(&sync(1)).unwrap());
    let changes: [fn(&mut Case); 4] = [
        |it| it.call = Some(Call::Look),
        |it| it.trouble = Some("500".into()),
        |it| it.evidence = Some(Box::new(an_answer())),
        |it| {
            it.errands = Errands::default();
            let hold = it.hold.as_mut().unwrap();
            (hold.state, hold.runs.after) = (HoldState::Settling, After::Proof);
        },
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let mut it = quiet();
        case(&mut it, change);
        assert!(!it.is_at_rest(now), "change {nth}");
    }
    let mut undone = quiet();
    case(&mut undone, |it| it.hold.as_mut().unwrap().state = HoldState::Resuming);
    assert!(!undone.is_at_rest(now), "a resume is not through");
}

fn an_answer() -> Evidence {
    Evidence::Saw { state: SyncState::Inactive, sent: moment(OPENS), by: None }
}

#[test]
fn what_failed_waits_unless_an_operator_says_that_it_is_mended() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(OPENS));
    reconciler.hear(failed(1), moment(OPENS));
    let now = moment(OPENS);
    assert_eq!(sent(&reconciler.pass(now)), [] as [&str; 0]);
    reconciler.retry_now();
    assert_eq!(sent(&reconciler.pass(now)), ["look 1"]);
    // The same where a whole organization waits, as its key was refused.
    let failure = Failure::new(FailureKind::Unauthorized, "401");
    reconciler.hear(reply(1, Evidence::LookFailed { failure }, Outcome::Unauthorized), now);
    assert_eq!(sent(&reconciler.pass(now)), [] as [&str; 0]);
    reconciler.retry_now();
    assert_eq!(sent(&reconciler.pass(now)), ["look 1"]);
}

#[test]
fn a_row_is_reached_as_the_file_says_now_where_it_is_the_same_place() {
    let mut reconciler = reconciler(vec![held(1)], None);
    reconciler.pass(moment(OPENS));
    let mut in_force = in_force(vec![window("night", OPENS, CLOSES, &[1])], 8);
    let moved = Organization { key: KeySource::Credential("moved".into()), ..Organization::example() };
    in_force.organizations.insert("default".into(), (Arc::new(moved.clone()), Limits::default()));
    reconciler.bring_into_force(in_force);
    let row = |it: &Reconciler| it.holds().next().unwrap().organization.key.clone();
    assert_eq!(row(&reconciler), moved.key);
    assert!(!reconciler.is_written(), "the ledger has the old one");
    let actions = reconciler.pass(moment(OPENS + 1));
    let written = actions.iter().any(|it| match it {
        Action::WriteAgain { change } => change.sync() == Some(&sync(1)),
        _ => false,
    });
    assert!(written && reconciler.is_written(), "{actions:?}");
}

#[test]
fn a_key_counts_as_accepted_only_where_an_answer_shows_it() {
    let look = |state| Evidence::Saw { state, sent: moment(0), by: None };
    assert!(is_proof(&look(SyncState::Active)) && is_proof(&look(SyncState::Inactive)));
    assert!(!is_proof(&look(SyncState::Gone)), "a wrong key may find nothing, too");
    let failure = || Failure::new(FailureKind::Server, "500");
    assert!(!is_proof(&Evidence::LookFailed { failure: failure() }));
    assert!(!is_proof(&Evidence::NotWritten { failure: failure() }));
    let answer = |verdict| Evidence::Answered { active: true, sent: moment(0), verdict };
    assert!(is_proof(&answer(Verdict::Applied)));
    assert!(!is_proof(&answer(Verdict::Unknown(failure()))));
}

#[test]
fn a_sync_is_called_by_its_name_once_that_was_seen() {
    let mut reconciler = keeping(&[1]);
    reconciler.pass(moment(OPENS));
    assert_eq!(reconciler.called(&sync(1)), sync(1).id.to_string());
    assert!(reconciler.names().is_empty());
    let named = Reply { name: Some("Contacts".into()), ..saw(1, SyncState::Inactive, moment(OPENS)) };
    reconciler.hear(named, moment(OPENS));
    assert_eq!(reconciler.called(&sync(1)), "Contacts");
    assert_eq!(reconciler.names().get(&sync(1)).map(String::as_str), Some("Contacts"));
    assert_eq!(reconciler.known_syncs().find(|(it, _)| **it == sync(1)).unwrap().1, Some("Contacts"));
    answer_all(&mut reconciler, moment(CLOSES), |_| SyncState::Inactive);
    assert!(reconciler.cases.is_empty(), "nothing is to be remembered of it");
    assert_eq!(reconciler.called(&sync(1)), "Contacts", "but its name");
    // It is in the next row, too.
    reconciler.bring_into_force(in_force(vec![window("later", 4000, 5000, &[1])], 8));
    answer_all(&mut reconciler, moment(4000), |_| SyncState::Active);
    assert_eq!(reconciler.holds().next().unwrap().name.as_deref(), Some("Contacts"));
    assert!(reconciler.knows_window(&"later".into()) && !reconciler.knows_window(&"night".into()));
}

#[test]
fn only_time_that_goes_on_asks_no_more_than_what_changes() {
    let mut reconciler = keeping(&[1]);
    assert!(reconciler.boundary_passed(at(0)), "nothing was asked yet");
    assert!(!reconciler.goes_on(at(0)));
    reconciler.pass(moment(0));
    assert!(!reconciler.boundary_passed(at(0)), "the same instant again");
    assert!(!reconciler.boundary_passed(at(OPENS - 1)) && reconciler.boundary_passed(at(OPENS)));
    assert!(reconciler.goes_on(at(0)) && reconciler.goes_on(at(OPENS)));
    assert!(reconciler.boundary_passed(at(-1)) && !reconciler.goes_on(at(-1)), "the clock was set back");
    reconciler.retry_now();
    assert!(reconciler.boundary_passed(at(1)) && !reconciler.goes_on(at(1)));
    // A clock that was wrong and is right again is no going on, whatever lies between.
    let early = RELEASED - TimeDelta::seconds(1);
    let wrong = |wall| Moment { wall, ..moment(0) };
    reconciler.pass(wrong(early));
    assert!(!reconciler.boundary_passed(early));
    assert!(reconciler.boundary_passed(RELEASED) && !reconciler.goes_on(RELEASED));
    reconciler.pass(wrong(RELEASED));
    assert!(!reconciler.boundary_passed(RELEASED) && reconciler.goes_on(RELEASED));
}

#[test]
fn without_a_configuration_the_next_change_is_the_next_end() {
    let mut reconciler = reconciler(vec![held(1)], None);
    reconciler.pass(moment(CLOSES - 1));
    assert_eq!(reconciler.next_change(), Some(at(CLOSES)));
    reconciler.pass(moment(CLOSES));
    assert_eq!(reconciler.next_change(), None, "it is now");
}
