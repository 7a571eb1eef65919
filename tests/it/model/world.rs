//! One sync in a small world: the product's own plan, row and case, driven in the
//! order in which `reconcile` and `daemon::executor` drive them.
//!
//! Time goes in ticks of half a minute. Requests live a tick at most before they
//! are given up, and what was given up may be applied for two more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::backoff::Backoff;
use intermission::domain::calendar::{Desired, Pause};
use intermission::domain::event::EventKind;
use intermission::domain::execution::{After, Frequency, RunPolicy};
use intermission::domain::hold::{Hold, HoldState, Unsettled};
use intermission::domain::moment::Moment;
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::{
    Call, Case, ErrandStep, Evidence, Learnt, Proof, Rules, Step, Told, Turn, next_errand, next_step,
};
use intermission::domain::sync::{SyncKind, SyncRef, SyncState};
use intermission::domain::verdict::{Failure, FailureKind, Verdict};
use intermission::domain::window::Occurrence;
use uuid::Uuid;

const TICK: u64 = 30;
/// How many ticks an abandoned request may live.
const SETTLE: u64 = 2;
/// An answer older than this is asked for again, as in `reconcile`.
const FRESH: Duration = Duration::from_secs(10);
/// The wall clock's last tick; all windows are over well before it.
const LAST: i64 = 9;
const CLOCK_STEP: i64 = 3;

pub(super) type Met = BTreeMap<&'static str, u64>;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) promise: &'static str,
    pub(super) how: String,
}

/// A mistake made on purpose around the plan, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    None,
    /// The row is written when the answer is there, not before the request.
    NoWriteAhead,
    /// Nothing is waited for after a request without an answer.
    NoSettle,
    /// The row does not say when the pause ends.
    NoResumeBy,
    /// A look from before the window decides.
    LookBeforeBoundary,
    /// Looks count from when their answer was read.
    SettleFromReading,
    /// What is unsettled counts from when the request was sent.
    SettleFromSending,
    /// Rows do not say that a request of ours is out.
    NoMarkOfIntent,
    /// The mark goes when a person decided.
    MarkLostOnRelease,
    /// A pause that failed is sent again without a look.
    BlindRetry,
    /// A 2xx that names the other state is taken for a confirmation.
    WrongStateConfirms,
}

/// What the file says of the two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    Both,
    FirstRemoved,
    BothRemoved,
    FirstShortened,
    FirstExtended,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Begin { start: usize },
    // The daemon, the disk and the API at work.
    Start,
    Pass,
    WriteReachesDisk,
    RequestLeaves,
    ApiReads,
    AnswerToLook,
    ApiApplies,
    Confirmation,
    Tick,
    // What goes wrong.
    LookFails,
    LookNotFound,
    RequestLost,
    RequestAbandoned,
    ReplyLost,
    Refused,
    WrongState,
    DiskFull,
    AbandonedArrives(usize),
    Crash,
    Stall,
    ClockBack,
    ClockForward,
    Edit(File),
    FileBreaks,
    // People.
    PersonOn,
    PersonOff,
    OperatorResume,
}

/// How much may go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    pub(super) network: u8,
    pub(super) crashes: u8,
    pub(super) clock: u8,
    pub(super) people: u8,
    pub(super) operator: u8,
    pub(super) edits: u8,
    pub(super) breaks: u8,
    pub(super) disk: u8,
    pub(super) stalls: u8,
}

/// The daemon's memory, which a crash loses.
#[derive(Debug, Clone)]
struct Process {
    case: Case,
    in_force: Option<File>,
    due: bool,
    outdated: bool,
    timer: Option<u64>,
    next_change: Option<DateTime<Utc>>,
    last_pass: Option<i64>,
}

/// A request under way.
#[derive(Debug, Clone)]
enum Flight {
    Look { sent: Moment, read: Option<SyncState> },
    Unwritten { until: DateTime<Utc> },
    Switch { active: bool, sent: Moment, is_applied: bool },
}

/// What the promises need to be judged by.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the past")]
struct Watch {
    was_active: bool,
    was_touched: bool,
    by_us: bool,
    /// It was off, by somebody else, when its block began.
    is_foreign: bool,
    /// The API has read its state since the last switch of ours was sent.
    has_looked: bool,
    /// A resume left before its row was on disk, as it may when the disk is slow or
    /// full, and the process that knew of it is gone.
    has_forgotten_resume: bool,
    /// Windows inside which a person was seen to switch it on, by the ledger.
    respected: u8,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    windows: Arc<[(i64, i64); 2]>,
    wall: i64,
    uptime: u64,
    process: Option<Process>,
    flight: Option<Flight>,
    queue: Vec<Option<Hold>>,
    row: Option<Hold>,
    file: File,
    is_broken: bool,
    active: bool,
    abandoned: Vec<(bool, u64)>,
    left: Budget,
    watch: Watch,
}

fn at(tick: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_811_808_000, 0).unwrap()
        + TimeDelta::seconds(tick * i64::try_from(TICK).unwrap())
}

