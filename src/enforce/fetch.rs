//! Fetch (API 1), with its sessions (KIP-227).
//!
//! Source: Kafka 4.1 `KafkaApis.handleFetchRequest`, `FetchManager.newContext`, `FetchSession`. A consumer needs READ on
//! each topic, a follower CLUSTER_ACTION; either way a denied partition fails with 29. Kafka finds a session by its number
//! alone and authorizes each fetch anew; behind one upstream principal anybody could continue anybody's session
//! (threat 1). So a session exists only for the connection on which the proxy saw it created. While all of a session's
//! topics are allowed sessions work, and the proxy remembers the topics. A full fetch with a denied topic goes on without
//! a session. If a remembered topic is no longer allowed, the session is answered FETCH_SESSION_ID_NOT_FOUND; the client
//! then sends a full fetch, and the denial goes its usual way.

use super::judge::Judge;
use super::record::Names;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::{Outcome, TopicFields, copy_topic, each_once, no_records};
use crate::model::{Operation, Resource, ResourceType, TopicName};
use crate::policy::{Decision, Permit, ReasonCode, Use};
use crate::wire::schema::fetch::request::{self as req, fetch_partition, fetch_topic, forgotten_topic, replica_state};
use crate::wire::schema::fetch::response::{self as res, fetchable_topic_response, node_endpoint, partition_data};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// First version with sessions and a top-level error.
pub const FIRST_SESSION_VERSION: i16 = 7;
/// Sessions remembered per connection. A client has one; beyond this its fetches go on without.
const MAX_SESSIONS: usize = 16;
/// Partitions and topics in all sessions of a connection. A fetch that would make them more goes on without a session, as where a
/// broker has no place for one.
const MAX_PARTITIONS: usize = 100_000;
/// Topics that a session may forget while its fetches wait; a client that has no fetch waiting forgets as many as it likes.
const MAX_LEAVING: usize = 1_000;
/// The epoch that closes a session, or means none.
const FINAL_EPOCH: i32 = -1;
/// The epoch that opens a session.
const INITIAL_EPOCH: i32 = 0;

const REQUEST_TOPIC: TopicFields = TopicFields { name: fetch_topic::TOPIC, id: Some(fetch_topic::TOPIC_ID) };
const FORGOTTEN_TOPIC: TopicFields = TopicFields { name: forgotten_topic::TOPIC, id: Some(forgotten_topic::TOPIC_ID) };
const RESPONSE_TOPIC: TopicFields =
    TopicFields { name: fetchable_topic_response::TOPIC, id: Some(fetchable_topic_response::TOPIC_ID) };

/// The topics of a fetch session and their partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTopics {
    topics: HashMap<Arc<str>, BTreeSet<i32>>,
    /// How many partitions and topics there are.
    partitions: usize,
    /// Fetches of the session that wait for their answer.
    waiting: usize,
    /// Topics that the session forgot while fetches were waiting: their answers may still hold them.
    leaving: HashSet<Arc<str>>,
}

impl SessionTopics {
    /// The names of the topics.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.topics.keys().map(|name| &**name)
    }

    /// The names of the topics that an answer may hold which is still to come.
    fn due(&self) -> impl Iterator<Item = &str> {
        self.names().chain(self.leaving.iter().map(|name| &**name))
    }

    /// Whether there is no topic in it.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    fn add(&mut self, name: &str, partitions: impl Iterator<Item = i32>) {
        if let Some(known) = self.topics.get_mut(name) {
            let before = known.len();
            known.extend(partitions);
            self.partitions += known.len() - before;
        } else {
            let new: BTreeSet<i32> = partitions.collect();
            self.partitions += new.len() + 1;
            self.topics.insert(name.into(), new);
        }
    }

    fn forget(&mut self, name: &str, partitions: impl Iterator<Item = i32>) {
        if let Some(known) = self.topics.get_mut(name) {
            let before = known.len();
            for partition in partitions {
                known.remove(&partition);
            }
            self.partitions = self.partitions.saturating_sub(before - known.len());
            if known.is_empty()
                && let Some((name, _)) = self.topics.remove_entry(name)
            {
                self.partitions = self.partitions.saturating_sub(1);
                if self.waiting > 0 {
                    self.leaving.insert(name);
                }
            }
        }
    }
}

