//! Reading the policy file: YAML → [`Document`], with every fault reported in one go.

use super::document::{At, Document, Gives, GroupDef, Otherwise, RoleDef, RuleDef, Word};
use super::hosts::{Hosts, parse_host};
use super::pattern::{Target, kind_of, parse_target, target_of};
use super::rights::Rights;
use super::roles::{PREDEFINED, RoleRule, short};
use super::words::{self, Meaning};
use crate::model::{PatternType, Principal, ResourceType, Timestamp};
use crate::wire::{ApiKey, apis};
use crate::yaml::{Entry, Fields, Keys, Node, Place, Report, Value, did_you_mean};
use std::collections::HashMap;

const ROOT: Keys = Keys {
    served: &[
        "version",
        "default",
        "connect_gate",
        "super_users",
        "operators",
        "groups",
        "roles",
        "bindings",
        "acls",
        "grants",
        "revoked",
        "end",
    ],
    later: &["staging", "temporary_access"],
};
/// Keys of stage rules and of the API's grants, which no rule of this version may hold.
const LATER: &[&str] = &["condition", "stage", "always", "approvers", "on_approval", "limits"];
const ACL: Keys = Keys {
    served: &[
        "allow",
        "deny",
        "principals",
        "resources",
        "hosts",
        "except",
        "apis",
        "not_before",
        "not_after",
        "reason",
    ],
    later: LATER,
};
const BINDING: Keys = Keys {
    served: &["roles", "principals", "resources", "hosts", "except", "apis", "not_before", "not_after", "reason"],
    later: LATER,
};
const GRANT: Keys = Keys {
    served: &[
        "id",
        "allow",
        "deny",
        "roles",
        "principals",
        "resources",
        "hosts",
        "except",
        "apis",
        "not_before",
        "not_after",
        "reason",
    ],
    later: LATER,
};
const ROLE: Keys = Keys { served: &["includes", "permissions", "rules"], later: &[] };
const ROLE_RULE: Keys = Keys { served: &["allow", "resources", "apis"], later: LATER };
const RESOURCE: Keys = Keys { served: &["type", "name", "pattern"], later: &[] };

/// Reads the document. What is suspicious but has one meaning goes to `warnings`.
pub(super) fn document(root: &Node, report: &mut Report, warnings: &mut Report) -> Document {
    let mut reader = Reader { report, warnings };
    reader.document(root)
}

struct Reader<'r> {
    report: &'r mut Report,
    warnings: &'r mut Report,
}

