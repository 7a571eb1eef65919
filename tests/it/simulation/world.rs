//! One simulated world: two clocks, an API, people, a ledger, and the daemon's
//! reconciler in the middle of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use intermission::domain::backoff::Backoff;
use intermission::domain::calendar::{Calendar, OpenWindows};
use intermission::domain::event::EventKind;
use intermission::domain::hold::HoldState;
use intermission::domain::moment::Moment;
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::{Evidence, Rules};
use intermission::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use intermission::domain::verdict::{Failure, FailureKind, Verdict};
use intermission::domain::window::{Dates, End, OnManualResume, Start, Times, When, Window};
use intermission::ledger::{Change, Store};
use intermission::polytomic::Limits;
use intermission::polytomic::throttle::Outcome;
use intermission::reconcile::{Action, InForce, Reconciler, Reply, Selection};
use intermission::tzdb::Tzdb;
use uuid::Uuid;

use super::api::{Api, Who};
use super::judge::Judge;

macro_rules! faults {
    ($($fault:ident),* $(,)?) => {
        /// What can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fault { $($fault),* }
        impl Fault {
            pub(super) const ALL: &[Self] = &[$(Self::$fault),*];
        }
    };
}

faults! {
    LookLost, LookServerError, LookThrottled,
    PauseLost, PauseReplyLost, PauseAppliedLate, PauseServerErrorApplied, PauseServerErrorNotApplied,
    PauseRefused, PauseThrottled,
    ResumeLost, ResumeReplyLost, ResumeAppliedLate, ResumeServerErrorApplied, ResumeServerErrorNotApplied,
    ResumeRefused, ResumeThrottled,
    Crash, CrashBetweenIntentAndRequest, CrashBeforeAnswer, LongDowntime,
    ClockBack, ClockForward, Suspend,
    WindowExtended, WindowShortened, WindowRemoved, ConfigBrokenAtStart,
    DiskFull, PersonOn, PersonOff, OperatorResume,
}

/// The longest life of a request that is never answered, as configured.
const SETTLE: Duration = Duration::from_mins(2);
const TIMEOUT: Duration = Duration::from_secs(30);
const NOT_LONG: Duration = Duration::from_mins(10);

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    /// An answer reaches the process that asked.
    Answer {
        process: u64,
        reply: Box<Reply>,
    },
    /// The API reads its state for a GET.
    Read {
        process: u64,
        look: Box<Look>,
        answers_in: Duration,
    },
    /// The API applies a request.
    Apply {
        sync: SyncRef,
        active: bool,
        request: u64,
    },
    /// The daemon wakes by itself, unless it has slept anew since.
    Wake {
        sleep: u64,
    },
    Crash,
    Start,
    Person,
    Edit,
    Clock,
    Disk {
        full: bool,
    },
    Operator,
    /// From here on nothing goes wrong any more.
    Calm,
    /// From here on no window is open any more.
    LastWindowEnds,
    /// A look at syncs deep in windows, when all is calm.
    Inspect,
}

