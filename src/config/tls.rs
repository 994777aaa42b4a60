//! TLS towards brokers and towards clients: which files, which versions.

use std::path::{Path, PathBuf};

/// TLS towards brokers (`cluster.tls`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Who may have signed the brokers' certificates.
    pub ca: Authorities,
    /// What the proxy shows of itself, where brokers ask for it.
    pub identity: Option<KeyPair>,
    /// The name that every broker's certificate must have; `None` = the host it is reached at.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// Where authorities stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Those of the operating system.
    System,
    /// A PEM file; watched, or where the web is asked, read for each request.
    File(PathBuf),
}

impl Authorities {
    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::System => None,
            Self::File(file) => Some(file),
        }
    }
}

/// A certificate chain and the key of its first certificate; both files are PEM and watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, the own certificate first.
    pub certificate: PathBuf,
    /// The private key, without a password.
    pub key: PathBuf,
}

/// TLS of a listener (`listeners[].tls`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// What clients are shown.
    pub identity: KeyPair,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
}

/// Whether clients of a listener show certificates (`listeners[].tls.client_auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked; one that is shown must be valid.
    Requested(ClientTrust),
    /// Who shows none is not served.
    Required(ClientTrust),
}

/// Whose certificates of clients are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// Who may have signed them; watched.
    pub ca: PathBuf,
    /// Lists of what was revoked; watched. With any, each authority of a client's chain needs one.
    pub crl: Vec<PathBuf>,
}

impl ListenerTls {
    /// Whose certificates of clients are taken, if they are asked for any.
    pub fn trust(&self) -> Option<&ClientTrust> {
        match &self.client_auth {
            ClientAuth::None => None,
            ClientAuth::Requested(trust) | ClientAuth::Required(trust) => Some(trust),
        }
    }
}

/// A version of TLS.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}
