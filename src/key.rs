//! Reads API keys from where the configuration says they are.
//!
//! This is the one place that reads the process's environment on behalf of the
//! configuration, and the one that turns a [`KeySource`] into a secret. No
//! error here ever holds what was read.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::domain::organization::KeySource;

/// Looks a variable up. Handed in, so that what reads variables can be run
/// with any of them.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + Send + Sync + 'a;

/// The variables of this process, as an [`Environment`].
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Where systemd puts credentials; see CREDENTIALS in systemd.exec(5).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// A key is a line. What is longer is another file.
const MOST_BYTES: usize = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum KeyError {
    #[error("the variable `{name}` is not set")]
    NotSet { name: String },
    #[error("there is no credential `{name}`: `$CREDENTIALS_DIRECTORY` is not set")]
    NoCredentials { name: String },
    #[error("cannot read the key file `{}`", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the key file `{}` is not a regular file", .path.display())]
    NotAFile { path: PathBuf },
    #[error("the key file `{}` is readable by everybody (mode {mode:04o})", .path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("{place} is empty")]
    Empty { place: String },
    #[error("{place} holds more than one line")]
    ManyLines { place: String },
    #[error("{place} is longer than {MOST_BYTES} bytes")]
    TooLong { place: String },
    #[error("{place} holds characters that no key has")]
    NotVisibleAscii { place: String },
}

impl KeyError {
    /// What is wrong, and what the system said to it.
    pub fn with_cause(&self) -> String {
        let cause = std::error::Error::source(self).map(|it| format!(": {it}"));
        format!("{self}{}", cause.unwrap_or_default())
    }

    /// What to do about it.
    pub fn mend(&self) -> String {
        match self {
            Self::NotSet { .. } => "set it, or name a file with `api_key_file`".to_owned(),
            Self::NoCredentials { name } => format!("add `LoadCredential={name}:PATH` to the systemd unit"),
            Self::Unreadable { path, source } => match source.kind() {
                io::ErrorKind::NotFound => format!(
                    "make it with `install -m 0640 -g intermission /dev/null {}`, and write the API key into it",
                    path.display()
                ),
                io::ErrorKind::PermissionDenied => format!(
                    "let the user that runs intermission read it: chgrp intermission {0}; chmod 0640 {0}",
                    path.display()
                ),
                _ => "name a file that holds the API key".to_owned(),
            },
            Self::NotAFile { .. } => "name a file that holds the API key".to_owned(),
            Self::ReadableByOthers { path, .. } => format!("run: chmod 0640 {}", path.display()),
            Self::Empty { .. } | Self::ManyLines { .. } | Self::TooLong { .. } => {
                "write the API key alone, on one line".to_owned()
            }
            Self::NotVisibleAscii { .. } => {
                "write the API key alone: no blanks inside it, no quotes, no `Bearer`, plain ASCII".to_owned()
            }
        }
    }
}

/// Reads the key. Files and credentials are read anew each time, so a key that
/// was exchanged is noticed without a restart.
pub fn read(source: &KeySource, environment: &Environment<'_>) -> Result<SecretString, KeyError> {
    match source {
        KeySource::File(path) => {
            let bytes = read_file(path, Readers::NotEverybody)?;
            only_line(&bytes, || format!("the key file `{}`", path.display()))
        }
        // systemd keeps these in a directory of the service's own and gives
        // them the modes it likes.
        KeySource::Credential(name) => {
            let path = credential_path(name, environment)
                .ok_or_else(|| KeyError::NoCredentials { name: name.clone() })?;
            let bytes = read_file(&path, Readers::Any)?;
            only_line(&bytes, || format!("the credential `{name}`"))
        }
        KeySource::Environment(name) => {
            let value = environment(name).ok_or_else(|| KeyError::NotSet { name: name.clone() })?;
            only_line(value.as_bytes(), || format!("the variable `{name}`"))
        }
    }
}

/// Whether systemd hands the process a credential of this name.
pub fn has_credential(name: &str, environment: &Environment<'_>) -> bool {
    credential_path(name, environment).is_some_and(|path| path.exists())
}

fn credential_path(name: &str, environment: &Environment<'_>) -> Option<PathBuf> {
    environment(CREDENTIALS_DIRECTORY).map(|directory| Path::new(&directory).join(name))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    NotEverybody,
    Any,
}

