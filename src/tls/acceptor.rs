//! TLS of a listener.

use super::bounded::{Bounded, TooMuch};
use super::files::{TlsError, authorities, pair, refused, revocations};
use super::stream::Stream;
use super::{provider, versions};
use crate::clock::now;
use crate::config::{ClientAuth, ClientTrust, ListenerTls};
use crate::identity::certificate::{Certificate, next_update};
use crate::model::Timestamp;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{HandshakeKind, ServerConfig};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// What `listeners[].tls` makes of a connection. Sessions to be resumed are remembered in the configuration that made them,
/// so that none outlives it, nor is known to another listener (threat 33); there is no early data.
#[derive(Debug)]
pub struct Acceptor {
    settings: ListenerTls,
    current: watch::Sender<Current>,
}

/// What is in force.
#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the revocation lists end.
    list_ends: Arc<[Timestamp]>,
}

/// Ends when a client's certificate would no longer be taken; says why.
pub type Distrusted = Pin<Box<dyn Future<Output = String> + Send>>;

/// Why a client has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It sends something else.
    #[error("a client without TLS connected to a listener with it: set `security.protocol` to SSL or SASL_SSL there")]
    PeerSentPlaintext,
    /// A balancer introduces it.
    #[error("a PROXY header on a listener without `proxy_protocol`: name the balancer's network there")]
    PeerSentProxyHeader,
    /// It left before it said anything, or in the middle.
    #[error("the client ended the connection in the handshake: {0}")]
    PeerLeft(io::Error),
    /// Its handshake is longer than any.
    #[error("the client sent more than {0} bytes of a handshake")]
    PeerSentMuch(usize),
    /// The handshake failed.
    #[error("{}", super::client_fault(.0))]
    Handshake(rustls::Error),
}

impl AcceptError {
    /// Whether the certificate that the client showed, or did not show, is the reason: a failed login.
    pub fn is_certificate(&self) -> bool {
        matches!(self, Self::Handshake(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented))
    }
}

/// The first byte of every TLS handshake. A Kafka request would have to be 352 MiB long to begin so.
const HANDSHAKE: u8 = 0x16;

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that cannot be read or used, a key that does not belong to its certificate.
    pub fn load(settings: ListenerTls) -> Result<Self, TlsError> {
        let current = watch::Sender::new(Current::of(&settings)?);
        Ok(Self { settings, current })
    }

    /// Reads the files again. Handshakes from now on go by them, with nothing to resume; with an error by what was in force.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.send_replace(Current::of(&self.settings)?);
        Ok(())
    }

    /// The settings.
    pub fn settings(&self) -> &ListenerTls {
        &self.settings
    }

    /// Does the handshake with a client; with what watches over the certificate that it showed.
    ///
    /// # Errors
    /// The client speaks no TLS, or none that is taken here.
    pub async fn accept(&self, tcp: TcpStream) -> Result<(Stream, Option<Distrusted>), AcceptError> {
        let mut first = [0_u8];
        match tcp.peek(&mut first).await.map_err(AcceptError::PeerLeft)? {
            0 => return Err(AcceptError::PeerLeft(io::ErrorKind::UnexpectedEof.into())),
            _ => match first {
                [HANDSHAKE] => {}
                // In front of whatever follows; requests that begin so would be as long as those below.
                [b'\r' | b'P'] => return Err(AcceptError::PeerSentProxyHeader),
                [_] => return Err(AcceptError::PeerSentPlaintext),
            },
        }
        let mut changes = self.current.subscribe();
        let config = Arc::clone(&changes.borrow_and_update().config);
        let most = if self.settings.trust().is_some() { LONGEST_WITH_CHAIN } else { LONGEST };
        let handshake = TlsAcceptor::from(config).accept(Bounded::new(tcp, Some(most))).await;
        let mut stream = handshake.map_err(|error| match super::of_tls(&error) {
            Some(fault) => AcceptError::Handshake(fault.clone()),
            None if error.get_ref().is_some_and(|inner| inner.is::<TooMuch>()) => AcceptError::PeerSentMuch(most),
            None => AcceptError::PeerLeft(error),
        })?;
        stream.get_mut().0.release();
        let session = stream.get_ref().1;
        let chain = session.peer_certificates().map(<[_]>::to_vec);
        // What is resumed was checked when the session began: since then the certificate or a list may have ended.
        if let (Some(HandshakeKind::Resumed), Some(chain)) = (session.handshake_kind(), &chain) {
            self.current.borrow().check(chain).map_err(AcceptError::Handshake)?;
        }
        let watch = chain.map(|chain| Box::pin(distrusted(chain, changes, LOOK)) as Distrusted);
        Ok((Stream::Tls(Box::new(TlsStream::Server(stream))), watch))
    }
}

