//! Any answer of the API, written as HTTP writes it: nothing but the right id
//! with the right state is a confirmation, only the API itself makes a sync
//! gone, and no failure tells the key.

use intermission::domain::sync::{SyncKind, SyncRef, SyncState};
use intermission::domain::verdict::{Failure, FailureKind};
use intermission::polytomic::retry_after::{LONGEST, SHORTEST};
use intermission::polytomic::{Reply, judge};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use uuid::Uuid;

/// The key that was sent, plain and as `Basic` has it. Some of the corpus
/// echoes it.
const SECRETS: [&str; 2] = ["pk-zq7xw3vn9r", "OnBrLXpxN3h3M3ZuOXI="];

const ID: Uuid = Uuid::from_u128(0x248d_f4b7_aa70_47b8_a036_33ac_447e_668d);

pub(crate) fn check(input: &[u8]) {
    let Some(answer) = Answer::of(input) else { return };
    answer.check_confirmation();
    answer.check_look();
    answer.check_lists();
    answer.check_without_body();
    answer.check_canonical();
}

struct Answer<'a> {
    status: StatusCode,
    headers: HeaderMap,
    body: &'a [u8],
    /// The body, read by another way than the client's.
    document: Option<Value>,
    /// An object, but with something in it that the other way cannot read: half
    /// a surrogate, `1e999`, a depth of 200. The client does not look at what it
    /// does not need, and may make sense of the rest.
    is_odd: bool,
}

impl<'a> Answer<'a> {
    /// Of a status line, headers, a blank line and a body. Lines that are no
    /// headers are passed over.
    fn of(input: &'a [u8]) -> Option<Self> {
        let mut headers = HeaderMap::new();
        let (first, mut rest) = line(input);
        let status = str::from_utf8(first).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let status = StatusCode::from_u16(status).ok()?;
        loop {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            let Some(colon) = header.iter().position(|byte| *byte == b':') else { continue };
            let name = HeaderName::from_bytes(&header[..colon]);
            let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let document = serde_json::from_slice(rest).ok();
        let is_object = rest.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<serde::de::IgnoredAny>(rest).is_ok();
        Some(Self { status, headers, body: rest, is_odd: is_object && document.is_none(), document })
    }

    fn judged(&self) -> Result<Reply, Failure> {
        judge(self.status, &self.headers, Ok(self.body.to_vec()), &SECRETS)
    }

    /// Which sync the body says is on or off.
    fn says(&self) -> Option<(Uuid, bool)> {
        let data = self.document.as_ref()?.as_object()?.get("data")?.as_object()?;
        Some((data.get("id")?.as_str()?.parse().ok()?, data.get("active")?.as_bool()?))
    }

    /// Whether the API itself may have said that there is no such thing.
    fn may_be_gone(&self) -> bool {
        let said = self.document.as_ref().and_then(Value::as_object);
        let is_known = self.headers.contains_key("x-polytomic-version");
        let in_its_words = said.is_some_and(|said| {
            let is_text = |name| said.get(name).is_some_and(Value::is_string);
            is_text("key") || is_text("message") && said.get("status") == Some(&Value::from(404))
        });
        self.status == StatusCode::NOT_FOUND
            && (in_its_words || self.is_odd || is_known && (said.is_some() || self.body.is_empty()))
    }

    fn check_confirmation(&self) {
        for active in [true, false] {
            match self.judged().and_then(|reply| reply.confirms(&sync(), active)) {
                Ok(()) => {
                    assert!(self.status.is_success());
                    assert!(self.is_odd || self.says() == Some((ID, active)), "a confirmation that is none");
                }
                Err(failure) => {
                    self.check_failure(&failure);
                    let status = self.status.as_u16();
                    let turned_away = matches!(status, 300..=499) && !matches!(status, 408 | 409 | 425);
                    assert_eq!(failure.kind.surely_not_applied(), turned_away, "{status}: {failure}");
                    assert!(failure.kind != FailureKind::Gone || self.may_be_gone(), "{failure}");
                }
            }
        }
    }

    fn check_look(&self) {
        match self.judged().and_then(|reply| reply.looked(&sync())) {
            Ok(looked) => {
                match looked.state {
                    SyncState::Gone => assert!(self.may_be_gone(), "gone, but who says so?"),
                    state => assert!(self.is_odd || self.says() == Some((ID, state == SyncState::Active))),
                }
                [looked.name, looked.updated_by].iter().flatten().for_each(|text| check_words(text, 201));
            }
            Err(failure) => self.check_failure(&failure),
        }
    }

    fn check_lists(&self) {
        for kind in [SyncKind::Model, SyncKind::Bulk] {
            match self.judged().and_then(|reply| reply.page(kind)) {
                Ok(page) => {
                    assert!(page.next.is_none_or(|token| !token.is_empty()));
                    for listed in page.syncs {
                        assert_eq!(listed.kind, kind);
                        let words = [listed.name, listed.mode, listed.frequency, listed.updated_by];
                        words.iter().flatten().for_each(|text| check_words(text, 201));
                    }
                }
                Err(failure) => self.check_failure(&failure),
            }
        }
        match self.judged().and_then(Reply::status) {
            Ok(status) => {
                for execution in [&status.current, &status.last].into_iter().flatten() {
                    [&execution.id, &execution.status]
                        .into_iter()
                        .flatten()
                        .for_each(|it| check_words(it, 201));
                }
                assert!(status.current.is_some() || !status.is_running());
            }
            Err(failure) => self.check_failure(&failure),
        }
        match self.judged().and_then(Reply::me) {
            Ok(me) => {
                let words = [me.organization_name, me.email, me.role];
                words.iter().flatten().for_each(|text| check_words(text, 201));
            }
            Err(failure) => self.check_failure(&failure),
        }
    }

    /// A body that did not arrive confirms nothing and makes nothing gone.
    fn check_without_body(&self) {
        let lost = Failure::new(FailureKind::Timeout, "no whole answer");
        let judged = judge(self.status, &self.headers, Err(lost), &SECRETS);
        self.check_failure(&judged.err().expect("there is nothing to go by"));
    }

    /// The other direction: written without ornament, what the body says is
    /// heard.
    fn check_canonical(&self) {
        let Some(document) = &self.document else { return };
        let body = serde_json::to_vec(document).unwrap();
        for active in [true, false] {
            let reply = judge(StatusCode::OK, &HeaderMap::new(), Ok(body.clone()), &SECRETS);
            let is_confirmed = reply.and_then(|reply| reply.confirms(&sync(), active)).is_ok();
            assert_eq!(is_confirmed, self.says() == Some((ID, active)), "{document}");
        }
    }

    fn check_failure(&self, failure: &Failure) {
        check_words(&failure.message, 1000);
        for secret in SECRETS {
            assert!(!failure.message.contains(secret), "the key is told: {failure}");
        }
        if let Some(wait) = failure.retry_after {
            assert!((SHORTEST..=LONGEST).contains(&wait), "{wait:?}");
            assert!(matches!(self.status.as_u16(), 429 | 503), "{}", self.status);
        }
    }
}

/// One line of bounded length that a terminal can bear.
fn check_words(text: &str, longest: usize) {
    assert!(!text.is_empty() && text.chars().count() <= longest, "{text:?}");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(!text.contains(['\u{200e}', '\u{200f}', '\u{202e}', '\u{2066}', '\u{2069}']), "{text:?}");
}

/// The first line without its end, and what comes after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]), &text[end + 1..]),
        None => (text, &[]),
    }
}

fn sync() -> SyncRef {
    SyncRef::new("default".into(), SyncKind::Model, ID)
}
