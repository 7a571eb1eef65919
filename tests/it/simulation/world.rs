//! One simulated world: two clocks, an API, people, a ledger, and the daemon's
//! reconciler in the middle of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use intermission::domain::backoff::Backoff;
use intermission::domain::calendar::{Calendar, OpenWindows};
use intermission::domain::event::EventKind;
use intermission::domain::execution::{Frequency, OnRunning, RunPolicy, RunStatus};
use intermission::domain::hold::{Hold, HoldState};
use intermission::domain::moment::Moment;
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::{Errand, Evidence, Learnt, Proof, Rules, Told};
use intermission::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use intermission::domain::verdict::{Failure, FailureKind, Verdict};
use intermission::domain::window::{Dates, End, OnManualResume, Start, Times, When, Window};
use intermission::domain::zone::Zone;
use intermission::ledger::{Change, Store};
use intermission::polytomic::Limits;
use intermission::polytomic::throttle::Outcome;
use intermission::reconcile::{Action, ErrandReply, InForce, Reconciler, Reply, Selection};
use intermission::tzdb::Tzdb;
use uuid::Uuid;

use super::api::{Api, Who};
use super::fault::{Fault, On};
use super::judge::Judge;

/// A line of the history, made only where somebody is going to read it.
macro_rules! note {
    ($world:expr, $($what:tt)+) => {
        if $world.is_recorded {
            let what = format!($($what)+);
            $world.note(&what);
        }
    };
}

mod course;
mod daemon;
mod judging;
mod people;
mod requests;
mod scene;
mod storage;
mod unkind;

use scene::{organization, some_zone, sync, windows};
use storage::Disk;

/// The longest life of a request that is never answered, as configured.
const SETTLE: Duration = Duration::from_mins(2);
const TIMEOUT: Duration = Duration::from_secs(30);
/// So many minutes after a boundary nothing is late yet.
const LATEST_MINUTES: i64 = 3;

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    /// An answer reaches the process that asked.
    Answer {
        process: u64,
        reply: Box<Reply>,
    },
    /// What an errand brought reaches the process that sent it.
    Errand {
        process: u64,
        reply: Box<ErrandReply>,
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
    ClockIsSetRight,
    OrganizationIsDown {
        organization: Name,
    },
    OrganizationIsUp {
        organization: Name,
    },
    SyncGoes,
    SyncIsBack {
        sync: SyncRef,
    },
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
    // What the store says of each sync, so that nobody has to read all of it.
    rows: BTreeMap<SyncRef, Hold>,
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
    met: BTreeMap<(Fault, On), u64>,
    log: String,
    is_recorded: bool,
    // How unkind this world is: no faults at all in some, many in others.
    unkindness: f64,
    people: f64,
    clocks_move: bool,
    plant: Plant,
    // A ledger in a file, in some worlds.
    disk: Option<Disk>,
    // Organizations that are down, and what their requests meet.
    down: BTreeMap<Name, FailureKind>,
    // Those that were or will be.
    troubled: BTreeSet<Name>,
    // By how much the clock is wrong.
    clock_error: Option<TimeDelta>,
}

/// A defect put into the world on purpose, to see that the judge finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plant {
    /// None.
    Nothing,
    /// A crash takes the ledger with it.
    ForgetfulLedger,
    /// The client takes no answer for a confirmation.
    UnknownIsApplied,
    /// The client takes no answer for a refusal.
    UnknownIsRefused,
    /// A resume is confirmed and never carried out.
    ResumeDoesNothing,
    /// A start does not know whom it leaves alone.
    ForgetsLeftAlone,
    /// A start takes every sync that is skipped for its own.
    SkippedIsHeld,
    /// A start makes nothing of what an operator or a window's end left to resume.
    ForgetsResuming,
}

impl Plant {
    /// What a start makes of the rows.
    fn defect(self, holds: &mut Vec<Hold>) {
        match self {
            Self::ForgetsLeftAlone => holds.retain(|it| it.state != HoldState::Released),
            Self::ForgetsResuming => holds.retain(|it| it.state != HoldState::Resuming),
            Self::SkippedIsHeld => holds
                .iter_mut()
                .filter(|it| it.state == HoldState::Skipped)
                .for_each(|it| it.state = HoldState::Held),
            _ => {}
        }
    }

