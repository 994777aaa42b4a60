//! The keys that SCRAM keeps of a password: RFC 5802 section 3, with SHA-256 (RFC 7677) or SHA-512.
//! Source: `ScramFormatter` of Kafka 4.1, which does not prepare the password (no SASLprep).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use std::fmt;
use subtle::ConstantTimeEq;

/// How often the hash is applied to a new password: Kafka's default is 4096, twice that costs some milliseconds.
pub const ITERATIONS: u32 = 8_192;
/// The least that Kafka takes (`ScramMechanism.minIterations`).
pub const LEAST_ITERATIONS: u32 = 4_096;
/// More would let one login hold a core for seconds.
pub const MOST_ITERATIONS: u32 = 1_000_000;
/// Bytes of a new salt.
pub(super) const SALT: usize = 16;

/// A hash function of SCRAM.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Hash {
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Hash {
    /// Bytes of a key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The key in the users file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "scram-sha-256",
            Self::Sha512 => "scram-sha-512",
        }
    }

    pub(super) fn sign(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => sign::<Hmac<Sha256>>(key, text),
            Self::Sha512 => sign::<Hmac<Sha512>>(key, text),
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What is kept of a password: enough to verify it, not to log in with it elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The hash function; both keys have its length.
    pub hash: Hash,
    /// How often it was applied.
    pub iterations: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// H(ClientKey): verifies the client.
    pub stored_key: Vec<u8>,
    /// Proves the server to the client.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("hash", &self.hash).field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes the keys of a password.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let (stored_key, server_key) = match hash {
            Hash::Sha256 => {
                let salted: [u8; 32] = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
                let client_key = sign::<Hmac<Sha256>>(&salted, b"Client Key");
                (Sha256::digest(client_key).to_vec(), sign::<Hmac<Sha256>>(&salted, b"Server Key"))
            }
            Hash::Sha512 => {
                let salted: [u8; 64] = pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), salt, iterations);
                let client_key = sign::<Hmac<Sha512>>(&salted, b"Client Key");
                (Sha512::digest(client_key).to_vec(), sign::<Hmac<Sha512>>(&salted, b"Server Key"))
            }
        };
        Self { hash, iterations, salt: salt.to_vec(), stored_key, server_key }
    }

    /// Whether a client's proof over these messages shows that it knows the password. Compared in constant time.
    pub fn accepts(&self, auth: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.sign(&self.stored_key, auth);
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let hashed = self.hash.digest(&client_key);
        (hashed.ct_eq(&self.stored_key) & proof.len().ct_eq(&signature.len())).into()
    }

    /// What shows a client that the server knows these keys.
    pub fn server_signature(&self, auth: &[u8]) -> Vec<u8> {
        self.hash.sign(&self.server_key, auth)
    }

    /// Whether a password gives the same keys; how long it takes depends on the iterations alone.
    pub fn matches(&self, password: &str) -> bool {
        let derived = Self::derive(self.hash, password, &self.salt, self.iterations);
        derived.stored_key.ct_eq(&self.stored_key).into()
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length; going on without a key would make all passwords equal"
)]
fn sign<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine};

    /// The example of RFC 7677 section 3: the client's proof verifies against the stored key,
    /// and the server's signature is made with the server key.
    #[test]
    fn keys_are_those_of_the_rfc() {
        let b64 = |text| BASE64_STANDARD.decode(text).unwrap();
        let keys = Keys::derive(Hash::Sha256, "pencil", &b64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
        let auth = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = sign::<Hmac<Sha256>>(&keys.stored_key, auth.as_bytes());
        let proof = b64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha256::digest(&client_key).to_vec(), keys.stored_key);
        assert_eq!(
            sign::<Hmac<Sha256>>(&keys.server_key, auth.as_bytes()),
            b64("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
    }

    #[test]
    fn keys_have_the_length_of_their_hash_and_are_not_shown() {
        for hash in [Hash::Sha256, Hash::Sha512] {
            let keys = Keys::derive(hash, "secret", b"salt", 2);
            assert_eq!((keys.stored_key.len(), keys.server_key.len()), (hash.key_len(), hash.key_len()));
            assert!(keys.matches("secret") && !keys.matches("Secret"));
            assert!(!format!("{keys:?}").contains("key"), "{keys:?}");
        }
    }
}
