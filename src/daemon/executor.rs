//! Carries out what the reconciler decided: writes to the ledger, requests to
//! Polytomic. It has no choices left; what came of each action is sent back to
//! the loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::moment::Moment;
use crate::domain::organization::Organization;
use crate::domain::plan::{Errand, Evidence, Learnt, Proof, Told, is_final};
use crate::domain::preflight::Sight;
use crate::domain::selection::Seen;
use crate::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use crate::domain::verdict::{Failure, FailureKind, Verdict};
use crate::key;
use crate::ledger::{Change, Ledger, LedgerError, NotWritten, Urgency};
use crate::metrics::{Metrics, Operation};
use crate::polytomic::{Client, Limits, Looked};
use crate::reconcile::{Action, ErrandReply, FRESH, Outcome, Reply, ScoutReply, SweepReply};

/// What comes back to the loop.
#[derive(Debug)]
pub(super) enum Heard {
    /// A request came to its end.
    Reply(Box<Reply>),
    /// The syncs of an organization, or why they cannot be listed.
    Listed {
        /// Whose.
        organization: Arc<Organization>,
        /// Which.
        listed: Result<Vec<Seen>, Failure>,
    },
    /// An errand came to its end.
    Errand(Box<ErrandReply>),
    /// A sync of a coming occurrence was looked at.
    Scouted(Box<ScoutReply>),
    /// A list in place of looks came, or failed.
    Swept(Box<SweepReply>),
    /// A write did not reach the ledger.
    NotWritten(Box<NotWritten>),
    /// A task panicked, so that something will never be answered.
    Broken,
}

/// What becomes of a write. The loop hears of it too if it fails.
pub(super) type Written = JoinHandle<Result<(), LedgerError>>;

/// Tells the loop when a task panics: what it was about would stay under way
/// for ever.
struct Alarm(mpsc::Sender<Heard>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // If it is full, the loop does not listen any more as it is.
            let _ = self.0.try_send(Heard::Broken);
        }
    }
}

/// The hands of the daemon.
#[derive(Debug)]
pub(super) struct Executor {
    clock: Clock,
    ledger: Ledger,
    limits: BTreeMap<Arc<Organization>, Limits>,
    clients: BTreeMap<Arc<Organization>, Client>,
    heard: mpsc::Sender<Heard>,
    metrics: Metrics,
    // No switch leaves any more.
    is_silent: watch::Sender<bool>,
}

impl Executor {
    pub(super) fn new(clock: Clock, ledger: Ledger, heard: mpsc::Sender<Heard>, metrics: Metrics) -> Self {
        let is_silent = watch::Sender::new(false);
        Self { clock, ledger, limits: BTreeMap::new(), clients: BTreeMap::new(), heard, metrics, is_silent }
    }

    /// From now on no sync is switched, whatever was decided before: what waits for the disk
    /// or for a connection is dropped.
    pub(super) fn fall_silent(&self) {
        self.is_silent.send_replace(true);
    }

    /// Takes new limits; keys and certificates are read afresh. What the
    /// configuration names no more may still be held: its client stays, and
    /// with it a key that may be gone from the disk.
    pub(super) fn renew(&mut self, limits: BTreeMap<Arc<Organization>, Limits>) {
        self.clients.retain(|organization, _| !limits.contains_key(organization));
        self.limits = limits;
    }

    /// Reads keys afresh. Where that fails, the key that is known stays in use.
    pub(super) fn renew_keys(&self) {
        for client in self.clients.values() {
            let client = client.clone();
            tokio::spawn(async move { client.read_key_again().await });
        }
    }

