//! What became of a request: applied, refused, or nobody knows.
//!
//! "Nobody knows" is a verdict and not an error: a request that was never
//! answered may still be applied, and whoever forgets that leaves a sync paused
//! for ever.

use std::fmt;
use std::time::Duration;

/// What became of a request that switches a sync on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The API confirmed the id and the state we asked for.
    Applied,
    /// Surely not applied, now or later.
    Refused(Failure),
    /// It may have been applied, or may be yet.
    Unknown(Failure),
}

impl Verdict {
    /// The verdict on a request that changes something and met this failure.
    pub fn of(failure: Failure) -> Self {
        if failure.kind.surely_not_applied() { Self::Refused(failure) } else { Self::Unknown(failure) }
    }

    /// What it met, unless it was applied.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Applied => None,
            Self::Refused(failure) | Self::Unknown(failure) => Some(failure),
        }
    }
}

/// Why a request did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure, for decisions and metrics.
    pub kind: FailureKind,
    /// The same in an operator's words. It never holds a key or a body.
    pub message: String,
    /// How long the API asked us to stay away: already bounded, see
    /// `polytomic::retry_after`.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without any wish of the API's to be left alone.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }
}

/// The kinds of failure. What each says about a request that changes something
/// is in [`FailureKind::surely_not_applied`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// 401: the key is not known, or no longer.
    Unauthorized,
    /// 403: the key may not do this to this sync.
    Forbidden,
    /// 404, in the API's own words: it does not know the sync.
    Gone,
    /// 400, 422 and every other 4xx without a row of its own.
    Rejected,
    /// 409 or 425: not now, and the reason is not said.
    Conflict,
    /// 429: too many requests.
    Throttled,
    /// 5xx.
    Server,
    /// 3xx: somebody would like the key to be sent elsewhere. It is not.
    Redirected,
    /// An answer that is not one: no JSON, cut short, too large, another id, the
    /// opposite state.
    Malformed,
    /// No (whole) answer in time, or the server says so (408).
    Timeout,
    /// Nothing left this machine: no address, no connection, no trust.
    NotSent,
    /// The connection broke after the request may have left.
    Lost,
    /// The key could not be read, so there was nothing to send.
    Key,
    /// The ledger could not be written first, so nothing was sent.
    Ledger,
}

impl FailureKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::Unauthorized,
        Self::Forbidden,
        Self::Gone,
        Self::Rejected,
        Self::Conflict,
        Self::Throttled,
        Self::Server,
        Self::Redirected,
        Self::Malformed,
        Self::Timeout,
        Self::NotSent,
        Self::Lost,
        Self::Key,
        Self::Ledger,
    ];

    /// The kind as a label in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Redirected => "redirected",
            Self::Malformed => "malformed",
            Self::Timeout => "timeout",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
            Self::Key => "key",
            Self::Ledger => "ledger",
        }
    }

    /// Whether a request that met this can never be applied any more.
    #[expect(clippy::match_same_arms, reason = "each row has a reason of its own")]
    pub fn surely_not_applied(self) -> bool {
        match self {
            // Turned away before anybody looked at what was asked.
            Self::Unauthorized | Self::Forbidden | Self::Gone | Self::Rejected => true,
            Self::Throttled | Self::Redirected => true,
            // Never left.
            Self::NotSent | Self::Key | Self::Ledger => true,
            // 409 also means "an equal request is being worked on".
            Self::Conflict => false,
            // A 5xx may come from a proxy that had already passed it on.
            Self::Server | Self::Timeout | Self::Lost => false,
            // A 2xx that confirms nothing, most likely to something applied.
            Self::Malformed => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_turned_away_or_never_left_is_refused() {
        let refused: Vec<_> = FailureKind::ALL
            .iter()
            .copied()
            .filter(|&kind| matches!(Verdict::of(Failure::new(kind, "")), Verdict::Refused(_)))
            .map(FailureKind::as_str)
            .collect();
        assert_eq!(
            refused,
            [
                "unauthorized",
                "forbidden",
                "gone",
                "rejected",
                "throttled",
                "redirected",
                "not_sent",
                "key",
                "ledger"
            ]
        );
    }

    #[test]
    fn what_was_not_applied_says_what_it_met() {
        let failure = |kind| Failure::new(kind, "no luck");
        assert_eq!(Verdict::Applied.failure(), None);
        for kind in [FailureKind::Forbidden, FailureKind::Timeout] {
            assert_eq!(Verdict::of(failure(kind)).failure(), Some(&failure(kind)));
            assert_eq!(kind.to_string(), kind.as_str());
        }
    }
}
