//! That no field of a served API names something which nobody is asked about.
//!
//! The fields are those of the schema: a new one in a new Kafka, or in a new row of the table, fails here until it is
//! decided on, or listed with the reason why it need not be. Rows that refuse everybody forward nothing and are left out.

use super::rule::Verdict;
use super::table::{Row, TABLE};
use super::testing::{Bench, id};
use crate::model::{Resource, ResourceType, TopicId};
use crate::wire::schema::{EntityField, EntityKind, Initial, Kind, StructDef, entities};
use crate::wire::{ApiKey, Node, Value, api};
use std::collections::{BTreeMap, BTreeSet};

/// Fields of requests that name something and are not asked about, and why.
const UNASKED: &[(&str, &str)] = &[
    ("Fetch ForgottenTopicsData.Topic", "takes a topic out of a session; shows nothing"),
    ("Fetch ForgottenTopicsData.TopicId", "takes a topic out of a session; shows nothing"),
    ("ConsumerGroupHeartbeat TopicPartitions.TopicId", "what the member says it owns; answered by ids assigned to it"),
    ("CreateAcls Creations.Host", "of an ACL: kept, not asked about, as in Kafka"),
    ("DescribeTopicPartitions Cursor.TopicName", "where to go on in a list that is asked about name by name"),
    ("AddPartitionsToTxn Transactions.TransactionalId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
    ("AddPartitionsToTxn Transactions.Topics.Name", "brokers only: CLUSTER_ACTION; own topics are refused by name"),
    ("WriteTxnMarkers Markers.Topics.Name", "ALTER or CLUSTER_ACTION; own topics are refused by name"),
    ("AlterReplicaLogDirs Dirs.Topics.Name", "ALTER on the cluster; own topics are refused by name"),
    ("DescribeLogDirs Topics.Topic", "DESCRIBE on the cluster; the answer is filtered"),
    ("ElectLeaders TopicPartitions.Topic", "ALTER on the cluster; own topics are refused by name"),
    ("AlterPartitionReassignments Topics.Name", "ALTER on the cluster; own topics are refused by name"),
    ("ListPartitionReassignments Topics.Name", "DESCRIBE on the cluster; the answer is filtered"),
    ("AddRaftVoter Listeners.Host", "where a controller listens; ALTER on the cluster"),
    ("AddRaftVoter Listeners.Port", "where a controller listens; ALTER on the cluster"),
    ("DescribeQuorum Topics.TopicName", "the log of the quorum, which is no topic; brokers know no other"),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.Nodes.SourceTopics",
        "text that others are shown; own topics are refused by name",
    ),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.Nodes.SinkTopic",
        "text that others are shown; own topics are refused by name",
    ),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Source.SourceTopics",
        "text that others are shown; own topics are refused by name",
    ),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Source.SinkTopic",
        "text that others are shown; own topics are refused by name",
    ),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Processor.SourceTopics",
        "text that others are shown; own topics are refused by name",
    ),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Processor.SinkTopic",
        "text that others are shown; own topics are refused by name",
    ),
    ("StreamsGroupHeartbeat UserEndpoint.Host", "what the application says of itself"),
    ("StreamsGroupHeartbeat UserEndpoint.Port", "what the application says of itself"),
    ("ShareFetch ForgottenTopicsData.TopicId", "takes a topic out of a session; shows nothing"),
    ("ShareAcknowledge Topics.TopicId", "asked once the session is known; its own tests prove it"),
    ("InitializeShareGroupState Topics.TopicId", "brokers only: CLUSTER_ACTION; own topics are refused by id"),
    ("ReadShareGroupState Topics.TopicId", "brokers only: CLUSTER_ACTION; own topics are refused by id"),
    ("WriteShareGroupState Topics.TopicId", "brokers only: CLUSTER_ACTION; own topics are refused by id"),
    ("DeleteShareGroupState Topics.TopicId", "brokers only: CLUSTER_ACTION; own topics are refused by id"),
    ("ReadShareGroupStateSummary Topics.TopicId", "brokers only: CLUSTER_ACTION; own topics are refused by id"),
];

/// What becomes of a field of an answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// It repeats a name of the request, which was decided on there.
    Echo,
    /// It is taken out, or its entry refused, where it may not be seen; tests of the rule prove it.
    Filtered,
    /// The proxy's own address stands in its place.
    Rewritten,
    /// Kafka shows it without asking.
    AsInKafka(&'static str),
}

