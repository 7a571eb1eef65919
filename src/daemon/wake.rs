//! What wakes the loop besides answers and timers: signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Wake {
    /// SIGHUP
    Reload,
    /// SIGTERM or SIGINT
    Shutdown,
}

/// The signals the daemon listens to.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on they wait to be heard, instead of ending the process.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(super) async fn next(&mut self) -> Wake {
        tokio::select! {
            Some(()) = self.hangup.recv() => Wake::Reload,
            Some(()) = self.interrupt.recv() => Wake::Shutdown,
            Some(()) = self.terminate.recv() => Wake::Shutdown,
        }
    }
}
