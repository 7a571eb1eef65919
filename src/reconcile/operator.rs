//! What an operator asks for: resume now, forget.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::calendar::{Desired, OpenWindows};
use crate::domain::event::{Event, EventKind};
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::Moment;
use crate::domain::plan::Case;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::Occurrence;
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// Which syncs an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Syncs(Vec<SyncRef>),
    /// Those that an open occurrence of this window covers.
    Window(Name),
    /// All that are held or covered by an open occurrence.
    All,
}

/// What a resume means for one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The sync.
    pub sync: SyncRef,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// What its row said before.
    pub was: Option<HoldState>,
    /// The occurrences that are ended for this sync, and were not before.
    pub ended: Vec<Occurrence>,
    /// Until when it is paused all the same, for what was not ended.
    pub paused_until: Option<DateTime<Utc>>,
    /// What that is.
    pub paused_by: Vec<Name>,
    /// The next occurrence that will pause it.
    pub next: Option<Occurrence>,
}

/// Why a row was not dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotForgotten {
    /// There is no row.
    #[error("the ledger has no row of sync `{0}`")]
    NoRow(SyncRef),
    /// A request is under way.
    #[error("a request about sync `{0}` is under way; try again in a moment")]
    Busy(SyncRef),
    /// Polytomic still knows it, so a resume may be owed.
    #[error("Polytomic still knows sync `{0}`: its row goes by itself; `intermission resume` ends a hold")]
    NotGone(SyncRef),
    /// Polytomic did not know it a while ago, and is asked again.
    #[error(
        "Polytomic did not know sync `{0}` when it was last asked, and is asked again now: give it a moment, \
         and say it again if `intermission status` still shows it as unknown"
    )]
    NotSure(SyncRef),
}

/// What Polytomic said longer ago than this is asked again before a row is dropped.
const SURE: Duration = Duration::from_mins(1);

impl Reconciler {
    /// Ends holds now. The syncs are left alone until an occurrence begins
    /// that has not begun at `now`.
    pub fn resume(
        &mut self,
        selection: &Selection,
        by: &str,
        reason: Option<&str>,
        now: Moment,
    ) -> (Vec<Resumed>, Vec<Action>) {
        let mut actions = Vec::new();
        if self.boundary_passed(now.wall) {
            self.reopen(now, &mut actions);
        }
        // Those too that the next pass would come to.
        let covered = self.open.iter().flat_map(OpenWindows::paused).map(|(sync, _)| sync.clone());
        for sync in covered.collect::<Vec<_>>() {
            self.open_case(&sync);
        }
        let resumed: Vec<Resumed> = self
            .selected(selection, now)
            .into_iter()
            .map(|sync| self.resume_one(sync, by, reason, now, &mut actions))
            .collect();
        self.take_out_of_orders(&resumed, &mut actions, now);
        (resumed, actions)
    }

    fn selected(&self, selection: &Selection, now: Moment) -> Vec<SyncRef> {
        let serves = |case: &Case, name: &Name| {
            let open = holders(&self.desired(case, now), case.hold.as_ref());
            open.iter().any(|it| it.window == *name)
        };
        let is_meant = |case: &Case| match selection {
            Selection::Syncs(syncs) => syncs.contains(&case.sync),
            Selection::Window(name) => serves(case, name),
            Selection::All => {
                case.hold.as_ref().is_some_and(|hold| hold.state.owes_resume())
                    || self.desired(case, now) != Desired::Running
            }
        };
        let mut found: Vec<SyncRef> =
            self.cases.values().filter(|case| is_meant(case)).map(|case| case.sync.clone()).collect();
        if let Selection::Syncs(syncs) = selection {
            found.extend(syncs.iter().filter(|it| !self.cases.contains_key(it)).cloned());
        }
        found
    }

