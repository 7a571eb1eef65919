//! What is told of windows: that they open, close, were missed, and what came of them.

use super::*;
use crate::domain::event::EventKind;

/// What is told of windows, in order: `window_opened night`, and whether it has details.
fn told(actions: &[Action]) -> Vec<String> {
    let of_windows = events(actions).filter(|it| it.sync.is_none());
    of_windows
        .map(|it| {
            let window = it.window.as_ref().map_or("-", Name::as_str);
            let detail = it.detail.as_ref().map_or(String::new(), |it| format!(": {it}"));
            format!("{} {window}{detail}", it.kind.as_str())
        })
        .collect()
}

#[test]
fn a_window_opens_and_closes_once() {
    let mut night = window("night", OPENS, CLOSES, &[1]);
    night.description = Some("load".into());
    let mut reconciler = reconciler(vec![], Some(in_force(vec![night], 8)));
    assert_eq!(told(&reconciler.pass(moment(0))), [] as [&str; 0]);
    let until = crate::domain::moment::instant(at(CLOSES));
    assert_eq!(told(&reconciler.pass(moment(OPENS))), [format!("window_opened night: until {until}: load")]);
    reconciler.retry_now();
    assert_eq!(told(&reconciler.pass(moment(OPENS + 1))), [] as [&str; 0], "it was told");
    assert_eq!(told(&reconciler.pass(moment(CLOSES))), ["window_closed night"]);
}

#[test]
fn a_window_that_is_taken_out_or_moved_while_it_is_open_closes_early() {
    let closes = |other: Vec<Window>| {
        let mut reconciler = keeping(&[1]);
        reconciler.pass(moment(OPENS));
        reconciler.bring_into_force(in_force(other, 8));
        told(&reconciler.pass(moment(OPENS + 1)))
    };
    let gone = closes(vec![]);
    assert_eq!(gone, ["window_closed night: the window is no longer in the configuration"]);
    let early = "window_closed night: earlier than announced: the window was changed, or the clock";
    assert_eq!(closes(vec![window("night", OPENS + 600, CLOSES, &[1])]), [early]);
    assert_eq!(closes(vec![window("night", OPENS, CLOSES, &[1, 2])]), [] as [&str; 0], "it goes on");
}

/// A window of a minute every minute, and what is told when nobody was there for so long.
fn missed(minutes: i64) -> Vec<String> {
    let mut window = window("often", 0, 30, &[1]);
    let (start, end) = (Start::Recurring("* * * * *".parse().unwrap()), End::After(TimeDelta::seconds(30)));
    window.times = Times::new(start, end, Dates::default(), Zone::utc(), at(0)).unwrap();
    let mut reconciler = reconciler(vec![], Some(in_force(vec![window], 8)));
    reconciler.pass(moment(40));
    let actions = reconciler.pass(moment(40 + 60 * minutes));
    told(&actions).into_iter().filter(|it| it.starts_with("window_missed")).collect()
}

#[test]
fn what_began_and_ended_while_nobody_was_there_is_told_and_much_of_it_is_counted() {
    assert_eq!(missed(0), [] as [&str; 0]);
    assert_eq!(missed(1), ["window_missed often"]);
    assert_eq!(missed(10).len(), 10);
    assert_eq!(missed(11), ["window_missed often: and the 10 before it"]);
    assert_eq!(missed(2000), ["window_missed often: and the 999 before it"]);
}

#[test]
fn what_came_of_an_occurrence_is_told_once_all_its_syncs_are_through() {
    let mut reconciler = keeping(&[1, 2]);
    let now = moment(OPENS);
    answer_all(
        &mut reconciler,
        now,
        |number| if number == 1 { SyncState::Active } else { SyncState::Inactive },
    );
    assert_eq!(reconciler.tallies.look_at(), None, "nothing came of it yet");
    let reports = |actions: &[Action]| {
        told(actions).into_iter().filter(|it| it.starts_with("window_report")).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for second in 0..200 {
        let now = moment(CLOSES + second);
        let actions = reconciler.pass(now);
        all.extend(reports(&actions));
        for action in actions {
            match action {
                Action::Look { sync, .. } => {
                    reconciler.hear(saw(sync.id.as_u128(), SyncState::Inactive, now), now);
                }
                Action::Resume { sync, .. } => confirm(&mut reconciler, &sync, true, now),
                Action::Errand { sync, organization, .. } => {
                    hear_proof(&mut reconciler, sync, organization, now);
                }
                _ => {}
            }
        }
    }
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("1 sync runs again"), "{all:?}");
    assert!(all[0].contains("off before it, and left so"), "{all:?}");
    assert_eq!(reconciler.tallies.look_at(), None, "nothing is left to tell");
}

