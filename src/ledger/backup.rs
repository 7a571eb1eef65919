//! Copies of the ledger, made while it is written.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::open::{beside, sync_directory_of};
use super::{LedgerError, OpenError, Store};

/// Why a backup was not made. What was at its path is still there.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is there already, and was not to be replaced.
    #[error("`{0}` is there already")]
    Exists(PathBuf),
    /// It would have replaced the ledger, or what belongs to it.
    #[error("`{0}` belongs to the ledger itself")]
    Itself(PathBuf),
    /// The file could not be made, synced or put into place.
    #[error("could not make backup `{path}`")]
    Io {
        /// The backup.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The ledger could not be copied.
    #[error("could not copy the ledger to `{path}`")]
    Copy {
        /// The backup.
        path: PathBuf,
        /// How it failed.
        source: LedgerError,
    },
    /// Its directory could not be synced.
    #[error(transparent)]
    Directory(#[from] OpenError),
}

impl Store {
    /// Copies the ledger to `path` (mode 0600), as of one moment and in one
    /// file, while others may write it. The copy appears there whole and on
    /// disk, or not at all.
    pub fn backup(&self, path: &Path, replaces: bool) -> Result<(), BackupError> {
        if self.owns(path) {
            return Err(BackupError::Itself(path.to_owned()));
        }
        if !replaces && path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let draft = beside(path, &format!(".{}.new", std::process::id()));
        let io = |source| BackupError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(io)?;
        let made = self
            .copy_to(&draft)
            .map_err(|source| BackupError::Copy { path: path.to_owned(), source })
            // SQLite does not sync what it vacuums into.
            .and_then(|()| file.sync_all().map_err(io))
            .and_then(|()| put_into_place(&draft, path, replaces));
        if made.is_err() {
            // It is of no use, and it fails for the same reason if it fails.
            drop(fs::remove_file(&draft));
        }
        made?;
        Ok(sync_directory_of(path)?)
    }

    /// Whether `path` is the ledger, or one of the files that belong to it.
    fn owns(&self, path: &Path) -> bool {
        let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
        let Some(other) = identity(path) else { return false };
        let files = ["", "-wal", "-shm", "-journal", ".lock"];
        let mine = self.name().into_iter().flat_map(|ledger| files.map(|suffix| beside(ledger, suffix)));
        mine.into_iter().any(|it| identity(&it) == Some(other))
    }
}

fn put_into_place(draft: &Path, path: &Path, replaces: bool) -> Result<(), BackupError> {
    let io = |source| BackupError::Io { path: path.to_owned(), source };
    if replaces {
        return fs::rename(draft, path).map_err(io);
    }
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(BackupError::Exists(path.to_owned())),
        // This file system cannot promise it. It was not there a moment ago.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::rename(draft, path).map_err(io),
        Err(other) => Err(io(other.into())),
    }
}
