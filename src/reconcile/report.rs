//! What is told of the state of things: `status`, the page, the log.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::calendar::{Desired, OpenWindows};
use crate::domain::hold::{Hold, HoldState};
use crate::domain::moment::Moment;
use crate::domain::operator::{Order, What};
use crate::domain::plan::Case;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::window::Occurrence;

use super::Reconciler;

/// The state of all rows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When anything is next due to change.
    pub next_change: Option<DateTime<Utc>>,
    /// Every row, every sync that cannot be looked at, and those that an operator
    /// exempted.
    pub syncs: Vec<RowReport>,
    /// What operators asked for and is not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderReport>,
}

/// What an operator asked for, as `status --format json` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    /// What it is called: `operator#7`.
    pub name: Name,
    /// `pause`, `extend` or `exempt`.
    pub what: String,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// On whose word.
    pub by: String,
    /// Of an extension: the window.
    pub window: Option<Name>,
    /// How many syncs it names; `null` if it is about all.
    pub syncs: Option<usize>,
}

impl From<&Order> for OrderReport {
    fn from(order: &Order) -> Self {
        let (window, syncs) = match &order.what {
            What::Pause { syncs } | What::Exempt { syncs: Some(syncs) } => (None, Some(syncs.len())),
            What::Exempt { syncs: None } => (None, None),
            What::Extend { window, .. } => (Some(window.clone()), Some(0)),
        };
        Self {
            name: order.name(),
            what: order.what.as_str().to_owned(),
            from: order.from,
            until: order.until,
            reason: order.reason.clone(),
            by: order.by.clone(),
            window,
            syncs: syncs.filter(|_| !matches!(order.what, What::Extend { .. })),
        }
    }
}

/// What `status` says of a sync: how far its row has come, or that no window
/// touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowState {
    /// [`HoldState::Pausing`]
    Pausing,
    /// [`HoldState::Held`]
    Held,
    /// [`HoldState::Resuming`]
    Resuming,
    /// [`HoldState::Settling`]
    Settling,
    /// [`HoldState::Skipped`]
    Skipped,
    /// [`HoldState::Released`]
    Released,
    /// There is no row, because an operator exempted it.
    Exempt,
}

impl RowState {
    /// Every state, in the order of a pause's life.
    pub const ALL: &[Self] = &[
        Self::Pausing,
        Self::Held,
        Self::Resuming,
        Self::Settling,
        Self::Skipped,
        Self::Released,
        Self::Exempt,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        self.of_row().map_or("exempt", HoldState::as_str)
    }

    /// Whether a resume is owed.
    pub fn owes_resume(self) -> bool {
        self.of_row().is_some_and(HoldState::owes_resume)
    }

    /// What the row says; none if there is no row.
    pub fn of_row(self) -> Option<HoldState> {
        match self {
            Self::Pausing => Some(HoldState::Pausing),
            Self::Held => Some(HoldState::Held),
            Self::Resuming => Some(HoldState::Resuming),
            Self::Settling => Some(HoldState::Settling),
            Self::Skipped => Some(HoldState::Skipped),
            Self::Released => Some(HoldState::Released),
            Self::Exempt => None,
        }
    }
}

impl From<HoldState> for RowState {
    fn from(state: HoldState) -> Self {
        match state {
            HoldState::Pausing => Self::Pausing,
            HoldState::Held => Self::Held,
            HoldState::Resuming => Self::Resuming,
            HoldState::Settling => Self::Settling,
            HoldState::Skipped => Self::Skipped,
            HoldState::Released => Self::Released,
        }
    }
}

/// One row, as `status --format json` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowReport {
    /// The sync's organization.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// The sync's id.
    pub id: Uuid,
    /// Its name at Polytomic, when known.
    pub name: Option<String>,
    /// How far the pause or resume has come.
    pub state: RowState,
    /// Whether no execution runs any more; `null` while nobody has looked.
    pub quiet: Option<bool>,
    /// The windows it serves, or that do not count for it.
    pub windows: Vec<Name>,
    /// When the first window opens that it is paused ahead of (`lead`); absent if
    /// something asks for its pause that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<DateTime<Utc>>,
    /// Since when there is a row.
    pub since: Option<DateTime<Utc>>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// How long it has been held past its end; 0 unless it is overdue.
    pub overdue_seconds: i64,
    /// Attempts in a row that did not succeed.
    pub attempts: u32,
    /// What the last of them met.
    pub last_error: Option<String>,
}

impl Report {
    /// Whether something is overdue or failing.
    pub fn has_trouble(&self) -> bool {
        self.syncs.iter().any(RowReport::is_trouble)
    }
}

