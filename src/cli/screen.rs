//! What is written to stdout and stderr: colours, widths, and who is looking.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Serialize;

use super::Color;
use super::failure::Failure;

/// A timeline is never drawn wider than this: the eye loses the row.
const WIDEST: usize = 160;

/// Takes the choice of the command line for the whole process.
pub(super) fn choose_color(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// A text of somebody else's on one line, such that a terminal only shows it: a
/// name at Polytomic may hold what moves the cursor, or turns the line around.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if is_harmful(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Controls, and what Unicode has to change the direction of a text; see
/// Unicode Standard Annex 9, section 2. Joiners are part of scripts and emoji.
fn is_harmful(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether what goes to stderr may be coloured.
pub(super) fn colors_stderr() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Whether a person reads stdout right now.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads stderr right now.
pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether whoever read stdout has gone away. A pipe tells that without being
/// written to; see poll(2).
pub(super) fn nobody_reads() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
}

/// How many columns the reader's terminal has; none: it is no terminal, or does
/// not say.
pub(super) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// How wide to draw.
pub(super) fn width() -> usize {
    columns().unwrap_or(100).min(WIDEST)
}

/// Writes a part of the answer, and a new line.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Writes an answer that is a file for another program: byte for byte.
pub(super) fn say_text(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Writes the answer as indented JSON.
pub(super) fn say_json(answer: &impl Serialize) -> Result<(), Failure> {
    say(&json(serde_json::to_string_pretty(answer))?)
}

/// Writes parts of the answer as JSON, each on a line of its own.
pub(super) fn say_json_lines(answer: &[impl Serialize]) -> Result<(), Failure> {
    let lines = answer.iter().map(serde_json::to_string).collect::<serde_json::Result<Vec<_>>>();
    say(&json(lines)?.join("\n"))
}

/// Writes to stderr what is no part of the answer.
pub(super) fn note(text: &str) {
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes over the last such line, for a person who waits.
pub(super) fn progress(text: &str) {
    if stderr_is_terminal() {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[2K{text}").and_then(|()| stderr.flush());
    }
}

fn json<T>(written: serde_json::Result<T>) -> Result<T, Failure> {
    written.map_err(|error| Failure::Output(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (text, shown) in [
            ("Contacts → HubSpot", "Contacts → HubSpot"),
            ("two\r\nlines\tand", "two  lines and"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
            // A family is four people and three joiners.
            ("👨\u{200d}👩\u{200d}👧 e\u{301}", "👨\u{200d}👩\u{200d}👧 e\u{301}"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
