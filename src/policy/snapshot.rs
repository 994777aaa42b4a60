//! The compiled policy, and the decision.

use super::acl::{AclBinding, AclSet};
use super::decision::{Decision, Effect, Evidence, EvidenceKind, Miss};
use super::diff::Inventory;
use super::document::Otherwise;
use super::hosts::Hosts;
use super::index::{Entry, Identity, Index};
use super::reason::ReasonCode;
use super::rights::{Bits, Right, Use, Wanted};
use super::who::{Directory, Identities, Standing};
use crate::model::{Host, Operation, ProtocolAcls, Resource, ResourceType, Revision, Subject, Timestamp};
use crate::wire::ApiKey;
use ahash::HashMap;
use std::sync::Arc;

/// What is asked.
#[derive(Copy, Clone, Debug)]
pub struct Query<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// The operation, as Kafka's handler asks its authorizer.
    pub operation: Operation,
    /// On what.
    pub resource: Resource<'a>,
    /// The API of the request.
    pub api: ApiKey,
    /// Where the client comes from.
    pub host: &'a Host,
    /// The time.
    pub now: Timestamp,
    /// The form of the request, where the API does not say it.
    pub use_: Use,
}

/// The proxy's own topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTopics {
    /// The state topic: invisible to all.
    pub state: Option<String>,
    /// Every topic that is or was an audit topic (threat 20: once one, always protected).
    pub audit: Vec<String>,
}

/// What the policy needs to know besides its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The proxy's own topics.
    pub own_topics: OwnTopics,
    /// The time of the load, for warnings about what has ended.
    pub now: Timestamp,
    /// Where ACLs live that Kafka's tools make.
    pub protocol_acls: ProtocolAcls,
    /// Under which principals (`User:kordon`) the proxy speaks to brokers.
    pub own_principals: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            own_topics: OwnTopics::default(),
            now: Timestamp(0),
            protocol_acls: ProtocolAcls::default(),
            own_principals: Vec::new(),
        }
    }
}

/// Whether a topic is one of the proxy's own.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It is not.
    No,
    /// An audit topic.
    Audit,
    /// The state topic.
    State,
}

/// The policy, compiled: immutable, shared, read without a lock. One snapshot judges a request and its answer.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) directory: Directory,
    /// ACLs, bindings and grants that allow.
    pub(super) index: Index,
    pub(super) rules: Vec<Rule>,
    pub(super) protocol: AclSet,
    pub(super) file: Arc<FilePart>,
}

/// What the ACLs of the protocol do not change: all snapshots of one file share it.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) otherwise: Otherwise,
    pub(super) gate: bool,
    /// Grants that deny.
    pub(super) quarantines: Index,
    /// Rules that hold clusters.connect, by whom they name.
    pub(super) connect: HashMap<Identity, Vec<u32>>,
    pub(super) own: OwnTopics,
    /// Under which principals the proxy speaks to brokers.
    pub(super) own_principals: Vec<String>,
    /// Instants at which a rule begins or ends to hold, ascending.
    pub(super) edges: Vec<Timestamp>,
    pub(super) fixed: Fixed,
    pub(super) inventory: Inventory,
    /// Whether the file ends with `end: true`.
    pub(super) whole: bool,
    pub(super) mode: ProtocolAcls,
    /// The ACLs that Kafka's model can express, sorted, with file and line.
    pub(super) shown: Vec<(AclBinding, Arc<str>)>,
}

/// Where a rule stands; the order is that in which allows are told as the cause.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Acl,
    Binding,
    Grant,
}

/// When, from where, and for which APIs an entry of the file holds.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) source: Source,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) revoked: bool,
    /// What few rules have.
    pub(super) limits: Option<Box<Limits>>,
    pub(super) evidence: Arc<Evidence>,
}

#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) hosts: Hosts,
    /// Sorted.
    pub(super) except: Vec<Identity>,
    pub(super) apis: Option<Vec<ApiKey>>,
}

/// Evidence that is not a rule.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) super_user: Arc<Evidence>,
    pub(super) operator: Arc<Evidence>,
    pub(super) default_allow: Arc<Evidence>,
    pub(super) default_deny: Arc<Evidence>,
    pub(super) gate_open: Arc<Evidence>,
    pub(super) gate_shut: Arc<Evidence>,
    pub(super) own_topic: Arc<Evidence>,
}

