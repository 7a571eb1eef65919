//! What is held as lines for a shell: each resumes one sync with curl, on a
//! night when nothing of ours works.
//!
//! No key is in them, nor in the list of processes while they run: the shell
//! reads it from where the ledger says it is, and hands it to curl on stdin.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::times;
use crate::domain::hold::Hold;
use crate::domain::organization::{KeySource, Organization, Proxy};
use crate::domain::sync::SyncKind;
use crate::domain::zone::Zone;

/// The variable that stands in for a key that only the service can see.
const VARIABLE: &str = "POLYTOMIC_API_KEY";

/// One line for each sync that a resume is owed, with what it is as a comment.
pub(super) fn lines(holds: &[Hold], ledger: &Path, zone: &Zone) -> String {
    let owed: Vec<&Hold> = holds.iter().filter(|it| it.state.owes_resume()).collect();
    let mut text =
        format!("# What is paused by intermission, as its ledger {} tells it.\n", ledger.display());
    if owed.is_empty() {
        return text + "# Nothing is.";
    }
    text += "# Each line resumes one sync now, whether its window is still open or not.";
    for hold in owed {
        text += "\n\n# ";
        text += &comment(hold, zone);
        text += "\n";
        text += &line(hold);
    }
    text
}

fn comment(hold: &Hold, zone: &Zone) -> String {
    let name = hold.name.clone().unwrap_or_else(|| hold.sync.id.to_string());
    let windows: Vec<&str> = hold.holders.iter().map(|it| it.window.as_str()).collect();
    let until = |at: DateTime<Utc>| times::show(at, zone);
    let text = format!(
        "{name} ({}), {} for {} until {}",
        hold.sync.kind,
        hold.state.as_str(),
        if windows.is_empty() { "no window".to_owned() } else { windows.join(", ") },
        until(hold.resume_by)
    );
    let missing = match &hold.organization.key {
        KeySource::Credential(name) => {
            format!("\n# Only the service sees its key, the credential {name}: put it into ${VARIABLE} first")
        }
        KeySource::File(_) | KeySource::Environment(_) => String::new(),
    };
    // Strangers choose names, and a comment ends with its line.
    text.replace(|it: char| it.is_control(), " ") + &missing
}

fn line(hold: &Hold) -> String {
    let it = &*hold.organization;
    let kind = match hold.sync.kind {
        SyncKind::Model => "syncs",
        SyncKind::Bulk => "bulk/syncs",
    };
    let url = format!("{}/api/{kind}/{}/activate", it.url.trim_end_matches('/'), hold.sync.id);
    let mut words = vec![
        authorization(it),
        "| curl --fail-with-body --silent --show-error --max-time 30 --header @-".to_owned(),
        format!("--header {}", quote(&format!("X-Polytomic-Version: {}", it.api_version))),
        "--header 'Content-Type: application/json' --data '{\"active\":true}' --write-out '\\n'".to_owned(),
    ];
    match &it.proxy {
        Proxy::None => words.push("--noproxy '*'".to_owned()),
        Proxy::Environment => {}
        Proxy::Url(url) => words.push(format!("--proxy {}", quote(url))),
    }
    if let Some(path) = &it.ca_file {
        words.push(format!("--cacert {}", quote(&path.display().to_string())));
    }
    words.push(quote(&url));
    words.join(" ")
}

/// Writes the header to stdout. `printf` is of the shell itself, so that what
/// it is given is in no list of processes.
fn authorization(it: &Organization) -> String {
    let key = match &it.key {
        KeySource::File(path) => {
            format!("\"$(tr -d '[:space:]' < {})\"", quote(&path.display().to_string()))
        }
        KeySource::Environment(name) => format!("\"${{{name}:?is not set}}\""),
        KeySource::Credential(_) => format!("\"${{{VARIABLE}:?is not set}}\""),
    };
    match it.organization_id {
        None => format!("printf 'Authorization: Bearer %s\\n' {key}"),
        Some(id) => format!(
            "printf 'Authorization: Basic %s\\n' \"$(printf '%s:%s' {id} {key} | base64 | tr -d '\\n')\""
        ),
    }
}

/// The text as one word for a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word() {
        assert_eq!(quote("/etc/key"), "'/etc/key'");
        assert_eq!(quote("it's $(x)"), r"'it'\''s $(x)'");
    }
}
