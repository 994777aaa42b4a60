//! Under which names a subject appears in rules.

use super::index::Identity;
use crate::model::{Principal, Subject};
use ahash::{HashMap, HashSet};
use std::sync::Arc;

/// The numbers of all principals that rules name, and who is in which static group.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    /// By principal.
    people: HashMap<Box<str>, Person>,
    /// `Group:x`, by `x`.
    groups: HashMap<Box<str>, Identity>,
    /// The groups that the file declares, by name.
    declared: HashSet<Box<str>>,
    everybody: Option<Identity>,
    /// The principals by number.
    names: Vec<Arc<str>>,
}

#[derive(Clone, Debug, Default)]
struct Person {
    own: Option<Identity>,
    /// Of the static groups that it is a member of.
    groups: Vec<Identity>,
    super_user: bool,
    operator: bool,
}

/// The numbers under which rules may name a subject. Held in place: rarely is anybody in more groups.
pub(super) struct Identities {
    near: [Identity; Self::NEAR],
    len: usize,
    /// All of them, once there are too many.
    far: Vec<Identity>,
}

impl Identities {
    const NEAR: usize = 32;

    fn new() -> Self {
        Self { near: [0; Self::NEAR], len: 0, far: Vec::new() }
    }

    fn push(&mut self, identity: Identity) {
        if self.as_slice().contains(&identity) {
            return;
        }
        if self.far.is_empty() {
            if let Some(slot) = self.near.get_mut(self.len) {
                *slot = identity;
                self.len += 1;
                return;
            }
            self.far = self.near.to_vec();
        }
        self.far.push(identity);
    }

    /// All of them, each once.
    pub(super) fn as_slice(&self) -> &[Identity] {
        if self.far.is_empty() { self.near.get(..self.len).unwrap_or_default() } else { &self.far }
    }

    /// Whether one of the subject's numbers is in a sorted list.
    pub(super) fn any_in(&self, sorted: &[Identity]) -> bool {
        self.as_slice().iter().any(|i| sorted.binary_search(i).is_ok())
    }
}

/// A standing that rules do not give.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In `super_users`.
    SuperUser,
    /// In `operators`.
    Operator,
}

impl Directory {
    /// The number of a principal that a rule names.
    pub(super) fn number(&mut self, principal: &Principal) -> Identity {
        let person = self.people.entry(principal.as_str().into()).or_default();
        if let Some(own) = person.own {
            return own;
        }
        let own = Identity::try_from(self.names.len()).unwrap_or(Identity::MAX);
        self.names.push(principal.as_str().into());
        person.own = Some(own);
        if principal.kind() == "Group" {
            self.groups.insert(principal.name().into(), own);
        }
        if principal.as_str() == "User:*" {
            self.everybody = Some(own);
        }
        own
    }

    /// The principal of a number.
    pub(super) fn name(&self, identity: Identity) -> Arc<str> {
        usize::try_from(identity).ok().and_then(|i| self.names.get(i)).map_or_else(|| "".into(), Arc::clone)
    }

    /// The file declares this group.
    pub(super) fn declare(&mut self, group: &str) {
        self.declared.insert(group.into());
    }

    /// Whether the file declares a group.
    pub(super) fn declares(&self, group: &str) -> bool {
        self.declared.contains(group)
    }

    /// The groups that a subject's identity source claims, as far as that is for it to say.
    fn claimed<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a Arc<str>> {
        subject.groups.iter().filter(|group| subject.may_merge || !self.declares(group))
    }

    /// The claimed groups that are not.
    pub(super) fn dropped<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a str> {
        subject.groups.iter().filter(|group| !subject.may_merge && self.declares(group)).map(|group| &**group)
    }

    /// Puts a principal into a static group.
    pub(super) fn join(&mut self, group: &str, member: &Principal) {
        let group = self.number(&Principal::group(group));
        self.people.entry(member.as_str().into()).or_default().groups.push(group);
    }

    /// Puts a principal into `super_users`.
    pub(super) fn raise(&mut self, principal: &Principal, standing: Standing) {
        let person = self.people.entry(principal.as_str().into()).or_default();
        match standing {
            Standing::SuperUser => person.super_user = true,
            Standing::Operator => person.operator = true,
        }
    }

    /// Whether anybody has a standing.
    pub(super) fn raises_any(&self) -> bool {
        self.people.values().any(|person| person.standing().is_some())
    }

    /// Whether a subject is in a group: by the file, or because its identity source claims it.
    pub(super) fn is_member(&self, subject: &Subject, group: &str) -> bool {
        let listed = || {
            let (own, person) = (self.groups.get(group)?, self.people.get(subject.principal.as_str())?);
            Some(person.groups.contains(own))
        };
        self.claimed(subject).any(|claimed| **claimed == *group) || listed().unwrap_or(false)
    }

    /// The standing that the policy gives to a principal, wherever it comes from.
    pub(super) fn standing(&self, principal: &Principal) -> Option<Standing> {
        self.people.get(principal.as_str())?.standing()
    }

    /// The numbers under which rules may name a subject, and the standing of its principal. The numbers are its own,
    /// that of `User:*` (which matches principals of any type), of its static groups, and of those that its identity
    /// source claims.
    pub(super) fn look_up(&self, subject: &Subject) -> (Identities, Option<Standing>) {
        let mut found = Identities::new();
        let person = self.people.get(subject.principal.as_str());
        if let Some(person) = person {
            person.own.into_iter().chain(person.groups.iter().copied()).for_each(|i| found.push(i));
        }
        self.everybody.into_iter().for_each(|i| found.push(i));
        self.claimed(subject).filter_map(|g| self.groups.get(&**g)).for_each(|i| found.push(*i));
        (found, person.and_then(Person::standing))
    }
}

impl Person {
    fn standing(&self) -> Option<Standing> {
        if self.super_user { Some(Standing::SuperUser) } else { self.operator.then_some(Standing::Operator) }
    }
}
