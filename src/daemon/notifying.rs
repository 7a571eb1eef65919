//! Tells people what the journal says, and that all is well.
//!
//! A task for each target reads what was written since it was last told
//! something, so a daemon that dies, or a webhook that is down for an hour, costs
//! nothing but time. None of it is ever waited for by a pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::domain::backoff::Backoff;
use crate::domain::event::EventKind;
use crate::domain::notice::{
    self, Batch, HEALERS, Heard, Heartbeat, Notice, Target, TargetReport, reminder_after,
};
use crate::domain::sync::Name;
use crate::ledger::{Change, HistoryQuery, Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::notify::{Messenger, SendError};

/// Entries that are looked at together.
const MOST_ENTRIES: usize = 2000;

/// What happens within this is looked at together.
const PAUSE: Duration = Duration::from_secs(1);

/// An entry was announced and is not there yet: it is looked for again.
const LOOKED_AGAIN: Duration = Duration::from_secs(10);

/// After the journal could not be read.
const LEDGER_PAUSE: Duration = Duration::from_mins(1);

/// The loop answers sooner than this, or does not run any more.
const ANSWERED: Duration = Duration::from_secs(10);

/// A refusal that is not about time is tried so often.
const MOST_REFUSALS: u32 = 10;

/// One that is about the notice itself holds up the next for seconds only.
const MOST_UNREADABLE: u32 = 3;

/// A target that fails is told of again after so many attempts.
const TOLD_EVERY: u32 = 50;

/// Who is about to leave tells what is left within this.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What is gathered for longer than this is told at once by who is about to leave.
const RIPE: TimeDelta = TimeDelta::minutes(2);

const RETRY: Backoff = Backoff { initial: Duration::from_secs(2), max: Duration::from_mins(5) };

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    /// The names of syncs that are held well past their end.
    pub(super) overdue: Vec<String>,
    /// What else keeps the heartbeat back.
    pub(super) trouble: Option<&'static str>,
}

/// Asks the loop how it is.
pub(super) type HealthAsks = mpsc::Sender<oneshot::Sender<Health>>;

/// How it goes with each target, in the order of the file.
type Reports = Arc<Mutex<Vec<TargetReport>>>;

