//! Whom the client trusts.
//!
//! The certificates beside this file were made for these tests: an authority of
//! their own, and leaves that share one key and are valid now (until 2120), no
//! more (since 2021), not yet (from 2100), and for another host.

use std::path::{Path, PathBuf};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

pub(super) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/polytomic/tests/tls").join(name)
}

async fn server(certificate: &str) -> Server {
    Server::with(&[confirmed(true)], Some(acceptor(certificate, &[]))).await
}

/// The server's side, with the protocols that it offers.
pub(super) fn acceptor(certificate: &str, protocols: &[&[u8]]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file(certificate)).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("leaf-key.pem")).unwrap();
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn look(certificate: &str, ca_file: Option<PathBuf>) -> (Result<SyncState, Failure>, usize) {
    let server = server(certificate).await;
    let organization = Organization { ca_file, ..organization(&server.url) };
    let client = Client::new(&organization, limits(), always(KEY)).unwrap();
    let looked = client.look(&model()).await;
    (looked.map(|looked| looked.state), server.heard().len())
}

#[tokio::test]
async fn the_authorities_of_the_ca_file_are_trusted() {
    assert_eq!(look("good.pem", Some(file("ca.pem"))).await, (Ok(SyncState::Active), 1));
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let server = server("good.pem").await;
    match Client::new(&organization(&server.url), limits(), always(KEY)) {
        // A machine without any authorities says so before it connects.
        Err(error) => assert!(error.to_string().contains("`ca-certificates`"), "{error}"),
        Ok(client) => {
            let failure = client.look(&model()).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::NotSent);
            assert!(failure.message.contains("see `ca_file`"), "{failure}");
        }
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn who_cannot_be_trusted_is_sent_nothing_and_the_reason_is_said() {
    for (certificate, words) in [
        ("expired.pem", "certificate expired"),
        ("expired.pem", "is this machine's clock right?"),
        ("future.pem", "is this machine's clock right?"),
        ("elsewhere.pem", "not valid for name"),
    ] {
        let (looked, heard) = look(certificate, Some(file("ca.pem"))).await;
        let failure = looked.unwrap_err();
        assert_eq!((failure.kind, heard), (FailureKind::NotSent, 0), "{certificate}");
        assert!(failure.message.contains(words), "{certificate}: {failure}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_spoken_to_in_the_open() {
    let server = Server::start(&[confirmed(true)]).await;
    let organization = Organization {
        url: server.url.replace("http://", "https://"),
        ca_file: Some(file("ca.pem")),
        ..organization("")
    };
    let limits = Limits { connect_timeout: Duration::from_millis(300), ..limits() };
    let client = Client::new(&organization, limits, always(KEY)).unwrap();
    let failure = client.look(&model()).await.unwrap_err();
    assert_eq!((failure.kind, server.heard().len()), (FailureKind::NotSent, 0), "{failure}");
    assert_eq!(failure.message, "could not connect within 300ms");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    for (path, words) in [
        (file("nowhere.pem"), "could not read the certificate authorities in"),
        (file("leaf-key.pem"), "holds no certificate in PEM"),
    ] {
        let organization = Organization { ca_file: Some(path.clone()), ..organization("https://localhost") };
        let error = Client::new(&organization, limits(), always(KEY)).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&*path.to_string_lossy()), "{error}");
    }
}
