//! Nights on which things break, from the outside: the binary as a process,
//! a simulated Polytomic with faults, and a file system that fails.
//!
//! Nothing here depends on how fast the machine is. A test waits for what must
//! become true, and moves the end of a window to soon once it wants it closed.

mod answers;
mod clocks;
mod crowd;
mod exits;
mod files;
mod hostile;
mod kill;
mod ledgers;
mod listen;
mod multiplexed;
mod outages;
mod output;
mod release_only;
mod shortages;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use intermission::clock;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Operation, Server, Sync, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::secrets::Forms;
use crate::tls;

/// How every key of these tests begins. No output may ever hold it.
const KEY: &str = "pk-1f7e-never-to-be-seen";

/// What must become true has so long.
const PATIENCE: TimeDelta = TimeDelta::seconds(120);

/// Between two looks at what must become true.
const LOOK: Duration = Duration::from_millis(50);

/// Retries within half a second, and rows that settle within seconds.
const PACE: &str = "[retry]\ninitial = \"100ms\"\nmax = \"500ms\"\n\
                    [reconcile]\nsettle = \"4s\"\ndrift_check = \"1s\"\nmax_sleep = \"1s\"\n";

/// A directory with all that a daemon needs, and the Polytomic it talks to.
struct Place {
    directory: tempfile::TempDir,
    ledger: PathBuf,
    organizations: Vec<String>,
    pace: String,
    request_timeout: &'static str,
    world: Arc<Mutex<World>>,
    server: Option<Server>,
    address: SocketAddr,
    speaks: Speaks,
    runtime: tokio::runtime::Runtime,
    outputs: AtomicUsize,
}

/// How the simulated Polytomic is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Plain,
    /// TLS and HTTP/2, as the real one does.
    Secured,
}

impl Place {
    /// With one organization, `default`.
    fn new() -> Self {
        Self::with(&["default"])
    }

    fn with(organizations: &[&str]) -> Self {
        Self::reached(Speaks::Plain, organizations)
    }

    /// With one organization, over TLS and HTTP/2.
    fn secured() -> Self {
        Self::reached(Speaks::Secured, &["default"])
    }

    fn reached(speaks: Speaks, organizations: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = Arc::new(Mutex::new(World::new(7)));
        let server = serve(&runtime, "127.0.0.1:0", &world, speaks).unwrap();
        let place = Self {
            ledger: directory.path().join("ledger.db"),
            directory,
            organizations: organizations.iter().map(|&it| it.to_owned()).collect(),
            pace: PACE.to_owned(),
            request_timeout: "2s",
            world,
            address: server.address(),
            server: Some(server),
            speaks,
            runtime,
            outputs: AtomicUsize::new(0),
        };
        for name in organizations {
            let key = format!("{KEY}-{name}");
            place.write_key(name, &key);
            place.world().add_organization(*name, key);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("intermission.toml")
    }

    fn key(&self, organization: &str) -> PathBuf {
        self.path(&format!("key-{organization}"))
    }

    /// Puts the key there in one step, as who rotates keys should.
    fn write_key(&self, organization: &str, key: &str) {
        let new = self.path("key-new");
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).unwrap();
        writeln!(file, "{key}").unwrap();
        fs::rename(new, self.key(organization)).unwrap();
    }

    /// Writes the configuration with these windows, in one step too.
    fn write(&self, windows: &[String]) {
        use std::fmt::Write as _;

        let mut text = "timezone = \"UTC\"\n".to_owned();
        for name in &self.organizations {
            let table =
                if name == "default" { "polytomic".to_owned() } else { format!("organization.{name}") };
            let (key, timeout) = (self.key(name), self.request_timeout);
            writeln!(
                text,
                "[{table}]\n{}\napi_key_file = \"{}\"\nrequest_timeout = \"{timeout}\"",
                self.where_it_is(),
                key.display()
            )
            .unwrap();
        }
        text.push_str(&self.pace);
        let (ledger, socket) = (self.ledger.display(), self.path("control.sock"));
        write!(text, "[state]\npath = \"{ledger}\"\n[web]\ncontrol_socket = \"{}\"\n", socket.display())
            .unwrap();
        text.push_str(&windows.concat());
        self.write_text(&text);
    }

