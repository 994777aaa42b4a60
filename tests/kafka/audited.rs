//! Every decision of a running proxy is in its audit topic: told as it was, counted as in the metrics, and held while the
//! topic cannot be written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kordon::wire::{ApiKey, ErrorCode};
use serde_json::json;

use crate::support::audit::{AuditReader, Event};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::{Kordon, revision_of};
use crate::support::python::librdkafka;
use crate::support::raw::{End, FetchSpec, Raw, metadata_request, produce_request, produced};
use crate::support::{eventually, needs, process, say, soon, unique};

const POLICY: &str = r#"version: 1
default: deny
acls:
  - { allow: [Read, Write], principals: ["User:alice"], resources: ["topic:open-*"] }
  - { deny: [Write], principals: ["User:*"], resources: ["topic:closed-*"] }
  - { allow: [Read], principals: ["User:alice", "User:bob"], resources: ["group:*"] }
  - { allow: [Read], principals: ["User:bob"], resources: ["topic:open-*"] }
end: true
"#;

const MIB: f64 = 1_048_576.0;

/// Of every API and outcome: decisions in the metrics.
fn counted(kordon: &Kordon) -> BTreeMap<(String, bool), u64> {
    let metrics = kordon.metrics();
    let of = |s: &crate::support::metrics::Sample, label: &str| {
        s.labels.iter().find(|(l, _)| l == label).map(|(_, v)| v.clone()).unwrap_or_default()
    };
    let decisions = metrics.0.iter().filter(|s| s.name == "kordon_decisions_total" && s.value > 0.0);
    decisions.map(|s| ((of(s, "api"), of(s, "outcome") == "allowed"), s.value as u64)).collect()
}

/// The same from the events in the topic.
fn told(events: &[Event]) -> BTreeMap<(String, bool), u64> {
    let mut sums = BTreeMap::new();
    for event in events.iter().filter(|e| e.kind() == "authorization") {
        *sums.entry((event.method().trim_start_matches("kafka.").to_owned(), event.granted())).or_default() +=
            event.count();
    }
    sums
}

/// Waits until no client is left, then holds metrics and topic against each other.
#[track_caller]
fn sums_agree(kordon: &Kordon, audit: &mut AuditReader) -> u64 {
    soon("all clients are gone", || match kordon.metrics().sum("kordon_connections", &[]) {
        0.0 => Ok(()),
        n => Err(format!("{n} connections")),
    });
    soon("the topic has every event", || kordon.metrics().sum("kordon_audit_queue_events", &[]) == 0.0);
    let in_metrics = counted(kordon);
    let in_topic = told(audit.read());
    assert_eq!(in_topic, in_metrics, "by API and outcome: the topic, then the metrics");
    in_metrics.values().sum()
}

