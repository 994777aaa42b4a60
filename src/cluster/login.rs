//! How the proxy proves to brokers who it is: PLAIN, and the client's side of SCRAM. No I/O.
//!
//! Source: RFC 4616, RFC 5802 and 7677; `ScramSaslClient` and `ScramFormatter` of Kafka 4.1, which prepare neither
//! name nor password (no SASLprep).

use crate::config::PasswordMechanism;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;

/// Fewer make a stolen answer of ours cheap to guess from; Kafka has no mechanism with less.
const LEAST_ITERATIONS: u32 = 4_096;
/// More would hold a core for seconds at the word of whoever answers.
const MOST_ITERATIONS: u32 = 1_000_000;

/// What the other side said that no honest broker says, or that it does not know our password either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Not as the RFC has it.
    #[error("the broker's answer is no {0} message")]
    Malformed(&'static str),
    /// It refuses, in the words of SCRAM.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The number of iterations is out of bounds.
    #[error("the broker asks for {0} iterations, which must be from 4096 to 1000000")]
    Iterations(u32),
    /// The other side does not know the password: it is not the broker.
    #[error("the broker does not prove that it knows the password: is this address the broker's?")]
    NotProved,
}

/// The salted password of the last login: deriving it takes milliseconds, and every connection needs it.
#[derive(Default)]
pub struct Salted(Mutex<Option<SaltedPassword>>);

struct SaltedPassword {
    mechanism: PasswordMechanism,
    password: String,
    salt: Vec<u8>,
    iterations: u32,
    salted: Vec<u8>,
}

impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salted(…)")
    }
}

/// The bytes of PLAIN.
pub fn plain(username: &str, password: &str) -> Vec<u8> {
    format!("\0{username}\0{password}").into_bytes()
}

/// A login by SCRAM under way.
pub struct Scram {
    mechanism: PasswordMechanism,
    password: String,
    nonce: String,
    first_bare: String,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The proof was sent; the broker's is awaited.
pub struct Proving {
    server_signature: Vec<u8>,
}

impl Scram {
    /// Begins; `nonce` is random text without commas. Returns the first message.
    pub fn begin(mechanism: PasswordMechanism, username: &str, password: String, nonce: &str) -> (Self, Vec<u8>) {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        let message = format!("n,,{first_bare}").into_bytes();
        (Self { mechanism, password, nonce: nonce.to_owned(), first_bare }, message)
    }

    /// Answers the broker's first message with the proof.
    ///
    /// # Errors
    /// A [`LoginError`].
    pub fn prove(self, server_first: &[u8], cache: &Salted) -> Result<(Proving, Vec<u8>), LoginError> {
        const WHAT: &str = "server-first";
        let text = std::str::from_utf8(server_first).map_err(|_| LoginError::Malformed(WHAT))?;
        let field = |name: &str| text.split(',').find_map(|f| f.strip_prefix(name)).ok_or(LoginError::Malformed(WHAT));
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err(LoginError::Malformed(WHAT));
        }
        let salt = BASE64_STANDARD.decode(field("s=")?).map_err(|_| LoginError::Malformed(WHAT))?;
        let iterations: u32 = field("i=")?.parse().map_err(|_| LoginError::Malformed(WHAT))?;
        if !(LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            return Err(LoginError::Iterations(iterations));
        }
        let salted = cache.of(self.mechanism, &self.password, &salt, iterations);
        // `biws` is the base64 of `n,,`: no channel binding.
        let without_proof = format!("c=biws,r={nonce}");
        let auth = format!("{},{text},{without_proof}", self.first_bare);
        let client_key = sign(self.mechanism, &salted, b"Client Key");
        let signature = sign(self.mechanism, &digest(self.mechanism, &client_key), auth.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server_key = sign(self.mechanism, &salted, b"Server Key");
        let server_signature = sign(self.mechanism, &server_key, auth.as_bytes());
        let message = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes();
        Ok((Proving { server_signature }, message))
    }
}

impl Proving {
    /// Takes the broker's proof.
    ///
    /// # Errors
    /// A [`LoginError`].
    pub fn finish(self, server_final: &[u8]) -> Result<(), LoginError> {
        const WHAT: &str = "server-final";
        let text = std::str::from_utf8(server_final).map_err(|_| LoginError::Malformed(WHAT))?;
        if let Some(error) = text.strip_prefix("e=") {
            return Err(LoginError::Refused(error.to_owned()));
        }
        let proof = text.split(',').next().and_then(|f| f.strip_prefix("v=")).ok_or(LoginError::Malformed(WHAT))?;
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| LoginError::Malformed(WHAT))?;
        if bool::from(proof.ct_eq(&self.server_signature)) { Ok(()) } else { Err(LoginError::NotProved) }
    }
}