fn tick_of(instant: DateTime<Utc>) -> i64 {
    (instant - at(0)).num_seconds() / i64::try_from(TICK).unwrap()
}

fn up(tick: u64) -> Duration {
    Duration::from_secs(tick * TICK)
}

fn tick_up(uptime: Duration) -> u64 {
    uptime.as_secs().div_ceil(TICK)
}

fn organization() -> Arc<Organization> {
    thread_local! {
        static ORGANIZATION: Arc<Organization> = Arc::new(Organization {
            name: "default".into(),
            url: "https://app.example".into(),
            api_version: "2025-09-18".into(),
            organization_id: None,
            key: KeySource::Environment("KEY".into()),
            ca_file: None,
            proxy: Proxy::None,
        });
    }
    ORGANIZATION.with(Arc::clone)
}

fn sync() -> SyncRef {
    thread_local! {
        static SYNC: SyncRef =
            SyncRef { organization: "default".into(), kind: SyncKind::Model, id: Uuid::from_u128(1) };
    }
    SYNC.with(Clone::clone)
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, String::new())
}

fn lost() -> Verdict {
    Verdict::of(failure(FailureKind::Lost))
}

impl World {
    pub(super) fn new(windows: [(i64, i64); 2], active: bool, left: Budget) -> Self {
        Self {
            windows: Arc::new(windows),
            wall: 1,
            uptime: 10,
            process: None,
            flight: None,
            queue: vec![],
            row: None,
            file: File::Both,
            is_broken: false,
            active,
            abandoned: vec![],
            left,
            watch: Watch { was_active: active, ..Watch::default() },
        }
    }

    fn now(&self) -> Moment {
        Moment { wall: at(self.wall), uptime: up(self.uptime) }
    }

    // ---- windows ----

    fn occurrences(&self, file: File) -> Vec<Occurrence> {
        let [(from, to), second] = *self.windows;
        let pairs = match file {
            File::Both => vec![("a", from, to), ("b", second.0, second.1)],
            File::FirstRemoved => vec![("b", second.0, second.1)],
            File::BothRemoved => vec![],
            File::FirstShortened => vec![("a", from, to - 1), ("b", second.0, second.1)],
            File::FirstExtended => vec![("a", from, to + 1), ("b", second.0, second.1)],
        };
        pairs
            .into_iter()
            .map(|(name, from, to)| Occurrence {
                window: name.into(),
                pauses: at(from),
                opens: at(from),
                closes: at(to),
                enforce: false,
                runs: RunPolicy::default(),
            })
            .collect()
    }

    fn desired(&self, process: &Process) -> Desired {
        let now = at(self.wall);
        let Some(file) = process.in_force else {
            return process.case.hold.as_ref().map_or(Desired::Running, |hold| hold.desired_alone(now));
        };
        let all = self.occurrences(file);
        let holders: Vec<Occurrence> =
            all.iter().filter(|it| it.pauses <= now && now < it.closes).cloned().collect();
        let Some(mut until) = holders.iter().map(|it| it.closes).max() else { return Desired::Running };
        // In the order of their starts, so that one look over them is enough.
        for it in &all {
            if it.pauses <= until {
                until = until.max(it.closes);
            }
        }
        Desired::Paused(Pause { holders, until })
    }

    fn next_change(&self, process: &Process) -> Option<DateTime<Utc>> {
        let now = at(self.wall);
        match process.in_force {
            Some(file) => self
                .occurrences(file)
                .iter()
                .flat_map(|it| [it.pauses, it.closes])
                .filter(|it| now < *it)
                .min(),
            None => process.case.hold.iter().flat_map(Hold::ends).filter(|it| now < *it).min(),
        }
    }

    // ---- what can happen ----

    fn passes(&self, process: &Process) -> bool {
        process.due
            || process.outdated
            || process.last_pass.is_some_and(|before| self.wall < before)
            || process.next_change.is_some_and(|it| it <= at(self.wall))
            || process.timer.is_some_and(|it| it <= self.uptime)
    }

    /// What comes next when nothing goes wrong; `None` at rest, after it all.
    pub(super) fn calm(&self, plant: Plant) -> Option<Action> {
        let Some(process) = &self.process else { return Some(Action::Start) };
        if !self.queue.is_empty() {
            return Some(Action::WriteReachesDisk);
        }
        match &self.flight {
            Some(Flight::Look { read: None, .. }) => return Some(Action::ApiReads),
            Some(Flight::Look { .. }) if self.keeps_early_look(process, plant) => return Some(Action::Tick),
            Some(Flight::Look { .. }) => return Some(Action::AnswerToLook),
            Some(Flight::Unwritten { .. }) => return Some(Action::RequestLeaves),
            Some(Flight::Switch { is_applied: false, .. }) => return Some(Action::ApiApplies),
            Some(Flight::Switch { .. }) => return Some(Action::Confirmation),
            None => {}
        }
        if self.passes(process) {
            return Some(Action::Pass);
        }
        let is_over = self.wall == LAST && process.case.hold.is_none() && self.abandoned.is_empty();
        (!is_over).then_some(Action::Tick)
    }

