//! [`Document`] → [`Snapshot`].

use super::acl::{AclBinding, AclSet, Permission};
use super::decision::{Effect, Evidence, EvidenceKind};
use super::diff::Inventory;
use super::document::{At, Document, Gives, Otherwise, RuleDef, Word};
use super::hosts::Hosts;
use super::index::{Builder, Entry, Identity};
use super::parse;
use super::pattern::Target;
use super::rights::{Bits, Right, Rights};
use super::roles::{Role, RoleRule, Roles, short};
use super::snapshot::{FilePart, Fixed, Limits, Rule, Settings, Snapshot, Source};
use super::source::PolicySource;
use super::who::{Directory, Standing};
use crate::model::{CLUSTER_NAME, Operation, ResourceType, Timestamp};
use crate::wire::ApiKey;
use crate::yaml::{self, Place, Problem, Report, did_you_mean};
use ahash::{HashMap, HashMapExt as _};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// A policy that loaded, with a snapshot of it.
#[derive(Debug)]
pub struct Loaded {
    /// The policy of the file alone.
    pub snapshot: Arc<Snapshot>,
    /// The file, for snapshots that know the protocol's ACLs too.
    pub source: Arc<PolicySource>,
    /// What is suspicious and yet has one meaning, in the order of the file.
    pub warnings: Vec<Problem>,
}

impl Snapshot {
    /// Reads a policy file, and compiles the policy of it alone.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn load(bytes: &[u8], file_name: &str, settings: &Settings) -> Result<Loaded, Vec<Problem>> {
        let (source, warnings) = PolicySource::load(bytes, file_name, settings)?;
        Ok(Loaded { snapshot: source.snapshot(&AclSet::default()), source, warnings })
    }
}

impl PolicySource {
    /// Reads a policy file; gives with it what is suspicious and yet has one meaning, in the order of the file. Problems
    /// and evidence name the file by the last part of `file_name`.
    ///
    /// # Errors
    /// Every fault of the file. The policy in force then stays in force.
    pub fn load(bytes: &[u8], file_name: &str, settings: &Settings) -> Result<(Arc<Self>, Vec<Problem>), Vec<Problem>> {
        let mut report = Report::new(file_name);
        let mut warnings = Report::new(file_name);
        let whole = |text: String| Problem { file: file_name.to_owned(), place: None, text };
        let text = std::str::from_utf8(bytes)
            .map_err(|e| vec![whole(format!("not UTF-8 after byte {}: save it as UTF-8", e.valid_up_to()))])?;
        let root = yaml::parse(text, file_name).map_err(|problem| vec![problem])?;
        let document = parse::document(&root, &mut report, &mut warnings);
        let roles = Roles::resolve(&document, &settings.own_topics.audit, &mut report);
        let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
        let mut compiler = Compiler {
            report: &mut report,
            warnings: &mut warnings,
            base,
            now: settings.now,
            revoked: document.revoked.iter().map(|id| id.value.as_str()).collect(),
            group_names: document.groups.iter().map(|g| g.name.as_str()).collect(),
            directory: Directory::default(),
            index: Builder::default(),
            quarantines: Builder::default(),
            rules: Vec::new(),
            connect: HashMap::new(),
            edges: BTreeSet::new(),
            inventory: Inventory::default(),
            shown: Vec::new(),
        };
        compiler.people(&document);
        compiler.gate(&document, &roles);
        compiler.rules(&document, &roles);
        let Compiler { directory, index, quarantines, rules, connect, edges, inventory, mut shown, .. } = compiler;
        let problems = report.into_problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        shown.sort();
        shown.dedup_by(|a, b| a.0 == b.0);
        let file = FilePart {
            otherwise: document.otherwise,
            gate: document.gate == Some(true),
            quarantines: quarantines.build(),
            connect,
            own: settings.own_topics.clone(),
            own_principals: settings.own_principals.clone(),
            edges: edges.into_iter().collect(),
            fixed: Fixed::new(),
            inventory,
            whole: document.whole,
            mode: settings.protocol_acls,
            shown,
        };
        let source = Self { hash: sha256_hex(bytes), directory, index, rules, file: Arc::new(file) };
        Ok((Arc::new(source), warnings.into_problems()))
    }
}

