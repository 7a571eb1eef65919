//! Counts what happened, and tells Prometheus.
//!
//! Counters are fed by the daemon with facts: an event, a request, a pass.
//! What is so now is put in when somebody scrapes. No label takes more than a
//! few values, except that syncs are named, up to a limit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::event::{Event, EventKind};
use crate::domain::sync::Name;
use crate::reconcile::{RowReport, RowState};

/// The text format's name in `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Of more held syncs than this, those that are due first have a series.
const MOST_SYNCS: usize = 100;

/// From ten milliseconds to a minute and more.
const LATENCIES: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// From a millisecond to an hour.
const LATENESS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0];

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Gauges = Family<Labels, FloatGauge>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// A request, as the metrics call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A look at a sync.
    Look,
    /// `active: false`.
    Pause,
    /// `active: true`.
    Resume,
    /// Which executions run.
    Status,
    /// Asks an execution to stop.
    Cancel,
    /// Looks whether a resumed sync is on and will run.
    Prove,
    /// Begins an execution.
    Start,
}

impl Operation {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Status => "status",
            Self::Cancel => "cancel",
            Self::Prove => "prove",
            Self::Start => "start",
        }
    }
}

/// What is so at the time of a scrape.
#[derive(Debug)]
pub struct Now<'a> {
    /// Every row.
    pub syncs: &'a [RowReport],
    /// When anything is next due to change.
    pub next_change: Option<DateTime<Utc>>,
    /// When the daemon started.
    pub started_at: DateTime<Utc>,
    /// Whether the file as it is now is refused.
    pub is_rejected: bool,
    /// How many windows are in force; none: no configuration is.
    pub windows: Option<usize>,
    /// How many of them are open.
    pub open_windows: usize,
    /// Whether everything is on disk that should be.
    pub is_written: bool,
    /// The time zone data in force.
    pub tzdb: &'a str,
}

/// All counters. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    // One scrape at a time: what is so now is written into shared gauges.
    scraping: Mutex<()>,
    events: Family<Labels, Counter>,
    requests: Family<Labels, Counter>,
    latency: Histograms,
    lateness: Histogram,
    passes: Counter,
    last_pass: FloatGauge,
    write_failures: Counter,
    notices: Family<Labels, Counter>,
    holds: Gauges,
    not_quiet: FloatGauge,
    overdue: FloatGauge,
    failing: FloatGauge,
    earliest_resume: Gauges,
    resume_due: Gauges,
    next_change: Gauges,
    start_time: FloatGauge,
    in_force: FloatGauge,
    rejected: FloatGauge,
    windows: FloatGauge,
    open_windows: FloatGauge,
    written: FloatGauge,
    tzdb: Gauges,
    tzdb_year: Gauges,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("intermission");
        let mut r = Register(&mut registry);
        let build: Gauges = r.add("build_info", "The version that runs");
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1.0);
        let latency: Histograms = Family::new_with_constructor(|| Histogram::new(LATENCIES));
        let inner = Inner {
            events: r.add("events", "What happened, by the journal's names"),
            requests: r.add("api_requests", "Requests to Polytomic, by operation and outcome"),
            latency: r.adding("api_request_duration_seconds", "How long requests to Polytomic took", latency),
            lateness: r.adding(
                "boundary_lateness_seconds",
                "How long after a pause was due to begin or end the daemon acted on it",
                Histogram::new(LATENESS),
            ),
            passes: r.add("passes", "Rounds over all syncs that were due"),
            last_pass: r.add("last_pass_timestamp_seconds", "When the last pass was"),
            write_failures: r.add("ledger_write_failures", "Writes that did not reach the ledger"),
            not_quiet: r
                .add("syncs_not_quiet", "Syncs that are paused, or to be, and of which an execution runs"),
            notices: r.add("notices", "Notices to people, by target and outcome; each failed attempt counts"),
            holds: r.add("holds", "Rows of the ledger, by state"),
            overdue: r.add("overdue_syncs", "Syncs that are held well past their end"),
            failing: r.add("failing_syncs", "Syncs whose last attempt did not succeed"),
            earliest_resume: r.add(
                "earliest_resume_timestamp_seconds",
                "When the first resume that is owed is due; absent while none is owed",
            ),
            resume_due: r.add(
                "resume_due_timestamp_seconds",
                "When a held sync is to be resumed; of many, only those that are due first",
            ),
            next_change: r.add(
                "next_change_timestamp_seconds",
                "When a window next opens or closes; absent if none ever does",
            ),
            start_time: r.add("start_time_seconds", "When the daemon started"),
            in_force: r.add("config_in_force", "Whether a configuration is in force"),
            rejected: r.add("config_rejected", "Whether the file as it is now is refused"),
            windows: r.add("windows", "Windows in force"),
            open_windows: r.add("open_windows", "Windows that are open"),
            written: r.add("ledger_writable", "Whether everything is in the ledger that should be"),
            tzdb: r.add("tzdb_info", "The time zone data in force"),
            tzdb_year: r.add("tzdb_release_year", "The year of the time zone data in force, if known"),
            scraping: Mutex::new(()),
            registry: Registry::default(),
        };
        for kind in EventKind::ALL {
            // It is made, so that a rate is known from the first event on.
            let _ = inner.events.get_or_create(&vec![("event", kind.as_str().to_owned())]);
        }
        Self(Arc::new(Inner { registry, ..inner }))
    }
}