    /// The planted look from before the window waits for it.
    fn keeps_early_look(&self, process: &Process, plant: Plant) -> bool {
        plant == Plant::LookBeforeBoundary && process.case.hold.is_none() && self.wall < self.windows[0].0
    }

    pub(super) fn possible(&self, plant: Plant) -> Vec<Action> {
        let mut all: Vec<Action> = self.calm(plant).into_iter().collect();
        let Budget { network, crashes, clock, people, operator, edits, breaks, disk, stalls } = self.left;
        let waits = all.first().is_none_or(|it| *it == Action::Tick);
        if let Some(flight) = &self.flight {
            match flight {
                Flight::Look { read, sent } => {
                    if read.is_none() && network > 0 {
                        all.extend([Action::LookFails, Action::LookNotFound]);
                    }
                    if up(self.uptime) < sent.uptime + up(1) && !all.contains(&Action::Tick) {
                        all.push(Action::Tick);
                    }
                }
                Flight::Unwritten { .. } => {
                    if disk > 0 && !self.queue.is_empty() {
                        all.push(Action::DiskFull);
                    }
                }
                Flight::Switch { sent, is_applied, .. } => {
                    if !*is_applied && network > 0 {
                        all.extend([
                            Action::RequestLost,
                            Action::RequestAbandoned,
                            Action::Refused,
                            Action::WrongState,
                        ]);
                    }
                    if *is_applied && network > 0 {
                        all.push(Action::ReplyLost);
                    }
                    if up(self.uptime) < sent.uptime + up(1) {
                        all.push(Action::Tick);
                    }
                    // A queue behind the API need not be emptied by the calm order alone.
                    if !*is_applied && !self.queue.is_empty() {
                        all.push(Action::ApiApplies);
                    }
                }
            }
        } else if stalls > 0 && !waits && self.process.is_some() {
            all.push(Action::Stall);
        }
        if self.process.is_none() {
            all.push(Action::Tick);
        } else if crashes > 0 {
            all.push(Action::Crash);
        }
        all.extend((0..self.abandoned.len()).map(Action::AbandonedArrives));
        if clock > 0 {
            all.extend([Action::ClockBack, Action::ClockForward]);
        }
        if people > 0 {
            all.push(if self.active { Action::PersonOff } else { Action::PersonOn });
        }
        if operator > 0 && self.process.is_some() {
            all.push(Action::OperatorResume);
        }
        if edits > 0 && self.file == File::Both && !self.is_broken {
            let edits = [File::FirstRemoved, File::BothRemoved, File::FirstShortened, File::FirstExtended];
            all.extend(edits.map(Action::Edit));
        }
        if breaks > 0 && !self.is_broken {
            all.push(Action::FileBreaks);
        }
        if self.wall == LAST && self.process.is_none() {
            all.retain(|it| *it != Action::Tick || !self.abandoned.is_empty());
        }
        all
    }

    // ---- what happens ----