#[derive(Debug, Clone)]
struct Look {
    sync: SyncRef,
    organization: Arc<Organization>,
    sent: Moment,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a thing that can be wrong with a world")]
pub(super) struct World {
    seed: u64,
    rng: fastrand::Rng,
    uptime: Duration,
    wall: DateTime<Utc>,
    booted: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next_number: u64,
    pub(super) api: Api,
    store: Store,
    reconciler: Option<Reconciler>,
    process: u64,
    sleeps: u64,
    open: Option<OpenWindows>,
    windows: Vec<Window>,
    config_is_broken: bool,
    // What the running process has in force.
    in_force: Option<Arc<Calendar>>,
    organizations: BTreeMap<Name, (Arc<Organization>, Limits)>,
    disk_is_full: bool,
    is_calm: bool,
    covered: BTreeSet<SyncRef>,
    ends: Duration,
    judge: Judge,
    met: BTreeMap<Fault, u64>,
    log: String,
    // How unkind this world is: no faults at all in some, many in others.
    unkindness: f64,
    people: f64,
    clocks_move: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Around nights in which clocks change, in spring and autumn, and others.
        let nights = [
            "2027-03-13T20:00:00Z",
            "2027-03-27T20:00:00Z",
            "2027-10-30T20:00:00Z",
            "2027-11-06T20:00:00Z",
            "2027-06-01T20:00:00Z",
        ];
        let wall: DateTime<Utc> = nights[rng.usize(..nights.len())].parse().unwrap();
        let organizations: BTreeMap<Name, (Arc<Organization>, Limits)> = ["default", "emea"]
            .into_iter()
            .map(|name| (name.into(), (organization(name), Limits::default())))
            .collect();
        let unkindness = [0.0, 0.05, 0.15, 0.4][rng.usize(..4)];
        let people = [0.0, 0.5, 1.0][rng.usize(..3)];
        let clocks_move = rng.u8(..3) == 0;
        let mut world = Self {
            seed,
            uptime: Duration::from_secs(100_000),
            booted: Duration::from_secs(100_000),
            wall,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_number: 0,
            api: Api::default(),
            store: Store::in_memory().unwrap(),
            reconciler: None,
            process: 0,
            sleeps: 0,
            open: None,
            windows: vec![],
            config_is_broken: false,
            in_force: None,
            organizations,
            disk_is_full: false,
            is_calm: false,
            covered: BTreeSet::new(),
            ends: Duration::ZERO,
            judge: Judge::default(),
            met: BTreeMap::new(),
            log: String::new(),
            unkindness,
            people,
            clocks_move,
            rng: rng.clone(),
        };
        let syncs: Vec<SyncRef> = (0..rng.u128(2..7)).map(|it| sync(&mut rng, it)).collect();
        for sync in &syncs {
            world.api.create(sync.clone(), rng.u8(..5) > 0);
        }
        world.windows = windows(&mut rng, wall, &syncs);
        world.rng = rng;
        let days = 2 + world.rng.u64(..3);
        world.schedule_the_unkind(Duration::from_hours(24 * days));
        world
    }

    fn schedule_the_unkind(&mut self, span: Duration) {
        self.after(Duration::from_secs(1), Happening::Start);
        let per_day = span.as_secs_f64() / 86_400.0;
        let often = |world: &mut Self, times: f64, what: Happening| {
            let times = times * per_day;
            let whole = times.floor() + f64::from(u8::from(world.rng.f64() < times.fract()));
            let mut left = whole;
            while left >= 1.0 {
                let at = span.mul_f64(world.rng.f64());
                world.after(at, what.clone());
                left -= 1.0;
            }
        };
        let (unkindness, people, clocks_move) = (self.unkindness, self.people, self.clocks_move);
        often(self, 8.0 * unkindness * 4.0, Happening::Crash);
        often(self, 40.0 * people, Happening::Person);
        often(self, 4.0 * people, Happening::Operator);
        often(self, 6.0 * unkindness, Happening::Edit);
        often(self, if clocks_move { 3.0 } else { 0.0 }, Happening::Clock);
        often(self, 4.0 * unkindness, Happening::Disk { full: true });
        often(self, 48.0, Happening::Inspect);
        // First faults and people stop, then the windows; what is then not at
        // rest within half an hour never will be.
        self.after(span, Happening::Calm);
        self.after(span + Duration::from_hours(6), Happening::LastWindowEnds);
        self.ends = self.uptime + span + Duration::from_hours(6) + Duration::from_mins(30);
    }

    // ---- time ----

    pub(super) fn now(&self) -> Moment {
        Moment { wall: self.wall, uptime: self.uptime.saturating_sub(self.booted) }
    }

    fn after(&mut self, wait: Duration, what: Happening) {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.push(Reverse((self.uptime + wait, number)));
        self.happenings.insert(number, what);
    }

