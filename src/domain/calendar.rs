//! All windows together: which syncs are to be paused now, and what comes next.
//!
//! Syncs that are in the same windows are paused alike, so everything is
//! worked out once for each such *group* and not for each sync.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::sync::{Name, SyncRef};
use super::window::{LONGEST_DAYS, Occurrence, Window};

/// All windows of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    windows: Arc<[Window]>,
    by_name: Arc<HashMap<Name, usize>>,
    groups: Arc<[Box<[usize]>]>,
    group_of: Arc<BTreeMap<SyncRef, usize>>,
}

/// What a sync should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// No occurrence asks for anything.
    Running,
    /// Some occurrence asks for a pause.
    Paused(Pause),
}

/// Why a sync should be paused, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The occurrences that ask for it now, sorted.
    pub holders: Vec<Occurrence>,
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
    next_change: Option<DateTime<Utc>>,
    occurrences: Vec<Occurrence>,
    pauses: HashMap<usize, Pause>,
    group_of: Arc<BTreeMap<SyncRef, usize>>,
}

/// Windows that take turns may leave a sync no time to run for a month. The end
/// of such a pause is looked for no further than this many occurrences ahead;
/// it is looked for again at every boundary.
const MOST_FOLLOWED: usize = 50;

impl Calendar {
    /// The calendar of these windows, whose names are unique.
    pub fn new(windows: Vec<Window>) -> Self {
        let by_name =
            windows.iter().enumerate().map(|(index, window)| (window.name.clone(), index)).collect();
        let mut windows_of = BTreeMap::<SyncRef, Vec<usize>>::new();
        for (index, window) in windows.iter().enumerate() {
            for sync in &window.syncs {
                windows_of.entry(sync.clone()).or_default().push(index);
            }
        }
        let mut group_ids = HashMap::<Box<[usize]>, usize>::new();
        let group_of = windows_of
            .into_iter()
            .map(|(sync, windows)| {
                let id = group_ids.len();
                (sync, *group_ids.entry(windows.into()).or_insert(id))
            })
            .collect();
        let mut groups: Vec<_> = group_ids.into_iter().collect();
        groups.sort_by_key(|(_, id)| *id);
        Self {
            windows: windows.into(),
            by_name: Arc::new(by_name),
            groups: groups.into_iter().map(|(windows, _)| windows).collect(),
            group_of: Arc::new(group_of),
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

    /// Every sync that a window names, sorted.
    pub fn syncs(&self) -> impl Iterator<Item = &SyncRef> {
        self.group_of.keys()
    }

    /// The windows that name this sync, in the order of the file.
    pub fn windows_of(&self, sync: &SyncRef) -> impl Iterator<Item = &Window> {
        self.group_of.get(sync).into_iter().flat_map(|group| self.windows_in(*group))
    }

    /// What all windows ask for at this instant.
    pub fn open_at(&self, now: DateTime<Utc>) -> OpenWindows {
        let mut occurrences = Vec::new();
        let mut open = vec![false; self.windows.len()];
        let mut next_change: Option<DateTime<Utc>> = None;
        for (index, window) in self.windows.iter().enumerate() {
            let pausing: Vec<_> = window.pausing(now).collect();
            next_change = next_change.into_iter().chain(window.next_change_with(now, &pausing)).min();
            open[index] = !pausing.is_empty();
            occurrences.extend(pausing);
        }
        occurrences.sort();
        let pauses = (0..self.groups.len())
            .filter(|group| self.groups[*group].iter().any(|index| open[*index]))
            .filter_map(|group| Some((group, self.pause(group, now)?)))
            .collect();
        OpenWindows { at: now, next_change, occurrences, pauses, group_of: Arc::clone(&self.group_of) }
    }

    /// What the windows of this sync ask for at this instant. For many syncs,
    /// [`Calendar::open_at`] is cheaper.
    pub fn desired(&self, sync: &SyncRef, now: DateTime<Utc>) -> Desired {
        self.group_of
            .get(sync)
            .and_then(|group| self.pause(*group, now))
            .map_or(Desired::Running, Desired::Paused)
    }

    /// The first instant after this one at which some sync's desired state, or
    /// a reason for it, changes: a pause begins, a window opens or closes.
    pub fn next_change(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.windows.iter().filter_map(|window| window.next_change(now)).min()
    }

    /// The first occurrence of this sync whose pause had not begun at `now`,
    /// other than those in `except`.
    pub fn next_pause(
        &self,
        sync: &SyncRef,
        now: DateTime<Utc>,
        except: &[Occurrence],
    ) -> Option<Occurrence> {
        let excepted = |it: &Occurrence| except.iter().any(|other| other.is(it));
        self.windows_of(sync)
            .filter_map(|window| {
                let mut next = window.next_pausing(now);
                while let Some(it) = next.take_if(|it| excepted(it)) {
                    next = window.next_opening(it.opens);
                }
                next
            })
            .min_by(|a, b| (a.pauses, a).cmp(&(b.pauses, b)))
    }

    /// Every occurrence of every window that is open at some time in
    /// `[from, until)`, each whole, sorted by opening and window.
    pub fn occurrences(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Occurrence> {
        let mut occurrences: Vec<_> =
            self.windows.iter().flat_map(|window| window.occurrences(from, until)).collect();
        occurrences.sort_by(|a, b| (a.opens, &a.window).cmp(&(b.opens, &b.window)));
        occurrences
    }

    /// Every pause of every sync that touches `[from, until)`, each whole,
    /// sorted by beginning and sync.
    pub fn pauses(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<SyncPause> {
        let of_group: Vec<_> = (0..self.groups.len()).map(|group| self.merged(group, from, until)).collect();
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

    fn windows_in(&self, group: usize) -> impl Iterator<Item = &Window> {
        self.groups[group].iter().map(|index| &self.windows[*index])
    }

    /// What the windows of a group ask for together.
    fn pause(&self, group: usize, now: DateTime<Utc>) -> Option<Pause> {
        let mut holders: Vec<_> = self.windows_in(group).flat_map(|window| window.pausing(now)).collect();
        holders.sort();
        let limit = now + longest();
        let mut until = holders.iter().map(|it| it.closes).max()?;
        for _ in 0..MOST_FOLLOWED {
            match self.windows_in(group).flat_map(|window| window.pausing(until)).map(|it| it.closes).max() {
                Some(later) if until < limit => until = later,
                Some(_) | None => break,
            }
        }
        Some(Pause { holders, until })
    }

    /// The pauses of a group that touch `[from, until)`: the look is widened
    /// until no pause reaches out of it.
    fn merged(&self, group: usize, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Merged> {
        if until <= from {
            return Vec::new();
        }
        let (earliest, latest) = (from - longest(), until + longest());
        let (mut low, mut high) = (from, until);
        loop {
            let merged =
                merge(self.windows_in(group).flat_map(|window| window.pausing_within(low, high)).collect());
            let first = merged.first().map_or(low, |it| it.from).max(earliest);
            let last = merged.last().map_or(high, |it| it.until).min(latest);
            if low <= first && last <= high {
                return merged.into_iter().filter(|it| it.from < until && from < it.until).collect();
            }
            (low, high) = (low.min(first), high.max(last));
        }
    }
}

impl OpenWindows {
    /// The instant this is about.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// When it stops being true.
    pub fn next_change(&self) -> Option<DateTime<Utc>> {
        self.next_change
    }

    /// Whether it is (still, or already) true at this instant.
    pub fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.at <= at && self.next_change.is_none_or(|change| at < change)
    }

    /// The occurrences that ask for a pause, of all windows, sorted.
    pub fn occurrences(&self) -> &[Occurrence] {
        &self.occurrences
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
    use uuid::Uuid;

    use super::super::sync::SyncKind;
    use super::super::window::{Dates, End, OnManualResume, Start, Times};
    use super::super::zone::Zone;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-05-{text}:00Z").parse().unwrap()
    }

    fn sync(number: u128) -> SyncRef {
        SyncRef { organization: "default".into(), kind: SyncKind::Model, id: Uuid::from_u128(number) }
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
}
