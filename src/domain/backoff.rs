//! How long to wait after failures.

use std::time::Duration;

/// Exponential backoff with full jitter: the wait is drawn evenly from zero to
/// a cap that doubles with each failure. Many syncs that failed together then
/// do not come back together. (Marc Brooker, "Exponential Backoff And Jitter",
/// AWS Architecture Blog, 2015.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Cap after the first failure.
    pub initial: Duration,
    /// The cap grows no further than this.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// How long to wait after this many failures in a row, for a `jitter`
    /// drawn evenly from `[0, 1)`.
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        self.cap(failures).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// The longest wait after this many failures in a row.
    pub fn cap(&self, failures: u32) -> Duration {
        // 2^32 times a millisecond is longer than any sensible `max`.
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.initial.saturating_mul(doubled).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_doubles_from_initial_to_max_and_stays() {
        let backoff = Backoff::default();
        for (failures, seconds) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (40, 60), (u32::MAX, 60)]
        {
            assert_eq!(backoff.cap(failures), Duration::from_secs(seconds), "after {failures}");
        }
    }

    #[test]
    fn jitter_spreads_the_wait_over_the_whole_cap() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(4, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(4, 0.5), Duration::from_secs(4));
        assert!(backoff.delay(4, 0.999) < Duration::from_secs(8));
    }
}
