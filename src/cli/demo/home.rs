//! A directory of the demonstration's own, gone when it ends.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::super::Failure;

/// The directory. It is removed with all that is in it.
pub(super) struct Home(PathBuf);

impl Home {
    /// Makes it, readable by nobody else.
    pub(super) fn make() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("intermission-demo-{}", Uuid::new_v4().simple()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| Failure::Io { doing: "make a temporary directory", source })?;
        Ok(Self(path))
    }

    /// Writes the configuration and the key.
    pub(super) fn furnish(&self, config: &str, key: &str) -> Result<(), Failure> {
        write(&self.config(), config)
            .and_then(|()| write(&self.key(), key))
            .map_err(|source| Failure::Io { doing: "write the demonstration's configuration", source })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join("intermission.toml")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.join("api-key")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What stays behind in a temporary directory is swept up by others.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
