//! What becomes one message, and when it is told.

use uuid::Uuid;

use super::*;
use crate::domain::sync::SyncKind;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn entry(id: i64, seconds: i64, kind: EventKind, window: Option<&str>, sync: Option<u128>) -> Entry {
    let sync_ref = |id| SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(id));
    let event = Event {
        sync: sync.map(sync_ref),
        name: sync.map(|it| format!("Sync {it}")),
        window: window.map(Name::from),
        ..Event::new(kind)
    };
    Entry { id, at: at(seconds), event }
}

fn target(events: &[EventKind]) -> Target {
    Target {
        name: "slack".into(),
        address: Address::Kept(KeySource::Environment("URL".into())),
        format: Format::Slack,
        events: events.iter().copied().collect(),
    }
}

fn told(entries: &[Entry], seconds: i64) -> Vec<Notice> {
    match target(DEFAULT_EVENTS).batch(entries, &mut Heard::default(), at(seconds)) {
        Some(Batch::Tell { notices, up_to, .. }) => {
            assert_eq!(up_to, entries.last().unwrap().id);
            notices
        }
        other => panic!("nothing is told: {other:?}"),
    }
}

fn wait(entries: &[Entry], seconds: i64) -> DateTime<Utc> {
    match target(DEFAULT_EVENTS).batch(entries, &mut Heard::default(), at(seconds)) {
        Some(Batch::Wait(until)) => until,
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn how_it_goes_with_a_target_is_known_since_it_last_took_something() {
    let mut report = TargetReport::of(&target(DEFAULT_EVENTS));
    assert_eq!((report.format.as_str(), report.last_told, report.attempts), ("slack", None, 0));
    report.failed("first".into());
    report.failed("second".into());
    assert_eq!((report.attempts, report.last_error.as_deref()), (2, Some("second")));
    assert_eq!(report.last_told, None);
    report.took(at(7));
    assert_eq!((report.attempts, report.last_error, report.last_told), (0, None, Some(at(7))));
}

#[test]
fn a_window_of_four_hundred_syncs_is_one_message() {
    let mut entries: Vec<Entry> = (0_i32..400)
        .map(|it| entry(it.into(), 0, EventKind::Skipped, Some("nightly"), Some(it.unsigned_abs().into())))
        .collect();
    entries.push(entry(400, 1, EventKind::WindowClosed, Some("nightly"), None));
    assert_eq!(wait(&entries, 2), at(6));
    let notices = told(&entries, 6);
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].title, "Window `nightly`: closed, 400 skipped");
    assert_eq!(
        notices[0].lines(),
        ["Window `nightly` closed", "400 skipped: Sync 0, Sync 1, Sync 2, Sync 3, Sync 4 and 395 more"]
    );
    assert!(notices[0].id.ends_with("-0-400"), "{}", notices[0].id);
}

#[test]
fn two_windows_are_two_messages_and_what_is_not_wanted_is_none() {
    let entries = [
        entry(1, 0, EventKind::Paused, Some("a"), Some(1)),
        entry(2, 0, EventKind::WindowClosed, Some("a"), None),
        entry(3, 0, EventKind::WindowClosed, Some("b"), None),
    ];
    let titles: Vec<_> = told(&entries, 100).into_iter().map(|it| it.title).collect();
    assert_eq!(titles, ["Window `a` closed", "Window `b` closed"]);
    assert_eq!(told(&entries[..1], 0), []);
}

#[test]
fn an_attempt_that_heals_is_not_told_and_one_that_does_not_is_told_once_an_hour() {
    let failed = |id, seconds| entry(id, seconds, EventKind::PauseFailed, Some("a"), Some(1));
    let healed = entry(9, 20, EventKind::Paused, Some("a"), Some(1));
    assert_eq!(wait(&[failed(1, 0)], 10), at(90));
    assert_eq!(told(&[failed(1, 0), healed.clone()], 30), []);
    // Another sync heals nothing.
    let other = entry(9, 20, EventKind::Paused, Some("a"), Some(2));
    assert_eq!(told(&[failed(1, 0), other], 90).len(), 1);

    let (target, mut heard) = (target(DEFAULT_EVENTS), Heard::default());
    let mut count = |entries: &[Entry], seconds| match target.batch(entries, &mut heard, at(seconds)) {
        Some(Batch::Tell { notices, .. }) => notices.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&[failed(1, 0), failed(2, 30), failed(3, 60)], 95), 1, "three attempts at one sync");
    assert_eq!(count(&[failed(4, 600)], 700), 0, "it was told");
    assert_eq!(count(&[failed(5, 3500)], 3659), 0);
    assert_eq!(count(&[failed(6, 3510)], 3660), 1, "it still fails");
}

