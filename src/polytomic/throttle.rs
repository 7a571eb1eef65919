//! How fast one organization's API may be asked.
//!
//! Four limits, each for a reason of its own: the rate and the concurrency
//! that the configuration allows; what the API itself says with 429 and
//! `Retry-After`, to all requests at once; the pace that it was learnt to bear;
//! and one probe at a time while it does not accept our key. Time and chance are
//! handed in, so a test can play days.

mod auth;
mod pace;
mod rate;

#[cfg(test)]
mod tests;

use std::time::Duration;

use auth::Auth;
use pace::Pace;
use rate::Rate;

use crate::domain::moment::Uptime;
use crate::domain::verdict::{Failure, FailureKind};

/// The first wait after a 429 that does not say how long, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How many rounds of answers (as many as may be in flight) regain one place.
/// Each place above what the API bears costs one refusal a second, so haste here
/// buys nothing.
const ROUNDS_PER_STEP: f64 = 8.0;

/// What limits one organization's requests.
#[derive(Debug)]
pub struct Throttle {
    rate: Option<Rate>,
    max_concurrent: f64,
    // Invariant: between 1 and `max_concurrent`. A fraction, because it is
    // regained in small steps, see `ROUNDS_PER_STEP`.
    concurrent: f64,
    in_flight: usize,
    paused_until: Uptime,
    pace: Pace,
    // Counts the times at which the API told us to slow down. A 429 to a request
    // of an earlier episode is the echo of a refusal that we have obeyed.
    episode: u32,
    refusals_in_a_row: u32,
    auth: Auth,
}

/// Whether one more request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes: say [`Throttle::started`].
    Go,
    /// Ask again then, not earlier.
    NotBefore(Uptime),
    /// Ask again once a request in flight has finished.
    Full,
}

/// A request in flight. It goes back to [`Throttle::finished`], whatever became
/// of the request; a lost ticket is a place lost for good.
#[derive(Debug)]
#[must_use = "hand it back with `Throttle::finished`"]
pub struct Ticket {
    episode: u32,
    auth: auth::Ticket,
}

/// What became of a request, as far as the throttle cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The API answered, with whatever.
    Answered,
    /// It said: too fast, or: not now, come back in so long.
    Throttled {
        /// As told, already bounded.
        retry_after: Option<Duration>,
    },
    /// It does not accept the key.
    Unauthorized,
    /// No answer, none from the API itself, or nothing sent.
    Failed,
}

impl Outcome {
    /// The outcome of a request that met this failure, or none.
    pub fn of(failure: Option<&Failure>) -> Self {
        let Some(failure) = failure else { return Self::Answered };
        match failure.kind {
            FailureKind::Throttled => Self::Throttled { retry_after: failure.retry_after },
            FailureKind::Server if failure.retry_after.is_some() => {
                Self::Throttled { retry_after: failure.retry_after }
            }
            // Without a readable key there is as little point in many tries as
            // with a wrong one.
            FailureKind::Unauthorized | FailureKind::Key => Self::Unauthorized,
            FailureKind::Forbidden | FailureKind::Gone | FailureKind::Rejected | FailureKind::Conflict => {
                Self::Answered
            }
            FailureKind::Server
            | FailureKind::Redirected
            | FailureKind::Malformed
            | FailureKind::Timeout
            | FailureKind::NotSent
            | FailureKind::Lost
            | FailureKind::Ledger => Self::Failed,
        }
    }
}

impl Throttle {
    /// At most `max_concurrent` requests at a time (at least one), at most
    /// `rate` a second with bursts of one second's worth, and while the key is
    /// refused one probe at a time, at waits that grow up to `longest_probe_wait`
    /// (`retry.max`).
    pub fn new(max_concurrent: usize, rate: Option<f64>, longest_probe_wait: Duration) -> Self {
        let max_concurrent = f64::from(u32::try_from(max_concurrent.max(1)).unwrap_or(u32::MAX));
        Self {
            rate: rate.map(Rate::new),
            max_concurrent,
            concurrent: max_concurrent,
            in_flight: 0,
            paused_until: Uptime::ZERO,
            pace: Pace::default(),
            episode: 0,
            refusals_in_a_row: 0,
            auth: Auth::new(longest_probe_wait),
        }
    }

