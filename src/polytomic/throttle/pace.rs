//! The pace that the API bears, learnt from what it refused.
//!
//! A 429 says that there is a limit, and what was accepted shortly before says
//! which one. From then on requests leave evenly, a little below it, so that the
//! next refusal is far away: each one costs a wait of the whole organization.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::moment::Uptime;

/// The share of what was accepted that is asked for from then on.
const SHARE: f64 = 0.97;

/// A refusal at a pace that should have been borne: less, by this factor.
const LESS: f64 = 0.8;

/// Nobody is asked more slowly than this, a second.
const SLOWEST: f64 = 0.2;

/// Most limits count by the second; one that asks for a longer wait than this
/// counts by something longer.
const SECOND: Duration = Duration::from_secs(1);
const COUNTS_BY_THE_SECOND: Duration = Duration::from_secs(2);

/// After so many times the answers that taught it more is tried, by this factor
/// with as many again, and the limit is forgotten once the pace is so many times
/// what was learnt, or after so long.
const KEPT: f64 = 60.0;
const MORE: f64 = 1.05;
const FORGOTTEN_AT: f64 = 8.0;
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// A limit is learnt only from as many answers as this that came in one go. Where
/// little is asked, little is accepted, and that says nothing of what would be.
const FLOW: f64 = 8.0;
const LULL: Duration = Duration::from_secs(10);

/// How late a request may leave without losing its place: timers have a grain.
const GRAIN: Duration = Duration::from_millis(10);

/// What was accepted lately, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    // When each request of the last second was answered, oldest first.
    last_second: VecDeque<Uptime>,
    // How many were since the last refusal, or since the first answer.
    answered: f64,
    // How many of them came in one go, and since when: with the wait after a refusal.
    flow: f64,
    since: Option<Uptime>,
    // The last of them, or the end of that wait.
    last: Uptime,
    limit: Option<Limit>,
    // How many lists are being read beside, whose pages are not counted here, and until
    // when the API may count those of the last one.
    lists: usize,
    crowded_until: Uptime,
}

#[derive(Debug)]
struct Limit {
    // What was accepted, in how long.
    accepted: f64,
    within: Duration,
    // The last refusal was what taught this, and answers from before it may be late.
    is_news: bool,
    // A factor on it for refusals that it does not explain.
    factor: f64,
    refused_at: Uptime,
    // When the next request is due.
    due: Uptime,
}

impl Limit {
    /// A second, without what is tried beyond it.
    fn learnt(&self) -> f64 {
        self.accepted / self.within.as_secs_f64() * self.factor
    }
}

impl Pace {
    /// When the next request may leave.
    pub(super) fn not_before(&self, now: Uptime) -> Uptime {
        match &self.limit {
            Some(limit) if self.rate(now).is_some() => limit.due,
            _ => Uptime::ZERO,
        }
    }

    /// A request leaves.
    pub(super) fn spend(&mut self, now: Uptime) {
        let Some(rate) = self.rate(now) else { return };
        if let Some(limit) = &mut self.limit {
            limit.due = limit.due.max(now.saturating_sub(GRAIN)) + Duration::from_secs_f64(rate.recip());
        }
    }

    /// The API took a request; `in_time` if it left after the last refusal.
    pub(super) fn answered(&mut self, now: Uptime, in_time: bool) {
        match &mut self.limit {
            // It had been accepted before the refusal, only the answer is late.
            Some(limit) if !in_time => limit.accepted += f64::from(u8::from(limit.is_news)),
            _ => {
                if self.last + LULL < now {
                    (self.flow, self.since) = (0.0, None);
                }
                self.last = self.last.max(now);
                self.since.get_or_insert(now);
                self.flow += 1.0;
                self.answered += 1.0;
                self.last_second.push_back(now);
                self.forget_what_is_older_than_a_second(now);
            }
        }
        if self.rate(now).is_none() {
            self.limit = None;
        }
    }

    /// More is asked of the API than is counted here.
    pub(super) fn list_began(&mut self) {
        self.lists += 1;
    }

    pub(super) fn list_ended(&mut self, now: Uptime) {
        self.lists = self.lists.saturating_sub(1);
        self.crowded_until = now + SECOND;
    }

    fn is_crowded(&self, now: Uptime) -> bool {
        self.lists > 0 || now < self.crowded_until
    }

    /// The API turned a request away, and asks, or is given, that long.
    pub(super) fn refused(&mut self, now: Uptime, wait: Duration) {
        self.forget_what_is_older_than_a_second(now);
        if self.flow >= FLOW {
            self.learn(now, wait);
            (self.answered, self.flow, self.since) = (0.0, 0.0, Some(now));
        } else if let Some(limit) = &mut self.limit {
            limit.is_news = false;
        }
        self.last = now + wait;
        self.last_second.clear();
    }

    fn learn(&mut self, now: Uptime, wait: Duration) {
        let (accepted, within) = if wait <= COUNTS_BY_THE_SECOND {
            (count(self.last_second.len()), SECOND)
        } else {
            // From one refusal to the next, so that one wait is in it.
            let lasted = self.since.map_or(Duration::ZERO, |at| now.saturating_sub(at));
            (self.flow, if self.limit.is_none() { lasted + wait } else { lasted })
        };
        let measured = accepted / within.as_secs_f64();
        self.limit = match (self.rate(now), self.limit.take()) {
            // What was accepted of ours is not all that was. What is known is kept.
            (Some(_), Some(limit)) if self.is_crowded(now) => {
                Some(Limit { refused_at: now, is_news: false, ..limit })
            }
            // It does not explain the refusal: others may use the key, too.
            (Some(rate), Some(limit)) if accepted <= 0.0 || measured >= rate => {
                Some(Limit { factor: limit.factor * LESS, refused_at: now, is_news: false, ..limit })
            }
            _ if measured > 0.0 => {
                Some(Limit { accepted, within, is_news: true, factor: 1.0, refused_at: now, due: now })
            }
            (_, limit) => limit,
        };
    }

    /// Requests a second, if that is limited.
    fn rate(&self, now: Uptime) -> Option<f64> {
        let limit = self.limit.as_ref()?;
        if now.saturating_sub(limit.refused_at) > FORGOTTEN_AFTER {
            return None;
        }
        let learnt = limit.learnt().max(SLOWEST);
        let tried = MORE.powf((self.answered / limit.accepted - KEPT).max(0.0));
        (tried < FORGOTTEN_AT).then_some((learnt * SHARE * tried).max(SLOWEST))
    }

    fn forget_what_is_older_than_a_second(&mut self, now: Uptime) {
        while self.last_second.front().is_some_and(|at| *at + SECOND <= now) {
            self.last_second.pop_front();
        }
    }
}

fn count(length: usize) -> f64 {
    u32::try_from(length).map_or(f64::MAX, f64::from)
}
