//! A client logs in again where a broker checks it (`identity: pass_through`).
//!
//! Source: `KafkaChannel.maybeBeginServerReauthentication`, Kafka 4.3: a broker takes a login again on a connection whose
//! login it gave a time, and answers it on others as where there is nothing to log in to. So it goes down the client's own
//! connection where it can, in the order of the pipe; where only the proxy gives logins a time, to a connection beside it,
//! which proves as much.

use super::login::{Answered, LoginStep, Shook};
use super::machine::{Machine, Now, Outputs, SessionError, Wait};
use super::renewal::Checked;
use super::room::LONGEST_LOGIN;
use crate::identity;
use crate::identity::sasl::Relayed;
use crate::model::Mechanism;
use crate::wire::frame::{SIZE_LEN, response_size};
use crate::wire::message::{decode_response, request_frame};
use crate::wire::{ApiKey, ErrorCode, Node, Versions, api};
use bytes::Bytes;
use std::fmt;

/// Nothing of the client's is unanswered meanwhile: no number of its can be meant.
const CORRELATION: i32 = 0;

/// Who checks a login, and the logins again.
pub(super) enum Checks {
    /// The proxy.
    Here,
    /// The broker, on the client's own connection; with the exchange that is under way.
    Pipe(Option<Relayed>),
    /// A broker, on another connection each time.
    Beside,
}

/// What the shell does for a login again that a broker checks ([`Outputs::relay`]).
pub enum Relaying {
    /// Ask a broker for this mechanism, on a connection of its own.
    Shake(Mechanism),
    /// Pass this message on to it.
    Message(Bytes),
    /// Look whether this message, of a login by tokens, is good as far as can be told here, before it goes on.
    Vouch(Mechanism, Bytes),
    /// The client's own broker has decided so: treat it as what was checked here.
    Settle(Checked),
}

impl fmt::Debug for Relaying {
    /// Without the message, which may be a password or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shake(mechanism) => f.debug_tuple("Shake").field(mechanism).finish(),
            Self::Message(message) => write!(f, "Message({} bytes)", message.len()),
            Self::Vouch(mechanism, message) => write!(f, "Vouch({}, {} bytes)", mechanism.name(), message.len()),
            Self::Settle(checked) => f.debug_tuple("Settle").field(checked).finish(),
        }
    }
}

impl Machine {
    /// Whether the broker may be read: after its last word in a login it closes, which must not overtake that word.
    pub fn wants_broker(&self) -> bool {
        !matches!(self.wait, Wait::Settling)
    }

    /// Takes a login again one step further, to where it is checked.
    pub(super) fn relay(&mut self, ask: Relaying, out: &mut Outputs) {
        let Some(standing) = &mut self.standing else { return };
        match (&mut standing.checks, ask) {
            (Checks::Here, Relaying::Message(message)) => {
                out.check = Some((standing.mechanism, message));
                self.wait = Wait::Renewal;
            }
            (Checks::Beside, ask) => {
                out.relay = Some(ask);
                self.wait = Wait::Renewal;
            }
            (Checks::Pipe(exchange), Relaying::Shake(mechanism)) => {
                *exchange = Some(Relayed::new(mechanism));
                self.ask_broker(ApiKey::SASL_HANDSHAKE, 1, &Shook::ask(mechanism));
            }
            (Checks::Pipe(exchange), Relaying::Message(message)) => {
                let Some(exchange) = exchange else { return };
                if exchange.wants_voucher() {
                    out.relay = Some(Relaying::Vouch(exchange.mechanism(), message));
                    self.wait = Wait::Renewal;
                    return;
                }
                match Answered::stopped(exchange, &message, Some(&self.subject.get().principal)) {
                    None => {
                        let version = self.authenticates_in();
                        self.ask_broker(ApiKey::SASL_AUTHENTICATE, version, &Answered::ask(message));
                    }
                    Some(failed) => self.settle(failed, out),
                }
            }
            // Nobody asks for these.
            (Checks::Here, Relaying::Shake(_) | Relaying::Vouch(..) | Relaying::Settle(_))
            | (Checks::Pipe(_), Relaying::Vouch(..) | Relaying::Settle(_)) => {}
        }
    }

