//! How commands end when a system call fails: by the contract of the exit codes, and
//! with what was to be done done, or not begun.
//!
//! A call fails for one path alone where it can, so that each case is one fact.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use uuid::Uuid;

use super::kill::{binary, strace_works};
use super::{Place, id, much_later, soon, until_some, window};

const RUN: &[&str] = &["run"];
const ONCE: &[&str] = &["run", "--once", "--timeout", "2s"];
const RELEASE: &[&str] = &["run", "--once", "--release-only", "--timeout", "2s"];
const CHECK: &[&str] = &["check"];
const ONLINE: &[&str] = &["check", "--online"];
const STATUS: &[&str] = &["status"];
const DAEMON: &[&str] = &["status", "--daemon"];
const RESUME: &[&str] = &["resume", "--all"];
const OFFLINE: &[&str] = &["resume", "--all", "--offline", "--timeout", "2s"];
const RELOAD: &[&str] = &["reload"];

/// What fails, and for which path; wherever it is called if there is none.
type Spoilt<'a> = (&'a str, Option<&'a Path>);

/// A place with one sync, and how far a window has come for it.
struct Scene {
    place: Place,
    sync: Uuid,
}

impl Scene {
    /// The window is open, and there is no ledger.
    fn open() -> Self {
        let place = Place::new();
        let sync = place.model("default", id(1));
        place.write(&[window("patching", (soon(-60), much_later()), &[sync])]);
        Self { place, sync }
    }

    /// It is held, and by the file its window is over.
    fn due() -> Self {
        let scene = Self::open();
        scene.place.run(&["run", "--once"]).with(0);
        assert!(!scene.is_active());
        scene.place.write(&[window("patching", (soon(-60), soon(-1)), &[scene.sync])]);
        scene
    }

    fn is_active(&self) -> bool {
        self.place.is_active(self.sync)
    }

    fn beside_ledger(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.place.ledger.display()))
    }

    /// That the command ends so, and what it says. Its answer goes to a file, so that
    /// writing that one can fail, too.
    #[track_caller]
    fn check(&self, command: &[&str], (how, path): Spoilt, code: i32, told: &str) {
        let (answer, stdout) = self.place.output();
        let path = path.map(|it| if it == Path::new(STDOUT) { &answer } else { it });
        let (trace, inject) = (format!("trace={}", how.split(':').next().unwrap()), format!("inject={how}"));
        let mut before = vec!["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        if let Some(path) = path {
            before.extend(["-P", path.to_str().unwrap()]);
        }
        let binary = binary();
        let before = [&before[..], &[binary.to_str().unwrap()], command].concat();
        let mut process = self.place.command_under("/usr/bin/strace".as_ref(), &before, &[]);
        let (log, stderr) = self.place.output();
        let mut child = process.stdout(stdout).stderr(stderr).stdin(Stdio::null()).spawn().unwrap();
        let what = format!("{command:?} ends, where {how} {path:?}");
        let status = until_some(&what, || child.try_wait().unwrap().ok_or("it runs"));
        let said = [answer, log].map(|it| std::fs::read_to_string(it).unwrap()).concat();
        assert_eq!(status.code(), Some(code), "{what}:\n{said}");
        assert!(said.contains(told), "{what} without a word of `{told}`:\n{said}");
    }
}

/// Stands for where the answer goes.
const STDOUT: &str = "stdout";

#[test]
fn a_file_that_cannot_be_read_is_a_wrong_configuration() {
    if !strace_works() {
        return;
    }
    let scene = Scene::open();
    let (config, key) = (scene.place.config(), scene.place.key("default"));
    let denied = ("openat:error=EACCES", Some(&*config));
    for command in [RUN, ONCE, CHECK, ONLINE] {
        scene.check(command, denied, 78, "the file cannot be read: Permission denied");
    }
    scene.check(ONCE, ("read:error=EIO", Some(&config)), 78, "the file cannot be read: Input/output error");
    for command in [ONCE, CHECK] {
        scene.check(command, ("openat:error=EACCES", Some(&key)), 78, "cannot read the key file");
    }
    assert!(scene.is_active() && !scene.place.ledger.exists(), "nothing was begun");
    // These need no file: they ask whoever is there, or the ledger.
    for command in [STATUS, RESUME] {
        scene.check(command, denied, 69, "the daemon cannot be reached");
    }
}