    fn resume_one(
        &mut self,
        sync: SyncRef,
        by: &str,
        reason: Option<&str>,
        now: Moment,
        actions: &mut Vec<Action>,
    ) -> Resumed {
        let case = self.cases.get(&sync).cloned().unwrap_or_else(|| Box::new(Case::new(sync.clone())));
        let holders = holders(&self.desired(&case, now), case.hold.as_ref());
        let was = case.hold.as_ref().map(|hold| hold.state);
        let next = self.calendar.as_ref().and_then(|it| it.next_pause(&sync, now.wall, &holders));
        let counts = |it: &&Occurrence| !case.hold.as_ref().is_some_and(|hold| hold.leaves_alone(it));
        let ended: Vec<Occurrence> = holders.iter().filter(counts).cloned().collect();
        let name = self.name_of(&sync).map(str::to_owned);
        let configured = self.in_force.as_ref().and_then(|it| it.organizations.get(&sync.organization));
        let fresh = || Some(case.new_hold(&configured?.0, HoldState::Released, now.wall));
        let left_alone = case.hold.clone().or_else(fresh).map(|hold| {
            let mut left_alone = hold.clone();
            left_alone.leave_alone(&holders);
            (left_alone, hold)
        });
        // Said again, or of a sync that nothing holds, it changes nothing, and is not
        // written down.
        let says_more = |hold: &Hold, before: &Hold| hold != before || hold.state.owes_resume();
        if let Some((hold, _)) = left_alone.filter(|(hold, before)| says_more(hold, before)) {
            let event = Event {
                sync: Some(sync.clone()),
                name: name.clone(),
                window: holders.first().map(|it| it.window.clone()),
                occurrence: holders.first().map(|it| it.opens),
                by: by.to_owned(),
                detail: reason.map(str::to_owned),
                ..Event::new(EventKind::OperatorResume)
            };
            actions.push(write(Change::new().put(hold.clone()), vec![event], now));
            let case = self.cases.entry(sync.clone()).or_insert(case);
            case.decide_for(hold);
            self.make_due(sync.clone());
        }
        Resumed { sync, name, was, ended, paused_until: None, paused_by: vec![], next }
    }

    /// Drops the row of a sync that Polytomic does not know any more.
    pub fn forget(&mut self, sync: &SyncRef, by: &str, now: Moment) -> Result<Vec<Action>, NotForgotten> {
        let case = self.cases.get(sync).ok_or_else(|| NotForgotten::NoRow(sync.clone()))?;
        let hold = case.hold.as_ref().ok_or_else(|| NotForgotten::NoRow(sync.clone()))?;
        if case.is_in_flight() {
            return Err(NotForgotten::Busy(sync.clone()));
        }
        // Where it was paused nobody answers, and the file looks for it elsewhere by now.
        let is_lost = self.elsewhere(&hold.organization).is_some() && hold.last_error.is_some();
        if !is_lost && hold.gone.is_none() {
            return Err(NotForgotten::NotGone(sync.clone()));
        }
        if !is_lost && case.gone_heard.is_none_or(|at| at + SURE < now.uptime) {
            self.cases.entry(sync.clone()).and_modify(|it| it.retry = None);
            self.make_due(sync.clone());
            return Err(NotForgotten::NotSure(sync.clone()));
        }
        let event = Event {
            sync: Some(sync.clone()),
            name: case.name.clone(),
            by: by.to_owned(),
            detail: is_lost.then(|| format!("it was paused at {}", hold.organization.url)),
            ..Event::new(EventKind::Forgotten)
        };
        self.cases.insert(sync.clone(), Box::new(Case::new(sync.clone())));
        self.make_due(sync.clone());
        Ok(vec![write(Change::new().forget(sync.clone()), vec![event], now)])
    }
}

/// The occurrences that cover a sync now, whether anybody decided against them
/// or not, and those its row still serves.
fn holders(desired: &Desired, hold: Option<&Hold>) -> Vec<Occurrence> {
    let mut holders = match desired {
        Desired::Running => vec![],
        Desired::Paused(pause) => pause.holders.to_vec(),
    };
    if let Some(hold) = hold.filter(|hold| hold.state.owes_resume()) {
        for it in &*hold.holders {
            if !holders.iter().any(|other| other.is(it)) {
                holders.push(it.clone());
            }
        }
    }
    holders
}
