//! The JSON Schema of the configuration file: that it is one, that it takes
//! what the reader takes and knows the same keys, and what it refuses.
//! The validator is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use intermission::config::{self, Context, Severity};
use intermission::domain::event::EventKind;
use intermission::tzdb::Tzdb;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

const ID: &str = "248df4b7-aa70-47b8-a036-33ac447e668d";

fn schema() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_intermission")).arg("schema").output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn validator() -> Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema())
        .unwrap()
}

/// As editors see it: dates and times become texts.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json_of(value))).collect())
        }
    }
}

fn read(text: &str) -> Value {
    json_of(toml::Value::Table(text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))))
}

/// What the reader says of a text: its errors, with their mends.
fn told(text: &str) -> Vec<(String, String)> {
    let tzdb = Tzdb::bundled();
    let cx = Context {
        now: "2026-11-23T00:00:00Z".parse().unwrap(),
        tzdb: &tzdb,
        environment: &|name| name.starts_with("POLYTOMIC").then(|| OsString::from("secret")),
    };
    match config::parse("c.toml", text, &cx) {
        Ok(_) => vec![],
        Err(rejected) => rejected
            .diagnostics()
            .iter()
            .filter(|it| it.severity == Severity::Error)
            .map(|it| (it.message.clone(), it.mend.clone().unwrap_or_default()))
            .collect(),
    }
}

#[test]
fn it_is_a_schema_of_its_draft() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    validator();
}

#[test]
fn every_example_is_valid() {
    let validator = validator();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let mut examples: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    examples.push(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/debian/intermission.toml").into());
    let examples: Vec<_> =
        examples.iter().filter(|it| it.extension().is_some_and(|it| it == "toml")).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let text = fs::read_to_string(example).unwrap();
        // Whatever is commented out as well: a `#` at the start of a line is before a key.
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        for text in [text, uncommented] {
            let Ok(table) = text.parse::<toml::Table>() else { continue };
            let errors: Vec<String> = validator
                .iter_errors(&json_of(toml::Value::Table(table)))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:?}", example.display());
        }
    }
}

/// A table of the file, as the reader calls it, with a text that has it and
/// ends inside of it.
const TABLES: &[(&str, &str)] = &[
    ("the file", ""),
    ("[polytomic]", "[polytomic]\n"),
    ("[organization.emea]", "[organization.emea]\n"),
    ("[retry]", "[retry]\n"),
    ("[reconcile]", "[reconcile]\n"),
    ("[state]", "[state]\n"),
    ("[web]", "[web]\n"),
    ("[[notify]]", "[[notify]]\n"),
    ("[heartbeat]", "[heartbeat]\n"),
    ("[[window]]", "[[window]]\n"),
];

/// The keys that the schema has for a table.
fn keys_of_the_schema(title: &str) -> BTreeSet<String> {
    let schema = schema();
    let name = title.trim_matches(['[', ']']);
    let part = match name {
        "the file" => &schema,
        "organization.emea" | "polytomic" => &schema["$defs"]["organization"],
        "window" | "notify" => &schema["$defs"][name],
        name => &schema["properties"][name],
    };
    part["properties"].as_object().unwrap_or_else(|| panic!("{title}: {part}")).keys().cloned().collect()
}

/// The keys that the reader takes: it lists them for whoever writes one that
/// is like none of them.
fn keys_of_the_reader(title: &str, text: &str) -> BTreeSet<String> {
    let told = told(&format!("{text}qqqqqqqqqqqqqqqq = 1\n"));
    let list = told.iter().find_map(|(_, mend)| mend.strip_prefix(&format!("{title} knows: ")));
    let list = list.unwrap_or_else(|| panic!("{title}: {told:?}"));
    list.split(", ").map(str::to_owned).collect()
}

/// The keys of each table.
fn taken() -> BTreeMap<&'static str, BTreeSet<String>> {
    TABLES.iter().map(|(title, text)| (*title, keys_of_the_reader(title, text))).collect()
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    for (title, read) in taken() {
        let known = keys_of_the_schema(title);
        assert_eq!(known, read, "{title}: the left is src/config/schema.json, the right is the reader");
    }
}

