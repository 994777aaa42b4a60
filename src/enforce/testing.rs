//! A bench for the tests of rules: a policy, a small cluster, and requests as raw frames.

use super::judge::{Context, Judge};
use super::memory::Memory;
use super::record::Trail;
use super::routes::Routes;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::topology::{Broker, OwnTraffic, Topology};
use crate::model::{Connection, Host, Principal, Subject, Timestamp, TopicId};
use crate::policy::{AclBinding, AclSet, OwnTopics, ProtocolAcls, Settings, Snapshot};
use crate::wire::header::request_header;
use crate::wire::{ApiKey, Node, Rope, Scan, Versions, api, message};
use bytes::Bytes;
use std::sync::Arc;

/// The state topic of every bench.
pub(super) const STATE: &str = "kordon.state";
/// The audit topic of every bench.
pub(super) const AUDIT: &str = "kordon.audit";

/// One principal, `User:alice`, before a cluster of two brokers, 1 and 2; only broker 1 has a told address.
pub(super) struct Bench {
    snapshot: Arc<Snapshot>,
    subject: Subject,
    pub(super) connection: Connection,
    pub(super) topology: Topology,
    routes: Routes,
    pub(super) memory: Memory,
    pub(super) trail: Trail,
    pub(super) unmapped: Vec<i32>,
    pub(super) looked_up: bool,
}

/// The id of a topic in tests.
pub(super) fn id(number: u8) -> TopicId {
    TopicId([number; 16])
}

impl Bench {
    /// A bench where these entries of `acls:` hold, and `User:root` is a super user.
    pub(super) fn acls(entries: &[&str]) -> Self {
        let list: String = entries.iter().map(|entry| format!("  - {entry}\n")).collect();
        Self::policy(&if entries.is_empty() { String::new() } else { format!("acls:\n{list}") })
    }

    /// A bench with this policy, which `version`, `default`, super user and end are added to.
    pub(super) fn policy(body: &str) -> Self {
        Self::protocol(ProtocolAcls::State, body, &[])
    }

    /// As [`Bench::policy`], with ACLs that were made over the protocol.
    pub(super) fn protocol(mode: ProtocolAcls, body: &str, acls: &[&str]) -> Self {
        let text = format!("version: 1\ndefault: deny\nsuper_users: [\"User:root\"]\n{body}end: true\n");
        let own_topics = OwnTopics { state: Some(STATE.into()), audit: vec![AUDIT.into()] };
        let settings = Settings {
            own_topics,
            now: Timestamp(0),
            protocol_acls: mode,
            own_principals: vec!["User:kordon".to_owned()],
        };
        let loaded = match Snapshot::load(text.as_bytes(), "policy.yaml", &settings) {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{problems:#?}\n{text}"),
        };
        let versions = |key: &crate::wire::Api| (key.key, key.versions);
        let broker = |id: i32| Broker {
            id,
            host: format!("broker-{id}.internal").into(),
            port: 9092,
            rack: None,
            versions: crate::wire::apis().iter().map(versions).collect(),
        };
        let topology = Topology {
            cluster_id: Some("cluster-1".into()),
            brokers: [(1, broker(1)), (2, broker(2))].into(),
            own: OwnTraffic { users: vec!["kordon-upstream".into()], client_id: "kordon".into() },
            ..Topology::default()
        };
        Self {
            snapshot: loaded.source.snapshot(&AclSet::new(acls.iter().map(|a| AclBinding::read(a)), None)),
            subject: Self::subject("alice"),
            connection: Connection {
                session_id: "s-1".into(),
                listener: "test".into(),
                host: Host::new([10, 0, 0, 9].into()),
                port: 40_000,
                mechanism: "SASL_PLAINTEXT/PLAIN".into(),
                broker: Some(1),
                relayed: false,
            },
            topology,
            routes: Routes::new([(1, ("proxy.example".into(), 19_001))]),
            memory: Memory::default(),
            trail: Trail::default(),
            unmapped: Vec::new(),
            looked_up: false,
        }
    }

    fn subject(user: &str) -> Subject {
        Subject { principal: Principal::user(user), groups: [].into(), may_merge: true, may_be_super: true }
    }

    /// The same once other entries of `acls:` hold.
    pub(super) fn now_with(self, entries: &[&str]) -> Self {
        Self { snapshot: Self::acls(entries).snapshot, ..self }
    }

    /// The same as another user.
    pub(super) fn user(mut self, user: &str) -> Self {
        self.subject = Self::subject(user);
        self
    }

    /// The same as a member of a group.
    pub(super) fn in_group(mut self, group: &str) -> Self {
        self.subject.groups = [group.into()].into();
        self
    }

    /// The same with topics that exist; ids are 1, 2, … in their order.
    pub(super) fn topics(mut self, names: &[&str]) -> Self {
        for (number, name) in (1..).zip(names) {
            let name: Arc<str> = (*name).into();
            self.topology.names.insert(id(number), Arc::clone(&name));
            self.topology.ids.insert(name, id(number));
        }
        self
    }

    /// The same where the topics were looked up for this very request.
    pub(super) fn fresh(mut self) -> Self {
        self.looked_up = true;
        self
    }

    /// The same where every broker serves only these versions of an API.
    pub(super) fn broker_serves(mut self, key: ApiKey, versions: Versions) -> Self {
        for broker in self.topology.brokers.values_mut() {
            broker.versions.insert(key, versions);
        }
        self
    }

    /// Sends a request through the walker and judges it.
    pub(super) fn judge(&mut self, rule: &dyn Rule, key: ApiKey, version: i16, request: &Node) -> Verdict {
        let frame = message::request_frame(key, version, 7, Some("tests"), request).into_bytes().slice(4..);
        let header = request_header(&frame).unwrap();
        let body = frame.slice(header.len..);
        let mut scan = Scan::new();
        let view = scan.read(api(key).unwrap().request, version, &body).unwrap();
        let request = Request { header: &header, view, body: &body };
        rule.judge(&request, &mut self.asks(key)).unwrap()
    }

    /// Completes an answer as a broker would encode it in this version.
    pub(super) fn complete(&mut self, then: Then, key: ApiKey, version: i16, answer: &Node) -> Completed {
        let complete = match then {
            Then::Complete(complete) | Then::Alone(complete) => complete,
            _ => panic!("the answer is not looked at"),
        };
        self.complete_with(complete, key, version, answer)
    }

    /// As [`Bench::complete`], from the completion itself.
    pub(super) fn complete_with(
        &mut self,
        complete: Box<dyn Complete>,
        key: ApiKey,
        version: i16,
        answer: &Node,
    ) -> Completed {
        self.complete_for(key, complete, (key, version), answer)
    }

    /// As [`Bench::complete_with`], for a request of this API in whose place another was asked.
    pub(super) fn complete_for(
        &mut self,
        key: ApiKey,
        complete: Box<dyn Complete>,
        asked: (ApiKey, i16),
        answer: &Node,
    ) -> Completed {
        let answer = round_trip(asked.0, asked.1, answer);
        complete.complete(answer, &mut self.asks(key))
    }

    fn asks(&mut self, key: ApiKey) -> Judge<'_> {
        let cx = Context {
            snapshot: &self.snapshot,
            subject: &self.subject,
            connection: &self.connection,
            topology: &self.topology,
            routes: &self.routes,
            now: Timestamp(1),
        };
        Judge::new(cx, key, &mut self.memory, &mut self.trail, &mut self.unmapped, self.looked_up)
    }

