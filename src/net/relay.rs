//! A login that goes on to a broker (`identity: pass_through`), on the connection that then is the client's.

use super::dial::{NotDialled, passage};
use super::shared::{Door, Shared};
use crate::cluster::dial::DialError;
use crate::cluster::passage::Passage;
use crate::identity::sasl::Relayed;
use crate::model::{CloseReason, Mechanism};
use crate::session::{Checked, Shook};
use crate::tls::Stream;
use bytes::Bytes;

/// The login.
pub(super) struct Relay {
    passage: Passage,
    exchange: Relayed,
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
        Ok((Self { passage, exchange: Relayed::new(mechanism) }, shook))
    }

    /// Passes a message on, unless nothing could be learned from it, and says what the broker makes of it.
    pub(super) async fn check(&mut self, message: Bytes, again: bool) -> Checked {
        if let Err(error) = self.exchange.sent(&message) {
            let told = error.told(self.exchange.mechanism(), again);
            return Checked::Failed { told, detail: error.to_string() };
        }
        match self.passage.say(message).await {
            Ok(answered) => answered.judged(&mut self.exchange, again),
            Err(error) => lost(&error).into(),
        }
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
