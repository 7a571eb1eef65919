//! libFuzzer against `bodies/duration.rs`.

#![no_main]

#[path = "../bodies/duration.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
