//! One night: a simulated Polytomic, a configuration, and daemons that come and
//! go as processes of their own.
//!
//! Nothing here sleeps for a fixed time and hopes. What a test waits for is a
//! condition on the world or on what the daemon says of itself, with a deadline
//! that only a hopeless machine misses. Tests therefore assert order, and
//! lateness only against [`PATIENCE`].

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use intermission::clock::wall;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Received, Server, Sync, Who, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use uuid::Uuid;

use crate::secrets::Forms;

/// A condition that is not met by then will not be.
const DEADLINE: TimeDelta = TimeDelta::seconds(60);

/// How late a switch may be on a machine that does many other things. On an
/// idle one it is a few milliseconds.
pub(super) const PATIENCE: TimeDelta = TimeDelta::seconds(5);

/// An end that no test lives to see.
pub(super) const FAR: f64 = 3600.0;

/// How every key of the night begins. It is searched for in all that is said.
const KEY: &str = "k3y-0f-a-n1ght-5e8d2b7c9f41";

/// Who does things in Polytomic's own pages.
pub(super) const PERSON: &str = "Grace Hopper";

/// A sync of the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) organization: &'static str,
    pub(super) kind: SyncKind,
    pub(super) id: Uuid,
    pub(super) name: &'static str,
}

impl Part {
    const fn new(organization: &'static str, kind: SyncKind, id: u128, name: &'static str) -> Self {
        Self { organization, kind, id: Uuid::from_u128(id), name }
    }
}

pub(super) const CONTACTS: Part =
    Part::new("default", SyncKind::Model, 0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d, "Contacts");
pub(super) const LEADS: Part =
    Part::new("default", SyncKind::Model, 0x6b1f_0a52_96d4_4d7e_8c3b_0d52_9a11_c0de, "Leads");
pub(super) const STRIPE: Part =
    Part::new("default", SyncKind::Bulk, 0x5d7c_53aa_3e1d_4fb6_9c5f_4c4b_3f5a_1f10, "Stripe to Snowflake");
pub(super) const EMEA: Part =
    Part::new("emea", SyncKind::Model, 0x91c0_4e6a_07c4_4f55_b6a4_52a5_86a8_51de, "Kontakte");
/// Only [`Night::fence`] touches it.
const FENCE: Part = Part::new("default", SyncKind::Model, 0xfe_4ce0_0000_4000_8000_0000_0000_0001, "Fence");

/// Everything that lives in one night; gone with it.
pub(super) struct Night {
    directory: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

/// How it is set up.
impl Night {
    /// A Polytomic with two organizations, every sync of which is on.
    pub(super) fn new() -> Self {
        let mut world = World::new(1);
        let now = wall();
        for organization in ["default", "emea"] {
            world.add_organization(organization, key(organization));
        }
        for part in [CONTACTS, LEADS, STRIPE, EMEA, FENCE] {
            world.add(now, part.organization, Sync::new(part.kind, part.id, part.name, now)).unwrap();
        }
        let world = Arc::new(Mutex::new(world));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server =
            runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&world), Arc::new(wall))).unwrap();
        let night = Self { directory: tempfile::tempdir().unwrap(), world, server, _runtime: runtime };
        for organization in ["default", "emea"] {
            let path = night.path(&format!("{organization}.key"));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
            writeln!(file, "{}", key(organization)).unwrap();
        }
        night
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration, with these windows.
    pub(super) fn write(&self, windows: &[Window]) {
        let polytomic = |organization: &str| {
            let key = self.path(&format!("{organization}.key"));
            format!("url = \"{}\"\napi_key_file = \"{}\"\n", self.server.url(), key.display())
        };
        let mut text = format!(
            "timezone = \"Europe/Amsterdam\"\n\
             [polytomic]\n{}[organization.emea]\n{}\
             [retry]\ninitial = \"100ms\"\nmax = \"1s\"\n\
             [reconcile]\ndrift_check = \"300ms\"\n\
             [state]\npath = \"{}\"\n[web]\ncontrol_socket = \"{}\"\n",
            polytomic("default"),
            polytomic("emea"),
            self.path("ledger.db").display(),
            self.path("control.sock").display(),
        );
        for window in windows {
            window.write(&mut text);
        }
        self.put(&text);
    }

    /// Makes the configuration something that is none.
    pub(super) fn write_nonsense(&self) {
        self.rewrite(|text| text.replace("timezone =", "timezoon ="));
    }

    /// Takes the second organization out of the configuration, and every window.
    pub(super) fn remove_emea(&self) {
        self.rewrite(|text| {
            let (before, rest) = text.split_once("[organization.emea]").unwrap();
            let (_, after) = rest.split_once("[retry]").unwrap();
            let after = after.split_once("[[window]]").map_or(after, |(after, _)| after);
            format!("{before}[retry]{after}")
        });
    }

    /// Edits the configuration.
    pub(super) fn rewrite(&self, edit: impl FnOnce(&str) -> String) {
        self.put(&edit(&std::fs::read_to_string(self.path("intermission.toml")).unwrap()));
    }

    /// Whole or not at all: a daemon may be reading.
    fn put(&self, text: &str) {
        std::fs::write(self.path("intermission.toml.new"), text).unwrap();
        std::fs::rename(self.path("intermission.toml.new"), self.path("intermission.toml")).unwrap();
    }

    /// Somebody switches a sync in Polytomic's own pages.
    pub(super) fn person_switches(&self, part: Part, active: bool) {
        self.world().person_sets(wall(), part.id, active, PERSON).unwrap();
    }
}