/// A sync of the night runs again.
fn report() -> SyncReport {
    SyncReport {
        window: "night".into(),
        opens: at(OPENS),
        sync: sync(1),
        name: "Contacts".into(),
        ending: Ending::RunsAgain,
        missed: None,
        completed: None,
        next: None,
    }
}

#[test]
fn what_an_earlier_process_had_gathered_is_told_by_this_one() {
    // Another sync of it is held still: it is not over.
    let windows = vec![window("night", OPENS, CLOSES, &[1, 2])];
    let mut waiting = reconciler(vec![held(2)], Some(in_force(windows.clone(), 8)));
    waiting.remember_reports(vec![report()]);
    assert_eq!(waiting.tallies.look_at(), Some(Uptime::ZERO));
    let now = moment(CLOSES);
    let is_report = |it: &String| it.starts_with(EventKind::WindowReport.as_str());
    assert!(!told(&waiting.pass(now)).iter().any(is_report));
    assert_eq!(waiting.tallies.look_at(), Some(now.uptime + Duration::from_secs(2)));
    let mut alone = reconciler(vec![], Some(in_force(windows.clone(), 8)));
    alone.remember_reports(vec![report()]);
    assert!(told(&alone.pass(now)).iter().any(is_report));
    // Nor is it while its window is open.
    let mut open = reconciler(vec![], Some(in_force(windows, 8)));
    open.remember_reports(vec![report()]);
    assert!(!told(&open.pass(moment(CLOSES - 1))).iter().any(is_report));
    open.remember_reports(vec![]);
    assert_eq!(open.tallies.look_at(), None);
}

#[test]
fn only_what_that_occurrence_holds_keeps_it_from_being_told() {
    // It is looked at every two seconds, and told with its occurrence.
    let told_with = |hold: Hold, window: Window| {
        let mut it = reconciler(vec![hold], Some(in_force(vec![window], 8)));
        let now = moment(CLOSES + 1);
        let mut actions = Vec::new();
        it.report_windows(now, &mut actions);
        assert_eq!(told(&actions), [] as [&str; 0], "there is nothing to tell");
        it.remember_reports(vec![report()]);
        it.report_windows(now, &mut actions);
        let about = |it: &Event| (it.window.clone().map(String::from), it.occurrence);
        events(&actions).map(about).collect::<Vec<_>>()
    };
    let plain = || window("night", OPENS, CLOSES, &[1]);
    let is_told = vec![(Some("night".to_owned()), Some(at(OPENS)))];
    let with = |change: fn(&mut Hold)| {
        let mut hold = held(2);
        change(&mut hold);
        told_with(hold, plain())
    };
    assert_eq!(with(|_| ()), [], "another sync of it is held");
    assert_eq!(
        with(|it| Arc::make_mut(&mut it.holders)[0].opens = at(OPENS - 86_400)),
        is_told,
        "that was the day before"
    );
    assert_eq!(with(|it| Arc::make_mut(&mut it.holders)[0].window = "other".into()), is_told);
    assert_eq!(with(|it| it.state = HoldState::Settling), is_told, "that one is through");
    assert_eq!(with(|it| it.state = HoldState::Skipped), is_told);
    // Its window is open still, or again.
    let longer = window("night", OPENS, CLOSES + 600, &[1]);
    let mut it = reconciler(vec![], Some(in_force(vec![longer], 8)));
    it.pass(moment(OPENS));
    it.remember_reports(vec![report()]);
    let mut actions = Vec::new();
    it.report_windows(moment(CLOSES), &mut actions);
    assert!(actions.is_empty(), "{actions:?}");
    assert_eq!(it.tallies.look_at(), Some(moment(CLOSES + 2).uptime));
    it.report_windows(moment(CLOSES + 600), &mut actions);
    assert_eq!(actions.len(), 1, "it closes then");
}

