//! libFuzzer against `bodies/key.rs`.

#![no_main]

#[path = "../bodies/key.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::check(input));
