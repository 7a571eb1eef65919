//! `[polytomic]` and `[organization.NAME]`: where the syncs live.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use reqwest::Url;
use toml::Spanned;
use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Severity};
use super::reader::{Table, nearest};
use super::source::{Source, quote};
use super::{DEFAULT_ORGANIZATION, Limits, OrganizationConfig};
use crate::domain::organization::{KeySource, Organization, Proxy};
use crate::domain::sync::Name;
use crate::key::{self, Environment};
use crate::notify::is_loopback;

const URL: &str = "https://app.polytomic.com";
const API_VERSION: &str = "2025-09-18";
const CREDENTIAL: &str = "polytomic-api-key";
const VARIABLE: &str = "POLYTOMIC_API_KEY";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The organizations of the file.
pub(super) struct Organizations<'t> {
    read: BTreeMap<Name, OrganizationConfig>,
    // All that the file names, those with errors too, so that a window that
    // names one is not blamed for them.
    named: BTreeSet<&'t str>,
    longest_timeout: Option<Spanned<Duration>>,
}

impl<'t> Organizations<'t> {
    /// Reads all of them. Without any, the default one is there nevertheless:
    /// its URL is known and its key may be in the environment.
    pub(super) fn read(
        root: &mut Table<'t>,
        source: &'t Source<'t>,
        environment: &Environment<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut organizations = Self { read: BTreeMap::new(), named: BTreeSet::new(), longest_timeout: None };
        let has_default = root.has("polytomic");
        let written = root.table("polytomic");
        let others = root.named_tables("organization");
        let nothing = DeTable::new();
        let default =
            if has_default || !others.is_empty() { written } else { Some(Table::root(&nothing, source)) };
        if has_default || others.is_empty() {
            organizations.named.insert(DEFAULT_ORGANIZATION);
        }
        if let Some(table) = default {
            organizations.add(DEFAULT_ORGANIZATION, table, source, environment, problems);
        }
        for (name, table) in others {
            organizations.named.insert(name.get_ref());
            if *name.get_ref() == DEFAULT_ORGANIZATION {
                source.error(
                    name.span(),
                    "the organization `default` has a table of its own",
                    "write `[polytomic]`",
                );
            } else if let Err((message, mend)) = name_of("an organization", name.get_ref()) {
                source.error(name.span(), message, mend);
            } else {
                organizations.add(name.get_ref(), table, source, environment, problems);
            }
        }
        organizations.refuse_shared_variables(source);
        organizations
    }

    fn add(
        &mut self,
        name: &str,
        mut table: Table<'_>,
        source: &Source<'_>,
        environment: &Environment<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let name = Name::from(name);
        let limits = self.limits(&mut table);
        let (key, key_at) = key_source(&name, &mut table, environment);
        let ca_file = table.path("ca_file");
        let organization = Organization {
            url: url(&mut table, source).unwrap_or_default(),
            api_version: table
                .parsed("api_version", api_version)
                .map_or_else(|| API_VERSION.into(), Spanned::into_inner),
            organization_id: table.parsed("organization_id", super::window::id).map(Spanned::into_inner),
            proxy: table.parsed("proxy", proxy).map_or(Proxy::None, Spanned::into_inner),
            ca_file: ca_file.as_ref().map(|path| path.get_ref().clone()),
            key,
            name: name.clone(),
        };
        table.no_secrets();
        table.finish();
        problems.extend(key_problem(&organization, key_at, source, environment));
        problems.extend(ca_file.and_then(|path| ca_problem(&path, source)));
        self.read.insert(name, OrganizationConfig { organization: Arc::new(organization), limits });
    }

