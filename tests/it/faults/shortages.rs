//! The system runs out of something: descriptors, threads, a disk that can be
//! written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Utc};
use intermission::simulator::Operation;
use rustix::process::getuid;
use uuid::Uuid;

use crate::skipped::skipped;

use super::kill::{binary, strace_works};
use super::{Daemon, Place, id, much_later, rows, soon, until, window};

fn crowd(place: &Place, count: u128) -> Vec<Uuid> {
    (1..=count).map(|it| place.model("default", id(it))).collect()
}

/// Many more requests at a time than there are descriptors.
fn write_hasty(place: &Place, closes: DateTime<Utc>, opens: DateTime<Utc>, syncs: &[Uuid]) {
    place.write(&[window("patching", (opens, closes), syncs)]);
    let text = fs::read_to_string(place.config()).unwrap();
    place.write_text(text.replace("request_timeout", "max_concurrent_requests = 64\nrequest_timeout"));
}

fn active(place: &Place, syncs: &[Uuid]) -> usize {
    syncs.iter().filter(|it| place.is_active(**it)).count()
}

#[test]
fn with_few_file_descriptors_a_boundary_of_many_syncs_is_kept_nevertheless() {
    if !Command::new("/usr/bin/prlimit").args(["--nofile=24", "true"]).status().is_ok_and(|it| it.success()) {
        return skipped("few file descriptors need `prlimit`");
    }
    let place = Place::new();
    let syncs = crowd(&place, 200);
    let opens = soon(-60);
    // A process each: to read the file again takes a descriptor too, and idle
    // connections may have them all.
    for (closes, left) in [(much_later(), 0), (soon(-1), syncs.len())] {
        write_hasty(&place, closes, opens, &syncs);
        let before = ["--nofile=24", env!("CARGO_BIN_EXE_intermission"), "run"];
        let daemon = place.spawn(place.command_under("/usr/bin/prlimit".as_ref(), &before, &[]));
        until("all are paused, then all are resumed", || active(&place, &syncs) == left);
        assert!(daemon.log().to_lowercase().contains("too many open files"), "there were enough");
        assert_eq!(daemon.terminate().0.code(), Some(0));
    }
}

#[test]
fn when_the_whole_system_has_no_file_descriptor_it_is_tried_again() {
    if !strace_works() {
        return;
    }
    let place = Place::new();
    let syncs = crowd(&place, 20);
    let opens = soon(-60);
    for (closes, left) in [(much_later(), 0), (soon(-1), syncs.len())] {
        write_hasty(&place, closes, opens, &syncs);
        // Every second one fails.
        let before = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=socket", "-e"];
        let inject = ["inject=socket:error=ENFILE:when=1+2", binary().to_str().unwrap()].map(str::to_owned);
        let inject: Vec<&str> = inject.iter().map(String::as_str).collect();
        let before = [&before[..], &inject].concat();
        let run = ["run", "--once", "--timeout", "60s"];
        let output = place.output_of(place.command_under("/usr/bin/strace".as_ref(), &before, &run));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.to_lowercase().contains("too many open files in system"), "nothing failed:\n{told}");
        assert_eq!(active(&place, &syncs), left);
    }
}

