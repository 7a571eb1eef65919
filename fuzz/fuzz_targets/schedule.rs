//! libFuzzer against `bodies/schedule.rs`.

#![no_main]

#[path = "../bodies/schedule.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
