//! Who asked the brokers for which change of their ACLs: brokers show ACLs, and not whose they are.

use super::fold::Made;
use super::record::ChangeBy;
use crate::policy::{AclBinding, AclChange, AclChanged, AclFilter, AclSet, Permission};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a change whose outcome nobody knows is expected to show.
const LATE: Duration = Duration::from_secs(10);

/// The changes that this proxy has asked for and not seen yet.
#[derive(Debug, Default)]
pub(super) struct AllAsked {
    all: Mutex<Vec<Asked>>,
    /// Of the next one: none is given twice, as the end of one would be that of another.
    next: AtomicU64,
}

#[derive(Debug)]
struct Asked {
    by: Arc<ChangeBy>,
    what: What,
    /// When it is no longer expected; `None` while it is under way.
    ends: Option<Instant>,
    number: u64,
}

#[derive(Debug)]
enum What {
    Made(BTreeSet<AclBinding>),
    /// What these find; the answer is not there yet.
    Removed(Vec<AclFilter>),
    /// These, as the answer says.
    RemovedThese(BTreeSet<AclBinding>),
}

impl What {
    fn is(&self, acl: &AclBinding, present: bool) -> bool {
        match self {
            Self::Made(acls) => present && acls.contains(acl),
            Self::Removed(filters) => !present && filters.iter().any(|filter| filter.matches(acl)),
            Self::RemovedThese(acls) => !present && acls.contains(acl),
        }
    }
}

/// A change under way. Dropped before [`Self::seen`], it may still show for a while.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    of: &'a AllAsked,
    number: u64,
}

impl AllAsked {
    /// Notes a change before it is asked for.
    pub(super) fn begin(&self, change: &AclChange, by: ChangeBy) -> UnderWay<'_> {
        let what = match change {
            AclChange::Create(acls) => What::Made(acls.iter().cloned().collect()),
            AclChange::Delete(filters) => What::Removed(filters.clone()),
        };
        let mut all = self.all();
        let now = Instant::now();
        all.retain(|asked| asked.ends.is_none_or(|ends| ends > now));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        all.push(Asked { by: Arc::new(by), what, ends: None, number });
        UnderWay { of: self, number }
    }

    /// What came and went between two sets of the brokers' ACLs, and who asked for it here: denies that went first, they are
    /// what somebody should look at.
    pub(super) fn made_between(&self, before: &AclSet, after: &AclSet) -> Vec<Made> {
        let (all, now) = (self.all(), Instant::now());
        let expected = || all.iter().filter(|asked| asked.ends.is_none_or(|ends| ends > now));
        let made = |acl: &AclBinding, present: bool| {
            let by = expected().find(|asked| asked.what.is(acl, present)).map(|asked| Arc::clone(&asked.by));
            Made { acl: acl.clone(), present, by }
        };
        let gone = |permission| before.iter().filter(move |acl| acl.permission == permission && !after.contains(acl));
        let went = gone(Permission::Deny).chain(gone(Permission::Allow)).map(|acl| made(acl, false));
        let came = after.iter().filter(|acl| !before.contains(acl)).map(|acl| made(acl, true));
        went.chain(came).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay<'_> {
    /// The brokers have told what they did: nothing else that the same filters find was asked for.
    pub(super) fn answered(&self, changed: &AclChanged) {
        let AclChanged::Deleted(by_filter) = changed else { return };
        let these = by_filter.iter().flatten().cloned().collect();
        if let Some(asked) = self.of.all().iter_mut().find(|asked| asked.number == self.number) {
            asked.what = What::RemovedThese(these);
        }
    }

    /// It showed, or it is known not to have happened.
    pub(super) fn seen(self) {
        self.of.all().retain(|asked| asked.number != self.number);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(asked) = self.of.all().iter_mut().find(|asked| asked.number == self.number) {
            asked.ends = Some(Instant::now() + LATE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::by;
    use super::super::tests::acl;
    use super::*;

    fn set(names: &[&str]) -> AclSet {
        AclSet::new(names.iter().map(|name| acl(name)), None)
    }

    /// Name, whether it came, whether it is known who did it.
    fn told(asked: &AllAsked, before: &[&str], after: &[&str]) -> Vec<(String, bool, bool)> {
        let made = asked.made_between(&set(before), &set(after));
        made.into_iter().map(|made| (made.acl.name, made.present, made.by.is_some())).collect()
    }

    #[test]
    fn a_change_is_told_with_who_asked_for_it_here_and_another_is_not() {
        let asked = AllAsked::default();
        let change = asked.begin(&AclChange::Create(vec![acl("a")]), ChangeBy::clone(&by()));
        let expected = [("gone".to_owned(), false, false), ("a".to_owned(), true, true), ("b".to_owned(), true, false)];
        assert_eq!(told(&asked, &["gone"], &["a", "b"]), expected);
        assert_eq!(told(&asked, &["a"], &[]), [("a".to_owned(), false, false)], "it was asked to come, not to go");
        change.seen();
        assert_eq!(told(&asked, &[], &["a"]), [("a".to_owned(), true, false)], "it was told already");
    }

    #[test]
    fn the_end_of_one_change_is_not_that_of_the_next() {
        let asked = AllAsked::default();
        let begin = || asked.begin(&AclChange::Create(vec![acl("a")]), ChangeBy::clone(&by()));
        let first = begin();
        let number = first.number;
        // It is dropped behind this, when another may have begun.
        first.seen();
        let second = begin();
        drop(UnderWay { of: &asked, number });
        assert_eq!(asked.all().first().map(|asked| asked.ends), Some(None), "it is under way");
        second.seen();
    }

    #[test]
    fn what_a_filter_would_have_found_later_is_not_its_callers() {
        let asked = AllAsked::default();
        let change = asked.begin(&AclChange::Delete(vec![AclFilter::ANY]), ChangeBy::clone(&by()));
        assert_eq!(told(&asked, &["a"], &[]), [("a".to_owned(), false, true)], "seen before the answer came");
        change.answered(&AclChanged::Deleted(vec![vec![acl("a")]]));
        let expected = [("a".to_owned(), false, true), ("b".to_owned(), false, false)];
        assert_eq!(told(&asked, &["a", "b"], &[]), expected);
        drop(change);
        assert_eq!(told(&asked, &["a"], &[]), [("a".to_owned(), false, true)], "nobody knows what became of it");
    }
}
