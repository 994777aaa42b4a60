//! One partition of the producer: what waits, what is being written, with which numbers. No I/O, no clock.
//!
//! At most one batch is under way, so order and sequence numbers need no bookkeeping beyond it: a batch is sent again,
//! byte for byte, until the broker has it (a broker that already has it says so), and only then the next is made.
//! Source: `Sender.completeBatch` and `TransactionManager.handleFailedBatch`, Kafka 4.1.

use super::{Identity, Payload};
use crate::cluster::batch::{Builder, Record, Stamp, next_sequence, restamp};
use crate::wire::ErrorCode;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A batch is closed at this size; one record alone may be larger.
const BATCH: usize = 512 * 1024;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Partition<P> {
    pub leader: Option<i32>,
    pending: VecDeque<P>,
    batch: Option<Batch<P>>,
    sent: bool,
    /// Whose numbers this partition counts on; another one begins at 0.
    identity: Option<Identity>,
    sequence: i32,
    limit: usize,
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Batch<P> {
    records: Vec<P>,
    bytes: Bytes,
    /// Whose numbers it carries.
    identity: Identity,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<P> {
    /// The topic has these.
    Acknowledged(Vec<P>),
    /// It is sent again later.
    Again(Cause),
}

/// What has to be done before a batch is sent again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing but waiting.
    Wait,
    /// Find the leader.
    Leader,
    /// Get another producer id: the broker no longer knows this one's numbers.
    Identity,
}

impl<P: Payload> Partition<P> {
    pub(super) fn new() -> Self {
        Self {
            leader: None,
            pending: VecDeque::new(),
            batch: None,
            sent: false,
            identity: None,
            sequence: 0,
            limit: BATCH,
            failures: 0,
            not_before: None,
        }
    }

    pub(super) fn push(&mut self, payload: P) {
        self.pending.push_back(payload);
    }

    /// What the topic does not have, in order. What was sent and not answered may be there all the same.
    pub(super) fn into_records(self) -> impl Iterator<Item = P> {
        self.batch.into_iter().flat_map(|batch| batch.records).chain(self.pending)
    }

    /// Whether the topic has everything.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.batch.is_none()
    }

    /// Whether something can be sent at `now`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        !self.sent && !self.is_idle() && self.not_before.is_none_or(|at| at <= now)
    }

    /// When something can be sent that has to wait until then.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        if self.sent || self.is_idle() { None } else { self.not_before }
    }

    /// Whose numbers this partition counts on; `None`: it needs one.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The batch to send now; the same as before if that was not acknowledged.
    pub(super) fn send(&mut self, identity: Identity) -> Option<Bytes> {
        let identity = *self.identity.get_or_insert_with(|| {
            self.sequence = 0;
            identity
        });
        let stamp = Stamp { producer: identity.producer, epoch: identity.epoch, sequence: self.sequence };
        match &mut self.batch {
            Some(batch) if batch.identity == identity => {}
            Some(batch) => {
                let mut bytes = batch.bytes.to_vec();
                restamp(&mut bytes, stamp);
                (batch.bytes, batch.identity) = (bytes.into(), identity);
            }
            None => self.batch = Some(Batch::build(&mut self.pending, self.limit, identity, stamp)?),
        }
        self.sent = true;
        self.batch.as_ref().map(|batch| batch.bytes.clone())
    }

    /// The connection failed, or the answer does not speak of this partition: it may have been written or not.
    pub(super) fn lost(&mut self, now: Instant) {
        self.leader = None;
        self.retry(now);
    }

    /// Takes the broker's word on the batch that was sent.
    pub(super) fn answered(&mut self, code: ErrorCode, now: Instant) -> Outcome<P> {
        match code {
            // A duplicate was written before, and its answer was lost.
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                (self.sent, self.failures, self.not_before) = (false, 0, None);
                let records = self.batch.take().map(|b| b.records).unwrap_or_default();
                self.sequence = next_sequence(self.sequence, i32::try_from(records.len()).unwrap_or(0));
                Outcome::Acknowledged(records)
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING => {
                self.identity = None;
                self.retry(now);
                Outcome::Again(Cause::Identity)
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                self.split();
                self.retry(now);
                Outcome::Again(Cause::Wait)
            }
            ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::REPLICA_NOT_AVAILABLE => {
                self.leader = None;
                self.retry(now);
                Outcome::Again(Cause::Leader)
            }
            // Too few replicas, a timeout, no permission, or what no broker has said yet: somebody has to see to it,
            // and until then nothing is given up.
            _ => {
                self.retry(now);
                Outcome::Again(Cause::Wait)
            }
        }
    }

    /// Takes a batch apart that the topic finds too large; one record alone stays as it is. It was not written, so its
    /// sequence number is free.
    fn split(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        if let [_] = batch.records.as_slice() {
            self.batch = Some(batch);
            return;
        }
        self.limit = (batch.bytes.len() / 2).max(1);
        for record in batch.records.into_iter().rev() {
            self.pending.push_front(record);
        }
    }

    fn retry(&mut self, now: Instant) {
        self.sent = false;
        let wait = FIRST_RETRY.saturating_mul(1_u32 << self.failures.min(10)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + wait);
    }
}

