//! Kafka's ACL operations and sets of them.
//!
//! Source: `org.apache.kafka.common.acl.AclOperation`, Kafka 4.4; implication from
//! `StandardAuthorizerData` (Kafka 4.1), see also `AclEntry.supportedOperations`.

use super::ResourceType;
use std::fmt;

/// An operation of Kafka's ACL model. The numbers are those of the wire.
// FROZEN: pinned by `codes_are_kafkas`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Operation {
    /// Every operation.
    All = 2,
    /// Read records, join groups, commit offsets.
    Read = 3,
    /// Write records.
    Write = 4,
    /// Create a resource.
    Create = 5,
    /// Delete a resource.
    Delete = 6,
    /// Change a resource (partitions, ACLs, credentials).
    Alter = 7,
    /// See a resource.
    Describe = 8,
    /// Act as a broker.
    ClusterAction = 9,
    /// See configuration.
    DescribeConfigs = 10,
    /// Change configuration.
    AlterConfigs = 11,
    /// Produce with idempotence, without a transactional id.
    IdempotentWrite = 12,
    /// Create delegation tokens for another user.
    CreateTokens = 13,
    /// See delegation tokens of another user.
    DescribeTokens = 14,
    /// Take part in two-phase commit.
    TwoPhaseCommit = 15,
}

impl Operation {
    /// Every operation, in the order of their codes.
    pub const EVERY: [Self; 14] = [
        Self::All,
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
        Self::TwoPhaseCommit,
    ];

    /// The code that Kafka's wire uses, 2 to 15.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The operation with this wire code, if it is one an ACL can hold.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::EVERY.into_iter().find(|op| i16::from(op.code()) == i16::from(code))
    }

    /// The name in Kafka's tools: Pascal case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::ClusterAction => "ClusterAction",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
            Self::CreateTokens => "CreateTokens",
            Self::DescribeTokens => "DescribeTokens",
            Self::TwoPhaseCommit => "TwoPhaseCommit",
        }
    }

    /// The name of Kafka's constant, as its tools print it: `DESCRIBE_CONFIGS`.
    pub const fn kafka_name(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Alter => "ALTER",
            Self::Describe => "DESCRIBE",
            Self::ClusterAction => "CLUSTER_ACTION",
            Self::DescribeConfigs => "DESCRIBE_CONFIGS",
            Self::AlterConfigs => "ALTER_CONFIGS",
            Self::IdempotentWrite => "IDEMPOTENT_WRITE",
            Self::CreateTokens => "CREATE_TOKENS",
            Self::DescribeTokens => "DESCRIBE_TOKENS",
            Self::TwoPhaseCommit => "TWO_PHASE_COMMIT",
        }
    }

    /// The operation with this name, as Kafka's tools write it; case does not matter.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|op| op.name().eq_ignore_ascii_case(name))
    }

    /// The operations that an *allow* of this one also allows, itself included. A deny never implies.
    pub const fn implied_by_allow(self) -> OperationSet {
        let own = OperationSet::of(self);
        match self {
            Self::All => OperationSet::EVERY,
            Self::Read | Self::Write | Self::Delete | Self::Alter => own.with(Self::Describe),
            Self::AlterConfigs => own.with(Self::DescribeConfigs),
            Self::Create
            | Self::Describe
            | Self::ClusterAction
            | Self::DescribeConfigs
            | Self::IdempotentWrite
            | Self::CreateTokens
            | Self::DescribeTokens
            | Self::TwoPhaseCommit => own,
        }
    }

    /// The operations that mean something on a type of resource (`AclEntry.supportedOperations`), without `All`.
    pub const fn supported_by(resource: ResourceType) -> OperationSet {
        use Operation as O;
        let none = OperationSet::NONE;
        match resource {
            ResourceType::Topic => none
                .with(O::Read)
                .with(O::Write)
                .with(O::Create)
                .with(O::Describe)
                .with(O::Delete)
                .with(O::Alter)
                .with(O::DescribeConfigs)
                .with(O::AlterConfigs),
            ResourceType::Group => {
                none.with(O::Read).with(O::Describe).with(O::Delete).with(O::DescribeConfigs).with(O::AlterConfigs)
            }
            ResourceType::Cluster => none
                .with(O::Create)
                .with(O::ClusterAction)
                .with(O::DescribeConfigs)
                .with(O::AlterConfigs)
                .with(O::IdempotentWrite)
                .with(O::Alter)
                .with(O::Describe),
            ResourceType::TransactionalId => none.with(O::Describe).with(O::Write).with(O::TwoPhaseCommit),
            ResourceType::DelegationToken => none.with(O::Describe),
            ResourceType::User => none.with(O::CreateTokens).with(O::DescribeTokens),
        }
    }

    /// The operations that an ACL on a type of resource can give something by, without `All`: besides what is supported,
    /// DELETE on the cluster, which Kafka's tool does not know and its brokers honour: it deletes any topic.
    pub const fn asked_on(resource: ResourceType) -> OperationSet {
        let supported = Self::supported_by(resource);
        match resource {
            ResourceType::Cluster => supported.with(Self::Delete),
            ResourceType::Topic
            | ResourceType::Group
            | ResourceType::TransactionalId
            | ResourceType::DelegationToken
            | ResourceType::User => supported,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations; bit n stands for the operation with code n, as in Kafka's `*AuthorizedOperations` fields.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct OperationSet(u16);

impl OperationSet {
    /// No operation.
    pub const NONE: Self = Self(0);
    /// Every operation, `All` included.
    pub const EVERY: Self = Self(0xFFFC);

    /// Just this operation.
    pub const fn of(op: Operation) -> Self {
        Self(1 << op.code())
    }

    /// This set and one more operation.
    #[must_use]
    pub const fn with(self, op: Operation) -> Self {
        Self(self.0 | (1 << op.code()))
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the operation is in the set.
    pub const fn contains(self, op: Operation) -> bool {
        self.0 & (1 << op.code()) != 0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The operations of the set, in the order of their codes.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::EVERY.into_iter().filter(move |op| self.contains(*op))
    }

    /// The value of a `*AuthorizedOperations` field.
    pub const fn bits(self) -> i32 {
        self.0 as i32
    }
}

impl FromIterator<Operation> for OperationSet {
    fn from_iter<I: IntoIterator<Item = Operation>>(ops: I) -> Self {
        ops.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kafkas() {
        let codes: Vec<u8> = Operation::EVERY.iter().map(|op| op.code()).collect();
        assert_eq!(codes, (2..=15).collect::<Vec<u8>>());
        assert_eq!(Operation::from_code(8), Some(Operation::Describe));
        assert_eq!(Operation::from_code(1), None);
    }

    #[test]
    fn full_bit_fields_are_those_of_a_live_broker() {
        assert_eq!(Operation::supported_by(ResourceType::Topic).bits(), 3576);
        assert_eq!(Operation::supported_by(ResourceType::Group).bits(), 3400);
        assert_eq!(Operation::supported_by(ResourceType::Cluster).bits(), 8096);
    }

    #[test]
    fn read_implies_describe_and_describe_nothing() {
        assert_eq!(Operation::Read.implied_by_allow().bits(), 264);
        assert_eq!(Operation::Describe.implied_by_allow(), OperationSet::of(Operation::Describe));
        assert!(Operation::All.implied_by_allow().contains(Operation::TwoPhaseCommit));
        assert!(!Operation::Alter.implied_by_allow().contains(Operation::AlterConfigs));
    }
}
