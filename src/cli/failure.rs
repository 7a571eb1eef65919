//! Why a command did not do what it was asked, and how that is told.

use std::error::Error;
use std::io;

use anstyle::{AnsiColor, Style};

use super::{Exit, logging, screen};
use crate::daemon::{RunError, StartError};
use crate::ledger::{BackupError, LedgerError, OpenError};
use crate::tzdb::NoZoneData;
use crate::web::api::Refusal;

use super::socket::SocketError;
use super::times::TimeError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The configuration file is wrong.
    #[error("the configuration is wrong")]
    Config {
        /// All that is wrong, rendered for the terminal.
        rendered: String,
    },
    /// A time makes no sense.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Other arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing, or more than one.
    #[error("{0}")]
    NotFound(String),
    /// The daemon cannot be reached, or says nothing that can be understood.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The daemon refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The daemon did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The daemon ended other than as asked.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger cannot be read.
    #[error("could not read the ledger")]
    Ledger(#[from] LedgerError),
    /// The ledger could not be copied.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// An exported history makes no sense.
    #[error("{0}")]
    History(String),
    /// `TZDIR` leads nowhere.
    #[error(transparent)]
    Zones(#[from] NoZoneData),
    /// The answer could not be written.
    #[error("could not write the answer")]
    Output(#[source] io::Error),
    /// The system refused something.
    #[error("could not {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    /// How the process ends of it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            // Whoever reads only the first lines wants no more than those.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Self::Config { .. } | Self::Zones(_) | Self::Open(OpenError::Newer { .. }) => Exit::Config,
            Self::Time(_) | Self::Usage(_) => Exit::Usage,
            Self::Socket(SocketError::Unreachable { .. }) => Exit::Unreachable,
            Self::Refused(refusal) => of_refusal(refusal),
            Self::Start(error) | Self::Run(RunError::Start(error)) => of_start(error),
            Self::NotFound(_)
            | Self::Socket(SocketError::Garbled { .. })
            | Self::Run(_)
            | Self::Open(_)
            | Self::Ledger(_)
            | Self::Backup(_)
            | Self::History(_)
            | Self::Output(_)
            | Self::Io { .. } => Exit::Failed,
        }
    }

    /// Tells it on stderr: what was found in the file, then a sentence with
    /// its causes.
    pub(super) fn tell(&self) {
        if self.exit() == Exit::Success {
            return;
        }
        let style = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let sentence = format!("{style}error:{style:#} {}", sentence(self));
        let details = self.details().iter().map(|it| it.trim_end());
        for line in details.chain([sentence.as_str()]).flat_map(str::lines) {
            // The journal takes lines of stderr for news, unless they say otherwise:
            // see sd-daemon(3).
            let level = if logging::is_journal() { "<3>" } else { "" };
            screen::note(&format!("{level}{line}"));
        }
    }

    fn details(&self) -> &[String] {
        match self {
            Self::Config { rendered }
            | Self::Start(StartError::Config { rendered })
            | Self::Run(RunError::Start(StartError::Config { rendered })) => std::slice::from_ref(rendered),
            Self::Refused(Refusal::ConfigRejected { errors }) => errors,
            _ => &[],
        }
    }
}

/// The error and what caused it, in one line; a cause that says the same again
/// is left out.
pub(super) fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

fn of_refusal(refusal: &Refusal) -> Exit {
    match refusal {
        Refusal::BadRequest { .. } => Exit::Usage,
        Refusal::ConfigRejected { .. } => Exit::Config,
        Refusal::Stopping { .. } => Exit::Unreachable,
        Refusal::NotFound { .. } | Refusal::Conflict { .. } | Refusal::Ledger { .. } => Exit::Failed,
    }
}

fn of_start(error: &StartError) -> Exit {
    match error {
        StartError::Config { .. } | StartError::Ledger { source: OpenError::Newer { .. }, .. } => {
            Exit::Config
        }
        StartError::Held { .. } => Exit::Held,
        StartError::Lock { .. }
        | StartError::Ledger { .. }
        | StartError::Recover { .. }
        | StartError::Thread(_)
        | StartError::Socket { .. }
        | StartError::Listen { .. } => Exit::Failed,
    }
}
