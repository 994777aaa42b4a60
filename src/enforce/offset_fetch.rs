//! OffsetFetch (API 9), versions 1 to 10.
//!
//! Source: Kafka 4.1 `KafkaApis.handleOffsetFetchRequest`, `fetchOffsetsForGroup`, `fetchAllOffsetsForGroup`,
//! `OffsetFetchResponse.groupError`. DESCRIBE on each group, or that group fails with 30: before version 2 on every
//! partition, before version 8 on the whole answer, from then on in its own entry. Topics that are named need DESCRIBE and
//! fail with 29, partition by partition, behind those that are served (from version 10 on they come by id, and an unknown
//! one fails with 100); where the coordinator refuses the group, only its error is answered. A group without a list of
//! topics is asked for all of them: the answer loses those that may not be seen. From version 10 on that answer has ids
//! alone: one that the proxy does not know yet is looked up before anything is left out, and what has no name then is left
//! out, as a broker leaves out what it knows no id of.

use super::judge::Judge;
use super::look_up::{self, Names};
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::split::{Outcome, TopicFields, copy_topic};
use crate::model::{GroupId, Operation, ResourceName as _, TopicId, TopicName};
use crate::policy::{Permit, Use};
use crate::wire::schema::offset_fetch::request::{
    self as req, offset_fetch_request_group as group, offset_fetch_request_topic as topic_v7,
    offset_fetch_request_topics as topic_v8,
};
use crate::wire::schema::offset_fetch::response::{
    self as res, offset_fetch_response_group as res_group, offset_fetch_response_partition as res_partition_v7,
    offset_fetch_response_partitions as res_partition_v8, offset_fetch_response_topic as res_topic_v7,
    offset_fetch_response_topics as res_topic_v8,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, Value, View, WireError};

/// The rule of OffsetFetch.
pub(super) struct OffsetFetch;

/// The first version that asks for several groups.
const GROUPS_SINCE: i16 = 8;
/// The first version with an error of the whole answer, and with null for all topics.
const TOP_LEVEL_SINCE: i16 = 2;

/// The first version that has ids of topics in place of their names.
const IDS_SINCE: i16 = 10;

/// Where the parts of one group stand: at the top before version 8, in an entry of an array from then on.
struct Shape {
    group: Field,
    topics: Field,
    topic: TopicFields,
    indexes: Field,
    answer_topics: Field,
    answer_topic: TopicFields,
    answer_partitions: Field,
    answer_index: Field,
    answer_offset: Field,
    answer_epoch: Field,
    answer_metadata: Field,
    answer_partition_error: Field,
    answer_error: Field,
}

static ONE: Shape = Shape {
    group: req::GROUP_ID,
    topics: req::TOPICS,
    topic: TopicFields { name: topic_v7::NAME, id: None },
    indexes: topic_v7::PARTITION_INDEXES,
    answer_topics: res::TOPICS,
    answer_topic: TopicFields { name: res_topic_v7::NAME, id: None },
    answer_partitions: res_topic_v7::PARTITIONS,
    answer_index: res_partition_v7::PARTITION_INDEX,
    answer_offset: res_partition_v7::COMMITTED_OFFSET,
    answer_epoch: res_partition_v7::COMMITTED_LEADER_EPOCH,
    answer_metadata: res_partition_v7::METADATA,
    answer_partition_error: res_partition_v7::ERROR_CODE,
    answer_error: res::ERROR_CODE,
};

static MANY: Shape = Shape {
    group: group::GROUP_ID,
    topics: group::TOPICS,
    topic: TopicFields { name: topic_v8::NAME, id: Some(topic_v8::TOPIC_ID) },
    indexes: topic_v8::PARTITION_INDEXES,
    answer_topics: res_group::TOPICS,
    answer_topic: TopicFields { name: res_topic_v8::NAME, id: Some(res_topic_v8::TOPIC_ID) },
    answer_partitions: res_topic_v8::PARTITIONS,
    answer_index: res_partition_v8::PARTITION_INDEX,
    answer_offset: res_partition_v8::COMMITTED_OFFSET,
    answer_epoch: res_partition_v8::COMMITTED_LEADER_EPOCH,
    answer_metadata: res_partition_v8::METADATA,
    answer_partition_error: res_partition_v8::ERROR_CODE,
    answer_error: res_group::ERROR_CODE,
};

/// What was decided on one group of the request.
enum Asked {
    Refused,
    /// Topics are named: these are taken out.
    Named(Outcome),
    /// All topics: the answer is filtered.
    All,
}

/// What a group's part of the answer still needs.
enum Due {
    /// Nothing was asked of the broker: this is the answer.
    Refused(Node),
    /// Topics to add, unless the coordinator refused the group.
    Add(Vec<Node>),
    /// Topics that may not be seen are taken out.
    Filter,
}

