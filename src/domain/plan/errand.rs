//! What is asked about executions, beside the table and never in its way.
//!
//! An errand is a request of the lowest rank with a place of its own in the case:
//! no resume ever waits for one. It may hold a *pause* back, where a window asks
//! to wait for what runs, and it brings what the row remembers of executions.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Decision, Turn, Want};
use crate::domain::calendar::Pause;
use crate::domain::event::{Event, EventKind};
use crate::domain::execution::{After, Asked, Frequency, OnRunning, RunStatus, Runs};
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Moment, Uptime, instant};
use crate::domain::sync::{SyncKind, SyncState};
use crate::domain::verdict::{Failure, FailureKind};
use crate::domain::window::Occurrence;

use super::{Case, Retry};

/// The first two times between two looks at the same execution double up to here.
const PACE: Duration = Duration::from_secs(15);

/// Where nobody waits for it, an execution is looked at no more often than this.
const EASY_PACE: Duration = Duration::from_mins(1);

/// A sync that is off so soon after its resume was confirmed was never on.
const SOON: Duration = Duration::from_secs(10);

/// The proof of a resume is given up after this long, and a start later: there may
/// be others to be resumed first.
const PROOF_LIMIT: Duration = Duration::from_mins(10);
const START_LIMIT: Duration = Duration::from_hours(1);

/// So many looks have to show no next run before that is told.
const UNSCHEDULED_LOOKS: u32 = 4;

/// A missed run is made up for by so many attempts.
const MOST_STARTS: u8 = 3;

/// A request about executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Errand {
    /// `GET …/status`
    Status,
    /// `POST …/cancel`: asks the execution to stop.
    Cancel,
    /// `GET …` and `GET …/status`: whether it is on and will run.
    Prove,
    /// `POST …/executions`: begins one.
    Start,
}

/// What an errand brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// When it was sent.
    pub sent: Moment,
    /// What was told, or why nothing was.
    pub result: Result<Told, Failure>,
}

/// What the API told about executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Which run.
    Status(RunStatus),
    /// The execution will be asked to stop.
    Cancelled,
    /// Whether it is on and will run.
    Proof(Proof),
    /// One was begun.
    Started,
}

/// What shows whether a resumed sync is on and will run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its state.
    pub state: SyncState,
    /// How it comes to run.
    pub frequency: Frequency,
    /// Its executions; none if the API does not tell.
    pub status: Option<RunStatus>,
}

/// What to do next about one sync's executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrandStep {
    /// Nothing, until something changes or `until` is reached.
    Rest {
        /// When to decide again even if nothing happens.
        until: Option<Uptime>,
    },
    /// Ask.
    Ask {
        /// What.
        errand: Errand,
        /// Whose pause has to wait for the answer, if one does.
        pause: Option<Occurrence>,
    },
    /// Remember the row, and tell.
    Keep {
        /// The row.
        hold: Box<Hold>,
        /// What happened.
        events: Vec<Event>,
        /// When to try again what failed.
        retry: Option<Retry>,
    },
    /// Make the row durable, then begin an execution.
    Start {
        /// The intent.
        hold: Box<Hold>,
    },
    /// Drop the row, and tell.
    Forget {
        /// What happened.
        events: Vec<Event>,
    },
}

impl ErrandStep {
    /// Whether nothing more is owed to a resumed sync.
    pub fn ends_proof(&self) -> bool {
        match self {
            Self::Forget { .. } => true,
            Self::Keep { hold, .. } => {
                let is_on = matches!(hold.state, HoldState::Settling | HoldState::Released);
                is_on && hold.runs.after == After::Nothing
            }
            Self::Rest { .. } | Self::Ask { .. } | Self::Start { .. } => false,
        }
    }
}

