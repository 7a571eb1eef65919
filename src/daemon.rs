//! The long-running process: wake, reload, pass, sleep, shut down.
//!
//! One loop on one thread decides; requests and writes run beside it and come
//! back as messages. A wake carries no data: whatever it was, the next pass
//! asks what is so now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

use crate::clock::{self, Clock, WallTimer};
use crate::config::{self, Config, Unadvised};
use crate::domain::event::{Event, EventKind};
use crate::domain::moment::{Moment, Uptime};
use crate::ledger::{Change, Ledger, LedgerError, Lock, NotWritten};
use crate::metrics::Metrics;
use crate::polytomic::Limits;
use crate::reconcile::{Action, InForce, PreflightRule, Reconciler};
use crate::systemd;
use crate::web;
use crate::web::api::Ask;

mod answer;
mod executor;
mod notifying;
mod offline;
mod orders;
mod reload;
mod start;
mod switched;
mod telling;
mod wake;

pub use answer::query;
pub use start::{Start, StartError, ledger_path, named_socket, socket_path, tzdir};
pub use wake::Signals;

use executor::{Executor, Heard, Written};
use notifying::{Health, Notifying};
use switched::Switched;
use wake::Wake;

/// A daemon that stops waits so long for answers to requests under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Answered requests wait here for the next pass; there are never more of them
/// than requests under way.
const HEARD: usize = 4096;

/// Why the daemon ended other than as asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The ledger cannot be trusted any more; a new process reads it afresh.
    #[error("the ledger cannot be trusted any more")]
    Ledger {
        /// Why.
        source: LedgerError,
        /// Whether all that was due was resumed before.
        is_resumed: bool,
    },
    /// A task panicked; a new process reads the ledger afresh.
    #[error("a task of the daemon broke off, which it told on stderr")]
    Broken,
    /// The system refused something that the loop cannot do without.
    #[error("could not {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// `run --once` came to its end with something undone.
    #[error("not everything that was due could be done within {within:?}")]
    Undone {
        /// The time it was given.
        within: Duration,
    },
    /// `run --once` did what was due, and the next start will not know of it.
    #[error(
        "all that was due is done, but could not be written to the ledger: the next start will look at it again"
    )]
    Unwritten,
}

/// A started daemon.
#[derive(Debug)]
pub struct Daemon {
    clock: Clock,
    start: Start,
    ledger_path: PathBuf,
    // None: release-only, because the configuration is wrong or missing.
    config: Option<Config>,
    // What may surprise about the file of the start is told after the first pass.
    unadvised: Option<Unadvised>,
    // Why the file as it is now is not in force.
    config_error: Option<String>,
    // None: there is none, so no configuration is in force either.
    tzdb: Option<String>,
    started_at: DateTime<Utc>,
    // Its start is in the journal, so its end will be.
    is_journaled: bool,
    ledger: Ledger,
    // Rows of it that could not be read at the start.
    damaged: Vec<String>,
    // Where the command line talks to us.
    socket: Option<start::ControlSocket>,
    // How the web asks, and where the page is served.
    asks_by: mpsc::Sender<Ask>,
    listening: Option<web::Listening>,
    metrics: Metrics,
    _lock: Lock,
    reconciler: Reconciler,
    executor: Executor,
    heard: mpsc::Receiver<Heard>,
    asks: mpsc::Receiver<Ask>,
    notifying: Notifying,
    // How whoever tells people asks how we are.
    health_asks: mpsc::Receiver<oneshot::Sender<Health>>,
    // Boundaries for which connections were opened ahead of time.
    warmed: Option<DateTime<Utc>>,
    last_prune: Option<Moment>,
    switched: Switched,
    // When it was last told that the ledger takes no writes.
    ledger_failed: Option<Uptime>,
    // The ledger is no more: why, and how long the process lives on to resume what is due.
    ledger_lost: Option<(LedgerError, Uptime)>,
    // What was last told of it.
    is_clock_wrong: bool,
    last_status: String,
    status_told: Option<Uptime>,
    // When the file was last read, for a daemon without a configuration.
    last_read: Uptime,
}

