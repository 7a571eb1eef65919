//! The program is killed before a system call, or the call fails, for the calls
//! of a whole night: pausing, noticing a person, resuming.
//!
//! Nothing is judged by how far it came, because threads make that another
//! thing in each run. What the API saw and what the ledger holds must fit
//! together wherever it ended, and the next start must put everything right.
//!
//! A call is told by its name and by how often its thread has made it. Every
//! run of the tests takes a sample; `just kill-everywhere` takes all that
//! touch the disk or the network, and many others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::{DateTime, Utc};
use intermission::clock::wall;
use intermission::domain::hold::HoldState;
use intermission::ledger::{OpenError, Store};
use intermission::simulator::Operation;
use uuid::Uuid;

use crate::skipped::skipped;

use super::{Place, id, much_later, soon, until, window_of};

const PERSON: &str = "Grace Hopper";

/// Calls that leave a trace on the disk or the network.
const LASTING: [&str; 14] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "unlink",
    "mkdir",
    "connect",
    "sendto",
    "sendmsg",
    "writev",
    "recvfrom",
    "flock",
];

/// The parts of a night, each a run of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// The window is open, and there is no ledger yet.
    Pausing,
    /// Somebody has switched a sync on that we hold.
    Noticing,
    /// The window is over, and what was switched on was switched off again.
    Resuming,
}

struct Stage {
    place: Place,
    scene: Scene,
    opens: DateTime<Utc>,
    // The ledger's directory as it is when the scene begins.
    before: Option<PathBuf>,
    /// Paused by us; later a person's.
    contacts: Uuid,
    /// Paused and resumed by us.
    stripe: Uuid,
    /// Off all the time.
    leads: Uuid,
}

impl Stage {
    fn new(scene: Scene) -> Self {
        let mut place = Place::new();
        place.ledger = place.path("state").join("ledger.db");
        let contacts = place.model("default", id(1));
        let stripe = place.bulk("default", id(2));
        let leads = place.model("default", id(3));
        let mut stage = Self { place, scene, opens: soon(-60), before: None, contacts, stripe, leads };
        stage.person(leads, false);
        if scene != Scene::Pausing {
            stage.open();
            stage.recover();
            stage.person(contacts, true);
        }
        if scene == Scene::Resuming {
            stage.recover();
            stage.person(contacts, false);
        }
        if scene != Scene::Pausing {
            let before = stage.place.path("before");
            copy(&stage.state(), &before);
            stage.before = Some(before);
        }
        stage
    }

    fn state(&self) -> PathBuf {
        self.place.path("state")
    }

    fn person(&self, sync: Uuid, active: bool) {
        self.place.world().person_sets(wall(), sync, active, PERSON).unwrap();
    }

    fn open(&self) {
        self.windows(much_later());
    }

    fn close(&self) {
        self.windows(soon(-1));
    }

    fn windows(&self, closes: DateTime<Utc>) {
        let all = [self.contacts, self.leads];
        let window = window_of("default", "patching", (self.opens, closes), &all, &[self.stripe]);
        self.place.write(&[window]);
    }

    /// Sets the scene, and says how many requests there were before it.
    fn begin(&self) -> usize {
        let _ = fs::remove_dir_all(self.state());
        if let Some(before) = &self.before {
            copy(before, &self.state());
        }
        let (contacts, stripe) = match self.scene {
            Scene::Pausing => (true, true),
            Scene::Noticing => (true, false),
            Scene::Resuming => (false, false),
        };
        self.person(self.contacts, contacts);
        self.person(self.stripe, stripe);
        self.person(self.leads, false);
        if self.scene == Scene::Resuming {
            self.close();
        } else {
            self.open();
        }
        self.place.world().requests().len()
    }

    /// Runs under strace with these options.
    fn traced(&self, options: &[&str]) -> Output {
        let binary = binary();
        let before = [&["-f", "-qq"], options, &[binary.to_str().unwrap()]].concat();
        let run = ["run", "--once", "--timeout", "3s"];
        let arguments = [before.as_slice(), run.as_slice()].concat();
        self.place.output_of(self.place.command_under("/usr/bin/strace".as_ref(), &arguments, &[]))
    }

