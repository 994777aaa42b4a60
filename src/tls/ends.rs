//! When what stands in files of TLS ends.

use super::files::{TlsError, certificates, revocations};
use crate::config::{KeyPair, ListenerTls, UpstreamTls};
use crate::identity::certificate::{Certificate, next_update};
use crate::model::Timestamp;
use std::path::{Path, PathBuf};

/// A file of TLS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsFile {
    /// A chain: it ends with the first of its certificates.
    Chain(PathBuf),
    /// A private key: it does not end.
    Key(PathBuf),
    /// Authorities: what matters is the next that ends.
    Authorities(PathBuf),
    /// Revocation lists: they end with the first of them.
    Revocations(PathBuf),
}

impl TlsFile {
    /// The path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Chain(path) | Self::Key(path) | Self::Authorities(path) | Self::Revocations(path) => path,
        }
    }

    /// When it ends; `None`: never, as far as it says.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn end(&self, now: Timestamp) -> Result<Option<Timestamp>, TlsError> {
        match self {
            Self::Key(_) => Ok(None),
            Self::Chain(path) => Ok(certificate_ends(path)?.into_iter().min()),
            Self::Authorities(path) => {
                let ends = certificate_ends(path)?;
                let next = ends.iter().filter(|end| **end > now).min();
                // One that has ended is not missed where another holds.
                Ok(next.or(ends.iter().max()).copied())
            }
            Self::Revocations(path) => {
                let lists = revocations(path)?;
                Ok(lists.iter().filter_map(|list| next_update(list).ok().flatten()).min())
            }
        }
    }
}

fn certificate_ends(path: &Path) -> Result<Vec<Timestamp>, TlsError> {
    Ok(certificates(path)?.iter().filter_map(|one| Certificate::read(one).ok()).map(|one| one.not_after).collect())
}

fn of_pair(pair: &KeyPair) -> [TlsFile; 2] {
    [TlsFile::Chain(pair.certificate.clone()), TlsFile::Key(pair.key.clone())]
}

/// The files of TLS towards brokers.
pub fn files_of_upstream(settings: &UpstreamTls) -> Vec<TlsFile> {
    let mut files: Vec<TlsFile> = settings.identity.iter().flat_map(of_pair).collect();
    files.extend(settings.ca.file().map(|file| TlsFile::Authorities(file.to_owned())));
    files
}

/// The files of TLS of a listener.
pub fn files_of_listener(settings: &ListenerTls) -> Vec<TlsFile> {
    let mut files = Vec::from(of_pair(&settings.identity));
    if let Some(trust) = settings.trust() {
        files.push(TlsFile::Authorities(trust.ca.clone()));
        files.extend(trust.crl.iter().cloned().map(TlsFile::Revocations));
    }
    files
}
