//! DescribeAcls (API 29), CreateAcls (30), DeleteAcls (31): what they have in common.
//!
//! Source: Kafka 4.1 `AclApis`, `AclControlManager`, and the checks in `DescribeAclsRequest`, `CreateAclsRequest`,
//! `DeleteAclsRequest`: DESCRIBE, or ALTER, on the cluster. Beyond Kafka: who holds the right on ACLs through a role on
//! some resources sees and changes the ACLs within them; ACLs of the policy file are shown and stay.

mod create;
mod delete;
mod describe;
#[cfg(test)]
mod tests;

pub(super) use create::CreateAcls;
pub(super) use delete::DeleteAcls;
pub(super) use describe::DescribeAcls;

use super::arguments::{Bounded, text};
use super::judge::{Context, Judge};
use super::scrub::scrubbed;
use crate::model::{Operation, PatternType, Resource, ResourceType, Subject};
use crate::policy::{AclBinding, AclFilter, AclReach, ChangeRefused, Decision, PatternFilter, Permission, Snapshot};
use crate::wire::{ErrorCode, Field, Node};
use serde_json::{Value, json};

/// The code that no enumeration of Kafka has a meaning for: a broker takes a request that holds it for malformed.
const UNKNOWN: i64 = 0;
/// The code that matches everything.
const ANY: i64 = 1;
/// The code of the pattern that finds what affects a resource.
const MATCH: i64 = 2;

/// The most ACLs that one request makes or removes, as a controller takes records of one (`MAX_RECORDS_PER_USER_OP`).
const MOST: usize = 10_000;

/// What a result says besides success.
type Fault = (ErrorCode, Option<String>);

/// The error of a failed check of the cluster. Kafka's text is a dump of its request object; this is the error's own.
fn not_authorized() -> Fault {
    (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED.message().to_owned()))
}

/// The error of a broker without an authorizer.
fn no_authorizer() -> Fault {
    (ErrorCode::SECURITY_DISABLED, Some("No Authorizer is configured.".to_owned()))
}

/// What a change failed with, without what a broker's text tells about it (threat 7).
fn of_refused(refused: ChangeRefused) -> Fault {
    (refused.code, Some(scrubbed(refused.code, refused.message)))
}

/// Whether an ACL speaks of the proxy itself: by what the configuration says of its principals, and by what its tokens at
/// the brokers have turned out to say since (threat 21).
fn speaks_of_the_proxy(cx: &Context<'_>, principal: &str) -> bool {
    cx.snapshot.speaks_of_the_proxy(principal) || cx.topology.own.has_principal(principal)
}

/// An ACL that only super users may write where ACLs are the cluster's own.
fn needs_super_user(principal: &str) -> Fault {
    let text = format!("acls of the cluster that name `{principal}` can only be changed by a super user of the proxy");
    (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Some(text))
}

/// Where the codes of an ACL, or of a filter, stand.
struct Codes {
    kind: Field,
    name: Field,
    pattern: Field,
    principal: Field,
    host: Field,
    operation: Field,
    permission: Field,
}

impl Codes {
    /// Whether one of the codes is 0.
    fn hold_unknown(&self, node: &Node) -> bool {
        [self.kind, self.pattern, self.operation, self.permission].iter().any(|code| node.int(*code) == UNKNOWN)
    }

    /// Reads a filter.
    fn filter(&self, node: &Node) -> Result<AclFilter, UnknownCode> {
        let word = |field| node.opt_str(field).map(str::to_owned);
        let kind = any_or(node.int(self.kind), kind_of).ok_or(UnknownCode::Pattern)?;
        let pattern = small(node.int(self.pattern)).and_then(PatternFilter::from_code).ok_or(UnknownCode::Pattern)?;
        let operation = any_or(node.int(self.operation), operation_of).ok_or(UnknownCode::Entry)?;
        let permission = any_or(node.int(self.permission), permission_of).ok_or(UnknownCode::Entry)?;
        let (name, principal, host) = (word(self.name), word(self.principal), word(self.host));
        Ok(AclFilter { kind, pattern, name, principal, host, operation, permission })
    }

