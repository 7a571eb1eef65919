//! One sync's turn: what the plan says, and whether its lane lets it go.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::calendar::Desired;
use crate::domain::execution::After;
use crate::domain::moment::Moment;
use crate::domain::organization::Organization;
use crate::domain::plan::{Case, ErrandStep, Step, Turn, next_errand, next_step};
use crate::domain::sync::SyncRef;
use crate::ledger::Change;

use super::lane::{Rank, Seat};
use super::{Action, FRESH, RELEASED, Reconciler, write};

/// When an errand may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// It was let through.
    Now,
    /// Once it is let through.
    Later,
}

impl Reconciler {
    pub(super) fn desired(&self, case: &Case, now: Moment) -> Desired {
        match (&self.open, &case.hold) {
            (Some(open), _) => open.desired(&case.sync),
            (_, Some(hold)) => hold.desired_alone(now.wall),
            (_, None) => Desired::Running,
        }
    }

    /// Decides about one sync until there is nothing more to decide.
    pub(super) fn decide_wholly(&mut self, sync: &SyncRef, now: Moment, actions: &mut Vec<Action>) {
        self.open_case(sync);
        self.decide(sync, now, actions);
        while self.due.remove(sync) {
            self.decide(sync, now, actions);
        }
    }

    /// Decides about one sync, and does it unless it has to wait for its lane.
    fn decide(&mut self, sync: &SyncRef, now: Moment, actions: &mut Vec<Action>) {
        let Some(case) = self.cases.get_mut(sync) else { return };
        if case.is_in_flight() {
            return;
        }
        case.drop_stale_evidence(now.uptime, FRESH);
        if let Some((step, organization, desired)) = self.ask_plan(sync, now, next_step) {
            self.carry(sync, organization, step, &desired, now, actions);
            self.decide_errand(sync, Leave::Later, now, actions);
        }
    }

    /// Decides what is asked about one sync's executions. Whatever it is, everything
    /// about anybody's state goes first.
    fn decide_errand(&mut self, sync: &SyncRef, leave: Leave, now: Moment, actions: &mut Vec<Action>) {
        if self.cases.get(sync).is_none_or(|it| it.is_in_flight()) {
            return;
        }
        let Some((step, organization, _)) = self.ask_plan(sync, now, next_errand) else { return };
        if let (Some(rank), Some(organization)) = (Rank::of_errand(&step), &organization)
            && !self.admit_errand(sync, organization, leave, now)
        {
            let lane = self.lanes.entry(Arc::clone(organization)).or_default();
            lane.wait(rank, Seat::Errand(sync.clone()));
            // What waits for ever is given up some time. In whole minutes, so that it is
            // the same timer however often it is set.
            let at = Duration::from_mins(now.uptime.as_secs() / 60 + 1);
            self.timers.insert((at, sync.clone()));
            return;
        }
        let Some(case) = self.cases.get_mut(sync) else { return };
        let has_row = case.hold.is_some();
        let reports = match &case.hold {
            Some(hold) if step.ends_proof() => self.tallies.add(hold, case.errands.proven(), now),
            Some(_) | None => vec![],
        };
        let reported = |change: Change| reports.into_iter().fold(change, Change::report);
        case.take_errand(&step);
        match (step, organization) {
            (ErrandStep::Rest { until: Some(until) }, _) => drop(self.timers.insert((until, sync.clone()))),
            (ErrandStep::Ask { errand, .. }, Some(organization)) => {
                actions.push(Action::Errand { sync: sync.clone(), organization, errand });
            }
            (ErrandStep::Start { hold }, Some(organization)) => {
                let change = Change::new().put(*hold);
                actions.push(Action::Start { sync: sync.clone(), organization, change });
            }
            // Only a sync without a row has no organization, and then the plan rests.
            (ErrandStep::Rest { until: None } | ErrandStep::Ask { .. } | ErrandStep::Start { .. }, _) => {}
            (ErrandStep::Keep { hold, events, .. }, _) => {
                actions.push(write(reported(Change::new().put(*hold)), events, now));
                self.make_due(sync.clone());
            }
            (ErrandStep::Forget { events }, _) => {
                if has_row || !events.is_empty() {
                    actions.push(write(reported(Change::new().forget(sync.clone())), events, now));
                }
                self.make_due(sync.clone());
            }
        }
    }

    /// Whether every other sync of its organization that is to run was resumed, as far
    /// as this pass knows. Only who is to be started asks, and many may.
    fn are_others_resumed(&mut self, sync: &SyncRef) -> bool {
        let hold = self.cases.get(sync).and_then(|case| case.hold.as_ref());
        if !hold.is_some_and(|hold| matches!(hold.runs.after, After::Start(_))) {
            return true;
        }
        let Self { cases, open, owing, .. } = self;
        let owing = owing.get_or_insert_with(|| {
            let is_owed = |case: &Case| {
                case.hold.as_ref().is_some_and(|hold| hold.state.owes_resume())
                    && open.as_ref().is_none_or(|open| open.pause(&case.sync).is_none())
            };
            cases.values().filter(|it| is_owed(it)).map(|it| it.sync.organization.clone()).collect()
        });
        !owing.contains(&sync.organization)
    }