#[test]
fn who_is_held_by_others_still_is_named_at_the_end_of_a_window() {
    let night = Occurrence { window: "night".into(), ..held(1).holders[0].clone() };
    let other = Occurrence { window: "other".into(), closes: at(CLOSES + 600), ..night.clone() };
    let served = |number, state: HoldState| {
        let mut hold = held(number);
        (hold.state, hold.name) = (state, Some(format!("Sync {number}")));
        (hold.holders, hold.served) = ([other.clone()].into(), vec![night.clone()]);
        hold
    };
    let later = Occurrence { opens: at(OPENS - 86_400), ..night.clone() };
    let mut before = served(4, HoldState::Held);
    before.served = vec![later];
    let holds = vec![
        served(1, HoldState::Held),
        served(2, HoldState::Released),
        served(3, HoldState::Pausing),
        before,
        held(5),
    ];
    let reconciler = reconciler(holds, Some(in_force(vec![], 8)));
    assert_eq!(reconciler.still_paused(&"night".into(), at(OPENS)), ["Sync 1", "Sync 3"]);
}

#[test]
fn what_was_missed_is_told_with_its_opening_and_what_was_seen_in_part_was_not_missed() {
    let mut often = window("often", 0, 30, &[1]);
    let (start, end) = (Start::Recurring("* * * * *".parse().unwrap()), End::After(TimeDelta::seconds(30)));
    often.times = Times::new(start, end, Dates::default(), Zone::utc(), at(0)).unwrap();
    let missed = |seen: i64, now: i64| {
        let mut it = reconciler(vec![], Some(in_force(vec![often.clone()], 8)));
        it.pass(moment(seen));
        let actions = it.pass(moment(now));
        let missed = events(&actions).filter(|it| it.kind == EventKind::WindowMissed);
        missed.map(|it| (it.window.clone().map(String::from), it.occurrence)).collect::<Vec<_>>()
    };
    let of = |opens: i64| (Some("often".to_owned()), Some(at(opens)));
    assert_eq!(missed(40, 89), [], "it is open still");
    assert_eq!(missed(40, 90), [of(60)], "it is over to the second");
    assert_eq!(missed(59, 150), [of(60), of(120)]);
    assert_eq!(missed(60, 150), [of(120)], "the first was seen to open");
    assert_eq!(missed(89, 149), [], "one was seen to close, one is open");
    assert_eq!(missed(90, 600).len(), 8);
}

#[test]
fn what_came_of_a_window_is_told_two_seconds_after_the_first_is_through_so_that_others_are_in_it() {
    let mut row = held(1);
    (row.state, row.runs.after, row.runs.resumed) = (HoldState::Settling, After::Proof, Some(at(CLOSES)));
    let mut it = reconciler(vec![row], Some(in_force(vec![], 8)));
    let now = moment(CLOSES + 1);
    assert_eq!(sent(&it.pass(now)), ["errand 1"]);
    hear_proof(&mut it, sync(1), organization(), now);
    assert_eq!(told(&it.pass(now)), [] as [&str; 0]);
    assert_eq!(it.tallies.look_at(), Some(moment(CLOSES + 3).uptime));
    assert_eq!(told(&it.pass(moment(CLOSES + 3))).len(), 1);
}

#[test]
fn without_a_configuration_a_window_is_over_when_it_was_last_known_to_close() {
    let watch = WindowWatch {
        window: "night".into(),
        fingerprint: String::new(),
        seen_until: at(OPENS),
        open: held(1).holders.first().cloned(),
    };
    let mut it = Reconciler::new(vec![], vec![watch], None, fastrand::Rng::with_seed(1));
    it.remember_reports(vec![report()]);
    assert_eq!(told(&it.pass(moment(CLOSES - 2))), [] as [&str; 0]);
    assert_eq!(told(&it.pass(moment(CLOSES))).len(), 1);
}
