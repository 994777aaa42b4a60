//! AlterConfigs (API 33) and IncrementalAlterConfigs (API 44).
//!
//! Source: Kafka 4.1 `KafkaApis.handleAlterConfigsRequest`, `.handleIncrementalAlterConfigsRequest`,
//! `ConfigAdminManager.preprocess`, `ControllerApis.authorizeAlterResource`. What is malformed is refused before anybody
//! is asked (42). A topic or group needs ALTER_CONFIGS on it; a broker, client metrics and (incremental only) a broker's
//! loggers ALTER_CONFIGS on the cluster. A denial carries the default text, for loggers none. Answers keep the order of
//! the request. A broker also refuses invalid values of broker configs before it asks; the proxy cannot know them, and
//! answers 31 there.
//!
//! Whoever may change broker configs as `BrokerConfigsWrite` or as an operator may change the safe ones of
//! [`super::configs`], one by one: AlterConfigs also resets every config that it does not name.

use super::arguments::{Bounded, text};
use super::configs::is_safe;
use super::describe_configs::Configured;
use super::judge::Judge;
use super::rows::interleave;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, Resource};
use crate::policy::{Decision, Permit, ReasonCode, Right};
use crate::wire::schema::{alter_configs, incremental_alter_configs};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View, WireError};
use serde_json::{Value as Json, json};
use std::collections::{HashMap, HashSet};

/// The rule of both APIs; the fields of each.
pub(super) struct AlterConfigs {
    key: ApiKey,
    resources: Field,
    kind: Field,
    name: Field,
    configs: Field,
    config_name: Field,
    config_value: Field,
    /// SET, DELETE, APPEND, SUBTRACT; none in the old API, which sets.
    operation: Option<Field>,
    validate_only: Field,
    responses: Field,
    row: RowFields,
}

#[derive(Copy, Clone)]
struct RowFields {
    error: Field,
    message: Field,
    kind: Field,
    name: Field,
}

/// The rule of AlterConfigs.
pub(super) static LEGACY: AlterConfigs = {
    use alter_configs::request::{self as req, alter_configs_resource as resource, alterable_config as config};
    use alter_configs::response::{self as res, alter_configs_resource_response as row};
    AlterConfigs {
        key: ApiKey::ALTER_CONFIGS,
        resources: req::RESOURCES,
        kind: resource::RESOURCE_TYPE,
        name: resource::RESOURCE_NAME,
        configs: resource::CONFIGS,
        config_name: config::NAME,
        config_value: config::VALUE,
        operation: None,
        validate_only: req::VALIDATE_ONLY,
        responses: res::RESPONSES,
        row: RowFields {
            error: row::ERROR_CODE,
            message: row::ERROR_MESSAGE,
            kind: row::RESOURCE_TYPE,
            name: row::RESOURCE_NAME,
        },
    }
};

/// The rule of IncrementalAlterConfigs.
pub(super) static INCREMENTAL: AlterConfigs = {
    use incremental_alter_configs::request::{
        self as req, alter_configs_resource as resource, alterable_config as config,
    };
    use incremental_alter_configs::response::{self as res, alter_configs_resource_response as row};
    AlterConfigs {
        key: ApiKey::INCREMENTAL_ALTER_CONFIGS,
        resources: req::RESOURCES,
        kind: resource::RESOURCE_TYPE,
        name: resource::RESOURCE_NAME,
        configs: resource::CONFIGS,
        config_name: config::NAME,
        config_value: config::VALUE,
        operation: Some(config::CONFIG_OPERATION),
        validate_only: req::VALIDATE_ONLY,
        responses: res::RESPONSES,
        row: RowFields {
            error: row::ERROR_CODE,
            message: row::ERROR_MESSAGE,
            kind: row::RESOURCE_TYPE,
            name: row::RESOURCE_NAME,
        },
    }
};

/// `AlterConfigOp.OpType`: SET, DELETE, APPEND, SUBTRACT.
const OPERATIONS: std::ops::RangeInclusive<i8> = 0..=3;
const DELETE: i8 = 1;

/// Why a resource is refused: error and text.
type Refusal = (ErrorCode, Option<String>);

