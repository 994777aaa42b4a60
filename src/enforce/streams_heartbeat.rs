//! StreamsGroupHeartbeat (API 88): joining, staying in and leaving a streams group (KIP-1071).
//!
//! Source: Kafka 4.3 `KafkaApis.handleStreamsGroupHeartbeat`,
//! `GroupCoordinatorService.throwIfStreamsGroupHeartbeatRequestIsUsingUnsupportedFeatures`. READ on the group, or the
//! heartbeat fails with 30. A topology that uses Kafka's internal topics or illegal names fails with 130 and a text; then
//! DESCRIBE on every topic in it, or the heartbeat fails with 29. Patterns of source topics fail with 42 and Kafka's own
//! text: no Kafka resolves them yet, and the proxy never lets one do it with its rights (threat 22).
//!
//! The broker creates the missing internal topics of a topology with the rights of who asks, here the proxy's, also at
//! later heartbeats that carry no topology (threat 6). So a topology goes on only if CREATE is held on every internal topic
//! in it, on the cluster or on each; else the heartbeat fails with 29 and a text, where Kafka lets the member join and says
//! in the answer what is missing. A heartbeat without a topology goes on only on the connection, and for the member, whose
//! topology did, and both rights are asked for anew each time. A member of another connection is FENCED_MEMBER_EPOCH (110):
//! clients then join again, with their topology.
//!
//! An answer tells which member has which partitions: topics that may not be described are left out. Its statuses are
//! about the topology of the group, which another member may have brought: a text that names a topic that exists, is none
//! of the member's own and may not be described gives way to one that does not.

use super::arguments::{Bounded, text};
use super::asks::ClusterOrTopic;
use super::describe_producers::why_illegal;
use super::judge::Judge;
use super::record::Category;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub;
use super::share_session::Member;
use crate::model::{GroupId, Operation, TopicName};
use crate::policy::Permit;
use crate::wire::schema::streams_group_heartbeat::request::{self as req, subtopology, topic_info, topology};
use crate::wire::schema::streams_group_heartbeat::response::{
    self as res, endpoint_to_partitions, status, topic_partition,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Members remembered per connection. A client has one for each of its threads.
const MAX_MEMBERS: usize = 64;
/// Topics of one topology.
const MAX_TOPICS: usize = 5_000;
/// Topics that no application may use (`Topic.isInternal`, Kafka 4.3).
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
const NO_PATTERNS: &str = "Regular expressions for source topics are not supported yet.";
const NO_TOPOLOGY: &str = "Topology must be non-null when (re-)joining.";
/// In place of a status that names a topic which may not be described.
const OF_OTHERS: &str = "topics that may not be described stand in the way";

/// The topics of a topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Topics {
    /// All of them.
    all: BTreeSet<Arc<str>>,
    /// Those that the broker creates where they are missing.
    internal: BTreeSet<Arc<str>>,
}

/// The members whose topology went on over this connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Topologies {
    by_member: HashMap<Member, Arc<Topics>>,
}

impl Topologies {
    fn passed(&mut self, member: Member, topics: Arc<Topics>) {
        if self.by_member.len() < MAX_MEMBERS || self.by_member.contains_key(&member) {
            self.by_member.insert(member, topics);
        }
    }
}

/// The rule of StreamsGroupHeartbeat.
pub(super) struct StreamsGroupHeartbeat;

impl Rule for StreamsGroupHeartbeat {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let group = view.str(req::GROUP_ID);
        let Some(permit) = judge.decide(Operation::Read, GroupId(group)).permit() else {
            return Ok(refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED, None));
        };
        let member = Member { group: group.into(), id: view.str(req::MEMBER_ID).into() };
        let epoch = view.i32(req::MEMBER_EPOCH);
        Ok(match view.strct(req::TOPOLOGY) {
            Some(topology) => judge_topology(topology, permit, member, judge),
            None if epoch < 0 => {
                judge.topologies.by_member.remove(&member);
                Verdict::Forward(permit, Then::Stream)
            }
            None if epoch == 0 => refuse(ErrorCode::INVALID_REQUEST, Some(NO_TOPOLOGY)),
            None => match judge.topologies.by_member.get(&member).cloned() {
                None => refuse(ErrorCode::FENCED_MEMBER_EPOCH, None),
                Some(topics) => ask(topics, permit, judge),
            },
        })
    }
}

