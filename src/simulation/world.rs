//! One simulated world: two clocks, an API, people, a ledger, and the daemon's
//! reconciler in the middle of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::calendar::{Calendar, OpenWindows};
use crate::domain::event::{Event, EventKind};
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Ended, Moment};
use crate::domain::operator::{Order, What};
use crate::domain::organization::{KeySource, Organization};
use crate::domain::plan::{Evidence, Rules};
use crate::domain::selection::Seen;
use crate::domain::sync::{Name, SyncRef, SyncState};
use crate::domain::verdict::{Failure, FailureKind, Verdict};
use crate::domain::window::{End, Times, Window};
use crate::ledger::{Change, Contents, Store};
use crate::polytomic::Limits;
use crate::polytomic::throttle::Outcome;
use crate::reconcile::{Action, ErrandReply, InForce, Reconciler, Reply, Selection, SweepReply, Terms};

use super::api::{Api, Switched, Who};
use super::fault::{Fault, On};
use super::judge::Judge;
use super::ordered::Ordered;
use super::scene::{Scene, Unkindness};

/// A line of the history, made only where somebody is going to read it.
macro_rules! note {
    ($world:expr, $told:ident: $($what:tt)+) => {
        if $world.is_recorded {
            let what = format!($($what)+);
            $world.note(Told::$told(what));
        }
    };
}

mod course;
mod daemon;
mod judging;
mod lists;
mod orders;
mod people;
mod requests;
mod storage;
mod unkind;

pub(super) use lists::Heard;
use storage::Disk;

/// What a machine's uptime is when its world begins.
const BEGINNING: Duration = Duration::from_secs(100_000);
/// What is not at rest so long after the last fault, and after a window, never
/// will be.
const BOUND: TimeDelta = TimeDelta::minutes(30);
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
    /// A list in place of looks reaches the process that asked for it.
    Swept {
        process: u64,
        reply: Box<SweepReply>,
    },
    /// A list of what there is reaches the process that asked for it.
    Listed {
        process: u64,
        organization: Arc<Organization>,
        listed: Result<Vec<Seen>, Failure>,
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
    SyncIsRenamed,
    SyncIsBack {
        sync: SyncRef,
    },
    Disk {
        full: bool,
    },
    Operator,
    Order,
    /// From here on nothing goes wrong any more.
    Calm,
    /// Nothing has gone wrong for so long that all has to be at rest.
    Rest,
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
/// A world, and the daemon in it.
#[derive(Debug)]
pub struct World {
    seed: u64,
    rng: fastrand::Rng,
    uptime: Duration,
    wall: DateTime<Utc>,
    booted: Duration,
    // How often the power went.
    boots: u128,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next_number: u64,
    api: Api,
    store: Store,
    // What the store says of each sync, so that nobody has to read all of it.
    rows: BTreeMap<SyncRef, Hold>,
    // When each was asked to run last.
    started: BTreeMap<SyncRef, DateTime<Utc>>,
    reconciler: Option<Reconciler>,
    process: u64,
    sleeps: u64,
    open: Option<OpenWindows>,
    windows: Vec<Window>,
    config_is_broken: bool,
    // What the running process has in force.
    in_force: Option<Arc<Calendar>>,
    organizations: BTreeMap<Name, (Arc<Organization>, Limits)>,
    rules: Rules,
    max_sleep: Duration,
    timeout: Duration,
    disk_is_full: bool,
    is_calm: bool,
    covered: BTreeSet<SyncRef>,
    ends: Duration,
    judge: Judge,
    ordered: Ordered,
    met: BTreeMap<(Fault, On), u64>,
    log: Vec<(DateTime<Utc>, Told)>,
    is_recorded: bool,
    unkindness: Unkindness,
    plant: Plant,
    // A ledger in a file, in some worlds.
    disk: Option<Disk>,
    // Organizations that are down, and what their requests meet.
    down: BTreeMap<Name, FailureKind>,
    // When a sync that was gone came back last.
    came_back: Option<Duration>,
    // By how much the clock is wrong.
    clock_error: Option<TimeDelta>,
}

/// A line of a world's history.
#[derive(Debug, Clone)]
pub enum Told {
    /// What the daemon tells.
    Daemon(Box<Event>),
    /// What happens around it.
    World(String),
    /// What becomes of a request.
    Request(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(event) => write!(f, "daemon: {event}"),
            Self::World(what) | Self::Request(what) => f.write_str(what),
        }
    }
}

fn empty_store() -> Store {
    Store::in_memory().expect("SQLite has memory")
}

/// A defect put into the world on purpose, to see that the judge finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
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
    /// A start does not know what windows were found to select.
    ForgetsSelections,
    /// A start does not know what operators ordered.
    ForgetsOrders,
    /// A start makes nothing of what an operator or a window's end left to resume.
    ForgetsResuming,
    /// A pause leaves when all is over, and nobody knows of it.
    PausesAtTheEnd,
    /// The daemon never wakes by itself.
    SleepsOn,
    /// A resume that failed twice is not tried again.
    GivesUp,
}

