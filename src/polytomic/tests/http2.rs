//! HTTP/2 over TLS, which is what the API itself speaks.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::body::Bytes;
use axum::http::Response;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Confirms.
    Confirm,
    /// Says in good order that it will go away, and confirms.
    ConfirmAndGoAway,
    /// `RST_STREAM` instead of an answer.
    Reset(Reason),
    /// 200, half of a confirmation, and `RST_STREAM`.
    HalfAndReset,
    /// `GOAWAY` with an error instead of an answer.
    GoAway,
    /// 200, half of a confirmation, and `GOAWAY` with an error.
    HalfAndGoAway,
}

/// A server that speaks nothing but HTTP/2, and does one deed after the other.
struct Peer {
    url: String,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Peer {
    async fn start(deeds: &[Deed]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let tls = tls::acceptor("good.pem", &[b"h2"]);
        let (requests, connections): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (heard, made, deeds) = (Arc::clone(&requests), Arc::clone(&connections), deeds.to_vec());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                made.fetch_add(1, Relaxed);
                let (tls, heard, deeds) = (tls.clone(), Arc::clone(&heard), deeds.clone());
                serving.spawn(async move { serve(stream, &tls, &heard, &deeds).await });
            }
        });
        Self { url, requests, connections, _tasks: tasks }
    }

    fn client(&self) -> Client {
        let organization = Organization { ca_file: Some(tls::file("ca.pem")), ..organization(&self.url) };
        Client::new(&organization, limits(), always(KEY)).unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }
}

async fn serve(stream: TcpStream, tls: &TlsAcceptor, heard: &AtomicUsize, deeds: &[Deed]) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let mut connection = h2::server::handshake(stream).await.unwrap();
    // Kept until the end, for to drop one resets its stream.
    let (mut requests, mut bodies) = (Vec::new(), Vec::new());
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        requests.push(request);
        let number = heard.fetch_add(1, Relaxed);
        let whole = data(ID, false);
        let half = &whole[..whole.len() / 2];
        match deeds[number.min(deeds.len() - 1)] {
            Deed::Confirm => bodies.push(send(&mut respond, &whole, true)),
            Deed::ConfirmAndGoAway => {
                bodies.push(send(&mut respond, &whole, true));
                connection.graceful_shutdown();
            }
            Deed::Reset(reason) => respond.send_reset(reason),
            Deed::HalfAndReset => send(&mut respond, half, false).send_reset(Reason::INTERNAL_ERROR),
            Deed::GoAway => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
            Deed::HalfAndGoAway => {
                bodies.push(send(&mut respond, half, false));
                connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            }
        }
    }
}

fn send(respond: &mut SendResponse<Bytes>, body: &str, is_all: bool) -> SendStream<Bytes> {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::copy_from_slice(body.as_bytes()), is_all).unwrap();
    stream
}

#[tokio::test]
async fn many_switches_share_one_connection() {
    let peer = Peer::start(&[Deed::Confirm]).await;
    let client = peer.client();
    for _ in 0..3 {
        assert_eq!(client.set_active(&model(), false).await, Verdict::Applied);
    }
    assert_eq!(told(&client.set_active(&model(), true).await), "unknown malformed");
    assert_eq!(client.look(&model()).await.unwrap().state, SyncState::Inactive);
    assert_eq!((peer.requests(), peer.connections.load(Relaxed)), (5, 1));
}

#[tokio::test]
async fn a_stream_or_connection_that_ends_without_a_whole_answer_is_unknown_and_not_sent_again() {
    for deed in [
        Deed::Reset(Reason::REFUSED_STREAM),
        Deed::Reset(Reason::INTERNAL_ERROR),
        Deed::Reset(Reason::CANCEL),
        Deed::Reset(Reason::NO_ERROR),
        Deed::HalfAndReset,
        Deed::GoAway,
        Deed::HalfAndGoAway,
    ] {
        let peer = Peer::start(&[deed, Deed::Confirm]).await;
        let client = peer.client();
        let verdict = client.set_active(&model(), false).await;
        // How much of the answer came through first is up to the network.
        let expected = ["unknown lost", "unknown malformed"];
        assert!(expected.contains(&told(&verdict).as_str()), "{deed:?}: {verdict:?}");
        assert_eq!(peer.requests(), 1, "{deed:?}: sent again");
        // Another connection is made, once the end of this one was noticed.
        let mut sent = 1;
        loop {
            sent += 1;
            let verdict = client.set_active(&model(), false).await;
            assert!(peer.requests() <= sent, "{deed:?}: sent again");
            if verdict == Verdict::Applied {
                break;
            }
            assert!(sent < 100, "{deed:?}: {verdict:?}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_in_good_order_is_believed() {
    let peer = Peer::start(&[Deed::ConfirmAndGoAway]).await;
    assert_eq!(peer.client().set_active(&model(), false).await, Verdict::Applied);
    assert_eq!(peer.requests(), 1);
}
