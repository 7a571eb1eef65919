//! `reload`: makes the daemon read its configuration again, and waits for the
//! verdict.

use clap::Args;

use super::socket::Socket;
use super::{Exit, Global, Outcome, block_on, screen};

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(global: &Global, _: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let reloaded = block_on(socket.reload())?;
    for warning in &reloaded.warnings {
        screen::note(warning.trim_end());
    }
    screen::say(&format!("the configuration is in force: {}", reloaded.in_words()))?;
    Ok(Exit::Success)
}
