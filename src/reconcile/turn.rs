//! One sync's turn: what the plan says, and whether its lane lets it go.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::calendar::Desired;
use crate::domain::moment::Moment;
use crate::domain::organization::Organization;
use crate::domain::plan::{Case, Step, Turn, next_step};
use crate::domain::sync::SyncRef;
use crate::ledger::Change;

use super::lane::Rank;
use super::{Action, FRESH, RELEASED, Reconciler, write};

impl Reconciler {
    pub(super) fn desired(&self, case: &Case, now: Moment) -> Desired {
        match (&self.open, &case.hold) {
            (Some(open), _) => open.desired(&case.sync),
            (_, Some(hold)) => hold.desired_alone(now.wall),
            (_, None) => Desired::Running,
        }
    }

    /// Decides about one sync, and does it unless it has to wait for its lane.
    pub(super) fn decide(&mut self, sync: &SyncRef, now: Moment, actions: &mut Vec<Action>) {
        let Some(case) = self.cases.get_mut(sync) else { return };
        if case.is_in_flight() {
            return;
        }
        case.drop_stale_evidence(now.uptime, FRESH);
        let case = &self.cases[sync];
        let desired = self.desired(case, now);
        let configured = self
            .in_force
            .as_ref()
            .and_then(|it| it.organizations.get(&sync.organization))
            .map(|(organization, _)| organization);
        let organization = match &case.hold {
            Some(hold) if hold.state.owes_resume() || hold.unsettled.any() => Some(&hold.organization),
            held => configured.or(held.as_ref().map(|hold| &hold.organization)),
        }
        .cloned();
        let turn = Turn {
            now,
            desired: &desired,
            organization: configured,
            may_pause: self.in_force.is_some() && RELEASED <= now.wall,
            key_proven: organization
                .as_ref()
                .and_then(|it| self.lanes.get(it))
                .is_some_and(|lane| lane.key_proven_by_other(sync)),
            jitter: self.dice.f64(),
            rules: &self.rules,
        };
        let step = next_step(case, &turn);
        self.carry(sync, organization, step, &desired, now, actions);
    }

    /// Takes the step, or puts the sync into its lane to be decided again.
    fn carry(
        &mut self,
        sync: &SyncRef,
        organization: Option<Arc<Organization>>,
        step: Step,
        desired: &Desired,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        if let (Some(rank), Some(organization)) = (Rank::of(&step, desired), &organization)
            && !self.admit(sync, organization, now)
        {
            self.lanes.entry(Arc::clone(organization)).or_default().wait(rank, sync.clone());
            return;
        }
        let Some(case) = self.cases.get_mut(sync) else { return };
        case.take(&step);
        match (step, organization) {
            (Step::Rest { until: Some(until) }, _) => {
                self.timers.insert((until, sync.clone()));
            }
            (Step::Rest { until: None }, _) => self.put_away(sync),
            (Step::Look, Some(organization)) => {
                actions.push(Action::Look { sync: sync.clone(), organization });
            }
            (Step::Pause { hold, until }, Some(organization)) => {
                let change = Change::new().put(*hold);
                actions.push(Action::Pause { sync: sync.clone(), organization, change, until });
            }
            (Step::Resume { hold }, Some(organization)) => {
                actions.push(Action::Resume {
                    sync: sync.clone(),
                    organization,
                    change: Change::new().put(*hold),
                });
            }
            // Only a sync without a row has no organization, and without one the plan rests.
            (Step::Look | Step::Pause { .. } | Step::Resume { .. }, None) => {}
            (Step::Keep { hold, events, .. }, _) => {
                actions.push(write(Change::new().put(*hold), events, now));
                self.due.insert(sync.clone());
            }
            (Step::Forget { events }, _) => {
                actions.push(write(Change::new().forget(sync.clone()), events, now));
                self.due.insert(sync.clone());
            }
            (Step::Defer { events, .. }, _) => {
                if !events.is_empty() {
                    actions.push(write(Change::new(), events, now));
                }
                self.due.insert(sync.clone());
            }
        }
        self.remind_of_overdue(sync, now);
    }

    /// Whether the organization takes a request now; if so, its place is taken.
    fn admit(&mut self, sync: &SyncRef, organization: &Arc<Organization>, now: Moment) -> bool {
        let lane = self.lanes.entry(Arc::clone(organization)).or_default();
        let admitted = !self.is_stopping && lane.admits(now.uptime);
        if admitted {
            lane.started(sync, now.uptime);
        }
        admitted
    }

    /// Lets syncs through that waited for their organization, the most urgent
    /// first. Each is decided anew: what was urgent may not even be true now.
    pub(super) fn let_through(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for organization in self.lanes.keys().cloned().collect::<Vec<_>>() {
            while let Some(sync) = self.lanes.get_mut(&organization).and_then(|it| it.next(now.uptime)) {
                self.due.insert(sync);
                while let Some(sync) = self.due.pop_first() {
                    self.decide(&sync, now, actions);
                }
            }
        }
    }

    /// Nothing to do: a case about which nothing is known needs no memory.
    fn put_away(&mut self, sync: &SyncRef) {
        let is_covered = self.open.iter().any(|open| open.pause(sync).is_some());
        if !is_covered && self.cases.get(sync).is_some_and(|case| case.hold.is_none()) {
            self.cases.remove(sync);
        }
    }

    /// Wakes in time to tell that a sync is overdue, whatever it waits for.
    fn remind_of_overdue(&mut self, sync: &SyncRef, now: Moment) {
        let Some(hold) = self.cases.get(sync).and_then(|case| case.hold.as_ref()) else { return };
        if !hold.state.owes_resume() || hold.overdue_told {
            return;
        }
        let due = (hold.resume_by - now.wall).to_std().unwrap_or_default() + self.rules.overdue_after;
        // In whole seconds, so that it is the same timer however often it is set.
        let at = Duration::from_secs((now.uptime + due).as_secs() + 1);
        self.timers.insert((at, sync.clone()));
    }
}
