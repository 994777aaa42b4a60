//! Delegation tokens: CreateDelegationToken (API 38), RenewDelegationToken (39), ExpireDelegationToken (40),
//! DescribeDelegationToken (41).
//!
//! A token made through the proxy would belong to the proxy's own principal, with its rights: so tokens are off, for
//! everybody, super users included, and nothing is forwarded (threat 2). The answers are those of a broker without
//! `delegation.token.secret.key`, in Kafka's order of tests (4.1 `KafkaApis.handleCreateTokenRequest` and its siblings):
//! 64 where the client's connection could not make tokens; 65 for a token of another owner without CREATE_TOKENS on him;
//! 67 for a renewer that is no user; then 61.
//!
//! Where clients log in at the brokers by themselves a token is the client's own: requests go on. As in Kafka nobody needs
//! a right on tokens of one's own, but what the policy denies is denied; and of the tokens that a broker shows one sees
//! those that one owns, requested or may renew, and others by DESCRIBE on the token or DESCRIBE_TOKENS on its owner.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use crate::model::{Operation, Principal, Resource, ResourceType};
use crate::policy::{Decision, Effect, Permit, ReasonCode, Use};
use crate::wire::schema::create_delegation_token::request::{self as create_req, creatable_renewers as renewer};
use crate::wire::schema::{
    create_delegation_token, describe_delegation_token, expire_delegation_token, renew_delegation_token,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, WireError};
use serde_json::json;

/// `DelegationTokenManager.ErrorTimestamp`: in refusals by the broker itself. One by the controller has zeros.
const NO_TIME: i64 = -1;
/// `KafkaPrincipal.USER_TYPE`.
const USER: &str = "User";

/// The rule of CreateDelegationToken.
pub(super) struct CreateDelegationToken;

impl Rule for CreateDelegationToken {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use create_delegation_token::response as res;
        let view = request.view;
        let caller = judge.cx.subject.principal.clone();
        let owner = match view.opt_str(create_req::OWNER_PRINCIPAL_NAME).filter(|name| !name.is_empty()) {
            Some(name) => Principal::new(view.str(create_req::OWNER_PRINCIPAL_TYPE), name),
            None => caller.clone(),
        };
        judge.arguments(match judge.cx.connection.relayed {
            true => {
                let mut bounded = Bounded::default();
                let renewers = bounded.take(view.items(create_req::RENEWERS), |other, _| {
                    text(&format!("{}:{}", other.str(renewer::PRINCIPAL_TYPE), other.str(renewer::PRINCIPAL_NAME)))
                });
                let life = view.i64(create_req::MAX_LIFETIME_MS).into();
                bounded.object([("owner", text(owner.as_str())), ("renewers", renewers), ("maxLifetimeMs", life)])
            }
            false => "{}".to_owned(),
        });
        let is_own = owner == caller;
        let error = if judge.cx.connection.relayed {
            let permit = match is_own {
                true => of_oneself(Operation::CreateTokens, judge),
                false => may_create_for(&owner, judge),
            };
            if let Some(permit) = permit {
                return Ok(Verdict::Forward(permit, Then::Stream));
            }
            ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        } else if !connection_may(judge) {
            off(Operation::CreateTokens, &owner, judge);
            ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        } else if !is_own && may_create_for(&owner, judge).is_none() {
            ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        } else {
            off(Operation::CreateTokens, &owner, judge);
            match view.items(create_req::RENEWERS).any(|other| other.str(renewer::PRINCIPAL_TYPE) != USER) {
                true => ErrorCode::INVALID_PRINCIPAL_TYPE,
                false => ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED,
            }
        };
        let time = time_of(error);
        Ok(Verdict::Answer(
            Node::response(ApiKey::CREATE_DELEGATION_TOKEN)
                .with(res::ERROR_CODE, error)
                .with(res::PRINCIPAL_TYPE, owner.kind())
                .with(res::PRINCIPAL_NAME, owner.name())
                .with(res::TOKEN_REQUESTER_PRINCIPAL_TYPE, caller.kind())
                .with(res::TOKEN_REQUESTER_PRINCIPAL_NAME, caller.name())
                .with(res::ISSUE_TIMESTAMP_MS, time)
                .with(res::EXPIRY_TIMESTAMP_MS, time)
                .with(res::MAX_TIMESTAMP_MS, time),
        ))
    }
}

/// The rule of the two APIs that move the end of a token.
pub(super) struct MoveEnd {
    api: ApiKey,
    period: Field,
    error: Field,
    end: Field,
}

/// The rule of RenewDelegationToken.
pub(super) static RENEW_DELEGATION_TOKEN: MoveEnd = {
    use renew_delegation_token::request::RENEW_PERIOD_MS as PERIOD;
    use renew_delegation_token::response::{ERROR_CODE, EXPIRY_TIMESTAMP_MS};
    MoveEnd { api: ApiKey::RENEW_DELEGATION_TOKEN, period: PERIOD, error: ERROR_CODE, end: EXPIRY_TIMESTAMP_MS }
};

