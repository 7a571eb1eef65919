//! REMEMBERS: the durable ledger of holds, and the journal.
//!
//! One SQLite file. [`Store`] is that file, blocking; [`Ledger`] is a handle to
//! a thread that owns it. A commit that has returned is on disk; one whose
//! waiter went away is written all the same, so a future may be dropped at any
//! point. What cannot be read is never taken for empty.

mod backup;
mod change;
mod error;
mod journal;
mod lock;
mod open;
mod rows;
mod schema;
mod store;
mod thread;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

pub use backup::BackupError;
pub use change::{AsItIs, Change};
pub use error::{LedgerError, OpenError};
pub use journal::{Entry, HistoryQuery, SyncFilter};
pub use lock::{Lock, LockError};
pub use store::{Contents, Store};
use thread::Request;

type Result<T> = std::result::Result<T, LedgerError>;

/// How soon a change is to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// As soon as it can be.
    AtOnce,
    /// With what is to be there at once, or some milliseconds later: nobody waits for it.
    Along,
}

/// A change that did not reach the ledger.
#[derive(Debug, thiserror::Error)]
#[error("the ledger could not be written")]
pub struct NotWritten {
    /// What it said, to be written again. Nothing if the ledger has stopped: then it
    /// cannot be.
    pub change: Change,
    /// Why.
    #[source]
    pub error: LedgerError,
}

impl NotWritten {
    /// The ledger has stopped.
    fn stopped() -> Self {
        Self { change: Change::new(), error: LedgerError::Stopped }
    }
}

/// Entries that one prune removes at a time, so that no write waits long.
const PRUNE_BATCH: usize = 500;

/// The ledger, for tasks. Clones are handles to the same one; when the last is
/// dropped, what was asked for is finished and the file is closed.
#[derive(Debug, Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Request>,
    // The thread holds the sender, and drops it when it ends.
    ended: watch::Receiver<()>,
    // Where a second reader finds what the thread writes; none in memory, and
    // none where nobody else can read.
    path: Option<Arc<Path>>,
    commits: Arc<AtomicU64>,
}

impl Ledger {
    /// Hands `store` to a thread named `ledger`, whose answers a task of the current
    /// runtime passes on. It is an error if the system gives no thread, or if there is
    /// no runtime.
    pub fn start(store: Store) -> io::Result<Self> {
        let commits = store.commit_counter();
        let path = store.path_for_readers().map(Arc::from);
        let (queue, requests) = mpsc::channel(thread::QUEUE);
        let (ending, ended) = watch::channel(());
        let (tell, tellings) = mpsc::unbounded_channel();
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || thread::run(store, requests, tell, ending))?;
        runtime.spawn(thread::pass_on(tellings));
        Ok(Self { queue, ended, path, commits })
    }

    /// Writes `change`, all or nothing. Once it has returned `Ok`, no crash
    /// and no power loss undoes it.
    ///
    /// If the future is dropped the change may be written all the same.
    pub async fn commit(&self, change: Change) -> Result<()> {
        let written = self.ask(|answer| Request::Commit(change, Urgency::AtOnce, answer)).await?;
        written.map_err(|it| it.error)
    }

    /// Takes `change` into the queue at once, behind all that was submitted
    /// before it, and gives a future that ends as that of [`Ledger::commit`], and gives
    /// the change back if it was not written.
    pub fn submit(
        &self,
        change: Change,
        urgency: Urgency,
    ) -> impl Future<Output = std::result::Result<(), NotWritten>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Commit(change, urgency, answer);
        let refused = self.queue.try_send(request).err().map(|refused| match refused {
            mpsc::error::TrySendError::Full(Request::Commit(change, ..)) => {
                NotWritten { change, error: LedgerError::Crowded }
            }
            mpsc::error::TrySendError::Full(_) | mpsc::error::TrySendError::Closed(_) => {
                NotWritten::stopped()
            }
        });
        async {
            match refused {
                Some(refused) => Err(refused),
                None => answered.await.unwrap_or_else(|_| Err(NotWritten::stopped())),
            }
        }
    }

    /// The entries of the journal that `query` asks for, newest last. A long
    /// question delays no write.
    pub async fn history(&self, query: HistoryQuery) -> Result<Vec<Entry>> {
        match self.path.clone() {
            Some(path) => beside(path, move |store| store.history(&query)).await,
            None => self.ask(|answer| Request::History(Box::new(query), answer)).await?,
        }
    }

    /// Removes the entries from before `before`, oldest first and little by
    /// little, and says how many there were. Dropped half-way, it has removed
    /// some.
    pub async fn prune(&self, before: DateTime<Utc>) -> Result<usize> {
        let mut all = 0;
        loop {
            let some = self.ask(|answer| Request::Prune(before, PRUNE_BATCH, answer)).await??;
            all += some;
            if some < PRUNE_BATCH {
                return Ok(all);
            }
        }
    }

    /// Waits until all that was asked for before is done.
    pub async fn flush(&self) -> Result<()> {
        self.ask(Request::Flush).await?
    }

    /// How many transactions were committed: with many tasks far fewer than
    /// changes.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Gives this handle up and waits until the ledger is closed, which it is
    /// once every other handle was dropped too.
    pub async fn closed(self) {
        let Self { queue, mut ended, .. } = self;
        drop(queue);
        while ended.changed().await.is_ok() {}
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(request(answer)).await.map_err(|_| LedgerError::Stopped)?;
        // Nobody answers: the store failed before the request's turn came.
        answered.await.map_err(|_| LedgerError::Stopped)
    }
}

/// Reads the file through a connection of its own, off the runtime's threads.
async fn beside<T: Send + 'static>(
    path: Arc<Path>,
    read: impl FnOnce(&Store) -> Result<T> + Send + 'static,
) -> Result<T> {
    let work = move || read(&Store::read_only(&path).map_err(|it| LedgerError::Unreadable(Arc::new(it)))?);
    tokio::task::spawn_blocking(work).await.map_err(|_| LedgerError::Stopped)?
}