/// What one process knows about one sync's executions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Errands {
    /// The errand under way.
    pub call: Option<Errand>,
    /// Whether what it brings is about a pause that is over.
    pub is_void: bool,
    /// The newest status that no decision has used yet.
    pub seen: Option<RunStatus>,
    /// Nor this, with when it was sent. What few syncs have at a time is boxed: there is
    /// one of these for each sync.
    pub proof: Option<Box<(Moment, Proof)>>,
    /// Whose pause waits for an execution.
    pub waits: Option<Box<Occurrence>>,
    /// What was learnt last of executions before a pause.
    pub last: Option<Box<Last>>,
    /// When anything was heard.
    pub heard: Option<Uptime>,
    /// When it was heard that the sync is on again.
    pub confirmed: Option<Uptime>,
    /// Whether its state was asked for since then.
    pub is_looked_after: bool,
    /// Statuses and proofs read since something changed.
    pub looks: u32,
    /// Failures in a row.
    pub failures: u32,
    trouble: Option<String>,
    // What the last start met.
    start_trouble: Option<String>,
    /// Whether the execution was asked to stop, or cannot be.
    pub is_cancelled: bool,
}

/// What was learnt last of executions before a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// When it was asked for.
    pub sent: Moment,
    /// The answer; none if nothing was told.
    pub status: Option<RunStatus>,
    /// Whether asking again will not tell more.
    pub is_final: bool,
}

impl Errands {
    /// Whether an execution was seen to run at the last look.
    pub fn saw_running(&self) -> bool {
        self.last.as_deref().and_then(|it| it.status).is_some_and(|it| it.is_running)
    }

    /// What the last question about executions met, if it was not told.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What the proof of a resume showed, as long as it is undecided.
    pub fn proven(&self) -> Option<&Proof> {
        self.proof.as_deref().map(|(_, proof)| proof)
    }

    /// Whether nothing was heard since something changed.
    pub(super) fn is_untried(&self) -> bool {
        self.looks == 0 && self.failures == 0
    }

    /// Whether a pause waited for an execution, and was not sent.
    pub fn waited(&self) -> bool {
        self.waits.is_some()
    }

    /// Takes note of what an errand brought.
    pub fn hear(&mut self, learnt: Learnt, now: Moment) {
        let Some(call) = self.call.take() else { return };
        if std::mem::take(&mut self.is_void) {
            return;
        }
        self.heard = Some(now.uptime);
        match learnt.result {
            Ok(Told::Status(status)) => {
                (self.failures, self.trouble) = (0, None);
                self.looks = self.looks.saturating_add(1);
                self.seen = Some(status);
                self.last = Some(Box::new(Last { sent: learnt.sent, status: Some(status), is_final: true }));
            }
            Ok(Told::Proof(proof)) => {
                (self.failures, self.trouble) = (0, None);
                self.looks = self.looks.saturating_add(1);
                self.proof = Some(Box::new((learnt.sent, proof)));
            }
            Ok(Told::Started) => {
                (self.failures, self.looks) = (0, 0);
                self.start_trouble = None;
            }
            Ok(Told::Cancelled) => {
                (self.failures, self.trouble) = (0, None);
                self.looks = 0;
                self.is_cancelled = true;
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                let is_final = is_final(failure.kind);
                match call {
                    Errand::Status => {
                        self.last = Some(Box::new(Last { sent: learnt.sent, status: None, is_final }));
                    }
                    Errand::Cancel => self.is_cancelled |= is_final,
                    // Refused or not: the next look shows whether one runs.
                    Errand::Start => {
                        (self.failures, self.looks) = (0, 0);
                        self.start_trouble = Some(failure.message.clone());
                    }
                    Errand::Prove => {}
                }
                self.trouble = Some(failure.message);
            }
        }
    }

    /// A pause is about to be sent: what was asked before says nothing about it.
    pub(super) fn begin(&mut self) {
        *self = Self { call: self.call, is_void: self.call.is_some(), ..Self::default() };
    }

    /// Forgets all waiting after failures.
    pub fn retry_now(&mut self) {
        self.failures = 0;
        self.heard = None;
    }

    pub(super) fn take(&mut self, step: &ErrandStep) {
        (self.seen, self.proof) = (None, None);
        match step {
            ErrandStep::Ask { errand, pause } => {
                self.call = Some(*errand);
                self.waits = pause.clone().map(Box::new).or(self.waits.take());
            }
            ErrandStep::Start { .. } => self.call = Some(Errand::Start),
            ErrandStep::Forget { .. } => self.waits = None,
            // The row of a paused sync knows it from here on.
            ErrandStep::Keep { hold, .. } if hold.state == HoldState::Held => self.last = None,
            ErrandStep::Rest { .. } | ErrandStep::Keep { .. } => {}
        }
    }

