//! Records that a broker acquired for a member which may no longer have them.
//!
//! An answer to a ShareFetch that waited while the right on one of its topics ended goes on without that topic. The broker
//! holds what it had acquired for the member until that acknowledges it or the lock of the records runs out (30 s), so the
//! very next fetch of the session gives it back: others get it then, with a raised delivery count. What that fetch cannot
//! carry waits for its lock: were it released any later, the broker might have acquired it for the member again.

use crate::model::TopicId;
use crate::wire::schema::share_fetch::request::{self as req, acknowledgement_batch, fetch_partition, fetch_topic};
use crate::wire::schema::share_fetch::response::{acquired_records, partition_data};
use crate::wire::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of acknowledgement that gives a record back (`AcknowledgeType.RELEASE`).
const RELEASE: i64 = 2;
/// Ranges of offsets that are remembered. A broker acquires some thousand records of a partition at most.
const MAX_RANGES: usize = 10_000;

/// Such records of a session, by topic and partition: ranges of offsets, first and last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owed {
    ranges: BTreeMap<(TopicId, i32), Vec<(i64, i64)>>,
    count: usize,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Takes note of what was acquired of a partition, an element of an answer.
    pub(super) fn note(&mut self, id: TopicId, partition: &Node) {
        let acquired = partition.nodes(partition_data::ACQUIRED_RECORDS).iter().take(MAX_RANGES - self.count);
        let ranges: Vec<(i64, i64)> = acquired
            .map(|range| (range.int(acquired_records::FIRST_OFFSET), range.int(acquired_records::LAST_OFFSET)))
            .collect();
        if !ranges.is_empty() {
            self.count += ranges.len();
            self.ranges.entry((id, partition.i32(partition_data::PARTITION_INDEX))).or_default().extend(ranges);
        }
    }

    /// Adds to a fetch what gives them back; the partitions of which it does. Not those of which the client acknowledges
    /// something itself (one failure would fail both), and none of a topic that is `gone`, which may fail the whole fetch.
    pub(super) fn give_back(&self, fetch: &mut Node, gone: impl Fn(TopicId) -> bool) -> BTreeSet<(TopicId, i32)> {
        let mut taken = BTreeSet::new();
        for topic in fetch.nodes(req::TOPICS) {
            for partition in topic.nodes(fetch_topic::PARTITIONS) {
                if !partition.nodes(fetch_partition::ACKNOWLEDGEMENT_BATCHES).is_empty() {
                    let index = partition.i32(fetch_partition::PARTITION_INDEX);
                    taken.insert((topic.uuid(fetch_topic::TOPIC_ID), index));
                }
            }
        }
        let mut given = BTreeSet::new();
        for (&(id, index), ranges) in &self.ranges {
            if taken.contains(&(id, index)) || gone(id) {
                continue;
            }
            let mut topic = fetch.child(req::TOPICS).with(fetch_topic::TOPIC_ID, id);
            let mut partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION_INDEX, index);
            // In rising order, or the broker refuses them.
            let rising: BTreeSet<(i64, i64)> = ranges.iter().copied().collect();
            for (first, last) in rising {
                let batch = partition
                    .child(fetch_partition::ACKNOWLEDGEMENT_BATCHES)
                    .with(acknowledgement_batch::FIRST_OFFSET, first)
                    .with(acknowledgement_batch::LAST_OFFSET, last)
                    .with(acknowledgement_batch::ACKNOWLEDGE_TYPES, Value::Ints(vec![RELEASE]));
                partition.push(fetch_partition::ACKNOWLEDGEMENT_BATCHES, batch);
            }
            topic.push(fetch_topic::PARTITIONS, partition);
            fetch.push(req::TOPICS, topic);
            given.insert((id, index));
        }
        given
    }
}
