//! A consumer group of the classic protocol, without its wire format.
//!
//! Source: `org.apache.kafka.coordinator.group.GroupMetadataManager` (`classicGroupJoin`, `classicGroupSync`,
//! `classicGroupHeartbeat`), Kafka 4.1. Simpler in two ways: a static member that comes back starts a rebalance, and the
//! first rebalance of a group waits for nobody (`group.initial.rebalance.delay.ms=0`).

use crate::wire::ErrorCode;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The most members of a group, those who have only a name included.
const MAX_MEMBERS: usize = 500;
/// The most partitions with offsets of a group.
const MAX_OFFSETS: usize = 10_000;

/// How a join ends: well, or with an error and the member id to name with it.
pub(super) type Joined = Result<Joining, (ErrorCode, String)>;
/// How a sync ends.
pub(super) type Synced = Result<Assignment, ErrorCode>;

/// The answer to a join.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Joining {
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) leader: String,
    pub(super) member: String,
    /// For the leader: id, instance and metadata of each member.
    pub(super) members: Vec<(String, Option<String>, Bytes)>,
}

/// The answer to a sync.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) bytes: Bytes,
}

/// A request to join.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) member: String,
    pub(super) instance: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    pub(super) protocol_type: String,
    pub(super) protocols: Vec<(String, Bytes)>,
    /// Whether a member must come a second time, with the id it was given (KIP-394).
    pub(super) twice: bool,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) epoch: i32,
    pub(super) metadata: String,
}

/// Where a group stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    /// Waits until this instant for members to join.
    Preparing(Instant),
    /// Waits for the leader's assignment.
    Completing,
    Stable,
}

