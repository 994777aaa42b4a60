//! DeleteAcls (API 31).

use super::{Codes, Fault, MOST, UnknownCode, acl_told, needs_super_user, no_authorizer, not_authorized, of_refused};
use super::{own_first, speaks_of_the_proxy, speaks_to};
use crate::enforce::arguments::Bounded;
use crate::enforce::judge::Judge;
use crate::enforce::rule::{Changing, Request, Rule, Verdict};
use crate::model::{CloseReason, Operation, Resource};
use crate::policy::{AclBinding, AclChange, AclChanged, AclFilter, ChangeRefused, ProtocolAcls, Snapshot};
use crate::wire::schema::delete_acls::request::{self as req, delete_acls_filter as filter};
use crate::wire::schema::delete_acls::response::{
    self as res, delete_acls_filter_result as result, delete_acls_matching_acl as matching,
};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};
use std::collections::BTreeSet;
use std::ops::Range;

/// The rule of DeleteAcls.
pub(in crate::enforce) struct DeleteAcls;

const CODES: Codes = Codes {
    kind: filter::RESOURCE_TYPE_FILTER,
    name: filter::RESOURCE_NAME_FILTER,
    pattern: filter::PATTERN_TYPE_FILTER,
    principal: filter::PRINCIPAL_FILTER,
    host: filter::HOST_FILTER,
    operation: filter::OPERATION,
    permission: filter::PERMISSION_TYPE,
};

/// The most matches that are judged, or told of, one by one in all filters of a request. Requests of whoever may change
/// everything need none, but for what stands in the policy file.
const MOST_ALONE: usize = 100_000;

/// How often ACLs are held against filters for one request: a second of work. A large request of small filters would keep
/// a thread for minutes.
const MOST_COMPARED: usize = 100_000_000;

/// What is known of a filter's result before the change.
enum Found {
    /// The filter cannot be read.
    Fault(Fault),
    /// What it matches.
    Matches {
        /// Which filters of the change stand for it.
        filters: Range<usize>,
        /// What it matches and stays, and why.
        stays: Vec<(AclBinding, Fault)>,
    },
}

impl Rule for DeleteAcls {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let node = request.decode();
        let asked = node.nodes(req::FILTERS);
        if asked.iter().any(|filter| CODES.hold_unknown(filter)) {
            return Ok(Verdict::Refuse(CloseReason::MalformedRequest));
        }
        let filters: Vec<Result<AclFilter, UnknownCode>> = asked.iter().map(|filter| CODES.filter(filter)).collect();
        let all = |fault: Fault| Ok(Verdict::Answer(answer(asked.iter().map(|_| Err(fault.clone())))));
        let (cx, snapshot) = (judge.cx, judge.cx.snapshot);
        let reach = judge.acls(Operation::Alter);
        if reach.is_nothing() {
            // Whoever may change nothing does not have all filters held against all ACLs.
            judge.arguments(arguments(asked, &BTreeSet::new(), judge));
            return all(not_authorized());
        }
        if asked.len().saturating_mul(snapshot.shown_acls().count()) > MOST_COMPARED {
            judge.arguments(arguments(asked, &BTreeSet::new(), judge));
            if !reach.is_everything() {
                judge.note(Operation::Alter, Resource::CLUSTER, &reach.decision());
            }
            let text = format!("{} filters are too many for the acls that there are: send fewer at once", asked.len());
            return all((ErrorCode::INVALID_REQUEST, Some(text)));
        }
        let matched = matched(&filters, snapshot);
        judge.arguments(arguments(asked, &matched, judge));
        let mode = snapshot.protocol_acls_mode();
        if mode == ProtocolAcls::Disabled {
            return all(no_authorizer());
        }
        if matched.len() > MOST {
            let text = format!("Cannot remove more than {MOST} acls in a single delete operation.");
            return all((ErrorCode::INVALID_REQUEST, Some(text)));
        }
        let super_users_only = mode == ProtocolAcls::Cluster && !reach.is_super_user();
        let mut permit = reach.on_cluster().permit();
        let mut change = Vec::new();
        let mut found = Vec::new();
        let mut alone = 0;
        for read in filters {
            let filter = match read {
                Err(UnknownCode::Pattern) => {
                    found.push(Found::Fault((ErrorCode::INVALID_REQUEST, Some("Unknown patternFilter.".to_owned()))));
                    continue;
                }
                Err(UnknownCode::Entry) => {
                    found.push(Found::Fault((ErrorCode::INVALID_REQUEST, Some("Unknown entryFilter.".to_owned()))));
                    continue;
                }
                Ok(filter) => filter,
            };
            let from = change.len();
            let mut stays = Vec::new();
            // Whoever may not remove all that a filter may find removes what is found now and may be removed.
            let protects = super_users_only && filter.principal.as_deref().is_none_or(|p| speaks_of_the_proxy(&cx, p));
            let exactly = !reach.is_everything() || protects;
            for (acl, place) in snapshot.shown_acls().filter(|(acl, _)| filter.matches(acl)) {
                alone += usize::from(exactly || place.is_some());
                if alone > MOST_ALONE {
                    let text = format!("the filters match acls more than {MOST_ALONE} times: send fewer at once");
                    return all((ErrorCode::INVALID_REQUEST, Some(text)));
                }
                let decision = judge.reaches(&reach, Operation::Alter, acl);
                permit = permit.or_else(|| decision.permit());
                if !decision.is_allowed() {
                    continue;
                }
                match place {
                    Some(place) => stays.push((acl.clone(), of_the_file(place))),
                    None if protects && speaks_of_the_proxy(&cx, &acl.principal) => {
                        stays.push((acl.clone(), needs_super_user(&acl.principal)));
                    }
                    None if exactly => change.push(AclFilter::exactly(acl)),
                    None => {}
                }
            }
            if !exactly {
                change.push(filter);
            }
            found.push(Found::Matches { filters: from..change.len(), stays });
        }
        let then = Box::new(Deleted { found });
        Ok(match permit {
            Some(permit) if !change.is_empty() => Verdict::Change { permit, change: AclChange::Delete(change), then },
            _ => Verdict::Answer(then.answer(Ok(AclChanged::Deleted(Vec::new())))),
        })
    }
}

