//! `[[notify]]` and `[heartbeat]`: who is told.

use std::collections::BTreeSet;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::Severity;
use super::organization::name_of;
use super::reader::{Table, nearest, wrong_type};
use super::source::{Source, quote};
use crate::domain::event::EventKind;
use crate::domain::notice::{Address, DEFAULT_EVENTS, Format, Heartbeat, Target};
use crate::domain::organization::KeySource;
use crate::domain::sync::Name;
use crate::key::Environment;

const EXAMPLE: &str = "`url_file = \"/etc/intermission/slack-url\"`";

/// All `[[notify]]`. What is wrong with an address that is kept elsewhere is a
/// warning: it keeps no window from being kept, and may be mended later.
pub(super) fn targets(
    root: &mut Table<'_>,
    source: &Source<'_>,
    environment: &Environment<'_>,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for mut table in root.tables("notify") {
        let format = table.word("format", &[("slack", Format::Slack), ("json", Format::Json)]);
        if !table.has("format") {
            table.missing("format", "write `format = \"slack\"` or `format = \"json\"`");
        }
        let written = table.parsed("name", |text| name_of("a target", text));
        let at = table.place_of("name");
        let name = written.map(Spanned::into_inner);
        let name = name.unwrap_or_else(|| unnamed(format, &targets));
        if targets.iter().any(|it| it.name == name) {
            source.error(at, format!("two targets are called `{name}`"), "give one of them another `name`");
        }
        let address = address(&mut table, source, environment);
        let events = events(&mut table, source);
        table.finish();
        if let (Some(format), Some(address)) = (format, address) {
            targets.push(Target { name, address, format, events });
        }
    }
    targets
}

/// `slack`, `slack-2`, …
fn unnamed(format: Option<Format>, others: &[Target]) -> Name {
    let word = format.map_or("notify", Format::as_str);
    let is_free = |name: &String| !others.iter().any(|it| it.name.as_str() == name);
    let numbered = (2..).map(|number| format!("{word}-{number}"));
    std::iter::once(word.to_owned()).chain(numbered).find(is_free).unwrap_or_default().into()
}

/// `[heartbeat]`.
pub(super) fn heartbeat(
    table: Option<Table<'_>>,
    source: &Source<'_>,
    environment: &Environment<'_>,
) -> Option<Heartbeat> {
    let mut table = table?;
    let address = address(&mut table, source, environment);
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    let interval = table.duration("interval", bounds).map(Spanned::into_inner);
    table.finish();
    Some(Heartbeat { address: address?, interval: interval.unwrap_or(Duration::from_mins(5)) })
}

/// One of `url`, `url_file` and `url_credential`.
fn address(table: &mut Table<'_>, source: &Source<'_>, environment: &Environment<'_>) -> Option<Address> {
    let keys = ["url", "url_file", "url_credential"];
    let there: Vec<&str> = keys.into_iter().filter(|key| table.has(key)).collect();
    let url = table.text("url").map(|it| Address::Written(it.into_inner().to_owned().into()));
    let file = table.path("url_file").map(|it| Address::Kept(KeySource::File(it.into_inner())));
    let credential = table.parsed("url_credential", credential_of).map(Spanned::into_inner);
    let at = match there[..] {
        [key] => table.place_of(key),
        [] => {
            table.missing("url_file", format!("write {EXAMPLE}, and the address into that file"));
            return None;
        }
        [_, another, ..] => {
            let problem = format!("`{}` and `{another}` both say where to send", there[0]);
            source.error(table.at(), problem, "remove one of them");
            return None;
        }
    };
    let address = url.or(file).or(credential)?;
    if let Err(problem) = crate::notify::check(&address, environment) {
        let mend =
            format!("write {EXAMPLE}, and the address alone into that file, which not everybody may read");
        match address {
            Address::Written(_) => {
                // The line holds the secret, so it is not shown.
                let mut diagnostic = source.diagnostic(Severity::Error, at.clone(), &problem, &mend);
                diagnostic.excerpt = None;
                source.note(diagnostic);
            }
            // Nobody hears of it, but windows are kept.
            Address::Kept(_) => source.warn(at, &problem, &mend),
        }
    }
    Some(address)
}

/// What is no name is not quoted: it may be the address itself.
fn credential_of(text: &str) -> Result<Address, (String, String)> {
    let is_name = (1..=255).contains(&text.len()) && !text.contains(['/', ':', '?']);
    if is_name {
        return Ok(Address::Kept(KeySource::Credential(text.to_owned())));
    }
    let mend = "write the name that `LoadCredential=NAME:PATH` of the systemd unit gives it";
    Err(("`url_credential` is no name of a credential".to_owned(), mend.to_owned()))
}

fn events(table: &mut Table<'_>, source: &Source<'_>) -> BTreeSet<EventKind> {
    let Some(list) = table.list("events", "\"overdue\"") else {
        return DEFAULT_EVENTS.iter().copied().collect();
    };
    let mut events = BTreeSet::new();
    for value in list.get_ref() {
        let DeValue::String(text) = value.get_ref() else {
            wrong_type(source, "events", value, "a list of names", "write `events = [\"overdue\"]`");
            continue;
        };
        if let Ok(kind) = text.parse() {
            events.insert(kind);
            continue;
        }
        let known = EventKind::ALL.iter().map(|it| it.as_str());
        let mend = match nearest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/operations.md lists the events".to_owned(),
        };
        source.error(value.span(), format!("there is no event {}", quote(text)), mend);
    }
    events
}