/// The rights on ACLs among these.
fn acl_rights(rights: &Rights) -> Bits {
    let all = Bits::of(Right::AclsRead).union(Bits::of(Right::AclsWrite));
    rights.on(ResourceType::Cluster).intersection(all)
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

struct Compiler<'c> {
    report: &'c mut Report,
    warnings: &'c mut Report,
    /// The file's name without its directories.
    base: &'c str,
    now: Timestamp,
    revoked: BTreeSet<&'c str>,
    group_names: BTreeSet<&'c str>,
    directory: Directory,
    index: Builder,
    quarantines: Builder,
    rules: Vec<Rule>,
    connect: HashMap<Identity, Vec<u32>>,
    edges: BTreeSet<Timestamp>,
    inventory: Inventory,
    /// The ACLs that Kafka's model can express, with file and line.
    shown: Vec<(AclBinding, Arc<str>)>,
}

impl Compiler<'_> {
    fn people(&mut self, document: &Document) {
        for (list, standing, what) in [
            (&document.super_users, Standing::SuperUser, "super user"),
            (&document.operators, Standing::Operator, "operator"),
        ] {
            for p in list {
                self.directory.raise(&p.value, standing);
                self.inventory.statements.insert(format!("{what} {}", p.value));
            }
        }
        for group in &document.groups {
            self.inventory.groups.insert(group.name.clone());
            self.directory.declare(&group.name);
            for member in &group.members {
                self.directory.join(&group.name, &member.value);
                self.inventory.statements.insert(format!("group {}: {}", group.name, member.value));
            }
        }
        let default = match document.otherwise {
            Otherwise::Deny => "default deny",
            Otherwise::AllowIfNoAcl => "default allow_if_no_acl",
        };
        self.inventory.statements.insert(default.to_owned());
        if document.gate == Some(true) {
            self.inventory.denies.insert("connect_gate required".to_owned());
        }
    }

    /// The gate is never inferred: whether it stands must not depend on the last binding that ends (threat 27).
    fn gate(&mut self, document: &Document, roles: &Roles) {
        if document.gate.is_some() {
            return;
        }
        let mut silent = Report::new("");
        let bound = document.bindings.iter().any(|binding| match &binding.gives {
            Gives::Roles(names) => {
                names.iter().any(|n| roles.find(n, &mut silent).is_some_and(|role| role.rights.connect))
            }
            Gives::Allow(_) | Gives::Deny(_) => false,
        });
        if bound || roles.any_declared_connects() {
            let text =
                "`connect_gate` is missing: a role holds clusters.connect, so say whether it is `required` or `open`";
            self.report.at(Place { line: 1, column: 1 }, text);
        }
    }

    fn rules(&mut self, document: &Document, roles: &Roles) {
        for acl in &document.acls {
            self.acl(acl);
            if document.otherwise == Otherwise::AllowIfNoAcl && (acl.not_before.is_some() || acl.not_after.is_some()) {
                let text = "with `default: allow_if_no_acl` an acl closes what it names to all others until it is removed, \
                            also before it begins and after it has ended";
                self.warnings.at(acl.at, text);
            }
        }
        for binding in &document.bindings {
            self.given_roles(binding, Source::Binding, roles);
        }
        for grant in &document.grants {
            match &grant.gives {
                Gives::Roles(_) => self.given_roles(grant, Source::Grant, roles),
                Gives::Allow(words) => self.words(grant, Source::Grant, Effect::Allow, words),
                Gives::Deny(words) => self.words(grant, Source::Grant, Effect::Deny, words),
            }
        }
        let about_cluster = |acl: &RuleDef| acl.resources.iter().any(|r| r.value.names(ResourceType::Cluster));
        if document.otherwise == Otherwise::AllowIfNoAcl && !document.acls.iter().any(about_cluster) {
            let text = "with `default: allow_if_no_acl` and no acl about the cluster whoever gets in may change acls, configs of \
                        brokers and all else of it, until one made with kafka-acls.sh is about it: write one with \
                        `resources: [cluster]`";
            self.warnings.at(Place { line: 1, column: 1 }, text);
        }
        if document.gate == Some(true) && self.connect.is_empty() {
            let text = "`connect_gate` is required and no binding gives clusters.connect: only super users and operators get in";
            self.warnings.at(Place { line: 1, column: 1 }, text);
        }
        let ids: BTreeSet<&str> =
            document.grants.iter().filter_map(|g| g.id.as_ref()).map(|id| id.value.as_str()).collect();
        for id in document.revoked.iter().filter(|id| !ids.contains(id.value.as_str())) {
            self.warnings.at(id.at, format!("no grant of this file has the id `{}`", id.value));
        }
    }

    fn acl(&mut self, acl: &RuleDef) {
        match &acl.gives {
            Gives::Allow(words) => self.words(acl, Source::Acl, Effect::Allow, words),
            Gives::Deny(words) => self.words(acl, Source::Acl, Effect::Deny, words),
            Gives::Roles(_) => return,
        }
        self.show(acl);
        // Counts from load to removal, whatever its bounds, hosts or APIs: one that runs out never opens (threat 10).
        for target in &acl.resources {
            for pattern in ResourceType::EVERY.into_iter().filter_map(|kind| target.value.on(kind)) {
                self.index.note_acl(&pattern);
            }
        }
    }

    /// An entry that lists operations.
    fn words(&mut self, def: &RuleDef, source: Source, effect: Effect, words: &[At<Word>]) {
        let mut texts: Vec<&str> = words.iter().map(|w| w.value.text.as_str()).collect();
        texts.sort_unstable();
        self.note(def, effect, &format!("{} [{}]", effect.as_str(), texts.join(", ")));
        let rights = words.iter().fold(Rights::default(), |all, w| all.and(&w.value.rights));
        if source == Source::Grant && effect == Effect::Allow {
            self.outlives(def, &rights);
        }
        let targets: Vec<Target> = def.resources.iter().map(|r| r.value.clone()).collect();
        let evidence = self.evidence(def, source, effect, None);
        let rule = self.rule(def, source, &evidence, def.apis.clone());
        self.entries(def, rule, effect, source, &rights, &targets);
    }

    /// An entry that gives roles: each role's rights on the entry's resources, and its rules where both match.
    fn given_roles(&mut self, def: &RuleDef, source: Source, roles: &Roles) {
        let Gives::Roles(names) = &def.gives else { return };
        let mut sorted: Vec<&str> = names.iter().map(|n| short(&n.value)).collect();
        sorted.sort_unstable();
        self.note(def, Effect::Allow, &format!("roles [{}]", sorted.join(", ")));
        if names.is_empty() {
            self.report.at(def.at, "`roles` is empty, so that the entry does nothing: fill it, or remove the entry");
        }
        let targets: Vec<Target> = def.resources.iter().map(|r| r.value.clone()).collect();
        let mut used: Vec<bool> = vec![false; targets.len()];
        for name in names {
            let Some(role) = roles.find(name, self.report) else { continue };
            if !def.has_resources && role.gives_resources() {
                let text = format!(
                    "`resources` is missing: role `{}` is given on resources, `[\"*\"]` is every one",
                    name.value
                );
                self.report.at(def.at, text);
                continue;
            }
            self.one_role(def, source, name, &role, &targets, &mut used);
        }
        if !def.has_resources {
            return;
        }
        for (resource, _) in def.resources.iter().zip(&used).filter(|(_, used)| !**used) {
            self.warnings.at(resource.at, format!("none of the roles gives anything on `{}`", resource.value));
        }
    }

    fn one_role(
        &mut self,
        def: &RuleDef,
        source: Source,
        name: &At<String>,
        role: &Role,
        targets: &[Target],
        used: &mut [bool],
    ) {
        let evidence = self.evidence(def, source, Effect::Allow, Some(short(&name.value)));
        if role.rights.connect {
            match source {
                Source::Binding => self.opens_gate(def, &evidence),
                Source::Acl | Source::Grant => {
                    self.warnings.at(name.at, "a grant does not open the connect gate: bind the role `client`");
                }
            }
        }
        let mut given = false;
        if !role.rights.is_empty() {
            if source == Source::Grant {
                self.outlives(def, &role.rights);
            }
            let on_acls = !acl_rights(&role.rights).is_empty();
            let gives = |t: &Target| on_acls || role.rights.kinds().any(|k| t.names(k));
            let reach: Vec<bool> = targets.iter().map(gives).collect();
            given |= reach.contains(&true);
            used.iter_mut().zip(&reach).for_each(|(u, r)| *u |= *r);
            let rule = self.rule(def, source, &evidence, def.apis.clone());
            self.entries(def, rule, Effect::Allow, source, &role.rights, targets);
            self.acl_reach(def, rule, acl_rights(&role.rights), targets);
        }
        for role_rule in &role.rules {
            given |= self.role_rule(def, source, &evidence, role_rule, targets, used);
        }
        if role.gives_resources() && !given && def.has_resources {
            let text = format!("role `{}` gives nothing on the listed resources", name.value);
            self.report.at(name.at, text);
        }
    }

    fn role_rule(
        &mut self,
        def: &RuleDef,
        source: Source,
        evidence: &Arc<Evidence>,
        role_rule: &RoleRule,
        targets: &[Target],
        used: &mut [bool],
    ) -> bool {
        let mut both = Vec::new();
        for (target, used) in targets.iter().zip(used) {
            for own in &role_rule.resources {
                if let Some(narrow) = target.both(own)
                    && role_rule.rights.kinds().any(|k| narrow.names(k))
                {
                    *used = true;
                    both.push(narrow);
                }
            }
        }
        if both.is_empty() {
            return false;
        }
        let apis = match (&def.apis, &role_rule.apis) {
            (Some(a), Some(b)) => Some(a.iter().copied().filter(|key| b.contains(key)).collect()),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let rule = self.rule(def, source, evidence, apis);
        self.entries(def, rule, Effect::Allow, source, &role_rule.rights, &both);
        true
    }

    fn opens_gate(&mut self, def: &RuleDef, evidence: &Arc<Evidence>) {
        let rule = self.rule(def, Source::Binding, evidence, None);
        for p in &def.principals {
            let identity = self.directory.number(&p.value);
            self.connect.entry(identity).or_default().push(rule);
        }
    }

    /// The entries of a rule: principals × patterns.
    fn entries(
        &mut self,
        def: &RuleDef,
        rule: u32,
        effect: Effect,
        source: Source,
        rights: &Rights,
        targets: &[Target],
    ) {
        let deny = effect == Effect::Deny;
        let quarantine = deny && source == Source::Grant;
        for kind in rights.kinds() {
            for target in targets {
                let Some(pattern) = target.on(kind) else { continue };
                // On the cluster it deletes any topic, also one that a deny names: who writes `*` must not get that
                // without having said so. `All` has it, and a deny means all that it says.
                let unsaid = !deny && kind == ResourceType::Cluster && *target == Target::Everything;
                let beyond = if unsaid { Bits::kafka(Operation::Delete) } else { Bits::NONE };
                let written = rights.on(kind).without(beyond);
                let bits: Bits = if deny { written.held_back_by_deny() } else { written.implied_by_allow() };
                if bits.is_empty() {
                    continue;
                }
                let entry = Entry { rule, deny, bits, written };
                for p in &def.principals {
                    let identity = self.directory.number(&p.value);
                    let builder = if quarantine { &mut self.quarantines } else { &mut self.index };
                    builder.add(identity, &pattern, entry);
                }
            }
        }
    }

    /// A right for an hour that makes rights for ever (threat 13).
    fn outlives(&mut self, def: &RuleDef, rights: &Rights) {
        let held = rights.on(ResourceType::Cluster);
        let on_cluster = def.resources.iter().any(|r| r.value.names(ResourceType::Cluster));
        let makes = |right: Right, kafkas: Operation| {
            // A role's rights on ACLs count on any resource.
            let own = held.meets(Bits::of(right)) && (on_cluster || right == Right::AclsWrite);
            own || (on_cluster && held.meets(Bits::kafka(kafkas).union(Bits::kafka(Operation::All))))
        };
        let made: Vec<&str> = [
            ("acls", Right::AclsWrite, Operation::Alter),
            ("credentials at the brokers", Right::CredentialsWrite, Operation::Alter),
            ("configs of brokers", Right::BrokerConfigsWrite, Operation::AlterConfigs),
            ("quotas", Right::QuotasWrite, Operation::AlterConfigs),
        ]
        .into_iter()
        .filter_map(|(what, right, kafkas)| makes(right, kafkas).then_some(what))
        .collect();
        if !made.is_empty() {
            self.warnings.at(def.at, format!("{} that are made under this grant stay when it ends", made.join(", ")));
        }
    }

    /// A role that sees or edits ACLs, given on some resources: the ACLs whose pattern lies within them. Given on the
    /// cluster, it is the right that Kafka asks for there, and reaches every ACL.
    fn acl_reach(&mut self, def: &RuleDef, rule: u32, written: Bits, targets: &[Target]) {
        if written.is_empty() {
            return;
        }
        let entry = Entry { rule, deny: false, bits: written, written };
        for target in targets {
            let Target::One(pattern) = target else { continue };
            if pattern.kind == ResourceType::Cluster {
                continue;
            }
            for p in &def.principals {
                let identity = self.directory.number(&p.value);
                self.index.add(identity, pattern, entry);
            }
        }
    }

    /// Notes what of an entry of `acls` Kafka's tools can be shown: Kafka's operations, for hosts that are text, without
    /// bounds that Kafka's model does not have.
    fn show(&mut self, acl: &RuleDef) {
        let (words, permission) = match &acl.gives {
            Gives::Allow(words) => (words, Permission::Allow),
            Gives::Deny(words) => (words, Permission::Deny),
            Gives::Roles(_) => return,
        };
        let bounded = acl.not_before.is_some() || acl.not_after.is_some();
        if bounded || !acl.except.is_empty() || acl.apis.is_some() {
            return;
        }
        let place: Arc<str> = format!("{}:{}", self.base, acl.at.line).into();
        let rights = words.iter().fold(Rights::default(), |all, w| all.and(&w.value.rights));
        for kind in rights.kinds() {
            let operations = Operation::EVERY.into_iter().filter(|op| rights.on(kind).meets(Bits::kafka(*op)));
            for pattern in acl.resources.iter().filter_map(|r| r.value.on(kind)) {
                for operation in operations.clone() {
                    for (p, host) in acl.principals.iter().flat_map(|p| acl.hosts.plain().map(move |h| (p, h))) {
                        let every_cluster = kind == ResourceType::Cluster && pattern.is_every();
                        let name = if every_cluster { CLUSTER_NAME } else { &pattern.name };
                        let (name, principal, host) = (name.to_owned(), p.value.to_string(), host.to_owned());
                        let shown =
                            AclBinding { kind, pattern: pattern.how, name, principal, host, operation, permission };
                        self.shown.push((shown, Arc::clone(&place)));
                    }
                }
            }
        }
    }

    fn rule(&mut self, def: &RuleDef, source: Source, evidence: &Arc<Evidence>, apis: Option<Vec<ApiKey>>) -> u32 {
        let mut except: Vec<Identity> = def.except.iter().map(|p| self.directory.number(&p.value)).collect();
        except.sort_unstable();
        let limited = !def.hosts.is_any() || !except.is_empty() || apis.is_some();
        let revoked =
            source == Source::Grant && def.id.as_ref().is_some_and(|id| self.revoked.contains(id.value.as_str()));
        let id = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.rules.push(Rule {
            source,
            not_before: def.not_before.unwrap_or(Timestamp(i64::MIN)),
            not_after: def.not_after.unwrap_or(Timestamp(i64::MAX)),
            revoked,
            limits: limited.then(|| Box::new(Limits { hosts: def.hosts.clone(), except, apis })),
            evidence: Arc::clone(evidence),
        });
        id
    }

    fn evidence(&self, def: &RuleDef, source: Source, effect: Effect, role: Option<&str>) -> Arc<Evidence> {
        let kind = match (source, effect) {
            (Source::Acl, _) => EvidenceKind::Acl,
            (Source::Binding, _) => EvidenceKind::Binding,
            (Source::Grant, Effect::Allow) => EvidenceKind::Grant,
            (Source::Grant, Effect::Deny) => EvidenceKind::Quarantine,
        };
        let id = match &def.id {
            Some(id) => id.value.clone(),
            None => format!("{}:{}", self.base, def.at.line),
        };
        Arc::new(Evidence {
            kind,
            id: id.into(),
            effect,
            role: role.map(Into::into),
            not_before: def.not_before,
            expires: def.not_after,
            note: def.reason.as_deref().map(Into::into),
        })
    }

    /// What every entry has in common: its time bounds, what is suspicious, and its place in the inventory.
    fn note(&mut self, def: &RuleDef, effect: Effect, gives: &str) {
        self.edges.extend(def.not_before.into_iter().chain(def.not_after));
        if let Some(end) = def.not_after.filter(|end| *end <= self.now) {
            let what = def.id.as_ref().map_or_else(|| "this entry".to_owned(), |id| format!("grant `{}`", id.value));
            self.warnings.at(def.at, format!("{what} has ended, at {end}: remove it when it is no longer needed"));
        }
        for p in def.principals.iter().chain(&def.except) {
            if p.value.kind() == "Group" && !self.group_names.contains(p.value.name()) {
                let hint = did_you_mean(p.value.name(), self.group_names.iter().copied());
                if !hint.is_empty() {
                    let text = format!("group `{}` is not declared in this file{hint}", p.value.name());
                    self.warnings.at(p.at, text);
                }
            }
        }
        let texts = |list: &[At<crate::model::Principal>]| {
            let mut texts: Vec<&str> = list.iter().map(|p| p.value.as_str()).collect();
            texts.sort_unstable();
            texts.join(", ")
        };
        let mut resources: Vec<String> = def.resources.iter().map(|r| r.value.to_string()).collect();
        resources.sort_unstable();
        let mut text = format!("{gives} for [{}] on [{}]", texts(&def.principals), resources.join(", "));
        if let Some(id) = &def.id {
            text.insert_str(0, &format!("grant `{}`: ", id.value));
        }
        if def.hosts != Hosts::ANY {
            let _ = write!(text, " from [{}]", def.hosts.texts().join(", "));
        }
        if !def.except.is_empty() {
            let _ = write!(text, " except [{}]", texts(&def.except));
        }
        if let Some(apis) = &def.apis {
            let names: Vec<&str> = apis.iter().map(|a| a.name()).collect();
            let _ = write!(text, " in [{}]", names.join(", "));
        }
        if let Some(begin) = def.not_before {
            let _ = write!(text, " not before {begin}");
        }
        if let Some(end) = def.not_after {
            let _ = write!(text, " not after {end}");
        }
        match effect {
            Effect::Allow => self.inventory.statements.insert(text),
            Effect::Deny => self.inventory.denies.insert(text),
        };
    }
}
