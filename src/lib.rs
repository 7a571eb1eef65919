//! intermission keeps maintenance windows for Polytomic syncs.
//!
//! The map, one line a module, in reading order. ARCHITECTURE.md tells the way
//! through.

// DECIDES: windows, holds, plans. Pure.
pub mod domain;

// Finds the time zone data: the newer of the system's and the bundled copy.
pub mod tzdb;

// The file `intermission.toml`: text to a `Config`, all errors at once.
pub mod config;

// Reads API keys from where the configuration says they are.
pub mod key;

// The one place that reads time.
pub mod clock;

// REMEMBERS: the durable ledger of holds, and the journal.
pub mod ledger;

// ACTS: the client of Polytomic's HTTP API.
pub mod polytomic;

// ONE PASS: what is known, what the plan says, what is to be done next.
pub mod reconcile;

// RUNS: wake, reload, pass, sleep, shut down.
pub mod daemon;

// TELLS PEOPLE: webhooks and the heartbeat.
pub mod notify;

// COUNTS: events, requests and passes, for Prometheus.
pub mod metrics;

// SHOWS: the control socket, the HTTP API and the status page.
pub mod web;

// Speaks to the service manager: ready, reloading, stopping, status, watchdog.
pub mod systemd;

// A simulated Polytomic, with faults, over HTTP.
pub mod simulator;

// The daemon in simulated time, with faults, people and a judge.
pub mod simulation;

// ASKS: the command line.
pub mod cli;
