//! "Is there any resource of this type on which the operation is allowed?"
//!
//! Source: `Authorizer.authorizeByResourceType`, Kafka 4.1, the default that `StandardAuthorizer` uses
//! (kafka-authorization 3.6). No resource needs to exist.

use super::decision::Decision;
use super::pattern::Pattern;
use super::reason::ReasonCode;
use super::rights::{Bits, Use};
use super::snapshot::{Facts, Protection, Query, Snapshot};
use super::who::Standing;
use crate::model::{Host, Operation, PatternType, Resource, ResourceType, Subject, Timestamp};
use crate::wire::ApiKey;
use std::collections::HashSet;

/// The name that Kafka asks about first.
const HARDCODE: &str = "hardcode";

/// What the rules that match in everything but the name say.
#[derive(Default)]
struct Walk<'s> {
    deny_every: Option<u32>,
    allow_every: Option<u32>,
    denied_names: HashSet<&'s str>,
    denied_prefixes: HashSet<&'s str>,
    allowed: Vec<(&'s Pattern, u32)>,
}

impl Walk<'_> {
    /// Whether a denied prefix is a prefix of the pattern's name, or equal to it.
    fn under_denied_prefix(&self, name: &str) -> bool {
        !self.denied_prefixes.is_empty()
            && (0..=name.len()).any(|n| name.get(..n).is_some_and(|p| self.denied_prefixes.contains(p)))
    }

    fn survives(&self, pattern: &Pattern) -> bool {
        match pattern.how {
            PatternType::Literal => {
                !self.denied_names.contains(pattern.name.as_str()) && !self.under_denied_prefix(&pattern.name)
            }
            // Denied literals never cancel an allowed prefix.
            PatternType::Prefixed => !self.under_denied_prefix(&pattern.name),
        }
    }
}

fn least(found: &mut Option<u32>, rule: u32) {
    *found = Some(found.map_or(rule, |f| f.min(rule)));
}

impl Snapshot {
    /// Decides whether the operation is allowed on any resource of the type, as Kafka's `authorizeByResourceType`.
    /// Bindings and grants count as ACLs do; only the operations written count, nothing is implied.
    pub fn decide_any(
        &self,
        subject: &Subject,
        operation: Operation,
        kind: ResourceType,
        api: ApiKey,
        host: &Host,
        now: Timestamp,
    ) -> Decision {
        let resource = Resource::new(kind, HARDCODE);
        let q = Query { subject, operation, resource, api, host, now, use_: Use::Normal };
        let asked = self.decide(&q);
        let (identities, standing) = self.directory.look_up(subject);
        let facts = Facts { identities: &identities, host, api: Some(api), now };
        if asked.is_allowed() {
            return asked;
        }
        // Not about the name: it would be the same for every other.
        if matches!(asked.code(), ReasonCode::Operator | ReasonCode::NotConnectedRole) {
            return asked;
        }
        let operations = Bits::kafka(operation).union(Bits::kafka(Operation::All));
        let mut walk = Walk::default();
        for index in [&self.file.quarantines, &self.index] {
            index.visit_all(identities.as_slice(), kind, |pattern, entries| {
                for entry in entries.iter().filter(|e| e.written.meets(operations) && self.holds(e.rule, facts)) {
                    match (entry.deny, pattern.how) {
                        (true, _) if pattern.is_every() => least(&mut walk.deny_every, entry.rule),
                        (true, PatternType::Literal) => {
                            walk.denied_names.insert(&pattern.name);
                        }
                        (true, PatternType::Prefixed) => {
                            walk.denied_prefixes.insert(&pattern.name);
                        }
                        (false, _) if pattern.is_every() => least(&mut walk.allow_every, entry.rule),
                        (false, _) => walk.allowed.push((pattern, entry.rule)),
                    }
                }
            });
        }
        if let Some(rule) = walk.deny_every {
            return self.by_rule(rule, false, None, now).unwrap_or(asked);
        }
        if subject.may_be_super && standing == Some(Standing::SuperUser) {
            // A quarantine holds back the name that was asked about, but not every name.
            return Decision::new(true, ReasonCode::SuperUser, &self.file.fixed.super_user, now);
        }
        let own = |p: &Pattern| kind == ResourceType::Topic && self.protects(&p.name) != Protection::No;
        let survivors = walk.allowed.iter().filter(|(p, _)| walk.survives(p) && !own(p));
        let survivor = survivors.map(|(_, rule)| *rule).min();
        match walk.allow_every.or(survivor) {
            Some(rule) => self.by_rule(rule, true, None, now).unwrap_or(asked),
            None => asked,
        }
    }
}
