//! TLS of a listener.

use super::files::{TlsError, authorities, certificates, key, leaf, read, refused, revocations};
use super::stream::Stream;
use super::{provider, versions};
use crate::config::{ClientAuth, ClientTrust, ListenerTls};
use crate::identity::certificate::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
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
}

/// Ends when a client's certificate would no longer be taken; says why.
pub type Distrusted = Pin<Box<dyn Future<Output = String> + Send>>;

/// Why a client has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It sends something else.
    #[error("a client without TLS connected to a listener with it: set `security.protocol` to SSL or SASL_SSL there")]
    PeerSentPlaintext,
    /// It left before it said anything, or in the middle.
    #[error("the client ended the connection in the handshake: {0}")]
    PeerLeft(io::Error),
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
            _ if first != [HANDSHAKE] => return Err(AcceptError::PeerSentPlaintext),
            _ => {}
        }
        let mut changes = self.current.subscribe();
        let config = Arc::clone(&changes.borrow_and_update().config);
        let handshake = TlsAcceptor::from(config).accept(tcp).await;
        let stream = handshake.map_err(|error| match super::of_tls(&error) {
            Some(fault) => AcceptError::Handshake(fault.clone()),
            None => AcceptError::PeerLeft(error),
        })?;
        let chain = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        let watch = chain.map(|chain| Box::pin(distrusted(chain, changes)) as Distrusted);
        Ok((Stream::Tls(Box::new(TlsStream::Server(stream))), watch))
    }
}

/// The last moment of the year 9999, in milliseconds: what certificates without an end have.
const NEVER: u64 = 253_402_300_799_000;
/// How long the end of a certificate is waited for at once.
const LOOK: Duration = Duration::from_secs(600);

/// Looks at a chain again whenever other authorities or lists may be in force, and when its first certificate ends.
async fn distrusted(chain: Vec<CertificateDer<'static>>, mut changes: watch::Receiver<Current>) -> String {
    let own = chain.first().and_then(|own| Certificate::read(own).ok());
    // Of one that cannot be read no end is known; it names nobody.
    let end = own.and_then(|own| u64::try_from(own.not_after.0).ok()).unwrap_or(NEVER);
    let end = UNIX_EPOCH + Duration::from_millis(end);
    loop {
        let ended = async {
            // The wall clock may be set while this waits.
            while let Ok(left) = end.duration_since(SystemTime::now()) {
                tokio::time::sleep(left.min(LOOK) + Duration::from_millis(500)).await;
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = ended => {}
        }
        let verifier = changes.borrow_and_update().verifier.clone();
        let (Some(verifier), Some((own, others))) = (verifier, chain.split_first()) else { break };
        if let Err(error) = verifier.verify_client_cert(own, others, UnixTime::now()) {
            return super::client_fault(&error);
        }
        if SystemTime::now() >= end {
            return "the client's certificate has ended".to_owned();
        }
    }
    // The listener is gone, and its connections with it.
    std::future::pending().await
}

impl Current {
    fn of(settings: &ListenerTls) -> Result<Self, TlsError> {
        let verifier = match &settings.client_auth {
            ClientAuth::None => None,
            ClientAuth::Requested(trust) => Some(verifier(trust, false)?),
            ClientAuth::Required(trust) => Some(verifier(trust, true)?),
        };
        let config = Arc::new(server_config(settings, verifier.clone())?);
        Ok(Self { config, verifier })
    }
}

fn server_config(
    settings: &ListenerTls,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let pair = &settings.identity;
    let chain = certificates(&pair.certificate, &read(&pair.certificate)?)?;
    leaf(&pair.certificate, &chain)?;
    let key = key(&pair.key, &read(&pair.key)?)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(TlsError::Refused)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    builder.with_single_cert(chain, key).map_err(|error| refused(pair, error))
}

/// Checks chains up to an authority, against every list there is: a list that has ended is no list.
fn verifier(trust: &ClientTrust, required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = authorities(&trust.ca, &read(&trust.ca)?)?;
    let mut lists = Vec::new();
    for file in &trust.crl {
        lists.extend(revocations(file, &read(file)?)?);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = builder.with_crls(lists).enforce_revocation_expiration();
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Verifier(error.to_string()))
}
