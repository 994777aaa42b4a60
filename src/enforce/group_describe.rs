//! DescribeGroups (API 15), ConsumerGroupDescribe (69), ShareGroupDescribe (77), StreamsGroupDescribe (89): groups and
//! their members, by name.
//!
//! Source: Kafka 4.3 `KafkaApis.handleDescribeGroupsRequest`, `handleConsumerGroupDescribe`, `handleShareGroupDescribe`,
//! `handleStreamsGroupDescribe`. DESCRIBE on each group; one
//! that is denied fails with 30, holds nothing else, and stands before those that are served. The operations that the
//! caller may do on a group (KIP-430) are filled in, if asked for, where the group has no error: by our own decisions,
//! because the broker's are those of the proxy.
//!
//! Groups of the new protocols show topics, in assignments or in the topology: one without DESCRIBE, and the group fails
//! with 29 and a text. Groups of the classic protocol show theirs as bytes that Kafka does not look into.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation, ResourceName, TopicName};
use crate::wire::schema::{consumer_group_describe, describe_groups, share_group_describe, streams_group_describe};
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
    /// Where the topics that a group shows are looked at.
    topics: Option<Topics>,
}

#[derive(Copy, Clone)]
struct Topics {
    message: Field,
    text: &'static str,
    /// Calls for every name of a topic in a group.
    each: EachTopic,
}

type EachTopic = fn(&Node, &mut dyn FnMut(&str));

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
        topics: Some(Topics {
            message: group::ERROR_MESSAGE,
            text: HIDDEN_TOPICS,
            each: |group, each| {
                use consumer_group_describe::response::{assignment, member, topic_partitions};
                let members = group.nodes(group::MEMBERS).iter();
                members
                    .flat_map(|m| [m.strct(member::ASSIGNMENT), m.strct(member::TARGET_ASSIGNMENT)])
                    .flatten()
                    .flat_map(|a| a.nodes(assignment::TOPIC_PARTITIONS))
                    .for_each(|topic| each(topic.str(topic_partitions::TOPIC_NAME)));
            },
        }),
    }
};

/// The rule of ShareGroupDescribe.
pub(super) static SHARE_GROUP_DESCRIBE: GroupDescribe = {
    use share_group_describe::request as req;
    use share_group_describe::response::{self as res, described_group as group};
    GroupDescribe {
        api: ApiKey::SHARE_GROUP_DESCRIBE,
        ids: req::GROUP_IDS,
        include: req::INCLUDE_AUTHORIZED_OPERATIONS,
        groups: res::GROUPS,
        id: group::GROUP_ID,
        error: group::ERROR_CODE,
        operations: group::AUTHORIZED_OPERATIONS,
        topics: Some(Topics {
            message: group::ERROR_MESSAGE,
            text: HIDDEN_TOPICS,
            each: |group, each| {
                use share_group_describe::response::{assignment, member, topic_partitions};
                let members = group.nodes(group::MEMBERS).iter();
                members
                    .filter_map(|m| m.strct(member::ASSIGNMENT))
                    .flat_map(|a| a.nodes(assignment::TOPIC_PARTITIONS))
                    .for_each(|topic| each(topic.str(topic_partitions::TOPIC_NAME)));
            },
        }),
    }
};

/// The rule of StreamsGroupDescribe.
pub(super) static STREAMS_GROUP_DESCRIBE: GroupDescribe = {
    use streams_group_describe::request as req;
    use streams_group_describe::response::{self as res, described_group as group};
    GroupDescribe {
        api: ApiKey::STREAMS_GROUP_DESCRIBE,
        ids: req::GROUP_IDS,
        include: req::INCLUDE_AUTHORIZED_OPERATIONS,
        groups: res::GROUPS,
        id: group::GROUP_ID,
        error: group::ERROR_CODE,
        operations: group::AUTHORIZED_OPERATIONS,
        topics: Some(Topics { message: group::ERROR_MESSAGE, text: HIDDEN_IN_TOPOLOGY, each: of_topology }),
    }
};

/// The topics of a topology, and from Kafka 4.4 on of its description.
fn of_topology(group: &Node, each: &mut dyn FnMut(&str)) {
    use streams_group_describe::response::{
        described_group as own, subtopology, topic_info, topology, topology_description as description,
        topology_description_global_store as store, topology_description_node as node,
        topology_description_subtopology as part,
    };
    for sub in group.strct(own::TOPOLOGY).map_or(&[][..], |topology| topology.nodes(topology::SUBTOPOLOGIES)) {
        sub.strs(subtopology::SOURCE_TOPICS).for_each(&mut *each);
        sub.strs(subtopology::REPARTITION_SINK_TOPICS).for_each(&mut *each);
        for field in [subtopology::REPARTITION_SOURCE_TOPICS, subtopology::STATE_CHANGELOG_TOPICS] {
            sub.nodes(field).iter().for_each(|topic| each(topic.str(topic_info::NAME)));
        }
    }
    let Some(described) = group.strct(own::TOPOLOGY_DESCRIPTION) else { return };
    let parts = described.nodes(description::SUBTOPOLOGIES).iter().flat_map(|sub| sub.nodes(part::NODES));
    let stores = described.nodes(description::GLOBAL_STORES).iter();
    let stores = stores.flat_map(|s| [s.strct(store::SOURCE), s.strct(store::PROCESSOR)]).flatten();
    for part in parts.chain(stores) {
        part.strs(node::SOURCE_TOPICS).for_each(&mut *each);
        part.opt_str(node::SINK_TOPIC).into_iter().for_each(&mut *each);
    }
}

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
                    .with(fields.message, fields.text),
                _ => group,
            });
        }
        *answer.nodes_mut(shape.groups) = groups;
        Completed::Answer(answer)
    }
}

const HIDDEN_TOPICS: &str = "The group has described topic(s) that the client is not authorized to describe.";
const HIDDEN_IN_TOPOLOGY: &str = "The described group uses topics that the client is not authorized to describe.";

impl Topics {
    /// Whether every topic that the group shows may be described; each is asked for once per answer.
    fn may_be_seen(self, group: &Node, asked: &mut BTreeMap<String, bool>, judge: &mut Judge<'_>) -> bool {
        let mut all = true;
        (self.each)(group, &mut |name| {
            all &= match asked.get(name) {
                Some(seen) => *seen,
                None => {
                    let seen = judge.decide(Operation::Describe, TopicName(name)).is_allowed();
                    asked.insert(name.to_owned(), seen);
                    seen
                }
            };
        });
        all
    }
}

#[cfg(test)]
mod tests;
