//! The harness proved directly against the brokers, so that a red test is the proxy's fault.

use std::time::Duration;

use kordon::wire::schema::fetch;
use kordon::wire::{ApiKey, ErrorCode};
use serde_json::json;

use crate::support::audit::AuditReader;
use crate::support::cluster::{Cluster, Options};
use crate::support::fetch::Jars;
use crate::support::gate::Way;
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::python::librdkafka;
use crate::support::raw::{End, FetchSpec, Raw, fetched, produce_request, produced};
use crate::support::tools::{console, console_with};
use crate::support::{needs, soon, throughout, unique};

#[test]
fn the_java_driver_does_what_stock_clients_do() {
    needs!(Java);
    let cluster = Cluster::shared();
    let admin = cluster.admin();
    let topic = cluster.topic("driver", 3);
    let told = admin.ask("describeCluster", json!({})).unwrap();
    assert_eq!(told["cluster"], cluster.id);
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(3));

    for java in [Java::newest(), Java::same()] {
        let group = unique("group");
        let producer = java.producer(&cluster.direct(), &[("compression.type", "zstd")]);
        let sent = producer.send(&topic, &["one", "two", "three"]);
        assert_eq!((sent.ok, sent.errors.len()), (3, 0));

        let consumer = java.consumer(&cluster.direct(), &[("group.id", &group)]);
        let mut values = consumer.subscribe(&[&topic]).values(3);
        values.truncate(3);
        values.sort();
        assert_eq!(values, ["one", "three", "two"]);
        consumer.commit().unwrap();

        let consumer =
            java.consumer(&cluster.direct(), &[("group.id", &unique("group")), ("group.protocol", "consumer")]);
        assert!(consumer.subscribe(&[&topic]).values(3).len() >= 3);
    }

    let lost = admin.ask("deleteTopics", json!({ "topics": ["no-such-topic"] })).unwrap();
    assert_eq!(lost["no-such-topic"]["error"], "UnknownTopicOrPartitionException");
}

#[test]
fn the_java_driver_runs_transactions_and_streams() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (input, output) = (unique("streams-in"), unique("streams-out"));
    cluster.create_topics(&[&input, &output], 2, &[]);
    let java = Java::same();
    let producer = java.producer(&cluster.direct(), &[("transactional.id", &unique("tx"))]);
    producer.init().unwrap();
    producer.begin().unwrap();
    assert_eq!(producer.send(&input, &["lost"]).ok, 1);
    producer.abort().unwrap();
    producer.begin().unwrap();
    assert_eq!(producer.send(&input, &["a", "a"]).ok, 2);
    producer.commit().unwrap();

    let streams = java.streams(
        &cluster.direct(),
        &unique("app"),
        &input,
        &output,
        &[("processing.guarantee", "exactly_once_v2")],
    );
    let consumer =
        java.consumer(&cluster.direct(), &[("group.id", &unique("group")), ("isolation.level", "read_committed")]);
    assert_eq!(consumer.subscribe(&[&output]).values(2), ["1", "2"]);
    assert_eq!(streams.state(), "RUNNING");
}

#[test]
fn the_console_tools_run() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (topic, at) = (unique("tools"), cluster.direct());
    console("kafka-topics", &["--bootstrap-server", &at, "--create", "--topic", &topic, "--partitions", "2"]).ok();
    console_with("kafka-console-producer", &["--bootstrap-server", &at, "--topic", &topic], "x\ny\n").ok();
    let args = ["--bootstrap-server", &at, "--topic", &topic, "--from-beginning", "--max-messages", "2"];
    let out = console("kafka-console-consumer", &args).ok();
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[test]
fn a_broker_stops_starts_and_pauses() {
    needs!(Java);
    let cluster = Cluster::start(Default::default());
    let admin = cluster.admin();
    let topic = cluster.topic("restart", 1);
    let leader = admin.leader(&topic, 0);
    cluster.stop_node(leader);
    soon("another leader", || admin.leader(&topic, 0) != leader);
    cluster.start_node(leader);
    let next = admin.leader(&topic, 0);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let paused = cluster.pause_node(next);
    let pending = producer.begin_send(json!({ "topic": topic, "values": ["held"] }));
    drop(paused);
    assert_eq!(pending.wait().unwrap()["ok"], 1);
    cluster.kill_node(next);
    cluster.start_node(next);
}