impl Rule for AlterConfigs {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(self.arguments(view));
        let mut counts: HashMap<(i8, &str), usize> = HashMap::new();
        for resource in view.items(self.resources) {
            *counts.entry((resource.i8(self.kind), resource.str(self.name))).or_default() += 1;
        }
        let mut broken = false;
        let mut permit: Option<Permit> = None;
        let mut refused: Vec<(usize, Node)> = Vec::new();
        let mut loggers: Vec<usize> = Vec::new();
        for (place, resource) in view.items(self.resources).enumerate() {
            let twice = counts.get(&(resource.i8(self.kind), resource.str(self.name))).is_some_and(|count| *count > 1);
            let outcome = match twice {
                true => Err(invalid("Each resource must appear at most once.")),
                false => self.resource(resource, judge),
            };
            match outcome {
                Ok(allowed) => {
                    permit = Some(allowed);
                    broken |= self.breaks(resource);
                    if self.is_logger(resource) {
                        loggers.push(place);
                    }
                }
                Err(refusal) => refused.push((place, self.row(resource, refusal))),
            }
        }
        // Where nothing is refused the brokers say it themselves.
        if broken && !refused.is_empty() {
            refused = self.broken(view, refused, &loggers);
            // Loggers never come to the controller: they are set, whatever becomes of the rest.
            permit = permit.filter(|_| !loggers.is_empty());
        }
        let Some(permit) = permit else {
            let rows: Vec<Node> = refused.into_iter().map(|(_, row)| row).collect();
            return Ok(Verdict::Answer(Node::response(self.key).with(self.responses, rows)));
        };
        if refused.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        let mut node = request.decode();
        let places: HashSet<usize> = refused.iter().map(|(place, _)| *place).collect();
        let mut place = 0..;
        node.nodes_mut(self.resources).retain(|_| place.next().is_some_and(|place| !places.contains(&place)));
        let then = Then::Complete(Box::new(Merge { responses: self.responses, refused }));
        Ok(Verdict::Rewrite(permit, node, then))
    }
}

impl AlterConfigs {
    /// Whether a topic's, group's or client's resource has an operation that is none: the controller fails over it, with
    /// all that was handed to it.
    fn breaks(&self, resource: View<'_, '_>) -> bool {
        let forwarded = match Configured::of(resource.i8(self.kind)) {
            Some(Configured::Topic | Configured::Group | Configured::ClientMetrics) => true,
            // Their broker checks before it hands on.
            Some(Configured::Broker | Configured::BrokerLogger) | None => false,
        };
        let unknown = |config: View<'_, '_>| self.operation.is_some_and(|op| !OPERATIONS.contains(&config.i8(op)));
        forwarded && resource.items(self.configs).any(unknown)
    }

    fn is_logger(&self, resource: View<'_, '_>) -> bool {
        Configured::of(resource.i8(self.kind)) == Some(Configured::BrokerLogger)
    }

    /// The rows of a controller that failed: only what never came to it has an error of its own, or is served.
    fn broken(&self, view: View<'_, '_>, refused: Vec<(usize, Node)>, served: &[usize]) -> Vec<(usize, Node)> {
        let mut own: HashMap<usize, Node> = refused.into_iter().collect();
        let stays = |resource, row: &Node| {
            self.is_logger(resource) || row.int(self.row.error) == i64::from(ErrorCode::INVALID_REQUEST.0)
        };
        let row = |(place, resource)| {
            let own = own.remove(&place).filter(|row| stays(resource, row));
            (place, own.unwrap_or_else(|| self.row(resource, (ErrorCode::UNKNOWN_SERVER_ERROR, None))))
        };
        view.items(self.resources).enumerate().filter(|(place, _)| !served.contains(place)).map(row).collect()
    }

    fn resource(&self, resource: View<'_, '_>, judge: &mut Judge<'_>) -> Result<Permit, Refusal> {
        self.check_configs(resource)?;
        let (code, name) = (resource.i8(self.kind), resource.str(self.name));
        let unknown = || invalid(&format!("Unknown resource type {code}"));
        let kind = Configured::of(code).ok_or_else(unknown)?;
        match kind {
            Configured::Topic | Configured::Group | Configured::ClientMetrics => {
                let denied = (kind.denial(), Some(kind.denial().message().to_owned()));
                kind.decide(Operation::AlterConfigs, name, judge).ok_or(denied)
            }
            Configured::BrokerLogger if self.operation.is_none() => Err(unknown()),
            // The broker's handler asks for its loggers itself, and leaves a text that is the default out.
            Configured::BrokerLogger => kind.decide(Operation::AlterConfigs, name, judge).ok_or((kind.denial(), None)),
            Configured::Broker => {
                self.check_broker(resource, judge)?;
                self.broker(resource, judge).ok_or_else(|| (kind.denial(), Some(kind.denial().message().to_owned())))
            }
        }
    }

    /// What no resource may hold.
    fn check_configs(&self, resource: View<'_, '_>) -> Result<(), Refusal> {
        let mut seen = HashSet::new();
        let mut nulls = Vec::new();
        for config in resource.items(self.configs) {
            let name = config.str(self.config_name);
            if !seen.insert(name) {
                return Err(invalid("Error due to duplicate config keys"));
            }
            let deletes = self.operation.is_some_and(|operation| config.i8(operation) == DELETE);
            if !deletes && config.opt_str(self.config_value).is_none() {
                nulls.push(name);
            }
        }
        if nulls.is_empty() {
            return Ok(());
        }
        Err(invalid(&format!("Null value not supported for : {}", nulls.join(", "))))
    }

