//! `simulate`: the file's windows in fast time, as their author asks for it.

use serde_json::Value;

use super::{Place, WINDOW};

/// A night that both changes of New York's clocks lie in, also next year.
const NIGHTS: &str = r#"
[[window]]
name = "nights"
start = "0 1 * * *"
duration = "4h"
timezone = "America/New_York"
syncs = ["248df4b7-aa70-47b8-a036-33ac447e668d", "0ecd09c1-b901-4d27-9053-f0367c427254"]
"#;

fn simulate(file: &str, more: &[&str]) -> super::Ended {
    let place = Place::with(file);
    // Nobody is asked, so no key is needed.
    std::fs::remove_file(place.path("key")).unwrap();
    place.run(&[&["simulate"], more].concat())
}

fn json(file: &str, more: &[&str]) -> Value {
    let ended = simulate(file, &[more, &["--format", "json"]].concat()).with(0);
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn the_tour_visits_the_next_occurrence_and_the_nights_in_which_clocks_change() {
    simulate(NIGHTS, &[]).with(0).says(&[
        "nights: the next occurrence",
        "nights: clocks go forward 1 h in it",
        "nights: clocks go back 1 h in it",
        "Window `nights` opened",
        "paused 2 times",
        "resumed 2 times",
        "3 stretches, faults: none, seed 1: nothing was late, every promise was kept.",
    ]);
}

#[test]
fn what_is_selected_and_not_known_is_left_out_and_told() {
    let select =
        WINDOW.replace("syncs = [\"248df4b7-aa70-47b8-a036-33ac447e668d\"]", "select = [{ all = true }]");
    simulate(&select, &[]).with(0).says(&[
        "paused no sync that is known; resumed no sync that is known",
        "Left out is what `patching` selects: it is not in the ledger.",
    ]);
    assert_eq!(json(&select, &[])["unknown_selections"], serde_json::json!(["patching"]));
    assert_eq!(json(NIGHTS, &["--days", "1"])["unknown_selections"], serde_json::json!([]));
}

#[test]
fn where_nothing_goes_wrong_nothing_is_said_to_stop() {
    let stop = "faults and people stop";
    let none = simulate(NIGHTS, &["--days", "1"]).with(0);
    assert!(!none.out.contains(stop), "{}", none.out);
    let some = json(NIGHTS, &["--days", "1", "--faults", "some"]);
    assert!(some["stretches"][0]["timeline"].to_string().contains(stop), "{some}");
}

#[test]
fn without_faults_every_switch_is_moved_on_time() {
    let told = json(NIGHTS, &["--from", "2027-06-01T00:00:00Z", "--days", "10"]);
    assert_eq!(told["stretches"].as_array().map(Vec::len), Some(1));
    let stretch = &told["stretches"][0];
    assert_eq!((&stretch["paused"]["count"], &stretch["resumed"]["count"]), (&20.into(), &20.into()));
    assert_eq!((&told["kept"], &stretch["late"]), (&true.into(), &Value::Array(vec![])));
    assert_eq!(stretch["met"], Value::Object(serde_json::Map::new()));
}

#[test]
fn the_same_seed_tells_the_same_and_another_another() {
    let span = ["--from", "2027-06-01T00:00:00Z", "--days", "3", "--faults", "many"];
    let of = |seed: &str| json(NIGHTS, &[&span[..], &["--seed", seed]].concat());
    assert_eq!(of("7"), of("7"));
    assert_ne!(of("7")["stretches"][0]["timeline"], of("8")["stretches"][0]["timeline"]);
    let met = of("7")["stretches"][0]["met"].as_object().map_or(0, serde_json::Map::len);
    assert!(met > 3, "{met} kinds of fault were met");
}

#[test]
fn a_span_that_makes_no_sense_is_refused() {
    simulate(WINDOW, &["--from", "2027-06-02T00:00:00Z", "--until", "2027-06-01T00:00:00Z"]).with(2);
    simulate(WINDOW, &["--until", "2099-06-01T00:00:00Z"]).with(2);
    simulate(WINDOW, &["--from", "2020-06-01T00:00:00Z"]).with(2);
}

#[test]
fn what_windows_ask_about_executions_is_simulated_and_waiting_is_not_lateness() {
    let with = |more: &str| {
        let ids =
            "syncs = [\"248df4b7-aa70-47b8-a036-33ac447e668d\", \"0ecd09c1-b901-4d27-9053-f0367c427254\"]";
        NIGHTS.replace(ids, &format!("bulk_syncs = [\"5f0b3d1e-7c42-4d5a-9a57-8f6b8d7e2c11\"]\n{more}"))
    };
    let waits = with("on_running = \"wait\"\non_running_limit = \"2h\"");
    let span = ["--from", "2027-06-01T00:00:00Z", "--days", "30", "--seed", "3"];
    let told = json(&waits, &span);
    assert_eq!((&told["kept"], &told["stretches"][0]["late"]), (&true.into(), &Value::Array(vec![])));
    let timeline = told["stretches"][0]["timeline"].to_string();
    assert!(timeline.contains("No execution of sync `5f0b3d1e"), "{timeline}");
}

#[test]
fn what_somebody_switched_on_in_its_window_is_not_told_as_resumed_late() {
    let told =
        json(NIGHTS, &["--from", "2027-06-01T00:00:00Z", "--days", "25", "--faults", "some", "--seed", "3"]);
    let stretch = &told["stretches"][0];
    assert!(stretch["timeline"].to_string().contains("Leaving sync"), "{stretch:#}");
    // The longest downtime is shorter; the next night's resume comes later.
    let is_bogus = |it: &&Value| it["milliseconds"].as_u64().unwrap() > 12 * 3_600_000;
    let late = stretch["late"].as_array().unwrap();
    assert!(!late.iter().any(|it| is_bogus(&it)), "{late:?}");
}
