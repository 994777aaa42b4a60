//! What each API asks the policy for, in the words of the documentation. The rules decide; a test drives them all and
//! compares what they ask with what stands here.

use crate::model::Operation::{
    self, Alter, AlterConfigs, ClusterAction, Create, CreateTokens, Delete, Describe, DescribeConfigs, DescribeTokens,
    IdempotentWrite, Read, Write,
};
use crate::model::ResourceType;
use crate::wire::ApiKey;

/// One thing that an API asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The operation.
    pub operation: Operation,
    /// The type of resource it is asked on.
    pub on: ResourceType,
    /// When it is asked, and what happens without it; Markdown.
    pub without: &'static str,
}

/// What an API asks for; nothing for APIs that are open to everybody.
pub fn of(key: ApiKey) -> &'static [Demand] {
    DEMANDS.iter().find(|(of, _)| *of == key).map_or(&[], |(_, demands)| demands)
}

const fn on(on: ResourceType, operation: Operation, without: &'static str) -> Demand {
    Demand { operation, on, without }
}

const fn topic(operation: Operation, without: &'static str) -> Demand {
    on(ResourceType::Topic, operation, without)
}

const fn group(operation: Operation, without: &'static str) -> Demand {
    on(ResourceType::Group, operation, without)
}

const fn cluster(operation: Operation, without: &'static str) -> Demand {
    on(ResourceType::Cluster, operation, without)
}

const fn transaction(operation: Operation, without: &'static str) -> Demand {
    on(ResourceType::TransactionalId, operation, without)
}

