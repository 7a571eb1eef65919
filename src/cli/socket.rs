//! Talks to the daemon over its control socket.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Global;
use super::failure::Failure;
use crate::config::Config;
use crate::daemon;
use crate::reconcile::Why;
use crate::web::api::{
    CalendarAnswer, CalendarRequest, ExemptRequest, ExtendRequest, ForgetRequest, Forgotten, HistoryRequest,
    JournalLine, Names, Ordered, PauseRequest, Refusal, Reloaded, ResumeAnswer, ResumeRequest, Status,
    WhyRequest,
};

/// A daemon answers from memory: what takes longer than this is not coming.
const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// Nobody answers, or not to the end.
    #[error("the daemon cannot be reached at `{}`", socket.display())]
    Unreachable {
        /// Where it was sought.
        socket: PathBuf,
        /// Why not.
        source: reqwest::Error,
    },
    /// Something answers, but not as a daemon does.
    #[error("the daemon at `{}` gave an answer that cannot be understood", socket.display())]
    Garbled {
        /// Who answered.
        socket: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The daemon, as far as it can be reached.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    http: reqwest::Client,
}

impl Socket {
    /// The socket of the daemon that these arguments are about.
    pub(super) fn of(global: &Global) -> Result<Self, Failure> {
        let path = path(global);
        let http = reqwest::Client::builder()
            .unix_socket(path.as_path())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|source| SocketError::Unreachable { socket: path.clone(), source })?;
        Ok(Self { path, http })
    }

    /// The state of things.
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        self.ask(self.http.get(address("status"))).await
    }

    /// A part of the journal.
    pub(super) async fn history(&self, request: &HistoryRequest) -> Result<Vec<JournalLine>, Failure> {
        self.ask(self.http.get(address("history")).query(request)).await
    }

    /// What is in force.
    pub(super) async fn calendar(&self, request: &CalendarRequest) -> Result<CalendarAnswer, Failure> {
        self.ask(self.http.get(address("calendar")).query(request)).await
    }

    /// What windows and syncs are called.
    pub(super) async fn names(&self) -> Result<Names, Failure> {
        self.ask(self.http.get(address("names"))).await
    }

    /// Reads the configuration again.
    pub(super) async fn reload(&self) -> Result<Reloaded, Failure> {
        self.ask(self.http.post(address("reload"))).await
    }

    /// Ends holds.
    pub(super) async fn resume(&self, request: &ResumeRequest) -> Result<ResumeAnswer, Failure> {
        self.post("resume", request).await
    }

    /// Pauses syncs by hand.
    pub(super) async fn pause(&self, request: &PauseRequest) -> Result<Ordered, Failure> {
        self.post("pause", request).await
    }

    /// Lets an open occurrence close later.
    pub(super) async fn extend(&self, request: &ExtendRequest) -> Result<Ordered, Failure> {
        self.post("extend", request).await
    }

    /// Takes windows away from syncs, or gives them back.
    pub(super) async fn exempt(&self, request: &ExemptRequest) -> Result<Ordered, Failure> {
        self.post("exempt", request).await
    }

    /// Why a sync is paused or not.
    pub(super) async fn why(&self, request: &WhyRequest) -> Result<Why, Failure> {
        self.ask(self.http.get(address("why")).query(request)).await
    }

    /// Drops a row.
    pub(super) async fn forget(&self, request: &ForgetRequest) -> Result<Forgotten, Failure> {
        self.post("forget", request).await
    }

    async fn post<T: DeserializeOwned>(&self, what: &str, request: &impl Serialize) -> Result<T, Failure> {
        self.ask(self.http.post(address(what)).json(request)).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            self.read(response).await
        } else {
            Err(Failure::Refused(self.read::<Refusal>(response).await?))
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let body = response.bytes().await.map_err(|source| self.unreachable(source))?;
        let garbled = |source| SocketError::Garbled { socket: self.path.clone(), source };
        Ok(serde_json::from_slice(&body).map_err(garbled)?)
    }

    fn unreachable(&self, source: reqwest::Error) -> SocketError {
        // The address that was made up below would only confuse.
        SocketError::Unreachable { socket: self.path.clone(), source: source.without_url() }
    }
}

/// The name of the host means nothing on a socket, but HTTP wants one.
fn address(what: &str) -> String {
    format!("http://localhost/api/v1/{what}")
}

/// Where the daemon serves, as far as one can tell from outside of its service:
/// systemd tells only the daemon itself which run-time directory it has.
pub(super) fn path(global: &Global) -> PathBuf {
    path_by(global, None)
}

/// The same, if the file has been read.
pub(super) fn path_by(global: &Global, config: Option<&Config>) -> PathBuf {
    let ledger = daemon::ledger_path(global.state.as_deref(), &global.config, config);
    daemon::named_socket(&global.config, config).unwrap_or_else(|| {
        let beside = daemon::socket_path(&global.config, config, &ledger);
        if beside.exists() { beside } else { PathBuf::from("/run/intermission/control.sock") }
    })
}

impl Failure {
    /// Whether nobody answered, so that the ledger may be asked instead.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Socket(SocketError::Unreachable { .. }) | Self::Refused(Refusal::Stopping { .. })
        )
    }
}
