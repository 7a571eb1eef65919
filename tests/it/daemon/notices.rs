//! Notices and the heartbeat: a webhook on this machine, and what it hears.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use intermission::simulator::{Fault, Operation, Rule};
use serde_json::Value;

use super::night::{CONTACTS, FAR, LEADS, Night, Window, key, soon};

/// What each request was: its first line, its id, and its body.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    id: Option<String>,
    body: Value,
}

/// A webhook. Its path holds what the night's search for keys looks for.
struct Webhook {
    url: String,
    heard: Arc<Mutex<Vec<Request>>>,
    /// The statuses of the next answers; then 200.
    answers: Arc<Mutex<Vec<&'static str>>>,
}

impl Webhook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{}", listener.local_addr().unwrap(), key("webhook"));
        let (heard, answers) = (Arc::default(), Arc::default());
        let it = Self { url, heard: Arc::clone(&heard), answers: Arc::clone(&answers) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &heard, &answers);
            }
        });
        it
    }

    fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }

    fn texts(&self) -> Vec<String> {
        self.heard().iter().filter_map(|it| Some(it.body["text"].as_str()?.to_owned())).collect()
    }
}

/// One request, and the connection is closed.
fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Request>>, answers: &Mutex<Vec<&'static str>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = field(head, "content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let line = head.lines().next().unwrap().to_owned();
    let id = field(&head, "idempotency-key").map(str::to_owned);
    let body = serde_json::from_str(&body).unwrap_or(Value::Null);
    requests.lock().unwrap().push(Request { line, id, body });
    let mut answers = answers.lock().unwrap();
    let status = if answers.is_empty() { "200 OK" } else { answers.remove(0) };
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|it| it.split_once(':'));
    fields.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// The night's file, which tells the webhook.
fn write(night: &Night, webhook: &Webhook, more: &str, windows: &[Window]) {
    std::fs::write(night.path("webhook.key"), &webhook.url).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(night.path("webhook.key"), permissions).unwrap();
    let file = night.path("webhook.key").display().to_string();
    night.write(windows);
    night.rewrite(|text| format!("{text}\n[[notify]]\nformat = \"slack\"\nurl_file = \"{file}\"\n{more}"));
}

#[test]
fn a_window_is_one_message_at_its_end_and_a_webhook_that_is_down_hears_it_later() {
    let (night, webhook) = (Night::new(), Webhook::start());
    webhook.answers.lock().unwrap().extend(["503 Down", "429 Slow down\r\nretry-after: 1"]);
    let window = Window::new("nightly", soon(-1.0)..soon(2.0)).of(&[CONTACTS, LEADS]);
    let more = "events = [\"paused\", \"resumed\", \"window_closed\"]\n";
    write(&night, &webhook, more, &[window]);
    let daemon = night.start();
    night.until_resumed(CONTACTS);
    night.until_resumed(LEADS);
    night.until("the webhook took it", |_| webhook.heard().len() >= 3);
    assert_eq!(daemon.stop(), Some(0));
    let heard = webhook.heard();
    assert!(heard.iter().all(|it| it.line.starts_with("POST /")), "{heard:?}");
    assert!(heard.iter().all(|it| it.id.is_some() && it.id == heard[0].id), "the same message: {heard:?}");
    let text = &webhook.texts()[2];
    assert!(text.starts_with("*Window `nightly`: closed, 2 paused, 2 resumed*"), "{text}");
    assert!(text.contains("Paused sync `Contacts` for `nightly`"), "{text}");
    // It was told, and is not told again.
    let daemon = night.start();
    night.fence(&[]);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(webhook.heard().len(), 3);
}

#[test]
fn what_a_daemon_that_died_did_not_tell_the_next_one_tells() {
    let (night, webhook) = (Night::new(), Webhook::start());
    webhook.answers.lock().unwrap().extend(["503 Down"; 100]);
    let window = Window::new("nightly", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    write(&night, &webhook, "events = [\"paused\"]\n", &[window]);
    let daemon = night.start();
    night.until_paused(CONTACTS);
    night.until("it is tried", |_| !webhook.heard().is_empty());
    daemon.kill();
    webhook.answers.lock().unwrap().clear();
    let before = webhook.heard().len();
    let daemon = night.start();
    night.until("it is told", |_| webhook.heard().len() > before);
    assert_eq!(daemon.stop(), Some(0));
    let heard = webhook.heard();
    assert_eq!(heard[before].id, heard[0].id);
}

#[test]
fn the_heart_beats_only_while_nothing_is_overdue() {
    let (night, webhook) = (Night::new(), Webhook::start());
    let window = Window::new("nightly", soon(-1.0)..soon(3.0)).of(&[CONTACTS]);
    let beat = format!(
        "events = [\"overdue\", \"recovered\"]\n[heartbeat]\nurl_file = \"{}\"\ninterval = \"1s\"\n",
        night.path("webhook.key").display()
    );
    write(&night, &webhook, &beat, &[window]);
    night.rewrite(|text| text.replace("[reconcile]", "[reconcile]\noverdue_after = \"1s\""));
    let daemon = night.start();
    let beats = || webhook.heard().iter().filter(|it| it.line.starts_with("GET ")).count();
    night.until("a beat", |_| beats() > 0);
    night.until_paused(CONTACTS);
    night.world().add_rule(Rule::always(Fault::status(500)).on(Operation::Resume));
    night.until("it is told of what is overdue", |_| {
        webhook.texts().iter().any(|it| it.contains("OVERDUE: sync `Contacts`"))
    });
    night.until("the log tells of it", |_| daemon_log(&night).contains("No heartbeat: held back: 1 overdue"));
    let before = beats();
    night.world().clear_faults();
    night.until_resumed(CONTACTS);
    night.until("the heart beats again", |_| beats() > before);
    assert_eq!(daemon.stop(), Some(0));
}

fn daemon_log(night: &Night) -> String {
    std::fs::read_to_string(night.path("log")).unwrap_or_default()
}

#[test]
fn notify_test_says_what_came_of_it() {
    let (night, webhook) = (Night::new(), Webhook::start());
    night.write(&[]);
    night.run(&["notify", "test"], 2).with(&["the file has no `[[notify]]`"]);
    write(&night, &webhook, "", &[]);
    night.rewrite(|text| {
        format!(
            "{text}[[notify]]\nname = \"wiki\"\nformat = \"json\"\nurl_file = \"{}\"\n",
            night.path("webhook.key").display()
        )
    });
    night.run(&["notify", "test"], 0).with(&["slack (slack): sent", "wiki (json): sent"]);
    let heard = webhook.heard();
    assert!(heard[0].body["text"].as_str().unwrap().contains("This is a test"), "{heard:?}");
    assert!(heard[1].body["title"].as_str().unwrap().contains("This is a test"), "{heard:?}");
    // Who tells its own address in a refusal does not get it into our log.
    let told = Box::leak(format!("404 Not Found\r\nx-path: {}", key("webhook")).into_boxed_str());
    webhook.answers.lock().unwrap().push(told);
    night.run(&["notify", "test", "--target", "wiki"], 1).with(&["wiki (json): error: refused with 404"]);
    night.run(&["notify", "test", "--target", "nobody"], 2).with(&["no target `nobody`"]);
}
