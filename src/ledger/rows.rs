//! How values are written in columns, and read back.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::serde::ts_milliseconds;
use chrono::{DateTime, Utc};
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::domain::event::Event;
use crate::domain::execution::{After, RunPolicy, Runs};
use crate::domain::hold::{Gone, Hold, HoldState, Unsettled};
use crate::domain::moment::Ended;
use crate::domain::operator::{Order, What};
use crate::domain::organization::{KeySource, Organization, Proxy};
use crate::domain::preflight::Preflight;
use crate::domain::report::{Ending, SyncReport};
use crate::domain::selection::{Resolution, Seen};
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::watch::WindowWatch;
use crate::domain::window::Occurrence;

type Result<T> = rusqlite::Result<T>;

/// An occurrence in JSON. Instants are milliseconds here as in the columns.
#[derive(Serialize, Deserialize)]
struct OccurrenceRow {
    window: Name,
    #[serde(with = "ts_milliseconds")]
    pauses: DateTime<Utc>,
    #[serde(with = "ts_milliseconds")]
    opens: DateTime<Utc>,
    #[serde(with = "ts_milliseconds")]
    closes: DateTime<Utc>,
    #[serde(default)]
    enforce: bool,
    #[serde(default, skip_serializing_if = "RunPolicy::is_usual")]
    runs: RunPolicy,
}

impl From<&Occurrence> for OccurrenceRow {
    fn from(it: &Occurrence) -> Self {
        Self {
            window: it.window.clone(),
            pauses: it.pauses,
            opens: it.opens,
            closes: it.closes,
            enforce: it.enforce,
            runs: it.runs,
        }
    }
}

impl From<OccurrenceRow> for Occurrence {
    fn from(it: OccurrenceRow) -> Self {
        Self {
            window: it.window,
            pauses: it.pauses,
            opens: it.opens,
            closes: it.closes,
            enforce: it.enforce,
            runs: it.runs,
        }
    }
}

pub(super) fn occurrences_to_json(all: &[Occurrence]) -> Result<Cow<'static, str>> {
    // Most rows have none of most kinds.
    if all.is_empty() {
        return Ok(Cow::Borrowed("[]"));
    }
    to_json(&all.iter().map(OccurrenceRow::from).collect::<Vec<_>>()).map(Cow::Owned)
}

pub(super) fn occurrence_to_json(one: &Occurrence) -> Result<String> {
    to_json(&OccurrenceRow::from(one))
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Text of a path. One that is not UTF-8 would read back as another path.
pub(super) fn path_text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let text = format!("path `{}` is not UTF-8", path.display());
        rusqlite::Error::ToSqlConversionFailure(text.into())
    })
}

pub(super) fn key_text(key: &KeySource) -> Result<String> {
    if let KeySource::File(path) = key {
        path_text(path)?;
    }
    Ok(key.to_string())
}

pub(super) fn proxy_text(proxy: &Proxy) -> String {
    match proxy {
        Proxy::None => "none".to_owned(),
        Proxy::Environment => "environment".to_owned(),
        Proxy::Url(url) => format!("url:{url}"),
    }
}

fn proxy(text: &str) -> Option<Proxy> {
    match text {
        "none" => Some(Proxy::None),
        "environment" => Some(Proxy::Environment),
        other => Some(Proxy::Url(other.strip_prefix("url:")?.to_owned())),
    }
}

fn kind(text: &str) -> Option<SyncKind> {
    [SyncKind::Model, SyncKind::Bulk].into_iter().find(|it| it.as_str() == text)
}

fn state(text: &str) -> Option<HoldState> {
    use HoldState::{Held, Pausing, Released, Resuming, Settling, Skipped};
    [Pausing, Held, Resuming, Settling, Skipped, Released].into_iter().find(|it| it.as_str() == text)
}

/// A column that holds what we never write.
fn unreadable(row: &Row<'_>, column: &str) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(usize::MAX);
    let text = format!("column `{column}` holds what this version never writes");
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, text.into())
}

fn with<T>(row: &Row<'_>, column: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unreadable(row, column))
}

