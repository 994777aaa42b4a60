//! DescribeTransactions (API 65) and ListTransactions (66).
//!
//! Source: Kafka 4.1 `KafkaApis.handleDescribeTransactionsRequest`, `handleListTransactionsRequest`.
//!
//! DescribeTransactions: DESCRIBE on each transactional id, or 53 in its entry, which holds nothing else; of the others,
//! topics without DESCRIBE are left out silently. An id named twice is answered twice; entries keep the order of the
//! request. ListTransactions: ids without DESCRIBE are left out silently; nobody is refused.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::table;
use crate::model::{Operation, TopicName, TransactionalId};
use crate::wire::schema::describe_transactions::request as req;
use crate::wire::schema::describe_transactions::response::{self as res, topic_data, transaction_state as state};
use crate::wire::schema::list_transactions::response as list;
use crate::wire::{ApiKey, ErrorCode, Node, WireError};
use std::collections::{HashMap, VecDeque};

/// The rule of DescribeTransactions.
pub(super) struct DescribeTransactions;

impl Rule for DescribeTransactions {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let mut blank = Node::response(ApiKey::DESCRIBE_TRANSACTIONS);
        let (mut permit, mut kept, mut entries) = (None, Vec::new(), Vec::new());
        for id in request.view.strs(req::TRANSACTIONAL_IDS) {
            match judge.decide(Operation::Describe, TransactionalId(id)).permit() {
                Some(own) => {
                    permit = Some(own);
                    kept.push(id);
                    entries.push(Entry::Asked(id.to_owned()));
                }
                None => entries.push(Entry::Refused(
                    blank
                        .child(res::TRANSACTION_STATES)
                        .with(state::TRANSACTIONAL_ID, id)
                        .with(state::ERROR_CODE, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
                )),
            }
        }
        let all = kept.len() == entries.len();
        Ok(match permit {
            Some(permit) if all => Verdict::Forward(permit, Then::Complete(Box::new(Merge(entries)))),
            Some(permit) => {
                let sent = request.decode().with(req::TRANSACTIONAL_IDS, kept);
                Verdict::Rewrite(permit, sent, Then::Complete(Box::new(Merge(entries))))
            }
            None => {
                let refused = entries.into_iter().filter_map(Entry::refused).collect();
                *blank.nodes_mut(res::TRANSACTION_STATES) = refused;
                Verdict::Answer(blank)
            }
        })
    }
}

/// An entry of the answer, in the order of the request.
enum Entry {
    Asked(String),
    Refused(Node),
}

impl Entry {
    fn refused(self) -> Option<Node> {
        match self {
            Self::Asked(_) => None,
            Self::Refused(node) => Some(node),
        }
    }
}

struct Merge(Vec<Entry>);

impl Complete for Merge {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let mut served: HashMap<String, VecDeque<Node>> = HashMap::new();
        for node in answer.take_nodes(res::TRANSACTION_STATES) {
            served.entry(node.str(state::TRANSACTIONAL_ID).to_owned()).or_default().push_back(node);
        }
        let mut states = Vec::with_capacity(self.0.len());
        for entry in self.0 {
            states.extend(match entry {
                Entry::Refused(node) => Some(node),
                Entry::Asked(id) => served.get_mut(&id).and_then(VecDeque::pop_front).map(|mut node| {
                    node.nodes_mut(state::TOPICS).retain(|topic| {
                        judge.probe(Operation::Describe, TopicName(topic.str(topic_data::TOPIC))).is_some()
                    });
                    node
                }),
            });
        }
        *answer.nodes_mut(res::TRANSACTION_STATES) = states;
        Completed::Answer(answer)
    }
}

/// The rule of ListTransactions.
pub(super) struct ListTransactions;

impl Rule for ListTransactions {
    fn judge(&self, _: &Request<'_, '_>, _: &mut Judge<'_>) -> Result<Verdict, WireError> {
        Ok(Verdict::Forward(table::open_row(ApiKey::LIST_TRANSACTIONS), Then::Complete(Box::new(Filter))))
    }
}

struct Filter;

impl Complete for Filter {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer.nodes_mut(list::TRANSACTION_STATES).retain(|entry| {
            let id = TransactionalId(entry.str(list::transaction_state::TRANSACTIONAL_ID));
            judge.probe(Operation::Describe, id).is_some()
        });
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
