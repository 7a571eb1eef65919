//! The lock that lets one daemon at a time have a ledger.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::open::{beside, make_directory};

/// Held for the life of the process, and let go by the kernel when it dies,
/// however it dies. The file stays: removing it would let two processes lock
/// two files of one name.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process holds the ledger: `{0}` is locked")]
    Held(PathBuf),
    /// A lock there would not keep other machines out, and SQLite's WAL does
    /// not work there either (<https://www.sqlite.org/wal.html>).
    #[error("`{0}` is on a network file system: keep the ledger on a local one")]
    Network(PathBuf),
    /// The lock file could not be made or locked.
    #[error("could not lock `{path}`")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The ledger's directory could not be made.
    #[error(transparent)]
    Directory(#[from] OpenError),
}

impl Lock {
    /// Takes the lock of the ledger at `ledger`, or says at once that it cannot.
    ///
    /// The lock is `flock(2)` on `<ledger>.lock` beside the file itself, which is made with mode 0600,
    /// as is its directory (0700) if only that is missing.
    pub fn take(ledger: &Path) -> Result<Self, LockError> {
        make_directory(ledger)?;
        // By whatever links it is reached, it is one ledger. One that is yet to be made has
        // no other name.
        let path = beside(&ledger.canonicalize().unwrap_or_else(|_| ledger.to_owned()), ".lock");
        let io = |source| LockError::Io { path: path.clone(), source };

        let file = match open(&path) {
            // What is held is to be resumed from there too, by one process.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
            other => other,
        }
        .map_err(io)?;
        if is_on_network(&file).map_err(io)? {
            return Err(LockError::Network(path));
        }
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(path)),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// NFS, SMB and CIFS, by the magic numbers of statfs(2).
const NETWORK: [u64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];

fn is_on_network(file: &File) -> io::Result<bool> {
    let kind = u64::try_from(rustix::fs::fstatfs(file)?.f_type).unwrap_or_default();
    Ok(NETWORK.contains(&kind))
}
