//! What a member of a group is assigned, in answers to ConsumerGroupHeartbeat (API 68) and ShareGroupHeartbeat (76).
//!
//! The coordinator assigns what members subscribed to, under the proxy's principal: without an authorizer it asks nobody.
//! So each assignment is looked at before a member gets it (threat 22), in every version. Kafka fails a heartbeat that
//! names a topic without DESCRIBE as a whole with 29; an assignment with such a topic fails the same way.
//!
//! Assignments name topics by id. One that the proxy does not know yet, because the topic is new, is answered with
//! COORDINATOR_LOAD_IN_PROGRESS: clients send the heartbeat again, in full, and the id is looked up before it goes on.

use super::judge::Judge;
use super::rule::{Complete, Completed, Verdict};
use crate::model::{Operation, TopicId, TopicName};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View};

/// Topic ids remembered until the next heartbeat.
const MAX_UNNAMED: usize = 1_000;

/// Ids of topics that stood in an assignment and have no name here yet.
#[derive(Debug, Default)]
pub struct Unnamed(Vec<TopicId>);

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

/// Asks for the names of topics that an earlier answer assigned, before the heartbeat goes on.
pub(super) fn look_up(judge: &mut Judge<'_>) -> Option<Verdict> {
    let mut ids = std::mem::take(&mut judge.unnamed.0);
    ids.retain(|id| judge.topic_name(*id) == Err(true));
    (!ids.is_empty()).then_some(Verdict::Probe(ids))
}

/// Lets an assignment through if every topic in it may be described.
pub(super) struct Assigned(pub(super) &'static Shape);

impl Complete for Assigned {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        answer.strct(self.0.assignment).is_some_and(|assignment| !assignment.items(self.0.topics).is_empty())
    }

    fn complete(self: Box<Self>, answer: Node, judge: &mut Judge<'_>) -> Completed {
        let shape = self.0;
        let refuse = |error| Completed::Answer(Node::response(shape.api).with(shape.error, error));
        let (mut denied, mut unnamed) = (false, false);
        for topic in answer.strct(shape.assignment).map_or(&[][..], |assignment| assignment.nodes(shape.topics)) {
            let id = topic.uuid(shape.id);
            match judge.topic_name(id) {
                Ok(name) => denied |= !judge.decide(Operation::Describe, TopicName(&name)).is_allowed(),
                Err(_) => {
                    unnamed = true;
                    if judge.unnamed.0.len() < MAX_UNNAMED {
                        judge.unnamed.0.push(id);
                    }
                }
            }
        }
        if denied {
            refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        } else if unnamed {
            refuse(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
        } else {
            Completed::Answer(answer)
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
