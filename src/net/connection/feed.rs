//! What goes into the machine, and what leaves for the sockets.

use super::Link;
use crate::model::CloseReason;
use crate::session::Input;
use std::time::Duration;

/// Bytes that may wait for the client before the broker is no longer read.
const CLIENT_BACKLOG: usize = 256 * 1024;

impl Link<'_> {
    /// Feeds the machine; a reason if the connection must end at once.
    pub(super) fn input(&mut self, input: Input) -> Option<CloseReason> {
        let result = self.machine.handle(input, self.shared.now(), self.recorder, &mut self.outputs);
        for finished in self.outputs.finished.drain(..) {
            let api = self.shared.metrics.api(finished.key);
            api.requests.inc();
            api.total_time(Duration::from_micros(finished.micros));
        }
        for node in self.outputs.unmapped.drain(..) {
            self.door.left_out(node);
        }
        self.note_renewal();
        if let Some(detail) = self.outputs.detail.take() {
            self.detail = Some(detail);
        }
        match result {
            Ok(()) => None,
            Err(error) => {
                self.detail = Some(error.to_string());
                Some(CloseReason::UpstreamMalformed)
            }
        }
    }

    pub(super) fn reads_broker(&self) -> bool {
        self.machine.wants_broker() && self.machine.to_client.len() <= CLIENT_BACKLOG
    }

    /// Writes what the sockets take.
    pub(super) fn write(&mut self) -> Result<(), CloseReason> {
        if let Some(broker) = &mut self.broker
            && broker.flush(&mut self.machine.to_broker).is_err()
        {
            self.detail = Some("the broker no longer reads".to_owned());
            return Err(CloseReason::UpstreamClosed);
        }
        match self.client.flush(&mut self.machine.to_client) {
            Ok(n) => {
                self.door.metrics.sent.inc_by(n as u64);
                Ok(())
            }
            Err(_) => Err(CloseReason::ClientReset),
        }
    }
}
