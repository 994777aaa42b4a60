//! The address a client comes from, as IP and in the text that Kafka compares.

use ipnet::IpNet;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;

/// Where a client comes from. ACL hosts are compared with [`Host::text`], which is Java's
/// `InetAddress.getHostAddress()`: dotted quad, or IPv6 uncompressed without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    source: IpAddr,
    /// `None`: nobody knows.
    text: Option<Arc<str>>,
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
        Self { source: ip, text: Some(text.into()) }
    }

    /// A client whose address nobody knows, which came through a balancer with this one: rules that allow from hosts do
    /// not reach it, rules that deny from hosts do (threat 33).
    pub fn unknown(balancer: IpAddr) -> Self {
        Self { source: balancer.to_canonical(), text: None }
    }

    /// The address, if it is known.
    pub fn ip(&self) -> Option<IpAddr> {
        self.text.is_some().then_some(self.source)
    }

    /// The address that counts where clients are counted: its own, or that of the balancer which does not tell it. Never
    /// for a rule.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// The text that an ACL's host must equal; `None` if the address is not known.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

/// The IPv4 network that a network of mapped addresses (within `::ffff:0:0/96`) stands for. Nobody would ever be in it: hosts
/// have their IPv4 addresses.
pub fn unmapped(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = network else { return None };
    let prefix = v6.prefix_len().checked_sub(96)?;
    IpNet::new(v6.addr().to_ipv4_mapped()?.into(), prefix).ok()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().unwrap_or("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_javas() {
        let text = |s: &str| Host::new(s.parse().unwrap()).to_string();
        assert_eq!(text("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(text("2001:db8::1"), "2001:db8:0:0:0:0:0:1");
        assert_eq!(text("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(text("127.0.0.1"), "127.0.0.1");
    }

    #[test]
    fn a_network_of_mapped_addresses_is_one_of_ipv4() {
        let of = |text: &str| unmapped(text.parse().unwrap()).map(|network| network.to_string());
        assert_eq!(of("::ffff:10.0.0.0/104").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(of("::ffff:0:0/96").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(of("::ffff:10.1.2.3/128").as_deref(), Some("10.1.2.3/32"));
        for other in ["::/0", "::/96", "::ffff:0:0/95", "2001:db8::/104", "10.0.0.0/8"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn who_is_unknown_has_no_address_of_its_own() {
        let host = Host::unknown("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!((host.ip(), host.text(), host.to_string().as_str()), (None, None, "unknown"));
        assert_eq!(host.source(), IpAddr::from([10, 0, 0, 1]));
    }
}
