//! Keys of an issuer: a JWK Set (RFC 7517) of public keys.

use crate::model::TokenAlgorithm;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::fmt;

/// The largest set, in bytes.
pub const MOST_BYTES: usize = 1024 * 1024;
/// The most keys of a set.
const MOST_KEYS: usize = 500;
/// RSA keys have so many bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The keys of an issuer that can be used; at least one.
#[derive(Clone)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<String>,
}

/// A public key.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    kind: Kind,
    /// The only algorithm it is for, if it says one.
    only: Option<TokenAlgorithm>,
    key: DecodingKey,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is too large.
    #[error("it has {0} bytes, which is more than {MOST_BYTES}")]
    TooLarge(usize),
    /// It is no JWK Set.
    #[error("it is no JWK Set: write JSON, as in `{{ \"keys\": [ … ] }}`")]
    NoSet,
    /// It holds too many.
    #[error("it holds {0} keys, which is more than {MOST_KEYS}")]
    Many(usize),
    /// It holds none that can be used.
    #[error("it holds no key that can be used{}{}", if .0.is_empty() { "" } else { ": " }, .0.join(", "))]
    NoKey(Vec<String>),
    /// It holds what nobody but the issuer may have.
    #[error("it holds a private key: write the public ones, and replace that one at its issuer")]
    Private,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys that cannot be used are left out, as RFC 7517 section 5 has it.
    ///
    /// # Errors
    /// It is none, holds no key that can be used, or one that must not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > MOST_BYTES {
            return Err(KeySetError::TooLarge(bytes.len()));
        }
        let set: Value = serde_json::from_slice(bytes).map_err(|_| KeySetError::NoSet)?;
        let list = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::NoSet)?;
        if list.len() > MOST_KEYS {
            return Err(KeySetError::Many(list.len()));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (i, one) in list.iter().enumerate() {
            let Some(members) = one.as_object() else { return Err(KeySetError::NoSet) };
            if ["d", "p", "q", "dp", "dq", "qi"].iter().any(|secret| members.contains_key(*secret)) {
                return Err(KeySetError::Private);
            }
            match Key::read(members) {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(format!("key {} {why}", i + 1)),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoKey(skipped)) } else { Ok(Self { keys, skipped }) }
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set has a key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Which keys were left out, and why.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Whether a key has this name.
    pub(super) fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys of this name, of any if there is none, that are for this algorithm.
    pub(super) fn fitting<'k>(&'k self, kid: Option<&str>, algorithm: TokenAlgorithm) -> Fitting<'k> {
        let fits = |key: &&Key| {
            kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
                && key.kind == Kind::of(algorithm)
                && key.only.is_none_or(|only| only == algorithm)
        };
        self.keys.iter().filter(fits).collect::<Vec<_>>().into_iter()
    }

    /// One key alone.
    pub(super) fn just<'k>(&'k self, key: &'k Key) -> Fitting<'k> {
        vec![key].into_iter()
    }
}

/// Some keys of a set.
pub(super) type Fitting<'k> = std::vec::IntoIter<&'k Key>;

impl Kind {
    fn of(algorithm: TokenAlgorithm) -> Self {
        match algorithm {
            TokenAlgorithm::Rs256
            | TokenAlgorithm::Rs384
            | TokenAlgorithm::Rs512
            | TokenAlgorithm::Ps256
            | TokenAlgorithm::Ps384
            | TokenAlgorithm::Ps512 => Self::Rsa,
            TokenAlgorithm::Es256 => Self::P256,
            TokenAlgorithm::Es384 => Self::P384,
            TokenAlgorithm::EdDsa => Self::Ed25519,
        }
    }
}

