//! PLAIN: `[authzid] NUL authcid NUL passwd` (RFC 4616).
//! Source: `PlainSaslServer.evaluateResponse` and `extractTokens`, Kafka 4.1; unchanged in 4.4.

use super::LoginError;
use crate::identity::Login;
use crate::identity::users::Users;
use crate::model::Timestamp;
use std::fmt;

/// The message of a client. Its password is never shown.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Whom the client wants to act as; empty = itself.
    pub authorization_id: &'a str,
    /// The user's name; not empty.
    pub username: &'a str,
    /// The password; not empty.
    pub password: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl<'a> Credentials<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// It has not three parts, or a name or password is empty. Bytes that are no UTF-8, which Java replaces,
    /// are wrong credentials: replaced, different passwords would become equal.
    pub fn parse(message: &'a [u8]) -> Result<Self, LoginError> {
        // Kafka looks for at most four parts, so it tells of four however many there are.
        let parts: Vec<&[u8]> = message.splitn(4, |b| *b == 0).collect();
        let &[authorization_id, username, password] = parts.as_slice() else {
            return Err(LoginError::PeerSentTokens(parts.len()));
        };
        if username.is_empty() {
            return Err(LoginError::PeerSentNoUsername);
        }
        if password.is_empty() {
            return Err(LoginError::PeerSentNoPassword);
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| LoginError::PeerSentWrongCredentials);
        Ok(Self { authorization_id: text(authorization_id)?, username: text(username)?, password: text(password)? })
    }
}

/// Judges a message. Takes as long for an unknown user as for a wrong password: milliseconds of computing,
/// so the shell calls it where that does not hold other connections up.
///
/// # Errors
/// The message is malformed, or the login fails.
pub fn login(message: &[u8], users: &Users, now: Timestamp) -> Result<Login, LoginError> {
    let credentials = Credentials::parse(message)?;
    let login = users
        .verify_password(credentials.username, credentials.password, now)
        .ok_or(LoginError::PeerSentWrongCredentials)?;
    // After the password, as in Kafka: who cannot log in learns nothing.
    if !credentials.authorization_id.is_empty() && credentials.authorization_id != credentials.username {
        return Err(LoginError::PeerSentOtherAuthorizationId);
    }
    Ok(login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::users::{User, Users};

    fn users() -> Users {
        Users::new(vec![User::with_password("alice", "secret", b"salt-of-alice", 4096)])
    }

    fn message(message: &str) -> Result<String, String> {
        login(message.as_bytes(), &users(), Timestamp(0))
            .map(|login| login.principal.get().to_string())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_right_password_proves_the_user() {
        assert_eq!(message("\0alice\0secret"), Ok("User:alice".into()));
        assert_eq!(message("alice\0alice\0secret"), Ok("User:alice".into()));
    }

    #[test]
    fn failures_have_the_texts_of_kafka() {
        let wrong = "Authentication failed: Invalid username or password";
        for (sent, expected) in [
            ("", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
            ("alice\0secret", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
            ("\0alice\0secret\0", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
            ("\0\0\0\0\0\0", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
            ("\0\0secret", "Authentication failed: username not specified"),
            ("\0alice\0", "Authentication failed: password not specified"),
            ("\0alice\0secreT", wrong),
            ("\0bob\0secret", wrong),
            ("bob\0alice\0wrong", wrong),
            (
                "bob\0alice\0secret",
                "Authentication failed: Client requested an authorization id that is different from username",
            ),
        ] {
            assert_eq!(message(sent), Err(expected.into()), "{sent:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_wrong_credentials() {
        let e = login(b"\0alice\0secret\xff", &users(), Timestamp(0)).unwrap_err();
        assert_eq!(e, LoginError::PeerSentWrongCredentials);
    }

    #[test]
    fn the_password_is_not_shown() {
        let text = format!("{:?}", Credentials::parse(b"\0alice\0hunter2").unwrap());
        assert!(text.contains("alice") && !text.contains("hunter2"), "{text}");
    }
}
