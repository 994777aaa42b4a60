//! The share of `limits.request_memory` that a connection's large requests have.

use super::Link;
use crate::net::memory::Held;

impl Link<'_> {
    pub(super) fn reads_client(&self) -> bool {
        self.machine.wants_client() && self.lacks_memory().is_none()
    }

    /// The size of an arriving request that needs a larger share of the memory than this connection has.
    pub(super) fn lacks_memory(&self) -> Option<usize> {
        let held = self.held.as_ref().map_or(0, Held::bytes);
        self.machine.large_request().filter(|size| *size > held)
    }

    /// Gives the share back that is no longer needed; the bytes to ask for, if a request needs them. Who holds something
    /// does not ask for more: two who did could wait for each other.
    pub(super) fn memory_to_ask_for(&mut self) -> Option<usize> {
        let lacks = self.lacks_memory();
        if self.held.is_some() {
            let needed =
                if lacks.is_some() { !self.machine.to_broker.is_empty() } else { self.machine.holds_request() };
            if needed {
                return None;
            }
            self.held = None;
        }
        lacks
    }
}
