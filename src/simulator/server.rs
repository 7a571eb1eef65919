//! The world behind HTTP, on the loopback interface.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;

use super::connection::{self, Secure, Stop, wait};
use super::{Disposition, Request, World, control};

/// Says what time it is in the simulated world.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A running server. Dropping it closes the listener and every idle or faulty
/// connection at once; an answer on its way is sent to its end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Every task holds a receiver and ends when this is dropped.
    _stop: watch::Sender<()>,
}

/// What the server counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// Requests that are being answered now.
    pub concurrent_requests: u64,
    /// The most requests that were ever being answered at one time.
    pub peak_concurrent_requests: u64,
}

impl Server {
    /// Listens on this address, `127.0.0.1:0` for any free port.
    ///
    /// # Errors
    ///
    /// The operating system's, and `InvalidInput` off the loopback interface.
    pub async fn bind(
        address: impl ToSocketAddrs,
        world: Arc<Mutex<World>>,
        clock: Clock,
    ) -> io::Result<Self> {
        Self::start(TcpListener::bind(address).await?, world, clock)
    }

    /// Serves on a listener that is there already.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn start(listener: TcpListener, world: Arc<Mutex<World>>, clock: Clock) -> io::Result<Self> {
        Self::launch(listener, world, clock, None)
    }

    /// Serves on such a listener over TLS, for clients that trust the host `localhost`.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn start_secured(
        listener: TcpListener,
        world: Arc<Mutex<World>>,
        clock: Clock,
        secure: Secure,
    ) -> io::Result<Self> {
        Self::launch(listener, world, clock, Some(secure))
    }

    fn launch(
        listener: TcpListener,
        world: Arc<Mutex<World>>,
        clock: Clock,
        secure: Option<Secure>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            // Its control endpoints are open to everyone who can reach it.
            let message = format!("the simulator serves on the loopback interface only, not on {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (sender, stop) = watch::channel(());
        let (latency, tallies) = (AtomicU64::new(0), Tallies::default());
        let shared = Arc::new(Shared { world, clock, secure, latency, tallies });
        tokio::spawn(accept(listener, Arc::clone(&shared), Stop::new(stop)));
        Ok(Self { address, shared, _stop: sender })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, without a trailing slash.
    pub fn url(&self) -> String {
        match self.shared.secure {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// The world, locked: requests wait until it is let go of.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }

    /// Makes every request take this long from now on, half of it on the way
    /// there.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.latency.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What it counted. Requests to the control endpoints do not count as
    /// requests.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }
}

/// What all connections share.
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    clock: Clock,
    secure: Option<Secure>,
    // In microseconds.
    latency: AtomicU64,
    tallies: Tallies,
}

#[derive(Debug, Default)]
struct Tallies {
    connections: AtomicU64,
    open_connections: AtomicU64,
    requests: AtomicU64,
    peak: AtomicU64,
}

impl Shared {
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    pub(super) fn secure(&self) -> Option<&Secure> {
        self.secure.as_ref()
    }

    /// The world's decision about a request, and the way there and back.
    pub(super) async fn handle(&self, request: &Request) -> Disposition {
        wait(self.latency() / 2).await;
        let now = self.now();
        let disposition = self.world().handle(now, request);
        wait(self.latency() / 2).await;
        disposition
    }

    fn latency(&self) -> Duration {
        Duration::from_micros(self.latency.load(Relaxed))
    }

    /// The answer to a request that steers the world, if it is one.
    pub(super) fn control(&self, request: &Request) -> Option<super::Response> {
        if !request.uri().path().starts_with("/__simulator/") {
            return None;
        }
        let (now, counters) = (self.now(), self.counters());
        Some(control::answer(&mut self.world(), now, counters, request))
    }

    /// Counts a request as being answered until the guard is dropped.
    pub(super) fn begin(&self) -> impl Drop + '_ {
        let concurrent = self.tallies.requests.fetch_add(1, Relaxed) + 1;
        self.tallies.peak.fetch_max(concurrent, Relaxed);
        Counted(&self.tallies.requests)
    }

    fn counters(&self) -> Counters {
        Counters {
            connections: self.tallies.connections.load(Relaxed),
            open_connections: self.tallies.open_connections.load(Relaxed),
            concurrent_requests: self.tallies.requests.load(Relaxed),
            peak_concurrent_requests: self.tallies.peak.load(Relaxed),
        }
    }

    /// A panic of a test that held the lock has been told already; the world
    /// is still good enough to look at.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: Stop) {
    loop {
        let accepted = tokio::select! {
            it = listener.accept() => it,
            () = stop.requested() => return,
        };
        // An accept fails for want of file descriptors or because the peer was
        // gone again; others may come.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        shared.tallies.connections.fetch_add(1, Relaxed);
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            shared.tallies.open_connections.fetch_add(1, Relaxed);
            let _open = Counted(&shared.tallies.open_connections);
            // The peer went away or spoke no HTTP: its own affair.
            let _ended = connection::serve(stream, &shared, stop).await;
        });
    }
}
