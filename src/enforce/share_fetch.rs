//! ShareFetch (API 78), with its sessions ([`share_session`](super::share_session)).
//!
//! Source: Kafka 4.3 `KafkaApis.handleShareFetchRequest`. READ on the group, or the request fails with 30. READ on each
//! topic of the request and of the session, asked at every fetch: its partitions fail with 29 each time, acknowledgements
//! that came with the fetch fail with 29 in their own field ([`share_batches`](super::share_batches)), the other topics
//! are served. An id without a name is 100.
//! What is wrong with the form is 42, without a text: behind the right on the group, before the session and the topics.
//!
//! What is denied never enters the broker's session, and leaves it when a right ends; it enters when the right comes
//! back. The client does not notice: its session holds what it put there, and the epochs are the broker's own.
//!
//! One request per session may be at the broker, so nothing behind a ShareFetch is written before its answer begins.
//! (A broker takes one request of a connection at a time as well.) From an answer that waited while the right on a topic
//! ended that topic is cut out, its partitions fail with 29 as they do from now on, and the session's next fetch gives
//! back to the broker what it had acquired of them (threat 35, [`share_owed`](super::share_owed)). When the right on the
//! group ended, or the answer is too large to be held, it is dropped whole and the session is closed at the broker, which
//! gives back the same; the client is told the group's error, or SHARE_SESSION_NOT_FOUND and starts anew.

use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use super::share_batches::FETCHED;
use super::share_owed::Owed;
use super::share_plan::{SharePlan, Told, element};
use super::share_session::{MAX_PARTITIONS, Member, ShareSession};
use crate::model::{GroupId, Operation, Resource, ResourceType, TopicId, TopicName};
use crate::policy::{Decision, Permit, ReasonCode};
use crate::wire::schema::share_fetch::request::{self as req, fetch_partition, fetch_topic, forgotten_topic};
use crate::wire::schema::share_fetch::response::{self as res, node_endpoint};
use crate::wire::{ApiKey, ErrorCode, Field, Node, Value, View, WireError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The epoch that opens a session.
pub(super) const INITIAL_EPOCH: i32 = 0;
/// The epoch that closes one.
pub(super) const FINAL_EPOCH: i32 = -1;

/// The answer that fails as a whole.
pub fn refusal(error: ErrorCode) -> Node {
    Node::response(ApiKey::SHARE_FETCH).with(res::ERROR_CODE, error)
}

/// Puts told addresses in place of the brokers' own (KIP-951).
pub fn rewrite_endpoints(answer: &mut Node, judge: &mut Judge<'_>) {
    answer.nodes_mut(res::NODE_ENDPOINTS).retain_mut(|endpoint| {
        judge.rewrite_address(endpoint, node_endpoint::NODE_ID, node_endpoint::HOST, node_endpoint::PORT)
    });
}

/// The session that a request continues.
///
/// # Errors
/// There is none on this connection: the error, recorded.
pub(super) fn known_session(member: &Member, judge: &mut Judge<'_>) -> Result<Arc<ShareSession>, ErrorCode> {
    judge.share.of(member).cloned().ok_or_else(|| {
        let unknown = Decision::refused(ReasonCode::SessionUnknown, judge.cx.now);
        judge.note(Operation::Read, Resource::new(ResourceType::Group, &member.group), &unknown);
        ErrorCode::SHARE_SESSION_NOT_FOUND
    })
}

/// What was decided on topics, by id: none is allowed.
#[derive(Default)]
pub(super) struct Decided(pub(super) BTreeMap<TopicId, Option<ErrorCode>>);

impl Decided {
    /// Decides READ on every one of these topics, once each. The ids that may be found by looking them up are returned.
    pub(super) fn ask(&mut self, ids: impl Iterator<Item = TopicId>, judge: &mut Judge<'_>) -> Vec<TopicId> {
        let mut unresolved = Vec::new();
        for id in ids {
            if self.0.contains_key(&id) {
                continue;
            }
            let error = match judge.topic_name(id) {
                Ok(name) if judge.decide(Operation::Read, TopicName(&name)).is_allowed() => None,
                Ok(_) => Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                Err(look_up) => {
                    if look_up {
                        unresolved.push(id);
                    }
                    Some(ErrorCode::UNKNOWN_TOPIC_ID)
                }
            };
            self.0.insert(id, error);
        }
        unresolved
    }

    pub(super) fn error(&self, id: TopicId) -> Option<ErrorCode> {
        self.0.get(&id).copied().unwrap_or(Some(ErrorCode::UNKNOWN_TOPIC_ID))
    }
}

/// The rule of ShareFetch.
pub(super) struct ShareFetch;

impl Rule for ShareFetch {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let (permit, member) = match read_group(view, req::GROUP_ID, req::MEMBER_ID, judge) {
            Ok(allowed) => allowed,
            Err(error) => return Ok(Verdict::Answer(refusal(error))),
        };
        let epoch = view.i32(req::SHARE_SESSION_EPOCH);
        if renews_and_fetches(view) || (epoch == INITIAL_EPOCH && acknowledges(view)) {
            return Ok(Verdict::Answer(refusal(ErrorCode::INVALID_REQUEST)));
        }
        let session = match epoch {
            INITIAL_EPOCH => Arc::default(),
            _ => match known_session(&member, judge) {
                Ok(session) => session,
                Err(error) => return Ok(Verdict::Answer(refusal(error))),
            },
        };
        let mut decided = Decided::default();
        let unresolved = decided.ask(view.items(req::TOPICS).map(|topic| topic.uuid(fetch_topic::TOPIC_ID)), judge);
        if !unresolved.is_empty() {
            return Ok(Verdict::Probe(unresolved));
        }
        let next = if epoch == FINAL_EPOCH {
            None
        } else {
            let mut next = updated(view, &session);
            if next.len() > MAX_PARTITIONS {
                return Ok(Verdict::Answer(refusal(ErrorCode::SHARE_SESSION_LIMIT_REACHED)));
            }
            // What has no name by now is not looked up at every fetch again.
            let _ = decided.ask(next.topics(), judge);
            ShareSession::hold_back(&mut next, |id| decided.error(id).is_some());
            Some(next)
        };
        let as_it_is = session.is_whole()
            && next.as_ref().is_none_or(|next| next.is_whole() && session.owed().is_empty())
            && view.items(req::TOPICS).all(|topic| decided.error(topic.uuid(fetch_topic::TOPIC_ID)).is_none());
        let renews = view.bool(req::IS_RENEW_ACK);
        let mut plan = SharePlan::new(member, next, renews);
        if as_it_is {
            return Ok(Verdict::Forward(permit, Then::Share(plan)));
        }
        let mut node = request.decode();
        let cut = cut_denied(&mut node, &decided);
        plan.denied = refused(request, &cut, plan.next.as_deref(), &decided);
        if let Some(next) = &mut plan.next {
            move_topics(&mut node, &session, next);
            plan.given_back = session.owed().give_back(&mut node, |id| judge.topic_name(id).is_err());
            ShareSession::owes(next, Owed::default());
        }
        Ok(Verdict::Rewrite(permit, node, Then::Share(plan)))
    }
}

