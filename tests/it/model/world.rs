//! One sync in a small world: the product's own plan, row and case, driven in the
//! order in which `reconcile` and `daemon::executor` drive them.
//!
//! Time goes in ticks of half a minute. Requests live a tick at most before they
//! are given up, and what was given up may be applied for two more.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::execution::OnRunning;
use intermission::domain::hold::Hold;
use intermission::domain::moment::Moment;
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::{Case, Errand, Told};
use intermission::domain::sync::{SyncKind, SyncRef, SyncState};
use uuid::Uuid;

mod actions;
mod course;
mod daemon;
mod gate;
mod inquiry;
mod key;
mod people;
mod plant;
mod promises;
mod requests;
mod windows;

pub(super) use actions::{Action, Budget};
use gate::Heard;
pub(super) use plant::Plant;
pub(super) use promises::{Broken, Met};
use windows::File;

const TICK: u64 = 30;
/// How many ticks an abandoned request may live.
const SETTLE: u64 = 2;
/// An answer older than this is asked for again, as in `reconcile`.
const FRESH: Duration = Duration::from_secs(10);
/// The wall clock's last tick; all windows are over well before it.
const LAST: i64 = 9;
const CLOCK_STEP: i64 = 3;
/// A limit that no window lives to see: half an hour, as usual.
const UNREACHED: i64 = 60;
/// Where proofs are waited for, time goes on until they are given up.
const LONG_AFTER: i64 = LAST + 200;

/// How what is asked about executions is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inquiries {
    /// In no time, so that nothing comes in between.
    AtOnce,
    /// As everything else: it takes time, and may fail.
    Asked,
    /// Every one of them fails.
    NeverAnswered,
}

/// What one world is about, and nothing in it changes.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) windows: [(i64, i64); 2],
    pub(super) kind: SyncKind,
    /// What both windows say.
    pub(super) on_running: Option<OnRunning>,
    /// For so many ticks they wait.
    pub(super) limit: i64,
    pub(super) inquiries: Inquiries,
}

impl Scene {
    /// A model sync, of whose executions nobody asks for anything.
    pub(super) fn new(windows: [(i64, i64); 2]) -> Self {
        Self {
            windows,
            kind: SyncKind::Model,
            on_running: None,
            limit: UNREACHED,
            inquiries: Inquiries::AtOnce,
        }
    }
}

impl From<[(i64, i64); 2]> for Scene {
    fn from(windows: [(i64, i64); 2]) -> Self {
        Self::new(windows)
    }
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

/// A question about executions under way.
#[derive(Debug, Clone)]
struct Inquiry {
    errand: Errand,
    sent: Moment,
    told: Option<Told>,
    /// Not once a pause left after it was asked.
    counts: bool,
}

/// A resume that the API confirmed and did not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FalseConfirmation {
    heard: Duration,
    /// How much could still go wrong then.
    left: u8,
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
    /// Windows inside which a person was seen to switch it on, as long as somebody knows.
    respected: u8,
    /// What was last told of its executions, and the tick at which that was asked.
    heard: Option<(Heard, i64)>,
    /// An execution was seen to run since the last pause.
    has_waited: bool,
    false_confirmation: Option<FalseConfirmation>,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    scene: Arc<Scene>,
    wall: i64,
    uptime: u64,
    process: Option<Process>,
    flight: Option<Flight>,
    inquiry: Option<Inquiry>,
    queue: Vec<Option<Hold>>,
    row: Option<Hold>,
    file: File,
    is_broken: bool,
    active: bool,
    /// Whether an execution runs.
    is_executing: bool,
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

fn organization() -> Arc<Organization> {
    ORGANIZATION.with(Arc::clone)
}

impl World {
    pub(super) fn new(scene: &Arc<Scene>, active: bool, left: Budget) -> Self {
        Self {
            scene: Arc::clone(scene),
            wall: 1,
            uptime: 10,
            process: None,
            flight: None,
            inquiry: None,
            queue: vec![],
            row: None,
            file: File::Both,
            is_broken: false,
            active,
            is_executing: false,
            abandoned: vec![],
            left,
            watch: Watch { was_active: active, ..Watch::default() },
        }
    }

    fn sync(&self) -> SyncRef {
        SyncRef::new(ORGANIZATION.with(|it| it.name.clone()), self.scene.kind, Uuid::from_u128(1))
    }

    fn now(&self) -> Moment {
        Moment { wall: at(self.wall), uptime: up(self.uptime) }
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
