//! A machine of our own: this one's systemd as PID 1 of namespaces of its own,
//! with intermission installed as a package would, and a simulated Polytomic in
//! this process, which it reaches because the network is shared.
//!
//! All scenes share one boot, one after the other.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use intermission::clock::wall;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Server, Sync, Who, World};
use serde_json::Value;
use uuid::Uuid;

/// A condition that is not met by then will not be.
const DEADLINE: TimeDelta = TimeDelta::seconds(90);

/// The sync that all scenes are about.
pub(super) const CONTACTS: Uuid = Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d);

pub(super) const KEY: &str = "simulated-key";

/// What is installed, and where.
const FILES: &[(&str, &str)] = &[
    ("systemd/intermission.service", "/usr/lib/systemd/system/intermission.service"),
    ("systemd/intermission-failsafe.service", "/usr/lib/systemd/system/intermission-failsafe.service"),
    ("systemd/intermission-failsafe.timer", "/usr/lib/systemd/system/intermission-failsafe.timer"),
    ("systemd/intermission.sysusers.conf", "/usr/lib/sysusers.d/intermission.conf"),
    ("systemd/intermission.catalog", "/usr/lib/systemd/catalog/intermission.catalog"),
];

/// Before each scene: nothing of the one before is left.
const CLEAN: &str = "
systemctl kill --signal=CONT systemd-journald
systemctl stop intermission-failsafe.timer intermission-failsafe.service intermission.service
systemctl unmask intermission.service
rm -rf /etc/systemd/system/intermission*.d /var/lib/intermission/* /etc/intermission
mkdir /etc/intermission
systemctl daemon-reload
systemctl reset-failed
exit 0";

/// The machine is switched off when this process ends: what runs in it reads a
/// pipe that ends then.
struct Machine {
    leader: String,
    _boot: Child,
}

enum State {
    Off,
    Impossible,
    On(Machine),
}

static MACHINE: Mutex<State> = Mutex::new(State::Off);

fn boot() -> State {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let (leader, told) = (folder.path().join("leader"), folder.path().join("told"));
    let mut command = Command::new(root.join("tests/systemd/boot.sh"));
    command.arg("--leader").arg(&leader);
    command.args(["--copy", &format!("{}:/usr/bin/intermission", env!("CARGO_BIN_EXE_intermission"))]);
    for (from, to) in FILES {
        command.args(["--copy", &format!("{}:{to}", root.join(from).display())]);
    }
    let output = File::create(&told).unwrap();
    command.args(["--", "cat"]).stdin(Stdio::piped()).stderr(output.try_clone().unwrap()).stdout(output);
    let mut boot = command.spawn().unwrap();
    let deadline = wall() + DEADLINE;
    while !leader.exists() {
        if let Some(status) = boot.try_wait().unwrap() {
            let told = std::fs::read_to_string(&told).unwrap();
            assert_eq!(status.code(), Some(77), "the machine does not boot: {told}");
            crate::skipped::skipped(told.trim());
            return State::Impossible;
        }
        assert!(wall() < deadline, "the machine does not boot");
        std::thread::sleep(Duration::from_millis(20));
    }
    let leader = std::fs::read_to_string(leader).unwrap().trim().to_owned();
    State::On(Machine { leader, _boot: boot })
}

/// What a command said, on both streams.
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

/// One scene: the machine for itself, and a Polytomic.
pub(super) struct Scene {
    machine: MutexGuard<'static, State>,
    world: Arc<Mutex<World>>,
    server: Server,
    _runtime: tokio::runtime::Runtime,
    // Where the journal was when the scene began.
    cursor: String,
}

impl Scene {
    /// None, and loudly so, where no systemd can be booted.
    pub(super) fn begin() -> Option<Self> {
        let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = matches!(*machine, State::Off);
        if is_new {
            *machine = boot();
        }
        if matches!(*machine, State::Impossible) {
            return None;
        }
        let mut world = World::new(1);
        let now = wall();
        world.add_organization("default", KEY.to_owned());
        world.add(now, "default", Sync::new(SyncKind::Model, CONTACTS, "Contacts", now)).unwrap();
        let world = Arc::new(Mutex::new(world));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server =
            runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&world), Arc::new(wall))).unwrap();
        let mut scene = Self { machine, world, server, _runtime: runtime, cursor: String::new() };
        if is_new {
            scene.must("systemd-sysusers && journalctl --update-catalog");
        }
        scene.must(CLEAN);
        scene.put("/etc/intermission/api-key", KEY);
        scene.must("chgrp intermission /etc/intermission/api-key && chmod 0640 /etc/intermission/api-key");
        let marked =
            scene.must("logger --journald </dev/null; journalctl --no-pager -n 1 --show-cursor -o cat");
        let cursor = marked.lines().find_map(|line| line.strip_prefix("-- cursor: "));
        cursor.expect("the journal has a place").clone_into(&mut scene.cursor);
        Some(scene)
    }

    // ---- the machine ----

    /// Runs a script inside, as root.
    pub(super) fn run(&self, script: &str) -> Said {
        self.run_with(script, "")
    }

    fn run_with(&self, script: &str, input: &str) -> Said {
        let State::On(machine) = &*self.machine else { unreachable!("a scene has a machine") };
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &machine.leader, "--", "env", "--ignore-environment"]);
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_COLORS=0"]);
        command.args(["sh", "-c", &format!("exec 2>&1\n{script}")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Said { code: output.status.code(), text: String::from_utf8_lossy(&output.stdout).into_owned() }
    }

    /// Same, and it has to succeed.
    #[track_caller]
    pub(super) fn must(&self, script: &str) -> String {
        let said = self.run(script);
        assert_eq!(said.code, Some(0), "`{script}` says:\n{}", said.text);
        said.text
    }

    /// Writes a file inside.
    #[track_caller]
    pub(super) fn put(&self, path: &str, text: &str) {
        let script = format!("mkdir -p \"$(dirname {path})\" && cat >{path}.new && mv {path}.new {path}");
        let said = self.run_with(&script, text);
        assert_eq!(said.code, Some(0), "{path}: {}", said.text);
    }

    /// Changes a unit as an administrator would.
    #[track_caller]
    pub(super) fn drop_in(&self, unit: &str, text: &str) {
        self.put(&format!("/etc/systemd/system/{unit}.d/scene.conf"), text);
        self.must("systemctl daemon-reload");
    }

    /// Writes a configuration with one window of this span.
    #[track_caller]
    pub(super) fn configure(&self, opens: DateTime<Utc>, closes: DateTime<Utc>) {
        self.configure_with("api_key_file = \"/etc/intermission/api-key\"", opens, closes);
    }

    /// Same, with the key from elsewhere.
    #[track_caller]
    pub(super) fn configure_with(&self, key: &str, opens: DateTime<Utc>, closes: DateTime<Utc>) {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let text = format!(
            "timezone = \"UTC\"\n[polytomic]\nurl = \"{}\"\n{key}\n\
             [retry]\ninitial = \"100ms\"\nmax = \"1s\"\n[reconcile]\ndrift_check = \"300ms\"\n\
             [[window]]\nname = \"patching\"\nstart = {}\nend = {}\nsyncs = [\"{CONTACTS}\"]\n",
            self.server.url(),
            time(opens),
            time(closes),
        );
        self.put("/etc/intermission/intermission.toml", &text);
    }

    /// A property of the service.
    #[track_caller]
    pub(super) fn show(&self, property: &str) -> String {
        self.must(&format!("systemctl show --value --property={property} intermission.service"))
            .trim()
            .to_owned()
    }

    /// What the journal took since the scene began.
    #[track_caller]
    pub(super) fn journal(&self, matches: &str) -> Vec<Value> {
        let text = self.must(&format!(
            "journalctl --sync; journalctl -q --no-pager -o json --after-cursor='{}' {matches}",
            self.cursor
        ));
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    /// Waits until a script succeeds.
    #[track_caller]
    pub(super) fn until_run(&self, what: &str, script: &str) {
        self.wait(what, || self.run(script).code == Some(0));
    }

    #[track_caller]
    pub(super) fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = wall() + DEADLINE;
        while !is_so() {
            if deadline <= wall() {
                let journal =
                    self.run(&format!("journalctl --no-pager --after-cursor='{}'", self.cursor)).text;
                panic!("waited in vain: {what}; the journal:\n{journal}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    // ---- Polytomic ----

    fn switches(&self) -> Vec<bool> {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.changes_of(CONTACTS).filter(|it| it.who == Who::Api).filter_map(|it| it.after).collect()
    }

    /// Waits until our key has switched the sync off.
    #[track_caller]
    pub(super) fn until_paused(&self) {
        self.wait("the sync is paused", || self.switches().last() == Some(&false));
    }

    /// Waits until our key has switched the sync off and on again, each once.
    #[track_caller]
    pub(super) fn until_resumed(&self) {
        self.wait("the sync is resumed", || self.switches().last() == Some(&true));
        assert_eq!(self.switches(), [false, true]);
    }

    /// Asserts that it is off since we switched it off, once.
    #[track_caller]
    pub(super) fn assert_paused(&self) {
        assert_eq!(self.switches(), [false]);
    }
}
