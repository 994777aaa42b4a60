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
    ip: IpAddr,
}

impl Seat {
    pub(super) fn take(shared: &Arc<Shared>, door: &Arc<Door>, ip: IpAddr) -> Option<Self> {
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.most {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut by_address = shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(ip).or_insert(0);
        if shared.most_per_address.is_some_and(|most| *count >= most) {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        door.metrics.connections.inc();
        drop(by_address);
        Some(Self { shared: Arc::clone(shared), door: Arc::clone(door), ip })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.door.metrics.connections.dec();
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut by_address, self.ip);
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