/// Circumstances that limits of a rule read.
#[derive(Copy, Clone)]
pub(super) struct Facts<'a> {
    pub(super) identities: &'a Identities,
    pub(super) host: &'a Host,
    /// `None` at the gate, where no API is asked for.
    pub(super) api: Option<ApiKey>,
    pub(super) now: Timestamp,
}

impl Rule {
    pub(super) fn holds(&self, facts: Facts<'_>) -> bool {
        facts.now >= self.not_before
            && facts.now < self.not_after
            && !self.revoked
            && self.limits.as_deref().is_none_or(|l| l.hold(facts, self.evidence.effect))
    }

    /// What alone keeps the rule from holding; `None` if it holds or several things do.
    pub(super) fn miss(&self, facts: Facts<'_>) -> Option<Miss> {
        let limits = self.limits.as_deref();
        let misses = [
            (Miss::Revoked, self.revoked),
            (Miss::NotYet, facts.now < self.not_before),
            (Miss::NoLonger, facts.now >= self.not_after),
            (Miss::Excepted, limits.is_some_and(|l| !l.admits(facts.identities))),
            (Miss::OtherHost, limits.is_some_and(|l| !l.hosts.contain(facts.host, self.evidence.effect))),
            (Miss::OtherApi, limits.is_some_and(|l| !l.serves(facts.api))),
        ];
        let mut there = misses.into_iter().filter(|(_, is)| *is).map(|(miss, _)| miss);
        let first = there.next()?;
        there.next().is_none().then_some(first)
    }
}

impl Limits {
    fn hold(&self, facts: Facts<'_>, effect: Effect) -> bool {
        self.admits(facts.identities) && self.serves(facts.api) && self.hosts.contain(facts.host, effect)
    }

    fn admits(&self, identities: &Identities) -> bool {
        self.except.is_empty() || !identities.any_in(&self.except)
    }

    fn serves(&self, api: Option<ApiKey>) -> bool {
        match (&self.apis, api) {
            (Some(apis), Some(api)) => apis.contains(&api),
            (None, _) | (_, None) => true,
        }
    }
}

/// The rules that decide: of each kind the first.
#[derive(Default)]
struct Weighed {
    deny: Option<u32>,
    /// A deny that only reaches the virtual operation.
    own_deny: Option<u32>,
    allow: Option<u32>,
    /// An allow of the virtual operation.
    own_allow: Option<u32>,
}

fn first(found: &mut Option<u32>, rule: u32, holds: impl FnOnce() -> bool) {
    if found.is_none_or(|f| rule < f) && holds() {
        *found = Some(rule);
    }
}