const MEMBER: &[Demand] = &[group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED")];

/// By key, in the order in which Kafka asks.
static DEMANDS: &[(ApiKey, &[Demand])] = &[
    (
        ApiKey::PRODUCE,
        &[
            transaction(
                Write,
                "transactional records only; every partition fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            ),
            topic(
                Write,
                "its partitions fail with TOPIC_AUTHORIZATION_FAILED; with acks=0 the connection closes once the \
                 allowed partitions are with the broker",
            ),
        ],
    ),
    (
        ApiKey::FETCH,
        &[
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
            cluster(ClusterAction, "in place of Read, for a fetch in the form of a follower"),
        ],
    ),
    (ApiKey::LIST_OFFSETS, &[topic(Describe, "its partitions fail with TOPIC_AUTHORIZATION_FAILED")]),
    (
        ApiKey::METADATA,
        &[
            topic(Describe, "a named topic fails with TOPIC_AUTHORIZATION_FAILED, a listing leaves it out"),
            cluster(Create, "creates any missing topic, where the request lets the broker create"),
            topic(Create, "asked where Create on the cluster is not held; without both nothing is created"),
        ],
    ),
    (
        ApiKey::OFFSET_COMMIT,
        &[
            group(
                Read,
                "every partition fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in in the admin form",
            ),
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
            topic(Describe, "in place of Read, where OffsetsWrite on the group decided"),
        ],
    ),
    (
        ApiKey::OFFSET_FETCH,
        &[
            group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "a named topic fails with TOPIC_AUTHORIZATION_FAILED, a listing leaves it out"),
        ],
    ),
    (
        ApiKey::FIND_COORDINATOR,
        &[
            group(Describe, "the key fails with GROUP_AUTHORIZATION_FAILED"),
            transaction(Describe, "the key fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            cluster(ClusterAction, "share coordinators only; every key fails with CLUSTER_AUTHORIZATION_FAILED"),
        ],
    ),
    (ApiKey::JOIN_GROUP, MEMBER),
    (ApiKey::HEARTBEAT, MEMBER),
    (ApiKey::LEAVE_GROUP, &[group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in")]),
    (ApiKey::SYNC_GROUP, MEMBER),
    (ApiKey::DESCRIBE_GROUPS, &[group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED")]),
    (
        ApiKey::LIST_GROUPS,
        &[
            cluster(Describe, "shows every group; GroupsListAll stands in"),
            group(Describe, "asked where Describe on the cluster is not held; the group is left out"),
        ],
    ),
    (
        ApiKey::CREATE_TOPICS,
        &[
            cluster(Create, "creates any topic"),
            topic(
                Create,
                "asked where Create on the cluster is not held; the topic fails with TOPIC_AUTHORIZATION_FAILED",
            ),
            topic(DescribeConfigs, "the topic is created, but its configs are not shown"),
        ],
    ),
    (
        ApiKey::DELETE_TOPICS,
        &[
            cluster(Delete, "deletes any topic"),
            topic(
                Describe,
                "the topic fails with TOPIC_AUTHORIZATION_FAILED whether it exists or not; by id its name is not shown",
            ),
            topic(
                Delete,
                "asked where Delete on the cluster is not held; the topic fails with TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::DELETE_RECORDS,
        &[topic(Delete, "its partitions fail with TOPIC_AUTHORIZATION_FAILED; RecordsDelete stands in")],
    ),
    (
        ApiKey::INIT_PRODUCER_ID,
        &[
            transaction(Write, "with a transactional id; the request fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            cluster(IdempotentWrite, "without one; or else Write on any topic"),
            topic(Write, "on any topic, where IdempotentWrite is not held; without both CLUSTER_AUTHORIZATION_FAILED"),
        ],
    ),
    (
        ApiKey::OFFSET_FOR_LEADER_EPOCH,
        &[
            cluster(ClusterAction, "answers for any topic"),
            topic(
                Describe,
                "asked where ClusterAction is not held; its partitions fail with TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::ADD_PARTITIONS_TO_TXN,
        &[
            transaction(Write, "versions 0 to 3; every partition fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            topic(Write, "versions 0 to 3; TOPIC_AUTHORIZATION_FAILED, and nothing at all is added"),
            cluster(ClusterAction, "from version 4 on, where brokers ask; CLUSTER_AUTHORIZATION_FAILED"),
        ],
    ),
    (
        ApiKey::ADD_OFFSETS_TO_TXN,
        &[
            transaction(Write, "the request fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
        ],
    ),
    (ApiKey::END_TXN, &[transaction(Write, "the request fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED")]),
    (
        ApiKey::WRITE_TXN_MARKERS,
        &[
            cluster(Alter, "or ClusterAction"),
            cluster(
                ClusterAction,
                "asked where Alter is not held; every partition fails with CLUSTER_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::TXN_OFFSET_COMMIT,
        &[
            transaction(Write, "every partition fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            group(
                Read,
                "every partition fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in in the admin form",
            ),
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
            topic(Describe, "in place of Read, where OffsetsWrite on the group decided"),
        ],
    ),
    (
        ApiKey::DESCRIBE_ACLS,
        &[cluster(
            Describe,
            "CLUSTER_AUTHORIZATION_FAILED; AclsRead stands in, and given on some resources shows the ACLs within them",
        )],
    ),
    (ApiKey::CREATE_ACLS, ACLS),
    (ApiKey::DELETE_ACLS, ACLS),
    (
        ApiKey::DESCRIBE_CONFIGS,
        &[
            topic(DescribeConfigs, "the topic fails with TOPIC_AUTHORIZATION_FAILED"),
            group(DescribeConfigs, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            cluster(
                DescribeConfigs,
                "brokers, their loggers, client metrics: CLUSTER_AUTHORIZATION_FAILED; ClusterRead stands in",
            ),
        ],
    ),
    (ApiKey::ALTER_CONFIGS, CONFIGS),
    (
        ApiKey::ALTER_REPLICA_LOG_DIRS,
        &[cluster(Alter, "every partition fails with CLUSTER_AUTHORIZATION_FAILED; ReplicasAlter stands in")],
    ),
    (
        ApiKey::DESCRIBE_LOG_DIRS,
        &[cluster(
            Describe,
            "no directory is shown, with CLUSTER_AUTHORIZATION_FAILED from version 3 on; ClusterRead stands in, and shows \
             topics on which Describe is held",
        )],
    ),
    (ApiKey::CREATE_PARTITIONS, &[topic(Alter, "the topic fails with TOPIC_AUTHORIZATION_FAILED")]),
    (
        ApiKey::CREATE_DELEGATION_TOKEN,
        &[on(
            ResourceType::User,
            CreateTokens,
            "for another owner; DELEGATION_TOKEN_AUTHORIZATION_FAILED. Without `identity: pass_through` tokens are off: with \
             it, and for oneself, DELEGATION_TOKEN_AUTH_DISABLED",
        )],
    ),
    (ApiKey::RENEW_DELEGATION_TOKEN, NO_TOKENS),
    (ApiKey::EXPIRE_DELEGATION_TOKEN, NO_TOKENS),
    (
        ApiKey::DESCRIBE_DELEGATION_TOKEN,
        &[on(
            ResourceType::User,
            DescribeTokens,
            "of the owner, for tokens that one neither owns nor requested nor may renew; Describe on the token stands in. \
             Without `identity: pass_through` tokens are off: DELEGATION_TOKEN_AUTH_DISABLED for everybody",
        )],
    ),
    (ApiKey::DELETE_GROUPS, &[group(Delete, "the group fails with GROUP_AUTHORIZATION_FAILED")]),
    (
        ApiKey::ELECT_LEADERS,
        &[cluster(
            Alter,
            "the request and every partition fail with CLUSTER_AUTHORIZATION_FAILED; LeadersElect stands in",
        )],
    ),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, CONFIGS),
    (
        ApiKey::ALTER_PARTITION_REASSIGNMENTS,
        &[cluster(
            Alter,
            "the request and every partition fail with CLUSTER_AUTHORIZATION_FAILED; ReplicasAlter stands in",
        )],
    ),
    (
        ApiKey::LIST_PARTITION_REASSIGNMENTS,
        &[cluster(
            Describe,
            "the request fails with CLUSTER_AUTHORIZATION_FAILED; ClusterRead stands in, and shows topics on which \
             Describe is held",
        )],
    ),
    (
        ApiKey::OFFSET_DELETE,
        &[
            group(Delete, "the request fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in"),
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
            topic(Describe, "in place of Read, where OffsetsWrite on the group decided"),
        ],
    ),
    (
        ApiKey::DESCRIBE_CLIENT_QUOTAS,
        &[cluster(
            DescribeConfigs,
            "the request fails with CLUSTER_AUTHORIZATION_FAILED; ClusterRead stands in, and shows no quotas of other users",
        )],
    ),
    (
        ApiKey::ALTER_CLIENT_QUOTAS,
        &[cluster(
            AlterConfigs,
            "every entry fails with CLUSTER_AUTHORIZATION_FAILED, as one does for everybody that the proxy's own traffic \
             falls under; QuotasWrite stands in",
        )],
    ),
    (
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS,
        &[cluster(Describe, "the request fails with CLUSTER_AUTHORIZATION_FAILED; CredentialsRead stands in")],
    ),
    (
        ApiKey::ALTER_USER_SCRAM_CREDENTIALS,
        &[cluster(
            Alter,
            "every user fails with CLUSTER_AUTHORIZATION_FAILED, as the proxy's own do for everybody; CredentialsWrite \
             stands in",
        )],
    ),
    (
        ApiKey::DESCRIBE_QUORUM,
        &[cluster(Describe, "the request fails with CLUSTER_AUTHORIZATION_FAILED; ClusterRead stands in")],
    ),
    (ApiKey::UPDATE_FEATURES, WHOLE),
    (
        ApiKey::DESCRIBE_CLUSTER,
        &[cluster(
            Describe,
            "the list of authorized operations is empty; brokers are shown to everybody; ClusterRead stands in",
        )],
    ),
    (ApiKey::DESCRIBE_PRODUCERS, &[topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED")]),
    (
        ApiKey::UNREGISTER_BROKER,
        &[cluster(Alter, "the request fails with CLUSTER_AUTHORIZATION_FAILED; BrokersUnregister stands in")],
    ),
    (
        ApiKey::DESCRIBE_TRANSACTIONS,
        &[
            transaction(Describe, "the entry fails with TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
            topic(Describe, "the topic is left out"),
        ],
    ),
    (ApiKey::LIST_TRANSACTIONS, &[transaction(Describe, "the transactional id is left out")]),
    (
        ApiKey::CONSUMER_GROUP_HEARTBEAT,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
            topic(
                Describe,
                "on every topic subscribed to or assigned; the request fails with TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::CONSUMER_GROUP_DESCRIBE,
        &[
            group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "on every topic assigned; the group fails with TOPIC_AUTHORIZATION_FAILED"),
        ],
    ),
    (
        ApiKey::LIST_CONFIG_RESOURCES,
        &[cluster(
            DescribeConfigs,
            "the request fails with CLUSTER_AUTHORIZATION_FAILED; ClusterRead stands in, and shows topics and groups on \
             which Describe is held",
        )],
    ),
    (
        ApiKey::DESCRIBE_TOPIC_PARTITIONS,
        &[topic(Describe, "a named topic fails with TOPIC_AUTHORIZATION_FAILED, a listing leaves it out")],
    ),
    (
        ApiKey::SHARE_GROUP_HEARTBEAT,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
            topic(
                Describe,
                "on every topic subscribed to or assigned; the request fails with TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::SHARE_GROUP_DESCRIBE,
        &[
            group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "on every topic assigned; the group fails with TOPIC_AUTHORIZATION_FAILED"),
        ],
    ),
    (
        ApiKey::SHARE_FETCH,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
            topic(
                Read,
                "on every topic of the share session, at every fetch; its partitions fail with \
                 TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::SHARE_ACKNOWLEDGE,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
        ],
    ),
    (ApiKey::ADD_RAFT_VOTER, WHOLE),
    (ApiKey::REMOVE_RAFT_VOTER, WHOLE),
    (ApiKey::INITIALIZE_SHARE_GROUP_STATE, SHARE_STATE),
    (ApiKey::READ_SHARE_GROUP_STATE, SHARE_STATE),
    (ApiKey::WRITE_SHARE_GROUP_STATE, SHARE_STATE),
    (ApiKey::DELETE_SHARE_GROUP_STATE, SHARE_STATE),
    (ApiKey::READ_SHARE_GROUP_STATE_SUMMARY, SHARE_STATE),
    (
        ApiKey::STREAMS_GROUP_HEARTBEAT,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "on every topic of the topology; the request fails with TOPIC_AUTHORIZATION_FAILED"),
            cluster(Create, "creates any internal topic of the topology"),
            topic(
                Create,
                "on every internal topic of the topology, where Create on the cluster is not held; the request fails with \
                 TOPIC_AUTHORIZATION_FAILED",
            ),
        ],
    ),
    (
        ApiKey::STREAMS_GROUP_DESCRIBE,
        &[
            group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "on every topic of the topology; the group fails with TOPIC_AUTHORIZATION_FAILED"),
        ],
    ),
    (
        ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS,
        &[
            group(Describe, "the group fails with GROUP_AUTHORIZATION_FAILED"),
            topic(Describe, "a named topic fails with TOPIC_AUTHORIZATION_FAILED, a listing leaves it out"),
        ],
    ),
    (
        ApiKey::ALTER_SHARE_GROUP_OFFSETS,
        &[
            group(Read, "the request fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in"),
            topic(Read, "its partitions fail with TOPIC_AUTHORIZATION_FAILED"),
            topic(Describe, "in place of Read, where OffsetsWrite on the group decided"),
        ],
    ),
    (
        ApiKey::DELETE_SHARE_GROUP_OFFSETS,
        &[
            group(Delete, "the request fails with GROUP_AUTHORIZATION_FAILED; OffsetsWrite stands in"),
            topic(Read, "the topic fails with TOPIC_AUTHORIZATION_FAILED"),
            topic(Describe, "in place of Read, where OffsetsWrite on the group decided"),
        ],
    ),
    (ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE, MEMBER),
    (ApiKey::UNREGISTER_CONTROLLER, WHOLE),
];

const ACLS: &[Demand] = &[cluster(
    Alter,
    "each result fails with CLUSTER_AUTHORIZATION_FAILED; AclsWrite stands in, and given on some resources reaches the ACLs \
     within them",
)];
const WHOLE: &[Demand] = &[cluster(Alter, "the request fails with CLUSTER_AUTHORIZATION_FAILED")];

const NO_TOKENS: &[Demand] = &[on(
    ResourceType::User,
    CreateTokens,
    "without `identity: pass_through` tokens are off: DELEGATION_TOKEN_AUTH_DISABLED for everybody. With it the broker says \
     whose tokens these are, unless this is denied",
)];

const SHARE_STATE: &[Demand] =
    &[cluster(ClusterAction, "brokers alone ask; every partition fails with CLUSTER_AUTHORIZATION_FAILED")];

const CONFIGS: &[Demand] = &[
    topic(AlterConfigs, "the topic fails with TOPIC_AUTHORIZATION_FAILED"),
    group(AlterConfigs, "the group fails with GROUP_AUTHORIZATION_FAILED"),
    cluster(
        AlterConfigs,
        "brokers, client metrics, loggers (incremental form): CLUSTER_AUTHORIZATION_FAILED; BrokerConfigsWrite stands in \
         for the safe set of broker configs",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::coverage::{Reading, Sample, open_rows};
    use crate::enforce::testing::Bench;
    use std::collections::BTreeSet;

    /// Nothing; names but not the cluster; everything.
    const POLICIES: [&[&str]; 3] = [
        &[],
        &[r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*", "group:*", "transactional_id:*"] }"#],
        &[r#"{ allow: [All], principals: ["User:alice"], resources: ["*"] }"#],
    ];

    /// `Operation type` for all that a row's rule asks for a sample request, in every version and under every policy.
    fn observed(row: &crate::enforce::table::Row) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for reading in [Reading::ByName, Reading::ById] {
            let (sample, node) = Sample::of(row, reading);
            let ids: Vec<&str> = sample.ids.iter().map(String::as_str).collect();
            for version in row.versions.min..=row.versions.max {
                for policy in POLICIES {
                    let mut bench = Bench::acls(policy).topics(&ids);
                    bench.looked_up = true;
                    let _ = bench.judge(row.rule, row.key, version, &node);
                    seen.extend(
                        bench.trail.records().iter().map(|r| format!("{} {}", r.operation, r.kind.policy_word())),
                    );
                }
            }
        }
        seen
    }

    #[test]
    fn what_the_rules_ask_for_is_what_is_documented() {
        let mut silent = Vec::new();
        for row in open_rows() {
            let told: BTreeSet<String> =
                of(row.key).iter().map(|d| format!("{} {}", d.operation, d.on.policy_word())).collect();
            let asked = observed(row);
            let untold: Vec<&String> = asked.difference(&told).collect();
            assert!(untold.is_empty(), "{} also asks for {untold:?}", row.key.name());
            if asked.is_empty() && !told.is_empty() {
                silent.push(row.key.name());
            }
        }
        // Those ask by a type or a flag that the sample leaves at 0, or with the answer; their own tests show it.
        let with_more = [
            "DescribeAcls",
            "CreateAcls",
            "DeleteAcls",
            "DescribeConfigs",
            "AlterConfigs",
            "IncrementalAlterConfigs",
            "DescribeCluster",
            "ListTransactions",
        ];
        assert_eq!(silent, with_more);
    }

    #[test]
    fn demands_stand_in_the_order_of_the_table_and_only_for_what_is_served() {
        assert!(DEMANDS.is_sorted_by(|a, b| a.0 < b.0));
        for (key, demands) in DEMANDS {
            assert!(open_rows().any(|row| row.key == *key), "{}", key.name());
            assert!(!demands.is_empty(), "{}", key.name());
        }
        let open: Vec<&str> = open_rows().filter(|r| of(r.key).is_empty()).map(|r| r.key.name()).collect();
        assert_eq!(
            open,
            ["SaslHandshake", "ApiVersions", "SaslAuthenticate", "GetTelemetrySubscriptions", "PushTelemetry"]
        );
    }
}
