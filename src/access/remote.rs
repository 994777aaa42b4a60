//! The requests that reading and writing one partition takes.

use crate::cluster::link::{Link, LinkError};
use crate::config::HostPort;
use crate::model::TopicId;
use crate::wire::schema::{fetch, list_offsets, produce};
use crate::wire::{ApiKey, ErrorCode, Node};
use bytes::Bytes;
use std::time::Duration;

/// From this version on Fetch names topics by id; so does Produce. A topic that was made anew is then another.
const BY_ID: i16 = 13;
/// The last version that names them by name.
const BY_NAME: i16 = 12;
/// The most bytes of one answer; a batch that is larger comes alone.
const PIECE: i32 = 8 << 20;

/// The first offset, in ListOffsets.
pub(super) const EARLIEST: i64 = -2;
/// The offset behind the last record that all replicas in sync have.
pub(super) const LATEST: i64 = -1;

/// Where the state's partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The topic's name.
    pub(super) topic: String,
    /// The topic's id.
    pub(super) id: TopicId,
    /// The broker that leads the partition.
    pub(super) leader: i32,
    /// The epoch in which it does.
    pub(super) epoch: i32,
    /// Where that broker is.
    pub(super) address: HostPort,
}

/// What a fetch came to.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) code: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) records: Bytes,
}

/// Asks for the records from an offset on, and lets the broker wait for some.
pub(super) async fn fetch(link: &Link, place: &Place, offset: i64, wait: Duration) -> Result<Round, LinkError> {
    use fetch::request::{self as q, fetch_partition as p, fetch_topic as t};
    use fetch::response::{self as r, fetchable_topic_response as rt, partition_data as rp};
    let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let mut request = Node::request(ApiKey::FETCH)
        .with(q::REPLICA_ID, -1)
        .with(q::MAX_WAIT_MS, wait)
        .with(q::MIN_BYTES, 1)
        .with(q::MAX_BYTES, PIECE)
        .with(q::SESSION_EPOCH, -1);
    let mut topic = request.child(q::TOPICS).with(t::TOPIC, place.topic.as_str()).with(t::TOPIC_ID, place.id);
    let partition = topic
        .child(t::PARTITIONS)
        .with(p::PARTITION, 0)
        .with(p::CURRENT_LEADER_EPOCH, place.epoch)
        .with(p::FETCH_OFFSET, offset)
        .with(p::PARTITION_MAX_BYTES, PIECE);
    topic.push(t::PARTITIONS, partition);
    request.push(q::TOPICS, topic);
    let answer = link.call_at_most(ApiKey::FETCH, version(link, ApiKey::FETCH), &request).await?;
    let failed = |code| Round { code, high_watermark: -1, records: Bytes::new() };
    let whole = ErrorCode(answer.i16(r::ERROR_CODE));
    if !whole.is_none() {
        return Ok(failed(whole));
    }
    let mut parts = answer.nodes(r::RESPONSES).iter().flat_map(|topic| topic.nodes(rt::PARTITIONS));
    Ok(parts.next().map_or_else(
        || failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        |part| Round {
            code: ErrorCode(part.i16(rp::ERROR_CODE)),
            high_watermark: part.int(rp::HIGH_WATERMARK),
            records: part.bytes(rp::RECORDS).cloned().unwrap_or_default(),
        },
    ))
}

/// Asks for the first offset or the end.
pub(super) async fn offset(link: &Link, place: &Place, which: i64) -> Result<Result<i64, ErrorCode>, LinkError> {
    use list_offsets::request::{self as q, list_offsets_partition as p, list_offsets_topic as t};
    use list_offsets::response::{self as r, list_offsets_partition_response as rp, list_offsets_topic_response as rt};
    let mut request = Node::request(ApiKey::LIST_OFFSETS).with(q::REPLICA_ID, -1);
    let mut topic = request.child(q::TOPICS).with(t::NAME, place.topic.as_str());
    let partition = topic
        .child(t::PARTITIONS)
        .with(p::PARTITION_INDEX, 0)
        .with(p::CURRENT_LEADER_EPOCH, place.epoch)
        .with(p::TIMESTAMP, which);
    topic.push(t::PARTITIONS, partition);
    request.push(q::TOPICS, topic);
    let answer = link.call(ApiKey::LIST_OFFSETS, &request).await?;
    let mut parts = answer.nodes(r::TOPICS).iter().flat_map(|topic| topic.nodes(rt::PARTITIONS));
    let Some(part) = parts.next() else { return Ok(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) };
    Ok(match ErrorCode(part.i16(rp::ERROR_CODE)) {
        ErrorCode::NONE => Ok(part.int(rp::OFFSET)),
        code => Err(code),
    })
}

/// Appends a batch, with the word of all replicas in sync; tells where its first record stands, -1 if the broker does
/// not know.
pub(super) async fn append(
    link: &Link,
    place: &Place,
    batch: Bytes,
    timeout: Duration,
) -> Result<Result<i64, ErrorCode>, LinkError> {
    use produce::request::{self as q, partition_produce_data as p, topic_produce_data as t};
    use produce::response::{self as r, partition_produce_response as rp, topic_produce_response as rt};
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut request = Node::request(ApiKey::PRODUCE).with(q::ACKS, -1_i16).with(q::TIMEOUT_MS, timeout);
    let mut topic = request.child(q::TOPIC_DATA).with(t::NAME, place.topic.as_str()).with(t::TOPIC_ID, place.id);
    let partition = topic.child(t::PARTITION_DATA).with(p::INDEX, 0).with(p::RECORDS, batch);
    topic.push(t::PARTITION_DATA, partition);
    request.push(q::TOPIC_DATA, topic);
    let answer = link.call_at_most(ApiKey::PRODUCE, version(link, ApiKey::PRODUCE), &request).await?;
    let mut parts = answer.nodes(r::RESPONSES).iter().flat_map(|topic| topic.nodes(rt::PARTITION_RESPONSES));
    let Some(part) = parts.next() else { return Ok(Err(ErrorCode::UNKNOWN_SERVER_ERROR)) };
    Ok(match ErrorCode(part.i16(rp::ERROR_CODE)) {
        ErrorCode::NONE => Ok(part.int(rp::BASE_OFFSET)),
        code => Err(code),
    })
}

/// The newest version, or the newest that names topics by name where the broker does not know them by id.
fn version(link: &Link, key: ApiKey) -> i16 {
    if link.version(key, i16::MAX).is_some_and(|version| version >= BY_ID) { i16::MAX } else { BY_NAME }
}
