//! The users file: one credential per person, for PLAIN and both SCRAMs.
//!
//! It holds the keys of SCRAM only (RFC 5802): PLAIN is verified by deriving the same key from the password.

mod decoys;
mod file;
mod keys;

pub use file::HEADER;
pub(crate) use file::check_name;
pub use keys::{Hash, ITERATIONS, Keys, LEAST_ITERATIONS, MOST_ITERATIONS};

use super::Login;
use crate::model::{Principal, Timestamp, Verified};
use decoys::Decoys;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The users of a file. Names are unique.
#[derive(Clone, Debug, Default)]
pub struct Users {
    users: Vec<User>,
    by_name: HashMap<Arc<str>, usize>,
    /// Made when first needed.
    decoys: OnceLock<Decoys>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; the principal is `User:` and this.
    pub name: Arc<str>,
    /// Names of groups, without `Group:`, sorted, without duplicates.
    pub groups: Arc<[Arc<str>]>,
    /// The keys of SCRAM-SHA-512.
    pub sha512: Option<Keys>,
    /// The keys of SCRAM-SHA-256.
    pub sha256: Option<Keys>,
    /// The first instant at which logins fail.
    pub expires: Option<Timestamp>,
    /// Whether logins fail.
    pub disabled: bool,
}

impl User {
    /// A user in no group, with keys for both hashes made from a password and one salt of at least 8 bytes.
    pub fn with_password(name: &str, password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut user =
            Self { name: name.into(), groups: [].into(), sha512: None, sha256: None, expires: None, disabled: false };
        user.set_password(password, salt, iterations);
        user
    }

    /// Replaces the keys.
    pub fn set_password(&mut self, password: &str, salt: &[u8], iterations: u32) {
        self.sha512 = Some(Keys::derive(Hash::Sha512, password, salt, iterations));
        self.sha256 = Some(Keys::derive(Hash::Sha256, password, salt, iterations));
    }

    /// Replaces the groups.
    pub fn set_groups<'g>(&mut self, groups: impl IntoIterator<Item = &'g str>) {
        let mut groups: Vec<Arc<str>> = groups.into_iter().map(Arc::from).collect();
        groups.sort();
        groups.dedup();
        self.groups = groups.into();
    }

    /// The keys of a hash.
    pub fn keys(&self, hash: Hash) -> Option<&Keys> {
        match hash {
            Hash::Sha256 => self.sha256.as_ref(),
            Hash::Sha512 => self.sha512.as_ref(),
        }
    }

    /// The keys by which a password is judged.
    fn password_keys(&self) -> Option<&Keys> {
        self.sha512.as_ref().or(self.sha256.as_ref())
    }

    /// Whether the user may log in at this instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        !self.disabled && self.expires.is_none_or(|end| now < end)
    }

    /// The identity of this user, once a mechanism has proved that the client knows what these keys were made of.
    pub(super) fn proved(&self, keys: &Keys) -> Login {
        Login {
            principal: Verified::proved(Principal::user(&self.name)),
            groups: self.groups.clone(),
            // Users file and policy are the same operator's.
            may_merge: true,
            expires: self.expires,
            credential: Some(Credential { name: self.name.clone(), keys: keys.clone() }),
        }
    }
}

/// What a client has proved: that it knows the password that these keys of a user were made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    name: Arc<str>,
    keys: Keys,
}

/// Why a login would fail that was good.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// There is no such user.
    #[error("the user was removed from the users file")]
    Removed,
    /// The user is disabled.
    #[error("the user was disabled in the users file")]
    Disabled,
    /// The user's time is over.
    #[error("the user has expired: see `expires` in the users file")]
    Expired,
    /// The password is another.
    #[error("the user has another password now")]
    Changed,
}

impl Users {
    /// The users in this order; a later one replaces an earlier one of the same name.
    pub fn new(users: Vec<User>) -> Self {
        let mut table = Self::default();
        for user in users {
            table.put(user);
        }
        table
    }

