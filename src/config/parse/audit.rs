//! `audit`.

use super::Reader;
use crate::config::{Audit, AuditLevel, AuditResult, AuditRule, ByteSize, ResourceMatch};
use crate::model::{CLUSTER_NAME, Category, Operation, Principal, ResourceType};
use crate::yaml::{Fields, Keys, Node, Value, did_you_mean};
use std::time::Duration;

const AUDIT: Keys = Keys {
    served: &[
        "topic",
        "former_topics",
        "create",
        "partitions",
        "replication_factor",
        "retention",
        "memory",
        "full_wait",
        "rules",
    ],
    later: &["cluster", "guarantee", "sign", "spool_dir", "spool_size"],
};
const RULE: Keys = Keys {
    served: &["principals", "resources", "operations", "categories", "result", "level", "window", "topic"],
    later: &[],
};

impl Reader<'_> {
    pub(super) fn audit(&mut self, node: Option<&Node>) -> Option<Audit> {
        let mut audit = Audit::default();
        let Some(node) = node else { return Some(audit) };
        let fields = Fields::open(node, "audit", AUDIT, &mut self.report)?;
        if let Some(node) = fields.get("topic") {
            audit.topic = self.topic(node, "audit.topic").unwrap_or_default();
        }
        if let Some(node) = fields.get("former_topics") {
            let items = self.list(node, "audit.former_topics").unwrap_or_default();
            for (i, item) in items.iter().enumerate() {
                audit.former_topics.extend(self.topic(item, &format!("audit.former_topics[{i}]")));
            }
        }
        if let Some(node) = fields.get("create") {
            audit.create = self.bool(node, "audit.create").unwrap_or_default();
        }
        if let Some(node) = fields.get("partitions") {
            let n = self.int(node, "audit.partitions", 1, 10_000);
            audit.partitions = n.and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
        }
        if let Some(node) = fields.get("replication_factor") {
            audit.replication_factor = self.replication_factor(node, "audit.replication_factor");
        }
        if let Some(node) = fields.get("retention") {
            audit.retention = if node.value == Value::Null {
                None
            } else {
                self.duration(node, "audit.retention", Duration::from_secs(1))
            };
        }
        if let Some(node) = fields.get("memory") {
            let memory = self.size(node, "audit.memory", ByteSize::mib(1), ByteSize::gib(1024));
            audit.memory = memory.unwrap_or(audit.memory);
        }
        if let Some(node) = fields.get("full_wait") {
            let wait = self.duration(node, "audit.full_wait", Duration::ZERO);
            audit.full_wait = wait.unwrap_or_default();
        }
        if let Some(node) = fields.get("rules") {
            let items = self.list(node, "audit.rules").unwrap_or_default();
            for (i, item) in items.iter().enumerate() {
                audit.rules.extend(self.rule(item, &format!("audit.rules[{i}]")));
            }
        }
        // Faults above are in the report, so the stand-ins used for them are never seen.
        Some(audit)
    }

    /// `None`: `auto`, or a fault.
    pub(super) fn replication_factor(&mut self, node: &Node, path: &str) -> Option<i16> {
        match &node.value {
            Value::Text(text) if text == "auto" => None,
            Value::Text(text) if !text.contains("${") => {
                let text = format!("`{path}` must be a whole number or `auto`, but is `{text}`");
                self.fault(node, text);
                None
            }
            Value::Text(_)
            | Value::Int(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => self.int(node, path, 1, 1_000).and_then(|n| i16::try_from(n).ok()),
        }
    }

    fn rule(&mut self, node: &Node, path: &str) -> Option<AuditRule> {
        let fields = Fields::open(node, path, RULE, &mut self.report)?;
        let principals = self.each(&fields, "principals", Self::rule_principal);
        let resources = self.each(&fields, "resources", Self::rule_resource);
        let operations = self.each(&fields, "operations", Self::rule_operation);
        let categories = self.each(&fields, "categories", |reader, node, path| {
            reader.word(node, path, &Category::EVERY.map(|c| (c.as_str(), c)))
        });
        let results = [("any", AuditResult::Any), ("allowed", AuditResult::Allowed), ("denied", AuditResult::Denied)];
        let result = match fields.get("result") {
            Some(node) => self.word(node, &fields.path("result"), &results)?,
            None => AuditResult::Any,
        };
        let levels = [("each", AuditLevel::Each), ("merged", AuditLevel::Merged), ("none", AuditLevel::None)];
        let level = match fields.get("level") {
            Some(node) => self.word(node, &fields.path("level"), &levels)?,
            None => AuditLevel::Each,
        };
        let window = match fields.entry("window") {
            Some(entry) => {
                if level != AuditLevel::Merged {
                    let text =
                        format!("`{path}.window` goes with `level: merged` only: remove it, or change the level");
                    self.fault_at(entry.at, text);
                }
                self.duration(&entry.value, &fields.path("window"), Duration::from_millis(1))?
            }
            None => Duration::from_secs(10),
        };
        let topic = match fields.get("topic") {
            Some(node) if node.value != Value::Null => Some(self.topic(node, &fields.path("topic"))?),
            Some(_) | None => None,
        };
        Some(AuditRule {
            principals: principals?,
            resources: resources?,
            operations: operations?,
            categories: categories?,
            result,
            level,
            window,
            topic,
        })
    }

    /// The items of a list; an absent list is empty, and a written one is not.
    fn each<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        mut one: impl FnMut(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(node) = fields.get(key) else { return Some(Vec::new()) };
        let path = fields.path(key);
        let items = self.list(node, &path)?;
        if items.is_empty() {
            self.fault(
                node,
                format!("`{path}` is empty, so the rule matches nothing: write an item, or remove the key"),
            );
            return None;
        }
        let read: Vec<_> = items.iter().enumerate().map(|(i, item)| one(self, item, &format!("{path}[{i}]"))).collect();
        read.into_iter().collect()
    }

    fn rule_principal(&mut self, node: &Node, path: &str) -> Option<Principal> {
        let text = self.text(node, path)?;
        match text.parse::<Principal>() {
            Ok(principal) if matches!(principal.kind(), "User" | "Group") && !principal.name().is_empty() => {
                Some(principal)
            }
            Ok(_) => {
                self.fault(node, format!("`{path}` is `{text}`, which is neither `User:` nor `Group:` and a name"));
                None
            }
            Err(cause) => {
                self.fault(node, format!("`{path}`: {cause}"));
                None
            }
        }
    }

    fn rule_resource(&mut self, node: &Node, path: &str) -> Option<ResourceMatch> {
        let text = self.text(node, path)?;
        if text == "*" {
            return Some(ResourceMatch::Any);
        }
        if text == ResourceType::Cluster.policy_word() {
            return Some(ResourceMatch::Literal(ResourceType::Cluster, CLUSTER_NAME.to_owned()));
        }
        let (word, name) = text.split_once(':').unwrap_or((&text, ""));
        let named = ResourceType::EVERY.into_iter().filter(|t| *t != ResourceType::Cluster);
        let kind = named.clone().find(|t| t.policy_word() == word);
        match kind {
            Some(kind) if !name.is_empty() => Some(match name.strip_suffix('*') {
                Some(prefix) => ResourceMatch::Prefix(kind, prefix.to_owned()),
                None => ResourceMatch::Literal(kind, name.to_owned()),
            }),
            Some(_) => {
                self.fault(
                    node,
                    format!("`{path}` is `{text}`, which has no name: write `{word}:NAME`, or `{word}:*` for all"),
                );
                None
            }
            None => {
                let words: Vec<&str> = named.map(ResourceType::policy_word).collect();
                let hint = did_you_mean(word, words.iter().copied().chain(["cluster"]));
                let hint = if hint.is_empty() {
                    format!(": a resource is `*`, `cluster`, or `{}:` and a name", words.join(":`, `"))
                } else {
                    hint
                };
                self.fault(node, format!("`{path}` is `{text}`, which is no resource{hint}"));
                None
            }
        }
    }

    fn rule_operation(&mut self, node: &Node, path: &str) -> Option<Operation> {
        let words = Operation::EVERY.map(|op| (op.name(), op));
        self.word(node, path, &words)
    }
}
