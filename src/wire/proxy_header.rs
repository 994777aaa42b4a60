//! The PROXY protocol, version 2: the bytes in front of a connection by which a balancer tells who connected to it.
//!
//! Source: "The PROXY protocol", HAProxy, revision 2020/03/05, sections 2.2 to 2.2.3. Where it leaves a choice, who could not be
//! told is nobody: a connection without an address of its own gets none from here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What those of version 1 begin with.
const SIGNATURE_1: &[u8] = b"PROXY ";
/// Signature, version and command, family and protocol, length of the rest.
const HEAD: usize = 16;
/// The largest header that is read. What it carries beside addresses is not looked at.
pub const LARGEST: usize = 4096;
/// The type of a value that holds a checksum of the header.
const CRC32C: u8 = 3;

/// How far a header has been read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// It has at least this many bytes in all; no more may be read for now, or what follows it would be.
    Needs(usize),
    /// It is complete.
    Complete {
        /// Its length in bytes.
        len: usize,
        /// Who connected to the balancer; `None` where it does not say: its own connections, sockets without IP.
        client: Option<SocketAddr>,
    },
}

/// The bytes are no header that is taken.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// Something else.
    #[error(
        "the connection begins with no PROXY header: make the balancer send version 2, or take it out of `proxy_protocol`"
    )]
    PeerSentNone,
    /// A header in text.
    #[error("the connection begins with a PROXY header of version 1: make the balancer send version 2")]
    PeerSentVersion1,
    /// Another version.
    #[error("a PROXY header of version {0}, where 2 is served")]
    PeerSentVersion(u8),
    /// A command that is not defined.
    #[error("a PROXY header with command {0}, which is none")]
    PeerSentCommand(u8),
    /// An address family or protocol that is not defined.
    #[error("a PROXY header with family and protocol {0:#04x}, which are none")]
    PeerSentFamily(u8),
    /// It is too long.
    #[error("a PROXY header of {0} bytes is larger than {LARGEST}")]
    PeerSentLarge(usize),
    /// There is no room for the addresses, or for a value that it carries.
    #[error("a PROXY header that ends in the middle of what it holds")]
    PeerSentShort,
    /// Its checksum is another, stands twice or has another size.
    #[error("a PROXY header with a wrong checksum")]
    PeerSentWrongChecksum,
}

/// Reads the header at the beginning of a connection, from all bytes that have come. Given no more than it asks for, no byte
/// behind the header is ever read.
///
/// # Errors
/// As soon as it cannot become a header that is taken.
pub fn proxy_header(bytes: &[u8]) -> Result<ProxyHeader, ProxyHeaderError> {
    use ProxyHeaderError as Error;
    let begins = bytes.get(..bytes.len().min(SIGNATURE.len())).unwrap_or_default();
    if !SIGNATURE.starts_with(begins) {
        let text = begins.get(..begins.len().min(SIGNATURE_1.len())).unwrap_or_default();
        // From the first letter on: nothing else is served that begins with it.
        return Err(if SIGNATURE_1.starts_with(text) { Error::PeerSentVersion1 } else { Error::PeerSentNone });
    }
    let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else { return Ok(ProxyHeader::Needs(HEAD)) };
    let [.., version_and_command, family, high, low] = *head;
    if version_and_command >> 4 != 2 {
        return Err(Error::PeerSentVersion(version_and_command >> 4));
    }
    let is_local = match version_and_command & 0x0f {
        0 => true,
        1 => false,
        other => return Err(Error::PeerSentCommand(other)),
    };
    if family >> 4 > 3 || family & 0x0f > 2 {
        return Err(Error::PeerSentFamily(family));
    }
    let len = HEAD + usize::from(u16::from_be_bytes([high, low]));
    if len > LARGEST {
        return Err(Error::PeerSentLarge(len));
    }
    let Some(header) = bytes.get(..len) else { return Ok(ProxyHeader::Needs(len)) };
    let rest = header.get(HEAD..).unwrap_or_default();
    // Of the balancer's own connections everything else is ignored, as the protocol has it.
    if is_local {
        return Ok(ProxyHeader::Complete { len, client: None });
    }
    let (client, values) = addresses(family, rest)?;
    if let Some(values) = values {
        check(header, values)?;
    }
    Ok(ProxyHeader::Complete { len, client })
}

