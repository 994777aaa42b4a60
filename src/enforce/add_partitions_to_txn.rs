//! AddPartitionsToTxn (API 24).
//!
//! Source: Kafka 4.1 `KafkaApis.handleAddPartitionsToTxnRequest`. Versions 0 to 3 come from producers: WRITE on the
//! transactional id, or every partition fails with 53; then WRITE on each topic, all or nothing: if one is denied (29)
//! nothing is added, and the others fail with 55, or with 3 if they do not exist. Kafka's internal topics are never in the
//! set that is allowed, so they fail with 29 whoever asks. From version 4 on brokers ask on behalf of producers:
//! CLUSTER_ACTION on the cluster, or the whole answer fails with 31; no topic is looked at, so the proxy's own topics are
//! refused by name (threat 4).

use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use crate::model::{Operation, ResourceName, TopicName, TransactionalId};
use crate::policy::{Decision, Permit, ReasonCode};
use crate::wire::schema::add_partitions_to_txn::request::{
    self as req, add_partitions_to_txn_topic as topic, add_partitions_to_txn_transaction as transaction,
};
use crate::wire::schema::add_partitions_to_txn::response::{
    self as res, add_partitions_to_txn_partition_result as partition, add_partitions_to_txn_topic_result as result,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};

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
            return Ok(refuse(request, |_| ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        };
        let mut denied = Vec::new();
        for (place, element) in request.view.items(req::V3_AND_BELOW_TOPICS).enumerate() {
            match ask(TopicName(element.str(topic::NAME)), judge) {
                Some(own) => permit = own,
                None => denied.push(place),
            }
        }
        if denied.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        let exists: Vec<bool> = request
            .view
            .items(req::V3_AND_BELOW_TOPICS)
            .map(|element| judge.cx.topology.has_topic(element.str(topic::NAME)))
            .collect();
        Ok(refuse(request, |place| {
            if denied.binary_search(&place).is_ok() {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED
            } else if exists.get(place) == Some(&true) {
                ErrorCode::OPERATION_NOT_ATTEMPTED
            } else {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
        }))
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

/// The answer that adds nothing; every partition of a topic has the error of its place.
fn refuse(request: &Request<'_, '_>, error: impl Fn(usize) -> ErrorCode) -> Verdict {
    let mut answer = Node::response(ApiKey::ADD_PARTITIONS_TO_TXN);
    for (place, asked) in request.decode().nodes(req::V3_AND_BELOW_TOPICS).iter().enumerate() {
        let mut refused = answer.child(res::RESULTS_BY_TOPIC_V3_AND_BELOW).with(result::NAME, asked.str(topic::NAME));
        for index in asked.ints(topic::PARTITIONS) {
            let node = refused
                .child(result::RESULTS_BY_PARTITION)
                .with(partition::PARTITION_INDEX, *index)
                .with(partition::PARTITION_ERROR_CODE, error(place));
            refused.push(result::RESULTS_BY_PARTITION, node);
        }
        answer.push(res::RESULTS_BY_TOPIC_V3_AND_BELOW, refused);
    }
    Verdict::Answer(answer)
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
