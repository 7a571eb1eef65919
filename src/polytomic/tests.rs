//! The client, held against servers that misbehave.

mod answers;
mod faults;
mod hostile;
mod http2;
mod keys;
mod lists;
mod server;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use server::{Act, Server, answer, header};
use uuid::Uuid;

use super::*;
use crate::domain::organization::{KeySource, Proxy};
use crate::domain::sync::SyncState;

const KEY: &str = "8e5dcfdd-d23d-4e6f-a136-119e1254847b";
const ID: &str = "248df4b7-aa70-47b8-a036-33ac447e668d";
const OTHER_ID: &str = "9d1f0f1e-0000-4000-8000-000000000001";

/// The header that the API puts on its answers.
const API: &str = "x-polytomic-version: 2025-09-18";

fn organization(url: &str) -> Organization {
    Organization {
        name: "default".into(),
        url: url.to_owned(),
        api_version: "2025-09-18".to_owned(),
        organization_id: None,
        key: KeySource::Environment("NOBODY_READS_THIS".to_owned()),
        ca_file: None,
        proxy: Proxy::None,
    }
}

fn limits() -> Limits {
    Limits { request_timeout: Duration::from_secs(20), ..Limits::default() }
}

fn client(url: &str) -> Client {
    Client::new(&organization(url), limits(), always(KEY)).unwrap()
}

/// For what is to time out.
fn impatient(url: &str) -> Client {
    let limits = Limits { request_timeout: Duration::from_millis(300), ..limits() };
    Client::new(&organization(url), limits, always(KEY)).unwrap()
}

fn always(key: &'static str) -> KeyReader {
    Arc::new(move || Ok(key.into()))
}

fn sync(kind: SyncKind) -> SyncRef {
    SyncRef::new("default".into(), kind, ID.parse().unwrap())
}

fn model() -> SyncRef {
    sync(SyncKind::Model)
}

fn data(id: &str, active: bool) -> String {
    format!(r#"{{"data":{{"id":"{id}","active":{active}}}}}"#)
}

fn confirmed(active: bool) -> Act {
    answer(200, &[API], &data(ID, active))
}

/// What a pause meets: `applied`, or refused or unknown and why.
fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied => "applied".to_owned(),
        Verdict::Refused(failure) => format!("refused {}", failure.kind),
        Verdict::Unknown(failure) => format!("unknown {}", failure.kind),
    }
}
