//! Finds single words in a file whose rest may be wrong.
//!
//! With a broken configuration the daemon must still find its ledger, and the
//! command line its daemon; and who reads what it says wants the usual clock.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

/// `[state] path`, even when the rest of the file is wrong.
pub fn state_path_leniently(text: &str) -> Option<PathBuf> {
    path_leniently(text, "state", "path")
}

/// `[web] control_socket`, even when the rest of the file is wrong.
pub fn control_socket_leniently(text: &str) -> Option<PathBuf> {
    path_leniently(text, "web", "control_socket")
}

/// `timezone`, even when the rest of the file is wrong.
pub fn timezone_leniently(text: &str) -> Option<String> {
    leniently(text, "", "timezone")
}

fn path_leniently(text: &str, table: &str, key: &str) -> Option<PathBuf> {
    leniently(text, table, key).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn leniently(text: &str, table: &str, key: &str) -> Option<String> {
    let keys = if table.is_empty() { &[key][..] } else { &[table, key] };
    match DeTable::parse(text) {
        Ok(document) => text_at(document.get_ref(), keys),
        Err(_) => line_by_line(text, table, key),
    }
}

/// Each line that is good TOML of its own, as far as it belongs to the table.
fn line_by_line(text: &str, table: &str, key: &str) -> Option<String> {
    let mut header = "";
    text.lines().map(str::trim).find_map(|line| {
        if line.starts_with('[') {
            header = header_of(line);
            return None;
        }
        let keys: &[&str] = match header {
            "" if !table.is_empty() && line.starts_with(table) => &[table, key],
            header if header == table => &[key],
            _ => return None,
        };
        text_at(DeTable::parse(line).ok()?.get_ref(), keys)
    })
}

fn header_of(line: &str) -> &str {
    line.trim_start_matches('[').split(']').next().unwrap_or_default().trim().trim_matches(['"', '\''])
}

fn text_at(table: &DeTable<'_>, keys: &[&str]) -> Option<String> {
    let (key, rest) = keys.split_first()?;
    match (table.get(*key)?.get_ref(), rest) {
        (DeValue::String(text), []) => Some(text.as_ref().to_owned()),
        (DeValue::Table(table), [_, ..]) => text_at(table, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_found_in_a_broken_file() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(state_path_leniently(text).as_deref(), expected.map(std::path::Path::new), "{text}");
        };
        check("[state]\npath = \"/a/b.db\"\n", Some("/a/b.db"));
        check("state.path = '/a/b.db'", Some("/a/b.db"));
        check("unknown = 1\n[state]\npath = \"/a/b.db\"\nhistory = 3\n", Some("/a/b.db"));
        check("this is no TOML\n[state]\n  path = \"/a/b.db\" # here\n", Some("/a/b.db"));
        check("state = { path = \"/a/b.db\" }\n[[window]\n", Some("/a/b.db"));
        check("[ state ] # ledger\nhistory =\npath='/a/b.db'", Some("/a/b.db"));
        check("[[window]\n[web]\npath = \"/no\"\n", None);
        check("[[window]\n[state.path]\npath = \"/no\"\n", None);
        check("[state]\npath = \"/a/b.db\n", None);
        check("[state]\npath = 3\n", None);
        check("[state]\npath = \"relative.db\"\n", None);
        check("path = \"/no\"\n", None);
        check("", None);
    }

    #[test]
    fn the_zone_is_found_above_all_tables() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(timezone_leniently(text).as_deref(), expected, "{text}");
        };
        check(
            "timezone = \"Europe/Berlin\"\nunknown = 1\n[[window]]\ntimezone = \"UTC\"",
            Some("Europe/Berlin"),
        );
        check("timezone = \"Europe/Berlin\"\noops\n", Some("Europe/Berlin"));
        check("oops\n[[window]]\ntimezone = \"UTC\"\n", None);
    }

    #[test]
    fn the_control_socket_is_found_too() {
        let text = "oops\n[web]\ncontrol_socket = \"/run/x.sock\"\n";
        assert_eq!(control_socket_leniently(text), Some(PathBuf::from("/run/x.sock")));
    }
}
