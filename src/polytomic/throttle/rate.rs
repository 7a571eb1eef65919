//! So many requests a second, with bursts of one second's worth.
//!
//! A token bucket, told by the time at which it would be empty (the "generic
//! cell rate algorithm" of ITU-T I.371): one number, and no rounding that adds
//! up, because there is nothing to refill.

use std::time::Duration;

use crate::domain::moment::Uptime;

/// Slowest and fastest rate that are told apart from none at all.
const SLOWEST: f64 = 1.0 / 3600.0;
const FASTEST: f64 = 1e6;

#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    // How far ahead of an even pace the requests may run: all of a burst but
    // the first.
    ahead: Duration,
    // When the next request would be due if all came at an even pace.
    due: Uptime,
}

impl Rate {
    pub(super) fn new(per_second: f64) -> Self {
        // No number at all is taken for the slowest, which `clamp` would not do.
        #[expect(clippy::manual_clamp, reason = "`clamp` lets NaN through")]
        let per_second = per_second.max(SLOWEST).min(FASTEST);
        let interval = Duration::from_secs_f64(per_second.recip());
        Self { interval, ahead: interval.mul_f64(per_second.floor().max(1.0) - 1.0), due: Uptime::ZERO }
    }

    pub(super) fn not_before(&self) -> Uptime {
        self.due.saturating_sub(self.ahead)
    }

    pub(super) fn spend(&mut self, now: Uptime) {
        self.due = self.due.max(now) + self.interval;
    }
}
