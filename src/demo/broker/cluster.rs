//! What the broker says about itself: ApiVersions, Metadata, FindCoordinator, DescribeCluster, and producer ids.

use super::topics::{Topic, Topics, valid_name};
use super::{Shared, api};
use crate::wire::schema::{
    api_versions, describe_cluster as dc, find_coordinator as fc, init_producer_id as ip, metadata as m,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value, Versions, api as api_of};
use std::collections::BTreeMap;

/// Authorized operations: all that Kafka has for a topic.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// Authorized operations: all that Kafka has for a group.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// Authorized operations: all that Kafka has for the cluster.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// One row of an ApiVersions answer.
pub(super) fn api_row(answer: &Node, key: ApiKey, versions: Versions) -> Node {
    use api_versions::response::{API_KEYS, api_version as row};
    answer
        .child(API_KEYS)
        .with(row::API_KEY, key.0)
        .with(row::MIN_VERSION, versions.min)
        .with(row::MAX_VERSION, versions.max)
}

pub(super) fn api_versions(shared: &Shared, request: &Node) -> Node {
    use api_versions::{request as q, response as r};
    let mut answer = Node::response(ApiKey::API_VERSIONS);
    let scripted = shared.settings.scripted.iter().filter_map(|key| Some((*key, api_of(*key)?.versions)));
    for (key, versions) in api::advertised().chain(scripted) {
        let row = api_row(&answer, key, versions);
        answer.push(r::API_KEYS, row);
    }
    // KIP-1242: a client that believes itself elsewhere must begin again from its bootstrap servers.
    let other_cluster = request.opt_str(q::CLUSTER_ID).is_some_and(|id| id != shared.settings.cluster_id);
    let node = request.i32(q::NODE_ID);
    if other_cluster || (node >= 0 && node != shared.settings.node_id) {
        answer.set(r::ERROR_CODE, ErrorCode::REBOOTSTRAP_REQUIRED);
    }
    answer
}

pub(super) fn metadata(shared: &Shared, version: i16, request: &Node) -> Node {
    use m::{request as q, response as r};
    let settings = &shared.settings;
    let mut answer = Node::response(ApiKey::METADATA);
    let broker = answer
        .child(r::BROKERS)
        .with(r::metadata_response_broker::NODE_ID, settings.node_id)
        .with(r::metadata_response_broker::HOST, shared.host())
        .with(r::metadata_response_broker::PORT, shared.port());
    answer.push(r::BROKERS, broker);
    answer.set(r::CLUSTER_ID, settings.cluster_id.as_str());
    answer.set(r::CONTROLLER_ID, settings.node_id);
    if request.bool(q::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS) {
        answer.set(r::CLUSTER_AUTHORIZED_OPERATIONS, CLUSTER_OPERATIONS);
    }
    let operations = request.bool(q::INCLUDE_TOPIC_AUTHORIZED_OPERATIONS);
    let create = settings.auto_create && (version < 4 || request.bool(q::ALLOW_AUTO_TOPIC_CREATION));
    let row = |name: Value, id: Value, found: Result<&Topic, ErrorCode>| {
        use r::metadata_response_topic as row;
        let topic = Node::response(ApiKey::METADATA).child(r::TOPICS).with(row::NAME, name).with(row::TOPIC_ID, id);
        match found {
            Err(code) => topic.with(row::ERROR_CODE, code),
            Ok(found) => {
                let partitions = partitions_of(&topic, found, settings.node_id);
                let mut topic = topic.with(row::TOPIC_ID, found.id()).with(row::PARTITIONS, partitions);
                if operations {
                    topic.set(row::TOPIC_AUTHORIZED_OPERATIONS, TOPIC_OPERATIONS);
                }
                topic
            }
        }
    };
    let mut state = shared.state();
    let topics = &mut state.topics;
    let asked = request.nodes(q::TOPICS);
    let all = request.is_null(q::TOPICS) || (version == 0 && asked.is_empty());
    let rows: Vec<Node> = if all {
        topics.iter().map(|(name, topic)| row(name.into(), topic.id().into(), Ok(topic))).collect()
    } else {
        let of = |asked: &Node| {
            let id = asked.uuid(q::metadata_request_topic::TOPIC_ID);
            match asked.opt_str(q::metadata_request_topic::NAME) {
                Some(name) => {
                    let id = topics.get(name).map(Topic::id).unwrap_or_default();
                    row(name.into(), id.into(), find(topics, name, create, settings.partitions))
                }
                None => match topics.name_of(id).map(String::from) {
                    Some(name) => row(name.as_str().into(), id.into(), find(topics, &name, false, 0)),
                    None => row(Value::Null, id.into(), Err(ErrorCode::UNKNOWN_TOPIC_ID)),
                },
            }
        };
        asked.iter().map(of).collect()
    };
    answer.set(r::TOPICS, rows);
    answer
}