/// Whether leases are to be renewed, which is done without records, and records are asked for as well.
fn renews_and_fetches(view: View<'_, '_>) -> bool {
    let asked = [req::MAX_BYTES, req::MIN_BYTES, req::MAX_RECORDS, req::MAX_WAIT_MS];
    view.bool(req::IS_RENEW_ACK) && asked.into_iter().any(|field| view.i32(field) != 0)
}

/// Whether anything is acknowledged.
fn acknowledges(view: View<'_, '_>) -> bool {
    let partitions = view.items(req::TOPICS).flat_map(|topic| topic.items(fetch_topic::PARTITIONS));
    partitions.into_iter().any(|partition| !partition.items(fetch_partition::ACKNOWLEDGEMENT_BATCHES).is_empty())
}

/// Whether brokers take this for the id of a member of a share group. They ask no more of it.
pub(super) fn is_member_id(id: &str) -> bool {
    (1..=36).contains(&id.encode_utf16().count())
}

/// Asks for READ on the group of a request of a share session.
///
/// # Errors
/// It is denied, or there is no group, or no member: the error of the whole answer.
pub(super) fn read_group(
    view: View<'_, '_>,
    group: Field,
    member: Field,
    judge: &mut Judge<'_>,
) -> Result<(Permit, Member), ErrorCode> {
    let group = view.opt_str(group).ok_or(ErrorCode::INVALID_REQUEST)?;
    let permit = judge.decide(Operation::Read, GroupId(group)).permit();
    let permit = permit.ok_or(ErrorCode::GROUP_AUTHORIZATION_FAILED)?;
    let id = view.str(member);
    if !is_member_id(id) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok((permit, Member { group: group.into(), id: id.into() }))
}

