//! One boundary and many syncs: from the instant to the last accepted request,
//! the whole protocol (a look, a durable intent, the switch, a durable record).

use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::{self, Home, Window, after, seconds, until};
use crate::peers::{self, PARALLEL, PEERS, floor};
use crate::simulator::{Accepted, Simulator, Speaks};
use crate::table::{print, ratio};
use crate::{median, number, runs};

const SIZES: &[usize] = &[1, 100, 1_000, 10_000];

/// What one window cost.
struct Boundary {
    first_pause: f64,
    pauses: f64,
    resumes: f64,
    peak_kib: u64,
}

/// Keeps one window over so many syncs.
fn daemon(simulator: &Simulator, syncs: usize, opens_in: f64, lasts: f64) -> Boundary {
    let home = Home::new();
    let before = simulator.accepted(0).len();
    let opens = after(opens_in);
    let closes = opens + (after(lasts) - daemon::now());
    let window = Window { name: "bench", organization: None, opens, closes, syncs };
    home.configure(&[("default", simulator)], "", &[window]);
    let daemon = home.start();
    assert!(daemon::now() < opens, "the machine is too slow to be ready before the window");
    let patience = Duration::from_mins(10);
    let mut accepted = Vec::new();
    let wait = || daemon::seconds(daemon::now(), closes).max(0.0);
    // Nothing of ours runs while it works.
    std::thread::sleep(Duration::from_secs_f64(wait()));
    until("all syncs are resumed", patience, || {
        std::thread::sleep(Duration::from_millis(500));
        accepted = simulator.accepted(before);
        accepted.iter().filter(|it| it.active).count() >= syncs
    });
    let of = |active: bool| accepted.iter().filter(move |it| it.active == active).map(|it: &Accepted| it.at);
    let last = |active| of(active).max().expect("some were accepted");
    assert_eq!(of(false).count(), syncs, "each sync is paused once");
    assert!(last(false) < closes, "the window is too short for this machine");
    Boundary {
        first_pause: seconds(opens, of(false).min().expect("some were accepted")),
        pauses: seconds(opens, last(false)),
        resumes: seconds(closes, last(true)),
        peak_kib: daemon.figure("VmHWM"),
    }
}

/// The daemon, the peers and the floor, in the clear.
pub(crate) fn run() {
    run_over(Speaks::Plain);
}

/// The same as the API is reached: over TLS and HTTP/2.
pub(crate) fn run_secured() {
    run_over(Speaks::Secured);
}

fn run_over(speaks: Speaks) {
    let sizes = std::env::var("INTERMISSION_BENCH_SIZES").ok();
    let sizes: Vec<usize> = sizes.map_or_else(|| SIZES.to_vec(), |it| it.split(',').map(number).collect());
    for syncs in sizes {
        measure(speaks, syncs);
    }
}

fn measure(speaks: Speaks, syncs: usize) {
    let directory = TempDir::new().unwrap();
    let mut pauses = Vec::new();
    let mut resumes = Vec::new();
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); PEERS.len()];
    for _ in 0..runs() {
        // One more, for the floor alone.
        let simulator = Simulator::reached(speaks, syncs + 1, Duration::ZERO);
        let floor = 1.0 / floor(&simulator, syncs, directory.path());
        let lasts = 4.0 + floor * syncs as f64 * 12.0;
        let boundary = daemon(&simulator, syncs, 3.0 + syncs as f64 / 5_000.0, lasts);
        pauses.push(boundary.pauses / (floor * syncs as f64));
        resumes.push(boundary.resumes / (floor * syncs as f64));
        ours.push(boundary);
        for (peer, figures) in PEERS.iter().zip(&mut theirs) {
            let syncs = syncs.min(peer.most);
            let before = simulator.accepted(0).len();
            if peer.run(&simulator, syncs) {
                // From its first request on: that it had to start first is not held against it.
                let accepted = simulator.accepted(before);
                let (first, last) = (accepted.first().unwrap().at, accepted.last().unwrap().at);
                figures.push(seconds(first, last) / (floor * accepted.len() as f64));
            }
        }
    }
    let figure = |of: fn(&Boundary) -> f64| median(ours.iter().map(of).collect());
    let mut rows = vec![
        vec![format!("floor: {}, bare POSTs", peers::floor_of(speaks)), "1.00".to_owned()],
        vec!["intermission, pauses".to_owned(), ratio(median(pauses))],
        vec!["intermission, resumes".to_owned(), ratio(median(resumes))],
    ];
    for (peer, figures) in PEERS.iter().zip(theirs) {
        let shown = if figures.is_empty() { "not installed".to_owned() } else { ratio(median(figures)) };
        rows.push(vec![peer.name.to_owned(), shown]);
    }
    let how = match speaks {
        Speaks::Plain => "",
        Speaks::Secured => ", over TLS and HTTP/2",
    };
    let title = format!("{syncs} syncs, {PARALLEL} requests at once{how}");
    print(&title, &["", "multiple of the floor"], &rows);
    println!(
        "intermission: first pause accepted after {:.1} ms, at most {:.1} MiB resident",
        figure(|it| it.first_pause) * 1e3,
        figure(|it| it.peak_kib as f64) / 1024.0,
    );
}

/// With 150 ms to the API and back, only round trips count.
pub(crate) fn run_far_away() {
    let latency = Duration::from_millis(150);
    let mut rows = Vec::new();
    for syncs in [1, 100, 1_000] {
        let simulator = Simulator::start(syncs, latency);
        // A look and a switch for each.
        let ideal = (2 * syncs).div_ceil(PARALLEL).max(2) as f64 * latency.as_secs_f64();
        let (pauses, resumes) = (0..runs())
            .map(|_| {
                let it = daemon(&simulator, syncs, 3.0, 2.0 + ideal * 1.5);
                (it.pauses / ideal, it.resumes / ideal)
            })
            .unzip();
        rows.push(vec![syncs.to_string(), ratio(median(pauses)), ratio(median(resumes))]);
    }
    let header = ["syncs", "pauses, multiple of 2N/C round trips", "resumes"];
    print(&format!("{} ms away, {PARALLEL} requests at once", latency.as_millis()), &header, &rows);
}
