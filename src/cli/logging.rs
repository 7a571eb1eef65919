//! Where the log goes: a terminal, the journal, or lines of JSON.
//!
//! Lines are written by a thread of their own from a bounded queue. When stderr
//! or the journal is stuck, lines are lost and no pass waits.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ValueEnum;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::failure::Failure;
use super::screen;
use crate::{clock, key};

mod journal;
mod message_id;
mod text;

use journal::JournalFormat;
use text::TextFormat;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// The journal's own fields under systemd, else text
    Auto,
    /// Lines for people
    Text,
    /// Lines of JSON
    Json,
}

/// How many lines may wait to be written.
const WAITING: usize = 10_000;

/// Where systemd takes messages with fields, see
/// <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Begins to log. What is still waiting is written when the guard is dropped.
pub(super) fn start(format: LogFormat, filter: &str) -> Result<WorkerGuard, Failure> {
    let filter = parse(filter)?;
    let journal = if format == LogFormat::Auto && is_journal() { connect().ok() } else { None };
    let registry = tracing_subscriber::registry().with(filter);
    let (outcome, guard) = match (format, journal) {
        (_, Some(journal)) => {
            let (writer, guard) = queue(journal)?;
            (registry.with(layer().event_format(JournalFormat).with_writer(writer)).try_init(), guard)
        }
        (LogFormat::Json, None) => {
            let (writer, guard) = queue(lines())?;
            let json = layer().json().flatten_event(true).with_timer(Utc).with_target(false);
            let json = json.with_current_span(false).with_span_list(false).with_writer(writer);
            (registry.with(json).try_init(), guard)
        }
        (LogFormat::Auto | LogFormat::Text, None) => {
            let (writer, guard) = queue(lines())?;
            let text = layer().event_format(TextFormat).with_ansi(screen::colors_stderr());
            (registry.with(text.with_writer(writer)).try_init(), guard)
        }
    };
    outcome.map_err(|error| Failure::Io { doing: "start the log", source: io::Error::other(error) })?;
    Ok(guard)
}

/// A level alone is meant for us: the libraries below have their own worries.
fn parse(filter: &str) -> Result<EnvFilter, Failure> {
    let directives = match filter.trim().parse::<Level>() {
        Ok(level) => format!("warn,intermission={level}"),
        Err(_) => filter.to_owned(),
    };
    EnvFilter::try_new(directives)
        .map_err(|error| Failure::Usage(format!("`{filter}` is no log filter: {error}")))
}

fn queue(writer: impl Write + Send + 'static) -> Result<(NonBlocking, WorkerGuard), Failure> {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING).thread_name("log");
    // The one thing that makes it panic: there is no thread to be had.
    catch_unwind(AssertUnwindSafe(|| builder.finish(writer))).map_err(|_| Failure::Io {
        doing: "start a thread for the log",
        source: io::ErrorKind::WouldBlock.into(),
    })
}

/// Stderr, which takes all lines that wait at once: the thread flushes when it has no more.
fn lines() -> impl Write + Send {
    io::BufWriter::with_capacity(64 << 10, io::stderr())
}

/// Whether stderr is the journal: `JOURNAL_STREAM` of systemd.exec(5) names
/// the device and inode of the stream.
pub(super) fn is_journal() -> bool {
    let Some(named) = key::process_environment("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    named.to_str() == Some(&format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// The journal, each write a message.
struct Journal(UnixDatagram);

fn connect() -> io::Result<Journal> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(JOURNAL)?;
    Ok(Journal(socket))
}

impl Write for Journal {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.0.send(&journal::encode(message))?;
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Times of the log, in UTC to the millisecond.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", clock::wall().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}
