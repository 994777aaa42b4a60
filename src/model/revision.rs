//! Which policy a decision was made by.

use std::fmt;
use std::sync::Arc;

/// First 12 hex digits of the policy file's SHA-256, `@`, offset of the last applied state record
/// (`-` where no state topic is followed): `9f2c01ab77de@4711`.
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