    #[expect(clippy::too_many_lines, reason = "a row for each thing that can happen")]
    pub(super) fn apply(&mut self, action: &Action, plant: Plant, met: &mut Met) -> Result<(), Broken> {
        match action {
            Action::Begin { .. } => {}
            Action::Start => self.start(met),
            Action::Pass => return self.pass(plant, met),
            Action::WriteReachesDisk => {
                self.row = self.queue.remove(0);
                // What was seen and not yet written is lost with the process that saw it.
                if let Some(row) = self.row.as_ref().filter(|it| it.state == HoldState::Released) {
                    // A clock that was set back since has these windows begin anew.
                    let begun: Vec<_> =
                        row.left_alone.iter().filter(|it| it.pauses <= at(self.wall)).cloned().collect();
                    self.watch.respected |= mask(&begun);
                }
            }
            Action::RequestLeaves => return self.pause_leaves(plant),
            Action::ApiReads => {
                let state = if self.active { SyncState::Active } else { SyncState::Inactive };
                if let Some(Flight::Look { read, .. }) = &mut self.flight {
                    *read = Some(state);
                }
                self.watch.has_looked = true;
            }
            Action::AnswerToLook => self.answer_look(plant),
            Action::ApiApplies => {
                if let Some(Flight::Switch { active, is_applied, .. }) = &mut self.flight {
                    *is_applied = true;
                    let active = *active;
                    self.switch(active);
                }
            }
            Action::Confirmation => self.answer_switch(Verdict::Applied, plant),
            Action::Tick => self.tick(),
            Action::Stall => {
                self.left.stalls -= 1;
                self.tick();
            }
            Action::LookFails => {
                self.left.network -= 1;
                self.flight = None;
                self.hear(Evidence::LookFailed { failure: failure(FailureKind::Server) });
            }
            Action::LookNotFound => {
                self.left.network -= 1;
                if let Some(Flight::Look { sent, .. }) = self.flight.take() {
                    self.hear(Evidence::Saw { state: SyncState::Gone, sent, by: None });
                }
            }
            Action::RequestLost | Action::ReplyLost => {
                self.left.network -= 1;
                self.answer_switch(lost(), plant);
            }
            Action::RequestAbandoned => {
                self.left.network -= 1;
                self.abandon();
                self.answer_switch(lost(), plant);
            }
            Action::Refused => {
                self.left.network -= 1;
                self.answer_switch(Verdict::of(failure(FailureKind::Forbidden)), plant);
            }
            Action::WrongState => {
                self.left.network -= 1;
                let verdict = match plant {
                    Plant::WrongStateConfirms => Verdict::Applied,
                    _ => Verdict::of(failure(FailureKind::Malformed)),
                };
                self.answer_switch(verdict, plant);
            }
            Action::DiskFull => {
                self.left.disk -= 1;
                self.queue.pop();
                self.flight = None;
                self.hear(Evidence::NotWritten { failure: failure(FailureKind::Ledger) });
                *met.entry("not paused without a durable row").or_default() += 1;
            }
            Action::AbandonedArrives(index) => {
                let (active, _) = self.abandoned.remove(*index);
                if self.active != active {
                    *met.entry(if active { "late resume applied" } else { "late pause applied" })
                        .or_default() += 1;
                }
                self.switch(active);
            }
            Action::Crash => self.crash(met),
            Action::ClockBack => {
                self.left.clock -= 1;
                self.set_clock((self.wall - CLOCK_STEP).max(0));
            }
            Action::ClockForward => {
                self.left.clock -= 1;
                self.set_clock((self.wall + CLOCK_STEP).min(LAST));
            }
            Action::Edit(file) => {
                self.left.edits -= 1;
                self.file = *file;
                self.watch.is_foreign = false;
                self.watch.respected = 0;
                if let Some(process) = &mut self.process {
                    process.in_force = Some(*file);
                    process.case.retry = None;
                    process.outdated = true;
                }
            }
            Action::FileBreaks => {
                self.left.breaks -= 1;
                self.is_broken = true;
            }
            Action::PersonOn | Action::PersonOff => {
                self.left.people -= 1;
                self.active = *action == Action::PersonOn;
                self.watch.by_us = false;
                self.watch.was_touched = true;
                self.watch.is_foreign &= !self.active;
            }
            Action::OperatorResume => self.operator_resumes(met),
        }
        Ok(())
    }

    fn start(&mut self, met: &mut Met) {
        let in_force = (!self.is_broken).then_some(self.file);
        let case = match self.row.clone() {
            None => Case::new(sync()),
            Some(row) => {
                *met.entry("started with a row").or_default() += 1;
                // The ledger keeps the fact alone: what is unsettled is so from now on.
                let now = up(self.uptime);
                let unsettled = Unsettled {
                    pause: row.unsettled.pause.map(|_| now),
                    resume: row.unsettled.resume.map(|_| now),
                };
                Case::remembered(Hold { unsettled, ..row })
            }
        };
        if in_force.is_none() {
            *met.entry("started with a broken file").or_default() += 1;
        }
        self.process = Some(Process {
            case,
            in_force,
            due: false,
            outdated: true,
            timer: None,
            next_change: None,
            last_pass: None,
        });
    }

    fn crash(&mut self, met: &mut Met) {
        self.left.crashes -= 1;
        let resumes = |hold: &Option<Hold>| hold.as_ref().is_some_and(|it| it.unsettled.resume.is_some());
        let known = self.process.as_ref().is_some_and(|it| resumes(&it.case.hold));
        self.watch.has_forgotten_resume |= known && !resumes(&self.row);
        self.process = None;
        if !self.queue.is_empty() {
            *met.entry("crashed with a write not on disk").or_default() += 1;
        }
        self.queue.clear();
        if matches!(self.flight, Some(Flight::Switch { .. })) {
            *met.entry("crashed with a switch under way").or_default() += 1;
        }
        self.abandon();
        self.flight = None;
    }

    /// The request under way may be applied later, unless it was already.
    fn abandon(&mut self) {
        if let Some(Flight::Switch { active, is_applied: false, .. }) = &self.flight {
            self.abandoned.push((*active, self.uptime + SETTLE));
            self.abandoned.sort_unstable();
        }
    }

    fn switch(&mut self, active: bool) {
        if self.active != active {
            self.active = active;
            self.watch.by_us = true;
        }
    }

    fn tick(&mut self) {
        let covered = self.is_covered();
        let timer = self.process.as_ref().and_then(|it| it.timer);
        self.uptime = match timer {
            // Nothing is left but to wait.
            Some(timer) if self.wall == LAST && self.flight.is_none() => timer.max(self.uptime + 1),
            _ => self.uptime + 1,
        };
        self.wall = (self.wall + 1).min(LAST);
        let now = self.uptime;
        self.abandoned.retain(|(_, dies)| now < *dies);
        if !covered && self.is_covered() {
            self.block_begins();
        }
    }

