//! `pause`: an operator's pause, now or later. It always ends, and needs a reason.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::completions::candidates;
use super::ordered;
use super::socket::Socket;
use super::{FormatArgument, Global, Kind, Outcome, block_on, file, times};
use crate::clock;
use crate::web::api::PauseRequest;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["syncs", "window"]))]
#[command(group = ArgGroup::new("end").required(true).args(["length", "until"]))]
pub(super) struct Arguments {
    /// Ids, `organization/id`s or names that only one sync has
    #[arg(value_name = "SYNC", add = candidates::syncs())]
    syncs: Vec<String>,
    /// All syncs of this window, whether it is open or not
    #[arg(long, value_name = "NAME", add = candidates::windows())]
    window: Option<String>,
    /// For how long
    #[arg(long = "for", value_name = "DURATION", value_parser = times::parse_duration)]
    length: Option<Duration>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// From when on, if not from now
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Why: for whoever wonders in the night
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What it is, for a sync that no window names and that is given by its id
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let (zone, now) = (file::zone(global), clock::wall());
    let time = |option, text: &Option<String>| {
        text.as_ref().map(|text| times::parse_and_echo(option, text, &zone, now)).transpose()
    };
    let request = PauseRequest {
        syncs: arguments.syncs.clone(),
        window: arguments.window.clone(),
        kind: arguments.kind.map(Into::into),
        from: time("--from", &arguments.from)?,
        until: time("--until", &arguments.until)?,
        seconds: arguments.length.map(|it| it.as_secs()),
        reason: arguments.reason.clone(),
    };
    let ordered = block_on(socket.pause(&request))?;
    ordered::say(&ordered, arguments.format.format, &zone)
}
