//! DescribeProducers (API 61).
//!
//! Source: Kafka 4.1 `KafkaApis.handleDescribeProducersRequest`, `Topic.validate`. A name that no topic can have fails
//! with 17 and says why, before anybody is asked; then READ on the topic, or 29 with its text in each partition. Topics
//! keep the order of the request.

use super::judge::Judge;
use super::rows::interleave;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, TopicName};
use crate::wire::schema::describe_producers::request::{self as req, topic_request as topic};
use crate::wire::schema::describe_producers::response::{
    self as res, partition_response as partition, topic_response as answer_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of DescribeProducers.
pub(super) struct DescribeProducers;

impl Rule for DescribeProducers {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let (mut permit, mut refusals) = (None, Vec::new());
        for (place, element) in request.view.items(req::TOPICS).enumerate() {
            let name = element.str(topic::NAME);
            if let Some(why) = why_illegal(name) {
                refusals.push((place, ErrorCode::INVALID_TOPIC_EXCEPTION, why));
                continue;
            }
            match judge.decide(Operation::Read, TopicName(name)).permit() {
                Some(own) => permit = Some(own),
                None => {
                    let error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
                    refusals.push((place, error, error.message().to_owned()));
                }
            }
        }
        let permit = match permit {
            Some(permit) if refusals.is_empty() => return Ok(Verdict::Forward(permit, Then::Stream)),
            other => other,
        };
        let mut node = request.decode();
        let mut answer = Node::response(ApiKey::DESCRIBE_PRODUCERS);
        let mut refusals = refusals.into_iter().peekable();
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for (place, asked) in node.take_nodes(req::TOPICS).into_iter().enumerate() {
            match refusals.next_if(|(at, ..)| *at == place) {
                Some((_, error, why)) => refused.push((place, refuse(&answer, &asked, error, &why))),
                None => kept.push(asked),
            }
        }
        Ok(match permit {
            Some(permit) => {
                *node.nodes_mut(req::TOPICS) = kept;
                Verdict::Rewrite(permit, node, Then::Complete(Box::new(Merge(refused))))
            }
            None => {
                interleave(answer.nodes_mut(res::TOPICS), refused);
                Verdict::Answer(answer)
            }
        })
    }
}

fn refuse(answer: &Node, asked: &Node, error: ErrorCode, why: &str) -> Node {
    let mut refused = answer.child(res::TOPICS).with(answer_topic::NAME, asked.str(topic::NAME));
    for index in asked.ints(topic::PARTITION_INDEXES) {
        let node = refused
            .child(answer_topic::PARTITIONS)
            .with(partition::PARTITION_INDEX, *index)
            .with(partition::ERROR_CODE, error)
            .with(partition::ERROR_MESSAGE, why);
        refused.push(answer_topic::PARTITIONS, node);
    }
    refused
}

/// Why no topic can have this name, in Kafka's words (`Topic.detectInvalidTopic`, Kafka 4.4).
pub(super) fn why_illegal(name: &str) -> Option<String> {
    /// In UTF-16 units, as Java counts.
    const LONGEST: usize = 249;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > LONGEST {
        format!("the length of '{name}' is longer than the max allowed length {LONGEST}")
    } else if !name.chars().all(legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return None;
    };
    Some(format!("Topic name is invalid: {why}"))
}

struct Merge(Vec<(usize, Node)>);

impl Complete for Merge {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        interleave(answer.nodes_mut(res::TOPICS), self.0);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
