//! Who plays: the syncs of the demonstration, its windows, its people.

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::Pace;
use super::home::Home;
use crate::domain::sync::SyncKind;
use crate::simulator::{Fault, Operation, Rule, World, scenario};

/// Opens the simulated organization. It is no secret: the server listens on
/// the loopback interface, and forgets everything when the demonstration ends.
pub(super) const KEY: &str = "demonstration";

/// Who switches a sync on inside a window.
pub(super) const MEDDLER: &str = "Grace Hopper";

pub(super) const NIGHTLY_LOAD: &str = "nightly-load";
pub(super) const WAREHOUSE_PATCHING: &str = "warehouse-patching";
pub(super) const EVERY_MINUTE: &str = "every-minute";

/// From when to when, in seconds of the script.
pub(super) const NIGHTLY: (i32, i32) = (5, 13);
pub(super) const PATCHING: (i32, i32) = (8, 17);

/// Anything: the same demonstration each time.
const SEED: u64 = 1859;

/// A sync that plays a part.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) id: Uuid,
    pub(super) kind: SyncKind,
    pub(super) name: String,
}

/// The syncs by the part they play.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    /// Paused and resumed; its first resume meets a server that is out of order.
    pub(super) plain: Part,
    /// Somebody had switched it off long before.
    pub(super) off_before: Part,
    /// Somebody switches it on inside the window.
    pub(super) meddled_with: Part,
    /// In both windows: one pause, to the end of the later.
    pub(super) in_both: Part,
    /// In the second window alone.
    pub(super) patched: Part,
}

impl Cast {
    /// The syncs of the first window.
    pub(super) fn nightly(&self) -> [&Part; 4] {
        [&self.plain, &self.off_before, &self.meddled_with, &self.in_both]
    }

    /// The syncs of the second.
    pub(super) fn patched(&self) -> [&Part; 2] {
        [&self.in_both, &self.patched]
    }

    /// All of them.
    pub(super) fn all(&self) -> [&Part; 5] {
        [&self.plain, &self.off_before, &self.meddled_with, &self.in_both, &self.patched]
    }
}

/// A world with these syncs in it.
pub(super) fn assemble(now: DateTime<Utc>) -> (World, Cast) {
    let mut world = scenario::demo(SEED, 3, 2, KEY, now);
    let parts = |kind: SyncKind| {
        let mut parts: Vec<Part> = world
            .syncs()
            .map(|(_, it)| Part { id: it.id, kind: it.kind, name: it.name.clone() })
            .filter(|it| it.kind == kind)
            .collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        parts.into_iter()
    };
    let (mut models, mut bulks) = (parts(SyncKind::Model), parts(SyncKind::Bulk));
    let next =
        |of: &mut dyn Iterator<Item = Part>| of.next().expect("the scenario has as many as it was asked for");
    let cast = Cast {
        plain: next(&mut models),
        off_before: next(&mut models),
        meddled_with: next(&mut models),
        in_both: next(&mut bulks),
        patched: next(&mut bulks),
    };
    world.person_sets(now, cast.off_before.id, false, "Ada Lovelace").expect("the scenario made this sync");
    world.add_rule(Rule::always(Fault::status(503)).on(Operation::Resume).of(cast.plain.id).times(1));
    (world, cast)
}

/// The configuration file.
pub(super) fn config(url: &str, home: &Home, cast: &Cast, pace: &Pace, goes_on: bool) -> String {
    let mut text = format!(
        "timezone = \"UTC\"\n\n\
         [polytomic]\nurl = \"{url}\"\napi_key_file = \"{}\"\n\n\
         [retry]\ninitial = \"250ms\"\nmax = \"1s\"\n\n\
         [reconcile]\ndrift_check = \"1s\"\n\n\
         [state]\npath = \"{}\"\n\n[web]\nlisten = \"127.0.0.1:0\"\ncontrol_socket = \"{}\"\n",
        home.key().display(),
        home.ledger().display(),
        home.socket().display(),
    );
    let once = |(from, until): (i32, i32)| {
        let time = |seconds| pace.at(seconds).to_rfc3339_opts(SecondsFormat::Millis, true);
        format!("start = {}\nend = {}", time(from), time(until))
    };
    text.push_str(&window(NIGHTLY_LOAD, &once(NIGHTLY), &cast.nightly()));
    text.push_str(&window(WAREHOUSE_PATCHING, &once(PATCHING), &cast.patched()));
    if goes_on {
        text.push_str(&window(EVERY_MINUTE, "start = \"* * * * *\"\nduration = \"15s\"", &[&cast.plain]));
    }
    text
}

fn window(name: &str, times: &str, parts: &[&Part]) -> String {
    let ids = |kind: SyncKind| {
        let ids = parts.iter().filter(|it| it.kind == kind).map(|it| format!("\"{}\"", it.id));
        ids.collect::<Vec<_>>().join(", ")
    };
    let keys = [("syncs", SyncKind::Model), ("bulk_syncs", SyncKind::Bulk)]
        .into_iter()
        .filter(|(_, kind)| parts.iter().any(|it| it.kind == *kind))
        .map(|(key, kind)| format!("{key} = [{}]\n", ids(kind)));
    format!("\n[[window]]\nname = \"{name}\"\n{times}\n{}", keys.collect::<String>())
}
