//! What a connection does with a socket.

use crate::session::Outbox;
use bytes::{BufMut as _, BytesMut};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Slices of one vectored write.
const SLICES: usize = 32;

/// A connection, to be read while it is waited for to take more.
pub(super) struct Socket {
    pub(super) reads: OwnedReadHalf,
    pub(super) writes: OwnedWriteHalf,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reads, writes) = stream.into_split();
        Self { reads, writes }
    }
}

/// Reads into the room that the buffer has, at most this many bytes. A read that gets fewer than there was room for knows
/// that there are no more: it is not tried again before the socket says so.
pub(super) async fn read(from: Option<&mut OwnedReadHalf>, into: &mut BytesMut, most: usize) -> io::Result<usize> {
    match from {
        Some(from) => {
            // Without a bound the buffer would grow beyond its room.
            let room = into.capacity() - into.len();
            from.read_buf(&mut into.limit(room.min(most))).await
        }
        None => std::future::pending().await,
    }
}

/// Waits until a connection that may not stand yet takes more; how it fails is for the write to find out.
pub(super) async fn writable(to: Option<&OwnedWriteHalf>) {
    match to {
        // An error here is one of the next write.
        Some(to) => drop(to.writable().await),
        None => std::future::pending().await,
    }
}

/// A future that may not be there.
pub(super) async fn poll<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Writes what the socket takes of what waits for it; how many bytes that was.
pub(super) fn flush(stream: &TcpStream, outbox: &mut Outbox) -> io::Result<usize> {
    let mut total = 0;
    while !outbox.is_empty() {
        let written = {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = outbox.slices(&mut slices);
            stream.try_write_vectored(slices.get(..filled).unwrap_or_default())
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                outbox.advance(n);
                total += n;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}
