//! What a change of the windows changes: two outlooks on the same span of
//! time, compared.
//!
//! An occurrence has no name but its times. So what is in one outlook and not
//! in the other is *moved* if the two are each other's nearest of the same
//! window, and otherwise added or removed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::hold::HoldState;
use super::outlook::{Outlook, Pausing, Planned, Timetable};
use super::selection::Knowledge;
use super::sync::{Name, SyncRef};
use super::window::Occurrence;

/// What differs between two outlooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What happens at once: syncs that are to be resumed, then those that are
    /// to be paused.
    pub now: Vec<AtOnce>,
    /// Windows that differ, sorted by name.
    pub windows: Vec<WindowDifference>,
    /// Pauses that differ, for syncs that differ alike.
    pub pauses: Vec<PauseDifference>,
}

/// Syncs whose pause begins or ends with the change itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AtOnce {
    /// What becomes of them.
    pub becomes: Becomes,
    /// The windows that held them, or will.
    pub windows: Vec<Name>,
    /// The syncs.
    pub syncs: BTreeSet<SyncRef>,
    /// Whether there may be more, which only Polytomic knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_be_more: bool,
}

/// What becomes of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Becomes {
    /// It is resumed.
    Resumed,
    /// It is paused.
    Paused,
}

/// One window that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowDifference {
    /// Its name.
    pub window: Name,
    /// Whether it is there before, after, or both times.
    pub change: Change,
    /// Keys of it that differ. Empty unless it is there both times.
    pub settings: Vec<SettingDifference>,
    /// Syncs that it pauses only afterwards.
    pub syncs_added: BTreeSet<SyncRef>,
    /// Syncs that it pauses only before.
    pub syncs_removed: BTreeSet<SyncRef>,
    /// Its occurrences that differ, in order.
    pub occurrences: Vec<Differs<Occurrence>>,
    /// How well its syncs are known, before or after, whichever is worse.
    pub knowledge: Knowledge,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is there no more.
    Removed,
    /// It is there both times, and differs.
    Changed,
}

/// A key of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// The key.
    pub key: String,
    /// What it was; `null` if it was not there.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// Something with times that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Differs<T> {
    /// It is new.
    Added {
        /// The new one.
        after: T,
    },
    /// It is there no more.
    Removed {
        /// The old one.
        before: T,
    },
    /// It is at another time.
    Moved {
        /// The old one.
        before: T,
        /// The new one.
        after: T,
    },
}

/// Pauses that differ in the same way for some syncs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseDifference {
    /// The syncs.
    pub syncs: BTreeSet<SyncRef>,
    /// What differs, in order.
    pub pauses: Vec<Differs<Pausing>>,
}

/// How many differ, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// New ones.
    pub added: usize,
    /// Those that are there no more.
    pub removed: usize,
    /// Those at another time.
    pub moved: usize,
}

impl Difference {
    /// Compares what is in force, or was, with what is to come, at `now`.
    ///
    /// `rows` is what a daemon holds. Without one, all that a window covers is
    /// taken for paused.
    pub fn between(
        before: &Outlook,
        after: &Outlook,
        now: DateTime<Utc>,
        rows: Option<&BTreeMap<SyncRef, Row>>,
    ) -> Self {
        let together = Together::of(before, after);
        Self {
            now: at_once(&together, before, after, now, rows),
            windows: windows(before, after),
            pauses: together.differing(),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty() && self.windows.is_empty() && self.pauses.is_empty()
    }

    /// How many occurrences differ.
    pub fn occurrences(&self) -> Count {
        let mut count = Count::default();
        self.windows.iter().flat_map(|it| &it.occurrences).for_each(|it| count.add(it, 1));
        count
    }

    /// How many pauses differ, each sync's counted.
    pub fn pauses(&self) -> Count {
        let mut count = Count::default();
        for group in &self.pauses {
            group.pauses.iter().for_each(|it| count.add(it, group.syncs.len()));
        }
        count
    }

    /// How many syncs become so at once.
    pub fn at_once(&self, becomes: Becomes) -> usize {
        self.now.iter().filter(|it| it.becomes == becomes).map(|it| it.syncs.len()).sum()
    }
}

impl Count {
    fn add<T>(&mut self, it: &Differs<T>, times: usize) {
        match it {
            Differs::Added { .. } => self.added += times,
            Differs::Removed { .. } => self.removed += times,
            Differs::Moved { .. } => self.moved += times,
        }
    }
}

/// What a daemon has written down about a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How far the pause or resume has come.
    pub state: HoldState,
    /// Whom it serves. What is no window of the calendar in force is an
    /// operator, and holds on.
    pub holders: Vec<Name>,
}

