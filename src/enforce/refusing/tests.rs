//! The form of every refusal, as the client reads it: a field that is not shown has its default (0, empty, or null where
//! null is the default of Kafka's definitions).

use crate::enforce::denials::sample;
use crate::enforce::table::{self, TABLE};
use crate::enforce::testing::{Bench, answer};
use crate::policy::ReasonCode;
use crate::wire::{ApiKey, api};

/// API, versions, the first demand that is recorded, and the answer to a filled request.
#[rustfmt::skip]
const FORMS: &[(ApiKey, &[i16], &str, &str)] = &[
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
    for row in TABLE.iter().filter(|row| row.refused) {
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
    assert!(FORMS.iter().all(|(key, ..)| table::find(*key).unwrap().refused));
}
