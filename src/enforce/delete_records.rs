//! DeleteRecords (API 21).
//!
//! Source: Kafka 4.1 `KafkaApis.handleDeleteRecordsRequest`. Each topic needs DELETE; without it its partitions fail with
//! 29 and low watermark -1.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rows::Behind;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::{Outcome, TopicFields, each_once};
use crate::model::Operation;
use crate::policy::Use;
use crate::wire::schema::delete_records::request::{
    self as req, delete_records_partition as req_partition, delete_records_topic as req_topic,
};
use crate::wire::schema::delete_records::response::{
    self as res, delete_records_partition_result as res_partition, delete_records_topic_result as res_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;

/// The rule of DeleteRecords.
pub(super) struct DeleteRecords;

const TOPIC: TopicFields = TopicFields { name: req_topic::NAME, id: None };

impl Rule for DeleteRecords {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view));
        let mut outcome = Outcome::of_topics(judge, Use::Normal, Operation::Delete, view, req::TOPICS, TOPIC);
        match outcome.permit.take() {
            Some(permit) if outcome.denied.is_empty() => Ok(Verdict::Forward(permit, Then::Stream)),
            permit => {
                let mut node = request.decode();
                let mut denied = answer(outcome.cut(node.nodes_mut(req::TOPICS)));
                Ok(match permit {
                    Some(permit) => {
                        Verdict::Rewrite(permit, node, Behind::then(res::TOPICS, denied.take_nodes(res::TOPICS)))
                    }
                    None => Verdict::Answer(denied),
                })
            }
        }
    }
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let topics = bounded.take(view.items(req::TOPICS), |topic, bounded| {
        let partitions = bounded.take(topic.items(req_topic::PARTITIONS), |partition, _| {
            json!({
                "index": partition.i32(req_partition::PARTITION_INDEX),
                "offset": partition.i64(req_partition::OFFSET),
            })
        });
        json!({ "name": text(topic.str(req_topic::NAME)), "partitions": partitions })
    });
    bounded.object([("topics", topics)])
}

/// The refusals; what is named twice is one in Kafka's map.
fn answer(denied: Vec<(Node, ErrorCode)>) -> Node {
    let mut refused = Vec::new();
    for (topic, error) in denied {
        let mut own = Node::new(&res_topic::THIS).with(res_topic::NAME, topic.str(req_topic::NAME));
        for partition in topic.nodes(req_topic::PARTITIONS) {
            let row = Node::new(&res_partition::THIS)
                .with(res_partition::PARTITION_INDEX, partition.i32(req_partition::PARTITION_INDEX))
                .with(res_partition::LOW_WATERMARK, -1i64)
                .with(res_partition::ERROR_CODE, error);
            own.push(res_topic::PARTITIONS, row);
        }
        refused.push(own);
    }
    let fields = TopicFields { name: res_topic::NAME, id: None };
    let once = each_once(refused, fields, res_topic::PARTITIONS, res_partition::PARTITION_INDEX);
    Node::response(ApiKey::DELETE_RECORDS).with(res::TOPICS, once)
}

#[cfg(test)]
mod tests;
