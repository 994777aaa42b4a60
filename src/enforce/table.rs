//! The only list of APIs: which versions are served, under which category of the audit, by which rule.
//!
//! ApiVersions, the permission table, tests and `kordon apis` are derived from it. A key or version that is not here is
//! not advertised, and refused.

use super::acls::{CreateAcls, DeleteAcls, DescribeAcls};
use super::add_partitions_to_txn::AddPartitionsToTxn;
use super::alter_configs;
use super::api_versions::ApiVersions;
use super::by_cluster;
use super::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use super::create_partitions::CreatePartitions;
use super::create_topics::CreateTopics;
use super::delegation_tokens::{
    CreateDelegationToken, DescribeDelegationToken, EXPIRE_DELEGATION_TOKEN, RENEW_DELEGATION_TOKEN,
};
use super::delete_records::DeleteRecords;
use super::delete_topics::DeleteTopics;
use super::describe_cluster::DescribeCluster;
use super::describe_configs::DescribeConfigs;
use super::describe_producers::DescribeProducers;
use super::describe_quorum::DescribeQuorum;
use super::describe_topic_partitions::DescribeTopicPartitions;
use super::elect_leaders::ElectLeaders;
use super::fetch::Fetch;
use super::find_coordinator::FindCoordinator;
use super::group_delete::{DeleteGroups, OffsetDelete};
use super::group_describe::{CONSUMER_GROUP_DESCRIBE, DESCRIBE_GROUPS, SHARE_GROUP_DESCRIBE, STREAMS_GROUP_DESCRIBE};
use super::group_list::ListGroups;
use super::init_producer_id::InitProducerId;
use super::list_config_resources::ListConfigResources;
use super::list_offsets::ListOffsets;
use super::log_dirs::{AlterReplicaLogDirs, DescribeLogDirs};
use super::membership::{Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
use super::metadata::Metadata;
use super::offset_commit::OffsetCommit;
use super::offset_fetch::OffsetFetch;
use super::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::produce::Produce;
use super::quotas::{AlterClientQuotas, DescribeClientQuotas};
use super::reassignments::{AlterPartitionReassignments, ListPartitionReassignments};
use super::record::Category;
use super::rule::Rule;
use super::sasl::{SaslAuthenticate, SaslHandshake};
use super::scram_credentials::{AlterUserScramCredentials, DescribeUserScramCredentials};
use super::share_acknowledge::ShareAcknowledge;
use super::share_fetch::ShareFetch;
use super::share_heartbeat::ShareGroupHeartbeat;
use super::share_offsets::{self, DescribeShareGroupOffsets};
use super::share_state;
use super::streams_heartbeat::StreamsGroupHeartbeat;
use super::telemetry::Telemetry;
use super::topology_description::StreamsGroupTopologyDescriptionUpdate;
use super::transaction_describe::{DescribeTransactions, ListTransactions};
use super::transactions::{AddOffsetsToTxn, EndTxn, TxnOffsetCommit};
use super::write_txn_markers::WriteTxnMarkers;
use crate::model::CloseReason;
use crate::policy::Permit;
use crate::wire::schema::api_versions::response::{self as res, api_version};
use crate::wire::{ApiKey, ErrorCode, Node, Versions};
use std::sync::LazyLock;

/// One API: what is served of it, and how.
pub struct Row {
    /// The API.
    pub key: ApiKey,
    /// The versions that are served.
    pub versions: Versions,
    /// Category in the audit.
    pub category: Category,
    /// Asked again and again while nothing happens: merged in the audit by default.
    pub polling: bool,
    /// Whether ApiVersions tells clients of it.
    pub advertised: bool,
    /// Why versions that Kafka has are missing, or why it is not advertised; empty where nothing is.
    pub narrower: &'static str,
    /// The rule.
    pub rule: &'static dyn Rule,
}

/// Every row, by key.
pub static TABLE: &[Row] = &[
    row(ApiKey::PRODUCE, 3, 13, Category::DataWrite, &Produce),
    polling(row(ApiKey::FETCH, 4, 18, Category::DataRead, &Fetch)),
    polling(row(ApiKey::LIST_OFFSETS, 1, 11, Category::DataRead, &ListOffsets)),
    row(ApiKey::METADATA, 0, 13, Category::Read, &Metadata),
    row(ApiKey::OFFSET_COMMIT, 2, 10, Category::GroupMember, &OffsetCommit),
    row(ApiKey::OFFSET_FETCH, 1, 10, Category::Read, &OffsetFetch),
    row(ApiKey::FIND_COORDINATOR, 0, 6, Category::Read, &FindCoordinator),
    row(ApiKey::JOIN_GROUP, 0, 9, Category::GroupMember, &JoinGroup),
    polling(row(ApiKey::HEARTBEAT, 0, 4, Category::GroupMember, &Heartbeat)),
    row(ApiKey::LEAVE_GROUP, 0, 5, Category::GroupMember, &LeaveGroup),
    row(ApiKey::SYNC_GROUP, 0, 5, Category::GroupMember, &SyncGroup),
    row(ApiKey::DESCRIBE_GROUPS, 0, 6, Category::Read, &DESCRIBE_GROUPS),
    row(ApiKey::LIST_GROUPS, 0, 5, Category::Read, &ListGroups),
    row(ApiKey::SASL_HANDSHAKE, 0, 1, Category::Read, &SaslHandshake),
    row(ApiKey::API_VERSIONS, 0, 5, Category::Read, &ApiVersions),
    row(ApiKey::CREATE_TOPICS, 2, 7, Category::TopicWrite, &CreateTopics),
    row(ApiKey::DELETE_TOPICS, 1, 6, Category::TopicWrite, &DeleteTopics),
    row(ApiKey::DELETE_RECORDS, 0, 2, Category::TopicWrite, &DeleteRecords),
    narrower(
        row(ApiKey::INIT_PRODUCER_ID, 0, 5, Category::DataWrite, &InitProducerId),
        "version 6 (two-phase commit) is unstable in Kafka 4.4: brokers do not serve it either",
    ),
    row(ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, 4, Category::DataRead, &OffsetForLeaderEpoch),
    row(ApiKey::ADD_PARTITIONS_TO_TXN, 0, 5, Category::DataWrite, &AddPartitionsToTxn),
    row(ApiKey::ADD_OFFSETS_TO_TXN, 0, 4, Category::DataWrite, &AddOffsetsToTxn),
    row(ApiKey::END_TXN, 0, 5, Category::DataWrite, &EndTxn),
    row(ApiKey::WRITE_TXN_MARKERS, 1, 2, Category::ClusterWrite, &WriteTxnMarkers),
    row(ApiKey::TXN_OFFSET_COMMIT, 0, 6, Category::GroupMember, &TxnOffsetCommit),
    row(ApiKey::DESCRIBE_ACLS, 1, 3, Category::Read, &DescribeAcls),
    row(ApiKey::CREATE_ACLS, 1, 3, Category::AclWrite, &CreateAcls),
    row(ApiKey::DELETE_ACLS, 1, 3, Category::AclWrite, &DeleteAcls),
    row(ApiKey::DESCRIBE_CONFIGS, 1, 4, Category::Read, &DescribeConfigs),
    row(ApiKey::ALTER_CONFIGS, 0, 2, Category::ConfigWrite, &alter_configs::LEGACY),
    row(ApiKey::ALTER_REPLICA_LOG_DIRS, 1, 2, Category::ClusterWrite, &AlterReplicaLogDirs),
    row(ApiKey::DESCRIBE_LOG_DIRS, 1, 5, Category::Read, &DescribeLogDirs),
    row(ApiKey::SASL_AUTHENTICATE, 0, 2, Category::Read, &SaslAuthenticate),
    row(ApiKey::CREATE_PARTITIONS, 0, 3, Category::TopicWrite, &CreatePartitions),
    row(ApiKey::CREATE_DELEGATION_TOKEN, 1, 3, Category::CredentialWrite, &CreateDelegationToken),
    row(ApiKey::RENEW_DELEGATION_TOKEN, 1, 2, Category::CredentialWrite, &RENEW_DELEGATION_TOKEN),
    row(ApiKey::EXPIRE_DELEGATION_TOKEN, 1, 2, Category::CredentialWrite, &EXPIRE_DELEGATION_TOKEN),
    row(ApiKey::DESCRIBE_DELEGATION_TOKEN, 1, 3, Category::Read, &DescribeDelegationToken),
    row(ApiKey::DELETE_GROUPS, 0, 3, Category::GroupWrite, &DeleteGroups),
    row(ApiKey::ELECT_LEADERS, 0, 2, Category::ClusterWrite, &ElectLeaders),
    row(ApiKey::INCREMENTAL_ALTER_CONFIGS, 0, 1, Category::ConfigWrite, &alter_configs::INCREMENTAL),
    row(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 0, 1, Category::ClusterWrite, &AlterPartitionReassignments),
    row(ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, 0, Category::Read, &ListPartitionReassignments),
    row(ApiKey::OFFSET_DELETE, 0, 0, Category::GroupWrite, &OffsetDelete),
    row(ApiKey::DESCRIBE_CLIENT_QUOTAS, 0, 1, Category::Read, &DescribeClientQuotas),
    row(ApiKey::ALTER_CLIENT_QUOTAS, 0, 1, Category::ConfigWrite, &AlterClientQuotas),
    row(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0, 0, Category::Read, &DescribeUserScramCredentials),
    row(ApiKey::ALTER_USER_SCRAM_CREDENTIALS, 0, 0, Category::CredentialWrite, &AlterUserScramCredentials),
    row(ApiKey::DESCRIBE_QUORUM, 0, 2, Category::Read, &DescribeQuorum),
    row(ApiKey::UPDATE_FEATURES, 0, 2, Category::ClusterWrite, &by_cluster::UPDATE_FEATURES),
    row(ApiKey::DESCRIBE_CLUSTER, 0, 2, Category::Read, &DescribeCluster),
    row(ApiKey::DESCRIBE_PRODUCERS, 0, 0, Category::Read, &DescribeProducers),
    row(ApiKey::UNREGISTER_BROKER, 0, 0, Category::ClusterWrite, &by_cluster::UNREGISTER_BROKER),
    row(ApiKey::DESCRIBE_TRANSACTIONS, 0, 0, Category::Read, &DescribeTransactions),
    row(ApiKey::LIST_TRANSACTIONS, 0, 2, Category::Read, &ListTransactions),
    polling(row(ApiKey::CONSUMER_GROUP_HEARTBEAT, 0, 1, Category::GroupMember, &ConsumerGroupHeartbeat)),
    row(ApiKey::CONSUMER_GROUP_DESCRIBE, 0, 1, Category::Read, &CONSUMER_GROUP_DESCRIBE),
    unadvertised(row(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, 0, 0, Category::Read, &Telemetry), TELEMETRY),
    unadvertised(row(ApiKey::PUSH_TELEMETRY, 0, 0, Category::Read, &Telemetry), TELEMETRY),
    row(ApiKey::LIST_CONFIG_RESOURCES, 0, 1, Category::Read, &ListConfigResources),
    row(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, 0, Category::Read, &DescribeTopicPartitions),
    polling(row(ApiKey::SHARE_GROUP_HEARTBEAT, 1, 1, Category::GroupMember, &ShareGroupHeartbeat)),
    row(ApiKey::SHARE_GROUP_DESCRIBE, 1, 1, Category::Read, &SHARE_GROUP_DESCRIBE),
    polling(row(ApiKey::SHARE_FETCH, 1, 2, Category::DataRead, &ShareFetch)),
    row(ApiKey::SHARE_ACKNOWLEDGE, 1, 2, Category::DataRead, &ShareAcknowledge),
    row(ApiKey::ADD_RAFT_VOTER, 0, 1, Category::ClusterWrite, &by_cluster::ADD_RAFT_VOTER),
    row(ApiKey::REMOVE_RAFT_VOTER, 0, 0, Category::ClusterWrite, &by_cluster::REMOVE_RAFT_VOTER),
    row(ApiKey::INITIALIZE_SHARE_GROUP_STATE, 0, 0, Category::ClusterWrite, &share_state::INITIALIZE_SHARE_GROUP_STATE),
    row(ApiKey::READ_SHARE_GROUP_STATE, 0, 0, Category::Read, &share_state::READ_SHARE_GROUP_STATE),
    row(ApiKey::WRITE_SHARE_GROUP_STATE, 0, 1, Category::ClusterWrite, &share_state::WRITE_SHARE_GROUP_STATE),
    row(ApiKey::DELETE_SHARE_GROUP_STATE, 0, 0, Category::ClusterWrite, &share_state::DELETE_SHARE_GROUP_STATE),
    row(ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, 0, 1, Category::Read, &share_state::READ_SHARE_GROUP_STATE_SUMMARY),
    polling(row(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, 1, Category::GroupMember, &StreamsGroupHeartbeat)),
    row(ApiKey::STREAMS_GROUP_DESCRIBE, 0, 1, Category::Read, &STREAMS_GROUP_DESCRIBE),
    row(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, 0, 1, Category::Read, &DescribeShareGroupOffsets),
    row(ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0, 0, Category::GroupWrite, &share_offsets::ALTER),
    row(ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0, 0, Category::GroupWrite, &share_offsets::DELETE),
    row(
        ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE,
        0,
        0,
        Category::GroupMember,
        &StreamsGroupTopologyDescriptionUpdate,
    ),
    row(ApiKey::UNREGISTER_CONTROLLER, 0, 0, Category::ClusterWrite, &by_cluster::UNREGISTER_CONTROLLER),
];

const fn row(key: ApiKey, min: i16, max: i16, category: Category, rule: &'static dyn Rule) -> Row {
    let versions = Versions { min, max };
    Row { key, versions, category, polling: false, advertised: true, narrower: "", rule }
}

const fn polling(row: Row) -> Row {
    Row { polling: true, ..row }
}

/// Says why versions that Kafka has are missing.
const fn narrower(row: Row, why: &'static str) -> Row {
    Row { narrower: why, ..row }
}

/// Served to those who ask, but ApiVersions does not tell of it.
const fn unadvertised(row: Row, why: &'static str) -> Row {
    Row { advertised: false, narrower: why, ..row }
}

const TELEMETRY: &str = "answered as the broker answers it; told of with `cluster.client_telemetry: forward`";

/// Keys below this have a place in the index.
const KEYS: usize = 128;

static INDEX: LazyLock<[Option<&'static Row>; KEYS]> = LazyLock::new(|| {
    let mut index = [None; KEYS];
    for row in TABLE {
        if let Some(place) = usize::try_from(row.key.0).ok().and_then(|key| index.get_mut(key)) {
            *place = Some(row);
        }
    }
    index
});

