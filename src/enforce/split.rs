//! What many rules share: elements that name a topic, by name or by id.

use super::judge::Judge;
use crate::model::{Operation, TopicId, TopicName};
use crate::policy::{Permit, Use};
use crate::wire::{ErrorCode, Field, Node, View};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Which field holds a topic's name and which its id; the version decides which of them is on the wire.
#[derive(Copy, Clone)]
pub(super) struct TopicFields {
    /// The name.
    pub(super) name: Field,
    /// The id, where the API has one.
    pub(super) id: Option<Field>,
}

/// What is known of one topic element.
#[derive(Debug)]
pub(super) enum Asked {
    /// Allowed.
    Allowed(Permit),
    /// Refused with this error.
    Denied(ErrorCode),
    /// An id that may be found by looking it up.
    Unresolved(TopicId),
}

/// Decides `operation` on the topic that an element names. An id that does not exist is UNKNOWN_TOPIC_ID (100), a denied
/// topic TOPIC_AUTHORIZATION_FAILED (29), by name and by id (Kafka 4.1, `KafkaApis`; kafka-authorization.md 1.0.5).
pub(super) fn ask_topic(
    judge: &mut Judge<'_>,
    form: Use,
    operation: Operation,
    element: View<'_, '_>,
    fields: TopicFields,
) -> Asked {
    let resolved: Arc<str>;
    let name = match fields.id.filter(|id| element.has(*id)) {
        Some(field) => {
            let id = element.uuid(field);
            match judge.topic_name(id) {
                Ok(name) => {
                    resolved = name;
                    &*resolved
                }
                Err(true) => return Asked::Unresolved(id),
                Err(false) => return Asked::Denied(ErrorCode::UNKNOWN_TOPIC_ID),
            }
        }
        None => element.str(fields.name),
    };
    match judge.decide_as(form, operation, TopicName(name)).permit() {
        Some(permit) => Asked::Allowed(permit),
        None => Asked::Denied(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    }
}

/// The outcome for the elements of an array, by their place.
#[derive(Default)]
pub(super) struct Outcome {
    /// A permit, if one element was allowed.
    pub(super) permit: Option<Permit>,
    /// Place and error of each refused element, by rising place.
    pub(super) denied: Vec<(usize, ErrorCode)>,
    /// Ids to look up before it can be said.
    pub(super) unresolved: Vec<TopicId>,
}

impl Outcome {
    /// Asks for every element of the array.
    pub(super) fn of_topics(
        judge: &mut Judge<'_>,
        form: Use,
        operation: Operation,
        request: View<'_, '_>,
        array: Field,
        fields: TopicFields,
    ) -> Self {
        let mut outcome = Self::default();
        for (place, element) in request.items(array).enumerate() {
            match ask_topic(judge, form, operation, element, fields) {
                Asked::Allowed(permit) => outcome.permit = Some(permit),
                Asked::Denied(error) => outcome.denied.push((place, error)),
                Asked::Unresolved(id) => outcome.unresolved.push(id),
            }
        }
        outcome
    }

    /// Takes the refused elements out of the array and returns them with their errors, in their order.
    pub(super) fn cut(&self, array: &mut Vec<Node>) -> Vec<(Node, ErrorCode)> {
        debug_assert!(self.denied.is_sorted_by(|(one, _), (next, _)| one < next));
        let mut denied = self.denied.iter().peekable();
        let (mut kept, mut cut) = (Vec::with_capacity(array.len()), Vec::with_capacity(self.denied.len()));
        for (place, node) in std::mem::take(array).into_iter().enumerate() {
            match denied.next_if(|(at, _)| *at == place) {
                Some((_, error)) => cut.push((node, *error)),
                None => kept.push(node),
            }
        }
        *array = kept;
        cut
    }
}

/// Copies the topic's name and id from a request element to an answer element.
pub(super) fn copy_topic(from: &Node, from_fields: TopicFields, to: &mut Node, to_fields: TopicFields) {
    to.set(to_fields.name, from.value(from_fields.name).clone());
    if let (Some(f), Some(t)) = (from_fields.id, to_fields.id) {
        to.set(t, from.uuid(f));
    }
}

/// Refused topics as a broker answers them: one that is named twice stands once, and where there is an `index` with each
/// partition once; one without partitions does not stand at all.
pub(super) fn each_once(
    topics: Vec<Node>,
    fields: TopicFields,
    partitions: Field,
    index: impl Into<Option<Field>>,
) -> Vec<Node> {
    let index = index.into();
    let mut once: Vec<Node> = Vec::new();
    let mut places: HashMap<(String, TopicId), (usize, HashSet<i64>)> = HashMap::new();
    for mut topic in topics {
        let id = fields.id.map_or(TopicId::ZERO, |id| topic.uuid(id));
        let rows = topic.take_nodes(partitions);
        if rows.is_empty() {
            continue;
        }
        let (place, seen) = places.entry((topic.str(fields.name).to_owned(), id)).or_insert_with(|| {
            once.push(topic);
            (once.len() - 1, HashSet::new())
        });
        if let Some(own) = once.get_mut(*place) {
            let new = |row: &Node| index.is_none_or(|index| seen.insert(row.int(index)));
            own.nodes_mut(partitions).extend(rows.into_iter().filter(new));
        }
    }
    once
}

/// Whether the first batch of records carries the transactional flag: record batch v2, attributes bit 4
/// (`RequestUtils.hasTransactionalRecords`, Kafka 4.1). Older formats have no transactions.
pub(super) fn first_batch_is_transactional(records: &[u8]) -> bool {
    const MAGIC: usize = 16;
    const ATTRIBUTES_LOW: usize = 22;
    const TRANSACTIONAL: u8 = 0x10;
    records.get(MAGIC).is_some_and(|magic| *magic >= 2)
        && records.get(ATTRIBUTES_LOW).is_some_and(|attributes| attributes & TRANSACTIONAL != 0)
}

/// As [`first_batch_is_transactional`], for records that may be null.
pub(super) fn is_transactional(records: Option<&[u8]>) -> bool {
    records.is_some_and(first_batch_is_transactional)
}

/// An empty set of records: some clients cannot read null records (librdkafka), so answers made here carry none as empty.
pub(super) fn no_records() -> Bytes {
    Bytes::new()
}
