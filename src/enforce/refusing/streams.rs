//! Streams groups (KIP-1071): heartbeat (API 88), describe (89).
//!
//! Source: Kafka 4.1 `KafkaApis.handleStreamsGroupHeartbeat`, `handleStreamsGroupDescribe`: the group is asked for first.
//! A forwarded heartbeat would create topics with the proxy's rights (threat 6), and resolve regular expressions with them
//! (threat 22).

use super::{Demand, Refusing};
use crate::model::Operation;
use crate::wire::schema::{streams_group_describe, streams_group_heartbeat};
use crate::wire::{ApiKey, ErrorCode, Node};

const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;

whole!(
    STREAMS_GROUP_HEARTBEAT,
    streams_group_heartbeat,
    Demand::Group(Operation::Read, streams_group_heartbeat::request::GROUP_ID),
    GROUP
);

pub(in crate::enforce) static STREAMS_GROUP_DESCRIBE: Refusing = Refusing {
    demand: Demand::Groups(Operation::Describe, streams_group_describe::request::GROUP_IDS),
    answer: |request, _| {
        use streams_group_describe::request as req;
        use streams_group_describe::response::{self as res, described_group as group};
        let mut answer = Node::response(ApiKey::STREAMS_GROUP_DESCRIBE);
        for id in request.strs(req::GROUP_IDS) {
            let refused = answer.child(res::GROUPS).with(group::GROUP_ID, id).with(group::ERROR_CODE, GROUP);
            answer.push(res::GROUPS, refused);
        }
        answer
    },
};
