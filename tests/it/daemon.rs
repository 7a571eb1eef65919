//! The daemon as it is run: a process beside a simulated Polytomic, judged by
//! what the API wrote down.

mod browser;
mod crash;
mod edit;
mod executions;
mod glass;
mod lessons;
mod night;
mod notices;
mod notify;
mod operator;
mod orders;
mod organizations;
mod people;
mod preflight;
mod select;
mod window;
