//! A login that a broker checks (`identity: pass_through`): what the broker says, and what the client is told of it.

use super::{Login, LoginStep, Stage, close};
use crate::identity::sasl::Relayed;
use crate::model::{CloseReason, Mechanism, Principal};
use crate::session::Checked;
use crate::wire::schema::sasl_authenticate::{request as authenticate, response as authenticated};
use crate::wire::schema::sasl_handshake::{request as handshake, response as shaken};
use crate::wire::{ApiKey, ErrorCode, Node, Rope, Value, message};
use bytes::Bytes;
use std::time::Duration;

/// The longest text of a broker that is kept, in characters: events and logs repeat it.
const LONGEST_WORDS: usize = 200;

/// A broker's answer to SaslHandshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shook {
    /// The error.
    pub code: ErrorCode,
    /// The mechanisms that it names.
    pub offered: Vec<String>,
}

impl Shook {
    /// The question for a mechanism.
    pub fn ask(mechanism: Mechanism) -> Node {
        Node::request(ApiKey::SASL_HANDSHAKE).with(handshake::MECHANISM, mechanism.name())
    }

    /// Reads the answer.
    pub fn read(answer: &Node) -> Self {
        let offered = answer.strs(shaken::MECHANISMS).map(str::to_owned).collect();
        Self { code: ErrorCode(answer.i16(shaken::ERROR_CODE)), offered }
    }

    /// Why a mechanism was refused, for the operator.
    pub fn words(&self, mechanism: Mechanism) -> String {
        let name = mechanism.name();
        let offered: String = self.offered.join(", ").escape_debug().take(LONGEST_WORDS).collect();
        match self.code {
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                format!("the broker does not offer {name} but {offered}: see `listeners[].sasl.mechanisms`")
            }
            ErrorCode::ILLEGAL_SASL_STATE => {
                "the broker's listener has no login: let `cluster.bootstrap` name one that has".to_owned()
            }
            code => format!("the broker refused {name}: {}", code.name()),
        }
    }
}

/// A broker's answer to SaslAuthenticate. The mechanism's bytes are not shown: they may be a proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Answered {
    /// The error.
    pub code: ErrorCode,
    /// What is told of it.
    pub text: Option<String>,
    /// The mechanism's message.
    pub bytes: Bytes,
    /// Milliseconds within which the client is to log in again; 0 = it need not.
    pub lifetime: i64,
}

impl std::fmt::Debug for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, text, lifetime, .. } = self;
        f.debug_struct("Answered")
            .field("code", code)
            .field("text", text)
            .field("lifetime", lifetime)
            .finish_non_exhaustive()
    }
}

impl Answered {
    /// The request that takes a message of the mechanism to a broker.
    pub fn ask(message: Bytes) -> Node {
        Node::request(ApiKey::SASL_AUTHENTICATE).with(authenticate::AUTH_BYTES, message)
    }

    /// Looks at a message of the mechanism before it goes on to a broker; in a login again of `before` it does so only if
    /// that one is who the client says it is. If it must not go on: what came of it.
    pub fn stopped(exchange: &mut Relayed, message: &[u8], before: Option<&Principal>) -> Option<Checked> {
        if let Err(error) = exchange.sent(message) {
            let told = error.told(exchange.mechanism(), before.is_some());
            return Some(Checked::Failed { told, detail: error.to_string() });
        }
        before.and_then(|before| Checked::of_other(exchange.claim(), before))
    }

    /// Reads the answer.
    pub fn read(answer: &Node) -> Self {
        Self {
            code: ErrorCode(answer.i16(authenticated::ERROR_CODE)),
            text: answer.opt_str(authenticated::ERROR_MESSAGE).map(str::to_owned),
            bytes: answer.bytes(authenticated::AUTH_BYTES).cloned().unwrap_or_default(),
            lifetime: answer.int(authenticated::SESSION_LIFETIME_MS),
        }
    }

    /// What it means for the login that `exchange` follows; `again`: of a client that was logged in before.
    pub fn judged(self, exchange: &mut Relayed, again: bool) -> Checked {
        if self.code != ErrorCode::NONE {
            return Checked::Refused(self);
        }
        match exchange.answered(&self.bytes) {
            Ok(None) => Checked::Challenge(self.bytes.to_vec()),
            Ok(Some(login)) => {
                let lifetime = u64::try_from(self.lifetime).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
                Checked::Proved { login, last: self.bytes.to_vec(), lifetime }
            }
            Err(error) => Checked::Failed { told: error.told(exchange.mechanism(), again), detail: error.to_string() },
        }
    }

    /// An error in words, for the operator.
    pub fn words(&self) -> String {
        let text = self.text.as_deref().unwrap_or(self.code.name());
        // The broker's text may repeat the client's.
        let shown: String = text.escape_debug().take(LONGEST_WORDS).collect();
        format!("the broker refused the login: {shown}")
    }

    /// An error as it goes on to the client.
    pub(super) fn write(self, node: &mut Node) {
        node.set(authenticated::AUTH_BYTES, self.bytes);
        node.set(authenticated::ERROR_CODE, self.code);
        node.set(authenticated::ERROR_MESSAGE, self.text.as_deref().map_or(Value::Null, Value::from));
    }
}

impl Login {
    /// What the broker says to the handshake. Without the mechanism there is no login: the client is told as the broker
    /// tells it, but of the mechanisms that are offered here.
    pub fn shaken(&mut self, shook: &Shook) -> LoginStep {
        let (Stage::Asking(correlation_id, version), Some(mechanism)) = (&self.stage, self.agreed) else {
            return close(CloseReason::Internal, "an answer to no handshake".to_owned());
        };
        let both = self.mechanisms.iter().filter(|m| shook.offered.iter().any(|name| name == m.name()));
        let answer = told(*correlation_id, *version, shook.code, both);
        if shook.code == ErrorCode::NONE {
            self.stage = Stage::Shaken { raw: false };
            return LoginStep::Answer(answer);
        }
        let detail = shook.words(mechanism);
        LoginStep::Close { answer: Some(answer), reason: CloseReason::LoginFailed, detail }
    }
}

/// An answer to SaslHandshake.
pub(super) fn told<'m>(
    correlation_id: i32,
    version: i16,
    error: ErrorCode,
    mechanisms: impl Iterator<Item = &'m Mechanism>,
) -> Rope {
    let offered: Vec<Value> = mechanisms.map(|m| Value::from(m.name())).collect();
    let node = Node::response(ApiKey::SASL_HANDSHAKE).with(shaken::ERROR_CODE, error).with(shaken::MECHANISMS, offered);
    message::response_frame(ApiKey::SASL_HANDSHAKE, version, correlation_id, &node)
}
