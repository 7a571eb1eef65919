//! A server's side of TLS, for the host `localhost`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use intermission::simulator::{Protocol, Secure, Stream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate that was made for tests: `ca.pem` vouches for `good.pem`.
pub(crate) fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/polytomic/tests/tls").join(name)
}

/// A simulated Polytomic that offers HTTP/2, as the real one does.
pub(crate) fn secure() -> Secure {
    let chain = vec![CertificateDer::from_pem_file(certificate("good.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("leaf-key.pem")).unwrap();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Box::new(move |tcp| {
        let accepted = acceptor.accept(tcp);
        Box::pin(async move {
            let stream = accepted.await?;
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            Ok((Box::new(stream) as Box<dyn Stream>, protocol))
        })
    })
}
