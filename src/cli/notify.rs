//! `notify test`: whether notices arrive.

use clap::{Args, Subcommand};

use super::file;
use super::{Exit, Failure, Global, Outcome, block_on, screen};
use crate::domain::notice::{Notice, Target};
use crate::notify::Messenger;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a test notice to each target of the file, and say what came of it
    Test(Arguments),
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only to this one: its `name`, else its format, with `-2` and so on for further ones
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

pub(super) fn run(global: &Global, command: &Command) -> Outcome {
    let Command::Test(arguments) = command;
    let read = file::read(global)?;
    let is_meant = |it: &&Target| arguments.target.as_deref().is_none_or(|name| name == it.name.as_str());
    let targets: Vec<&Target> = read.config.notify.iter().filter(is_meant).collect();
    if targets.is_empty() {
        return Err(match &arguments.target {
            Some(name) => Failure::Usage(format!("the file has no target `{name}`")),
            None => Failure::NotFound("the file has no `[[notify]]`".to_owned()),
        });
    }
    let messenger = Messenger::new().ok_or_else(|| {
        let mend =
            "this system has no certificate authorities to trust: install the package `ca-certificates`";
        Failure::Usage(mend.to_owned())
    })?;
    let notice = Notice::test(read.now);
    let mut has_failed = false;
    for target in targets {
        let sent = block_on(async { Ok(messenger.send(target, &notice).await) })?;
        has_failed |= sent.is_err();
        let verdict = sent.map_or_else(|error| format!("error: {error}"), |()| "sent".to_owned());
        screen::say(&format!("{} ({}): {verdict}", target.name, target.format.as_str()))?;
    }
    Ok(if has_failed { Exit::Failed } else { Exit::Success })
}
