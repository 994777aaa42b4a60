//! Whether brokers serve who comes past the proxy (threat 7). What a client does there is neither decided nor written
//! down, so that brokers must let in nobody but the proxy.

use super::dial::Dialler;
use crate::config::{self, HostPort};
use crate::enforce::Topology;
use std::fmt;

/// What is said where the proxy itself does not log in.
pub const NO_LOGIN: &str = "`cluster.sasl` is null: the brokers serve whoever reaches them, without a decision and \
                            without an audit event; let only the proxy reach them, or have them ask for a login";

/// Whether the proxy proves to the brokers who it is: by a login or by a certificate.
pub fn is_known(config: &config::Cluster) -> bool {
    config.own_sasl().is_some() || config.own_tls().is_some_and(|tls| tls.identity.is_some())
}

/// A broker, and what it does with a client that does not log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Its id.
    pub broker: i32,
    /// Where the proxy reaches it.
    pub address: String,
    /// What came of the attempt.
    pub state: State,
}

/// What came of an attempt without a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was served.
    Open,
    /// It was not.
    Shut,
    /// It could not be found out, for this reason.
    Unknown(String),
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, address, state } = self;
        match state {
            State::Open => write!(
                f,
                "broker {broker} at `{address}` serves clients that do not log in: whoever reaches it goes past the \
                 proxy, without a decision and without an audit event; have its listener ask for a login"
            ),
            State::Shut => write!(f, "broker {broker} at `{address}` serves nobody without a login"),
            State::Unknown(why) => {
                write!(f, "whether broker {broker} serves clients that do not log in could not be found out: {why}")
            }
        }
    }
}

/// Tries every broker, one after the other.
pub async fn try_all(config: &config::Cluster, topology: &Topology) -> Vec<Door> {
    let dialler = Dialler::own(config);
    let mut doors = Vec::new();
    for (id, broker) in &topology.brokers {
        let at = HostPort::from(broker);
        let state = match dialler.serves_anybody(&at).await {
            Ok(true) => State::Open,
            Ok(false) => State::Shut,
            Err(why) => State::Unknown(why.to_string()),
        };
        doors.push(Door { broker: *id, address: at.to_string(), state });
    }
    doors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::broker::{Broker, Seen, Settings, Step};
    use crate::enforce::topology;
    use crate::wire::ApiKey;

    #[tokio::test]
    async fn threat_07_a_broker_that_serves_who_does_not_log_in_is_found() {
        let settings = |script: fn(&Seen) -> Step| Settings { script: Some(Box::new(script)), ..Settings::default() };
        let open = Broker::start(settings(|_| Step::Serve)).await.unwrap();
        // As a broker with SASL: ApiVersions is answered, everything else ends the connection.
        let shut = Broker::start(settings(|seen| match seen.key {
            ApiKey::API_VERSIONS => Step::Serve,
            _ => Step::Close,
        }))
        .await
        .unwrap();
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let brokers = [(1, open.addr()), (2, shut.addr()), (3, gone)].map(|(id, at)| {
            let (host, port) = (at.ip().to_string().into(), at.port());
            (id, topology::Broker { id, host, port, rack: None, versions: [].into() })
        });
        let topology = Topology { brokers: brokers.into(), ..Topology::default() };
        let doors = try_all(&config::Cluster::plain("c", vec![]), &topology).await;
        let states: Vec<&State> = doors.iter().map(|door| &door.state).collect();
        assert!(matches!(states[..], [State::Open, State::Shut, State::Unknown(_)]), "{states:?}");
        assert!(doors[0].to_string().contains("serves clients that do not log in"), "{}", doors[0]);
    }

    #[tokio::test]
    async fn threat_07_a_broker_that_breaks_off_is_not_taken_for_one_that_asks_for_a_certificate() {
        use crate::config::{Authorities, KeyPair, TlsVersion, UpstreamTls};
        use rustls::pki_types::PrivateKeyDer;
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let [certificate, key] = ["pem", "key"].map(|name| dir.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], private).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                // Speaks TLS with whoever comes, then hangs up.
                let (tcp, _) = listener.accept().await.unwrap();
                let _ = acceptor.accept(tcp).await;
            }
        });
        let tls = UpstreamTls {
            ca: Authorities::File(certificate.clone()),
            identity: Some(KeyPair { certificate, key }),
            server_name: None,
            min_version: TlsVersion::Tls12,
        };
        let config = config::Cluster { tls: Some(tls), ..config::Cluster::plain("c", vec![]) };
        let (host, port) = (at.ip().to_string(), at.port());
        let broker = topology::Broker { id: 1, host: host.into(), port, rack: None, versions: [].into() };
        let topology = Topology { brokers: [(1, broker)].into(), ..Topology::default() };
        let doors = try_all(&config, &topology).await;
        serving.abort();
        let State::Unknown(why) = &doors[0].state else { panic!("{doors:?}") };
        assert!(why.contains("ended the connection during ApiVersions"), "{why}");
    }
}
