//! What the pages say is so: commands exist, dates agree, links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::architecture::source::rust_files;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder that end so, as paths from the root.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|it| it.expect("a folder is readable").file_name());
    let paths = names.map(|name| Path::new(folder).join(name));
    paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}

fn pages() -> Vec<PathBuf> {
    ["", "docs", "docs/decisions"].into_iter().flat_map(|folder| files(folder, ".md")).collect()
}

#[test]
fn the_changelog_ends_at_this_release() {
    let changelog = read("CHANGELOG.md");
    let newest = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .find(|heading| *heading != "Unreleased")
        .expect("the changelog has a release");
    let (version, date) = newest.split_once(" — ").expect("a release is headed `VERSION — DATE`");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    // A clock before this date pauses nothing, so it moves with every release.
    assert_eq!(date, intermission::reconcile::RELEASED.format("%Y-%m-%d").to_string());
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let dependencies: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|section| section.keys().cloned())
        .collect();
    let reasons: BTreeSet<String> = read("docs/decisions/0001-dependencies.md")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(reasons, dependencies, "the left has reasons, the right is in Cargo.toml");
}

#[test]
fn the_tests_that_guarantees_are_shown_by_exist() {
    let page = read("docs/guarantees.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| P"))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    assert_eq!(rows.len(), 24, "a row for each promise");
    let code: String =
        ["src", "tests"].iter().flat_map(|folder| rust_files(folder)).map(|it| it.text).collect();
    for row in &rows {
        let shown_by = row.last().expect("a row has cells");
        let named: Vec<&str> =
            shown_by.split('`').skip(1).step_by(2).filter(|it| !it.contains('/')).collect();
        assert!(!named.is_empty() || shown_by.contains("simulation"), "{}: no test is named", row[0]);
        for name in named {
            assert!(code.contains(&format!("fn {name}(")), "{}: there is no test `{name}`", row[0]);
        }
    }
}

#[test]
fn every_example_configuration_is_named_by_a_page() {
    let text: String = pages().iter().map(read).collect();
    let examples = files("config", ".toml");
    assert!(!examples.is_empty());
    for example in examples {
        assert!(text.contains(example.to_str().unwrap()), "no page names {}", example.display());
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let folder = page.parent().unwrap();
        for target in read(&page).split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(root().join(folder).join(file).exists(), "{} links to {target}", page.display());
        }
    }
}

/// One key of the configuration: its section, its name, its type and default.
type Key = (String, String, String);

/// The keys that docs/configuration.md explains, from its tables.
fn keys_of_the_page() -> Vec<Key> {
    let text = read("docs/configuration.md");
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.replace('`', "");
        }
        let cells: Vec<String> = line.split(" | ").map(|cell| cell.replace('`', "")).collect();
        if let (Some(name), [_, kind, default, ..]) = (line.strip_prefix("| `"), &cells[..]) {
            // Another table tells where the API key is looked for.
            let name = name.split('`').next().unwrap().to_owned();
            let default = match default.as_str() {
                "required" | "this or end" | "this or duration" => default.clone(),
                default => format!("default {default}"),
            };
            keys.push((section.clone(), name, format!("({kind}; {default})")));
        }
    }
    keys
}

/// The keys that the manual page explains: `.TP`, `.B NAME`, `(TYPE; DEFAULT)`.
fn keys_of_the_manual_page() -> Vec<Key> {
    let text = read("docs/intermission.toml.5");
    let lines: Vec<&str> = text.lines().collect();
    let mut section = String::new();
    let mut keys = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some(heading) = line.strip_prefix(".SS ") {
            heading.clone_into(&mut section);
        }
        if let (".TP", [name, explained, ..]) = (*line, &lines[number + 1..]) {
            let name = name.strip_prefix(".B ").unwrap_or_else(|| panic!("`.B` is missing: {name}"));
            keys.push((section.clone(), name.to_owned(), (*explained).to_owned()));
        }
    }
    keys
}

#[test]
fn the_manual_page_has_every_key_with_its_type_and_default() {
    let (page, manual) = (keys_of_the_page(), keys_of_the_manual_page());
    assert!(page.len() > 30, "only {} keys were found", page.len());
    assert_eq!(manual, page, "the left is docs/intermission.toml.5, the right docs/configuration.md");
}

#[test]
fn every_key_of_the_example_is_explained() {
    let explained: BTreeSet<String> = keys_of_the_page().into_iter().map(|(_, name, _)| name).collect();
    let example = read("config/intermission.toml");
    let keys: BTreeSet<String> = example
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
        .filter(|name| name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'))
        .collect();
    let missing: Vec<&String> = keys.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/configuration.md and the manual page do not explain {missing:?}");
    // `duration` is there as an alternative in a sentence.
    let unshown: Vec<&String> = explained.difference(&keys).filter(|it| *it != "duration").collect();
    assert!(unshown.is_empty(), "config/intermission.toml does not show {unshown:?}");
}

/// The first words of a table's rows: `run` for "| `run [--once]` | … |".
fn commands_of_the_readme() -> Vec<String> {
    let readme = read("README.md");
    let (_, section) = readme.split_once("## Commands\n").expect("the README has its table of commands");
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    cells.map(|cell| cell.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_readme_has_every_command_and_no_other() {
    let told: BTreeSet<String> = commands_of_the_readme().into_iter().collect();
    let help = Command::new(env!("CARGO_BIN_EXE_intermission")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").expect("the help lists commands");
    let known: BTreeSet<String> = list
        .lines()
        .take_while(|line| !line.is_empty())
        // What is indented further goes on with the line before.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect();
    assert_eq!(told, known, "the left is the README, the right `intermission --help`");
}

#[test]
fn ci_runs_what_the_readme_promises() {
    let script = read(".ci/run");
    let readme = read("README.md");
    for command in ["cargo run ", "cargo test "] {
        let promised: Vec<&str> = readme.lines().filter(|line| line.starts_with(command)).collect();
        assert!(!promised.is_empty(), "the README has no `{command}…`");
        for promise in promised {
            // How long the demonstration lasts may differ.
            let promise = promise.split(" --for ").next().unwrap();
            assert!(script.lines().any(|line| line.contains(promise)), ".ci/run does not run `{promise}`");
        }
    }
}
