//! ASKS: the command line. Argument types, and which command they belong to.
//!
//! Each command is a file of its own and comes back with an `Exit` or with a
//! `Failure`, which is told once, here. What was asked for goes to stdout and
//! all else to stderr, so that `--format json` can be piped.

mod api;
mod backup;
mod check;
mod completions;
mod curl;
mod demo;
mod diff;
mod exempt;
mod extend;
mod failure;
mod file;
mod forget;
mod history;
mod listing;
mod logging;
mod man;
mod notify;
mod ordered;
mod pause;
mod plan;
mod progress;
mod reload;
mod resume;
mod run;
mod schema;
mod screen;
mod simulate;
mod socket;
mod status;
mod syncs;
mod table;
mod timeline;
mod times;
mod upcoming;
mod why;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::domain::sync::SyncKind;
use failure::Failure;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// As it should.
    Success,
    /// Something is not as it should be.
    Failed,
    /// It was asked for something that makes no sense.
    Usage,
    /// The daemon cannot be reached (`EX_UNAVAILABLE`).
    Unreachable,
    /// Another daemon holds the ledger (`EX_TEMPFAIL`).
    Held,
    /// The configuration is wrong (`EX_CONFIG`).
    Config,
}

impl Exit {
    /// The numbers of `sysexits.h`, where it has one.
    fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Held => 75,
            Self::Config => 78,
        }
    }
}

type Outcome = Result<Exit, Failure>;

/// Keeps maintenance windows for Polytomic syncs.
///
/// Pauses syncs when a window opens, resumes them when it closes, and is never
/// the reason that one stays off.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 wrong usage; 69 the daemon cannot be reached;
75 another daemon holds the ledger; 78 the configuration is wrong.";

/// Where the configuration is, unless it is said.
const CONFIG: &str = "/etc/intermission/intermission.toml";

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "INTERMISSION_CONFIG",
        default_value = CONFIG,
        value_hint = ValueHint::FilePath
    )]
    config: PathBuf,
    /// The ledger [default: `state.path` of the file, else `$STATE_DIRECTORY/ledger.db`]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "INTERMISSION_STATE",
        value_hint = ValueHint::FilePath
    )]
    state: Option<PathBuf>,
    /// When to use colours; they only ever repeat what is said in words
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Which of Polytomic's two kinds of sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A model sync
    Model,
    /// A bulk sync
    Bulk,
}

impl From<Kind> for SyncKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Model => Self::Model,
            Kind::Bulk => Self::Bulk,
        }
    }
}

/// `--format` of the commands that show something.
#[derive(Debug, Args)]
struct FormatArgument {
    /// For people or for programs
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(run::Arguments),
    /// Validate the configuration file
    Check(check::Arguments),
    /// List the windows: open or closed, and what comes next
    Windows(windows::Arguments),
    /// List the coming occurrences and orders, and the pauses that follow
    Upcoming(upcoming::Arguments),
    /// Show what the daemon would do right now, and do nothing
    Plan(plan::Arguments),
    /// Show what a change of the file changes: 0 nothing, 1 something, 2 trouble
    Diff(diff::Arguments),
    /// List the syncs that Polytomic has, and the windows that cover them
    Syncs(syncs::Arguments),
    /// Show every sync that is paused or being looked after
    Status(status::Arguments),
    /// Show what happened, newest last
    History(history::Arguments),
    /// Make the daemon read its configuration again, and wait for the verdict
    Reload(reload::Arguments),
    /// End pauses now
    Resume(resume::Arguments),
    /// Pause syncs by hand, for a time
    Pause(pause::Arguments),
    /// Let the open occurrence of a window close later
    Extend(extend::Arguments),
    /// Take windows away from syncs for a time
    Exempt(exempt::Arguments),
    /// Tell why a sync is paused or not, and what happens to it next
    Why(why::Arguments),
    /// Drop the row of a sync that is gone for good
    Forget(forget::Arguments),
    /// See whether notices arrive
    #[command(subcommand)]
    Notify(notify::Command),
    /// Copy the ledger, while a daemon writes it or without one
    Backup(backup::Arguments),
    /// Run the file's windows in fast time, with faults: what happens, what breaks
    Simulate(simulate::Arguments),
    /// Watch the daemon at work on a simulated Polytomic: no account, no file
    Demo(demo::Arguments),
    /// Print a JSON Schema of the configuration file, for editors
    Schema(schema::Arguments),
    /// Print a script with which a shell completes this command line
    Completions(completions::Arguments),
    /// Print the manual page, or write all of them
    Man(man::Arguments),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    if completions::complete() {
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader of the help that went away early has had enough of it.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    screen::choose_color(arguments.global.color);
    let exit = match dispatch(&arguments.global, arguments.command) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.tell();
            failure.exit()
        }
    };
    ExitCode::from(exit.code())
}

fn dispatch(global: &Global, command: Command) -> Outcome {
    match command {
        Command::Run(arguments) => run::run(global, &arguments),
        Command::Check(arguments) => check::run(global, &arguments),
        Command::Windows(arguments) => windows::run(global, &arguments),
        Command::Upcoming(arguments) => upcoming::run(global, &arguments),
        Command::Plan(arguments) => plan::run(global, &arguments),
        Command::Diff(arguments) => diff::run(global, &arguments),
        Command::Syncs(arguments) => syncs::run(global, &arguments),
        Command::Status(arguments) => status::run(global, &arguments),
        Command::History(arguments) => history::run(global, &arguments),
        Command::Reload(arguments) => reload::run(global, &arguments),
        Command::Resume(arguments) => resume::run(global, &arguments),
        Command::Pause(arguments) => pause::run(global, &arguments),
        Command::Extend(arguments) => extend::run(global, &arguments),
        Command::Exempt(arguments) => exempt::run(global, &arguments),
        Command::Why(arguments) => why::run(global, &arguments),
        Command::Forget(arguments) => forget::run(global, &arguments),
        Command::Notify(command) => notify::run(global, &command),
        Command::Backup(arguments) => backup::run(global, &arguments),
        Command::Simulate(arguments) => simulate::run(global, &arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}

/// Runs what waits for the network, on this thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Io { doing: "start the runtime", source })?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
