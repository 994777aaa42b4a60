//! ShareGroupHeartbeat (API 76): joining, staying in and leaving a share group (KIP-932).
//!
//! Source: Kafka 4.3 `KafkaApis.handleShareGroupHeartbeat`. READ on the group, or the heartbeat fails with 30; an id that
//! can be no member's is 42; if topics are named, DESCRIBE on every one of them, or the whole heartbeat fails with 29. No
//! error has a message here. What else is wrong with the form is the coordinator's to say, behind the topics. What a
//! member is assigned is looked at in every answer ([`assignments`](super::assignments)).

use super::assignments;
use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
use super::share_fetch::is_member_id;
use crate::model::{GroupId, Operation, TopicName};
use crate::wire::schema::share_group_heartbeat::{request as req, response as res};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of ShareGroupHeartbeat.
pub(super) struct ShareGroupHeartbeat;

impl Rule for ShareGroupHeartbeat {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let Some(permit) = judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID))).permit() else {
            return Ok(refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED));
        };
        if !is_member_id(view.str(req::MEMBER_ID)) {
            return Ok(refuse(ErrorCode::INVALID_REQUEST));
        }
        let mut denied = false;
        for name in view.strs(req::SUBSCRIBED_TOPIC_NAMES) {
            // Every name is asked for, also behind a denied one: the audit names them all.
            denied |= !judge.decide(Operation::Describe, TopicName(name)).is_allowed();
        }
        if denied {
            return Ok(refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        }
        Ok(Verdict::Forward(permit, assignments::look_at(&assignments::SHARE, view.str(req::GROUP_ID))))
    }
}

fn refuse(error: ErrorCode) -> Verdict {
    Verdict::Answer(Node::response(ApiKey::SHARE_GROUP_HEARTBEAT).with(res::ERROR_CODE, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, id};
    use crate::wire::Value;

    const KEY: ApiKey = ApiKey::SHARE_GROUP_HEARTBEAT;
    const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
    const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

    fn request(topics: Option<&[&str]>) -> Node {
        let topics = topics.map_or(Value::Null, |names| Value::from(names.to_vec()));
        let request = Node::request(KEY).with(req::GROUP_ID, "g1").with(req::MEMBER_ID, "m1");
        request.with(req::SUBSCRIBED_TOPIC_NAMES, topics)
    }

    #[test]
    fn what_is_no_member_id_is_said_behind_the_group_and_before_the_topics() {
        for id in ["", "0123456789012345678901234567890123456"] {
            for (acls, error) in [(&[READ_G, DESCRIBE_A][..], 42), (&[DESCRIBE_A], 30)] {
                let wrong = request(Some(&["x"])).with(req::MEMBER_ID, id);
                let verdict = Bench::acls(acls).judge(&ShareGroupHeartbeat, KEY, 1, &wrong);
                assert_eq!(answer(verdict, KEY, 1), Node::response(KEY).with(res::ERROR_CODE, error), "{id:?}");
            }
        }
    }

    #[test]
    fn a_heartbeat_needs_the_group_and_every_topic_that_it_names() {
        for (acls, topics, error) in [
            (&[READ_G, DESCRIBE_A][..], None, 0),
            (&[READ_G, DESCRIBE_A], Some(&["a1", "a2"][..]), 0),
            (&[READ_G, DESCRIBE_A], Some(&["a1", "x"]), 29),
            (&[READ_G, DESCRIBE_A], Some(&[AUDIT]), 29),
            (&[DESCRIBE_A], Some(&["a1"]), 30),
        ] {
            let verdict = Bench::acls(acls).judge(&ShareGroupHeartbeat, KEY, 1, &request(topics));
            if error == 0 {
                forwarded(verdict);
            } else {
                assert_eq!(answer(verdict, KEY, 1), Node::response(KEY).with(res::ERROR_CODE, error), "{topics:?}");
            }
        }
    }

    #[test]
    fn a_member_is_not_told_of_a_topic_it_may_not_describe() {
        use res::{assignment, topic_partitions as topic};
        let assigned = |numbers: &[u8]| {
            let answer = Node::response(KEY).with(res::MEMBER_ID, "m1");
            let mut assignment = answer.child(res::ASSIGNMENT);
            for number in numbers {
                let node = assignment.child(assignment::TOPIC_PARTITIONS).with(topic::TOPIC_ID, id(*number));
                assignment.push(assignment::TOPIC_PARTITIONS, node);
            }
            answer.with(res::ASSIGNMENT, assignment)
        };
        let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]).topics(&["a1", "x"]);
        for (numbers, error) in [(&[1][..], 0), (&[1, 2], 29)] {
            let then = forwarded(bench.judge(&ShareGroupHeartbeat, KEY, 1, &request(None)));
            let told = finished(bench.complete(then, KEY, 1, &assigned(numbers)), KEY, 1);
            let expected =
                if error == 0 { assigned(numbers) } else { Node::response(KEY).with(res::ERROR_CODE, error) };
            assert_eq!(told, expected);
        }
    }
}
