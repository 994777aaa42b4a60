//! DescribeGroups (API 15) and ConsumerGroupDescribe (69): groups and their members, by name.
//!
//! Source: Kafka 4.1 `KafkaApis.handleDescribeGroupsRequest`, `handleConsumerGroupDescribe`. DESCRIBE on each group; one
//! that is denied fails with 30, holds nothing else, and stands before those that are served. The operations that the
//! caller may do on a group (KIP-430) are filled in, if asked for, where the group has no error: by our own decisions,
//! because the broker's are those of the proxy.
//!
//! Groups of the new protocol show their assignments by topic: one topic without DESCRIBE, and the group fails with 29 and
//! a text. Groups of the classic protocol show theirs as bytes that Kafka does not look into.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation, ResourceName, TopicName};
use crate::wire::schema::consumer_group_describe::response::{assignment, member, topic_partitions};
use crate::wire::schema::{consumer_group_describe, describe_groups};
use crate::wire::{ApiKey, ErrorCode, Field, Node, WireError};
use std::collections::BTreeMap;

/// Where the parts stand in one of these APIs; also its rule.
#[derive(Copy, Clone)]
pub(super) struct GroupDescribe {
    api: ApiKey,
    ids: Field,
    include: Field,
    groups: Field,
    id: Field,
    error: Field,
    operations: Field,
    /// Text of the error and members, where the topics of assignments are looked at.
    topics: Option<Topics>,
}

#[derive(Copy, Clone)]
struct Topics {
    message: Field,
    members: Field,
}

/// The rule of DescribeGroups.
pub(super) static DESCRIBE_GROUPS: GroupDescribe = {
    use describe_groups::request as req;
    use describe_groups::response::{self as res, described_group as group};
    GroupDescribe {
        api: ApiKey::DESCRIBE_GROUPS,
        ids: req::GROUPS,
        include: req::INCLUDE_AUTHORIZED_OPERATIONS,
        groups: res::GROUPS,
        id: group::GROUP_ID,
        error: group::ERROR_CODE,
        operations: group::AUTHORIZED_OPERATIONS,
        topics: None,
    }
};

/// The rule of ConsumerGroupDescribe.
pub(super) static CONSUMER_GROUP_DESCRIBE: GroupDescribe = {
    use consumer_group_describe::request as req;
    use consumer_group_describe::response::{self as res, described_group as group};
    GroupDescribe {
        api: ApiKey::CONSUMER_GROUP_DESCRIBE,
        ids: req::GROUP_IDS,
        include: req::INCLUDE_AUTHORIZED_OPERATIONS,
        groups: res::GROUPS,
        id: group::GROUP_ID,
        error: group::ERROR_CODE,
        operations: group::AUTHORIZED_OPERATIONS,
        topics: Some(Topics { message: group::ERROR_MESSAGE, members: group::MEMBERS }),
    }
};

impl GroupDescribe {
    fn refused(&self, answer: &Node, id: &str, error: ErrorCode) -> Node {
        answer.child(self.groups).with(self.id, id).with(self.error, error)
    }
}

impl Rule for GroupDescribe {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let shape = *self;
        let view = request.view;
        let include = view.has(shape.include) && view.bool(shape.include);
        let mut denied = Node::response(shape.api);
        let (mut permit, mut kept) = (None, Vec::new());
        for id in view.strs(shape.ids) {
            match judge.decide(Operation::Describe, GroupId(id)).permit() {
                Some(own) => {
                    permit = Some(own);
                    kept.push(id);
                }
                None => {
                    let refused = shape.refused(&denied, id, ErrorCode::GROUP_AUTHORIZATION_FAILED);
                    denied.push(shape.groups, refused);
                }
            }
        }
        let Some(permit) = permit else {
            return Ok(Verdict::Answer(denied));
        };
        let all = denied.nodes(shape.groups).is_empty();
        let finish = Box::new(Finish { shape, denied, include });
        Ok(if !all {
            Verdict::Rewrite(permit, request.decode().with(shape.ids, kept), Then::Complete(finish))
        } else if include || shape.topics.is_some() {
            Verdict::Forward(permit, Then::Complete(finish))
        } else {
            Verdict::Forward(permit, Then::Stream)
        })
    }
}

struct Finish {
    shape: GroupDescribe,
    denied: Node,
    include: bool,
}

impl Complete for Finish {
    fn complete(mut self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let shape = self.shape;
        let mut topics = BTreeMap::new();
        let mut groups = self.denied.take_nodes(shape.groups);
        for mut group in answer.take_nodes(shape.groups) {
            if self.include && group.int(shape.error) == 0 {
                let operations = judge.authorized_operations(GroupId(group.str(shape.id)).resource());
                group.set(shape.operations, operations);
            }
            groups.push(match shape.topics {
                Some(fields) if !fields.may_be_seen(&group, &mut topics, judge) => shape
                    .refused(&answer, group.str(shape.id), ErrorCode::TOPIC_AUTHORIZATION_FAILED)
                    .with(fields.message, HIDDEN_TOPICS),
                _ => group,
            });
        }
        *answer.nodes_mut(shape.groups) = groups;
        Completed::Answer(answer)
    }
}

const HIDDEN_TOPICS: &str = "The group has described topic(s) that the client is not authorized to describe.";

impl Topics {
    /// Whether every topic that is assigned in the group may be described; each is asked for once per answer.
    fn may_be_seen(self, group: &Node, asked: &mut BTreeMap<String, bool>, judge: &mut Judge<'_>) -> bool {
        let mut all = true;
        let assignments = group
            .nodes(self.members)
            .iter()
            .flat_map(|m| [m.strct(member::ASSIGNMENT), m.strct(member::TARGET_ASSIGNMENT)])
            .flatten();
        for topic in assignments.flat_map(|a| a.nodes(assignment::TOPIC_PARTITIONS)) {
            let name = topic.str(topic_partitions::TOPIC_NAME);
            all &= match asked.get(name) {
                Some(seen) => *seen,
                None => {
                    let seen = judge.decide(Operation::Describe, TopicName(name)).is_allowed();
                    asked.insert(name.to_owned(), seen);
                    seen
                }
            };
        }
        all
    }
}

#[cfg(test)]
mod tests;