#[test]
fn every_key_is_in_the_manual_and_has_words() {
    let manual =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/intermission.toml.5")).unwrap();
    for (title, keys) in taken() {
        for key in keys {
            let is_table = title == "the file" && key != "timezone";
            let there = if is_table { format!("[{key}") } else { format!(".B {key}\n") };
            assert!(manual.contains(&there), "intermission.toml(5) does not explain `{key}` of {title}");
        }
    }
    let schema = schema();
    let mut without = Vec::new();
    words(&schema["properties"], "", &mut without);
    for part in ["organization", "window", "notify", "selector"] {
        words(&schema["$defs"][part]["properties"], part, &mut without);
    }
    assert!(without.is_empty(), "keys without a description: {without:?}");
}

fn words(keys: &Value, path: &str, without: &mut Vec<String>) {
    for (key, it) in keys.as_object().unwrap() {
        if it["description"].as_str().is_none_or(str::is_empty) {
            without.push(format!("{path}.{key}"));
        }
        if it["properties"].is_object() {
            words(&it["properties"], &format!("{path}.{key}"), without);
        }
    }
}

#[test]
fn it_knows_every_event() {
    let events: Vec<Value> = EventKind::ALL.iter().map(|it| it.as_str().into()).collect();
    let mut known: Vec<Value> = schema()["$defs"]["event"]["enum"].as_array().unwrap().clone();
    known.sort_by_key(ToString::to_string);
    let mut expected = events;
    expected.sort_by_key(ToString::to_string);
    assert_eq!(known, expected);
}

/// The defaults of the schema are those of docs/configuration.md.
#[test]
fn defaults_are_those_that_the_page_tells() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    let schema = schema();
    let mut checked = 0;
    let tables = [&schema["$defs"]["organization"], &schema["$defs"]["window"]];
    let tables =
        tables.into_iter().chain(["retry", "reconcile", "state", "web"].map(|it| &schema["properties"][it]));
    for table in tables {
        for (key, it) in table["properties"].as_object().unwrap() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            let (Some(default), Some(row)) = (it.get("default"), row) else { continue };
            checked += 1;
            assert!(row.contains(&format!("| `{default}` |")), "{key}: {default} is not in {row}");
        }
    }
    assert!(checked > 12, "only {checked} defaults were found");
}

fn window(lines: &[(&str, Value)]) -> Value {
    let mut window = Map::from_iter([
        ("name".to_owned(), json!("w")),
        ("timezone".to_owned(), json!("UTC")),
        ("start".to_owned(), json!("0 22 * * SAT")),
        ("end".to_owned(), json!("06:00")),
        ("syncs".to_owned(), json!([ID])),
    ]);
    for (key, value) in lines {
        match value {
            Value::Null => drop(window.remove(*key)),
            value => drop(window.insert((*key).to_owned(), value.clone())),
        }
    }
    json!({ "window": [window] })
}

#[test]
fn what_the_reader_takes_it_takes() {
    let validator = validator();
    for text in [
        "",
        "start = 2031-05-10T20:00:00\nend = 2031-05-11T04:00:00Z",
        "start = 2031-05-10 20:00:00+02:00\nduration = \"1d 12h\"",
        "start = \" */5  1-3,5 1-31/2 JAN-mar Sun,6 \"\nduration = \"90s\"",
        "start = \"@daily\"\nend = \"0 6 * * *\"",
        "start = \"0 22 * * *\"\nend = 06:00:00",
        "start = \"0 22 * * *\"\nend = \"24:00\"\nskip_dates = [2031-05-10]\nfirst_date = 2026-01-01",
        "start = \"0 22 * * *\"\nend = \"6:5\"\ndescription = \"Größe 日本語\"\nlead = \"0s\"",
        "start = \"0 22 * * *\"\nend = \"06:00\"\non_manual_resume = \"enforce\"\norganization = \"default\"",
    ] {
        let times = if text.is_empty() { "start = \"0 22 * * SAT\"\nend = \"06:00\"" } else { text };
        let file =
            format!("[[window]]\nname = \"_w-1.x\"\ntimezone = \"UTC\"\nsyncs = [\"{ID}\"]\n{times}\n");
        assert_eq!(told(&file), [], "{file}");
        let errors: Vec<String> = validator.iter_errors(&read(&file)).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{file}");
    }
    for text in [
        "timezone = \"UTC\"\n[polytomic]\nurl = \"http://127.0.0.1:1/x\"\nproxy = \"environment\"",
        "[organization.a]\nmax_requests_per_second = 20\nrequest_timeout = \"100ms\"",
        "[web]\nlisten = \"[::1]:0\"\ncontrol_socket = \"/run/x.sock\"",
        "[retry]\ninitial = \"10ms\"\n[reconcile]\nsettle = \"1h\"\n[state]\nhistory = \"1d\"\npath = \"/x\"",
    ] {
        assert_eq!(told(text), [], "{text}");
        assert!(validator.is_valid(&read(text)), "{text}");
    }
}

