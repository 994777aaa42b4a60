//! Events between the tasks that made them and the topic.

use super::event::EventType;
use super::origin::EventId;
use super::room::Charge;
use crate::cluster::batch::murmur2;
use crate::cluster::producer::{Payload, PutHeaders};
use crate::enforce::{Category, DurableToken};
use crate::model::Timestamp;
use crate::telemetry::Metrics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The key of a record: the principal.
#[derive(Debug)]
pub(super) struct Key {
    bytes: Box<[u8]>,
    hash: u32,
}

impl Key {
    pub(super) fn new(text: &str) -> Arc<Self> {
        Arc::new(Self { bytes: text.as_bytes().into(), hash: murmur2(text.as_bytes()) })
    }
}

/// One event on its way.
#[derive(Debug)]
pub(super) struct Event {
    pub topic: usize,
    pub key: Arc<Key>,
    /// JSON; without its end until the sink has given it a number.
    pub value: Vec<u8>,
    pub id: EventId,
    pub kind: EventType,
    /// Of a decision.
    pub decided: Option<(bool, Category)>,
    pub at: Timestamp,
    /// Given back when the topic has the event.
    pub charge: Charge,
    pub durable: Option<Arc<Durable>>,
    pub written: Arc<Written>,
}

/// Somebody waits until all events of a set are in the topic.
#[derive(Debug)]
pub(super) struct Durable {
    left: AtomicUsize,
    token: DurableToken,
    tell: mpsc::UnboundedSender<DurableToken>,
}

impl Durable {
    /// Tells `token` when `events` of them are acknowledged.
    pub(super) fn new(token: DurableToken, events: usize, tell: mpsc::UnboundedSender<DurableToken>) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(events), token, tell })
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Its connection may be gone.
            let _ = self.tell.send(self.token);
        }
    }
}

/// What is known of events on their way: how many, how old.
#[derive(Debug)]
pub(super) struct Written {
    metrics: Arc<Metrics>,
    /// Events on their way by the second they were made in.
    by_second: Mutex<BTreeMap<i64, u64>>,
}

impl Written {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, by_second: Mutex::default() })
    }

    /// Events came into the queue.
    pub(super) fn entered(&self, events: &[Event]) {
        let mut by_second = self.by_second.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            *by_second.entry(event.at.0.div_euclid(1_000)).or_default() += 1;
        }
    }

    fn left(&self, at: Timestamp) {
        self.metrics.audit_written.inc();
        let mut by_second = self.by_second.lock().unwrap_or_else(PoisonError::into_inner);
        let second = at.0.div_euclid(1_000);
        if let Some(count) = by_second.get_mut(&second) {
            *count -= 1;
            if *count == 0 {
                by_second.remove(&second);
            }
        }
    }

    /// Events on their way.
    pub(super) fn count(&self) -> u64 {
        self.by_second.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// When the oldest event on its way was made, to the second.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let by_second = self.by_second.lock().unwrap_or_else(PoisonError::into_inner);
        by_second.keys().next().map(|second| Timestamp(second * 1_000))
    }
}

impl Payload for Event {
    fn topic(&self) -> usize {
        self.topic
    }

    fn key_hash(&self) -> u32 {
        self.key.hash
    }

    fn key(&self) -> &[u8] {
        &self.key.bytes
    }

    fn value(&self) -> &[u8] {
        &self.value
    }

    fn timestamp(&self) -> i64 {
        self.at.0
    }

    fn with_headers(&self, put: &mut PutHeaders<'_>) {
        let base: [(&str, &[u8]); 3] = [
            ("content-type", b"application/cloudevents+json; charset=UTF-8"),
            ("ce_type", self.kind.as_str().as_bytes()),
            ("ce_id", &self.id),
        ];
        let [content, kind, id] = base;
        match self.decided {
            Some((granted, category)) => put(&[
                content,
                kind,
                id,
                ("granted", if granted { b"true" } else { b"false" }),
                ("category", category.as_str().as_bytes()),
            ]),
            None => put(&base),
        }
    }

    fn acknowledged(self) {
        let Self { at, charge, durable, written, .. } = self;
        written.left(at);
        drop(charge);
        if let Some(durable) = durable {
            durable.one();
        }
    }
}