/// The address of the client, and what stands behind the addresses; nobody knows where that begins in an unknown family.
fn addresses(family: u8, rest: &[u8]) -> Result<(Option<SocketAddr>, Option<&[u8]>), ProxyHeaderError> {
    /// Source and destination address, source and destination port.
    const V4: usize = 12;
    const V6: usize = 36;
    /// Source and destination path.
    const UNIX: usize = 216;
    let short = ProxyHeaderError::PeerSentShort;
    // Over TCP: what came by datagrams is not this connection.
    let is_stream = family & 0x0f == 1;
    let (client, values): (SocketAddr, _) = match family >> 4 {
        1 => {
            let (held, values) = rest.split_first_chunk::<V4>().ok_or(short)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *held;
            ((IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([high, low])).into(), values)
        }
        2 => {
            let (held, values) = rest.split_first_chunk::<V6>().ok_or(short)?;
            let source = held.first_chunk::<16>().ok_or(short)?;
            let [.., high, low, _, _] = *held;
            ((IpAddr::V6(Ipv6Addr::from(*source)), u16::from_be_bytes([high, low])).into(), values)
        }
        3 => return Ok((None, Some(rest.get(UNIX..).ok_or(short)?))),
        _ => return Ok((None, None)),
    };
    Ok((is_stream.then_some(client), Some(values)))
}