impl<P: Payload> Batch<P> {
    /// As many records as fit, at least one; `None` if none waits.
    fn build(pending: &mut VecDeque<P>, limit: usize, identity: Identity, stamp: Stamp) -> Option<Self> {
        let mut builder = Builder::default();
        let mut records = Vec::new();
        while let Some(next) = pending.front() {
            let larger = builder.len().saturating_add(next.value().len());
            if !records.is_empty() && (larger > limit || builder.count() == i32::MAX) {
                break;
            }
            next.with_headers(&mut |headers| {
                builder.push(Record {
                    timestamp: next.timestamp(),
                    key: Some(next.key()),
                    value: Some(next.value()),
                    headers,
                });
            });
            records.extend(pending.pop_front());
        }
        (!records.is_empty()).then(|| Self { records, bytes: builder.finish(stamp).into(), identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::batch::HEADER;
    use crate::cluster::producer::PutHeaders;
    use kafka_protocol::records::RecordBatchDecoder;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Text(String);

    impl Payload for Text {
        fn topic(&self) -> usize {
            0
        }
        fn key_hash(&self) -> u32 {
            0
        }
        fn key(&self) -> &[u8] {
            b"k"
        }
        fn value(&self) -> &[u8] {
            self.0.as_bytes()
        }
        fn timestamp(&self) -> i64 {
            0
        }
        fn with_headers(&self, put: &mut PutHeaders<'_>) {
            put(&[]);
        }
        fn acknowledged(self) {}
    }

    const FIRST: Identity = Identity { producer: 1, epoch: 0 };

    /// A broker's side of the bargain: numbers per producer, a duplicate is answered as written.
    #[derive(Default)]
    struct Log {
        values: Vec<String>,
        next: BTreeMap<i64, (i32, Bytes)>,
        max: usize,
    }

    impl Log {
        fn append(&mut self, batch: &Bytes) -> ErrorCode {
            if batch.len() > self.max {
                return ErrorCode::MESSAGE_TOO_LARGE;
            }
            let records = RecordBatchDecoder::decode(&mut batch.clone()).unwrap().records;
            let (producer, sequence) = (records[0].producer_id, records[0].sequence);
            match self.next.get(&producer) {
                Some((_, last)) if last == batch => return ErrorCode::NONE,
                Some((next, _)) if *next != sequence => return ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
                None if sequence != 0 => return ErrorCode::UNKNOWN_PRODUCER_ID,
                _ => {}
            }
            self.next.insert(producer, (sequence + i32::try_from(records.len()).unwrap(), batch.clone()));
            let text = |r: kafka_protocol::records::Record| String::from_utf8(r.value.unwrap().to_vec()).unwrap();
            self.values.extend(records.into_iter().map(text));
            ErrorCode::NONE
        }
    }

    proptest! {
        /// Whatever fails, and wherever an answer is lost: every record is in the log once, in order. (Twice only
        /// where the broker has forgotten the producer; this one does not forget.)
        #[test]
        fn nothing_is_lost_doubled_or_reordered(
            sizes in prop::collection::vec(1_usize..4_000, 1..60),
            faults in prop::collection::vec(0_u8..6, 0..80),
            max in 9_000_usize..20_000,
        ) {
            let (mut partition, mut log) = (Partition::new(), Log { max, ..Log::default() });
            let mut now = Instant::now();
            let all: Vec<String> = sizes.iter().enumerate().map(|(i, size)| format!("{i}:{}", "x".repeat(*size))).collect();
            let (mut to_push, mut told) = (all.iter(), Vec::new());
            let mut faults = faults.into_iter();
            let mut rounds = 0;
            loop {
                rounds += 1;
                prop_assert!(rounds < 1_000, "no progress");
                for text in to_push.by_ref().take(7) {
                    partition.push(Text(text.clone()));
                }
                now += Duration::from_secs(2);
                if !partition.is_ready(now) {
                    break;
                }
                let batch = partition.send(FIRST).unwrap();
                prop_assert!(!partition.is_ready(now), "one batch at a time");
                match faults.next() {
                    Some(0) => partition.lost(now),
                    Some(1) => {
                        log.append(&batch);
                        partition.lost(now);
                    }
                    Some(2) => prop_assert_eq!(partition.answered(ErrorCode::NOT_ENOUGH_REPLICAS, now), Outcome::Again(Cause::Wait)),
                    Some(3) => {
                        log.append(&batch);
                        let told = partition.answered(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, now);
                        prop_assert_eq!(told, Outcome::Again(Cause::Wait));
                    }
                    _ => if let Outcome::Acknowledged(records) = partition.answered(log.append(&batch), now) {
                        told.extend(records.into_iter().map(|r| r.0));
                    }
                }
            }
            prop_assert_eq!(&log.values, &all);
            prop_assert_eq!(&told, &all);
            prop_assert!(partition.is_idle());
        }
    }

    #[test]
    fn a_forgotten_producer_begins_again_with_another_id_and_the_same_records() {
        let (mut partition, mut log) = (Partition::new(), Log { max: 1 << 20, ..Log::default() });
        let now = Instant::now();
        partition.push(Text("a".into()));
        let first = partition.send(FIRST).unwrap();
        assert!(matches!(partition.answered(log.append(&first), now), Outcome::Acknowledged(_)));
        partition.push(Text("b".into()));
        let second = partition.send(FIRST).unwrap();
        log.next.clear();
        let code = log.append(&second);
        assert_eq!(partition.answered(code, now), Outcome::Again(Cause::Identity));
        assert_eq!(partition.identity(), None);
        let again = partition.send(Identity { producer: 2, epoch: 0 }).unwrap();
        assert_eq!(partition.answered(log.append(&again), now), Outcome::Acknowledged(vec![Text("b".into())]));
        assert_eq!(log.values, ["a", "b"]);
    }

    #[test]
    fn a_single_record_that_is_too_large_is_kept_and_tried_again() {
        let mut partition = Partition::new();
        let now = Instant::now();
        partition.push(Text("x".repeat(2 * BATCH)));
        let batch = partition.send(FIRST).unwrap();
        assert!(batch.len() > BATCH + HEADER);
        assert_eq!(partition.answered(ErrorCode::MESSAGE_TOO_LARGE, now), Outcome::Again(Cause::Wait));
        assert_eq!(partition.send(FIRST).unwrap(), batch);
    }

    #[test]
    fn retries_slow_down_and_a_success_forgets_that() {
        let mut partition = Partition::new();
        let now = Instant::now();
        partition.push(Text("a".into()));
        let mut waits = Vec::new();
        for _ in 0..7 {
            partition.send(FIRST).unwrap();
            partition.answered(ErrorCode::REQUEST_TIMED_OUT, now);
            waits.push((partition.retry_at().unwrap() - now).as_millis());
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_000, 1_000]);
        partition.send(FIRST).unwrap();
        partition.answered(ErrorCode::NONE, now);
        partition.push(Text("b".into()));
        assert!(partition.is_ready(now));
    }
}
