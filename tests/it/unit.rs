//! The systemd units: they name only what is there, and systemd understands them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_intermission");

const UNITS: [&str; 3] =
    ["intermission.service", "intermission-failsafe.service", "intermission-failsafe.timer"];

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
fn the_units_run_commands_that_exist() {
    let units = [read("intermission.service"), read("intermission-failsafe.service")];
    let commands: Vec<&str> = units
        .iter()
        .flat_map(|it| [settings(it, "ExecStart"), settings(it, "ExecReload")].concat())
        .collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        let arguments = command.strip_prefix(INSTALLED).unwrap_or_else(|| panic!("{command}"));
        // With `--help` the arguments before it are still parsed.
        let output = Command::new(BINARY).args(arguments.split_whitespace()).arg("--help").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` is refused: {errors}");
    }
}

#[test]
fn the_services_run_as_the_user_that_sysusers_makes() {
    let sysusers = read("intermission.sysusers.conf");
    let made: Vec<&str> =
        sysusers.lines().filter_map(|line| line.strip_prefix("u ")?.split_whitespace().next()).collect();
    for unit in ["intermission.service", "intermission-failsafe.service"].map(read) {
        assert_eq!(settings(&unit, "User"), made);
        assert_eq!(settings(&unit, "Group"), made);
    }
}

/// A folder with the units, running the binary that was just built.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        // systemd insists that the binary be there.
        fs::write(folder.path().join(unit), read(unit).replace(INSTALLED, BINARY)).unwrap();
    }
    folder
}

fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) => {
            crate::skipped::skipped(&format!("systemd-analyze: {error}"));
            None
        }
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = folder();
    for unit in UNITS {
        let Some(output) = analyze(&["verify", "--man=no"], &folder.path().join(unit)) else { return };
        // It exits 0 on settings that it does not know, but not silently.
        let told = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8_lossy(&told), "", "{unit}: {}", output.status);
        assert!(output.status.success());
    }
}

#[test]
fn the_services_can_do_little() {
    let folder = folder();
    for unit in UNITS.iter().filter(|it| it.ends_with(".service")) {
        let arguments = ["security", "--no-pager", "--offline=true", "--threshold=12"];
        let Some(output) = analyze(&arguments, &folder.path().join(unit)) else { return };
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{unit}: {}", told.lines().last().unwrap_or_default());
    }
}

#[test]
fn both_services_are_confined_alike() {
    let confined = |name: &str| {
        let unit = read(name);
        let (_, rest) = unit.split_once("NoNewPrivileges=").expect("the confinement begins there");
        let lines = rest.lines().filter(|it| !it.starts_with('#')).take_while(|it| !it.starts_with('['));
        lines.filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(confined("intermission.service"), confined("intermission-failsafe.service"));
}
