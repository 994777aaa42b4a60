//! What went wrong in TLS, in words that say what to look at.

use crate::model::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use std::io;

/// The error of TLS that an error of a stream stands for.
pub fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// What is wrong between the proxy and a broker.
pub fn broker_fault(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(cause) => of_certificate(cause),
        Error::InvalidMessage(_) => {
            "it does not speak TLS: its listener is plaintext, or the port is another's".to_owned()
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "it speaks no version of TLS from `min_version` on".to_owned(),
        other => other.to_string(),
    }
}

/// What is wrong between the proxy and a server of the web.
pub fn web_fault(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no authority that is trusted (`ca`) signed its certificate, or it leaves an intermediate certificate out"
                .to_owned()
        }
        Error::InvalidCertificate(cause) => of_name(cause).unwrap_or_else(|| of_certificate(cause)),
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

/// What is wrong between a client and a listener.
pub fn client_fault(error: &Error) -> String {
    match error {
        Error::NoCertificatesPresented => {
            "the client showed no certificate, and `client_auth` is required".to_owned()
        }
        Error::InvalidCertificate(cause) => of_client(cause),
        Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        ) => "the client does not trust this listener's `certificate`: see its truststore and the names in the certificate"
            .to_owned(),
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the client says that this listener's `certificate` has ended: renew it".to_owned()
        }
        Error::AlertReceived(alert) => format!("the client ended the handshake: alert {alert:?}"),
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "the client speaks no version of TLS from `min_version` on".to_owned(),
        Error::InvalidMessage(_) => "what the client sent is no TLS handshake".to_owned(),
        other => other.to_string(),
    }
}

/// What went wrong with a client when its handshake was over.
pub fn late_fault(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("the client gave TLS up: alert {alert:?}"),
        Error::DecryptError => {
            "what the client sent cannot be decrypted: it was changed on the way, or the client is broken".to_owned()
        }
        Error::InvalidMessage(_) => "what the client sent is no TLS any more".to_owned(),
        other => format!("TLS with the client failed: {other}"),
    }
}

/// What is wrong with the certificate of a client.
fn of_client(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "no authority in `client_ca` signed the client's certificate, or it leaves an intermediate certificate out"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the client's certificate is not signed by the authority in `client_ca` that has the issuer's name"
                .to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the client's certificate ended at {}", instant(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the client's certificate holds from {} on: compare the clocks", instant(*not_before))
        }
        CertificateError::Revoked => "the client's certificate was revoked".to_owned(),
        CertificateError::UnknownRevocationStatus => {
            "no list in `crl` is of the authority that signed the client's certificate".to_owned()
        }
        CertificateError::ExpiredRevocationListContext { next_update, .. } => {
            format!("the list in `crl` was to be renewed by {}: renew it", instant(*next_update))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the client's certificate is not for clients (extended key usage)".to_owned()
        }
        other => format!("the client's certificate is not valid: {other}"),
    }
}

/// What is wrong with the certificate of a broker.
fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "no authority in `ca` signed its certificate: another authority did, or the broker leaves an intermediate \
             certificate out"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            format!("{}: see `server_name`", of_name(error).unwrap_or_default())
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate ended at {}", instant(*not_after))
        }
        CertificateError::Expired => "its certificate has ended".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate holds from {} on: compare the clocks", instant(*not_before))
        }
        CertificateError::NotValidYet => "its certificate does not hold yet: compare the clocks".to_owned(),
        CertificateError::BadSignature => {
            "its certificate is not signed by the authority in `ca` that has the issuer's name".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers (extended key usage)".to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// Which name its certificate should have, where that is what is wrong with it.
fn of_name(error: &CertificateError) -> Option<String> {
    match error {
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() {
                "for no name at all (the common name does not count)".to_owned()
            } else {
                format!("for {}", presented.join(", "))
            };
            Some(format!("its certificate is {names}, not for `{}`", expected.to_str()))
        }
        CertificateError::NotValidForName => Some("its certificate is for another name".to_owned()),
        _ => None,
    }
}

/// What the other side did not like.
fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not trust the proxy's certificate, or wants one: see `certificate` and `key`".to_owned()
        }
        AlertDescription::CertificateRequired => "it wants a certificate: see `certificate` and `key`".to_owned(),
        AlertDescription::CertificateExpired => "the proxy's certificate has ended: renew it".to_owned(),
        AlertDescription::CertificateRevoked => "the proxy's certificate was revoked".to_owned(),
        AlertDescription::ProtocolVersion => "it speaks no version of TLS from `min_version` on".to_owned(),
        AlertDescription::HandshakeFailure => {
            "no cipher suite in common, or it wants a certificate (see `certificate` and `key`)".to_owned()
        }
        other => format!("alert {other:?}"),
    }
}

fn instant(at: UnixTime) -> Timestamp {
    Timestamp(i64::try_from(at.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;

    #[test]
    fn faults_of_brokers_name_their_cause_and_the_key_to_look_at() {
        let certificate = |e| broker_fault(&Error::InvalidCertificate(e));
        let expected = || ServerName::try_from("kafka-1").unwrap();
        let day = UnixTime::since_unix_epoch(std::time::Duration::from_secs(86_400));
        for (told, part) in [
            (certificate(CertificateError::UnknownIssuer), "no authority in `ca` signed its certificate"),
            (
                certificate(CertificateError::NotValidForNameContext {
                    expected: expected(),
                    presented: vec!["DnsName(\"b\")".into()],
                }),
                "its certificate is for DnsName(\"b\"), not for `kafka-1`: see `server_name`",
            ),
            (
                certificate(CertificateError::NotValidForNameContext { expected: expected(), presented: vec![] }),
                "for no name at all",
            ),
            (
                certificate(CertificateError::ExpiredContext { time: day, not_after: day }),
                "its certificate ended at 1970-01-02T00:00:00.000Z",
            ),
            (
                certificate(CertificateError::NotValidYetContext { time: day, not_before: day }),
                "holds from 1970-01-02T00:00:00.000Z on: compare the clocks",
            ),
            (
                broker_fault(&Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)),
                "its listener is plaintext",
            ),
            (broker_fault(&Error::AlertReceived(AlertDescription::CertificateRequired)), "it wants a certificate"),
            (broker_fault(&Error::AlertReceived(AlertDescription::ProtocolVersion)), "`min_version`"),
            (web_fault(&Error::InvalidCertificate(CertificateError::UnknownIssuer)), "is trusted (`ca`)"),
            (client_fault(&Error::NoCertificatesPresented), "`client_auth` is required"),
            (client_fault(&Error::InvalidCertificate(CertificateError::Revoked)), "was revoked"),
            (
                client_fault(&Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext {
                    time: day,
                    next_update: day,
                })),
                "was to be renewed by 1970-01-02T00:00:00.000Z",
            ),
            (late_fault(&Error::DecryptError), "cannot be decrypted"),
            (late_fault(&Error::AlertReceived(AlertDescription::BadRecordMac)), "gave TLS up: alert BadRecordMac"),
            (
                client_fault(&Error::AlertReceived(AlertDescription::UnknownCA)),
                "does not trust this listener's `certificate`",
            ),
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
