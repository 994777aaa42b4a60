//! Cluster administration, allowed: the same requests through the proxy and straight to the broker have the same answer,
//! but for what is the proxy's own. Raw frames, in every version that both serve.

use kordon::enforce::table::{self, TABLE};
use kordon::model::TopicId;
use kordon::wire::schema::describe_quorum::{self, response::node::LISTENERS};
use kordon::wire::schema::elect_leaders::response::{REPLICA_ELECTION_RESULTS, replica_election_result::TOPIC};
use kordon::wire::schema::{Field, FieldDef, Kind};
use kordon::wire::{ApiKey, Node, Versions, api};
use serde_json::{Value as Json, json};

use crate::support::cluster::Cluster;
use crate::support::needs;
use crate::support::proxy::{Kordon, cli};
use crate::support::raw::{Raw, request_of};

/// anybody may do everything, viewer what the role gives him on `seen-*`.
const POLICY: &str = r#"version: 1
default: deny
connect_gate: open
super_users: ["User:root"]
acls:
  - { allow: [All], principals: ["User:anybody"], resources: ["*"] }
bindings:
  - { roles: [viewer], principals: ["User:viewer"], resources: ["cluster", "topic:seen-*", "group:seen-*"] }
end: true
"#;

/// What differs between two answers to the same question: time passes, logs grow, numbers are drawn.
const MOVING: &[&str] = &[
    "LogEndOffset",
    "HighWatermark",
    "LastFetchTimestamp",
    "LastCaughtUpTimestamp",
    "UsableBytes",
    "TotalBytes",
    "ClientInstanceId",
    "ThrottleTimeMs",
    "SubscriptionId",
];

