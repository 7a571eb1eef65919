//! All windows together, and what operators asked for beside them: which syncs
//! are to be paused now, and what comes next.
//!
//! Syncs that are in the same windows, and named by the same orders, are paused
//! alike, so everything is worked out once for each such *group* and not for each
//! sync.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::operator::{Order, What};
use super::selection::{Knowledge, Resolution, Select, anew};
use super::sync::{Name, SyncRef};
use super::window::{LONGEST_DAYS, Occurrence, Window};

/// All windows of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    windows: Arc<[Window]>,
    by_name: Arc<HashMap<Name, usize>>,
    orders: Arc<[Order]>,
    // Of windows that select; none: nobody has looked.
    knowledge: Arc<BTreeMap<Name, Knowledge>>,
    groups: Arc<[Group]>,
    group_of: Arc<BTreeMap<SyncRef, usize>>,
    members: Arc<[Vec<SyncRef>]>,
    touched_by: Arc<TouchedBy>,
}

/// Which groups a change of a window or of an order is about.
#[derive(Debug, Clone, Default)]
struct TouchedBy {
    window: Vec<Vec<usize>>,
    order: Vec<Vec<usize>>,
}

impl TouchedBy {
    fn of(groups: &[Group], windows: usize, orders: usize) -> Self {
        let mut touched = Self { window: vec![Vec::new(); windows], order: vec![Vec::new(); orders] };
        for (index, group) in groups.iter().enumerate() {
            group.windows.iter().for_each(|it| touched.window[*it].push(index));
            group.orders.iter().for_each(|it| touched.order[*it].push(index));
        }
        touched
    }

    fn groups(&self, source: Source) -> &[usize] {
        match source {
            Source::Window(index) => &self.window[index],
            Source::Order(index) => &self.order[index],
        }
    }
}

/// Syncs that are paused alike: their windows, and the orders about them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Group {
    windows: Vec<usize>,
    orders: Vec<usize>,
}

/// What makes a change: a window or an order, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Window(usize),
    Order(usize),
}

/// What a sync should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// No occurrence asks for anything.
    Running,
    /// Some occurrence asks for a pause.
    Paused(Pause),
}

impl Desired {
    /// The occurrences that ask for a pause.
    pub fn holders(&self) -> &[Occurrence] {
        match self {
            Self::Running => &[],
            Self::Paused(pause) => &pause.holders,
        }
    }
}

/// Why a sync should be paused, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The occurrences that ask for it now, sorted.
    pub holders: Arc<[Occurrence]>,
    /// When the pause ends, counting the occurrences that overlap or touch it
    /// and follow. We look no further ahead than the longest occurrence.
    pub until: DateTime<Utc>,
}

impl Pause {
    /// Whether one of the holders asks to pause the sync again when somebody
    /// switches it on.
    pub fn is_enforced(&self) -> bool {
        self.holders.iter().any(|it| it.enforce)
    }
}

/// One pause of one sync: its occurrences, merged where they overlap or touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPause {
    /// The sync.
    pub sync: SyncRef,
    /// When it is paused, `lead` included.
    pub from: DateTime<Utc>,
    /// When it is resumed.
    pub until: DateTime<Utc>,
    /// On behalf of which windows, sorted.
    pub windows: Vec<Name>,
}

/// What the calendar asks for at one instant, worked out once for all syncs.
/// Good until its [`next_change`](Self::next_change).
#[derive(Debug, Clone)]
pub struct OpenWindows {
    at: DateTime<Utc>,
    // When each window and order changes next.
    changes: BTreeSet<(DateTime<Utc>, Source)>,
    // What asks for a pause, by who asks.
    asking: BTreeMap<Source, Vec<Occurrence>>,
    pauses: HashMap<usize, Pause>,
    // Groups whose pause ends further ahead than was looked: with time passing,
    // more of it comes into sight.
    out_of_sight: BTreeSet<usize>,
    group_of: Arc<BTreeMap<SyncRef, usize>>,
}

/// What has changed between two instants.
#[derive(Debug, Clone, Default)]
pub struct Advanced {
    windows: BTreeSet<usize>,
    groups: BTreeSet<usize>,
}

/// Windows that take turns may leave a sync no time to run for a month. The end
/// of such a pause is looked for no further than this many occurrences ahead;
/// it is looked for again at every boundary.
const MOST_FOLLOWED: usize = 50;

impl Calendar {
    /// The calendar of these windows, whose names are unique.
    pub fn new(windows: Vec<Window>) -> Self {
        Self::of(windows, Vec::new())
    }

    /// The same calendar with what operators asked for beside it, in place of
    /// what they asked for before.
    #[must_use]
    pub fn with_orders(&self, orders: &[Order]) -> Self {
        let extended = |window: &Window| {
            let about = orders.iter().filter_map(|order| match &order.what {
                What::Extend { window: name, opens } if *name == window.name => Some((*opens, order.until)),
                What::Extend { .. } | What::Pause { .. } | What::Exempt { .. } => None,
            });
            let written = Window { longer: None, ..window.clone() };
            about.fold(written, |window, (opens, until)| window.extended(opens, until))
        };
        let windows = self.windows.iter().map(extended).collect();
        Self { knowledge: Arc::clone(&self.knowledge), ..Self::of(windows, orders.to_vec()) }
    }

    /// The same windows with the syncs that they were found to select beside
    /// those that the file names. What answers another selection does not count.
    /// For a calendar as written.
    #[must_use]
    pub fn with_selected(&self, resolutions: &BTreeMap<Name, impl Borrow<Resolution>>) -> Self {
        let mut knowledge = BTreeMap::new();
        let with_found = |window: &Window| {
            let mut window = window.clone();
            if let Some(select) = &window.select
                && let Some(found) = resolutions.get(&window.name).map(Borrow::borrow)
                && found.fingerprint == select.fingerprint()
            {
                window.syncs.extend(found.found.keys().cloned());
                if found.was_found() {
                    knowledge.insert(window.name.clone(), Knowledge::Found);
                }
            }
            window
        };
        let windows = self.windows.iter().map(with_found).collect();
        Self { knowledge: Arc::new(knowledge), ..Self::of(windows, self.orders.to_vec()) }
    }

