//! What the daemon tells, and nobody takes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use super::kill::{binary, strace_works};
use super::{Daemon, Place, id, much_later, soon, window};

/// Keeps a window with this stderr, and ends in good order.
fn check(stderr: impl Into<Stdio>) {
    let place = Place::new();
    let mut command = place.command(&["run", "--log", "trace"]);
    command.stderr(stderr);
    check_command(&place, command);
}

fn check_command(place: &Place, mut command: Command) {
    let sync = place.model("default", id(1));
    let opens = soon(2);
    place.write(&[window("patching", (opens, much_later()), &[sync])]);
    let (log, file) = place.output();
    let child = command.stdout(file).spawn().unwrap();
    // It holds the other end of the pipe.
    drop(command);
    let daemon = Daemon { child, log };
    place.until_held(sync);
    let closes = soon(2);
    place.write(&[window("patching", (opens, closes), &[sync])]);
    place.reload();
    place.until_active(sync);
    place.until_no_rows();
    let resumed = place.world().changes_of(sync).last().unwrap().at;
    assert!(closes <= resumed, "resumed at {resumed}, before {closes}");
    let (status, took) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took.num_seconds() < 20, "it took {took} to end");
}

#[test]
fn windows_are_kept_although_nobody_holds_the_other_end_of_stderr() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    check(writer);
}

#[test]
fn windows_are_kept_although_there_is_no_room_for_what_stderr_is_told() {
    check(File::create("/dev/full").unwrap());
}

#[test]
fn windows_are_kept_although_stderr_is_on_a_disk_that_fails() {
    if !strace_works() {
        return;
    }
    let place = Place::new();
    let (log, file) = place.output();
    let binary = binary();
    // Only what goes to this file fails. With -D it is strace that is the child.
    let before = ["-D", "-f", "-qq", "-o", "/dev/null", "-P", log.to_str().unwrap()];
    let inject = ["-e", "trace=write,writev", "-e", "inject=write,writev:error=EIO"];
    let before = [&before[..], &inject, &[binary.to_str().unwrap(), "run"]].concat();
    let mut command = place.command_under("/usr/bin/strace".as_ref(), &before, &[]);
    command.stderr(file);
    check_command(&place, command);
    assert_eq!(fs::read_to_string(&log).unwrap(), "", "the log could be written");
}

#[test]
fn windows_are_kept_although_nobody_reads_what_stderr_holds() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    // Writes until the pipe is full, and then waits until its reader is gone.
    let filling = std::thread::spawn(move || while filler.write_all(&[b'.'; 4096]).is_ok() {});
    check(writer);
    drop(reader);
    filling.join().unwrap();
}

#[test]
fn windows_are_kept_although_the_service_manager_is_frozen() {
    let place = Place::new();
    // Nobody reads what it is told; a few messages fill it.
    let _socket = UnixDatagram::bind(place.path("notify.sock")).unwrap();
    let mut command = place.command(&["run"]);
    command.env("NOTIFY_SOCKET", place.path("notify.sock"));
    command.env("WATCHDOG_USEC", "300000");
    command.stderr(place.output().1);
    check_command(&place, command);
}
