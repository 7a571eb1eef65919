//! What would be done about each sync now, as far as the daemon knows without
//! asking anybody.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::calendar::Desired;
use crate::domain::hold::HoldState;
use crate::domain::moment::Moment;
use crate::domain::plan::{Case, Turn, WAITS_TO_PAUSE, next_step, waits_to_pause, wanted};
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
    /// `running`, `paused` or `left alone`.
    pub desired: String,
    /// Until when something asks for its pause.
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
        let question = |case: &Case, turn: &Turn| (next_step(case, turn), waits_to_pause(case, turn));
        let ((step, waits), _, desired) = self.judge(&case.sync, now, 0.0, false, question)?;
        let until = match &desired {
            Desired::Running => None,
            Desired::Paused(pause) => Some(pause.until),
        };
        let step = match step {
            _ if case.is_in_flight() => "wait for an answer".to_owned(),
            _ if waits => WAITS_TO_PAUSE.to_owned(),
            step => step.to_string(),
        };
        Some(Planned {
            organization: case.sync.organization.clone(),
            kind: case.sync.kind,
            id: case.sync.id,
            name: self.name_of(&case.sync).map(str::to_owned).or_else(|| case.name.clone()),
            desired: wanted(&desired, case.hold.as_ref()).to_owned(),
            until,
            held: case.hold.as_ref().map(|hold| hold.state),
            step,
        })
    }
}
