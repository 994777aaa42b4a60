//! DescribeConfigs (API 32).
//!
//! Source: Kafka 4.1 `ConfigHelper.handleDescribeConfigsRequest`, `DescribeConfigsRequest.getErrorResponse`. A topic or
//! group needs DESCRIBE_CONFIGS on it; a broker, its loggers and client metrics DESCRIBE_CONFIGS on the cluster. Denied
//! resources come last, with the default text and no configs. A type that does not exist fails every resource (42).
//!
//! Values of brokers that are addresses are blank for everybody: clients reach brokers by the proxy (threat 7).

use super::configs::is_address;
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation, TopicName};
use crate::policy::Permit;
use crate::wire::schema::describe_configs::request::{self as req, describe_configs_resource as req_resource};
use crate::wire::schema::describe_configs::response::{
    self as res, describe_configs_resource_result as res_config, describe_configs_result as res_result,
    describe_configs_synonym as res_synonym,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View, WireError};

/// What has configs (`ConfigResource.Type`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Configured {
    /// A topic.
    Topic,
    /// A broker, or with an empty name the default of all.
    Broker,
    /// The levels of a broker's loggers.
    BrokerLogger,
    /// A subscription to clients' metrics.
    ClientMetrics,
    /// A group.
    Group,
}

impl Configured {
    /// The type with this code, if it exists.
    pub(super) fn of(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }

    /// The error of a denied resource.
    pub(super) fn denial(self) -> ErrorCode {
        match self {
            Self::Topic => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            Self::Group => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            Self::Broker | Self::BrokerLogger | Self::ClientMetrics => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        }
    }

    /// Asks for an operation on the resource that its configs belong to.
    pub(super) fn decide(self, operation: Operation, name: &str, judge: &mut Judge<'_>) -> Option<Permit> {
        match self {
            Self::Topic => judge.decide(operation, TopicName(name)).permit(),
            Self::Group => judge.decide(operation, GroupId(name)).permit(),
            Self::Broker | Self::BrokerLogger | Self::ClientMetrics => judge.cluster(operation).permit(),
        }
    }
}

/// The rule of DescribeConfigs.
pub(super) struct DescribeConfigs;

impl Rule for DescribeConfigs {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let resources = || view.items(req::RESOURCES);
        if resources().any(|resource| Configured::of(resource.i8(req_resource::RESOURCE_TYPE)).is_none()) {
            let mut answer = Node::response(ApiKey::DESCRIBE_CONFIGS);
            for resource in resources() {
                answer.push(res::RESULTS, row(resource, ErrorCode::INVALID_REQUEST));
            }
            return Ok(Verdict::Answer(answer));
        }
        let mut permit: Option<Permit> = None;
        let (mut kept, mut denied, mut brokers) = (Vec::new(), Vec::new(), false);
        for resource in resources() {
            let Some(kind) = Configured::of(resource.i8(req_resource::RESOURCE_TYPE)) else { continue };
            let name = resource.str(req_resource::RESOURCE_NAME);
            match kind.decide(Operation::DescribeConfigs, name, judge) {
                Some(allowed) => {
                    permit = Some(allowed);
                    brokers |= kind == Configured::Broker;
                    kept.push(true);
                }
                None => {
                    denied.push(row(resource, kind.denial()));
                    kept.push(false);
                }
            }
        }
        let Some(permit) = permit else {
            return Ok(Verdict::Answer(Node::response(ApiKey::DESCRIBE_CONFIGS).with(res::RESULTS, denied)));
        };
        if denied.is_empty() {
            let then = if brokers { Then::Complete(Box::new(Merge { denied })) } else { Then::Stream };
            return Ok(Verdict::Forward(permit, then));
        }
        let mut node = request.decode();
        let mut kept = kept.into_iter();
        node.nodes_mut(req::RESOURCES).retain(|_| kept.next().unwrap_or_default());
        Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(Merge { denied }))))
    }
}

fn row(resource: View<'_, '_>, error: ErrorCode) -> Node {
    Node::new(&res_result::THIS)
        .with(res_result::ERROR_CODE, error)
        .with(res_result::ERROR_MESSAGE, error.message())
        .with(res_result::RESOURCE_TYPE, resource.i8(req_resource::RESOURCE_TYPE))
        .with(res_result::RESOURCE_NAME, resource.str(req_resource::RESOURCE_NAME))
}

/// Blanks addresses and adds the denied resources.
struct Merge {
    denied: Vec<Node>,
}

impl Complete for Merge {
    fn complete(mut self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        for result in answer.nodes_mut(res::RESULTS) {
            let kind = i8::try_from(result.int(res_result::RESOURCE_TYPE)).ok().and_then(Configured::of);
            if kind == Some(Configured::Broker) {
                result.nodes_mut(res_result::CONFIGS).iter_mut().for_each(blank_address);
            }
        }
        answer.nodes_mut(res::RESULTS).append(&mut self.denied);
        Completed::Answer(answer)
    }
}

/// Blanks the value of a config, and those that it would have without it, where they are addresses.
fn blank_address(config: &mut Node) {
    let whole = is_address(config.str(res_config::NAME));
    for synonym in config.nodes_mut(res_config::SYNONYMS) {
        if whole || is_address(synonym.str(res_synonym::NAME)) {
            blank(synonym, res_synonym::VALUE);
        }
    }
    if whole {
        blank(config, res_config::VALUE);
    }
}

/// A value that is null stays null.
fn blank(node: &mut Node, value: Field) {
    if node.opt_str(value).is_some() {
        node.set(value, "");
    }
}

#[cfg(test)]
mod tests;