/// Its processes.
impl Night {
    /// Starts a daemon and waits until it answers: it has recovered, and its
    /// configuration is in force.
    pub(super) fn start(&self) -> Daemon {
        let daemon = self.spawn(&[]);
        self.until_status("the daemon answers", |it| it["daemon"]["pid"] == daemon.pid());
        daemon
    }

    /// Starts a daemon with these variables and waits for nothing.
    pub(super) fn spawn(&self, environment: &[(&str, String)]) -> Daemon {
        let log = File::options().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["run", "--log-format", "text"]);
        command.envs(environment.iter().map(|(name, value)| (name, value))).stdout(Stdio::null()).stderr(log);
        Daemon { child: command.spawn().unwrap() }
    }

    /// What its daemons have logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// Asks something of the command line, and sees how it ends.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str], code: i32) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said::of(arguments, output, code)
    }

    /// Same, with this to read from stdin.
    #[track_caller]
    pub(super) fn run_with(&self, input: &str, arguments: &[&str], code: i32) -> Said {
        let path = self.path("stdin");
        std::fs::write(&path, input).unwrap();
        let output = self.command(arguments).stdin(File::open(path).unwrap()).output().unwrap();
        Said::of(arguments, output, code)
    }

    /// What the command says about another file, whatever comes of it.
    pub(super) fn run_file(&self, file: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
        command.env_clear().args(arguments).args(["--config", file]).stdin(Stdio::null());
        let state = self.path("broken.db");
        let output = command.arg("--state").arg(state).output().unwrap();
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
        command.env_clear().args(arguments).stdin(Stdio::null());
        command.arg("--config").arg(self.path("intermission.toml"));
        command
    }

    /// Puts these windows into force with one more, already open, and waits
    /// until its sync is paused: by then every other sync was decided about,
    /// so what has not happened is not going to.
    pub(super) fn fence(&self, windows: &[Window]) {
        let fence = Window::new("fence", soon(-1.0)..soon(FAR)).of(&[FENCE]);
        self.write(&[windows, &[fence]].concat());
        self.run(&["reload"], 0);
        self.until_paused(FENCE);
    }
}

