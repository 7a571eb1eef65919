//! `[[window]]`: when, and which syncs.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use toml::Spanned;
use toml::de::DeValue;
use uuid::Uuid;

use super::organization::{Organizations, name_of};
use super::reader::{Table, Value, wrong_type};
use super::source::{Source, quote};
use super::times::Places;
use crate::domain::execution::{DEFAULT_LIMIT, OnRunning, RunPolicy};
use crate::domain::sync::{Name, SyncKind, SyncRef};
use crate::domain::window::{OnManualResume, Times, Window};
use crate::domain::zone::Zone;
use crate::tzdb::Tzdb;

/// The longest lead: no occurrence is longer.
const LONGEST_LEAD: Duration = Duration::from_hours(31 * 24);

/// How long executions may be waited for.
const SHORTEST_LIMIT: Duration = Duration::from_secs(1);
const LONGEST_LIMIT: Duration = Duration::from_hours(24);

/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 255;

/// A window and where its table begins.
pub(super) struct Placed {
    pub(super) window: Window,
    pub(super) at: Range<usize>,
}

/// All windows. One that is wrong is not among them, and an error was noted.
pub(super) fn windows(
    root: &mut Table<'_>,
    source: &Source<'_>,
    organizations: &Organizations<'_>,
    zones: &Zones<'_>,
    now: DateTime<Utc>,
) -> Vec<Placed> {
    let reading = Reading { source, organizations, zones, now };
    let mut lines = HashMap::new();
    let read = |table: Table<'_>| {
        let at = table.at();
        let placed = reading.window(table, &mut lines);
        // A window that is lost without a word would never pause anything.
        if placed.is_none() && !source.has_errors() {
            source.error(at, "the window cannot be read", "");
        }
        placed
    };
    root.tables("window").into_iter().filter_map(read).collect()
}

/// The zones that windows are written in.
pub(super) struct Zones<'t> {
    tzdb: &'t Tzdb,
    // Those that were asked for: windows of one zone share what is known of it.
    known: RefCell<HashMap<String, Zone>>,
    // Whether the file names a default; it may name one that does not exist.
    is_written: bool,
    default: Option<Zone>,
    at: Range<usize>,
}

impl<'t> Zones<'t> {
    pub(super) fn read(root: &mut Table<'_>, source: &Source<'_>, tzdb: &'t Tzdb) -> Self {
        let at = root.place_of("timezone");
        let is_written = root.has("timezone");
        let mut zones = Self { tzdb, known: RefCell::default(), is_written, default: None, at };
        zones.default = root.text("timezone").and_then(|name| zones.zone(&name, source));
        zones
    }

    /// The default of the file.
    pub(super) fn default(&self) -> Option<Zone> {
        self.default.clone()
    }

    /// Where the default stands.
    pub(super) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    fn zone(&self, name: &Spanned<&str>, source: &Source<'_>) -> Option<Zone> {
        if let Some(known) = self.known.borrow().get(*name.get_ref()) {
            return Some(known.clone());
        }
        let error = match self.tzdb.zone(name.get_ref()) {
            Ok(zone) => {
                self.known.borrow_mut().insert((*name.get_ref()).to_owned(), zone.clone());
                return Some(zone);
            }
            Err(error) => error,
        };
        let likely: Vec<_> = error.suggestions.iter().map(|name| format!("`{name}`")).collect();
        let mend = if likely.is_empty() {
            "write an IANA name, such as `Europe/Amsterdam`".to_owned()
        } else {
            format!("did you mean {}?", likely.join(" or "))
        };
        source.error(name.span(), format!("unknown time zone {}", quote(name.get_ref())), mend);
        None
    }
}

/// What reading a window needs.
pub(super) struct Reading<'r, 't> {
    pub(super) source: &'r Source<'r>,
    organizations: &'r Organizations<'t>,
    zones: &'r Zones<'t>,
    now: DateTime<Utc>,
}

