//! One principal is allowed, another is refused, and hears it from its own client library in Kafka's own words.

use std::time::Duration;

use kordon::wire::schema::{fetch, list_offsets, metadata};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::java::{Java, Sent};
use crate::support::node::kafkajs;
use crate::support::proxy::{Kordon, Setup};
use crate::support::python::librdkafka;
use crate::support::raw::{End, FetchSpec, Raw, fetched, metadata_request, produce_request, produced};
use crate::support::{needs, soon, unique};

/// alice may do all with `open-*`; of `seen-*` she may only know that it is there; of all else nothing.
/// bob may read topics and is in no group.
const POLICY: &str = r#"version: 1
default: deny
acls:
  - { allow: [Read, Write], principals: ["User:alice"], resources: ["topic:open-*"] }
  - { allow: [Describe], principals: ["User:alice"], resources: ["topic:seen-*"] }
  - { allow: [Read], principals: ["User:alice"], resources: ["group:*"] }
  - { allow: [Read], principals: ["User:bob"], resources: ["topic:open-*"] }
end: true
"#;

fn people(cluster: &Cluster) -> Setup<'_> {
    Kordon::before(cluster).person("alice").person("bob").policy(POLICY)
}

struct Topics {
    open: String,
    seen: String,
    hidden: String,
}

fn topics(cluster: &Cluster) -> Topics {
    let topics = Topics { open: unique("open"), seen: unique("seen"), hidden: unique("hidden") };
    cluster.create_topics(&[&topics.open, &topics.seen, &topics.hidden], 1, &[]);
    topics
}

#[track_caller]
fn refused_topic(sent: &Sent, topic: &str) {
    assert_eq!((sent.ok, sent.error()), (0, Some("TopicAuthorizationException")), "{sent:?}");
    let first = sent.first.as_ref().expect("the exception");
    assert!(first.message.contains(topic), "the exception names the topic: {first}");
}

/// Where partition 0 of a topic ends, asked behind the proxy's back.
#[track_caller]
fn end_of(cluster: &Cluster, topic: &str) -> i64 {
    use list_offsets::request::{TOPICS, list_offsets_partition as partition, list_offsets_topic as asked};
    use list_offsets::response::{
        TOPICS as ANSWERED, list_offsets_partition_response::OFFSET, list_offsets_topic_response::PARTITIONS,
    };
    let (_, leader) = Raw::connect(&cluster.direct()).topic(topic, 0);
    let mut raw = Raw::connect(&format!("127.0.0.1:{}", cluster.node(leader).direct));
    let mut request = Node::request(ApiKey::LIST_OFFSETS);
    let mut of = request.child(TOPICS).with(asked::NAME, topic);
    let latest = of.child(asked::PARTITIONS).with(partition::PARTITION_INDEX, 0).with(partition::TIMESTAMP, -1_i64);
    of.push(asked::PARTITIONS, latest);
    request.push(TOPICS, of);
    let answer = raw.ask(ApiKey::LIST_OFFSETS, 7, &request);
    answer.nodes(ANSWERED)[0].nodes(PARTITIONS)[0].int(OFFSET)
}

#[test]
fn java_clients_hear_of_a_refused_topic_from_their_library() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let java = Java::newest();
    let alice = java.producer(kordon.at("alice"), &[]);
    assert_eq!(alice.send(&topics.open, &["one"]).ok, 1);
    refused_topic(&alice.send(&topics.seen, &["no"]), &topics.seen);
    refused_topic(&alice.send(&topics.hidden, &["no"]), &topics.hidden);
    let bob = java.producer(kordon.at("bob"), &[("enable.idempotence", "false")]);
    refused_topic(&bob.send(&topics.open, &["no"]), &topics.open);
    // Without a right to write anything there is no producer id, as with Kafka's own authorizer.
    let idempotent = java.producer(kordon.at("bob"), &[]).send(&topics.open, &["no"]);
    assert_eq!(idempotent.error(), Some("ClusterAuthorizationException"), "{idempotent:?}");

    for topic in [&topics.seen, &topics.hidden] {
        let consumer = java.consumer(kordon.at("alice"), &[("group.id", &unique("group"))]);
        let refused = consumer.subscribe(&[topic]).poll(1, Duration::from_secs(20)).expect_err("a refusal");
        assert_eq!(refused.class, "TopicAuthorizationException");
        assert!(refused.message.contains(topic.as_str()), "{refused}");
    }
    let consumer = java.consumer(kordon.at("alice"), &[("group.id", &unique("group"))]);
    assert_eq!(consumer.subscribe(&[&topics.open]).values(1), ["one"]);
    consumer.commit().expect("a member commits");
    assert_eq!((end_of(cluster, &topics.open), end_of(cluster, &topics.seen)), (1, 0));
}

