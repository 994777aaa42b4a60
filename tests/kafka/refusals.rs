//! Refusals compared with those of a broker that authorizes: the same requests, from a user without any right, to Kafka
//! with its `StandardAuthorizer` and to the rules under an empty policy.

use kordon::enforce::Verdict;
use kordon::enforce::table::{Row, TABLE};
use kordon::model::{Principal, Subject, Timestamp, TopicId};
use kordon::policy::{OwnTopics, Settings, Snapshot};
use kordon::wire::message::decode_response;
use kordon::wire::schema::{Kind, StructDef, api_versions, delete_topics, sasl_authenticate, write_txn_markers};
use kordon::wire::{ApiKey, Node, Value, Versions, api};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

use super::judged::judged;
use crate::support::cluster::{Cluster, SASL_PASSWORD, SASL_USER};
use crate::support::needs;
use crate::support::people::{handshake, plain as login_message};
use crate::support::raw::{Raw, request_of};
use crate::support::trace::without_dumps;

/// A request with every field filled: strings hold the name of their field, arrays have one element.
fn sample(def: &'static StructDef) -> Node {
    let mut node = Node::new(def);
    for (field, of) in def.fields() {
        let value = match &of.kind {
            Kind::Struct(inner) => Value::from(sample(inner)),
            Kind::Array(Kind::Struct(inner)) => Value::from(vec![sample(inner)]),
            Kind::Array(Kind::Str) => Value::from(vec!["one", "two"]),
            Kind::Array(Kind::Uuid) => Value::from(vec![TopicId([1; 16])]),
            Kind::Array(_) => Value::from(vec![0i32, 4]),
            Kind::Str => Value::from(of.name),
            Kind::Uuid => Value::Uuid(TopicId([3; 16])),
            Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(b"xyz")),
            Kind::I32 if of.name.ends_with("imeoutMs") => Value::Int(30_000),
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => Value::Int(3),
            Kind::Bool | Kind::F64 | Kind::Records | Kind::U16 | Kind::U32 => continue,
        };
        node.set(field, value);
    }
    node
}

/// A filled request, and where the order of Kafka's tests or a null list make another answer, those that show it.
fn samples(key: ApiKey) -> Vec<Node> {
    let more: Vec<serde_json::Value> = match key {
        ApiKey::CREATE_DELEGATION_TOKEN => {
            let renewed = |kind: &str| json!([{ "PrincipalType": kind, "PrincipalName": "x" }]);
            vec![
                json!({ "Renewers": renewed("User"), "OwnerPrincipalName": null, "OwnerPrincipalType": null }),
                json!({ "Renewers": renewed("Group"), "OwnerPrincipalName": "", "OwnerPrincipalType": "" }),
                json!({ "Renewers": renewed("User"), "OwnerPrincipalName": SASL_USER, "OwnerPrincipalType": "User" }),
            ]
        }
        ApiKey::DESCRIBE_DELEGATION_TOKEN => vec![json!({ "Owners": null }), json!({ "Owners": [] })],
        ApiKey::ELECT_LEADERS => vec![json!({ "TopicPartitions": null }), json!({ "TopicPartitions": [] })],
        // Not null: to that a broker never answers.
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS => vec![json!({ "Users": [] })],
        ApiKey::LIST_PARTITION_REASSIGNMENTS | ApiKey::DESCRIBE_LOG_DIRS => vec![json!({ "Topics": null })],
        ApiKey::ALTER_USER_SCRAM_CREDENTIALS => {
            let of = |name: &str| json!({ "Name": name, "Mechanism": 1 });
            vec![json!({ "Deletions": [of("d"), of("b"), of("é"), of("b")], "Upsertions": [of("c"), of("B"), of("")] })]
        }
        ApiKey::ALTER_CLIENT_QUOTAS => vec![json!({ "Entries": [
            { "Entity": [{ "EntityType": "user", "EntityName": null }, { "EntityType": "client-id", "EntityName": "x" }] },
            { "Entity": [{ "EntityType": "ip", "EntityName": "10.0.0.1" }] },
        ] })],
        ApiKey::WRITE_TXN_MARKERS => vec![json!({ "Markers": [
            { "ProducerId": 5, "Topics": [] },
            { "ProducerId": 4, "Topics": [{ "Name": "a", "PartitionIndexes": [1] }, { "Name": "b", "PartitionIndexes": [] }] },
        ] })],
        _ => Vec::new(),
    };
    let filled = sample(api(key).unwrap().request.root);
    std::iter::once(filled).chain(more.iter().map(|json| request_of(key, json))).collect()
}