fn optional<T>(row: &Row<'_>, column: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| read(&text).ok_or_else(|| unreadable(row, column))).transpose()
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn occurrence(text: &str) -> Option<Occurrence> {
    serde_json::from_str::<OccurrenceRow>(text).ok().map(Into::into)
}

fn occurrences(text: &str) -> Option<Vec<Occurrence>> {
    let rows: Vec<OccurrenceRow> = serde_json::from_str(text).ok()?;
    Some(rows.into_iter().map(Into::into).collect())
}

fn instant(row: &Row<'_>, column: &str) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(row.get(column)?).ok_or_else(|| unreadable(row, column))
}

fn optional_instant(row: &Row<'_>, column: &str) -> Result<Option<DateTime<Utc>>> {
    let millis: Option<i64> = row.get(column)?;
    millis.map(|it| DateTime::from_timestamp_millis(it).ok_or_else(|| unreadable(row, column))).transpose()
}

/// A name of the file, which is short text that many rows share.
fn name(row: &Row<'_>, column: &str) -> Result<Name> {
    row.get::<_, String>(column).map(Name::from)
}

pub(super) fn organization(row: &Row<'_>) -> Result<(i64, Arc<Organization>)> {
    let organization = Organization {
        name: name(row, "name")?,
        url: row.get("url")?,
        api_version: row.get("api_version")?,
        organization_id: optional(row, "organization_id", parsed)?,
        key: with(row, "key_source", parsed)?,
        ca_file: row.get::<_, Option<String>>("ca_file")?.map(PathBuf::from),
        proxy: with(row, "proxy", proxy)?,
    };
    Ok((row.get("id")?, Arc::new(organization)))
}

pub(super) fn ended(row: &Row<'_>) -> Result<Ended> {
    let since_boot = row.get::<_, i64>("since_boot")?;
    Ok(Ended {
        boot: with(row, "boot", parsed)?,
        since_boot: Duration::from_millis(since_boot.try_into().unwrap_or_default()),
        wall: instant(row, "at")?,
    })
}

pub(super) fn hold(
    row: &Row<'_>,
    organization: impl FnOnce(i64) -> Option<Arc<Organization>>,
) -> Result<Hold> {
    // Whoever sent it may still be trying, and nobody knows since when: this process counts
    // from its own start, or from the orderly end of the one before it.
    let mark = |column| row.get::<_, bool>(column).map(|it| it.then_some(Duration::ZERO));
    Ok(Hold {
        sync: SyncRef::new(name(row, "organization")?, with(row, "kind", kind)?, with(row, "sync", parsed)?),
        name: row.get("name")?,
        organization: organization(row.get("organization_version")?)
            .ok_or_else(|| unreadable(row, "organization_version"))?,
        state: with(row, "state", state)?,
        holders: with(row, "holders", occurrences)?.into(),
        served: served(row)?,
        left_alone: with(row, "left_alone", occurrences)?,
        since: instant(row, "since")?,
        resume_by: instant(row, "resume_by")?,
        unsettled: Unsettled { pause: mark("unsettled_pause")?, resume: mark("unsettled_resume")? },
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
        gone: match optional_instant(row, "gone_since")? {
            Some(since) => Some(Gone { since, times: row.get("gone_times")? }),
            None => None,
        },
        overdue_told: row.get("overdue_told")?,
        runs: runs(row)?,
    })
}

fn served(row: &Row<'_>) -> Result<Vec<Occurrence>> {
    // An older version's ledger, on a disk that takes no writes, has none.
    let is_there = row.as_ref().column_index("served").is_ok();
    if is_there { with(row, "served", occurrences) } else { Ok(vec![]) }
}

fn runs(row: &Row<'_>) -> Result<Runs> {
    if row.as_ref().column_index("after_resume").is_err() {
        // An older version's ledger, on a disk that takes no writes.
        return Ok(Runs::default());
    }
    Ok(Runs {
        quiet: row.get("quiet")?,
        told: row.get("still_running_told")?,
        last_completed: optional_instant(row, "last_completed")?,
        next: optional_instant(row, "next_execution")?,
        resumed: optional_instant(row, "resumed_at")?,
        after: match row.get::<_, Option<String>>("after_resume")?.as_deref() {
            None => After::Nothing,
            Some("proof") => After::Proof,
            Some("start") => After::Start(row.get("starts")?),
            Some("started") => After::Started(row.get("starts")?),
            Some(_) => return Err(unreadable(row, "after_resume")),
        },
    })
}

pub(super) fn after_text(after: After) -> Option<&'static str> {
    match after {
        After::Nothing => None,
        After::Proof => Some("proof"),
        After::Start(_) => Some("start"),
        After::Started(_) => Some("started"),
    }
}

pub(super) fn starts(after: After) -> u8 {
    match after {
        After::Nothing | After::Proof => 0,
        After::Start(tried) | After::Started(tried) => tried,
    }
}

/// What can still be made of a hold that holds what we never write: enough to
/// look at its sync and to resume it. In doubt it is ours, and due. It says so
/// of itself until something succeeds.
pub(super) fn salvaged(row: &Row<'_>, organizations: &HashMap<i64, Arc<Organization>>) -> Option<Hold> {
    let sync = SyncRef::new(
        name(row, "organization").ok()?,
        with(row, "kind", kind).ok()?,
        with(row, "sync", parsed).ok()?,
    );
    let version: Option<i64> = row.get("organization_version").ok();
    // Never another one's: a key goes only where it belongs.
    let organization = version.and_then(|it| organizations.get(&it)).or_else(|| {
        let mut same_name = organizations.values().filter(|it| it.name == sync.organization);
        same_name.next().filter(|_| same_name.next().is_none())
    })?;
    let known_state = with(row, "state", state).ok();
    let in_doubt = |column| known_state.is_none() || row.get(column).unwrap_or(true);
    let mark = |column| in_doubt(column).then_some(Duration::ZERO);
    let holders = with(row, "holders", occurrences).unwrap_or_default();
    let left_alone = with(row, "left_alone", occurrences).unwrap_or_default();
    let since = instant(row, "since").ok();
    let last_end = holders.iter().chain(&left_alone).map(|it| it.closes).max();
    let resume_by =
        instant(row, "resume_by").ok().or(last_end).or(since).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    Some(Hold {
        name: row.get("name").unwrap_or_default(),
        organization: Arc::clone(organization),
        state: known_state.unwrap_or(HoldState::Pausing),
        since: since.unwrap_or(resume_by),
        resume_by,
        unsettled: Unsettled { pause: mark("unsettled_pause"), resume: mark("unsettled_resume") },
        attempts: 0,
        last_error: Some("its row in the ledger is damaged; what can be read of it is used".to_owned()),
        gone: None,
        overdue_told: row.get("overdue_told").unwrap_or_default(),
        runs: runs(row).unwrap_or_default(),
        sync,
        served: served(row).unwrap_or_default(),
        holders: holders.into(),
        left_alone,
    })
}

