//! Share sessions (KIP-932), as far as a connection saw them made.
//!
//! Source: Kafka 4.3 `SharePartitionManager.newContext`, `ShareSession.update`. A broker finds a share session by group and
//! member id alone; behind one upstream principal anybody could continue anybody's (threat 1). So a session exists only
//! for the connection on which the proxy saw it made, and what a client's session holds is known here topic by topic: the
//! broker's holds those of them that may be read, and nothing else, so that no record is acquired for who may not have it.

use super::share_owed::Owed;
use crate::model::TopicId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Sessions remembered per connection. A client has one; one too many is not remembered, and so unknown.
const MAX_SESSIONS: usize = 16;
/// Partitions in one session. A broker leads some thousands.
pub(super) const MAX_PARTITIONS: usize = 10_000;

/// Group and member: what a broker finds a session by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The group.
    pub group: Arc<str>,
    /// The member's id.
    pub id: Arc<str>,
}

/// What a client's session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareSession {
    topics: BTreeMap<TopicId, BTreeSet<i32>>,
    /// Topics that the broker's session does not hold: they may not be read, or nothing is known of them.
    held_back: BTreeSet<TopicId>,
    /// What the broker acquired for the last answer, and the member was not given.
    owed: Owed,
    partitions: usize,
}

impl ShareSession {
    /// The topics in it.
    pub(super) fn topics(&self) -> impl Iterator<Item = TopicId> {
        self.topics.keys().copied()
    }

    /// The topics that the broker's session holds.
    pub(super) fn at_broker(&self) -> impl Iterator<Item = TopicId> {
        self.topics().filter(|id| !self.held_back.contains(id))
    }

    /// Whether the broker's session holds a topic.
    pub(super) fn broker_has(&self, id: TopicId) -> bool {
        self.topics.contains_key(&id) && !self.held_back.contains(&id)
    }

    /// Whether all that the client's session holds is in the broker's.
    pub(super) fn is_whole(&self) -> bool {
        self.held_back.is_empty()
    }

    /// The topics that are held back.
    pub(super) fn held_back(&self) -> impl Iterator<Item = TopicId> {
        self.held_back.iter().copied()
    }

    /// The partitions of a topic in it.
    pub(super) fn partitions(&self, id: TopicId) -> impl Iterator<Item = i32> {
        self.topics.get(&id).into_iter().flatten().copied()
    }

    /// Whether all these partitions of a topic are in it.
    pub(super) fn holds(&self, id: TopicId, mut partitions: impl Iterator<Item = i32>) -> bool {
        self.topics.get(&id).is_some_and(|own| partitions.all(|index| own.contains(&index)))
    }

    /// What the next fetch gives back to the broker.
    pub(super) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// Says anew what the next fetch gives back; copied where that is not the same as before.
    pub(super) fn owes(this: &mut Arc<Self>, owed: Owed) {
        if owed != this.owed {
            Arc::make_mut(this).owed = owed;
        }
    }

    /// How many partitions are in it.
    pub(super) fn len(&self) -> usize {
        self.partitions
    }

    pub(super) fn add(&mut self, id: TopicId, partitions: impl Iterator<Item = i32>) {
        let own = self.topics.entry(id).or_default();
        let before = own.len();
        own.extend(partitions);
        self.partitions += own.len() - before;
        if own.is_empty() {
            self.topics.remove(&id);
        }
    }

    pub(super) fn forget(&mut self, id: TopicId, partitions: impl Iterator<Item = i32>) {
        let Some(own) = self.topics.get_mut(&id) else { return };
        let before = own.len();
        for partition in partitions {
            own.remove(&partition);
        }
        self.partitions -= before - own.len();
        if own.is_empty() {
            self.topics.remove(&id);
        }
    }

    /// Says anew which of its topics are held back; copied where these are not the same as before.
    pub(super) fn hold_back(this: &mut Arc<Self>, denied: impl Fn(TopicId) -> bool) {
        let held: BTreeSet<TopicId> = this.topics().filter(|id| denied(*id)).collect();
        if held != this.held_back {
            Arc::make_mut(this).held_back = held;
        }
    }
}

/// The share sessions that this connection saw made.
#[derive(Clone, Debug, Default)]
pub struct ShareSessions {
    by_member: HashMap<Member, Arc<ShareSession>>,
}

impl ShareSessions {
    /// What the session of a member holds.
    pub(super) fn of(&self, member: &Member) -> Option<&Arc<ShareSession>> {
        self.by_member.get(member)
    }

    /// The broker made a session, or took over what changed in it.
    pub fn holds(&mut self, member: Member, session: Arc<ShareSession>) {
        if self.by_member.len() < MAX_SESSIONS || self.by_member.contains_key(&member) {
            self.by_member.insert(member, session);
        }
    }

    /// Forgets a session.
    pub fn ended(&mut self, member: &Member) {
        self.by_member.remove(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TopicId = TopicId([1; 16]);

    #[test]
    fn a_session_counts_its_partitions_once_each() {
        let mut session = ShareSession::default();
        session.add(ID, [0, 1].into_iter());
        session.add(ID, [1, 2].into_iter());
        assert_eq!((session.len(), session.partitions(ID).any(|index| index == 2)), (3, true));
        session.forget(ID, [1, 7].into_iter());
        session.forget(TopicId([2; 16]), [0].into_iter());
        assert_eq!((session.len(), session.topics().count()), (2, 1));
        session.forget(ID, [0, 2].into_iter());
        session.add(ID, std::iter::empty());
        assert_eq!(session, ShareSession::default());
    }

    #[test]
    fn sessions_of_a_connection_are_bounded_and_one_too_many_is_unknown() {
        let mut sessions = ShareSessions::default();
        let member = |number: usize| Member { group: "g".into(), id: number.to_string().into() };
        for number in 0..100 {
            sessions.holds(member(number), Arc::default());
        }
        sessions.holds(member(3), Arc::default());
        assert_eq!((0..100).filter(|number| sessions.of(&member(*number)).is_some()).count(), MAX_SESSIONS);
        assert!(sessions.of(&member(3)).is_some() && sessions.of(&member(50)).is_none());
    }
}
