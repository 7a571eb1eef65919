//! The client of Polytomic's HTTP API: looks at syncs, switches them on and off.
//!
//! It asks once and says what it heard. Whether to ask again, and when, is
//! decided by those who call it, with a [`throttle::Throttle`]. There are two
//! exceptions, because only here the reason is known: a request that was refused
//! for its key is sent once more if the key has changed, and a page of a list is
//! asked for again a few times before the whole list is given up.
//!
//! A key goes to the base URL of its organization and nowhere else: redirects are
//! not followed, and every address is made here, from that URL and an id.

mod answers;
mod connect;
mod exchange;
pub mod retry_after;
pub mod throttle;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

pub use answers::{Execution, KeyKind, Listed, Looked, Me, Page, Status};
pub use connect::{BuildError, Limits};
use exchange::{Ask, LastAnswer, Line, lock, malformed};
pub use exchange::{Reply, judge};

use crate::domain::organization::Organization;
use crate::domain::sync::{SyncKind, SyncRef};
use crate::domain::verdict::{Failure, FailureKind, Verdict};

/// The largest answer that is read for one sync, and for one page of a list.
const LARGEST_ANSWER: usize = 1024 * 1024;
const LARGEST_PAGE: usize = 8 * 1024 * 1024;

/// How many syncs a page holds at most; the API gives no more.
const PAGE: &str = "50";

/// A list that goes on for longer is not believed to end.
const MOST_LISTED: usize = 100_000;
const MOST_PAGES: usize = 10_000;

/// How often a page is asked for again when the API says that it is busy, and
/// the longest that it is waited for.
const PAGE_RETRIES: u32 = 3;
const LONGEST_PAGE_WAIT: Duration = Duration::from_mins(1);

/// Reads the API key, anew each time, and says in words why it cannot.
pub type KeyReader = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// The API of one organization. Cheap to clone; clones share connections, key
/// and limits.
#[derive(Clone)]
pub struct Client {
    base: Url,
    line: Arc<Line>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for this organization. Reads the CA file and the system's trust
    /// store, connects to nobody, and reads the key when it is first needed.
    pub fn new(organization: &Organization, limits: Limits, key: KeyReader) -> Result<Self, BuildError> {
        let base = connect::base(organization)?;
        let http = connect::client(organization, &base, &limits)?;
        let places = Semaphore::new(limits.max_concurrent_requests.clamp(1, Semaphore::MAX_PERMITS));
        let line = Line {
            http,
            limits,
            acting_for: organization.organization_id,
            read_key: key,
            key: Mutex::default(),
            places,
            list_place: Semaphore::new(1),
            last: Mutex::default(),
        };
        Ok(Self { base, line: Arc::new(line) })
    }

    /// Whether a sync is on, off or gone.
    pub async fn look(&self, sync: &SyncRef) -> Result<Looked, Failure> {
        self.line.ask(&get(self.sync(sync, &[]), LARGEST_ANSWER)).await?.looked(sync)
    }

    /// Switches a sync on or off.
    ///
    /// Dropping the future does not take the request back: whoever drops it has
    /// a [`Verdict::Unknown`].
    pub async fn set_active(&self, sync: &SyncRef, active: bool) -> Verdict {
        let body = if active { r#"{"active":true}"# } else { r#"{"active":false}"# };
        let url = self.sync(sync, &["activate"]);
        let (body, may_be_repeated) = (Some(body), active);
        let ask = Ask { method: Method::POST, url, body, may_be_repeated, largest: LARGEST_ANSWER };
        let answer = self.line.ask(&ask).await;
        match answer.and_then(|reply| reply.confirms(sync, active)) {
            Ok(()) => Verdict::Applied,
            Err(failure) => Verdict::of(failure),
        }
    }

    /// All syncs of one kind, sorted by id. All pages are read before anything
    /// is returned, because switching syncs may reorder them; a sync that
    /// somebody changes meanwhile can be missed all the same.
    pub async fn list(&self, kind: SyncKind) -> Result<Vec<Listed>, Failure> {
        self.list_of(kind, |listed| listed).await
    }

    /// The same, and of each sync only what `keep` makes of it.
    pub async fn list_of<T>(&self, kind: SyncKind, keep: impl Fn(Listed) -> T) -> Result<Vec<T>, Failure> {
        let mut found = BTreeMap::new();
        let mut tokens: HashSet<String> = HashSet::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let Page { syncs, next } = self.page(kind, token.as_deref()).await?;
            // Listed twice, the later line is the newer.
            found.extend(syncs.into_iter().map(|listed| (listed.id, keep(listed))));
            if found.len() > MOST_LISTED {
                return Err(malformed(format!("the API lists more than {MOST_LISTED} syncs")));
            }
            match next {
                None => return Ok(found.into_values().collect()),
                Some(next) if !tokens.insert(next.clone()) => {
                    return Err(malformed("the API's list of syncs leads back to an earlier page"));
                }
                Some(next) => token = Some(next),
            }
            if let Some(rate) = self.line.limits.max_requests_per_second {
                let pause = Duration::try_from_secs_f64(rate.recip()).unwrap_or(LONGEST_PAGE_WAIT);
                tokio::time::sleep(pause.min(LONGEST_PAGE_WAIT)).await;
            }
        }
        Err(malformed("the API's list of syncs does not end"))
    }

