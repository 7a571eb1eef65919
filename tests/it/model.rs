//! The product's own plan under exhaustive search: everything that a small world
//! can do to one sync, in every order, within a budget of faults.
//!
//! A broken promise is told as a shortest story that leads to it. Nothing is
//! drawn: the same test run again finds the same story.

use std::fmt::Write as _;

mod explore;
mod world;

use explore::{Explored, explore};
use world::{Action, Broken, Budget, Met, Plant, World};

/// Windows that overlap, and windows closer than a request can live.
const OVERLAPPING: [(i64, i64); 2] = [(2, 5), (4, 7)];
const CLOSE: [(i64, i64); 2] = [(2, 4), (5, 7)];

#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn is_full() -> bool {
    std::env::var("INTERMISSION_MODEL").is_ok_and(|it| it == "full")
}

fn starts(windows: [(i64, i64); 2], budget: Budget) -> Vec<World> {
    [true, false].map(|active| World::new(windows, active, budget)).into()
}

/// A broken promise as a story, each step with what was so after it.
fn story(starts: &[World], plant: Plant, broken: &Broken, actions: &[Action]) -> String {
    let mut world = starts[0].clone();
    let mut told = format!("{}: {}\n\n", broken.promise, broken.how);
    for action in actions {
        if let Action::Begin { start } = action {
            world = starts[*start].clone();
        } else {
            // The last step is the one that breaks the promise.
            let _ = world.apply(action, plant, &mut Met::new());
        }
        let action = format!("{action:?}");
        let _ = writeln!(told, "  {action:<24} {}", world.line());
    }
    told + "\nThe search is the same each time; run it again with\n  cargo test --locked --test it model -- --nocapture\n"
}

#[track_caller]
fn check(name: &str, windows: [(i64, i64); 2], budget: Budget, sometimes: &[&str]) {
    let starts = starts(windows, budget);
    let explored = explore(starts.clone(), Plant::None, 40_000_000);
    println!("{name}: {} states, {} steps to rest at most", explored.states, explored.longest_way_to_rest);
    println!("  met: {:?}", explored.met);
    if let Some((broken, actions)) = &explored.broken {
        panic!("{name}\n{}", story(&starts, Plant::None, broken, actions));
    }
    let never: Vec<_> = sometimes.iter().filter(|it| !explored.met.contains_key(**it)).collect();
    assert!(never.is_empty(), "{name}: this never happened, so nothing was shown about it: {never:?}");
}

/// That the search finds what was broken on purpose.
#[track_caller]
fn finds(plant: Plant, promises: &[&str], windows: [(i64, i64); 2], budget: Budget) {
    let starts = starts(windows, budget);
    let Explored { broken, states, .. } = explore(starts.clone(), plant, 5_000_000);
    let Some((broken, actions)) = broken else { panic!("{plant:?} was not found in {states} states") };
    let told = story(&starts, plant, &broken, &actions);
    println!("{plant:?}, found among {states} states\n{told}");
    assert!(promises.contains(&broken.promise), "{plant:?} broke something else\n{told}");
}

#[test]
fn the_network_and_crashes_break_no_promise() {
    let deep = u8::from(is_full());
    for (name, windows) in [("overlapping", OVERLAPPING), ("close", CLOSE)] {
        let budget = Budget { network: 1 + deep, crashes: 1 + deep, ..Budget::default() };
        check(name, windows, budget, &[
            "paused",
            "resumed",
            "skipped",
            "settled",
            "started with a row",
            "crashed with a switch under way",
            "crashed with a write not on disk",
            "late pause applied",
            "late pause undone by the settling look",
            "not found for a while",
        ]);
    }
}
