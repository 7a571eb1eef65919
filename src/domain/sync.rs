//! Syncs and how they are named: the nouns everything else speaks in.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of a window or an organization: short text that is copied often.
#[derive(Clone, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name(Arc<str>);

// Syncs are looked up all the time, most have the same organization, and copies of a
// name share their text: then there is nothing to compare.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The two kinds of sync that Polytomic has. They live under different paths
/// and answer a pause differently: a model sync's running execution goes on, a
/// bulk sync's is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncKind {
    /// A model sync (`/api/syncs`).
    Model,
    /// A bulk sync (`/api/bulk/syncs`).
    Bulk,
}

impl SyncKind {
    /// The kind as it is written in files, journal and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for SyncKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which sync: enough to tell it from every other one. It is kept in many places
/// at once (a row, timers, queues), so all of them share one allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "SyncIdentity", into = "SyncIdentity")]
pub struct SyncRef(Arc<SyncIdentity>);

impl SyncRef {
    /// The sync of this kind and id in an organization.
    pub fn new(organization: Name, kind: SyncKind, id: Uuid) -> Self {
        SyncIdentity { organization, kind, id }.into()
    }
}

impl Deref for SyncRef {
    type Target = SyncIdentity;

    fn deref(&self) -> &SyncIdentity {
        &self.0
    }
}

impl From<SyncIdentity> for SyncRef {
    fn from(identity: SyncIdentity) -> Self {
        Self(Arc::new(identity))
    }
}

impl From<SyncRef> for SyncIdentity {
    fn from(sync: SyncRef) -> Self {
        Arc::unwrap_or_clone(sync.0)
    }
}

impl fmt::Debug for SyncRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// What tells a sync from every other one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SyncIdentity {
    /// The organization it belongs to, as the configuration calls it.
    pub organization: Name,
    /// Model or bulk.
    pub kind: SyncKind,
    /// Polytomic's id of it.
    pub id: Uuid,
}

impl fmt::Display for SyncRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.id)
    }
}

/// What a GET tells of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncState {
    /// Switched on: it runs on its schedule.
    Active,
    /// Switched off.
    Inactive,
    /// Polytomic does not know it (404).
    Gone,
}

/// No sync, or more than one, is meant by a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncNotFound {
    /// None.
    #[error(
        "no sync here is called `{text}`: give an id, `organization/id` or a name; of syncs that were not seen yet \
         only the id is known, which `intermission syncs` tells"
    )]
    Unknown {
        /// What was asked for.
        text: String,
    },
    /// Several.
    #[error("`{text}` may be any of {}", list(candidates))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// What it may be.
        candidates: Vec<SyncRef>,
    },
}

fn list(candidates: &[SyncRef]) -> String {
    candidates.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

/// Finds the sync that a person means: by id, by `organization/id`, or by a
/// name that only one has.
pub fn find_sync<'a>(
    text: &str,
    known: impl Iterator<Item = (&'a SyncRef, Option<&'a str>)>,
) -> Result<SyncRef, SyncNotFound> {
    let (organization, rest) = match text.split_once('/') {
        Some((organization, id)) => (Some(organization), id),
        None => (None, text),
    };
    let id = Uuid::parse_str(rest.trim()).ok();
    let is_meant = |sync: &SyncRef, name: Option<&str>| match id {
        Some(id) => sync.id == id && organization.is_none_or(|it| it == sync.organization.as_str()),
        None => name == Some(text),
    };
    let mut found: Vec<SyncRef> =
        known.filter(|(sync, name)| is_meant(sync, *name)).map(|(sync, _)| sync.clone()).collect();
    found.sort();
    found.dedup();
    match (found.pop(), found.is_empty()) {
        (Some(sync), true) => Ok(sync),
        (None, _) => Err(SyncNotFound::Unknown { text: text.to_owned() }),
        (Some(last), false) => {
            found.push(last);
            Err(SyncNotFound::Ambiguous { text: text.to_owned(), candidates: found })
        }
    }
}

/// So many syncs, in words.
pub fn counted(count: usize) -> String {
    if count == 1 { "1 sync".to_owned() } else { format!("{count} syncs") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync(organization: &str, id: u128) -> SyncRef {
        SyncRef::new(organization.into(), SyncKind::Model, Uuid::from_u128(id))
    }

    #[test]
    fn a_sync_is_found_by_id_by_organization_and_id_and_by_a_unique_name() {
        let (one, two, other) = (sync("default", 1), sync("default", 2), sync("emea", 1));
        let known = [(&one, Some("Contacts")), (&two, Some("Leads")), (&other, Some("Leads"))];
        let find = |text: &str| find_sync(text, known.into_iter());
        assert_eq!(find("Contacts"), Ok(one.clone()));
        assert_eq!(find(&two.id.to_string().to_uppercase()), Ok(two.clone()));
        assert_eq!(find(&format!("emea/{}", other.id)), Ok(other.clone()));
        let ambiguous = |text: &str, candidates: [&SyncRef; 2]| {
            let candidates = candidates.into_iter().cloned().collect();
            Err(SyncNotFound::Ambiguous { text: text.to_owned(), candidates })
        };
        assert_eq!(find("Leads"), ambiguous("Leads", [&two, &other]));
        assert_eq!(find(&one.id.to_string()), ambiguous(&one.id.to_string(), [&one, &other]));
        assert_eq!(find("Nobody"), Err(SyncNotFound::Unknown { text: "Nobody".to_owned() }));
    }

    #[test]
    fn a_sync_and_its_kind_are_told_by_their_words() {
        assert_eq!([SyncKind::Model, SyncKind::Bulk].map(|it| it.to_string()), ["model", "bulk"]);
        let (one, other) = (sync("default", 1), sync("emea", 1));
        assert_eq!(one.to_string(), "default/00000000-0000-0000-0000-000000000001");
        assert_eq!(String::from(one.organization.clone()), "default");
        let error =
            SyncNotFound::Ambiguous { text: "x".into(), candidates: vec![one.clone(), other.clone()] };
        assert_eq!(error.to_string(), format!("`x` may be any of `{one}`, `{other}`"));
    }
}