#[test]
fn the_gate_names_who_connects_and_shows_what_passes() {
    needs!(Java);
    // a cluster of its own, since it connects where only the proxy may; one broker is enough to see frames
    let cluster = Cluster::start(Options { nodes: 1, ..Options::default() });
    let topic = cluster.topic("gate", 3);
    assert!(cluster.gate.passages().is_empty(), "brokers and direct clients are told the direct ports");
    let java = Java::newest();
    let tap = cluster.gate.tap(java.pid());
    let consumer = java.consumer(&cluster.gated(), &[("group.id", &unique("group"))]);
    consumer.subscribe(&[&topic]).run();
    let session = tap.wait("an answer with a fetch session", |f| {
        f.way == Way::FromBroker && f.api == ApiKey::FETCH.0 && fetched(&f.answer()).session != 0
    });
    tap.wait("an incremental fetch without topics", |f| {
        f.connection == session.connection && f.way == Way::ToBroker && f.api == ApiKey::FETCH.0 && {
            let request = f.request();
            request.i32(fetch::request::SESSION_ID) != 0 && request.nodes(fetch::request::TOPICS).is_empty()
        }
    });
    cluster.gate.hold(1, Way::FromBroker);
    java.producer(&cluster.direct(), &[]).send(&topic, &["held"]);
    throughout("nothing passes a gate that holds", Duration::from_millis(700), || !consumer.has("held"));
    cluster.gate.release(1);
    soon("the record", || consumer.has("held"));
    let before = cluster.gate.passages().len();
    cluster.gate.cut(1);
    soon("the client connects again", || cluster.gate.passages().len() > before);
    let strangers = cluster.gate.strangers();
    assert!(strangers.len() >= 2 && strangers.iter().all(|s| s.program.contains("java")), "{strangers:?}");
}

#[test]
fn a_broker_of_the_3_line_runs() {
    needs!(Java);
    // one broker: what is proved is the version
    let cluster = Cluster::start(Options { nodes: 1, jars: Jars::Kafka392, ..Options::default() });
    let topic = cluster.topic("old", 1);
    assert_eq!(Java::newest().producer(&cluster.direct(), &[]).send(&topic, &["x"]).ok, 1);
}

#[test]
fn an_audit_topic_is_read_and_held_against_the_schema() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("audit", 3);
    let producer = Java::newest().producer(&cluster.direct(), &[]);
    let mut reader = AuditReader::open(cluster, &topic);
    assert!(reader.read().is_empty());
    let sample = include_str!("../support/audit-event.json");
    assert_eq!(producer.send(&topic, &[sample, sample]).ok, 2);
    let event = reader.wait("the event", |e| e.granted() && e.on("trade_b2"));
    assert_eq!((event.kind(), event.principal(), event.reason()), ("authorization", "User:alice", "GRANT_ALLOW"));
    assert_eq!(reader.decisions(), 6);
    producer.send(&topic, &["{}"]);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reader.read().len()));
    assert!(refused.is_err(), "an event that breaks the schema must not pass");
}

#[test]
fn the_raw_client_speaks_with_a_broker() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("raw", 1);
    let (id, leader) = Raw::connect(&cluster.direct()).topic(&topic, 0);
    let address = format!("127.0.0.1:{}", cluster.node(leader).direct);
    let mut raw = Raw::connect(&address);
    let answer = raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"one")]));
    assert_eq!(produced(&answer), [(topic.clone(), ErrorCode::NONE, 0)]);
    raw.send_unanswered(ApiKey::PRODUCE, 9, &produce_request(0, &[(&topic, b"two")]));
    raw.send(ApiKey::FETCH, 12, &FetchSpec::of(&topic, id, 0).session(0, 0).request());
    raw.send(ApiKey::FETCH, 17, &FetchSpec::of(&topic, id, 1).request());
    let (named, by_id) = (fetched(&raw.receive()), fetched(&raw.receive()));
    assert!(named.session != 0 && named.partitions[0].4 > 0, "{named:?}");
    assert!(by_id.session == 0 && by_id.partitions[0].4 > 0, "{by_id:?}");
    raw.send_bytes(&[0, 0, 0, 3, 1, 2, 3]);
    assert_ne!(raw.end(), End::Open, "a broker closes at a frame of three bytes");
}

#[test]
fn librdkafka_and_kafkajs_run() {
    needs!(Java, Python, Node);
    let cluster = Cluster::shared();
    let (at, topic) = (cluster.direct(), unique("others"));
    cluster.create_topic(&topic, 2, &[]);
    let sent = librdkafka(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["a", "b"] })).unwrap();
    assert_eq!(sent, json!({ "ok": 2, "errors": {} }));
    kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["c"], "gzip": true })).unwrap();
    for client in [librdkafka, kafkajs] {
        let group = unique("group");
        let read =
            client(&json!({ "op": "consume", "at": at, "topics": [topic], "group": group, "count": 3 })).unwrap();
        assert_eq!(read["values"].as_array().map(Vec::len), Some(3), "{read}");
    }
    let told = kafkajs(&json!({ "op": "topics", "at": at })).unwrap();
    assert!(told["topics"].as_array().unwrap().contains(&json!(topic)));
}
