//! The house rules that a compiler does not hold: who may name whom, what the
//! deciding part never does, and where things are not put.

use std::collections::BTreeSet;

pub(crate) mod source;

use source::{Source, has_word, rust_files};

/// Which module may name what of the others. `ledger` stands for all of that
/// module, `ledger::Change` for that alone, `*` for everything.
///
/// Every module has a row, and every permission is used: what is no longer
/// needed is taken out.
const MAY_NAME: &[(&str, &[&str])] = &[
    // Decides, and therefore knows of nothing that could act.
    ("domain", &[]),
    // Each thing that touches the world, in the domain's words.
    ("clock", &["domain"]),
    ("key", &["domain"]),
    ("ledger", &["domain"]),
    ("polytomic", &["domain"]),
    ("systemd", &[]),
    ("tzdb", &["domain"]),
    ("config", &["domain", "key", "notify::check", "notify::is_loopback", "tzdb"]),
    ("notify", &["domain", "key"]),
    // Speaks of rows and of pace, and holds neither the ledger nor a client.
    (
        "reconcile",
        &["domain", "ledger::AsItIs", "ledger::Change", "polytomic::Limits", "polytomic::throttle"],
    ),
    // Is told facts, and shows the report's rows as numbers.
    ("metrics", &["domain", "reconcile::RowReport", "reconcile::RowState"]),
    // Hangs at the end: it shows the report and passes questions on.
    (
        "web",
        &[
            "domain",
            "metrics",
            "reconcile::Holder",
            "reconcile::OrderReport",
            "reconcile::Planned",
            "reconcile::RowReport",
            "reconcile::RowState",
            "reconcile::Wanted",
            "reconcile::Why",
        ],
    ),
    // Somebody else's service: of ours it knows what a sync is called, no more.
    ("simulator", &["domain::sync"]),
    // The daemon without its world: only what decides, and what remembers.
    ("simulation", &["domain", "ledger", "polytomic::Limits", "polytomic::throttle", "reconcile"]),
    // Where all of it comes together.
    (
        "daemon",
        &[
            "clock",
            "config",
            "domain",
            "key",
            "ledger",
            "metrics",
            "notify",
            "polytomic",
            "reconcile",
            "systemd",
            "tzdb",
            "web",
        ],
    ),
    ("cli", &["*"]),
    ("main", &["cli"]),
];

/// What the deciding part has no business with.
const NEVER_IN_DOMAIN: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "Zoned::now",
    "Timestamp::now",
    "axum",
    "fastrand",
    "reqwest",
    "rusqlite",
    "rustix",
    "tokio",
    "tracing",
    "println!",
    "eprintln!",
    "dbg!",
    "async fn",
    "async move",
    ".await",
];

/// Names that say nothing, or, as `core`, something else.
const NO_NAMES: &[&str] = &["common", "core", "helper", "helpers", "manager", "misc", "util", "utils"];

#[test]
fn modules_name_only_what_the_table_allows() {
    let sources = rust_files("src");
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|it| !it.is_test()) {
        let module = source.module();
        let Some(own) = module.first() else { continue };
        let Some((_, allowed)) = MAY_NAME.iter().find(|(module, _)| module == own) else {
            wrong.push(format!("{}: module `{own}` has no row", source.path));
            continue;
        };
        for named in source.names(if *own == "main" { "intermission" } else { "crate" }) {
            if is_within(&named.path, own) {
                continue;
            }
            match allowed.iter().find(|it| is_within(&named.path, it)) {
                Some(permission) => drop(used.insert((*own, *permission))),
                None => wrong
                    .push(format!("{}:{}: `{own}` may not name `{}`", source.path, named.line, named.path)),
            }
        }
    }
    let stale = MAY_NAME
        .iter()
        .flat_map(|(module, allowed)| allowed.iter().map(move |it| (*module, *it)))
        .filter(|row| !used.contains(row))
        .map(|(module, permission)| {
            format!("the table lets `{module}` name `{permission}`, which it does not")
        });
    wrong.extend(stale);
    none("The modules and MAY_NAME in tests/it/architecture.rs disagree", &wrong);
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let modules: BTreeSet<String> = rust_files("src")
        .iter()
        .filter_map(|source| source.module().first().map(|it| (*it).to_owned()))
        .collect();
    let rows: BTreeSet<String> = MAY_NAME.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(rows, modules, "the left is MAY_NAME, the right is src");
}

#[test]
fn the_domain_touches_nothing() {
    let mut wrong = Vec::new();
    for source in rust_files("src").iter().filter(|it| it.module().first() == Some(&"domain")) {
        // `use std::{fs, io}` is `std::fs` too.
        let imported: Vec<String> =
            source.names("std").into_iter().map(|it| format!("std::{}", it.path)).collect();
        for word in NEVER_IN_DOMAIN {
            if has_word(&source.code, word) || imported.iter().any(|it| is_within(it, word)) {
                wrong.push(format!("{} has `{word}`", source.path));
            }
        }
    }
    none("The domain decides; others read clocks, do I/O and log", &wrong);
}

#[test]
fn nothing_has_a_name_that_says_nothing() {
    let wrong: Vec<String> = all_sources()
        .iter()
        .filter(|source| {
            let names = source.path.trim_end_matches(".rs").split('/');
            names.into_iter().any(|name| NO_NAMES.contains(&name))
        })
        .map(|source| source.path.clone())
        .collect();
    none("These names do not say what is inside", &wrong);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let wrong: Vec<String> = all_sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.clone())
        .collect();
    none("These do not start with `//!`", &wrong);
}

#[test]
fn nothing_is_unsafe() {
    let wrong: Vec<String> = all_sources()
        .iter()
        .filter(|source| has_word(&source.code, "unsafe"))
        .map(|source| source.path.clone())
        .collect();
    none("These have `unsafe` code", &wrong);
}

fn all_sources() -> Vec<Source> {
    ["src", "tests", "benches", "fuzz"].into_iter().flat_map(rust_files).collect()
}

/// Whether `path` is `outer` or below it.
fn is_within(path: &str, outer: &str) -> bool {
    outer == "*" || path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[track_caller]
fn none(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}
