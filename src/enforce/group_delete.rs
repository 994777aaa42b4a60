//! DeleteGroups (API 42) and OffsetDelete (47).
//!
//! Source: Kafka 4.1 `KafkaApis.handleDeleteGroupsRequest`, `handleOffsetDeleteRequest`.
//!
//! DeleteGroups: DELETE on each group; one that is denied fails with 30 and stands behind those that are served; a group
//! named twice is answered once. OffsetDelete: without DELETE on the group the whole call fails with 30; without READ on a
//! topic the partitions of that topic fail with 29 and stand first. `OffsetsWrite` on the group stands in for DELETE
//! there, and then asks for DESCRIBE of topics only (threat 26).

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::offsets::{Shape, topic_demand};
use super::rows::Behind;
use super::rule::{Request, Rule, Then, Verdict};
use super::split::TopicFields;
use crate::model::{GroupId, Operation};
use crate::policy::Use;
use crate::wire::schema::delete_groups::request as req;
use crate::wire::schema::delete_groups::response::{self as res, deletable_group_result as result};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};
use std::collections::HashSet;

/// The rule of DeleteGroups.
pub(super) struct DeleteGroups;

impl Rule for DeleteGroups {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let mut bounded = Bounded::default();
        let groups = bounded.take(view.strs(req::GROUPS_NAMES), |name, _| text(name));
        judge.arguments(bounded.object([("groups", groups)]));
        let (mut permit, mut kept, mut seen) = (None, Vec::new(), HashSet::new());
        let (answer, mut denied) = (Node::response(ApiKey::DELETE_GROUPS), Vec::new());
        for name in view.strs(req::GROUPS_NAMES).filter(|name| seen.insert(*name)) {
            match judge.decide(Operation::Delete, GroupId(name)).permit() {
                Some(own) => {
                    permit = Some(own);
                    kept.push(name);
                }
                None => {
                    let refused = answer.child(res::RESULTS).with(result::GROUP_ID, name);
                    denied.push(refused.with(result::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED));
                }
            }
        }
        Ok(match permit {
            Some(permit) if denied.is_empty() => Verdict::Forward(permit, Then::Stream),
            Some(permit) => {
                let sent = request.decode().with(req::GROUPS_NAMES, kept);
                Verdict::Rewrite(permit, sent, Behind::then(res::RESULTS, denied))
            }
            None => Verdict::Answer(answer.with(res::RESULTS, denied)),
        })
    }
}

/// The rule of OffsetDelete.
pub(super) struct OffsetDelete;

static SHAPE: Shape = {
    use crate::wire::schema::offset_delete::request::{
        self as req, offset_delete_request_partition as partition, offset_delete_request_topic as topic,
    };
    use crate::wire::schema::offset_delete::response::{
        self as res, offset_delete_response_partition as answer_partition, offset_delete_response_topic as answer_topic,
    };
    Shape {
        api: ApiKey::OFFSET_DELETE,
        group: req::GROUP_ID,
        topics: req::TOPICS,
        topic: TopicFields { name: topic::NAME, id: None },
        partitions: topic::PARTITIONS,
        index: partition::PARTITION_INDEX,
        offset: None,
        answer_topics: res::TOPICS,
        answer_topic: TopicFields { name: answer_topic::NAME, id: None },
        answer_partitions: answer_topic::PARTITIONS,
        answer_index: answer_partition::PARTITION_INDEX,
        answer_error: answer_partition::ERROR_CODE,
        answer_top: Some(res::ERROR_CODE),
    }
};

impl Rule for OffsetDelete {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use crate::wire::schema::offset_delete::{request as req, response as res};
        let view = request.view;
        judge.arguments(SHAPE.arguments(view, judge));
        let group = judge.decide(Operation::Delete, GroupId(view.str(req::GROUP_ID)));
        match group.permit() {
            Some(permit) => SHAPE.by_topic(Use::Normal, topic_demand(&group), permit, request, judge),
            None => Ok(Verdict::Answer(
                Node::response(ApiKey::OFFSET_DELETE).with(res::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
