//! What is to be done about one request: the world's decision, as a value.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use super::answer::{api_error, bare, html};
use super::fault::Reply;
use super::route::json;
use super::{Response, answer};

/// What the client of one request gets to see. What the request changed has
/// been changed already, or waits in the world for its time.
#[derive(Debug, Clone)]
pub struct Disposition {
    /// How long nothing is sent.
    pub delay: Duration,
    /// What is sent then.
    pub delivery: Delivery,
}

/// How an answer travels.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// As it should.
    Whole(Response),
    /// With a `Content-Length` of the whole, but only half of it; then the
    /// connection is closed.
    Truncated(Response),
    /// One byte at a time, each after this long.
    Trickle(Response, Duration),
    /// Its head, and then a body that never ends.
    Endless(Response),
    /// Never; the connection stays open.
    Never,
    /// Not at all; the connection is closed.
    Closed,
    /// Not at all; the connection is reset.
    Reset,
}

impl Disposition {
    /// The answer, if a patient client gets it whole.
    pub fn answer(&self) -> Option<&Response> {
        match &self.delivery {
            Delivery::Whole(response) | Delivery::Trickle(response, _) => Some(response),
            Delivery::Truncated(_)
            | Delivery::Endless(_)
            | Delivery::Never
            | Delivery::Closed
            | Delivery::Reset => None,
        }
    }

    /// The status that the client sees, if it sees one.
    pub fn status(&self) -> Option<u16> {
        match &self.delivery {
            Delivery::Whole(it)
            | Delivery::Truncated(it)
            | Delivery::Trickle(it, _)
            | Delivery::Endless(it) => Some(it.status().as_u16()),
            Delivery::Never | Delivery::Closed | Delivery::Reset => None,
        }
    }
}

impl Delivery {
    /// What becomes of the usual answer under this fault.
    pub(super) fn of(reply: Reply, usual: Response) -> Self {
        match reply {
            Reply::AsUsual => Self::Whole(usual),
            Reply::Status { status, retry_after, html } => Self::Whole(refusal(status, retry_after, html)),
            Reply::Redirect { to } => Self::Whole(redirect(&to)),
            Reply::Html => Self::Whole(html(StatusCode::OK, "Please log in")),
            Reply::Empty => Self::Whole(bare(StatusCode::OK)),
            Reply::NoContent => Self::Whole(bare(StatusCode::NO_CONTENT)),
            Reply::WrongId => Self::Whole(edited(usual, another_id)),
            Reply::ActiveMissing => Self::Whole(edited(usual, without_active)),
            Reply::ActiveOpposite => Self::Whole(edited(usual, opposite_active)),
            Reply::Truncated => Self::Truncated(usual),
            Reply::Trickle { every } => Self::Trickle(usual, every),
            Reply::Endless => Self::Endless(usual),
            Reply::Hang => Self::Never,
            Reply::Close => Self::Closed,
            Reply::Reset => Self::Reset,
        }
    }
}

fn refusal(status: u16, retry_after: Option<String>, as_html: bool) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut response =
        if as_html { html(status, reason) } else { api_error(status, "simulated_fault", reason) };
    if let Some(value) = retry_after.and_then(|it| HeaderValue::from_str(&it).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn redirect(to: &str) -> Response {
    let mut response = bare(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Edits every object of `data`, which is one or a list of them.
fn edited(usual: Response, edit: fn(&mut serde_json::Map<String, Value>)) -> Response {
    let Some(mut body) = json(&usual) else { return usual };
    match body.get_mut("data") {
        Some(Value::Object(one)) => edit(one),
        Some(Value::Array(many)) => many.iter_mut().filter_map(Value::as_object_mut).for_each(edit),
        _ => return usual,
    }
    let mut response = answer::json_of(usual.status(), &body);
    response.headers_mut().extend(usual.headers().clone());
    response
}

fn another_id(object: &mut serde_json::Map<String, Value>) {
    object.insert("id".to_owned(), Uuid::from_u128(u128::MAX).to_string().into());
}

fn without_active(object: &mut serde_json::Map<String, Value>) {
    object.remove("active");
}

fn opposite_active(object: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Bool(active)) = object.get_mut("active") {
        *active = !*active;
    }
}
