//! ListConfigResources (API 74).
//!
//! Source: Kafka 4.1 `KafkaApis.handleListConfigResources`: DESCRIBE_CONFIGS on the cluster, or the whole answer fails with
//! 31. Version 0 lists client metrics alone. Names are not asked about: who describes the cluster by `ClusterRead` sees
//! topics and groups that he may DESCRIBE (threat 36), and the proxy's own topics are left out for everybody (threat 4).

use super::describe_configs::Configured;
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation, TopicName};
use crate::wire::schema::list_config_resources::response::{self as res, config_resource as resource};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of ListConfigResources.
pub(super) struct ListConfigResources;

impl Rule for ListConfigResources {
    fn judge(&self, _: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let decision = judge.cluster(Operation::DescribeConfigs);
        let limited = decision.is_limited_to_names();
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Complete(Box::new(Filter { limited }))),
            None => Verdict::Answer(
                Node::response(ApiKey::LIST_CONFIG_RESOURCES)
                    .with(res::ERROR_CODE, ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
            ),
        })
    }
}

struct Filter {
    limited: bool,
}

impl Complete for Filter {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer.nodes_mut(res::CONFIG_RESOURCES).retain(|listed| {
            let name = listed.str(resource::RESOURCE_NAME);
            let kind = i8::try_from(listed.int(resource::RESOURCE_TYPE)).ok().and_then(Configured::of);
            match kind {
                Some(Configured::Topic) => judge.lists(self.limited, TopicName(name)),
                Some(Configured::Group) => !self.limited || judge.probe(Operation::Describe, GroupId(name)).is_some(),
                Some(Configured::Broker | Configured::BrokerLogger | Configured::ClientMetrics) => true,
                // Names of nobody knows what.
                None => !self.limited,
            }
        });
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