/// The state of these rows in a sentence.
pub fn headline<R: Borrow<RowReport>>(rows: impl Iterator<Item = R>) -> String {
    let (mut overdue, mut failing, mut held, mut moving) = (0, 0, 0, 0);
    for row in rows {
        let row = row.borrow();
        overdue += usize::from(row.overdue_seconds > 0);
        failing += usize::from(row.overdue_seconds == 0 && row.is_trouble());
        held += usize::from(row.state == RowState::Held);
        moving += usize::from(matches!(row.state, RowState::Pausing | RowState::Resuming));
    }
    let parts = [(overdue, "overdue"), (failing, "failing"), (held, "paused"), (moving, "changing")];
    let told: Vec<_> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if told.is_empty() { "nothing is paused".to_owned() } else { told.join(", ") }
}

impl RowReport {
    /// A row as the ledger has it.
    pub fn of(hold: &Hold, now: DateTime<Utc>, overdue_after: std::time::Duration) -> Self {
        let late = now.signed_duration_since(hold.resume_by);
        let limit = TimeDelta::from_std(overdue_after).unwrap_or(TimeDelta::MAX);
        let is_overdue = hold.state.owes_resume() && late >= limit;
        let served: &[Occurrence] = match hold.state {
            HoldState::Skipped | HoldState::Released => &hold.left_alone,
            HoldState::Pausing | HoldState::Held | HoldState::Resuming | HoldState::Settling => &hold.holders,
        };
        let mut windows: Vec<Name> = served.iter().map(|it| it.window.clone()).collect();
        windows.dedup();
        Self {
            organization: hold.sync.organization.clone(),
            kind: hold.sync.kind,
            id: hold.sync.id,
            name: hold.name.clone(),
            state: hold.state.into(),
            quiet: if hold.state == HoldState::Held { hold.runs.quiet } else { None },
            windows,
            opens: opens_later(served.iter(), now).filter(|_| hold.state.owes_resume()),
            since: Some(hold.since),
            until: Some(hold.resume_by),
            overdue_seconds: if is_overdue { late.num_seconds() } else { 0 },
            attempts: hold.attempts,
            last_error: hold.last_error.clone(),
        }
    }

    /// Its state in words, and what runs: paused and quiet are two facts.
    pub fn state_in_words(&self) -> String {
        match (self.state.as_str(), self.quiet) {
            (state, None) => state.to_owned(),
            (state, Some(true)) => format!("{state}, quiet"),
            ("pausing", Some(false)) => "waits for its execution".to_owned(),
            (state, Some(false)) => format!("{state}, still runs"),
        }
    }

    /// What the last attempt met, and which one it was; `None` if nothing failed.
    pub fn last_attempt(&self) -> Option<String> {
        self.last_error.as_ref().map(|error| match self.attempts {
            0 => error.clone(),
            attempts => format!("attempt {attempts}: {error}"),
        })
    }

    /// Whether it is overdue, or its last attempt failed.
    pub fn is_trouble(&self) -> bool {
        self.overdue_seconds > 0 || self.last_error.is_some()
    }
}

/// When the first of these opens, if none of them has opened.
pub(super) fn opens_later<'a>(
    holders: impl Iterator<Item = &'a Occurrence>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    holders.map(|it| it.opens).min().filter(|opens| now < *opens)
}

impl Reconciler {
    /// The state of things now, in a sentence.
    pub fn headline(&self, now: Moment) -> String {
        headline(self.rows(now))
    }

    /// One after the other: thousands of them at once are megabytes.
    fn rows(&self, now: Moment) -> impl Iterator<Item = RowReport> {
        self.cases.values().filter_map(move |case| self.row_of(case, now))
    }

    /// The state of things now.
    pub fn report(&self, now: Moment) -> Report {
        let mut syncs: Vec<RowReport> = self.rows(now).collect();
        syncs.extend(self.exempt_rows(now));
        let orders = self.orders.iter().filter(|it| now.wall < it.until).map(OrderReport::from).collect();
        Report { next_change: self.next_change, syncs, orders }
    }

    /// A sync's row with what its last request met. Without a row it is told only
    /// what keeps it from being paused.
    pub(super) fn row_of(&self, case: &Case, now: Moment) -> Option<RowReport> {
        let is_told = || {
            case.trouble.is_some()
                || self.waits_for_execution(case, now)
                || self.unseen_execution(case, now).is_some()
        };
        let reported = match &case.hold {
            Some(hold) => Some(self.held_row(case, hold, now)),
            None => is_told().then(|| self.unheld_row(case, now)),
        }?;
        let name = case.name.clone().or(reported.name.clone());
        let last_error = reported.last_error.clone().or(case.trouble.clone());
        Some(RowReport { name, last_error, ..reported })
    }

