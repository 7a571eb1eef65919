//! What operators ask for beside the file: given here, remembered in the ledger,
//! and put into the calendar, which is all that the plan sees of it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::event::{Event, EventKind};
use crate::domain::moment::{Moment, instant};
use crate::domain::operator::{Order, What};
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::Occurrence;
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// From when until when, why, and on whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// On whose word.
    pub by: String,
}

/// Why an exemption was not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExempt {
    /// There is none.
    #[error("no exemption names sync `{0}`")]
    NotNamed(SyncRef),
    /// One that is about all syncs cannot be ended for one of them.
    #[error("sync `{sync}` is exempt by `{order}`, which is about all syncs; end that one with `--all`")]
    ByAll {
        /// Which sync.
        sync: SyncRef,
        /// The exemption.
        order: Name,
    },
    /// There is no exemption that is about all syncs.
    #[error("there is no exemption of all syncs")]
    NoneOfAll,
}

/// An order that is over is remembered for so long: a clock may be set back by
/// hours, hardly by days.
const REMEMBERED_DAYS: i64 = 2;

impl Reconciler {
    /// Takes over what an earlier process was asked for.
    pub fn remember_orders(&mut self, orders: Vec<Order>, last_order: u32) {
        self.orders = orders;
        self.last_order = last_order;
        self.renew_calendar();
    }

    /// What operators asked for.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// Pauses these syncs on an operator's word, whatever windows say.
    pub fn pause(&mut self, syncs: BTreeSet<SyncRef>, terms: Terms, now: Moment) -> (Order, Vec<Action>) {
        self.give(What::Pause { syncs }, EventKind::OperatorPause, terms, now)
    }

    /// Keeps the open occurrence of a window open until `terms.until`.
    pub fn extend(&mut self, occurrence: &Occurrence, terms: Terms, now: Moment) -> (Order, Vec<Action>) {
        let what = What::Extend { window: occurrence.window.clone(), opens: occurrence.opens };
        self.give(what, EventKind::Extended, terms, now)
    }

    /// Takes windows away from these syncs, or from all.
    pub fn exempt(
        &mut self,
        syncs: Option<BTreeSet<SyncRef>>,
        terms: Terms,
        now: Moment,
    ) -> (Order, Vec<Action>) {
        self.give(What::Exempt { syncs }, EventKind::Exempted, terms, now)
    }

    fn give(&mut self, what: What, told: EventKind, terms: Terms, now: Moment) -> (Order, Vec<Action>) {
        let Terms { from, until, reason, by } = terms;
        self.last_order += 1;
        let order = Order { number: self.last_order, from, until, reason, by, what };
        let later = if now.wall < from { format!("from {} ", instant(from)) } else { String::new() };
        let detail = format!("{later}until {}: {}", instant(until), order.reason);
        let events = self.told_of(&order, told, &order.by, Some(&detail));
        self.orders.push(order.clone());
        self.renew_calendar();
        let written = write(Change::new().order(order.clone()), events, now);
        (order, vec![written])
    }

    /// Ends exemptions of these syncs, or the ones that are about all.
    pub fn end_exemptions(
        &mut self,
        syncs: Option<&BTreeSet<SyncRef>>,
        by: &str,
        now: Moment,
    ) -> Result<Vec<Action>, NotExempt> {
        let is_meant = |order: &Order| match (&order.what, syncs) {
            (What::Exempt { syncs: None }, None) => true,
            (What::Exempt { syncs: Some(named) }, Some(meant)) => !named.is_disjoint(meant),
            (What::Exempt { .. } | What::Pause { .. } | What::Extend { .. }, _) => false,
        };
        let found: Vec<Order> =
            self.orders.iter().filter(|it| now.wall < it.until && is_meant(it)).cloned().collect();
        self.refuse_unnamed(syncs, &found)?;
        let mut actions = Vec::new();
        for order in found {
            let ended = Order { what: What::Exempt { syncs: syncs.cloned() }, ..order.clone() };
            let events = self.told_of(&ended, EventKind::Exempted, by, Some("the exemption was ended"));
            let left = match (&order.what, syncs) {
                (What::Exempt { syncs: Some(named) }, Some(ended)) => named - ended,
                _ => BTreeSet::new(),
            };
            let change = if left.is_empty() {
                self.orders.retain(|it| it.number != order.number);
                Change::new().drop_order(order.number)
            } else {
                let order = Order { what: What::Exempt { syncs: Some(left) }, ..order };
                if let Some(kept) = self.orders.iter_mut().find(|it| it.number == order.number) {
                    kept.clone_from(&order);
                }
                Change::new().order(order)
            };
            actions.push(write(change, events, now));
        }
        self.renew_calendar();
        Ok(actions)
    }

    fn refuse_unnamed(&self, syncs: Option<&BTreeSet<SyncRef>>, found: &[Order]) -> Result<(), NotExempt> {
        let Some(syncs) = syncs else {
            return if found.is_empty() { Err(NotExempt::NoneOfAll) } else { Ok(()) };
        };
        let Some(sync) = syncs.iter().find(|sync| !found.iter().any(|it| it.names(sync))) else {
            return Ok(());
        };
        let by_all = self.orders.iter().find(|it| it.is_exemption() && it.names(sync));
        Err(match by_all {
            Some(order) => NotExempt::ByAll { sync: sync.clone(), order: order.name() },
            None => NotExempt::NotNamed(sync.clone()),
        })
    }

    /// Drops what is long over.
    pub(super) fn drop_old_orders(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let is_old = |it: &Order| it.until + TimeDelta::days(REMEMBERED_DAYS) <= now.wall;
        let old: Vec<u32> = self.orders.iter().filter(|it| is_old(it)).map(|it| it.number).collect();
        if old.is_empty() {
            return;
        }
        self.orders.retain(|it| !is_old(it));
        let change = old.into_iter().fold(Change::new(), Change::drop_order);
        actions.push(Action::Write { change });
        self.renew_calendar();
    }

    /// One event for each sync that an order names, or one about no sync.
    pub(super) fn told_of(
        &self,
        order: &Order,
        kind: EventKind,
        by: &str,
        detail: Option<&str>,
    ) -> Vec<Event> {
        let event = |sync: Option<&SyncRef>| Event {
            sync: sync.cloned(),
            name: sync.and_then(|it| self.name_of(it)).map(str::to_owned),
            window: match &order.what {
                What::Extend { window, .. } => Some(window.clone()),
                What::Pause { .. } => Some(order.name()),
                What::Exempt { .. } => None,
            },
            occurrence: match &order.what {
                What::Extend { opens, .. } => Some(*opens),
                What::Pause { .. } => Some(order.from),
                What::Exempt { .. } => None,
            },
            by: by.to_owned(),
            detail: detail.map(str::to_owned),
            ..Event::new(kind)
        };
        let named: Vec<Event> = order.syncs().map(|it| event(Some(it))).collect();
        if named.is_empty() { vec![event(None)] } else { named }
    }
}
