//! X.509 certificates (RFC 5280): whom they name and how long they hold. Whether one is to be believed is decided in the
//! handshake, before any of this is read.

mod der;
mod mapping;
mod name;
mod rules;

pub use der::Malformed;
pub use mapping::{Mapping, NamelessError};
pub use name::{Name, NameError};
pub use rules::RuleError;

use crate::model::Timestamp;
use chrono::NaiveDate;
use der::{INTEGER, OCTETS, OID, Reader, SEQUENCE};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub subject: Name,
    /// The last instant at which it holds.
    pub not_after: Timestamp,
    /// Its subject alternative names, in its order.
    pub alternatives: Vec<Alternative>,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// `dNSName`.
    Dns(String),
    /// `uniformResourceIdentifier`, as SPIFFE ids are.
    Uri(String),
    /// `rfc822Name`.
    Email(String),
}

/// The tag of the version of a certificate, and of its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The identifier of the subject alternative name, 2.5.29.17.
const ALTERNATIVES: &[u8] = &[0x55, 0x1d, 0x11];

impl Certificate {
    /// Reads a certificate's DER.
    ///
    /// # Errors
    /// It is none, or names somebody in bytes that are no text.
    pub fn read(der: &[u8]) -> Result<Self, NameError> {
        let mut certificate = Reader(Reader(der).expect(SEQUENCE)?.value);
        let mut body = Reader(certificate.expect(SEQUENCE)?.value);
        if body.peek() == Some(VERSION) {
            body.next()?;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            body.next()?;
        }
        let mut validity = Reader(body.expect(SEQUENCE)?.value);
        validity.next()?;
        let end = validity.next()?;
        let not_after = instant(end.tag, end.value).ok_or(Malformed)?;
        let subject = Name::read(body.expect(SEQUENCE)?.value)?;
        let mut alternatives = Vec::new();
        while !body.is_empty() {
            let element = body.next()?;
            if element.tag == EXTENSIONS {
                alternatives = read_extensions(element.value)?;
            }
        }
        Ok(Self { subject, not_after, alternatives })
    }
}

/// When a revocation list (its DER) is to be renewed; `None`: it does not say.
///
/// # Errors
/// It is no revocation list.
pub fn next_update(list: &[u8]) -> Result<Option<Timestamp>, Malformed> {
    let mut list = Reader(Reader(list).expect(SEQUENCE)?.value);
    let mut body = Reader(list.expect(SEQUENCE)?.value);
    // Its version, of lists with extensions.
    if body.peek() == Some(INTEGER) {
        body.next()?;
    }
    // Signature algorithm, issuer, this update.
    for _ in 0..3 {
        body.next()?;
    }
    match body.peek() {
        Some(0x17 | 0x18) => {
            let end = body.next()?;
            instant(end.tag, end.value).map(Some).ok_or(Malformed)
        }
        _ => Ok(None),
    }
}

fn read_extensions(bytes: &[u8]) -> Result<Vec<Alternative>, NameError> {
    let mut found = Vec::new();
    let mut all = Reader(Reader(bytes).expect(SEQUENCE)?.value);
    while !all.is_empty() {
        let mut extension = Reader(all.expect(SEQUENCE)?.value);
        if extension.expect(OID)?.value != ALTERNATIVES {
            continue;
        }
        let mut value = extension.next()?;
        // Whether it is critical may stand before it.
        if value.tag != OCTETS {
            value = extension.expect(OCTETS)?;
        }
        let mut names = Reader(Reader(value.value).expect(SEQUENCE)?.value);
        while !names.is_empty() {
            let name = names.next()?;
            let make: fn(String) -> Alternative = match name.tag {
                0x81 => Alternative::Email,
                0x82 => Alternative::Dns,
                0x86 => Alternative::Uri,
                _ => continue,
            };
            let text = std::str::from_utf8(name.value).ok().filter(|text| text.is_ascii());
            found.push(make(text.ok_or(NameError::NotText)?.to_owned()));
        }
    }
    Ok(found)
}

/// `UTCTime` (two digits of the year, up to 2049) or `GeneralizedTime`, both in UTC.
fn instant(tag: u8, bytes: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (century, text) = match tag {
        0x17 => (None, text),
        0x18 => (Some(text.get(..2)?), text.get(2..)?),
        _ => return None,
    };
    if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<u32>().ok();
    let year = i32::try_from(two(0)?).ok()?;
    let year = match century {
        Some(century) => century.parse::<i32>().ok()? * 100 + year,
        None if year < 50 => 2000 + year,
        None => 1900 + year,
    };
    let day = NaiveDate::from_ymd_opt(year, two(2)?, two(4)?)?;
    Some(Timestamp(day.and_hms_opt(two(6)?, two(8)?, two(10)?)?.and_utc().timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn subject_end_and_alternative_names_are_read() {
        for (year, end) in [(2031, "2031-02-03T00:00:00.000Z"), (2061, "2061-02-03T00:00:00.000Z")] {
            let der = made(|params| {
                params.not_after = date_time_ymd(year, 2, 3);
                params.distinguished_name.push(DnType::OrganizationName, "Corp, Inc.");
                params.distinguished_name.push(DnType::CommonName, "alice");
                params.subject_alt_names = vec![
                    SanType::URI("spiffe://example.com/ns/a/sa/b".try_into().unwrap()),
                    SanType::IpAddress([127, 0, 0, 1].into()),
                    SanType::DnsName("a.example.com".try_into().unwrap()),
                    SanType::Rfc822Name("a@example.com".try_into().unwrap()),
                ];
            });
            let read = Certificate::read(&der).unwrap();
            assert_eq!(read.subject.rfc2253(), "CN=alice,O=Corp\\, Inc.");
            assert_eq!(read.not_after.to_string(), end);
            assert_eq!(
                read.alternatives,
                [
                    Alternative::Uri("spiffe://example.com/ns/a/sa/b".into()),
                    Alternative::Dns("a.example.com".into()),
                    Alternative::Email("a@example.com".into()),
                ]
            );
            for length in 0..der.len() {
                assert!(Certificate::read(&der[..length]).is_err(), "{length}");
            }
        }
    }
}
