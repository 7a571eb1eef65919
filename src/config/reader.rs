//! Reads one table of the file: typed values out, everything wrong noted.
//!
//! A key is known when it is asked for, so each key is named once, where it is
//! read. Nothing here stops at an error: a value that is wrong reads as one
//! that is not there, and the file is refused at the end.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::source::{SECRETS, Source, quote};

/// A value and where it stands.
pub(super) type Value<'t> = &'t Spanned<DeValue<'t>>;

/// One table of the file.
pub(super) struct Table<'t> {
    /// As it is written: `[polytomic]`.
    title: String,
    at: Range<usize>,
    entries: &'t DeTable<'t>,
    known: Vec<&'static str>,
    // Keys that were refused already, so that they are not unknown, too.
    refused: Vec<&'static str>,
    source: &'t Source<'t>,
}

impl<'t> Table<'t> {
    /// The whole file.
    pub(super) fn root(entries: &'t DeTable<'t>, source: &'t Source<'t>) -> Self {
        Self::new("the file".to_owned(), 0..0, entries, source)
    }

    fn new(title: String, at: Range<usize>, entries: &'t DeTable<'t>, source: &'t Source<'t>) -> Self {
        Self { title, at, entries, known: Vec::new(), refused: Vec::new(), source }
    }

    /// Where it begins: its header.
    pub(super) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Takes a value of any type.
    pub(super) fn any(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// Takes a text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Spanned<&'t str>> {
        let value = self.any(key)?;
        let DeValue::String(text) = value.get_ref() else {
            wrong_type(self.source, key, value, "a text", &format!("write `{key} = \"…\"`"));
            return None;
        };
        Some(Spanned::new(value.span(), text.as_ref()))
    }

