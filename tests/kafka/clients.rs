//! When everything is allowed, stock clients do through the proxy what they do at the broker.

use std::time::Duration;

use bytes::Bytes;
use kordon::wire::schema::fetch;
use kordon::wire::{ApiKey, ErrorCode};
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Options};
use crate::support::fetch::Jars;
use crate::support::java::{Consumer, Java};
use crate::support::node::kafkajs;
use crate::support::proxy::Kordon;
use crate::support::python::librdkafka;
use crate::support::raw::{FetchSpec, Raw, produce_request, produced};
use crate::support::{needs, soon, unique};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn open(cluster: &Cluster) -> Kordon<'_> {
    Kordon::before(cluster).person("anybody").start()
}

/// The record bytes of partition 0, as one fetch from the start brings them.
#[track_caller]
fn record_bytes(address: &str, version: i16, topic: &str, id: kordon::model::TopicId) -> Bytes {
    use fetch::response::{ERROR_CODE, RESPONSES, fetchable_topic_response::PARTITIONS, partition_data};
    let mut spec = FetchSpec::of(topic, id, 0);
    spec.max_bytes = 64 << 20;
    let answer = Raw::connect(address).ask(ApiKey::FETCH, version, &spec.request());
    let partition = &answer.nodes(RESPONSES)[0].nodes(PARTITIONS)[0];
    let errors = (ErrorCode(answer.i16(ERROR_CODE)), ErrorCode(partition.i16(partition_data::ERROR_CODE)));
    assert_eq!(errors, (ErrorCode::NONE, ErrorCode::NONE), "fetch v{version} of `{topic}` at {address}");
    partition.bytes(partition_data::RECORDS).cloned().unwrap_or_default()
}

/// The number after "offset" that a group has committed, told behind the proxy's back.
fn committed(cluster: &Cluster, group: &str) -> i64 {
    let told = cluster.admin().ask("groupOffsets", json!({ "group": group })).expect("offsets");
    told.as_object().expect("offsets").values().filter_map(Value::as_i64).sum()
}

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort();
    values
}

#[test]
fn java_clients_of_two_versions_produce_and_consume_in_groups_of_both_protocols() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    for java in [Java::newest(), Java::same()] {
        let topic = cluster.topic("java", 3);
        let settings: [&[(&str, &str)]; 3] = [
            &[("acks", "all"), ("enable.idempotence", "true")],
            &[("acks", "1"), ("enable.idempotence", "false")],
            &[("acks", "0"), ("enable.idempotence", "false")],
        ];
        for (settings, value) in settings.iter().zip(["all", "one", "none"]) {
            let sent = java.producer(at, settings).send(&topic, &[value]);
            assert_eq!((sent.ok, sent.errors.len()), (1, 0), "{settings:?}: {sent:?}");
        }
        let mut expected = vec!["all", "none", "one"];
        for protocol in ["classic", "consumer"] {
            let group = unique("group");
            let config = [("group.id", group.as_str()), ("group.protocol", protocol)];
            let consumer = java.consumer(at, &config);
            let values = sorted(consumer.subscribe(&[&topic]).values(expected.len()));
            assert_eq!(values, expected, "{protocol}");
            consumer.commit().expect("a commit");
            assert_eq!(committed(cluster, &group), expected.len() as i64, "{protocol}");
            drop(consumer);
            // The next member goes on where the first ended.
            assert_eq!(java.producer(at, &[]).send(&topic, &[protocol]).ok, 1);
            let next = java.consumer(at, &config);
            assert_eq!(next.subscribe(&[&topic]).values(1), [protocol]);
            expected.push(protocol);
            expected.sort_unstable();
        }
    }
}

#[test]
fn librdkafka_and_kafkajs_produce_and_consume() {
    needs!(Java, Python, Node);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    let topic = cluster.topic("others", 2);
    let sent = librdkafka(&json!({
        "op": "produce", "at": at, "topic": topic, "values": ["a", "b"],
        "config": { "enable.idempotence": true, "acks": "all", "compression.type": "zstd" },
    }));
    assert_eq!(sent.expect("an outcome"), json!({ "ok": 2, "errors": {} }));
    kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["c"], "gzip": true }))
        .expect("a gzip batch");
    kafkajs(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["d"], "idempotent": true }))
        .expect("a batch");
    for protocol in ["classic", "consumer"] {
        let group = unique("group");
        let read = librdkafka(&json!({
            "op": "consume", "at": at, "topics": [topic], "group": group, "count": 4,
            "config": { "group.protocol": protocol },
        }));
        let read = read.expect("an outcome");
        assert_eq!((texts(&read["values"]), &read["errors"]), (four(), &json!({})), "librdkafka, {protocol}");
        assert_eq!(committed(cluster, &group), 4, "librdkafka, {protocol}");
    }
    let group = unique("group");
    let read = kafkajs(&json!({ "op": "consume", "at": at, "topics": [topic], "group": group, "count": 4 }));
    assert_eq!(texts(&read.expect("an outcome")["values"]), four(), "kafkajs");
}

