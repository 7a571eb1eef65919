//! Why one sync is paused or not, holder by holder, and what comes next.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Calendar, Desired};
use crate::domain::hold::HoldState;
use crate::domain::moment::Moment;
use crate::domain::operator::{Order, is_order};
use crate::domain::plan::Case;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::window::Occurrence;

use super::report::opens_later;
use super::{Reconciler, RowReport, RowState};

/// All there is to say about one sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The sync.
    #[serde(flatten)]
    pub sync: SyncRef,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// What is wanted of it now.
    pub wanted: Wanted,
    /// What asks for a pause now, and whether it counts.
    pub holders: Vec<Holder>,
    /// Until when no window touches it, on an operator's word.
    pub exempt_until: Option<DateTime<Utc>>,
    /// Its row, if there is one.
    pub row: Option<RowReport>,
    /// When the pause ends, if one is wanted, counting what follows without a gap.
    pub until: Option<DateTime<Utc>>,
    /// What pauses it next, once this pause is over.
    pub next: Option<Occurrence>,
    /// The windows that cover it at some time.
    pub windows: Vec<Name>,
}

/// What is wanted of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Nothing asks for a pause.
    Running,
    /// A pause.
    Paused,
    /// All that asks for a pause does not count: somebody decided against it, or it
    /// was off already.
    LeftAlone,
    /// Windows do not touch it, on an operator's word.
    Exempt,
}

/// Something that asks for a pause now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The occurrence, or the operator's pause.
    #[serde(flatten)]
    pub occurrence: Occurrence,
    /// Whether an operator asked for it, and no window.
    pub is_order: bool,
    /// Whether it counts for this sync.
    pub counts: bool,
    /// The window's description, or the operator's reason.
    pub description: Option<String>,
    /// On whose word, if it is an operator's.
    pub by: Option<String>,
}

impl Reconciler {
    /// All there is to say about this sync.
    pub fn why(&self, sync: &SyncRef, now: Moment) -> Why {
        let unknown = Case::new(sync.clone());
        let case = self.cases.get(sync).map_or(&unknown, |it| &**it);
        let calendar = self.calendar();
        // As of now: what a pass found may be a moment old.
        let desired = match (calendar, &case.hold) {
            (Some(calendar), _) => calendar.desired(sync, now.wall),
            (None, Some(hold)) => hold.desired_alone(now.wall),
            (None, None) => Desired::Running,
        };
        let left_alone = case.hold.as_ref().map_or(&[][..], |hold| &hold.left_alone);
        let counts = |it: &Occurrence| !case.hold.as_ref().is_some_and(|hold| hold.leaves_alone(it));
        let holders: Vec<Holder> = desired.holders().iter().map(|it| self.holder(it, counts(it))).collect();
        let exempt_until = calendar.and_then(|it| it.exempt_until(sync, now.wall));
        let wanted = match (holders.is_empty(), holders.iter().any(|it| it.counts)) {
            (false, true) => Wanted::Paused,
            (false, false) => Wanted::LeftAlone,
            (true, _) if exempt_until.is_some() => Wanted::Exempt,
            (true, _) => Wanted::Running,
        };
        let until = end(&desired, &holders);
        // What begins inside the pause only makes it longer.
        let after = until.unwrap_or(now.wall);
        // What was decided against stays so when an exemption ends inside it.
        let except = [desired.holders(), left_alone].concat();
        let next = calendar.and_then(|it| it.next_pause(sync, after, &except));
        let windows = |it: &Calendar| it.windows_of(sync).map(|it| it.name.clone()).collect();
        Why {
            sync: sync.clone(),
            name: self.name_of(sync).map(str::to_owned),
            wanted,
            until,
            holders,
            exempt_until,
            row: self.row_of(case, now),
            next,
            windows: calendar.map_or_else(Vec::new, |it| windows(it)),
        }
    }

    fn holder(&self, occurrence: &Occurrence, counts: bool) -> Holder {
        let window = self.calendar().and_then(|it| it.window(occurrence.window.as_str()));
        let order: Option<&Order> = self.orders.iter().find(|it| it.name() == occurrence.window);
        Holder {
            occurrence: occurrence.clone(),
            is_order: is_order(&occurrence.window),
            counts,
            description: window
                .and_then(|it| it.description.clone())
                .or_else(|| order.map(|it| it.reason.clone())),
            by: order.map(|it| it.by.clone()),
        }
    }
}

/// When a pause ends, as the plan sees it: if a person decided against a part of
/// it, only the rest counts.
fn end(desired: &Desired, holders: &[Holder]) -> Option<DateTime<Utc>> {
    let Desired::Paused(pause) = desired else { return None };
    if holders.iter().all(|it| it.counts) {
        return Some(pause.until);
    }
    holders.iter().filter(|it| it.counts).map(|it| it.occurrence.closes).max()
}

impl Why {
    /// Whether its row says that we owe it a resume.
    pub fn is_held(&self) -> bool {
        self.row.as_ref().is_some_and(|it| it.since.is_some() && it.state.owes_resume())
    }

    /// What asks for a pause and counts.
    pub fn counted(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(|it| it.counts)
    }

    /// When the first window opens that it is paused ahead of; `None` if something
    /// holds it that has begun.
    pub fn opens_later(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        opens_later(self.counted().map(|it| &it.occurrence), now)
    }

    /// Why what asks for a pause does not count, as far as its row tells. Who
    /// decided, a person at Polytomic or an operator, is in the journal.
    pub fn why_not_counted(&self) -> &'static str {
        if self.was_off() { "it was off already" } else { "somebody decided against it" }
    }

    /// Whether it was off when it was to be paused.
    pub fn was_off(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.state == RowState::Skipped)
    }

    /// Whether its pause waits for an execution.
    fn waits_for_execution(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.since.is_none() && row.quiet == Some(false))
    }

    /// Whether a pause or a resume is still to come about, and the last attempt failed.
    fn is_kept_from_it(&self) -> bool {
        let Some(row) = &self.row else { return false };
        let is_moving = match self.wanted {
            Wanted::Paused => row.state != RowState::Held,
            Wanted::Running | Wanted::LeftAlone | Wanted::Exempt => self.is_held(),
        };
        is_moving && row.last_error.is_some()
    }

    /// The same in one sentence, without times.
    pub fn sentence(&self) -> String {
        let but = if self.is_kept_from_it() { ", but the last attempt failed" } else { "" };
        format!("{}{but}", self.in_words())
    }

    fn in_words(&self) -> &'static str {
        let state = self.row.as_ref().map(|row| row.state);
        let is = |wanted: HoldState| state == Some(wanted.into());
        match self.wanted {
            Wanted::Exempt if self.is_held() => "an operator exempted it, so it is being resumed",
            Wanted::Exempt => "an operator exempted it: windows do not touch it",
            Wanted::Running if self.is_held() => "nothing asks for a pause any more: it is being resumed",
            Wanted::Running => "nothing asks for a pause now",
            Wanted::LeftAlone if is(HoldState::Skipped) => {
                "it was off already when the pause began: it is not ours, and stays as it is"
            }
            Wanted::LeftAlone if self.is_held() => "somebody decided to let it run: it is being resumed",
            Wanted::LeftAlone => "somebody decided to let it run: it is left alone",
            Wanted::Paused if is(HoldState::Held) => "it is paused",
            Wanted::Paused if self.waits_for_execution() => {
                "it is paused as soon as its execution has ended, which a pause would break off"
            }
            Wanted::Paused => "it is being paused",
        }
    }
}
