//! TLS (rustls, aws-lc-rs): key pairs and authorities from files, towards brokers and towards clients, and what went wrong
//! in words. Keys stand in no message.

mod acceptor;
mod bounded;
mod coverage;
mod ends;
mod files;
mod stream;
mod upstream;
mod words;

pub use acceptor::{AcceptError, Acceptor, Distrusted};
pub use bounded::Bounded;
pub use coverage::not_covered;
pub use ends::{TlsFile, files_of_listener, files_of_upstream};
pub use files::TlsError;
pub use stream::Stream;
pub use upstream::{ConnectError, Upstream, web_client};
pub use words::{broker_fault, client_fault, late_fault, of_tls, web_fault};

use crate::config::TlsVersion;
use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, LazyLock};

/// What computes. Named wherever it is used, so that no other part of the process can choose another.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The versions from this one on.
fn versions(from: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    static NEWEST: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match from {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &NEWEST,
    }
}
