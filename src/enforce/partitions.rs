//! What rules share that answer topic by topic and partition by partition, in the shape of the request.

use super::judge::Judge;
use crate::model::{Operation, TopicName};
use crate::wire::{ErrorCode, Field, Node};

/// How topics and partitions of a request become those of its refusal.
pub(super) struct Partitions {
    /// Topics of the request.
    pub(super) topics: Field,
    /// Name or id of a topic.
    pub(super) name: Field,
    /// Its partitions: structs, or numbers.
    pub(super) partitions: Field,
    /// The number of a partition, where they are structs.
    pub(super) index: Option<Field>,
    /// Topics of the answer.
    pub(super) answer_topics: Field,
    /// Name or id of a topic.
    pub(super) answer_name: Field,
    /// Its partitions.
    pub(super) answer_partitions: Field,
    /// The number of a partition.
    pub(super) answer_index: Field,
    /// The error of a partition, where it has one.
    pub(super) answer_error: Option<Field>,
    /// The text of a partition's error, where it has one.
    pub(super) answer_message: Option<Field>,
}

impl Partitions {
    /// Adds every partition of `request` to `answer`, refused because the cluster's check failed.
    pub(super) fn refuse(&self, request: &Node, answer: &mut Node) {
        for topic in request.nodes(self.topics) {
            let refused = self.refused(topic, answer, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
            answer.push(self.answer_topics, refused);
        }
    }

    /// Takes the proxy's own topics out of `request` (threat 4: names count, whatever the cluster's check said), records
    /// each, and gives their refusals as elements of `answer`.
    pub(super) fn cut_own(
        &self,
        operation: Operation,
        request: &mut Node,
        answer: &Node,
        judge: &mut Judge<'_>,
    ) -> Vec<Node> {
        self.cut(request, answer, |topic| judge.refuse_own(operation, TopicName(topic.str(self.name))))
    }

    /// As [`Partitions::cut_own`], of topics that `own` says it of.
    pub(super) fn cut(&self, request: &mut Node, answer: &Node, mut own: impl FnMut(&Node) -> bool) -> Vec<Node> {
        let mut refused = Vec::new();
        request.nodes_mut(self.topics).retain(|topic| {
            let own = own(topic);
            if own {
                refused.push(self.refused(topic, answer, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
            }
            !own
        });
        refused
    }

    fn refused(&self, topic: &Node, answer: &Node, error: ErrorCode) -> Node {
        let mut refused = answer.child(self.answer_topics).with(self.answer_name, topic.value(self.name).clone());
        let indexes: Vec<i64> = match self.index {
            Some(index) => topic.nodes(self.partitions).iter().map(|p| p.int(index)).collect(),
            None => topic.ints(self.partitions).to_vec(),
        };
        for index in indexes {
            let mut partition = refused.child(self.answer_partitions).with(self.answer_index, index);
            if let Some(field) = self.answer_error {
                partition.set(field, error);
            }
            if let Some(field) = self.answer_message {
                partition.set(field, error.message());
            }
            refused.push(self.answer_partitions, partition);
        }
        refused
    }
}
