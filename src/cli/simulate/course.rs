//! What came of one stretch of simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Faults;
use super::tour::Leg;
use crate::config::Config;
use crate::daemon;
use crate::domain::calendar::{Calendar, Desired, SyncPause};
use crate::domain::execution::{Asked, OnRunning};
use crate::domain::sync::{SyncKind, SyncRef};
use crate::domain::window::Window;
use crate::simulation::{Scene, Switched, Told, Unkindness, Who, World};

/// What came of it.
pub(super) struct Course {
    pub(super) seed: u64,
    pub(super) leg: Leg,
    pub(super) log: Vec<(DateTime<Utc>, Told)>,
    pub(super) paused: Delays,
    pub(super) resumed: Delays,
    pub(super) late: Vec<Late>,
    /// Faults by name, and how often each was met.
    pub(super) met: BTreeMap<String, u64>,
    pub(super) broken: Option<String>,
}

/// How many switches were moved by the daemon, and how long after their time the
/// last one was.
#[derive(Default)]
pub(super) struct Delays {
    pub(super) count: usize,
    pub(super) longest: TimeDelta,
}

/// A switch that was moved late.
pub(super) struct Late {
    pub(super) sync: SyncRef,
    pub(super) due: DateTime<Utc>,
    pub(super) by: TimeDelta,
    pub(super) to: bool,
}

/// Later than this is late.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// Faults and people stop, and so long after that all has to be at rest.
const CALM: Duration = Duration::from_mins(35);

impl Course {
    pub(super) fn of(config: &Config, leg: &Leg, faults: Faults, seed: u64) -> Self {
        let mut world = World::new(scene(config, leg, faults, seed)).recorded();
        world.run();
        let broken = world.judge().err();
        let mut course = Self {
            seed,
            leg: leg.clone(),
            log: world.log().to_vec(),
            paused: Delays::default(),
            resumed: Delays::default(),
            late: Vec::new(),
            met: BTreeMap::new(),
            broken,
        };
        for ((fault, _), times) in world.met() {
            *course.met.entry(fault.to_string()).or_default() += times;
        }
        course.measure(&config.calendar, world.switched());
        course
    }

    /// Compares when switches were moved with when they should have been.
    fn measure(&mut self, calendar: &Calendar, switched: &[Switched]) {
        let mut of_sync = BTreeMap::<&SyncRef, Vec<&Switched>>::new();
        for it in switched {
            of_sync.entry(&it.sync).or_default().push(it);
        }
        for pause in calendar.pauses(self.leg.from, self.leg.until) {
            let moves = of_sync.get(&pause.sync).map_or(&[][..], Vec::as_slice);
            let from = pause.from.max(self.leg.from);
            let is_ours = |it: &Switched| matches!(it.who, Who::Daemon { .. });
            let is_pause = |it: &&Switched| is_ours(it) && !it.to && from <= it.at && it.at < pause.until;
            let Some(off) = moves.iter().position(is_pause) else { continue };
            self.note(&pause, pauses_by(calendar, &pause.sync, from), moves[off]);
            // Who was switched on by somebody is not ours to be resumed.
            if let Some(on) = moves.get(off + 1).filter(|it| is_ours(it) && it.to && pause.until <= it.at) {
                self.note(&pause, pause.until, on);
            }
        }
        self.late.sort_by(|a, b| (a.due, &a.sync).cmp(&(b.due, &b.sync)));
    }

    fn note(&mut self, pause: &SyncPause, due: DateTime<Utc>, moved: &Switched) {
        let by = (moved.at - due).max(TimeDelta::zero());
        let delays = if moved.to { &mut self.resumed } else { &mut self.paused };
        delays.count += 1;
        delays.longest = delays.longest.max(by);
        if LATE < by {
            self.late.push(Late { sync: pause.sync.clone(), due, by, to: moved.to });
        }
    }
}

/// When a pause that begins then is due: a bulk sync's waits for what runs, and no
/// longer than its window allows.
fn pauses_by(calendar: &Calendar, sync: &SyncRef, begins: DateTime<Utc>) -> DateTime<Utc> {
    let Desired::Paused(pause) = calendar.desired(sync, begins) else { return begins };
    let asked = Asked::of(&pause.holders, sync.kind);
    let waits = sync.kind == SyncKind::Bulk && asked.on_running == OnRunning::Wait;
    begins.max(asked.until.filter(|_| waits).unwrap_or(begins))
}

fn scene(config: &Config, leg: &Leg, faults: Faults, seed: u64) -> Scene {
    let in_force = daemon::in_force(config);
    let calm_after = (leg.until - leg.from).to_std().unwrap_or_default();
    let timeouts = config.organizations.values().map(|it| it.limits.request_timeout);
    Scene {
        seed,
        from: leg.from,
        windows: config.calendar.windows().iter().map(as_selected).collect(),
        organizations: in_force.organizations,
        rules: in_force.rules,
        max_sleep: config.reconcile.max_sleep,
        timeout: timeouts.max().unwrap_or(Duration::from_secs(30)).min(config.reconcile.settle),
        syncs: Arc::clone(&in_force.calendar).syncs().map(|it| (it.clone(), true)).collect(),
        calm_after,
        windows_end_after: None,
        ends_after: calm_after + CALM,
        unkindness: unkindness(config, faults, seed),
        disk: None,
    }
}

/// What the window was last found to select is named; nobody lists it anew.
fn as_selected(window: &Window) -> Window {
    Window { select: None, ..window.clone() }
}

fn unkindness(config: &Config, faults: Faults, seed: u64) -> Unkindness {
    let mut dice = fastrand::Rng::with_seed(seed);
    match faults {
        Faults::None => Unkindness::default(),
        Faults::Some => Unkindness { faults: 0.05, people: 0.05, ..Unkindness::default() },
        Faults::Many => Unkindness {
            faults: 0.3,
            people: 1.0,
            clocks: true,
            outages_of: dice.choice(config.organizations.keys()).cloned(),
            ..Unkindness::default()
        },
    }
}