/// What a row can be called that is no hold: what it has for a name and an id.
pub(super) fn called(row: &Row<'_>) -> String {
    let text = |column| match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => String::from_utf8_lossy(bytes).escape_debug().to_string(),
        _ => "?".to_owned(),
    };
    format!("sync `{}/{}`", text("organization"), text("sync"))
}

pub(super) fn watch(row: &Row<'_>) -> Result<WindowWatch> {
    Ok(WindowWatch {
        window: name(row, "window")?,
        fingerprint: row.get("fingerprint")?,
        seen_until: instant(row, "seen_until")?,
        open: optional(row, "open", occurrence)?,
    })
}

/// The syncs of an order, as JSON; `None` if it names none one by one.
pub(super) fn syncs_to_json(order: &Order) -> Result<Option<String>> {
    match &order.what {
        What::Pause { syncs } | What::Exempt { syncs: Some(syncs) } => to_json(syncs).map(Some),
        What::Exempt { syncs: None } | What::Extend { .. } => Ok(None),
    }
}

pub(super) fn found_to_json(found: &Resolution) -> Result<String> {
    to_json(&found.found.values().collect::<Vec<_>>())
}

pub(super) fn selection(row: &Row<'_>) -> Result<Resolution> {
    let found = with(row, "syncs", |text| serde_json::from_str::<Vec<Seen>>(text).ok())?;
    Ok(Resolution {
        window: name(row, "window")?,
        fingerprint: row.get("fingerprint")?,
        at: instant(row, "found_at")?,
        found: found.into_iter().map(|it| (it.sync.clone(), it)).collect(),
    })
}

pub(super) fn preflight(row: &Row<'_>) -> Result<Preflight> {
    Ok(Preflight {
        window: name(row, "window")?,
        opens: instant(row, "opens")?,
        at: instant(row, "told_at")?,
        error: row.get("error")?,
        detail: row.get("detail")?,
    })
}

pub(super) fn report(row: &Row<'_>) -> Result<SyncReport> {
    Ok(SyncReport {
        window: name(row, "window")?,
        opens: instant(row, "opens")?,
        sync: SyncRef::new(name(row, "organization")?, with(row, "kind", kind)?, with(row, "sync", parsed)?),
        name: row.get("name")?,
        missed: optional_instant(row, "missed")?,
        completed: optional_instant(row, "completed")?,
        next: optional_instant(row, "next")?,
        ending: with(row, "ending", Ending::parse)?,
    })
}

pub(super) fn order(row: &Row<'_>) -> Result<Order> {
    let syncs = || optional(row, "syncs", |text| serde_json::from_str::<BTreeSet<SyncRef>>(text).ok());
    let missing = |column| move || unreadable(row, column);
    let what = match row.get::<_, String>("what")?.as_str() {
        "pause" => What::Pause { syncs: syncs()?.ok_or_else(missing("syncs"))? },
        "exempt" => What::Exempt { syncs: syncs()? },
        "extend" => What::Extend { window: name(row, "window")?, opens: instant(row, "opens")? },
        _ => return Err(unreadable(row, "what")),
    };
    Ok(Order {
        number: row.get("number")?,
        from: instant(row, "begins")?,
        until: instant(row, "ends")?,
        reason: row.get("reason")?,
        by: row.get("done_by")?,
        what,
    })
}

pub(super) fn entry(row: &Row<'_>) -> Result<Entry> {
    let sync = match optional(row, "sync", parsed)? {
        Some(id) => Some(SyncRef::new(name(row, "organization")?, with(row, "kind", kind)?, id)),
        None => None,
    };
    let event = Event {
        kind: with(row, "event", parsed)?,
        sync,
        name: row.get("name")?,
        window: row.get::<_, Option<String>>("window")?.map(Name::from),
        occurrence: optional_instant(row, "occurrence")?,
        by: row.get("done_by")?,
        attempt: row.get("attempt")?,
        error: row.get("error")?,
        detail: row.get("detail")?,
        description: row.get("description")?,
        took: None,
    };
    Ok(Entry {
        id: row.get("id")?,
        at: instant(row, "at")?,
        event,
        state_before: row.get("state_before")?,
        state_after: row.get("state_after")?,
    })
}
