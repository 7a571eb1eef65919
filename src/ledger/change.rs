//! One change of the ledger: what one step writes, all of it or nothing.

use chrono::{DateTime, Utc};

use crate::domain::event::Event;
use crate::domain::hold::Hold;
use crate::domain::moment::Ended;
use crate::domain::operator::Order;
use crate::domain::preflight::Preflight;
use crate::domain::report::SyncReport;
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::watch::WindowWatch;

/// Writes that belong together. They take effect in the order in which they
/// were added, and all at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a change does nothing until it is committed"]
pub struct Change(Vec<Write>);

/// One write of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    PutHold(Box<Hold>),
    DropHold(SyncRef),
    PutWatch(WindowWatch),
    DropWatch(Name),
    PutOrder(Box<Order>),
    DropOrder(u32),
    PutSelection(Box<Resolution>),
    DropSelection(Name),
    PutPreflight(Box<Preflight>),
    DropPreflight(Name),
    PutReport(Box<SyncReport>),
    DropReports(Name, DateTime<Utc>),
    Told(Name, i64),
    Ended(Ended),
    Record(DateTime<Utc>, Box<Event>),
}

/// How things are, for a change that is written late.
pub trait AsItIs {
    /// The operator's order of this number, if it is still there.
    fn order(&self, number: u32) -> Option<Order>;
    /// The watch on this window.
    fn watch(&self, window: &Name) -> Option<WindowWatch>;
    /// What this window was found to select.
    fn selection(&self, window: &Name) -> Option<Resolution>;
    /// What was told of this window's coming occurrence.
    fn preflight(&self, window: &Name) -> Option<Preflight>;
}

impl Change {
    /// The same, as it is to be written late: what it puts is put as it is by now, and what
    /// is no more is not put. Nor is dropped what is there again.
    pub fn as_it_is(self, now: &impl AsItIs) -> Self {
        let renewed = self.0.into_iter().filter_map(|write| {
            Some(match write {
                Write::PutOrder(it) => Write::PutOrder(Box::new(now.order(it.number)?)),
                Write::PutWatch(it) => Write::PutWatch(now.watch(&it.window)?),
                Write::PutSelection(it) => Write::PutSelection(Box::new(now.selection(&it.window)?)),
                Write::PutPreflight(it) => Write::PutPreflight(Box::new(now.preflight(&it.window)?)),
                Write::DropOrder(number) if now.order(number).is_some() => return None,
                Write::DropWatch(window) if now.watch(&window).is_some() => return None,
                Write::DropSelection(window) if now.selection(&window).is_some() => return None,
                Write::DropPreflight(window) if now.preflight(&window).is_some() => return None,
                other => other,
            })
        });
        Self(renewed.collect())
    }

    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `hold`, in place of the sync's earlier one if it has one.
    pub fn put(mut self, hold: Hold) -> Self {
        self.0.push(Write::PutHold(Box::new(hold)));
        self
    }

    /// Drops the sync's hold, if it has one.
    pub fn forget(mut self, sync: SyncRef) -> Self {
        self.0.push(Write::DropHold(sync));
        self
    }

    /// Writes `watch`, in place of the window's earlier one if it has one.
    pub fn watch(mut self, watch: WindowWatch) -> Self {
        self.0.push(Write::PutWatch(watch));
        self
    }

    /// Drops the window's watch, if it has one.
    pub fn unwatch(mut self, window: Name) -> Self {
        self.0.push(Write::DropWatch(window));
        self
    }

    /// Writes what an operator asked for, in place of the order of that number if
    /// there is one.
    pub fn order(mut self, order: Order) -> Self {
        self.0.push(Write::PutOrder(Box::new(order)));
        self
    }

    /// Drops an operator's order, if it is there.
    pub fn drop_order(mut self, number: u32) -> Self {
        self.0.push(Write::DropOrder(number));
        self
    }

    /// Writes what a window was found to select, in place of what it was found
    /// to select before.
    pub fn selection(mut self, found: Resolution) -> Self {
        self.0.push(Write::PutSelection(Box::new(found)));
        self
    }

    /// Drops what a window was found to select.
    pub fn drop_selection(mut self, window: Name) -> Self {
        self.0.push(Write::DropSelection(window));
        self
    }

