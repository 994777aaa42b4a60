//! A login that goes on to a broker (`identity: pass_through`), on the connection that then is the client's.

use super::dial::{NotDialled, passage};
use super::login::{Asks, verify};
use super::shared::{Door, Shared};
use crate::cluster::dial::DialError;
use crate::cluster::passage::Passage;
use crate::identity::sasl::{Exchange, Relayed};
use crate::model::{CloseReason, Mechanism, Principal};
use crate::session::{Answered, Checked, Shook};
use crate::tls::Stream;
use bytes::Bytes;

/// The login.
pub(super) struct Relay {
    passage: Passage,
    exchange: Relayed,
    /// What finds tokens good here, before the broker sees them.
    own: Option<Exchange>,
}

impl Relay {
    /// Dials the broker and asks it for the mechanism.
    pub(super) async fn open(
        shared: &Shared,
        door: &Door,
        broker: Option<i32>,
        mechanism: Mechanism,
    ) -> Result<(Self, Shook), NotDialled> {
        let mut passage = passage(shared, &door.dialler, broker).await?;
        let shook = passage.shake(mechanism).await.map_err(|error| lost(&error))?;
        let own = Some(Exchange::new(mechanism));
        Ok((Self { passage, exchange: Relayed::new(mechanism), own }, shook))
    }

    /// The mechanism.
    pub(super) fn mechanism(&self) -> Mechanism {
        self.exchange.mechanism()
    }

    /// As [`Exchange::claim`].
    pub(super) fn claim(&self, message: &[u8]) -> Option<String> {
        self.own.as_ref()?.claim(message)
    }

    /// Passes a message on, unless nothing could be learned from it, and says what the broker makes of it; nothing at all
    /// where too many logins failed meanwhile. `before`: of a client that is logged in already, as this one.
    pub(super) async fn check(
        &mut self,
        asks: Asks<'_>,
        message: Bytes,
        before: Option<&Principal>,
    ) -> Option<Checked> {
        if self.exchange.wants_voucher() {
            let own = self.own.take()?;
            let (own, checked) = verify(asks, own, message.clone(), before.is_some()).await?;
            self.own = own;
            match checked {
                Checked::Proved { login, .. } => self.exchange.vouched(login),
                checked => return Some(checked),
            }
        }
        if let Some(failed) = Answered::stopped(&mut self.exchange, &message, before) {
            return Some(failed);
        }
        Some(match self.passage.say(message).await {
            Ok(answered) => answered.judged(&mut self.exchange, before.is_some()),
            Err(error) => lost(&error).into(),
        })
    }

    /// Why the login has failed, where the client was told so by a message that it still has to answer.
    pub(super) fn refused(&self) -> Option<String> {
        let own = self.own.as_ref().and_then(Exchange::refused).map(ToString::to_string);
        own.or_else(|| self.exchange.is_denied().then(|| "the broker does not take the token".to_owned()))
    }

    /// The connection, once the client is logged in there.
    pub(super) fn into_stream(self) -> Stream {
        self.passage.into_stream()
    }
}

impl From<NotDialled> for Checked {
    fn from(NotDialled { reason, detail }: NotDialled) -> Self {
        Self::Lost { reason, detail }
    }
}

fn lost(error: &DialError) -> NotDialled {
    // As where a broker cannot be dialled: addresses are for the log alone.
    tracing::info!(%error, "broker lost in a client's login");
    let detail = "the broker ended the connection during the client's login".to_owned();
    NotDialled { reason: CloseReason::UpstreamClosed, detail }
}