    /// The same as a daemon takes over a file that selects anew: of what was found
    /// for other selections, until a list comes.
    #[must_use]
    pub fn with_known(&self, found: &BTreeMap<Name, Resolution>) -> Self {
        let mut all: BTreeMap<Name, Cow<'_, Resolution>> =
            found.iter().map(|(name, it)| (name.clone(), Cow::Borrowed(it))).collect();
        let fresh = anew(found, self.selecting().map(|(window, select)| (&window.name, select)));
        all.extend(fresh.into_iter().map(|it| (it.window.clone(), Cow::Owned(it))));
        let how_well = |(window, select): (&Window, &Select)| (window.name.clone(), select.how_well(found));
        let knowledge = Arc::new(self.selecting().map(how_well).collect());
        Self { knowledge, ..self.with_selected(&all) }
    }

    /// How well it is known which syncs this window pauses.
    pub fn knowledge(&self, window: &Window) -> Knowledge {
        match window.select {
            Some(_) => self.knowledge.get(&window.name).copied().unwrap_or(Knowledge::Unknown),
            None => Knowledge::Found,
        }
    }

    /// The windows that select syncs by what they are.
    pub fn selecting(&self) -> impl Iterator<Item = (&Window, &Select)> {
        self.windows.iter().filter_map(|window| Some((window, window.select.as_ref()?)))
    }

    fn of(windows: Vec<Window>, orders: Vec<Order>) -> Self {
        let by_name =
            windows.iter().enumerate().map(|(index, window)| (window.name.clone(), index)).collect();
        let mut members = BTreeMap::<SyncRef, Group>::new();
        for (index, window) in windows.iter().enumerate() {
            for sync in &window.syncs {
                members.entry(sync.clone()).or_default().windows.push(index);
            }
        }
        for (index, order) in orders.iter().enumerate() {
            for sync in order.syncs() {
                members.entry(sync.clone()).or_default().orders.push(index);
            }
            if matches!(order.what, What::Exempt { syncs: None }) {
                for group in members.values_mut() {
                    group.orders.push(index);
                }
            }
        }
        let mut group_ids = HashMap::<Group, usize>::new();
        let group_of: BTreeMap<SyncRef, usize> = members
            .into_iter()
            .map(|(sync, group)| {
                let id = group_ids.len();
                (sync, *group_ids.entry(group).or_insert(id))
            })
            .collect();
        let mut groups: Vec<_> = group_ids.into_iter().collect();
        groups.sort_by_key(|(_, id)| *id);
        let groups: Vec<Group> = groups.into_iter().map(|(group, _)| group).collect();
        let mut members = vec![Vec::new(); groups.len()];
        for (sync, group) in &group_of {
            members[*group].push(sync.clone());
        }
        let touched_by = TouchedBy::of(&groups, windows.len(), orders.len());
        Self {
            windows: windows.into(),
            by_name: Arc::new(by_name),
            orders: orders.into(),
            knowledge: Arc::default(),
            groups: groups.into(),
            group_of: Arc::new(group_of),
            members: members.into(),
            touched_by: Arc::new(touched_by),
        }
    }

    /// The windows, in the order of the file.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The window of this name.
    pub fn window(&self, name: &str) -> Option<&Window> {
        self.by_name.get(&Name::from(name)).map(|index| &self.windows[*index])
    }

    /// What operators asked for.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// Until when no window touches this sync, if that is so at `at`.
    pub fn exempt_until(&self, sync: &SyncRef, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let about = self.orders.iter().filter(|it| it.is_exemption() && it.names(sync));
        let mut until = None;
        let mut left: Vec<_> = about.collect();
        // Two that overlap or touch are one.
        while let Some(found) = left.iter().position(|it| it.holds_at(until.unwrap_or(at))) {
            until = until.max(Some(left.swap_remove(found).until));
        }
        until
    }

    /// Every sync that a window or an operator names, sorted.
    pub fn syncs(&self) -> impl Iterator<Item = &SyncRef> {
        self.group_of.keys()
    }

    /// The windows that name this sync, in the order of the file.
    pub fn windows_of(&self, sync: &SyncRef) -> impl Iterator<Item = &Window> {
        self.group_of.get(sync).into_iter().flat_map(|group| self.windows_in(&self.groups[*group]))
    }

    /// What all windows ask for at this instant.
    pub fn open_at(&self, now: DateTime<Utc>) -> OpenWindows {
        let mut open = OpenWindows {
            at: now,
            changes: BTreeSet::new(),
            asking: BTreeMap::new(),
            pauses: HashMap::new(),
            out_of_sight: BTreeSet::new(),
            group_of: Arc::clone(&self.group_of),
        };
        let windows = (0..self.windows.len()).map(Source::Window);
        for source in windows.chain((0..self.orders.len()).map(Source::Order)) {
            self.ask(source, &mut open);
        }
        let asked: BTreeSet<usize> =
            open.asking.keys().flat_map(|it| self.touched_by.groups(*it)).copied().collect();
        for group in asked {
            self.pause_group(group, &mut open);
        }
        open
    }