impl Reading<'_, '_> {
    /// Reads every key before it gives up, so that all errors are noted.
    fn window(&self, mut table: Table<'_>, lines: &mut HashMap<Name, usize>) -> Option<Placed> {
        let name = self.name(&mut table, lines);
        let zone = self.zone(&mut table);
        let start = self.start(&mut table);
        let end = self.end(&mut table);
        let dates = self.dates(&mut table);
        let organization = table.text("organization");
        let organization = self.organizations.of_window(organization.as_ref(), table.at(), self.source);
        let select = self.select(&mut table, organization.clone());
        let syncs = self.syncs(&mut table, organization);
        let lead =
            table.duration("lead", Duration::ZERO..=LONGEST_LEAD).map_or(Duration::ZERO, Spanned::into_inner);
        let on_manual_resume = table.word(
            "on_manual_resume",
            &[("respect", OnManualResume::Respect), ("enforce", OnManualResume::Enforce)],
        );
        let description = table.parsed("description", description).map(Spanned::into_inner);
        let runs = self.runs(&mut table);
        let (header, places, lead_at) = (table.at(), Places::of(&table), table.place_of("lead"));
        let exclude_at = table.place_of("exclude");
        table.finish();

        let (select, syncs) = (select?, syncs?);
        if let Some(excluded) =
            select.as_ref().and_then(|it| syncs.iter().find(|sync| it.exclude.contains(&sync.id)))
        {
            let key = if excluded.kind == SyncKind::Model { "syncs" } else { "bulk_syncs" };
            let message = format!("`{}` is in `{key}` and in `exclude`", excluded.id);
            self.source.error(exclude_at, message, "remove one: a sync that is named is not excluded");
            return None;
        }
        let times = Times::new(start?, end?, dates?, zone?, self.now);
        let times = times.map_err(|error| places.note(&error, self.source)).ok()?;
        let window = Window {
            name: name?,
            times,
            lead: TimeDelta::from_std(lead).unwrap_or_default(),
            syncs,
            on_manual_resume: on_manual_resume.unwrap_or_default(),
            description,
            longer: None,
            select,
            runs: runs?,
        };
        if let Err(error) = window.check_lead(self.now) {
            note(&error, lead_at, self.source);
            return None;
        }
        Some(Placed { window, at: header })
    }

    /// What it asks about executions. None if an error was noted.
    fn runs(&self, table: &mut Table<'_>) -> Option<RunPolicy> {
        let at = table.place_of("on_running");
        let words = [OnRunning::Leave, OnRunning::Wait, OnRunning::Cancel].map(|it| (it.as_str(), it));
        let on_running = table.word("on_running", &words);
        let catch_up = table.word("catch_up", &[("none", false), ("missed", true)]);
        let limit = table.duration("on_running_limit", SHORTEST_LIMIT..=LONGEST_LIMIT);
        if on_running == Some(OnRunning::Leave) && table.has("bulk_syncs") {
            self.source.error(
                at,
                "`on_running = \"leave\"` cannot be kept for bulk syncs: when one is switched off, Polytomic \
                 itself cancels its execution",
                "write `wait` or `cancel`, or give the bulk syncs a window of their own",
            );
            return None;
        }
        let limit = limit.map_or(DEFAULT_LIMIT, Spanned::into_inner);
        Some(RunPolicy { on_running, limit, catch_up: catch_up.unwrap_or_default() })
    }

    fn name(&self, table: &mut Table<'_>, lines: &mut HashMap<Name, usize>) -> Option<Name> {
        if !table.has("name") {
            table.any("name");
            table.missing("name", "write `name = \"…\"`: log, page and journal tell windows by it");
            return None;
        }
        let name = table.parsed("name", |text| name_of("a window", text))?;
        let line = self.source.line_of(name.span().start) + 1;
        if let Some(first) = lines.insert(name.get_ref().clone(), line) {
            self.source.error(
                name.span(),
                format!("a window `{}` is there already, in line {first}", name.get_ref()),
                "give each window a name of its own",
            );
            return None;
        }
        Some(name.into_inner())
    }

