//! `run`: the daemon.

use std::time::Duration;

use clap::Args;

use super::logging::{self, LogFormat};
use super::{Exit, Global, Outcome, block_on, times};
use crate::daemon::Start;

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
    /// How to write the log
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,
    /// What to log: `debug`, or directives of tracing's `EnvFilter`
    #[arg(long, value_name = "FILTER", env = "INTERMISSION_LOG", default_value = "info")]
    log: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    // Dropped last: it waits until the log is written.
    let _log = logging::start(arguments.log_format, &arguments.log)?;
    let start = Start { config: global.config.clone(), state: global.state.clone(), serve: !arguments.once };
    block_on(async {
        let daemon = start.open()?;
        if arguments.once {
            daemon.run_once(arguments.timeout).await?;
        } else {
            daemon.run().await?;
        }
        Ok(Exit::Success)
    })
}
