//! The wire format of groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups.

use super::Shared;
use super::api::Request;
use super::cluster::GROUP_OPERATIONS;
use super::group::Join;
use crate::wire::schema::{
    describe_groups as dg, heartbeat as hb, join_group as jg, leave_group as lg, list_groups as ls, sync_group as sg,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::Instant;

/// How long a member may be silent, in milliseconds; lower than Kafka's 6 s, so that tests need not wait.
const SESSION_MS: RangeInclusive<i32> = 100..=1_800_000;
/// The longest wait for a rebalance.
const MAX_REBALANCE: Duration = Duration::from_secs(3600);

pub(super) async fn join_group(shared: &Shared, request: &Request) -> Node {
    use jg::{request as q, response as r};
    let body = &request.body;
    let answer = Node::response(ApiKey::JOIN_GROUP);
    let refused = |code: ErrorCode, member: &str| {
        // Old versions cannot say that there is no protocol.
        let none = if request.version >= 7 { Value::Null } else { Value::from("") };
        let answer = answer.clone().with(r::ERROR_CODE, code).with(r::MEMBER_ID, member);
        answer.with(r::PROTOCOL_NAME, none).with(r::GENERATION_ID, -1)
    };
    let member = body.str(q::MEMBER_ID);
    let session = body.i32(q::SESSION_TIMEOUT_MS);
    if !SESSION_MS.contains(&session) {
        return refused(ErrorCode::INVALID_SESSION_TIMEOUT, member);
    }
    let millis = |field| u64::try_from(body.int(field)).ok().map(Duration::from_millis);
    let session = millis(q::SESSION_TIMEOUT_MS).unwrap_or_default();
    let protocol = |protocol: &Node| {
        use q::join_group_request_protocol as p;
        (protocol.str(p::NAME).to_owned(), protocol.bytes(p::METADATA).cloned().unwrap_or_default())
    };
    let join = Join {
        member: member.to_owned(),
        instance: body.opt_str(q::GROUP_INSTANCE_ID).map(String::from),
        client_id: request.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", request.host),
        session,
        rebalance: millis(q::REBALANCE_TIMEOUT_MS).unwrap_or(session).min(MAX_REBALANCE),
        protocol_type: body.str(q::PROTOCOL_TYPE).to_owned(),
        protocols: body.nodes(q::PROTOCOLS).iter().map(protocol).collect(),
        twice: request.version >= 4,
    };
    let waiting = shared.state().groups.join(body.str(q::GROUP_ID), join, Instant::now());
    shared.rescheduled.notify_one();
    // The other end goes away without a word when the same member joins again on another connection.
    let joined = waiting.await.unwrap_or_else(|_| Err((ErrorCode::UNKNOWN_MEMBER_ID, member.to_owned())));
    shared.rescheduled.notify_one();
    match joined {
        Err((code, member)) => refused(code, &member),
        Ok(joined) => {
            use r::join_group_response_member as row;
            let row = |(id, instance, metadata)| {
                let row = answer.child(r::MEMBERS).with(row::MEMBER_ID, id);
                row.with(row::GROUP_INSTANCE_ID, instance).with(row::METADATA, metadata)
            };
            let members: Vec<Node> = joined.members.into_iter().map(row).collect();
            answer
                .with(r::GENERATION_ID, joined.generation)
                .with(r::PROTOCOL_TYPE, joined.protocol_type)
                .with(r::PROTOCOL_NAME, joined.protocol)
                .with(r::LEADER, joined.leader)
                .with(r::MEMBER_ID, joined.member)
                .with(r::MEMBERS, members)
        }
    }
}

pub(super) async fn sync_group(shared: &Shared, request: &Node) -> Node {
    use sg::{request as q, response as r};
    let answer = Node::response(ApiKey::SYNC_GROUP);
    let assignment = |row: &Node| {
        use q::sync_group_request_assignment as a;
        (row.str(a::MEMBER_ID).to_owned(), row.bytes(a::ASSIGNMENT).cloned().unwrap_or_default())
    };
    let waiting = shared.state().groups.sync(
        request.str(q::GROUP_ID),
        request.str(q::MEMBER_ID),
        request.i32(q::GENERATION_ID),
        request.nodes(q::ASSIGNMENTS).iter().map(assignment).collect(),
        Instant::now(),
    );
    match waiting.await.unwrap_or(Err(ErrorCode::UNKNOWN_MEMBER_ID)) {
        Err(code) => answer.with(r::ERROR_CODE, code),
        Ok(assignment) => answer
            .with(r::PROTOCOL_TYPE, assignment.protocol_type)
            .with(r::PROTOCOL_NAME, assignment.protocol)
            .with(r::ASSIGNMENT, assignment.bytes),
    }
}

pub(super) fn heartbeat(shared: &Shared, request: &Node) -> Node {
    use hb::{request as q, response as r};
    let (group, member) = (request.str(q::GROUP_ID), request.str(q::MEMBER_ID));
    let code = shared.state().groups.heartbeat(group, member, request.i32(q::GENERATION_ID), Instant::now());
    Node::response(ApiKey::HEARTBEAT).with(r::ERROR_CODE, code)
}

pub(super) fn leave_group(shared: &Shared, version: i16, request: &Node) -> Node {
    use lg::request::{self as q, member_identity as m};
    use lg::response::{self as r, member_response as row};
    let (group, now) = (request.str(q::GROUP_ID), Instant::now());
    let mut answer = Node::response(ApiKey::LEAVE_GROUP);
    let mut state = shared.state();
    if version < 3 {
        let code = state.groups.leave(group, request.str(q::MEMBER_ID), None, now);
        answer.set(r::ERROR_CODE, code);
    }
    for member in request.nodes(q::MEMBERS) {
        let (id, instance) = (member.str(m::MEMBER_ID), member.opt_str(m::GROUP_INSTANCE_ID));
        let code = state.groups.leave(group, id, instance, now);
        let result = answer.child(r::MEMBERS).with(row::MEMBER_ID, id).with(row::GROUP_INSTANCE_ID, instance);
        answer.push(r::MEMBERS, result.with(row::ERROR_CODE, code));
    }
    drop(state);
    shared.rescheduled.notify_one();
    answer
}

pub(super) fn describe_groups(shared: &Shared, version: i16, request: &Node) -> Node {
    use dg::response::{self as r, described_group as g, described_group_member as m};
    let state = shared.state();
    let mut answer = Node::response(ApiKey::DESCRIBE_GROUPS);
    for id in request.strs(dg::request::GROUPS) {
        let mut result = answer.child(r::GROUPS).with(g::GROUP_ID, id);
        match state.groups.get(id) {
            Some(group) => {
                result.set(g::GROUP_STATE, group.phase.name());
                result.set(g::PROTOCOL_TYPE, group.protocol_type.as_str());
                result.set(g::PROTOCOL_DATA, group.protocol.as_str());
                for (name, member) in &group.members {
                    let row = result
                        .child(g::MEMBERS)
                        .with(m::MEMBER_ID, name.as_str())
                        .with(m::GROUP_INSTANCE_ID, member.as_joined.instance.as_deref())
                        .with(m::CLIENT_ID, member.as_joined.client_id.as_str())
                        .with(m::CLIENT_HOST, member.as_joined.client_host.as_str())
                        .with(m::MEMBER_METADATA, group.metadata_of(member))
                        .with(m::MEMBER_ASSIGNMENT, member.assignment.clone());
                    result.push(g::MEMBERS, row);
                }
                if request.bool(dg::request::INCLUDE_AUTHORIZED_OPERATIONS) {
                    result.set(g::AUTHORIZED_OPERATIONS, GROUP_OPERATIONS);
                }
            }
            None => {
                result.set(g::GROUP_STATE, "Dead");
                if version >= 6 {
                    result.set(g::ERROR_CODE, ErrorCode::GROUP_ID_NOT_FOUND);
                    result.set(g::ERROR_MESSAGE, ErrorCode::GROUP_ID_NOT_FOUND.message());
                }
            }
        }
        answer.push(r::GROUPS, result);
    }
    answer
}

pub(super) fn list_groups(shared: &Shared, request: &Node) -> Node {
    use ls::{request as q, response as r};
    const CLASSIC: &str = "classic";
    let wanted = |field, name: &str| {
        let mut filter = request.strs(field).peekable();
        filter.peek().is_none() || filter.any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    let state = shared.state();
    let mut answer = Node::response(ApiKey::LIST_GROUPS);
    for (id, group) in state.groups.iter() {
        if wanted(q::STATES_FILTER, group.phase.name()) && wanted(q::TYPES_FILTER, CLASSIC) {
            let row = answer
                .child(r::GROUPS)
                .with(r::listed_group::GROUP_ID, id)
                .with(r::listed_group::PROTOCOL_TYPE, group.protocol_type.as_str())
                .with(r::listed_group::GROUP_STATE, group.phase.name())
                .with(r::listed_group::GROUP_TYPE, CLASSIC);
            answer.push(r::GROUPS, row);
        }
    }
    answer
}
