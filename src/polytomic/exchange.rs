//! One request and its answer.
//!
//! Here the key is put on, the body is bounded, and a 401 is given its one
//! second chance. What the answer means is for the caller.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use reqwest::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::connect::VERSION;
use super::{KeyReader, Limits, retry_after, wire, words};
use crate::domain::verdict::{Failure, FailureKind};

const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What carries requests to one organization's API.
pub(super) struct Line {
    pub(super) http: reqwest::Client,
    pub(super) limits: Limits,
    /// With a partner's or a deployment's key: whom it acts for.
    pub(super) acting_for: Option<Uuid>,
    pub(super) read_key: KeyReader,
    /// The key as last read.
    pub(super) key: Mutex<Option<Arc<SecretString>>>,
    /// However many callers there are, no more requests than this.
    pub(super) places: Semaphore,
    /// A list has a place of its own, so that none of its pages is in the way of
    /// a pause or a resume.
    pub(super) list_place: Semaphore,
    pub(super) last: Mutex<LastAnswer>,
}

/// What the last answer told besides its body.
#[derive(Debug, Clone, Default)]
pub(super) struct LastAnswer {
    pub(super) date: Option<DateTime<Utc>>,
    pub(super) version: Option<String>,
}

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<&'static str>,
    /// Whether it may be sent again at once with another key. Not a pause: it rests on a look,
    /// and has its time.
    pub(super) may_be_repeated: bool,
    /// The largest answer that is read, in bytes.
    pub(super) largest: usize,
}

/// A 2xx with its whole body, or a 404 of which the API itself says that it is
/// one. Everything else is a [`Failure`].
#[derive(Clone)]
pub enum Reply {
    /// The body, which nobody has read yet.
    Body(Vec<u8>),
    /// There is no such thing.
    NotFound(Failure),
}

/// What an answer is, from all of it that there is: its status, its headers,
/// and its body or why that did not arrive. A failure's message holds none of
/// the secrets.
pub fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: Result<Vec<u8>, Failure>,
    secrets: &[&str],
) -> Result<Reply, Failure> {
    if status.is_success() {
        return body.map(Reply::Body);
    }
    // The status stands, with or without its explanation.
    let body = body.ok();
    let error = body.as_deref().and_then(|body| wire::object::<wire::Error>(body).ok());
    let failure = refused(status, headers, error.as_ref(), secrets);
    if status != StatusCode::NOT_FOUND {
        return Err(failure);
    }
    if is_the_apis_own(headers, body.as_deref(), error.as_ref()) {
        return Ok(Reply::NotFound(Failure { kind: FailureKind::Gone, ..failure }));
    }
    let message = format!("{}, but not in the API's words (a proxy, or a wrong `url`?)", failure.message);
    Err(Failure { message, ..failure })
}

impl Reply {
    /// What the API says, where "there is no such thing" is a failure too.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<wire::Envelope<T>, Failure> {
        match self {
            Self::NotFound(failure) => Err(failure),
            Self::Body(body) if body.is_empty() => Err(malformed("the API answered without a body")),
            Self::Body(body) => wire::object(&body).map_err(|error| {
                let line = std::str::from_utf8(&body).unwrap_or_default().trim_start();
                malformed(match error.classify() {
                    _ if line.starts_with('<') => "the answer is a web page (a proxy, or a wrong `url`?)",
                    serde_json::error::Category::Eof => "the answer ends in the middle of its JSON",
                    serde_json::error::Category::Data => "the answer is JSON, but not as the API writes it",
                    _ => "the answer is no JSON (a proxy, or a wrong `url`?)",
                })
            }),
        }
    }
}

/// An answer that is none.
pub(super) fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Malformed, message)
}

