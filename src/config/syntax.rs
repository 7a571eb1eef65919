//! Text to a TOML document, with as many syntax errors as can be told apart.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::source::Source;

/// Larger texts are read up to their first error only: each error of a
/// megabyte of noise would cost memory, and none would help.
const MOST_RECOVERED: usize = 1 << 20;

/// After so many syntax errors the rest of the file is not looked at.
const MOST_ERRORS: usize = 20;

/// The document, and whether it is all of the text. If it is not, every syntax
/// error was noted, and what could be read is there.
pub(super) fn document<'t>(text: &'t str, source: &Source<'_>) -> (Spanned<DeTable<'t>>, bool) {
    let (document, errors) = match text.len() {
        0..=MOST_RECOVERED => DeTable::parse_recoverable(text),
        _ => match DeTable::parse(text) {
            Ok(document) => (document, Vec::new()),
            Err(error) => (nothing(), vec![error]),
        },
    };
    for error in &errors {
        note(error, source);
    }
    match errors.len() {
        0 => (document, true),
        1..=MOST_ERRORS => (document, false),
        _ => (nothing(), false),
    }
}

fn nothing<'t>() -> Spanned<DeTable<'t>> {
    Spanned::new(0..0, DeTable::new())
}

fn note(error: &Error, source: &Source<'_>) {
    let span = error.span().unwrap_or_default();
    let header = source.line_at(span.start).trim().strip_prefix('[').and_then(|line| line.split(']').next());
    let (message, mend) = match error.message() {
        it if it.starts_with("duplicate key") && header == Some("window") => {
            ("`[window]` is there twice", "write `[[window]]`: there may be many")
        }
        it if it.starts_with("duplicate key") => ("the same key is there twice", "keep one of the two"),
        // What the parser says of `key =` and of `key = word` alike.
        it if it.starts_with("string values must be quoted") && source.at(span.clone()).is_empty() => {
            ("the value is missing", "write one after the `=`, or remove the key")
        }
        it if it.starts_with("string values must be quoted") || it.starts_with("invalid boolean") => {
            ("this is no value", "a text is put into quotes: `\"…\"`")
        }
        it if it.starts_with("invalid date,") => (it, "write a day that there is: `2026-12-31`"),
        it if it.starts_with("invalid time,") => {
            (it, "write a time from `00:00:00` to `23:59:59`; midnight is the next day's `00:00:00`")
        }
        it => (it, ""),
    };
    source.error(span, message, mend);
}

/// In a document with syntax errors, much that is there cannot be seen. Of
/// what was noted after the first `before` diagnostics, only what stands on a
/// line of its own is sure: not what is missing, and nothing on a broken line.
pub(super) fn keep_what_is_sure(source: &Source<'_>, before: usize) {
    let broken: BTreeSet<usize> = source.lines_of_first(before);
    source.retain_from(before, |it| !broken.contains(&it.line) && !it.is_about_absence && it.span.end > 0);
}