    /// Takes a text that `parse` understands; otherwise its message and mend
    /// are noted.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, (String, String)>,
    ) -> Option<Spanned<T>> {
        let text = self.text(key)?;
        match parse(text.get_ref()) {
            Ok(value) => Some(Spanned::new(text.span(), value)),
            Err((message, mend)) => {
                self.source.error(text.span(), message, mend);
                None
            }
        }
    }

    /// Takes one of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let read = |text: &str| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                (format!("`{key}` cannot be {}", quote(text)), format!("write {}", list.join(" or ")))
            })
        };
        self.parsed(key, read).map(Spanned::into_inner)
    }

    /// Takes an absolute path.
    pub(super) fn path(&mut self, key: &'static str) -> Option<Spanned<PathBuf>> {
        self.parsed(key, |text| {
            if text.starts_with('/') && !text.contains('\0') && text.len() < 4096 {
                return Ok(PathBuf::from(text));
            }
            Err((
                format!("`{key}` is no absolute path"),
                "write the whole path, from `/` on: the daemon has no working directory of its own"
                    .to_owned(),
            ))
        })
    }

    /// Takes a duration within bounds.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Spanned<Duration>> {
        let value = self.any(key)?;
        let DeValue::String(text) = value.get_ref() else {
            let mend = match value.get_ref() {
                DeValue::Integer(number) => format!("write `{key} = \"{number}s\"` for seconds"),
                _ => format!("write `{key} = \"90s\"`, `\"15m\"`, `\"2h30m\"` …"),
            };
            wrong_type(self.source, key, value, "a duration, written as a text", &mend);
            return None;
        };
        let read = match duration::parse(text) {
            Ok(read) => read,
            Err(error) => {
                let span = inside(self.source, value, text, error.span);
                self.source.error(span, error.problem, error.mend);
                return None;
            }
        };
        if !bounds.contains(&read) {
            let (least, most) = (duration::format(*bounds.start()), duration::format(*bounds.end()));
            let problem = match read {
                Duration::ZERO => format!("`{key}` cannot be zero"),
                _ if read < *bounds.start() => format!("`{key}` is too short"),
                _ => format!("`{key}` is too long"),
            };
            self.source.error(value.span(), problem, format!("write a duration from {least} to {most}"));
            return None;
        }
        Some(Spanned::new(value.span(), read))
    }

    /// Takes a whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let value = self.any(key)?;
        let mend = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
        let DeValue::Integer(number) = value.get_ref() else {
            wrong_type(self.source, key, value, "a whole number", &mend);
            return None;
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let read =
            read.and_then(|number| u32::try_from(number).ok()).filter(|number| bounds.contains(number));
        if read.is_none() {
            self.source.error(
                value.span(),
                format!("`{key}` cannot be {}", quote(&number.to_string())),
                mend,
            );
        }
        read
    }

    /// Takes a list; the values in it may be of any type.
    pub(super) fn list(&mut self, key: &'static str, example: &str) -> Option<Spanned<Vec<Value<'t>>>> {
        let value = self.any(key)?;
        let DeValue::Array(list) = value.get_ref() else {
            wrong_type(self.source, key, value, "a list", &format!("write `{key} = [{example}]`"));
            return None;
        };
        Some(Spanned::new(value.span(), list.iter().collect()))
    }

    /// Takes a table of its own: `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table<'t>> {
        let value = self.any(key)?;
        self.open(value, key, format!("[{key}]"))
    }

    /// Takes all `[key.NAME]`, with where each name stands.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Vec<(Spanned<&'t str>, Table<'t>)> {
        let Some(value) = self.any(key) else { return Vec::new() };
        let DeValue::Table(entries) = value.get_ref() else {
            wrong_type(self.source, key, value, "tables with a name each", &format!("write `[{key}.NAME]`"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in entries {
            let title = format!("[{key}.{}]", quote(name.get_ref()).trim_matches('`'));
            if let Some(table) = self.open(value, key, title) {
                tables.push((Spanned::new(name.span(), name.get_ref().as_ref()), table));
            }
        }
        tables
    }

    /// Takes all `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'t>> {
        let Some(value) = self.any(key) else { return Vec::new() };
        let mend = format!("write `[[{key}]]`: there may be many");
        let DeValue::Array(list) = value.get_ref() else {
            self.source.error(value.span(), format!("`{key}` must be a list of tables"), mend);
            return Vec::new();
        };
        list.iter().filter_map(|value| self.open(value, key, format!("[[{key}]]"))).collect()
    }

    /// Takes a list of tables within one line: `key = [{ … }]`.
    pub(super) fn inline_tables(&mut self, key: &'static str, example: &str) -> Option<Vec<Table<'t>>> {
        let list = self.list(key, example)?;
        let title = format!("`{key}`");
        list.get_ref().iter().map(|value| self.open(value, key, title.clone())).collect()
    }

    /// Whether there is no key in it at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn open(&self, value: Value<'t>, key: &'static str, title: String) -> Option<Table<'t>> {
        let DeValue::Table(entries) = value.get_ref() else {
            wrong_type(self.source, key, value, "a table", &format!("write `{title}`"));
            return None;
        };
        Some(Table::new(title, value.span(), entries, self.source))
    }

    /// Whether a key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a value stands; where it is not there, the table's header.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.at(), Spanned::span)
    }

    /// Notes that a key must be there.
    pub(super) fn missing(&self, key: &str, mend: impl AsRef<str>) {
        self.source.absent(self.at(), format!("`{key}` is missing in {}", self.title), mend);
    }

    /// Refuses secrets that are written into the file.
    pub(super) fn no_secrets(&mut self) {
        for key in SECRETS {
            self.refused.push(key);
            if let Some((name, _)) = self.entries.get_key_value(key) {
                self.source.error(
                    name.span(),
                    format!(
                        "`{key}`: an API key is never written into this file, which others may read and copy"
                    ),
                    "write `api_key_file = \"/etc/intermission/api-key\"`, and the key into that file",
                );
            }
        }
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for name in self.entries.keys() {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) || self.refused.contains(&key) {
                continue;
            }
            let mend = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{} knows: {}", self.title, self.known.join(", ")),
            };
            self.source.error(name.span(), format!("unknown key {} in {}", quote(key), self.title), mend);
        }
    }
}

/// Notes a value of the wrong type.
pub(super) fn wrong_type(source: &Source<'_>, key: impl Display, value: Value<'_>, wanted: &str, mend: &str) {
    let found = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with fractions",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    source.error(value.span(), format!("`{key}` must be {wanted}, and is {found}"), mend);
}

/// Where bytes of a decoded text stand in the file. A text with escapes or of
/// several lines is meant as a whole.
pub(super) fn inside(source: &Source<'_>, value: Value<'_>, text: &str, part: Range<usize>) -> Range<usize> {
    let whole = value.span();
    let raw = source.at(whole.clone());
    let is_plain = raw.len() == text.len() + 2 && raw.get(1..raw.len() - 1) == Some(text);
    if is_plain && !part.is_empty() && part.end <= text.len() {
        whole.start + 1 + part.start..whole.start + 1 + part.end
    } else {
        whole
    }
}

/// The candidate that was probably meant, if one is near enough.
pub(super) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > 64 {
        return None;
    }
    let lower = text.to_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