/// What is held is looked after first. Who reads only exit codes learns of it.
#[test]
fn without_a_file_what_is_due_is_done_and_the_file_is_named_in_the_end() {
    if !strace_works() {
        return;
    }
    let scene = Scene::open();
    // Short, so that the row alone says that it is over.
    scene.place.write(&[window("patching", (soon(-60), soon(20)), &[scene.sync])]);
    scene.place.run(&["run", "--once"]).with(0);
    let config = scene.place.config();
    let denied = ("openat:error=EACCES", Some(&*config));
    scene.check(ONCE, denied, 78, "the configuration is wrong");
    assert!(!scene.is_active(), "its window is open");
    super::until("the row is due", || {
        scene.place.run(&["run", "--once", "--release-only"]).with(0);
        scene.is_active()
    });
    let scene = Scene::due();
    scene.check(OFFLINE, ("openat:error=EACCES", Some(&scene.place.config())), 0, "resumed");
    assert!(scene.is_active());
}

#[test]
fn a_ledger_that_cannot_be_locked_or_opened_is_a_failure() {
    if !strace_works() {
        return;
    }
    let scene = Scene::due();
    let (ledger, lock) = (scene.place.ledger.clone(), scene.beside_ledger(".lock"));
    for command in [RUN, ONCE, RELEASE, OFFLINE] {
        // Every five minutes, beside a daemon that is well, is nothing to tell of.
        let told = if command == RELEASE { "" } else { "another daemon holds the ledger" };
        scene.check(command, ("flock:error=EAGAIN", None), 75, told);
        scene.check(command, ("flock:error=ENOLCK", None), 1, "No locks available");
        scene.check(command, ("openat:error=EACCES", Some(&ledger)), 1, "unable to open database file");
        scene.check(command, ("openat:error=EACCES", Some(&lock)), 1, "could not lock");
    }
    scene.check(ONCE, ("openat:error=EMFILE", Some(&ledger)), 1, "unable to open database file");
    scene.check(STATUS, ("openat:error=EACCES", Some(&ledger)), 69, "could not open ledger");
    assert!(!scene.is_active(), "nothing was begun");
}

#[test]
fn a_ledger_that_fails_ends_the_process_as_failed() {
    if !strace_works() {
        return;
    }
    let scene = Scene::open();
    for command in [RUN, ONCE] {
        scene.check(command, ("fsync,fdatasync:error=EIO", None), 1, "disk I/O error");
        assert!(scene.is_active());
    }
    let scene = Scene::due();
    for command in [RUN, ONCE, OFFLINE] {
        scene.check(command, ("fsync,fdatasync:error=EIO", None), 1, "");
    }
    scene.place.run(&["run", "--once"]).with(0);
    assert!(scene.is_active());
}

/// Both are undone: a pause that was never sent, and a resume that the ledger does not
/// know of.
#[test]
fn what_could_not_be_written_is_not_done() {
    if !strace_works() {
        return;
    }
    let scene = Scene::open();
    scene.place.run(&["run", "--once", "--release-only"]).with(0);
    let wal = scene.beside_ledger("-wal");
    let full = ("pwrite64:error=ENOSPC:when=3+", Some(&*wal));
    scene.check(ONCE, full, 1, "not everything that was due could be done");
    assert!(scene.is_active());
    for command in [ONCE, OFFLINE] {
        let scene = Scene::due();
        let wal = scene.beside_ledger("-wal");
        scene.check(command, ("pwrite64:error=ENOSPC", Some(&wal)), 1, "could not be written to the ledger");
        assert!(scene.is_active(), "a resume needs no disk");
        scene.place.run(&["run", "--once"]).with(0);
        assert!(scene.is_active());
    }
}

#[test]
fn who_cannot_be_reached_is_told_apart_from_what_failed() {
    if !strace_works() {
        return;
    }
    let scene = Scene::due();
    let unreachable = ("connect:error=ENETUNREACH", None);
    for command in [ONCE, RELEASE] {
        scene.check(command, unreachable, 1, "not everything that was due could be done");
    }
    scene.check(OFFLINE, unreachable, 1, "not resumed");
    scene.check(ONLINE, unreachable, 1, "could not connect: network is unreachable");
    scene.check(CHECK, unreachable, 0, "is good");
    assert!(!scene.is_active());
    // The same call leads to the daemon.
    let denied = ("connect:error=EACCES", None);
    for command in [DAEMON, RESUME, RELOAD] {
        scene.check(command, denied, 69, "the daemon cannot be reached");
    }
    scene.check(STATUS, denied, 0, "this is what the ledger says");
    scene.check(&["status", "--exit-code"], denied, 1, "this is what the ledger says");
    let scene = Scene::open();
    scene.check(RUN, ("bind:error=EACCES", None), 1, "could not open the control socket");
    assert!(scene.is_active(), "nothing was begun");
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_unless_nobody_reads_it() {
    if !strace_works() {
        return;
    }
    let scene = Scene::due();
    for command in [CHECK, STATUS, &["upcoming"]] {
        let stdout = Some(Path::new(STDOUT));
        scene.check(command, ("write:error=ENOSPC", stdout), 1, "could not write the answer");
        scene.check(command, ("write:error=EPIPE", stdout), 0, "");
    }
}
