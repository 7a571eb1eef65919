//! The thread that owns the store: what waits is written together.

use std::mem;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use super::change::Change;
use super::journal::{Entry, HistoryQuery};
use super::{LedgerError, NotWritten, Store, Urgency};

type Result<T> = std::result::Result<T, LedgerError>;

/// How much may wait: what an operator's word about every sync of a large
/// installation makes at once, with room to spare.
pub(super) const QUEUE: usize = 1 << 16;

/// How much is written together at most.
const GROUP: usize = 1024;

/// What nobody waits for is written so much later at most, unless something comes
/// that it can go along with.
const PATIENCE: Duration = Duration::from_millis(20);

/// What the thread is asked to do. Who no longer waits for the answer gets the
/// work done all the same.
pub(super) enum Request {
    Commit(Change, Urgency, Answer),
    History(Box<HistoryQuery>, oneshot::Sender<Result<Vec<Entry>>>),
    Prune(DateTime<Utc>, usize, oneshot::Sender<Result<usize>>),
    Flush(oneshot::Sender<Result<()>>),
}

/// Who waits for a change to be written.
type Answer = oneshot::Sender<std::result::Result<(), NotWritten>>;

/// Tells somebody what came of a request.
pub(super) type Telling = Box<dyn FnOnce() + Send>;

/// Runs what the thread has to tell where those are who wait for it. To wake them from
/// the thread would be a system call and a fight for the allocator's lock for each.
pub(super) async fn pass_on(mut tellings: mpsc::UnboundedReceiver<Telling>) {
    while let Some(tell) = tellings.recv().await {
        tell();
    }
}

impl Request {
    fn can_wait(&self) -> bool {
        matches!(self, Self::Commit(_, Urgency::Along, _))
    }
}

/// Works until nobody can ask any more, or until the store fails for good.
///
/// While one group is being synced the next one gathers, so a lone write waits
/// for nothing and many share one fsync.
pub(super) fn run(
    store: Store,
    mut queue: mpsc::Receiver<Request>,
    tell: mpsc::UnboundedSender<Telling>,
    _ended: watch::Sender<()>,
) {
    // It only keeps the time.
    let runtime = match Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return tracing::error!(error = &error as &dyn std::error::Error, "The ledger cannot be written");
        }
    };
    let mut writer = Writer { store, tell };
    let mut waiting = Vec::new();
    while runtime.block_on(gather(&mut queue, &mut waiting)) {
        let mut requests = mem::take(&mut waiting).into_iter();
        if writer.serve(&mut requests).is_err() {
            let Writer { store, tell } = writer;
            // To close the store would be to touch the file again. Dropping what still
            // waits is what answers that it has stopped, after those who are told why.
            mem::forget(store);
            drop(tell.send(Box::new(|| drop((requests, queue)))));
            return;
        }
    }
    if let Err(error) = writer.store.close() {
        tracing::warn!(error = &error as &dyn std::error::Error, "Could not tidy up the ledger at the end");
    }
}

/// Waits for something to do; false once nobody can ask any more. A window that
/// opens is told of a moment before the first pause is to be on disk: that pause
/// would have to wait until the disk is done with the telling.
async fn gather(queue: &mut mpsc::Receiver<Request>, waiting: &mut Vec<Request>) -> bool {
    if queue.recv_many(waiting, GROUP).await == 0 {
        return false;
    }
    let more = async {
        let mut seen = 0;
        while waiting[seen..].iter().all(Request::can_wait) && waiting.len() < GROUP {
            seen = waiting.len();
            if queue.recv_many(waiting, GROUP - seen).await == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, more).await;
    true
}

struct Writer {
    store: Store,
    tell: mpsc::UnboundedSender<Telling>,
}

impl Writer {
    /// Answers all of `requests`, in order. An error is fatal, and was told to whom
    /// it met.
    fn serve(&mut self, requests: &mut impl Iterator<Item = Request>) -> Result<()> {
        let mut group = Vec::new();
        for request in requests {
            if !matches!(request, Request::Commit(..))
                && let Err(fatal) = self.commit(mem::take(&mut group))
            {
                self.tell(move || drop(request));
                return Err(fatal);
            }
            match request {
                Request::Commit(change, _, answer) => group.push((change, answer)),
                Request::History(query, answer) => {
                    let result = self.store.history(&query);
                    self.answer(answer, result)?;
                }
                Request::Prune(before, limit, answer) => {
                    let result = self.store.prune(before, limit);
                    self.answer(answer, result)?;
                }
                Request::Flush(answer) => self.answer(answer, Ok(()))?,
            }
        }
        self.commit(group)
    }

    /// Writes the group with one fsync. If one of them may be the cause that this
    /// cannot be, one by one, so that it does not keep the others out.
    fn commit(&mut self, group: Vec<(Change, Answer)>) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let (changes, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match self.store.apply(&changes) {
            Err(LedgerError::Rejected(_) | LedgerError::Full(_)) if changes.len() > 1 => {
                changes.into_iter().zip(answers).try_for_each(|alone| self.commit(vec![alone]))
            }
            result => {
                let fatal = is_fatal(&result);
                self.tell(move || {
                    for (change, answer) in changes.into_iter().zip(answers) {
                        let told = result.clone().map_err(|error| NotWritten { change, error });
                        drop(answer.send(told));
                    }
                });
                fatal
            }
        }
    }

    /// Answers, and passes on what is fatal.
    fn answer<T: Send + 'static>(&self, answer: oneshot::Sender<Result<T>>, result: Result<T>) -> Result<()> {
        let fatal = is_fatal(&result);
        // Who does not wait any more has lost interest, not the write.
        self.tell(move || drop(answer.send(result)));
        fatal
    }

    fn tell(&self, telling: impl FnOnce() + Send + 'static) {
        // Nobody listens: nobody waits either.
        drop(self.tell.send(Box::new(telling)));
    }
}

