//! The file `intermission.toml`: text to [`Config`], all errors at once, each
//! with its place and what would be right.
//!
//! Parsing stops at nothing it can go on from. What it returns is either a
//! whole configuration or everything that keeps the file from being one.
//! `docs/configuration.md` tells users the same.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::backoff::Backoff;
use crate::domain::calendar::Calendar;
use crate::domain::notice::{Heartbeat, Target};
use crate::domain::organization::Organization;
use crate::domain::plan::Rules;
use crate::domain::sync::Name;
use crate::domain::zone::Zone;
use crate::key::Environment;
use crate::tzdb::Tzdb;

mod advice;
mod diagnostic;
pub mod duration;
mod lenient;
mod notify;
mod organization;
mod reader;
mod select;
mod settings;
mod source;
mod syntax;
mod times;
mod window;

pub use diagnostic::{Diagnostic, Rejected, Severity, render};
pub use lenient::{control_socket_leniently, state_path_leniently, timezone_leniently};

use reader::Table;
use source::Source;

/// JSON Schema (draft 2020-12) of the file, for editors. It says of each key
/// what [`parse`] says, as far as a schema can; `tests/it/schema.rs` holds the
/// two together.
pub const SCHEMA: &str = include_str!("config/schema.json");

/// A file larger than this is refused. 100,000 windows fit.
pub const MOST_BYTES: u64 = 32 << 20;

/// What the organization of `[polytomic]` is called.
pub const DEFAULT_ORGANIZATION: &str = "default";

/// What parsing needs to know of the world.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Windows are checked from here on.
    pub now: DateTime<Utc>,
    /// Where zones are looked up.
    pub tzdb: &'a Tzdb,
    /// Where keys may be.
    pub environment: &'a Environment<'a>,
}

/// A configuration that can come into force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The zone of windows that name none; also that of the command line.
    pub timezone: Option<Zone>,
    /// Where the syncs live. `[polytomic]` is called `default`.
    pub organizations: BTreeMap<Name, OrganizationConfig>,
    /// How attempts follow each other.
    pub retry: Retry,
    /// How closely a pass looks.
    pub reconcile: Reconcile,
    /// What is remembered, and where.
    pub state: State,
    /// Where the daemon is asked.
    pub web: Web,
    /// Who is told of what happens.
    pub notify: Vec<Target>,
    /// What is called as long as all is well.
    pub heartbeat: Option<Heartbeat>,
    /// All windows.
    pub calendar: Calendar,
    /// What is allowed but perhaps not meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// Why some organization cannot be reached now: its key is not to be had.
    /// All errors; the text of the file is good nevertheless.
    pub key_problems: Vec<Diagnostic>,
    /// What is wrong with the time zone data, if anything is.
    pub zone_trouble: Option<String>,
    /// Tells one text of the file from another.
    pub fingerprint: String,
}

/// One organization, and how hard it may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationConfig {
    /// Where its API is and where its key is found.
    pub organization: Arc<Organization>,
    /// How hard it may be asked.
    pub limits: Limits,
}

/// How hard an organization's API may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a whole request, from connecting to the end of the answer.
    pub request_timeout: Duration,
    /// For connecting alone; part of `request_timeout`.
    pub connect_timeout: Duration,
    /// Requests in flight at a time.
    pub max_concurrent_requests: u32,
    /// Requests started in a second; none: as many as the API takes.
    pub max_requests_per_second: Option<u32>,
}

/// Exponential backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub initial: Duration,
    /// At most.
    pub max: Duration,
}

/// How closely a pass looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconcile {
    /// The longest life of a request that was never answered.
    pub settle: Duration,
    /// How often held syncs are looked at for a person's change.
    pub drift_check: Duration,
    /// The longest sleep while anything is held.
    pub max_sleep: Duration,
    /// Held this long past its end, a sync is overdue.
    pub overdue_after: Duration,
    /// The longest pause, extension or exemption that an operator may ask for.
    pub max_pause: Duration,
    /// This long before a pause begins it is looked for what will trouble it; none:
    /// it is not.
    pub preflight: Option<Duration>,
}

/// What is remembered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The ledger's file; none: where the environment says.
    pub path: Option<PathBuf>,
    /// How long the journal is kept.
    pub history: Duration,
}

/// Where the daemon is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The control socket; none: where the environment says.
    pub control_socket: Option<PathBuf>,
    /// Where the status page, the metrics and the HTTP API are served; none:
    /// nowhere.
    pub listen: Option<SocketAddr>,
}

impl Config {
    /// The pace at which steps are taken.
    pub fn rules(&self) -> Rules {
        Rules {
            settle: self.reconcile.settle,
            drift_check: self.reconcile.drift_check,
            overdue_after: self.reconcile.overdue_after,
            backoff: Backoff { initial: self.retry.initial, max: self.retry.max },
        }
    }

    /// The same configuration, or a refusal if a key of it is not to be had.
    pub fn with_all_keys(self) -> Result<Self, Rejected> {
        if self.key_problems.is_empty() {
            return Ok(self);
        }
        let mut all = self.key_problems;
        all.extend(self.warnings);
        all.sort_by_key(|it| (it.span.start, it.severity));
        Err(Rejected::new(all, 0))
    }
}

/// Reads a file and parses it. Blocks on the disk.
pub fn load(path: &Path, cx: &Context<'_>) -> Result<Config, Rejected> {
    load_unadvised(path, cx).map(advised)
}

