//! `kordon explain`: asks the same [`Snapshot::decide`] (through [`Snapshot::explain`], which adds the rules that were looked at) as enforcement, and prints the same reasons as the audit.

use super::{ConfigFile, Failure};
use crate::app::files;
use crate::clock::now;
use crate::model::{Host, Operation, Principal, Resource, ResourceType, Subject, Timestamp};
use crate::policy::{Explanation, OwnTopics, ProtocolAcls, Query, Right, Settings, Snapshot, Use};
use crate::wire::{ApiKey, apis};
use crate::yaml::did_you_mean;
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `kordon explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Who asks, as in `User:alice`.
    #[arg(long)]
    principal: Principal,
    /// A group that the login gives, beside those of the policy; repeatable.
    #[arg(long = "member-of", value_name = "GROUP")]
    member_of: Vec<String>,
    /// Kafka's operation, as in `Read`, or a virtual one, as in `OffsetsWrite`.
    #[arg(long)]
    operation: String,
    /// What is asked for: `topic:orders`, `group:g`, `transactional_id:t`, `cluster`, …; repeatable.
    #[arg(long = "resource", value_name = "TYPE:NAME", required = true)]
    resources: Vec<String>,
    /// The API that asks, as in `Fetch`; default: the usual one for the operation.
    #[arg(long)]
    api: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The instant, RFC 3339 with an offset; default: now.
    #[arg(long, value_name = "INSTANT")]
    at: Option<Timestamp>,
    /// As on a listener with `super_users: true`.
    #[arg(long)]
    super_users: bool,
    /// A policy file, in place of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// One JSON object a line, with the names of the audit.
    #[arg(long)]
    json: bool,
}

/// What is asked of the policy, but for the resource.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Asked {
    operation: Operation,
    api: ApiKey,
    form: Use,
}

impl Explain {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let now = self.at.unwrap_or_else(now);
        let loaded = match &self.policy {
            // Without a configuration the proxy's own topics are not known, so none is protected.
            Some(file) => {
                let settings = Settings { own_topics: OwnTopics::default(), now, ..Settings::default() };
                Snapshot::load(&files::read(file)?, &file.display().to_string(), &settings)?
            }
            None => files::load_policy(&self.config.load()?, now)?,
        };
        for warning in &loaded.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        let mut questions = Vec::new();
        for text in &self.resources {
            let (kind, name) = resource(text).map_err(Failure::Bad)?;
            questions.push((Resource::new(kind, name), self.asked(kind).map_err(Failure::Bad)?));
        }
        for (resource, asked) in questions {
            let explanation = self.explain(&loaded.snapshot, resource, asked, now);
            let decision = &explanation.decision;
            if self.json {
                writeln!(out, "{}", self.to_json(&loaded.snapshot, resource, asked, now, &explanation))?;
            } else {
                let word = if decision.is_allowed() { "allowed" } else { "denied" };
                let Asked { operation, api, .. } = asked;
                writeln!(out, "{word}: {} {operation} on {resource} in {api}: {}", self.principal, decision.reason())?;
                for rule in &explanation.considered {
                    writeln!(out, "  {rule}")?;
                }
            }
        }
        if !self.json {
            writeln!(out, "policy revision {}, host {}, at {now}", loaded.snapshot.revision(), self.host)?;
        }
        if loaded.snapshot.protocol_acls_mode() != ProtocolAcls::Disabled {
            let note = "this is by the policy file alone: acls made with kafka-acls.sh are not looked at here; it lists them, \
                        and the audit names the one that decided";
            writeln!(err, "note: {note}")?;
        }
        Ok(())
    }

    fn explain(&self, snapshot: &Snapshot, resource: Resource<'_>, asked: Asked, now: Timestamp) -> Explanation {
        let mut groups: Vec<Arc<str>> =
            self.member_of.iter().map(|g| Arc::from(g.strip_prefix("Group:").unwrap_or(g))).collect();
        groups.sort();
        groups.dedup();
        let subject = Subject {
            principal: self.principal.clone(),
            groups: groups.into(),
            may_merge: true,
            may_be_super: self.super_users,
        };
        let host = Host::new(self.host);
        let Asked { operation, api, form } = asked;
        snapshot.explain(&Query { subject: &subject, operation, resource, api, host: &host, now, use_: form })
    }

    /// The operation with API and form, for a type of resource.
    fn asked(&self, kind: ResourceType) -> Result<Asked, String> {
        let mut asked = if let Some(operation) = Operation::from_name(&self.operation) {
            if !Operation::asked_on(kind).contains(operation) {
                let known: Vec<&str> = Operation::asked_on(kind).iter().map(Operation::name).collect();
                let kind = kind.policy_word();
                return Err(format!("operation `{operation}` means nothing on a {kind}: ask for {}", known.join(", ")));
            }
            Asked { operation, api: usual_api(kind, operation), form: Use::Normal }
        } else if let Some(right) = Right::EVERY.into_iter().find(|r| r.name().eq_ignore_ascii_case(&self.operation)) {
            if right.kind() != kind {
                let (name, own, kind) = (right.name(), right.kind().policy_word(), kind.policy_word());
                return Err(format!("operation `{name}` is one on a {own}, not on a {kind}"));
            }
            as_virtual(right)
        } else {
            let known = Operation::EVERY.map(Operation::name).into_iter().chain(Right::EVERY.map(Right::name));
            let hint = did_you_mean(&self.operation, known);
            return Err(format!("`{}` is not an operation{hint}", self.operation));
        };
        if let Some(name) = &self.api {
            let found = apis().iter().find(|api| api.name.eq_ignore_ascii_case(name));
            asked.api = found.map(|api| api.key).ok_or_else(|| {
                format!("`{name}` is not an API of Kafka{}", did_you_mean(name, apis().iter().map(|api| api.name)))
            })?;
        }
        Ok(asked)
    }

    /// The same names as `authorizationInfo` of an audit event.
    fn to_json(
        &self,
        snapshot: &Snapshot,
        resource: Resource<'_>,
        asked: Asked,
        now: Timestamp,
        explanation: &Explanation,
    ) -> Value {
        let decision = &explanation.decision;
        let considered: Vec<String> = explanation.considered.iter().map(ToString::to_string).collect();
        let matched: Vec<Value> = decision
            .matched()
            .into_iter()
            .map(|e| {
                json!({ "kind": e.kind.as_str(), "id": &*e.id, "effect": e.effect.as_str(), "role": e.role.as_deref(),
                        "expires": e.expires.map(|t| t.to_string()) })
            })
            .collect();
        json!({
            "principal": self.principal.as_str(),
            "operation": asked.operation.name(),
            "resource": { "type": resource.kind.name(), "name": resource.name },
            "api": asked.api.name(),
            "host": self.host.to_string(),
            "at": now.to_string(),
            "granted": decision.is_allowed(),
            "right": decision.right(),
            "matched": matched,
            "reasonCode": decision.code().as_str(),
            "reason": decision.reason(),
            "considered": considered,
            "policyRevision": snapshot.revision().as_str(),
        })
    }
}

/// `TYPE:NAME`, or `cluster`. The name is asked for as it stands.
fn resource(text: &str) -> Result<(ResourceType, &str), String> {
    if text == ResourceType::Cluster.policy_word() {
        return Ok((ResourceType::Cluster, Resource::CLUSTER.name));
    }
    let named = ResourceType::EVERY.into_iter().filter(|t| *t != ResourceType::Cluster);
    let (word, name) = text.split_once(':').unwrap_or((text, ""));
    match named.clone().find(|t| t.policy_word() == word) {
        Some(_) if name.is_empty() => Err(format!("resource `{text}` has no name: write `{word}:NAME`")),
        Some(ResourceType::Topic) if name.ends_with('*') => {
            Err(format!("resource `{text}` is a pattern: ask for one topic, as clients do"))
        }
        Some(kind) => Ok((kind, name)),
        None => {
            let hint = did_you_mean(word, named.map(ResourceType::policy_word).chain(["cluster"]));
            Err(format!("`{text}` is not a resource{hint}: write `TYPE:NAME`, as in `topic:orders`"))
        }
    }
}

/// The API that usually asks for an operation.
fn usual_api(kind: ResourceType, operation: Operation) -> ApiKey {
    use Operation as O;
    match (kind, operation) {
        (ResourceType::Topic, O::Read) => ApiKey::FETCH,
        (ResourceType::Topic, O::Write) => ApiKey::PRODUCE,
        (ResourceType::Topic | ResourceType::Cluster, O::Create) => ApiKey::CREATE_TOPICS,
        (ResourceType::Topic | ResourceType::Cluster, O::Delete) => ApiKey::DELETE_TOPICS,
        (ResourceType::Topic, O::Alter) => ApiKey::CREATE_PARTITIONS,
        (ResourceType::Topic, _) if operation == O::Describe => ApiKey::METADATA,
        (ResourceType::Group, O::Read) => ApiKey::JOIN_GROUP,
        (ResourceType::Group, O::Delete) => ApiKey::DELETE_GROUPS,
        (ResourceType::Group, O::Describe) => ApiKey::DESCRIBE_GROUPS,
        (ResourceType::Cluster, O::Describe) => ApiKey::DESCRIBE_CLUSTER,
        (ResourceType::Cluster, O::Alter) => ApiKey::CREATE_ACLS,
        (ResourceType::Cluster, O::ClusterAction) => ApiKey::CONTROLLED_SHUTDOWN,
        (ResourceType::TransactionalId, O::Describe) => ApiKey::FIND_COORDINATOR,
        (ResourceType::TransactionalId, _) | (ResourceType::Cluster, O::IdempotentWrite) => ApiKey::INIT_PRODUCER_ID,
        (ResourceType::User, O::CreateTokens) => ApiKey::CREATE_DELEGATION_TOKEN,
        (ResourceType::User | ResourceType::DelegationToken, _) => ApiKey::DESCRIBE_DELEGATION_TOKEN,
        (ResourceType::Topic | ResourceType::Group | ResourceType::Cluster, O::AlterConfigs) => {
            ApiKey::INCREMENTAL_ALTER_CONFIGS
        }
        (ResourceType::Topic | ResourceType::Group | ResourceType::Cluster, _) => ApiKey::DESCRIBE_CONFIGS,
    }
}

/// A virtual operation as Kafka's in the API and form in which it counts.
fn as_virtual(right: Right) -> Asked {
    use Operation as O;
    let of = |operation, api| Asked { operation, api, form: Use::Normal };
    match right {
        Right::OffsetsWrite => Asked { operation: O::Read, api: ApiKey::OFFSET_COMMIT, form: Use::AdminCommit },
        Right::RecordsDelete => of(O::Delete, ApiKey::DELETE_RECORDS),
        Right::ClusterRead => of(O::Describe, ApiKey::DESCRIBE_CLUSTER),
        Right::GroupsListAll => of(O::Describe, ApiKey::LIST_GROUPS),
        Right::AclsRead => of(O::Describe, ApiKey::DESCRIBE_ACLS),
        Right::AclsWrite => of(O::Alter, ApiKey::CREATE_ACLS),
        Right::CredentialsRead => of(O::Describe, ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS),
        Right::CredentialsWrite => of(O::Alter, ApiKey::ALTER_USER_SCRAM_CREDENTIALS),
        Right::LeadersElect => of(O::Alter, ApiKey::ELECT_LEADERS),
        Right::ReplicasAlter => of(O::Alter, ApiKey::ALTER_PARTITION_REASSIGNMENTS),
        Right::BrokersUnregister => of(O::Alter, ApiKey::UNREGISTER_BROKER),
        Right::BrokerConfigsWrite => of(O::AlterConfigs, ApiKey::INCREMENTAL_ALTER_CONFIGS),
        Right::QuotasWrite => of(O::AlterConfigs, ApiKey::ALTER_CLIENT_QUOTAS),
    }
}

#[cfg(test)]
mod tests;