    fn write_text(&self, text: impl AsRef<[u8]>) {
        let new = self.path("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    /// A sync that runs, in this organization.
    fn model(&self, organization: &str, id: Uuid) -> Uuid {
        self.add(organization, Sync::new(SyncKind::Model, id, format!("model {id}"), clock::wall()))
    }

    fn bulk(&self, organization: &str, id: Uuid) -> Uuid {
        self.add(organization, Sync::new(SyncKind::Bulk, id, format!("bulk {id}"), clock::wall()))
    }

    fn add(&self, organization: &str, sync: Sync) -> Uuid {
        let id = sync.id;
        self.world().add(clock::wall(), organization, sync).unwrap();
        id
    }

    /// The world as it is now, what was due late included.
    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(clock::wall());
        world
    }

    fn is_active(&self, id: Uuid) -> bool {
        self.world().sync(id).unwrap().active
    }

    /// How many requests of this kind came, about this sync.
    fn requests(&self, operation: Operation, id: Uuid) -> usize {
        let is_meant =
            |it: &&intermission::simulator::Received| it.operation == operation && it.sync == Some(id);
        self.world().requests().iter().filter(is_meant).count()
    }

    /// As the file says it.
    fn where_it_is(&self) -> String {
        match self.speaks {
            Speaks::Plain => format!("url = \"http://{}\"", self.address),
            Speaks::Secured => format!(
                "url = \"https://localhost:{}\"\nca_file = \"{}\"",
                self.address.port(),
                tls::certificate("ca.pem").display()
            ),
        }
    }

    /// The server is gone: connections are refused.
    fn take_down(&mut self) {
        self.server = None;
    }

    /// It is back where it was, once the address is free.
    fn bring_back(&mut self) {
        let address = self.address.to_string();
        let (runtime, world, speaks) = (&self.runtime, &self.world, self.speaks);
        self.server =
            Some(until_some("the server can listen again", || serve(runtime, &address, world, speaks)));
    }

    // ---- the program ----

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(env!("CARGO_BIN_EXE_intermission").as_ref(), &[], arguments)
    }

