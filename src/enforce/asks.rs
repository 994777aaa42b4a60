//! More ways to ask, for rules whose demand may be held on the cluster or on each name.

use super::judge::Judge;
use crate::model::{Operation, Resource, TopicName};
use crate::policy::{Decision, Permit, Protection, Query, Use};

/// A demand on topics that is met on the cluster, or else on each topic. The proxy's own topics are always decided by
/// their names (threat 4).
pub(super) struct ClusterOrTopic {
    operation: Operation,
    cluster: Option<Permit>,
    by_cluster: bool,
    topic: Option<Permit>,
}

impl ClusterOrTopic {
    /// Asks for `on_cluster` on the cluster; topics will be asked for `operation`.
    pub(super) fn ask(judge: &mut Judge<'_>, on_cluster: Operation, operation: Operation) -> Self {
        Self { operation, cluster: judge.cluster_first(on_cluster), by_cluster: false, topic: None }
    }

    /// Whether a request may have this topic.
    pub(super) fn allows(&mut self, topic: TopicName<'_>, judge: &mut Judge<'_>) -> bool {
        if self.holds_cluster(topic, judge) {
            self.by_cluster = true;
            return true;
        }
        let permit = judge.decide(self.operation, topic).permit();
        let allowed = permit.is_some();
        self.topic = permit.or(self.topic.take());
        allowed
    }

    /// Whether the demand is met on the cluster for this topic.
    pub(super) fn holds_cluster(&self, topic: TopicName<'_>, judge: &Judge<'_>) -> bool {
        self.cluster.is_some() && !judge.is_own(topic)
    }

    /// The permit, if a topic was allowed.
    pub(super) fn permit(self) -> Option<Permit> {
        if self.by_cluster { self.cluster } else { self.topic }
    }
}

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
        self.weigh(operation, resource).is_allowed()
    }

    /// A decision that more than the policy goes into. Not recorded: the caller does that ([`Judge::note`]).
    pub(super) fn weigh(&self, operation: Operation, resource: Resource<'_>) -> Decision {
        let cx = self.cx;
        let api = self.api();
        let (host, now) = (&cx.connection.host, cx.now);
        let query = Query { subject: cx.subject, operation, resource, api, host, now, use_: Use::Normal };
        cx.snapshot.decide(&query)
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

    /// Whether a listing of the whole cluster may show a topic. None of the proxy's own, to nobody (threat 4); with
    /// `limited`, where the cluster is described by `ClusterRead`, only what DESCRIBE on the topic shows (threat 36).
    pub(super) fn lists(&mut self, limited: bool, topic: TopicName<'_>) -> bool {
        if limited { self.probe(Operation::Describe, topic).is_some() } else { !self.is_own(topic) }
    }
}
