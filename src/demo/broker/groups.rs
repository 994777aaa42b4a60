//! All consumer groups: which there are, and who may speak for them.

use super::group::{Committed, Group, Join, Joined, Phase, Synced};
use crate::wire::ErrorCode;
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The most groups.
const MAX_GROUPS: usize = 1000;
/// How much of the client's id goes into a member's.
const CLIENT_IN_NAME: usize = 100;

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<String, Group>,
    /// Numbers member ids, so that they sort in the order in which members came.
    named: u64,
}

impl Groups {
    pub(super) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(id, group)| (id.as_str(), group))
    }

    /// Joins a group, which is made if there is none.
    pub(super) fn join(&mut self, id: &str, join: Join, now: Instant) -> oneshot::Receiver<Joined> {
        let (sender, receiver) = oneshot::channel();
        let refused = |code: ErrorCode| Err((code, join.member.clone()));
        let unusable = join.protocols.is_empty() || join.protocol_type.is_empty();
        // Where nobody waits for an answer any more, none is missed: here and wherever a channel is written to.
        if id.is_empty() {
            let _ = sender.send(refused(ErrorCode::INVALID_GROUP_ID));
        } else if unusable {
            let _ = sender.send(refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        } else if !self.groups.contains_key(id) && self.groups.len() >= MAX_GROUPS {
            let _ = sender.send(refused(ErrorCode::GROUP_MAX_SIZE_REACHED));
        } else {
            self.named += 1;
            // A string of the wire has room for 32,767 bytes: a client's own name may fill it.
            let client: String = join.client_id.chars().take(CLIENT_IN_NAME).collect();
            let name = format!("{client}-{:08}-{:016x}", self.named, rand::random::<u64>());
            self.groups.entry(id.to_owned()).or_insert_with(Group::new).join(join, name, sender, now);
            self.drop_if_void(id);
        }
        receiver
    }

    /// Waits for the assignment of a generation; the leader brings all of them.
    pub(super) fn sync(
        &mut self,
        id: &str,
        member: &str,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
        now: Instant,
    ) -> oneshot::Receiver<Synced> {
        let (sender, receiver) = oneshot::channel();
        match self.member_of(id, member, generation) {
            Err(code) => drop(sender.send(Err(code))),
            Ok(group) => group.sync(member, assignments, sender, now),
        }
        receiver
    }

    pub(super) fn heartbeat(&mut self, id: &str, member: &str, generation: i32, now: Instant) -> ErrorCode {
        match self.member_of(id, member, generation) {
            Err(code) => code,
            Ok(group) => {
                group.touch(member, now);
                if matches!(group.phase, Phase::Preparing(_)) {
                    ErrorCode::REBALANCE_IN_PROGRESS
                } else {
                    ErrorCode::NONE
                }
            }
        }
    }

    /// Takes a member out, named by its id or, if that is empty, by its instance.
    pub(super) fn leave(&mut self, id: &str, member: &str, instance: Option<&str>, now: Instant) -> ErrorCode {
        let Some(group) = self.groups.get_mut(id) else { return ErrorCode::UNKNOWN_MEMBER_ID };
        let code = group.leave(member, instance, now);
        self.drop_if_void(id);
        code
    }

    /// The group whose offsets this member, or with a negative generation anybody while it is empty, may commit.
    pub(super) fn committing(
        &mut self,
        id: &str,
        member: &str,
        generation: i32,
        now: Instant,
    ) -> Result<&mut Group, ErrorCode> {
        if generation >= 0 {
            let group = self.member_of(id, member, generation)?;
            group.touch(member, now);
            return if group.phase == Phase::Completing { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(group) };
        }
        if id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        if !self.groups.contains_key(id) && self.groups.len() >= MAX_GROUPS {
            return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
        }
        let group = self.groups.entry(id.to_owned()).or_insert_with(Group::new);
        if group.phase == Phase::Empty { Ok(group) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    pub(super) fn committed(&self, id: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.groups.get(id)?.offsets.get(&(topic.to_owned(), partition))
    }

    /// The partitions in which the group has offsets, topic by topic.
    pub(super) fn all_committed(&self, id: &str) -> Vec<(String, i32)> {
        self.groups.get(id).map(|group| group.offsets.keys().cloned().collect()).unwrap_or_default()
    }

    /// Drops what groups have committed for a topic that is deleted.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        for group in self.groups.values_mut() {
            group.offsets.retain(|(name, _), _| name != topic);
        }
        self.groups.retain(|_, group| !group.is_void());
    }

    /// The earliest instant at which something ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.groups.values().filter_map(Group::next_deadline).min()
    }

    /// Ends what has ended by now.
    pub(super) fn expire(&mut self, now: Instant) {
        self.groups.values_mut().for_each(|group| group.expire(now));
        self.groups.retain(|_, group| !group.is_void());
    }

    fn member_of(&mut self, id: &str, member: &str, generation: i32) -> Result<&mut Group, ErrorCode> {
        let group = self.groups.get_mut(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match group.members.contains_key(member) {
            false => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            true if group.generation != generation => Err(ErrorCode::ILLEGAL_GENERATION),
            true => Ok(group),
        }
    }

    fn drop_if_void(&mut self, id: &str) {
        if self.groups.get(id).is_some_and(Group::is_void) {
            self.groups.remove(id);
        }
    }
}
