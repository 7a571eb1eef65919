//! A log line as the journal takes it: a message with fields, so that
//! `journalctl SYNC_ID=…` finds it.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};

use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::message_id::message_id;
use crate::domain::event::EventKind;

/// No more than this of a value: the journal refuses messages that do not fit
/// into a datagram.
const LONGEST: usize = 32 * 1024;

/// Fields after the native protocol.
pub(super) struct JournalFormat;

impl<S, N> FormatEvent<S, N> for JournalFormat
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
        let mut message = Message::default();
        message.add("PRIORITY", priority(*event.metadata().level()));
        message.add("SYSLOG_IDENTIFIER", "intermission");
        event.record(&mut message);
        writer.write_str(&message.0)
    }
}

/// The levels of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

#[derive(Default)]
struct Message(String);

impl Message {
    /// `NAME=value` on a line of its own.
    fn add(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        let _ = writeln!(self.0, "{name}={}", value.trim_end().replace(['\0', '\n'], "\0"));
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(&name(field), value);
        if field.name() == "event"
            && let Ok(kind) = value.parse::<EventKind>()
        {
            self.add("MESSAGE_ID", message_id(kind));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(&name(field), &format!("{value:?}"));
    }
}

/// The journal's names are upper case letters, digits and underscores:
/// `sync.id` is `SYNC_ID`.
fn name(field: &Field) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    field.name().trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().map(fit).collect()
}

/// The message as the protocol wants it. A value of one line is `NAME=value`; a
/// value of several is the name, a new line, its length in 64 bits (little
/// endian) and the value. tracing only takes text, so until here a break
/// inside a value is a NUL.
pub(super) fn encode(message: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let split = line.iter().position(|byte| *byte == b'=').filter(|_| line.contains(&0));
        match split {
            None => encoded.extend_from_slice(line),
            Some(equals) => {
                let value = line[equals + 1..].trim_ascii_end();
                encoded.extend_from_slice(&line[..equals]);
                encoded.push(b'\n');
                encoded.extend_from_slice(&(value.len() as u64).to_le_bytes());
                encoded.extend(value.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }));
                encoded.push(b'\n');
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_cannot_forge_a_field() {
        let mut message = Message::default();
        message.add("MESSAGE", "Paused\nPRIORITY=0\n");
        message.add("SYNC_ID", "1");
        let length = (b"Paused\nPRIORITY=0".len() as u64).to_le_bytes();
        let expected = [b"MESSAGE\n", &length[..], b"Paused\nPRIORITY=0\n", b"SYNC_ID=1\n"].concat();
        assert_eq!(encode(message.0.as_bytes()), expected);
    }
}
