//! `exempt`: windows do not touch syncs for a time.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::completions::candidates;
use super::ordered;
use super::socket::Socket;
use super::{FormatArgument, Global, Outcome, block_on, file, times};
use crate::clock;
use crate::web::api::ExemptRequest;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["syncs", "all"]))]
#[command(group = ArgGroup::new("how").required(true).args(["length", "until", "end"]))]
pub(super) struct Arguments {
    /// Ids, `organization/id`s or names that only one sync has
    #[arg(value_name = "SYNC", add = candidates::syncs())]
    syncs: Vec<String>,
    /// All syncs, those too that are not known yet
    #[arg(long)]
    all: bool,
    /// For how long
    #[arg(long = "for", value_name = "DURATION", value_parser = times::parse_duration)]
    length: Option<Duration>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End an exemption: windows count again, from now on
    #[arg(long)]
    end: bool,
    /// Why: for whoever wonders in the night
    #[arg(long, value_name = "TEXT", required_unless_present = "end", conflicts_with = "end")]
    reason: Option<String>,
    #[command(flatten)]
    format: FormatArgument,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let socket = Socket::of(global)?;
    let zone = file::zone(global);
    let until = arguments.until.as_ref();
    let until = until.map(|text| times::parse_and_echo("--until", text, &zone, clock::wall())).transpose()?;
    let request = ExemptRequest {
        syncs: arguments.syncs.clone(),
        all: arguments.all,
        until,
        seconds: arguments.length.map(|it| it.as_secs()),
        end: arguments.end,
        reason: arguments.reason.clone().unwrap_or_default(),
    };
    let ordered = block_on(socket.exempt(&request))?;
    let format = arguments.format.format;
    if arguments.all {
        ordered::say_of(&ordered, "all syncs", format, &zone)
    } else {
        ordered::say(&ordered, format, &zone)
    }
}
