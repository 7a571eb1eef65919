//! What Polytomic says of the file: the keys, the syncs, the clock.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::super::api::{self, Clients};
use super::super::file::Read;
use super::super::table::count;
use super::super::times;
use crate::clock;
use crate::domain::sync::{SyncRef, SyncState};
use crate::domain::verdict::Failure;
use crate::polytomic::{Client, Looked};

/// The API tells its time to the second, and an answer takes a while.
const SKEW_ALLOWED: TimeDelta = TimeDelta::seconds(5);

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    organizations: Vec<OrganizationFound>,
    /// Off now, and so left off after a window.
    off: Vec<String>,
    /// Polytomic does not know these.
    unknown: Vec<String>,
    /// These could not be looked at.
    failed: Vec<SyncFailed>,
    looked_at: usize,
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

/// Asks about every organization and every sync of the file.
pub(super) async fn look(read: &Read) -> Found {
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
    let looked = api::look_at_all(syncs.collect()).await;
    sort(organizations, &looked)
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

fn sort(organizations: Vec<OrganizationFound>, looked: &BTreeMap<SyncRef, Result<Looked, Failure>>) -> Found {
    let mut found =
        Found { organizations, off: vec![], unknown: vec![], failed: vec![], looked_at: looked.len() };
    for (sync, looked) in looked {
        match looked {
            Ok(Looked { state: SyncState::Active, .. }) => {}
            Ok(Looked { state: SyncState::Inactive, name, .. }) => {
                found
                    .off
                    .push(name.as_ref().map_or_else(|| sync.to_string(), |name| format!("{name} ({sync})")));
            }
            Ok(Looked { state: SyncState::Gone, .. }) => found.unknown.push(sync.to_string()),
            Err(failure) => {
                found.failed.push(SyncFailed { sync: sync.to_string(), error: failure.to_string() });
            }
        }
    }
    found
}

impl OrganizationFound {
    fn has_wrong_clock(&self) -> bool {
        self.clock_ahead_seconds.is_some_and(|ahead| TimeDelta::seconds(ahead).abs() > SKEW_ALLOWED)
    }

    fn line(&self) -> String {
        let key = match (&self.error, &self.key) {
            (Some(error), _) => error.clone(),
            (None, Some(key)) if !key.is_empty() => format!("the key is valid ({key})"),
            (None, _) => "the key is valid".to_owned(),
        };
        let clock = self.clock_ahead_seconds.filter(|_| self.has_wrong_clock()).map(|ahead| {
            let span = times::span(TimeDelta::seconds(ahead.abs()));
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            format!("; the clock of this machine is {span} {way} the API's")
        });
        format!("organization `{}`: {key}{}", self.organization, clock.unwrap_or_default())
    }
}

impl Found {
    /// Whether nothing failed. A sync that is off is no failure.
    pub(super) fn is_good(&self) -> bool {
        let organizations = || self.organizations.iter();
        organizations().all(|it| it.error.is_none() && !it.has_wrong_clock())
            && self.unknown.is_empty()
            && self.failed.is_empty()
    }

    /// The same for people.
    pub(super) fn table(&self) -> String {
        let mut lines: Vec<String> = self.organizations.iter().map(OrganizationFound::line).collect();
        lines.push(format!("looked at {}", count(self.looked_at, "sync")));
        if !self.off.is_empty() {
            let verb = if self.off.len() == 1 { "is" } else { "are" };
            lines.push(format!("{} {verb} off now and will stay off:", count(self.off.len(), "sync")));
            lines.extend(self.off.iter().map(|it| format!("  {it}")));
        }
        lines.extend(self.unknown.iter().map(|it| format!("sync `{it}`: Polytomic does not know it")));
        lines.extend(self.failed.iter().map(|it| format!("sync `{}`: {}", it.sync, it.error)));
        lines.join("\n")
    }
}
