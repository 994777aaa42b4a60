//! Ways around the proxy that were found in review, tried on a running one. Each test carries its number.

use std::time::Duration;

use kordon::wire::schema::metadata::request::{TOPICS, metadata_request_topic as wanted};
use kordon::wire::schema::metadata::response::{TOPICS as TOLD, metadata_response_topic as told};
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::gate::Way;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::raw::{FetchSpec, Raw, fetched, metadata_request, produce_request, produced};
use crate::support::{needs, soon, unique};

const DENIED: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

#[test]
fn threat_04_a_super_user_neither_sees_nor_touches_the_audit_topic() {
    needs!(Java);
    let cluster = Cluster::shared();
    let policy = "version: 1\ndefault: deny\nsuper_users: [\"User:root\"]\nend: true\n";
    let kordon = Kordon::before(cluster).super_person("root").policy(policy).start();
    let audit = kordon.audit_topic().to_owned();
    let mut reader = kordon.audit(); // the topic is there
    let (id, leader) = Raw::connect(&cluster.direct()).topic(&audit, 0);
    let root = Java::newest().admin(kordon.at("root"));
    let other = unique("threat-04");
    root.create_topic(&other, 1, &[]);
    let seen = root.topics().expect("a listing");
    assert!(seen.contains(&other) && !seen.contains(&audit), "{seen:?}");
    let told = root.ask("deleteTopics", json!({ "topics": [audit, other] })).expect("outcomes");
    assert_eq!(told[&audit]["error"], "TopicAuthorizationException", "{told}");
    assert!(told[&other].get("error").is_none(), "the rest of the request is served: {told}");
    let mut raw = Raw::connect(&kordon.broker("root", leader));
    let written = raw.ask(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&audit, b"forged")]));
    assert_eq!(produced(&written)[0].1, DENIED);
    for version in [12, 17] {
        let read = fetched(&raw.ask(ApiKey::FETCH, version, &FetchSpec::of(&audit, id, 0).request()));
        assert_eq!((read.partitions[0].3, read.partitions[0].4), (DENIED, 0), "Fetch v{version}");
    }
    let producer = Java::newest().producer(kordon.at("root"), &[]);
    assert_eq!(producer.send(&audit, &["forged"]).error(), Some("TopicAuthorizationException"));
    reader.wait("the attempt is in it", |e| !e.granted() && e.reason() == "PROTECTED" && e.on(&audit));
    assert!(cluster.admin().topics().expect("a listing").contains(&audit), "and it is still there");
}

#[test]
fn threat_10_an_acl_that_runs_out_does_not_open_its_topic_to_everybody() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (mine, free) = (unique("mine"), unique("free"));
    cluster.create_topics(&[&mine, &free], 1, &[]);
    let policy = format!(
        "version: 1\ndefault: allow_if_no_acl\nacls:\n  - {{ allow: [Write], principals: [\"User:alice\"], resources: [\"topic:{mine}\"], not_after: 2020-01-01T00:00:00Z }}\nend: true\n"
    );
    let kordon = Kordon::before(cluster).person("alice").person("bob").policy(&policy).expects("policy.yaml").start();
    for who in ["alice", "bob"] {
        let producer = Java::newest().producer(kordon.at(who), &[("enable.idempotence", "false")]);
        assert_eq!(producer.send(&free, &["x"]).ok, 1, "{who}: no ACL, Kafka's default");
        assert_eq!(producer.send(&mine, &["x"]).error(), Some("TopicAuthorizationException"), "{who}");
    }
}

#[test]
fn threat_19_an_id_beside_a_name_does_not_show_a_hidden_topic() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (public, secret) = (unique("public"), unique("secret"));
    cluster.create_topics(&[&public, &secret], 1, &[]);
    let (id, _) = Raw::connect(&cluster.direct()).topic(&secret, 0);
    let policy = "version: 1\ndefault: deny\nacls:\n  - { allow: [Describe], principals: [\"User:*\"], resources: [\"topic:public-*\"] }\nend: true\n";
    let kordon = Kordon::before(cluster).person("alice").policy(policy).start();
    let mut raw = Raw::connect(kordon.at("alice"));
    let tap = kordon.tap();
    for version in [12, 13] {
        let mut request: Node = metadata_request(Some(&[&public]));
        request.nodes_mut(TOPICS)[0].set(wanted::TOPIC_ID, id);
        let answer = raw.ask(ApiKey::METADATA, version, &request);
        for topic in answer.nodes(TOLD) {
            assert_ne!(ErrorCode(topic.i16(told::ERROR_CODE)), ErrorCode::NONE, "{answer:?}");
            assert!(topic.str(told::NAME) != secret && topic.nodes(told::PARTITIONS).is_empty(), "{answer:?}");
        }
    }
    let both = |request: &Node| {
        request.nodes(TOPICS).iter().any(|t| !t.is_null(wanted::NAME) && !t.uuid(wanted::TOPIC_ID).is_zero())
    };
    let passed = tap.requests(ApiKey::METADATA).iter().any(|f| both(&f.request()));
    assert!(!passed, "no broker was asked both ways");
}

