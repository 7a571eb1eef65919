//! Operators' orders: pauses, extensions and exemptions beside the file.

use super::{Action, BTreeSet, Fault, Moment, On, Order, SyncRef, Terms, TimeDelta, Told, What, World};

impl World {
    /// An operator orders something, or takes it back.
    pub(super) fn order(&mut self) {
        if self.is_calm || self.disk_is_full || self.in_force.is_none() || self.reconciler.is_none() {
            return;
        }
        let (sync, now) = (self.some_sync(), self.now());
        let ordered = match self.rng.u8(..5) {
            0 => self.operator_pauses(sync, now),
            1 => self.operator_takes_back(now),
            2 => self.operator_extends(now),
            3 => self.operator_exempts(sync, now),
            _ => self.operator_ends_exemption(now),
        };
        let Some((fault, actions)) = ordered else { return };
        self.meet(fault, On::World);
        note!(self, World: "{fault}");
        // What asks for a pause is not what it was. What people decided still counts.
        self.judge.nobody_watches();
        self.calendar_is_renewed();
        self.carry_out_what_was_ordered(actions);
        self.pass();
    }

    pub(super) fn carry_out_what_was_ordered(&mut self, actions: Vec<Action>) {
        self.carry_out(actions);
        if self.reconciler.is_none() {
            self.ordered.was_not_confirmed();
        }
    }

    pub(super) fn some_sync(&mut self) -> SyncRef {
        let which = self.rng.usize(..self.api.syncs().count());
        self.api.syncs().nth(which).cloned().expect("there are syncs in every world")
    }

    /// Soon, and over some hours later: before the windows of a world end.
    fn terms(&mut self, now: Moment) -> Terms {
        let from = now.wall + TimeDelta::minutes(self.rng.i64(0..2) * self.rng.i64(0..120));
        let until = from + TimeDelta::minutes(self.rng.i64(1..180));
        Terms { from, until, reason: "because".to_owned(), by: "operator".to_owned() }
    }

    fn remember(&mut self, number: u32, terms: Terms, what: What) {
        let Terms { from, until, reason, by } = terms;
        self.ordered.give(Order { number, from, until, reason, by, what });
    }

    /// Whether the sync is to be paused at this instant, going by the windows that the
    /// process has in force and by what operators remember.
    pub(super) fn asks_for_pause(&self, sync: &SyncRef) -> bool {
        let windows = self.in_force.as_ref().map(|it| it.windows());
        windows.is_some_and(|it| self.ordered.asks_for_pause(sync, it, self.wall))
    }

    fn operator_pauses(&mut self, sync: SyncRef, now: Moment) -> Option<(Fault, Vec<Action>)> {
        let (terms, syncs) = (self.terms(now), BTreeSet::from([sync]));
        let (order, actions) = self.reconciler.as_mut()?.pause(syncs.clone(), terms.clone(), now);
        self.remember(order.number, terms, What::Pause { syncs });
        Some((Fault::OperatorPause, actions))
    }

    fn operator_takes_back(&mut self, now: Moment) -> Option<(Fault, Vec<Action>)> {
        let reconciler = self.reconciler.as_mut()?;
        let name = reconciler.orders().iter().find(|it| now.wall < it.until)?.name();
        let (ended, actions) = reconciler.end_order(&name, "operator", None, now).ok()?;
        self.ordered.take_back(ended.order.number);
        Some((Fault::OperatorTakesBack, actions))
    }

    fn operator_extends(&mut self, now: Moment) -> Option<(Fault, Vec<Action>)> {
        let longer = TimeDelta::minutes(self.rng.i64(1..180));
        let calendar = self.in_force.clone()?;
        let open = calendar.windows().iter().find_map(|it| it.covering(now.wall))?;
        let terms = Terms { from: now.wall, until: open.closes + longer, ..self.terms(now) };
        let (order, actions) = self.reconciler.as_mut()?.extend(&open, terms.clone(), now);
        self.remember(order.number, terms, What::Extend { window: open.window, opens: open.opens });
        Some((Fault::OperatorExtend, actions))
    }

    fn operator_exempts(&mut self, sync: SyncRef, now: Moment) -> Option<(Fault, Vec<Action>)> {
        let terms = self.terms(now);
        let syncs = (self.rng.u8(..3) > 0).then(|| BTreeSet::from([sync]));
        let (order, actions) = self.reconciler.as_mut()?.exempt(syncs.clone(), terms.clone(), now);
        self.remember(order.number, terms, What::Exempt { syncs });
        Some((Fault::OperatorExempt, actions))
    }

    fn operator_ends_exemption(&mut self, now: Moment) -> Option<(Fault, Vec<Action>)> {
        let reconciler = self.reconciler.as_mut()?;
        let is_on = |it: &&Order| it.is_exemption() && now.wall < it.until;
        let syncs = match &reconciler.orders().iter().find(is_on)?.what {
            What::Exempt { syncs } => syncs.clone(),
            What::Pause { .. } | What::Extend { .. } => return None,
        };
        let actions = reconciler.end_exemptions(syncs.as_ref(), "operator", now).ok()?;
        self.ordered.exemptions_end(syncs.as_ref());
        Some((Fault::OperatorEndsExemption, actions))
    }
}
