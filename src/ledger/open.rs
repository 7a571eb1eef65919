//! Finding out what a file is before trusting it, and making a new one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::OpenError;
use super::schema::{self, APPLICATION_ID, MIGRATIONS};

/// How long SQLite waits for another process's lock. Nobody but us writes, so
/// this is for a person at work in `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens the ledger at `path` for reading and writing, makes it if there is
/// none, and brings it to our version. The caller holds the [`super::Lock`].
pub(super) fn writer(path: &Path) -> Result<Writer, OpenError> {
    safe_sqlite()?;
    make_directory(path)?;
    if is_absent(path)? {
        create(path)?;
    }
    let sqlite = |source| failed(path, source);

    // Nothing is written before we know that the file is ours to write.
    let mut connection = connect(path).map_err(sqlite)?;
    let mut is_alone = false;
    if let Err(error) = recognize(&connection, path) {
        // On a full disk, what is held is to be resumed all the same. Two
        // connections of one process would share the index that is not there.
        drop(connection);
        let alone = if has_no_index(&error) { connect_alone(path).ok() } else { None };
        connection = alone.filter(|it| recognize(it, path).is_ok()).ok_or(error)?;
        is_alone = true;
        tracing::warn!(
            ledger = %path.display(),
            "There is no room for the ledger's index: it is kept in memory, and nobody else can read the \
             ledger until the next start"
        );
    }
    if configure(&connection).map_err(sqlite)? != "wal" {
        return Err(OpenError::NoLog(path.to_owned()));
    }
    let is_older = match schema::migrate(&mut connection, MIGRATIONS) {
        Ok(()) => false,
        // A new release met a disk that takes no writes. What is held is to be
        // resumed all the same; the rest waits until there is room.
        Err(error) if takes_no_writes(&error) => {
            tracing::warn!(
                ledger = %path.display(),
                error = &error as &dyn std::error::Error,
                "The ledger is an older version's, and cannot be brought up to this one now"
            );
            true
        }
        Err(error) => return Err(sqlite(error)),
    };
    sound(&connection, path)?;
    Ok(Writer { connection, is_alone, is_older })
}

/// A connection that may write.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Whether nobody else can read the file meanwhile.
    pub(super) is_alone: bool,
    /// Whether it is an older version's, which could not be brought up to ours.
    pub(super) is_older: bool,
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Without CREATE: should the file vanish right now, that is an error and
    // not an empty ledger.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Whether the disk, and not the file, is what is wrong.
fn takes_no_writes(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::ReadOnly))
}

/// Whoever shares the file with nobody has the index of its log in memory
/// (<https://www.sqlite.org/wal.html#noshm>).
fn connect_alone(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
    Ok(connection)
}

/// Whether it is the file with the log's index that could not be made.
fn has_no_index(error: &OpenError) -> bool {
    let OpenError::Sqlite { source, .. } = error else { return false };
    source.sqlite_error().is_some_and(|it| {
        matches!(
            it.extended_code,
            ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_CANTOPEN
        )
    })
}

/// A ledger in memory, the same in all but durability.
pub(super) fn in_memory() -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: ":memory:".into(), source };
    let mut connection = Connection::open_in_memory().map_err(sqlite)?;
    configure(&connection).map_err(sqlite)?;
    schema::migrate(&mut connection, MIGRATIONS).map_err(sqlite)?;
    Ok(connection)
}

/// Opens the ledger at `path` for reading, beside a daemon that writes or
/// after one that died.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    safe_sqlite()?;
    if is_absent(path)? {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let result = Connection::open_with_flags(path, flags)
        .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })
        .and_then(|connection| prepare_reader(connection, path));
    match result {
        // A reader makes the index of the write-ahead log if it is not there.
        // Who may not write the directory cannot; but with no log there is
        // nothing in it, and the file alone tells all.
        Err(OpenError::Sqlite { source, .. })
            if source.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                && !holds_something(&beside(path, "-wal"))? =>
        {
            let connection = Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
                .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
            prepare_reader(connection, path)
        }
        other => other,
    }
}

fn prepare_reader(connection: Connection, path: &Path) -> Result<Connection, OpenError> {
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    let found = recognize(&connection, path)?;
    let known = schema::version_of(MIGRATIONS);
    if found < known {
        return Err(OpenError::Older { path: path.to_owned(), found, known });
    }
    Ok(connection)
}

/// The path with `suffix` after its last component, as SQLite names the files
/// that belong to a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Makes the directory of the ledger if only that one is missing.
pub(super) fn make_directory(ledger: &Path) -> Result<(), OpenError> {
    let Some(directory) = ledger.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        // A file of that name shows itself as soon as something is opened in it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::NoDirectory(directory.parent().unwrap_or(directory).to_owned()))
        }
        // On a read-only file system the directory may well be there.
        Err(_) if directory.is_dir() => Ok(()),
        Err(source) => Err(OpenError::Io { doing: "create", path: directory.to_owned(), source }),
    }
}

/// The one rule by which there is no ledger yet: no file, or one of zero
/// length, and nothing that belongs to a ledger. Whatever cannot be looked at
/// is an error.
fn is_absent(path: &Path) -> Result<bool, OpenError> {
    if holds_something(path)? {
        return Ok(false);
    }
    for suffix in ["-wal", "-journal"] {
        let companion = beside(path, suffix);
        if holds_something(&companion)? {
            return Err(OpenError::Orphaned { ledger: path.to_owned(), companion });
        }
    }
    Ok(true)
}

