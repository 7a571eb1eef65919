//! Answers as the API writes them.
//!
//! Every property is optional in the published schema and more may be added, so
//! whatever is missing or of an unexpected type is simply not known. What a
//! decision needs is then asked for by its reader, who fails if it is not there.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// A body that is an object.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Object<T>>(body).map(|object| object.0)
}

/// What is written as an object, `{…}`. Left to itself, serde takes an array for
/// one too, its elements for the properties in our order: any list of words from
/// a gateway would be an error of the API's, and a list a confirmation.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Properties<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Properties<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        from.deserialize_map(Properties(PhantomData)).map(Self)
    }
}

/// A success: `{"data": …}`, with a page's successor beside it.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    // A list may be null, but not missing: that would read as "no syncs". (A
    // field with a function of its own has no default.)
    #[serde(bound(deserialize = "T: Deserialize<'de>"), deserialize_with = "T::deserialize")]
    pub(super) data: T,
    #[serde(default, deserialize_with = "lenient")]
    pagination: Option<Pagination>,
}

impl<T> Envelope<T> {
    /// The token of the page after this one, unless this is the last.
    pub(super) fn next_page(&self) -> Option<&str> {
        self.pagination.as_ref()?.next_page_token.as_deref().filter(|token| !token.is_empty())
    }
}

#[derive(Deserialize)]
struct Pagination {
    #[serde(default, deserialize_with = "lenient")]
    next_page_token: Option<String>,
}

/// A sync: the same few properties of a model and of a bulk sync, from a list, a
/// get or the answer to an activate.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Sync {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<Uuid>,
    #[serde(deserialize_with = "lenient")]
    pub(super) active: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) mode: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) organization_id: Option<Uuid>,
    #[serde(deserialize_with = "lenient")]
    pub(super) updated_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) updated_by: Option<Actor>,
    // Where the data goes: a model sync has one or the other, by version.
    #[serde(deserialize_with = "lenient")]
    pub(super) target_connection_id: Option<Uuid>,
    #[serde(deserialize_with = "lenient")]
    pub(super) target: Option<Target>,
    // From where to where: bulk syncs.
    #[serde(deserialize_with = "lenient")]
    pub(super) source_connection_id: Option<Uuid>,
    #[serde(deserialize_with = "lenient")]
    pub(super) destination_connection_id: Option<Uuid>,
    // A bulk sync calls it `default_schedule` since 2025-09-18.
    #[serde(deserialize_with = "lenient")]
    pub(super) schedule: Option<Schedule>,
    #[serde(deserialize_with = "lenient")]
    pub(super) default_schedule: Option<Schedule>,
}

#[derive(Deserialize)]
pub(super) struct Target {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) connection_id: Option<Uuid>,
}

#[derive(Deserialize)]
pub(super) struct Schedule {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) frequency: Option<String>,
    // Of `runafter`: the syncs after which it runs.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) run_after: Option<RunAfter>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RunAfter {
    #[serde(deserialize_with = "lenient")]
    pub(super) sync_ids: Option<Vec<Uuid>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) bulk_sync_ids: Option<Vec<Uuid>>,
}

/// Who changed something.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Actor {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) name: Option<String>,
}

/// `GET …/status`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Status {
    #[serde(deserialize_with = "lenient")]
    pub(super) current_execution: Option<Execution>,
    #[serde(deserialize_with = "lenient")]
    pub(super) last_execution: Option<Execution>,
    #[serde(deserialize_with = "lenient")]
    pub(super) next_execution_time: Option<DateTime<Utc>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Execution {
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) created_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) started_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "lenient")]
    pub(super) completed_at: Option<DateTime<Utc>>,
}

/// What answers a request that is taken on and carried out later.
#[derive(Deserialize)]
pub(super) struct Message {}

/// `GET /api/me`.
#[derive(Deserialize, Default)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "as the API writes it")]
pub(super) struct Identity {
    #[serde(deserialize_with = "lenient")]
    pub(super) organization_id: Option<Uuid>,
    #[serde(deserialize_with = "lenient")]
    pub(super) organization_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) email: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) role: Option<String>,
    #[serde(deserialize_with = "lenient_or_default")]
    pub(super) is_user: bool,
    #[serde(deserialize_with = "lenient_or_default")]
    pub(super) is_organization: bool,
    #[serde(deserialize_with = "lenient_or_default")]
    pub(super) is_partner: bool,
    #[serde(deserialize_with = "lenient_or_default")]
    pub(super) is_system: bool,
}

/// An error in the API's own words (`ApiError`).
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Error {
    #[serde(deserialize_with = "lenient")]
    pub(super) key: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) status: Option<u16>,
}

/// What there is of it, if it is of the type we know. One odd property must not
/// make the rest of an answer unreadable.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

fn lenient_or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    lenient(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_property_does_not_spoil_the_rest() {
        let odd = r#"{"data": {"id": "248DF4B7-AA70-47B8-A036-33AC447E668D", "active": "no", "name": 7,
            "updated_by": "somebody", "schedule": null, "invented": [1]}, "pagination": "none"}"#;
        let envelope: Envelope<Sync> = serde_json::from_str(odd).unwrap();
        assert_eq!(envelope.next_page(), None);
        let sync = envelope.data;
        assert_eq!(sync.id.unwrap().to_string(), "248df4b7-aa70-47b8-a036-33ac447e668d");
        assert_eq!(sync.active, None);
        assert_eq!(sync.name, None);
        assert!(sync.updated_by.is_none());
    }

    #[test]
    fn without_data_there_is_no_answer() {
        let reads = |text: &str| {
            let list = object::<Envelope<Option<Vec<Object<Sync>>>>>(text.as_bytes()).is_ok();
            (object::<Envelope<Object<Sync>>>(text.as_bytes()).is_ok(), list)
        };
        for (text, expected) in [
            ("{}", (false, false)),
            ("null", (false, false)),
            ("<html>", (false, false)),
            (r#"{"data": {}}"#, (true, false)),
            (r#"{"data": null}"#, (false, true)),
            (r#"{"data": [{}]}"#, (false, true)),
            ("[{}]", (false, false)),
            ("[[{}]]", (false, false)),
            (r#"{"data": ["248df4b7-aa70-47b8-a036-33ac447e668d", true]}"#, (false, false)),
            (r#"{"data": [["248df4b7-aa70-47b8-a036-33ac447e668d"]]}"#, (false, false)),
        ] {
            assert_eq!(reads(text), expected, "{text}");
        }
    }
}
