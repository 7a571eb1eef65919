//! What happened: every change of a sync and every request. Judges read this.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::route::Operation;
use crate::domain::sync::{Name, SyncKind};

/// Who changed a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Somebody in Polytomic's own pages.
    Person,
    /// A request to the API.
    Api,
}

/// One switch of one sync, or its creation or deletion. A switch that found
/// the sync as it wanted it is written down too, `before` equal to `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When it took effect.
    pub at: DateTime<Utc>,
    /// The organization's name.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Which sync.
    pub id: Uuid,
    /// Person or API.
    pub who: Who,
    /// The person's name, or the API's.
    pub by: String,
    /// Whether it was active; none if it did not exist.
    pub before: Option<bool>,
    /// Whether it is active; none if it no longer exists.
    pub after: Option<bool>,
    /// [`Received::number`] of the request that did it.
    pub request_number: Option<u64>,
}

impl Change {
    /// Whether the sync was another one afterwards.
    pub fn changed(&self) -> bool {
        self.before != self.after
    }
}

/// A request, as it came in, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Counts from 1.
    pub number: u64,
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// What it was for.
    pub operation: Operation,
    /// The sync it was about.
    pub sync: Option<Uuid>,
    /// The `X-Polytomic-Version` it named; a careful client names one always.
    pub version: Option<String>,
    /// The organization its key belongs to; none if it was turned away.
    pub organization: Option<Name>,
    /// The status it was answered with; none if it got no answer at all.
    pub status: Option<u16>,
    /// When the change it asked for was first made. Always none for requests
    /// that only read.
    pub applied_at: Option<DateTime<Utc>>,
    /// Whether a rule or the rate limit interfered.
    pub fault: bool,
}

impl Received {
    /// Whether its key was known.
    pub fn authorized(&self) -> bool {
        self.organization.is_some()
    }

    /// Whether the change it asked for was made.
    pub fn applied(&self) -> bool {
        self.applied_at.is_some()
    }
}