/// Each sync with its pauses before and after. Syncs that are alike both times
/// are taken together.
struct Together<'a> {
    // By their places in the two lists below.
    groups: BTreeMap<(Option<usize>, Option<usize>), BTreeSet<&'a SyncRef>>,
    before: &'a [Timetable],
    after: &'a [Timetable],
}

impl<'a> Together<'a> {
    fn of(before: &'a Outlook, after: &'a Outlook) -> Self {
        let mut of_sync = BTreeMap::<&SyncRef, (Option<usize>, Option<usize>)>::new();
        for (index, it) in before.timetables.iter().enumerate() {
            it.syncs.iter().for_each(|sync| of_sync.entry(sync).or_default().0 = Some(index));
        }
        for (index, it) in after.timetables.iter().enumerate() {
            it.syncs.iter().for_each(|sync| of_sync.entry(sync).or_default().1 = Some(index));
        }
        let mut groups = BTreeMap::<_, BTreeSet<&SyncRef>>::new();
        for (sync, places) in of_sync {
            groups.entry(places).or_default().insert(sync);
        }
        Self { groups, before: &before.timetables, after: &after.timetables }
    }

    fn groups(&self) -> impl Iterator<Item = (&BTreeSet<&'a SyncRef>, &'a [Pausing], &'a [Pausing])> {
        let pauses = |side: &'a [Timetable], index: Option<usize>| -> &'a [Pausing] {
            index.and_then(|it| side.get(it)).map_or(&[], |it| &it.pauses)
        };
        let Self { groups, before, after } = self;
        groups.iter().map(move |((one, other), syncs)| (syncs, pauses(before, *one), pauses(after, *other)))
    }

    fn differing(&self) -> Vec<PauseDifference> {
        let differing = self.groups().filter_map(|(syncs, before, after)| {
            let pauses = compare(before, after, |it| (it.from, it.until));
            let syncs = || syncs.iter().map(|it| (*it).clone()).collect();
            (!pauses.is_empty()).then(|| PauseDifference { syncs: syncs(), pauses })
        });
        let mut differing: Vec<_> = differing.collect();
        differing.sort_by(|a, b| a.syncs.first().cmp(&b.syncs.first()));
        differing
    }
}

/// Whom an outlook pauses at one instant, and for whom.
struct Instant<'a> {
    now: DateTime<Utc>,
    outlook: &'a Outlook,
    // By the name of the window or order: what asks for a pause.
    asking: BTreeMap<&'a Name, Vec<&'a Occurrence>>,
}

impl<'a> Instant<'a> {
    fn of(outlook: &'a Outlook, now: DateTime<Utc>) -> Self {
        let mut asking = BTreeMap::<&Name, Vec<&Occurrence>>::new();
        let all = outlook.occurrences.iter().chain(&outlook.asked);
        for it in all.filter(|it| it.pauses <= now && now < it.closes) {
            asking.entry(&it.window).or_default().push(it);
        }
        Self { now, outlook, asking }
    }

    /// What asks for the pause that is under way. None: no pause is.
    fn holders(&self, pauses: &[Pausing]) -> Option<Vec<&'a Occurrence>> {
        let pause = pauses.iter().find(|it| it.from <= self.now && self.now < it.until)?;
        Some(pause.windows.iter().filter_map(|name| self.asking.get(name)).flatten().copied().collect())
    }

    /// The windows that ask for pauses of syncs that are not all known.
    fn unknown(&self) -> BTreeMap<&'a Name, &'a Planned> {
        let asks = |it: &&Planned| it.knowledge != Knowledge::Found && self.asking.contains_key(&it.window);
        self.outlook.windows.iter().filter(asks).map(|it| (&it.window, it)).collect()
    }
}

