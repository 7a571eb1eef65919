//! The product's own reconciler, planner and ledger in a simulated night: an
//! API that loses requests and answers, applies them late or refuses them,
//! people who switch syncs at any instant, crashes between any two steps, a
//! clock that is set, files that are edited and broken, a disk that is full.
//!
//! Each seed is one such world, some days long. It is judged by what happened
//! at the API, not by what the daemon says of itself. A failing seed prints the
//! command that replays it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use intermission::simulation::{Fault, On, Plant, World};

mod scene;

/// The world of a seed, and the directory of its ledger, if it has one.
struct Night {
    world: World,
    _disk: Option<tempfile::TempDir>,
}

impl Night {
    fn new(seed: u64, plant: Plant) -> Self {
        let mut disk = None;
        // In memory where there is such a place: the tests do not wait for a disk.
        let directory = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let scene = scene::scene(seed, || disk.insert(directory()).path().to_owned());
        Self { world: World::with(scene, plant), _disk: disk }
    }
}

/// What happened in the world of a seed, written down.
fn history(seed: u64) -> String {
    let night = Night::new(seed, Plant::Nothing);
    let mut world = night.world.recorded();
    world.run();
    world.history()
}

/// So many seeds are run unless `INTERMISSION_SEEDS` says otherwise: how many, or
/// which (`5000..9000`).
const SEEDS: u64 = 2000;

#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn asked(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// The seed that is to be replayed.
fn replayed() -> Option<u64> {
    asked("INTERMISSION_SEED").map(|it| it.parse().expect("INTERMISSION_SEED is a number"))
}

/// The seeds to run: one that is to be replayed, or a row of them.
fn seeds() -> Range<u64> {
    if let Some(seed) = replayed() {
        return seed..seed + 1;
    }
    let Some(seeds) = asked("INTERMISSION_SEEDS") else { return 0..SEEDS };
    let (from, to) = seeds.split_once("..").unwrap_or(("0", &seeds));
    let number =
        |text: &str| text.parse().expect("INTERMISSION_SEEDS is a number, or two with .. between them");
    number(from)..number(to)
}

#[expect(clippy::disallowed_methods, reason = "only to say how fast it went")]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

/// What some seeds met, and what was put to the test in them.
#[derive(Default)]
struct Tally {
    met: BTreeMap<(Fault, On), u64>,
    checked: BTreeMap<&'static str, u64>,
    days: f64,
}

impl Tally {
    /// Runs one seed, and says how to run it again if it breaks a promise.
    fn add(&mut self, seed: u64) -> Result<(), String> {
        let Night { mut world, _disk } = Night::new(seed, Plant::Nothing);
        world.run();
        self.days += world.days();
        let add = |(fault, times): (&_, &u64)| *self.met.entry(*fault).or_default() += times;
        world.met().iter().for_each(add);
        let verdict = world.judge();
        let add =
            |(promise, times): (&&'static str, &u64)| *self.checked.entry(promise).or_default() += times;
        world.checked().iter().for_each(add);
        verdict.map_err(|broken| {
            // The same night once more, this time written down.
            format!(
                "seed {seed} broke a promise: {broken}\n\nwhat happened:\n{}\n\nreplay it with\n  \
                 INTERMISSION_SEED={seed} cargo test --locked --test it simulation::whatever -- --nocapture\n",
                history(seed)
            )
        })
    }

    fn join(&mut self, other: Self) {
        self.days += other.days;
        other.met.into_iter().for_each(|(fault, times)| *self.met.entry(fault).or_default() += times);
        other.checked.into_iter().for_each(|(it, times)| *self.checked.entry(it).or_default() += times);
    }
}

/// Runs the seeds on all processors. Of several that fail the first is told.
fn run(seeds: Range<u64>) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seeds.end <= seed {
                return Ok(tally);
            }
            tally.add(seed).map_err(|told| (seed, told))?;
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let results: Vec<Result<Tally, (u64, String)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|it| it.join().expect("a world does not panic")).collect()
    });
    if let Some((_, told)) = results.iter().filter_map(|it| it.as_ref().err()).min() {
        panic!("{told}");
    }
    results.into_iter().flatten().fold(Tally::default(), |mut all, one| {
        all.join(one);
        all
    })
}

#[test]
fn whatever_happens_the_promises_hold_and_every_fault_was_met() {
    let began = started();
    let Tally { met, checked, days } = run(seeds());
    if let Some(seed) = replayed() {
        return println!("{}", history(seed));
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{days:.0} simulated days in {seconds:.1} s: {:.0} days a second", days / seconds);
    println!("faults met: {met:?}\npromises put to the test: {checked:?}");
    let never: Vec<_> = Fault::ALL.iter().filter(|it| !met.contains_key(it)).collect();
    assert!(never.is_empty(), "these faults were never met: {never:?}");
    for promise in ["P1", "P2", "P3", "P4", "P5", "P8", "P9", "P18", "P22", "catch-up", "lateness"] {
        assert!(checked.get(promise).is_some_and(|it| *it > 100), "{promise} was hardly tested: {checked:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_night() {
    for seed in [3, 17, 255] {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}

/// The judge is not blind: with a promise broken on purpose, it says so.
#[test]
fn a_sync_that_is_left_paused_is_found() {
    let Night { mut world, _disk } = Night::new(1, Plant::PausesAtTheEnd);
    world.run();
    assert!(world.judge().is_err_and(|it| it.starts_with("P2")));
}

/// Nor to what the daemon itself cannot know: each defect of the world around
/// it breaks a promise in some seed.
#[test]
fn planted_defects_are_found() {
    let plants = [
        (Plant::ForgetfulLedger, "P"),
        (Plant::UnknownIsApplied, "P"),
        (Plant::UnknownIsRefused, "P"),
        (Plant::ResumeDoesNothing, "P"),
        (Plant::ForgetsLeftAlone, "P9"),
        (Plant::SkippedIsHeld, "P1"),
        (Plant::ForgetsResuming, "P2"),
        (Plant::ForgetsSelections, "P22"),
        (Plant::ForgetsOrders, "P"),
    ];
    each_is_found(&plants);
}

/// Nor to what is merely never done: faults stop, and it does not come to rest.
#[test]
fn what_is_never_done_is_found() {
    each_is_found(&[(Plant::SleepsOn, "P4"), (Plant::GivesUp, "P4")]);
}

fn each_is_found(plants: &[(Plant, &str)]) {
    for &(plant, promise) in plants {
        let found = (0..2000).find_map(|seed| {
            let Night { mut world, _disk } = Night::new(seed, plant);
            world.run();
            world.judge().err().filter(|it| it.starts_with(promise))
        });
        println!("{plant:?}: {found:?}");
        assert!(found.is_some(), "{plant:?} was not found");
    }
}
