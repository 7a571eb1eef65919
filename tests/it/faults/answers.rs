//! Every answer that a pause or a resume may get instead of the right one.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use intermission::simulator::{Apply, Fault, Operation, Reply, Rule};

use super::{Place, id, much_later, rows, soon, until, window, window_of};

/// What goes wrong, and how many times in a row.
fn cases(elsewhere: &str) -> Vec<(&'static str, Fault, u32)> {
    let instead = |reply| Fault::new(Apply::Never, reply);
    vec![
        ("server-error", Fault::status(500), 3),
        ("unavailable", Fault::retry_after(503, "1"), 2),
        ("too-fast", Fault::status(429), 2),
        ("too-fast-for-a-second", Fault::retry_after(429, "1"), 2),
        ("too-fast-and-nonsense", Fault::retry_after(429, "in a while"), 1),
        ("unauthorized", Fault::status(401), 2),
        ("forbidden", Fault::status(403), 2),
        ("conflict", Fault::status(409), 1),
        ("unprocessable", Fault::status(422), 1),
        ("hang", Fault::hang(), 1),
        ("hang-but-applied", Fault::garbled(Reply::Hang), 1),
        ("slow", Fault::slow(Duration::from_secs(1)), 2),
        ("reset-before", Fault::reset(), 2),
        ("reset-after", Fault::lost_reply(), 2),
        ("closed-before", instead(Reply::Close), 2),
        ("closed-after", Fault::garbled(Reply::Close), 1),
        ("late", Fault::late(Duration::from_secs(1)), 1),
        ("twice", Fault::new(Apply::Again(Duration::from_secs(1)), Reply::AsUsual), 1),
        ("wrong-id", instead(Reply::WrongId), 2),
        ("wrong-id-but-applied", Fault::garbled(Reply::WrongId), 1),
        ("opposite", instead(Reply::ActiveOpposite), 2),
        ("opposite-but-applied", Fault::garbled(Reply::ActiveOpposite), 1),
        ("no-active", instead(Reply::ActiveMissing), 2),
        ("html", instead(Reply::Html), 2),
        ("html-but-applied", Fault::garbled(Reply::Html), 1),
        ("empty", instead(Reply::Empty), 2),
        ("no-content", instead(Reply::NoContent), 2),
        ("no-content-but-applied", Fault::garbled(Reply::NoContent), 1),
        ("truncated", instead(Reply::Truncated), 2),
        ("truncated-but-applied", Fault::garbled(Reply::Truncated), 1),
        ("trickle", instead(Reply::Trickle { every: Duration::from_millis(500) }), 1),
        ("endless", instead(Reply::Endless), 2),
        ("endless-but-applied", Fault::garbled(Reply::Endless), 1),
        ("redirect", instead(Reply::Redirect { to: format!("{elsewhere}/api/syncs") }), 2),
    ]
}