/// The rule of ExpireDelegationToken.
pub(super) static EXPIRE_DELEGATION_TOKEN: MoveEnd = {
    use expire_delegation_token::request::EXPIRY_TIME_PERIOD_MS as PERIOD;
    use expire_delegation_token::response::{ERROR_CODE, EXPIRY_TIMESTAMP_MS};
    MoveEnd { api: ApiKey::EXPIRE_DELEGATION_TOKEN, period: PERIOD, error: ERROR_CODE, end: EXPIRY_TIMESTAMP_MS }
};

impl Rule for MoveEnd {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let error = if judge.cx.connection.relayed {
            // The HMAC is as good as a password.
            judge.arguments(json!({ "periodMs": request.view.i64(self.period) }).to_string());
            if let Some(permit) = of_oneself(Operation::CreateTokens, judge) {
                return Ok(Verdict::Forward(permit, Then::Stream));
            }
            ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        } else {
            of_own(Operation::CreateTokens, judge)
        };
        let answer = Node::response(self.api).with(self.error, error);
        Ok(Verdict::Answer(answer.with(self.end, time_of(error))))
    }
}

/// The rule of DescribeDelegationToken.
pub(super) struct DescribeDelegationToken;

impl Rule for DescribeDelegationToken {
    fn judge(&self, _: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let error = if judge.cx.connection.relayed {
            judge.arguments("{}".to_owned());
            if let Some(permit) = of_oneself(Operation::DescribeTokens, judge) {
                return Ok(Verdict::Forward(permit, Then::Complete(Box::new(Shown))));
            }
            ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        } else {
            of_own(Operation::DescribeTokens, judge)
        };
        let answer = Node::response(ApiKey::DESCRIBE_DELEGATION_TOKEN);
        Ok(Verdict::Answer(answer.with(describe_delegation_token::response::ERROR_CODE, error)))
    }
}

/// Leaves of the tokens that a broker shows those that the client may see.
struct Shown;

impl Complete for Shown {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        use describe_delegation_token::response::described_delegation_token_renewer as renews;
        use describe_delegation_token::response::{TOKENS, described_delegation_token as token};
        let caller = judge.cx.subject.principal.clone();
        let is_caller =
            |node: &Node, kind: Field, name: Field| node.str(kind) == caller.kind() && node.str(name) == caller.name();
        answer.nodes_mut(TOKENS).retain(|one| {
            let own = is_caller(one, token::PRINCIPAL_TYPE, token::PRINCIPAL_NAME)
                || is_caller(one, token::TOKEN_REQUESTER_PRINCIPAL_TYPE, token::TOKEN_REQUESTER_PRINCIPAL_NAME)
                || one
                    .nodes(token::RENEWERS)
                    .iter()
                    .any(|r| is_caller(r, renews::PRINCIPAL_TYPE, renews::PRINCIPAL_NAME));
            let owner = Principal::new(one.str(token::PRINCIPAL_TYPE), one.str(token::PRINCIPAL_NAME));
            let (token, user) = (ResourceType::DelegationToken, ResourceType::User);
            own || judge.probe_resource(Operation::Describe, Resource::new(token, one.str(token::TOKEN_ID))).is_some()
                || judge.probe_resource(Operation::DescribeTokens, Resource::new(user, owner.as_str())).is_some()
        });
        Completed::Answer(answer)
    }
}

/// What nobody needs a right for, as whoever may connect may do it: but what is denied is denied.
fn of_oneself(operation: Operation, judge: &mut Judge<'_>) -> Option<Permit> {
    let caller = judge.cx.subject.principal.clone();
    let user = Resource::new(ResourceType::User, caller.as_str());
    let weighed = judge.weigh(operation, user);
    let denied = !weighed.is_allowed() && weighed.matched().is_some_and(|rule| rule.effect == Effect::Deny);
    let cx = judge.cx;
    let decision = if denied { weighed } else { cx.snapshot.gate(cx.subject, &cx.connection.host, cx.now) };
    judge.note(operation, user, &decision);
    decision.permit()
}

/// The error where Kafka asks nobody: whose token it is would be found out after this.
fn of_own(operation: Operation, judge: &mut Judge<'_>) -> ErrorCode {
    judge.arguments("{}".to_owned());
    let caller = judge.cx.subject.principal.clone();
    off(operation, &caller, judge);
    match connection_may(judge) {
        true => ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED,
        false => ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
    }
}

/// `KafkaApis.allowTokenRequests`: not over PLAINTEXT, and over TLS only with a certificate.
fn connection_may(judge: &Judge<'_>) -> bool {
    let how = &*judge.cx.connection.mechanism;
    let anonymous = judge.cx.subject.principal == Principal::user("ANONYMOUS");
    how.starts_with("SASL_") || (how.starts_with("SSL") && !anonymous)
}

fn may_create_for(owner: &Principal, judge: &mut Judge<'_>) -> Option<Permit> {
    let user = Resource::new(ResourceType::User, owner.as_str());
    judge.decide_resource(Use::Normal, Operation::CreateTokens, user).permit()
}

/// Records that tokens are off for everybody.
fn off(operation: Operation, owner: &Principal, judge: &mut Judge<'_>) {
    let refusal = Decision::refused(ReasonCode::UnsupportedApi, judge.cx.now);
    judge.note(operation, Resource::new(ResourceType::User, owner.as_str()), &refusal);
}

fn time_of(error: ErrorCode) -> i64 {
    if error == ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED { 0 } else { NO_TIME }
}

#[cfg(test)]
mod tests;
