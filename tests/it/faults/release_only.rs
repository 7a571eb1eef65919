//! A daemon without a configuration that it could put into force: it resumes
//! what is held, pauses nothing, and says so.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use intermission::clock;
use intermission::domain::execution::{RunPolicy, Runs};
use intermission::domain::hold::{Hold, HoldState, Unsettled};
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::sync::{SyncKind, SyncRef};
use intermission::domain::window::Occurrence;
use intermission::ledger::{Change, Store};
use intermission::simulator::{Operation, Sync};
use uuid::Uuid;

use super::{Place, id, much_later, soon, until, window};

/// A paused sync, and the row of whoever paused it.
fn owed(place: &Place, id: Uuid, due: DateTime<Utc>) -> Uuid {
    let now = clock::wall();
    let mut sync = Sync::new(SyncKind::Model, id, "Contacts", now);
    sync.active = false;
    place.add("default", sync);
    let holder = Occurrence {
        window: "patching".into(),
        pauses: now,
        opens: now,
        closes: due,
        enforce: false,
        runs: RunPolicy::default(),
    };
    let organization = Organization {
        name: "default".into(),
        url: format!("http://{}", place.address),
        api_version: "2025-09-18".to_owned(),
        organization_id: None,
        key: KeySource::File(place.key("default")),
        ca_file: None,
        proxy: Proxy::None,
    };
    let hold = Hold {
        sync: SyncRef::new("default".into(), SyncKind::Model, id),
        name: Some("Contacts".to_owned()),
        organization: Arc::new(organization),
        state: HoldState::Held,
        holders: [holder].into(),
        served: vec![],
        left_alone: vec![],
        since: now,
        resume_by: due,
        unsettled: Unsettled::default(),
        attempts: 0,
        last_error: None,
        gone: None,
        overdue_told: false,
        runs: Runs::default(),
    };
    let mut store = Store::open(&place.ledger).unwrap();
    store.apply(&[Change::new().put(hold)]).unwrap();
    store.close().unwrap();
    id
}

/// Takes the configuration away.
type Spoil = fn(&Place, &[String]);

const SPOILT: &[(&str, Spoil)] = &[
    ("missing", |_, _| {}),
    ("no TOML", |place, windows| place.write_text(format!("[[window\n{}", windows.concat()))),
    ("wrong", |place, windows| {
        place.write(&[windows.concat().replace("closes", "ends"), "[retries]\nmax = 1\n".to_owned()]);
    }),
    ("without a key", |place, windows| {
        place.write(windows);
        std::fs::remove_file(place.key("default")).unwrap();
    }),
    ("with a key that all can read", |place, windows| {
        use std::os::unix::fs::PermissionsExt;

        place.write(windows);
        std::fs::set_permissions(place.key("default"), std::fs::Permissions::from_mode(0o644)).unwrap();
    }),
];

#[test]
fn what_is_held_is_resumed_when_due_and_nothing_is_paused_until_the_file_is_mended() {
    // Each waits for its own boundaries: together they wait once.
    std::thread::scope(|scope| {
        for (name, spoil) in SPOILT {
            scope.spawn(move || check(name, *spoil));
        }
    });
}

fn check(name: &str, spoil: Spoil) {
    let place = Place::new();
    let due = soon(4);
    let (held, new) = (owed(&place, id(1), due), place.model("default", id(2)));
    let windows = [window("another", (soon(-1), much_later()), &[new])];
    spoil(&place, &windows);
    let notified = UnixDatagram::bind(place.path("notify.sock")).unwrap();
    notified.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = place.command(&["run"]);
    command.env("NOTIFY_SOCKET", place.path("notify.sock"));
    let daemon = place.spawn(command);

    let mut buffer = [0; 4096];
    let length = notified.recv(&mut buffer).unwrap();
    let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(message.contains("READY=1"), "{name}: {message}");
    until("the log says so", || daemon.log().contains("nothing will be paused"));
    let status = place.status().unwrap();
    assert_eq!(status["healthy"], false, "{name}");
    assert!(status["daemon"]["config_error"].is_string(), "{name}: {status}");

    if name.contains("key") {
        place.until_row("the key is missed", held, |row| row["last_error"].is_string());
        assert!(!place.is_active(held), "{name}");
        place.write_key("default", &format!("{}-default", super::KEY));
    }
    place.until_active(held);
    let resumed = place.world().changes_of(held).last().unwrap().at;
    assert!(due <= resumed, "{name}: resumed at {resumed}, before {due}");
    assert_eq!(place.requests(Operation::Pause, new), 0, "{name}: paused on no word at all");

    place.write(&windows);
    place.reload();
    place.until_held(new);
    assert!(place.is_active(held), "{name}");
    let status = place.status().unwrap();
    assert!(status["daemon"]["config_error"].is_null(), "{name}: {status}");
}

#[test]
fn a_mended_file_comes_into_force_by_itself_while_there_is_none() {
    let place = Place::new();
    let (held, new) = (owed(&place, id(1), much_later()), place.model("default", id(2)));
    let windows = [window("another", (soon(-1), much_later()), &[new])];
    place.write_text("timezone = 1\n");
    let _daemon = place.start();
    until("it runs without a configuration", || {
        place.status().is_some_and(|it| it["daemon"]["config_error"].is_string())
    });
    place.write(&windows);
    place.until_held(new);
    // Its window is none of the file's: it is over.
    place.until_active(held);
}

#[test]
fn with_nothing_held_a_daemon_without_configuration_ends_with_78() {
    for (name, spoil) in SPOILT {
        let place = Place::new();
        let windows = [window("another", (soon(-1), much_later()), &[place.model("default", id(2))])];
        spoil(&place, &windows);
        for arguments in [&["run"][..], &["run", "--once"]] {
            let ended = place.run(arguments);
            assert_eq!(ended.code, Some(78), "{name}: {}", ended.err);
            assert!(ended.err.contains("error: the configuration is wrong"), "{name}: {}", ended.err);
        }
        assert_eq!(place.world().requests().len(), 0, "{name}");
    }
}
