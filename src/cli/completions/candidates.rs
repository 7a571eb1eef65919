//! What windows and syncs are called, for shells: from the daemon, else from
//! the file, and within the time that a person takes for none.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli::socket::Socket;
use crate::cli::{Color, Global, block_on, file, screen};
use crate::domain::event::EventKind;
use crate::domain::sync::SyncRef;
use crate::key;
use crate::web::api::{NamedSync, Names};

/// After this much time there is nothing to complete.
const PATIENCE: Duration = Duration::from_millis(500);

/// More than these are not shown: nobody reads them, and shells are slow.
const MOST: usize = 1000;

/// What is being completed.
struct About {
    words: Vec<OsString>,
    is_bash: bool,
}

static ABOUT: OnceLock<About> = OnceLock::new();

/// Takes the command line that is to be completed, for the whole process: who
/// asks for candidates is told only the word.
pub(in crate::cli) fn about(words: &[OsString], shell: &OsStr) {
    let after = words.iter().position(|it| it == "--").map_or(words.len(), |at| at + 1);
    let is_bash = PathBuf::from(shell).file_name().is_some_and(|it| it == "bash");
    let _ = ABOUT.set(About { words: words[after..].to_vec(), is_bash });
}

/// Completes the name of a window.
pub(in crate::cli) fn windows() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let windows = names().windows.into_iter().map(|it| (it.to_string(), None));
        matching(word, windows)
    })
}

/// Completes a sync: its id, or its name if no other one has it.
pub(in crate::cli) fn syncs() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| matching(word, called(&names().syncs).into_iter()))
}

/// Completes kinds of event, with commas between.
pub(in crate::cli) fn events() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let text = word.to_string_lossy();
        let before = text.rfind(',').map_or("", |at| &text[..=at]);
        let events = EventKind::ALL.iter().map(|it| (format!("{before}{it}"), None));
        matching(word, events)
    })
}

/// Each sync by its id, with its name beside it; and by its name.
fn called(syncs: &[NamedSync]) -> Vec<(String, Option<String>)> {
    let is_unique = |name: &str| syncs.iter().filter(|it| it.name.as_deref() == Some(name)).count() == 1;
    let same_id = |sync: &SyncRef| syncs.iter().filter(|it| it.sync.id == sync.id).count() > 1;
    let mut all = Vec::new();
    for it in syncs {
        let id = if same_id(&it.sync) { it.sync.to_string() } else { it.sync.id.to_string() };
        let kind = format!("{} sync of {}", it.sync.kind, it.sync.organization);
        let about = it.name.as_ref().map_or(kind.clone(), |name| format!("{name}, {kind}"));
        if let Some(name) = it.name.as_ref().filter(|name| is_unique(name)) {
            all.push((name.clone(), Some(format!("{id}, {kind}"))));
        }
        all.push((id, Some(about)));
    }
    all
}

/// Those that begin with the word, as the shell will write them.
fn matching(word: &OsStr, all: impl Iterator<Item = (String, Option<String>)>) -> Vec<CompletionCandidate> {
    let is_bash = ABOUT.get().is_some_and(|it| it.is_bash);
    let word = word.to_string_lossy();
    let candidate = |(text, about): (String, Option<String>)| {
        // What a terminal or a shell would obey is typed by nobody.
        let is_plain = matches!(screen::harmless(&text), std::borrow::Cow::Borrowed(_));
        let written = if is_bash { escaped(&text) } else { text.clone() };
        let is_meant = written.starts_with(&*word) || text.starts_with(&*word);
        let about = about.map(|it| screen::harmless(&it).into_owned().into());
        (is_plain && is_meant).then(|| CompletionCandidate::new(written).help(about))
    };
    all.filter_map(candidate).take(MOST).collect()
}

/// A word of bash, which takes what it is given as if it had been typed; the
/// other shells quote it themselves.
fn escaped(text: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./,+@%".contains(c);
    let mut written = String::new();
    for c in text.chars() {
        if !is_safe(c) {
            written.push('\\');
        }
        written.push(c);
    }
    written
}

/// What the daemon looks after, or, if there is none, what is in the file.
fn names() -> Names {
    let (send, receive) = mpsc::channel();
    let global = global();
    // The thread ends with the process, whatever it waits for.
    std::thread::spawn(move || drop(send.send(ask(&global).unwrap_or_else(|| in_file(&global)))));
    receive.recv_timeout(PATIENCE).unwrap_or_default()
}

fn ask(global: &Global) -> Option<Names> {
    let socket = Socket::of(global).ok()?;
    block_on(socket.names()).ok()
}

fn in_file(global: &Global) -> Names {
    let Ok(read) = file::read(global) else { return Names::default() };
    let calendar = read.config.calendar;
    Names {
        windows: calendar.windows().iter().map(|it| it.name.clone()).collect(),
        syncs: calendar.syncs().map(|sync| NamedSync { sync: sync.clone(), name: None }).collect(),
    }
}

/// As the command line that is being typed says it, as far as it is there.
fn global() -> Global {
    let words = ABOUT.get().map_or(&[][..], |it| &it.words);
    let path = |option: &str, variable: &str| {
        let with_equals = format!("{option}=");
        let written = words.iter().enumerate().find_map(|(at, word)| {
            let text = word.to_string_lossy();
            match text.strip_prefix(&with_equals) {
                Some(value) => Some(OsString::from(value)),
                None if text == option => words.get(at + 1).cloned(),
                None => None,
            }
        });
        // bash makes three words of `--config=PATH`.
        let written = written.filter(|it| it != "=");
        written.or_else(|| key::process_environment(variable)).map(PathBuf::from)
    };
    let config = path("--config", "INTERMISSION_CONFIG");
    Global {
        config: config.unwrap_or_else(|| PathBuf::from(super::super::CONFIG)),
        state: path("--state", "INTERMISSION_STATE"),
        color: Color::Never,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::sync::SyncKind;

    fn named(organization: &str, id: u128, name: Option<&str>) -> NamedSync {
        let sync = SyncRef::new(organization.into(), SyncKind::Model, Uuid::from_u128(id));
        NamedSync { sync, name: name.map(str::to_owned) }
    }

    #[test]
    fn a_sync_is_completed_by_its_id_and_by_a_name_that_no_other_has() {
        let id = |id: u128| Uuid::from_u128(id).to_string();
        let all = called(&[
            named("default", 1, Some("Contacts")),
            named("default", 2, Some("Leads")),
            named("emea", 3, Some("Leads")),
            named("emea", 4, None),
            named("default", 4, None),
        ]);
        let words: Vec<String> = all.into_iter().map(|(word, _)| word).collect();
        let twice = id(4);
        let expected =
            ["Contacts".to_owned(), id(1), id(2), id(3), format!("emea/{twice}"), format!("default/{twice}")];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_bash_would_carry_out_is_escaped() {
        assert_eq!(escaped("snowflake-patching_2.0"), "snowflake-patching_2.0");
        assert_eq!(escaped("Größe → $(rm *)"), r"Größe\ \→\ \$\(rm\ \*\)");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_offered() {
        let all = [("Con\u{1b}[2J".to_owned(), None), ("Contacts".to_owned(), None)];
        let words = matching(OsStr::new("Con"), all.into_iter());
        let words: Vec<_> = words.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(words, ["Contacts"]);
    }
}
