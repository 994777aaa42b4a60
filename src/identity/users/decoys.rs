//! Keys that stand in for those of users who do not exist, so that a login does not tell who does.
//!
//! They follow from the name and a secret, so that who asks twice is told the same salt twice, and the secret from the
//! keys in the file, so that all replicas tell the same one, also after a restart. Salts have the length, and hashes the
//! number, that some user of the file has. What remains: they change when the file does.

use super::keys::SALT;
use super::{Hash, ITERATIONS, Keys, User};
use sha2::{Digest as _, Sha512};
use std::fmt;

/// Makes keys for names that nobody has.
#[derive(Clone)]
pub(super) struct Decoys {
    secret: Vec<u8>,
    /// Iterations and length of the salt of every user, by hash.
    sha256: Vec<(u32, usize)>,
    sha512: Vec<(u32, usize)>,
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
        let shapes = |hash: Hash| {
            users.iter().filter_map(|user| user.keys(hash)).map(|keys| (keys.iterations, keys.salt.len())).collect()
        };
        let secret = secret.finalize().to_vec();
        Self { secret, sha256: shapes(Hash::Sha256), sha512: shapes(Hash::Sha512) }
    }

    /// The keys for a name.
    pub(super) fn keys(&self, name: &str, hash: Hash) -> Keys {
        let bytes = |what: &str, count: usize| {
            let blocks = (0..count.div_ceil(64)).flat_map(|block| {
                Hash::Sha512.sign(&self.secret, format!("{what}/{}/{block}/{name}", hash.word()).as_bytes())
            });
            blocks.take(count).collect::<Vec<u8>>()
        };
        let shapes = match hash {
            Hash::Sha256 => &self.sha256,
            Hash::Sha512 => &self.sha512,
        };
        let choice = bytes("shape", 4).into_iter().fold(0, |n: usize, byte| n << 8 | usize::from(byte));
        let shape = choice.checked_rem(shapes.len()).and_then(|i| shapes.get(i));
        let (iterations, salt) = shape.copied().unwrap_or((ITERATIONS, SALT));
        Keys {
            hash,
            iterations,
            salt: bytes("salt", salt),
            stored_key: bytes("stored key", hash.key_len()),
            server_key: bytes("server key", hash.key_len()),
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
}
