//! `plan`: what the daemon would do right now. Takes no lock, changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::api::{self, Clients};
use super::file::{self, Read};
use super::table::{Mood, Rows, count};
use super::{Exit, Format, FormatArgument, Global, Outcome, block_on, listing, screen};
use crate::domain::calendar::Desired;
use crate::domain::hold::Hold;
use crate::domain::moment::Moment;
use crate::domain::organization::Organization;
use crate::domain::plan::{
    Call, Case, Evidence, Rules, Step, Turn, WAITS_TO_PAUSE, next_step, waits_to_pause, wanted,
};
use crate::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use crate::domain::verdict::Failure;
use crate::ledger::{Contents, OpenError};
use crate::polytomic::Looked;
use crate::reconcile::RELEASED;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    format: FormatArgument,
}

/// What would be done about one sync.
#[derive(Debug, Serialize)]
struct Line {
    organization: Name,
    kind: SyncKind,
    id: Uuid,
    name: Option<String>,
    desired: &'static str,
    observed: Option<&'static str>,
    held: Option<&'static str>,
    step: String,
    error: Option<String>,
    #[serde(skip)]
    mood: Mood,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let mut read = file::read(global)?;
    let contents = contents(global)?;
    let (lines, lists) = block_on(async {
        let lists = listing::list(&read, to_be_listed(&read).into_iter()).await;
        let selected = listing::resolve(&read, &lists, file::by_window(contents.selections));
        read.config.calendar = read.config.calendar.with_selected(&selected);
        file::add_orders(&mut read, &contents.orders);
        Ok((plan(&read, contents.holds).await, lists))
    })?;
    listing::tell_failures(&lists);
    match arguments.format.format {
        Format::Json => screen::say_json(&lines)?,
        Format::Table => screen::say(&table(&lines))?,
    }
    let is_known = lines.iter().all(|it| it.error.is_none()) && lists.values().all(Result::is_ok);
    Ok(if is_known { Exit::Success } else { Exit::Failed })
}

/// Whose syncs are selected by a window that asks for their pause now.
fn to_be_listed(read: &Read) -> BTreeSet<Name> {
    let selecting = read.config.calendar.selecting().filter(|(window, _)| window.asks_for_pauses(read.now));
    selecting.map(|(_, select)| select.organization.clone()).collect()
}

/// What the ledger has. No ledger is nothing: before its first start the daemon has none
/// either.
fn contents(global: &Global) -> Result<Contents, super::Failure> {
    match file::ledger(global) {
        Ok(store) => Ok(store.contents()?),
        Err(super::Failure::Open(OpenError::Missing(_))) => Ok(Contents::default()),
        Err(failure) => Err(failure),
    }
}

async fn plan(read: &Read, holds: Vec<Hold>) -> Vec<Line> {
    let open = read.config.calendar.open_at(read.now);
    let mut cases: BTreeMap<SyncRef, Case> =
        holds.into_iter().map(|hold| (hold.sync.clone(), Case::remembered(hold))).collect();
    for (sync, _) in open.paused() {
        cases.entry(sync.clone()).or_insert_with(|| Case::new(sync.clone()));
    }
    let mut clients = Clients::default();
    let asked = cases.values().filter_map(|case| {
        let organization = organization(read, case)?;
        Some((case.sync.clone(), clients.of(organization, &api::limits(&read.config, organization))))
    });
    let mut looked = api::look_at_all(asked.collect()).await;
    let rules = read.config.rules();
    let decide = |case: Case| {
        let desired = open.desired(&case.sync);
        let looked = looked.remove(&case.sync);
        line(read, case, &desired, looked, &rules)
    };
    cases.into_values().map(decide).collect()
}

/// As the reconciler chooses: what is owed is paid where it was taken.
fn organization<'a>(read: &'a Read, case: &'a Case) -> Option<&'a Arc<Organization>> {
    let configured = read.config.organizations.get(&case.sync.organization).map(|it| &it.organization);
    match &case.hold {
        Some(hold) if hold.state.owes_resume() => Some(&hold.organization),
        held => configured.or(held.as_ref().map(|hold| &hold.organization)),
    }
}

fn line(
    read: &Read,
    mut case: Case,
    desired: &Desired,
    looked: Option<Result<Looked, Failure>>,
    rules: &Rules,
) -> Line {
    let now = Moment { wall: read.now, uptime: Duration::ZERO };
    let looked = looked.transpose();
    if let Ok(Some(looked)) = &looked {
        case.name = looked.name.clone().or(case.name);
        case.call = Some(Call::Look);
        let by = looked.updated_by.clone();
        case.hear(Evidence::Saw { state: looked.state, sent: now, by }, now);
    }
    let turn = Turn {
        now,
        desired,
        organization: read.config.organizations.get(&case.sync.organization).map(|it| &it.organization),
        may_pause: RELEASED <= read.now,
        all_resumed: false,
        statuses_hang: false,
        is_exempt: read.config.calendar.exempt_until(&case.sync, read.now).is_some(),
        key_proven: false,
        jitter: 0.0,
        rules,
    };
    let step = next_step(&case, &turn);
    let waits = waits_to_pause(&case, &turn);
    let observed = looked.as_ref().ok().and_then(|it| it.as_ref()).map(|it| match it.state {
        SyncState::Active => "on",
        SyncState::Inactive => "off",
        SyncState::Gone => "gone",
    });
    let error = looked.err().map(|failure| failure.to_string());
    Line {
        organization: case.sync.organization.clone(),
        kind: case.sync.kind,
        id: case.sync.id,
        name: case.name.clone(),
        desired: wanted(desired, case.hold.as_ref()),
        observed,
        held: case.hold.as_ref().map(|hold| hold.state.as_str()),
        mood: if waits && error.is_none() { Mood::Busy } else { mood(&step, error.is_some()) },
        step: if waits { WAITS_TO_PAUSE.to_owned() } else { step.to_string() },
        error,
    }
}

fn mood(step: &Step, failed: bool) -> Mood {
    match step {
        _ if failed => Mood::Trouble,
        Step::Pause { .. } | Step::Resume { .. } => Mood::Busy,
        Step::Rest { .. } | Step::Look | Step::Keep { .. } | Step::Forget { .. } | Step::Defer { .. } => {
            Mood::Plain
        }
    }
}

fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "nothing to do: no window is open and nothing is held".to_owned();
    }
    let mut rows = Rows::under(&["SYNC", "KIND", "WANTED", "IS", "ROW", "STEP"]);
    for it in lines {
        let sync = format!("{}/{}", it.organization, it.id);
        let dash = || "-".to_owned();
        rows.add(
            it.mood,
            [
                it.name.as_ref().map_or_else(|| sync.clone(), |name| format!("{name} ({sync})")),
                it.kind.to_string(),
                it.desired.to_owned(),
                it.observed.map_or_else(|| "unknown".to_owned(), str::to_owned),
                it.held.map_or_else(dash, str::to_owned),
                it.error.as_ref().map_or_else(|| it.step.clone(), |error| format!("{}; {error}", it.step)),
            ],
        );
    }
    let changes = lines.iter().filter(|it| it.mood == Mood::Busy).count();
    format!("{}\n\n{} would be switched now", rows.render(), count(changes, "sync"))
}