impl Rule for OffsetFetch {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        if request.version() < GROUPS_SINCE { one_group(request, judge) } else { many_groups(request, judge) }
    }
}

fn one_group(request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
    let (permit, asked) = ask(judge, request.view, &ONE);
    Ok(match (permit, asked) {
        (Some(permit), Asked::All) => Verdict::Forward(permit, Then::Complete(Box::new(OneGroup(Due::Filter)))),
        (Some(permit), Asked::Named(outcome)) if outcome.denied.is_empty() => Verdict::Forward(permit, Then::Stream),
        (Some(permit), Asked::Named(outcome)) => {
            let mut node = request.decode();
            let due = Due::Add(ONE.take_refused(&outcome, &mut node, &Node::response(ApiKey::OFFSET_FETCH)));
            Verdict::Rewrite(permit, node, Then::Complete(Box::new(OneGroup(due))))
        }
        (_, Asked::Refused) | (None, _) => {
            let error = ErrorCode::GROUP_AUTHORIZATION_FAILED;
            let mut answer = Node::response(ApiKey::OFFSET_FETCH);
            if request.version() < TOP_LEVEL_SINCE {
                for topic in request.decode().take_nodes(req::TOPICS) {
                    let refused = ONE.refused_topic(&answer, &topic, error);
                    answer.push(res::TOPICS, refused);
                }
            } else {
                answer.set(res::ERROR_CODE, error);
            }
            Verdict::Answer(answer)
        }
    })
}

fn many_groups(request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
    let (mut permit, mut asked, mut unresolved) = (None, Vec::new(), Vec::new());
    for entry in request.view.items(req::GROUPS) {
        let (own, mut what) = ask(judge, entry, &MANY);
        permit = own.or(permit);
        if let Asked::Named(outcome) = &mut what {
            unresolved.append(&mut outcome.unresolved);
        }
        asked.push(what);
    }
    if !unresolved.is_empty() {
        return Ok(Verdict::Probe(unresolved));
    }
    let untouched = |asked: &Asked| matches!(asked, Asked::Named(outcome) if outcome.denied.is_empty());
    if let (Some(_), true) = (&permit, asked.iter().all(untouched)) {
        return Ok(
            permit.map_or(Verdict::Answer(Node::response(ApiKey::OFFSET_FETCH)), |p| Verdict::Forward(p, Then::Stream))
        );
    }
    let mut node = request.decode();
    let blank = Node::response(ApiKey::OFFSET_FETCH);
    let (mut kept, mut due) = (Vec::new(), Vec::new());
    for (mut entry, asked) in node.take_nodes(req::GROUPS).into_iter().zip(asked) {
        match asked {
            Asked::Refused => {
                let refused = blank
                    .child(res::GROUPS)
                    .with(res_group::GROUP_ID, entry.str(group::GROUP_ID))
                    .with(res_group::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED);
                due.push(Due::Refused(refused));
            }
            Asked::Named(outcome) => {
                due.push(Due::Add(MANY.take_refused(&outcome, &mut entry, &blank.child(res::GROUPS))));
                kept.push(entry);
            }
            Asked::All => {
                due.push(Due::Filter);
                kept.push(entry);
            }
        }
    }
    *node.nodes_mut(req::GROUPS) = kept;
    let by_id = request.version() >= IDS_SINCE && due.iter().any(|due| matches!(due, Due::Filter));
    let then = Box::new(ManyGroups(due));
    Ok(match permit {
        // It may have to ask what topics the ids are.
        Some(permit) if by_id => Verdict::Rewrite(permit, node, Then::Alone(then)),
        Some(permit) => Verdict::Rewrite(permit, node, Then::Complete(then)),
        None => Verdict::Answer(then.merge(blank, &Names::default(), judge)),
    })
}

/// Decides on one group and on the topics that are named for it.
fn ask(judge: &mut Judge<'_>, entry: View<'_, '_>, shape: &Shape) -> (Option<Permit>, Asked) {
    match judge.decide(Operation::Describe, GroupId(entry.str(shape.group))).permit() {
        None => (None, Asked::Refused),
        Some(permit) if entry.is_null(shape.topics) => (Some(permit), Asked::All),
        Some(permit) => {
            let topics = Outcome::of_topics(judge, Use::Normal, Operation::Describe, entry, shape.topics, shape.topic);
            (Some(permit), Asked::Named(topics))
        }
    }
}

impl Shape {
    /// Takes the refused topics out of a group's part of the request; `answer` is what the refusals are children of.
    fn take_refused(&self, outcome: &Outcome, entry: &mut Node, answer: &Node) -> Vec<Node> {
        if outcome.denied.is_empty() {
            return Vec::new();
        }
        let cut = outcome.cut(entry.nodes_mut(self.topics));
        cut.into_iter().map(|(topic, error)| self.refused_topic(answer, &topic, error)).collect()
    }

