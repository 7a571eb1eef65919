//! Manual pages and completions, which the binary writes itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::skipped::skipped;

/// What a command writes, with a variable that must not get into it.
fn written(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
    let output = command.args(arguments).env("INTERMISSION_CONFIG", "/this/host/only.toml").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("/this/host/only.toml"), "{arguments:?} tells of this host");
    text
}

fn commands() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_intermission")).arg("help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

fn pages(folder: &Path) -> BTreeSet<String> {
    written(&["man", "--dir", folder.to_str().unwrap()]);
    fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn there_is_a_page_for_each_command_and_one_for_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // It makes the directory.
    let folder = folder.path().join("man");
    let mut expected: BTreeSet<String> = commands().iter().map(|it| format!("intermission-{it}.1")).collect();
    assert!(expected.len() > 10);
    expected.extend(["intermission.1".to_owned(), "intermission.toml.5".to_owned()]);
    assert_eq!(pages(&folder), expected);
    let main = fs::read_to_string(folder.join("intermission.1")).unwrap();
    assert_eq!(written(&["man"]), main);
    for command in commands() {
        assert!(main.contains(&format!(r"intermission\-{command}")), "intermission(1) has no {command}");
    }
    for page in &expected {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(env!("CARGO_PKG_VERSION")), "{page} is of no version");
    }
}

#[test]
fn man_finds_nothing_wrong_with_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    for page in pages(folder.path()) {
        // As lintian asks for it.
        let output = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file", "--troff-device=utf8", "--ditroff"])
            .arg(folder.path().join(&page))
            .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "80"), ("MANROFFSEQ", "")])
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => return skipped(&format!("man: {error}")),
        };
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page}");
        assert!(output.status.success(), "{page}: {}", output.status);
        assert!(!output.stdout.is_empty(), "{page} is empty");
    }
}
