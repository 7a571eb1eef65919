//! What is served on TCP: the status page, the HTTP API and the metrics. Nothing
//! here can change anything.
//!
//! The daemon's loop is asked at most once a second, however many look; all the
//! rest is worked out here, one piece of work at a time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::api::{Ask, HistoryRequest, JournalLine, Refusal, Snapshot, Upcoming, WindowLine};
use super::connection::Bounded;
use super::svg::{self, Timeline};
use super::{Asked, ask, ics, page};
use crate::domain::calendar::Calendar;
use crate::domain::sync::Name;
use crate::metrics::{self, Metrics};
use crate::reconcile::Planned;

/// An answer of the loop is good for so long.
const FRESH: Duration = Duration::from_secs(1);

/// Between two questions about one thing.
const PACE: Duration = Duration::from_millis(20);

/// A loop that does not answer within this time is not well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of the journal, the page shows so much.
const SHOWN: usize = 25;

/// The longest span that is looked ahead.
const MOST_DAYS: i64 = 92;

/// The document that describes the API.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Nothing from elsewhere, nothing inline, nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For the picture, whose style is within it, as it has to be in a file that is
/// passed on: that style is ours, and a sandbox runs nothing.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/// A socket that is being served, until this is dropped.
#[derive(Debug)]
pub struct Listening {
    wanted: SocketAddr,
    address: SocketAddr,
    _until: oneshot::Sender<()>,
}

impl Listening {
    /// The address that was asked for.
    pub fn wanted(&self) -> SocketAddr {
        self.wanted
    }

    /// The address that is served, its port known.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves this address. Needs a runtime around it.
pub fn listen(wanted: SocketAddr, asks: mpsc::Sender<Ask>, metrics: Metrics) -> std::io::Result<Listening> {
    listen_with(wanted, asks, metrics, FRESH)
}

/// Same, with answers of the loop that are good for so long.
pub fn listen_with(
    wanted: SocketAddr,
    asks: mpsc::Sender<Ask>,
    metrics: Metrics,
    fresh: Duration,
) -> std::io::Result<Listening> {
    let listener = std::net::TcpListener::bind(wanted)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = Bounded::new(tokio::net::TcpListener::from_std(listener)?);
    let (until, stopped) = oneshot::channel::<()>();
    let routes = routes(Arc::new(Source {
        asks,
        metrics,
        fresh,
        last: Mutex::default(),
        planned: Mutex::default(),
        turn: Mutex::default(),
    }));
    tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
            tracing::error!(error = %error, "The status page failed");
        }
    });
    Ok(Listening { wanted, address, _until: until })
}

fn routes(source: Arc<Source>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", get(home))
        .route("/sync/{organization}/{kind}/{id}", get(sync))
        .route("/window/{name}", get(window))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("page/style.css")))
        .route("/script.js", file("text/javascript; charset=utf-8", include_str!("page/script.js")))
        .route("/icon.svg", file(svg::CONTENT_TYPE, include_str!("page/icon.svg")))
        .route("/calendar.ics", get(calendar))
        .route("/timeline.svg", get(timeline))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .route("/api/v1/status", get(status))
        .route("/api/v1/history", get(history))
        .route("/api/v1/upcoming", get(upcoming))
        .route("/api/v1/windows", get(windows))
        .route("/api/v1/plan", get(plan))
        .route("/api/v1/openapi.json", file("application/json", OPENAPI))
        .with_state(source)
        .layer(from_fn(guard))
}

/// Turns away who was led here under a name that is not ours, as a page of
/// somebody else's might by DNS rebinding, and says what a browser may do.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_ours(request.headers()) {
        next.run(request).await
    } else {
        let told = "this name is not known here: use an address, `localhost` or the host's own name\n";
        (StatusCode::MISDIRECTED_REQUEST, told).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Whether `Host` is an address, which no name server hands out, `localhost`,
/// or what this machine calls itself.
fn is_ours(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|it| it.to_str().ok()) else { return false };
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return address.parse::<IpAddr>().is_ok();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let own = rustix::system::uname();
    name.eq_ignore_ascii_case("localhost")
        || own.nodename().to_str().is_ok_and(|own| !own.is_empty() && own.eq_ignore_ascii_case(name))
}

/// Where answers come from.
struct Source {
    asks: mpsc::Sender<Ask>,
    metrics: Metrics,
    fresh: Duration,
    // The last answer, and since when we have it.
    last: Mutex<Option<(Instant, Arc<Taken>)>>,
    // The same of what would be done.
    planned: Mutex<Option<(Instant, Arc<Vec<Planned>>)>>,
    // Work that takes time is done one after the other.
    turn: Mutex<()>,
}

/// The loop's answer, and the newest of the journal at that time.
struct Taken {
    snapshot: Snapshot,
    journal: Vec<JournalLine>,
}

type Answer = Result<Response, Refusal>;

