//! Reads source files as text: what of them is code, and what the code names.
//!
//! No parser: comments and literals are blanked, the rest is cut into words,
//! and paths are followed through their braces. That is enough for code that
//! rustfmt has been over, and it needs no crate.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    /// Where it is, from the repository's root, with `/` between.
    pub(super) path: String,
    /// All of it.
    pub(crate) text: String,
    /// The same without comments, and with its literals emptied. Lines stay
    /// where they are.
    pub(super) code: String,
}

/// A path that code names, such as `ledger::Change` for `crate::ledger::Change`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Counted from 1.
    pub(super) line: usize,
    /// Without `crate`.
    pub(super) path: String,
}

/// The repository's root.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, sorted by path. A folder that is not there
/// has none.
pub(crate) fn rust_files(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("a source file is readable");
            let path = path.strip_prefix(root()).expect("it is below the root").display().to_string();
            Source { path, code: code(&text), text }
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder is readable").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

impl Source {
    /// The module that this file is: `["ledger", "store"]` for `src/ledger/store.rs`.
    pub(super) fn module(&self) -> Vec<&str> {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        if inside == "lib" { vec![] } else { inside.split('/').collect() }
    }

    /// Whether it is only compiled for tests.
    pub(super) fn is_test(&self) -> bool {
        self.module().contains(&"tests")
    }

    /// Each path that starts at `root` (`crate`, or another crate's name), or
    /// that leads there by `super`. Modules named `tests` are passed over: a
    /// test may set up whatever it needs.
    pub(super) fn names(&self, root: &str) -> Vec<Named> {
        let words = words(&self.code);
        let mut named = Vec::new();
        // The names of the modules and, for other braces, nothing.
        let mut scopes: Vec<Option<&str>> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let word = words[at].1;
            let before = at.checked_sub(1).map_or("", |before| words[before].1);
            let is_start = before != "::" && words.get(at + 1).is_some_and(|next| next.1 == "::");
            let in_tests = scopes.contains(&Some("tests"));
            match word {
                "{" => {
                    let is_module = at >= 2 && words[at - 2].1 == "mod";
                    scopes.push(is_module.then_some(before));
                }
                "}" => drop(scopes.pop()),
                _ if word == root && is_start && !in_tests => {
                    follow(&words, at + 2, &[], &mut named);
                }
                "super" if root == "crate" && is_start && !in_tests => {
                    let mut module = self.module();
                    module.extend(scopes.iter().flatten());
                    let mut ahead = at;
                    while words[ahead].1 == "super" && words.get(ahead + 1).is_some_and(|it| it.1 == "::") {
                        module.pop();
                        ahead += 2;
                    }
                    follow(&words, ahead, &module, &mut named);
                }
                _ => {}
            }
            at += 1;
        }
        named
    }
}

/// Follows a path from word `at` on, through its braces, and returns where it
/// ended.
fn follow(words: &[(usize, &str)], mut at: usize, before: &[&str], named: &mut Vec<Named>) -> usize {
    let mut path = before.to_vec();
    loop {
        let Some((line, word)) = words.get(at).copied() else { return at };
        match word {
            "{" => {
                at += 1;
                while words.get(at).is_some_and(|it| it.1 != "}") {
                    at = follow(words, at, &path, named);
                    // `as another_name`, then the comma.
                    while words.get(at).is_some_and(|it| it.1 != "}" && it.1 != ",") {
                        at += 1;
                    }
                    if words.get(at).is_some_and(|it| it.1 == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "*" | "self" => {
                let last = if word == "*" { vec!["*"] } else { vec![] };
                named.push(Named { line, path: [path, last].concat().join("::") });
                return at + 1;
            }
            _ if is_name(word) => path.push(word),
            // A turbofish, or whatever else ends a path.
            _ => {
                named.push(Named { line, path: path.join("::") });
                return at;
            }
        }
        if words.get(at + 1).is_some_and(|it| it.1 == "::") {
            at += 2;
        } else {
            named.push(Named { line, path: path.join("::") });
            return at + 1;
        }
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(is_name_char)
}

fn is_name_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Names, `::`, and every other character for itself, each with its line.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                _ if is_name_char(first) => rest.find(|it| !is_name_char(it)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            words.push((number + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    words
}

/// Whether `code` has `wanted` in it, not as a part of a longer name.
pub(super) fn has_word(code: &str, wanted: &str) -> bool {
    code.match_indices(wanted).any(|(at, _)| {
        let starts = wanted.starts_with(is_name_char) && code[..at].ends_with(is_name_char);
        let ends = wanted.ends_with(is_name_char) && code[at + wanted.len()..].starts_with(is_name_char);
        !starts && !ends
    })
}

/// Blanks comments and empties literals.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest, code.ends_with(is_name_char)) {
            code.push_str("\"\"");
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().filter(|it| *it == '\n'));
        rest = &rest[length..];
    }
    code
}

/// How long the comment is that starts here; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How long the string or character is that starts here, if one does.
fn literal(text: &str, in_name: bool) -> Option<usize> {
    if let Some(inside) = text.strip_prefix('"') {
        return Some(1 + quoted(inside, '"'));
    }
    if let Some(inside) = text.strip_prefix('\'') {
        let mut chars = inside.char_indices();
        let (_, first) = chars.next()?;
        let (second, next) = chars.next()?;
        return match (first, next) {
            ('\\', _) => Some(1 + quoted(inside, '\'')),
            (_, '\'') => Some(1 + second + 1),
            _ => None, // A lifetime.
        };
    }
    if in_name || !text.starts_with('r') {
        return None;
    }
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(1 + hashes + 1 + length)
}

/// How long it is to the end of the literal, its closing quote included.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn what_is_no_code_is_blanked() {
    let check = |text: &str, expected: &str| assert_eq!(code(text), expected, "for {text}");
    check("a // b\nc", "a \nc");
    check("a /* b /* c */\n d */ e", "a \n e");
    check(r#"f("tokio \" // ", 'x', '\'', b"y")"#, r#"f("", "", "", b"")"#);
    check("r#\"a \" b\"# c", "\"\" c");
    check("fn f<'a>(it: &'a str)", "fn f<'a>(it: &'a str)");
}

#[test]
fn paths_are_found_through_braces_and_upwards() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        let source = Source { path: path.to_owned(), text: String::new(), code: code(text) };
        let found: Vec<String> = source.names("crate").into_iter().map(|it| it.path).collect();
        assert_eq!(found, expected, "for {text}");
    };
    check("src/a.rs", "use crate::b::{self, C as D, e::{F, *}};", &["b", "b::C", "b::e::F", "b::e::*"]);
    check("src/a.rs", "let it = crate::b::c::<u8>(1);", &["b::c"]);
    check("src/a/b.rs", "use super::c; use super::super::d::E;", &["a::c", "d::E"]);
    check("src/a.rs", "mod inner { use super::super::b; } use super::c;", &["b", "c"]);
    check("src/a.rs", "mod tests { use crate::b; fn f() {} use crate::c; } use crate::d;", &["d"]);
    check("src/a.rs", "pub(super) fn f() {} pub(in crate::b) fn g() {}", &["b"]);
    check("src/a.rs", "let text = \"crate::b\"; // crate::c", &[]);
}
