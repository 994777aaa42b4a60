//! The form of every refusal, as the client reads it: a field that is not shown has its default (0, empty, or null where
//! null is the default of Kafka's definitions).

use crate::enforce::table::{self, TABLE};
use crate::enforce::testing::{Bench, answer, id};
use crate::policy::ReasonCode;
use crate::wire::schema::{Kind, StructDef};
use crate::wire::{ApiKey, Node, Value, api};

/// A request with every field filled: names are those of the fields, lists of names and numbers have two elements.
fn sample(key: ApiKey) -> Node {
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
    (ApiKey::WRITE_TXN_MARKERS, &[1, 2], "ClusterAction cluster:kafka-cluster", r#"WriteTxnMarkersResponse { Markers: [WritableTxnMarkerResult { ProducerId: 7, Topics: [WritableTxnMarkerTopicResult { Name: "Name", Partitions: [WritableTxnMarkerPartitionResult { ErrorCode: 31 }, WritableTxnMarkerPartitionResult { PartitionIndex: 4, ErrorCode: 31 }] }] }] }"#),
    (ApiKey::ALTER_REPLICA_LOG_DIRS, &[1, 2], "Alter cluster:kafka-cluster", r#"AlterReplicaLogDirsResponse { Results: [AlterReplicaLogDirTopicResult { TopicName: "Name", Partitions: [AlterReplicaLogDirPartitionResult { ErrorCode: 31 }, AlterReplicaLogDirPartitionResult { PartitionIndex: 4, ErrorCode: 31 }] }] }"#),
    (ApiKey::DESCRIBE_LOG_DIRS, &[1, 2], "Describe cluster:kafka-cluster", r#"DescribeLogDirsResponse"#),
    (ApiKey::DESCRIBE_LOG_DIRS, &[3, 5], "Describe cluster:kafka-cluster", r#"DescribeLogDirsResponse { ErrorCode: 31 }"#),
    (ApiKey::CREATE_DELEGATION_TOKEN, &[1], "Alter cluster:kafka-cluster", r#"CreateDelegationTokenResponse { ErrorCode: 61, PrincipalType: "User", PrincipalName: "alice" }"#),
    (ApiKey::CREATE_DELEGATION_TOKEN, &[3], "Alter cluster:kafka-cluster", r#"CreateDelegationTokenResponse { ErrorCode: 61, PrincipalType: "OwnerPrincipalType", PrincipalName: "OwnerPrincipalName", TokenRequesterPrincipalType: "User", TokenRequesterPrincipalName: "alice" }"#),
    (ApiKey::RENEW_DELEGATION_TOKEN, &[1, 2], "Alter cluster:kafka-cluster", r#"RenewDelegationTokenResponse { ErrorCode: 61 }"#),
    (ApiKey::EXPIRE_DELEGATION_TOKEN, &[1, 2], "Alter cluster:kafka-cluster", r#"ExpireDelegationTokenResponse { ErrorCode: 61 }"#),
    (ApiKey::DESCRIBE_DELEGATION_TOKEN, &[1, 3], "Describe cluster:kafka-cluster", r#"DescribeDelegationTokenResponse { ErrorCode: 61 }"#),
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
    (ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, &[0], "Describe cluster:kafka-cluster", r#"GetTelemetrySubscriptionsResponse { ErrorCode: 31 }"#),
    (ApiKey::PUSH_TELEMETRY, &[0], "Describe cluster:kafka-cluster", r#"PushTelemetryResponse { ErrorCode: 31 }"#),
    (ApiKey::LIST_CONFIG_RESOURCES, &[0, 1], "DescribeConfigs cluster:kafka-cluster", r#"ListConfigResourcesResponse { ErrorCode: 31 }"#),
    (ApiKey::ADD_RAFT_VOTER, &[0, 1], "Alter cluster:kafka-cluster", r#"AddRaftVoterResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::REMOVE_RAFT_VOTER, &[0], "Alter cluster:kafka-cluster", r#"RemoveRaftVoterResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::UNREGISTER_CONTROLLER, &[0], "Alter cluster:kafka-cluster", r#"UnregisterControllerResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
    (ApiKey::SHARE_GROUP_HEARTBEAT, &[1], "Read group:GroupId", r#"ShareGroupHeartbeatResponse { ErrorCode: 30 }"#),
    (ApiKey::SHARE_GROUP_DESCRIBE, &[1], "Describe group:one", r#"ShareGroupDescribeResponse { Groups: [DescribedGroup { ErrorCode: 30, GroupId: "one" }, DescribedGroup { ErrorCode: 30, GroupId: "two" }] }"#),
    (ApiKey::SHARE_FETCH, &[1, 2], "Read group:GroupId", r#"ShareFetchResponse { ErrorCode: 30 }"#),
    (ApiKey::SHARE_ACKNOWLEDGE, &[1, 2], "Read group:GroupId", r#"ShareAcknowledgeResponse { ErrorCode: 30 }"#),
    (ApiKey::INITIALIZE_SHARE_GROUP_STATE, &[0], "ClusterAction cluster:kafka-cluster", r#"InitializeShareGroupStateResponse { Results: [InitializeStateResult { TopicId: 03030303-0303-0303-0303-030303030303, Partitions: [PartitionResult { Partition: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::READ_SHARE_GROUP_STATE, &[0], "ClusterAction cluster:kafka-cluster", r#"ReadShareGroupStateResponse { Results: [ReadStateResult { TopicId: 03030303-0303-0303-0303-030303030303, Partitions: [PartitionResult { Partition: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::WRITE_SHARE_GROUP_STATE, &[0, 1], "ClusterAction cluster:kafka-cluster", r#"WriteShareGroupStateResponse { Results: [WriteStateResult { TopicId: 03030303-0303-0303-0303-030303030303, Partitions: [PartitionResult { Partition: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::DELETE_SHARE_GROUP_STATE, &[0], "ClusterAction cluster:kafka-cluster", r#"DeleteShareGroupStateResponse { Results: [DeleteStateResult { TopicId: 03030303-0303-0303-0303-030303030303, Partitions: [PartitionResult { Partition: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, &[0, 1], "ClusterAction cluster:kafka-cluster", r#"ReadShareGroupStateSummaryResponse { Results: [ReadStateSummaryResult { TopicId: 03030303-0303-0303-0303-030303030303, Partitions: [PartitionResult { Partition: 7, ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }] }] }"#),
    (ApiKey::STREAMS_GROUP_HEARTBEAT, &[0, 1], "Read group:GroupId", r#"StreamsGroupHeartbeatResponse { ErrorCode: 30 }"#),
    (ApiKey::STREAMS_GROUP_DESCRIBE, &[0, 1], "Describe group:one", r#"StreamsGroupDescribeResponse { Groups: [DescribedGroup { ErrorCode: 30, GroupId: "one" }, DescribedGroup { ErrorCode: 30, GroupId: "two" }] }"#),
    (ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE, &[0], "Read group:GroupId", r#"StreamsGroupTopologyDescriptionUpdateResponse { ErrorCode: 30 }"#),
    (ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, &[0, 1], "Describe group:GroupId", r#"DescribeShareGroupOffsetsResponse { Groups: [DescribeShareGroupOffsetsResponseGroup { GroupId: "GroupId", ErrorCode: 30 }] }"#),
    (ApiKey::ALTER_SHARE_GROUP_OFFSETS, &[0], "Read group:GroupId", r#"AlterShareGroupOffsetsResponse { ErrorCode: 30, ErrorMessage: "Group authorization failed." }"#),
    (ApiKey::DELETE_SHARE_GROUP_OFFSETS, &[0], "Delete group:GroupId", r#"DeleteShareGroupOffsetsResponse { ErrorCode: 30, ErrorMessage: "Group authorization failed." }"#),
];

#[test]
fn each_refused_api_is_refused_in_its_own_form() {
    for (key, versions, recorded, form) in FORMS {
        for version in *versions {
            let row = table::row_of(*key, *version).unwrap();
            let mut bench = Bench::acls(&[]);
            let refused = answer(bench.judge(row.rule, *key, *version, &sample(*key)), *key, *version);
            assert_eq!(format!("{refused:?}"), *form, "{key} {version}");
            assert_eq!(bench.decided().first(), Some(&format!("{recorded} denied")), "{key} {version}");
        }
    }
}

#[test]
fn refused_apis_are_refused_to_super_users_too_in_every_version_and_not_advertised() {
    for row in TABLE.iter().filter(|row| !row.advertised) {
        assert!(FORMS.iter().any(|(key, ..)| *key == row.key), "{} has no form here", row.key);
        for version in row.versions.min..=row.versions.max {
            let mut bench = Bench::acls(&[]).user("root");
            answer(bench.judge(row.rule, row.key, version, &sample(row.key)), row.key, version);
            let records = bench.trail.records();
            assert!(!records.is_empty(), "{}", row.key);
            assert!(records.iter().all(|r| r.decision.code() == ReasonCode::UnsupportedApi && !r.probe));
        }
        let served = api(row.key).unwrap().versions;
        assert_eq!((row.versions.min, row.versions.max), (served.min, served.max), "{}", row.key);
    }
    assert!(FORMS.iter().all(|(key, ..)| !table::find(*key).unwrap().advertised));
}

#[test]
fn threat_02_delegation_tokens_are_off_for_everybody_and_never_forwarded() {
    let tokens = [
        ApiKey::CREATE_DELEGATION_TOKEN,
        ApiKey::RENEW_DELEGATION_TOKEN,
        ApiKey::EXPIRE_DELEGATION_TOKEN,
        ApiKey::DESCRIBE_DELEGATION_TOKEN,
    ];
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;
    for key in tokens {
        let row = table::find(key).unwrap();
        for version in row.versions.min..=row.versions.max {
            for user in ["alice", "root"] {
                let mut bench = Bench::acls(&[all]).user(user);
                let refused = answer(bench.judge(row.rule, key, version, &sample(key)), key, version);
                assert_eq!(refused.int(refused.def().find("ErrorCode").unwrap()), 61, "{key} {version} {user}");
            }
        }
    }
}

#[test]
fn threat_18_quotas_and_credentials_the_proxy_lives_by_are_changed_by_nobody_through_it() {
    let all = r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#;
    for key in [ApiKey::ALTER_CLIENT_QUOTAS, ApiKey::ALTER_USER_SCRAM_CREDENTIALS] {
        let row = table::find(key).unwrap();
        for user in ["alice", "root"] {
            let mut bench = Bench::acls(&[all]).user(user);
            let refused = answer(bench.judge(row.rule, key, row.versions.max, &sample(key)), key, row.versions.max);
            assert!(format!("{refused:?}").contains("ErrorCode: 31"), "{key} {user}: {refused:?}");
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
