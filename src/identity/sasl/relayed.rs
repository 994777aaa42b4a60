//! A login that a broker checks: whose name it proves, read from the messages as they go by.
//!
//! Source: `DefaultKafkaPrincipalBuilder.build`, Kafka 4.3: the principal is the server's authorization id, which
//! `PlainSaslServer` and `ScramSaslServer` take from the client's name. But for one case: with the extension `tokenauth`
//! the name is the id of a delegation token, and the principal its owner (`ScramSaslServer.evaluateResponse`). Such a
//! message is refused before any broker sees it, as is every other that has a second reading (threat 32). A token names
//! nobody before it was found good here; which of its claims is the name is configured, here as at the broker
//! (`sasl.oauthbearer.sub.claim.name`).

use super::LoginError;
use super::oauthbearer::SEEN;
use super::plain::Credentials;
use super::scram::ClientFirst;
use crate::identity::Login;
use crate::identity::names::check_given;
use crate::model::{Mechanism, PasswordMechanism, Principal, Verified};
use std::fmt;

/// The messages of one login, on their way to a broker and back.
pub struct Relayed {
    mechanism: Mechanism,
    stage: Stage,
}

enum Stage {
    Start,
    /// SCRAM's first message went on.
    Asked(Claim),
    /// The broker answered it.
    Challenged(Claim),
    /// The last message went on.
    Proving(Claim),
    /// A token was found good here.
    Vouched(Login),
    /// It went on.
    Bearing(Login),
    /// The broker does not take it, and the client has to say that it has seen that.
    Denied,
    /// The client has said so.
    Seen,
    Over,
}

/// Who the client says it is.
struct Claim {
    name: String,
    /// Whether it asks to be somebody else.
    is_other: bool,
}

impl fmt::Debug for Relayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relayed").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl Relayed {
    /// A login by this mechanism.
    pub fn new(mechanism: Mechanism) -> Self {
        Self { mechanism, stage: Stage::Start }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The name that the client has said, or that its token says.
    pub fn claim(&self) -> Option<&str> {
        match &self.stage {
            Stage::Asked(claim) | Stage::Challenged(claim) | Stage::Proving(claim) => Some(&claim.name),
            Stage::Vouched(login) | Stage::Bearing(login) => Some(login.principal.get().name()),
            Stage::Start | Stage::Denied | Stage::Seen | Stage::Over => None,
        }
    }

    /// Looks at a message of the client, which then goes on to the broker.
    ///
    /// # Errors
    /// It must not: nothing could be said of who is proved by it.
    pub fn sent(&mut self, message: &[u8]) -> Result<(), LoginError> {
        let is_plain = match self.mechanism {
            Mechanism::Password(PasswordMechanism::Plain) => true,
            Mechanism::Password(PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512) => false,
            Mechanism::OAuthBearer => return self.bears(message),
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Start if is_plain => {
                let Credentials { authorization_id, username, .. } = Credentials::parse(message)?;
                let other = Some(authorization_id).filter(|id| !id.is_empty());
                Stage::Proving(Claim::new(username, other)?)
            }
            Stage::Start => {
                let ClientFirst { name, authorization_id, .. } = ClientFirst::parse(message)?;
                Stage::Asked(Claim::new(&name, authorization_id.as_deref())?)
            }
            // The broker holds it against the first.
            Stage::Challenged(claim) => Stage::Proving(claim),
            Stage::Asked(_)
            | Stage::Proving(_)
            | Stage::Vouched(_)
            | Stage::Bearing(_)
            | Stage::Denied
            | Stage::Seen
            | Stage::Over => return Err(LoginError::PeerSentMore),
        };
        Ok(())
    }

    fn bears(&mut self, message: &[u8]) -> Result<(), LoginError> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Vouched(login) => Stage::Bearing(login),
            Stage::Denied if message == SEEN => Stage::Seen,
            Stage::Start
            | Stage::Asked(_)
            | Stage::Challenged(_)
            | Stage::Proving(_)
            | Stage::Bearing(_)
            | Stage::Denied
            | Stage::Seen
            | Stage::Over => return Err(LoginError::PeerSentMore),
        };
        Ok(())
    }

    /// Whether the next message has to be found good here before it goes on ([`Relayed::vouched`]).
    pub fn wants_voucher(&self) -> bool {
        self.mechanism == Mechanism::OAuthBearer && matches!(self.stage, Stage::Start)
    }

    /// The next message proves this, as far as can be told here.
    pub fn vouched(&mut self, login: Login) {
        if self.wants_voucher() {
            self.stage = Stage::Vouched(login);
        }
    }

    /// Whether the broker does not take the token, and said so by a message that is still to be answered.
    pub fn is_denied(&self) -> bool {
        matches!(self.stage, Stage::Denied)
    }

    /// Looks at what the broker answered, which was no error: who is proved by it, once that is over.
    ///
    /// # Errors
    /// The broker let the client in, and yet it is not proved whose name it has.
    pub fn answered(&mut self, answer: &[u8]) -> Result<Option<Login>, LoginError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked(claim) => {
                self.stage = Stage::Challenged(claim);
                Ok(None)
            }
            Stage::Proving(claim) => {
                let proves = match self.mechanism {
                    Mechanism::Password(PasswordMechanism::Plain) => true,
                    Mechanism::Password(PasswordMechanism::ScramSha256 | PasswordMechanism::ScramSha512) => {
                        answer.starts_with(b"v=")
                    }
                    Mechanism::OAuthBearer => false,
                };
                if !proves {
                    return Err(LoginError::UpstreamSentNoProof);
                }
                if claim.is_other {
                    return Err(LoginError::PeerSentOtherAuthorizationId);
                }
                Ok(Some(claim.login()))
            }
            // What it answers to a token that it takes is empty (`OAuthBearerSaslServer.evaluateResponse`).
            Stage::Bearing(login) if answer.is_empty() => Ok(Some(login)),
            Stage::Bearing(_) => {
                self.stage = Stage::Denied;
                Ok(None)
            }
            Stage::Seen => Err(LoginError::UpstreamSentNoProof),
            Stage::Start | Stage::Challenged(_) | Stage::Vouched(_) | Stage::Denied | Stage::Over => {
                Err(LoginError::PeerSentMore)
            }
        }
    }
}

