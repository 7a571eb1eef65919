//! The systemd unit: it names only what is there, and systemd understands it.

use std::fs;
use std::path::Path;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_intermission");

/// Where the packages put the binary.
const INSTALLED: &str = "/usr/bin/intermission";

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values of a setting, in order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn the_unit_runs_commands_that_exist() {
    let unit = read("intermission.service");
    let commands: Vec<&str> = [settings(&unit, "ExecStart"), settings(&unit, "ExecReload")].concat();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let arguments = command.strip_prefix(INSTALLED).unwrap_or_else(|| panic!("{command}"));
        // With `--help` the arguments before it are still parsed.
        let output = Command::new(BINARY).args(arguments.split_whitespace()).arg("--help").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` is refused: {errors}");
    }
}

#[test]
fn the_unit_runs_as_the_user_that_sysusers_makes() {
    let unit = read("intermission.service");
    let sysusers = read("intermission.sysusers.conf");
    let made: Vec<&str> =
        sysusers.lines().filter_map(|line| line.strip_prefix("u ")?.split_whitespace().next()).collect();
    assert_eq!(settings(&unit, "User"), made);
    assert_eq!(settings(&unit, "Group"), made);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("intermission.service");
    // systemd insists that the binary be there.
    fs::write(&path, read("intermission.service").replace(INSTALLED, BINARY)).unwrap();
    let output = match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() {
        Ok(output) => output,
        Err(error) => return crate::skipped::skipped(&format!("systemd-analyze: {error}")),
    };
    // It exits 0 on settings that it does not know, but not silently.
    let told = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&told), "", "{}", output.status);
    assert!(output.status.success());
}
