//! Where a rule asks for decisions. Every decision is written to the trail as it is made.

use super::fetch::FetchSessions;
use super::memory::Memory;
use super::record::{Category, Trail};
use super::routes::Routes;
use super::share_session::ShareSessions;
use super::streams_heartbeat::Topologies;
use super::topology::Topology;
use crate::model::{
    Connection, Operation, OperationSet, Resource, ResourceName, ResourceType, Subject, Timestamp, TopicId, TopicName,
};
use crate::policy::{Decision, Permit, Protection, Query, ReasonCode, Snapshot, Use};
use crate::wire::{ApiKey, Field, Node, Versions};
use std::sync::Arc;

/// What a decision is made from, besides the demand.
#[derive(Copy, Clone)]
pub struct Context<'a> {
    /// The policy in force.
    pub snapshot: &'a Arc<Snapshot>,
    /// Who asks.
    pub subject: &'a Subject,
    /// Over which connection.
    pub connection: &'a Connection,
    /// What is known of the cluster.
    pub topology: &'a Topology,
    /// The proxy's own addresses, as this listener's clients reach them.
    pub routes: &'a Routes,
    /// The time.
    pub now: Timestamp,
}

/// Asks for decisions on behalf of one request.
pub struct Judge<'a> {
    /// What decisions are made from.
    pub cx: Context<'a>,
    /// The fetch sessions that this connection has seen created.
    pub sessions: &'a mut FetchSessions,
    /// The share sessions that this connection saw made.
    pub(super) share: &'a mut ShareSessions,
    /// The members of streams groups whose topology went on.
    pub(super) topologies: &'a mut Topologies,
    api: ApiKey,
    trail: &'a mut Trail,
    looked_up: bool,
    unmapped: &'a mut Vec<i32>,
}

impl<'a> Judge<'a> {
    /// A judge for one request, or for its answer. `looked_up`: topic ids that the topology does not know were asked for
    /// and do not exist. `unmapped` collects ids of brokers that have no address on this listener.
    pub fn new(
        cx: Context<'a>,
        api: ApiKey,
        memory: &'a mut Memory,
        trail: &'a mut Trail,
        unmapped: &'a mut Vec<i32>,
        looked_up: bool,
    ) -> Self {
        let Memory { fetch: sessions, share, topologies } = memory;
        Self { cx, sessions, share, topologies, api, trail, looked_up, unmapped }
    }

