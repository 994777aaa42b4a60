//! What OffsetCommit, TxnOffsetCommit and OffsetDelete share: partitions by topic in, an error per partition out.
//!
//! Source: Kafka 4.1 `OffsetCommitResponse.Builder`, `TxnOffsetCommitResponse.Builder`, `OffsetDeleteResponse.Builder`:
//! errors found before the coordinator was asked stand first, and a topic that is named twice is answered once.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Then, Verdict};
use super::split::{Outcome, TopicFields, copy_topic};
use crate::model::{Operation, TopicId};
use crate::policy::{Decision, Permit, Right, Use};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View, WireError};
use std::collections::HashMap;

/// Where the parts stand in one of these APIs.
pub(super) struct Shape {
    pub(super) api: ApiKey,
    pub(super) group: Field,
    pub(super) topics: Field,
    pub(super) topic: TopicFields,
    pub(super) partitions: Field,
    pub(super) index: Field,
    /// The offset to commit, where one is.
    pub(super) offset: Option<Field>,
    pub(super) answer_topics: Field,
    pub(super) answer_topic: TopicFields,
    pub(super) answer_partitions: Field,
    pub(super) answer_index: Field,
    pub(super) answer_error: Field,
    /// The error of the whole answer, where there is one; it discards the errors of topics.
    pub(super) answer_top: Option<Field>,
}

/// What is asked of topics once the group was allowed: READ, or DESCRIBE where `OffsetsWrite` stood in on the group
/// (threat 26).
pub(super) fn topic_demand(group: &Decision) -> Operation {
    if group.virtual_right() == Some(Right::OffsetsWrite) { Operation::Describe } else { Operation::Read }
}

/// The form of a commit, by its generation: negative is the admin form, whatever the member id (threat 25).
pub(super) fn commit_form(generation: i32) -> Use {
    if generation < 0 { Use::AdminCommit } else { Use::Normal }
}

impl Shape {
    /// Asks for every topic and gives the verdict; `permit` is the group's.
    pub(super) fn by_topic(
        &'static self,
        form: Use,
        operation: Operation,
        permit: Permit,
        request: &Request<'_, '_>,
        judge: &mut Judge<'_>,
    ) -> Result<Verdict, WireError> {
        let outcome = Outcome::of_topics(judge, form, operation, request.view, self.topics, self.topic);
        if !outcome.unresolved.is_empty() {
            return Ok(Verdict::Probe(outcome.unresolved));
        }
        if outcome.denied.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        let mut node = request.decode();
        let denied = self.refused(outcome.cut(node.nodes_mut(self.topics)));
        // An error of the whole answer (there is no such group) stands above those of topics: only the broker knows.
        Ok(if node.nodes(self.topics).is_empty() && self.answer_top.is_none() {
            Verdict::Answer(denied)
        } else {
            Verdict::Rewrite(permit, node, Then::Complete(Box::new(ErrorsFirst { shape: self, denied })))
        })
    }

    /// The answer that refuses every partition of the request with one error.
    pub(super) fn refuse_all(&self, request: &Request<'_, '_>, error: ErrorCode) -> Result<Verdict, WireError> {
        let mut node = request.decode();
        let mut answer = Node::response(self.api);
        for topic in node.take_nodes(self.topics) {
            let refused = self.refused_topic(&answer, &topic, error);
            answer.push(self.answer_topics, refused);
        }
        Ok(Verdict::Answer(answer))
    }

    /// An answer with these topics' errors; a topic named twice stands once.
    fn refused(&self, denied: Vec<(Node, ErrorCode)>) -> Node {
        let mut answer = Node::response(self.api);
        let topics = denied.iter().map(|(topic, error)| self.refused_topic(&answer, topic, *error)).collect();
        self.append(&mut answer, topics);
        answer
    }

    fn refused_topic(&self, answer: &Node, topic: &Node, error: ErrorCode) -> Node {
        let mut refused = answer.child(self.answer_topics);
        copy_topic(topic, self.topic, &mut refused, self.answer_topic);
        for partition in topic.nodes(self.partitions) {
            let node = refused
                .child(self.answer_partitions)
                .with(self.answer_index, partition.int(self.index))
                .with(self.answer_error, error);
            refused.push(self.answer_partitions, node);
        }
        refused
    }

    /// Adds topics behind those that are there, the partitions of a topic that is there already to it.
    fn append(&self, answer: &mut Node, topics: Vec<Node>) {
        let own = answer.nodes_mut(self.answer_topics);
        let mut places: HashMap<(String, TopicId), usize> =
            own.iter().enumerate().map(|(place, topic)| (self.key(topic), place)).collect();
        for mut topic in topics {
            let place = *places.entry(self.key(&topic)).or_insert(own.len());
            match own.get_mut(place) {
                Some(there) => {
                    there.nodes_mut(self.answer_partitions).append(topic.nodes_mut(self.answer_partitions));
                }
                None => own.push(topic),
            }
        }
    }

    fn key(&self, topic: &Node) -> (String, TopicId) {
        let id = self.answer_topic.id.map_or(TopicId::ZERO, |id| topic.uuid(id));
        (topic.str(self.answer_topic.name).to_owned(), id)
    }

    /// The arguments of the mutation: group, topics, partitions, offsets.
    pub(super) fn arguments(&self, view: View<'_, '_>, judge: &Judge<'_>) -> String {
        let mut bounded = Bounded::default();
        let topics = bounded.take(view.items(self.topics), |topic, bounded| {
            let id = self.topic.id.filter(|id| topic.has(*id)).map(|id| topic.uuid(id));
            let name = match id {
                Some(id) => judge.topic_name(id).map_or_else(|_| text(&id.to_string()), |name| text(&name)),
                None => text(topic.str(self.topic.name)),
            };
            let partitions = bounded.take(topic.items(self.partitions), |partition, _| {
                let index = partition.i32(self.index);
                match self.offset {
                    Some(offset) => serde_json::json!({ "index": index, "offset": partition.i64(offset) }),
                    None => serde_json::json!({ "index": index }),
                }
            });
            serde_json::json!({ "name": name, "partitions": partitions })
        });
        bounded.object([("group", text(view.str(self.group))), ("topics", topics)])
    }
}

/// Puts the errors of refused topics before what the broker answers.
struct ErrorsFirst {
    shape: &'static Shape,
    denied: Node,
}

impl Complete for ErrorsFirst {
    fn complete(mut self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        if self.shape.answer_top.is_some_and(|top| answer.int(top) != 0) {
            return Completed::Answer(answer);
        }
        let served = answer.take_nodes(self.shape.answer_topics);
        *answer.nodes_mut(self.shape.answer_topics) = self.denied.take_nodes(self.shape.answer_topics);
        self.shape.append(&mut answer, served);
        Completed::Answer(answer)
    }
}
