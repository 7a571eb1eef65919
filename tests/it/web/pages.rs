//! The pages of single syncs and windows.

use chrono::TimeDelta;
use intermission::domain::execution::RunPolicy;
use intermission::domain::sync::{Name, SyncKind, SyncRef};
use intermission::domain::window::Occurrence;
use intermission::reconcile::{Holder, OrderReport, RowState, Wanted, Why};

use super::{HOSTILE, Snapshot, Stage, at, browser::busy, held, id, overdue, row, well};

/// What the loop knows of the first sync on Saturday night.
pub(super) fn why() -> Why {
    let opens = at("2026-11-28T21:00:00Z");
    let closes = at("2026-11-29T05:00:00Z");
    let name = Name::from("snowflake-patching");
    let occurrence = Occurrence {
        window: name.clone(),
        pauses: opens,
        opens,
        closes,
        enforce: false,
        runs: RunPolicy::default(),
    };
    let later = TimeDelta::days(7);
    let next = Occurrence {
        pauses: opens + later,
        opens: opens + later,
        closes: closes + later,
        ..occurrence.clone()
    };
    let order = Occurrence { window: Name::from("operator#7"), ..occurrence.clone() };
    let holder = |occurrence, is_order| Holder {
        occurrence,
        is_order,
        counts: !is_order,
        description: Some(HOSTILE.to_owned()),
        by: is_order.then(|| "alice (1000)".to_owned()),
    };
    Why {
        sync: SyncRef::new(Name::from("default"), SyncKind::Model, id(1)),
        name: Some("Customers to CRM".to_owned()),
        wanted: Wanted::Paused,
        holders: vec![holder(occurrence, false), holder(order, true)],
        exempt_until: None,
        row: Some(row(1, "Customers to CRM", RowState::Held, closes)),
        until: Some(closes),
        next: Some(next),
        windows: vec![name],
    }
}

/// Everything between tags, as a reader sees it.
fn words(page: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for it in page.chars() {
        match it {
            '<' => is_tag = true,
            '>' => is_tag = false,
            _ if !is_tag => text.push(it),
            _ => {}
        }
    }
    text
}

#[test]
fn the_page_of_a_sync_says_why_it_is_paused_and_until_when() {
    let page = Stage::showing(held()).ok(&format!("/sync/default/model/{}", id(1)));
    let told = words(&page);
    for words in [
        "Customers to CRM",
        "it is paused, until Sun 29 Nov 06:00 CET (in 5 h 30 min)",
        "Next: paused by snowflake-patching on Sat 5 Dec 22:00 CET, in 6 d 21 h",
        "does not count: somebody decided against it",
        "by alice (1000)",
        "held",
        "resume failed",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(page.contains("<a href=\"/window/snowflake-patching\">"), "{page}");
    assert!(
        !page.contains("/window/operator") && !page.contains("<img") && !page.contains("<script>"),
        "{page}"
    );
}

#[test]
fn the_page_of_a_window_says_when_it_opens_and_what_it_holds() {
    let page = Stage::showing(held()).ok("/window/snowflake-patching");
    let told = words(&page);
    for words in [
        "Open until Sun 29 Nov 06:00 CET, in 5 h 30 min",
        "CHG-1234",
        "Sat 5 Dec 22:00 CET to Sun 6 Dec 06:00 CET",
        "Its syncs (2)",
        "Customers to CRM held",
        "skipped",
        "window closed",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(
        page.contains(&format!("<a href=\"/sync/default/model/{}\">Customers to CRM</a>", id(1))),
        "{page}"
    );
    assert!(!page.contains("<img") && !page.contains("<script>"), "{page}");
    let closed = words(&Stage::showing(well()).ok("/window/nightly-load"));
    assert!(closed.contains("Closed; opens on Fri 27 Nov 01:30 EST, in 19 h 30 min"), "{closed}");
}

#[test]
fn a_window_that_only_a_hold_names_has_a_page_too() {
    let mut snapshot = held();
    let late = &mut snapshot.status.syncs[0];
    late.windows = vec![Name::from("removed"), Name::from("operator#7")];
    let stage = Stage::showing(snapshot.clone());
    let home = stage.ok("/");
    assert!(home.contains("<a href=\"/window/removed\">removed</a>, operator#7"), "{home}");
    let told = words(&stage.ok("/window/removed"));
    for words in ["Not in force any more", "Customers to CRM", "held", "window closed"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("skipped"), "the other sync is not held for it: {told}");
    assert_eq!(stage.get("/window/operator%237").0, 404);

    // An order that is in force leads to where it is told.
    snapshot.status.orders = vec![OrderReport {
        name: Name::from("operator#7"),
        what: "pause".to_owned(),
        from: snapshot.at,
        until: snapshot.at,
        reason: "CHG-7".to_owned(),
        by: "alice (1000)".to_owned(),
        window: None,
        syncs: Some(1),
    }];
    assert!(Stage::showing(snapshot).ok("/").contains("<a href=\"/#orders\">operator#7</a>"));
}

/// A part of the page, from these words to those.
fn part<'a>(page: &'a str, from: &str, until: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("{from}: {page}"));
    rest.split_once(until).unwrap_or_else(|| panic!("{until}: {rest}")).0
}

