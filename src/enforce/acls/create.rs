//! CreateAcls (API 30).

use super::{ANY, Codes, Fault, MATCH, MOST, kind_of, needs_super_user, no_authorizer, not_authorized, of_refused};
use super::{operation_of, own_first, pattern_of, permission_of, speaks_of_the_proxy, speaks_to};
use crate::enforce::arguments::Bounded;
use crate::enforce::judge::Judge;
use crate::enforce::rule::{Changing, Request, Rule, Verdict};
use crate::model::{CLUSTER_NAME, CloseReason, Operation, ResourceType};
use crate::policy::{AclBinding, AclChange, AclChanged, ChangeRefused, ProtocolAcls};
use crate::wire::schema::create_acls::request::{self as req, acl_creation as creation};
use crate::wire::schema::create_acls::response::{self as res, acl_creation_result as result};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of CreateAcls.
pub(in crate::enforce) struct CreateAcls;

const CODES: Codes = Codes {
    kind: creation::RESOURCE_TYPE,
    name: creation::RESOURCE_NAME,
    pattern: creation::RESOURCE_PATTERN_TYPE,
    principal: creation::PRINCIPAL,
    host: creation::HOST,
    operation: creation::OPERATION,
    permission: creation::PERMISSION_TYPE,
};

impl Rule for CreateAcls {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let node = request.decode();
        let creations = node.nodes(req::CREATIONS);
        if creations.iter().any(|acl| CODES.hold_unknown(acl)) {
            return Ok(Verdict::Refuse(CloseReason::MalformedRequest));
        }
        judge.arguments(arguments(creations, judge));
        let all = |fault: Fault| Ok(Verdict::Answer(answer(creations.iter().map(|_| Some(fault.clone())))));
        let cx = judge.cx;
        let reach = judge.acls(Operation::Alter);
        if reach.is_nothing() {
            return all(not_authorized());
        }
        let mode = cx.snapshot.protocol_acls_mode();
        if mode == ProtocolAcls::Disabled {
            return all(no_authorizer());
        }
        // Kafka's classes cannot hold these, and the request fails with the exception that says so.
        if creations.iter().any(is_filter) {
            return all((ErrorCode::UNKNOWN_SERVER_ERROR, None));
        }
        if creations.len() > MOST {
            let text = "Unable to perform excessively large batch operation.".to_owned();
            return all((ErrorCode::POLICY_VIOLATION, Some(text)));
        }
        let super_users_only = mode == ProtocolAcls::Cluster && !reach.is_super_user();
        let mut acls = Vec::new();
        let mut results: Vec<Option<Fault>> = Vec::new();
        let mut permit = reach.on_cluster().permit();
        for node in creations {
            results.push(match binding(node) {
                Err(fault) => Some(fault),
                Ok(acl) => {
                    let decision = judge.reaches(&reach, Operation::Alter, &acl);
                    permit = permit.or_else(|| decision.permit());
                    if !decision.is_allowed() {
                        Some(not_authorized())
                    } else if super_users_only && speaks_of_the_proxy(&cx, &acl.principal) {
                        Some(needs_super_user(&acl.principal))
                    } else {
                        acls.push(acl);
                        None
                    }
                }
            });
        }
        Ok(match permit {
            Some(permit) if !acls.is_empty() => {
                Verdict::Change { permit, change: AclChange::Create(acls), then: Box::new(Created { results }) }
            }
            _ => Verdict::Answer(answer(results.into_iter())),
        })
    }
}

/// Whether a code is one that only filters have.
fn is_filter(node: &Node) -> bool {
    [creation::RESOURCE_TYPE, creation::OPERATION, creation::PERMISSION_TYPE].iter().any(|code| node.int(*code) == ANY)
        || matches!(node.int(creation::RESOURCE_PATTERN_TYPE), ANY | MATCH)
}

/// Reads an ACL: first the checks of the broker, then those of the controller.
fn binding(node: &Node) -> Result<AclBinding, Fault> {
    let invalid = |text: String| (ErrorCode::INVALID_REQUEST, Some(text));
    let name = node.str(creation::RESOURCE_NAME);
    let kind = kind_of(node.int(creation::RESOURCE_TYPE));
    if kind == Some(ResourceType::Cluster) && name != CLUSTER_NAME {
        return Err(invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}")));
    }
    if name.is_empty() {
        return Err(invalid("Invalid empty resource name".to_owned()));
    }
    let unknown = |what: &str| invalid(format!("Invalid {what} UNKNOWN"));
    let kind = kind.ok_or_else(|| unknown("resourceType"))?;
    let pattern = pattern_of(node.int(creation::RESOURCE_PATTERN_TYPE)).ok_or_else(|| unknown("patternType"))?;
    let operation = operation_of(node.int(creation::OPERATION)).ok_or_else(|| unknown("operation"))?;
    let permission = permission_of(node.int(creation::PERMISSION_TYPE)).ok_or_else(|| unknown("permissionType"))?;
    let principal = node.str(creation::PRINCIPAL);
    if !principal.contains(':') {
        return Err(invalid(format!(
            "Could not parse principal from `{principal}` (no colon is present separating the principal type from the \
             principal name)"
        )));
    }
    let (name, principal, host) = (name.to_owned(), principal.to_owned(), node.str(creation::HOST).to_owned());
    Ok(AclBinding { kind, pattern, name, principal, host, operation, permission })
}

fn arguments(creations: &[Node], judge: &Judge<'_>) -> String {
    let mut bounded = Bounded::default();
    let cx = judge.cx;
    let own = |acl: &&Node| speaks_to(acl.str(creation::PRINCIPAL), cx.subject, cx.snapshot);
    let acls = own_first(&mut bounded, creations.iter(), own, |acl| CODES.told(acl));
    bounded.object([("acls", acls), ("count", creations.len().into())])
}

fn answer(results: impl Iterator<Item = Option<Fault>>) -> Node {
    let mut answer = Node::response(ApiKey::CREATE_ACLS);
    for fault in results {
        let mut row = answer.child(res::RESULTS);
        if let Some((code, message)) = fault {
            row.set(result::ERROR_CODE, code);
            row.set(result::ERROR_MESSAGE, message.as_deref());
        }
        answer.push(res::RESULTS, row);
    }
    answer
}

/// The results that do not wait for the change.
struct Created {
    results: Vec<Option<Fault>>,
}

impl Changing for Created {
    fn answer(self: Box<Self>, outcome: Result<AclChanged, ChangeRefused>) -> Node {
        let refused = outcome.err().map(of_refused);
        answer(self.results.into_iter().map(|fault| fault.or_else(|| refused.clone())))
    }
}
