//! Others that send the same POST to every sync, 64 at once: blindly, with no
//! look before and no record after.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::simulator::{self, KEY, Simulator, Speaks};

/// As many requests at once as every client may send.
pub(crate) const PARALLEL: usize = 64;

/// A client and how to start it.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// No more syncs than this, where a process for each would take minutes.
    pub(crate) most: usize,
    command: fn(&Simulator, usize) -> Option<Command>,
}

pub(crate) const PEERS: &[Peer] = &[
    Peer { name: "reqwest, 64 workers, blind", most: usize::MAX, command: |it, n| reqwest(it, n, "pool") },
    Peer {
        name: "reqwest, a task per sync, blind",
        most: usize::MAX,
        command: |it, n| reqwest(it, n, "tasks"),
    },
    Peer {
        name: "curl --parallel, blind",
        most: usize::MAX,
        command: |it, n| script("sh", "curl-parallel.sh", it, n),
    },
    Peer { name: "Node undici, blind", most: usize::MAX, command: undici },
    Peer { name: "Python aiohttp, blind", most: usize::MAX, command: aiohttp },
    Peer { name: "xargs + curl, blind", most: 300, command: |it, n| script("sh", "xargs-curl.sh", it, n) },
];

impl Peer {
    /// Runs it to its end; whether it could be.
    pub(crate) fn run(&self, simulator: &Simulator, syncs: usize) -> bool {
        let Some(mut command) = (self.command)(simulator, syncs) else { return false };
        simulator::trusting(&mut command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    }
}

fn reqwest(simulator: &Simulator, syncs: usize, kind: &str) -> Option<Command> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.args(["blind", &simulator.api, kind, &syncs.to_string(), &PARALLEL.to_string()]);
    Some(command)
}

fn script(interpreter: &str, name: &str, simulator: &Simulator, syncs: usize) -> Option<Command> {
    let mut command = Command::new(interpreter);
    let ids: Vec<_> = (0..syncs).map(|nth| simulator::id(nth).to_string()).collect();
    let list = std::env::temp_dir().join(format!("intermission-bench-{}.txt", std::process::id()));
    std::fs::write(&list, ids.join("\n") + "\n").ok()?;
    command.arg(scripts().join(name)).arg(&simulator.api).arg(KEY).arg(list).arg(PARALLEL.to_string());
    Some(command)
}

fn aiohttp(simulator: &Simulator, syncs: usize) -> Option<Command> {
    let is_there = Command::new("python3").args(["-c", "import aiohttp"]).stderr(Stdio::null()).status();
    is_there.is_ok_and(|it| it.success()).then(|| script("python3", "aiohttp_peer.py", simulator, syncs))?
}

/// `UNDICI` names the directory with `node_modules`.
fn undici(simulator: &Simulator, syncs: usize) -> Option<Command> {
    let modules = PathBuf::from(std::env::var_os("UNDICI")?).join("node_modules/undici/index.js");
    let mut command = script("node", "undici.mjs", simulator, syncs)?;
    command.arg(modules);
    Some(command)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// Bare reqwest: a pool of workers, or a task for each sync.
pub(crate) fn blind(url: &str, kind: &str, count: usize, parallel: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let send = {
            let url = url.to_owned();
            move |nth: usize| {
                let request = client
                    .post(format!("{url}/api/syncs/{}/activate", simulator::id(nth)))
                    .bearer_auth(KEY)
                    .json(&serde_json::json!({ "active": false }));
                async move {
                    let answer = request.send().await.unwrap().error_for_status().unwrap();
                    drop(answer.bytes().await.unwrap());
                }
            }
        };
        let tasks: Vec<_> = if kind == "pool" {
            let next = Arc::new(AtomicUsize::new(0));
            let worker = |_| {
                let (next, send) = (Arc::clone(&next), send.clone());
                tokio::spawn(async move {
                    loop {
                        let nth = next.fetch_add(1, Relaxed);
                        if nth >= count {
                            return;
                        }
                        send(nth).await;
                    }
                })
            };
            (0..parallel).map(worker).collect()
        } else {
            let places = Arc::new(tokio::sync::Semaphore::new(parallel));
            let task = |nth| {
                let (places, send) = (Arc::clone(&places), send.clone());
                tokio::spawn(async move {
                    let _place = places.acquire().await.unwrap();
                    send(nth).await;
                })
            };
            (0..count).map(task).collect()
        };
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// The program that finds the floor.
pub(crate) fn floor_of(speaks: Speaks) -> &'static str {
    match speaks {
        Speaks::Plain => "wrk",
        Speaks::Secured => "h2load",
    }
}

/// Bare POSTs a second: the floor below which the server and the kernel do not let anybody.
pub(crate) fn floor(simulator: &Simulator, sync: usize, directory: &Path) -> f64 {
    let url = format!("{}/api/syncs/{}/activate", simulator.api, simulator::id(sync));
    match simulator.speaks {
        Speaks::Plain => wrk(&url, directory),
        Speaks::Secured => h2load(&url, directory),
    }
}

fn wrk(url: &str, directory: &Path) -> f64 {
    let script = directory.join("post.lua");
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.body = '{{\"active\": false}}'\n\
         wrk.headers[\"Authorization\"] = \"Bearer {KEY}\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n"
    );
    std::fs::write(&script, lua).unwrap();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{PARALLEL}"), "-d2s", "-s"])
        .arg(&script)
        .arg(url)
        .output()
        .expect("wrk is there: apt-get install wrk");
    let text = String::from_utf8_lossy(&output.stdout);
    let rate =
        text.lines().find_map(|it| it.trim().strip_prefix("Requests/sec:")).expect("wrk says its rate");
    assert!(!text.contains("Non-2xx"), "{text}");
    rate.trim().parse().expect("a number")
}

/// With one connection.
fn h2load(url: &str, directory: &Path) -> f64 {
    let body = directory.join("body");
    std::fs::write(&body, r#"{"active": false}"#).unwrap();
    let output = Command::new("h2load")
        .args(["-c1", &format!("-m{PARALLEL}"), "-n150000", "-d"])
        .arg(&body)
        .args(["-H", &format!("authorization: Bearer {KEY}"), "-H", "content-type: application/json"])
        .arg(url)
        .output()
        .expect("h2load is there: apt-get install nghttp2-client");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("150000 2xx"), "{text}");
    let rate = text
        .lines()
        .find_map(|it| it.strip_prefix("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s"));
    rate.and_then(|it| it.parse().ok()).expect("h2load says its rate")
}