    /// What the broker that is asked refuses of its own configs.
    fn check_broker(&self, resource: View<'_, '_>, judge: &Judge<'_>) -> Result<(), Refusal> {
        let name = resource.str(self.name);
        if !name.is_empty() {
            let Ok(node) = name.parse::<i32>() else {
                return Err(invalid(&format!("Node id must be an integer, but it is: {name}")));
            };
            // On a bootstrap port any broker may be the one that is asked.
            if let Some(own) = judge.cx.connection.broker.filter(|own| *own != node) {
                return Err(invalid(&format!("Unexpected broker id, expected {own}, but received {name}")));
            }
        }
        let Some(operation) = self.operation else { return Ok(()) };
        for config in resource.items(self.configs) {
            let code = config.i8(operation);
            if !OPERATIONS.contains(&code) {
                return Err(invalid(&format!("Unknown operations type {code}")));
            }
        }
        Ok(())
    }

    /// Decides on the configs of a broker: by the cluster, and for all but super users and holders of Kafka's own
    /// ALTER_CONFIGS by their names (threat 3).
    fn broker(&self, resource: View<'_, '_>, judge: &mut Judge<'_>) -> Option<Permit> {
        let mut decision = judge.weigh(Operation::AlterConfigs, Resource::CLUSTER);
        let limited =
            decision.virtual_right() == Some(Right::BrokerConfigsWrite) || decision.code() == ReasonCode::Operator;
        let safe = resource.items(self.configs).all(|config| is_safe(config.str(self.config_name)));
        let resets_others = self.operation.is_none();
        if decision.is_allowed() && limited && (resets_others || !safe) {
            decision = Decision::refused(ReasonCode::NoMatch, judge.cx.now);
        }
        judge.note(Operation::AlterConfigs, Resource::CLUSTER, &decision);
        decision.permit()
    }

    fn row(&self, resource: View<'_, '_>, (error, message): Refusal) -> Node {
        Node::response(self.key)
            .child(self.responses)
            .with(self.row.error, error)
            .with(self.row.message, message)
            .with(self.row.kind, resource.i8(self.kind))
            .with(self.row.name, resource.str(self.name))
    }

    fn arguments(&self, view: View<'_, '_>) -> String {
        let mut bounded = Bounded::default();
        let resources = bounded.take(view.items(self.resources), |resource, bounded| {
            let kind = Configured::of(resource.i8(self.kind));
            let configs = bounded.take(resource.items(self.configs), |config, _| {
                let name = config.str(self.config_name);
                let mut shown =
                    json!({ "name": text(name), "value": shown(kind, name, config.opt_str(self.config_value)) });
                if let (Some(operation), Some(object)) = (self.operation, shown.as_object_mut()) {
                    object.insert("operation".to_owned(), operation_word(config.i8(operation)));
                }
                shown
            });
            json!({ "type": kind_word(kind), "name": text(resource.str(self.name)), "configs": configs })
        });
        bounded.object([("resources", resources), ("validateOnly", view.bool(self.validate_only).into())])
    }
}

fn invalid(message: &str) -> Refusal {
    (ErrorCode::INVALID_REQUEST, Some(message.to_owned()))
}

/// The value of a config as the audit may hold it: of brokers only safe ones, whose values are no secrets.
fn shown(kind: Option<Configured>, name: &str, value: Option<&str>) -> Json {
    match kind {
        Some(Configured::Topic | Configured::Group | Configured::ClientMetrics | Configured::BrokerLogger) => {
            value.map_or(Json::Null, text)
        }
        Some(Configured::Broker) if is_safe(name) => value.map_or(Json::Null, text),
        Some(Configured::Broker) | None => value.map_or(Json::Null, |_| Json::from("(hidden)")),
    }
}

fn kind_word(kind: Option<Configured>) -> &'static str {
    match kind {
        Some(Configured::Topic) => "topic",
        Some(Configured::Broker) => "broker",
        Some(Configured::BrokerLogger) => "broker_logger",
        Some(Configured::ClientMetrics) => "client_metrics",
        Some(Configured::Group) => "group",
        None => "unknown",
    }
}

fn operation_word(code: i8) -> Json {
    match code {
        0 => "set".into(),
        1 => "delete".into(),
        2 => "append".into(),
        3 => "subtract".into(),
        other => other.into(),
    }
}

/// Puts the refused resources back in their places.
struct Merge {
    responses: Field,
    refused: Vec<(usize, Node)>,
}

impl Complete for Merge {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        interleave(answer.nodes_mut(self.responses), self.refused);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
