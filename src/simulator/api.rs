//! What the API does with one request.
//!
//! The order is that of a real deployment: a rate limit or a broken proxy
//! stands in front of everything, then the key is looked at, then the path and
//! body, then the sync.

use axum::http::{HeaderValue, Method, StatusCode, header as names};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Refusal, ok};
use super::disposition::{Delivery, Disposition};
use super::execution::{Execution, Trigger};
use super::fault::{Apply, Fault};
use super::organization::{Organization, authorize};
use super::page::{self, boolean};
use super::record::{Received, Who};
use super::route::{Change, Operation, Read, Route, Verb, header, query};
use super::sync::{Actor, Sync};
use super::world::{Command, Due};
use super::{DEFAULT_VERSION, Request, Response, World, wire};
use crate::domain::sync::SyncKind;

impl World {
    /// Takes one request: changes what it changes, writes it down, and says
    /// what its client gets to see.
    pub fn handle(&mut self, now: DateTime<Utc>, request: &Request) -> Disposition {
        self.advance(now);
        let route = Route::of(request);
        let operation = route.as_ref().map_or(Operation::Other, Route::operation);
        let sync = route.as_ref().ok().and_then(Route::sync);
        let organization = authorize(&self.organizations, header(request, names::AUTHORIZATION.as_str()));
        let fault = self.faults.pick(now, operation, sync);
        let version = header(request, "x-polytomic-version");
        let number = self.receive(Received {
            number: 0,
            at: now,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            operation,
            sync,
            version: version.map(str::to_owned),
            organization: organization.map(|it| self.organizations[it].name.clone()),
            status: None,
            applied_at: None,
            fault: fault.is_some(),
        });

        let Fault { delay, apply, reply } = fault.unwrap_or_default();
        let usual = organization
            .ok_or_else(Refusal::unauthorized)
            .and_then(|organization| self.usual(now, number, organization, &route?, request, apply))
            .unwrap_or_else(Response::from);
        let mut disposition = Disposition { delay, delivery: Delivery::of(reply, usual) };
        stamp(&mut disposition, version);
        self.keep_failure(now, organization, request, &disposition);
        if let Some(received) = self.received_mut(number) {
            received.status = disposition.status();
        }
        disposition
    }

    /// A late request is applied as any other; nobody sees its answer, unless
    /// they ask again with the same idempotency key.
    pub(super) fn apply_late(
        &mut self,
        at: DateTime<Utc>,
        command: Command,
        number: u64,
        key: Option<String>,
    ) {
        let outcome = self.perform(at, number, command).unwrap_or_else(Response::from);
        if let Some(key) = key {
            self.kept.keep(at, command.organization, &key, Some(outcome));
        }
    }

    /// The answer of an API without faults, save that the change is made when
    /// `apply` says.
    fn usual(
        &mut self,
        now: DateTime<Utc>,
        number: u64,
        organization: usize,
        route: &Route,
        request: &Request,
        apply: Apply,
    ) -> Result<Response, Refusal> {
        let it = &self.organizations[organization];
        match *route {
            Route::Me => Ok(data(&wire::identity(it))),
            Route::List(kind) => {
                let whole = kind == SyncKind::Bulk && self.whole_bulk_lists;
                page::syncs(it, kind, &query(request), whole)
            }
            Route::StatusOfMany => status_of_many(now, it, &query(request)),
            Route::Sync { kind, id, verb: Verb::Read(read) } => {
                let sync = it.sync(kind, id).ok_or_else(no_such_sync)?;
                self.read(now, organization, sync, read, request)
            }
            Route::Sync { kind, id, verb: Verb::Change(change) } => {
                let command = Command { organization, kind, id, change };
                self.change_once(now, number, command, request, apply)
            }
        }
    }

    fn read(
        &self,
        now: DateTime<Utc>,
        organization: usize,
        sync: &Sync,
        read: Read,
        request: &Request,
    ) -> Result<Response, Refusal> {
        match read {
            Read::Look => Ok(data(&wire::sync(&self.organizations[organization], sync))),
            Read::Status => Ok(data(&wire::status(now, sync))),
            Read::Executions => page::executions(now, sync, &query(request)),
            Read::Execution(id) => {
                let execution = sync.executions().iter().find(|it| it.id == id);
                execution
                    .map(|it| data(&wire::execution(now, sync.kind, it)))
                    .ok_or_else(|| Refusal::not_found("this sync has no such execution"))
            }
        }
    }

    /// Makes the change, unless another request with the same key did.
    fn change_once(
        &mut self,
        now: DateTime<Utc>,
        number: u64,
        command: Command,
        request: &Request,
        apply: Apply,
    ) -> Result<Response, Refusal> {
        let Some(key) = header(request, "idempotency-key") else {
            return self.change(now, number, command, apply, None);
        };
        if let Some(replay) = self.kept.replay(now, command.organization, key)? {
            return Ok(replay);
        }
        let outcome = self.change(now, number, command, apply, Some(key)).unwrap_or_else(Response::from);
        match apply {
            Apply::Now | Apply::Again(_) => {
                self.kept.keep(now, command.organization, key, Some(outcome.clone()));
            }
            Apply::After(_) => self.kept.keep(now, command.organization, key, None),
            Apply::Never => {}
        }
        Ok(outcome)
    }

