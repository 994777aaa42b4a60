//! Brokers by host name behind one port, told apart in the TLS handshake.

use std::collections::HashSet;
use std::sync::Arc;

use kordon::wire::ErrorCode;
use kordon::wire::schema::metadata::response::{BROKERS, metadata_response_broker};
use kordon::wire::{ApiKey, Node};
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::support::certificates::{Authority, BOTH, Wish};
use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::node::kafkajs;
use crate::support::proxy::{Kordon, Setup, cli};
use crate::support::python::by_name;
use crate::support::raw::{Raw, batch, produce_request, produced};
use crate::support::{needs, scratch, soon, unique};

const SNI: &str = "{ sni: { host: \"broker-{id}.kordon.test\", port: {port} } }";

/// An authority, and the keys of a listener that it signed for these hosts.
fn tls(hosts: &[&str], more: &str) -> (Authority, String) {
    let authority = Authority::new(&scratch(&unique("sni")), "listeners");
    let pair = authority.sign(&Wish { hosts, ..Wish::default() });
    let files = format!("certificate: {}, key: {}", pair.certificate_file.display(), pair.key_file.display());
    let keys = format!("advertise: kafka.kordon.test\n    tls: {{ {files}{more} }}\n    ");
    (authority, keys)
}

const FIXED: &str = "identity: fixed\n    principal: \"User:alice\"";

fn listening<'c>(cluster: &'c Cluster, keys: &str) -> Setup<'c> {
    Kordon::before(cluster).listener("one-port", &format!("{keys}{FIXED}")).brokers(SNI)
}

/// A connection that asks for this host.
fn named(kordon: &Kordon<'_>, config: &Arc<ClientConfig>, host: &str) -> Raw {
    Raw::connect(kordon.at("one-port")).secure(config, host)
}

fn closed(kordon: &Kordon<'_>, reason: &str) -> f64 {
    kordon.metrics().sum("kordon_connections_closed_total", &[("listener", "one-port"), ("reason", reason)])
}