    fn set_clock(&mut self, wall: i64) {
        self.wall = wall;
        self.watch.is_foreign = false;
        self.watch.respected = 0;
    }

    fn is_covered(&self) -> bool {
        self.occurrences(self.file).iter().any(|it| it.pauses <= at(self.wall) && at(self.wall) < it.closes)
    }

    fn block_begins(&mut self) {
        let is_unheld = self.row.is_none()
            && self.queue.is_empty()
            && match &self.flight {
                None => true,
                // By a clock that was set back since, it was sent inside the block.
                Some(Flight::Look { sent, .. }) => sent.wall <= at(self.wall),
                Some(Flight::Unwritten { .. } | Flight::Switch { .. }) => false,
            }
            && self.abandoned.is_empty()
            && self.process.as_ref().is_none_or(|it| it.case.hold.is_none());
        self.watch.is_foreign = !self.active && is_unheld;
    }

    fn hear(&mut self, evidence: Evidence) {
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.case.hear(evidence, now);
            process.case.trouble = None;
            process.due = true;
        }
    }

    fn answer_look(&mut self, plant: Plant) {
        let now = self.now();
        let Some(Flight::Look { mut sent, read: Some(state) }) = self.flight.take() else { return };
        match plant {
            Plant::LookBeforeBoundary => sent.wall = now.wall,
            Plant::SettleFromReading => sent.uptime = now.uptime,
            _ => {}
        }
        self.hear(Evidence::Saw { state, sent, by: None });
    }

    fn answer_switch(&mut self, verdict: Verdict, plant: Plant) {
        let Some(Flight::Switch { active, sent, .. }) = self.flight.take() else { return };
        if plant == Plant::NoWriteAhead
            && !active
            && let Some(process) = &self.process
        {
            self.queue.push(process.case.hold.clone());
        }
        self.hear(Evidence::Answered { active, sent, verdict });
    }

    fn pause_leaves(&mut self, plant: Plant) -> Result<(), Broken> {
        let Some(Flight::Unwritten { until }) = self.flight.take() else { return Ok(()) };
        let is_written = self.row.as_ref().is_some_and(|row| row.state == HoldState::Pausing);
        if plant != Plant::NoWriteAhead && !is_written {
            return broken("P5", "a pause left before its row was on disk");
        }
        let sent = self.now();
        if sent.wall < until {
            self.watch.has_looked = false;
            self.flight = Some(Flight::Switch { active: false, sent, is_applied: false });
        } else {
            let verdict = Verdict::of(failure(FailureKind::NotSent));
            self.hear(Evidence::Answered { active: false, sent, verdict });
        }
        Ok(())
    }

    fn operator_resumes(&mut self, met: &mut Met) {
        self.left.operator -= 1;
        // What somebody asks for is theirs, as if they had switched it.
        self.watch.was_touched = true;
        self.watch.is_foreign = false;
        let now = self.now();
        let Some(process) = self.process.clone() else { return };
        let mut ended = match self.desired(&process) {
            Desired::Running => vec![],
            Desired::Paused(pause) => pause.holders,
        };
        if let Some(hold) = process.case.hold.as_ref().filter(|it| it.state.owes_resume()) {
            let more: Vec<_> =
                hold.holders.iter().filter(|it| !ended.iter().any(|other| other.is(it))).cloned().collect();
            ended.extend(more);
        }
        let hold = match (&process.case.hold, process.in_force) {
            (Some(hold), _) => hold.clone(),
            (None, Some(_)) if !ended.is_empty() => {
                process.case.new_hold(&organization(), HoldState::Released, now.wall)
            }
            (None, _) => return,
        };
        *met.entry("resumed by an operator").or_default() += 1;
        let mut hold = hold;
        hold.leave_alone(&ended);
        self.queue.push(Some(hold.clone()));
        if let Some(process) = &mut self.process {
            process.case.decide_for(hold);
            process.due = true;
        }
    }

    // ---- the daemon's pass, about this one sync ----

    fn pass(&mut self, plant: Plant, met: &mut Met) -> Result<(), Broken> {
        let now = self.now();
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let is_boundary = process.outdated
            || process.last_pass.is_some_and(|before| self.wall < before)
            || process.next_change.is_some_and(|it| it <= now.wall);
        if is_boundary {
            process.next_change = self.next_change(&process);
            process.outdated = false;
        }
        process.due = false;
        process.timer = process.timer.filter(|it| self.uptime < *it);
        process.last_pass = Some(self.wall);
        process.case.drop_stale_evidence(now.uptime, FRESH);
        let mut desired = self.desired(&process);
        let organization = organization();
        let rules = Rules {
            settle: if plant == Plant::NoSettle { Duration::ZERO } else { up(SETTLE) },
            drift_check: up(1),
            overdue_after: up(5),
            backoff: Backoff::default(),
        };
        if plant == Plant::NoResumeBy && process.in_force.is_none() && self.row.is_some() {
            let holders = self.occurrences(File::Both);
            desired = Desired::Paused(Pause { holders, until: at(1000) });
        }
        let turn = Turn {
            now,
            desired: &desired,
            organization: process.in_force.map(|_| &organization),
            may_pause: process.in_force.is_some(),
            key_proven: false,
            all_resumed: true,
            is_exempt: false,
            jitter: 0.0,
            rules: &rules,
        };
        let mut step = next_step(&process.case, &turn);
        self.plant_into(&mut step, &process, &desired, plant);
        let result = self.judge(&step, &process, &desired, met);
        process.case.take(&step);
        let rests = matches!(step, Step::Rest { .. });
        self.carry(step, &mut process, now, plant);
        if rests {
            self.run_errand(&mut process, &turn, met);
        }
        if let Some(hold) = &mut process.case.hold {
            // For people alone; the model would only grow.
            hold.attempts = 0;
            hold.last_error = None;
        }
        self.process = Some(process);
        result
    }

    fn plant_into(&self, step: &mut Step, process: &Process, desired: &Desired, plant: Plant) {
        let case = &process.case;
        match (plant, &mut *step) {
            (Plant::NoMarkOfIntent, Step::Pause { hold, .. }) => hold.unsettled.pause = None,
            (Plant::MarkLostOnRelease, Step::Keep { hold, .. })
                if matches!(hold.state, HoldState::Released | HoldState::Skipped) =>
            {
                hold.unsettled = Unsettled::default();
            }
            (Plant::SettleFromSending, Step::Keep { hold, .. }) => {
                if let Some(Evidence::Answered { sent, verdict: Verdict::Unknown(_), .. }) = &case.evidence {
                    hold.unsettled.pause = hold.unsettled.pause.map(|it| it.min(sent.uptime));
                    hold.unsettled.resume = hold.unsettled.resume.map(|it| it.min(sent.uptime));
                }
            }
            (Plant::LookBeforeBoundary, Step::Rest { until }) if self.wall < self.windows[0].0 => {
                if case.hold.is_none() && process.in_force.is_some() && case.evidence.is_none() {
                    *step = Step::Look;
                } else {
                    *until = None;
                }
            }
            (Plant::BlindRetry, Step::Look) => {
                let Desired::Paused(pause) = desired else { return };
                if let Some(hold) = case.hold.clone().filter(|it| it.state == HoldState::Pausing) {
                    *step = Step::Pause { hold: Box::new(hold), until: pause.until };
                }
            }
            _ => {}
        }
    }

    /// As `Reconciler::carry` and the executor: what a step comes to.
    fn carry(&mut self, step: Step, process: &mut Process, now: Moment, plant: Plant) {
        match step {
            Step::Rest { until: Some(until) } => process.timer = Some(tick_up(until)),
            Step::Rest { until: None } => {
                let is_covered = process.in_force.is_some() && self.desired(process) != Desired::Running;
                if process.case.hold.is_none() && !is_covered {
                    process.case = Case::new(sync());
                }
            }
            Step::Look => self.flight = Some(Flight::Look { sent: now, read: None }),
            Step::Pause { hold, until } => {
                if plant != Plant::NoWriteAhead {
                    self.queue.push(Some(*hold));
                }
                self.flight = Some(Flight::Unwritten { until });
            }
            Step::Resume { hold } => {
                self.queue.push(Some(*hold));
                self.watch.has_looked = false;
                self.flight = Some(Flight::Switch { active: true, sent: now, is_applied: false });
            }
            Step::Keep { hold, .. } => {
                self.queue.push(Some(*hold));
                process.due = true;
            }
            Step::Forget { .. } => {
                self.queue.push(None);
                process.due = true;
            }
            Step::Defer { .. } => process.due = true,
        }
    }

    /// As `Reconciler::decide_errand`: the proof of a resume is there at once, as the
    /// API has it now.
    fn run_errand(&mut self, process: &mut Process, turn: &Turn, met: &mut Met) {
        let mut note = |what| *met.entry(what).or_default() += 1;
        let now = turn.now;
        let step = next_errand(&process.case, turn);
        process.case.take_errand(&step);
        match step {
            ErrandStep::Rest { until: None } => {}
            ErrandStep::Rest { until: Some(until) } => {
                let until = tick_up(until);
                process.timer = Some(process.timer.map_or(until, |it| it.min(until)));
            }
            ErrandStep::Ask { .. } | ErrandStep::Start { .. } => {
                let state = if self.active { SyncState::Active } else { SyncState::Inactive };
                let proof = Proof { state, frequency: Frequency::Unknown, status: None };
                process.case.errands.hear(Learnt { sent: now, result: Ok(Told::Proof(proof)) }, now);
                self.run_errand(process, turn, met);
            }
            ErrandStep::Keep { hold, .. } => {
                if hold.state == HoldState::Resuming {
                    note("resumed again after a confirmation that was none");
                }
                self.queue.push(Some(*hold));
                process.due = true;
            }
            ErrandStep::Forget { .. } => {
                note("settled");
                self.queue.push(None);
                process.due = true;
            }
        }
    }

    // ---- the promises ----

    fn judge(&self, step: &Step, process: &Process, desired: &Desired, met: &mut Met) -> Result<(), Broken> {
        let was = process.case.hold.as_ref().map(|it| it.state);
        let mut note = |what| *met.entry(what).or_default() += 1;
        match step {
            Step::Pause { hold, .. } => {
                let is_in_window = process.in_force.is_some() && *desired != Desired::Running;
                if !is_in_window {
                    return broken("P8", "it is paused although no window in force asks for it");
                }
                if self.watch.is_foreign {
                    return broken("P1", "it was off before its block began, and is paused");
                }
                if !self.watch.has_looked {
                    return broken("N1", "it is paused without a look since the last request");
                }
                let mask = mask(&hold.holders);
                if mask & !self.watch.respected == 0 {
                    return broken(
                        "P9",
                        "a person switched it on inside this window, and it is paused again",
                    );
                }
                if was == Some(HoldState::Settling) {
                    note("paused again by a window that came before it was settled");
                }
            }
            Step::Resume { .. } => {
                if self.watch.is_foreign {
                    return broken("P1", "it was off before its block began, and is resumed");
                }
                match was {
                    Some(HoldState::Settling) => note("late pause undone by the settling look"),
                    Some(HoldState::Released) => note("late pause undone for a person's sake"),
                    _ => {}
                }
                if process.in_force.is_none() {
                    note("resumed without a configuration");
                }
            }
            Step::Keep { hold, events, .. } => {
                for event in events {
                    match event.kind {
                        EventKind::Paused => note("paused"),
                        EventKind::Resumed => note("resumed"),
                        EventKind::Skipped => note("skipped"),
                        EventKind::Gone => note("not found for a while"),
                        EventKind::Overdue => note("overdue"),
                        EventKind::Released if hold.state == HoldState::Released => {
                            let is_known = !self.watch.was_touched && !self.watch.has_forgotten_resume;
                            if is_known && self.is_covered() {
                                let how = "nobody switched it on inside its window, and it is left on";
                                return broken("P18", how);
                            }
                            note(if self.watch.was_touched {
                                "released by a person"
                            } else {
                                "released by a resume that nobody remembers"
                            });
                        }
                        _ => {}
                    }
                }
            }
            Step::Forget { events } => {
                if events.iter().any(|it| it.kind == EventKind::Resumed) {
                    note("resumed");
                }
                if was == Some(HoldState::Settling) {
                    note("settled");
                }
            }
            Step::Rest { .. } | Step::Look | Step::Defer { .. } => {}
        }
        Ok(())
    }

    /// After everything, with nothing left to do.
    pub(super) fn at_rest(&self) -> Result<(), Broken> {
        if self.row.is_some() {
            return broken("P4", "at rest, and the ledger still has a row");
        }
        if !self.active && self.watch.by_us {
            return broken("P2", "it was left paused");
        }
        if !self.watch.was_touched && self.active != self.watch.was_active {
            return broken("P3", "nobody touched it, and it does not end as it began");
        }
        Ok(())
    }

    // ---- which states are one ----

    /// All that tells this state from others: uptime only as an age.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = Key { bytes: Vec::with_capacity(96), now: self.uptime };
        key.flags(&[self.active, self.is_broken, self.watch.was_active, self.watch.was_touched]);
        key.flags(&[self.watch.by_us, self.watch.is_foreign, self.watch.has_looked]);
        key.flags(&[self.watch.has_forgotten_resume]);
        let left = self.left;
        key.bytes.extend([self.watch.respected, self.file as u8]);
        key.bytes.extend([left.network, left.crashes, left.clock, left.people, left.operator]);
        key.bytes.extend([left.edits, left.breaks, left.disk, left.stalls]);
        key.small(self.windows[1].0);
        key.small(self.wall);
        for (active, dies) in &self.abandoned {
            key.bytes.extend([2 + u8::from(*active), u8::try_from(dies - self.uptime).unwrap()]);
        }
        key.hold(self.row.as_ref());
        key.bytes.push(u8::try_from(self.queue.len()).unwrap());
        self.queue.iter().for_each(|it| key.hold(it.as_ref()));
        match &self.flight {
            None => key.bytes.push(0),
            Some(Flight::Look { sent, read }) => {
                key.bytes.extend([1, read.map_or(9, |it| it as u8)]);
                key.moment(*sent);
            }
            Some(Flight::Unwritten { until }) => {
                key.bytes.push(2);
                key.small(tick_of(*until));
            }
            Some(Flight::Switch { active, sent, is_applied }) => {
                key.bytes.push(3);
                key.flags(&[*active, *is_applied]);
                key.moment(*sent);
            }
        }
        match &self.process {
            None => key.bytes.push(0),
            Some(process) => {
                key.bytes.push(1);
                key.process(process);
            }
        }
        key.bytes
    }

    /// The state in a line, for a story.
    pub(super) fn line(&self) -> String {
        let row = |hold: Option<&Hold>| {
            hold.map_or("no row".to_owned(), |it| {
                let out = if it.unsettled.any() { ", unsettled" } else { "" };
                format!("{}{out}", it.state.as_str())
            })
        };
        let memory = self.process.as_ref().map_or("down".to_owned(), |it| row(it.case.hold.as_ref()));
        let window = if self.is_covered() { "window open" } else { "no window" };
        let sync = if self.active { "on" } else { "off" };
        let out: String = self
            .abandoned
            .iter()
            .map(|(active, _)| if *active { ", a resume abandoned" } else { ", a pause abandoned" })
            .collect();
        format!(
            "tick {:>2}, {window:<11} sync {sync:<3} ledger: {}; daemon: {memory}{out}",
            self.wall,
            row(self.row.as_ref())
        )
    }
}

