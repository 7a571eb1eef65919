//! The ledger's file: what is in it, and changing it all at once or not at all.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::change::{Change, Write};
use super::journal::{Entry, HistoryQuery};
use super::open::Writer;
use super::schema::{self, MIGRATIONS};
use super::{LedgerError, OpenError, open, rows};
use crate::domain::event::Event;
use crate::domain::hold::Hold;
use crate::domain::moment::Ended;
use crate::domain::operator::{Order, What};
use crate::domain::organization::Organization;
use crate::domain::preflight::Preflight;
use crate::domain::report::SyncReport;
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::watch::WindowWatch;

type Result<T> = std::result::Result<T, LedgerError>;

/// So many writes after the last one, the log is copied into the file. It
/// bounds the log to some megabytes.
const WRITES_PER_CHECKPOINT: usize = 2000;

/// The ledger, open, and blocking: each call returns when it is done, a write
/// when it is on disk.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    file: Option<FileIdentity>,
    is_alone: bool,
    is_older: bool,
    commits: Arc<AtomicU64>,
    writes_since_checkpoint: usize,
}

/// All that a process must know to go on where the one before it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// In the order of their syncs. What was unsettled is so since
    /// [`std::time::Duration::ZERO`], where this process's uptime begins.
    pub holds: Vec<Hold>,
    /// In the order of their windows' names.
    pub watches: Vec<WindowWatch>,
    /// What operators asked for, in the order in which they did.
    pub orders: Vec<Order>,
    /// What windows were last found to select, in the order of their names.
    pub selections: Vec<Resolution>,
    /// What was told of coming occurrences, in the order of the windows' names.
    pub preflights: Vec<Preflight>,
    /// What came of occurrences that are ending, in their order.
    pub reports: Vec<SyncReport>,
    /// Up to which entry of the journal each target of notices has been told.
    pub told: BTreeMap<Name, i64>,
    /// The highest number that an order ever had; 0 if there never was one.
    pub last_order: u32,
    /// When a process ended in order, if no row was left in doubt since.
    pub ended: Option<Ended>,
    /// Rows of which nothing could be made, each in words. They stay where
    /// they are; what they held, nobody looks after.
    pub damaged: Vec<String>,
}

impl Store {
    /// Opens the ledger at `path`, or makes it if there is none: that is, no
    /// file or one of zero length. Anything else that is not a sound ledger of
    /// this version or an earlier one is refused and left as it is.
    ///
    /// The caller holds the [`super::Lock`].
    pub fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let Writer { connection, is_alone, is_older } = open::writer(path)?;
        let file = FileIdentity::of(path).map_err(|source| OpenError::Io {
            doing: "look at",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { is_alone, is_older, ..Self::new(connection, Some(file)) })
    }

    /// A ledger that ends with this value. For simulations.
    pub fn in_memory() -> std::result::Result<Self, OpenError> {
        Ok(Self::new(open::in_memory()?, None))
    }

    /// Opens the ledger at `path` for reading: beside a daemon that writes it,
    /// or when there is none, however the last one ended. Writing is an error.
    pub fn read_only(path: &Path) -> std::result::Result<Self, OpenError> {
        Ok(Self::new(open::reader(path)?, None))
    }

    fn new(connection: Connection, file: Option<FileIdentity>) -> Self {
        connection.set_prepared_statement_cache_capacity(32);
        Self {
            connection,
            file,
            is_alone: false,
            is_older: false,
            commits: Arc::default(),
            writes_since_checkpoint: 0,
        }
    }

