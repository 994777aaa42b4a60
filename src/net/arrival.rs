//! From accept to where a login may begin: where the client comes from, TLS, and which broker it wants.

use super::login::TOO_MANY;
use super::shared::{Door, Shared};
use crate::config::{Brokers, Listener};
use crate::model::{BrokerHost, CloseReason, Host};
use crate::telemetry::LoginOutcome;
use crate::tls::{AcceptError, Distrusted, Stream};
use crate::wire::proxy_header::{ProxyHeader, proxy_header};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A client that may log in.
pub(super) struct Arrived {
    /// Its connection.
    pub(super) stream: Stream,
    /// Ends when the certificate that it showed is no longer taken.
    pub(super) distrusted: Option<Distrusted>,
    /// The broker that it wants; `None`: whichever.
    pub(super) broker: Option<i32>,
}

/// One that may not.
pub(super) struct NotArrived {
    /// Why its connection ends.
    pub(super) reason: CloseReason,
    /// In words.
    pub(super) detail: String,
    /// Whether its certificate is what it has no right to.
    pub(super) is_login: bool,
}

impl NotArrived {
    fn of(reason: CloseReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), is_login: false }
    }
}

/// What TLS clients of a listener may call it, where that says which broker they want. It says nothing else: who a client is
/// and how it proves so never follows from a name that it chooses itself (threat 33).
pub(super) struct Names {
    brokers: BrokerHost,
    bootstrap: String,
}

impl Names {
    /// The names of a listener; `None` where brokers have ports.
    pub(super) fn of(listener: &Listener) -> Option<Self> {
        match &listener.brokers {
            Brokers::Ports { .. } | Brokers::Map(_) => None,
            Brokers::Sni { host, .. } => {
                let bootstrap = listener.advertise.trim_end_matches('.').to_ascii_lowercase();
                Some(Self { brokers: host.clone(), bootstrap })
            }
        }
    }

    /// Which broker is asked for; inside, `None` is whichever.
    fn broker(&self, asked: Option<&str>) -> Result<Option<i32>, NotArrived> {
        // Who connects to an address, or to a name without a dot, names nothing.
        let Some(asked) = asked else { return Ok(None) };
        let name = asked.trim_end_matches('.').to_ascii_lowercase();
        match self.brokers.id(&name) {
            Some(id) => Ok(Some(id)),
            None if name == self.bootstrap => Ok(None),
            None => {
                let detail = format!(
                    "the client asked for host `{name}`, which is neither `advertise` nor of the form `{}`",
                    self.brokers
                );
                Err(NotArrived::of(CloseReason::UnknownServerName, detail))
            }
        }
    }
}

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The other end of the connection.
    pub(super) peer: SocketAddr,
    /// The client.
    pub(super) host: Host,
    /// The client's port; of no use where its address is not known.
    pub(super) port: u16,
}

impl Origin {
    /// A client that has connected by itself.
    pub(super) fn direct(peer: SocketAddr) -> Self {
        Self { peer, host: Host::new(peer.ip()), port: peer.port() }
    }