    fn refused_topic(&self, answer: &Node, topic: &Node, error: ErrorCode) -> Node {
        let mut refused = answer.child(self.answer_topics);
        copy_topic(topic, self.topic, &mut refused, self.answer_topic);
        for index in topic.ints(self.indexes) {
            let node = refused
                .child(self.answer_partitions)
                .with(self.answer_index, *index)
                .with(self.answer_offset, -1i64)
                .with(self.answer_epoch, -1i32)
                .with(self.answer_metadata, Value::from(""))
                .with(self.answer_partition_error, error);
            refused.push(self.answer_partitions, node);
        }
        refused
    }

    /// Makes a group's part of the broker's answer the client's.
    fn finish(&self, due: Due, mut part: Node, names: &Names, judge: &mut Judge<'_>) -> Node {
        match due {
            Due::Refused(node) => return node,
            Due::Add(mut topics) => {
                if part.int(self.answer_error) == 0 {
                    part.nodes_mut(self.answer_topics).append(&mut topics);
                }
            }
            Due::Filter => part.nodes_mut(self.answer_topics).retain(|topic| self.may_be_seen(topic, names, judge)),
        }
        part
    }

    fn may_be_seen(&self, topic: &Node, names: &Names, judge: &mut Judge<'_>) -> bool {
        let id = self.answer_topic.id.map(|id| topic.uuid(id)).filter(|id| !id.is_zero());
        let Some(id) = id else {
            return judge.probe(Operation::Describe, TopicName(topic.str(self.answer_topic.name))).is_some();
        };
        match judge.topic_name(id).ok().or_else(|| names.get(&id).cloned()) {
            Some(name) => judge.probe(Operation::Describe, TopicName(&name)).is_some(),
            // A topic whose name is not known cannot be judged, so it is not shown.
            None => false,
        }
    }
}

struct OneGroup(Due);

impl Complete for OneGroup {
    fn complete(self: Box<Self>, answer: Node, judge: &mut Judge<'_>) -> Completed {
        Completed::Answer(ONE.finish(self.0, answer, &Names::default(), judge))
    }
}

struct ManyGroups(Vec<Due>);

impl ManyGroups {
    /// Every group of the request once, in its order; the broker answers those it was asked in theirs.
    fn merge(self, mut answer: Node, names: &Names, judge: &mut Judge<'_>) -> Node {
        let mut served = answer.take_nodes(res::GROUPS).into_iter();
        let blank = answer.child(res::GROUPS);
        let mut groups = Vec::with_capacity(self.0.len());
        for due in self.0 {
            let part = if let Due::Refused(_) = due { Some(blank.clone()) } else { served.next() };
            groups.extend(part.map(|part| MANY.finish(due, part, names, judge)));
        }
        *answer.nodes_mut(res::GROUPS) = groups;
        answer
    }
}

impl ManyGroups {
    /// Ids in the parts that are filtered which have no name here, and the proof that their group may be described.
    fn unknown(&self, answer: &Node, judge: &Judge<'_>) -> Option<(Vec<TopicId>, Permit)> {
        let parts = self.0.iter().filter(|due| !matches!(due, Due::Refused(_))).zip(answer.nodes(res::GROUPS));
        let (mut ids, mut permit) = (Vec::new(), None);
        for (due, part) in parts {
            let topics = part.nodes(res_group::TOPICS).iter().map(|topic| topic.uuid(res_topic_v8::TOPIC_ID));
            let before = ids.len();
            if let Due::Filter = due {
                ids.extend(topics.filter(|id| !id.is_zero() && judge.topic_name(*id).is_err()));
            }
            if ids.len() > before {
                let group = GroupId(part.str(res_group::GROUP_ID));
                permit = judge.weigh(Operation::Describe, group.resource()).permit().or(permit);
            }
        }
        permit.map(|permit| (ids, permit))
    }
}

impl Complete for ManyGroups {
    fn complete(self: Box<Self>, answer: Node, judge: &mut Judge<'_>) -> Completed {
        match self.unknown(&answer, judge) {
            Some((ids, permit)) => look_up::ask_names(ids, permit, judge, Box::new(LookedUp { groups: *self, answer })),
            None => Completed::Answer(self.merge(answer, &Names::default(), judge)),
        }
    }
}

/// An answer that waits for the names of its topics.
struct LookedUp {
    groups: ManyGroups,
    answer: Node,
}

impl Complete for LookedUp {
    fn complete(self: Box<Self>, known: Node, judge: &mut Judge<'_>) -> Completed {
        Completed::Answer(self.groups.merge(self.answer, &look_up::names(&known), judge))
    }
}

#[cfg(test)]
mod tests;
