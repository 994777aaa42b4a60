//! What a token says, once its signature was found good.

use super::{Issuer, TokenError};
use crate::identity::Login;
use crate::identity::names::check_given;
use crate::model::{Principal, Timestamp, Verified};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The most groups of a token: each is looked at with every decision.
pub(super) const MOST_GROUPS: usize = 500;

/// The identity that these claims prove now.
pub(super) fn login(claims: &Value, issuer: &Issuer, now: Timestamp) -> Result<Login, TokenError> {
    if !is_for(claims, &issuer.audience) {
        return Err(TokenError::Audience(Arc::clone(&issuer.name)));
    }
    let skew = issuer.clock_skew;
    let end = instant(claims, "exp")?.ok_or(TokenError::Instant("exp"))?;
    if now >= end.plus(skew) {
        return Err(TokenError::Expired(end));
    }
    if let Some(begin) = instant(claims, "nbf")?
        && now.plus(skew) < begin
    {
        return Err(TokenError::NotYet(begin));
    }
    let claim = &issuer.principal_claim;
    let name = claim_at(claims, claim).and_then(Value::as_str).ok_or_else(|| TokenError::NoPrincipal(claim.clone()))?;
    check_given(name, "User:").map_err(|why| TokenError::NoUser(claim.clone(), why))?;
    Ok(Login {
        principal: Verified::proved(Principal::user(name)),
        groups: groups(claims, &issuer.groups_claim)?,
        may_merge: issuer.merge_groups,
        // By a clock that is ahead of the issuer's the end is past already: what is let in all the same stays for the
        // difference that is allowed.
        expires: Some(if now < end { end } else { end.plus(skew) }),
        credential: None,
    })
}

/// A text, or a list of texts (RFC 7519 section 4.1.3).
fn is_for(claims: &Value, audience: &[String]) -> bool {
    let is_one = |value: &Value| value.as_str().is_some_and(|text| audience.iter().any(|one| one == text));
    match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(is_one),
        Some(value) => is_one(value),
        None => false,
    }
}

/// Seconds since 1970, which may have a fraction (RFC 7519 section 2, `NumericDate`).
fn instant(claims: &Value, name: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let number = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(TokenError::Instant(name)),
    };
    if let Some(seconds) = number.as_i64() {
        return Ok(Some(Timestamp(seconds.saturating_mul(1000))));
    }
    let seconds = number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let millis = seconds.and_then(|seconds| i64::try_from(seconds.as_millis()).ok());
    millis.map(|millis| Some(Timestamp(millis))).ok_or(TokenError::Instant(name))
}

/// The claim at a path: dots descend. A claim whose own name holds dots is found too, and first.
pub fn claim_at<'c>(claims: &'c Value, path: &str) -> Option<&'c Value> {
    let members = claims.as_object()?;
    if let Some(value) = members.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (name, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        claim_at(members.get(name)?, rest)
    })
}

/// Whether the claim is not in the token, but is to be had somewhere else (`OpenID` Connect Core, 5.6.2): of who is in more
/// groups than it holds, Microsoft Entra says no more than that, and where tokens come through the browser by `hasgroups`.
fn is_elsewhere(claims: &Value, claim: &str) -> bool {
    let names = claims.get("_claim_names").and_then(Value::as_object);
    let ways = claim.match_indices('.').map(|(dot, _)| dot).chain([claim.len()]);
    let is_named = |name: &str| names.is_some_and(|names| names.contains_key(name));
    ways.filter_map(|end| claim.get(..end)).any(is_named)
        || (claim == "groups"
            && claims.get("hasgroups") == Some(&Value::Bool(true))
            && claim_at(claims, claim).is_none())
}

/// Not let in with groups that cannot be taken: a rule may deny something to one of them.
fn groups(claims: &Value, claim: &str) -> Result<Arc<[Arc<str>]>, TokenError> {
    if is_elsewhere(claims, claim) {
        return Err(TokenError::GroupsElsewhere(claim.to_owned()));
    }
    let list = match claim_at(claims, claim) {
        None | Some(Value::Null) => return Ok([].into()),
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if list.len() > MOST_GROUPS {
        return Err(TokenError::ManyGroups(claim.to_owned(), list.len()));
    }
    let mut groups: Vec<Arc<str>> = Vec::with_capacity(list.len());
    for one in list {
        let name = one.as_str().ok_or_else(|| TokenError::NoGroups(claim.to_owned()))?;
        check_given(name, "Group:").map_err(|why| TokenError::NoGroup(claim.to_owned(), why))?;
        groups.push(name.into());
    }
    groups.sort();
    groups.dedup();
    Ok(groups.into())
}
