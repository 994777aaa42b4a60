//! WriteTxnMarkers (API 27): brokers end transactions with it, and `kafka-transactions abort` does.
//!
//! Source: Kafka 4.1 `KafkaApis.handleWriteTxnMarkersRequest`: ALTER on the cluster, or else CLUSTER_ACTION; without both
//! every partition fails with 31, in an answer by producers (`WriteTxnMarkersRequest.getErrorResponse`). No topic is asked about, so the proxy's own are refused by name (threat 4).

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::partitions::Partitions;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::split::{TopicFields, each_once};
use crate::model::Operation;
use crate::wire::schema::write_txn_markers::request::{
    self as req, writable_txn_marker as marker, writable_txn_marker_topic as topic,
};
use crate::wire::schema::write_txn_markers::response::{
    self as res, writable_txn_marker_partition_result as partition_result, writable_txn_marker_result as result,
    writable_txn_marker_topic_result as topic_result,
};
use crate::wire::{ApiKey, Node, View, WireError};
use serde_json::json;
use std::collections::HashMap;

/// The rule of WriteTxnMarkers.
pub(super) struct WriteTxnMarkers;

const PARTITIONS: Partitions = Partitions {
    topics: marker::TOPICS,
    name: topic::NAME,
    partitions: topic::PARTITION_INDEXES,
    index: None,
    answer_topics: result::TOPICS,
    answer_name: topic_result::NAME,
    answer_partitions: topic_result::PARTITIONS,
    answer_index: partition_result::PARTITION_INDEX,
    answer_error: Some(partition_result::ERROR_CODE),
    answer_message: None,
};

impl Rule for WriteTxnMarkers {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        judge.arguments(arguments(request.view));
        let permit = judge.cluster_first(Operation::Alter);
        let permit = permit.or_else(|| judge.cluster(Operation::ClusterAction).permit());
        let mut node = request.decode();
        let answer = Node::response(ApiKey::WRITE_TXN_MARKERS);
        let Some(permit) = permit else {
            let refused = denied(&node, &answer);
            return Ok(Verdict::Answer(answer.with(res::MARKERS, refused)));
        };
        let mut refused = Vec::new();
        node.nodes_mut(req::MARKERS).retain_mut(|asked| {
            let mut row = row(&answer, asked);
            let own = PARTITIONS.cut_own(Operation::Write, asked, &row, judge);
            if own.is_empty() {
                return true;
            }
            row.set(result::TOPICS, own);
            refused.push(row);
            !asked.nodes(marker::TOPICS).is_empty()
        });
        Ok(if refused.is_empty() {
            Verdict::Forward(permit, Then::Stream)
        } else if node.nodes(req::MARKERS).is_empty() {
            Verdict::Answer(answer.with(res::MARKERS, refused))
        } else {
            Verdict::Rewrite(permit, node, Then::Complete(Box::new(Merge { refused })))
        })
    }
}

/// Every partition refused. Kafka collects them in a map by producer and partition: of two markers of one producer the last
/// is answered, a partition that is named twice once, a topic without partitions not at all.
fn denied(request: &Node, answer: &Node) -> Vec<Node> {
    const TOPIC: TopicFields = TopicFields { name: topic_result::NAME, id: None };
    let mut rows: Vec<Node> = Vec::new();
    let mut places = HashMap::new();
    for asked in request.nodes(req::MARKERS) {
        let mut refused = row(answer, asked);
        PARTITIONS.refuse(asked, &mut refused);
        let topics = refused.take_nodes(result::TOPICS);
        let once = each_once(topics, TOPIC, topic_result::PARTITIONS, partition_result::PARTITION_INDEX);
        refused.set(result::TOPICS, once);
        let place = *places.entry(asked.int(marker::PRODUCER_ID)).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(earlier) => *earlier = refused,
            None => rows.push(refused),
        }
    }
    rows
}

fn row(answer: &Node, asked: &Node) -> Node {
    answer.child(res::MARKERS).with(result::PRODUCER_ID, asked.int(marker::PRODUCER_ID))
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let markers = bounded.take(view.items(req::MARKERS), |marked, bounded| {
        let topics = bounded.take(marked.items(marker::TOPICS), |at, bounded| {
            let partitions = bounded.take(at.i32s(topic::PARTITION_INDEXES), |index, _| index.into());
            json!({ "name": text(at.str(topic::NAME)), "partitions": partitions })
        });
        let end = if marked.bool(marker::TRANSACTION_RESULT) { "commit" } else { "abort" };
        json!({ "producerId": marked.i64(marker::PRODUCER_ID), "end": end, "topics": topics })
    });
    bounded.object([("markers", markers)])
}

/// Adds what was refused to the results of its producer.
struct Merge {
    refused: Vec<Node>,
}

impl Complete for Merge {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        for mut row in self.refused {
            let id = row.int(result::PRODUCER_ID);
            let markers = answer.nodes_mut(res::MARKERS);
            match markers.iter_mut().find(|answered| answered.int(result::PRODUCER_ID) == id) {
                Some(answered) => answered.nodes_mut(result::TOPICS).append(row.nodes_mut(result::TOPICS)),
                None => markers.push(row),
            }
        }
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
