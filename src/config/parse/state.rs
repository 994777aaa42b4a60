//! `policy` and `state`: where rights come from.

use super::Reader;
use crate::config::{Policy, ProtocolAcls, State};
use crate::yaml::{Fields, Keys, Node, Value};
use std::time::Duration;

const POLICY: Keys = Keys { served: &["file", "protocol_acls", "acl_poll"], later: &[] };
const STATE: Keys = Keys { served: &["topic", "create", "replication_factor", "genesis", "max_staleness"], later: &[] };

impl Reader<'_> {
    pub(super) fn policy(&mut self, node: &Node) -> Option<Policy> {
        let fields = Fields::open(node, "policy", POLICY, &mut self.report)?;
        let file = fields.required("file", "write the policy's path", &mut self.report);
        let mut policy = Policy::of(file.and_then(|node| self.file(node, "policy.file")).unwrap_or_default());
        if let Some(node) = fields.get("protocol_acls") {
            let words = [
                ("state", ProtocolAcls::State),
                ("cluster", ProtocolAcls::Cluster),
                ("disabled", ProtocolAcls::Disabled),
            ];
            policy.protocol_acls = self.word(node, "policy.protocol_acls", &words).unwrap_or(policy.protocol_acls);
        }
        if let Some(node) = fields.get("acl_poll") {
            let poll = self.duration(node, "policy.acl_poll", Duration::from_millis(100));
            policy.acl_poll = poll.unwrap_or(policy.acl_poll);
        }
        // Faults above are in the report, so the stand-ins used for them are never seen.
        Some(policy)
    }

    pub(super) fn state(&mut self, node: Option<&Node>) -> Option<State> {
        let mut state = State::default();
        let Some(node) = node else { return Some(state) };
        let fields = Fields::open(node, "state", STATE, &mut self.report)?;
        if let Some(node) = fields.get("topic") {
            state.topic = self.topic(node, "state.topic").unwrap_or_default();
        }
        if let Some(node) = fields.get("create") {
            state.create = self.bool(node, "state.create").unwrap_or_default();
        }
        if let Some(node) = fields.get("replication_factor") {
            state.replication_factor = self.replication_factor(node, "state.replication_factor");
        }
        if let Some(node) = fields.get("genesis").filter(|node| node.value != Value::Null) {
            state.genesis = self.label(node, "state.genesis");
        }
        if let Some(node) = fields.get("max_staleness") {
            let most = self.duration(node, "state.max_staleness", Duration::from_secs(1));
            state.max_staleness = most.unwrap_or(state.max_staleness);
        }
        Some(state)
    }
}
