//! Which ACLs a request is about.

use super::{AclBinding, Permission};
use crate::model::{Operation, PatternType, ResourceType};

/// How the name of a filter is meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PatternFilter {
    /// ACLs of any pattern with this very name.
    Any,
    /// ACLs that affect the resource of this name.
    Match,
    /// Literal ACLs with this very name; `*` is the wildcard ACL only.
    Literal,
    /// Prefixed ACLs with this very prefix.
    Prefixed,
}

impl PatternFilter {
    /// The code that Kafka's wire uses, 1 to 4.
    pub const fn code(self) -> u8 {
        match self {
            Self::Any => 1,
            Self::Match => 2,
            Self::Literal => 3,
            Self::Prefixed => 4,
        }
    }

    /// The meaning of a wire code.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            1 => Some(Self::Any),
            2 => Some(Self::Match),
            3 => Some(Self::Literal),
            4 => Some(Self::Prefixed),
            _ => None,
        }
    }
}

/// A filter: all of its fields must match; `None` matches everything (ANY, or null).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclFilter {
    /// The type.
    pub kind: Option<ResourceType>,
    /// How the name is meant.
    pub pattern: PatternFilter,
    /// The name.
    pub name: Option<String>,
    /// The principal's exact text: `User:*` finds ACLs for everybody only.
    pub principal: Option<String>,
    /// The host's exact text.
    pub host: Option<String>,
    /// The operation; `All` is one like any other.
    pub operation: Option<Operation>,
    /// Whether it allows or denies.
    pub permission: Option<Permission>,
}

impl AclFilter {
    /// The filter that every ACL matches.
    pub const ANY: Self = Self {
        kind: None,
        pattern: PatternFilter::Any,
        name: None,
        principal: None,
        host: None,
        operation: None,
        permission: None,
    };

    /// The filter that only this ACL matches.
    pub fn exactly(acl: &AclBinding) -> Self {
        Self {
            kind: Some(acl.kind),
            pattern: match acl.pattern {
                PatternType::Literal => PatternFilter::Literal,
                PatternType::Prefixed => PatternFilter::Prefixed,
            },
            name: Some(acl.name.clone()),
            principal: Some(acl.principal.clone()),
            host: Some(acl.host.clone()),
            operation: Some(acl.operation),
            permission: Some(acl.permission),
        }
    }

    /// The only ACL that can match, where every field says which.
    pub fn only(&self) -> Option<AclBinding> {
        let pattern = match self.pattern {
            PatternFilter::Literal => PatternType::Literal,
            PatternFilter::Prefixed => PatternType::Prefixed,
            PatternFilter::Any | PatternFilter::Match => return None,
        };
        Some(AclBinding {
            kind: self.kind?,
            pattern,
            name: self.name.clone()?,
            principal: self.principal.clone()?,
            host: self.host.clone()?,
            operation: self.operation?,
            permission: self.permission?,
        })
    }

    /// Whether an ACL matches (`AclBindingFilter.matches`).
    pub fn matches(&self, acl: &AclBinding) -> bool {
        self.kind.is_none_or(|kind| kind == acl.kind)
            && self.matches_pattern(acl.pattern, &acl.name)
            && self.principal.as_deref().is_none_or(|p| p == acl.principal)
            && self.host.as_deref().is_none_or(|h| h == acl.host)
            && self.operation.is_none_or(|o| o == acl.operation)
            && self.permission.is_none_or(|p| p == acl.permission)
    }

    /// `ResourcePatternFilter.matches`, without the type.
    fn matches_pattern(&self, how: PatternType, name: &str) -> bool {
        let wanted = self.name.as_deref();
        let same = || wanted.is_none_or(|n| n == name);
        match (self.pattern, how) {
            (PatternFilter::Any, _)
            | (PatternFilter::Literal, PatternType::Literal)
            | (PatternFilter::Prefixed, PatternType::Prefixed) => same(),
            (PatternFilter::Literal, PatternType::Prefixed) | (PatternFilter::Prefixed, PatternType::Literal) => false,
            (PatternFilter::Match, PatternType::Literal) => same() || name == "*",
            (PatternFilter::Match, PatternType::Prefixed) => wanted.is_none_or(|n| n.starts_with(name)),
        }
    }
}