    /// Takes new bounds, as of [`Throttle::new`]. What is in flight and what the
    /// API told us stays.
    pub fn limit(&mut self, max_concurrent: usize, rate: Option<f64>, longest_probe_wait: Duration) {
        let new = Self::new(max_concurrent, rate, longest_probe_wait);
        self.rate = new.rate;
        self.max_concurrent = new.max_concurrent;
        self.concurrent = new.concurrent;
        self.auth = new.auth;
    }

    /// Whether a request may be sent now. Asking changes nothing.
    pub fn admit(&self, now: Uptime) -> Admission {
        if self.in_flight >= self.concurrency() || self.auth.is_probing() {
            return Admission::Full;
        }
        let rate = self.rate.as_ref().map_or(Uptime::ZERO, Rate::not_before);
        let pace = self.pace.not_before(now);
        let not_before = self.paused_until.max(rate).max(pace).max(self.auth.not_before());
        if now < not_before { Admission::NotBefore(not_before) } else { Admission::Go }
    }

    /// A request is being sent.
    pub fn started(&mut self, now: Uptime) -> Ticket {
        self.in_flight += 1;
        self.pace.spend(now);
        if let Some(rate) = &mut self.rate {
            rate.spend(now);
        }
        Ticket { episode: self.episode, auth: self.auth.started() }
    }

    /// What became of it. `jitter` is a random number from 0 up to 1; it spreads
    /// waits, so that the many who were turned away do not come back as one.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket counts once")]
    pub fn finished(&mut self, now: Uptime, ticket: Ticket, outcome: Outcome, jitter: f64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let jitter = jitter.clamp(0.0, 1.0);
        let news = ticket.episode == self.episode;
        self.auth.finished(now, &ticket.auth, outcome, jitter);
        if outcome == Outcome::Answered {
            self.pace.answered(now, news);
        }
        match outcome {
            Outcome::Answered if news => {
                self.refusals_in_a_row = 0;
                let step = (self.concurrent * ROUNDS_PER_STEP).recip();
                self.concurrent = (self.concurrent + step).min(self.max_concurrent);
            }
            Outcome::Throttled { retry_after } => self.slow_down(now, retry_after, news, jitter),
            Outcome::Answered | Outcome::Unauthorized | Outcome::Failed => {}
        }
    }

    /// A list is read beside: the API counts its pages, which have no place here.
    pub fn list_began(&mut self) {
        self.pace.list_began();
    }

    /// It came, or failed.
    pub fn list_ended(&mut self, now: Uptime) {
        self.pace.list_ended(now);
    }

    /// The key may have changed: try it at once.
    pub fn reset(&mut self) {
        self.auth.reset();
    }

    /// How many requests may be in flight at once, as things are.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and u32::MAX")]
    pub fn concurrency(&self) -> usize {
        self.concurrent as usize
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Until when the API asked to be left alone, while that lies ahead.
    pub fn paused_until(&self, now: Uptime) -> Option<Uptime> {
        (now < self.paused_until).then_some(self.paused_until)
    }

    /// Whether the API does not accept our key.
    pub fn auth_is_broken(&self) -> bool {
        self.auth.is_broken()
    }

    /// Every refusal is heard as far as it names a time, but the concurrency is
    /// halved only once for all requests that were under way together.
    fn slow_down(&mut self, now: Uptime, retry_after: Option<Duration>, news: bool, jitter: f64) {
        let wait = match retry_after {
            // Never earlier than told, and a tenth later at most.
            Some(wait) => wait + (wait / 10).min(FIRST_WAIT).mul_f64(jitter),
            None if news => {
                doubled(FIRST_WAIT, self.refusals_in_a_row, LONGEST_WAIT).mul_f64(f64::midpoint(1.0, jitter))
            }
            None => Duration::ZERO,
        };
        self.paused_until = self.paused_until.max(now + wait);
        if news {
            self.episode = self.episode.wrapping_add(1);
            self.refusals_in_a_row = self.refusals_in_a_row.saturating_add(1);
            self.pace.refused(now, wait);
            self.concurrent = (self.concurrent / 2.0).max(1.0);
        }
    }
}

/// `first`, doubled so many times, but never more than `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}