    pub(super) fn run(&mut self) {
        while let Some(Reverse((at, number))) = self.queue.pop() {
            let Some(what) = self.happenings.remove(&number) else { continue };
            if at > self.ends {
                break;
            }
            let passed = at.saturating_sub(self.uptime);
            self.uptime = at.max(self.uptime);
            self.wall += TimeDelta::from_std(passed).unwrap();
            self.watch_blocks();
            self.happens(what);
        }
        self.at_rest();
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Answer { process, reply } => self.answer(process, *reply),
            Happening::Read { process, look, answers_in } => self.read(process, *look, answers_in),
            Happening::Apply { sync, active, request } => {
                let now = self.now();
                self.note(&format!("the API applies request {request}: {sync} active={active}"));
                self.api.apply(&sync, active, Who::Daemon { request }, now);
            }
            Happening::Wake { sleep } if sleep == self.sleeps => self.pass(),
            Happening::Wake { .. } => {}
            Happening::Crash => self.crash(Fault::Crash),
            Happening::Start => self.start(),
            Happening::Person => self.person(),
            Happening::Edit => self.edit(),
            Happening::Clock => self.move_clock(),
            Happening::Disk { full } => self.disk(full),
            Happening::Operator => self.operator(),
            Happening::Calm => self.calm(),
            Happening::LastWindowEnds => {
                self.judge.blocks_moved();
                self.windows.clear();
                self.reload();
            }
            Happening::Inspect => self.inspect(),
        }
    }

    // ---- the daemon ----

    fn start(&mut self) {
        if self.reconciler.is_some() {
            return;
        }
        self.process += 1;
        self.booted = self.uptime;
        let contents = self.store.contents().unwrap();
        self.note(&format!("process {} starts with {} rows", self.process, contents.holds.len()));
        let owed =
            contents.holds.iter().any(|hold| hold.state.owes_resume() || hold.state == HoldState::Settling);
        let in_force = (!self.config_is_broken).then(|| self.read_config());
        if in_force.is_none() && !owed {
            // Exit 78; the service manager tries again.
            self.after(Duration::from_mins(5), Happening::Start);
            return;
        }
        if self.config_is_broken {
            self.meet(Fault::ConfigBrokenAtStart);
        }
        self.in_force = in_force.as_ref().map(|it| Arc::clone(&it.calendar));
        let dice = self.rng.fork();
        self.reconciler = Some(Reconciler::new(contents.holds, contents.watches, in_force, dice));
        self.pass();
    }

    fn read_config(&self) -> InForce {
        InForce {
            calendar: Arc::new(Calendar::new(self.windows.clone())),
            organizations: self.organizations.clone(),
            rules: Rules {
                settle: SETTLE,
                drift_check: Duration::from_mins(1),
                overdue_after: Duration::from_mins(5),
                backoff: Backoff::default(),
            },
        }
    }

    fn pass(&mut self) {
        let now = self.now();
        let Some(reconciler) = &mut self.reconciler else { return };
        let actions = reconciler.pass(now);
        self.carry_out(actions);
        self.sleep();
    }

    /// Sleeps as the daemon does: to the next timer, the next boundary, and
    /// never long while anything is held.
    fn sleep(&mut self) {
        let now = self.now();
        let Some(reconciler) = &self.reconciler else { return };
        let wake = reconciler.next_wake(now);
        let by_uptime = wake.uptime.map(|at| at.saturating_sub(now.uptime));
        let by_wall = wake.wall.map(|at| (at - now.wall).to_std().unwrap_or_default());
        let held = reconciler.owes_resumes().then_some(Duration::from_mins(1));
        let sleep = [by_uptime, by_wall, held].into_iter().flatten().min();
        if let Some(sleep) = sleep {
            self.sleeps += 1;
            let sleeps = self.sleeps;
            self.after(sleep.max(Duration::from_millis(1)), Happening::Wake { sleep: sleeps });
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if self.reconciler.is_none() {
                return;
            }
            match action {
                Action::Write { change } => {
                    for (_, event) in change.events() {
                        self.note(&format!("daemon: {event}"));
                        if let (EventKind::Released, Some(sync), Some(calendar)) =
                            (event.kind, &event.sync, &self.in_force)
                        {
                            self.judge.respects(sync, &calendar.desired(sync, self.wall));
                        }
                    }
                    self.write(change);
                }
                Action::WriteAgain { change } => self.write(change),
                Action::Look { sync, organization } => self.look(sync, organization),
                Action::Pause { sync, organization, change, until } => {
                    self.pause(sync, organization, &change, until);
                }
                Action::Resume { sync, organization, change } => self.resume(sync, organization, &change),
            }
        }
    }

    fn write(&mut self, change: Change) {
        let dropped = change.sync().cloned();
        if !self.apply(&change) {
            let now = self.now();
            if let Some(reconciler) = &mut self.reconciler {
                reconciler.write_failed(change, now);
            }
            return;
        }
        if let Some(sync) = dropped.filter(|sync| self.row(sync).is_none()) {
            self.judge.row_dropped(&sync);
        }
    }

    /// Writes to the ledger, if there is room.
    fn apply(&mut self, change: &Change) -> bool {
        if self.disk_is_full {
            self.meet(Fault::DiskFull);
            return false;
        }
        self.store.apply(std::slice::from_ref(change)).unwrap();
        true
    }

    fn row(&self, sync: &SyncRef) -> Option<HoldState> {
        let holds = self.store.contents().unwrap().holds;
        holds.into_iter().find(|hold| hold.sync == *sync).map(|hold| hold.state)
    }

    fn answer(&mut self, process: u64, reply: Reply) {
        if process != self.process || self.reconciler.is_none() {
            return;
        }
        let now = self.now();
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.hear(reply, now);
        }
        self.pass();
    }

    // ---- requests ----

    fn latency(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(20..400))
    }

    fn look(&mut self, sync: SyncRef, organization: Arc<Organization>) {
        let sent = self.now();
        let look = Look { sync, organization, sent };
        let process = self.process;
        let (there, back) = (self.latency(), self.latency());
        if self.goes_wrong() {
            let (fault, failure, wait) = match self.rng.u8(..3) {
                0 => (Fault::LookLost, Failure::new(FailureKind::Timeout, "no answer"), TIMEOUT),
                1 => (Fault::LookServerError, Failure::new(FailureKind::Server, "503"), there),
                _ => (Fault::LookThrottled, throttled(&mut self.rng), there),
            };
            self.meet(fault);
            let evidence = Evidence::LookFailed { failure };
            return self.reply_later(wait, look.sync, look.organization, evidence);
        }
        self.after(there, Happening::Read { process, look: Box::new(look), answers_in: back });
    }

    fn read(&mut self, process: u64, look: Look, answers_in: Duration) {
        let state = self.api.state(&look.sync);
        let evidence = Evidence::Saw { state, sent: look.sent, by: Some("somebody".to_owned()) };
        let reply = reply(look.sync, look.organization, evidence);
        self.after(answers_in, Happening::Answer { process, reply });
    }

    fn pause(
        &mut self,
        sync: SyncRef,
        organization: Arc<Organization>,
        change: &Change,
        until: DateTime<Utc>,
    ) {
        if !self.apply(change) {
            let failure = Failure::new(FailureKind::Ledger, "the disk is full");
            return self.reply_later(Duration::ZERO, sync, organization, Evidence::NotWritten { failure });
        }
        self.judge.intent_is_durable(&sync);
        if self.crashes_now() {
            return self.crash(Fault::CrashBetweenIntentAndRequest);
        }
        if until <= self.wall {
            let verdict = Verdict::Refused(Failure::new(FailureKind::NotSent, "the window had closed"));
            let evidence = Evidence::Answered { active: false, sent: self.now(), verdict };
            return self.reply_later(Duration::ZERO, sync, organization, evidence);
        }
        let row = self.row(&sync).is_some_and(HoldState::owes_resume);
        let (calendar, now) = (self.in_force.clone(), self.now());
        self.judge.pause_leaves(&sync, calendar.as_deref(), row, now);
        self.post(sync, organization, false);
    }

    fn resume(&mut self, sync: SyncRef, organization: Arc<Organization>, change: &Change) {
        if !self.apply(change) {
            let now = self.now();
            if let Some(reconciler) = &mut self.reconciler {
                reconciler.write_failed(change.clone(), now);
            }
        }
        if self.crashes_now() {
            return self.crash(Fault::CrashBetweenIntentAndRequest);
        }
        let now = self.now();
        self.judge.resume_leaves(&sync, now);
        self.post(sync, organization, true);
    }

    /// A POST leaves, and this is what becomes of it.
    fn post(&mut self, sync: SyncRef, organization: Arc<Organization>, active: bool) {
        let sent = self.now();
        let request = self.next_number;
        self.note(&format!("request {request} leaves: {sync} active={active}"));
        let (there, back) = (self.latency(), self.latency());
        let apply = Happening::Apply { sync: sync.clone(), active, request };
        let unknown = |kind| Verdict::Unknown(Failure::new(kind, "nobody knows"));
        let refused = |kind| Verdict::Refused(Failure::new(kind, "no"));
        let of = |pause, resume| if active { resume } else { pause };
        let (fault, applied_in, verdict, answered_in) = if self.goes_wrong() {
            match self.rng.u8(..7) {
                0 => (
                    Some(of(Fault::PauseLost, Fault::ResumeLost)),
                    None,
                    unknown(FailureKind::Timeout),
                    TIMEOUT,
                ),
                1 => (
                    Some(of(Fault::PauseReplyLost, Fault::ResumeReplyLost)),
                    Some(there),
                    unknown(FailureKind::Timeout),
                    TIMEOUT,
                ),
                // Applied as late as a request may be, counted from when it was sent.
                2 => (
                    Some(of(Fault::PauseAppliedLate, Fault::ResumeAppliedLate)),
                    Some(TIMEOUT.mul_f64(0.9) + SETTLE.saturating_sub(TIMEOUT).mul_f64(self.rng.f64())),
                    unknown(FailureKind::Timeout),
                    TIMEOUT,
                ),
                3 => (
                    Some(of(Fault::PauseServerErrorApplied, Fault::ResumeServerErrorApplied)),
                    Some(there),
                    unknown(FailureKind::Server),
                    there + back,
                ),
                4 => (
                    Some(of(Fault::PauseServerErrorNotApplied, Fault::ResumeServerErrorNotApplied)),
                    None,
                    unknown(FailureKind::Server),
                    there + back,
                ),
                5 => (
                    Some(of(Fault::PauseRefused, Fault::ResumeRefused)),
                    None,
                    refused(FailureKind::Forbidden),
                    there + back,
                ),
                _ => (
                    Some(of(Fault::PauseThrottled, Fault::ResumeThrottled)),
                    None,
                    Verdict::Refused(throttled(&mut self.rng)),
                    there + back,
                ),
            }
        } else {
            (None, Some(there), Verdict::Applied, there + back)
        };
        if let Some(fault) = fault {
            self.note(&format!("request {request} meets {fault:?}"));
            self.meet(fault);
        }
        if let Some(wait) = applied_in {
            self.after(wait, apply);
        }
        self.reply_later(answered_in, sync, organization, Evidence::Answered { active, sent, verdict });
        if self.crashes_now() {
            self.crash(Fault::CrashBeforeAnswer);
        }
    }

    fn reply_later(
        &mut self,
        wait: Duration,
        sync: SyncRef,
        organization: Arc<Organization>,
        evidence: Evidence,
    ) {
        let process = self.process;
        self.after(wait, Happening::Answer { process, reply: reply(sync, organization, evidence) });
    }

    // ---- the unkind ----

    fn goes_wrong(&mut self) -> bool {
        !self.is_calm && self.rng.f64() < self.unkindness
    }

    fn crashes_now(&mut self) -> bool {
        !self.is_calm && self.rng.f64() < self.unkindness * 0.1
    }

    fn crash(&mut self, fault: Fault) {
        if self.is_calm || self.reconciler.take().is_none() {
            return;
        }
        self.meet(fault);
        self.note(&format!("process {} is killed ({fault:?})", self.process));
        let down = match self.rng.u8(..4) {
            0 => {
                self.meet(Fault::LongDowntime);
                Duration::from_mins(self.rng.u64(10..600))
            }
            _ => Duration::from_secs(self.rng.u64(1..20)),
        };
        // A block that ends while nobody is there ends for the judge too.
        self.after(down, Happening::Start);
    }

    fn person(&mut self) {
        if self.is_calm {
            return;
        }
        // People meddle with what is paused more than with what just runs.
        let held: Vec<SyncRef> =
            self.reconciler.iter().flat_map(|it| it.holds().map(|hold| hold.sync.clone())).collect();
        let all: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let syncs = if held.is_empty() || self.rng.bool() { all } else { held };
        let sync = &syncs[self.rng.usize(..syncs.len())];
        let to = self.api.state(sync) == SyncState::Inactive;
        self.meet(if to { Fault::PersonOn } else { Fault::PersonOff });
        self.note(&format!("somebody sets {sync} active={to}"));
        let now = self.now();
        self.judge.person_acts(sync);
        self.api.person_sets(sync, to, now);
    }

    fn operator(&mut self) {
        let now = self.now();
        if self.is_calm || self.disk_is_full {
            return;
        }
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        let sync = syncs[self.rng.usize(..syncs.len())].clone();
        let Some(reconciler) = &mut self.reconciler else { return };
        let selection = match self.rng.u8(..3) {
            0 => Selection::All,
            _ => Selection::Syncs(vec![sync]),
        };
        let (resumed, actions) = reconciler.resume(&selection, "operator", Some("because"), now);
        self.note(&format!("an operator resumes {} syncs", resumed.len()));
        if resumed.iter().any(|it| !it.ended.is_empty()) {
            self.meet(Fault::OperatorResume);
        }
        let calendar = self.in_force.clone();
        self.carry_out(actions);
        for it in resumed {
            // From the word of an operator on it is as if somebody had switched it on.
            self.judge.person_acts(&it.sync);
            if let Some(calendar) = &calendar {
                self.judge.respects(&it.sync, &calendar.desired(&it.sync, now.wall));
            }
        }
        self.pass();
    }

    fn edit(&mut self) {
        if self.is_calm {
            return;
        }
        self.judge.blocks_moved();
        let which = self.rng.usize(..self.windows.len());
        let (fault, length) = match self.rng.u8(..4) {
            0 => (Fault::WindowExtended, Some(300)),
            1 => (Fault::WindowShortened, Some(20)),
            2 => (Fault::WindowRemoved, None),
            _ => {
                self.config_is_broken = !self.config_is_broken;
                let is = if self.config_is_broken { "breaks" } else { "mends" };
                self.note(&format!("somebody {is} the file"));
                if !self.config_is_broken {
                    self.reload();
                }
                return;
            }
        };
        self.meet(fault);
        self.note(&format!("somebody edits window {}: {fault:?}", self.windows[which].name));
        match length {
            None if self.windows.len() > 1 => drop(self.windows.remove(which)),
            None => {}
            Some(minutes) => {
                let times = &self.windows[which].times;
                let end = End::After(TimeDelta::minutes(minutes));
                if let Ok(times) = Times::new(
                    times.start().clone(),
                    end,
                    times.dates().clone(),
                    times.zone().clone(),
                    self.wall,
                ) {
                    self.windows[which].times = times;
                }
            }
        }
        if !self.config_is_broken {
            self.reload();
        }
    }

    fn reload(&mut self) {
        let in_force = self.read_config();
        if let Some(reconciler) = &mut self.reconciler {
            self.in_force = Some(Arc::clone(&in_force.calendar));
            self.open = None;
            reconciler.bring_into_force(in_force);
            self.pass();
        }
    }

    fn move_clock(&mut self) {
        if self.is_calm {
            return;
        }
        self.judge.blocks_moved();
        let minutes = i64::from(self.rng.u8(1..180));
        match self.rng.u8(..3) {
            0 => {
                self.meet(Fault::ClockBack);
                self.wall -= TimeDelta::minutes(minutes);
            }
            1 => {
                self.meet(Fault::ClockForward);
                self.wall += TimeDelta::minutes(minutes);
            }
            // Both clocks go on, and nothing runs.
            _ => {
                self.meet(Fault::Suspend);
                self.uptime += Duration::from_secs(minutes.unsigned_abs() * 60);
                self.wall += TimeDelta::minutes(minutes);
            }
        }
        self.note(&format!("the clock now says {}", self.wall));
        // The timer notices a clock that is set.
        self.pass();
    }

    fn disk(&mut self, full: bool) {
        self.disk_is_full = full && !self.is_calm;
        self.note(&format!("the disk is {}", if self.disk_is_full { "full" } else { "fine" }));
        if self.disk_is_full {
            let wait = Duration::from_mins(self.rng.u64(1..90));
            self.after(wait, Happening::Disk { full: false });
        }
    }

    fn calm(&mut self) {
        self.note("calm");
        self.is_calm = true;
        self.disk_is_full = false;
        if self.config_is_broken {
            self.config_is_broken = false;
            self.reload();
        }
        self.start();
    }

    // ---- judging ----

    /// Tells the judge where blocks begin and end, by the daemon's own clock
    /// and windows.
    fn watch_blocks(&mut self) {
        let Some(calendar) = self.in_force.clone().filter(|_| self.reconciler.is_some()) else {
            self.covered.clear();
            self.open = None;
            self.judge.blocks_moved();
            return;
        };
        if self.open.as_ref().is_some_and(|open| open.holds_at(self.wall)) {
            return;
        }
        let open = calendar.open_at(self.wall);
        let covered: BTreeSet<SyncRef> = open.paused().map(|(sync, _)| sync.clone()).collect();
        for sync in self.covered.difference(&covered) {
            self.judge.block_ends(sync);
        }
        let begun: Vec<SyncRef> = covered.difference(&self.covered).cloned().collect();
        for sync in begun {
            if self.row(&sync).is_none() {
                self.judge.block_begins(&sync, &self.api);
            }
        }
        self.covered = covered;
        self.open = Some(open);
    }

    /// Where nothing goes wrong and nobody interferes, a sync is paused ten
    /// minutes into its window and until its end.
    fn inspect(&mut self) {
        let is_undisturbed = self.unkindness == 0.0 && self.people == 0.0 && !self.clocks_move;
        let (Some(calendar), true) = (self.in_force.clone(), is_undisturbed) else { return };
        let now = self.now();
        let open = calendar.open_at(now.wall);
        for (sync, pause) in open.paused() {
            let begun =
                pause.holders.iter().all(|it| it.pauses + TimeDelta::from_std(NOT_LONG).unwrap() < now.wall);
            if begun {
                self.judge.window_is_honoured(sync, &self.api, now);
            }
        }
    }

    fn at_rest(&mut self) {
        let syncs: Vec<SyncRef> = self.api.syncs().cloned().collect();
        for sync in syncs {
            let owes = self.row(&sync).is_some_and(|it| it.owes_resume() || it == HoldState::Settling);
            self.judge.at_rest(&sync, &self.api, owes);
        }
    }

    pub(super) fn judge(&mut self) -> Result<(), String> {
        let already = self.judge.verdict();
        self.at_rest();
        already.and(self.judge.verdict())
    }

    pub(super) fn met(&self) -> &BTreeMap<Fault, u64> {
        &self.met
    }

    pub(super) fn checked(&self) -> &BTreeMap<&'static str, u64> {
        self.judge.checked()
    }

    fn meet(&mut self, fault: Fault) {
        *self.met.entry(fault).or_default() += 1;
    }

    fn note(&mut self, what: &str) {
        let _ = writeln!(self.log, "{} {what}", self.wall.format("%m-%d %H:%M:%S%.3f"));
    }

    pub(super) fn history(&self) -> String {
        let mut text = format!("seed {}\n", self.seed);
        for window in &self.windows {
            let _ = writeln!(text, "window {}: {}, {:?}", window.name, window.times, window.on_manual_resume);
        }
        text.push_str(&self.log);
        text.push_str("at the API:\n");
        for change in self.api.changes() {
            let _ = writeln!(
                text,
                "{} {} active={} by {:?}",
                change.at.format("%m-%d %H:%M:%S%.3f"),
                change.sync,
                change.to,
                change.who
            );
        }
        text
    }
}

