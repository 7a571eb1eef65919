//! What it costs to wait.

use std::time::Duration;

use crate::daemon::{Home, Window, after};
use crate::simulator::Simulator;
use crate::table::print;

/// How long it is watched.
const WATCHED: Duration = Duration::from_mins(2);

pub(crate) fn run() {
    let rows = [("nothing held", 0), ("10,000 syncs held", 10_000)].map(|(name, syncs)| {
        let simulator = Simulator::start(syncs.max(1), Duration::ZERO);
        let home = Home::new();
        // Far enough away that nothing comes near while it is watched.
        let opens = if syncs == 0 { after(86_400.0) } else { after(0.5) };
        let it = Window {
            name: "bench",
            organization: None,
            opens,
            closes: opens + chrono::TimeDelta::hours(6),
            syncs: syncs.max(1),
        };
        home.configure(&[("default", &simulator)], "listen = \"127.0.0.1:0\"", &[it]);
        let daemon = home.start();
        crate::daemon::until("the syncs are paused", Duration::from_mins(5), || {
            simulator.accepted(0).len() >= syncs
        });
        std::thread::sleep(Duration::from_secs(15));
        let before = (daemon.wakeups(), daemon.cpu(), simulator.received(0).len());
        std::thread::sleep(WATCHED);
        let minutes = WATCHED.as_secs_f64() / 60.0;
        vec![
            name.to_owned(),
            format!("{:.1}", (daemon.wakeups() - before.0) as f64 / minutes),
            format!("{:.1}", (daemon.cpu() - before.1) * 24.0 * 60.0 / minutes),
            format!("{:.1}", (simulator.received(0).len() - before.2) as f64 / minutes),
            format!("{:.1}", daemon.figure("VmRSS") as f64 / 1024.0),
        ]
    });
    let header = [
        "idle, web and metrics open",
        "wake-ups a minute",
        "CPU seconds a day",
        "requests a minute",
        "MiB resident",
    ];
    print("Two minutes of nothing", &header, &rows);
}
