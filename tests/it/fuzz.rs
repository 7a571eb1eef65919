//! Everything that reads what others wrote, against the small corpora in
//! `fuzz/corpus` and against noise made from them.
//!
//! What is checked is in `fuzz/bodies`, which libFuzzer runs too (`just fuzz
//! NAME`). Here the noise is the same in each run; `INTERMISSION_FUZZ=20` makes
//! twenty times as much.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[path = "../../fuzz/bodies/config.rs"]
mod config;
#[path = "../../fuzz/bodies/control.rs"]
mod control;
#[path = "../../fuzz/bodies/duration.rs"]
mod duration;
#[path = "../../fuzz/bodies/key.rs"]
mod key;
mod mutation;
#[path = "../../fuzz/bodies/reply.rs"]
mod reply;
#[path = "../../fuzz/bodies/retry_after.rs"]
mod retry_after;
#[path = "../../fuzz/bodies/schedule.rs"]
mod schedule;

/// A check, and how much noise it gets when nobody asks for more.
struct Target {
    name: &'static str,
    check: fn(&[u8]),
    noise: u64,
}

const TARGETS: [Target; 7] = [
    Target { name: "config", check: config::check, noise: 4000 },
    Target { name: "control", check: control::check, noise: 20000 },
    Target { name: "duration", check: duration::check, noise: 20000 },
    Target { name: "key", check: key::check, noise: 5000 },
    Target { name: "reply", check: reply::check, noise: 12000 },
    Target { name: "retry_after", check: retry_after::check, noise: 20000 },
    Target { name: "schedule", check: schedule::check, noise: 5000 },
];

/// No input may keep a processor busy for longer. It is the time of this thread
/// alone, so that other work on the machine does not count; and it is long,
/// because what it is to find takes minutes.
const LONGEST: Duration = Duration::from_secs(10);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a folder, without what follows the dot, in order.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|it| it.expect("a folder is readable").file_name());
    names.map(|it| it.to_string_lossy().split('.').next().unwrap_or_default().to_owned()).collect()
}

/// The files of a corpus, in the order of their names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|it| it.expect("a folder is readable").path())
        .map(|path| {
            let content = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap().to_string_lossy().into_owned(), content)
        })
        .collect();
    files.sort();
    files
}

/// The words of a target's dictionary, in libFuzzer's form; many have none.
fn dictionary(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join("dictionaries").join(name).with_extension("dict"));
    let quoted = |line: &str| line.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
    let plain = |word: String| word.replace("\\x0a", "\n").replace("\\\"", "\"").into_bytes();
    text.unwrap_or_default().lines().filter_map(quoted).map(plain).collect()
}

#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says so")]
fn times() -> u64 {
    std::env::var("INTERMISSION_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a thread has not run for less than nothing")
}

/// Checks one input. What it fails on is kept, to be looked at and to go into
/// the corpus.
fn run(target: &Target, what: &str, input: &[u8]) -> Duration {
    let start = processor_time();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let took = processor_time().saturating_sub(start);
    if outcome.is_err() || took > LONGEST {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
        fs::write(&kept, input).expect("the folder for such files is there");
        panic!(
            "{} fails on {what} ({took:?}), which is now {}:\n{}",
            target.name,
            kept.display(),
            input.escape_ascii().to_string().chars().take(2000).collect::<String>()
        );
    }
    took
}

/// Checks all of a corpus, and noise made from it.
fn withstands(name: &str) {
    let target = TARGETS.iter().find(|it| it.name == name).expect("it is in the table");
    let corpus = corpus(name);
    let mut longest = Duration::ZERO;
    for (file, input) in &corpus {
        longest = longest.max(run(target, &format!("corpus/{name}/{file}"), input));
    }
    let words = dictionary(name);
    let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let noise = target.noise * times();
    for seed in 0..noise {
        let input = mutation::of(&seeds, &words, seed);
        longest = longest.max(run(target, &format!("noise {seed}"), &input));
    }
    println!("{name}: {} files and {noise} of noise; the longest took {longest:?}", seeds.len());
}

#[test]
fn a_configuration_withstands_noise() {
    withstands("config");
}

#[test]
fn the_control_socket_withstands_noise() {
    withstands("control");
}

#[test]
fn a_duration_withstands_noise() {
    withstands("duration");
}

#[test]
fn a_key_withstands_noise() {
    withstands("key");
}

#[test]
fn an_answer_of_the_api_withstands_noise() {
    withstands("reply");
}

#[test]
fn retry_after_withstands_noise() {
    withstands("retry_after");
}

#[test]
fn a_schedule_withstands_noise() {
    withstands("schedule");
}

#[test]
fn every_target_of_the_fuzzer_is_run_here() {
    let here: BTreeSet<String> = TARGETS.iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(names("fuzz_targets"), here);
    assert_eq!(names("bodies"), here);
    assert_eq!(names("corpus"), here);
    let manifest: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().expect("Cargo.toml is TOML");
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: BTreeSet<String> = programs.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(programs, here);
}

#[test]
fn the_dictionary_of_the_file_has_every_key() {
    let words = dictionary("config");
    let mut missing = BTreeSet::new();
    let schema = include_str!("../../src/config/schema.json");
    keys(&serde_json::from_str(schema).expect("the schema is JSON"), &mut missing);
    assert!(missing.contains("on_running"), "{missing:?}");
    missing.retain(|key| !words.contains(&format!("{key} = ").into_bytes()));
    assert!(missing.is_empty(), "fuzz/dictionaries/config.dict lacks {missing:?}");
}

/// Every key that a schema has a property for.
fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(fields) => {
            let named = fields.get("properties").and_then(|it| it.as_object());
            found.extend(named.into_iter().flat_map(|it| it.keys().cloned()));
            fields.values().for_each(|it| keys(it, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|it| keys(it, found)),
        _ => {}
    }
}

#[test]
fn what_fails_a_check_is_kept_and_named() {
    let target = Target { name: "a-test", check: |input| assert_ne!(input, b"wrong"), noise: 0 };
    run(&target, "what is right", b"right");
    let failed = catch_unwind(|| run(&target, "what is wrong", b"wrong")).unwrap_err();
    let told = failed.downcast_ref::<String>().unwrap();
    assert!(told.starts_with("a-test fails on what is wrong"), "{told}");
    assert_eq!(fs::read(Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-a-test")).unwrap(), b"wrong");
}
