//! A moment, told by two clocks.
//!
//! Windows are about the wall clock, which people and NTP may set. How long
//! something took is about uptime, which only ever grows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An instant as the journal tells it in a sentence: RFC 3339, in UTC, to the second.
/// [`super::zone::Zone::retell`] finds it there.
pub fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Time since the process's clock began, suspend included (`CLOCK_BOOTTIME`): with the
/// process, or with the orderly end of an earlier one. At zero nothing of ours is sent any more.
/// It means nothing in another process, so it is never written to the ledger.
pub type Uptime = Duration;

/// When a process ended, as the next one may understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which start of the machine it was (`/proc/sys/kernel/random/boot_id`, random(4)).
    pub boot: Uuid,
    /// How long the machine had been up, suspend included.
    pub since_boot: Duration,
    /// What the wall clock said.
    pub wall: DateTime<Utc>,
}

impl Ended {
    /// How long ago that was at least, if it is `now`: both clocks have to say so. After
    /// another start of the machine nobody knows.
    pub fn ago(&self, now: &Self) -> Duration {
        if self.boot != now.boot {
            return Duration::ZERO;
        }
        let by_wall = now.wall.signed_duration_since(self.wall).to_std().unwrap_or_default();
        now.since_boot.saturating_sub(self.since_boot).min(by_wall)
    }
}

/// Now, or the time at which something was sent or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What the wall clock said.
    pub wall: DateTime<Utc>,
    /// How long the process had been up.
    pub uptime: Uptime,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_end_is_as_long_ago_as_both_clocks_say_since_the_same_start_of_the_machine() {
        let at = |boot, seconds: u64, wall: i64| Ended {
            boot: Uuid::from_u128(boot),
            since_boot: Duration::from_secs(seconds),
            wall: DateTime::UNIX_EPOCH + TimeDelta::seconds(wall),
        };
        let ended = at(1, 100, 1000);
        let ago = |now: Ended| ended.ago(&now).as_secs();
        assert_eq!(ago(at(1, 160, 1060)), 60);
        assert_eq!(ago(at(1, 160, 1050)), 50);
        assert_eq!(ago(at(1, 160, 9000)), 60, "somebody set the clock");
        assert_eq!(ago(at(1, 160, 900)), 0, "back");
        assert_eq!(ago(at(1, 90, 1060)), 0);
        assert_eq!(ago(at(2, 160, 1060)), 0);
    }
}
