//! SASL mechanisms of the proxy's listeners, as functions from bytes to an identity.

pub mod plain;
mod relayed;
mod scram;

pub use relayed::Relayed;

use super::Login;
use super::users::{Hash, Users};
use crate::model::{PasswordMechanism, Timestamp};
use scram::Challenged;

/// A login failed. What the client is told is Kafka's text, in SaslAuthenticate's `error_message` with error 58
/// (SASL_AUTHENTICATION_FAILED): it never says whether the user exists.
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
    /// A message of SCRAM that is none.
    #[error("SCRAM: {0}")]
    PeerSentScram(&'static str),
    /// SCRAM: nobody has this name, or not this password, or is disabled or expired.
    #[error("SCRAM: invalid user credentials")]
    PeerSentWrongProof,
    /// A message behind the last.
    #[error("a message after the login was over")]
    PeerSentMore,
    /// A broker's users may have names that no policy could tell from others.
    #[error("the user's name is empty, `*`, longer than 255 bytes, begins with `User:` or holds control characters")]
    PeerSentName,
    /// A broker let in who it did not prove itself to, as SCRAM demands of it.
    #[error("the broker ended the login without its proof")]
    UpstreamSentNoProof,
}

impl LoginError {
    /// What the client is told; `again`: it was logged in before. Kafka tells the texts of `SaslAuthenticationException`
    /// and hides those of `SaslException` (`SaslServerAuthenticator.handleSaslToken`).
    pub fn told(self, mechanism: PasswordMechanism, again: bool) -> String {
        match self {
            Self::PeerSentTokens(_)
            | Self::PeerSentNoUsername
            | Self::PeerSentNoPassword
            | Self::PeerSentWrongCredentials
            | Self::PeerSentOtherAuthorizationId => self.to_string(),
            Self::PeerSentScram(_)
            | Self::PeerSentWrongProof
            | Self::PeerSentMore
            | Self::PeerSentName
            | Self::UpstreamSentNoProof => {
                let during = if again { "re-authentication" } else { "authentication" };
                let name = mechanism.name();
                format!("Authentication failed during {during} due to invalid credentials with SASL mechanism {name}")
            }
        }
    }
}

/// What a message of the client leads to.
pub enum Turn {
    /// Send this; another message follows.
    Challenge(Vec<u8>),
    /// It is proved who the client is.
    Proved {
        /// Who.
        login: Login,
        /// The last message to the client; may be empty.
        last: Vec<u8>,
    },
}

/// The messages of one login, by one mechanism.
#[derive(Debug)]
pub struct Exchange {
    mechanism: PasswordMechanism,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Start,
    Challenged(Box<Challenged>),
    Over,
}

impl Exchange {
    /// A login by this mechanism.
    pub fn new(mechanism: PasswordMechanism) -> Self {
        Self { mechanism, stage: Stage::Start }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> PasswordMechanism {
        self.mechanism
    }

    /// Whether a message costs milliseconds of computing: the shell then takes it where that does not hold other
    /// connections up.
    pub fn is_costly(&self) -> bool {
        match self.mechanism {
            PasswordMechanism::Plain => true,
            PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512 => false,
        }
    }

    /// Takes a message of the client; `nonce` is random text without commas, another for each message.
    ///
    /// # Errors
    /// The login failed, and takes no further message.
    pub fn take(&mut self, message: &[u8], users: &Users, nonce: &str, now: Timestamp) -> Result<Turn, LoginError> {
        let hash = match self.mechanism {
            PasswordMechanism::Plain => None,
            PasswordMechanism::ScramSha256 => Some(Hash::Sha256),
            PasswordMechanism::ScramSha512 => Some(Hash::Sha512),
        };
        match (std::mem::replace(&mut self.stage, Stage::Over), hash) {
            (Stage::Start, None) => Ok(Turn::Proved { login: plain::login(message, users, now)?, last: Vec::new() }),
            (Stage::Start, Some(hash)) => {
                let (challenged, answer) = Challenged::new(hash, message, users, nonce)?;
                self.stage = Stage::Challenged(Box::new(challenged));
                Ok(Turn::Challenge(answer))
            }
            (Stage::Challenged(challenged), _) => {
                let (login, last) = challenged.finish(message, users, now)?;
                Ok(Turn::Proved { login, last })
            }
            (Stage::Over, _) => Err(LoginError::PeerSentMore),
        }
    }
}