use Shown::{AsInKafka, Echo, Filtered, Rewritten};

/// Fields of answers that name something.
const ANSWERS: &[(&str, Shown)] = &[
    ("Produce Responses.Name", Echo),
    ("Produce Responses.TopicId", Echo),
    ("Produce NodeEndpoints.Host", Rewritten),
    ("Produce NodeEndpoints.Port", Rewritten),
    ("Fetch Responses.Topic", Filtered),
    ("Fetch Responses.TopicId", Filtered),
    ("Fetch NodeEndpoints.Host", Rewritten),
    ("Fetch NodeEndpoints.Port", Rewritten),
    ("ListOffsets Topics.Name", Echo),
    ("Metadata Brokers.Host", Rewritten),
    ("Metadata Brokers.Port", Rewritten),
    ("Metadata Topics.Name", Filtered),
    ("Metadata Topics.TopicId", Filtered),
    ("OffsetCommit Topics.Name", Echo),
    ("OffsetCommit Topics.TopicId", Echo),
    ("OffsetFetch Topics.Name", Filtered),
    ("OffsetFetch Groups.GroupId", Echo),
    ("OffsetFetch Groups.Topics.Name", Filtered),
    ("OffsetFetch Groups.Topics.TopicId", Filtered),
    ("FindCoordinator Host", Rewritten),
    ("FindCoordinator Port", Rewritten),
    ("FindCoordinator Coordinators.Host", Rewritten),
    ("FindCoordinator Coordinators.Port", Rewritten),
    ("DescribeGroups Groups.GroupId", Echo),
    ("DescribeGroups Groups.Members.ClientHost", AsInKafka("the address of a member, here the proxy's")),
    ("ListGroups Groups.GroupId", Filtered),
    ("CreateTopics Topics.Name", Echo),
    ("CreateTopics Topics.TopicId", Echo),
    ("DeleteTopics Responses.Name", Filtered),
    ("DeleteTopics Responses.TopicId", Echo),
    ("DeleteRecords Topics.Name", Echo),
    ("OffsetForLeaderEpoch Topics.Topic", Echo),
    ("AddPartitionsToTxn ResultsByTransaction.TransactionalId", Echo),
    ("AddPartitionsToTxn ResultsByTransaction.TopicResults.Name", Echo),
    ("AddPartitionsToTxn ResultsByTopicV3AndBelow.Name", Echo),
    ("WriteTxnMarkers Markers.Topics.Name", Echo),
    ("TxnOffsetCommit Topics.Name", Echo),
    ("TxnOffsetCommit Topics.TopicId", Echo),
    ("DescribeAcls Resources.Acls.Host", AsInKafka("of an ACL: no address of the cluster")),
    ("DeleteAcls FilterResults.MatchingAcls.Host", AsInKafka("of an ACL: no address of the cluster")),
    ("AlterReplicaLogDirs Results.TopicName", Echo),
    ("DescribeLogDirs Results.Topics.Name", Filtered),
    ("CreatePartitions Results.Name", Echo),
    ("DeleteGroups Results.GroupId", Echo),
    ("ElectLeaders ReplicaElectionResults.Topic", Filtered),
    ("AlterPartitionReassignments Responses.Name", Echo),
    ("ListPartitionReassignments Topics.Name", Filtered),
    ("OffsetDelete Topics.Name", Echo),
    ("DescribeQuorum Topics.TopicName", Echo),
    ("DescribeQuorum Nodes.Listeners.Host", Rewritten),
    ("DescribeQuorum Nodes.Listeners.Port", Rewritten),
    ("DescribeCluster Brokers.Host", Rewritten),
    ("DescribeCluster Brokers.Port", Rewritten),
    ("DescribeProducers Topics.Name", Echo),
    ("DescribeTransactions TransactionStates.TransactionalId", Echo),
    ("DescribeTransactions TransactionStates.Topics.Topic", Filtered),
    ("ListTransactions TransactionStates.TransactionalId", Filtered),
    ("ConsumerGroupHeartbeat Assignment.TopicPartitions.TopicId", Filtered),
    ("ConsumerGroupDescribe Groups.GroupId", Echo),
    ("ConsumerGroupDescribe Groups.Members.ClientHost", AsInKafka("the address of a member, here the proxy's")),
    (
        "ConsumerGroupDescribe Groups.Members.SubscribedTopicNames",
        AsInKafka("names that members said, existing or not"),
    ),
    ("ConsumerGroupDescribe Groups.Members.Assignment.TopicPartitions.TopicId", Filtered),
    ("ConsumerGroupDescribe Groups.Members.Assignment.TopicPartitions.TopicName", Filtered),
    ("ConsumerGroupDescribe Groups.Members.TargetAssignment.TopicPartitions.TopicId", Filtered),
    ("ConsumerGroupDescribe Groups.Members.TargetAssignment.TopicPartitions.TopicName", Filtered),
    ("DescribeTopicPartitions Topics.Name", Filtered),
    ("DescribeTopicPartitions Topics.TopicId", Filtered),
    ("DescribeTopicPartitions NextCursor.TopicName", Filtered),
    ("ShareGroupHeartbeat Assignment.TopicPartitions.TopicId", Filtered),
    ("ShareGroupDescribe Groups.GroupId", Echo),
    ("ShareGroupDescribe Groups.Members.ClientHost", AsInKafka("the address of a member, here the proxy's")),
    ("ShareGroupDescribe Groups.Members.SubscribedTopicNames", AsInKafka("names that members said, existing or not")),
    ("ShareGroupDescribe Groups.Members.Assignment.TopicPartitions.TopicId", Filtered),
    ("ShareGroupDescribe Groups.Members.Assignment.TopicPartitions.TopicName", Filtered),
    ("ShareFetch Responses.TopicId", Filtered),
    ("ShareFetch NodeEndpoints.Host", Rewritten),
    ("ShareFetch NodeEndpoints.Port", Rewritten),
    ("ShareAcknowledge Responses.TopicId", Echo),
    ("ShareAcknowledge NodeEndpoints.Host", Rewritten),
    ("ShareAcknowledge NodeEndpoints.Port", Rewritten),
    ("InitializeShareGroupState Results.TopicId", Echo),
    ("ReadShareGroupState Results.TopicId", Echo),
    ("WriteShareGroupState Results.TopicId", Echo),
    ("DeleteShareGroupState Results.TopicId", Echo),
    ("ReadShareGroupStateSummary Results.TopicId", Echo),
    ("StreamsGroupDescribe Groups.GroupId", Echo),
    ("StreamsGroupDescribe Groups.Topology.Subtopologies.SourceTopics", Filtered),
    ("StreamsGroupDescribe Groups.Topology.Subtopologies.RepartitionSinkTopics", Filtered),
    ("StreamsGroupDescribe Groups.Topology.Subtopologies.StateChangelogTopics.Name", Filtered),
    ("StreamsGroupDescribe Groups.Topology.Subtopologies.RepartitionSourceTopics.Name", Filtered),
    ("StreamsGroupDescribe Groups.Members.ClientHost", AsInKafka("the address of a member, here the proxy's")),
    ("StreamsGroupDescribe Groups.Members.UserEndpoint.Host", AsInKafka("what the application says of itself")),
    ("StreamsGroupDescribe Groups.Members.UserEndpoint.Port", AsInKafka("what the application says of itself")),
    ("StreamsGroupDescribe Groups.TopologyDescription.Subtopologies.Nodes.SourceTopics", Filtered),
    ("StreamsGroupDescribe Groups.TopologyDescription.Subtopologies.Nodes.SinkTopic", Filtered),
    ("StreamsGroupDescribe Groups.TopologyDescription.GlobalStores.Source.SourceTopics", Filtered),
    ("StreamsGroupDescribe Groups.TopologyDescription.GlobalStores.Source.SinkTopic", Filtered),
    ("StreamsGroupDescribe Groups.TopologyDescription.GlobalStores.Processor.SourceTopics", Filtered),
    ("StreamsGroupDescribe Groups.TopologyDescription.GlobalStores.Processor.SinkTopic", Filtered),
    (
        "StreamsGroupHeartbeat PartitionsByUserEndpoint.UserEndpoint.Host",
        AsInKafka("what the application says of itself"),
    ),
    (
        "StreamsGroupHeartbeat PartitionsByUserEndpoint.UserEndpoint.Port",
        AsInKafka("what the application says of itself"),
    ),
    ("StreamsGroupHeartbeat PartitionsByUserEndpoint.ActivePartitions.Topic", Filtered),
    ("StreamsGroupHeartbeat PartitionsByUserEndpoint.StandbyPartitions.Topic", Filtered),
    ("DescribeShareGroupOffsets Groups.GroupId", Echo),
    ("DescribeShareGroupOffsets Groups.Topics.TopicName", Filtered),
    ("DescribeShareGroupOffsets Groups.Topics.TopicId", Filtered),
    ("AlterShareGroupOffsets Responses.TopicName", Echo),
    ("AlterShareGroupOffsets Responses.TopicId", AsInKafka("of topics that the request names, also of denied ones")),
    ("DeleteShareGroupOffsets Responses.TopicName", Echo),
    ("DeleteShareGroupOffsets Responses.TopicId", Echo),
];

