//! A SASL login at the proxy, without I/O: which request is taken when, and how it is answered.
//!
//! Source: `SaslServerAuthenticator`, Kafka 4.3. Before the login ApiVersions and SaslHandshake are served, and after a
//! handshake SaslAuthenticate, as often as the mechanism asks; anything else closes the connection. A handshake of
//! version 0 is followed by tokens without Kafka's headers; it is served for PLAIN alone.

use crate::enforce::{Topology, table};
use crate::model::{CloseReason, Mechanism};
use crate::wire::frame::{FrameError, request_size, token_size};
use crate::wire::header::{self, RequestHeader};
use crate::wire::schema::api_versions::request as api_versions;
use crate::wire::schema::sasl_authenticate::{request as authenticate, response as authenticated};
use crate::wire::schema::sasl_handshake::request as handshake;
use crate::wire::{ApiKey, ErrorCode, Node, Rope, Scan, View, WireError, message};
use bytes::Bytes;
use relay::told;
use std::sync::Arc;

mod relay;

pub use relay::{Answered, Shook};

/// What the shell does next.
pub enum LoginStep {
    /// Send this and read on.
    Answer(Rope),
    /// Ask the broker for this mechanism, then say [`Login::shaken`].
    Shake(Mechanism),
    /// Check this message of the mechanism, then say [`Login::verified`].
    Verify(Bytes),
    /// Send this, if there is anything, then close.
    Close {
        /// Last words.
        answer: Option<Rope>,
        /// Why.
        reason: CloseReason,
        /// In words.
        detail: String,
    },
}

/// What a mechanism says of a message.
pub enum LoginVerdict {
    /// The client has to answer this.
    Challenge(Vec<u8>),
    /// It is proved who the client is.
    Proved {
        /// The mechanism's last message.
        last: Vec<u8>,
        /// Milliseconds within which the client is to log in again; 0 = it need not.
        lifetime: i64,
    },
    /// The login failed; what the client is told.
    Failed(String),
    /// A broker refused the login.
    Refused(Answered),
}

/// Where a login stands.
enum Stage {
    /// Nothing was agreed.
    Start,
    /// The broker is asked for the mechanism; its answer has this correlation id and version.
    Asking(i32, i16),
    /// A mechanism was agreed; `raw`: its messages come without headers.
    Shaken { raw: bool },
    /// A message is being checked; its answer has this correlation id and version, or no header at all.
    Checking(Option<(i32, i16)>),
    /// A login again by another mechanism: answered, and closed at the next message
    /// (`SaslServerAuthenticator.ReauthInfo.saslMechanismUnchanged`).
    Changed { before: Mechanism, to: Mechanism },
}

/// The mechanisms that a listener offers.
pub type Mechanisms = Arc<[Mechanism]>;

/// One login.
pub struct Login {
    mechanisms: Mechanisms,
    agreed: Option<Mechanism>,
    /// For a login again: the mechanism before.
    before: Option<Mechanism>,
    /// Whether a broker checks it.
    relays: bool,
    stage: Stage,
    scan: Scan,
    broker: Option<i32>,
    /// Name and version of the client's software, if it told them.
    pub software: Option<(Arc<str>, Arc<str>)>,
}

impl Login {
    /// A login on a connection for a broker, with the mechanisms that are offered.
    pub fn new(mechanisms: Mechanisms, broker: Option<i32>) -> Self {
        let (stage, scan) = (Stage::Start, Scan::new());
        Self { mechanisms, agreed: None, before: None, relays: false, stage, scan, broker, software: None }
    }

    /// A broker checks this login (`identity: pass_through`), with handshakes of version 1: behind one of version 0 a broker
    /// could not say why it refuses, nor for how long it agrees.
    #[must_use]
    pub fn relayed(self) -> Self {
        Self { relays: true, ..self }
    }

    /// A login of a client that is logged in already, by this mechanism.
    pub(super) fn again(mechanisms: Mechanisms, broker: Option<i32>, before: Mechanism) -> Self {
        Self { before: Some(before), ..Self::new(mechanisms, broker) }
    }

    /// The mechanism that was agreed.
    pub fn mechanism(&self) -> Option<Mechanism> {
        self.agreed
    }

