//! DeleteTopics (API 20).
//!
//! Source: Kafka 4.1 `ControllerApis.deleteTopics`. DELETE on the cluster grants every topic, else each needs DELETE.
//! DESCRIBE decides what is revealed: by name, 29 without it, error 3 for a topic that is absent; by id, the name only
//! with it. DELETE on the cluster asks for no DESCRIBE. A name or id given twice, both, and neither are refused before (42). The proxy's own topics are decided by
//! name even for DELETE on the cluster, by id likewise (threat 4).
//!
//! Kafka shuffles its answer, so that absent topics cannot be told from denied ones by their place; here no place says
//! anything: what is denied was never compared with what exists.

use super::arguments::{Bounded, text};
use super::asks::ClusterOrTopic;
use super::judge::Judge;
use super::rows::Behind;
use super::rule::{Request, Rule, Then, Verdict};
use crate::model::{Operation, TopicId, TopicName};
use crate::wire::schema::delete_topics::request::{self as req, delete_topic_state as req_topic};
use crate::wire::schema::delete_topics::response::{self as res, deletable_topic_result as res_topic};
use crate::wire::{ApiKey, ErrorCode, Node, Value, View, WireError};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// The rule of DeleteTopics.
pub(super) struct DeleteTopics;

impl Rule for DeleteTopics {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view, judge));
        let asked = Asked::read(view);
        let mut unresolved: Vec<TopicId> =
            asked.ids.iter().copied().filter(|id| judge.topic_name(*id) == Err(true)).collect();
        if !unresolved.is_empty() {
            if !asked.names.is_empty() {
                unresolved.push(TopicId::ZERO);
            }
            return Ok(Verdict::Probe(unresolved));
        }
        let mut demand = ClusterOrTopic::ask(judge, Operation::Delete, Operation::Delete);
        let mut rows = asked.invalid;
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for id in asked.ids {
            match by_id(id, &mut demand, judge) {
                Ok(()) => ids.push(id),
                Err(row) => rows.push(row),
            }
        }
        for name in asked.names {
            match by_name(name, &mut demand, judge) {
                Ok(()) => names.push(name),
                Err(Some(row)) => rows.push(row),
                Err(None) => return Ok(Verdict::Probe(vec![TopicId::ZERO])),
            }
        }
        let nothing = ids.is_empty() && names.is_empty();
        let Some(permit) = demand.permit().filter(|_| !nothing) else {
            return Ok(Verdict::Answer(Node::response(ApiKey::DELETE_TOPICS).with(res::RESPONSES, rows)));
        };
        if rows.is_empty() {
            return Ok(Verdict::Forward(permit, Then::Stream));
        }
        let mut node = request.decode();
        // Sets: a request may name a million.
        let (of_id, of_name): (HashSet<TopicId>, HashSet<&str>) =
            (ids.into_iter().collect(), names.iter().copied().collect());
        if view.has(req::TOPIC_NAMES) {
            node.set(req::TOPIC_NAMES, names.into_iter().map(Value::from).collect::<Vec<_>>());
        } else {
            node.nodes_mut(req::TOPICS).retain(|topic| match topic.opt_str(req_topic::NAME) {
                Some(name) => topic.uuid(req_topic::TOPIC_ID).is_zero() && of_name.contains(name),
                None => of_id.contains(&topic.uuid(req_topic::TOPIC_ID)),
            });
        }
        Ok(Verdict::Rewrite(permit, node, Behind::then(res::RESPONSES, rows)))
    }
}

fn by_id(id: TopicId, demand: &mut ClusterOrTopic, judge: &mut Judge<'_>) -> Result<(), Node> {
    let Ok(name) = judge.topic_name(id) else { return Err(row(None, id, ErrorCode::UNKNOWN_TOPIC_ID)) };
    if demand.allows(TopicName(&name), judge) {
        return Ok(());
    }
    let shown = judge.probe(Operation::Describe, TopicName(&name)).map(|_| &*name);
    Err(row(shown, id, ErrorCode::TOPIC_AUTHORIZATION_FAILED))
}

