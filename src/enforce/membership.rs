//! JoinGroup (API 11), Heartbeat (12), LeaveGroup (13), SyncGroup (14): what a member of a classic group does.
//!
//! Source: Kafka 4.1 `KafkaApis.handleJoinGroupRequest`, `handleHeartbeatRequest`, `handleLeaveGroupRequest`,
//! `handleSyncGroupRequest`, and `getErrorResponse` of their requests. Each needs READ on the group, or the request fails
//! with 30; none looks at topics. A SyncGroup of version 5 or later without protocol type or name fails with 23 before
//! anybody is asked. LeaveGroup also removes others: `OffsetsWrite` on the group stands in for READ there.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rule::{Request, Rule, Then, Verdict};
use crate::model::{GroupId, Operation};
use crate::wire::schema::{heartbeat, join_group, leave_group, sync_group};
use crate::wire::{ApiKey, ErrorCode, Node, Value, View, WireError};

/// The rule of JoinGroup.
pub(super) struct JoinGroup;

impl Rule for JoinGroup {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use join_group::{request as req, response as res};
        const NULL_PROTOCOL_SINCE: i16 = 7;
        let decision = judge.decide(Operation::Read, GroupId(request.view.str(req::GROUP_ID)));
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => {
                let protocol = if request.version() >= NULL_PROTOCOL_SINCE { Value::Null } else { Value::from("") };
                Verdict::Answer(
                    Node::response(ApiKey::JOIN_GROUP)
                        .with(res::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED)
                        .with(res::PROTOCOL_NAME, protocol),
                )
            }
        })
    }
}

/// The rule of Heartbeat.
pub(super) struct Heartbeat;

impl Rule for Heartbeat {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use heartbeat::{request as req, response as res};
        let decision = judge.decide(Operation::Read, GroupId(request.view.str(req::GROUP_ID)));
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => Verdict::Answer(
                Node::response(ApiKey::HEARTBEAT).with(res::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED),
            ),
        })
    }
}

/// The rule of LeaveGroup.
pub(super) struct LeaveGroup;

impl Rule for LeaveGroup {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use leave_group::{request as req, response as res};
        let view = request.view;
        if removes_others(view) {
            judge.arguments(removed_members(view));
        }
        let decision = judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID)));
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => Verdict::Answer(
                Node::response(ApiKey::LEAVE_GROUP).with(res::ERROR_CODE, ErrorCode::GROUP_AUTHORIZATION_FAILED),
            ),
        })
    }
}

/// Whether this is what an admin client sends (`removeMembersFromConsumerGroup`): a member that leaves names itself, alone,
/// and never by its instance id, because a static member does not leave.
fn removes_others(view: View<'_, '_>) -> bool {
    use leave_group::request::{MEMBERS, member_identity as member};
    view.has(MEMBERS)
        && (view.items(MEMBERS).len() != 1
            || view.items(MEMBERS).any(|m| m.opt_str(member::GROUP_INSTANCE_ID).is_some()))
}

fn removed_members(view: View<'_, '_>) -> String {
    use leave_group::request::{GROUP_ID, MEMBERS, member_identity as member};
    let mut bounded = Bounded::default();
    let members = bounded.take(view.items(MEMBERS), |m, _| {
        serde_json::json!({
            "member": text(m.str(member::MEMBER_ID)),
            "instance": m.opt_str(member::GROUP_INSTANCE_ID).map(text),
        })
    });
    bounded.object([("group", text(view.str(GROUP_ID))), ("members", members)])
}

/// The rule of SyncGroup.
pub(super) struct SyncGroup;

impl Rule for SyncGroup {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        use sync_group::{request as req, response as res};
        const PROTOCOL_SINCE: i16 = 5;
        let view = request.view;
        let refuse = |error| Verdict::Answer(Node::response(ApiKey::SYNC_GROUP).with(res::ERROR_CODE, error));
        if request.version() >= PROTOCOL_SINCE
            && (view.opt_str(req::PROTOCOL_TYPE).is_none() || view.opt_str(req::PROTOCOL_NAME).is_none())
        {
            return Ok(refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        let decision = judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID)));
        Ok(match decision.permit() {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED),
        })
    }
}

#[cfg(test)]
mod tests;
