//! The form of a token: `header.claims.signature`, each in base64url (RFC 7515, compact serialization).

use super::TokenError;
use super::keys::Key;
use crate::identity::names::shortened;
use crate::model::TokenAlgorithm;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::Value;

/// A token in its parts. Nothing of it is proved.
pub(super) struct Jwt<'t> {
    pub(super) header: Header,
    /// Its `iss`.
    pub(super) issuer: String,
    claims: Vec<u8>,
    /// What is signed.
    message: &'t str,
    signature: &'t str,
}

/// What counts of a header. A member that stands twice makes it malformed.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
    #[serde(default)]
    b64: Option<Value>,
}

/// What must be known to know whose keys to take.
#[derive(Deserialize)]
struct Issued {
    iss: String,
}

/// The longest name of a key, in bytes: those that are not there are remembered.
const LONGEST_KID: usize = 512;

impl<'t> Jwt<'t> {
    pub(super) fn read(token: &'t str) -> Result<Self, TokenError> {
        let malformed = TokenError::Malformed;
        let (message, signature) = token.rsplit_once('.').ok_or(malformed("it has not three parts"))?;
        let (header, claims) = message.split_once('.').ok_or(malformed("it has not three parts"))?;
        if claims.contains('.') {
            return Err(malformed("it has not three parts"));
        }
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let header = decode(header).ok_or(malformed("its header is not base64url"))?;
        let header: Header = object(&header).ok_or(malformed("its header is not JSON with an `alg`"))?;
        if header.crit.is_some() {
            return Err(TokenError::Critical("crit"));
        }
        if header.b64.is_some() {
            return Err(TokenError::Critical("b64"));
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err(malformed("its `kid` is too long"));
        }
        if let Some(typ) = &header.typ
            && !is_access_token(typ)
        {
            return Err(TokenError::Type(shortened(typ)));
        }
        let claims = decode(claims).ok_or(malformed("its claims are not base64url"))?;
        let issued: Issued = object(&claims).ok_or(malformed("its claims are not JSON with one `iss`"))?;
        Ok(Self { header, issuer: issued.iss, claims, message, signature })
    }

    pub(super) fn is_signed_by(&self, key: &Key, algorithm: TokenAlgorithm) -> bool {
        key.has_signed(self.message, self.signature, algorithm)
    }

    pub(super) fn claims(&self) -> Result<Value, TokenError> {
        serde_json::from_slice(&self.claims).map_err(|_| TokenError::Malformed("its claims are not JSON"))
    }
}

/// Reads an object: a list of what its members are to be would do otherwise, and hold what has no name.
fn object<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Whether a `typ` is one of those that access tokens have (RFC 7519 section 5.1, RFC 9068 section 2.1); others name
/// tokens for something else, whoever they are from.
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt" | "jose")
}
