//! InitProducerId (API 22): a producer gets its id and fences the one before it.
//!
//! Source: Kafka 4.1 `KafkaApis.handleInitProducerIdRequest`. With a transactional id: WRITE on it, and TWO_PHASE_COMMIT
//! where two-phase commit is asked for (version 6, unstable, not served), else 53. Without: IDEMPOTENT_WRITE on the
//! cluster, or WRITE on any topic (`authorizeByResourceType`), else 31. The refusal holds no producer id (-1) and no
//! epoch (-1).

use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use crate::model::{Operation, ResourceType, TransactionalId};
use crate::policy::Permit;
use crate::wire::schema::init_producer_id::{request as req, response as res};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};

/// The rule of InitProducerId.
pub(super) struct InitProducerId;

impl Rule for InitProducerId {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let (permit, error) = match request.view.opt_str(req::TRANSACTIONAL_ID) {
            Some(id) => (transactional(request.view, id, judge), ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            None => (idempotent(judge), ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
        };
        Ok(match permit {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => Verdict::Answer(
                Node::response(ApiKey::INIT_PRODUCER_ID)
                    .with(res::ERROR_CODE, error)
                    .with(res::PRODUCER_ID, -1i64)
                    .with(res::PRODUCER_EPOCH, -1i16),
            ),
        })
    }
}

fn transactional(view: View<'_, '_>, id: &str, judge: &mut Judge<'_>) -> Option<Permit> {
    let permit = judge.decide(Operation::Write, TransactionalId(id)).permit()?;
    if view.bool(req::ENABLE2_PC) {
        judge.decide(Operation::TwoPhaseCommit, TransactionalId(id)).permit()
    } else {
        Some(permit)
    }
}

fn idempotent(judge: &mut Judge<'_>) -> Option<Permit> {
    judge
        .cluster_first(Operation::IdempotentWrite)
        .or_else(|| judge.decide_any(Operation::Write, ResourceType::Topic).permit())
}

#[cfg(test)]
mod tests;
