//! The text of a file and the places in it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};

/// How many diagnostics are kept, of which a quarter is shown. Nobody reads more, and
/// noise has millions.
const MOST_KEPT: usize = 200;

/// How many characters of a line are shown.
const MOST_COLUMNS: usize = 120;

/// How many bytes of a line, on either side, are looked through for secrets.
const MOST_SEEN: usize = 8192;

/// Keys whose value is a secret. What follows them is never shown.
pub(super) const SECRETS: [&str; 9] =
    ["api_key", "apikey", "api-key", "key", "token", "secret", "password", "bearer", "authorization"];

/// A longer path in a URL is taken for a secret.
const LONGEST_PATH: usize = 5;

/// A file, and what was found in it so far.
pub(super) struct Source<'t> {
    name: Arc<str>,
    text: &'t str,
    // The byte at which each line starts.
    lines: Vec<usize>,
    // Which lines are in tables whose addresses are secrets, once one of them is shown.
    about_addresses: OnceCell<Vec<bool>>,
    found: RefCell<Vec<Diagnostic>>,
    omitted: Cell<usize>,
}

/// A line as it is shown: cut to a width, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) line: String,
    pub(super) marked: Range<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(name: &str, text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            name: name.into(),
            text,
            lines,
            about_addresses: OnceCell::new(),
            found: RefCell::default(),
            omitted: Cell::default(),
        }
    }

    /// The text between two places.
    pub(super) fn at(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    /// The line that holds a place, counted from 0.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at) - 1
    }

    pub(super) fn error(&self, span: Range<usize>, message: impl AsRef<str>, mend: impl AsRef<str>) {
        self.add(Severity::Error, span, message.as_ref(), mend.as_ref());
    }

    pub(super) fn warn(&self, span: Range<usize>, message: impl AsRef<str>, mend: impl AsRef<str>) {
        self.add(Severity::Warning, span, message.as_ref(), mend.as_ref());
    }

    fn add(&self, severity: Severity, span: Range<usize>, message: &str, mend: &str) {
        // Half of the room is for errors alone, so that no error is lost to
        // warnings and the file then thought to be good.
        let room = match severity {
            Severity::Error => MOST_KEPT,
            Severity::Warning => MOST_KEPT / 2,
        };
        if self.found.borrow().len() >= room {
            self.omitted.set(self.omitted.get() + 1);
            return;
        }
        let diagnostic = self.diagnostic(severity, span, message, mend);
        self.found.borrow_mut().push(diagnostic);
    }

    /// Notes what was put together elsewhere.
    pub(super) fn note(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// A diagnostic at a place; an empty mend is none.
    pub(super) fn diagnostic(
        &self,
        severity: Severity,
        span: Range<usize>,
        message: &str,
        mend: &str,
    ) -> Diagnostic {
        let start = floor(self.text, span.start);
        let span = start..floor(self.text, span.end).max(start);
        let line = self.line_of(start);
        let line_start = self.lines[line];
        Diagnostic {
            severity,
            file: self.name.clone(),
            line: line + 1,
            column: self.text[line_start..start].chars().count() + 1,
            excerpt: Some(self.excerpt(line, &span)),
            span,
            message: shown(message),
            mend: Some(shown(mend)).filter(|mend| !mend.is_empty()),
            about_key: false,
            is_about_absence: false,
        }
    }

    /// The line with what is marked in it; where it is too long, what stands
    /// around the mark.
    fn excerpt(&self, line: usize, span: &Range<usize>) -> Excerpt {
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        // Of a line of a megabyte only the surroundings are looked at.
        let start = floor(self.text, self.lines[line].max(span.start.saturating_sub(MOST_SEEN)));
        let end = floor(self.text, end.min(span.start + MOST_SEEN));
        let whole = self.text[start..end].trim_end_matches('\r');
        let address = if self.is_about_addresses(line) { address_in(whole) } else { None };
        let secret = [address, secret_in(whole)].into_iter().flatten().min();
        let visible = &whole[..secret.unwrap_or(whole.len())];
        let hidden = visible.len() < whole.len();
        let mark = (span.start - start).min(visible.len());
        let mark_end = (span.end - start).clamp(mark, visible.len());

        let from = if visible.chars().nth(MOST_COLUMNS).is_some() { step_back(visible, mark) } else { 0 };
        let until = step_on(visible, from);
        let mut text = String::new();
        let mut marked = mark - from..mark_end.min(until) - from;
        if from > 0 {
            text.push('…');
            marked = marked.start + '…'.len_utf8()..marked.end + '…'.len_utf8();
        }
        text.extend(
            visible[from..until].chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }),
        );
        if hidden || until < visible.len() {
            text.push('…');
        }
        // Replaced characters may have grown; the mark must stay inside.
        let limit = text.len();
        let marked = floor(&text, marked.start.min(limit))..floor(&text, marked.end.min(limit));
        Excerpt { line: text, marked }
    }

    /// Whether a line is in a table whose addresses are secrets. Told from the
    /// text: what is wrong with the file may be the table itself.
    fn is_about_addresses(&self, line: usize) -> bool {
        let about = self.about_addresses.get_or_init(|| {
            let mut is_about = false;
            let lines = self.text.split('\n').map(str::trim_start);
            lines
                .map(|it| {
                    let names_them = || ADDRESSES.iter().any(|table| named(it).starts_with(table));
                    is_about = names_them() || is_about && !is_header(it);
                    is_about
                })
                .collect()
        });
        about.get(line).is_some_and(|it| *it)
    }

    /// Whether an error was found so far.
    pub(super) fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|it| it.severity == Severity::Error)
    }

    /// Drops what the given test refuses of all that was found from the n-th on.
    pub(super) fn retain_from(&self, first: usize, keep: impl Fn(&Diagnostic) -> bool) {
        let mut found = self.found.borrow_mut();
        let first = first.min(found.len());
        let rest = found.split_off(first);
        found.extend(rest.into_iter().filter(keep));
    }

    /// How much was kept so far.
    pub(super) fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// The lines of the first n diagnostics, counted from 1.
    pub(super) fn lines_of_first(&self, n: usize) -> BTreeSet<usize> {
        self.found.borrow().iter().take(n).map(|it| it.line).collect()
    }

    /// The text of the line that holds a place.
    pub(super) fn line_at(&self, at: usize) -> &'t str {
        let line = self.line_of(at);
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        &self.text[self.lines[line]..end]
    }

    /// Notes that something is not there. Where the file cannot be read whole,
    /// nobody knows.
    pub(super) fn absent(&self, span: Range<usize>, message: impl AsRef<str>, mend: impl AsRef<str>) {
        let count = self.count();
        self.error(span, message, mend);
        if let Some(it) = self.found.borrow_mut().get_mut(count) {
            it.is_about_absence = true;
        }
    }

    /// All that was found, in the order of the file, and how much was not kept.
    pub(super) fn into_found(self) -> (Vec<Diagnostic>, usize) {
        let mut found = self.found.into_inner();
        found.sort_by_key(|it| (it.span.start, it.severity));
        (found, self.omitted.get())
    }
}

