//! The thread that owns the store: what waits is written together.

use std::mem;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot, watch};

use super::change::Change;
use super::journal::{Entry, HistoryQuery};
use super::{LedgerError, Store};

type Result<T> = std::result::Result<T, LedgerError>;

/// How much may wait: what an operator's word about every sync of a large
/// installation makes at once, with room to spare.
pub(super) const QUEUE: usize = 1 << 16;

/// How much is written together at most.
const GROUP: usize = 1024;

/// What the thread is asked to do. Who no longer waits for the answer gets the
/// work done all the same.
pub(super) enum Request {
    Commit(Change, oneshot::Sender<Result<()>>),
    History(Box<HistoryQuery>, oneshot::Sender<Result<Vec<Entry>>>),
    Prune(DateTime<Utc>, usize, oneshot::Sender<Result<usize>>),
    Flush(oneshot::Sender<Result<()>>),
}

/// Works until nobody can ask any more, or until the store fails for good.
///
/// While one group is being synced the next one gathers, so a lone write waits
/// for nothing and many share one fsync.
pub(super) fn run(mut store: Store, mut queue: mpsc::Receiver<Request>, _ended: watch::Sender<()>) {
    let mut waiting = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut waiting, GROUP) > 0 {
        if serve(&mut store, waiting.drain(..)).is_err() {
            // To close the store would be to touch the file again. Dropping
            // the queue is what answers everyone that it has stopped.
            mem::forget(store);
            return;
        }
    }
    if let Err(error) = store.close() {
        tracing::warn!(error = &error as &dyn std::error::Error, "Could not tidy up the ledger at the end");
    }
}

/// Answers all of `requests`, in order. An error is fatal, and was told to whom
/// it met.
fn serve(store: &mut Store, requests: impl Iterator<Item = Request>) -> Result<()> {
    let mut group = Vec::new();
    for request in requests {
        if let Request::Commit(change, answer) = request {
            group.push((change, answer));
            continue;
        }
        commit(store, mem::take(&mut group))?;
        match request {
            Request::Commit(..) => unreachable!("taken above"),
            Request::History(query, answer) => tell(answer, store.history(&query))?,
            Request::Prune(before, limit, answer) => tell(answer, store.prune(before, limit))?,
            Request::Flush(answer) => tell(answer, Ok(()))?,
        }
    }
    commit(store, group)
}

/// Writes the group with one fsync. If one of them may be the cause that this
/// cannot be, one by one, so that it does not keep the others out.
fn commit(store: &mut Store, group: Vec<(Change, oneshot::Sender<Result<()>>)>) -> Result<()> {
    if group.is_empty() {
        return Ok(());
    }
    let (changes, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    match store.apply(&changes) {
        Err(LedgerError::Rejected(_) | LedgerError::Full(_)) if changes.len() > 1 => changes
            .iter()
            .zip(answers)
            .try_for_each(|(change, answer)| tell(answer, store.apply(std::slice::from_ref(change)))),
        result => {
            // All of them, before the thread ends of it.
            for answer in answers {
                drop(answer.send(result.clone()));
            }
            result.or_else(|error| if error.is_fatal() { Err(error) } else { Ok(()) })
        }
    }
}

/// Answers, and passes on what is fatal.
fn tell<T>(answer: oneshot::Sender<Result<T>>, result: Result<T>) -> Result<()> {
    let fatal = match &result {
        Err(error) if error.is_fatal() => Err(error.clone()),
        _ => Ok(()),
    };
    // Who does not wait any more has lost interest, not the write.
    drop(answer.send(result));
    fatal
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::domain::event::{Event, EventKind};

    /// So many changes wait before the thread comes to them: how often it writes.
    fn commits(waiting: usize) -> u64 {
        let store = Store::in_memory().unwrap();
        let commits = store.commit_counter();
        let (queue, requests) = mpsc::channel(QUEUE);
        let change = || Change::new().record(DateTime::UNIX_EPOCH, Event::new(EventKind::Paused));
        let answers: Vec<_> = (0..waiting)
            .map(|_| {
                let (answer, answered) = oneshot::channel();
                assert!(queue.try_send(Request::Commit(change(), answer)).is_ok());
                answered
            })
            .collect();
        drop(queue);
        let (ending, _ended) = watch::channel(());
        run(store, requests, ending);
        assert!(answers.into_iter().all(|mut it| matches!(it.try_recv(), Ok(Ok(())))));
        commits.load(Ordering::Relaxed)
    }

    #[test]
    fn whatever_waits_is_written_at_once_and_a_thousand_at_a_time() {
        for (waiting, expected) in [(1, 1), (50, 1), (GROUP, 1), (GROUP + 1, 2), (10 * GROUP, 10)] {
            assert_eq!(commits(waiting), expected, "{waiting}");
        }
    }
}