impl Source {
    async fn take(&self) -> Result<Arc<Taken>, Refusal> {
        let take = async {
            let mut last = self.last.lock().await;
            if let Some((at, taken)) = last.as_ref()
                && at.elapsed() < self.fresh
            {
                return Ok(Arc::clone(taken));
            }
            let snapshot = ask(self.asks.clone(), Ask::Snapshot).await?;
            let request = HistoryRequest { limit: Some(SHOWN), ..HistoryRequest::default() };
            // A journal that cannot be read is no reason to show nothing.
            let journal = ask(self.asks.clone(), |reply| Ask::History { request, reply }).await?;
            let taken = Arc::new(Taken { snapshot, journal: journal.unwrap_or_default() });
            *last = Some((Instant::now(), Arc::clone(&taken)));
            Ok(taken)
        };
        timeout(PATIENCE, take).await.unwrap_or_else(|_| Err(hangs()))
    }

    /// What would be done, asked for no more often than the state of things.
    async fn plan(&self) -> Result<Arc<Vec<Planned>>, Refusal> {
        let mut last = self.planned.lock().await;
        match last.as_ref() {
            Some((at, planned)) if at.elapsed() < self.fresh => return Ok(Arc::clone(planned)),
            _ => {}
        }
        let answer = timeout(PATIENCE, ask(self.asks.clone(), Ask::Plan)).await;
        let planned = Arc::new(answer.unwrap_or_else(|_| Err(hangs()))?);
        *last = Some((Instant::now(), Arc::clone(&planned)));
        Ok(planned)
    }

    /// Asks the loop, or the ledger, about one thing: one question at a time,
    /// and so few that no number of readers delays a pass.
    async fn question<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
        let _turn = self.turn.lock().await;
        tokio::time::sleep(PACE.min(self.fresh)).await;
        timeout(PATIENCE, ask(self.asks.clone(), make)).await.unwrap_or_else(|_| Err(hangs()))
    }

    /// The page of something that is not there.
    async fn missing(&self, taken: Arc<Taken>, what: &str) -> Answer {
        let told =
            format!("There is no such {what}: neither the configuration in force nor the ledger knows it.");
        let html = self.work(move || page::missing(&taken.snapshot, &told).into_string()).await?;
        Ok((StatusCode::NOT_FOUND, Html(html)).into_response())
    }

    /// Does what takes time, after what others have asked for.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let _turn = self.turn.lock().await;
        tokio::task::spawn_blocking(work).await.map_err(|_| hangs())
    }
}

fn hangs() -> Refusal {
    Refusal::Stopping { message: "the daemon does not answer".to_owned() }
}

fn json(answer: impl serde::Serialize) -> Response {
    axum::Json(answer).into_response()
}

async fn home(State(source): State<Arc<Source>>) -> Answer {
    let taken = source.take().await?;
    let html = source.work(move || page::home(&taken.snapshot, &taken.journal).into_string()).await?;
    Ok(Html(html).into_response())
}

/// Why a sync is paused or not, and what was last done to it.
async fn sync(
    State(source): State<Arc<Source>>,
    Path((organization, kind, id)): Path<(String, String, String)>,
) -> Answer {
    let taken = source.take().await?;
    let known = source.question(|reply| Ask::Why { sync: format!("{organization}/{id}"), reply }).await?;
    let why = match known {
        Ok(why) if why.sync.kind.as_str() == kind && id.parse() == Ok(why.sync.id) => why,
        Ok(_) | Err(Refusal::NotFound { .. }) => return source.missing(taken, "sync").await,
        Err(refusal) => return Err(refusal),
    };
    let request = HistoryRequest { sync: Some(id), limit: Some(SHOWN), ..HistoryRequest::default() };
    let journal = source.question(|reply| Ask::History { request, reply }).await?.unwrap_or_default();
    let html = source.work(move || page::sync::page(&taken.snapshot, &why, &journal).into_string()).await?;
    Ok(Html(html).into_response())
}

/// When a window opens, its syncs, and what was last done for it.
async fn window(State(source): State<Arc<Source>>, Path(name): Path<String>) -> Answer {
    let taken = source.take().await?;
    let window = Name::from(name.as_str());
    if !page::window::has_page(&taken.snapshot, &window) {
        return source.missing(taken, "window").await;
    }
    let request = HistoryRequest { window: Some(name), limit: Some(SHOWN), ..HistoryRequest::default() };
    let journal = source.question(|reply| Ask::History { request, reply }).await?.unwrap_or_default();
    let work = move || page::window::page(&taken.snapshot, &window, &journal).into_string();
    Ok(Html(source.work(work).await?).into_response())
}

/// The loop is alive: it answered.
async fn healthz(State(source): State<Arc<Source>>) -> Answer {
    source.take().await?;
    Ok("ok\n".into_response())
}

