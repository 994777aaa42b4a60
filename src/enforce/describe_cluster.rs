//! DescribeCluster (API 60).
//!
//! Source: Kafka 4.1 `AuthHelper.computeDescribeClusterResponse`. The nodes are for everybody; DESCRIBE on the cluster
//! gates only the bit field, which is 0 without it and -2147483648 where it was not asked for. On a broker's listener an
//! endpoint type other than "brokers" is answered with 114 or 115 (version 0: 42) by the broker itself.

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::scrub;
use super::table;
use crate::model::{Operation, Resource};
use crate::wire::schema::describe_cluster::request as req;
use crate::wire::schema::describe_cluster::response::{self as res, describe_cluster_broker as broker};
use crate::wire::{ApiKey, Node, WireError};

/// The rule of DescribeCluster.
pub(super) struct DescribeCluster;

/// `EndpointType.BROKER`.
const BROKERS: i64 = 1;

impl Rule for DescribeCluster {
    fn judge(&self, request: &Request<'_, '_>, _: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let operations = request.view.bool(req::INCLUDE_CLUSTER_AUTHORIZED_OPERATIONS);
        let permit = table::open_row(ApiKey::DESCRIBE_CLUSTER);
        Ok(Verdict::Forward(permit, Then::Complete(Box::new(Nodes { operations }))))
    }
}

struct Nodes {
    operations: bool,
}

impl Complete for Nodes {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        scrub(&mut answer);
        if answer.int(res::ENDPOINT_TYPE) == BROKERS {
            answer
                .nodes_mut(res::BROKERS)
                .retain_mut(|node| judge.rewrite_address(node, broker::BROKER_ID, broker::HOST, broker::PORT));
        } else {
            // Controllers have no address that a client could reach.
            answer.nodes_mut(res::BROKERS).clear();
        }
        let controller = answer.i32(res::CONTROLLER_ID);
        answer.set(res::CONTROLLER_ID, judge.told_id(controller));
        let operations = match (self.operations, answer.int(res::ERROR_CODE)) {
            (true, 0) => cluster_operations(judge),
            _ => i32::MIN,
        };
        answer.set(res::CLUSTER_AUTHORIZED_OPERATIONS, operations);
        Completed::Answer(answer)
    }
}

/// The cluster's bit field where it is asked for: 0 without DESCRIBE.
pub(super) fn cluster_operations(judge: &mut Judge<'_>) -> i32 {
    match judge.cluster(Operation::Describe).is_allowed() {
        true => judge.authorized_operations(Resource::CLUSTER),
        false => 0,
    }
}

#[cfg(test)]
mod tests;