    /// As a balancer tells it.
    fn told(peer: SocketAddr, client: Option<SocketAddr>) -> Self {
        match client {
            Some(client) => Self { peer, host: Host::new(client.ip()), port: client.port() },
            None => Self { peer, host: Host::unknown(peer.ip()), port: 0 },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
        match self.host.ip().map(|ip| SocketAddr::new(ip, self.port)) {
            Some(client) if client == peer => client.fmt(f),
            Some(client) => write!(f, "{client} through {peer}"),
            None => write!(f, "unknown through {peer}"),
        }
    }
}

/// Whether a connection comes from where it must: nobody comes past the balancers, where some stand before a listener.
pub(super) fn from_balancer(peer: SocketAddr, balancers: &[IpNet]) -> Result<(), NotArrived> {
    let ip = peer.ip().to_canonical();
    if balancers.is_empty() || balancers.iter().any(|network| network.contains(&ip)) {
        return Ok(());
    }
    let detail = format!("{ip} is in no network of `proxy_protocol`");
    Err(NotArrived::of(CloseReason::NotFromBalancer, detail))
}

/// Finds out where a client comes from. Where balancers stand before a listener they must say it: if it were up to the other
/// side whether it does, a client could name an address of its choice (threat 33).
pub(super) async fn introduce(
    tcp: &mut TcpStream,
    peer: SocketAddr,
    balancers: &[IpNet],
    deadline: Instant,
) -> Result<Origin, NotArrived> {
    from_balancer(peer, balancers)?;
    if balancers.is_empty() {
        return Ok(Origin::direct(peer));
    }
    let header = async {
        let mut bytes = Vec::new();
        loop {
            let needs = match proxy_header(&bytes) {
                Ok(ProxyHeader::Complete { client, .. }) => return Ok(Origin::told(peer, client)),
                Ok(ProxyHeader::Needs(needs)) => needs,
                Err(error) => return Err(NotArrived::of(CloseReason::ProxyHeader, error.to_string())),
            };
            // Not one byte of what comes behind.
            let left = needs.saturating_sub(bytes.len());
            let mut limited = (&mut *tcp).take(u64::try_from(left).unwrap_or(0));
            match limited.read_buf(&mut bytes).await {
                Ok(0) => return Err(NotArrived::of(CloseReason::ClientEof, "the end came before a PROXY header")),
                Ok(_) => {}
                Err(error) => {
                    let detail = format!("the connection broke before a PROXY header: {error}");
                    return Err(NotArrived::of(CloseReason::ClientReset, detail));
                }
            }
        }
    };
    match tokio::time::timeout_at(deadline, header).await {
        Ok(origin) => origin,
        Err(_) => {
            let detail = "no PROXY header within `limits.handshake_timeout`";
            Err(NotArrived::of(CloseReason::HandshakeTimeout, detail))
        }
    }
}

/// Does what stands before a login, before anything is asked of identity, policy or brokers. `broker`: that of the port.
pub(super) async fn arrive(
    client: TcpStream,
    broker: Option<i32>,
    shared: &Shared,
    door: &Door,
    (ip, deadline): (IpAddr, Instant),
) -> Result<Arrived, NotArrived> {
    let (stream, distrusted) = secure(client, shared, door, (ip, deadline)).await?;
    let broker = match &door.names {
        Some(names) => names.broker(stream.server_name())?,
        None => broker,
    };
    Ok(Arrived { stream, distrusted, broker })
}

/// The handshake, where the listener has TLS.
async fn secure(
    client: TcpStream,
    shared: &Shared,
    door: &Door,
    (ip, deadline): (IpAddr, Instant),
) -> Result<(Stream, Option<Distrusted>), NotArrived> {
    let Some(tls) = &door.tls else { return Ok((Stream::Plain(client), None)) };
    // Who shows wrong certificates is slowed down as who tries passwords is.
    if tls.settings().trust().is_some() && shared.failures.too_many(ip, door.login.per_minute) {
        let detail = TOO_MANY.to_owned();
        return Err(NotArrived { reason: CloseReason::LoginFailed, detail, is_login: true });
    }
    let error = match tokio::time::timeout_at(deadline, tls.accept(client)).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
        Err(_) => {
            let detail = "no handshake within `limits.handshake_timeout`";
            return Err(NotArrived::of(CloseReason::HandshakeTimeout, detail));
        }
    };
    let is_login = error.is_certificate();
    if is_login {
        door.metrics.login(LoginOutcome::Failed);
        shared.failures.count(ip);
    }
    let reason = match error {
        AcceptError::PeerSentPlaintext => CloseReason::PlaintextOnTls,
        AcceptError::PeerSentProxyHeader => CloseReason::ProxyHeader,
        AcceptError::PeerLeft(_) => CloseReason::ClientEof,
        AcceptError::Handshake(_) | AcceptError::PeerSentMuch(_) => CloseReason::HandshakeFailed,
    };
    Err(NotArrived { reason, detail: error.to_string(), is_login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_the_broker_and_no_name_or_that_of_bootstrap_any() {
        let names = Names {
            brokers: BrokerHost::parse("broker-{id}.kafka.example.com").unwrap(),
            bootstrap: "kafka.example.com".to_owned(),
        };
        let broker = |asked| names.broker(asked).map_err(|refused| (refused.reason, refused.detail));
        assert_eq!(broker(None), Ok(None));
        assert_eq!(broker(Some("kafka.example.com")), Ok(None));
        assert_eq!(broker(Some("BROKER-12.kafka.example.COM.")), Ok(Some(12)));
        for other in ["example.com", "broker-x.kafka.example.com", "broker-01.kafka.example.com", "a.kafka.example.com"]
        {
            let (reason, detail) = broker(Some(other)).unwrap_err();
            assert_eq!(reason, CloseReason::UnknownServerName);
            assert!(detail.contains(other) && detail.contains("broker-{id}.kafka.example.com"), "{detail}");
        }
    }

    #[test]
    fn the_log_tells_the_client_and_the_balancer() {
        let peer = "[::ffff:10.0.0.1]:40000".parse().unwrap();
        let client = Some("203.0.113.7:51201".parse().unwrap());
        assert_eq!(Origin::told(peer, client).to_string(), "203.0.113.7:51201 through 10.0.0.1:40000");
        assert_eq!(Origin::told(peer, None).to_string(), "unknown through 10.0.0.1:40000");
        assert_eq!(Origin::direct(peer).to_string(), "10.0.0.1:40000");
    }
}