fn reply(sync: SyncRef, organization: Arc<Organization>, evidence: Evidence) -> Box<Reply> {
    let failure = match &evidence {
        Evidence::Saw { .. } => None,
        Evidence::LookFailed { failure } | Evidence::NotWritten { failure } => Some(failure),
        Evidence::Answered { verdict, .. } => verdict.failure(),
    };
    let outcome = Outcome::of(failure);
    Box::new(Reply { sync, organization, evidence, name: None, outcome })
}

fn throttled(rng: &mut fastrand::Rng) -> Failure {
    let retry_after = rng.bool().then(|| Duration::from_secs(rng.u64(1..60)));
    Failure { retry_after, ..Failure::new(FailureKind::Throttled, "429") }
}

fn organization(name: &str) -> Arc<Organization> {
    Arc::new(Organization {
        name: name.into(),
        url: format!("https://{name}.example"),
        api_version: "2025-09-18".into(),
        organization_id: None,
        key: KeySource::Environment("KEY".into()),
        ca_file: None,
        proxy: Proxy::None,
    })
}

fn sync(rng: &mut fastrand::Rng, number: u128) -> SyncRef {
    let organization = if rng.bool() { "default" } else { "emea" };
    let kind = if rng.bool() { SyncKind::Model } else { SyncKind::Bulk };
    SyncRef { organization: organization.into(), kind, id: Uuid::from_u128(number + 1) }
}

