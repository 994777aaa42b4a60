//! The policy file as plain values: every word understood, every value with its place, references not yet resolved.

use super::hosts::Hosts;
use super::pattern::Target;
use super::rights::Rights;
use super::roles::RoleRule;
use crate::model::{Principal, Timestamp};
use crate::wire::ApiKey;
use crate::yaml::Place;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Place,
}

/// What happens where no rule matches.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub(super) enum Otherwise {
    /// Denied.
    #[default]
    Deny,
    /// Allowed where no ACL exists for the resource, as Kafka's `allow.everyone.if.no.acl.found`.
    AllowIfNoAcl,
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub(super) otherwise: Otherwise,
    /// Whether the connect gate is required; `None` = the key is absent.
    pub(super) gate: Option<bool>,
    pub(super) super_users: Vec<At<Principal>>,
    pub(super) operators: Vec<At<Principal>>,
    pub(super) groups: Vec<GroupDef>,
    pub(super) roles: Vec<RoleDef>,
    pub(super) bindings: Vec<RuleDef>,
    pub(super) acls: Vec<RuleDef>,
    pub(super) grants: Vec<RuleDef>,
    pub(super) revoked: Vec<At<String>>,
    /// Whether the file ends with `end: true`.
    pub(super) whole: bool,
}

/// A static group.
#[derive(Clone, Debug)]
pub(super) struct GroupDef {
    pub(super) name: String,
    pub(super) members: Vec<At<Principal>>,
}

/// A declared role.
#[derive(Clone, Debug)]
pub(super) struct RoleDef {
    pub(super) name: String,
    pub(super) includes: Vec<At<String>>,
    pub(super) rights: Rights,
    pub(super) rules: Vec<RoleRule>,
}

/// An entry of `acls`, `bindings` or `grants`: one shape.
#[derive(Clone, Debug)]
pub(super) struct RuleDef {
    pub(super) at: Place,
    pub(super) gives: Gives,
    pub(super) principals: Vec<At<Principal>>,
    pub(super) resources: Vec<At<Target>>,
    /// Whether the key `resources` is there; only a binding of nothing but the connect gate may lack it.
    pub(super) has_resources: bool,
    pub(super) hosts: Hosts,
    pub(super) except: Vec<At<Principal>>,
    pub(super) apis: Option<Vec<ApiKey>>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
    pub(super) reason: Option<String>,
    /// Of a grant.
    pub(super) id: Option<At<String>>,
}

/// What an entry gives or takes.
#[derive(Clone, Debug)]
pub(super) enum Gives {
    /// These operations are allowed.
    Allow(Vec<At<Word>>),
    /// These operations are denied.
    Deny(Vec<At<Word>>),
    /// These roles are given.
    Roles(Vec<At<String>>),
}

/// A word of an `allow` or `deny` list, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) rights: Rights,
}
