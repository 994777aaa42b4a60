//! Every address a client is told is the proxy's: in each answer that carries one, in small answers and streamed ones,
//! while leaders move, brokers join and the proxy itself restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use kordon::wire::message::decode_response;
use kordon::wire::schema::fetch::response as fetch;
use kordon::wire::schema::produce::response as produce;
use kordon::wire::schema::{describe_cluster, find_coordinator, metadata};
use kordon::wire::{ApiKey, ErrorCode, Node, Value};

use crate::support::cluster::Cluster;
use crate::support::java::Java;
use crate::support::proxy::Kordon;
use crate::support::raw::{FetchSpec, Raw, fetched, metadata_request, produce_request, produced};
use crate::support::{eventually, needs, say, soon, unique};

/// What the brokers call themselves: none of it may reach a client.
fn own_addresses(cluster: &Cluster) -> Vec<Vec<u8>> {
    let ports = |n: &crate::support::cluster::Broker| [n.direct, n.gated, n.sasl, n.gate, n.gate_sasl];
    let bytes = |port: u16| [b"127.0.0.1".as_slice(), &i32::from(port).to_be_bytes()].concat();
    cluster.nodes().iter().flat_map(ports).map(bytes).collect()
}

/// A frame without any broker's own address.
#[track_caller]
fn clean(cluster: &Cluster, what: &str, frame: &Bytes) {
    for address in own_addresses(cluster) {
        let found = frame.windows(address.len()).any(|w| w == address);
        assert!(!found, "{what}: an address of a broker in {frame:?}");
    }
}

/// Asks, holds the raw frame against the brokers' addresses, and decodes it.
#[track_caller]
fn ask(cluster: &Cluster, raw: &mut Raw, key: ApiKey, version: i16, request: &Node) -> Node {
    let frame = raw.frame(key, version, request);
    raw.send_bytes(&frame);
    let answer = raw.read_frame().expect("an answer").expect("an answer");
    clean(cluster, &format!("{key} v{version}"), &answer);
    decode_response(key, version, &answer).expect("a well-formed answer").1
}

fn told_port(kordon: &Kordon, listener: &str, broker: i32) -> i64 {
    kordon.broker(listener, broker).rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port")
}

#[test]
fn no_answer_carries_an_address_of_a_broker() {
    needs!(Java);
    let cluster = Cluster::shared();
    let topic = cluster.topic("addresses", 1);
    let kordon = Kordon::before(cluster).person("alice").person("bob").start();
    for who in ["alice", "bob"] {
        let mut raw = Raw::connect(kordon.at(who));
        let told = |broker: i64, port: i64| assert_eq!(port, told_port(&kordon, who, broker as i32), "{who}");
        for version in 0..=13 {
            use metadata::response::{BROKERS, metadata_response_broker as broker};
            let answer = ask(cluster, &mut raw, ApiKey::METADATA, version, &metadata_request(Some(&[&topic])));
            let brokers = answer.nodes(BROKERS);
            assert_eq!(brokers.len(), 3, "version {version}");
            brokers.iter().for_each(|b| told(b.int(broker::NODE_ID), b.int(broker::PORT)));
        }
        for version in 0..=1 {
            use describe_cluster::response::{BROKERS, describe_cluster_broker as broker};
            let answer =
                ask(cluster, &mut raw, ApiKey::DESCRIBE_CLUSTER, version, &Node::request(ApiKey::DESCRIBE_CLUSTER));
            let brokers = answer.nodes(BROKERS);
            assert_eq!(brokers.len(), 3, "version {version}");
            brokers.iter().for_each(|b| told(b.int(broker::BROKER_ID), b.int(broker::PORT)));
        }
        for version in 0..=6 {
            use find_coordinator::request::{COORDINATOR_KEYS, KEY};
            use find_coordinator::response::{COORDINATORS, NODE_ID, PORT, coordinator};
            let request = Node::request(ApiKey::FIND_COORDINATOR);
            let request = match version {
                0..=3 => request.with(KEY, "some-group"),
                _ => request.with(COORDINATOR_KEYS, vec![Value::from("some-group"), Value::from("another")]),
            };
            soon("a coordinator", || {
                let answer = ask(cluster, &mut raw, ApiKey::FIND_COORDINATOR, version, &request);
                let found: Vec<(i64, i64)> = match version {
                    0..=3 => vec![(answer.int(NODE_ID), answer.int(PORT))],
                    _ => answer
                        .nodes(COORDINATORS)
                        .iter()
                        .map(|c| (c.int(coordinator::NODE_ID), c.int(coordinator::PORT)))
                        .collect(),
                };
                assert_eq!(found.len(), if version < 4 { 1 } else { 2 });
                found.iter().filter(|(node, _)| *node > 0).for_each(|(node, port)| told(*node, *port));
                found.iter().all(|(node, _)| *node > 0)
            });
        }
    }
}

