//! The configuration file and the ledger, for commands that only read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};

use super::failure::Failure;
use super::table::count;
use super::{Global, screen, times};
use crate::config::{self, Config, Context, Rejected};
use crate::daemon;
use crate::domain::operator::Order;
use crate::domain::selection::Resolution;
use crate::domain::sync::{Name, SyncRef};
use crate::domain::zone::Zone;
use crate::ledger::{Contents, Store};
use crate::tzdb::Tzdb;
use crate::{clock, key};

/// A file as it is now.
pub(super) struct Read {
    pub(super) config: Config,
    pub(super) tzdb: Tzdb,
    pub(super) now: DateTime<Utc>,
}

/// Reads the file. Its warnings are for `check`, and who asks nobody needs no
/// keys.
pub(super) fn read(global: &Global) -> Result<Read, Failure> {
    read_and(global, |read| read.map_err(Rejected::without_keys))
}

/// Reads the file, and adds to its windows what operators asked for, as far as
/// the ledger can be read: what the daemon has in force.
pub(super) fn read_with_orders(global: &Global) -> Result<Read, Failure> {
    let mut read = read(global)?;
    let contents = remembered(global);
    select(&mut read, contents.selections);
    add_orders(&mut read, &contents.orders);
    Ok(read)
}

/// Adds what operators asked for.
pub(super) fn add_orders(read: &mut Read, orders: &[Order]) {
    if orders.iter().any(|it| read.now < it.until) {
        read.config.calendar = read.config.calendar.with_orders(orders);
        screen::note("with what operators asked for, as the ledger has it");
    }
}

/// Reads the file, and adds to its windows what they were last found to select,
/// as far as the ledger can be read.
pub(super) fn read_with_selected(global: &Global) -> Result<Read, Failure> {
    let mut read = read(global)?;
    select(&mut read, remembered(global).selections);
    Ok(read)
}

/// The syncs that are paused by us, or may be, as far as the ledger can be read.
pub(super) fn held(global: &Global) -> BTreeSet<SyncRef> {
    let holds = remembered(global).holds.into_iter();
    holds.filter(|it| it.state.owes_resume()).map(|it| it.sync).collect()
}

/// What windows were last found to select, as far as the ledger can be read.
pub(super) fn found(global: &Global) -> BTreeMap<Name, Resolution> {
    by_window(remembered(global).selections)
}

pub(super) fn by_window(selections: Vec<Resolution>) -> BTreeMap<Name, Resolution> {
    selections.into_iter().map(|it| (it.window.clone(), it)).collect()
}

/// What the ledger remembers, as far as it can be read.
fn remembered(global: &Global) -> Contents {
    ledger(global).ok().and_then(|store| store.contents().ok()).unwrap_or_default()
}

/// Reads the file as the daemon does: without its keys it is wrong.
pub(super) fn read_with_keys(global: &Global) -> Result<Read, Failure> {
    read_and(global, |read| read.and_then(Config::with_all_keys))
}

fn read_and(
    global: &Global,
    then: fn(Result<Config, Rejected>) -> Result<Config, Rejected>,
) -> Result<Read, Failure> {
    let now = clock::wall();
    let tzdb = Tzdb::load(daemon::tzdir().as_deref())?;
    let context = Context { now, tzdb: &tzdb, environment: &key::process_environment };
    let config = then(config::load(&global.config, &context))
        .map_err(|rejected| Failure::Config { rendered: rejected.render(screen::colors_stderr()) })?;
    Ok(Read { config, tzdb, now })
}

/// Another file, read at the same moment and with the same zones. Nobody is
/// asked, so it needs no keys either.
pub(super) fn read_another(path: &Path, like: &Read) -> Result<Config, Failure> {
    let context = Context { now: like.now, tzdb: &like.tzdb, environment: &key::process_environment };
    config::load(path, &context)
        .map_err(Rejected::without_keys)
        .map_err(|rejected| Failure::Config { rendered: rejected.render(screen::colors_stderr()) })
}

/// Adds to the windows what they were last found to select, and says of when that is.
fn select(read: &mut Read, found: Vec<Resolution>) {
    let found = by_window(found);
    for (window, select) in read.config.calendar.selecting() {
        let known = found.get(&window.name).filter(|it| it.fingerprint == select.fingerprint());
        screen::note(&match known {
            Some(it) => format!(
                "`{}` selects {}, as the ledger has it since {}",
                window.name,
                count(it.found.len(), "sync"),
                times::show(it.at, window.times.zone())
            ),
            None => format!(
                "what `{}` selects is not in the ledger and is not counted: a daemon writes it there, \
                 `intermission check --online` only shows it",
                window.name
            ),
        });
    }
    read.config.calendar = read.config.calendar.with_selected(&found);
}

/// The file's zone, for showing times: the daemon's answer does not depend on
/// it, so a file in which it cannot be found only costs the reader some counting.
pub(super) fn zone(global: &Global) -> Zone {
    read(global).map_or_else(|_| zone_of_broken(global).unwrap_or_else(Zone::utc), |it| it.zone())
}

fn zone_of_broken(global: &Global) -> Option<Zone> {
    let text = std::fs::read_to_string(&global.config).ok()?;
    let name = config::timezone_leniently(&text)?;
    Tzdb::load(daemon::tzdir().as_deref()).ok()?.zone(&name).ok()
}

/// The ledger, beside a daemon that writes it or after one that died.
pub(super) fn ledger(global: &Global) -> Result<Store, Failure> {
    Ok(Store::read_only(&daemon::ledger_path(global.state.as_deref(), &global.config, None))?)
}

impl Read {
    /// The zone in which times without one are meant.
    pub(super) fn zone(&self) -> Zone {
        let windows = self.config.calendar.windows();
        self.config
            .timezone
            .clone()
            .or_else(|| windows.first().map(|it| it.times.zone().clone()))
            .unwrap_or_else(Zone::utc)
    }
}