/// What is waited for.
impl Night {
    /// Waits for something to be so in the world.
    #[track_caller]
    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut(&World) -> bool) {
        let deadline = wall() + DEADLINE;
        while !is_so(&self.world()) {
            assert!(wall() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until our API key has switched this sync off and it is off still.
    #[track_caller]
    pub(super) fn until_paused(&self, part: Part) {
        self.until(&format!("{} is paused", part.name), |world| last_switch(world, part) == Some(false));
    }

    /// Waits until our API key has switched this sync on again.
    #[track_caller]
    pub(super) fn until_resumed(&self, part: Part) {
        self.until(&format!("{} is resumed", part.name), |world| last_switch(world, part) == Some(true));
    }

    /// Waits until our API key has switched this sync so often.
    #[track_caller]
    pub(super) fn until_switches(&self, part: Part, count: usize) {
        self.until(&format!("{} is switched", part.name), |world| count <= switches(world, part).count());
    }

    /// Waits until the clock says so.
    pub(super) fn until_time(&self, at: DateTime<Utc>) {
        self.until("time passes", |_| at <= wall());
    }

    /// Waits for the daemon, or the ledger without one, to say something.
    #[track_caller]
    pub(super) fn until_status(&self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let deadline = wall() + DEADLINE;
        loop {
            // Before its first start there is neither a daemon nor a ledger.
            let output = self.command(&["status", "--format", "json"]).output().unwrap();
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if is_so(&status) {
                return status;
            }
            assert!(wall() < deadline, "waited in vain: {what}; the status is {status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a sync's row is in this state, and says the row.
    #[track_caller]
    pub(super) fn until_state(&self, part: Part, state: &str) -> Value {
        let status =
            self.until_status(&format!("{} is {state}", part.name), |it| row(it, part)["state"] == state);
        row(&status, part).clone()
    }

    /// Waits until there is no row of a sync.
    #[track_caller]
    pub(super) fn until_no_row(&self, part: Part) {
        self.until_status(&format!("{} has no row", part.name), |it| {
            it["syncs"].is_array() && row(it, part).is_null()
        });
    }
}

/// What is judged.
impl Night {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_on(&self, part: Part) -> bool {
        self.world().sync(part.id).unwrap().active
    }

    /// What our API keys did to a sync, by the API's own record.
    pub(super) fn switches(&self, part: Part) -> Vec<(DateTime<Utc>, bool)> {
        switches(&self.world(), part).collect()
    }

    /// The requests to change a sync, whatever became of them.
    pub(super) fn posts(&self, part: Part) -> usize {
        let world = self.world();
        let is_post = |it: &&Received| it.method == "POST" && it.sync == Some(part.id);
        world.requests().iter().filter(is_post).count()
    }

    /// Asserts one pause inside a window and one resume at or after its end,
    /// and no other attempt. Says when they came.
    #[track_caller]
    pub(super) fn assert_one_pause(&self, part: Part, window: &Range<DateTime<Utc>>) -> Pause {
        let switches = self.switches(part);
        let [(paused, false), (resumed, true)] = switches[..] else {
            panic!("{} was not paused once and resumed once: {switches:?}", part.name);
        };
        assert!(window.contains(&paused), "{} was paused at {paused}, outside {window:?}", part.name);
        assert!(window.end <= resumed, "{} was resumed at {resumed}, within {window:?}", part.name);
        assert_eq!(self.posts(part), 2, "attempts about {}", part.name);
        Pause { paused, resumed }
    }

    /// Asserts that nobody tried to switch a sync with our key.
    #[track_caller]
    pub(super) fn assert_untouched(&self, part: Part) {
        assert_eq!(self.posts(part), 0, "{} was to be left alone", part.name);
    }

    /// The journal's events of these kinds, oldest first.
    pub(super) fn history(&self, events: &str) -> Vec<Value> {
        let said = self.run(&["history", "--format", "json", "--event", events], 0);
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Night {
    /// What a failed test leaves to read; after any other, nothing may show a key.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for arguments in [&["status"][..], &["status", "--format", "json"], &["history"]] {
                keys().assert_not_said_by(self.command(arguments));
            }
            let is_key = |name: &str| Path::new(name).extension().is_some_and(|it| it == "key");
            keys().assert_not_below(self.directory.path(), &is_key);
            return;
        }
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let mut record = String::new();
        let world = self.world();
        for it in world.changes() {
            let _ = writeln!(record, "{} {:?} {} {:?} -> {:?}", it.at, it.who, it.id, it.before, it.after);
        }
        for it in world.requests().iter().filter(|it| it.method == "POST") {
            let _ = writeln!(record, "{} {:?} {:?} {:?}", it.at, it.operation, it.sync, it.status);
        }
        eprintln!("The daemon's log:\n{log}\nThe API's record:\n{record}");
    }
}

/// The key of an organization, or another one, that the search covers too.
pub(super) fn key(organization: &str) -> String {
    format!("{KEY}-{organization}")
}

/// What is searched for: both keys begin with it.
fn keys() -> Forms {
    Forms::of(KEY)
}

/// When a sync was paused and resumed.
pub(super) struct Pause {
    pub(super) paused: DateTime<Utc>,
    pub(super) resumed: DateTime<Utc>,
}

/// A window that happens once.
#[derive(Debug, Clone)]
pub(super) struct Window {
    name: &'static str,
    span: Range<DateTime<Utc>>,
    parts: Vec<Part>,
    more: &'static str,
}

impl Window {
    pub(super) fn new(name: &'static str, span: Range<DateTime<Utc>>) -> Self {
        Self { name, span, parts: vec![], more: "" }
    }

    /// Which syncs, of one organization.
    pub(super) fn of(self, parts: &[Part]) -> Self {
        Self { parts: parts.to_vec(), ..self }
    }

    /// More keys, as the file has them.
    pub(super) fn with(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// When it opens.
    pub(super) fn opens(&self) -> DateTime<Utc> {
        self.span.start
    }

    /// When it closes.
    pub(super) fn closes(&self) -> DateTime<Utc> {
        self.span.end
    }

    /// The same window by another name.
    pub(super) fn renamed(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    /// The same window with another end.
    pub(super) fn until(&self, end: DateTime<Utc>) -> Self {
        Self { span: self.span.start..end, ..self.clone() }
    }

    fn write(&self, text: &mut String) {
        // An offset that is nobody's zone here: the instant alone counts.
        let zone = FixedOffset::east_opt(-5 * 3600).unwrap();
        let time = |at: DateTime<Utc>| at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Millis, false);
        let ids = |kind: SyncKind| {
            let ids = self.parts.iter().filter(|it| it.kind == kind).map(|it| format!("\"{}\"", it.id));
            ids.collect::<Vec<_>>().join(", ")
        };
        let organization = self.parts.first().map_or("default", |it| it.organization);
        let (start, end) = (time(self.span.start), time(self.span.end));
        let (models, bulks) = (ids(SyncKind::Model), ids(SyncKind::Bulk));
        let _ = writeln!(
            text,
            "[[window]]\nname = \"{}\"\nstart = {start}\nend = {end}\norganization = \"{organization}\"\n\
             syncs = [{models}]\nbulk_syncs = [{bulks}]\n{}",
            self.name, self.more,
        );
    }
}

/// So many seconds from now, to the millisecond, as the file writes it.
pub(super) fn soon(seconds: f64) -> DateTime<Utc> {
    let offset = TimeDelta::from_std(Duration::from_secs_f64(seconds.abs())).unwrap();
    let at = if seconds < 0.0 { wall() - offset } else { wall() + offset };
    at.trunc_subsecs(3)
}

/// What a command said.
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    #[track_caller]
    fn of(arguments: &[&str], output: Output, code: i32) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        keys().assert_not_in(&format!("{arguments:?}"), [out.as_str(), &err].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?} says:\n{out}\nand to stderr:\n{err}");
        Self { out, err }
    }

    #[track_caller]
    pub(super) fn with(self, words: &[&str]) -> Self {
        for words in words {
            let is_there = self.out.contains(words) || self.err.contains(words);
            assert!(is_there, "`{words}` is in neither stdout:\n{}\nnor stderr:\n{}", self.out, self.err);
        }
        self
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// A daemon; killed with the test if that fails.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and how it ends.
    pub(super) fn stop(self) -> Option<i32> {
        self.terminate();
        self.ended().code()
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        keys().assert_not_shown_by(self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: it sleeps as a suspended machine does, until [`Daemon::go_on`].
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(super) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub(super) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM; [`Daemon::ended`] says how it ends.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Whether it runs no more.
    pub(super) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    fn signal(&self, signal: Signal) {
        keys().assert_not_shown_by(self.child.id());
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(super) fn ended(mut self) -> ExitStatus {
        let deadline = wall() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(wall() < deadline, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sync's row of a status; null without one.
pub(super) fn row(status: &Value, part: Part) -> &Value {
    let mut rows = status["syncs"].as_array().into_iter().flatten();
    rows.find(|it| it["id"] == part.id.to_string()).unwrap_or(&Value::Null)
}

fn switches(world: &World, part: Part) -> impl Iterator<Item = (DateTime<Utc>, bool)> {
    let is_ours = |it: &&intermission::simulator::Change| it.who == Who::Api;
    world.changes_of(part.id).filter(is_ours).filter_map(|it| Some((it.at, it.after?)))
}

/// What our key did last to a sync.
fn last_switch(world: &World, part: Part) -> Option<bool> {
    switches(world, part).last().map(|(_, active)| active)
}