    fn limits(&mut self, table: &mut Table<'_>) -> Limits {
        let bounds = Duration::from_millis(100)..=Duration::from_mins(10);
        let timeout = table.duration("request_timeout", bounds);
        let timeout =
            timeout.unwrap_or_else(|| Spanned::new(table.place_of("request_timeout"), REQUEST_TIMEOUT));
        let limits = Limits {
            request_timeout: *timeout.get_ref(),
            connect_timeout: CONNECT_TIMEOUT.min(*timeout.get_ref()),
            max_concurrent_requests: table.number("max_concurrent_requests", 1..=256).unwrap_or(8),
            max_requests_per_second: table.number("max_requests_per_second", 1..=10_000),
        };
        if self.longest_timeout.as_ref().is_none_or(|longest| longest.get_ref() < timeout.get_ref()) {
            self.longest_timeout = Some(timeout);
        }
        limits
    }

    /// `a-b` and `a.b` would both read `POLYTOMIC_API_KEY_A_B`, and the key of
    /// one would be sent to the other.
    fn refuse_shared_variables(&self, source: &Source<'_>) {
        let mut seen = BTreeMap::new();
        for it in self.read.values() {
            let KeySource::Environment(variable) = &it.organization.key else { continue };
            if let Some(other) = seen.insert(variable, &it.organization.name) {
                source.error(
                    0..0,
                    format!(
                        "the organizations `{other}` and `{}` would share `${variable}`",
                        it.organization.name
                    ),
                    "write `api_key_file` for one of them",
                );
            }
        }
    }

    /// The longest `request_timeout`, and where it stands. None if there is no
    /// organization to ask.
    pub(super) fn longest_request_timeout(&self) -> Option<Spanned<Duration>> {
        self.longest_timeout.clone()
    }

    /// The organization that a window names, or the default one. None if an
    /// error was noted.
    pub(super) fn of_window(
        &self,
        written: Option<&Spanned<&str>>,
        window: Range<usize>,
        source: &Source<'_>,
    ) -> Option<Name> {
        let name = written.map_or(DEFAULT_ORGANIZATION, |name| name.get_ref());
        if self.named.contains(name) {
            return Some(Name::from(name));
        }
        let known: Vec<_> = self.named.iter().map(|name| quote(name)).collect();
        match written {
            Some(written) => {
                let mend = match nearest(name, self.named.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => format!("add `[organization.{name}]`"),
                    None => format!("the file has {}", known.join(", ")),
                };
                source.absent(written.span(), format!("there is no organization {}", quote(name)), mend);
            }
            None => source.absent(
                window,
                "the window names no organization, and the file has no `[polytomic]`",
                format!("write `organization = \"…\"`; the file has {}", known.join(", ")),
            ),
        }
        None
    }

    /// How hard an organization may be asked.
    pub(super) fn limits_of(&self, name: &Name) -> Option<Limits> {
        self.read.get(name).map(|it| it.limits)
    }

    pub(super) fn into_map(self) -> BTreeMap<Name, OrganizationConfig> {
        self.read
    }
}

/// Whether a text can name a window or an organization: names are written into
/// logs, metrics, variables and addresses.
pub(super) fn name_of(what: &str, text: &str) -> Result<Name, (String, String)> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(is_good) && !text.starts_with(['.', '-']) {
        return Ok(Name::from(text));
    }
    let mend = "write 1 to 64 letters, digits, `.`, `_` and `-`, with a letter, a digit or `_` first";
    Err((format!("{what} cannot be called {}", quote(text)), mend.to_owned()))
}

/// Where the key is: the file that is written down, else the credential that
/// systemd hands over, else the variable. Also the place to blame.
fn key_source(
    name: &Name,
    table: &mut Table<'_>,
    environment: &Environment<'_>,
) -> (KeySource, Range<usize>) {
    if let Some(path) = table.path("api_key_file") {
        let span = path.span();
        return (KeySource::File(path.into_inner()), span);
    }
    let (credential, variable) = match name.as_str() {
        DEFAULT_ORGANIZATION => (CREDENTIAL.to_owned(), VARIABLE.to_owned()),
        name => {
            let upper = name.to_ascii_uppercase().replace(['-', '.'], "_");
            (format!("{CREDENTIAL}-{name}"), format!("{VARIABLE}_{upper}"))
        }
    };
    let found = if key::has_credential(&credential, environment) {
        KeySource::Credential(credential)
    } else {
        KeySource::Environment(variable)
    };
    (found, table.place_of("api_key_file"))
}

