//! The control socket: HTTP on a Unix socket, by which the command line talks
//! to the daemon. It is the only way to change anything. Beside it, on TCP and
//! only to look at: the status page, the HTTP API and the metrics.
//!
//! Requests are turned into [`Ask`]s for the daemon's loop, which answers each;
//! this module knows neither the ledger nor the API.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

pub mod api;
mod axis;
mod connection;
#[cfg(test)]
mod contrast;
pub mod ics;
mod page;
pub mod peer;
mod public;
pub mod svg;
pub mod times;

pub use public::{Listening, listen, listen_with};

use api::{
    Ask, CalendarAnswer, CalendarRequest, ExemptRequest, ExtendRequest, ForgetRequest, HistoryRequest,
    PauseRequest, Refusal, ResumeRequest, WhyRequest,
};
use peer::Peer;

/// A request's body is at most this long.
const BODY_LIMIT: usize = 1 << 20;

/// How many questions may wait for the daemon's loop.
pub const QUEUE: usize = 64;

/// Binds the control socket: mode 0660, so that its group may use it.
///
/// A socket that a dead daemon left behind is replaced; one that answers, or
/// what is no socket, is somebody else's and stays.
pub fn bind(path: &Path) -> io::Result<(UnixListener, Bound)> {
    let in_use = |what| io::Error::new(io::ErrorKind::AddrInUse, what);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(in_use("there is a file that is no socket"));
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(in_use("another daemon answers there"));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    let inode = std::fs::symlink_metadata(path)?.ino();
    Ok((listener, Bound { path: path.to_owned(), inode }))
}

/// A control socket that is ours.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    inode: u64,
}

impl Bound {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    /// Takes the socket away, unless another one is in its place by now.
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|it| it.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Serves the control socket until the daemon's loop is gone.
pub async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>) -> io::Result<()> {
    let routes = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/history", get(history))
        .route("/api/v1/calendar", get(calendar))
        .route("/api/v1/names", get(names))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/resume", post(resume))
        .route("/api/v1/pause", post(pause))
        .route("/api/v1/extend", post(extend))
        .route("/api/v1/exempt", post(exempt))
        .route("/api/v1/why", get(why))
        .route("/api/v1/forget", post(forget))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(asks);
    axum::serve(listener, routes.into_make_service_with_connect_info::<Peer>()).await
}

async fn status(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    answer(asks, Ask::Status).await
}

async fn history(State(asks): State<mpsc::Sender<Ask>>, Asked(request): Asked<HistoryRequest>) -> Response {
    answer_or_refuse(asks, |reply| Ask::History { request, reply }).await
}

/// What is in force. It is worked out beside the loop: a year of many windows
/// takes a while.
async fn calendar(
    State(asks): State<mpsc::Sender<Ask>>,
    Asked(request): Asked<CalendarRequest>,
) -> Result<Response, Refusal> {
    let snapshot = ask(asks, Ask::Snapshot).await?;
    let work = move || CalendarAnswer::of(&snapshot, request);
    let broken = |_| Refusal::Stopping { message: "the calendar could not be worked out".to_owned() };
    Ok(axum::Json(tokio::task::spawn_blocking(work).await.map_err(broken)??).into_response())
}

async fn names(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    answer(asks, Ask::Names).await
}

async fn reload(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    answer_or_refuse(asks, |reply| Ask::Reload { reply }).await
}

async fn resume(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: String,
) -> Response {
    match parse::<ResumeRequest>(&body) {
        Ok(request) => answer_or_refuse(asks, |reply| Ask::Resume { request, by: peer.by(), reply }).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn pause(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: String,
) -> Response {
    match parse::<PauseRequest>(&body) {
        Ok(request) => answer_or_refuse(asks, |reply| Ask::Pause { request, by: peer.by(), reply }).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn extend(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: String,
) -> Response {
    match parse::<ExtendRequest>(&body) {
        Ok(request) => answer_or_refuse(asks, |reply| Ask::Extend { request, by: peer.by(), reply }).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn exempt(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: String,
) -> Response {
    match parse::<ExemptRequest>(&body) {
        Ok(request) => answer_or_refuse(asks, |reply| Ask::Exempt { request, by: peer.by(), reply }).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn why(State(asks): State<mpsc::Sender<Ask>>, Asked(request): Asked<WhyRequest>) -> Response {
    answer_or_refuse(asks, |reply| Ask::Why { sync: request.sync, reply }).await
}

async fn forget(
    State(asks): State<mpsc::Sender<Ask>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: String,
) -> Response {
    match parse::<ForgetRequest>(&body) {
        Ok(request) => answer_or_refuse(asks, |reply| Ask::Forget { request, by: peer.by(), reply }).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The loop is alive: it answered.
async fn healthz(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    match ask(asks, Ask::Status).await {
        Ok(_) => "ok\n".into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Recovered, and a configuration is in force.
async fn readyz(State(asks): State<mpsc::Sender<Ask>>) -> Response {
    match ask(asks, Ask::Status).await {
        Ok(status) if status.daemon.config_error.is_none() => "ready\n".into_response(),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "the configuration is wrong\n").into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Refusal> {
    serde_json::from_str(body).map_err(|error| Refusal::BadRequest { message: error.to_string() })
}

async fn ask<T>(asks: mpsc::Sender<Ask>, make: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    let stopping = || Refusal::Stopping { message: "the daemon is stopping".to_owned() };
    asks.send(make(reply)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

async fn answer<T: Serialize>(
    asks: mpsc::Sender<Ask>,
    make: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Response {
    match ask(asks, make).await {
        Ok(value) => axum::Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer_or_refuse<T: Serialize>(
    asks: mpsc::Sender<Ask>,
    make: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Ask,
) -> Response {
    match ask(asks, make).await {
        Ok(Ok(value)) => axum::Json(value).into_response(),
        Ok(Err(refusal)) | Err(refusal) => refusal.into_response(),
    }
}

/// What a request asks for in its query. One that makes no sense is refused as all else is.
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Query(asked) = Query::from_request_parts(parts, state)
            .await
            .map_err(|error| Refusal::BadRequest { message: error.body_text() })?;
        Ok(Self(asked))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::ConfigRejected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Ledger { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Stopping { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, axum::Json(self)).into_response()
    }
}
