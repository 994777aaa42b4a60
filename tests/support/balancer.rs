//! A balancer of connections that says in a PROXY header who connects.

use std::io::{self, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};

/// A header of version 2.
pub fn header(client: SocketAddr) -> Vec<u8> {
    let (family, mut rest) = match client.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [10, 0, 0, 1]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), [0; 16]].concat()),
    };
    rest.extend(client.port().to_be_bytes());
    rest.extend(443_u16.to_be_bytes());
    with(0x21, family, &rest)
}

/// A header with this version and command, family and rest.
pub fn with(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend((rest.len() as u16).to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// Forwards connections. Its clients all come from the address that it was given.
pub struct Balancer {
    port: u16,
    target: Arc<OnceLock<String>>,
}

impl Balancer {
    /// Listens, with nowhere to forward to yet.
    pub fn start(client: SocketAddr) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let target: Arc<OnceLock<String>> = Arc::default();
        let at = Arc::clone(&target);
        std::thread::spawn(move || {
            for front in listener.incoming().map_while(Result::ok) {
                let Some(Ok(mut back)) = at.get().map(TcpStream::connect) else { continue };
                if back.write_all(&header(client)).is_ok() {
                    pipe(&front, &back);
                    pipe(&back, &front);
                }
            }
        });
        Balancer { port, target }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Forwards to this address from now on.
    pub fn forward_to(&self, at: &str) {
        self.target.set(at.to_owned()).expect("no target yet");
    }
}

fn pipe(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