/// What a client may send in a handshake. It says hello in some hundred bytes, in two thousand with keys against quantum
/// computers.
const LONGEST: usize = 16 * 1024;
/// The same with certificates: as long as rustls takes a message.
const LONGEST_WITH_CHAIN: usize = 64 * 1024;

/// How often a chain is looked at again at least: whatever may end that says no end, nobody stays much longer.
const LOOK: Duration = Duration::from_secs(600);

/// Looks at a chain again whenever other authorities or lists may be in force, when one of its certificates or a list ends,
/// and as often as this.
async fn distrusted(
    chain: Vec<CertificateDer<'static>>,
    mut changes: watch::Receiver<Current>,
    often: Duration,
) -> String {
    let end_of = |one: &CertificateDer<'_>| Certificate::read(one).ok().map(|read| read.not_after);
    // Of one that cannot be read no end is known; it names nobody.
    let own = chain.first().and_then(end_of);
    let ends: Vec<Timestamp> = chain.iter().filter_map(end_of).collect();
    loop {
        let from = now();
        let next = {
            let current = changes.borrow();
            // The second in which something ends belongs to it, for who checks chains.
            ends.iter().chain(&*current.list_ends).filter(|end| end.plus_millis(1000) > from).min().copied()
        };
        // The wall clock may be set while this waits.
        let left = next.map_or(often, |end| Duration::from_millis(u64::try_from(end.millis_since(from)).unwrap_or(0)));
        let look = tokio::time::sleep(left.min(often) + Duration::from_millis(500));
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = look => {}
        }
        if let Err(error) = changes.borrow_and_update().check(&chain) {
            return super::client_fault(&error);
        }
        if own.is_some_and(|end| now() >= end) {
            return "the client's certificate has ended".to_owned();
        }
    }
    // The listener is gone, and its connections with it.
    std::future::pending().await
}

impl Current {
    fn of(settings: &ListenerTls) -> Result<Self, TlsError> {
        let lists = settings.trust().map(lists).transpose()?.unwrap_or_default();
        let list_ends = lists.iter().filter_map(|list| next_update(list).ok().flatten()).collect();
        let verifier = match &settings.client_auth {
            ClientAuth::None => None,
            ClientAuth::Requested(trust) => Some(verifier(trust, lists, false)?),
            ClientAuth::Required(trust) => Some(verifier(trust, lists, true)?),
        };
        let config = Arc::new(server_config(settings, verifier.clone())?);
        Ok(Self { config, verifier, list_ends })
    }

    /// Whether a chain that a client has shown would be taken now.
    fn check(&self, chain: &[CertificateDer<'static>]) -> Result<(), rustls::Error> {
        match (&self.verifier, chain.split_first()) {
            (Some(verifier), Some((own, others))) => {
                verifier.verify_client_cert(own, others, UnixTime::now()).map(|_| ())
            }
            // Nothing was shown, or nothing is asked for.
            _ => Ok(()),
        }
    }
}

fn server_config(
    settings: &ListenerTls,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = pair(&settings.identity)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(TlsError::Refused)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    builder.with_single_cert(chain, key).map_err(|error| refused(&settings.identity, error))
}

/// The revocation lists of all files.
fn lists(trust: &ClientTrust) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Result<Vec<_>, _> = trust.crl.iter().map(|file| revocations(file)).collect();
    Ok(lists?.into_iter().flatten().collect())
}

