//! ShareAcknowledge (API 79): accepting, releasing and rejecting records acquired in a share session.
//!
//! Source: Kafka 4.3 `KafkaApis.handleShareAcknowledgeRequest`, `SharePartitionManager.acknowledgeSessionUpdate`. READ on
//! the group, or the request fails with 30; READ on each topic, or its partitions fail with 29, an id without a name with
//! 100, what is malformed with 42 ([`share_batches`](super::share_batches)). It moves the epoch of its session on, or closes
//! it, so it is known here by the same rules as a ShareFetch.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::share_batches::ALONE;
use super::share_fetch::{Decided, FINAL_EPOCH, INITIAL_EPOCH, known_session, read_group};
use super::share_session::Member;
use crate::model::TopicId;
use crate::wire::schema::share_acknowledge::request::{self as req, acknowledge_partition, acknowledge_topic};
use crate::wire::schema::share_acknowledge::response::{
    self as res, node_endpoint, partition_data, share_acknowledge_topic_response as told_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};
use std::collections::BTreeMap;

/// The rule of ShareAcknowledge.
pub(super) struct ShareAcknowledge;

impl Rule for ShareAcknowledge {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let refuse =
            |error| Ok(Verdict::Answer(Node::response(ApiKey::SHARE_ACKNOWLEDGE).with(res::ERROR_CODE, error)));
        let (permit, member) = match read_group(view, req::GROUP_ID, req::MEMBER_ID, judge) {
            Ok(allowed) => allowed,
            Err(error) => return refuse(error),
        };
        let epoch = view.i32(req::SHARE_SESSION_EPOCH);
        if epoch == INITIAL_EPOCH {
            return refuse(ErrorCode::INVALID_SHARE_SESSION_EPOCH);
        }
        if let Err(error) = known_session(&member, judge) {
            return refuse(error);
        }
        let ids = || view.items(req::TOPICS).map(|topic| topic.uuid(acknowledge_topic::TOPIC_ID));
        let mut decided = Decided::default();
        let unresolved = decided.ask(ids(), judge);
        if !unresolved.is_empty() {
            return Ok(Verdict::Probe(unresolved));
        }
        let ends = epoch == FINAL_EPOCH;
        if ids().all(|id| decided.error(id).is_none()) {
            let finish = Box::new(Finish { member, ends, denied: Vec::new() });
            return Ok(Verdict::Forward(permit, Then::Alone(finish)));
        }
        let mut node = request.decode();
        let (cut, kept): (Vec<Node>, Vec<Node>) = node
            .take_nodes(req::TOPICS)
            .into_iter()
            .partition(|topic| decided.error(topic.uuid(acknowledge_topic::TOPIC_ID)).is_some());
        *node.nodes_mut(req::TOPICS) = kept;
        let denied = refused(&cut, &decided, request.version(), view.bool(req::IS_RENEW_ACK));
        // Also without any topic left: the session's epoch moves on.
        Ok(Verdict::Rewrite(permit, node, Then::Alone(Box::new(Finish { member, ends, denied }))))
    }
}

/// The refused topics as elements of the answer, each partition once.
fn refused(cut: &[Node], decided: &Decided, version: i16, renews: bool) -> Vec<Node> {
    let mut topics: BTreeMap<TopicId, BTreeMap<i32, ErrorCode>> = BTreeMap::new();
    for topic in cut {
        let id = topic.uuid(acknowledge_topic::TOPIC_ID);
        let error = decided.error(id).unwrap_or(ErrorCode::NONE);
        let partitions = topic.nodes(acknowledge_topic::PARTITIONS).iter().map(|partition| {
            let index = partition.i32(acknowledge_partition::PARTITION_INDEX);
            (index, ALONE.refusal(partition, error, version, renews))
        });
        topics.entry(id).or_default().extend(partitions);
    }
    let element = |(id, partitions): (TopicId, BTreeMap<i32, ErrorCode>)| {
        let mut told = Node::new(&told_topic::THIS).with(told_topic::TOPIC_ID, id);
        for (index, error) in partitions {
            let partition = told
                .child(told_topic::PARTITIONS)
                .with(partition_data::PARTITION_INDEX, index)
                .with(partition_data::ERROR_CODE, error);
            told.push(told_topic::PARTITIONS, partition);
        }
        told
    };
    topics.into_iter().filter(|(_, partitions)| !partitions.is_empty()).map(element).collect()
}

/// Adds refused partitions, puts told addresses in place of the brokers' own, and ends the session where it ended.
struct Finish {
    member: Member,
    ends: bool,
    denied: Vec<Node>,
}

impl Complete for Finish {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let failed = answer.int(res::ERROR_CODE) != 0;
        if failed || self.ends {
            judge.share.ended(&self.member);
        }
        if !failed {
            answer.nodes_mut(res::RESPONSES).extend(self.denied);
        }
        answer.nodes_mut(res::NODE_ENDPOINTS).retain_mut(|endpoint| {
            judge.rewrite_address(endpoint, node_endpoint::NODE_ID, node_endpoint::HOST, node_endpoint::PORT)
        });
        Completed::Answer(answer)
    }
}

/// Answers a ShareFetch whose records were withheld, once the broker has closed its session and released them.
pub struct Released(pub ErrorCode);

impl Complete for Released {
    fn complete(self: Box<Self>, _: Node, _: &mut Judge<'_>) -> Completed {
        Completed::Answer(super::share_fetch::refusal(self.0))
    }
}

#[cfg(test)]
mod tests;