#[test]
fn the_status_page_shows_by_sync_who_is_held_and_who_is_next_and_counts_the_others() {
    let page = Stage::showing(busy()).ok("/");
    let by_sync = part(&page, "id=\"by-sync\"", "</section>");
    let told = words(by_sync);
    // The one that is overdue comes first, then what is held, then what comes next.
    let mut order = [1, 2, 3, 5, 4, 6, 7, 8].map(|it| told.find(&format!("Sync number {it}, from")));
    assert!(order.iter().all(Option::is_some), "{told}");
    assert!(order.is_sorted(), "{order:?}: {told}");
    order.sort_unstable();
    assert_eq!(by_sync.matches("<li class=\"row sync\">").count(), order.len());
    assert!(told.contains("And 13 more, which are paused later or not at all"), "{told}");
    // Each says which windows cover it when, also to whom the picture says nothing.
    assert_eq!(by_sync.matches("<a href=\"/window/nightly-load\">").count(), 8);
    assert_eq!(by_sync.matches("aria-label=\"nightly-load: Sun 2026-11-29 01:30 -05:00 to Sun").count(), 8);
    assert!(by_sync.contains(", its syncs paused from Sat 2026-12-05 20:00 +01:00\""), "{by_sync}");
}

#[test]
fn the_page_of_a_sync_and_of_a_window_has_its_own_row() {
    let stage = Stage::showing(busy());
    let sync = stage.ok(&format!("/sync/default/model/{}", id(1)));
    assert_eq!(sync.matches("<svg class=\"track\"").count(), 2, "two windows cover it: {sync}");
    let window = stage.ok("/window/nightly-load");
    assert_eq!(window.matches("<svg class=\"track\"").count(), 1, "{window}");
    assert!(window.contains("paused before it opens"), "{window}");
}

#[test]
fn a_sync_that_only_a_hold_knows_has_a_row_that_says_so() {
    let mut snapshot = held();
    snapshot.status.syncs[0].id = id(77);
    let page = Stage::showing(snapshot).ok("/");
    let by_sync = part(&page, "id=\"by-sync\"", "</section>");
    assert!(by_sync.contains("No window covers it."), "{by_sync}");
}

#[test]
fn of_a_window_that_opens_often_only_the_next_few_are_listed() {
    let page = Stage::showing(busy()).ok("/");
    let upcoming = part(&page, "id=\"upcoming\"", "</section>");
    assert_eq!(upcoming.matches("/window/a-window-with-quite").count(), 3, "{upcoming}");
    assert_eq!(upcoming.matches("and again after that").count(), 2, "{upcoming}");
}