impl Daemon {
    /// Keeps windows until it is told to stop.
    pub async fn run(mut self, mut signals: Signals) -> Result<(), RunError> {
        let system = |what| move |source| RunError::System { what, source };
        let timer = WallTimer::new().map_err(system("watch the clock"))?;
        systemd::ready(&self.headline());
        loop {
            let wake = self.pass();
            self.tell_status();
            systemd::watchdog();
            timer.set(wake.wall).map_err(system("set a timer"))?;
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Wake::Shutdown => break,
                    // What came of it is in the log, the journal and the status.
                    Wake::Reload => drop(self.reload()),
                },
                Some(ask) = self.asks.recv() => self.answer(ask),
                Some(heard) = self.heard.recv() => self.hear(heard)?,
                Some(ask) = self.health_asks.recv() => drop(ask.send(self.health())),
                // What was decided is sent first.
                () = tokio::task::yield_now(), if self.reconciler.is_more_due() => {}
                () = timer.wait() => {}
                () = tokio::time::sleep(wake.sleep) => {}
            }
            self.end_if_over()?;
        }
        self.shut_down().await
    }

    /// Passes until nothing is due, for a timer or a job that runs again and
    /// again. Rows that only wait to settle count as done. A file that is wrong is told
    /// last: without it, what is held was resumed when due, and nothing was paused.
    pub async fn run_once(mut self, within: Duration) -> Result<(), RunError> {
        let deadline = self.clock.uptime() + within;
        loop {
            let wake = self.pass();
            let is_done = self.reconciler.is_at_rest(self.clock.now());
            let left = deadline.saturating_sub(self.clock.uptime());
            if is_done || left.is_zero() {
                self.hear_of_all_writes().await?;
                self.notifying.say_last_words().await;
                let ended = self.ended(is_done, within);
                self.shut_down().await?;
                return ended;
            }
            tokio::select! {
                Some(heard) = self.heard.recv() => self.hear(heard)?,
                () = tokio::task::yield_now(), if self.reconciler.is_more_due() => {}
                () = tokio::time::sleep(wake.sleep.min(left)) => {}
            }
            self.end_if_over()?;
        }
    }

    /// How `run --once` ends.
    fn ended(&self, is_done: bool, within: Duration) -> Result<(), RunError> {
        match &self.config_error {
            _ if !is_done => Err(RunError::Undone { within }),
            _ if !self.reconciler.is_written() => Err(RunError::Unwritten),
            Some(rendered) if self.config.is_none() => {
                Err(StartError::Config { rendered: rendered.clone() }.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// One pass: decide, and set going what was decided.
    fn pass(&mut self) -> Sleep {
        // Answers that came meanwhile belong to this pass.
        let now = self.clock.now();
        self.watch_clock(now);
        self.read_again(now);
        let boundary = self.reconciler.next_wake(now).wall.filter(|at| *at <= now.wall);
        let actions = self.reconciler.pass(now);
        self.metrics.pass(now.wall, boundary.map(|at| (now.wall - at).to_std().unwrap_or_default()));
        self.carry_out(actions);
        self.switched.tell(now.uptime);
        self.prune(now);
        self.warm(now);
        self.advise();
        self.sleep_until_next(now)
    }

    /// Sets actions going, and gives what becomes of those that are only writes.
    fn carry_out(&mut self, actions: Vec<Action>) -> Vec<Written> {
        let mut writes = Vec::new();
        for mut action in actions {
            if let Action::Write { change } = &mut action {
                change.describe(|window| {
                    self.reconciler.calendar()?.window(window.as_str())?.description.clone()
                });
                for (_, event) in change.events() {
                    telling::log(event);
                    self.switched.note(event, self.clock.uptime());
                    self.metrics.event(event);
                    self.notifying.wrote();
                }
            }
            writes.extend(self.executor.carry_out(action));
        }
        writes
    }

    fn hear(&mut self, heard: Heard) -> Result<(), RunError> {
        let mut next = Some(heard);
        while let Some(heard) = next {
            let now = self.clock.now();
            match heard {
                Heard::Reply(reply) => self.reconciler.hear(*reply, now),
                Heard::Listed { organization, listed } => {
                    let actions = self.reconciler.hear_list(&organization, &listed, now);
                    self.carry_out(actions);
                }
                Heard::Swept(reply) => self.reconciler.hear_sweep(*reply, now),
                Heard::Errand(reply) => self.reconciler.hear_errand(*reply, now),
                Heard::Scouted(reply) => self.reconciler.hear_scout(*reply, now),
                Heard::Broken => return Err(RunError::Broken),
                Heard::NotWritten(it) if it.error.is_fatal() => self.lose_ledger(it.error, now),
                Heard::NotWritten(it) => self.write_failed(*it, now),
            }
            next = self.heard.try_recv().ok();
        }
        Ok(())
    }

    /// The ledger takes a write later, or never.
    fn write_failed(&mut self, NotWritten { change, error }: NotWritten, now: Moment) {
        self.metrics.write_failed();
        let is_news = self.ledger_failed.is_none_or(|at| at + TOLD_AGAIN <= now.uptime);
        if is_news {
            self.ledger_failed = Some(now.uptime);
            error!(
                error = %error,
                "Could not write the ledger: nothing new is paused, what is held is resumed when due, \
                 and what was not written is kept and tried again"
            );
        }
        self.reconciler.write_failed(change, now);
    }

    /// From here on nothing is written, so nothing is paused.
    fn lose_ledger(&mut self, error: LedgerError, now: Moment) {
        match &mut self.ledger_lost {
            None => {
                self.metrics.write_failed();
                if self.reconciler.owes_due_resumes(now) {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "The ledger is lost: what is due is resumed before this process ends"
                    );
                }
                self.ledger_lost = Some((error, now.uptime + LAST_RESUMES));
            }
            // That it has stopped follows from something.
            Some((first, _)) if matches!(first, LedgerError::Stopped) => *first = error,
            Some(_) => {}
        }
    }

    /// Without a ledger the process ends, and the next one reads it afresh. That one may
    /// come no further than this one: what is due is resumed first.
    fn end_if_over(&self) -> Result<(), RunError> {
        let Some((error, until)) = &self.ledger_lost else { return Ok(()) };
        let now = self.clock.now();
        let is_resumed = !self.reconciler.owes_due_resumes(now);
        if is_resumed || *until <= now.uptime {
            return Err(RunError::Ledger { source: error.clone(), is_resumed });
        }
        Ok(())
    }

    /// How long to sleep, at most, and until when by the wall clock.
    fn sleep_until_next(&self, now: Moment) -> Sleep {
        let wake = self.reconciler.next_wake(now);
        if self.reconciler.is_more_due() {
            return Sleep { sleep: Duration::ZERO, wall: wake.wall };
        }
        let until_timer = wake.uptime.map(|at| at.saturating_sub(now.uptime));
        let max_sleep = self.config.as_ref().map_or(Duration::from_mins(1), |it| it.reconcile.max_sleep);
        let held = self.reconciler.owes_resumes().then_some(max_sleep);
        let wall = [wake.wall, self.warm_at(wake.wall, now)].into_iter().flatten().min();
        let until_wall = wall.map(|at| (at - now.wall).to_std().unwrap_or_default());
        let idle = Duration::from_hours(1);
        let reading = self.config.is_none().then_some(READ_AGAIN);
        // What was just told may be out of date already.
        let telling = self.status_told.filter(|at| now.uptime < *at + STATUS_PACE).map(|_| STATUS_PACE);
        let switched = self.switched.due().map(|at| at.saturating_sub(now.uptime));
        let lost = self.ledger_lost.as_ref().map(|(_, until)| until.saturating_sub(now.uptime));
        let sleep = [
            lost,
            until_timer,
            switched,
            held,
            until_wall,
            systemd::watchdog_interval(),
            reading,
            telling,
            Some(idle),
        ];
        Sleep { sleep: sleep.into_iter().flatten().min().unwrap_or(idle), wall }
    }

    /// Tells once of a clock that cannot be right, and once that it can be.
    fn watch_clock(&mut self, now: Moment) {
        let wrong = telling::clock_error(now.wall);
        if wrong.is_some() == self.is_clock_wrong {
            return;
        }
        self.is_clock_wrong = wrong.is_some();
        if let Some(wrong) = wrong {
            error!("{wrong}");
        } else {
            info!("The clock is past this release's date again: windows are kept");
        }
    }

    /// Without a configuration in force, sees now and then whether somebody has
    /// mended the file.
    fn read_again(&mut self, now: Moment) {
        if self.config.is_none() && self.config_error.is_some() && self.last_read + READ_AGAIN <= now.uptime {
            self.last_read = now.uptime;
            drop(self.reload());
        }
    }

    /// Drops old journal entries, once an hour.
    fn prune(&mut self, now: Moment) {
        let due = self.last_prune.is_none_or(|last| last.uptime + Duration::from_hours(1) <= now.uptime);
        let Some(config) = self.config.as_ref().filter(|_| due) else { return };
        self.last_prune = Some(now);
        let history = chrono::TimeDelta::from_std(config.state.history).unwrap_or(chrono::TimeDelta::MAX);
        if let Some(before) = now.wall.checked_sub_signed(history) {
            self.executor.prune(before);
        }
    }

    /// When to open connections for the coming boundary.
    fn warm_at(&self, boundary: Option<DateTime<Utc>>, now: Moment) -> Option<DateTime<Utc>> {
        let at = boundary? - WARM_BEFORE;
        (now.wall < at && self.warmed != boundary).then_some(at)
    }

    /// Opens connections shortly before a boundary, so that the first requests
    /// of the night need no handshake.
    fn warm(&mut self, now: Moment) {
        let Some(boundary) = self.reconciler.next_wake(now).wall else { return };
        if boundary - WARM_BEFORE <= now.wall && now.wall < boundary && self.warmed != Some(boundary) {
            self.warmed = Some(boundary);
            for (organization, _) in self.reconciler.organizations() {
                self.executor.warm(organization);
            }
        }
    }

    /// What keeps the heartbeat back, if anything does.
    fn health(&self) -> Health {
        let now = self.clock.now();
        let late = self.reconciler.report(now).syncs.into_iter().filter(|it| it.overdue_seconds > 0);
        let trouble = if self.ledger_lost.is_some() {
            Some("the ledger is lost")
        } else if telling::clock_error(now.wall).is_some() {
            Some("the clock is wrong")
        } else if !self.reconciler.is_written() {
            Some("the ledger takes no writes")
        } else if self.config.is_none() {
            Some("no configuration is in force")
        } else {
            None
        };
        let overdue = late.map(|it| it.name.unwrap_or_else(|| it.id.to_string())).collect();
        Health { overdue, trouble }
    }

    fn headline(&self) -> String {
        let state = self.reconciler.headline(self.clock.now());
        let next = self
            .reconciler
            .next_change()
            .map(|at| format!("; next change {}", at.format("%a %Y-%m-%d %H:%M:%SZ")));
        let trouble = match (&self.config, &self.config_error) {
            (_, None) => "",
            (Some(_), Some(_)) => "; the configuration file is wrong, the one before it is in force",
            (None, Some(_)) => "; NO CONFIGURATION IN FORCE: what is held is resumed, nothing is paused",
        };
        let clock = if self.is_clock_wrong { "; THE CLOCK IS WRONG: nothing is paused" } else { "" };
        format!("{state}{}{trouble}{clock}", next.unwrap_or_default())
    }

    /// Keeps `systemctl status` true, but not with every answer of thousands.
    fn tell_status(&mut self) {
        let now = self.clock.uptime();
        if self.status_told.is_some_and(|at| now < at + STATUS_PACE) {
            return;
        }
        let headline = self.headline();
        if headline != self.last_status {
            systemd::status(&headline);
            self.last_status = headline;
            self.status_told = Some(now);
        }
    }

    async fn shut_down(mut self) -> Result<(), RunError> {
        systemd::stopping();
        self.reconciler.stop();
        let waiting = self.reconciler.in_flight();
        if waiting > 0 {
            info!(requests = waiting, "Stopping: waiting for answers to requests under way");
        }
        let deadline = tokio::time::sleep(LAST_ANSWERS);
        tokio::pin!(deadline);
        while self.reconciler.in_flight() > 0 {
            tokio::select! {
                Some(heard) = self.heard.recv() => self.hear(heard)?,
                () = &mut deadline => break,
            }
            let _ = self.pass();
        }
        let _ = self.pass();
        if self.is_journaled {
            self.journal(Event::new(EventKind::DaemonStopped));
        }
        self.executor.fall_silent();
        self.hear_of_all_writes().await?;
        self.remember_end().await;
        let is_resumed = !self.reconciler.owes_due_resumes(self.clock.now());
        let Self { ledger, executor, socket, listening, notifying, ledger_lost, .. } = self;
        // Whoever holds the ledger keeps it from being closed.
        drop(notifying);
        drop(listening);
        drop(executor);
        // Somebody may still be reading the journal through a handle of theirs.
        let _ = tokio::time::timeout(LAST_ANSWERS, ledger.closed()).await;
        drop(socket);
        debug!("Stopped");
        ledger_lost.map_or(Ok(()), |(source, _)| Err(RunError::Ledger { source, is_resumed }))
    }

    /// Tells the next process that nothing of ours is sent after this, unless the ledger does
    /// not know all that was.
    async fn remember_end(&mut self) {
        if self.ledger_lost.is_some() || !self.reconciler.is_written() {
            return;
        }
        let Some(ended) = clock::ended() else { return };
        match self.ledger.commit(Change::new().ended(ended)).await {
            Ok(()) => {}
            Err(error) if error.is_fatal() => self.lose_ledger(error, self.clock.now()),
            Err(error) => debug!(error = %error, "The next process doubts from its own start on"),
        }
    }

    /// Waits until all that was to be written is on disk, and hears of what is not.
    async fn hear_of_all_writes(&mut self) -> Result<(), RunError> {
        let ledger = self.ledger.clone();
        // Its turn comes after that of the tasks that wait for their own writes, so that
        // what those have met is there to be heard.
        let flushed = tokio::spawn(async move { ledger.flush().await }).await;
        if let Ok(Err(error)) = flushed {
            if self.ledger_lost.is_none() {
                error!(error = &error as &dyn std::error::Error, "Could not write the ledger");
            }
            self.lose_ledger(error, self.clock.now());
        }
        while let Ok(heard) = self.heard.try_recv() {
            self.hear(heard)?;
        }
        Ok(())
    }

    /// Where the status page is.
    pub fn page(&self) -> Option<std::net::SocketAddr> {
        self.listening.as_ref().map(web::Listening::address)
    }

    /// Serves the page where the configuration wants it, and nowhere else.
    fn listen(&mut self, wanted: Option<std::net::SocketAddr>) -> std::io::Result<()> {
        if self.listening.as_ref().map(web::Listening::wanted) == wanted {
            return Ok(());
        }
        let new = wanted.map(|at| web::listen(at, self.asks_by.clone(), self.metrics.clone())).transpose()?;
        if let Some(new) = &new {
            info!("Status page on http://{}/", new.address());
        }
        self.listening = new;
        Ok(())
    }

    /// What the configuration brings into force.
    fn bring_into_force(&mut self, config: Config) {
        let in_force = in_force(&config);
        self.executor.renew(in_force.organizations.values().cloned().collect());
        self.notifying.renew(&config.notify, config.heartbeat.as_ref());
        self.reconciler.bring_into_force(in_force);
        self.config_error = None;
        self.unadvised = None;
        self.config = Some(config);
    }

    fn zone_data(&self) -> &str {
        self.tzdb.as_deref().unwrap_or("none")
    }

    fn journal(&mut self, event: Event) {
        let change = Change::new().record(self.clock.now().wall, event);
        self.carry_out(vec![Action::Write { change }]);
    }
}

/// A process that has lost its ledger goes on so long to resume what is due.
const LAST_RESUMES: Duration = Duration::from_secs(30);

/// What `systemctl status` shows is told anew no more often than this.
const STATUS_PACE: Duration = Duration::from_secs(1);

/// How often a daemon without a configuration reads the file again.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// As long as the ledger takes no writes, this is told so often.
const TOLD_AGAIN: Duration = Duration::from_mins(5);

/// Connections are opened this long before a boundary.
const WARM_BEFORE: chrono::TimeDelta = chrono::TimeDelta::seconds(5);

/// How long to sleep: by uptime, and to which wall-clock time.
struct Sleep {
    sleep: Duration,
    wall: Option<DateTime<Utc>>,
}

/// The part of a configuration that the reconciler acts on.
pub fn in_force(config: &Config) -> InForce {
    InForce {
        calendar: Arc::new(config.calendar.clone()),
        organizations: config
            .organizations
            .iter()
            .map(|(name, it)| (name.clone(), (Arc::clone(&it.organization), limits(&it.limits))))
            .collect(),
        rules: config.rules(),
        preflight: config
            .reconcile
            .preflight
            .map(|before| PreflightRule { before, zone_trouble: config.zone_trouble.clone() }),
    }
}

/// How hard an organization may be asked, in the client's words.
pub fn limits(written: &config::Limits) -> Limits {
    Limits {
        request_timeout: written.request_timeout,
        connect_timeout: written.connect_timeout,
        max_concurrent_requests: usize::try_from(written.max_concurrent_requests).unwrap_or(usize::MAX),
        max_requests_per_second: written.max_requests_per_second.map(f64::from),
    }
}
