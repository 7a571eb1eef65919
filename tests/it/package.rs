//! The Debian package, in a throw-away machine: installed, configured, started,
//! upgraded inside a window, removed, purged.

mod machine;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use intermission::clock::wall;
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Fault, Rule, Server, Sync, Who, World};
use uuid::Uuid;

use crate::skipped::skipped;
use machine::Machine;

const BINARY: &str = env!("CARGO_BIN_EXE_intermission");

const KEY: &str = "simulated-key";

const CONTACTS: Uuid = Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d);
const LEADS: Uuid = Uuid::from_u128(0x6b1f_0a52_96d4_4d7e_8c3b_0d52_9a11_c0de);

/// A program that the tests cannot do without, if it is not there.
fn missing(programs: &[&[&str]]) -> Option<String> {
    let answers = |program: &&&[&str]| {
        Command::new(program[0]).args(&program[1..]).output().is_ok_and(|it| it.status.success())
    };
    programs.iter().find(|it| !answers(it)).map(|it| it.join(" "))
}

const BUILDERS: &[&[&str]] =
    &[&["cargo", "deb", "--version"], &["dpkg-deb", "--version"], &["strip", "--version"]];

/// The package of the binary under test, by this version.
fn build(folder: &Path, version: &str) -> PathBuf {
    let package = folder.join(format!("intermission_{version}.deb"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian/build");
    let output = Command::new(script)
        .args(["--binary", BINARY, "--fast", "--deb-version", version, "--output"])
        .arg(&package)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    package
}

fn ask_dpkg(arguments: &[&str], package: &Path) -> String {
    let output = Command::new("dpkg-deb").args(arguments).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_has_all_that_it_should_and_nothing_that_is_a_secret() {
    if let Some(program) = missing(BUILDERS) {
        return skipped(&format!("the package cannot be built: no `{program}`"));
    }
    let folder = tempfile::tempdir().unwrap();
    let package = build(folder.path(), "1.2.3-1");
    let list = ask_dpkg(&["--contents"], &package);
    let files: BTreeSet<&str> = list.lines().filter_map(|line| Some(line.split_once(" ./")?.1)).collect();
    for file in [
        "usr/bin/intermission",
        "usr/lib/systemd/system/intermission.service",
        "usr/lib/systemd/catalog/intermission.catalog",
        "usr/lib/sysusers.d/intermission.conf",
        "usr/share/bash-completion/completions/intermission",
        "usr/share/zsh/vendor-completions/_intermission",
        "usr/share/fish/vendor_completions.d/intermission.fish",
        "usr/share/man/man1/intermission.1.gz",
        "usr/share/man/man5/intermission.toml.5.gz",
        "usr/share/doc/intermission/copyright",
        "usr/share/doc/intermission/changelog.Debian.gz",
        "usr/share/doc/intermission/examples/intermission.toml",
        "etc/intermission/intermission.toml",
    ] {
        assert!(files.contains(file), "{file} is not in the package:\n{list}");
    }
    // One page for each command.
    let help = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names = commands.filter(|it| !it.starts_with("   ")).filter_map(|it| it.split_whitespace().next());
    for name in names.filter(|it| *it != "help") {
        assert!(files.contains(format!("usr/share/man/man1/intermission-{name}.1.gz").as_str()), "{name}");
    }
    // Whatever unit there is, it is packaged.
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if [".service", ".timer"].iter().any(|it| name.ends_with(it)) {
            assert!(files.contains(format!("usr/lib/systemd/system/{name}").as_str()), "{name}");
        }
    }
    let etc: Vec<&&str> = files.iter().filter(|it| it.starts_with("etc/") && !it.ends_with('/')).collect();
    assert_eq!(etc, [&"etc/intermission/intermission.toml"]);
    for line in list.lines() {
        // Nobody but root may change any of it, and nothing gives rights away.
        let (mode, _) = line.split_once(' ').unwrap();
        assert!(matches!(mode, "drwxr-xr-x" | "-rw-r--r--" | "-rwxr-xr-x"), "{line}");
        assert!(line.contains(" 0/0 ") || line.contains(" root/root "), "{line}");
    }
    let depends = ask_dpkg(&["--show", "--showformat", "${Depends}"], &package);
    for name in ["ca-certificates", "libc6", "systemd", "tzdata"] {
        assert!(depends.contains(name), "{name} is not in `{depends}`");
    }
}

/// A Polytomic on the loopback interface, which the machine shares.
struct Polytomic {
    world: Arc<Mutex<World>>,
    server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Polytomic {
    fn new() -> Self {
        let mut world = World::new(1);
        let now = wall();
        world.add_organization("default", KEY);
        for (id, name) in [(CONTACTS, "Contacts"), (LEADS, "Leads")] {
            world.add(now, "default", Sync::new(SyncKind::Model, id, name, now)).unwrap();
        }
        let world = Arc::new(Mutex::new(world));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server =
            runtime.block_on(Server::bind("127.0.0.1:0", Arc::clone(&world), Arc::new(wall))).unwrap();
        Self { world, server, _runtime: runtime }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What our key did to a sync: when, and whether it was on then.
    fn switches(&self, id: Uuid) -> Vec<(DateTime<Utc>, bool)> {
        let world = self.world();
        let ours = world.changes_of(id).filter(|it| it.who == Who::Api);
        ours.filter_map(|it| Some((it.at, it.after?))).collect()
    }

    #[track_caller]
    fn until_switched(&self, id: Uuid, switches: &[bool]) {
        let deadline = wall() + TimeDelta::seconds(90);
        loop {
            let so_far: Vec<bool> = self.switches(id).into_iter().map(|(_, on)| on).collect();
            if so_far == switches {
                return;
            }
            assert!(wall() < deadline && so_far.len() < switches.len(), "{id} was switched {so_far:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The configuration as an administrator would write it into the packaged
    /// one: each window is open until then.
    fn windows(&self, windows: &[(&str, DateTime<Utc>, Uuid)]) -> String {
        let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian/intermission.toml");
        let packaged = std::fs::read_to_string(packaged).unwrap();
        let mut text = packaged.replace(
            "#url = \"https://app.polytomic.com\"",
            &format!("url = \"{}\"\n[retry]\ninitial = \"100ms\"\nmax = \"500ms\"", self.server.url()),
        );
        assert!(text.contains("127.0.0.1"));
        for (name, until, id) in windows {
            let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
            let (start, end) = (time(*until - TimeDelta::hours(2)), time(*until));
            let _ = write!(
                text,
                "\n[[window]]\nname = \"{name}\"\nstart = {start}\nend = {end}\nsyncs = [\"{id}\"]\n"
            );
        }
        text
    }
}

/// Writes a file as an editor would.
fn write(machine: &mut Machine, path: &str, text: &str) {
    machine.must(&format!(
        "cat > {path}.new <<'END_OF_FILE'\n{text}\nEND_OF_FILE\ncat {path}.new > {path}; rm {path}.new"
    ));
}

/// What the machine's own files have of us, beside what is in `/root`.
const REMAINS: &str = "find /etc /usr /var /run -xdev -name '*intermission*' ! -path '/var/log/*' | sort";

#[test]
fn it_is_installed_upgraded_and_removed_and_leaves_no_sync_off() {
    let tools: &[&[&str]] = &[&["dpkg", "--version"], &["runuser", "--version"], &["man", "--version"]];
    if let Some(program) = missing(&[BUILDERS, tools].concat()) {
        return skipped(&format!("the package cannot be tried: no `{program}`"));
    }
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (build(folder.path(), "1.2.3-1"), build(folder.path(), "1.2.4-1"));
    let polytomic = Polytomic::new();
    let mut machine = match Machine::boot(&[&old, &new]) {
        Ok(machine) => machine,
        Err(why) => return skipped(why.trim()),
    };
    let before = machine.must(REMAINS).said;

    installing_starts_nothing(&mut machine);
    without_a_key_it_says_which_file_to_write(&mut machine);
    a_window_passes(&mut machine, &polytomic);
    an_upgrade_inside_a_window_keeps_what_is_held(&mut machine, &polytomic);
    removal_can_be_told_to_keep_what_is_paused(&mut machine, &polytomic);
    removal_resumes_what_is_paused(&mut machine, &polytomic);
    what_was_resumed_is_left_alone_after_a_reinstallation(&mut machine, &polytomic);
    removal_says_what_it_could_not_resume(&mut machine, &polytomic);
    purging_says_it_again_and_leaves_nothing(&mut machine, &before);
}

fn installing_starts_nothing(machine: &mut Machine) {
    machine.must("dpkg --install /root/intermission_1.2.3-1.deb").says(&[
        "install -m 0640 -g intermission /dev/null /etc/intermission/api-key",
        "systemctl enable --now intermission intermission-failsafe.timer",
    ]);
    machine.run("systemctl is-enabled intermission").says(&["disabled"]);
    machine.run("systemctl is-active intermission").says(&["inactive"]);
    machine.must("getent passwd intermission").says(&["/usr/sbin/nologin"]);
    // Its files are as they were packed.
    assert_eq!(machine.must("dpkg --verify intermission").said, "");
    machine
        .must("stat --format '%A %U %G' /etc/intermission/intermission.toml")
        .says(&["-rw-r--r-- root root"]);
    machine.must("cd / && man --where 5 intermission.toml && man --where intermission-resume");
}

fn without_a_key_it_says_which_file_to_write(machine: &mut Machine) {
    let started = machine.run("systemctl start intermission");
    assert_ne!(started.code, 0);
    let mend = "make it with `install -m 0640 -g intermission /dev/null /etc/intermission/api-key`";
    machine.until("journalctl --unit intermission --output cat", mend);
    machine.must("systemctl stop intermission");
}

fn a_window_passes(machine: &mut Machine, polytomic: &Polytomic) {
    machine.must("install -m 0640 -g intermission /dev/null /etc/intermission/api-key");
    write(machine, "/etc/intermission/api-key", KEY);
    let open = polytomic.windows(&[("patching", wall() + TimeDelta::hours(1), CONTACTS)]);
    write(machine, "/etc/intermission/intermission.toml", &open);
    machine.must("runuser -u intermission -- intermission check --online");
    machine.must("systemctl enable --now intermission intermission-failsafe.timer");
    polytomic.until_switched(CONTACTS, &[false]);
    // It is made to end soon, and ends by itself.
    let end = wall() + TimeDelta::seconds(3);
    write(machine, "/etc/intermission/intermission.toml", &polytomic.windows(&[("patching", end, CONTACTS)]));
    machine.must("systemctl reload intermission");
    polytomic.until_switched(CONTACTS, &[false, true]);
    let (resumed, _) = polytomic.switches(CONTACTS)[1];
    assert!(end <= resumed, "resumed at {resumed}, before {end}");
}

fn an_upgrade_inside_a_window_keeps_what_is_held(machine: &mut Machine, polytomic: &Polytomic) {
    let open = polytomic.windows(&[("patching", wall() + TimeDelta::hours(1), LEADS)]);
    write(machine, "/etc/intermission/intermission.toml", &open);
    machine.must("systemctl reload intermission");
    polytomic.until_switched(LEADS, &[false]);
    machine.until("intermission status", "held");
    let process = "systemctl show --property MainPID --value intermission";
    let before = machine.must(process).said;
    // The file was edited, and the package brings the same one as before: nothing is asked.
    machine.must("dpkg --install /root/intermission_1.2.4-1.deb");
    machine.must("dpkg-query --show --showformat '${Version}' intermission").says(&["1.2.4-1"]);
    machine.must("systemctl is-active intermission").says(&["active"]);
    assert_ne!(machine.must(process).said, before, "it was not restarted");
    machine.must("cat /etc/intermission/intermission.toml").says(&["patching"]);
    machine.must("intermission status").says(&["1 paused", "held", "Leads"]);
    // A daemon that is not running is not started by an upgrade.
    machine.must("systemctl stop intermission");
    machine.must("dpkg --install /root/intermission_1.2.3-1.deb");
    machine.run("systemctl is-active intermission").says(&["inactive"]);
    machine.must("systemctl start intermission");
    machine.must("intermission status").says(&["1 paused", "held", "Leads"]);
    polytomic.until_switched(LEADS, &[false]);
}

fn removal_can_be_told_to_keep_what_is_paused(machine: &mut Machine, polytomic: &Polytomic) {
    // Seconds that are none do not keep the package from going.
    let removed =
        machine.must("INTERMISSION_REMOVAL_SECONDS=2m INTERMISSION_KEEP_PAUSED=1 dpkg --remove intermission");
    removed.says(&["is seconds, not `2m`", "STILL PAUSED", "Leads"]);
    machine.must("test ! -e /usr/bin/intermission && test -s /var/lib/intermission/ledger.db");
    machine.must("dpkg --install /root/intermission_1.2.4-1.deb");
    machine.must("systemctl start intermission");
    machine.must("intermission status").says(&["1 paused", "held", "Leads"]);
    polytomic.until_switched(LEADS, &[false]);
}

/// With a key that only systemd can hand over, so that the daemon itself has to do it.
fn removal_resumes_what_is_paused(machine: &mut Machine, polytomic: &Polytomic) {
    machine.must("chown root:root /etc/intermission/api-key && chmod 0600 /etc/intermission/api-key");
    machine.must("sed -i '/^api_key_file/d' /etc/intermission/intermission.toml");
    machine.must("mkdir /etc/systemd/system/intermission.service.d");
    write(
        machine,
        "/etc/systemd/system/intermission.service.d/key.conf",
        "[Service]\nLoadCredential=polytomic-api-key:/etc/intermission/api-key",
    );
    machine.must("systemctl daemon-reload && systemctl restart intermission");
    assert_ne!(machine.run("runuser -u intermission -- cat /etc/intermission/api-key").code, 0);
    let process = machine.must("systemctl show --property MainPID --value intermission").said;
    let removed = machine.must("dpkg --remove intermission");
    removed.says(&["resuming what is paused", "Leads"]);
    assert!(!removed.said.contains("STILL PAUSED"), "{}", removed.said);
    polytomic.until_switched(LEADS, &[false, true]);
    machine.must(&format!("test ! -d /proc/{}", process.trim()));
    machine.must("test -s /var/lib/intermission/ledger.db && test -s /etc/intermission/api-key");
    machine.must("test ! -e /var/backups/intermission-still-paused");
}

fn what_was_resumed_is_left_alone_after_a_reinstallation(machine: &mut Machine, polytomic: &Polytomic) {
    machine.must("dpkg --install /root/intermission_1.2.4-1.deb");
    // It was enabled, and is so again.
    machine.must("systemctl is-enabled intermission").says(&["enabled"]);
    let hour = wall() + TimeDelta::hours(1);
    // Beside the one that is open still, by its name and its start, another.
    let more = format!(
        "[[window]]\nname = \"another\"\nstart = {}\nend = {}\nsyncs = [\"{CONTACTS}\"]",
        (hour - TimeDelta::hours(2)).to_rfc3339_opts(SecondsFormat::Millis, true),
        hour.to_rfc3339_opts(SecondsFormat::Millis, true),
    );
    machine.must(&format!("cat >> /etc/intermission/intermission.toml <<'END_OF_FILE'\n{more}\nEND_OF_FILE"));
    machine.must("systemctl start intermission");
    polytomic.until_switched(CONTACTS, &[false, true, false]);
    // By then it has decided about the other one, too.
    machine.until("intermission status", "held").says(&["released"]);
    polytomic.until_switched(LEADS, &[false, true]);
}

fn removal_says_what_it_could_not_resume(machine: &mut Machine, polytomic: &Polytomic) {
    polytomic.world().add_rule(Rule::always(Fault::status(503)));
    let removed = machine.must("INTERMISSION_REMOVAL_SECONDS=2 dpkg --remove intermission");
    removed.says(&["STILL PAUSED", "Contacts", &CONTACTS.to_string(), "intermission resume --all --offline"]);
    machine.run("systemctl is-active intermission").says(&["inactive"]);
    polytomic.until_switched(CONTACTS, &[false, true, false]);
    machine.must("test -s /var/lib/intermission/ledger.db");
    polytomic.world().clear_faults();
}

fn purging_says_it_again_and_leaves_nothing(machine: &mut Machine, before: &str) {
    // What the administrator has made is the administrator's.
    machine.must("rm -r /etc/systemd/system/intermission.service.d");
    machine.must("dpkg --purge intermission").says(&[
        "these syncs were paused",
        "Contacts",
        &CONTACTS.to_string(),
    ]);
    assert_eq!(machine.must(REMAINS).said, before);
    machine.must("systemctl daemon-reload");
    machine.run("systemctl cat intermission").says(&["No files found"]);
    machine.until("journalctl --output cat --identifier intermission", "Contacts");
}
