use super::*;
use crate::enforce::testing::{Bench, answer, forwarded};
use crate::wire::Value;

const KEY: ApiKey = ApiKey::INIT_PRODUCER_ID;

fn request(id: Option<&str>) -> Node {
    Node::request(KEY).with(req::TRANSACTIONAL_ID, id.map_or(Value::Null, Value::from))
}

fn refusal(bench: &mut Bench, version: i16, request: &Node) -> i64 {
    let refused = answer(bench.judge(&InitProducerId, KEY, version, request), KEY, version);
    assert_eq!((refused.int(res::PRODUCER_ID), refused.int(res::PRODUCER_EPOCH)), (-1, -1));
    refused.int(res::ERROR_CODE)
}

fn acl(operation: &str, resource: &str) -> Bench {
    Bench::acls(&[&format!(r#"{{ allow: [{operation}], principals: ["User:alice"], resources: ["{resource}"] }}"#)])
}

#[test]
fn a_transactional_id_needs_write_on_it() {
    for version in 0..=5 {
        forwarded(acl("Write", "transactional_id:t1").judge(&InitProducerId, KEY, version, &request(Some("t1"))));
        let mut bench = acl("Write", "transactional_id:t1");
        assert_eq!(refusal(&mut bench, version, &request(Some("t2"))), 53);
        assert_eq!(bench.decided(), ["Write transactional_id:t2 denied"]);
    }
    assert_eq!(refusal(&mut acl("Describe", "transactional_id:t1"), 5, &request(Some("t1"))), 53);
    assert_eq!(refusal(&mut acl("Write", "topic:t"), 5, &request(Some(""))), 53, "the empty id is an id");
}

#[test]
fn without_an_id_idempotent_write_or_write_on_any_topic_does() {
    for version in 0..=5 {
        let mut bench = acl("IdempotentWrite", "cluster");
        forwarded(bench.judge(&InitProducerId, KEY, version, &request(None)));
        assert_eq!(bench.decided(), ["IdempotentWrite cluster:kafka-cluster allowed"]);

        let mut bench = acl("Write", "topic:orders-*");
        forwarded(bench.judge(&InitProducerId, KEY, version, &request(None)));
        assert_eq!(bench.decided(), ["IdempotentWrite cluster:kafka-cluster denied?", "Write topic:* allowed"]);

        let mut bench = acl("Read", "topic:orders-*");
        assert_eq!(refusal(&mut bench, version, &request(None)), 31);
        assert_eq!(bench.decided(), ["IdempotentWrite cluster:kafka-cluster denied?", "Write topic:* denied"]);
    }
}

#[test]
fn two_phase_commit_needs_its_own_right_beside_write() {
    let two_phases = request(Some("t1")).with(req::ENABLE2_PC, true);
    assert_eq!(refusal(&mut acl("Write", "transactional_id:t1"), 6, &two_phases), 53);
    forwarded(acl("Write, TwoPhaseCommit", "transactional_id:t1").judge(&InitProducerId, KEY, 6, &two_phases));
    let row = crate::enforce::table::find(KEY).unwrap();
    assert_eq!(row.versions.max, 5, "version 6 is unstable");
}