impl Reader<'_> {
    fn document(&mut self, root: &Node) -> Document {
        let mut document = Document::default();
        let Some(fields) = Fields::open(root, "", ROOT, self.report) else { return document };
        if let Some(node) = fields.required("version", "write `version: 1`", self.report)
            && node.value != Value::Int(1)
        {
            self.report.at(node.at, "`version` must be 1");
        }
        if let Some(node) = fields.get("default") {
            document.otherwise = match self.text(node, "default") {
                Some("deny") | None => Otherwise::Deny,
                Some("allow_if_no_acl") => Otherwise::AllowIfNoAcl,
                Some(other) => {
                    self.one_of(node.at, "default", other, &["deny", "allow_if_no_acl"]);
                    Otherwise::Deny
                }
            };
        }
        if let Some(node) = fields.get("connect_gate") {
            document.gate = match self.text(node, "connect_gate") {
                Some("required") => Some(true),
                Some("open") => Some(false),
                Some(other) => {
                    self.one_of(node.at, "connect_gate", other, &["required", "open"]);
                    Some(true)
                }
                None => Some(true),
            };
        }
        document.super_users = self.exact_principals(fields.get("super_users"), "super_users");
        document.operators = self.exact_principals(fields.get("operators"), "operators");
        for entry in self.entries(fields.get("groups"), "groups") {
            let path = format!("groups.{}", entry.key);
            self.name(entry, "group");
            let members = self.members(&entry.value, &path);
            document.groups.push(GroupDef { name: entry.key.clone(), members });
        }
        for entry in self.entries(fields.get("roles"), "roles") {
            document.roles.push(self.role(entry));
        }
        document.bindings = self.rules(fields.get("bindings"), "bindings", BINDING);
        document.acls = self.rules(fields.get("acls"), "acls", ACL);
        document.grants = self.rules(fields.get("grants"), "grants", GRANT);
        self.grants(&document.grants);
        document.revoked = self.texts(fields.get("revoked"), "revoked");
        self.end(root, &mut document);
        document
    }

    /// `end: true` proves that the file is whole: an editor that saves in place, or a full disk, leaves a file that
    /// ends early and may have lost its denies (threat 37).
    fn end(&mut self, root: &Node, document: &mut Document) {
        let Value::Map(entries) = &root.value else { return };
        if let Some(end) = entries.iter().find(|e| e.key == "end") {
            if end.value.value != Value::Bool(true) {
                self.report.at(end.value.at, "`end` must be true");
            } else if entries.last().is_some_and(|last| last.key != "end") {
                self.report.at(end.at, "`end: true` must be the last key: it proves that nothing is missing behind it");
            }
            document.whole = true;
            return;
        }
        let denies = |rules: &[RuleDef]| rules.iter().any(|r| matches!(r.gives, Gives::Deny(_)));
        let why = if document.otherwise == Otherwise::AllowIfNoAcl {
            "`default: allow_if_no_acl`"
        } else if denies(&document.acls) || denies(&document.grants) {
            "a deny"
        } else {
            let text = "`end: true` is missing as the last key: without it a half-written file cannot be told from a whole one";
            self.warnings.at(root.at, text);
            return;
        };
        self.report.at(
            root.at,
            format!(
                "`end: true` is missing as the last key: with {why}, a half-written file would open what it closes"
            ),
        );
    }

    fn role(&mut self, entry: &Entry) -> RoleDef {
        let path = format!("roles.{}", entry.key);
        self.name(entry, "role");
        if PREDEFINED.contains(&short(&entry.key)) {
            self.report.at(entry.at, format!("role `{}` is predefined: choose another name", entry.key));
        }
        let mut role =
            RoleDef { name: entry.key.clone(), includes: Vec::new(), rights: Rights::default(), rules: Vec::new() };
        let Some(fields) = Fields::open(&entry.value, &path, ROLE, self.report) else { return role };
        role.includes = self.texts(fields.get("includes"), &fields.path("includes"));
        for permission in self.texts(fields.get("permissions"), &fields.path("permissions")) {
            match words::permission(&permission.value) {
                Some(Meaning::Rights(rights)) => role.rights.add_all(&rights),
                Some(Meaning::NoWireMeaning) => self.without_meaning(permission.at, &permission.value),
                None => {
                    let word = &permission.value;
                    let hint = match words::permission_hint(word) {
                        hint if hint.is_empty() && words::operation(word).is_ok() => {
                            ": operations with resources go under `rules`".to_owned()
                        }
                        hint => hint,
                    };
                    self.report.at(permission.at, format!("`{word}` is not an iam permission{hint}"));
                }
            }
        }
        for (i, node) in self.items(fields.get("rules"), &fields.path("rules")).iter().enumerate() {
            role.rules.extend(self.role_rule(node, &format!("{path}.rules[{i}]")));
        }
        role
    }

    fn role_rule(&mut self, node: &Node, path: &str) -> Option<RoleRule> {
        let fields = Fields::open(node, path, ROLE_RULE, self.report)?;
        let allow = fields.required("allow", "list the operations", self.report);
        let words = self.words(allow, &fields.path("allow"));
        let resources = fields.required("resources", "list what the operations are allowed on", self.report);
        let resources = self.resources(resources, &fields.path("resources"));
        self.fit(&words, &resources);
        let rights = words.iter().fold(Rights::default(), |all, w| all.and(&w.value.rights));
        let resources = resources.into_iter().map(|r| r.value).collect();
        Some(RoleRule { rights, resources, apis: self.apis(fields.get("apis"), &fields.path("apis")) })
    }

    fn rules(&mut self, list: Option<&Node>, name: &str, keys: Keys) -> Vec<RuleDef> {
        let items = self.items(list, name);
        items.iter().enumerate().filter_map(|(i, node)| self.rule(node, &format!("{name}[{i}]"), keys)).collect()
    }

    fn rule(&mut self, node: &Node, path: &str, keys: Keys) -> Option<RuleDef> {
        let fields = Fields::open(node, path, keys, self.report)?;
        let gives = self.gives(&fields, keys);
        let principals = fields.required("principals", "list who it is for", self.report);
        let principals = self.principals(principals, &fields.path("principals"));
        let resources = self.resources(fields.get("resources"), &fields.path("resources"));
        let has_resources = fields.get("resources").is_some();
        if let Some(Gives::Allow(words) | Gives::Deny(words)) = &gives {
            if !has_resources {
                let at = fields.at();
                self.report
                    .at(at, format!("`{}` is missing: list what it is about, or `[\"*\"]`", fields.path("resources")));
            }
            self.fit(words, &resources);
        }
        let not_before = self.instant(fields.get("not_before"), &fields.path("not_before"));
        let not_after = self.instant(fields.get("not_after"), &fields.path("not_after"));
        if let (Some(begin), Some(end), Some(entry)) = (not_before, not_after, fields.entry("not_after"))
            && end <= begin
        {
            self.report.at(entry.at, format!("`{path}` never holds: `not_after` is not later than `not_before`"));
        }
        let reason = fields.get("reason").and_then(|n| self.text(n, &fields.path("reason"))).map(str::to_owned);
        let id =
            fields.get("id").and_then(|n| Some(At { value: self.text(n, &fields.path("id"))?.to_owned(), at: n.at }));
        let except = match fields.get("except") {
            Some(Node { value: Value::List(none), .. }) if none.is_empty() => Vec::new(),
            list => self.principals(list, &fields.path("except")),
        };
        let hosts = self.hosts(fields.get("hosts"), &fields.path("hosts"));
        let apis = self.apis(fields.get("apis"), &fields.path("apis"));
        Some(RuleDef {
            at: fields.at(),
            gives: gives?,
            principals,
            resources,
            has_resources,
            hosts,
            except,
            apis,
            not_before,
            not_after,
            reason,
            id,
        })
    }

    fn gives(&mut self, fields: &Fields<'_>, keys: Keys) -> Option<Gives> {
        let wanted: Vec<&str> = ["allow", "deny", "roles"].into_iter().filter(|k| keys.served.contains(k)).collect();
        let there: Vec<&str> = wanted.iter().copied().filter(|k| fields.entry(k).is_some()).collect();
        let [key] = there.as_slice() else {
            let text = match there.len() {
                0 => format!("what the entry gives is missing: write `{}`", wanted.join("` or `")),
                _ => format!("`{}` stand together: write one entry for each", there.join("` and `")),
            };
            self.report.at(fields.at(), text);
            return None;
        };
        let path = fields.path(key);
        let node = fields.get(key);
        Some(match *key {
            "allow" => Gives::Allow(self.words(node, &path)),
            "deny" => Gives::Deny(self.words(node, &path)),
            _ => Gives::Roles(self.texts(node, &path)),
        })
    }

    /// What a grant needs besides: an id, an end, and a quarantine that does not name everybody.
    fn grants(&mut self, grants: &[RuleDef]) {
        let mut ids: HashMap<&str, u64> = HashMap::new();
        for (i, grant) in grants.iter().enumerate() {
            match &grant.id {
                None => {
                    self.report.at(grant.at, format!("`grants[{i}].id` is missing: it names the grant in the audit"))
                }
                Some(id) => {
                    if let Some(line) = ids.insert(&id.value, id.at.line) {
                        self.report.at(id.at, format!("grant `{}` stands twice, first in line {line}", id.value));
                    }
                }
            }
            if grant.not_after.is_none() {
                let text = format!(
                    "`grants[{i}].not_after` is missing: a grant has an end; what has none belongs in `acls` or `bindings`"
                );
                self.report.at(grant.at, text);
            }
            let everybody = grant.principals.iter().find(|p| p.value.as_str() == "User:*");
            if let (Gives::Deny(_), Some(everybody)) = (&grant.gives, everybody) {
                self.report.at(
                    everybody.at,
                    "a quarantine cannot name `User:*`: it would lock out everybody, super users too",
                );
            }
        }
    }

    /// Each operation must mean something on a listed type of resource.
    fn fit(&mut self, words: &[At<Word>], resources: &[At<Target>]) {
        if resources.is_empty() {
            return;
        }
        for word in words {
            let rights = &word.value.rights;
            if rights.connect {
                let text =
                    format!("`{}` is no operation on a resource: give it by a role in `bindings`", word.value.text);
                self.report.at(word.at, text);
            } else if !rights.is_empty() && !rights.kinds().any(|k| resources.iter().any(|r| r.value.names(k))) {
                let fits: Vec<&str> = rights.kinds().map(ResourceType::policy_word).collect();
                let text = format!(
                    "`{}` means nothing on the listed resources: it is an operation on `{}`",
                    word.value.text,
                    fits.join("`, `")
                );
                self.report.at(word.at, text);
            }
        }
        for resource in resources {
            if !words.iter().any(|w| w.value.rights.kinds().any(|k| resource.value.names(k))) {
                let text = format!("no listed operation means anything on `{}`", resource.value);
                self.warnings.at(resource.at, text);
            }
        }
    }

    fn words(&mut self, list: Option<&Node>, path: &str) -> Vec<At<Word>> {
        let mut found = Vec::new();
        for word in self.some_texts(list, path) {
            match words::operation(&word.value) {
                Ok(Meaning::Rights(rights)) => found.push(At { value: Word { text: word.value, rights }, at: word.at }),
                Ok(Meaning::NoWireMeaning) => self.without_meaning(word.at, &word.value),
                Err(text) => self.report.at(word.at, text),
            }
        }
        found
    }

    fn without_meaning(&mut self, at: Place, word: &str) {
        self.warnings.at(at, format!("`{word}` lets nothing through: it has no meaning on Kafka's wire"));
    }

    fn resources(&mut self, list: Option<&Node>, path: &str) -> Vec<At<Target>> {
        let items = self.some_items(list, path);
        let mut found = Vec::new();
        for (i, node) in items.iter().enumerate() {
            let target = match &node.value {
                Value::Text(text) => parse_target(text).map_err(|e| (node.at, e)),
                Value::Map(_) => match self.resource_object(node, &format!("{path}[{i}]")) {
                    Some(target) => Ok(target),
                    None => continue,
                },
                other => Err((node.at, format!("a resource is text as `topic:orders`, not {}", other.kind()))),
            };
            match target {
                Ok(value) => {
                    if let Target::One(pattern) = &value {
                        self.edges(node.at, "resource", &value, &pattern.name);
                    }
                    found.push(At { value, at: node.at });
                }
                Err((at, text)) => self.report.at(at, text),
            }
        }
        found
    }

    fn resource_object(&mut self, node: &Node, path: &str) -> Option<Target> {
        let fields = Fields::open(node, path, RESOURCE, self.report)?;
        let kind = fields.required("type", "`topic`, `group`, …", self.report);
        let name = fields.required("name", "the name, with `*` meaning itself", self.report);
        let how = fields.required("pattern", "`literal` or `prefixed`", self.report);
        let kind = kind.and_then(|n| match kind_of(self.text(n, &fields.path("type"))?) {
            Ok(kind) => Some(kind),
            Err(text) => {
                self.report.at(n.at, text);
                None
            }
        });
        let how = how.and_then(|n| match self.text(n, &fields.path("pattern"))? {
            "literal" => Some(PatternType::Literal),
            "prefixed" => Some(PatternType::Prefixed),
            other => {
                self.one_of(n.at, &fields.path("pattern"), other, &["literal", "prefixed"]);
                None
            }
        });
        let name = name.and_then(|n| self.text(n, &fields.path("name")));
        match target_of(kind?, how?, name?) {
            Ok(target) => Some(target),
            Err(text) => {
                self.report.at(node.at, text);
                None
            }
        }
    }

    fn hosts(&mut self, list: Option<&Node>, path: &str) -> Hosts {
        if list.is_none() {
            return Hosts::ANY;
        }
        let mut any = false;
        let mut listed = Vec::new();
        for host in self.some_texts(list, path) {
            match parse_host(&host.value) {
                Ok(Some(pattern)) => listed.push(pattern),
                Ok(None) => any = true,
                Err(text) => self.report.at(host.at, text),
            }
        }
        if any { Hosts::ANY } else { Hosts::of_file(listed) }
    }

    fn apis(&mut self, list: Option<&Node>, path: &str) -> Option<Vec<ApiKey>> {
        list?;
        let mut keys = Vec::new();
        for name in self.some_texts(list, path) {
            match apis().iter().find(|a| a.name == name.value) {
                Some(api) => keys.push(api.key),
                None => {
                    let hint = did_you_mean(&name.value, apis().iter().map(|a| a.name));
                    self.report.at(name.at, format!("`{}` is not an api of Kafka{hint}", name.value));
                }
            }
        }
        Some(keys)
    }

    fn principals(&mut self, list: Option<&Node>, path: &str) -> Vec<At<Principal>> {
        if list.is_none() {
            return Vec::new();
        }
        let texts = self.some_texts(list, path);
        texts.into_iter().filter_map(|text| self.principal(&text)).collect()
    }

    fn principal(&mut self, text: &At<String>) -> Option<At<Principal>> {
        match text.value.parse::<Principal>() {
            // No client is of another type, whoever names it; a deny of one would close nothing.
            Ok(p) if p.name().is_empty() || !matches!(p.kind(), "User" | "Group") => {
                self.report.at(text.at, format!("principal `{p}` can never match: write `User:NAME` or `Group:NAME`"));
                None
            }
            Ok(p) => {
                self.edges(text.at, "principal", &p, p.name());
                if p.name().ends_with('*') && p.as_str() != "User:*" {
                    let text_ = format!(
                        "principal `{p}` is this very name: only `User:*` is a wildcard, and it means everybody"
                    );
                    self.warnings.at(text.at, text_);
                }
                Some(At { value: p, at: text.at })
            }
            Err(e) => {
                self.report.at(text.at, e.to_string());
                None
            }
        }
    }

    /// Space at the edges of a name is part of it, and rarely meant, as in `User: alice`.
    fn edges(&mut self, at: Place, what: &str, whole: &dyn std::fmt::Display, name: &str) {
        if name.trim() != name {
            self.warnings.at(at, format!("{what} `{whole}` is this very name, with the space at its beginning or end"));
        }
    }

    /// Principals that stand for themselves: super users, operators.
    fn exact_principals(&mut self, list: Option<&Node>, path: &str) -> Vec<At<Principal>> {
        let texts = self.texts(list, path);
        let found: Vec<_> = texts.into_iter().filter_map(|text| self.principal(&text)).collect();
        for p in &found {
            if p.value.as_str() == "User:*" || p.value.kind() == "Group" {
                self.report.at(p.at, format!("`{}` cannot stand in `{path}`: it lists exact names of users", p.value));
            }
        }
        found
    }

    fn members(&mut self, node: &Node, path: &str) -> Vec<At<Principal>> {
        let texts = self.texts(Some(node), path);
        let found: Vec<_> = texts.into_iter().filter_map(|text| self.principal(&text)).collect();
        for p in &found {
            if p.value.as_str() == "User:*" || p.value.kind() == "Group" {
                self.report.at(p.at, format!("`{}` cannot be a member: groups list exact names of users", p.value));
            }
        }
        found
    }

    fn instant(&mut self, node: Option<&Node>, path: &str) -> Option<Timestamp> {
        let node = node?;
        match self.text(node, path)?.parse() {
            Ok(instant) => Some(instant),
            Err(e) => {
                self.report.at(node.at, format!("`{path}`: {e}"));
                None
            }
        }
    }

    fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            other => {
                self.report
                    .at(node.at, format!("`{path}` must be text, but is {}: quote it if it is meant so", other.kind()));
                None
            }
        }
    }

    fn texts(&mut self, list: Option<&Node>, path: &str) -> Vec<At<String>> {
        let items = self.items(list, path);
        items
            .iter()
            .enumerate()
            .filter_map(|(i, n)| Some(At { value: self.text(n, &format!("{path}[{i}]"))?.to_owned(), at: n.at }))
            .collect()
    }

    /// A list that must hold something where it stands: an empty one would mean nobody, nothing or nowhere.
    fn some_texts(&mut self, list: Option<&Node>, path: &str) -> Vec<At<String>> {
        self.not_empty(list, path);
        self.texts(list, path)
    }

    fn some_items<'n>(&mut self, list: Option<&'n Node>, path: &str) -> &'n [Node] {
        self.not_empty(list, path);
        self.items(list, path)
    }

    fn not_empty(&mut self, list: Option<&Node>, path: &str) {
        if let Some(Node { value: Value::List(items), at }) = list
            && items.is_empty()
        {
            self.report
                .at(*at, format!("`{path}` is empty, so that the entry does nothing: fill it, or remove the entry"));
        }
    }

    fn items<'n>(&mut self, list: Option<&'n Node>, path: &str) -> &'n [Node] {
        match list {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                self.report.at(node.at, format!("`{path}` must be a list, but is {}", node.value.kind()));
                &[]
            }
        }
    }

    fn entries<'n>(&mut self, map: Option<&'n Node>, path: &str) -> &'n [Entry] {
        match map {
            None => &[],
            Some(Node { value: Value::Map(entries), .. }) => {
                for (i, entry) in entries.iter().enumerate() {
                    if let Some(first) = entries.iter().take(i).find(|e| e.key == entry.key) {
                        let line = first.at.line;
                        self.report.at(entry.at, format!("`{path}.{}` stands twice, first in line {line}", entry.key));
                    }
                }
                entries
            }
            Some(node) => {
                self.report.at(node.at, format!("`{path}` must map names, but is {}", node.value.kind()));
                &[]
            }
        }
    }

    fn name(&mut self, entry: &Entry, what: &str) {
        if entry.key.is_empty() {
            self.report.at(entry.at, format!("a {what} needs a name"));
        } else if what == "group" && entry.key.starts_with("Group:") {
            self.report.at(entry.at, format!("write the name of the group alone, without `Group:`: `{}`", entry.key));
        }
    }

    fn one_of(&mut self, at: Place, path: &str, word: &str, known: &[&str]) {
        let hint = did_you_mean(word, known.iter().copied());
        let hint = if hint.is_empty() { format!(": write `{}`", known.join("` or `")) } else { hint };
        self.report.at(at, format!("`{path}` cannot be `{word}`{hint}"));
    }
}