/// A text from the file as it is quoted in a message: short and printable.
pub(super) fn quote(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", shown(&cut))
}

/// Without characters that a terminal would obey, and without a secret: where a
/// quote is missing, a value has all that comes after it inside, other lines too.
fn shown(text: &str) -> String {
    let visible = secret_in(text).map_or(text, |secret| &text[..secret]);
    let dots = if visible.len() < text.len() { "…" } else { "" };
    visible.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).chain(dots.chars()).collect()
}

/// Where a line begins to hold something that must not be shown: the value of
/// a secret key, or the name and password of a URL.
fn secret_in(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let keys = SECRETS.iter().flat_map(|key| {
        lower.match_indices(key).filter_map(|(at, key)| {
            let after = at + key.len();
            let starts = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let value = lower[after..].trim_start_matches(['"', '\'', ' ', '\t']);
            let is_key = starts && value.starts_with(['=', ':']);
            is_key.then(|| lower.len() - value.len() + 1)
        })
    });
    let urls = lower.match_indices("://").filter_map(|(at, slashes)| {
        let start = at + slashes.len();
        let authority = lower[start..].split(['/', '"', '\'', '?', '#']).next()?;
        if authority.contains('@') {
            return Some(start);
        }
        // What comes after a webhook's host is its secret, and no API's URL has as much.
        let path = lower[start + authority.len()..].split(['"', '\'', ' ']).next()?;
        (path.len() > LONGEST_PATH).then_some(start + authority.len())
    });
    keys.chain(urls).chain(bare_addresses(&lower)).min()
}

