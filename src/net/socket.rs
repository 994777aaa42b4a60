//! What a connection does with a socket.

use crate::session::Outbox;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Slices of one vectored write.
const SLICES: usize = 32;

/// What to wait for on a socket.
pub(super) fn interest(read: bool, write: bool) -> Interest {
    match (read, write) {
        (true, true) => Interest::READABLE | Interest::WRITABLE,
        (false, true) => Interest::WRITABLE,
        (true | false, false) => Interest::READABLE,
    }
}

/// Readiness of a connection that may not stand yet.
pub(super) async fn ready(stream: Option<&TcpStream>, interest: Interest) -> io::Result<tokio::io::Ready> {
    match stream {
        Some(stream) => stream.ready(interest).await,
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
