//! Configuration files that are wrong in every way that came to mind.

use std::fmt::Write;

use intermission::domain::event::{Event, EventKind};
use intermission::ledger::{Change, HistoryQuery, Store};

use super::{Place, id, much_later, soon, window};

/// What is wrong: what is replaced in a good file, by what, and the word that
/// has to be told.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("syncs = ", "sync = ", &["sync", "did you mean `syncs`?"]),
    ("[[window]]", "[[windows]]", &["windows", "window"]),
    ("[retry]", "[retries]", &["retries"]),
    ("timezone = \"UTC\"", "timezone = \"Europe/Amsterdm\"", &["Europe/Amsterdm", "Europe/Amsterdam"]),
    ("timezone = \"UTC\"", "timezone = \"CEST\"", &["CEST"]),
    ("timezone = \"UTC\"", "", &["timezone"]),
    ("start = START", "start = 2026-02-30T10:00:00Z", &["2026-02-30"]),
    ("start = START", "start = 2026-13-01T10:00:00Z", &["2026-13-01"]),
    ("start = START", "start = \"0 0 22 * * SAT\"", &["six fields"]),
    ("start = START", "start = \"0 22 * * SAT 2026 *\"", &["7 fields"]),
    ("start = START", "start = \"0 22 * * SAX\"", &["SAX"]),
    ("start = START", "start = \"0 0 30 2 *\"", &["30"]),
    ("start = START", "start = \"0 25 * * *\"", &["25"]),
    ("start = START", "start = \"0 22 L * *\"", &["L"]),
    ("end = END", "end = 1999-01-01T00:00:00Z", &["end"]),
    ("end = END", "duration = \"-5m\"", &["-5m"]),
    ("end = END", "duration = \"0s\"", &["0s"]),
    ("end = END", "duration = \"5 parsecs\"", &["5 parsecs"]),
    ("end = END", "", &["end"]),
    ("SYNC", "248df4b7-aa70-47b8-a036", &["248df4b7-aa70-47b8-a036"]),
    ("SYNC", "../../etc/passwd", &["../../etc/passwd"]),
    ("\"SYNC\"", "\"SYNC\", \"SYNC\"", &["SYNC"]),
    ("\"SYNC\"", "42", &["list of ids", "whole number"]),
    ("max = \"500ms\"", "max = \"1ms\"", &["max"]),
    ("settle = \"4s\"", "settle = \"1s\"", &["settle", "request_timeout"]),
    ("http://", "ftp://", &["ftp"]),
    ("http://", "http://somebody:secret@", &["url"]),
];

#[test]
fn every_wrong_file_is_refused_with_its_place_and_a_mend_and_nothing_is_touched() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    let mut store = Store::open(&place.ledger).unwrap();
    let before = Event { detail: Some("before".to_owned()), ..Event::new(EventKind::DaemonStopped) };
    store.apply(&[Change::new().record(soon(-60), before)]).unwrap();
    store.close().unwrap();
    place.write(&[window("patching", (soon(-1), much_later()), &[sync])]);
    place.run(&["check"]).with(0);
    let good = std::fs::read_to_string(place.config()).unwrap();
    let value = |key: &str| {
        let line = good.lines().find(|it| it.starts_with(key)).unwrap();
        line[key.len()..].to_owned()
    };
    let (start, end) = (value("start = "), value("end = "));

    let mut failures = String::new();
    for (number, (what, instead, words)) in WRONG.iter().enumerate() {
        let fill = |text: &str| {
            text.replace("START", &start).replace("END", &end).replace("SYNC", &sync.to_string())
        };
        let text = good.replacen(&fill(what), &fill(instead), 1);
        assert_ne!(text, good, "number {number} changes nothing: {what}");
        place.write_text(&text);
        for arguments in [&["check"][..], &["run"], &["run", "--once"]] {
            let ended = place.run(arguments);
            let told = |word: &&str| ended.err.contains(&fill(word));
            let is_good = ended.code == Some(78)
                && ended.err.contains("intermission.toml:")
                && words.iter().all(told)
                && (ended.err.contains("help: ") || ended.err.contains("expected"))
                && ended.out.is_empty();
            if !is_good {
                writeln!(
                    failures,
                    "{arguments:?} of `{instead}` ended with {:?}:\n{}",
                    ended.code, ended.err
                )
                .unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    untouched(&place);
}

#[test]
fn noise_is_refused_quickly_and_in_few_words() {
    let place = Place::new();
    Store::open(&place.ledger).unwrap().close().unwrap();
    let mut dice = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| dice.u8(..)).take(1 << 20).collect();
    let letters: String = std::iter::repeat_with(|| dice.char(' '..='~')).take(1 << 20).collect();
    let unknown: String = (0..20_000).fold(String::new(), |text, it| text + &format!("key{it} = {it}\n"));
    let nested = format!("timezone = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let noises: [(&str, Vec<u8>); 6] = [
        ("bytes", noise),
        ("letters", letters.into_bytes()),
        ("a thousand keys", unknown.into_bytes()),
        ("nested", nested.into_bytes()),
        ("nothing", vec![]),
        ("zeros", vec![0; 1 << 20]),
    ];
    for (name, text) in noises {
        place.write_text(&text);
        for arguments in [&["check"][..], &["run", "--once"]] {
            let ended = place.run(arguments);
            assert_eq!(ended.code, Some(78), "{name}: {arguments:?}: {:.2000}", ended.err);
            assert!(ended.err.len() < 20_000, "{name}: {} bytes of errors", ended.err.len());
        }
    }
    assert_eq!(place.world().requests().len(), 0);
}

/// Neither the ledger nor the API has noticed anything.
#[track_caller]
fn untouched(place: &Place) {
    let store = Store::read_only(&place.ledger).unwrap();
    assert_eq!(store.contents().unwrap().holds, vec![]);
    let history = store.history(&HistoryQuery::default()).unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(place.world().requests().len(), 0);
}