/// Where the path of an address without its scheme begins: `url = "host/secret"`.
fn bare_addresses(lower: &str) -> impl Iterator<Item = usize> {
    lower.match_indices("url").filter_map(|(at, key)| {
        let value = lower[at + key.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
        let value = value.strip_prefix('=')?.trim_start_matches(['"', '\'', ' ', '\t']);
        let value_at = lower.len() - value.len();
        let value = value.split(['"', '\'', ' ']).next()?;
        let path = value.find('/').filter(|_| !value.contains("://"))?;
        (value.len() - path > LONGEST_PATH).then_some(value_at + path)
    })
}

/// Tables in which every address is a secret.
const ADDRESSES: [&str; 2] = ["notify", "heartbeat"];

/// What may be shown of such a table. What follows any other key may be the
/// address: one that is misspelt, too.
const SHOWN: [&str; 4] = ["format", "name", "events", "interval"];

/// The key or table that a text begins with, in lower case. Longer than any is
/// as good as another.
fn named(text: &str) -> String {
    let text = text.trim_start_matches('[').trim_start_matches(['"', '\'', ' ', '\t']);
    let is_of_a_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.chars().take_while(is_of_a_name).take(20).map(|c| c.to_ascii_lowercase()).collect()
}

/// `[table]` or `[[table]]`, and not a list in a list.
fn is_header(line: &str) -> bool {
    line.starts_with('[') && !named(line).is_empty()
}

/// Where a line of such a table may begin to hold an address. A line without a
/// key belongs to a text that began above it.
fn address_in(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let text = &line[start..];
    if text.is_empty() || text.starts_with('#') || is_header(text) {
        return None;
    }
    let Some((key, value)) = text.split_once('=') else { return Some(start) };
    let value = value.trim_start_matches(['"', '\'', ' ', '\t']);
    let is_shown = match named(text).as_str() {
        // Whoever writes the address itself there is not told it either.
        "url_file" => value.starts_with('/'),
        "url_credential" => !value.contains(['/', ':', '\\']),
        known => SHOWN.contains(&known),
    };
    (!is_shown).then_some(start + key.len() + 1)
}

/// The last place at or before this one at which a character starts.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// A third of the width before a place, so that what leads to it is seen.
fn step_back(text: &str, from: usize) -> usize {
    text[..from].char_indices().rev().take(MOST_COLUMNS / 3).last().map_or(from, |(at, _)| at)
}

/// The width of a line after a place.
fn step_on(text: &str, from: usize) -> usize {
    text[from..].char_indices().nth(MOST_COLUMNS).map_or(text.len(), |(at, _)| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_in_lines_and_characters() {
        let source = Source::new("f", "a\näö = 1\n");
        let check = |at: usize, line: usize, column: usize| {
            let found = source.diagnostic(Severity::Error, at..at, "", "");
            assert_eq!((found.line, found.column), (line, column), "{at}");
        };
        check(0, 1, 1);
        check(2, 2, 1);
        check(4, 2, 2);
        check(6, 2, 3);
        check(99, 3, 1);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}X{}", "é".repeat(500), "b".repeat(500));
        let source = Source::new("f", &text);
        let excerpt = source.diagnostic(Severity::Error, 1000..1001, "", "").excerpt.unwrap();
        assert_eq!(&excerpt.line[excerpt.marked.clone()], "X");
        assert!(excerpt.line.chars().count() <= 122, "{}", excerpt.line);
        assert!(excerpt.line.starts_with("…é") && excerpt.line.ends_with("b…"));
    }

    #[test]
    fn a_secret_is_not_quoted() {
        assert_eq!(quote("a\n[polytomic]\napi_key = \"hush\""), "`a\u{fffd}[polytomic]\u{fffd}api_key =…`");
        assert_eq!(quote("https://me:hush@host/"), "`https://…`");
        let source = Source::new("f", "");
        let told = source.diagnostic(Severity::Error, 0..0, "no `x\ntoken = hush`", "write `token=hush`");
        assert_eq!(
            (told.message.as_str(), told.mend.as_deref()),
            ("no `x\u{fffd}token =…", Some("write `token=…"))
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let check = |line: &str, shown: &str| {
            let source = Source::new("f", line);
            let end = line.len();
            let excerpt = source.diagnostic(Severity::Error, end..end, "", "").excerpt.unwrap();
            assert_eq!(excerpt.line, shown);
        };
        check("api_key = \"hush\"", "api_key =…");
        check("polytomic = { token=\"hush\" }", "polytomic = { token=…");
        check("\"API_KEY\" = hush", "\"API_KEY\" =…");
        check("url = \"https://me:hush@host/\"", "url = \"https://…");
        check("api_key_file = \"/etc/key\"", "api_key_file = \"/etc/key\"");
        check("url = \"https://host/a@b\"", "url = \"https://host/a@b\"");
        check("x = [{ url = \"host/services/hush\" }]", "x = [{ url = \"host…");
    }

    #[test]
    fn what_may_be_an_address_is_not_shown() {
        let check = |text: &str, shown: &str| {
            let source = Source::new("f", text);
            let end = text.len();
            let excerpt = source.diagnostic(Severity::Error, end..end, "", "").excerpt.unwrap();
            assert_eq!(excerpt.line, shown, "{text}");
        };
        check("[[notify]]\nulr = \"hush\"", "ulr =…");
        check("[[ \"notify\" ]]\nurl = hush", "url =…");
        check("[heartbeat]\n url = \"https:\\u002f\\u002fhush\"", " url =…");
        check("[[notify]]\nurl = \"\"\"\nhush", "…");
        check("notify = [\n  { x = hush", "  { x =…");
        check("heartbeat.url = hush", "heartbeat.url =…");
        check("[[notify]]\nurl_file = \"host/hush\"", "url_file =…");
        check("[[notify]]\nurl_file = \"/etc/url\" x", "url_file = \"/etc/url\" x");
        check("[[notify]]\nformat = \"slak\"", "format = \"slak\"");
        check("[[notify]]\n[[window]]\nnam = \"nightly\"", "nam = \"nightly\"");
        check(&format!("[[notify]]\n{}ulr = hush", "# of old\n".repeat(5000)), "ulr =…");
    }
}
