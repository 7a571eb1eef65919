//! How work grows with what there is: counted in instructions by valgrind, which
//! are the same on every machine that is busy, and in fsyncs by strace; never in time.
//!
//! Each kind of work is done at a size and at ten times that size, by this very
//! program run anew, and only what is inside of [`measured`] is counted as instructions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::domain::calendar::{Calendar, OpenWindows};
use intermission::domain::event::{Event, EventKind};
use intermission::domain::execution::{RunPolicy, RunStatus};
use intermission::domain::hold::HoldState;
use intermission::domain::moment::Moment;
use intermission::domain::organization::{KeySource, Organization, Proxy};
use intermission::domain::plan::{Errand, Evidence, Learnt, Proof, Rules, Told};
use intermission::domain::sync::{SyncKind, SyncRef, SyncState};
use intermission::domain::verdict::Verdict;
use intermission::domain::window::{Dates, End, OnManualResume, Start, Times, When, Window};
use intermission::domain::zone::Zone;
use intermission::ledger::{Change, Store};
use intermission::polytomic::Limits;
use intermission::reconcile::{Action, ErrandReply, InForce, Outcome, Reconciler, Reply};
use uuid::Uuid;

use crate::skipped::skipped;

/// Which work, and how much of it.
const ASKED: &str = "INTERMISSION_GROWTH";

/// So many records come at once.
const BURST: usize = 50;

/// So many boundaries are passed.
const BOUNDARIES: u32 = 20;

fn start() -> Moment {
    let wall = "2027-06-01T20:00:00Z".parse().unwrap();
    Moment { wall, uptime: Duration::from_hours(1) }
}

fn after(seconds: u32) -> Moment {
    let Moment { wall, uptime } = start();
    Moment {
        wall: wall + TimeDelta::seconds(seconds.into()),
        uptime: uptime + Duration::from_secs(seconds.into()),
    }
}

fn sync(number: usize) -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number as u128 + 1))
}

fn once(name: &str, opens: DateTime<Utc>, length: TimeDelta, syncs: impl Iterator<Item = usize>) -> Window {
    let start = Start::Once(When::Instant(opens));
    Window {
        name: name.into(),
        times: Times::new(start, End::After(length), Dates::default(), Zone::utc(), opens).unwrap(),
        lead: TimeDelta::zero(),
        syncs: syncs.map(sync).collect::<BTreeSet<_>>(),
        on_manual_resume: OnManualResume::Respect,
        description: None,
        longer: None,
        select: None,
        runs: RunPolicy::default(),
    }
}

/// Windows that open a second after the other, each with a sync of its own.
fn one_after_the_other(count: usize) -> Vec<Window> {
    let opens = |nth: usize| after(u32::try_from(nth).unwrap() + 1).wall;
    let window = |nth| once(&format!("w{nth}"), opens(nth), TimeDelta::days(3), std::iter::once(nth));
    (0..count).map(window).collect()
}

// ---- the work ----

#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// Twenty boundaries, one window each, among so many windows.
fn boundaries(windows: usize) {
    let calendar = Calendar::new(one_after_the_other(windows));
    let mut open = calendar.open_at(start().wall);
    let passed = measured(|| (0..BOUNDARIES).filter(|_| advance(&calendar, &mut open)).count());
    assert_eq!(passed, BOUNDARIES as usize);
    assert_eq!(open.paused().count(), passed);
}

fn advance(calendar: &Calendar, open: &mut OpenWindows) -> bool {
    let next = open.next_change().unwrap();
    let advanced = calendar.advance(open, next).unwrap();
    calendar.syncs_of_change(&advanced).count() == 1
}

/// Twenty boundaries with one sync each, while so many others are held.
fn passes(held: usize) {
    let all = once("all", start().wall - TimeDelta::hours(1), TimeDelta::days(3), 100..100 + held);
    let mut windows = one_after_the_other(BOUNDARIES as usize);
    windows.push(all);
    let mut night = Night::new(windows);
    night.pass(start());
    assert_eq!(night.held(), held);
    measured(|| (1..=BOUNDARIES).for_each(|second| night.pass(after(second))));
    assert_eq!(night.held(), held + BOUNDARIES as usize);
}

/// A window that opens and closes for so many syncs, all that is asked and told of
/// them included.
fn crowd(syncs: usize) {
    let window = once("all", after(1).wall, TimeDelta::seconds(10), 0..syncs);
    let mut night = Night::new(vec![window]);
    night.pass(start());
    measured(|| {
        night.pass(after(1));
        assert_eq!(night.held(), syncs);
        night.pass(after(11));
    });
    assert_eq!(night.held(), 0);
}

/// So many times fifty records that come at once.
fn bursts(count: usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("ledger.db")).unwrap();
    for _ in 0..count {
        let event = |nth| Event { sync: Some(sync(nth)), ..Event::new(EventKind::Paused) };
        let changes: Vec<_> = (0..BURST).map(|nth| Change::new().record(start().wall, event(nth))).collect();
        store.apply(&changes).unwrap();
    }
}

/// A reconciler, and an API that answers at once.
struct Night {
    reconciler: Reconciler,
    off: BTreeSet<SyncRef>,
}

impl Night {
    fn new(windows: Vec<Window>) -> Self {
        let organization = Arc::new(Organization {
            name: "default".into(),
            url: "https://polytomic.example".to_owned(),
            api_version: "2025-09-18".to_owned(),
            organization_id: None,
            key: KeySource::Environment("KEY".to_owned()),
            ca_file: None,
            proxy: Proxy::None,
        });
        let in_force = InForce {
            calendar: Arc::new(Calendar::new(windows)),
            organizations: BTreeMap::from([("default".into(), (organization, Limits::default()))]),
            rules: Rules::default(),
            preflight: None,
        };
        let dice = fastrand::Rng::with_seed(7);
        let reconciler = Reconciler::new(vec![], vec![], Some(in_force), dice);
        Self { reconciler, off: BTreeSet::new() }
    }