#[test]
fn what_is_urgent_does_not_wait_for_the_rest() {
    let entries = [
        entry(1, 0, EventKind::PauseFailed, Some("a"), Some(1)),
        entry(2, 1, EventKind::Overdue, Some("a"), Some(2)),
    ];
    assert_eq!(wait(&entries, 1), at(2));
    let notices = told(&entries, 2);
    assert!(notices[0].title.starts_with("Window `a`: 1 OVERDUE"), "{}", notices[0].title);
    assert!(notices[0].lines()[0].starts_with("OVERDUE: sync `Sync 2`"), "{:?}", notices[0].lines());
}

#[test]
fn news_of_yesterday_is_counted_and_not_told() {
    let entries = [
        entry(1, 0, EventKind::Overdue, None, Some(1)),
        entry(2, 90_000, EventKind::WindowClosed, Some("a"), None),
    ];
    assert_eq!(told(&entries[..1], 86_400).len(), 1, "a day is not too old");
    match target(DEFAULT_EVENTS).batch(&entries, &mut Heard::default(), at(90_010)) {
        Some(Batch::Tell { notices, up_to: 2, too_old: 1 }) => assert_eq!(notices.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let closed = |seconds| [entry(1, seconds, EventKind::WindowClosed, Some("a"), None)];
    assert_eq!(told(&closed(5000), 0).len(), 1);
    // It is gathered for five seconds, and nothing waits for longer than a minute and a half.
    assert_eq!(wait(&closed(85), 0), at(90));
    assert_eq!(told(&closed(86), 0).len(), 1);
}

#[test]
fn reminders_come_at_growing_gaps() {
    let minutes: Vec<u64> = (1..=7).map(|it| reminder_after(it).as_secs() / 60).collect();
    assert_eq!(minutes, [10, 30, 60, 120, 240, 240, 240]);
    let many: Vec<String> = (0..7).map(|it| format!("Sync {it}")).collect();
    let title = Notice::reminder(&many, at(0)).title;
    assert!(title.ends_with("Sync 0, Sync 1, Sync 2, Sync 3, Sync 4 and 2 more"), "{title}");
}

#[test]
fn before_a_window_only_trouble_is_told() {
    let calm = entry(1, 0, EventKind::Preflight, Some("nightly"), None);
    assert_eq!(told(std::slice::from_ref(&calm), 10), []);
    let mut trouble = entry(2, 0, EventKind::Preflight, Some("weekly"), None);
    trouble.event.error = Some("1 sync is off already and will stay off: Leads".to_owned());
    let notices = told(&[calm, trouble], 10);
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].title, "Before window `weekly`: 1 sync is off already and will stay off: Leads");
}

#[test]
fn a_message_about_one_thing_says_it_in_its_title_and_one_about_two_below() {
    let skipped = |id: i64| entry(id, 0, EventKind::Skipped, Some("a"), Some(id.unsigned_abs().into()));
    let one = &told(&[skipped(1)], 100)[0];
    assert_eq!((one.title.clone(), one.lines()), (skipped(1).event.to_string(), vec![]));
    let two = &told(&[skipped(1), skipped(2)], 100)[0];
    assert_eq!(two.title, "Window `a`: 2 skipped");
    assert_eq!(two.lines(), [1, 2].map(|id| skipped(id).event.to_string()));
}

#[test]
fn what_a_target_has_heard_of_one_sync_is_forgotten_when_that_one_is_well() {
    let (target, mut heard) = (target(DEFAULT_EVENTS), Heard::default());
    let mut count = |entries: &[Entry], seconds| match target.batch(entries, &mut heard, at(seconds)) {
        Some(Batch::Tell { notices, .. }) => notices.iter().flat_map(|it| &it.parts).count(),
        other => panic!("{other:?}"),
    };
    let failed = |id, seconds, sync| entry(id, seconds, EventKind::ResumeFailed, Some("a"), Some(sync));
    assert_eq!(count(&[failed(1, 0, 1), failed(2, 0, 2)], 100), 1, "both, in one part");
    assert_eq!(count(&[entry(3, 200, EventKind::Recovered, Some("a"), Some(1))], 300), 1);
    assert_eq!(count(&[failed(4, 400, 2)], 500), 0, "of that one it has heard");
    assert_eq!(count(&[failed(5, 400, 1)], 500), 1, "and this one was well in between");
}

#[test]
fn a_reminder_counts_what_is_overdue() {
    let title = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        Notice::reminder(&names, at(0)).title
    };
    assert!(title(&["A"]).starts_with("STILL OVERDUE: 1 sync is "), "{}", title(&["A"]));
    assert!(title(&["A", "B"]).starts_with("STILL OVERDUE: 2 syncs are "), "{}", title(&["A", "B"]));
    assert_eq!([Format::Slack, Format::Json].map(Format::as_str), ["slack", "json"]);
}
