//! Metadata (API 3).
//!
//! Source: Kafka 4.1 `KafkaApis.handleTopicMetadataRequest`, `MetadataRequest.getErrorResponse`. Brokers, cluster id and
//! controller are for everybody, as told addresses. Topics need DESCRIBE: of "all" the others are left out, by name they
//! get 29 with a zero id, by id (version 12 and later) 29 without a name. If any entry has an id, names are ignored, also
//! beside an id: such entries go on as ids alone (threat 19). In versions 10 and 11 an id or a null name fails the request.
//!
//! A topic that passed DESCRIBE and does not exist is created by the broker where the request lets it, if CREATE is held
//! on the cluster or the topic; else it gets 29. The broker would use the proxy's right, and which topics exist is only
//! known for certain to the broker. So the request goes on with its flag only where CREATE is held on the cluster;
//! otherwise without it, and the names that turn out missing and may be created are asked for again (threat 31).
//! Versions before 4 have no flag, it always counts as set: they are asked upstream as version 4.

use super::arguments::{Bounded, text};
use super::asks::ClusterOrTopic;
use super::describe_cluster::cluster_operations;
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::table;
use crate::model::{Category, Operation, Resource, ResourceName as _, TopicId, TopicName};
use crate::policy::Permit;
use crate::wire::schema::metadata::request::{self as req, metadata_request_topic as req_topic};
use crate::wire::schema::metadata::response::{
    self as res, metadata_response_broker as res_broker, metadata_response_topic as res_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use std::collections::{HashMap, HashSet};

/// The rule of Metadata.
pub(super) struct Metadata;

/// The first version with a flag for creation.
const WITH_FLAG: i16 = 4;
/// The first version in which a topic can be asked for by id.
const WITH_IDS: i16 = 12;

impl Rule for Metadata {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let topics = view.items(req::TOPICS);
        if view.is_null(req::TOPICS) || (request.version() == 0 && topics.is_empty()) {
            let finish = Finish { scope: Scope::All, ..Finish::new(request) };
            return Ok(Verdict::Forward(table::open_row(ApiKey::METADATA), finish.then()));
        }
        match has_ids(view, request.version()) {
            Err(error) => Ok(Verdict::Answer(failed(view, error))),
            Ok(true) => by_id(request, judge),
            Ok(false) => by_name(request, judge),
        }
    }
}

/// Whether any entry has an id.
///
/// # Errors
/// What fails the whole request.
fn has_ids(view: View<'_, '_>, version: i16) -> Result<bool, ErrorCode> {
    let (mut ids, mut blank) = (false, false);
    for topic in view.items(req::TOPICS) {
        let nameless = topic.opt_str(req_topic::NAME).is_none();
        let id = !topic.uuid(req_topic::TOPIC_ID).is_zero();
        if version < WITH_IDS && (nameless || id) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        ids |= id;
        blank |= nameless && !id;
    }
    // Kafka's authorizer is asked for a resource whose name is null, and throws.
    if blank && !ids { Err(ErrorCode::UNKNOWN_SERVER_ERROR) } else { Ok(ids) }
}

/// `MetadataRequest.getErrorResponse`.
fn failed(view: View<'_, '_>, error: ErrorCode) -> Node {
    let mut answer = Node::response(ApiKey::METADATA);
    for topic in view.items(req::TOPICS) {
        let row = row(error, Some(topic.str(req_topic::NAME)), topic.uuid(req_topic::TOPIC_ID));
        answer.push(res::TOPICS, row);
    }
    answer.set(res::ERROR_CODE, error);
    answer
}

fn row(error: ErrorCode, name: Option<&str>, id: TopicId) -> Node {
    Node::new(&res_topic::THIS)
        .with(res_topic::ERROR_CODE, error)
        .with(res_topic::NAME, name)
        .with(res_topic::TOPIC_ID, id)
}

fn by_id(request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
    let mut finish = Finish::new(request);
    let mut permit: Option<Permit> = None;
    let (mut seen, mut ids, mut unresolved) = (HashSet::new(), Vec::new(), Vec::new());
    let mut names_too = false;
    for topic in request.view.items(req::TOPICS) {
        let id = topic.uuid(req_topic::TOPIC_ID);
        names_too |= topic.opt_str(req_topic::NAME).is_some();
        if id.is_zero() || !seen.insert(id) {
            continue;
        }
        match judge.topic_name(id) {
            Ok(name) => match judge.decide(Operation::Describe, TopicName(&name)).permit() {
                Some(allowed) => {
                    permit = Some(allowed);
                    ids.push(id);
                    finish.allow(&name);
                }
                None => finish.denied.push(row(ErrorCode::TOPIC_AUTHORIZATION_FAILED, None, id)),
            },
            Err(true) => unresolved.push(id),
            Err(false) => finish.unknown.push(row(ErrorCode::UNKNOWN_TOPIC_ID, None, id)),
        }
    }
    if !unresolved.is_empty() {
        return Ok(Verdict::Probe(unresolved));
    }
    let asked = request.view.items(req::TOPICS).len();
    match permit {
        Some(permit) if !names_too && ids.len() == asked => Ok(Verdict::Forward(permit, finish.then())),
        permit => {
            let mut node = request.decode();
            let topics: Vec<Node> = ids
                .into_iter()
                .map(|id| node.child(req::TOPICS).with(req_topic::TOPIC_ID, id).with(req_topic::NAME, None::<&str>))
                .collect();
            node.set(req::TOPICS, topics);
            Ok(Verdict::Rewrite(permit.unwrap_or_else(brokers_only), node, finish.then()))
        }
    }
}

