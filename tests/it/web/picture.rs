//! `/timeline.svg`.

use super::{Snapshot, Stage, browser::busy, held, well};

#[test]
fn the_picture_has_each_window_its_occurrences_and_now() {
    let stage = Stage::showing(held());
    let picture = stage.ok("/timeline.svg");
    for told in [
        "role=\"img\" aria-labelledby=\"title desc\"",
        "<title id=\"title\">Maintenance windows from Sun 2026-11-29 00:30 +01:00 to Sun 2026-12-06 00:30",
        "snowflake-patching opens Sat 2026-11-28 22:00 +01:00; nightly-load opens",
        "<title>snowflake-patching: Sat 2026-11-28 22:00 +01:00 to Sun 2026-11-29 06:00 +01:00</title>",
        "now, Sun 2026-11-29 00:30 +01:00",
        "@media(prefers-color-scheme:dark)",
        "Mon 30 Nov",
        "Days are those of Europe/Amsterdam.",
    ] {
        assert!(picture.contains(told), "{told}: {picture}");
    }
    // Two Saturdays, and seven nights.
    assert_eq!(picture.matches("class=\"bar\"").count(), 2 + 7, "{picture}");
    assert!(!stage.ok("/timeline.svg?from=2026-12-01T00:00:00Z").contains("now, "));
    assert_eq!(stage.get("/timeline.svg?until=2036-01-01T00:00:00Z").0, 400);
    let nothing = Snapshot { calendar: None, ..well() };
    assert!(Stage::showing(nothing).ok("/timeline.svg").contains("There are no windows."));
}

#[test]
fn what_is_paused_before_a_window_opens_is_hatched_and_said() {
    let picture = Stage::showing(busy()).ok("/timeline.svg");
    for told in [
        "<pattern id=\"hatch\"",
        "paused before the window opens",
        "snowflake-patching opens Sat 2026-11-28 22:00 +01:00, its syncs paused from Sat 2026-11-28 20:00 +01:00; ",
        "nightly-load: Sun 2026-11-29 01:30 -05:00 to Sun 2026-11-29 04:30 -05:00, its syncs paused from \
         Sun 2026-11-29 01:00 -05:00",
    ] {
        assert!(picture.contains(told), "{told}: {picture}");
    }
    // Seven nights, Saturday, and the legend.
    assert_eq!(picture.matches("fill=\"url(#hatch)\"").count(), 7 + 1 + 1, "{picture}");
    assert!(!Stage::showing(held()).ok("/timeline.svg").contains("paused before"), "no window has a lead");
}

#[test]
fn the_picture_runs_nothing() {
    let stage = Stage::showing(well());
    stage.runtime.block_on(async {
        let answer = reqwest::get(stage.url("/timeline.svg")).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "image/svg+xml");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("sandbox;"), "{policy}");
        assert!(!policy.contains("script-src"), "{policy}");
    });
}
