//! Somebody who signs tokens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "helpers of tests fail by panicking; no test uses all of them"
)]

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

/// A private key of an issuer.
pub(crate) struct Signer {
    /// Its name.
    pub(crate) kid: String,
    /// The algorithm it signs with.
    pub(crate) alg: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    public: Value,
}

/// Base64 as tokens have it.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key of this name for this algorithm.
    pub(crate) fn new(kid: &str, alg: &'static str) -> Self {
        let algorithm: Algorithm = alg.parse().expect("an algorithm");
        let pair = match alg {
            "ES256" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            "ES384" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            "EdDSA" => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            _ => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
        }
        .expect("a key");
        let (private, public) = (pair.serialize_der(), pair.der_bytes().to_vec());
        let point = |curve: &str| {
            let (x, y) = public[1..].split_at(public.len() / 2);
            json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
        };
        let (key, public) = match alg {
            "ES256" => (EncodingKey::from_ec_der(&private), point("P-256")),
            "ES384" => (EncodingKey::from_ec_der(&private), point("P-384")),
            "EdDSA" => {
                (EncodingKey::from_ed_der(&private), json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(&public) }))
            }
            // Both are wrapped: the number of 256 bytes begins behind nine, and the key within behind 26.
            _ => (
                EncodingKey::from_rsa_der(&private[26..]),
                json!({ "kty": "RSA", "n": base64(&public[9..265]), "e": "AQAB" }),
            ),
        };
        Self { kid: kid.to_owned(), alg, algorithm, key, public }
    }

    /// The same key, if that can be, for another algorithm.
    pub(crate) fn signing(self, alg: &'static str) -> Self {
        Self { alg, algorithm: alg.parse().expect("an algorithm"), ..self }
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        for (member, value) in [("kid", self.kid.as_str()), ("use", "sig"), ("alg", self.alg)] {
            jwk[member] = value.into();
        }
        jwk
    }

    /// A token that says this.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": self.alg, "kid": self.kid, "typ": "JWT" }), claims)
    }

    /// The same under another header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).expect("a signature");
        format!("{message}.{signature}")
    }
}

/// A JWK Set of these keys.
pub(crate) fn jwks(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}
