//! What a connection does with a socket, plain or over TLS. A plain one has nothing beside its two halves.

use crate::session::Outbox;
use crate::tls::Stream;
use bytes::{BufMut as _, BytesMut};
use rustls::Connection;
use std::future::Future;
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::pin::Pin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Slices of one vectored write.
const SLICES: usize = 32;

/// A connection, to be read while it is waited for to take more.
pub(super) struct Socket {
    reads: OwnedReadHalf,
    writes: OwnedWriteHalf,
    tls: Option<Box<Connection>>,
}

/// What reads from a connection.
pub(super) struct Reads<'a> {
    half: &'a mut OwnedReadHalf,
    tls: Option<&'a mut Connection>,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        let (tcp, tls) = stream.into_parts();
        let (reads, writes) = tcp.into_split();
        Self { reads, writes, tls }
    }

    /// What reads, and what is waited for before a write.
    pub(super) fn halves(&mut self) -> (Reads<'_>, &OwnedWriteHalf) {
        (Reads { half: &mut self.reads, tls: self.tls.as_deref_mut() }, &self.writes)
    }

    /// What tells that there is something to read, or that the other side has ended.
    pub(super) fn incoming(&self) -> &OwnedReadHalf {
        &self.reads
    }

    /// Whether this, or something of what was written before, still has to leave.
    pub(super) fn owes(&self, outbox: &Outbox) -> bool {
        !outbox.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads into the room that the buffer has, at most this many bytes.
    pub(super) async fn read(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize> {
        read(Some(self.halves().0), into, most).await
    }

    /// Writes what the socket takes of what waits for it; how many bytes that was, before they were encrypted.
    pub(super) fn flush(&mut self, outbox: &mut Outbox) -> io::Result<usize> {
        match &mut self.tls {
            None => flush_plain(self.writes.as_ref(), outbox),
            Some(tls) => flush_tls(self.writes.as_ref(), tls, outbox),
        }
    }

    /// Waits until everything has left.
    pub(super) async fn flush_all(&mut self, outbox: &mut Outbox) -> io::Result<usize> {
        let mut total = 0;
        loop {
            total += self.flush(outbox)?;
            if !self.owes(outbox) {
                return Ok(total);
            }
            self.writes.writable().await?;
        }
    }

    /// Says that nothing more comes from this side. Over TLS it says so within it.
    pub(super) async fn shut_down(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            self.flush_all(&mut Outbox::default()).await?;
        }
        self.writes.shutdown().await
    }

    /// Reads, and forgets, what comes until the other side has ended. Nothing of it is decrypted.
    pub(super) async fn drain(&mut self) -> io::Result<()> {
        let mut rest = [0u8; 4096];
        while self.reads.read(&mut rest).await? > 0 {}
        Ok(())
    }
}

/// Reads into the room that the buffer has, at most this many bytes. A read that gets fewer than there was room for knows
/// that there are no more: it is not tried again before the socket says so. Dropped half way, it has taken nothing.
pub(super) async fn read(from: Option<Reads<'_>>, into: &mut BytesMut, most: usize) -> io::Result<usize> {
    let Some(Reads { half, tls }) = from else { return std::future::pending().await };
    // Without a bound the buffer would grow beyond its room.
    let room = (into.capacity() - into.len()).min(most);
    match tls {
        None => half.read_buf(&mut into.limit(room)).await,
        Some(tls) => loop {
            // What is decrypted comes without asking the socket, which is where a task else lets others run.
            tokio::task::coop::consume_budget().await;
            if let Some(read) = decrypted(tls, into, room)? {
                return Ok(read);
            }
            half.readable().await?;
            receive(half.as_ref(), tls)?;
        },
    }
}

/// Moves what is decrypted already; `None`: nothing is.
fn decrypted(tls: &mut Connection, into: &mut BytesMut, room: usize) -> io::Result<Option<usize>> {
    let (mut reader, mut total) = (tls.reader(), 0);
    loop {
        match reader.fill_buf() {
            // At the end of the stream, or of the room.
            Ok(chunk) => {
                let n = chunk.len().min(room - total);
                if n == 0 {
                    return Ok(Some(total));
                }
                into.put_slice(chunk.get(..n).unwrap_or_default());
                reader.consume(n);
                total += n;
            }
            Err(_) if total > 0 => return Ok(Some(total)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // It left without a word, as many clients do: requests have lengths, so that nothing can be cut off unseen.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(0)),
            Err(error) => return Err(error),
        }
    }
}

/// Takes what the socket has, and decrypts it.
fn receive(tcp: &TcpStream, tls: &mut Connection) -> io::Result<()> {
    let mut now = Now(tcp);
    // As long as it has whole records in one turn: each is a system call, and a turn of the loop costs more.
    for _ in 0..8 {
        match tls.read_tls(&mut now) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        match tls.process_new_packets() {
            // No more than a record is held decrypted.
            Ok(state) if state.plaintext_bytes_to_read() > 0 => break,
            Ok(_) => {}
            Err(error) => {
                // The other side is told why, if it still listens.
                let _ = tls.write_tls(&mut now);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
    Ok(())
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

fn flush_plain(stream: &TcpStream, outbox: &mut Outbox) -> io::Result<usize> {
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

/// Encrypts only what the socket is about to take: what is encrypted waits in a buffer of 64 KiB at most, and the rest in
/// the outbox, where it can still be judged anew.
fn flush_tls(stream: &TcpStream, tls: &mut Connection, outbox: &mut Outbox) -> io::Result<usize> {
    let (mut now, mut total) = (Now(stream), 0);
    loop {
        while tls.wants_write() {
            match tls.write_tls(&mut now) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
                Err(error) => return Err(error),
            }
        }
        if outbox.is_empty() {
            return Ok(total);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = outbox.slices(&mut slices);
        let taken = tls.writer().write_vectored(slices.get(..filled).unwrap_or_default())?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        outbox.advance(taken);
        total += taken;
    }
}

/// A socket as rustls wants it: what does not go at once is `WouldBlock`.
struct Now<'a>(&'a TcpStream);

impl io::Read for Now<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl io::Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Bounded;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

    #[tokio::test]
    async fn who_has_much_decrypted_lets_others_run() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let (server, client) = (
            ServerConfig::builder_with_provider(Arc::new(default_provider())),
            ClientConfig::builder_with_provider(Arc::new(default_provider())),
        );
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = TlsAcceptor::from(Arc::new(server.with_single_cert(vec![made.cert.der().clone()], key).unwrap()));
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let client = TlsConnector::from(Arc::new(client.with_no_client_auth()));
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let accepted = Bounded::new(port.accept().await.unwrap().0, None);
        let (client, server) = tokio::join!(client.connect(name, tcp), server.accept(accepted));
        let mut client = client.unwrap();
        client.write_all(&[7; 4096]).await.unwrap();
        client.flush().await.unwrap();

        let mut socket = Socket::new(Stream::Tls(Box::new(TlsStream::Server(server.unwrap()))));
        let mut into = BytesMut::with_capacity(8192);
        assert_eq!(socket.read(&mut into, 1).await.unwrap(), 1);
        // From here on everything is there: no read waits for the socket.
        let ran = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&ran);
        tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
        for _ in 1..4096 {
            assert_eq!(socket.read(&mut into, 1).await.unwrap(), 1);
        }
        assert!(ran.load(Ordering::Relaxed));
    }
}
