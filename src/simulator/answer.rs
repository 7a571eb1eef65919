//! Answers as HTTP: JSON, and the API's errors.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::Response;

/// A request turned down, with the `ApiError` that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    key: &'static str,
    message: &'static str,
}

impl Refusal {
    pub(super) fn bad_request(message: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, key: "bad_request", message }
    }

    pub(super) fn unauthorized() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, key: "unauthorized", message: "the API key is not valid" }
    }

    pub(super) fn forbidden() -> Self {
        let message = "this key may not change this sync";
        Self { status: StatusCode::FORBIDDEN, key: "forbidden", message }
    }

    pub(super) fn not_found(message: &'static str) -> Self {
        Self { status: StatusCode::NOT_FOUND, key: "not_found", message }
    }

    pub(super) fn no_such_path() -> Self {
        Self::not_found("there is no such path")
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "this path does not take this method";
        Self { status: StatusCode::METHOD_NOT_ALLOWED, key: "method_not_allowed", message }
    }

    pub(super) fn conflict(message: &'static str) -> Self {
        Self { status: StatusCode::CONFLICT, key: "conflict", message }
    }

    pub(super) fn unprocessable(message: &'static str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, key: "unprocessable", message }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        api_error(refusal.status, refusal.key, refusal.message)
    }
}

/// The body that every error of the API has.
pub(super) fn api_error(status: StatusCode, key: &str, message: &str) -> Response {
    json_of(status, &json!({ "key": key, "message": message, "metadata": {}, "status": status.as_u16() }))
}

/// 200 with this JSON.
pub(super) fn ok(body: &Value) -> Response {
    json_of(StatusCode::OK, body)
}

/// A status and JSON.
pub(super) fn json_of(status: StatusCode, body: &Value) -> Response {
    with_type(status, "application/json", body.to_string())
}

/// A status and a page of HTML, the way a proxy answers.
pub(super) fn html(status: StatusCode, title: &str) -> Response {
    let body = format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n");
    with_type(status, "text/html; charset=utf-8", body)
}

/// A status and nothing else.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = bare(status);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = body.into_bytes();
    response
}
