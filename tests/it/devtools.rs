//! A real browser, told what to do over its debugging pipe, and what it says.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A browser that says nothing for so long will not say anything.
const DEADLINE: Duration = Duration::from_mins(1);

/// What a reader's screen, system or paper is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) media: &'static str,
    pub(crate) scheme: &'static str,
}

/// What pages are looked at with. 320 is the narrowest that WCAG 2.2 asks for
/// (success criterion 1.4.10).
pub(crate) const LOOKS: [Look; 5] = [
    Look { name: "desktop-light", width: 1280, media: "screen", scheme: "light" },
    Look { name: "desktop-dark", width: 1280, media: "screen", scheme: "dark" },
    Look { name: "phone-light", width: 320, media: "screen", scheme: "light" },
    Look { name: "phone-dark", width: 320, media: "screen", scheme: "dark" },
    // A4 without its margins, at 96 dots an inch.
    Look { name: "paper", width: 718, media: "print", scheme: "light" },
];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    heard: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    /// Events, until somebody is interested.
    events: Vec<Value>,
    _home: tempfile::TempDir,
}

impl Browser {
    /// Starts it, or says that there is none. It knows no name and no way but
    /// to this machine.
    pub(crate) fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        // The pipe is on the descriptors 3 and 4, which only a shell can say.
        let there =
            "command -v chromium >/dev/null || exit 69; exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null";
        let mut child = Command::new("/bin/sh")
            .args(["-c", there, "sh", "--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--hide-scrollbars"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", home.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let heard = listen(BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self { child, to, heard, session: None, asked: 0, events: vec![], _home: home };
        if browser.try_call("Browser.getVersion", &json!({})).is_none() {
            assert_eq!(browser.child.wait().unwrap().code(), Some(69), "the browser does not start");
            crate::skipped::skipped("chromium is not installed, so no browser has seen the pages");
            return None;
        }
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session =
            browser.call("Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Loads a page, whole.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let answer = self.call("Page.navigate", json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        while !self.events.iter().any(|it| it["method"] == "Page.loadEventFired") {
            let event = self.heard.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{url} does not load"));
            self.events.push(event);
        }
    }

    /// What an expression comes to in the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let how = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", how);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) {
        let wait = format!(
            "new Promise(done => {{ const end = Date.now() + {}; (function look() {{ \
             if ({expression}) done(true); else if (end < Date.now()) done(false); else setTimeout(look, 50); }})() }})",
            DEADLINE.as_millis() / 2
        );
        let is_so = self.eval(&wait);
        assert_eq!(is_so, true, "waited in vain for {expression}: {}", self.text());
    }

    /// What a reader sees.
    pub(crate) fn text(&mut self) -> String {
        self.eval("document.body.innerText").as_str().unwrap().to_owned()
    }

    /// What the console tells of errors, refusals of the page's policy, and
    /// requests that came to nothing, since the page was opened.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What was said before this answer has been heard.
        self.eval("0");
        let is_bad = |it: &&Value| match it["method"].as_str() {
            Some("Log.entryAdded") => {
                matches!(it["params"]["entry"]["level"].as_str(), Some("error" | "warning"))
            }
            Some("Runtime.consoleAPICalled") => {
                it["params"]["type"] == "error" || it["params"]["type"] == "warning"
            }
            Some("Runtime.exceptionThrown") => true,
            // A page that is left behind takes its requests with it.
            Some("Network.loadingFailed") => it["params"]["canceled"] != true,
            _ => false,
        };
        self.events.iter().filter(is_bad).map(Value::to_string).collect()
    }

    /// Looks at the page in this way from now on.
    pub(crate) fn look(&mut self, look: Look) {
        let metrics =
            json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = json!([{ "name": "prefers-color-scheme", "value": look.scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": look.media, "features": scheme }));
    }

    /// The reader lives there from now on.
    pub(crate) fn live_in(&mut self, zone: &str) {
        self.call("Emulation.setTimezoneOverride", json!({ "timezoneId": zone }));
    }

    /// Runs no script of a page from now on.
    pub(crate) fn run_no_script(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    /// The whole page as a picture, in this file.
    pub(crate) fn picture(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        std::fs::write(path, decoded(&shot)).unwrap();
    }

    /// The page on A4, as PDF.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        let paper = json!({ "paperWidth": 8.27, "paperHeight": 11.69 });
        decoded(&self.call("Page.printToPDF", paper))
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "every call makes its own")]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, &parameters).unwrap_or_else(|| panic!("the browser does not answer {method}"))
    }

    /// `None` if it does not answer.
    fn try_call(&mut self, method: &str, parameters: &Value) -> Option<Value> {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        // It may be gone, which is heard below.
        drop(self.to.write_all(format!("{message}\0").as_bytes()));
        loop {
            let heard = self.heard.recv_timeout(DEADLINE).ok()?;
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return Some(heard["result"].clone());
            }
            self.events.push(heard);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that comes out of the pipe, each message ended by a zero.
fn listen(mut from: impl BufRead + Send + 'static) -> Receiver<Value> {
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        loop {
            let mut message = Vec::new();
            let is_over = from.read_until(0, &mut message).map_or(true, |length| length == 0);
            message.pop();
            let Ok(message) = serde_json::from_slice(&message) else { return };
            if is_over || tell.send(message).is_err() {
                return;
            }
        }
    });
    heard
}

fn decoded(answer: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}
