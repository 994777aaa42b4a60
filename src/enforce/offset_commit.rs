//! OffsetCommit (API 8).
//!
//! Source: Kafka 4.1 `KafkaApis.handleOffsetCommitRequest`. Without READ on the group every partition fails with 30 (there
//! is no error of the whole answer), without READ on a topic the partitions of that topic with 29; the rest is committed.
//! From version 10 on topics come by id: an unknown one fails with 100, whoever asks. Errors found here stand first.
//!
//! A negative generation is the form of admin tools and of consumers without a group protocol: the broker takes any of
//! them, with any member id, while the group is empty (threat 25). `OffsetsWrite` on the group stands in for READ in that
//! form, and then asks for DESCRIBE of topics only (threat 26).

use super::judge::Judge;
use super::offsets::{Shape, commit_form, topic_demand};
use super::record::Category;
use super::rule::{Request, Rule, Verdict};
use super::split::TopicFields;
use crate::model::{GroupId, Operation};
use crate::policy::Use;
use crate::wire::schema::offset_commit::request::{
    self as req, offset_commit_request_partition as partition, offset_commit_request_topic as topic,
};
use crate::wire::schema::offset_commit::response::{
    self as res, offset_commit_response_partition as answer_partition, offset_commit_response_topic as answer_topic,
};
use crate::wire::{ApiKey, ErrorCode, WireError};

/// The rule of OffsetCommit.
pub(super) struct OffsetCommit;

static SHAPE: Shape = Shape {
    api: ApiKey::OFFSET_COMMIT,
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

impl Rule for OffsetCommit {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let form = commit_form(view.i32(req::GENERATION_ID_OR_MEMBER_EPOCH));
        if form == Use::AdminCommit {
            judge.category(Category::GroupWrite);
            judge.arguments(SHAPE.arguments(view, judge));
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