/// The syncs that are to be paused before and not after, and the other way
/// round.
fn at_once(
    together: &Together<'_>,
    before: &Outlook,
    after: &Outlook,
    now: DateTime<Utc>,
    rows: Option<&BTreeMap<SyncRef, Row>>,
) -> Vec<AtOnce> {
    let known: BTreeSet<&Name> = before.windows.iter().map(|it| &it.window).collect();
    let (before, after) = (Instant::of(before, now), Instant::of(after, now));
    let mut found = BTreeMap::<(Becomes, Vec<Name>), BTreeSet<SyncRef>>::new();
    for (syncs, old, new) in together.groups() {
        let (old, new) = (before.holders(old), after.holders(new));
        for sync in syncs {
            let becomes = match rows {
                None => becomes(old.as_deref(), new.as_deref()),
                Some(rows) => becomes_of(rows.get(*sync), old.as_deref(), new.as_deref(), &known),
            };
            if let Some((becomes, because)) = becomes {
                found.entry((becomes, because)).or_default().insert((*sync).clone());
            }
        }
    }
    let mut may_be_more = more(&before, &after);
    let mut at_once: Vec<AtOnce> = found
        .into_iter()
        .map(|((becomes, windows), syncs)| {
            // Each of them, also after the first that is.
            let unknown = windows.iter().filter(|it| may_be_more.remove(&(becomes, (*it).clone())));
            let may_be_more = unknown.count() > 0;
            AtOnce { becomes, windows, syncs, may_be_more }
        })
        .collect();
    let unnamed = may_be_more.into_iter().map(|(becomes, window)| AtOnce {
        becomes,
        windows: vec![window],
        syncs: BTreeSet::new(),
        may_be_more: true,
    });
    at_once.extend(unnamed);
    at_once.sort();
    at_once
}

/// The windows that pause at this instant before or after, and of whose syncs not
/// all are known. What they select may begin or end with the change.
fn more(before: &Instant<'_>, after: &Instant<'_>) -> BTreeSet<(Becomes, Name)> {
    let (old, new) = (before.unknown(), after.unknown());
    let selects = |it: &Planned| [it.settings.get("select").cloned(), it.settings.get("exclude").cloned()];
    let is_same = |it: &Planned, other: &Instant<'_>| {
        let mut others = other.outlook.windows.iter().filter(|_| other.asking.contains_key(&it.window));
        others.any(|other| other.window == it.window && selects(other) == selects(it))
    };
    let resumed = old.iter().filter(|(_, it)| !is_same(it, after)).map(|(name, _)| (Becomes::Resumed, *name));
    let paused = new.iter().filter(|(_, it)| !is_same(it, before)).map(|(name, _)| (Becomes::Paused, *name));
    resumed.chain(paused).map(|(becomes, name)| (becomes, name.clone())).collect()
}

type Because = (Becomes, Vec<Name>);

