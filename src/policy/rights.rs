//! Rights: what an allow or deny lets through or holds back, as sets of (resource type, operation, APIs).
//!
//! A set of operations on one type of resource is one word of bits: bit n for Kafka's operation with code n, and above
//! them one bit for each *virtual operation*, a part of a Kafka operation that only counts in some APIs. Every virtual
//! operation is a row of [`ROWS`]; nothing else in the proxy knows which APIs they stand for.

use crate::model::{Operation, ResourceType};
use crate::wire::ApiKey;

/// In which form a request asks, where its API alone does not say.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// As every request of its API.
    Normal,
    /// An offset commit in the admin form: any negative generation, whatever the member id (threat 25).
    AdminCommit,
    /// A fetch as a broker does it.
    Follower,
}

/// A virtual operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// Offsets of a group, from outside: stands in for Read (Delete in `OffsetDelete`) on the group.
    OffsetsWrite,
    /// Truncating topics.
    RecordsDelete,
    /// What one may know of the cluster without knowing its topics, ACLs, credentials.
    ClusterRead,
    /// Listing every group.
    GroupsListAll,
    /// Seeing ACLs.
    AclsRead,
    /// Changing ACLs.
    AclsWrite,
    /// Seeing which SCRAM credentials exist.
    CredentialsRead,
    /// Changing SCRAM credentials.
    CredentialsWrite,
    /// Electing leaders.
    LeadersElect,
    /// Moving replicas.
    ReplicasAlter,
    /// Unregistering brokers.
    BrokersUnregister,
    /// Changing broker configuration, the safe set only.
    BrokerConfigsWrite,
    /// Changing quotas.
    QuotasWrite,
}

/// One virtual operation: what it stands in for, and where.
struct Row {
    right: Right,
    name: &'static str,
    kind: ResourceType,
    parts: &'static [Part],
    /// Whether it lets more through than the Kafka operation it stands in for, so that it counts first where both are
    /// held (`OffsetsWrite` lowers what is asked of topics); the others let less through and count last.
    wider: bool,
}

/// A Kafka operation and the APIs in which the virtual one stands in for it.
struct Part {
    operations: &'static [Operation],
    apis: &'static [ApiKey],
    /// Only in this form; `None` = in any.
    form: Option<Use>,
}

const fn part(operations: &'static [Operation], apis: &'static [ApiKey]) -> Part {
    Part { operations, apis, form: None }
}

/// The table of policy.md, "Virtual operations".
const ROWS: [Row; 13] = [
    Row {
        right: Right::OffsetsWrite,
        name: "OffsetsWrite",
        kind: ResourceType::Group,
        parts: &[
            Part {
                operations: &[Operation::Read],
                apis: &[ApiKey::OFFSET_COMMIT, ApiKey::TXN_OFFSET_COMMIT],
                form: Some(Use::AdminCommit),
            },
            part(&[Operation::Read], &[ApiKey::LEAVE_GROUP, ApiKey::ALTER_SHARE_GROUP_OFFSETS]),
            part(&[Operation::Delete], &[ApiKey::OFFSET_DELETE, ApiKey::DELETE_SHARE_GROUP_OFFSETS]),
        ],
        wider: true,
    },
    Row {
        right: Right::RecordsDelete,
        name: "RecordsDelete",
        kind: ResourceType::Topic,
        parts: &[part(&[Operation::Delete], &[ApiKey::DELETE_RECORDS])],
        wider: false,
    },
    Row {
        right: Right::ClusterRead,
        name: "ClusterRead",
        kind: ResourceType::Cluster,
        parts: &[part(
            &[Operation::Describe, Operation::DescribeConfigs],
            &[
                ApiKey::DESCRIBE_CLUSTER,
                ApiKey::DESCRIBE_QUORUM,
                ApiKey::DESCRIBE_LOG_DIRS,
                ApiKey::LIST_PARTITION_REASSIGNMENTS,
                ApiKey::DESCRIBE_CONFIGS,
                ApiKey::LIST_CONFIG_RESOURCES,
                ApiKey::DESCRIBE_CLIENT_QUOTAS,
            ],
        )],
        wider: false,
    },
    row(Right::GroupsListAll, "GroupsListAll", &[part(&[Operation::Describe], &[ApiKey::LIST_GROUPS])]),
    row(Right::AclsRead, "AclsRead", &[part(&[Operation::Describe], &[ApiKey::DESCRIBE_ACLS])]),
    row(Right::AclsWrite, "AclsWrite", &[part(&[Operation::Alter], &[ApiKey::CREATE_ACLS, ApiKey::DELETE_ACLS])]),
    row(
        Right::CredentialsRead,
        "CredentialsRead",
        &[part(&[Operation::Describe], &[ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS])],
    ),
    row(
        Right::CredentialsWrite,
        "CredentialsWrite",
        &[part(&[Operation::Alter], &[ApiKey::ALTER_USER_SCRAM_CREDENTIALS])],
    ),
    row(Right::LeadersElect, "LeadersElect", &[part(&[Operation::Alter], &[ApiKey::ELECT_LEADERS])]),
    row(
        Right::ReplicasAlter,
        "ReplicasAlter",
        &[part(&[Operation::Alter], &[ApiKey::ALTER_PARTITION_REASSIGNMENTS, ApiKey::ALTER_REPLICA_LOG_DIRS])],
    ),
    row(Right::BrokersUnregister, "BrokersUnregister", &[part(&[Operation::Alter], &[ApiKey::UNREGISTER_BROKER])]),
    row(
        Right::BrokerConfigsWrite,
        "BrokerConfigsWrite",
        &[part(&[Operation::AlterConfigs], &[ApiKey::ALTER_CONFIGS, ApiKey::INCREMENTAL_ALTER_CONFIGS])],
    ),
    row(Right::QuotasWrite, "QuotasWrite", &[part(&[Operation::AlterConfigs], &[ApiKey::ALTER_CLIENT_QUOTAS])]),
];

