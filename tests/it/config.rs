//! The configuration file: what is accepted, and what refusing it says.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use intermission::config::{self, Config, Context, Diagnostic, Rejected, Severity};
use intermission::domain::organization::{KeySource, Proxy};
use intermission::domain::sync::{Name, SyncKind};
use intermission::domain::window::{End, OnManualResume};
use intermission::tzdb::Tzdb;
use proptest::prelude::*;

use crate::chance::cases;

const EXAMPLE: &str = include_str!("../../config/intermission.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");
const ID: &str = "248df4b7-aa70-47b8-a036-33ac447e668d";

/// When the tests take place.
fn now() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

/// The one call into parsing; every organization's key is in a variable.
fn parse(text: &str) -> Result<Config, Rejected> {
    parse_with(text, &|name| name.starts_with("POLYTOMIC_API_KEY").then(|| OsString::from("secret")))
}

fn parse_with(
    text: &str,
    environment: &(dyn Fn(&str) -> Option<OsString> + Send + Sync),
) -> Result<Config, Rejected> {
    config::parse("c.toml", text, &Context { now: now(), tzdb: &Tzdb::bundled(), environment })
}

/// A file with one window, some of whose lines are replaced: `key = …` lines
/// take the place of lines with the same key, others are added.
fn window(lines: &[&str]) -> String {
    let key_of = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let usual = ["name = \"w\"", "timezone = \"UTC\"", "start = \"0 22 * * SAT\"", "end = \"06:00\""];
    let syncs = format!("syncs = [\"{ID}\"]");
    let usual = usual.into_iter().chain([syncs.as_str()]);
    let kept = usual.filter(|line| !lines.iter().any(|other| key_of(other) == key_of(line)));
    let all: Vec<_> = std::iter::once("[[window]]").chain(kept).chain(lines.iter().copied()).collect();
    all.join("\n") + "\n"
}

/// A refused text: where each error is, what it says and what would be right,
/// as `line:column message | mend`.
fn check_refused(text: &str, expected: &[&str]) {
    let rejected = parse(text).map(|_| ()).expect_err(text);
    let errors = rejected.diagnostics().iter().filter(|it| it.severity == Severity::Error);
    let told: Vec<_> = errors.map(told).collect();
    assert_eq!(told, expected, "{text}");
}

fn told(it: &Diagnostic) -> String {
    let mend = it.mend.as_deref().map(|mend| format!(" | {mend}")).unwrap_or_default();
    format!("{}:{} {}{mend}", it.line, it.column, it.message)
}

/// A window with this line is refused, at this column of its last line. What
/// is refused at another key is told by `check_refused`.
fn check_line(line: &str, column: usize, message: &str, mend: &str) {
    let text = window(&[line]);
    let last = text.lines().count();
    let mend = if mend.is_empty() { String::new() } else { format!(" | {mend}") };
    check_refused(&text, &[&format!("{last}:{column} {message}{mend}")]);
}

fn check_table(line: &str, table: &str, column: usize, message: &str, mend: &str) {
    let text = format!("[{table}]\n{line}\n");
    check_refused(&text, &[&format!("2:{column} {message} | {mend}")]);
}

fn check_warned(text: &str, expected: &[&str]) {
    let config = parse(text).unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<_> = config.warnings.iter().map(told).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn every_file_in_config_parses() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        check_warned(&text, &[]);
    }
}

#[test]
fn the_example_parses_with_every_line_that_is_commented_out() {
    let is_key =
        |line: &str| line.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
    let lines = EXAMPLE.lines().map(|line| if is_key(line) { &line[1..] } else { line });
    let config = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    // The key files, the certificates and the addresses are not there, and nothing else is wrong.
    assert_eq!(config.key_problems.len(), 3, "{:?}", config.key_problems);
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert_eq!(config.organizations.len(), 2);
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = parse(MINIMAL).unwrap();
    let default = &config.organizations[&Name::from("default")];
    assert_eq!(default.organization.url, "https://app.polytomic.com");
    assert_eq!(default.organization.api_version, "2025-09-18");
    assert_eq!(default.organization.organization_id, None);
    assert_eq!(default.organization.ca_file, None);
    assert_eq!(default.organization.proxy, Proxy::None);
    assert_eq!(default.organization.key, KeySource::Environment("POLYTOMIC_API_KEY".to_owned()));
    assert_eq!(default.limits.max_concurrent_requests, 8);
    assert_eq!(default.limits.max_requests_per_second, None);
    let (retry, reconcile) = (config.retry, config.reconcile);
    for (found, documented) in [
        (default.limits.request_timeout, "30s"),
        (default.limits.connect_timeout, "5s"),
        (retry.initial, "1s"),
        (retry.max, "1m"),
        (reconcile.settle, "2m"),
        (reconcile.drift_check, "1m"),
        (reconcile.max_sleep, "1m"),
        (reconcile.overdue_after, "5m"),
        (config.state.history, "365d"),
    ] {
        assert_eq!(config::duration::format(found), documented);
    }
    assert_eq!(config.state.path, None);
    assert_eq!(config.web.control_socket, None);
    assert!(config.timezone.is_none());
    let window = &config.calendar.windows()[0];
    assert_eq!(window.lead, TimeDelta::zero());
    assert_eq!(window.on_manual_resume, OnManualResume::Respect);
    assert_eq!(window.description, None);
}

