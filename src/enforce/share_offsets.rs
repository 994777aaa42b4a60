//! DescribeShareGroupOffsets (API 90), AlterShareGroupOffsets (91), DeleteShareGroupOffsets (92): where a share group stands.
//!
//! Source: Kafka 4.3 `KafkaApis.handleDescribeShareGroupOffsetsRequest`, `handleAlterShareGroupOffsetsRequest`,
//! `handleDeleteShareGroupOffsetsRequest`, `AlterShareGroupOffsetsResponse.Builder`. Describe: DESCRIBE on each group, or
//! the group fails with 30; DESCRIBE on each topic, or its partitions fail with 29 and a text behind those that are
//! served; without a list, topics are left out. Alter needs READ on the group, delete DELETE, or the request fails with 30
//! and a text; then READ on each topic, or it fails with 29 and a text before those that are served. `OffsetsWrite` on the
//! group stands in, and then DESCRIBE on the topic is enough. An error of the whole answer drops those of topics.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::offsets::topic_demand;
use super::rows::interleave;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::split::{TopicFields, each_once};
use crate::model::{GroupId, Operation, TopicId, TopicName};
use crate::wire::schema::{
    alter_share_group_offsets as alter, delete_share_group_offsets as delete, describe_share_group_offsets as describe,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, Value, View, WireError};
use std::collections::{HashMap, HashSet};

const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const TOPIC: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

/// The rule of DescribeShareGroupOffsets.
pub(super) struct DescribeShareGroupOffsets;

impl Rule for DescribeShareGroupOffsets {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use describe::request::{
            self as req, describe_share_group_offsets_request_group as asked,
            describe_share_group_offsets_request_topic as topic,
        };
        use describe::response::{self as res, describe_share_group_offsets_response_group as told};
        let (mut permit, mut finish, mut kept) = (None, FinishDescribe::default(), Vec::new());
        let mut node = request.decode();
        for (place, mut group) in node.take_nodes(req::GROUPS).into_iter().enumerate() {
            let id = group.str(asked::GROUP_ID);
            let Some(own) = judge.decide(Operation::Describe, GroupId(id)).permit() else {
                let refused = Node::response(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS)
                    .child(res::GROUPS)
                    .with(told::GROUP_ID, id)
                    .with(told::ERROR_CODE, GROUP);
                finish.groups.push((place, refused));
                continue;
            };
            permit = Some(own);
            let mut denied = Vec::new();
            let all = group.is_null(asked::TOPICS);
            if !all {
                let topics = group.take_nodes(asked::TOPICS);
                let (kept, cut) = topics.into_iter().partition(|entry| {
                    judge.decide(Operation::Describe, TopicName(entry.str(topic::TOPIC_NAME))).is_allowed()
                });
                *group.nodes_mut(asked::TOPICS) = kept;
                denied = cut;
            }
            finish.topics.push(if all {
                Seen::Filtered
            } else {
                Seen::Named(denied.iter().map(refused_topic).collect())
            });
            kept.push(group);
        }
        let Some(permit) = permit else {
            let groups: Vec<Node> = finish.groups.into_iter().map(|(_, group)| group).collect();
            return Ok(Verdict::Answer(Node::response(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS).with(res::GROUPS, groups)));
        };
        if finish.denies_nothing() {
            let listing = finish.topics.iter().any(|seen| matches!(seen, Seen::Filtered));
            let then = if listing { Then::Complete(Box::new(finish)) } else { Then::Stream };
            return Ok(Verdict::Forward(permit, then));
        }
        Ok(Verdict::Rewrite(permit, node.with(req::GROUPS, kept), Then::Complete(Box::new(finish))))
    }
}

/// The partitions of a refused topic.
fn refused_topic(entry: &Node) -> Node {
    use describe::request::describe_share_group_offsets_request_topic as asked;
    use describe::response::{
        describe_share_group_offsets_response_partition as partition,
        describe_share_group_offsets_response_topic as topic,
    };
    let mut refused = Node::new(&topic::THIS).with(topic::TOPIC_NAME, entry.str(asked::TOPIC_NAME));
    for index in entry.ints(asked::PARTITIONS) {
        let node = refused
            .child(topic::PARTITIONS)
            .with(partition::PARTITION_INDEX, *index)
            .with(partition::START_OFFSET, -1i64)
            .with(partition::ERROR_CODE, TOPIC)
            .with(partition::ERROR_MESSAGE, TOPIC.message());
        refused.push(topic::PARTITIONS, node);
    }
    refused
}

/// What becomes of the topics of one group.
enum Seen {
    /// All were asked for: those that may not be described are left out.
    Filtered,
    /// They were named: these are refused.
    Named(Vec<Node>),
}

