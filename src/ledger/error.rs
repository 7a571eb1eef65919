//! What can go wrong with the ledger, sorted by what the caller must do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Error as Sqlite, ErrorCode};

/// Why something was not written or read. In every case nothing of the change
/// was written, except that after a fatal error nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// No room: the disk, or the quota, is full.
    #[error("the ledger's disk is full")]
    Full(#[source] Arc<Sqlite>),
    /// The ledger may not be written.
    #[error("the ledger is read-only")]
    ReadOnly(#[source] Arc<Sqlite>),
    /// Another process holds it for longer than we wait.
    #[error("the ledger is in use by another process")]
    Busy(#[source] Arc<Sqlite>),
    /// A file that SQLite needs could not be opened.
    #[error("could not open the ledger's files")]
    CannotOpen(#[source] Arc<Sqlite>),
    /// The file was moved or deleted while it was open. Writing on would be
    /// writing into the void.
    #[error("ledger `{0}` was moved or deleted while in use")]
    Moved(PathBuf),
    /// It could not be opened a second time, for reading.
    #[error("could not open the ledger for reading")]
    Unreadable(#[source] Arc<OpenError>),
    /// This change cannot be written; others can.
    #[error("the ledger refused a change")]
    Rejected(#[source] Arc<Sqlite>),
    /// A failed fsync, an I/O error, a damaged file: nothing that this process
    /// believes about the file can be trusted any more.
    #[error("the ledger failed")]
    Fatal(#[source] Arc<Sqlite>),
    /// More waits to be written than the queue holds.
    #[error("too much is waiting to be written to the ledger")]
    Crowded,
    /// The ledger takes no more, because it failed earlier or is closed.
    #[error("the ledger has stopped")]
    Stopped,
}

impl LedgerError {
    /// Whether the process must end and start anew, reading the ledger afresh.
    /// Otherwise it goes on: it pauses nothing new and resumes what it holds.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Fatal(_) | Self::Stopped => true,
            Self::Full(_)
            | Self::ReadOnly(_)
            | Self::Busy(_)
            | Self::CannotOpen(_)
            | Self::Moved(_)
            | Self::Unreadable(_)
            | Self::Rejected(_)
            | Self::Crowded => false,
        }
    }
}

impl From<Sqlite> for LedgerError {
    /// Sorts SQLite's result codes (<https://www.sqlite.org/rescode.html>).
    fn from(error: Sqlite) -> Self {
        let code = error.sqlite_error_code();
        let error = Arc::new(error);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(error),
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy(error),
            Some(ErrorCode::CannotOpen) => Self::CannotOpen(error),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Rejected(error)
            }
            // Text that we could not write as a column is the change's fault.
            None if matches!(*error, Sqlite::ToSqlConversionFailure(_)) => Self::Rejected(error),
            // Every SQLITE_IOERR, CORRUPT and NOTADB; a row that we cannot
            // read; and whatever nobody thought of.
            _ => Self::Fatal(error),
        }
    }
}

/// Why a ledger was not opened. None of these is ever taken for "there is
/// nothing in it": that would forget what is paused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, and it was to be read only.
    #[error("there is no ledger at `{0}`")]
    Missing(PathBuf),
    /// The file is missing or empty, but what belongs to it is still there.
    #[error(
        "ledger `{ledger}` is missing or empty, but `{companion}` belongs to it: restore the ledger, or remove that file too to start with an empty one"
    )]
    Orphaned {
        /// The ledger.
        ledger: PathBuf,
        /// Its write-ahead log or rollback journal.
        companion: PathBuf,
    },
    /// No ledger, but something else.
    #[error("`{0}` is not a ledger of intermission")]
    NotOurs(PathBuf),
    /// A later version of intermission has written it.
    #[error(
        "ledger `{path}` is of version {found}, this program knows up to {known}: use the program that wrote it"
    )]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// An earlier version has written it, and a reader does not migrate.
    #[error(
        "ledger `{path}` is of version {found}, not yet {known}: start the daemon once, it migrates the ledger"
    )]
    Older {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It is ours, and damaged.
    #[error("ledger `{path}` is damaged: {what}")]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What SQLite's check found first.
        what: String,
    },
    /// The directory for it is not there.
    #[error("there is no directory `{0}` to make the ledger's directory in: create it, or set `state.path`")]
    NoDirectory(PathBuf),
    /// A file operation failed.
    #[error("could not {doing} `{path}`")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// SQLite could not open or prepare it.
    #[error("could not open ledger `{path}`")]
    Sqlite {
        /// The ledger.
        path: PathBuf,
        /// How it failed.
        source: Sqlite,
    },
    /// The file system has no shared memory for a write-ahead log.
    #[error("ledger `{0}` cannot have a write-ahead log where it is: keep it on a local file system")]
    NoLog(PathBuf),
    /// The SQLite in this program can lose a commit
    /// (<https://www.sqlite.org/wal.html>, "WAL-reset bug", fixed in 3.51.3).
    #[error("SQLite {0} can lose commits: 3.51.3 or later is needed")]
    UnsafeSqlite(&'static str),
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn check(code: i32, expected: &str, fatal: bool) {
        let error = LedgerError::from(Sqlite::SqliteFailure(ffi::Error::new(code), None));
        assert!(format!("{error:?}").starts_with(expected), "{code}: {error:?}");
        assert_eq!(error.is_fatal(), fatal, "{code}");
    }

    #[test]
    fn only_what_leaves_the_file_trustworthy_leaves_the_process_alive() {
        check(ffi::SQLITE_FULL, "Full", false);
        check(ffi::SQLITE_READONLY, "ReadOnly", false);
        check(ffi::SQLITE_READONLY_DBMOVED, "ReadOnly", false);
        check(ffi::SQLITE_BUSY, "Busy", false);
        check(ffi::SQLITE_BUSY_SNAPSHOT, "Busy", false);
        check(ffi::SQLITE_CANTOPEN, "CannotOpen", false);
        check(ffi::SQLITE_CONSTRAINT_FOREIGNKEY, "Rejected", false);
        check(ffi::SQLITE_IOERR, "Fatal", true);
        check(ffi::SQLITE_IOERR_FSYNC, "Fatal", true);
        check(ffi::SQLITE_IOERR_DIR_FSYNC, "Fatal", true);
        check(ffi::SQLITE_IOERR_WRITE, "Fatal", true);
        check(ffi::SQLITE_CORRUPT, "Fatal", true);
        check(ffi::SQLITE_NOTADB, "Fatal", true);
        check(ffi::SQLITE_NOMEM, "Fatal", true);
    }
}
