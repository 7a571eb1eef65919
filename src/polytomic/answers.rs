//! What the API tells, in our words.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::exchange::{Reply, malformed};
use super::wire::Object;
use super::{wire, words};
use crate::domain::execution::{Frequency, RunStatus};
use crate::domain::selection::Seen;
use crate::domain::sync::{Name, SyncKind, SyncRef, SyncState};
use crate::domain::verdict::Failure;

impl Reply {
    /// What a look at this sync showed.
    pub fn looked(self, sync: &SyncRef) -> Result<Looked, Failure> {
        if let Self::NotFound(_) = self {
            return Ok(Looked::gone());
        }
        let Object(seen) = self.read::<Object<wire::Sync>>()?.data;
        let active = about(sync, &seen)?;
        Ok(Looked::of(active, seen))
    }

    /// Whether it confirms that this sync is now on, or off. Nothing less than
    /// that very id with that very state does.
    pub fn confirms(self, sync: &SyncRef, active: bool) -> Result<(), Failure> {
        let Object(seen) = self.read::<Object<wire::Sync>>()?.data;
        if about(sync, &seen)? == active {
            Ok(())
        } else {
            let opposite = if active { "off" } else { "on" };
            Err(malformed(format!("the API answered that the sync is {opposite}")))
        }
    }

    /// A page of a list of syncs.
    pub fn page(self, kind: SyncKind) -> Result<Page, Failure> {
        let page = self.read::<Option<Vec<Object<wire::Sync>>>>()?;
        let next = page.next_page().map(str::to_owned);
        let syncs = page.data.unwrap_or_default().into_iter().map(|Object(sync)| {
            Listed::of(kind, sync).ok_or_else(|| malformed("the API lists a sync that has no id"))
        });
        Ok(Page { syncs: syncs.collect::<Result<_, _>>()?, next })
    }

    /// Which executions run, ran and will run.
    pub fn status(self) -> Result<Status, Failure> {
        Ok(Status::of(&self.read::<Object<wire::Status>>()?.data.0))
    }

    /// A page of executions.
    pub fn executions(self) -> Result<Vec<Execution>, Failure> {
        let page = self.read::<Option<Vec<Object<wire::Execution>>>>()?;
        Ok(page.data.unwrap_or_default().iter().map(|Object(it)| Execution::of(it)).collect())
    }

    /// Whether it says that something was taken on. A message is all there is.
    pub fn accepted(self) -> Result<(), Failure> {
        self.read::<Object<wire::Message>>().map(drop)
    }

    /// Whose key it was.
    pub fn me(self) -> Result<Me, Failure> {
        Ok(Me::of(&self.read::<Object<wire::Identity>>()?.data.0))
    }
}

/// Whether the sync is on, from an answer that is about this very sync.
fn about(sync: &SyncRef, seen: &wire::Sync) -> Result<bool, Failure> {
    match seen.id {
        None => return Err(malformed("the answer does not say which sync it is about")),
        Some(id) if id != sync.id => return Err(another(id)),
        Some(_) => {}
    }
    seen.active.ok_or_else(|| malformed("the answer does not say whether the sync is on"))
}

fn another(id: Uuid) -> Failure {
    malformed(format!("the answer is about another sync, `{id}`"))
}

/// What a look at one sync showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// On, off or unknown to Polytomic.
    pub state: SyncState,
    /// Its name, for people.
    pub name: Option<String>,
    /// Who changed it last. Whether switching it on or off counts as a change
    /// is not documented, so this is a clue and never a proof.
    pub updated_by: Option<String>,
    /// When that was.
    pub updated_at: Option<DateTime<Utc>>,
    /// How it comes to run.
    pub frequency: Frequency,
}

impl Looked {
    /// A sync that Polytomic does not know.
    pub(super) fn gone() -> Self {
        let (name, updated_by, updated_at) = (None, None, None);
        Self { state: SyncState::Gone, name, updated_by, updated_at, frequency: Frequency::Unknown }
    }

    pub(super) fn of(active: bool, sync: wire::Sync) -> Self {
        let schedule = sync.default_schedule.as_ref().or(sync.schedule.as_ref());
        Self {
            frequency: Frequency::of(schedule.and_then(|it| it.frequency.as_deref())),
            state: if active { SyncState::Active } else { SyncState::Inactive },
            name: sync.name.as_deref().and_then(shown),
            updated_by: sync.updated_by.and_then(who),
            updated_at: sync.updated_at,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it lists.
    pub syncs: Vec<Listed>,
    /// The token of the page after it, unless it is the last.
    pub next: Option<String>,
}

/// One sync in a list. A list may be old when its last page arrives, so it
/// finds syncs and decides nothing: that is for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: Uuid,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Its name.
    pub name: Option<String>,
    /// On or off, if the list says so.
    pub active: Option<bool>,
    /// The connections that it reads from or writes to, as far as the list says.
    pub connections: Vec<Uuid>,
    /// How it writes (`updateOrCreate`, `replicate`, …).
    pub mode: Option<String>,
    /// How often it runs (`hourly`, `manual`, …).
    pub frequency: Option<String>,
    /// The syncs after which it runs, if that is its schedule.
    pub runs_after: Vec<(SyncKind, Uuid)>,
    /// The organization that it belongs to.
    pub organization_id: Option<Uuid>,
    /// Who changed it last.
    pub updated_by: Option<String>,
    /// When that was.
    pub updated_at: Option<DateTime<Utc>>,
}

impl Listed {
    /// What selectors look at.
    pub fn seen(&self, organization: &Name) -> Seen {
        let sync = SyncRef::new(organization.clone(), self.kind, self.id);
        Seen { sync, name: self.name.clone(), connections: self.connections.clone() }
    }

