//! Polytomic's API, for commands that only look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::progress::Progress;
use crate::config::Config;
use crate::daemon;
use crate::domain::organization::Organization;
use crate::domain::sync::SyncRef;
use crate::domain::verdict::{Failure, FailureKind};
use crate::key;
use crate::polytomic::{Client, Execution, Limits, Looked};

/// A look that is refused because the API is busy is repeated so often.
const TRIES: u32 = 4;

/// The longest wait for an API that is busy.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Looks at these under way at a time, of one command.
const AT_A_TIME: usize = 8;

/// The clients of one command, one an organization.
#[derive(Default)]
pub(super) struct Clients(BTreeMap<Arc<Organization>, Result<Client, Failure>>);

impl Clients {
    /// The client of this organization, made when it is first asked for.
    pub(super) fn of(
        &mut self,
        organization: &Arc<Organization>,
        limits: &Limits,
    ) -> Result<Client, Failure> {
        self.0.entry(Arc::clone(organization)).or_insert_with(|| client(organization, limits)).clone()
    }
}

/// The limits that the file sets for an organization, else the usual ones: a
/// row of the ledger may be about one that the file no longer has.
pub(super) fn limits(config: &Config, organization: &Organization) -> Limits {
    let configured =
        config.organizations.get(&organization.name).filter(|it| *it.organization == *organization);
    configured.map_or_else(Limits::default, |it| daemon::limits(&it.limits))
}

fn client(organization: &Arc<Organization>, limits: &Limits) -> Result<Client, Failure> {
    let source = organization.key.clone();
    let reader =
        Arc::new(move || key::read(&source, &key::process_environment).map_err(|error| error.to_string()));
    Client::new(organization, limits.clone(), reader)
        .map_err(|error| Failure::new(FailureKind::NotSent, super::failure::sentence(&error)))
}

/// Looks at every one of these, a few at a time, and tells a person who waits
/// how far it is.
pub(super) async fn look_at_all(
    syncs: Vec<(SyncRef, Result<Client, Failure>)>,
) -> BTreeMap<SyncRef, Result<Looked, Failure>> {
    let all = syncs.len();
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut looks = JoinSet::new();
    for (sync, client) in syncs {
        let places = Arc::clone(&places);
        looks.spawn(async move {
            let _place = places.acquire_owned().await;
            let looked = match client {
                Ok(client) => look(&client, &sync).await,
                Err(failure) => Err(failure),
            };
            (sync, looked)
        });
    }
    let mut found = BTreeMap::new();
    let progress = Progress::of(all);
    while let Some(Ok((sync, looked))) = looks.join_next().await {
        found.insert(sync, looked);
        progress.tell("looked at", found.len());
    }
    found
}

/// The past executions of every one of these, a few at a time, as far as they are told.
pub(super) async fn past_executions(
    syncs: Vec<(SyncRef, Client)>,
) -> BTreeMap<SyncRef, Result<Vec<Execution>, Failure>> {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut asked = JoinSet::new();
    for (sync, client) in syncs {
        let places = Arc::clone(&places);
        asked.spawn(async move {
            let _place = places.acquire_owned().await;
            let past = client.past_executions(&sync).await;
            (sync, past)
        });
    }
    asked.join_all().await.into_iter().collect()
}

/// One look, again if the API is busy.
async fn look(client: &Client, sync: &SyncRef) -> Result<Looked, Failure> {
    let mut wait = Duration::from_secs(1);
    for _ in 1..TRIES {
        match client.look(sync).await {
            Err(busy) if busy.kind == FailureKind::Throttled => {
                tokio::time::sleep(busy.retry_after.unwrap_or(wait).min(LONGEST_WAIT)).await;
                wait *= 2;
            }
            answer => return answer,
        }
    }
    client.look(sync).await
}
