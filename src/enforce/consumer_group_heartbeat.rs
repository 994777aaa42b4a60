//! ConsumerGroupHeartbeat (API 68): joining, staying in and leaving a group of the new protocol (KIP-848).
//!
//! Source: Kafka 4.3 `KafkaApis.handleConsumerGroupHeartbeat`. READ on the group, or the heartbeat fails with 30; if it
//! names topics, DESCRIBE on every one of them, or the whole heartbeat fails with 29: nothing is joined in part. No error
//! has a message here. What a member is assigned is looked at in every answer ([`assignments`](super::assignments)).
//!
//! Version 1 adds a regular expression that the broker resolves with the proxy's principal, and without an authorizer
//! with nobody's: it would show topics to members who may not see them (threat 22). It is not forwarded.

use super::assignments;
use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
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
        if denied {
            return Ok(refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        }
        if !view.str(req::SUBSCRIBED_TOPIC_REGEX).is_empty() {
            return Ok(Verdict::Answer(
                Node::response(ApiKey::CONSUMER_GROUP_HEARTBEAT)
                    .with(res::ERROR_CODE, ErrorCode::INVALID_REGULAR_EXPRESSION)
                    .with(res::ERROR_MESSAGE, NO_REGEX),
            ));
        }
        Ok(Verdict::Forward(permit, assignments::look_at(&assignments::CONSUMER, view.str(req::GROUP_ID))))
    }
}

const NO_REGEX: &str = "subscriptions by a pattern that the broker resolves are not served here: subscribe by names, or \
                        by a pattern that the client resolves";

fn refuse(error: ErrorCode) -> Verdict {
    Verdict::Answer(Node::response(ApiKey::CONSUMER_GROUP_HEARTBEAT).with(res::ERROR_CODE, error))
}

#[cfg(test)]
mod tests;
