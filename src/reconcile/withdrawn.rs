//! Ends what an operator asked for before its time: by its name, or because the
//! syncs that it pauses were resumed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::event::{Event, EventKind};
use crate::domain::moment::Moment;
use crate::domain::operator::{Order, What};
use crate::domain::sync::{Name, SyncRef};
use crate::ledger::Change;

use super::operator::{Resumed, Selection};
use super::{Action, Reconciler, write};

/// An order that was ended before its time, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// What was asked for.
    pub order: Order,
    /// Of an extension: when the occurrence closes, or closed, without it. `None`
    /// also if its window is open no more at all.
    pub closes: Option<DateTime<Utc>>,
    /// The syncs that it was about.
    pub syncs: Vec<Resumed>,
}

/// Why an order was not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotEnded {
    /// There is none.
    #[error("`{0}` is over, or nobody asked for it: there is nothing to end")]
    Unknown(Name),
    /// It moved the end of a window, and no file says where that was.
    #[error(
        "no configuration is in force, so nobody knows when window `{window}` closes without `{order}`: mend \
         the file first, or end its pauses now with `intermission resume --window {window}`"
    )]
    Unforeseeable {
        /// The extension.
        order: Name,
        /// What it extends.
        window: Name,
    },
}

impl Reconciler {
    /// Ends an order, begun or not.
    pub fn end_order(
        &mut self,
        name: &Name,
        by: &str,
        reason: Option<&str>,
        now: Moment,
    ) -> Result<(Withdrawn, Vec<Action>), NotEnded> {
        let is_it = |it: &Order| it.name() == *name && now.wall < it.until;
        let index = self.orders.iter().position(is_it).ok_or_else(|| NotEnded::Unknown(name.clone()))?;
        if let What::Extend { window, .. } = &self.orders[index].what
            && self.calendar.is_none()
        {
            return Err(NotEnded::Unforeseeable { order: name.clone(), window: window.clone() });
        }
        let order = self.orders.remove(index);
        self.renew_calendar();
        if self.calendar().is_none() && order.holder().is_some() {
            return Ok(self.end_alone(order, by, reason, now));
        }
        let events = self.told_of_end(&order, by, reason);
        let actions = vec![write(Change::new().drop_order(order.number), events, now)];
        let syncs = self.concerned(&order, now);
        let syncs = syncs.iter().map(|sync| self.without(&order, sync, now)).collect();
        let closes = match &order.what {
            What::Extend { window, opens } => self.closes(window, *opens),
            What::Pause { .. } | What::Exempt { .. } => None,
        };
        Ok((Withdrawn { order, closes, syncs }, actions))
    }

    /// Without a configuration a row knows one end, whoever asked for it: the pause
    /// of each sync that the order holds ends as a whole.
    fn end_alone(
        &mut self,
        order: Order,
        by: &str,
        reason: Option<&str>,
        now: Moment,
    ) -> (Withdrawn, Vec<Action>) {
        let (syncs, mut actions) = self.resume(&Selection::Window(order.name()), by, reason, now);
        actions.push(write(Change::new().drop_order(order.number), vec![], now));
        (Withdrawn { order, closes: None, syncs }, actions)
    }

    fn told_of_end(&self, order: &Order, by: &str, reason: Option<&str>) -> Vec<Event> {
        let ended = |what: &str| match reason {
            Some(reason) => format!("{what} was ended: {reason}"),
            None => format!("{what} was ended"),
        };
        match &order.what {
            What::Extend { .. } => {
                self.told_of(order, EventKind::Extended, by, Some(&ended("the extension")))
            }
            What::Exempt { .. } => {
                self.told_of(order, EventKind::Exempted, by, Some(&ended("the exemption")))
            }
            What::Pause { .. } => self.told_of(order, EventKind::OperatorResume, by, reason),
        }
    }

    /// The syncs that an order names, that its window covers, or, if it is about
    /// all, those that are touched now.
    fn concerned(&self, order: &Order, now: Moment) -> BTreeSet<SyncRef> {
        match &order.what {
            What::Pause { syncs } | What::Exempt { syncs: Some(syncs) } => syncs.clone(),
            What::Exempt { syncs: None } => self.touched(now),
            What::Extend { window, .. } => {
                let window = self.calendar().and_then(|it| it.window(window.as_str()));
                window.map(|it| it.syncs.clone()).unwrap_or_default()
            }
        }
    }

    /// The syncs that have a row, or that something asks to pause at this moment.
    pub fn touched(&self, now: Moment) -> BTreeSet<SyncRef> {
        let with_row = self.cases.values().filter(|it| it.hold.is_some()).map(|it| it.sync.clone());
        let mut touched: BTreeSet<SyncRef> = with_row.collect();
        if let Some(calendar) = self.calendar() {
            let open = calendar.open_at(now.wall);
            touched.extend(open.paused().map(|(sync, _)| sync.clone()));
        }
        touched
    }

    /// What follows for a sync when an order about it is no more.
    fn without(&self, order: &Order, sync: &SyncRef, now: Moment) -> Resumed {
        let why = self.why(sync, now);
        Resumed {
            sync: sync.clone(),
            was: self.cases.get(sync).and_then(|it| it.hold.as_ref()).map(|hold| hold.state),
            ended: order.holder().into_iter().collect(),
            paused_until: why.until,
            paused_by: why.counted().map(|it| it.occurrence.window.clone()).collect(),
            name: why.name,
            next: why.next,
        }
    }

    fn closes(&self, window: &Name, opens: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let open = self.calendar()?.window(window.as_str())?.covering(opens)?;
        (open.opens == opens).then_some(open.closes)
    }

    /// What an operator resumes is taken out of the operators' pauses that hold it
    /// now: they are told no longer, and nothing waits for their end.
    pub(super) fn take_out_of_orders(&mut self, resumed: &[Resumed], actions: &mut Vec<Action>, now: Moment) {
        let resumed: BTreeSet<SyncRef> = resumed.iter().map(|it| it.sync.clone()).collect();
        let mut change = Change::new();
        let mut kept = Vec::new();
        let before = self.orders.clone();
        for order in &before {
            match &order.what {
                What::Pause { syncs } if order.holds_at(now.wall) && !syncs.is_disjoint(&resumed) => {
                    let left: BTreeSet<SyncRef> = syncs - &resumed;
                    if left.is_empty() {
                        change = change.drop_order(order.number);
                    } else {
                        let order = Order { what: What::Pause { syncs: left }, ..order.clone() };
                        change = change.order(order.clone());
                        kept.push(order);
                    }
                }
                What::Pause { .. } | What::Extend { .. } | What::Exempt { .. } => kept.push(order.clone()),
            }
        }
        if kept != before {
            self.orders = kept;
            self.renew_calendar();
            actions.push(Action::Write { change });
        }
    }
}