#[test]
fn the_example_shows_the_defaults() {
    let (example, minimal) = (parse(EXAMPLE).unwrap(), parse(MINIMAL).unwrap());
    assert_eq!(example.organizations, minimal.organizations);
    assert_eq!(example.retry, minimal.retry);
    assert_eq!(example.reconcile, minimal.reconcile);
    assert_eq!(example.state, minimal.state);
    assert_eq!(example.web, minimal.web);
}

#[test]
fn a_window_is_read_whole() {
    let config = parse(EXAMPLE).unwrap();
    let window = config.calendar.window("warehouse-patching").unwrap();
    assert_eq!(window.times.zone().name(), "America/New_York");
    assert_eq!(window.lead, TimeDelta::minutes(10));
    assert_eq!(window.times.dates().skip.len(), 2);
    assert_eq!(
        window.syncs.iter().map(|sync| sync.kind).collect::<Vec<_>>(),
        [SyncKind::Model, SyncKind::Bulk]
    );
    let next = window.next_opening(now()).unwrap();
    assert_eq!(next.opens.to_rfc3339(), "2026-11-28T03:00:00+00:00");
    assert_eq!(next.closes.to_rfc3339(), "2026-11-28T11:00:00+00:00");
    let once = config.calendar.window("move-to-the-new-warehouse").unwrap();
    assert_eq!(once.times.zone().name(), "Europe/Amsterdam");
    assert_eq!(once.next_opening(now()).unwrap().opens.to_rfc3339(), "2031-05-10T18:00:00+00:00");
}

#[test]
fn an_end_is_written_in_many_ways() {
    let closes = |lines: &[&str]| {
        let config = parse(&window(lines)).unwrap_or_else(|error| panic!("{error}"));
        config.calendar.windows()[0].next_opening(now()).unwrap().closes.to_rfc3339()
    };
    assert_eq!(closes(&["end = \"06:00\""]), "2026-11-29T06:00:00+00:00");
    assert_eq!(closes(&["end = 06:00:00"]), "2026-11-29T06:00:00+00:00");
    assert_eq!(closes(&["end = \"24:00\""]), "2026-11-29T00:00:00+00:00");
    assert_eq!(closes(&["end = \"0 6 * * SUN\""]), "2026-11-29T06:00:00+00:00");
    let once = "start = 2026-12-24T22:00:00";
    assert_eq!(closes(&[once, "end = 2026-12-25T06:00:00"]), "2026-12-25T06:00:00+00:00");
    assert_eq!(closes(&[once, "end = 2026-12-25T06:00:00+05:30"]), "2026-12-25T00:30:00+00:00");
    let text = window(&["duration = \"90m\""]).replace("end = \"06:00\"\n", "");
    let config = parse(&text).unwrap();
    assert!(
        matches!(config.calendar.windows()[0].times.end(), End::After(length) if *length == TimeDelta::minutes(90))
    );
    let config = parse(&window(&["end = \"24:00\""])).unwrap();
    assert!(matches!(config.calendar.windows()[0].times.end(), End::TimeOfDay(at) if *at == NaiveTime::MIN));
}

#[test]
fn ids_are_read_in_either_case() {
    let config = parse(&window(&[&format!("syncs = [\"{}\"]", ID.to_uppercase())])).unwrap();
    assert_eq!(config.calendar.syncs().next().unwrap().id.to_string(), ID);
}

#[test]
fn a_window_that_is_wrong_is_refused_at_the_very_place() {
    check_line("name = \"a b\"", 8, "a window cannot be called `a b`", NAMES);
    check_line("name = \"\"", 8, "a window cannot be called ``", NAMES);
    check_line("name = 3", 8, "`name` must be a text, and is a whole number", "write `name = \"…\"`");
    check_line(
        "timezone = \"Europe/Amsterdm\"",
        12,
        "unknown time zone `Europe/Amsterdm`",
        "did you mean `Europe/Amsterdam`?",
    );
    check_line(
        "start = \"0 22 * * 8\"",
        19,
        "day-of-week: 8 is outside 0-7",
        "Sunday is 0 or 7, Monday is 1; names are safest: MON",
    );
    check_line("start = 2026-12-24", 9, "`start` has no time", "write `start = 2026-12-24T22:00:00`");
    check_line("start = 22:00:00", 9, "`start` has no date", "write `start = 2026-12-24T22:00:00`");
    check_line("end = \"25:00\"", 7, "`25:00` is no time of day", "write a time from `00:00` to `24:00`");
    check_line("end = \"24:01\"", 7, "`24:01` is no time of day", "write a time from `00:00` to `24:00`");
    check_line("duration = \"8h\"", 12, "both `end` and `duration` are there", "remove one");
    check_line("lead = \"90\"", 9, "a duration needs a unit", "write `90s`, `90m` or `90h`");
    check_line(
        "lead = 90",
        8,
        "`lead` must be a duration, written as a text, and is a whole number",
        "write `lead = \"90s\"` for seconds",
    );
    check_line(
        "lead = \"-5m\"",
        9,
        "a duration cannot be negative",
        "write a duration such as `90s`, `15m` or `2h30m`",
    );
    check_line("lead = \"40d\"", 8, "`lead` is too long", "write a duration from 0s to 31d");
    check_line(
        "on_manual_resume = \"maybe\"",
        20,
        "`on_manual_resume` cannot be `maybe`",
        "write `respect` or `enforce`",
    );
    check_line(
        "on_running = \"kill\"",
        14,
        "`on_running` cannot be `kill`",
        "write `leave` or `wait` or `cancel`",
    );
    check_line(
        "on_running_limit = \"2d\"",
        20,
        "`on_running_limit` is too long",
        "write a duration from 1s to 1d",
    );
    check_line(
        "bulk_syncs = [\"91c04e6a-07c4-4f55-b6a4-52a586a851de\"]\non_running = \"leave\"",
        14,
        "`on_running = \"leave\"` cannot be kept for bulk syncs: when one is switched off, Polytomic itself \
         cancels its execution",
        "write `wait` or `cancel`, or give the bulk syncs a window of their own",
    );
    check_line(
        "skip_dates = [\"2026-12-26\"]",
        15,
        "`skip_dates` must be a date alone, and is a text",
        "write `2026-12-26` without quotes",
    );
    check_line(
        "first_date = 2026-12-26T10:00:00",
        14,
        "`first_date` must be a date alone, and is a date or time",
        "write `2026-12-26`",
    );
}

