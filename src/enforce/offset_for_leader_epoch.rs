//! OffsetForLeaderEpoch (API 23).
//!
//! Source: Kafka 4.1 `KafkaApis.handleOffsetForLeaderEpochRequest`. CLUSTER_ACTION grants every topic (followers); else
//! each topic needs DESCRIBE (KIP-320). Without it its partitions fail with 29, leader epoch and end offset -1, after
//! those of the other topics. The proxy's own topics are decided by name even for CLUSTER_ACTION (threat 4).

use super::asks::ClusterOrTopic;
use super::judge::Judge;
use super::rows::Behind;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::Outcome;
use crate::model::{Operation, TopicName};
use crate::wire::schema::offset_for_leader_epoch::request::{
    self as req, offset_for_leader_partition as req_partition, offset_for_leader_topic as req_topic,
};
use crate::wire::schema::offset_for_leader_epoch::response::{
    self as res, epoch_end_offset as res_partition, offset_for_leader_topic_result as res_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of OffsetForLeaderEpoch.
pub(super) struct OffsetForLeaderEpoch;

impl Rule for OffsetForLeaderEpoch {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let mut outcome = Outcome::default();
        let mut demand = ClusterOrTopic::ask(judge, Operation::ClusterAction, Operation::Describe);
        for (place, topic) in request.view.items(req::TOPICS).enumerate() {
            if !demand.allows(TopicName(topic.str(req_topic::TOPIC)), judge) {
                outcome.denied.push((place, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
            }
        }
        match demand.permit() {
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
    let mut answer = Node::response(ApiKey::OFFSET_FOR_LEADER_EPOCH);
    for (topic, error) in denied {
        let mut refused = answer.child(res::TOPICS).with(res_topic::TOPIC, topic.str(req_topic::TOPIC));
        for partition in topic.nodes(req_topic::PARTITIONS) {
            // Epoch and offset are -1 by default.
            let row = refused
                .child(res_topic::PARTITIONS)
                .with(res_partition::PARTITION, partition.int(req_partition::PARTITION))
                .with(res_partition::ERROR_CODE, error);
            refused.push(res_topic::PARTITIONS, row);
        }
        answer.push(res::TOPICS, refused);
    }
    answer
}

#[cfg(test)]
mod tests;
