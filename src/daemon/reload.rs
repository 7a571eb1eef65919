//! Reading the configuration again, and putting it into force whole or not at
//! all.

use std::path::Path;

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use crate::config::{self, Config, Context, Diagnostic, Rejected, Unadvised};
use crate::domain::event::{Event, EventKind};
use crate::domain::sync::counted;
use crate::key;
use crate::systemd;
use crate::tzdb::{NoZoneData, Tzdb};
use crate::web::api::{Refusal, Reloaded};

use super::Daemon;
use super::start::{ControlSocket, socket_path, tzdir};

/// Why no configuration can come into force.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLoaded {
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] Rejected),
    /// `TZDIR` leads nowhere.
    #[error(transparent)]
    Zones(#[from] NoZoneData),
}

impl NotLoaded {
    /// All that is wrong, in one line of the journal.
    pub(super) fn in_a_line(&self) -> String {
        let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
        self.each().into_iter().map(first_line).take(MOST_IN_A_LINE).collect::<Vec<_>>().join("; ")
    }

    /// All that is wrong, one by one.
    fn each(&self) -> Vec<String> {
        match self {
            Self::File(rejected) => rejected.diagnostics().iter().map(|it| it.render(false)).collect(),
            Self::Zones(error) => vec![error.to_string()],
        }
    }
}

/// Reads the file as it is now, with the time zone data as they are now. A key
/// that is not to be had is as wrong as anything else in it.
pub(super) fn load(path: &Path, now: DateTime<Utc>) -> Result<(Config, Tzdb), NotLoaded> {
    let (mut config, unadvised, tzdb) = load_unadvised(path, now)?;
    unadvised.advise(&mut config);
    Ok((config, tzdb))
}

/// The same, and what may surprise is told later.
pub(super) fn load_unadvised(
    path: &Path,
    now: DateTime<Utc>,
) -> Result<(Config, Unadvised, Tzdb), NotLoaded> {
    let tzdb = Tzdb::load(tzdir().as_deref())?;
    let context = Context { now, tzdb: &tzdb, environment: &key::process_environment };
    let (config, unadvised) = config::load_unadvised(path, &context)?;
    Ok((config.with_all_keys()?, unadvised, tzdb))
}

/// More than so many errors do not fit into a line.
const MOST_IN_A_LINE: usize = 5;

/// What came into force, in a few words.
pub(super) fn describe(config: &Config) -> String {
    format!("{}, fingerprint {}", reloaded(config, vec![]).in_words(), config.fingerprint)
}

fn reloaded(config: &Config, warnings: Vec<String>) -> Reloaded {
    Reloaded {
        windows: config.calendar.windows().len(),
        syncs: config.calendar.syncs().count(),
        selecting: config.calendar.selecting().count(),
        warnings,
    }
}

/// Logs what deserves a second look, a line each.
pub(super) fn warn_of(warnings: &[Diagnostic]) {
    for warning in warnings {
        let rendered = warning.render(false);
        warn!("{}", rendered.lines().next().unwrap_or_default());
    }
}

impl Daemon {
    /// Tells what may surprise about the file that a start has put into force: nobody
    /// waits for that.
    pub(super) fn advise(&mut self) {
        if let Some((unadvised, config)) = self.unadvised.take().zip(self.config.as_mut()) {
            warn_of(&unadvised.advise(config));
        }
    }

    /// Reads the file again. What is wrong with it changes nothing that is in
    /// force, except that what was refused before is tried again at once.
    pub(super) fn reload(&mut self) -> Result<Reloaded, Refusal> {
        systemd::reloading();
        let outcome = self.try_reload();
        systemd::ready(&self.headline());
        outcome
    }

    fn try_reload(&mut self) -> Result<Reloaded, Refusal> {
        match load(&self.start.config, self.clock.now().wall) {
            Ok((config, tzdb)) => {
                self.tzdb = Some(tzdb.to_string());
                warn_of(&config.warnings);
                let mut warnings: Vec<String> = config.warnings.iter().map(|it| it.render(false)).collect();
                warnings.extend(self.move_with(&config).inspect(|told| warn!("{told}")));
                let mut reloaded = reloaded(&config, warnings);
                let detail = Some(describe(&config));
                self.journal(Event { detail, ..Event::new(EventKind::ConfigLoaded) });
                self.bring_into_force(config);
                reloaded.warnings.extend(self.warn_of_left_behind());
                Ok(reloaded)
            }
            Err(rejected) => {
                let error = rejected.to_string();
                if self.config_error.as_ref() != Some(&error) {
                    let error = Some(rejected.in_a_line());
                    self.journal(Event { error, ..Event::new(EventKind::ConfigRejected) });
                }
                self.config_error = Some(error);
                self.executor.renew_keys();
                self.reconciler.retry_now();
                Err(Refusal::ConfigRejected { errors: rejected.each() })
            }
        }
    }

    /// Serves what the new file wants to have elsewhere, and says what stays where it was.
    fn move_with(&mut self, config: &Config) -> impl Iterator<Item = String> + use<> {
        let (socket, page) = if self.start.serve {
            (self.move_socket(config), self.listen(config.web.listen))
        } else {
            (Ok(()), Ok(()))
        };
        // What is taken is no reason to keep windows from coming into force.
        let socket = socket.err().map(|error| {
            format!("the control socket stays where it was: could not open the new one: {error}")
        });
        let page = page.err().map(|error| {
            format!("the status page stays where it was: could not open the new address: {error}")
        });
        [self.warn_of_moved_ledger(config), socket, page].into_iter().flatten()
    }

    fn move_socket(&mut self, config: &Config) -> std::io::Result<()> {
        let path = socket_path(&self.start.config, Some(config), &self.ledger_path);
        if self.socket.as_ref().is_some_and(|it| it.path() == path) {
            return Ok(());
        }
        self.socket = Some(ControlSocket::open(&path, self.asks_by.clone())?);
        info!("The control socket is `{}`", path.display());
        Ok(())
    }

    /// What is paused where the file does not look any more: it is resumed there, with the
    /// key that is named there, or never.
    pub(super) fn warn_of_left_behind(&self) -> Option<String> {
        let (hold, new) = self.reconciler.left_behind().next()?;
        let old = &hold.organization;
        let places = if old.url == new.url {
            "for another `organization_id`".to_owned()
        } else {
            format!("at {}, and the file has {} now", old.url, new.url)
        };
        let are = match self.reconciler.left_behind().count() {
            1 => "1 sync is".to_owned(),
            count => format!("{count} syncs are"),
        };
        let told = format!(
            "{are} of organization `{}` paused {places}: what was paused there is resumed there. If that place is \
             no more, switch them on by hand and drop their rows with `intermission forget`",
            old.name
        );
        warn!("{told}");
        Some(told)
    }

    /// The next start looks for what is held in another file.
    fn warn_of_moved_ledger(&self, config: &Config) -> Option<String> {
        let (old, new) = (&self.ledger_path, self.start.ledger_path(Some(config)));
        if *old == new {
            return None;
        }
        let (old, new) = (old.display(), new.display());
        let rows = self.reconciler.holds().count();
        Some(match rows {
            0 => format!("the ledger stays `{old}` until the next start, which takes `{new}`"),
            _ => format!(
                "the next start takes the ledger `{new}`, and would leave {} paused, or forget what was \
                 decided about them: stop the daemon and move `{old}` there before",
                counted(rows)
            ),
        })
    }
}
