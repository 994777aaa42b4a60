//! SASL mechanisms of the proxy's listeners, as functions from bytes to an identity.

pub mod plain;

/// A login failed. The text is Kafka's and goes to the client in SaslAuthenticate's `error_message`
/// with error 58 (SASL_AUTHENTICATION_FAILED): it never says whether the user exists.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The message has not three parts.
    #[error("Invalid SASL/PLAIN response: expected 3 tokens, got {0}")]
    PeerSentTokens(usize),
    /// The user's name is empty.
    #[error("Authentication failed: username not specified")]
    PeerSentNoUsername,
    /// The password is empty.
    #[error("Authentication failed: password not specified")]
    PeerSentNoPassword,
    /// Nobody has this name, or not this password, or is disabled or expired.
    #[error("Authentication failed: Invalid username or password")]
    PeerSentWrongCredentials,
    /// The client asks to be somebody else.
    #[error("Authentication failed: Client requested an authorization id that is different from username")]
    PeerSentOtherAuthorizationId,
}
