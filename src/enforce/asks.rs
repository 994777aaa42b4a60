//! More ways to ask, for rules whose demand may be held on the cluster or on each name.

use super::judge::Judge;
use crate::model::{Operation, Resource, TopicName};
use crate::policy::{Permit, Protection, Query, Use};

impl Judge<'_> {
    /// Decides an operation on the cluster that stands in for the same one on each name. Denied, it is recorded as a
    /// probe, because the names are asked next (Kafka: `logIfDenied = false`).
    pub(super) fn cluster_first(&mut self, operation: Operation) -> Option<Permit> {
        if !self.may(operation, Resource::CLUSTER) {
            return self.probe_resource(operation, Resource::CLUSTER);
        }
        self.cluster(operation).permit()
    }

    /// Whether an operation is allowed, for a choice between two ways that grant nothing by themselves. Not recorded.
    pub(super) fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let cx = self.cx;
        let api = self.api();
        let (host, now) = (&cx.connection.host, cx.now);
        let query = Query { subject: cx.subject, operation, resource, api, host, now, use_: Use::Normal };
        cx.snapshot.decide(&query).is_allowed()
    }

    /// Whether a topic is one of the proxy's own, so that only a demand on its name can let a request have it.
    pub(super) fn is_own(&self, topic: TopicName<'_>) -> bool {
        match self.protection(topic) {
            Protection::No => false,
            Protection::Audit | Protection::State => true,
        }
    }

    /// The id of a broker, or -1 if this listener's clients cannot reach it.
    pub(super) fn told_id(&mut self, node: i32) -> i32 {
        if node >= 0 && self.address(node).is_some() { node } else { -1 }
    }
}
