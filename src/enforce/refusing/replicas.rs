//! WriteTxnMarkers (API 27), AlterReplicaLogDirs (34), DescribeLogDirs (35), ElectLeaders (43),
//! AlterPartitionReassignments (45), ListPartitionReassignments (46).
//!
//! Source: Kafka 4.1 `KafkaApis`, `ControllerApis`, and `getErrorResponse` of these requests: one check of the cluster,
//! whose failure is told in every partition, in the whole answer, or in both.

use super::{CLUSTER, Demand, Partitions, Refusing};
use crate::model::Operation;
use crate::wire::schema::{
    alter_partition_reassignments, alter_replica_log_dirs, elect_leaders, list_partition_reassignments,
    write_txn_markers,
};
use crate::wire::{ApiKey, Node};

pub(in crate::enforce) static WRITE_TXN_MARKERS: Refusing = Refusing {
    // ALTER would do as well; Kafka names this one where both are missing.
    demand: Demand::Cluster(Operation::ClusterAction),
    answer: |request, _| {
        use write_txn_markers::request::{
            self as req, writable_txn_marker as marker, writable_txn_marker_topic as topic,
        };
        use write_txn_markers::response::{
            self as res, writable_txn_marker_partition_result as partition_result,
            writable_txn_marker_result as result, writable_txn_marker_topic_result as topic_result,
        };
        const PARTITIONS: Partitions = Partitions {
            topics: marker::TOPICS,
            name: topic::NAME,
            partitions: topic::PARTITION_INDEXES,
            index: None,
            answer_topics: result::TOPICS,
            answer_name: topic_result::NAME,
            answer_partitions: topic_result::PARTITIONS,
            answer_index: partition_result::PARTITION_INDEX,
            answer_error: Some(partition_result::ERROR_CODE),
            answer_message: None,
        };
        let mut answer = Node::response(ApiKey::WRITE_TXN_MARKERS);
        for asked in request.nodes(req::MARKERS) {
            let mut refused = answer.child(res::MARKERS).with(result::PRODUCER_ID, asked.int(marker::PRODUCER_ID));
            PARTITIONS.refuse(asked, &mut refused);
            answer.push(res::MARKERS, refused);
        }
        answer
    },
};

pub(in crate::enforce) static ALTER_REPLICA_LOG_DIRS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use alter_replica_log_dirs::request::{
            self as req, alter_replica_log_dir as dir, alter_replica_log_dir_topic as topic,
        };
        use alter_replica_log_dirs::response::{
            self as res, alter_replica_log_dir_partition_result as partition_result,
            alter_replica_log_dir_topic_result as result,
        };
        const PARTITIONS: Partitions = Partitions {
            topics: dir::TOPICS,
            name: topic::NAME,
            partitions: topic::PARTITIONS,
            index: None,
            answer_topics: res::RESULTS,
            answer_name: result::TOPIC_NAME,
            answer_partitions: result::PARTITIONS,
            answer_index: partition_result::PARTITION_INDEX,
            answer_error: Some(partition_result::ERROR_CODE),
            answer_message: None,
        };
        let mut answer = Node::response(ApiKey::ALTER_REPLICA_LOG_DIRS);
        for asked in request.nodes(req::DIRS) {
            PARTITIONS.refuse(asked, &mut answer);
        }
        answer
    },
};

// Before version 3 there is no error of the whole answer: it looks like a broker without log directories, as in Kafka.
whole!(DESCRIBE_LOG_DIRS, describe_log_dirs, Demand::Cluster(Operation::Describe), CLUSTER);

pub(in crate::enforce) static ELECT_LEADERS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use elect_leaders::request::{self as req, topic_partitions as topic};
        use elect_leaders::response::{self as res, partition_result, replica_election_result as result};
        const PARTITIONS: Partitions = Partitions {
            topics: req::TOPIC_PARTITIONS,
            name: topic::TOPIC,
            partitions: topic::PARTITIONS,
            index: None,
            answer_topics: res::REPLICA_ELECTION_RESULTS,
            answer_name: result::TOPIC,
            answer_partitions: result::PARTITION_RESULT,
            answer_index: partition_result::PARTITION_ID,
            answer_error: Some(partition_result::ERROR_CODE),
            answer_message: Some(partition_result::ERROR_MESSAGE),
        };
        let mut answer = Node::response(ApiKey::ELECT_LEADERS).with(res::ERROR_CODE, CLUSTER);
        PARTITIONS.refuse(request, &mut answer);
        answer
    },
};

pub(in crate::enforce) static ALTER_PARTITION_REASSIGNMENTS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use alter_partition_reassignments::request::{
            self as req, reassignable_partition as partition, reassignable_topic as topic,
        };
        use alter_partition_reassignments::response::{
            self as res, reassignable_partition_response as partition_result, reassignable_topic_response as result,
        };
        const PARTITIONS: Partitions = Partitions {
            topics: req::TOPICS,
            name: topic::NAME,
            partitions: topic::PARTITIONS,
            index: Some(partition::PARTITION_INDEX),
            answer_topics: res::RESPONSES,
            answer_name: result::NAME,
            answer_partitions: result::PARTITIONS,
            answer_index: partition_result::PARTITION_INDEX,
            answer_error: Some(partition_result::ERROR_CODE),
            answer_message: Some(partition_result::ERROR_MESSAGE),
        };
        let mut answer = Node::response(ApiKey::ALTER_PARTITION_REASSIGNMENTS)
            .with(res::ERROR_CODE, CLUSTER)
            .with(res::ERROR_MESSAGE, CLUSTER.message());
        PARTITIONS.refuse(request, &mut answer);
        answer
    },
};

pub(in crate::enforce) static LIST_PARTITION_REASSIGNMENTS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Describe),
    answer: |request, _| {
        use list_partition_reassignments::request::{self as req, list_partition_reassignments_topics as topic};
        use list_partition_reassignments::response::{
            self as res, ongoing_partition_reassignment as partition_result, ongoing_topic_reassignment as result,
        };
        const PARTITIONS: Partitions = Partitions {
            topics: req::TOPICS,
            name: topic::NAME,
            partitions: topic::PARTITION_INDEXES,
            index: None,
            answer_topics: res::TOPICS,
            answer_name: result::NAME,
            answer_partitions: result::PARTITIONS,
            answer_index: partition_result::PARTITION_INDEX,
            answer_error: None,
            answer_message: None,
        };
        let mut answer = Node::response(ApiKey::LIST_PARTITION_REASSIGNMENTS)
            .with(res::ERROR_CODE, CLUSTER)
            .with(res::ERROR_MESSAGE, CLUSTER.message());
        PARTITIONS.refuse(request, &mut answer);
        answer
    },
};
