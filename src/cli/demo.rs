//! `demo`: the real daemon at work on a simulated Polytomic, with windows of
//! seconds. No account, no file; nothing leaves this machine.

mod cast;
mod home;
mod verdict;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use rustix::process::{Signal, getpid, kill_process};

use super::logging::{self, LogFormat};
use super::{Exit, Failure, Outcome, block_on, screen, times};
use crate::clock;
use crate::daemon::{Signals, Start};
use crate::simulator::{Server, World};

use cast::Cast;
use home::Home;
use verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// End after so long, with 0 if every sync is as it should be [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: Option<Duration>,
}

/// The first windows take this long, unless there is less time.
const FIRST_ROUND: TimeDelta = TimeDelta::seconds(22);

/// Pauses and resumes want some time between them to be seen.
const SHORTEST: Duration = Duration::from_secs(5);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = times::parse_duration(text)?;
    if duration < SHORTEST { Err("the first windows take at least 5s".to_owned()) } else { Ok(duration) }
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    let home = Home::make()?;
    let log = logging::start(LogFormat::Text, "info")?;
    let ended = block_on(play(&home, arguments.length));
    // The last lines of the log come before the summary.
    drop(log);
    let verdict = ended?;
    screen::say(&verdict.table())?;
    screen::say(&verdict.sentence())?;
    Ok(if arguments.length.is_some() && !verdict.is_good() { Exit::Failed } else { Exit::Success })
}

async fn play(home: &Home, length: Option<Duration>) -> Result<Verdict, Failure> {
    let began = clock::wall();
    let pace = Pace::of(began, length);
    let (world, cast) = cast::assemble(began);
    let world = Arc::new(Mutex::new(world));
    let server = Server::bind("127.0.0.1:0", Arc::clone(&world), Arc::new(clock::wall))
        .await
        .map_err(|source| Failure::Io { doing: "start the simulated Polytomic", source })?;
    home.furnish(&cast::config(&server.url(), home, &cast, &pace, length.is_none()), cast::KEY)?;
    introduce(&cast, &pace, &server.url(), &home.config(), length)?;

    tokio::spawn(meddle(Arc::clone(&world), cast.clone(), pace.at(9)));
    if let Some(length) = length {
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            // As Ctrl-C would: the daemon comes to an orderly end.
            let _ = kill_process(getpid(), Signal::INT);
        });
    }
    let start = Start { config: home.config(), state: Some(home.ledger()), serve: true };
    let signals = Signals::listen().map_err(|source| Failure::Io { doing: "listen to signals", source })?;
    let daemon = start.open()?;
    if let Some(address) = daemon.page() {
        screen::say(&format!("Status page: http://{address}/\n"))?;
    }
    daemon.run(signals).await?;
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Verdict::of(&world, &cast, began))
}

/// A person switches a sync on in the middle of a window.
async fn meddle(world: Arc<Mutex<World>>, cast: Cast, at: DateTime<Utc>) {
    tokio::time::sleep((at - clock::wall()).to_std().unwrap_or_default()).await;
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    // The sync is there: it was put there, and nobody deletes one here.
    let _ = world.person_sets(clock::wall(), cast.meddled_with.id, true, cast::MEDDLER);
}

/// When the first windows open and close.
struct Pace {
    began: DateTime<Utc>,
    // How long a second of the script takes.
    second: TimeDelta,
}

impl Pace {
    fn of(began: DateTime<Utc>, length: Option<Duration>) -> Self {
        let length =
            length.and_then(|it| TimeDelta::from_std(it).ok()).unwrap_or(FIRST_ROUND).min(FIRST_ROUND);
        Self { began, second: length / i32::try_from(FIRST_ROUND.num_seconds()).unwrap_or(1) }
    }

    /// So many seconds of the script after the beginning.
    fn at(&self, seconds: i32) -> DateTime<Utc> {
        self.began + self.second * seconds
    }
}

fn introduce(
    cast: &Cast,
    pace: &Pace,
    url: &str,
    config: &Path,
    length: Option<Duration>,
) -> Result<(), Failure> {
    let in_seconds = |seconds: i32| times::span(pace.at(seconds) - pace.began);
    let names = |syncs: Vec<&str>| syncs.join(", ");
    let end = match length {
        Some(_) => String::new(),
        None => format!(
            "\n  then `{}` pauses one of them at every full minute, until Ctrl-C.\n  In another terminal: intermission status --config {}",
            cast::EVERY_MINUTE,
            config.display()
        ),
    };
    screen::say(&format!(
        "A simulated Polytomic listens on {url}. What will happen:\n  \
         in {}, `{}` pauses {} for {}; {} is off already, and is to stay off;\n  \
         in {}, `{}` opens beside it, and holds {} for longer;\n  \
         in {}, {} switches {} on by hand, and it is to stay on.{end}\n",
        in_seconds(cast::NIGHTLY.0),
        cast::NIGHTLY_LOAD,
        names(cast.nightly().iter().map(|it| it.name.as_str()).collect()),
        times::span(pace.at(cast::NIGHTLY.1) - pace.at(cast::NIGHTLY.0)),
        cast.off_before.name,
        in_seconds(cast::PATCHING.0),
        cast::WAREHOUSE_PATCHING,
        names(cast.patched().iter().map(|it| it.name.as_str()).collect()),
        in_seconds(9),
        cast::MEDDLER,
        cast.meddled_with.name,
    ))
}