/// All that tells people.
#[derive(Debug)]
pub(super) struct Notifying {
    clock: Clock,
    ledger: Ledger,
    metrics: Metrics,
    health: HealthAsks,
    // Up to which entry each target has been told.
    told: Arc<Mutex<BTreeMap<Name, i64>>>,
    reports: Reports,
    // Counts what was written.
    written: watch::Sender<u64>,
    // Whether nobody waits any more for what belongs together.
    leaving: watch::Sender<bool>,
    tellers: Vec<JoinHandle<()>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Notifying {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Notifying {
    pub(super) fn new(
        clock: Clock,
        ledger: Ledger,
        metrics: Metrics,
        health: HealthAsks,
        told: BTreeMap<Name, i64>,
    ) -> Self {
        let told = Arc::new(Mutex::new(told));
        let (reports, written, leaving) =
            (Reports::default(), watch::Sender::new(0), watch::Sender::new(false));
        let (tellers, tasks) = (vec![], vec![]);
        Self { clock, ledger, metrics, health, told, reports, written, leaving, tellers, tasks }
    }

    /// How it goes with each target.
    pub(super) fn reports(&self) -> Vec<TargetReport> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what is known of targets that stay; what waited is begun anew.
    fn renew_reports(&self, targets: &[Target]) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |target: &Target| {
            let known = reports.iter().find(|it| it.name == target.name).cloned();
            TargetReport { waiting: 0, ..known.unwrap_or_else(|| TargetReport::of(target)) }
        };
        let renewed = targets.iter().map(report).collect();
        *reports = renewed;
    }

    /// Something is being written into the journal.
    pub(super) fn wrote(&self) {
        self.written.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells what the journal has by now, and waits for that, but not for long. Nothing
    /// is told after it.
    pub(super) async fn say_last_words(&mut self) {
        self.leaving.send_replace(true);
        let told = async {
            for teller in &mut self.tellers {
                let _ = teller.await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, told).await.is_err() {
            warn!("Not every notice arrived within {LAST_WORDS:?}; the next process tells the rest");
        }
    }

    fn stop(&mut self) {
        for teller in self.tellers.drain(..) {
            teller.abort();
        }
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    /// Tells these from now on, and nobody else.
    pub(super) fn renew(&mut self, targets: &[Target], heartbeat: Option<&Heartbeat>) {
        self.stop();
        self.renew_reports(targets);
        if targets.is_empty() && heartbeat.is_none() {
            return;
        }
        let Some(messenger) = Messenger::new() else {
            error!("Nobody can be told anything: the system's certificate authorities cannot be read");
            return;
        };
        let teller = |target: &Target| Teller {
            target: target.clone(),
            messenger: messenger.clone(),
            clock: self.clock,
            ledger: self.ledger.clone(),
            metrics: self.metrics.clone(),
            told: Arc::clone(&self.told),
            reports: Arc::clone(&self.reports),
            written: self.written.subscribe(),
            leaving: self.leaving.subscribe(),
        };
        let mut tasks = Vec::new();
        let tellers = targets.iter().map(|target| tokio::spawn(teller(target).tell())).collect();
        // One each: who hangs keeps nobody else waiting.
        for target in targets.iter().filter(|it| it.events.contains(&EventKind::Overdue)) {
            tasks.push(tokio::spawn(remind(teller(target), self.health.clone())).abort_handle());
        }
        if let Some(heartbeat) = heartbeat {
            tasks.push(tokio::spawn(beat(heartbeat.clone(), messenger, self.health.clone())).abort_handle());
        }
        (self.tellers, self.tasks) = (tellers, tasks);
    }
}

/// Tells one target.
struct Teller {
    target: Target,
    messenger: Messenger,
    clock: Clock,
    ledger: Ledger,
    metrics: Metrics,
    told: Arc<Mutex<BTreeMap<Name, i64>>>,
    reports: Reports,
    written: watch::Receiver<u64>,
    leaving: watch::Receiver<bool>,
}

impl Teller {
    /// Until nobody writes any more, or all is told and we leave.
    async fn tell(mut self) {
        let mut heard = Heard::default();
        loop {
            let is_leaving = *self.leaving.borrow_and_update();
            match self.tell_what_is_new(&mut heard, is_leaving).await {
                Ok(Some(wait)) => self.rest_unless_written(wait).await,
                Ok(None) if is_leaving => return,
                Ok(None) => {
                    let is_over = tokio::select! {
                        written = self.written.changed() => written.is_err(),
                        left = self.leaving.changed() => left.is_err(),
                    };
                    if is_over {
                        return;
                    }
                    self.rest(PAUSE).await;
                }
                Err(LedgerError::Stopped) => return,
                Err(error) => {
                    debug!(target = %self.target.name, error = %error, "Could not read what is to be told");
                    self.rest(LEDGER_PAUSE).await;
                }
            }
        }
    }

    /// Waits for more to come, unless we are about to leave.
    async fn rest(&mut self, wait: Duration) {
        let is_leaving = *self.leaving.borrow();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = self.leaving.changed(), if !is_leaving => {}
        }
    }

    /// Waits for what is there to ripen. What is written meanwhile may not wait for it.
    async fn rest_unless_written(&mut self, wait: Duration) {
        let mut written = self.written.clone();
        tokio::select! {
            () = self.rest(wait) => {}
            Ok(()) = written.changed() => self.rest(wait.min(PAUSE)).await,
        }
    }

    /// Tells what is ripe. How long to wait for the rest; `None` if there is none.
    async fn tell_what_is_new(
        &mut self,
        heard: &mut Heard,
        is_leaving: bool,
    ) -> Result<Option<Duration>, LedgerError> {
        let is_new = self.written.has_changed().unwrap_or_default();
        self.written.mark_unchanged();
        let from = self.from().await?;
        let kinds = self.target.events.iter().chain(HEALERS);
        let query = HistoryQuery {
            after_id: Some(from),
            events: kinds.copied().collect(),
            limit: Some(MOST_ENTRIES),
            ..HistoryQuery::default()
        };
        let entries = self.ledger.history(query).await?;
        let entries: Vec<_> =
            entries.into_iter().map(|it| notice::Entry { id: it.id, at: it.at, event: it.event }).collect();
        let now = self.clock.now().wall;
        let ripe_by = if is_leaving { now + RIPE } else { now };
        match self.target.batch(&entries, heard, ripe_by) {
            None => Ok(is_new.then_some(LOOKED_AGAIN).filter(|_| !is_leaving)),
            Some(Batch::Wait(until)) => Ok(Some((until - now).to_std().unwrap_or_default().max(PAUSE))),
            Some(Batch::Tell { notices, up_to, too_old }) => {
                if too_old > 0 {
                    warn!(target = %self.target.name, events = too_old, "Too old to be told, see the history");
                }
                self.report(|it| it.waiting += notices.len());
                for it in &notices {
                    self.deliver(it).await;
                    self.report(|it| it.waiting = it.waiting.saturating_sub(1));
                }
                self.told
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(self.target.name.clone(), up_to);
                if !notices.is_empty() || too_old > 0 {
                    self.ledger.commit(Change::new().told(self.target.name.clone(), up_to)).await?;
                }
                Ok(Some(Duration::ZERO))
            }
        }
    }

    /// The last entry that it has been told. Who was never told anything hears
    /// what happens from now on.
    async fn from(&self) -> Result<i64, LedgerError> {
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&self.target.name).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let newest = HistoryQuery { limit: Some(1), newest_first: true, ..HistoryQuery::default() };
        let last = self.ledger.history(newest).await?.first().map_or(0, |it| it.id);
        self.ledger.commit(Change::new().told(self.target.name.clone(), last)).await?;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(self.target.name.clone(), last);
        Ok(last)
    }

    /// Sends it until it is taken, or no longer news.
    async fn deliver(&self, notice: &Notice) {
        let name = &self.target.name;
        let mut failures = 0;
        while let Err(error) = self.send(notice).await {
            failures += 1;
            if failures == 1 || failures % TOLD_EVERY == 0 {
                warn!(target = %name, attempt = failures, "Could not send a notice: {error}");
            }
            if is_hopeless(&error, failures) || self.is_old(notice.at) {
                error!(target = %name, "Gave up on a notice: {error}: {}", notice.title);
                self.metrics.notice(name, "dropped");
                return;
            }
            tokio::time::sleep(wait(&error, failures)).await;
        }
        debug!(target = %name, "Sent a notice: {}", notice.title);
    }

    /// Sends a reminder until it is taken, or nothing is overdue any more: each
    /// attempt says what is so by then.
    async fn remind(&self, health: &HealthAsks) {
        let name = &self.target.name;
        let mut failures = 0;
        loop {
            let overdue = ask(health).await.map(|it| it.overdue).unwrap_or_default();
            if overdue.is_empty() {
                return;
            }
            let reminder = Notice::reminder(&overdue, self.clock.now().wall);
            let Err(error) = self.send(&reminder).await else { return };
            failures += 1;
            if failures == 1 {
                warn!(target = %name, "Could not send a reminder: {error}");
            }
            if is_hopeless(&error, failures) {
                error!(target = %name, "Gave up on a reminder: {error}");
                self.metrics.notice(name, "dropped");
                return;
            }
            tokio::time::sleep(wait(&error, failures)).await;
        }
    }

    /// Sends it once, and keeps what came of it for whoever asks.
    async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        let sent = self.messenger.send(&self.target, notice).await;
        self.metrics.notice(&self.target.name, if sent.is_ok() { "sent" } else { "failed" });
        let now = self.clock.now().wall;
        match &sent {
            Ok(()) => self.report(|it| it.took(now)),
            Err(error) => self.report(|it| it.failed(error.to_string())),
        }
        sent
    }

    fn report(&self, change: impl FnOnce(&mut TargetReport)) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = reports.iter_mut().find(|it| it.name == self.target.name) {
            change(it);
        }
    }