/// Walks over the values behind the addresses; where a checksum is among them, it must be that of the header.
fn check(header: &[u8], mut values: &[u8]) -> Result<(), ProxyHeaderError> {
    let mut seen = false;
    while let Some((&kind, rest)) = values.split_first() {
        let (size, rest) = rest.split_first_chunk::<2>().ok_or(ProxyHeaderError::PeerSentShort)?;
        let size = usize::from(u16::from_be_bytes(*size));
        let (value, rest) = rest.split_at_checked(size).ok_or(ProxyHeaderError::PeerSentShort)?;
        if kind == CRC32C {
            let behind = rest.len();
            let (before, held) = header.split_at(header.len() - behind - size);
            let told = value.first_chunk::<4>().filter(|_| size == 4).map(|told| u32::from_be_bytes(*told));
            // Computed as if it were zero.
            let crc = crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]);
            let crc = crc32c::crc32c_append(crc, held.get(size..).unwrap_or_default());
            if seen || told != Some(crc) {
                return Err(ProxyHeaderError::PeerSentWrongChecksum);
            }
            seen = true;
        }
        values = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xc8, 0x01, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let mut rest = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets().to_vec();
        rest.extend(Ipv6Addr::LOCALHOST.octets());
        rest.extend([0x30, 0x39, 0x01, 0xbb]);
        rest
    }

    fn with_values(values: &[(u8, &[u8])]) -> Vec<u8> {
        let mut rest = V4.to_vec();
        for (kind, value) in values {
            rest.push(*kind);
            rest.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            rest.extend(*value);
        }
        rest
    }

    fn client(bytes: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
        match proxy_header(bytes)? {
            ProxyHeader::Complete { client, len } => {
                assert_eq!(len, bytes.len());
                Ok(client)
            }
            ProxyHeader::Needs(n) => panic!("{n}"),
        }
    }

    #[test]
    fn the_client_is_who_connected_to_the_balancer() {
        assert_eq!(client(&header(1, 0x11, &V4)), Ok(Some("203.0.113.7:51201".parse().unwrap())));
        assert_eq!(client(&header(1, 0x21, &v6())), Ok(Some("[2001:db8::7]:12345".parse().unwrap())));
        // As AWS and HAProxy send it, with values that are not looked at.
        let values = with_values(&[(0xea, b"\x01vpce-08d2bf15fac5001c9"), (0x04, &[0; 100]), (0x20, b"\x01\0\0\0\0")]);
        assert_eq!(client(&header(1, 0x11, &values)), Ok(Some("203.0.113.7:51201".parse().unwrap())));
    }

    #[test]
    fn threat_33_who_is_not_told_has_no_address() {
        for (command, family, rest) in [
            (0, 0x00, vec![]),
            (0, 0x11, V4.to_vec()),
            // Ignored as it stands.
            (0, 0x21, vec![1, 2, 3]),
            (1, 0x00, vec![]),
            (1, 0x00, vec![9; 50]),
            (1, 0x01, vec![]),
            (1, 0x10, V4.to_vec()),
            (1, 0x12, V4.to_vec()),
            (1, 0x22, v6()),
            (1, 0x31, vec![b'/'; 216]),
        ] {
            assert_eq!(client(&header(command, family, &rest)), Ok(None), "{command} {family:#x}");
        }
    }

    #[test]
    fn no_byte_more_than_the_header_is_asked_for_whatever_pieces_it_comes_in() {
        let mut whole = header(1, 0x21, &v6());
        for n in 0..whole.len() {
            let needs = if n < 16 { 16 } else { whole.len() };
            assert_eq!(proxy_header(&whole[..n]), Ok(ProxyHeader::Needs(needs)));
        }
        let len = whole.len();
        whole.extend([0x16, 0x03, 0x01]);
        assert!(matches!(proxy_header(&whole), Ok(ProxyHeader::Complete { len: told, .. }) if told == len));
    }

    #[test]
    fn what_is_no_header_is_told_at_its_first_other_byte() {
        use ProxyHeaderError as E;
        for (bytes, error) in [
            (&b"\x16\x03\x01\x02"[..], E::PeerSentNone),
            (&b"\0\0\0\x0a\0\x12"[..], E::PeerSentNone),
            (&b"\r\n\r\nX"[..], E::PeerSentNone),
            (&b"P"[..], E::PeerSentVersion1),
            (&b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"[..], E::PeerSentVersion1),
            (&b"POST / HTTP"[..], E::PeerSentNone),
        ] {
            assert_eq!(proxy_header(bytes), Err(error), "{bytes:?}");
        }
        let changed = |at: usize, value: u8| {
            let mut bytes = header(1, 0x11, &V4);
            bytes[at] = value;
            proxy_header(&bytes)
        };
        assert_eq!(changed(12, 0x11), Err(E::PeerSentVersion(1)));
        assert_eq!(changed(12, 0x31), Err(E::PeerSentVersion(3)));
        assert_eq!(changed(12, 0x22), Err(E::PeerSentCommand(2)));
        assert_eq!(changed(13, 0x41), Err(E::PeerSentFamily(0x41)));
        assert_eq!(changed(13, 0x13), Err(E::PeerSentFamily(0x13)));
        assert_eq!(changed(14, 0x10), Err(E::PeerSentLarge(16 + 4096 + 12)));
        assert_eq!(changed(15, 11), Err(E::PeerSentShort));
        assert_eq!(changed(13, 0x21), Err(E::PeerSentShort));
        assert_eq!(changed(13, 0x31), Err(E::PeerSentShort));
        let cut = [&V4[..], &[4, 0, 9, 1]].concat();
        assert_eq!(proxy_header(&header(1, 0x11, &cut)), Err(E::PeerSentShort));
        assert_eq!(proxy_header(&header(1, 0x11, &[&V4[..], &[4]].concat())), Err(E::PeerSentShort));
    }

    #[test]
    fn a_checksum_that_is_there_is_checked() {
        let sum = |values: &[(u8, &[u8])]| crc32c::crc32c(&header(1, 0x11, &with_values(values))).to_be_bytes();
        let crc = sum(&[(4, b"x"), (3, &[0; 4]), (0xea, b"yz")]);
        let right = header(1, 0x11, &with_values(&[(4, b"x"), (3, &crc), (0xea, b"yz")]));
        assert!(client(&right).unwrap().is_some());
        for at in 16..right.len() {
            let mut bytes = right.clone();
            bytes[at] ^= 1;
            // With another type it is no checksum.
            assert_eq!(proxy_header(&bytes).is_err(), at != 32, "byte {at}");
        }
        let wrong = Err(ProxyHeaderError::PeerSentWrongChecksum);
        assert_eq!(client(&header(1, 0x11, &with_values(&[(3, b"xyz")]))), wrong);
        assert_eq!(client(&header(1, 0x11, &with_values(&[(3, &[])]))), wrong);
        assert_eq!(client(&header(1, 0x11, &with_values(&[(4, b"x"), (3, &crc), (3, &crc)]))), wrong);
    }
}