    /// The newest status, if it was asked for since then.
    pub(super) fn status_since(&self, since: DateTime<Utc>) -> Option<RunStatus> {
        self.last.as_deref().filter(|it| since <= it.sent.wall)?.status
    }

    /// When to ask again.
    fn due(&self, pace: Duration) -> Option<Uptime> {
        let tries = self.looks.saturating_sub(1).saturating_add(self.failures).min(16);
        Some(self.heard? + pace.min(Duration::from_secs(1) * 2_u32.pow(tries)))
    }
}

/// Whether a run that it missed is to be made up for, as one of those that it served asks.
fn asks_to_catch_up(hold: &Hold) -> bool {
    hold.all_served().any(|it| it.runs.catch_up) && hold.runs.has_missed_one()
}

/// What runs after another sync is started by that one.
fn owes_a_start(hold: &Hold, frequency: Frequency) -> bool {
    asks_to_catch_up(hold) && frequency != Frequency::RunAfter
}

fn keep(hold: Hold, events: Vec<Event>) -> ErrandStep {
    ErrandStep::Keep { hold: Box::new(hold), events, retry: None }
}

/// Whether an answer of this kind will not change by being asked for again: the
/// API, or what stands before it, does not tell us.
pub fn is_final(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Forbidden
        | FailureKind::Gone
        | FailureKind::Rejected
        | FailureKind::Conflict
        | FailureKind::Redirected
        | FailureKind::Malformed => true,
        FailureKind::Unauthorized
        | FailureKind::Throttled
        | FailureKind::Server
        | FailureKind::Timeout
        | FailureKind::NotSent
        | FailureKind::Lost
        | FailureKind::Key
        | FailureKind::Ledger => false,
    }
}

/// What to do next about one sync's executions. Asked when nothing is under way
/// about its state.
pub fn next_errand(case: &Case, turn: &Turn) -> ErrandStep {
    let want = Want::of(turn.desired, case.hold.as_ref());
    Decision { case, turn, want: &want }.errand()
}