/// The answer for a name that is not deleted; none where the brokers must be asked first which topics there are.
fn by_name(name: &str, demand: &mut ClusterOrTopic, judge: &mut Judge<'_>) -> Result<(), Option<Node>> {
    let denied = |error| Err(Some(row(Some(name), TopicId::ZERO, error)));
    let on_cluster = demand.holds_cluster(TopicName(name), judge);
    let allowed = demand.allows(TopicName(name), judge);
    if on_cluster {
        return Ok(());
    }
    if !judge.decide(Operation::Describe, TopicName(name)).is_allowed() {
        return denied(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    match allowed {
        true => Ok(()),
        false if !judge.looked_up() => Err(None),
        false if judge.cx.topology.has_topic(name) => denied(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        false => denied(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// What a request names, once each, and the answers to what it names wrongly.
struct Asked<'b> {
    names: Vec<&'b str>,
    ids: Vec<TopicId>,
    invalid: Vec<Node>,
}

impl<'b> Asked<'b> {
    fn read(view: View<'_, 'b>) -> Self {
        let mut invalid = Vec::new();
        let mut names: Vec<&'b str> = view.strs(req::TOPIC_NAMES).collect();
        let mut ids = Vec::new();
        for topic in view.items(req::TOPICS) {
            let id = topic.uuid(req_topic::TOPIC_ID);
            match (topic.opt_str(req_topic::NAME), id.is_zero()) {
                (None, true) => invalid.push(wrong(None, id, "Neither topic name nor id were specified.")),
                (None, false) => ids.push(id),
                (Some(name), true) => names.push(name),
                (Some(name), false) => {
                    invalid.push(wrong(Some(name), id, "You may not specify both topic name and topic id."));
                }
            }
        }
        let (names, twice) = once(names);
        invalid.extend(twice.into_iter().map(|name| wrong(Some(name), TopicId::ZERO, "Duplicate topic name.")));
        let (ids, twice) = once(ids);
        invalid.extend(twice.into_iter().map(|id| wrong(None, id, "Duplicate topic id.")));
        Self { names, ids, invalid }
    }
}

/// What is there once, and what is there more often.
fn once<T: Copy + Eq + Hash>(all: Vec<T>) -> (Vec<T>, Vec<T>) {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for item in &all {
        *counts.entry(*item).or_default() += 1;
    }
    let (mut single, mut twice) = (Vec::new(), Vec::new());
    for item in all {
        match counts.remove(&item) {
            Some(1) => single.push(item),
            Some(_) => twice.push(item),
            None => {}
        }
    }
    (single, twice)
}

/// With the names of ids: once a topic is gone, nobody can look them up.
fn arguments(view: View<'_, '_>, judge: &Judge<'_>) -> String {
    let mut bounded = Bounded::default();
    let mut topics = bounded.take(view.strs(req::TOPIC_NAMES), |name, _| json!({ "name": text(name) }));
    if !view.has(req::TOPIC_NAMES) {
        topics = bounded.take(view.items(req::TOPICS), |topic, _| {
            let id = topic.uuid(req_topic::TOPIC_ID);
            let name = topic.opt_str(req_topic::NAME).map(text);
            let name = name.or_else(|| judge.topic_name(id).ok().map(|name| text(&name)));
            json!({ "name": name, "id": (!id.is_zero()).then(|| id.to_string()) })
        });
    }
    bounded.object([("topics", topics)])
}

fn wrong(name: Option<&str>, id: TopicId, message: &str) -> Node {
    row(name, id, ErrorCode::INVALID_REQUEST).with(res_topic::ERROR_MESSAGE, message)
}

fn row(name: Option<&str>, id: TopicId, error: ErrorCode) -> Node {
    Node::new(&res_topic::THIS)
        .with(res_topic::NAME, name)
        .with(res_topic::TOPIC_ID, id)
        .with(res_topic::ERROR_CODE, error)
        .with(res_topic::ERROR_MESSAGE, error.message())
}

#[cfg(test)]
mod tests;