#[test]
fn syncs_that_are_wrong_are_refused_one_by_one() {
    check_line("syncs = []", 9, "the window has nothing to pause", SYNCS);
    check_line(
        "syncs = \"x\"",
        9,
        "`syncs` must be a list, and is a text",
        &format!("write `syncs = [\"{ID}\"]`"),
    );
    check_line(
        "syncs = [3]",
        10,
        "`syncs` must be a list of ids, and is a whole number",
        &format!("write ids as texts: `[\"{ID}\"]`"),
    );
    check_line("syncs = [\"248df4b7\"]", 10, "`248df4b7` is no id", IDS);
    check_line(
        "syncs = [\"{248df4b7-aa70-47b8-a036-33ac447e668d}\"]",
        10,
        "`{248df4b7-aa70-47b8-a036-33ac447e668d}` is no id",
        IDS,
    );
    check_line(
        &format!("syncs = [\"{ID}\", \"{}\"]", ID.to_uppercase()),
        50,
        &format!("`{ID}` is in `syncs` twice"),
        "remove one",
    );
    check_line(
        &format!("bulk_syncs = [\"{ID}\"]"),
        15,
        &format!("`{ID}` is in `syncs` and in `bulk_syncs`"),
        "a sync is either a model sync or a bulk sync: remove one",
    );
    check_line("organization = \"emea\"", 16, "there is no organization `emea`", "the file has `default`");
    check_line(
        "organization = \"defualt\"",
        16,
        "there is no organization `defualt`",
        "did you mean `default`?",
    );
    check_line("sync = []", 1, "unknown key `sync` in [[window]]", "did you mean `syncs`?");
    check_line(
        "description = \"a\\nb\"",
        15,
        "`description` must be one line",
        "write it without line breaks and tabs",
    );
    check_line(
        &format!("description = \"{}\"", "x".repeat(256)),
        15,
        "`description` is too long",
        "write at most 255 characters",
    );
}

const NAMES: &str = "write 1 to 64 letters, digits, `.`, `_` and `-`, with a letter, a digit or `_` first";
const IDS: &str = "write the id from the sync's address, such as `248df4b7-aa70-47b8-a036-33ac447e668d`";
const SYNCS: &str =
    "write `syncs = [\"…\"]` for model syncs, `bulk_syncs = [\"…\"]` for bulk syncs, or `select`";

#[test]
fn times_that_make_no_occurrence_are_refused_at_their_end() {
    let refused = |lines: &[&str], expected: &str| check_refused(&window(lines), &[expected]);
    refused(
        &["start = 2026-12-24T22:00:00", "end = 2026-12-24T21:00:00"],
        "6:7 the end, 2026-12-24 21:00:00 UTC, is not after the start, 2026-12-24 22:00:00 UTC | swap them, or mind the year",
    );
    refused(
        &["first_date = 2026-12-31", "last_date = 2026-01-01"],
        "8:13 `first_date` 2026-12-31 is after `last_date` 2026-01-01 | swap them",
    );
    refused(
        &["start = \"0 22 * * *\"", "lead = \"16h\""],
        "7:8 its syncs would never be resumed: with this `lead` each pause begins before, or just when, the one before \
         it ends | shorten `lead`",
    );
    // In crontab, too: the text is that of the domain, the place is the end's.
    for end in ["0 6 1 1 *", "0 6 1 3 *"] {
        let rejected = parse(&window(&[&format!("end = \"{end}\"")])).map(|_| ()).expect_err(end);
        let places: Vec<_> = rejected.diagnostics().iter().map(|it| (it.line, it.column)).collect();
        assert_eq!(places, [(6, 7)], "{rejected}");
    }
}