impl Claim {
    fn new(name: &str, authorization_id: Option<&str>) -> Result<Self, LoginError> {
        check_given(name, "User:").map_err(|_| LoginError::PeerSentName)?;
        Ok(Self { name: name.to_owned(), is_other: authorization_id.is_some_and(|id| id != name) })
    }

    /// Groups are the policy's alone: brokers know none.
    fn login(self) -> Login {
        let principal = Verified::proved(Principal::user(&self.name));
        Login { principal, groups: [].into(), may_merge: false, expires: None, credential: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: &[u8] = b"v=proof";

    /// What comes of a login to whose messages the broker says this.
    fn outcome(mechanism: Mechanism, talk: &[(&str, &[u8])]) -> Result<String, LoginError> {
        let mut relayed = Relayed::new(mechanism);
        let mut proved = None;
        for (message, answer) in talk {
            relayed.sent(message.as_bytes())?;
            proved = relayed.answered(answer)?;
        }
        Ok(proved.map_or_else(|| "nobody yet".to_owned(), |login| login.principal.get().to_string()))
    }

    fn plain(message: &str) -> Result<String, LoginError> {
        outcome(Mechanism::PLAIN, &[(message, b"")])
    }

    fn scram(first: &str, last: &[u8]) -> Result<String, LoginError> {
        outcome(Mechanism::SCRAM_SHA_512, &[(first, b"r=nonce+,s=,i=4096"), ("c=biws,r=nonce+,p=", last)])
    }

    #[test]
    fn the_name_of_who_the_broker_lets_in_is_learned() {
        for message in ["\0alice\0secret", "alice\0alice\0secret"] {
            assert_eq!(plain(message), Ok("User:alice".into()));
        }
        for (first, name) in [
            ("n,,n=alice,r=nonce", "alice"),
            ("n,a=alice,n=alice,r=nonce", "alice"),
            ("n,,n=a=2Cb=3Dc,r=nonce", "a,b=c"),
        ] {
            assert_eq!(scram(first, PROOF), Ok(format!("User:{name}")));
        }
        let first = [("n,,n=alice,r=nonce", PROOF)];
        assert_eq!(outcome(Mechanism::SCRAM_SHA_256, &first), Ok("nobody yet".into()), "a challenge proves nobody");
    }

    #[test]
    fn threat_32_what_could_be_read_as_another_name_reaches_no_broker() {
        let refused = LoginError::PeerSentScram("the first message is malformed, or has extensions");
        for first in [
            "n,,n=alice,r=nonce,tokenauth=true",
            "n,,n=alice,r=nonce,x=y",
            "n,,m=ext,n=alice,r=nonce",
            "y,,n=alice,r=nonce",
            "p=tls-unique,,n=alice,r=nonce",
            "n,,n=al=ice,r=nonce",
            "n,,n=,r=nonce",
            "",
        ] {
            assert_eq!(Relayed::new(Mechanism::SCRAM_SHA_256).sent(first.as_bytes()), Err(refused.clone()), "{first}");
        }
        for message in ["alice", "\0alice\0secret\0", "\0\0secret", "\0alice\0"] {
            assert!(Relayed::new(Mechanism::PLAIN).sent(message.as_bytes()).is_err(), "{message:?}");
        }
        assert!(Relayed::new(Mechanism::PLAIN).sent(b"\0ali\xffce\0secret").is_err(), "java reads U+FFFD");
        for name in ["*", "User:alice", "a\u{1}b", "a\u{2028}b", &"a".repeat(256)] {
            let message = format!("\0{name}\0secret");
            let sent = Relayed::new(Mechanism::PLAIN).sent(message.as_bytes());
            assert_eq!(sent, Err(LoginError::PeerSentName), "{name:?}");
        }
    }

    #[test]
    fn threat_32_who_asks_to_be_somebody_else_is_nobody_here_even_if_a_broker_takes_it() {
        let other = Err(LoginError::PeerSentOtherAuthorizationId);
        assert_eq!(plain("bob\0alice\0secret"), other);
        assert_eq!(scram("n,a=bob,n=alice,r=nonce", PROOF), other);
    }

    #[test]
    fn a_broker_that_does_not_prove_itself_names_nobody() {
        for last in [&b""[..], b"e=invalid-proof", b"r=nonce"] {
            assert_eq!(scram("n,,n=alice,r=nonce", last), Err(LoginError::UpstreamSentNoProof));
        }
    }

    /// A login by a token that was found good here.
    fn bearing() -> Relayed {
        let mut relayed = Relayed::new(Mechanism::OAuthBearer);
        assert!(relayed.wants_voucher());
        relayed.vouched(Claim::new("alice", None).unwrap().login());
        relayed.sent(b"n,,...").unwrap();
        relayed
    }

    #[test]
    fn a_token_names_nobody_before_it_was_found_good_here_and_by_the_broker() {
        assert_eq!(Relayed::new(Mechanism::OAuthBearer).sent(b"n,,..."), Err(LoginError::PeerSentMore));
        let mut relayed = bearing();
        let login = relayed.answered(b"").unwrap().unwrap();
        assert_eq!(login.principal.get().to_string(), "User:alice");
        assert!(!relayed.wants_voucher());
        let mut relayed = bearing();
        assert_eq!(relayed.answered(b"{}"), Ok(None));
        assert!(relayed.is_denied());
        relayed.sent(SEEN).unwrap();
        assert_eq!(relayed.answered(b""), Err(LoginError::UpstreamSentNoProof), "after a refusal");
        let mut relayed = bearing();
        relayed.answered(b"{}").unwrap();
        assert_eq!(relayed.sent(b"n,,..."), Err(LoginError::PeerSentMore), "no second token");
    }

    #[test]
    fn a_message_out_of_turn_is_refused() {
        let mut relayed = Relayed::new(Mechanism::SCRAM_SHA_512);
        assert_eq!(relayed.answered(PROOF), Err(LoginError::PeerSentMore));
        let mut relayed = Relayed::new(Mechanism::PLAIN);
        relayed.sent(b"\0alice\0secret").unwrap();
        assert_eq!(relayed.sent(b"\0bob\0secret"), Err(LoginError::PeerSentMore));
    }

    #[test]
    fn nothing_of_the_messages_is_shown() {
        let mut relayed = Relayed::new(Mechanism::PLAIN);
        relayed.sent(b"\0alice\0hunter2").unwrap();
        let text = format!("{relayed:?}");
        assert!(!text.contains("hunter2") && !text.contains("alice"), "{text}");
    }
}
