//! Breadth first over everything that can happen, so that the first story that
//! breaks a promise is also a shortest one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::world::{Action, Broken, Plant, World};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Explored {
    /// How many different states there were.
    pub(super) states: usize,
    /// The most steps that any of them is away from rest, without faults.
    pub(super) longest_way_to_rest: u32,
    /// How often each thing that should happen sometimes did.
    pub(super) met: BTreeMap<&'static str, u64>,
    /// The first broken promise, and how it came to it.
    pub(super) broken: Option<(Broken, Vec<Action>)>,
}

/// No way to rest takes more steps than this.
const LONGEST: u32 = 400;

/// Explores all that can happen from these worlds, up to the first promise that
/// is broken, or up to `most` states.
pub(super) fn explore(starts: Vec<World>, plant: Plant, most: usize) -> Explored {
    let mut search = Search::default();
    for world in starts {
        search.reach(world, None);
    }
    let mut explored = Explored::default();
    while let Some((from, world)) = search.queue.pop_front() {
        let calm = world.calm(plant);
        let mut next = None;
        for action in world.possible(plant) {
            let mut after = world.clone();
            let result = after.apply(&action, plant, &mut explored.met);
            if let Err(broken) = result {
                explored.broken = Some((broken, search.story(from, Some(action))));
                explored.states = search.index.len();
                return explored;
            }
            let reached = search.reach(after, Some((from, action.clone())));
            if calm.as_ref() == Some(&action) {
                next = Some(reached);
            }
        }
        if let Some(calm) = &calm {
            assert!(next.is_some(), "{calm:?} is what comes next, and is not possible");
        } else if let Err(broken) = world.at_rest() {
            explored.broken = Some((broken, search.story(from, None)));
            explored.states = search.index.len();
            return explored;
        }
        search.next[from] = next;
        assert!(search.index.len() <= most, "more than {most} states: the model has grown out of its budget");
    }
    explored.states = search.index.len();
    match search.longest_way_to_rest() {
        Ok(steps) => explored.longest_way_to_rest = steps,
        Err(from) => {
            let broken = Broken {
                promise: "P4",
                how: "from here on, without any fault, it never comes to rest".into(),
            };
            explored.broken = Some((broken, search.story(from, None)));
        }
    }
    explored
}

#[derive(Default)]
struct Search {
    index: HashMap<Vec<u8>, usize>,
    queue: VecDeque<(usize, World)>,
    // How each state was reached first.
    parents: Vec<Option<(usize, Action)>>,
    // Where each state goes when nothing goes wrong any more.
    next: Vec<Option<usize>>,
}

impl Search {
    fn reach(&mut self, world: World, from: Option<(usize, Action)>) -> usize {
        let new = self.parents.len();
        let state = *self.index.entry(world.key()).or_insert(new);
        if state == new {
            self.parents.push(from);
            self.next.push(None);
            self.queue.push_back((new, world));
        }
        state
    }

    fn story(&self, mut at: usize, last: Option<Action>) -> Vec<Action> {
        let mut story: Vec<Action> = last.into_iter().collect();
        while let Some((from, action)) = &self.parents[at] {
            story.push(action.clone());
            at = *from;
        }
        // Where it began.
        story.push(Action::Begin { start: at });
        story.reverse();
        story
    }

    /// How far the farthest state is from rest; or a state that never gets there.
    fn longest_way_to_rest(&self) -> Result<u32, usize> {
        let mut ways: Vec<Option<u32>> = vec![None; self.next.len()];
        for start in 0..self.next.len() {
            let mut path = Vec::new();
            let mut at = start;
            while ways[at].is_none() {
                path.push(at);
                if path.len() > LONGEST as usize {
                    return Err(start);
                }
                match self.next[at] {
                    Some(next) => at = next,
                    None => ways[at] = Some(0),
                }
            }
            let mut way = ways[at].unwrap_or_default();
            for state in path.into_iter().rev() {
                if state != at {
                    way += 1;
                    ways[state] = Some(way);
                }
            }
        }
        Ok(ways.into_iter().flatten().max().unwrap_or_default())
    }
}