    /// Everything but the journal, as of one moment.
    ///
    /// Row by row: one that holds what we never write costs no other one its
    /// resume, and what can be read of it is used.
    pub fn contents(&self) -> Result<Contents> {
        // One transaction, so that a writer beside us is seen wholly or not at all.
        let snapshot = self.connection.unchecked_transaction()?;
        let mut contents = Contents::default();
        let mut organizations: HashMap<i64, Arc<Organization>> = HashMap::new();
        each(&snapshot, "SELECT * FROM organization ORDER BY id", |row| match rows::organization(row) {
            Ok((version, organization)) => drop(organizations.insert(version, organization)),
            Err(error) => contents.damaged.push(format!("an organization: {error}")),
        })?;
        each(&snapshot, "SELECT * FROM hold ORDER BY organization, kind, sync", |row| {
            match rows::hold(row, |version| organizations.get(&version).cloned())
                .or_else(|error| rows::salvaged(row, &organizations).ok_or(error))
            {
                Ok(hold) => contents.holds.push(hold),
                Err(error) => contents.damaged.push(format!("{}: {error}", rows::called(row))),
            }
        })?;
        each(&snapshot, "SELECT * FROM window_watch ORDER BY \"window\"", |row| match rows::watch(row) {
            Ok(watch) => contents.watches.push(watch),
            // It only tells whether an occurrence was missed.
            Err(error) => contents.damaged.push(format!("the watch of a window: {error}")),
        })?;
        if self.is_older {
            // What came with a later version is not there yet.
            return Ok(contents);
        }
        each(&snapshot, "SELECT * FROM operator_order ORDER BY number", |row| match rows::order(row) {
            Ok(order) => contents.orders.push(order),
            Err(error) => contents.damaged.push(format!("an operator's order: {error}")),
        })?;
        each(&snapshot, "SELECT * FROM selection ORDER BY \"window\"", |row| match rows::selection(row) {
            Ok(found) => contents.selections.push(found),
            // It will be found again.
            Err(error) => contents.damaged.push(format!("what a window selects: {error}")),
        })?;
        each(&snapshot, "SELECT * FROM preflight ORDER BY \"window\"", |row| match rows::preflight(row) {
            Ok(told) => contents.preflights.push(told),
            // It will be looked for again.
            Err(error) => contents.damaged.push(format!("what was told before a window: {error}")),
        })?;
        each(
            &snapshot,
            "SELECT * FROM sync_report ORDER BY \"window\", opens, organization, kind, sync",
            |row| match rows::report(row) {
                Ok(report) => contents.reports.push(report),
                // The window's report is about one sync less.
                Err(error) => contents.damaged.push(format!("what came of a window: {error}")),
            },
        )?;
        each(&snapshot, "SELECT * FROM notice_told", |row| match (row.get("target"), row.get("entry")) {
            (Ok(target), Ok(entry)) => drop(contents.told.insert(Name::from(String::as_str(&target)), entry)),
            (target, entry) => {
                let error = target.err().or(entry.err()).map(|it| it.to_string()).unwrap_or_default();
                contents.damaged.push(format!("what a target of notices was told: {error}"));
            }
        })?;
        contents.last_order = snapshot
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'operator_order'", [], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        // What cannot be read is as good as a process that crashed.
        contents.ended = snapshot
            .query_row("SELECT * FROM process_ended", [], |row| Ok(rows::ended(row)))
            .optional()?
            .and_then(std::result::Result::ok);
        Ok(contents)
    }

    /// Writes all of `changes` in one transaction, or nothing. When it
    /// returns they are on disk.
    pub fn apply(&mut self, changes: &[Change]) -> Result<()> {
        if let Some(file) = &self.file {
            file.is_still_there()?;
        }
        self.open_again_if_writable()?;
        self.bring_up()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let writes = || changes.iter().flat_map(Change::writes);
        let mut versions = Versions::new();
        for change in changes {
            carry_out(&transaction, change, &mut versions)?;
        }
        if writes().any(|it| matches!(it, Write::PutHold(_) | Write::DropHold(_))) {
            remove_unused_organizations(&transaction)?;
        }
        transaction.commit()?;
        self.wrote(writes().count())
    }

    /// An older version's file that could not be brought up when it was opened is
    /// brought up before the first write.
    fn bring_up(&mut self) -> Result<()> {
        if self.is_older {
            schema::migrate(&mut self.connection, MIGRATIONS)?;
            self.is_older = false;
        }
        Ok(())
    }