impl Snapshot {
    /// Which policy this is: every decision's audit event names it.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The earliest instant after `now` at which a rule begins or ends to hold. Cached decisions die there.
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        self.file.edges.get(self.file.edges.partition_point(|e| *e <= now)).copied()
    }

    /// Whether a topic is one of the proxy's own. Names count, not demands (threat 4): a request that names one is
    /// answered as not authorized for that entry, whatever Kafka would ask for.
    pub fn protects(&self, topic: &str) -> Protection {
        if self.file.own.state.as_deref() == Some(topic) {
            Protection::State
        } else if self.file.own.audit.iter().any(|a| a == topic) {
            Protection::Audit
        } else {
            Protection::No
        }
    }

    /// The decision that a request gets for naming one of the proxy's own topics.
    pub fn protected(&self, now: Timestamp) -> Decision {
        Decision::new(false, ReasonCode::Protected, &self.file.fixed.own_topic, now)
    }

    /// Whether a principal is a super user or operator of the policy. On a listener that does not admit them such a
    /// client is refused.
    pub fn names_super(&self, principal: &crate::model::Principal) -> bool {
        self.directory.standing(principal).is_some()
    }

    /// Whether the policy names any super user or operator.
    pub fn names_any_super(&self) -> bool {
        self.directory.raises_any()
    }

    /// Whether a subject is in a group (its name without `Group:`): by this file, or because its identity source claims
    /// it.
    pub fn is_member(&self, subject: &Subject, group: &str) -> bool {
        self.directory.is_member(subject, group)
    }

    /// Whether the file declares a group: a claim of the same name by an identity source is then dropped unless the
    /// source may merge ([`Subject::may_merge`]).
    pub fn declares_group(&self, name: &str) -> bool {
        self.directory.declares(name)
    }

    /// The groups that a subject's identity source claims and that do not count: the file declares them, and the source may
    /// not merge (threat 24).
    pub fn dropped_groups<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a str> {
        self.directory.dropped(subject)
    }

    /// Decides. Pure: the same question gets the same answer.
    pub fn decide(&self, q: &Query<'_>) -> Decision {
        let (identities, standing) = self.directory.look_up(q.subject);
        let standing = standing.filter(|_| q.subject.may_be_super);
        let wanted = Wanted::new(q.resource.kind, q.operation, q.api, q.use_);
        let facts = Facts { identities: &identities, host: q.host, api: Some(q.api), now: q.now };
        if q.resource.kind == ResourceType::Topic && self.guards(q, wanted, facts) {
            return self.protected(q.now);
        }
        if let Some(decision) = self.before_rules(q, wanted, facts, standing) {
            return decision;
        }
        let weighed = self.weigh(&self.index, q.resource, wanted, facts);
        self.conclude(&weighed, wanted, q.now).unwrap_or_else(|| self.otherwise(q, wanted, facts))
    }

    /// The connect gate, as far as this subject is concerned.
    pub fn gate(&self, subject: &Subject, host: &Host, now: Timestamp) -> Decision {
        let (identities, standing) = self.directory.look_up(subject);
        let facts = Facts { identities: &identities, host, api: None, now };
        match standing.filter(|_| subject.may_be_super) {
            Some(Standing::SuperUser) => Decision::new(true, ReasonCode::SuperUser, &self.file.fixed.super_user, now),
            Some(Standing::Operator) => Decision::new(true, ReasonCode::Operator, &self.file.fixed.operator, now),
            None => match self.gate_rule(facts) {
                _ if !self.file.gate => Decision::new(true, ReasonCode::PolicyAllow, &self.file.fixed.gate_open, now),
                Some(rule) => Decision::new(true, ReasonCode::PolicyAllow, &rule.evidence, now),
                None => self.gate_shut(facts),
            },
        }
    }

    /// Step 1: whether the topic is one of the proxy's own, and this is none of what may be done with it.
    fn guards(&self, q: &Query<'_>, wanted: Wanted, facts: Facts<'_>) -> bool {
        match self.protects(q.resource.name) {
            Protection::No => false,
            Protection::State => true,
            Protection::Audit => {
                let free = matches!(q.operation, Operation::Read | Operation::Describe)
                    && q.use_ != Use::Follower
                    && AUDIT_READERS.contains(&q.api);
                !(free && self.names_literally(q.resource, wanted, facts))
            }
        }
    }

    /// Whether an allow in force has this very name as its resource; wildcards and prefixes do not count.
    fn names_literally(&self, resource: Resource<'_>, wanted: Wanted, facts: Facts<'_>) -> bool {
        facts.identities.as_slice().iter().any(|identity| {
            let entries = self.index.literal(*identity, resource.kind, resource.name);
            entries.iter().any(|e| !e.deny && e.bits.meets(wanted.any()) && self.holds(e.rule, facts))
        })
    }

    /// Steps 2 to 4: quarantine, gate, super users and operators.
    pub(super) fn before_rules(
        &self,
        q: &Query<'_>,
        wanted: Wanted,
        facts: Facts<'_>,
        standing: Option<Standing>,
    ) -> Option<Decision> {
        if !self.file.quarantines.is_empty()
            && let Some(rule) = self.weigh(&self.file.quarantines, q.resource, wanted, facts).deny
        {
            return self.by_rule(rule, false, None, q.now);
        }
        match standing {
            Some(Standing::SuperUser) => {
                Some(Decision::new(true, ReasonCode::SuperUser, &self.file.fixed.super_user, q.now))
            }
            Some(Standing::Operator) => {
                let allowed = operator_may(q);
                let right = wanted.right.filter(|r| matches!(r, Right::OffsetsWrite | Right::BrokerConfigsWrite));
                let decision = Decision::new(allowed, ReasonCode::Operator, &self.file.fixed.operator, q.now);
                Some(decision.with_right(right.filter(|_| allowed)))
            }
            None if self.file.gate && self.gate_rule(facts).is_none() => Some(self.gate_shut(facts)),
            None => None,
        }
    }

    /// Steps 5 and 6: denies, then allows.
    fn conclude(&self, weighed: &Weighed, wanted: Wanted, now: Timestamp) -> Option<Decision> {
        if let Some(rule) = weighed.deny {
            return self.by_rule(rule, false, None, now);
        }
        let own = weighed.own_allow.filter(|_| weighed.own_deny.is_none());
        let wider = own.filter(|_| wanted.right.is_some_and(Right::is_wider));
        if let Some(rule) = wider {
            return self.by_rule(rule, true, wanted.right, now);
        }
        if let Some(rule) = weighed.allow {
            return self.by_rule(rule, true, None, now);
        }
        if let Some(rule) = own {
            return self.by_rule(rule, true, wanted.right, now);
        }
        // Only the virtual operation would have allowed, and a deny reaches it.
        weighed.own_allow.and(weighed.own_deny).and_then(|rule| self.by_rule(rule, false, None, now))
    }

    /// Step 8: no rule decided.
    fn otherwise(&self, q: &Query<'_>, wanted: Wanted, facts: Facts<'_>) -> Decision {
        if self.file.otherwise == Otherwise::AllowIfNoAcl && !self.index.has_acl(q.resource.kind, q.resource.name) {
            return Decision::new(true, ReasonCode::DefaultAllow, &self.file.fixed.default_allow, q.now);
        }
        let Some((miss, rule)) = self.nearest_miss(q, wanted, facts) else {
            return Decision::new(false, ReasonCode::NoMatch, &self.file.fixed.default_deny, q.now);
        };
        let code = match (miss, rule.source) {
            (Miss::Revoked, _) => ReasonCode::GrantRevoked,
            (Miss::NoLonger, Source::Grant) => ReasonCode::GrantExpired,
            (Miss::NotYet, _) => ReasonCode::NotYetValid,
            (Miss::NoLonger, Source::Acl | Source::Binding)
            | (Miss::Excepted | Miss::OtherHost | Miss::OtherApi | Miss::DescribeOnly, _) => ReasonCode::NoMatch,
        };
        Decision::new(false, code, &rule.evidence, q.now).with_miss(miss)
    }

    fn nearest_miss(&self, q: &Query<'_>, wanted: Wanted, facts: Facts<'_>) -> Option<(Miss, &Rule)> {
        let mut nearest: Option<(u8, u32, Miss)> = None;
        let describe = Bits::kafka(Operation::Describe);
        self.index.visit(facts.identities.as_slice(), q.resource.kind, q.resource.name, |_, _, entries| {
            for entry in entries.iter().filter(|e| !e.deny) {
                let Some(rule) = self.rule(entry.rule) else { continue };
                let miss = if entry.bits.meets(wanted.any()) {
                    rule.miss(facts)
                } else {
                    (entry.bits.meets(describe) && rule.holds(facts)).then_some(Miss::DescribeOnly)
                };
                let Some(miss) = miss else { continue };
                let rank = match (miss, rule.source) {
                    (Miss::Revoked, _) => 0,
                    (Miss::NoLonger, Source::Grant) => 1,
                    (Miss::NotYet, _) => 2,
                    (Miss::NoLonger, Source::Acl | Source::Binding) => 3,
                    (Miss::Excepted, _) => 4,
                    (Miss::OtherHost, _) => 5,
                    (Miss::OtherApi, _) => 6,
                    (Miss::DescribeOnly, _) => 7,
                };
                if nearest.is_none_or(|(r, id, _)| (rank, entry.rule) < (r, id)) {
                    nearest = Some((rank, entry.rule, miss));
                }
            }
        });
        let (_, id, miss) = nearest?;
        Some((miss, self.rule(id)?))
    }

    fn weigh(&self, index: &Index, resource: Resource<'_>, wanted: Wanted, facts: Facts<'_>) -> Weighed {
        let mut weighed = Weighed::default();
        index.visit(facts.identities.as_slice(), resource.kind, resource.name, |_, _, entries| {
            for Entry { rule, deny, bits, .. } in entries.iter().copied() {
                let holds = || self.holds(rule, facts);
                if deny {
                    if bits.meets(wanted.any()) {
                        first(&mut weighed.deny, rule, holds);
                    } else if bits.meets(wanted.own_held_back) {
                        first(&mut weighed.own_deny, rule, holds);
                    }
                } else {
                    if bits.meets(wanted.kafka) {
                        first(&mut weighed.allow, rule, holds);
                    }
                    if bits.meets(wanted.own) {
                        first(&mut weighed.own_allow, rule, holds);
                    }
                }
            }
        });
        weighed
    }

    pub(super) fn by_rule(&self, id: u32, allowed: bool, right: Option<Right>, now: Timestamp) -> Option<Decision> {
        let rule = self.rule(id)?;
        let code = match (allowed, rule.source) {
            (false, Source::Grant) => ReasonCode::Quarantine,
            (false, Source::Acl | Source::Binding) => ReasonCode::ExplicitDeny,
            (true, Source::Acl) => ReasonCode::AclAllow,
            (true, Source::Binding) => ReasonCode::PolicyAllow,
            (true, Source::Grant) => ReasonCode::GrantAllow,
        };
        Some(Decision::new(allowed, code, &rule.evidence, now).with_right(right))
    }

    pub(super) fn rule(&self, id: u32) -> Option<&Rule> {
        usize::try_from(id).ok().and_then(|i| self.rules.get(i))
    }

    pub(super) fn holds(&self, id: u32, facts: Facts<'_>) -> bool {
        self.rule(id).is_some_and(|r| r.holds(facts))
    }

    fn gate_rules(&self, identities: &Identities) -> impl Iterator<Item = &Rule> {
        let lists = identities.as_slice().iter().filter_map(|i| self.file.connect.get(i));
        lists.flatten().filter_map(|id| self.rule(*id))
    }

    /// The first rule in force that opens the gate; grants never do.
    fn gate_rule(&self, facts: Facts<'_>) -> Option<&Rule> {
        let facts = Facts { api: None, ..facts };
        self.gate_rules(facts.identities).find(|r| r.holds(facts))
    }

    fn gate_shut(&self, facts: Facts<'_>) -> Decision {
        let facts = Facts { api: None, ..facts };
        let missed = self.gate_rules(facts.identities).find_map(|r| Some((r.miss(facts)?, r)));
        match missed {
            Some((miss, rule)) => {
                Decision::new(false, ReasonCode::NotConnectedRole, &rule.evidence, facts.now).with_miss(miss)
            }
            None => Decision::new(false, ReasonCode::NotConnectedRole, &self.file.fixed.gate_shut, facts.now),
        }
    }
}