#[test]
fn what_is_missing_is_told_at_the_table() {
    let zone =
        "write `timezone = \"Europe/Amsterdam\"` here, or once at the top of the file: UTC is never assumed";
    check_refused(
        "[polytomic]\n\n[[window]]\n",
        &[
            "3:1 `name` is missing in [[window]] | write `name = \"…\"`: log, page and journal tell windows by it",
            &format!("3:1 `timezone` is missing in [[window]] | {zone}"),
            "3:1 `start` is missing in [[window]] | write `start = \"0 22 * * SAT\"` (crontab), or a date and time for once",
            "3:1 `end` is missing in [[window]] | write `end = \"06:00\"` or `duration = \"8h\"`",
            &format!("3:1 the window has nothing to pause | {SYNCS}"),
        ],
    );
}

#[test]
fn a_date_that_there_is_not_has_its_mend() {
    let day = "write a day that there is: `2026-12-31`";
    let time = "write a time from `00:00:00` to `23:59:59`; midnight is the next day's `00:00:00`";
    for (written, expected) in [
        ("2026-02-30T22:00:00", format!("invalid date, expected day between 01 and 28 | {day}")),
        ("2026-13-01", format!("invalid date, expected month between 01 and 12 | {day}")),
        ("2026-12-01T24:00:00", format!("invalid time, expected hour between 00 and 23 | {time}")),
    ] {
        check_refused(&format!("x = {written}\n"), &[&format!("1:5 {expected}")]);
    }
}

#[test]
fn what_a_start_was_meant_to_be_is_told() {
    let check = |start: &str, place: usize, problem: &str, mend: &str| {
        check_line(&format!("start = \"{start}\""), place, problem, mend);
    };
    check("22:00", 10, "1 of five fields", "for every day at that time write `0 22 * * *`");
    check("06:30", 10, "1 of five fields", "for every day at that time write `30 6 * * *`");
    check(
        "2027-01-01T00:00:00",
        10,
        "1 of five fields",
        "a date and time has no quotes: `2027-01-01T00:00:00`",
    );
    let year = "write `0 22 * * 1`, and `first_date` and `last_date` for a single year";
    check("0 22 * * 1 2027", 10, "six fields: crontab(5) has no years", year);
}

#[test]
fn a_window_may_only_select() {
    let window = "timezone = \"UTC\"\n[[window]]\nname = \"a\"\nstart = \"0 1 * * *\"\nend = \"02:00\"\n";
    let id = "248df4b7-aa70-47b8-a036-33ac447e668d";
    for (lines, expected) in [
        ("select = [{ all = true }]".to_owned(), "in default: all".to_owned()),
        (
            format!(
                "select = [{{ name = \"S*\", kind = \"bulk\" }}, {{ connection = \"{id}\" }}]\nexclude = [\"{id}\"]"
            ),
            format!("in default: kind bulk and name \"S*\"; connection {id}, not {id}"),
        ),
    ] {
        let config = parse(&format!("{window}{lines}\n")).unwrap();
        let (_, select) = config.calendar.selecting().next().unwrap();
        assert_eq!(select.to_string(), expected);
    }
}

#[test]
fn a_selection_that_says_nothing_or_too_much_is_refused() {
    let id = "248df4b7-aa70-47b8-a036-33ac447e668d";
    let what = "`connection`, `name` or `kind`";
    let pattern = "`*` is any text, `?` one character, `[ab]` one of these; `[*]` is a star itself";
    for (lines, place, problem, mend) in [
        (
            "select = []",
            "1:10",
            "`select` selects nothing",
            "write `select = [{ name = \"Snowflake *\" }]`, or remove it",
        ),
        (
            "select = [{}]",
            "1:11",
            "this selects nothing",
            &format!("write {what} into it, or `all = true` for every sync"),
        ),
        (
            "select = [{ all = false }]",
            "1:11",
            "`all` can only be `true`",
            &format!("write `all = true`, or {what}"),
        ),
        (
            "select = [{ all = true, kind = \"bulk\" }]",
            "1:11",
            "`all` means every sync, and something else is named too",
            &format!("remove `all`, or the {what} beside it"),
        ),
        ("select = [{ names = \"x\" }]", "1:13", "unknown key `names` in `select`", "did you mean `name`?"),
        ("select = [{ name = \"a[\" }]", "1:20", "`a[` is no pattern: invalid range pattern", pattern),
        ("select = [{ kind = \"both\" }]", "1:20", "`kind` cannot be `both`", "write `model` or `bulk`"),
        (
            "select = [{ connection = \"x\" }]",
            "1:26",
            "`x` is no id",
            &format!("write the id from the connection's address, such as `{id}`"),
        ),
        (
            "exclude = [\"x\"]",
            "1:11",
            "`exclude` has nothing to exclude from",
            "remove it: without `select`, only the syncs that are named are paused",
        ),
    ] {
        let (_, column) = place.split_once(':').unwrap();
        let window = "timezone = \"UTC\"\n[[window]]\nname = \"a\"\nstart = \"0 1 * * *\"\nend = \"02:00\"\n";
        let syncs =
            if lines.starts_with("exclude") { format!("syncs = [\"{id}\"]\n") } else { String::new() };
        let at = if syncs.is_empty() { 6 } else { 7 };
        check_refused(&format!("{window}{syncs}{lines}\n"), &[&format!("{at}:{column} {problem} | {mend}")]);
    }
    let window = "timezone = \"UTC\"\n[[window]]\nname = \"a\"\nstart = \"0 1 * * *\"\nend = \"02:00\"\n";
    check_refused(
        &format!("{window}syncs = [\"{id}\"]\nselect = [{{ all = true }}]\nexclude = [\"{id}\"]\n"),
        &[&format!(
            "8:11 `{id}` is in `syncs` and in `exclude` | remove one: a sync that is named is not excluded"
        )],
    );
}