#[test]
fn a_request_is_told_with_who_asked_for_what_and_what_decided() {
    needs!(Java);
    let cluster = Cluster::shared();
    let (open, closed, other) = (unique("open"), unique("closed"), unique("other"));
    cluster.create_topics(&[&open, &closed, &other], 1, &[]);
    let kordon = Kordon::before(cluster).person("alice").policy(POLICY).start();
    let (_, leader) = Raw::connect(kordon.at("alice")).topic(&open, 0);
    let mut raw = Raw::connect(&kordon.broker("alice", leader)).client_id("tool-7");
    let topics: &[(&str, &[u8])] = &[(&open, b"one"), (&closed, b"no"), (&other, b"no")];
    let correlation = raw.send(ApiKey::PRODUCE, 9, &produce_request(-1, topics));
    assert_eq!(produced(&raw.receive()).len(), 3);
    let mut audit = kordon.audit();
    let of =
        |e: &Event| e.method() == "kafka.Produce" && e.json["data"]["requestMetadata"]["correlationId"] == correlation;
    soon("three outcomes, three events", || match audit.read().iter().filter(|e| of(e)).count() {
        3 => Ok(()),
        n => Err(format!("{n} events")),
    });
    let events: Vec<Event> = audit.read().iter().filter(|e| of(e)).cloned().collect();
    let on = |name: &str| events.iter().find(|e| e.names() == [name]).unwrap_or_else(|| panic!("{name}: {events:?}"));
    let rule = |e: &Event| e.json["data"]["authorizationInfo"]["matched"].clone();
    for (name, granted, reason) in
        [(&open, true, "ACL_ALLOW"), (&closed, false, "EXPLICIT_DENY"), (&other, false, "NO_MATCH")]
    {
        let event = on(name);
        let facts = (event.granted(), event.reason(), event.operation(), event.principal());
        assert_eq!(facts, (granted, reason, "Write", "User:alice"));
        assert_eq!(event.text("/requestMetadata/clientId"), "tool-7");
        assert_eq!(event.text("/requestMetadata/listener"), "alice");
        assert!(event.text("/requestMetadata/clientAddress").starts_with("127.0.0.1:"));
        assert_eq!(event.json["data"]["requestMetadata"]["broker"], leader);
        assert!(event.text("/authorizationInfo/policyRevision").starts_with(&revision_of(POLICY)));
        assert_eq!(event.key.as_deref(), Some("User:alice"));
    }
    assert!(rule(on(&open)).to_string().contains("policy.yaml:4"), "{}", rule(on(&open)));
    assert!(rule(on(&closed)).to_string().contains("policy.yaml:5"), "{}", rule(on(&closed)));
    assert_eq!(rule(on(&other)), json!([]));
    let text: String = events.iter().map(|e| e.json.to_string()).collect();
    assert!(!text.contains("one\""), "no record bytes");
    drop(raw);
    audit.wait("the end of the connection", |e| e.kind() == "connection" && e.json.to_string().contains("client_eof"));
    sums_agree(&kordon, &mut audit);
}

