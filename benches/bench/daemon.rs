//! The real binary in a directory of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tempfile::TempDir;

use crate::simulator::{self, Simulator, Speaks};
use crate::tls;

pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A window of one occurrence over the first so many syncs of an organization.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) name: &'a str,
    pub(crate) organization: Option<&'a str>,
    pub(crate) opens: DateTime<Utc>,
    pub(crate) closes: DateTime<Utc>,
    pub(crate) syncs: usize,
}

/// Where the daemon lives.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { directory: TempDir::new().unwrap() };
        let key = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(home.path("key"));
        key.unwrap().write_all(simulator::KEY.as_bytes()).unwrap();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the file: organizations with their URLs (the first is the default
    /// one), more of the file, and windows.
    pub(crate) fn configure(&self, organizations: &[(&str, &Simulator)], more: &str, windows: &[Window<'_>]) {
        let mut text = "timezone = \"UTC\"\n".to_owned();
        for (nth, (name, simulator)) in organizations.iter().enumerate() {
            let table = if nth == 0 { "polytomic".to_owned() } else { format!("organization.{name}") };
            write!(
                text,
                "[{table}]\nurl = \"{}\"\napi_key_file = \"{}\"\nmax_concurrent_requests = 64\n",
                simulator.api,
                self.path("key").display()
            )
            .unwrap();
            if simulator.speaks == Speaks::Secured {
                writeln!(text, "ca_file = \"{}\"", tls::certificate("ca.pem").display()).unwrap();
            }
        }
        writeln!(text, "[state]\npath = \"{}\"", self.path("ledger.db").display()).unwrap();
        writeln!(text, "[web]\ncontrol_socket = \"{}\"\n{more}", self.path("socket").display()).unwrap();
        for window in windows {
            let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
            let ids: Vec<_> = (0..window.syncs).map(|nth| format!("\"{}\"", simulator::id(nth))).collect();
            let organization =
                window.organization.map(|it| format!("organization = \"{it}\"\n")).unwrap_or_default();
            writeln!(
                text,
                "[[window]]\nname = \"{}\"\n{organization}start = {}\nend = {}\nsyncs = [{}]",
                window.name,
                time(window.opens),
                time(window.closes),
                ids.join(", ")
            )
            .unwrap();
        }
        fs::write(self.path("intermission.toml"), text).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
        command.arg("--config").arg(self.path("intermission.toml")).args(words).env_remove("RUST_LOG");
        command
    }

    /// Starts it and returns once it keeps windows.
    pub(crate) fn start(&self) -> Daemon {
        let log = fs::File::create(self.path("log")).unwrap();
        let process = self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut daemon = Daemon { process };
        until("the daemon answers", Duration::from_mins(1), || {
            let status = self.command(&["status", "--daemon"]).output().unwrap();
            let ended = daemon.process.try_wait().unwrap();
            assert_eq!(ended, None, "{}", fs::read_to_string(self.path("log")).unwrap());
            status.status.code() != Some(69)
        });
        daemon
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) process: Child,
}

impl Daemon {
    /// A figure of `/proc/PID/status`, in what it is given there.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line =
            status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).expect("a known name");
        line.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
    }

    /// Voluntary context switches of all threads: how often something woke.
    pub(crate) fn wakeups(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let of = |path: PathBuf| {
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            let line =
                status.lines().find_map(|it| it.strip_prefix("voluntary_ctxt_switches:").map(str::trim));
            line.and_then(|it| it.parse::<u64>().ok()).unwrap_or_default()
        };
        tasks.map(|it| of(it.unwrap().path())).sum()
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let after_name = stat.rsplit(") ").next().unwrap();
        let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|it| it.parse::<u64>().unwrap()).sum();
        // `getconf CLK_TCK` is 100 wherever Linux runs on servers.
        ticks as f64 / 100.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

pub(crate) fn until(what: &str, within: Duration, mut it: impl FnMut() -> bool) {
    let end = SystemTime::now() + within;
    while !it() {
        assert!(SystemTime::now() < end, "waited {within:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(crate) fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

pub(crate) fn after(seconds: f64) -> DateTime<Utc> {
    now() + TimeDelta::from_std(Duration::from_secs_f64(seconds)).unwrap()
}
