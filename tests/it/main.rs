//! Tests from the outside, one module for each thing that is promised.

mod architecture;
mod chance;
mod cli;
mod config;
mod container;
mod daemon;
mod devtools;
mod faults;
mod fuzz;
mod growth;
mod ledger;
mod manual;
mod model;
mod package;
mod pages;
mod schedule;
mod schema;
mod secrets;
mod simulation;
mod simulator;
mod skipped;
mod systemd;
mod tls;
mod unit;
mod web;
