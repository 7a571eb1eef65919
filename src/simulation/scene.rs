//! What a world begins with, and how unkind it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::organization::Organization;
use crate::domain::plan::Rules;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::Window;
use crate::domain::zone::Zone;
use crate::polytomic::Limits;

/// What a world begins with.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The same scene and seed are the same world.
    pub seed: u64,
    /// What the clock says when it begins.
    pub from: DateTime<Utc>,
    /// The windows of the file.
    pub windows: Vec<Window>,
    /// The organizations of the file.
    pub organizations: BTreeMap<Name, (Arc<Organization>, Limits)>,
    /// The pace of the file.
    pub rules: Rules,
    /// The longest that the daemon sleeps while it owes a resume.
    pub max_sleep: Duration,
    /// After how long it gives a request up; not above `rules.settle`.
    pub timeout: Duration,
    /// Every sync that Polytomic knows, and whether it is on.
    pub syncs: Vec<(SyncRef, bool)>,
    /// Faults and people act for so long.
    pub calm_after: Duration,
    /// All windows are taken out of the file then, so that nothing may be off any
    /// more. None: they stay.
    pub windows_end_after: Option<Duration>,
    /// It is judged then.
    pub ends_after: Duration,
    /// What goes wrong, and how often.
    pub unkindness: Unkindness,
    /// An empty directory for the ledger, which is in memory otherwise. Power
    /// losses, which tear what was not synced, need one.
    pub disk: Option<PathBuf>,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Default)]
pub struct Unkindness {
    /// The share of requests that meet a fault; crashes, full disks and syncs that
    /// vanish for hours come as often. 0 for none, 1 for all.
    pub faults: f64,
    /// How busy people are. At 1 somebody switches a sync 40 times a day, and an
    /// operator acts 4 times.
    pub people: f64,
    /// Whether the clock is set, slewed, or stands still.
    pub clocks: bool,
    /// Whether somebody edits the file, and breaks it. Windows are moved to these
    /// zones, among other things.
    pub edits: Vec<Zone>,
    /// This organization is down for hours, twice a day.
    pub outages_of: Option<Name>,
}

impl Unkindness {
    /// Whether nothing goes wrong but what becomes of whole organizations.
    pub(super) fn is_none(&self) -> bool {
        self.faults == 0.0 && self.people == 0.0 && !self.clocks
    }
}
