//! What a member of a group is assigned, in answers to ConsumerGroupHeartbeat (API 68) and ShareGroupHeartbeat (76).
//!
//! The coordinator assigns what members subscribed to, under the proxy's principal: without an authorizer it asks nobody.
//! So each assignment is looked at before a member gets it (threat 22), in every version. Kafka fails a heartbeat that
//! names a topic without DESCRIBE as a whole with 29; an assignment with such a topic fails the same way.
//!
//! Assignments name topics by id. For those that the proxy does not know yet, because the topic is new, it asks the broker
//! before the member is answered: a heartbeat that is failed after the coordinator took it would leave a member behind that
//! nobody knows of (version 0, where the coordinator draws its id). A topic that is gone by then fails the heartbeat with
//! COORDINATOR_LOAD_IN_PROGRESS, upon which clients send it again, in full.

use super::judge::Judge;
use super::look_up::{self, Names};
use super::rule::{Complete, Completed, Then};
use crate::model::{GroupId, Operation, ResourceName, TopicId, TopicName};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View};

/// Where the parts stand in one of the two answers.
pub(super) struct Shape {
    pub(super) api: ApiKey,
    pub(super) error: Field,
    /// The assignment, or null where it did not change.
    pub(super) assignment: Field,
    /// In it, the topics.
    pub(super) topics: Field,
    /// Of a topic, its id.
    pub(super) id: Field,
}

/// Lets the assignment in an answer through if every topic in it may be described.
pub(super) fn look_at(shape: &'static Shape, group: &str) -> Then {
    Then::Alone(Box::new(Assigned { shape, group: group.into() }))
}

struct Assigned {
    shape: &'static Shape,
    group: Box<str>,
}

/// An answer that waits for the names of its topics.
struct LookedUp {
    shape: &'static Shape,
    answer: Node,
}

impl Complete for Assigned {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        answer.strct(self.shape.assignment).is_some_and(|assignment| !assignment.items(self.shape.topics).is_empty())
    }

    fn complete(self: Box<Self>, answer: Node, judge: &mut Judge<'_>) -> Completed {
        let shape = self.shape;
        let unknown: Vec<TopicId> =
            shape.assigned(&answer).filter(|id| !id.is_zero() && judge.topic_name(*id).is_err()).collect();
        if unknown.is_empty() {
            return Completed::Answer(shape.told(answer, &Names::default(), judge));
        }
        // What was recorded with the request is not recorded twice.
        let decision = judge.weigh(Operation::Read, GroupId(&self.group).resource());
        let Some(permit) = decision.permit() else {
            judge.note(Operation::Read, GroupId(&self.group).resource(), &decision);
            return Completed::Answer(shape.refused(ErrorCode::GROUP_AUTHORIZATION_FAILED));
        };
        look_up::ask_names(unknown, permit, judge, Box::new(LookedUp { shape, answer }))
    }
}

impl Complete for LookedUp {
    fn complete(self: Box<Self>, known: Node, judge: &mut Judge<'_>) -> Completed {
        Completed::Answer(self.shape.told(self.answer, &look_up::names(&known), judge))
    }
}

impl Shape {
    /// The ids of the topics that an answer assigns.
    fn assigned(&self, answer: &Node) -> impl Iterator<Item = TopicId> {
        let topics = answer.strct(self.assignment).map_or(&[][..], |assignment| assignment.nodes(self.topics));
        topics.iter().map(|topic| topic.uuid(self.id))
    }

    fn refused(&self, error: ErrorCode) -> Node {
        Node::response(self.api).with(self.error, error)
    }

    /// What the member is told, with the names that were asked for.
    fn told(&self, answer: Node, names: &Names, judge: &mut Judge<'_>) -> Node {
        let (mut denied, mut unnamed) = (false, false);
        for id in self.assigned(&answer) {
            match judge.topic_name(id).ok().or_else(|| names.get(&id).cloned()) {
                Some(name) => denied |= !judge.decide(Operation::Describe, TopicName(&name)).is_allowed(),
                None => unnamed = true,
            }
        }
        if denied {
            self.refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        } else if unnamed {
            self.refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
        } else {
            answer
        }
    }
}

/// Where the assignment stands in an answer whose API has the usual names.
macro_rules! shape {
    ($key:ident, $api:ident) => {{
        use crate::wire::schema::$api::response::{self as res, assignment, topic_partitions};
        Shape {
            api: ApiKey::$key,
            error: res::ERROR_CODE,
            assignment: res::ASSIGNMENT,
            topics: assignment::TOPIC_PARTITIONS,
            id: topic_partitions::TOPIC_ID,
        }
    }};
}

/// ConsumerGroupHeartbeat.
pub(super) static CONSUMER: Shape = shape!(CONSUMER_GROUP_HEARTBEAT, consumer_group_heartbeat);

/// ShareGroupHeartbeat.
pub(super) static SHARE: Shape = shape!(SHARE_GROUP_HEARTBEAT, share_group_heartbeat);