    /// Sets an action going. Writes enter the ledger's queue here, in order. Of one
    /// that is only a write comes what became of it.
    pub(super) fn carry_out(&mut self, action: Action) -> Option<Written> {
        match action {
            Action::Write { change } | Action::WriteAgain { change } => return Some(self.write(change)),
            Action::List { organization, kinds } => self.list(organization, kinds),
            Action::Sweep { organization, kinds } => self.sweep(organization, kinds),
            Action::Look { sync, organization } => match self.client(&organization) {
                Ok(client) => self.look(client, sync, organization),
                Err(failure) => self.cannot(sync, organization, Evidence::LookFailed { failure }),
            },
            Action::Scout { sync, organization } => self.scout(sync, organization),
            Action::Errand { sync, organization, errand } => match self.client(&organization) {
                Ok(client) => self.errand(client, sync, organization, errand, None),
                Err(failure) => self.cannot_go(sync, organization, failure),
            },
            Action::Start { sync, organization, change } => match self.client(&organization) {
                Ok(client) => self.errand(client, sync, organization, Errand::Start, Some(change)),
                Err(failure) => self.cannot_go(sync, organization, failure),
            },
            Action::Pause { sync, organization, change, until } => match self.client(&organization) {
                Ok(client) => self.pause(client, sync, organization, change, until),
                Err(failure) => self.cannot(sync, organization, Evidence::NotWritten { failure }),
            },
            Action::Resume { sync, organization, change } => match self.client(&organization) {
                Ok(client) => self.resume(client, sync, organization, change),
                Err(failure) => {
                    let sent = self.clock.now();
                    let verdict = Verdict::Refused(failure);
                    self.cannot(sync, organization, Evidence::Answered { active: true, sent, verdict });
                }
            },
        }
        None
    }

    /// Opens connections ahead of time.
    pub(super) fn warm(&mut self, organization: &Arc<Organization>) {
        if let Ok(client) = self.client(organization) {
            tokio::spawn(async move { client.warm().await });
        }
    }

    /// Drops journal entries from before this time, a batch after the other.
    pub(super) fn prune(&self, before: DateTime<Utc>) {
        let ledger = self.ledger.clone();
        tokio::spawn(async move {
            match ledger.prune(before).await {
                Ok(0) => {}
                Ok(dropped) => debug!(entries = dropped, "Dropped old journal entries"),
                Err(error) => warn!(error = %error, "Could not drop old journal entries"),
            }
        });
    }

    fn list(&mut self, organization: Arc<Organization>, kinds: Vec<SyncKind>) {
        let client = self.client(&organization);
        let heard = self.heard.clone();
        self.spawn(async move {
            let listed = match client {
                Ok(client) => list(&client, &organization.name, kinds).await,
                Err(failure) => Err(failure),
            };
            let _ = heard.send(Heard::Listed { organization, listed }).await;
        });
    }

    fn sweep(&mut self, organization: Arc<Organization>, kinds: Vec<SyncKind>) {
        let client = self.client(&organization);
        let (clock, heard) = (self.clock, self.heard.clone());
        self.spawn(async move {
            let sent = clock.now();
            let result = match client {
                Ok(client) => states(&client, kinds).await,
                Err(failure) => Err(failure),
            };
            let _ = heard.send(Heard::Swept(Box::new(SweepReply { organization, sent, result }))).await;
        });
    }

    fn scout(&mut self, sync: SyncRef, organization: Arc<Organization>) {
        let client = self.client(&organization);
        let (clock, heard, metrics) = (self.clock, self.heard.clone(), self.metrics.clone());
        self.spawn(async move {
            let sent = clock.now();
            let seen = match client {
                Ok(client) => {
                    patiently(async { scouted(&client, &sync, client.look(&sync).await?, clock).await }).await
                }
                Err(failure) => Err(failure),
            };
            let kind = seen.as_ref().err().map_or("ok", |it| it.kind.as_str());
            metrics.request(Operation::Look, kind, clock.now().uptime.saturating_sub(sent.uptime));
            let (name, result) = match seen {
                Ok((name, sight)) => (name, Ok(sight)),
                Err(failure) => (None, Err(failure)),
            };
            let reply = ScoutReply { sync, organization, name, result };
            let _ = heard.send(Heard::Scouted(Box::new(reply))).await;
        });
    }