#[test]
fn after_any_wrong_answer_every_sync_is_paused_and_then_resumed() {
    let elsewhere = Place::new();
    let other = elsewhere.server.as_ref().unwrap();
    let cases = cases(&other.url());
    // Each fault has organizations of its own: one where it meets pauses, one
    // where it meets resumes.
    let places: Vec<(String, Operation, Fault, u32)> = cases
        .into_iter()
        .flat_map(|(name, fault, times)| {
            [
                (format!("pause-{name}"), Operation::Pause, fault.clone(), times),
                (format!("resume-{name}"), Operation::Resume, fault, times),
            ]
        })
        .collect();
    let names: Vec<&str> = places.iter().map(|(name, ..)| name.as_str()).collect();
    let mut place = Place::with(&names);
    place.pace = place.pace.replace("drift_check = \"1s\"", "drift_check = \"1h\"");
    let mut syncs = Vec::new();
    for (number, (name, operation, fault, times)) in (0_u128..).zip(&places) {
        let (model, bulk) = (place.model(name, id(2 * number)), place.bulk(name, id(2 * number + 1)));
        for sync in [model, bulk] {
            let rule = Rule::always(fault.clone()).on(*operation).of(sync).times(*times);
            place.world().add_rule(rule);
        }
        syncs.push((name.as_str(), *times, [model, bulk]));
    }
    let windows = |times| -> Vec<String> {
        syncs
            .iter()
            .map(|(name, _, [model, bulk])| window_of(name, name, times, &[*model], &[*bulk]))
            .collect()
    };

    let opens = soon(4);
    place.write(&windows((opens, much_later())));
    let _daemon = place.start();
    let all = || syncs.iter().flat_map(|(name, _, ids)| ids.iter().map(move |id| (*name, *id)));
    until("every sync is held", || {
        let status = place.status().unwrap_or_default();
        let held = rows(&status).iter().filter(|it| it["state"] == "held" && it["last_error"].is_null());
        held.count() == all().count()
    });
    for (name, id) in all() {
        assert!(!place.is_active(id), "{name}: held, but active");
    }
    for change in place.world().changes() {
        assert!(opens <= change.at, "{}: changed before the window opened", change.organization);
    }

    let closes = soon(3);
    place.write(&windows((opens, closes)));
    place.reload();
    until("every sync is active", || all().all(|(_, id)| place.is_active(id)));
    place.until_no_rows();
    assert_eq!(place.world().pending(), 0, "something may still be applied");
    for (name, id) in all() {
        assert!(place.is_active(id), "{name}: nothing is remembered of it, but it is not active");
    }
    for change in place.world().changes().iter().filter(|it| it.after == Some(true)) {
        assert!(closes <= change.at, "{}: resumed before the window closed", change.organization);
    }
    for (name, times, ids) in &syncs {
        for id in ids {
            let posts = place.requests(Operation::Pause, *id) + place.requests(Operation::Resume, *id);
            // Both switches, what the fault spoilt, and some more on a bad day.
            assert!(posts <= 2 + *times as usize + 3, "{name}: a storm of {posts} requests");
        }
    }
    assert_eq!(other.counters().connections, 0, "a redirect was followed");
}

#[test]
fn a_rate_limit_is_heard_and_not_hammered() {
    let place = Place::new();
    let syncs: Vec<_> = (0..20).map(|it| place.model("default", id(it))).collect();
    place.world().add_rule(Rule::always(Fault::retry_after(429, "2")));
    place.write(&[window("busy", (soon(1), much_later()), &syncs)]);
    let _daemon = place.start();
    let refused = || -> Vec<_> {
        place.world().requests().iter().filter(|it| it.status == Some(429)).map(|it| it.at).collect()
    };
    until("it asked a third time", || {
        let refused = refused();
        refused.first().zip(refused.last()).is_some_and(|(first, last)| (*last - *first).num_seconds() >= 4)
    });
    // Eight at first, half of them two seconds later, then half of those.
    assert!(refused().len() <= 8 + 4 + 2 + 2, "{} requests in some six seconds", refused().len());
    place.world().clear_faults();
    until("every sync is paused", || syncs.iter().all(|it| !place.is_active(*it)));
}

#[test]
fn a_rotated_key_is_read_without_being_told() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    let turned_away = || place.world().requests().iter().filter(|it| !it.authorized()).count();
    let rotate = |key: &str| {
        place.world().set_key("default", key).unwrap();
        let before = turned_away();
        until("the old key is refused", || before < turned_away());
        place.write_key("default", key);
    };
    let opens = soon(1);
    place.write(&[window("rotation", (opens, much_later()), &[sync])]);
    place.world().set_key("default", "a key of the day after").unwrap();
    // All that any library has to say is searched for the key too.
    let _daemon = place.spawn(place.command(&["run", "--log", "trace,intermission=trace"]));
    rotate(&format!("{}-second", super::KEY));
    place.until_held(sync);

    place.write(&[window("rotation", (opens, soon(2)), &[sync])]);
    place.reload();
    rotate(&format!("{}-third", super::KEY));
    place.until_active(sync);
    place.until_no_rows();
}