impl Key {
    fn read(members: &Map<String, Value>) -> Result<Self, &'static str> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // Its length is bounded, and so is what is made of it.
        let number = |name: &str| {
            let bytes = text(name).and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
            bytes.ok_or("has a number that is missing, or not base64url")
        };
        if text("use").is_some_and(|used| used != "sig") {
            return Err("is not for signatures (`use`)");
        }
        if let Some(Value::Array(operations)) = members.get("key_ops")
            && !operations.iter().any(|operation| operation == "verify")
        {
            return Err("is not for signatures (`key_ops`)");
        }
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err("has a `kid` that is no text"),
        };
        let only = match text("alg") {
            None => None,
            Some(alg) => Some(TokenAlgorithm::named(alg).ok_or("is for an algorithm that is not served")?),
        };
        let (kind, key) = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let (n, e) = (number("n")?, number("e")?);
                let (n, e) = (without_zeros(&n), without_zeros(&e));
                if !RSA_BITS.contains(&bits(n)) {
                    return Err("is RSA of less than 2048 or more than 8192 bits");
                }
                // With 1, whoever likes signs.
                if !is_exponent(e) {
                    return Err("is RSA with an exponent that is not odd, or not from 3 to 4294967295");
                }
                (Kind::Rsa, DecodingKey::from_rsa_raw_components(n, e))
            }
            (Some("EC"), Some(curve @ ("P-256" | "P-384"))) => {
                let (kind, size) = if curve == "P-256" { (Kind::P256, 32) } else { (Kind::P384, 48) };
                let (x, y) = (number("x")?, number("y")?);
                if x.len() != size || y.len() != size {
                    return Err("is no point of its curve");
                }
                let key = DecodingKey::from_ec_components(text("x").unwrap_or_default(), text("y").unwrap_or_default());
                (kind, key.map_err(|_| "is no point of its curve")?)
            }
            (Some("OKP"), Some("Ed25519")) => {
                if number("x")?.len() != 32 {
                    return Err("is no point of its curve");
                }
                let key = DecodingKey::from_ed_components(text("x").unwrap_or_default());
                (Kind::Ed25519, key.map_err(|_| "is no point of its curve")?)
            }
            (Some("EC" | "OKP"), _) => return Err("is of a curve that is not served"),
            (Some("oct"), _) => return Err("is symmetric"),
            (Some(_) | None, _) => return Err("is of a kind that is not served (`kty`)"),
        };
        if only.is_some_and(|only| Kind::of(only) != kind) {
            return Err("is of another kind than its `alg`");
        }
        Ok(Self { kid, kind, only, key })
    }

    /// Whether this key has made a signature of a message, by this algorithm.
    pub(super) fn has_signed(&self, message: &str, signature: &str, algorithm: TokenAlgorithm) -> bool {
        let algorithm = match algorithm {
            TokenAlgorithm::Rs256 => Algorithm::RS256,
            TokenAlgorithm::Rs384 => Algorithm::RS384,
            TokenAlgorithm::Rs512 => Algorithm::RS512,
            TokenAlgorithm::Ps256 => Algorithm::PS256,
            TokenAlgorithm::Ps384 => Algorithm::PS384,
            TokenAlgorithm::Ps512 => Algorithm::PS512,
            TokenAlgorithm::Es256 => Algorithm::ES256,
            TokenAlgorithm::Es384 => Algorithm::ES384,
            TokenAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        // An error is a signature that is no base64url, or no such key: neither proves anything.
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}

/// Some issuers put the byte of a sign in front (RFC 7518, 6.3.1.1), with which no signature would be good.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// How many bits a number has that begins with no zero.
fn bits(number: &[u8]) -> usize {
    let first = number.first().map_or(0, |first| 8 - usize::try_from(first.leading_zeros()).unwrap_or(8));
    number.len().saturating_sub(1) * 8 + first
}

fn is_exponent(number: &[u8]) -> bool {
    let value = number.iter().try_fold(0_u32, |value, byte| value.checked_mul(256)?.checked_add(u32::from(*byte)));
    value.is_some_and(|value| value >= 3 && value % 2 == 1)
}
