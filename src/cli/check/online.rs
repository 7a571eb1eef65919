//! What Polytomic says of the file: the keys, the syncs, the clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::Serialize;

use super::super::api::{self, Clients};
use super::super::file::Read;
use super::super::listing::{self, Lists};
use super::super::table::count;
use super::super::times;
use crate::clock;
use crate::domain::preflight::clock_trouble;
use crate::domain::selection::{Resolution, Seen, Select};
use crate::domain::sync::{Name, SyncRef, SyncState};
use crate::domain::verdict::Failure;
use crate::domain::window::Window;
use crate::polytomic::{Client, Execution, Looked};

/// Of more selected syncs of one window than this, only their number is shown.
const SHOWN: usize = 20;
/// Runs shorter than this are no reason for a `lead`.
const SHORTEST_TOLD: TimeDelta = TimeDelta::minutes(1);

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    organizations: Vec<OrganizationFound>,
    /// Off now, and so left off after a window.
    off: Vec<String>,
    /// Off now because we paused them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<String>,
    /// Polytomic does not know these.
    unknown: Vec<String>,
    /// These could not be looked at.
    failed: Vec<SyncFailed>,
    looked_at: usize,
    /// What the windows that select cover.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selections: Vec<Selected>,
    /// Syncs that run after a paused one, and that no window covers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncovered: Vec<String>,
    /// Windows whose `lead` is shorter than a run of their syncs.
    short_leads: Vec<ShortLead>,
}

/// What one window selects.
#[derive(Debug, Serialize)]
struct Selected {
    window: String,
    syncs: Vec<String>,
    error: Option<String>,
}

/// What past executions say about a window's `lead`.
#[derive(Debug, Serialize)]
struct ShortLead {
    window: String,
    lead_seconds: i64,
    sync: String,
    longest_seconds: i64,
    /// Of so many.
    runs: usize,
}

#[derive(Debug, Serialize)]
struct OrganizationFound {
    organization: String,
    /// Whose key it is, in words.
    key: Option<String>,
    error: Option<String>,
    /// How far this machine's clock is ahead of the API's.
    clock_ahead_seconds: Option<i64>,
}

#[derive(Debug, Serialize)]
struct SyncFailed {
    sync: String,
    error: String,
}

/// Asks about every organization and every sync of the file; the ledger has it that we
/// hold some of them.
pub(super) async fn look(read: &mut Read, held: &BTreeSet<SyncRef>) -> Found {
    let all: BTreeSet<Name> =
        read.config.calendar.selecting().map(|(_, select)| select.organization.clone()).collect();
    let lists = listing::list(read, all.into_iter()).await;
    let resolutions = listing::resolve(read, &lists, BTreeMap::new());
    let selections = selected(read, &lists, &resolutions);
    read.config.calendar = read.config.calendar.with_selected(&resolutions);
    let uncovered = listing::uncovered(&read.config.calendar, &lists);
    let read = &*read;
    let mut clients = Clients::default();
    let mut organizations = Vec::new();
    for it in read.config.organizations.values() {
        let client = clients.of(&it.organization, &api::limits(&read.config, &it.organization));
        organizations.push(organization(it.organization.name.as_str(), client).await);
    }
    let syncs = read.config.calendar.syncs().filter_map(|sync| {
        let it = read.config.organizations.get(&sync.organization)?;
        let client = clients.of(&it.organization, &api::limits(&read.config, &it.organization));
        Some((sync.clone(), client))
    });
    let syncs: Vec<(SyncRef, Result<Client, Failure>)> = syncs.collect();
    let looked = api::look_at_all(syncs.clone()).await;
    let is_there = |sync: &SyncRef| looked.get(sync).is_some_and(|it| is_on(it.as_ref()));
    let there = syncs.into_iter().filter(|(sync, _)| is_there(sync));
    let past = api::past_executions(there.filter_map(|(sync, client)| Some((sync, client.ok()?))).collect());
    let short_leads = short_leads(read, &looked, &past.await);
    Found { selections, uncovered, short_leads, ..sort(organizations, &looked, held) }
}

/// What each window selects; nothing at all is an error.
fn selected(read: &Read, lists: &Lists, resolutions: &BTreeMap<Name, Resolution>) -> Vec<Selected> {
    let line = |(window, select): (&Window, &Select)| {
        let found = resolutions.get(&window.name).map(|it| &it.found);
        let name = |it: &Seen| it.name.clone().unwrap_or_else(|| it.sync.id.to_string());
        let syncs: Vec<String> = found.into_iter().flat_map(BTreeMap::values).map(name).collect();
        let error = match lists.get(&select.organization) {
            Some(Err(failure)) => Some(format!("what it selects cannot be read: {failure}")),
            Some(Ok(_)) | None => syncs.is_empty().then(|| "it selects no sync at all".to_owned()),
        };
        Selected { window: window.name.to_string(), syncs, error }
    };
    read.config.calendar.selecting().map(line).collect()
}

fn is_on(looked: Result<&Looked, &Failure>) -> bool {
    looked.is_ok_and(|it| it.state == SyncState::Active)
}

/// Of each window the sync that ran longest, if that is longer than the window's
/// `lead`. What is not told is not advised about.
fn short_leads(
    read: &Read,
    looked: &BTreeMap<SyncRef, Result<Looked, Failure>>,
    past: &BTreeMap<SyncRef, Result<Vec<Execution>, Failure>>,
) -> Vec<ShortLead> {
    let longest = |sync: &SyncRef| {
        let lengths: Vec<TimeDelta> =
            past.get(sync)?.as_ref().ok()?.iter().filter_map(Execution::length).collect();
        let name = looked.get(sync)?.as_ref().ok()?.name.clone().unwrap_or_else(|| sync.to_string());
        Some((*lengths.iter().max()?, lengths.len(), name))
    };
    let of_window = |window: &Window| {
        let (longest, runs, sync) = window.syncs.iter().filter_map(longest).max()?;
        (window.lead < longest && SHORTEST_TOLD <= longest).then(|| ShortLead {
            window: window.name.to_string(),
            lead_seconds: window.lead.num_seconds(),
            sync,
            longest_seconds: longest.num_seconds(),
            runs,
        })
    };
    read.config.calendar.windows().iter().filter_map(of_window).collect()
}