fn broken(promise: &'static str, how: &str) -> Result<(), Broken> {
    Err(Broken { promise, how: how.to_owned() })
}

fn mask(occurrences: &[Occurrence]) -> u8 {
    occurrences.iter().fold(0, |mask, it| mask | if it.window.as_str() == "a" { 1 } else { 2 })
}

struct Key {
    bytes: Vec<u8>,
    now: u64,
}

impl Key {
    fn flags(&mut self, flags: &[bool]) {
        self.bytes.push(flags.iter().fold(0, |all, it| all << 1 | u8::from(*it)));
    }

    fn small(&mut self, number: i64) {
        self.bytes.extend(i16::try_from(number).unwrap_or(i16::MAX).to_le_bytes());
    }

    /// How long ago, or in how long; more than settles and drift checks ask for is all one.
    fn age(&mut self, uptime: Duration) {
        let age = i64::try_from(self.now).unwrap() - i64::try_from(tick_up(uptime)).unwrap();
        self.small(age.min(4));
    }

    fn moment(&mut self, moment: Moment) {
        self.small(tick_of(moment.wall));
        self.age(moment.uptime);
    }

    fn maybe_age(&mut self, uptime: Option<Duration>) {
        self.bytes.push(u8::from(uptime.is_some()));
        if let Some(uptime) = uptime {
            self.age(uptime);
        }
    }