    /// Brings what was asked for at an earlier instant to this one, and says what
    /// may have changed. Only what has passed a change of its own is worked out
    /// anew, so it costs what changes, not what there is. `None`, and nothing
    /// done, if `open` is later, or of another calendar.
    pub fn advance(&self, open: &mut OpenWindows, now: DateTime<Utc>) -> Option<Advanced> {
        if now < open.at || !Arc::ptr_eq(&self.group_of, &open.group_of) {
            return None;
        }
        open.at = now;
        let mut advanced = Advanced { groups: open.out_of_sight.clone(), ..Advanced::default() };
        while let Some((at, source)) = open.changes.first().copied()
            && at <= now
        {
            open.changes.pop_first();
            if let Source::Window(index) = source {
                advanced.windows.insert(index);
            }
            advanced.groups.extend(self.touched_by.groups(source));
            self.ask(source, open);
        }
        for group in &advanced.groups {
            self.pause_group(*group, open);
        }
        Some(advanced)
    }

    /// The windows that may have opened, closed or begun to pause.
    pub fn windows_of_change(&self, advanced: &Advanced) -> impl Iterator<Item = &Window> {
        advanced.windows.iter().map(|index| &self.windows[*index])
    }

    /// The syncs that may be wanted otherwise than before.
    pub fn syncs_of_change(&self, advanced: &Advanced) -> impl Iterator<Item = &SyncRef> {
        advanced.groups.iter().flat_map(|index| &self.members[*index])
    }

    /// Notes what one window or order asks for, and when that changes.
    fn ask(&self, source: Source, open: &mut OpenWindows) {
        let now = open.at;
        let (asking, next_change) = match source {
            Source::Window(index) => {
                let window = &self.windows[index];
                let pausing: Vec<_> = window.pausing(now).collect();
                let next = window.next_change_with(now, &pausing);
                (pausing, next)
            }
            Source::Order(index) => {
                let order = &self.orders[index];
                let held = order.holder().filter(|_| order.holds_at(now));
                (held.into_iter().collect(), order.next_change(now))
            }
        };
        if asking.is_empty() {
            open.asking.remove(&source);
        } else {
            open.asking.insert(source, asking);
        }
        open.changes.extend(next_change.map(|at| (at, source)));
    }

    /// Notes what the windows and orders of one group ask for together.
    fn pause_group(&self, index: usize, open: &mut OpenWindows) {
        open.out_of_sight.remove(&index);
        let group = &self.groups[index];
        match self.look(group, self.pausing_in(group, open), open.at) {
            Some((pause, is_in_sight)) => {
                if !is_in_sight {
                    open.out_of_sight.insert(index);
                }
                open.pauses.insert(index, pause);
            }
            None => drop(open.pauses.remove(&index)),
        }
    }

    /// What the windows of this sync ask for at this instant. For many syncs,
    /// [`Calendar::open_at`] is cheaper.
    pub fn desired(&self, sync: &SyncRef, now: DateTime<Utc>) -> Desired {
        self.group_of
            .get(sync)
            .and_then(|group| self.pause(&self.groups[*group], now))
            .map_or(Desired::Running, Desired::Paused)
    }

    /// The first instant after this one at which some sync's desired state, or
    /// a reason for it, changes: a pause begins, a window opens or closes.
    pub fn next_change(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let windows = self.windows.iter().filter_map(|window| window.next_change(now));
        windows.chain(self.next_order_change(now)).min()
    }

    fn next_order_change(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.orders.iter().filter_map(|it| it.next_change(now)).min()
    }

    /// The first occurrence of this sync whose pause had not begun at `now`,
    /// other than those in `except`.
    pub fn next_pause(
        &self,
        sync: &SyncRef,
        now: DateTime<Utc>,
        except: &[Occurrence],
    ) -> Option<Occurrence> {
        let group = &self.groups[*self.group_of.get(sync)?];
        let excepted = |it: &Occurrence| except.iter().any(|other| other.is(it));
        let begins = |it: &Occurrence| {
            let mut pieces = self.left_of(group, it);
            pieces.find(|piece| now < piece.pauses)
        };
        let of_window = |window: &Window| {
            let mut next = window.pausing(now).next().or_else(|| window.next_pausing(now));
            loop {
                match next.as_ref().filter(|it| !excepted(it)).and_then(begins) {
                    Some(found) => return Some(found),
                    None => next = window.next_opening(next?.opens),
                }
            }
        };
        let windows = self.windows_in(group).filter_map(of_window);
        let orders = self.asked_of(group).filter(|it| now < it.pauses && !excepted(it));
        windows.chain(orders).min_by(|a, b| (a.pauses, a).cmp(&(b.pauses, b)))
    }

