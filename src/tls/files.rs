//! PEM files: chains, keys, authorities.

use crate::config::KeyPair;
use crate::identity::certificate::{Certificate, NameError};
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};

/// Why TLS cannot be had from the files. No message repeats a line of a file: it may be a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file has a damaged section.
    #[error("`{}` is damaged: a section of it is no PEM", .0.display())]
    Damaged(PathBuf),
    /// A file should hold a certificate.
    #[error("`{}` holds no certificate: write PEM, which begins with `-----BEGIN CERTIFICATE-----`", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate that cannot be read.
    #[error("`{}`: certificate {number} cannot be used: {cause}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        cause: NameError,
    },
    /// An authority that cannot be used.
    #[error("`{}`: certificate {number} cannot be used as an authority", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// Which, from 1.
        number: usize,
    },
    /// A file should hold a revocation list.
    #[error("`{}` holds no revocation list: write PEM, which begins with `-----BEGIN X509 CRL-----`", .0.display())]
    NoRevocations(PathBuf),
    /// Certificates of clients cannot be checked.
    #[error("certificates of clients cannot be checked by `client_ca` and `crl`: {0}")]
    Verifier(String),
    /// A file should hold a key.
    #[error("`{}` holds no private key: write PEM, PKCS#8 (`-----BEGIN PRIVATE KEY-----`), PKCS#1 or SEC1", .0.display())]
    NoKey(PathBuf),
    /// A key with a password.
    #[error("the private key in `{}` is encrypted: write one without a password, readable by the proxy alone", .0.display())]
    EncryptedKey(PathBuf),
    /// A key of a kind that is not served.
    #[error("the private key in `{}` is of a kind that is not served: use RSA, ECDSA (P-256, P-384, P-521) or Ed25519", .0.display())]
    Key(PathBuf),
    /// Certificate and key do not belong together.
    #[error("the private key in `{}` does not belong to the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The system has no authorities.
    #[error("the system's certificates cannot be used: {0}; write a file")]
    System(String),
    /// What rustls refuses.
    #[error("TLS cannot be set up: {0}")]
    Refused(rustls::Error),
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|cause| TlsError::Unreadable { file: file.to_owned(), cause })
}

/// The sections of one kind in a file; at least one.
fn sections<T: PemObject>(file: &Path, none: fn(PathBuf) -> TlsError) -> Result<Vec<T>, TlsError> {
    let all: Result<Vec<_>, _> = T::pem_slice_iter(&read(file)?).collect();
    let all = all.map_err(|_| TlsError::Damaged(file.to_owned()))?;
    if all.is_empty() { Err(none(file.to_owned())) } else { Ok(all) }
}

/// The certificates of a file; at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    sections(file, TlsError::NoCertificate)
}

/// The certificates of a file, and what the first of them says.
pub(super) fn chain(file: &Path) -> Result<(Vec<CertificateDer<'static>>, Certificate), TlsError> {
    let chain = certificates(file)?;
    let first = chain.first().ok_or_else(|| TlsError::NoCertificate(file.to_owned()))?;
    let own =
        Certificate::read(first).map_err(|cause| TlsError::Certificate { file: file.to_owned(), number: 1, cause })?;
    Ok((chain, own))
}

/// A chain and its key; whether they belong together is for rustls to say.
pub(super) fn pair(pair: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let (chain, _) = chain(&pair.certificate)?;
    Ok((chain, key(&pair.key)?))
}

/// The private key of a file.
fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(file)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(_) if pem.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) => {
            Err(TlsError::EncryptedKey(file.to_owned()))
        }
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey(file.to_owned())),
        Err(_) => Err(TlsError::Damaged(file.to_owned())),
    }
}

/// In the first line of a key with a password, in either of its forms.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The authorities of a file.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for (i, certificate) in certificates(file)?.into_iter().enumerate() {
        store.add(certificate).map_err(|_| TlsError::Authority { file: file.to_owned(), number: i + 1 })?;
    }
    Ok(store)
}

/// The revocation lists of a file; at least one.
pub(super) fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    sections(file, TlsError::NoRevocations)
}

/// What rustls says of a chain and its key.
pub(super) fn refused(pair: &KeyPair, error: rustls::Error) -> TlsError {
    use rustls::InconsistentKeys::KeyMismatch;
    match error {
        rustls::Error::InconsistentKeys(KeyMismatch) => {
            TlsError::Mismatch { certificate: pair.certificate.clone(), key: pair.key.clone() }
        }
        // The only general failure of a pair: no signing key can be made of it.
        rustls::Error::General(_) => TlsError::Key(pair.key.clone()),
        other => TlsError::Refused(other),
    }
}