/// Judges a heartbeat that carries a topology, and remembers that topology if it goes on.
fn judge_topology(topology: View<'_, '_>, permit: Permit, member: Member, judge: &mut Judge<'_>) -> Verdict {
    let topics = topics_of(topology);
    if topics.all.len() > MAX_TOPICS {
        let text = format!("topologies of more than {MAX_TOPICS} topics are not served here");
        return refuse(ErrorCode::STREAMS_INVALID_TOPOLOGY, Some(&text));
    }
    let named = |wanted: &dyn Fn(&str) -> bool| -> Vec<&str> {
        topics.all.iter().map(|name| &**name).filter(|name| wanted(name)).collect()
    };
    let prohibited = named(&|name| INTERNAL.contains(&name));
    if !prohibited.is_empty() {
        let text =
            format!("Use of Kafka internal topics {} in a Kafka Streams topology is prohibited.", prohibited.join(","));
        return refuse(ErrorCode::STREAMS_INVALID_TOPOLOGY, Some(&text));
    }
    let illegal = named(&|name| why_illegal(name).is_some());
    if !illegal.is_empty() {
        let text = format!("Topic names {} are not valid topic names.", illegal.join(","));
        return refuse(ErrorCode::STREAMS_INVALID_TOPOLOGY, Some(&text));
    }
    if !describes(&topics, judge) {
        return refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED, None);
    }
    let mut subtopologies = topology.items(topology::SUBTOPOLOGIES);
    if subtopologies.any(|sub| sub.strs(subtopology::SOURCE_TOPIC_REGEX).len() > 0) {
        return refuse(ErrorCode::INVALID_REQUEST, Some(NO_PATTERNS));
    }
    if !topics.internal.is_empty() {
        // The broker may create topics for it: an event like that of CreateTopics.
        judge.category(Category::TopicWrite);
        let mut bounded = Bounded::default();
        let names = bounded.take(topics.internal.iter(), |name, _| text(name));
        judge.arguments(bounded.object([("group", text(&member.group)), ("topics", names)]));
    }
    if let Some(refusal) = may_not_create(&topics, judge) {
        return refusal;
    }
    let topics = Arc::new(topics);
    judge.topologies.passed(member, Arc::clone(&topics));
    Verdict::Forward(permit, Then::Complete(Box::new(Shown { topics })))
}

/// Asks anew for what the topology of a member needs.
fn ask(topics: Arc<Topics>, permit: Permit, judge: &mut Judge<'_>) -> Verdict {
    if !describes(&topics, judge) {
        return refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED, None);
    }
    match may_not_create(&topics, judge) {
        None => Verdict::Forward(permit, Then::Complete(Box::new(Shown { topics }))),
        Some(refusal) => refusal,
    }
}

/// Whether every topic may be described. Every one is asked for, also behind a denied one: the audit names them all.
fn describes(topics: &Topics, judge: &mut Judge<'_>) -> bool {
    let mut all = true;
    for name in &topics.all {
        all &= judge.decide(Operation::Describe, TopicName(name)).is_allowed();
    }
    all
}

/// Asks for CREATE on what the broker may create; the refusal, if one is denied.
fn may_not_create(topics: &Topics, judge: &mut Judge<'_>) -> Option<Verdict> {
    if topics.internal.is_empty() {
        return None;
    }
    let mut demand = ClusterOrTopic::ask(judge, Operation::Create, Operation::Create);
    let denied: Vec<&str> =
        topics.internal.iter().map(|name| &**name).filter(|name| !demand.allows(TopicName(name), judge)).collect();
    if denied.is_empty() {
        return None;
    }
    let text = format!("Unauthorized to CREATE on topics {}.", denied.join(", "));
    Some(refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(&text)))
}

fn topics_of(topology: View<'_, '_>) -> Topics {
    let mut topics = Topics::default();
    for sub in topology.items(topology::SUBTOPOLOGIES) {
        topics.all.extend(sub.strs(subtopology::SOURCE_TOPICS).map(Arc::from));
        topics.all.extend(sub.strs(subtopology::REPARTITION_SINK_TOPICS).map(Arc::from));
        for field in [subtopology::REPARTITION_SOURCE_TOPICS, subtopology::STATE_CHANGELOG_TOPICS] {
            topics.internal.extend(sub.items(field).map(|topic| Arc::from(topic.str(topic_info::NAME))));
        }
    }
    topics.all.extend(topics.internal.iter().cloned());
    topics
}

fn refuse(error: ErrorCode, text: Option<&str>) -> Verdict {
    let answer = Node::response(ApiKey::STREAMS_GROUP_HEARTBEAT).with(res::ERROR_CODE, error);
    Verdict::Answer(match text {
        Some(text) => answer.with(res::ERROR_MESSAGE, text),
        None => answer,
    })
}

/// Leaves topics out of an answer that may not be described, to a member with this topology.
struct Shown {
    topics: Arc<Topics>,
}

impl Shown {
    /// Whether a text names a topic that exists and of which this member may not know.
    fn hides(&self, text: &str, judge: &mut Judge<'_>) -> bool {
        scrub::names(text, |name| {
            judge.cx.topology.has_topic(name)
                && !self.topics.all.contains(name)
                && judge.probe(Operation::Describe, TopicName(name)).is_none()
        })
    }
}

impl Complete for Shown {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        !answer.items(res::PARTITIONS_BY_USER_ENDPOINT).is_empty() || !answer.items(res::STATUS).is_empty()
    }

    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        // No status at all is null.
        if !answer.is_null(res::STATUS) {
            for status in answer.nodes_mut(res::STATUS) {
                if self.hides(status.str(status::STATUS_DETAIL), judge) {
                    status.set(status::STATUS_DETAIL, OF_OTHERS);
                }
            }
        }
        if answer.is_null(res::PARTITIONS_BY_USER_ENDPOINT) {
            return Completed::Answer(answer);
        }
        let mut asked: HashMap<String, bool> = HashMap::new();
        for endpoint in answer.nodes_mut(res::PARTITIONS_BY_USER_ENDPOINT) {
            for field in [endpoint_to_partitions::ACTIVE_PARTITIONS, endpoint_to_partitions::STANDBY_PARTITIONS] {
                endpoint.nodes_mut(field).retain(|topic| {
                    let name = topic.str(topic_partition::TOPIC);
                    *asked
                        .entry(name.to_owned())
                        .or_insert_with(|| judge.probe(Operation::Describe, TopicName(name)).is_some())
                });
            }
        }
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
