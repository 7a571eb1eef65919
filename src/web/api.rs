//! What is said over the sockets: both ends share these types.

mod calendar;
mod upcoming;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::domain::calendar::Calendar;
use crate::domain::hold::HoldState;
use crate::domain::notice::TargetReport;
use crate::domain::preflight::Preflight;
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::window::Occurrence;
use crate::domain::zone::Zone;
use crate::reconcile::{OrderReport, Planned, RowReport, Why};

pub use calendar::{CalendarAnswer, CalendarRequest, MOST_DAYS, NamedSync, Names};
pub use upcoming::{OccurrenceLine, PauseLine, SyncLine, Upcoming};
pub use windows::{WindowLine, window_state};

/// A question to the daemon's loop, with the way back for its answer.
#[derive(Debug)]
pub enum Ask {
    /// The state of things.
    Status(oneshot::Sender<Status>),
    /// The state of things, with all that the page shows beside it.
    Snapshot(oneshot::Sender<Snapshot>),
    /// What would be done now, as far as is known.
    Plan(oneshot::Sender<Vec<Planned>>),
    /// What windows and syncs are called.
    Names(oneshot::Sender<Names>),
    /// The journal.
    History {
        /// Which part of it.
        request: HistoryRequest,
        /// The way back.
        reply: oneshot::Sender<Result<Vec<JournalLine>, Refusal>>,
    },
    /// Read the configuration again.
    Reload {
        /// The way back.
        reply: oneshot::Sender<Result<Reloaded, Refusal>>,
    },
    /// End holds now.
    Resume {
        /// Which.
        request: ResumeRequest,
        /// On whose word.
        by: String,
        /// The way back.
        reply: oneshot::Sender<Result<ResumeAnswer, Refusal>>,
    },
    /// Pause syncs on an operator's word.
    Pause {
        /// Which, and for how long.
        request: PauseRequest,
        /// On whose word.
        by: String,
        /// The way back.
        reply: oneshot::Sender<Result<Ordered, Refusal>>,
    },
    /// Let an open occurrence close later.
    Extend {
        /// Which, and by how much.
        request: ExtendRequest,
        /// On whose word.
        by: String,
        /// The way back.
        reply: oneshot::Sender<Result<Ordered, Refusal>>,
    },
    /// Take windows away from syncs for a time, or give them back.
    Exempt {
        /// Which, and until when.
        request: ExemptRequest,
        /// On whose word.
        by: String,
        /// The way back.
        reply: oneshot::Sender<Result<Ordered, Refusal>>,
    },
    /// Why a sync is paused or not.
    Why {
        /// Which: id, `organization/id` or unique name.
        sync: String,
        /// The way back.
        reply: oneshot::Sender<Result<Why, Refusal>>,
    },
    /// Drop the row of a sync that is gone.
    Forget {
        /// Which.
        request: ForgetRequest,
        /// On whose word.
        by: String,
        /// The way back.
        reply: oneshot::Sender<Result<Forgotten, Refusal>>,
    },
}

/// The daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// The configuration file.
    pub config: String,
    /// Why the file as it is now is not in force.
    pub config_error: Option<String>,
    /// The time zone data in force.
    pub tzdb: String,
    /// Why its clock cannot be right; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error: Option<String>,
}

/// `status --format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon. `null` when it was not reached and the ledger was read.
    pub daemon: DaemonStatus,
    /// Nothing is overdue, nothing fails, the configuration is in force,
    /// every row can be read, and the clock can be right.
    pub healthy: bool,
    /// When anything is next due to change.
    pub next_change: Option<DateTime<Utc>>,
    /// Every row.
    pub syncs: Vec<RowReport>,
    /// What operators asked for and is not over; absent if there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderReport>,
    /// Rows of the ledger that cannot be read; absent if all can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger_damage: Vec<String>,
    /// Windows whose selection cannot be read or is nothing; absent if there
    /// are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection_errors: Vec<String>,
    /// What was found before windows that are to open; absent if there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflights: Vec<Preflight>,
    /// How it goes with telling people, a target each; absent if nobody is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<TargetReport>,
}

/// What the page, the metrics and the HTTP API are made from. It is cheap to
/// take, and everything that costs time is worked out by whoever asked.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// As `status` tells it.
    pub status: Status,
    /// The windows in force. None: release-only.
    pub calendar: Option<Calendar>,
    /// What syncs are called at Polytomic, where it is known.
    pub names: BTreeMap<SyncRef, String>,
    /// What its windows that select were last found to select.
    pub selections: BTreeMap<Name, Arc<Resolution>>,
    /// The zone in which times without one are told.
    pub zone: Zone,
    /// The organizations in force, with their base URLs.
    pub organizations: Vec<(Name, String)>,
    /// Tells one text of the file from another.
    pub fingerprint: Option<String>,
    /// What deserves a second look in the file, a line each.
    pub warnings: Vec<String>,
    /// Whether everything is on disk that should be.
    pub is_written: bool,
}

impl Snapshot {
    /// What the sync is called at Polytomic, else its id.
    pub fn name_of(&self, sync: &SyncRef) -> String {
        self.names.get(sync).cloned().unwrap_or_else(|| sync.id.to_string())
    }
}

/// Most lines of the journal in one answer. It can be far longer than the memory of a
/// daemon should be: who wants more turns the pages.
pub const MOST_LINES: usize = 1000;

