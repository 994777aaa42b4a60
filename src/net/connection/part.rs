//! The end of a connection.

use super::Link;
use crate::model::CloseReason;
use std::io;
use std::time::Duration;

/// Why and how a connection ended.
pub(in crate::net) struct Ended {
    /// The reason.
    pub(in crate::net) reason: CloseReason,
    /// What was wrong, in words.
    pub(in crate::net) detail: Option<String>,
}

/// How long the last bytes of an ending connection may take to leave.
const PARTING: Duration = Duration::from_secs(5);

impl Link<'_> {
    /// Lets the last bytes leave: to the broker what was judged, to the client the answers that are due.
    pub(super) async fn part(&mut self, reason: CloseReason) {
        // In a stop the audit must still learn of the end.
        let patience = if reason == CloseReason::Drain { PARTING.min(self.door.times.drain / 20) } else { PARTING };
        let parting = async {
            if let Some(broker) = &mut self.broker {
                broker.flush_all(&mut self.machine.to_broker).await?;
                broker.shut_down().await?;
                // Closing with unread answers would reset the connection, and with it requests the broker has not read.
                broker.drain().await?;
            }
            Ok::<(), io::Error>(())
        };
        let client = &mut self.client;
        let answers = async {
            client.flush_all(&mut self.machine.to_client).await?;
            client.shut_down().await
        };
        // Best effort on both: either side may be gone.
        let _ = tokio::time::timeout(patience, answers).await;
        let _ = tokio::time::timeout(patience, parting).await;
    }
}
