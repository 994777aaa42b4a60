//! Fetch sessions (KIP-227): what a client has asked for, so that it need not say it again.
//!
//! Source: `kafka.server.FetchSession` and `FetchManager`, Kafka 4.1. As there, a session is found by its number alone:
//! whoever names it may use it.

use crate::model::TopicId;
use crate::wire::schema::fetch::request as q;
use crate::wire::{ErrorCode, Node};
use std::collections::{BTreeMap, HashMap};

/// The most sessions; the longest idle one makes room.
const MAX_SESSIONS: usize = 1000;
/// The most partitions of a session.
const MAX_PARTITIONS: usize = 10_000;
/// The epoch of a request that wants no session, or the end of its session.
const FINAL_EPOCH: i32 = -1;

/// A partition as the client names it: by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) id: TopicId,
    pub(super) partition: i32,
}

/// What is wanted of a partition.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub(super) offset: i64,
    pub(super) room: usize,
    /// End and start of the log as the client was last told; none for a partition it knows nothing of.
    pub(super) told: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    wants: BTreeMap<Target, Want>,
    used: u64,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: HashMap<i32, Session>,
    clock: u64,
}

/// What one request comes to.
#[derive(Debug)]
pub(super) struct Plan {
    /// The session to name in the answer; 0 for none.
    pub(super) session: i32,
    /// Whether the answer leaves out what has not changed.
    pub(super) incremental: bool,
    /// What to read, in this order.
    pub(super) wants: Vec<(Target, Want)>,
}

impl Sessions {
    /// Reads a request, and opens, moves on or ends its session.
    pub(super) fn plan(&mut self, version: i16, request: &Node) -> Result<Plan, ErrorCode> {
        self.clock += 1;
        let by_id = version >= 13;
        let (id, epoch) = (request.i32(q::SESSION_ID), request.i32(q::SESSION_EPOCH));
        if version < 7 || epoch == 0 || epoch == FINAL_EPOCH {
            self.sessions.remove(&id);
            let wants: BTreeMap<Target, Want> = wants(request).collect();
            let keep = version >= 7 && epoch == 0 && !wants.is_empty() && wants.len() <= MAX_PARTITIONS;
            let plan = wants.iter().map(|(target, want)| (target.clone(), want.clone())).collect();
            let session = if keep { self.open(by_id, wants) } else { 0 };
            return Ok(Plan { session, incremental: false, wants: plan });
        }
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.used = self.clock;
        for (target, want) in wants(request) {
            let told = session.wants.get(&target).and_then(|known| known.told);
            session.wants.insert(target, Want { told, ..want });
        }
        for target in forgotten(request) {
            session.wants.remove(&target);
        }
        if session.wants.len() > MAX_PARTITIONS {
            self.sessions.remove(&id);
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        // Another partition is first each time, so that none starves when answers are full.
        let count = session.wants.len();
        let turn = usize::try_from(epoch).unwrap_or_default() % count.max(1);
        let all = session.wants.iter().map(|(target, want)| (target.clone(), want.clone()));
        let wants: Vec<_> = all.collect();
        let (first, last) = wants.split_at(turn);
        let wants = [last, first].concat();
        let session = if wants.is_empty() { 0 } else { id };
        if session == 0 {
            self.sessions.remove(&id);
        }
        Ok(Plan { session, incremental: true, wants })
    }

    /// Notes what the client was told about a partition.
    pub(super) fn told(&mut self, session: i32, target: &Target, end: i64, start: i64) {
        if let Some(want) = self.sessions.get_mut(&session).and_then(|session| session.wants.get_mut(target)) {
            want.told = Some((end, start));
        }
    }

    fn open(&mut self, by_id: bool, wants: BTreeMap<Target, Want>) -> i32 {
        if self.sessions.len() >= MAX_SESSIONS {
            let idlest = self.sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            if let Some(id) = idlest {
                self.sessions.remove(&id);
            }
        }
        let mut id = 0;
        while id == 0 || self.sessions.contains_key(&id) {
            id = rand::random::<i32>() & i32::MAX;
        }
        self.sessions.insert(id, Session { epoch: 1, by_id, wants, used: self.clock });
        id
    }
}

fn wants(request: &Node) -> impl Iterator<Item = (Target, Want)> {
    use q::{fetch_partition as p, fetch_topic as t};
    request.nodes(q::TOPICS).iter().flat_map(|topic| {
        topic.nodes(t::PARTITIONS).iter().map(|partition| {
            let target = target(topic.str(t::TOPIC), topic.uuid(t::TOPIC_ID), partition.i32(p::PARTITION));
            let room = usize::try_from(partition.int(p::PARTITION_MAX_BYTES)).unwrap_or_default();
            (target, Want { offset: partition.int(p::FETCH_OFFSET), room, told: None })
        })
    })
}

fn forgotten(request: &Node) -> impl Iterator<Item = Target> {
    use q::forgotten_topic as t;
    request.nodes(q::FORGOTTEN_TOPICS_DATA).iter().flat_map(|topic| {
        let partitions = topic.ints(t::PARTITIONS).iter().filter_map(|partition| i32::try_from(*partition).ok());
        partitions.map(|partition| target(topic.str(t::TOPIC), topic.uuid(t::TOPIC_ID), partition))
    })
}

fn target(name: &str, id: TopicId, partition: i32) -> Target {
    Target { name: name.to_owned(), id, partition }
}