    fn zone(&self, table: &mut Table<'_>) -> Option<Zone> {
        if let Some(name) = table.text("timezone") {
            return self.zones.zone(&name, self.source);
        }
        if !table.has("timezone") && !self.zones.is_written {
            table.missing(
                "timezone",
                "write `timezone = \"Europe/Amsterdam\"` here, or once at the top of the file: UTC is never assumed",
            );
        }
        self.zones.default().filter(|_| !table.has("timezone"))
    }

    /// The syncs, none of them twice. None if an error was noted.
    fn syncs(&self, table: &mut Table<'_>, organization: Option<Name>) -> Option<BTreeSet<SyncRef>> {
        let mut seen = HashMap::new();
        let mut syncs = BTreeSet::new();
        let mut is_whole = true;
        for (key, kind) in [("syncs", SyncKind::Model), ("bulk_syncs", SyncKind::Bulk)] {
            let list = table.list(key, "\"248df4b7-aa70-47b8-a036-33ac447e668d\"");
            is_whole &= list.is_some() || !table.has(key);
            for value in list.map(Spanned::into_inner).unwrap_or_default() {
                match self.sync(key, value, &mut seen) {
                    Some(id) => {
                        let organization = organization.clone().unwrap_or_else(|| Name::from(""));
                        syncs.insert(SyncRef::new(organization, kind, id));
                    }
                    None => is_whole = false,
                }
            }
        }
        if is_whole && syncs.is_empty() && !table.has("select") {
            let at = if table.has("syncs") { table.place_of("syncs") } else { table.place_of("bulk_syncs") };
            let mend =
                "write `syncs = [\"…\"]` for model syncs, `bulk_syncs = [\"…\"]` for bulk syncs, or `select`";
            self.source.absent(at, "the window has nothing to pause", mend);
            return None;
        }
        organization.filter(|_| is_whole && (!syncs.is_empty() || table.has("select"))).map(|_| syncs)
    }

    fn sync(
        &self,
        key: &'static str,
        value: Value<'_>,
        seen: &mut HashMap<Uuid, &'static str>,
    ) -> Option<Uuid> {
        let DeValue::String(text) = value.get_ref() else {
            let mend = "write ids as texts: `[\"248df4b7-aa70-47b8-a036-33ac447e668d\"]`";
            wrong_type(self.source, key, value, "a list of ids", mend);
            return None;
        };
        let id = match id(text) {
            Ok(id) => id,
            Err((message, mend)) => {
                self.source.error(value.span(), message, mend);
                return None;
            }
        };
        match seen.insert(id, key) {
            None => Some(id),
            Some(before) if before == key => {
                self.source.error(value.span(), format!("`{id}` is in `{key}` twice"), "remove one");
                None
            }
            Some(before) => {
                let message = format!("`{id}` is in `{before}` and in `{key}`");
                self.source.error(
                    value.span(),
                    message,
                    "a sync is either a model sync or a bulk sync: remove one",
                );
                None
            }
        }
    }
}

/// The domain's errors say what is wrong and, after a semicolon, what to do.
pub(super) fn note(error: &impl std::error::Error, at: Range<usize>, source: &Source<'_>) {
    let text = error.to_string();
    let (problem, mend) = text.split_once("; ").unwrap_or((&text, ""));
    source.error(at, problem, mend);
}

/// An id as Polytomic writes it, in either case.
pub(super) fn id(text: &str) -> Result<Uuid, (String, String)> {
    Uuid::parse_str(text).ok().filter(|_| text.len() == 36).ok_or_else(|| {
        let mend = "write the id from the sync's address, such as `248df4b7-aa70-47b8-a036-33ac447e668d`";
        (format!("{} is no id", quote(text)), mend.to_owned())
    })
}

fn description(text: &str) -> Result<String, (String, String)> {
    if text.chars().count() > LONGEST_DESCRIPTION {
        let mend = format!("write at most {LONGEST_DESCRIPTION} characters");
        return Err(("`description` is too long".to_owned(), mend));
    }
    if text.chars().any(char::is_control) {
        return Err((
            "`description` must be one line".to_owned(),
            "write it without line breaks and tabs".to_owned(),
        ));
    }
    Ok(text.to_owned())
}
