//! What a request asks for: method, path and body as one value.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::Refusal;
use super::{Request, Response};
use crate::domain::sync::SyncKind;

/// What a request is for, as far as faults and judges care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `GET /api/me`
    Me,
    /// `GET /api/syncs`, `GET /api/bulk/syncs`
    List,
    /// `GET …/{id}`
    Look,
    /// `GET …/{id}/status`, `GET /api/bulk/syncs/status`
    Status,
    /// `POST …/{id}/activate` with `active: false`
    Pause,
    /// `POST …/{id}/activate` with `active: true`
    Resume,
    /// `POST …/{id}/cancel`, `POST …/executions/{id}/cancel`
    Cancel,
    /// `POST …/{id}/executions`
    Start,
    /// `GET …/{id}/executions`, `GET …/executions/{id}`
    Executions,
    /// Anything else.
    Other,
}

/// A request that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Me,
    List(SyncKind),
    StatusOfMany,
    Sync { kind: SyncKind, id: Uuid, verb: Verb },
}

/// What is to be done with one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Read(Read),
    Change(Change),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Look,
    Status,
    Executions,
    Execution(Uuid),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Activate(bool),
    Cancel,
    CancelExecution(Uuid),
    Start,
}

impl Route {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// The answer of an API that has no such path (404), not this method (405),
    /// or cannot read the body (422).
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        let path: Vec<&str> =
            request.uri().path().trim_matches('/').split('/').filter(|it| !it.is_empty()).collect();
        match (request.method(), &path[..]) {
            (&Method::GET, ["api", "me"]) => Ok(Self::Me),
            (&Method::GET, ["api", "bulk", "syncs", "status"]) => Ok(Self::StatusOfMany),
            (&Method::GET, ["api", "syncs"]) => Ok(Self::List(SyncKind::Model)),
            (&Method::GET, ["api", "bulk", "syncs"]) => Ok(Self::List(SyncKind::Bulk)),
            (_, ["api", "syncs", id, rest @ ..]) => Self::of_one(SyncKind::Model, id, rest, request),
            (_, ["api", "bulk", "syncs", id, rest @ ..]) => Self::of_one(SyncKind::Bulk, id, rest, request),
            _ => Err(Refusal::no_such_path()),
        }
    }

    fn of_one(kind: SyncKind, id: &str, rest: &[&str], request: &Request) -> Result<Self, Refusal> {
        let method = request.method();
        let verb = match rest {
            [] if method == Method::GET => Verb::Read(Read::Look),
            ["status"] if method == Method::GET => Verb::Read(Read::Status),
            ["executions"] if method == Method::GET => Verb::Read(Read::Executions),
            ["executions", execution] if method == Method::GET => {
                Verb::Read(Read::Execution(uuid(execution)?))
            }
            ["activate"] if method == Method::POST => Verb::Change(Change::Activate(wanted(request.body())?)),
            ["cancel"] if method == Method::POST => Verb::Change(Change::Cancel),
            ["executions"] if method == Method::POST => start(request.body())?,
            ["executions", execution, "cancel"] if method == Method::POST => {
                Verb::Change(Change::CancelExecution(uuid(execution)?))
            }
            [] | ["status" | "activate" | "cancel" | "executions", ..] => {
                return Err(Refusal::method_not_allowed());
            }
            _ => return Err(Refusal::no_such_path()),
        };
        Ok(Self::Sync { kind, id: uuid(id)?, verb })
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Me => Operation::Me,
            Self::List(_) => Operation::List,
            Self::StatusOfMany => Operation::Status,
            Self::Sync { verb, .. } => match verb {
                Verb::Read(Read::Look) => Operation::Look,
                Verb::Read(Read::Status) => Operation::Status,
                Verb::Read(Read::Executions | Read::Execution(_)) => Operation::Executions,
                Verb::Change(Change::Activate(true)) => Operation::Resume,
                Verb::Change(Change::Activate(false)) => Operation::Pause,
                Verb::Change(Change::Cancel | Change::CancelExecution(_)) => Operation::Cancel,
                Verb::Change(Change::Start) => Operation::Start,
            },
        }
    }

    pub(super) fn sync(&self) -> Option<Uuid> {
        match self {
            Self::Sync { id, .. } => Some(*id),
            Self::Me | Self::List(_) | Self::StatusOfMany => None,
        }
    }
}

/// The header of this name, if it is there and is text.
pub(super) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The query of a request, decoded, in its order.
pub(super) fn query(request: &Request) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(request.uri()).map(|it| it.0).unwrap_or_default()
}

/// The body of an answer as JSON, for those who edit it.
pub(super) fn json(response: &Response) -> Option<serde_json::Value> {
    serde_json::from_slice(response.body()).ok()
}

fn uuid(text: &str) -> Result<Uuid, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("no object has this id"))
}

fn wanted(body: &[u8]) -> Result<bool, Refusal> {
    #[derive(Deserialize)]
    struct Body {
        active: bool,
    }
    serde_json::from_slice::<Body>(body)
        .map(|body| body.active)
        .map_err(|_| Refusal::unprocessable("the body must be an object with a boolean `active`"))
}

/// No field of the body changes what the simulator does, but it must be an
/// object, or nothing at all.
fn start(body: &[u8]) -> Result<Verb, Refusal> {
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Object(_)) => Ok(Verb::Change(Change::Start)),
        _ if body.is_empty() => Ok(Verb::Change(Change::Start)),
        _ => Err(Refusal::bad_request("the body must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "248df4b7-aa70-47b8-a036-33ac447e668d";

    fn check(method: &str, path: &str, body: &str, expected: Result<Operation, u16>) {
        let path = path.replace("ID", ID);
        let request =
            axum::http::Request::builder().method(method).uri(&path).body(body.as_bytes().to_vec()).unwrap();
        let actual = Route::of(&request).map(|it| it.operation()).map_err(|it| it.status());
        assert_eq!(actual, expected, "{method} {path} {body}");
    }

    #[test]
    fn every_path_of_both_kinds_is_known() {
        for root in ["/api/syncs", "/api/bulk/syncs"] {
            let check = |method, path: &str, body, operation| {
                check(method, &format!("{root}{path}"), body, Ok(operation));
            };
            check("GET", "?active=true&limit=5", "", Operation::List);
            check("GET", "/ID", "", Operation::Look);
            check("GET", "/ID/status", "", Operation::Status);
            check("GET", "/ID/executions", "", Operation::Executions);
            check("GET", "/ID/executions/ID", "", Operation::Executions);
            check("POST", "/ID/activate", r#"{"active":false}"#, Operation::Pause);
            check("POST", "/ID/activate", r#"{"active":true}"#, Operation::Resume);
            check("POST", "/ID/cancel", "", Operation::Cancel);
            check("POST", "/ID/executions", "{}", Operation::Start);
            check("POST", "/ID/executions", "", Operation::Start);
            check("POST", "/ID/executions/ID/cancel", "", Operation::Cancel);
        }
        check("GET", "/api/me", "", Ok(Operation::Me));
        check("GET", "/api/bulk/syncs/status?all=true", "", Ok(Operation::Status));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check("GET", "/api/nothing", "", Err(404));
        check("GET", "/api/syncs/not-a-uuid", "", Err(404));
        check("GET", "/api/syncs/ID/activate", "", Err(405));
        check("DELETE", "/api/syncs/ID", "", Err(405));
        check("POST", "/api/syncs/ID/activate", "", Err(422));
        check("POST", "/api/syncs/ID/activate", r#"{"active":"false"}"#, Err(422));
        check("POST", "/api/syncs/ID/executions", "[]", Err(400));
    }
}