#[derive(Default)]
struct FinishDescribe {
    /// Refused groups, by their place in the request.
    groups: Vec<(usize, Node)>,
    /// Of the groups that went on, in their order.
    topics: Vec<Seen>,
}

impl FinishDescribe {
    fn denies_nothing(&self) -> bool {
        let named = |seen: &Seen| matches!(seen, Seen::Named(denied) if !denied.is_empty());
        self.groups.is_empty() && !self.topics.iter().any(named)
    }
}

impl Complete for FinishDescribe {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        use describe::response::{
            self as res, describe_share_group_offsets_response_group as told,
            describe_share_group_offsets_response_topic as topic,
        };
        let groups = answer.nodes_mut(res::GROUPS);
        // A group that was not asked for shows nothing.
        groups.truncate(self.topics.len());
        for (group, seen) in groups.iter_mut().zip(self.topics) {
            match seen {
                Seen::Named(denied) if group.int(told::ERROR_CODE) == 0 => {
                    group.nodes_mut(told::TOPICS).extend(denied);
                }
                Seen::Named(_) => {}
                Seen::Filtered => group.nodes_mut(told::TOPICS).retain(|entry| {
                    judge.probe(Operation::Describe, TopicName(entry.str(topic::TOPIC_NAME))).is_some()
                }),
            }
        }
        interleave(groups, self.groups);
        Completed::Answer(answer)
    }
}

/// Where the parts stand in one of the two calls that change offsets.
pub(super) struct Changing {
    api: ApiKey,
    /// What is asked on the group.
    operation: Operation,
    group: Field,
    topics: Field,
    name: Field,
    error: Field,
    message: Field,
    answer_topics: Field,
    /// Where the parts of a topic of the answer stand, where brokers gather the refused partitions by the name.
    gathered: Option<Gathered>,
    /// The refusal of a topic.
    refuse: fn(&Node, TopicId) -> Node,
    /// What is changed of a topic, for the audit.
    argument: fn(View<'_, '_>, &mut Bounded) -> serde_json::Value,
}

/// The parts of a topic of an answer.
#[derive(Copy, Clone)]
struct Gathered {
    name: Field,
    partitions: Field,
    /// Of a partition.
    error: Field,
}

/// The rule of AlterShareGroupOffsets.
pub(super) static ALTER: Changing = {
    use alter::request::{
        self as req, alter_share_group_offsets_request_partition as asked_partition,
        alter_share_group_offsets_request_topic as asked,
    };
    use alter::response::{
        self as res, alter_share_group_offsets_response_partition as partition,
        alter_share_group_offsets_response_topic as topic,
    };
    Changing {
        api: ApiKey::ALTER_SHARE_GROUP_OFFSETS,
        operation: Operation::Read,
        group: req::GROUP_ID,
        topics: req::TOPICS,
        name: asked::TOPIC_NAME,
        error: res::ERROR_CODE,
        message: res::ERROR_MESSAGE,
        answer_topics: res::RESPONSES,
        gathered: Some(Gathered {
            name: topic::TOPIC_NAME,
            partitions: topic::PARTITIONS,
            error: partition::ERROR_CODE,
        }),
        refuse: |entry, id| {
            let mut refused =
                Node::new(&topic::THIS).with(topic::TOPIC_NAME, entry.str(asked::TOPIC_NAME)).with(topic::TOPIC_ID, id);
            for index in entry.nodes(asked::PARTITIONS) {
                let node = refused
                    .child(topic::PARTITIONS)
                    .with(partition::PARTITION_INDEX, index.int(asked_partition::PARTITION_INDEX))
                    .with(partition::ERROR_CODE, TOPIC)
                    .with(partition::ERROR_MESSAGE, TOPIC.message());
                refused.push(topic::PARTITIONS, node);
            }
            refused
        },
        argument: |entry, bounded| {
            let partitions = bounded.take(entry.items(asked::PARTITIONS), |partition, _| {
                let index = partition.i32(asked_partition::PARTITION_INDEX);
                serde_json::json!({ "index": index, "offset": partition.i64(asked_partition::START_OFFSET) })
            });
            serde_json::json!({ "name": text(entry.str(asked::TOPIC_NAME)), "partitions": partitions })
        },
    }
};

