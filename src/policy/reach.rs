//! Which ACLs somebody may see or change.

use super::acl::AclBinding;
use super::decision::Decision;
use super::pattern::Pattern;
use super::reason::ReasonCode;
use super::rights::{Bits, Right, Use};
use super::snapshot::{Facts, Query, Snapshot};
use crate::model::{Host, Operation, Resource, ResourceType, Subject, Timestamp};
use crate::wire::ApiKey;

/// The ACLs that somebody may see or change: all of them, those whose pattern lies within what a role was given on, or
/// none.
#[derive(Debug)]
pub struct AclReach<'s> {
    snapshot: &'s Snapshot,
    now: Timestamp,
    right: Right,
    whole: Decision,
    within: Vec<(&'s Pattern, u32)>,
    /// What a deny of everything there takes out.
    without: Vec<&'s Pattern>,
}

impl Snapshot {
    /// Decides which ACLs a subject may see (`Describe`) or change (`Alter`): Kafka asks for that on the cluster; who
    /// holds `AclsRead` or `AclsWrite` through a role on some resources reaches the ACLs within them.
    pub fn acl_reach<'s>(
        &'s self,
        subject: &Subject,
        operation: Operation,
        api: ApiKey,
        host: &Host,
        now: Timestamp,
    ) -> AclReach<'s> {
        let right = if operation == Operation::Describe { Right::AclsRead } else { Right::AclsWrite };
        let resource = Resource::CLUSTER;
        let whole = self.decide(&Query { subject, operation, resource, api, host, now, use_: Use::Normal });
        let mut reach = AclReach { snapshot: self, now, right, whole, within: Vec::new(), without: Vec::new() };
        // A deny on the cluster, a quarantine, the gate and what operators never do are not about some resources.
        let nobody_said_no = matches!(
            reach.whole.code(),
            ReasonCode::NoMatch | ReasonCode::NotYetValid | ReasonCode::GrantExpired | ReasonCode::GrantRevoked
        );
        if !nobody_said_no {
            return reach;
        }
        let (identities, _) = self.directory.look_up(subject);
        let facts = Facts { identities: &identities, host, api: Some(api), now };
        for kind in ResourceType::EVERY.into_iter().filter(|kind| *kind != ResourceType::Cluster) {
            for index in [&self.file.quarantines, &self.index] {
                index.visit_all(identities.as_slice(), kind, |pattern, entries| {
                    let about = entries.iter().filter(|e| e.bits.meets(Bits::of(right)) && self.holds(e.rule, facts));
                    for entry in about {
                        if entry.deny { reach.without.push(pattern) } else { reach.within.push((pattern, entry.rule)) }
                    }
                });
            }
        }
        reach
    }
}

impl AclReach<'_> {
    /// What was decided on the cluster.
    pub fn on_cluster(&self) -> &Decision {
        &self.whole
    }

    /// Whether it is every ACL.
    pub fn is_everything(&self) -> bool {
        self.whole.is_allowed()
    }

    /// Whether no ACL at all is within reach.
    pub fn is_nothing(&self) -> bool {
        !self.is_everything() && self.within.is_empty()
    }

    /// Whether only what super users may do is held back from nobody here.
    pub fn is_super_user(&self) -> bool {
        self.whole.code() == ReasonCode::SuperUser
    }

    /// A decision that says what reaches anything: on the cluster, or by the first role.
    pub fn decision(&self) -> Decision {
        let first = self.within.iter().map(|(_, rule)| *rule).min().filter(|_| !self.is_everything());
        first.and_then(|rule| self.by(rule)).unwrap_or_else(|| self.whole.clone())
    }

    /// Whether an ACL is within reach.
    pub fn decide(&self, acl: &AclBinding) -> Decision {
        if self.within.is_empty() {
            return self.whole.clone();
        }
        let pattern = Pattern { kind: acl.kind, how: acl.pattern, name: acl.name.clone() };
        if self.without.iter().any(|denied| denied.both(&pattern).is_some()) {
            return self.whole.clone();
        }
        let rule = self.within.iter().filter(|(wide, _)| wide.contains(&pattern)).map(|(_, rule)| *rule).min();
        rule.and_then(|rule| self.by(rule)).unwrap_or_else(|| self.whole.clone())
    }

    fn by(&self, rule: u32) -> Option<Decision> {
        self.snapshot.by_rule(rule, true, Some(self.right), self.now)
    }
}
