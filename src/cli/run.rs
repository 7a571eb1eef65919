//! `run`: the daemon.

use std::io;
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::logging::{self, LogFormat};
use super::{Exit, Global, Outcome, block_on, times};
use crate::daemon::{self, Signals, Start, StartError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Do what is due, then end: 0 if all of it is done, 1 if something is not
    #[arg(long)]
    once: bool,
    /// With `--once`: how long to try
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        value_parser = times::parse_duration,
        requires = "once"
    )]
    timeout: Duration,
    /// With `--once`: by the ledger alone, without configuration: resume what is due, pause nothing
    #[arg(long, requires = "once")]
    release_only: bool,
    /// How to write the log
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// What to log: `debug`, or directives of tracing's `EnvFilter`
    #[arg(long, value_name = "FILTER", env = "INTERMISSION_LOG", default_value = "info")]
    log: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    make_room_for_descriptors();
    // Dropped last: it waits until the log is written.
    let _log = logging::start(arguments.log_format, &arguments.log)?;
    let start = Start { config: global.config.clone(), state: global.state.clone(), serve: !arguments.once };
    block_on(async {
        if arguments.release_only {
            return release_only(global, start, arguments.timeout).await;
        } else if arguments.once {
            start.open()?.run_once(arguments.timeout).await?;
        } else {
            // Before all else: a signal while it starts is not lost, nor deadly.
            let signals =
                Signals::listen().map_err(|source| Failure::Io { doing: "listen to signals", source })?;
            start.open()?.run(signals).await?;
        }
        Ok(Exit::Success)
    })
}

/// So many file descriptors need no larger table.
const DESCRIPTORS: i32 = 1024;

/// Makes room for connections as long as there is one thread. When there are more, and
/// the table has to grow, the kernel waits until no processor can still be reading the old
/// one (`expand_fdtable` in its `fs/file.c`): some ten milliseconds, in which no request
/// of a boundary leaves.
fn make_room_for_descriptors() {
    // Where the limit is lower, the table does not come to grow.
    drop(rustix::io::fcntl_dupfd_cloexec(io::stderr(), DESCRIPTORS - 1));
}

/// What the failsafe timer runs. Where nothing was ever paused there is no
/// ledger, and none is made. A daemon that is alive is what it mostly meets: the exit
/// code tells that, and an error every five minutes would hide the real ones.
async fn release_only(global: &Global, start: Start, within: Duration) -> Outcome {
    let ledger = daemon::ledger_path(global.state.as_deref(), &global.config, None);
    if matches!(ledger.try_exists(), Ok(false)) {
        return Ok(Exit::Success);
    }
    let daemon = match start.open_offline() {
        Err(error @ StartError::Held { .. }) => {
            tracing::debug!("Nothing to do: {error}");
            return Ok(Exit::Held);
        }
        opened => opened?,
    };
    daemon.run_once(within).await?;
    Ok(Exit::Success)
}
