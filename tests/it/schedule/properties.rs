//! What holds for every schedule, window and calendar, in every zone.
//!
//! Where there is a plain way to the same answer (counting minutes), the two
//! are compared.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Days, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use intermission::domain::calendar::{Calendar, Desired};
use intermission::domain::execution::RunPolicy;
use intermission::domain::operator::{Order, What};
use intermission::domain::schedule::Schedule;
use intermission::domain::sync::{SyncKind, SyncRef};
use intermission::domain::window::{Dates, End, Occurrence, OnManualResume, Span, Start, Times, Window};
use intermission::domain::zone::{Resolved, Zone};
use intermission::tzdb::Tzdb;
use proptest::prelude::*;
use uuid::Uuid;

use crate::chance::cases;

/// Zones with hour, half-hour, two-hour, day-long and many-hour jumps, at
/// midnight and elsewhere, and some without any.
const ZONES: [&str; 14] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "America/Havana",
    "Pacific/Apia",
    "Antarctica/Troll",
    "Antarctica/Vostok",
    "Asia/Gaza",
    "Asia/Kathmandu",
];

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let field = |choices: &'static [&'static str]| prop::sample::select(choices);
    let minute = field(&["0", "30", "15,45", "59", "5-50/15", "0,5,8", "4,7,50", "*/20", "*/30", "*"]);
    let hour = field(&["2", "0", "1", "23", "1-3", "0-3", "0,2,14", "22", "6", "12", "*/2", "*"]);
    let day = field(&["*", "*", "*", "1", "13", "*/2", "1-31"]);
    let month = field(&["*", "*", "*", "3,4", "10-11"]);
    let weekday = field(&["*", "*", "*", "SUN", "1-5", "6", "SAT-SUN"]);
    (minute, hour, day, month, weekday)
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
        .prop_map(|text| text.parse().unwrap())
}

/// A zone and an instant, more often than not near a change of its offset.
fn any_place() -> impl Strategy<Value = (Zone, DateTime<Utc>)> {
    let seconds = -20 * 3600..20 * 3600i64;
    (prop::sample::select(&ZONES), 631_152_000..2_145_916_800_i64, prop::option::weighted(0.8, seconds))
        .prop_map(|(name, at, near)| {
            let zone = zone(name);
            let at = DateTime::from_timestamp(at, 0).unwrap();
            let at = match (near, zone.next_transition(at)) {
                (Some(near), Some(change)) => change.at + TimeDelta::seconds(near),
                _ => at,
            };
            (zone, at)
        })
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![
        (1..3000i64).prop_map(|minutes| End::After(TimeDelta::minutes(minutes))),
        any_schedule().prop_map(End::Recurring),
        any_schedule().prop_map(End::Recurring),
        (0..24u32, 0..4u32).prop_map(|(hour, quarter)| {
            End::TimeOfDay(NaiveTime::from_hms_opt(hour, quarter * 15, 0).unwrap())
        }),
    ]
}

fn any_times() -> impl Strategy<Value = (Times, DateTime<Utc>)> {
    (any_schedule(), any_end(), any_place()).prop_filter_map("no window", |(start, end, (zone, at))| {
        let times = Times::new(Start::Recurring(start), end, Dates::default(), zone, at);
        times.ok().map(|times| (times, at))
    })
}

fn any_calendar() -> impl Strategy<Value = (Calendar, DateTime<Utc>)> {
    let window =
        (any_schedule(), any_end(), 0..90i64, prop::collection::btree_set(0..4u128, 1..4), any::<bool>());
    (prop::collection::vec(window, 1..6), any_place()).prop_map(|(windows, (zone, at))| {
        let windows =
            windows.into_iter().enumerate().filter_map(|(index, (start, end, lead, syncs, enforce))| {
                let window = Window {
                    name: format!("window-{index}").into(),
                    times: Times::new(Start::Recurring(start), end, Dates::default(), zone.clone(), at)
                        .ok()?,
                    lead: TimeDelta::minutes(lead),
                    syncs: syncs.into_iter().map(sync).collect(),
                    on_manual_resume: if enforce { OnManualResume::Enforce } else { OnManualResume::Respect },
                    description: None,
                    longer: None,
                    select: None,
                    runs: RunPolicy::default(),
                };
                window.check_lead(at).is_ok().then_some(window)
            });
        (Calendar::new(windows.collect()), at)
    })
}