    /// A file that was read-only when it was opened stays so for its connection,
    /// whatever becomes of it. Nobody else may have written it: we hold the lock.
    fn open_again_if_writable(&mut self) -> Result<()> {
        let Some(path) = self.path().filter(|_| self.connection.is_readonly("main").unwrap_or(false)) else {
            return Ok(());
        };
        if fs::OpenOptions::new().write(true).open(path).is_err() {
            return Ok(());
        }
        let path = path.to_owned();
        // Two connections of one process share the index, which is read-only
        // as long as one of them has it open.
        self.connection = Connection::open_in_memory()?;
        // With neither of the two there is nothing to go on with.
        let again = Self::open(&path).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "Could not open the ledger again");
            LedgerError::Stopped
        })?;
        self.connection = again.connection;
        self.is_alone = again.is_alone;
        self.is_older = again.is_older;
        Ok(())
    }

    /// Counts what went into the log, and empties it now and then. A failure
    /// to do so undoes nothing, but it is told: if it is of fsync, it is fatal.
    fn wrote(&mut self, writes: usize) -> Result<()> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes_since_checkpoint += writes;
        if self.writes_since_checkpoint < WRITES_PER_CHECKPOINT {
            return Ok(());
        }
        match self.checkpoint() {
            Err(error) if error.is_fatal() => Err(error),
            // The change is safe in the log, which grows until there is room.
            _ => Ok(()),
        }
    }

    /// The entries of the journal that `query` asks for, newest last.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<Entry>> {
        Ok(query.run(&self.connection)?)
    }

    /// Removes the oldest entries from before `before`, no more than `limit`
    /// of them, and says how many it removed. When that is `limit`, ask again.
    pub fn prune(&mut self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let removed = self.connection.execute(
            "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE at < ?1 ORDER BY at LIMIT ?2)",
            params![before.timestamp_millis(), limit],
        )?;
        self.wrote(removed)?;
        Ok(removed)
    }

    /// What SQLite finds wrong with the whole file, if anything. Reads all of it.
    pub fn check(&self) -> Result<Option<String>> {
        Ok(open::quick_check(&self.connection)?)
    }

    /// Copies the ledger to the empty or new file `path`, as of one moment and
    /// in one file, while others may write it.
    pub(super) fn copy_to(&self, path: &Path) -> Result<()> {
        self.connection.execute("VACUUM INTO ?1", [rows::path_text(path)?])?;
        Ok(())
    }

    /// Copies the log into the file, so that the file alone is the ledger. It
    /// waits for nobody: what a reader still needs is copied the next time.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.writes_since_checkpoint = 0;
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Closes it in order: with an empty log, so that a backup may be put in the
    /// file's place. The files beside it stay, for a start on a full disk.
    ///
    /// Without it nothing is lost; the next process reads the log.
    pub fn close(self) -> Result<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// Refuses to grow the file beyond `pages` pages of 4 KiB, as a full disk
    /// would.
    pub fn limit_pages(&self, pages: u32) -> Result<()> {
        Ok(self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
    }

    /// How many transactions were committed since it was opened.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn commit_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.commits)
    }

    /// The file's name, whether this store writes it or only reads it.
    pub(super) fn name(&self) -> Option<&Path> {
        self.connection.path().filter(|it| !it.is_empty()).map(Path::new)
    }

    /// Where others can read what this store writes, if they can.
    pub(super) fn path_for_readers(&self) -> Option<&Path> {
        self.path().filter(|_| !self.is_alone)
    }

    /// Where it is, if it is a file that this store writes.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|it| it.path.as_path())
    }
}

/// Hands every row to `read`.
fn each(connection: &Connection, sql: &str, mut read: impl FnMut(&Row<'_>)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read(row);
    }
    Ok(())
}

/// Which file we opened. SQLite itself would not notice that it was deleted.
#[derive(Debug)]
struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl FileIdentity {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    fn is_still_there(&self) -> Result<()> {
        match Self::of(&self.path) {
            Ok(now) if (now.device, now.inode) == (self.device, self.inode) => Ok(()),
            _ => Err(LedgerError::Moved(self.path.clone())),
        }
    }
}

/// What the row of a sync says to whoever reads the journal, if there is none.
const NO_ROW: &str = "none";

/// Writes one change. Its entries tell what the rows of their syncs said before
/// the change, and what they say after all of it.
fn carry_out(
    transaction: &Transaction<'_>,
    change: &Change,
    versions: &mut Versions,
) -> rusqlite::Result<()> {
    let told = change.events().filter_map(|(_, event)| event.sync.as_ref());
    let mut states = HashMap::new();
    for sync in told {
        let before = state(transaction, sync)?;
        let after = change.rows().filter(|(it, _)| *it == sync).last();
        let after =
            after.map_or_else(|| before.clone(), |(_, hold)| hold.map(|it| it.state.as_str().to_owned()));
        states.insert(sync, (before, after));
    }
    change.writes().try_for_each(|write| perform(transaction, write, &states, versions))
}

/// The rows of the organizations that were met in a transaction: most holds share one.
type Versions = HashMap<Arc<Organization>, i64>;

type States<'a> = HashMap<&'a SyncRef, (Option<String>, Option<String>)>;

fn state(transaction: &Transaction<'_>, sync: &SyncRef) -> rusqlite::Result<Option<String>> {
    transaction
        .prepare_cached("SELECT state FROM hold WHERE organization = ?1 AND kind = ?2 AND sync = ?3")?
        .query_row(params![sync.organization.as_str(), sync.kind.as_str(), sync.id.to_string()], |row| {
            row.get(0)
        })
        .optional()
}