    /// What was decided, as `Operation type:name allowed|denied`, probes marked with `?`.
    pub(super) fn decided(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for record in self.trail.records() {
            for name in record.names.iter() {
                let outcome = if record.decision.is_allowed() { "allowed" } else { "denied" };
                let probe = if record.probe { "?" } else { "" };
                lines.push(format!("{} {}:{name} {outcome}{probe}", record.operation, record.kind.policy_word()));
            }
        }
        lines
    }
}

/// An answer as it is after a trip over the wire in this version: what the version lacks has its default.
pub(super) fn round_trip(key: ApiKey, version: i16, answer: &Node) -> Node {
    let def = api(key).unwrap().response;
    let mut out = Rope::new();
    crate::wire::encode(def, version, answer, &mut out);
    let bytes: Bytes = out.into_bytes();
    crate::wire::decode(def, version, &bytes).unwrap()
}

/// The answer of a verdict, as the client reads it.
pub(super) fn answer(verdict: Verdict, key: ApiKey, version: i16) -> Node {
    match verdict {
        Verdict::Answer(node) => round_trip(key, version, &node),
        other => panic!("not an answer: {}", kind(&other)),
    }
}

/// The finished answer of a completion, as the client reads it.
pub(super) fn finished(completed: Completed, key: ApiKey, version: i16) -> Node {
    match completed {
        Completed::Answer(node) => round_trip(key, version, &node),
        Completed::Ask { .. } => panic!("asks again"),
        Completed::Close(reason) => panic!("closes: {reason:?}"),
    }
}

/// What is done with the answer of a request whose bytes go on unchanged.
pub(super) fn forwarded(verdict: Verdict) -> Then {
    match verdict {
        Verdict::Forward(_, then) => then,
        other => panic!("not forwarded: {}", kind(&other)),
    }
}

/// What a changed request says, and what is done with its answer.
pub(super) fn rewritten(verdict: Verdict) -> (Node, Then) {
    match verdict {
        Verdict::Rewrite(_, node, then) => (node, then),
        other => panic!("not rewritten: {}", kind(&other)),
    }
}

/// The name of a verdict.
pub(super) fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Forward(..) => "forward",
        Verdict::Rewrite(..) => "rewrite",
        Verdict::Ask { .. } => "ask",
        Verdict::Change { .. } => "change",
        Verdict::Answer(_) => "answer",
        Verdict::Silence => "silence",
        Verdict::Probe(_) => "probe",
        Verdict::Refuse(_) => "refuse",
    }
}