#[test]
fn a_sync_that_may_not_be_changed_holds_up_no_other() {
    let place = Place::new();
    let (forbidden, other) = (place.model("default", id(1)), place.model("default", id(2)));
    let forbid = |it| place.world().forbid(forbidden, it).unwrap();
    let told = |row: &serde_json::Value| row["last_error"].as_str().is_some_and(|it| it.contains("403"));
    let opens = soon(1);
    forbid(true);
    place.write(&[window("patching", (opens, much_later()), &[forbidden, other])]);
    let _daemon = place.start();
    place.until_held(other);
    place.until_row("the refusal is told", forbidden, told);
    assert!(place.is_active(forbidden));
    forbid(false);
    place.until_held(forbidden);

    forbid(true);
    place.write(&[window("patching", (opens, soon(1)), &[forbidden, other])]);
    place.reload();
    place.until_active(other);
    let row = place.until_row("the refusal is told", forbidden, told);
    assert_eq!(row["state"], "resuming");
    forbid(false);
    place.until_active(forbidden);
    place.until_no_rows();
}

#[test]
fn a_pause_that_arrives_after_the_window_is_undone() {
    let mut place = Place::new();
    place.request_timeout = "1s";
    place.pace = place.pace.replace("settle = \"4s\"", "settle = \"15s\"");
    let sync = place.model("default", id(1));
    let late = Duration::from_secs(10);
    place.world().add_rule(Rule::always(Fault::late(late)).on(Operation::Pause).times(1));
    let opens = soon(1);
    place.write(&[window("patching", (opens, much_later()), &[sync])]);
    let _daemon = place.start();
    place.until_held(sync);
    place.write(&[window("patching", (opens, soon(1)), &[sync])]);
    place.reload();
    until("the late request is applied", || place.world().pending() == 0);
    place.until_no_rows();
    assert!(place.is_active(sync), "nothing is remembered of it, and it is off");
    let changes = place.world().changes_of(sync).count();
    assert!(changes >= 3, "{changes} changes: the late pause made none");
}

#[test]
fn a_pause_that_was_confirmed_and_not_made_is_taken_for_a_persons_decision() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.world().add_rule(Rule::always(Fault::lie()).on(Operation::Pause));
    let opens = soon(1);
    place.write(&[window("patching", (opens, much_later()), &[sync])]);
    let _daemon = place.start();
    place.until_row("it is left alone", sync, |row| row["state"] == "released");
    place.write(&[window("patching", (opens, soon(1)), &[sync])]);
    place.reload();
    place.until_no_rows();
    assert!(place.is_active(sync));
    assert_eq!(place.requests(Operation::Pause, sync), 1);
}

#[test]
fn an_answer_that_holds_the_key_is_not_repeated() {
    let mut place = Place::new();
    let sync = place.model("default", id(1));
    let parrot = TcpListener::bind("127.0.0.1:0").unwrap();
    place.address = parrot.local_addr().unwrap();
    // It ends with the test's process.
    std::thread::spawn(move || parrot.incoming().flatten().for_each(|stream| drop(repeat(&stream))));
    place.write(&[window("patching", (soon(0), much_later()), &[sync])]);
    let daemon = place.spawn(place.command(&["run", "--log", "debug"]));
    let row = place.until_row("several attempts failed", sync, |row| row["attempts"].as_u64() >= Some(3));
    let told = row["last_error"].as_str().unwrap();
    assert!(told.contains("not with"), "it does not tell what the API said: {told}");
    assert_eq!(place.run(&["history", "--format", "json"]).code, Some(0));
    let (status, _) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    // That the key is nowhere is found out when the place is left.
}

/// Answers one request with what it was allowed by.
fn repeat(stream: &TcpStream) -> std::io::Result<()> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty());
    let header =
        lines.filter(|it| it.to_lowercase().starts_with("authorization:")).last().unwrap_or_default();
    let body = format!("{{\"status\":500,\"key\":\"internal\",\"message\":\"not with {header}\"}}");
    let length = body.len();
    write!(
        &mut &*stream,
        "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