#[test]
fn windows_are_not_looked_at_before_they_open_unless_that_is_asked_for() {
    let window = window(&["start = \"0 1 * * *\"", "end = \"02:00\""]);
    let preflight = |lines: &str| parse(&format!("{lines}{window}")).unwrap().reconcile.preflight;
    assert_eq!(preflight(""), None);
    assert_eq!(preflight("[reconcile]\npreflight = \"30m\"\n"), Some(Duration::from_mins(30)));
    check_table(
        "preflight = \"8d\"",
        "reconcile",
        13,
        "`preflight` is too long",
        "write a duration from 1s to 7d",
    );
}

#[test]
fn targets_of_notices_that_are_wrong_are_refused_without_their_address() {
    let secret = "https://hooks.example.com/services/T000/s3cret";
    for (lines, refusal) in [
        (
            "format = \"slack\"",
            "1:1 `url_file` is missing in [[notify]] | write `url_file = \"/etc/intermission/slack-url\"`, and the address into that file",
        ),
        (
            &format!("url = \"{secret}\""),
            "1:1 `format` is missing in [[notify]] | write `format = \"slack\"` or `format = \"json\"`",
        ),
        (
            &format!("format = \"slack\"\nurl = \"{secret}\"\nurl_credential = \"x\""),
            "1:1 `url` and `url_credential` both say where to send | remove one of them",
        ),
        (
            &format!("format = \"slack\"\nurl = \"{secret}\"\nevents = [\"overdeu\"]"),
            "4:11 there is no event `overdeu` | did you mean `overdue`?",
        ),
        (
            "format = \"json\"\nurl = \"http://hooks.example.com/s3cret-of-theirs\"",
            "3:7 there is no address: it does not start with `https://`, and would be sent in the clear | write \
             `url_file = \"/etc/intermission/slack-url\"`, and the address alone into that file, which not everybody may read",
        ),
    ] {
        let text = format!("[[notify]]\n{lines}\n");
        check_refused(&text, &[refusal]);
        let rejected = parse(&text).unwrap_err();
        assert!(!rejected.render(false).contains("s3cret"), "{}", rejected.render(false));
    }
}

#[test]
fn the_page_is_served_at_an_address_with_a_port() {
    for text in ["localhost:9477", "127.0.0.1", "9477", "::1:9477", "127.0.0.1:65536", ""] {
        check_table(
            &format!("listen = \"{text}\""),
            "web",
            10,
            "`listen` is no address with a port",
            "write an IP address and a port, such as `127.0.0.1:9477` or `[::1]:9477`",
        );
    }
}

#[test]
fn settings_have_bounds() {
    let check = check_table;
    check(
        "max_concurrent_requests = 0",
        "polytomic",
        27,
        "`max_concurrent_requests` cannot be `0`",
        "write a whole number from 1 to 256",
    );
    check(
        "max_requests_per_second = -1",
        "polytomic",
        27,
        "`max_requests_per_second` cannot be `-1`",
        "write a whole number from 1 to 10000",
    );
    check(
        "max_requests_per_second = 0.5",
        "polytomic",
        27,
        "`max_requests_per_second` must be a whole number, and is a number with fractions",
        "write a whole number from 1 to 10000",
    );
    check(
        "request_timeout = \"0s\"",
        "polytomic",
        19,
        "`request_timeout` cannot be zero",
        "write a duration from 100ms to 10m",
    );
    check(
        "request_timeout = \"1h\"",
        "polytomic",
        19,
        "`request_timeout` is too long",
        "write a duration from 100ms to 10m",
    );
    check(
        "request_timeout = \"3m\"",
        "polytomic",
        19,
        "`settle`, 2m, is not longer than `request_timeout`, 3m",
        "write a longer `settle` in [reconcile], or a shorter `request_timeout`",
    );
    check(
        "settle = \"30s\"",
        "reconcile",
        10,
        "`settle`, 30s, is not longer than `request_timeout`, 30s",
        "write a longer `settle` in [reconcile], or a shorter `request_timeout`",
    );
    check(
        "max_sleep = \"1ms\"",
        "reconcile",
        13,
        "`max_sleep` is too short",
        "write a duration from 100ms to 1h",
    );
    check(
        "initial = \"2m\"",
        "retry",
        11,
        "`max`, 1m, is shorter than `initial`, 2m",
        "write a longer `max` or a shorter `initial`",
    );
    check("history = \"1h\"", "state", 11, "`history` is too short", "write a duration from 1d to 3650d");
    check(
        "path = \"ledger.db\"",
        "state",
        8,
        "`path` is no absolute path",
        "write the whole path, from `/` on: the daemon has no working directory of its own",
    );
    let long = format!("control_socket = \"/{}\"", "x".repeat(107));
    check(
        &long,
        "web",
        18,
        "the path of a socket cannot be longer than 107 bytes",
        "write a shorter one, such as `/run/intermission/control.sock`",
    );
    check(
        "api_version = \"latest\"",
        "polytomic",
        15,
        "`latest` is no version of the API",
        "write a date such as `2025-09-18`, or remove the key",
    );
    check("organization_id = \"x\"", "polytomic", 19, "`x` is no id", IDS);
    check(
        "proxy = \"socks5://x\"",
        "polytomic",
        9,
        "`proxy` is no URL",
        "write `http://HOST:PORT`, or `environment` for the usual variables",
    );
}