    /// Every occurrence of every window that is open at some time in
    /// `[from, until)`, each whole, sorted by opening and window.
    pub fn occurrences(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Occurrence> {
        let mut occurrences: Vec<_> =
            self.windows.iter().flat_map(|window| window.occurrences(from, until)).collect();
        occurrences.sort_by(|a, b| (a.opens, &a.window).cmp(&(b.opens, &b.window)));
        occurrences
    }

    /// What operators ask to pause at some time in `[from, until)`, each whole,
    /// in the order they asked.
    pub fn asked(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(&Order, Occurrence)> {
        let touches = |it: &Occurrence| it.opens < until && from < it.closes;
        let asked = self.orders.iter().filter_map(|order| Some((order, order.holder()?)));
        asked.filter(|(_, it)| touches(it)).collect()
    }

    /// Every pause of every sync that touches `[from, until)`, each whole,
    /// sorted by beginning and sync.
    pub fn pauses(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<SyncPause> {
        let of_group: Vec<_> = self.groups.iter().map(|group| self.merged(group, from, until)).collect();
        let mut pauses: Vec<_> = self
            .group_of
            .iter()
            .flat_map(|(sync, group)| {
                of_group[*group].iter().map(|merged| SyncPause {
                    sync: sync.clone(),
                    from: merged.from,
                    until: merged.until,
                    windows: merged.windows.clone(),
                })
            })
            .collect();
        pauses.sort_by(|a, b| (a.from, &a.sync).cmp(&(b.from, &b.sync)));
        pauses
    }

    /// What asks to pause this sync at some time in `[from, until)`, sorted by
    /// its beginning: occurrences and operators' pauses, each without what
    /// exemptions take away of it, so that one may come in pieces.
    pub fn asking(&self, sync: &SyncRef, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Occurrence> {
        let Some(group) = self.group_of.get(sync).map(|it| &self.groups[*it]) else { return Vec::new() };
        let windows = self.windows_in(group).flat_map(|window| window.pausing_within(from, until));
        let pieces = windows.flat_map(|it| self.left_of(group, &it));
        let is_within = |it: &Occurrence| it.pauses < until && from < it.closes;
        let mut asking: Vec<_> = pieces.chain(self.asked_of(group)).filter(is_within).collect();
        asking.sort_by(|a, b| (a.pauses, a).cmp(&(b.pauses, b)));
        asking
    }

    fn windows_in(&self, group: &Group) -> impl Iterator<Item = &Window> {
        group.windows.iter().map(|index| &self.windows[*index])
    }

    fn orders_of(&self, group: &Group) -> impl Iterator<Item = &Order> {
        group.orders.iter().map(|index| &self.orders[*index])
    }

    /// What operators ask to pause, now or later.
    fn asked_of(&self, group: &Group) -> impl Iterator<Item = Occurrence> {
        self.orders_of(group).filter_map(Order::holder)
    }

    /// The parts of an occurrence's pause that no exemption takes away, in order.
    fn left_of(&self, group: &Group, occurrence: &Occurrence) -> impl Iterator<Item = Occurrence> + use<> {
        let mut left = vec![occurrence.clone()];
        for exemption in self.orders_of(group).filter(|it| it.is_exemption()) {
            left = left.into_iter().flat_map(|it| without(it, exemption)).collect();
        }
        left.into_iter()
    }

    /// What asks to pause a group's syncs at this instant. What an exemption has
    /// cut off begins when that is over.
    fn pausing(&self, group: &Group, at: DateTime<Utc>) -> impl Iterator<Item = Occurrence> {
        let covers = move |it: &Occurrence| it.pauses <= at && at < it.closes;
        let windows = self.windows_in(group).flat_map(move |window| window.pausing(at));
        self.left_at(group, windows, at).chain(self.asked_of(group).filter(covers))
    }

    /// What exemptions leave, at this instant, of what windows ask for.
    fn left_at(
        &self,
        group: &Group,
        windows: impl Iterator<Item = Occurrence>,
        at: DateTime<Utc>,
    ) -> impl Iterator<Item = Occurrence> {
        let covers = move |it: &Occurrence| it.pauses <= at && at < it.closes;
        windows.filter_map(move |it| {
            let piece = self.left_of(group, &it).find(covers)?;
            // When it closes is the window's affair.
            Some(Occurrence { pauses: piece.pauses, ..it })
        })
    }

    /// The same at the instant of `open`, which knows what each of them asks for.
    fn pausing_in(&self, group: &Group, open: &OpenWindows) -> Vec<Occurrence> {
        let asking = |it: Source| open.asking.get(&it).into_iter().flatten().cloned();
        let windows = group.windows.iter().flat_map(|it| asking(Source::Window(*it)));
        let orders = group.orders.iter().flat_map(|it| asking(Source::Order(*it)));
        self.left_at(group, windows, open.at).chain(orders).collect()
    }

    /// What the windows and orders of a group ask for together.
    fn pause(&self, group: &Group, now: DateTime<Utc>) -> Option<Pause> {
        self.look(group, self.pausing(group, now).collect(), now).map(|(pause, _)| pause)
    }

    /// What these holders ask for together, and whether its end does not depend on
    /// how far ahead one can look from `now`.
    fn look(&self, group: &Group, mut holders: Vec<Occurrence>, now: DateTime<Utc>) -> Option<(Pause, bool)> {
        holders.sort();
        let holders: Arc<[Occurrence]> = holders.into();
        let limit = now + longest();
        let mut until = holders.iter().map(|it| it.closes).max()?;
        for _ in 0..MOST_FOLLOWED {
            match self.pausing(group, until).map(|it| it.closes).max() {
                Some(later) if until < limit => until = later,
                Some(_) => return Some((Pause { holders, until }, false)),
                None => break,
            }
        }
        Some((Pause { holders, until }, true))
    }

    /// The pauses of a group that touch `[from, until)`: the look is widened
    /// until no pause reaches out of it.
    fn merged(&self, group: &Group, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Merged> {
        if until <= from {
            return Vec::new();
        }
        let (earliest, latest) = (from - longest(), until + longest());
        let (mut low, mut high) = (from, until);
        loop {
            let windows = self
                .windows_in(group)
                .flat_map(|window| window.pausing_within(low, high))
                .flat_map(|it| self.left_of(group, &it));
            let orders = self.asked_of(group).filter(|it| it.pauses <= high && low <= it.closes);
            let merged = merge(windows.chain(orders).collect());
            let first = merged.first().map_or(low, |it| it.from).max(earliest);
            let last = merged.last().map_or(high, |it| it.until).min(latest);
            if low <= first && last <= high {
                return merged.into_iter().filter(|it| it.from < until && from < it.until).collect();
            }
            (low, high) = (low.min(first), high.max(last));
        }
    }
}

/// What an exemption leaves of a pause: nothing, its beginning, its end or both.
fn without(pause: Occurrence, exemption: &Order) -> impl Iterator<Item = Occurrence> {
    let before = Occurrence { closes: pause.closes.min(exemption.from), ..pause.clone() };
    let after = Occurrence { pauses: pause.pauses.max(exemption.until), ..pause };
    [before, after].into_iter().filter(|it| it.pauses < it.closes)
}

impl OpenWindows {
    /// The instant this is about.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// When it stops being true.
    pub fn next_change(&self) -> Option<DateTime<Utc>> {
        self.changes.first().map(|(at, _)| *at)
    }

    /// Whether it is (still, or already) true at this instant.
    pub fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.at <= at && self.next_change().is_none_or(|change| at < change)
    }

    /// The occurrences that ask for a pause, of all windows, sorted.
    pub fn occurrences(&self) -> Vec<&Occurrence> {
        let mut occurrences: Vec<_> = self.asking.values().flatten().collect();
        occurrences.sort();
        occurrences
    }

    /// What is asked for this sync.
    pub fn desired(&self, sync: &SyncRef) -> Desired {
        self.pause(sync).map_or(Desired::Running, |pause| Desired::Paused(pause.clone()))
    }

    /// The pause that is asked for this sync, if any.
    pub fn pause(&self, sync: &SyncRef) -> Option<&Pause> {
        self.pauses.get(self.group_of.get(sync)?)
    }

    /// Every sync for which a pause is asked, sorted.
    pub fn paused(&self) -> impl Iterator<Item = (&SyncRef, &Pause)> {
        self.group_of.iter().filter_map(|(sync, group)| Some((sync, self.pauses.get(group)?)))
    }
}

/// Occurrences that overlap or touch, `lead` included.
struct Merged {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    windows: Vec<Name>,
}

fn merge(mut occurrences: Vec<Occurrence>) -> Vec<Merged> {
    occurrences.sort_by_key(|it| it.pauses);
    let mut merged: Vec<Merged> = Vec::new();
    for it in occurrences {
        match merged.last_mut().filter(|last| it.pauses <= last.until) {
            Some(last) => {
                last.until = last.until.max(it.closes);
                last.windows.push(it.window);
            }
            None => merged.push(Merged { from: it.pauses, until: it.closes, windows: vec![it.window] }),
        }
    }
    for it in &mut merged {
        it.windows.sort();
        it.windows.dedup();
    }
    merged
}

fn longest() -> TimeDelta {
    TimeDelta::days(LONGEST_DAYS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::super::execution::RunPolicy;
    use super::super::selection::{Seen, Selector};
    use super::super::sync::SyncKind;
    use super::super::window::{Dates, End, OnManualResume, Start, Times};
    use super::super::zone::Zone;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-{text}:00Z").parse().unwrap()
    }

    fn sync(number: u128) -> SyncRef {
        SyncRef::new("default".into(), SyncKind::Model, Uuid::from_u128(number))
    }

    fn window(name: &str, start: &str, hours: i64, syncs: &[u128]) -> Window {
        let (start, end) = (Start::Recurring(start.parse().unwrap()), End::After(TimeDelta::hours(hours)));
        Window {
            name: name.into(),
            times: Times::new(start, end, Dates::default(), Zone::utc(), at("01T00:00")).unwrap(),
            lead: TimeDelta::zero(),
            syncs: syncs.iter().map(|number| sync(*number)).collect(),
            on_manual_resume: OnManualResume::Respect,
            description: None,
            longer: None,
            select: None,
            runs: RunPolicy::default(),
        }
    }

    fn calendar() -> Calendar {
        Calendar::new(vec![
            window("early", "0 20 * * *", 2, &[1, 2]),
            window("late", "0 22 * * *", 2, &[2, 3]),
            window("far", "0 12 20 * *", 1, &[4]),
        ])
    }

    #[test]
    fn a_sync_stays_paused_while_its_windows_touch() {
        let until = |number, now: &str| match calendar().desired(&sync(number), at(now)) {
            Desired::Running => None,
            Desired::Paused(pause) => Some(pause.until),
        };
        assert_eq!(until(1, "05T21:00"), Some(at("05T22:00")));
        assert_eq!(until(2, "05T21:00"), Some(at("06T00:00")));
        assert_eq!(until(3, "05T21:00"), None);
        assert_eq!(until(9, "05T21:00"), None, "no window names it");
    }

    #[test]
    fn a_snapshot_holds_until_the_next_change() {
        let open = calendar().open_at(at("05T21:00"));
        assert_eq!(open.next_change(), Some(at("05T22:00")));
        assert!(open.holds_at(at("05T21:59")));
        assert!(!open.holds_at(at("05T22:00")));
        assert!(!open.holds_at(at("05T20:59")), "the clock was set back");
        assert_eq!(open.paused().map(|(sync, _)| sync.clone()).collect::<Vec<_>>(), [sync(1), sync(2)]);
    }

    #[test]
    fn an_excepted_occurrence_is_not_the_next_pause() {
        let calendar = calendar();
        let first = calendar.next_pause(&sync(2), at("05T20:00"), &[]).unwrap();
        assert_eq!((first.window.as_str(), first.opens), ("late", at("05T22:00")));
        let second = calendar.next_pause(&sync(2), at("05T20:00"), &[first]).unwrap();
        assert_eq!((second.window.as_str(), second.opens), ("early", at("06T20:00")));
    }

    #[test]
    fn pauses_are_merged_and_not_clipped() {
        let pauses = calendar().pauses(at("05T22:30"), at("05T23:00"));
        let told: Vec<_> =
            pauses.iter().map(|it| (it.sync.clone(), it.from, it.until, it.windows.len())).collect();
        assert_eq!(
            told,
            [(sync(2), at("05T20:00"), at("06T00:00"), 2), (sync(3), at("05T22:00"), at("06T00:00"), 1)]
        );
    }

    fn order(number: u32, from: &str, until: &str, what: What) -> Order {
        let (reason, by) = ("load".to_owned(), "operator (uid 0)".to_owned());
        Order { number, from: at(from), until: at(until), reason, by, what }
    }

    fn syncs(numbers: &[u128]) -> BTreeSet<SyncRef> {
        numbers.iter().map(|it| sync(*it)).collect()
    }

    #[test]
    fn what_asks_for_a_pause_is_told_without_what_exemptions_take_away() {
        let pause = order(7, "05T21:00", "05T23:00", What::Pause { syncs: syncs(&[2]) });
        let exempt = order(8, "05T20:30", "05T21:30", What::Exempt { syncs: Some(syncs(&[2])) });
        let calendar = calendar().with_orders(&[pause, exempt]);
        let check = |number, from, until, expected: &[(&str, &str, &str)]| {
            let asking = calendar.asking(&sync(number), at(from), at(until));
            let told: Vec<_> = asking.iter().map(|it| (it.window.as_str(), it.pauses, it.closes)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(name, from, until)| (*name, at(from), at(until))).collect();
            assert_eq!(told, expected, "sync {number} from {from} to {until}");
        };
        let evening = [
            ("early", "05T20:00", "05T20:30"),
            ("operator#7", "05T21:00", "05T23:00"),
            ("early", "05T21:30", "05T22:00"),
            ("late", "05T22:00", "06T00:00"),
        ];
        check(2, "05T12:00", "06T12:00", &evening);
        check(2, "05T20:30", "05T22:00", &evening[1..3]);
        check(1, "05T12:00", "06T12:00", &[("early", "05T20:00", "05T22:00")]);
        check(9, "05T12:00", "06T12:00", &[]);
    }

    #[test]
    fn what_operators_ask_for_is_told_where_it_touches_the_time_that_is_asked_about() {
        let pause = order(7, "05T21:00", "05T23:00", What::Pause { syncs: syncs(&[2]) });
        let exempt = order(8, "05T20:30", "05T23:30", What::Exempt { syncs: None });
        let calendar = calendar().with_orders(&[pause, exempt]);
        let numbers = |from, until| {
            calendar.asked(at(from), at(until)).iter().map(|(it, _)| it.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers("05T12:00", "06T12:00"), [7], "an exemption asks for no pause");
        assert_eq!(numbers("05T22:59", "06T12:00"), [7]);
        assert_eq!(numbers("05T23:00", "06T12:00"), [] as [u32; 0]);
        assert_eq!(numbers("05T12:00", "05T21:01"), [7]);
        assert_eq!(numbers("05T12:00", "05T21:00"), [] as [u32; 0]);
    }

    /// Who holds a sync at an instant, and until when.
    fn held(calendar: &Calendar, number: u128, now: &str) -> (Vec<String>, Option<DateTime<Utc>>) {
        let alone = calendar.desired(&sync(number), at(now));
        assert_eq!(alone, calendar.open_at(at(now)).desired(&sync(number)), "sync {number} at {now}");
        let until = match &alone {
            Desired::Running => None,
            Desired::Paused(pause) => Some(pause.until),
        };
        (alone.holders().iter().map(|it| it.window.to_string()).collect(), until)
    }

    #[test]
    fn an_operators_pause_is_one_more_holder() {
        let what = What::Pause { syncs: syncs(&[1, 9]) };
        let calendar = calendar().with_orders(&[order(7, "05T21:00", "05T23:00", what)]);
        let check = |number, now, holders: &[&str], until: Option<&str>| {
            let expected = (holders.iter().map(ToString::to_string).collect(), until.map(at));
            assert_eq!(held(&calendar, number, now), expected, "sync {number} at {now}");
        };
        check(1, "05T20:30", &["early"], Some("05T23:00"));
        check(1, "05T21:30", &["early", "operator#7"], Some("05T23:00"));
        check(1, "05T22:30", &["operator#7"], Some("05T23:00"));
        check(1, "05T23:00", &[], None);
        check(9, "05T21:00", &["operator#7"], Some("05T23:00"));
        check(9, "05T20:59", &[], None);
        check(2, "05T21:30", &["early"], Some("06T00:00"));
        assert_eq!(calendar.next_change(at("05T20:30")), Some(at("05T21:00")));
        assert_eq!(calendar.next_change(at("05T22:30")), Some(at("05T23:00")));
        let next = calendar.next_pause(&sync(9), at("05T20:00"), &[]).unwrap();
        assert_eq!((next.window.as_str(), next.pauses), ("operator#7", at("05T21:00")));
        let pauses = calendar.pauses(at("05T12:00"), at("06T12:00"));
        let of = |number| pauses.iter().filter(move |it| it.sync == sync(number));
        assert_eq!(
            of(1).map(|it| (it.from, it.until)).collect::<Vec<_>>(),
            [(at("05T20:00"), at("05T23:00"))]
        );
        assert_eq!(
            of(9).map(|it| (it.from, it.until)).collect::<Vec<_>>(),
            [(at("05T21:00"), at("05T23:00"))]
        );
    }

    #[test]
    fn an_exemption_takes_windows_away_and_not_what_an_operator_pauses() {
        let exempt = order(1, "05T20:30", "05T21:30", What::Exempt { syncs: Some(syncs(&[1])) });
        let pause = order(2, "05T21:00", "05T21:10", What::Pause { syncs: syncs(&[1]) });
        let calendar = calendar().with_orders(&[exempt, pause]);
        let check = |number, now, holders: &[&str], until: Option<&str>| {
            let expected = (holders.iter().map(ToString::to_string).collect(), until.map(at));
            assert_eq!(held(&calendar, number, now), expected, "sync {number} at {now}");
        };
        check(1, "05T20:29", &["early"], Some("05T22:00"));
        check(1, "05T20:30", &[], None);
        check(1, "05T21:05", &["operator#2"], Some("05T21:10"));
        check(1, "05T21:10", &[], None);
        check(1, "05T21:30", &["early"], Some("05T22:00"));
        check(2, "05T20:30", &["early"], Some("06T00:00"));
        // What is left of the occurrence begins anew: the look that decides is sent after that.
        let open = calendar.desired(&sync(1), at("05T21:45"));
        assert_eq!(open.holders()[0].pauses, at("05T21:30"));
        let next = calendar.next_pause(&sync(1), at("05T20:40"), &[]).unwrap();
        assert_eq!((next.window.as_str(), next.pauses), ("operator#2", at("05T21:00")));
        let next = calendar.next_pause(&sync(1), at("05T21:15"), &[]).unwrap();
        assert_eq!((next.window.as_str(), next.pauses), ("early", at("05T21:30")));
        assert_eq!(calendar.exempt_until(&sync(1), at("05T20:30")), Some(at("05T21:30")));
        assert_eq!(calendar.exempt_until(&sync(1), at("05T21:30")), None);
        assert_eq!(calendar.exempt_until(&sync(2), at("05T20:30")), None);
        let pauses = calendar.pauses(at("05T12:00"), at("06T12:00"));
        let of_one: Vec<_> =
            pauses.iter().filter(|it| it.sync == sync(1)).map(|it| (it.from, it.until)).collect();
        assert_eq!(
            of_one,
            [
                (at("05T20:00"), at("05T20:30")),
                (at("05T21:00"), at("05T21:10")),
                (at("05T21:30"), at("05T22:00"))
            ]
        );
    }

    #[test]
    fn an_exemption_of_all_is_about_every_sync_and_the_next_pause_is_after_it() {
        let all = order(1, "05T12:00", "06T21:00", What::Exempt { syncs: None });
        let calendar = calendar().with_orders(&[all]);
        for number in 1..=3 {
            assert_eq!(held(&calendar, number, "05T21:00").0, Vec::<String>::new());
            assert_eq!(held(&calendar, number, "05T23:00").0, Vec::<String>::new());
        }
        let next = calendar.next_pause(&sync(1), at("05T12:00"), &[]).unwrap();
        assert_eq!((next.pauses, next.opens), (at("06T21:00"), at("06T20:00")));
        let next = calendar.next_pause(&sync(3), at("05T12:00"), &[]).unwrap();
        assert_eq!(next.pauses, at("06T22:00"));
    }

    #[test]
    fn an_extension_is_heard_by_every_sync_of_the_window_until_it_is_taken_back() {
        let what = What::Extend { window: "early".into(), opens: at("05T20:00") };
        let extended = calendar().with_orders(&[order(3, "05T21:00", "05T23:30", what)]);
        assert_eq!(held(&extended, 1, "05T23:00"), (vec!["early".to_owned()], Some(at("05T23:30"))));
        assert_eq!(held(&extended, 1, "06T21:00").1, Some(at("06T22:00")), "the next one is as written");
        assert_eq!(held(&extended.with_orders(&[]), 1, "05T23:00").0, Vec::<String>::new());
    }

    #[test]
    fn an_extension_is_about_one_window_and_no_other_that_opens_with_it() {
        let twins = Calendar::new(vec![
            window("early", "0 20 * * *", 2, &[1]),
            window("twin", "0 20 * * *", 2, &[5]),
        ]);
        let what = What::Extend { window: "early".into(), opens: at("05T20:00") };
        let extended = twins.with_orders(&[order(3, "05T21:00", "05T23:30", what)]);
        assert_eq!(held(&extended, 1, "05T21:30").1, Some(at("05T23:30")));
        assert_eq!(held(&extended, 5, "05T21:30").1, Some(at("05T22:00")));
    }

    #[test]
    fn windows_are_found_by_name_and_syncs_and_orders_are_kept() {
        let what = What::Exempt { syncs: Some(syncs(&[1])) };
        let orders = [order(1, "05T20:30", "05T21:30", what)];
        let calendar = calendar().with_orders(&orders);
        assert_eq!(calendar.orders(), orders);
        assert_eq!(calendar.syncs().cloned().collect::<Vec<_>>(), [1, 2, 3, 4].map(sync));
        assert_eq!(calendar.window("late").map(|it| it.name.as_str()), Some("late"));
        assert!(calendar.window("none").is_none());
    }

    #[test]
    fn what_a_window_was_found_to_select_is_paused_as_if_it_was_written() {
        let all = |exclude: &[u128]| Select {
            organization: "default".into(),
            any_of: vec![Selector::default()],
            exclude: exclude.iter().map(|it| Uuid::from_u128(*it)).collect(),
        };
        let written = Calendar::new(vec![
            window("early", "0 20 * * *", 2, &[1]),
            Window { select: Some(all(&[])), ..window("late", "0 22 * * *", 2, &[2]) },
        ]);
        let selecting: Vec<_> = written.selecting().map(|(it, select)| (it.name.as_str(), select)).collect();
        assert_eq!(selecting, [("late", &all(&[]))]);

        let seen = Seen { sync: sync(7), name: None, connections: vec![] };
        let found = |select: Select| {
            let name = Name::from("late");
            written.with_selected(&BTreeMap::from([(
                name.clone(),
                select.resolve(&name, [&seen], at("05T12:00")),
            )]))
        };
        for (number, holders) in [(1, &[][..]), (2, &["late"][..]), (7, &["late"])] {
            assert_eq!(held(&found(all(&[])), number, "05T23:00").0, holders, "sync {number}");
        }
        // Found for what stood there before the file was edited.
        assert_eq!(held(&found(all(&[9])), 7, "05T23:00").0, Vec::<String>::new());
        assert_eq!(held(&found(all(&[9])), 2, "05T23:00").0, ["late"]);
    }

    #[test]
    fn a_file_that_selects_anew_covers_what_is_known_from_other_selections() {
        let all = Select {
            organization: "default".into(),
            any_of: vec![Selector::default()],
            exclude: BTreeSet::new(),
        };
        let without = |number| Select { exclude: [Uuid::from_u128(number)].into(), ..all.clone() };
        let elsewhere = Select { organization: "emea".into(), ..all.clone() };
        let selecting = |name: &str, select: &Select| Window {
            select: Some(select.clone()),
            ..window(name, "0 22 * * *", 2, &[2])
        };
        let written = Calendar::new(vec![
            window("early", "0 20 * * *", 2, &[1]),
            selecting("same", &without(9)),
            selecting("narrower", &Select { exclude: [7, 9].map(Uuid::from_u128).into(), ..all.clone() }),
            selecting("wider", &all),
            selecting("elsewhere", &elsewhere),
        ]);
        let seen = [7, 8].map(|number| Seen { sync: sync(number), name: None, connections: vec![] });
        let found = without(9).resolve(&"same".into(), &seen, at("05T12:00"));
        let known = written.with_known(&BTreeMap::from([("same".into(), found)]));
        let covered = |calendar: &Calendar, name: &str| {
            let window = calendar.window(name).unwrap();
            let syncs = window.syncs.iter().map(|it| it.id.as_u128()).collect::<Vec<_>>();
            (syncs, calendar.knowledge(window))
        };
        assert_eq!(covered(&known, "early"), (vec![1], Knowledge::Found), "it selects nothing");
        assert_eq!(covered(&known, "same"), (vec![2, 7, 8], Knowledge::Found));
        assert_eq!(covered(&known, "narrower"), (vec![2, 8], Knowledge::Found));
        assert_eq!(covered(&known, "wider"), (vec![2, 7, 8], Knowledge::Provisional));
        assert_eq!(covered(&known, "elsewhere"), (vec![2], Knowledge::Unknown));
        assert_eq!(covered(&written, "same"), (vec![2], Knowledge::Unknown), "nobody has looked");
        let ordered =
            known.with_orders(&[order(1, "05T12:00", "05T13:00", What::Pause { syncs: syncs(&[3]) })]);
        assert_eq!(covered(&ordered, "wider"), (vec![2, 7, 8], Knowledge::Provisional));
    }

    fn names<'a>(windows: impl Iterator<Item = &'a Window>) -> Vec<&'a str> {
        windows.map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn what_is_brought_to_another_instant_is_as_if_it_was_worked_out_there() {
        let calendar = calendar();
        let mut open = calendar.open_at(at("05T21:00"));
        assert!(calendar.advance(&mut open, at("05T20:59")).is_none(), "the clock was set back");
        let of_another = Calendar::new(calendar.windows().to_vec()).advance(&mut open, at("05T22:00"));
        assert!(of_another.is_none());
        assert_eq!(open.at(), at("05T21:00"), "nothing was done");

        let still = calendar.advance(&mut open, at("05T21:00")).unwrap();
        assert_eq!(names(calendar.windows_of_change(&still)), Vec::<&str>::new());
        let changed = calendar.advance(&mut open, at("05T22:00")).unwrap();
        assert_eq!(names(calendar.windows_of_change(&changed)), ["early", "late"]);
        let syncs: BTreeSet<_> = calendar.syncs_of_change(&changed).cloned().collect();
        assert_eq!(syncs, [1, 2, 3].map(sync).into());
        let asking: Vec<_> = open.occurrences().into_iter().map(|it| it.window.as_str()).collect();
        assert_eq!(asking, ["late"]);
        for number in 1..=4 {
            let there = calendar.desired(&sync(number), at("05T22:00"));
            assert_eq!(open.desired(&sync(number)), there, "sync {number}");
        }
        assert_eq!(open.next_change(), calendar.open_at(at("05T22:00")).next_change());
    }

    #[test]
    fn the_end_of_a_pause_without_end_comes_into_sight_as_time_passes() {
        // From Monday to Friday, and from Friday to Monday: it never runs.
        let turns =
            Calendar::new(vec![window("week", "0 0 * * 1", 96, &[1]), window("end", "0 0 * * 5", 72, &[1])]);
        let until = |now: DateTime<Utc>| match turns.desired(&sync(1), now) {
            Desired::Paused(pause) => pause.until,
            Desired::Running => panic!("it is paused always"),
        };
        let june = |day: i64| at("31T00:00") + TimeDelta::days(day);
        // A month is looked ahead, and to the end of what is open then.
        for (now, expected) in [("04T23:00", june(5)), ("05T00:00", june(5)), ("05T00:01", june(8))] {
            assert_eq!(until(at(now)), expected, "{now}");
        }
        let mut open = turns.open_at(at("04T23:00"));
        for hours in 1..200 {
            let now = at("04T23:00") + TimeDelta::hours(hours);
            turns.advance(&mut open, now).unwrap();
            assert_eq!(open.pause(&sync(1)).unwrap().until, until(now), "at {now}");
        }
    }

    #[test]
    fn a_pause_that_has_just_begun_is_not_the_next_one() {
        let what = What::Pause { syncs: syncs(&[9]) };
        let calendar = calendar().with_orders(&[order(7, "05T21:00", "05T23:00", what)]);
        assert!(calendar.next_pause(&sync(9), at("05T20:59"), &[]).is_some());
        assert_eq!(calendar.next_pause(&sync(9), at("05T21:00"), &[]), None);
    }

    #[test]
    fn a_pause_is_told_whole_from_wherever_one_looks_and_not_by_who_only_touches_it() {
        let told = |number, from: &str, until: &str| {
            let pauses = calendar().pauses(at(from), at(until));
            let of = pauses.into_iter().filter(|it| it.sync == sync(number));
            of.map(|it| (it.from, it.until)).collect::<Vec<_>>()
        };
        let whole = [(at("05T20:00"), at("06T00:00"))];
        assert_eq!(told(2, "05T20:00", "05T21:00"), whole, "it goes on later");
        assert_eq!(told(2, "05T23:00", "06T00:00"), whole, "it began before");
        assert_eq!(told(2, "05T19:00", "05T20:00"), [], "it is yet to begin");
        assert_eq!(told(1, "05T22:00", "05T23:00"), [], "it is over");
        assert_eq!(told(1, "05T21:59", "05T22:00"), [(at("05T20:00"), at("05T22:00"))]);
    }
}
