//! What would be done about each sync now, as far as the daemon knows without
//! asking anybody.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::calendar::Desired;
use crate::domain::hold::HoldState;
use crate::domain::moment::Moment;
use crate::domain::plan::{Case, next_step};
use crate::domain::sync::{Name, SyncKind};

use super::Reconciler;

/// What would be done about one sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its organization.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Its id.
    pub id: Uuid,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// `running` or `paused`.
    pub desired: String,
    /// Until when, if it is to be paused.
    pub until: Option<DateTime<Utc>>,
    /// What the row says, if there is one.
    pub held: Option<HoldState>,
    /// In words, as `plan` tells it. `wait for an answer` while a request is
    /// under way.
    pub step: String,
}

impl Reconciler {
    /// What would be done about each sync that is looked after. Nothing is done,
    /// and nobody is asked.
    pub fn plan(&self, now: Moment) -> Vec<Planned> {
        self.cases.values().filter_map(|case| self.planned(case, now)).collect()
    }

    fn planned(&self, case: &Case, now: Moment) -> Option<Planned> {
        // Dice only say how long to wait, which is not told.
        let (step, _, desired) = self.judge(&case.sync, now, 0.0, false, next_step)?;
        let (desired, until) = match desired {
            Desired::Running => ("running", None),
            Desired::Paused(pause) => ("paused", Some(pause.until)),
        };
        let is_waiting = case.is_in_flight();
        Some(Planned {
            organization: case.sync.organization.clone(),
            kind: case.sync.kind,
            id: case.sync.id,
            name: self.name_of(&case.sync).map(str::to_owned).or_else(|| case.name.clone()),
            desired: desired.to_owned(),
            until,
            held: case.hold.as_ref().map(|hold| hold.state),
            step: if is_waiting { "wait for an answer".to_owned() } else { step.to_string() },
        })
    }
}
