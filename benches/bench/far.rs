//! One sync over TLS, far away: what counts is how often something goes there and
//! back between the instant and the accepted switch.

use std::io::Write as _;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::daemon::{Home, Window, after, now, seconds, until};
use crate::simulator::{Role, Simulator, Speaks};
use crate::table::{print, ratio};
use crate::{median, runs};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Carries bytes, each half a round trip later.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let (under_way, mut arriving) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let leave = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let _ = under_way.send((Instant::now() + ROUND_TRIP / 2, buffer[..length].to_vec()));
        }
    };
    let arrive = async {
        while let Some((at, bytes)) = arriving.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(leave, arrive);
}

async fn connection(client: TcpStream, server: String) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    // The client's own connect is not slowed: that round trip is added here.
    tokio::time::sleep(ROUND_TRIP).await;
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(carry(from_client, to_server), carry(from_server, to_client));
    Ok(())
}

/// Stands before a server until it is killed: a long way.
pub(crate) fn stand_before(server: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        std::io::stdout().flush().unwrap();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(client, server.to_owned()));
        }
    });
}

/// Round trips until the pause is accepted, and until the resume is.
fn window() -> (f64, f64) {
    let mut simulator = Simulator::reached(Speaks::Secured, 1, Duration::ZERO);
    let (_front, port) = Role::start(&["far", simulator.url.trim_start_matches("https://")]);
    simulator.api = format!("https://localhost:{port}");
    let home = Home::new();
    // Long enough for connections to be ready, as they are before any window.
    let (opens, closes) = (after(8.0), after(16.0));
    let it = Window { name: "bench", organization: None, opens, closes, syncs: 1 };
    home.configure(&[("default", &simulator)], "", &[it]);
    let _daemon = home.start();
    std::thread::sleep(Duration::from_secs_f64(seconds(now(), closes)));
    let mut accepted = Vec::new();
    until("the sync is resumed", Duration::from_secs(30), || {
        accepted = simulator.accepted(0);
        accepted.iter().any(|it| it.active)
    });
    let at = |active| accepted.iter().find(|it| it.active == active).expect("it was switched").at;
    let round_trips = |from, active| seconds(from, at(active)) / ROUND_TRIP.as_secs_f64();
    (round_trips(opens, false), round_trips(closes, true))
}

pub(crate) fn run() {
    let (pauses, resumes) = (0..runs()).map(|_| window()).unzip();
    let rows = [vec!["intermission".to_owned(), ratio(median(pauses)), ratio(median(resumes))]];
    let title = format!("One sync over TLS and HTTP/2, {} ms there and back", ROUND_TRIP.as_millis());
    print(&title, &["", "pause accepted after, in round trips", "resume"], &rows);
}
