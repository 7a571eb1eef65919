//! A moment, told by two clocks.
//!
//! Windows are about the wall clock, which people and NTP may set. How long
//! something took is about uptime, which only ever grows.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// An instant as the journal tells it in a sentence: RFC 3339, in UTC, to the second.
/// [`super::zone::Zone::retell`] finds it there.
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Time since the process's clock began, suspend included (`CLOCK_BOOTTIME`).
/// It means nothing in another process, so it is never written to the ledger.
pub type Uptime = Duration;

/// Now, or the time at which something was sent or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What the wall clock said.
    pub wall: DateTime<Utc>,
    /// How long the process had been up.
    pub uptime: Uptime,
}
