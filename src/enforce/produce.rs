//! Produce (API 0).
//!
//! Source: Kafka 4.1 `KafkaApis.handleProduceRequest`. Transactional records need WRITE on the transactional id, each
//! topic WRITE. Without the first every partition fails with 53, without the second the partitions of the topic with 29.
//! With acks=0 there is no answer: any error closes the connection, after the allowed partitions were appended; without
//! the transactional id nothing is.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::split::{Outcome, TopicFields, copy_topic, each_once, is_transactional};
use crate::model::{CloseReason, Operation, TransactionalId};
use crate::policy::Use;
use crate::wire::schema::produce::request::{self as req, partition_produce_data as req_partition, topic_produce_data};
use crate::wire::schema::produce::response::{
    self as res, node_endpoint, partition_produce_response as res_partition, topic_produce_response,
};
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};

/// The rule of Produce.
pub(super) struct Produce;

const REQUEST_TOPIC: TopicFields =
    TopicFields { name: topic_produce_data::NAME, id: Some(topic_produce_data::TOPIC_ID) };
const RESPONSE_TOPIC: TopicFields =
    TopicFields { name: topic_produce_response::NAME, id: Some(topic_produce_response::TOPIC_ID) };

impl Rule for Produce {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let silent = view.i16(req::ACKS) == 0;
        if has_transactional_records(view) {
            let allowed = view
                .opt_str(req::TRANSACTIONAL_ID)
                .is_some_and(|id| judge.decide(Operation::Write, TransactionalId(id)).is_allowed());
            if !allowed {
                let error = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
                let all = request.decode().take_nodes(req::TOPIC_DATA).into_iter().map(|t| (t, error)).collect();
                return Ok(if silent {
                    Verdict::Refuse(CloseReason::Acks0Denied)
                } else {
                    Verdict::Answer(answer(all))
                });
            }
        }
        let mut outcome =
            Outcome::of_topics(judge, Use::Normal, Operation::Write, view, req::TOPIC_DATA, REQUEST_TOPIC);
        if !outcome.unresolved.is_empty() {
            return Ok(Verdict::Probe(outcome.unresolved));
        }
        // Without an answer only what would have an error in it closes: a topic without partitions would not stand in it.
        let nothing_denied = outcome.denied.is_empty() || (silent && unseen(&outcome.denied, view));
        if silent && nothing_denied && !outcome.denied.is_empty() {
            let Some(permit) = outcome.permit.take() else { return Ok(Verdict::Silence) };
            let mut node = request.decode();
            let _ = outcome.cut(node.nodes_mut(req::TOPIC_DATA));
            return Ok(Verdict::Rewrite(permit, node, Then::Nothing));
        }
        match (outcome.permit.take(), nothing_denied) {
            (Some(permit), true) if silent => Ok(Verdict::Forward(permit, Then::Nothing)),
            (Some(permit), true) => Ok(Verdict::Forward(permit, Then::Complete(Box::new(Endpoints)))),
            (Some(permit), false) => {
                let mut node = request.decode();
                let denied = outcome.cut(node.nodes_mut(req::TOPIC_DATA));
                let then = if silent {
                    Then::Close(CloseReason::Acks0Denied)
                } else {
                    Then::Complete(Box::new(Merge { denied: answer(denied) }))
                };
                Ok(Verdict::Rewrite(permit, node, then))
            }
            (None, true) if silent => Ok(Verdict::Silence),
            (None, false) if silent => Ok(Verdict::Refuse(CloseReason::Acks0Denied)),
            (None, _) => {
                let denied = outcome.cut(request.decode().nodes_mut(req::TOPIC_DATA));
                Ok(Verdict::Answer(answer(denied)))
            }
        }
    }
}

/// Whether the answer would hold none of these topics.
fn unseen(denied: &[(usize, ErrorCode)], view: View<'_, '_>) -> bool {
    let mut asked = view.items(req::TOPIC_DATA).enumerate();
    denied.iter().all(|(place, _)| {
        let topic = asked.find(|(at, _)| at == place);
        topic.is_none_or(|(_, topic)| topic.items(topic_produce_data::PARTITION_DATA).is_empty())
    })
}

fn has_transactional_records(view: View<'_, '_>) -> bool {
    view.items(req::TOPIC_DATA).any(|topic| {
        topic
            .items(topic_produce_data::PARTITION_DATA)
            .any(|partition| is_transactional(partition.bytes(req_partition::RECORDS)))
    })
}

/// The answer that refuses these topics, partition by partition.
fn answer(denied: Vec<(Node, ErrorCode)>) -> Node {
    let mut answer = Node::response(ApiKey::PRODUCE);
    for (topic, error) in denied {
        let mut refused = answer.child(res::RESPONSES);
        copy_topic(&topic, REQUEST_TOPIC, &mut refused, RESPONSE_TOPIC);
        for partition in topic.nodes(topic_produce_data::PARTITION_DATA) {
            let node = refused
                .child(topic_produce_response::PARTITION_RESPONSES)
                .with(res_partition::INDEX, partition.int(req_partition::INDEX))
                .with(res_partition::ERROR_CODE, error)
                .with(res_partition::BASE_OFFSET, -1i64);
            refused.push(topic_produce_response::PARTITION_RESPONSES, node);
        }
        answer.push(res::RESPONSES, refused);
    }
    let (partitions, index) = (topic_produce_response::PARTITION_RESPONSES, res_partition::INDEX);
    let once = each_once(answer.take_nodes(res::RESPONSES), RESPONSE_TOPIC, partitions, index);
    answer.with(res::RESPONSES, once)
}

/// Rewrites the endpoints that a broker adds when it is not the leader (KIP-951); a healthy cluster never sends any.
struct Endpoints;

impl Complete for Endpoints {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        answer.has(res::NODE_ENDPOINTS)
    }

    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        rewrite_endpoints(&mut answer, judge);
        Completed::Answer(answer)
    }
}

struct Merge {
    denied: Node,
}

impl Complete for Merge {
    fn complete(mut self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer.nodes_mut(res::RESPONSES).append(self.denied.nodes_mut(res::RESPONSES));
        rewrite_endpoints(&mut answer, judge);
        Completed::Answer(answer)
    }
}

fn rewrite_endpoints(answer: &mut Node, judge: &mut Judge<'_>) {
    answer.nodes_mut(res::NODE_ENDPOINTS).retain_mut(|endpoint| {
        judge.rewrite_address(endpoint, node_endpoint::NODE_ID, node_endpoint::HOST, node_endpoint::PORT)
    });
}