#[test]
fn java_clients_hear_of_a_refused_group_from_their_library() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let java = Java::newest();
    for protocol in ["classic", "consumer"] {
        let group = unique("group");
        let settings = [("group.id", group.as_str()), ("group.protocol", protocol)];
        let consumer = java.consumer(kordon.at("bob"), &settings);
        let refused = consumer.subscribe(&[&topics.open]).poll(1, Duration::from_secs(20)).expect_err("a refusal");
        assert_eq!((refused.class.as_str(), refused.message.contains(&group)), ("GroupAuthorizationException", true));
    }
    // Without a group bob reads what he may.
    java.producer(&cluster.direct(), &[]).send(&topics.open, &["one"]);
    let reader = java.consumer(kordon.at("bob"), &[]);
    assert_eq!(reader.assign(&[(&topics.open, 0)]).values(1), ["one"]);
}

#[test]
fn librdkafka_hears_of_refused_topics_and_groups() {
    needs!(Java, Python);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let (alice, bob) = (kordon.at("alice"), kordon.at("bob"));
    let produce = |at: &str, topic: &str| {
        librdkafka(&json!({ "op": "produce", "at": at, "topic": topic, "values": ["one"] })).expect("an outcome")
    };
    assert_eq!(produce(alice, &topics.open), json!({ "ok": 1, "errors": {} }));
    assert_eq!(produce(alice, &topics.seen), json!({ "ok": 0, "errors": { "TOPIC_AUTHORIZATION_FAILED": 1 } }));
    assert_eq!(produce(alice, &topics.hidden), json!({ "ok": 0, "errors": { "TOPIC_AUTHORIZATION_FAILED": 1 } }));
    let consume = |at: &str, topic: &str| {
        let group = unique("group");
        librdkafka(
            &json!({ "op": "consume", "at": at, "topics": [topic], "group": group, "count": 1, "stop_at_error": true }),
        )
        .expect("an outcome")
    };
    let read = consume(alice, &topics.open);
    assert_eq!((&read["values"], &read["errors"]), (&json!(["one"]), &json!({})));
    assert_eq!(consume(alice, &topics.hidden)["errors"], json!({ "TOPIC_AUTHORIZATION_FAILED": 1 }));
    assert_eq!(consume(bob, &topics.open)["errors"], json!({ "GROUP_AUTHORIZATION_FAILED": 1 }));
}

#[test]
fn hidden_topics_are_in_no_listing() {
    needs!(Java, Python, Node);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    soon("the brokers show the hidden and the audit topic", || {
        let behind = cluster.admin().topics().expect("a listing");
        behind.contains(&topics.hidden) && behind.iter().any(|t| t == kordon.audit_topic())
    });
    let seen = |what: &str, names: &[String]| {
        for name in [&topics.open, &topics.seen] {
            assert!(names.contains(name), "{what} does not show `{name}`");
        }
        let more: Vec<_> = names.iter().filter(|n| !n.starts_with("open-") && !n.starts_with("seen-")).collect();
        assert!(more.is_empty(), "{what} shows {more:?}");
    };
    seen("java", &Java::newest().admin(kordon.at("alice")).topics().expect("a listing"));
    for (what, client) in [("librdkafka", librdkafka as fn(&_) -> _), ("kafkajs", kafkajs)] {
        let told = client(&json!({ "op": "topics", "at": kordon.at("alice") })).expect("a listing");
        seen(what, &serde_json::from_value::<Vec<String>>(told["topics"].clone()).expect("names"));
    }
    // Asked by name, a hidden topic and one that does not exist look alike.
    use metadata::response::{TOPICS, metadata_response_topic as topic};
    let mut raw = Raw::connect(kordon.at("alice"));
    let told = raw.metadata(Some(&[&topics.hidden, "no-such-topic"]));
    for told in told.nodes(TOPICS) {
        assert_eq!(ErrorCode(told.i16(topic::ERROR_CODE)), ErrorCode::TOPIC_AUTHORIZATION_FAILED, "{told:?}");
        assert!(told.uuid(topic::TOPIC_ID).is_zero() && told.nodes(topic::PARTITIONS).is_empty(), "{told:?}");
    }
}

