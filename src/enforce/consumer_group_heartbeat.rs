//! ConsumerGroupHeartbeat (API 68), version 0: joining, staying in and leaving a group of the new protocol (KIP-848).
//!
//! Source: Kafka 4.1 `KafkaApis.handleConsumerGroupHeartbeat`. READ on the group, or the heartbeat fails with 30; if it
//! names topics, DESCRIBE on every one of them, or the whole heartbeat fails with 29: nothing is joined in part. No error
//! has a message here.
//!
//! Version 1 adds a regular expression that the broker resolves with the proxy's principal, and without an authorizer
//! with nobody's: it would show topics to members who may not see them (threat 22). So the row ends at version 0.

use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation, TopicName};
use crate::wire::schema::consumer_group_heartbeat::{request as req, response as res};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of ConsumerGroupHeartbeat.
pub(super) struct ConsumerGroupHeartbeat;

impl Rule for ConsumerGroupHeartbeat {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let Some(permit) = judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID))).permit() else {
            return Ok(refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED));
        };
        let mut denied = false;
        for name in view.strs(req::SUBSCRIBED_TOPIC_NAMES) {
            // Every name is asked for, also behind a denied one: the audit names them all.
            denied |= !judge.decide(Operation::Describe, TopicName(name)).is_allowed();
        }
        Ok(if denied { refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED) } else { Verdict::Forward(permit, Then::Stream) })
    }
}

fn refuse(error: ErrorCode) -> Verdict {
    Verdict::Answer(Node::response(ApiKey::CONSUMER_GROUP_HEARTBEAT).with(res::ERROR_CODE, error))
}

#[cfg(test)]
mod tests;
