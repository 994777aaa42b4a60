//! What becomes of the answer to a ShareFetch ([`share_fetch`](super::share_fetch)).

use super::judge::Judge;
use super::share_fetch::{Decided, FINAL_EPOCH};
use super::share_owed::Owed;
use super::share_session::{Member, ShareSession, ShareSessions};
use super::split::no_records;
use crate::model::{GroupId, Operation, TopicId};
use crate::wire::schema::share_acknowledge::request as release;
use crate::wire::schema::share_fetch::response::{
    self as res, partition_data, share_fetchable_topic_response as told_topic,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Partitions that are refused, by topic: the error of the fetch, and that of what is acknowledged.
pub(super) type Told = BTreeMap<TopicId, BTreeMap<i32, (ErrorCode, ErrorCode)>>;

/// What is done with the answer to a forwarded ShareFetch.
#[derive(Debug)]
pub struct SharePlan {
    pub(super) member: Member,
    /// What the session holds once the broker has taken the request; none once it is closed.
    pub(super) next: Option<Arc<ShareSession>>,
    /// The refused topics, as elements of the answer.
    pub(super) denied: Vec<Node>,
    /// Whether leases are renewed, and no records are asked for.
    renews: bool,
    /// Partitions of which the request gave back what the client was not given.
    pub(super) given_back: BTreeSet<(TopicId, i32)>,
    /// Topics in the broker's session whose right ended while the answer waited, with the error in their place.
    lost: BTreeMap<TopicId, ErrorCode>,
}

impl SharePlan {
    /// The plan of a request by which nothing is refused so far.
    pub(super) fn new(member: Member, next: Option<Arc<ShareSession>>, renews: bool) -> Self {
        let (denied, given_back, lost) = Default::default();
        Self { member, next, denied, renews, given_back, lost }
    }

    /// Judges the waiting answer again, and notes which topics may no longer be told.
    ///
    /// # Errors
    /// The group lost its right: the error of the whole answer.
    pub fn judge_again(&mut self, judge: &mut Judge<'_>) -> Result<(), ErrorCode> {
        if !judge.decide(Operation::Read, GroupId(&self.member.group)).is_allowed() {
            return Err(ErrorCode::GROUP_AUTHORIZATION_FAILED);
        }
        let mut decided = Decided::default();
        if let Some(session) = &self.next {
            let _ = decided.ask(session.at_broker(), judge);
        }
        self.lost.extend(decided.0.into_iter().filter_map(|(id, error)| Some((id, error?))));
        Ok(())
    }

    /// Whether topics may no longer be told, so that the answer must be cut or dropped.
    pub fn lost_topics(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether anything in the broker's own rows changes, for which the answer must be whole.
    pub fn edits(&self) -> bool {
        self.lost_topics() || !self.given_back.is_empty()
    }

    /// Whether the answer goes to the client as it is, but for the addresses in it.
    pub fn changes_nothing(&self) -> bool {
        self.denied.is_empty() && !self.edits()
    }

    /// Takes out of an answer what may no longer be told, and what came of the records that were given back.
    pub fn edit(&mut self, answer: &mut Node) {
        let (mut told, mut owed): (Told, Owed) = Default::default();
        for session in self.next.iter().filter(|_| !self.renews) {
            for (id, error) in &self.lost {
                let partitions = session.partitions(*id).map(|index| (index, (*error, ErrorCode::NONE)));
                told.entry(*id).or_default().extend(partitions);
            }
        }
        let topics = answer.nodes_mut(res::RESPONSES);
        for topic in topics.iter_mut() {
            let id = topic.uuid(told_topic::TOPIC_ID);
            topic.nodes_mut(told_topic::PARTITIONS).retain_mut(|partition| {
                let index = partition.i32(partition_data::PARTITION_INDEX);
                if self.given_back.contains(&(id, index)) {
                    partition.set(partition_data::ACKNOWLEDGE_ERROR_CODE, ErrorCode::NONE);
                    partition.set(partition_data::ACKNOWLEDGE_ERROR_MESSAGE, Value::Null);
                    if holds_nothing(partition) {
                        return false;
                    }
                }
                let Some(error) = self.lost.get(&id) else { return true };
                if *error != ErrorCode::UNKNOWN_TOPIC_ID {
                    owed.note(id, partition);
                }
                // What the client acknowledged of it was taken while it had the right.
                let row = told.entry(id).or_default().entry(index).or_insert((ErrorCode::NONE, ErrorCode::NONE));
                row.1 = ErrorCode(partition.i16(partition_data::ACKNOWLEDGE_ERROR_CODE));
                false
            });
        }
        topics.retain(|topic| !topic.nodes(told_topic::PARTITIONS).is_empty());
        topics.extend(told.into_iter().map(element));
        if let Some(next) = &mut self.next {
            ShareSession::owes(next, owed);
        }
    }

    /// The broker's answer has begun: the session is what was planned, or after an error nobody's.
    pub fn answered(self, error: ErrorCode, sessions: &mut ShareSessions) -> Vec<Node> {
        match self.next {
            Some(session) if error.is_none() => sessions.holds(self.member, session),
            Some(_) | None => sessions.ended(&self.member),
        }
        if error.is_none() { self.denied } else { Vec::new() }
    }

    /// Its session is nobody's any more.
    pub fn dropped(&self, sessions: &mut ShareSessions) {
        sessions.ended(&self.member);
    }

    /// The request that closes the session at the broker and so releases the records acquired for the member.
    pub fn release(&self) -> Node {
        Node::request(ApiKey::SHARE_ACKNOWLEDGE)
            .with(release::GROUP_ID, &*self.member.group)
            .with(release::MEMBER_ID, &*self.member.id)
            .with(release::SHARE_SESSION_EPOCH, FINAL_EPOCH)
    }
}

/// A refused topic as an element of the answer.
pub(super) fn element((id, partitions): (TopicId, BTreeMap<i32, (ErrorCode, ErrorCode)>)) -> Node {
    let mut topic = Node::new(&told_topic::THIS).with(told_topic::TOPIC_ID, id);
    for (index, (fetch, acknowledge)) in partitions {
        let partition = topic
            .child(told_topic::PARTITIONS)
            .with(partition_data::PARTITION_INDEX, index)
            .with(partition_data::ERROR_CODE, fetch)
            .with(partition_data::ACKNOWLEDGE_ERROR_CODE, acknowledge)
            .with(partition_data::RECORDS, no_records());
        topic.push(told_topic::PARTITIONS, partition);
    }
    topic
}

/// Whether a partition of an answer tells nothing.
fn holds_nothing(partition: &Node) -> bool {
    partition.i16(partition_data::ERROR_CODE) == 0
        && partition.nodes(partition_data::ACQUIRED_RECORDS).is_empty()
        && partition.bytes(partition_data::RECORDS).is_none_or(Bytes::is_empty)
}
