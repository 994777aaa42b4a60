//! The form of denials, as the client reads them: a field that is not shown has its default (0, empty, or null where null is
//! the default of Kafka's definitions). Here are the APIs whose denial is that of the whole request; where it depends on
//! what the request names, the rule's own tests show it.

use super::table;
use super::testing::{Bench, answer, id};
use crate::wire::schema::{Kind, StructDef};
use crate::wire::{ApiKey, Node, Value, api};

/// A request with every field filled: names are those of the fields, lists of names and numbers have two elements.
pub(super) fn sample(key: ApiKey) -> Node {
    fill(api(key).unwrap().request.root)
}

fn fill(def: &'static StructDef) -> Node {
    let mut node = Node::new(def);
    for (field, of) in def.fields() {
        node.set(field, value(of.name, &of.kind));
    }
    node
}

fn value(name: &'static str, kind: &Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(true),
        Kind::Str => Value::from(name),
        Kind::F64 => Value::F64(1.5),
        Kind::Uuid => Value::Uuid(id(3)),
        Kind::Bytes | Kind::Records => Value::Bytes(bytes::Bytes::from_static(b"xyz")),
        Kind::Struct(def) => Value::from(fill(def)),
        Kind::Array(Kind::Struct(def)) => Value::from(vec![fill(def)]),
        Kind::Array(Kind::Str) => Value::from(vec!["one", "two"]),
        Kind::Array(Kind::Uuid) => Value::from(vec![id(1), id(2)]),
        Kind::Array(_) => Value::from(vec![0i32, 4]),
        _ => Value::Int(7),
    }
}