/// The APIs in which holders of an allow by literal name may name an audit topic (policy.md, step 1).
const AUDIT_READERS: [ApiKey; 9] = [
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
    ApiKey::OFFSET_COMMIT,
    ApiKey::OFFSET_FETCH,
    ApiKey::OFFSET_FOR_LEADER_EPOCH,
    ApiKey::CONSUMER_GROUP_HEARTBEAT,
    ApiKey::CONSUMER_GROUP_DESCRIBE,
];

/// Operators may do all but read and write topics (also as a follower), act as brokers, and touch ACLs and credentials
/// (threat 5). Security configs of brokers: the decision carries `BrokerConfigsWrite`, which is the safe set only.
fn operator_may(q: &Query<'_>) -> bool {
    const NEVER: [ApiKey; 10] = [
        ApiKey::DESCRIBE_ACLS,
        ApiKey::CREATE_ACLS,
        ApiKey::DELETE_ACLS,
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS,
        ApiKey::ALTER_USER_SCRAM_CREDENTIALS,
        ApiKey::CREATE_DELEGATION_TOKEN,
        ApiKey::RENEW_DELEGATION_TOKEN,
        ApiKey::EXPIRE_DELEGATION_TOKEN,
        ApiKey::DESCRIBE_DELEGATION_TOKEN,
        // A voter of the quorum reads its log, with every credential and ACL.
        ApiKey::ADD_RAFT_VOTER,
    ];
    let data = matches!(q.operation, Operation::Read | Operation::Write | Operation::All);
    match q.resource.kind {
        ResourceType::Topic => !data && q.use_ != Use::Follower,
        ResourceType::Cluster => {
            !NEVER.contains(&q.api) && !matches!(q.operation, Operation::ClusterAction | Operation::All)
        }
        ResourceType::DelegationToken | ResourceType::User => false,
        ResourceType::Group | ResourceType::TransactionalId => true,
    }
}

impl Fixed {
    pub(super) fn new() -> Self {
        use super::decision::Effect::{Allow, Deny};
        let of = |kind: EvidenceKind, effect: Effect| {
            let (id, role, note) = ("".into(), None, None);
            Arc::new(Evidence { kind, id, effect, role, not_before: None, expires: None, note })
        };
        Self {
            super_user: of(EvidenceKind::SuperUser, Allow),
            operator: of(EvidenceKind::Operator, Allow),
            default_allow: of(EvidenceKind::Default, Allow),
            default_deny: of(EvidenceKind::Default, Deny),
            gate_open: of(EvidenceKind::Gate, Allow),
            gate_shut: of(EvidenceKind::Gate, Deny),
            own_topic: of(EvidenceKind::OwnTopic, Deny),
        }
    }
}
