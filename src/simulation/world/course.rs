//! What becomes of a request on its way: whether and when it is applied, and
//! what the daemon hears of it. HTTP itself is left out: how a status or a body
//! becomes a [`FailureKind`] is shown by the client's own tests.

use super::{Duration, Failure, FailureKind, Fault, Name, On, SyncRef, SyncState, Told, World};

/// The course of one request.
#[derive(Debug)]
pub(super) struct Course {
    /// After so long it is applied; twice, if somebody on the way repeats it.
    pub(super) applied: Vec<Duration>,
    /// What the daemon hears, if it is not what it asked for.
    pub(super) failure: Option<Failure>,
    /// After so long it hears it.
    pub(super) answered: Duration,
}

/// Whether a request that meets a fault is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    Never,
    AtOnce,
    Late,
    Twice,
}

impl World {
    /// Of a request to this organization; one that moves a switch, to this sync's.
    pub(super) fn course(&mut self, on: On, organization: &Name, switch: Option<&SyncRef>) -> Course {
        let (there, back) = (self.latency(), self.latency());
        if let Some(kind) = self.down.get(organization).copied() {
            let answered = if kind == FailureKind::Timeout { self.timeout } else { there };
            return Course { applied: vec![], failure: Some(Failure::new(kind, "down")), answered };
        }
        if switch.is_some_and(|it| self.api.state(it) == SyncState::Gone) {
            let failure = Some(Failure::new(FailureKind::Gone, "404"));
            return Course { applied: vec![], failure, answered: there + back };
        }
        if !self.goes_wrong() {
            return Course { applied: vec![there], failure: None, answered: there + back };
        }
        let strikes = |(fault, it): &&(Fault, On)| *it == on && failure_of(*fault).is_some();
        let possible: Vec<Fault> = Fault::ALL.iter().filter(strikes).map(|(fault, _)| *fault).collect();
        let fault = possible[self.rng.usize(..possible.len())];
        note!(self, Request: "  it meets {fault:?}");
        self.meet(fault, on);
        let (kind, applied) = failure_of(fault).expect("only such were asked for");
        let mut failure = Failure::new(kind, format!("{fault:?}"));
        let says_when = fault == Fault::ServerBusy || fault == Fault::Throttled && self.rng.bool();
        failure.retry_after = says_when.then(|| Duration::from_secs(self.rng.u64(1..60)));
        // As late as a request may be, counted from when it was sent.
        let late = self.timeout.mul_f64(0.9)
            + self.rules.settle.saturating_sub(self.timeout).mul_f64(self.rng.f64());
        let applied = match applied {
            Applied::Never => vec![],
            Applied::AtOnce => vec![there],
            Applied::Late => vec![late],
            Applied::Twice => vec![there, late],
        };
        Course {
            applied,
            failure: Some(failure),
            answered: if kind == FailureKind::Timeout { self.timeout } else { there + back },
        }
    }
}

/// What a fault of a request makes of it, or none for faults of other things.
fn failure_of(fault: Fault) -> Option<(FailureKind, Applied)> {
    use Applied::{AtOnce, Late, Never, Twice};
    Some(match fault {
        Fault::Lost | Fault::ServerTimeout => (FailureKind::Timeout, Never),
        Fault::ReplyLost => (FailureKind::Timeout, AtOnce),
        Fault::AppliedLate => (FailureKind::Timeout, Late),
        Fault::AppliedTwice => (FailureKind::Timeout, Twice),
        Fault::ServerErrorApplied => (FailureKind::Server, AtOnce),
        Fault::ServerError | Fault::ServerBusy => (FailureKind::Server, Never),
        Fault::ConnectionLostApplied => (FailureKind::Lost, AtOnce),
        Fault::ConnectionLost => (FailureKind::Lost, Never),
        Fault::MalformedApplied => (FailureKind::Malformed, AtOnce),
        Fault::Malformed => (FailureKind::Malformed, Never),
        Fault::ConflictApplied => (FailureKind::Conflict, AtOnce),
        Fault::Conflict => (FailureKind::Conflict, Never),
        Fault::Unauthorized => (FailureKind::Unauthorized, Never),
        Fault::Forbidden => (FailureKind::Forbidden, Never),
        Fault::Rejected => (FailureKind::Rejected, Never),
        Fault::Redirected => (FailureKind::Redirected, Never),
        Fault::Throttled => (FailureKind::Throttled, Never),
        Fault::NotSent => (FailureKind::NotSent, Never),
        Fault::KeyUnreadable => (FailureKind::Key, Never),
        _ => return None,
    })
}
