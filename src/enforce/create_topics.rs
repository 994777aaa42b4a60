//! CreateTopics (API 19).
//!
//! Source: Kafka 4.1 `ControllerApis.createTopics`, `ReplicationControlManager.createTopic`. CREATE on the cluster grants
//! every name, else each name needs CREATE. A name given twice and `__cluster_metadata` are refused before (42). What was
//! created is shown in detail (version 5 and later) only with DESCRIBE_CONFIGS on the topic, which nothing here implies;
//! without it the topic is created and its configs are answered with 29. The proxy's own topics are decided by name
//! even for CREATE on the cluster (threat 4).

use super::arguments::{Bounded, text};
use super::asks::ClusterOrTopic;
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub;
use crate::model::{Operation, TopicName};
use crate::policy::Protection;
use crate::wire::schema::create_topics::request::{
    self as req, creatable_topic as req_topic, creatable_topic_config as req_config,
};
use crate::wire::schema::create_topics::response::{self as res, creatable_topic_result as res_topic};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// The rule of CreateTopics.
pub(super) struct CreateTopics;

/// The first version that answers with the details of what was created.
const WITH_DETAILS: i16 = 5;

const CLUSTER_METADATA: &str = "__cluster_metadata";

impl Rule for CreateTopics {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view));
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for topic in view.items(req::TOPICS) {
            *counts.entry(topic.str(req_topic::NAME)).or_default() += 1;
        }
        let mut demand = ClusterOrTopic::ask(judge, Operation::Create, Operation::Create);
        let (mut kept, mut duplicates, mut refused) = (HashSet::new(), Vec::new(), Vec::new());
        for topic in view.items(req::TOPICS) {
            let name = topic.str(req_topic::NAME);
            let Some(count) = counts.remove(name) else { continue };
            if count > 1 {
                duplicates.push(row(name, ErrorCode::INVALID_REQUEST, "Duplicate topic name."));
            } else if name == CLUSTER_METADATA {
                let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
                refused.push(row(name, ErrorCode::INVALID_REQUEST, &message));
            } else if demand.allows(TopicName(name), judge) {
                kept.insert(name.to_owned());
            } else {
                refused.push(row(name, ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Authorization failed."));
            }
        }
        duplicates.append(&mut refused);
        let Some(permit) = demand.permit() else {
            let answer = Node::response(ApiKey::CREATE_TOPICS).with(res::TOPICS, duplicates);
            return Ok(Verdict::Answer(answer));
        };
        let then = Then::Complete(Box::new(Details { rows: duplicates, details: request.version() >= WITH_DETAILS }));
        if kept.len() == view.items(req::TOPICS).len() {
            return Ok(Verdict::Forward(permit, then));
        }
        let mut node = request.decode();
        node.nodes_mut(req::TOPICS).retain(|topic| kept.contains(topic.str(req_topic::NAME)));
        Ok(Verdict::Rewrite(permit, node, then))
    }
}

/// Configs of topics hold no secrets.
fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let topics = bounded.take(view.items(req::TOPICS), |topic, bounded| {
        let configs = bounded.take(topic.items(req_topic::CONFIGS), |config, _| {
            json!({
                "name": text(config.str(req_config::NAME)),
                "value": config.opt_str(req_config::VALUE).map(text),
            })
        });
        json!({
            "name": text(topic.str(req_topic::NAME)),
            "numPartitions": topic.i32(req_topic::NUM_PARTITIONS),
            "replicationFactor": topic.i16(req_topic::REPLICATION_FACTOR),
            "assignments": topic.items(req_topic::ASSIGNMENTS).len(),
            "configs": configs,
        })
    });
    bounded.object([("topics", topics), ("validateOnly", view.bool(req::VALIDATE_ONLY).into())])
}

/// A refusal; partitions and replication factor are -1 by default.
fn row(name: &str, error: ErrorCode, message: &str) -> Node {
    Node::new(&res_topic::THIS)
        .with(res_topic::NAME, name)
        .with(res_topic::ERROR_CODE, error)
        .with(res_topic::ERROR_MESSAGE, message)
}

struct Details {
    rows: Vec<Node>,
    details: bool,
}

impl Complete for Details {
    fn complete(mut self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        for topic in answer.nodes_mut(res::TOPICS) {
            // A name that differs from another one's in dots and underscores alone: the text names that (threat 4).
            let own = |name: &str| judge.protection(TopicName(name)) != Protection::No;
            if topic.opt_str(res_topic::ERROR_MESSAGE).is_some_and(|text| scrub::names(text, own)) {
                topic.set(res_topic::ERROR_MESSAGE, ErrorCode(topic.i16(res_topic::ERROR_CODE)).message());
            }
        }
        if self.details {
            for topic in answer.nodes_mut(res::TOPICS) {
                let created = topic.int(res_topic::ERROR_CODE) == 0;
                if created && judge.probe(Operation::DescribeConfigs, TopicName(topic.str(res_topic::NAME))).is_none() {
                    topic.set(res_topic::TOPIC_CONFIG_ERROR_CODE, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
                    topic.set(res_topic::NUM_PARTITIONS, -1);
                    topic.set(res_topic::REPLICATION_FACTOR, -1);
                    topic.set(res_topic::CONFIGS, Vec::<Node>::new());
                }
            }
        }
        answer.nodes_mut(res::TOPICS).append(&mut self.rows);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
