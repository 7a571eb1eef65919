//! What windows select: when an organization's syncs are to be listed, what was
//! found, and what is told when nothing was.
//!
//! Nothing waits for a list. Until one comes, what was found before is good, and
//! the ledger keeps that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::calendar::Calendar;
use crate::domain::event::{Event, EventKind};
use crate::domain::moment::{Moment, Uptime, instant};
use crate::domain::organization::Organization;
use crate::domain::selection::{Resolution, Seen, Select, anew};
use crate::domain::sync::{Name, SyncKind, counted};
use crate::domain::verdict::Failure;
use crate::domain::window::Window;
use crate::ledger::Change;

use super::{Action, Reconciler, write};

/// How often an organization's syncs are listed: while none of its windows that
/// select asks for a pause, while one does, and after a list that failed.
const LISTED: Duration = Duration::from_mins(15);
const LISTED_WHILE_OPEN: Duration = Duration::from_mins(5);
const LISTED_AGAIN: Duration = Duration::from_mins(1);

/// And this long before each pause begins.
const LISTED_BEFORE: TimeDelta = TimeDelta::minutes(5);

/// Of more windows than this, only their number is told in the status.
const TOLD: usize = 20;

/// All that is known of what windows select.
#[derive(Debug, Default)]
pub(super) struct Selections {
    pub(super) found: BTreeMap<Name, Arc<Resolution>>,
    // Found anew, and not in the ledger as it is here.
    unsaved: BTreeSet<Name>,
    // By organization, as of the last boundary.
    ahead: BTreeMap<Name, Ahead>,
    listings: BTreeMap<Name, Listing>,
    told: BTreeMap<Name, Told>,
}

/// What the windows of one organization that select bring.
#[derive(Debug, Default)]
struct Ahead {
    kinds: BTreeSet<SyncKind>,
    is_open: bool,
    next: Option<DateTime<Utc>>,
}

/// The lists of one organization.
#[derive(Debug, Default)]
struct Listing {
    is_under_way: bool,
    // The one under way may be out of date when it comes.
    is_outdated: bool,
    last: Option<Moment>,
    has_failed: bool,
}

/// What was last told of a window whose selection failed.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    is_unreadable: bool,
    // Before which opening.
    before: Option<DateTime<Utc>>,
    text: String,
}

impl Listing {
    /// When the next list is due, by uptime; none while one is under way.
    fn due(&self, ahead: &Ahead, now: Moment) -> Option<Uptime> {
        if self.is_under_way {
            return None;
        }
        let Some(last) = self.last else { return Some(now.uptime) };
        let pace = match (self.has_failed, ahead.is_open) {
            (true, _) => LISTED_AGAIN,
            (false, true) => LISTED_WHILE_OPEN,
            (false, false) => LISTED,
        };
        let before = ahead.next.map(|at| at - LISTED_BEFORE).filter(|at| last.wall < *at);
        let before = before.map(|at| now.uptime + (at - now.wall).to_std().unwrap_or_default());
        [Some(last.uptime + pace), before].into_iter().flatten().min()
    }
}

impl Reconciler {
    /// Takes over what an earlier process found.
    pub fn remember_selections(&mut self, found: Vec<Resolution>) {
        self.selections.found = found.into_iter().map(|it| (it.window.clone(), Arc::new(it))).collect();
        self.renew_calendar();
    }

    /// What is wrong with the selections now, a line a window.
    pub fn selection_troubles(&self) -> Vec<String> {
        let told = &self.selections.told;
        let mut lines: Vec<String> =
            told.iter().take(TOLD).map(|(window, it)| format!("window `{window}`: {}", it.text)).collect();
        if told.len() > TOLD {
            lines.push(format!("and {} more", told.len() - TOLD));
        }
        lines
    }

    /// What each window that selects was last found to select.
    pub fn selections(&self) -> BTreeMap<Name, Arc<Resolution>> {
        self.selections.found.clone()
    }

    /// What is wrong with the selection of one window.
    pub(super) fn selection_trouble(&self, window: &Name) -> Option<&str> {
        self.selections.told.get(window).map(|it| it.text.as_str())
    }

    /// The calendar of the file with what was found to be selected.
    pub(super) fn with_selected(&self, written: &Arc<Calendar>) -> Arc<Calendar> {
        match written.selecting().next() {
            Some(_) => Arc::new(written.with_selected(&self.selections.found)),
            None => Arc::clone(written),
        }
    }

