use super::*;
use crate::enforce::testing::{Bench, answer, finished, forwarded};
use crate::enforce::topology::Features;

const KEY: ApiKey = ApiKey::API_VERSIONS;

fn request(name: &str, version: &str) -> Node {
    Node::request(KEY).with(req::CLIENT_SOFTWARE_NAME, name).with(req::CLIENT_SOFTWARE_VERSION, version)
}

fn api(answer: &mut Node, key: i16, min: i16, max: i16) {
    let api = answer
        .child(res::API_KEYS)
        .with(api_version::API_KEY, key)
        .with(api_version::MIN_VERSION, min)
        .with(api_version::MAX_VERSION, max);
    answer.push(res::API_KEYS, api);
}

fn listed(answer: &Node) -> Vec<(i16, i16, i16)> {
    let field = |api: &Node, f| api.i16(f);
    answer
        .nodes(res::API_KEYS)
        .iter()
        .map(|api| {
            (
                field(api, api_version::API_KEY),
                field(api, api_version::MIN_VERSION),
                field(api, api_version::MAX_VERSION),
            )
        })
        .collect()
}

#[test]
fn the_brokers_list_is_cut_to_the_table_and_produce_begins_at_0() {
    let mut bench = Bench::acls(&[]);
    let then = forwarded(bench.judge(&ApiVersions, KEY, 4, &request("apache-kafka-java", "4.1.0")));
    let mut broker = Node::response(KEY);
    api(&mut broker, 0, 0, 99); // more than the table has
    api(&mut broker, 1, 4, 12); // less
    api(&mut broker, 4, 0, 7); // LeaderAndIsr: no row
    api(&mut broker, 10_000, 0, 0); // a vendor's
    let feature = broker
        .child(res::FINALIZED_FEATURES)
        .with(finalized_feature_key::NAME, "transaction.version")
        .with(finalized_feature_key::MAX_VERSION_LEVEL, 2i16);
    broker.push(res::FINALIZED_FEATURES, feature);
    broker.set(res::FINALIZED_FEATURES_EPOCH, 77i64);
    let told = finished(bench.complete(then, KEY, 4, &broker), KEY, 4);
    assert_eq!(listed(&told), [(0, 0, 13), (1, 4, 12)]);
    assert_eq!(told.nodes(res::FINALIZED_FEATURES), broker.nodes(res::FINALIZED_FEATURES));
    assert_eq!(told.int(res::FINALIZED_FEATURES_EPOCH), 77);
}

#[test]
fn an_api_that_the_broker_serves_in_other_versions_only_is_left_out() {
    let mut bench = Bench::acls(&[]);
    let then = forwarded(bench.judge(&ApiVersions, KEY, 0, &Node::request(KEY)));
    let mut broker = Node::response(KEY);
    api(&mut broker, 1, 0, 3);
    let told = finished(bench.complete(then, KEY, 0, &broker), KEY, 0);
    assert!(listed(&told).is_empty());
}

#[test]
fn names_that_kafka_refuses_are_refused_from_version_3_on() {
    for (name, version, valid) in [
        ("a", "1", true),
        ("apache-kafka.java", "4.1.0-SNAPSHOT", true),
        ("", "1", false),
        ("a", "", false),
        ("-a", "1", false),
        ("a-", "1", false),
        ("a b", "1", false),
        ("ä", "1", false),
        ("a_b", "1", false),
    ] {
        let mut bench = Bench::acls(&[]);
        let verdict = bench.judge(&ApiVersions, KEY, 3, &request(name, version));
        if valid {
            let _ = forwarded(verdict);
        } else {
            let told = answer(verdict, KEY, 3);
            assert_eq!((told.int(res::ERROR_CODE), listed(&told).len()), (42, 0), "{name} {version}");
        }
        let old = bench.judge(&ApiVersions, KEY, 2, &request(name, version));
        let _ = forwarded(old);
    }
}

