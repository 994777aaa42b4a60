//! DescribeTopicPartitions (API 75).
//!
//! Source: Kafka 4.1 `DescribeTopicPartitionsRequestHandler.handleDescribeTopicPartitionsRequest`,
//! `DescribeTopicPartitionsRequest.getErrorResponse`. Each topic needs DESCRIBE. Topics are walked in sorted order from
//! the cursor on; each named one that is denied gets 29 on every page up to its own. The bit field is always filled.
//!
//! No name means all topics, of which the denied ones are left out. The broker would walk all topics of its own, and its
//! cursor would name hidden ones (threat 36): so it is asked for the permitted topics by name.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, ResourceName as _, TopicId, TopicName};
use crate::policy::Permit;
use crate::wire::schema::describe_topic_partitions::request::{self as req, cursor as req_cursor, topic_request};
use crate::wire::schema::describe_topic_partitions::response::{
    self as res, cursor as res_cursor, describe_topic_partitions_response_topic as res_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value, View, WireError};
use std::cmp::Ordering;

/// The rule of DescribeTopicPartitions.
pub(super) struct DescribeTopicPartitions;

impl Rule for DescribeTopicPartitions {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        if is_invalid(view) {
            return Ok(Verdict::Answer(failed(&asked(view), ErrorCode::INVALID_REQUEST)));
        }
        let start = view.strct(req::CURSOR).map_or("", |cursor| cursor.str(req_cursor::TOPIC_NAME));
        let all = view.items(req::TOPICS).is_empty();
        if all && !judge.looked_up() {
            // A topic made a moment ago is one of all.
            return Ok(Verdict::Probe(vec![TopicId::ZERO]));
        }
        let mut names: Vec<String> =
            if all { judge.cx.topology.ids.keys().map(|name| name.to_string()).collect() } else { asked(view) };
        names.retain(|name| java_order(name, start).is_ge());
        names.sort_by(|a, b| java_order(a, b));
        names.dedup();
        let mut page = Page { asked: asked(view), all, allowed: Vec::new(), denied: Vec::new() };
        let mut permit: Option<Permit> = None;
        for name in names {
            let allowed = if all {
                judge.probe(Operation::Describe, TopicName(&name))
            } else {
                judge.decide(Operation::Describe, TopicName(&name)).permit()
            };
            match allowed {
                Some(allowed) => {
                    permit = Some(allowed);
                    page.allowed.push(name);
                }
                None => page.denied.push(name),
            }
        }
        let Some(permit) = permit else {
            let mut answer = Node::response(ApiKey::DESCRIBE_TOPIC_PARTITIONS);
            page.append_denied(&mut answer);
            return Ok(Verdict::Answer(answer));
        };
        if !all && page.denied.is_empty() && page.allowed.len() == view.items(req::TOPICS).len() {
            return Ok(Verdict::Forward(permit, Then::Complete(Box::new(page))));
        }
        let mut node = request.decode();
        let topic = |name: &String| Node::new(&topic_request::THIS).with(topic_request::NAME, name.as_str());
        node.set(req::TOPICS, page.allowed.iter().map(topic).collect::<Vec<_>>());
        // The broker wants the cursor's topic to be among those asked for. Where it is denied or gone, the next one
        // begins at its first partition.
        if page.allowed.first().is_none_or(|first| first != start) {
            node.set(req::CURSOR, Value::Null);
        }
        Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(page))))
    }
}

/// What Kafka refuses before it asks its authorizer.
fn is_invalid(view: View<'_, '_>) -> bool {
    let Some(cursor) = view.strct(req::CURSOR) else { return false };
    let start = cursor.str(req_cursor::TOPIC_NAME);
    let mut topics = view.items(req::TOPICS);
    let missing = !topics.is_empty() && !topics.any(|topic| topic.str(topic_request::NAME) == start);
    missing || cursor.i32(req_cursor::PARTITION_INDEX) < 0
}

/// `DescribeTopicPartitionsRequest.getErrorResponse`.
fn failed(names: &[String], error: ErrorCode) -> Node {
    let mut answer = Node::response(ApiKey::DESCRIBE_TOPIC_PARTITIONS);
    for name in names {
        answer.push(res::TOPICS, row(error, name));
    }
    answer
}

fn asked(view: View<'_, '_>) -> Vec<String> {
    view.items(req::TOPICS).map(|topic| topic.str(topic_request::NAME).to_owned()).collect()
}

fn row(error: ErrorCode, name: &str) -> Node {
    Node::new(&res_topic::THIS).with(res_topic::ERROR_CODE, error).with(res_topic::NAME, name)
}

/// Java's `String.compareTo`: by UTF-16 units. Names of topics that exist are ASCII, those asked for need not be.
fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// What is known of the topics from the cursor on, both lists sorted.
struct Page {
    /// The names of the request, as they stand there.
    asked: Vec<String>,
    all: bool,
    allowed: Vec<String>,
    denied: Vec<String>,
}

impl Page {
    fn has(&self, name: &str) -> bool {
        self.allowed.binary_search_by(|own| java_order(own, name)).is_ok()
    }

    /// Adds the denied topics, also those behind the page: Kafka asks its authorizer about all before it sorts them.
    fn append_denied(&self, answer: &mut Node) {
        if self.all {
            return;
        }
        for name in &self.denied {
            answer.push(res::TOPICS, row(ErrorCode::TOPIC_AUTHORIZATION_FAILED, name));
        }
    }
}

impl Complete for Page {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let unknown = i64::from(ErrorCode::UNKNOWN_SERVER_ERROR.0);
        if answer.nodes(res::TOPICS).first().is_some_and(|topic| topic.int(res_topic::ERROR_CODE) == unknown) {
            // The broker failed over the whole request: an empty name, or pages of no size.
            return Completed::Answer(failed(&self.asked, ErrorCode::UNKNOWN_SERVER_ERROR));
        }
        answer.nodes_mut(res::TOPICS).retain_mut(|topic| {
            let gone = topic.int(res_topic::ERROR_CODE) == i64::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
            let name = topic.str(res_topic::NAME);
            // Of all topics, one that was deleted since is none.
            if !self.has(name) || (self.all && gone) {
                return false;
            }
            let operations = judge.authorized_operations(TopicName(name).resource());
            topic.set(res_topic::TOPIC_AUTHORIZED_OPERATIONS, operations);
            true
        });
        let next = answer.strct(res::NEXT_CURSOR).map(|cursor| cursor.str(res_cursor::TOPIC_NAME));
        if next.is_none_or(|name| !self.has(name)) {
            answer.set(res::NEXT_CURSOR, Value::Null);
        }
        self.append_denied(&mut answer);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
