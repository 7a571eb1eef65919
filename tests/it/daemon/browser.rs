//! What somebody sees in a browser during a night, of the real daemon.

use serde_json::json;

use super::night::{CONTACTS, FAR, LEADS, Night, Part, STRIPE, Window, soon};
use crate::devtools::Browser;

/// Writes the configuration with the status page at any free port.
fn write(night: &Night, windows: &[Window]) {
    night.write(windows);
    night.rewrite(|text| text.replace("[web]\n", "[web]\nlisten = \"127.0.0.1:0\"\n"));
}

/// Where the daemon's log says that the page is.
fn address(night: &Night) -> String {
    let mut found = None;
    night.until("the log tells the page's address", |_| {
        let log = std::fs::read_to_string(night.path("log")).unwrap_or_default();
        let rest = log.split_once("Status page on http://").and_then(|(_, rest)| rest.split_once('/'));
        found = rest.map(|(address, _)| format!("http://{address}"));
        found.is_some()
    });
    found.unwrap()
}

fn page_of(part: Part) -> String {
    format!("/sync/{}/{}/{}", part.organization, part.kind, part.id)
}

/// Opens a page and waits for these words, without it being loaded again.
#[track_caller]
fn follow(browser: &mut Browser, words: &str) {
    browser.until(&format!("document.body.innerText.includes({})", json!(words)));
}

#[test]
fn a_browser_follows_a_hold_from_its_beginning_to_its_end() {
    let Some(mut browser) = Browser::start() else { return };
    let night = Night::new();
    let tomorrow = Window::new("tomorrow", soon(FAR * 24.0)..soon(FAR * 25.0)).of(&[CONTACTS, LEADS]);
    write(&night, std::slice::from_ref(&tomorrow));
    let daemon = night.start();
    let home = address(&night);

    browser.open(&home);
    browser.eval("document.documentElement.dataset.first = 'yes'");
    let before = browser.text();
    assert!(
        before.contains("All is well: nothing is paused") && before.contains("Next: tomorrow"),
        "{before}"
    );

    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    let patching = patching.with("description = \"CHG-1234\"");
    write(&night, &[patching.clone(), tomorrow.clone()]);
    night.run(&["reload"], 0);
    follow(&mut browser, "2 syncs are paused");
    let during = browser.text();
    for words in ["Open: patching until", "Contacts", "Stripe to Snowflake", "held", "CHG-1234"] {
        assert!(during.contains(words), "{words}: {during}");
    }
    assert!(!night.is_on(CONTACTS) && !night.is_on(STRIPE));

    write(&night, &[patching.until(soon(1.0)), tomorrow]);
    night.run(&["reload"], 0);
    follow(&mut browser, "nothing is paused");
    night.until_resumed(CONTACTS);
    follow(&mut browser, "resumed Contacts for patching");
    assert_eq!(browser.eval("document.documentElement.dataset.first"), "yes", "it was never loaded again");
    assert_eq!(browser.complaints(), [""; 0]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn no_page_of_the_daemon_makes_a_browser_complain() {
    let Some(mut browser) = Browser::start() else { return };
    let night = Night::new();
    let windows = [
        Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]).with("description = \"CHG-1234 <b>\""),
        Window::new("soon", soon(60.0)..soon(FAR)).of(&[STRIPE]).with("lead = \"10m\""),
    ];
    write(&night, &windows);
    let daemon = night.start();
    let home = address(&night);
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    for (path, words) in [
        (
            "/".to_owned(),
            vec!["2 syncs are paused", "By sync", "paused before it opens", "Contacts", "CHG-1234 <b>"],
        ),
        (
            page_of(CONTACTS),
            vec!["Contacts", "it is paused, until", "patching", "The next days", "CHG-1234 <b>"],
        ),
        (page_of(STRIPE), vec!["Stripe to Snowflake", "soon", "paused before it opens"]),
        ("/window/patching".to_owned(), vec!["Open until", "CHG-1234 <b>", "Contacts", "held", "paused"]),
        ("/window/soon".to_owned(), vec!["Pauses already; opens on", "Stripe to Snowflake"]),
        ("/timeline.svg".to_owned(), vec!["patching", "paused before the window opens", "now, "]),
    ] {
        browser.open(&format!("{home}{path}"));
        if path == "/" || path.starts_with("/sync") {
            browser.until("document.documentElement.dataset.refreshed");
        }
        let told = browser.eval("document.documentElement.textContent").as_str().unwrap().to_lowercase();
        for words in words {
            assert!(told.contains(&words.to_lowercase()), "{path}: {words}: {told}");
        }
        assert_eq!(browser.complaints(), [""; 0], "{path}");
    }
    browser.open(&home);
    // Every link of the page leads somewhere.
    let links = "Promise.all([...new Set([...document.links].map(it => it.href))].map(async it => \
                 [it, (await fetch(it)).status])).then(all => all.filter(([, status]) => status !== 200))";
    assert_eq!(browser.eval(links), json!([]));
    assert!(browser.eval("document.links.length").as_u64().unwrap() > 10);
    assert_eq!(daemon.stop(), Some(0));
}
