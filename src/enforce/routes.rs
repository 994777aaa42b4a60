//! The proxy's own addresses, as the clients of one listener are told them.

use crate::model::BrokerHost;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the clients of a listener reach each broker. An id that is not here is left out of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    addresses: BTreeMap<i32, (Arc<str>, u16)>,
    /// Where every broker has an address that follows from its id.
    named: Option<(BrokerHost, u16)>,
}

impl Routes {
    /// Routes from broker ids to told host and port.
    pub fn new(addresses: impl IntoIterator<Item = (i32, (Arc<str>, u16))>) -> Self {
        Self { addresses: addresses.into_iter().collect(), named: None }
    }

    /// Routes to every broker by its name, at one port.
    pub fn by_name(host: BrokerHost, port: u16) -> Self {
        Self { addresses: BTreeMap::new(), named: Some((host, port)) }
    }

    /// The told host and port of a broker.
    pub fn address(&self, node: i32) -> Option<(Arc<str>, u16)> {
        match &self.named {
            // What is no broker (`-1`, nobody) has no name.
            Some((host, port)) => (node >= 0).then(|| (host.of(node).into(), *port)),
            None => self.addresses.get(&node).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broker_has_an_address_where_names_carry_ids_and_nobody_has_none() {
        let routes = Routes::by_name(BrokerHost::parse("b{id}.kafka").unwrap(), 443);
        assert_eq!(routes.address(12), Some(("b12.kafka".into(), 443)));
        assert_eq!(routes.address(-1), None);
        assert_eq!(Routes::new([(1, ("k".into(), 2))]).address(12), None);
    }
}
