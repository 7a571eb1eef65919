//! From the command to the answer.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::Home;
use crate::simulator;
use crate::table::{print, ratio};
use crate::{median, runs};

/// So many windows, every one of them weekly at its own time, in three zones.
fn configure(home: &Home, windows: usize) {
    let mut text = format!(
        "timezone = \"Europe/Amsterdam\"\n[polytomic]\nurl = \"http://127.0.0.1:9\"\napi_key_file = \"{}\"\n\
         [state]\npath = \"{}\"\n[web]\ncontrol_socket = \"{}\"\n",
        home.path("key").display(),
        home.path("ledger.db").display(),
        home.path("socket").display()
    );
    for nth in 0..windows {
        let zone = ["Europe/Amsterdam", "America/New_York", "Asia/Tokyo"][nth % 3];
        write!(
            text,
            "[[window]]\nname = \"w{nth}\"\ntimezone = \"{zone}\"\nstart = \"{} {} * * {}\"\nduration = \"45m\"\n\
             syncs = [\"{}\"]\n",
            nth % 60,
            nth / 60 % 24,
            nth / 1440 % 7,
            simulator::id(nth)
        )
        .unwrap();
    }
    fs::write(home.path("intermission.toml"), text).unwrap();
}

fn seconds(command: &mut Command) -> f64 {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?} ended with {status}");
    began.elapsed().as_secs_f64()
}

/// Until it tells systemd that it is ready.
fn ready(home: &Home) -> f64 {
    let path = home.path("notify");
    drop(fs::remove_file(&path));
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let began = Instant::now();
    let mut daemon = home
        .command(&["run"])
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut buffer = [0; 4096];
    let took = loop {
        let length = socket.recv(&mut buffer).expect("it becomes ready");
        if String::from_utf8_lossy(&buffer[..length]).contains("READY=1") {
            break began.elapsed().as_secs_f64();
        }
    };
    drop(daemon.kill());
    drop(daemon.wait());
    took
}

pub(crate) fn run() {
    let node = || seconds(Command::new("node").args(["-e", "0"]));
    let measure = |of: &dyn Fn() -> f64| median((0..runs()).map(|_| of()).collect());
    let floor = measure(&|| seconds(&mut Command::new("true")));
    let mut rows = Vec::new();
    for windows in [10, 1_000, 10_000] {
        let home = Home::new();
        configure(&home, windows);
        // Makes the ledger.
        ready(&home);
        let ready = measure(&|| ready(&home));
        let upcoming =
            measure(&|| seconds(&mut home.command(&["upcoming", "--until", "+365d", "--format", "json"])));
        let check = measure(&|| seconds(&mut home.command(&["check"])));
        let cells = [ready, check, upcoming].map(|it| format!("{:.0} ms ({}×)", it * 1e3, ratio(it / floor)));
        rows.push([vec![windows.to_string()], cells.to_vec()].concat());
    }
    if Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success()) {
        println!("node -e 0, for comparison: {}× of true(1)", ratio(measure(&node) / floor));
    }
    let header = ["windows", "start to ready (× true(1))", "check", "upcoming for a year"];
    print("Starting", &header, &rows);
}
