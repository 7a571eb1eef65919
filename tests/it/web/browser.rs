//! The pages in a real browser.

use std::path::PathBuf;

use chrono::TimeDelta;
use intermission::reconcile::{OrderReport, RowState};

use super::{Name, Snapshot, Stage, at, calendar_of, held, id, overdue, rejected, row, well};
use crate::devtools::{Browser, LOOKS};

/// The loop answers differently once it has been asked: what the browser shows
/// in the end came without a reload, which the script counts.
#[test]
fn the_page_follows_what_happens_without_being_loaded_again() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::then(well(), overdue());
    browser.open(&stage.url("/"));
    assert!(browser.text().contains("All is well: nothing is paused"));
    browser.until("document.documentElement.dataset.refreshed");
    let told = browser.text();
    assert!(told.contains("OVERDUE: 1 sync is still paused"), "{told}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn without_its_script_the_page_is_whole_and_loads_itself_anew() {
    let Some(mut browser) = Browser::start() else { return };
    browser.run_no_script();
    let stage = Stage::showing(busy());
    browser.open(&stage.url("/"));
    let told = browser.text();
    for words in ["OVERDUE: 1 sync is still paused", "By sync", "Sync number 8", "Upcoming", "In force"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let again = browser.eval("document.querySelector('noscript meta[http-equiv=refresh]').content");
    assert_eq!(again, "15", "only where no script runs is this an element");
    assert_eq!(browser.eval("document.querySelectorAll('[data-yours]').length"), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn whoever_reads_with_the_keyboard_keeps_the_place_while_the_page_follows() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::then(well(), held());
    browser.open(&stage.url("/"));
    browser.eval("document.querySelectorAll('a[href=\"/window/nightly-load\"]')[1].focus()");
    browser.until("document.documentElement.dataset.refreshed");
    assert!(browser.text().contains("All is well: 1 sync is paused"));
    assert_eq!(browser.eval("document.activeElement.getAttribute('href')"), "/window/nightly-load");
    assert_eq!(browser.eval("document.activeElement.isConnected"), true);
}

#[test]
fn times_are_told_in_the_readers_zone_too_where_it_is_another() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::showing(held());
    let yours = "document.querySelector('.verdict time').dataset.yours || ''";
    for (zone, expected) in [("America/New_York", "Sun"), ("Europe/Paris", "")] {
        browser.live_in(zone);
        browser.open(&stage.url("/"));
        let told = browser.eval(yours).as_str().unwrap().to_owned();
        assert!(told.starts_with(expected) && expected.is_empty() == told.is_empty(), "{zone}: {told}");
        assert_eq!(
            browser.eval("document.querySelector('.verdict time').title.endsWith('where you are')"),
            true
        );
    }
}

#[test]
fn a_browser_runs_nothing_that_people_wrote() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::showing(held());
    for path in
        ["/".to_owned(), format!("/sync/default/model/{}", id(1)), "/window/snowflake-patching".to_owned()]
    {
        browser.open(&stage.url(&path));
        browser.until("document.documentElement.dataset.refreshed");
        assert_eq!(browser.eval("document.querySelectorAll('img, body script').length"), 0, "{path}");
        let told = browser.text();
        assert!(told.contains("Customers to CRM") && told.contains("onerror=alert"), "{path}: {told}");
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn a_browser_can_read_the_picture() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::showing(busy());
    browser.open(&stage.url("/timeline.svg"));
    let told = browser.eval("document.documentElement.textContent").as_str().unwrap().to_owned();
    assert!(told.contains("nightly-load") && told.contains("paused before the window opens"), "{told}");
    assert_eq!(browser.eval("document.querySelectorAll('parsererror').length"), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_the_policy_refuses_is_heard() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::showing(well());
    for refused in [
        "document.body.append(Object.assign(document.createElement('style'), { textContent: 'a {}' }))",
        "document.body.append(Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:9/' }))",
        "document.body.append(Object.assign(document.createElement('script'), { textContent: '0' }))",
        "document.body.setAttribute('style', 'color: red')",
    ] {
        browser.open(&stage.url("/"));
        assert_eq!(browser.complaints(), [""; 0]);
        browser.eval(&format!("void {refused}"));
        let complaints = browser.complaints();
        assert!(
            complaints.iter().any(|it| it.contains("Content Security Policy")),
            "{refused}: {complaints:?}"
        );
    }
}

/// A night with much to tell: leads, many syncs, names of all lengths, orders.
pub(super) fn busy() -> Snapshot {
    let text = "[[window]]\nname = \"snowflake-patching\"\nstart = \"0 22 * * SAT\"\nend = \"06:00\"\nlead = \"2h\"\n\
                description = \"CHG-1234: the warehouse's vendor patches its machines\"\nsyncs = [SYNCS]\n\
                [[window]]\nname = \"nightly-load\"\ntimezone = \"America/New_York\"\nstart = \"30 1 * * *\"\n\
                duration = \"3h\"\nlead = \"30m\"\nsyncs = [SYNCS]\n\
                [[window]]\nname = \"a-window-with-quite-a-long-name-of-its-own\"\nstart = \"*/30 8-17 * * MON-FRI\"\n\
                duration = \"10m\"\nbulk_syncs = [\"ID9\"]\n\
                [[window]]\nname = \"year-end\"\nstart = 2026-12-31T18:00:00\nend = 2027-01-01T06:00:00\nbulk_syncs = [\"ID9\"]\n";
    let ids: Vec<_> = (1..=20).map(|it| format!("\"{}\"", id(it))).collect();
    let text = text.replace("SYNCS", &ids.join(", ")).replace("ID9", &id(99).to_string());
    let mut it = overdue();
    let now = at("2026-11-28T23:30:00Z");
    it.at = now;
    it.calendar = Some(calendar_of(&text, now));
    it.names = (1..=15)
        .map(|number| (super::sync(number), format!("Sync number {number}, from here to there")))
        .collect();
    let until = at("2026-11-29T05:00:00Z");
    let states = [RowState::Held, RowState::Pausing, RowState::Skipped, RowState::Held, RowState::Exempt];
    for (number, state) in (2..).zip(states) {
        it.status.syncs.push(row(number, &format!("Sync number {number}, from here to there"), state, until));
    }
    it.status.syncs.remove(1);
    it.status.orders = vec![OrderReport {
        name: Name::from("operator#7"),
        what: "extend".to_owned(),
        from: now - TimeDelta::hours(1),
        until,
        reason: "CHG-1234: the vendor needs longer".to_owned(),
        by: "alice (1000)".to_owned(),
        window: Some(Name::from("snowflake-patching")),
        syncs: Some(20),
    }];
    it
}

/// What the browser finds that cannot be told from what it is on: the words,
/// the colours and their ratio by WCAG. On paper what is behind words is white.
const FAINT: &str = r"(isPaper => {
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (it) => {
        for (; it && !isPaper; it = it.parentElement) {
            const colour = parts(getComputedStyle(it).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    let seen = 0;
    while (walker.nextNode()) {
        const [words, it] = [walker.currentNode.textContent.trim(), walker.currentNode.parentElement];
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        if (!words || range.getBoundingClientRect().width === 0 || it.closest('title')) continue;
        const style = getComputedStyle(it);
        const [on, ground] = [parts(it.closest('svg') ? style.fill : style.color), behind(it)];
        const [a, b] = [light(on), light(ground)].sort((a, b) => b - a);
        const ratio = (a + 0.05) / (b + 0.05);
        seen += 1;
        if (ratio < 4.5) found.push(`${words}: ${on} on ${ground} is ${ratio.toFixed(2)}`);
    }
    return seen < 10 ? ['there are hardly any words'] : found;
})";

/// Nothing has to be scrolled sideways but what scrolls by itself, and all
/// words can be read. With `INTERMISSION_PICTURES` naming a directory, what the
/// browser shows is left there to be looked at.
#[test]
#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn the_pages_fit_every_screen_and_paper_and_can_be_read_there() {
    let Some(mut browser) = Browser::start() else { return };
    browser.live_in("Europe/Berlin");
    let pictures = std::env::var_os("INTERMISSION_PICTURES").map(PathBuf::from);
    let (sync, window) = (format!("/sync/default/model/{}", id(1)), "/window/snowflake-patching".to_owned());
    for (name, snapshot, path) in [
        ("well", well(), "/"),
        ("held", held(), "/"),
        ("overdue", overdue(), "/"),
        ("rejected", rejected(), "/"),
        ("busy", busy(), "/"),
        ("sync", busy(), &sync),
        ("window", busy(), &window),
        ("missing", well(), "/window/nowhere"),
        ("picture", busy(), "/timeline.svg"),
    ] {
        let stage = Stage::showing(snapshot);
        for look in LOOKS {
            browser.look(look);
            browser.open(&stage.url(path));
            if path != "/timeline.svg" {
                let wide = browser.eval("document.documentElement.scrollWidth");
                assert!(wide.as_u64().unwrap() <= u64::from(look.width), "{name} at {look:?} is {wide} wide");
            }
            if look.width < 500 {
                let cut = "[...document.querySelectorAll('.scroll')].filter(it => it.clientWidth < it.scrollWidth).length";
                assert_eq!(browser.eval(cut), 0, "{name} at {look:?}: a table is cut off");
            }
            if !["missing", "picture"].contains(&name) {
                let faint = browser.eval(&format!("{FAINT}({})", look.media == "print"));
                assert_eq!(faint, serde_json::json!([]), "{name} at {look:?}");
            }
            if let Some(directory) = &pictures {
                browser.picture(&directory.join(format!("{name}-{}.png", look.name)));
            }
        }
        if let Some(directory) = &pictures {
            std::fs::write(directory.join(format!("{name}.pdf")), browser.print()).unwrap();
        }
    }
}

#[test]
fn what_is_faint_is_found() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::showing(held());
    browser.open(&stage.url("/"));
    for (what, colour) in [("h1", "#8fb0e0"), (".verdict b a", "#a0a0a0")] {
        browser.eval(&format!("document.querySelector('{what}').style.color = '{colour}'"));
        let faint = browser.eval(&format!("{FAINT}(false)"));
        assert_eq!(faint.as_array().map(Vec::len), Some(1), "{what}: {faint}");
        browser.eval(&format!("document.querySelector('{what}').style.color = ''"));
    }
}

/// A4 less its margins, at 96 dots an inch.
const SHEET: u64 = 1031;

#[test]
fn on_paper_the_timeline_is_whole_on_the_first_sheet() {
    let Some(mut browser) = Browser::start() else { return };
    let [.., paper] = LOOKS;
    browser.look(paper);
    let stage = Stage::showing(busy());
    browser.open(&stage.url("/"));
    let ends = browser.eval("Math.ceil(document.querySelector('.chart').getBoundingClientRect().bottom)");
    assert!(ends.as_u64().unwrap() <= SHEET, "the timeline ends at {ends}");
    let links = browser.eval("getComputedStyle(document.querySelector('.chart .screen')).display");
    assert_eq!(links, "none", "nobody follows a link on paper");
    let printed = browser.print();
    let text = String::from_utf8_lossy(&printed);
    let sheets = text.matches("/Type /Page\n").count();
    assert!(text.starts_with("%PDF") && (2..=4).contains(&sheets), "{sheets} sheets");
}
