//! Any text as `intermission.toml`: it comes into force or is refused with
//! places that exist, words that a terminal can bear, and no secret.

use std::ffi::OsString;
use std::sync::LazyLock;

use intermission::config::{self, Config, Context, Diagnostic, Rejected, Severity};
use intermission::tzdb::Tzdb;

/// What a key that stands in the file itself looks like here.
const SECRET: &str = "pk-Zq7xW3vN9r";

static TZDB: LazyLock<Tzdb> = LazyLock::new(Tzdb::bundled);

pub(crate) fn check(input: &[u8]) {
    let text = text(input);
    check_text(text);
    check_secret(text);
}

/// As far as it is UTF-8; of the rest a file has no say.
fn text(input: &[u8]) -> &str {
    let end = str::from_utf8(input).map_or_else(|error| error.valid_up_to(), str::len);
    str::from_utf8(&input[..end]).unwrap()
}

fn parse(text: &str) -> Result<Config, Rejected> {
    let environment = |name: &str| name.starts_with("POLYTOMIC_API_KEY").then(|| OsString::from("secret"));
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    config::parse("c.toml", text, &Context { now, tzdb: &TZDB, environment: &environment })
}

fn check_text(text: &str) {
    let state = config::state_path_leniently(text);
    let socket = config::control_socket_leniently(text);
    assert!(state.iter().chain(&socket).all(|path| path.is_absolute()), "{state:?} {socket:?}");
    match parse(text) {
        Ok(config) => {
            assert!(config.warnings.iter().all(|it| it.severity == Severity::Warning));
            config.warnings.iter().chain(&config.key_problems).for_each(|it| check_diagnostic(text, it));
            // What is found in a file that is whole is what the file says.
            assert_eq!(config.state.path, state);
            assert_eq!(config.web.control_socket, socket);
        }
        Err(rejected) => {
            let all = rejected.diagnostics();
            assert!(all.iter().any(|it| it.severity == Severity::Error), "refused without an error");
            assert!(all.is_sorted_by_key(|it| it.span.start), "not in the order of the file");
            for it in all {
                check_diagnostic(text, it);
            }
            check_rendered(&rejected.render(false));
            rejected.render(true);
        }
    }
}

fn check_diagnostic(text: &str, it: &Diagnostic) {
    let marked = text.get(it.span.clone());
    assert!(marked.is_some(), "{:?} is no place in a text of {}: {it}", it.span, text.len());
    let before = &text[..it.span.start];
    let line = before.rsplit('\n').next().unwrap();
    let place = (before.matches('\n').count() + 1, line.chars().count() + 1);
    assert_eq!((it.line, it.column), place, "{it}");
    let words = [Some(&it.message), it.mend.as_ref()];
    for words in words.into_iter().flatten() {
        assert!(!words.is_empty() && !words.contains(char::is_control), "{words:?}");
    }
    let rendered = it.render(false);
    let head = format!("c.toml:{}:{}: {}: {}", it.line, it.column, it.severity, it.message);
    assert!(rendered.starts_with(&head), "{rendered}");
    check_rendered(&rendered);
}

fn check_rendered(rendered: &str) {
    let obeyed = rendered.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(obeyed, None, "a terminal would obey: {rendered:?}");
}

/// The same text with a key in it, in one of the ways in which people put keys:
/// before and after everything else, so that no comment has it.
fn check_secret(text: &str) {
    if text.contains(SECRET) {
        return;
    }
    let ways = [
        format!("api_key = \"{SECRET}\""),
        format!("polytomic.api_key = \"{SECRET}\""),
        format!("polytomic = {{ api_key = '{SECRET}' }}"),
        format!("token = {SECRET}"),
    ];
    let secret = &ways[text.len() % ways.len()];
    for text in [format!("{secret}\n{text}"), format!("{text}\n{secret}")] {
        let rejected = parse(&text).expect_err("a key has no place in the file");
        let told = format!("{} {rejected:?}", rejected.render(false));
        assert!(!told.contains(SECRET), "{told}");
    }
}
