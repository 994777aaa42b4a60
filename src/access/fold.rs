//! What the state topic says: a pure fold over its records. Compaction leaves it as it is.

use super::record::{ChangeBy, Genesis, Record, decode};
use crate::model::shown;
use crate::policy::{AclBinding, AclSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state after some records.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    genesis: Option<Genesis>,
    /// Shared with the sets that are made of it.
    acls: BTreeMap<Arc<AclBinding>, Held>,
    /// By key: where a record stands that is not understood, and why. A later one with the same key heals it, as
    /// compaction would have taken it away.
    unreadable: BTreeMap<Vec<u8>, Unreadable>,
    offset: Option<i64>,
}

/// What is known of an ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    present: bool,
    by: Arc<ChangeBy>,
    /// Of the record that says so.
    offset: i64,
}

/// A record that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands.
    pub offset: i64,
    /// Why. What is quoted in it is safe to be shown.
    pub cause: String,
}

/// An ACL that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which.
    pub acl: AclBinding,
    /// Whether it came.
    pub present: bool,
    /// Who did it; `None`: not told, where the brokers keep the ACLs.
    pub by: Option<Arc<ChangeBy>>,
}

impl Fold {
    /// Takes the next record; `None` as a value is a tombstone.
    pub fn apply(&mut self, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.offset = Some(offset);
        // A compacted topic takes no record without a key; all of them count as one, that nothing heals.
        let key = key.unwrap_or_default();
        self.unreadable.remove(key);
        let Some(value) = value else { return self.forget(key) };
        match decode(key, value) {
            Ok(Record::Genesis(genesis)) => self.genesis = Some(genesis),
            Ok(Record::Acl { acl, present, by }) => {
                self.acls.insert(Arc::new(acl), Held { present, by, offset });
            }
            Ok(Record::Fence) => {}
            Err(cause) => {
                // What stood under the key before is gone as far as compaction is concerned.
                self.forget(key);
                self.unreadable
                    .insert(key.to_owned(), Unreadable { offset, cause: shown(&cause.to_string()).into_owned() });
            }
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if key == super::record::genesis_key() {
            self.genesis = None;
        } else if let Some(acl) = super::record::acl_of(key) {
            self.acls.remove(&acl);
        }
    }

    /// Which topic this is; `None`: it was not initialised.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_ref()
    }