/// A virtual operation on the cluster.
const fn row(right: Right, name: &'static str, parts: &'static [Part]) -> Row {
    Row { right, name, kind: ResourceType::Cluster, parts, wider: false }
}

impl Right {
    /// Every virtual operation.
    pub const EVERY: [Self; 13] = [
        Self::OffsetsWrite,
        Self::RecordsDelete,
        Self::ClusterRead,
        Self::GroupsListAll,
        Self::AclsRead,
        Self::AclsWrite,
        Self::CredentialsRead,
        Self::CredentialsWrite,
        Self::LeadersElect,
        Self::ReplicasAlter,
        Self::BrokersUnregister,
        Self::BrokerConfigsWrite,
        Self::QuotasWrite,
    ];

    /// The name in the policy file and in audit events.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |r| r.name)
    }

    /// The type of resource it is a right on.
    pub fn kind(self) -> ResourceType {
        self.row().map_or(ResourceType::Cluster, |r| r.kind)
    }

    /// Whether it lets more through than the Kafka operation it stands in for.
    pub(super) fn is_wider(self) -> bool {
        self.row().is_some_and(|r| r.wider)
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|r| r.right == self)
    }

    const fn bit(self) -> u32 {
        1 << (16 + self as u32)
    }
}

/// Operations, Kafka's and virtual ones, on one type of resource.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Bits(pub(super) u32);

impl Bits {
    /// No operation.
    pub(super) const NONE: Self = Self(0);
    /// What a deny of `All` holds back: everything.
    const EVERYTHING: Self = Self(u32::MAX);

    /// Just this Kafka operation.
    pub(super) const fn kafka(op: Operation) -> Self {
        Self(1 << op.code())
    }

    /// Just this virtual operation.
    pub(super) const fn of(right: Right) -> Self {
        Self(right.bit())
    }

    /// Both.
    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both sets.
    pub(super) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other set.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether they have an operation in common.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The first virtual operation.
    fn first_right(self) -> Option<Right> {
        Right::EVERY.into_iter().find(|r| self.meets(Self::of(*r)))
    }

    /// What an allow of these lets through: with what they imply (kafka-authorization 3.4). `All` is every Kafka
    /// operation; the virtual ones follow because a question about one is also a question about its Kafka operation.
    pub(super) fn implied_by_allow(self) -> Self {
        Operation::EVERY
            .into_iter()
            .filter(|op| self.meets(Self::kafka(*op)))
            .fold(self, |all, op| all.union(Self(u32::from(bits_of(op.implied_by_allow())))))
    }

    /// What a deny of these holds back. A deny never implies; a deny of `All` is everything.
    pub(super) const fn held_back_by_deny(self) -> Self {
        if self.meets(Self::kafka(Operation::All)) { Self::EVERYTHING } else { self }
    }

    /// The names, as the policy file writes them.
    pub(super) fn names(self) -> Vec<&'static str> {
        let kafka = Operation::EVERY.into_iter().filter(|op| self.meets(Self::kafka(*op))).map(Operation::name);
        let own = Right::EVERY.into_iter().filter(|r| self.meets(Self::of(*r))).map(Right::name);
        kafka.chain(own).collect()
    }
}

fn bits_of(set: crate::model::OperationSet) -> u16 {
    set.iter().fold(0, |bits, op| bits | 1 << op.code())
}

/// What a question asks for, as bits: rules are compared with these and with nothing else.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The Kafka operation.
    pub(super) kafka: Bits,
    /// The virtual operations that stand in for it here.
    pub(super) own: Bits,
    /// What also holds back the virtual ones: a deny of Read on a group reaches `OffsetsWrite` in `OffsetDelete` too
    /// (threat 26), although Kafka asks for Delete there.
    pub(super) own_held_back: Bits,
    /// The virtual operation, if there is one: no API has two on one type and operation.
    pub(super) right: Option<Right>,
}