    /// An ACL or filter as its audit event has it: words, numbers where a code has none, null for any.
    fn told(&self, node: &Node) -> Value {
        let word = |code: i64, word: Option<&'static str>| match (code, word) {
            (ANY, None) => Value::Null,
            (code, None) => code.into(),
            (_, Some(word)) => word.into(),
        };
        let string = |field| node.opt_str(field).map_or(Value::Null, text);
        let kind = node.int(self.kind);
        let pattern = node.int(self.pattern);
        let pattern_word =
            if pattern == MATCH { Some("MATCH") } else { pattern_of(pattern).map(PatternType::kafka_name) };
        let operation = node.int(self.operation);
        let permission = node.int(self.permission);
        json!({
            "type": word(kind, kind_of(kind).map(ResourceType::policy_word)),
            "name": string(self.name),
            "pattern": word(pattern, pattern_word),
            "principal": string(self.principal),
            "host": string(self.host),
            "operation": word(operation, operation_of(operation).map(Operation::kafka_name)),
            "permission": word(permission, permission_of(permission).map(Permission::name)),
        })
    }
}

/// Which half of a filter holds a code that Kafka does not have.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum UnknownCode {
    Pattern,
    Entry,
}

/// `None`: no such code. `Some(None)`: everything.
fn any_or<T>(code: i64, of: fn(i64) -> Option<T>) -> Option<Option<T>> {
    if code == ANY { Some(None) } else { of(code).map(Some) }
}

fn small(code: i64) -> Option<i8> {
    i8::try_from(code).ok()
}

fn kind_of(code: i64) -> Option<ResourceType> {
    small(code).and_then(ResourceType::from_code)
}

fn pattern_of(code: i64) -> Option<PatternType> {
    small(code).and_then(PatternType::from_code)
}

fn operation_of(code: i64) -> Option<Operation> {
    small(code).and_then(Operation::from_code)
}

fn permission_of(code: i64) -> Option<Permission> {
    small(code).and_then(Permission::from_code)
}

/// An ACL as its audit event has it.
fn acl_told(acl: &AclBinding) -> Value {
    json!({
        "type": acl.kind.policy_word(),
        "name": text(&acl.name),
        "pattern": acl.pattern.kafka_name(),
        "principal": text(&acl.principal),
        "host": text(&acl.host),
        "operation": acl.operation.kafka_name(),
        "permission": acl.permission.name(),
    })
}

/// A list for an audit event, in which what gives or takes something from the caller stands first, so that it is seen
/// however long the list is (threat 5).
fn own_first<T>(
    bounded: &mut Bounded,
    items: impl Iterator<Item = T> + Clone,
    is_own: impl Fn(&T) -> bool,
    tell: impl Fn(T) -> Value,
) -> Value {
    let own = items.clone().filter(|item| is_own(item));
    let others = items.filter(|item| !is_own(item));
    bounded.take(own.chain(others), |item, _| tell(item))
}

/// Whether an ACL of this principal speaks to the caller.
fn speaks_to(principal: &str, subject: &Subject, snapshot: &Snapshot) -> bool {
    principal == "User:*"
        || principal == subject.principal.as_str()
        || principal.strip_prefix("Group:").is_some_and(|group| snapshot.is_member(subject, group))
}

impl<'a> Judge<'a> {
    /// Which ACLs the caller may see (`Describe`) or change (`Alter`). Recorded on the cluster, unless the answer depends
    /// on the ACL.
    fn acls(&mut self, operation: Operation) -> AclReach<'a> {
        let cx = self.cx;
        let reach = cx.snapshot.acl_reach(cx.subject, operation, self.api(), &cx.connection.host, cx.now);
        if reach.is_everything() || reach.is_nothing() {
            self.note(operation, Resource::CLUSTER, reach.on_cluster());
        }
        reach
    }

    /// Whether an ACL is within reach; recorded on what the ACL is about, unless all are.
    fn reaches(&mut self, reach: &AclReach<'_>, operation: Operation, acl: &AclBinding) -> Decision {
        let decision = reach.decide(acl);
        if !reach.is_everything() {
            self.note(operation, Resource::new(acl.kind, &acl.name), &decision);
        }
        decision
    }
}