/// The session with what the request adds, then without what it forgets, as a broker does it; one that opens a session
/// forgets nothing (`SharePartitionManager.newContext`, Kafka 4.3). Copied only where something changes: a poll names
/// nothing, or what is acknowledged of what is in it.
fn updated(view: View<'_, '_>, session: &Arc<ShareSession>) -> Arc<ShareSession> {
    let mut next = Arc::clone(session);
    for topic in view.items(req::TOPICS) {
        let id = topic.uuid(fetch_topic::TOPIC_ID);
        let partitions = || topic.items(fetch_topic::PARTITIONS).map(|p| p.i32(fetch_partition::PARTITION_INDEX));
        if !next.holds(id, partitions()) {
            Arc::make_mut(&mut next).add(id, partitions());
        }
    }
    if view.i32(req::SHARE_SESSION_EPOCH) == INITIAL_EPOCH {
        return next;
    }
    for topic in view.items(req::FORGOTTEN_TOPICS_DATA) {
        let id = topic.uuid(forgotten_topic::TOPIC_ID);
        Arc::make_mut(&mut next).forget(id, topic.i32s(forgotten_topic::PARTITIONS));
    }
    next
}

/// Takes the refused topics out of the request.
fn cut_denied(node: &mut Node, decided: &Decided) -> Vec<Node> {
    let (cut, kept) = node
        .take_nodes(req::TOPICS)
        .into_iter()
        .partition(|topic| decided.error(topic.uuid(fetch_topic::TOPIC_ID)).is_some());
    *node.nodes_mut(req::TOPICS) = kept;
    cut
}

/// Adds to the request the topics that may be read again, and lets the broker's session forget those that no longer may.
fn move_topics(node: &mut Node, session: &ShareSession, next: &ShareSession) {
    let back: Vec<TopicId> = session.held_back().filter(|id| next.broker_has(*id)).collect();
    for id in back {
        let mut topic = node.child(req::TOPICS).with(fetch_topic::TOPIC_ID, id);
        let asked: BTreeSet<i32> = node
            .nodes(req::TOPICS)
            .iter()
            .filter(|topic| topic.uuid(fetch_topic::TOPIC_ID) == id)
            .flat_map(|topic| topic.nodes(fetch_topic::PARTITIONS))
            .map(|partition| partition.i32(fetch_partition::PARTITION_INDEX))
            .collect();
        for index in next.partitions(id).filter(|index| !asked.contains(index)) {
            let partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION_INDEX, index);
            topic.push(fetch_topic::PARTITIONS, partition);
        }
        if !topic.nodes(fetch_topic::PARTITIONS).is_empty() {
            node.push(req::TOPICS, topic);
        }
    }
    for id in session.at_broker().filter(|id| !next.broker_has(*id)) {
        let partitions = Value::Ints(session.partitions(id).map(i64::from).collect());
        let forgotten = node
            .child(req::FORGOTTEN_TOPICS_DATA)
            .with(forgotten_topic::TOPIC_ID, id)
            .with(forgotten_topic::PARTITIONS, partitions);
        node.push(req::FORGOTTEN_TOPICS_DATA, forgotten);
    }
}

/// The refused topics as elements of the answer: every partition that the session holds back, unless only
/// acknowledgements are asked for, and where anything is acknowledged, every partition that was cut out of the request.
fn refused(request: &Request<'_, '_>, cut: &[Node], next: Option<&ShareSession>, decided: &Decided) -> Vec<Node> {
    let mut topics = Told::new();
    let renews = request.view.bool(req::IS_RENEW_ACK);
    for session in next.iter().filter(|_| !renews) {
        for id in session.held_back() {
            let error = decided.error(id).unwrap_or(ErrorCode::NONE);
            let partitions = session.partitions(id).map(|index| (index, (error, ErrorCode::NONE)));
            topics.entry(id).or_default().extend(partitions);
        }
    }
    for topic in cut.iter().filter(|_| acknowledges(request.view)) {
        let id = topic.uuid(fetch_topic::TOPIC_ID);
        let error = decided.error(id).unwrap_or(ErrorCode::NONE);
        for partition in topic.nodes(fetch_topic::PARTITIONS) {
            let index = partition.i32(fetch_partition::PARTITION_INDEX);
            let told = topics.entry(id).or_default().entry(index).or_insert((ErrorCode::NONE, ErrorCode::NONE));
            told.1 = FETCHED.refusal(partition, error, request.version(), renews);
        }
    }
    topics.into_iter().map(element).collect()
}

#[cfg(test)]
mod tests;