    pub(super) fn of(kind: SyncKind, sync: wire::Sync) -> Option<Self> {
        let target = sync.target.and_then(|target| target.connection_id);
        let mut connections: Vec<Uuid> =
            [sync.source_connection_id, sync.destination_connection_id, sync.target_connection_id, target]
                .into_iter()
                .flatten()
                .collect();
        connections.dedup();
        let schedule = sync.default_schedule.or(sync.schedule);
        let after = schedule.as_ref().and_then(|it| it.run_after.as_ref());
        let ids = |kind, ids: Option<&Vec<Uuid>>| {
            ids.into_iter().flatten().map(move |id| (kind, *id)).collect::<Vec<_>>()
        };
        let runs_after = after.map_or_else(Vec::new, |it| {
            let models = ids(SyncKind::Model, it.sync_ids.as_ref());
            [models, ids(SyncKind::Bulk, it.bulk_sync_ids.as_ref())].concat()
        });
        Some(Self {
            runs_after,
            id: sync.id?,
            kind,
            name: sync.name.as_deref().and_then(shown),
            active: sync.active,
            connections,
            mode: sync.mode.as_deref().and_then(shown),
            frequency: schedule.and_then(|schedule| shown(&schedule.frequency?)),
            organization_id: sync.organization_id,
            updated_by: sync.updated_by.and_then(who),
            updated_at: sync.updated_at,
        })
    }
}

/// Which executions of a sync run, ran and will run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The one that runs.
    pub current: Option<Execution>,
    /// The one before.
    pub last: Option<Execution>,
    /// When the schedule runs it next.
    pub next_execution_time: Option<DateTime<Utc>>,
}

impl Status {
    pub(super) fn of(status: &wire::Status) -> Self {
        Self {
            current: status.current_execution.as_ref().map(Execution::of),
            last: status.last_execution.as_ref().map(Execution::of),
            next_execution_time: status.next_execution_time,
        }
    }

    /// Whether an execution runs.
    pub fn is_running(&self) -> bool {
        self.current.as_ref().is_some_and(Execution::is_running)
    }

    /// What decides about it.
    pub fn runs(&self) -> RunStatus {
        let both = || self.current.iter().chain(&self.last);
        RunStatus {
            is_running: self.is_running(),
            newest: both().filter_map(|it| it.created_at).max(),
            last_completed: both().filter(|it| it.brought_data()).filter_map(|it| it.completed_at).max(),
            next: self.next_execution_time,
        }
    }
}

/// One execution of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Which.
    pub id: Option<String>,
    /// In the API's word for it (`running`, `completed`, …).
    pub status: Option<String>,
    /// When it was asked for.
    pub created_at: Option<DateTime<Utc>>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub completed_at: Option<DateTime<Utc>>,
}

impl Execution {
    fn of(execution: &wire::Execution) -> Self {
        Self {
            id: execution.id.as_deref().and_then(shown),
            status: execution.status.as_deref().and_then(shown),
            created_at: execution.created_at,
            started_at: execution.started_at,
            completed_at: execution.completed_at,
        }
    }

    /// How long it ran, if it is over and was not broken off.
    pub fn length(&self) -> Option<TimeDelta> {
        let is_whole = !matches!(self.status.as_deref(), Some("canceled" | "interrupted"));
        let length = self.completed_at?.signed_duration_since(self.started_at.or(self.created_at)?);
        (is_whole && length >= TimeDelta::zero()).then_some(length)
    }

    /// Whether it ended well: after any other end nobody knows how much was moved.
    fn brought_data(&self) -> bool {
        self.status.as_deref() == Some("completed")
    }

    /// Whether it still runs. The documentation names three states as final;
    /// any other, those still to be invented among them, counts as running, for
    /// "quiet" is a promise.
    pub fn is_running(&self) -> bool {
        self.completed_at.is_none()
            && !matches!(self.status.as_deref(), Some("completed" | "canceled" | "failed"))
    }
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The organization it acts in.
    pub organization_id: Option<Uuid>,
    /// That organization's name.
    pub organization_name: Option<String>,
    /// The user's address, if it is a user's key.
    pub email: Option<String>,
    /// What that user may do (`Sync Editor`, …).
    pub role: Option<String>,
    /// What kind of key it is, if the API says.
    pub key: Option<KeyKind>,
}

/// What kind of key the API takes ours for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A user's.
    User,
    /// An organization's.
    Organization,
    /// A partner's, for many organizations.
    Partner,
    /// A deployment's.
    System,
}

impl KeyKind {
    /// The kind as people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Organization => "organization",
            Self::Partner => "partner",
            Self::System => "system",
        }
    }
}

impl Me {
    pub(super) fn of(identity: &wire::Identity) -> Self {
        let key = [
            (identity.is_system, KeyKind::System),
            (identity.is_partner, KeyKind::Partner),
            (identity.is_organization, KeyKind::Organization),
            (identity.is_user, KeyKind::User),
        ];
        Self {
            organization_id: identity.organization_id,
            organization_name: identity.organization_name.as_deref().and_then(shown),
            email: identity.email.as_deref().and_then(shown),
            role: identity.role.as_deref().and_then(shown),
            key: key.into_iter().find_map(|(is, kind)| is.then_some(kind)),
        }
    }
}

/// Text that strangers chose, fit for a terminal.
fn shown(text: &str) -> Option<String> {
    Some(words::clean(text)).filter(|text| !text.is_empty())
}

fn who(actor: wire::Actor) -> Option<String> {
    actor.name.as_deref().and_then(shown).or_else(|| shown(&actor.id?))
}