    fn occurrences(&mut self, occurrences: &[Occurrence]) {
        self.bytes.push(u8::try_from(occurrences.len()).unwrap());
        for it in occurrences {
            self.bytes.push(mask(std::slice::from_ref(it)));
            self.small(tick_of(it.closes));
        }
    }

    fn hold(&mut self, hold: Option<&Hold>) {
        let Some(hold) = hold else { return self.bytes.push(255) };
        self.bytes.push(hold.state as u8);
        self.flags(&[hold.overdue_told, hold.gone.is_some()]);
        self.occurrences(&hold.holders);
        self.occurrences(&hold.left_alone);
        self.small(tick_of(hold.resume_by));
        self.maybe_age(hold.unsettled.pause);
        self.maybe_age(hold.unsettled.resume);
        let is_owed = hold.runs.after != After::Nothing;
        self.flags(&[is_owed]);
        self.small(hold.runs.resumed.filter(|_| is_owed).map_or(-100, tick_of));
    }

    fn process(&mut self, process: &Process) {
        self.flags(&[process.due, process.outdated, process.in_force.is_some()]);
        self.bytes.push(process.in_force.map_or(0, |it| it as u8));
        self.small(process.timer.map_or(-100, |it| it.saturating_sub(self.now).try_into().unwrap_or(0)));
        self.small(process.next_change.map_or(-100, tick_of));
        self.small(process.last_pass.unwrap_or(-100));
        let case = &process.case;
        self.hold(case.hold.as_ref());
        match &case.call {
            None => self.bytes.push(0),
            Some(Call::Look) => self.bytes.push(1),
            Some(Call::Pause { before }) => {
                self.bytes.push(2);
                self.hold(before.as_deref());
            }
            Some(Call::Resume { before }) => {
                self.bytes.push(3);
                self.hold(Some(before));
            }
        }
        match &case.evidence {
            None => self.bytes.push(0),
            Some(Evidence::Saw { state, sent, .. }) => {
                self.bytes.extend([1, *state as u8]);
                self.moment(*sent);
            }
            Some(Evidence::LookFailed { failure }) => self.bytes.extend([2, failure.kind as u8]),
            Some(Evidence::NotWritten { .. }) => self.bytes.push(3),
            Some(Evidence::Answered { active, sent, verdict }) => {
                self.bytes.extend([4, u8::from(*active), verdict.failure().map_or(99, |it| it.kind as u8)]);
                self.moment(*sent);
            }
        }
        self.bytes.push(case.retry.map_or(9, |it| u8::from(it.pausing)));
        self.maybe_age(case.retry.map(|it| it.not_before));
        self.maybe_age(case.heard);
        self.maybe_age(case.looked);
        self.flags(&[case.absent]);
    }
}
