//! AddPartitionsToTxn (API 24).
//!
//! Source: Kafka 4.1 `KafkaApis.handleAddPartitionsToTxnRequest`. Versions 0 to 3 come from producers: WRITE on the
//! transactional id, or every partition fails with 53; then WRITE on each topic, all or nothing: if one is denied (29)
//! nothing is added, and the others fail with 55, or with 3 if they do not exist: that the broker is asked. Kafka's internal topics are never in the
//! set that is allowed, so they fail with 29 whoever asks. From version 4 on brokers ask on behalf of producers:
//! CLUSTER_ACTION on the cluster, or the whole answer fails with 31; no topic is looked at, so the proxy's own topics are
//! refused by name (threat 4).

use super::judge::Judge;
use super::look_up::{self, Topics};
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::split::{TopicFields, each_once};
use crate::model::{Operation, ResourceName, TopicName, TransactionalId};
use crate::policy::{Decision, Permit, ReasonCode};
use crate::wire::schema::add_partitions_to_txn::request::{
    self as req, add_partitions_to_txn_topic as topic, add_partitions_to_txn_transaction as transaction,
};
use crate::wire::schema::add_partitions_to_txn::response::{
    self as res, add_partitions_to_txn_partition_result as partition, add_partitions_to_txn_topic_result as result,
};
use crate::wire::schema::metadata::response::{
    self as metadata, metadata_response_partition as known_partition, metadata_response_topic as known_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use std::collections::HashSet;

/// The rule of AddPartitionsToTxn.
pub(super) struct AddPartitionsToTxn;

/// The first version that only brokers send.
const BROKERS_SINCE: i16 = 4;

/// `Topic.INTERNAL_TOPICS`, Kafka 4.4.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

impl Rule for AddPartitionsToTxn {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        if request.version() >= BROKERS_SINCE {
            return Ok(of_broker(request.view, judge));
        }
        let id = request.view.str(req::V3_AND_BELOW_TRANSACTIONAL_ID);
        let Some(mut permit) = judge.decide(Operation::Write, TransactionalId(id)).permit() else {
            return Ok(refuse(request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        };
        let mut denied = Vec::new();
        for (place, element) in request.view.items(req::V3_AND_BELOW_TOPICS).enumerate() {
            // Kafka asks partition by partition: nobody is asked about a topic of which none is named, and none is added.
            if !joins(&element) {
                continue;
            }
            match ask(TopicName(element.str(topic::NAME)), judge) {
                Some(own) => permit = own,
                None => denied.push(place),
            }
        }
        if denied.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        let named: Vec<&str> = (request.view.items(req::V3_AND_BELOW_TOPICS).enumerate())
            .filter(|(place, element)| joins(element) && denied.binary_search(place).is_err())
            .map(|(_, element)| element.str(topic::NAME))
            .collect();
        if named.is_empty() {
            let all = refused(&request.decode(), |_, _, _| ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            return Ok(Verdict::Answer(by_topic(all)));
        }
        let (version, body) = look_up::metadata(judge, &Topics::Named(named));
        let then = Then::Complete(Box::new(NotAdded { denied, asked: request.decode() }));
        Ok(Verdict::Ask { permit, key: ApiKey::METADATA, version, body, then })
    }
}

/// Whether partitions of a topic are to join.
fn joins(element: &View<'_, '_>) -> bool {
    element.i32s(topic::PARTITIONS).next().is_some()
}

/// Nothing is added; what exists says how the partitions of topics that are not denied fail.
struct NotAdded {
    /// Places of denied topics, rising.
    denied: Vec<usize>,
    asked: Node,
}

impl Complete for NotAdded {
    fn complete(self: Box<Self>, known: Node, _: &mut Judge<'_>) -> Completed {
        let mut partitions: HashSet<(&str, i64)> = HashSet::new();
        for topic in known.nodes(metadata::TOPICS) {
            let indexes = topic.nodes(known_topic::PARTITIONS).iter().map(|p| p.int(known_partition::PARTITION_INDEX));
            partitions.extend(indexes.map(|index| (topic.str(known_topic::NAME), index)));
        }
        Completed::Answer(by_topic(refused(&self.asked, |place, name, index| {
            if self.denied.binary_search(&place).is_ok() {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED
            } else if partitions.contains(&(name, index)) {
                ErrorCode::OPERATION_NOT_ATTEMPTED
            } else {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
        })))
    }
}

fn ask(name: TopicName<'_>, judge: &mut Judge<'_>) -> Option<Permit> {
    if INTERNAL.contains(&name.0) {
        let refused = Decision::refused(ReasonCode::NoMatch, judge.cx.now);
        judge.note(Operation::Write, name.resource(), &refused);
        return None;
    }
    judge.decide(Operation::Write, name).permit()
}

/// The answer that adds nothing, with one error for every partition.
fn refuse(request: &Request<'_, '_>, error: ErrorCode) -> Verdict {
    Verdict::Answer(refused(&request.decode(), |_, _, _| error))
}

/// The answer that adds nothing; the error of a partition follows from the place and name of its topic, and its number.
fn refused(request: &Node, error: impl Fn(usize, &str, i64) -> ErrorCode) -> Node {
    let mut answer = Node::response(ApiKey::ADD_PARTITIONS_TO_TXN);
    for (place, asked) in request.nodes(req::V3_AND_BELOW_TOPICS).iter().enumerate() {
        let name = asked.str(topic::NAME);
        let mut refused = answer.child(res::RESULTS_BY_TOPIC_V3_AND_BELOW).with(result::NAME, name);
        for index in asked.ints(topic::PARTITIONS) {
            let node = refused
                .child(result::RESULTS_BY_PARTITION)
                .with(partition::PARTITION_INDEX, *index)
                .with(partition::PARTITION_ERROR_CODE, error(place, name, *index));
            refused.push(result::RESULTS_BY_PARTITION, node);
        }
        answer.push(res::RESULTS_BY_TOPIC_V3_AND_BELOW, refused);
    }
    answer
}

/// With a topic that is named twice once: what is refused by topic the broker collects in a map.
fn by_topic(mut answer: Node) -> Node {
    let fields = TopicFields { name: result::NAME, id: None };
    let topics = answer.take_nodes(res::RESULTS_BY_TOPIC_V3_AND_BELOW);
    let once = each_once(topics, fields, result::RESULTS_BY_PARTITION, partition::PARTITION_INDEX);
    answer.with(res::RESULTS_BY_TOPIC_V3_AND_BELOW, once)
}

fn of_broker(view: View<'_, '_>, judge: &mut Judge<'_>) -> Verdict {
    let mut own = false;
    for element in view.items(req::TRANSACTIONS).flat_map(|t| t.items(transaction::TOPICS)) {
        own |= judge.refuse_own(Operation::Write, TopicName(element.str(topic::NAME)));
    }
    match judge.cluster(Operation::ClusterAction).permit().filter(|_| !own) {
        Some(permit) => Verdict::Forward(permit, Then::Stream),
        None => Verdict::Answer(
            Node::response(ApiKey::ADD_PARTITIONS_TO_TXN)
                .with(res::ERROR_CODE, ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
        ),
    }
}

#[cfg(test)]
mod tests;
