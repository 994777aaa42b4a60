//! Tokens: JWTs (RFC 7519) that an issuer has signed (RFC 7515), by the rules of `tokens`. What cannot be checked is not
//! let in: nothing of a token counts before its signature was found good, but the `iss` that says whose keys to take.
//!
//! As RFC 8725 has it: the algorithm is one of a list and belongs to the key, keys come from the configuration alone (`jku`,
//! `jwk`, `x5u` are not looked at), what is marked critical is refused, and so are other kinds of token by their `typ`.

mod claims;
mod jwt;
mod keys;

pub use claims::claim_at;
pub use keys::{KeySet, KeySetError, MOST_BYTES};

use super::Login;
use super::names::shortened;
use crate::model::{Timestamp, TokenAlgorithm};
use jwt::Jwt;
use std::sync::Arc;
use std::time::Duration;

/// The longest token, in bytes. Those with hundreds of groups have some ten thousand.
const LONGEST_TOKEN: usize = 64 * 1024;

/// Who issues tokens, and what they must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` of its tokens, exactly.
    pub name: Arc<str>,
    /// For whom: one of these must be in `aud`.
    pub audience: Vec<String>,
    /// How they may be signed.
    pub algorithms: Vec<TokenAlgorithm>,
    /// The claim that names the user; dots descend.
    pub principal_claim: String,
    /// The claim that names the groups; dots descend.
    pub groups_claim: String,
    /// Whether a claimed group may carry the name of one of the policy's.
    pub merge_groups: bool,
    /// How far the clocks may differ.
    pub clock_skew: Duration,
}

/// The issuers, with the keys they have now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    issuer: Arc<Issuer>,
    keys: Option<Arc<KeySet>>,
    /// How often it had other keys, or none.
    edition: u64,
}

/// A key that is needed and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose, by its place in the list.
    pub issuer: usize,
    /// Which.
    pub key: WantedKey,
}

/// Which key is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedKey {
    /// Any.
    Any,
    /// That of this name, which is not there.
    Named(String),
    /// Another than what is there, whose signature it is not: some issuers change a key under its name.
    Other {
        /// The name; `None` = the only one there is has none.
        kid: Option<String>,
        /// In which edition of the keys it was looked for.
        edition: u64,
    },
}

/// Why a token is not taken. What a token says is told shortened, and nothing of it that lets anybody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is too long.
    #[error("the token has {0} bytes, which is more than {LONGEST_TOKEN}")]
    TooLong(usize),
    /// It is no JWT.
    #[error("the token is no signed JWT: {0}")]
    Malformed(&'static str),
    /// It is a JWT for something else.
    #[error("the token's `typ` is `{0}`, which is another kind of token: `JWT` and `at+jwt` are taken")]
    Type(String),
    /// It says that something has to be understood that is not.
    #[error("the token's header holds `{0}`, which is not served")]
    Critical(&'static str),
    /// It is signed in a way that is not allowed, or not at all.
    #[error("the token's `alg` is `{0}`, which is not in `tokens[].algorithms` of its issuer")]
    Algorithm(String),
    /// Nobody is known by that name.
    #[error("the token's `iss` is `{0}`, which no entry of `tokens` names")]
    Issuer(String),
    /// The issuer's keys are not known, or too old.
    #[error("the keys of issuer `{0}` are not known, or older than `jwks_max_age`")]
    NoKeys(Arc<str>),
    /// The issuer has no such key.
    #[error("issuer `{issuer}` has no key `{kid}` for `{alg}`")]
    UnknownKey {
        /// The issuer.
        issuer: Arc<str>,
        /// The key's name.
        kid: String,
        /// The algorithm.
        alg: String,
    },
    /// It does not say which key of several.
    #[error("the token names no key (`kid`), and issuer `{0}` has not exactly one that fits")]
    NoKid(Arc<str>),
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is meant for others.
    #[error("the token's `aud` holds none of `tokens[].audience` of issuer `{0}`")]
    Audience(Arc<str>),
    /// It never ends, or something stands where an instant should.
    #[error("the token's `{0}` is missing, or no instant")]
    Instant(&'static str),
    /// Its time is over.
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    /// Its time has not begun.
    #[error("the token is not valid before {0}")]
    NotYet(Timestamp),
    /// It names nobody.
    #[error("the token's claim `{0}` is missing, or no text: see `tokens[].principal_claim`")]
    NoPrincipal(String),
    /// What it claims is no name of a user.
    #[error("the name in the token's claim `{0}` {1}")]
    NoUser(String, String),
    /// What it claims are no groups.
    #[error("the token's claim `{0}` is no text and no list of texts: see `tokens[].groups_claim`")]
    NoGroups(String),
    /// Its groups are elsewhere.
    #[error(
        "the token's claim `{0}` is not in it but elsewhere (`_claim_names`, `hasgroups`), as where there are too many: have its issuer name fewer"
    )]
    GroupsElsewhere(String),
    /// What it claims is no name of a group.
    #[error("a group in the token's claim `{0}` {1}")]
    NoGroup(String, String),
    /// It claims too many groups.
    #[error("the token's claim `{0}` holds {1} groups, which is more than {MOST}", MOST = claims::MOST_GROUPS)]
    ManyGroups(String, usize),
}