    /// Another file: what it selects is looked for at once. Until a list comes,
    /// what is known from before is asked, so that a sync that is selected still
    /// is not resumed for the time of a request.
    pub(super) fn select_anew(&mut self) {
        let Some(in_force) = &self.in_force else { return };
        let Selections { found, unsaved, listings, .. } = &mut self.selections;
        let selecting = in_force.calendar.selecting().map(|(window, select)| (&window.name, select));
        for it in anew(found, selecting) {
            unsaved.insert(it.window.clone());
            found.insert(it.window.clone(), Arc::new(it));
        }
        for listing in listings.values_mut() {
            listing.is_outdated = listing.is_under_way;
            listing.last = None;
        }
    }

    /// At a boundary: what is ahead of each organization, and what is over.
    pub(super) fn look_ahead(&mut self, calendar: &Calendar, now: Moment, actions: &mut Vec<Action>) {
        let mut ahead = BTreeMap::<Name, Ahead>::new();
        for (window, select) in calendar.selecting() {
            let it = ahead.entry(select.organization.clone()).or_default();
            it.kinds.extend([SyncKind::Model, SyncKind::Bulk].into_iter().filter(|kind| select.wants(*kind)));
            it.is_open |= window.asks_for_pauses(now.wall);
            let next = window.next_pausing(now.wall).map(|it| it.pauses);
            it.next = it.next.into_iter().chain(next).min();
        }
        let Selections { found, told, unsaved, listings, .. } = &mut self.selections;
        let selects = |name: &Name| calendar.window(name.as_str()).is_some_and(|it| it.select.is_some());
        let gone: Vec<Name> = found.keys().filter(|it| !selects(it)).cloned().collect();
        for name in gone {
            found.remove(&name);
            unsaved.remove(&name);
            actions.push(write(Change::new().drop_selection(name), vec![], now));
        }
        told.retain(|name, _| selects(name));
        listings.retain(|name, _| ahead.contains_key(name));
        self.selections.ahead = ahead;
    }

    /// Asks for the lists that are due.
    pub(super) fn list(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Some(in_force) = &self.in_force else { return };
        let Selections { ahead, listings, .. } = &mut self.selections;
        let lanes = &mut self.lanes;
        for (name, ahead) in ahead {
            let Some((organization, _)) = in_force.organizations.get(name) else { continue };
            let listing = listings.entry(name.clone()).or_default();
            if listing.due(ahead, now).is_some_and(|at| at <= now.uptime) {
                *listing = Listing { is_under_way: true, ..Listing::default() };
                let kinds = ahead.kinds.iter().copied().collect();
                lanes.entry(Arc::clone(organization)).or_default().list_began();
                actions.push(Action::List { organization: Arc::clone(organization), kinds });
            }
        }
    }

    /// When the next list is due, by uptime.
    pub(super) fn next_list(&self, now: Moment) -> Option<Uptime> {
        let Selections { ahead, listings, .. } = &self.selections;
        let due = |(name, ahead)| match listings.get(name) {
            Some(listing) => listing.due(ahead, now),
            None => Some(now.uptime),
        };
        ahead.iter().filter_map(due).min()
    }

    /// Whether every list that windows need has come, or failed, once.
    pub(super) fn has_listed(&self) -> bool {
        self.selections.ahead.keys().all(|name| self.knows_list_of(name))
    }

    /// Whether an organization's list has come, or failed, and no newer one is awaited.
    pub(super) fn knows_list_of(&self, organization: &Name) -> bool {
        self.selections.listings.get(organization).is_some_and(|it| it.last.is_some())
    }

    /// Takes note of an organization's list, or of why there is none.
    pub fn hear_list(
        &mut self,
        organization: &Arc<Organization>,
        listed: &Result<Vec<Seen>, Failure>,
        now: Moment,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(lane) = self.lanes.get_mut(organization) {
            lane.list_ended(now.uptime);
        }
        let listing = self.selections.listings.entry(organization.name.clone()).or_default();
        let last = Some(now).filter(|_| !listing.is_outdated);
        *listing = Listing { last, has_failed: listed.is_err(), ..Listing::default() };
        let configured = self.in_force.as_ref().and_then(|it| it.organizations.get(&organization.name));
        // It may be reached elsewhere by now.
        let is_in_force = configured.is_some_and(|(it, _)| it == organization);
        let Some(calendar) = self.calendar.clone().filter(|_| is_in_force) else { return actions };
        let mut is_news = false;
        for (window, select) in calendar.selecting().filter(|(_, it)| it.organization == organization.name) {
            if let Ok(all) = listed {
                is_news |= self.resolve(window, select, all, now, &mut actions);
            }
            self.tell_selection(window, listed.as_ref().err(), now, &mut actions);
        }
        if is_news {
            self.renew_calendar();
        }
        actions
    }

