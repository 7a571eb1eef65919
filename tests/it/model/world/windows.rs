//! What the file says, and what it wants of the sync.

use chrono::{DateTime, Utc};
use intermission::domain::calendar::{Desired, Pause};
use intermission::domain::execution::RunPolicy;
use intermission::domain::hold::Hold;
use intermission::domain::window::Occurrence;

use super::{Process, World, at, up};

/// What the file says of the two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum File {
    Both,
    FirstRemoved,
    BothRemoved,
    FirstShortened,
    FirstExtended,
}

impl World {
    pub(super) fn occurrences(&self, file: File) -> Vec<Occurrence> {
        let [(from, to), second] = self.scene.windows;
        let pairs = match file {
            File::Both => vec![("a", from, to), ("b", second.0, second.1)],
            File::FirstRemoved => vec![("b", second.0, second.1)],
            File::BothRemoved => vec![],
            File::FirstShortened => vec![("a", from, to - 1), ("b", second.0, second.1)],
            File::FirstExtended => vec![("a", from, to + 1), ("b", second.0, second.1)],
        };
        let limit = u64::try_from(self.scene.limit).unwrap();
        pairs
            .into_iter()
            .map(|(name, from, to)| Occurrence {
                window: name.into(),
                pauses: at(from),
                opens: at(from),
                closes: at(to),
                enforce: false,
                runs: RunPolicy { on_running: self.scene.on_running, limit: up(limit), catch_up: false },
            })
            .collect()
    }

    pub(super) fn desired(&self, process: &Process) -> Desired {
        let now = at(self.wall);
        let Some(file) = process.in_force else {
            return process.case.hold.as_ref().map_or(Desired::Running, |hold| hold.desired_alone(now));
        };
        let all = self.occurrences(file);
        let holders: Vec<Occurrence> =
            all.iter().filter(|it| it.pauses <= now && now < it.closes).cloned().collect();
        let Some(mut until) = holders.iter().map(|it| it.closes).max() else { return Desired::Running };
        // In the order of their starts, so that one look over them is enough.
        for it in &all {
            if it.pauses <= until {
                until = until.max(it.closes);
            }
        }
        Desired::Paused(Pause { holders: holders.into(), until })
    }

    pub(super) fn next_change(&self, process: &Process) -> Option<DateTime<Utc>> {
        let now = at(self.wall);
        match process.in_force {
            Some(file) => self
                .occurrences(file)
                .iter()
                .flat_map(|it| [it.pauses, it.closes])
                .filter(|it| now < *it)
                .min(),
            None => process.case.hold.iter().flat_map(Hold::ends).filter(|it| now < *it).min(),
        }
    }

    /// The windows that are open by the file and the clock, as a mask.
    pub(super) fn open_now(&self) -> u8 {
        let now = at(self.wall);
        let all = self.occurrences(self.file);
        mask(&all.into_iter().filter(|it| it.pauses <= now && now < it.closes).collect::<Vec<_>>())
    }

    pub(super) fn is_covered(&self) -> bool {
        self.occurrences(self.file).iter().any(|it| it.pauses <= at(self.wall) && at(self.wall) < it.closes)
    }
}

pub(super) fn mask(occurrences: &[Occurrence]) -> u8 {
    occurrences.iter().fold(0, |mask, it| mask | if it.window.as_str() == "a" { 1 } else { 2 })
}