#[test]
fn threat_28_a_request_with_fifty_thousand_names_is_one_event() {
    needs!(Java);
    let kordon = Kordon::before(Cluster::shared()).person("alice").policy(POLICY).start();
    let mut raw = Raw::connect(kordon.at("alice"));
    let names: Vec<String> = (0..50_000).map(|i| format!("invented-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    raw.ask(ApiKey::METADATA, 12, &metadata_request(Some(&names)));
    drop(raw);
    let mut audit = kordon.audit();
    let event = audit.wait("the event", |e| e.method() == "kafka.Metadata" && !e.granted());
    let resource = &event.json["data"]["authorizationInfo"]["resource"];
    assert_eq!((event.names().len(), resource["count"].as_u64()), (20, Some(50_000)));
    assert!(resource["digest"].as_str().is_some_and(|d| d.len() >= 64), "{resource}");
    assert_eq!(audit.read().iter().filter(|e| e.method() == "kafka.Metadata").count(), 1);
    sums_agree(&kordon, &mut audit);
}

#[test]
fn decisions_in_the_metrics_are_those_in_the_topic_after_a_mixed_load() {
    needs!(Java, Python);
    let full = std::env::var("KORDON_TEST").is_ok_and(|v| v == "full");
    let length = Duration::from_secs(if full { 60 } else { 8 });
    let cluster = Cluster::shared();
    let (open, closed) = (unique("open"), unique("closed"));
    cluster.create_topics(&[&open, &closed], 3, &[]);
    let mut kordon = Kordon::before(cluster).person("alice").person("bob").policy(POLICY).start();
    let (alice, bob) = (kordon.at("alice").to_owned(), kordon.at("bob").to_owned());
    let (open, closed) = (open.as_str(), closed.as_str());
    let begin = Instant::now();
    let on = || begin.elapsed() < length;
    let java = Java::newest();
    std::thread::scope(|clients| {
        clients.spawn(|| {
            let producer = java.producer(&alice, &[("compression.type", "lz4")]);
            while on() {
                assert_eq!(producer.send(open, &["a", "b", "c"]).errors.len(), 0);
                assert_eq!(producer.send(closed, &["no"]).error(), Some("TopicAuthorizationException"));
            }
        });
        clients.spawn(|| {
            let producer = java.producer(&bob, &[("enable.idempotence", "false"), ("max.block.ms", "2000")]);
            while on() {
                assert_eq!(producer.send(open, &["no"]).error(), Some("TopicAuthorizationException"));
            }
        });
        for protocol in ["classic", "consumer"] {
            let bob = &bob;
            clients.spawn(move || {
                let settings = [("group.id", unique("group")), ("group.protocol", protocol.to_owned())];
                let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
                let consumer = java.consumer(bob, &settings);
                consumer.subscribe(&[open]);
                while on() {
                    consumer.poll(1, Duration::from_millis(500)).expect("records");
                    let _ = consumer.commit();
                }
            });
        }
        clients.spawn(|| {
            while on() {
                librdkafka(&json!({ "op": "produce", "at": alice, "topic": open, "count": 200, "size": 100 }))
                    .expect("an outcome");
                librdkafka(&json!({ "op": "consume", "at": bob, "topics": [open], "group": unique("g"), "count": 20 }))
                    .expect("an outcome");
                librdkafka(&json!({ "op": "topics", "at": bob })).expect("a listing");
            }
        });
        clients.spawn(|| {
            while on() {
                let mut raw = Raw::connect(&alice);
                let (id, leader) = raw.topic(open, 0);
                raw.metadata(None);
                let mut raw = Raw::connect(&kordon.broker("alice", leader));
                for _ in 0..50 {
                    raw.send(ApiKey::PRODUCE, 9, &produce_request(-1, &[(open, b"x"), (closed, b"no")]));
                    raw.send(ApiKey::FETCH, 12, &FetchSpec::of(open, id, 0).request());
                }
                for _ in 0..100 {
                    raw.receive();
                }
                raw.send_unanswered(ApiKey::PRODUCE, 9, &produce_request(0, &[(closed, b"no")]));
                assert_ne!(raw.end(), End::Open);
            }
        });
    });
    let mut audit = kordon.audit();
    let sum = sums_agree(&kordon, &mut audit);
    let events = audit.read().len();
    say(format!(
        "mixed clients for {length:?}: {sum} decisions in the metrics, as many in {events} events; peak memory {:.1} MB",
        process::peak(kordon.pid()) as f64 / MIB
    ));
    assert!(sum > 1_000, "too little load: {sum} decisions");
    // An orderly end adds nothing and loses nothing.
    assert_eq!(kordon.terminate(), Some(0));
    assert_eq!(audit.decisions(), sum);
    let mut seqs: Vec<u64> = audit.read().iter().filter_map(|e| e.json["data"]["integrity"]["seq"].as_u64()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no number is missing or twice");
}

/// Writes one record after another until told to stop; gives what it was told.
fn write_on(at: &str, topic: &str, stop: &AtomicBool, written: &AtomicU64) -> BTreeMap<ErrorCode, u64> {
    let mut raw = Raw::connect(at);
    raw.patience(Duration::from_secs(120));
    let request = produce_request(1, &[(topic, b"x")]);
    let mut outcomes = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        *outcomes.entry(produced(&raw.ask(ApiKey::PRODUCE, 9, &request))[0].1).or_default() += 1;
        written.fetch_add(1, Ordering::SeqCst);
    }
    outcomes
}

/// A topic that one of the other brokers leads.
fn topic_beside(cluster: &Cluster, leader: i32) -> (String, i32) {
    let mut direct = Raw::connect(&cluster.direct());
    let mut candidates = (0..).map(|_| {
        let name = cluster.topic("open", 1);
        let led = direct.topic(&name, 0).1;
        (name, led)
    });
    candidates.find(|(_, led)| *led != leader).expect("a topic")
}

#[test]
fn while_the_audit_cannot_be_written_clients_slow_down_and_stop_and_nothing_is_lost() {
    needs!(Java);
    // a cluster of its own: it stops a broker
    let cluster = Cluster::start(Default::default());
    let alone = |wait: &str| {
        Kordon::before(&cluster)
            .person("alice")
            .person("bob")
            .policy(&POLICY.replace("\"User:alice\"]", "\"User:alice\", \"User:bob\"]"))
            .audit(&format!("partitions: 1, replication_factor: 1, memory: 1MiB, full_wait: {wait}"))
            .expects("tried again")
            .expects("works again")
            .expects("cannot be asked")
            .start()
    };
    let mut kordon = alone("90s");
    let mut audit = kordon.audit();
    let leader =
        soon("a leader of the audit", || Some(cluster.admin().leader(kordon.audit_topic(), 0)).filter(|l| *l > 0));
    let (topic, led) = topic_beside(&cluster, leader);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let count = || written.load(Ordering::SeqCst);
    std::thread::scope(|clients| {
        let writers: Vec<_> = ["alice", "alice", "bob"]
            .into_iter()
            .map(|who| {
                let (at, topic, stop, written) = (kordon.broker(who, led), &topic, &stop, &written);
                clients.spawn(move || write_on(&at, topic, stop, written))
            })
            .collect();
        let java =
            Java::newest().producer(kordon.at("alice"), &[("batch.size", "0"), ("delivery.timeout.ms", "120000")]);
        soon("clients write", || count() > 300);
        cluster.stop_node(leader);
        let pending = java.begin_send(json!({ "topic": topic, "count": 2000, "size": 10, "timeout": 120_000 }));
        let mut since = (Instant::now(), count());
        eventually("clients stop", Duration::from_secs(60), || {
            if count() != since.1 {
                since = (Instant::now(), count());
            }
            since.0.elapsed() > Duration::from_secs(2)
        });
        let (stopped, queued) = (count(), kordon.metrics().sum("kordon_audit_queue_bytes", &[]));
        say(format!(
            "audit leader stopped: clients stopped after {stopped} requests, {:.2} MB of events held, peak memory {:.1} MB",
            queued / MIB,
            process::peak(kordon.pid()) as f64 / MIB
        ));
        assert!(queued > 0.4 * MIB && queued < 1.2 * MIB, "{queued} bytes");
        let (status, why) = kordon.http("/readyz").expect("an answer");
        assert!(status == 503 && why.contains(kordon.audit_topic()), "{status}: {why}");
        cluster.start_node(leader);
        eventually("clients go on", Duration::from_secs(60), || count() > stopped + 300);
        let sent = pending.wait().expect("what became of the records");
        assert_eq!((sent["ok"].as_u64(), &sent["errors"]), (Some(2000), &json!({})));
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            let outcomes = writer.join().expect("a writer");
            assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&ErrorCode::NONE], "never an error: {outcomes:?}");
        }
    });
    let sum = sums_agree(&kordon, &mut audit);
    let peak = process::peak(kordon.pid());
    say(format!("after its return {sum} decisions in metrics and topic; peak memory {:.1} MB", peak as f64 / MIB));
    assert!((peak as f64) < 96.0 * MIB);
    assert_eq!(kordon.terminate(), Some(0));
    drop(kordon);

    // After `full_wait` a waiting request ends its connection: with a reason, and no error of authorization.
    let kordon = alone("1s");
    let mut audit = kordon.audit();
    let leader =
        soon("a leader of the audit", || Some(cluster.admin().leader(kordon.audit_topic(), 0)).filter(|l| *l > 0));
    let (topic, led) = topic_beside(&cluster, leader);
    cluster.stop_node(leader);
    let mut raw = Raw::connect(&kordon.broker("alice", led));
    let request = produce_request(1, &[(&topic, b"x")]);
    let mut answers = 0_u64;
    loop {
        raw.send(ApiKey::PRODUCE, 9, &request);
        match raw.read_frame() {
            Ok(Some(_)) => answers += 1,
            Ok(None) => break,
            Err(e) => panic!("after {answers} answers: {e}"),
        }
        assert!(answers < 100_000, "memory has no bound");
    }
    soon("the reason", || kordon.metrics().sum("kordon_connections_closed_total", &[("reason", "audit_full")]) == 1.0);
    kordon.await_log("audit_full");
    cluster.start_node(leader);
    assert!(sums_agree(&kordon, &mut audit) >= answers);
}
