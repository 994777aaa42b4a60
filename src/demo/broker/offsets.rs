//! Offsets: of logs (ListOffsets) and of groups (OffsetCommit, OffsetFetch).

use super::Shared;
use super::group::Committed;
use super::log::Log;
use super::topics::Topics;
use crate::model::TopicId;
use crate::wire::schema::{list_offsets as lo, offset_commit as oc, offset_fetch as of};
use crate::wire::{ApiKey, ErrorCode, Field, Node};
use tokio::time::Instant;

/// The longest text beside an offset, `offset.metadata.max.bytes` of Kafka.
const MAX_METADATA: usize = 4096;

pub(super) fn list_offsets(shared: &Shared, request: &Node) -> Node {
    use lo::{request as q, response as r};
    let mut answer = Node::response(ApiKey::LIST_OFFSETS);
    let state = shared.state();
    for topic in request.nodes(q::TOPICS) {
        let name = topic.str(q::list_offsets_topic::NAME);
        let mut result = answer.child(r::TOPICS).with(r::list_offsets_topic_response::NAME, name);
        for partition in topic.nodes(q::list_offsets_topic::PARTITIONS) {
            use r::list_offsets_partition_response as row;
            let index = partition.i32(q::list_offsets_partition::PARTITION_INDEX);
            let time = partition.int(q::list_offsets_partition::TIMESTAMP);
            let log = state.topics.get(name).and_then(|topic| topic.log(index));
            let line = result.child(r::list_offsets_topic_response::PARTITIONS).with(row::PARTITION_INDEX, index);
            let line = match log.map(|log| offset_at(log, time)) {
                Some((time, offset)) => {
                    let epoch = if offset < 0 { -1 } else { 0 };
                    line.with(row::TIMESTAMP, time).with(row::OFFSET, offset).with(row::LEADER_EPOCH, epoch)
                }
                None => line.with(row::ERROR_CODE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            };
            result.push(r::list_offsets_topic_response::PARTITIONS, line);
        }
        answer.push(r::TOPICS, result);
    }
    answer
}

/// Time and offset of what a time, or one of `ListOffsetsRequest`'s special times, means.
fn offset_at(log: &Log, time: i64) -> (i64, i64) {
    match time {
        -1 => (-1, log.end()),
        // The earliest, and the earliest that is not in tiered storage.
        -2 | -4 => (-1, log.start()),
        -3 => log.latest_time().unwrap_or((-1, -1)),
        // Tiered storage: there is none.
        ..0 => (-1, -1),
        time => log.at_time(time).unwrap_or((-1, -1)),
    }
}

pub(super) fn offset_commit(shared: &Shared, version: i16, request: &Node) -> Node {
    use oc::{request as q, response as r};
    let mut answer = Node::response(ApiKey::OFFSET_COMMIT);
    let mut guard = shared.state();
    let state = &mut *guard;
    let mut group = state.groups.committing(
        request.str(q::GROUP_ID),
        request.str(q::MEMBER_ID),
        request.i32(q::GENERATION_ID_OR_MEMBER_EPOCH),
        Instant::now(),
    );
    for topic in request.nodes(q::TOPICS) {
        use q::{offset_commit_request_partition as p, offset_commit_request_topic as t};
        use r::{offset_commit_response_partition as line, offset_commit_response_topic as row};
        let (name, id) = (topic.str(t::NAME), topic.uuid(t::TOPIC_ID));
        let mut result = answer.child(r::TOPICS).with(row::NAME, name).with(row::TOPIC_ID, id);
        let resolved = state.topics.resolve(version >= 10, name, id);
        for partition in topic.nodes(t::PARTITIONS) {
            let index = partition.i32(p::PARTITION_INDEX);
            let committed = Committed {
                offset: partition.int(p::COMMITTED_OFFSET),
                epoch: partition.i32(p::COMMITTED_LEADER_EPOCH),
                metadata: partition.str(p::COMMITTED_METADATA).to_owned(),
            };
            let code = match (&mut group, &resolved) {
                (Err(code), _) => *code,
                (_, Err(code)) => *code,
                (Ok(_), Ok(name)) if state.topics.get(name).and_then(|topic| topic.log(index)).is_none() => {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                }
                (Ok(_), Ok(_)) if committed.metadata.len() > MAX_METADATA => ErrorCode::OFFSET_METADATA_TOO_LARGE,
                (Ok(group), Ok(name)) => {
                    group.commit(name, index, committed);
                    ErrorCode::NONE
                }
            };
            let node = result.child(row::PARTITIONS).with(line::PARTITION_INDEX, index).with(line::ERROR_CODE, code);
            result.push(row::PARTITIONS, node);
        }
        answer.push(r::TOPICS, result);
    }
    answer
}

/// The fields of one partition of an answer, whose two layouts differ in nothing else.
struct Row {
    topics: Field,
    name: Field,
    partitions: Field,
    index: Field,
    offset: Field,
    epoch: Field,
    metadata: Field,
    error: Field,
}

const OLD_ROW: Row = {
    use of::response::{TOPICS, offset_fetch_response_partition as p, offset_fetch_response_topic as t};
    Row {
        topics: TOPICS,
        name: t::NAME,
        partitions: t::PARTITIONS,
        index: p::PARTITION_INDEX,
        offset: p::COMMITTED_OFFSET,
        epoch: p::COMMITTED_LEADER_EPOCH,
        metadata: p::METADATA,
        error: p::ERROR_CODE,
    }
};

const ROW: Row = {
    use of::response::{
        offset_fetch_response_group::TOPICS, offset_fetch_response_partitions as p, offset_fetch_response_topics as t,
    };
    Row {
        topics: TOPICS,
        name: t::NAME,
        partitions: t::PARTITIONS,
        index: p::PARTITION_INDEX,
        offset: p::COMMITTED_OFFSET,
        epoch: p::COMMITTED_LEADER_EPOCH,
        metadata: p::METADATA,
        error: p::ERROR_CODE,
    }
};

pub(super) fn offset_fetch(shared: &Shared, version: i16, request: &Node) -> Node {
    use of::request::{self as q, offset_fetch_request_topic as old, offset_fetch_request_topics as new};
    use of::response::{self as r, offset_fetch_response_group as g};
    let state = shared.state();
    let mut answer = Node::response(ApiKey::OFFSET_FETCH);
    if version < 8 {
        let asked = |topic: &Node| {
            let name = topic.str(old::NAME).to_owned();
            (Ok(name.clone()), name, TopicId::ZERO, indexes(topic, old::PARTITION_INDEXES))
        };
        let topics = (!request.is_null(q::TOPICS)).then(|| request.nodes(q::TOPICS).iter().map(asked).collect());
        let committed = |name: &str, index| state.groups.committed(request.str(q::GROUP_ID), name, index);
        let topics = topics.unwrap_or_else(|| everything(&state.groups.all_committed(request.str(q::GROUP_ID)), None));
        fill(&mut answer, &OLD_ROW, None, topics, committed);
        return answer;
    }
    for group in request.nodes(q::GROUPS) {
        let id = group.str(q::offset_fetch_request_group::GROUP_ID);
        let asked = |topic: &Node| {
            let (name, id) = (topic.str(new::NAME), topic.uuid(new::TOPIC_ID));
            let resolved = state.topics.resolve(version >= 10, name, id);
            (resolved, name.to_owned(), id, indexes(topic, new::PARTITION_INDEXES))
        };
        let field = q::offset_fetch_request_group::TOPICS;
        let topics = if group.is_null(field) {
            everything(&state.groups.all_committed(id), Some(&state.topics))
        } else {
            group.nodes(field).iter().map(asked).collect()
        };
        let mut result = answer.child(r::GROUPS).with(g::GROUP_ID, id);
        let committed = |name: &str, index| state.groups.committed(id, name, index);
        let id_field = r::offset_fetch_response_topics::TOPIC_ID;
        fill(&mut result, &ROW, Some(id_field), topics, committed);
        answer.push(r::GROUPS, result);
    }
    answer
}

/// A topic that is asked about: what it is called, how the client names it, and its partitions.
type Asked = (Result<String, ErrorCode>, String, TopicId, Vec<i32>);

fn indexes(topic: &Node, field: Field) -> Vec<i32> {
    topic.ints(field).iter().filter_map(|index| i32::try_from(*index).ok()).collect()
}

/// Every topic in which the group has offsets.
fn everything(committed: &[(String, i32)], topics: Option<&Topics>) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    for (name, index) in committed {
        match all.last_mut() {
            Some((_, last, _, indexes)) if last == name => indexes.push(*index),
            _ => {
                let id = topics.and_then(|topics| topics.get(name)).map(|topic| topic.id()).unwrap_or_default();
                all.push((Ok(name.clone()), name.clone(), id, vec![*index]));
            }
        }
    }
    all
}

fn fill<'c>(
    into: &mut Node,
    row: &Row,
    id_field: Option<Field>,
    topics: Vec<Asked>,
    committed: impl Fn(&str, i32) -> Option<&'c Committed>,
) {
    for (resolved, name, id, indexes) in topics {
        let mut topic = into.child(row.topics).with(row.name, name);
        if let Some(field) = id_field {
            topic.set(field, id);
        }
        for index in indexes {
            let known = resolved.as_deref().map(|name| committed(name, index));
            let line = topic.child(row.partitions).with(row.index, index);
            let line = match known {
                Ok(Some(known)) => line
                    .with(row.offset, known.offset)
                    .with(row.epoch, known.epoch)
                    .with(row.metadata, known.metadata.as_str()),
                Ok(None) => line.with(row.offset, -1).with(row.metadata, ""),
                Err(code) => line.with(row.offset, -1).with(row.metadata, "").with(row.error, *code),
            };
            topic.push(row.partitions, line);
        }
        into.push(row.topics, topic);
    }
}
