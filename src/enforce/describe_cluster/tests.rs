use super::*;
use crate::enforce::testing::{Bench, finished, forwarded};

const KEY: ApiKey = ApiKey::DESCRIBE_CLUSTER;

fn broker_answer() -> Node {
    let mut answer = Node::response(KEY)
        .with(res::CLUSTER_ID, "cluster-1")
        .with(res::CONTROLLER_ID, 2)
        .with(res::CLUSTER_AUTHORIZED_OPERATIONS, 8096);
    for id in [1, 2] {
        let node = answer
            .child(res::BROKERS)
            .with(broker::BROKER_ID, id)
            .with(broker::HOST, format!("broker-{id}.internal"))
            .with(broker::PORT, 9092)
            .with(broker::IS_FENCED, true);
        answer.push(res::BROKERS, node);
    }
    answer
}

fn told(bench: &mut Bench, version: i16, operations: bool, broker: &Node) -> Node {
    let request = Node::request(KEY).with(req::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS, operations);
    let then = forwarded(bench.judge(&DescribeCluster, KEY, version, &request));
    finished(bench.complete(then, KEY, version, broker), KEY, version)
}

#[test]
fn brokers_have_told_addresses_and_those_without_are_left_out() {
    for version in 0..=2 {
        let mut bench = Bench::acls(&[]);
        let told = told(&mut bench, version, false, &broker_answer());
        let brokers = told.nodes(res::BROKERS);
        assert_eq!(brokers.len(), 1);
        assert_eq!((brokers[0].str(broker::HOST), brokers[0].int(broker::PORT)), ("proxy.example", 19_001));
        assert_eq!(brokers[0].bool(broker::IS_FENCED), version == 2);
        assert_eq!((told.str(res::CLUSTER_ID), told.int(res::CONTROLLER_ID)), ("cluster-1", -1));
        assert_eq!(bench.unmapped, [2]);
    }
}

#[test]
fn the_bit_field_is_ours_and_needs_describe() {
    let alter = r#"{ allow: [Alter], principals: ["User:alice"], resources: ["cluster"] }"#;
    let bits = |acls: &[&str], asked| {
        told(&mut Bench::acls(acls), 0, asked, &broker_answer()).int(res::CLUSTER_AUTHORIZED_OPERATIONS)
    };
    assert_eq!(bits(&[alter], true), 128 + 256);
    assert_eq!(bits(&[], true), 0);
    assert_eq!(bits(&[alter], false), i64::from(i32::MIN));
}

#[test]
fn controllers_have_no_address_to_tell() {
    let mut broker = broker_answer();
    broker.set(res::ENDPOINT_TYPE, 2i8);
    assert!(told(&mut Bench::acls(&[]), 1, false, &broker).nodes(res::BROKERS).is_empty());
}