/// The daemon's start when it gets only so many threads. Says how it ended and
/// what it told.
fn with_threads(place: &Place, count: usize) -> (Option<i32>, String) {
    let inject = format!("inject=clone3:error=EAGAIN:when={}+", count + 1);
    let binary = binary();
    let before = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=clone3", "-e", &inject];
    let before = [&before[..], &[binary.to_str().unwrap()]].concat();
    let run = ["run", "--once", "--timeout", "2s"];
    let output = place.output_of(place.command_under("/usr/bin/strace".as_ref(), &before, &run));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One thread is for the log, one for the ledger, one reads the key, and one
/// asks for addresses.
#[test]
fn without_a_thread_to_start_it_ends_with_1_and_says_so() {
    if !strace_works() {
        return;
    }
    let place = Place::new();
    let sync = place.model("default", id(1));
    place.write(&[window("patching", (soon(-60), much_later()), &[sync])]);
    // An address that has to be asked for.
    let text = fs::read_to_string(place.config()).unwrap();
    place.write_text(text.replace("127.0.0.1", "localhost"));
    for (count, told) in [
        (0, "error: could not start a thread for the log"),
        (1, "error: could not start a thread for the ledger"),
        (2, "there is no thread to read it with"),
        (3, "error: a task of the daemon broke off"),
    ] {
        let (code, log) = with_threads(&place, count);
        assert_eq!(code, Some(1), "{count} threads:\n{log}");
        assert!(log.contains(told), "{count} threads:\n{log}");
        assert!(place.is_active(sync), "{count} threads");
    }
    assert_eq!(place.requests(Operation::Pause, sync), 0);
    place.run(&["run", "--once"]).with(0);
    assert!(!place.is_active(sync));
}

/// A place with a ledger that holds a sync, and a file system of the daemon's
/// own to put a copy of it on.
struct Disk {
    place: Place,
    directory: PathBuf,
    held: Uuid,
    new: Uuid,
    opens: DateTime<Utc>,
}

impl Disk {
    fn new() -> Option<Self> {
        let may = getuid().is_root()
            && Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|it| it.success());
        if !may {
            skipped("a file system of its own needs root and `unshare -m`");
            return None;
        }
        let mut place = Place::new();
        let directory = place.path("disk");
        fs::create_dir(&directory).unwrap();
        place.ledger = directory.join("ledger.db");
        let (held, new) = (place.model("default", id(1)), place.model("default", id(2)));
        let opens = soon(-60);
        place.write(&[window("before", (opens, much_later()), &[held])]);
        place.run(&["run", "--once"]).with(0);
        assert!(!place.is_active(held));
        // Over before the daemon starts again; another one has begun.
        place.write(&[
            window("before", (opens, soon(-1)), &[held]),
            window("after", (opens, much_later()), &[new]),
        ]);
        Some(Self { place, directory, held, new, opens })
    }

    /// The same ledger as the first version would have left it.
    fn with_an_older_ledger() -> Option<Self> {
        let disk = Self::new()?;
        let (ledger, newer) = (&disk.place.ledger, disk.place.path("newer.db"));
        rusqlite::Connection::open(ledger)
            .unwrap()
            .execute("VACUUM INTO ?1", [newer.to_str().unwrap()])
            .unwrap();
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{suffix}", ledger.display())));
        }
        let older = rusqlite::Connection::open(ledger).unwrap();
        older.execute_batch(include_str!("../../../src/ledger/0001-holds-and-journal.sql")).unwrap();
        older.execute("ATTACH ?1 AS newer", [newer.to_str().unwrap()]).unwrap();
        for table in ["organization", "hold", "window_watch", "journal"] {
            let columns: String = older
                .query_row(
                    "SELECT group_concat('\"' || name || '\"') FROM pragma_table_info(?1, 'main')",
                    [table],
                    |row| row.get(0),
                )
                .unwrap();
            let copy = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}");
            older.execute(&copy, []).unwrap();
        }
        older
            .execute_batch("DETACH newer; PRAGMA journal_mode = wal; PRAGMA user_version = 1; PRAGMA application_id = 1768846445;")
            .unwrap();
        // As every release of ours leaves it, with its log beside it.
        std::mem::forget(older);
        Some(disk)
    }

    /// Starts the daemon on a copy of the ledger, once `spoil` was done to the
    /// file system below it.
    fn start(&self, spoil: &str) -> Daemon {
        let script = format!(
            "cp -p \"$0\"/* \"$1\" && mount -t tmpfs -o size=1m tmpfs \"$0\" && cp -p \"$1\"/* \"$0\" && \
             {{ {spoil}; }} && shift && exec \"$@\""
        );
        let copy = self.place.path("copy");
        fs::create_dir(&copy).unwrap();
        let (disk, copy) = (self.directory.to_str().unwrap(), copy.to_str().unwrap());
        let before = ["-m", "sh", "-c", &script, disk, copy, env!("CARGO_BIN_EXE_intermission"), "run"];
        let mut command = self.place.command_under("unshare".as_ref(), &before, &[]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        self.place.spawn(command)
    }

    /// Mends a file system that was made read-only.
    fn make_writable(&self, daemon: &Daemon) {
        let status = Command::new("nsenter")
            .args(["-m", "-t", &daemon.child.id().to_string(), "mount", "-o", "remount,rw"])
            .arg(&self.directory)
            .status();
        assert!(status.unwrap().success());
    }

    /// Mends a file system that was filled.
    fn make_room(&self, daemon: &Daemon) {
        let inside = Path::new("/proc").join(daemon.child.id().to_string()).join("root");
        fs::remove_file(inside.join(self.directory.strip_prefix("/").unwrap()).join("fill")).unwrap();
    }

    /// What is held is resumed, and nothing is paused.
    fn check_spoilt(&self, daemon: &Daemon, told: &str) {
        self.place.until_active(self.held);
        self.place.until_row("the ledger's failure is told", self.new, |row| {
            row["last_error"].as_str().is_some_and(|it| it.contains(told))
                && row["attempts"].as_u64() >= Some(2)
        });
        assert_eq!(self.place.requests(Operation::Pause, self.new), 0, "paused without a promise to resume");
        let log = daemon.log();
        assert!(log.contains("Could not write the ledger") && log.contains(told), "{log}");
    }

    /// Windows are kept, and nothing is left of what was resumed meanwhile.
    fn check_mended(&self) {
        self.place.until_held(self.new);
        until("the row of what was resumed is gone", || {
            self.place.status().is_some_and(|it| rows(&it).len() == 1)
        });
        until("the journal tells of the resume", || {
            let history = self.place.run(&["history", "--event", "resumed", "--format", "json"]);
            history.out.contains(&self.held.to_string())
        });
        self.place.write(&[window("after", (self.opens, soon(-1)), &[self.new])]);
        self.place.reload();
        self.place.until_active(self.new);
    }
}

