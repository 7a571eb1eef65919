//! The tables that hold settings: `[retry]`, `[reconcile]`, `[state]`, `[web]`.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use toml::Spanned;

use super::organization::Organizations;
use super::reader::Table;
use super::source::Source;
use super::{Reconcile, Retry, State, Web, duration};

/// The length of `sun_path` less its final zero; see unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// `[retry]`. None if an error was noted.
pub(super) fn retry(table: Option<Table<'_>>, source: &Source<'_>) -> Option<Retry> {
    let Some(mut table) = table else {
        return Some(Retry { initial: SECOND, max: MINUTE });
    };
    let bounds = Duration::from_millis(10)..=HOUR;
    let initial = table.duration("initial", bounds.clone());
    let max = table.duration("max", bounds);
    let place = if table.has("max") { table.place_of("max") } else { table.place_of("initial") };
    table.finish();
    let initial = initial.map_or(SECOND, Spanned::into_inner);
    let max = max.map_or(MINUTE, Spanned::into_inner);
    if max < initial {
        source.error(
            place,
            format!(
                "`max`, {}, is shorter than `initial`, {}",
                duration::format(max),
                duration::format(initial)
            ),
            "write a longer `max` or a shorter `initial`",
        );
        return None;
    }
    Some(Retry { initial, max })
}

/// `[reconcile]`. None if an error was noted.
pub(super) fn reconcile(
    table: Option<Table<'_>>,
    source: &Source<'_>,
    organizations: &Organizations<'_>,
) -> Option<Reconcile> {
    let mut settle = None;
    let mut reconcile = Reconcile {
        settle: 2 * MINUTE,
        drift_check: MINUTE,
        max_sleep: MINUTE,
        overdue_after: 5 * MINUTE,
        max_pause: 7 * DAY,
        preflight: None,
    };
    if let Some(mut table) = table {
        let mut set = |key, field: &mut Duration, most| {
            let read = table.duration(key, Duration::from_millis(100)..=most);
            if let Some(read) = &read {
                *field = *read.get_ref();
            }
            read
        };
        settle = set("settle", &mut reconcile.settle, HOUR);
        set("drift_check", &mut reconcile.drift_check, HOUR);
        set("max_sleep", &mut reconcile.max_sleep, HOUR);
        set("overdue_after", &mut reconcile.overdue_after, 7 * DAY);
        set("max_pause", &mut reconcile.max_pause, 31 * DAY);
        let preflight = table.duration("preflight", SECOND..=7 * DAY);
        reconcile.preflight = preflight.map(Spanned::into_inner);
        table.finish();
    }
    // A request that is still under way must not be taken for one that died.
    let longest = organizations.longest_request_timeout()?;
    if reconcile.settle <= *longest.get_ref() {
        source.error(
            settle.map_or_else(|| longest.span(), |settle| settle.span()),
            format!(
                "`settle`, {}, is not longer than `request_timeout`, {}",
                duration::format(reconcile.settle),
                duration::format(*longest.get_ref())
            ),
            "write a longer `settle` in [reconcile], or a shorter `request_timeout`",
        );
        return None;
    }
    Some(reconcile)
}

/// `[state]`.
pub(super) fn state(table: Option<Table<'_>>) -> State {
    let mut state = State { path: None, history: 365 * DAY };
    if let Some(mut table) = table {
        state.path = table.path("path").map(Spanned::into_inner);
        if let Some(history) = table.duration("history", DAY..=3650 * DAY) {
            state.history = history.into_inner();
        }
        table.finish();
    }
    state
}

/// `[web]`.
pub(super) fn web(table: Option<Table<'_>>, source: &Source<'_>) -> Web {
    let Some(mut table) = table else { return Web { control_socket: None, listen: None } };
    let listen = table.parsed("listen", address);
    let path = table.path("control_socket");
    table.finish();
    if let Some(path) = &path
        && path.get_ref().as_os_str().as_bytes().len() > LONGEST_SOCKET_PATH
    {
        source.error(
            path.span(),
            format!("the path of a socket cannot be longer than {LONGEST_SOCKET_PATH} bytes"),
            "write a shorter one, such as `/run/intermission/control.sock`",
        );
    }
    Web { control_socket: path.map(Spanned::into_inner), listen: listen.map(Spanned::into_inner) }
}

/// An address and a port. Names are not looked up: what a name means can change.
fn address(text: &str) -> Result<SocketAddr, (String, String)> {
    let mend = "write an IP address and a port, such as `127.0.0.1:9477` or `[::1]:9477`";
    text.parse().map_err(|_| ("`listen` is no address with a port".to_owned(), mend.to_owned()))
}
