//! Ledgers that are taken, strange, full, or not to be written.

use std::fs;
use std::path::Path;
use std::process::Command;

use intermission::ledger::Store;
use intermission::simulator::Operation;
use rustix::process::getuid;

use crate::skipped::skipped;

use super::{Place, id, much_later, soon, until, window};

#[test]
fn a_second_daemon_ends_with_75_and_sends_nothing() {
    let first = Place::new();
    let distant = (much_later(), much_later() + chrono::TimeDelta::hours(1));
    first.write(&[window("patching", distant, &[first.model("default", id(1))])]);
    let mut daemon = first.start();
    until("the first one answers", || first.status().is_some());

    // It would have something to do, elsewhere.
    let mut second = Place::new();
    second.ledger.clone_from(&first.ledger);
    second.write(&[window("patching", (soon(-1), much_later()), &[second.model("default", id(1))])]);
    for arguments in [&["run"][..], &["run", "--once"]] {
        let ended = second.run(arguments).with(75);
        assert!(ended.err.contains("another daemon holds the ledger"), "{}", ended.err);
    }
    assert_eq!(second.world().requests().len(), 0);
    assert!(daemon.child.try_wait().unwrap().is_none(), "the first one has ended:\n{}", daemon.log());
    assert!(first.status().is_some());
}

/// A daemon with this for a ledger ends with one of these codes, and neither
/// the ledger nor a sync is touched.
#[track_caller]
fn check_refused(name: &str, codes: &[i32], make: impl FnOnce(&Path)) {
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.write(&[window("patching", (soon(-1), much_later()), &[sync])]);
    make(&place.ledger);
    let before = fs::read(&place.ledger).ok();
    for arguments in [&["run"][..], &["run", "--once"], &["resume", "--all", "--offline"]] {
        let ended = place.run(arguments);
        let code = ended.code.unwrap_or(-1);
        assert!(codes.contains(&code), "{name}: {arguments:?} ended with {code}:\n{}", ended.err);
        assert!(ended.err.contains("ledger"), "{name}: {}", ended.err);
        assert_eq!(fs::read(&place.ledger).ok(), before, "{name}: {arguments:?} touched the ledger");
    }
    assert_eq!(place.world().requests().len(), 0, "{name}");
}

#[test]
fn a_ledger_of_a_newer_version_is_left_as_it_is() {
    check_refused("newer", &[78], |path| {
        Store::open(path).unwrap().close().unwrap();
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.pragma_update(None, "user_version", 9999).unwrap();
    });
}

#[test]
fn a_ledger_that_is_none_is_left_as_it_is() {
    check_refused("words", &[1], |path| fs::write(path, "this is no ledger\n".repeat(1000)).unwrap());
    check_refused("someone else's", &[1, 78], |path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')").unwrap();
    });
    check_refused("cut off", &[1], |path| {
        Store::open(path).unwrap().close().unwrap();
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    check_refused("a directory", &[1], |path| fs::create_dir(path).unwrap());
}

#[test]
fn on_a_full_disk_nothing_new_is_paused_and_what_is_held_is_resumed() {
    let may = getuid().is_root()
        && Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|it| it.success());
    if !may {
        return skipped("a small file system of its own needs root and `unshare -m`");
    }
    let mut place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    place.ledger = disk.join("ledger.db");
    let (held, new) = (place.model("default", id(1)), place.model("default", id(2)));
    let spared = place.model("default", id(3));
    let opens = soon(1);
    place.write(&[window("before", (opens, much_later()), &[held])]);
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"";
    let before = ["-m", "sh", "-c", mount, disk.to_str().unwrap(), env!("CARGO_BIN_EXE_intermission"), "run"];
    let mut command = place.command_under("unshare".as_ref(), &before, &[]);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let daemon = place.spawn(command);
    place.until_held(held);

    // The disk is mounted for the daemon alone; this is its view of it.
    let inside = Path::new("/proc").join(daemon.child.id().to_string()).join("root");
    let fill = inside.join(disk.strip_prefix("/").unwrap()).join("fill");
    fill_up(&fill);
    place.write(&[
        window("before", (opens, soon(1)), &[held]),
        window("after", (opens, much_later()), &[new, spared]),
    ]);
    place.reload();
    place.until_active(held);
    place.until_row("the ledger's failure is told", new, |row| {
        row["last_error"].as_str().is_some_and(|it| it.contains("ledger"))
            && row["attempts"].as_u64() >= Some(2)
    });
    assert_eq!(place.requests(Operation::Pause, new), 0, "paused without a promise to resume");
    let log = daemon.log();
    assert!(log.contains("Could not write the ledger"), "{log}");
    // An operator is not told that all is well.
    let order = ["pause", "--window", "after", "--for", "1h", "--reason", "load test"];
    let told = place.run(&order).with(1);
    assert!(told.err.contains("it counts from now on, but it is not on disk"), "{}", told.err);
    let resume = ["resume", &spared.to_string(), "--reason", "urgent"];
    place.run(&resume).with(1);
    let again = place.run(&resume).with(1);
    assert!(
        again.err.contains("it is not on disk"),
        "said again, and written no more than before: {}",
        again.err
    );

    fs::remove_file(fill).unwrap();
    place.until_held(new);
    until("the row of what was resumed is gone", || {
        let status = place.status().unwrap_or_default();
        let mut left: Vec<_> = super::rows(&status).iter().filter_map(|it| it["id"].as_str()).collect();
        left.sort_unstable();
        left == [new.to_string(), spared.to_string()]
    });
    // What could not be written then is written now.
    until("the journal tells of the resume", || {
        let history = place.run(&["history", "--event", "resumed", "--format", "json"]);
        history.out.contains(&held.to_string())
    });
    for reason in ["load test", "urgent"] {
        until("so are the orders", || place.run(&["history"]).out.contains(reason));
    }
    place.run(&order).with(0);
    place.run(&resume).with(0);
}

/// Leaves not a byte.
fn fill_up(path: &Path) {
    use std::io::Write;

    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}
