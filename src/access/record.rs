//! The records of the state topic: keyed, versioned JSON.
//!
//! | key | value |
//! |---|---|
//! | `genesis` | which topic this is: its id, told by the cluster when it was initialised |
//! | `acl:[type,pattern,name,principal,host,operation,permission]` | that this ACL is there, or that it has ended; who did it |
//! | `fence` | nothing; whatever an earlier epoch of its writer sent arrives before it or never |
//!
//! An end is a record: were it a tombstone, a proxy that was away for `delete.retention.ms` would keep the right for ever
//! (threat 16). This version writes no tombstones. Whatever a reader does not understand word for word it may not ignore:
//! any addition raises the version.

use crate::model::{Operation, PatternType, ResourceType};
use crate::policy::{AclBinding, Permission};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version that is written, and the newest that is read.
// FROZEN: raised with every change of what values hold; pinned by `the_format_is_frozen`.
pub const VERSION: u32 = 1;

const GENESIS: &str = "genesis";
const FENCE: &str = "fence";
const ACL: &str = "acl:";

/// Who asked for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeBy {
    /// The principal.
    pub principal: String,
    /// The client's address.
    pub address: String,
    /// Its client id.
    pub client_id: Option<String>,
    /// Where it came in.
    pub listener: String,
    /// The proxy that took it.
    pub instance: String,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Which topic this is.
    Genesis(Genesis),
    /// An ACL came or went.
    Acl {
        /// Which.
        acl: AclBinding,
        /// Whether it is there from here on.
        present: bool,
        /// Who did it.
        by: Arc<ChangeBy>,
    },
    /// Nothing.
    Fence,
}

/// Which topic this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The topic's id: a topic that was made anew, or copied, has another.
    pub id: String,
    /// The cluster's name in the configuration that initialised it.
    pub cluster: String,
    /// The proxy that did.
    pub instance: String,
    /// When, by its clock.
    pub at: String,
}

/// Why a record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer version of the proxy.
    #[error("it has version {0}, this proxy knows {VERSION}: upgrade this proxy")]
    Newer(u64),
    /// Not written by a proxy, or damaged.
    #[error("it is no record of this version: {0}")]
    Malformed(String),
}

/// A record in the topic's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Value {
    Genesis {
        v: u32,
        genesis: Genesis,
    },
    Acl {
        v: u32,
        state: State,
        acl: Box<Words>,
        by: ChangeBy,
        /// By the clock of who wrote it; the broker's stands in the record's timestamp.
        at: String,
    },
    Fence {
        v: u32,
        instance: String,
    },
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Present,
    Ended,
}

/// An ACL in the words of Kafka's tools.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    r#type: String,
    pattern: String,
    name: String,
    principal: String,
    host: String,
    operation: String,
    permission: String,
}

impl Words {
    fn of(acl: &AclBinding) -> Self {
        Self {
            r#type: acl.kind.policy_word().to_owned(),
            pattern: acl.pattern.kafka_name().to_owned(),
            name: acl.name.clone(),
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.kafka_name().to_owned(),
            permission: acl.permission.name().to_owned(),
        }
    }