impl Phase {
    /// Kafka's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing(_) => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) as_joined: Join,
    pub(super) assignment: Bytes,
    /// When it is given up, unless it waits for an answer to a join.
    deadline: Instant,
    joining: Option<oneshot::Sender<Joined>>,
    syncing: Option<oneshot::Sender<Synced>>,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) phase: Phase,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) generation: i32,
    leader: String,
    /// Ids that were given out to who has not joined yet, and until when they hold.
    promised: BTreeMap<String, Instant>,
    pub(super) offsets: BTreeMap<(String, i32), Committed>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Empty,
            protocol_type: String::new(),
            protocol: String::new(),
            members: BTreeMap::new(),
            generation: 0,
            leader: String::new(),
            promised: BTreeMap::new(),
            offsets: BTreeMap::new(),
        }
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_void(&self) -> bool {
        self.phase == Phase::Empty && self.promised.is_empty() && self.offsets.is_empty()
    }

    /// What a member said of itself in the protocol that was chosen.
    pub(super) fn metadata_of(&self, member: &Member) -> Bytes {
        let chosen = member.as_joined.protocols.iter().find(|(name, _)| *name == self.protocol);
        chosen.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn commit(&mut self, topic: &str, partition: i32, committed: Committed) {
        let place = (topic.to_owned(), partition);
        if self.offsets.len() < MAX_OFFSETS || self.offsets.contains_key(&place) {
            self.offsets.insert(place, committed);
        }
    }

    pub(super) fn join(&mut self, mut join: Join, new_name: String, sender: oneshot::Sender<Joined>, now: Instant) {
        match self.admit(&mut join, new_name, now) {
            Err(refused) => drop(sender.send(Err(refused))),
            Ok(()) => {
                let name = join.member.clone();
                let same = |member: &Member| member.as_joined.protocols == join.protocols;
                let unchanged = self.members.get(&name).is_some_and(same);
                let answered = match self.phase {
                    Phase::Completing => unchanged,
                    Phase::Stable => unchanged && self.leader != name,
                    Phase::Empty | Phase::Preparing(_) => false,
                };
                if answered {
                    self.touch(&name, now);
                    drop(sender.send(Ok(self.joining(&name))));
                    return;
                }
                let deadline = now + join.session;
                let member = self.members.entry(name).or_insert_with(|| Member {
                    as_joined: join.clone(),
                    assignment: Bytes::new(),
                    deadline,
                    joining: None,
                    syncing: None,
                });
                member.as_joined = join;
                member.joining = Some(sender);
                if !matches!(self.phase, Phase::Preparing(_)) {
                    self.prepare(now);
                }
                self.complete_if_all_joined(now);
            }
        }
    }

    /// Whether who asks may join, and under which id.
    fn admit(&mut self, join: &mut Join, new_name: String, now: Instant) -> Result<(), (ErrorCode, String)> {
        let of_instance = join.instance.as_ref().and_then(|instance| self.instance(instance));
        let others: Vec<&Member> =
            self.members.iter().filter(|(name, _)| **name != join.member).map(|(_, member)| member).collect();
        let common = |(name, _): &&(String, Bytes)| {
            others.iter().all(|other| other.as_joined.protocols.iter().any(|(theirs, _)| theirs == name))
        };
        let fits = others.is_empty()
            || (self.protocol_type == join.protocol_type && join.protocols.iter().find(common).is_some());
        if !fits {
            return Err((ErrorCode::INCONSISTENT_GROUP_PROTOCOL, join.member.clone()));
        }
        let full = self.members.len() + self.promised.len() >= MAX_MEMBERS;
        if join.member.is_empty() {
            if full {
                return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, String::new()));
            }
            if let Some(before) = of_instance {
                self.remove(&before, ErrorCode::FENCED_INSTANCE_ID);
            } else if join.twice && join.instance.is_none() {
                self.promised.insert(new_name.clone(), now + join.session);
                return Err((ErrorCode::MEMBER_ID_REQUIRED, new_name));
            }
            join.member = new_name;
        } else if of_instance.is_some_and(|known| known != join.member) {
            return Err((ErrorCode::FENCED_INSTANCE_ID, join.member.clone()));
        } else if self.promised.remove(&join.member).is_none() && !self.members.contains_key(&join.member) {
            return Err((ErrorCode::UNKNOWN_MEMBER_ID, join.member.clone()));
        }
        self.protocol_type.clone_from(&join.protocol_type);
        Ok(())
    }

    fn instance(&self, instance: &str) -> Option<String> {
        let same = |(_, member): &(&String, &Member)| member.as_joined.instance.as_deref() == Some(instance);
        self.members.iter().find(same).map(|(name, _)| name.clone())
    }

    pub(super) fn sync(
        &mut self,
        member: &str,
        assignments: Vec<(String, Bytes)>,
        sender: oneshot::Sender<Synced>,
        now: Instant,
    ) {
        self.touch(member, now);
        match self.phase {
            Phase::Empty => drop(sender.send(Err(ErrorCode::UNKNOWN_MEMBER_ID))),
            Phase::Preparing(_) => drop(sender.send(Err(ErrorCode::REBALANCE_IN_PROGRESS))),
            Phase::Stable => drop(sender.send(Ok(self.assignment(member)))),
            Phase::Completing => {
                if let Some(waiting) = self.members.get_mut(member) {
                    waiting.syncing = Some(sender);
                }
                if self.leader == member {
                    for (name, bytes) in assignments {
                        if let Some(member) = self.members.get_mut(&name) {
                            member.assignment = bytes;
                        }
                    }
                    self.phase = Phase::Stable;
                    self.answer_syncs(None);
                }
            }
        }
    }

    pub(super) fn leave(&mut self, member: &str, instance: Option<&str>, now: Instant) -> ErrorCode {
        let known = instance.and_then(|instance| self.instance(instance));
        let name = match (member, known) {
            ("", Some(known)) => known,
            (member, Some(known)) if known != member => return ErrorCode::FENCED_INSTANCE_ID,
            (member, _) => member.to_owned(),
        };
        if self.promised.remove(&name).is_none() && !self.remove(&name, ErrorCode::UNKNOWN_MEMBER_ID) {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        self.after_removal(now);
        ErrorCode::NONE
    }

    /// Takes a member out and tells it so, should it wait for an answer.
    fn remove(&mut self, name: &str, told: ErrorCode) -> bool {
        let Some(member) = self.members.remove(name) else { return false };
        if let Some(joining) = member.joining {
            drop(joining.send(Err((told, name.to_owned()))));
        }
        if let Some(syncing) = member.syncing {
            drop(syncing.send(Err(told)));
        }
        true
    }

    fn after_removal(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Completing | Phase::Stable) {
            self.prepare(now);
        }
        self.complete_if_all_joined(now);
    }

    /// Begins a rebalance.
    fn prepare(&mut self, now: Instant) {
        self.answer_syncs(Some(ErrorCode::REBALANCE_IN_PROGRESS));
        let patience = self.members.values().map(|member| member.as_joined.rebalance).max();
        self.phase = Phase::Preparing(now + patience.unwrap_or_default());
    }

    fn complete_if_all_joined(&mut self, now: Instant) {
        let all = self.promised.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if matches!(self.phase, Phase::Preparing(_)) && all {
            self.complete(now);
        }
    }

    /// Begins the next generation with those who have joined.
    fn complete(&mut self, now: Instant) {
        self.members.retain(|_, member| member.joining.is_some());
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.vote();
        self.phase = if self.members.is_empty() { Phase::Empty } else { Phase::Completing };
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in names {
            let answer = self.joining(&name);
            if let Some(member) = self.members.get_mut(&name) {
                member.assignment = Bytes::new();
                member.deadline = now + member.as_joined.session;
                if let Some(joining) = member.joining.take() {
                    drop(joining.send(Ok(answer)));
                }
            }
        }
    }

    /// The protocol that all know and most like best.
    fn vote(&self) -> String {
        let knows = |member: &Member, name: &str| member.as_joined.protocols.iter().any(|(known, _)| known == name);
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut liked = member.as_joined.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(choice) = liked.find(|name| self.members.values().all(|other| knows(other, name))) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn joining(&self, name: &str) -> Joining {
        let row = |(name, member): (&String, &Member)| {
            (name.clone(), member.as_joined.instance.clone(), self.metadata_of(member))
        };
        Joining {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: name.to_owned(),
            members: if name == self.leader { self.members.iter().map(row).collect() } else { Vec::new() },
        }
    }

    fn assignment(&self, member: &str) -> Assignment {
        Assignment {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            bytes: self.members.get(member).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Answers everyone who waits for an assignment.
    fn answer_syncs(&mut self, error: Option<ErrorCode>) {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        for member in self.members.values_mut() {
            let Some(syncing) = member.syncing.take() else { continue };
            drop(syncing.send(match error {
                Some(code) => Err(code),
                None => Ok(Assignment {
                    protocol_type: protocol_type.clone(),
                    protocol: protocol.clone(),
                    bytes: member.assignment.clone(),
                }),
            }));
        }
    }

    pub(super) fn touch(&mut self, member: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(member) {
            member.deadline = now + member.as_joined.session;
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let silent = self.members.values().filter(|member| member.joining.is_none()).map(|member| member.deadline);
        let rebalance = match self.phase {
            Phase::Preparing(deadline) => Some(deadline),
            Phase::Empty | Phase::Completing | Phase::Stable => None,
        };
        silent.chain(self.promised.values().copied()).chain(rebalance).min()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let promised = self.promised.len();
        self.promised.retain(|_, deadline| *deadline > now);
        let silent = |(_, member): &(&String, &Member)| member.joining.is_none() && member.deadline <= now;
        let gone: Vec<String> = self.members.iter().filter(silent).map(|(name, _)| name.clone()).collect();
        for name in &gone {
            self.remove(name, ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !gone.is_empty() {
            self.after_removal(now);
        } else if self.promised.len() < promised {
            self.complete_if_all_joined(now);
        }
        if matches!(self.phase, Phase::Preparing(deadline) if deadline <= now) {
            self.complete(now);
        }
    }
}
