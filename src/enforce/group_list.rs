//! ListGroups (API 16).
//!
//! Source: Kafka 4.1 `KafkaApis.handleListGroupsRequest`. Who may DESCRIBE the cluster sees every group; others see those
//! they may DESCRIBE. Nobody is refused.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::table;
use crate::model::{GroupId, Operation};
use crate::wire::schema::list_groups::response::{self as res, listed_group as group};
use crate::wire::{ApiKey, Node, WireError};

/// The rule of ListGroups.
pub(super) struct ListGroups;

impl Rule for ListGroups {
    fn judge(&self, _: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        Ok(match judge.cluster_first(Operation::Describe) {
            Some(permit) => Verdict::Forward(permit, Then::Stream),
            None => Verdict::Forward(table::open_row(ApiKey::LIST_GROUPS), Then::Complete(Box::new(Filter))),
        })
    }
}

struct Filter;

impl Complete for Filter {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        answer
            .nodes_mut(res::GROUPS)
            .retain(|g| judge.probe(Operation::Describe, GroupId(g.str(group::GROUP_ID))).is_some());
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