    /// Remembers what was told of a window's coming occurrence.
    pub fn preflight(mut self, told: Preflight) -> Self {
        self.0.push(Write::PutPreflight(Box::new(told)));
        self
    }

    /// Drops what was told of a window's occurrence.
    pub fn drop_preflight(mut self, window: Name) -> Self {
        self.0.push(Write::DropPreflight(window));
        self
    }

    /// Remembers what came of an occurrence for one sync.
    pub fn report(mut self, report: SyncReport) -> Self {
        self.0.push(Write::PutReport(Box::new(report)));
        self
    }

    /// Drops what came of an occurrence: it was told.
    pub fn drop_reports(mut self, window: Name, opens: DateTime<Utc>) -> Self {
        self.0.push(Write::DropReports(window, opens));
        self
    }

    /// Remembers that a target of notices has been told up to this entry.
    pub fn told(mut self, target: Name, entry: i64) -> Self {
        self.0.push(Write::Told(target, entry));
        self
    }

    /// Remembers that the process ends, in order. An earlier end counts on as long as no row
    /// was left in doubt since.
    pub fn ended(mut self, ended: Ended) -> Self {
        self.0.push(Write::Ended(ended));
        self
    }

    /// Adds to the journal that `event` happened `at`.
    pub fn record(mut self, at: DateTime<Utc>, event: Event) -> Self {
        self.0.push(Write::Record(at, Box::new(event)));
        self
    }

    /// Whether it is about an operator's order.
    pub fn is_of_order(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Write::PutOrder(_) | Write::DropOrder(_)))
    }

    /// The sync whose row it writes or drops, if it does.
    pub fn sync(&self) -> Option<&SyncRef> {
        self.0.iter().find_map(|write| match write {
            Write::PutHold(hold) => Some(&hold.sync),
            Write::DropHold(sync) => Some(sync),
            Write::PutWatch(_)
            | Write::DropWatch(_)
            | Write::PutOrder(_)
            | Write::DropOrder(_)
            | Write::PutSelection(_)
            | Write::DropSelection(_)
            | Write::PutPreflight(_)
            | Write::DropPreflight(_)
            | Write::PutReport(_)
            | Write::DropReports(..)
            | Write::Told(..)
            | Write::Ended(_)
            | Write::Record(..) => None,
        })
    }

    /// The rows it leaves, and the syncs whose row it drops, in its order.
    pub fn rows(&self) -> impl Iterator<Item = (&SyncRef, Option<&Hold>)> {
        self.0.iter().filter_map(|write| match write {
            Write::PutHold(hold) => Some((&hold.sync, Some(&**hold))),
            Write::DropHold(sync) => Some((sync, None)),
            Write::PutWatch(_)
            | Write::DropWatch(_)
            | Write::PutOrder(_)
            | Write::DropOrder(_)
            | Write::PutSelection(_)
            | Write::DropSelection(_)
            | Write::PutPreflight(_)
            | Write::DropPreflight(_)
            | Write::PutReport(_)
            | Write::DropReports(..)
            | Write::Told(..)
            | Write::Ended(_)
            | Write::Record(..) => None,
        })
    }

    /// What it adds to the journal.
    pub fn events(&self) -> impl Iterator<Item = (DateTime<Utc>, &Event)> {
        self.0.iter().filter_map(|write| match write {
            Write::Record(at, event) => Some((*at, &**event)),
            Write::PutHold(_)
            | Write::DropHold(_)
            | Write::PutWatch(_)
            | Write::DropWatch(_)
            | Write::PutOrder(_)
            | Write::DropOrder(_)
            | Write::PutSelection(_)
            | Write::DropSelection(_)
            | Write::PutPreflight(_)
            | Write::DropPreflight(_)
            | Write::PutReport(_)
            | Write::DropReports(..)
            | Write::Told(..)
            | Write::Ended(_) => None,
        })
    }

    /// Adds to each event what is said about its window.
    pub fn describe(&mut self, of: impl Fn(&Name) -> Option<String>) {
        for write in &mut self.0 {
            if let Write::Record(_, event) = write
                && let (Some(window), None) = (&event.window, &event.description)
            {
                event.description = of(window);
            }
        }
    }

    /// Adds all that `other` writes after its own.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = &Write> {
        self.0.iter()
    }
}