impl Line {
    /// Asks, and, if that may be, asks once more at once if the key was refused and there is
    /// another one by now. A request that was answered 401 was not applied.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Reply, Failure> {
        self.ask_in(&self.places, ask).await
    }

    /// The same for a page of a list.
    pub(super) async fn ask_aside(&self, ask: &Ask) -> Result<Reply, Failure> {
        self.ask_in(&self.list_place, ask).await
    }

    async fn ask_in(&self, places: &Semaphore, ask: &Ask) -> Result<Reply, Failure> {
        // Never closed, so there is always a place at some time.
        let _place = places.acquire().await;
        let key = self.key().await?;
        match self.ask_with(ask, &key).await {
            Err(refused) if refused.kind == FailureKind::Unauthorized => match self.read_again().await {
                Ok(new) if ask.may_be_repeated && new.expose_secret() != key.expose_secret() => {
                    self.ask_with(ask, &new).await
                }
                // The next request has the new one, if it is one.
                Ok(_) => Err(refused),
                Err(unread) => {
                    let message = format!("{}; {}", refused.message, unread.message);
                    Err(Failure { message, ..refused })
                }
            },
            answer => answer,
        }
    }

    /// Reads the key anew, for the requests from now on.
    pub(super) async fn read_again(&self) -> Result<Arc<SecretString>, Failure> {
        let read = Arc::clone(&self.read_key);
        // The file may lie on a disk that hangs; the runtime must not. Nor may
        // it panic for want of a thread, as its own pool would.
        let (answer, answered) = oneshot::channel();
        std::thread::Builder::new()
            .name("key".to_owned())
            .spawn(move || answer.send(read()).is_ok())
            .map_err(|error| no_key(&format!("there is no thread to read it with: {error}")))?;
        let key = match answered.await {
            Ok(Ok(key)) => key,
            Ok(Err(reason)) => return Err(no_key(&reason)),
            Err(_) => return Err(no_key("reading it was broken off")),
        };
        let key: SecretString = key.expose_secret().trim().into();
        if key.expose_secret().is_empty() {
            return Err(no_key("it is empty"));
        }
        if !key.expose_secret().chars().all(|c| c.is_ascii_graphic()) {
            return Err(no_key("it holds a blank or a character that no key has"));
        }
        let key = Arc::new(key);
        *lock(&self.key) = Some(Arc::clone(&key));
        Ok(key)
    }

    async fn key(&self) -> Result<Arc<SecretString>, Failure> {
        let known = lock(&self.key).clone();
        match known {
            Some(key) => Ok(key),
            None => self.read_again().await,
        }
    }

    async fn ask_with(&self, ask: &Ask, key: &SecretString) -> Result<Reply, Failure> {
        let Limits { request_timeout, connect_timeout, .. } = self.limits;
        let unanswered =
            |error: reqwest::Error| words::unanswered(&error.without_url(), request_timeout, connect_timeout);
        let request = self.request(ask, key).build().map_err(unanswered)?;
        // As it is sent: with `Basic`, the key is in there in another form.
        let sent = request.headers().get(AUTHORIZATION).cloned();
        let sent = sent.as_ref().and_then(|value| value.to_str().ok()?.split(' ').nth(1));
        let secrets = [key.expose_secret(), sent.unwrap_or_default()];

        let response = self.http.execute(request).await.map_err(unanswered)?;
        self.remember(response.headers());
        self.hear(response, ask.largest, &secrets).await
    }

    fn request(&self, ask: &Ask, key: &SecretString) -> RequestBuilder {
        let request = self.http.request(ask.method.clone(), ask.url.clone());
        let request = match self.acting_for {
            Some(organization) => request.basic_auth(organization, Some(key.expose_secret())),
            None => request.bearer_auth(key.expose_secret()),
        };
        match ask.body {
            // No `Idempotency-Key`: the API would replay a remembered answer,
            // a 500 among them, for a day, without acting. Switching a sync on
            // or off is idempotent as it is.
            Some(json) => request.header(CONTENT_TYPE, "application/json").body(json),
            None => request.header(CACHE_CONTROL, "no-cache"),
        }
    }

    async fn hear(&self, mut response: Response, largest: usize, secrets: &[&str]) -> Result<Reply, Failure> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        judge(status, &headers, self.body(response, largest).await, secrets)
    }

    /// All of the body, if it comes in time and is not too large. The time is
    /// that of the whole request, however slowly the bytes drip.
    async fn body(&self, mut response: Response, largest: usize) -> Result<Vec<u8>, Failure> {
        let too_large = || malformed(format!("the answer is larger than {} MiB", largest / (1024 * 1024)));
        if response.content_length().is_some_and(|length| length > largest as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(body),
                Ok(Some(chunk)) if body.len() + chunk.len() > largest => return Err(too_large()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) if error.is_timeout() => {
                    let whole = self.limits.request_timeout;
                    return Err(Failure::new(
                        FailureKind::Timeout,
                        format!("no whole answer within {whole:?}"),
                    ));
                }
                Err(error) => {
                    let cause = words::cause(&error.without_url());
                    return Err(malformed(format!("the answer was cut short: {cause}")));
                }
            }
        }
    }

    fn remember(&self, headers: &HeaderMap) {
        *lock(&self.last) = LastAnswer {
            date: text(headers, &DATE).and_then(retry_after::http_date),
            version: text(headers, &VERSION).map(words::clean),
        };
    }
}

/// What an answer other than 2xx means.
fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    error: Option<&wire::Error>,
    secrets: &[&str],
) -> Failure {
    // An API or a proxy may echo what it was sent.
    let quoted = |text: &str| words::clean_without(secrets, text);
    let mut message = words::answered(status);
    if let Some(said) =
        error.and_then(|error| error.message.as_deref()).filter(|said| !said.trim().is_empty())
    {
        message = format!("{message}: {}", quoted(said));
    }
    let kind = words::kind(status);
    if kind == FailureKind::Redirected {
        let elsewhere = text(headers, &LOCATION).and_then(|to| Url::parse(to).ok());
        let elsewhere = elsewhere.as_ref().and_then(Url::host_str).unwrap_or("another address");
        let elsewhere = quoted(elsewhere);
        message = format!("{message} to {elsewhere}; redirects are not followed (check `url`)");
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        message = format!("{message} (from a proxy that wants a password: check `proxy`)");
    }
    let asked = text(headers, &RETRY_AFTER);
    // Only these two are about pace.
    let wait = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        .then(|| {
            let now = text(headers, &DATE).and_then(retry_after::http_date);
            retry_after::retry_after(asked, text(headers, &RESET), now)
        })
        .flatten();
    if let (Some(wait), Some(asked)) = (wait, asked) {
        message = format!("{message}, and to come back in {wait:?} (Retry-After: {})", quoted(asked));
    }
    Failure { kind, message, retry_after: wait }
}

/// Whether the API itself says that there is no such thing. A proxy whose
/// backend is being replaced answers 404 too, and must not make a sync look
/// deleted: so either the version header that the API puts on each of its
/// answers, or an error of the API's form: frameworks behind gateways write a
/// `message` or a `status` of their own, not both and no `key`.
fn is_the_apis_own(headers: &HeaderMap, body: Option<&[u8]>, error: Option<&wire::Error>) -> bool {
    let Some(body) = body else { return false };
    match error {
        Some(error) if headers.contains_key(VERSION) => error.status.is_none_or(|status| status == 404),
        Some(error) => error.key.is_some() || error.status == Some(404) && error.message.is_some(),
        None => headers.contains_key(VERSION) && body.is_empty(),
    }
}

fn no_key(reason: &str) -> Failure {
    Failure::new(FailureKind::Key, format!("could not read the API key: {}", words::clean(reason)))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The value is whole at any time, so a panic elsewhere does not spoil it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
