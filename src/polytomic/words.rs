//! What went wrong, in an operator's words.
//!
//! Whatever a stranger wrote passes [`clean`] before it comes near a log or a
//! terminal, and an API that echoes the key does not get it printed.

use std::error::Error;
use std::time::Duration;

use reqwest::StatusCode;

use crate::domain::verdict::{Failure, FailureKind};

/// A stranger's text is cut to so many characters.
const LONGEST: usize = 200;

/// One line of bounded length, without anything that moves a cursor or turns
/// text around.
pub(super) fn clean(text: &str) -> String {
    clean_without(&[], text)
}

/// The same, with each of these secrets masked. That comes after everything that
/// could join the halves of one, and before the cut that could leave a half.
pub(super) fn clean_without(secrets: &[&str], text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !turns_text(*c));
    let visible = visible.collect::<String>();
    let mut line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        line = line.replace(secret, "[key]");
    }
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// The invisible characters of Unicode's bidirectional algorithm.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The kind of failure that a status other than 2xx is. (A 404 is only
/// [`FailureKind::Gone`] if the API itself says so, which its reader knows.)
pub(super) fn kind(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        300..=399 => FailureKind::Redirected,
        401 => FailureKind::Unauthorized,
        403 => FailureKind::Forbidden,
        408 => FailureKind::Timeout,
        409 | 425 => FailureKind::Conflict,
        429 => FailureKind::Throttled,
        400..=499 => FailureKind::Rejected,
        500..=599 => FailureKind::Server,
        // No such status is defined, so nothing follows from it.
        _ => FailureKind::Malformed,
    }
}

/// "the API answered 503 Service Unavailable".
pub(super) fn answered(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("the API answered {} {reason}", status.as_u16()),
        None => format!("the API answered {}", status.as_u16()),
    }
}

/// A request that got no answer.
pub(super) fn unanswered(error: &reqwest::Error, whole: Duration, connect: Duration) -> Failure {
    let timeout = error.is_timeout();
    if error.is_builder() {
        return Failure::new(FailureKind::NotSent, format!("could not build the request: {}", cause(error)));
    }
    if error.is_connect() {
        let message = if timeout {
            format!("could not connect within {connect:?}")
        } else {
            let cause = cause(error);
            format!("could not connect: {cause}{}", hint(&cause))
        };
        return Failure::new(FailureKind::NotSent, message);
    }
    if timeout {
        return Failure::new(FailureKind::Timeout, format!("no answer within {whole:?}"));
    }
    Failure::new(FailureKind::Lost, format!("the connection broke before an answer: {}", cause(error)))
}

/// The causes of an error, outermost first, as one line: without the layers that
/// only say that something below them failed.
pub(super) fn cause(error: &dyn Error) -> String {
    const SAYS_NOTHING: [&str; 6] = [
        "error sending request",
        "builder error",
        "client error (",
        "tcp connect error",
        "connection error",
        "request or response body error",
    ];
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source().or(Some(error));
    while let Some(error) = next {
        let text = without_errno(&error.to_string());
        // Some errors print their cause themselves, and then name it as well.
        if !SAYS_NOTHING.iter().any(|prefix| text.starts_with(prefix))
            && !parts.iter().any(|part| part.contains(&text))
        {
            parts.push(text);
        }
        next = error.source();
    }
    if parts.is_empty() { "no reason given".to_owned() } else { clean(&parts.join(": ")) }
}

/// `Connection refused (os error 111)` -> `connection refused`.
fn without_errno(text: &str) -> String {
    let text = text.split(" (os error ").next().unwrap_or(text);
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // An acronym keeps its capitals.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// What an operator should look at first.
fn hint(cause: &str) -> &'static str {
    if cause.contains("certificate expired") || cause.contains("certificate not valid yet") {
        " (is this machine's clock right?)"
    } else if cause.contains("UnknownIssuer") {
        " (its certificate authority is not trusted here: see `ca_file`)"
    } else if cause.contains("proxy auth") {
        " (the proxy wants a password: check `proxy`)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_is_one_short_harmless_line() {
        for (text, expected) in [
            ("sync not\nfound", "sync not found"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("a\u{202e}b", "ab"),
            ("  a \t b  ", "a b"),
            ("", ""),
        ] {
            assert_eq!(clean(text), expected);
        }
        let long = clean(&"é".repeat(1000));
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_secret_is_masked_even_where_the_cut_would_halve_it() {
        let text = format!("{}SECR\u{202e}ET-KEY", "x".repeat(LONGEST - 4));
        let line = clean_without(&["SECRET-KEY"], &text);
        assert!(!line.contains("SECR"), "{line}");
        assert_eq!(clean_without(&["", "abc"], "abc and abc"), "[key] and [key]");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn layers_that_say_nothing_are_left_out() {
        let refused = Layer("Connection refused (os error 111)", None);
        let tcp = Layer("tcp connect error", Some(Box::new(refused)));
        let client = Layer("client error (Connect)", Some(Box::new(tcp)));
        let error = Layer("error sending request", Some(Box::new(client)));
        assert_eq!(cause(&error), "connection refused");
    }

    #[test]
    fn a_certificate_out_of_its_time_names_the_clock() {
        assert!(hint("invalid peer certificate: certificate expired: verification time 1").contains("clock"));
        assert!(hint("invalid peer certificate: UnknownIssuer").contains("ca_file"));
        assert_eq!(hint("connection refused"), "");
    }
}
