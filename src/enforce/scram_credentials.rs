//! DescribeUserScramCredentials (API 50), AlterUserScramCredentials (API 51): logins at the brokers, not at the proxy.
//!
//! Source: Kafka 4.1 `KafkaApis.handleDescribeUserScramCredentialsRequest`: DESCRIBE on the cluster, or the whole answer
//! fails with 31 and holds a result without a name for each user asked about; no text. Without a list of users a broker
//! never answers (seen at 4.1 and 4.3.1); here the whole answer fails likewise.
//! `ControllerApis.handleAlterUserScramCredentials`: ALTER on the cluster, or each user named fails with 31, sorted, once.
//!
//! The credentials by which the proxy logs in are changed by nobody who comes through it (threat 18): that user fails with
//! 31, the others are served.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rows::Behind;
use super::rule::{Request, Rule, Verdict};
use super::scrub::Scrub;
use crate::model::{Operation, Resource};
use crate::policy::{Decision, ReasonCode};
use crate::wire::schema::alter_user_scram_credentials::request::{
    self as req, scram_credential_deletion as deletion, scram_credential_upsertion as upsertion,
};
use crate::wire::schema::alter_user_scram_credentials::response::{
    self as res, alter_user_scram_credentials_result as result,
};
use crate::wire::schema::describe_user_scram_credentials::request as list_req;
use crate::wire::schema::describe_user_scram_credentials::response::{
    self as list, describe_user_scram_credentials_result as list_result,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value, View, WireError};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const DENIED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

/// The rule of DescribeUserScramCredentials.
pub(super) struct DescribeUserScramCredentials;

impl Rule for DescribeUserScramCredentials {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        if let Some(permit) = judge.cluster(Operation::Describe).permit() {
            return Ok(Verdict::Forward(permit, Scrub::then()));
        }
        let mut answer = Node::response(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS)
            .with(list::ERROR_CODE, DENIED)
            .with(list::ERROR_MESSAGE, Value::Null);
        for _ in request.view.items(list_req::USERS) {
            // Kafka does not echo the user here.
            let refused = answer.child(list::RESULTS);
            let refused = refused.with(list_result::ERROR_CODE, DENIED).with(list_result::ERROR_MESSAGE, Value::Null);
            answer.push(list::RESULTS, refused);
        }
        Ok(Verdict::Answer(answer))
    }
}

/// The rule of AlterUserScramCredentials.
pub(super) struct AlterUserScramCredentials;

impl Rule for AlterUserScramCredentials {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view));
        let deleted = view.items(req::DELETIONS).map(|n| n.str(deletion::NAME));
        let changed = view.items(req::UPSERTIONS).map(|n| n.str(upsertion::NAME));
        let users: BTreeSet<&str> = deleted.chain(changed).collect();
        let decision = judge.weigh(Operation::Alter, Resource::CLUSTER);
        let permit = decision.permit();
        let mut refused = Vec::new();
        for user in &users {
            let own = judge.cx.topology.own.has_user(user);
            if own && permit.is_some() {
                let refusal = Decision::refused(ReasonCode::Protected, judge.cx.now);
                judge.note(Operation::Alter, Resource::CLUSTER, &refusal);
            }
            if own || permit.is_none() {
                refused.push(row(user));
            }
        }
        let nothing_left = !refused.is_empty() && refused.len() == users.len();
        // Where all of it is the proxy's own, nothing is granted.
        if permit.is_none() || !nothing_left {
            judge.note(Operation::Alter, Resource::CLUSTER, &decision);
        }
        let Some(permit) = permit.filter(|_| !nothing_left) else {
            let answer = Node::response(ApiKey::ALTER_USER_SCRAM_CREDENTIALS).with(res::RESULTS, refused);
            return Ok(Verdict::Answer(answer));
        };
        if refused.is_empty() {
            return Ok(Verdict::Forward(permit, Scrub::then()));
        }
        let mut node = request.decode();
        let own = &judge.cx.topology.own;
        node.nodes_mut(req::DELETIONS).retain(|n| !own.has_user(n.str(deletion::NAME)));
        node.nodes_mut(req::UPSERTIONS).retain(|n| !own.has_user(n.str(upsertion::NAME)));
        Ok(Verdict::Rewrite(permit, node, Behind::then(res::RESULTS, refused)))
    }
}

fn row(user: &str) -> Node {
    Node::new(&result::THIS)
        .with(result::USER, user)
        .with(result::ERROR_CODE, DENIED)
        .with(result::ERROR_MESSAGE, DENIED.message())
}

/// Who, and by which mechanism; never salts and passwords.
fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let deletions = bounded.take(
        view.items(req::DELETIONS),
        |one, _| json!({ "user": text(one.str(deletion::NAME)), "mechanism": mechanism(one.i8(deletion::MECHANISM)) }),
    );
    let upsertions = bounded.take(view.items(req::UPSERTIONS), |one, _| {
        json!({
            "user": text(one.str(upsertion::NAME)),
            "mechanism": mechanism(one.i8(upsertion::MECHANISM)),
            "iterations": one.i32(upsertion::ITERATIONS),
        })
    });
    bounded.object([("deletions", deletions), ("upsertions", upsertions)])
}

/// `ScramMechanism`.
fn mechanism(code: i8) -> Json {
    match code {
        1 => "SCRAM-SHA-256".into(),
        2 => "SCRAM-SHA-512".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
