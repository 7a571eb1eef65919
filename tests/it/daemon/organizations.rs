//! Windows in several organizations: nothing that ails one is felt by another.

use chrono::{DateTime, Utc};
use intermission::clock::wall;
use intermission::simulator::{Change, Fault, Operation, Rule, Sync, Who};
use serde_json::Value;

use super::night::{CONTACTS, EMEA, FAR, Night, PATIENCE, STRIPE, Window, key, soon};

/// What ails the organization `default`.
#[derive(Debug, Clone, Copy)]
enum Ails {
    /// 401 to everything.
    Key,
    /// Nothing is answered.
    Hangs,
    /// 503 to everything.
    Down,
    /// 429 to everything: there is no request left for an hour.
    Limit,
}

impl Ails {
    fn strike(self, night: &Night) {
        let fault = match self {
            Self::Key => return night.world().set_key("default", key("rotated")).unwrap(),
            Self::Hangs => Fault::hang(),
            Self::Down => Fault::status(503),
            Self::Limit => Fault::retry_after(429, "3600"),
        };
        let mut world = night.world();
        for part in [STRIPE, CONTACTS] {
            world.add_rule(Rule::always(fault.clone()).of(part.id));
        }
        world.add_rule(Rule::always(fault).on(Operation::List));
    }

    fn heal(self, night: &Night) {
        let mut world = night.world();
        match self {
            Self::Key => world.set_key("default", key("default")).unwrap(),
            Self::Hangs | Self::Down | Self::Limit => world.clear_faults(),
        }
    }
}

const ALL: [Ails; 3] = [Ails::Key, Ails::Hangs, Ails::Down];

/// With a single place for requests, so that one that hangs takes all there is,
/// and a time-out that the test lives to see.
fn narrow(night: &Night) {
    night.rewrite(|text| {
        let url = "[polytomic]\n";
        text.replace(url, &format!("{url}max_concurrent_requests = 1\nrequest_timeout = \"2s\"\n"))
    });
}

/// In `default` two syncs, one of them selected, and in `emea` one.
fn windows(end: DateTime<Utc>) -> [Window; 3] {
    let span = soon(2.0)..end;
    [
        Window::new("contacts", span.clone()).of(&[CONTACTS]),
        Window::new("stripe", span.clone()).with("select = [{ name = \"Stripe *\" }]"),
        Window::new("emea", span).of(&[EMEA]),
    ]
}

#[test]
fn an_organization_that_cannot_be_asked_delays_no_pause_and_no_resume_of_another() {
    for ails in ALL.into_iter().chain([Ails::Limit]) {
        let night = Night::new();
        let windows = windows(soon(5.0));
        night.write(&windows);
        narrow(&night);
        ails.strike(&night);
        let daemon = night.start();
        night.until_resumed(EMEA);
        let span = windows[2].opens()..windows[2].closes();
        let pause = night.assert_one_pause(EMEA, &span);
        assert!(pause.paused < span.start + PATIENCE && pause.resumed < span.end + PATIENCE, "{ails:?}");
        night.until_no_row(EMEA);
        assert!(night.is_on(CONTACTS) && night.is_on(STRIPE), "{ails:?}");
        assert_eq!(daemon.stop(), Some(0));
        let failed = night.history("pause_failed");
        assert!(failed.iter().all(|it| it["organization"] == "default"), "{failed:?}");
    }
}