fn holds_something(path: &Path) -> Result<bool, OpenError> {
    match fs::metadata(path) {
        // A directory's length means nothing, but it is no empty ledger.
        Ok(metadata) => Ok(!metadata.is_file() || metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(OpenError::Io { doing: "look at", path: path.to_owned(), source }),
    }
}

/// Makes a whole ledger under another name and moves it into place, so that a
/// file that was half made when the power went is never met under `path`.
fn create(path: &Path) -> Result<(), OpenError> {
    let draft = beside(path, ".new");
    let sqlite = |source| OpenError::Sqlite { path: draft.clone(), source };
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove_if_there(&beside(&draft, suffix))?;
    }

    // SQLite gives the files that belong to a database the database's mode.
    let make = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    let file = make.map_err(|source| OpenError::Io { doing: "create", path: draft.clone(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&draft, flags).map_err(sqlite)?;
    schema::migrate(&mut connection, MIGRATIONS).map_err(sqlite)?;
    // The log is turned on here, and closing leaves all in one file. To turn it
    // on in place would need a rollback journal under the ledger's own name,
    // and after a kill no reader could open the two.
    turn_log_on(&connection).map_err(sqlite)?;
    connection.close().map_err(|(_, source)| sqlite(source))?;
    file.sync_all().map_err(|source| OpenError::Io { doing: "sync", path: draft.clone(), source })?;

    fs::rename(&draft, path).map_err(|source| OpenError::Io {
        doing: "create",
        path: path.into(),
        source,
    })?;
    sync_directory_of(path)
}

fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Io { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Makes a new name in the directory of `path` survive a power loss.
pub(super) fn sync_directory_of(path: &Path) -> Result<(), OpenError> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|it| it.sync_all()).map_err(|source| OpenError::Io {
        doing: "sync",
        path: directory.to_owned(),
        source,
    })
}

/// Says of which version the file is, or that it is none of ours.
fn recognize(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let read = || Ok((pragma("application_id")?, pragma("user_version")?));
    let (application, version) =
        read().map_err(|source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotOurs(path.to_owned()),
            _ => failed(path, source),
        })?;

    if application != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotOurs(path.to_owned()));
    }
    let known = schema::version_of(MIGRATIONS);
    // Ours are never negative nor zero, so these were not written by us.
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    match found {
        0 => Err(OpenError::NotOurs(path.to_owned())),
        found if found > known => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        found => Ok(found),
    }
}

/// SQLite could not do it: because the file is damaged, or for another reason.
fn failed(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path: path.into(), what: source.to_string() }
        }
        _ => OpenError::Sqlite { path: path.to_owned(), source },
    }
}

/// Says which journal mode SQLite settled on.
fn configure(connection: &Connection) -> rusqlite::Result<String> {
    // The log: readers do not block the writer, and a commit is one append and
    // one fsync.
    let mode = turn_log_on(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A checkpoint's errors would be swallowed by the commit that sets it off,
    // and a failed fsync must end the process: the store asks for them itself,
    // and none is run by closing a file that may just have failed.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Bytes: what the log is cut back to after something big was in it.
    connection.pragma_update_and_check(None, "journal_size_limit", 8 << 20, |_| Ok(()))?;
    // KiB, of 2,000 by default: what is written is rarely read again.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(mode)
}

fn turn_log_on(connection: &Connection) -> rusqlite::Result<String> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
}

/// Checks what recovery depends on: that rows can be told apart. What is in
/// them is judged one by one when they are read, so that one of them does not
/// keep the others from being resumed. The journal, which may be long, is left
/// to [`super::Store::check`].
fn sound(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| failed(path, source);
    connection.pragma_update(None, "ignore_check_constraints", true).map_err(sqlite)?;
    for table in ["hold", "organization", "window_watch"] {
        let found = structure_of(connection, table);
        let what = found.unwrap_or_else(|error| Some(error.to_string()));
        if let Some(what) = what {
            return Err(OpenError::Damaged { path: path.to_owned(), what });
        }
    }
    connection.pragma_update(None, "ignore_check_constraints", false).map_err(sqlite)
}

/// The first thing that is wrong with a table, other than a value of the wrong
/// type in a column.
fn structure_of(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({table})"))?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.into_iter().find(|it| it != "ok" && !it.contains(" value in ")))
}

/// The first thing that SQLite finds wrong with everything.
pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(Some(verdict).filter(|it| it != "ok"))
}

fn safe_sqlite() -> Result<(), OpenError> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(OpenError::UnsafeSqlite(rusqlite::version()));
    }
    Ok(())
}

/// A file that promises not to change, as SQLite's URIs have it
/// (<https://www.sqlite.org/uri.html>).
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(byte.into()),
            other => write!(uri, "%{other:02x}").unwrap_or_default(),
        }
    }
    uri + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_uri_keeps_its_meaning() {
        assert_eq!(
            immutable(Path::new("/var/lib/a b?#%é.db")),
            "file:/var/lib/a%20b%3f%23%25%c3%a9.db?immutable=1"
        );
    }
}
