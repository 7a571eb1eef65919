//! Executions: their state is a function of the time, nothing moves them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::sync::SyncKind;

/// How long an execution waits before it runs.
const QUEUED: TimeDelta = TimeDelta::seconds(1);

/// How long a cancellation takes.
const CANCELING: TimeDelta = TimeDelta::seconds(2);

/// What started an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The sync's schedule.
    Scheduled,
    /// Somebody asked for it.
    Manual,
}

impl Trigger {
    /// The `type` of the execution in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        }
    }
}

/// How far an execution is. Polytomic knows more words than these; both kinds
/// of sync have all of them except `queued`, which bulk syncs call `scheduled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its turn.
    Queued,
    /// It moves data.
    Running,
    /// It was told to stop and has not yet.
    Canceling,
    /// It was stopped.
    Canceled,
    /// It is done.
    Completed,
}

impl Status {
    /// The word of the API.
    pub fn of(self, kind: SyncKind) -> &'static str {
        match (self, kind) {
            (Self::Queued, SyncKind::Model) => "queued",
            (Self::Queued, SyncKind::Bulk) => "scheduled",
            (Self::Running, _) => "running",
            (Self::Canceling, _) => "canceling",
            (Self::Canceled, _) => "canceled",
            (Self::Completed, _) => "completed",
        }
    }

    /// Whether nothing happens any more.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Canceling => false,
            Self::Canceled | Self::Completed => true,
        }
    }
}

/// One run of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its id.
    pub id: Uuid,
    /// What started it.
    pub trigger: Trigger,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it is done, unless it is canceled before.
    pub completes_at: DateTime<Utc>,
    /// When it was told to stop.
    pub cancel_requested_at: Option<DateTime<Utc>>,
}

impl Execution {
    pub(super) fn new(id: Uuid, trigger: Trigger, created_at: DateTime<Utc>, length: TimeDelta) -> Self {
        let completes_at = created_at + QUEUED + length;
        Self { id, trigger, created_at, completes_at, cancel_requested_at: None }
    }

    /// How far it is at this time.
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match self.cancel_requested_at {
            Some(_) if now >= self.ends_at() => Status::Canceled,
            Some(_) => Status::Canceling,
            None if now >= self.completes_at => Status::Completed,
            None if now >= self.created_at + QUEUED => Status::Running,
            None => Status::Queued,
        }
    }

    /// When it began to move data, if it has.
    pub fn started_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let starts = self.created_at + QUEUED;
        (starts <= self.cancel_requested_at.unwrap_or(now)).then_some(starts).filter(|&it| it <= now)
    }

    /// When it ended, if it has.
    pub fn ended_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.ends_at()).filter(|&it| it <= now)
    }

    /// Tells it to stop. What has ended, or was told already, stays as it is.
    pub(super) fn cancel(&mut self, now: DateTime<Utc>) {
        if matches!(self.status(now), Status::Queued | Status::Running) {
            self.cancel_requested_at = Some(now);
        }
    }

    fn ends_at(&self) -> DateTime<Utc> {
        self.cancel_requested_at.map_or(self.completes_at, |at| at + CANCELING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(execution: &Execution, expected: &[(i64, Status)]) {
        for &(second, status) in expected {
            assert_eq!(execution.status(at(second)), status, "after {second} s");
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn a_minute_long() -> Execution {
        Execution::new(Uuid::nil(), Trigger::Manual, at(0), TimeDelta::seconds(60))
    }

    #[test]
    fn waits_runs_and_completes() {
        check(
            &a_minute_long(),
            &[(0, Status::Queued), (1, Status::Running), (60, Status::Running), (61, Status::Completed)],
        );
        assert_eq!(a_minute_long().started_at(at(30)), Some(at(1)));
        assert_eq!(a_minute_long().ended_at(at(30)), None);
        assert_eq!(a_minute_long().ended_at(at(90)), Some(at(61)));
    }

    #[test]
    fn a_cancellation_takes_a_moment() {
        let mut execution = a_minute_long();
        execution.cancel(at(10));
        execution.cancel(at(11));
        check(&execution, &[(10, Status::Canceling), (11, Status::Canceling), (12, Status::Canceled)]);
    }

    #[test]
    fn what_has_completed_cannot_be_canceled() {
        let mut execution = a_minute_long();
        execution.cancel(at(61));
        check(&execution, &[(61, Status::Completed), (99, Status::Completed)]);
    }
}
