//! DescribeAcls (API 29).

use super::{Codes, kind_of, operation_of, pattern_of, permission_of};
use crate::enforce::judge::Judge;
use crate::enforce::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::enforce::scrub::{Scrub, scrub};
use crate::model::{CloseReason, Operation, Resource};
use crate::policy::{AclBinding, AclReach, ProtocolAcls};
use crate::wire::schema::describe_acls::request as req;
use crate::wire::schema::describe_acls::response::{
    self as res, acl_description as entry, describe_acls_resource as resource,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};
use std::collections::{HashMap, HashSet};

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
                    Scrub::then()
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
fn grouped(acls: Vec<&AclBinding>) -> Node {
    let mut answer = Node::response(ApiKey::DESCRIBE_ACLS);
    add(&mut answer, acls);
    answer
}

/// Adds ACLs to an answer: those of one pattern together, each once, and none that is there.
fn add(answer: &mut Node, mut acls: Vec<&AclBinding>) {
    acls.sort_unstable();
    acls.dedup();
    // By pattern: both may be long.
    let rows = answer.nodes(res::RESOURCES).iter().enumerate();
    let places: HashMap<(i64, i64, String), usize> = rows.map(|(place, row)| (pattern_of_row(row), place)).collect();
    let same = |a: &&AclBinding, b: &&AclBinding| (a.kind, a.pattern, &a.name) == (b.kind, b.pattern, &b.name);
    for group in acls.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let mut row = about(first);
        let place = places.get(&pattern_of_row(&row));
        match place.and_then(|place| answer.nodes_mut(res::RESOURCES).get_mut(*place)) {
            Some(known) => {
                let there: HashSet<_> = known.nodes(resource::ACLS).iter().map(entry_of_row).collect();
                let new = group.iter().map(|acl| told(acl)).filter(|told| !there.contains(&entry_of_row(told)));
                let new: Vec<Node> = new.collect();
                known.nodes_mut(resource::ACLS).extend(new);
            }
            None => {
                group.iter().for_each(|acl| row.push(resource::ACLS, told(acl)));
                answer.push(res::RESOURCES, row);
            }
        }
    }
}

fn pattern_of_row(row: &Node) -> (i64, i64, String) {
    let name = row.str(resource::RESOURCE_NAME).to_owned();
    (row.int(resource::RESOURCE_TYPE), row.int(resource::PATTERN_TYPE), name)
}

fn entry_of_row(row: &Node) -> (&str, &str, i64, i64) {
    let (operation, permission) = (row.int(entry::OPERATION), row.int(entry::PERMISSION_TYPE));
    (row.str(entry::PRINCIPAL), row.str(entry::HOST), operation, permission)
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

/// The cluster's answer: what is out of reach is taken out, and the file's ACLs are added.
struct OfTheCluster {
    file: Vec<AclBinding>,
}

impl Complete for OfTheCluster {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        if answer.i16(res::ERROR_CODE) != ErrorCode::NONE.0 {
            scrub(&mut answer);
            return Completed::Answer(answer);
        }
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
        add(&mut answer, self.file.iter().filter(|acl| reach.decide(acl).is_allowed()).collect());
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
