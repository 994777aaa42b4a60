//! Bounds of the process (`limits`): what is full makes clients wait or closes a connection, it never grows.

use super::ByteSize;
use std::time::Duration;

/// Bounds of the process unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections; beyond it a new one is closed at once.
    pub connections: Connections,
    /// Client connections from one address; `None` = no bound.
    pub connections_per_address: Option<u32>,
    /// One request.
    pub frame: ByteSize,
    /// One request before the client is known.
    pub frame_before_login: ByteSize,
    /// One answer that has to be changed; others stream.
    pub response_in_memory: ByteSize,
    /// Request bytes held in all; beyond it reading pauses.
    pub request_memory: ByteSize,
    /// Unanswered requests per connection, at least 1; beyond it reading pauses.
    pub in_flight: usize,
    /// Of those, already written to the broker.
    pub upstream_ahead: UpstreamAhead,
    /// From accept to the end of the PROXY header and the TLS handshake.
    pub handshake_timeout: Duration,
    /// From there to a known principal.
    pub login_timeout: Duration,
    /// A begun frame without a new byte.
    pub frame_timeout: Duration,
    /// No request and none unanswered.
    pub idle_timeout: Duration,
    /// What failed logins cost.
    pub failed_logins: FailedLogins,
}

/// Bounds of a listener (`listeners[].limits`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Those of the process with the listener's in their place. The numbers of connections here are the process's.
    pub all: Limits,
    /// Client connections of this listener, within those of the process.
    pub connections: Option<u32>,
    /// Client connections from one address to this listener, which are then counted apart; `None` = with the others.
    pub connections_per_address: Option<Option<u32>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Connections::Auto,
            connections_per_address: None,
            frame: ByteSize::mib(100),
            frame_before_login: ByteSize::kib(512),
            response_in_memory: ByteSize::mib(100),
            request_memory: ByteSize::gib(1),
            in_flight: 512,
            upstream_ahead: UpstreamAhead { requests: 16, size: ByteSize::mib(8) },
            handshake_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            failed_logins: FailedLogins { delay: Duration::from_millis(100), per_minute: 60 },
        }
    }
}

/// How many client connections there may be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Connections {
    /// As many as file descriptors allow.
    Auto,
    /// This many.
    AtMost(u32),
}

impl Connections {
    /// File descriptors kept for everything but client connections, when the number is automatic.
    const KEPT: u64 = 512;

    /// How many there can be, given the process's limit of file descriptors, where that is fewer than were asked for.
    pub fn fewer(self, file_descriptors: u64) -> Option<usize> {
        Some(Self::Auto.bound(file_descriptors)).filter(|most| *most < self.bound(file_descriptors))
    }

    /// The bound, given the process's limit of file descriptors. Each client connection has its own to the broker,
    /// so it costs two; at least one is allowed.
    pub fn bound(self, file_descriptors: u64) -> usize {
        match self {
            Self::Auto => usize::try_from(file_descriptors.saturating_sub(Self::KEPT) / 2).unwrap_or(usize::MAX).max(1),
            Self::AtMost(n) => usize::try_from(n).unwrap_or(usize::MAX),
        }
    }
}

/// How far a connection may run ahead of the broker's answers: whichever is reached first, but at least one request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAhead {
    /// Requests, at least 1.
    pub requests: usize,
    /// Their bytes.
    pub size: ByteSize,
}

/// What failed logins cost.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// How long the answer is held back.
    pub delay: Duration,
    /// How many one address may have in a minute; beyond it its connections are closed at once.
    pub per_minute: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_half_of_what_the_process_may_open_less_a_reserve() {
        assert_eq!(Connections::Auto.bound(20_000), 9_744);
        assert_eq!(Connections::Auto.bound(100), 1);
        assert_eq!(Connections::AtMost(7).bound(20_000), 7);
        assert_eq!(Connections::AtMost(9_744).fewer(20_000), None);
        assert_eq!((Connections::AtMost(9_745).fewer(20_000), Connections::Auto.fewer(100)), (Some(9_744), None));
    }
}
