//! Notices and the heartbeat: a webhook on this machine, and what it hears.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
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
    night.until("the log tells of it", |_| night.log().contains("No heartbeat: held back: 1 overdue"));
    let before = beats();
    night.world().clear_faults();
    night.until_resumed(CONTACTS);
    night.until("the heart beats again", |_| beats() > before);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_is_overdue_does_not_wait_for_an_attempt_that_may_heal() {
    let (night, webhook) = (Night::new(), Webhook::start());
    let nightly = Window::new("nightly", soon(-1.0)..soon(4.0)).of(&[CONTACTS]);
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[LEADS]);
    write(&night, &webhook, "events = [\"pause_failed\", \"overdue\"]\n", &[nightly, patching]);
    night.rewrite(|text| text.replace("[reconcile]", "[reconcile]\noverdue_after = \"1s\""));
    night.world().add_rule(Rule::always(Fault::status(422)).on(Operation::Pause).of(LEADS.id));
    night.world().add_rule(Rule::always(Fault::status(500)).on(Operation::Resume));
    let daemon = night.start();
    night.until_paused(CONTACTS);
    night.until("it is told of what is overdue", |_| {
        webhook.texts().iter().any(|it| it.contains("OVERDUE: sync `Contacts`"))
    });
    // Else both would have been told once the first had had its time to heal.
    let failed = night.history("pause_failed")[0]["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let took = soon(0.0) - failed;
    assert!(took < TimeDelta::seconds(60), "{took}");
    night.world().clear_faults();
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn check_tells_who_hears_of_what_and_only_the_host() {
    let (night, webhook) = (Night::new(), Webhook::start());
    write(&night, &webhook, "events = [\"paused\", \"overdue\"]\n", &[]);
    let file = night.path("webhook.key").display().to_string();
    night.rewrite(|text| {
        format!(
            "{text}[[notify]]\nformat = \"json\"\nurl_file = \"{file}\"\n[heartbeat]\nurl_file = \"{file}\"\n"
        )
    });
    night.run(&["check"], 0).with(&[
        "notices         slack (slack) at 127.0.0.1: paused, overdue\n",
        "notices         json (json) at 127.0.0.1: the usual events\n",
        "heartbeat       to 127.0.0.1, every 5 min",
    ]);
    let told = night.run(&["check", "--format", "json"], 0).json();
    assert_eq!(told["notify"][0]["events"], serde_json::json!(["paused", "overdue"]));
    assert_eq!(
        (&told["notify"][0]["host"], &told["heartbeat"]["interval_seconds"]),
        (&"127.0.0.1".into(), &300.into())
    );
}

#[test]
fn a_webhook_that_hangs_or_refuses_is_seen_and_keeps_no_other_waiting() {
    let (night, webhook) = (Night::new(), Webhook::start());
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let window = Window::new("nightly", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    write(&night, &webhook, "events = [\"paused\"]\n", &[window]);
    let url = format!("http://{}/{}", silent.local_addr().unwrap(), key("webhook"));
    std::fs::write(night.path("silent.key"), url).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(night.path("silent.key"), permissions).unwrap();
    let file = night.path("silent.key").display().to_string();
    night.rewrite(|text| {
        format!("{text}[[notify]]\nname = \"silent\"\nformat = \"json\"\nevents = [\"paused\"]\nurl_file = \"{file}\"\n")
    });
    webhook.answers.lock().unwrap().push("503 Down");
    let daemon = night.start();
    let target = |it: &Value, number: usize| it["notify"][number].clone();
    let status = night
        .until_status("it is seen that it is down", |it| target(it, 0)["last_error"] == "answered with 503");
    assert_eq!((&target(&status, 0)["attempts"], &target(&status, 0)["waiting"]), (&1.into(), &1.into()));
    let told = night.until_status("it took it", |it| !target(it, 0)["last_told"].is_null());
    assert_eq!((&target(&told, 0)["attempts"], &target(&told, 0)["waiting"]), (&0.into(), &0.into()));
    night.until_status("the other one is still hanging", |it| {
        target(it, 1)["last_error"] == "no answer: it took too long"
    });
    night.run(&["status"], 0).with(&[
        "notices to `slack`: last told",
        "WARNING: notices to `silent` do not arrive, attempt ",
        "no answer: it took too long; told nothing yet, 1 waiting",
    ]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_notice_that_the_webhook_cannot_read_gives_way_to_the_next() {
    let (night, webhook) = (Night::new(), Webhook::start());
    webhook.answers.lock().unwrap().extend(["400 invalid_payload"; 3]);
    let window = Window::new("nightly", soon(-1.0)..soon(2.0)).of(&[CONTACTS]);
    let other = Window::new("weekly", soon(-1.0)..soon(2.0)).of(&[LEADS]);
    write(&night, &webhook, "events = [\"window_closed\"]\n", &[window, other]);
    let daemon = night.start();
    night.until("the next one is told", |_| webhook.heard().len() >= 4);
    let heard = webhook.heard();
    assert!(heard[..3].iter().all(|it| it.id == heard[0].id) && heard[3].id != heard[0].id, "{heard:?}");
    night.until("the log tells of it", |_| night.log().contains("Gave up on a notice: refused with 400"));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn an_address_anywhere_in_a_broken_file_is_never_shown() {
    let night = Night::new();
    night.write(&[]);
    let secret = key("webhook");
    // With a scheme, without, and with one that is written in another way.
    let addresses = [
        format!("https://hooks.example.com/services/{secret}"),
        format!("hooks.example.com/services/{secret}"),
        format!("https:\\u002f\\u002fhooks.example.com\\u002f{secret}"),
        format!("https://user:{secret}@hooks.example.com/"),
        format!("https://hooks.example.com?{secret}"),
    ];
    for address in &addresses {
        for broken in [
            format!("[[notify]]\nformat = \"slack\"\nulr = \"{address}\""),
            format!("[[notify]]\nformat = \"slack\"\nurl = {address}"),
            format!("[[notify]]\nformat = \"slack\"\nurl = \"{address}"),
            format!("[[notify]]\nformat = \"slack\"\nurl = \"{address}\" x"),
            format!("[[notify]]\nformat = \"slack\"\nurl = [\"{address}\"]"),
            format!("[[notify]]\nformat = \"slack\"\nurl = \"{address}\"\nurl = \"{address}\""),
            format!("[[notify]]\nformat = \"slack\"\nurl = \"\"\"\n{address}\n\"\"\""),
            format!("[[notify]]\nformat = \"slack\"\nurl_file = \"{address}\""),
            format!("[[notify]]\nformat = \"slack\"\nurl_credential = \"{address}\""),
            format!("notify = [{{ format = \"slack\", url = \"{address}\", wrong = 1 }}]"),
            format!("notify = [\n  {{ url = \"{address}\", format = \"slak\" }},\n]"),
            format!("[notify]\nurl = \"{address}\""),
            format!("[heartbeat]\nurl = \"{address}\"\nurl_file = \"/x\""),
            format!("heartbeat.url = \"{address}\"\nheartbeat.wrong = \"{address}\""),
            format!("[heartbeat]\naddress = \"{address}\""),
        ] {
            std::fs::write(night.path("broken.toml"), format!("timezone = \"UTC\"\n{broken}\n")).unwrap();
            let path = night.path("broken.toml").display().to_string();
            let outputs = [
                night.run_file(&path, &["check"]),
                night.run_file(&path, &["check", "--format", "json"]),
                night.run_file(&path, &["notify", "test"]),
                night.run_file(&path, &["upcoming"]),
                night.run_file(&path, &["run", "--once"]),
                night.run_file(&path, &["diff", &path]),
            ];
            for output in outputs {
                assert!(!output.contains(&secret), "{broken}\n\n{output}");
            }
            assert!(night.run_file(&path, &["check"]).contains("error:"), "{broken}");
        }
    }
    // The night looks through all that is left behind.
    std::fs::remove_file(night.path("broken.toml")).unwrap();
}

#[test]
fn notify_test_says_what_came_of_it() {
    let (night, webhook) = (Night::new(), Webhook::start());
    night.write(&[]);
    night.run(&["notify", "test"], 1).with(&["the file has no `[[notify]]`"]);
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

#[test]
fn who_runs_once_tells_what_it_did_before_it_ends() {
    let (night, webhook) = (Night::new(), Webhook::start());
    let window = Window::new("nightly", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    let events = "events = [\"paused\", \"resumed\"]\n";
    write(&night, &webhook, events, std::slice::from_ref(&window));
    // Who was never told anything hears what happens from now on.
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    assert_eq!(daemon.stop(), Some(0));
    let before = webhook.heard().len();
    write(&night, &webhook, events, &[window.until(soon(0.0))]);
    night.run(&["run", "--once"], 0);
    let texts = webhook.texts();
    assert!(before < texts.len(), "{texts:?}");
    assert!(texts.iter().any(|it| it.contains("Resumed sync `Contacts` for `nightly`")), "{texts:?}");
}