    fn change(
        &mut self,
        now: DateTime<Utc>,
        number: u64,
        command: Command,
        apply: Apply,
        key: Option<&str>,
    ) -> Result<Response, Refusal> {
        let key = key.map(str::to_owned);
        match apply {
            Apply::Now => self.perform(now, number, command),
            Apply::Never => self.pretend(now, command),
            Apply::After(after) => {
                self.queue(now + after, Due::Late { command, number, key });
                self.pretend(now, command)
            }
            Apply::Again(after) => {
                self.queue(now + after, Due::Late { command, number, key: None });
                self.perform(now, number, command)
            }
        }
    }

    fn perform(&mut self, now: DateTime<Utc>, number: u64, command: Command) -> Result<Response, Refusal> {
        self.check(now, command)?;
        let Command { organization, kind, id, change } = command;
        let execution = self.new_id();
        let sync = self.organizations[organization].sync_mut(kind, id).ok_or_else(no_such_sync)?;
        let before = sync.active;
        let answer = match change {
            Change::Activate(active) => {
                sync.switch(now, active, Actor::api_key());
                data(&wire::switched(id, active))
            }
            Change::Cancel => {
                sync.cancel(now);
                cancel_queued()
            }
            Change::CancelExecution(id) => {
                sync.cancel_execution(now, id);
                cancel_queued()
            }
            Change::Start => {
                let started = sync.start(now, execution, Trigger::Manual);
                data(&wire::started(now, kind, started))
            }
        };
        if let Change::Activate(active) = change {
            let was = (Some(before), Some(active));
            let by = Actor::api_key().name;
            self.queue_next_run(organization, id);
            self.note(now, organization, (kind, id), Who::Api, &by, was, Some(number));
        }
        if let Some(received) = self.received_mut(number) {
            received.applied_at.get_or_insert(now);
        }
        Ok(answer)
    }

    /// The answer as if the change had been made.
    fn pretend(&self, now: DateTime<Utc>, command: Command) -> Result<Response, Refusal> {
        let sync = self.check(now, command)?;
        Ok(match command.change {
            Change::Activate(active) => data(&wire::switched(command.id, active)),
            Change::Cancel | Change::CancelExecution(_) => cancel_queued(),
            Change::Start => {
                let execution = Execution::new(Uuid::max(), Trigger::Manual, now, sync.run_length);
                data(&wire::started(now, command.kind, &execution))
            }
        })
    }

    /// Whether the change may be made at all.
    fn check(&self, now: DateTime<Utc>, command: Command) -> Result<&Sync, Refusal> {
        let Command { organization, kind, id, change } = command;
        let sync = self.organizations[organization].sync(kind, id).ok_or_else(no_such_sync)?;
        if sync.forbidden {
            return Err(Refusal::forbidden());
        }
        match change {
            Change::CancelExecution(id) if sync.executions().iter().any(|it| it.id == id) => Ok(sync),
            Change::CancelExecution(_) => Err(Refusal::not_found("this sync has no such execution")),
            Change::Start if sync.running(now).is_some() => {
                Err(Refusal::conflict("another execution of this sync is running"))
            }
            Change::Start if kind == SyncKind::Model && !sync.active => {
                Err(Refusal::conflict("this sync is inactive"))
            }
            Change::Activate(_) | Change::Cancel | Change::Start => Ok(sync),
        }
    }

    /// "The first request determines the outcome, including error responses
    /// such as 500." Other failures come from in front of the API, which then
    /// never saw the key.
    fn keep_failure(
        &mut self,
        now: DateTime<Utc>,
        organization: Option<usize>,
        request: &Request,
        disposition: &Disposition,
    ) {
        let Delivery::Whole(response) = &disposition.delivery else { return };
        let key = header(request, "idempotency-key").filter(|_| request.method() == Method::POST);
        if let (Some(organization), Some(key), StatusCode::INTERNAL_SERVER_ERROR) =
            (organization, key, response.status())
        {
            self.kept.keep(now, organization, key, Some(response.clone()));
        }
    }
}

/// Every answer of the API says which version served it; a proxy's page does
/// not.
fn stamp(disposition: &mut Disposition, version: Option<&str>) {
    let response = match &mut disposition.delivery {
        Delivery::Whole(it) | Delivery::Truncated(it) | Delivery::Trickle(it, _) | Delivery::Endless(it) => {
            it
        }
        Delivery::Never | Delivery::Closed | Delivery::Reset => return,
    };
    let is_json = response.headers().get(names::CONTENT_TYPE).is_some_and(|it| it == "application/json");
    if let Ok(version) = HeaderValue::from_str(version.unwrap_or(DEFAULT_VERSION))
        && is_json
    {
        response.headers_mut().insert("x-polytomic-version", version);
    }
}

fn status_of_many(
    now: DateTime<Utc>,
    organization: &Organization,
    query: &[(String, String)],
) -> Result<Response, Refusal> {
    let active = boolean(query, "active")?;
    let wanted: Vec<&str> =
        query.iter().filter(|(name, _)| name == "sync_id").map(|(_, id)| id.as_str()).collect();
    let items: Vec<Value> = organization
        .listed(SyncKind::Bulk)
        .into_iter()
        .filter(|it| active.is_none_or(|active| it.active == active))
        .filter(|it| wanted.is_empty() || wanted.contains(&it.id.to_string().as_str()))
        .map(|it| wire::status_of_many(now, it))
        .collect();
    Ok(data(&json!(items)))
}

/// Cancelling is only asked for; what comes of it shows in the status.
fn cancel_queued() -> Response {
    data(&json!({ "message": "the cancellation has been queued" }))
}

fn data(value: &Value) -> Response {
    ok(&json!({ "data": value }))
}

fn no_such_sync() -> Refusal {
    Refusal::not_found("there is no such sync")
}