#[test]
fn a_mixed_request_serves_its_allowed_part() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let (id, leader) = Raw::connect(kordon.at("alice")).topic(&topics.open, 0);
    let (hidden_id, _) = Raw::connect(&cluster.direct()).topic(&topics.hidden, 0);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    for version in [3, 9, 12] {
        let request = produce_request(-1, &[(&topics.hidden, b"no"), (&topics.open, b"one"), (&topics.seen, b"no")]);
        let mut told = produced(&raw.ask(ApiKey::PRODUCE, version, &request));
        told.sort();
        let errors: Vec<_> = told.iter().map(|(name, error, _)| (name.as_str(), *error)).collect();
        let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        let mut expected =
            [(topics.open.as_str(), ErrorCode::NONE), (topics.seen.as_str(), denied), (topics.hidden.as_str(), denied)];
        expected.sort();
        assert_eq!(errors, expected, "version {version}");
    }
    for (name, end) in [(&topics.open, 3), (&topics.seen, 0), (&topics.hidden, 0)] {
        assert_eq!(end_of(cluster, name), end, "{name}");
    }

    for version in [4, 12, 13, 17] {
        let mut spec = FetchSpec::of(&topics.hidden, hidden_id, 0);
        spec.partitions.push((topics.open.clone(), id, 0, 0));
        let told = fetched(&raw.ask(ApiKey::FETCH, version, &spec.request()));
        assert_eq!((told.error, told.session, told.partitions.len()), (ErrorCode::NONE, 0, 2), "version {version}");
        for (name, of, _, error, bytes) in &told.partitions {
            let open = if version < 13 { *name == topics.open } else { *of == id };
            let expected = if open { ErrorCode::NONE } else { ErrorCode::TOPIC_AUTHORIZATION_FAILED };
            assert_eq!((*error, *bytes > 0), (expected, open), "version {version}: {told:?}");
        }
    }

    use metadata::response::{TOPICS, metadata_response_topic as topic};
    let told = raw.ask(ApiKey::METADATA, 12, &metadata_request(Some(&[&topics.hidden, &topics.open])));
    let mut told: Vec<_> = told
        .nodes(TOPICS)
        .iter()
        .map(|t| (t.str(topic::NAME).to_owned(), ErrorCode(t.i16(topic::ERROR_CODE))))
        .collect();
    told.sort();
    let mut expected =
        [(topics.open.clone(), ErrorCode::NONE), (topics.hidden.clone(), ErrorCode::TOPIC_AUTHORIZATION_FAILED)];
    expected.sort();
    assert_eq!(told, expected);
}

#[test]
fn a_fetch_with_a_refused_topic_opens_no_session() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let (id, leader) = Raw::connect(kordon.at("alice")).topic(&topics.open, 0);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    let tap = kordon.tap();
    let mut spec = FetchSpec::of(&topics.open, id, 0).session(0, 0);
    let alone = fetched(&raw.ask(ApiKey::FETCH, 12, &spec.request()));
    assert!(alone.session != 0, "{alone:?}");
    spec.partitions.push((topics.hidden.clone(), kordon::model::TopicId::ZERO, 0, 0));
    let mixed = fetched(&raw.ask(ApiKey::FETCH, 12, &spec.request()));
    assert_eq!((mixed.session, mixed.partitions.len()), (0, 2), "{mixed:?}");
    let asked = tap.requests(ApiKey::FETCH);
    let epoch = asked.last().expect("a fetch").request().i32(fetch::request::SESSION_EPOCH);
    assert_eq!((asked.len(), epoch), (2, -1), "forwarded without a session");
}

#[test]
fn acks_0_to_a_refused_topic_closes_the_connection() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topics = topics(cluster);
    let kordon = people(cluster).start();
    let (_, leader) = Raw::connect(kordon.at("alice")).topic(&topics.open, 0);
    let mut bystander = Raw::connect(&kordon.broker("alice", leader));
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    raw.send_unanswered(ApiKey::PRODUCE, 9, &produce_request(0, &[(&topics.open, b"one")]));
    raw.send_unanswered(ApiKey::PRODUCE, 9, &produce_request(0, &[(&topics.open, b"two"), (&topics.seen, b"no")]));
    assert_ne!(raw.end(), End::Open);
    soon("the close is counted", || {
        kordon.metrics().sum("kordon_connections_closed_total", &[("listener", "alice"), ("reason", "acks0_denied")])
            == 1.0
    });
    kordon.await_log("acks0_denied");
    // What was allowed is there, as Kafka writes it before it closes; what was refused is not.
    soon("both allowed records", || end_of(cluster, &topics.open) == 2);
    assert_eq!(end_of(cluster, &topics.seen), 0);
    bystander.metadata(Some(&[&topics.open]));

    // A client library survives it: the connection is made anew and serves what is allowed.
    let producer = Java::newest().producer(kordon.at("alice"), &[("acks", "0"), ("enable.idempotence", "false")]);
    producer.send(&topics.open, &["three"]);
    producer.send(&topics.seen, &["no"]);
    soon("the close is counted", || {
        kordon.metrics().sum("kordon_connections_closed_total", &[("reason", "acks0_denied")]) >= 2.0
    });
    soon("a record after the close", || {
        producer.send(&topics.open, &["four"]);
        end_of(cluster, &topics.open) >= 4
    });
    assert_eq!(end_of(cluster, &topics.seen), 0);
}
