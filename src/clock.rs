//! The one place that reads time.
//!
//! Everything else is handed a [`Moment`]. The wall clock is watched with a
//! timer that ends early when somebody sets it (`timerfd_create(2)`,
//! `TFD_TIMER_CANCEL_ON_SET`), which also happens on waking from suspend.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

use crate::domain::moment::{Ended, Moment, Uptime};

/// Both clocks of this process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Duration,
}

impl Clock {
    /// Uptime counts from here.
    pub fn start() -> Self {
        Self::started(Duration::ZERO)
    }

    /// Uptime counts from so long ago.
    pub fn started(ago: Duration) -> Self {
        Self { started: boot_time().saturating_sub(ago) }
    }

    /// The moment it is.
    pub fn now(&self) -> Moment {
        Moment { wall: wall(), uptime: self.uptime() }
    }

    /// How long it has been up, suspend included.
    pub fn uptime(&self) -> Uptime {
        boot_time().saturating_sub(self.started)
    }
}

/// What the wall clock says.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// Now, for whoever comes after this process; none where the system does not tell which
/// start of it this is.
pub fn ended() -> Option<Ended> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(Ended { boot: boot.trim().parse().ok()?, since_boot: boot_time(), wall: wall() })
}

fn boot_time() -> Duration {
    let now = rustix::time::clock_gettime(ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Seconds since 1970: some day in 2242, well within what the kernel takes.
const FAR: i64 = 1 << 33;

/// Ends at a wall-clock time, or as soon as somebody sets the wall clock.
#[derive(Debug)]
pub struct WallTimer {
    timer: AsyncFd<OwnedFd>,
}

impl WallTimer {
    /// A timer that is not set yet.
    #[expect(
        deprecated,
        reason = "the sound constructor is unsafe because not every `AsRawFd` keeps its descriptor open; an \
                  `OwnedFd` does"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Realtime, flags)?;
        Ok(Self { timer: AsyncFd::new(timer)? })
    }

    /// Sets the timer. Without a time it still tells of a clock that is set.
    pub fn set(&self, at: Option<DateTime<Utc>>) -> io::Result<()> {
        // A timer at zero would be off, and not notice a clock that is set.
        let (seconds, nanos) =
            at.map_or((FAR, 0), |at| (at.timestamp().clamp(1, FAR), at.timestamp_subsec_nanos()));
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: nanos.into() },
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        rustix::time::timerfd_settime(self.timer.get_ref(), flags, &value)?;
        Ok(())
    }

    /// Waits for the time, or for a change of the clock. It carries no data:
    /// whoever waited looks at the clock.
    pub async fn wait(&self) {
        let Ok(mut ready) = self.timer.readable().await else {
            // Without the timer the caller's own longest sleep still wakes it.
            return std::future::pending().await;
        };
        // ECANCELED means that the clock was set: just as good a reason to wake.
        let _ = rustix::io::read(self.timer.get_ref(), &mut [0_u8; 8]);
        ready.clear_ready();
    }
}