/// API, versions, the first demand that is recorded, and the answer to a filled request.
#[rustfmt::skip]
const FORMS: &[(ApiKey, &[i16], &str, &str)] = &[
    (ApiKey::WRITE_TXN_MARKERS, &[1, 2], "Alter cluster:kafka-cluster", r#"WriteTxnMarkersResponse { Markers: [WritableTxnMarkerResult { ProducerId: 7, Topics: [WritableTxnMarkerTopicResult { Name: "Name", Partitions: [WritableTxnMarkerPartitionResult { ErrorCode: 31 }, WritableTxnMarkerPartitionResult { PartitionIndex: 4, ErrorCode: 31 }] }] }] }"#),
    (ApiKey::ALTER_REPLICA_LOG_DIRS, &[1, 2], "Alter cluster:kafka-cluster", r#"AlterReplicaLogDirsResponse { Results: [AlterReplicaLogDirTopicResult { TopicName: "Name", Partitions: [AlterReplicaLogDirPartitionResult { ErrorCode: 31 }, AlterReplicaLogDirPartitionResult { PartitionIndex: 4, ErrorCode: 31 }] }] }"#),
    (ApiKey::DESCRIBE_LOG_DIRS, &[1, 2], "Describe cluster:kafka-cluster", r#"DescribeLogDirsResponse"#),
    (ApiKey::DESCRIBE_LOG_DIRS, &[3, 5], "Describe cluster:kafka-cluster", r#"DescribeLogDirsResponse { ErrorCode: 31 }"#),
    (ApiKey::ELECT_LEADERS, &[0], "Alter cluster:kafka-cluster", r#"ElectLeadersResponse { ReplicaElectionResults: [ReplicaElectionResult { Topic: "Topic", PartitionResult: [PartitionResult { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }, PartitionResult { PartitionId: 4, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::ELECT_LEADERS, &[1, 2], "Alter cluster:kafka-cluster", r#"ElectLeadersResponse { ErrorCode: 31, ReplicaElectionResults: [ReplicaElectionResult { Topic: "Topic", PartitionResult: [PartitionResult { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }, PartitionResult { PartitionId: 4, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::ALTER_PARTITION_REASSIGNMENTS, &[0, 1], "Alter cluster:kafka-cluster", r#"AlterPartitionReassignmentsResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed.", Responses: [ReassignableTopicResponse { Name: "Name", Partitions: [ReassignablePartitionResponse { PartitionIndex: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::LIST_PARTITION_REASSIGNMENTS, &[0], "Describe cluster:kafka-cluster", r#"ListPartitionReassignmentsResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed.", Topics: [OngoingTopicReassignment { Name: "Name", Partitions: [OngoingPartitionReassignment, OngoingPartitionReassignment { PartitionIndex: 4 }] }] }"#),
    (ApiKey::DESCRIBE_CLIENT_QUOTAS, &[0, 1], "DescribeConfigs cluster:kafka-cluster", r#"DescribeClientQuotasResponse { ErrorCode: 31, ErrorMessage: null, Entries: null }"#),
    (ApiKey::ALTER_CLIENT_QUOTAS, &[0, 1], "AlterConfigs cluster:kafka-cluster", r#"AlterClientQuotasResponse { Entries: [EntryData { ErrorCode: 31, ErrorMessage: "Cluster authorization failed.", Entity: [EntityData { EntityType: "EntityType", EntityName: "EntityName" }] }] }"#),
    (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, &[0], "Describe cluster:kafka-cluster", r#"DescribeUserScramCredentialsResponse { ErrorCode: 31, ErrorMessage: null, Results: [DescribeUserScramCredentialsResult { ErrorCode: 31, ErrorMessage: null }] }"#),
    (ApiKey::ALTER_USER_SCRAM_CREDENTIALS, &[0], "Alter cluster:kafka-cluster", r#"AlterUserScramCredentialsResponse { Results: [AlterUserScramCredentialsResult { User: "Name", ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }"#),
    (ApiKey::DESCRIBE_QUORUM, &[0, 1], "Describe cluster:kafka-cluster", r#"DescribeQuorumResponse { ErrorCode: 31 }"#),
    (ApiKey::DESCRIBE_QUORUM, &[2], "Describe cluster:kafka-cluster", r#"DescribeQuorumResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::UPDATE_FEATURES, &[0, 2], "Alter cluster:kafka-cluster", r#"UpdateFeaturesResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::UNREGISTER_BROKER, &[0], "Alter cluster:kafka-cluster", r#"UnregisterBrokerResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::LIST_CONFIG_RESOURCES, &[0, 1], "DescribeConfigs cluster:kafka-cluster", r#"ListConfigResourcesResponse { ErrorCode: 31 }"#),
    (ApiKey::ADD_RAFT_VOTER, &[0, 1], "Alter cluster:kafka-cluster", r#"AddRaftVoterResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::REMOVE_RAFT_VOTER, &[0], "Alter cluster:kafka-cluster", r#"RemoveRaftVoterResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::UNREGISTER_CONTROLLER, &[0], "Alter cluster:kafka-cluster", r#"UnregisterControllerResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE, &[0], "Read group:GroupId", r#"StreamsGroupTopologyDescriptionUpdateResponse { ErrorCode: 30 }"#),
];

#[test]
fn who_may_not_ask_for_the_whole_is_refused_in_the_apis_own_form() {
    for (key, versions, recorded, form) in FORMS {
        for version in *versions {
            let row = table::row_of(*key, *version).unwrap();
            let mut bench = Bench::acls(&[]);
            let refused = answer(bench.judge(row.rule, *key, *version, &sample(*key)), *key, *version);
            assert_eq!(format!("{refused:?}"), *form, "{key} {version}");
            let first = bench.decided().first().map(|line| line.trim_end_matches('?').to_owned());
            assert_eq!(first, Some(format!("{recorded} denied")), "{key} {version}");
        }
    }
}

#[test]
fn null_lists_are_refused_as_a_whole() {
    for (name, key) in [("TopicPartitions", ApiKey::ELECT_LEADERS), ("Users", ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS)]
    {
        let row = table::find(key).unwrap();
        let mut request = sample(key);
        let field = request.def().find(name).unwrap();
        request.set(field, Value::Null);
        let refused = answer(Bench::acls(&[]).judge(row.rule, key, row.versions.max, &request), key, row.versions.max);
        assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 31);
    }
}
