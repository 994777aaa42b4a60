//! DescribeAcls (API 29).

use super::{Codes, kind_of, operation_of, pattern_of, permission_of};
use crate::enforce::judge::Judge;
use crate::enforce::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{CloseReason, Operation, Resource};
use crate::policy::{AclBinding, AclReach, ProtocolAcls};
use crate::wire::schema::describe_acls::request as req;
use crate::wire::schema::describe_acls::response::{
    self as res, acl_description as entry, describe_acls_resource as resource,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};

/// The rule of DescribeAcls.
pub(in crate::enforce) struct DescribeAcls;

const CODES: Codes = Codes {
    kind: req::RESOURCE_TYPE_FILTER,
    name: req::RESOURCE_NAME_FILTER,
    pattern: req::PATTERN_TYPE_FILTER,
    principal: req::PRINCIPAL_FILTER,
    host: req::HOST_FILTER,
    operation: req::OPERATION,
    permission: req::PERMISSION_TYPE,
};

impl Rule for DescribeAcls {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let node = request.decode();
        if CODES.hold_unknown(&node) {
            return Ok(Verdict::Refuse(CloseReason::MalformedRequest));
        }
        let cx = judge.cx;
        let reach = judge.acls(Operation::Describe);
        if reach.is_nothing() {
            let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
            return Ok(Verdict::Answer(failed(code, code.message())));
        }
        let decision = reach.decision();
        if !reach.is_everything() {
            judge.note(Operation::Describe, Resource::CLUSTER, &decision);
        }
        let filter = CODES.filter(&node).ok();
        let shown = |acl: &AclBinding| {
            filter.as_ref().is_some_and(|f| f.matches(acl)) && (reach.is_everything() || reach.decide(acl).is_allowed())
        };
        Ok(match (cx.snapshot.protocol_acls_mode(), decision.permit()) {
            (ProtocolAcls::Disabled, _) => {
                Verdict::Answer(failed(ErrorCode::SECURITY_DISABLED, "No Authorizer is configured on the broker"))
            }
            (ProtocolAcls::State, _) | (ProtocolAcls::Cluster, None) => {
                let acls = cx.snapshot.shown_acls().map(|(acl, _)| acl);
                Verdict::Answer(grouped(acls.filter(|acl| shown(acl)).collect()))
            }
            (ProtocolAcls::Cluster, Some(permit)) => {
                let file = cx.snapshot.shown_acls().filter(|(acl, place)| place.is_some() && shown(acl));
                let file: Vec<AclBinding> = file.map(|(acl, _)| acl.clone()).collect();
                let then = if file.is_empty() && reach.is_everything() {
                    Then::Stream
                } else {
                    Then::Complete(Box::new(OfTheCluster { file }))
                };
                Verdict::Forward(permit, then)
            }
        })
    }
}

fn failed(code: ErrorCode, message: &str) -> Node {
    Node::response(ApiKey::DESCRIBE_ACLS).with(res::ERROR_CODE, code).with(res::ERROR_MESSAGE, message)
}

/// ACLs as the answer has them: those of one pattern together, each once.
fn grouped(mut acls: Vec<&AclBinding>) -> Node {
    acls.sort_unstable();
    acls.dedup();
    let mut answer = Node::response(ApiKey::DESCRIBE_ACLS);
    let same = |a: &&AclBinding, b: &&AclBinding| (a.kind, a.pattern, &a.name) == (b.kind, b.pattern, &b.name);
    for group in acls.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let mut row = about(first);
        group.iter().for_each(|acl| row.push(resource::ACLS, told(acl)));
        answer.push(res::RESOURCES, row);
    }
    answer
}

fn about(acl: &AclBinding) -> Node {
    Node::new(&resource::THIS)
        .with(resource::RESOURCE_TYPE, i64::from(acl.kind.code()))
        .with(resource::RESOURCE_NAME, acl.name.as_str())
        .with(resource::PATTERN_TYPE, i64::from(acl.pattern.code()))
}

fn told(acl: &AclBinding) -> Node {
    Node::new(&entry::THIS)
        .with(entry::PRINCIPAL, acl.principal.as_str())
        .with(entry::HOST, acl.host.as_str())
        .with(entry::OPERATION, i64::from(acl.operation.code()))
        .with(entry::PERMISSION_TYPE, i64::from(acl.permission.code()))
}

/// Adds an ACL to the cluster's answer, unless it is there.
fn add(answer: &mut Node, acl: &AclBinding) {
    let is_same = |r: &&mut Node| {
        r.int(resource::RESOURCE_TYPE) == i64::from(acl.kind.code())
            && r.int(resource::PATTERN_TYPE) == i64::from(acl.pattern.code())
            && r.str(resource::RESOURCE_NAME) == acl.name
    };
    let told = told(acl);
    if let Some(same) = answer.nodes_mut(res::RESOURCES).iter_mut().find(is_same) {
        if !same.nodes(resource::ACLS).iter().any(|other| same_entry(other, &told)) {
            same.push(resource::ACLS, told);
        }
        return;
    }
    let mut row = about(acl);
    row.push(resource::ACLS, told);
    answer.push(res::RESOURCES, row);
}

fn same_entry(one: &Node, other: &Node) -> bool {
    one.str(entry::PRINCIPAL) == other.str(entry::PRINCIPAL)
        && one.str(entry::HOST) == other.str(entry::HOST)
        && one.int(entry::OPERATION) == other.int(entry::OPERATION)
        && one.int(entry::PERMISSION_TYPE) == other.int(entry::PERMISSION_TYPE)
}

/// The cluster's answer: what is out of reach is taken out, and the file's ACLs are added.
struct OfTheCluster {
    file: Vec<AclBinding>,
}

impl Complete for OfTheCluster {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        answer.i16(res::ERROR_CODE) == ErrorCode::NONE.0
    }

    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let cx = judge.cx;
        let reach = cx.snapshot.acl_reach(cx.subject, Operation::Describe, judge.api(), &cx.connection.host, cx.now);
        if !reach.is_everything() {
            for row in answer.nodes_mut(res::RESOURCES) {
                let (kind, name, pattern) = (
                    row.int(resource::RESOURCE_TYPE),
                    row.str(resource::RESOURCE_NAME).to_owned(),
                    row.int(resource::PATTERN_TYPE),
                );
                row.nodes_mut(resource::ACLS).retain(|acl| within(&reach, kind, &name, pattern, acl));
            }
            answer.nodes_mut(res::RESOURCES).retain(|row| !row.nodes(resource::ACLS).is_empty());
        }
        for acl in self.file.iter().filter(|acl| reach.decide(acl).is_allowed()) {
            add(&mut answer, acl);
        }
        Completed::Answer(answer)
    }
}

/// Whether an ACL of the cluster's answer is within reach; one that cannot be read is not.
fn within(reach: &AclReach<'_>, kind: i64, name: &str, pattern: i64, acl: &Node) -> bool {
    let (Some(kind), Some(pattern), Some(operation), Some(permission)) = (
        kind_of(kind),
        pattern_of(pattern),
        operation_of(acl.int(entry::OPERATION)),
        permission_of(acl.int(entry::PERMISSION_TYPE)),
    ) else {
        return false;
    };
    let (name, principal, host) =
        (name.to_owned(), acl.str(entry::PRINCIPAL).to_owned(), acl.str(entry::HOST).to_owned());
    reach.decide(&AclBinding { kind, pattern, name, principal, host, operation, permission }).is_allowed()
}
