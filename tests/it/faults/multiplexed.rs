//! Over TLS and HTTP/2, as Polytomic is reached: all requests share a connection, and
//! what breaks it loses all of them at once.

use std::time::Duration;

use intermission::simulator::{Apply, Fault, Operation, Reply, Rule};

use super::{Place, id, much_later, rows, soon, until, window};

/// How many switches break something.
const SOME: f64 = 0.02;

#[test]
fn a_connection_that_breaks_under_many_switches_leaves_none_undone() {
    let place = Place::secured();
    let server = || place.server.as_ref().unwrap();
    // So that many are under way at a time.
    server().set_latency(Duration::from_millis(20));
    let syncs: Vec<_> = (1..=150).map(|it| place.model("default", id(it))).collect();
    // What a person had paused before stays off.
    let off = place.model("default", id(151));
    place.world().person_sets(intermission::clock::wall(), off, false, "Ada").unwrap();
    for operation in [Operation::Pause, Operation::Resume] {
        for reply in [Reply::Reset, Reply::Close, Reply::Truncated] {
            for apply in [Apply::Now, Apply::Never] {
                let fault = Fault::new(apply, reply.clone());
                place.world().add_rule(Rule::always(fault).on(operation).with_probability(SOME));
            }
        }
    }
    let opens = soon(-60);
    let write = |closes| {
        let all = [&syncs[..], &[off]].concat();
        place.write(&[window("patching", (opens, closes), &all)]);
    };
    write(much_later());
    let daemon = place.start();
    until("all are paused, and their rows know it", || {
        let status = place.status();
        let held = status.iter().flat_map(rows).filter(|row| row["state"] == "held").count();
        held == syncs.len() && syncs.iter().all(|it| !place.is_active(*it))
    });
    write(soon(-1));
    place.reload();
    place.until_no_rows();
    assert!(syncs.iter().all(|it| place.is_active(*it)));
    assert!(!place.is_active(off), "it was off before");
    let counters = server().counters();
    assert!(counters.connections > 1, "none broke: {counters:?}");
    assert!(counters.peak_concurrent_requests > 5, "they share none: {counters:?}");
    assert_eq!(daemon.terminate().0.code(), Some(0));
}
