//! The daemon's side: what `daemon` does for the reconciler, in simulated time.

use crate::domain::plan::{self, Errand, Proof};
use crate::reconcile::{ErrandReply, SweepReply};

use super::{
    Action, Arc, Calendar, Change, Duration, EventKind, Fault, Happening, HoldState, InForce, On, Plant,
    Reconciler, Reply, SyncRef, Told, World,
};

impl World {
    pub(super) fn start(&mut self) {
        if self.reconciler.is_some() {
            return;
        }
        self.process += 1;
        let mut contents = self.store.contents().expect("nobody else writes the ledger");
        let ago = contents.ended.map(|it| it.ago(&self.ended())).unwrap_or_default();
        self.booted = self.uptime.saturating_sub(ago);
        let found = contents.selections.clone();
        self.ordered.look(&contents.orders);
        self.plant.defect(&mut contents);
        note!(self, World: "process {} starts with {} rows", self.process, contents.holds.len());
        let owed =
            contents.holds.iter().any(|hold| hold.state.owes_resume() || hold.state == HoldState::Settling);
        let in_force = (!self.config_is_broken).then(|| self.read_config());
        if in_force.is_none() && !owed {
            // Exit 78; the service manager tries again.
            self.after(Duration::from_mins(5), Happening::Start);
            return;
        }
        if self.config_is_broken {
            self.meet(Fault::ConfigBrokenAtStart, On::World);
        }
        let dice = self.rng.fork();
        let mut reconciler = Reconciler::new(contents.holds, contents.watches, in_force, dice);
        reconciler.remember_orders(contents.orders, contents.last_order);
        reconciler.remember_selections(contents.selections);
        reconciler.remember_reports(contents.reports);
        self.reconciler = Some(reconciler);
        self.calendar_is_renewed();
        self.judge_start(&found);
        self.pass();
    }

    /// The process is stopped or killed.
    pub(super) fn end(&mut self) {
        let in_order = self.rng.bool();
        if in_order && !self.is_calm && self.reconciler.as_ref().is_some_and(Reconciler::is_written) {
            self.apply(&Change::new().ended(self.ended()));
        }
        self.crash(if in_order { Fault::Stopped } else { Fault::Crash });
    }

    pub(super) fn read_config(&self) -> InForce {
        InForce {
            calendar: Arc::new(Calendar::new(self.windows.clone())),
            organizations: self.organizations.clone(),
            rules: self.rules,
            preflight: None,
        }
    }

    /// Where blocks begin and end, the judge goes by what is in force, orders and all.
    pub(super) fn calendar_is_renewed(&mut self) {
        self.in_force = self.reconciler.as_ref().and_then(|it| it.calendar().cloned());
        self.open = None;
    }

    /// Same, if it is another one.
    pub(super) fn calendar_may_be_renewed(&mut self) {
        let calendar = self.reconciler.as_ref().and_then(|it| it.calendar());
        let is_same = match (calendar, &self.in_force) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (_, _) => false,
        };
        if !is_same {
            self.calendar_is_renewed();
        }
    }

    pub(super) fn pass(&mut self) {
        let now = self.now();
        let Some(reconciler) = &mut self.reconciler else { return };
        let actions = reconciler.pass(now);
        self.carry_out(actions);
        self.sleep();
    }

    /// Sleeps as the daemon does: to the next timer, the next boundary, and
    /// never long while anything is held.
    pub(super) fn sleep(&mut self) {
        let now = self.now();
        let Some(reconciler) = &self.reconciler else { return };
        let wake = reconciler.next_wake(now);
        let by_uptime = wake.uptime.map(|at| at.saturating_sub(now.uptime));
        let by_wall = wake.wall.map(|at| (at - now.wall).to_std().unwrap_or_default());
        let held = reconciler.owes_resumes().then_some(self.max_sleep);
        let sleep = [by_uptime, by_wall, held].into_iter().flatten().min();
        if let Some(sleep) = sleep {
            self.sleeps += 1;
            let sleeps = self.sleeps;
            self.after(sleep.max(Duration::from_millis(1)), Happening::Wake { sleep: sleeps });
        }
    }

    pub(super) fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if self.reconciler.is_none() {
                return;
            }
            match action {
                Action::Write { change } => {
                    for (_, event) in change.events() {
                        if self.is_recorded {
                            self.note(Told::Daemon(Box::new(event.clone())));
                        }
                        if let (EventKind::Released, Some(sync), Some(calendar)) =
                            (event.kind, &event.sync, &self.in_force)
                        {
                            self.judge.respects(sync, &calendar.desired(sync, self.wall));
                        }
                    }
                    self.write(change);
                }
                Action::WriteAgain { change } => self.write(change),
                Action::List { organization, kinds } => self.list(organization, &kinds),
                // No scene looks at syncs before their windows.
                Action::Scout { .. } => {}
                Action::Sweep { organization, kinds } => self.sweep(organization, &kinds),
                Action::Look { sync, organization } => self.look(sync, organization),
                Action::Errand { sync, organization, errand } => self.errand(sync, organization, errand),
                Action::Start { sync, organization, change } => {
                    self.write(change);
                    let (calendar, now) = (self.in_force.clone(), self.now());
                    let row = self.rows.get(&sync);
                    self.judge.start_leaves(&sync, calendar.as_deref(), row, now);
                    self.errand(sync, organization, Errand::Start);
                }
                Action::Pause { sync, organization, change, until } => {
                    self.pause(sync, organization, &change, until);
                }
                Action::Resume { sync, .. } if self.gives_up(&sync) => {}
                Action::Resume { sync, organization, change } => self.resume(sync, organization, &change),
            }
        }
    }

    /// Whether the planted defect leaves this resume out.
    fn gives_up(&self, sync: &SyncRef) -> bool {
        self.plant == Plant::GivesUp && self.rows.get(sync).is_some_and(|row| 2 <= row.attempts)
    }

    pub(super) fn write(&mut self, change: Change) {
        let dropped = change.sync().cloned();
        if !self.apply(&change) {
            let now = self.now();
            if let Some(reconciler) = &mut self.reconciler {
                reconciler.write_failed(change, now);
            }
            return;
        }
        if let Some(sync) = dropped.filter(|sync| self.row(sync).is_none()) {
            self.judge.row_dropped(&sync);
        }
    }

    pub(super) fn hear_errand(&mut self, process: u64, reply: ErrandReply) {
        if process != self.process || self.reconciler.is_none() {
            return;
        }
        if let Ok(plan::Told::Proof(Proof { status: Some(status), .. })) = &reply.learnt.result
            && status.newest.is_some_and(|it| self.resumed(&reply.sync).is_some_and(|resumed| resumed <= it))
        {
            self.judge.is_seen_to_run(&reply.sync);
        }
        let now = self.now();
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.hear_errand(reply, now);
        }
        self.pass();
    }

    pub(super) fn hear_sweep(&mut self, process: u64, reply: SweepReply) {
        if process != self.process || self.reconciler.is_none() {
            return;
        }
        let now = self.now();
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.hear_sweep(reply, now);
        }
        self.pass();
    }

    pub(super) fn answer(&mut self, process: u64, reply: Reply) {
        if process != self.process || self.reconciler.is_none() {
            return;
        }
        let now = self.now();
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.hear(reply, now);
        }
        self.pass();
    }
}
