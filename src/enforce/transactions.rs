//! AddOffsetsToTxn (API 25), EndTxn (26), TxnOffsetCommit (28): the calls of a transaction after its beginning.
//!
//! Source: Kafka 4.1 `KafkaApis.handleAddOffsetsToTxnRequest`, `handleEndTxnRequest`, `handleTxnOffsetCommitRequest`.
//! WRITE on the transactional id, or 53; where a group is named, READ on it, or 30; where topics are, READ on each, or 29
//! in the partitions of that topic, which stand first. TxnOffsetCommit has no error of the whole answer: 53 and 30 are
//! told in every partition.
//!
//! A negative generation, or none (before version 3), is the admin form: the coordinator takes it even while the group
//! runs (threat 25).

use super::judge::Judge;
use super::offsets::{Shape, commit_form, topic_demand};
use super::record::Category;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::TopicFields;
use crate::model::{GroupId, Operation, TransactionalId};
use crate::policy::Use;
use crate::wire::schema::txn_offset_commit::request::{
    self as req, txn_offset_commit_request_partition as partition, txn_offset_commit_request_topic as topic,
};
use crate::wire::schema::txn_offset_commit::response::{
    self as res, txn_offset_commit_response_partition as answer_partition,
    txn_offset_commit_response_topic as answer_topic,
};
use crate::wire::schema::{add_offsets_to_txn, end_txn};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of AddOffsetsToTxn.
pub(super) struct AddOffsetsToTxn;

impl Rule for AddOffsetsToTxn {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use add_offsets_to_txn::{request as req, response as res};
        let view = request.view;
        let refuse = |error| Verdict::Answer(Node::response(ApiKey::ADD_OFFSETS_TO_TXN).with(res::ERROR_CODE, error));
        if !judge.decide(Operation::Write, TransactionalId(view.str(req::TRANSACTIONAL_ID))).is_allowed() {
            return Ok(refuse(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        }
        Ok(match judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID))).permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED),
        })
    }
}

/// The rule of EndTxn.
pub(super) struct EndTxn;

impl Rule for EndTxn {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use end_txn::{request as req, response as res};
        let decision = judge.decide(Operation::Write, TransactionalId(request.view.str(req::TRANSACTIONAL_ID)));
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => Verdict::Answer(
                Node::response(ApiKey::END_TXN).with(res::ERROR_CODE, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            ),
        })
    }
}

/// The rule of TxnOffsetCommit.
pub(super) struct TxnOffsetCommit;

static SHAPE: Shape = Shape {
    api: ApiKey::TXN_OFFSET_COMMIT,
    group: req::GROUP_ID,
    topics: req::TOPICS,
    topic: TopicFields { name: topic::NAME, id: Some(topic::TOPIC_ID) },
    partitions: topic::PARTITIONS,
    index: partition::PARTITION_INDEX,
    offset: Some(partition::COMMITTED_OFFSET),
    answer_topics: res::TOPICS,
    answer_topic: TopicFields { name: answer_topic::NAME, id: Some(answer_topic::TOPIC_ID) },
    answer_partitions: answer_topic::PARTITIONS,
    answer_index: answer_partition::PARTITION_INDEX,
    answer_error: answer_partition::ERROR_CODE,
    answer_top: None,
};

impl Rule for TxnOffsetCommit {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let form = commit_form(view.i32(req::GENERATION_ID_OR_MEMBER_EPOCH));
        if form == Use::AdminCommit {
            judge.category(Category::GroupWrite);
            judge.arguments(SHAPE.arguments(view, judge));
        }
        if !judge.decide(Operation::Write, TransactionalId(view.str(req::TRANSACTIONAL_ID))).is_allowed() {
            return SHAPE.refuse_all(request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        let group = judge.decide_as(form, Operation::Read, GroupId(view.str(req::GROUP_ID)));
        match group.permit() {
            Some(permit) => SHAPE.by_topic(form, topic_demand(&group), permit, request, judge),
            None => SHAPE.refuse_all(request, ErrorCode::GROUP_AUTHORIZATION_FAILED),
        }
    }
}

#[cfg(test)]
mod tests;
