//! Connections: frames in, answers out, one request after the other, as Kafka does it.

use super::api::{self, Reply, Request};
use super::{Gate, Seen, Shared, Step};
use crate::wire::api::api as api_of;
use crate::wire::frame::{FrameError, SIZE_LEN, request_size};
use crate::wire::header::request_header;
use crate::wire::message::response_frame;
use crate::wire::{ApiKey, Rope, WireError, decode};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The largest request, `socket.request.max.bytes` of Kafka.
const MAX_FRAME: usize = 100 << 20;
/// The most connections; more are closed at once.
const MAX_CONNECTIONS: usize = 2000;

/// Why a connection ends.
#[derive(Debug, Error)]
enum End {
    #[error("client closed the connection")]
    PeerClosed,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("api `{0}` is not served here")]
    NotServed(ApiKey),
    #[error("closed on purpose")]
    Closed,
}

/// Takes connections until it is dropped, and with it every connection.
pub(super) async fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    loop {
        // Accepting and joining can both be dropped without loss.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => {
                shared.connections.store(connections.len(), Ordering::Relaxed);
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                let wanted = shared.settings.script.as_ref().is_none_or(|script| script.accepts(number, peer));
                if wanted && connections.len() < MAX_CONNECTIONS {
                    connections.spawn(serve(Arc::clone(shared), stream, number, peer));
                    shared.connections.store(connections.len(), Ordering::Relaxed);
                }
                number += 1;
            }
            Err(error) => {
                tracing::debug!(%error, "demo broker cannot accept a connection");
                // Out of descriptors, most likely: asking again at once would only burn the processor.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, mut stream: TcpStream, number: u64, peer: SocketAddr) {
    // Without it answers would wait for acknowledgements; a socket that refuses it works all the same.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.split();
    let (mut reader, mut writer) =
        (BufReader::with_capacity(64 << 10, read), BufWriter::with_capacity(64 << 10, write));
    let end = loop {
        if let Err(end) = one(&shared, &mut reader, &mut writer, number, peer).await {
            break end;
        }
    };
    tracing::debug!(connection = number, reason = %end, "demo broker closed a connection");
}

/// Reads one request and answers it.
async fn one<R, W>(
    shared: &Shared,
    reader: &mut BufReader<R>,
    writer: &mut BufWriter<W>,
    number: u64,
    peer: SocketAddr,
) -> Result<(), End>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let frame = read_frame(reader).await?;
    let request = match read_request(&frame, peer, &shared.settings.scripted)? {
        Ok(request) => request,
        Err(unsupported) => return send(writer, unsupported).await,
    };
    let seen = shared.settings.script.as_ref().map(|script| {
        let seen = Seen {
            connection: number,
            peer,
            key: request.key,
            version: request.version,
            correlation_id: request.correlation_id,
            client_id: request.client_id.clone(),
            body: request.body.clone(),
        };
        script.step(&seen)
    });
    let answer = take(shared, &request, seen.unwrap_or(Step::Serve));
    tokio::pin!(answer);
    // Dropping the read loses nothing: bytes stay in the buffer. Dropping the answer is what a client that left wants.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer?,
        more = reader.fill_buf() => {
            if more?.is_empty() {
                return Err(End::PeerClosed);
            }
            answer.await?
        }
    };
    match answer {
        Some(answer) => send(writer, answer).await,
        None => Ok(()),
    }
}

/// The answer to a request, if it gets one.
async fn take(shared: &Shared, request: &Request, mut step: Step) -> Result<Option<Rope>, End> {
    let framed = |node| response_frame(request.key, request.version, request.correlation_id, &node);
    let mut before_answer: Option<Gate> = None;
    while let Step::Hold(gate, then) = step {
        gate.passed().await;
        step = *then;
    }
    match step {
        Step::Answer(node) => return Ok(Some(framed(node))),
        Step::Raw(bytes) => {
            let mut rope = Rope::new();
            rope.push_bytes(&bytes);
            return Ok(Some(rope));
        }
        Step::Swallow => return Ok(None),
        Step::Close => return Err(End::Closed),
        Step::HoldAnswer(gate) => before_answer = Some(gate),
        // Holds are taken off above.
        Step::Serve | Step::Hold(..) => {}
    }
    let reply = api::reply(shared, request).await;
    if let Some(gate) = before_answer {
        gate.passed().await;
    }
    match reply {
        Reply::Answer(node) => Ok(Some(framed(node))),
        Reply::Nothing => Ok(None),
        Reply::NotServed => Err(End::NotServed(request.key)),
    }
}

async fn send<W: AsyncWrite + Unpin>(writer: &mut W, answer: Rope) -> Result<(), End> {
    for chunk in answer.chunks() {
        writer.write_all(chunk).await?;
    }
    Ok(writer.flush().await?)
}

/// A frame without its size. Memory grows with the bytes that come, not with the size that is claimed.
async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Bytes, End> {
    let mut start = [0; SIZE_LEN];
    match reader.read_exact(&mut start).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(End::PeerClosed),
        Err(error) => return Err(error.into()),
    }
    let size = request_size(&start, MAX_FRAME)?.unwrap_or_default();
    let mut frame = Vec::with_capacity(size.min(4096));
    let read = reader.take(u64::try_from(size).unwrap_or(u64::MAX)).read_to_end(&mut frame).await?;
    if read < size { Err(End::PeerClosed) } else { Ok(Bytes::from(frame)) }
}

/// The request in a frame; or, for a version of ApiVersions that is not known, the answer that says so.
fn read_request(frame: &Bytes, peer: SocketAddr, scripted: &[ApiKey]) -> Result<Result<Request, Rope>, End> {
    let header = match request_header(frame) {
        Ok(header) => header,
        Err(WireError::UnknownApi { key: ApiKey::API_VERSIONS, correlation_id, .. }) => {
            return Ok(Err(api::unsupported_api_versions(correlation_id)));
        }
        Err(error) => return Err(error.into()),
    };
    let served = api::versions(header.key).is_some_and(|versions| versions.contains(header.version));
    if !served && !scripted.contains(&header.key) {
        return Err(End::NotServed(header.key));
    }
    let def = api_of(header.key).ok_or(End::NotServed(header.key))?.request;
    let body = decode(def, header.version, &frame.slice(header.len..))?;
    Ok(Ok(Request {
        key: header.key,
        version: header.version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.map(String::from),
        host: peer.ip().to_string(),
        body,
    }))
}