#[test]
fn threat_22_a_regular_expression_of_a_group_member_shows_no_hidden_topic() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (public, secret) = (unique("public"), unique("secret"));
    cluster.create_topics(&[&public, &secret], 1, &[]);
    let policy = "version: 1\ndefault: deny\nacls:\n  - { allow: [Read], principals: [\"User:alice\"], resources: [\"topic:public-*\", \"group:*\"] }\nend: true\n";
    let kordon = Kordon::before(cluster).person("alice").policy(policy).start();
    let direct = Java::newest().producer(&cluster.direct(), &[]);
    assert_eq!((direct.send(&public, &["yes"]).ok, direct.send(&secret, &["no"]).ok), (1, 1));
    for protocol in ["classic", "consumer"] {
        let settings = [("group.id", unique("group")), ("group.protocol", protocol.to_owned())];
        let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let consumer = Java::newest().consumer(kordon.at("alice"), &settings);
        // a pattern that the client resolves
        consumer.ask("subscribe", json!({ "pattern": ".*" })).expect("a subscription");
        let records = consumer.poll(1, Duration::from_secs(20)).expect("records");
        assert!(records.iter().any(|r| r["topic"] == public), "{protocol}: {records:?}");
        let assigned = consumer.ask("assignment", json!({})).expect("an assignment").to_string();
        assert!(!assigned.contains("secret"), "{protocol}: {assigned}");
    }
    // one that the broker would resolve
    use kordon::wire::schema::consumer_group_heartbeat::{request as req, response as res};
    let mut raw = Raw::connect(kordon.at("alice"));
    let tap = kordon.tap();
    let heartbeat = Node::request(ApiKey::CONSUMER_GROUP_HEARTBEAT)
        .with(req::GROUP_ID, unique("group").as_str())
        .with(req::MEMBER_ID, "AAAAAAAAAAAAAAAAAAAAAQ")
        .with(req::REBALANCE_TIMEOUT_MS, 60_000)
        .with(req::SUBSCRIBED_TOPIC_REGEX, ".*");
    let told = raw.ask(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, &heartbeat);
    assert_eq!(ErrorCode(told.i16(res::ERROR_CODE)), ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert!(tap.requests(ApiKey::CONSUMER_GROUP_HEARTBEAT).is_empty(), "it did not go on");
}

#[test]
fn threat_34_pipelined_requests_are_judged_when_they_are_written_to_the_broker() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("pipeline", 1);
    let may = |operations: &str| {
        format!(
            "version: 1\ndefault: deny\nacls:\n  - {{ allow: [{operations}], principals: [\"User:alice\"], resources: [\"topic:pipeline-*\"] }}\nend: true\n"
        )
    };
    let kordon = Kordon::before(cluster)
        .person("alice")
        .config("limits: { upstream_ahead: { requests: 1, size: 1MiB } }")
        .policy(&may("Read, Write"))
        .start();
    let (id, leader) = Raw::connect(kordon.at("alice")).topic(&topic, 0);
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    raw.patience(Duration::from_secs(30));
    let tap = kordon.tap();
    let mut waiting = FetchSpec::of(&topic, id, 0);
    waiting.wait = Duration::from_secs(25);
    let mut bytes = raw.frame(ApiKey::FETCH, 12, &waiting.request());
    for _ in 0..50 {
        bytes.extend(raw.frame(ApiKey::PRODUCE, 9, &produce_request(-1, &[(&topic, b"late")])));
    }
    raw.send_bytes(&bytes);
    tap.wait("the fetch leaves", |f| f.way == Way::ToBroker && f.api == ApiKey::FETCH.0);
    kordon.write_policy(&may("Read"));
    assert_eq!(Java::newest().producer(&cluster.direct(), &[]).send(&topic, &["wakes the fetch"]).ok, 1);
    assert!(fetched(&raw.receive()).partitions[0].4 > 0, "reading is still allowed");
    for _ in 0..50 {
        assert_eq!(produced(&raw.receive())[0].1, DENIED);
    }
    // the proxy writes its audit itself, under another client id
    let passed = tap.requests(ApiKey::PRODUCE).iter().filter(|f| f.bytes.get(8..13) == Some(b"\0\x03raw")).count();
    assert_eq!(passed, 0, "none of them was written");
    soon("fifty denials are counted", || {
        kordon.metrics().sum("kordon_decisions_total", &[("api", "Produce"), ("outcome", "denied")]) == 50.0
    });
}
