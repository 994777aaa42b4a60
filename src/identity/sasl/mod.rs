//! SASL mechanisms of the proxy's listeners, as functions from bytes to an identity.

pub mod oauthbearer;
pub mod plain;
mod relayed;
mod scram;

pub use relayed::Relayed;

use super::Login;
use super::names::check_given;
use super::tokens::{TokenError, Tokens, Unproved, Wanted};
use super::users::{Hash, Users};
use crate::model::{Mechanism, PasswordMechanism, Timestamp, shown};
use oauthbearer::Bearer;
use scram::Challenged;

/// A login failed. What the client is told is Kafka's text, in SaslAuthenticate's `error_message` with error 58
/// (SASL_AUTHENTICATION_FAILED): it never says whether the user exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// A message of OAUTHBEARER that is none. The message itself is never repeated: it holds a token.
    #[error("OAUTHBEARER: {0}")]
    PeerSentBearer(&'static str),
    /// A token that is not taken.
    #[error("OAUTHBEARER: {0}")]
    PeerSentToken(TokenError),
    /// The client asks to be somebody else than its token says.
    #[error(
        "Authentication failed: Client requested an authorization id ({asked}) that is different from the token's principal name ({name})"
    )]
    PeerSentOtherName {
        /// Whom it asks to be.
        asked: String,
        /// Who it is.
        name: String,
    },
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
    pub fn told(&self, mechanism: Mechanism, again: bool) -> String {
        match self {
            Self::PeerSentTokens(_)
            | Self::PeerSentNoUsername
            | Self::PeerSentNoPassword
            | Self::PeerSentWrongCredentials
            | Self::PeerSentOtherAuthorizationId
            | Self::PeerSentOtherName { .. } => self.to_string(),
            Self::PeerSentToken(_) => oauthbearer::REFUSAL.to_owned(),
            Self::PeerSentScram(_)
            | Self::PeerSentWrongProof
            | Self::PeerSentBearer(_)
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
    /// It cannot be told without this key: once it was asked for, the same message is to be taken again.
    Wants(Wanted),
}

/// What a message is checked against.
#[derive(Copy, Clone)]
pub struct Against<'a> {
    /// Who has a password.
    pub users: &'a Users,
    /// Whose tokens are taken.
    pub tokens: &'a Tokens,
    /// Whether a key that the message wanted was asked for: what is not there now does not exist.
    pub asked: bool,
    /// Random text without commas, another for each message.
    pub nonce: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// The messages of one login, by one mechanism.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Start,
    Challenged(Box<Challenged>),
    /// The client was told that its token is not taken, and has to say that it has seen that.
    Refused(Box<TokenError>),
    Over,
}

impl Exchange {
    /// A login by this mechanism.
    pub fn new(mechanism: Mechanism) -> Self {
        Self { mechanism, stage: Stage::Start }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Why the login has failed, where the client is told so by a message that it still has to answer: it has failed
    /// whether it does or not.
    pub fn refused(&self) -> Option<&TokenError> {
        match &self.stage {
            Stage::Refused(error) => Some(error),
            Stage::Start | Stage::Challenged(_) | Stage::Over => None,
        }
    }

    /// The name that a first message with a password says, if it says one that somebody may have.
    pub fn claim(&self, message: &[u8]) -> Option<String> {
        let claimed = match (&self.stage, self.mechanism) {
            (Stage::Challenged(_) | Stage::Refused(_) | Stage::Over, _) => None,
            (Stage::Start, Mechanism::Password(PasswordMechanism::Plain)) => {
                plain::Credentials::parse(message).ok().map(|credentials| credentials.username.to_owned())
            }
            (Stage::Start, Mechanism::Password(PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512)) => {
                scram::ClientFirst::parse(message).ok().map(|first| first.name)
            }
            // A token says nothing before it is verified.
            (Stage::Start, Mechanism::OAuthBearer) => None,
        };
        claimed.filter(|name| check_given(name, "User:").is_ok())
    }

    /// Whether a message costs milliseconds of computing: the shell then takes it where that does not hold other
    /// connections up.
    pub fn is_costly(&self) -> bool {
        match self.mechanism {
            Mechanism::Password(PasswordMechanism::Plain) => true,
            // A signature is checked in some tens of microseconds.
            Mechanism::Password(PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512)
            | Mechanism::OAuthBearer => false,
        }
    }

    /// Takes a message of the client.
    ///
    /// # Errors
    /// The login failed, and takes no further message.
    pub fn take(&mut self, message: &[u8], against: &Against<'_>) -> Result<Turn, LoginError> {
        let Against { users, nonce, now, .. } = *against;
        match (std::mem::replace(&mut self.stage, Stage::Over), self.mechanism) {
            (Stage::Start, Mechanism::Password(PasswordMechanism::Plain)) => {
                Ok(Turn::Proved { login: plain::login(message, users, now)?, last: Vec::new() })
            }
            (Stage::Start, Mechanism::Password(PasswordMechanism::ScramSha256)) => {
                self.challenge(Hash::Sha256, message, users, nonce)
            }
            (Stage::Start, Mechanism::Password(PasswordMechanism::ScramSha512)) => {
                self.challenge(Hash::Sha512, message, users, nonce)
            }
            (Stage::Start, Mechanism::OAuthBearer) => self.bearer(message, against),
            (Stage::Challenged(challenged), _) => {
                let (login, last) = challenged.finish(message, users, now)?;
                Ok(Turn::Proved { login, last })
            }
            // Kafka would take another token instead; no client sends one.
            (Stage::Refused(error), _) if message == oauthbearer::SEEN => Err(LoginError::PeerSentToken(*error)),
            (Stage::Refused(_) | Stage::Over, _) => Err(LoginError::PeerSentMore),
        }
    }

    fn challenge(&mut self, hash: Hash, message: &[u8], users: &Users, nonce: &str) -> Result<Turn, LoginError> {
        let (challenged, answer) = Challenged::new(hash, message, users, nonce)?;
        self.stage = Stage::Challenged(Box::new(challenged));
        Ok(Turn::Challenge(answer))
    }

    fn bearer(&mut self, message: &[u8], against: &Against<'_>) -> Result<Turn, LoginError> {
        let bearer = Bearer::parse(message)?;
        let login = match against.tokens.verify(bearer.token, against.now) {
            Ok(login) => login,
            Err(Unproved::Wants(wanted, _)) if !against.asked => {
                self.stage = Stage::Start;
                return Ok(Turn::Wants(wanted));
            }
            Err(Unproved::Wants(_, error) | Unproved::Refused(error)) => {
                self.stage = Stage::Refused(Box::new(error));
                return Ok(Turn::Challenge(oauthbearer::REFUSAL.into()));
            }
        };
        let name = login.principal.get().name();
        if !bearer.authorization_id.is_empty() && bearer.authorization_id != name {
            let asked: String = bearer.authorization_id.chars().take(255).collect();
            return Err(LoginError::PeerSentOtherName { asked: shown(&asked).into_owned(), name: name.to_owned() });
        }
        Ok(Turn::Proved { login, last: Vec::new() })
    }
}

#[cfg(test)]
mod tests;
