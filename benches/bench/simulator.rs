//! The simulated Polytomic in a process of its own, on one thread, so that the
//! other core is its client's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use intermission::domain::sync::SyncKind;
use intermission::simulator::{Server, Sync, World};
use serde_json::Value;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::tls;

/// Opens the organization. It protects nothing.
pub(crate) const KEY: &str = "benchmark-key";

/// The n-th sync of the world. Ids are random at Polytomic, and these as good as that.
pub(crate) fn id(nth: usize) -> Uuid {
    let scattered = (nth as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    uuid::Builder::from_random_bytes(scattered.to_be_bytes()).into_uuid()
}

/// How clients reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1 in the clear, 64 connections.
    Plain,
    /// TLS and HTTP/2, one connection, as the API is reached.
    Secured,
}

impl Speaks {
    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Secured => "secured",
        }
    }
}

impl std::str::FromStr for Speaks {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Plain, Self::Secured].into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// Serves that many syncs until it is killed; each request takes this many
/// milliseconds.
pub(crate) fn serve(syncs: usize, latency: u64, speaks: Speaks) {
    let now = || DateTime::<Utc>::from(SystemTime::now());
    let mut world = World::new(1);
    world.add_organization("default", KEY);
    for nth in 0..syncs {
        let sync = Sync::new(SyncKind::Model, id(nth), format!("Sync {nth}"), now());
        world.add(now(), "default", sync).expect("the organization was made just before");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (world, now) = (Arc::new(Mutex::new(world)), Arc::new(now));
        let server = match speaks {
            Speaks::Plain => Server::start(listener, world, now),
            Speaks::Secured => Server::start_secured(listener, world, now, tls::secure()),
        };
        let server = server.unwrap();
        server.set_latency(Duration::from_millis(latency));
        println!("{}", server.url());
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

/// This program in another role, as a process that ends with this value.
pub(crate) struct Role(Child);

impl Role {
    /// Starts it; it says in a line where it is reached.
    pub(crate) fn start(words: &[&str]) -> (Self, String) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts itself");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(process), line.trim().to_owned())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running server.
pub(crate) struct Simulator {
    _process: Role,
    pub(crate) url: String,
    /// Where clients find it.
    pub(crate) api: String,
    pub(crate) speaks: Speaks,
}

/// An accepted switch of one sync.
pub(crate) struct Accepted {
    pub(crate) at: DateTime<Utc>,
    pub(crate) active: bool,
}

/// A request that came in.
pub(crate) struct Received {
    pub(crate) status: u64,
}

impl Simulator {
    pub(crate) fn start(syncs: usize, latency: Duration) -> Self {
        Self::reached(Speaks::Plain, syncs, latency)
    }

    pub(crate) fn reached(speaks: Speaks, syncs: usize, latency: Duration) -> Self {
        let latency = latency.as_millis().to_string();
        let (process, url) = Role::start(&["serve", &syncs.to_string(), &latency, speaks.word()]);
        Self { _process: process, api: url.clone(), url, speaks }
    }

    /// Accepted switches from the `since`-th on.
    pub(crate) fn accepted(&self, since: usize) -> Vec<Accepted> {
        let changes = self.get(&format!("history?since={since}"));
        changes
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| Accepted { at: time(&it["at"]), active: it["after"] == true })
            .collect()
    }

    /// Requests after the number `since`.
    pub(crate) fn received(&self, since: usize) -> Vec<Received> {
        let requests = self.get(&format!("requests?since={since}"));
        requests
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| Received { status: it["status"].as_u64().unwrap_or_default() })
            .collect()
    }

    pub(crate) fn limit_rate(&self, limit: &Value) {
        let answer = curl(&["-d", &limit.to_string(), &format!("{}/__simulator/rate_limit", self.url)]);
        assert!(answer.contains("true"), "{answer}");
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&curl(&[&format!("{}/__simulator/{path}", self.url)]))
            .expect("it answers in JSON")
    }
}

/// A program of its own, so that the stopwatch holds no connections.
fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    let output = trusting(&mut command).args(["-sS", "--noproxy", "*"]).args(arguments).output();
    let output = output.expect("curl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lets a client trust a secured server.
pub(crate) fn trusting(client: &mut Command) -> &mut Command {
    for variable in ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
        client.env(variable, tls::certificate("ca.pem"));
    }
    client
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|it| it.parse().ok()).expect("a time")
}
