//! What the audit is waiting for, in words: for health, metrics and whoever asks why clients stand still.

use super::hub::Audit;
use crate::cluster::trouble::{Troubles, now};
use std::sync::Arc;

/// From this part of the room on (in hundredths) health is red.
const RED: u64 = 50;
/// From this age of the oldest unwritten event on health is red.
const STALE: i64 = 30_000;

/// A view on the audit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Status {
    audit: Audit,
    troubles: Arc<Troubles>,
}

/// How the audit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether somebody should look: long before connections are closed.
    pub red: bool,
    /// What it is waiting for: `topic kordon.audit partition 3: NOT_ENOUGH_REPLICAS since 12:03`.
    pub causes: Vec<String>,
    /// Events that the topic does not have.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes there is room for.
    pub room: u64,
    /// Connections that wait for room.
    pub waiting: usize,
}

impl Status {
    pub(super) fn new(audit: Audit, troubles: Arc<Troubles>) -> Self {
        Self { audit, troubles }
    }

    /// How the audit is now.
    pub fn health(&self) -> Health {
        let hub = &self.audit.hub;
        let (bytes, room) = self.audit.fill();
        let stale = hub.written.oldest().is_some_and(|oldest| now().millis_since(oldest) > STALE);
        let waiting = hub.room.waiting();
        Health {
            red: stale || waiting > 0 || bytes.saturating_mul(100) >= room.saturating_mul(RED),
            causes: self.troubles.words(),
            events: hub.written.count(),
            bytes,
            room,
            waiting,
        }
    }
}

impl Health {
    /// One line: how much waits, and for what.
    pub fn words(&self) -> String {
        let mut text = format!("{} audit events ({} of {} bytes) wait", self.events, self.bytes, self.room);
        if self.waiting > 0 {
            text.push_str(&format!(", and {} connections with them", self.waiting));
        }
        if !self.causes.is_empty() {
            text.push_str(": ");
            text.push_str(&self.causes.join("; "));
        }
        text
    }
}