async fn organization(name: &str, client: Result<Client, Failure>) -> OrganizationFound {
    let mut found = OrganizationFound {
        organization: name.to_owned(),
        key: None,
        error: None,
        clock_ahead_seconds: None,
    };
    let client = match client {
        Ok(client) => client,
        Err(failure) => return OrganizationFound { error: Some(failure.to_string()), ..found },
    };
    match client.me().await {
        Ok(me) => {
            let kind = me.key.map(|it| format!("{} key", it.as_str()));
            let organization = me.organization_name.map(|it| format!("organization `{it}`"));
            let parts = [kind, me.email, me.role, organization];
            found.key = Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        }
        Err(failure) => found.error = Some(failure.to_string()),
    }
    found.clock_ahead_seconds = client.server_date().map(|date| (clock::wall() - date).num_seconds());
    found
}

fn sort(
    organizations: Vec<OrganizationFound>,
    looked: &BTreeMap<SyncRef, Result<Looked, Failure>>,
    held: &BTreeSet<SyncRef>,
) -> Found {
    let mut found = Found {
        organizations,
        off: vec![],
        held: vec![],
        unknown: vec![],
        failed: vec![],
        looked_at: looked.len(),
        selections: vec![],
        uncovered: vec![],
        short_leads: vec![],
    };
    for (sync, looked) in looked {
        match looked {
            Ok(Looked { state: SyncState::Active, .. }) => {}
            Ok(Looked { state: SyncState::Inactive, name, .. }) => {
                let list = if held.contains(sync) { &mut found.held } else { &mut found.off };
                list.push(name.as_ref().map_or_else(|| sync.to_string(), |name| format!("{name} ({sync})")));
            }
            Ok(Looked { state: SyncState::Gone, .. }) => found.unknown.push(sync.to_string()),
            Err(failure) => {
                found.failed.push(SyncFailed { sync: sync.to_string(), error: failure.to_string() });
            }
        }
    }
    found
}

impl ShortLead {
    fn line(&self) -> String {
        let took = times::span(TimeDelta::seconds(self.longest_seconds));
        let lead = match self.lead_seconds {
            0 => "it has no `lead`".to_owned(),
            seconds => format!("its `lead` is {}", times::span(TimeDelta::seconds(seconds))),
        };
        let of = match self.runs {
            1 => "the last run".to_owned(),
            runs => format!("the longest of the last {runs} runs"),
        };
        format!("window `{}`: {of} of {} took {took}; {lead}", self.window, self.sync)
    }
}

impl OrganizationFound {
    fn clock_trouble(&self) -> Option<String> {
        clock_trouble(TimeDelta::seconds(self.clock_ahead_seconds?))
    }

    fn line(&self) -> String {
        let key = match (&self.error, &self.key) {
            (Some(error), _) => error.clone(),
            (None, Some(key)) if !key.is_empty() => format!("the key is valid ({key})"),
            (None, _) => "the key is valid".to_owned(),
        };
        let clock = self.clock_trouble().map(|it| format!("; {it}"));
        format!("organization `{}`: {key}{}", self.organization, clock.unwrap_or_default())
    }
}

impl Found {
    /// Whether nothing failed. A sync that is off is no failure.
    pub(super) fn is_good(&self) -> bool {
        let organizations = || self.organizations.iter();
        organizations().all(|it| it.error.is_none() && it.clock_trouble().is_none())
            && self.unknown.is_empty()
            && self.failed.is_empty()
            && self.selections.iter().all(|it| it.error.is_none())
    }

    /// The same for people.
    pub(super) fn table(&self) -> String {
        let mut lines: Vec<String> = self.organizations.iter().map(OrganizationFound::line).collect();
        for Selected { window, syncs, error } in &self.selections {
            lines.push(match error {
                Some(error) => format!("error: window `{window}`: {error}"),
                None => format!("window `{window}` selects {}:", count(syncs.len(), "sync")),
            });
            lines.extend(syncs.iter().take(SHOWN).map(|it| format!("  {it}")));
            if syncs.len() > SHOWN {
                lines.push(format!(
                    "  and {} more: see `intermission syncs --window {window}`",
                    syncs.len() - SHOWN
                ));
            }
        }
        lines.extend(self.uncovered.iter().map(|it| format!("warning: {it}")));
        lines.push(format!("looked at {}", count(self.looked_at, "sync")));
        match self.held.len() {
            0 => {}
            1 => lines.push("1 sync is paused by intermission now".to_owned()),
            held => lines.push(format!("{held} syncs are paused by intermission now")),
        }
        if !self.off.is_empty() {
            let verb = if self.off.len() == 1 { "is" } else { "are" };
            lines.push(format!("{} {verb} off now and will stay off:", count(self.off.len(), "sync")));
            lines.extend(self.off.iter().map(|it| format!("  {it}")));
        }
        lines.extend(self.short_leads.iter().map(ShortLead::line));
        lines.extend(self.unknown.iter().map(|it| format!("sync `{it}`: Polytomic does not know it")));
        lines.extend(self.failed.iter().map(|it| format!("sync `{}`: {}", it.sync, it.error)));
        lines.join("\n")
    }
}
