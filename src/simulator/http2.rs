//! One connection: HTTP/2, many requests at a time (RFC 9113).
//!
//! What breaks a connection breaks it for every request that is on it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::sync::mpsc;

use super::connection::{FILLER, MOST_BODY, Socket, Stop, Stream, http_date, wait};
use super::disposition::Delivery;
use super::server::Shared;
use super::{Request, Response};

/// Most requests that a connection carries at a time.
const MOST_STREAMS: u32 = 250;

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Closed,
    Reset,
}

/// Whether the head of an answer tells the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Told,
    Unknown,
}

/// Answers the requests of one connection as they come.
pub(super) async fn serve(
    stream: Box<dyn Stream>,
    socket: Socket,
    shared: &Arc<Shared>,
    mut stop: Stop,
) -> io::Result<()> {
    let mut settings = h2::server::Builder::new();
    let mut connection =
        settings.max_concurrent_streams(MOST_STREAMS).handshake(stream).await.map_err(failed)?;
    let (break_off, mut broken) = mpsc::unbounded_channel();
    loop {
        let accepted = tokio::select! {
            it = connection.accept() => it,
            Some(how) = broken.recv() => {
                if matches!(how, Broken::Reset) {
                    socket.reset_once_closed()?;
                }
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            () = stop.requested() => break,
        };
        let Some(accepted) = accepted else { return Ok(()) };
        let (request, respond) = accepted.map_err(failed)?;
        let (shared, stop, break_off) = (Arc::clone(shared), stop.clone(), break_off.clone());
        tokio::spawn(async move {
            if let Ok(Some(how)) = answer(request, respond, &shared, stop).await {
                let _ = break_off.send(how);
            }
        });
    }
    connection.graceful_shutdown();
    // What is on its way is sent to its end.
    while let Some(Ok(_)) = connection.accept().await {}
    Ok(())
}

/// Answers one request, and says if its connection is to break.
async fn answer(
    request: axum::http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
    mut stop: Stop,
) -> Result<Option<Broken>, h2::Error> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, whole(body).await?);
    if let Some(response) = shared.control(&request) {
        return respond_whole(&mut respond, response, shared);
    }
    let _ongoing = shared.begin();
    let disposition = shared.handle(&request).await;
    tokio::select! {
        biased;
        () = wait(disposition.delay) => {}
        () = stop.requested() => return Ok(None),
    }
    let faulty = match disposition.delivery {
        Delivery::Whole(response) => return respond_whole(&mut respond, response, shared),
        Delivery::Closed => return Ok(Some(Broken::Closed)),
        Delivery::Reset => return Ok(Some(Broken::Reset)),
        faulty => faulty,
    };
    tokio::select! {
        it = dawdle(faulty, &mut respond, shared) => it,
        () = stop.requested() => Ok(None),
    }
}

/// Answers that break in the middle, or take for ever, or nearly.
async fn dawdle(
    delivery: Delivery,
    respond: &mut SendResponse<Bytes>,
    shared: &Shared,
) -> Result<Option<Broken>, h2::Error> {
    match delivery {
        Delivery::Truncated(response) => {
            let (mut stream, mut body) = begin(respond, response, shared, Length::Told)?;
            body.truncate(body.len() / 2);
            stream.send_data(body, true)?;
        }
        Delivery::Trickle(response, every) => {
            let (mut stream, body) = begin(respond, response, shared, Length::Told)?;
            for at in 0..body.len() {
                tokio::time::sleep(every).await;
                stream.send_data(body.slice(at..=at), at + 1 == body.len())?;
            }
        }
        Delivery::Endless(response) => {
            let (mut stream, _) = begin(respond, response, shared, Length::Unknown)?;
            loop {
                stream.reserve_capacity(FILLER.len());
                let room = poll_fn(|context| stream.poll_capacity(context)).await;
                let Some(room) = room.transpose()? else { break };
                stream.send_data(Bytes::from_static(&FILLER[..room.min(FILLER.len())]), false)?;
            }
        }
        _ => {
            poll_fn(|context| respond.poll_reset(context)).await?;
        }
    }
    Ok(None)
}

fn respond_whole(
    respond: &mut SendResponse<Bytes>,
    response: Response,
    shared: &Shared,
) -> Result<Option<Broken>, h2::Error> {
    let (mut stream, body) = begin(respond, response, shared, Length::Told)?;
    stream.send_data(body, true)?;
    Ok(None)
}

fn begin(
    respond: &mut SendResponse<Bytes>,
    response: Response,
    shared: &Shared,
    length: Length,
) -> Result<(SendStream<Bytes>, Bytes), h2::Error> {
    let (mut head, body) = response.into_parts();
    if length == Length::Told {
        head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    if let Ok(date) = HeaderValue::try_from(http_date(shared.now())) {
        head.headers.insert(header::DATE, date);
    }
    let stream = respond.send_response(axum::http::Response::from_parts(head, ()), false)?;
    Ok((stream, body.into()))
}

async fn whole(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        if whole.len() + piece.len() > MOST_BODY {
            return Err(Reason::ENHANCE_YOUR_CALM.into());
        }
        whole.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(whole)
}

fn failed(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