/// An ACL of the policy file is not removed from outside.
fn of_the_file(place: &str) -> Fault {
    (ErrorCode::POLICY_VIOLATION, Some(format!("this acl stands in the policy file at {place}: remove it there")))
}

/// The ACLs made over the protocol that the filters match.
fn matched<'s>(filters: &[Result<AclFilter, UnknownCode>], snapshot: &'s Snapshot) -> BTreeSet<&'s AclBinding> {
    let acls = snapshot.protocol_acls().iter();
    acls.filter(|acl| filters.iter().flatten().any(|filter| filter.matches(acl))).collect()
}

fn arguments(asked: &[Node], acls: &BTreeSet<&AclBinding>, judge: &Judge<'_>) -> String {
    let mut bounded = Bounded::default();
    let cx = judge.cx;
    let own = |acl: &&AclBinding| speaks_to(&acl.principal, cx.subject, cx.snapshot);
    // Half of the room is for what was written, so that neither list hides the other.
    let told = bounded.take(asked.iter().take(50), |filter, _| CODES.told(filter));
    let found = own_first(&mut bounded, acls.iter().copied(), own, acl_told);
    bounded.object([
        ("filters", told),
        ("filterCount", asked.len().into()),
        ("matches", found),
        ("matchCount", acls.len().into()),
    ])
}

fn answer<'a>(results: impl Iterator<Item = Result<Vec<(&'a AclBinding, Option<&'a Fault>)>, Fault>>) -> Node {
    let mut answer = Node::response(ApiKey::DELETE_ACLS);
    for outcome in results {
        let mut row = answer.child(res::FILTER_RESULTS);
        match outcome {
            Err((code, message)) => {
                row.set(result::ERROR_CODE, code);
                row.set(result::ERROR_MESSAGE, message.as_deref());
            }
            Ok(acls) => {
                row.set(result::ERROR_MESSAGE, None::<&str>);
                for (acl, fault) in acls {
                    let (code, message) = fault.map_or((ErrorCode::NONE, None), |(c, m)| (*c, m.as_deref()));
                    let told = row
                        .child(result::MATCHING_ACLS)
                        .with(matching::ERROR_CODE, code)
                        .with(matching::ERROR_MESSAGE, message)
                        .with(matching::RESOURCE_TYPE, i64::from(acl.kind.code()))
                        .with(matching::RESOURCE_NAME, acl.name.as_str())
                        .with(matching::PATTERN_TYPE, i64::from(acl.pattern.code()))
                        .with(matching::PRINCIPAL, acl.principal.as_str())
                        .with(matching::HOST, acl.host.as_str())
                        .with(matching::OPERATION, i64::from(acl.operation.code()))
                        .with(matching::PERMISSION_TYPE, i64::from(acl.permission.code()));
                    row.push(result::MATCHING_ACLS, told);
                }
            }
        }
        answer.push(res::FILTER_RESULTS, row);
    }
    answer
}

/// The results, but for what the change removes.
struct Deleted {
    found: Vec<Found>,
}

impl Changing for Deleted {
    fn answer(self: Box<Self>, outcome: Result<AclChanged, ChangeRefused>) -> Node {
        let (removed, refused) = match outcome {
            Ok(AclChanged::Deleted(removed)) => (removed, None),
            Ok(AclChanged::Created) => (Vec::new(), None),
            Err(refused) => (Vec::new(), Some(of_refused(refused))),
        };
        answer(self.found.iter().map(|found| match (found, &refused) {
            (Found::Fault(fault), _) => Err(fault.clone()),
            (Found::Matches { filters, .. }, Some(refused)) if !filters.is_empty() => Err(refused.clone()),
            (Found::Matches { filters, stays }, _) => {
                let gone = removed.get(filters.clone()).unwrap_or_default().iter().flatten();
                Ok(gone.map(|acl| (acl, None)).chain(stays.iter().map(|(acl, why)| (acl, Some(why)))).collect())
            }
        }))
    }
}
