//! The proxy logs in again at the broker, on the connection that it made for a client (KIP-368), before the broker would close
//! it. The client does not notice: what it has asked is answered before, what it asks meanwhile waits.
//!
//! Source: `SaslClientAuthenticator.ReauthInfo`, `KafkaChannel.maybeBeginServerReauthentication` and
//! `.serverAuthenticationSessionExpired`, Kafka 4.3. Between SaslHandshake and the end of the exchange a broker takes nothing
//! else. A handshake that comes late still begins a login; any other request then ends the connection.

use super::machine::{Machine, Now, Outputs, SessionError, Wait};
use super::room::LONGEST_LOGIN;
use crate::model::CloseReason;
use crate::wire::frame::{SIZE_LEN, response_size};
use crate::wire::message::{decode_response, request_frame};
use crate::wire::{ApiKey, Node};

/// Where the proxy's login at the broker stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum BrokerLogin {
    /// It holds for ever, as far as the broker says.
    Holds,
    /// It is to be made again then, in microseconds of the shell's clock.
    Until(u64),
    /// It is due: nothing more is asked until what was asked is answered.
    Due,
    /// It is under way since then, and this was asked, with this correlation id.
    UnderWay { since: u64, asked: Option<(ApiKey, i16, i32)> },
}

/// What is to be done for a login again ([`Outputs::broker_login`]).
#[derive(Debug)]
pub enum BrokerLoginTurn {
    /// Begin one.
    Begin,
    /// Say what follows from this answer.
    Answered(Node),
}

/// What came of that.
#[derive(Debug)]
pub enum BrokerLoginStep {
    /// Ask the broker this.
    Ask {
        /// The API.
        key: ApiKey,
        /// In which version.
        version: i16,
        /// What is asked.
        body: Node,
    },
    /// The broker knows the proxy again, until it has to log in next, in microseconds of the shell's clock; `None` = for ever.
    Done(Option<u64>),
    /// It does not; in words for whoever reads the audit.
    Failed(String),
}

impl Machine {
    /// When the proxy has to log in again at the broker, in microseconds of the shell's clock; `None` = never.
    pub fn broker_knows_until(&mut self, until: Option<u64>) {
        self.broker_login = until.map_or(BrokerLogin::Holds, BrokerLogin::Until);
    }

    /// Whether the broker knows the proxy, and it need not log in again yet: another request may go.
    pub(super) fn broker_knows(&self) -> bool {
        matches!(self.broker_login, BrokerLogin::Holds | BrokerLogin::Until(_))
    }

    /// The next instant at which the proxy has to log in again at the broker: time to say [`super::Input::Tick`].
    pub fn broker_login_edge(&self) -> Option<u64> {
        match self.broker_login {
            BrokerLogin::Until(due) => Some(due),
            BrokerLogin::Holds | BrokerLogin::Due | BrokerLogin::UnderWay { .. } => None,
        }
    }

    /// When the login at the broker began that is under way.
    pub fn broker_login_since(&self) -> Option<u64> {
        match self.broker_login {
            BrokerLogin::UnderWay { since, .. } => Some(since),
            BrokerLogin::Holds | BrokerLogin::Until(_) | BrokerLogin::Due => None,
        }
    }

    /// Notes that the login is due, also where it cannot begin yet.
    pub(super) fn note_broker_login(&mut self, now: Now) {
        if let BrokerLogin::Until(due) = self.broker_login
            && now.micros >= due
        {
            self.broker_login = BrokerLogin::Due;
        }
    }

    /// Whether requests have to wait for a login at the broker; begins it when all before them is answered.
    pub(super) fn waits_for_broker_login(&mut self, now: Now, out: &mut Outputs) -> bool {
        match self.broker_login {
            BrokerLogin::Holds | BrokerLogin::Until(_) => return false,
            BrokerLogin::UnderWay { .. } => return true,
            BrokerLogin::Due => {}
        }
        if !self.broker_ready || (self.client_ended && !self.has_request()) {
            return false;
        }
        if self.inflight.ahead().0 == 0 && self.answering.is_idle() {
            self.broker_login = BrokerLogin::UnderWay { since: now.micros, asked: None };
            self.wait = Wait::BrokerLogin;
            out.broker_login = Some(BrokerLoginTurn::Begin);
        }
        true
    }

    /// Takes what follows in a login at the broker.
    pub(super) fn broker_login_step(&mut self, step: BrokerLoginStep, out: &mut Outputs) {
        let (BrokerLogin::UnderWay { since, asked: None }, Wait::BrokerLogin) = (self.broker_login, &self.wait) else {
            return;
        };
        match step {
            BrokerLoginStep::Ask { key, version, body } => {
                // Nothing of a client is unanswered: its numbers cannot be meant.
                let correlation = 0;
                let client_id = &self.world.topology.own.client_id;
                let frame = request_frame(key, version, correlation, Some(client_id), &body);
                self.to_broker.push_rope(frame);
                self.broker_login = BrokerLogin::UnderWay { since, asked: Some((key, version, correlation)) };
            }
            BrokerLoginStep::Done(until) => {
                self.broker_knows_until(until);
                self.wait = Wait::Nothing;
            }
            BrokerLoginStep::Failed(detail) => {
                out.detail = Some(detail);
                self.close(CloseReason::UpstreamLogin);
            }
        }
    }

    /// Takes the broker's answer in a login, once it is whole; `None` if none is awaited.
    pub(super) fn take_broker_login(&mut self, out: &mut Outputs) -> Option<Result<bool, SessionError>> {
        let BrokerLogin::UnderWay { since, asked: Some((key, version, expected)) } = self.broker_login else {
            return None;
        };
        let head = self.from_broker.get(SIZE_LEN..SIZE_LEN + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let Some(got) = head.map(i32::from_be_bytes) else { return Some(Ok(false)) };
        let Ok(Some(size)) = response_size(&self.from_broker, LONGEST_LOGIN) else {
            return Some(Err(SessionError::UpstreamSentCorrelation { got, expected }));
        };
        if got != expected {
            return Some(Err(SessionError::UpstreamSentCorrelation { got, expected }));
        }
        if self.from_broker.len() < SIZE_LEN + size {
            return Some(Ok(false));
        }
        let frame = self.from_broker.split_to(SIZE_LEN + size).freeze();
        match decode_response(key, version, &frame.slice(SIZE_LEN..)) {
            Ok((_, answer)) => {
                self.broker_login = BrokerLogin::UnderWay { since, asked: None };
                out.broker_login = Some(BrokerLoginTurn::Answered(answer));
                Some(Ok(true))
            }
            Err(error) => Some(Err(SessionError::UpstreamSentAnswer { api: key.name(), version, error })),
        }
    }
}
