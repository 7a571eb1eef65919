//! The product's own plan under exhaustive search: everything that a small world
//! can do to one sync, in every order, within a budget of faults.
//!
//! A broken promise is told as a shortest story that leads to it. Nothing is
//! drawn: the same test run again finds the same story.

use std::fmt::Write as _;
use std::sync::Arc;

use intermission::domain::execution::OnRunning;
use intermission::domain::sync::SyncKind;

mod explore;
mod world;

use explore::{Explored, explore};
use world::{Action, Broken, Budget, Inquiries, Met, Plant, Scene, World};

/// Windows that overlap, and windows closer than a request can live.
const OVERLAPPING: [(i64, i64); 2] = [(2, 5), (4, 7)];
const CLOSE: [(i64, i64); 2] = [(2, 4), (5, 7)];

#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn is_full() -> bool {
    std::env::var("INTERMISSION_MODEL").is_ok_and(|it| it == "full")
}

fn starts(scene: Scene, budget: Budget) -> Vec<World> {
    let scene = Arc::new(scene);
    [true, false].map(|active| World::new(&scene, active, budget)).into()
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
fn check(name: &str, scene: impl Into<Scene>, budget: Budget, sometimes: &[&str]) {
    let starts = starts(scene.into(), budget);
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
fn finds(plant: Plant, promises: &[&str], scene: impl Into<Scene>, budget: Budget) {
    let starts = starts(scene.into(), budget);
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
        check(
            name,
            windows,
            budget,
            &[
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
            ],
        );
    }
}

#[test]
fn people_and_operators_break_no_promise() {
    let deep = u8::from(is_full());
    for (name, windows) in [("overlapping", OVERLAPPING), ("close", CLOSE)] {
        let budget = Budget { network: 1, people: 1 + deep, operator: 1, crashes: deep, ..Budget::default() };
        let brief = Budget { people: 1, crashes: 1, network: deep, ..Budget::default() };
        check(name, windows, brief, &["released by a person", "a decision died with the process"]);
        check(
            name,
            windows,
            budget,
            &[
                "paused",
                "resumed",
                "skipped",
                "released by a person",
                "resumed by an operator",
                "late pause undone for a person's sake",
                "paused again by a window that came before it was settled",
            ],
        );
    }
}

#[test]
fn clocks_that_are_set_break_no_promise() {
    let deep = u8::from(is_full());
    let budget = Budget { network: 1, clock: 1, people: 1, crashes: deep, ..Budget::default() };
    check("clock", OVERLAPPING, budget, &["paused", "resumed", "skipped", "settled", "released by a person"]);
}

#[test]
fn files_that_are_edited_or_broken_break_no_promise() {
    let deep = u8::from(is_full());
    let edited = Budget { network: 1 + deep, edits: 1, ..Budget::default() };
    check("edited", OVERLAPPING, edited, &["paused", "resumed", "late pause undone by the settling look"]);
    let decided = Budget { people: 1 + deep, edits: 1, ..Budget::default() };
    check("edited by people", OVERLAPPING, decided, &["paused", "skipped", "released by a person"]);
    let broken = Budget { network: 1, breaks: 1, crashes: 1, edits: deep, ..Budget::default() };
    check(
        "broken",
        OVERLAPPING,
        broken,
        &["paused", "resumed", "started with a broken file", "resumed without a configuration"],
    );
}

#[test]
fn a_full_disk_and_a_process_that_stands_still_break_no_promise() {
    let deep = u8::from(is_full());
    let budget = Budget { network: 1, disk: 1, stalls: 1, people: 1, crashes: deep, ..Budget::default() };
    check("disk", OVERLAPPING, budget, &["paused", "resumed", "not paused without a durable row"]);
}

/// A bulk sync, of whose executions everything is asked as it is of everything else.
fn bulk(windows: [(i64, i64); 2], limit: Option<i64>, on_running: Option<OnRunning>) -> Scene {
    let usual = Scene::new(windows);
    Scene {
        kind: SyncKind::Bulk,
        on_running,
        limit: limit.unwrap_or(usual.limit),
        inquiries: Inquiries::Asked,
        ..usual
    }
}

/// Paused at the limit at the latest, and never outside of its windows.
#[test]
fn a_bulk_syncs_execution_is_waited_for_and_breaks_no_promise() {
    let deep = u8::from(is_full());
    let budget = Budget { network: 1, runs: 1, crashes: deep, ..Budget::default() };
    let usual = ["paused", "resumed", "settled", "waited for an execution", "paused as none ran"];
    let usual = [&usual[..], &["paused although nobody tells what runs"]].concat();
    let limit = ["paused at the limit, although one ran", "an execution was broken off"];
    let over = ["paused once an execution was over"];
    let vain = ["not paused, as the window was over first"];
    let limited = [&usual[..], &limit].concat();
    check("overlapping, limited", bulk(OVERLAPPING, Some(2), None), budget, &[&limited[..], &over].concat());
    check("close, limited", bulk(CLOSE, Some(1), None), budget, &limited);
    check("close", bulk(CLOSE, None, None), budget, &[&usual[..], &over, &vain].concat());
    // Whose pause would break it off is waited for, although the window leaves it alone.
    let selected = bulk(CLOSE, None, Some(OnRunning::Leave));
    check("leave", selected, Budget { network: 0, ..budget }, &["waited for an execution"]);
    let cancel = bulk(CLOSE, None, Some(OnRunning::Cancel));
    check(
        "cancel",
        cancel,
        Budget { network: deep, ..budget },
        &["paused", "resumed", "an execution was broken off"],
    );
}

#[test]
fn people_and_crashes_while_an_execution_is_waited_for_break_no_promise() {
    let deep = u8::from(is_full());
    let people = Budget { people: 1 + deep, runs: 1, network: deep, ..Budget::default() };
    let crashes = Budget { crashes: 1 + deep, runs: 1, network: deep, ..Budget::default() };
    let met = ["waited for an execution", "paused once an execution was over"];
    check(
        "people",
        bulk(CLOSE, None, None),
        people,
        &[&met[..], &["skipped", "released by a person"]].concat(),
    );
    check("crashes", bulk(OVERLAPPING, None, None), crashes, &[&met[..], &["started with a row"]].concat());
}

/// After each resume somebody looks, and when nobody can, that has an end.
#[test]
fn proofs_that_fail_and_confirmations_that_are_none_break_no_promise() {
    let deep = u8::from(is_full());
    let asked = |windows| Scene { inquiries: Inquiries::Asked, ..Scene::new(windows) };
    let budget = Budget { network: 2, crashes: deep, ..Budget::default() };
    let met = [
        "a proof that did not come",
        "a resume that was confirmed and not done",
        "resumed again after a confirmation that was none",
        "settled",
        "a confirmation that was none, seen too late",
    ];
    check("close", asked(CLOSE), budget, &met);
    let budget = Budget { network: 1 + deep, ..budget };
    check("overlapping", asked(OVERLAPPING), budget, &met[..4]);
    let unanswered = Scene { inquiries: Inquiries::NeverAnswered, ..Scene::new(CLOSE) };
    let budget = Budget { network: 1, crashes: deep, ..Budget::default() };
    check("unanswered", unanswered, budget, &["resumed", "a proof that never came was given up"]);
}

/// Each mistake breaks a promise, and the search finds it.
#[test]
fn mistakes_made_on_purpose_are_found() {
    let none = Budget::default();
    let network = Budget { network: 1, ..none };
    let crash = Budget { crashes: 1, ..none };
    let person = Budget { people: 1, ..none };
    let broken_file = Budget { crashes: 1, breaks: 1, ..none };
    let released = Budget { network: 1, people: 1, ..none };
    finds(Plant::NoWriteAhead, &["P2"], OVERLAPPING, crash);
    finds(Plant::NoSettle, &["P2"], OVERLAPPING, network);
    finds(Plant::NoResumeBy, &["P2", "P4"], OVERLAPPING, broken_file);
    finds(Plant::LookBeforeBoundary, &["P1"], OVERLAPPING, person);
    finds(Plant::SettleFromReading, &["P2"], OVERLAPPING, Budget { network: 1, stalls: 1, ..none });
    finds(Plant::SettleFromSending, &["P2"], OVERLAPPING, network);
    finds(Plant::NoMarkOfIntent, &["P2"], OVERLAPPING, crash);
    finds(Plant::MarkLostOnRelease, &["P2"], OVERLAPPING, released);
    finds(Plant::BlindRetry, &["N1"], OVERLAPPING, network);
    finds(Plant::WrongStateConfirms, &["P18"], OVERLAPPING, network);
    let run = Budget { runs: 1, ..none };
    let asked = Scene { inquiries: Inquiries::Asked, ..Scene::new(CLOSE) };
    let unanswered = Scene { inquiries: Inquiries::NeverAnswered, ..Scene::new(CLOSE) };
    finds(Plant::NoGate, &["N4"], bulk(CLOSE, None, None), none);
    finds(Plant::NoLimit, &["P18"], bulk(CLOSE, Some(1), None), run);
    finds(Plant::PausedAfterTheWait, &["P8"], bulk(CLOSE, None, None), run);
    finds(Plant::LostResumeIsDone, &["P2"], CLOSE, network);
    finds(Plant::NoProof, &["P2"], asked, network);
    finds(Plant::ProofForEver, &["P4"], unanswered, none);
}
