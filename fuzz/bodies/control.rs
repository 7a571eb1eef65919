//! Any text as a question or an answer on the control socket: what is read is
//! the same when it is written and read again, at either end.

use std::fmt::Debug;
use std::sync::LazyLock;

use axum::extract::Query;
use axum::http::Uri;
use intermission::domain::sync::{SyncKind, SyncRef, find_sync};
use intermission::web::api::{
    ForgetRequest, Forgotten, HistoryRequest, JournalLine, Refusal, Reloaded, ResumeAnswer, ResumeRequest,
    Status,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    check_query(text.trim());
    check_name(text.trim());
    if let Some(resume) = again::<ResumeRequest>(text) {
        resume.syncs.iter().for_each(|name| check_name(name));
    }
    if let Some(forget) = again::<ForgetRequest>(text) {
        check_name(&forget.sync);
    }
    again::<HistoryRequest>(text);
    again::<Status>(text);
    again::<Vec<JournalLine>>(text);
    again::<Reloaded>(text);
    again::<ResumeAnswer>(text);
    again::<Forgotten>(text);
    if let Some(refusal) = again::<Refusal>(text) {
        let _ = refusal.to_string();
    }
}

/// Reads, writes and reads again.
fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&value).expect("what was read can be written");
    match serde_json::from_str::<T>(&written) {
        Ok(second) => assert_eq!(second, value, "{written}"),
        Err(error) => panic!("{error}: {written}"),
    }
    Some(value)
}

/// `history` is asked for by a query: as the daemon reads it, as the command
/// line writes it, and once more.
fn check_query(text: &str) {
    static HTTP: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().no_proxy().build().expect("a client without a proxy"));
    // What is longer may be too long for a URI once it is written with `%`.
    let Some(request) = heard(text).filter(|_| text.len() < 8192) else { return };
    let sent = HTTP.get("http://localhost/").query(&request).build().expect("a question can be asked");
    assert_eq!(heard(sent.url().query().unwrap_or_default()), Some(request), "{}", sent.url());
}

fn heard(query: &str) -> Option<HistoryRequest> {
    let uri: Uri = format!("http://localhost/?{query}").parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(request)| request)
}

/// Whatever a sync is called by: one that is known is meant, or none.
fn check_name(text: &str) {
    let sync =
        |organization: &str, id| SyncRef::new(organization.into(), SyncKind::Model, Uuid::from_u128(id));
    let known = [sync("default", 1), sync("default", 2), sync("emea", 1)];
    let named = known.iter().zip([Some("Contacts"), None, Some("Leads")]);
    match find_sync(text, named) {
        Ok(found) => assert!(known.contains(&found), "{found}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
