//! Produce.

use super::Shared;
use crate::wire::schema::produce::{request as q, response as r};
use crate::wire::{ApiKey, ErrorCode, Node};

/// Appends what a producer sends; none if it wants no answer.
pub(super) fn produce(shared: &Shared, version: i16, request: &Node) -> Option<Node> {
    let acks = request.i16(q::ACKS);
    let mut answer = Node::response(ApiKey::PRODUCE);
    let mut state = shared.state();
    for topic in request.nodes(q::TOPIC_DATA) {
        use q::topic_produce_data as t;
        use r::topic_produce_response as row;
        let (name, id) = (topic.str(t::NAME), topic.uuid(t::TOPIC_ID));
        let resolved = state.topics.resolve(version >= 13, name, id);
        let mut result = answer.child(r::RESPONSES).with(row::NAME, name).with(row::TOPIC_ID, id);
        for partition in topic.nodes(t::PARTITION_DATA) {
            use r::partition_produce_response as p;
            let index = partition.i32(q::partition_produce_data::INDEX);
            let records = partition.bytes(q::partition_produce_data::RECORDS).map_or(&[][..], |bytes| bytes);
            let written = match &resolved {
                _ if !matches!(acks, -1..=1) => Err(ErrorCode::INVALID_REQUIRED_ACKS),
                Err(code) => Err(*code),
                Ok(name) => state
                    .topics
                    .get_mut(name)
                    .and_then(|topic| topic.log_mut(index, shared.settings.partition_bytes))
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                    .and_then(|(log, limits)| Ok((log.append(records, limits)?, log.start()))),
            };
            let row = result.child(row::PARTITION_RESPONSES).with(p::INDEX, index);
            result.push(
                row::PARTITION_RESPONSES,
                match written {
                    Ok((base, start)) => row.with(p::BASE_OFFSET, base).with(p::LOG_START_OFFSET, start),
                    Err(code) => row.with(p::ERROR_CODE, code).with(p::BASE_OFFSET, -1),
                },
            );
        }
        answer.push(r::RESPONSES, result);
    }
    drop(state);
    shared.appended.send_replace(());
    (acks != 0).then_some(answer)
}
