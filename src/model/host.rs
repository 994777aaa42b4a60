//! The address a client comes from, as IP and in the text that Kafka compares.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;

/// A client's address. ACL hosts are compared with [`Host::text`], which is Java's
/// `InetAddress.getHostAddress()`: dotted quad, or IPv6 uncompressed without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    ip: IpAddr,
    text: Arc<str>,
}

impl Host {
    /// The host with this address; an IPv4-mapped IPv6 address is the IPv4 one, as in Java.
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let mut text = String::with_capacity(40);
        match ip {
            IpAddr::V4(v4) => {
                let _ = write!(text, "{v4}");
            }
            IpAddr::V6(v6) => {
                for (i, segment) in v6.segments().into_iter().enumerate() {
                    let _ = write!(text, "{}{segment:x}", if i == 0 { "" } else { ":" });
                }
            }
        }
        Self { ip, text: text.into() }
    }

    /// The address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The text that an ACL's host must equal.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_javas() {
        let text = |s: &str| Host::new(s.parse().unwrap()).text().to_owned();
        assert_eq!(text("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(text("2001:db8::1"), "2001:db8:0:0:0:0:0:1");
        assert_eq!(text("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(text("127.0.0.1"), "127.0.0.1");
    }
}
