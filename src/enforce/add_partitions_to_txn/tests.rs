use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded};

const KEY: ApiKey = ApiKey::ADD_PARTITIONS_TO_TXN;
const WRITE_X: &str = r#"{ allow: [Write], principals: ["User:alice"], resources: ["transactional_id:t1"] }"#;
const WRITE_A: &str = r#"{ allow: [Write], principals: ["User:alice"], resources: ["topic:a*"] }"#;
const ALL: &str = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;

fn request(topics: &[&str]) -> Node {
    let mut request = Node::request(KEY).with(req::V3_AND_BELOW_TRANSACTIONAL_ID, "t1");
    for name in topics {
        let node =
            request.child(req::V3_AND_BELOW_TOPICS).with(topic::NAME, *name).with(topic::PARTITIONS, vec![0i32, 4]);
        request.push(req::V3_AND_BELOW_TOPICS, node);
    }
    request
}

fn told(answer: &Node) -> Vec<(&str, Vec<(i64, i64)>)> {
    let row = |p: &Node| (p.int(partition::PARTITION_INDEX), p.int(partition::PARTITION_ERROR_CODE));
    answer
        .nodes(res::RESULTS_BY_TOPIC_V3_AND_BELOW)
        .iter()
        .map(|t| (t.str(result::NAME), t.nodes(result::RESULTS_BY_PARTITION).iter().map(row).collect()))
        .collect()
}

fn failed(name: &str, error: i64) -> (&str, Vec<(i64, i64)>) {
    (name, vec![(0, error), (4, error)])
}

#[test]
fn partitions_join_with_write_on_id_and_topics() {
    for version in 0..=3 {
        let mut bench = Bench::acls(&[WRITE_X, WRITE_A]);
        forwarded(bench.judge(&AddPartitionsToTxn, KEY, version, &request(&["a1", "a2"])));
        let mut bench = Bench::acls(&[WRITE_A]);
        let refused = answer(bench.judge(&AddPartitionsToTxn, KEY, version, &request(&["a1", "x"])), KEY, version);
        assert_eq!(told(&refused), [failed("a1", 53), failed("x", 53)]);
        assert_eq!(bench.decided(), ["Write transactional_id:t1 denied"]);
    }
}

#[test]
fn nobody_is_asked_about_a_topic_of_which_no_partition_joins() {
    let mut asked = request(&["a1", "x"]);
    asked.nodes_mut(req::V3_AND_BELOW_TOPICS)[1].set(topic::PARTITIONS, Vec::<i32>::new());
    let mut bench = Bench::acls(&[WRITE_X, WRITE_A]);
    forwarded(bench.judge(&AddPartitionsToTxn, KEY, 3, &asked));
    assert_eq!(bench.decided(), ["Write transactional_id:t1 allowed", "Write topic:a1 allowed"]);

    let mut asked = request(&["a1", "x", "denied"]);
    asked.nodes_mut(req::V3_AND_BELOW_TOPICS)[1].set(topic::PARTITIONS, Vec::<i32>::new());
    let verdict = Bench::acls(&[WRITE_X, WRITE_A]).judge(&AddPartitionsToTxn, KEY, 3, &asked);
    let Verdict::Ask { body, .. } = verdict else { panic!("the broker is not asked what exists") };
    let named = body.nodes(crate::wire::schema::metadata::request::TOPICS).iter();
    let named: Vec<&str> =
        named.map(|t| t.str(crate::wire::schema::metadata::request::metadata_request_topic::NAME)).collect();
    assert_eq!(named, ["a1"], "nor is the broker asked about it");
}

