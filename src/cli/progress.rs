//! How far a command is, for a person who waits: on stderr, on a terminal only,
//! and not before a second has passed.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::{screen, times};

/// Whoever waits no longer than this is told nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Work on so many syncs, since now. What was told is wiped out at the end.
pub(super) struct Progress {
    all: usize,
    began: Instant,
}

impl Progress {
    pub(super) fn of(all: usize) -> Self {
        Self { all, began: Instant::now() }
    }

    /// Tells that so many are done: `looked at 1200 of 10000 syncs; about 40 s left`.
    pub(super) fn tell(&self, verb: &str, done: usize) {
        let passed = self.began.elapsed();
        if PATIENCE <= passed {
            screen::progress(&sentence(verb, done, self.all, passed));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if PATIENCE <= self.began.elapsed() {
            screen::progress("");
        }
    }
}

/// What is left takes as long for each as what is done took.
fn sentence(verb: &str, done: usize, all: usize, passed: Duration) -> String {
    let counted = format!("{verb} {done} of {all} syncs");
    let ratio = |number: usize| u32::try_from(number).ok().filter(|it| *it > 0);
    let left = ratio(done).zip(ratio(all.saturating_sub(done)));
    let left = left.and_then(|(done, left)| passed.checked_mul(left).map(|it| it / done));
    match left.and_then(|left| TimeDelta::from_std(left).ok()) {
        Some(left) => format!("{counted}; about {} left", times::span(left)),
        None => counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_told_as_far_as_it_can_be_known() {
        for (done, all, seconds, expected) in [
            (0, 10, 2, "looked at 0 of 10 syncs"),
            (1200, 10_000, 6, "looked at 1200 of 10000 syncs; about 44 s left"),
            (10, 10, 6, "looked at 10 of 10 syncs"),
        ] {
            assert_eq!(sentence("looked at", done, all, Duration::from_secs(seconds)), expected);
        }
    }
}
