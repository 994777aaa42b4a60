//! The policy file, understood, and the snapshots that it makes together with the ACLs of the protocol.

use super::acl::{AclBinding, AclSet, Permission};
use super::compile::hex;
use super::decision::{Effect, Evidence, EvidenceKind};
use super::hosts::Hosts;
use super::index::{Builder, Entry, Identity};
use super::pattern::Pattern;
use super::rights::Bits;
use super::snapshot::{FilePart, Limits, Rule, Snapshot, Source};
use super::who::Directory;
use crate::model::{Principal, ProtocolAcls, Revision, Timestamp};
use ahash::{HashMap, HashMapExt as _};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The most characters of an ACL's id: a topic's name, and a principal that is a distinguished name, fit.
const LONGEST: usize = 1_000;

/// A policy file that loaded: with the ACLs of the protocol, which change without it, it makes snapshots.
#[derive(Debug)]
pub struct PolicySource {
    /// SHA-256 of the file, in hexadecimal.
    pub(super) hash: String,
    pub(super) directory: Directory,
    pub(super) index: Builder,
    pub(super) rules: Vec<Rule>,
    pub(super) file: Arc<FilePart>,
}

impl PolicySource {
    /// Whether the file ends with `end: true`, which proves that it is whole. A reload from a file that did to one that
    /// does not is a half-written file more often than an edit (threat 37): its denies may be what is missing.
    pub fn proves_whole(&self) -> bool {
        self.file.whole
    }

    /// The policy of the file and of these ACLs.
    pub fn snapshot(&self, acls: &AclSet) -> Arc<Snapshot> {
        let mut directory = self.directory.clone();
        let mut index = self.index.clone();
        let mut rules = self.rules.clone();
        rules.reserve(acls.len());
        let mut numbers: HashMap<&str, Option<Identity>> = HashMap::new();
        for acl in acls.iter() {
            let pattern = Pattern { kind: acl.kind, how: acl.pattern, name: acl.name.clone() };
            // Whoever it names, it closes the name where the default is `allow_if_no_acl` (threat 10).
            index.note_acl(&pattern);
            let identity = *numbers.entry(&acl.principal).or_insert_with(|| {
                // A text without a colon names nobody. Kafka refuses to store it.
                acl.principal.parse::<Principal>().ok().map(|principal| directory.number(&principal))
            });
            let Some(identity) = identity else { continue };
            let written = Bits::kafka(acl.operation);
            let deny = acl.permission == Permission::Deny;
            let bits = if deny { written.held_back_by_deny() } else { written.implied_by_allow() };
            let rule = u32::try_from(rules.len()).unwrap_or(u32::MAX);
            index.add(identity, &pattern, Entry { rule, deny, bits, written });
            rules.push(self.rule(acl));
        }
        let offset = acls.offset().and_then(|offset| u64::try_from(offset).ok());
        // Decisions are told by which ACLs they were made, and replicas compared, where no offset says so too.
        let revision = match offset {
            None if !acls.is_empty() => Revision::of_hashes(&self.hash, &hash_of(acls)),
            offset => Revision::new(&self.hash, offset),
        };
        Arc::new(Snapshot {
            revision,
            directory,
            index: index.build(),
            rules,
            protocol: acls.clone(),
            file: Arc::clone(&self.file),
        })
    }

    fn rule(&self, acl: &AclBinding) -> Rule {
        let effect = match acl.permission {
            Permission::Allow => Effect::Allow,
            Permission::Deny => Effect::Deny,
        };
        let id = cut(format!("{}:{acl}", self.file.mode.as_str())).into();
        let (role, not_before, expires, note) = (None, None, None, None);
        let hosts = Hosts::of_protocol_acl(&acl.host);
        Rule {
            source: Source::Acl,
            not_before: Timestamp(i64::MIN),
            not_after: Timestamp(i64::MAX),
            revoked: false,
            limits: (!hosts.is_any()).then(|| Box::new(Limits { hosts, except: Vec::new(), apis: None })),
            evidence: Arc::new(Evidence { kind: EvidenceKind::Acl, id, effect, role, not_before, expires, note }),
        }
    }
}

/// The SHA-256 of ACLs, in hexadecimal.
fn hash_of(acls: &AclSet) -> String {
    let mut hash = Sha256::new();
    for acl in acls.iter() {
        hash.update([acl.kind.code(), acl.pattern.code(), acl.operation.code(), acl.permission.code()]);
        for text in [&acl.name, &acl.principal, &acl.host] {
            // With its length, so that no text runs into the next.
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        }
    }
    hex(&hash.finalize())
}

/// The id of an ACL stands in every event that it decides: what somebody wrote into it is not repeated at any length.
fn cut(mut id: String) -> String {
    if let Some((end, _)) = id.char_indices().nth(LONGEST) {
        id.truncate(end);
        id.push('…');
    }
    id
}

impl Snapshot {
    /// Where the protocol's ACLs live.
    pub fn protocol_acls_mode(&self) -> ProtocolAcls {
        self.file.mode
    }

    /// The ACLs made over the protocol that this snapshot was compiled with.
    pub fn protocol_acls(&self) -> &AclSet {
        &self.protocol
    }

    /// What Kafka's tools are shown: the file's ACLs that Kafka's model can express, each with file and line, and then
    /// those made over the protocol. Both lists are sorted.
    pub fn shown_acls(&self) -> impl Iterator<Item = (&AclBinding, Option<&str>)> {
        let file = self.file.shown.iter().map(|(acl, place)| (acl, Some(&**place)));
        file.chain(self.protocol.iter().map(|acl| (acl, None)))
    }

    /// Whether an ACL speaks of the proxy itself, or of whoever comes past it: `User:*`, `User:ANONYMOUS`, the principals
    /// under which the proxy speaks to brokers. Where ACLs are the cluster's own, only super users write those (threat 21).
    pub fn speaks_of_the_proxy(&self, principal: &str) -> bool {
        principal == "User:*"
            || principal == "User:ANONYMOUS"
            || self.file.own_principals.iter().any(|own| own == principal)
    }
}
