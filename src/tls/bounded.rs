//! A socket that gives a handshake so many bytes and no more: what has come of an unfinished message is held in memory, and
//! who sends it may be anybody.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket below TLS.
#[derive(Debug)]
pub struct Bounded {
    tcp: TcpStream,
    /// What it still gives; `None`: everything.
    left: Option<usize>,
}

/// More came than was let through.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than a handshake takes")]
pub(super) struct TooMuch;

impl Bounded {
    /// A socket that gives this many bytes, and at most what one read brings beside; `None`: everything.
    pub fn new(tcp: TcpStream, most: Option<usize>) -> Self {
        Self { tcp, left: most }
    }

    /// Gives everything from now on.
    pub fn release(&mut self) {
        self.left = None;
    }

    /// The socket.
    pub fn into_inner(self) -> TcpStream {
        self.tcp
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, TooMuch)));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        let read = buf.filled().len().saturating_sub(before);
        self.left = self.left.map(|left| left.saturating_sub(read));
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