#[test]
fn a_version_beyond_the_brokers_is_answered_with_35_and_the_range() {
    let mut bench = Bench::acls(&[]).broker_serves(KEY, Versions::new(0, 4));
    let told = answer(bench.judge(&ApiVersions, KEY, 5, &request("a", "1")), KEY, 0);
    assert_eq!((told.int(res::ERROR_CODE), listed(&told)), (35, vec![(18, 0, 4)]));
    // It leaves in version 0: correlation id, error, one key, and nothing more.
    let frame = crate::wire::message::response_frame(KEY, 5, 7, &told).into_bytes();
    assert_eq!(frame[8..], [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
}

#[test]
fn a_broker_that_does_not_know_the_version_is_quoted() {
    let mut bench = Bench::acls(&[]);
    let then = forwarded(bench.judge(&ApiVersions, KEY, 4, &request("a", "1")));
    let mut broker = Node::response(KEY).with(res::ERROR_CODE, ErrorCode::UNSUPPORTED_VERSION);
    api(&mut broker, 18, 0, 3);
    let told = finished(bench.complete(then, KEY, 0, &broker), KEY, 0);
    assert_eq!((told.int(res::ERROR_CODE), listed(&told)), (35, vec![(18, 0, 3)]));
}

fn local(bench: &Bench, version: i16, request: &Node) -> Option<Node> {
    let mut out = crate::wire::Rope::new();
    let def = crate::wire::api(KEY).unwrap().request;
    crate::wire::encode(def, version, request, &mut out);
    let body = out.into_bytes();
    let mut scan = crate::wire::Scan::new();
    let view = scan.read(def, version, &body).unwrap();
    local_answer(view, version, &bench.topology, bench.connection.broker)
}

#[test]
fn before_the_login_the_answer_comes_from_the_topology_with_its_features() {
    let mut bench = Bench::acls(&[]).broker_serves(ApiKey::FETCH, Versions::new(4, 11));
    let feature = |name: &str, min, max| Feature { name: name.into(), min, max };
    bench.topology.features = Features {
        supported: vec![feature("transaction.version", 0, 2), feature("metadata.version", 7, 27)],
        finalized: vec![feature("transaction.version", 2, 2)],
        epoch: Some(5),
    };
    let told = local(&bench, 3, &request("a", "1")).unwrap();
    assert!(listed(&told).contains(&(1, 4, 11)) && listed(&told).contains(&(0, 0, 13)));
    assert!(!listed(&told).iter().any(|(key, ..)| *key == 4));
    let supported = |told: &Node| told.nodes(res::SUPPORTED_FEATURES).len();
    assert_eq!((supported(&told), told.nodes(res::FINALIZED_FEATURES).len()), (1, 1));
    assert_eq!(told.int(res::FINALIZED_FEATURES_EPOCH), 5);
    assert_eq!(supported(&local(&bench, 4, &request("a", "1")).unwrap()), 2);
    bench.topology.brokers.clear();
    assert!(local(&bench, 4, &request("a", "1")).is_none());
}

#[test]
fn a_client_that_means_another_cluster_or_node_is_told_to_start_over() {
    let bench = Bench::acls(&[]);
    let asked = |cluster: Option<&str>, node: i32| {
        let request = request("a", "1").with(req::CLUSTER_ID, cluster).with(req::NODE_ID, node);
        local(&bench, 5, &request).unwrap().int(res::ERROR_CODE)
    };
    assert_eq!(asked(Some("cluster-1"), 1), 0);
    assert_eq!(asked(Some("cluster-1"), 2), 129);
    assert_eq!(asked(Some("other"), 1), 129);
    assert_eq!(asked(None, 2), 0);
    assert_eq!(asked(Some("other"), -1), 0);
}

#[test]
fn telemetry_is_told_of_where_it_is_forwarded_and_brokers_tell_of_it() {
    let told = |forwarded_to: bool, at_broker: bool| {
        let mut bench = Bench::acls(&[]);
        bench.topology.telemetry = forwarded_to;
        let then = forwarded(bench.judge(&ApiVersions, KEY, 4, &request("kafka", "1")));
        let mut broker = Node::response(KEY);
        api(&mut broker, 3, 0, 13);
        if at_broker {
            api(&mut broker, 71, 0, 0);
            api(&mut broker, 72, 0, 0);
        }
        listed(&finished(bench.complete(then, KEY, 4, &broker), KEY, 4)).len()
    };
    assert_eq!([told(false, true), told(true, false), told(true, true)], [1, 1, 3]);
}
