//! Whether a certificate is for the names that clients are told.

use super::files::{TlsError, chain};
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use std::path::Path;

/// The hosts, of these, that the first certificate of a chain is not for: clients that look at names would not take it.
///
/// # Errors
/// The chain cannot be read.
pub fn not_covered(file: &Path, hosts: impl IntoIterator<Item = String>) -> Result<Vec<String>, TlsError> {
    let (all, _) = chain(file)?;
    let Some(own) = all.first() else { return Err(TlsError::NoCertificate(file.to_owned())) };
    let own = ParsedCertificate::try_from(own).map_err(TlsError::Refused)?;
    let covered = |host: &str| {
        ServerName::try_from(host.trim_end_matches('.')).is_ok_and(|name| verify_server_name(&own, &name).is_ok())
    };
    Ok(hosts.into_iter().filter(|host| !covered(host)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_a_wildcard_of_one_label_are_covered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("chain.pem");
        let names = ["kafka.corp", "*.kafka.corp", "127.0.0.1", "::1"].map(str::to_owned);
        std::fs::write(&file, rcgen::generate_simple_self_signed(names).unwrap().cert.pem()).unwrap();
        let missing = |hosts: &[&str]| not_covered(&file, hosts.iter().map(|host| (*host).to_owned())).unwrap();
        assert_eq!(missing(&["kafka.corp", "Kafka.Corp.", "broker-1.kafka.corp", "127.0.0.1", "::1"]), [""; 0]);
        let others = ["corp", "a.b.kafka.corp", "127.0.0.2", "kafka corp"];
        assert_eq!(missing(&others), others);
    }
}