    /// The users, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// The user with this name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name).and_then(|i| self.users.get(*i))
    }

    /// Adds a user, or replaces the one with the same name.
    pub fn put(&mut self, user: User) {
        self.decoys = OnceLock::new();
        if let Some(slot) = self.by_name.get(&user.name).and_then(|i| self.users.get_mut(*i)) {
            *slot = user;
        } else {
            self.by_name.insert(user.name.clone(), self.users.len());
            self.users.push(user);
        }
    }

    /// Removes a user; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.users.len();
        self.decoys = OnceLock::new();
        self.users.retain(|user| &*user.name != name);
        self.by_name = self.users.iter().enumerate().map(|(i, user)| (user.name.clone(), i)).collect();
        self.users.len() < before
    }

    /// Judges a name and a password. A key is derived whether or not the name is known, and compared in constant
    /// time, so that how long it takes does not tell who exists.
    pub fn verify_password(&self, name: &str, password: &str, now: Timestamp) -> Option<Login> {
        let (keys, known) = self.judging_keys(name);
        // No password has the keys that stand in; that they are nobody's is held against it all the same.
        let matches = keys.matches(password) & known;
        let user = self.get(name).filter(|user| matches && user.in_force(now))?;
        Some(user.proved(&keys))
    }

    /// The keys by which a password for this name is judged, and whether they are a user's; others that cost as much if
    /// not.
    fn judging_keys(&self, name: &str) -> (Keys, bool) {
        let decoy = self.decoys().keys(name, None);
        match self.get(name).and_then(User::password_keys) {
            Some(keys) => (keys.clone(), true),
            None => (decoy, false),
        }
    }

    /// The login of who has proved this, as it would be now.
    ///
    /// # Errors
    /// It would fail.
    pub fn holds(&self, credential: &Credential, now: Timestamp) -> Result<Login, Ended> {
        let user = self.get(&credential.name).ok_or(Ended::Removed)?;
        if user.disabled {
            return Err(Ended::Disabled);
        }
        if !user.in_force(now) {
            return Err(Ended::Expired);
        }
        match user.keys(credential.keys.hash) {
            Some(keys) if *keys == credential.keys => Ok(user.proved(keys)),
            Some(_) | None => Err(Ended::Changed),
        }
    }

    /// The keys of a user, and whether they are: who has none for this hash has others in their place, always the same
    /// ones, which nobody knows a password for. Takes as long either way. A user with keys for the other hash is told of
    /// the same salt by both: nobody else's would show that it is its own.
    pub(super) fn scram_keys(&self, name: &str, hash: Hash) -> (Keys, bool) {
        let decoy = self.decoys().keys(name, Some(hash));
        let user = self.get(name);
        match user.and_then(|user| user.keys(hash)) {
            Some(keys) => (keys.clone(), true),
            None => match user.and_then(User::password_keys) {
                Some(own) => (Keys { salt: own.salt.clone(), iterations: own.iterations, ..decoy }, false),
                None => (decoy, false),
            },
        }
    }

    fn decoys(&self) -> &Decoys {
        self.decoys.get_or_init(|| Decoys::of(&self.users))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> User {
        User::with_password("alice", "secret", b"salt-of-alice", LEAST_ITERATIONS)
    }

    fn may(user: User, password: &str, now: i64) -> bool {
        let name = user.name.clone();
        Users::new(vec![user]).verify_password(&name, password, Timestamp(now)).is_some()
    }

    #[test]
    fn a_login_carries_groups_and_end() {
        let mut user = alice();
        user.set_groups(["owners", "devs", "owners"]);
        user.expires = Some(Timestamp(10));
        let login = Users::new(vec![user]).verify_password("alice", "secret", Timestamp(9)).unwrap();
        assert_eq!(login.principal.get(), &Principal::user("alice"));
        assert_eq!(login.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["devs", "owners"]);
        assert_eq!(login.expires, Some(Timestamp(10)));
    }

    #[test]
    fn a_disabled_user_fails() {
        let user = User { disabled: true, ..alice() };
        assert!(may(alice(), "secret", 0));
        assert!(!may(user, "secret", 0));
    }

    #[test]
    fn the_end_is_the_first_instant_that_fails() {
        let user = User { expires: Some(Timestamp(10)), ..alice() };
        assert!(may(user.clone(), "secret", 9));
        assert!(!may(user, "secret", 10));
    }

    #[test]
    fn either_hash_is_enough() {
        assert!(may(User { sha512: None, ..alice() }, "secret", 0));
        assert!(may(User { sha256: None, ..alice() }, "secret", 0));
        assert!(!may(User { sha512: None, ..alice() }, "Secret", 0));
    }

    #[test]
    fn threat_24_a_login_holds_while_the_user_could_log_in_so_again() {
        let login = |user: User| Users::new(vec![user]).verify_password("alice", "secret", Timestamp(0)).unwrap();
        let both = login(alice()).credential.unwrap();
        let one = login(User { sha512: None, ..alice() }).credential.unwrap();
        let holds = |user: User, credential: &Credential, now: i64| {
            Users::new(vec![user]).holds(credential, Timestamp(now)).map(|login| login.groups.len())
        };
        let mut other = alice();
        other.set_password("other", b"salt-of-alice", LEAST_ITERATIONS);
        let mut again = alice();
        again.set_password("secret", b"another salt", LEAST_ITERATIONS);
        let mut grouped = alice();
        grouped.set_groups(["devs"]);
        for credential in [&both, &one] {
            assert_eq!(holds(alice(), credential, 5), Ok(0));
            assert_eq!(holds(grouped.clone(), credential, 5), Ok(1), "groups are those of now");
            assert_eq!(holds(User { name: "bob".into(), ..alice() }, credential, 5), Err(Ended::Removed));
            assert_eq!(holds(User { disabled: true, ..alice() }, credential, 5), Err(Ended::Disabled));
            let ends = User { expires: Some(Timestamp(5)), ..alice() };
            assert_eq!(holds(ends.clone(), credential, 4), Ok(0));
            assert_eq!(holds(ends, credential, 5), Err(Ended::Expired));
            assert_eq!(holds(other.clone(), credential, 5), Err(Ended::Changed));
            assert_eq!(holds(again.clone(), credential, 5), Err(Ended::Changed));
        }
        assert_eq!(holds(User { sha256: None, ..alice() }, &one, 5), Err(Ended::Changed));
    }

    #[test]
    fn a_user_can_be_replaced_and_removed() {
        let mut users = Users::new(vec![alice(), User { name: "bob".into(), ..alice() }]);
        users.put(User { disabled: true, ..alice() });
        assert!(users.get("alice").unwrap().disabled);
        assert!(users.remove("alice") && !users.remove("alice"));
        assert!(users.get("bob").is_some_and(|bob| &*bob.name == "bob"));
        assert_eq!(users.iter().count(), 1);
    }
}
