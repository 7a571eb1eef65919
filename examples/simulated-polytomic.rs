//! The simulated Polytomic alone: for trying a client by hand, and for holding
//! the simulator against other implementations (see CONTRIBUTING.md).

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use clap::Parser;
use intermission::simulator::{Server, scenario};

/// Serves a simulated Polytomic on the loopback interface until it is
/// interrupted.
#[derive(Parser)]
struct Arguments {
    /// Address and port; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:4011")]
    listen: String,
    /// How many model syncs there are
    #[arg(long, default_value_t = 5)]
    models: usize,
    /// How many bulk syncs there are
    #[arg(long, default_value_t = 3)]
    bulks: usize,
    /// The API key it takes; it protects nothing
    #[arg(long, default_value = "simulated-key")]
    key: String,
    /// Decides ids and dice
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Arguments { listen, models, bulks, key, seed } = Arguments::parse();
    let world = Arc::new(Mutex::new(scenario::demo(seed, models, bulks, &key, now())));
    let server = Server::bind(&listen, world, Arc::new(now)).await?;
    // A test that started this program reads the address from its first line.
    println!("{}", server.url());
    std::io::stdout().flush()?;
    tokio::signal::ctrl_c().await
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, which must ask for the time itself")]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