fn four() -> Vec<String> {
    ["a", "b", "c", "d"].map(str::to_owned).to_vec()
}

fn texts(values: &Value) -> Vec<String> {
    sorted(serde_json::from_value(values.clone()).expect("texts"))
}

#[test]
fn record_bytes_are_the_same_through_the_proxy_in_every_compression() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    let java = Java::newest();
    for codec in CODECS {
        let topic = unique(&format!("bytes-{codec}"));
        cluster.create_topic(&topic, 1, &[]);
        let settings = [("compression.type", codec), ("linger.ms", "50"), ("acks", "all")];
        let producer = java.producer(at, &settings);
        assert_eq!(producer.send_bulk(&topic, 20, 3000).ok, 20, "{codec}");
        assert_eq!(producer.send(&topic, &["small", "small", "small"]).ok, 3, "{codec}");
        let (id, leader) = Raw::connect(&cluster.direct()).topic(&topic, 0);
        let direct = format!("127.0.0.1:{}", cluster.node(leader).direct);
        let through = kordon.broker("anybody", leader);
        for version in [4, 11, 12, 13, 17] {
            let bytes = record_bytes(&direct, version, &topic, id);
            assert!(bytes.len() > 61, "{codec} v{version}");
            assert!(bytes == record_bytes(&through, version, &topic, id), "{codec} v{version}: other bytes");
        }
        // A consumer checks every CRC.
        let read = |address: &str| -> Vec<Value> {
            let reader = java.consumer(address, &[]);
            reader.assign(&[(&topic, 0)]).poll(23, Duration::from_secs(20)).expect("records")
        };
        let records = read(at);
        assert_eq!(records.len(), 23, "{codec}");
        assert_eq!(records, read(&cluster.direct()), "{codec}");
    }
}

#[test]
fn a_batch_sent_through_the_proxy_is_stored_as_one_sent_to_the_broker() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let (near, far) = (unique("near"), unique("far"));
    cluster.create_topics(&[&near, &far], 1, &[]);
    let mut stored = Vec::new();
    for (topic, through) in [(&near, false), (&far, true)] {
        let (id, leader) = Raw::connect(&cluster.direct()).topic(topic, 0);
        let direct = format!("127.0.0.1:{}", cluster.node(leader).direct);
        let to = if through { kordon.broker("anybody", leader) } else { direct.clone() };
        let mut raw = Raw::connect(&to);
        for version in [3, 7, 8, 9, 12] {
            let answer = produced(&raw.ask(ApiKey::PRODUCE, version, &produce_request(-1, &[(topic, b"the same")])));
            assert_eq!((answer[0].1, answer.len()), (ErrorCode::NONE, 1), "v{version}");
        }
        stored.push(record_bytes(&direct, 12, topic, id));
    }
    assert!(!stored[0].is_empty() && stored[0] == stored[1], "other bytes are stored");
}

#[test]
fn a_message_of_10_mb_passes() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    let topic = cluster.topic("large", 1);
    let size = 10 * 1024 * 1024;
    let java = Java::newest();
    let producer = java.producer(at, &[("max.request.size", "12000000")]);
    let sent = producer.send_bulk(&topic, 1, size);
    assert_eq!((sent.ok, sent.errors.len()), (1, 0), "{sent:?}");
    let read = |address: &str| -> Value {
        let reader = java.consumer(address, &[("group.id", &unique("group"))]);
        let records = reader.subscribe(&[&topic]).poll(1, Duration::from_secs(20)).expect("the record");
        records[0].clone()
    };
    let (through, direct) = (read(at), read(&cluster.direct()));
    assert_eq!((through["size"].as_u64(), &through["crc"]), (Some(size as u64), &direct["crc"]));
    let read = librdkafka(&json!({
        "op": "consume", "at": at, "topics": [topic], "group": unique("group"), "count": 1,
    }));
    assert_eq!(read.expect("an outcome")["sizes"], json!([size]), "librdkafka");
}

