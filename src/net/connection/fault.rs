//! Connections that break: by the network, or within TLS, which says more.

use super::Link;
use crate::model::CloseReason;
use crate::tls;
use std::io;

/// Why a client's connection broke: the reason, and its words where TLS has any.
pub(in crate::net) fn of_client(error: &io::Error) -> (CloseReason, Option<String>) {
    match tls::of_tls(error) {
        Some(fault) => (CloseReason::TlsFault, Some(tls::late_fault(fault))),
        None => (CloseReason::ClientReset, None),
    }
}

impl Link<'_> {
    /// The reason for which the connection ends, with its words noted.
    pub(super) fn client_broke(&mut self, error: &io::Error) -> CloseReason {
        let (reason, words) = of_client(error);
        if words.is_some() {
            self.detail = words;
        }
        reason
    }

    /// Notes what TLS says of the broker's end; that it is one, the machine is told.
    pub(super) fn broker_broke(&mut self, error: &io::Error) {
        if let Some(fault) = tls::of_tls(error) {
            self.detail = Some(format!("TLS with the broker failed: {}", tls::broker_fault(fault)));
        }
    }
}