fn perform(
    transaction: &Transaction<'_>,
    write: &Write,
    states: &States<'_>,
    versions: &mut Versions,
) -> rusqlite::Result<()> {
    match write {
        Write::PutHold(hold) => put_hold(transaction, hold, versions),
        Write::DropHold(sync) => drop_hold(transaction, sync),
        Write::PutWatch(watch) => put_watch(transaction, watch),
        Write::DropWatch(window) => transaction
            .prepare_cached("DELETE FROM window_watch WHERE \"window\" = ?1")?
            .execute([window.as_str()])
            .map(drop),
        Write::PutSelection(found) => put_selection(transaction, found),
        Write::DropSelection(window) => transaction
            .prepare_cached("DELETE FROM selection WHERE \"window\" = ?1")?
            .execute([window.as_str()])
            .map(drop),
        Write::PutPreflight(told) => put_preflight(transaction, told),
        Write::DropPreflight(window) => transaction
            .prepare_cached("DELETE FROM preflight WHERE \"window\" = ?1")?
            .execute([window.as_str()])
            .map(drop),
        Write::PutReport(report) => put_report(transaction, report),
        Write::DropReports(window, opens) => transaction
            .prepare_cached("DELETE FROM sync_report WHERE \"window\" = ?1 AND opens = ?2")?
            .execute(params![window.as_str(), opens.timestamp_millis()])
            .map(drop),
        Write::Told(target, entry) => transaction
            .prepare_cached("INSERT OR REPLACE INTO notice_told (target, entry) VALUES (?1, ?2)")?
            .execute(params![target.as_str(), entry])
            .map(drop),
        Write::Ended(it) => put_ended(transaction, it),
        Write::PutOrder(order) => put_order(transaction, order),
        Write::DropOrder(number) => transaction
            .prepare_cached("DELETE FROM operator_order WHERE number = ?1")?
            .execute([number])
            .map(drop),
        Write::Record(at, event) => record(transaction, *at, event, states),
    }
}

fn put_hold(transaction: &Transaction<'_>, hold: &Hold, versions: &mut Versions) -> rusqlite::Result<()> {
    let organization = if let Some(known) = versions.get(&hold.organization) {
        *known
    } else {
        let version = organization_version(transaction, &hold.organization)?;
        versions.insert(Arc::clone(&hold.organization), version);
        version
    };
    if hold.unsettled.any() {
        transaction.prepare_cached("DELETE FROM process_ended")?.execute([])?;
    }
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO hold (
                organization, kind, sync, name, organization_version, state, holders, left_alone,
                since, resume_by, unsettled_pause, unsettled_resume, attempts, last_error, gone_since,
                gone_times, overdue_told, quiet, still_running_told, last_completed, next_execution,
                resumed_at, after_resume, starts, served
            ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                ?20, ?21, ?22, ?23, ?24, ?25)",
        )?
        .execute(params![
            hold.sync.organization.as_str(),
            hold.sync.kind.as_str(),
            hold.sync.id.to_string(),
            hold.name,
            organization,
            hold.state.as_str(),
            rows::occurrences_to_json(&hold.holders)?,
            rows::occurrences_to_json(&hold.left_alone)?,
            hold.since.timestamp_millis(),
            hold.resume_by.timestamp_millis(),
            hold.unsettled.pause.is_some(),
            hold.unsettled.resume.is_some(),
            hold.attempts,
            hold.last_error,
            hold.gone.map(|it| it.since.timestamp_millis()),
            hold.gone.map(|it| it.times),
            hold.overdue_told,
            hold.runs.quiet,
            hold.runs.told,
            hold.runs.last_completed.map(|it| it.timestamp_millis()),
            hold.runs.next.map(|it| it.timestamp_millis()),
            hold.runs.resumed.map(|it| it.timestamp_millis()),
            rows::after_text(hold.runs.after),
            rows::starts(hold.runs.after),
            rows::occurrences_to_json(&hold.served)?,
        ])?;
    Ok(())
}