#[test]
fn an_organization_that_breaks_inside_its_window_is_resumed_when_it_is_mended_and_no_other_waits() {
    for ails in ALL {
        let night = Night::new();
        let windows = windows(soon(6.0));
        night.write(&windows);
        narrow(&night);
        let daemon = night.start();
        for part in [CONTACTS, STRIPE, EMEA] {
            night.until_state(part, "held");
        }
        ails.strike(&night);
        night.until_resumed(EMEA);
        let span = windows[2].opens()..windows[2].closes();
        let pause = night.assert_one_pause(EMEA, &span);
        assert!(pause.resumed < span.end + PATIENCE, "{ails:?}");
        let status = night.until_status("it fails in one organization", |it| {
            let rows = || it["syncs"].as_array().into_iter().flatten();
            rows().filter(|row| row["organization"] == "default").all(|row| !row["last_error"].is_null())
        });
        assert!(!night.is_on(CONTACTS) && !night.is_on(STRIPE), "{ails:?}: {status:#}");
        // A crash meanwhile forgets nobody.
        daemon.kill();
        let daemon = night.start();
        ails.heal(&night);
        night.run(&["reload"], 0);
        for part in [CONTACTS, STRIPE] {
            night.until_resumed(part);
            night.until_no_row(part);
        }
        assert_eq!(daemon.stop(), Some(0));
    }
}

/// What our keys did to one sync of one organization.
fn switches(night: &Night, organization: &str) -> Vec<bool> {
    let is_meant = |it: &&Change| it.who == Who::Api && it.organization.as_str() == organization;
    night.world().changes_of(STRIPE.id).filter(is_meant).filter_map(|it| it.after).collect()
}

fn rows(status: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let rows = status["syncs"].as_array().into_iter().flatten();
    let of_twin = rows.filter(|it| it["id"] == STRIPE.id.to_string());
    of_twin.map(|it| (text(&it["organization"]), text(&it["state"]))).collect()
}

#[test]
fn one_id_in_two_organizations_is_two_rows_two_pauses_and_two_resumes() {
    let night = Night::new();
    let now = wall();
    night.world().add(now, "emea", Sync::new(STRIPE.kind, STRIPE.id, "Stripe to BigQuery", now)).unwrap();
    let of_emea = |window: Window| window.with("bulk_syncs = [\"5d7c53aa-3e1d-4fb6-9c5f-4c4b3f5a1f10\"]");
    let write = |windows: &[Window]| {
        night.write(windows);
        // The night's windows know no organization without a sync of it.
        night.rewrite(|text| {
            let twin = "organization = \"default\"\nsyncs = []\nbulk_syncs = []\n";
            text.replace(twin, "organization = \"emea\"\n")
        });
    };
    let ours = Window::new("ours", soon(-1.0)..soon(FAR)).of(&[STRIPE]);
    let theirs = of_emea(Window::new("theirs", soon(-1.0)..soon(FAR)));
    write(&[ours.clone(), theirs.clone()]);
    let daemon = night.start();
    let both = [("default".to_owned(), "held".to_owned()), ("emea".to_owned(), "held".to_owned())];
    let status = night.until_status("both are held", |it| rows(it) == both);
    let windows: Vec<_> = status["syncs"].as_array().unwrap().iter().map(|it| &it["windows"][0]).collect();
    assert_eq!(windows, ["ours", "theirs"]);
    night.run(&["why", &STRIPE.id.to_string()], 1).with(&["default/5d7c53aa", "emea/5d7c53aa"]);
    night.run(&["why", &format!("emea/{}", STRIPE.id)], 0).with(&["theirs"]);

    // One of the windows ends; the other one's twin stays paused.
    write(&[theirs]);
    night.run(&["reload"], 0);
    night.until_status("one is resumed", |it| rows(it) == both[1..]);
    assert_eq!((switches(&night, "default"), switches(&night, "emea")), (vec![false, true], vec![false]));

    // An operator resumes the other by its organization.
    night.run(&["resume", &format!("emea/{}", STRIPE.id)], 0);
    night.until_status("the twin is left alone", |it| {
        rows(it) == [("emea".to_owned(), "released".to_owned())]
    });
    assert_eq!(
        (switches(&night, "default"), switches(&night, "emea")),
        (vec![false, true], vec![false, true])
    );
    assert_eq!(daemon.stop(), Some(0));
    let resumed = night.history("resumed");
    let organizations: Vec<_> = resumed.iter().map(|it| it["organization"].as_str().unwrap()).collect();
    assert_eq!(organizations, ["default", "emea"]);
}
