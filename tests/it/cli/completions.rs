//! Completions, in a real bash: what the daemon knows, else what the file says,
//! and never a word beside that.

use std::process::Command;

use super::{Daemon, Place, Polytomic, SYNC, WINDOW, run, until};

/// What bash offers for the last word of a line, and what it says on stderr.
fn completed(place: &Place, line: &str) -> (Vec<String>, String) {
    let script = place.path("completion");
    std::fs::write(&script, run(&["completions", "bash"]).with(0).out).unwrap();
    let config = place.path("intermission.toml");
    let line = line.replace("CONFIG", config.to_str().unwrap());
    // As readline calls it: the words of the line, and the one under the cursor.
    let asked = r#"
        source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_TYPE=9
        "$(complete -p intermission | sed 's/.*-F \([^ ]*\) .*/\1/')" intermission "${COMP_WORDS[COMP_CWORD]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_intermission")).parent().unwrap();
    let output = Command::new("bash")
        .args(["--norc", "-c", asked, "bash", script.to_str().unwrap()])
        .args(line.split(' '))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let offered = text(&output.stdout).lines().filter(|it| !it.is_empty()).map(str::to_owned).collect();
    (offered, text(&output.stderr))
}

#[track_caller]
fn check(place: &Place, line: &str, expected: &[&str]) {
    let (offered, errors) = completed(place, line);
    assert_eq!(errors, "", "{line}");
    assert_eq!(offered, expected, "{line}");
}

#[test]
fn bash_completes_commands_options_events_and_words() {
    let place = Place::with(WINDOW);
    check(&place, "intermission upc", &["upcoming"]);
    check(&place, "intermission status --da", &["--daemon"]);
    check(&place, "intermission history --event paused,resume", &["paused,resumed", "paused,resume_failed"]);
    check(&place, "intermission upcoming --format j", &["json"]);
    check(&place, "intermission nonsense --win", &[]);
}

#[test]
fn without_a_daemon_the_file_says_what_windows_and_syncs_are_called() {
    let place = Place::with(WINDOW);
    let id = SYNC.to_string();
    check(&place, "intermission --config CONFIG resume --window ", &["patching"]);
    check(&place, "intermission --config CONFIG history --window pat", &["patching"]);
    check(&place, "intermission --config CONFIG history --window x", &[]);
    check(&place, "intermission --config CONFIG forget 248d", &[&id]);
    // A file that is wrong, or none, is nobody's business here.
    place.write("nonsense");
    check(&place, "intermission --config CONFIG resume --window ", &[]);
    check(&place, "intermission --config /nowhere resume --window ", &[]);
}

#[test]
fn the_daemon_knows_syncs_by_name_and_bash_gets_them_escaped() {
    let polytomic = Polytomic::with_sync("$(touch gone) & 日本");
    let place = Place::with(WINDOW);
    place.write_for(&polytomic.server.url(), WINDOW);
    let now = intermission::clock::wall();
    let text = |days: i64| (now + chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%S").to_string();
    let window = WINDOW.replace("2040-06-02T22:00:00", &text(-1)).replace("2040-06-03T06:00:00", &text(1));
    place.write_for(&polytomic.server.url(), &window);
    let daemon = Daemon::start(&place);
    until(|| !place.run(&["status", "--format", "json"]).json()["syncs"].as_array().unwrap().is_empty());
    // The daemon is asked, not the file.
    place.write_for(&polytomic.server.url(), &window.replace("\"patching\"", "\"mending\""));
    check(&place, "intermission --config CONFIG resume --window ", &["patching"]);
    check(&place, r"intermission --config CONFIG history --sync \$", &[r"\$\(touch\ gone\)\ \&\ 日本"]);
    check(&place, "intermission --config CONFIG history --sync 24", &[&SYNC.to_string()]);
    drop(daemon);
}

#[test]
fn a_daemon_that_hangs_costs_half_a_second_and_no_word() {
    let place = Place::with(WINDOW);
    // It listens and never answers.
    let _socket = std::os::unix::net::UnixListener::bind(place.path("control.sock")).unwrap();
    let began = intermission::clock::wall();
    check(&place, "intermission --config CONFIG resume --window ", &[]);
    let took = intermission::clock::wall() - began;
    assert!(took < chrono::TimeDelta::seconds(5), "{took}");
}

#[test]
fn there_is_a_script_for_each_shell_and_none_names_this_host() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).with(0).out;
        assert!(script.contains("INTERMISSION_COMPLETE"), "{shell}: {script}");
        let program = env!("CARGO_BIN_EXE_intermission");
        assert!(!script.contains(program), "{shell} names {program}");
    }
}
