//! A throw-away machine: this one's own files, copied on write, under a systemd
//! of its own. What is installed in it is gone with it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A step that takes longer has no end.
const DEADLINE: Duration = Duration::from_mins(3);

/// Ends the output of a step, and tells how the step ended.
const MARK: &str = "<the step has ended with>";

/// What boots it.
fn boot_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/boot.sh")
}

/// A machine that runs.
pub(super) struct Machine {
    child: Child,
    steps: ChildStdin,
    lines: Receiver<String>,
    transcript: String,
}

/// What came of a step.
pub(super) struct Step {
    pub(super) code: i32,
    pub(super) said: String,
}

impl Step {
    /// Asserts that it said all of this.
    #[track_caller]
    pub(super) fn says(&self, all: &[&str]) {
        for it in all {
            assert!(self.said.contains(it), "`{it}` is not in:\n{}", self.said);
        }
    }
}

impl Machine {
    /// Boots, with these files in `/root`. Where that cannot be done, says why.
    pub(super) fn boot(files: &[&Path]) -> Result<Self, String> {
        let mut command = Command::new("bash");
        command.arg(boot_script());
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            command.arg("--copy").arg(format!("{}:/root/{name}", file.display()));
        }
        command.args(["--", "bash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (steps, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (heard, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The machine outlives whoever stopped listening.
                let _ = heard.send(line);
            }
        });
        let mut machine = Self { child, steps, lines, transcript: String::new() };
        if let Some(why) = machine.why_not() {
            return Err(why);
        }
        // Packages of this machine's own may keep services from being started.
        machine.run(
            "exec 2>&1; rm -f /usr/sbin/policy-rc.d; export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8",
        );
        // The index of all manual pages would take longer than all else.
        machine.run("rm -f /var/lib/man-db/auto-update");
        Ok(machine)
    }

    /// What kept it from being booted, if that is how it ended.
    fn why_not(&mut self) -> Option<String> {
        // It answers once it is there, or else comes to an end.
        let _ = writeln!(self.steps, "echo booted");
        if self.lines.recv_timeout(DEADLINE).is_ok() {
            return None;
        }
        let status = self.child.wait().unwrap();
        let words = self.last_words();
        assert_eq!(status.code(), Some(77), "{words}");
        Some(words)
    }

    /// Runs a step, and sees how it ends.
    #[track_caller]
    pub(super) fn run(&mut self, step: &str) -> Step {
        let _ = writeln!(self.transcript, "# {step}");
        writeln!(self.steps, "{{ {step}\n}} </dev/null; echo \"{MARK} $?\"").unwrap();
        let mut said = String::new();
        loop {
            let line = match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => line,
                Err(error) => panic!("`{step}`: {error}; so far:\n{said}\n{}", self.last_words()),
            };
            // The mark follows whatever has no new line at its end.
            if let Some((before, code)) = line.split_once(MARK) {
                said.push_str(before);
                self.transcript.push_str(&said);
                return Step { code: code.trim().parse().unwrap(), said };
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    /// Same, and it has to succeed.
    #[track_caller]
    pub(super) fn must(&mut self, step: &str) -> Step {
        let done = self.run(step);
        assert_eq!(done.code, 0, "`{step}` says:\n{}", done.said);
        done
    }

    /// Repeats a step until it says this.
    #[track_caller]
    pub(super) fn until(&mut self, step: &str, said: &str) -> Step {
        let mut tries = 0;
        loop {
            let done = self.run(step);
            if done.said.contains(said) {
                return done;
            }
            tries += 1;
            assert!(tries < 600, "waited in vain for `{said}` from `{step}`; at last:\n{}", done.said);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn last_words(&mut self) -> String {
        let mut words = String::new();
        if let (Ok(Some(_)), Some(stderr)) = (self.child.try_wait(), &mut self.child.stderr) {
            let _ = stderr.read_to_string(&mut words);
        }
        words
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the last step read, the shell ends, and the machine with it.
        let _ = writeln!(self.steps, "exit 0");
        for _ in 0..600 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        if std::thread::panicking() {
            eprintln!("The machine's transcript:\n{}", self.transcript);
        }
    }
}
