//! Syncs and executions as the API writes them (2025-09-18).

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::execution::Execution;
use super::organization::Organization;
use super::sync::{Actor, Schedule, Sync};
use crate::domain::sync::SyncKind;

/// A sync in a list. A model sync is lighter there than in a GET.
pub(super) fn list_item(organization: &Organization, sync: &Sync) -> Value {
    let mut item = common(organization, sync);
    if sync.kind == SyncKind::Model {
        item["target_connection_id"] = json!(sync.target_connection_id);
        item["target_object"] = json!("Contact");
    }
    item
}

/// A sync in a GET.
pub(super) fn sync(organization: &Organization, sync: &Sync) -> Value {
    let mut object = common(organization, sync);
    if sync.kind == SyncKind::Model {
        object["target"] = json!({ "connection_id": sync.target_connection_id, "object": "Contact" });
        object["fields"] = json!([]);
        object["policies"] = json!([]);
    }
    object
}

/// What a switch answers.
pub(super) fn switched(id: Uuid, active: bool) -> Value {
    json!({ "active": active, "id": id })
}

/// What `…/status` answers. It does not say whether the sync is active.
pub(super) fn status(now: DateTime<Utc>, sync: &Sync) -> Value {
    let mut object = json!({ "next_execution_time": sync.next_run().map(time) });
    if let Some(current) = sync.running(now) {
        object["current_execution"] = execution(now, sync.kind, current);
    }
    if let Some(last) = sync.last_ended(now) {
        object["last_execution"] = execution(now, sync.kind, last);
    }
    object
}

/// One of what `/api/bulk/syncs/status` answers. The name of the time is in
/// camel case there, and only there.
pub(super) fn status_of_many(now: DateTime<Utc>, sync: &Sync) -> Value {
    let last = sync.executions().last();
    let mut item = json!({
        "sync_id": sync.id,
        "nextExecutionTime": sync.next_run().map(time),
        "schemas": [],
    });
    if let Some(last) = last {
        item["status"] = json!(last.status(now).of(sync.kind));
    }
    item
}

/// An execution.
pub(super) fn execution(now: DateTime<Utc>, kind: SyncKind, it: &Execution) -> Value {
    let mut object = json!({
        "id": it.id,
        "type": it.trigger.as_str(),
        "status": it.status(now).of(kind),
        "created_at": time(it.created_at),
        "started_at": it.started_at(now).map(time),
        "completed_at": it.ended_at(now).map(time),
    });
    match kind {
        SyncKind::Model => {
            object["counts"] = json!({
                "delete": 0, "error": 0, "insert": 12, "total": 40, "update": 28, "upserts": 0, "warnings": 0,
            });
            object["errors"] = json!([]);
        }
        SyncKind::Bulk => {
            object["updated_at"] = json!(time(it.ended_at(now).unwrap_or(now)));
            object["is_partial"] = json!(false);
            object["is_resync"] = json!(false);
            object["is_test"] = json!(false);
            object["fetch_mode"] = json!("incremental");
            object["record_count"] = json!(40);
            object["error_count"] = json!(0);
            object["warning_count"] = json!(0);
            object["schemas"] = json!([]);
        }
    }
    object
}

/// What a start answers: a model sync's is shorter than its execution.
pub(super) fn started(now: DateTime<Utc>, kind: SyncKind, it: &Execution) -> Value {
    match kind {
        SyncKind::Model => json!({
            "id": it.id,
            "created_at": time(it.created_at),
            "status": it.status(now).of(kind),
        }),
        SyncKind::Bulk => execution(now, kind, it),
    }
}

/// What `/api/me` answers for a key of an organization.
pub(super) fn identity(organization: &Organization) -> Value {
    json!({
        "id": Actor::api_key().id,
        "email": "",
        "is_organization": true,
        "is_partner": false,
        "is_system": false,
        "is_user": false,
        "organization_id": organization.id,
        "organization_name": organization.name,
        "role": "Sync Editor",
    })
}

/// An instant: RFC 3339 in UTC.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn common(organization: &Organization, sync: &Sync) -> Value {
    let mut object = json!({
        "active": sync.active,
        "created_at": time(sync.created_at),
        "created_by": actor(&Actor::person("Ada Lovelace")),
        "id": sync.id,
        "mode": sync.mode,
        "name": sync.name,
        "organization_id": organization.id,
        "updated_at": time(sync.updated_at),
        "updated_by": actor(&sync.updated_by),
    });
    match sync.kind {
        SyncKind::Model => {
            object["schedule"] = schedule(sync.schedule);
            object["model_ids"] = json!([]);
            object["only_enrich_updates"] = json!(false);
            object["skip_initial_backfill"] = json!(false);
            object["sync_all_records"] = json!(false);
        }
        SyncKind::Bulk => {
            object["default_schedule"] = schedule(sync.schedule);
            object["additional_schedules"] = json!([]);
            object["source_connection_id"] = json!(sync.source_connection_id);
            object["destination_connection_id"] = json!(sync.target_connection_id);
            object["policies"] = json!([]);
        }
    }
    object
}

fn actor(actor: &Actor) -> Value {
    json!({ "id": actor.id, "name": actor.name, "type": actor.kind })
}

fn schedule(schedule: Schedule) -> Value {
    match schedule {
        Schedule::Manual => json!({ "frequency": "manual" }),
        Schedule::After(id) => json!({
            "frequency": "runafter",
            "run_after": { "sync_ids": [id], "bulk_sync_ids": [] },
            "run_after_success_only": false,
        }),
        Schedule::Every(_) => json!({ "frequency": "continuous" }),
        Schedule::Hourly(minute) => json!({ "frequency": "hourly", "minute": minute.to_string() }),
        Schedule::Daily(hour, minute) => {
            json!({ "frequency": "daily", "hour": hour.to_string(), "minute": minute.to_string() })
        }
    }
}