/// Checks chains up to an authority, against every list there is: a list that has ended is no list.
fn verifier(
    trust: &ClientTrust,
    lists: Vec<CertificateRevocationListDer<'static>>,
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = authorities(&trust.ca)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = builder.with_crls(lists).enforce_revocation_expiration();
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Verifier(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KeyPair, TlsVersion};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose};
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{CertificateError, ClientConfig, RootCertStore, SupportedProtocolVersion};
    use std::path::Path;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    /// An authority, whose certificate goes into this file.
    fn authority(file: &Path) -> Issuer<'static, rcgen::KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, file.display().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Issuer::new(params, key)
    }

    struct Stage {
        acceptor: Acceptor,
        port: TcpListener,
        alice: (CertificateDer<'static>, Vec<u8>),
        roots: RootCertStore,
        /// Takes nobody whom the authority of the listener has signed.
        strict: Arc<dyn ClientCertVerifier>,
        _dir: tempfile::TempDir,
    }

    impl Stage {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let file = |name: &str| dir.path().join(name);
            let issuer = authority(&file("ca.pem"));
            authority(&file("other.pem"));
            let sign = |name: &str| {
                let key = rcgen::KeyPair::generate().unwrap();
                let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
                (params.signed_by(&key, &issuer).unwrap(), key)
            };
            let (certificate, key) = sign("localhost");
            std::fs::write(file("server.pem"), certificate.pem()).unwrap();
            std::fs::write(file("server.key"), key.serialize_pem()).unwrap();
            let trust = |ca: &str| ClientTrust { ca: file(ca), crl: vec![] };
            let settings = ListenerTls {
                identity: KeyPair { certificate: file("server.pem"), key: file("server.key") },
                min_version: TlsVersion::Tls12,
                client_auth: ClientAuth::Required(trust("ca.pem")),
            };
            let (alice, key) = sign("alice");
            Self {
                acceptor: Acceptor::load(settings).unwrap(),
                port: TcpListener::bind("127.0.0.1:0").await.unwrap(),
                alice: (alice.der().clone(), key.serialize_der()),
                roots: authorities(&file("ca.pem")).unwrap(),
                strict: verifier(&trust("other.pem"), Vec::new(), true).unwrap(),
                _dir: dir,
            }
        }

        fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
            let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
            let key = PrivateKeyDer::try_from(self.alice.1.clone()).unwrap();
            let builder = builder.with_root_certificates(self.roots.clone());
            Arc::new(builder.with_client_auth_cert(vec![self.alice.0.clone()], key).unwrap())
        }

        /// A connection, until the client has what it can resume; what watches over it, and how it was made.
        async fn connect(
            &self,
            client: &Arc<ClientConfig>,
        ) -> Result<(Distrusted, Option<HandshakeKind>), AcceptError> {
            let address = self.port.local_addr().unwrap();
            let dial = async {
                let tcp = TcpStream::connect(address).await.unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let Ok(mut tls) = TlsConnector::from(Arc::clone(client)).connect(name, tcp).await else { return None };
                // With an error if the listener has closed.
                let _ = tls.read_exact(&mut [0]).await;
                tls.get_ref().1.handshake_kind()
            };
            let serve = async {
                let (mut stream, watch) = self.acceptor.accept(self.port.accept().await.unwrap().0).await?;
                stream.write_all(b"x").await.unwrap();
                stream.flush().await.unwrap();
                Ok(watch.unwrap())
            };
            let (kind, served) = tokio::join!(dial, serve);
            Ok((served?, kind))
        }

        /// Lets time pass, as it were: what was taken no longer is, and nobody says so.
        fn ends(&self) {
            self.acceptor.current.send_if_modified(|current| {
                current.verifier = Some(Arc::clone(&self.strict));
                false
            });
        }
    }

    #[tokio::test]
    async fn threat_24_who_resumes_a_session_is_checked_as_who_begins_one() {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let stage = Stage::new().await;
            let client = stage.client(version);
            assert_eq!(stage.connect(&client).await.unwrap().1, Some(HandshakeKind::Full));
            assert_eq!(stage.connect(&client).await.unwrap().1, Some(HandshakeKind::Resumed));
            stage.ends();
            let refused = stage.connect(&client).await.map(|(_, kind)| kind).unwrap_err();
            let AcceptError::Handshake(rustls::Error::InvalidCertificate(cause)) = &refused else {
                panic!("{refused:?}")
            };
            assert_eq!(*cause, CertificateError::UnknownIssuer);
            assert!(refused.is_certificate(), "it counts as a failed login");
        }
    }

    #[tokio::test]
    async fn threat_24_an_open_connection_is_looked_at_again_though_nobody_says_that_anything_changed() {
        let stage = Stage::new().await;
        // A chain whose end the proxy cannot read is looked at as well.
        for chain in [vec![stage.alice.0.clone()], vec![CertificateDer::from(vec![0x30, 0])]] {
            stage.ends();
            let watch = distrusted(chain, stage.acceptor.current.subscribe(), Duration::from_millis(1));
            let why = tokio::time::timeout(Duration::from_secs(20), watch).await.expect("an end");
            assert!(why.contains("certificate"), "{why}");
        }
        let stage = Stage::new().await;
        let client = stage.client(&rustls::version::TLS13);
        let (watch, _) = stage.connect(&client).await.unwrap();
        let sound = tokio::time::timeout(Duration::from_millis(50), watch).await;
        assert!(sound.is_err(), "who is taken stays: {sound:?}");
    }
}
