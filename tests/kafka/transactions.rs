//! Transactions and Kafka Streams through the proxy.

use std::time::Duration;

use kordon::wire::schema::add_partitions_to_txn::response::{
    RESULTS_BY_TOPIC_V3_AND_BELOW,
    add_partitions_to_txn_partition_result::{PARTITION_ERROR_CODE, PARTITION_INDEX},
    add_partitions_to_txn_topic_result::{NAME, RESULTS_BY_PARTITION},
};
use kordon::wire::{ApiKey, Node};
use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::java::{Consumer, Java};
use crate::support::proxy::Kordon;
use crate::support::python::librdkafka;
use crate::support::raw::{Raw, request_of};
use crate::support::{needs, soon, unique};

/// alice may use transactional ids that begin with `tx-`, and everything in topics and groups; of `seen-tx-*` she may
/// only know; of other transactional ids nothing.
const POLICY: &str = r#"version: 1
default: deny
acls:
  - { allow: [All], principals: ["User:alice"], resources: ["topic:open-*", "group:open-*"] }
  - { allow: [Write, Describe], principals: ["User:alice"], resources: ["transactional_id:tx-*"] }
  - { allow: [Describe], principals: ["User:alice"], resources: ["transactional_id:seen-tx-*", "topic:seen-*"] }
end: true
"#;

fn values(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|r| r["value"].as_str()).collect()
}

fn reader(at: &str, topic: &str, isolation: &str) -> Consumer {
    let reader = Java::newest().consumer(at, &[("isolation.level", isolation)]);
    reader.assign(&[(topic, 0)]);
    reader
}

#[test]
fn a_committed_transaction_is_read_and_an_aborted_one_is_not() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("anybody").start();
    let at = kordon.at("anybody");
    for java in [Java::newest(), Java::same()] {
        let (one, two) = (unique("tx-one"), unique("tx-two"));
        cluster.create_topics(&[&one, &two], 1, &[]);
        let producer = java.producer(at, &[("transactional.id", &unique("tx"))]);
        producer.init().expect("a producer id");
        producer.begin().expect("a transaction");
        for topic in [&one, &two] {
            assert_eq!(producer.send(topic, &["lost"]).ok, 1);
        }
        producer.abort().expect("an abort");
        producer.begin().expect("a transaction");
        for topic in [&one, &two] {
            assert_eq!(producer.send(topic, &["kept", "kept too"]).ok, 2);
        }
        let early = reader(at, &one, "read_committed").poll(1, Duration::from_millis(700)).expect("a poll");
        assert!(early.is_empty(), "before the commit: {early:?}");
        producer.commit().expect("a commit");
        for topic in [&one, &two] {
            assert_eq!(reader(at, topic, "read_committed").values(2), ["kept", "kept too"]);
            assert_eq!(reader(at, topic, "read_uncommitted").values(3), ["lost", "kept", "kept too"]);
        }
    }
}

#[test]
fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("anybody").start();
    let at = kordon.at("anybody");
    let java = Java::newest();
    for protocol in ["classic", "consumer"] {
        let (input, output, group) = (unique("tx-in"), unique("tx-out"), unique("group"));
        cluster.create_topics(&[&input, &output], 1, &[]);
        assert_eq!(java.producer(at, &[]).send(&input, &["a", "b"]).ok, 2);
        let consumer = java.consumer(at, &[("group.id", &group), ("group.protocol", protocol)]);
        consumer.subscribe(&[&input]).values(2);
        let producer = java.producer(at, &[("transactional.id", &unique("tx"))]);
        let committed = || {
            let told = consumer.ask("committed", json!({ "partitions": [[input, 0]] })).expect("offsets");
            told[format!("{input}-0")].as_i64()
        };
        producer.init().expect("a producer id");
        producer.begin().expect("a transaction");
        assert_eq!(producer.send(&output, &["A"]).ok, 1);
        producer.send_offset(&consumer, &input, 0, 1).expect("offsets in the transaction");
        producer.abort().expect("an abort");
        assert_eq!(committed(), None, "{protocol}");
        producer.begin().expect("a transaction");
        assert_eq!(producer.send(&output, &["A", "B"]).ok, 2);
        producer.send_offset(&consumer, &input, 0, 2).expect("offsets in the transaction");
        producer.commit().expect("a commit");
        soon("the offsets", || committed() == Some(2));
        assert_eq!(reader(at, &output, "read_committed").values(2), ["A", "B"]);
    }
}

#[test]
fn librdkafka_runs_transactions() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("alice").policy(POLICY).start();
    let topic = cluster.topic("open-tx", 1);
    let produce = |id: &str| {
        librdkafka(&json!({
            "op": "produce", "at": kordon.at("alice"), "topic": topic, "values": ["x", "y"],
            "config": { "transactional.id": id },
        }))
    };
    assert_eq!(produce(&unique("tx")).expect("an outcome"), json!({ "ok": 2, "errors": {} }));
    assert_eq!(reader(&cluster.direct(), &topic, "read_committed").values(2), ["x", "y"]);
    for id in [unique("seen-tx"), unique("hidden-tx")] {
        let refused = produce(&id).expect_err("a refusal");
        assert_eq!(refused.class, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "{id}: {refused}");
    }
}