/// One byte more than a key may have, so that the caller sees when it is too
/// long. The checks are made on the opened file, not on its name.
fn read_file(path: &Path, readers: Readers) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let file = open_without_waiting(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile { path: path.to_owned() });
    }
    if readers == Readers::NotEverybody && is_open_to_others(&metadata) {
        return Err(KeyError::ReadableByOthers { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    // The room is taken at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MOST_BYTES));
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Opening a named pipe would otherwise wait for somebody to write to it.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o007 != 0
}

/// The key is sent in a header, so it is visible ASCII and nothing else.
fn only_line(bytes: &[u8], place: impl FnOnce() -> String) -> Result<SecretString, KeyError> {
    let line = bytes.trim_ascii();
    if bytes.len() > MOST_BYTES {
        return Err(KeyError::TooLong { place: place() });
    }
    if line.is_empty() {
        return Err(KeyError::Empty { place: place() });
    }
    if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(KeyError::ManyLines { place: place() });
    }
    match str::from_utf8(line) {
        Ok(line) if line.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(SecretString::from(line)),
        _ => Err(KeyError::NotVisibleAscii { place: place() }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn no_variables(_: &str) -> Option<OsString> {
        None
    }

    /// What reading a key file of this content and mode says: the key, or what
    /// is wrong, `FILE` standing for its path.
    fn check_file(content: &[u8], mode: u32, expected: Result<&str, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = read(&KeySource::File(path.clone()), &no_variables);
        let found = found.as_ref().map(ExposeSecret::expose_secret).map_err(|error| {
            let told = format!("{error}; {}", error.mend());
            told.replace(path.to_str().unwrap(), "FILE")
        });
        assert_eq!(found.as_ref().map(|key| &**key).map_err(String::as_str), expected);
    }

    #[test]
    fn a_key_file_holds_one_line() {
        let alone = "write the API key alone, on one line";
        check_file(b"secret", 0o600, Ok("secret"));
        check_file(b"secret\n", 0o640, Ok("secret"));
        check_file(b"  secret \r\n\n", 0o440, Ok("secret"));
        check_file(b"", 0o600, Err(&format!("the key file `FILE` is empty; {alone}")));
        check_file(b" \n\n", 0o600, Err(&format!("the key file `FILE` is empty; {alone}")));
        check_file(
            b"one\ntwo\n",
            0o600,
            Err(&format!("the key file `FILE` holds more than one line; {alone}")),
        );
        check_file(&[b'k'; 4096], 0o600, Ok(&"k".repeat(4096)));
        check_file(
            &[b'k'; 4097],
            0o600,
            Err(&format!("the key file `FILE` is longer than 4096 bytes; {alone}")),
        );
    }

    #[test]
    fn a_key_is_visible_ascii() {
        for content in
            [&b"Bearer secret"[..], b"\xff\xfe", "\u{feff}secret".as_bytes(), b"se\0cret", b"se\tcret"]
        {
            check_file(
                content,
                0o600,
                Err(
                    "the key file `FILE` holds characters that no key has; write the API key alone: no blanks \
                     inside it, no quotes, no `Bearer`, plain ASCII",
                ),
            );
        }
    }

    #[test]
    fn a_key_file_is_not_for_everybody() {
        check_file(
            b"secret",
            0o644,
            Err("the key file `FILE` is readable by everybody (mode 0644); run: chmod 0640 FILE"),
        );
        for mode in [0o604, 0o602, 0o601] {
            let told = format!(
                "the key file `FILE` is readable by everybody (mode {mode:04o}); run: chmod 0640 FILE"
            );
            check_file(b"secret", mode, Err(&told));
        }
    }

    #[test]
    fn a_key_file_is_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = read(&KeySource::File(directory.path().join("missing")), &no_variables).unwrap_err();
        assert!(matches!(missing, KeyError::Unreadable { .. }), "{missing}");
        let folder = read(&KeySource::File(directory.path().to_owned()), &no_variables).unwrap_err();
        assert!(matches!(folder, KeyError::NotAFile { .. }), "{folder}");
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let pipe = read(&KeySource::File(pipe), &no_variables).unwrap_err();
        assert!(matches!(pipe, KeyError::NotAFile { .. }), "{pipe}");
    }

    #[test]
    fn a_link_to_a_key_file_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("key"), directory.path().join("link"));
        std::fs::write(&file, "secret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&KeySource::File(link), &no_variables).unwrap().expose_secret(), "secret");
    }

    #[test]
    fn a_credential_may_have_any_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("polytomic-api-key");
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        let at = directory.path().as_os_str().to_owned();
        let environment = move |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| at.clone());
        let source = KeySource::Credential("polytomic-api-key".to_owned());
        assert_eq!(read(&source, &environment).unwrap().expose_secret(), "secret");
        assert!(has_credential("polytomic-api-key", &environment));
        assert!(!has_credential("another", &environment));
        assert!(matches!(read(&source, &no_variables).unwrap_err(), KeyError::NoCredentials { .. }));
    }

    #[test]
    fn a_variable_holds_a_key() {
        let source = KeySource::Environment("POLYTOMIC_API_KEY".to_owned());
        let environment = |name: &str| (name == "POLYTOMIC_API_KEY").then(|| OsString::from("secret"));
        assert_eq!(read(&source, &environment).unwrap().expose_secret(), "secret");
        assert_eq!(
            read(&source, &no_variables).unwrap_err().to_string(),
            "the variable `POLYTOMIC_API_KEY` is not set"
        );
    }
}