    fn is_old(&self, at: DateTime<Utc>) -> bool {
        at + notice::OLDEST < self.clock.now().wall
    }
}

fn is_hopeless(error: &SendError, failures: u32) -> bool {
    match error {
        SendError::Unreadable(_) => failures >= MOST_UNREADABLE,
        SendError::Refused(_) => failures >= MOST_REFUSALS,
        SendError::Later { .. } | SendError::NoAddress(_) | SendError::NoAnswer(_) => false,
    }
}

fn wait(error: &SendError, failures: u32) -> Duration {
    match error {
        SendError::Later { retry_after: Some(wait), .. } => *wait,
        SendError::Later { .. }
        | SendError::NoAddress(_)
        | SendError::NoAnswer(_)
        | SendError::Unreadable(_)
        | SendError::Refused(_) => RETRY.cap(failures).mul_f64(f64::midpoint(1.0, fastrand::f64())),
    }
}

async fn ask(health: &HealthAsks) -> Option<Health> {
    let (reply, answer) = oneshot::channel();
    health.send(reply).await.ok()?;
    tokio::time::timeout(ANSWERED, answer).await.ok()?.ok()
}

/// Says again, at growing gaps, that something is overdue. What is not taken by
/// the time of the next reminder gives way to it.
async fn remind(mut teller: Teller, health: HealthAsks) {
    let mut told = 0;
    loop {
        let overdue = ask(&health).await.map(|it| it.overdue).unwrap_or_default();
        if overdue.is_empty() {
            told = 0;
            if teller.written.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(LOOKED_AGAIN).await;
            continue;
        }
        // The first word of it is the event's own.
        told += 1;
        let next = tokio::time::sleep(reminder_after(told));
        tokio::pin!(next);
        if told > 1 {
            tokio::select! {
                () = &mut next => continue,
                () = teller.remind(&health) => {}
            }
        }
        next.await;
    }
}

