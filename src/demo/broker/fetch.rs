//! Fetch, with its wait for records.

use super::session::{Plan, Target, Want};
use super::{Shared, State};
use crate::wire::schema::fetch::{request as q, response as r};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that a fetch waits, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// `fetch.max.bytes` of Kafka's brokers.
const MAX_BYTES: usize = 55 << 20;

/// What a partition has to say.
struct Part<'p> {
    target: &'p Target,
    error: ErrorCode,
    end: i64,
    start: i64,
    records: Bytes,
}

pub(super) async fn fetch(shared: &Shared, version: i16, request: &Node) -> Node {
    let answer = Node::response(ApiKey::FETCH);
    // Before the first look, so that no record is missed between looking and waiting.
    let mut appended = shared.appended.subscribe();
    let plan = match shared.state().sessions.plan(version, request) {
        Ok(plan) => plan,
        Err(code) => return answer.with(r::ERROR_CODE, code),
    };
    let number = |field| usize::try_from(request.int(field)).unwrap_or_default();
    let (enough, room) = (number(q::MIN_BYTES), number(q::MAX_BYTES).min(MAX_BYTES));
    let wait = Duration::from_millis(u64::try_from(request.int(q::MAX_WAIT_MS)).unwrap_or_default());
    let deadline = Instant::now() + wait.min(MAX_WAIT);
    loop {
        {
            let mut state = shared.state();
            let parts = gather(&state, version, &plan, room);
            let bytes: usize = parts.iter().map(|part| part.records.len()).sum();
            let failed = parts.iter().any(|part| !part.error.is_none());
            if failed || bytes >= enough || plan.wants.is_empty() || Instant::now() >= deadline {
                return finish(&mut state, answer, &plan, parts);
            }
        }
        // Either may be dropped without loss: a move that was not seen is still there, and the deadline is fixed.
        tokio::select! {
            _ = appended.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

/// Reads every partition of the plan, as far as there is room.
fn gather<'p>(state: &State, version: i16, plan: &'p Plan, mut room: usize) -> Vec<Part<'p>> {
    let mut any = true;
    plan.wants
        .iter()
        .map(|(target, want)| {
            let found = read(state, version, target, want, room, any);
            let (error, end, start, records) = match found {
                Ok((end, start, Ok(records))) => (ErrorCode::NONE, end, start, records),
                Ok((end, start, Err(code))) => (code, end, start, Bytes::new()),
                Err(code) => (code, -1, -1, Bytes::new()),
            };
            any &= records.is_empty();
            room = room.saturating_sub(records.len());
            Part { target, error, end, start, records }
        })
        .collect()
}

/// End and start of a log, and what is wanted of it.
type Found = (i64, i64, Result<Bytes, ErrorCode>);

fn read(state: &State, version: i16, target: &Target, want: &Want, room: usize, any: bool) -> Result<Found, ErrorCode> {
    let name = state.topics.resolve(version >= 13, &target.name, target.id)?;
    let log = state.topics.get(&name).and_then(|topic| topic.log(target.partition));
    let log = log.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok((log.end(), log.start(), log.read(want.offset, want.room.min(room), any)))
}

fn finish(state: &mut State, mut answer: Node, plan: &Plan, parts: Vec<Part<'_>>) -> Node {
    use r::{fetchable_topic_response as t, partition_data as p};
    answer.set(r::SESSION_ID, plan.session);
    let mut topics: Vec<Node> = Vec::new();
    for (part, (target, want)) in parts.into_iter().zip(&plan.wants) {
        let news = !part.error.is_none() || !part.records.is_empty() || want.told != Some((part.end, part.start));
        if plan.incremental && !news {
            continue;
        }
        state.sessions.told(plan.session, target, part.end, part.start);
        let same = |topic: &Node| topic.str(t::TOPIC) == part.target.name && topic.uuid(t::TOPIC_ID) == part.target.id;
        if !topics.last().is_some_and(same) {
            let topic = answer.child(r::RESPONSES);
            topics.push(topic.with(t::TOPIC, part.target.name.as_str()).with(t::TOPIC_ID, part.target.id));
        }
        let Some(topic) = topics.last_mut() else { continue };
        let row = topic
            .child(t::PARTITIONS)
            .with(p::PARTITION_INDEX, part.target.partition)
            .with(p::ERROR_CODE, part.error)
            .with(p::HIGH_WATERMARK, part.end)
            .with(p::LAST_STABLE_OFFSET, part.end)
            .with(p::LOG_START_OFFSET, part.start)
            .with(p::ABORTED_TRANSACTIONS, Value::Null)
            .with(p::RECORDS, part.records);
        topic.push(t::PARTITIONS, row);
    }
    answer.set(r::RESPONSES, topics);
    answer
}