    /// The size of the frame whose first bytes these are, without its length; none if there are too few. The smallest
    /// request is larger than some tokens without headers.
    ///
    /// # Errors
    /// No frame of a login begins like this, or it would be larger than `cap`.
    pub fn frame_size(&self, start: &[u8], cap: usize) -> Result<Option<usize>, FrameError> {
        match self.stage {
            Stage::Shaken { raw: true } => token_size(start, cap),
            Stage::Start
            | Stage::Asking(..)
            | Stage::Shaken { raw: false }
            | Stage::Checking(_)
            | Stage::Changed { .. } => request_size(start, cap),
        }
    }

    /// Takes a frame, without its length.
    pub fn take(&mut self, frame: &Bytes, topology: &Topology) -> LoginStep {
        match self.stage {
            Stage::Shaken { raw: true } => {
                self.stage = Stage::Checking(None);
                LoginStep::Verify(frame.clone())
            }
            Stage::Start | Stage::Shaken { raw: false } => self.request(frame, topology).unwrap_or_else(malformed),
            Stage::Changed { before, to } => close(
                CloseReason::LoginFailed,
                format!(
                    "SASL mechanism '{}' requested by client is not supported for re-authentication of mechanism '{}'",
                    to.name(),
                    before.name()
                ),
            ),
            Stage::Asking(..) | Stage::Checking(_) => {
                close(CloseReason::LoginFailed, "a request before the login was answered".to_owned())
            }
        }
    }

