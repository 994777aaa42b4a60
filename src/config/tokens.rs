//! Whose tokens are taken (`tokens`).

use super::{Authorities, WebAddress};
use crate::model::TokenAlgorithm;
use std::path::PathBuf;
use std::time::Duration;

/// Who issues tokens, and what they must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIssuer {
    /// The `iss` of its tokens; no two entries have the same.
    pub issuer: String,
    /// One of these must be in `aud`; at least one.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
    /// How tokens may be signed; at least one.
    pub algorithms: Vec<TokenAlgorithm>,
    /// The claim that names the user.
    pub principal_claim: String,
    /// The claim that names the groups.
    pub groups_claim: String,
    /// Whether a claimed group may carry the name of one of the policy's.
    pub merge_groups: bool,
    /// How far the clocks may differ.
    pub clock_skew: Duration,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file; watched.
    File(PathBuf),
    /// At an address.
    Url {
        /// The address.
        address: WebAddress,
        /// Who may have signed its certificate.
        ca: Authorities,
        /// How often it is asked without a cause.
        refresh: Duration,
        /// How long keys count that could not be asked for again; not shorter than `refresh`.
        max_age: Duration,
    },
}
