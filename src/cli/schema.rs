//! `schema`: a JSON Schema of the configuration file, so that editors complete
//! and check it.

use clap::Args;

use super::{Exit, Outcome, screen};
use crate::config;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Outcome {
    screen::say_text(config::SCHEMA).map(|()| Exit::Success)
}