/// A few windows over the same syncs: recurring and single, overlapping,
/// touching and apart, in zones whose clocks change that night.
fn windows(rng: &mut fastrand::Rng, from: DateTime<Utc>, syncs: &[SyncRef]) -> Vec<Window> {
    let tzdb = Tzdb::bundled();
    let zones = ["UTC", "America/New_York", "Europe/Amsterdam", "Australia/Lord_Howe", "Africa/Cairo"];
    let count = rng.usize(1..5);
    let mut windows = Vec::new();
    while windows.len() < count {
        let zone = tzdb.zone(zones[rng.usize(..zones.len())]).unwrap();
        let (start, end) = if rng.u8(..3) == 0 {
            let opens = from + TimeDelta::minutes(i64::from(rng.u16(..4000)));
            (Start::Once(When::Instant(opens)), End::After(TimeDelta::minutes(i64::from(rng.u16(3..240)))))
        } else {
            let hour = rng.u8(..24);
            let (schedule, longest) = match rng.u8(..4) {
                0 => (format!("{} {hour} * * *", rng.u8(..60)), 200),
                1 => (format!("30 1,{} * * *", hour.max(2)), 200),
                2 => (format!("*/30 {hour} * * *"), 200),
                // Hardly longer than a request may be on its way, again and again.
                _ => (format!("*/9 {0},{1} * * *", hour.min(22), hour.min(22) + 1), 5),
            };
            (Start::Recurring(schedule.parse().unwrap()), End::After(TimeDelta::minutes(rng.i64(1..longest))))
        };
        let dates = Dates { first: NaiveDate::from_ymd_opt(2027, 1, 1), ..Dates::default() };
        let Ok(times) = Times::new(start, end, dates, zone, from) else { continue };
        let covered = syncs.iter().filter(|_| rng.u8(..4) > 0).cloned().collect();
        let window = Window {
            name: format!("w{}", windows.len()).into(),
            times,
            lead: TimeDelta::minutes(if rng.u8(..4) == 0 { 7 } else { 0 }),
            syncs: covered,
            on_manual_resume: if rng.u8(..5) == 0 {
                OnManualResume::Enforce
            } else {
                OnManualResume::Respect
            },
            description: None,
        };
        // As the configuration does, refuse a lead that leaves no time to run.
        if window.check_lead(from).is_ok() {
            windows.push(window);
        }
    }
    windows
}