    /// Takes the broker's answer in a login again, once it is whole; `None` if none is awaited.
    pub(super) fn take_relayed(&mut self, now: Now, out: &mut Outputs) -> Option<Result<bool, SessionError>> {
        let Wait::Relayed(key, version) = self.wait else { return None };
        let head = self.from_broker.get(SIZE_LEN..SIZE_LEN + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let got = i32::from_be_bytes(head?);
        let unexpected = Some(Err(SessionError::UpstreamSentCorrelation { got, expected: CORRELATION }));
        let Ok(Some(size)) = response_size(&self.from_broker, LONGEST_LOGIN) else { return unexpected };
        if got != CORRELATION {
            return unexpected;
        }
        if self.from_broker.len() < SIZE_LEN + size {
            return Some(Ok(false));
        }
        let frame = self.from_broker.split_to(SIZE_LEN + size).freeze();
        match decode_response(key, version, &frame.slice(SIZE_LEN..)) {
            Ok((_, answer)) => self.broker_said(key, &answer, now, out),
            Err(error) => {
                return Some(Err(SessionError::UpstreamSentAnswer { api: key.name(), version, error }));
            }
        }
        Some(Ok(true))
    }

    fn broker_said(&mut self, key: ApiKey, answer: &Node, now: Now, out: &mut Outputs) {
        self.wait = Wait::Renewal;
        if key == ApiKey::SASL_HANDSHAKE {
            return self.checked(Checked::Shaken(Shook::read(answer)), now, out);
        }
        let Some(standing) = &mut self.standing else { return };
        let Checks::Pipe(Some(exchange)) = &mut standing.checks else { return };
        match Answered::read(answer).judged(exchange, true) {
            challenge @ Checked::Challenge(_) => self.checked(challenge, now, out),
            settled => self.settle(settled, out),
        }
    }

    /// The broker answers the handshake. One that it has no use for now leaves the client logged in, as at a broker.
    pub(super) fn shaken(&mut self, shook: &Shook, out: &mut Outputs) {
        let Some(standing) = &mut self.standing else { return };
        let Some(mut again) = standing.again.take() else { return };
        let step = match again.shaken(shook) {
            LoginStep::Close { answer: Some(answer), .. } if shook.code == ErrorCode::ILLEGAL_SASL_STATE => {
                LoginStep::Answer(answer)
            }
            step => {
                standing.again = Some(again);
                step
            }
        };
        self.renewal_step(step, out);
    }

    /// The broker is to say what it makes of a token that is good here.
    pub(super) fn vouched(&mut self, login: identity::Login, message: Bytes, out: &mut Outputs) {
        if let Some(Checks::Pipe(Some(exchange))) = self.standing.as_mut().map(|standing| &mut standing.checks) {
            exchange.vouched(login);
        }
        self.relay(Relaying::Message(message), out);
    }

    fn settle(&mut self, checked: Checked, out: &mut Outputs) {
        out.relay = Some(Relaying::Settle(checked));
        self.wait = Wait::Settling;
    }

    fn ask_broker(&mut self, key: ApiKey, version: i16, body: &Node) {
        self.to_broker.push_rope(request_frame(key, version, CORRELATION, self.client_id.as_deref(), body));
        self.wait = Wait::Relayed(key, version);
    }

    /// The newest version of SaslAuthenticate that both sides know: from 1 on it tells for how long a login holds.
    fn authenticates_in(&self) -> i16 {
        let ours = api(ApiKey::SASL_AUTHENTICATE).map(|api| api.versions);
        let theirs = self.world.topology.versions(self.connection.broker, ApiKey::SASL_AUTHENTICATE);
        let both = ours.zip(theirs).map(|(ours, theirs)| ours.intersect(theirs));
        both.filter(|both: &Versions| !both.is_empty()).map_or(0, |both| both.max)
    }
}
