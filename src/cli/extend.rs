//! `extend`: the open occurrence of a window closes later.

use std::time::Duration;

use clap::Args;

use super::completions::candidates;
use super::ordered;
use super::socket::Socket;
use super::{FormatArgument, Global, Outcome, block_on, file, times};
use crate::web::api::ExtendRequest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The window
    #[arg(value_name = "WINDOW", add = candidates::windows())]
    window: String,
    /// By how much, counted from when it would close now
    #[arg(long, value_name = "DURATION", value_parser = times::parse_duration)]
    by: Duration,
    /// Why: for whoever wonders in the night
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let request = ExtendRequest {
        window: arguments.window.clone(),
        seconds: arguments.by.as_secs(),
        reason: arguments.reason.clone(),
    };
    let ordered = block_on(socket.extend(&request))?;
    ordered::say(&ordered, arguments.format.format, &file::zone(global))
}
