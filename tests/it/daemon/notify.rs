//! What the daemon tells the service manager, by `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::night::{CONTACTS, FAR, Night, Window, row, soon};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn of(night: &Night) -> Self {
        let path = night.path("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { socket, path: path.display().to_string() }
    }

    /// What a unit with `Type=notify` and this `WatchdogSec=` has in its environment.
    fn environment(&self, watchdog: Option<Duration>) -> Vec<(&'static str, String)> {
        let watchdog = watchdog.map(|it| ("WATCHDOG_USEC", it.as_micros().to_string()));
        [("NOTIFY_SOCKET", self.path.clone())].into_iter().chain(watchdog).collect()
    }

    /// The next message, a `NAME=value` a line.
    fn message(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("the daemon says no more");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Reads until a message says this, and says all that came, that one last.
    fn until(&self, line: &str) -> Vec<String> {
        let mut messages = vec![];
        loop {
            let message = self.message();
            let is_it = message.lines().any(|it| it == line);
            messages.push(message);
            if is_it {
                return messages;
            }
        }
    }

    /// What came until now.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let mut messages = vec![];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        messages
    }
}

#[test]
fn it_is_ready_once_it_has_recovered() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let first = night.start();
    night.until_state(CONTACTS, "held");
    first.kill();

    let manager = Manager::of(&night);
    let second = night.spawn(&manager.environment(None));
    let messages = manager.until("READY=1");
    assert_eq!(messages.len(), 1, "something was said before: {messages:?}");
    assert!(messages[0].contains("STATUS=1 paused"), "{messages:?}");
    // It answers, and knows what the one before it had paused.
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert!(status["daemon"].is_object(), "{status}");
    assert_eq!(row(&status, CONTACTS)["state"], "held");

    night.write(&[patching.until(soon(0.5))]);
    night.run(&["reload"], 0);
    manager.until("RELOADING=1");
    manager.until("READY=1");
    night.until_resumed(CONTACTS);
    manager.until("STATUS=nothing is paused");
    assert_eq!(second.stop(), Some(0));
    manager.until("STOPPING=1");
}

#[test]
fn each_reload_is_told_from_beginning_to_end() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(FAR)..soon(FAR + 60.0)).of(&[CONTACTS])]);
    let manager = Manager::of(&night);
    let daemon = night.spawn(&manager.environment(None));
    manager.until("READY=1");
    let reloading = |what: &str| {
        let messages = manager.until("RELOADING=1");
        let message = messages.last().unwrap();
        // Both in one message, for `Type=notify-reload`.
        assert!(message.lines().any(|it| it.starts_with("MONOTONIC_USEC=")), "{what}: {message}");
        manager.until("READY=1").pop().unwrap()
    };
    daemon.hang_up();
    reloading("a good file");
    night.write_nonsense();
    daemon.hang_up();
    let ready = reloading("a bad file");
    assert!(ready.contains("the configuration file is wrong"), "{ready}");
    assert_eq!(daemon.stop(), Some(0));
    let last = manager.until("STOPPING=1").pop().unwrap();
    assert!(last.contains("STATUS=stopping"), "{last}");
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn the_watchdog_hears_of_it_while_nothing_happens() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(FAR)..soon(FAR + 60.0)).of(&[CONTACTS])]);
    let manager = Manager::of(&night);
    let daemon = night.spawn(&manager.environment(Some(Duration::from_millis(600))));
    manager.until("READY=1");
    let began = soon(0.0);
    for _ in 0..6 {
        manager.until("WATCHDOG=1");
    }
    let took = soon(0.0) - began;
    // Three for each limit; the first comes at once, and a slow machine has its time.
    assert!(took < chrono::TimeDelta::seconds(10), "{took}");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_daemon_that_does_not_start_is_never_ready() {
    let night = Night::new();
    night.write(&[]);
    night.write_nonsense();
    let manager = Manager::of(&night);
    assert_eq!(night.spawn(&manager.environment(None)).ended().code(), Some(78));
    assert_eq!(manager.rest(), [""; 0]);
}

#[test]
fn a_daemon_without_a_configuration_says_so_loudly() {
    let night = Night::new();
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let first = night.start();
    night.until_state(CONTACTS, "held");
    first.kill();
    night.write_nonsense();
    let manager = Manager::of(&night);
    let second = night.spawn(&manager.environment(None));
    let ready = manager.until("READY=1").pop().unwrap();
    assert!(ready.contains("NO CONFIGURATION IN FORCE"), "{ready}");
    assert_eq!(second.stop(), Some(0));
}
