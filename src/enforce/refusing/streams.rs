//! Streams groups (KIP-1071): heartbeat (API 88).
//!
//! Source: Kafka 4.1 `KafkaApis.handleStreamsGroupHeartbeat`: the group is asked for first.
//! A forwarded heartbeat would create topics with the proxy's rights (threat 6), and resolve regular expressions with them
//! (threat 22).

use super::{Demand, Refusing};
use crate::model::Operation;
use crate::wire::schema::streams_group_heartbeat;
use crate::wire::{ErrorCode, Node};

const GROUP: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;

whole!(
    STREAMS_GROUP_HEARTBEAT,
    streams_group_heartbeat,
    Demand::Group(Operation::Read, streams_group_heartbeat::request::GROUP_ID),
    GROUP
);
