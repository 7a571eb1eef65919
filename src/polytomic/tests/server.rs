//! A server that misbehaves on demand, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers these bytes and waits for the next request.
    Answer(Vec<u8>),
    /// Answers these bytes, if any, and hangs up.
    Cut(Vec<u8>),
    /// Answers these bytes over and over.
    Endless(Vec<u8>),
    /// Answers these bytes and then a blank at a time, for ever.
    Drip(Vec<u8>),
    /// Reads the request and breaks the connection.
    Reset,
    /// Breaks the connection as soon as it is made.
    ResetAtOnce,
    /// Never answers.
    Hang,
}

/// An answer with this status, these header lines and this body.
pub(crate) fn answer(status: u16, headers: &[&str], body: &str) -> Act {
    let headers = headers.iter().flat_map(|line| [line, "\r\n"]).collect::<String>();
    let length = body.len();
    let empty = status == 204 || status == 304;
    let length = if empty { String::new() } else { format!("content-length: {length}\r\n") };
    Act::Answer(format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}").into_bytes())
}

/// A server on a port of its own. It does one act after the other, a request
/// each, and the last one for ever.
pub(crate) struct Server {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    _tasks: JoinSet<()>,
}

struct Script {
    acts: Vec<Act>,
    heard: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(crate) async fn start(acts: &[Act]) -> Self {
        Self::with(acts, None).await
    }

    pub(crate) async fn with(acts: &[Act], tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = match &tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let (heard, connections) = (Arc::default(), Arc::default());
        let script =
            Script { acts: acts.to_vec(), heard: Arc::clone(&heard), connections: Arc::clone(&connections) };
        let script = Arc::new(script);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, tls) = (Arc::clone(&script), tls.clone());
                serving.spawn(async move { script.connection(stream, tls).await });
            }
        });
        Self { url, heard, connections, _tasks: tasks }
    }

    /// The requests so far: head and body as they came.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Script {
    async fn connection(&self, stream: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>) {
        *self.connections.lock().unwrap() += 1;
        if let Act::ResetAtOnce = self.act(self.heard.lock().unwrap().len()) {
            stream.set_zero_linger().unwrap();
            return;
        }
        match tls {
            None => {
                if let Some(stream) = self.serve(stream).await {
                    stream.set_zero_linger().unwrap();
                }
            }
            // A client that does not trust us leaves in the middle of this.
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.serve(stream).await;
                }
            }
        }
    }

    fn act(&self, number: usize) -> Act {
        self.acts[number.min(self.acts.len() - 1)].clone()
    }

    /// Serves until one side has enough. Hands the stream back if it is to be
    /// broken instead of closed.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> Option<S> {
        while let Some(request) = read_request(&mut stream).await {
            let number = {
                let mut heard = self.heard.lock().unwrap();
                heard.push(request);
                heard.len() - 1
            };
            match self.act(number) {
                Act::Answer(bytes) => stream.write_all(&bytes).await.ok()?,
                Act::Cut(bytes) => {
                    stream.write_all(&bytes).await.ok()?;
                    return None;
                }
                Act::Endless(bytes) => loop {
                    stream.write_all(&bytes).await.ok()?;
                },
                Act::Drip(bytes) => {
                    stream.write_all(&bytes).await.ok()?;
                    loop {
                        stream.write_all(b" ").await.ok()?;
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                }
                Act::Reset | Act::ResetAtOnce => return Some(stream),
                Act::Hang => Notify::new().notified().await,
            }
        }
        None
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|&read| read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Some(text.into_owned());
        }
    }
}

/// A header of a request, by its name in lower case.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let head = request.split("\r\n\r\n").next()?;
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
