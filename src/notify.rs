//! TELLS PEOPLE: sends notices to webhooks, and the heartbeat.
//!
//! What to tell is decided in [`crate::domain::notice`]. Addresses are secrets:
//! none is ever in an error or in the log.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{HeaderName, RETRY_AFTER};
use reqwest::{StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::domain::event::Event;
use crate::domain::notice::{Address, Format, Heartbeat, Notice, Part, Target};
use crate::key::{self, Environment};

/// A webhook that does not answer by then is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A webhook may ask for a longer break, and gets this.
const LONGEST_BREAK: Duration = Duration::from_mins(15);

/// Names the notice, so that a receiver knows one that comes twice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Slack cuts longer texts off. Bytes of a text, and characters of a line of it.
const LONGEST_TEXT: usize = 3500;
const LONGEST_LINE: usize = 500;

/// More syncs of a kind than this are only counted.
const MOST_SYNCS: usize = 100;

/// Why a notice was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no address to send it to.
    #[error("there is no address: {0}")]
    NoAddress(String),
    /// No answer came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The receiver has trouble, or wants a break.
    #[error("answered with {status}")]
    Later {
        /// The status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The receiver cannot read this one notice; another may do.
    #[error("refused with {0}")]
    Unreadable(u16),
    /// The receiver does not want it. What it said is not repeated: some tell
    /// the address, which is a secret.
    #[error("refused with {0}")]
    Refused(u16),
}

/// The client that all targets share: it follows no redirect, which would carry
/// what is told to a stranger, and asks no proxy.
#[derive(Debug, Clone)]
pub struct Messenger {
    client: reqwest::Client,
    host: String,
}

impl Messenger {
    /// `None` if the system's certificate authorities cannot be read.
    pub fn new() -> Option<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("intermission/", env!("CARGO_PKG_VERSION")))
            .build()
            .ok()?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Some(Self { client, host })
    }

    /// Sends one notice once.
    pub async fn send(&self, target: &Target, notice: &Notice) -> Result<(), SendError> {
        let url = address(&target.address, &key::process_environment)?;
        let body = match target.format {
            Format::Slack => slack(notice, &self.host),
            Format::Json => object(notice, &self.host),
        };
        let request = self.client.post(url).header(IDEMPOTENCY_KEY, &notice.id).json(&body);
        self.ask(request).await
    }

    /// Says once that all is well.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), SendError> {
        let url = address(&heartbeat.address, &key::process_environment)?;
        self.ask(self.client.get(url)).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<(), SendError> {
        let answer = request.send().await.map_err(|error| SendError::NoAnswer(without_address(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let is_later = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        if is_later {
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
            let retry_after = seconds.map(|it| Duration::from_secs(it).min(LONGEST_BREAK));
            return Err(SendError::Later { status: status.as_u16(), retry_after });
        }
        let is_about_this_one = matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::UNPROCESSABLE_ENTITY
        );
        let refused = if is_about_this_one { SendError::Unreadable } else { SendError::Refused };
        Err(refused(status.as_u16()))
    }
}

/// Reads the address. It is read anew each time, as keys are.
fn address(address: &Address, environment: &Environment<'_>) -> Result<Url, SendError> {
    let read = match address {
        Address::Written(url) => url.clone(),
        Address::Kept(source) => {
            key::read(source, environment).map_err(|error| SendError::NoAddress(error.with_cause()))?
        }
    };
    parse(&read).map_err(|problem| SendError::NoAddress(problem.to_owned()))
}

/// What is wrong with an address, without the address.
pub fn check(address: &Address, environment: &Environment<'_>) -> Result<(), String> {
    self::address(address, environment).map(drop).map_err(|error| error.to_string())
}

/// The host that it leads to, and nothing else of it; none if there is no address.
pub fn host(address: &Address, environment: &Environment<'_>) -> Option<String> {
    self::address(address, environment).ok()?.host_str().map(str::to_owned)
}

fn parse(text: &SecretString) -> Result<Url, &'static str> {
    let url = Url::parse(text.expose_secret()).map_err(|_| "it is no URL")?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err("it does not start with `https://`, and would be sent in the clear"),
        _ => Err("it does not start with `https://`"),
    }
}