#[test]
fn a_base_url_is_a_base() {
    let check = |url: &str, message: &str, mend: &str| {
        check_table(&format!("url = \"{url}\""), "polytomic", 7, message, mend);
    };
    check("app.polytomic.com", "`url` is no URL", "write `https://app.polytomic.com`");
    check("localhost:8080", "`url` is no URL", "write `https://localhost:8080`");
    check("ftp://host", "`url` must begin with `https://`", "write one such as `https://app.polytomic.com`");
    check(
        "https://me:hush@host",
        "`url` holds a user name or a password",
        "remove it: the API key is in `api_key_file`",
    );
    check("https://host/?a=b", "`url` goes on after its path", "remove everything from `?` or `#` on");
    check("https://host/#a", "`url` goes on after its path", "remove everything from `?` or `#` on");
    check("https://", "`url` is no URL: empty host", "write one such as `https://app.polytomic.com`");

    let accepted = |url: &str| {
        let config = parse(&format!("[polytomic]\nurl = \"{url}\"\n{}", window(&[]))).unwrap();
        config.organizations[&Name::from("default")].organization.url.clone()
    };
    assert_eq!(accepted("https://App.Example.com/"), "https://app.example.com");
    assert_eq!(accepted("https://example.com:8443/polytomic/"), "https://example.com:8443/polytomic");
    assert_eq!(accepted("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    for key in ["api_key", "key", "token", "secret", "password"] {
        for table in ["polytomic", "organization.emea"] {
            let text = format!("[{table}]\n{key} = \"hush-hush\"\n");
            let rejected = parse(&text).map(|_| ()).unwrap_err();
            assert!(!rejected.to_string().contains("hush"), "{rejected}");
            let mend = "write `api_key_file = \"/etc/intermission/api-key\"`, and the key into that file";
            check_refused(
                &text,
                &[&format!(
                    "2:1 `{key}`: an API key is never written into this file, which others may read and copy | {mend}"
                )],
            );
        }
    }
    let unquoted = parse("[polytomic]\napi_key = hush-hush\n").map(|_| ()).unwrap_err();
    assert!(!unquoted.to_string().contains("hush"), "{unquoted}");
    let in_url = parse("[polytomic]\nurl = \"https://me:hush@host\"\n").map(|_| ()).unwrap_err();
    assert!(!in_url.to_string().contains("hush"), "{in_url}");
}

#[test]
fn organizations_have_names() {
    check_refused(
        "[organization.default]\n",
        &["1:15 the organization `default` has a table of its own | write `[polytomic]`"],
    );
    check_refused(
        "[organization.\"a b\"]\n",
        &[&format!("1:15 an organization cannot be called `a b` | {NAMES}")],
    );
    check_refused(
        &format!("[organization.emea]\n{}", window(&[])),
        &[
            "2:1 the window names no organization, and the file has no `[polytomic]` | write `organization = \"…\"`; the file has `emea`",
        ],
    );
    check_refused(
        "[organization.a-b]\n[organization.\"a.b\"]\n",
        &[
            "1:1 the organizations `a-b` and `a.b` would share `$POLYTOMIC_API_KEY_A_B` | write `api_key_file` for one of them",
        ],
    );
}

#[test]
fn several_errors_are_told_at_once() {
    let text = "timezone = \"Mars\"\n[polytomik]\n[retry]\nmax = 3\n[[window]]\nname = \"w\"\nstart = \"* *\"\nend = \"6\"\nsyncs = [\"x\"]\n[[window]]\nname = \"w\"\n";
    let rejected = parse(text).map(|_| ()).unwrap_err();
    let lines: Vec<_> = rejected.diagnostics().iter().map(|it| it.line).collect();
    // The second window lacks start, end and syncs; its name is taken.
    assert_eq!(lines, [1, 2, 4, 7, 8, 9, 10, 10, 10, 11], "{rejected}");
}

#[test]
fn syntax_errors_do_not_hide_each_other() {
    check_refused(
        "timezone = \"UTC\"\ntimezone = \"UTC\"\nx = \ny = foo\nz = \"open\n[retry]\nmaximum = \"1m\"\n",
        &[
            "2:1 the same key is there twice | keep one of the two",
            "3:5 the value is missing | write one after the `=`, or remove the key",
            "4:5 this is no value | a text is put into quotes: `\"…\"`",
            "5:10 invalid basic string, expected `\"`",
            "7:1 unknown key `maximum` in [retry] | did you mean `max`?",
        ],
    );
    check_refused(
        "[window]\nname = \"a\"\n",
        &["1:1 `window` must be a list of tables | write `[[window]]`: there may be many"],
    );
}

#[test]
fn an_empty_file_is_refused() {
    let mend = "write at least one `[[window]]`; see `config/minimal.toml`";
    check_refused("", &[&format!("1:1 the file is empty | {mend}")]);
    check_refused("# only\n# comments\n", &[&format!("1:1 the file is empty | {mend}")]);
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    check_warned(
        "[polytomic]\n",
        &["1:1 the file has no window: nothing will ever be paused | add a `[[window]]`"],
    );
    check_warned(
        &format!("[polytomic]\nurl = \"http://polytomic.example/api/\"\n{}", window(&[])),
        &[
            "2:7 the API key would be sent over the network unencrypted | write `https://`",
            "2:7 `/api` is added to this URL, which has one already | write it without `/api`",
        ],
    );
    let many: Vec<_> = (0..312).map(|i| format!("\"248df4b7-aa70-47b8-a036-{i:012}\"")).collect();
    let many = format!("syncs = [{}]", many.join(", "));
    let limited = |lines: &[&str]| format!("[polytomic]\nmax_requests_per_second = 20\n{}", window(lines));
    check_warned(
        &limited(&[&many]),
        &[
            "3:1 window `w`: 312 syncs need about 32 s at 20 requests a second | consider `lead = \"1m\"`, so that all are paused when it opens",
        ],
    );
    check_warned(&limited(&[&many, "lead = \"1m\""]), &[]);
    let past = parse(&window(&["start = 2020-01-01T00:00:00", "end = 2020-01-02T00:00:00"])).unwrap();
    assert_eq!(past.warnings.len(), 1);
    assert_eq!((past.warnings[0].line, past.warnings[0].severity), (1, Severity::Warning));
    assert!(past.warnings[0].message.starts_with("window `w`: it lies in the past"), "{}", past.warnings[0]);
}

#[test]
fn old_zone_data_is_warned_of() {
    let cx = Context {
        now: "2040-01-01T00:00:00Z".parse().unwrap(),
        tzdb: &Tzdb::bundled(),
        environment: &|_| Some("k".into()),
    };
    let config = config::parse("c.toml", &window(&[]), &cx).unwrap();
    assert!(config.warnings[0].message.ends_with("is older than a year"), "{:?}", config.warnings);
}

#[test]
fn a_diagnostic_shows_the_line_and_the_place() {
    let rejected =
        parse("[polytomic]\nurl = \"https://x\"\n\n[retry]\ninitail = \"1s\"\n").map(|_| ()).unwrap_err();
    assert_eq!(
        rejected.to_string(),
        "c.toml:5:1: error: unknown key `initail` in [retry]
  |
5 | initail = \"1s\"
  | ^^^^^^^
  |
  = help: did you mean `initial`?
"
    );
    let rejected = parse(&window(&["end = \"0 6 * * L\"", "lead = \"5min\""])).map(|_| ()).unwrap_err();
    let text = rejected.to_string();
    let second = text.split("\n\n").nth(1).unwrap();
    assert_eq!(
        second,
        "c.toml:7:9: error: there is no unit `min`
  |
7 | lead = \"5min\"
  |         ^^^^
  |
  = help: write `5m`
"
    );
}

#[test]
fn colour_is_given_only_when_asked_for() {
    let rejected = parse("x = 1\n").map(|_| ()).unwrap_err();
    assert!(rejected.render(true).contains("\x1b["));
    assert!(!rejected.render(false).contains('\x1b'));
    let hostile = parse("\"\\u001b[31m\" = 1\n").map(|_| ()).unwrap_err();
    assert!(!hostile.to_string().contains('\x1b'), "{hostile}");
}

#[test]
fn fifty_diagnostics_are_shown_and_the_rest_is_counted() {
    let text = (0..3000).map(|i| format!("unknown{i} = 1")).collect::<Vec<_>>().join("\n");
    let shown = parse(&text).map(|_| ()).unwrap_err().to_string();
    assert_eq!(shown.matches("error: ").count(), 50);
    assert!(shown.ends_with("\nand 2950 more\n"), "{}", &shown[shown.len() - 100..]);
}

#[test]
fn a_key_is_looked_for_in_the_file_then_the_credentials_then_the_variables() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().as_os_str().to_owned();
    let environment = move |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some(at.clone()),
        name if name.starts_with("POLYTOMIC") => Some("from-a-variable".into()),
        _ => None,
    };
    let file = directory.path().join("file");
    for name in ["polytomic-api-key", "polytomic-api-key-emea", "file"] {
        std::fs::write(directory.path().join(name), "secret\n").unwrap();
        std::fs::set_permissions(directory.path().join(name), std::fs::Permissions::from_mode(0o600))
            .unwrap();
    }
    let text = format!(
        "[polytomic]\n[organization.emea]\n[organization.apac-1]\n[organization.us]\napi_key_file = \"{}\"\n",
        file.display()
    );
    let config = parse_with(&text, &environment).unwrap();
    assert_eq!(config.key_problems, []);
    let sources: Vec<_> = config.organizations.values().map(|it| it.organization.key.to_string()).collect();
    assert_eq!(
        sources,
        [
            "env:POLYTOMIC_API_KEY_APAC_1".to_owned(),
            "credential:polytomic-api-key".to_owned(),
            "credential:polytomic-api-key-emea".to_owned(),
            format!("file:{}", file.display()),
        ]
    );
}

