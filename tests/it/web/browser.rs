//! The page in a real browser.

use std::process::{Command, Stdio};

use super::{Stage, held, id, overdue, well};

/// What the browser sees in the end, or nothing if there is none.
fn seen(stage: &Stage, path: &str, budget_ms: u32) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!("--virtual-time-budget={budget_ms}"))
        .args(["--dump-dom", &stage.url(path)])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        crate::skipped::skipped("chromium is not installed, so no browser has seen the page");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("</html>") || text.contains("</svg>"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

/// The loop answers differently once it has been asked: what the browser shows
/// in the end came without a reload, which the script counts.
#[test]
fn the_page_follows_what_happens_without_being_loaded_again() {
    let stage = Stage::then(well(), overdue());
    let Some(page) = seen(&stage, "/", 30_000) else { return };
    assert!(page.contains("OVERDUE: 1 sync is still paused"), "{page}");
    assert!(page.contains("data-refreshed="), "{page}");
    assert!(page.contains("where you are"), "times are told in the reader's zone: {page}");
}

#[test]
fn a_browser_runs_nothing_that_people_wrote() {
    let stage = Stage::showing(held());
    let Some(page) = seen(&stage, "/", 1000) else { return };
    assert!(!page.contains("<img") && !page.contains("<script>"), "{page}");
    assert!(page.contains("Customers to CRM"), "{page}");
}

#[test]
fn the_pages_of_syncs_and_windows_follow_what_happens_too() {
    for path in [format!("/sync/default/model/{}", id(1)), "/window/snowflake-patching".to_owned()] {
        let stage = Stage::showing(held());
        let Some(page) = seen(&stage, &path, 30_000) else { return };
        assert!(page.contains("data-refreshed=") && page.contains("where you are"), "{page}");
        assert!(page.contains("Customers to CRM"), "{page}");
        assert!(!page.contains("<img") && !page.contains("<script>"), "{page}");
    }
}

#[test]
fn a_browser_can_read_the_picture() {
    let Some(picture) = seen(&Stage::showing(held()), "/timeline.svg", 1000) else { return };
    assert!(picture.contains("nightly-load") && !picture.contains("parsererror"), "{picture}");
}