/// Recovered, and the file as it is now is in force.
async fn readyz(State(source): State<Arc<Source>>) -> Answer {
    let is_ready = source.take().await?.snapshot.status.daemon.config_error.is_none();
    let wrong = (StatusCode::SERVICE_UNAVAILABLE, "the configuration is wrong\n");
    Ok(if is_ready { "ready\n".into_response() } else { wrong.into_response() })
}

async fn scrape(State(source): State<Arc<Source>>) -> Answer {
    let taken = source.take().await?;
    let metrics = source.metrics.clone();
    let text = source.work(move || expose(&metrics, &taken.snapshot)).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

fn expose(metrics: &Metrics, it: &Snapshot) -> String {
    let windows = it.calendar.as_ref().map(Calendar::windows);
    metrics.expose(&metrics::Now {
        syncs: &it.status.syncs,
        next_change: it.status.next_change,
        started_at: it.status.daemon.started_at,
        is_rejected: it.status.daemon.config_error.is_some(),
        windows: windows.map(<[_]>::len),
        open_windows: windows.into_iter().flatten().filter(|window| window.covering(it.at).is_some()).count(),
        is_written: it.is_written,
        tzdb: &it.status.daemon.tzdb,
    })
}

async fn status(State(source): State<Arc<Source>>) -> Answer {
    Ok(json(&source.take().await?.snapshot.status))
}

async fn history(State(source): State<Arc<Source>>, Asked(request): Asked<HistoryRequest>) -> Answer {
    let _turn = source.turn.lock().await;
    Ok(json(ask(source.asks.clone(), |reply| Ask::History { request, reply }).await??))
}

/// Which span is asked for: from now on, unless it is said.
#[derive(Debug, Deserialize)]
struct Span {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Span {
    /// The span, for so many days unless it is said.
    fn or(&self, now: DateTime<Utc>, days: i64) -> Result<(DateTime<Utc>, DateTime<Utc>), Refusal> {
        let from = self.from.unwrap_or(now);
        let until = self.until.or_else(|| from.checked_add_signed(TimeDelta::days(days))).unwrap_or(from);
        if from < until && until - from <= TimeDelta::days(MOST_DAYS) {
            return Ok((from, until));
        }
        let message = format!("the end of the span comes after its start, at most {MOST_DAYS} days");
        Err(Refusal::BadRequest { message })
    }
}

/// Calendars subscribe to it.
async fn calendar(State(source): State<Arc<Source>>, Asked(span): Asked<Span>) -> Answer {
    let taken = source.take().await?;
    let (from, until) = span.or(taken.snapshot.at, MOST_DAYS)?;
    let calendar = taken.snapshot.calendar.clone().unwrap_or_default();
    let work = move || ics::calendar(&calendar, from, until, taken.snapshot.at);
    let text = source.work(work).await?;
    Ok(([(header::CONTENT_TYPE, ics::CONTENT_TYPE)], text).into_response())
}

/// The next week as a picture, or another span.
async fn timeline(State(source): State<Arc<Source>>, Asked(span): Asked<Span>) -> Answer {
    let taken = source.take().await?;
    let now = taken.snapshot.at;
    let (from, until) = span.or(now, 7)?;
    let work = move || {
        let calendar = taken.snapshot.calendar.clone().unwrap_or_default();
        Timeline { calendar: &calendar, zone: &taken.snapshot.zone, from, until, now }.draw()
    };
    let text = source.work(work).await?;
    let policy = (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY);
    Ok(([(header::CONTENT_TYPE, svg::CONTENT_TYPE), policy], text).into_response())
}

async fn upcoming(State(source): State<Arc<Source>>, Asked(span): Asked<Span>) -> Answer {
    let taken = source.take().await?;
    let (from, until) = span.or(taken.snapshot.at, 14)?;
    let calendar = taken.snapshot.calendar.clone().unwrap_or_default();
    let work = move || Upcoming::of(&calendar, &taken.snapshot.status.daemon.tzdb, from, until);
    Ok(json(source.work(work).await?))
}

/// Without any request to Polytomic, unlike the command `plan`.
async fn plan(State(source): State<Arc<Source>>) -> Answer {
    Ok(json(source.plan().await?.as_slice()))
}

async fn windows(State(source): State<Arc<Source>>) -> Answer {
    let taken = source.take().await?;
    let lines = move || -> Vec<WindowLine> {
        let Some(calendar) = &taken.snapshot.calendar else { return vec![] };
        let line = |it| WindowLine::of(it, calendar.knowledge(it), taken.snapshot.at);
        calendar.windows().iter().map(line).collect()
    };
    Ok(json(source.work(lines).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_point_here_are_ours() {
        let is_ours = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            is_ours(&headers)
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:9477",
            "localhost",
            "LOCALHOST:9477",
            "[::1]",
            "[::1]:9477",
            "10.1.2.3:80",
        ] {
            assert!(is_ours(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:9477", "127.0.0.1.evil.example", "[evil]:1", ":80"]
        {
            assert!(!is_ours(host), "{host}");
        }
        assert!(!super::is_ours(&HeaderMap::new()));
    }
}