/// The brokers that lead what was asked for, by node and port.
fn produce_endpoints(answer: &Node) -> Vec<(i64, i64)> {
    use produce::node_endpoint::{NODE_ID, PORT};
    answer.nodes(produce::NODE_ENDPOINTS).iter().map(|e| (e.int(NODE_ID), e.int(PORT))).collect()
}

fn fetch_endpoints(answer: &Node) -> Vec<(i64, i64)> {
    use fetch::node_endpoint::{NODE_ID, PORT};
    answer.nodes(fetch::NODE_ENDPOINTS).iter().map(|e| (e.int(NODE_ID), e.int(PORT))).collect()
}

#[test]
fn threat_35_the_endpoints_of_moved_leaders_are_told_as_the_proxys_in_small_and_in_streamed_answers() {
    needs!(Java);
    let cluster = Cluster::shared();
    let kordon = Kordon::before(cluster).person("alice").start();
    // One topic with much data on one broker, and one that another broker leads.
    let (big, small) = (unique("addresses"), unique("addresses"));
    cluster.create_topic(&big, 1, &[]);
    Java::newest().producer(&cluster.direct(), &[]).send_bulk(&big, 6, 900_000);
    let mut direct = Raw::connect(&cluster.direct());
    let (big_id, leader) = direct.topic(&big, 0);
    let (elsewhere, elsewhere_id, other) = (0..)
        .map(|i| {
            let name = format!("{small}-{i}");
            cluster.create_topic(&name, 1, &[]);
            let (id, led) = direct.topic(&name, 0);
            (name, id, led)
        })
        .find(|(_, _, led)| *led != leader)
        .expect("a topic");
    let mut raw = Raw::connect(&kordon.broker("alice", leader));
    raw.patience(Duration::from_secs(30));

    // Produce to a broker that does not lead: 10 and above tell who does (by name up to 12).
    for version in 10..=12 {
        let answer = ask(cluster, &mut raw, ApiKey::PRODUCE, version, &produce_request(-1, &[(&elsewhere, b"x")]));
        assert_eq!(produced(&answer)[0].1, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let told = produce_endpoints(&answer);
        assert_eq!(told, [(i64::from(other), told_port(&kordon, "alice", other))], "Produce v{version}");
    }
    // Fetch tells it from 16 on, behind the records.
    for version in 4..=17 {
        for large in [false, true] {
            let mut spec = FetchSpec::of(&big, big_id, 0);
            spec.max_bytes = if large { i32::MAX } else { 1024 };
            spec.partitions.push((elsewhere.clone(), elsewhere_id, 0, 0));
            let frame = raw.frame(ApiKey::FETCH, version, &spec.request());
            raw.send_bytes(&frame);
            let frame = raw.read_frame().expect("an answer").expect("an answer");
            // records are noise, so look at what stands around them
            clean(cluster, &format!("Fetch v{version}"), &frame.slice(frame.len().saturating_sub(4096)..));
            let answer = decode_response(ApiKey::FETCH, version, &frame).expect("a well-formed answer").1;
            let told = fetched(&answer);
            let sizes: Vec<usize> = told.partitions.iter().map(|p| p.4).collect();
            let enough = if large { 5_000_000 } else { 800_000 };
            assert!(sizes.iter().any(|s| *s > enough), "Fetch v{version}: {told:?}");
            assert!(told.partitions.iter().any(|p| p.3 == ErrorCode::NOT_LEADER_OR_FOLLOWER), "{told:?}");
            let told = fetch_endpoints(&answer);
            let expected = [(i64::from(other), told_port(&kordon, "alice", other))];
            match version {
                0..16 => assert!(told.is_empty()),
                _ => assert_eq!(told, expected, "Fetch v{version}, {} bytes", frame.len()),
            }
        }
    }
}

#[test]
fn leaders_move_brokers_join_and_the_proxy_restarts_while_clients_only_know_its_addresses() {
    needs!(Java);
    // a cluster of its own: it stops brokers
    let cluster = Cluster::start(Default::default());
    cluster.stop_node(3);
    let topic = unique("addresses");
    // Never bootstrap again: what they learned once must do.
    let stubborn = [("metadata.recovery.strategy", "none"), ("reconnect.backoff.max.ms", "500")];
    let java = Java::newest();
    let mut kordon = Kordon::before(&cluster)
        .person("alice")
        .config("shutdown: { drain: 3s }")
        .expects("cannot be asked")
        .expects("tried again")
        .expects("works again")
        .expects("did not finish within")
        .start();
    soon("two brokers make a topic", || {
        let made = cluster
            .admin()
            .ask("createTopics", serde_json::json!({ "topics": [{ "name": topic, "partitions": 3, "replicas": 2 }] }));
        made.is_ok_and(|m| m[&topic].get("error").is_none())
    });
    let producer = java.producer(kordon.at("alice"), &stubborn);
    let consumer = java.consumer(kordon.at("alice"), &[stubborn[0], stubborn[1], ("metadata.max.age.ms", "1000")]);
    consumer.assign(&[(&topic, 0), (&topic, 1), (&topic, 2)]).run();
    let round_trip = |text: &str| {
        for partition in 0..3 {
            let sent = producer.send_with(serde_json::json!({ "topic": topic, "partition": partition, "values": [format!("{text}-{partition}")] }));
            assert_eq!(sent.ok, 1, "{text}: {sent:?}");
        }
        eventually(text, Duration::from_secs(60), || (0..3).all(|p| consumer.has(&format!("{text}-{p}"))));
    };
    round_trip("two brokers");

    // A broker joins: it is told, and its port, bound all along, serves.
    cluster.start_node(3);
    soon("the third broker is told", || {
        let answer = Raw::connect(kordon.at("alice")).metadata(None);
        let ids: BTreeSet<i64> = answer
            .nodes(metadata::response::BROKERS)
            .iter()
            .map(|b| b.int(metadata::response::metadata_response_broker::NODE_ID))
            .collect();
        ids == BTreeSet::from([1, 2, 3])
    });
    let joined = cluster.topic("addresses", 6);
    let admin = cluster.admin();
    let on_third = (0..6).find(|p| admin.leader(&joined, *p) == 3).expect("the new broker leads something");
    let sent =
        producer.send_with(serde_json::json!({ "topic": joined, "partition": on_third, "values": ["to the third"] }));
    assert_eq!(sent.ok, 1, "{sent:?}");

    // Its leader goes away: clients follow to the next.
    let leader = cluster.admin().leader(&topic, 0);
    cluster.stop_node(leader);
    round_trip("a leader stopped");
    cluster.start_node(leader);
    round_trip("it came back");

    // The proxy restarts: clients know its broker ports and nothing else.
    let before = consumer.metric("connection-creation-total");
    kordon.terminate();
    kordon.begin();
    kordon.await_ready();
    round_trip("after a restart");
    assert!(consumer.metric("connection-creation-total") > before);
    kordon.kill();
    kordon.begin();
    // Without waiting for readiness: its ports are bound, and whoever connects is served as soon as it can.
    round_trip("after a kill");
    let strangers = cluster.gate.strangers();
    assert!(strangers.is_empty(), "{strangers:?}");
    say(format!("{} connections to brokers, all of them the proxy's", cluster.gate.passages().len()));
}

#[test]
fn a_port_without_a_broker_closes_and_names_the_reason() {
    needs!(Java);
    let kordon = Kordon::before(Cluster::shared()).person("alice").start();
    for id in [0, 4] {
        let mut raw = Raw::connect(&kordon.broker("alice", id));
        raw.send_bytes(&[0, 0, 0, 20]);
        assert!(raw.ended_silently(), "port of broker {id}");
    }
    soon("the reason", || {
        kordon.metrics().sum("kordon_connections_closed_total", &[("reason", "broker_unmapped")]) == 2.0
    });
}

#[test]
fn a_broker_without_a_port_is_left_out_and_told_to_the_operator() {
    needs!(Java);
    let cluster = Cluster::shared();
    // broker 3 has no port on this listener
    let keys = "identity: fixed\n    principal: \"User:narrow\"";
    let mut kordon = Kordon::before(cluster).listener("narrow", keys).expects("broker left out of answers").launch();
    let config = std::fs::read_to_string(kordon.config_path()).expect("configuration");
    kordon.kill();
    let narrow = config.replace("ids: 0-4", "ids: 1-2");
    assert_ne!(narrow, config);
    std::fs::write(kordon.config_path(), narrow).expect("configuration");
    kordon.begin();
    kordon.await_ready();
    let mut raw = Raw::connect(kordon.at("narrow"));
    for version in [0, 5, 13] {
        use metadata::response::{BROKERS, metadata_response_broker as broker};
        let answer = ask(cluster, &mut raw, ApiKey::METADATA, version, &metadata_request(None));
        let ids: BTreeSet<i64> = answer.nodes(BROKERS).iter().map(|b| b.int(broker::NODE_ID)).collect();
        assert_eq!(ids, BTreeSet::from([1, 2]), "version {version}");
    }
    kordon.await_log("broker left out of answers");
    assert!(kordon.metrics().sum("kordon_unmapped_brokers_total", &[("listener", "narrow")]) >= 3.0);
}