/// Calls the address as long as all is well; its silence calls somebody.
async fn beat(heartbeat: Heartbeat, messenger: Messenger, health: HealthAsks) {
    let mut last = None;
    loop {
        let trouble = match ask(&health).await {
            None => Some("the daemon does not answer itself".to_owned()),
            Some(Health { overdue, .. }) if !overdue.is_empty() => Some(format!("{} overdue", overdue.len())),
            Some(Health { trouble, .. }) => trouble.map(str::to_owned),
        };
        let outcome = match trouble {
            Some(trouble) => Err(format!("held back: {trouble}")),
            None => messenger.beat(&heartbeat).await.map_err(|error| error.to_string()),
        };
        // Told when it changes, and not with each beat.
        if last.as_ref() != Some(&outcome) {
            match &outcome {
                Ok(()) => info!("Heartbeat: all is well"),
                Err(error) => warn!("No heartbeat: {error}"),
            }
            last = Some(outcome);
        }
        tokio::time::sleep(heartbeat.interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many attempts it is given up, and how long that takes at most;
    /// none if it is tried on.
    fn check(error: &SendError) -> Option<(u32, Duration)> {
        let given_up = (1..1000).find(|failures| is_hopeless(error, *failures))?;
        Some((given_up, (1..given_up).map(|failures| RETRY.cap(failures)).sum()))
    }

    #[test]
    fn what_is_refused_for_good_holds_up_the_next_for_a_bounded_time() {
        let (attempts, took) = check(&SendError::Unreadable(400)).unwrap();
        assert!(attempts > 1 && took <= Duration::from_secs(10), "{attempts} {took:?}");
        let (attempts, took) = check(&SendError::Refused(403)).unwrap();
        assert!(attempts > 1 && took <= Duration::from_mins(30), "{attempts} {took:?}");
    }

    #[test]
    fn what_may_pass_is_tried_on_at_least_every_few_minutes() {
        let later = |retry_after| SendError::Later { status: 503, retry_after };
        for error in
            [later(None), SendError::NoAnswer("hangs".to_owned()), SendError::NoAddress(String::new())]
        {
            assert_eq!(check(&error), None);
            assert!((1..100).all(|failures| wait(&error, failures) <= RETRY.max), "{error}");
        }
        assert_eq!(wait(&later(Some(Duration::from_secs(7))), 3), Duration::from_secs(7));
    }
}