    fn verdict(self, verdict: Verdict) -> Verdict {
        match (self, verdict) {
            (Self::UnknownIsApplied, Verdict::Unknown(_)) => Verdict::Applied,
            (Self::UnknownIsRefused, Verdict::Unknown(failure)) => Verdict::Refused(failure),
            (_, verdict) => verdict,
        }
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, Plant::Nothing)
    }

    pub(super) fn with(seed: u64, plant: Plant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Around nights in which clocks change, in spring and autumn, and others.
        let nights = [
            "2027-03-13T20:00:00Z",
            "2027-03-27T20:00:00Z",
            "2027-10-30T20:00:00Z",
            "2027-11-06T20:00:00Z",
            // Lord Howe, by half an hour, and Cairo, at midnight.
            "2027-04-03T06:00:00Z",
            "2027-10-02T06:00:00Z",
            "2027-04-29T12:00:00Z",
            "2027-10-28T12:00:00Z",
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
            rows: BTreeMap::new(),
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
            is_recorded: false,
            unkindness,
            people,
            clocks_move,
            plant,
            disk: None,
            down: BTreeMap::new(),
            troubled: BTreeSet::new(),
            clock_error: None,
            rng: rng.clone(),
        };
        let how_many = if rng.u8(..50) == 0 { rng.u128(40..120) } else { rng.u128(2..7) };
        let syncs: Vec<SyncRef> = (0..how_many).map(|it| sync(&mut rng, it)).collect();
        for sync in &syncs {
            world.api.create(sync.clone(), rng.u8(..5) > 0);
        }
        world.windows = windows(&mut rng, wall, &syncs);
        world.rng = rng;
        if world.rng.u8(..16) == 0 && how_many < 50 {
            let disk = Disk::new();
            world.store = Store::open(&disk.ledger()).unwrap();
            world.disk = Some(disk);
        }
        let days = 2 + world.rng.u64(..3);
        world.count_clock_changes(days);
        world.schedule_the_unkind(Duration::from_hours(24 * days));
        world
    }

    /// With a history, for a seed that failed.
    pub(super) fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    /// Windows that live through a night in which the clocks of their zone change.
    fn count_clock_changes(&mut self, days: u64) {
        let until = self.wall + TimeDelta::days(i64::try_from(days).unwrap());
        let zones = self.windows.iter().map(|it| it.times.zone());
        let changes =
            zones.filter(|it| it.next_transition(self.wall).is_some_and(|it| it.at < until)).count();
        (0..changes).for_each(|_| self.meet(Fault::SummerTime, On::World));
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
        often(self, 4.0 * unkindness, Happening::SyncGoes);
        if self.rng.u8(..3) == 0 {
            let organization: Name = if self.rng.bool() { "default" } else { "emea" }.into();
            self.troubled.insert(organization.clone());
            often(self, 2.0, Happening::OrganizationIsDown { organization });
        }
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

    /// How long it lives.
    pub(super) fn days(&self) -> f64 {
        (self.ends.as_secs_f64() - 100_000.0) / 86_400.0
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
            Happening::Errand { process, reply } => self.hear_errand(process, *reply),
            Happening::Read { process, look, answers_in } => self.read(process, *look, answers_in),
            Happening::Apply { sync, active, request } => {
                let now = self.now();
                note!(self, "the API applies request {request}: {sync} active={active}");
                if !(active && self.plant == Plant::ResumeDoesNothing) {
                    self.api.apply(&sync, active, Who::Daemon { request }, now);
                }
            }
            Happening::Wake { sleep } if sleep == self.sleeps => self.pass(),
            Happening::Wake { .. } => {}
            Happening::Crash => self.crash(Fault::Crash),
            Happening::Start => self.start(),
            Happening::Person => self.person(),
            Happening::Edit => self.edit(),
            Happening::Clock => self.move_clock(),
            Happening::ClockIsSetRight => self.set_clock_right(),
            Happening::OrganizationIsDown { organization } => self.organization_goes_down(organization),
            Happening::OrganizationIsUp { organization } => {
                note!(self, "organization {organization} is up");
                self.down.remove(&organization);
            }
            Happening::SyncGoes => self.sync_goes(),
            Happening::SyncIsBack { sync } => {
                note!(self, "{sync} is back");
                self.judge.person_acts(&sync);
                self.api.is_back(&sync);
            }
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

    pub(super) fn met(&self) -> &BTreeMap<(Fault, On), u64> {
        &self.met
    }

    pub(super) fn checked(&self) -> &BTreeMap<&'static str, u64> {
        self.judge.checked()
    }

    fn meet(&mut self, fault: Fault, on: On) {
        *self.met.entry((fault, on)).or_default() += 1;
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
