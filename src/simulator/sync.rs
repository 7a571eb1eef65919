//! A sync of the simulated Polytomic.

use chrono::{DateTime, Duration, DurationRound as _, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::execution::{Execution, Trigger};
use crate::domain::sync::SyncKind;

/// Executions that are kept for each sync; older ones are forgotten.
const KEPT_EXECUTIONS: usize = 200;

/// A sync, as somebody set it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Its id.
    pub id: Uuid,
    /// Model or bulk.
    pub kind: SyncKind,
    /// What people call it.
    pub name: String,
    /// Whether it is switched on.
    pub active: bool,
    /// When it runs.
    pub schedule: Schedule,
    /// How long one execution takes.
    pub run_length: TimeDelta,
    /// Where a bulk sync reads.
    pub source_connection_id: Uuid,
    /// Where it writes.
    pub target_connection_id: Uuid,
    /// How it writes: `updateOrCreate`, `append`, …; for bulk syncs `replicate`
    /// or `snapshot`.
    pub mode: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// By whom.
    pub updated_by: Actor,
    /// Whether the key may not change it: switch, start and cancel are
    /// answered with 403.
    pub forbidden: bool,
    /// Whether nobody plans its next run, whatever its schedule says.
    pub unplanned: bool,
    // Oldest first; at most the last one has not ended.
    pub(super) executions: Vec<Execution>,
    // Invariant: set exactly while it is active, has a schedule and is planned.
    pub(super) next_run: Option<DateTime<Utc>>,
}

impl Sync {
    /// An active sync without a schedule, whose executions take a minute.
    pub fn new(kind: SyncKind, id: Uuid, name: impl Into<String>, created_at: DateTime<Utc>) -> Self {
        let mode = match kind {
            SyncKind::Model => "updateOrCreate",
            SyncKind::Bulk => "replicate",
        };
        Self {
            id,
            kind,
            name: name.into(),
            active: true,
            schedule: Schedule::Manual,
            run_length: TimeDelta::minutes(1),
            source_connection_id: Uuid::from_u128(1),
            target_connection_id: Uuid::from_u128(2),
            mode: mode.to_owned(),
            created_at,
            updated_at: created_at,
            updated_by: Actor::person("Ada Lovelace"),
            forbidden: false,
            unplanned: false,
            executions: Vec::new(),
            next_run: None,
        }
    }

    /// Its executions that are remembered, oldest first.
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// The execution that has not ended.
    pub fn running(&self, now: DateTime<Utc>) -> Option<&Execution> {
        self.executions.last().filter(|it| !it.status(now).is_terminal())
    }

    /// The last execution that has ended.
    pub fn last_ended(&self, now: DateTime<Utc>) -> Option<&Execution> {
        self.executions.iter().rev().find(|it| it.status(now).is_terminal())
    }

    /// When the schedule starts it next.
    pub fn next_run(&self) -> Option<DateTime<Utc>> {
        self.next_run
    }

    /// Switches it. Only a bulk sync's execution is told to stop; a model
    /// sync's goes on (Polytomic's page "activate" says so of each).
    pub(super) fn switch(&mut self, now: DateTime<Utc>, active: bool, by: Actor) {
        if self.active != active {
            self.updated_at = now;
            self.updated_by = by;
        }
        self.active = active;
        self.reschedule(now);
        if !active && self.kind == SyncKind::Bulk {
            self.cancel(now);
        }
    }

    pub(super) fn reschedule(&mut self, now: DateTime<Utc>) {
        self.next_run = (self.active && !self.unplanned).then(|| self.schedule.next_after(now)).flatten();
    }

    pub(super) fn cancel(&mut self, now: DateTime<Utc>) {
        if let Some(execution) = self.executions.last_mut() {
            execution.cancel(now);
        }
    }

    pub(super) fn cancel_execution(&mut self, now: DateTime<Utc>, id: Uuid) {
        if let Some(execution) = self.executions.iter_mut().find(|it| it.id == id) {
            execution.cancel(now);
        }
    }

    pub(super) fn start(&mut self, now: DateTime<Utc>, id: Uuid, trigger: Trigger) -> &Execution {
        if self.executions.len() >= KEPT_EXECUTIONS {
            self.executions.drain(..KEPT_EXECUTIONS / 2);
        }
        let execution = Execution::new(id, trigger, now, self.run_length);
        self.executions.push_mut(execution)
    }
}

/// When a sync runs by itself. All times are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Never.
    #[default]
    Manual,
    /// Every so many seconds. The API calls it `continuous`; there it is every
    /// five minutes, a demonstration is less patient.
    Every(u32),
    /// At this minute of every hour.
    Hourly(u32),
    /// At this minute and hour of every day.
    Daily(u32, u32),
    /// After this model sync has run. It is told, and starts nothing here.
    After(Uuid),
}

impl Schedule {
    /// The first run after this time.
    pub fn next_after(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Manual | Self::After(_) => None,
            Self::Every(seconds) => {
                let step = Duration::seconds(i64::from(seconds.max(1)));
                now.duration_trunc(step).ok().map(|last| last + step)
            }
            Self::Hourly(minute) => {
                let hour = now.duration_trunc(Duration::hours(1)).ok()?;
                let this = hour + Duration::minutes(i64::from(minute));
                Some(if this > now { this } else { this + Duration::hours(1) })
            }
            Self::Daily(hour, minute) => {
                let this = now.date_naive().and_time(NaiveTime::from_hms_opt(hour, minute, 0)?).and_utc();
                Some(if this > now { this } else { this + Duration::days(1) })
            }
        }
    }
}

/// Who made or changed a sync, as the API names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Their id.
    pub id: Uuid,
    /// Their name.
    pub name: String,
    /// `user` or `api_key`.
    pub kind: &'static str,
}

impl Actor {
    /// A person. The id follows from the name, so the same person is the same
    /// actor everywhere.
    pub fn person(name: impl Into<String>) -> Self {
        let name = name.into();
        let id = name.bytes().fold(0xa11c_e000_0000_4000_8000_u128, |sum, byte| {
            sum.wrapping_mul(257).wrapping_add(u128::from(byte))
        });
        Self { id: Uuid::from_u128(id), name, kind: "user" }
    }

    /// A request with the organization's key.
    pub fn api_key() -> Self {
        Self { id: Uuid::from_u128(0xa91), name: "API key".to_owned(), kind: "api_key" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: Schedule, now: &str, next: Option<&str>) {
        let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(schedule.next_after(instant(now)), next.map(instant), "{schedule:?} after {now}");
    }

    #[test]
    fn the_next_run_is_strictly_later() {
        check(Schedule::Manual, "2026-05-05T10:00:00Z", None);
        check(Schedule::Every(300), "2026-05-05T10:00:00Z", Some("2026-05-05T10:05:00Z"));
        check(Schedule::Every(300), "2026-05-05T10:04:59.5Z", Some("2026-05-05T10:05:00Z"));
        check(Schedule::Hourly(15), "2026-05-05T10:14:59Z", Some("2026-05-05T10:15:00Z"));
        check(Schedule::Hourly(15), "2026-05-05T10:15:00Z", Some("2026-05-05T11:15:00Z"));
        check(Schedule::Daily(6, 30), "2026-05-05T06:30:00Z", Some("2026-05-06T06:30:00Z"));
    }
}