fn by_name(request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
    let view = request.view;
    let mut finish = Finish::new(request);
    let mut permit: Option<Permit> = None;
    let (mut seen, mut names) = (HashSet::new(), Vec::new());
    for topic in view.items(req::TOPICS) {
        let name = topic.str(req_topic::NAME);
        if !seen.insert(name) {
            continue;
        }
        match judge.decide(Operation::Describe, TopicName(name)).permit() {
            Some(allowed) => {
                permit = Some(allowed);
                names.push(name);
                finish.allow(name);
            }
            None => finish.denied.push(row(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(name), TopicId::ZERO)),
        }
    }
    let all = names.len() == view.items(req::TOPICS).len();
    // The default where the version has no flag: true.
    let creates = view.bool(req::ALLOW_AUTO_TOPIC_CREATION) && !names.is_empty();
    let withheld = creates && !may_create_all(&names, judge);
    if all && !withheld {
        return Ok(Verdict::Forward(permit.unwrap_or_else(brokers_only), finish.then()));
    }
    let mut node = request.decode();
    node.set(
        req::TOPICS,
        names.iter().map(|name| node.child(req::TOPICS).with(req_topic::NAME, *name)).collect::<Vec<_>>(),
    );
    if withheld {
        node.set(req::ALLOW_AUTO_TOPIC_CREATION, false);
        finish.creates = true;
    }
    let permit = permit.unwrap_or_else(brokers_only);
    // Version 0 has no way to ask for no topic.
    let no_topics_would_be_all = names.is_empty() && request.version() == 0;
    let then = if withheld { Then::Alone(Box::new(finish)) } else { finish.then() };
    if request.version() < WITH_FLAG && (withheld || no_topics_would_be_all) {
        return Ok(Verdict::Ask { permit, key: ApiKey::METADATA, version: WITH_FLAG, body: node, then });
    }
    Ok(Verdict::Rewrite(permit, node, then))
}

/// The permit of a request in which no topic is left: brokers are for everybody.
fn brokers_only() -> Permit {
    table::open_row(ApiKey::METADATA)
}

/// Whether CREATE is held whatever the names turn out to be. Recorded as a decision where one of them seems missing.
fn may_create_all(names: &[&str], judge: &mut Judge<'_>) -> bool {
    let missing = names.iter().any(|name| !judge.cx.topology.has_topic(name));
    // A topic of the proxy's own is never created here, whoever asks.
    let own = names.iter().any(|name| judge.is_own(TopicName(name)));
    if missing {
        let create = judge.cluster_first(Operation::Create).is_some() && !own;
        if create {
            creates(names.iter().copied().filter(|name| !judge.cx.topology.has_topic(name)), judge);
        }
        create
    } else {
        judge.may(Operation::Create, Resource::CLUSTER) && !own
    }
}

/// Notes in the audit that this Metadata may create topics: a mutation, with the names (audit.md, categories).
fn creates<'n>(names: impl Iterator<Item = &'n str>, judge: &mut Judge<'_>) {
    let mut arguments = Bounded::default();
    let topics = arguments.take(names, |name, _| text(name));
    let arguments = arguments.object([("topics", topics)]);
    judge.category(Category::TopicWrite);
    judge.arguments(arguments);
}

/// Which of the broker's topics the client may see.
enum Scope {
    /// Those that it may describe.
    All,
    /// Those that were asked for and allowed.
    Named(HashSet<Box<str>>),
}

/// Makes the client's answer.
struct Finish {
    scope: Scope,
    /// Ids that do not exist.
    unknown: Vec<Node>,
    /// Topics without DESCRIBE.
    denied: Vec<Node>,
    /// The client's flag was set and withheld: missing topics may have to be created.
    creates: bool,
    topic_operations: bool,
    cluster_operations: bool,
    version: i16,
}

impl Finish {
    fn new(request: &Request<'_, '_>) -> Self {
        Self {
            scope: Scope::Named(HashSet::new()),
            unknown: Vec::new(),
            denied: Vec::new(),
            creates: false,
            topic_operations: request.view.bool(req::INCLUDE_TOPIC_AUTHORIZED_OPERATIONS),
            cluster_operations: request.view.bool(req::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS),
            version: request.version(),
        }
    }

    fn allow(&mut self, name: &str) {
        if let Scope::Named(names) = &mut self.scope {
            names.insert(name.into());
        }
    }

    fn then(self) -> Then {
        Then::Complete(Box::new(self))
    }