impl Decision<'_> {
    fn errand(&self) -> ErrandStep {
        use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
        if self.case.errands.call.is_some() {
            return ErrandStep::Rest { until: None };
        }
        match (self.case.hold.as_ref().map(|it| (it.state, it)), self.want) {
            (Some((Held, hold)), Want::Paused(pause)) => self.watch(hold, pause),
            (None | Some((Skipped | Released | Settling, _)), Want::Paused(pause)) => self.ask_before(pause),
            (Some((Settling | Released, hold)), Want::Running | Want::LeftAlone) => self.follow_up(hold),
            (None, Want::Running) if self.case.errands.waits.is_some() => self.waited_in_vain(),
            (Some((Pausing | Resuming, _)), _)
            | (None | Some((Held | Skipped, _)), Want::Running | Want::LeftAlone) => {
                ErrandStep::Rest { until: None }
            }
        }
    }

    fn asked(&self, pause: &Pause) -> Asked {
        Asked::of(&pause.holders, self.case.sync.kind)
    }

    /// Whether this pause may not begin yet. A bulk sync's execution is broken off
    /// by its pause, so where that is to be waited for, it is waited for before.
    pub(super) fn waits_for_executions(&self, pause: &Pause) -> bool {
        let asked = self.asked(pause);
        let waits = self.case.sync.kind == SyncKind::Bulk
            && asked.on_running == OnRunning::Wait
            && !asked.is_over(self.turn.now.wall);
        let is_new = |it: &&Last| super::moves::begun(pause, it.sent);
        match self.case.errands.last.as_deref().filter(is_new) {
            // To know later what was missed, one has to ask before. Once.
            None => waits || (asked.catch_up && !self.turn.statuses_hang),
            Some(Last { status: Some(status), .. }) => waits && status.is_running,
            // Nobody tells us: a window is kept nevertheless.
            Some(Last { status: None, is_final, .. }) => waits && !*is_final,
        }
    }

    /// When such a pause begins at the latest.
    pub(super) fn waits_for_executions_until(&self, pause: &Pause) -> Option<Uptime> {
        let left = self.asked(pause).until? - self.turn.now.wall;
        let until = self.turn.now.uptime + left.to_std().unwrap_or_default();
        // In whole seconds, so that it is the same timer however often it is set.
        Some(Duration::from_secs(until.as_secs() + u64::from(until.subsec_nanos() > 0)))
    }

    fn ask_before(&self, pause: &Pause) -> ErrandStep {
        if !self.may_pause() || !self.waits_for_executions(pause) {
            return ErrandStep::Rest { until: None };
        }
        self.ask(Errand::Status, PACE, pause.holders.first().cloned())
    }

    /// The window is over, and the sync was never paused.
    fn waited_in_vain(&self) -> ErrandStep {
        let errands = &self.case.errands;
        let (kind, error, detail) = match errands.trouble() {
            _ if errands.saw_running() => {
                let detail = "the window is over before it, so the sync was never paused";
                (EventKind::StillRunning, None, detail)
            }
            Some(trouble) => {
                let detail = "whether its execution runs could not be seen, and now the window is over";
                (EventKind::PauseFailed, Some(trouble.to_owned()), detail)
            }
            None => return ErrandStep::Forget { events: vec![] },
        };
        let event = self.event(kind, errands.waits.as_deref());
        ErrandStep::Forget { events: vec![Event { detail: Some(detail.to_owned()), error, ..event }] }
    }

    fn ask(&self, errand: Errand, pace: Duration, pause: Option<Occurrence>) -> ErrandStep {
        match self.case.errands.due(pace) {
            Some(due) if self.turn.now.uptime < due => ErrandStep::Rest { until: Some(due) },
            _ => ErrandStep::Ask { errand, pause },
        }
    }

    /// Paused: from here on the question is whether it is quiet, too.
    fn watch(&self, hold: &Hold, pause: &Pause) -> ErrandStep {
        let errands = &self.case.errands;
        let asked = self.asked(pause);
        let mut runs = hold.runs;
        let mut events = vec![];
        if let Some(status) = &errands.seen {
            runs.note(status);
            if hold.runs.quiet == Some(false) && !status.is_running {
                events.push(self.event(EventKind::Quiet, pause.holders.first()));
            }
        }
        if self.is_to_be_told(&runs, &asked) {
            runs.told = true;
            let event = self.event(EventKind::StillRunning, pause.holders.first());
            events.push(Event { detail: Some(self.what_becomes_of_it(&runs, &asked)), ..event });
        }
        if runs != hold.runs {
            return keep(Hold { runs, ..hold.clone() }, events);
        }
        let is_asked_to_stop = asked.on_running == OnRunning::Cancel && !errands.is_cancelled;
        match (runs.quiet, asked.on_running) {
            (Some(true), _) => ErrandStep::Rest { until: None },
            (Some(false), _) if is_asked_to_stop => self.ask(Errand::Cancel, PACE, None),
            (_, OnRunning::Leave) => self.ask(Errand::Status, EASY_PACE, None),
            (_, OnRunning::Wait | OnRunning::Cancel) => self.ask(Errand::Status, PACE, None),
        }
    }

    /// Resumed, and that is confirmed: is it so, and does it run?
    fn follow_up(&self, hold: &Hold) -> ErrandStep {
        let Some(resumed) = hold.runs.resumed.filter(|_| hold.runs.after != After::Nothing) else {
            return ErrandStep::Rest { until: None };
        };
        if let Some((sent, proof)) = self.case.errands.proof.as_deref() {
            return self.proven(hold, resumed, *sent, proof);
        }
        let limit = match hold.runs.after {
            After::Nothing | After::Proof | After::Started(_) => PROOF_LIMIT,
            After::Start(_) => START_LIMIT,
        };
        // Both ways: a clock may have been set.
        let age = (self.turn.now.wall - resumed).abs().to_std().unwrap_or_default();
        let Some(left) = limit.checked_sub(age).filter(|left| !left.is_zero()) else {
            return self.follow_no_more(hold, self.out_of_time(hold).into_iter().collect());
        };
        let gives_up = self.turn.now.uptime + left;
        let step = match hold.runs.after {
            After::Nothing | After::Proof | After::Started(_) => self.ask(Errand::Prove, PACE, None),
            After::Start(tried) if self.turn.all_resumed => {
                let mut hold = hold.clone();
                hold.runs.after = After::Started(tried.saturating_add(1));
                ErrandStep::Start { hold: Box::new(hold) }
            }
            After::Start(_) => ErrandStep::Rest { until: Some(self.turn.now.uptime + PACE) },
        };
        match step {
            ErrandStep::Rest { until: Some(until) } => ErrandStep::Rest { until: Some(until.min(gives_up)) },
            step => step,
        }
    }

    fn proven(&self, hold: &Hold, resumed: DateTime<Utc>, sent: Moment, proof: &Proof) -> ErrandStep {
        match (proof.state, hold.runs.after) {
            (SyncState::Inactive, After::Proof) if self.is_soon_after(resumed, sent) => {
                self.resume_again(hold)
            }
            // Switched off, or deleted, by somebody who may.
            (SyncState::Inactive | SyncState::Gone, _) => self.follow_no_more(hold, vec![]),
            (SyncState::Active, _) => self.on_again(hold, resumed, proof),
        }
    }

    /// Whether a look was sent so soon after the confirmation that what it shows is
    /// rather the API's doing than a person's.
    fn is_soon_after(&self, resumed: DateTime<Utc>, sent: Moment) -> bool {
        match self.case.errands.confirmed {
            Some(confirmed) => sent.uptime <= confirmed + SOON,
            // Another process heard it confirmed.
            None => (sent.wall - resumed).to_std().is_ok_and(|age| age <= SOON),
        }
    }

    /// Whether the resume of this row was confirmed so shortly before this look that
    /// a sync that is off was never on.
    pub(super) fn was_hardly_resumed(&self, hold: &Hold, sent: Moment) -> bool {
        let resumed = hold.runs.resumed.filter(|_| hold.runs.after == After::Proof);
        resumed.is_some_and(|resumed| self.is_soon_after(resumed, sent))
    }

    /// Whether the proof of its resume has come, and says that it was never on.
    pub(super) fn is_resume_denied(&self, hold: &Hold) -> bool {
        self.case.errands.proof.as_deref().is_some_and(|(sent, proof)| {
            proof.state == SyncState::Inactive && self.was_hardly_resumed(hold, *sent)
        })
    }

    /// Whether the first proof of its resume was asked for, and is not there yet.
    pub(super) fn is_first_proof_under_way(&self, hold: &Hold) -> bool {
        let errands = &self.case.errands;
        hold.runs.after == After::Proof && errands.is_untried() && errands.call == Some(Errand::Prove)
    }

    /// Whether its resume was confirmed, and no look has shown since whether it is so.
    pub(super) fn is_resume_unseen(&self) -> bool {
        let owes_proof = self.case.hold.as_ref().is_some_and(|it| it.runs.after == After::Proof);
        owes_proof && !self.case.errands.is_looked_after
    }

    /// It was confirmed, and is not so: nobody knows what became of that request.
    fn resume_again(&self, hold: &Hold) -> ErrandStep {
        let retry = self.next_retry();
        let failure = Failure::new(
            FailureKind::Malformed,
            "the API had confirmed that it is on, and a moment later it was off",
        );
        let mut hold = hold.clone();
        hold.state = HoldState::Resuming;
        hold.unsettled.resume = Some(self.turn.now.uptime);
        hold.runs.after = After::Nothing;
        hold.attempts = retry.failures;
        hold.last_error = Some(failure.to_string());
        let events =
            self.failure_event(EventKind::ResumeFailed, hold.holders.first(), retry.failures, &failure);
        ErrandStep::Keep { hold: Box::new(hold), events, retry: Some(retry) }
    }

    fn on_again(&self, hold: &Hold, resumed: DateTime<Utc>, proof: &Proof) -> ErrandStep {
        let Some(status) = &proof.status else { return self.untold(hold) };
        let runs_by_now = status.is_running || status.newest.is_some_and(|newest| resumed <= newest);
        let is_unscheduled = proof.frequency.promises_a_run() && status.next.is_none() && !status.is_running;
        let holder = hold.holders.first();
        let with = |after| keep(Hold { runs: Runs { after, ..hold.runs }, ..hold.clone() }, vec![]);
        match hold.runs.after {
            // The API may take a moment to plan.
            After::Proof if is_unscheduled && self.case.errands.looks < UNSCHEDULED_LOOKS => {
                self.ask(Errand::Prove, PACE, None)
            }
            After::Proof if owes_a_start(hold, proof.frequency) && !runs_by_now => with(After::Start(0)),
            After::Nothing | After::Proof if is_unscheduled => {
                let event = self.event(EventKind::Unscheduled, holder);
                let frequency = "its schedule promises one, and there is no next_execution_time";
                self.follow_no_more(hold, vec![Event { detail: Some(frequency.to_owned()), ..event }])
            }
            After::Started(_) if runs_by_now => {
                self.follow_no_more(hold, vec![self.of_missed_run(EventKind::CaughtUp, hold)])
            }
            After::Started(tried) if tried < MOST_STARTS => with(After::Start(tried)),
            After::Started(tried) => {
                let met =
                    self.case.errands.start_trouble.as_deref().unwrap_or("no execution was seen after it");
                let event = self.not_caught_up(hold, &format!("started {tried} times: {met}"));
                self.follow_no_more(hold, vec![event])
            }
            After::Nothing | After::Proof | After::Start(_) => self.follow_no_more(hold, vec![]),
        }
    }

    /// It is on, and the API does not tell what runs.
    fn untold(&self, hold: &Hold) -> ErrandStep {
        let events = match hold.runs.after {
            After::Start(_) | After::Started(_) => {
                vec![self.not_caught_up(hold, "the API does not tell whether an execution runs")]
            }
            After::Nothing | After::Proof => vec![],
        };
        self.follow_no_more(hold, events)
    }

    /// What somebody who relies on it should know when time is up.
    fn out_of_time(&self, hold: &Hold) -> Option<Event> {
        let trouble = self.case.errands.trouble.as_deref();
        let why = match hold.runs.after {
            After::Nothing => return None,
            After::Proof if !asks_to_catch_up(hold) => return None,
            After::Proof | After::Started(_) => {
                format!(
                    "whether it runs could not be seen: {}",
                    trouble.unwrap_or("there was no time to look")
                )
            }
            After::Start(_) => "other syncs of the organization were not resumed within an hour".to_owned(),
        };
        Some(self.not_caught_up(hold, &why))
    }

    fn not_caught_up(&self, hold: &Hold, why: &str) -> Event {
        Event { error: Some(why.to_owned()), ..self.of_missed_run(EventKind::CatchUpFailed, hold) }
    }

    fn of_missed_run(&self, kind: EventKind, hold: &Hold) -> Event {
        let detail = hold.runs.next.map(|at| format!("the run of {} had fallen into the pause", instant(at)));
        Event { detail, ..self.event(kind, hold.holders.first()) }
    }

    fn follow_no_more(&self, hold: &Hold, events: Vec<Event>) -> ErrandStep {
        let is_done =
            hold.state == HoldState::Settling && matches!(self.want, Want::Running) && !hold.unsettled.any();
        if is_done {
            return ErrandStep::Forget { events };
        }
        let mut hold = hold.clone();
        hold.runs.after = After::Nothing;
        keep(hold, events)
    }

    /// Whether somebody who was promised that it ends should know that it does not.
    fn is_to_be_told(&self, runs: &Runs, asked: &Asked) -> bool {
        let may_run = match runs.quiet {
            Some(is_quiet) => !is_quiet,
            None => self.case.errands.failures > 0,
        };
        may_run && !runs.told && asked.on_running != OnRunning::Leave && asked.is_over(self.turn.now.wall)
    }

    fn what_becomes_of_it(&self, runs: &Runs, asked: &Asked) -> String {
        let limit = "`on_running_limit` is over";
        match (runs.quiet, asked.on_running, self.case.sync.kind) {
            (None, ..) => {
                let why = self.case.errands.trouble.as_deref().unwrap_or("no answer yet");
                format!("{limit}, and whether one runs is not known: {why}")
            }
            (_, OnRunning::Cancel, _) => format!("{limit}; it was asked to stop and has not yet"),
            (_, _, SyncKind::Bulk) => {
                format!("{limit}: the sync was paused all the same, so Polytomic cancels it")
            }
            (_, _, SyncKind::Model) => format!("{limit}; it goes on, and the pause stands"),
        }
    }
}