/// The rule of DeleteShareGroupOffsets.
pub(super) static DELETE: Changing = {
    use delete::request::{self as req, delete_share_group_offsets_request_topic as asked};
    use delete::response::{self as res, delete_share_group_offsets_response_topic as topic};
    Changing {
        api: ApiKey::DELETE_SHARE_GROUP_OFFSETS,
        operation: Operation::Delete,
        group: req::GROUP_ID,
        topics: req::TOPICS,
        name: asked::TOPIC_NAME,
        error: res::ERROR_CODE,
        message: res::ERROR_MESSAGE,
        answer_topics: res::RESPONSES,
        gathered: None,
        // Here Kafka gives no id, whether the topic exists or not.
        refuse: |entry, _| {
            Node::new(&topic::THIS)
                .with(topic::TOPIC_NAME, entry.str(asked::TOPIC_NAME))
                .with(topic::ERROR_CODE, TOPIC)
                .with(topic::ERROR_MESSAGE, TOPIC.message())
        },
        argument: |entry, _| serde_json::json!({ "name": text(entry.str(asked::TOPIC_NAME)) }),
    }
};

impl Changing {
    fn arguments(&self, view: View<'_, '_>) -> String {
        let mut bounded = Bounded::default();
        let topics = bounded.take(view.items(self.topics), |entry, bounded| (self.argument)(entry, bounded));
        bounded.object([("group", text(view.str(self.group))), ("topics", topics)])
    }
}

impl Rule for Changing {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let (shape, view) = (self, request.view);
        judge.arguments(shape.arguments(view));
        let decision = judge.decide(shape.operation, GroupId(view.str(shape.group)));
        let demand = topic_demand(&decision);
        let Some(permit) = decision.permit() else {
            let refused = Node::response(shape.api).with(shape.error, GROUP).with(shape.message, GROUP.message());
            return Ok(Verdict::Answer(refused));
        };
        let mut denied = HashSet::new();
        for (place, entry) in view.items(shape.topics).enumerate() {
            if !judge.decide(demand, TopicName(entry.str(shape.name))).is_allowed() {
                denied.insert(place);
            }
        }
        if denied.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        // As in Kafka the id of a topic that exists is told, however young it is; but of none of the proxy's own (threat 4).
        let told = |name: &str| shape.gathered.is_some() && !judge.is_own(TopicName(name));
        let new = |name: &str| told(name) && !judge.cx.topology.has_topic(name);
        let mut asked = view.items(shape.topics).enumerate();
        if !judge.looked_up() && asked.any(|(place, entry)| denied.contains(&place) && new(entry.str(shape.name))) {
            return Ok(Verdict::Probe(vec![TopicId::ZERO]));
        }
        let mut node = request.decode();
        let (mut kept, mut refused, mut places) = (Vec::new(), Vec::new(), HashMap::new());
        for (place, entry) in node.take_nodes(shape.topics).into_iter().enumerate() {
            places.entry(entry.str(shape.name).to_owned()).or_insert(place);
            if denied.contains(&place) {
                let name = Some(entry.str(shape.name)).filter(|name| told(name));
                let id = name.and_then(|name| judge.cx.topology.ids.get(name).copied());
                refused.push((shape.refuse)(&entry, id.unwrap_or(TopicId::ZERO)));
            } else {
                kept.push(entry);
            }
        }
        if let Some(of) = shape.gathered {
            refused = each_once(refused, TopicFields { name: of.name, id: None }, of.partitions, None);
        }
        let (error, topics, gathered) = (shape.error, shape.answer_topics, shape.gathered);
        let finish = FinishChange { error, topics, gathered, refused, places };
        // Kafka asks the coordinator also when no topic is left: the state of the group comes before.
        node.set(shape.topics, Value::from(kept));
        Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(finish))))
    }
}

/// Puts the errors of refused topics before what the broker answers; where it gathers them, among those of topics that it
/// does not know, as they were asked for.
struct FinishChange {
    error: Field,
    topics: Field,
    gathered: Option<Gathered>,
    refused: Vec<Node>,
    /// Where the topics of the request stood.
    places: HashMap<String, usize>,
}

impl Complete for FinishChange {
    fn complete(mut self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        if answer.int(self.error) != 0 {
            return Completed::Answer(answer);
        }
        let mut served = answer.take_nodes(self.topics);
        if let Some(of) = self.gathered {
            let unknown = |topic: &Node| {
                let mut codes = topic.nodes(of.partitions).iter().map(|partition| partition.i16(of.error));
                codes.len() > 0 && codes.all(|code| code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0)
            };
            let (unknown, known): (Vec<Node>, Vec<Node>) = served.into_iter().partition(unknown);
            self.refused.extend(unknown);
            self.refused.sort_by_key(|topic| self.places.get(topic.str(of.name)).copied());
            served = known;
        }
        self.refused.extend(served);
        *answer.nodes_mut(self.topics) = self.refused;
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
