use super::*;
use crate::enforce::testing::{Bench, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::FIND_COORDINATOR;
const GROUP_G: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["group:g*"] }"#;
const ID_T: &str = r#"{ allow: [Write], principals: ["User:alice"], resources: ["transactional_id:t"] }"#;

fn single(kind: i8, key: &str) -> Node {
    Node::request(KEY).with(req::KEY, key).with(req::KEY_TYPE, kind)
}

fn batch(kind: i8, keys: &[&str]) -> Node {
    Node::request(KEY).with(req::KEY_TYPE, kind).with(req::COORDINATOR_KEYS, keys.to_vec())
}

fn at(node: i32) -> Node {
    let host = format!("broker-{node}.internal");
    Node::response(KEY).with(res::NODE_ID, node).with(res::HOST, host).with(res::PORT, 9092)
}

fn rows(keys: &[(&str, i32)]) -> Node {
    let mut answer = Node::response(KEY);
    for (key, node) in keys {
        let row = answer
            .child(res::COORDINATORS)
            .with(coordinator::KEY, *key)
            .with(coordinator::NODE_ID, *node)
            .with(coordinator::HOST, format!("broker-{node}.internal"))
            .with(coordinator::PORT, 9092);
        answer.push(res::COORDINATORS, row);
    }
    answer
}

fn told(answer: &Node) -> Vec<(String, i64, i64, String, i64, Option<String>)> {
    answer
        .nodes(res::COORDINATORS)
        .iter()
        .map(|c| {
            (
                c.str(coordinator::KEY).to_owned(),
                c.int(coordinator::ERROR_CODE),
                c.int(coordinator::NODE_ID),
                c.str(coordinator::HOST).to_owned(),
                c.int(coordinator::PORT),
                c.opt_str(coordinator::ERROR_MESSAGE).map(str::to_owned),
            )
        })
        .collect()
}

#[test]
fn a_group_or_a_transactional_id_without_describe_is_denied_with_the_default_text() {
    for version in 0..4 {
        for (kind, error) in [(0, 30), (1, 53)].into_iter().take(if version == 0 { 1 } else { 2 }) {
            let mut bench = Bench::acls(&[GROUP_G, ID_T]);
            let told = answer(bench.judge(&FindCoordinator, KEY, version, &single(kind, "x")), KEY, version);
            assert_eq!(told.int(res::ERROR_CODE), error);
            assert_eq!((told.int(res::NODE_ID), told.str(res::HOST), told.int(res::PORT)), (-1, "", -1));
            if version > 0 {
                let text = ErrorCode(told.i16(res::ERROR_CODE)).message();
                assert_eq!(told.opt_str(res::ERROR_MESSAGE), Some(text));
            }
        }
    }
}

#[test]
fn the_coordinators_address_is_the_told_one() {
    for (version, kind, key) in [(0, 0, "g1"), (3, 0, "g1"), (2, 1, "t")] {
        let mut bench = Bench::acls(&[GROUP_G, ID_T]);
        let then = forwarded(bench.judge(&FindCoordinator, KEY, version, &single(kind, key)));
        let told = finished(bench.complete(then, KEY, version, &at(1)), KEY, version);
        assert_eq!((told.int(res::NODE_ID), told.str(res::HOST), told.int(res::PORT)), (1, "proxy.example", 19_001));
    }
}

#[test]
fn a_coordinator_without_a_told_address_is_not_available() {
    let mut bench = Bench::acls(&[GROUP_G]);
    let then = forwarded(bench.judge(&FindCoordinator, KEY, 3, &single(0, "g1")));
    let told = finished(bench.complete(then, KEY, 3, &at(2)), KEY, 3);
    assert_eq!((told.int(res::ERROR_CODE), told.int(res::NODE_ID), told.str(res::HOST)), (15, -1, ""));
    assert_eq!(bench.unmapped, [2]);
}

#[test]
fn an_error_of_the_broker_stays_as_it_is() {
    let mut bench = Bench::acls(&[GROUP_G]);
    let then = forwarded(bench.judge(&FindCoordinator, KEY, 3, &single(0, "g1")));
    let broker = Node::response(KEY)
        .with(res::ERROR_CODE, ErrorCode::COORDINATOR_NOT_AVAILABLE)
        .with(res::ERROR_MESSAGE, "starting")
        .with(res::NODE_ID, -1)
        .with(res::PORT, -1);
    assert_eq!(finished(bench.complete(then, KEY, 3, &broker), KEY, 3), broker);
    assert!(bench.unmapped.is_empty());
}

#[test]
fn of_many_keys_each_is_answered_once_in_its_place() {
    let mut bench = Bench::acls(&[GROUP_G]);
    let (sent, then) = rewritten(bench.judge(&FindCoordinator, KEY, 4, &batch(0, &["x", "g1", "y", "g2"])));
    assert_eq!(sent.strs(req::COORDINATOR_KEYS).collect::<Vec<_>>(), ["g1", "g2"]);
    let told = told(&finished(bench.complete(then, KEY, 4, &rows(&[("g1", 1), ("g2", 2)])), KEY, 4));
    let denied = |key: &str| (key.to_owned(), 30, -1, String::new(), -1, Some(String::new()));
    let unmapped = ErrorCode::COORDINATOR_NOT_AVAILABLE.message().to_owned();
    assert_eq!(
        told,
        [
            denied("x"),
            ("g1".into(), 0, 1, "proxy.example".into(), 19_001, Some(String::new())),
            denied("y"),
            ("g2".into(), 15, -1, String::new(), -1, Some(unmapped)),
        ]
    );
}

#[test]
fn nothing_goes_to_the_broker_when_every_key_is_denied() {
    let mut bench = Bench::acls(&[]);
    let told = told(&answer(bench.judge(&FindCoordinator, KEY, 4, &batch(1, &["a", "b"])), KEY, 4));
    assert_eq!(told.iter().map(|row| row.1).collect::<Vec<_>>(), [53, 53]);
}

#[test]
fn a_share_coordinator_needs_cluster_action_or_every_key_fails() {
    let mut bench = Bench::acls(&[]);
    let told = told(&answer(bench.judge(&FindCoordinator, KEY, 6, &batch(2, &["g:1:0", "g:1:1"])), KEY, 6));
    let text = ErrorCode::CLUSTER_AUTHORIZATION_FAILED.message();
    assert!(told.iter().all(|row| row.1 == 31 && row.5.as_deref() == Some(text)), "{told:?}");
    let mut bench = Bench::acls(&[r#"{ allow: [ClusterAction], principals: ["User:alice"], resources: ["cluster"] }"#]);
    let _ = forwarded(bench.judge(&FindCoordinator, KEY, 6, &batch(2, &["g:1:0"])));
}

#[test]
fn a_share_key_before_version_6_and_an_unknown_type_fail() {
    let mut bench = Bench::acls(&[]).user("root");
    let old = told(&answer(bench.judge(&FindCoordinator, KEY, 5, &batch(2, &["g:1:0"])), KEY, 5));
    assert_eq!((old[0].1, old[0].5.as_deref()), (42, Some("")));
    let unknown = told(&answer(bench.judge(&FindCoordinator, KEY, 5, &batch(9, &["g"])), KEY, 5));
    assert_eq!((unknown[0].1, unknown[0].2), (42, -1));
}
