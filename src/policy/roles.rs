//! Roles: the predefined ones, and the resolution of those that the file declares.

use super::document::{At, Document, RoleDef};
use super::pattern::{Pattern, Target};
use super::rights::Rights;
use super::words::{self, Meaning};
use crate::model::{Operation as O, ResourceType as T};
use crate::wire::ApiKey;
use crate::yaml::{Report, did_you_mean};
use std::collections::HashMap;
use std::sync::Arc;

/// What a role gives, resolved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Role {
    /// Rights on whatever resources the binding names.
    pub(super) rights: Rights,
    /// Rights on resources of its own, of which the binding's must be part too.
    pub(super) rules: Vec<RoleRule>,
}

/// A rule of a role.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RoleRule {
    pub(super) rights: Rights,
    pub(super) resources: Vec<Target>,
    pub(super) apis: Option<Vec<ApiKey>>,
}

impl Role {
    fn add(&mut self, other: &Self) {
        self.rights.add_all(&other.rights);
        self.rules.extend(other.rules.iter().cloned());
    }

    /// Whether it gives anything but the connect gate.
    pub(super) fn gives_resources(&self) -> bool {
        !self.rights.is_empty() || !self.rules.is_empty()
    }
}

/// The names of the predefined roles.
pub(super) const PREDEFINED: [&str; 12] = [
    "viewer",
    "client",
    "topicEditor",
    "consumerGroupEditor",
    "clusterEditor",
    "aclEditor",
    "aclViewer",
    "admin",
    "producer",
    "consumer",
    "inspector",
    "auditor",
];

/// The name of a role without `roles/` and `managedkafka.`.
pub(super) fn short(name: &str) -> &str {
    let name = name.strip_prefix("roles/").unwrap_or(name);
    name.strip_prefix("managedkafka.").unwrap_or(name)
}

/// A predefined role, by its short name.
pub(super) fn predefined(name: &str, audit_topics: &[String]) -> Option<Role> {
    let of = |permissions: &[&str]| Role {
        rights: permissions.iter().fold(Rights::default(), |all, p| match words::permission(p) {
            Some(Meaning::Rights(r)) => all.and(&r),
            Some(Meaning::NoWireMeaning) | None => all,
        }),
        rules: Vec::new(),
    };
    let with = |roles: &[&str], permissions: &[&str]| {
        let mut role = of(permissions);
        roles.iter().filter_map(|r| predefined(r, audit_topics)).for_each(|r| role.add(&r));
        role
    };
    let on = |kind, ops: &[O]| Rights::on_kind(kind, ops, &[]);
    let plain = |rights| Role { rights, rules: Vec::new() };
    Some(match name {
        "viewer" => of(&[
            "clusters.get",
            "clusters.list",
            "topics.get",
            "topics.list",
            "consumerGroups.get",
            "consumerGroups.list",
        ]),
        "client" => of(&[words::CONNECT]),
        "topicEditor" => with(&["viewer"], &["topics.create", "topics.update", "topics.delete"]),
        "consumerGroupEditor" => {
            with(&["viewer"], &["consumerGroups.create", "consumerGroups.update", "consumerGroups.delete"])
        }
        "clusterEditor" => with(&["viewer"], &["clusters.create", "clusters.update", "clusters.delete"]),
        "aclViewer" => of(&["acls.get", "acls.list"]),
        "aclEditor" => of(&["acls.get", "acls.list", "acls.create", "acls.update", "acls.delete"]),
        "admin" => with(
            &["viewer", "client", "topicEditor", "consumerGroupEditor", "clusterEditor", "aclEditor", "aclViewer"],
            &[],
        ),
        "producer" => plain(
            on(T::Topic, &[O::Write, O::Describe])
                .and(&on(T::Cluster, &[O::IdempotentWrite]))
                .and(&on(T::TransactionalId, &[O::Write, O::Describe])),
        ),
        "consumer" => plain(on(T::Topic, &[O::Read, O::Describe]).and(&on(T::Group, &[O::Read, O::Describe]))),
        "inspector" => plain(on(T::Topic, &[O::Read, O::Describe])),
        "auditor" => Role {
            rights: Rights::default(),
            rules: vec![
                RoleRule {
                    rights: on(T::Topic, &[O::Read, O::Describe]),
                    resources: audit_topics.iter().map(|t| Target::One(Pattern::literal(T::Topic, t))).collect(),
                    apis: None,
                },
                RoleRule {
                    rights: on(T::Group, &[O::Read]),
                    resources: vec![Target::One(Pattern::prefixed(T::Group, "kordon-audit"))],
                    apis: None,
                },
            ],
        },
        _ => return None,
    })
}