fn key_problem(
    organization: &Organization,
    at: Range<usize>,
    source: &Source<'_>,
    environment: &Environment<'_>,
) -> Option<Diagnostic> {
    let error = key::read(&organization.key, environment).err()?;
    let (message, mend) = match &organization.key {
        KeySource::Environment(variable) if environment(variable).is_none() => (
            format!("no API key for the organization `{}`", organization.name),
            format!("write `api_key_file = \"/etc/intermission/api-key\"`, or set `${variable}`"),
        ),
        _ => (error.with_cause(), error.mend()),
    };
    Some(Diagnostic { about_key: true, ..source.diagnostic(Severity::Error, at, &message, &mend) })
}

fn ca_problem(path: &Spanned<impl AsRef<Path>>, source: &Source<'_>) -> Option<Diagnostic> {
    let file = path.get_ref().as_ref();
    let error = match std::fs::metadata(file).map(|it| it.is_file()) {
        Ok(true) => std::fs::File::open(file).err()?.to_string(),
        Ok(false) => "not a regular file".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("`ca_file` cannot be read: {error}");
    let mend = "name a PEM file of certificate authorities, or remove the key";
    Some(Diagnostic { about_key: true, ..source.diagnostic(Severity::Error, path.span(), &message, mend) })
}

/// The base URL, normalised, without a slash at its end.
fn url(table: &mut Table<'_>, source: &Source<'_>) -> Option<String> {
    if !table.has("url") {
        table.any("url");
        return Some(URL.to_owned());
    }
    let url = table.parsed("url", base_url)?;
    let (at, url) = (url.span(), url.into_inner());
    if url.scheme() == "http" && !is_loopback(&url) {
        source.warn(at.clone(), "the API key would be sent over the network unencrypted", "write `https://`");
    }
    let base = url.as_str().trim_end_matches('/').to_owned();
    if base.ends_with("/api") {
        source.warn(at, "`/api` is added to this URL, which has one already", "write it without `/api`");
    }
    Some(base)
}

// What is wrong is told without the URL itself: it may hold a password.
fn base_url(text: &str) -> Result<Url, (String, String)> {
    let fail = |problem: &str, mend: &str| Err((problem.to_owned(), mend.to_owned()));
    if !text.contains("://") {
        let is_host =
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:/_".contains(c));
        let mend = if is_host { format!("write `https://{text}`") } else { format!("write `{URL}`") };
        return Err(("`url` is no URL".to_owned(), mend));
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return Err((format!("`url` is no URL: {error}"), format!("write one such as `{URL}`")));
        }
    };
    if !matches!(url.scheme(), "https" | "http") {
        return fail("`url` must begin with `https://`", &format!("write one such as `{URL}`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return fail("`url` holds a user name or a password", "remove it: the API key is in `api_key_file`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fail("`url` goes on after its path", "remove everything from `?` or `#` on");
    }
    Ok(url)
}

fn api_version(text: &str) -> Result<String, (String, String)> {
    match text.parse::<NaiveDate>() {
        Ok(date) if date.to_string() == text => Ok(text.to_owned()),
        _ => Err((
            format!("{} is no version of the API", quote(text)),
            format!("write a date such as `{API_VERSION}`, or remove the key"),
        )),
    }
}

fn proxy(text: &str) -> Result<Proxy, (String, String)> {
    if text == "environment" {
        return Ok(Proxy::Environment);
    }
    let mend = "write `http://HOST:PORT`, or `environment` for the usual variables".to_owned();
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(("a proxy with a user name or a password is not supported yet".to_owned(), mend))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && text.contains("://") => {
            Ok(Proxy::Url(url.as_str().trim_end_matches('/').to_owned()))
        }
        _ => Err(("`proxy` is no URL".to_owned(), mend)),
    }
}
