//! One connection: HTTP/1.1 by hand, because a fault may break it at any byte.
//!
//! Heads are parsed by the crate `httparse`; framing follows RFC 9112.

use std::io::{self, Write as _};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connection::{FILLER, MOST_BODY, Socket, Stop, Stream, http_date, wait};
use super::disposition::Delivery;
use super::server::Shared;
use super::{Disposition, Request, Response};

/// Most bytes of a request's head.
const MOST_HEAD: usize = 64 << 10;

/// Most header fields of a request.
const MOST_FIELDS: usize = 100;

/// Whether the connection may carry another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

/// Answers the requests of one connection, one after the other.
pub(super) async fn serve(
    stream: Box<dyn Stream>,
    socket: Socket,
    shared: &Shared,
    mut stop: Stop,
) -> io::Result<()> {
    let mut connection = Connection { stream, socket, unread: Vec::new() };
    loop {
        let request = tokio::select! {
            it = connection.read_request() => it?,
            () = stop.requested() => return Ok(()),
        };
        let Some((request, next)) = request else { return Ok(()) };
        let next = if let Some(answer) = shared.control(&request) {
            connection.write_whole(&answer, shared, next).await?
        } else {
            let _ongoing = shared.begin();
            let disposition = shared.handle(&request).await;
            connection.carry_out(disposition, shared, next, &mut stop).await?
        };
        if next == Next::Close {
            return connection.stream.shutdown().await;
        }
    }
}

struct Connection {
    stream: Box<dyn Stream>,
    socket: Socket,
    // Bytes that came with what was read before: the rest of a head, a body,
    // or a request that the client sent ahead.
    unread: Vec<u8>,
}

/// How answers are sent, and how they are broken.
impl Connection {
    async fn carry_out(
        &mut self,
        disposition: Disposition,
        shared: &Shared,
        next: Next,
        stop: &mut Stop,
    ) -> io::Result<Next> {
        tokio::select! {
            biased;
            () = wait(disposition.delay) => {}
            () = stop.requested() => return Ok(Next::Close),
        }
        let faulty = match disposition.delivery {
            Delivery::Whole(response) => return self.write_whole(&response, shared, next).await,
            Delivery::Closed => return Ok(Next::Close),
            Delivery::Reset => {
                self.socket.reset_once_closed()?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Delivery::Truncated(response) => {
                let mut bytes = head(&response, shared, next, Some(response.body().len()));
                bytes.extend_from_slice(&response.body()[..response.body().len() / 2]);
                self.stream.write_all(&bytes).await?;
                return Ok(Next::Close);
            }
            faulty @ (Delivery::Trickle(..) | Delivery::Endless(_) | Delivery::Never) => faulty,
        };
        tokio::select! {
            it = self.dawdle(faulty, shared, next) => it,
            () = stop.requested() => Ok(Next::Close),
        }
    }

    /// Answers that take for ever, or nearly.
    async fn dawdle(&mut self, delivery: Delivery, shared: &Shared, next: Next) -> io::Result<Next> {
        match delivery {
            Delivery::Trickle(response, every) => self.trickle(&response, every, shared, next).await,
            Delivery::Endless(response) => {
                self.stream.write_all(&head(&response, shared, next, None)).await?;
                loop {
                    write_chunk(&mut self.stream, &FILLER).await?;
                }
            }
            _ => self.wait_until_closed().await,
        }
    }

    async fn trickle(
        &mut self,
        response: &Response,
        every: Duration,
        shared: &Shared,
        next: Next,
    ) -> io::Result<Next> {
        let body = response.body();
        self.stream.write_all(&head(response, shared, next, Some(body.len()))).await?;
        for byte in body {
            tokio::time::sleep(every).await;
            self.stream.write_all(&[*byte]).await?;
        }
        Ok(next)
    }

    async fn write_whole(&mut self, response: &Response, shared: &Shared, next: Next) -> io::Result<Next> {
        let mut bytes = head(response, shared, next, Some(response.body().len()));
        bytes.extend_from_slice(response.body());
        self.stream.write_all(&bytes).await?;
        Ok(next)
    }

    async fn wait_until_closed(&mut self) -> io::Result<Next> {
        while self.fill().await? > 0 {
            self.unread.clear();
        }
        Ok(Next::Close)
    }
}

/// How requests are read.
impl Connection {
    /// The next request; none if the client has closed.
    async fn read_request(&mut self) -> io::Result<Option<(Request, Next)>> {
        let Some((mut request, next)) = self.read_head().await? else { return Ok(None) };
        let headers = request.headers();
        let is_chunked = names(headers, header::TRANSFER_ENCODING, "chunked");
        let length = headers.get(header::CONTENT_LENGTH).map(content_length).transpose()?.unwrap_or(0);
        if names(headers, header::EXPECT, "100-continue") && self.unread.is_empty() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = if is_chunked { self.read_chunks().await? } else { self.take(length).await? };
        *request.body_mut() = body;
        Ok(Some((request, next)))
    }

