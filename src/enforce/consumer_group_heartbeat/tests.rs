use super::*;
use crate::enforce::testing::{AUDIT, Bench, answer, forwarded};
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

#[test]
fn threat_22_a_version_with_a_regular_expression_is_not_served() {
    let row = crate::enforce::table::find(KEY).unwrap();
    assert_eq!((row.versions.min, row.versions.max), (0, 0));
    assert!(row.narrower.contains("regular expression"));
    assert!(crate::enforce::table::row_of(KEY, 1).is_err());
}
