//! `man`: the manual pages. Those of the commands are made from the words of
//! `--help`; the one of the configuration file is kept beside its Markdown.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory, ValueHint};
use clap_mangen::Man;

use super::{Arguments as CommandLine, EXIT_CODES, Exit, Failure, Outcome, screen};
use crate::reconcile::RELEASED;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write all pages into this directory [default: the page of `intermission` itself, to stdout]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// intermission.toml(5) without its header. `tests/it/pages.rs` holds it
/// against docs/configuration.md.
const CONFIGURATION: &str = include_str!("../../docs/intermission.toml.5");

const FILES: &str = r#"
.SH FILES
.TP
.I /etc/intermission/intermission.toml
The configuration; see
.BR intermission.toml (5).
.TP
.I /etc/intermission/api-key
Where the API key is kept by convention, with mode 0640 and group intermission.
.TP
.I /var/lib/intermission/ledger.db
The ledger: what is paused, and the journal. With the files beside it, it is all
that has to be kept.
.TP
.I /run/intermission/control.sock
The control socket, for root and the group intermission.
.SH ENVIRONMENT
.TP
.BR POLYTOMIC_API_KEY ", " POLYTOMIC_API_KEY_NAME
The API key, where neither a file nor a systemd credential holds it.
.TP
.B TZDIR
The time zone data to use, whatever its age.
.TP
.B NO_COLOR
Colours are left out if this is set.
"#;

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let pages = pages().map_err(failed)?;
    match &arguments.dir {
        None => {
            let main = pages.into_iter().find(|it| it.name == "intermission.1");
            screen::say_text(&main.unwrap_or_default().text)?;
        }
        Some(dir) => write(&pages, dir).map_err(failed)?,
    }
    Ok(Exit::Success)
}

fn failed(source: io::Error) -> Failure {
    Failure::Io { doing: "write the manual pages", source }
}

fn write(pages: &[Page], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    pages.iter().try_for_each(|page| fs::write(dir.join(&page.name), &page.text))
}

#[derive(Debug, Default)]
struct Page {
    name: String,
    text: String,
}

fn pages() -> io::Result<Vec<Page>> {
    let mut command = CommandLine::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![main_page(&command)?, configuration_page()];
    for subcommand in command.get_subcommands() {
        pages.push(command_page(subcommand)?);
    }
    Ok(pages)
}

fn main_page(command: &Command) -> io::Result<Page> {
    let codes = EXIT_CODES.trim_start_matches("Exit codes: ");
    let mut see_also = vec![("intermission.toml".to_owned(), 5)];
    see_also.extend(command.get_subcommands().map(|it| (format!("intermission-{}", it.get_name()), 1)));
    see_also.extend([("systemctl".to_owned(), 1), ("journalctl".to_owned(), 1)]);
    let tail = format!("{}\n.SH EXIT STATUS\n{codes}\n{}", FILES.trim_end(), references(&see_also));
    page(command, true, &tail)
}

fn command_page(command: &Command) -> io::Result<Page> {
    page(command, false, &references(&[("intermission".to_owned(), 1), ("intermission.toml".to_owned(), 5)]))
}

fn page(command: &Command, has_subcommands: bool, tail: &str) -> io::Result<Page> {
    let man = Man::new(command.clone()).date(released()).source(source()).manual("intermission");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_subcommands {
        man.render_subcommands_section(&mut text)?;
    }
    text.extend_from_slice(tail.as_bytes());
    Ok(Page { name: man.get_filename(), text: String::from_utf8_lossy(&text).into_owned() })
}

fn configuration_page() -> Page {
    let header = format!(r#".TH intermission.toml 5 {} "{}" "intermission""#, released(), source());
    Page { name: "intermission.toml.5".to_owned(), text: format!("{header}\n{CONFIGURATION}") }
}

fn references(pages: &[(String, u8)]) -> String {
    let lines: Vec<String> =
        pages.iter().map(|(name, section)| format!(".BR {} ({section})", name.replace('-', r"\-"))).collect();
    format!(".SH SEE ALSO\n{}\n", lines.join(",\n"))
}

fn released() -> String {
    RELEASED.format("%Y-%m-%d").to_string()
}

fn source() -> String {
    format!("intermission {}", env!("CARGO_PKG_VERSION"))
}
