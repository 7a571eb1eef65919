//! Noise: inputs with a few things done to them, the same for the same seed.

use fastrand::Rng;

/// No input is longer.
const LONGEST: usize = 32 * 1024;

/// What parsers stumble over.
const NASTY: &[&[u8]] = &[
    b"\0",
    b"\x1b[31m",
    b"\x7f",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\t",
    b"\xff",
    b"\xf0\x9f\xa6",
    "\u{feff}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{a0}".as_bytes(),
    "é".as_bytes(),
    "🦀".as_bytes(),
    "İ".as_bytes(),
    "\u{2028}".as_bytes(),
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"'",
    b"\"\"\"",
    b"'''",
    b"[[",
    b"]]",
    b"{",
    b"}",
    b"=",
    b",",
    b":",
    b"/",
    b"-",
    b"+",
    b"*",
    b"#",
    b"&",
    b"%",
    b"null",
    b"true",
    b"false",
    b"[]",
    b"{}",
    b"-0",
    b"1e999",
    b"nan",
    b"inf",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:60Z",
    b"404",
    b"\"data\":",
    b"\"active\":true",
    b"api_key = \"hush\"",
    b"://me:hush@",
    b"syncs = [\"*\"]",
    b"duration = \"31d\"",
    b"29 2",
    b"JAN",
    b"SUN",
];

/// The noise of this seed, from one of the inputs or several. Words are put in that
/// mean something there.
pub(super) fn of(inputs: &[Vec<u8>], words: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let mut input = rng.choice(inputs).expect("a corpus is not empty").clone();
    for _ in 0..=rng.usize(..6) {
        change(&mut input, inputs, words, &mut rng);
        input.truncate(LONGEST);
    }
    input
}

fn change(input: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    let end = rng.usize(at..=input.len().min(at + 40));
    match rng.u8(..if words.is_empty() { 9 } else { 12 }) {
        0 => drop(input.drain(at..end)),
        1 => input.truncate(at),
        2 => insert(input, at, rng.choice(NASTY).expect("there are some")),
        3 => input[at..end].fill_with(|| rng.u8(..)),
        4 => input[at..end].reverse(),
        // Some of it again, now and then very often.
        5 => {
            let most = if rng.u8(..8) == 0 { 2000 } else { 4 };
            let again = input[at..end].repeat(rng.usize(1..most));
            insert(input, at, &again);
        }
        // The rest of another one.
        6 => {
            let other = rng.choice(inputs).expect("a corpus is not empty");
            input.truncate(at);
            input.extend(&other[rng.usize(..=other.len())..]);
        }
        // A line of another one.
        7 => {
            let other = rng.choice(inputs).expect("a corpus is not empty");
            let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
            if let Some(line) = rng.choice(lines) {
                let start = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |it| it + 1);
                insert(input, start, line);
            }
        }
        // There are words.
        9.. => {
            let word = rng.choice(words).expect("there are some");
            insert(input, at, word);
        }
        8 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, what: &[u8]) {
    drop(input.splice(at..at, what.iter().copied()));
}
