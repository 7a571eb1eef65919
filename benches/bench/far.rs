//! One sync over TLS, far away: what counts is how often something goes there and
//! back between the instant and the accepted switch.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::daemon::{Home, Window, after, now, seconds, until};
use crate::simulator::{Role, Simulator};
use crate::table::{print, ratio};
use crate::{median, runs};

const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A certificate for `localhost`, made for tests, and who vouches for it.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/polytomic/tests/tls").join(name)
}

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

async fn connection(client: TcpStream, server: String, tls: TlsAcceptor) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    // The client's own connect is not slowed: that round trip is added here.
    tokio::time::sleep(ROUND_TRIP).await;
    let (near, far) = tokio::io::duplex(1024 * 1024);
    let (from_client, to_client) = client.into_split();
    let (from_far, to_far) = tokio::io::split(near);
    let server = async {
        let mut opened = tls.accept(far).await?;
        let mut plain = TcpStream::connect(server).await?;
        plain.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut opened, &mut plain).await
    };
    let (_, (), ()) = tokio::join!(server, carry(from_client, to_far), carry(from_far, to_client));
    Ok(())
}

/// Stands before a server until it is killed: TLS, and a long way.
pub(crate) fn stand_before(server: &str) {
    let chain = vec![CertificateDer::from_pem_file(certificate("good.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("leaf-key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        std::io::stdout().flush().unwrap();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(client, server.to_owned(), tls.clone()));
        }
    });
}

/// Round trips until the pause is accepted, and until the resume is.
fn window() -> (f64, f64) {
    let simulator = Simulator::start(1, Duration::ZERO);
    let (_front, port) = Role::start(&["far", simulator.url.trim_start_matches("http://")]);
    let home = Home::new();
    // Long enough for connections to be ready, as they are before any window.
    let (opens, closes) = (after(8.0), after(16.0));
    let it = Window { name: "bench", organization: None, opens, closes, syncs: 1 };
    home.configure(&[("default", &simulator)], "", &[it]);
    let path = home.path("intermission.toml");
    let far = format!("https://localhost:{port}\"\nca_file = \"{}", certificate("ca.pem").display());
    let text = std::fs::read_to_string(&path).unwrap().replace(&simulator.url, &far);
    std::fs::write(path, text).unwrap();
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
    let title = format!("One sync over TLS, {} ms there and back", ROUND_TRIP.as_millis());
    print(&title, &["", "pause accepted after, in round trips", "resume"], &rows);
}
