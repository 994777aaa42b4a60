//! What the requests of a world have done, seen behind everybody's back: it must be the same on both sides.

use std::collections::BTreeMap;

use kordon::wire::schema::{
    describe_configs, describe_transactions, fetch, list_config_resources, list_offsets, offset_fetch,
};
use kordon::wire::{ApiKey, Node, Value};

use crate::names::Names;

/// What to ask at the end of a world that has these topics and groups.
pub fn questions(
    names: &Names,
    topics: &BTreeMap<String, usize>,
    groups: &BTreeMap<String, String>,
) -> Vec<(ApiKey, i16, Node)> {
    let own: Vec<(&str, usize)> =
        topics.iter().filter(|(name, _)| !name.starts_with("__")).map(|(name, n)| (name.as_str(), *n)).collect();
    let transactions = Node::request(ApiKey::DESCRIBE_TRANSACTIONS)
        .with(describe_transactions::request::TRANSACTIONAL_IDS, names.transactions.clone());
    let resources = Node::request(ApiKey::LIST_CONFIG_RESOURCES)
        .with(list_config_resources::request::RESOURCE_TYPES, vec![16i8, 32]);
    let mut all = vec![
        (ApiKey::LIST_GROUPS, 5, Node::request(ApiKey::LIST_GROUPS)),
        (ApiKey::LIST_TRANSACTIONS, 1, Node::request(ApiKey::LIST_TRANSACTIONS)),
        (ApiKey::DESCRIBE_TRANSACTIONS, 0, transactions),
        (ApiKey::LIST_CONFIG_RESOURCES, 1, resources),
        (ApiKey::DESCRIBE_CLIENT_QUOTAS, 1, Node::request(ApiKey::DESCRIBE_CLIENT_QUOTAS)),
        (ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, Node::request(ApiKey::LIST_PARTITION_REASSIGNMENTS)),
        (ApiKey::DESCRIBE_CONFIGS, 4, configs(&own)),
        (ApiKey::FETCH, 12, logs(&own)),
    ];
    all.extend([-1, -2].map(|time| (ApiKey::LIST_OFFSETS, 7, offsets(&own, time))));
    if !groups.is_empty() {
        all.push((ApiKey::OFFSET_FETCH, 8, committed(groups)));
    }
    all
}

fn configs(topics: &[(&str, usize)]) -> Node {
    use describe_configs::request::{RESOURCES, describe_configs_resource as r};
    let mut request = Node::request(ApiKey::DESCRIBE_CONFIGS);
    for (name, _) in topics {
        let keys = vec!["retention.ms", "cleanup.policy", "min.insync.replicas", "max.message.bytes"];
        let one = request
            .child(RESOURCES)
            .with(r::RESOURCE_TYPE, 2i8)
            .with(r::RESOURCE_NAME, *name)
            .with(r::CONFIGURATION_KEYS, keys);
        request.push(RESOURCES, one);
    }
    request
}

/// Every record of every partition.
fn logs(topics: &[(&str, usize)]) -> Node {
    use fetch::request::{MAX_BYTES, SESSION_EPOCH, TOPICS, fetch_partition as p, fetch_topic as t};
    let mut request = Node::request(ApiKey::FETCH).with(MAX_BYTES, i32::MAX).with(SESSION_EPOCH, -1);
    for (name, count) in topics {
        let mut topic = request.child(TOPICS).with(t::TOPIC, *name);
        for index in 0..*count {
            let one = topic.child(t::PARTITIONS).with(p::PARTITION, index as i32).with(p::PARTITION_MAX_BYTES, 1 << 20);
            topic.push(t::PARTITIONS, one);
        }
        request.push(TOPICS, topic);
    }
    request
}

fn offsets(topics: &[(&str, usize)], time: i64) -> Node {
    use list_offsets::request::{REPLICA_ID, TOPICS, list_offsets_partition as p, list_offsets_topic as t};
    let mut request = Node::request(ApiKey::LIST_OFFSETS).with(REPLICA_ID, -1);
    for (name, count) in topics {
        let mut topic = request.child(TOPICS).with(t::NAME, *name);
        for index in 0..*count {
            let one = topic.child(t::PARTITIONS).with(p::PARTITION_INDEX, index as i32).with(p::TIMESTAMP, time);
            topic.push(t::PARTITIONS, one);
        }
        request.push(TOPICS, topic);
    }
    request
}

fn committed(groups: &BTreeMap<String, String>) -> Node {
    use offset_fetch::request::{GROUPS, offset_fetch_request_group as g};
    let mut request = Node::request(ApiKey::OFFSET_FETCH);
    for name in groups.keys() {
        let one = request.child(GROUPS).with(g::GROUP_ID, name.as_str()).with(g::TOPICS, Value::Null);
        request.push(GROUPS, one);
    }
    request
}