/// Every role that the file may bind, resolved.
pub(super) struct Roles {
    declared: HashMap<String, Arc<Role>>,
    audit_topics: Vec<String>,
}

impl Roles {
    /// Resolves the declared roles. Unknown and cyclic inclusions are reported.
    pub(super) fn resolve(document: &Document, audit_topics: &[String], report: &mut Report) -> Self {
        let mut roles = Self { declared: HashMap::new(), audit_topics: audit_topics.to_vec() };
        let defs: HashMap<&str, &RoleDef> = document.roles.iter().map(|r| (r.name.as_str(), r)).collect();
        for def in &document.roles {
            roles.resolve_one(def, &defs, &mut Vec::new(), report);
        }
        roles
    }

    fn resolve_one<'d>(
        &mut self,
        def: &'d RoleDef,
        defs: &HashMap<&str, &'d RoleDef>,
        path: &mut Vec<&'d str>,
        report: &mut Report,
    ) -> Arc<Role> {
        if let Some(done) = self.declared.get(&def.name) {
            return Arc::clone(done);
        }
        let mut role = Role { rights: def.rights, rules: def.rules.clone() };
        path.push(&def.name);
        for include in &def.includes {
            let name = short(&include.value);
            if let Some(role_of) = predefined(name, &self.audit_topics) {
                role.add(&role_of);
            } else if let Some(at) = path.iter().position(|p| *p == name) {
                let mut circle: Vec<&str> = path.iter().skip(at).copied().collect();
                circle.push(name);
                report.at(include.at, format!("roles include each other in a circle: `{}`", circle.join("` → `")));
            } else if let Some(next) = defs.get(name) {
                let included = self.resolve_one(next, defs, path, report);
                role.add(&included);
            } else {
                report.at(include.at, self.unknown(name, defs.keys().copied()));
            }
        }
        path.pop();
        let role = Arc::new(role);
        self.declared.insert(def.name.clone(), Arc::clone(&role));
        role
    }

    /// The role of a name, declared or predefined; an unknown one is reported.
    pub(super) fn find(&self, name: &At<String>, report: &mut Report) -> Option<Arc<Role>> {
        let word = short(&name.value);
        let found = predefined(word, &self.audit_topics).map(Arc::new).or_else(|| self.declared.get(word).cloned());
        if found.is_none() {
            report.at(name.at, self.unknown(word, self.declared.keys().map(String::as_str)));
        }
        found
    }

    /// Whether a declared role holds clusters.connect.
    pub(super) fn any_declared_connects(&self) -> bool {
        self.declared.values().any(|r| r.rights.connect)
    }

    fn unknown<'a>(&self, name: &str, declared: impl Iterator<Item = &'a str>) -> String {
        let hint = did_you_mean(name, declared.chain(PREDEFINED));
        let hint = if hint.is_empty() { ": declare it under `roles`".to_owned() } else { hint };
        format!("role `{name}` does not exist{hint}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(name: &str, kind: T) -> Vec<&'static str> {
        predefined(short(name), &["kordon.audit".to_owned()]).unwrap().rights.on(kind).names()
    }

    #[test]
    fn every_predefined_role_exists_with_and_without_its_prefixes() {
        for name in PREDEFINED {
            assert!(predefined(name, &[]).is_some(), "{name}");
        }
        assert_eq!(rights("roles/managedkafka.viewer", T::Topic), ["Describe", "DescribeConfigs"]);
    }

    #[test]
    fn threat_36_viewer_knows_of_the_cluster_only_what_cluster_read_shows() {
        assert_eq!(rights("viewer", T::Cluster), ["ClusterRead"]);
        assert_eq!(rights("viewer", T::Group), ["Describe", "DescribeConfigs"]);
    }

    #[test]
    fn admin_reads_and_writes_no_topic_and_holds_the_gate() {
        let topic = rights("admin", T::Topic);
        assert_eq!(topic, ["Create", "Delete", "Alter", "Describe", "DescribeConfigs", "AlterConfigs"]);
        let cluster = rights("admin", T::Cluster);
        assert!(!cluster.contains(&"Alter") && !cluster.contains(&"CredentialsWrite"), "{cluster:?}");
        assert!(predefined("admin", &[]).unwrap().rights.connect);
        assert!(!predefined("viewer", &[]).unwrap().rights.connect);
    }

    #[test]
    fn consumer_group_editor_writes_offsets_and_never_joins() {
        assert_eq!(
            rights("consumerGroupEditor", T::Group),
            ["Delete", "Describe", "DescribeConfigs", "AlterConfigs", "OffsetsWrite"]
        );
    }
}