    /// The calls that this scene makes: the most that one thread makes of each.
    fn calls(&self) -> BTreeMap<String, usize> {
        self.begin();
        let log = self.place.path("calls");
        let output = self.traced(&["-o", log.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut counts = BTreeMap::<(String, String), usize>::new();
        for line in taken(&log).lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
            if name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') {
                *counts.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((name, _), count) in counts {
            let seen = most.entry(name).or_insert(0);
            *seen = count.max(*seen);
        }
        // Before it is our program, and when it is none any more.
        for name in ["execve", "exit", "exit_group"] {
            most.remove(name);
        }
        most
    }

    /// Whatever became of the run: what the API was asked is in the ledger.
    fn judge_ledger(&self, what: &str, begun: usize) {
        let look = self.place.path("look");
        let _ = fs::remove_dir_all(&look);
        if self.state().exists() {
            copy(&self.state(), &look);
        }
        let holds = match Store::read_only(&look.join("ledger.db")) {
            Ok(store) => store.contents().unwrap().holds,
            Err(OpenError::Missing(_)) => vec![],
            Err(error) => panic!("{what}: the ledger cannot be read: {error}"),
        };
        for sync in [self.contacts, self.stripe, self.leads] {
            let is_remembered = holds
                .iter()
                .any(|it| it.sync.id == sync && (it.state.owes_resume() || it.state == HoldState::Settling));
            let paused = self.asked(Operation::Pause, sync, begun);
            assert!(paused == 0 || is_remembered, "{what}: {sync} was paused and no row tells");
        }
    }

    /// The next starts put everything right, and touch nothing of a person's.
    fn judge_recovery(&self, what: &str, begun: usize, in_window: bool) {
        let mut contacts = self.scene != Scene::Resuming;
        if in_window && self.scene != Scene::Resuming {
            self.recover();
            let paused = self.scene == Scene::Pausing;
            assert_eq!(self.place.is_active(self.contacts), !paused, "{what}: inside the window");
            assert!(!self.place.is_active(self.stripe), "{what}: inside the window");
            if self.scene == Scene::Noticing {
                self.person(self.contacts, false);
                contacts = false;
            }
        }
        self.close();
        until(what, || {
            self.recover();
            self.place.is_active(self.stripe) && self.place.is_active(self.contacts) == contacts
        });
        for (sync, ours) in
            [(self.contacts, self.scene == Scene::Pausing), (self.stripe, true), (self.leads, false)]
        {
            let posts =
                self.asked(Operation::Pause, sync, begun) + self.asked(Operation::Resume, sync, begun);
            assert!(
                ours || posts == 0,
                "{what}: {sync} is a person's, and {posts} requests wanted to change it"
            );
        }
        assert!(!self.place.is_active(self.leads), "{what}");
        let contents = Store::read_only(&self.place.ledger).unwrap().contents().unwrap();
        let owed: Vec<_> = contents.holds.iter().filter(|it| it.state.owes_resume()).collect();
        assert!(owed.is_empty(), "{what}: {owed:?}");
    }

    fn recover(&self) {
        self.place.run(&["run", "--once", "--timeout", "1m"]).with(0);
    }

    fn asked(&self, operation: Operation, sync: Uuid, begun: usize) -> usize {
        let world = self.place.world();
        world.requests()[begun..]
            .iter()
            .filter(|it| it.operation == operation && it.sync == Some(sync))
            .count()
    }

    /// One run that is spoilt like this.
    fn spoil_run(&self, how: &str, run: &[&str]) -> Output {
        // strace may trace no less than it spoils.
        let trace = format!("trace={}", how.split(':').next().unwrap());
        let inject = format!("inject={how}");
        let options = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let binary = binary();
        let before = [&options[..], &[binary.to_str().unwrap()]].concat();
        self.place.output_of(self.place.command_under("/usr/bin/strace".as_ref(), &before, run))
    }

    /// The daemon, killed at such a call, and then the next one while it
    /// recovers. If there is no such call, it is killed when all is done.
    fn kill_twice(&self, first: &str, second: &str) -> bool {
        let what = format!("{:?}, {first}, then {second}", self.scene);
        let begun = self.begin();
        let (trace, inject) =
            (format!("trace={}", first.split(':').next().unwrap()), format!("inject={first}"));
        let binary = binary();
        let options = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let before = [&options[..], &[binary.to_str().unwrap(), "run"]].concat();
        let command = self.place.command_under("/usr/bin/strace".as_ref(), &before, &[]);
        let mut daemon = self.place.spawn(command);
        let on = self.scene == Scene::Resuming;
        let mut is_killed = false;
        until(&what, || {
            is_killed = daemon.child.try_wait().unwrap().is_some();
            is_killed || self.place.is_active(self.stripe) == on
        });
        daemon.kill();
        self.judge_ledger(&what, begun);
        self.spoil_run(second, &["run", "--once", "--timeout", "3s"]);
        self.judge_ledger(&what, begun);
        self.judge_recovery(&what, begun, true);
        is_killed
    }

    /// One run that is spoilt like this, and all that comes of it.
    fn spoil(&self, how: &str, in_window: bool) -> Output {
        let what = format!("{:?}, {how}", self.scene);
        let begun = self.begin();
        let output = self.spoil_run(how, &["run", "--once", "--timeout", "3s"]);
        self.judge_ledger(&what, begun);
        self.judge_recovery(&what, begun, in_window);
        output
    }
}

/// The one under test, or one that the environment names.
pub(super) fn binary() -> PathBuf {
    named("INTERMISSION_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_intermission").into(), PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "how thorough a test is depends on who runs it")]
fn named(variable: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(variable)
}

/// What strace wrote. It shows every byte that was read, the key's too, so it
/// does not stay.
fn taken(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    fs::remove_file(log).unwrap();
    text
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

pub(super) fn strace_works() -> bool {
    let tried = Command::new("/usr/bin/strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    if tried.is_ok_and(|it| it.status.success()) {
        return true;
    }
    skipped("killing at system calls needs `strace`");
    false
}

/// Which of `count` calls: all of them, or a few, evenly.
fn chosen(count: usize, most: usize) -> BTreeSet<usize> {
    (0..most).map(|it| 1 + it * count / most).take(count).collect()
}

fn killed_at(scene: Scene) {
    if !strace_works() {
        return;
    }
    let everywhere = named("INTERMISSION_KILL_EVERYWHERE").is_some();
    let began = wall();
    let stage = Stage::new(scene);
    let (mut points, mut killed) = (0, 0);
    for (name, count) in stage.calls() {
        let most = match (LASTING.contains(&name.as_str()), everywhere) {
            (true, true) => count,
            (true, false) => 12,
            (false, true) => 10,
            (false, false) => 1,
        };
        for at in chosen(count, most.min(count)) {
            points += 1;
            let output = stage.spoil(&format!("{name}:signal=KILL:when={at}"), points % 2 == 0);
            killed += usize::from(!output.status.success());
        }
    }
    println!("{scene:?}: {points} points, {killed} killed, in {} s", (wall() - began).num_seconds());
    // Threads share the work differently each time, but not that differently.
    assert!(points / 2 < killed, "{killed} of {points} were killed: does strace inject?");
}

#[test]
fn killed_at_a_system_call_of_pausing_it_owes_what_it_may_have_paused() {
    killed_at(Scene::Pausing);
}

#[test]
fn killed_at_a_system_call_of_noticing_a_person_it_leaves_that_alone() {
    killed_at(Scene::Noticing);
}

#[test]
fn killed_at_a_system_call_of_resuming_it_resumes_and_touches_no_other() {
    killed_at(Scene::Resuming);
}

#[test]
fn a_daemon_killed_at_a_boundary_and_again_while_it_recovers_owes_nothing_in_the_end() {
    if !strace_works() {
        return;
    }
    let mut killed = 0;
    for scene in [Scene::Pausing, Scene::Resuming] {
        let stage = Stage::new(scene);
        for (first, second) in [
            ("connect:signal=KILL:when=1", "recvfrom:signal=KILL:when=1"),
            ("sendto,writev:signal=KILL:when=1", "connect:signal=KILL:when=1"),
            ("recvfrom:signal=KILL:when=1", "sendto,writev:signal=KILL:when=2"),
            ("sendto,writev:signal=KILL:when=3", "recvfrom:signal=KILL:when=3"),
            ("recvfrom:signal=KILL:when=3", "pwrite64:signal=KILL:when=2"),
        ] {
            killed += usize::from(stage.kill_twice(first, second));
        }
    }
    assert!(5 <= killed, "{killed} of 10 were killed: does strace inject?");
}

#[test]
fn a_system_call_that_fails_while_pausing_leaves_nothing_unremembered() {
    if !strace_works() {
        return;
    }
    let stage = Stage::new(Scene::Pausing);
    let failures = [
        "fsync,fdatasync:error=EIO:when=1+",
        "fsync,fdatasync:error=EIO:when=3+",
        "fsync,fdatasync:error=EIO:when=6+",
        "pwrite64:error=ENOSPC:when=1+",
        "pwrite64:error=ENOSPC:when=30+",
        "pwrite64:error=EIO:when=30+",
        "openat:error=EMFILE:when=20+",
        "openat:error=EACCES:when=60+",
        "connect:error=ENETUNREACH:when=1+",
        "clone3:error=EAGAIN:when=5+",
    ];
    for (turn, how) in failures.into_iter().enumerate() {
        let output = stage.spoil(how, turn % 2 == 0);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|it| matches!(it, 0 | 1 | 78)), "{how}: {told}");
    }
}

