//! The proxy's own addresses, as the clients of one listener are told them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the clients of a listener reach each broker. An id that is not here is left out of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    addresses: BTreeMap<i32, (Arc<str>, u16)>,
}

impl Routes {
    /// Routes from broker ids to told host and port.
    pub fn new(addresses: impl IntoIterator<Item = (i32, (Arc<str>, u16))>) -> Self {
        Self { addresses: addresses.into_iter().collect() }
    }

    /// The told host and port of a broker.
    pub fn address(&self, node: i32) -> Option<(Arc<str>, u16)> {
        self.addresses.get(&node).cloned()
    }

    /// Every broker id that has an address.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        self.addresses.keys().copied()
    }
}
