//! Which policy a decision was made by.

use std::fmt;
use std::sync::Arc;

/// First 12 hex digits of the policy file's SHA-256, `@`, offset of the last applied state record: `9f2c01ab77de@4711`. Where
/// brokers keep the ACLs, their hash: `9f2c01ab77de@acls-0b51ae90`; `-` where there are none of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// A revision from its two parts.
    pub fn new(file_sha256_hex: &str, state_offset: Option<u64>) -> Self {
        let file = file_sha256_hex.get(..12).unwrap_or(file_sha256_hex);
        match state_offset {
            Some(offset) => Self(format!("{file}@{offset}").into()),
            None => Self(format!("{file}@-").into()),
        }
    }

    /// A revision of a file and of ACLs that have a hash, and no order.
    pub fn of_hashes(file_sha256_hex: &str, acls_sha256_hex: &str) -> Self {
        let file = file_sha256_hex.get(..12).unwrap_or(file_sha256_hex);
        let acls = acls_sha256_hex.get(..8).unwrap_or(acls_sha256_hex);
        Self(format!("{file}@acls-{acls}").into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