#[test]
fn a_key_that_is_not_to_be_had_is_told_apart_from_errors_of_the_text() {
    let nothing = |_: &str| None;
    let config = parse_with(&window(&[]), &nothing).unwrap();
    let problems: Vec<_> = config.key_problems.iter().map(told).collect();
    assert_eq!(
        problems,
        [
            "1:1 no API key for the organization `default` | write `api_key_file = \"/etc/intermission/api-key\"`, or set `$POLYTOMIC_API_KEY`"
        ]
    );
    assert!(config.key_problems[0].about_key);
    assert!(config.with_all_keys().unwrap_err().is_about_keys_alone());

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "hush-hush\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = format!("[polytomic]\napi_key_file = \"{}\"\n{}", file.display(), window(&[]));
    let config = parse_with(&text, &nothing).unwrap();
    let problem = &config.key_problems[0];
    assert_eq!((problem.line, problem.column), (2, 16));
    assert_eq!(
        problem.message,
        format!("the key file `{}` is readable by everybody (mode 0644)", file.display())
    );
    assert_eq!(problem.mend, Some(format!("run: chmod 0640 {}", file.display())));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(parse_with(&text, &nothing).unwrap().with_all_keys().is_ok());

    let both = parse_with(&window(&["oops = 1"]), &nothing).map(|_| ()).unwrap_err();
    assert_eq!(both.diagnostics().iter().map(|it| it.about_key).collect::<Vec<_>>(), [true, false]);
    assert!(!both.is_about_keys_alone());
}

