//! A log line for people: time, level, message, then the fields that the
//! message does not tell.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};

use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// Already in the message, or of no use to a person.
const TOLD: [&str; 8] =
    ["message", "event", "sync.name", "sync.kind", "window", "attempt", "occurrence", "by"];

/// Time, level, message, fields.
pub(super) struct TextFormat;

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let level = *event.metadata().level();
        let style = if writer.has_ansi_escapes() { style(level) } else { Style::new() };
        let dim = if writer.has_ansi_escapes() { Style::new().dimmed() } else { Style::new() };
        let at = clock::wall().format("%Y-%m-%d %H:%M:%S%.3fZ");
        write!(writer, "{dim}{at}{dim:#} {style}{level:<5}{style:#} {}", line.message)?;
        if !line.fields.is_empty() {
            write!(writer, " {dim}{}{dim:#}", line.fields.trim_start())?;
        }
        writeln!(writer)
    }
}

fn style(level: Level) -> Style {
    let color = match level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        Level::INFO => AnsiColor::Green,
        Level::DEBUG | Level::TRACE => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(color.into()))
}

/// The parts of a line.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn add(&mut self, field: &Field, value: &str) {
        // What others called their syncs must not start a line or obey a terminal.
        let value: String =
            value.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
        if field.name() == "message" {
            self.message = value.trim_end().replace('\n', "\n    ");
        } else if !TOLD.contains(&field.name()) {
            let quote = if value.contains([' ', '"', '\n']) { "\"" } else { "" };
            let _ = write!(self.fields, " {}={quote}{}{quote}", field.name(), value.replace('\n', " "));
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}
