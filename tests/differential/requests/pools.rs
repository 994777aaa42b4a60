//! Values of single fields, by their names.

use bytes::Bytes;
use kordon::model::TopicId;
use kordon::wire::ApiKey;
use kordon::wire::schema::{Entity, FieldDef};

use super::Maker;
use crate::names::{SLOT_16, SLOT_64, UNKNOWN_ID};
use crate::records::{By, batch};

/// Slots that a world fills when it begins: a producer and its epoch, three times.
pub const PRODUCERS: [usize; 3] = [0, 2, 4];

impl Maker<'_> {
    /// How often a field that may be null is null, in percent.
    pub(super) fn nulls(&self, at: &str) -> usize {
        match at {
            // A broker never answers these.
            "TopicData.PartitionData.Records" => 0,
            "TransactionalId" if self.key == ApiKey::PRODUCE => 75,
            "TransactionalId" => 25,
            "Cursor" => 70,
            _ if at.ends_with("Metadata") => 20,
            _ if at.ends_with("InstanceId") || at.ends_with("RackId") || at.ends_with("Reason") => 80,
            _ if at.ends_with("SubscribedTopicNames") || at.ends_with("Value") => 15,
            _ => 18,
        }
    }

    /// How often a flag is set, in percent.
    pub(super) fn yes(&self, name: &str) -> usize {
        match name {
            "AllowAutoTopicCreation" => 40,
            "validateOnly" | "ValidateOnly" => 35,
            _ => 50,
        }
    }

    pub(super) fn text(&mut self, at: &str, def: &FieldDef) -> String {
        match def.entity {
            Entity::TopicName => return self.topic(),
            Entity::GroupId => return self.names.group(self.rng),
            Entity::TransactionalId => return self.names.transaction(self.rng),
            Entity::None | Entity::ProducerId | Entity::BrokerId => {}
        }
        let rng = &mut *self.rng;
        match (self.key, def.name) {
            (_, "GroupId") => self.names.group(rng),
            (_, "ClientSoftwareName" | "ClientSoftwareVersion") => {
                rng.weighted(&[(80, "test"), (5, ""), (5, "-no"), (5, "with space"), (5, "1.0.0")]).to_owned()
            }
            (_, "MemberId" | "LeaderId") => rng.pick(&["", "", "nobody", "‹0›", "‹1›"]).to_owned(),
            (_, "GroupInstanceId" | "InstanceId") => rng.pick(&["instance", ""]).to_owned(),
            (_, "RackId") => rng.pick(&["", "rack"]).to_owned(),
            (_, "ProtocolType") => rng.weighted(&[(85, "consumer"), (8, ""), (7, "other")]).to_owned(),
            (_, "ProtocolName") => rng.pick(&["range", "range", "other"]).to_owned(),
            (ApiKey::JOIN_GROUP, "Name") => rng.pick(&["range", "range", "sticky"]).to_owned(),
            (_, "Reason") => "because".to_owned(),
            (_, "CommittedMetadata") => rng.pick(&["", "note"]).to_owned(),
            (_, "StatesFilter") => rng.pick(&["Stable", "Empty", "empty", "Dead", "Nonsense", ""]).to_owned(),
            (_, "TypesFilter") => rng.pick(&["consumer", "Classic", "share", "streams", "nonsense"]).to_owned(),
            (_, "StateFilters") => rng.pick(&["Ongoing", "Empty", "CompleteCommit", "Nonsense"]).to_owned(),
            (_, "TransactionalIdPattern") => rng.pick(&["w.*", ".*tx.*", "", "none"]).to_owned(),
            (_, "ServerAssignor") => rng.pick(&["uniform", "range", "nonsense"]).to_owned(),
            (_, "SubscribedTopicRegex") => rng.pick(&["w.*", "w.*orders.*", "none", "("]).to_owned(),
            (ApiKey::DESCRIBE_CLIENT_QUOTAS | ApiKey::ALTER_CLIENT_QUOTAS, "EntityType") => {
                rng.weighted(&[(45, "user"), (35, "client-id"), (15, "ip"), (5, "word")]).to_owned()
            }
            (ApiKey::DESCRIBE_CLIENT_QUOTAS | ApiKey::ALTER_CLIENT_QUOTAS, "Match" | "EntityName") => {
                let own = format!("{}somebody", self.names.prefix);
                rng.weighted(&[(70, own.as_str()), (15, "10.1.2.3"), (10, "word"), (5, "")]).to_owned()
            }
            (ApiKey::ALTER_CLIENT_QUOTAS, "Key") => rng
                .weighted(&[
                    (40, "producer_byte_rate"),
                    (30, "consumer_byte_rate"),
                    (15, "connection_creation_rate"),
                    (10, "controller_mutation_rate"),
                    (5, "no_such_rate"),
                ])
                .to_owned(),
            (ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS | ApiKey::ALTER_USER_SCRAM_CREDENTIALS, "Name") => {
                let own = format!("{}somebody", self.names.prefix);
                let other = format!("{}else", self.names.prefix);
                rng.weighted(&[(60, own.as_str()), (30, other.as_str()), (10, "")]).to_owned()
            }
            (ApiKey::ALTER_REPLICA_LOG_DIRS, "Path") => rng.pick(&["/nowhere", "", "relative"]).to_owned(),
            (ApiKey::UPDATE_FEATURES, "Feature") => rng
                .weighted(&[(40, "no.such.feature"), (30, "group.version"), (20, "share.version"), (10, "")])
                .to_owned(),
            // An empty name ends the controller's process.
            (ApiKey::ADD_RAFT_VOTER, "Name") => rng.pick(&["CONTROLLER", "OTHER"]).to_owned(),
            (ApiKey::DESCRIBE_ACLS | ApiKey::DELETE_ACLS | ApiKey::CREATE_ACLS, name) => self.acl_text(name),
            (ApiKey::CREATE_DELEGATION_TOKEN | ApiKey::DESCRIBE_DELEGATION_TOKEN, name) if name.ends_with("Type") => {
                rng.weighted(&[(85, "User"), (15, "Group")]).to_owned()
            }
            (ApiKey::CREATE_DELEGATION_TOKEN | ApiKey::DESCRIBE_DELEGATION_TOKEN, _) => {
                rng.pick(&["alice", "bob", "nobody"]).to_owned()
            }
            (ApiKey::CREATE_TOPICS, "Name") => self.topic_config().0.to_owned(),
            (ApiKey::CREATE_TOPICS, "Value") => self.topic_config().1.to_owned(),
            (_, "ClusterId") => "somewhere".to_owned(),
            (_, "SubtopologyId") => rng.pick(&["0", "1"]).to_owned(),
            (_, "ProcessId") => rng.pick(&["process", "other"]).to_owned(),
            (_, "Host") => "127.0.0.1".to_owned(),
            (_, "SourceTopicRegex") => rng.pick(&["w.*", "none.*"]).to_owned(),
            _ if at.ends_with("TopicConfigs.Key") => "cleanup.policy".to_owned(),
            _ if at.ends_with("TopicConfigs.Value") => "compact".to_owned(),
            _ => rng.pick(&["word", "other", ""]).to_owned(),
        }
    }

    /// Names, principals and hosts of ACLs and of filters.
    fn acl_text(&mut self, field: &str) -> String {
        if field.starts_with("Principal") {
            let known = ["User:alice", "User:bob", "User:carol", "User:*", "Group:alice", "User:nobody"];
            return match self.rng.below(20) {
                0 => self.rng.pick(&["alice", ":", "User:", ""]).to_owned(),
                _ => self.rng.pick(&known).to_owned(),
            };
        }
        if field.starts_with("Host") {
            return self.rng.weighted(&[(70, "*"), (20, "127.0.0.1"), (5, "10.0.0.0/8"), (5, "")]).to_owned();
        }
        match self.rng.below(100) {
            0..40 => self.names.topic(self.rng),
            40..60 => self.names.group(self.rng),
            60..70 => "kafka-cluster".to_owned(),
            70..80 => "*".to_owned(),
            _ => self.names.transaction(self.rng),
        }
    }

    pub(super) fn topic_config(&mut self) -> (&'static str, &'static str) {
        self.rng.weighted(&[
            (30, ("retention.ms", "3600000")),
            (20, ("cleanup.policy", "compact")),
            (15, ("min.insync.replicas", "1")),
            (10, ("max.message.bytes", "100000")),
            (10, ("retention.ms", "nonsense")),
            (10, ("no.such.config", "1")),
            (5, ("", "")),
        ])
    }

    pub(super) fn id(&mut self, name: &str) -> TopicId {
        match name {
            "TopicId" => self.topic_id(),
            _ => self.rng.pick(&[TopicId::ZERO, UNKNOWN_ID]),
        }
    }

    fn partition(&mut self) -> i64 {
        self.rng.weighted(&[(60, 0), (20, 1), (8, 2), (8, 7), (4, -1)])
    }

    pub(super) fn int(&mut self, at: &str, def: &FieldDef) -> i64 {
        let rng = &mut *self.rng;
        match (self.key, def.name) {
            (_, "Acks") => rng.weighted(&[(50, -1), (30, 1), (14, 0), (6, 2)]),
            (_, "TimeoutMs" | "timeoutMs") => 5_000,
            (_, "MaxWaitMs") => rng.pick(&[0, 0, 10, 30]),
            (_, "MinBytes") => rng.pick(&[0, 1]),
            (_, "MaxBytes" | "PartitionMaxBytes") => rng.weighted(&[(85, 1 << 20), (10, 100), (5, 0)]),
            (_, "MaxRecords" | "BatchSize") => rng.pick(&[1, 10, 100]),
            (_, "IsolationLevel") => rng.weighted(&[(50, 0), (45, 1), (5, 9)]),
            (ApiKey::FETCH, "ReplicaId") => rng.weighted(&[(86, -1), (3, -2), (6, 1), (5, 9)]),
            (_, "ReplicaId") => rng.weighted(&[(86, -1), (7, -2), (4, 1), (3, 9)]),
            (_, "CurrentLeaderEpoch") => rng.weighted(&[(70, -1), (22, 0), (8, 5)]),
            (_, "LeaderEpoch") => rng.pick(&[-1, 0, 0, 5]),
            (_, "LastFetchedEpoch" | "LogStartOffset" | "CommittedLeaderEpoch" | "ReplicaEpoch") => {
                rng.weighted(&[(80, -1), (20, 0)])
            }
            (_, "FetchOffset" | "Offset") => rng.weighted(&[(50, 0), (20, 1), (10, 2), (10, 100), (10, -1)]),
            (ApiKey::LIST_OFFSETS, "Timestamp") => rng.weighted(&[
                (28, -1),
                (28, -2),
                (10, -3),
                (5, -4),
                (5, -5),
                (4, -6),
                (10, 0),
                (10, 1_700_000_000_000),
            ]),
            (_, "CommittedOffset" | "StartOffset") => rng.pick(&[0, 1, 5, -1]),
            (_, "GenerationIdOrMemberEpoch" | "GenerationId") => rng.weighted(&[(70, -1), (10, 0), (14, 1), (6, -5)]),
            (_, "MemberEpoch" | "ShareSessionEpoch") => rng.weighted(&[(60, 0), (20, 1), (15, -1), (5, 7)]),
            (_, "RetentionTimeMs" | "DurationFilter") => rng.weighted(&[(80, -1), (20, 1_000)]),
            (_, "KeyType") => rng.weighted(&[(45, 0), (32, 1), (18, 2), (5, 7)]),
            (_, "SessionTimeoutMs") => rng.weighted(&[(92, 30_000), (8, 1)]),
            (_, "RebalanceTimeoutMs" | "TransactionTimeoutMs") => rng.weighted(&[(85, 60_000), (15, 300)]),
            (_, "ProducerId" | "V3AndBelowProducerId" | "ProducerIdFilters") => {
                let slot = rng.pick(&PRODUCERS) as i64;
                rng.weighted(&[(55, SLOT_64 + slot), (35, -1), (10, 987_654)])
            }
            (_, "ProducerEpoch" | "V3AndBelowProducerEpoch") => {
                let slot = rng.pick(&PRODUCERS) as i64;
                rng.weighted(&[(55, SLOT_16 + slot + 1), (30, -1), (15, 9)])
            }
            (ApiKey::CREATE_TOPICS, "NumPartitions") => rng.weighted(&[(60, 1), (20, 2), (12, -1), (8, 0)]),
            (_, "ReplicationFactor") => rng.weighted(&[(70, 1), (18, -1), (6, 2), (6, 0)]),
            (ApiKey::CREATE_PARTITIONS, "Count") => rng.weighted(&[(50, 4), (30, 3), (10, 1), (5, 0), (5, -1)]),
            (_, "BrokerIds" | "Replicas") => rng.weighted(&[(85, 1), (15, 9)]),
            (_, "EndpointType") => rng.weighted(&[(85, 1), (10, 2), (5, 7)]),
            (_, "ResponsePartitionLimit") => rng.weighted(&[(60, 2000), (20, 1), (12, 3), (5, 0), (3, -1)]),
            (ApiKey::API_VERSIONS, "NodeId") => -1,
            // Never one that there is.
            (ApiKey::UNREGISTER_BROKER, "BrokerId") => rng.pick(&[9, 99, -1]),
            (ApiKey::ADD_RAFT_VOTER | ApiKey::REMOVE_RAFT_VOTER, "VoterId") => rng.pick(&[9, 99]),
            (ApiKey::ADD_RAFT_VOTER, "Port") => 9092,
            (ApiKey::DESCRIBE_ACLS | ApiKey::DELETE_ACLS | ApiKey::CREATE_ACLS, name) => {
                let made = self.key == ApiKey::CREATE_ACLS;
                let any = if made { 3 } else { 40 };
                match name {
                    _ if name.starts_with("ResourceType") => {
                        rng.weighted(&[(any, 1), (45, 2), (20, 3), (12, 4), (12, 5), (4, 6), (4, 7), (2, 77), (1, 0)])
                    }
                    _ if name.contains("Pattern") => {
                        rng.weighted(&[(any / 2, 1), (any / 3, 2), (50, 3), (35, 4), (2, 77), (1, 0)])
                    }
                    "Operation" => rng.weighted(&[
                        (any, 1),
                        (15, 2),
                        (20, 3),
                        (15, 4),
                        (8, 5),
                        (8, 6),
                        (8, 7),
                        (15, 8),
                        (5, 9),
                        (5, 10),
                        (5, 11),
                        (2, 15),
                        (2, 99),
                        (1, 0),
                    ]),
                    _ => rng.weighted(&[(any, 1), (20, 2), (60, 3), (2, 77), (1, 0)]),
                }
            }
            (ApiKey::DESCRIBE_CLIENT_QUOTAS, "MatchType") => rng.weighted(&[(45, 0), (20, 1), (30, 2), (5, 7)]),
            (_, "Mechanism") => rng.weighted(&[(45, 1), (40, 2), (10, 0), (5, 9)]),
            (_, "Iterations") => rng.weighted(&[(85, 4_096), (10, 100), (5, 100_000)]),
            (ApiKey::LIST_CONFIG_RESOURCES, _) => {
                rng.weighted(&[(30, 2), (20, 4), (15, 8), (15, 16), (15, 32), (5, 77)])
            }
            (ApiKey::ELECT_LEADERS, "ElectionType") => rng.weighted(&[(60, 0), (35, 1), (5, 7)]),
            (_, "MaxLifetimeMs" | "RenewPeriodMs" | "ExpiryTimePeriodMs") => rng.pick(&[-1, 100_000]),
            _ if at.contains("Partition") || def.name == "Index" => self.partition(),
            _ => self.rng.pick(&[0, 1, 2, 3, -1]),
        }
    }

    pub(super) fn bytes(&mut self, name: &str) -> Bytes {
        match name {
            "Metadata" if self.key == ApiKey::JOIN_GROUP => {
                // A subscription of version 0 to one topic, without user data.
                let topic = self.rng.pick(&self.names.topics).0;
                let mut bytes = vec![0, 0, 0, 0, 0, 1];
                bytes.extend((topic.len() as u16).to_be_bytes());
                bytes.extend(topic.as_bytes());
                bytes.extend([0xff; 4]);
                bytes.into()
            }
            "SaltedPassword" => Bytes::from(vec![7; self.rng.pick(&[32, 64])]),
            "Salt" => Bytes::from_static(b"salt of some length"),
            _ => self.rng.pick(&[Bytes::new(), Bytes::from_static(b"\0\0bytes")]),
        }
    }

    pub(super) fn records(&mut self) -> Bytes {
        let values = self.rng.pick(&[&["one"][..], &["one", "two"], &["three"]]);
        let slot = self.rng.pick(&PRODUCERS);
        let sequence = self.rng.pick(&[0, 0, 1]);
        let by = match self.rng.below(100) {
            0..62 => By::Plain,
            62..80 => By::Producer { slot, sequence, transactional: true },
            _ => By::Producer { slot, sequence, transactional: false },
        };
        batch(values, by)
    }
}
