//! ElectLeaders (API 43).
//!
//! Source: Kafka 4.1 `ControllerApis.handleElectLeaders`, `ElectLeadersRequest.getErrorResponse`: ALTER on the cluster, or
//! the whole answer (from version 1 on) and every partition that was named fail with 31. No topic is asked about, so the
//! proxy's own are refused by name (threat 4).
//!
//! Null stands for every partition, the proxy's own among them: so the broker is asked which there are, and then for an
//! election of the others by their names. Where all are meant Kafka leaves out those that need no election
//! (`ReplicationControlManager.electLeaders`); where they are named it does not, so the answer is brought into that form.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::look_up::{self, Topics};
use super::partitions::Partitions;
use super::rows::Behind;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::{Scrub, scrub};
use crate::model::{Operation, Resource, TopicName};
use crate::wire::schema::elect_leaders::request::{self as req, topic_partitions as topic};
use crate::wire::schema::elect_leaders::response::{self as res, partition_result, replica_election_result as result};
use crate::wire::schema::metadata::response::{
    self as metadata, metadata_response_partition as known_partition, metadata_response_topic as known_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;

/// The rule of ElectLeaders.
pub(super) struct ElectLeaders;

/// `ElectionType`: PREFERRED, UNCLEAN.
const TYPES: std::ops::RangeInclusive<i8> = 0..=1;

const DENIED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

const PARTITIONS: Partitions = Partitions {
    topics: req::TOPIC_PARTITIONS,
    name: topic::TOPIC,
    partitions: topic::PARTITIONS,
    index: None,
    answer_topics: res::REPLICA_ELECTION_RESULTS,
    answer_name: result::TOPIC,
    answer_partitions: result::PARTITION_RESULT,
    answer_index: partition_result::PARTITION_ID,
    answer_error: Some(partition_result::ERROR_CODE),
    answer_message: Some(partition_result::ERROR_MESSAGE),
};

impl Rule for ElectLeaders {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        judge.arguments(arguments(request.view));
        let mut node = request.decode();
        let Some(permit) = judge.cluster(Operation::Alter).permit() else {
            return Ok(Verdict::Answer(denied(&node)));
        };
        if node.is_null(req::TOPIC_PARTITIONS) {
            if !TYPES.contains(&request.view.i8(req::ELECTION_TYPE)) {
                // A broker fails it, and names none.
                let invalid = Node::response(ApiKey::ELECT_LEADERS).with(res::ERROR_CODE, ErrorCode::INVALID_REQUEST);
                return Ok(Verdict::Answer(invalid));
            }
            let (version, body) = look_up::metadata(judge, &Topics::All);
            let then = Then::Alone(Box::new(Expand { version: request.version(), request: node }));
            return Ok(Verdict::Ask { permit, key: ApiKey::METADATA, version, body, then });
        }
        let answer = Node::response(ApiKey::ELECT_LEADERS);
        let refused = PARTITIONS.cut_own(Operation::Alter, &mut node, &answer, judge);
        Ok(if refused.is_empty() {
            Verdict::Forward(permit, Scrub::then())
        } else if node.nodes(req::TOPIC_PARTITIONS).is_empty() {
            Verdict::Answer(answer.with(res::REPLICA_ELECTION_RESULTS, refused))
        } else {
            Verdict::Rewrite(permit, node, Behind::then(res::REPLICA_ELECTION_RESULTS, refused))
        })
    }
}

/// The refusal of a whole request.
fn denied(request: &Node) -> Node {
    let mut answer = Node::response(ApiKey::ELECT_LEADERS).with(res::ERROR_CODE, DENIED);
    PARTITIONS.refuse(request, &mut answer);
    answer
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let topics = match view.is_null(req::TOPIC_PARTITIONS) {
        true => "all".into(),
        false => bounded.take(view.items(req::TOPIC_PARTITIONS), |at, bounded| {
            let partitions = bounded.take(at.i32s(topic::PARTITIONS), |index, _| index.into());
            json!({ "name": text(at.str(topic::TOPIC)), "partitions": partitions })
        }),
    };
    let kind = match view.i8(req::ELECTION_TYPE) {
        0 => "preferred".into(),
        1 => "unclean".into(),
        other => other.into(),
    };
    bounded.object([("electionType", kind), ("topics", topics)])
}

/// Makes named partitions of "all".
struct Expand {
    version: i16,
    request: Node,
}

impl Complete for Expand {
    fn complete(mut self: Box<Self>, known: Node, judge: &mut Judge<'_>) -> Completed {
        // The right may have ended while the broker was asked. What was recorded with the request is not recorded twice.
        let decision = judge.weigh(Operation::Alter, Resource::CLUSTER);
        let Some(permit) = decision.permit() else {
            judge.note(Operation::Alter, Resource::CLUSTER, &decision);
            return Completed::Answer(denied(&self.request));
        };
        let mut named = Vec::new();
        for known in known.nodes(metadata::TOPICS) {
            let name = known.str(known_topic::NAME);
            let partitions: Vec<i32> = known
                .nodes(known_topic::PARTITIONS)
                .iter()
                .map(|partition| partition.i32(known_partition::PARTITION_INDEX))
                .collect();
            if !partitions.is_empty() && !judge.is_own(TopicName(name)) {
                named.push(Node::new(&topic::THIS).with(topic::TOPIC, name).with(topic::PARTITIONS, partitions));
            }
        }
        if named.is_empty() {
            return Completed::Answer(Node::response(ApiKey::ELECT_LEADERS));
        }
        self.request.set(req::TOPIC_PARTITIONS, named);
        let (version, body) = (self.version, self.request);
        Completed::Ask { permit, key: ApiKey::ELECT_LEADERS, version, body, then: Box::new(Elected) }
    }
}

/// Leaves out partitions that need no election, as where all are meant.
struct Elected;

impl Complete for Elected {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        let not_needed = i64::from(ErrorCode::ELECTION_NOT_NEEDED.0);
        // The topic itself stays, without partitions (seen at a broker of 4.3.1).
        for topic in answer.nodes_mut(res::REPLICA_ELECTION_RESULTS) {
            topic
                .nodes_mut(result::PARTITION_RESULT)
                .retain(|partition| partition.int(partition_result::ERROR_CODE) != not_needed);
        }
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