    fn command_under(&self, program: &Path, before: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).args(before).args(arguments);
        command.arg("--config").arg(self.config()).arg("--state").arg(&self.ledger);
        command
    }

    /// A file for what a process says. All of them are searched for keys.
    fn output(&self) -> (PathBuf, fs::File) {
        let path = self.path(&format!("output-{}.txt", self.outputs.fetch_add(1, Relaxed)));
        let file = fs::File::create(&path).unwrap();
        (path, file)
    }

    fn start(&self) -> Daemon {
        self.spawn(self.command(&["run"]))
    }

    fn spawn(&self, mut command: Command) -> Daemon {
        let (log, file) = self.output();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Daemon { child: command.spawn().unwrap(), log }
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Ended {
        self.ended(self.command(arguments))
    }

    fn ended(&self, command: Command) -> Ended {
        let output = self.output_of(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Runs it to its end, and keeps what it says to be searched for keys.
    fn output_of(&self, mut command: Command) -> Output {
        let output = command.output().unwrap();
        let (_, mut file) = self.output();
        file.write_all(&[&*output.stdout, &*output.stderr].concat()).unwrap();
        output
    }

    /// `status --format json` of a daemon that is there.
    fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--format", "json"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains(KEY), "`status` shows a key");
        serde_json::from_str::<Value>(&text).ok().filter(|it| !it["daemon"].is_null())
    }

    /// The row of a sync, once there is one that looks like this.
    #[track_caller]
    fn until_row(&self, what: &str, id: Uuid, is_meant: impl Fn(&Value) -> bool) -> Value {
        until_some(what, || {
            let status = self.status().unwrap_or_default();
            let row = rows(&status).iter().find(|it| it["id"] == id.to_string()).cloned().unwrap_or_default();
            if is_meant(&row) { Ok(row) } else { Err(row.to_string()) }
        })
    }

    #[track_caller]
    fn until_held(&self, id: Uuid) {
        self.until_row("the sync is held", id, |row| row["state"] == "held" && row["last_error"].is_null());
        assert!(!self.is_active(id), "held, but active");
    }

    #[track_caller]
    fn until_active(&self, id: Uuid) {
        until("the sync is active", || self.is_active(id));
    }

    /// Nothing is remembered any more.
    #[track_caller]
    fn until_no_rows(&self) {
        until("no row is left", || self.status().is_some_and(|it| rows(&it).is_empty()));
    }

    /// Makes the daemon read its file, once it can be reached.
    #[track_caller]
    fn reload(&self) {
        let answered = until_some("the daemon answers", || match self.run(&["reload"]) {
            Ended { code: Some(69), err, .. } => Err(err),
            answered => Ok(answered),
        });
        answered.with(0);
    }
}

impl Drop for Place {
    /// What a failed test leaves to read; after any other, nothing may hold a key.
    fn drop(&mut self) {
        let outputs = (0..self.outputs.load(Relaxed)).map(|it| self.path(&format!("output-{it}.txt")));
        if std::thread::panicking() {
            for path in outputs {
                eprintln!("---- {} ----\n{}", path.display(), fs::read_to_string(&path).unwrap_or_default());
            }
            return;
        }
        let keys = Forms::of(KEY);
        for arguments in [&["status"][..], &["status", "--format", "json"], &["history"]] {
            keys.assert_not_said_by(self.command(arguments));
        }
        keys.assert_not_below(self.directory.path(), &|name| name.starts_with("key-"));
    }
}

/// A daemon; killed when dropped.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// As a crash would.
    fn kill(mut self) {
        Forms::of(KEY).assert_not_shown_by(self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As systemd would, and how long it took.
    fn terminate(mut self) -> (ExitStatus, TimeDelta) {
        Forms::of(KEY).assert_not_shown_by(self.child.id());
        let began = clock::wall();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.wait();
        (status, clock::wall() - began)
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        until_some("the daemon ends", || self.child.try_wait().unwrap().ok_or("it runs"))
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended, and what it said.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// Waits, however slow the machine is, within reason.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, || is_so().then_some(()).ok_or("it is not so"));
}

/// Same, and says what was found; if nothing was, what there is instead.
#[track_caller]
fn until_some<T, E: std::fmt::Display>(what: &str, mut find: impl FnMut() -> Result<T, E>) -> T {
    let deadline = clock::wall() + PATIENCE;
    loop {
        match find() {
            Ok(found) => return found,
            Err(instead) => assert!(clock::wall() < deadline, "waited in vain until {what}: {instead}"),
        }
        std::thread::sleep(LOOK);
    }
}

fn serve(
    runtime: &tokio::runtime::Runtime,
    address: &str,
    world: &Arc<Mutex<World>>,
    speaks: Speaks,
) -> std::io::Result<Server> {
    runtime.block_on(async {
        let (world, clock) = (Arc::clone(world), Arc::new(clock::wall));
        let listener = TcpListener::bind(address).await?;
        match speaks {
            Speaks::Plain => Server::start(listener, world, clock),
            Speaks::Secured => Server::start_secured(listener, world, clock, tls::secure()),
        }
    })
}

fn rows(status: &Value) -> &[Value] {
    status["syncs"].as_array().map_or(&[], Vec::as_slice)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_0000_0000_0000 + number)
}

/// So many seconds from now.
fn soon(seconds: i64) -> DateTime<Utc> {
    clock::wall() + TimeDelta::seconds(seconds)
}

/// So late that no test sees it.
fn much_later() -> DateTime<Utc> {
    soon(7200)
}

/// A window that happens once, of the organization `default`.
fn window(name: &str, (opens, closes): (DateTime<Utc>, DateTime<Utc>), models: &[Uuid]) -> String {
    window_of("default", name, (opens, closes), models, &[])
}

fn window_of(
    organization: &str,
    name: &str,
    (opens, closes): (DateTime<Utc>, DateTime<Utc>),
    models: &[Uuid],
    bulks: &[Uuid],
) -> String {
    let time = |it: DateTime<Utc>| it.to_rfc3339_opts(SecondsFormat::Millis, true);
    let list = |key: &str, ids: &[Uuid]| match ids {
        [] => String::new(),
        ids => format!("{key} = {:?}\n", ids.iter().map(Uuid::to_string).collect::<Vec<_>>()),
    };
    format!(
        "[[window]]\nname = \"{name}\"\norganization = \"{organization}\"\nstart = {}\nend = {}\n{}{}",
        time(opens),
        time(closes),
        list("syncs", models),
        list("bulk_syncs", bulks)
    )
}
