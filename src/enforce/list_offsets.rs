//! ListOffsets (API 2).
//!
//! Source: Kafka 4.1 `KafkaApis.handleListOffsetRequest`. Each topic needs DESCRIBE; without it its partitions fail with
//! 29, timestamp, offset and leader epoch -1, after those of the other topics.

use super::judge::Judge;
use super::rows::Behind;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::{Outcome, TopicFields};
use crate::model::Operation;
use crate::policy::Use;
use crate::wire::schema::list_offsets::request::{
    self as req, list_offsets_partition as req_partition, list_offsets_topic as req_topic,
};
use crate::wire::schema::list_offsets::response::{
    self as res, list_offsets_partition_response as res_partition, list_offsets_topic_response as res_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of ListOffsets.
pub(super) struct ListOffsets;

const TOPIC: TopicFields = TopicFields { name: req_topic::NAME, id: None };

/// `IsolationLevel`: with others the broker fails over the first topic that is allowed.
const ISOLATION_LEVELS: std::ops::RangeInclusive<i8> = 0..=1;

impl Rule for ListOffsets {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let mut outcome = Outcome::of_topics(judge, Use::Normal, Operation::Describe, request.view, req::TOPICS, TOPIC);
        match outcome.permit.take() {
            Some(_) if !ISOLATION_LEVELS.contains(&request.view.i8(req::ISOLATION_LEVEL)) => {
                // What is refused beside it is lost with the rest.
                let topics = request.decode().take_nodes(req::TOPICS).into_iter();
                let all = topics.map(|topic| (topic, ErrorCode::UNKNOWN_SERVER_ERROR)).collect();
                Ok(Verdict::Answer(answer(all)))
            }
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

fn answer(denied: Vec<(Node, ErrorCode)>) -> Node {
    let mut answer = Node::response(ApiKey::LIST_OFFSETS);
    for (topic, error) in denied {
        let mut refused = answer.child(res::TOPICS).with(res_topic::NAME, topic.str(req_topic::NAME));
        for partition in topic.nodes(req_topic::PARTITIONS) {
            // Timestamp, offset and epoch are -1 by default.
            let row = refused
                .child(res_topic::PARTITIONS)
                .with(res_partition::PARTITION_INDEX, partition.int(req_partition::PARTITION_INDEX))
                .with(res_partition::ERROR_CODE, error);
            refused.push(res_topic::PARTITIONS, row);
        }
        answer.push(res::TOPICS, refused);
    }
    answer
}

#[cfg(test)]
mod tests;
