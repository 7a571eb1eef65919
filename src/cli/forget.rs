//! `forget`: drops the row of a sync that is gone for good.

use clap::Args;

use super::completions::candidates;
use super::socket::Socket;
use super::{Exit, Global, Outcome, block_on, screen};
use crate::web::api::ForgetRequest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An id, `organization/id` or a name that only one sync has
    #[arg(add = candidates::syncs())]
    sync: String,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let request = ForgetRequest { sync: arguments.sync.clone() };
    let forgotten = block_on(socket.forget(&request))?;
    screen::say(&format!("dropped the row of sync `{}`", forgotten.sync))?;
    Ok(Exit::Success)
}
