//! `completions`: a script with which a shell completes our command line.
//!
//! The script is short: at each press of the key it runs this program, which
//! knows its own arguments and asks the daemon what windows and syncs are
//! called. So an upgrade needs no new script.

pub(super) mod candidates;

use std::ffi::OsString;
use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::{Bash, CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::{Arguments as CommandLine, Exit, Failure, Outcome, screen};
use crate::key;

/// Set by the script, to the name of its shell. Its form may change with the
/// crate, so script and program have to be of one version; the script of an
/// older package completes nothing, at worst.
const VARIABLE: &str = "INTERMISSION_COMPLETE";

const PROGRAM: &str = "intermission";

/// zsh loads the script when a line is first completed, and wants that done by
/// it as well.
const ZSH_AT_ONCE: &str = "\
if [ \"$funcstack[1]\" = \"_intermission\" ]; then
    _clap_dynamic_completer_intermission \"$@\"
fi
";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let script =
        script(arguments.shell).map_err(|source| Failure::Io { doing: "write the script", source })?;
    screen::say_text(&script).map(|()| Exit::Success)
}

fn script(shell: Shell) -> io::Result<String> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        other => return Err(io::Error::other(format!("nothing is known of {other}"))),
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    if shell == Shell::Zsh {
        script.extend_from_slice(ZSH_AT_ONCE.as_bytes());
    }
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Completes a command line, if a script of ours has called for that. Says
/// nothing else, whatever happens: it would stand in the middle of what
/// somebody types.
pub(super) fn complete() -> bool {
    let Some(shell) = key::process_environment(VARIABLE) else { return false };
    let words: Vec<OsString> = std::env::args_os().collect();
    let folder = std::env::current_dir().ok();
    candidates::about(&words, &shell);
    let completing = CompleteEnv::with_factory(CommandLine::command).var(VARIABLE).bin(PROGRAM);
    // With an error there is nothing to complete.
    completing.completer(PROGRAM).try_complete(words, folder.as_deref()).unwrap_or(true)
}
