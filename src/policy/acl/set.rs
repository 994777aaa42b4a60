//! All ACLs that were made over the protocol.

use super::{AclBinding, AclChange, AclChanged, AclFilter};
use std::sync::Arc;

/// An immutable set of ACLs, in their order. Cheap to clone, and cheap to change into another: what stays is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclSet {
    /// Sorted, each once.
    acls: Arc<[Arc<AclBinding>]>,
    offset: Option<i64>,
}

impl AclSet {
    /// The set of these ACLs. `offset`: that of the last state record it stands for; `None` where none is followed.
    pub fn new(acls: impl IntoIterator<Item = AclBinding>, offset: Option<i64>) -> Self {
        Self::of(acls.into_iter().map(Arc::new), offset)
    }

    /// The same of ACLs that are shared with somebody.
    pub fn of(acls: impl IntoIterator<Item = Arc<AclBinding>>, offset: Option<i64>) -> Self {
        let mut acls: Vec<Arc<AclBinding>> = acls.into_iter().collect();
        // Sorted already as a rule, which the stable sort finds out.
        acls.sort();
        acls.dedup();
        Self { acls: acls.into(), offset }
    }

    /// The ACLs, in their order, each once.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &AclBinding> {
        self.acls.iter().map(|acl| &**acl)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.acls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.acls.is_empty()
    }

    /// The offset of the last state record that the set stands for.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// The same ACLs, as of another offset.
    #[must_use]
    pub fn at(&self, offset: Option<i64>) -> Self {
        Self { acls: Arc::clone(&self.acls), offset }
    }

    /// Whether an ACL is in the set.
    pub fn contains(&self, acl: &AclBinding) -> bool {
        self.acls.binary_search_by(|a| (**a).cmp(acl)).is_ok()
    }

    /// The ACLs that a filter matches.
    pub fn matching<'s>(&'s self, filter: &'s AclFilter) -> impl Iterator<Item = &'s AclBinding> {
        self.iter().filter(|acl| filter.matches(acl))
    }

    /// As [`AclSet::matching`], without a look at every ACL where the filter can match one only.
    pub fn found(&self, filter: &AclFilter) -> Vec<AclBinding> {
        match filter.only() {
            Some(acl) => self.contains(&acl).then_some(acl).into_iter().collect(),
            None => self.matching(filter).cloned().collect(),
        }
    }

    /// The set after a change, and what the client is told. What two filters match is told twice and removed once.
    #[must_use]
    pub fn changed(&self, change: &AclChange, offset: Option<i64>) -> (Self, AclChanged) {
        match change {
            AclChange::Create(more) => (self.with(more, offset), AclChanged::Created),
            AclChange::Delete(filters) => {
                let told: Vec<Vec<AclBinding>> = filters.iter().map(|f| self.found(f)).collect();
                let gone: Vec<AclBinding> = told.iter().flatten().cloned().collect();
                (self.without(&gone, offset), AclChanged::Deleted(told))
            }
        }
    }

    /// The set with more ACLs.
    #[must_use]
    pub fn with(&self, more: &[AclBinding], offset: Option<i64>) -> Self {
        let mut acls = self.acls.to_vec();
        acls.extend(more.iter().cloned().map(Arc::new));
        // Mostly sorted already, which the stable sort finds out.
        acls.sort();
        acls.dedup();
        Self { acls: acls.into(), offset }
    }

    /// The set without some ACLs.
    #[must_use]
    pub fn without(&self, gone: &[AclBinding], offset: Option<i64>) -> Self {
        let mut gone: Vec<&AclBinding> = gone.iter().collect();
        gone.sort_unstable();
        let left = self.acls.iter().filter(|acl| gone.binary_search(&&***acl).is_err());
        Self { acls: left.cloned().collect(), offset }
    }
}