    async fn read_head(&mut self) -> io::Result<Option<(Request, Next)>> {
        loop {
            if let Some((length, request, next)) = parse_head(&self.unread)? {
                self.unread.drain(..length);
                return Ok(Some((request, next)));
            }
            if self.unread.len() > MOST_HEAD {
                return Err(invalid("the head of a request is too long"));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// A chunked body (RFC 9112, section 7.1); trailers are read and dropped.
    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line().await?;
            let size = match httparse::parse_chunk_size(&line) {
                Ok(httparse::Status::Complete((_, size))) => size,
                Ok(httparse::Status::Partial) | Err(_) => return Err(invalid("no chunk size")),
            };
            if size == 0 {
                break;
            }
            let size = usize::try_from(size).ok().filter(|it| body.len().saturating_add(*it) <= MOST_BODY);
            body.extend(self.take(size.ok_or_else(too_long)?).await?);
            self.take(2).await?;
        }
        while self.take_line().await? != b"\r\n" {}
        Ok(body)
    }

    async fn take_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|it| it == b"\r\n") {
                return Ok(self.unread.drain(..end + 2).collect());
            }
            if self.unread.len() > MOST_HEAD {
                return Err(too_long());
            }
            self.fill_or_fail().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > MOST_BODY {
            return Err(too_long());
        }
        while self.unread.len() < length {
            self.fill_or_fail().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    async fn fill_or_fail(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.unread).await
    }
}

/// The head of a request and its length, once it is all there.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, Request, Next)>> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let status = parsed.parse(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    let mut request = axum::http::Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(parsed.path.unwrap_or_default())
        .body(Vec::new())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    for field in parsed.headers.iter() {
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        else {
            continue;
        };
        request.headers_mut().append(name, value);
    }
    let closes = parsed.version == Some(0) || names(request.headers(), header::CONNECTION, "close");
    Ok(Some((length, request, if closes { Next::Close } else { Next::KeepAlive })))
}

/// The head of an answer. Without a length its body is chunked.
fn head(response: &Response, shared: &Shared, next: Next, length: Option<usize>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let date = http_date(shared.now());
    let framing = match length {
        Some(_) if status == StatusCode::NO_CONTENT => String::new(),
        Some(length) => format!("content-length: {length}\r\n"),
        None => "transfer-encoding: chunked\r\n".to_owned(),
    };
    let closing = if next == Next::Close { "connection: close\r\n" } else { "" };
    let mut head =
        format!("HTTP/1.1 {} {reason}\r\ndate: {date}\r\n{framing}{closing}", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        // Header values are bytes, not always text.
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

async fn write_chunk(stream: &mut Box<dyn Stream>, data: &[u8]) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(data.len() + 16);
    write!(chunk, "{:x}\r\n", data.len())?;
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    stream.write_all(&chunk).await
}

/// Whether a header that is a list of words has this one.
fn names(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case(word))
}

fn content_length(value: &HeaderValue) -> io::Result<usize> {
    value.to_str().ok().and_then(|it| it.parse().ok()).ok_or_else(|| invalid("no content length"))
}

fn too_long() -> io::Error {
    invalid("a request is too long")
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