/// Which part of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRequest {
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Of one sync: id, `organization/id` or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Of one window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Of one or more kinds, with commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only entries after this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Only entries before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many, the newest; never more than [`MOST_LINES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The oldest instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oldest_first: bool,
}

/// One line of the journal, as `history --format json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Ascending, without meaning otherwise.
    pub entry: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What: the event's name.
    pub event: String,
    /// To whose sync.
    pub organization: Option<Name>,
    /// Model or bulk.
    pub kind: Option<crate::domain::sync::SyncKind>,
    /// To which sync.
    pub id: Option<uuid::Uuid>,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// On behalf of which window.
    pub window: Option<Name>,
    /// When that window's occurrence opened.
    pub occurrence: Option<DateTime<Utc>>,
    /// By whom.
    pub by: String,
    /// What else there is to say.
    pub detail: Option<String>,
    /// Which attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What it met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the window's author says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the sync's row said before, `none` without a row; absent if it is
    /// about no sync, or from before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_before: Option<String>,
    /// What it said afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_after: Option<String>,
}

impl JournalLine {
    /// The description, unless the detail ends with it, as it does when a window opens.
    pub fn untold_description(&self) -> Option<&str> {
        let description = self.description.as_deref()?;
        let is_told = self.detail.as_ref().is_some_and(|detail| detail.ends_with(description));
        Some(description).filter(|_| !is_told)
    }
}

/// A reload that came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// How many windows there are now.
    pub windows: usize,
    /// How many syncs they name.
    pub syncs: usize,
    /// How many of them select syncs, which are found by asking Polytomic.
    #[serde(default)]
    pub selecting: usize,
    /// What deserves a second look, rendered.
    pub warnings: Vec<String>,
}

impl Reloaded {
    /// How much it is: `4 windows, 0 syncs and what 4 windows select`.
    pub fn in_words(&self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        let selected = match self.selecting {
            0 => String::new(),
            1 => " and what 1 window selects".to_owned(),
            selecting => format!(" and what {selecting} windows select"),
        };
        format!("{}, {}{selected}", count(self.windows, "window"), count(self.syncs, "sync"))
    }
}

/// Which holds to end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeRequest {
    /// Ids, `organization/id`s or unique names.
    pub syncs: Vec<String>,
    /// All that this window's open occurrence covers.
    pub window: Option<String>,
    /// All.
    pub all: bool,
    /// Why, for the journal.
    pub reason: Option<String>,
}

/// What a resume did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeAnswer {
    /// What an operator had asked for and was ended before its time, if it was
    /// called by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderReport>,
    /// If that was an extension: when the occurrence closes, or closed, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<DateTime<Utc>>,
    /// Each sync it concerned.
    pub syncs: Vec<ResumedSync>,
}

/// What a resume did about one sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumedSync {
    /// The sync, as `organization/id`.
    pub sync: String,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// What its row said before; `null` without a row.
    pub was: Option<HoldState>,
    /// The occurrences that count for it no longer, and did until now.
    pub ended: Vec<Occurrence>,
    /// Until when it is paused all the same, for what was not ended; absent if
    /// nothing asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<DateTime<Utc>>,
    /// What that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_by: Vec<Name>,
    /// The next occurrence that will pause it.
    pub next: Option<Occurrence>,
}

/// Which syncs to pause, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PauseRequest {
    /// Ids, `organization/id`s or unique names.
    pub syncs: Vec<String>,
    /// All that this window names.
    pub window: Option<String>,
    /// The kind of a sync that no window and no row names, given by its id.
    pub kind: Option<SyncKind>,
    /// From when on; now if absent.
    pub from: Option<DateTime<Utc>>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Or for how long.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Which window's open occurrence to close later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// The window.
    pub window: String,
    /// By how much.
    pub seconds: u64,
    /// Why.
    pub reason: String,
}

/// Which syncs no window touches, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExemptRequest {
    /// Ids, `organization/id`s or unique names.
    pub syncs: Vec<String>,
    /// All.
    pub all: bool,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Or for how long.
    pub seconds: Option<u64>,
    /// End what was said before, instead.
    pub end: bool,
    /// Why.
    pub reason: String,
}

/// What an operator's word did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// What is in force now; `null` if something was ended.
    pub order: Option<OrderReport>,
    /// Each sync that it concerns now, and what follows for it.
    pub syncs: Vec<Why>,
    /// How the request was understood, where it could be meant otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which sync to explain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyRequest {
    /// Id, `organization/id` or unique name.
    pub sync: String,
}

/// Which row to drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// Id, `organization/id` or unique name.
    pub sync: String,
}

/// The row is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The sync, as `organization/id`.
    pub sync: String,
}

/// Why the daemon did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum Refusal {
    /// The request makes no sense.
    #[error("{message}")]
    BadRequest {
        /// Why.
        message: String,
    },
    /// There is no such thing, or more than one.
    #[error("{message}")]
    NotFound {
        /// Why.
        message: String,
    },
    /// It cannot be done as things are.
    #[error("{message}")]
    Conflict {
        /// Why.
        message: String,
    },
    /// The configuration is wrong; what was in force stays.
    #[error("the configuration is wrong; what was in force stays in force")]
    ConfigRejected {
        /// All that is wrong, each rendered with its place.
        errors: Vec<String>,
    },
    /// The ledger could not be read or written.
    #[error("{message}")]
    Ledger {
        /// Why.
        message: String,
    },
    /// The daemon is about to end.
    #[error("{message}")]
    Stopping {
        /// Why.
        message: String,
    },
}
