//! Tests of the policy as a whole: file in, decisions out.

mod any;
mod explain;
mod file;
mod kafka;
mod laws;
mod protocol;
mod roles;
mod steps;
mod threats;

use super::{Decision, OwnTopics, ProtocolAcls, Query, Settings, Snapshot, Use};
use crate::model::{Host, Operation, Principal, Resource, ResourceType, Subject, Timestamp};
use crate::wire::ApiKey;
use crate::yaml::Problem;
use std::sync::Arc;

/// 2026-11-22T09:00:00Z, the time of most questions.
pub(super) const NOON: Timestamp = Timestamp(1_795_338_000_000);

pub(super) fn settings() -> Settings {
    Settings {
        own_topics: OwnTopics { state: Some("kordon.state".to_owned()), audit: vec!["kordon.audit".to_owned()] },
        now: NOON,
        protocol_acls: ProtocolAcls::State,
        ..Settings::default()
    }
}

/// The problems of a file that must not load.
pub(super) fn problems(yaml: &str) -> Vec<String> {
    Snapshot::load(yaml.as_bytes(), "policy.yaml", &settings()).unwrap_err().iter().map(Problem::to_string).collect()
}

/// The warnings of a file that loads.
pub(super) fn warnings(yaml: &str) -> Vec<String> {
    loaded(yaml).warnings.iter().map(Problem::to_string).collect()
}

pub(super) fn loaded(yaml: &str) -> super::Loaded {
    Snapshot::load(yaml.as_bytes(), "dir/policy.yaml", &settings()).unwrap_or_else(|problems| {
        let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
        panic!("{}\n{yaml}", texts.join("\n"))
    })
}

pub(super) fn load(yaml: &str) -> Arc<Snapshot> {
    loaded(yaml).snapshot
}

/// ACLs written as `allow User:a Read,Write topic:foo* from 10.0.0.1`.
pub(super) fn acls(default: &str, lines: &[&str]) -> Arc<Snapshot> {
    let mut yaml = format!("version: 1\ndefault: {default}\nacls:\n");
    if lines.is_empty() {
        yaml = yaml.replace("acls:\n", "acls: []\n");
    }
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let &[effect, principal, ops, resource, ref rest @ ..] = words.as_slice() else { panic!("{line}") };
        let resource = match resource.split_once("prefixed:") {
            Some((kind, name)) => {
                format!("{{ type: {}, name: \"{name}\", pattern: prefixed }}", kind.trim_end_matches(':'))
            }
            None => format!("\"{resource}\""),
        };
        let host = if let ["from", host] = rest { format!(", hosts: [\"{host}\"]") } else { String::new() };
        yaml += &format!("  - {{ {effect}: [{ops}], principals: [\"{principal}\"], resources: [{resource}]{host} }}\n");
    }
    load(&(yaml + "end: true\n"))
}

/// A question, with what most tests leave alone.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) subject: Subject,
    pub(super) host: Host,
    pub(super) api: ApiKey,
    pub(super) now: Timestamp,
    pub(super) form: Use,
}

pub(super) fn who(principal: &str) -> Ask {
    Ask {
        subject: Subject {
            principal: principal.parse::<Principal>().unwrap(),
            groups: Arc::from([]),
            may_merge: true,
            may_be_super: true,
        },
        host: Host::new("10.0.0.1".parse().unwrap()),
        api: ApiKey::METADATA,
        now: NOON,
        form: Use::Normal,
    }
}

impl Ask {
    pub(super) fn groups(mut self, groups: &[&str]) -> Self {
        self.subject.groups = groups.iter().map(|g| Arc::from(*g)).collect();
        self
    }

    /// By a source whose names do not merge with the policy's.
    pub(super) fn claims(mut self, groups: &[&str]) -> Self {
        self.subject.may_merge = false;
        self.groups(groups)
    }

    pub(super) fn from(mut self, host: &str) -> Self {
        self.host = Host::new(host.parse().unwrap());
        self
    }

    pub(super) fn api(mut self, api: ApiKey) -> Self {
        self.api = api;
        self
    }

    pub(super) fn at(mut self, instant: &str) -> Self {
        self.now = instant.parse().unwrap();
        self
    }

    pub(super) fn form(mut self, form: Use) -> Self {
        self.form = form;
        self
    }

    pub(super) fn not_super(mut self) -> Self {
        self.subject.may_be_super = false;
        self
    }

    pub(super) fn ask(&self, policy: &Snapshot, operation: Operation, kind: ResourceType, name: &str) -> Decision {
        let (subject, host) = (&self.subject, &self.host);
        let resource = Resource::new(kind, name);
        policy.decide(&Query { subject, operation, resource, api: self.api, host, now: self.now, use_: self.form })
    }

    pub(super) fn topic(&self, policy: &Snapshot, operation: Operation, name: &str) -> Decision {
        self.ask(policy, operation, ResourceType::Topic, name)
    }

    pub(super) fn group(&self, policy: &Snapshot, operation: Operation, name: &str) -> Decision {
        self.ask(policy, operation, ResourceType::Group, name)
    }

    pub(super) fn cluster(&self, policy: &Snapshot, operation: Operation) -> Decision {
        self.ask(policy, operation, ResourceType::Cluster, crate::model::CLUSTER_NAME)
    }

    pub(super) fn any(&self, policy: &Snapshot, operation: Operation) -> Decision {
        policy.decide_any(&self.subject, operation, ResourceType::Topic, self.api, &self.host, self.now)
    }
}
