//! A Kafka client of a few lines: one request after the other over one connection.

use crate::wire::message::{decode_response, request_frame};
use crate::wire::{ApiKey, Node, WireError};
use bytes::Bytes;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};

/// The longest answer that is taken.
const ANSWER: u32 = 64 << 20;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    id: String,
    asked: i32,
}

impl Client {
    pub(super) async fn connect(to: impl ToSocketAddrs, id: &str) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(to).await?;
        // Without it a small request waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, id: id.to_owned(), asked: 0 })
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&mut self, key: ApiKey, version: i16, request: &Node) -> Result<Node, ClientError> {
        self.asked = self.asked.wrapping_add(1);
        let frame = request_frame(key, version, self.asked, Some(&self.id), request).into_bytes();
        self.stream.write_all(&frame).await?;
        let size = self.stream.read_u32().await?;
        if size > ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer that is too long").into());
        }
        let mut frame = Vec::new();
        let read = (&mut self.stream).take(u64::from(size)).read_to_end(&mut frame).await?;
        if u32::try_from(read) != Ok(size) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let (_, answer) = decode_response(key, version, &Bytes::from(frame))?;
        Ok(answer)
    }
}
