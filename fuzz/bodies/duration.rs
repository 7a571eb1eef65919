//! Any text as a duration: refused at a place that exists, or a length that can
//! be written in another way and is then the same.

use intermission::config::duration;

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match duration::parse(text) {
        Ok(length) => {
            let again = format!("{}ms", length.as_millis());
            assert_eq!(duration::parse(&again), Ok(length), "{text:?}");
            let digits = |c: char| c.is_ascii_digit();
            assert!(text.contains(digits) && text.contains(['d', 'h', 'm', 's']), "{text:?} is {length:?}");
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{:?} is no place in {text:?}", error.span);
            assert!(!error.problem.is_empty() && !error.mend.is_empty());
        }
    }
}