    /// A row of the ledger. One that a person or an operator decided about leaves the sync
    /// alone only for what asks for its pause still: an operator's pause may have ended.
    fn held_row(&self, case: &Case, hold: &Hold, now: Moment) -> RowReport {
        let mut row = RowReport::of(hold, now.wall, self.rules.overdue_after);
        if let HoldState::Skipped | HoldState::Released = hold.state
            && let Desired::Paused(pause) = self.desired(case, now)
        {
            let asks = || pause.holders.iter().filter(|it| hold.leaves_alone(it));
            if let Some(until) = asks().map(|it| it.closes).max() {
                row.until = Some(until);
                row.windows = asks().map(|it| it.window.clone()).collect();
                row.windows.dedup();
            }
        }
        row
    }

    /// The syncs without a row that an operator exempted: those that were named,
    /// and of an exemption of all those that an open window would pause.
    fn exempt_rows(&self, now: Moment) -> Vec<RowReport> {
        let is_on = |it: &&Order| it.is_exemption() && it.holds_at(now.wall);
        let exemptions: Vec<&Order> = self.orders.iter().filter(is_on).collect();
        let Some(calendar) = self.calendar.as_ref().filter(|_| !exemptions.is_empty()) else {
            return vec![];
        };
        let open: BTreeSet<&Name> =
            self.open.iter().flat_map(OpenWindows::occurrences).map(|it| &it.window).collect();
        let row = |sync: &SyncRef| {
            let until = calendar.exempt_until(sync, now.wall)?;
            let windows = calendar.windows_of(sync).map(|it| it.name.clone());
            let windows: Vec<Name> = windows.filter(|it| open.contains(it)).collect();
            let is_named = exemptions.iter().any(|it| it.names_one_by_one(sync));
            (is_named || !windows.is_empty()).then(|| self.exempt_row(sync, windows, until))
        };
        let has_row = |sync: &SyncRef| {
            self.cases.get(sync).is_some_and(|case| case.hold.is_some() || case.trouble.is_some())
        };
        calendar.syncs().filter(|sync| !has_row(sync)).filter_map(row).collect()
    }

    fn exempt_row(&self, sync: &SyncRef, windows: Vec<Name>, until: DateTime<Utc>) -> RowReport {
        RowReport {
            organization: sync.organization.clone(),
            kind: sync.kind,
            id: sync.id,
            name: self.name_of(sync).map(str::to_owned),
            state: RowState::Exempt,
            quiet: None,
            windows,
            opens: None,
            since: None,
            until: Some(until),
            overdue_seconds: 0,
            attempts: 0,
            last_error: None,
        }
    }

    /// Whether its pause waits for an execution that was seen to run.
    pub(super) fn waits_for_execution(&self, case: &Case, now: Moment) -> bool {
        case.hold.is_none()
            && case.errands.saw_running()
            && matches!(self.desired(case, now), Desired::Paused(_))
    }

    /// What keeps its pause from beginning where that waits for its execution, and whether
    /// one runs cannot be seen.
    fn unseen_execution<'c>(&self, case: &'c Case, now: Moment) -> Option<&'c str> {
        let trouble = case.errands.trouble().filter(|_| case.hold.is_none())?;
        matches!(self.desired(case, now), Desired::Paused(_)).then_some(trouble)
    }

    /// A sync that is to be paused, and could not be looked at yet or whose execution
    /// is waited for.
    fn unheld_row(&self, case: &Case, now: Moment) -> RowReport {
        let desired = self.desired(case, now);
        let until = match &desired {
            Desired::Paused(pause) => Some(pause.until),
            Desired::Running => None,
        };
        RowReport {
            organization: case.sync.organization.clone(),
            kind: case.sync.kind,
            id: case.sync.id,
            name: case.name.clone(),
            state: RowState::Pausing,
            quiet: self.waits_for_execution(case, now).then_some(false),
            windows: desired.holders().iter().map(|it| it.window.clone()).collect(),
            opens: opens_later(desired.holders().iter(), now.wall),
            since: None,
            until,
            overdue_seconds: 0,
            attempts: case.retry.map_or(case.errands.failures, |it| it.failures),
            last_error: case.trouble.clone().or_else(|| self.unseen_execution(case, now).map(str::to_owned)),
        }
    }
}