/// The topic of this name, made if it may be.
fn find<'t>(topics: &'t mut Topics, name: &str, create: bool, partitions: i32) -> Result<&'t Topic, ErrorCode> {
    if !valid_name(name) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if create && topics.get(name).is_none() {
        topics.create(name, partitions, BTreeMap::new()).map_err(|refused| refused.code)?;
    }
    topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn partitions_of(row: &Node, topic: &Topic, node_id: i32) -> Vec<Node> {
    use m::response::metadata_response_partition as p;
    let partition = |index: i32| {
        row.child(m::response::metadata_response_topic::PARTITIONS)
            .with(p::PARTITION_INDEX, index)
            .with(p::LEADER_ID, node_id)
            .with(p::LEADER_EPOCH, 0)
            .with(p::REPLICA_NODES, vec![node_id])
            .with(p::ISR_NODES, vec![node_id])
    };
    (0..topic.partitions()).map(partition).collect()
}

pub(super) fn find_coordinator(shared: &Shared, version: i16, request: &Node) -> Node {
    use fc::{request as q, response as r};
    const GROUP: i32 = 0;
    const NO_TRANSACTIONS: &str = "the demo broker has no transactions and no share groups";
    let served = request.i32(q::KEY_TYPE) == GROUP;
    let mut answer = Node::response(ApiKey::FIND_COORDINATOR);
    if version >= 4 {
        for key in request.strs(q::COORDINATOR_KEYS) {
            let row = answer.child(r::COORDINATORS).with(r::coordinator::KEY, key);
            let row = if served {
                row.with(r::coordinator::NODE_ID, shared.settings.node_id)
                    .with(r::coordinator::HOST, shared.host())
                    .with(r::coordinator::PORT, shared.port())
            } else {
                row.with(r::coordinator::NODE_ID, -1)
                    .with(r::coordinator::PORT, -1)
                    .with(r::coordinator::ERROR_CODE, ErrorCode::INVALID_REQUEST)
                    .with(r::coordinator::ERROR_MESSAGE, NO_TRANSACTIONS)
            };
            answer.push(r::COORDINATORS, row);
        }
        return answer;
    }
    if served {
        answer
            .with(r::NODE_ID, shared.settings.node_id)
            .with(r::HOST, shared.host())
            .with(r::PORT, shared.port())
            .with(r::ERROR_MESSAGE, Value::Null)
    } else {
        answer
            .with(r::NODE_ID, -1)
            .with(r::PORT, -1)
            .with(r::ERROR_CODE, ErrorCode::INVALID_REQUEST)
            .with(r::ERROR_MESSAGE, NO_TRANSACTIONS)
    }
}

pub(super) fn describe_cluster(shared: &Shared, request: &Node) -> Node {
    use dc::{request as q, response as r};
    const BROKERS: i32 = 1;
    let mut answer = Node::response(ApiKey::DESCRIBE_CLUSTER);
    if request.i32(q::ENDPOINT_TYPE) != BROKERS {
        return answer
            .with(r::ERROR_CODE, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE)
            .with(r::ERROR_MESSAGE, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE.message());
    }
    let broker = answer
        .child(r::BROKERS)
        .with(r::describe_cluster_broker::BROKER_ID, shared.settings.node_id)
        .with(r::describe_cluster_broker::HOST, shared.host())
        .with(r::describe_cluster_broker::PORT, shared.port());
    answer.push(r::BROKERS, broker);
    if request.bool(q::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS) {
        answer.set(r::CLUSTER_AUTHORIZED_OPERATIONS, CLUSTER_OPERATIONS);
    }
    answer.with(r::CLUSTER_ID, shared.settings.cluster_id.as_str()).with(r::CONTROLLER_ID, shared.settings.node_id)
}

pub(super) fn init_producer_id(shared: &Shared, request: &Node) -> Node {
    use ip::{request as q, response as r};
    let answer = Node::response(ApiKey::INIT_PRODUCER_ID);
    if !request.is_null(q::TRANSACTIONAL_ID) {
        // FindCoordinator has refused such a client already, with words.
        return answer.with(r::ERROR_CODE, ErrorCode::INVALID_REQUEST).with(r::PRODUCER_EPOCH, -1);
    }
    let mut state = shared.state();
    state.producers += 1;
    answer.with(r::PRODUCER_ID, state.producers).with(r::PRODUCER_EPOCH, 0)
}