#[test]
fn clients_reach_every_broker_by_its_name_through_one_port() {
    needs!(Java, Node, Python);
    let cluster = Cluster::shared();
    let (authority, keys) = tls(&["kafka.kordon.test", "*.kordon.test", "localhost", "127.0.0.1"], "");
    let kordon = listening(cluster, &keys).start();
    let topic = cluster.topic("sni", 6);
    let port = kordon.at("one-port").rsplit(':').next().unwrap().to_owned();
    let (bootstrap, tls) = (format!("kafka.kordon.test:{port}"), authority.java("SSL", None));
    let group = unique("group");
    // A leader in each of three brokers.
    let sent = Java::newest().producer(&bootstrap, &tls.and(&[])).send_bulk(&topic, 300, 100);
    assert_eq!((sent.ok, sent.error()), (300, None));
    let consumer = Java::newest().consumer(&bootstrap, &tls.and(&[("group.id", &group)]));
    assert!(consumer.subscribe(&[&topic]).values(300).len() >= 300);
    let values: Vec<String> = (0..60).map(|n| format!("librdkafka {n}")).collect();
    let rdkafka_topic = cluster.topic("sni-librdkafka", 6);
    let config = json!({ "security.protocol": "ssl", "ssl.ca.location": authority.file() });
    let command = json!({
        "at": bootstrap, "topic": rdkafka_topic, "group": unique("group"), "values": values, "config": config,
    });
    let outcome = by_name(&command);
    let names = ["broker-1", "broker-2", "broker-3", "kafka"].map(|name| format!("{name}.kordon.test"));
    assert!(
        outcome["asked"] == json!(names) && outcome["delivered"] == 60 && outcome["errors"] == json!([]),
        "{outcome}"
    );
    let read: HashSet<&str> = outcome["read"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(read, values.iter().map(String::as_str).collect());
    let config = json!({ "ssl": { "ca": [authority.pem()] } });
    for at in [bootstrap, format!("localhost:{port}")] {
        let command = json!({ "op": "produce", "at": at, "topic": topic, "values": ["one"], "config": config });
        // `localhost` is neither a broker's name nor that of bootstrap.
        assert_eq!(kafkajs(&command).is_ok(), !at.starts_with("localhost"), "{at}");
    }
    soon("it is counted", || closed(&kordon, "unknown_server_name") >= 1.0);
    kordon.await_log(
        "the client asked for host `localhost`, which is neither `advertise` nor of the form `broker-{id}.kordon.test`",
    );

    // What is told, and that the name decides.
    let config = authority.trusting(None, BOTH);
    let told = named(&kordon, &config, "127.0.0.1").metadata(None);
    let brokers: Vec<(i32, String, i32)> = told.nodes(BROKERS).iter().map(address).collect();
    let port: i32 = port.parse().unwrap();
    assert_eq!(brokers, [1, 2, 3].map(|id| (id, format!("broker-{id}.kordon.test"), port)));
    let (_, leader) = named(&kordon, &config, "kafka.kordon.test").topic(&topic, 0);
    for id in 1..=3 {
        let request = produce_request(1, &[(&topic, &batch(&[b"x"]))]);
        let answer = named(&kordon, &config, &format!("BROKER-{id}.kordon.test")).ask(ApiKey::PRODUCE, 9, &request);
        let expected = if id == leader { ErrorCode::NONE } else { ErrorCode::NOT_LEADER_OR_FOLLOWER };
        assert_eq!(produced(&answer)[0].1, expected, "broker {id}");
    }
    assert!(named(&kordon, &config, "broker-77.kordon.test").metadata_fails());
    soon("it is counted", || closed(&kordon, "broker_unmapped") == 1.0);
    let opened = kordon
        .audit()
        .wait("a broker's connection", |event| event.json.pointer("/data/requestMetadata/broker") == Some(&json!(2)));
    assert_eq!(opened.principal(), "User:alice");
}

fn address(broker: &Node) -> (i32, String, i32) {
    use metadata_response_broker::{HOST, NODE_ID, PORT};
    (broker.i32(NODE_ID), broker.str(HOST).to_owned(), broker.i32(PORT))
}

#[test]
fn threat_33_a_name_chooses_the_broker_and_never_how_a_client_proves_who_it_is() {
    needs!(Java);
    let cluster = Cluster::single();
    let clients = Authority::new(&scratch(&unique("sni")), "clients");
    let asked = format!(", client_auth: required, client_ca: {}", clients.file().display());
    let (authority, keys) = tls(&["kafka.kordon.test", "*.kordon.test", "127.0.0.1"], &asked);
    let kordon =
        Kordon::before(cluster).listener("one-port", &format!("{keys}identity: certificate")).brokers(SNI).start();
    let (alice, nobody) = (authority.trusting(Some(&clients.client("alice")), BOTH), authority.trusting(None, BOTH));
    for host in ["127.0.0.1", "kafka.kordon.test", "broker-1.kordon.test"] {
        assert!(!named(&kordon, &alice, host).metadata_fails(), "{host}");
        assert!(named(&kordon, &nobody, host).metadata_fails(), "{host}");
    }
    soon("they are counted", || closed(&kordon, "handshake_failed") == 3.0);
    assert!(named(&kordon, &alice, "x.kordon.test").metadata_fails());
    soon("it is counted", || closed(&kordon, "unknown_server_name") == 1.0);
    let (_, plain) = tls(&["kafka.kordon.test"], "");
    let broken = Kordon::before(cluster).listener("one-port", &format!("{plain}{FIXED}")).brokers(SNI).start();
    let checked = cli(&["check", "--config", broken.config_path().to_str().unwrap()]);
    let part = "is not for `broker-{id}.kordon.test`, which clients are told";
    assert!(checked.code == 0 && checked.err.contains(part), "{}", checked.err);
    let checked = cli(&["check", "--config", kordon.config_path().to_str().unwrap()]);
    assert!(!checked.err.contains("is not for"), "{}", checked.err);
    assert!(checked.out.contains("every broker at 127.0.0.1:"), "{}", checked.out);
}
