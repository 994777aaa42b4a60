//! CreatePartitions (API 37).
//!
//! Source: Kafka 4.1 `ControllerApis.createPartitions`. Each topic needs ALTER; without it 29 with a null message. A name
//! given twice is refused before (42).

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, TopicName};
use crate::policy::Permit;
use crate::wire::schema::create_partitions::request::{self as req, create_partitions_topic as req_topic};
use crate::wire::schema::create_partitions::response::{self as res, create_partitions_topic_result as res_topic};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// The rule of CreatePartitions.
pub(super) struct CreatePartitions;

impl Rule for CreatePartitions {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view));
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for topic in view.items(req::TOPICS) {
            *counts.entry(topic.str(req_topic::NAME)).or_default() += 1;
        }
        let mut permit: Option<Permit> = None;
        let (mut kept, mut rows) = (HashSet::new(), Vec::new());
        for topic in view.items(req::TOPICS) {
            let name = topic.str(req_topic::NAME);
            let Some(count) = counts.remove(name) else { continue };
            if count > 1 {
                rows.push(
                    row(name, ErrorCode::INVALID_REQUEST).with(res_topic::ERROR_MESSAGE, "Duplicate topic name."),
                );
                continue;
            }
            match judge.decide(Operation::Alter, TopicName(name)).permit() {
                Some(allowed) => {
                    permit = Some(allowed);
                    kept.insert(name.to_owned());
                }
                None => rows.push(row(name, ErrorCode::TOPIC_AUTHORIZATION_FAILED)),
            }
        }
        match permit {
            Some(permit) if rows.is_empty() => Ok(Verdict::Forward(permit, Then::Stream)),
            Some(permit) => {
                let mut node = request.decode();
                node.nodes_mut(req::TOPICS).retain(|topic| kept.contains(topic.str(req_topic::NAME)));
                Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(Merge { rows }))))
            }
            None => Ok(Verdict::Answer(Node::response(ApiKey::CREATE_PARTITIONS).with(res::RESULTS, rows))),
        }
    }
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let topics = bounded.take(
        view.items(req::TOPICS),
        |topic, _| json!({ "name": text(topic.str(req_topic::NAME)), "count": topic.i32(req_topic::COUNT) }),
    );
    bounded.object([("topics", topics), ("validateOnly", view.bool(req::VALIDATE_ONLY).into())])
}

fn row(name: &str, error: ErrorCode) -> Node {
    Node::new(&res_topic::THIS).with(res_topic::NAME, name).with(res_topic::ERROR_CODE, error)
}

struct Merge {
    rows: Vec<Node>,
}

impl Complete for Merge {
    fn complete(mut self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        // Kafka's errors come first.
        self.rows.append(answer.nodes_mut(res::RESULTS));
        answer.set(res::RESULTS, self.rows);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