    fn held(&self) -> usize {
        self.reconciler.holds().filter(|it| it.state == HoldState::Held).count()
    }

    /// Passes until nobody has anything to do.
    fn pass(&mut self, now: Moment) {
        let mut actions = VecDeque::from(self.reconciler.pass(now));
        loop {
            match actions.pop_front() {
                Some(action) => self.answer(action, now),
                None => actions.extend(self.reconciler.pass(now)),
            }
            if actions.is_empty() && !self.reconciler.is_more_due() {
                break;
            }
        }
    }

    fn answer(&mut self, action: Action, now: Moment) {
        let (sync, organization, evidence) = match action {
            Action::Look { sync, organization } => {
                let state = self.state(&sync);
                (sync, organization, Evidence::Saw { state, sent: now, by: None })
            }
            Action::Pause { sync, organization, .. } => {
                self.off.insert(sync.clone());
                let evidence = Evidence::Answered { active: false, sent: now, verdict: Verdict::Applied };
                (sync, organization, evidence)
            }
            Action::Resume { sync, organization, .. } => {
                self.off.remove(&sync);
                let evidence = Evidence::Answered { active: true, sent: now, verdict: Verdict::Applied };
                (sync, organization, evidence)
            }
            Action::Errand { sync, organization, errand } => {
                let result = Ok(self.told(&sync, errand));
                let learnt = Learnt { sent: now, result };
                return self.reconciler.hear_errand(ErrandReply { sync, organization, learnt }, now);
            }
            Action::Write { .. }
            | Action::WriteAgain { .. }
            | Action::Start { .. }
            | Action::List { .. }
            | Action::Sweep { .. }
            | Action::Scout { .. } => return,
        };
        let reply = Reply { sync, organization, evidence, name: None, outcome: Outcome::Answered };
        self.reconciler.hear(reply, now);
    }

    fn told(&self, sync: &SyncRef, errand: Errand) -> Told {
        let status =
            RunStatus { is_running: false, newest: None, last_completed: None, next: Some(after(99).wall) };
        match errand {
            Errand::Status => Told::Status(status),
            Errand::Cancel => Told::Cancelled,
            Errand::Start => Told::Started,
            Errand::Prove => Told::Proof(Proof {
                state: self.state(sync),
                frequency: intermission::domain::execution::Frequency::ByTime,
                status: Some(status),
            }),
        }
    }

    fn state(&self, sync: &SyncRef) -> SyncState {
        if self.off.contains(sync) { SyncState::Inactive } else { SyncState::Active }
    }
}

// ---- counting ----

/// What the other tests count, when they ask; otherwise a little of each.
#[test]
fn the_work_that_is_counted_is_done() {
    #[expect(clippy::disallowed_methods, reason = "the test harness takes no arguments of ours")]
    let asked = std::env::var(ASKED).unwrap_or_default();
    let (work, size) = asked.split_once(' ').unwrap_or_default();
    match (work, size.parse().unwrap_or(30)) {
        ("boundaries", size) => boundaries(size),
        ("passes", size) => passes(size),
        ("crowd", size) => crowd(size),
        ("bursts", size) => bursts(size),
        (_, size) => {
            boundaries(size);
            passes(size);
            crowd(size);
            bursts(2);
        }
    }
}

/// The instructions of so much work; none without valgrind.
fn count(work: &str, size: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*growth*measured*"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "growth::the_work_that_is_counted_is_done"])
        .env(ASKED, format!("{work} {size}"))
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let counted = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    Some(counted.unwrap_or_else(|| panic!("valgrind counted nothing: {told}")))
}

/// How often the program asks for its data to be on the disk while it does so much
/// work; none without strace.
fn fsyncs(work: &str, size: usize) -> Option<usize> {
    let directory = tempfile::tempdir().unwrap();
    let calls = directory.path().join("calls");
    let output = Command::new("/usr/bin/strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o"])
        .arg(&calls)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "growth::the_work_that_is_counted_is_done"])
        .env(ASKED, format!("{work} {size}"))
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let calls = std::fs::read_to_string(&calls).unwrap();
    Some(calls.lines().filter(|line| line.contains("sync") && line.contains('(')).count())
}

/// Ten times the size is at most so many times the work.
#[track_caller]
fn check(work: &str, size: usize, most: f64) {
    let (Some(little), Some(much)) = (count(work, size), count(work, 10 * size)) else {
        return skipped("instructions are counted by valgrind");
    };
    assert!(little > 10_000, "{little} instructions are not the work");
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
    let ratio = much as f64 / little as f64;
    println!("{work}: {little} instructions for {size}, {ratio:.2} times as many for ten times that");
    assert!(ratio <= most, "{work}: {ratio:.2} times the instructions for ten times {size}");
}

#[test]
fn a_boundary_costs_what_changes_and_not_what_there_is() {
    check("boundaries", 1_000, 1.5);
}

#[test]
fn a_pass_asks_only_those_that_can_change() {
    check("passes", 200, 1.5);
}

#[test]
fn a_crowd_costs_each_of_its_syncs_about_the_same() {
    check("crowd", 100, 14.0);
}

#[test]
fn fifty_records_that_come_at_once_are_on_disk_with_one_fsync() {
    // The first one also makes the log and its place in the directory durable.
    let (Some(one), Some(six)) = (fsyncs("bursts", 1), fsyncs("bursts", 6)) else {
        return skipped("fsyncs are counted by `strace`");
    };
    println!("{one} fsyncs to make a ledger and write a burst of {BURST} records, {six} with six bursts");
    assert_eq!(six - one, 5);
}
