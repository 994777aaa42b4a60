//! AlterPartitionReassignments (API 45), ListPartitionReassignments (API 46).
//!
//! Source: Kafka 4.1 `ControllerApis.handleAlterPartitionReassignments`: ALTER on the cluster, or the whole answer and
//! every partition fail with 31. `.handleListPartitionReassignments`: DESCRIBE on the cluster, or the whole answer fails,
//! and the topics asked about come back without replicas. No topic is asked about, so the proxy's own are refused by name,
//! and listings leave them out (threat 4). Who describes the cluster by `ClusterRead` sees the topics that he may DESCRIBE
//! (threat 36).

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::partitions::Partitions;
use super::rows::Behind;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::{Scrub, scrub};
use crate::model::{Operation, TopicName};
use crate::wire::schema::alter_partition_reassignments::request::{
    self as req, reassignable_partition as partition, reassignable_topic as topic,
};
use crate::wire::schema::alter_partition_reassignments::response::{
    self as res, reassignable_partition_response as partition_result, reassignable_topic_response as result,
};
use crate::wire::schema::list_partition_reassignments::request::{
    self as list_req, list_partition_reassignments_topics as list_topic,
};
use crate::wire::schema::list_partition_reassignments::response::{
    self as list, ongoing_partition_reassignment as list_partition, ongoing_topic_reassignment as list_result,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;

/// The rule of AlterPartitionReassignments.
pub(super) struct AlterPartitionReassignments;

const DENIED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

const PARTITIONS: Partitions = Partitions {
    topics: req::TOPICS,
    name: topic::NAME,
    partitions: topic::PARTITIONS,
    index: Some(partition::PARTITION_INDEX),
    answer_topics: res::RESPONSES,
    answer_name: result::NAME,
    answer_partitions: result::PARTITIONS,
    answer_index: partition_result::PARTITION_INDEX,
    answer_error: Some(partition_result::ERROR_CODE),
    answer_message: Some(partition_result::ERROR_MESSAGE),
};

impl Rule for AlterPartitionReassignments {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        judge.arguments(arguments(request.view));
        let mut node = request.decode();
        let mut answer = Node::response(ApiKey::ALTER_PARTITION_REASSIGNMENTS);
        let Some(permit) = judge.cluster(Operation::Alter).permit() else {
            answer.set(res::ERROR_CODE, DENIED);
            answer.set(res::ERROR_MESSAGE, DENIED.message());
            PARTITIONS.refuse(&node, &mut answer);
            return Ok(Verdict::Answer(answer));
        };
        let refused = PARTITIONS.cut_own(Operation::Alter, &mut node, &answer, judge);
        Ok(if refused.is_empty() {
            Verdict::Forward(permit, Scrub::then())
        } else if node.nodes(req::TOPICS).is_empty() {
            Verdict::Answer(answer.with(res::RESPONSES, refused))
        } else {
            Verdict::Rewrite(permit, node, Behind::then(res::RESPONSES, refused))
        })
    }
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let topics = bounded.take(view.items(req::TOPICS), |at, bounded| {
        let partitions = bounded.take(at.items(topic::PARTITIONS), |one, bounded| {
            // Null cancels a reassignment.
            let replicas = match one.is_null(partition::REPLICAS) {
                true => serde_json::Value::Null,
                false => bounded.take(one.i32s(partition::REPLICAS), |id, _| id.into()),
            };
            json!({ "partition": one.i32(partition::PARTITION_INDEX), "replicas": replicas })
        });
        json!({ "name": text(at.str(topic::NAME)), "partitions": partitions })
    });
    bounded.object([("topics", topics)])
}

/// The rule of ListPartitionReassignments.
pub(super) struct ListPartitionReassignments;

const LISTED: Partitions = Partitions {
    topics: list_req::TOPICS,
    name: list_topic::NAME,
    partitions: list_topic::PARTITION_INDEXES,
    index: None,
    answer_topics: list::TOPICS,
    answer_name: list_result::NAME,
    answer_partitions: list_result::PARTITIONS,
    answer_index: list_partition::PARTITION_INDEX,
    answer_error: None,
    answer_message: None,
};

impl Rule for ListPartitionReassignments {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let decision = judge.cluster(Operation::Describe);
        let limited = decision.is_limited_to_names();
        let Some(permit) = decision.permit() else {
            let mut answer = Node::response(ApiKey::LIST_PARTITION_REASSIGNMENTS)
                .with(list::ERROR_CODE, DENIED)
                .with(list::ERROR_MESSAGE, DENIED.message());
            LISTED.refuse(&request.decode(), &mut answer);
            return Ok(Verdict::Answer(answer));
        };
        for asked in request.view.items(list_req::TOPICS) {
            judge.refuse_own(Operation::Describe, TopicName(asked.str(list_topic::NAME)));
        }
        Ok(Verdict::Forward(permit, Then::Complete(Box::new(Filter { limited }))))
    }
}

struct Filter {
    limited: bool,
}

impl Complete for Filter {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer
            .nodes_mut(list::TOPICS)
            .retain(|topic| judge.lists(self.limited, TopicName(topic.str(list_result::NAME))));
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
