//! What operators ordered, as they remember it themselves, and what follows of it.
//!
//! The judge goes by this and by what the windows say. That the daemon knows an
//! order, and makes of it what it should, is what is to be shown.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::operator::{Order, What};
use crate::domain::sync::SyncRef;
use crate::domain::window::Window;

/// All that was ordered and not taken back.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    orders: Vec<Order>,
    is_in_doubt: bool,
}

impl Ordered {
    pub(super) fn give(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// The daemon died before it said that the last word is heard.
    pub(super) fn was_not_confirmed(&mut self) {
        self.is_in_doubt = true;
    }

    /// Whoever had no answer looks what became of it.
    pub(super) fn look(&mut self, there: &[Order]) {
        if std::mem::take(&mut self.is_in_doubt) {
            self.orders = there.to_vec();
        }
    }

    pub(super) fn take_back(&mut self, number: u32) {
        self.orders.retain(|it| it.number != number);
    }

    /// What an operator resumes is in none of the pauses any more that hold it.
    pub(super) fn resumed(&mut self, sync: &SyncRef, at: DateTime<Utc>) {
        for order in self.orders.iter_mut().filter(|it| it.holds_at(at)) {
            if let What::Pause { syncs } = &mut order.what {
                syncs.remove(sync);
            }
        }
    }

    /// Of these syncs, or those that are about all.
    pub(super) fn exemptions_end(&mut self, of: Option<&BTreeSet<SyncRef>>) {
        for order in &mut self.orders {
            if let (What::Exempt { syncs: Some(named) }, Some(ended)) = (&mut order.what, of) {
                named.retain(|it| !ended.contains(it));
            }
        }
        self.orders.retain(|it| !(of.is_none() && matches!(it.what, What::Exempt { syncs: None })));
    }

    /// Whether an operator or one of these windows wants the sync to be paused.
    pub(super) fn asks_for_pause(&self, sync: &SyncRef, windows: &[Window], at: DateTime<Utc>) -> bool {
        let on: Vec<&Order> = self.orders.iter().filter(|it| it.holds_at(at)).collect();
        let is_paused = on.iter().any(|it| matches!(it.what, What::Pause { .. }) && it.names(sync));
        let is_exempt = on.iter().any(|it| it.is_exemption() && it.names(sync));
        let covers = |window: &Window| {
            window.pausing(at).next().is_some() || on.iter().any(|it| keeps_open(it, window))
        };
        let named = windows.iter().filter(|it| it.syncs.contains(sync));
        is_paused || !is_exempt && named.map(as_written).any(|it| covers(&it))
    }
}

/// The window without what the daemon made of orders.
fn as_written(window: &Window) -> Window {
    Window { longer: None, ..window.clone() }
}

fn keeps_open(order: &Order, window: &Window) -> bool {
    match &order.what {
        What::Extend { window: name, opens } => {
            *name == window.name && window.covering(*opens).is_some_and(|it| it.opens == *opens)
        }
        What::Pause { .. } | What::Exempt { .. } => false,
    }
}