/// The fetch sessions that this connection saw created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchSessions {
    by_id: HashMap<i32, SessionTopics>,
}

impl FetchSessions {
    /// The topics of a session.
    pub fn topics(&self, id: i32) -> Option<&SessionTopics> {
        self.by_id.get(&id)
    }

    /// Remembers a session that the broker made. `false`: there is no room for it, also not for what it was before. It is
    /// then unknown, and refused.
    pub fn created(&mut self, id: i32, topics: SessionTopics) -> bool {
        // A broker that gives a number anew has forgotten what it stood for.
        self.ended(id);
        let room = self.has_room(topics.partitions);
        if room {
            self.by_id.insert(id, topics);
        }
        room
    }

    /// Takes a session out, to look at it or to change it in place, and put it back with [`FetchSessions::created`].
    fn take(&mut self, id: i32) -> Option<SessionTopics> {
        self.by_id.remove(&id)
    }

    /// Whether there is room for a session of this many partitions more.
    fn has_room(&self, partitions: usize) -> bool {
        let held: usize = self.by_id.values().map(|session| session.partitions).sum();
        self.by_id.len() < MAX_SESSIONS && held.saturating_add(partitions) <= MAX_PARTITIONS
    }

    /// An answer to a fetch of the session has begun to arrive. Behind the last one nothing is due that was forgotten.
    pub fn answered(&mut self, id: i32) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.waiting = session.waiting.saturating_sub(1);
            if session.waiting == 0 {
                session.leaving = HashSet::new();
            }
        }
    }

    /// Forgets a session.
    pub fn ended(&mut self, id: i32) {
        self.by_id.remove(&id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// What a forwarded fetch does to the sessions.
#[derive(Debug)]
pub enum SessionPlan {
    /// No session takes part.
    None,
    /// The broker may open a session with these topics.
    Create(Box<SessionTopics>),
    /// A session that the connection knows continues.
    Continue(i32),
}

/// What is done with the answer to a forwarded fetch.
#[derive(Debug)]
pub struct FetchPlan {
    /// What it does to the sessions.
    pub session: SessionPlan,
    /// The refused topics, as elements of the answer.
    pub denied: Vec<Node>,
    /// The topics of a fetch without a session: to judge the answer again after a wait.
    names: Names,
    follower: bool,
    /// The request body, kept below version 7 to name its partitions if the answer must be withheld.
    old_body: Option<Bytes>,
}

impl FetchPlan {
    /// Judges the waiting answer again: whether all that was forwarded is still allowed.
    pub fn still_allowed(&self, judge: &mut Judge<'_>) -> bool {
        if self.follower {
            return judge.cluster(Operation::ClusterAction).is_allowed();
        }
        match &self.session {
            SessionPlan::Continue(id) => {
                let Some(topics) = judge.sessions.take(*id) else { return false };
                let allowed = ask_all(judge, topics.due()).is_some();
                judge.sessions.created(*id, topics);
                allowed
            }
            SessionPlan::Create(topics) => ask_all(judge, topics.names()).is_some(),
            SessionPlan::None => ask_all(judge, self.names.iter()).is_some(),
        }
    }

    /// The answer in place of one that lost its right. From version 7 on FETCH_SESSION_ID_NOT_FOUND: the client asks again
    /// in full. Below, the partitions that were asked for: refused ones with 29, the others as having nothing new.
    ///
    /// # Errors
    /// The kept request cannot be read (never: it was walked before).
    pub fn withheld(&self, version: i16, judge: &mut Judge<'_>) -> Result<Node, WireError> {
        if version >= FIRST_SESSION_VERSION {
            return Ok(session_not_found());
        }
        let mut answer = Node::response(ApiKey::FETCH);
        let Some(body) = &self.old_body else { return Ok(answer) };
        let mut request = crate::wire::decode(ApiKey::FETCH.request_def()?, version, body)?;
        for topic in request.take_nodes(req::TOPICS) {
            let allowed = judge.decide(Operation::Read, TopicName(topic.str(fetch_topic::TOPIC))).is_allowed();
            let refused = refuse_topic(&topic, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            answer.push(res::RESPONSES, if allowed { nothing_new(refused) } else { refused });
        }
        answer.nodes_mut(res::RESPONSES).extend(self.denied.iter().cloned());
        Ok(answer)
    }
}

/// The rule of Fetch.
pub(super) struct Fetch;

impl Rule for Fetch {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let (id, epoch) = (view.i32(req::SESSION_ID), view.i32(req::SESSION_EPOCH));
        let full = epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH;
        if !full && judge.sessions.topics(id).is_none() {
            let unknown = Decision::refused(ReasonCode::SessionUnknown, judge.cx.now);
            judge.note(Operation::Read, Resource::new(ResourceType::Topic, ""), &unknown);
            return Ok(Verdict::Answer(session_not_found()));
        }
        let follower = is_follower(view);
        let follows = if follower { judge.cluster(Operation::ClusterAction).permit() } else { None };
        if follower && follows.is_none() {
            let topics = request.decode().take_nodes(req::TOPICS);
            return Ok(Verdict::Answer(refuse(topics.iter().map(|t| (t, ErrorCode::TOPIC_AUTHORIZATION_FAILED)))));
        }
        let outcome = ask(judge, follows, view);
        if !outcome.unresolved.is_empty() {
            return Ok(Verdict::Probe(outcome.unresolved));
        }
        if full { judge_full(request, judge, outcome, follower) } else { judge_next(request, judge, outcome, follower) }
    }
}

/// Opens a session or goes without one.
fn judge_full(
    request: &Request<'_, '_>,
    judge: &mut Judge<'_>,
    mut outcome: Outcome,
    follower: bool,
) -> Result<Verdict, WireError> {
    let view = request.view;
    let (old, epoch) = (view.i32(req::SESSION_ID), view.i32(req::SESSION_EPOCH));
    // A broker opens a session anew, or goes without one, whether it knows the number or not; it would end it by that number.
    let foreign = old != 0 && judge.sessions.topics(old).is_none();
    if old != 0 && epoch == FINAL_EPOCH && view.items(req::TOPICS).is_empty() {
        if foreign {
            return Ok(Verdict::Answer(Node::response(ApiKey::FETCH)));
        }
        let session = judge.sessions.take(old).unwrap_or_default();
        return Ok(close_session(request, judge, session.names(), follower, outcome.permit));
    }
    let Some(permit) = outcome.permit.take() else {
        let mut topics = request.decode().take_nodes(req::TOPICS);
        let cut = outcome.cut(&mut topics);
        return Ok(Verdict::Answer(refuse(cut.iter().map(|(t, e)| (t, *e)))));
    };
    if old != 0 {
        judge.sessions.ended(old);
    }
    let mut plan = plan(request, follower);
    if outcome.denied.is_empty() {
        let opens = epoch == INITIAL_EPOCH && request.version() >= FIRST_SESSION_VERSION;
        let partitions = view.items(req::TOPICS).map(|topic| 1 + topic.items(fetch_topic::PARTITIONS).len());
        if opens && judge.sessions.has_room(partitions.sum()) {
            let mut topics = SessionTopics::default();
            for topic in view.items(req::TOPICS) {
                if let Some(name) = name_of(judge, topic, REQUEST_TOPIC) {
                    topics.add(&name, partitions_of(topic));
                }
            }
            plan.session = SessionPlan::Create(Box::new(topics));
        } else {
            remember_names(judge, view, &mut plan.names);
        }
        let without = opens && matches!(plan.session, SessionPlan::None);
        if !without && !foreign {
            return Ok(Verdict::Forward(permit, Then::Fetch(plan)));
        }
        let mut node = request.decode();
        if without {
            node.set(req::SESSION_EPOCH, FINAL_EPOCH);
        }
        if foreign {
            node.set(req::SESSION_ID, 0);
        }
        return Ok(Verdict::Rewrite(permit, node, Then::Fetch(plan)));
    }
    let mut node = request.decode();
    if foreign {
        node.set(req::SESSION_ID, 0);
    }
    let cut = outcome.cut(node.nodes_mut(req::TOPICS));
    for topic in node.nodes(req::TOPICS) {
        let id = topic.uuid(fetch_topic::TOPIC_ID);
        match judge.topic_name(id) {
            Ok(name) if !id.is_zero() => plan.names.push(&name),
            Ok(_) | Err(_) => plan.names.push(topic.str(fetch_topic::TOPIC)),
        }
    }
    node.set(req::SESSION_EPOCH, FINAL_EPOCH);
    plan.denied = refused(cut.iter().map(|(topic, error)| (topic, *error)));
    Ok(Verdict::Rewrite(permit, node, Then::Fetch(plan)))
}

/// Ends a session of this connection, in which there are these topics, or were until the request forgot them. The broker is
/// told, so that the place is free: there are few for all its clients. Who may no longer read what is in it is answered
/// here; the broker forgets it when it needs the place.
fn close_session<'n>(
    request: &Request<'_, '_>,
    judge: &mut Judge<'_>,
    topics: impl Iterator<Item = &'n str> + Clone,
    follower: bool,
    follows: Option<Permit>,
) -> Verdict {
    let Some(permit) = follows.or_else(|| ask_all(judge, topics.clone())) else {
        return Verdict::Answer(Node::response(ApiKey::FETCH));
    };
    let mut plan = plan(request, follower);
    topics.for_each(|name| plan.names.push(name));
    Verdict::Forward(permit, Then::Fetch(plan))
}

/// Continues a session that this connection knows.
fn judge_next(
    request: &Request<'_, '_>,
    judge: &mut Judge<'_>,
    outcome: Outcome,
    follower: bool,
) -> Result<Verdict, WireError> {
    let view = request.view;
    let id = view.i32(req::SESSION_ID);
    // Out of the others until it is known to go on.
    let Some(mut topics) = judge.sessions.take(id) else { return Ok(Verdict::Answer(session_not_found())) };
    for topic in view.items(req::FORGOTTEN_TOPICS_DATA) {
        if let Some(name) = name_of(judge, topic, FORGOTTEN_TOPIC) {
            topics.forget(&name, topic.i32s(forgotten_topic::PARTITIONS));
        }
    }
    if topics.is_empty() && view.items(req::TOPICS).is_empty() {
        // Nothing is left: a broker ends the session without an error (`FetchManager.newContext`, Kafka 4.3).
        let forgotten = view.items(req::FORGOTTEN_TOPICS_DATA);
        let names: Vec<_> = forgotten.filter_map(|topic| name_of(judge, topic, FORGOTTEN_TOPIC)).collect();
        return Ok(close_session(request, judge, names.iter().map(|name| &**name), follower, outcome.permit));
    }
    let remembered = if follower {
        outcome.permit
    } else {
        ask_all(judge, topics.names()).or_else(|| outcome.permit.filter(|_| topics.is_empty()))
    };
    // A session without topics has nothing to permit; it too begins anew.
    let goes_on = outcome.denied.is_empty() && topics.leaving.len() <= MAX_LEAVING;
    let Some(permit) = remembered.filter(|_| goes_on) else {
        return Ok(Verdict::Answer(session_not_found()));
    };
    for topic in view.items(req::TOPICS) {
        if let Some(name) = name_of(judge, topic, REQUEST_TOPIC) {
            topics.add(&name, partitions_of(topic));
        }
    }
    topics.waiting += 1;
    if !judge.sessions.created(id, topics) {
        return Ok(Verdict::Answer(session_not_found()));
    }
    let mut plan = plan(request, follower);
    plan.session = SessionPlan::Continue(id);
    Ok(Verdict::Forward(permit, Then::Fetch(plan)))
}

/// Decides READ for each topic of the request. A follower has shown CLUSTER_ACTION; only the proxy's own topics are held
/// back from it (threat 4).
fn ask(judge: &mut Judge<'_>, follows: Option<Permit>, view: View<'_, '_>) -> Outcome {
    if follows.is_none() {
        return Outcome::of_topics(judge, Use::Normal, Operation::Read, view, req::TOPICS, REQUEST_TOPIC);
    }
    let mut outcome = Outcome { permit: follows, ..Outcome::default() };
    for (place, topic) in view.items(req::TOPICS).enumerate() {
        let own =
            name_of(judge, topic, REQUEST_TOPIC).filter(|name| judge.refuse_own(Operation::Read, TopicName(name)));
        if own.is_some() {
            outcome.denied.push((place, ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        }
    }
    outcome
}

/// A permit if READ is allowed on every one of these names; `None` also if there is none.
fn ask_all<'n>(judge: &mut Judge<'_>, names: impl Iterator<Item = &'n str>) -> Option<Permit> {
    let mut permit = None;
    for name in names {
        permit = Some(judge.decide(Operation::Read, TopicName(name)).permit()?);
    }
    permit
}

fn plan(request: &Request<'_, '_>, follower: bool) -> FetchPlan {
    let old = request.version() < FIRST_SESSION_VERSION;
    FetchPlan {
        session: SessionPlan::None,
        denied: Vec::new(),
        names: Names::default(),
        follower,
        old_body: old.then(|| Bytes::copy_from_slice(request.body)),
    }
}

fn remember_names(judge: &Judge<'_>, view: View<'_, '_>, names: &mut Names) {
    for topic in view.items(req::TOPICS) {
        if let Some(name) = name_of(judge, topic, REQUEST_TOPIC) {
            names.push(&name);
        }
    }
}

/// Whether a broker, or somebody who says so, asks: `replica_id`, or `replica_state` from version 15 on.
fn is_follower(view: View<'_, '_>) -> bool {
    view.i32(req::REPLICA_ID) >= 0
        || view.strct(req::REPLICA_STATE).is_some_and(|state| state.i32(replica_state::REPLICA_ID) >= 0)
}

fn name_of(judge: &Judge<'_>, topic: View<'_, '_>, fields: TopicFields) -> Option<Arc<str>> {
    match fields.id.filter(|id| topic.has(*id)) {
        Some(id) => judge.topic_name(topic.uuid(id)).ok(),
        None => Some(topic.str(fields.name).into()),
    }
}

fn partitions_of(topic: View<'_, '_>) -> impl Iterator<Item = i32> {
    topic.items(fetch_topic::PARTITIONS).map(|partition| partition.i32(fetch_partition::PARTITION))
}

/// Puts told addresses in place of the brokers' own (KIP-951).
pub fn rewrite_endpoints(answer: &mut Node, judge: &mut Judge<'_>) {
    answer.nodes_mut(res::NODE_ENDPOINTS).retain_mut(|endpoint| {
        judge.rewrite_address(endpoint, node_endpoint::NODE_ID, node_endpoint::HOST, node_endpoint::PORT)
    });
}

fn session_not_found() -> Node {
    Node::response(ApiKey::FETCH).with(res::ERROR_CODE, ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
}

fn refuse<'n>(topics: impl Iterator<Item = (&'n Node, ErrorCode)>) -> Node {
    Node::response(ApiKey::FETCH).with(res::RESPONSES, refused(topics))
}

fn refused<'n>(topics: impl Iterator<Item = (&'n Node, ErrorCode)>) -> Vec<Node> {
    let all = topics.map(|(topic, error)| refuse_topic(topic, error)).collect();
    each_once(all, RESPONSE_TOPIC, fetchable_topic_response::PARTITIONS, partition_data::PARTITION_INDEX)
}

/// A refused topic as `FetchResponse.partitionResponse` (Kafka 4.1) makes it: no offsets, no transactions, no records.
fn refuse_topic(topic: &Node, error: ErrorCode) -> Node {
    let mut refused = Node::response(ApiKey::FETCH).child(res::RESPONSES);
    copy_topic(topic, REQUEST_TOPIC, &mut refused, RESPONSE_TOPIC);
    for partition in topic.nodes(fetch_topic::PARTITIONS) {
        let node = refused
            .child(fetchable_topic_response::PARTITIONS)
            .with(partition_data::PARTITION_INDEX, partition.int(fetch_partition::PARTITION))
            .with(partition_data::ERROR_CODE, error)
            .with(partition_data::HIGH_WATERMARK, -1i64)
            .with(partition_data::RECORDS, no_records());
        refused.push(fetchable_topic_response::PARTITIONS, node);
    }
    refused
}

fn nothing_new(mut topic: Node) -> Node {
    for partition in topic.nodes_mut(fetchable_topic_response::PARTITIONS) {
        partition.set(partition_data::ERROR_CODE, ErrorCode::NONE);
    }
    topic
}
