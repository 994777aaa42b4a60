//! A connection to a broker on which a client logs in by itself (`identity: pass_through`): its messages go through, one
//! after the other. None of them is kept or told of.

use super::dial::{DialError, Talk};
use crate::model::Mechanism;
use crate::session::{Answered, Shook};
use crate::tls::Stream;
use crate::wire::{ApiKey, Versions, api};
use bytes::Bytes;
use std::collections::BTreeMap;

/// SaslHandshake in this version is followed by SaslAuthenticate (KIP-152).
const SHAKE: i16 = 1;

/// The connection.
pub struct Passage {
    talk: Talk,
    /// The newest version of SaslAuthenticate that both sides know: from 1 on it tells for how long a login holds.
    version: i16,
}

impl Passage {
    pub(super) fn new(talk: Talk, served: &BTreeMap<ApiKey, Versions>) -> Self {
        let ours = api(ApiKey::SASL_AUTHENTICATE).map(|api| api.versions);
        let both = ours.zip(served.get(&ApiKey::SASL_AUTHENTICATE)).map(|(ours, theirs)| ours.intersect(*theirs));
        Self { talk, version: both.filter(|both| !both.is_empty()).map_or(0, |both| both.max) }
    }

    /// Asks for a mechanism.
    ///
    /// # Errors
    /// The connection broke, or what answers is no broker.
    pub async fn shake(&mut self, mechanism: Mechanism) -> Result<Shook, DialError> {
        let answer = self.talk.ask(ApiKey::SASL_HANDSHAKE, SHAKE, &Shook::ask(mechanism), "SaslHandshake").await?;
        Ok(Shook::read(&answer))
    }

    /// Passes a message of the mechanism on.
    ///
    /// # Errors
    /// As [`Passage::shake`].
    pub async fn say(&mut self, message: Bytes) -> Result<Answered, DialError> {
        let ask = Answered::ask(message);
        let answer = self.talk.ask(ApiKey::SASL_AUTHENTICATE, self.version, &ask, "SaslAuthenticate").await?;
        Ok(Answered::read(&answer))
    }

    /// The connection, for what the client asks for once it is logged in. Nothing is left unread in it.
    pub fn into_stream(self) -> Stream {
        self.talk.stream
    }
}