    fn admit_errand(
        &mut self,
        sync: &SyncRef,
        organization: &Arc<Organization>,
        leave: Leave,
        now: Moment,
    ) -> bool {
        let lane = self.lanes.entry(Arc::clone(organization)).or_default();
        let admitted = leave == Leave::Now && !self.is_stopping && lane.admits_errand(now.uptime);
        if admitted {
            lane.started(Seat::Errand(sync.clone()), now.uptime);
        }
        admitted
    }

    /// Puts a question to the plan: with the answer come who is to be asked about
    /// the sync, and what is wanted of it.
    fn ask_plan<T>(
        &mut self,
        sync: &SyncRef,
        now: Moment,
        question: impl FnOnce(&Case, &Turn) -> T,
    ) -> Option<(T, Option<Arc<Organization>>, Desired)> {
        let all_resumed = self.are_others_resumed(sync);
        let jitter = self.dice.f64();
        self.judge(sync, now, jitter, all_resumed, question)
    }

    /// The same with dice that were thrown before; nothing changes by it. Whether
    /// all others run again is costly to know, and matters to errands alone.
    pub(super) fn judge<T>(
        &self,
        sync: &SyncRef,
        now: Moment,
        jitter: f64,
        all_resumed: bool,
        question: impl FnOnce(&Case, &Turn) -> T,
    ) -> Option<(T, Option<Arc<Organization>>, Desired)> {
        let case = self.cases.get(sync)?;
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
        let lane = organization.as_ref().and_then(|it| self.lanes.get(it));
        let rules = self.sweeps.rules(sync, &self.rules);
        let turn = Turn {
            now,
            desired: &desired,
            organization: configured,
            may_pause: self.in_force.is_some() && RELEASED <= now.wall,
            key_proven: lane.is_some_and(|it| it.key_proven_by_other(sync)),
            all_resumed,
            statuses_hang: lane.is_some_and(|it| it.statuses_hang(now.uptime)),
            is_exempt: self.calendar.as_ref().is_some_and(|it| it.exempt_until(sync, now.wall).is_some()),
            jitter,
            rules: &rules,
        };
        let answer = question(case, &turn);
        Some((answer, organization, desired))
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
            let lane = self.lanes.entry(Arc::clone(organization)).or_default();
            lane.wait(rank, Seat::State(sync.clone()));
            return;
        }
        let Some(case) = self.cases.get_mut(sync) else { return };
        let reports = match (&case.hold, &step) {
            (Some(hold), Step::Forget { .. }) => self.tallies.add_left_alone(hold, now),
            _ => vec![],
        };
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
                self.make_due(sync.clone());
            }
            (Step::Forget { events }, _) => {
                let change = reports.into_iter().fold(Change::new().forget(sync.clone()), Change::report);
                actions.push(write(change, events, now));
                self.make_due(sync.clone());
            }
            (Step::Defer { events, .. }, _) => {
                if !events.is_empty() {
                    actions.push(write(Change::new(), events, now));
                }
                self.make_due(sync.clone());
            }
        }
        self.remind_of_overdue(sync, now);
    }

    /// Whether the organization takes a request now; if so, its place is taken.
    fn admit(&mut self, sync: &SyncRef, organization: &Arc<Organization>, now: Moment) -> bool {
        let lane = self.lanes.entry(Arc::clone(organization)).or_default();
        let admitted = !self.is_stopping && lane.admits(now.uptime);
        if admitted {
            lane.started(Seat::State(sync.clone()), now.uptime);
        }
        admitted
    }

    /// Lets syncs through that waited for their organization, the most urgent
    /// first. Each is decided anew: what was urgent may not even be true now.
    pub(super) fn let_through(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for organization in self.lanes.keys().cloned().collect::<Vec<_>>() {
            while let Some(seat) = self.lanes.get_mut(&organization).and_then(|it| it.next(now.uptime)) {
                match seat {
                    Seat::State(sync) => self.decide_wholly(&sync, now, actions),
                    Seat::Errand(sync) => {
                        self.decide_errand(&sync, Leave::Now, now, actions);
                        if self.due.remove(&sync) {
                            self.decide_wholly(&sync, now, actions);
                        }
                    }
                    Seat::Preflight(sync) => self.scout(sync, now, actions),
                }
            }
        }
    }

    /// Nothing to do: a case about which nothing is known needs no memory.
    fn put_away(&mut self, sync: &SyncRef) {
        let is_covered = self.open.iter().any(|open| open.pause(sync).is_some());
        if !is_covered
            && self.cases.get(sync).is_some_and(|case| {
                case.hold.is_none() && case.errands.call.is_none() && !case.errands.waited()
            })
        {
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
