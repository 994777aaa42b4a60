//! The harness proved directly against the brokers, so that a red test is the proxy's fault.

use std::time::Duration;

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::tools::{console, console_with};
use crate::support::{needs, soon, unique};

#[test]
fn the_java_driver_does_what_stock_clients_do() {
    needs!(Java);
    let cluster = Cluster::shared();
    let admin = cluster.admin();
    let topic = unique("driver");
    admin.create_topic(&topic, 3, &[]);
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
    cluster.admin().create_topics(&[&input, &output], 2, &[]);
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
    let topic = unique("restart");
    admin.create_topic(&topic, 1, &[]);
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
fn the_gate_names_who_connects() {
    needs!(Java);
    let cluster = Cluster::start(Default::default());
    assert!(cluster.gate.passages().is_empty(), "brokers use their own listener");
    let topic = unique("gate");
    cluster.admin().create_topic(&topic, 3, &[]);
    assert!(cluster.gate.passages().is_empty(), "direct clients are told the direct ports");
    let consumer = Java::newest().consumer(&cluster.gated(), &[("group.id", &unique("group"))]);
    let none = consumer.subscribe(&[&topic]).poll(1, Duration::from_millis(500)).unwrap();
    assert!(none.is_empty());
    let strangers = cluster.gate.strangers();
    assert!(strangers.len() >= 2 && strangers.iter().all(|s| s.program.contains("java")), "{strangers:?}");
}
