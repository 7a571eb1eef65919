//! No key where it has no business: every test with real processes ends with
//! this search.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono::TimeDelta;
use intermission::clock::wall;

/// A command that is to say something has so long.
const PATIENCE: TimeDelta = TimeDelta::seconds(20);

/// The forms in which a key could be seen.
pub(crate) struct Forms(Vec<Vec<u8>>);

impl Forms {
    /// The key as it is, and as base64 has it, wherever in the encoded text it
    /// begins: `Basic` puts an organization before it.
    pub(crate) fn of(key: &str) -> Self {
        let shifted = (0..3_usize).map(|before| {
            let bytes = [&vec![b'x'; before], key.as_bytes()].concat();
            let text = STANDARD_NO_PAD.encode(&bytes);
            // The characters at the ends also hold bits of the neighbours.
            let first = (before * 8).div_ceil(6);
            let last = bytes.len() * 8 / 6;
            text.as_bytes()[first..last].to_vec()
        });
        Self([key.as_bytes().to_vec()].into_iter().chain(shifted).collect())
    }

    /// Whether any of them is in there.
    pub(crate) fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|form| bytes.windows(form.len()).any(|it| it == form))
    }

    #[track_caller]
    pub(crate) fn assert_not_in(&self, what: &str, bytes: impl AsRef<[u8]>) {
        assert!(!self.are_in(bytes.as_ref()), "{what} shows a key");
    }

    /// Searches what a command says. One that hangs is killed; what it said by
    /// then is searched all the same.
    #[track_caller]
    pub(crate) fn assert_not_said_by(&self, mut command: Command) {
        let mut said = tempfile::tempfile().unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let deadline = wall() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if deadline < wall() {
                child.kill().unwrap();
                child.wait().unwrap();
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut bytes = Vec::new();
        said.rewind().unwrap();
        said.read_to_end(&mut bytes).unwrap();
        self.assert_not_in(&format!("{:?}", command.get_args()), bytes);
    }

    /// Searches every regular file below a directory, the ledger with its
    /// companions among them, but for the key files themselves.
    #[track_caller]
    pub(crate) fn assert_not_below(&self, directory: &Path, is_key: &dyn Fn(&str) -> bool) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.assert_not_below(&entry.path(), is_key);
            } else if kind.is_file() && !is_key(&entry.file_name().to_string_lossy()) {
                let path = entry.path();
                self.assert_not_in(&path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }

    /// Searches what everybody on the machine, or every process of the same
    /// user, can see of a process. One that has ended shows nothing.
    #[track_caller]
    pub(crate) fn assert_not_shown_by(&self, process: u32) {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{process}/{file}");
            self.assert_not_in(&path, fs::read(&path).unwrap_or_default());
        }
    }
}

const SECRET: &str = "8e5dcfdd-d23d-4e6f";

#[test]
fn a_key_is_found_in_each_of_its_forms() {
    let forms = Forms::of(SECRET);
    for before in ["", "a", "ab", "00000000-0000-4000-8000-00000000000a"] {
        for after in ["", "-", "-x", "-default"] {
            let sent = STANDARD.encode(format!("{before}:{SECRET}{after}"));
            assert!(forms.are_in(format!("Basic {sent}").as_bytes()), "{before}, {after}: {sent}");
        }
    }
    assert!(forms.are_in(format!("Bearer {SECRET}\n").as_bytes()));
    assert!(!forms.are_in(b"Bearer [key]"));
    let other = STANDARD.encode("00000000-0000-4000-8000-00000000000a:9e5dcfdd-d23d-4e6e");
    assert!(!forms.are_in(format!("Basic {other}").as_bytes()), "another key is taken for ours");
}

#[test]
fn a_key_is_found_in_files_and_in_what_commands_say() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("inner")).unwrap();
    fs::write(directory.path().join("inner/ledger.db-wal"), format!("\0\x01{SECRET}\0")).unwrap();
    let search = |is_key: fn(&str) -> bool| {
        let path = directory.path().to_owned();
        std::thread::spawn(move || Forms::of(SECRET).assert_not_below(&path, &is_key)).join()
    };
    assert!(search(|_| false).is_err(), "a key in a file was not found");
    assert!(search(|name| name == "ledger.db-wal").is_ok());

    let say = |what: &'static str| {
        let mut command = Command::new("echo");
        command.arg(what);
        std::thread::spawn(move || Forms::of(SECRET).assert_not_said_by(command)).join()
    };
    assert!(say(SECRET).is_err(), "a key that a command says was not found");
    assert!(say("[key]").is_ok());
}