/// What a check of a token leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// It is not taken.
    Refused(TokenError),
    /// It cannot be told without a key that the issuer may have by now; and why it is not taken if it has not.
    Wants(Wanted, TokenError),
}

impl From<TokenError> for Unproved {
    fn from(error: TokenError) -> Self {
        Self::Refused(error)
    }
}

impl Tokens {
    /// Of these issuers, whose names differ, without keys.
    pub fn new(issuers: Vec<Issuer>) -> Self {
        let entry = |issuer| Entry { issuer: Arc::new(issuer), keys: None, edition: 0 };
        Self { entries: issuers.into_iter().map(entry).collect() }
    }

    /// With other keys for the issuer in this place, or none.
    #[must_use]
    pub fn with_keys(&self, issuer: usize, keys: Option<Arc<KeySet>>) -> Self {
        let mut tokens = self.clone();
        if let Some(entry) = tokens.entries.get_mut(issuer) {
            entry.keys = keys;
            entry.edition += 1;
        }
        tokens
    }

    /// The issuers, in their order.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.entries.iter().map(|entry| &entry.issuer)
    }

    /// Whether a key is there that was wanted, or may be.
    pub fn has(&self, wanted: &Wanted) -> bool {
        let Some(entry) = self.entries.get(wanted.issuer) else { return false };
        entry.keys.as_ref().is_some_and(|keys| match &wanted.key {
            WantedKey::Any => true,
            WantedKey::Named(kid) => keys.names(kid),
            WantedKey::Other { edition, .. } => entry.edition != *edition,
        })
    }

    /// Who a token proves its bearer to be.
    ///
    /// # Errors
    /// It proves nothing, or not without a key that is not there.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Login, Unproved> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::TooLong(token.len()).into());
        }
        let jwt = Jwt::read(token)?;
        let issuer = self.entries.iter().enumerate().find(|(_, entry)| *entry.issuer.name == *jwt.issuer);
        let (place, entry) = issuer.ok_or_else(|| TokenError::Issuer(shortened(&jwt.issuer)))?;
        let name = &entry.issuer.name;
        let algorithm = TokenAlgorithm::named(&jwt.header.alg)
            .filter(|algorithm| entry.issuer.algorithms.contains(algorithm))
            .ok_or_else(|| TokenError::Algorithm(shortened(&jwt.header.alg)))?;
        let kid = jwt.header.kid.as_deref();
        let wants = |key, error| Err(Unproved::Wants(Wanted { issuer: place, key }, error));
        let Some(keys) = &entry.keys else { return wants(WantedKey::Any, TokenError::NoKeys(Arc::clone(name))) };
        let mut fitting = keys.fitting(kid, algorithm).peekable();
        match kid {
            Some(kid) if fitting.peek().is_none() => {
                let alg = jwt.header.alg.clone();
                let error = TokenError::UnknownKey { issuer: Arc::clone(name), kid: shortened(kid), alg };
                // A key of that name for something else is no reason to ask for it.
                if keys.names(kid) {
                    return Err(error.into());
                }
                return wants(WantedKey::Named(kid.to_owned()), error);
            }
            Some(_) => {}
            None => {
                let (one, another) = (fitting.next(), fitting.next());
                let (Some(only), None) = (one, another) else { return Err(TokenError::NoKid(Arc::clone(name)).into()) };
                fitting = keys.just(only).peekable();
            }
        }
        if !fitting.any(|key| jwt.is_signed_by(key, algorithm)) {
            let other = WantedKey::Other { kid: kid.map(str::to_owned), edition: entry.edition };
            return wants(other, TokenError::Signature);
        }
        Ok(claims::login(&jwt.claims()?, &entry.issuer, now)?)
    }
}

#[cfg(test)]
#[path = "../../../tests/support/mint.rs"]
pub(crate) mod mint;
#[cfg(test)]
mod tests;