#[test]
fn java_clients_hear_of_what_is_refused_in_a_transaction() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (topic, seen, hidden) = (unique("open-tx"), unique("seen-tx"), unique("hidden-tx"));
    cluster.create_topics(&[&topic, &seen, &hidden], 1, &[]);
    let kordon = Kordon::before(cluster).person("alice").policy(POLICY).start();
    let at = kordon.at("alice");
    for java in [Java::newest(), Java::same()] {
        for id in [unique("seen-tx"), unique("hidden-tx")] {
            let refused = java.producer(at, &[("transactional.id", &id)]).init().expect_err("a refusal");
            assert_eq!(refused.class, "TransactionalIdAuthorizationException", "{id}: {refused}");
        }
        // A topic refused in the middle: the transaction can be aborted, and what was in it is not read.
        let producer = java.producer(at, &[("transactional.id", &unique("tx"))]);
        producer.init().expect("a producer id");
        for refused in [&seen, &hidden] {
            producer.begin().expect("a transaction");
            assert_eq!(producer.send(&topic, &["lost"]).ok, 1);
            let sent = producer.send(refused, &["no"]);
            assert_eq!((sent.ok, sent.error()), (0, Some("TopicAuthorizationException")), "{sent:?}");
            producer.commit().expect_err("an error before");
            producer.abort().expect("an abort");
        }
        // A group refused: the offsets are not taken.
        let consumer = java.consumer(at, &[("group.id", &unique("hidden-group"))]);
        producer.begin().expect("a transaction");
        let refused = producer.send_offset(&consumer, &topic, 0, 1).expect_err("a refusal");
        assert_eq!(refused.class, "GroupAuthorizationException", "{refused}");
        producer.abort().expect("an abort");
        producer.begin().expect("a transaction");
        let value = unique("kept");
        assert_eq!(producer.send(&topic, &[&value]).ok, 1);
        producer.commit().expect("a commit");
        let mine = reader(at, &topic, "read_committed");
        soon("the committed record alone", || {
            let records = mine.poll(1, Duration::from_secs(5)).expect("a poll");
            assert!(!values(&records).contains(&"lost"), "{records:?}");
            values(&records).contains(&value.as_str())
        });
    }
}

#[test]
fn streams_repartition_and_count_through_the_proxy() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("anybody").start();
    let at = kordon.at("anybody");
    let java = Java::same();
    for guarantee in ["at_least_once", "exactly_once_v2"] {
        let (input, output, app) = (unique("streams-in"), unique("streams-out"), unique("app"));
        cluster.create_topics(&[&input, &output], 2, &[]);
        assert_eq!(java.producer(at, &[]).send(&input, &["a", "b", "a"]).ok, 3);
        let streams = java.streams(at, &app, &input, &output, &[("processing.guarantee", guarantee)]);
        let settings = [("group.id", &*unique("group")), ("isolation.level", "read_committed")];
        let consumer = java.consumer(at, &settings);
        let records = consumer.subscribe(&[&output]).poll(3, Duration::from_secs(60)).expect("counts");
        let mut counts: Vec<_> = records.iter().map(|r| (r["key"].as_str(), r["value"].as_str())).collect();
        counts.sort_unstable();
        let expected = [(Some("a"), Some("1")), (Some("a"), Some("2")), (Some("b"), Some("1"))];
        assert_eq!(counts, expected, "{guarantee}");
        assert_eq!(streams.state(), "RUNNING");
        let topics = java.admin(at).topics().expect("a listing");
        for kind in ["repartition", "changelog"] {
            let made = topics.iter().any(|t| t.starts_with(&app) && t.ends_with(kind));
            assert!(made, "no {kind} topic was made through the proxy: {topics:?}");
        }
    }
}

#[test]
fn of_a_transaction_that_is_refused_in_part_missing_partitions_are_told() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("alice").policy(POLICY).start();
    let (open, closed) = (unique("open-part"), unique("seen-part"));
    cluster.create_topics(&[&open, &closed], 1, &[]);
    let asked = json!({ "V3AndBelowTransactionalId": "tx-part", "V3AndBelowProducerId": 1, "V3AndBelowTopics": [
        { "Name": open, "Partitions": [0, 7] }, { "Name": closed, "Partitions": [0] },
        { "Name": "open-nothing", "Partitions": [0] },
    ] });
    let request = request_of(ApiKey::ADD_PARTITIONS_TO_TXN, &asked);
    for version in 0..=3 {
        let answer = Raw::connect(kordon.at("alice")).ask(ApiKey::ADD_PARTITIONS_TO_TXN, version, &request);
        let mut errors = Vec::new();
        for topic in answer.nodes(RESULTS_BY_TOPIC_V3_AND_BELOW) {
            let of = |p: &Node| (topic.str(NAME).to_owned(), p.i32(PARTITION_INDEX), p.i16(PARTITION_ERROR_CODE));
            errors.extend(topic.nodes(RESULTS_BY_PARTITION).iter().map(of));
        }
        let nothing = "open-nothing".to_owned();
        let expected = [(open.clone(), 0, 55), (open.clone(), 7, 3), (closed.clone(), 0, 29), (nothing, 0, 3)];
        assert_eq!(errors, expected, "version {version}");
    }
}