/// Number of partitions that a running member holds: what its library told last.
fn held(member: &Consumer) -> i64 {
    let mut held = 0;
    for event in member.events(0) {
        let count = event["count"].as_i64().unwrap_or(0);
        match event["type"].as_str() {
            Some("assigned") => held += count,
            Some("revoked") => held -= count,
            _ => {}
        }
    }
    held
}

#[test]
fn two_members_share_a_group_and_one_takes_over() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    let java = Java::newest();
    for protocol in ["classic", "consumer"] {
        let (topic, group) = (unique("shared"), unique("group"));
        cluster.create_topic(&topic, 4, &[]);
        let settings = [("group.id", group.as_str()), ("group.protocol", protocol)];
        let member = || {
            if protocol == "classic" {
                java.consumer(at, &[settings[0], settings[1], ("heartbeat.interval.ms", "300")])
            } else {
                java.consumer(at, &settings)
            }
        };
        let first = member();
        first.subscribe(&[&topic]).run();
        soon("the first holds all", || held(&first) == 4);
        let second = member();
        second.subscribe(&[&topic]).run();
        soon(&format!("both hold their half ({protocol})"), || held(&first) == 2 && held(&second) == 2);
        let producer = java.producer(at, &[]);
        for partition in 0..4 {
            let args = json!({ "topic": topic, "partition": partition, "values": [format!("to-{partition}")] });
            assert_eq!(producer.send_with(args).ok, 1);
        }
        soon("every record reaches one of them", || {
            (0..4).all(|p| first.has(&format!("to-{p}")) != second.has(&format!("to-{p}")))
        });
        drop(first);
        soon(&format!("the second takes over ({protocol})"), || held(&second) == 4);
    }
}

#[test]
fn a_thousand_topics_are_listed() {
    needs!(Java, Python, Node);
    // one broker: the brokers' work of making a thousand replicas thrice proves nothing
    let cluster = Cluster::single();
    let kordon = open(cluster);
    let at = kordon.at("anybody");
    let prefix = unique("many");
    let names: Vec<String> = (0..1000).map(|i| format!("{prefix}-topic-with-a-name-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for some in names.chunks(250) {
        Java::newest().admin(at).create_topics(some, 1, &[]);
    }
    let ours = |told: Vec<String>| told.iter().filter(|n| n.starts_with(&prefix)).count();
    soon("all topics in a listing", || {
        let seen = ours(Java::newest().admin(at).topics().expect("a listing"));
        if seen == 1000 { Ok(()) } else { Err(format!("{seen}")) }
    });
    for (what, client) in [("librdkafka", librdkafka as fn(&_) -> _), ("kafkajs", kafkajs)] {
        let told = client(&json!({ "op": "topics", "at": at })).expect("a listing");
        assert_eq!(ours(serde_json::from_value(told["topics"].clone()).expect("names")), 1000, "{what}");
    }
}

#[test]
fn clients_work_through_the_proxy_before_a_broker_of_the_3_line() {
    needs!(Java, Python, Node);
    // one broker: what is proved is the version
    let cluster = Cluster::start(Options { nodes: 1, jars: Jars::Kafka392, ..Options::default() });
    let kordon = open(&cluster);
    let at = kordon.at("anybody");
    let topic = cluster.topic("old", 2);
    for java in [Java::newest(), Java::same()] {
        assert_eq!(java.producer(at, &[]).send(&topic, &["x", "y"]).ok, 2);
        let consumer = java.consumer(at, &[("group.id", &unique("group"))]);
        assert!(consumer.subscribe(&[&topic]).values(2).len() >= 2);
        consumer.commit().expect("a commit");
    }
    let producer = Java::newest().producer(at, &[("transactional.id", "tx")]);
    producer.init().expect("a producer id");
    producer.begin().expect("a transaction");
    assert_eq!(producer.send(&topic, &["z"]).ok, 1);
    producer.commit().expect("a commit");
    for (what, client) in [("librdkafka", librdkafka as fn(&_) -> _), ("kafkajs", kafkajs)] {
        client(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["o"] })).expect(what);
        let group = unique("group");
        let read = client(&json!({ "op": "consume", "at": at, "topics": [topic], "group": group, "count": 5 }));
        assert!(texts(&read.expect("an outcome")["values"]).len() >= 5, "{what}");
    }
}
