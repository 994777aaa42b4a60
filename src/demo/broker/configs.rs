//! DescribeConfigs: what a topic was created with, and Kafka's defaults for the rest.

use super::Shared;
use crate::wire::schema::{create_topics as ct, describe_configs as dc};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use std::collections::BTreeMap;

/// The configurations of a topic that are known, with Kafka 4.4's defaults.
const TOPIC: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("delete.retention.ms", "86400000"),
    ("file.delete.delay.ms", "60000"),
    ("flush.messages", "9223372036854775807"),
    ("flush.ms", "9223372036854775807"),
    ("index.interval.bytes", "4096"),
    ("max.compaction.lag.ms", "9223372036854775807"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("message.timestamp.type", "CreateTime"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.compaction.lag.ms", "0"),
    ("min.insync.replicas", "1"),
    ("preallocate", "false"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
    ("segment.bytes", "1073741824"),
    ("segment.index.bytes", "10485760"),
    ("segment.jitter.ms", "0"),
    ("segment.ms", "604800000"),
    ("unclean.leader.election.enable", "false"),
];

const TOPIC_RESOURCE: i32 = 2;
const BROKER_RESOURCE: i32 = 4;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Copy, Clone)]
enum Source {
    Topic,
    StaticBroker,
    Default,
}

/// A configuration and its value.
pub(super) struct Config<'c> {
    name: &'c str,
    value: &'c str,
    source: Source,
}

/// Whether a topic can be configured so.
pub(super) fn is_topic_config(name: &str) -> bool {
    TOPIC.iter().any(|(known, _)| *known == name)
}

/// All configurations of a topic for which these were set.
pub(super) fn topic(set: &BTreeMap<String, String>) -> impl Iterator<Item = Config<'_>> {
    TOPIC.iter().map(|(name, default)| match set.get(*name) {
        Some(value) => Config { name, value, source: Source::Topic },
        None => Config { name, value: default, source: Source::Default },
    })
}

impl Config<'_> {
    fn source(&self) -> i8 {
        match self.source {
            Source::Topic => 1,
            Source::StaticBroker => 4,
            Source::Default => 5,
        }
    }

    /// As a row of CreateTopics' answer.
    pub(super) fn created(&self, result: &Node) -> Node {
        use ct::response::{creatable_topic_configs as row, creatable_topic_result::CONFIGS};
        result
            .child(CONFIGS)
            .with(row::NAME, self.name)
            .with(row::VALUE, self.value)
            .with(row::CONFIG_SOURCE, self.source())
    }

    /// As a row of DescribeConfigs' answer.
    fn described(&self, result: &Node) -> Node {
        use dc::response::{describe_configs_resource_result as row, describe_configs_result::CONFIGS};
        result
            .child(CONFIGS)
            .with(row::NAME, self.name)
            .with(row::VALUE, self.value)
            .with(row::READ_ONLY, matches!(self.source, Source::StaticBroker))
            .with(row::CONFIG_SOURCE, self.source())
            .with(row::DOCUMENTATION, Value::Null)
    }
}

pub(super) fn describe_configs(shared: &Shared, request: &Node) -> Node {
    use dc::request::describe_configs_resource as q;
    use dc::response::{RESULTS, describe_configs_result as row};
    let node_id = shared.settings.node_id.to_string();
    let create = shared.settings.auto_create.to_string();
    let partitions = shared.settings.partitions.to_string();
    let broker: [(&str, &str); 3] =
        [("auto.create.topics.enable", &create), ("node.id", &node_id), ("num.partitions", &partitions)];
    let state = shared.state();
    let mut answer = Node::response(ApiKey::DESCRIBE_CONFIGS);
    for resource in request.nodes(dc::request::RESOURCES) {
        let (kind, name) = (resource.i32(q::RESOURCE_TYPE), resource.str(q::RESOURCE_NAME));
        let result = answer
            .child(RESULTS)
            .with(row::RESOURCE_TYPE, kind)
            .with(row::RESOURCE_NAME, name)
            .with(row::ERROR_MESSAGE, Value::Null);
        let found: Result<Vec<Config<'_>>, ErrorCode> = match (kind, state.topics.get(name)) {
            (TOPIC_RESOURCE, Some(found)) => Ok(topic(found.configs()).collect()),
            (TOPIC_RESOURCE, None) => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            (BROKER_RESOURCE, _) if name == node_id => {
                Ok(broker.iter().map(|(name, value)| Config { name, value, source: Source::StaticBroker }).collect())
            }
            (BROKER_RESOURCE, _) if name.is_empty() => Ok(Vec::new()),
            _ => Err(ErrorCode::INVALID_REQUEST),
        };
        let wanted = |config: &&Config<'_>| {
            resource.is_null(q::CONFIGURATION_KEYS)
                || resource.strs(q::CONFIGURATION_KEYS).any(|wanted| wanted == config.name)
        };
        let result = match found {
            Ok(configs) => {
                let rows: Vec<Node> = configs.iter().filter(wanted).map(|config| config.described(&result)).collect();
                result.with(row::CONFIGS, rows)
            }
            Err(code) => result.with(row::ERROR_CODE, code).with(row::ERROR_MESSAGE, code.message()),
        };
        answer.push(RESULTS, result);
    }
    answer
}