fn sync(number: u128) -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number))
}

fn zone(name: &str) -> Zone {
    Tzdb::bundled().zone(name).unwrap()
}

fn second() -> TimeDelta {
    TimeDelta::seconds(1)
}

/// Every match with its civil time, found by looking at each minute.
fn count_minutes(
    schedule: &Schedule,
    zone: &Zone,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, NaiveDateTime)> {
    let day = TimeDelta::days(2);
    let civil: HashSet<_> = std::iter::successors(schedule.next_civil(zone.civil(from) - day), |civil| {
        schedule.next_civil(*civil)
    })
    .take_while(|civil| *civil < zone.civil(until) + day)
    .collect();
    let mut matches: Vec<_> = if schedule.is_wildcard() {
        let minutes = (until - from).num_minutes();
        (0..minutes)
            .map(|minute| from + TimeDelta::minutes(minute))
            .map(|at| (at, zone.civil(at)))
            .filter(|(_, at)| civil.contains(at))
            .collect()
    } else {
        civil.into_iter().map(|civil| (first_pass_or_after_gap(zone, civil), civil)).collect()
    };
    matches.retain(|(at, _)| from <= *at && *at < until);
    matches.sort();
    matches
}

fn first_pass_or_after_gap(zone: &Zone, civil: NaiveDateTime) -> DateTime<Utc> {
    match zone.resolve(civil) {
        Resolved::One(at) | Resolved::Gap(at) => at,
        Resolved::Fold(first, second) => first.min(second),
    }
}

