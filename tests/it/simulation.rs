//! The product's own reconciler, planner and ledger in a simulated night: an
//! API that loses requests and answers, applies them late or refuses them,
//! people who switch syncs at any instant, crashes between any two steps, a
//! clock that is set, files that are edited and broken, a disk that is full.
//!
//! Each seed is one such world, some days long. It is judged by what happened
//! at the API, not by what the daemon says of itself. A failing seed prints the
//! command that replays it.

use std::collections::BTreeMap;

use intermission::domain::sync::SyncState;

mod api;
mod fault;
mod judge;
mod world;

use fault::{Fault, On};
use world::{Plant, World};

/// So many seeds are run unless `INTERMISSION_SEEDS` says otherwise.
const SEEDS: u64 = 600;

#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seeds to run: one that is to be replayed, or a row of them.
fn seeds() -> std::ops::Range<u64> {
    match number("INTERMISSION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("INTERMISSION_SEEDS").unwrap_or(SEEDS),
    }
}

#[expect(clippy::disallowed_methods, reason = "only to say how fast it went")]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn whatever_happens_the_promises_hold_and_every_fault_was_met() {
    let is_replay = number("INTERMISSION_SEED").is_some();
    let mut met: BTreeMap<(Fault, On), u64> = Fault::ALL.iter().map(|it| (*it, 0)).collect();
    let mut checked: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut days, began) = (0.0, started());
    for seed in seeds() {
        let mut world = World::new(seed);
        if is_replay {
            world = world.recorded();
        }
        world.run();
        days += world.days();
        if let Err(broken) = world.judge() {
            // The same night once more, this time written down.
            world = World::new(seed).recorded();
            world.run();
            panic!(
                "seed {seed} broke a promise: {broken}\n\nwhat happened:\n{}\n\nreplay it with\n  \
                 INTERMISSION_SEED={seed} cargo test --test it simulation -- --nocapture\n",
                world.history()
            );
        }
        if is_replay {
            println!("{}", world.history());
        }
        world.met().iter().for_each(|(fault, times)| *met.entry(*fault).or_default() += times);
        world.checked().iter().for_each(|(promise, times)| *checked.entry(promise).or_default() += times);
    }
    if is_replay {
        return;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{days:.0} simulated days in {seconds:.1} s: {:.0} days a second", days / seconds);
    println!("faults met: {met:?}\npromises put to the test: {checked:?}");
    let never: Vec<_> = met.iter().filter(|(_, times)| **times == 0).map(|(fault, _)| fault).collect();
    assert!(never.is_empty(), "these faults were never met: {never:?}");
    for promise in ["P1", "P2", "P3", "P4", "P8", "P9", "P18", "lateness"] {
        assert!(checked.get(promise).is_some_and(|it| *it > 100), "{promise} was hardly tested: {checked:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_night() {
    for seed in [3, 17, 255] {
        let history = |seed| {
            let mut world = World::new(seed).recorded();
            world.run();
            world.history()
        };
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}

/// The judge is not blind: with a promise broken on purpose, it says so.
#[test]
fn a_sync_that_is_left_paused_is_found() {
    let mut world = World::new(1);
    world.run();
    assert_eq!(world.judge(), Ok(()));
    let sync = world.api.syncs().next().cloned().expect("there are syncs");
    if world.api.state(&sync) == SyncState::Inactive {
        world.api.person_sets(&sync, true, world.now());
    }
    world.api.apply(&sync, false, api::Who::Daemon { request: u64::MAX }, world.now());
    assert!(world.judge().is_err());
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
    ];
    for (plant, promise) in plants {
        let found = (0..2000).find_map(|seed| {
            let mut world = World::with(seed, plant);
            world.run();
            world.judge().err().filter(|it| it.starts_with(promise))
        });
        println!("{plant:?}: {found:?}");
        assert!(found.is_some(), "{plant:?} was not found");
    }
}
