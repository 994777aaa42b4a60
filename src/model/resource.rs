//! What is protected: a type of resource and a name.

use std::fmt;

/// The one name that the cluster resource has.
pub const CLUSTER_NAME: &str = "kafka-cluster";

/// A type of resource of Kafka's ACL model. The numbers are those of the wire.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A consumer, share or streams group.
    Group = 3,
    /// The cluster; its only name is [`CLUSTER_NAME`].
    Cluster = 4,
    /// A producer's transactional id.
    TransactionalId = 5,
    /// A delegation token.
    DelegationToken = 6,
    /// A user, for delegation tokens made on behalf of another.
    User = 7,
}

impl ResourceType {
    /// Every type, in the order of their codes.
    pub const EVERY: [Self; 6] =
        [Self::Topic, Self::Group, Self::Cluster, Self::TransactionalId, Self::DelegationToken, Self::User];

    /// The code that Kafka's wire uses, 2 to 7.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type with this wire code, if it is one.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::EVERY.into_iter().find(|kind| i16::from(kind.code()) == i16::from(code))
    }

    /// A dense index from 0, for tables by type.
    pub const fn index(self) -> usize {
        self as usize - 2
    }

    /// The name in Kafka's tools: Pascal case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topic => "Topic",
            Self::Group => "Group",
            Self::Cluster => "Cluster",
            Self::TransactionalId => "TransactionalId",
            Self::DelegationToken => "DelegationToken",
            Self::User => "User",
        }
    }

    /// The word that the policy file uses.
    pub const fn policy_word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Group => "group",
            Self::Cluster => "cluster",
            Self::TransactionalId => "transactional_id",
            Self::DelegationToken => "delegation_token",
            Self::User => "user",
        }
    }
}

/// How an ACL's resource name is meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PatternType {
    /// The very name; the name `*` means every name.
    Literal = 3,
    /// Every name that begins so.
    Prefixed = 4,
}

impl PatternType {
    /// The code that Kafka's wire uses, 3 or 4.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The pattern with this wire code, if it is one an ACL can hold.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            3 => Some(Self::Literal),
            4 => Some(Self::Prefixed),
            _ => None,
        }
    }

    /// The name of Kafka's constant, as its tools print it.
    pub const fn kafka_name(self) -> &'static str {
        match self {
            Self::Literal => "LITERAL",
            Self::Prefixed => "PREFIXED",
        }
    }
}

/// One resource that a request asks for: type and literal name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource<'a> {
    /// The type.
    pub kind: ResourceType,
    /// The name; any string.
    pub name: &'a str,
}

impl<'a> Resource<'a> {
    /// The cluster itself.
    pub const CLUSTER: Resource<'static> = Resource { kind: ResourceType::Cluster, name: CLUSTER_NAME };

    /// A resource of a type by name.
    pub const fn new(kind: ResourceType, name: &'a str) -> Self {
        Self { kind, name }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.policy_word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kafkas() {
        for code in i8::MIN..=i8::MAX {
            let kind = ResourceType::from_code(code).map(|kind| i16::from(kind.code()));
            assert_eq!(kind, (2..=7).contains(&code).then(|| code.into()));
            let pattern = PatternType::from_code(code).map(|pattern| i16::from(pattern.code()));
            assert_eq!(pattern, (3..=4).contains(&code).then(|| code.into()));
        }
    }
}
