//! Lists: filters and pages.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Refusal, ok};
use super::execution::Execution;
use super::organization::{Organization, list_order};
use super::sync::Sync;
use super::{Response, wire};
use crate::domain::sync::SyncKind;

/// Default and most items on a page of syncs.
const SYNCS: usize = 50;

/// Default and most items on a page of executions.
const EXECUTIONS: usize = 100;

/// `GET /api/syncs`, `GET /api/bulk/syncs`.
///
/// A page ends with the place of its last item in the order, not with a count.
/// A sync that is switched while somebody pages moves to the front, so it is
/// missed if its page had not come yet. A client must bear that.
pub(super) fn syncs(
    organization: &Organization,
    kind: SyncKind,
    query: &[(String, String)],
    whole: bool,
) -> Result<Response, Refusal> {
    let active = boolean(query, "active")?;
    let mode = text(query, "mode");
    let target = text(query, "target_connection_id")
        .map(|it| it.parse::<Uuid>().map_err(|_| Refusal::bad_request("`target_connection_id` is no UUID")))
        .transpose()?;
    let after = text(query, "page_token").map(|token| read_token(token).ok_or_else(bad_token)).transpose()?;
    let limit = if whole { usize::MAX } else { limit(query, SYNCS)? };

    let rest = organization.listed(kind).into_iter().filter(|it| {
        active.is_none_or(|active| it.active == active)
            && mode.is_none_or(|mode| it.mode == mode)
            && target.is_none_or(|target| it.target_connection_id == target)
            && after.is_none_or(|(at, id)| list_order(it.updated_at, it.id) > list_order(at, id))
    });
    Ok(page(rest, limit, |it: &&Sync| wire::list_item(organization, it), |it| token(it.updated_at, it.id)))
}

/// `GET …/{id}/executions`, newest first unless `ascending`.
pub(super) fn executions(
    now: DateTime<Utc>,
    sync: &Sync,
    query: &[(String, String)],
) -> Result<Response, Refusal> {
    let only_ended =
        boolean(query, "only_completed")?.or(boolean(query, "only_terminal")?).unwrap_or_default();
    let ascending = boolean(query, "ascending")?.unwrap_or_default();
    let after = text(query, "page_token").map(|token| read_token(token).ok_or_else(bad_token)).transpose()?;
    let limit = limit(query, EXECUTIONS)?;

    let mut all: Vec<&Execution> = sync
        .executions()
        .iter()
        .filter(|it| !only_ended || it.status(now).is_terminal())
        .filter(|it| {
            after.is_none_or(|(at, _)| if ascending { it.created_at > at } else { it.created_at < at })
        })
        .collect();
    if !ascending {
        all.reverse();
    }
    let write = |it: &&Execution| wire::execution(now, sync.kind, it);
    Ok(page(all.into_iter(), limit, write, |it| token(it.created_at, it.id)))
}

fn page<T>(
    mut rest: impl Iterator<Item = T>,
    limit: usize,
    write: impl Fn(&T) -> Value,
    token: impl Fn(&T) -> String,
) -> Response {
    let shown: Vec<T> = rest.by_ref().take(limit).collect();
    let mut pagination = json!({});
    if let Some(last) = shown.last().filter(|_| rest.next().is_some()) {
        pagination["next_page_token"] = json!(token(last));
    }
    let data: Vec<Value> = shown.iter().map(write).collect();
    ok(&json!({ "data": data, "pagination": pagination }))
}

fn text<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A boolean of the query, as clients in Go, Python and Rust write it.
pub(super) fn boolean(query: &[(String, String)], name: &str) -> Result<Option<bool>, Refusal> {
    match text(query, name) {
        None => Ok(None),
        Some("true" | "True" | "1") => Ok(Some(true)),
        Some("false" | "False" | "0") => Ok(Some(false)),
        Some(_) => Err(Refusal::bad_request("a flag of the query is neither `true` nor `false`")),
    }
}

/// More than the most means the most, and nothing or less means the default
/// (the reference page of the list).
fn limit(query: &[(String, String)], most: usize) -> Result<usize, Refusal> {
    let Some(limit) = text(query, "limit") else { return Ok(most) };
    let limit: i64 = limit.parse().map_err(|_| Refusal::bad_request("`limit` is no number"))?;
    Ok(usize::try_from(limit).ok().filter(|&it| it > 0).map_or(most, |it| it.min(most)))
}

fn token(at: DateTime<Utc>, id: Uuid) -> String {
    format!("{:x}.{:x}.{}", at.timestamp(), at.timestamp_subsec_nanos(), id.simple())
}

fn read_token(token: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let mut parts = token.split('.');
    let seconds = i64::from_str_radix(parts.next()?, 16).ok()?;
    let nanos = u32::from_str_radix(parts.next()?, 16).ok()?;
    let id = parts.next()?.parse().ok()?;
    Some((DateTime::from_timestamp(seconds, nanos)?, id))
}

fn bad_token() -> Refusal {
    Refusal::bad_request("`page_token` is none of ours")
}
