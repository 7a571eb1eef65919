//! What can go wrong, and when.
//!
//! A fault says two things that have nothing to do with each other: when the
//! change that a request asks for is made, and what the client gets to see.
//! Every known failure of an HTTP API is a pair of them: a lost reply is made
//! now and answered with a reset, a queueing proxy is made later and answered
//! with 504.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::route::Operation;

/// A request that this describes gets this fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Requests for this; absent: any.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Requests about this sync; absent: any, and those about none.
    #[serde(default)]
    pub sync: Option<Uuid>,
    /// So many times, then the rule is gone; absent: until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// With this probability; absent: always. Only a hit uses up `times`.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What goes wrong.
    pub fault: Fault,
}

impl Rule {
    /// The fault for every request, until it is cleared.
    pub fn always(fault: Fault) -> Self {
        Self { operation: None, sync: None, times: None, probability: None, fault }
    }

    /// Only for requests of this kind.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only for requests about this sync.
    #[must_use]
    pub fn of(self, sync: Uuid) -> Self {
        Self { sync: Some(sync), ..self }
    }

    /// Only this often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only with this probability.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    fn describes(&self, operation: Operation, sync: Option<Uuid>) -> bool {
        self.operation.is_none_or(|it| it == operation) && self.sync.is_none_or(|it| Some(it) == sync)
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// How long the answer takes, in seconds when written.
    #[serde(with = "seconds")]
    pub delay: Duration,
    /// When the change is made.
    pub apply: Apply,
    /// What the client sees.
    pub reply: Reply,
}

impl Fault {
    /// This change and this answer, at once.
    pub fn new(apply: Apply, reply: Reply) -> Self {
        Self { delay: Duration::ZERO, apply, reply }
    }

    /// Refused with a status; nothing is changed.
    pub fn status(status: u16) -> Self {
        Self::new(Apply::Never, Reply::Status { status, retry_after: None, html: false })
    }

    /// Refused with a status and a `Retry-After` of this text.
    pub fn retry_after(status: u16, retry_after: impl Into<String>) -> Self {
        let retry_after = Some(retry_after.into());
        Self::new(Apply::Never, Reply::Status { status, retry_after, html: false })
    }

    /// All is well, only late.
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Accepted and never answered; nothing is changed.
    pub fn hang() -> Self {
        Self::new(Apply::Never, Reply::Hang)
    }

    /// The connection breaks before anything is changed.
    pub fn reset() -> Self {
        Self::new(Apply::Never, Reply::Reset)
    }

    /// The connection breaks after the change was made.
    pub fn lost_reply() -> Self {
        Self::new(Apply::Now, Reply::Reset)
    }

    /// A proxy gives up with 504, but the change is made this much later.
    pub fn late(after: Duration) -> Self {
        let reply = Reply::Status { status: 504, retry_after: None, html: true };
        Self::new(Apply::After(after), reply)
    }

    /// Says that it is done, but nothing is changed.
    pub fn lie() -> Self {
        Self::new(Apply::Never, Reply::AsUsual)
    }

    /// The change is made, but the answer is this.
    pub fn garbled(reply: Reply) -> Self {
        Self::new(Apply::Now, reply)
    }
}

/// When the change that a request asks for is made. Requests that only read
/// are the same under all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// When the request arrives.
    #[default]
    Now,
    /// Not at all.
    Never,
    /// This much later (seconds when written), whether or not somebody still
    /// waits.
    After(#[serde(with = "seconds")] Duration),
    /// When the request arrives and this much later once more, because a proxy
    /// sent it twice.
    Again(#[serde(with = "seconds")] Duration),
}

/// What the client sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What it would see without a fault.
    #[default]
    AsUsual,
    /// This status, with an API error or, as from a proxy, a page of HTML.
    Status {
        /// The status code.
        status: u16,
        /// The text of `Retry-After`: seconds, an HTTP date, or nonsense.
        #[serde(default)]
        retry_after: Option<String>,
        /// Whether the body is HTML.
        #[serde(default)]
        html: bool,
    },
    /// A redirect (307) to this URL.
    Redirect {
        /// The `Location`.
        to: String,
    },
    /// 200 and a login page.
    Html,
    /// 200 without a body.
    Empty,
    /// 204.
    NoContent,
    /// The usual JSON with another `id`.
    WrongId,
    /// The usual JSON without `active`.
    ActiveMissing,
    /// The usual JSON with the opposite `active`.
    ActiveOpposite,
    /// Half of the body that `Content-Length` promised, then the end.
    Truncated,
    /// The body one byte at a time.
    Trickle {
        /// The pause before each byte, in seconds when written.
        #[serde(with = "seconds")]
        every: Duration,
    },
    /// A body that never ends.
    Endless,
    /// Nothing, for ever.
    Hang,
    /// The connection is closed in good order, without an answer.
    Close,
    /// The connection is reset (RST).
    Reset,
}

/// So many requests each second; the others get 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many are let through within any one second.
    pub per_second: usize,
    /// The text of `Retry-After`, if the 429 has one.
    #[serde(default)]
    pub retry_after: Option<String>,
}

/// The rules in force, and the dice for those that only sometimes apply.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) rules: Vec<Rule>,
    rate_limit: Option<RateLimit>,
    // Invariant: no longer than `rate_limit.per_second`, oldest first.
    let_through: VecDeque<DateTime<Utc>>,
    dice: fastrand::Rng,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            rate_limit: None,
            let_through: VecDeque::new(),
            dice: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn limit_rate(&mut self, limit: Option<RateLimit>) {
        self.rate_limit = limit;
        self.let_through.clear();
    }

    pub(super) fn rate_limit(&self) -> Option<&RateLimit> {
        self.rate_limit.as_ref()
    }

    /// What goes wrong with this request: the rate limit stands in front, then
    /// the first rule that describes it and whose dice say so.
    pub(super) fn pick(
        &mut self,
        now: DateTime<Utc>,
        operation: Operation,
        sync: Option<Uuid>,
    ) -> Option<Fault> {
        self.limited(now).or_else(|| self.ruled(operation, sync))
    }

    fn limited(&mut self, now: DateTime<Utc>) -> Option<Fault> {
        let limit = self.rate_limit.as_ref()?;
        while self.let_through.front().is_some_and(|&then| now - then >= TimeDelta::seconds(1)) {
            self.let_through.pop_front();
        }
        if self.let_through.len() < limit.per_second {
            self.let_through.push_back(now);
            return None;
        }
        let retry_after = limit.retry_after.clone();
        Some(Fault::new(Apply::Never, Reply::Status { status: 429, retry_after, html: false }))
    }

    fn ruled(&mut self, operation: Operation, sync: Option<Uuid>) -> Option<Fault> {
        let dice = &mut self.dice;
        let hit = self.rules.iter().position(|rule| {
            rule.describes(operation, sync)
                && rule.times != Some(0)
                && rule.probability.is_none_or(|probability| dice.f64() < probability)
        })?;
        let rule = &mut self.rules[hit];
        let fault = rule.fault.clone();
        match &mut rule.times {
            Some(1) => drop(self.rules.remove(hit)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(fault)
    }
}

/// Durations as a number of seconds, with a fraction where needed.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}