impl Wanted {
    /// What a question about an operation on a type of resource asks for, in an API and form.
    pub(super) fn new(kind: ResourceType, op: Operation, api: ApiKey, form: Use) -> Self {
        let mut own = Bits::NONE;
        for row in ROWS.iter().filter(|r| r.kind == kind) {
            let stands_in = row
                .parts
                .iter()
                .any(|p| p.operations.contains(&op) && p.form.is_none_or(|f| f == form) && p.apis.contains(&api));
            if stands_in {
                own = own.union(Bits::of(row.right));
            }
        }
        let right = if own.is_empty() { None } else { own.first_right() };
        let own_held_back = if right == Some(Right::OffsetsWrite) { Bits::kafka(Operation::Read) } else { Bits::NONE };
        Self { kafka: Bits::kafka(op), own, own_held_back, right }
    }

    /// All that may let it through.
    pub(super) const fn any(self) -> Bits {
        self.kafka.union(self.own)
    }
}

/// A set of rights: bits by type of resource, and the connect gate.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Rights {
    by_kind: [Bits; 6],
    /// Whether clusters.connect is among them; it is no operation on a resource.
    pub(super) connect: bool,
}

impl Rights {
    /// The bits on one type of resource.
    pub(super) fn on(&self, kind: ResourceType) -> Bits {
        self.by_kind.get(kind.index()).copied().unwrap_or_default()
    }

    /// Adds bits on a type.
    pub(super) fn add(&mut self, kind: ResourceType, bits: Bits) {
        if let Some(slot) = self.by_kind.get_mut(kind.index()) {
            *slot = slot.union(bits);
        }
    }

    /// Adds all of another set.
    pub(super) fn add_all(&mut self, other: &Self) {
        for kind in ResourceType::EVERY {
            self.add(kind, other.on(kind));
        }
        self.connect |= other.connect;
    }

    /// Whether there is no operation on any resource.
    pub(super) fn is_empty(&self) -> bool {
        self.by_kind.iter().all(|b| b.is_empty())
    }

    /// The types of resource on which there is an operation.
    pub(super) fn kinds(&self) -> impl Iterator<Item = ResourceType> + '_ {
        ResourceType::EVERY.into_iter().filter(|k| !self.on(*k).is_empty())
    }

    /// A Kafka operation, on every type of resource on which it means something.
    pub(super) fn of_kafka(op: Operation) -> Self {
        let mut rights = Self::default();
        for kind in ResourceType::EVERY {
            if op == Operation::All || Operation::asked_on(kind).contains(op) {
                rights.add(kind, Bits::kafka(op));
            }
        }
        rights
    }

    /// The connect gate alone.
    pub(super) fn to_connect() -> Self {
        Self { connect: true, ..Self::default() }
    }

    /// Kafka operations and virtual ones on one type.
    pub(super) fn on_kind(kind: ResourceType, ops: &[Operation], own: &[Right]) -> Self {
        let mut rights = Self::default();
        let bits = ops.iter().fold(Bits::NONE, |b, op| b.union(Bits::kafka(*op)));
        rights.add(kind, own.iter().fold(bits, |b, right| b.union(Bits::of(*right))));
        rights
    }

    /// Both sets.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.add_all(other);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_rights_and_names_are_unique() {
        let rights: Vec<Right> = ROWS.iter().map(|r| r.right).collect();
        assert_eq!(rights, Right::EVERY);
        let mut names: Vec<&str> = ROWS.iter().map(|r| r.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
        assert!(names.iter().all(|n| Operation::from_name(n).is_none()));
    }

    #[test]
    fn a_virtual_operation_stands_in_for_operations_of_its_own_type_and_one_at_most_per_question() {
        for row in &ROWS {
            for op in row.parts.iter().flat_map(|p| p.operations) {
                assert!(Operation::supported_by(row.kind).contains(*op), "{} {op}", row.name);
            }
        }
        for kind in ResourceType::EVERY {
            for op in Operation::EVERY {
                for api in (0..100).map(ApiKey) {
                    for form in [Use::Normal, Use::AdminCommit, Use::Follower] {
                        assert!(Wanted::new(kind, op, api, form).own.0.count_ones() <= 1);
                    }
                }
            }
        }
    }

    #[test]
    fn threat_25_a_commit_is_offsets_write_in_the_admin_form_only_also_in_a_transaction() {
        for api in [ApiKey::OFFSET_COMMIT, ApiKey::TXN_OFFSET_COMMIT] {
            let right = |form| Wanted::new(ResourceType::Group, Operation::Read, api, form).right;
            assert_eq!(right(Use::AdminCommit), Some(Right::OffsetsWrite));
            assert_eq!(right(Use::Normal), None);
        }
    }

    #[test]
    fn an_allow_implies_and_a_deny_does_not() {
        let read = Bits::kafka(Operation::Read);
        let all = Bits::kafka(Operation::All);
        assert!(read.implied_by_allow().meets(Bits::kafka(Operation::Describe)));
        assert_eq!(read.held_back_by_deny(), read);
        assert!(Operation::EVERY.into_iter().all(|op| all.implied_by_allow().meets(Bits::kafka(op))));
        assert!(
            !all.implied_by_allow().meets(Bits::of(Right::OffsetsWrite)),
            "`All` is Kafka's: topics keep their demand"
        );
        assert!(Right::EVERY.into_iter().all(|r| all.held_back_by_deny().meets(Bits::of(r))));
    }
}