/// The answer to a request that is not passed on, where these partitions exist.
fn not_added(bench: &mut Bench, version: i16, asked: &Node, existing: &[(&str, i64)]) -> Node {
    let verdict = bench.judge(&AddPartitionsToTxn, KEY, version, asked);
    let Verdict::Ask { key: ApiKey::METADATA, version: known_in, body, then, .. } = verdict else {
        panic!("the broker is not asked what exists")
    };
    let known = body.nodes(crate::wire::schema::metadata::request::TOPICS).iter().map(|t| {
        let name = t.str(crate::wire::schema::metadata::request::metadata_request_topic::NAME);
        let of = existing.iter().filter(|(topic, _)| *topic == name);
        let partitions =
            of.map(|(_, index)| Node::new(&known_partition::THIS).with(known_partition::PARTITION_INDEX, *index));
        Node::new(&known_topic::THIS)
            .with(known_topic::NAME, name)
            .with(known_topic::PARTITIONS, partitions.collect::<Vec<_>>())
    });
    let known = Node::response(ApiKey::METADATA).with(metadata::TOPICS, known.collect::<Vec<_>>());
    finished(bench.complete(then, ApiKey::METADATA, known_in, &known), KEY, version)
}

#[test]
fn one_denied_topic_and_nothing_is_added() {
    for version in 0..=3 {
        let mut bench = Bench::acls(&[WRITE_X, WRITE_A]);
        let asked = request(&["a1", "x", "a-gone"]);
        let refused = not_added(&mut bench, version, &asked, &[("a1", 0), ("x", 0)]);
        // A partition that is missing is told, in a topic that is there too.
        assert_eq!(told(&refused), [("a1", vec![(0, 55), (4, 3)]), failed("x", 29), failed("a-gone", 3)]);
    }
    let mut bench = Bench::acls(&[WRITE_X, WRITE_A]);
    let refused = answer(bench.judge(&AddPartitionsToTxn, KEY, 3, &request(&["x"])), KEY, 3);
    assert_eq!(told(&refused), [failed("x", 29)], "nobody is asked whether what is denied exists");
}

#[test]
fn internal_topics_are_refused_to_super_users_too() {
    for name in INTERNAL {
        for user in ["alice", "root"] {
            let mut bench = Bench::acls(&[ALL]).user(user);
            let refused = not_added(&mut bench, 3, &request(&["a1", name]), &[("a1", 0), ("a1", 4)]);
            assert_eq!(told(&refused), [failed("a1", 55), failed(name, 29)]);
            assert!(bench.decided().contains(&format!("Write topic:{name} denied")));
        }
    }
}

fn of_broker(topics: &[&str]) -> Node {
    let mut request = Node::request(KEY);
    let mut entry = request.child(req::TRANSACTIONS).with(transaction::TRANSACTIONAL_ID, "t1");
    for name in topics {
        let node = entry.child(transaction::TOPICS).with(topic::NAME, *name);
        entry.push(transaction::TOPICS, node);
    }
    request.push(req::TRANSACTIONS, entry);
    request
}

#[test]
fn from_version_4_on_only_brokers_ask() {
    let action = r#"{ allow: [ClusterAction], principals: ["User:alice"], resources: ["cluster"] }"#;
    for version in 4..=5 {
        forwarded(Bench::acls(&[action]).judge(&AddPartitionsToTxn, KEY, version, &of_broker(&["a1"])));
        let mut bench = Bench::acls(&[WRITE_X, WRITE_A]);
        let refused = answer(bench.judge(&AddPartitionsToTxn, KEY, version, &of_broker(&["a1"])), KEY, version);
        assert_eq!(refused.int(res::ERROR_CODE), 31);
        assert!(refused.nodes(res::RESULTS_BY_TRANSACTION).is_empty());
        assert_eq!(bench.decided(), ["ClusterAction cluster:kafka-cluster denied"]);
    }
}

#[test]
fn threat_04_own_topics_join_no_transaction_whatever_the_demand() {
    for name in [AUDIT, STATE] {
        let mut bench = Bench::acls(&[ALL]).user("root");
        let refused = answer(bench.judge(&AddPartitionsToTxn, KEY, 5, &of_broker(&["a1", name])), KEY, 5);
        assert_eq!(refused.int(res::ERROR_CODE), 31);
        let mut bench = Bench::acls(&[ALL]).user("root");
        let refused = answer(bench.judge(&AddPartitionsToTxn, KEY, 3, &request(&[name])), KEY, 3);
        assert_eq!(told(&refused), [failed(name, 29)]);
    }
}
