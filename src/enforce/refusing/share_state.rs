//! The state of share groups: initialize (API 83), read (84), write (85), delete (86), read the summary (87).
//!
//! Source: Kafka 4.1 `KafkaApis.handleInitializeShareGroupStateRequest` and its neighbours. Brokers send these to each
//! other: CLUSTER_ACTION on the cluster, or every partition fails with 31 and its text.

use super::{Demand, Partitions, Refusing};
use crate::model::Operation;
use crate::wire::schema::{
    delete_share_group_state, initialize_share_group_state, read_share_group_state, read_share_group_state_summary,
    write_share_group_state,
};
use crate::wire::{ApiKey, Node};

macro_rules! share_state {
    ($name:ident, $api:ident, $topic:ident, $result:ident) => {
        pub(in crate::enforce) static $name: Refusing = Refusing {
            demand: Demand::Cluster(Operation::ClusterAction),
            answer: |request, _| {
                const PARTITIONS: Partitions = Partitions {
                    topics: $api::request::TOPICS,
                    name: $api::request::$topic::TOPIC_ID,
                    partitions: $api::request::$topic::PARTITIONS,
                    index: Some($api::request::partition_data::PARTITION),
                    answer_topics: $api::response::RESULTS,
                    answer_name: $api::response::$result::TOPIC_ID,
                    answer_partitions: $api::response::$result::PARTITIONS,
                    answer_index: $api::response::partition_result::PARTITION,
                    answer_error: Some($api::response::partition_result::ERROR_CODE),
                    answer_message: Some($api::response::partition_result::ERROR_MESSAGE),
                };
                let mut answer = Node::response(ApiKey::$name);
                PARTITIONS.refuse(request, &mut answer);
                answer
            },
        };
    };
}

share_state!(
    INITIALIZE_SHARE_GROUP_STATE,
    initialize_share_group_state,
    initialize_state_data,
    initialize_state_result
);
share_state!(READ_SHARE_GROUP_STATE, read_share_group_state, read_state_data, read_state_result);
share_state!(WRITE_SHARE_GROUP_STATE, write_share_group_state, write_state_data, write_state_result);
share_state!(DELETE_SHARE_GROUP_STATE, delete_share_group_state, delete_state_data, delete_state_result);
share_state!(
    READ_SHARE_GROUP_STATE_SUMMARY,
    read_share_group_state_summary,
    read_state_summary_data,
    read_state_summary_result
);