/// The row of an API, whatever the version.
pub fn find(key: ApiKey) -> Option<&'static Row> {
    usize::try_from(key.0).ok().and_then(|key| INDEX.get(key).copied().flatten())
}

/// The row that serves an API in a version.
///
/// # Errors
/// There is none: the connection closes for this reason, as a broker closes it (kafka-authorization 1.0.2).
pub fn row_of(key: ApiKey, version: i16) -> Result<&'static Row, CloseReason> {
    let row = find(key).ok_or(CloseReason::UnknownApi)?;
    if row.versions.contains(version) { Ok(row) } else { Err(CloseReason::UnsupportedVersion) }
}

/// The permit of an API that demands nothing of a request as a whole: what it shows is decided with the answer.
pub(super) fn open_row(key: ApiKey) -> Permit {
    Permit::for_open_row(key)
}

/// Why a request whose header names a version that Kafka does not have is refused.
pub fn why_refused(key: ApiKey) -> CloseReason {
    if find(key).is_some() { CloseReason::UnsupportedVersion } else { CloseReason::UnknownApi }
}

/// The answer to ApiVersions in a version that is not served: only the API itself, with its range
/// (KIP-511; `ApiVersionsRequest.getErrorResponse`, Kafka 4.1).
pub fn unsupported_api_versions(broker: Option<Versions>) -> Node {
    let own = find(ApiKey::API_VERSIONS).map_or(Versions { min: 0, max: 0 }, |row| row.versions);
    let range = broker.map_or(own, |broker| own.intersect(broker));
    let mut answer = Node::response(ApiKey::API_VERSIONS).with(res::ERROR_CODE, ErrorCode::UNSUPPORTED_VERSION);
    let entry = answer
        .child(res::API_KEYS)
        .with(api_version::API_KEY, ApiKey::API_VERSIONS.0)
        .with(api_version::MIN_VERSION, range.min)
        .with(api_version::MAX_VERSION, range.max);
    answer.push(res::API_KEYS, entry);
    answer
}

#[cfg(test)]
mod tests;
