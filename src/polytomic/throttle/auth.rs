//! What a refused key means for everybody else's requests.
//!
//! A key belongs to the organization and not to a sync, so one 401 is enough to
//! know that a thousand more requests would meet the same. One probe at a time
//! finds out when that ends.

use std::time::Duration;

use super::{FIRST_WAIT, Outcome, doubled};
use crate::domain::moment::Uptime;

#[derive(Debug)]
pub(super) struct Auth {
    state: State,
    // Counts the times at which the key may have changed. A 401 to the key
    // before says nothing of this one.
    key: u32,
    longest_wait: Duration,
}

#[derive(Debug)]
enum State {
    Sound,
    Broken { refusals: u32, probe_at: Uptime, probing: bool },
}

#[derive(Debug)]
pub(super) struct Ticket {
    key: u32,
    probe: bool,
}

impl Auth {
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { state: State::Sound, key: 0, longest_wait }
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken { .. })
    }

    pub(super) fn is_probing(&self) -> bool {
        matches!(self.state, State::Broken { probing: true, .. })
    }

    pub(super) fn not_before(&self) -> Uptime {
        match self.state {
            State::Sound => Uptime::ZERO,
            State::Broken { probe_at, .. } => probe_at,
        }
    }

    pub(super) fn started(&mut self) -> Ticket {
        let probe = match &mut self.state {
            State::Sound => false,
            State::Broken { probing, .. } => {
                *probing = true;
                true
            }
        };
        Ticket { key: self.key, probe }
    }

    pub(super) fn finished(&mut self, now: Uptime, ticket: &Ticket, outcome: Outcome, jitter: f64) {
        if ticket.key != self.key {
            return;
        }
        let refusals = match (&self.state, outcome) {
            (_, Outcome::Answered | Outcome::Throttled { .. }) => {
                self.state = State::Sound;
                return;
            }
            (State::Sound, Outcome::Unauthorized) => 1,
            (State::Broken { refusals, .. }, Outcome::Unauthorized) if ticket.probe => refusals + 1,
            // The probe did not reach whoever judges keys.
            (State::Broken { refusals, .. }, Outcome::Failed) if ticket.probe => *refusals,
            // Sent before the key was known to be refused: no news.
            (State::Broken { .. }, Outcome::Unauthorized | Outcome::Failed)
            | (State::Sound, Outcome::Failed) => return,
        };
        let wait = doubled(FIRST_WAIT, refusals - 1, self.longest_wait);
        let probe_at = now + wait.mul_f64(f64::midpoint(1.0, jitter));
        self.state = State::Broken { refusals, probe_at, probing: false };
    }

    pub(super) fn reset(&mut self) {
        self.state = State::Sound;
        self.key = self.key.wrapping_add(1);
    }
}
