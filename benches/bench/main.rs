//! How fast the daemon is, as ratios against others in the same run.
//!
//! `cargo bench --bench bench -- boundary`, or `just bench boundary`. The daemon is
//! the real binary, the simulated Polytomic is a process of its own, and so is
//! each peer. What the figures were on one machine stands in `docs/performance.md`.

#![allow(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]
#![allow(clippy::cast_precision_loss, reason = "the figures are small")]

mod boundary;
mod daemon;
mod far;
mod growth;
mod idle;
mod limits;
mod peers;
mod simulator;
mod start;
mod table;
#[path = "../../tests/it/tls.rs"]
mod tls;

use std::process::ExitCode;

const BENCHES: &[(&str, fn())] = &[
    ("boundary", boundary::run),
    ("http2", boundary::run_secured),
    ("latency", boundary::run_far_away),
    ("tls", far::run),
    ("limits", limits::run),
    ("organizations", limits::run_two),
    ("idle", idle::run),
    ("start", start::run),
    ("growth", growth::run),
];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // Roles of this program that a bench starts as processes of their own.
        ["serve", syncs, latency, speaks] => {
            simulator::serve(number(syncs), number(latency), speaks.parse().expect("a known word"));
        }
        ["far", server] => far::stand_before(server),
        ["blind", url, kind, count, parallel] => peers::blind(url, kind, number(count), number(parallel)),
        [name] if BENCHES.iter().any(|it| it.0 == name) => {
            BENCHES.iter().filter(|it| it.0 == name).for_each(|it| it.1());
        }
        _ => {
            let names: Vec<_> = BENCHES.iter().map(|it| it.0).collect();
            eprintln!("Say which one: cargo bench --bench bench -- {}", names.join("|"));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How often each measurement is made; `INTERMISSION_BENCH_RUNS` says otherwise.
fn runs() -> usize {
    std::env::var("INTERMISSION_BENCH_RUNS").ok().map_or(5, |it| number(&it))
}
