//! `syncs`: what Polytomic lists, and which windows cover it.

use std::collections::BTreeMap;

use clap::Args;
use glob::Pattern;
use serde::Serialize;
use uuid::Uuid;

use super::file;
use super::listing::{self, Lists};
use super::table::{Mood, Rows, count};
use super::{Exit, Failure, Format, FormatArgument, Global, Outcome, block_on, screen};
use crate::domain::calendar::Calendar;
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::polytomic::Listed;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only of this organization
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Only those that this window covers
    #[arg(long, value_name = "NAME", conflicts_with = "uncovered")]
    window: Option<String>,
    /// Only those that no window covers
    #[arg(long)]
    uncovered: bool,
    /// Only those whose name matches: `*` is any text, `?` one character
    #[arg(long, value_name = "PATTERN")]
    name: Option<Pattern>,
    #[command(flatten)]
    format: FormatArgument,
}

/// One sync.
#[derive(Debug, Serialize)]
struct Line {
    organization: Name,
    kind: SyncKind,
    id: Uuid,
    name: Option<String>,
    /// Where it reads and writes, as far as the list says.
    connections: Vec<Uuid>,
    schedule: Option<String>,
    active: Option<bool>,
    windows: Vec<Name>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let mut read = file::read(global)?;
    let all = read.config.organizations.keys();
    let wanted = |it: &&Name| arguments.organization.as_deref().is_none_or(|name| name == it.as_str());
    let organizations: Vec<Name> = all.filter(wanted).cloned().collect();
    if organizations.is_empty() {
        let name = arguments.organization.as_deref().unwrap_or_default();
        return Err(Failure::Usage(format!("the file has no organization `{name}`")));
    }
    if let Some(name) = &arguments.window
        && read.config.calendar.window(name).is_none()
    {
        return Err(Failure::Usage(format!("the file has no window `{name}`")));
    }
    let lists = block_on(async { Ok(listing::list(&read, organizations.into_iter()).await) })?;
    read.config.calendar =
        read.config.calendar.with_selected(&listing::resolve(&read, &lists, BTreeMap::new()));
    let calendar = &read.config.calendar;
    for warning in listing::uncovered(calendar, &lists) {
        screen::note(&format!("warning: {warning}"));
    }
    listing::tell_failures(&lists);
    let lines = lines(arguments, calendar, &lists);
    match arguments.format.format {
        Format::Json => screen::say_json(&lines)?,
        Format::Table => screen::say(&table(&lines))?,
    }
    Ok(if lists.values().all(Result::is_ok) { Exit::Success } else { Exit::Failed })
}

fn lines(arguments: &Arguments, calendar: &Calendar, lists: &Lists) -> Vec<Line> {
    let listed = lists.iter().flat_map(|(organization, all)| {
        all.iter().flatten().map(move |it| Line::of(organization, it, calendar))
    });
    let is_meant = |it: &Line| {
        let window = arguments.window.as_deref();
        window.is_none_or(|name| it.windows.iter().any(|it| it.as_str() == name))
            && (!arguments.uncovered || it.windows.is_empty())
            && arguments
                .name
                .as_ref()
                .is_none_or(|glob| it.name.as_deref().is_some_and(|it| glob.matches(it)))
    };
    let mut lines: Vec<Line> = listed.filter(is_meant).collect();
    lines.sort_by(|a, b| (&a.organization, &a.name, a.id).cmp(&(&b.organization, &b.name, b.id)));
    lines
}

impl Line {
    fn of(organization: &Name, it: &Listed, calendar: &Calendar) -> Self {
        let sync = SyncRef::new(organization.clone(), it.kind, it.id);
        Self {
            organization: organization.clone(),
            kind: it.kind,
            id: it.id,
            name: it.name.clone(),
            connections: it.connections.clone(),
            schedule: it.frequency.clone(),
            active: it.active,
            windows: calendar.windows_of(&sync).map(|it| it.name.clone()).collect(),
        }
    }
}

fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "no sync".to_owned();
    }
    let is_one = lines.iter().all(|it| it.organization == lines[0].organization);
    let mut rows = Rows::under(&["NAME", "KIND", "ID", "ACTIVE", "SCHEDULE", "WINDOWS", "CONNECTIONS"]);
    let dash = || "-".to_owned();
    for it in lines {
        let id = if is_one { it.id.to_string() } else { format!("{}/{}", it.organization, it.id) };
        let connections: Vec<_> = it.connections.iter().map(Uuid::to_string).collect();
        let windows: Vec<_> = it.windows.iter().map(Name::as_str).collect();
        rows.add(
            Mood::Plain,
            [
                it.name.clone().unwrap_or_else(dash),
                it.kind.to_string(),
                id,
                it.active.map_or_else(dash, |is| if is { "on" } else { "off" }.to_owned()),
                it.schedule.clone().unwrap_or_else(dash),
                if windows.is_empty() { dash() } else { windows.join(", ") },
                if connections.is_empty() { dash() } else { connections.join(" → ") },
            ],
        );
    }
    let covered = lines.iter().filter(|it| !it.windows.is_empty()).count();
    format!("{}\n\n{}, {covered} of them covered by windows", rows.render(), count(lines.len(), "sync"))
}
