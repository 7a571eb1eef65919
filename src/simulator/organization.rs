//! An organization: its key, its syncs, and who is let in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::sync::Sync;
use crate::domain::sync::{Name, SyncKind};

/// One customer of the simulated Polytomic.
#[derive(Debug)]
pub(super) struct Organization {
    pub(super) id: Uuid,
    pub(super) name: Name,
    pub(super) key: String,
    pub(super) syncs: BTreeMap<Uuid, Sync>,
}

impl Organization {
    /// Its sync of this kind and id.
    pub(super) fn sync(&self, kind: SyncKind, id: Uuid) -> Option<&Sync> {
        self.syncs.get(&id).filter(|it| it.kind == kind)
    }

    pub(super) fn sync_mut(&mut self, kind: SyncKind, id: Uuid) -> Option<&mut Sync> {
        self.syncs.get_mut(&id).filter(|it| it.kind == kind)
    }

    /// Its syncs of this kind, the last changed first, then by id: the order
    /// of the API's lists.
    pub(super) fn listed(&self, kind: SyncKind) -> Vec<&Sync> {
        let mut syncs: Vec<&Sync> = self.syncs.values().filter(|it| it.kind == kind).collect();
        syncs.sort_by_key(|it| list_order(it.updated_at, it.id));
        syncs
    }
}

/// Where a sync stands in a list.
pub(super) fn list_order(updated_at: DateTime<Utc>, id: Uuid) -> (std::cmp::Reverse<DateTime<Utc>>, Uuid) {
    (std::cmp::Reverse(updated_at), id)
}

/// The organization that an `Authorization` header opens: `Bearer <key>`, or
/// `Basic` with the organization's id as user and the key as password, both
/// trimmed, as the vendor's Terraform provider sends it.
pub(super) fn authorize(organizations: &[Organization], header: Option<&str>) -> Option<usize> {
    let (scheme, credential) = header?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return organizations.iter().position(|it| it.key == credential.trim());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(credential.trim()).ok()?).ok()?;
    let (id, key) = text.split_once(':')?;
    let id: Uuid = id.trim().parse().ok()?;
    organizations.iter().position(|it| it.id == id && it.key == key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: Option<usize>) {
        let organization = |id, key: &str| Organization {
            id: Uuid::from_u128(id),
            name: Name::from("it"),
            key: key.to_owned(),
            syncs: BTreeMap::new(),
        };
        let organizations = [organization(1, "one"), organization(2, "two"), organization(3, "two")];
        assert_eq!(authorize(&organizations, Some(header)), expected, "{header}");
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[test]
    fn a_key_opens_its_organization_in_either_form() {
        check("Bearer one", Some(0));
        check("bearer two", Some(1));
        check(&basic("00000000-0000-0000-0000-000000000003:two"), Some(2));
        check(&basic(" 00000000-0000-0000-0000-000000000003 : two\n"), Some(2));
    }

    #[test]
    fn anything_else_opens_nothing() {
        check("Bearer three", None);
        check("Bearer", None);
        check("one", None);
        check("Digest one", None);
        check("Basic !!!", None);
        check(&basic("00000000-0000-0000-0000-000000000003:one"), None);
        check(&basic("someone:two"), None);
    }
}