    fn write(&self, change: Change) -> Written {
        // What became of a sync is to be known whenever we crash. What is told of a window
        // can wait for the first row of its syncs.
        let urgency = if change.sync().is_some() { Urgency::AtOnce } else { Urgency::Along };
        let written = self.ledger.submit(change, urgency);
        let heard = self.heard.clone();
        self.spawn(async move {
            let Err(not_written) = written.await else { return Ok(()) };
            let error = not_written.error.clone();
            let _ = heard.send(Heard::NotWritten(Box::new(not_written))).await;
            Err(error)
        })
    }

    fn look(&self, client: Client, sync: SyncRef, organization: Arc<Organization>) {
        let (clock, heard, metrics) = (self.clock, self.heard.clone(), self.metrics.clone());
        self.spawn(async move {
            let sent = clock.now();
            let (evidence, name) = match client.look(&sync).await {
                Ok(looked) => {
                    (Evidence::Saw { state: looked.state, sent, by: looked.updated_by }, looked.name)
                }
                Err(failure) => (Evidence::LookFailed { failure }, None),
            };
            count(&metrics, Operation::Look, &evidence, clock.now().uptime.saturating_sub(sent.uptime));
            reply(&heard, sync, organization, evidence, name).await;
        });
    }

    /// An errand; if it comes with an intent, only once that is on disk.
    fn errand(
        &self,
        client: Client,
        sync: SyncRef,
        organization: Arc<Organization>,
        errand: Errand,
        intent: Option<Change>,
    ) {
        let written = intent.map(|change| self.ledger.submit(change, Urgency::AtOnce));
        let (clock, heard, metrics) = (self.clock, self.heard.clone(), self.metrics.clone());
        self.spawn(async move {
            if let Some(written) = written
                && let Err(not_written) = written.await
            {
                let failure = unwritten(&not_written);
                let _ = heard.send(Heard::NotWritten(Box::new(not_written))).await;
                let learnt = Learnt { sent: clock.now(), result: Err(failure) };
                let reply = ErrandReply { sync, organization, learnt };
                return drop(heard.send(Heard::Errand(Box::new(reply))).await);
            }
            let sent = clock.now();
            let work = async {
                match errand {
                    Errand::Status => client.status(&sync).await.map(|it| Told::Status(it.runs())),
                    Errand::Cancel => client.cancel(&sync).await.map(|()| Told::Cancelled),
                    Errand::Prove => prove(&client, &sync).await.map(Told::Proof),
                    Errand::Start => client.start(&sync).await.map(|()| Told::Started),
                }
            };
            let result = patiently(work).await;
            let operation = match errand {
                Errand::Status => Operation::Status,
                Errand::Cancel => Operation::Cancel,
                Errand::Prove => Operation::Prove,
                Errand::Start => Operation::Start,
            };
            let kind = result.as_ref().err().map_or("ok", |it| it.kind.as_str());
            metrics.request(operation, kind, clock.now().uptime.saturating_sub(sent.uptime));
            let reply = ErrandReply { sync, organization, learnt: Learnt { sent, result } };
            let _ = heard.send(Heard::Errand(Box::new(reply))).await;
        });
    }

    fn pause(
        &self,
        client: Client,
        sync: SyncRef,
        organization: Arc<Organization>,
        change: Change,
        until: DateTime<Utc>,
    ) {
        let written = self.ledger.submit(change, Urgency::AtOnce);
        let (clock, heard, metrics) = (self.clock, self.heard.clone(), self.metrics.clone());
        let submitted = clock.now();
        let mut is_silent = self.is_silent.subscribe();
        self.spawn(async move {
            if let Err(not_written) = written.await {
                let failure = unwritten(&not_written);
                if not_written.error.is_fatal() {
                    let _ = heard.send(Heard::NotWritten(Box::new(not_written))).await;
                }
                return reply(&heard, sync, organization, Evidence::NotWritten { failure }, None).await;
            }
            let sent = clock.now();
            let verdict = match held_back(submitted, sent, until) {
                Some(why) => Verdict::Refused(Failure::new(FailureKind::NotSent, why)),
                None => match unless_silent(&mut is_silent, client.set_active(&sync, false)).await {
                    Some(verdict) => verdict,
                    None => return,
                },
            };
            let evidence = Evidence::Answered { active: false, sent, verdict };
            count(&metrics, Operation::Pause, &evidence, clock.now().uptime.saturating_sub(sent.uptime));
            reply(&heard, sync, organization, evidence, None).await;
        });
    }

