//! Share groups: heartbeat (API 76), describe (77), fetch (78), acknowledge (79), their offsets (90 to 92).
//!
//! Source: Kafka 4.1 `KafkaApis.handleShareGroupHeartbeat`, `handleShareGroupDescribe`, `handleShareFetchRequest`,
//! `handleShareAcknowledgeRequest`, `handleDescribeShareGroupOffsetsRequest`, `handleAlterShareGroupOffsetsRequest`,
//! `handleDeleteShareGroupOffsetsRequest`: the group is asked for first, and its refusal is that of the whole answer, or
//! of its entry. Only the two calls that change offsets give a text.

use super::{Demand, Refusing};
use crate::model::Operation;
use crate::wire::schema::{
    alter_share_group_offsets, delete_share_group_offsets, describe_share_group_offsets, share_acknowledge,
    share_fetch, share_group_describe, share_group_heartbeat,
};
use crate::wire::{ApiKey, ErrorCode, Node};

const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
/// READ on the group that a request names.
macro_rules! read {
    ($api:ident) => {
        Demand::Group(Operation::Read, $api::request::GROUP_ID)
    };
}

whole!(SHARE_GROUP_HEARTBEAT, share_group_heartbeat, read!(share_group_heartbeat), GROUP);
whole!(SHARE_FETCH, share_fetch, read!(share_fetch), GROUP);
whole!(SHARE_ACKNOWLEDGE, share_acknowledge, read!(share_acknowledge), GROUP);
whole!(ALTER_SHARE_GROUP_OFFSETS, alter_share_group_offsets, read!(alter_share_group_offsets), GROUP, text);
whole!(
    DELETE_SHARE_GROUP_OFFSETS,
    delete_share_group_offsets,
    Demand::Group(Operation::Delete, delete_share_group_offsets::request::GROUP_ID),
    GROUP,
    text
);

pub(in crate::enforce) static SHARE_GROUP_DESCRIBE: Refusing = Refusing {
    demand: Demand::Groups(Operation::Describe, share_group_describe::request::GROUP_IDS),
    answer: |request, _| {
        use share_group_describe::request as req;
        use share_group_describe::response::{self as res, described_group as group};
        let mut answer = Node::response(ApiKey::SHARE_GROUP_DESCRIBE);
        for id in request.strs(req::GROUP_IDS) {
            let refused = answer.child(res::GROUPS).with(group::GROUP_ID, id).with(group::ERROR_CODE, GROUP);
            answer.push(res::GROUPS, refused);
        }
        answer
    },
};

pub(in crate::enforce) static DESCRIBE_SHARE_GROUP_OFFSETS: Refusing = Refusing {
    demand: Demand::GroupOfEach(
        Operation::Describe,
        describe_share_group_offsets::request::GROUPS,
        describe_share_group_offsets::request::describe_share_group_offsets_request_group::GROUP_ID,
    ),
    answer: |request, _| {
        use describe_share_group_offsets::request::{self as req, describe_share_group_offsets_request_group as asked};
        use describe_share_group_offsets::response::{
            self as res, describe_share_group_offsets_response_group as group,
        };
        let mut answer = Node::response(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS);
        for entry in request.nodes(req::GROUPS) {
            let refused = answer
                .child(res::GROUPS)
                .with(group::GROUP_ID, entry.str(asked::GROUP_ID))
                .with(group::ERROR_CODE, GROUP);
            answer.push(res::GROUPS, refused);
        }
        answer
    },
};
