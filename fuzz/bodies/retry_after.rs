//! Any three lines as `Retry-After`, `X-RateLimit-Reset` and `Date`: whatever is
//! asked for, nobody waits longer than the bound, nor not at all.

use intermission::polytomic::retry_after::{LONGEST, SHORTEST, http_date, retry_after};

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let (header, reset, date) = (lines.next(), lines.next(), lines.next());
    let now = date.and_then(http_date);
    for (header, reset, now) in
        [(header, reset, now), (header, None, None), (None, reset, now), (header, reset, None)]
    {
        let wait = retry_after(header, reset, now);
        assert!(wait.is_none_or(|wait| (SHORTEST..=LONGEST).contains(&wait)), "{wait:?}");
    }
    for date in text.split('\n').filter_map(http_date) {
        let written = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        // Beyond year 9999 the form has no room.
        if written.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len() {
            assert_eq!(http_date(&written), Some(date), "{written}");
        }
    }
}
