//! Keys that stand in for those of users who do not exist, so that a login does not tell who does.
//!
//! They follow from the name and a secret, so that who asks twice is told the same salt twice, and the secret from the
//! keys in the file, so that all replicas tell the same one, also after a restart. Each name imitates one user of the
//! file in all that both hashes tell together: iterations, lengths of the salts, and whether it is one salt; and in how
//! long a password takes, which SCRAM is not asked for. What remains: they change when the file does.

use super::keys::SALT;
use super::{Hash, ITERATIONS, Keys, User};
use sha2::{Digest as _, Sha512};
use std::fmt;

/// Makes keys for names that nobody has.
#[derive(Clone)]
pub(super) struct Decoys {
    secret: Vec<u8>,
    /// One for each user.
    shapes: Vec<Shape>,
}

/// What challenges tell of a user beside the bytes of its salts, and the time that a password takes.
#[derive(Copy, Clone)]
struct Shape {
    /// Iterations and length of the salt.
    sha256: (u32, usize),
    sha512: (u32, usize),
    /// Whether both hashes have the same salt, as those of a password that is set here; of one that Kafka made, each has
    /// its own.
    one_salt: bool,
    /// The hash by which a password is judged.
    password: Hash,
}

impl Shape {
    fn of(user: &User) -> Option<Self> {
        // Who has no keys for a hash is told those of the other one's shape (`Users::scram_keys`).
        let sha256 = user.sha256.as_ref().or(user.sha512.as_ref())?;
        let sha512 = user.sha512.as_ref().unwrap_or(sha256);
        let shape = |keys: &Keys| (keys.iterations, keys.salt.len());
        let password = user.password_keys()?.hash;
        Some(Self { sha256: shape(sha256), sha512: shape(sha512), one_salt: sha256.salt == sha512.salt, password })
    }
}

impl fmt::Debug for Decoys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoys(…)")
    }
}

impl Decoys {
    pub(super) fn of(users: &[User]) -> Self {
        let mut secret = Sha512::new_with_prefix(b"kordon decoys of unknown users");
        for keys in users.iter().flat_map(|user| [&user.sha512, &user.sha256]).flatten() {
            secret.update(&keys.server_key);
            secret.update(&keys.stored_key);
        }
        let secret = secret.finalize().to_vec();
        Self { secret, shapes: users.iter().filter_map(Shape::of).collect() }
    }

    /// The keys for a name, of this hash or of the one by which a password is judged.
    pub(super) fn keys(&self, name: &str, hash: Option<Hash>) -> Keys {
        // Once: the name is the client's text, as long as its frame may be.
        let seed = Hash::Sha512.sign(&self.secret, name.as_bytes());
        let bytes = |what: &str, count: usize| {
            let blocks = (0..count.div_ceil(64))
                .flat_map(|block| Hash::Sha512.sign(&seed, format!("{what}/{block}").as_bytes()));
            blocks.take(count).collect::<Vec<u8>>()
        };
        let choice = bytes("shape", 4).into_iter().fold(0, |n: usize, byte| n << 8 | usize::from(byte));
        let shape = choice.checked_rem(self.shapes.len()).and_then(|i| self.shapes.get(i)).copied();
        let usual = (ITERATIONS, SALT);
        let usual = Shape { sha256: usual, sha512: usual, one_salt: true, password: Hash::Sha512 };
        let shape = shape.unwrap_or(usual);
        let hash = hash.unwrap_or(shape.password);
        let (iterations, salt) = match hash {
            Hash::Sha256 => shape.sha256,
            Hash::Sha512 => shape.sha512,
        };
        let of_hash = |what: &str| format!("{what}/{}", hash.word());
        Keys {
            hash,
            iterations,
            salt: if shape.one_salt { bytes("salt", salt) } else { bytes(&of_hash("salt"), salt) },
            stored_key: bytes(&of_hash("stored key"), hash.key_len()),
            server_key: bytes(&of_hash("server key"), hash.key_len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Users;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn decoys_look_like_the_keys_of_some_user_and_follow_from_the_file() {
        let user = |name: &str, salt: &[u8], iterations| User::with_password(name, "secret", salt, iterations);
        let file = || Users::new(vec![user("a", &[7; 16], 4096), user("b", &[9; 100], 5000)]);
        let (one, other) = (file(), file());
        let mut shapes = BTreeSet::new();
        for i in 0..64 {
            let name = format!("nobody-{i}");
            let (keys, known) = one.scram_keys(&name, Hash::Sha256);
            assert!(!known && keys == other.scram_keys(&name, Hash::Sha256).0);
            shapes.insert((keys.iterations, keys.salt.len()));
        }
        assert_eq!(shapes.into_iter().collect::<Vec<_>>(), [(4096, 16), (5000, 100)]);
        assert_eq!(Users::default().scram_keys("x", Hash::Sha512).0.iterations, ITERATIONS);
        assert_ne!(one.scram_keys("x", Hash::Sha512).0.salt, Users::default().scram_keys("x", Hash::Sha512).0.salt);
    }

    #[test]
    fn a_password_of_nobody_is_judged_by_keys_as_costly_as_a_users() {
        let judged = |users: &Users, name: &str| {
            let (keys, known) = users.judging_keys(name);
            assert_eq!(known, name == "alice");
            (keys.hash.word(), keys.iterations, keys.salt.len())
        };
        let alice = || User::with_password("alice", "secret", &[7; 16], 4096);
        let other = User::with_password("alice", "secret", &[9; 20], 5000);
        for user in [
            alice(),
            User { sha256: other.sha256.clone(), ..alice() },
            User { sha512: other.sha512.clone(), ..alice() },
            User { sha512: None, ..alice() },
            User { sha256: None, ..alice() },
        ] {
            let users = Users::new(vec![user]);
            for i in 0..8 {
                assert_eq!(judged(&users, "alice"), judged(&users, &format!("nobody-{i}")));
            }
        }
        let bob = User { name: "bob".into(), sha512: None, ..other };
        let users = Users::new(vec![alice(), bob]);
        let found: BTreeSet<_> = (0..64).map(|i| judged(&users, &format!("nobody-{i}"))).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("scram-sha-256", 5000, 20), ("scram-sha-512", 4096, 16)]);
        assert_eq!(judged(&Users::default(), "nobody"), ("scram-sha-512", ITERATIONS, SALT));
    }

    #[test]
    fn what_two_hashes_tell_together_is_the_same_of_a_user_and_of_nobody() {
        let told = |users: &Users, name: &str| {
            let [one, other] = [Hash::Sha256, Hash::Sha512].map(|hash| users.scram_keys(name, hash).0);
            (one.salt == other.salt, one.iterations, other.iterations, one.salt.len(), other.salt.len())
        };
        let alice = || User::with_password("alice", "secret", &[7; 16], 4096);
        let other = User::with_password("alice", "secret", &[9; 20], 5000);
        let apart = User { sha256: other.sha256, ..alice() };
        let one = |user| Users::new(vec![user]);
        for (users, what) in [
            (one(alice()), "one salt"),
            (one(apart), "a salt for each"),
            (one(User { sha512: None, ..alice() }), "one hash"),
            (one(User { sha256: None, ..alice() }), "the other"),
        ] {
            for i in 0..8 {
                assert_eq!(told(&users, "alice"), told(&users, &format!("nobody-{i}")), "{what}");
            }
        }
        let (users, name) = (one(alice()), "nobody");
        let [one, other] = [Hash::Sha256, Hash::Sha512].map(|hash| users.scram_keys(name, hash).0);
        assert_ne!(one.stored_key, other.stored_key[..32]);
    }
}
