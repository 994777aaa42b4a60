//! AlterReplicaLogDirs (API 34), DescribeLogDirs (API 35).
//!
//! Source: Kafka 4.1 `KafkaApis.handleAlterReplicaLogDirsRequest`: ALTER on the cluster, or every partition fails with 31.
//! `.handleDescribeLogDirsRequest`: DESCRIBE on the cluster, or an answer without directories, with 31 where the version
//! (from 3 on) has an error of the whole answer. No topic is asked about, so the proxy's own are refused by name, and
//! listings leave them out (threat 4). Who describes the cluster by `ClusterRead` sees the topics that he may DESCRIBE
//! (threat 36).

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::partitions::Partitions;
use super::rows::Behind;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, TopicName};
use crate::wire::schema::alter_replica_log_dirs::request::{
    self as req, alter_replica_log_dir as dir, alter_replica_log_dir_topic as topic,
};
use crate::wire::schema::alter_replica_log_dirs::response::{
    self as res, alter_replica_log_dir_partition_result as partition_result,
    alter_replica_log_dir_topic_result as result,
};
use crate::wire::schema::describe_log_dirs::request::{self as list_req, describable_log_dir_topic as asked_topic};
use crate::wire::schema::describe_log_dirs::response::{
    self as list, describe_log_dirs_result as list_dir, describe_log_dirs_topic as list_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;

/// The rule of AlterReplicaLogDirs.
pub(super) struct AlterReplicaLogDirs;

const PARTITIONS: Partitions = Partitions {
    topics: dir::TOPICS,
    name: topic::NAME,
    partitions: topic::PARTITIONS,
    index: None,
    answer_topics: res::RESULTS,
    answer_name: result::TOPIC_NAME,
    answer_partitions: result::PARTITIONS,
    answer_index: partition_result::PARTITION_INDEX,
    answer_error: Some(partition_result::ERROR_CODE),
    answer_message: None,
};

impl Rule for AlterReplicaLogDirs {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        judge.arguments(arguments(request.view));
        let mut node = request.decode();
        let mut answer = Node::response(ApiKey::ALTER_REPLICA_LOG_DIRS);
        let Some(permit) = judge.cluster(Operation::Alter).permit() else {
            for asked in node.nodes(req::DIRS) {
                PARTITIONS.refuse(asked, &mut answer);
            }
            return Ok(Verdict::Answer(answer));
        };
        let mut refused = Vec::new();
        node.nodes_mut(req::DIRS).retain_mut(|asked| {
            let own = PARTITIONS.cut_own(Operation::Alter, asked, &answer, judge);
            let untouched = own.is_empty();
            refused.extend(own);
            untouched || !asked.nodes(dir::TOPICS).is_empty()
        });
        Ok(if refused.is_empty() {
            Verdict::Forward(permit, Then::Stream)
        } else if node.nodes(req::DIRS).is_empty() {
            Verdict::Answer(answer.with(res::RESULTS, refused))
        } else {
            Verdict::Rewrite(permit, node, Behind::then(res::RESULTS, refused))
        })
    }
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let dirs = bounded.take(view.items(req::DIRS), |asked, bounded| {
        let topics = bounded.take(asked.items(dir::TOPICS), |at, bounded| {
            let partitions = bounded.take(at.i32s(topic::PARTITIONS), |index, _| index.into());
            json!({ "name": text(at.str(topic::NAME)), "partitions": partitions })
        });
        json!({ "path": text(asked.str(dir::PATH)), "topics": topics })
    });
    bounded.object([("dirs", dirs)])
}

/// The rule of DescribeLogDirs.
pub(super) struct DescribeLogDirs;

impl Rule for DescribeLogDirs {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let decision = judge.cluster(Operation::Describe);
        let limited = decision.is_limited_to_names();
        let Some(permit) = decision.permit() else {
            // Before version 3 there is no such field: it looks like a broker without directories, as in Kafka.
            let refused = Node::response(ApiKey::DESCRIBE_LOG_DIRS)
                .with(list::ERROR_CODE, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
            return Ok(Verdict::Answer(refused));
        };
        for asked in request.view.items(list_req::TOPICS) {
            judge.refuse_own(Operation::Describe, TopicName(asked.str(asked_topic::TOPIC)));
        }
        Ok(Verdict::Forward(permit, Then::Complete(Box::new(Filter { limited }))))
    }
}

struct Filter {
    limited: bool,
}

impl Complete for Filter {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        for directory in answer.nodes_mut(list::RESULTS) {
            directory
                .nodes_mut(list_dir::TOPICS)
                .retain(|topic| judge.lists(self.limited, TopicName(topic.str(list_topic::NAME))));
        }
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
