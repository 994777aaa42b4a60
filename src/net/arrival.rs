//! From accept to where a login may begin: TLS, and which broker the client wants.

use super::login::TOO_MANY;
use super::shared::{Door, Shared};
use crate::config::{Brokers, Listener};
use crate::model::{BrokerHost, CloseReason};
use crate::telemetry::LoginOutcome;
use crate::tls::{AcceptError, Distrusted, Stream};
use std::net::IpAddr;
use tokio::net::TcpStream;

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

/// Does what stands before a login, before anything is asked of identity, policy or brokers. `broker`: that of the port.
pub(super) async fn arrive(
    client: TcpStream,
    broker: Option<i32>,
    shared: &Shared,
    door: &Door,
    ip: IpAddr,
) -> Result<Arrived, NotArrived> {
    let (stream, distrusted) = secure(client, shared, door, ip).await?;
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
    ip: IpAddr,
) -> Result<(Stream, Option<Distrusted>), NotArrived> {
    let Some(tls) = &door.tls else { return Ok((Stream::Plain(client), None)) };
    // Who shows wrong certificates is slowed down as who tries passwords is.
    if tls.settings().trust().is_some() && shared.failures.too_many(ip, door.login.per_minute) {
        let detail = TOO_MANY.to_owned();
        return Err(NotArrived { reason: CloseReason::LoginFailed, detail, is_login: true });
    }
    let error = match tokio::time::timeout(door.handshake, tls.accept(client)).await {
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
        AcceptError::PeerLeft(_) => CloseReason::ClientEof,
        AcceptError::Handshake(_) => CloseReason::HandshakeFailed,
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
}