/// Strings, bytes and UUIDs of requests of which the schema does not say that they name something, and what they hold.
/// Those in capitals do name something: their rules ask about them, and their own tests prove it.
const PLAIN: &[(&str, &str)] = &[
    ("Produce TopicData.PartitionData.Records", "records"),
    ("Fetch ClusterId", "the cluster that a follower means"),
    ("Fetch Topics.Partitions.ReplicaDirectoryId", "directory of a follower"),
    ("Fetch RackId", "where the client is"),
    ("OffsetCommit MemberId", "member of the group"),
    ("OffsetCommit GroupInstanceId", "member of the group"),
    ("OffsetCommit Topics.Partitions.CommittedMetadata", "the client's note"),
    ("OffsetFetch Groups.MemberId", "member of the group"),
    ("FindCoordinator Key", "GROUP, TRANSACTIONAL ID or share partition"),
    ("FindCoordinator CoordinatorKeys", "GROUPS, TRANSACTIONAL IDS or share partitions"),
    ("JoinGroup MemberId", "member of the group"),
    ("JoinGroup GroupInstanceId", "member of the group"),
    ("JoinGroup ProtocolType", "kind of group"),
    ("JoinGroup Protocols.Name", "assignor"),
    ("JoinGroup Protocols.Metadata", "a subscription that only members read; Kafka asks nobody"),
    ("JoinGroup Reason", "the client's note"),
    ("Heartbeat MemberId", "member of the group"),
    ("Heartbeat GroupInstanceId", "member of the group"),
    ("LeaveGroup MemberId", "member of the group"),
    ("LeaveGroup Members.MemberId", "member of the group"),
    ("LeaveGroup Members.GroupInstanceId", "member of the group"),
    ("LeaveGroup Members.Reason", "the client's note"),
    ("SyncGroup MemberId", "member of the group"),
    ("SyncGroup GroupInstanceId", "member of the group"),
    ("SyncGroup ProtocolType", "kind of group"),
    ("SyncGroup ProtocolName", "assignor"),
    ("SyncGroup Assignments.MemberId", "member of the group"),
    ("SyncGroup Assignments.Assignment", "an assignment that only members read; Kafka asks nobody"),
    ("ListGroups StatesFilter", "states"),
    ("ListGroups TypesFilter", "kinds of group"),
    ("SaslHandshake Mechanism", "name of a mechanism; answered here"),
    ("SaslAuthenticate AuthBytes", "bytes of a mechanism; answered here"),
    ("ApiVersions ClientSoftwareName", "the client's claim"),
    ("ApiVersions ClientSoftwareVersion", "the client's claim"),
    ("ApiVersions ClusterId", "the cluster that the client means; answered by the proxy"),
    ("CreateTopics Topics.Configs.Name", "a setting of the topic"),
    ("CreateTopics Topics.Configs.Value", "a setting of the topic"),
    ("TxnOffsetCommit MemberId", "member of the group"),
    ("TxnOffsetCommit GroupInstanceId", "member of the group"),
    ("TxnOffsetCommit Topics.Partitions.CommittedMetadata", "the client's note"),
    ("DescribeAcls ResourceNameFilter", "what an ACL is about: within the reach of the caller's right on ACLs"),
    ("DescribeAcls PrincipalFilter", "of an ACL: kept, not asked about, as in Kafka"),
    ("DescribeAcls HostFilter", "of an ACL: kept, not asked about, as in Kafka"),
    ("CreateAcls Creations.ResourceName", "what an ACL is about: within the reach of the caller's right on ACLs"),
    ("CreateAcls Creations.Principal", "of an ACL: kept, not asked about, as in Kafka"),
    ("DeleteAcls Filters.ResourceNameFilter", "what an ACL is about: within the reach of the caller's right on ACLs"),
    ("DeleteAcls Filters.PrincipalFilter", "of an ACL: kept, not asked about, as in Kafka"),
    ("DeleteAcls Filters.HostFilter", "of an ACL: kept, not asked about, as in Kafka"),
    ("AlterReplicaLogDirs Dirs.Path", "a directory of the broker"),
    ("CreateDelegationToken OwnerPrincipalType", "USER; answered here"),
    ("CreateDelegationToken OwnerPrincipalName", "USER; answered here"),
    ("CreateDelegationToken Renewers.PrincipalType", "a user; answered here"),
    ("CreateDelegationToken Renewers.PrincipalName", "a user; answered here"),
    ("RenewDelegationToken Hmac", "a secret; answered here"),
    ("ExpireDelegationToken Hmac", "a secret; answered here"),
    ("DescribeDelegationToken Owners.PrincipalType", "a user; answered here"),
    ("DescribeDelegationToken Owners.PrincipalName", "a user; answered here"),
    ("DescribeClientQuotas Components.EntityType", "kind of client; DESCRIBE_CONFIGS on the cluster shows all quotas"),
    ("DescribeClientQuotas Components.Match", "client; DESCRIBE_CONFIGS on the cluster shows all quotas"),
    ("AlterClientQuotas Entries.Entity.EntityType", "kind of client; ALTER_CONFIGS on the cluster"),
    (
        "AlterClientQuotas Entries.Entity.EntityName",
        "CLIENT: those that the proxy's own traffic falls under are refused",
    ),
    ("AlterClientQuotas Entries.Ops.Key", "a quota"),
    ("DescribeUserScramCredentials Users.Name", "login at the brokers; DESCRIBE on the cluster shows all"),
    ("AlterUserScramCredentials Deletions.Name", "LOGIN at the brokers: the proxy's own are refused"),
    ("AlterUserScramCredentials Upsertions.Name", "LOGIN at the brokers: the proxy's own are refused"),
    ("AlterUserScramCredentials Upsertions.Salt", "a secret"),
    ("AlterUserScramCredentials Upsertions.SaltedPassword", "a secret"),
    ("UpdateFeatures FeatureUpdates.Feature", "a feature"),
    ("GetTelemetrySubscriptions ClientInstanceId", "the client's number for itself"),
    ("PushTelemetry ClientInstanceId", "the client's number for itself"),
    ("PushTelemetry Metrics", "metrics of the client; Kafka asks nobody"),
    ("AddRaftVoter ClusterId", "the cluster that the client means"),
    ("AddRaftVoter VoterDirectoryId", "directory of a controller; ALTER on the cluster"),
    ("AddRaftVoter Listeners.Name", "where a controller listens; ALTER on the cluster"),
    ("RemoveRaftVoter ClusterId", "the cluster that the client means"),
    ("RemoveRaftVoter VoterDirectoryId", "directory of a controller; ALTER on the cluster"),
    ("StreamsGroupTopologyDescriptionUpdate MemberId", "member of the group"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.SubtopologyId", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.Nodes.Name", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.Nodes.Stores", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.Subtopologies.Nodes.Successors", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Source.Name", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Source.Stores", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Source.Successors", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Processor.Name", "the client's note"),
    ("StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Processor.Stores", "the client's note"),
    (
        "StreamsGroupTopologyDescriptionUpdate TopologyDescription.GlobalStores.Processor.Successors",
        "the client's note",
    ),
    ("DescribeConfigs Resources.ResourceName", "TOPIC, GROUP, broker or client metrics"),
    ("DescribeConfigs Resources.ConfigurationKeys", "settings"),
    ("AlterConfigs Resources.ResourceName", "TOPIC, GROUP, broker or client metrics"),
    ("AlterConfigs Resources.Configs.Name", "SETTING: a broker's only from the safe set"),
    ("AlterConfigs Resources.Configs.Value", "a setting"),
    ("IncrementalAlterConfigs Resources.ResourceName", "TOPIC, GROUP, broker or client metrics"),
    ("IncrementalAlterConfigs Resources.Configs.Name", "SETTING: a broker's only from the safe set"),
    ("IncrementalAlterConfigs Resources.Configs.Value", "a setting"),
    ("ListTransactions StateFilters", "states"),
    ("ListTransactions TransactionalIdPattern", "narrows a list that is filtered on the answer"),
    ("ConsumerGroupHeartbeat MemberId", "member of the group"),
    ("ConsumerGroupHeartbeat InstanceId", "member of the group"),
    ("ConsumerGroupHeartbeat RackId", "where the client is"),
    ("ConsumerGroupHeartbeat SubscribedTopicRegex", "TOPICS by a pattern: refused (threat 22)"),
    ("ConsumerGroupHeartbeat ServerAssignor", "assignor"),
    ("ShareGroupHeartbeat MemberId", "member of the group"),
    ("ShareGroupHeartbeat RackId", "where the client is"),
    (
        "StreamsGroupHeartbeat MemberId",
        "member of the group; with it a topology that its connection has passed (threat 6)",
    ),
    ("StreamsGroupHeartbeat InstanceId", "member of the group"),
    ("StreamsGroupHeartbeat RackId", "where the client is"),
    ("StreamsGroupHeartbeat Topology.Subtopologies.SubtopologyId", "part of the application"),
    ("StreamsGroupHeartbeat Topology.Subtopologies.SourceTopicRegex", "TOPICS by a pattern: refused (threat 22)"),
    (
        "StreamsGroupHeartbeat Topology.Subtopologies.StateChangelogTopics.TopicConfigs.Key",
        "a setting of a topic to create",
    ),
    (
        "StreamsGroupHeartbeat Topology.Subtopologies.StateChangelogTopics.TopicConfigs.Value",
        "a setting of a topic to create",
    ),
    (
        "StreamsGroupHeartbeat Topology.Subtopologies.RepartitionSourceTopics.TopicConfigs.Key",
        "a setting of a topic to create",
    ),
    (
        "StreamsGroupHeartbeat Topology.Subtopologies.RepartitionSourceTopics.TopicConfigs.Value",
        "a setting of a topic to create",
    ),
    ("StreamsGroupHeartbeat ActiveTasks.SubtopologyId", "part of the application"),
    ("StreamsGroupHeartbeat StandbyTasks.SubtopologyId", "part of the application"),
    ("StreamsGroupHeartbeat WarmupTasks.SubtopologyId", "part of the application"),
    ("StreamsGroupHeartbeat ProcessId", "process of the application"),
    ("StreamsGroupHeartbeat ClientTags.Key", "what the application says of itself"),
    ("StreamsGroupHeartbeat ClientTags.Value", "what the application says of itself"),
    ("StreamsGroupHeartbeat TaskOffsets.SubtopologyId", "part of the application"),
    ("StreamsGroupHeartbeat TaskEndOffsets.SubtopologyId", "part of the application"),
    ("ShareFetch MemberId", "member of the group; with it a session that only its connection may use (threat 1)"),
    ("ShareAcknowledge MemberId", "member of the group; with it a session that only its connection may use (threat 1)"),
    ("InitializeShareGroupState GroupId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
    ("ReadShareGroupState GroupId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
    ("WriteShareGroupState GroupId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
    ("DeleteShareGroupState GroupId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
    ("ReadShareGroupStateSummary GroupId", "brokers only: CLUSTER_ACTION is asked for, as in Kafka"),
];

pub(super) fn open_rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter()
}

/// Names of resources and addresses; producer and broker ids are neither.
fn naming(row: &Row, response: bool) -> Vec<EntityField> {
    entities()
        .into_iter()
        .filter(|e| e.api == row.key && e.response == response)
        .filter(|e| !matches!(e.kind, EntityKind::ProducerId | EntityKind::BrokerId))
        .collect()
}

/// `Api Path`, as the lists above have it.
fn place(api: ApiKey, path: &str) -> String {
    format!("{} {path}", api.name())
}

/// Which of two readings a sample has, where an element may be named or numbered.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    ByName,
    ById,
}

/// A request in which every field that names something holds its own path, or an id whose name is its path; arrays have
/// one element, strings a word, numbers their default.
pub(super) struct Sample {
    reading: Reading,
    naming: BTreeSet<String>,
    pub(super) ids: Vec<String>,
}

impl Sample {
    pub(super) fn of(row: &Row, reading: Reading) -> (Self, Node) {
        let naming = naming(row, false).into_iter().map(|e| e.path).collect();
        let mut sample = Self { reading, naming, ids: Vec::new() };
        let node = sample.fill("", api(row.key).unwrap().request.root);
        (sample, node)
    }

    fn fill(&mut self, parent: &str, def: &'static StructDef) -> Node {
        let mut node = Node::new(def);
        for (field, of) in def.fields() {
            let path = if parent.is_empty() { of.name.to_owned() } else { format!("{parent}.{}", of.name) };
            let known = self.naming.contains(&path);
            let value = match &of.kind {
                // A cursor: absent in a first request. A topology is what a first request is about.
                Kind::Struct(_) if !of.nullable.is_empty() && of.name != "Topology" => Value::Null,
                Kind::Struct(inner) => Value::from(self.fill(&path, inner)),
                // The first request of a share session acknowledges nothing: brokers refuse its form before they look at topics.
                Kind::Array(Kind::Struct(_)) if of.name == "AcknowledgementBatches" => Value::from(Vec::<Node>::new()),
                Kind::Array(Kind::Struct(inner)) => Value::from(vec![self.fill(&path, inner)]),
                // Nobody is asked about a topic of which no partition is named.
                Kind::Array(Kind::I32) if of.name == "Partitions" => Value::from(vec![0i32]),
                Kind::Uuid if known => Value::Uuid(self.id(path)),
                Kind::Array(Kind::Uuid) if known => Value::from(vec![self.id(path)]),
                Kind::Str if known && self.has_twin(def) && self.reading == Reading::ById => {
                    if of.initial == Initial::Null || !of.nullable.is_empty() { Value::Null } else { Value::from("") }
                }
                Kind::Str if known => Value::from(path),
                Kind::Array(Kind::Str) if known => Value::from(vec![path]),
                Kind::Str => Value::from("word"),
                Kind::Records => Value::Bytes(transactional_records()),
                _ => continue,
            };
            node.set(field, value);
        }
        node
    }

    /// Whether elements of this kind may be given by name or by id.
    fn has_twin(&self, def: &'static StructDef) -> bool {
        def.fields.iter().any(|f| f.name == "TopicId")
    }

    fn id(&mut self, path: String) -> TopicId {
        if self.reading == Reading::ByName {
            return TopicId::ZERO;
        }
        self.ids.push(path);
        id(u8::try_from(self.ids.len()).unwrap())
    }
}

fn transactional_records() -> bytes::Bytes {
    let mut batch = vec![0; 61];
    (batch[16], batch[22]) = (2, 0x10);
    batch.into()
}

fn kind_of(entity: EntityKind) -> ResourceType {
    match entity {
        EntityKind::TopicName | EntityKind::TopicId => ResourceType::Topic,
        EntityKind::GroupId => ResourceType::Group,
        EntityKind::TransactionalId => ResourceType::TransactionalId,
        EntityKind::ProducerId | EntityKind::BrokerId | EntityKind::Address => ResourceType::Cluster,
    }
}

/// All rights on all that has a name, none on the cluster, so that no fallback takes the place of a name.
const ALL_BUT_CLUSTER: &str =
    r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*", "group:*", "transactional_id:*"] }"#;

#[test]
fn every_name_in_a_request_is_asked_about_before_anything_is_forwarded() {
    let mut asked: BTreeMap<String, bool> = BTreeMap::new();
    for row in open_rows() {
        for reading in [Reading::ByName, Reading::ById] {
            let (sample, node) = Sample::of(row, reading);
            let ids: Vec<&str> = sample.ids.iter().map(String::as_str).collect();
            for version in row.versions.min..=row.versions.max {
                let mut bench = Bench::acls(&[ALL_BUT_CLUSTER]).topics(&ids);
                bench.looked_up = true;
                let verdict = bench.judge(row.rule, row.key, version, &node);
                let goes_on = !matches!(verdict, Verdict::Answer(_) | Verdict::Refuse(_) | Verdict::Silence);
                let decided = bench.decided();
                for field in naming(row, false) {
                    let here = place(row.key, &field.path);
                    let on_wire = field.def.versions.contains(version);
                    let given = match field.kind {
                        EntityKind::TopicId => reading == Reading::ById,
                        _ => reading == Reading::ByName || !is_twin(row, &field.path),
                    };
                    if !on_wire || !given || UNASKED.iter().any(|(place, _)| *place == here) {
                        continue;
                    }
                    let resource = Resource::new(kind_of(field.kind), &field.path).to_string();
                    let was = decided.iter().any(|line| line.split(' ').nth(1) == Some(&resource));
                    assert!(was || !goes_on, "{here} v{version} goes on and was not asked about: {decided:?}");
                    *asked.entry(here).or_default() |= was;
                }
            }
        }
    }
    let never: Vec<&String> = asked.iter().filter(|(_, was)| !**was).map(|(place, _)| place).collect();
    assert!(never.is_empty(), "never asked about in any version: {never:?}");
    assert!(asked.len() > 30, "{}", asked.len());
}

/// Whether the field stands beside an id of the same thing.
fn is_twin(row: &Row, path: &str) -> bool {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    naming(row, false).iter().any(|other| {
        other.kind == EntityKind::TopicId && other.path.rsplit_once('.').map_or("", |(parent, _)| parent) == parent
    })
}

#[test]
fn every_name_and_address_in_an_answer_is_classified_once() {
    let fields: Vec<String> = open_rows().flat_map(|row| naming(row, true)).map(|e| place(e.api, &e.path)).collect();
    let listed: Vec<&str> = ANSWERS.iter().map(|(place, _)| *place).collect();
    let missing: Vec<&String> = fields.iter().filter(|f| !listed.contains(&f.as_str())).collect();
    assert!(missing.is_empty(), "say what becomes of {missing:?}");
    let stale: Vec<&&str> = listed.iter().filter(|l| !fields.iter().any(|f| f == *l)).collect();
    assert!(stale.is_empty(), "{stale:?}");
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
    for field in open_rows().flat_map(|row| naming(row, true)) {
        let here = place(field.api, &field.path);
        let shown = ANSWERS.iter().find(|(place, _)| *place == here).unwrap().1;
        match shown {
            AsInKafka(why) => assert!(!why.is_empty(), "{here}"),
            Echo | Filtered | Rewritten => {
                assert_eq!(shown == Rewritten, field.kind == EntityKind::Address, "{here}");
            }
        }
    }
}

#[test]
fn every_other_text_in_a_request_is_known_to_name_nothing_or_is_asked_about_by_its_rule() {
    fn texts(place: &str, def: &'static StructDef, found: &mut Vec<String>) {
        for of in def.fields {
            let path =
                if place.ends_with(' ') { format!("{place}{}", of.name) } else { format!("{place}.{}", of.name) };
            match &of.kind {
                Kind::Struct(inner) | Kind::Array(Kind::Struct(inner)) => texts(&path, inner, found),
                Kind::Str | Kind::Bytes | Kind::Records | Kind::Uuid => found.push(path),
                Kind::Array(Kind::Str | Kind::Uuid) => found.push(path),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for row in open_rows() {
        texts(&format!("{} ", row.key.name()), api(row.key).unwrap().request.root, &mut found);
    }
    let named: BTreeSet<String> =
        open_rows().flat_map(|row| naming(row, false)).map(|e| place(e.api, &e.path)).collect();
    found.retain(|path| !named.contains(path));
    let missing: Vec<&String> = found.iter().filter(|f| !PLAIN.iter().any(|(p, _)| p == f)).collect();
    assert!(missing.is_empty(), "say what they hold: {missing:?}");
    let stale: Vec<&str> = PLAIN.iter().map(|(p, _)| *p).filter(|p| !found.iter().any(|f| f == p)).collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[test]
fn the_list_of_names_that_nobody_is_asked_about_is_not_stale() {
    let named: BTreeSet<String> =
        open_rows().flat_map(|row| naming(row, false)).map(|e| place(e.api, &e.path)).collect();
    for (place, why) in UNASKED {
        assert!(named.contains(*place) && !why.is_empty(), "{place}");
    }
}
