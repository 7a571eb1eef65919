//! Many held syncs of one organization are looked at by a list, not one by one.
//!
//! A list decides nothing. What it shows to be off needs no look of its own for a
//! while, what it shows to be on is looked at by itself at once, and of what it does
//! not show, or shows too late, the own look comes as ever, only later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::{Moment, Uptime};
use crate::domain::organization::Organization;
use crate::domain::plan::{Case, Rules};
use crate::domain::sync::{Name, SyncKind, SyncRef};

use super::{Action, Reconciler, SweepReply};

/// Fewer held syncs of one kind are looked at one by one.
pub const SWEPT_FROM: usize = 100;

/// A list is worth it if it needs no more than half as many requests. A page of it
/// holds so many syncs.
const PAGE: usize = 50;

/// After a list that failed, syncs are looked at one by one for so many times as long
/// as usual.
const LONG: u32 = 15;

/// The lists that are read in place of looks, by organization.
#[derive(Debug, Default)]
pub(super) struct Sweeps(BTreeMap<Name, Sweep>);

#[derive(Debug)]
struct Sweep {
    next: Uptime,
    is_under_way: bool,
    // Whose looks the lists stand for.
    kinds: BTreeSet<SyncKind>,
    // How many syncs the last list had, and how long it took.
    listed: BTreeMap<SyncKind, usize>,
    took: Duration,
}

impl Sweep {
    fn is_worth_it(&self, kind: SyncKind, held: usize) -> bool {
        let pages = self.listed.get(&kind).map_or(0, |listed| listed / PAGE + 1);
        SWEPT_FROM <= held && 2 * pages <= held
    }
}

impl Sweeps {
    /// The pace for one sync: where lists are read, its own look comes after two of
    /// them have not shown it.
    pub(super) fn rules(&self, sync: &SyncRef, rules: &Rules) -> Rules {
        match self.0.get(&sync.organization).filter(|it| it.kinds.contains(&sync.kind)) {
            Some(it) => Rules { drift_check: 2 * rules.drift_check + it.took, ..*rules },
            None => *rules,
        }
    }

    /// When the next list is due, by uptime.
    pub(super) fn next(&self) -> Option<Uptime> {
        self.0.values().filter(|it| !it.is_under_way).map(|it| it.next).min()
    }
}

impl Reconciler {
    /// Asks for the lists that are due.
    pub(super) fn sweep(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Self { in_force: Some(in_force), cases, sweeps: Sweeps(sweeps), rules, lanes, .. } = self else {
            return;
        };
        if cases.len() < SWEPT_FROM {
            sweeps.clear();
            return;
        }
        sweeps.retain(|name, _| in_force.organizations.contains_key(name));
        for (name, (organization, _)) in &in_force.organizations {
            let it = sweeps.entry(name.clone()).or_insert_with(|| Sweep {
                // Before those that were paused last are due for a look.
                next: now.uptime + rules.drift_check / 2,
                is_under_way: false,
                kinds: BTreeSet::new(),
                listed: BTreeMap::new(),
                took: Duration::ZERO,
            });
            if it.is_under_way || now.uptime < it.next {
                continue;
            }
            it.next = now.uptime + rules.drift_check;
            let held = |kind| cases.values().filter(|case| is_held(case, kind, organization)).count();
            it.kinds = [SyncKind::Model, SyncKind::Bulk]
                .into_iter()
                .filter(|kind| it.is_worth_it(*kind, held(*kind)))
                .collect();
            if !it.kinds.is_empty() {
                it.is_under_way = true;
                let kinds = it.kinds.iter().copied().collect();
                lanes.entry(Arc::clone(organization)).or_default().list_began();
                actions.push(Action::Sweep { organization: Arc::clone(organization), kinds });
            }
        }
    }

    /// Takes note of a list that was read in place of looks.
    pub fn hear_sweep(&mut self, reply: SweepReply, now: Moment) {
        let SweepReply { organization, sent, result } = reply;
        if let Some(lane) = self.lanes.get_mut(&organization) {
            lane.list_ended(now.uptime);
        }
        let Some(it) = self.sweeps.0.get_mut(&organization.name) else { return };
        it.is_under_way = false;
        let Ok(shown) = result else {
            it.kinds.clear();
            it.next = now.uptime + LONG * self.rules.drift_check;
            return;
        };
        it.took = now.uptime.saturating_sub(sent.uptime);
        it.listed = it.kinds.iter().map(|kind| (*kind, 0)).collect();
        for (kind, _) in shown.keys() {
            *it.listed.entry(*kind).or_default() += 1;
        }
        let Self { cases, due, .. } = self;
        for case in cases.values_mut() {
            let Some(active) = shown.get(&(case.sync.kind, case.sync.id)) else { continue };
            if is_held(case, case.sync.kind, &organization) && case.was_listed(*active, sent) {
                due.insert(case.sync.clone(), Some(case));
            }
        }
    }
}

fn is_held(case: &Case, kind: SyncKind, organization: &Arc<Organization>) -> bool {
    let is_it = |hold: &Hold| hold.state == HoldState::Held && hold.organization == *organization;
    case.sync.kind == kind && case.hold.as_ref().is_some_and(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_of_that_kind_in_that_organization_is_meant() {
        let organization = Arc::new(Organization::example());
        let case = |kind, state| {
            let case = Case::new(SyncRef::new("default".into(), kind, uuid::Uuid::nil()));
            let hold = case.new_hold(&organization, state, chrono::DateTime::UNIX_EPOCH);
            Case { hold: Some(hold), ..case }
        };
        let is_meant = |case: &Case| is_held(case, SyncKind::Model, &organization);
        assert!(is_meant(&case(SyncKind::Model, HoldState::Held)));
        assert!(!is_meant(&case(SyncKind::Bulk, HoldState::Held)));
        assert!(!is_meant(&case(SyncKind::Model, HoldState::Pausing)));
        let elsewhere = Organization { url: "https://elsewhere.example".into(), ..(*organization).clone() };
        assert!(!is_held(&case(SyncKind::Model, HoldState::Held), SyncKind::Model, &Arc::new(elsewhere)));
        assert!(!is_meant(&Case { hold: None, ..case(SyncKind::Model, HoldState::Held) }));
    }

    #[test]
    fn a_list_is_worth_it_for_a_hundred_held_and_half_as_many_requests() {
        let sweep = |listed: Option<usize>| Sweep {
            next: Duration::ZERO,
            is_under_way: false,
            kinds: BTreeSet::new(),
            listed: listed.map(|it| (SyncKind::Model, it)).into_iter().collect(),
            took: Duration::ZERO,
        };
        let is_worth_it = |listed, held| sweep(listed).is_worth_it(SyncKind::Model, held);
        assert!(!is_worth_it(None, 99) && is_worth_it(None, 100), "nobody knows how long it is");
        // 50 pages of 50, and the one that ends the list.
        assert!(!is_worth_it(Some(2500), 101) && is_worth_it(Some(2500), 102));
        assert!(is_worth_it(Some(2499), 100));
        assert!(!is_worth_it(Some(10), 99));
    }
}
