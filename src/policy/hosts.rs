//! From which hosts a rule holds.

use super::decision::Effect;
use crate::model::{Host, unmapped};
use ipnet::IpNet;
use std::net::IpAddr;

/// A set of hosts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hosts {
    /// `None` = every host.
    listed: Option<Vec<HostPattern>>,
}

/// One host, or one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// The very text of Java's `getHostAddress()`, as Kafka compares it.
    Text(String),
    /// A network, in rules of the policy file only.
    Network(IpNet),
}

impl Hosts {
    /// Every host.
    pub const ANY: Self = Self { listed: None };

    /// The host of an ACL that came over Kafka's protocol: `*` or literal text. A network in it is text like any
    /// other and matches nothing, as in Kafka (threat 40).
    pub fn of_protocol_acl(host: &str) -> Self {
        match host {
            "*" => Self::ANY,
            text => Self { listed: Some(vec![HostPattern::Text(text.to_owned())]) },
        }
    }

    pub(super) fn of_file(listed: Vec<HostPattern>) -> Self {
        Self { listed: Some(listed) }
    }

    /// Whether every host is in the set.
    pub fn is_any(&self) -> bool {
        self.listed.is_none()
    }

    /// Whether a rule with this effect holds from a host. From one that nobody knows, a list of hosts is no reason to
    /// allow and no reason not to deny (threat 33).
    pub fn contain(&self, host: &Host, effect: Effect) -> bool {
        let Some(listed) = &self.listed else { return true };
        let Some((ip, known)) = host.ip().zip(host.text()) else { return effect == Effect::Deny };
        listed.iter().any(|pattern| match pattern {
            HostPattern::Text(text) => text == known,
            HostPattern::Network(network) => network.contains(&ip),
        })
    }

    /// The hosts as an ACL of Kafka has them; networks are left out.
    pub(super) fn plain(&self) -> impl Iterator<Item = &str> {
        let every = self.listed.is_none().then_some("*");
        let listed = self.listed.as_deref().unwrap_or_default().iter().filter_map(|pattern| match pattern {
            HostPattern::Text(text) => Some(text.as_str()),
            HostPattern::Network(_) => None,
        });
        every.into_iter().chain(listed)
    }

    /// The hosts as the file writes them.
    pub(super) fn texts(&self) -> Vec<String> {
        let listed = self.listed.as_deref().unwrap_or_default();
        listed
            .iter()
            .map(|pattern| match pattern {
                HostPattern::Text(text) => text.clone(),
                HostPattern::Network(network) => network.to_string(),
            })
            .collect()
    }
}

/// Reads one entry of `hosts` in the policy file: an address or a network; `*` is `None`.
///
/// # Errors
/// What is wrong, and what to write.
pub(super) fn parse_host(text: &str) -> Result<Option<HostPattern>, String> {
    if text == "*" {
        return Ok(None);
    }
    if text.contains('/') {
        let network: IpNet = text
            .parse()
            .map_err(|_| format!("host `{text}` is not a network: write `10.0.0.0/8` or `2001:db8::/32`"))?;
        if network.trunc() != network {
            return Err(format!("host `{text}` has bits beyond its prefix: write `{}`", network.trunc()));
        }
        if let Some(v4) = unmapped(network) {
            return Err(format!("host `{text}` can never match, as clients have their IPv4 addresses: write `{v4}`"));
        }
        return Ok(Some(HostPattern::Network(network)));
    }
    let address: IpAddr = text.parse().map_err(|_| {
        format!("host `{text}` can never match: write an address as `10.1.2.3`, a network as `10.0.0.0/8`, or `*`")
    })?;
    let host = Host::new(address);
    if host.to_string() != text {
        return Err(format!("host `{text}` can never match Kafka's text of that address: write `{host}`"));
    }
    Ok(Some(HostPattern::Text(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::new(text.parse().unwrap())
    }

    #[test]
    fn threat_40_a_network_counts_in_the_file_only() {
        let file = Hosts::of_file(vec![parse_host("10.0.0.0/8").unwrap().unwrap()]);
        assert!(file.contain(&host("10.1.2.3"), Effect::Allow) && !file.contain(&host("11.1.2.3"), Effect::Allow));
        assert!(file.contain(&host("::ffff:10.1.2.3"), Effect::Allow), "as Java, the mapped address is the IPv4 one");
        let protocol = Hosts::of_protocol_acl("10.0.0.0/8");
        assert!(
            !protocol.contain(&host("10.1.2.3"), Effect::Allow) && !protocol.contain(&host("10.0.0.0"), Effect::Allow)
        );
        assert!(Hosts::of_protocol_acl("*").contain(&host("10.1.2.3"), Effect::Allow));
    }

    #[test]
    fn threat_33_from_an_unknown_host_nothing_is_allowed_that_needs_one_and_everything_denied() {
        let unknown = Host::unknown([10, 1, 2, 3].into());
        let network = Hosts::of_file(vec![parse_host("0.0.0.0/0").unwrap().unwrap()]);
        for hosts in [network, Hosts::of_protocol_acl("10.1.2.3"), Hosts::of_protocol_acl("unknown")] {
            assert!(!hosts.contain(&unknown, Effect::Allow) && hosts.contain(&unknown, Effect::Deny));
        }
        assert!(Hosts::ANY.contain(&unknown, Effect::Allow) && Hosts::ANY.contain(&unknown, Effect::Deny));
    }

    #[test]
    fn text_is_compared_as_kafka_does() {
        let short = Hosts::of_protocol_acl("::1");
        assert!(!short.contain(&host("::1"), Effect::Allow), "Kafka's text of ::1 is 0:0:0:0:0:0:0:1");
        assert!(Hosts::of_protocol_acl("0:0:0:0:0:0:0:1").contain(&host("::1"), Effect::Allow));
    }

    #[test]
    fn hosts_that_cannot_match_are_refused_with_advice() {
        for (text, part) in [
            ("::1", "write `0:0:0:0:0:0:0:1`"),
            ("localhost", "write an address"),
            ("10.1.2.3/8", "write `10.0.0.0/8`"),
            ("10.0.0.0/33", "is not a network"),
            ("2001:db8::1", "write `2001:db8:0:0:0:0:0:1`"),
            ("::ffff:10.0.0.0/104", "write `10.0.0.0/8`"),
            ("::ffff:10.1.2.3", "write `10.1.2.3`"),
        ] {
            let e = parse_host(text).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
        assert_eq!(parse_host("*"), Ok(None));
    }
}