/// What the rule answers to `User:kordon` under a policy without a single allow; none where it does not answer itself.
fn ours(row: &Row, version: i16, request: &Node) -> Option<Node> {
    let settings =
        Settings { own_topics: OwnTopics { state: None, audit: Vec::new() }, now: Timestamp(0), ..Settings::default() };
    let policy = b"version: 1\ndefault: deny\nend: true\n";
    let snapshot = Snapshot::load(policy, "policy.yaml", &settings).unwrap().snapshot;
    let subject =
        Subject { principal: Principal::user(SASL_USER), groups: [].into(), may_merge: true, may_be_super: false };
    judged(&snapshot, &subject, "SASL_PLAINTEXT/PLAIN", (row.key, version), request, |verdict| match verdict {
        Verdict::Answer(node) => Some(node),
        _ => None,
    })
}

/// An answer without what cannot be compared: Kafka shuffles the results of DeleteTopics, those of WriteTxnMarkers stand in
/// the order of a map, and a check of the cluster that throws tells a dump.
fn plain(answer: &Node) -> String {
    let mut answer = answer.clone();
    if std::ptr::eq(answer.def(), &delete_topics::response::THIS) {
        answer.nodes_mut(delete_topics::response::RESPONSES).sort_by_key(|node| format!("{node:?}"));
    }
    if std::ptr::eq(answer.def(), &write_txn_markers::response::THIS) {
        answer.nodes_mut(write_txn_markers::response::MARKERS).sort_by_key(|node| format!("{node:?}"));
    }
    without_dumps(&format!("{answer:?}"))
}

fn login(address: &str) -> Raw {
    let mut raw = Raw::connect(address);
    raw.ask(ApiKey::SASL_HANDSHAKE, 1, &handshake("PLAIN"));
    let answer = raw.ask(ApiKey::SASL_AUTHENTICATE, 2, &login_message(SASL_USER, SASL_PASSWORD));
    assert_eq!(answer.int(sasl_authenticate::response::ERROR_CODE), 0, "{answer:?}");
    raw
}

pub fn served(raw: &mut Raw) -> BTreeMap<ApiKey, Versions> {
    use api_versions::response::{API_KEYS, api_version as entry};
    let request = Node::request(ApiKey::API_VERSIONS)
        .with(api_versions::request::CLIENT_SOFTWARE_NAME, "test")
        .with(api_versions::request::CLIENT_SOFTWARE_VERSION, "1");
    let answer = raw.ask(ApiKey::API_VERSIONS, 3, &request);
    let range = |e: &Node| {
        (ApiKey(e.i16(entry::API_KEY)), Versions { min: e.i16(entry::MIN_VERSION), max: e.i16(entry::MAX_VERSION) })
    };
    answer.nodes(API_KEYS).iter().map(range).collect()
}

#[test]
fn refusals_are_those_of_a_broker_that_authorizes() {
    needs!(Java);
    // One broker: who is refused is not told by the number of brokers. It is its own, because it has no ACLs.
    let cluster = Cluster::start_authorizing();
    let address = format!("127.0.0.1:{}", cluster.node(1).sasl);
    let served = served(&mut login(&address));
    let (mut compared, mut differences) = (BTreeSet::new(), Vec::new());
    for row in TABLE.iter().filter(|row| row.key != ApiKey::API_VERSIONS) {
        let Some(theirs) = served.get(&row.key) else { continue };
        let both = row.versions.intersect(*theirs);
        for version in both.min..=both.max {
            for request in samples(row.key) {
                let Some(ours) = ours(row, version, &request) else { continue };
                let mut raw = login(&address);
                raw.send(row.key, version, &request);
                let theirs = match raw.read_frame() {
                    Ok(Some(frame)) => plain(&decode_response(row.key, version, &frame).unwrap().1),
                    end => format!("{end:?}"),
                };
                compared.insert(row.key);
                let ours = plain(&ours);
                if ours != theirs {
                    let key = row.key.name();
                    differences.push(format!("{key} v{version} {request:?}\n  ours   {ours}\n  theirs {theirs}"));
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared.len() > 50, "{compared:?}");
}