    fn resume(&self, client: Client, sync: SyncRef, organization: Arc<Organization>, change: Change) {
        let written = self.ledger.submit(change, Urgency::AtOnce);
        let (clock, heard, metrics) = (self.clock, self.heard.clone(), self.metrics.clone());
        let mut is_silent = self.is_silent.subscribe();
        self.spawn(async move {
            // Nothing holds back a resume: not a full disk, not a slow one.
            let told = heard.clone();
            let written = tokio::spawn(async move {
                if let Err(not_written) = written.await {
                    let _ = told.send(Heard::NotWritten(Box::new(not_written))).await;
                }
            });
            let _ = tokio::time::timeout(WRITE_PATIENCE, written).await;
            let sent = clock.now();
            let Some(verdict) = unless_silent(&mut is_silent, client.set_active(&sync, true)).await else {
                return;
            };
            let evidence = Evidence::Answered { active: true, sent, verdict };
            count(&metrics, Operation::Resume, &evidence, clock.now().uptime.saturating_sub(sent.uptime));
            reply(&heard, sync, organization, evidence, None).await;
        });
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let alarm = Alarm(self.heard.clone());
        tokio::spawn(async move {
            let _alarm = alarm;
            work.await
        })
    }

    /// There is no way to reach the organization with an errand.
    fn cannot_go(&self, sync: SyncRef, organization: Arc<Organization>, failure: Failure) {
        let learnt = Learnt { sent: self.clock.now(), result: Err(failure) };
        let (heard, reply) = (self.heard.clone(), ErrandReply { sync, organization, learnt });
        self.spawn(async move { drop(heard.send(Heard::Errand(Box::new(reply))).await) });
    }

    /// There is no way to reach the organization.
    fn cannot(&self, sync: SyncRef, organization: Arc<Organization>, evidence: Evidence) {
        let heard = self.heard.clone();
        self.spawn(async move { reply(&heard, sync, organization, evidence, None).await });
    }

    fn client(&mut self, organization: &Arc<Organization>) -> Result<Client, Failure> {
        if let Some(client) = self.clients.get(organization) {
            return Ok(client.clone());
        }
        let limits = self.limits.get(organization).cloned().unwrap_or_default();
        let source = organization.key.clone();
        let reader = Arc::new(move || {
            key::read(&source, &key::process_environment).map_err(|error| error.to_string())
        });
        let client = Client::new(organization, limits, reader)
            .map_err(|error| Failure::new(FailureKind::NotSent, error.to_string()))?;
        self.clients.insert(Arc::clone(organization), client.clone());
        Ok(client)
    }
}

/// What comes of it; `None` if nobody hears it any more, and nothing more of it is sent.
async fn unless_silent<T>(is_silent: &mut watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = is_silent.wait_for(|it| *it) => None,
        done = work => Some(done),
    }
}

/// Why a pause is not sent after all, once its intent is on disk: its time is over, or the
/// look that it rests on is too old by now, and somebody may have switched the sync off.
fn held_back(submitted: Moment, now: Moment, until: DateTime<Utc>) -> Option<String> {
    let waited = now.uptime.saturating_sub(submitted.uptime);
    if until <= now.wall {
        Some("the window had closed before the request left".to_owned())
    } else if FRESH < waited {
        Some(format!("the ledger took {} s to write it down", waited.as_secs()))
    } else {
        None
    }
}

/// An intent could not be made durable.
fn unwritten(it: &NotWritten) -> Failure {
    Failure::new(FailureKind::Ledger, format!("{it}: {}", it.error))
}

