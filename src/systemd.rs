//! Speaks to the service manager (`sd_notify(3)`). Outside of systemd it says
//! nothing, and that nobody listens is never an error.
//!
//! A manager that has stopped to read, as a frozen systemd does, blocks whoever
//! tells it more than a few messages. So a thread of its own tells it, and the
//! loop goes on.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// Recovered, configuration read: ready to keep windows.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun. [`ready`] ends it.
pub fn reloading() {
    // Since systemd 253 both have to be in one message.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The daemon is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// What `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// The loop is alive. Only the loop says so.
pub fn watchdog() {
    if watchdog_interval().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// How often the service manager wants to hear from us, with room to spare.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

/// More messages than this do not wait to be taken: the newest are lost.
const WAITING: usize = 64;

/// To the thread that tells them; none if there can be no such thread.
static MESSAGES: OnceLock<Option<SyncSender<String>>> = OnceLock::new();

fn tell(states: &[NotifyState]) {
    let Some(messages) = MESSAGES.get_or_init(start) else { return };
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    let _ = messages.try_send(lines.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "here the service manager is spoken to, or not")]
fn start() -> Option<SyncSender<String>> {
    std::env::var_os("NOTIFY_SOCKET")?;
    let (sender, messages) = sync_channel(WAITING);
    thread::Builder::new().name("systemd".to_owned()).spawn(|| pass_on(messages)).ok()?;
    Some(sender)
}

fn pass_on(messages: Receiver<String>) {
    for message in messages {
        let _ = sd_notify::notify(&[NotifyState::Custom(&message)]);
    }
}