#[test]
fn on_a_read_only_file_system_what_is_held_is_resumed_and_all_is_well_once_it_can_be_written() {
    let Some(disk) = Disk::new() else { return };
    let daemon = disk.start("mount -o remount,ro \"$0\"");
    disk.check_spoilt(&daemon, "read-only");
    disk.make_writable(&daemon);
    disk.check_mended();
}

/// A ledger that was put back from a copy comes without the file of its index,
/// and that wants room.
#[test]
fn a_daemon_that_starts_on_a_full_disk_resumes_what_is_held() {
    let Some(disk) = Disk::new() else { return };
    let daemon = disk.start("rm -f \"$0\"/*-shm; cat /dev/zero > \"$0/fill\" 2> /dev/null; true");
    disk.check_spoilt(&daemon, "full");
    let log = daemon.log();
    assert!(log.contains("no room for the ledger's index"), "{log}");
    disk.make_room(&daemon);
    disk.check_mended();
    // The next one shares the file again.
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

#[test]
fn a_new_release_that_meets_a_read_only_file_system_resumes_what_the_old_one_held() {
    let Some(disk) = Disk::with_an_older_ledger() else { return };
    let daemon = disk.start("mount -o remount,ro \"$0\"");
    disk.check_spoilt(&daemon, "read-only");
    assert!(daemon.log().contains("is an older version's"), "{}", daemon.log());
    disk.make_writable(&daemon);
    disk.check_mended();
}

#[test]
fn a_new_release_that_meets_a_full_disk_resumes_what_the_old_one_held() {
    let Some(disk) = Disk::with_an_older_ledger() else { return };
    let daemon = disk.start("cat /dev/zero > \"$0/fill\" 2> /dev/null; true");
    disk.check_spoilt(&daemon, "full");
    disk.make_room(&daemon);
    disk.check_mended();
}