    fn read(self) -> Result<AclBinding, RecordError> {
        let unknown = |what: &str, word: &str| RecordError::Malformed(format!("`{word}` is no {what}"));
        let kind = ResourceType::EVERY.into_iter().find(|k| k.policy_word() == self.r#type);
        let pattern =
            [PatternType::Literal, PatternType::Prefixed].into_iter().find(|p| p.kafka_name() == self.pattern);
        let operation = Operation::EVERY.into_iter().find(|o| o.kafka_name() == self.operation);
        let permission = [Permission::Deny, Permission::Allow].into_iter().find(|p| p.name() == self.permission);
        Ok(AclBinding {
            kind: kind.ok_or_else(|| unknown("type", &self.r#type))?,
            pattern: pattern.ok_or_else(|| unknown("pattern", &self.pattern))?,
            operation: operation.ok_or_else(|| unknown("operation", &self.operation))?,
            permission: permission.ok_or_else(|| unknown("permission", &self.permission))?,
            name: self.name,
            principal: self.principal,
            host: self.host,
        })
    }
}

/// The key of an ACL: the same ACL has the same key, another one another.
fn key_of(acl: &AclBinding) -> Vec<u8> {
    let Words { r#type, pattern, name, principal, host, operation, permission } = Words::of(acl);
    let words = serde_json::json!([r#type, pattern, name, principal, host, operation, permission]);
    format!("{ACL}{words}").into_bytes()
}

/// The ACL that a key is of; `None`: of none.
pub(super) fn acl_of(key: &[u8]) -> Option<AclBinding> {
    let words: [String; 7] = serde_json::from_slice(key.strip_prefix(ACL.as_bytes())?).ok()?;
    let [r#type, pattern, name, principal, host, operation, permission] = words;
    let acl = Words { r#type, pattern, name, principal, host, operation, permission }.read().ok()?;
    // The same ACL in another spelling is another key.
    (key_of(&acl) == key).then_some(acl)
}

/// The key of the record that says which topic this is.
pub(super) const fn genesis_key() -> &'static [u8] {
    GENESIS.as_bytes()
}

/// The record that says which topic this is.
pub fn genesis(genesis: Genesis) -> Encoded {
    encode(GENESIS.as_bytes().to_vec(), &Value::Genesis { v: VERSION, genesis })
}

/// The record of an ACL that came or went.
pub fn acl(acl: &AclBinding, present: bool, by: &Arc<ChangeBy>, at: &str) -> Encoded {
    let state = if present { State::Present } else { State::Ended };
    let (acl_words, by, at) = (Words::of(acl), ChangeBy::clone(by), at.to_owned());
    encode(key_of(acl), &Value::Acl { v: VERSION, state, acl: Box::new(acl_words), by, at })
}

/// The record behind which nothing of an earlier epoch arrives.
pub fn fence(instance: &str) -> Encoded {
    encode(FENCE.as_bytes().to_vec(), &Value::Fence { v: VERSION, instance: instance.to_owned() })
}

fn encode(key: Vec<u8>, value: &Value) -> Encoded {
    // Strings and numbers only: nothing that JSON cannot hold.
    Encoded { key, value: serde_json::to_vec(value).unwrap_or_default() }
}

/// Reads a record that is no tombstone.
///
/// # Errors
/// A [`RecordError`]; what it says is not known, so nothing may go on as if it were not there.
pub fn decode(key: &[u8], value: &[u8]) -> Result<Record, RecordError> {
    let malformed = |cause: serde_json::Error| RecordError::Malformed(cause.to_string());
    let tree: serde_json::Value = serde_json::from_slice(value).map_err(malformed)?;
    // Looked at first: a newer version may hold anything else.
    match tree.get("v").and_then(serde_json::Value::as_u64) {
        Some(v) if v == u64::from(VERSION) => {}
        Some(v) if v > u64::from(VERSION) => return Err(RecordError::Newer(v)),
        Some(_) | None => return Err(RecordError::Malformed("`v` is missing or no version".to_owned())),
    }
    let (record, own_key) = match serde_json::from_value(tree).map_err(malformed)? {
        Value::Genesis { genesis, .. } => (Record::Genesis(genesis), GENESIS.as_bytes().to_vec()),
        Value::Fence { .. } => (Record::Fence, FENCE.as_bytes().to_vec()),
        Value::Acl { state, acl, by, .. } => {
            let acl = acl.read()?;
            let key = key_of(&acl);
            (Record::Acl { acl, present: state == State::Present, by: Arc::new(by) }, key)
        }
    };
    // Compaction goes by the key: a value under another one would take that one's place.
    if own_key == key {
        Ok(record)
    } else {
        Err(RecordError::Malformed("its key is not that of what it says".to_owned()))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::access) fn by() -> Arc<ChangeBy> {
        let text = |t: &str| t.to_owned();
        let (principal, address, client_id) = (text("User:root"), text("10.0.0.1:4711"), Some(text("admin")));
        Arc::new(ChangeBy { principal, address, client_id, listener: text("external"), instance: text("p-1") })
    }

    pub(in crate::access) fn any_acl() -> impl Strategy<Value = AclBinding> {
        let text = || prop::sample::select(vec!["", "*", "a", "b\"", "ä,\u{1}", "tx_", "kafka-cluster"]);
        (0_usize..6, any::<bool>(), text(), text(), text(), 0_usize..14, any::<bool>()).prop_map(
            |(kind, prefixed, name, principal, host, operation, allow)| AclBinding {
                kind: ResourceType::EVERY[kind],
                pattern: if prefixed { PatternType::Prefixed } else { PatternType::Literal },
                name: name.to_owned(),
                principal: format!("User:{principal}"),
                host: host.to_owned(),
                operation: Operation::EVERY[operation],
                permission: if allow { Permission::Allow } else { Permission::Deny },
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(acl in any_acl(), present: bool) {
            let Encoded { key, value } = super::acl(&acl, present, &by(), "2026-11-21T23:36:45.123Z");
            prop_assert_eq!(decode(&key, &value), Ok(Record::Acl { acl, present, by: by() }));
        }

        #[test]
        fn keys_are_equal_where_the_acls_are(a in any_acl(), b in any_acl()) {
            prop_assert_eq!(key_of(&a) == key_of(&b), a == b);
        }

        #[test]
        fn no_bytes_do_harm(key: Vec<u8>, value: Vec<u8>) {
            prop_assert!(decode(&key, &value).is_err());
        }
    }

    #[test]
    fn the_format_is_frozen() {
        let acl = AclBinding {
            kind: ResourceType::TransactionalId,
            pattern: PatternType::Prefixed,
            name: "tx\"".into(),
            principal: "User:bob".into(),
            host: "*".into(),
            operation: Operation::IdempotentWrite,
            permission: Permission::Deny,
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let record = super::acl(&acl, false, &by(), "T");
        assert_eq!(
            text(&record.key),
            r#"acl:["transactional_id","PREFIXED","tx\"","User:bob","*","IDEMPOTENT_WRITE","DENY"]"#
        );
        assert_eq!(
            text(&record.value),
            r#"{"kind":"acl","v":1,"state":"ended","acl":{"type":"transactional_id","pattern":"PREFIXED","name":"tx\"","principal":"User:bob","host":"*","operation":"IDEMPOTENT_WRITE","permission":"DENY"},"by":{"principal":"User:root","address":"10.0.0.1:4711","client_id":"admin","listener":"external","instance":"p-1"},"at":"T"}"#
        );
        let [id, cluster, instance, at] = ["I", "c", "p-1", "T"].map(str::to_owned);
        let record = genesis(Genesis { id, cluster, instance, at });
        assert_eq!(
            (text(&record.key).as_str(), text(&record.value).as_str()),
            ("genesis", r#"{"kind":"genesis","v":1,"genesis":{"id":"I","cluster":"c","instance":"p-1","at":"T"}}"#)
        );
        let record = fence("p-1");
        assert_eq!(
            (text(&record.key).as_str(), text(&record.value).as_str()),
            ("fence", r#"{"kind":"fence","v":1,"instance":"p-1"}"#)
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_says_what_to_do() {
        let good = fence("p");
        for (key, value, error) in [
            ("fence", r#"{"kind":"fence","v":2}"#, "it has version 2, this proxy knows 1: upgrade this proxy"),
            ("fence", "{}", "it is no record of this version: `v` is missing or no version"),
            ("grant:1", r#"{"kind":"grant","v":1}"#, "unknown variant `grant`"),
            ("fence", r#"{"kind":"fence","v":1,"instance":"p","more":1}"#, "unknown field `more`"),
            ("genesis", std::str::from_utf8(&good.value).unwrap(), "its key is not that of what it says"),
        ] {
            let told = decode(key.as_bytes(), value.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(error), "{told}");
        }
    }
}
