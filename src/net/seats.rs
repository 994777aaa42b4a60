//! Places among the open connections.

use super::shared::{Door, Shared};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A place among the open connections; given back when it is dropped.
pub(super) struct Seat {
    shared: Arc<Shared>,
    door: Arc<Door>,
    /// Whose connection it is, once that is known.
    ip: Option<IpAddr>,
}

impl Seat {
    /// A place, while there is one.
    pub(super) fn take(shared: &Arc<Shared>, door: &Arc<Door>) -> Option<Self> {
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.most {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        door.metrics.connections.inc();
        Some(Self { shared: Arc::clone(shared), door: Arc::clone(door), ip: None })
    }

    /// Counts it for an address; `false` if that has as many as it may.
    pub(super) fn belongs_to(&mut self, ip: IpAddr) -> bool {
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(ip).or_insert(0);
        if self.shared.most_per_address.is_some_and(|most| *count >= most) {
            return false;
        }
        *count += 1;
        self.ip = Some(ip);
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.door.metrics.connections.dec();
        if let Some(ip) = self.ip {
            let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            release(&mut by_address, ip);
        }
    }
}

fn release(by_address: &mut HashMap<IpAddr, u32>, ip: IpAddr) {
    if let Some(count) = by_address.get_mut(&ip) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            by_address.remove(&ip);
        }
    }
}