/// Whatever is started anew on a disk like that, by a service manager or by hand.
#[test]
fn what_is_due_is_resumed_although_no_fsync_succeeds() {
    if !strace_works() {
        return;
    }
    let stage = Stage::new(Scene::Resuming);
    let how = "fsync,fdatasync:error=EIO:when=1+";
    let resumes = |begun| stage.asked(Operation::Resume, stage.stripe, begun);
    let begun = stage.begin();
    for _ in 0..2 {
        let output = stage.spoil_run(how, &["run", "--once", "--timeout", "1m"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("the ledger cannot be trusted any more"), "{told}");
        assert!(stage.place.is_active(stage.stripe), "{told}");
        assert_eq!(resumes(begun), 1, "{told}");
    }
    stage.judge_recovery("a disk that takes nothing", begun, false);

    let begun = stage.begin();
    stage.open();
    let output = stage.spoil_run(how, &["resume", "--offline", "--all"]);
    let told = String::from_utf8_lossy(&output.stderr);
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(table.contains(" resumed ") && !table.contains("not resumed"), "{table}{told}");
    assert!(stage.place.is_active(stage.stripe), "{told}");
    stage.judge_recovery("a disk that takes nothing, by hand", begun, false);
}

/// Not the last one either, of which nobody hears in time by chance.
#[test]
fn whichever_fsync_is_the_first_to_fail_the_process_does_not_end_well() {
    if !strace_works() {
        return;
    }
    let stage = Stage::new(Scene::Resuming);
    let log = stage.place.path("calls");
    for nth in 1.. {
        stage.begin();
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}+");
        let output =
            stage.traced(&["-o", log.to_str().unwrap(), "-e", "trace=fsync,fdatasync", "-e", &inject]);
        if !taken(&log).contains("(INJECTED)") {
            assert!(2 < nth, "only {nth} were made");
            break;
        }
        let told = String::from_utf8_lossy(&output.stderr);
        // By then all is written, and only in two files instead of one.
        let is_tidying = told.contains("Could not tidy up the ledger");
        assert_eq!(output.status.code(), Some(i32::from(!is_tidying)), "{nth}: {told}");
        assert!(stage.place.is_active(stage.stripe), "{nth}: {told}");
    }
}

