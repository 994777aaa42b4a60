//! TLS towards brokers.

use super::bounded::Bounded;
use super::files::{TlsError, authorities, chain, pair, refused};
use super::stream::Stream;
use super::{provider, versions};
use crate::config::{Authorities, TlsVersion, UpstreamTls};
use crate::identity::certificate::Certificate;
use arc_swap::ArcSwapOption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

/// What `cluster.tls` makes of a connection. Read when it is first needed, and again by [`Self::load`].
#[derive(Debug)]
pub struct Upstream {
    settings: UpstreamTls,
    current: ArcSwapOption<ClientConfig>,
}

impl Upstream {
    /// Of these settings, unread.
    pub fn new(settings: UpstreamTls) -> Self {
        Self { settings, current: ArcSwapOption::empty() }
    }

    /// As somebody would connect who has no certificate.
    pub fn without_certificate(&self) -> Self {
        Self::new(UpstreamTls { identity: None, ..self.settings.clone() })
    }

    /// The settings.
    pub fn settings(&self) -> &UpstreamTls {
        &self.settings
    }

    /// Reads the files. Connections made from now on go by them; with an error by what was in force.
    ///
    /// # Errors
    /// A file that cannot be read or used, a key that does not belong to its certificate.
    pub fn load(&self) -> Result<(), TlsError> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let config = Arc::new(client_config(&self.settings)?);
        self.current.store(Some(Arc::clone(&config)));
        Ok(config)
    }

    /// What the proxy's certificate for brokers says, as the file has it now; `None` without one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(settings: &UpstreamTls) -> Result<Option<Certificate>, TlsError> {
        settings.identity.as_ref().map(|own| Ok(chain(&own.certificate)?.1)).transpose()
    }

    /// Does the handshake with a broker of this host name or address.
    ///
    /// # Errors
    /// The files cannot be used, or the handshake fails.
    pub async fn connect(&self, host: &str, tcp: TcpStream) -> Result<Stream, ConnectError> {
        let config = match self.current.load_full() {
            Some(config) => config,
            None => self.read()?,
        };
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        // A dot at the end is for the resolver; certificates have none.
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(|_| ConnectError::Name)?;
        let stream =
            TlsConnector::from(config).connect(name, Bounded::new(tcp, None)).await.map_err(ConnectError::Handshake)?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
    }
}

/// Why there is no TLS with a broker.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The files.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// Its host is no name that a certificate can have.
    #[error("its host is no name that a certificate can have: see `server_name`")]
    Name,
    /// The handshake.
    #[error("{0}")]
    Handshake(io::Error),
}

fn client_config(settings: &UpstreamTls) -> Result<ClientConfig, TlsError> {
    let roots = roots(&settings.ca)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.min_version))
        .map_err(TlsError::Refused)?
        .with_root_certificates(roots);
    match &settings.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(own) => {
            let (chain, key) = pair(own)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| refused(own, error))
        }
    }
}

/// What servers of the web are trusted by: these authorities, or nobody where nothing is secured.
///
/// # Errors
/// The file cannot be read or used, or the system has none.
pub fn web_client(ca: Option<&Authorities>) -> Result<ClientConfig, TlsError> {
    let roots = ca.map_or_else(|| Ok(RootCertStore::empty()), roots)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(TlsVersion::Tls12))
        .map_err(TlsError::Refused)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(ca: &Authorities) -> Result<RootCertStore, TlsError> {
    match ca {
        Authorities::System => system(),
        Authorities::File(file) => authorities(file),
    }
}

fn system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(found.certs);
    if usable == 0 {
        let cause = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(TlsError::System(cause));
    }
    Ok(store)
}