/// Names and explains metrics.
struct Register<'a>(&'a mut Registry);

impl Register<'_> {
    fn add<M>(&mut self, name: &str, help: &str) -> M
    where
        M: prometheus_client::registry::Metric + Clone + Default,
    {
        self.adding(name, help, M::default())
    }

    fn adding<M: prometheus_client::registry::Metric + Clone>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Metrics {
    /// Something happened.
    pub fn event(&self, event: &Event) {
        self.0.events.get_or_create(&vec![("event", event.kind.as_str().to_owned())]).inc();
    }

    /// A notice was sent, was not, or was given up. Targets are those of the file.
    pub fn notice(&self, target: &Name, outcome: &str) {
        let target = ("target", target.to_string());
        self.0.notices.get_or_create(&vec![target, ("outcome", outcome.to_owned())]).inc();
    }

    /// A request came to its end. `outcome` is `ok`, or the kind of failure.
    pub fn request(&self, operation: Operation, outcome: &str, took: Duration) {
        let operation = ("operation", operation.as_str().to_owned());
        self.0.requests.get_or_create(&vec![operation.clone(), ("outcome", outcome.to_owned())]).inc();
        self.0.latency.get_or_create(&vec![operation]).observe(took.as_secs_f64());
    }

    /// A pass was made; `late` after the boundary it was made for, if it was.
    pub fn pass(&self, at: DateTime<Utc>, late: Option<Duration>) {
        self.0.passes.inc();
        self.0.last_pass.set(seconds(at));
        if let Some(late) = late {
            self.0.lateness.observe(late.as_secs_f64());
        }
    }

    /// A write did not reach the ledger.
    pub fn write_failed(&self) {
        self.0.write_failures.inc();
    }

    /// Everything, in Prometheus' text format.
    pub fn expose(&self, now: &Now<'_>) -> String {
        let _alone = self.0.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(now);
        let mut text = String::new();
        // Nothing fails that writes into a string.
        let _ = encode(&mut text, &self.0.registry);
        classic(&text)
    }

    fn take(&self, now: &Now<'_>) {
        let it = &self.0;
        for state in RowState::ALL {
            let rows = now.syncs.iter().filter(|row| row.state == *state).count();
            it.holds.get_or_create(&vec![("state", state.as_str().to_owned())]).set(number(rows));
        }
        it.not_quiet.set(number(now.syncs.iter().filter(|row| row.quiet == Some(false)).count()));
        it.overdue.set(number(now.syncs.iter().filter(|row| row.overdue_seconds > 0).count()));
        it.failing.set(number(now.syncs.iter().filter(|row| row.last_error.is_some()).count()));

        let owed = now.syncs.iter().filter(|row| row.since.is_some() && row.state.owes_resume());
        let mut owed: Vec<_> = owed.filter_map(|row| Some((row.until?, row))).collect();
        owed.sort_by_key(|(until, row)| (*until, row.id));
        owed.truncate(MOST_SYNCS);
        optional(&it.earliest_resume, owed.first().map(|(until, _)| seconds(*until)));
        it.resume_due.clear();
        for (until, row) in owed {
            let labels = vec![
                ("organization", row.organization.to_string()),
                ("kind", row.kind.to_string()),
                ("id", row.id.to_string()),
            ];
            it.resume_due.get_or_create(&labels).set(seconds(until));
        }

        optional(&it.next_change, now.next_change.map(seconds));
        it.start_time.set(seconds(now.started_at));
        it.in_force.set(flag(now.windows.is_some()));
        it.rejected.set(flag(now.is_rejected));
        it.windows.set(number(now.windows.unwrap_or(0)));
        it.open_windows.set(number(now.open_windows));
        it.written.set(flag(now.is_written));
        it.tzdb.clear();
        it.tzdb.get_or_create(&vec![("version", now.tzdb.to_owned())]).set(1.0);
        let year = now.tzdb.get(..4).and_then(|it| it.parse().ok());
        optional(&it.tzdb_year, year);
    }
}

/// A gauge that is absent while there is nothing to say.
fn optional(gauge: &Gauges, value: Option<f64>) {
    gauge.clear();
    if let Some(value) = value {
        gauge.get_or_create(&vec![]).set(value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds fit for some hundred thousand years")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many syncs")]
fn number(count: usize) -> f64 {
    count as f64
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// The crate writes `OpenMetrics`, where a counter is described without its
/// `_total`. The older format, which every tool reads, has it in both places.
fn classic(open_metrics: &str) -> String {
    let is_counter = |line: &str| Some(line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?.to_owned());
    let counters: BTreeSet<String> = open_metrics.lines().filter_map(is_counter).collect();
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    for line in open_metrics.lines().filter(|it| *it != "# EOF" && !it.starts_with("# UNIT")) {
        let mut words = line.splitn(4, ' ');
        let (mark, what, name, rest) = (words.next(), words.next(), words.next(), words.next());
        let _ = match (mark, what, name, rest) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                writeln!(text, "# {what} {name}_total {rest}")
            }
            _ => writeln!(text, "{line}"),
        };
    }
    text
}
