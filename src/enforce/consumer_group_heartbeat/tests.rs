use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, finished, forwarded, id};
use crate::enforce::{Completed, Then};
use crate::wire::Value;

const KEY: ApiKey = ApiKey::CONSUMER_GROUP_HEARTBEAT;
const READ_G: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:g1"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(topics: Option<&[&str]>) -> Node {
    let topics = topics.map_or(Value::Null, |names| Value::from(names.to_vec()));
    Node::request(KEY).with(req::GROUP_ID, "g1").with(req::MEMBER_ID, "m1").with(req::SUBSCRIBED_TOPIC_NAMES, topics)
}

fn refusal(bench: &mut Bench, request: &Node) -> i64 {
    let refused = answer(bench.judge(&ConsumerGroupHeartbeat, KEY, 0, request), KEY, 0);
    assert!(refused.is_null(res::ERROR_MESSAGE) && refused.is_null(res::MEMBER_ID) && refused.is_null(res::ASSIGNMENT));
    assert_eq!((refused.int(res::MEMBER_EPOCH), refused.int(res::HEARTBEAT_INTERVAL_MS)), (0, 0));
    refused.int(res::ERROR_CODE)
}

#[test]
fn a_heartbeat_needs_the_group_and_every_topic_that_it_names() {
    for topics in [None, Some(&[][..]), Some(&["a1", "a2"][..])] {
        let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]);
        forwarded(bench.judge(&ConsumerGroupHeartbeat, KEY, 0, &request(topics)));
    }
    assert_eq!(refusal(&mut Bench::acls(&[DESCRIBE_A]), &request(None)), 30);
}

#[test]
fn one_denied_topic_fails_the_whole_heartbeat_and_all_are_recorded() {
    let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]);
    assert_eq!(refusal(&mut bench, &request(Some(&["x", "a1", "y"]))), 29);
    assert_eq!(
        bench.decided(),
        ["Read group:g1 allowed", "Describe topic:x denied", "Describe topic:y denied", "Describe topic:a1 allowed"]
    );
}

#[test]
fn a_denied_group_is_not_asked_about_topics() {
    let mut bench = Bench::acls(&[]);
    assert_eq!(refusal(&mut bench, &request(Some(&["a1"]))), 30);
    assert_eq!(bench.decided(), ["Read group:g1 denied"]);
}

#[test]
fn threat_04_nobody_subscribes_to_the_proxys_own_topics_by_a_wildcard() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*"] }"#;
    assert_eq!(refusal(&mut Bench::acls(&[READ_G, all]), &request(Some(&[AUDIT]))), 29);
    assert_eq!(refusal(&mut Bench::acls(&[]).user("root"), &request(Some(&[AUDIT]))), 29);
}

fn assigned(ids: &[u8]) -> Node {
    use res::{assignment, topic_partitions as topic};
    let answer = Node::response(KEY).with(res::MEMBER_ID, "m1").with(res::MEMBER_EPOCH, 3i32);
    let mut assignment = answer.child(res::ASSIGNMENT);
    for number in ids {
        let node = assignment
            .child(assignment::TOPIC_PARTITIONS)
            .with(topic::TOPIC_ID, id(*number))
            .with(topic::PARTITIONS, Value::Ints(vec![0, 1]));
        assignment.push(assignment::TOPIC_PARTITIONS, node);
    }
    answer.with(res::ASSIGNMENT, assignment)
}

/// What the member gets for an answer of the broker.
fn told(bench: &mut Bench, version: i16, broker: &Node) -> Node {
    let then = forwarded(bench.judge(&ConsumerGroupHeartbeat, KEY, version, &request(None)));
    finished(bench.complete(then, KEY, version, broker), KEY, version)
}

#[test]
fn threat_22_a_member_never_gets_a_topic_it_may_not_describe() {
    for version in 0..=1 {
        let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]).topics(&["a1", "x", AUDIT]);
        assert_eq!(told(&mut bench, version, &assigned(&[1])), assigned(&[1]), "version {version}");
        for hidden in [&[2][..], &[1, 2], &[3]] {
            let refused = told(&mut bench, version, &assigned(hidden));
            assert_eq!(refused, Node::response(KEY).with(res::ERROR_CODE, 29i16), "version {version}");
        }
    }
}

