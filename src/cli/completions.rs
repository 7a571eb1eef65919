//! `completions`: a script with which a shell completes our command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments as CommandLine, Exit, Outcome, screen};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "intermission", &mut script);
    screen::say_text(&String::from_utf8_lossy(&script)).map(|()| Exit::Success)
}
