//! What connections have in common, whichever HTTP they speak.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::server::Shared;
use super::{http1, http2};

/// Most bytes of a request's body.
pub(super) const MOST_BODY: usize = 1 << 20;

/// What an endless body is made of: white space, which JSON allows anywhere.
pub(super) static FILLER: [u8; 4096] = [b' '; 4096];

/// The bytes of a connection, plain or secured.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: one request after the other.
    Http1,
    /// HTTP/2: many at a time.
    Http2,
}

/// Secures a connection before anything else is read from it, and says which protocol was
/// agreed on.
pub type Secure = Box<dyn Fn(TcpStream) -> Securing + Send + Sync>;

/// What becomes of it.
pub type Securing = Pin<Box<dyn Future<Output = io::Result<(Box<dyn Stream>, Protocol)>> + Send>>;

/// Told when the server is dropped.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<()>);

impl Stop {
    pub(super) fn new(receiver: watch::Receiver<()>) -> Self {
        Self(receiver)
    }

    /// Returns once the server is gone. Nothing is ever sent, so a change is
    /// the sender's end.
    pub(super) async fn requested(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// The socket below a connection.
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// With nothing to linger for, closing the socket sends RST.
    pub(super) fn reset_once_closed(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.0, Some(Duration::ZERO))?)
    }
}

/// Answers the requests of one connection.
pub(super) async fn serve(tcp: TcpStream, shared: &Arc<Shared>, mut stop: Stop) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = Socket(tcp.as_fd().try_clone_to_owned()?);
    let (stream, protocol) = match shared.secure() {
        None => (Box::new(tcp) as Box<dyn Stream>, Protocol::Http1),
        Some(secure) => tokio::select! {
            it = secure(tcp) => it?,
            () = stop.requested() => return Ok(()),
        },
    };
    match protocol {
        Protocol::Http1 => http1::serve(stream, socket, shared, stop).await,
        Protocol::Http2 => http2::serve(stream, socket, shared, stop).await,
    }
}

/// Waits so long, and not at all for nothing: a timer of zero ends with the next millisecond.
pub(super) async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7).
pub(super) fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