/// Where nobody holds anything yet: all that is covered is taken for paused.
fn becomes(old: Option<&[&Occurrence]>, new: Option<&[&Occurrence]>) -> Option<Because> {
    match (old, new) {
        (Some(old), None) => Some((Becomes::Resumed, windows_of(old))),
        (None, Some(new)) => Some((Becomes::Paused, windows_of(new))),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

/// What a row says is so before the change. What was left alone stays so only for
/// the occurrence it was decided about, told by its window's name and its opening.
fn becomes_of(
    row: Option<&Row>,
    old: Option<&[&Occurrence]>,
    new: Option<&[&Occurrence]>,
    known: &BTreeSet<&Name>,
) -> Option<Because> {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let Some(row) = row else {
        // Covered and without a row it is about to be paused, or left as it is.
        let begins = old.is_empty() && !new.is_empty();
        return begins.then(|| (Becomes::Paused, windows_of(new)));
    };
    match row.state {
        HoldState::Pausing | HoldState::Held | HoldState::Resuming => {
            let ends = !old.is_empty() && new.is_empty() && row.holders.iter().all(|it| known.contains(it));
            ends.then(|| (Becomes::Resumed, windows_of(old)))
        }
        // Off before anything began, and so not ours under whatever name.
        HoldState::Skipped => None,
        HoldState::Released | HoldState::Settling => {
            let is_left = |it: &Occurrence| old.iter().any(|other| other.is(it));
            let fresh: Vec<&Occurrence> = new.iter().copied().filter(|it| !is_left(it)).collect();
            (!fresh.is_empty()).then(|| (Becomes::Paused, windows_of(&fresh)))
        }
    }
}

fn windows_of(holders: &[&Occurrence]) -> Vec<Name> {
    let mut names: Vec<Name> = holders.iter().map(|it| it.window.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn windows(before: &Outlook, after: &Outlook) -> Vec<WindowDifference> {
    let by_name = |outlook: &'_ Outlook| -> BTreeMap<Name, Planned> {
        outlook.windows.iter().map(|it| (it.window.clone(), it.clone())).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let (mut old_times, mut new_times) = (by_window(before), by_window(after));
    let names: BTreeSet<&Name> = old.keys().chain(new.keys()).collect();
    let window = |name: &Name| {
        let (mut before, mut after) =
            (old_times.remove(name).unwrap_or_default(), new_times.remove(name).unwrap_or_default());
        // Equal spans may come in another order.
        before.sort();
        after.sort();
        let occurrences = compare(&before, &after, |it| (it.opens, it.closes));
        let (change, settings) = match (old.get(name), new.get(name)) {
            (Some(_), None) => (Change::Removed, vec![]),
            (None, _) => (Change::Added, vec![]),
            (Some(old), Some(new)) => (Change::Changed, settings(old, new)),
        };
        let syncs = |one: Option<&Planned>, other: Option<&Planned>| -> BTreeSet<SyncRef> {
            let other = other.map(|it| &it.syncs);
            let only = |sync: &&SyncRef| other.is_none_or(|it| !it.contains(*sync));
            one.into_iter().flat_map(|it| &it.syncs).filter(only).cloned().collect()
        };
        WindowDifference {
            window: name.clone(),
            change,
            settings,
            syncs_added: syncs(new.get(name), old.get(name)),
            syncs_removed: syncs(old.get(name), new.get(name)),
            occurrences,
            knowledge: [old.get(name), new.get(name)]
                .into_iter()
                .flatten()
                .map(|it| it.knowledge)
                .max()
                .unwrap_or_default(),
        }
    };
    names.into_iter().map(window).filter(WindowDifference::differs).collect()
}

impl WindowDifference {
    fn differs(&self) -> bool {
        self.change != Change::Changed
            || !self.settings.is_empty()
            || !self.syncs_added.is_empty()
            || !self.syncs_removed.is_empty()
            || !self.occurrences.is_empty()
    }
}

fn by_window(outlook: &Outlook) -> BTreeMap<Name, Vec<Occurrence>> {
    let mut by_window = BTreeMap::<Name, Vec<Occurrence>>::new();
    for it in &outlook.occurrences {
        by_window.entry(it.window.clone()).or_default().push(it.clone());
    }
    by_window
}

fn settings(before: &Planned, after: &Planned) -> Vec<SettingDifference> {
    let keys: BTreeSet<&String> = before.settings.keys().chain(after.settings.keys()).collect();
    let differing = keys.into_iter().filter_map(|key| {
        let (before, after) = (before.settings.get(key), after.settings.get(key));
        let setting =
            || SettingDifference { key: key.clone(), before: before.cloned(), after: after.cloned() };
        (before != after).then(setting)
    });
    differing.collect()
}

type Times = (DateTime<Utc>, DateTime<Utc>);

/// What differs between two lists, each sorted by its times. Whose times are in
/// both is the same, whatever else is said of it.
fn compare<T: Clone>(before: &[T], after: &[T], times: impl Fn(&T) -> Times) -> Vec<Differs<T>> {
    let within = |list: &[T]| -> BTreeSet<Times> { list.iter().map(&times).collect() };
    let (in_before, in_after) = (within(before), within(after));
    let old: Vec<&T> = before.iter().filter(|it| !in_after.contains(&times(it))).collect();
    let new: Vec<&T> = after.iter().filter(|it| !in_before.contains(&times(it))).collect();
    let starts = |list: &[&T]| -> Vec<DateTime<Utc>> { list.iter().map(|it| times(it).0).collect() };
    let (old_starts, new_starts) = (starts(&old), starts(&new));
    let partner = |index: usize| {
        let other = nearest(&new_starts, old_starts[index])?;
        (nearest(&old_starts, new_starts[other]) == Some(index)).then_some(other)
    };
    let partners: Vec<Option<usize>> = (0..old.len()).map(partner).collect();
    let taken: BTreeSet<usize> = partners.iter().flatten().copied().collect();
    let from_old = old.iter().zip(&partners).map(|(it, partner)| match partner {
        Some(other) => (times(it), Differs::Moved { before: (*it).clone(), after: new[*other].clone() }),
        None => (times(it), Differs::Removed { before: (*it).clone() }),
    });
    let alone = new.iter().enumerate().filter(|(index, _)| !taken.contains(index));
    let from_new = alone.map(|(_, it)| (times(it), Differs::Added { after: (*it).clone() }));
    let mut all: Vec<(Times, Differs<T>)> = from_old.chain(from_new).collect();
    all.sort_by_key(|(times, _)| *times);
    all.into_iter().map(|(_, it)| it).collect()
}

/// Which of these, sorted, is nearest; of two the earlier.
fn nearest(sorted: &[DateTime<Utc>], to: DateTime<Utc>) -> Option<usize> {
    let at = sorted.partition_point(|it| *it < to);
    let distance = |index: usize| (sorted[index] - to).abs();
    let candidates = [at.checked_sub(1), (at < sorted.len()).then_some(at)];
    candidates.into_iter().flatten().min_by_key(|index| distance(*index))
}

#[cfg(test)]
mod tests;