/// The error, if nothing can be written after it.
fn is_fatal<T>(result: &Result<T>) -> Result<()> {
    match result {
        Err(error) if error.is_fatal() => Err(error.clone()),
        _ => Ok(()),
    }
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
                assert!(queue.try_send(Request::Commit(change(), Urgency::AtOnce, answer)).is_ok());
                answered
            })
            .collect();
        drop(queue);
        let (ending, _ended) = watch::channel(());
        let (tell, mut told) = mpsc::unbounded_channel();
        run(store, requests, tell, ending);
        while let Ok(tell) = told.try_recv() {
            tell();
        }
        assert!(answers.into_iter().all(|mut it| matches!(it.try_recv(), Ok(Ok(())))));
        commits.load(Ordering::Relaxed)
    }

    #[test]
    fn whatever_waits_is_written_at_once_and_a_thousand_at_a_time() {
        for (waiting, expected) in [(1, 1), (50, 1), (GROUP, 1), (GROUP + 1, 2), (10 * GROUP, 10)] {
            assert_eq!(commits(waiting), expected, "{waiting}");
        }
    }

    #[test]
    fn who_hears_that_the_ledger_has_stopped_hears_it_after_those_who_hear_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        Store::open(&path).unwrap().close().unwrap();
        let store = Store::open(&path).unwrap();
        // Everything after the first page turns to noise under the open file.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096..].fill(0xa5);
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let (queue, requests) = mpsc::channel(QUEUE);
        let change = Change::new().record(DateTime::UNIX_EPOCH, Event::new(EventKind::Paused));
        let (commit, mut committed) = oneshot::channel();
        let (flush, mut flushed) = oneshot::channel();
        let (late, mut written_late) = oneshot::channel();
        for request in [
            Request::Commit(change, Urgency::AtOnce, commit),
            Request::Flush(flush),
            Request::Commit(Change::new(), Urgency::AtOnce, late),
        ] {
            assert!(queue.try_send(request).is_ok());
        }
        let (ending, _ended) = watch::channel(());
        let (tell, mut told) = mpsc::unbounded_channel();
        run(store, requests, tell, ending);

        let is_waiting = Err(oneshot::error::TryRecvError::Empty);
        assert!(matches!(flushed.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        assert_eq!(written_late.try_recv().map(drop), is_waiting);
        told.try_recv().expect("why")();
        let why = committed.try_recv().expect("an answer").expect_err("an error");
        assert!(why.error.is_fatal() && why.change.events().count() == 1, "{why:?}");
        assert!(matches!(flushed.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        while let Ok(tell) = told.try_recv() {
            tell();
        }
        let has_stopped = Err(oneshot::error::TryRecvError::Closed);
        assert!(matches!(flushed.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(written_late.try_recv().map(drop), has_stopped);
        assert!(queue.is_closed());
    }

    fn asked(urgency: Urgency) -> Request {
        Request::Commit(Change::new(), urgency, oneshot::channel().0)
    }

    /// What is written together when these come one after the other, and how long after
    /// the first. Between them passes so much time.
    async fn gathered(requests: Vec<Request>, apart: Duration) -> (usize, Duration) {
        let (queue, mut gathering) = mpsc::channel(QUEUE);
        let began = tokio::time::Instant::now();
        let ask = async {
            for request in requests {
                queue.send(request).await.unwrap();
                tokio::time::sleep(apart).await;
            }
        };
        let mut waiting = Vec::new();
        let gather = async {
            assert!(gather(&mut gathering, &mut waiting).await);
            began.elapsed()
        };
        let ((), took) = tokio::join!(ask, gather);
        (waiting.len(), took)
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_goes_along_with_what_somebody_does() {
        let ms = Duration::from_millis;
        let (now, along) = (Urgency::AtOnce, Urgency::Along);
        let flush = || Request::Flush(oneshot::channel().0);
        for (requests, together, after) in [
            (vec![asked(now), asked(along)], 1, ms(0)),
            (vec![asked(along), asked(now), asked(now)], 2, ms(5)),
            (vec![asked(along), asked(along), flush()], 3, ms(10)),
            // By itself it does not wait for ever, nor for more of its kind.
            (vec![asked(along)], 1, PATIENCE),
            ((0..9).map(|_| asked(along)).collect(), 4, PATIENCE),
        ] {
            let (gathered, took) = gathered(requests, ms(5)).await;
            assert!(took.abs_diff(after) <= ms(1), "{took:?}");
            assert_eq!(gathered, together, "after {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_for_more_once_nobody_can_ask_or_a_group_is_full() {
        let (queue, mut gathering) = mpsc::channel(QUEUE);
        (0..=GROUP).for_each(|_| queue.try_send(asked(Urgency::Along)).unwrap_or_else(|_| panic!()));
        drop(queue);
        let began = tokio::time::Instant::now();
        for expected in [GROUP, 1] {
            let mut waiting = Vec::new();
            assert!(gather(&mut gathering, &mut waiting).await);
            assert_eq!(waiting.len(), expected);
        }
        assert!(!gather(&mut gathering, &mut Vec::new()).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
