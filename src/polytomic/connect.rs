//! How connections to one organization's API are made: whom they trust, which
//! way they go, how long they live.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Url, redirect, retry};

use super::words;
use crate::domain::organization::{Organization, Proxy};

/// Names the version of the API that we speak; echoed in every answer of the
/// API itself.
pub(super) const VERSION: HeaderName = HeaderName::from_static("x-polytomic-version");

/// Unused connections are closed before the peer does: most load balancers do
/// so after 60 s, and a request that meets that moment has an unknown fate.
const IDLE: Duration = Duration::from_secs(50);

/// After so long without a byte the other side is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The largest CA file that is read: all of Mozilla's take a fourth of it.
const LARGEST_CA_FILE: u64 = 1024 * 1024;

/// Bounds on what a client may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// From the first byte sent to the last byte of the answer.
    pub request_timeout: Duration,
    /// How much of it connecting may take, names and TLS included.
    pub connect_timeout: Duration,
    /// Requests under way at a time.
    pub max_concurrent_requests: usize,
    /// If set, the pages of a list are asked for no faster. (All else is paced
    /// by whoever holds the [`super::throttle::Throttle`].)
    pub max_requests_per_second: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_concurrent_requests: 8,
            max_requests_per_second: None,
        }
    }
}

/// No client can be made for this organization. None of this goes away by
/// trying again; the file or the machine has to change.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL is none.
    #[error("`{url}` is no base URL of an API: {reason}")]
    Url {
        /// As written, unless it holds a password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The version cannot be sent.
    #[error("`{0}` cannot be sent as an API version")]
    Version(String),
    /// The file of certificate authorities cannot be read.
    #[error("could not read the certificate authorities in `{path}`")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It can be read, but there is no certificate in it.
    #[error("`{path}` holds no certificate in PEM")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The proxy's URL is none. It may hold a password, so it is not shown.
    #[error("the proxy's URL cannot be used")]
    Proxy,
    /// Nobody could be trusted.
    #[error(
        "this system has no certificate authorities to trust: install the package `ca-certificates`, or set `ca_file`"
    )]
    NoTrust,
    /// Anything else that stands against secure connections.
    #[error("could not set up TLS: {0}")]
    Tls(String),
}

/// The base URL, if a key can be sent there: `http` or `https`, and nothing in
/// it that would be lost or sent along.
pub(super) fn base(organization: &Organization) -> Result<Url, BuildError> {
    let text = organization.url.trim_end_matches('/');
    let wrong = |url: &str, reason: &str| BuildError::Url { url: url.to_owned(), reason: reason.to_owned() };
    // What cannot be taken apart is shown only if there is no password in it.
    let shown = if text.contains('@') { "…" } else { text };
    let url = Url::parse(text).map_err(|error| wrong(shown, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(url.host_str().unwrap_or_default(), "it holds a user name or password"));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong(text, "it does not start with `https://` (or `http://`)"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(text, "it has a query or a fragment"));
    }
    Ok(url)
}

/// A client with everything set but the key, which each request brings along.
pub(super) fn client(
    organization: &Organization,
    base: &Url,
    limits: &Limits,
) -> Result<reqwest::Client, BuildError> {
    let extra = match &organization.ca_file {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let set_up = || -> Result<ClientBuilder, BuildError> {
        Ok(towards(&organization.proxy, settings(organization, limits)?)?.tls_certs_merge(extra.clone()))
    };
    match set_up()?.build() {
        Ok(client) => Ok(client),
        // Without TLS there is nobody to trust. Should the peer ask for TLS all
        // the same, an empty set of authorities trusts no one.
        Err(_) if base.scheme() == "http" => {
            set_up()?.tls_certs_only(extra.clone()).build().map_err(|error| trust(&error))
        }
        Err(error) => Err(trust(&error)),
    }
}

fn settings(organization: &Organization, limits: &Limits) -> Result<ClientBuilder, BuildError> {
    let version = HeaderValue::from_str(&organization.api_version)
        .map_err(|_| BuildError::Version(words::clean(&organization.api_version)))?;
    let headers =
        HeaderMap::from_iter([(VERSION, version), (ACCEPT, HeaderValue::from_static("application/json"))]);
    Ok(reqwest::Client::builder()
        .user_agent(concat!("intermission/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .referer(false)
        // A redirect would carry the key, or the answer, to somebody else.
        .redirect(redirect::Policy::none())
        // Whether to ask again is decided in one place, and not here.
        .retry(retry::never())
        .timeout(limits.request_timeout)
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(KEEPALIVE)
        // An HTTP/2 connection whose peer has vanished would otherwise be used
        // again and again; while idle it costs nothing.
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(Duration::from_secs(10)))
}

fn towards(proxy: &Proxy, builder: ClientBuilder) -> Result<ClientBuilder, BuildError> {
    match proxy {
        Proxy::None => Ok(builder.no_proxy()),
        Proxy::Environment => Ok(builder),
        Proxy::Url(url) => {
            let proxy = reqwest::Proxy::all(url).map_err(|_| BuildError::Proxy)?;
            Ok(builder.no_proxy().proxy(proxy))
        }
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate>, BuildError> {
    let unread = |source| BuildError::CaFile { path: path.clone(), source };
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > LARGEST_CA_FILE {
        return Err(unread(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 1 MiB")));
    }
    let pem = std::fs::read(path).map_err(unread)?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(BuildError::NoCertificate { path: path.clone() }),
    }
}

fn trust(error: &reqwest::Error) -> BuildError {
    let cause = words::cause(error);
    // The verifier has no error to match on, only this text.
    if cause.to_lowercase().contains("no ca certificates") {
        BuildError::NoTrust
    } else {
        BuildError::Tls(cause)
    }
}