/// The same without a look at what may surprise, which takes as long as all else: that
/// can be had later.
pub fn load_unadvised(path: &Path, cx: &Context<'_>) -> Result<(Config, Unadvised), Rejected> {
    let name = path.display().to_string();
    let refuse = |text: &str, problem: String, mend: &str| {
        let source = Source::new(&name, text);
        let mut diagnostic = source.diagnostic(Severity::Error, text.len()..text.len(), &problem, mend);
        diagnostic.excerpt = diagnostic.excerpt.filter(|_| !text.is_empty());
        Err(Rejected::new(vec![diagnostic], 0))
    };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return refuse(
            "",
            format!("the file cannot be read: {error}"),
            "name one that is there and can be read",
        );
    }
    if bytes.len() as u64 > MOST_BYTES {
        return refuse("", format!("the file is larger than {} MiB", MOST_BYTES >> 20), "");
    }
    match str::from_utf8(&bytes) {
        Ok(text) => parse_unadvised(&name, text, cx),
        Err(error) => {
            let good = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            refuse(good, "the file is not UTF-8 from here on".to_owned(), "save it as UTF-8")
        }
    }
}

/// A file that is in force, and of which it was not yet told what may surprise.
#[derive(Debug)]
pub struct Unadvised {
    name: String,
    text: String,
    // Where each window begins.
    places: Vec<Range<usize>>,
    now: DateTime<Utc>,
}

impl Unadvised {
    /// Looks ahead: what is found is among the configuration's warnings from then on, and
    /// returned.
    pub fn advise(self, config: &mut Config) -> Vec<Diagnostic> {
        let source = Source::new(&self.name, &self.text);
        advice::look_ahead(config.calendar.windows(), &self.places, &source, self.now);
        let (found, _) = source.into_found();
        config.warnings.extend(found.iter().cloned());
        config.warnings.sort_by_key(|it| (it.span.start, it.severity));
        found
    }
}

/// Parses the text of a file; `name` is what diagnostics call it. Reads key
/// files, to tell early when one is not to be had.
pub fn parse(name: &str, text: &str, cx: &Context<'_>) -> Result<Config, Rejected> {
    parse_unadvised(name, text, cx).map(advised)
}

fn advised((mut config, unadvised): (Config, Unadvised)) -> Config {
    unadvised.advise(&mut config);
    config
}

fn parse_unadvised(name: &str, text: &str, cx: &Context<'_>) -> Result<(Config, Unadvised), Rejected> {
    let source = Source::new(name, text);
    let (document, is_whole) = syntax::document(text, &source);
    let at_syntax = source.count();
    let mut key_problems = Vec::new();
    let read = read(document.get_ref(), &source, cx, &mut key_problems);
    if !is_whole {
        syntax::keep_what_is_sure(&source, at_syntax);
    }
    let failed = source.has_errors();
    let (mut found, omitted) = source.into_found();
    match read {
        Some((config, places)) if !failed => {
            let unadvised = Unadvised { name: name.to_owned(), text: text.to_owned(), places, now: cx.now };
            let fingerprint = fingerprint(text);
            Ok((Config { warnings: found, key_problems, fingerprint, ..config }, unadvised))
        }
        _ => {
            found.extend(key_problems.into_iter().filter(|_| is_whole));
            found.sort_by_key(|it| (it.span.start, it.severity));
            Err(Rejected::new(found, omitted))
        }
    }
}

/// The tables of the file, in the order of the documentation, and where each window
/// begins. None is returned only if an error was noted.
fn read<'t>(
    document: &'t toml::de::DeTable<'t>,
    source: &'t Source<'t>,
    cx: &Context<'_>,
    key_problems: &mut Vec<Diagnostic>,
) -> Option<(Config, Vec<Range<usize>>)> {
    let mut root = Table::root(document, source);
    if document.is_empty() {
        source.error(0..0, "the file is empty", "write at least one `[[window]]`; see `config/minimal.toml`");
    }
    root.no_secrets();
    let zones = window::Zones::read(&mut root, source, cx.tzdb);
    let organizations = organization::Organizations::read(&mut root, source, cx.environment, key_problems);
    let retry = settings::retry(root.table("retry"), source);
    let reconcile = settings::reconcile(root.table("reconcile"), source, &organizations);
    let state = settings::state(root.table("state"));
    let web = settings::web(root.table("web"), source);
    let notify = notify::targets(&mut root, source, cx.environment);
    let heartbeat = root.table("heartbeat");
    let heartbeat = notify::heartbeat(heartbeat, source, cx.environment);
    let windows = window::windows(&mut root, source, &organizations, &zones, cx.now);
    root.finish();
    if !source.has_errors() {
        advice::warn(&windows, &organizations, &zones, source, cx);
    }
    let (windows, places) = windows.into_iter().map(|it| (it.window, it.at)).unzip();
    let config = Config {
        timezone: zones.default(),
        organizations: organizations.into_map(),
        retry: retry?,
        reconcile: reconcile?,
        state,
        web,
        notify,
        heartbeat,
        calendar: Calendar::new(windows),
        warnings: Vec::new(),
        key_problems: Vec::new(),
        zone_trouble: advice::zone_trouble(cx),
        fingerprint: String::new(),
    };
    Some((config, places))
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        // From the test vectors of the FNV authors.
        assert_eq!(fingerprint(""), "cbf29ce484222325");
        assert_eq!(fingerprint("foobar"), "85944171f73967e8");
    }
}
