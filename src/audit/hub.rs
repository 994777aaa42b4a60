//! What all recorders of the process share: the origin, the rules, the room, the way to the sink.

use super::event::{self, Aggregation, AuditInfo, EventType, PolicyInfo};
use super::origin::{EventId, Origin};
use super::queue::{Durable, Event, Key, Written};
use super::room::{Room, Share};
use super::rules::Rules;
use crate::config::Audit as Config;
use crate::enforce::Category;
use crate::model::Timestamp;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// What an event takes beside its text.
const OVERHEAD: u64 = 256;

/// The audit of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    pub(super) hub: Arc<Hub>,
}

#[derive(Debug)]
pub(super) struct Hub {
    pub origin: Origin,
    pub rules: Rules,
    pub room: Arc<Room>,
    pub full_wait: Duration,
    pub metrics: Arc<Metrics>,
    pub written: Arc<Written>,
    queue: mpsc::UnboundedSender<Event>,
    /// An event was sent that a request waits for.
    pub urgent: Notify,
    /// Of events that no connection makes.
    own: Share,
    own_key: Arc<Key>,
    requests: AtomicU64,
    tokens: AtomicU64,
    /// What is only counted: by rule (`level: none`).
    untold: Vec<Mutex<Option<Aggregation>>>,
    /// What found no room and may not wait for it: by what happened.
    overflow: Mutex<BTreeMap<(&'static str, &'static str), Aggregation>>,
}

/// What goes with an event's text.
pub(super) struct Envelope {
    pub topic: usize,
    pub key: Arc<Key>,
    pub id: EventId,
    pub kind: EventType,
    pub decided: Option<(bool, Category)>,
    pub at: Timestamp,
    pub durable: Option<Arc<Durable>>,
}

impl Audit {
    /// The audit, and the events that its sink has to write.
    pub(super) fn new(
        config: &Config,
        origin: Origin,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (queue, events) = mpsc::unbounded_channel();
        let room = Room::new(u64::try_from(config.memory.bytes()).unwrap_or(u64::MAX));
        let rules = Rules::new(config);
        let hub = Hub {
            own: room.share(None, None),
            own_key: Key::new(origin.instance()),
            untold: (0..rules.len()).map(|_| Mutex::default()).collect(),
            written: Written::new(Arc::clone(&metrics)),
            full_wait: config.full_wait,
            requests: AtomicU64::new(1),
            tokens: AtomicU64::new(1),
            overflow: Mutex::default(),
            origin,
            rules,
            room,
            metrics,
            queue,
            urgent: Notify::new(),
        };
        (Self { hub: Arc::new(hub) }, events)
    }

    /// Tells what happened to the policy.
    pub fn policy(&self, info: &PolicyInfo<'_>, at: Timestamp) {
        let mut out = Vec::with_capacity(1_024);
        let id = event::policy(&mut out, &self.hub.origin, info, at);
        self.hub.send_own(out, id, EventType::Policy, at);
    }

    /// Bytes of events on their way, and how many there may be.
    pub fn fill(&self) -> (u64, u64) {
        (self.hub.room.used(), self.hub.room.limit())
    }
}

impl Hub {
    /// A number for a request: unique in this process.
    pub(super) fn request_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// A number for a set of events whose durability somebody waits for.
    pub(super) fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends an event on its way.
    pub(super) fn send(&self, share: &Share, value: Vec<u8>, with: Envelope) {
        let bytes = u64::try_from(value.capacity()).unwrap_or(u64::MAX).saturating_add(OVERHEAD);
        let Envelope { topic, key, id, kind, decided, at, durable } = with;
        let (charge, written) = (share.charge(bytes), Arc::clone(&self.written));
        let urgent = durable.is_some();
        // The sink outlives every recorder but at the very end of a shutdown, whose deadline has passed then.
        let _ = self.queue.send(Event { topic, key, value, id, kind, decided, at, charge, durable, written });
        if urgent {
            self.urgent.notify_one();
        }
    }

    pub(super) fn send_own(&self, value: Vec<u8>, id: EventId, kind: EventType, at: Timestamp) {
        let key = Arc::clone(&self.own_key);
        self.send(&self.own, value, Envelope { topic: 0, key, id, kind, decided: None, at, durable: None });
    }

    /// Tells something about the audit itself.
    pub(super) fn tell(&self, action: &str, detail: &str, aggregation: Aggregation) {
        let mut out = Vec::with_capacity(512);
        let info = AuditInfo { action, detail, version: env!("CARGO_PKG_VERSION") };
        let id = event::audit(&mut out, &self.origin, &info, aggregation);
        self.send_own(out, id, EventType::Audit, aggregation.last);
    }

    /// Counts a decision that the rule with this number keeps out of the topic.
    pub(super) fn count_only(&self, rule: usize, at: Timestamp) {
        self.metrics.audit_untold.inc();
        if let Some(slot) = self.untold.get(rule) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Some(slot.map_or(Aggregation::one(at), |sum| sum.and(at)));
        }
    }

    /// Counts what happened to a connection while there was no room to tell it.
    pub(super) fn overflow(&self, action: &'static str, reason: &'static str, at: Timestamp) {
        let mut overflow = self.overflow.lock().unwrap_or_else(PoisonError::into_inner);
        overflow.entry((action, reason)).and_modify(|sum| *sum = sum.and(at)).or_insert(Aggregation::one(at));
    }

    /// Tells what was only counted since the last time.
    pub(super) fn tell_counted(&self) {
        for (rule, slot) in self.untold.iter().enumerate() {
            let counted = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(counted) = counted {
                self.tell("suppressed", &format!("audit.rules[{rule}] with level none"), counted);
            }
        }
        if self.room.used() >= self.room.limit() {
            return;
        }
        let overflow = std::mem::take(&mut *self.overflow.lock().unwrap_or_else(PoisonError::into_inner));
        for ((action, reason), counted) in overflow {
            self.tell("overflow", &format!("connections {action}, {reason}, while there was no room"), counted);
        }
    }
}