/// The occurrences of a window, found by going through all starts and ends.
fn go_through(times: &Times, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Span> {
    let zone = times.zone();
    let Start::Recurring(start) = times.start() else { panic!("all starts here recur") };
    let starts = count_minutes(start, zone, from, until);
    let mut spans = Vec::new();
    match times.end() {
        End::After(duration) => {
            spans.extend(starts.iter().map(|(opens, _)| Span { opens: *opens, closes: *opens + *duration }));
        }
        End::TimeOfDay(_) | End::Recurring(_) | End::Once(_) => {
            let ends = count_minutes(&end_as_schedule(times.end()), zone, from, until);
            // An end comes before a start at the same time.
            let mut edges: Vec<_> = ends.into_iter().map(|edge| (edge, 0)).collect();
            edges.extend(starts.into_iter().map(|edge| (edge, 1)));
            edges.sort();
            let mut open = None;
            for (edge, kind) in edges {
                match (open, kind) {
                    (None, 1) => open = Some(edge),
                    (Some((opens, civil)), 0) => {
                        let closes = if opens == edge.0 { opens + (edge.1 - civil) } else { edge.0 };
                        spans.push(Span { opens, closes });
                        open = None;
                    }
                    _ => {}
                }
            }
        }
    }
    merge(spans)
}

fn end_as_schedule(end: &End) -> Schedule {
    match end {
        End::TimeOfDay(time) => time.format("%-M %-H * * *").to_string().parse().unwrap(),
        End::Recurring(schedule) => schedule.clone(),
        End::After(_) | End::Once(_) => panic!("no schedule"),
    }
}

fn merge(spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut().filter(|last| span.opens <= last.closes) {
            Some(last) => last.closes = last.closes.max(span.closes),
            None => merged.push(span),
        }
    }
    merged
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn matches_are_those_that_counting_minutes_finds(schedule in any_schedule(), (zone, at) in any_place()) {
        // Wildcards match on whole minutes of UTC: all offsets since 1990 are whole minutes.
        let from = at - TimeDelta::seconds(at.timestamp() % 60);
        let until = from + TimeDelta::days(2);
        let mut expected: Vec<_> = count_minutes(&schedule, &zone, from, until).iter().map(|(at, _)| *at).collect();
        expected.dedup();
        let found: Vec<_> = std::iter::successors(schedule.next(&zone, from - second()), |at| schedule.next(&zone, *at))
            .take_while(|at| *at < until)
            .collect();
        prop_assert_eq!(found, expected, "{} {} {}", schedule, zone, from);
    }

    #[test]
    fn previous_retraces_next(schedule in any_schedule(), (zone, at) in any_place()) {
        let mut here = at;
        for _ in 0..30 {
            let Some(next) = schedule.next(&zone, here) else { break };
            prop_assert!(here < next, "{schedule} {zone}: {next} after {here}");
            let back = schedule.previous(&zone, next);
            if here == at {
                prop_assert!(back.is_some_and(|back| back <= at), "{schedule} {zone}: {back:?} before {next}");
            } else {
                prop_assert_eq!(back, Some(here), "{} {}: before {}", schedule, zone, next);
            }
            here = next;
        }
    }

    #[test]
    fn occurrences_are_those_that_going_through_all_edges_finds((times, at) in any_times()) {
        let from = at - TimeDelta::seconds(at.timestamp() % 60);
        let (low, high) = (from - TimeDelta::days(6), from + TimeDelta::days(8));
        let expected = go_through(&times, low, high);
        // Far enough from where the going through began and ended.
        let until = from + TimeDelta::days(2);
        let inside = |span: &Span| from < span.closes && span.opens < until;
        let found: Vec<_> = times.spans(from, until).collect();
        prop_assume!(found.iter().all(|span| from - span.opens < TimeDelta::days(3)
            && span.closes - until < TimeDelta::days(3)));
        prop_assert_eq!(found, expected.into_iter().filter(inside).collect::<Vec<_>>(), "{:?} {}", times, from);
    }

    #[test]
    fn occurrences_are_in_order_apart_and_open_from_first_to_last((times, at) in any_times()) {
        let spans: Vec<_> = times.spans(at, at + TimeDelta::days(60)).take(20).collect();
        for span in &spans {
            prop_assert!(span.opens < span.closes, "{times:?}: {span:?}");
            prop_assert_eq!(times.covering(span.opens), Some(*span));
            prop_assert_eq!(times.covering(span.closes - second()), Some(*span));
            prop_assert_eq!(times.covering(span.closes), None);
            prop_assert_eq!(times.covering(span.opens - second()), None);
            prop_assert_eq!(times.next_opening(span.opens - second()), Some(*span));
            prop_assert_eq!(times.last_closed(span.closes), Some(*span));
        }
        for pair in spans.windows(2) {
            prop_assert!(pair[0].closes < pair[1].opens, "{times:?}: {pair:?}");
            prop_assert_eq!(times.last_closed(pair[1].closes - second()), Some(pair[0]));
            prop_assert_eq!(times.next_opening(pair[0].opens), Some(pair[1]));
        }
    }

    #[test]
    fn a_time_of_day_ends_as_the_schedule_that_says_the_same(
        start in any_schedule(), (zone, at) in any_place(), hour in 0..24u32, minute in 0..60u32,
    ) {
        let time_of_day = End::TimeOfDay(NaiveTime::from_hms_opt(hour, minute, 0).unwrap());
        let schedule = End::Recurring(end_as_schedule(&time_of_day));
        let spans = |end| {
            let times = Times::new(Start::Recurring(start.clone()), end, Dates::default(), zone.clone(), at).ok()?;
            Some(times.spans(at, at + TimeDelta::days(3)).collect::<Vec<_>>())
        };
        prop_assert_eq!(spans(time_of_day), spans(schedule));
    }

    #[test]
    fn dates_leave_out_starts_and_nothing_else((times, at) in any_times(), skip in 0..3u64, keep in 1..4u64) {
        let first = times.zone().civil(at).date();
        let skipped = first + Days::new(skip);
        let last = first + Days::new(3 + keep);
        let dates = Dates { skip: BTreeSet::from([skipped]), first: Some(first), last: Some(last) };
        let Ok(dated) = Times::new(times.start().clone(), times.end().clone(), dates.clone(), times.zone().clone(), at)
        else { return Ok(()) };
        for span in dated.spans(at - TimeDelta::days(10), at + TimeDelta::days(40)).take(200) {
            let Start::Recurring(start) = times.start() else { panic!("all starts here recur") };
            prop_assert_eq!(start.next(times.zone(), span.opens - second()), Some(span.opens));
            // In a gap the date is the one that was written, before the jump.
            let day = TimeDelta::days(1);
            let civil = times.zone().civil(span.opens);
            prop_assert!([civil, civil - day].iter().any(|civil| dates.allow(civil.date())), "{dated:?}: {span:?}");
        }
    }
}

/// What an operator asks for: which kind, from and for how many minutes, and for
/// which sync.
type Asked = (u8, i64, i64, u128);

