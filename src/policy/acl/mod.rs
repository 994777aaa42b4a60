//! ACLs that Kafka's tools make over the protocol: what they are, how filters find them, the set of them. Pure.
//!
//! Source: `AclBinding`, `AclBindingFilter`, `ResourcePatternFilter`, `AccessControlEntryFilter`, Kafka 4.1
//! (kafka-authorization 3.8, 3.9).

mod binding;
mod filter;
mod set;

pub use binding::{AclBinding, Permission};
pub use filter::{AclFilter, PatternFilter};
pub use set::AclSet;

use crate::wire::ErrorCode;

/// A change that a client asks for: all of one request, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclChange {
    /// These are added; one that exists stays as it is.
    Create(Vec<AclBinding>),
    /// What any of these matches is removed.
    Delete(Vec<AclFilter>),
}

/// What came of a change, once it is durable and in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclChanged {
    /// All of them are there.
    Created,
    /// What was removed, by filter in the order of the request; an ACL that two filters match is in both.
    Deleted(Vec<Vec<AclBinding>>),
}

/// A change did not happen, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChangeRefused {
    /// The code that the client gets in each result.
    pub code: ErrorCode,
    /// The text beside it.
    pub message: String,
}

#[cfg(test)]
mod tests;