#[test]
fn sentences_about_a_window_lead_to_its_page() {
    let mut snapshot = well();
    snapshot.status.selection_errors =
        ["nightly-load", "removed"].map(|it| format!("window `{it}`: <nothing>")).into();
    snapshot.warnings = vec!["intermission.toml:7: warning: window `snowflake-patching` is long".to_owned()];
    let page = Stage::showing(snapshot).ok("/");
    for told in [
        "window `<a href=\"/window/nightly-load\">nightly-load</a>`: &lt;nothing&gt;",
        "window `removed`: &lt;nothing&gt;",
        "warning: window `<a href=\"/window/snowflake-patching\">snowflake-patching</a>` is long",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[test]
fn the_journal_is_told_with_what_the_author_of_the_window_says() {
    for path in ["/".to_owned(), format!("/sync/default/model/{}", id(1))] {
        let told = words(&Stage::showing(held()).ok(&path));
        assert!(told.contains("CHG-4711: new disks"), "{path}: {told}");
        assert_eq!(told.matches("CHG-4712").count(), 1, "what the detail tells is told once: {told}");
    }
}

#[test]
fn what_is_late_is_so_on_each_page() {
    let snapshot = overdue();
    let stage = Stage::showing(snapshot.clone());
    stage.knowing(Why { row: Some(snapshot.status.syncs[0].clone()), wanted: Wanted::Running, ..why() });
    let told = words(&stage.ok(&format!("/sync/default/model/{}", id(1))));
    assert!(told.contains("OVERDUE: ") && told.contains("attempt 271: "), "{told}");
    assert!(words(&stage.ok("/window/snowflake-patching")).contains("Customers to CRM overdue"));
}

#[test]
fn what_nobody_knows_is_not_found() {
    let stage = Stage::showing(held());
    for (path, expected) in [
        (format!("/sync/default/model/{}", id(1)), 200),
        (format!("/sync/default/bulk/{}", id(1)), 404),
        (format!("/sync/default/model/{}", id(99)), 404),
        ("/sync/default/model/Customers%20to%20CRM".to_owned(), 404),
        ("/window/operator%237".to_owned(), 404),
        ("/window/%3Cimg%3E".to_owned(), 404),
    ] {
        let (status, page) = stage.get(&path);
        assert_eq!(status, expected, "{path}");
        assert!(page.contains("</html>") && !page.contains("<img"), "{page}");
    }
}

#[test]
fn the_status_page_shows_what_operators_ordered_and_exempted() {
    let mut snapshot: Snapshot = held();
    let until = at("2026-11-29T05:00:00Z");
    snapshot.status.syncs.push(row(3, "Orders", RowState::Exempt, until));
    let order = |number: u32, what: &str, window: Option<&str>, syncs| OrderReport {
        name: Name::from(format!("operator#{number}")),
        what: what.to_owned(),
        from: snapshot.at,
        until,
        reason: format!("CHG-{number} {HOSTILE}"),
        by: "alice (1000)".to_owned(),
        window: window.map(Name::from),
        syncs,
    };
    snapshot.status.orders = vec![
        order(7, "pause", None, Some(1)),
        order(8, "extend", Some("snowflake-patching"), Some(0)),
        order(9, "exempt", None, None),
    ];
    let page = Stage::showing(snapshot).ok("/");
    let told = words(&page);
    for words in [
        "operator#7 pause 1 sync",
        "operator#8 extend snowflake-patching",
        "operator#9 exempt all syncs",
        "until Sun 29 Nov 06:00 CET, in 5 h 30 min: CHG-9",
        "by alice (1000)",
        "exempt",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!page.contains("<img") && !page.contains("<script>"), "{page}");
    assert!(!Stage::showing(well()).ok("/").contains("What operators ordered"));
}