    /// The mechanism's verdict: a challenge, an answer that ends the login, or the last words.
    pub fn verified(&mut self, verdict: LoginVerdict) -> LoginStep {
        let Stage::Checking(header) = self.stage else {
            return close(CloseReason::Internal, "a verdict without a message".to_owned());
        };
        if let LoginVerdict::Challenge(_) = verdict {
            self.stage = Stage::Shaken { raw: header.is_none() };
        }
        let mut node = Node::response(ApiKey::SASL_AUTHENTICATE);
        if let (LoginVerdict::Proved { lifetime, .. }, Some((_, 1..))) = (&verdict, header) {
            node.set(authenticated::SESSION_LIFETIME_MS, *lifetime);
        }
        let failed = match verdict {
            LoginVerdict::Challenge(bytes) | LoginVerdict::Proved { last: bytes, .. } => {
                if header.is_none() {
                    let mut rope = Rope::new();
                    rope.push(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
                    rope.push(&bytes);
                    return LoginStep::Answer(rope);
                }
                node.set(authenticated::AUTH_BYTES, Bytes::from(bytes));
                None
            }
            LoginVerdict::Failed(text) => {
                node.set(authenticated::AUTH_BYTES, Bytes::new());
                node.set(authenticated::ERROR_CODE, ErrorCode::SASL_AUTHENTICATION_FAILED);
                node.set(authenticated::ERROR_MESSAGE, text.as_str());
                Some(text)
            }
            LoginVerdict::Refused(answered) => {
                let detail = answered.words();
                answered.write(&mut node);
                Some(detail)
            }
        };
        // Without headers there is no place for an error: Kafka closes (`SaslServerAuthenticator.authenticate`).
        let answer = header.map(|(correlation_id, version)| {
            message::response_frame(ApiKey::SASL_AUTHENTICATE, version, correlation_id, &node)
        });
        match (failed, answer) {
            (None, Some(answer)) => LoginStep::Answer(answer),
            (detail, answer) => {
                LoginStep::Close { answer, reason: CloseReason::LoginFailed, detail: detail.unwrap_or_default() }
            }
        }
    }

    fn request(&mut self, frame: &Bytes, topology: &Topology) -> Result<LoginStep, WireError> {
        let header = match header::request_header(frame) {
            Ok(header) => header,
            Err(WireError::UnknownApi { key, correlation_id, .. }) if key == ApiKey::API_VERSIONS => {
                return Ok(unsupported_api_versions(correlation_id, topology, self.broker));
            }
            Err(error) => return Err(error),
        };
        let body = frame.slice(header.len..);
        if header.key == ApiKey::API_VERSIONS && table::row_of(header.key, header.version).is_err() {
            return Ok(unsupported_api_versions(header.correlation_id, topology, self.broker));
        }
        if let Err(reason) = table::row_of(header.key, header.version) {
            return Ok(close(reason, format!("{} version {}", header.key.name(), header.version)));
        }
        let view = self.scan.read_request(header.key.request_def()?, header.version, &body)?;
        match (header.key, &self.stage) {
            (ApiKey::API_VERSIONS, Stage::Start) => {
                self.software = software(view).or(self.software.take());
                Ok(match crate::enforce::local_answer(view, header.version, topology, self.broker) {
                    Some(node) => answer(&header, &node),
                    None => close(CloseReason::UpstreamUnreachable, "no broker was reached yet".to_owned()),
                })
            }
            (ApiKey::SASL_HANDSHAKE, Stage::Start) => {
                let (mut step, agreed) = shake(&self.mechanisms, self.relays, &header, view);
                // A broker has no answer then: what it built is sent where a first login fails, and only there.
                if let (LoginStep::Close { answer, .. }, Some(_)) = (&mut step, self.before) {
                    *answer = None;
                }
                if let Some(to) = agreed {
                    self.agreed = agreed;
                    self.stage = match self.before.filter(|before| *before != to) {
                        // The broker would answer so too, and close at the next message.
                        Some(before) => Stage::Changed { before, to },
                        None if self.relays => {
                            step = LoginStep::Shake(to);
                            Stage::Asking(header.correlation_id, header.version)
                        }
                        None => Stage::Shaken { raw: header.version == 0 },
                    };
                }
                Ok(step)
            }
            (ApiKey::SASL_AUTHENTICATE, Stage::Shaken { raw: false }) => {
                let bytes = Bytes::copy_from_slice(view.bytes(authenticate::AUTH_BYTES).unwrap_or_default());
                self.stage = Stage::Checking(Some((header.correlation_id, header.version)));
                Ok(LoginStep::Verify(bytes))
            }
            _ => Ok(close(CloseReason::LoginFailed, format!("{} before the login was complete", header.key.name()))),
        }
    }
}

/// The longest name or version of a client's software that is kept, in bytes: every event of the connection repeats it.
const LONGEST_SOFTWARE: usize = 128;

/// Name and version of the client's software, as its ApiVersions request tells them.
pub(super) fn software(view: View<'_, '_>) -> Option<(Arc<str>, Arc<str>)> {
    let kept = |field| {
        let text = view.str(field);
        text.get(..text.floor_char_boundary(LONGEST_SOFTWARE)).unwrap_or_default().into()
    };
    view.has(api_versions::CLIENT_SOFTWARE_NAME)
        .then(|| (kept(api_versions::CLIENT_SOFTWARE_NAME), kept(api_versions::CLIENT_SOFTWARE_VERSION)))
}

fn shake(
    mechanisms: &[Mechanism],
    relays: bool,
    header: &RequestHeader<'_>,
    view: View<'_, '_>,
) -> (LoginStep, Option<Mechanism>) {
    let asked = view.str(handshake::MECHANISM);
    // Clients of that age know PLAIN and GSSAPI; a failed exchange without headers could not be told in words.
    let served = |m: &Mechanism| header.version > 0 || (*m == Mechanism::PLAIN && !relays);
    let agreed = mechanisms.iter().copied().filter(served).find(|m| m.name() == asked);
    let error = if agreed.is_some() { ErrorCode::NONE } else { ErrorCode::UNSUPPORTED_SASL_MECHANISM };
    let rope = told(header.correlation_id, header.version, error, mechanisms.iter().filter(|m| served(m)));
    if agreed.is_some() {
        return (LoginStep::Answer(rope), agreed);
    }
    // The mechanism is the client's text: shown escaped and short.
    let shown: String = asked.escape_debug().take(40).collect();
    let detail = if mechanisms.iter().any(|m| m.name() == asked) {
        format!("mechanism `{shown}` needs SaslHandshake version 1: the client is too old")
    } else {
        format!("mechanism `{shown}` is not offered: see `listeners[].sasl.mechanisms`")
    };
    (LoginStep::Close { answer: Some(rope), reason: CloseReason::LoginFailed, detail }, None)
}

fn answer(header: &RequestHeader<'_>, node: &Node) -> LoginStep {
    LoginStep::Answer(message::response_frame(header.key, header.version, header.correlation_id, node))
}

fn unsupported_api_versions(correlation_id: i32, topology: &Topology, broker: Option<i32>) -> LoginStep {
    let node = table::unsupported_api_versions(topology.versions(broker, ApiKey::API_VERSIONS));
    LoginStep::Answer(message::response_frame(ApiKey::API_VERSIONS, 0, correlation_id, &node))
}

fn malformed(error: WireError) -> LoginStep {
    let reason = match error {
        WireError::UnknownApi { key, .. } => table::why_refused(key),
        _ => CloseReason::MalformedRequest,
    };
    close(reason, error.to_string())
}

fn close(reason: CloseReason, detail: String) -> LoginStep {
    LoginStep::Close { answer: None, reason, detail }
}

#[cfg(test)]
mod tests;