    /// Decides one operation on one named resource, and records it.
    pub fn decide<'n>(&mut self, operation: Operation, name: impl ResourceName<'n>) -> Decision {
        self.decide_as(Use::Normal, operation, name)
    }

    /// As [`Judge::decide`], for a request in a special form (`Use`).
    pub fn decide_as<'n>(&mut self, form: Use, operation: Operation, name: impl ResourceName<'n>) -> Decision {
        self.decide_resource(form, operation, name.resource())
    }

    /// Decides an operation on the cluster, and records it.
    pub fn cluster(&mut self, operation: Operation) -> Decision {
        self.decide_resource(Use::Normal, operation, Resource::CLUSTER)
    }

    /// Decides one operation on any resource, and records it.
    pub fn decide_resource(&mut self, form: Use, operation: Operation, resource: Resource<'_>) -> Decision {
        let decision = self.ask(form, operation, resource);
        self.trail.add(operation, resource.kind, resource.name, &decision, false);
        decision
    }

    /// Decides a check that only filters a listing or opens a fallback; recorded as a probe.
    pub fn probe<'n>(&mut self, operation: Operation, name: impl ResourceName<'n>) -> Option<Permit> {
        self.probe_resource(operation, name.resource())
    }

    /// As [`Judge::probe`], for any resource.
    pub fn probe_resource(&mut self, operation: Operation, resource: Resource<'_>) -> Option<Permit> {
        let decision = self.ask(Use::Normal, operation, resource);
        self.trail.add(operation, resource.kind, resource.name, &decision, true);
        decision.permit()
    }

    /// Kafka's `authorizeByResourceType`: is there any resource of the type on which the operation is allowed? Recorded,
    /// with the name `*`.
    pub fn decide_any(&mut self, operation: Operation, kind: ResourceType) -> Decision {
        let cx = self.cx;
        let decision = cx.snapshot.decide_any(cx.subject, operation, kind, self.api, &cx.connection.host, cx.now);
        self.trail.add(operation, kind, "*", &decision, false);
        decision
    }

    /// The value of an `*AuthorizedOperations` field (KIP-430): the operations that mean something on the resource and
    /// are allowed. A report, not a decision: not recorded, as in Kafka.
    pub fn authorized_operations(&self, resource: Resource<'_>) -> i32 {
        let allowed: OperationSet = Operation::supported_by(resource.kind)
            .iter()
            .filter(|op| self.ask(Use::Normal, *op, resource).is_allowed())
            .collect();
        allowed.bits()
    }

    /// Whether a topic is one of the proxy's own, whatever is asked of it (threat 4: names count, not demands).
    pub fn protection(&self, topic: TopicName<'_>) -> Protection {
        self.cx.snapshot.protects(topic.0)
    }

    /// Refuses one of the proxy's own topics where the demand is not on the topic, and records it. `false`: not one.
    pub fn refuse_own(&mut self, operation: Operation, topic: TopicName<'_>) -> bool {
        match self.protection(topic) {
            Protection::No => false,
            Protection::Audit | Protection::State => {
                let decision = Decision::refused(ReasonCode::Protected, self.cx.now);
                self.note(operation, topic.resource(), &decision);
                true
            }
        }
    }

    /// Records a decision that was made by other means.
    pub fn note(&mut self, operation: Operation, resource: Resource<'_>, decision: &Decision) {
        self.trail.add(operation, resource.kind, resource.name, decision, false);
    }

    /// The category of this request in the audit, where it is not that of its row.
    pub fn category(&mut self, category: Category) {
        self.trail.category = Some(category);
    }

    /// The arguments of a mutation for its audit event, as JSON text.
    pub fn arguments(&mut self, json: String) {
        self.trail.arguments = Some(json);
    }

    /// The name of a topic id; `Err(true)` = not known and worth a look-up, `Err(false)` = does not exist.
    ///
    /// # Errors
    /// The id has no name; the value says whether a look-up may help.
    pub fn topic_name(&self, id: TopicId) -> Result<Arc<str>, bool> {
        self.cx.topology.topic_name(id).cloned().ok_or(!self.looked_up && !id.is_zero())
    }

    /// Whether the topology was looked up for this very request: what it says of existence is then what the brokers say.
    pub fn looked_up(&self) -> bool {
        self.looked_up
    }

    /// The address of a broker as this listener's clients reach it; `None` (and noted) where it has none.
    pub fn address(&mut self, node: i32) -> Option<(Arc<str>, u16)> {
        let address = self.cx.routes.address(node);
        if address.is_none() && node >= 0 && !self.unmapped.contains(&node) {
            self.unmapped.push(node);
        }
        address
    }

    /// Puts the told address of a broker in place of its own. `false`: it has none and must be left out.
    pub fn rewrite_address(&mut self, endpoint: &mut Node, id: Field, host: Field, port: Field) -> bool {
        let node = endpoint.int(id);
        match i32::try_from(node).ok().and_then(|node| self.address(node)) {
            Some((told_host, told_port)) => {
                endpoint.set(host, &*told_host);
                endpoint.set(port, told_port);
                true
            }
            None => false,
        }
    }

    /// The API of the request.
    pub fn api(&self) -> ApiKey {
        self.api
    }

    /// The versions of an API that the broker of this connection serves.
    pub fn broker_versions(&self, key: ApiKey) -> Option<Versions> {
        self.cx.topology.versions(self.cx.connection.broker, key)
    }

    fn ask(&self, form: Use, operation: Operation, resource: Resource<'_>) -> Decision {
        let cx = self.cx;
        cx.snapshot.decide(&Query {
            subject: cx.subject,
            operation,
            resource,
            api: self.api,
            host: &cx.connection.host,
            now: cx.now,
            use_: form,
        })
    }
}