impl Plant {
    /// What a start makes of the rows.
    fn defect(self, contents: &mut Contents) {
        let holds = &mut contents.holds;
        match self {
            Self::ForgetsSelections => contents.selections.clear(),
            Self::ForgetsOrders => contents.orders.clear(),
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
    /// The world of this scene, before anything has happened.
    pub fn new(scene: Scene) -> Self {
        Self::with(scene, Plant::Nothing)
    }

    /// The same with a defect.
    pub fn with(scene: Scene, plant: Plant) -> Self {
        let Scene { seed, from, windows, organizations, rules, .. } = scene;
        let (unkindness, disk) = (scene.unkindness, scene.disk.map(Disk::new));
        let store = match &disk {
            Some(disk) => Store::open(&disk.ledger()).expect("the directory was made for it"),
            None => empty_store(),
        };
        let mut api = Api::default();
        for (sync, active) in scene.syncs {
            api.create(sync, active);
        }
        let mut world = Self {
            seed,
            rng: fastrand::Rng::with_seed(seed),
            uptime: BEGINNING,
            booted: BEGINNING,
            boots: 0,
            wall: from,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_number: 0,
            api,
            store,
            rows: BTreeMap::new(),
            started: BTreeMap::new(),
            reconciler: None,
            process: 0,
            sleeps: 0,
            open: None,
            windows,
            config_is_broken: false,
            in_force: None,
            organizations,
            rules,
            max_sleep: scene.max_sleep,
            timeout: scene.timeout,
            disk_is_full: false,
            is_calm: false,
            covered: BTreeSet::new(),
            ends: BEGINNING + scene.ends_after,
            judge: Judge::default(),
            ordered: Ordered::default(),
            met: BTreeMap::new(),
            log: Vec::new(),
            is_recorded: false,
            unkindness,
            plant,
            disk,
            down: BTreeMap::new(),
            came_back: None,
            clock_error: None,
        };
        world.count_clock_changes(scene.calm_after);
        world.schedule_the_unkind(scene.calm_after);
        world.after(scene.calm_after, Happening::Calm);
        if let Some(wait) = scene.windows_end_after {
            world.after(wait, Happening::LastWindowEnds);
        }
        world
    }

    /// With a history, for a seed that failed.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    /// Windows that live through a night in which the clocks of their zone change.
    fn count_clock_changes(&mut self, span: Duration) {
        let until = self.wall + TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
        let zones = self.windows.iter().map(|it| it.times.zone());
        let changes =
            zones.filter(|it| it.next_transition(self.wall).is_some_and(|it| it.at < until)).count();
        (0..changes).for_each(|_| self.meet(Fault::SummerTime, On::World));
    }

    fn schedule_the_unkind(&mut self, span: Duration) {
        self.after(Duration::from_secs(1), Happening::Start);
        let Unkindness { faults, people, clocks, edits, outages_of } = self.unkindness.clone();
        self.often(span, 8.0 * faults * 4.0, &Happening::Crash);
        self.often(span, 40.0 * people, &Happening::Person);
        self.often(span, 4.0 * people, &Happening::Operator);
        self.often(span, 4.0 * people, &Happening::Order);
        self.often(span, if self.selects() { 6.0 * people } else { 0.0 }, &Happening::SyncIsRenamed);
        self.often(span, if edits.is_empty() { 0.0 } else { 6.0 * faults }, &Happening::Edit);
        self.often(span, if clocks { 3.0 } else { 0.0 }, &Happening::Clock);
        self.often(span, 4.0 * faults, &Happening::Disk { full: true });
        self.often(span, 4.0 * faults, &Happening::SyncGoes);
        if let Some(organization) = outages_of {
            self.often(span, 2.0, &Happening::OrganizationIsDown { organization });
        }
        self.often(span, 48.0, &Happening::Inspect);
    }

    fn selects(&self) -> bool {
        self.windows.iter().any(|it| it.select.is_some())
    }

    /// It happens so many times a day, at any time in `span`.
    fn often(&mut self, span: Duration, a_day: f64, what: &Happening) {
        let times = a_day * span.as_secs_f64() / 86_400.0;
        let mut left = times.floor() + f64::from(u8::from(self.rng.f64() < times.fract()));
        while left >= 1.0 {
            let at = span.mul_f64(self.rng.f64());
            self.after(at, what.clone());
            left -= 1.0;
        }
    }

    // ---- time ----

    pub(super) fn now(&self) -> Moment {
        Moment { wall: self.wall, uptime: self.uptime.saturating_sub(self.booted) }
    }

    /// Now, as another process understands it.
    pub(super) fn ended(&self) -> Ended {
        Ended { boot: Uuid::from_u128(self.boots), since_boot: self.uptime, wall: self.wall }
    }

    fn after(&mut self, wait: Duration, what: Happening) {
        let number = self.a_number();
        self.queue.push(Reverse((self.uptime + wait, number)));
        self.happenings.insert(number, what);
    }

    /// One that nothing else in this world has.
    pub(super) fn a_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// How long it lives.
    pub fn days(&self) -> f64 {
        self.ends.saturating_sub(BEGINNING).as_secs_f64() / 86_400.0
    }

    /// Lets all of it happen.
    pub fn run(&mut self) {
        while let Some(Reverse((at, number))) = self.queue.pop() {
            let Some(what) = self.happenings.remove(&number) else { continue };
            if at > self.ends {
                break;
            }
            let passed = at.saturating_sub(self.uptime);
            self.uptime = at.max(self.uptime);
            self.wall += TimeDelta::from_std(passed).unwrap_or_default();
            self.watch_blocks();
            self.happens(what);
        }
        if self.plant == Plant::PausesAtTheEnd {
            self.pause_unnoticed();
        }
        self.at_rest();
    }

    fn pause_unnoticed(&mut self) {
        let now = self.now();
        let first = self.api.syncs().next().cloned();
        if let Some(sync) = first {
            self.api.apply(&sync, true, Who::Person, now);
            self.api.apply(&sync, false, Who::Daemon { request: u64::MAX }, now);
        }
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Answer { process, reply } => self.answer(process, *reply),
            Happening::Errand { process, reply } => self.hear_errand(process, *reply),
            Happening::Swept { process, reply } => self.hear_sweep(process, *reply),
            Happening::Listed { process, organization, listed } => {
                self.hear_list(process, &organization, &listed);
            }
            Happening::Read { process, look, answers_in } => self.read(process, *look, answers_in),
            Happening::Apply { sync, active, request } => {
                let now = self.now();
                note!(self, Request: "the API applies request {request}: {sync} active={active}");
                if !(active && self.plant == Plant::ResumeDoesNothing) {
                    self.api.apply(&sync, active, Who::Daemon { request }, now);
                }
            }
            Happening::Wake { sleep } if sleep == self.sleeps && self.plant != Plant::SleepsOn => self.pass(),
            Happening::Wake { .. } => {}
            Happening::Crash => self.end(),
            Happening::Start => self.start(),
            Happening::Person => self.person(),
            Happening::Edit => self.edit(),
            Happening::Clock => self.move_clock(),
            Happening::ClockIsSetRight => self.set_clock_right(),
            Happening::OrganizationIsDown { organization } => self.organization_goes_down(organization),
            Happening::OrganizationIsUp { organization } => {
                note!(self, World: "organization {organization} is up");
                self.down.remove(&organization);
            }
            Happening::SyncGoes => self.sync_goes(),
            Happening::SyncIsRenamed => self.rename_sync(),
            Happening::SyncIsBack { sync } => {
                note!(self, World: "{sync} is back");
                self.judge.person_acts(&sync);
                self.api.is_back(&sync);
                self.came_back = Some(self.uptime);
            }
            Happening::Disk { full } => self.disk(full),
            Happening::Operator => self.operator(),
            Happening::Order => self.order(),
            Happening::Calm => self.calm(),
            Happening::Rest => self.at_rest(),
            Happening::LastWindowEnds => {
                self.judge.blocks_moved();
                self.windows.clear();
                self.reload();
            }
            Happening::Inspect => self.inspect(),
        }
    }

    /// What went wrong, and how often.
    pub fn met(&self) -> &BTreeMap<(Fault, On), u64> {
        &self.met
    }

    /// Which promises were put to the test, and how often.
    pub fn checked(&self) -> &BTreeMap<&'static str, u64> {
        self.judge.checked()
    }

    fn meet(&mut self, fault: Fault, on: On) {
        *self.met.entry((fault, on)).or_default() += 1;
    }

    fn note(&mut self, told: Told) {
        self.log.push((self.wall, told));
    }

    /// What was told, in order, by the world's wall clock.
    pub fn log(&self) -> &[(DateTime<Utc>, Told)] {
        &self.log
    }

    /// Every move of a switch, in order.
    pub fn switched(&self) -> &[Switched] {
        self.api.changes()
    }

    /// All of it for a person who looks for a mistake.
    pub fn history(&self) -> String {
        let mut text = format!("seed {}\n", self.seed);
        for window in &self.windows {
            let _ = writeln!(text, "window {}: {}, {:?}", window.name, window.times, window.on_manual_resume);
        }
        for (at, told) in &self.log {
            let _ = writeln!(text, "{} {told}", at.format("%m-%d %H:%M:%S%.3f"));
        }
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
