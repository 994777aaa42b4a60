//! What a load changes.

use std::collections::BTreeSet;

/// What a file says, as texts that can be compared.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Names of static groups.
    pub(super) groups: BTreeSet<String>,
    /// Everything that allows, or says who is who.
    pub(super) statements: BTreeSet<String>,
    /// Everything that denies.
    pub(super) denies: BTreeSet<String>,
}

/// What a newer policy changes against an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Denies that are gone: the reason why loads are looked at (threat 37).
    pub denies_dropped: Vec<String>,
    /// Anything else that is gone.
    pub removed: Vec<String>,
    /// What is new.
    pub added: Vec<String>,
}

impl Changes {
    /// Whether nothing changes what the policy says (comments and order may).
    pub fn is_empty(&self) -> bool {
        self.denies_dropped.is_empty() && self.removed.is_empty() && self.added.is_empty()
    }
}

impl super::Snapshot {
    /// What this policy changes against an older one.
    pub fn changes_since(&self, older: &Self) -> Changes {
        let (new, old) = (&self.file.inventory, &older.file.inventory);
        Changes {
            denies_dropped: old.denies.difference(&new.denies).cloned().collect(),
            removed: old.statements.difference(&new.statements).cloned().collect(),
            added: new
                .statements
                .difference(&old.statements)
                .chain(new.denies.difference(&old.denies))
                .cloned()
                .collect(),
        }
    }
}