#[test]
fn no_pause_is_sent_once_an_fsync_has_failed() {
    if !strace_works() {
        return;
    }
    let stage = Stage::new(Scene::Pausing);
    stage.begin();
    stage.recover();
    // The ledger is there, so the first write of this run is what it starts with.
    stage.close();
    stage.recover();
    stage.open();
    let begun = stage.place.world().requests().len();
    let how = "inject=fsync,fdatasync:error=EIO:when=1+";
    let output = stage.traced(&["-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", how]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    for sync in [stage.contacts, stage.stripe] {
        assert_eq!(stage.asked(Operation::Pause, sync, begun), 0);
        assert!(stage.place.is_active(sync));
    }
    stage.recover();
    assert!(!stage.place.is_active(stage.contacts) && !stage.place.is_active(stage.stripe));
}

/// SIGKILL cannot show this, because the kernel keeps what the dead have written.
#[test]
fn the_row_is_synced_to_the_disk_before_the_pause_leaves() {
    if !strace_works() {
        return;
    }
    let stage = Stage::new(Scene::Pausing);
    stage.begin();
    let log = stage.place.path("order");
    let options = ["-y", "-s", "100000", "-o", log.to_str().unwrap()];
    assert_eq!(stage.traced(&options).status.code(), Some(0));
    let calls = taken(&log);
    let at = |what: &str, from: usize, is_meant: &dyn Fn(&str) -> bool| {
        let found = calls.lines().skip(from).position(is_meant);
        from + found.unwrap_or_else(|| panic!("{what} is not among the calls"))
    };
    for sync in [stage.contacts, stage.stripe] {
        let sync = sync.to_string();
        let written = at("the row", 0, &|it| {
            it.contains("pwrite64(") && it.contains("ledger.db-wal") && it.contains(&sync)
        });
        let thread = calls.lines().nth(written).unwrap().split_once(' ').unwrap().0;
        let synced = at("the sync", written, &|it| {
            it.starts_with(thread) && it.contains("sync") && it.trim_end().ends_with("= 0")
        });
        let sent = at("the pause", 0, &|it| it.contains("POST /api/") && it.contains(&sync));
        assert!(synced < sent, "{sync}: written {written}, synced {synced}, sent {sent}");
    }
}

#[test]
fn a_connection_that_is_refused_once_is_made_again() {
    if !strace_works() {
        return;
    }
    for error in ["ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT"] {
        let stage = Stage::new(Scene::Pausing);
        stage.begin();
        let how = format!("inject=connect:error={error}:when=1");
        let output = stage.traced(&["-o", "/dev/null", "-e", "trace=connect", "-e", &how]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!stage.place.is_active(stage.contacts) && !stage.place.is_active(stage.stripe));
    }
}