/// The row of exactly this organization, made if there is none.
fn organization_version(transaction: &Transaction<'_>, it: &Organization) -> rusqlite::Result<i64> {
    let key = rows::key_text(&it.key)?;
    let ca_file = it.ca_file.as_deref().map(rows::path_text).transpose()?;
    let id = it.organization_id.map(|id| id.to_string());
    let proxy = rows::proxy_text(&it.proxy);
    let all = params![it.name.as_str(), it.url, it.api_version, id, key, ca_file, proxy];

    let found = transaction
        .prepare_cached(
            "SELECT id FROM organization WHERE name = ?1 AND url = ?2 AND api_version = ?3
                AND ifnull(organization_id, '') = ifnull(?4, '') AND key_source = ?5
                AND ifnull(ca_file, '') = ifnull(?6, '') AND proxy = ?7",
        )?
        .query_row(all, |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    transaction
        .prepare_cached(
            "INSERT INTO organization (name, url, api_version, organization_id, key_source, ca_file, proxy)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(all)
}

fn remove_unused_organizations(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM organization WHERE NOT EXISTS
                (SELECT 1 FROM hold WHERE hold.organization_version = organization.id)",
        )?
        .execute([])
        .map(drop)
}

fn drop_hold(transaction: &Transaction<'_>, sync: &SyncRef) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM hold WHERE organization = ?1 AND kind = ?2 AND sync = ?3")?
        .execute(params![sync.organization.as_str(), sync.kind.as_str(), sync.id.to_string()])
        .map(drop)
}

fn put_watch(transaction: &Transaction<'_>, watch: &WindowWatch) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO window_watch (\"window\", fingerprint, seen_until, open)
                VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            watch.window.as_str(),
            watch.fingerprint,
            watch.seen_until.timestamp_millis(),
            watch.open.as_ref().map(rows::occurrence_to_json).transpose()?,
        ])
        .map(drop)
}

fn put_selection(transaction: &Transaction<'_>, found: &Resolution) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO selection (\"window\", fingerprint, found_at, syncs) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            found.window.as_str(),
            found.fingerprint,
            found.at.timestamp_millis(),
            rows::found_to_json(found)?,
        ])
        .map(drop)
}

/// The one that is there is as good as long as its clocks can be compared with ours.
fn put_ended(transaction: &Transaction<'_>, ended: &Ended) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO process_ended (one, boot, since_boot, at) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET boot = ?1, since_boot = ?2, at = ?3 WHERE boot <> ?1 OR at > ?3",
        )?
        .execute(params![
            ended.boot.to_string(),
            i64::try_from(ended.since_boot.as_millis()).unwrap_or(i64::MAX),
            ended.wall.timestamp_millis()
        ])
        .map(drop)
}

fn put_preflight(transaction: &Transaction<'_>, told: &Preflight) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO preflight (\"window\", opens, told_at, error, detail)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            told.window.as_str(),
            told.opens.timestamp_millis(),
            told.at.timestamp_millis(),
            told.error,
            told.detail,
        ])
        .map(drop)
}

fn put_report(transaction: &Transaction<'_>, it: &SyncReport) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO sync_report (
                \"window\", opens, organization, kind, sync, name, missed, completed, next, ending
            ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            it.window.as_str(),
            it.opens.timestamp_millis(),
            it.sync.organization.as_str(),
            it.sync.kind.as_str(),
            it.sync.id.to_string(),
            it.name,
            it.missed.map(|at| at.timestamp_millis()),
            it.completed.map(|at| at.timestamp_millis()),
            it.next.map(|at| at.timestamp_millis()),
            it.ending.as_str(),
        ])
        .map(drop)
}

fn put_order(transaction: &Transaction<'_>, order: &Order) -> rusqlite::Result<()> {
    let (window, opens) = match &order.what {
        What::Extend { window, opens } => (Some(window.as_str()), Some(opens.timestamp_millis())),
        What::Pause { .. } | What::Exempt { .. } => (None, None),
    };
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO operator_order (
                number, what, begins, ends, reason, done_by, \"window\", opens, syncs
            ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            order.number,
            order.what.as_str(),
            order.from.timestamp_millis(),
            order.until.timestamp_millis(),
            order.reason,
            order.by,
            window,
            opens,
            rows::syncs_to_json(order)?,
        ])
        .map(drop)
}

fn record(
    transaction: &Transaction<'_>,
    at: DateTime<Utc>,
    event: &Event,
    states: &States<'_>,
) -> rusqlite::Result<()> {
    let states = event.sync.as_ref().and_then(|sync| states.get(sync));
    let word = |state: &Option<String>| state.clone().unwrap_or_else(|| NO_ROW.to_owned());
    transaction
        .prepare_cached(
            "INSERT INTO journal (
                at, event, organization, kind, sync, name, \"window\", occurrence, done_by, attempt, error,
                detail, description, state_before, state_after
            ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            at.timestamp_millis(),
            event.kind.as_str(),
            event.sync.as_ref().map(|it| it.organization.as_str()),
            event.sync.as_ref().map(|it| it.kind.as_str()),
            event.sync.as_ref().map(|it| it.id.to_string()),
            event.name,
            event.window.as_ref().map(Name::as_str),
            event.occurrence.map(|it| it.timestamp_millis()),
            event.by,
            event.attempt,
            event.error,
            event.detail,
            event.description,
            states.map(|(before, _)| word(before)),
            states.map(|(_, after)| word(after)),
        ])
        .map(drop)
}