fn any_asked() -> impl Strategy<Value = Asked> {
    (0..4u8, 0..3000i64, 1..2000i64, 0..3u128)
}

fn order(calendar: &Calendar, at: DateTime<Utc>, number: u32, (what, from, length, which): Asked) -> Order {
    let from = at + TimeDelta::minutes(from);
    let until = from + TimeDelta::minutes(length);
    let syncs = BTreeSet::from([sync(which), sync(which + 1)]);
    let open = calendar.occurrences(at, until).into_iter().next();
    let what = match (what, open) {
        (0, _) => What::Pause { syncs },
        (1, _) => What::Exempt { syncs: Some(syncs) },
        (2, Some(open)) => What::Extend { window: open.window, opens: open.opens },
        (_, _) => What::Exempt { syncs: None },
    };
    Order { number, from, until, reason: String::new(), by: String::new(), what }
}

/// The occurrences that ask for a pause of a sync, window by window.
fn holders(calendar: &Calendar, sync: &SyncRef, at: DateTime<Utc>) -> Vec<Occurrence> {
    let far = TimeDelta::days(40);
    let mut holders: Vec<_> = calendar
        .windows()
        .iter()
        .filter(|window| window.syncs.contains(sync))
        .flat_map(|window| window.occurrences(at - far, at + far).skip_while(|it| it.closes <= at).take(100))
        .filter(|it| it.pauses <= at && at < it.closes)
        .collect();
    holders.sort();
    holders
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_calendar_asks_for_what_its_windows_ask_for((calendar, at) in any_calendar()) {
        let open = calendar.open_at(at);
        for sync in (0..4).map(sync) {
            let holders = holders(&calendar, &sync, at);
            let desired = calendar.desired(&sync, at);
            prop_assert_eq!(&open.desired(&sync), &desired);
            match desired {
                Desired::Running => prop_assert!(holders.is_empty(), "{sync}: {holders:?}"),
                Desired::Paused(pause) => {
                    prop_assert_eq!(&*pause.holders, &*holders);
                    let enforce = holders.iter().any(|it| {
                        calendar.window(it.window.as_str()).unwrap().on_manual_resume == OnManualResume::Enforce
                    });
                    prop_assert_eq!(pause.is_enforced(), enforce);
                    let still = calendar.desired(&sync, pause.until - second());
                    prop_assert!(matches!(still, Desired::Paused(_)), "{sync} {}", pause.until);
                    // Windows that take turns are followed for a while only.
                    let followed = calendar.occurrences(at, pause.until).len();
                    if pause.until < at + TimeDelta::days(31) && followed <= 50 {
                        prop_assert_eq!(calendar.desired(&sync, pause.until), Desired::Running);
                    }
                }
            }
        }
    }

    #[test]
    fn what_time_has_changed_is_worked_out_alone_and_is_what_asking_anew_tells(
        (calendar, at) in any_calendar(),
        asked in prop::collection::vec(any_asked(), 0..4),
        steps in prop::collection::vec(prop::option::of(0..3000i64), 12),
    ) {
        let orders: Vec<Order> =
            asked.into_iter().zip(1..).map(|(asked, number)| order(&calendar, at, number, asked)).collect();
        let calendar = calendar.with_orders(&orders);
        let mut open = calendar.open_at(at);
        for step in steps {
            let (before, here) = (open.clone(), open.at());
            let next = open.next_change().unwrap_or(here);
            let now = step.map_or(next, |minutes| here + TimeDelta::minutes(minutes));
            let advanced = calendar.advance(&mut open, now).expect("time goes on, and it is the same calendar");
            let anew = calendar.open_at(now);
            prop_assert_eq!(open.next_change(), anew.next_change());
            prop_assert_eq!(open.occurrences(), anew.occurrences());
            let touched: BTreeSet<_> = calendar.syncs_of_change(&advanced).collect();
            for sync in calendar.syncs() {
                prop_assert_eq!(open.pause(sync), anew.pause(sync), "{} at {}", sync, now);
                prop_assert!(touched.contains(sync) || open.pause(sync) == before.pause(sync), "{sync} at {now}");
            }
            let told: BTreeSet<_> = calendar.windows_of_change(&advanced).map(|it| it.name.clone()).collect();
            for window in calendar.windows().iter().filter(|it| !told.contains(&it.name)) {
                prop_assert_eq!(window.covering(here), window.covering(now), "{} at {}", window.name, now);
            }
        }
    }

    #[test]
    fn nothing_changes_before_the_next_change((calendar, at) in any_calendar(), parts in prop::collection::vec(0..1000i32, 8)) {
        let told = |at| {
            let open = calendar.open_at(at);
            let inside: Vec<_> = open.occurrences().into_iter().map(|it| (it.clone(), it.opens <= at)).collect();
            inside
        };
        let before = told(at);
        let Some(change) = calendar.next_change(at) else { return Ok(()) };
        prop_assert!(at < change);
        for part in parts {
            let between = at + (change - at) * part / 1000;
            prop_assert_eq!(&told(between), &before, "at {} before {}", between, change);
        }
        prop_assert_eq!(&told(change - second()), &before);
        prop_assert_ne!(told(change), before);
    }

    #[test]
    fn pauses_are_whole_and_say_what_is_asked((calendar, at) in any_calendar(), hours in prop::collection::vec(0..72i64, 6)) {
        let until = at + TimeDelta::days(3);
        let pauses = calendar.pauses(at, until);
        for hour in hours {
            let probe = at + TimeDelta::hours(hour);
            for sync in (0..4).map(sync) {
                let listed = pauses.iter().find(|it| it.sync == sync && it.from <= probe && probe < it.until);
                match (calendar.desired(&sync, probe), listed) {
                    (Desired::Running, None) => {}
                    (Desired::Paused(pause), Some(listed)) => {
                        if listed.until < until {
                            prop_assert_eq!(pause.until, listed.until);
                        }
                        prop_assert!(pause.holders.iter().all(|it| listed.windows.contains(&it.window)));
                        let before = calendar.desired(&sync, listed.from - second());
                        prop_assert!(before == Desired::Running || listed.from < at - TimeDelta::days(31));
                    }
                    (desired, listed) => prop_assert!(false, "{sync} at {probe}: {desired:?}, but {listed:?}"),
                }
            }
        }
    }

    #[test]
    fn the_next_pause_is_the_first_that_had_not_begun((calendar, at) in any_calendar()) {
        for sync in (0..4).map(sync) {
            let Some(next) = calendar.next_pause(&sync, at, &[]) else { continue };
            prop_assert!(at < next.pauses);
            prop_assert!(holders(&calendar, &sync, next.pauses).iter().any(|it| it.is(&next)));
            prop_assert!(!holders(&calendar, &sync, next.pauses - second()).iter().any(|it| it.is(&next)));
            if let Some(other) = calendar.next_pause(&sync, at, std::slice::from_ref(&next)) {
                prop_assert!(!other.is(&next) && next.pauses <= other.pauses);
            }
        }
    }
}

