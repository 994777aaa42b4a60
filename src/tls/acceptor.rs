//! TLS of a listener.

use super::files::{TlsError, authorities, certificates, key, leaf, read, refused, revocations};
use super::stream::Stream;
use super::{provider, versions};
use crate::config::{ClientAuth, ClientTrust, ListenerTls};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// What `listeners[].tls` makes of a connection. Sessions to be resumed are remembered in the configuration that made them,
/// so that none outlives it, nor is known to another listener (threat 33); there is no early data.
#[derive(Debug)]
pub struct Acceptor {
    settings: ListenerTls,
    current: ArcSwap<ServerConfig>,
}

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
        let current = ArcSwap::from_pointee(server_config(&settings)?);
        Ok(Self { settings, current })
    }

    /// Reads the files again. Handshakes from now on go by them, with nothing to resume; with an error by what was in force.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(server_config(&self.settings)?));
        Ok(())
    }

    /// The settings.
    pub fn settings(&self) -> &ListenerTls {
        &self.settings
    }

    /// Does the handshake with a client.
    ///
    /// # Errors
    /// The client speaks no TLS, or none that is taken here.
    pub async fn accept(&self, tcp: TcpStream) -> Result<Stream, AcceptError> {
        let mut first = [0_u8];
        match tcp.peek(&mut first).await.map_err(AcceptError::PeerLeft)? {
            0 => return Err(AcceptError::PeerLeft(io::ErrorKind::UnexpectedEof.into())),
            _ if first != [HANDSHAKE] => return Err(AcceptError::PeerSentPlaintext),
            _ => {}
        }
        let handshake = TlsAcceptor::from(self.current.load_full()).accept(tcp).await;
        let stream = handshake.map_err(|error| match super::of_tls(&error) {
            Some(fault) => AcceptError::Handshake(fault.clone()),
            None => AcceptError::PeerLeft(error),
        })?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

fn server_config(settings: &ListenerTls) -> Result<ServerConfig, TlsError> {
    let pair = &settings.identity;
    let chain = certificates(&pair.certificate, &read(&pair.certificate)?)?;
    leaf(&pair.certificate, &chain)?;
    let key = key(&pair.key, &read(&pair.key)?)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(TlsError::Refused)?;
    let builder = match &settings.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Requested(trust) => builder.with_client_cert_verifier(verifier(trust, false)?),
        ClientAuth::Required(trust) => builder.with_client_cert_verifier(verifier(trust, true)?),
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
