//! Tests from the outside, one module for each thing that is promised.

mod architecture;
mod chance;
mod cli;
mod config;
mod daemon;
mod faults;
mod ledger;
mod pages;
mod schedule;
mod secrets;
mod simulation;
mod simulator;
mod skipped;
mod unit;