/// Only the days round changes of the offset can go wrong: those of twenty
/// years are looked at, in all zones, with a time that the change hits.
#[test]
fn every_day_has_its_daily_occurrence_in_every_zone() {
    let tzdb = Tzdb::bundled();
    let names = tzdb.names();
    assert!(names.len() > 500);
    for name in names {
        let zone = tzdb.zone(&name).unwrap();
        let mut at: DateTime<Utc> = "2007-01-01T00:00:00Z".parse().unwrap();
        while let Some(change) =
            zone.next_transition(at).filter(|change| change.at.timestamp() < 1_798_761_600)
        {
            at = change.at;
            check_days_round(&zone, at);
        }
    }
}

fn check_days_round(zone: &Zone, change: DateTime<Utc>) {
    // Ten minutes before the later of both readings: in the gap or in the fold.
    let minute = TimeDelta::minutes(10);
    let hit = zone.civil(change).max(zone.civil(change - second()) + second()) - minute;
    let schedule: Schedule = hit.format("%-M %-H * * *").to_string().parse().unwrap();
    let days = (0..5).filter_map(|day| (hit - TimeDelta::days(2)).checked_add_days(Days::new(day)));
    let mut expected: Vec<_> = days.map(|civil| first_pass_or_after_gap(zone, civil)).collect();
    expected.dedup();
    let found: Vec<_> =
        std::iter::successors(schedule.next(zone, expected[0] - second()), |at| schedule.next(zone, *at))
            .take(expected.len())
            .collect();
    assert_eq!(found, expected, "{zone} {schedule}");
}
