//! Questions to the journal.

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use uuid::Uuid;

use super::rows;
use crate::domain::event::{Event, EventKind};
use crate::domain::sync::{Name, SyncRef};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Grows with every entry and is never used again.
    pub id: i64,
    /// When it happened, by the wall clock, to the millisecond.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
    /// What the sync's row said before, `none` if there was no row. Absent in an
    /// entry about no sync, and in those of earlier versions.
    pub state_before: Option<String>,
    /// What it said afterwards.
    pub state_after: Option<String>,
}

/// Which entries of the journal are asked for: those for which all of this
/// holds. The default asks for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryQuery {
    /// From then on.
    pub since: Option<DateTime<Utc>>,
    /// Before then.
    pub until: Option<DateTime<Utc>>,
    /// About this sync.
    pub sync: Option<SyncFilter>,
    /// About this window.
    pub window: Option<Name>,
    /// Of one of these kinds. None given: of every kind.
    pub events: Vec<EventKind>,
    /// Written after the entry of this id: what came since, for who follows.
    pub after_id: Option<i64>,
    /// Written before the entry of this id, for who turns the pages back.
    pub before_id: Option<i64>,
    /// No more than so many.
    pub limit: Option<usize>,
    /// Whether `limit` keeps the newest rather than the oldest. The answer is
    /// in order, newest last, either way.
    pub newest_first: bool,
}

/// How a sync is named in a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncFilter {
    /// This one and no other.
    Exactly(SyncRef),
    /// Any of this id, in whichever organization.
    Id(Uuid),
    /// Any that had this name then.
    Named(String),
}

impl HistoryQuery {
    pub(super) fn run(&self, connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
        let (conditions, mut values) = self.conditions();
        let order = if self.newest_first { "DESC" } else { "ASC" };
        let sql = format!("SELECT * FROM journal WHERE {conditions} ORDER BY id {order} LIMIT ?");
        // To SQLite a negative limit is none.
        values.push(self.limit.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX)).into());

        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement.query_map(params_from_iter(values), rows::entry)?;
        let mut entries = found.collect::<rusqlite::Result<Vec<_>>>()?;
        if self.newest_first {
            entries.reverse();
        }
        Ok(entries)
    }

    fn conditions(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut and = |condition: &str, value: Value| {
            conditions.push(condition.to_owned());
            values.push(value);
        };

        if let Some(since) = self.since {
            and("at >= ?", since.timestamp_millis().into());
        }
        if let Some(until) = self.until {
            and("at < ?", until.timestamp_millis().into());
        }
        if let Some(id) = self.after_id {
            and("id > ?", id.into());
        }
        if let Some(id) = self.before_id {
            and("id < ?", id.into());
        }
        if let Some(window) = &self.window {
            and("\"window\" = ?", window.as_str().to_owned().into());
        }
        match &self.sync {
            None => {}
            Some(SyncFilter::Id(id)) => and("sync = ?", id.to_string().into()),
            Some(SyncFilter::Named(name)) => and("name = ?", name.clone().into()),
            Some(SyncFilter::Exactly(sync)) => {
                and("organization = ?", sync.organization.as_str().to_owned().into());
                and("kind = ?", sync.kind.as_str().to_owned().into());
                and("sync = ?", sync.id.to_string().into());
            }
        }
        if !self.events.is_empty() {
            conditions.push(format!("event IN ({})", vec!["?"; self.events.len()].join(", ")));
            values.extend(self.events.iter().map(|it| Value::from(it.as_str().to_owned())));
        }
        (conditions.join(" AND "), values)
    }
}