    /// The first record that is not understood.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.unreadable.values().min_by_key(|u| u.offset)
    }

    /// The offset of the last record.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Whether there was no record.
    pub fn is_empty(&self) -> bool {
        self.offset.is_none()
    }

    /// The ACLs that are there.
    pub fn present(&self) -> impl Iterator<Item = &AclBinding> {
        self.there().map(|acl| &**acl)
    }

    fn there(&self) -> impl Iterator<Item = &Arc<AclBinding>> {
        self.acls.iter().filter(|(_, held)| held.present).map(|(acl, _)| acl)
    }

    /// The ACL that is like this one, if it is there.
    pub fn find(&self, acl: &AclBinding) -> Option<&AclBinding> {
        self.acls.get_key_value(acl).filter(|(_, held)| held.present).map(|(acl, _)| &**acl)
    }

    /// Whether an ACL is there.
    pub fn holds(&self, acl: &AclBinding) -> bool {
        self.acls.get(acl).is_some_and(|held| held.present)
    }

    /// The ACLs as a set.
    pub fn set(&self) -> AclSet {
        AclSet::of(self.there().cloned(), self.offset)
    }

    /// ACLs of an earlier state of which this one knows nothing, not even that they have ended.
    pub fn lost_since<'f>(&'f self, earlier: &'f Self) -> impl Iterator<Item = &'f AclBinding> {
        earlier.present().filter(|acl| !self.acls.contains_key(*acl))
    }

    /// What came and went since an earlier state, in the order in which it did.
    pub fn made_since(&self, earlier: &Self) -> Vec<Made> {
        let news = |(acl, held): &(&Arc<AclBinding>, &Held)| earlier.holds(acl) != held.present;
        let mut made: Vec<(&Arc<AclBinding>, &Held)> = self.acls.iter().filter(news).collect();
        made.sort_unstable_by_key(|(_, held)| held.offset);
        let told = |(acl, held): (&Arc<AclBinding>, &Held)| Made {
            acl: AclBinding::clone(acl),
            present: held.present,
            by: Some(Arc::clone(&held.by)),
        };
        made.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{any_acl, by};
    use super::super::record::{self, Encoded};
    use super::*;
    use proptest::prelude::*;

    /// Key, value.
    type Entry = (Vec<u8>, Option<Vec<u8>>);

    fn any_record() -> impl Strategy<Value = Entry> {
        let entry = |Encoded { key, value }: Encoded| (key, Some(value));
        // Few different ACLs, so that keys come again.
        let few = any_acl().prop_map(|mut acl| {
            (acl.name, acl.host) = ("t".into(), "*".into());
            acl
        });
        let genesis = |id: String| {
            let [cluster, instance, at] = ["c", "p", "T"].map(str::to_owned);
            record::genesis(record::Genesis { id, cluster, instance, at })
        };
        prop_oneof![
            8 => (few, any::<bool>()).prop_map(move |(acl, present)| entry(record::acl(&acl, present, &by(), "T"))),
            1 => "[ab]".prop_map(move |id| entry(genesis(id))),
            1 => Just(entry(record::fence("p"))),
        ]
    }

    /// A log: some of its records are tombstones, newer than known, or damaged.
    fn any_log() -> impl Strategy<Value = Vec<Entry>> {
        let spoilt = (any_record(), 0..10).prop_map(|((key, value), what)| match what {
            0 => (key, None),
            1 => (key, Some(br#"{"v":2}"#.to_vec())),
            2 => (key, Some(b"?".to_vec())),
            3 => (b"grant:1".to_vec(), value),
            _ => (key, value),
        });
        prop::collection::vec(spoilt, 0..60)
    }

    fn fold<'l>(log: impl Iterator<Item = (i64, &'l Entry)>) -> Fold {
        let mut fold = Fold::default();
        log.for_each(|(offset, (key, value))| fold.apply(offset, Some(key), value.as_deref()));
        fold
    }

    fn compacted(log: &[Entry], keep_tombstones: bool) -> Vec<(i64, &Entry)> {
        let last = |key: &[u8]| log.iter().rposition(|(k, _)| k == key);
        let stays = |(i, (key, value)): &(usize, &Entry)| last(key) == Some(*i) && (keep_tombstones || value.is_some());
        log.iter().enumerate().filter(stays).map(|(i, entry)| (i64::try_from(i).unwrap(), entry)).collect()
    }

    proptest! {
        /// A proxy that reads the topic late, compacted or not, with tombstones or without, comes to the same state.
        #[test]
        fn compaction_changes_nothing(log in any_log(), keep_tombstones: bool) {
            let whole = fold((0..).zip(&log));
            let short = fold(compacted(&log, keep_tombstones).into_iter());
            prop_assert_eq!(&whole.genesis, &short.genesis);
            prop_assert_eq!(&whole.acls, &short.acls);
            prop_assert_eq!(&whole.unreadable, &short.unreadable);
        }

        /// Compacted up to some point only, as brokers do it.
        #[test]
        fn a_half_compacted_log_says_the_same(log in any_log(), cut in 0_usize..60) {
            let cut = cut.min(log.len());
            let head = compacted(&log[..cut], true);
            let tail = (i64::try_from(cut).unwrap()..).zip(&log[cut..]);
            let (whole, half) = (fold((0..).zip(&log)), fold(head.into_iter().chain(tail)));
            prop_assert_eq!((&whole.genesis, &whole.acls), (&half.genesis, &half.acls));
            prop_assert_eq!((&whole.unreadable, whole.offset), (&half.unreadable, half.offset));
        }
    }

    fn put(fold: &mut Fold, offset: i64, record: &Encoded) {
        fold.apply(offset, Some(&record.key), Some(&record.value));
    }

    fn acl(name: &str) -> AclBinding {
        use crate::model::{Operation, PatternType, ResourceType};
        AclBinding {
            kind: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: name.into(),
            principal: "User:a".into(),
            host: "*".into(),
            operation: Operation::Read,
            permission: crate::policy::Permission::Deny,
        }
    }

    #[test]
    fn a_record_that_is_not_understood_is_told_until_its_key_is_written_again() {
        let mut fold = Fold::default();
        let record = record::acl(&acl("a"), true, &by(), "T");
        put(&mut fold, 0, &record);
        fold.apply(1, Some(&record.key), Some(br#"{"v":9}"#));
        assert_eq!(fold.unreadable().map(|u| u.offset), Some(1));
        put(&mut fold, 2, &record);
        assert_eq!((fold.unreadable(), fold.holds(&acl("a"))), (None, true));
        fold.apply(3, Some(b"grant:7"), Some(br#"{"v":1,"kind":"grant"}"#));
        assert_eq!(fold.unreadable().map(|u| u.offset), Some(3));
        fold.apply(
            4,
            Some(b"acl:?"),
            Some("{\"\u{1b}[2J\nall is well\": 1, \"v\": 1, \"kind\": \"\u{202e}\"}".as_bytes()),
        );
        fold.apply(5, Some(b"grant:7"), None);
        let cause = &fold.unreadable().unwrap().cause;
        assert!(!cause.contains(['\u{1b}', '\n', '\u{202e}']), "safe to be shown: {cause}");
        fold.apply(6, Some(b"acl:?"), None);
        assert_eq!(fold.unreadable(), None);
    }

    #[test]
    fn an_end_is_remembered_and_a_lost_acl_is_missed() {
        let (mut earlier, mut later) = (Fold::default(), Fold::default());
        for (offset, name) in [(0, "a"), (1, "b")] {
            put(&mut earlier, offset, &record::acl(&acl(name), true, &by(), "T"));
        }
        put(&mut later, 5, &record::acl(&acl("a"), false, &by(), "T"));
        let lost: Vec<_> = later.lost_since(&earlier).collect();
        assert_eq!(lost, [&acl("b")], "the end of `a` is known");
        let made = later.made_since(&earlier);
        assert_eq!(made, [Made { acl: acl("a"), present: false, by: Some(by()) }]);
        assert_eq!(earlier.set().len(), 2);
        assert_eq!(later.set().offset(), Some(5));
    }
}