fn still(node: &Node) -> Node {
    let mut node = node.clone();
    let fields: Vec<(Field, &'static FieldDef)> = node.def().fields().collect();
    for (field, of) in fields {
        match &of.kind {
            Kind::Array(Kind::Struct(_)) if !node.is_null(field) => {
                let inner: Vec<Node> = node.nodes(field).iter().map(still).collect();
                node.set(field, inner);
            }
            Kind::Uuid if MOVING.contains(&of.name) => node.set(field, TopicId::ZERO),
            _ if MOVING.contains(&of.name) => node.set(field, 0),
            _ => {}
        }
    }
    node
}

/// What is asked: the API, the request.
fn questions(topic: &str) -> Vec<(ApiKey, Json)> {
    let partitions = |of: Json| json!({ "Topics": [{ "Name": topic, "Partitions": of }] });
    let user = |name: &str| json!([{ "EntityType": "user", "EntityName": name }]);
    let secret = "0123456789abcdef0123456789abcdef";
    let tokens = [
        (ApiKey::CREATE_DELEGATION_TOKEN, json!({ "Renewers": [] })),
        (ApiKey::RENEW_DELEGATION_TOKEN, json!({ "Hmac": "x" })),
        (ApiKey::EXPIRE_DELEGATION_TOKEN, json!({ "Hmac": "x" })),
        (ApiKey::DESCRIBE_DELEGATION_TOKEN, json!({ "Owners": null })),
    ];
    let mut all = vec![
        (
            ApiKey::WRITE_TXN_MARKERS,
            json!({ "Markers": [{ "ProducerId": 4_000_000, "Topics": [{ "Name": topic, "PartitionIndexes": [0, 99] }] }] }),
        ),
        (
            ApiKey::ALTER_REPLICA_LOG_DIRS,
            json!({ "Dirs": [{ "Path": "/no/such", "Topics": [{ "Name": topic, "Partitions": [0] }] }] }),
        ),
        (ApiKey::DESCRIBE_LOG_DIRS, json!({ "Topics": [{ "Topic": topic, "Partitions": [0] }] })),
        (
            ApiKey::ELECT_LEADERS,
            json!({ "TopicPartitions": [{ "Topic": topic, "Partitions": [0, 99] }, { "Topic": "no-such", "Partitions": [0] }] }),
        ),
        (ApiKey::ELECT_LEADERS, json!({ "TopicPartitions": [] })),
        (ApiKey::ELECT_LEADERS, json!({ "TopicPartitions": null })),
        (ApiKey::ALTER_PARTITION_REASSIGNMENTS, partitions(json!([{ "PartitionIndex": 0, "Replicas": null }]))),
        (ApiKey::ALTER_PARTITION_REASSIGNMENTS, partitions(json!([{ "PartitionIndex": 0, "Replicas": [77] }]))),
        (ApiKey::ALTER_PARTITION_REASSIGNMENTS, partitions(json!([{ "PartitionIndex": 99, "Replicas": [1] }]))),
        (ApiKey::LIST_PARTITION_REASSIGNMENTS, json!({ "Topics": [{ "Name": topic, "PartitionIndexes": [0] }] })),
        (ApiKey::LIST_PARTITION_REASSIGNMENTS, json!({ "Topics": null })),
        (
            ApiKey::ALTER_CLIENT_QUOTAS,
            json!({ "Entries": [
                { "Entity": user(topic), "Ops": [{ "Key": "producer_byte_rate", "Value": 1e9 }] },
                { "Entity": user(topic), "Ops": [{ "Key": "no_such_quota", "Value": 1.0 }] },
                { "Entity": [{ "EntityType": "planet", "EntityName": "x" }], "Ops": [] },
            ] }),
        ),
        (
            ApiKey::DESCRIBE_CLIENT_QUOTAS,
            json!({ "Components": [{ "EntityType": "user", "MatchType": 0, "Match": topic }] }),
        ),
        (
            ApiKey::ALTER_USER_SCRAM_CREDENTIALS,
            json!({
                "Deletions": [{ "Name": "no-such-user", "Mechanism": 2 }],
                "Upsertions": [
                    { "Name": topic, "Mechanism": 1, "Iterations": 4096, "Salt": secret, "SaltedPassword": secret },
                ],
            }),
        ),
        (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, json!({ "Users": [{ "Name": topic }, { "Name": "no-such-user" }] })),
        (
            ApiKey::DESCRIBE_QUORUM,
            json!({ "Topics": [{ "TopicName": "__cluster_metadata", "Partitions": [{ "PartitionIndex": 0 }] }] }),
        ),
        (
            ApiKey::DESCRIBE_QUORUM,
            json!({ "Topics": [{ "TopicName": topic, "Partitions": [{ "PartitionIndex": 0 }] }] }),
        ),
        (
            ApiKey::UPDATE_FEATURES,
            json!({ "FeatureUpdates": [{ "Feature": "no.such.feature", "MaxVersionLevel": 1 }], "ValidateOnly": true }),
        ),
        (
            ApiKey::UPDATE_FEATURES,
            json!({ "FeatureUpdates": [{ "Feature": "metadata.version", "MaxVersionLevel": 999 }], "ValidateOnly": true }),
        ),
        (ApiKey::UNREGISTER_BROKER, json!({ "BrokerId": 99 })),
        (ApiKey::LIST_CONFIG_RESOURCES, json!({ "ResourceTypes": [4] })),
        (ApiKey::LIST_CONFIG_RESOURCES, json!({ "ResourceTypes": [99] })),
        (
            ApiKey::ADD_RAFT_VOTER,
            json!({
                "VoterId": 9, "TimeoutMs": 1000, "VoterDirectoryId": 9,
                "Listeners": [{ "Name": "CONTROLLER", "Host": "127.0.0.1", "Port": 1 }],
            }),
        ),
        (ApiKey::REMOVE_RAFT_VOTER, json!({ "VoterId": 9, "VoterDirectoryId": 9 })),
        (ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, json!({})),
        (ApiKey::PUSH_TELEMETRY, json!({})),
    ];
    all.extend(tokens);
    all
}

#[test]
fn cluster_administration_is_answered_as_by_the_broker_in_every_version() {
    needs!(Java);
    // One broker: what any broker answers, and the one that has the topic.
    let cluster = Cluster::single();
    let kordon = Kordon::before(cluster).person("anybody").policy(POLICY).start();
    let topic = cluster.topic("seen-rows", 1);
    let (us, broker) = (kordon.broker("anybody", 1), format!("127.0.0.1:{}", cluster.node(1).direct));
    let mut differences = Vec::new();
    for (key, question) in questions(&topic) {
        let row = table::find(key).expect("a row");
        for version in row.versions.min..=row.versions.max {
            let request = request_of(key, &question);
            let [mut ours, mut theirs] = [&us, &broker].map(|at| still(&Raw::connect(at).ask(key, version, &request)));
            if key == ApiKey::DESCRIBE_QUORUM {
                let controllers = theirs.nodes_mut(describe_quorum::response::NODES);
                controllers.iter_mut().for_each(|node| node.nodes_mut(LISTENERS).clear());
            }
            if key == ApiKey::ELECT_LEADERS {
                // A map's order, and without the proxy's own topic where all are meant.
                for answer in [&mut ours, &mut theirs] {
                    let topics = answer.nodes_mut(REPLICA_ELECTION_RESULTS);
                    topics.retain(|topic| topic.str(TOPIC) != kordon.audit_topic());
                    topics.sort_by_key(|topic| topic.str(TOPIC).to_owned());
                }
            }
            let (ours, theirs) = (format!("{ours:?}"), format!("{theirs:?}").replace("ANONYMOUS", "anybody"));
            if ours != theirs {
                differences.push(format!("{key} v{version} {question}\n  ours   {ours}\n  theirs {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_api_that_a_broker_tells_of_is_served() {
    needs!(Java);
    // What one broker tells, every broker of its version tells.
    let cluster = Cluster::single();
    let kordon = Kordon::before(cluster).person("anybody").policy(POLICY).start();
    let of = |at: &str| crate::refusals::served(&mut Raw::connect(at));
    let (theirs, ours) = (of(&cluster.direct()), of(kordon.at("anybody")));
    assert!(theirs.len() > 60, "{theirs:?}");
    for (key, range) in &theirs {
        let row = table::find(*key).unwrap_or_else(|| panic!("{key} has no row"));
        assert!(row.advertised, "{} is not told of", row.key.name());
        // Brokers tell of Produce from 0 on for old librdkafka's sake (KAFKA-18659), and refuse it below 3.
        let usable = api(*key).expect("an api").versions.intersect(*range);
        let all = ours.get(key).copied().unwrap_or(Versions::NONE);
        assert!(
            all == usable || all == *range || !row.narrower.is_empty(),
            "{}: {all} of {usable}, and no reason",
            row.key.name()
        );
    }
    // Listed beside the brokers' own ranges.
    let config = kordon.config_path().display().to_string();
    let listed = cli(&["apis", "--connect", "--config", &config]).ok();
    for key in theirs.keys() {
        let told = |line: &&str| line.split_whitespace().next() == Some(&key.0.to_string());
        let line = listed.lines().find(told).unwrap_or_else(|| panic!("{key} is not listed:\n{listed}"));
        assert!(!line.contains("disconnected"), "{line}");
    }
    assert!(TABLE.iter().all(|row| row.advertised || !theirs.contains_key(&row.key)));
}
