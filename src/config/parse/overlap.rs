//! No two listeners, brokers or the metrics may bind the same port.

use super::Reader;
use crate::config::Listener;
use crate::yaml::{Fields, Value};
use std::collections::HashMap;
use std::net::SocketAddr;

impl Reader<'_> {
    /// Reports the first clash of each listener, and that of the metrics.
    pub(super) fn overlaps(&mut self, root: &Fields<'_>, listeners: &[Listener], metrics: Option<SocketAddr>) {
        let mut taken: HashMap<u16, Vec<(SocketAddr, String)>> = HashMap::new();
        let places: Vec<_> = match root.get("listeners").map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().map(|item| item.at).collect(),
            Some(_) | None => Vec::new(),
        };
        for (i, (listener, at)) in listeners.iter().zip(places).enumerate() {
            let bootstrap = (listener.bind, format!("`listeners[{i}].bind`"));
            let brokers = listener.broker_binds().into_iter();
            let brokers = brokers.map(|(id, bind)| (bind, format!("broker {id} of `listeners[{i}]`")));
            let clashes: Vec<String> = std::iter::once(bootstrap)
                .chain(brokers)
                .filter_map(|(bind, who)| take(&mut taken, bind, who))
                .collect();
            // One message is enough: ranges overlap in many ports at once.
            if let Some(first) = clashes.into_iter().next() {
                self.fault_at(at, first);
            }
        }
        if let Some(bind) = metrics
            && let Some(clash) = take(&mut taken, bind, "`metrics.bind`".to_owned())
        {
            let at = root.get("metrics").map_or(root.at(), |node| node.at);
            self.fault_at(at, clash);
        }
    }
}

/// Remembers who binds an address; the clash with who had it before, in words.
fn take(taken: &mut HashMap<u16, Vec<(SocketAddr, String)>>, bind: SocketAddr, who: String) -> Option<String> {
    if bind.port() == 0 {
        return None;
    }
    let holders = taken.entry(bind.port()).or_default();
    let ip = bind.ip().to_canonical();
    let clash = holders
        .iter()
        .find(|(held, _)| {
            let held = held.ip().to_canonical();
            held == ip || held.is_unspecified() || ip.is_unspecified()
        })
        .map(|(_, holder)| format!("{who} takes port {} of {holder}: move one of them", bind.port()));
    holders.push((bind, who));
    clash
}