impl Salted {
    fn of(&self, mechanism: PasswordMechanism, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && (kept.mechanism, kept.iterations) == (mechanism, iterations)
            && (kept.password.as_str(), kept.salt.as_slice()) == (password, salt)
        {
            return kept.salted.clone();
        }
        let (secret, salted) = (password.as_bytes(), salt);
        let salted = if is_512(mechanism) {
            pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(secret, salted, iterations).to_vec()
        } else {
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(secret, salted, iterations).to_vec()
        };
        let (password, salt) = (password.to_owned(), salt.to_vec());
        *kept = Some(SaltedPassword { mechanism, password, salt, iterations, salted: salted.clone() });
        salted
    }
}

fn is_512(mechanism: PasswordMechanism) -> bool {
    match mechanism {
        PasswordMechanism::ScramSha512 => true,
        PasswordMechanism::ScramSha256 | PasswordMechanism::Plain => false,
    }
}

fn digest(mechanism: PasswordMechanism, bytes: &[u8]) -> Vec<u8> {
    if is_512(mechanism) { Sha512::digest(bytes).to_vec() } else { Sha256::digest(bytes).to_vec() }
}

fn sign(mechanism: PasswordMechanism, key: &[u8], text: &[u8]) -> Vec<u8> {
    if is_512(mechanism) { hmac::<Hmac<Sha512>>(key, text) } else { hmac::<Hmac<Sha256>>(key, text) }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn begin() -> Scram {
        let (scram, first) = Scram::begin(PasswordMechanism::ScramSha256, "user", "pencil".to_owned(), NONCE);
        assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        scram
    }

    #[test]
    fn the_example_of_rfc_7677_is_spoken() {
        let cache = Salted::default();
        for _ in 0..2 {
            let (proving, last) = begin().prove(SERVER_FIRST, &cache).unwrap();
            assert_eq!(
                String::from_utf8(last).unwrap(),
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            );
            assert_eq!(proving.finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        }
    }

    #[test]
    fn who_does_not_know_the_password_is_not_the_broker() {
        let finish = |text: &[u8]| begin().prove(SERVER_FIRST, &Salted::default()).unwrap().0.finish(text);
        assert_eq!(finish(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Err(LoginError::NotProved));
        assert_eq!(finish(b"v="), Err(LoginError::NotProved));
        assert_eq!(finish(b"e=invalid-proof"), Err(LoginError::Refused("invalid-proof".into())));
        assert_eq!(finish(b"x"), Err(LoginError::Malformed("server-final")));
    }

    #[test]
    fn a_first_message_that_is_not_honest_is_refused() {
        let refused = |text: &str| begin().prove(text.as_bytes(), &Salted::default()).err();
        let malformed = Some(LoginError::Malformed("server-first"));
        assert_eq!(refused(&format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")), malformed, "no nonce of its own");
        assert_eq!(refused("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), malformed);
        assert_eq!(refused(&format!("r={NONCE}x,s=?,i=4096")), malformed);
        assert_eq!(refused(&format!("r={NONCE}x,s=AA==,i=1")), Some(LoginError::Iterations(1)));
        assert_eq!(refused(&format!("r={NONCE}x,s=AA==,i=4000000000")), Some(LoginError::Iterations(4_000_000_000)));
    }

    #[test]
    fn commas_and_equal_signs_in_a_name_are_written_so_that_they_end_nothing() {
        let (_, first) = Scram::begin(PasswordMechanism::ScramSha512, "a=b,c", "p".to_owned(), "n");
        assert_eq!(first, b"n,,n=a=3Db=2Cc,r=n");
        assert_eq!(plain("u", "p"), b"\0u\0p");
    }
}
