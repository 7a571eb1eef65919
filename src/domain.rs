//! What the product is about, decided without touching the world.
//!
//! Nothing here does I/O, reads a clock, awaits, logs or rolls dice: time and
//! randomness are arguments. A test holds this (`tests/it/architecture.rs`).

pub mod sync;

pub mod organization;

pub mod execution;

pub mod schedule;

pub mod zone;

pub mod selection;

pub mod window;

pub mod operator;

pub mod calendar;

pub mod advice;

pub mod outlook;

pub mod diff;

pub mod moment;

pub mod hold;

pub mod event;

pub mod owed;

pub mod backoff;

pub mod verdict;

pub mod plan;

pub mod watch;

pub mod notice;

pub mod preflight;

pub mod report;
