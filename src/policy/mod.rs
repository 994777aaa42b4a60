//! The policy: the file that operators write, compiled to an immutable snapshot that decides. Pure: no I/O, no clock.
//!
//! ```text
//! bytes ─▶ yaml tree ─▶ Document ─▶ roles resolved, patterns indexed ─▶ Snapshot ─▶ decide(Query) ─▶ Decision ─▶ Permit
//!          parse.rs: every fault at once        compile.rs                snapshot.rs
//! ```
//!
//! Enforcement, `kordon explain` and the audit ask the same [`Snapshot::decide`].

mod acl;
mod any;
mod compile;
mod decision;
mod diff;
mod document;
mod explain;
mod hosts;
mod index;
mod parse;
mod pattern;
mod reach;
mod reason;
mod rights;
mod roles;
mod snapshot;
mod source;
mod who;
mod words;

pub use crate::model::ProtocolAcls;
pub use acl::{AclBinding, AclChange, AclChanged, AclFilter, AclSet, ChangeRefused, PatternFilter, Permission};
pub use compile::Loaded;
pub use decision::{Decision, Effect, Evidence, EvidenceKind, Miss, Permit};
pub use diff::Changes;
pub use explain::{Considered, Explanation, Outcome};
pub use hosts::Hosts;
pub use pattern::Pattern;
pub use reach::AclReach;
pub use reason::ReasonCode;
pub use rights::{Right, Use};
pub use snapshot::{OwnTopics, Protection, Query, Settings, Snapshot};
pub use source::PolicySource;

#[cfg(test)]
mod tests;
