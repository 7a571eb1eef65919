//! `Idempotency-Key`: the first request with a key decides what all get.
//!
//! The vendor's guide on idempotent requests: a key is 8 to 255 letters,
//! digits, `_` and `-`, is kept for at least 24 hours, and what it replays may
//! be an error such as a 500; while the first is in flight, others get 409.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Response;
use super::answer::Refusal;

/// How long an outcome is replayed.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// The outcomes by organization and key.
#[derive(Debug, Default)]
pub(super) struct Kept {
    outcomes: BTreeMap<(usize, String), Outcome>,
}

#[derive(Debug)]
struct Outcome {
    since: DateTime<Utc>,
    // None while the first request is in flight.
    response: Option<Response>,
}

impl Kept {
    /// The answer to a request whose key was seen before.
    ///
    /// # Errors
    ///
    /// 400 if the key is malformed, 409 while the first request is in flight.
    pub(super) fn replay(
        &mut self,
        now: DateTime<Utc>,
        organization: usize,
        key: &str,
    ) -> Result<Option<Response>, Refusal> {
        let is_well_formed = (8..=255).contains(&key.len())
            && key.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-');
        if !is_well_formed {
            return Err(Refusal::bad_request("the `Idempotency-Key` is malformed"));
        }
        self.outcomes.retain(|_, it| now - it.since < KEPT);
        match self.outcomes.get(&(organization, key.to_owned())) {
            None => Ok(None),
            Some(Outcome { response: Some(response), .. }) => Ok(Some(response.clone())),
            Some(Outcome { response: None, .. }) => {
                Err(Refusal::conflict("a request with this `Idempotency-Key` is in flight"))
            }
        }
    }

    /// Remembers an outcome, or with `None` that there is none yet.
    pub(super) fn keep(
        &mut self,
        now: DateTime<Utc>,
        organization: usize,
        key: &str,
        response: Option<Response>,
    ) {
        self.outcomes.insert((organization, key.to_owned()), Outcome { since: now, response });
    }
}
