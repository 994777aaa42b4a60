//! How each broker (node id) is reached through a listener.

use super::parse::parse_host_port;
use crate::model::BrokerHost;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How broker N is reached: an id's address never depends on which brokers are up, so every replica computes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// A port per broker: bound at `start + id` on the IP address of the listener's `bind`,
    /// told as `advertise_start + id`.
    Ports {
        /// The port of id 0, also if `ids` does not hold it.
        start: u16,
        /// The ids served, none negative; `start` + the last is a port.
        ids: RangeInclusive<i32>,
        /// The port told for id 0; differs from `start` behind NAT.
        advertise_start: u16,
    },
    /// Each broker at an address of its own.
    Map(BTreeMap<i32, BrokerAddress>),
    /// Every broker, of whatever id, at the listener's `bind`: a TLS client says by a host name which one it wants (SNI).
    Sni {
        /// The names that clients are told.
        host: BrokerHost,
        /// The port that clients are told.
        port: u16,
    },
}

/// Where one broker of a map is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// What clients are told; port 0 = the bound one.
    pub advertise: HostPort,
}

/// A host name or IP address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The name or address; IPv6 without brackets, as on Kafka's wire.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The text is not a host and a port.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no host and port: write them as in `kafka-1:9092` or `[2001:db8::1]:9092`")]
pub struct HostPortError;

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        parse_host_port(text).ok_or(HostPortError)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Brokers {
    /// The ids that have an address of their own to bind, ascending.
    pub fn ids(&self) -> Vec<i32> {
        match self {
            Self::Ports { ids, .. } => ids.clone().collect(),
            Self::Map(map) => map.keys().copied().collect(),
            Self::Sni { .. } => Vec::new(),
        }
    }

    /// Whether a broker is mapped.
    pub fn contains(&self, id: i32) -> bool {
        match self {
            Self::Ports { ids, .. } => ids.contains(&id),
            Self::Map(map) => map.contains_key(&id),
            Self::Sni { .. } => id >= 0,
        }
    }

    /// The address to bind for a broker alone, given the listener's.
    pub(crate) fn bind(&self, listener: SocketAddr, id: i32) -> Option<SocketAddr> {
        match self {
            Self::Ports { start, ids, .. } if ids.contains(&id) => {
                Some(SocketAddr::new(listener.ip(), port_of(*start, id)?))
            }
            Self::Ports { .. } | Self::Sni { .. } => None,
            Self::Map(map) => Some(map.get(&id)?.bind),
        }
    }

    /// The addresses to bind for all brokers, given the listener's.
    pub(crate) fn binds(&self, listener: SocketAddr) -> Vec<(i32, SocketAddr)> {
        self.ids().into_iter().filter_map(|id| Some((id, self.bind(listener, id)?))).collect()
    }

    /// The address told for a broker, given the listener's host and the port that was bound for the broker.
    pub(crate) fn told(&self, host: &str, id: i32, bound: u16) -> Option<HostPort> {
        match self {
            Self::Ports { ids, advertise_start, .. } if ids.contains(&id) => {
                Some(HostPort { host: host.to_owned(), port: port_of(*advertise_start, id)? })
            }
            Self::Ports { .. } => None,
            Self::Map(map) => {
                let told = &map.get(&id)?.advertise;
                Some(HostPort { host: told.host.clone(), port: if told.port == 0 { bound } else { told.port } })
            }
            Self::Sni { host, port } => (id >= 0).then(|| HostPort { host: host.of(id), port: *port }),
        }
    }
}

fn port_of(start: u16, id: i32) -> Option<u16> {
    u16::try_from(i32::from(start).checked_add(id)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_bound_at_start_plus_id_and_told_at_advertise_start_plus_id() {
        let brokers = Brokers::Ports { start: 9093, ids: 1..=2, advertise_start: 31_000 };
        let bind = "127.0.0.1:9092".parse().unwrap();
        assert_eq!(
            brokers.binds(bind),
            [(1, "127.0.0.1:9094".parse().unwrap()), (2, "127.0.0.1:9095".parse().unwrap())]
        );
        assert_eq!(brokers.told("kafka.corp", 2, 9095).unwrap().to_string(), "kafka.corp:31002");
        assert_eq!(brokers.told("kafka.corp", 0, 9093), None);
        assert_eq!(brokers.bind(bind, 3), None);
    }

    #[test]
    fn a_map_tells_the_bound_port_where_it_says_port_0() {
        let at = |bind: &str, host: &str, port| BrokerAddress {
            bind: bind.parse().unwrap(),
            advertise: HostPort { host: host.into(), port },
        };
        let brokers = Brokers::Map([(5, at("127.0.0.1:0", "::1", 0)), (7, at("127.0.0.1:1", "k", 2))].into());
        assert_eq!(brokers.told("unused", 5, 4711).unwrap().to_string(), "[::1]:4711");
        assert_eq!(brokers.told("unused", 7, 1).unwrap().to_string(), "k:2");
        assert_eq!(brokers.ids(), [5, 7]);
        assert!(!brokers.contains(6));
    }

    #[test]
    fn by_name_every_id_is_told_and_nothing_is_bound() {
        let brokers = Brokers::Sni { host: BrokerHost::parse("b{id}.kafka").unwrap(), port: 443 };
        let bind = "127.0.0.1:9094".parse().unwrap();
        assert!(brokers.binds(bind).is_empty() && brokers.contains(100_000) && !brokers.contains(-1));
        assert_eq!(brokers.told("unused", 100_000, 0).unwrap().to_string(), "b100000.kafka:443");
        assert_eq!((brokers.told("unused", -1, 0), brokers.bind(bind, 1)), (None, None));
    }
}
