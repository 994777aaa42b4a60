//! What the audit is waiting for, in words: for health, metrics and whoever asks why clients stand still.

use super::hub::Audit;
use crate::clock::now;
use crate::cluster::topic::TopicError;
use crate::cluster::trouble::Troubles;
use std::sync::Arc;
use tokio::sync::watch;

/// From this part of the room on (in hundredths) health is red.
const RED: u64 = 50;
/// From this age of the oldest unwritten event on health is red.
const STALE: i64 = 30_000;

/// A view on the audit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Status {
    audit: Audit,
    troubles: Arc<Troubles>,
    topics: watch::Receiver<Option<Result<(), TopicError>>>,
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
    pub(super) fn new(
        audit: Audit,
        troubles: Arc<Troubles>,
        topics: watch::Receiver<Option<Result<(), TopicError>>>,
    ) -> Self {
        Self { audit, troubles, topics }
    }

    /// How the audit is now.
    pub fn health(&self) -> Health {
        let hub = &self.audit.hub;
        let (bytes, room) = self.audit.fill();
        let stale = hub.written.oldest().is_some_and(|oldest| now().millis_since(oldest) > STALE);
        let waiting = hub.room.waiting();
        let mut causes = self.troubles.words();
        let topics = match &*self.topics.borrow() {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                causes.insert(0, error.to_string());
                false
            }
            None => {
                if causes.is_empty() {
                    causes.push("the audit topic is being looked for".to_owned());
                }
                false
            }
        };
        Health {
            red: !topics || stale || waiting > 0 || bytes.saturating_mul(100) >= room.saturating_mul(RED),
            causes,
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
