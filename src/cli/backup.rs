//! `backup`: copies the ledger, beside a daemon that writes it or without one.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::failure::Failure;
use super::table::count;
use super::{Exit, Global, Outcome, file, screen};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to; the copy is a ledger in one file, readable by its owner alone
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    if arguments.file.as_os_str() == "-" {
        return Err(Failure::Usage("a backup is a file: name one".to_owned()));
    }
    let store = file::ledger(global)?;
    store.backup(&arguments.file, arguments.force)?;
    let rows = store.contents()?.holds.len();
    screen::say(&format!("wrote the ledger to {}: {}", arguments.file.display(), count(rows, "row")))?;
    Ok(Exit::Success)
}
