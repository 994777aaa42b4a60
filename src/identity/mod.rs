//! Who a client is: the only place that makes [`Verified`](crate::model::Verified) principals.
//! Pure: tables and clock are arguments; reading files is the shell's business.

pub mod certificate;
pub mod fixed;
mod names;
pub mod sasl;
pub mod tokens;
pub mod users;

use crate::model::{Principal, Subject, Timestamp, Verified};
use std::sync::Arc;
use users::Credential;

/// A proved identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who the client is.
    pub principal: Verified<Principal>,
    /// Names of groups (without `Group:`) that the source of the identity claims, sorted, without duplicates.
    pub groups: Arc<[Arc<str>]>,
    /// As [`Subject::may_merge`].
    pub may_merge: bool,
    /// The first instant at which the identity no longer holds.
    pub expires: Option<Timestamp>,
    /// What was proved, where that can end while the client is connected.
    pub credential: Option<Credential>,
}

impl Login {
    /// The subject of a connection; `may_be_super` as its listener says.
    pub fn subject(&self, may_be_super: bool) -> Verified<Subject> {
        let (principal, groups) = (self.principal.get().clone(), Arc::clone(&self.groups));
        Verified::proved(Subject { principal, groups, may_merge: self.may_merge, may_be_super })
    }
}