    fn sees(&self, topic: &Node, judge: &mut Judge<'_>) -> bool {
        match (&self.scope, topic.opt_str(res_topic::NAME)) {
            (Scope::All, Some(name)) => judge.probe(Operation::Describe, TopicName(name)).is_some(),
            (Scope::All, None) => false,
            (Scope::Named(names), Some(name)) => names.contains(name),
            // An id that was deleted since we knew its name.
            (Scope::Named(_), None) => topic.int(res_topic::ERROR_CODE) == i64::from(ErrorCode::UNKNOWN_TOPIC_ID.0),
        }
    }

    /// Decides who may create what is missing. Returns the names to create; the others get 29.
    fn missing(&self, answer: &mut Node, judge: &mut Judge<'_>) -> (Option<Permit>, Vec<String>) {
        let mut names = Vec::new();
        let mut demand: Option<ClusterOrTopic> = None;
        for topic in answer.nodes_mut(res::TOPICS) {
            let error = ErrorCode(topic.i16(res_topic::ERROR_CODE));
            let illegal = error == ErrorCode::INVALID_TOPIC_EXCEPTION;
            if error != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && !illegal {
                continue;
            }
            let name = topic.str(res_topic::NAME).to_owned();
            let demand = demand.get_or_insert_with(|| ClusterOrTopic::ask(judge, Operation::Create, Operation::Create));
            match demand.allows(TopicName(&name), judge) {
                true if illegal => {}
                true => names.push(name),
                false => *topic = uncreatable(&name),
            }
        }
        if !names.is_empty() {
            creates(names.iter().map(String::as_str), judge);
        }
        let permit = demand.and_then(ClusterOrTopic::permit).filter(|_| !names.is_empty());
        (permit, names)
    }

    fn finish(self, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer.nodes_mut(res::BROKERS).retain_mut(|broker| {
            judge.rewrite_address(broker, res_broker::NODE_ID, res_broker::HOST, res_broker::PORT)
        });
        let controller = answer.i32(res::CONTROLLER_ID);
        answer.set(res::CONTROLLER_ID, judge.told_id(controller));
        let mut topics = self.unknown;
        let visible = std::mem::take(answer.nodes_mut(res::TOPICS));
        for mut topic in visible {
            let operations = match (self.topic_operations, topic.opt_str(res_topic::NAME)) {
                (true, Some(name)) if !is_refused(&topic) => judge.authorized_operations(TopicName(name).resource()),
                _ => i32::MIN,
            };
            topic.set(res_topic::TOPIC_AUTHORIZED_OPERATIONS, operations);
            topics.push(topic);
        }
        topics.extend(self.denied);
        answer.set(res::TOPICS, topics);
        let operations = if self.cluster_operations { cluster_operations(judge) } else { i32::MIN };
        answer.set(res::CLUSTER_AUTHORIZED_OPERATIONS, operations);
        Completed::Answer(answer)
    }
}

/// A topic that is missing, and that the client may not create.
fn uncreatable(name: &str) -> Node {
    row(ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(name), TopicId::ZERO)
        .with(res_topic::IS_INTERNAL, is_internal(name))
}

fn is_refused(topic: &Node) -> bool {
    topic.int(res_topic::ERROR_CODE) == i64::from(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0)
}

/// `Topic.isInternal`.
fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

impl Complete for Finish {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let mut topics = std::mem::take(answer.nodes_mut(res::TOPICS));
        topics.retain(|topic| self.sees(topic, judge));
        answer.set(res::TOPICS, topics);
        if !self.creates || judge.cx.topology.auto_create_off {
            return self.finish(answer, judge);
        }
        let (permit, names) = self.missing(&mut answer, judge);
        let Some(permit) = permit else { return self.finish(answer, judge) };
        let mut body = Node::request(ApiKey::METADATA).with(req::ALLOW_AUTO_TOPIC_CREATION, true);
        for name in names {
            let topic = body.child(req::TOPICS).with(req_topic::NAME, name);
            body.push(req::TOPICS, topic);
        }
        let version = self.version.max(WITH_FLAG);
        Completed::Ask {
            permit,
            key: ApiKey::METADATA,
            version,
            body,
            then: Box::new(Created { first: answer, finish: *self }),
        }
    }
}

/// Puts what was said of the created topics in the place of what was said of the missing ones.
struct Created {
    first: Node,
    finish: Finish,
}

impl Complete for Created {
    fn complete(self: Box<Self>, mut second: Node, judge: &mut Judge<'_>) -> Completed {
        let Self { mut first, finish } = *self;
        // By name: both may be long.
        let mut created: HashMap<String, Node> = second
            .take_nodes(res::TOPICS)
            .into_iter()
            .filter_map(|topic| Some((topic.opt_str(res_topic::NAME)?.to_owned(), topic)))
            .collect();
        for topic in first.nodes_mut(res::TOPICS) {
            if let Some(new) = topic.opt_str(res_topic::NAME).and_then(|name| created.remove(name)) {
                *topic = new;
            }
        }
        finish.finish(first, judge)
    }
}

#[cfg(test)]
mod tests;