    /// What one window selects of a list; whether that is another set than before.
    fn resolve(
        &mut self,
        window: &Window,
        select: &Select,
        all: &[Seen],
        now: Moment,
        actions: &mut Vec<Action>,
    ) -> bool {
        let before = self.selections.found.get(&window.name).map(|it| &**it);
        let fresh = select.resolve_beside(before, window, all, now.wall);
        let is_same = before.is_some_and(|it| it.fingerprint == fresh.fingerprint && it.found == fresh.found);
        if self.selections.unsaved.remove(&window.name) || !is_same {
            actions.push(write(Change::new().selection(fresh.clone()), vec![], now));
        }
        // So that an operator may call them by name.
        let named = fresh.found.values().filter_map(|it| Some((it.sync.clone(), it.name.clone()?)));
        self.names.extend(named);
        self.selections.found.insert(window.name.clone(), Arc::new(fresh));
        !is_same
    }

    /// Tells of a selection that cannot be read or is nothing: once, and again
    /// before each occurrence.
    fn tell_selection(
        &mut self,
        window: &Window,
        failure: Option<&Failure>,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        let found = self.selections.found.get(&window.name);
        let count = found.map_or(0, |it| it.found.len());
        let detail = match (failure, found) {
            (Some(_), Some(found)) if count > 0 => {
                let at = instant(found.at);
                format!("what was found at {at} is used: {}", counted(count))
            }
            (Some(_), _) => "nothing is known of what it selects, and nothing of that is paused".to_owned(),
            (None, _) if count == 0 => "it selects no sync at all".to_owned(),
            (None, _) => {
                self.selections.told.remove(&window.name);
                return;
            }
        };
        let coming = window.pausing(now.wall).next().or_else(|| window.next_pausing(now.wall));
        let coming = coming.filter(|it| it.pauses - LISTED_BEFORE <= now.wall);
        let error = failure.map(ToString::to_string);
        let text = match &error {
            Some(error) => format!("what it selects cannot be read: {error}; {detail}"),
            None => detail.clone(),
        };
        let told =
            Told { is_unreadable: failure.is_some(), before: coming.as_ref().map(|it| it.opens), text };
        let before = self.selections.told.get(&window.name);
        let is_told = before.is_some_and(|it| {
            it.is_unreadable == told.is_unreadable && (told.before.is_none() || it.before == told.before)
        });
        if !is_told {
            let event = Event {
                window: Some(window.name.clone()),
                occurrence: told.before,
                error,
                detail: Some(detail),
                ..Event::new(EventKind::SelectionFailed)
            };
            actions.push(write(Change::new(), vec![event], now));
        }
        self.selections.told.insert(window.name.clone(), told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(minutes: u64) -> Moment {
        let wall = DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + Duration::from_mins(minutes);
        Moment { wall, uptime: Duration::from_mins(minutes) }
    }

    /// In minutes: the last list came at 100.
    fn due(ahead: &Ahead, has_failed: bool, now: u64) -> Option<u64> {
        let listing = Listing { last: Some(moment(100)), has_failed, ..Listing::default() };
        listing.due(ahead, moment(now)).map(|at| at.as_secs() / 60)
    }

    #[test]
    fn lists_come_periodically_more_often_inside_a_window_and_soon_after_a_failure() {
        let open = |is_open| Ahead { is_open, ..Ahead::default() };
        for (is_open, has_failed, expected) in
            [(false, false, 115), (true, false, 105), (false, true, 101), (true, true, 101)]
        {
            assert_eq!(due(&open(is_open), has_failed, 100), Some(expected), "{is_open} {has_failed}");
        }
    }

    #[test]
    fn a_list_comes_five_minutes_before_each_pause_once() {
        let before = |minutes| Ahead { next: Some(moment(minutes).wall), ..Ahead::default() };
        for (pauses, now, expected) in [
            (112, 100, 107),
            (112, 108, 108),
            // The last one was so late already.
            (105, 100, 115),
            (103, 100, 115),
            // The next one comes before that anyway.
            (140, 100, 115),
        ] {
            assert_eq!(due(&before(pauses), false, now), Some(expected), "{pauses} at {now}");
        }
    }

    #[test]
    fn a_list_under_way_is_waited_for_and_the_first_one_is_due_at_once() {
        let under_way = Listing { is_under_way: true, ..Listing::default() };
        assert_eq!(under_way.due(&Ahead::default(), moment(500)), None);
        assert_eq!(Listing::default().due(&Ahead::default(), moment(7)), Some(moment(7).uptime));
    }
}
