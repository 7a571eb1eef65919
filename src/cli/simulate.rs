//! `simulate`: the file's own windows in fast time, with a simulated Polytomic,
//! faults and people: what happened, what was late, and whether a promise broke.

mod course;
mod telling;
mod tour;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};

use super::file::{self, Read};
use super::{Exit, Failure, Format, FormatArgument, Global, Outcome, screen, times};
use crate::reconcile::RELEASED;
use course::Course;
use tour::Leg;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// From when, in place of the tour: `2027-03-27 22:00` in the file's zone, RFC 3339, `now`
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME", conflicts_with = "days")]
    until: Option<String>,
    /// Or for how many days [default, if anything of this is said: 14]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=400))]
    days: Option<u16>,
    /// How much goes wrong
    #[arg(long, value_name = "HOW MANY", default_value = "none")]
    faults: Faults,
    /// The same number, file and day give the same answer
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    format: FormatArgument,
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Faults {
    /// Nothing
    None,
    /// One request in twenty fails in some way, the daemon is killed now and then, people switch syncs
    Some,
    /// One in three, and an organization is down for hours, and clocks are set
    Many,
}

/// How long a simulation is unless it is said.
const DAYS: u16 = 14;

pub(super) fn run(global: &Global, arguments: &Arguments) -> Outcome {
    let read = file::read_with_selected(global)?;
    let tour = tour(arguments, &read)?;
    let courses: Vec<Course> = (arguments.seed..)
        .zip(&tour.legs)
        .map(|(seed, leg)| Course::of(&read.config, leg, arguments.faults, seed))
        .collect();
    match arguments.format.format {
        Format::Json => screen::say_json(&telling::json(arguments, &read, &tour, &courses))?,
        Format::Table => screen::say(&telling::text(arguments, &read, &tour, &courses))?,
    }
    let is_kept = courses.iter().all(|it| it.broken.is_none());
    Ok(if is_kept { Exit::Success } else { Exit::Failed })
}

/// The span that was asked for, or the nights that matter.
fn tour(arguments: &Arguments, read: &Read) -> Result<tour::Tour, Failure> {
    let Arguments { from, until, days, .. } = arguments;
    if from.is_none() && until.is_none() && days.is_none() {
        return Ok(tour::nights(&read.config.calendar, read.now));
    }
    let zone = read.zone();
    let time = |option: &str, text: &Option<String>, otherwise: DateTime<Utc>| match text.as_deref() {
        None | Some("now") => Ok(otherwise),
        Some(text) => times::parse_and_echo(option, text, &zone, read.now),
    };
    let from = time("--from", from, read.now)?;
    let until = time("--until", until, from + TimeDelta::days(days.unwrap_or(DAYS).into()))?;
    if until <= from {
        return Err(Failure::Usage("the end of the span has to come after its start".to_owned()));
    }
    if until - from > TimeDelta::days(400) {
        return Err(Failure::Usage("no more than 400 days can be simulated at once".to_owned()));
    }
    if from < RELEASED {
        let date = RELEASED.format("%Y-%m-%d");
        return Err(Failure::Usage(format!(
            "a clock from before this release is taken for wrong, and nothing is paused by it: start at {date} or later"
        )));
    }
    Ok(tour::Tour { legs: vec![Leg { from, until, about: vec![] }], left_out: 0 })
}