/// Whether it leads to this machine, so that a secret may go there in the clear.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// All causes in a line. The error itself would name the address.
fn without_address(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(it) = cause {
        text = it.to_string();
        cause = it.source();
    }
    text
}

/// A message in Slack's markup.
fn slack(notice: &Notice, host: &str) -> Value {
    let mut text = format!("*{}*", escaped(&cut(&notice.title)));
    for line in notice.lines() {
        let line = escaped(&cut(&line));
        if text.len() + line.len() > LONGEST_TEXT {
            text.push_str("\n• …");
            break;
        }
        text.push_str("\n• ");
        text.push_str(&line);
    }
    json!({ "text": format!("{text}\n_intermission on {}_", escaped(host)) })
}

/// A line, at most so long. A name may hold anything.
fn cut(line: &str) -> String {
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = plain.clone().take(LONGEST_LINE).collect();
    if plain.count() > LONGEST_LINE {
        text.push('…');
    }
    text
}

/// The three characters that Slack's markup takes for its own
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Everything there is to say.
fn object(notice: &Notice, host: &str) -> Value {
    json!({
        "id": notice.id,
        "at": notice.at,
        "host": host,
        "window": notice.window,
        "title": notice.title,
        "text": notice.lines().join("\n"),
        "events": notice.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn part(part: &Part) -> Value {
    json!({
        "event": part.kind.as_str(),
        "count": part.events.len(),
        "items": part.events.iter().take(MOST_SYNCS).map(item).collect::<Vec<_>>(),
    })
}

fn item(event: &Event) -> Value {
    json!({
        "organization": event.sync.as_ref().map(|it| it.organization.as_str()),
        "kind": event.sync.as_ref().map(|it| it.kind.as_str()),
        "id": event.sync.as_ref().map(|it| it.id),
        "name": event.name,
        "window": event.window,
        "occurrence": event.occurrence,
        "by": event.by,
        "attempt": event.attempt,
        "error": event.error,
        "detail": event.detail,
        "description": event.description,
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::event::EventKind;

    fn rejected(error: &str) -> Notice {
        let event = Event { error: Some(error.to_owned()), ..Event::new(EventKind::ConfigRejected) };
        let part = Part { kind: event.kind, events: vec![event.clone()] };
        let at = DateTime::UNIX_EPOCH;
        Notice { id: "7".to_owned(), at, window: None, title: event.to_string(), parts: vec![part] }
    }

    #[test]
    fn what_slack_takes_for_markup_is_escaped_and_long_texts_are_cut() {
        let sent = slack(&rejected("a <b> & c"), "db<1>");
        assert_eq!(
            sent["text"],
            "*Configuration rejected: a &lt;b&gt; &amp; c*\n_intermission on db&lt;1&gt;_"
        );
        let long = slack(&rejected(&"ä".repeat(10_000)), "host");
        assert!(long["text"].as_str().unwrap().chars().count() < 4000);
    }

    #[test]
    fn an_object_has_everything_in_it() {
        let sent = object(&rejected("x"), "host");
        assert_eq!((&sent["id"], &sent["host"]), (&json!("7"), &json!("host")));
        assert_eq!(sent["events"][0]["event"], "config_rejected");
        assert_eq!(sent["events"][0]["items"][0]["error"], "x");
    }

    #[test]
    fn addresses_are_https_or_on_this_machine() {
        let said = |text: &str| check(&Address::Written(text.to_owned().into()), &|_| None);
        for good in
            ["https://hooks.example.com/T/B", "http://127.0.0.1:1/x", "http://[::1]/", "http://localhost/"]
        {
            assert_eq!(said(good), Ok(()), "{good}");
        }
        for bad in ["http://hooks.example.com/s3cret", "ftp://example.com/s3cret", "s3cret", ""] {
            let error = said(bad).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn of_an_address_only_the_host_is_told() {
        let host = |text: &str| host(&Address::Written(text.to_owned().into()), &|_| None);
        assert_eq!(
            host("https://me:s3cret@hooks.example.com:8443/T/B?k=s3cret#f"),
            Some("hooks.example.com".to_owned())
        );
        assert_eq!(host("s3cret"), None);
    }
}
