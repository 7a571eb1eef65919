//! The organizations' syncs as Polytomic lists them, for commands that only look.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::api::{self, Clients};
use super::file::Read;
use super::screen;
use crate::domain::calendar::Calendar;
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::verdict::Failure;
use crate::polytomic::{Client, Listed};

/// Each organization's syncs, or why they cannot be listed.
pub(super) type Lists = BTreeMap<Name, Result<Vec<Listed>, Failure>>;

/// Lists these organizations, all at a time: one that hangs delays no other.
pub(super) async fn list(read: &Read, organizations: impl Iterator<Item = Name>) -> Lists {
    let mut clients = Clients::default();
    let mut lists = JoinSet::new();
    for name in organizations {
        let Some(it) = read.config.organizations.get(&name) else { continue };
        let client = clients.of(&it.organization, &api::limits(&read.config, &it.organization));
        lists.spawn(async move {
            let listed = match client {
                Ok(client) => both_kinds(&client).await,
                Err(failure) => Err(failure),
            };
            (name, listed)
        });
    }
    lists.join_all().await.into_iter().collect()
}

async fn both_kinds(client: &Client) -> Result<Vec<Listed>, Failure> {
    let mut all = client.list(SyncKind::Model).await?;
    all.extend(client.list(SyncKind::Bulk).await?);
    Ok(all)
}

/// What the windows select of these lists, beside what was known `before`: what cannot be
/// listed is as it was.
pub(super) fn resolve(
    read: &Read,
    lists: &Lists,
    before: BTreeMap<Name, Resolution>,
) -> BTreeMap<Name, Resolution> {
    let mut found = before;
    for (window, select) in read.config.calendar.selecting() {
        if let Some(Ok(all)) = lists.get(&select.organization) {
            let seen: Vec<_> = all.iter().map(|it| it.seen(&select.organization)).collect();
            let fresh = select.resolve_beside(found.get(&window.name), window, &seen, read.now);
            found.insert(window.name.clone(), fresh);
        }
    }
    found
}

/// Says of which organizations there is no list, and why.
pub(super) fn tell_failures(lists: &Lists) {
    for (organization, list) in lists {
        if let Err(failure) = list {
            screen::note(&format!("error: organization `{organization}` cannot be listed: {failure}"));
        }
    }
}

/// Warns of syncs that run after one that a window pauses, and that no window
/// covers: they will not run, or run on old data.
pub(super) fn uncovered(calendar: &Calendar, lists: &Lists) -> Vec<String> {
    let mut warnings = Vec::new();
    for (organization, all) in lists {
        let all = all.as_deref().unwrap_or_default();
        let called = |kind, id| {
            let found = all.iter().find(|it| it.kind == kind && it.id == id);
            found.and_then(|it| it.name.clone()).unwrap_or_else(|| format!("{id}"))
        };
        for it in all {
            let of = |kind, id| SyncRef::new(organization.clone(), kind, id);
            if calendar.windows_of(&of(it.kind, it.id)).next().is_some() {
                continue;
            }
            let after = it.runs_after.iter().find_map(|(kind, id)| {
                let window = calendar.windows_of(&of(*kind, *id)).next()?;
                Some((called(*kind, *id), window.name.clone()))
            });
            if let Some((before, window)) = after {
                warnings.push(format!(
                    "sync `{}` runs after `{before}`, which window `{window}` pauses, and no window covers it",
                    called(it.kind, it.id)
                ));
            }
        }
    }
    warnings
}
