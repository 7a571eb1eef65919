//! Starting: find the ledger, lock it, recover, read the configuration.
//!
//! The ledger comes first, and is found without the configuration's help where
//! that is broken: what is held has to be resumed whatever else is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{error, info};

use crate::clock::{self, Clock};
use crate::config::{self, Config};
use crate::domain::event::{Event, EventKind};
use crate::domain::sync;
use crate::key;
use crate::ledger::{Contents, Ledger, LedgerError, Lock, LockError, OpenError, Store};
use crate::metrics::Metrics;
use crate::reconcile::Reconciler;
use crate::web;
use crate::web::api::Ask;

use super::executor::Executor;
use super::notifying::Notifying;
use super::reload::{NotLoaded, describe, load_unadvised, warn_of};
use super::switched::Switched;
use super::{Daemon, HEARD};

/// Where a daemon finds what it needs.
#[derive(Debug, Clone)]
pub struct Start {
    /// The configuration file.
    pub config: PathBuf,
    /// The ledger, if the command line or the environment name one.
    pub state: Option<PathBuf>,
    /// Whether to serve the control socket.
    pub serve: bool,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong and nothing is held that would need us.
    #[error("the configuration is wrong")]
    Config {
        /// All that is wrong, rendered.
        rendered: String,
    },
    /// Another daemon is at work.
    #[error("another daemon holds the ledger `{}`", ledger.display())]
    Held {
        /// The ledger.
        ledger: PathBuf,
    },
    /// The ledger cannot be locked.
    #[error("could not lock the ledger `{}`", ledger.display())]
    Lock {
        /// The ledger.
        ledger: PathBuf,
        /// Why.
        source: LockError,
    },
    /// The ledger is there and cannot be read. It is never taken for empty.
    #[error("could not open the ledger `{}`", ledger.display())]
    Ledger {
        /// The ledger.
        ledger: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The ledger was opened and cannot be read.
    #[error("could not read the ledger `{}`", ledger.display())]
    Recover {
        /// The ledger.
        ledger: PathBuf,
        /// Why.
        source: LedgerError,
    },
    /// The system gives no thread for the ledger.
    #[error("could not start a thread for the ledger")]
    Thread(#[source] std::io::Error),
    /// The control socket cannot be opened.
    #[error("could not open the control socket `{}`", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The status page cannot be served where the configuration wants it.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Start {
    /// Recovers, and gets ready to run.
    pub fn open(self) -> Result<Daemon, StartError> {
        let loaded = load_unadvised(&self.config, clock::wall());
        let config = loaded.as_ref().ok().map(|(config, ..)| config);
        let ledger_path = self.ledger_path(config);
        if let (Err(rejected), Ok(false)) = (&loaded, ledger_path.try_exists()) {
            // There is nothing to recover, and nothing is made either.
            return Err(StartError::Config { rendered: rejected.to_string() });
        }
        warn_of_another_ledger(&ledger_path);
        let recovered = Recovered::at(&ledger_path)?;
        let holds = &recovered.contents.holds;
        let owed = holds.iter().filter(|hold| hold.state.owes_resume() || hold.unsettled.any()).count();

        let (loaded, rejected) = match loaded {
            Ok(loaded) => (Some(loaded), None),
            Err(rejected) if owed > 0 => (None, Some(rejected)),
            Err(rejected) => return Err(StartError::Config { rendered: rejected.to_string() }),
        };
        let (config, unadvised, tzdb) = match loaded {
            Some((config, unadvised, tzdb)) => (Some(config), Some(unadvised), Some(tzdb)),
            None => (None, None, None),
        };
        let (asks_by, asks) = mpsc::channel(web::QUEUE);
        let mut socket = None;
        if self.serve {
            let path = socket_path(&self.config, config.as_ref(), &ledger_path);
            socket = match ControlSocket::open(&path, asks_by.clone()) {
                Ok(socket) => Some(socket),
                Err(source) => {
                    let error = StartError::Socket { socket: path, source };
                    // What is held is resumed whether anybody can ask about it or not.
                    if owed == 0 {
                        return Err(error);
                    }
                    error!(
                        error = &error as &dyn std::error::Error,
                        "Nobody can talk to this daemon until a reload can open it"
                    );
                    None
                }
            };
        }
        let held = holds.len();
        let clock = recovered.clock();
        let is_served = self.serve;
        let mut daemon = Daemon::new(clock, self, recovered, (asks_by, asks))?;
        daemon.socket = socket;
        if let Some(address) = config.as_ref().and_then(|it| it.web.listen).filter(|_| is_served)
            && let Err(source) = daemon.listen(Some(address))
        {
            let error = StartError::Listen { address, source };
            if owed == 0 {
                return Err(error);
            }
            error!(
                error = &error as &dyn std::error::Error,
                "There is no status page until a reload can open it"
            );
        }
        daemon.config_error = rejected.as_ref().map(ToString::to_string);
        daemon.tzdb = tzdb.map(|it| it.to_string());
        info!(
            ledger = %ledger_path.display(),
            rows = held,
            "intermission {} with time zone data {}", env!("CARGO_PKG_VERSION"), daemon.zone_data()
        );
        let unreadable = match daemon.damaged.len() {
            0 => String::new(),
            some => format!(", {some} MORE UNREADABLE"),
        };
        let detail =
            Some(format!("version {}, {held} rows in the ledger{unreadable}", env!("CARGO_PKG_VERSION")));
        daemon.journal(Event { detail, ..Event::new(EventKind::DaemonStarted) });
        daemon.is_journaled = true;
        match (config, rejected) {
            (Some(config), _) => {
                warn_of(&config.warnings);
                let detail = Some(describe(&config));
                daemon.journal(Event { detail, ..Event::new(EventKind::ConfigLoaded) });
                daemon.bring_into_force(config);
                daemon.warn_of_left_behind();
                daemon.unadvised = unadvised;
            }
            (None, rejected) => {
                error!(
                    "The configuration is wrong: what is held ({}) will be resumed when it is due, \
                     and nothing will be paused until the file is mended",
                    sync::counted(owed)
                );
                let error = rejected.as_ref().map(NotLoaded::in_a_line);
                daemon.journal(Event { error, ..Event::new(EventKind::ConfigRejected) });
            }
        }
        Ok(daemon)
    }

    /// Where the ledger is with this configuration.
    pub(super) fn ledger_path(&self, config: Option<&Config>) -> PathBuf {
        ledger_path(self.state.as_deref(), &self.config, config)
    }
}

/// A ledger that is ours alone, and what it remembers.
pub(super) struct Recovered {
    path: PathBuf,
    lock: Lock,
    store: Store,
    contents: Contents,
}

impl Recovered {
    /// Locks the ledger, then reads it.
    pub(super) fn at(ledger_path: &Path) -> Result<Self, StartError> {
        let lock = Lock::take(ledger_path).map_err(|source| lock_error(ledger_path, source))?;
        let store = Store::open(ledger_path)
            .map_err(|source| StartError::Ledger { ledger: ledger_path.to_owned(), source })?;
        let contents = store
            .contents()
            .map_err(|source| StartError::Recover { ledger: ledger_path.to_owned(), source })?;
        Ok(Self { path: ledger_path.to_owned(), lock, store, contents })
    }

    /// Both clocks of this process: what was left without an answer may be as old as the end
    /// of an earlier one.
    pub(super) fn clock(&self) -> Clock {
        let ago = self.contents.ended.zip(clock::ended()).map(|(ended, now)| ended.ago(&now));
        Clock::started(ago.unwrap_or_default().saturating_sub(LAST_SENT))
    }
}

/// What was about to be sent when a process said that it had ended has been sent by then.
const LAST_SENT: Duration = Duration::from_secs(1);

impl Daemon {
    /// A daemon that remembers, and has no configuration yet.
    pub(super) fn new(
        clock: Clock,
        start: Start,
        from: Recovered,
        (asks_by, asks): (mpsc::Sender<Ask>, mpsc::Receiver<Ask>),
    ) -> Result<Self, StartError> {
        let ledger = Ledger::start(from.store).map_err(StartError::Thread)?;
        for row in &from.contents.damaged {
            error!("A row of the ledger cannot be read, and nobody looks after what it holds: {row}");
        }
        let (heard_by, heard) = mpsc::channel(HEARD);
        let dice = fastrand::Rng::new();
        let now = clock.now();
        let metrics = Metrics::default();
        let (health, health_asks) = mpsc::channel(1);
        let notifying =
            Notifying::new(clock, ledger.clone(), metrics.clone(), health, from.contents.told.clone());
        let mut reconciler = Reconciler::new(from.contents.holds, from.contents.watches, None, dice);
        reconciler.remember_orders(from.contents.orders, from.contents.last_order);
        reconciler.remember_selections(from.contents.selections);
        reconciler.remember_preflights(from.contents.preflights);
        reconciler.remember_reports(from.contents.reports);
        Ok(Self {
            clock,
            start,
            ledger_path: from.path,
            config: None,
            unadvised: None,
            config_error: None,
            tzdb: None,
            started_at: now.wall,
            is_journaled: false,
            executor: Executor::new(clock, ledger.clone(), heard_by, metrics.clone()),
            ledger,
            damaged: from.contents.damaged,
            socket: None,
            asks_by,
            listening: None,
            metrics,
            _lock: from.lock,
            reconciler,
            heard,
            asks,
            notifying,
            health_asks,
            warmed: None,
            last_prune: None,
            switched: Switched::default(),
            ledger_failed: None,
            ledger_lost: None,
            is_clock_wrong: false,
            last_status: String::new(),
            status_told: None,
            last_read: now.uptime,
        })
    }
}

fn lock_error(ledger: &Path, source: LockError) -> StartError {
    let ledger = ledger.to_owned();
    match source {
        LockError::Held(_) => StartError::Held { ledger },
        source => StartError::Lock { ledger, source },
    }
}

/// The file may have named another place since the last start.
fn warn_of_another_ledger(path: &Path) {
    let other = directory_of_systemd("STATE_DIRECTORY").map(|it| it.join("ledger.db"));
    let Some(other) = other.filter(|it| it != path && !path.exists() && it.exists()) else { return };
    error!(
        "There is no ledger at `{}` yet, and one at `{}`: nobody looks after what that one holds. If it is this \
         daemon's, stop it, move the ledger and the files beside it, and start again",
        path.display(),
        other.display(),
    );
}

/// The control socket, which is served as long as this is there.
#[derive(Debug)]
pub(super) struct ControlSocket {
    bound: web::Bound,
    accepting: AbortHandle,
}

impl ControlSocket {
    pub(super) fn open(path: &Path, asks: mpsc::Sender<Ask>) -> std::io::Result<Self> {
        let (listener, bound) = web::bind(path)?;
        let accepting = tokio::spawn(async move {
            if let Err(error) = web::serve(listener, asks).await {
                error!(error = %error, "The control socket failed");
            }
        });
        Ok(Self { bound, accepting: accepting.abort_handle() })
    }

    pub(super) fn path(&self) -> &Path {
        self.bound.path()
    }
}

impl Drop for ControlSocket {
    /// Whoever is connected is answered still.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where the ledger is: as named, else where the file says, read leniently if it could
/// not be loaded, else in the directory that systemd keeps for us, else the usual place.
/// So whoever reads the same file finds the same ledger, in a unit or not.
pub fn ledger_path(named: Option<&Path>, config_path: &Path, config: Option<&Config>) -> PathBuf {
    if let Some(path) = named {
        return path.to_owned();
    }
    let configured = match config {
        Some(config) => config.state.path.clone(),
        None => {
            std::fs::read_to_string(config_path).ok().and_then(|text| config::state_path_leniently(&text))
        }
    };
    configured
        .or_else(|| Some(directory_of_systemd("STATE_DIRECTORY")?.join("ledger.db")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/intermission/ledger.db"))
}

/// The first of the directories that systemd names in a variable, separated by colons
/// (systemd.exec(5), `StateDirectory=`).
fn directory_of_systemd(variable: &str) -> Option<PathBuf> {
    let directories = key::process_environment(variable)?;
    std::env::split_paths(&directories).next().filter(|it| !it.as_os_str().is_empty())
}

/// Where the daemon's control socket is: as configured, else in the run-time
/// directory that systemd keeps for us, else beside the ledger.
pub fn socket_path(config_path: &Path, config: Option<&Config>, ledger: &Path) -> PathBuf {
    named_socket(config_path, config).unwrap_or_else(|| ledger.with_file_name("control.sock"))
}

/// Same, if the file or the environment name one at all.
pub fn named_socket(config_path: &Path, config: Option<&Config>) -> Option<PathBuf> {
    let configured = match config {
        Some(config) => config.web.control_socket.clone(),
        None => {
            std::fs::read_to_string(config_path).ok().and_then(|text| config::control_socket_leniently(&text))
        }
    };
    configured.or_else(|| Some(directory_of_systemd("RUNTIME_DIRECTORY")?.join("control.sock")))
}

/// `$TZDIR`, which names the time zone data to use whatever it is.
pub fn tzdir() -> Option<PathBuf> {
    key::process_environment("TZDIR").map(PathBuf::from)
}