#[test]
fn what_is_wrong_is_refused_where_a_schema_can_see_it() {
    let validator = validator();
    assert!(validator.is_valid(&window(&[])));
    let other = "0ecd09c1-b901-4d27-9053-f0367c427254";
    for wrong in [
        // Unknown keys, in every kind of table.
        json!({ "windows": [] }),
        json!({ "polytomic": { "api_key": "secret" } }),
        json!({ "organization": { "emea": { "uri": "https://x" } } }),
        json!({ "web": { "port": 1 } }),
        window(&[("sync", json!([other]))]),
        // Missing ones.
        window(&[("name", Value::Null)]),
        window(&[("start", Value::Null)]),
        window(&[("end", Value::Null)]),
        window(&[("timezone", Value::Null)]),
        window(&[("syncs", Value::Null)]),
        // Both of two.
        window(&[("duration", json!("8h"))]),
        // Wrong types.
        json!({ "window": {} }),
        json!({ "timezone": 1 }),
        json!({ "polytomic": { "max_concurrent_requests": "8" } }),
        window(&[("syncs", json!(ID))]),
        window(&[("lead", json!(10))]),
        // Wrong words, numbers and texts.
        json!({ "polytomic": { "max_concurrent_requests": 0 } }),
        json!({ "polytomic": { "max_requests_per_second": 10_001 } }),
        json!({ "polytomic": { "url": "app.polytomic.com" } }),
        json!({ "polytomic": { "url": "https://x/?a=b" } }),
        json!({ "polytomic": { "api_version": "latest" } }),
        json!({ "polytomic": { "proxy": "proxy.example:3128" } }),
        json!({ "polytomic": { "api_key_file": "key" } }),
        json!({ "organization": { "-emea": {} } }),
        json!({ "organization": { "default": {} } }),
        json!({ "retry": { "initial": "5min" } }),
        json!({ "web": { "listen": "localhost:9477" } }),
        json!({ "state": { "path": "ledger.db" } }),
        window(&[("name", json!("two words"))]),
        window(&[("name", json!("x".repeat(65)))]),
        window(&[("start", json!("0 22 * *"))]),
        window(&[("start", json!("0 0 22 * * SAT"))]),
        window(&[("start", json!("0 22 ? * SAT"))]),
        window(&[("start", json!("@reboot"))]),
        window(&[("start", json!("06:00"))]),
        window(&[("end", json!("6 o'clock"))]),
        window(&[("skip_dates", json!(["26.12.2026"]))]),
        window(&[("first_date", json!("2026-12-26T00:00:00"))]),
        window(&[("syncs", json!(["248df4b7"]))]),
        window(&[("syncs", json!([ID, ID]))]),
        window(&[("on_manual_resume", json!("ignore"))]),
        window(&[("on_running", json!("stop"))]),
        window(&[("catch_up", json!("all"))]),
        window(&[("select", json!([{}]))]),
        window(&[("select", json!([{ "nome": "x" }]))]),
        window(&[("description", json!("two\nlines"))]),
        window(&[("description", json!("x".repeat(256)))]),
        json!({ "notify": [{ "format": "teams" }] }),
        json!({ "notify": [{ "events": ["slept"] }] }),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