#[test]
fn the_name_of_an_assigned_topic_that_is_not_known_yet_is_asked_for_before_the_member_is_answered() {
    use crate::wire::schema::metadata::request::{self as asked, metadata_request_topic};
    use crate::wire::schema::metadata::response::{self as known, metadata_response_topic as topic};
    for (name, code, error) in [("a2", 0i16, 0i16), ("x", 0, 29), ("", 100, 14)] {
        let mut bench = Bench::acls(&[READ_G, DESCRIBE_A]).topics(&["a1"]);
        let then = forwarded(bench.judge(&ConsumerGroupHeartbeat, KEY, 1, &request(None)));
        let next = bench.complete(then, KEY, 1, &assigned(&[1, 2]));
        let Completed::Ask { key: ApiKey::METADATA, version: 12, body, then, .. } = next else { panic!("no look") };
        let ids: Vec<_> = body.nodes(asked::TOPICS).iter().map(|t| t.uuid(metadata_request_topic::TOPIC_ID)).collect();
        assert_eq!(ids, [id(2)]);
        let found =
            Node::new(&topic::THIS).with(topic::TOPIC_ID, id(2)).with(topic::NAME, name).with(topic::ERROR_CODE, code);
        let broker = Node::response(ApiKey::METADATA).with(known::TOPICS, vec![found]);
        let told = finished(bench.complete(Then::Alone(then), ApiKey::METADATA, 12, &broker), KEY, 1);
        let refused = Node::response(KEY).with(res::ERROR_CODE, error);
        assert_eq!(told, if error == 0 { assigned(&[1, 2]) } else { refused }, "{name:?}");
    }
}

#[test]
fn an_answer_without_an_assignment_goes_through_as_it_arrives() {
    let mut bench = Bench::acls(&[READ_G]);
    let then = forwarded(bench.judge(&ConsumerGroupHeartbeat, KEY, 1, &request(None)));
    let Then::Alone(complete) = then else { panic!("not looked at") };
    for (answer, wanted) in [
        (Node::response(KEY), false),
        (Node::response(KEY).with(res::ERROR_CODE, 25i16), false),
        (assigned(&[]), false),
        (assigned(&[1]), true),
    ] {
        let mut out = crate::wire::Rope::new();
        let def = crate::wire::api(KEY).unwrap().response;
        crate::wire::encode(def, 1, &answer, &mut out);
        let body = out.into_bytes();
        assert_eq!(complete.wants(crate::wire::Scan::new().read(def, 1, &body).unwrap()), wanted, "{answer:?}");
    }
}

#[test]
fn threat_22_a_regular_expression_never_reaches_the_broker() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;
    for names in [None, Some(&["a1"][..])] {
        let request = request(names).with(req::SUBSCRIBED_TOPIC_REGEX, "a.*");
        let refused = answer(Bench::acls(&[all]).judge(&ConsumerGroupHeartbeat, KEY, 1, &request), KEY, 1);
        assert_eq!(refused.int(res::ERROR_CODE), 128);
        assert!(refused.str(res::ERROR_MESSAGE).contains("subscribe by names"));
    }
    // None, and one that was taken back.
    for none in [Value::Null, Value::from("")] {
        let request = request(Some(&["a1"])).with(req::SUBSCRIBED_TOPIC_REGEX, none);
        forwarded(Bench::acls(&[all]).judge(&ConsumerGroupHeartbeat, KEY, 1, &request));
    }
    // Who may not read the group learns nothing about patterns.
    let request = request(None).with(req::SUBSCRIBED_TOPIC_REGEX, "a.*");
    assert_eq!(
        answer(Bench::acls(&[]).judge(&ConsumerGroupHeartbeat, KEY, 1, &request), KEY, 1).int(res::ERROR_CODE),
        30
    );
}
