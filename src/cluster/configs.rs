//! DescribeConfigs, for a resource at a time.

use super::Cluster;
use crate::wire::schema::describe_configs::request::{self as q, describe_configs_resource as wanted};
use crate::wire::schema::describe_configs::response::{
    self as r, describe_configs_resource_result as config, describe_configs_result as result,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value};

/// Of a topic, as `ConfigResource.Type` counts.
const TOPIC: i8 = 2;
/// Of a broker.
pub(super) const BROKER: i8 = 4;

/// The question.
pub(super) fn request(kind: i8, name: &str, keys: &[&str]) -> Node {
    let mut node = Node::request(ApiKey::DESCRIBE_CONFIGS);
    let resource = node
        .child(q::RESOURCES)
        .with(wanted::RESOURCE_TYPE, kind)
        .with(wanted::RESOURCE_NAME, name)
        .with(wanted::CONFIGURATION_KEYS, keys.iter().copied().map(Value::from).collect::<Vec<_>>());
    node.push(q::RESOURCES, resource);
    node
}

/// Names and values; `None`: the broker does not tell.
pub(super) fn values(answer: &Node) -> Option<impl Iterator<Item = (&str, &str)>> {
    let result = answer.nodes(r::RESULTS).first()?;
    let told = ErrorCode(result.i16(result::ERROR_CODE)).is_none();
    told.then(|| result.nodes(result::CONFIGS).iter().map(|c| (c.str(config::NAME), c.str(config::VALUE))))
}

impl Cluster {
    /// Some of a topic's configurations, each by name; `None` if the brokers do not tell.
    pub async fn topic_configs(&self, topic: &str, keys: &[&str]) -> Option<Vec<(String, String)>> {
        let answer = self.ask(ApiKey::DESCRIBE_CONFIGS, &request(TOPIC, topic, keys)).await.ok()?;
        Some(values(&answer)?.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