#[test]
fn a_certificate_file_that_is_not_there_is_told() {
    let config = parse("[polytomic]\nca_file = \"/nowhere.pem\"\n").unwrap();
    assert!(config.key_problems[0].message.starts_with("`ca_file` cannot be read: No such file"));
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let tzdb = Tzdb::bundled();
    let cx = Context { now: now(), tzdb: &tzdb, environment: &|_| Some("k".into()) };
    let check = |name: &str, content: Option<&[u8]>, expected: &str| {
        let path = directory.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let rejected = config::load(&path, &cx).map(|_| ()).unwrap_err();
        let shown = rejected.to_string().replace(path.to_str().unwrap(), "FILE");
        assert_eq!(shown.lines().next(), Some(expected), "{shown}");
    };
    check(
        "missing",
        None,
        "FILE:1:1: error: the file cannot be read: No such file or directory (os error 2)",
    );
    check("", None, "FILE:1:1: error: the file cannot be read: Is a directory (os error 21)");
    check("latin", Some(b"a = 1\nb = \"f\xfcr\"\n"), "FILE:2:7: error: the file is not UTF-8 from here on");
    check("nul", Some(b"\0"), "FILE:1:1: error: invalid unquoted key, expected letters, numbers, `-`, `_`");
    let path = directory.path().join("large");
    std::fs::File::create(&path).unwrap().set_len(config::MOST_BYTES + 1).unwrap();
    check("large", None, "FILE:1:1: error: the file is larger than 32 MiB");

    let good = directory.path().join("good");
    std::fs::write(&good, MINIMAL).unwrap();
    assert_eq!(config::load(&good, &cx).unwrap().fingerprint, parse(MINIMAL).unwrap().fingerprint);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_trouble() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    assert_eq!(parse(&text).unwrap().warnings, []);
}

/// Far more than it takes, even on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test that measures reads the clock")]
fn check_quick(text: &str) {
    let start = SystemTime::now();
    if let Err(rejected) = parse(text) {
        let shown = rejected.to_string();
        assert!(shown.starts_with("c.toml:"), "{shown}");
        assert!(shown.len() < 200_000, "{} bytes", shown.len());
    }
    assert!(start.elapsed().unwrap_or_default() < PATIENCE);
}

#[test]
fn a_megabyte_of_noise_is_refused_quickly() {
    for piece in
        ["=", "[", "\"", "a\n", "a = [", "x = 1\n", "[[window]]\n", "[a.", "é", "{", "a.b = 1\n", "'''"]
    {
        check_quick(&piece.repeat((1 << 20) / piece.len()));
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,400}") {
        check_quick(&text);
        let _ = config::state_path_leniently(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_quick(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_edit_of_the_example_makes_it_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\PC\n]{0,6}"), 1..6),
    ) {
        // Comments are of no interest.
        let lines = EXAMPLE.lines().filter(|line| !line.starts_with('#'));
        let mut text = lines.collect::<Vec<_>>().join("\n");
        for (from, length, replacement) in &edits {
            let from = text.floor_char_boundary(from.index(text.len() + 1));
            let until = text.floor_char_boundary((from + length.index(12)).min(text.len())).max(from);
            text.replace_range(from..until, replacement);
        }
        check_quick(&text);
        let _ = config::state_path_leniently(&text);
    }
}
