//! One ACL.

use crate::model::{Operation, PatternType, ResourceType, shown};
use std::fmt;

/// Whether an ACL allows or denies. The numbers are those of the wire.
// FROZEN: pinned by `codes_are_kafkas`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// It denies.
    Deny = 2,
    /// It allows.
    Allow = 3,
}

impl Permission {
    /// The code that Kafka's wire uses, 2 or 3.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The permission with this wire code, if it is one an ACL can hold.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Deny),
            3 => Some(Self::Allow),
            _ => None,
        }
    }

    /// The name in Kafka's tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "DENY",
            Self::Allow => "ALLOW",
        }
    }
}

/// An ACL as Kafka's protocol carries it: principal P is allowed or denied operation O from host H on what a pattern
/// matches. Nothing in it need make sense: Kafka stores operations that the type does not have, hosts that are no
/// addresses and principals without a name, and they match what they match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclBinding {
    /// The type of the resources.
    pub kind: ResourceType,
    /// How the name is meant.
    pub pattern: PatternType,
    /// The name or prefix; the literal `*` is every name.
    pub name: String,
    /// The principal as written: `User:alice`; `User:*` is everybody.
    pub principal: String,
    /// The host as written; `*` is every host.
    pub host: String,
    /// The operation.
    pub operation: Operation,
    /// Whether it allows or denies.
    pub permission: Permission,
}

/// `topic:LITERAL:orders User:alice ALLOW READ *`, as a terminal may show it.
impl fmt::Display for AclBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, pattern, name, principal, host, operation, permission } = self;
        let (kind, pattern) = (kind.policy_word(), pattern.kafka_name());
        let (permission, operation) = (permission.name(), operation.kafka_name());
        let (name, principal, host) = (shown(name), shown(principal), shown(host));
        write!(f, "{kind}:{pattern}:{name} {principal} {permission} {operation} {host}")
    }
}

#[cfg(test)]
impl AclBinding {
    /// Reads an ACL as it is displayed, without spaces in its parts.
    pub(crate) fn read(line: &str) -> Self {
        let [resource, principal, permission, operation, host] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let [kind, pattern, name] = resource.splitn(3, ':').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Self {
            kind: ResourceType::EVERY.into_iter().find(|k| k.policy_word() == kind).unwrap(),
            pattern: if pattern == "LITERAL" { PatternType::Literal } else { PatternType::Prefixed },
            name: name.to_owned(),
            principal: principal.to_owned(),
            host: host.to_owned(),
            operation: Operation::EVERY.into_iter().find(|o| o.kafka_name() == operation).unwrap(),
            permission: if permission == "ALLOW" { Permission::Allow } else { Permission::Deny },
        }
    }
}
