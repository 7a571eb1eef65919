//! Any bytes as an API key: what is read can stand in a header, and neither an
//! error nor the key itself tells what was read.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use intermission::domain::organization::KeySource;
use intermission::key;
use secrecy::ExposeSecret;

pub(crate) fn check(input: &[u8]) {
    let source = KeySource::Environment("POLYTOMIC_API_KEY".to_owned());
    let environment = |_: &str| Some(OsString::from_vec(input.to_vec()));
    match key::read(&source, &environment) {
        Ok(key) => {
            let read = key.expose_secret();
            assert_eq!(read.as_bytes(), input.trim_ascii());
            assert!(!read.is_empty() && read.len() <= 4096 && read.bytes().all(|it| it.is_ascii_graphic()));
            assert!(reqwest::header::HeaderValue::from_str(&format!("Bearer {read}")).is_ok());
            // It says the same of every key.
            assert_eq!(format!("{key:?}"), format!("{:?}", secrecy::SecretString::from("another")));
        }
        // One of these sentences, whatever was read.
        Err(error) => {
            let told = error.to_string();
            let what = told.strip_prefix("the variable `POLYTOMIC_API_KEY` ").expect("it names the place");
            let known = [
                "is empty",
                "holds more than one line",
                "is longer than 4096 bytes",
                "holds characters that no key has",
            ];
            assert!(known.contains(&what), "{told}");
            assert!(error.mend().starts_with("write the API key alone"));
        }
    }
}