    /// Which executions of a sync run, ran and will run.
    pub async fn status(&self, sync: &SyncRef) -> Result<Status, Failure> {
        self.line.ask(&get(self.sync(sync, &["status"]), LARGEST_ANSWER)).await?.status()
    }

    /// The newest executions that are over, as many as come at once.
    pub async fn past_executions(&self, sync: &SyncRef) -> Result<Vec<Execution>, Failure> {
        let mut url = self.sync(sync, &["executions"]);
        let only = match sync.kind {
            SyncKind::Model => "only_completed",
            SyncKind::Bulk => "only_terminal",
        };
        url.query_pairs_mut().append_pair(only, "true");
        self.line.ask(&get(url, LARGEST_PAGE)).await?.executions()
    }

    /// Asks for the execution that runs to be stopped. That takes its time; the
    /// status shows what came of it.
    pub async fn cancel(&self, sync: &SyncRef) -> Result<(), Failure> {
        let url = self.sync(sync, &["cancel"]);
        let (body, may_be_repeated) = (None, true);
        let ask = Ask { method: Method::POST, url, body, may_be_repeated, largest: LARGEST_ANSWER };
        self.line.ask(&ask).await?.accepted()
    }

    /// Begins an execution, of what is new. Refused as [`FailureKind::Conflict`]
    /// where one runs. An equal request that is lost may begin one later; that does
    /// no harm, so none is remembered by an idempotency key.
    pub async fn start(&self, sync: &SyncRef) -> Result<(), Failure> {
        let url = self.sync(sync, &["executions"]);
        let (body, may_be_repeated) = (Some("{}"), true);
        let ask = Ask { method: Method::POST, url, body, may_be_repeated, largest: LARGEST_ANSWER };
        self.line.ask(&ask).await?.accepted()
    }

    /// Whose key it is that we send.
    pub async fn me(&self) -> Result<Me, Failure> {
        self.line.ask(&get(self.address(&["me"]), LARGEST_ANSWER)).await?.me()
    }

    /// Opens a connection and lets the key be checked, so that the first request
    /// of a window need not. What comes of it does not matter.
    pub async fn warm(&self) {
        let _ = self.me().await;
    }

    /// Reads the key again, and says whether it is another one. A failure leaves
    /// the key that is known in use.
    pub async fn read_key_again(&self) -> Result<bool, Failure> {
        let known = lock(&self.line.key).clone();
        let new = self.line.read_again().await?;
        Ok(known.is_none_or(|known| known.expose_secret() != new.expose_secret()))
    }

    /// What the API's clock said in its last answer, to the second.
    pub fn server_date(&self) -> Option<DateTime<Utc>> {
        self.last().date
    }

    /// The version of the API that served the last answer, as it says itself.
    pub fn server_version(&self) -> Option<String> {
        self.last().version
    }

    fn last(&self) -> LastAnswer {
        lock(&self.line.last).clone()
    }

    async fn page(&self, kind: SyncKind, token: Option<&str>) -> Result<Page, Failure> {
        let mut url = self.syncs(kind, &[]);
        url.query_pairs_mut().append_pair("limit", PAGE);
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("page_token", token);
        }
        let ask = get(url, LARGEST_PAGE);
        let mut wait = Duration::from_secs(1);
        for _ in 0..PAGE_RETRIES {
            match self.line.ask_aside(&ask).await {
                Err(busy) if busy.kind == FailureKind::Throttled || busy.retry_after.is_some() => {
                    let asked = busy.retry_after.unwrap_or(wait);
                    if asked > LONGEST_PAGE_WAIT {
                        return Err(busy);
                    }
                    tokio::time::sleep(asked).await;
                    wait *= 2;
                }
                answer => return answer?.page(kind),
            }
        }
        self.line.ask_aside(&ask).await?.page(kind)
    }

    fn sync(&self, sync: &SyncRef, rest: &[&str]) -> Url {
        let id = sync.id.to_string();
        let path: Vec<&str> = [id.as_str()].into_iter().chain(rest.iter().copied()).collect();
        self.syncs(sync.kind, &path)
    }

    fn syncs(&self, kind: SyncKind, rest: &[&str]) -> Url {
        let kind: &[&str] = match kind {
            SyncKind::Model => &["syncs"],
            SyncKind::Bulk => &["bulk", "syncs"],
        };
        self.address(&[kind, rest].concat())
    }

    /// An address below the base URL, with whatever path that one has.
    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        url
    }
}

fn get(url: Url, largest: usize) -> Ask {
    Ask { method: Method::GET, url, body: None, may_be_repeated: true, largest }
}