/// A resume waits no longer than this for its row to be written.
const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// All syncs of these kinds: every page is read before anything is done.
async fn list(client: &Client, organization: &Name, kinds: Vec<SyncKind>) -> Result<Vec<Seen>, Failure> {
    let mut all = Vec::new();
    for kind in kinds {
        all.extend(client.list_of(kind, |it| it.seen(organization)).await?);
    }
    Ok(all)
}

/// Which syncs of these kinds are on, and which are off.
async fn states(client: &Client, kinds: Vec<SyncKind>) -> Result<HashMap<(SyncKind, Uuid), bool>, Failure> {
    let mut all = HashMap::new();
    for kind in kinds {
        let listed = client.list_of(kind, |it| Some(((kind, it.id), it.active?))).await?;
        all.extend(listed.into_iter().flatten());
    }
    Ok(all)
}

/// Whether it is on, and what it will do.
async fn prove(client: &Client, sync: &SyncRef) -> Result<Proof, Failure> {
    let looked = client.look(sync).await?;
    let status = match client.status(sync).await {
        Ok(status) => Some(status.runs()),
        // Then that it is on has to be enough.
        Err(failure) if is_final(failure.kind) || looked.state != SyncState::Active => None,
        Err(failure) => return Err(failure),
    };
    Ok(Proof { state: looked.state, frequency: looked.frequency, status })
}

/// What was seen of a sync, whether one of its executions runs, and the API's clock.
async fn scouted(
    client: &Client,
    sync: &SyncRef,
    looked: Looked,
    clock: Clock,
) -> Result<(Option<String>, Sight), Failure> {
    let clock_ahead = client.server_date().map(|date| clock.now().wall - date);
    let is_running = match looked.state {
        // That none can tell is no trouble.
        SyncState::Active => client.status(sync).await.ok().map(|it| it.runs().is_running),
        SyncState::Inactive | SyncState::Gone => None,
    };
    Ok((looked.name, Sight { state: looked.state, is_running, clock_ahead }))
}

async fn patiently<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(ERRAND_PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Failure::new(FailureKind::Timeout, format!("no answer within {ERRAND_PATIENCE:?}")))
    })
}

/// An errand takes a place that a resume may need: it is given up sooner.
const ERRAND_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

async fn reply(
    heard: &mpsc::Sender<Heard>,
    sync: SyncRef,
    organization: Arc<Organization>,
    evidence: Evidence,
    name: Option<String>,
) {
    let outcome = outcome(&evidence);
    let reply = Reply { sync, organization, evidence, name, outcome };
    let _ = heard.send(Heard::Reply(Box::new(reply))).await;
}

/// What an answer says of the organization's health.
fn outcome(evidence: &Evidence) -> Outcome {
    Outcome::of(failure(evidence))
}

fn failure(evidence: &Evidence) -> Option<&Failure> {
    match evidence {
        Evidence::Saw { .. } => None,
        Evidence::LookFailed { failure } | Evidence::NotWritten { failure } => Some(failure),
        Evidence::Answered { verdict, .. } => verdict.failure(),
    }
}

fn count(metrics: &Metrics, operation: Operation, evidence: &Evidence, took: std::time::Duration) {
    metrics.request(operation, failure(evidence).map_or("ok", |it| it.kind.as_str()), took);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_leaves_only_in_its_time_and_soon_after_its_look() {
        let moment = |seconds: u32| {
            let uptime = std::time::Duration::from_secs(seconds.into());
            Moment { wall: DateTime::UNIX_EPOCH + uptime, uptime }
        };
        let held_back = |seconds, until| held_back(moment(100), moment(seconds), moment(until).wall);
        assert_eq!(held_back(100, 101), None);
        assert_eq!(held_back(110, 111), None);
        assert_eq!(held_back(111, 200).unwrap(), "the ledger took 11 s to write it down");
        assert_eq!(held_back(100, 100).unwrap(), "the window had closed before the request left");
    }
}
