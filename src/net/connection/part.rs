//! The end of a connection.

use super::Link;
use crate::model::CloseReason;
use crate::net::socket::{Socket, flush};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How long the last bytes of an ending connection may take to leave.
const PARTING: Duration = Duration::from_secs(5);

impl Link<'_> {
    /// Lets the last bytes leave: to the broker what was judged, to the client the answers that are due.
    pub(super) async fn part(&mut self, reason: CloseReason) {
        // In a stop the audit must still learn of the end.
        let patience = if reason == CloseReason::Drain { PARTING.min(self.door.times.drain / 20) } else { PARTING };
        let parting = async {
            if let Some(Socket { reads, writes }) = &mut self.broker {
                while !self.machine.to_broker.is_empty() {
                    writes.writable().await?;
                    flush(writes.as_ref(), &mut self.machine.to_broker)?;
                }
                writes.shutdown().await?;
                // Closing with unread answers would reset the connection, and with it requests the broker has not read.
                let mut rest = [0u8; 4096];
                while reads.read(&mut rest).await? > 0 {}
            }
            Ok::<(), io::Error>(())
        };
        let answers = async {
            let writes = &mut self.client.writes;
            while !self.machine.to_client.is_empty() {
                writes.writable().await?;
                flush(writes.as_ref(), &mut self.machine.to_client)?;
            }
            writes.shutdown().await
        };
        // Best effort on both: either side may be gone.
        let _ = tokio::time::timeout(patience, answers).await;
        let _ = tokio::time::timeout(patience, parting).await;
    }
}
